"""Self-checks of the chapter `when_it_fails`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ..activations import relu, tanh
from ..datasets import digits, near_duplicates, sphere
from ..dynamics import gradient_descent, max_learning_rate
from ..empirical import empirical_ntk
from ..gram import gram
from ..networks import infinite_ntk, mlp
from ..training import train
from ._verdict import Verdict, as_number

DIAGNOSES = ("learning rate", "duplicates", "curved")


def check_window(window: Callable[[float, float], tuple[float, float]]) -> Verdict:
    """window(curvature, lam): the learning rates between which f = u·v / √m on the loss ½ curvature f² is catapulted."""
    if not callable(window):
        return Verdict(False, "give the function itself, window(curvature, lam) -> (low, high), without calling it")
    for curvature, lam in ((1.0, 2.0), (3.0, 2.0), (0.5, 1.7)):
        try:
            low, high = (float(end) for end in window(curvature, lam))
        except (TypeError, ValueError):
            return Verdict(False, "window(curvature, lam) must return two numbers, (low, high)")
        if not low < high:
            return Verdict(False, f"low = {low:.4g} is not below high = {high:.4g}: return the smaller one first")
        inside = [_converges(eta, curvature, lam) for eta in (0.97 * high, 1.03 * high)]
        grows = [_first_factor(eta, curvature, lam) > 1 for eta in (0.97 * low, 1.03 * low)]
        if inside != [True, False] or grows != [False, True]:
            if curvature != 1.0 and np.allclose([low, high], [2 / lam, 4 / lam]):
                return Verdict(
                    False, "right for curvature 1; the gradient of ½ c f² is c f, so η stands beside c everywhere"
                )
            if np.allclose([low, high], [1 / (curvature * lam), 2 / (curvature * lam)]):
                return Verdict(
                    False, "|1 − η c λ| reaches 1 at η c λ = 2, not at 1: the whole window is twice as far out"
                )
            if np.allclose([low, high], [2 * curvature / lam, 4 * curvature / lam]):
                return Verdict(False, "a steeper loss needs smaller steps: curvature belongs in the denominator")
            return Verdict(
                False, f"for curvature {curvature} and λ₀ = {lam}, simulated runs disagree with ({low:.4g}, {high:.4g})"
            )
    return Verdict(True, "2/(c λ₀) < η < 4/(c λ₀); runs of the recursion on both sides of both ends agree")


def _first_factor(eta, curvature, lam):
    return abs(1 - eta * curvature * lam)


def _converges(eta, curvature, lam, width=1e6):
    """Runs the two-number recursion, with η c in the place of η."""
    f, rate = 1.0, eta * curvature
    for _ in range(20_000):
        f, lam = f * (1 - rate * lam + rate**2 * f**2 / width), lam + rate * f**2 / width * (rate * lam - 4)
        if not abs(f) < 1e6:
            return False
    return abs(f) < 1e-3


def check_distance(distance: float) -> Verdict:
    """The distance of the twins at which the tanh kernel's √(yᵀΘ⁻¹y) is twice that at distance 3."""
    value = as_number(distance)
    if value is None or not 0 < value < 3:
        return Verdict(False, f"give one number between 0 and 3, the distance of the twins; got {distance!r}")
    ratio = _reach(value, tanh) / _reach(3.0, tanh)
    if abs(ratio - 2) < 0.05:
        return Verdict(
            True, f"at distance {value:.3g} the linear model has {ratio:.2f} times as far to go as at distance 3"
        )
    if abs(ratio - 2**0.5) < 0.04:
        return Verdict(False, "there yᵀΘ⁻¹y has doubled: the distance is its square root")
    if abs(_reach(value, relu) / _reach(3.0, relu) - 2) < 0.05:
        return Verdict(False, "this is the answer for ReLU: take mlp(..., ntk.tanh)")
    return Verdict(
        False,
        f"at distance {value:.3g} the ratio is {ratio:.3g}, not 2: move the twins {'closer' if ratio < 2 else 'apart'}",
    )


def _reach(distance, activation):
    x, y = near_duplicates(jax.random.key(10), 12, 10, distance)
    kernel = gram(infinite_ntk(mlp(1, 1, 1, activation)), x)
    return float(jnp.sqrt(y[:, 0] @ jnp.linalg.solve(kernel, y[:, 0])))


def check_edge(edge: float) -> Verdict:
    """The largest multiple c of n / λ_max, in steps of 0.1 from 2.0 on, such that it and all below it converge."""
    value = as_number(edge)
    if value is None:
        return Verdict(False, f"give one number, the largest stable η λ₀; got {edge!r}")
    speeds = jnp.arange(20, 51) / 10
    net, params0, data, unit = _edge_problem()
    stable = _stable(net, params0, data.x_train, data.y_train, speeds * unit)
    truth = float(speeds[int(jnp.argmin(stable)) - 1])
    if abs(value - truth) < 0.051:
        return Verdict(True, f"the network trains up to η λ₀ = {truth:.1f}, where its linearization stops at 2")
    if abs(value - 2) < 0.11:
        return Verdict(False, "2 is the limit of the linearized model: train the network itself")
    if abs(value - 4) < 0.051:
        return Verdict(False, "4 is the limit of u·v/√m; this network has its own, find it by training")
    if abs(value - truth * float(unit)) < 0.1 * float(unit):
        return Verdict(False, "this is η itself: divide it by n / λ_max to have η λ₀")
    return Verdict(
        False, f"{value:.2f} is not where runs start to diverge; count a run as converged if its loss ends below 0.01"
    )


@functools.cache
def _edge_problem():
    data = digits(jax.random.key(0), 32, 50, num_components=10)
    net = mlp(512, 1, 1, relu)
    params0 = jax.jit(lambda key: net.init(key, (10,))[0])(jax.random.key(1))
    unit = max_learning_rate(gram(empirical_ntk(net.apply, params0), data.x_train)) / 2
    return net, params0, data, unit


