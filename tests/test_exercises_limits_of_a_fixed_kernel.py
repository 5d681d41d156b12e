"""The self-checks of `limits_of_a_fixed_kernel` know right answers, and typical wrong ones by name."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ntk_tutorial as ntk

checks = ntk.exercises.limits_of_a_fixed_kernel


def gaussian(x1, x2):
    return jnp.exp(-jnp.sum((x1 - x2) ** 2) / (2 * 3.0**2))


def fit(params, x):
    root, points, weights = params
    return jax.vmap(lambda point: gaussian(root @ x, root @ point))(points) @ weights


def method(x_train, y_train, x_test, fits=4, power=0.5):
    root = jnp.eye(x_train.shape[1])
    for _ in range(fits):
        kernel = ntk.gram(gaussian, x_train @ root) + 1e-6 * jnp.eye(len(x_train))
        params = root, x_train, jnp.linalg.solve(kernel, y_train)
        outer = ntk.average_gradient_outer_product(fit, params, x_train)
        values, vectors = jnp.linalg.eigh(outer)
        root = vectors @ jnp.diag(jnp.maximum(values, 0) ** power) @ vectors.T
    return jax.vmap(fit, (None, 0))(params, x_test)


def by_parameters(x_train, y_train, x_test):
    """The outer product of gradients with respect to the weights has one row an example."""
    return x_test @ jnp.eye(len(x_train))


def test_right_answers():
    assert checks.check_examples(3654) and checks.check_examples(0.9 * math.comb(30, 3))
    assert checks.check_alignment(2 / 28**0.5) and checks.check_alignment(0.38)
    assert checks.check_width(1200) and checks.check_width(3 / 0.05**2)
    assert checks.check_recursion(method)
    assert checks.check_regimes(["feature", "size", "lazy"])


REFERENCE = checks._reference


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        ("examples", 4060, "the bound is zero"),
        ("examples", 406, "leaves an error of 0.9"),
        ("examples", 391.5, "products of two"),
        ("examples", 392, "products of two"),
        ("examples", 21924, "divide by 3!"),
        ("examples", 24300, "counts each product six times"),
        ("examples", 4073.4, "not of up to three"),
        ("examples", 10_000, "lies between 0 and N"),
        ("examples", 2030, "1 − n/N = 0.500"),
        ("alignment", 0.2, "at the start"),
        ("alignment", 1.0, "x·x' is still there"),
        ("alignment", 2 / 13**0.5, "for d = 10"),
        ("alignment", 2 / 26**0.5, "cross term"),
        ("alignment", 0.4, "its eigenvalues are 2, 1"),
        ("alignment", 1 / 28**0.5, "is not 1"),
        ("alignment", 1 / 7, "alignment is a cosine"),
        ("alignment", 2.0, "between 0 and 1"),
        ("alignment", 0.6, "as ββᵀ + I"),
        ("width", 60, "that is the variance"),
        ("width", 400, "3 times its mean squared"),
        ("width", 20, "not 1/m"),
        ("width", 34.64, "the root belongs to m"),
        ("width", 480_000, "squared once too often"),
        ("width", 300, "10 % of the mean"),
        ("width", 120_000, "0.5 % of the mean"),
        ("width", 4800, "2.5 % of the mean"),
        ("width", 100, "= 17.3 % of the mean"),
        ("width", -3, "give one positive number"),
        ("recursion", lambda x, y, x_test: method(x, y, x_test, fits=1), "this is one fit"),
        ("recursion", lambda x, y, x_test: method(x, y, x_test, fits=2), "one recursion only"),
        ("recursion", lambda x, y, x_test: method(x, y, x_test, power=1.0), "M itself"),
        ("recursion", lambda x, y, x_test: jnp.prod(x_test[:, :2], 1), "whatever the data are"),
        ("recursion", lambda x, y, x_test: y, "as many as training examples"),
        ("recursion", lambda x, y, x_test: x_test.T, r"got (20, 500)"),
        ("recursion", lambda x, y, x_test: jnp.nan * x_test[:, 0], "not finite"),
        ("recursion", lambda x, y, x_test: "text", "array of predictions"),
        ("recursion", lambda x, y: y, "failed with TypeError"),
        ("recursion", by_parameters, "failed with TypeError"),
        ("recursion", lambda x, y, x_test: REFERENCE(4, 0.5)[::-1], "order of x_test"),
        ("recursion", lambda x, y, x_test: method(x, y, 3 * x_test), "predicting 0: are test inputs"),
        ("recursion", lambda x, y, x_test: 0 * x_test[:, 0], "respect to the input"),
        ("recursion", lambda x, y, x_test: 0.6 * REFERENCE(4, 0.5), "less than the 0.78 of one fit"),
        ("regimes", ["lazy", "size", "feature"], "being wide does not decide"),
        ("regimes", ["size", "size", "lazy"], "mystery 1: not in size alone"),
        ("regimes", ["feature", "feature", "lazy"], "mystery 2: its kernel changed by 0.75 of its size, but alignment"),
        ("regimes", ["feature", "lazy", "lazy"], "mystery 2: its kernel changed by 0.75 of its size"),
        ("regimes", ["feature", "size", "size"], "being narrow does not decide"),
        ("regimes", ["feature", "size"], "give three of"),
        ("regimes", ["rich", "size", "lazy"], "give three of"),
    ],
)
def test_wrong_answers(name, answer, message):
    verdict = getattr(checks, f"check_{name}")(answer)
    assert not verdict and message in verdict.message, verdict


def test_recursion_is_asked_for_as_a_function(unannotated):
    assert "give the function itself" in checks.check_recursion(jnp.zeros((500, 1))).message


def test_the_recursion_of_the_check_is_that_of_the_solution():
    """Gradients by hand and by differentiation agree; and the readings are far from the threshold."""
    fresh = checks._fresh()
    assert not np.array_equal(fresh.x_train[:, ::-1], checks.data().x_train)
    np.testing.assert_array_equal(fresh.y_train[:, 0], fresh.x_train[:, -1] * fresh.x_train[:, -2])
    np.testing.assert_allclose(method(*fresh[:3], fits=3)[:, 0], checks._reference(3, 0.5), rtol=0, atol=1e-7)

    def error(fits, power):
        return np.mean((checks._reference(fits, power) - fresh.y_test[:, 0]) ** 2)

    assert error(4, 0.5) < checks.SMALL_ERROR / 2 < 2 * checks.SMALL_ERROR < error(2, 0.5) < 0.2 < 0.6 < error(1, 0.5)
    assert all(error(fits, 1.0) > 2 * checks.SMALL_ERROR for fits in (2, 3, 4))
    # the same on the readers' own data
    given = checks.data()
    single, last = (jnp.mean((method(*given[:3], fits=n) - given.y_test) ** 2) for n in (1, 4))
    assert last < checks.SMALL_ERROR / 2 and single > 0.6


def test_mysteries_are_told_apart_by_a_factor_of_two():
    found = {checks._regime(number): checks._measured(number) for number in (1, 2, 3)}
    assert set(found) == set(checks.REGIMES)
    lazy, feature, size = (found[name] for name in checks.REGIMES)
    assert lazy["change"] < 0.05 and size["change"] > 0.2 and feature["change"] > 2
    assert feature["gain"] > 0.1 and max(abs(lazy["gain"]), abs(size["gain"])) < 0.025
    errors = {}
    for number in (1, 2, 3):
        f, params0, params, x, y = checks.mystery(number)
        errors[checks._regime(number)] = jax.jit(ntk.linearization_error)(f, params0, params, x)
        # all three have learned their labels, so that the training error tells nothing
        assert jnp.mean((jax.vmap(f, (None, 0))(params, x) - y) ** 2) < 0.2
    assert errors["lazy"] < 0.05 and min(errors["feature"], errors["size"]) > 0.2


def test_there_are_three_mysteries():
    with pytest.raises(ValueError, match="there are mysteries 1 to 3, got 4"):
        checks.mystery(4)


def test_the_bound_is_met_by_counting():
    """1 − n/N on a small case: the kernel that is the projection on all N targets, fitted without ridge."""
    _, parities, degree = ntk.datasets.hypercube(6)
    targets = parities[:, degree == 3]
    num, n = targets.shape[1], 12
    kernel = targets @ targets.T
    rows = jax.random.permutation(jax.random.key(0, impl="threefry2x32"), len(targets))[:n]
    fitted = kernel[:, rows] @ jnp.linalg.pinv(kernel[rows][:, rows], rtol=1e-10) @ targets[rows]
    assert num == math.comb(6, 3)
    assert jnp.mean((fitted - targets) ** 2) >= (1 - n / num) * (1 - 1e-10)


def test_alignment_after_the_silent_phase():
    """⟨Θ, yyᵀ⟩ over inputs that are exactly white: 2d rows ±√d e_i."""
    for dim in (10, 25):
        x = jnp.concatenate([jnp.eye(dim), -jnp.eye(dim)]) * dim**0.5
        y = x @ ntk.datasets.on_sphere(jnp.arange(1.0, dim + 1)[None])[0] / dim**0.5
        assert ntk.target_alignment(jnp.outer(y, y) + x @ x.T, y) == pytest.approx(2 / (dim + 3) ** 0.5)
        assert ntk.target_alignment(x @ x.T, y) == pytest.approx(dim**-0.5)


def test_spread_of_a_narrow_kernel():
    """E[Θ²]/E[Θ]² = 1 + 3/m.

    Here Θ(x, x) is 4/m times the sum over units of 1[g > 0] (g² + a²) with g and a from N(0, 1). A term has mean
    (1 + 1)/2 = 1 and mean square (3 + 2 + 3)/2 = 4, so variance 3.
    """
    width, dim = 8, 5
    net, x = ntk.mlp(width, 1, 1, ntk.relu, w_std=2**0.5), ntk.datasets.on_sphere(jnp.ones((1, dim)))

    @jax.jit
    @jax.vmap
    def draw(key):
        params = net.init(key, (dim,))[0]
        return ntk.gram(ntk.empirical_ntk(net.apply, params), x)[0, 0, 0, 0]

    samples = draw(jax.random.split(jax.random.key(0, impl="threefry2x32"), 4000))
    mean, error = ntk.estimate(samples)
    assert abs(mean - 4) < 4 * error
    n, first, second = len(samples), samples.sum(), jnp.sum(samples**2)
    without = (second - samples**2) / (first - samples) ** 2 * (n - 1)
    error = ntk.jackknife_error(without)
    assert error < 0.03 and abs(n * second / first**2 - (1 + 3 / width)) < 4 * error
