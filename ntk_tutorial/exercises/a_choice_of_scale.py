"""Self-checks of the chapter `a_choice_of_scale`."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ..datasets import sphere
from ..linearization import scaled, scaled_increment
from ._verdict import Verdict, as_number

SHARE = 0.1


def _values(function, arguments) -> list[float] | None:
    """function(*a) as a float for each a, or None where one of them is not a finite number."""
    try:
        return [as_number(function(*a)) for a in arguments]
    except Exception:  # whatever a reader's function may raise
        return None


def _ask(function, arguments, call: str) -> tuple[np.ndarray | None, Verdict | None]:
    """The function's values, or a verdict on why there are none."""
    if not callable(function):
        return None, Verdict(False, f"give the function itself, {call}, without calling it")
    values = _values(function, arguments)
    if values is None or None in values:
        return None, Verdict(False, f"{call} must return one finite number for every argument in its range")
    return np.asarray(values), None


def check_product(kappa: Callable) -> Verdict:
    """kappa(u, v, y): the relative scale of f = u·v / √m, not centred, with target y."""
    sizes = ((3, 2.0), (5, -1.0), (8, 0.5))
    cases = [(*jax.random.normal(jax.random.key(m), (2, m)), y) for m, y in sizes]
    values, complaint = _ask(kappa, cases, "kappa(u, v, y)")
    if complaint is not None:
        return complaint
    residual, slope2, curvature = np.asarray([_dense(*case) for case in cases]).T
    truth = residual * curvature / slope2
    targets = np.asarray([abs(y) for _, _, y in cases])
    if np.allclose(values, truth, rtol=1e-5):
        return Verdict(
            True, "κ = |f − y| / (√m λ): it falls as m^(−1/2), and agrees with dense derivatives of three products"
        )
    if np.allclose(values, 2 * truth, rtol=1e-5):
        return Verdict(False, "twice too large: 2 δu·δv is at most |δu|² + |δv|², which is 1 for a unit direction")
    if np.allclose(values, targets * curvature / slope2, rtol=1e-5):
        return Verdict(False, "this product is not centred: the residual is f − y, not y")
    if np.allclose(values, residual * curvature / slope2**0.5, rtol=1e-5):
        return Verdict(False, "the slope enters squared: divide by λ, not by its root")
    if np.allclose(values, residual / slope2, rtol=1e-5):
        return Verdict(False, "the curvature is 1/√m, not 1")
    return Verdict(False, f"for the first of the products tried, κ is {truth[0]:.4g} and yours {values[0]:.4g}")


def _dense(u, v, y):
    """|f − y|, the squared length of the gradient, and the norm of the Hessian, written out as a matrix."""
    u, v, m = np.asarray(u), np.asarray(v), len(u)
    off_diagonal = np.kron([[0, 1], [1, 0]], np.eye(m)) / m**0.5
    gradient = off_diagonal @ np.concatenate([u, v])
    return abs(u @ v / m**0.5 - y), gradient @ gradient, np.max(np.abs(np.linalg.eigvalsh(off_diagonal)))


def check_width(exponent: Callable) -> Verdict:
    """exponent(s): the power of m in κ for the centred f = m^(−s) Σ_j a_j φ(w_j·x) with a_j = ±1."""
    powers = (0.0, 0.5, 0.75, 1.0)
    values, complaint = _ask(exponent, [(s,) for s in powers], "exponent(s)")
    if complaint is not None:
        return complaint
    s = np.asarray(powers)
    truth = np.asarray([_width_exponent(q) for q in powers])
    for wrong, why in (
        (-s, "that is the curvature; the squared slope is a sum over m units, m^(1 − 2s)"),
        (1 - s, "the sign: the squared slope m^(1 − 2s) stands in the denominator"),
        (1 - 2 * s, "that is the squared slope alone; κ is residual times curvature over it"),
        (2 * s - 1, "that is one over the squared slope; multiply by the curvature, m^(−s)"),
        (-0.5 + 0 * s, "right for s = 1/2 only; keep s in the formula"),
    ):
        if np.allclose(values, wrong, atol=1e-6):
            return Verdict(False, why)
    if np.allclose(values, truth, atol=0.05):
        return Verdict(True, "κ ∝ m^(s − 1): lazy for every s < 1, and s = 1 is where width stops to matter")
    return Verdict(False, f"at s = 1/2 two widths give {truth[1]:.2f}, you {values[1]:.2f}")


def _width_exponent(s):
    """Measured on f = m^(−s) Σ a_j w_j with one output, whose derivatives are known in closed form."""
    kappas = [m**-s / (m ** (-2 * s) * 2 * m) for m in (100, 10_000)]
    return np.log(kappas[1] / kappas[0]) / np.log(100)


