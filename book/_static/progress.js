// Shows and notes a reader's progress: marks beside links to chapters, and, in a chapter, its quiz, exercises and end.
// Without this script nothing of it is there.
"use strict";

{
  const { chapters, load, note, standing, count, root, full, make, button, follow } = window.ntkProgress;
  const MARKS = { begun: "◐", read: "✓" };
  const STAY = 2000;  // milliseconds for which something must be in view to be taken as read
  const page = DOCUMENTATION_OPTIONS.pagename;
  const chapter = chapters.find((one) => one.page === page);
  const article = document.querySelector(".bd-article");

  /** Call `seen` with each element that crosses a part of the window for a while. */
  function watch(elements, rootMargin, seen) {
    const timers = new Map();
    const observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        clearTimeout(timers.get(target));
        if (isIntersecting) timers.set(target, setTimeout(seen, STAY, target));
      }
    }, { rootMargin });
    elements.forEach((element) => observer.observe(element));
  }

  // Marks beside links, in the sidebar and in the landing page's lists.

  function pageOf(link) {
    const { origin, pathname } = new URL(link.href);
    const inside = origin === root.origin && pathname.startsWith(root.pathname);
    return inside ? decodeURI(pathname.slice(root.pathname.length)).replace(/\.html$/, "") : null;
  }

  const links = [...document.querySelectorAll(".bd-links a.reference.internal, .bd-article dt a.reference.internal")]
    .map((link) => [link, pageOf(link)])
    .filter(([, to]) => chapters.some((one) => one.page === to));

  function showMarks(state) {
    for (const [link, to] of links) {
      const is = standing(state, to);
      link.querySelector(".ntk-standing")?.remove();
      if (is === "new") continue;
      const mark = make("span", { role: "img", "aria-label": is }, MARKS[is]);
      link.append(make("span", { class: `ntk-standing ntk-${is}` }, " ", mark));
    }
  }

  // In a chapter: the answer opened first, exercises solved, and how far one has come.

  const score = make("p", { class: "ntk-score", role: "status" });
  const standsAt = make("p", { role: "status" });
  const readOrNot = button("", () => note(page, (one) => { one.read = !one.read; }));
  const quizzes = chapter ? [...article.querySelectorAll(".quiz")].slice(0, chapter.questions.length) : [];
  const boxes = new Map();

  /** Set a text that is read aloud when it changes, and only then. */
  function say(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  function prepareQuiz(quiz, question) {
    const answers = [...quiz.querySelectorAll("details")];
    quiz.addEventListener("click", ({ target }) => {  // not "toggle": printing and finding in the page open answers too
      const opened = answers.indexOf(target.closest("summary")?.parentElement);
      if (opened < 0 || question.id in (load()?.chapters[page]?.answers ?? {})) return;
      note(page, (one) => { (one.answers ??= {})[question.id] = opened; });
    });
  }

  function prepareExercise(label) {
    const exercise = document.getElementById(label);
    if (!exercise) return;
    const number = exercise.querySelector(".caption-number")?.textContent.trim() ?? "";
    const box = make("input", { type: "checkbox" });
    box.addEventListener("change", () => note(page, (one) => {
      const others = (one.solved ?? []).filter((solved) => solved !== label);
      one.solved = box.checked ? [...others, label] : others;
    }));
    const which = make("span", { class: "visually-hidden" }, ` (${number})`);
    exercise.append(make("label", { class: "ntk-solved" }, box, "Solved", which));
    boxes.set(label, box);
  }

  function prepareChapter() {
    quizzes.forEach((quiz, i) => prepareQuiz(quiz, chapter.questions[i]));
    quizzes.at(-1)?.after(score);
    chapter.exercises.forEach(prepareExercise);
    const home = make("a", { href: new URL("book/index.html#ntk-progress", root).href }, "All chapters");
    const end = make("div", { class: "ntk-end", role: "group", "aria-label": "Your progress in this chapter" });
    end.append(standsAt, make("div", {}, readOrNot, home));
    article.append(end);
    // The line at two fifths of the window's height is where one reads; the first section is not reading yet.
    watch([...article.querySelectorAll("section section[id]:has(> h2)")].slice(1), "-40% 0px -60% 0px", ({ id }) => {
      if (load()?.chapters[page]?.at !== id) note(page, (one) => { one.at = id; });
    });
    const summary = [...article.querySelectorAll("#summary :is(p, li)")].slice(-1);
    watch(summary, "0px", () => {
      if (load()?.chapters[page]?.read === undefined) note(page, (one) => { one.read = true; });
    });
  }

  function showChapter(state, kept = true) {
    const { answers = {}, solved = [] } = state.chapters[page] ?? {};
    quizzes.forEach((quiz, i) => {
      quiz.querySelector(".ntk-first")?.remove();
      const first = quiz.querySelectorAll("summary")[answers[chapter.questions[i].id]];
      first?.append(make("span", { class: "ntk-first" }, " your first answer"));
    });
    boxes.forEach((box, label) => { box.checked = solved.includes(label); });
    const sums = count(state, [chapter]);
    const tried = `${sums.right} of ${sums.questions} right at the first try`;
    say(score, sums.answered ? `${sums.answered} of ${sums.questions} answered, ${tried}.` : "");
    const is = { new: "Not begun", begun: "Begun", read: "Read" }[standing(state, page)];
    say(standsAt, kept ? `${is}. Quiz: ${tried}. Exercises: ${sums.solved} of ${sums.exercises} solved.` : full);
    readOrNot.textContent = sums.read ? "Mark as unread" : "Mark as read";
  }

  if (load() !== null) {
    if (chapter) prepareChapter();
    follow(({ detail }) => {
      const state = load();
      if (state === null) return;
      showMarks(state);
      if (chapter) showChapter(state, detail?.kept);
    });
  }
}
