"""A chapter and an assignment as Colab runs them: Colab's versions, only the notebooks, their first cells unchanged."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import otter.assign  # noqa: F401  here, where a warning of what it imports is not yet an error
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from nb import chapters  # noqa: E402
from setup_cell import repository  # noqa: E402

from assignments import derive, sources  # noqa: E402

VERSIONS = Path(__file__).with_name("versions.txt")
KEPT = ("jax", "jaxlib", "numpy")
NO_NETWORK = ("error sending request", "dns error", "Failed to fetch", "Connection refused", "timed out")


def colab_python() -> str:
    """Return a Python 3.13 if the machine has a working one, as Colab does, else the one that runs the tests."""
    path = shutil.which("python3.13")
    works = path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0
    return path if works else sys.executable


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def published(tmp_path) -> Path:
    """A repository whose branch main holds the working tree."""
    root = tmp_path / "repository"
    for name in git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0"):
        if name and (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=The working tree")
    return root


@pytest.fixture
def colab(tmp_path) -> Path:
    """The bin folder of an environment with Colab's versions."""
    env = tmp_path / "colab"
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", "--python", colab_python(), env], check=True, capture_output=True)
    command = [uv, "pip", "install", "--quiet", "--python", env / "bin" / "python", "--requirement", VERSIONS]
    done = subprocess.run(command, capture_output=True, text=True)
    if any(sign in done.stderr for sign in NO_NETWORK):
        pytest.skip("Colab's versions cannot be installed: the package index is not reachable from here")
    assert done.returncode == 0, done.stderr
    return env / "bin"


def freeze(colab: Path) -> set[str]:
    done = subprocess.run([colab / "python", "-m", "pip", "freeze"], check=True, capture_output=True, text=True)
    return set(done.stdout.split("\n"))


@pytest.mark.colab
def test_the_first_chapter_and_an_assignment_run_on_colab(published, colab, tmp_path):
    """The assignment with its solution: the cells with `grader.check` run the tests that students see."""
    chapter = chapters(ROOT)[0].with_suffix(".ipynb")
    solution = derive(sources(["linearization"])[0], tmp_path) / "linearization-solution.ipynb"
    folder = tmp_path / "content"
    folder.mkdir()
    for notebook in (chapter, solution):
        shutil.copy(notebook, folder)
    foreign = ("PYTHONPATH", "VIRTUAL_ENV", "JAX_ENABLE_X64", "JAX_COMPILATION_CACHE_DIR")  # no other test has this jax
    env = {k: v for k, v in os.environ.items() if k not in foreign}
    env |= {  # git takes the working tree where it is asked for the published repository
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{published.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": repository(ROOT),
        "JAX_PLATFORMS": "cpu",
        "PATH": f"{colab}{os.pathsep}{os.environ['PATH']}",
    }
    before = freeze(colab)
    command = [colab / "jupyter-execute", "--inplace", chapter.name, solution.name]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-5000:]
    after = freeze(colab)
    assert before <= after, f"The set-up cell replaced {sorted(before - after)}"
    assert any("ntk-tutorial" in line or "ntk_tutorial" in line for line in after - before)
    assert {line.split("==")[0] for line in before} >= set(KEPT)
    assert (folder / solution.name).read_text().count("All test cases passed!") == 5
