"""Take a picture of every page, in light and dark, wide and on a phone: screenshots.py FOLDER [PAGE ...]."""

import sys
from pathlib import Path

import pages


def main() -> None:
    """Write FOLDER/PAGE-SCHEME-SIZE.png, with all <details> closed, and once opened."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    if pages.executable() is None:
        sys.exit(pages.REMEDY)
    wanted = sys.argv[2:] or pages.all_pages()
    with pages.served() as address, pages.browser() as browser:
        for scheme in pages.SCHEMES:
            for size, viewport in pages.SIZES.items():
                context = browser.new_context(viewport=viewport, color_scheme=scheme)
                for path in wanted:
                    page = context.new_page()
                    page.goto(address + path)
                    pages.settle(page)
                    if size == "phone":  # a phone shows the opened state too
                        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
                    name = path.removeprefix("book/").removesuffix(".html").replace("/", "-")
                    page.screenshot(path=folder / f"{name}-{scheme}-{size}.png", full_page=True)
                    page.close()
                context.close()
    print(f"{len(wanted) * 4} pictures in {folder}")


if __name__ == "__main__":
    main()
