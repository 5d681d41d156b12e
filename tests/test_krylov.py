"""Ritz pairs in place of eigenmodes: against `numpy.linalg.eigh` in float64, within the bound that stops them."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ntk_tutorial as ntk
from ntk_tutorial import dynamics, krylov
from ntk_tutorial.krylov import _error_bound, _krylov_spaces, _steps_needed, flow_modes

N = 1008
K = np.arange(1, N + 1)
SPECTRA = {
    "bulk and outliers": np.where(K <= 30, 300.0 / K, 1.0 + K / N),
    "power law": 0.3 * N * K**-2.0,
    "singular": np.where(K <= N // 2, 100.0 / K, 0.0),
    "identity": np.ones(N),
}
TS = np.geomspace(0.1, 3e3, 7)
all_spectra = pytest.mark.parametrize("spectrum", SPECTRA)
both_dtypes = pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])


@functools.cache
def basis():
    return np.linalg.qr(np.random.default_rng(0).standard_normal((N, N)))[0]


def kernel(eigenvalues, dtype=jnp.float64):
    theta = np.diag(eigenvalues) if np.ptp(eigenvalues) == 0 else (basis() * eigenvalues) @ basis().T
    return jnp.asarray((theta + theta.T) / 2, dtype)


def data(dtype=jnp.float64, p=4):
    """Targets, and what makes a test kernel of a kernel."""
    rng = np.random.default_rng(1)
    y, mix = rng.standard_normal((N, p)), rng.standard_normal((5, N)) / N**0.5
    return jnp.asarray(y, dtype), jnp.asarray(mix, dtype)


def exact(theta, start, ts, ridge=0.0):
    """exp(−t Θ / n) r and (Θ + ridge)⁻¹ (1 − exp(−t (Θ + ridge) / n)) r, by `eigh` in float64."""
    values, vectors = np.linalg.eigh(np.asarray(theta, float))
    rates = np.maximum(values, 0.0) + ridge
    modes = vectors.T @ np.asarray(start, float)
    decays = np.exp(-np.multiply.outer(ts, rates) / N)[..., None]
    accumulated = -np.expm1(-np.multiply.outer(ts, np.maximum(rates, 1e-9)) / N) / np.maximum(rates, 1e-9)
    return vectors @ (decays * modes), vectors @ (accumulated[..., None] * modes)


def modes_of(theta, y, t=TS[-1], ridge=0.0):
    return flow_modes(theta, y, t / N, ridge)


@both_dtypes
@all_spectra
def test_predictions_are_those_of_the_eigendecomposition(spectrum, dtype):
    theta, (y, mix) = kernel(SPECTRA[spectrum], dtype), data(dtype)
    y, across = y * jnp.asarray([[1.0, 1e-4, 1e3, 1.0]], dtype), mix @ theta
    assert modes_of(theta, y) is not None
    got = ntk.predict(theta, y, TS, ntk_test_train=across)
    left, coefficients = exact(theta, y, TS)
    rounding = float(jnp.finfo(dtype).eps)
    sizes = np.linalg.norm(y, axis=0)
    assert got.train.dtype == dtype and got.train.shape == (7, N, 4) and got.test.shape == (7, 5, 4)
    assert np.max(np.linalg.norm(got.train - (np.asarray(y) - left), axis=1) / sizes) < 4 * rounding + 1e-12
    # Each test output is a row of Θ* times coefficients, in which the flow has added up errors for t / n.
    expected, scale = np.asarray(across, float) @ coefficients, 1 + TS[-1] / N * np.linalg.norm(across, axis=1)
    assert np.max(np.abs(got.test - expected) / sizes / scale[:, None]) < 4 * rounding + 1e-12


@all_spectra
@pytest.mark.parametrize("ridge", [0.0, 0.5])
def test_error_is_below_its_bound_and_not_far(spectrum, ridge, horizon=3.0):
    theta, (y, _) = np.asarray(kernel(SPECTRA[spectrum])), data(p=3)
    start = np.asarray(y * jnp.asarray([[1.0, 1e-6, 1e3]]))  # a bound for each column
    ts = np.geomspace(1e-3, 1, 9) * horizon * N
    left, coefficients = exact(theta, start, ts, ridge)
    for space in _krylov_spaces(theta, start, 12):
        values, vectors = np.linalg.eigh(space.projected)
        u, rates, first = space.basis @ vectors, values + ridge, vectors[:3].T @ space.start
        decays = np.exp(-np.multiply.outer(ts / N, rates))[..., None]
        bounds = np.stack([_error_bound(space, values, vectors, t / N, ridge) for t in ts])
        errors = np.linalg.norm(u @ (decays * first) - left, axis=1)
        # What predictions on training points are: Θ times coefficients.
        accumulated = -np.expm1(-np.multiply.outer(ts / N, rates)) / np.where(np.abs(rates) > 1e-9, rates, np.inf)[None]
        changes = u @ ((accumulated * values)[..., None] * first) - theta @ coefficients
        rounding = 1e-11 * np.linalg.norm(start, axis=0)
        assert np.all(errors <= bounds * 1.001 + rounding)
        assert np.all(np.linalg.norm(changes, axis=1) <= bounds * 1.001 + rounding)
        assert np.all(bounds[-1] <= 100 * errors.max(0) + rounding)


@pytest.mark.parametrize("name", ["one-hot", "zero column", "equal columns", "zero", "one entry"])
def test_targets_of_low_rank(name):
    y, _ = data()
    y = {
        "one-hot": jnp.eye(4)[jnp.arange(N) % 4] - 0.25,
        "zero column": y.at[:, 1].set(0.0),
        "equal columns": y[:, jnp.asarray([0, 1, 0, 0])],
        "zero": jnp.zeros_like(y),
        "one entry": jnp.zeros_like(y).at[0].set(1.0),
    }[name]
    for spectrum in ("bulk and outliers", "identity"):
        theta = kernel(SPECTRA[spectrum])
        assert modes_of(theta, y) is not None
        got = ntk.predict(theta, y, TS).train
        np.testing.assert_allclose(got, np.asarray(y) - exact(theta, y, TS)[0], atol=1e-12)


def test_a_basis_that_is_not_orthonormal_is_not_taken(monkeypatch):
    theta, (y, _) = kernel(SPECTRA["identity"]), data()
    spaces = [
        space._replace(basis=space.basis * (1 + 1e-9)) for space in _krylov_spaces(np.asarray(theta), np.asarray(y), 1)
    ]
    monkeypatch.setattr(krylov, "_krylov_spaces", lambda *_: iter(spaces))
    assert modes_of(theta, y) is None


def test_unit_vectors():
    """Where a column of a block is zero to the last bit, QR fills up with a unit vector, which Q may have already."""
    y = jnp.stack([jnp.zeros(N).at[0].set(1.0), data()[0][:, 0]], axis=1)
    decay = np.exp(-(1 + K[::-1] / N))[:, None]
    got = ntk.predict(jnp.diag(jnp.asarray(1 + K[::-1] / N)), y, float(N)).train
    np.testing.assert_allclose(got, np.asarray(y) * (1 - decay), atol=1e-12)


def test_times_at_which_rounding_is_seen():
    """In float64, where λ t / n is beyond 4,500; rounding of the kernel itself is what counts in float32."""
    for dtype in (jnp.float32, jnp.float64):
        theta, (y, _) = kernel(SPECTRA["identity"], dtype), data(dtype)
        assert modes_of(theta, y, 4000.0 * N) is not None
        assert (modes_of(theta, y, 5000.0 * N) is None) == (dtype == jnp.float64)
    assert flow_modes(jnp.eye(N, dtype=jnp.float32), y, 1e9) is None


def test_late_times_and_slow_decay_take_the_eigendecomposition(monkeypatch):
    theta, (y, mix) = kernel(0.3 * N * K**-1.2), data()
    assert modes_of(theta, y, 1e7) is None
    got = ntk.predict(theta, y, 1e7, ntk_test_train=mix @ theta)
    monkeypatch.setattr(dynamics, "flow_modes", lambda *_: None)
    expected = ntk.predict(theta, y, 1e7, ntk_test_train=mix @ theta)
    np.testing.assert_array_equal(got.train, expected.train)
    np.testing.assert_array_equal(got.test, expected.test)


@pytest.mark.parametrize("size", [1e-9, 1e-6, 1.0])
def test_indefinite_kernels(size):
    """A negative eigenvalue, of a mode in which there is no residual, so that no Krylov space sees it."""
    theta, (y, _) = kernel(np.where(K == N, -size * 300, SPECTRA["bulk and outliers"])), data()
    last = jnp.asarray(basis()[:, -1:])
    y = y - last @ (last.T @ y)
    assert modes_of(theta, y) is None
    if size < 1e-8:  # what the eigendecomposition takes for rounding
        assert jnp.all(jnp.isfinite(ntk.predict(theta, y, 1.0).train))
    else:
        with pytest.raises(ValueError, match="kernel is not positive semi-definite: eigenvalues run"):
            ntk.predict(theta, y, 1.0)


def test_ridge_starts_and_times_are_those_of_the_eigendecomposition():
    """Under `jit` there is always an eigendecomposition."""
    theta, (y, mix) = kernel(SPECTRA["bulk and outliers"]), data()
    ts = jnp.asarray([[0.0, 0.5, 3.0], [0.0, 40.0, 500.0]])
    start = {"f_train0": y[::-1], "ntk_test_train": mix @ theta, "f_test0": jnp.ones((5, 4))}
    for t, ridge in ((ts, 0.7), (3.0, 0.0), (0, 0)):
        got = ntk.predict(theta, y, t, ridge=ridge, **start)
        expected = jax.jit(lambda t=t, ridge=ridge: ntk.predict(theta, y, t, ridge=ridge, **start))()
        for a, b in zip(got, expected, strict=True):
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, atol=1e-11)
    np.testing.assert_array_equal(ntk.predict(theta, y, ts, **start).train[:, 0], jnp.stack([y[::-1]] * 2))


def test_coupled_outputs():
    """Kernels of shape (n, n, k, k): one vector of n k, and times over n."""
    theta, (y, _) = kernel(SPECTRA["bulk and outliers"]), data(p=1)
    k, n = 3, N // 3
    coupled = theta.reshape(n, k, n, k).transpose(0, 2, 1, 3)
    assert flow_modes(theta, y, 60.0 / n) is not None
    got = ntk.predict(coupled, y.reshape(n, k), 60.0, ntk_test_train=coupled[:4])
    expected = np.asarray(y) - exact(theta, y, 60.0 * k)[0]
    np.testing.assert_allclose(got.train, expected.reshape(n, k), atol=1e-12)
    np.testing.assert_allclose(got.test, got.train[:4], atol=1e-11)


def test_when_it_is_tried(monkeypatch):
    theta, (y, _) = kernel(SPECTRA["identity"]), data()
    tried = []
    monkeypatch.setattr(dynamics, "flow_modes", lambda *_: tried.append(1))
    ntk.predict(theta[:100, :100], y[:100], 1.0)
    flow, descent = ntk.gradient_flow(), ntk.gradient_descent(0.1)
    for t, law in ((math.inf, flow), ([1.0, math.inf], flow), (1.0, descent)):
        ntk.predict(theta, y, jnp.asarray(t), law)
    ntk.predict(theta, y, jnp.zeros(0))
    ntk.predict(theta, jnp.ones((N, 60)), 1.0)
    assert not tried
    ntk.predict(theta, y, 1.0)
    assert tried


def test_steps_needed_if_errors_fall_as_a_gaussian():
    errors = {m: 1e8 * math.exp(-0.05 * m**2) for m in (6, 9)}
    assert 1e8 * math.exp(-0.05 * _steps_needed(*errors.items()) ** 2) == pytest.approx(1.0)
    assert _steps_needed((6, 2.0), (9, 3.0)) == math.inf
