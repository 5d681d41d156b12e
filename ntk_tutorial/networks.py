"""Networks: layers one after another or side by side, the usual architectures, and kernels of infinite networks."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from ._pytree import traced
from .activations import Activation
from .convolutions import Conv, GlobalAvgPool, GlobalPool, LocalPool, Padding
from .kernel_state import OUTPUT, Input, KernelState, Needs, Shape, as_input, input_state
from .layers import Dense, Elementwise, Flatten, Identity, Layer, Parameterization, Params, needs_before, propagate

Visit = Callable[[Layer, Params, Array], Array]


@dataclass(frozen=True)
class Residual:
    """branch(x) + shortcut(x). Infinite width: q and Θ of the two add.

    They add only if the branch's output is uncorrelated with the shortcut's, as it is after fresh weights.
    """

    branch: Layer
    shortcut: Layer = field(default_factory=Identity)

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> tuple[Params, Shape]:
        branch_key, shortcut_key = jax.random.split(key)
        branch, branch_shape = self.branch.init(branch_key, input_shape)
        shortcut, shortcut_shape = self.shortcut.init(shortcut_key, input_shape)
        if branch_shape != shortcut_shape:
            raise ValueError(
                f"the branch of this Residual gives shape {branch_shape}, its shortcut {shortcut_shape}: change the "
                f"branch's last layer, or project with shortcut=Dense({branch_shape[-1]}), or with a Conv that has the "
                f"branch's strides"
            )
        return (branch, shortcut), branch_shape

    def parts(self, params: Params) -> list[tuple[Layer, Params]]:
        return [(self.branch, params[0]), (self.shortcut, params[1])]

    def walk(self, params: Params, x: Array, visit: Visit) -> Array:
        """Through the branch, then the shortcut: see `walk`."""
        return walk(self.branch, params[0], x, visit) + walk(self.shortcut, params[1], x, visit)

    def apply(self, params: Params, x: Array) -> Array:
        return self.walk(params, x, _apply)

    def needs(self, after: Needs) -> Needs:
        return Needs(*map(max, needs_before(self.branch, after), needs_before(self.shortcut, after)))

    def kernel(self, state: KernelState) -> KernelState:
        branch, shortcut = (propagate(layer, state, state.needs) for layer in (self.branch, self.shortcut))
        if not _ends_in_fresh_weights(self.branch):
            raise ValueError(
                f"the branch of this Residual must end in Dense, Conv or SelfAttention for its infinite-width kernel, "
                f"got {self.branch}: otherwise branch and shortcut are correlated and their covariances do not add"
            )
        if branch.positions != shortcut.positions:
            raise ValueError(
                f"the branch of this Residual leaves positions {branch.positions}, its shortcut {shortcut.positions}: "
                f"project with shortcut=Conv(...) of the branch's strides"
            )
        q11, q12, q22, theta = (None if a is None else a + b for a, b in zip(branch[:4], shortcut[:4], strict=True))
        return branch._replace(
            q11=q11, q12=q12, q22=q22, ntk=theta, is_gaussian=branch.is_gaussian and shortcut.is_gaussian
        )


@dataclass(frozen=True)
class Serial:
    """Layers one after another; `params` is a tuple with one entry a layer, () where a layer has none."""

    layers: tuple[Layer, ...]

    def __init__(self, layers: Sequence[Layer]):
        if not layers:
            raise ValueError("Serial needs at least one layer, got an empty list")
        object.__setattr__(self, "layers", tuple(layers))  # a tuple, so that networks hash and compare

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> tuple[Params, Shape]:
        input_shape = tuple(input_shape)
        if not input_shape:
            raise ValueError("input_shape is (): it must be the shape of one example, such as (dim,)")
        params = []
        for layer, layer_key in zip(self.layers, jax.random.split(key, len(self.layers)), strict=True):
            layer_params, input_shape = layer.init(layer_key, input_shape)
            params.append(layer_params)
        return tuple(params), input_shape

    def parts(self, params: Params) -> list[tuple[Layer, Params]]:
        return list(zip(self.layers, params, strict=True))

    def walk(self, params: Params, x: Array, visit: Visit) -> Array:
        """Through the layers in order: see `walk`."""
        if len(params) != len(self.layers):
            raise ValueError(
                f"params has {len(params)} entries for {len(self.layers)} layers: use those that init drew"
            )
        for layer, layer_params in zip(self.layers, params, strict=True):
            x = walk(layer, layer_params, x, visit)
        return x

    def apply(self, params: Params, x: Array) -> Array:
        return self.walk(params, x, _apply)

    def needs(self, after: Needs) -> Needs:
        return self._needs(after)[0]

    def kernel(self, state: KernelState) -> KernelState:
        steps = list(zip(self.layers, self._needs(state.needs)[1:], strict=True))
        for block, times in _repeats(steps):
            state = _through_all(block, state, times)
        return state

    def _needs(self, after: Needs) -> list[Needs]:
        """What is read before each layer, and after the last."""
        needs = [after]
        for layer in reversed(self.layers):
            needs.append(needs_before(layer, needs[-1]))
        return needs[::-1]


Step = tuple[Layer, Needs]  # a layer, and what is read after it


def _repeats(steps: list[Step]) -> Iterator[tuple[list[Step], int]]:
    """`steps` in order, as blocks and how many times each follows on itself."""
    while steps:
        period = times = 1
        for candidate in range(1, len(steps) // 2 + 1):
            blocks = [steps[i : i + candidate] for i in range(0, len(steps), candidate)]
            same = sum(1 for _ in itertools.takewhile(lambda block: block == blocks[0], blocks))  # noqa: B023
            if same > 1 and same * candidate > times * period:
                period, times = candidate, same
        yield steps[:period], times
        steps = steps[period * times :]


def _through_all(block: list[Step], state: KernelState, times: int) -> KernelState:
    """`times` times through a block of layers: as a loop, since XLA would compute early layers again in later ones."""

    def through(state):
        return functools.reduce(lambda s, step: propagate(step[0], s, step[1]), block, state)

    fields = KernelState._fields[:4]
    for rest in reversed(range(times)):
        before, state = state, through(state)
        if rest > 0 and _alike(block, before, state):

            def step(arrays, _, state=state):
                return through(state._replace(**dict(zip(fields, arrays, strict=True))))[:4], None

            arrays, _ = jax.lax.scan(step, before[:4], length=rest + 1)
            return state._replace(**dict(zip(fields, arrays, strict=True)))
    return state


def _alike(block: list[Step], first: KernelState, second: KernelState) -> bool:
    """Whether `block` does the same to both. Its layers say themselves what is read after them."""
    first = first._replace(needs=second.needs)
    if not any(_counts_channels(layer) for layer, _ in block):
        first = first._replace(num_channels=second.num_channels)

    def types(state):
        return jax.tree.map(lambda a: (a.shape, a.dtype), state[:4])

    return types(first) == types(second) and first[4:] == second[4:]


def _counts_channels(layer: Layer) -> bool:
    parts = (*getattr(layer, "layers", ()), getattr(layer, "branch", None), getattr(layer, "shortcut", None))
    return getattr(layer, "parameterization", None) == "standard" or any(map(_counts_channels, filter(None, parts)))


def walk(layer: Layer, params: Params, x: Array, visit: Visit) -> Array:
    """Forward pass of one example in which `visit(layer, params, x)` stands for each elementary layer's `apply`."""
    return layer.walk(params, x, visit) if hasattr(layer, "walk") else visit(layer, params, x)


