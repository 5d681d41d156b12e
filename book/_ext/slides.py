"""Cut each chapter's built page into slides: `slides/PART/CHAPTER.html`, shown by reveal.js.

A deck is made from the page and not from the notebook, since there formulas, theorems, figures and references have
their numbers, and pictures their files: nothing is written or stored twice. What is to be seen goes on slides, one
thing on each: statements, formulas, lists, figures, short code. The words between go into the speaker's notes. Decks lie
as deep in the site as chapters, so that addresses of files stay what they are.
"""

from __future__ import annotations

import copy
import html
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from urllib.parse import urlsplit

import teach
from bs4 import BeautifulSoup, Tag

REVEAL = ("reset.css", "reveal.css", "reveal.js")
PICTURE = "figure, .ntk-slider, .ntk-explorer"
INTERACTIVE = {"ntk-slider", "ntk-explorer"}  # their scripts find their parts by these
SKIPPED = {"questions-readers-ask", "further-reading"}  # their words are for readers
SHORT = 9  # lines of code that can be read from afar
LEAD = 320  # characters of a paragraph that may stand above a formula
READING = re.compile(r"(<p><em>Reading time.*?)(</p>)", re.S)
PAGE = """<!doctype html>
<html lang="en" data-theme="light">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: slides</title>
<link rel="icon" href="../../_static/favicon.svg">
{styles}
<script>window.MathJax = {{options: {{enableMenu: false}}}}</script>
<script defer src="../../_static/mathjax/tex-chtml.js"></script>
<script defer src="../../_static/reveal/reveal.js"></script>
<script defer src="../../_static/reveal/notes.js"></script>
<script defer src="../../_static/slides.js"></script>
</head>
<body>
<div class="reveal"><div class="slides">
{slides}
</div></div>
</body>
</html>
"""
STYLES = ("reveal/reset.css", "reveal/reveal.css", "pygments.css", "slides.css")


@dataclass
class Slide:
    """What is shown, as HTML, and what is said with it."""

    title: str
    shown: list[str]
    kind: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def html(self) -> str:
        """The slide as reveal.js wants it."""
        level = "h1" if self.kind == "title" else "h2"
        notes = f'\n<aside class="notes">{"".join(self.notes)}</aside>' if self.notes else ""
        body = f'<div class="body">{"".join(self.shown)}</div>'
        return f'<section class="{self.kind}">\n<{level}>{self.title}</{level}>\n{body}{notes}\n</section>'


def deck(page: str) -> str:
    """Return the address of the deck of a chapter's page, both below the site's root."""
    return "slides/" + page.removeprefix("book/") + ".html"


def inner(element: Tag) -> str:
    """Return what an element holds, as HTML."""
    return element.decode_contents()


def said(element: Tag) -> str:
    """Return an element for the speaker's notes, where formulas are TeX: their window has no MathJax."""
    kept = copy.copy(element)
    for formula in kept.select(".math"):
        formula.name, formula.attrs = "code", {}
    for summary in kept.select("summary"):
        summary.name = "p"
    return str(kept)


def first_sentence(paragraph: Tag) -> str:
    """Return the first sentence of a paragraph as HTML, or all of it where that would cut a tag in two."""
    found = re.match(r".{30,}?[.?:](?=\s|$)", inner(paragraph), re.S)
    whole = found and all(found[0].count(f"<{t}") == found[0].count(f"</{t}>") for t in ("em", "strong", "a", "span"))
    return f"<p>{found[0] if whole else inner(paragraph)}</p>"


def summary(details: Tag) -> str:
    """Return the words of a <details> that are always shown, and take them out."""
    return inner(details.find("summary").extract())


