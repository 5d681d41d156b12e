"""Convolutional networks between lazy and feature training: three ways to train the same one, each from several seeds.

`equal_epochs` trains α (f(θ, x) − f(θ₀, x)) for the same number of epochs at every α, as plots of test error against α
do. `exact_lazy` solves for where lazy training ends. `trained_well` trains the network itself, by Adam. All three take
the squared loss on one-hot labels. Seed number i draws both the data and the network.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, ScalarLike

from . import datasets
from ._lazy import lazy
from .activations import relu
from .convolutions import Conv, GlobalAvgPool
from .diagnostics import relative_change
from .ensembles import outputs
from .layers import Dense, Elementwise
from .lazy_limit import differential, jacobian, lazy_limit
from .linearization import scaled
from .networks import Serial
from .training import Trajectory, train

optax = lazy("optax")
PROBE = 32  # the first so many examples are those on which kernels are taken
BATCH = 100  # of gradient descent with momentum


@functools.cache
def network(channels: int, depth: int, num_outputs: int = 10) -> Serial:
    """`depth` 3 x 3 convolutions with ReLU, the mean over positions, a linear readout; no biases, w_std = √2.

    The second convolution goes in steps of two, so that it and those after it see images of half the size.
    """
    convolutions = [
        layer
        for number in range(depth)
        for layer in (Conv(channels, (3, 3), (2, 2) if number == 1 else None, w_std=2**0.5), Elementwise(relu))
    ]
    return Serial([*convolutions, GlobalAvgPool(), Dense(num_outputs, w_std=2**0.5)])


def classification_error(f: Float[Array, "n k"], y: Float[Array, "n k"]) -> Float[Array, ""]:
    """The share of examples whose largest output is not that of their one-hot label."""
    return jnp.mean(jnp.argmax(f, -1) != jnp.argmax(y, -1))


@jax.jit
def kernel(f, params: PyTree, x: Float[Array, "n *shape"]) -> Float[Array, "nk nk"]:
    """Θ of f on the first examples, as a matrix."""
    j = jacobian(f, params, x[:PROBE])
    return jnp.einsum("iap,jbp->iajb", j, j, precision="highest").reshape(2 * (j.shape[0] * j.shape[1],))


def rate_from_kernel(f, x: Float[Array, "n *shape"], speed: ScalarLike, every: int) -> optax.GradientTransformation:
    """The learning rate speed · n / λ_max(Θ), Θ the kernel of f on the first examples, looked at `every` so many steps.

    Θ is that of the present parameters: a rate that is right at first is too large where the kernel grows. Where f is
    multiplied with α, Θ is with α², which makes the steps as effective at every α.
    """

    def rate(params):
        return (speed * PROBE / _largest_eigenvalue(kernel(f, params, x))).astype(x.dtype)

    def init(params):
        return jnp.zeros((), int), rate(params)

    def update(updates, state, params):
        count, now = state
        now = jax.lax.cond(count % every == 0, rate, lambda params: now, params)
        return jax.tree.map(lambda leaf: -now * leaf, updates), (count + 1, now)

    return optax.GradientTransformation(init, update)


@functools.partial(jax.jit, static_argnames="epochs")
def descend(
    f, params0: PyTree, data: datasets.Dataset, speed: ScalarLike, key: PRNGKeyArray, *, epochs: tuple[int, ...]
) -> Trajectory:
    """Gradient descent with momentum 0.9 on batches of 100, the learning rate of every epoch by `rate_from_kernel`."""
    every = len(data.x_train) // BATCH
    optimizer = optax.chain(optax.trace(0.9), rate_from_kernel(f, data.x_train, speed, every))
    return _train(f, params0, data, optimizer, key, epochs, BATCH)


@functools.partial(jax.jit, static_argnames=("epochs", "batch_size"))
def adam(
    f, params0: PyTree, data: datasets.Dataset, learning_rate: ScalarLike, key: PRNGKeyArray, *,
    epochs: tuple[int, ...], batch_size: int,
) -> Trajectory:  # fmt: skip
    """Adam, the learning rate falling to zero along a cosine."""
    num_steps = epochs[-1] * (len(data.x_train) // batch_size)
    optimizer = optax.adam(optax.cosine_decay_schedule(learning_rate, num_steps))
    return _train(f, params0, data, optimizer, key, epochs, batch_size)


def _train(f, params0, data, optimizer, key, epochs, batch_size) -> Trajectory:
    """Its record is the test error."""

    def test_error(params):
        return classification_error(outputs(f, params, data.x_test), data.y_test)

    steps = [number * (len(data.x_train) // batch_size) for number in epochs]
    return train(
        f, params0, data.x_train, data.y_train, optimizer,
        steps=steps, batch_size=batch_size, key=key, record=test_error,
    )  # fmt: skip


def _seen(net, f, params0, data, run: Trajectory) -> dict[str, Array]:
    """What the two functions below return, of one run of f, which is `net`'s function or a scaled one."""
    kernels = [kernel(jax.tree_util.Partial(net.apply), params, data.x_train) for params in (params0, run.params)]
    return {
        "test_error": run.record,
        "train_loss": run.loss,
        "train_error": classification_error(outputs(f, run.params, data.x_train), data.y_train),
        "kernel_change": relative_change(*kernels),
    }