def elementary(layer: Layer, params: Params) -> list[tuple[Layer, Params]]:
    """Layers that are made of no others, in the order in which `walk` visits them, each with its parameters."""
    if not hasattr(layer, "parts"):
        return [(layer, params)]
    return [pair for part in layer.parts(params) for pair in elementary(*part)]


def _apply(layer: Layer, params: Params, x: Array) -> Array:
    return layer.apply(params, x)


def _ends_in_fresh_weights(layer: Layer) -> bool:
    if isinstance(layer, Serial):  # what is linear and without weights may follow them
        layers = [l for l in layer.layers if not isinstance(l, (LocalPool, GlobalPool, Flatten, Identity))]
        return bool(layers) and _ends_in_fresh_weights(layers[-1])
    return hasattr(layer, "ntk_features")


def mlp(
    width: int,
    depth: int,
    num_outputs: int,
    activation: Activation,
    *,
    w_std: float = 1.0,
    b_std: float | None = None,
    parameterization: Parameterization = "ntk",
) -> Serial:
    """A fully-connected network with `depth` hidden layers of `width` units and a linear readout.

    depth = 0 is a linear model. Images are flattened by putting `Flatten()` in front: `Serial([Flatten(), mlp(...)])`.
    """
    if depth < 0:
        raise ValueError(f"depth counts hidden layers and cannot be negative, got {depth}")
    dense = functools.partial(Dense, w_std=w_std, b_std=b_std, parameterization=parameterization)
    hidden = [layer for _ in range(depth) for layer in (dense(width), Elementwise(activation))]
    return Serial([*hidden, dense(num_outputs)])


