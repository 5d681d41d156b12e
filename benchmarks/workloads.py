"""What is measured: names, sizes, inputs, and the work that the best known algorithm has to do. Only needs numpy.

Everything random is drawn here, once, so that both libraries get the same arrays. Work is counted in floating-point
operations (a multiplication and an addition are two) and in bytes that must cross the memory bus: inputs once, the
result once. Symmetry is used throughout: the upper triangle of a kernel is enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

W_STD, B_STD = 2.0**0.5, 0.1
LAYER_FLOPS = 30  # an infinite layer on one entry: normalize, clip, square root, arccos or arcsin by polynomial, update
KRYLOV_STEPS = 20  # blocks, as many columns wide as there are outputs, in which these inputs' spectrum is told
# Parts of the modes, fastest first, and how many times tell all others, of these inputs in float32.
BLOCKS = ((0, 1 / 32, 19), (1 / 32, 1 / 8, 9), (1 / 8, 1 / 2, 8), (1 / 2, 1, 5))
BOX_FLOPS = 12  # a 3 x 3 mean of two covariances, one axis after another, and the affine map

Sizes = dict[str, int | str]
Arrays = dict[str, np.ndarray]


class Work(NamedTuple):
    """Least floating-point operations and bytes."""

    flops: float
    bytes: float


@dataclass(frozen=True)
class Workload:
    """One line of the table.

    Attributes:
        name: for `--only`.
        title: for readers.
        kind: which function of `ours.py` and `peer.py` computes it.
        sizes: its arguments.
        target: the least ratio of the peer's CPU seconds to ours that is asked for.
        tolerance: of the relative difference between both results, in the Frobenius norm.
        wall: whether the ratio is that of wall times of fresh processes, from start to first result.
    """

    name: str
    title: str
    kind: str
    sizes: Sizes
    target: float
    tolerance: float = 1e-4
    wall: bool = False

    def inputs(self) -> Arrays:
        """What both libraries are given, in float32."""
        drawn = INPUTS[self.kind](np.random.default_rng(0), **self.sizes)
        return {name: np.ascontiguousarray(array, np.float32) for name, array in drawn.items()}

    def work(self) -> Work:
        """Of the best known algorithm."""
        return WORK[self.kind](**self.sizes)


@dataclass(frozen=True)
class Growth:
    """How our CPU time grows along one of a workload's sizes."""

    axis: str
    workload: Workload
    values: tuple[int, ...]

    @property
    def name(self) -> str:
        """For `--only` and the table."""
        return f"{self.workload.name}/{self.axis}"

    def at(self, value: int) -> Workload:
        """The workload of one size."""
        return replace(self.workload, sizes={**self.workload.sizes, self.axis: value})


# --- inputs ---------------------------------------------------------------------------------------------------------


def _vectors(rng, n, dim, **_) -> Arrays:
    return {"x": rng.standard_normal((n, dim))}


def _images(rng, n, side, channels, **_) -> Arrays:
    return {"x": rng.standard_normal((n, side, side, channels))}


def _weights(rng, shapes) -> Arrays:
    """w0, b0, w1, b1, ...: of unit variance, as both libraries' NTK parameterization has them."""
    drawn = {}
    for i, shape in enumerate(shapes):
        drawn[f"w{i}"], drawn[f"b{i}"] = rng.standard_normal(shape), rng.standard_normal(shape[-1])
    return drawn


def _finite_fc(rng, n, dim, width, depth, outputs) -> Arrays:
    widths = [dim, *[width] * depth, outputs]
    return _vectors(rng, n, dim) | _weights(rng, list(pairwise(widths)))


def _finite_cnn(rng, n, side, channels, width, depth, outputs) -> Arrays:
    widths = [channels, *[width] * depth]
    convs = [(3, 3, a, b) for a, b in pairwise(widths)]
    return _images(rng, n, side, channels) | _weights(rng, [*convs, (width, outputs)])


def _prediction(rng, n, m, outputs, times, dim=50, features=5000) -> Arrays:
    """Kernels of a network with one wide hidden ReLU layer, so that all are positive definite together."""
    x = rng.standard_normal((n + m, dim))
    z = x @ rng.standard_normal((dim, features)) / math.sqrt(dim)
    nngp = np.maximum(z, 0) @ np.maximum(z, 0).T * (2 / features)
    step = (z > 0).astype(float)
    ntk = nngp + (x @ x.T / dim) * (step @ step.T) * (2 / features)
    return {
        "ntk_train": ntk[:n, :n],
        "ntk_test_train": ntk[n:, :n],
        "nngp_train": nngp[:n, :n],
        "nngp_test_train": nngp[n:, :n],
        "nngp_test": nngp[n:, n:],
        "y": rng.standard_normal((n, outputs)),
        "ts": np.geomspace(0.1, 1e4, times),
    }


