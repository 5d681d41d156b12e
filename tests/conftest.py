"""The package is tested in float64, without silent broadcasting, on several CPU devices, its annotations checked."""

import jax
import jaxtyping
import matplotlib
import pytest

# Not by environment variables: the notebooks' kernels, which other tests start, would inherit those.
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
# Nearly all of the time goes into compiling small programs: with the flags in ../conftest.py, this cuts it to a third.
jax.config.update("jax_disable_most_optimizations", True)
jax.config.update("jax_default_prng_impl", "unsafe_rbg")
matplotlib.use("Agg")

with jaxtyping.install_import_hook("ntk_tutorial", "beartype.beartype"):
    import ntk_tutorial  # noqa: F401  before any test does


def pytest_itemcollected(item):
    """Any warning is an error in the tests of the package, those that use its cases; but see ../conftest.py."""
    if hasattr(item, "module"):
        item.add_marker(pytest.mark.filterwarnings("error", "ignore:Error reading persistent compilation cache"))


@pytest.fixture
def unannotated():
    """The package as its users have it: no annotation is checked, so that its own checks speak."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def float32():
    """JAX as it starts up, without float64."""
    with jax.enable_x64(False):
        yield
