"""Write the repository's address, whose one home is pyproject.toml, into every file that shows it.

The address that the files show so far is read from _config.yml. `OWNER/NAME` (GitHub, Colab, badges)
and the address of the site on GitHub Pages are replaced, then the notebooks are written as tools/nb.py does.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat
import yaml
from nb import clean
from setup_cell import repository

GITHUB = "https://github.com/"
SUFFIXES = {".cff", ".ipynb", ".md", ".py", ".toml", ".yaml", ".yml"}


def files(root: Path) -> list[Path]:
    """Return the project's text files: what git tracks or would track."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.split("\0")
    return sorted({root / name for name in names if Path(name).suffix in SUFFIXES and (root / name).is_file()})


def forms(address: str) -> tuple[str, str]:
    """Return what an address looks like inside a text: OWNER/NAME, and its GitHub Pages."""
    owner, _, name = address.removeprefix(GITHUB).rstrip("/").partition("/")
    if not address.startswith(GITHUB) or not owner or not name or "/" in name:
        sys.exit(f"pyproject.toml, [project.urls] Repository: wanted {GITHUB}OWNER/NAME, found {address}")
    return f"{owner}/{name}", f"{owner.lower()}.github.io/{name}"


def rewrite(root: Path) -> list[Path]:
    """Bring every file to the address in pyproject.toml; return those that changed."""
    new = forms(repository(root))
    old = forms(yaml.safe_load((root / "_config.yml").read_text())["repository"]["url"])
    changed = []
    for path in files(root) if new != old else []:
        text = path.read_text()
        replaced = text.replace(old[1], new[1]).replace(old[0], new[0])
        if replaced == text:
            continue
        path.write_text(replaced)
        changed.append(path)
        if path.suffix == ".ipynb":  # the cells' ids follow from their sources
            notebook = nbformat.read(path, as_version=4)
            clean(notebook)
            nbformat.write(notebook, path)
    return changed


if __name__ == "__main__":
    for path in rewrite(Path(__file__).resolve().parents[1]):
        print(path)