INPUTS: dict[str, Callable[..., Arrays]] = {
    "infinite_fc": _vectors,
    "infinite_conv": _images,
    "finite_fc": _finite_fc,
    "finite_cnn": _finite_cnn,
    "ensemble": _prediction,
    "mean": _prediction,
}

# --- work -----------------------------------------------------------------------------------------------------------


def _infinite_fc_work(n, dim, depth, activation) -> Work:
    """x xᵀ, then `depth` layers on each of n² / 2 entries."""
    del activation
    return Work(n**2 * dim + n**2 / 2 * depth * LAYER_FLOPS, 4 * (n * dim + n**2))


def _infinite_conv_work(n, side, channels, depth, top) -> Work:
    """The same on one entry a position, or with pooling one a pair of positions."""
    positions = side**2
    entries = n**2 / 2 * (positions**2 if top == "pool" else positions)
    flops = entries * (2 * channels + depth * (LAYER_FLOPS + BOX_FLOPS))
    return Work(flops, 4 * (n * positions * channels + n**2))


def _finite_fc_work(n, dim, width, depth, outputs) -> Work:
    """Forward, backward down to the first layer, and for each layer h hᵀ and δ δᵀ; the readout's δ is constant."""
    widths = [dim, *[width] * depth, outputs]
    weights = [a * b for a, b in pairwise(widths)]
    backward = 2 * n * outputs * sum(weights[1:-1])
    grams = sum(n**2 * fan_in for fan_in in widths[:-1]) + depth * (n * outputs) ** 2 * width
    flops = 2 * n * sum(weights) + backward + grams + (depth + 1) * (n * outputs) ** 2
    return Work(flops, 4 * (n * dim + sum(weights) + (n * outputs) ** 2))


def _finite_cnn_work(n, side, channels, width, depth, outputs) -> Work:
    """Forward, backward down to the first layer, and the gradient of each convolution, contracted.

    Under global pooling δ of the last convolution is mask × readout: its gradient is formed once for all outputs.
    """
    positions, fan_ins = side**2, [9 * channels, *[9 * width] * (depth - 1)]
    weights = [fan_in * width for fan_in in fan_ins]
    forward = 2 * n * positions * sum(weights)
    backward = 2 * n * positions * sum(weights[1:]) * outputs
    gradients = 2 * n * positions * (sum(weights[:-1]) * outputs + weights[-1])
    contraction = (n * outputs) ** 2 * (sum(weights[:-1]) + width) + n**2 * weights[-1]
    flops = forward + backward + gradients + contraction
    return Work(flops, 4 * (n * positions * channels + sum(weights) + (n * outputs) ** 2))


def _eigh_flops(n) -> float:
    """To tridiagonal form 4/3 n³, divide and conquer up to 4/3 n³, vectors back 2 n³ [Demmel et al., LAWN 181]."""
    return 14 / 3 * n**3


def _ensemble_work(n, m, outputs, times) -> Work:
    """In the eigenbasis of Θ: K turned, half of it, then by blocks of modes G K and (G K) Gᵀ at the times they need."""
    turn = 2 * n**3 + 4 * m * n**2
    covariances = 0.0
    for start, stop, few in BLOCKS:
        own, slower = n * (stop - start), n * (1 - start)
        turn += 2 * n * own * slower
        covariances += few * (2 * m * own * slower + m**2 * own)
    together = times * m**2 * sum(few for _, _, few in BLOCKS) + 2 * times * m * n * outputs
    kernels = 2 * n**2 + 2 * m * n + m**2
    return Work(_eigh_flops(n) + turn + covariances + together, 4 * (kernels + times * (m**2 + m * outputs)))


def _mean_work(n, m, outputs, times) -> Work:
    """By block Lanczos: products with Θ, an orthonormal basis, Θ tested for positivity, outputs from Ritz pairs."""
    space = KRYLOV_STEPS * outputs
    basis = 2 * n**2 * space + 4 * n * space**2
    products = 2 * m * n * space + 2 * outputs * times * space * (n + m)
    return Work(basis + n**3 / 3 + products, 4 * (KRYLOV_STEPS * n**2 + m * n + times * outputs * (n + m)))


