"""Self-checks of the chapter `two_layer_networks`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ..activations import relu
from ..datasets import sphere, teacher_student
from ..diagnostics import linearization_error, parameter_change
from ..dynamics import gradient_descent, gradient_flow, max_learning_rate
from ..empirical import empirical_ntk
from ..gram import gram
from ..networks import mlp
from ..training import train
from ._verdict import Verdict, as_number

REGIMES = ("lazy", "rich")


def _network(params, x):
    return params["alpha"] * (jax.nn.relu((x / x.size**0.5) @ params["w"].T) @ params["a"])[None]


def _scaled(alpha):
    return lambda params, x: _network({**params, "alpha": alpha}, x)


def _twins(key, width, dim):
    w_key, a_key = jax.random.split(key)
    w, a = jax.random.normal(w_key, (width // 2, dim)), jax.random.normal(a_key, (width // 2,))
    return {"w": jnp.concatenate([w, w]), "a": jnp.concatenate([a, -a])}


def check_output_scale(output_scale: Callable[[float, int], float]) -> Verdict:
    """output_scale(tau, depth): α of a bias-free ReLU network with `depth` hidden layers drawn at scale τ."""
    if not callable(output_scale):
        return Verdict(False, "give the function itself, output_scale(tau, depth) -> alpha, without calling it")
    for tau, depth in ((3.0, 1), (3.0, 3), (0.5, 2)):
        value = _called(output_scale, tau, depth)
        if value is None:
            return Verdict(False, "output_scale(tau, depth) must return one number")
        truth = _factor(tau, depth)
        if abs(value - truth) > 1e-6 * truth:
            if abs(value - tau**depth) < 1e-9:
                return Verdict(False, "count the layers of weights, not the hidden layers: the readout is scaled too")
            if abs(value - tau**2) < 1e-9:
                return Verdict(False, f"right for one hidden layer; with {depth} there are more layers to scale")
            if abs(value - tau * (depth + 1)) < 1e-9:
                return Verdict(False, "factors of layers that follow on each other multiply, they do not add")
            return Verdict(
                False, f"for τ = {tau} and depth {depth} a network's output grew by {truth:g}, not {value:g}"
            )
    return Verdict(True, "τ comes out of each of the depth + 1 layers, as ReLU passes a positive factor on")


def _called(function, *arguments) -> float | None:
    try:
        return as_number(function(*arguments))
    except Exception:
        return None


def _factor(tau: float, depth: int) -> float:
    """By which factor the output of a network grows when all its weights do by tau."""
    net, x = mlp(8, depth, 1, relu), jnp.linspace(-1.0, 1.0, 5)
    params, _ = net.init(jax.random.key(depth), (5,))
    larger = jax.tree.map(lambda p: tau * p, params)
    return float(net.apply(larger, x)[0] / net.apply(params, x)[0])


def check_conserved(conserved: Callable[[jax.Array, jax.Array], jax.Array]) -> Verdict:
    """conserved(w, a): for each neuron a quantity that gradient flow does not change."""
    if not callable(conserved):
        return Verdict(False, "give the function itself, conserved(w, a) -> (m,), without calling it")
    before, after = _flow_ends()
    try:
        values = [np.asarray(conserved(params["w"], params["a"]), float) for params in (before, after)]
    except Exception:
        values = []
    if not values or any(v.shape != before["a"].shape for v in values):
        return Verdict(False, f"conserved(w, a) must return one number a neuron, of shape {before['a'].shape}")
    start, end = values
    spread = np.ptp(start)
    if not np.isfinite(spread) or spread < 1e-6:
        return Verdict(False, "this is the same for all neurons: it must tell them apart by their w and a")
    if np.abs(end - start).max() < 1e-3 * spread:
        return Verdict(True, f"it changed by less than a thousandth while |a| changed by up to {_moved_a():.2f}")
    squares = [np.sum(np.square(p["w"]), 1) + np.square(p["a"]) for p in (before, after)]
    if all(np.allclose(v, s) for v, s in zip(values, squares, strict=True)):
        return Verdict(False, "the sum grows, both terms by the same amount: so which combination does not?")
    plain = [np.linalg.norm(p["w"], axis=1) - np.abs(p["a"]) for p in (before, after)]
    if all(np.allclose(v, s) for v, s in zip(values, plain, strict=True)):
        return Verdict(False, "close: differentiate ‖w‖² and a² in time, not their roots")
    return Verdict(False, f"along a gradient flow it changed by up to {np.abs(end - start).max():.2g}")


@functools.cache
def _flow_ends():
    data, _ = teacher_student(jax.random.key(0), 20, 1, 3)
    params = jax.tree.map(lambda p: 0.5 * p, _twins(jax.random.key(1), 6, 3))
    end = train(_scaled(1.0), params, *data[:2], gradient_flow(rtol=1e-6), ts=[20.0]).params
    return params, end


def _moved_a() -> float:
    before, after = _flow_ends()
    return float(jnp.abs(jnp.abs(after["a"]) - jnp.abs(before["a"])).max())


def check_compensation(p: float) -> Verdict:
    """p such that the network with 1/m and τ = m^p moves as the one with 1/√m and τ = 1."""
    value = as_number(p)
    if value is None or abs(value) > 3:
        return Verdict(False, f"give one number, the exponent p of τ = m^p; got {p!r}")
    widths = (64, 512)
    wanted, given = ([_reach(m, m**power) for m in widths] for power in (-0.5, 2 * value - 1))
    off = np.log(np.divide(given, wanted)) / np.log(widths)
    if np.abs(off).max() < 0.02:
        return Verdict(True, "then α τ² = 1/m · √m = 1/√m: as theorem and kernel say, it is the same network")
    if abs(value - 0.5) < 0.02:
        return Verdict(False, "τ counts twice, once in w and once in a: its square is the output scale")
    if abs(value + 0.25) < 0.02:
        return Verdict(False, "right size, wrong sign: 1/m is the smaller factor, so τ must make up for it")
    return Verdict(
        False,
        f"at width {widths[-1]} the linear model then moves {given[-1] / wanted[-1]:.3g} times as far, relatively",
    )


@functools.lru_cache(maxsize=32)
def _reach(width: int, scale: float) -> float:
    """The relative movement of the linear model of scale · f from parameters of order one."""
    x = sphere(jax.random.key(0), 10, 5)
    params = _twins(jax.random.key(1), width, 5)
    theta = gram(empirical_ntk(_scaled(1.0), params), x)[:, :, 0, 0] * scale**2
    y = jnp.sin(jnp.arange(10.0))
    size = sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))
    return float(jnp.sqrt(y @ jnp.linalg.solve(theta, y) / size))


def check_crossover(exponent: float) -> Verdict:
    """The exponent of m in the scale τ* at which the relative movement is 1/2, with no factor in front of the sum."""
    value = as_number(exponent)
    if value is None:
        return Verdict(False, f"give one number, the exponent; got {exponent!r}")
    truth = _crossover_exponent()
    if abs(value - truth) < 0.08:
        return Verdict(True, f"measured {truth:.2f}, theory −1/2: the movement depends on α m τ², here m τ²")
    if abs(value - 0.5) < 0.1:
        return Verdict(False, "right size, wrong sign: more neurons share the work, so a smaller τ is lazy already")
    if abs(value + 0.25) < 0.08:
        return Verdict(False, "this is the exponent with the factor 1/√m in front of the sum; here there is none")
    if abs(value + 1) < 0.12:
        return Verdict(False, "m τ² is constant at the crossover, not m τ: take the square root")
    return Verdict(False, f"{value:.2f} is too far off: interpolate log τ where the logarithm of the movement crosses")


@functools.cache
def _crossover_exponent() -> float:
    taus = jnp.geomspace(0.05, 1.6, 6)
    crossings = [
        jnp.interp(jnp.log(2.0), -jnp.log(_movements(_twins(jax.random.key(1), m, 5), taus)), jnp.log(taus))
        for m in (16, 256)
    ]
    return float((crossings[1] - crossings[0]) / jnp.log(256 / 16))


@jax.jit
def _movements(params, taus):
    data, _ = teacher_student(jax.random.key(0), 40, 1, 5)

    def movement(tau):
        start = jax.tree.map(lambda p: tau * p, params)
        rate = jnp.minimum(1.0, max_learning_rate(gram(empirical_ntk(_scaled(1.0), start), data.x_train)) / 2)
        run = train(_scaled(1.0), start, *data[:2], gradient_descent(rate), steps=[400])
        return parameter_change(start, run.params).total

    return jax.vmap(movement)(taus)


def mystery(number: int) -> tuple:
    """A trained two-layer network: (f, params0, params, x), x the training inputs. There are four, 1 to 4."""
    if number not in (1, 2, 3, 4):
        raise ValueError(f"there are mysteries 1 to 4, got {number!r}")
    return _mystery(number)


@functools.cache
def _mystery(number):
    data, _ = teacher_student(jax.random.key(3), 40, 1, 5)
    width, alpha, tau = ((512, 512**-0.5, 1.0), (512, 1 / 512, 1.0), (16, 1.0, 4.0), (256, 256**-0.5, 1.0))[number - 1]
    f, start = _scaled(alpha), jax.tree.map(lambda p: tau * p, _twins(jax.random.key(4), width, 5))
    if number == 4:  # only the readout is trained, from almost nothing: far, and on a straight line
        start = {**start, "a": 1e-2 * start["a"]}
        f = _readout_only(f)
    rate = max_learning_rate(gram(empirical_ntk(f, start), data.x_train)) / 2
    run = train(f, start, *data[:2], gradient_descent(rate), steps=[500])
    return f, start, run.params, data.x_train


def _readout_only(f):
    return lambda params, x: f({**params, "w": jax.lax.stop_gradient(params["w"])}, x)


def check_regimes(regimes: Sequence[str]) -> Verdict:
    """Whether mysteries 1 to 4 were trained in the "lazy" or in the "rich" regime."""
    if not isinstance(regimes, (list, tuple)) or len(regimes) != 4 or not all(r in REGIMES for r in regimes):
        return Verdict(False, f"give four of {REGIMES}, in the order of the mysteries; got {regimes!r}")
    truth = [_regime(number) for number in (1, 2, 3, 4)]
    wrong = [number for number, (given, true) in enumerate(zip(regimes, truth, strict=True), 1) if given != true]
    if not wrong:
        return Verdict(
            True, "1/√m and large τ are lazy, 1/m is rich; a trained readout alone is linear, however far it goes"
        )
    if wrong == [4]:
        return Verdict(
            False, "mystery 4: it moved far, but look at which parameters moved, and at its linearization error"
        )
    if 2 in wrong:
        return Verdict(False, "mystery 2: being wide does not decide; compare it with its own linearization")
    return Verdict(False, f"mystery {wrong[0]}: take ntk.linearization_error(f, params0, params, x); below 0.1 is lazy")


def _regime(number):
    f, params0, params, x = mystery(number)
    return "lazy" if linearization_error(f, params0, params, x) < 0.1 else "rich"