def equal_epochs(*, alpha: float, epochs: Sequence[int], speed: float, **problem: Any) -> dict[str, Any]:
    """Trains α (f − f₀) for the same number of epochs whatever α is.

    Args:
        alpha: output scale α.
        epochs: after which to look.
        speed: learning rate, in units of n / λ_max(Θ) at the beginning of each epoch.
        **problem: see `problems`.

    Returns:
        `test_error` and `train_loss` after each of `epochs`, for each seed; and at the end `train_error` and
        `kernel_change`, ‖Θ − Θ₀‖ / ‖Θ₀‖ on a few training examples.
    """

    def one(net, params0, data, key):
        model = scaled(net.apply, params0, alpha)
        return _seen(net, model, params0, data, descend(model, params0, data, speed, key, epochs=tuple(epochs)))

    return _over(problems(**problem), one)


def exact_lazy(*, ridges: Sequence[float], batch_size: int = 50, **problem: Any) -> dict[str, Any]:
    """Solves for the end of lazy training: ridge regression on the Jacobian at initialization, by `lazy_limit`.

    Args:
        ridges: in units of the kernel's largest eigenvalue.
        batch_size: examples whose Jacobians are in memory at once.
        **problem: see `problems`.

    Returns:
        `test_error` and `train_error` for each ridge and seed.
    """

    def one(net, params0, data, key):
        f, deltas = net.apply, lazy_limit(net.apply, params0, data.x_train, data.y_train, ridges, batch_size=batch_size)
        errors = [
            [classification_error(differential(f, params0, delta, x), y) for x, y in (data[2:], data[:2])]
            for delta in (jax.tree.map(lambda leaf, i=i: leaf[i], deltas) for i in range(len(ridges)))
        ]
        test_error, train_error = map(np.asarray, zip(*errors, strict=True))
        return {"test_error": test_error, "train_error": train_error}

    return _over(problems(**problem), one)


def trained_well(*, epochs: Sequence[int], learning_rate: float, batch_size: int, **problem: Any) -> dict[str, Any]:
    """Trains the network f itself, by Adam with a learning rate that falls to zero.

    Args:
        epochs: after which to look; after the last, the learning rate is zero.
        learning_rate: the first.
        batch_size: small batches make many steps of an epoch.
        **problem: see `problems`.

    Returns:
        `test_error` and `train_loss` after each of `epochs`, for each seed; at the end `train_error`, `kernel_change`.
    """

    def one(net, params0, data, key):
        f = jax.tree_util.Partial(net.apply)
        run = adam(f, params0, data, learning_rate, key, epochs=tuple(epochs), batch_size=batch_size)
        return _seen(net, f, params0, data, run)

    return _over(problems(**problem), one)


METHODS = {"equal_epochs": equal_epochs, "exact_lazy": exact_lazy, "trained_well": trained_well}


def train_by(*, method: str, **configuration: Any) -> dict[str, Any]:
    """One of the three, by its name: what the sweep `convolutional` runs."""
    return METHODS[method](**configuration)


def problems(
    *,
    task: str,
    size: int | None,
    channels: int,
    depth: int,
    num_train: int,
    num_test: int,
    num_seeds: int,
    dtype: str = "float32",
) -> Iterator[tuple[Serial, PyTree, datasets.Dataset, PRNGKeyArray]]:
    """For each seed the network, its initial parameters, the data, and a key for what else is random.

    Args:
        task: "digits", or another data set of `ntk.datasets`, ten classes.
        size: images are shrunk to so many pixels a side, by averages over blocks; None leaves them.
        channels, depth: of `network`.
        num_train: a multiple of the batch size, 100.
        num_test, num_seeds: of test examples; of draws of data and network.
        dtype: of parameters and data. In float64 runs take twice as long, and come out alike on different machines.
    """
    if num_train % BATCH:
        raise ValueError(f"num_train must be a multiple of the batch size, {BATCH}, got {num_train}")
    net = network(channels, depth)
    for seed in range(num_seeds):
        data_key, init_key, key = (jax.random.fold_in(jax.random.key(seed), i) for i in range(3))
        load = getattr(datasets, task)
        data = load(data_key, num_train, num_test, labels="one_hot", images=True, size=size)
        params0, _ = net.init(init_key, data.x_train.shape[1:])
        yield net, *jax.tree.map(lambda a: a.astype(dtype), (params0, data)), key


def _largest_eigenvalue(matrix: Float[Array, "n n"], num_steps: int = 50) -> Float[Array, ""]:
    """By power iteration."""

    def step(_, v):
        return matrix @ (v / jnp.linalg.norm(v))

    return jnp.linalg.norm(jax.lax.fori_loop(0, num_steps, step, jnp.ones(len(matrix), matrix.dtype)))


def _over(draws, one) -> Mapping[str, np.ndarray]:
    """What `one` returns for each draw, the draws along the last axis."""
    found = [{name: np.asarray(value) for name, value in one(*draw).items()} for draw in draws]
    return {name: np.stack([values[name] for values in found], -1) for name in found[0]}
