"""Self-checks of the chapter `training_dynamics`."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ..activations import tanh
from ..dynamics import max_learning_rate, predict, predict_ensemble
from ..empirical import empirical_ntk, jacobian_contraction
from ..gram import gram, trace_outputs
from ..networks import infinite_nngp, mlp
from ._verdict import Verdict, agrees


def _values(answer, arguments: list[tuple], signature: str) -> np.ndarray | Verdict:
    """The answer at each of the arguments, as one float vector, or why there is none."""
    if not callable(answer):
        return Verdict(False, f"the answer must be a function {signature}, got {type(answer).__name__}.")
    try:
        values = [np.asarray(answer(*each), float) for each in arguments]
    except Exception as error:  # whatever a reader's function raises is part of the verdict
        return Verdict(False, f"the function {signature} failed: {type(error).__name__}: {error}")
    if any(value.size != 1 for value in values):
        return Verdict(False, f"{signature} must return one number, got shapes {[value.shape for value in values]}.")
    return np.array([value.item() for value in values])


def check_half_time(answer: Callable) -> Verdict:
    """The time after which a mode's residual has halved under gradient flow, as a function (eigenvalue, num_train)."""
    cases = [(2.0, 10), (0.3, 32), (7.0, 1)]
    found = _values(answer, cases, "(eigenvalue, num_train)")
    if isinstance(found, Verdict):
        return found
    left = [  # predict on that mode alone: a kernel λ I over n examples with target 1
        1 - float(predict(eigenvalue * jnp.eye(n), jnp.ones(n), float(t)).train[0]) if t >= 0 else np.inf
        for (eigenvalue, n), t in zip(cases, found, strict=True)
    ]
    if np.allclose(left, 0.5, atol=1e-3):
        return Verdict(True, "n ln 2 / λ: twice the eigenvalue, half the time.")
    eigenvalue, n = np.array(cases).T
    for wrong, reason in (
        (n / eigenvalue, "that is the time after which 1/e is left, about 0.37: a factor ln 2 is missing."),
        (np.log(2) / eigenvalue, "the loss is a mean over examples, so the rate is λ/n, not λ."),
        (eigenvalue * np.log(2) / n, "this is the inverse: a larger eigenvalue relaxes faster."),
        (n * np.log(2) / eigenvalue / 2, "after this time the loss of the mode has halved, the residual has not."),
    ):
        if np.allclose(found, wrong):
            return Verdict(False, reason)
    shown = ", ".join(f"{share:.3g}" for share in left)
    return Verdict(False, f"at your times the shares {shown} are left, not 0.5. Solve exp(-λ t / n) = 1/2 for t.")


def check_learning_rates(answer: tuple[float, float]) -> Verdict:
    """η_max without momentum and with μ = 0.8 for the kernel [[3, 1], [1, 3]]."""
    kernel = jnp.array([[3.0, 1.0], [1.0, 3.0]])
    truth = np.array([max_learning_rate(kernel, momentum) for momentum in (0.0, 0.8)])
    try:
        found = np.array([float(value) for value in answer])
    except (TypeError, ValueError):
        return Verdict(False, "give two numbers, (without momentum, with momentum 0.8).")
    if found.shape != (2,):
        return Verdict(False, f"give two numbers, (without momentum, with momentum 0.8), got {len(found)}.")
    if np.allclose(found, truth, rtol=1e-3):
        return Verdict(True, "λ_max = 4 and n = 2: 2 n / λ_max = 1, and momentum multiplies it by 1.8.")
    if np.allclose(found, truth / 2, rtol=1e-3):
        return Verdict(False, "the rate of a mode is λ/n with n = 2 examples: one factor n is missing.")
    if np.allclose(found, truth * 2, rtol=1e-3):
        return Verdict(False, "that belongs to the smallest eigenvalue, 2: the largest, 4, is the first to diverge.")
    if np.isclose(found[0], truth[0], rtol=1e-3):
        if np.isclose(found[1], truth[0] / 0.2, rtol=1e-3):
            return Verdict(False, "1/(1 − μ) is by how much slow modes speed up; the stability limit grows by 1 + μ.")
        if np.isclose(found[1], truth[0] * 0.2, rtol=1e-3):
            return Verdict(False, "momentum makes the limit larger, by 1 + μ, not smaller by 1 − μ.")
        return Verdict(False, "right without momentum. With it, put z = −1 into z² − (1 + μ − r) z + μ = 0.")
    return Verdict(False, "find the largest eigenvalue (eigenvector (1, 1)), then 2 (1 + μ) n / λ_max with n = 2.")


def check_equivalent_ridge(answer: Callable) -> Verdict:
    """The ridge whose filter agrees with stopping at time t on the slow modes, as a function (num_train, t)."""
    cases = [(32, 45.0), (10, 2.0), (1, 7.0)]
    found = _values(answer, cases, "(num_train, t)")
    if isinstance(found, Verdict):
        return found
    truth = []
    for n, t in cases:  # λ / (λ + ρ) = 1 − exp(−λ t / n), solved for ρ, for λ going to zero
        eigenvalue = 1e-5 * n / t
        truth.append(eigenvalue * np.exp(-eigenvalue * t / n) / -np.expm1(-eigenvalue * t / n))
    if np.allclose(found, truth, rtol=1e-3):
        return Verdict(True, "ρ = n / t: training longer is like a smaller ridge.")
    n, t = np.array(cases).T
    for wrong, reason in (
        (1 / t, "the rate of a mode is λ/n: with it the ridge becomes n times larger."),
        (t / n, "this is the inverse: stopping later must mean a smaller ridge."),
        (t, "stopping later must mean a smaller ridge, and n has to appear."),
    ):
        if np.allclose(found, wrong):
            return Verdict(False, reason)
    return Verdict(False, "for small λ, 1 − exp(−λ t / n) ≈ λ t / n and λ / (λ + ρ) ≈ λ / ρ: set them equal.")


