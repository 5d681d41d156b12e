"""Eigenmodes against numpy, and sums that are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import all_networks, case, examples

import ntk_tutorial as ntk


@all_networks
def test_eigenmodes(name):
    net, _, shape = case(name)
    x = examples(shape, 6)
    kernel = ntk.gram(ntk.infinite_ntk(net), jnp.concatenate([x, x[:2]]))
    eigenvalues, vectors = ntk.eigenmodes(kernel)
    expected = np.linalg.eigvalsh(kernel)[::-1]
    np.testing.assert_allclose(eigenvalues, expected, atol=1e-12 * expected[0])
    np.testing.assert_allclose(vectors * eigenvalues[None] @ vectors.T, kernel, atol=1e-12 * expected[0])
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(8), atol=1e-12)
    assert jnp.all(eigenvalues >= 0) and jnp.all(eigenvalues[6:] < 1e-13 * eigenvalues[0])  # two duplicates


def test_target_power():
    kernel = jnp.diag(jnp.asarray([1.0, 3.0, 2.0]))
    modes = ntk.eigenmodes(kernel)
    np.testing.assert_allclose(ntk.target_power(modes, jnp.asarray([1.0, 2.0, 2.0])), [4 / 9, 4 / 9, 1 / 9])
    y = jax.random.normal(jax.random.key(0), (3, 4))
    np.testing.assert_allclose(ntk.target_power(modes, y), (y**2).sum(1)[jnp.asarray([1, 2, 0])] / (y**2).sum())


@pytest.mark.parametrize("ridge", [1e-3, 1.0, 100.0])
def test_effective_dimension(ridge):
    net, _, shape = case("depth 1")
    kernel = ntk.gram(ntk.infinite_ntk(net), examples(shape, 6))
    expected = np.trace(kernel @ np.linalg.inv(kernel + ridge * np.eye(6)))
    assert ntk.effective_dimension(ntk.eigenmodes(kernel).eigenvalues, ridge) == pytest.approx(expected, rel=1e-10)


def test_effective_dimension_without_ridge_is_the_rank():
    assert ntk.effective_dimension(jnp.asarray([2.0, 1.0, 0.0]), 0.0) == 2