@functools.partial(jax.jit, static_argnames="net")
def _stable(net, params0, x, y, learning_rates):
    """Whether runs of 150 steps end with a small loss; NaN counts as no."""

    def loss(learning_rate):
        return train(net.apply, params0, x, y, gradient_descent(learning_rate), steps=[150]).loss[-1]

    return jax.vmap(loss)(learning_rates) < 0.01


def check_trade_off(exponents: tuple[float, float]) -> Verdict:
    """(p, q) of linearization error ≈ C β^p m^q, fitted where the error is small."""
    try:
        p, q = (float(e) for e in exponents)
    except (TypeError, ValueError):
        return Verdict(False, f"give two numbers, (p, q), for error ≈ C β^p m^q; got {exponents!r}")
    if p < 0 < q:
        return Verdict(False, "the order is (p, q): first the exponent of β, then that of the width m")
    if q > 0:
        return Verdict(False, "the error shrinks as the width grows: q is negative")
    if not 1.2 < p < 1.9:
        return Verdict(False, f"p = {p:.2f}: fit over β ≤ 4, before the error saturates near one, at time t = 20")
    if not -1.25 < q < -0.75:
        near_half = abs(q + 0.5) < 0.1
        return Verdict(
            False,
            f"q = {q:.2f}"
            + (": −1/2 is how single weights move; the error falls faster" if near_half else " is too far off"),
        )
    return Verdict(
        True,
        f"the error is constant along β ∝ m^{-q / p:.2f}: twice as rough an activation needs {2 ** (-p / q):.1f} times the width",
    )


def check_alpha(exponent: float) -> Verdict:
    """The exponent of the linearization error as a function of the output scale α."""
    value = as_number(exponent)
    if value is None:
        return Verdict(False, f"give one number, the exponent; got {exponent!r}")
    if abs(value + 1) < 0.15:
        return Verdict(True, "the error falls as 1/α: four units in a layer are enough to be linear")
    if abs(value - 1) < 0.15:
        return Verdict(False, "right size, wrong sign: the error falls as α grows")
    if abs(value + 2) < 0.2:
        return Verdict(
            False, "−2 is the exponent of the distance between the two parameter paths; the outputs carry one α more"
        )
    if abs(value) < 0.15:
        return Verdict(
            False, "nothing changed with α: is the learning rate 2/α², and was f scaled before it was trained?"
        )
    return Verdict(False, f"{value:.2f} is not what the scaled model gives: fit log error against log α")


def mystery(number: int) -> tuple:
    """A training run that left the linear regime: (f, params0, params, x, y, learning_rate). There are three, 1 to 3."""
    if number not in (1, 2, 3):
        raise ValueError(f"there are mysteries 1, 2 and 3, got {number!r}")
    speed = (0.5, 0.5, 2.7)[number - 1]
    if number == 1:
        x, y = near_duplicates(jax.random.key(6), 12, 10, 0.15)
    else:
        x = sphere(jax.random.key(5), 13, 10)
        y = jnp.sign(x[:, :1])
    if number == 2:
        x = 12.0 * x
    params0, params, learning_rate = _run(x, y, speed)
    return _two_layers, params0, params, x, y, learning_rate


def _two_layers(params, x):
    w, v = params
    return jnp.tanh(x @ w / x.size**0.5) @ v / len(v) ** 0.5


@jax.jit
def _run(x, y, speed):
    w_key, v_key = jax.random.split(jax.random.key(7))
    params0 = (jax.random.normal(w_key, (10, 256)), jax.random.normal(v_key, (256, 1)))
    learning_rate = speed / 2 * max_learning_rate(gram(empirical_ntk(_two_layers, params0), x))
    run = train(_two_layers, params0, x, y, gradient_descent(learning_rate), steps=[1000])
    return params0, run.params, learning_rate


def check_diagnoses(diagnoses: Sequence[str]) -> Verdict:
    """What is wrong with mysteries 1, 2 and 3: each "learning rate", "duplicates" or "curved"."""
    if not isinstance(diagnoses, (list, tuple)) or len(diagnoses) != 3 or not all(d in DIAGNOSES for d in diagnoses):
        return Verdict(False, f"give three of {DIAGNOSES}, in the order of the mysteries; got {diagnoses!r}")
    for number, (given, truth) in enumerate(zip(diagnoses, map(_diagnose, (1, 2, 3)), strict=True), 1):
        if given == truth:
            continue
        if truth == "learning rate":
            return Verdict(
                False, f"mystery {number}: look at the step size first, it is beyond the linear model's limit"
            )
        if truth == "duplicates":
            return Verdict(
                False,
                f"mystery {number}: its target is hard for its kernel; compare the two closest inputs and their labels",
            )
        return Verdict(
            False,
            f"mystery {number}: neither the step nor the data is at fault, yet the look-ahead fails: look at its inputs' size",
        )
    return Verdict(
        True, "twins with opposite labels, inputs twelve times too large, and a learning rate in the catapult window"
    )


def _diagnose(number):
    f, params0, _, x, y, learning_rate = mystery(number)
    kernel = gram(empirical_ntk(f, params0), x)
    if learning_rate > max_learning_rate(kernel):
        return "learning rate"
    theta, residual = kernel[:, :, 0, 0], (y - jax.vmap(f, (None, 0))(params0, x))[:, 0]
    hardness = jnp.sqrt(residual @ jnp.linalg.solve(theta, residual) * jnp.trace(theta) / len(x)) / jnp.linalg.norm(
        residual
    )
    return "duplicates" if hardness > 5 else "curved"
