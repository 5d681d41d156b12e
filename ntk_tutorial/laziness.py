"""How far the training of a scaled model stays from that of its linearization: measured, and what theory promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree, ScalarLike

from .dynamics import gradient_flow
from .empirical import empirical_ntk
from .ensembles import outputs
from .gram import as_matrix, gram
from .linearization import scaled
from .spectra import eigenmodes
from .training import train


class LazyDistances(NamedTuple):
    """What `lazy_distances` measured; for `lazy_bounds`, the bounds on `moved`, `apart` and `gap`, in its units.

    Attributes:
        moved: ‖θ − θ₀‖.
        apart: ‖θ − θ̄‖, the distance to the parameters of the linear model.
        gap: ‖F − F̄‖, the root of the mean over examples of |F − F̄|².
        outputs: F, the scaled outputs; None in bounds.
        linear: F̄, those of the linear model, which do not depend on α; None in bounds.
    """

    moved: Float[Array, " times"]
    apart: Float[Array, " times"]
    gap: Float[Array, " times"]
    outputs: Float[Array, "times n k"] | None = None
    linear: Float[Array, "times n k"] | None = None


def lazy_distances(
    f: Callable[[PyTree, Array], Array],
    params0: PyTree,
    x: Float[Array, "n *shape"],
    y: Float[Array, "n k"],
    alpha: ScalarLike,
    ts: Float[Array, " times"],
    *,
    rtol: float = 1e-8,
) -> LazyDistances:
    """Trains the scaled model F = α (f − f(θ₀)) and its linearization side by side by gradient flow on R(F) / α².

    R is the mean over examples of ½ |F − y|², and ts are times in units in which the speed of F does not depend on α:
    the scaled model is trained for ts / α². The linear model is solved in closed form,
    θ̄(t) − θ₀ = Jᵀ ∫₀ᵗ exp(−Θ s/n) ds y / (α n). `jax.vmap` over alpha compares many scales in one program.

    Args:
        rtol: relative accuracy of the flow; `apart` and `gap` are differences, so it must be far below them.

    Raises:
        ValueError: as `train`.
    """
    model, (flat0, _) = scaled(f, params0, alpha), ravel_pytree(params0)

    def look(params):
        return ravel_pytree(params)[0] - flat0, outputs(model, params, x)

    run = train(model, params0, x, y, gradient_flow(rtol=rtol), ts=ts / alpha**2, record=look)
    (displacement, f_x), (linear_displacement, linear) = run.record, _linear_path(f, params0, x, y, ts)
    return LazyDistances(
        jnp.linalg.norm(displacement, axis=1),
        jnp.linalg.norm(displacement - linear_displacement / alpha, axis=1),
        jnp.sqrt(jnp.mean(jnp.sum((f_x - linear) ** 2, 2), 1)),
        f_x,
        linear,
    )


def _linear_path(f, params0, x, y, ts):
    """θ̄ − θ₀ for α = 1, and F̄, at all times."""
    theta = as_matrix(gram(empirical_ntk(f, params0), x))
    eigenvalues, modes = eigenmodes(theta)
    response = gradient_flow().response(eigenvalues / len(x), ts[:, None])  # ∫₀ᵗ exp(−λ s/n) ds
    weights = (response * (y.reshape(-1) @ modes)) @ modes.T / len(x)
    pull_back = jax.vjp(lambda params: outputs(f, params, x), params0)[1]
    displacement = jax.vmap(lambda w: ravel_pytree(pull_back(w.reshape(y.shape))[0])[0])(weights)
    return displacement, (weights @ theta).reshape(-1, *y.shape)


def lazy_bounds(kappa: Array, k: ScalarLike) -> LazyDistances:
    """Upper bounds of `lazy_distances` at time k / ‖J‖², in units of ‖y‖ / (α ‖J‖), the same, and ‖y‖.

    κ = M ‖y‖ / (α ‖J‖²), where M bounds ‖D²f‖ on the ball of radius √(k/2) ‖y‖ / (α ‖J‖) around θ₀, and ‖·‖ of outputs
    is the root of the mean over examples of |·|². The chapter "Lazy training is a choice of scale" proves them, after
    Chizat, Oyallon & Bach 2019.
    """
    moved = jnp.sqrt(k / 2) * jnp.ones_like(kappa)
    apart = 2**0.5 / 3 * k**1.5 * (1 + 0.8 * k) * kappa + k**3 * kappa**2 / 12
    return LazyDistances(moved, apart, 8**0.5 / 3 * k**1.5 * kappa + (k * kappa) ** 2 / 4)
