"""Networks as lists of layers, each with a finite width (`init`, `apply`) and an infinite one (`kernel`).

A layer is a frozen dataclass; its parameters are a plain pytree kept outside it, because the theory differentiates
with respect to them. `apply` takes one example; batches go through `jax.vmap`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ._pytree import traced
from .activations import Activation

Params = PyTree
Shape = tuple[int, ...]


class KernelState(NamedTuple):
    """What a pair of examples has become inside an infinitely wide network.

    Attributes:
        q11, q12, q22: covariances of one channel's signal, E[z(x1) z(x1)], E[z(x1) z(x2)], E[z(x2) z(x2)];
            of shape () for vectors, and one entry a position for images and sequences.
        ntk: Θ(x1, x2) of the layers so far, shaped like q12.
        num_channels: length of the last axis of the finite signal, which the standard parameterization needs.
        is_gaussian: whether the signal is a Gaussian process, as the duals of an activation require.
    """

    q11: Array
    q12: Array
    q22: Array
    ntk: Array
    num_channels: int
    is_gaussian: bool


def input_state(x1: Float[Array, "*position channel"], x2: Float[Array, "*position channel"]) -> KernelState:
    """The kernel x·x′ / dim of the inputs themselves, position by position."""
    q11, q12, q22 = (jnp.vecdot(a, b) / a.shape[-1] for a, b in ((x1, x1), (x1, x2), (x2, x2)))
    return KernelState(q11, q12, q22, jnp.zeros_like(q12), x1.shape[-1], False)


@runtime_checkable
class Layer(Protocol):
    """What every layer offers."""

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> tuple[Params, Shape]:
        """Draws parameters for inputs of `input_shape` (one example) and tells the shape of the output."""
        ...

    def apply(self, params: Params, x: Array) -> Array:
        """The output for one example."""
        ...

    def kernel(self, state: KernelState) -> KernelState:
        """The same map at infinite width."""
        ...


Visit = Callable[[Layer, Params, Array], Array]


class _Stateless:
    """A layer without parameters whose output has the shape of its input."""

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> tuple[Params, Shape]:
        del key
        return (), input_shape


@dataclass(frozen=True)
class Dense:
    """z = w_std / √fan_in · W h + b_std · b on the last axis, with W, b ~ N(0, 1) [Jacot et al. 2018, section 2].

    Infinite width: q ← w_std² q + b_std², Θ ← w_std² Θ + w_std² q + b_std².

    Attributes:
        num_outputs: length of the output's last axis.
        w_std: σ_w.
        b_std: σ_b; None means no bias parameter at all.
        parameterization: "ntk" as above; "standard" puts the scales into the draw, z = W h + b with
            W ~ N(0, w_std² / fan_in) and b ~ N(0, b_std²). The function at initialization has the same law, but Θ
            counts ∂z/∂W without the factor: fan_in · q + 1 replaces w_std² q + b_std² in Θ.
    """

    num_outputs: int
    w_std: float = 1.0
    b_std: float | None = None
    parameterization: Literal["ntk", "standard"] = "ntk"

    def __post_init__(self):
        if self.num_outputs < 1:
            raise ValueError(f"Dense needs at least one output, got num_outputs={self.num_outputs}")
        if self.w_std < 0 or (self.b_std or 0.0) < 0:
            raise ValueError(f"standard deviations cannot be negative, got w_std={self.w_std}, b_std={self.b_std}")
        if self.parameterization not in ("ntk", "standard"):
            raise ValueError(f'parameterization is "ntk" or "standard", got {self.parameterization!r}')

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> tuple[Params, Shape]:
        w_key, b_key = jax.random.split(key)
        w_scale, b_scale = self._draw_scales(input_shape[-1])
        params = {"w": w_scale * jax.random.normal(w_key, (input_shape[-1], self.num_outputs))}
        if self.b_std is not None:
            params["b"] = b_scale * jax.random.normal(b_key, (self.num_outputs,))
        return params, (*input_shape[:-1], self.num_outputs)

    def apply(self, params: Params, x: Float[Array, "*position fan_in"]) -> Float[Array, "*position num_outputs"]:
        fan_in, num_outputs = params["w"].shape
        if x.ndim == 0 or x.shape[-1] != fan_in or num_outputs != self.num_outputs:
            raise ValueError(
                f"{self} got an example of shape {x.shape} and weights of shape {params['w'].shape}: the last axis of "
                f"the example must have length {fan_in}, as input_shape had in init"
            )
        w_scale, b_scale = self.scales(fan_in)
        z = w_scale * jnp.matmul(x, params["w"], precision="highest")
        return z if self.b_std is None else z + jnp.broadcast_to(b_scale * params["b"], z.shape)

    def kernel(self, state: KernelState) -> KernelState:
        w_var, b_var = self.w_std**2, (self.b_std or 0.0) ** 2
        w_scale, b_scale = self.scales(state.num_channels)
        from_weights = w_scale**2 * state.num_channels * state.q12
        from_bias = 0.0 if self.b_std is None else b_scale**2
        q11, q12, q22 = (w_var * q + b_var for q in (state.q11, state.q12, state.q22))
        return KernelState(q11, q12, q22, w_var * state.ntk + from_weights + from_bias, self.num_outputs, True)

    def scales(self, fan_in: int) -> tuple[float, float]:
        """The factors of W and b in the forward pass."""
        if self.parameterization == "standard":
            return 1.0, 1.0
        return self.w_std / math.sqrt(fan_in), self.b_std or 0.0

    def _draw_scales(self, fan_in: int) -> tuple[float, float]:
        if self.parameterization == "standard":
            return self.w_std / math.sqrt(fan_in), self.b_std or 0.0
        return 1.0, 1.0


@dataclass(frozen=True)
class Elementwise(_Stateless):
    """φ on every entry. Infinite width: q ← E[φφ], Θ ← Θ · E[φ'φ']."""

    activation: Activation

    def __post_init__(self):
        if not isinstance(self.activation, Activation):
            raise TypeError(
                f"Elementwise takes an Activation such as ntk.relu, got {self.activation!r}: wrap a plain smooth "
                f"function with ntk.by_quadrature(function)"
            )

    def apply(self, params: Params, x: Array) -> Array:
        return self.activation.fn(x)

    def kernel(self, state: KernelState) -> KernelState:
        if not state.is_gaussian:
            raise ValueError(
                f"{self} has no infinite-width kernel here: its input is not a Gaussian process. "
                f"Put a Dense layer between the inputs, or the previous activation, and this one"
            )
        q11, q12, q22, theta, num_channels, _ = state
        phi = self.activation
        return KernelState(
            q11=phi.dual(q11, q11, q11),
            q12=phi.dual(q11, q12, q22),
            q22=phi.dual(q22, q22, q22),
            ntk=theta * phi.dual_derivative(q11, q12, q22),
            num_channels=num_channels,
            is_gaussian=False,
        )


@dataclass(frozen=True)
class Identity(_Stateless):
    """Does nothing: the usual shortcut of a residual block."""

    def apply(self, params: Params, x: Array) -> Array:
        return x

    def kernel(self, state: KernelState) -> KernelState:
        return state


@dataclass(frozen=True)
class Flatten:
    """All axes of an example into one. Infinite width: covariances averaged over positions."""

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> tuple[Params, Shape]:
        return (), (math.prod(input_shape),)

    def apply(self, params: Params, x: Array) -> Float[Array, " entry"]:
        return x.reshape(-1)

    def kernel(self, state: KernelState) -> KernelState:
        q11, q12, q22, theta = (jnp.mean(q) for q in state[:4])
        return KernelState(q11, q12, q22, theta, state.num_channels * math.prod(state.q12.shape), state.is_gaussian)


@dataclass(frozen=True)
class LayerNorm(_Stateless):
    """Centres and scales the last axis to mean 0, variance 1, without learned scale or shift.

    Infinite width: q and Θ divided by √(q11 q22). A signal of many channels has mean zero there, so only the scale
    matters; on raw inputs the kernel therefore assumes that they are centred.
    """

    axis: int = -1
    epsilon: float = 1e-12

    def __post_init__(self):
        if self.axis != -1:
            raise ValueError(f"LayerNorm normalizes the channels, axis=-1; got axis={self.axis}")

    def apply(self, params: Params, x: Array) -> Array:
        return jax.nn.standardize(x, axis=self.axis, epsilon=self.epsilon)

    def kernel(self, state: KernelState) -> KernelState:
        s1, s2 = (jnp.sqrt(q + self.epsilon) for q in (state.q11, state.q22))
        return state._replace(
            q11=state.q11 / s1**2, q12=state.q12 / (s1 * s2), q22=state.q22 / s2**2, ntk=state.ntk / (s1 * s2)
        )


@dataclass(frozen=True)
class Residual:
    """branch(x) + shortcut(x). Infinite width: q and Θ of the two add.

    They add only if the branch's output is uncorrelated with the shortcut's, as it is after fresh weights.
    """

    branch: Layer
    shortcut: Layer = Identity()

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> tuple[Params, Shape]:
        branch_key, shortcut_key = jax.random.split(key)
        branch, branch_shape = self.branch.init(branch_key, input_shape)
        shortcut, shortcut_shape = self.shortcut.init(shortcut_key, input_shape)
        if branch_shape != shortcut_shape:
            raise ValueError(
                f"the branch of this Residual gives shape {branch_shape}, its shortcut {shortcut_shape}: change the "
                f"branch's last layer, or project with shortcut=Dense({branch_shape[-1]})"
            )
        return (branch, shortcut), branch_shape

    def walk(self, params: Params, x: Array, visit: Visit) -> Array:
        return walk(self.branch, params[0], x, visit) + walk(self.shortcut, params[1], x, visit)

    def apply(self, params: Params, x: Array) -> Array:
        return self.walk(params, x, _apply)

    def kernel(self, state: KernelState) -> KernelState:
        branch, shortcut = self.branch.kernel(state), self.shortcut.kernel(state)
        if not _ends_in_fresh_weights(self.branch):
            raise ValueError(
                f"the branch of this Residual must end in Dense for its infinite-width kernel, got {self.branch}: "
                f"otherwise branch and shortcut are correlated and their covariances do not add"
            )
        q = (a + b for a, b in zip(branch[:4], shortcut[:4], strict=True))
        return KernelState(*q, branch.num_channels, branch.is_gaussian and shortcut.is_gaussian)


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

    def walk(self, params: Params, x: Array, visit: Visit) -> Array:
        if len(params) != len(self.layers):
            raise ValueError(
                f"params has {len(params)} entries for {len(self.layers)} layers: use those that init drew"
            )
        for layer, layer_params in zip(self.layers, params, strict=True):
            x = walk(layer, layer_params, x, visit)
        return x

    def apply(self, params: Params, x: Array) -> Array:
        return self.walk(params, x, _apply)

    def kernel(self, state: KernelState) -> KernelState:
        return functools.reduce(lambda s, layer: layer.kernel(s), self.layers, state)


def walk(layer: Layer, params: Params, x: Array, visit: Visit) -> Array:
    """Forward pass of one example in which `visit(layer, params, x)` stands for each elementary layer's `apply`."""
    return layer.walk(params, x, visit) if hasattr(layer, "walk") else visit(layer, params, x)


