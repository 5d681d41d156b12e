"""Real training, of a network, its linearization or its scaled version alike. Only this file loops over steps."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree
from tqdm import tqdm

from ._checks import check_finite, is_concrete
from ._lazy import lazy
from ._pytree import as_pytree
from .dynamics import GradientFlow, HeavyBall

diffrax, optax = lazy("diffrax"), lazy("optax")
Loss = Callable[[Array, Array], Array]
UNTIL = GradientFlow(rtol=1e-3, max_steps=10_000)  # of `train_until`, whose last step is late by more than this anyway


def squared_loss(f: Float[Array, "n *outputs"], y: Float[Array, "n *outputs"]) -> Float[Array, ""]:
    """The mean over examples of ½ |f − y|², summed over outputs."""
    if f.shape != y.shape:
        raise ValueError(f"outputs have shape {f.shape} and targets {y.shape}: they must agree, with no broadcasting")
    return 0.5 * jnp.sum((f - y) ** 2) / len(y)


def cross_entropy(f: Float[Array, "n k"], y: Float[Array, "n k"]) -> Float[Array, ""]:
    """The mean over examples of −Σ_k y_k log softmax(f)_k, for one-hot or soft labels y."""
    return jnp.mean(optax.softmax_cross_entropy(f, y))


def hinge(f: Float[Array, "n *outputs"], y: Float[Array, "n *outputs"], *, sharpness: float = 20.0) -> Float[Array, ""]:
    """The mean over examples of log(1 + exp(β (1 − y f))) / β, y = ±1: max(0, 1 − y f) with its kink rounded off.

    Args:
        sharpness: β. The value of 20 is that of the public code of Geiger et al. 2020.
    """
    if f.shape != y.shape:
        raise ValueError(f"outputs have shape {f.shape} and labels {y.shape}: they must agree, with no broadcasting")
    return jnp.sum(jax.nn.softplus(sharpness * (1 - y * f))) / (sharpness * len(y))


class Trajectory(NamedTuple):
    """What `train` recorded, times (or steps) first.

    Attributes:
        ts: the times, or the numbers of steps, asked for.
        loss: the training loss there.
        record: what `record(params)` returned there; None where no function was given.
        params: the parameters at the last of them.
    """

    ts: Array
    loss: Float[Array, " times"]
    record: PyTree
    params: PyTree


def train(
    f: Callable[[PyTree, Array], Array],
    params0: PyTree,
    x: Float[Array, "n *shape"],
    y: Array,
    optimizer: GradientFlow | HeavyBall | optax.GradientTransformation,
    *,
    ts: Any = None,
    steps: Any = None,
    loss: Loss = squared_loss,
    record: Callable[[PyTree], PyTree] | None = None,
    batch_size: int | None = None,
    key: PRNGKeyArray | None = None,
    progress: bool = False,
) -> Trajectory:
    """Trains f(params, x) on (x, y) from params0.

    Pure JAX: `jax.vmap` over params0 or key trains many networks in one program.

    Args:
        f: one example to a vector of outputs. A network's `apply`, `linearize(f, params0)`,
            `scaled(f, params0, alpha)`, or any function like them.
        x, y: examples and targets along the first axis.
        optimizer: `gradient_flow()`, `gradient_descent(learning_rate)`, `heavy_ball(learning_rate, momentum)`, as in
            `predict`, or any optax optimizer.
        ts: for gradient flow, the times to record at, increasing.
        steps: for all others, the numbers of steps to record at, increasing; 0 is before the first.
        loss: (outputs, targets) -> one number for the whole set.
        record: params -> anything, evaluated at each of them.
        batch_size, key: examples drawn with replacement at each step; None takes all of them. Not for gradient flow.
        progress: show a progress bar. Not under `jit` or `vmap`.

    Raises:
        ValueError: if ts and steps do not fit the optimizer or are not increasing, if data are not finite or of unequal
            number, or if batch_size comes without key.
        RuntimeError: if gradient flow needs more than its `max_steps`.
    """
    f, x, y = as_pytree(f), jnp.asarray(x), jnp.asarray(y)
    check_finite(x=x, y=y, params0=params0)
    if len(x) != len(y):
        raise ValueError(f"x holds {len(x)} examples and y {len(y)} targets: they must agree")
    if isinstance(optimizer, GradientFlow):
        if batch_size is not None:
            raise ValueError("gradient flow uses all examples: leave batch_size out, or take gradient_descent")
        return _flow(f, params0, x, y, _moments(ts, "ts", steps), optimizer, loss, record, progress)
    if batch_size is not None and key is None:
        raise ValueError("batch_size needs key=jax.random.key(...), from which the batches are drawn")
    if isinstance(optimizer, HeavyBall):
        optimizer = _sgd(optimizer)
    moments = _moments(steps, "steps", ts).astype(int)
    return _descend(f, params0, x, y, moments, optimizer, loss, record, batch_size, key, progress)


class Arrival(NamedTuple):
    """Where `train_until` ended.

    Attributes:
        t: the time.
        params: the parameters there.
        reached: whether the condition holds there; False where the steps, or the time, ran out before.
        num_steps: of the integrator, those it took back included.
    """

    t: Float[Array, ""]
    params: PyTree
    reached: Bool[Array, ""]
    num_steps: Int[Array, ""]


def train_until(
    f: Callable[[PyTree, Array], Array],
    params0: PyTree,
    x: Float[Array, "n *shape"],
    y: Array,
    until: Callable[[PyTree], Array],
    flow: GradientFlow = UNTIL,
    *,
    loss: Loss = squared_loss,
    t_max: Any = jnp.inf,
) -> Arrival:
    """Gradient flow of f(params, x) on (x, y) from params0, to the first step of the integrator where `until` holds.

    For flows whose duration is not known in advance: until all margins are reached, until a kernel has changed so much.
    Under `jax.vmap` all networks take as many steps as the slowest: vmap over seeds, not over very different settings.

    Args:
        f, params0, x, y, loss: as in `train`.
        until: params -> whether to stop. It is looked at after each step of the integrator, so the end is late by up to
            one step. Steps are long where the path is straight, and what grows fast may go far beyond a threshold: to
            find when it passes one, interpolate between times that `train` records.
        flow: accuracy, and the largest number of steps. The solver is of third order (Bogacki–Shampine), since kinks
            as those of ReLU spoil higher ones.
        t_max: give up at that time.

    Raises:
        ValueError: if data are not finite or of unequal number. Too few steps raise nothing: see `reached`.
    """
    x, y = jnp.asarray(x), jnp.asarray(y)
    check_finite(x=x, y=y, params0=params0)
    if len(x) != len(y):
        raise ValueError(f"x holds {len(x)} examples and y {len(y)} targets: they must agree")
    return _flow_until(as_pytree(f), params0, x, y, as_pytree(until), jnp.asarray(t_max, float), flow, loss)


@functools.partial(jax.jit, static_argnames=("flow", "loss"))
def _flow_until(f, params0, x, y, until, t_max, flow, loss):
    solution, params = _integrate(
        f, params0, x, y, flow, loss, diffrax.Bosh3(),
        t1=t_max,
        event=lambda at: diffrax.Event(at(lambda t, params, data: jnp.all(until(params)))),
        throw=False,
    )  # fmt: skip
    reached = solution.result == diffrax.RESULTS.event_occurred
    return Arrival(solution.ts[-1][0], params, reached, solution.stats["num_steps"])


def _sgd(dynamics: HeavyBall) -> optax.GradientTransformation:
    settings = (dynamics.learning_rate, dynamics.momentum)
    if any(isinstance(setting, jax.core.Tracer) for setting in settings):
        return optax.sgd(*settings)
    return _cached_sgd(*map(float, settings))


@functools.cache
def _cached_sgd(learning_rate: float, momentum: float) -> optax.GradientTransformation:
    """One object for one setting: an optimizer is part of the compiled program, and a new one would compile anew."""
    return optax.sgd(learning_rate, momentum or None)


def _moments(given, name: str, other) -> Array:
    if given is None or other is not None:
        raise ValueError(
            f"this optimizer takes {name}=..., and nothing else, to say when to record: "
            f"gradient flow has ts, others steps"
        )
    moments = jnp.atleast_1d(jnp.asarray(given, float))
    if is_concrete(moments) and not (
        moments.size > 0 and jnp.all(jnp.diff(moments) >= 0) and moments[0] >= 0 and jnp.isfinite(moments[-1])
    ):
        raise ValueError(f"{name} must be finite, 0 or more, and increasing, got {np.asarray(given)}")
    if name == "steps" and is_concrete(moments) and not jnp.all(moments == jnp.round(moments)):
        raise ValueError(
            f"steps must be whole numbers, got {np.asarray(given)}: for times, take steps = ts / learning_rate"
        )
    return moments


def _observe(f, x, y, loss, record, params):
    value = loss(jax.vmap(f, (None, 0))(params, x), y)
    return value, (None if record is None else record(params))


@functools.partial(jax.jit, static_argnames=("flow", "loss", "record", "progress"))
def _flow(f, params0, x, y, ts, flow, loss, record, progress):
    def observe(t, params, data):
        return _observe(f, *data, loss, record, params)

    def leaves(*args):  # diffrax saves arrays only, where a record may hold empty tuples
        return jax.tree.leaves(observe(*args))

    solution, params = _integrate(
        f, params0, x, y, flow, loss, diffrax.Tsit5(),
        t1=ts[-1],
        save=lambda at: [diffrax.SubSaveAt(ts=ts, fn=at(leaves))],
        progress_meter=diffrax.TqdmProgressMeter() if progress else diffrax.NoProgressMeter(),
    )  # fmt: skip
    structure = jax.tree.structure(jax.eval_shape(observe, 0.0, params0, (x, y)))
    return Trajectory(ts, *jax.tree.unflatten(structure, solution.ys[0]), params)


def _integrate(f, params0, x, y, flow, loss, solver, *, save=lambda at: [], event=None, **settings):
    """Integrates the displacement u = θ − θ₀, so that its error is held against its own size, not against that of θ.

    `save(at)` and `event(at)` are told how to turn a function of (t, θ, (x, y)) into one of the solver's state.

    Returns:
        diffrax's solution, with u at the end behind all that was to be saved, and θ at the end.
    """
    flat0, unravel = ravel_pytree(params0)

    def at(function):
        return lambda t, u, data, **_: function(t, unravel(flat0 + u), data)

    def outputs(u, x):
        return jax.vmap(f, (None, 0))(unravel(flat0 + u), x)

    def velocity(t, u, data):
        x, y = data
        return -jax.grad(lambda u: loss(outputs(u, x), y))(u)

    start = jnp.zeros_like(flat0)
    atol = flow.rtol * _displacement_scale(lambda u: outputs(u, x), velocity(0.0, start, (x, y)), start, flat0)
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(velocity),
        solver,
        t0=0.0,
        dt0=None,
        y0=start,
        args=(x, y),
        saveat=diffrax.SaveAt(subs=[*save(at), diffrax.SubSaveAt(t1=True)]),
        stepsize_controller=diffrax.PIDController(rtol=flow.rtol, atol=atol),
        max_steps=flow.max_steps,
        event=None if event is None else event(at),
        **settings,
    )
    return solution, unravel(flat0 + solution.ys[-1][0])


def _displacement_scale(outputs, gradient, start, flat0):
    """The size of an entry of u, from the first Newton step along the gradient g: |g|³ n / ‖J g‖² / √p.

    Where that step is longer than θ₀ the model is far from linear, and will not go so far: the size of θ₀ is taken.
    """
    values, change = jax.jvp(outputs, (start,), (gradient,))
    newton_step = jnp.linalg.norm(gradient) ** 3 * len(values) / jnp.sum(change**2)
    step = jnp.where(jnp.isfinite(newton_step) & (newton_step > 0), newton_step, 1.0)
    size = jnp.linalg.norm(flat0)
    return jnp.where(size > 0, jnp.minimum(step, size), step) / start.size**0.5


def _descend(f, params, x, y, moments, optimizer, loss, record, batch_size, key, progress):
    key = jax.random.key(0) if key is None else key
    settings = {"optimizer": optimizer, "loss": loss, "record": record, "batch_size": batch_size}
    lengths = jnp.diff(moments, prepend=0)
    if not progress:
        seen, params = _descend_at_once(f, params, x, y, key, lengths, **settings)
        return Trajectory(moments, *seen, params)
    state, seen = (params, jax.jit(optimizer.init)(params), key), []
    for length in tqdm(np.asarray(lengths), desc="training"):
        state, observed = _advance(f, state, x, y, length, **settings)
        seen.append(observed)
    return Trajectory(moments, *jax.tree.map(lambda *leaves: jnp.stack(leaves), *seen), state[0])


@functools.partial(jax.jit, static_argnames=("optimizer", "loss", "record", "batch_size"))
def _descend_at_once(f, params, x, y, key, lengths, **settings):
    state = (params, settings["optimizer"].init(params), key)
    state, seen = jax.lax.scan(lambda state, length: _advance(f, state, x, y, length, **settings), state, lengths)
    return seen, state[0]


@functools.partial(jax.jit, static_argnames=("optimizer", "loss", "record", "batch_size"))
def _advance(f, state, x, y, num_steps, *, optimizer, loss, record, batch_size):
    """`num_steps` steps of the optimizer, then a look."""

    def objective(params, x, y):
        return loss(jax.vmap(f, (None, 0))(params, x), y)

    def step(_, state):
        params, optimizer_state, key = state
        key, batch_key = jax.random.split(key)
        batch = slice(None) if batch_size is None else jax.random.randint(batch_key, (batch_size,), 0, len(x))
        gradient = jax.grad(objective)(params, x[batch], y[batch])
        updates, optimizer_state = optimizer.update(gradient, optimizer_state, params)
        return optax.apply_updates(params, updates), optimizer_state, key

    state = jax.lax.fori_loop(0, num_steps, step, state)
    return state, _observe(f, x, y, loss, record, state[0])