def check_homogeneous(exponent: Callable) -> Verdict:
    """exponent(depth): the power of λ in κ when all parameters of a bias-free linear network start λ times as large."""
    depths = (1, 2, 3)
    values, complaint = _ask(exponent, [(depth,) for depth in depths], "exponent(depth)")
    if complaint is not None:
        return complaint
    truth = np.asarray([_homogeneous_exponent(depth) for depth in depths])
    if np.allclose(values, truth, atol=0.02):
        return Verdict(True, "κ ∝ λ^−(L + 1): larger initial weights do what a larger α does, without a scale in front")
    if np.allclose(values, truth + 1, atol=0.02):
        return Verdict(False, "L hidden layers have L + 1 layers of weights: the output is homogeneous of degree L + 1")
    if np.allclose(values, -truth, atol=0.02):
        return Verdict(False, "the sign: the squared slope grows faster than the curvature")
    if np.allclose(values, 2 * truth, atol=0.02) or np.allclose(values, truth - 1, atol=0.02):
        return Verdict(False, "with degree q the curvature is of degree q − 2 and the squared slope of 2 (q − 1)")
    return Verdict(False, f"for one hidden layer, κ at two scales gives {truth[0]:.2f}, you {values[0]:.2f}")


def _homogeneous_exponent(depth):
    """From the derivatives of the centred product of depth + 1 numbers, at λ = 1 and 2."""

    def kappa(size):
        p = size * np.linspace(0.8, 1.2, depth + 1)
        gradient = np.prod(p) / p
        hessian = np.prod(p) / np.outer(p, p) * (1 - np.eye(depth + 1))
        return np.max(np.abs(np.linalg.eigvalsh(hessian))) / (gradient @ gradient)

    return np.log2(kappa(2.0) / kappa(1.0))


def check_how_long(time: Callable) -> Verdict:
    """time(kappa): the largest k for which the theorem promises a relative output gap of at most a tenth."""
    kappas = (1e-4, 1e-2, 0.1, 1.0)
    values, complaint = _ask(time, [(kappa,) for kappa in kappas], "time(kappa)")
    if complaint is not None:
        return complaint
    truth = np.asarray([_time(kappa) for kappa in kappas])
    if np.allclose(values, truth, rtol=0.01):
        return Verdict(
            True, f"at κ = 0.01 the bound holds up to k = {truth[1]:.2f}; k grows as κ^(−2/3) while it is large"
        )
    without = (SHARE * 3 / (8**0.5 * np.asarray(kappas))) ** (2 / 3)
    if np.allclose(values, without, rtol=1e-3):
        return Verdict(False, "you left out k²κ²/4, and so promise more than the theorem does")
    if np.allclose(values, SHARE**0.5 * 2 / np.asarray(kappas), rtol=1e-3):
        return Verdict(False, "you left out the term with k^(3/2) κ, which is the larger one")
    return Verdict(False, f"at κ = {kappas[1]} the bound reaches 0.1 at k = {truth[1]:.4g}, not at {values[1]:.4g}")


def _bound(k, kappa):
    return 8**0.5 / 3 * k**1.5 * kappa + (k * kappa) ** 2 / 4


def _time(kappa):
    low, high = 0.0, 1e4
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _bound(middle, kappa) < SHARE else (low, middle)
    return low


def float32_problem() -> tuple:
    """A network in float32 and a displacement: (f, params0, u, x)."""
    w_key, a_key, u_key = jax.random.split(jax.random.key(8), 3)
    params0 = jax.random.normal(w_key, (5, 128), jnp.float32), jax.random.normal(a_key, (128,), jnp.float32)
    u = jax.tree.map(lambda p: jax.random.normal(u_key, p.shape, p.dtype) / 128**0.5, params0)
    return _tanh_network, params0, u, sphere(jax.random.key(9), 20, 5).astype(jnp.float32)


def _tanh_network(params, x):
    w, a = params
    return (jnp.tanh(x @ w / x.size**0.5) @ a / len(a) ** 0.5)[None]


def check_float32(alpha: float) -> Verdict:
    """The α at which `scaled` is wrong by a hundredth in float32, on `float32_problem()`, within a factor of 3."""
    value = as_number(alpha)
    if value is None or value <= 0:
        return Verdict(False, f"give one positive number, the output scale; got {alpha!r}")
    scales = 10.0 ** np.arange(1, 8)
    errors = np.asarray(_float32_errors(jnp.asarray(scales, jnp.float32)))
    truth = float(np.exp(np.mean(np.log(scales[1:5] * 0.01 / errors[1:5]))))  # the error is proportional to α
    if truth / 3 < value < truth * 3:
        return Verdict(
            True, f"the error passes a hundredth near α = {truth:.0e}, a factor of 2^29 before it does in float64"
        )
    if truth / 3 < value / 2.0**29 < truth * 3:
        return Verdict(False, "that is where float64 gets there: its unit roundoff is 2^29 times smaller")
    if truth / 3 < value * 100 < truth * 3:
        return Verdict(False, "there the error is a ten-thousandth: a hundredth is 0.01")
    if truth / 3 < value / 100 < truth * 3:
        return Verdict(False, "there all digits are gone: look for the relative error 0.01, not 1")
    return Verdict(False, f"the error is proportional to α; at α = 100 it is {errors[1]:.1e}: follow it up to 0.01")


@jax.jit
@jax.vmap
def _float32_errors(alpha):
    f, params0, u, x = float32_problem()
    params = jax.tree.map(lambda p, d: p + d / alpha, params0, u)
    direct = jax.vmap(scaled(f, params0, alpha), (None, 0))(params, x)
    exact = jax.vmap(scaled_increment(f, params0, alpha), (None, 0))(u, x)
    return jnp.linalg.norm(direct - exact) / jnp.linalg.norm(exact)