def _apply(layer: Layer, params: Params, x: Array) -> Array:
    return layer.apply(params, x)


def _ends_in_fresh_weights(layer: Layer) -> bool:
    return isinstance(layer, Dense) or (isinstance(layer, Serial) and _ends_in_fresh_weights(layer.layers[-1]))


def mlp(
    width: int,
    depth: int,
    num_outputs: int,
    activation: Activation,
    *,
    w_std: float = 1.0,
    b_std: float | None = None,
    parameterization: Literal["ntk", "standard"] = "ntk",
) -> Serial:
    """A fully-connected network with `depth` hidden layers of `width` units and a linear readout.

    depth = 0 is a linear model. Images are flattened by putting `Flatten()` in front: `Serial([Flatten(), mlp(...)])`.
    """
    if depth < 0:
        raise ValueError(f"depth counts hidden layers and cannot be negative, got {depth}")
    dense = functools.partial(Dense, w_std=w_std, b_std=b_std, parameterization=parameterization)
    hidden = [layer for _ in range(depth) for layer in (dense(width), Elementwise(activation))]
    return Serial([*hidden, dense(num_outputs)])


@traced()
class InfiniteKernel:
    """A kernel of an infinitely wide network, as a pair function (x1, x2) -> scalar."""

    net: Any
    which: Literal["ntk", "nngp"]

    def __call__(self, x1: Array, x2: Array) -> Float[Array, ""]:
        state = self.net.kernel(input_state(x1, x2))
        value = state.ntk if self.which == "ntk" else state.q12
        if value.shape != ():
            raise ValueError(
                f"the network leaves a kernel of shape {value.shape} for examples of shape {x1.shape}: "
                f"add Flatten() before the readout, so that one number a pair remains"
            )
        return value


def infinite_ntk(net: Layer) -> InfiniteKernel:
    """Θ(x1, x2) of `net` as every hidden width goes to infinity, as a pair function [Jacot et al. 2018, theorem 1].

    It is the kernel of each output; different outputs have Θ = 0 between them. All weights and biases count, the
    readout's too.
    """
    return InfiniteKernel(net, "ntk")


def infinite_nngp(net: Layer) -> InfiniteKernel:
    """K(x1, x2), the covariance of each output over random initializations, as a pair function [Lee et al. 2018]."""
    return InfiniteKernel(net, "nngp")
