"""Eigenmodes against numpy, and sums that are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import all_networks, case, examples
from sklearn.kernel_ridge import KernelRidge

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


def relu_net(b_std=None, depth=1):
    return ntk.mlp(1, depth, 1, ntk.relu, b_std=b_std)


@pytest.mark.parametrize("depth", [1, 3])
def test_eigenvalues_on_the_circle_are_those_of_a_large_kernel_matrix(depth):
    pair, num = ntk.infinite_ntk(relu_net(1.0, depth)), 512
    kernel = ntk.gram(pair, ntk.datasets.circle(num))
    values = ntk.sphere_eigenvalues(pair, 2, 3 * num)
    k = np.arange(1, 6)
    copies = values[k] + sum(values[j * num + s * k] for j in (1, 2) for s in (-1, 1))
    expected = np.linalg.eigvalsh(kernel)[::-1][1 : 2 * len(k) : 2] / num  # cosine and sine share an eigenvalue
    np.testing.assert_allclose(np.sort(copies)[::-1], expected, rtol=1e-4)  # further copies of the grid are left out


@pytest.mark.parametrize("dim", [2, 3, 7])
def test_closed_forms_on_the_sphere_are_the_integrals(dim):
    net = relu_net()
    for pair, closed in (
        (ntk.infinite_ntk(net), ntk.relu_ntk_eigenvalues(dim, 25)),
        (ntk.infinite_nngp(net), ntk.arc_cosine_eigenvalues(1, dim, 25)),
    ):
        np.testing.assert_allclose(ntk.sphere_eigenvalues(pair, dim, 25), closed, rtol=0, atol=1e-14)

    def step(x1, x2):  # P(w·x > 0 and w·x' > 0)
        return (jnp.pi - jnp.arccos(jnp.clip(x1 @ x2 / dim, -1, 1))) / (2 * jnp.pi)

    np.testing.assert_allclose(
        ntk.sphere_eigenvalues(step, dim, 25), ntk.arc_cosine_eigenvalues(0, dim, 25), rtol=0, atol=1e-7
    )  # arccos of a rounded number near 1 is off by the root of the rounding
    assert ntk.relu_ntk_eigenvalues(dim, 1).shape == (1,)


@pytest.mark.parametrize("dim", [2, 3, 7])
def test_the_trace_of_a_kernel_is_its_value_at_a_point(dim):
    pair = ntk.infinite_nngp(relu_net(0.5))  # whose eigenvalues fall fast enough to be summed
    values, x = ntk.sphere_eigenvalues(pair, dim, 60), ntk.datasets.sphere(jax.random.key(0), 1, dim)
    assert values @ ntk.degeneracies(dim, 60) == pytest.approx(float(ntk.gram(pair, x)[0, 0]), rel=2e-4)


def test_harmonic_polynomials_are_eigenfunctions():
    """x_1 x_2 on the sphere in three dimensions, by a product quadrature that knows nothing of Funk and Hecke."""
    pair = ntk.infinite_ntk(relu_net(1.0))
    heights, weights = np.polynomial.legendre.leggauss(60)
    turns = 2 * np.pi * np.arange(120) / 120
    around = np.stack([np.cos(turns), np.sin(turns)], 1)[None] * np.sqrt(1 - heights**2)[:, None, None]
    points = np.concatenate([around, np.broadcast_to(heights[:, None, None], (60, 120, 1))], 2).reshape(-1, 3) * 3**0.5
    at = jnp.asarray([[1.0, 1.2, (3 - 2.44) ** 0.5]])
    integral = ntk.gram(pair, at, jnp.asarray(points)) @ (points[:, 0] * points[:, 1] * np.repeat(weights, 120) / 240)
    assert integral[0] / 1.2 == pytest.approx(float(ntk.sphere_eigenvalues(pair, 3, 3)[2]), rel=1e-4)


def test_degeneracies():
    np.testing.assert_array_equal(ntk.degeneracies(2, 4), [1, 2, 2, 2])
    np.testing.assert_array_equal(ntk.degeneracies(3, 5), 2 * np.arange(5) + 1)
    assert ntk.degeneracies(10, 3).sum() == 1 + 10 + (10 * 11 // 2 - 1)


@pytest.mark.parametrize("call", [lambda: ntk.degeneracies(1, 3), lambda: ntk.relu_ntk_eigenvalues(3, 0)])
def test_sizes_that_no_sphere_has(call):
    with pytest.raises(ValueError, match="2 or more"):
        call()


def test_a_kernel_with_several_outputs_has_no_eigenvalues_here():
    net = ntk.mlp(4, 1, 2, ntk.relu)
    params, _ = net.init(jax.random.key(0), (3,))
    with pytest.raises(ValueError, match="one number"):
        ntk.sphere_eigenvalues(ntk.empirical_ntk(net.apply, params), 3, 4)


# Learning curves


def gaussian_modes(key, num_points, num_modes):
    """Independent Gaussian features: what the theory takes eigenfunctions for."""
    return jax.random.normal(key, (num_points, num_modes))


@pytest.mark.parametrize(("num_train", "ridge", "noise"), [(30, 0.0, 0.0), (30, 0.5, 0.3), (80, 2.0, 1.0)])
def test_learning_curve_is_that_of_ridge_regression(num_train, ridge, noise):
    eigenvalues = jnp.arange(1, 201.0) ** -1.5
    power = jnp.where(jnp.arange(200) < 5, jnp.asarray(1.0), 0.0) / 5

    def trial(key):
        x_key, noise_key = jax.random.split(key)
        v = gaussian_modes(x_key, num_train, 200)
        noises = noise * jax.random.normal(noise_key, (num_train,))
        solve = jnp.linalg.inv(v @ jnp.diag(eigenvalues) @ v.T + ridge * jnp.eye(num_train))
        learned = eigenvalues[:, None] * (v.T @ solve @ v)  # (mode, target)
        fit = learned @ jnp.sqrt(power) + eigenvalues * (v.T @ solve @ noises)
        return jnp.diag(learned)[:10], jnp.sum((fit - jnp.sqrt(power)) ** 2)

    learned, error = jax.jit(jax.vmap(trial))(jax.random.split(jax.random.key(0), 400))
    curve = ntk.learning_curve(eigenvalues, num_train, ridge=ridge)
    mean, bar = ntk.estimate(error)
    assert curve.test_error(power, noise) == pytest.approx(float(mean), abs=float(4 * bar) + 0.03 * float(mean))
    np.testing.assert_allclose(curve.learnability[:10], learned.mean(0), atol=0.015)  # the theory is for large n


def test_learnabilities_add_up():
    eigenvalues = jnp.arange(1, 101.0) ** -2
    curve = ntk.learning_curve(eigenvalues, 17)
    assert jnp.sum(curve.learnability) == pytest.approx(17, rel=1e-10)
    ridge = ntk.learning_curve(eigenvalues, 17, ridge=0.3)
    assert jnp.sum(ridge.learnability) + 0.3 / ridge.effective_ridge == pytest.approx(17, rel=1e-10)
    many = ntk.learning_curve(jnp.asarray([1.0, 0.1]), 17, degeneracies=jnp.asarray([1, 99]))
    alike = ntk.learning_curve(jnp.asarray([1.0] + 99 * [0.1]), 17)
    np.testing.assert_allclose(many.learnability, alike.learnability[:2], rtol=1e-10)
    assert many.overfitting == pytest.approx(float(alike.overfitting), rel=1e-10)


def test_real_regression_conserves_learnability():
    x = ntk.datasets.sphere(jax.random.key(0), 40, 5)
    kernel = ntk.gram(ntk.infinite_ntk(relu_net(1.0)), x)
    modes, at = ntk.eigenmodes(kernel), jnp.arange(12)
    learned = ntk.learn_each(kernel, modes.eigenvectors, at)
    assert jnp.sum(learned.learnability) == pytest.approx(12, rel=1e-8)
    weaker = ntk.learn_each(kernel, modes.eigenvectors, at, ridge=0.1)
    inner = ntk.eigenmodes(kernel[:12, :12]).eigenvalues
    assert jnp.sum(weaker.learnability) == pytest.approx(float(ntk.effective_dimension(inner, 0.1)), rel=1e-8)
    rest = KernelRidge(kernel="precomputed", alpha=0.1).fit(kernel[:12, :12], modes.eigenvectors[:12])
    error = (rest.predict(kernel[:, :12]) - modes.eigenvectors) ** 2
    np.testing.assert_allclose(weaker.test_error, error.sum(0), rtol=1e-6)


@pytest.mark.parametrize(("num_train", "ridge"), [(5, 0.0), (0, 1.0), (2, -1.0)])
def test_learning_curves_that_do_not_exist(num_train, ridge):
    with pytest.raises(ValueError, match="num_train must be positive"):
        ntk.learning_curve(jnp.asarray([1.0, 0.5, 0.2, 0.0]), num_train, ridge=ridge)
