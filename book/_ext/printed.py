"""Make a book for paper of pages for a screen, where the builder is LaTeX's; the site is left as it is.

LaTeX drops raw HTML, and would leave what stands between `<details>` and `</details>` as loose paragraphs. Here the
answers to predictions, the reasons of a quiz, hints and solutions move to a section at the end of their chapter; what is
for teachers goes, since the lesson plans repeat it. Sections, equations, figures and exercises keep the site's numbers.
"""

from __future__ import annotations

import html
import re
from string import ascii_lowercase

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform

TOKEN = re.compile(r'<details class="(\w+)"><summary>(.*?)</summary>|</details>|<div class="quiz">', re.S)
SETUP = (
    "Each chapter is a notebook, and its code has been run. Its first cell, which is not printed, installs the package where "
    "it is missing and imports jax, jax.numpy as jnp, matplotlib.pyplot as plt and ntk_tutorial as ntk. What a reader of the "
    "site unfolds (answers, hints, solutions) stands at the end of each chapter. The site has pictures that move, and the "
    "reference of the package's functions: "
)
WIDE = 85  # characters: about a line of text
LEFT_OUT = {"book/api", "book/gallery", "book/changelog"}  # made for a screen: links to them lead to the site
LICENCE = "Code is under the Apache License 2.0, text and figures under CC BY 4.0."


def plain(words: str) -> str:
    """Return the words of a summary without its tags."""
    return html.unescape(re.sub(r"<[^>]+>", "", words)).strip()


def bold(words: str, *rest: nodes.Node) -> nodes.paragraph:
    """Return a paragraph that begins with words in bold."""
    return nodes.paragraph("", "", nodes.strong("", words), *rest)


def divide(table: nodes.table) -> None:
    """Give the columns of a table that is wider than a page the widths that their words need, and let it break."""
    rows = [[len(entry.astext()) for entry in row.findall(nodes.entry)] for row in table.findall(nodes.row)]
    longest = [max(column) for column in zip(*rows, strict=False)]
    if sum(longest) > WIDE:
        table["classes"] += ["colwidths-given", "longtable"]
        for spec, length in zip(table.findall(nodes.colspec), longest, strict=True):
            spec["colwidth"] = round(min(max(length, 12), 60) ** 0.5 * 10)


class Chapter:
    """One chapter: what is folded on the site, taken out and collected by kind."""

    def __init__(self, docname: str, top: nodes.section, numbers: dict[str, tuple]) -> None:
        self.docname, self.top, self.numbers = docname, top, numbers
        self.answers = {"Predictions": [], "Check yourself": [], "Exercises": []}
        self.question, self.letter, self.exercise = 0, 0, ""

    def unfold(self) -> None:
        """Take everything out of the text, and put it into a last section."""
        for parent in list(self.top.findall(nodes.section)):  # itself the first
            self._within(parent)
        kinds = {kind: found for kind, found in self.answers.items() if found}
        if kinds:
            section = nodes.section("", nodes.title("", "Answers"), ids=[f"{self.top['ids'][0]}-answers"])
            for kind, found in kinds.items():
                section += [nodes.rubric("", kind), *found]
            self.top += section

    def _within(self, parent: nodes.section) -> None:
        into, kept = None, []  # `into`: where nodes go that stand between <details> and </details>
        for child in list(parent.children):
            if isinstance(child, nodes.raw) and child["format"] == "html":
                for token in TOKEN.finditer(child.astext()):
                    into = self._turn(token, kept)
            elif into is not None:
                into.append(child)
            elif isinstance(child, nodes.container) and "tag_hide-cell" in child["classes"]:
                child["classes"].remove("tag_hide-cell")
                self.answers["Exercises"] += [bold(f"Solution of exercise {self.exercise}".strip()), child]
            else:
                kept += [*self._exercise_label(child), child]
        parent.children = []
        parent.extend(kept)

    def _exercise_label(self, child: nodes.Node) -> list[nodes.Node]:
        """Return before an exercise what links from other chapters look for, with its number, which is kept in mind."""
        if type(child).__name__ != "exercise_enumerable_node":
            return []
        name = next(name for name in child["ids"] if name in self.numbers)
        self.exercise = ".".join(map(str, self.numbers[name]))
        label = rf"\phantomsection\expandafter\def\csname @currentlabel\endcsname{{{self.exercise}}}"
        return [nodes.raw("", rf"{label}\label{{\detokenize{{{self.docname}:{name}}}}}", format="latex")]

    def _turn(self, token: re.Match, kept: list[nodes.Node]) -> list[nodes.Node] | None:
        """Return where the nodes after this token go: to the answers, away (a list no one has), or nowhere."""
        kind, words = token[1], plain(token[2] or "")
        if token[0].startswith("<div"):
            self.question, self.letter = self.question + 1, 0
        if kind in ("right", "wrong"):
            letter, self.letter = ascii_lowercase[self.letter], self.letter + 1
            kept.append(nodes.paragraph("", f"({letter}) {words}"))
            self.answers["Check yourself"].append(bold(f"Question {self.question} ({letter}), {kind}: {words}"))
            return self.answers["Check yourself"]
        if kind == "answer":
            kept.append(bold(words, nodes.Text(" (The answer is at the end of the chapter.)")))
            self.answers["Predictions"].append(bold(words))
            return self.answers["Predictions"]
        if kind == "hint":
            self.answers["Exercises"].append(bold(f"Hint for exercise {self.exercise}"))
            return self.answers["Exercises"]
        return [] if kind else None


