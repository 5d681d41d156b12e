"""The side of neural-tangents, by its best method; the same functions as in `ours.py`."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import neural_tangents as nt
from neural_tangents import stax
from workloads import B_STD, W_STD, Arrays

Call = Callable[[], Any]
SCALES = {"W_std": W_STD, "b_std": B_STD}
STRUCTURED = nt.NtkImplementation.STRUCTURED_DERIVATIVES
CONTRACTION = nt.NtkImplementation.JACOBIAN_CONTRACTION


def infinite_fc(arrays: Arrays, n, dim, depth, activation) -> Call:
    phi = {"relu": stax.Relu, "erf": stax.Erf}[activation]
    return _infinite([*[stax.Dense(1, **SCALES), phi()] * depth, stax.Dense(1, **SCALES)], arrays)


def infinite_conv(arrays: Arrays, n, side, channels, depth, top) -> Call:
    convs = [stax.Conv(1, (3, 3), padding="SAME", **SCALES), stax.Relu()] * depth
    tops = {"pool": stax.GlobalAvgPool, "flatten": stax.Flatten}
    return _infinite([*convs, tops[top](), stax.Dense(1, **SCALES)], arrays)


def _infinite(layers, arrays: Arrays) -> Call:
    *_, kernel_fn = stax.serial(*layers)
    kernel, x = jax.jit(lambda x: kernel_fn(x, None, "ntk")), jnp.asarray(arrays["x"])
    return lambda: kernel(x)


def finite_fc(arrays: Arrays, n, dim, width, depth, outputs) -> Call:
    layers = [*[stax.Dense(width, **SCALES), stax.Relu()] * depth, stax.Dense(outputs, **SCALES)]
    return _finite(layers, arrays, STRUCTURED)


def finite_cnn(arrays: Arrays, n, side, channels, width, depth, outputs) -> Call:
    convs = [stax.Conv(width, (3, 3), padding="SAME", **SCALES), stax.Relu()] * depth
    return _finite([*convs, stax.GlobalAvgPool(), stax.Dense(outputs, **SCALES)], arrays, CONTRACTION)


def _finite(layers, arrays: Arrays, implementation) -> Call:
    init, apply, _ = stax.serial(*layers)
    x = jnp.asarray(arrays["x"])
    template = jax.eval_shape(lambda key: init(key, x.shape)[1], jax.random.PRNGKey(0))
    leaves, structure = jax.tree_util.tree_flatten(template)
    given = [jnp.asarray(arrays[f"{name}{i}"]) for i in range(len(leaves) // 2) for name in "wb"]
    params = structure.unflatten([a.reshape(leaf.shape) for a, leaf in zip(given, leaves)])  # noqa: B905
    kernel_fn = nt.empirical_ntk_fn(apply, trace_axes=(), vmap_axes=0, implementation=implementation)
    kernel = jax.jit(lambda x, params: kernel_fn(x, None, params))
    return lambda: kernel(x, params)


class Kernels(NamedTuple):
    """What `gradient_descent_mse_ensemble` asks of a kernel function."""

    nngp: Any
    ntk: Any


def ensemble(arrays: Arrays, n, m, outputs, times) -> Call:
    """Its loss is the mean over all entries, ours over examples: a moment t of ours is `outputs` times t there."""
    a = {name: jnp.asarray(array) for name, array in arrays.items()}

    def kernel_fn(x1, x2, get):
        if x2 is not None:
            kernels = Kernels(a["nngp_test_train"], a["ntk_test_train"])
        elif len(x1) == n:
            kernels = Kernels(a["nngp_train"], a["ntk_train"])
        else:
            kernels = Kernels(a["nngp_test"], None)
        return getattr(kernels, get) if isinstance(get, str) else kernels

    def predict():
        predict_fn = nt.predict.gradient_descent_mse_ensemble(
            kernel_fn, jnp.zeros((n, 1)), a["y"], learning_rate=outputs
        )
        return tuple(predict_fn(a["ts"], jnp.zeros((m, 1)), "ntk", compute_cov=True))

    return predict


def mean(arrays: Arrays, n, m, outputs, times) -> Call:
    """The time scale as for `ensemble`."""
    a = {name: jnp.asarray(array) for name, array in arrays.items()}
    kernels = itertools.cycle([a["ntk_train"], a["ntk_train"] + 1e-6 * jnp.eye(n)])
    start = jnp.zeros((n, outputs)), jnp.zeros((m, outputs))

    def predict():
        predict_fn = nt.predict.gradient_descent_mse(next(kernels), a["y"], learning_rate=outputs)
        return predict_fn(a["ts"], *start, a["ntk_test_train"])

    return predict
