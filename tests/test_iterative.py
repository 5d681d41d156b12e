"""Products with a kernel equal the dense matrix's; conjugate gradients equal a direct solve and `predict`."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import case, examples, relative_error

import ntk_tutorial as ntk

NET = ntk.mlp(4, 1, 1, ntk.relu)
K = ntk.infinite_ntk(NET)
X, X_TEST = examples((4,), 60), examples((4,), 7, seed=2)
Y = examples((3,), 60, seed=3)
THETA = ntk.gram(K, X)
KEY = jax.random.key(0)


@pytest.fixture
def stored(tmp_path):
    return ntk.stream_gram(K, X, path=tmp_path / "kernel.npy", progress=False)


def empirical():
    net, params, shape = case("depth 2, bias")
    return ntk.layerwise(net, params), examples(shape, 7)


@pytest.mark.parametrize("batch_size", [7, 60, 100])
def test_kernel_operator_equals_the_matrix(batch_size):
    operator = ntk.kernel_operator(K, X, batch_size=batch_size, num_outputs=3)
    assert relative_error(operator.mv(Y), THETA @ Y) < 1e-13


@pytest.mark.parametrize("block_bytes", [1, 3000, 10**6])
def test_stored_operator_equals_the_matrix(stored, block_bytes):
    for kernel in (stored, stored[:40, :40], np.asarray(THETA)):
        operator = ntk.stored_operator(kernel, num_outputs=3, block_bytes=block_bytes)
        n = len(kernel)
        assert relative_error(operator.mv(Y[:n]), THETA[:n, :n] @ Y[:n]) < 1e-13


def test_operators_of_matrix_valued_kernels(tmp_path):
    theta, x = empirical()
    v = examples((3,), len(x))
    expected = (ntk.as_matrix(ntk.gram(theta, x)) @ v.reshape(-1)).reshape(v.shape)
    stored = ntk.stream_gram(theta, x, path=tmp_path / "kernel.npy", progress=False)
    for operator in (
        ntk.kernel_operator(theta, x, batch_size=3),
        ntk.stored_operator(stored, block_bytes=3 * stored[:1].nbytes),
    ):
        assert relative_error(operator.mv(v), expected) < 1e-12


@pytest.mark.parametrize("ridge", [1e-2, 1.0])
@pytest.mark.parametrize("preconditioned", [False, True])
def test_solution_is_that_of_a_direct_solve(ridge, preconditioned):
    preconditioner = ntk.nystrom(K, X, 20, ridge, KEY) if preconditioned else None
    operator = ntk.kernel_operator(K, X, num_outputs=3)
    solution = ntk.solve_kernel_regression(operator, Y, ridge=ridge, rtol=1e-11, preconditioner=preconditioner)
    assert relative_error(solution.coefficients, np.linalg.solve(THETA + ridge * np.eye(60), Y)) < 1e-8
    assert solution.residual < 2e-11


def test_stored_solution(stored):
    solution = ntk.solve_kernel_regression(ntk.stored_operator(stored, num_outputs=3), Y, ridge=0.1, rtol=1e-10)
    assert relative_error(solution.coefficients, np.linalg.solve(THETA + 0.1 * np.eye(60), Y)) < 1e-8


@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_prediction_is_that_of_predict(ridge):
    f_train0, f_test0 = examples((3,), 60, seed=4), examples((3,), 7, seed=5)
    options = {"f_train0": f_train0, "f_test0": f_test0, "ridge": ridge}
    got = ntk.predict_by_cg(K, X, Y, X_TEST, rtol=1e-11, batch_size=16, **options)
    expected = ntk.predict(THETA, Y, math.inf, ntk_test_train=ntk.gram(K, X_TEST, X), **options).test
    assert relative_error(got, expected) < 1e-7


def test_prediction_with_a_matrix_valued_kernel():
    theta, x = empirical()
    y, x_test = examples((3,), len(x)), examples(x.shape[1:], 4, seed=9)
    preconditioner = ntk.nystrom(theta, x, 5, 0.1, KEY)
    got = ntk.predict_by_cg(theta, x, y, x_test, ridge=0.1, rtol=1e-11, preconditioner=preconditioner, batch_size=3)
    kernels = ntk.gram(theta, x), ntk.gram(theta, x_test, x)
    assert relative_error(got, ntk.predict(kernels[0], y, ridge=0.1, ntk_test_train=kernels[1]).test) < 1e-9


def test_full_rank_preconditioner_is_the_inverse():
    """P⁻¹ is (λ_n + ridge) (K + ridge I)⁻¹ when every example is a landmark."""
    ridge = 0.3
    preconditioner = ntk.nystrom(K, X, 60, ridge, KEY)
    scale = jnp.linalg.eigvalsh(THETA)[0] + ridge
    assert relative_error(preconditioner(Y), scale * np.linalg.solve(THETA + ridge * np.eye(60), Y)) < 1e-9


def test_preconditioner_from_a_matrix(stored):
    theta, x = empirical()
    matrix, v = ntk.gram(theta, x), examples((3,), len(x))
    for got, expected, w in (
        (ntk.nystrom(stored, None, 20, 0.1, KEY), ntk.nystrom(K, X, 20, 0.1, KEY), Y),
        (ntk.nystrom(matrix, None, 4, 0.1, KEY), ntk.nystrom(theta, x, 4, 0.1, KEY), v),
    ):
        assert relative_error(got(w), expected(w)) < 1e-9


def test_preconditioner_cuts_the_steps():
    """Examples near a plane: two large groups of eigenvalues, then a long tail below the ridge."""
    x = examples((2,), 400) @ examples((6,), 2, seed=7) + 1e-2 * examples((6,), 400, seed=8)
    y, ridge = examples((2,), 400, seed=9), 1e-3
    operator = ntk.kernel_operator(K, x, num_outputs=2)
    steps = [
        int(ntk.solve_kernel_regression(operator, y, ridge=ridge, preconditioner=p).num_steps)
        for p in (None, ntk.nystrom(K, x, 40, ridge, KEY), ntk.nystrom(K, x, 160, ridge, KEY))
    ]
    assert steps[1] < 0.6 * steps[0] and steps[2] < 0.3 * steps[0], steps


def test_steps_are_those_of_conjugate_gradients():
    """In exact arithmetic, as many steps as there are different eigenvalues: three, here."""
    features = jnp.eye(12)[:, :6] * jnp.asarray([[1.0, 1.0, 1.0, 3.0, 3.0, 3.0]])
    operator = ntk.kernel_operator(lambda a, b: a @ b, features, num_outputs=2)
    y = examples((2,), 12)
    assert ntk.solve_kernel_regression(operator, y, ridge=0.5, rtol=1e-10).num_steps <= 4


def test_float32(float32):
    x, y = (np.asarray(a, np.float32) for a in (X, Y))
    preconditioner = ntk.nystrom(K, x, 20, 1e-2, jax.random.key(0))
    operator = ntk.kernel_operator(K, x, num_outputs=3)
    solution = ntk.solve_kernel_regression(operator, y, ridge=1e-2, preconditioner=preconditioner)
    assert solution.coefficients.dtype == jnp.float32
    expected = np.linalg.solve(np.asarray(THETA) + 1e-2 * np.eye(60), y)
    assert np.abs(solution.coefficients - expected).max() < 1e-3 * np.abs(expected).max()


def test_nothing_to_learn():
    solution = ntk.solve_kernel_regression(ntk.kernel_operator(K, X), jnp.zeros((60, 1)), ridge=0.0)
    np.testing.assert_array_equal(solution.coefficients, 0.0)


def solve(y=Y, ridge=0.1, **options):
    return ntk.solve_kernel_regression(ntk.kernel_operator(K, X, num_outputs=3), y, ridge=ridge, **options)


REFUSED = {
    "outputs": (lambda: solve(Y[:, :1]), r"shape \(60, 3\), y has shape \(60, 1\): make the operator with num_outputs"),
    "one axis": (lambda: solve(Y[:, 0]), r"y\[:, None\]"),
    "nan": (lambda: solve(Y.at[0, 0].set(jnp.nan)), r"y holds 1 non-finite"),
    "ridge": (lambda: solve(ridge=-1.0), r"0 or more, got -1.0"),
    "steps": (lambda: solve(max_steps=2), r"relative residual of .*in 2 of at most 2 steps: raise max_steps.*nystrom"),
    "rank": (lambda: ntk.nystrom(K, X, 61, 0.1, KEY), r"between 1 and the number of examples, 60, got 61"),
    "no ridge": (lambda: ntk.nystrom(K, X, 6, 0.0, KEY), r"must be positive, got 0.0"),
    "not positive": (lambda: ntk.nystrom(-THETA, None, 6, 0.1, KEY), r"not positive semi-definite.*float64"),
    "not square": (lambda: ntk.stored_operator(np.ones((3, 2))), r"shape \(n, n\) or .*got \(3, 2\)"),
    "batch size": (lambda: ntk.kernel_operator(K, X, batch_size=0), r"at least 1, got 0"),
    "examples": (lambda: ntk.kernel_operator(K, X.at[0, 0].set(jnp.inf)), r"x holds 1 non-finite"),
    "integers": (lambda: ntk.kernel_operator(K, jnp.ones((3, 4), int)), r"x has dtype int64"),
    "test shape": (lambda: ntk.predict_by_cg(K, X, Y, X_TEST[:, :2], ridge=0.1), r"they must agree"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(unannotated, name):
    call, message = REFUSED[name]
    with pytest.raises((ValueError, TypeError, RuntimeError), match=message):
        call()