class Cut:
    """A chapter's page, cut into slides."""

    def __init__(self, article: Tag):
        self.slides: list[Slide] = []
        self.waiting: list[str] = []  # notes for the next slide
        self.heading = ""
        self.opening = False  # whether no slide of this section is there yet
        self.lead: Tag | None = None  # the paragraph just before
        self.title(article)

    def add(self, shown: list[str], kind: str = "", title: str | None = None) -> None:
        """Begin a slide with the section's heading."""
        self.slides.append(Slide(self.heading if title is None else title, shown, kind, self.waiting))
        self.waiting, self.opening = [], False

    def say(self, element: Tag) -> None:
        """Put words into the notes: of the slide that is shown, or of a section's first."""
        notes = self.waiting if self.opening else self.slides[-1].notes
        notes.append(said(element))

    def title(self, article: Tag) -> None:
        """Make the first slide: title, promise, and the teacher's plans as notes; then all others."""
        self.heading = inner(article.find("h1").extract())
        promise = article.find("p").extract()
        if teachers := article.select_one("details.teachers"):
            self.waiting = [said(teachers.extract())]
        book = '<p class="book">Neural tangent kernels, by experiment</p>'
        self.add([f'<p class="promise">{promise.get_text()}</p>', book], "title")
        self.children(article)

    def children(self, parent: Tag) -> None:
        """Make slides of what a section holds, in its order."""
        for child in parent.find_all(recursive=False):
            before, self.lead = self.lead, None
            self.element(child, before)

    def section(self, section: Tag) -> None:
        """Make the slides of a section; one with words only shows its first sentence."""
        name = section.get("id")
        heading = section.find(re.compile("^h[2-6]$")).extract()
        if name in SKIPPED and not section.select_one(PICTURE):
            return
        self.heading, self.opening, self.lead = inner(heading), True, None
        if name == "exercises":
            self.exercises(section)
            return
        if name == "where-it-breaks":
            self.first_words(section)
        paragraph = section.find("p", recursive=False)
        count = len(self.slides)
        self.children(section)
        if len(self.slides) == count and paragraph is not None:
            self.heading = inner(heading)
            self.add([first_sentence(paragraph)], "words")

    def first_words(self, section: Tag) -> None:
        """List what paragraphs begin with, in bold; what follows there is said with it."""
        leads = [inner(p.strong) for p in section.find_all("p", recursive=False) if p.strong]
        if leads:
            self.add([f"<ul>{''.join(f'<li>{lead}</li>' for lead in leads)}</ul>"], "list")

    def element(self, child: Tag, before: Tag | None) -> None:
        """Make a slide or a note of one element."""
        classes = set(child.get("class", ()))
        if child.name == "section":
            self.section(child)
        elif child.select_one(PICTURE) or child.name == "figure":
            self.figure(child)
        elif "quiz" in classes:
            self.quiz(child)
        elif child.name == "details":
            self.predict(child, classes, before)
        elif "proof" in classes:
            self.statement(child)
        elif "math" in classes:
            self.formula(child, before)
        elif "cell" in classes:
            self.code(child, classes)
        elif child.name in ("ul", "ol") or child.find("table") or child.name == "table":
            self.add([str(child)], "list")
        elif child.name == "div" and not classes:
            self.children(child)
        elif child.name not in ("script", "style"):
            self.lead = child if child.name == "p" else None
            self.say(child)

    def figure(self, cell: Tag) -> None:
        """Show a figure as large as there is room, its caption below it."""
        for found in cell.select(PICTURE) or [cell]:
            if found.find_parent("figure"):
                continue
            self.add([str(found)], "picture")
        for printed in cell.select(".output.stream"):
            self.slides[-1].notes.append(f"<p>Printed:</p>{printed.find('pre')}")

    def predict(self, details: Tag, classes: set[str], before: Tag | None) -> None:
        """Ask a question, and answer it a step later."""
        asked = summary(details)
        if "answer" not in classes:
            self.say(details)
            return
        question = re.sub(r"^\s*Predict before you run:?\s*", "", asked)
        if not question and before is not None:  # it was asked in the text
            question = re.split(r"(?<=[.:])\s", inner(before))[-1] if "?" in inner(before) else inner(before)
        question = re.sub(r"^<strong>Question\.</strong>\s*", "", question.strip())
        question = question[:1].upper() + question[1:]
        answer = f'<div class="fragment answer">{inner(details)}</div>'
        self.add([f'<p class="question">{question}</p>', answer], "predict", f"Predict <small>· {self.heading}</small>")

    def statement(self, proof: Tag) -> None:
        """Show a definition or a theorem."""
        self.add([str(proof)], "statement")

    def formula(self, math: Tag, before: Tag | None) -> None:
        """Show a formula below the words that lead to it, where these are few; two of them share a slide."""
        last = self.slides[-1]
        if last.kind == "formula" and not self.opening and len(last.shown) < 3:
            last.shown.append(str(math))
            return
        few = before is not None and len(before.get_text()) <= LEAD
        self.add([str(before), str(math)] if few else [str(math)], "formula")

    def code(self, cell: Tag, classes: set[str]) -> None:
        """Show short code with what it prints; of other code the notes have the output."""
        source, printed = cell.select_one(".cell_input pre"), cell.select(".output pre")
        if "tag_slide" in classes or (
            not classes & {"tag_hide-input", "tag_hide-cell", "tag_skip-slide"}
            and source is not None
            and printed
            and self.heading != self.slides[0].title  # what comes before the first figure is preparation
            and len(source.get_text().strip().splitlines()) <= SHORT
            and not source.get_text().lstrip().startswith("print")  # which reports on what was shown before
        ):
            outputs = "".join(f'<div class="printed">{block}</div>' for block in printed)
            self.add([f'<div class="highlight code">{source}</div>', outputs], "code")
        elif printed:
            notes = self.waiting if self.opening else self.slides[-1].notes
            notes += ["<p>Printed:</p>", *map(str, printed)]

    def quiz(self, quiz: Tag) -> None:
        """Ask a question of the quiz; a step later the right answer is marked and its reason given."""
        answers = quiz.find_all("details", recursive=False)
        rows, reason = [], ""
        for details in answers:
            details.extract()
            right, words = "right" in details["class"], summary(details)
            rows.append(f'<li{" class=right" if right else ""}>{words}</li>')
            if right:
                reason = f'<div class="fragment answer">{inner(details)}</div>'
            else:
                self.waiting.append(f"<p><em>{words}</em></p>{said(details)}")
        self.add([f'<div class="question">{inner(quiz)}</div>', f"<ol>{''.join(rows)}</ol>", reason], "quiz")

    def exercises(self, section: Tag) -> None:
        """Name the exercises; their texts are notes."""
        rows = []
        for exercise in section.select(".exercise"):
            title = exercise.select_one(".admonition-title")
            words = title.get_text(" ", strip=True)
            stars = re.search("★+", exercise.get_text())
            name = re.sub(r"^(Exercise [\d.]+)\s*\((.*)\)$", r"\1. \2", words, flags=re.S).replace("★", "").strip()
            rows.append(f"<li>{name}{' ' + stars[0] if stars else ''}</li>")
            self.waiting.append(said(exercise))
        self.add([f'<ul>{"".join(rows)}</ul>', "<p>Each is in the chapter, with a hint and a solution.</p>"], "list")


