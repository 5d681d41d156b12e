// The landing page: where to go on, how much of each part is read, answered and solved, and the reader's file.
"use strict";

{
  const { chapters, parse, load, clear, merge, standing, count, root, full, make, button, follow } = window.ntkProgress;
  const [goOn, place] = ["ntk-next", "ntk-progress"].map((id) => document.getElementById(id));
  const PRIVATE = "It is kept in this browser only; nothing is sent anywhere.";

  const summary = make("div");
  const said = make("p", { role: "status" });
  const file = make("input", { type: "file", accept: ".json,application/json", hidden: "", "aria-label": "A file to restore from" });
  const save = button("Save to a file", saveFile);
  const restore = button("Restore from a file", () => file.click());
  const forget = button("Clear", () => {
    if (!confirm("Clear all that this browser has kept of your progress?")) return;
    clear();
    said.textContent = "Cleared.";
    restore.focus();
  });

  function saveFile() {
    const text = JSON.stringify(load(), null, 2);
    const href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    make("a", { href, download: `ntk-progress-${new Date().toISOString().slice(0, 10)}.json` }).click();
    setTimeout(URL.revokeObjectURL, 60000, href);
  }

  file.addEventListener("change", async () => {
    const [chosen] = file.files;
    if (!chosen) return;
    const found = parse(await chosen.text());
    if (found === null) {
      said.textContent = `${chosen.name} holds no progress that this page can read: choose a file that “Save to a file” made.`;
    } else if (merge(found)) {
      said.textContent = `Restored from ${chosen.name}.`;
    }
    file.value = "";
  });

  /** Where to go on: in the chapter last read, or else in the next one that is not read. */
  function next(state) {
    const last = chapters.findIndex(({ page }) => page === state.last);
    const order = [...chapters.slice(Math.max(last, 0)), ...chapters.slice(0, Math.max(last, 0))];
    const to = order.find(({ page }) => standing(state, page) !== "read");
    if (!to) return ["You have read all chapters."];
    const at = state.chapters[to.page]?.at;
    const link = make("a", { href: new URL(`${to.page}.html`, root).href }, to.title);
    if (at) link.hash = at;
    return [standing(state, to.page) === "begun" ? "Continue: " : "Next: ", link];
  }

  function row(title, { chapters: all, read, questions, right, exercises, solved }) {
    const bar = make("progress", { max: all, value: read, "aria-label": `${title}: chapters read` });
    const head = make("th", { scope: "row" }, title);
    return make("tr", {}, head, make("td", {}, bar, `${read} of ${all}`),
      make("td", {}, `${right} of ${questions}`), make("td", {}, `${solved} of ${exercises}`));
  }

  function table(state) {
    const heads = ["Part", "Chapters read", "Quiz, at first try", "Exercises solved"];
    const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)));
    const rows = window.ntkBook.map((part) => row(part.title, count(state, part.chapters)));
    return make("table", { class: "ntk-counts" }, make("thead", {}, head),
      make("tbody", {}, ...rows), make("tfoot", {}, row("All", count(state))));
  }

  function show({ detail }) {
    const state = load();
    const fresh = state === null || Object.keys(state.chapters).length === 0;
    save.hidden = forget.hidden = fresh;
    restore.hidden = state === null;
    goOn?.replaceChildren(...(fresh ? [] : next(state)));
    if (state === null) {
      summary.replaceChildren(make("p", {}, "This browser keeps nothing for this site: its storage is blocked."));
    } else if (fresh) {
      summary.replaceChildren(make("p", {}, `What you read, answer and solve will be shown here. ${PRIVATE}`));
    } else {
      summary.replaceChildren(table(state), make("p", { class: "ntk-private" }, PRIVATE));
    }
    if (detail?.kept === false) said.textContent = full;
  }

  if (place) {
    const heading = make("h2", { id: "your-progress" }, "Your progress");
    const buttons = make("div", { class: "ntk-buttons" }, save, restore, forget, file);
    place.append(make("section", { "aria-labelledby": heading.id }, heading, summary, buttons, said));
    follow(show);
  }
}
