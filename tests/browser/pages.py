"""The built site, served on this machine and opened in the Chromium that is installed."""

from __future__ import annotations

import contextlib
import http.server
import importlib.resources
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Locator, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
REMEDY = f"No browser found (looked for {', '.join(BROWSERS)}). On Debian and Ubuntu: apt-get install chromium"
SIZES = {"wide": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
SCHEMES = ("light", "dark")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip
# Violations that the theme brings along: (rule, a part of the element's HTML).
UPSTREAM = [
    ("label-content-name-mismatch", "search-button"),
    ("label-content-name-mismatch", "theme-switch-button"),
]
ALIKE = "dl.py ~ dl.py ~ dl.py"  # entries of the API page: the first two of each section tell
# Of a text, and of what it stands on, from 0 to 255.
BRIGHTNESS = """text => {
  const mean = colour => { const [r, g, b] = colour.match(/[\\d.]+/g).map(Number); return (r + g + b) / 3; };
  let ground = text;
  while (getComputedStyle(ground).backgroundColor == 'rgba(0, 0, 0, 0)') ground = ground.parentElement;
  const style = getComputedStyle(text);
  return [mean(text.closest('svg') ? style.fill : style.color), mean(getComputedStyle(ground).backgroundColor)];
}"""


def executable() -> str | None:
    """Return the path of an installed Chromium or Chrome, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def all_pages() -> list[str]:
    """Return the site's pages that come from the book, as paths below its root."""
    return sorted(path.relative_to(SITE).as_posix() for path in (SITE / "book").rglob("*.html"))


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serve the site without a word about it."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, directory=str(SITE), **kwargs)

    def log_message(self, *args) -> None:
        pass


@contextlib.contextmanager
def served(handler: type[Quiet] = Quiet) -> Iterator[str]:
    """Serve the site; give its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def published(base: str) -> Iterator[str]:
    """Serve the site as GitHub Pages does: below the path of `base`, and 404.html for what is not there."""
    below = urlsplit(base).path

    class Published(Quiet):
        def translate_path(self, path: str) -> str:
            return super().translate_path("/" + path.removeprefix(below) if path.startswith(below) else "/outside")

        def send_error(self, code: int, *args) -> None:
            self.send_response(code)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write((SITE / "404.html").read_bytes())

    with served(Published) as address:
        yield address + below.lstrip("/")


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Start the browser."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable(), args=list(QUIET))
        yield chromium
        chromium.close()


def settle(page: Page) -> None:
    """Wait until formulas are set and pictures loaded."""
    page.evaluate("window.MathJax?.startup?.promise?.then(() => null)")
    page.evaluate(
        """Promise.all([...document.images].map(image => { image.loading = 'eager';
           return image.complete || new Promise(done => { image.onload = image.onerror = done; });
           })).then(() => null)"""
    )


def violations(page, rules: dict, parts: str = "html") -> list[str]:
    """Return what axe-core finds wrong with parts of a page by some rules, without what the theme brings along.

    Formulas are left out, since most of the time would go into them: their colours are looked at apart. So are API
    entries that are made alike.
    """
    page.evaluate(importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text())
    # Without preload: it would fetch style sheets from wrong addresses.
    context = {"include": [parts], "exclude": ["mjx-container", ALIKE]}
    found = page.evaluate("([context, rules]) => axe.run(context, rules)", [context, {"preload": False, **rules}])
    return [
        f"{v['id']}: {node['html'][:300]}"
        for v in found["violations"]
        for node in v["nodes"]
        if not any(v["id"] == rule and part in node["html"] for rule, part in UPSTREAM)
    ]


def sheet(path: Path, *pictures) -> Path:
    """Write a page with pictures as a notebook's outputs are."""
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Pictures</title>'
    body = "".join(picture.html for picture in pictures)
    path.write_text(f'<!doctype html><html lang="en"><head>{head}</head><body><main>{body}</main></body></html>')
    return path


@contextlib.contextmanager
def opener(browser: Browser, path: Path) -> Iterator[Callable[..., Page]]:
    """A function that opens the file at `path`, each time in a context of its own; pages remember what went wrong."""
    contexts = []

    def open_file(**options) -> Page:
        contexts.append(browser.new_context(**{"viewport": SIZES["wide"]} | options))
        page = contexts[-1].new_page()
        page.problems, page.asked = [], []
        page.on("console", lambda m: page.problems.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("request", lambda r: page.asked.append(r.url))
        page.goto(path.as_uri())
        return page

    yield open_file
    for context in contexts:
        context.close()


def pictures(browser: Browser, scheme: str, kind: str) -> Iterator[tuple[Page, Locator]]:
    """Each element of class `kind` on the built site, on its page in that scheme of colours; a script's error fails."""
    assert (SITE / "index.html").exists(), "There is no built site to look at: run `make book` first"
    found = [path for path in all_pages() if f'class="{kind}"' in (SITE / path).read_text()]
    assert found, f"no page has a picture of class {kind}"
    with served() as address:
        for path in found:
            page, problems = browser.new_page(viewport=SIZES["wide"], color_scheme=scheme), []
            page.on("pageerror", lambda error, problems=problems: problems.append(str(error)))
            page.goto(address + path, wait_until="domcontentloaded")
            page.wait_for_function("scheme => document.documentElement.dataset.theme == scheme", arg=scheme)
            for picture in page.locator(f".{kind}").all():
                yield page, picture
                assert problems == [], f"{path}: {problems}"
            page.close()


def assert_readable(text: Locator, scheme: str) -> None:
    """Light on dark, or dark on light."""
    ink, ground = text.evaluate(BRIGHTNESS)
    assert (ink > 170 > 85 > ground) if scheme == "dark" else (ink < 85 < 170 < ground), (ink, ground)
