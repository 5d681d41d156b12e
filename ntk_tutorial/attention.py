"""Self-attention over all positions of a sequence or an image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .kernel_state import Entries, KernelState, Needs, Shape
from .layers import Gradient, Parameterization, Params


@dataclass(frozen=True)
class SelfAttention:
    """Attention of every position to all, its products of queries and keys scaled by 1 / num_keys, the two tied.

    On h of shape (positions, channels), with W_K, W_V, W_O, b ~ N(0, 1) and n channels,
    A = mechanism(query_std key_std / (n · num_keys) · h W_K (h W_K)ᵀ), V = value_std / √n · h W_V, and
    z = out_std / √(num_heads num_values) · [A V of each head] W_O + b_std b. The scale 1 / num_keys is that of the
    limit of Hron et al. 2020, "Infinite attention", section 3.1, where independent queries and keys would make A
    vanish.

    Infinite width: A becomes G = mechanism(query_std key_std q[s, s']) of its own example, no longer random. With
    σ² = (out_std value_std)², q ← σ² G1 q G2ᵀ + b_std² and Θ ← σ² G1 (Θ + 2 q) G2ᵀ + b_std²: q once for W_V and once
    for W_O, while changes of A, and so of W_K, count as 1 / num_keys. In the standard parameterization
    Θ ← G1 (σ² Θ + (n out_std² + num_heads num_values value_std²) q) G2ᵀ + 1.

    Attributes:
        num_channels: of the output.
        num_keys, num_values: channels of keys, and of values, in each head.
        num_heads: heads side by side.
        query_std, key_std, value_std, out_std: scales, of which query_std · key_std is one.
        b_std: scale of the output's bias; None means no bias parameter at all.
        mechanism: "softmax" over the positions attended to, or "identity".
        parameterization: "ntk" as above; "standard" draws arrays with their factors, W_K with √(query_std key_std / n).
    """

    num_channels: int
    num_keys: int
    num_values: int
    num_heads: int = 1
    query_std: float = 1.0
    key_std: float = 1.0
    value_std: float = 1.0
    out_std: float = 1.0
    b_std: float | None = None
    mechanism: Literal["softmax", "identity"] = "softmax"
    parameterization: Parameterization = "ntk"

    def __post_init__(self):
        sizes = (self.num_channels, self.num_keys, self.num_values, self.num_heads)
        if min(sizes) < 1:
            raise ValueError(f"the sizes of SelfAttention must be positive, got {self}")
        if min(self.query_std, self.key_std, self.value_std, self.out_std, self.b_std or 0.0) < 0:
            raise ValueError(f"standard deviations cannot be negative, got {self}")
        if self.mechanism not in ("softmax", "identity"):
            raise ValueError(f'the mechanism of SelfAttention is "softmax" or "identity", got {self.mechanism!r}')
        if self.parameterization not in ("ntk", "standard"):
            raise ValueError(f'parameterization is "ntk" or "standard", got {self.parameterization!r}')

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> tuple[Params, Shape]:
        self._check(input_shape[:-1])
        shapes = {
            "key": (self.num_heads, input_shape[-1], self.num_keys),
            "value": (self.num_heads, input_shape[-1], self.num_values),
            "out": (self.num_heads, self.num_values, self.num_channels),
        } | ({} if self.b_std is None else {"b": (self.num_channels,)})
        keys = dict(zip(shapes, jax.random.split(key, len(shapes)), strict=True))
        params = {name: jax.random.normal(keys[name], shape) for name, shape in shapes.items()}
        if self.parameterization == "standard":
            params = {name: scale * params[name] for name, scale in self._scales(input_shape[-1]).items()}
        return params, (*input_shape[:-1], self.num_channels)

    def apply(self, params: Params, x: Float[Array, "*position channel"]) -> Float[Array, "*position num_channels"]:
        self._check(x.shape[:-1])
        if x.shape[-1] != params["key"].shape[1]:
            raise ValueError(
                f"{self} got an example of shape {x.shape} and keys' weights of shape {params['key'].shape}: the last "
                f"axis of the example must have length {params['key'].shape[1]}, as input_shape had in init"
            )
        h, num_inputs = x.reshape(-1, x.shape[-1]), x.shape[-1]
        product = lambda a, b: jnp.matmul(a, b, precision="highest")  # noqa: E731
        keys, values = (product(jnp.stack([h] * self.num_heads), params[name]) for name in ("key", "value"))
        scales = self._scales(num_inputs)
        if self.parameterization == "standard":
            scales = dict.fromkeys(scales, 1.0)
        attention = self._attention(scales["key"] ** 2 / self.num_keys * product(keys, keys.mT))
        z = scales["value"] * scales["out"] * product(product(attention, values), params["out"]).sum(axis=0)
        z = z.reshape(*x.shape[:-1], self.num_channels)
        return z if self.b_std is None else z + jnp.broadcast_to(scales["b"] * params["b"], z.shape)

    def needs(self, after: Needs) -> Needs:
        return Needs(Entries.PAIRS, Entries.PAIRS)

    def kernel(self, state: KernelState) -> KernelState:
        self._check(state.positions)
        size = math.prod(state.positions)
        q11, q12, q22, theta = (q.reshape(size, size) for q in state[:4])
        g1, g2 = (self._attention(self.query_std * self.key_std * q) for q in (q11, q22))
        value_var, out_var, b_var = self.value_std**2, self.out_std**2, (self.b_std or 0.0) ** 2
        var, from_weights, from_bias = value_var * out_var, 2 * value_var * out_var, b_var
        if self.parameterization == "standard":
            from_weights = state.num_channels * out_var + self.num_heads * self.num_values * value_var
            from_bias = 0.0 if self.b_std is None else 1.0

        def attend(g, q, g_prime, b):
            gq = jnp.matmul(g, q, precision="highest")
            return (jnp.matmul(gq, g_prime.T, precision="highest") + b).reshape(state.positions * 2)

        return state._replace(
            q11=attend(g1, var * q11, g1, b_var),
            q12=attend(g1, var * q12, g2, b_var),
            q22=attend(g2, var * q22, g2, b_var),
            ntk=attend(g1, var * theta + from_weights * q12, g2, from_bias),
            num_channels=self.num_channels,
            is_gaussian=True,
        )

    def ntk_features(self, params: Params, h: Array, delta: Float[Array, "k ..."]) -> Gradient:
        """The derivative of f with respect to all of this layer's parameters, from its input h and δ = ∂f/∂z."""
        _, vjp = jax.vjp(lambda params: self.apply(params, h), params)
        leaves = jax.tree.leaves(jax.vmap(vjp)(delta))
        return Gradient(jnp.concatenate([leaf.reshape(len(delta), -1) for leaf in leaves], axis=1))

    def _attention(self, scaled: Float[Array, "*head s s"]) -> Float[Array, "*head s s"]:
        return jax.nn.softmax(scaled, axis=-1) if self.mechanism == "softmax" else scaled

    def _scales(self, num_inputs: int) -> dict[str, float]:
        """What N(0, 1) is multiplied with, in the draw or in the forward pass."""
        scales = {
            "key": math.sqrt(self.query_std * self.key_std / num_inputs),
            "value": self.value_std / math.sqrt(num_inputs),
            "out": self.out_std / math.sqrt(self.num_heads * self.num_values),
        }
        return scales | ({} if self.b_std is None else {"b": self.b_std})

    def _check(self, positions: Shape) -> None:
        if not positions:
            raise ValueError(
                f"{self} got a vector, which has no positions to attend to: put it before Flatten or global pooling, "
                f"and give sequences as (position, channels)"
            )
