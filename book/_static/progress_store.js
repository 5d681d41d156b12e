// What a reader has done, kept in this browser's localStorage and nowhere else; and what the scripts that show it share.
//
// {version: 1, last: PAGE, chapters: {PAGE: {at, read, answers, solved}}}, where `at` is the section last read, `read` is
// true or false once the reader or the page has said so, `answers` maps a question to the place of the answer opened
// first, `solved` lists exercises. Every part may be missing. What the book does not have (any more) is kept, not counted.
"use strict";

window.ntkProgress = (() => {
  const VERSION = 1;
  const KEY = `ntk-tutorial-progress-${VERSION}`;  // another version has another key, and is left alone
  const UNREADABLE = `${KEY}-unreadable`;
  const chapters = window.ntkBook.flatMap((part) => part.chapters);

  const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
  const isMaybe = (type, value) => value === undefined || typeof value === type;
  const isChapter = (value) => isObject(value) && isMaybe("string", value.at) && isMaybe("boolean", value.read)
    && (value.answers === undefined || (isObject(value.answers) && Object.values(value.answers).every(Number.isInteger)))
    && (value.solved === undefined || (Array.isArray(value.solved) && value.solved.every((one) => isMaybe("string", one))));

  /** The progress that a text has, or null if it has none. */
  function parse(text) {
    let found = null;
    try {
      found = JSON.parse(text);
    } catch {
      return null;
    }
    const sound = isObject(found) && found.version === VERSION && isMaybe("string", found.last)
      && isObject(found.chapters) && Object.values(found.chapters).every(isChapter);
    return sound ? found : null;
  }

  /** What is stored; null where the browser denies its storage. What cannot be read is put aside, not thrown away. */
  function load() {
    try {
      const text = localStorage.getItem(KEY);
      const found = text === null ? null : parse(text);
      if (text !== null && found === null) {
        localStorage.setItem(UNREADABLE, text);
        localStorage.removeItem(KEY);
      }
      return found ?? { version: VERSION, chapters: {} };
    } catch {
      return null;
    }
  }

  /** Read, change and write at once, since another tab may have written; tell whether the browser kept it. */
  function change(update) {
    const state = load();
    let kept = state !== null;
    if (kept) {
      update(state);
      try {
        localStorage.setItem(KEY, JSON.stringify(state));
      } catch {  // full
        kept = false;
      }
    }
    dispatchEvent(new CustomEvent("ntk-progress", { detail: { kept } }));
    return kept;
  }

  /** Change what is stored of one chapter, which is then the last that the reader was in. */
  const note = (page, update) => change((state) => {
    state.last = page;
    update(state.chapters[page] ??= {});
  });

  /** Forget everything, in this version's keys. */
  function clear() {
    try {
      [KEY, UNREADABLE].forEach((key) => localStorage.removeItem(key));
    } catch { /* denied: nothing was kept */ }
    dispatchEvent(new CustomEvent("ntk-progress", { detail: { kept: true } }));
  }

  /** Add what a file has to what is stored; where both know something, what is stored stays. */
  const merge = (theirs) => change((state) => {
    state.last ??= theirs.last;
    for (const [page, other] of Object.entries(theirs.chapters)) {
      const own = state.chapters[page] ?? {};
      const both = { ...other, ...own };
      both.answers = { ...other.answers, ...own.answers };
      both.solved = [...new Set([...(own.solved ?? []), ...(other.solved ?? [])])];
      state.chapters[page] = both;
    }
  });

  /** "read", "begun" or "new". */
  function standing(state, page) {
    const there = state.chapters[page];
    return there?.read ? "read" : there ? "begun" : "new";
  }

  /** Sums over some of the book's chapters. */
  function count(state, some = chapters) {
    const sums = { chapters: some.length, read: 0, questions: 0, answered: 0, right: 0, exercises: 0, solved: 0 };
    for (const { page, questions, exercises } of some) {
      const { answers = {}, solved = [] } = state.chapters[page] ?? {};
      sums.read += standing(state, page) === "read";
      sums.questions += questions.length;
      sums.answered += questions.filter(({ id }) => id in answers).length;
      sums.right += questions.filter(({ id, right }) => answers[id] === right).length;
      sums.exercises += exercises.length;
      sums.solved += exercises.filter((label) => solved.includes(label)).length;
    }
    return sums;
  }

  // What the scripts share that show it.

  const root = new URL(document.documentElement.dataset.content_root, location.href);
  const full = "Not kept: this browser's storage for the site is full or blocked.";

  /** An element with attributes; texts are set as text, never as HTML. */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
    element.append(...children);
    return element;
  }

  function button(text, act) {
    const made = make("button", { type: "button", class: "btn btn-sm ntk-button" }, text);
    made.addEventListener("click", act);
    return made;
  }

  /** Show what is stored now, and whenever this page or another tab changes it or the browser comes back to this page. */
  function follow(show) {
    show({});
    ["ntk-progress", "storage", "pageshow"].forEach((name) => addEventListener(name, show));
  }

  return { chapters, parse, load, note, clear, merge, standing, count, root, full, make, button, follow };
})();
