"""This package's side: a function for each kind of workload, from inputs to a call without arguments."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from workloads import B_STD, W_STD, Arrays

import ntk_tutorial as ntk

Call = Callable[[], Any]
SCALES = {"w_std": W_STD, "b_std": B_STD}


def infinite_fc(arrays: Arrays, n, dim, depth, activation) -> Call:
    pair = ntk.infinite_ntk(ntk.mlp(1, depth, 1, getattr(ntk, activation), **SCALES))
    x = jnp.asarray(arrays["x"])
    return lambda: ntk.gram(pair, x)


def infinite_conv(arrays: Arrays, n, side, channels, depth, top) -> Call:
    pair = ntk.infinite_ntk(ntk.cnn(1, depth, 1, ntk.relu, pooling=top == "pool", **SCALES))
    x = jnp.asarray(arrays["x"])
    return lambda: ntk.gram(pair, x)


def finite_fc(arrays: Arrays, n, dim, width, depth, outputs) -> Call:
    return _finite(ntk.mlp(width, depth, outputs, ntk.relu, **SCALES), arrays)


def finite_cnn(arrays: Arrays, n, side, channels, width, depth, outputs) -> Call:
    return _finite(ntk.cnn(width, depth, outputs, ntk.relu, **SCALES), arrays)


def _finite(net: ntk.Serial, arrays: Arrays) -> Call:
    x = jnp.asarray(arrays["x"])
    template = jax.eval_shape(lambda key: net.init(key, x.shape[1:])[0], jax.random.key(0))
    number = itertools.count()

    def fill(layer):
        i = next(number)
        return {"w": jnp.asarray(arrays[f"w{i}"]), "b": jnp.asarray(arrays[f"b{i}"])}

    params = tuple(fill(layer) if layer else layer for layer in template)
    pair = ntk.empirical_ntk(net.apply, params)
    return lambda: ntk.gram(pair, x)


def ensemble(arrays: Arrays, n, m, outputs, times) -> Call:
    a = {name: jnp.asarray(array) for name, array in arrays.items()}
    kernels = {name: a[name] for name in ("ntk_test_train", "nngp_test_train", "nngp_test")}
    return lambda: tuple(ntk.predict_ensemble(a["ntk_train"], a["nngp_train"], a["y"], a["ts"], **kernels))


def mean(arrays: Arrays, n, m, outputs, times) -> Call:
    a = {name: jnp.asarray(array) for name, array in arrays.items()}
    kernels = itertools.cycle([a["ntk_train"], a["ntk_train"] + 1e-6 * jnp.eye(n)])
    return lambda: tuple(ntk.predict(next(kernels), a["y"], a["ts"], ntk_test_train=a["ntk_test_train"]))