class Print(SphinxPostTransform):
    """Unfold all chapters, and make a preface of the landing page."""

    default_priority = 6  # after a cell's outputs are chosen, before references are resolved and hidden cells dropped
    builders = ("latex",)

    def run(self, **kwargs) -> None:
        """Change the whole book, which is one document."""
        for file in list(self.document.findall(addnodes.start_of_file)):
            if file["docname"] in LEFT_OUT:
                file.parent.remove(file)
                continue
            top = next((child for child in file.children if isinstance(child, nodes.section)), None)
            if top is not None:
                Chapter(file["docname"], top, self.env.toc_fignumbers.get(file["docname"], {}).get("exercise", {})).unfold()
                self._address(top, file["docname"])
        self._preface()
        for table in self.document.findall(nodes.table):
            divide(table)
        for raw in [raw for raw in self.document.findall(nodes.raw) if raw["format"] == "html"]:
            raw.replace_self(nodes.Text("; ") if raw.astext().startswith("<br") else [])

    def _address(self, top: nodes.section, docname: str) -> None:
        """Say under the title of a chapter with code where it runs."""
        if self.env.doc2path(docname).endswith(".ipynb"):
            url = f"{self.config.html_baseurl}{docname}.html"
            top.insert(1, nodes.paragraph("", "Run this chapter: ", nodes.reference("", url, refuri=url)))

    def _preface(self) -> None:
        """Keep title, first words and figure of the landing page, whose cards and lists a table of contents replaces."""
        top = next(child for child in self.document.children if isinstance(child, nodes.section))
        lead = next((p for p in top.findall(nodes.paragraph) if not isinstance(p.parent, addnodes.start_of_file)), None)
        files = [c for c in self.document.findall(nodes.compound) if "toctree-wrapper" in c["classes"] and "caption" in c]
        url = self.config.html_baseurl
        about = nodes.paragraph("", SETUP, nodes.reference("", url, refuri=url), nodes.Text(f". {LICENCE}"))
        title = top.children[0]
        top.children = []
        top.extend([title, *([lead.deepcopy()] if lead else []), about, *files])


class Outside(SphinxPostTransform):
    """Let references to pages that are not printed lead to the site."""

    default_priority = 500  # after references are resolved
    builders = ("latex",)

    def run(self, **kwargs) -> None:
        """Change the addresses of such references."""
        for reference in self.document.findall(nodes.reference):
            docname, _, place = reference.get("refuri", "").removeprefix("%").partition("#")
            if docname in LEFT_OUT:
                reference["refuri"] = f"{self.config.html_baseurl}{docname}.html" + f"#{place}" * bool(place)
                reference["internal"] = False


def setup(app):
    """Register with Sphinx."""
    app.add_post_transform(Print)
    app.add_post_transform(Outside)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
