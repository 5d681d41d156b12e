"""Layers, each with a finite width (`init`, `apply`) and an infinite one (`kernel`).

A layer is a frozen dataclass; its parameters are a plain pytree kept outside it, because the theory differentiates
with respect to them. `apply` takes one example; batches go through `jax.vmap`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .activations import Activation
from .contractions import Factors, Gradient, SharedGradient, einsum
from .kernel_state import Entries, KernelState, Needs, Shape, beside, diagonal_of

Params = PyTree
Parameterization = Literal["ntk", "standard"]


@runtime_checkable
class Layer(Protocol):
    """What every layer offers.

    More methods are there where they are of use. `needs(after)` tells which entries of the covariances a layer
    reads, given which ones the layers after it read; without it these are the same. `ntk_features`, which every layer
    with parameters has, is what these add to the kernel of a finite network: of each example something whose `product`,
    taken of two batches of examples, has shape (n1, k, n2, k).
    """

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> tuple[Params, Shape]:
        """Draws parameters for inputs of `input_shape` (one example) and tells the shape of the output."""
        ...

    def apply(self, params: Params, x: Array) -> Array:
        """The output for one example."""
        ...

    def kernel(self, state: KernelState) -> KernelState:
        """The same map at infinite width."""
        ...


def propagate(layer: Layer, state: KernelState, needs: Needs) -> KernelState:
    """The state past `layer`, after which `needs` are read."""
    return layer.kernel(state.keep(needs_before(layer, needs))._replace(needs=needs)).keep(needs)


def needs_before(layer: Layer, after: Needs) -> Needs:
    """What is read of the input of `layer`."""
    return layer.needs(after) if hasattr(layer, "needs") else after


class Stateless:
    """A layer without parameters whose output has the shape of its input."""

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> tuple[Params, Shape]:
        del key
        return (), input_shape


def _sum_of_products(h: Float[Array, "s c"], delta: Float[Array, "k s o"]) -> Float[Array, "k c o"]:
    """Σ_s h_s δ_sᵀ, the smaller matrix on the left, as XLA forms aᵀ b by way of a copy of aᵀ."""
    if h.shape[1] < len(delta) * delta.shape[2]:
        return jnp.tensordot(h, delta, (0, 1), precision="highest").swapaxes(0, 1)
    return jnp.tensordot(delta, h, (1, 0), precision="highest").swapaxes(1, 2)


class Affine:
    """What `Dense` and `Conv` share: at each position z = W h + b, where h is the entry or the patch there."""

    w_std: float
    b_std: float | None
    parameterization: Parameterization

    def slabs(self, x: Array) -> list[Float[Array, "*position rows"]]:
        """What W is multiplied with at each position of the output, as parts that belong to as many rows of W each."""
        raise NotImplementedError

    def patch_covariance(self, q: Array, positions: Shape) -> Array:
        """The covariance q averaged over what W is multiplied with: (1 / fan_in) E[h_s · h_s']."""
        raise NotImplementedError

    def check_scales(self) -> None:
        """Refuses what cannot be a standard deviation, or a parameterization."""
        if self.w_std < 0 or (self.b_std or 0.0) < 0:
            raise ValueError(f"standard deviations cannot be negative, got w_std={self.w_std}, b_std={self.b_std}")
        if self.parameterization not in ("ntk", "standard"):
            raise ValueError(f'parameterization is "ntk" or "standard", got {self.parameterization!r}')

    def scales(self, fan_in: int) -> tuple[float, float]:
        """The factors of W and b in the forward pass."""
        return (1.0, 1.0) if self.parameterization == "standard" else self._stds(fan_in)

    def draw(self, key: PRNGKeyArray, weight_shape: Shape) -> Params:
        """W of `weight_shape`, whose last axis counts the outputs, and b."""
        w_key, b_key = jax.random.split(key)
        standard = self.parameterization == "standard"
        w_scale, b_scale = self._stds(math.prod(weight_shape[:-1])) if standard else (1.0, 1.0)
        params = {"w": w_scale * jax.random.normal(w_key, weight_shape)}
        if self.b_std is not None:
            params["b"] = b_scale * jax.random.normal(b_key, weight_shape[-1:])
        return params

    def add_bias(
        self, params: Params, z: Float[Array, "*position num_outputs"]
    ) -> Float[Array, "*position num_outputs"]:
        """z + b, with b in the scale of the forward pass."""
        return z if self.b_std is None else z + jnp.broadcast_to(self.scales(1)[1] * params["b"], z.shape)

    def affine_kernel(self, state: KernelState, positions: Shape, fan_in: int, num_outputs: int) -> KernelState:
        """q ← w_std² q̄ + b_std², Θ ← w_std² Θ̄ + w_scale² fan_in q̄ + b_scale², bars for means over patches."""
        w_var, b_var = self.w_std**2, (self.b_std or 0.0) ** 2
        w_scale, b_scale = self.scales(fan_in)
        mean = state.map(lambda q: self.patch_covariance(q, state.positions))
        from_bias = 0.0 if self.b_std is None else b_scale**2
        theta = w_var * mean.ntk + w_scale**2 * fan_in * mean.q12 + from_bias
        state = mean.map(lambda q: w_var * q + b_var)
        return state._replace(ntk=theta, positions=positions, num_channels=num_outputs, is_gaussian=True)

    def ntk_features(
        self,
        params: Params,
        h: Array,
        delta: Float[Array, "k *position num_outputs"],
        readout: Float[Array, "k num_outputs"] | None = None,
    ) -> Gradient | Factors | SharedGradient:
        """What the kernel takes of one example, from the layer's input h and δ = ∂f/∂z: what takes fewest operations.

        Args:
            readout: r, where it is known that δ[a, s] = r[a] · d[s] entry by entry, with one d for all outputs a.
        """
        delta = delta.reshape(len(delta), -1, delta.shape[-1])
        slabs = [slab.reshape(-1, slab.shape[-1]) for slab in self.slabs(h)]
        (k, num_positions, num_outputs), fan_in = delta.shape, sum(slab.shape[-1] for slab in slabs)
        by_gradient = k**2 * fan_in * num_outputs
        w_scale, b_scale = self.scales(fan_in)
        if num_positions**2 * (fan_in + k**2 * (num_outputs + 1)) <= by_gradient:
            h = w_scale * jnp.concatenate(slabs, axis=1)
            return Factors(h, None if self.b_std is None else jnp.asarray(b_scale, delta.dtype), delta)
        shared = readout is not None and (fan_in + k**2) * num_outputs < by_gradient
        if shared:  # d as the mean of δ / r over outputs, weighted by r²
            weight = jnp.sum(readout**2, axis=0, keepdims=True)
            delta = einsum("ao,aso->so", readout / jnp.where(weight > 0, weight, 1.0), delta)[None]
        gradient = [w_scale * _sum_of_products(slab, delta) for slab in slabs]
        constant = [] if self.b_std is None else [b_scale * jnp.sum(delta, axis=1, keepdims=True)]
        gradient = jnp.concatenate([*gradient, *constant], axis=1)
        return SharedGradient(gradient[0], readout) if shared else Gradient(gradient)

    def _stds(self, fan_in: int) -> tuple[float, float]:
        return self.w_std / math.sqrt(fan_in), self.b_std or 0.0


@dataclass(frozen=True)
class Dense(Affine):
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
    parameterization: Parameterization = "ntk"

    def __post_init__(self):
        if self.num_outputs < 1:
            raise ValueError(f"Dense needs at least one output, got num_outputs={self.num_outputs}")
        self.check_scales()

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> tuple[Params, Shape]:
        return self.draw(key, (input_shape[-1], self.num_outputs)), (*input_shape[:-1], self.num_outputs)

    def apply(self, params: Params, x: Float[Array, "*position fan_in"]) -> Float[Array, "*position num_outputs"]:
        fan_in, num_outputs = params["w"].shape
        if x.ndim == 0 or x.shape[-1] != fan_in or num_outputs != self.num_outputs:
            raise ValueError(
                f"{self} got an example of shape {x.shape} and weights of shape {params['w'].shape}: the last axis of "
                f"the example must have length {fan_in}, as input_shape had in init"
            )
        w_scale, _ = self.scales(fan_in)
        return self.add_bias(params, w_scale * jnp.matmul(x, params["w"], precision="highest"))

    def kernel(self, state: KernelState) -> KernelState:
        return self.affine_kernel(state, state.positions, state.num_channels, self.num_outputs)

    def slabs(self, x: Array) -> list[Array]:
        return [x]

    def patch_covariance(self, q: Array, positions: Shape) -> Array:
        return q


@dataclass(frozen=True)
class Elementwise(Stateless):
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

    def needs(self, after: Needs) -> Needs:
        return after._replace(variance=max(after.variance, Entries.EQUAL))

    def kernel(self, state: KernelState) -> KernelState:
        check_gaussian(self, state)
        phi = self.activation
        v1, v2 = (diagonal_of(q, state.positions) for q in (state.q11, state.q22))
        return state._replace(
            q11=phi.dual(*beside(v1, state.q11, v1)),
            q12=phi.dual(*beside(v1, state.q12, v2)),
            q22=phi.dual(*beside(v2, state.q22, v2)),
            ntk=state.ntk * phi.dual_derivative(*beside(v1, state.q12, v2)),
            is_gaussian=False,
        )


@dataclass(frozen=True)
class Identity(Stateless):
    """Does nothing: the usual shortcut of a residual block."""

    def apply(self, params: Params, x: Array) -> Array:
        return x

    def kernel(self, state: KernelState) -> KernelState:
        return state


@dataclass(frozen=True)
class Flatten:
    """All axes of an example into one. Infinite width: covariances averaged over positions s = s'."""

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> tuple[Params, Shape]:
        return (), (math.prod(input_shape),)

    def apply(self, params: Params, x: Array) -> Float[Array, " entry"]:
        return x.reshape(-1)

    def needs(self, after: Needs) -> Needs:
        return Needs(Entries.EQUAL, min(after.variance, Entries.EQUAL))

    def kernel(self, state: KernelState) -> KernelState:
        num_positions = math.prod(state.positions)
        return state.map(lambda q: jnp.mean(diagonal_of(q, state.positions)))._replace(
            positions=(),
            num_channels=state.num_channels * num_positions,
            is_gaussian=state.is_gaussian and num_positions == 1,  # else a mixture, of one Gaussian a position
        )


@dataclass(frozen=True)
class LayerNorm(Stateless):
    """Centres and scales to mean 0 and variance 1 over `axis`, without learned scale or shift.

    Infinite width: q[s, s'] and Θ[s, s'] divided by √(v1[s] v2[s']), where v1 is q11[s, s], averaged over the positions
    in `axis`, and v2 likewise. Means vanish, as those of many channels of a Gaussian signal do.

    Attributes:
        axis: one axis of an example or several; the last, that of channels, must be among them.
        epsilon: added to the variance.
    """

    axis: int | tuple[int, ...] = -1
    epsilon: float = 1e-12

    def axes(self, num_axes: int) -> Shape:
        """Axes counted from the first of `num_axes`."""
        given = (self.axis,) if isinstance(self.axis, int) else self.axis
        axes = tuple(sorted(axis % num_axes for axis in given if -num_axes <= axis < num_axes))
        if len(set(axes)) < len(given) or num_axes - 1 not in axes:
            raise ValueError(
                f"LayerNorm(axis={self.axis}) got an example with {num_axes} axes: axis must name different ones of "
                f"them, and the last, that of channels, among them, as axis=-1 does"
            )
        return axes

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> tuple[Params, Shape]:
        self.axes(len(input_shape))
        return (), input_shape

    def apply(self, params: Params, x: Array) -> Array:
        return jax.nn.standardize(x, axis=self.axes(x.ndim), epsilon=self.epsilon)

    def needs(self, after: Needs) -> Needs:
        return after._replace(variance=max(after.variance, Entries.EQUAL))

    def kernel(self, state: KernelState) -> KernelState:
        check_gaussian(self, state)
        over_positions = self.axes(len(state.positions) + 1)[:-1]

        def std(q):
            variance = jnp.mean(diagonal_of(q, state.positions), axis=over_positions, keepdims=True)
            return jnp.broadcast_to(jnp.sqrt(variance + self.epsilon), state.positions)

        def normalized(s1, q, s2):
            s1, q, s2 = beside(s1, q, s2)
            return q / (s1 * s2)

        s1, s2 = std(state.q11), std(state.q22)
        return state._replace(
            q11=normalized(s1, state.q11, s1),
            q12=normalized(s1, state.q12, s2),
            q22=normalized(s2, state.q22, s2),
            ntk=normalized(s1, state.ntk, s2),
        )


def check_gaussian(layer: Layer, state: KernelState) -> None:
    """Refuses signals of which the covariance does not tell enough."""
    if not state.is_gaussian:
        raise ValueError(
            f"{layer} has no infinite-width kernel here: its input is not a Gaussian process. "
            f"Put a Dense layer between the inputs, the previous activation, or Flatten, and this one; or a Conv"
        )
