"""What each layer adds to the kernel, and parameterizations as learning rates for each layer.

Writing parameters θ_ℓ = s_ℓ φ_ℓ and training φ_ℓ with learning rate η is training θ_ℓ with η s_ℓ², with the kernel
Σ_ℓ s_ℓ² Θ_ℓ.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, ScalarLike

from ._lazy import lazy
from .empirical import empirical_ntk
from .gram import gram
from .layers import Affine, Params
from .networks import Serial

optax = lazy("optax")


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


def descent_by_layer(learning_rate: ScalarLike, rates: PyTree) -> optax.GradientTransformation:
    """Gradient descent with learning rate η · rates, for `train`; rates is a pytree of numbers like the parameters."""
    return optax.stateless(lambda slope, _: jax.tree.map(lambda g, rate: -learning_rate * rate * g, slope, rates))
