"""Tell the scripts that keep a reader's progress what the book has: its parts, chapters, quiz questions and exercises.

The list is a script and not JSON, because a page opened from a file may not read other files. A question's name is a
digest of its words and its possible answers: once these change, what a reader answered before counts no longer.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import teach

QUIZ = re.compile(r'^<div class="quiz">\n\n(.+?)\n</div>', re.M | re.S)
ANSWER = re.compile(r'<details class="(right|wrong)"><summary>(.+?)</summary>', re.S)
SCRIPTS = ("progress_book.js", "progress_store.js", "progress.js", "progress_panel.js")  # in this order


def questions(words: str) -> list[dict]:
    """Return, of each quiz question in a chapter's words, its name and the place of the right answer, from 0."""
    found = []
    for quiz in QUIZ.findall(words):
        kinds, answers = zip(*ANSWER.findall(quiz), strict=True)
        asked = "\n".join((quiz.split("<details", 1)[0].strip(), *answers))
        found.append({"id": hashlib.sha256(asked.encode()).hexdigest()[:10], "right": kinds.index("right")})
    return found


def chapter(notebook: Path) -> dict:
    """Return a chapter's page, title, questions and exercises."""
    words = teach.text(notebook)
    return {
        "page": notebook.relative_to(teach.ROOT).with_suffix("").as_posix(),
        "title": words.split("\n", 1)[0].removeprefix("# "),
        "questions": questions(words),
        "exercises": [label for *_, label in teach.exercises(notebook)],
    }


def book() -> list[dict]:
    """Return the parts of the book that have chapters."""
    return [{"title": part, "chapters": list(map(chapter, paths))} for part, paths in teach.parts().items()]


def _write(app) -> None:
    if app.builder.name != "html":
        return
    static = Path(app.outdir, "_static")
    static.mkdir(parents=True, exist_ok=True)
    (static / SCRIPTS[0]).write_text(f"window.ntkBook = {json.dumps(book())};\n")
    for name in SCRIPTS:
        app.add_js_file(name, loading_method="defer")
    app.add_css_file("progress.css")


def setup(app):
    """Register with Sphinx."""
    app.connect("builder-inited", _write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
