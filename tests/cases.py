"""One table of networks and one of activations: every law of the package is tested on all of them."""

import functools
import unittest.mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ntk_tutorial as ntk

NETWORKS = {  # name: (width -> network, shape of one example)
    "depth 0": (lambda width: ntk.mlp(width, 0, 2, ntk.relu, w_std=1.3), (3,)),
    "depth 0, bias": (lambda width: ntk.mlp(width, 0, 3, ntk.relu, b_std=0.4), (3,)),
    "depth 1": (lambda width: ntk.mlp(width, 1, 1, ntk.relu, w_std=1.5), (3,)),
    "depth 2, bias": (lambda width: ntk.mlp(width, 2, 3, ntk.erf, w_std=1.5, b_std=0.3), (3,)),
    "depth 3, bias": (lambda width: ntk.mlp(width, 3, 1, ntk.tanh, w_std=1.2, b_std=0.1), (3,)),
    "standard": (lambda width: ntk.mlp(width, 2, 2, ntk.erf, w_std=1.5, b_std=0.3, parameterization="standard"), (3,)),
    "layer norm": (
        lambda width: ntk.Serial([
            ntk.Dense(width, b_std=0.2), ntk.LayerNorm(), ntk.Elementwise(ntk.gelu), ntk.Dense(width), ntk.LayerNorm(),
            ntk.Elementwise(ntk.sin), ntk.Dense(2),
        ]),
        (3,),
    ),
    "residual": (
        lambda width: ntk.Serial([
            ntk.Dense(width, w_std=1.5, b_std=0.1),
            ntk.Residual(ntk.Serial([ntk.Elementwise(ntk.erf), ntk.Dense(width, b_std=0.2)])),
            ntk.Residual(ntk.Serial([ntk.Elementwise(ntk.softplus), ntk.Dense(width)]), shortcut=ntk.Dense(width)),
            ntk.Elementwise(ntk.tanh), ntk.Identity(), ntk.Dense(2),
        ]),
        (3,),
    ),
    "flattened image": (
        lambda width: ntk.Serial([ntk.Flatten(), ntk.mlp(width, 1, 2, ntk.sin, w_std=1.4, b_std=0.2)]),
        (2, 3, 1),
    ),
    "shared by positions": (
        lambda width: ntk.Serial([ntk.Dense(width, b_std=0.5), ntk.Elementwise(ntk.erf), ntk.Flatten(), ntk.Dense(2)]),
        (4, 2),
    ),
    "convolutions, flattened": (
        lambda width: ntk.cnn(width, 2, 2, ntk.erf, strides=(2, 1), pooling=False, w_std=1.4, b_std=0.3),
        (4, 3, 2),
    ),
    "convolutions, circular, pooled": (
        lambda width: ntk.cnn(
            width, 2, 1, ntk.gelu, filter_shape=(3,), padding="CIRCULAR", w_std=1.4, b_std=0.3,
            parameterization="standard",
        ),
        (5, 2),
    ),
    "local pooling": (
        lambda width: ntk.Serial([
            ntk.Conv(width, (2, 3), padding="VALID", w_std=1.3), ntk.Elementwise(ntk.sin),
            ntk.AvgPool((2, 2), strides=(1, 1), padding="SAME"), ntk.Conv(width, (1, 2), b_std=0.2),
            ntk.LayerNorm(axis=(0, -1)), ntk.Elementwise(ntk.erf), ntk.SumPool((1, 2)), ntk.Flatten(), ntk.Dense(2),
        ]),
        (3, 4, 2),
    ),
    "residual convolutions": (
        lambda width: ntk.resnet(width, (1, 1), 1, ntk.erf, filter_shape=(3,), w_std=1.2, b_std=0.1),
        (4, 2),
    ),
    "attention": (
        lambda width: ntk.Serial([
            ntk.Dense(width, b_std=0.2), ntk.Elementwise(ntk.erf),
            ntk.SelfAttention(width, 2 * width, width, 2, 1.5, 1.2, 1.1, 0.9, b_std=0.3),
            ntk.LayerNorm(axis=(0, 1)), ntk.Elementwise(ntk.sin), ntk.GlobalSumPool(), ntk.Dense(1),
        ]),
        (3, 2),
    ),
    "attention, standard": (
        lambda width: ntk.Serial([
            ntk.SelfAttention(width, width, width, 1, 0.9, 1.2, 1.1, 0.9, b_std=0.3, parameterization="standard"),
            ntk.Elementwise(ntk.erf), ntk.Flatten(), ntk.Dense(2, b_std=0.1, parameterization="standard"),
        ]),
        (3, 2),
    ),
}  # fmt: skip

KINKED = {
    "relu": ntk.relu,
    "leaky_relu": ntk.leaky_relu(0.1),
    "abs": ntk.abs,
    "abrelu": ntk.abrelu(-0.3, 1.2),
    "sign": ntk.sign,
}
SMOOTH = {
    "identity": ntk.identity,
    "erf": ntk.erf,
    "gelu": ntk.gelu,
    "sin": ntk.sin,
    "cos": ntk.cos,
    "rbf": ntk.rbf(0.8),
    "exp": ntk.exp(0.7, 0.6),
    "gaussian": ntk.gaussian(1.2, -0.7),
    "tanh": ntk.tanh,
    "softplus": ntk.softplus,
    "swish": ntk.swish,
    "polynomial": ntk.polynomial(0.1, 1.0, -0.3, 0.2),
    "monomial": ntk.monomial(3),
}
ACTIVATIONS = KINKED | SMOOTH

all_networks = pytest.mark.parametrize("name", NETWORKS)


@functools.cache
def case(name, width=6, seed=0):
    """A network of the table, parameters for it, and the shape of its examples."""
    build, shape = NETWORKS[name]
    net = build(width)
    return net, jax.tree.map(lambda leaf: leaf[0], draw(net, shape, 1, seed)), shape


def draw(net, shape, num_seeds, seed=0):
    """Parameters of many networks, seeds first: those of `init`, with NumPy's numbers, which need no programs."""
    generator = np.random.default_rng(seed)

    def normal(key, shape):
        return generator.standard_normal((num_seeds, *shape))

    with unittest.mock.patch("jax.random.normal", normal):
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, float), net.init(jax.random.key(0), shape)[0])


def examples(shape, n, seed=1):
    return jnp.asarray(np.random.default_rng(seed).standard_normal((n, *shape)), float)


@jax.jit
def _outputs(f, params, x):
    return jax.vmap(f, (None, 0))(params, x)


def outputs(f, params, x):
    return _outputs(jax.tree_util.Partial(f) if jax.tree_util.all_leaves([f]) else f, params, x)


def relative_error(got, expected):
    got, expected = jnp.asarray(got), jnp.asarray(expected)
    assert got.shape == expected.shape
    return float(jnp.max(jnp.abs(got - expected)) / jnp.max(jnp.abs(expected)))
