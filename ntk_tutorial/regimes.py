"""Lazy or feature training: the experiment of Geiger, Spigler, Jacot & Wyart (2020), a point of their plane at a time.

A network of width m (theirs: h) is trained as F = α (f(θ, x) − f(θ₀, x)) by gradient flow until every training example
has margin 1. In the NTK parameterization, where f is of order one, their variable is α̃ = √m α: the kernel changes much
where α̃ is small (feature training), little where it is large (lazy training). Time is that of the objective R(F) / α²,
in which dF/dt = −Θ ∂R/∂F at every α.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int, ScalarLike

from . import datasets
from .activations import Activation, by_quadrature, relu, tanh
from .diagnostics import Estimate, jackknife_error, parameter_change, relative_change
from .dynamics import GradientFlow
from .empirical import layerwise
from .ensembles import outputs, over_seeds
from .gram import gram
from .layers import Dense, Elementwise
from .linearization import scaled
from .networks import Serial
from .results import Results
from .training import UNTIL, hinge, train_until

ACTIVATIONS = {
    "relu": relu,
    "softplus": by_quadrature(lambda z: jax.nn.softplus(5 * z) / 5, name="softplus"),  # β = 5
    "tanh": tanh,
}


def perceptron(width: int, depth: int, activation: Activation) -> Serial:
    """Their fully-connected network: no biases, and activations scaled to E[φ(z)²] = 1 for z ~ N(0, 1).

    The scale is a w_std of 1 / √E[φ²] in all layers but the first, so that each layer's input has mean square one.
    """
    w_std = float(_mean_square(activation)) ** -0.5
    layers = [Dense(width, b_std=None), Elementwise(activation)]
    for _ in range(depth - 1):
        layers += [Dense(width, w_std=w_std, b_std=None), Elementwise(activation)]
    return Serial([*layers, Dense(1, w_std=w_std, b_std=None)])


@functools.cache
def _mean_square(activation: Activation) -> Array:
    with jax.ensure_compile_time_eval():
        one = jnp.ones(())
        return activation.dual(one, one, one)


class Margins(NamedTuple):
    """What `train_to_margin` found; one entry a network.

    Attributes:
        time: when the last training margin y F passed 1; in units where dF/dt = −Θ ∂R/∂F.
        reached: whether it did.
        num_steps: of the integrator.
        kernel_change: ‖Θ − Θ₀‖ / ‖Θ₀‖ on the training examples.
        parameter_change: ‖θ − θ₀‖ / ‖θ₀‖.
        outputs: F on the test examples.
    """

    time: Float[Array, " seeds"]
    reached: Bool[Array, " seeds"]
    num_steps: Int[Array, " seeds"]
    kernel_change: Float[Array, " seeds"]
    parameter_change: Float[Array, " seeds"]
    outputs: Float[Array, "seeds m"]


def train_to_margin(
    net: Serial,
    keys: Array,
    alpha: ScalarLike,
    data: datasets.Dataset,
    *,
    flow: GradientFlow = UNTIL,
    mesh: Mesh | None = None,
) -> Margins:
    """Trains one network a key as α (f(θ, x) − f(θ₀, x)), with the hinge loss, until all training margins pass 1.

    Args:
        net: of one output, such as `perceptron(width, depth, activation)`.
        keys: for the initial parameters.
        alpha: output scale α.
        data: labels ±1 of shape (n, 1).
        flow: accuracy, and the most steps of the integrator; networks that need more have `reached` False.
        mesh: devices to spread the keys over; each then takes only as many steps as the slowest of its own networks.
    """
    return over_seeds(_margin_reached_by(net, flow), keys, jnp.asarray(alpha, float), data, mesh=mesh)


@functools.cache
def _margin_reached_by(net, flow):
    """One object for one network: it is part of the compiled program, and a new one would compile anew."""
    return functools.partial(_to_margin, net, flow)


def _to_margin(net, flow, key, alpha, data) -> Margins:
    x, y = data.x_train, data.y_train
    params0, _ = net.init(key, x.shape[1:])
    model = scaled(net.apply, params0, alpha)
    end = train_until(model, params0, x, y, lambda p: jnp.all(y * outputs(model, p, x) > 1), flow, loss=hinge)
    before, after = (gram(layerwise(net, params), x) for params in (params0, end.params))
    return Margins(
        end.t * alpha**2,
        end.reached,
        end.num_steps,
        relative_change(before, after),
        parameter_change(params0, end.params).total,
        outputs(model, end.params, data.x_test)[:, 0],
    )


def crossover(
    *,
    task: str,
    activation: str,
    depth: int,
    width: int,
    scaled_alpha: float,
    num_train: int,
    num_test: int,
    num_components: int | None,
    num_seeds: int,
    data_seed: int = 0,
    rtol: float = UNTIL.rtol,
    mesh: Mesh | None = None,
) -> dict[str, Any]:
    """One point of the plane: `num_seeds` networks of one width at one α̃ = √m α, and their ensemble.

    Args:
        task: "digits", or another data set of `ntk.datasets`; even against odd classes.
        activation: "relu", "softplus" (with β = 5, as theirs) or "tanh".
        scaled_alpha: α̃.
        num_components: principal components that inputs are reduced to; None for all pixels.

    Returns:
        For each seed: `time`, `reached`, `num_steps`, `kernel_change`, `parameter_change` as in `Margins`, and the
        `test_error`, a share of examples. Of the networks that reached the margin together: `ensemble_error`, that of
        their mean output; `fluctuation`, the root mean square over test examples of the standard deviation of F over
        networks; and both again without each of the seeds in turn, for errors by the jackknife.
    """
    load = getattr(datasets, task)
    data = load(jax.random.key(data_seed), num_train, num_test, num_components=num_components)
    net = perceptron(width, depth, ACTIVATIONS[activation])
    keys = jax.vmap(lambda seed: jax.random.fold_in(jax.random.key(1), seed))(jnp.arange(num_seeds))
    flow = GradientFlow(rtol=rtol, max_steps=UNTIL.max_steps)
    found = train_to_margin(net, keys, scaled_alpha / width**0.5, data, flow=flow, mesh=mesh)
    f, y = np.asarray(found.outputs), np.asarray(data.y_test[:, 0])
    reached = np.asarray(found.reached)
    without = [reached & (np.arange(num_seeds) != i) for i in range(num_seeds)]
    return {
        **{name: value for name, value in found._asdict().items() if name != "outputs"},
        "test_error": np.mean(f * y <= 0, axis=1),
        "ensemble_error": _ensemble_error(f[reached], y),
        "fluctuation": _fluctuation(f[reached]),
        "ensemble_error_without": np.asarray([_ensemble_error(f[kept], y) for kept in without]),
        "fluctuation_without": np.asarray([_fluctuation(f[kept]) for kept in without]),
    }


def narrower(params: Any, width: int) -> Any:
    """Perceptrons of a smaller width: the first `width` units of each hidden layer.

    All weights are standard normal in the NTK parameterization, so those of a wider network serve for every width.

    Args:
        params: of networks without biases, from `draw`, with the networks along the first axis.
    """
    weights = [layer["w"] for layer in params if layer]
    cut = [w[:, : w.shape[1] if i == 0 else width, :width] for i, w in enumerate(weights)]
    cut[-1] = weights[-1][:, :width]
    found = iter(cut)
    return tuple({"w": next(found)} if layer else layer for layer in params)


def crossing(x: Any, y: Any, level: float) -> np.ndarray:
    """Where y(x) first passes a level, from above or from below, on straight lines between the points of log y, log x.

    It finds α̃*, the scale where the kernel's change falls to a threshold, and times such as when it rises to one.

    Args:
        x: (n,), positive and increasing.
        y: (*seeds, n), positive; NaN, a network that did not get there, is left out.

    Returns:
        One x for each row of y.

    Raises:
        ValueError: if a row does not pass the level.
    """
    return np.apply_along_axis(_crossing, -1, np.asarray(y, float), np.asarray(x, float), level)


def _crossing(y, x, level):
    x, y = np.log(x[~np.isnan(y)]), np.log(y[~np.isnan(y)] / level)
    (passes,) = np.nonzero(np.diff(np.sign(y)))
    if not len(passes):
        there = (
            f"it runs from {level * np.exp(y.min()):.3g} to {level * np.exp(y.max()):.3g}" if len(y) else "it is NaN"
        )
        raise ValueError(f"a row of y never passes {level:g}, {there}: choose a level within, or more values of x")
    i = passes[0]
    return np.exp(x[i] - y[i] * (x[i + 1] - x[i]) / (y[i + 1] - y[i]))


def tabulate(
    runs: Results, value: str, axes: Sequence[str] = ("width", "scaled_alpha"), *, geometric: bool = False
) -> Estimate:
    """A value of `crossover` over widths and α̃, or other axes, two arrays of that shape: estimate and standard error.

    For a value with one number a network, its mean over the networks that reached the margin. For one that belongs to
    all of them together, the value itself; its error is the jackknife's.

    Args:
        runs: that differ along the axes only, for instance those of the sweep "crossover" for one task and activation.
        geometric: of one number a network, take the geometric mean; its error is that of the mean logarithm, times it.

    Raises:
        KeyError, ValueError: if there is no such value, or `runs` hold more than one run for a point of the axes.
    """
    table = runs.array(value, *axes)
    if table.ndim == len(axes):
        without = np.moveaxis(runs.array(f"{value}_without", *axes), -1, 0)
        return Estimate(jnp.asarray(table), jackknife_error(jnp.asarray(without)))
    table = np.where(runs.array("reached", *axes) == 1, table, np.nan)
    table, number = np.log(table) if geometric else table, np.sum(~np.isnan(table), axis=-1)
    mean, error = np.nanmean(table, axis=-1), np.nanstd(table, axis=-1, ddof=1) / number**0.5
    return Estimate(*map(jnp.asarray, (np.exp(mean), np.exp(mean) * error) if geometric else (mean, error)))


def tables(runs: Results) -> dict[str, dict[str, Estimate | Array]]:
    """What `crossover` found over widths and α̃, for each task and activation: the tables of `interactive.explorer`.

    Returns:
        Of each case, such as "digits, relu", each quantity by its name in words, as `tabulate` gives it; of the
        kernel's change the geometric mean; and how many networks reached the margin.
    """
    cases = [(task, activation) for task in runs.axis("task") for activation in runs.axis("activation")]
    return {f"{t}, {phi}": _quantities(runs.select(task=t, activation=phi)) for t, phi in cases}


def _quantities(runs: Results) -> dict[str, Estimate | Array]:
    reached = runs.array("reached", "width", "scaled_alpha")
    return {
        "kernel change ‖ΔΘ‖ / ‖Θ₀‖": tabulate(runs, "kernel_change", geometric=True),
        "test error, one network": tabulate(runs, "test_error"),
        "test error, ensemble": tabulate(runs, "ensemble_error"),
        "fluctuation of F": tabulate(runs, "fluctuation"),
        f"at the margin, of {reached.shape[-1]} networks": jnp.sum(jnp.asarray(reached), -1),
    }


def _ensemble_error(f: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(f.mean(0) * y <= 0)) if len(f) else np.nan


def _fluctuation(f: np.ndarray) -> float:
    return float(np.sqrt(np.mean(f.var(0, ddof=1)))) if len(f) > 1 else np.nan
