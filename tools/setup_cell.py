"""The first code cell of every chapter: its one home. `make address` fills in the repository."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

TEMPLATE = """\
# Where the package is missing (Colab), install it and keep the jax that is there.
import importlib.metadata, importlib.util, subprocess, sys
SOURCE = "git+{address}@main"
if importlib.util.find_spec("ntk_tutorial") is None:
    keep = [f"{{name}}=={{importlib.metadata.version(name)}}" for name in ("jax", "jaxlib", "numpy")]
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", SOURCE, *keep], check=True)

import jax, jax.numpy as jnp, matplotlib.pyplot as plt
import ntk_tutorial as ntk
jax.config.update("jax_enable_x64", True)
plt.style.use("ntk_tutorial.ntk")"""


def repository(root: Path = ROOT) -> str:
    """Return the repository's address, whose one home is pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]["urls"]["Repository"]


def setup_cell(root: Path = ROOT) -> str:
    """Return the source of the set-up cell."""
    return TEMPLATE.format(address=repository(root))


if __name__ == "__main__":
    print(setup_cell())
