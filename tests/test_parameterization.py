"""Kernels layer by layer, and two parameterizations trained alike."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ntk_tutorial as ntk

X = ntk.datasets.sphere(jax.random.key(0), 4, 3)
Y = jnp.sin(X[:, :1])
SCALES = {"w_std": 1.4, "b_std": 0.6}


def nets(width=8, **settings):
    return [ntk.mlp(width, 2, 1, ntk.tanh, parameterization=name, **settings) for name in ("standard", "ntk")]


def test_layers_add_up_to_the_kernel():
    _, net = nets(**SCALES)
    params = net.init(jax.random.key(1), (3,))[0]
    parts = ntk.kernels_by_layer(net, params, X)
    assert parts.shape == (3, 4, 4, 1, 1)
    np.testing.assert_allclose(parts.sum(0), ntk.gram(ntk.empirical_ntk(net.apply, params), X), rtol=1e-9)


def test_a_layer_alone_is_the_jacobian_of_its_parameters():
    _, net = nets(**SCALES)
    params = net.init(jax.random.key(1), (3,))[0]
    jacobian = jax.vmap(lambda x: jax.jacobian(net.apply)(params, x)[2])(X)
    flat = jnp.concatenate([leaf.reshape(4, -1) for leaf in jax.tree.leaves(jacobian)], axis=1)
    np.testing.assert_allclose(ntk.kernels_by_layer(net, params, X)[1, :, :, 0, 0], flat @ flat.T, rtol=1e-9)


@pytest.mark.parametrize("settings", [SCALES, {"w_std": 0.8}], ids=["biases", "no biases"])
def test_rates_by_layer_train_as_the_standard_parameterization(settings):
    ends = []
    for net, by_layer in zip(nets(**settings), (False, True), strict=True):
        params = net.init(jax.random.key(2), (3,))[0]
        rates = ntk.standard_rates(net, params) if by_layer else None
        optimizer = ntk.descent_by_layer(0.02, rates) if by_layer else ntk.gradient_descent(0.02)
        run = ntk.train(net.apply, params, X, Y, optimizer, steps=[30])
        assert run.loss[-1] < 0.9 * ntk.squared_loss(ntk.outputs(net.apply, params, X), Y)
        ends.append(ntk.outputs(net.apply, run.params, X))
    np.testing.assert_allclose(*ends, rtol=1e-9)


def test_a_convolution_counts_its_patch():
    net = ntk.cnn(5, 1, 2, ntk.relu, filter_shape=(3, 3), w_std=2.0)
    params = net.init(jax.random.key(0), (4, 4, 2))[0]
    rates = ntk.standard_rates(net, params)
    assert jax.tree.leaves(rates) == [3 * 3 * 2 / 4, 5 / 4]


def test_what_has_no_rate_is_refused():
    standard, net = nets(b_std=0.0)
    with pytest.raises(TypeError, match="parameterization='ntk'"):
        ntk.standard_rates(standard, standard.init(jax.random.key(0), (3,))[0])
    with pytest.raises(ValueError, match="scale of zero"):
        ntk.standard_rates(net, net.init(jax.random.key(0), (3,))[0])


def test_mup_is_a_mean_field_readout_with_a_rate_that_grows_with_the_width():
    """z = W h / m instead of W h / √m, all parameters moved by m η [Yang & Hu 2021]."""
    _, net = nets()
    params = net.init(jax.random.key(3), (3,))[0]
    alpha, rates = ntk.as_parameterized("mup", net, params)

    def mean_field(p, x):
        hidden = ntk.Serial(net.layers[:-1]).apply(p[:-1], x)
        return hidden @ p[-1]["w"] / 8

    optimizer = ntk.descent_by_layer(0.05, rates)
    ours = ntk.train(ntk.scaled(net.apply, params, alpha), params, X, Y, optimizer, steps=[20]).params
    start = ntk.outputs(mean_field, params, X)  # `scaled` takes it off, so it is added to the targets
    peer = ntk.train(mean_field, params, X, Y + start, ntk.gradient_descent(8 * 0.05), steps=[20]).params
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9), ours, peer)


def test_the_ntk_parameterization_is_ours():
    _, net = nets(**SCALES)
    params = net.init(jax.random.key(3), (3,))[0]
    alpha, rates = ntk.as_parameterized("ntk", net, params)
    assert alpha == 1 and all(rate == 1 for rate in jax.tree.leaves(rates))
    assert jax.tree.structure(rates) == jax.tree.structure(params)
    alpha, rates = ntk.as_parameterized("standard", net, params)
    assert alpha == 1
    jax.tree.map(np.testing.assert_allclose, rates, ntk.standard_rates(net, params))


def test_no_other_parameterization(unannotated):
    _, net = nets()
    with pytest.raises(ValueError, match='"standard", "ntk" and "mup", got \'muP\''):
        ntk.as_parameterized("muP", net, net.init(jax.random.key(3), (3,))[0])


def test_mup_needs_a_dense_readout():
    net = ntk.Serial([ntk.Dense(4), ntk.Elementwise(ntk.relu)])
    with pytest.raises(TypeError, match="last layer must be Dense, got Elementwise"):
        ntk.as_parameterized("mup", net, net.init(jax.random.key(3), (3,))[0])


def test_a_scan_trains_each_network_at_each_rate():
    _, net = nets()
    keys = jax.random.split(jax.random.key(4, impl="threefry2x32"), 2)  # the only ones that are the same under vmap
    learning_rates = jnp.array([[0.01, 0.1], [0.05, 0.5], [0.02, 1e4]])
    scan = ntk.scan_learning_rates(net, keys, X, Y, learning_rates, num_steps=5)
    assert scan.loss.shape == scan.hidden_change.shape == (2, 3, 2)
    params = net.init(keys[1], (3,))[0]
    hidden = ntk.Serial(net.layers[:-1])
    for way, name in enumerate(("standard", "ntk", "mup")):
        alpha, rates = ntk.as_parameterized(name, net, params)
        optimizer = ntk.descent_by_layer(learning_rates[way, 0], rates)
        run = ntk.train(ntk.scaled(net.apply, params, alpha), params, X, Y, optimizer, steps=[5])
        np.testing.assert_allclose(scan.loss[1, way, 0], run.loss[0], rtol=1e-9)
        before, after = (ntk.outputs(hidden.apply, p[:-1], X) for p in (params, run.params))
        np.testing.assert_allclose(scan.hidden_change[1, way, 0], ntk.relative_change(before, after), rtol=1e-9)
    assert not jnp.all(scan.loss[:, 2, 1] < 1)  # this rate is far too large
