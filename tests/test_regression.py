"""Test errors of kernel regression against scikit-learn, and of a network's own kernel against its definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge

import ntk_tutorial as ntk

KEY = jax.random.key(0)


def examples(n=20, m=8, dim=5):
    x = ntk.datasets.sphere(KEY, n + m, dim)
    return x, jnp.stack([jnp.sin(x[:, 0]), x[:, 1] * x[:, 2]], 1)


@pytest.mark.parametrize("ridge", [1e-4, 0.3])
def test_one_kernel_is_scikit_learns_ridge_regression(ridge):
    x, y = examples()
    kernel = jnp.exp(x @ x[:20].T / 5)
    peer = KernelRidge(alpha=ridge * float(jnp.trace(kernel[:20])) / 20, kernel="precomputed")
    f = peer.fit(kernel[:20], y[:20]).predict(kernel[20:])
    expected = np.mean(np.sum((f - y[20:]) ** 2, 1))
    np.testing.assert_allclose(ntk.regression_error(kernel, y, ridge), expected, rtol=1e-8)


@pytest.mark.parametrize("num_train", [None, 7])
def test_the_best_is_the_least_of_all(num_train):
    x, y = examples()
    n, ridges = num_train or 20, (1e-3, 0.1, 1.0)
    kernels = jnp.stack([jnp.exp(x @ x[:20].T / 5), x @ x[:20].T / 5])
    rows = [*range(n), *range(20, 28)]
    each = [[ntk.regression_error(k[jnp.array(rows), :n], y[jnp.array(rows)], r) for r in ridges] for k in kernels]
    best = ntk.best_regression_error(kernels, y, num_train=num_train, ridges=ridges)
    np.testing.assert_allclose(best, np.min(each), rtol=1e-9)
    assert np.ptp(each) > 1e-3  # or any of them would do


def test_an_after_kernel_is_the_network_linearized_where_it_is():
    x, y = examples()
    net = ntk.mlp(16, 1, 2, ntk.tanh)
    params = net.init(KEY, (5,))[0]
    theta = ntk.trace_outputs(ntk.gram(ntk.empirical_ntk(net.apply, params), x, x[:20]))
    error = ntk.after_kernel_error(net.apply, params, x, y, num_train=20, ridge=0.01)
    np.testing.assert_allclose(error, ntk.regression_error(theta, y, 0.01), rtol=1e-9)


@pytest.mark.parametrize("num_train", [0, 28])
def test_there_must_be_examples_to_train_and_to_test_with(num_train):
    x, y = examples()
    net = ntk.mlp(4, 1, 2, ntk.tanh)
    with pytest.raises(ValueError, match="num_train must be at least 1 and leave"):
        ntk.after_kernel_error(net.apply, net.init(KEY, (5,))[0], x, y, num_train=num_train)
    with pytest.raises(ValueError, match="num_train must lie between 1 and 20"):
        ntk.best_regression_error((x @ x[:20].T)[None], y, num_train=num_train)
