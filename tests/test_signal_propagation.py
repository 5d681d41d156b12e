"""Depth: kernels against the networks', the edge of chaos against its definition, real networks against both."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ntk_tutorial as ntk

ACTIVATIONS = [ntk.relu, ntk.erf, ntk.tanh, ntk.leaky_relu(0.3)]
activations = pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)


@activations
@pytest.mark.parametrize("b_std", [0.0, 0.4])
def test_kernels_by_depth_are_those_of_the_networks(activation, b_std):
    x = ntk.datasets.sphere(jax.random.key(0), 4, 3)
    found = ntk.kernels_by_depth(activation, x @ x.T / 3, 3, w_std=1.3, b_std=b_std)
    for depth in (0, 1, 3):
        net = ntk.mlp(1, depth, 1, activation, w_std=1.3, b_std=b_std)
        np.testing.assert_allclose(found.ntk[depth], ntk.gram(ntk.infinite_ntk(net), x), rtol=1e-6, atol=1e-9)
        nngp = ntk.gram(ntk.infinite_nngp(net), x)
        np.testing.assert_allclose(found.nngp[depth], nngp, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(found.variance[depth], nngp[0, 0], rtol=1e-9)


def test_a_length_of_inputs():
    net = ntk.mlp(1, 2, 1, ntk.erf, b_std=0.3)
    x = 1.7 * ntk.datasets.circle(5)
    found = ntk.kernels_by_depth(ntk.erf, x @ x.T / 2, 2, b_std=0.3, variance=1.7**2)
    np.testing.assert_allclose(found.ntk[2], ntk.gram(ntk.infinite_ntk(net), x), rtol=1e-9)


def test_depth_is_not_negative():
    with pytest.raises(ValueError, match="cannot be negative, got -1"):
        ntk.kernels_by_depth(ntk.relu, 0.5, -1)


@activations
def test_on_the_critical_scales_chi_is_one_and_the_variance_stays(activation):
    w_std, b_std = ntk.critical_scales(activation, jnp.array([0.5, 2.0]))
    q = jnp.array([0.5, 2.0])
    np.testing.assert_allclose(w_std**2 * activation.dual_derivative(q, q, q), 1, rtol=1e-6)
    np.testing.assert_allclose(w_std**2 * activation.dual(q, q, q) + b_std**2, q, rtol=1e-6)


def test_critical_scales_known_by_hand():
    np.testing.assert_allclose(ntk.critical_scales(ntk.relu, 1.0), [2**0.5, 0.0], atol=1e-7)  # He et al. 2015
    np.testing.assert_allclose(ntk.critical_scales(ntk.erf, 1e-8)[0], (np.pi / 4) ** 0.5, rtol=1e-6)
    w_std, b_std = ntk.critical_scales(ntk.monomial(2), 1.0)  # E[φ²] = 3, E[φ'²] = 4: σ_b² = 1 − 3/4
    np.testing.assert_allclose([w_std, b_std], [0.5, 0.5], rtol=1e-9)
    assert np.isnan(ntk.critical_scales(ntk.by_quadrature(lambda z: 1 + 0.1 * z), 1.0)[1])


@activations
def test_a_fixed_point_is_fixed_and_attracts(activation):
    w_std, b_std = jnp.array([0.8, 1.3]), 0.3
    point = ntk.fixed_point(activation, w_std, b_std)
    np.testing.assert_allclose(w_std**2 * activation.dual(*[point.variance] * 3) + b_std**2, point.variance, rtol=1e-9)

    def step(c):
        return ntk.correlation_map(activation, c, variance=point.variance, w_std=w_std, b_std=b_std)

    np.testing.assert_allclose(step(point.correlation), point.correlation, atol=1e-7)
    c = jnp.array([0.3, 0.3])
    for _ in range(2000):
        c = step(c)
    np.testing.assert_allclose(c, point.correlation, atol=1e-3)  # slowly where χ is near one


def test_slopes_are_those_of_the_correlation_map():
    point = ntk.fixed_point(ntk.erf, 2.0, 0.2)

    def image(c):
        return ntk.correlation_map(ntk.erf, c, variance=point.variance, w_std=2.0, b_std=0.2)

    np.testing.assert_allclose(jax.grad(image)(point.correlation), point.slope, rtol=1e-9)
    np.testing.assert_allclose((image(1.0) - image(1.0 - 1e-6)) / 1e-6, point.chi, rtol=1e-4)
    assert point.slope < 1 < point.chi and 0 < point.correlation < 1


def test_order_is_below_the_edge_and_chaos_above():
    w_std, b_std = (float(a) for a in ntk.critical_scales(ntk.erf, 0.5))
    ordered, chaotic = (ntk.fixed_point(ntk.erf, factor * w_std, b_std) for factor in (0.95, 1.05))
    assert ordered.chi < 1 and ordered.correlation == 1
    assert chaotic.chi > 1 and chaotic.correlation < 0.999


@pytest.mark.parametrize("w_std", [0.5, 2.0])
def test_variances_that_vanish_or_explode_are_refused(w_std):
    with pytest.raises(ValueError, match="without bound, or vanish"):
        ntk.fixed_point(ntk.relu, w_std, 0.0)


def test_real_networks_follow_the_map():
    keys = jax.random.split(jax.random.key(0), 60)
    settings = {"w_std": 1.5, "b_std": 0.4}
    samples = jax.vmap(lambda key: ntk.random_correlations(key, ntk.tanh, 0.4, 300, 4, **settings))(keys)
    kernels = ntk.kernels_by_depth(ntk.tanh, 0.4, 4, **settings)
    mean, error = ntk.estimate(samples)
    assert samples.shape == (60, 5)
    assert jnp.all(abs(mean - kernels.nngp / kernels.variance) < 4 * error + 0.01)  # of order depth / width


@pytest.mark.parametrize("depth", [1, 3])
def test_a_random_kernel_is_that_of_the_network(depth):
    key, width = jax.random.key(5, impl="threefry2x32"), 6
    theta = ntk.random_relu_kernels(key, width, (1, 3), num=2)
    assert theta.shape == (2, 2)
    net = ntk.mlp(width, depth, 1, ntk.relu, w_std=2**0.5, b_std=None)
    w_key, a_key = jax.random.split(jax.random.split(key, 2)[1])
    hidden = jax.random.normal(w_key, (3, width, width), jnp.float32).astype(float)
    readout = jax.random.normal(a_key, (width,), jnp.float32).astype(float)

    def f(weights):  # as `net`, but for the readout's factor
        h = jnp.ones(width)
        for w in weights[0][:depth]:
            h = (2 / width) ** 0.5 * jax.nn.relu(w @ h)
        return weights[1] @ h

    slope = jax.grad(f)((hidden, readout))
    expected = sum(jnp.sum(part**2) for part in slope) / width
    np.testing.assert_allclose(theta[1, (1, 3).index(depth)], expected, rtol=1e-5)
    params = tuple({"w": w.T} if i % 2 == 0 else () for i, w in enumerate(np.repeat(hidden[:depth], 2, axis=0)))
    layered = (*params, {"w": readout[:, None]})
    package = ntk.gram(ntk.empirical_ntk(net.apply, layered), jnp.ones((1, width)))[0, 0, 0, 0]
    np.testing.assert_allclose(package / 2, expected, rtol=1e-9)  # its readout has σ_w = √2, too


@pytest.mark.parametrize("width", [16, 64])
def test_fluctuations_follow_the_first_order_formula(width):
    theta = ntk.random_relu_kernels(jax.random.key(width), width, (1, 2, 4), num=2000)
    found, theory = ntk.log_moment_ratio(theta), ntk.relu_kernel_fluctuation(jnp.array([1, 2, 4])) / width
    np.testing.assert_array_less(abs(found.mean - theory), 4 * found.standard_error + theory**2)
    mean, error = ntk.estimate(theta)
    np.testing.assert_array_less(abs(mean - jnp.array([2, 3, 5])), 4 * error)  # one for each matrix of weights


def test_the_fluctuation_of_one_layer_is_three_over_the_width_and_grows_as_eleven_thirds_of_the_depth():
    assert ntk.relu_kernel_fluctuation(1) == 3
    np.testing.assert_allclose(ntk.relu_kernel_fluctuation(1e6) / 1e6, 11 / 3, rtol=1e-5)


def test_networks_without_hidden_layers_are_refused():
    with pytest.raises(ValueError, match=r"1 or more, got \(0, 2\)"):
        ntk.random_relu_kernels(jax.random.key(0), 4, (0, 2), num=2)
