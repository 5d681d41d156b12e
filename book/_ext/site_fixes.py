"""Repair what the theme stack puts into a page's HTML, and add what it leaves out."""

from __future__ import annotations

import re


def _once(app, pagename, templatename, context, doctree) -> None:
    """Keep one of each script: Sphinx 7 repeats inline ones, and a second `const` is a JavaScript error."""
    seen: dict[tuple, object] = {}
    for script in context.get("script_files", ()):
        key = (str(getattr(script, "filename", script)), repr(sorted(getattr(script, "attributes", {}).items())))
        seen.setdefault(key, script)
    context["script_files"] = list(seen.values())


def _named_regions(app, pagename, templatename, context, doctree) -> None:
    """Let the keyboard reach what scrolls sideways (wide formulas, tables)."""
    if "body" in context:
        context["body"] = re.sub(r'<div class="math notranslate nohighlight"', r'\g<0> tabindex="0"', context["body"])


def setup(app):
    """Register with Sphinx."""
    app.connect("html-page-context", _once, priority=900)
    app.connect("html-page-context", _named_regions, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
