"""Rewrite requirements.lock from pyproject.toml, and environment.yml from requirements.lock."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ("book", "course", "test")
LOCK_HEADER = "# Made by `make lock` from pyproject.toml and tools/lock-constraints.txt. Do not edit.\n"
ENVIRONMENT_HEADER = """\
# conda env create -f environment.yml && conda activate ntk-tutorial     (also read by Binder)
# Made by `make lock`. Python comes from conda-forge; everything else is the same wheels as
# requirements.lock, so that numbers and figures come out the same.
name: ntk-tutorial
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - pip
  - pip:
"""


def locked(root: Path = ROOT) -> dict[str, str]:
    """Return the versions in requirements.lock, by normalized name."""
    return dict(re.findall(r"^([a-z0-9._-]+)==([^\s;\\]+)", (root / "requirements.lock").read_text(), re.M))


def normalized(name: str) -> str:
    """Return a distribution's name as the lock writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def dependencies(root: Path = ROOT) -> dict[str, str]:
    """Return what pyproject.toml asks for: requirement by normalized name."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + [r for e in EXTRAS for r in project["optional-dependencies"][e]]
    return {normalized(re.match(r"[\w.-]+", line)[0]): line for line in lines}


def environment(root: Path = ROOT) -> str:
    """Return the text of environment.yml: everything in the lock that every machine installs."""
    lines = re.findall(r"^([a-z0-9._-]+==[^\s;\\]+)( ; [^\\\n]+)?", (root / "requirements.lock").read_text(), re.M)
    pins = [f"      - {pin}\n" if not marker else f'      - "{pin}{marker.rstrip()}"\n' for pin, marker in lines]
    return ENVIRONMENT_HEADER + "".join(pins) + "      - -e .\n"


def main() -> None:
    """Rewrite both files."""
    lock = ROOT / "requirements.lock"
    options = """--quiet --no-config --universal --python-version=3.11 --fork-strategy=fewest --generate-hashes
        --constraint=tools/lock-constraints.txt --no-emit-index-url --no-annotate --no-header"""
    extras = [f"--extra={extra}" for extra in EXTRAS]
    files = ["pyproject.toml", "--output-file=requirements.lock"]
    command = [Path(sys.executable).with_name("uv"), "pip", "compile", *options.split(), *extras, *files]
    subprocess.run(command, check=True, cwd=ROOT)
    lock.write_text(LOCK_HEADER + lock.read_text())
    (ROOT / "environment.yml").write_text(environment())


if __name__ == "__main__":
    main()
