"""Run chapters: text (.py) to executed notebook (.ipynb) that differs only where the content does.

python tools/nb.py                    all chapters of _toc.yml
python tools/nb.py taylor_expansion   one of them; linearization/taylor_expansion and a path do as well
"""

from __future__ import annotations

import base64
import hashlib
import sys
import time
from pathlib import Path

import jupytext
import nbformat
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from setup_cell import setup_cell

ROOT = Path(__file__).resolve().parents[1]
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
    "accelerator": "GPU",  # what Colab offers when the notebook is opened there
    "colab": {"provenance": []},
}
PICTURES = {"fig-tangent-kernel-surprise": "book/_static/overview.png"}  # figures shown outside of their chapter
CELL_METADATA = ("tags", "mystnb", "cellView", "jupyter")  # the rest is editors' state; the last two hide a cell's code


def chapters(root: Path = ROOT) -> list[Path]:
    """Return the chapters' texts, in the order of _toc.yml: every entry in a part's folder that is not a plain page."""
    toc = yaml.safe_load((root / "_toc.yml").read_text())
    files = [entry["file"] for part in toc["parts"] for entry in part["chapters"]]
    inside = [root / f"{file}.py" for file in files if Path(file).parent != Path("book")]
    return [text for text in inside if not text.with_suffix(".md").exists()]


def find(name: str) -> Path:
    """Return the text of the chapter called `name`; exit with the names there are if none is."""
    known = chapters()
    if Path(name).suffix in (".py", ".ipynb") and Path(name).with_suffix(".py").exists():
        return Path(name).with_suffix(".py").resolve()
    for text in known:
        if name in (text.stem, f"{text.parent.name}/{text.stem}"):
            return text
    sys.exit(f"No chapter {name!r}. _toc.yml has: " + ", ".join(text.stem for text in known))


def clean(nb) -> None:
    """Give cells ids that depend on their source alone, and drop what changes from run to run."""
    seen: dict[str, int] = {}
    for cell in nb.cells:
        digest = hashlib.sha1(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
        seen[digest] = seen.get(digest, 0) + 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        cell.metadata = nbformat.from_dict({k: cell.metadata[k] for k in CELL_METADATA if k in cell.metadata})
        for output in cell.get("outputs", ()):
            output.pop("transient", None)
    nb.metadata = nbformat.from_dict(METADATA | {k: nb.metadata[k] for k in ("otter",) if k in nb.metadata})
    nb.nbformat, nb.nbformat_minor = 4, 5


def pictures(nb) -> dict[str, bytes]:
    """Return the PNG of each figure that is shown elsewhere too, by the path it has there."""
    found = {}
    for cell in nb.cells:
        name = cell.metadata.get("mystnb", {}).get("figure", {}).get("name")
        if name in PICTURES:
            image = next(o.data["image/png"] for o in cell.outputs if "image/png" in o.get("data", {}))
            found[PICTURES[name]] = base64.b64decode(image)
    return found


def run(text: Path) -> float:
    """Execute `text`, write the notebook beside it, return the seconds it took."""
    nb = jupytext.read(text)
    first = next((cell for cell in nb.cells if cell.cell_type == "code"), None)
    if first is None or first.source != setup_cell():
        sys.exit(f"{text}: the first code cell must be the set-up cell; `python tools/setup_cell.py` prints it.")
    start = time.perf_counter()
    client = NotebookClient(
        nb, timeout=300, kernel_name="python3", record_timing=False, coalesce_streams=True,
        resources={"metadata": {"path": str(text.parent)}},
    )  # fmt: skip
    try:
        client.execute()
    except CellExecutionError as error:
        sys.exit(f"{text}: a cell failed; the stored notebook was left as it was.\n{error}")
    clean(nb)
    nbformat.validate(nb)
    nbformat.write(nb, text.with_suffix(".ipynb"))
    for path, image in pictures(nb).items():
        (ROOT / path).write_bytes(image)
    return time.perf_counter() - start


def main() -> None:
    """Run the chapters named on the command line, or all."""
    texts = [find(name) for name in sys.argv[1:]] or chapters()
    for text in texts:
        if not text.exists():
            sys.exit(f"{text} is listed in _toc.yml but is not there.")
        print(f"{text.relative_to(ROOT) if text.is_relative_to(ROOT) else text}: {run(text):.0f} s", flush=True)


if __name__ == "__main__":
    main()
