"""Convolution, pooling and attention against loops that say what they are."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import examples, relative_error

import ntk_tutorial as ntk

PADDINGS = ("SAME", "VALID", "CIRCULAR")
WINDOWS = [((3, 2), (1, 1)), ((2, 3), (2, 3)), ((1, 4), (3, 1)), ((3,), (2,)), ((4,), (1,))]
SIZES = (4, 5)


def stops(size, window, stride, padding):
    """The positions that each stop of a window sees along one axis, None where it sees zero."""
    if padding == "VALID":
        return [list(range(i, i + window)) for i in range(0, size - window + 1, stride)]
    number = math.ceil(size / stride)
    start = -(max((number - 1) * stride + window - size, 0) // 2)
    seen = [[start + i * stride + j for j in range(window)] for i in range(number)]
    return [[p % size if padding == "CIRCULAR" else p if 0 <= p < size else None for p in stop] for stop in seen]


def windows(x, window, strides, padding):
    """The patch at each stop, of shape (*stops, *window, channels), by a loop."""
    axes = [stops(*args, padding) for args in zip(x.shape[:-1], window, strides, strict=True)]
    out = np.zeros((*map(len, axes), *window, x.shape[-1]))
    for stop in itertools.product(*(range(len(axis)) for axis in axes)):
        for entry in itertools.product(*map(range, window)):
            position = tuple(axis[s][e] for axis, s, e in zip(axes, stop, entry, strict=True))
            if None not in position:
                out[stop + entry] = x[position]
    return out


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("window, strides", WINDOWS)
def test_a_window_is_a_loop(window, strides, padding):
    shape = (*SIZES[: len(window)], 2)
    x = examples(shape, 1)[0]
    patches = windows(np.asarray(x), window, strides, padding).reshape(-1, math.prod(window) * 2)
    for parameterization in ("ntk", "standard"):
        conv = ntk.Conv(3, window, strides, padding, 1.5, 0.2, parameterization)
        params, output_shape = conv.init(jax.random.key(0), shape)
        w_scale, b_scale = (1.5 / patches.shape[1] ** 0.5, 0.2) if parameterization == "ntk" else (1, 1)
        expected = w_scale * patches @ np.asarray(params["w"]).reshape(-1, 3) + b_scale * np.asarray(params["b"])
        assert relative_error(conv.apply(params, x), expected.reshape(output_shape)) < 1e-14
    sums = patches.reshape(-1, math.prod(window), 2).sum(axis=1).reshape(*output_shape[:-1], 2)
    for pool, factor in ((ntk.SumPool, 1), (ntk.AvgPool, 1 / math.prod(window))):
        layer = pool(window, strides, padding)
        assert layer.init(jax.random.key(0), shape)[1] == sums.shape
        assert relative_error(layer.apply((), x), factor * sums) < 1e-14


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("window, strides", WINDOWS)
def test_infinite_kernels_of_linear_networks_are_products_of_patches(window, strides, padding):
    """K of a Conv and a mean over positions is w² mean(patch) · mean(patch') / fan_in + b²; two layers have Θ = 2 K."""
    shape = (*SIZES[: len(window)], 2)
    x1, x2 = examples(shape, 2)
    p1, p2 = (windows(np.asarray(x), window, strides, padding).reshape(-1, math.prod(window) * 2) for x in (x1, x2))
    conv = ntk.Conv(1, window, strides, padding, w_std=1.5, b_std=0.2)
    for top, between in ((ntk.GlobalAvgPool(), p1.mean(0) @ p2.mean(0)), (ntk.Flatten(), (p1 * p2).sum() / len(p1))):
        net = ntk.Serial([conv, top, ntk.Dense(1, 1.3)])
        nngp = 1.69 * (2.25 * between / p1.shape[1] + 0.04)
        got = jax.jit(lambda a, b, net=net: (ntk.infinite_nngp(net)(a, b), ntk.infinite_ntk(net)(a, b)))(x1, x2)
        np.testing.assert_allclose(got, (nngp, 2 * nngp), rtol=1e-12)


@pytest.mark.parametrize("padding", PADDINGS)
def test_a_sequence_is_an_image_of_height_1(padding):
    def net(*height):
        return ntk.Serial([
            ntk.Conv(4, (*height, 3), (*height, 2), padding, 1.5, 0.2), ntk.Elementwise(ntk.relu),
            ntk.AvgPool((*height, 2), (*height, 1), padding), ntk.Conv(4, (*height, 2), None, padding),
            ntk.Elementwise(ntk.relu), ntk.Residual(ntk.Conv(4, (*height, 1))), ntk.GlobalAvgPool(), ntk.Dense(2),
        ])  # fmt: skip

    x = examples((8, 2), 3)
    flat, tall = (ntk.gram(ntk.infinite_ntk(net(*h)), x.reshape(3, *h, 8, 2)) for h in ((), (1,)))
    assert relative_error(flat, tall) < 1e-14
    params, _ = net().init(jax.random.key(0), (8, 2))
    shapes = jax.eval_shape(lambda key: net(1).init(key, (1, 8, 2))[0], jax.random.key(0))
    tall_params = jax.tree.map(lambda leaf, shape: leaf.reshape(shape.shape), params, shapes)
    assert relative_error(net().apply(params, x[0]), net(1).apply(tall_params, x[0][None])) < 1e-13


def test_both_ways_to_the_contribution_of_a_convolution():
    """A single position takes products of patches, 36 positions the gradient itself."""
    for size in (1, 6):
        net = ntk.Serial([ntk.Conv(5, (3, 3), b_std=0.3), ntk.Elementwise(ntk.erf), ntk.Flatten(), ntk.Dense(3)])
        params, _ = net.init(jax.random.key(0), (size, size, 2))
        x = examples((size, size, 2), 2)
        got, expected = (
            ntk.gram(kernel, x) for kernel in (ntk.layerwise(net, params), ntk.jacobian_contraction(net.apply, params))
        )
        assert relative_error(got, expected) < 1e-13


def test_a_network_that_flattens_computes_equal_positions_only():
    """All pairs of 48 x 48 positions, for 22 x 22 pairs of examples, would take 21 GB."""
    net = ntk.Serial([ntk.cnn(4, 2, 1, ntk.erf, strides=(2, 2), pooling=False)])
    net = ntk.Serial([*net.layers[0].layers[:-2], ntk.AvgPool((1, 1)), *net.layers[0].layers[-2:]])
    flat = ntk.cnn(4, 2, 1, ntk.erf, strides=(2, 2), pooling=False)
    small = examples((4, 4, 1), 3)
    assert relative_error(ntk.gram(ntk.infinite_ntk(net), small), ntk.gram(ntk.infinite_ntk(flat), small)) < 1e-13
    assert ntk.gram(ntk.infinite_ntk(flat), examples((48, 48, 1), 22)).shape == (22, 22)


def test_attention_by_hand():
    layer = ntk.SelfAttention(2, 3, 4, 2, 1.5, 1.2, 1.1, 0.9, b_std=0.3)
    params, _ = layer.init(jax.random.key(0), (3, 5))
    h = np.asarray(examples((3, 5), 1)[0])
    key, value, out, b = (np.asarray(params[name]) for name in ("key", "value", "out", "b"))
    z = 0.3 * np.stack([b] * 3)
    for head in range(2):
        weights = np.exp(1.5 * 1.2 / (5 * 3) * h @ key[head] @ key[head].T @ h.T)
        weights /= weights.sum(axis=1, keepdims=True)
        z += 0.9 / math.sqrt(2 * 4) * weights @ (1.1 / math.sqrt(5) * h @ value[head]) @ out[head]
    assert relative_error(layer.apply(params, jnp.asarray(h)), z) < 1e-14


def test_layer_norm_over_positions_too():
    x = examples((2, 3, 4), 1)[0]
    for axis in ((0, 1, 2), (0, -1), (-1,)):
        z = np.asarray(ntk.LayerNorm(axis=axis).apply((), x))
        np.testing.assert_allclose(z.mean(axis), 0, atol=1e-14)
        np.testing.assert_allclose(z.var(axis), 1, rtol=1e-10)
