"""Against numbers that another library gave: neural-tangents 0.6.5 in float64.

The file with them is no part of this repository. `NTK_TUTORIAL_REFERENCE` names it; without it, these tests skip.
"""

import json
import math
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ntk_tutorial as ntk

FILE = Path(os.environ.get("NTK_TUTORIAL_REFERENCE", Path(__file__).parents[2] / "shared/reference/kernels.json"))
if not FILE.exists():
    pytest.skip(
        f"the reference kernels ({FILE.name}) are not on this machine: NTK_TUTORIAL_REFERENCE names the file",
        allow_module_level=True,
    )
REFERENCE = json.loads(FILE.read_text())
FULLY_CONNECTED = [name for name in REFERENCE["infinite"] if name.startswith("fc_")]
RTOL = {"fc_tanh_numeric": 3e-3}  # where neural-tangents' own quadrature is that far off

ACTIVATIONS = {
    "Relu": lambda _: ntk.relu,
    "Abs": lambda _: ntk.abs,
    "Sign": lambda _: ntk.sign,
    "Erf": lambda _: ntk.erf,
    "Gelu": lambda _: ntk.gelu,
    "Sin": lambda _: ntk.sin,
    "ElementwiseNumericalTanh": lambda _: ntk.tanh,
    "ABRelu": lambda word: ntk.abrelu(word["a"], word["b"]),
    "Exp": lambda word: ntk.exp(word["a"], word["b"]),
    "Gaussian": lambda word: ntk.gaussian(word["a"], word["b"]),
    "Rbf": lambda word: ntk.rbf(word["gamma"]),
    "Monomial": lambda word: ntk.monomial(word["degree"]),
    "Polynomial": lambda word: ntk.polynomial(*word["coef"]),
    "Hermite": lambda word: ntk.polynomial(*normalized_hermite(word["degree"])),
}


def normalized_hermite(degree):
    return np.polynomial.hermite_e.herme2poly([0] * degree + [1]) / math.sqrt(math.factorial(degree))


def layer(word):
    match word["layer"]:
        case "Dense":
            return ntk.Dense(
                word["out"],
                w_std=word["W_std"],
                b_std=word["b_std"],
                parameterization=word.get("parameterization", "ntk"),
            )
        case "LayerNorm":
            return ntk.LayerNorm()
        case "Identity":
            return ntk.Identity()
        case "ResidualSum":
            return ntk.Residual(network(word["main"]), network(word["shortcut"]))
        case name:
            return ntk.Elementwise(ACTIVATIONS[name](word))


def network(words):
    return ntk.Serial([layer(word) for word in words])


def drawn(seed_and_shape):
    seed, shape = seed_and_shape
    return jnp.asarray(np.random.RandomState(seed).standard_normal(shape))


def assert_close(got, expected, rtol=1e-7):
    """Relative to the largest entry of what is expected."""
    expected = np.asarray(expected)
    np.testing.assert_allclose(np.asarray(got), expected, rtol=0, atol=rtol * np.abs(expected).max())


@pytest.mark.parametrize("name", FULLY_CONNECTED)
@pytest.mark.parametrize("kernel", [ntk.infinite_nngp, ntk.infinite_ntk], ids=["nngp", "ntk"])
def test_infinite_width(name, kernel):
    entry, inputs = REFERENCE["infinite"][name], REFERENCE["inputs"]["fc"]
    x1, x2 = drawn(inputs["x1"]), drawn(inputs["x2"])
    pair, which = kernel(network(entry["layers"])), kernel.__name__.removeprefix("infinite_")
    for suffix, other in (("11", x1), ("12", x2)):
        np.testing.assert_allclose(  # entry by entry
            ntk.gram(pair, x1, other), entry["out"][f"{which}_{suffix}"], rtol=RTOL.get(name, 1e-7), atol=1e-12
        )


@pytest.fixture(scope="module")
def finite():
    """The finite network: its entry, the network, its parameters, and the same moved by the entry's delta."""
    entry = REFERENCE["finite"]["fc"]

    def params(seed, scale=1.0):
        state = np.random.RandomState(seed)
        arrays = iter([jnp.asarray(scale * state.standard_normal(shape)) for shape in entry["param_shapes"]])
        return tuple(
            {"w": next(arrays), "b": next(arrays).reshape(-1)} if word["layer"] == "Dense" else ()
            for word in entry["layers"]
        )

    params0 = params(300)
    return entry, network(entry["layers"]), params0, jax.tree.map(np.add, params0, params(301, 0.1))


ENGINES = {
    "jacobian_contraction": lambda net, params: ntk.jacobian_contraction(net.apply, params),
    "ntk_vector_products": lambda net, params: ntk.ntk_vector_products(net.apply, params),
    "layerwise": ntk.layerwise,
    "empirical_ntk": lambda net, params: ntk.empirical_ntk(net.apply, params),
}


