"""Self-checks of the chapter on initialization."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ScalarLike

from ..activations import erf, leaky_relu
from ..signal_propagation import critical_scales, fixed_point, kernels_by_depth
from ._verdict import Verdict, as_number

W_STDS = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)


def check_critical(w_std: Callable[[float], float]) -> Verdict:
    """w_std(slope): σ_w of leaky ReLU on the edge of chaos, as a function of its negative slope."""
    if not callable(w_std):
        return Verdict(False, f"give a function of the slope, such as lambda slope: ...; got {w_std!r}")
    for slope in (0.0, 0.2, 0.5):
        value, truth = as_number(w_std(slope)), float(critical_scales(leaky_relu(slope), 1.0)[0])
        if value is None:
            return Verdict(False, f"w_std({slope}) must be one number, got {w_std(slope)!r}")
        if abs(value - truth) < 1e-6:
            continue
        if abs(value - truth**2) < 1e-6:
            return Verdict(False, "this is σ_w²: take the root")
        if abs(value - 2**0.5) < 1e-6:
            return Verdict(
                False, f"√2 is ReLU's; with a negative slope of {slope} the other half of the inputs counts too"
            )
        if abs(value - 2**0.5 / (1 + slope)) < 1e-6:
            return Verdict(False, "E[φ'²] is a mean of squares: (1 + slope²)/2, not ((1 + slope)²)/2")
        return Verdict(
            False, f"for slope {slope} you have {value:.4f}, where σ_w² E[φ'(u)²] is {(value / truth) ** 2:.3f}"
        )
    return Verdict(True, "σ_w = √(2 / (1 + slope²)): ReLU needs √2, a linear network 1")


def check_missing(frequencies: Sequence) -> Verdict:
    """Which k from 0 to 8 an erf network without biases cannot learn, with three hidden layers."""
    try:
        given = {int(k) for k in frequencies}
    except (TypeError, ValueError):
        return Verdict(False, f"give a list of frequencies k, such as [3, 5, 7]; got {frequencies!r}")
    row = kernels_by_depth(erf, jnp.cos(2 * jnp.pi * jnp.arange(512) / 512), 3).ntk[3]
    lam = np.abs(np.fft.rfft(np.asarray(row)).real)[:9]
    truth = {k for k in range(9) if lam[k] < 1e-12 * lam.max()}
    if given == truth:
        return Verdict(True, "an odd activation without biases makes an odd network, at any depth")
    if given == {3, 5, 7}:
        return Verdict(False, "these are ReLU's with one hidden layer: erf is odd, erf(−z) = −erf(z)")
    if given == set(range(9)) - truth:
        return Verdict(False, "these are the frequencies that it can learn")
    if not given:
        return Verdict(False, "depth closes the gap of ReLU, but a composition of odd functions is odd")
    if given == truth - {0}:
        return Verdict(False, "a constant is a frequency, too: k = 0 is even")
    return Verdict(False, f"{sorted(given)} is not right: compute the spectrum and look for zeros")


def check_depth_scale(layers: ScalarLike) -> Verdict:
    """After how many layers c − c* falls by a factor e, for erf with σ_w = 2 and σ_b = 0.1."""
    value, point = as_number(layers), fixed_point(erf, 2.0, 0.1)
    if value is None:
        return Verdict(False, f"give one number, a depth; got {layers!r}")
    truth, at_one = (1 / abs(math.log(float(slope))) for slope in (point.slope, point.chi))
    if abs(value / truth - 1) < 0.02:
        return Verdict(True, f"{truth:.2f} layers: five times as deep, less than 1 % of c − c* is left")
    if abs(value / at_one - 1) < 0.02:
        return Verdict(False, "χ is the slope at c = 1, from where correlations flee: take the slope at c*")
    if abs(value / (truth * math.log(2)) - 1) < 0.02:
        return Verdict(False, "this is the depth after which half is left: e is asked for")
    if abs(value + truth) < 0.02 * truth:
        return Verdict(False, "the right size, but ln C'(c*) is negative: a depth is positive")
    if abs(value / float(point.slope) - 1) < 0.02:
        return Verdict(False, "this is C'(c*), the factor of one layer: how many layers make 1/e?")
    return Verdict(
        False, f"{value:.3g} layers multiply c − c* by {float(point.slope) ** value:.3g}, not by {1 / math.e:.3g}"
    )


def check_rates(rates: Callable[[float, int, float, float], tuple[float, float]]) -> Verdict:
    """rates(eta, fan_in, w_std, b_std) -> of W and b, in the NTK parameterization, those of a standard layer at eta."""
    for eta, fan_in, w_std, b_std in ((0.1, 50, 1.5, 0.5), (0.02, 300, 0.7, 2.0)):
        try:
            w_rate, b_rate = (float(rate) for rate in rates(eta, fan_in, w_std, b_std))
        except (TypeError, ValueError):
            return Verdict(False, "rates(eta, fan_in, w_std, b_std) must return two numbers, those of W and of b")
        scale_w, scale_b = fan_in / w_std**2, 1 / b_std**2
        if math.isclose(w_rate, eta * scale_w) and math.isclose(b_rate, eta * scale_b):
            continue
        if math.isclose(w_rate, eta / scale_w):
            return Verdict(False, "upside down: our W is the standard one divided by σ_w/√fan-in, so it must move more")
        if math.isclose(w_rate, eta * scale_w**0.5):
            return Verdict(False, "the factor counts twice: once in the gradient, once in the step")
        if math.isclose(w_rate, eta * fan_in) or math.isclose(b_rate, eta):
            return Verdict(
                False, "σ_w and σ_b belong to the factors, too: the standard W is σ_w/√fan-in times ours, b σ_b times"
            )
        return Verdict(
            False, f"for fan-in {fan_in} you have ({w_rate:.4g}, {b_rate:.4g}): compare one step of both by hand"
        )
    return Verdict(True, "η fan-in/σ_w² for the weights, η/σ_b² for the biases")


def data() -> tuple[jax.Array, jax.Array]:
    """Twenty angles, and noisy values of a function on the circle that has steps."""
    angle_key, noise_key = jax.random.split(jax.random.key(8, impl="threefry2x32"))
    a = jnp.sort(jax.random.uniform(angle_key, (20,), minval=-jnp.pi, maxval=jnp.pi))
    return a, _target(a) + 0.1 * jax.random.normal(noise_key, (20,))


def _target(a):
    return jnp.tanh(4 * jnp.sin(a)) + 0.5 * jnp.cos(2 * a)


@functools.cache
def _choices() -> dict[str, float]:
    """The σ_w that each way of choosing takes."""
    a, y = data()
    test = jnp.linspace(-jnp.pi, jnp.pi, 400)

    @jax.jit
    @jax.vmap
    def errors(w_std):
        every = jnp.concatenate([a, test])
        kernel = kernels_by_depth(erf, jnp.cos(every[:, None] - a[None]), 5, w_std=w_std, b_std=0.1).ntk[5]
        inverse = jnp.linalg.inv(kernel[: len(a)])
        out = jnp.mean((inverse @ y / jnp.diag(inverse)) ** 2)
        return out, jnp.mean((kernel[len(a) :] @ inverse @ y - _target(test)) ** 2)

    left_out, tested = (np.asarray(e) for e in errors(jnp.asarray(W_STDS)))
    return {"left out": W_STDS[int(left_out.argmin())], "test": W_STDS[int(tested.argmin())]}


def check_choice(w_std: float) -> Verdict:
    """Which of the seven σ_w has the least leave-one-out error on `data()`, five hidden layers of erf, σ_b = 0.1."""
    value, truth = as_number(w_std), _choices()
    if value is None or not any(abs(value - w) < 1e-6 for w in W_STDS):
        return Verdict(False, f"give one of the weight scales {W_STDS}, got {w_std!r}")
    if abs(value - truth["left out"]) < 1e-6:
        return Verdict(True, f"σ_w = {value:g}; on the whole circle the best of the seven is {truth['test']:g}")
    if value == max(W_STDS):
        return Verdict(
            False, "the best conditioned kernel, which knows nothing between the points: leave one out, and predict it"
        )
    if value == min(W_STDS):
        return Verdict(
            False, "all seven fit the data exactly, so the fit cannot choose: leave one point out, and predict it"
        )
    return Verdict(False, f"another one predicts points left out better than σ_w = {value:g}: use [Θ⁻¹y]ᵢ / [Θ⁻¹]ᵢᵢ")