def check_centred(answer: Callable) -> Verdict:
    """A function (net, params0) -> (f, start): zero outputs at the start, the kernel of net, and two copies of it."""
    net = mlp(32, 1, 1, tanh)
    params0, _ = net.init(jax.random.key(0), (3,))
    x = jax.random.normal(jax.random.key(1), (4, 3))
    if not callable(answer):
        return Verdict(False, f"the answer must be a function (net, params0), got {type(answer).__name__}.")
    try:
        f, start = answer(net, params0)
        outputs = jax.vmap(f, (None, 0))(start, x)
        found = trace_outputs(gram(jacobian_contraction(f, start), x))
    except Exception as error:  # whatever a reader's function raises is part of the verdict
        return Verdict(False, f"the function (net, params0) -> (f, start) failed: {type(error).__name__}: {error}")
    wanted = trace_outputs(gram(empirical_ntk(net.apply, params0), x))
    if outputs.shape != (4, 1):
        return Verdict(False, f"f must map one example to one output of shape (1,), got {outputs.shape[1:]}.")
    if float(jnp.max(jnp.abs(outputs))) > 1e-6:
        return Verdict(False, "the outputs at the start are not zero: subtract two copies with equal parameters.")
    if agrees(found, wanted):
        return Verdict(True, "zero at the start, kernel unchanged: of two copies, each contributes (1/√2)² of it.")
    if agrees(found, 2 * wanted, rtol=1e-5):
        return Verdict(False, "zero at the start, but the kernel has doubled: divide the difference by √2.")
    if agrees(found, wanted / 2, rtol=1e-5):
        return Verdict(False, "zero at the start, but the kernel has halved: divide the difference by √2, not by 2.")
    return Verdict(False, "zero at the start, but the kernel is not that of net: let start hold two equal copies.")


def check_critical_momentum(answer: Callable) -> Verdict:
    """The momentum at which a mode's two roots meet, as a function of r = ηλ/n in (0, 1)."""
    cases = [(0.01,), (0.25,), (0.7,)]
    found = _values(answer, cases, "(r)")
    if isinstance(found, Verdict):
        return found
    r = np.array(cases)[:, 0]
    discriminant = (1 + found - r) ** 2 - 4 * found
    if np.all((found >= 0) & (found < 1)) and np.allclose(discriminant, 0, atol=1e-8):
        return Verdict(True, "μ = (1 − √r)²: both roots are then 1 − √r, against 1 − r without momentum.")
    for wrong, reason in (
        (1 - np.sqrt(r), "that is √μ, the size of the two roots: square it."),
        ((1 + np.sqrt(r)) ** 2, "(1 + √r)² solves the equation too, but momentum must be below 1."),
        ((1 - r) ** 2, "the discriminant gives 1 + μ − r = 2√μ, so (1 − √μ)² = r: a root of r is missing."),
    ):
        if np.allclose(found, wrong):
            return Verdict(False, reason)
    return Verdict(False, "set the discriminant of z² − (1 + μ − r) z + μ to zero: (1 + μ − r)² = 4 μ.")


def check_posterior(answer: Callable) -> Verdict:
    """Mean and covariance of GP regression, as a function (nngp_train, nngp_test_train, nngp_test, y_train)."""
    signature = "(nngp_train, nngp_test_train, nngp_test, y_train) -> (mean, covariance)"
    if not callable(answer):
        return Verdict(False, f"the answer must be a function {signature}, got {type(answer).__name__}.")
    x = jax.random.normal(jax.random.key(2), (8, 3))
    nngp = gram(infinite_nngp(mlp(1, 1, 1, tanh)), x)
    train, test_train, test, y = nngp[:5, :5], nngp[5:, :5], nngp[5:, 5:], jnp.array([1.0, -1.0, 1.0, 0.5, 2.0])
    try:
        mean, covariance = answer(train, test_train, test, y)
        mean, covariance = np.asarray(mean, float), np.asarray(covariance, float)
    except Exception as error:  # whatever a reader's function raises is part of the verdict
        return Verdict(False, f"the function {signature} failed: {type(error).__name__}: {error}")
    truth = predict_ensemble(
        train, train, y, ntk_test_train=test_train, nngp_test_train=test_train, nngp_test=test
    )  # training the readout only: the NTK is the NNGP kernel
    if mean.shape != (3,) or covariance.shape != (3, 3):
        shapes = f"{mean.shape} and {covariance.shape}"
        return Verdict(False, f"for 3 test points the shapes must be (3,) and (3, 3), got {shapes}.")
    if not agrees(mean, np.asarray(truth.mean), rtol=1e-5):
        return Verdict(False, "the mean is off: K(X*, X) K(X, X)⁻¹ y.")
    if agrees(covariance, np.asarray(truth.covariance), rtol=1e-5):
        return Verdict(True, "it equals predict_ensemble with Θ = K at t = ∞: readout training is GP regression.")
    if agrees(covariance, np.asarray(test), rtol=1e-5):
        return Verdict(False, "right mean, but this is the prior covariance: subtract what the data explain.")
    if agrees(covariance, np.asarray(2 * test - truth.covariance), rtol=1e-5):
        return Verdict(False, "right mean, but data reduce the variance: the second term has a minus sign.")
    return Verdict(False, "right mean. Put G = K(X*, X) K(X, X)⁻¹ into the chapter's covariance.")