@pytest.mark.parametrize("engine", ENGINES)
def test_finite_kernel(finite, engine):
    entry, net, params0, _ = finite
    x1, x2 = drawn(entry["x1"]), drawn(entry["x2"])
    theta = ntk.gram(ENGINES[engine](net, params0), x1, x2)
    assert_close(theta, entry["ntk_full_12"])
    assert_close(ntk.trace_outputs(theta), entry["ntk_trace_12"])
    assert_close(jnp.diagonal(theta, axis1=2, axis2=3), entry["ntk_diag_12"])
    v = np.random.RandomState(302).standard_normal((len(x2), theta.shape[-1]))
    assert_close((ntk.as_matrix(theta) @ v.reshape(-1)).reshape(len(x1), -1), entry["ntk_vp"])


def test_finite_outputs_and_expansions(finite):
    entry, net, params0, params = finite

    def outputs(f, params):
        return jax.vmap(f, (None, 0))(params, drawn(entry["x1"]))

    assert_close(outputs(net.apply, params0), entry["f_x1"])
    assert_close(outputs(net.apply, params), entry["f_new_x1"])
    assert_close(outputs(ntk.linearize(net.apply, params0), params), entry["lin_x1"])
    for order in (2, 3):
        assert_close(outputs(ntk.taylor_expand(net.apply, params0, order), params), entry[f"taylor{order}_x1"])


SETUP = REFERENCE["predict"]["setup"]
KERNELS = {name: jnp.asarray(SETUP[name]) for name in SETUP if name.startswith("k_")}
NTK, NNGP = KERNELS["k_train_train_ntk"], KERNELS["k_train_train_nngp"]


def test_kernels_of_the_setup():
    net = network(REFERENCE["infinite"][SETUP["arch"]]["layers"])
    train, test = drawn(SETUP["x_train"]), drawn(SETUP["x_test"])
    for kernel in (ntk.infinite_ntk, ntk.infinite_nngp):
        which = kernel.__name__.removeprefix("infinite_")
        assert_close(ntk.gram(kernel(net), train), KERNELS[f"k_train_train_{which}"])
        assert_close(ntk.gram(kernel(net), test, train), KERNELS[f"k_test_train_{which}"])
        assert_close(ntk.gram(kernel(net), test), KERNELS[f"k_test_test_{which}"])


def times(entry):
    """Its loss is a mean over all n·k entries, ours over n examples: the same moment is t / k."""
    return jnp.asarray(entry["t"]) * entry["learning_rate"] / SETUP["y_train"][1][1]


@pytest.mark.parametrize("entry", REFERENCE["predict"]["gradient_descent_mse"], ids=lambda e: f"ridge {e['diag_reg']}")
def test_predictions(entry):
    y, f_train0, f_test0 = (drawn(SETUP[name]) for name in ("y_train", "fx_train_0", "fx_test_0"))
    ridge = entry["diag_reg"] * (1.0 if entry["diag_reg_absolute_scale"] else jnp.trace(NTK) / len(NTK))
    known = {"f_train0": f_train0, "ntk_test_train": KERNELS["k_test_train_ntk"], "f_test0": f_test0}
    for ts, suffix in ((times(entry), "t"), (jnp.inf, "inf")):
        assert_close(ntk.predict(NTK, y, ts, ridge=ridge, **known).test, entry[f"fx_test_{suffix}"])
        # Its training outputs are those of the kernel Θ + ridge I, ours of Θ under a penalty.
        regularized = ntk.predict(NTK + ridge * jnp.eye(len(NTK)), y, ts, f_train0=f_train0)
        assert_close(regularized.train, entry[f"fx_train_{suffix}"])


@pytest.mark.parametrize("entry", REFERENCE["predict"]["ensemble"], ids=lambda e: f"ridge {e['diag_reg']}")
@pytest.mark.parametrize("which", ["ntk", "nngp"])
def test_ensembles(entry, which):
    y, kernel = drawn(SETUP["y_train"]), KERNELS[f"k_train_train_{which}"]
    ridge = entry["diag_reg"] * jnp.trace(kernel) / len(kernel)
    # Its NNGP posterior is Gaussian process regression on noisy labels: the noise adds to the covariance too.
    nngp_train = NNGP + ridge * jnp.eye(len(NNGP)) if which == "nngp" else NNGP
    test = {"nngp_test_train": KERNELS["k_test_train_nngp"], "nngp_test": KERNELS["k_test_test_nngp"]}
    for ts, suffix in ((times(entry), ""), (jnp.inf, "_inf")):
        got = ntk.predict_ensemble(
            kernel, nngp_train, y, ts, ntk_test_train=KERNELS[f"k_test_train_{which}"], ridge=ridge, **test
        )
        assert_close(got.mean, entry[f"{which}_mean{suffix}"])
        assert_close(got.covariance, entry[f"{which}_cov{suffix}"])
    if entry["diag_reg"] == 0:
        on_train = ntk.predict_ensemble(
            kernel, NNGP, y, times(entry), ntk_test_train=kernel, nngp_test_train=NNGP, nngp_test=NNGP
        )
        assert_close(on_train.mean, entry[f"train_{which}_mean"])
        assert_close(on_train.covariance, entry[f"train_{which}_cov"])