def cnn(
    width: int,
    depth: int,
    num_outputs: int,
    activation: Activation,
    *,
    filter_shape: tuple[int, ...] = (3, 3),
    strides: tuple[int, ...] | None = None,
    padding: Padding = "SAME",
    pooling: bool = True,
    w_std: float = 1.0,
    b_std: float | None = None,
    parameterization: Parameterization = "ntk",
) -> Serial:
    """A convolutional network: `depth` convolutions of `width` channels, then a linear readout.

    The readout acts on the mean over positions, or on all of them where `pooling` is False. That choice decides what
    an infinite kernel costs: with S positions, S² covariances a pair of examples against S. For sequences give a
    filter_shape with one entry.
    """
    if depth < 1:
        raise ValueError(f"depth counts convolutions and must be positive, got {depth}")
    scales = {"w_std": w_std, "b_std": b_std, "parameterization": parameterization}
    conv = Conv(width, filter_shape, strides, padding, **scales)
    top = GlobalAvgPool() if pooling else Flatten()
    return Serial([*(conv, Elementwise(activation)) * depth, top, Dense(num_outputs, **scales)])


def resnet(
    width: int,
    num_blocks: tuple[int, ...],
    num_outputs: int,
    activation: Activation,
    *,
    filter_shape: tuple[int, ...] = (3, 3),
    padding: Padding = "SAME",
    w_std: float = 1.0,
    b_std: float | None = None,
    parameterization: Parameterization = "ntk",
) -> Serial:
    """A residual convolutional network of blocks x + Conv(φ(Conv(φ(x)))) [He et al. 2016, "Identity mappings"].

    Args:
        width: channels of the first stage; each further stage has twice as many, and halves the image in its first
            block, whose shortcut is a convolution of one entry.
        num_blocks: how many in each stage: (2, 2, 2) has three stages.
        num_outputs: of the readout, which acts on the mean over positions.
        activation: φ.
        filter_shape, padding, w_std, b_std, parameterization: of each convolution; for sequences give a filter_shape
            with one entry.
    """
    if not num_blocks or min(num_blocks) < 1:
        raise ValueError(f"num_blocks must hold a positive number for each stage, got {num_blocks}")
    scales = {"w_std": w_std, "b_std": b_std, "parameterization": parameterization}
    phi, ones = Elementwise(activation), (1,) * len(filter_shape)
    layers = [Conv(width, filter_shape, None, padding, **scales)]
    for stage, blocks in enumerate(num_blocks):
        for block in range(blocks):
            halve = stage > 0 and block == 0
            strides, channels = (tuple(2 * s for s in ones) if halve else ones), width * 2**stage
            first = Conv(channels, filter_shape, strides, padding, **scales)
            second = Conv(channels, filter_shape, None, padding, **scales)
            shortcut = Conv(channels, ones, strides, padding, **scales) if halve else Identity()
            layers.append(Residual(Serial([phi, first, phi, second]), shortcut))
    return Serial([*layers, phi, GlobalAvgPool(), Dense(num_outputs, **scales)])


@traced()
class InfiniteKernel:
    """A kernel of an infinitely wide network, as a pair function (x1, x2) -> scalar."""

    net: Any
    which: Literal["ntk", "nngp"]
    symmetric = True

    def features(self, x: Float[Array, "*position channel"]) -> Input:
        """The example, flattened where that comes first: else a product would be made of its entries one by one."""
        return as_input(x.reshape(-1) if _flattens_first(self.net) else x)

    def combine(self, input1: Input, input2: Input) -> Float[Array, ""]:
        state = propagate(self.net, input_state(input1, input2, needs_before(self.net, OUTPUT)), OUTPUT)
        value = state.ntk if self.which == "ntk" else state.q12
        if value.shape != ():
            raise ValueError(
                f"the network leaves a kernel of shape {value.shape} for examples of shape {input1.x.shape}: "
                f"add Flatten() or GlobalAvgPool() before the readout, so that one number a pair remains"
            )
        return value

    def __call__(self, x1: Array, x2: Array) -> Float[Array, ""]:
        return self.combine(self.features(x1), self.features(x2))


def _flattens_first(layer: Layer) -> bool:
    return isinstance(layer, Flatten) or (isinstance(layer, Serial) and _flattens_first(layer.layers[0]))


def infinite_ntk(net: Layer) -> InfiniteKernel:
    """Θ(x1, x2) of `net` as every hidden width goes to infinity, as a pair function [Jacot et al. 2018, theorem 1].

    It is the kernel of each output; different outputs have Θ = 0 between them. All weights and biases count, the
    readout's too.
    """
    return InfiniteKernel(net, "ntk")


def infinite_nngp(net: Layer) -> InfiniteKernel:
    """K(x1, x2), the covariance of each output over random initializations, as a pair function [Lee et al. 2018]."""
    return InfiniteKernel(net, "nngp")
