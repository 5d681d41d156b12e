"""Fill the API page from the package: `<!-- api: gram -->` becomes the public names of that module.

A module's public names are what `ntk_tutorial` exports from it; of a module that is reached as a module
(`ntk_tutorial.datasets`), what it defines without a leading underscore. Docstrings are plain text with
code between single backticks: the characters that reStructuredText would take for markup are escaped.
"""

from __future__ import annotations

import importlib
import inspect
import re

from sphinx.pycode import ModuleAnalyzer

import ntk_tutorial

NAMESPACES = (
    "datasets",
    "interactive",
    "plotting",
    "regimes",
    "results",
)  # as ntk_tutorial.datasets.NAME, all else flat
MARK = re.compile(r"<!-- api: (\w+) -->")


def _home(value) -> str:
    """Return the name of the module in which a value is defined; for an instance, in which its class is."""
    return getattr(value, "__module__", None) or type(value).__module__


def public_names(module: str) -> list[str]:
    """Return the public names of `ntk_tutorial.MODULE`, as attributes of `ntk_tutorial`, in order of definition."""
    full = f"ntk_tutorial.{module}"
    defined = vars(importlib.import_module(full))
    flat = vars(ntk_tutorial)
    if module in NAMESPACES:
        own = [n for n, v in defined.items() if _home(v) == full and not n.startswith("_") and not inspect.ismodule(v)]
        return [f"{module}.{name}" for name in own]
    return [n for n, v in defined.items() if not n.startswith("_") and flat.get(n) is v and _home(v) == full]


def value_of(name: str):
    """Return the attribute of `ntk_tutorial` called `name`, which may have a dot."""
    value = ntk_tutorial
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _escape(line: str) -> str:
    """Write what stands between single backticks as code, and escape markup outside of it."""
    parts = re.split(r"((?<![:`])`[^`]+`(?!`)|:\w+:`[^`]+`|``[^`]+``)", line)
    escaped = [re.sub(r"[*|\\]|(?<=\w)_(?!\w)", r"\\\g<0>", part) for part in parts[::2]]
    code = [f"`{part}`" if part.startswith("`") and not part.startswith("``") else part for part in parts[1::2]]
    return "".join(text + quoted for text, quoted in zip(escaped, [*code, ""], strict=True))


def _entry(name: str) -> str:
    """Return the reStructuredText that documents one public name."""
    value, full = value_of(name), f"ntk_tutorial.{name}"
    if inspect.isclass(value):
        own = [n for n, v in vars(value).items() if not n.startswith("_") and getattr(v, "__doc__", None)]
        methods = [n for n in own if isinstance(vars(value)[n], property)
                   or (inspect.isroutine(vars(value)[n]) and _home(vars(value)[n]).startswith("ntk_tutorial"))]  # fmt: skip
        return f".. autoclass:: {full}\n" + (f"   :members: {', '.join(methods)}\n" if methods else "")
    if inspect.isroutine(value) or hasattr(value, "__wrapped__"):
        return f".. autofunction:: {full}\n"
    notes = ModuleAnalyzer.for_module(_home(value)).find_attr_docs().get(("", name), [])
    kind = type(value).__name__
    return f".. py:data:: {full}\n   :type: {kind}\n\n" + "".join(f"   {_escape(line)}\n" for line in notes)


def _fill(app, docname, source) -> None:
    """Replace the marks of the API page."""
    if docname == "book/api":
        source[0] = MARK.sub(
            lambda mark: "```{eval-rst}\n" + "\n".join(map(_entry, public_names(mark[1]))) + "```", source[0]
        )


def _plain(app, what, name, obj, options, lines) -> None:
    """Make a docstring's text mean what it says."""
    lines[:] = map(_escape, lines)


def setup(app):
    """Register with Sphinx."""
    app.connect("source-read", _fill)
    app.connect("autodoc-process-docstring", _plain, priority=400)  # before napoleon, which reads the sections
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
