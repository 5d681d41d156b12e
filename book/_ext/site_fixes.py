"""Repair what the theme stack puts into a page's HTML."""

from __future__ import annotations

import re


def _once(app, pagename, templatename, context, doctree) -> None:
    """Keep one of each script: Sphinx 7 repeats inline ones, and a second `const` is a JavaScript error."""
    seen: dict[tuple, object] = {}
    for script in context.get("script_files", ()):
        key = (str(getattr(script, "filename", script) or ""), repr(sorted(getattr(script, "attributes", {}).items())))
        seen.setdefault(key, script)
    context["script_files"] = list(seen.values())


def _signature(found: re.Match) -> str:
    """Write a signature's parameters, one a line, as spans: a definition list in a term is not valid."""
    opened = found[0].replace("<dl>", '<span class="sig-params">').replace("<dd>", '<span class="sig-line">')
    return opened.replace("</dl>", "</span>").replace("</dd>", "</span>").replace("jaxlib._jax.Array", "Array")


def _accessible(app, pagename, templatename, context, doctree) -> None:
    """Mend what makes a page hard to use without a mouse or by a screen reader."""
    body = context.get("body", "")
    body = re.sub(r'<dt class="sig .*?</dt>', _signature, body, flags=re.S)
    body = body.replace(' role="doc-biblioentry"', "").replace('<div role="list" class="citation-list">', "<div>")
    body = body.replace(
        '<div class="math notranslate nohighlight"', '<div class="math notranslate nohighlight" tabindex="0"'
    )
    if body:
        context["body"] = body


def setup(app):
    """Register with Sphinx."""
    app.connect("html-page-context", _once, priority=900)
    app.connect("html-page-context", _accessible, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
