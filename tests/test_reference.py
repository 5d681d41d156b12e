"""Every entry of kernels.json, outputs of neural-tangents 0.6.5, to 1e-7 relative."""

import json
import math
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import outputs, relative_error

import ntk_tutorial as ntk

FILE = Path(
    os.environ.get("NTK_TUTORIAL_REFERENCE", Path(__file__).parents[2] / "shared" / "reference" / "kernels.json")
)
REFERENCE = (
    json.loads(FILE.read_text())
    if FILE.exists()
    else {"infinite": {}, "predict": {"gradient_descent_mse": [], "ensemble": []}}
)
TOLERANCE = {"fc_tanh_numeric": 3e-3}  # its own quadrature is that coarse
pytestmark = pytest.mark.skipif(
    not FILE.exists(), reason=f"no {FILE.name}: set NTK_TUTORIAL_REFERENCE to where it lies"
)

ACTIVATIONS = {
    "Relu": lambda e: ntk.relu,
    "Erf": lambda e: ntk.erf,
    "Gelu": lambda e: ntk.gelu,
    "Sin": lambda e: ntk.sin,
    "Abs": lambda e: ntk.abs,
    "Sign": lambda e: ntk.sign,
    "ABRelu": lambda e: ntk.abrelu(e["a"], e["b"]),
    "Exp": lambda e: ntk.exp(e["a"], e["b"]),
    "Gaussian": lambda e: ntk.gaussian(e["a"], e["b"]),
    "Rbf": lambda e: ntk.rbf(e["gamma"]),
    "Monomial": lambda e: ntk.monomial(e["degree"]),
    "Polynomial": lambda e: ntk.polynomial(*e["coef"]),
    "Hermite": lambda e: ntk.polynomial(
        *np.polynomial.hermite_e.herme2poly([0] * e["degree"] + [1]) / math.sqrt(math.factorial(e["degree"]))
    ),
    "ElementwiseNumericalTanh": lambda e: ntk.tanh,
}


def layer(entry):
    match entry["layer"]:
        case "Dense":
            return ntk.Dense(entry["out"], entry["W_std"], entry["b_std"], entry.get("parameterization", "ntk"))
        case "Conv":
            shapes = tuple(entry["filter"]), tuple(entry["strides"])
            return ntk.Conv(entry["out"], *shapes, entry["padding"], entry["W_std"], entry["b_std"])
        case "AvgPool":
            return ntk.AvgPool(tuple(entry["window"]), tuple(entry["strides"]), entry["padding"])
        case "GlobalSelfAttention":  # by default its weights are a softmax, whatever the note of the entry says
            sizes = [entry[f"n_{name}"] for name in ("chan_out", "chan_key", "chan_val", "heads")]
            stds = [entry[f"W_{name}_std"] for name in ("query", "key", "value", "out")]
            return ntk.SelfAttention(*sizes, *stds, entry["b_std"])
        case "ResidualSum":
            return ntk.Residual(network(entry["main"]), network(entry["shortcut"]))
        case "LayerNorm" | "Identity" | "Flatten" | "GlobalAvgPool" | "GlobalSumPool" as kind:
            return getattr(ntk, kind)()
        case kind:
            return ntk.Elementwise(ACTIVATIONS[kind](entry))


def network(entries):
    return ntk.Serial([layer(entry) for entry in entries])


def draws(seed, *shapes):
    generator = np.random.RandomState(seed)
    return [jnp.asarray(generator.standard_normal(shape)) for shape in shapes]


@pytest.mark.parametrize("name", REFERENCE["infinite"])
def test_infinite_kernels(name):
    entry = REFERENCE["infinite"][name]
    x1, x2 = (draws(*REFERENCE["inputs"][entry["input"]][x])[0] for x in ("x1", "x2"))
    net = network(entry["layers"])
    for which, kernel in (("ntk", ntk.infinite_ntk(net)), ("nngp", ntk.infinite_nngp(net))):
        got = ntk.gram(kernel, x1, jnp.concatenate([x1, x2]))
        expected = np.concatenate([entry["out"][f"{which}_{pair}"] for pair in ("11", "12")], axis=1)
        np.testing.assert_allclose(got, expected, rtol=TOLERANCE.get(name, 1e-7))


def test_all_entries_are_there():
    assert len(REFERENCE["infinite"]) == 27


@pytest.fixture
def finite():
    """The finite network's entry, the network, its parameters and a change of them, x1 and x2."""
    entry = REFERENCE["finite"]["fc"]

    def params(seed):
        leaves = iter(draws(seed, *entry["param_shapes"]))
        return tuple(
            {"w": next(leaves), "b": next(leaves).reshape(-1)} if e["layer"] == "Dense" else () for e in entry["layers"]
        )

    return entry, network(entry["layers"]), params(300), params(301), *(draws(*entry[x])[0] for x in ("x1", "x2"))


@pytest.mark.parametrize("engine", ["jacobian_contraction", "ntk_vector_products", "layerwise"])
def test_finite_kernel(finite, engine):
    entry, net, params, _, x1, x2 = finite
    kernel = getattr(ntk, engine)(net if engine == "layerwise" else net.apply, params)
    theta = ntk.gram(kernel, x1, x2)
    assert relative_error(theta, entry["ntk_full_12"]) < 1e-7
    assert relative_error(ntk.trace_outputs(theta), entry["ntk_trace_12"]) < 1e-7
    assert relative_error(jnp.einsum("ijaa->ija", theta), entry["ntk_diag_12"]) < 1e-7
    (v,) = draws(302, (len(x2), 3))
    assert relative_error(jnp.einsum("ijab,jb->ia", theta, v), entry["ntk_vp"]) < 1e-7