WORK: dict[str, Callable[..., Work]] = {
    "infinite_fc": _infinite_fc_work,
    "infinite_conv": _infinite_conv_work,
    "finite_fc": _finite_fc_work,
    "finite_cnn": _finite_cnn_work,
    "ensemble": _ensemble_work,
    "mean": _mean_work,
}

# --- the table ------------------------------------------------------------------------------------------------------

FC: Sizes = {"n": 2000, "dim": 784, "depth": 5}
CONV: Sizes = {"channels": 3, "depth": 4}
NET: Sizes = {"dim": 784, "width": 1024, "depth": 2}
CNN: Sizes = {"side": 16, "channels": 3, "width": 64, "depth": 3}
PREDICTION: Sizes = {"n": 2000, "m": 500, "outputs": 10, "times": 100}
SMALLEST = Workload(
    "import",
    "import to first kernel (infinite ReLU, depth 5, N = 100), wall s",
    "infinite_fc",
    {**FC, "n": 100, "activation": "relu"},
    4,
    1e-3,
    wall=True,
)

# The peer's float32 ReLU kernels are off by 1e-3 and more on the diagonal, hence 2e-3.
WORKLOADS = (
    Workload(
        "relu",
        "infinite ReLU, depth 5, N = 2000, d = 784",
        "infinite_fc",
        {**FC, "activation": "relu"},
        10,
        2e-3,
    ),
    Workload("erf", "infinite erf, depth 5, N = 2000, d = 784", "infinite_fc", {**FC, "activation": "erf"}, 6),
    Workload(
        "conv-flatten",
        "infinite conv ReLU, depth 4, Flatten, 16×16×3, N = 128",
        "infinite_conv",
        {**CONV, "n": 128, "side": 16, "top": "flatten"},
        4,
        2e-3,
    ),
    Workload(
        "conv-pool-8",
        "infinite conv ReLU, depth 4, GAP, 8×8×3, N = 64",
        "infinite_conv",
        {**CONV, "n": 64, "side": 8, "top": "pool"},
        6,
        2e-3,
    ),
    Workload(
        "conv-pool-16",
        "infinite conv ReLU, depth 4, GAP, 16×16×3, N = 16",
        "infinite_conv",
        {**CONV, "n": 16, "side": 16, "top": "pool"},
        6,
        2e-3,
    ),
    Workload(
        "net", "finite ReLU, 2 × 1024, d = 784, N = 512, 1 output", "finite_fc", {**NET, "n": 512, "outputs": 1}, 3
    ),
    Workload(
        "net-10",
        "finite ReLU, 2 × 1024, N = 128, 10 outputs, (n, n, k, k)",
        "finite_fc",
        {**NET, "n": 128, "outputs": 10},
        3,
    ),
    Workload(
        "cnn", "finite CNN, 3 × 64, GAP, 16×16×3, N = 128, 1 output", "finite_cnn", {**CNN, "n": 128, "outputs": 1}, 2.5
    ),
    Workload(
        "cnn-10",
        "finite CNN, 3 × 64, GAP, 16×16×3, N = 32, 10 outputs",
        "finite_cnn",
        {**CNN, "n": 32, "outputs": 10},
        2.5,
    ),
    Workload(
        "ensemble",
        "ensemble with covariance, 2000 train, 500 test, 10 outputs, 100 times",
        "ensemble",
        PREDICTION,
        10,
        1e-3,
    ),
    Workload("mean", "mean, same sizes, 100 times, a new kernel each call", "mean", PREDICTION, 3, 1e-3),
    SMALLEST,
)
BY_NAME = {workload.name: workload for workload in WORKLOADS}


def _growth(name: str, axis: str, values: tuple[int, ...], **sizes: int) -> Growth:
    base = BY_NAME[name]
    return Growth(axis, replace(base, sizes={**base.sizes, **sizes}), values)


GROWTH = (
    _growth("relu", "n", (1000, 2000, 4000)),
    _growth("relu", "depth", (4, 8, 16)),
    _growth("conv-flatten", "side", (8, 16, 32)),
    _growth("conv-pool-8", "side", (4, 8, 16), n=16),
    _growth("net", "n", (256, 512, 1024)),
    _growth("net", "width", (512, 1024, 2048)),
    _growth("net-10", "outputs", (5, 10, 20)),
    _growth("cnn", "n", (32, 64, 128)),
    _growth("cnn", "side", (8, 16, 32), n=32),
    _growth("cnn-10", "outputs", (5, 10, 20), n=16),
    _growth("mean", "n", (2000, 2800, 4000)),
)
