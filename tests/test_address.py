"""The repository's address has one home, pyproject.toml, and everything else follows from it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest

ROOT = Path(__file__).parents[1]
OTHER = "https://github.com/{}/{}".format("Some-One", "other.name")
sys.path.insert(0, str(ROOT / "tools"))
from address import files, forms  # noqa: E402
from nb import chapters  # noqa: E402
from setup_cell import repository, setup_cell  # noqa: E402

OURS = re.compile(
    r"(?:googl.+?/github/|git\+https://github\.com/)([\w-]+/[\w.-]*\w)|github\.com/([\w-]+/ntk[-_]tutorial)\b|([\w-]+\.github\.io/[\w.-]*\w)"
)


def addresses(path: Path) -> set[str]:
    """Return every address in a file that must be this repository's."""
    return {hit for hits in OURS.findall(path.read_text()) for hit in hits if hit}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the tree in which pyproject.toml names another repository, after `make address`."""
    root = tmp_path_factory.mktemp("copy")
    for path in files(ROOT):
        target = root / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    project = root / "pyproject.toml"
    project.write_text(project.read_text().replace(repository(ROOT), OTHER))
    subprocess.run([sys.executable, root / "tools" / "address.py"], check=True, capture_output=True)
    return root


def test_no_other_address_stands_in_the_tree():
    for path in files(ROOT):
        assert addresses(path) <= set(forms(repository(ROOT))), f"{path} names another repository: run `make address`"
    for name in ("README.md", "CITATION.cff", "_config.yml"):
        assert addresses(ROOT / name), f"{name} does not say where the repository is"


def test_one_change_changes_all(copy):
    for old, new in zip(forms(repository(ROOT)), forms(OTHER), strict=True):
        for path in files(ROOT):
            before, after = path.read_text(), (copy / path.relative_to(ROOT)).read_text()
            assert old not in after, path
            assert after.count(new) == before.count(old), path


def test_the_set_up_cell_follows(copy):
    assert f"git+{OTHER}@main" in setup_cell(copy)
    for text in filter(Path.exists, chapters(copy)):
        notebook = nbformat.read(text.with_suffix(".ipynb"), as_version=4)
        for cells in (jupytext.read(text).cells, notebook.cells):
            assert next(cell.source for cell in cells if cell.cell_type == "code") == setup_cell(copy), text


def test_colab_links_and_badges_follow(copy):
    readme, ours = (copy / "README.md").read_text(), forms(OTHER)[0]
    links = re.findall(r"https://colab\.research\.google\.com/github/([^)]+)", readme)
    here = [text.relative_to(copy).with_suffix(".ipynb") for text in chapters(copy) if text.exists()]
    assert sorted(links) == sorted(f"{ours}/blob/main/{notebook}" for notebook in here)
    badges = re.findall(r"https://github\.com/\S+?/badge\.svg", readme)
    assert badges and all(badge.startswith(f"{OTHER}/") for badge in badges)


def test_no_file_that_is_not_rewritten_has_the_address():
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    others = {ROOT / name for name in names.split("\0") if name} - set(files(ROOT))
    for path in filter(Path.is_file, others):
        assert not any(form.encode() in path.read_bytes() for form in forms(repository(ROOT))), path


def test_a_wrong_address_is_refused():
    with pytest.raises(SystemExit, match="OWNER/NAME"):
        forms("https://example.org/x")