def test_finite_outputs_and_expansions(finite):
    entry, net, params, change, x1, x2 = finite
    assert relative_error(outputs(net.apply, params, x1), entry["f_x1"]) < 1e-7
    products = outputs(net.apply, params, x1) @ outputs(net.apply, params, x2).T / 3
    assert relative_error(products, entry["nngp_trace_12"]) < 1e-7
    new = jax.tree.map(lambda p, d: p + 0.1 * d, params, change)
    for name, f in (
        ("f_new_x1", net.apply),
        ("lin_x1", ntk.linearize(net.apply, params)),
        ("taylor2_x1", ntk.taylor_expand(net.apply, params, 2)),
        ("taylor3_x1", ntk.taylor_expand(net.apply, params, 3)),
    ):
        assert relative_error(outputs(f, new, x1), entry[name]) < 1e-7


@pytest.fixture
def setup():
    """Kernels and data of the predictions."""
    entry = REFERENCE["predict"]["setup"]
    arrays = {k: jnp.asarray(v) for k, v in entry.items() if k.startswith("k_")}
    return arrays | {k: draws(*v)[0] for k, v in entry.items() if k.startswith(("x_", "y_", "fx_"))}


def test_kernels_of_the_predictions(setup):
    net = network(REFERENCE["infinite"][REFERENCE["predict"]["setup"]["arch"]]["layers"])
    for which, kernel in (("ntk", ntk.infinite_ntk(net)), ("nngp", ntk.infinite_nngp(net))):
        for rows, columns in (("train", "train"), ("test", "train"), ("test", "test")):
            got = ntk.gram(kernel, setup[f"x_{rows}"], setup[f"x_{columns}"])
            np.testing.assert_allclose(got, setup[f"k_{rows}_{columns}_{which}"], rtol=1e-7)


def penalty(entry, kernel):
    return entry["diag_reg"] * (1 if entry.get("diag_reg_absolute_scale") else jnp.trace(kernel) / len(kernel))


@pytest.mark.parametrize("entry", REFERENCE["predict"]["gradient_descent_mse"], ids=lambda e: f"reg={e['diag_reg']}")
def test_predict(setup, entry):
    """Its loss is a mean over outputs too, so its t is ours over k; its ridge stands in Θ for training outputs."""
    theta, y = setup["k_train_train_ntk"], setup["y_train"]
    ridge = penalty(entry, theta)
    ts = jnp.append(jnp.asarray(entry["t"]) * entry["learning_rate"] / y.shape[1], math.inf)
    test = {"ntk_test_train": setup["k_test_train_ntk"], "f_test0": setup["fx_test_0"]}
    got = ntk.predict(theta, y, ts, f_train0=setup["fx_train_0"], ridge=ridge, **test).test
    assert relative_error(got, np.stack([*entry["fx_test_t"], entry["fx_test_inf"]])) < 1e-7
    got = ntk.predict(theta + ridge * jnp.eye(len(y)), y, ts, f_train0=setup["fx_train_0"]).train
    assert relative_error(got, np.stack([*entry["fx_train_t"], entry["fx_train_inf"]])) < 1e-7


@pytest.mark.parametrize("entry", REFERENCE["predict"]["ensemble"], ids=lambda e: f"reg={e['diag_reg']}")
@pytest.mark.parametrize("points", ["test", "train"])
@pytest.mark.parametrize("which", ["ntk", "nngp"])
def test_ensemble(setup, entry, points, which):
    """Its ridge stands in every kernel of training points; its NNGP entries are Gaussian processes with that noise."""
    y, kernels = setup["y_train"], {}
    for name in ("ntk", "nngp"):
        train = setup[f"k_train_train_{name}"]
        ridge = penalty(entry, train)
        kernels[name] = train, train + ridge * jnp.eye(len(y)), ridge
    theta, noisy_theta, ridge = kernels[which]
    nngp = kernels["nngp"][which == "nngp"]
    if points == "test":
        test = {"ntk_test_train": setup[f"k_test_train_{which}"], "nngp_test_train": setup["k_test_train_nngp"],
                "nngp_test": setup["k_test_test_nngp"]}  # fmt: skip
    else:
        theta, ridge = noisy_theta, 0.0
        test = {"ntk_test_train": theta, "nngp_test_train": nngp, "nngp_test": nngp}
    ts = jnp.asarray(entry["t"]) * entry["learning_rate"] / y.shape[1]
    prefix = "" if points == "test" else "train_"
    for at, suffix in ((ts, ""), (math.inf, "_inf")):
        if f"{prefix}{which}_mean{suffix}" in entry:
            got = ntk.predict_ensemble(theta, nngp, y, at, ridge=ridge, **test)
            assert relative_error(got.mean, entry[f"{prefix}{which}_mean{suffix}"]) < 1e-7
            assert relative_error(got.covariance, entry[f"{prefix}{which}_cov{suffix}"]) < 1e-7
