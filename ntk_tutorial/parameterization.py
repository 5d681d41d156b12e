"""What each layer adds to the kernel, and parameterizations as learning rates for each layer.

Writing parameters θ_ℓ = s_ℓ φ_ℓ and training φ_ℓ with learning rate η is training θ_ℓ with η s_ℓ², with the kernel
Σ_ℓ s_ℓ² Θ_ℓ.
"""

from __future__ import annotations

import functools
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, ScalarLike

from ._lazy import lazy
from .diagnostics import relative_change
from .empirical import empirical_ntk
from .ensembles import outputs
from .gram import gram
from .layers import Affine, Dense, Params
from .linearization import scaled
from .networks import Serial
from .training import train

optax = lazy("optax")
PARAMETERIZATIONS = ("standard", "ntk", "mup")


def kernels_by_layer(net: Serial, params: Params, x: Float[Array, "n *shape"]) -> Float[Array, "layer n n k k"]:
    """Θ_ℓ(x, x), from the derivatives with respect to the parameters of layer ℓ alone, in order; their sum is Θ.

    Layers without parameters are left out.
    """

    def alone(i):
        return lambda layer, x: net.apply((*params[:i], layer, *params[i + 1 :]), x)

    with_params = [i for i, layer in enumerate(params) if jax.tree.leaves(layer)]
    return jnp.stack([gram(empirical_ntk(alone(i), params[i]), x) for i in with_params])


def standard_rates(net: Serial, params: Params) -> PyTree:
    """Learning rates, relative to η, with which `net` in the NTK parameterization trains as in the standard one at η.

    They are fan_in / w_std² for weights and 1 / b_std² for biases, as a pytree like params.

    Raises:
        TypeError: if a layer with parameters is neither Dense nor Conv in the NTK parameterization.
        ValueError: if a scale is zero: the standard parameterization then moves what ours cannot.
    """
    return tuple(_rates(layer, p) if jax.tree.leaves(p) else p for layer, p in zip(net.layers, params, strict=True))


def _rates(layer, params):
    if not isinstance(layer, Affine) or layer.parameterization != "ntk":
        raise TypeError(f"rates are known for Dense and Conv with parameterization='ntk', got {layer}")
    if layer.w_std == 0 or layer.b_std == 0:
        raise ValueError(f"{layer} has a scale of zero, which no learning rate makes up for: set b_std=None instead")
    fan_in = params["w"].size // params["w"].shape[-1]
    rates = {"w": fan_in / layer.w_std**2, "b": 1 / (layer.b_std or 1.0) ** 2}
    return {name: rates[name] for name in params}


def as_parameterized(
    name: Literal["standard", "ntk", "mup"], net: Serial, params: Params
) -> tuple[Float[Array, ""], PyTree]:
    """Output scale α and learning rates, relative to η, with which `net` trains as in another parameterization at η.

    `net` itself is in the NTK parameterization; train `scaled(net.apply, params, α)`, whose output starts at zero, by
    `descent_by_layer(learning_rate, rates)`.

    - "standard": α = 1 and `standard_rates`.
    - "ntk": α = 1 and ones.
    - "mup", the maximal update parameterization: α = m^(−1/2), and m for all rates, with m the readout's fan-in; for
      gradient descent, equal hidden widths and a fixed number of inputs [Yang & Hu 2021].

    Raises:
        ValueError: if there is no such parameterization, or as `standard_rates` does.
        TypeError: for "mup", if the last layer is not Dense; for "standard", as `standard_rates` does.
    """
    ones = jax.tree.map(lambda p: jnp.ones(()), params)
    if name == "standard":
        return jnp.ones(()), jax.tree.map(jnp.asarray, standard_rates(net, params))
    if name == "ntk":
        return jnp.ones(()), ones
    if name != "mup":
        raise ValueError(f'parameterizations are "standard", "ntk" and "mup", got {name!r}')
    if not isinstance(net.layers[-1], Dense):
        raise TypeError(f'"mup" scales a readout, so the last layer must be Dense, got {net.layers[-1]}')
    width = params[-1]["w"].shape[0]
    return jnp.asarray(width**-0.5), jax.tree.map(lambda one: width * one, ones)


def descent_by_layer(learning_rate: ScalarLike, rates: PyTree) -> optax.GradientTransformation:
    """Gradient descent with learning rate η · rates, for `train`; rates is a pytree of numbers like the parameters."""
    return optax.stateless(lambda slope, _: jax.tree.map(lambda g, rate: -learning_rate * rate * g, slope, rates))


class RateScan(NamedTuple):
    """What each learning rate leads to; NaN where training diverged.

    Attributes:
        loss: at the end.
        hidden_change: ‖h − h₀‖ / ‖h₀‖ of the last hidden layer's activations on the training examples.
    """

    loss: Float[Array, "seeds ways rates"]
    hidden_change: Float[Array, "seeds ways rates"]


@functools.partial(jax.jit, static_argnames=("net", "num_steps"))
def scan_learning_rates(
    net: Serial,
    keys: Array,
    x: Float[Array, "n dim"],
    y: Float[Array, "n k"],
    learning_rates: Float[Array, "3 rates"],
    *,
    num_steps: int,
) -> RateScan:
    """Gradient descent of random networks in the three parameterizations of `as_parameterized`, in its order.

    One program for all draws, ways and rates; outputs start at zero.
    """
    first, hidden = net.init(keys[0], x.shape[1:])[0], Serial(net.layers[:-1])
    ways = [as_parameterized(name, net, first) for name in PARAMETERIZATIONS]
    scales, rates = jax.tree.map(lambda *leaves: jnp.stack(leaves).astype(x.dtype), *ways)

    def one(key, scale, rates, learning_rate):
        params0 = net.init(key, x.shape[1:])[0]
        optimizer = descent_by_layer(learning_rate, rates)
        run = train(scaled(net.apply, params0, scale), params0, x, y, optimizer, steps=jnp.array([num_steps]))
        before, after = (outputs(hidden.apply, p[:-1], x) for p in (params0, run.params))
        return RateScan(run.loss[0], relative_change(before, after))

    each = jax.vmap(jax.vmap(one, (None, None, None, 0)), (None, 0, 0, 0))
    return jax.vmap(each, (0, None, None, None))(keys, scales, rates, learning_rates)
