"""The built site, served on this machine and opened in the Chromium that is installed."""

from __future__ import annotations

import contextlib
import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
REMEDY = f"No browser found (looked for {', '.join(BROWSERS)}). On Debian and Ubuntu: apt-get install chromium"
SIZES = {"wide": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
SCHEMES = ("light", "dark")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip


def executable() -> str | None:
    """Return the path of an installed Chromium or Chrome, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def all_pages() -> list[str]:
    """Return the site's pages that come from the book, as paths below its root."""
    return sorted(path.relative_to(SITE).as_posix() for path in (SITE / "book").rglob("*.html"))


@contextlib.contextmanager
def served() -> Iterator[str]:
    """Serve the site; give its address."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


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
