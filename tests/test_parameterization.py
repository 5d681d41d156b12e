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