def _clean(article: Tag) -> None:
    for element in article.select(".headerlink, .copybtn, script:not(.ntk-slider script, .ntk-explorer script)"):
        element.extract()
    for element in article.select(".proof section, .exercise section"):
        element.name = "div"  # to reveal.js every section is a slide
    for element in article.select("[id]"):
        if element.name != "section" and not INTERACTIVE & {c for e in (element, *element.parents) for c in e.get("class", ())}:
            del element["id"]


def _relink(slides: BeautifulSoup, page: str) -> None:
    """Let links lead where they led from the chapter's page, which lies as deep."""
    folder, name = page.rsplit("/", 1)
    for link in slides.select("a[href]"):
        if link["href"].startswith("#"):
            link["href"] = f"../../{folder}/{name}.html{link['href']}"
        elif not urlsplit(link["href"]).scheme and not link["href"].startswith("../../"):
            link["href"] = f"../../{folder}/{link['href']}"


def cut(built: str, page: str) -> str:
    """Return the deck of a chapter from its built page."""
    article = BeautifulSoup(built, "html.parser").select_one("article.bd-article > section")
    _clean(article)
    title = article.h1.get_text().strip()
    made = Cut(article).slides
    home = f'<p class="book"><a href="../../{page}.html">The chapter, with its code</a></p>'
    made[0].shown.append(home)
    slides = BeautifulSoup("\n".join(slide.html for slide in made), "html.parser")
    _relink(slides, page)
    for image in slides.select("img"):
        image.attrs.pop("loading", None)
    styles = "\n".join(f'<link rel="stylesheet" href="../../_static/{name}">' for name in STYLES)
    return PAGE.format(title=html.escape(title), styles=styles, slides=slides)


def pages() -> Iterator[str]:
    """Yield the chapters' pages."""
    for paths in teach.parts().values():
        for path in paths:
            yield path.relative_to(teach.ROOT).with_suffix("").as_posix()


def _link(app, pagename, templatename, context, doctree) -> None:
    if pagename in set(pages()) and app.builder.name == "html":
        link = f'<a href="../../{deck(pagename)}">Slides of this chapter</a>.'
        context["body"] = READING.sub(rf"\1 {link}\2", context["body"], count=1)


def write(out: Path) -> None:
    """Write all decks into a built site, with reveal.js and its licence beside them."""
    target = out / "_static" / "reveal"
    target.mkdir(parents=True, exist_ok=True)
    with as_file(files("sphinx_revealjs") / "_static" / "revealjs") as reveal:
        for source in (*(reveal / "dist" / name for name in REVEAL), reveal / "plugin/notes/notes.js", reveal / "LICENSE"):
            shutil.copy(source, target / source.name)
    for page in pages():
        path = out / deck(page)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(cut((out / f"{page}.html").read_text(), page))


def _write(app, error) -> None:
    if error is None and app.builder.name == "html":
        write(Path(app.outdir))


def setup(app):
    """Register with Sphinx."""
    app.connect("html-page-context", _link, priority=950)
    app.connect("build-finished", _write, priority=950)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
