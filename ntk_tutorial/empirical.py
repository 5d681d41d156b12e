"""The neural tangent kernel of a finite network, Θ(x1, x2) = J(x1) J(x2)ᵀ with J = ∂f/∂θ, as pair functions.

Ways to the same (k, k) matrix, which differ in cost [Novak, Sohl-Dickstein & Schoenholz 2022]. For n examples, k
outputs, p parameters, and a forward pass of F operations, the n x n kernel takes about

* `jacobian_contraction`: n k F + n² k² p, and memory n k p for the Jacobians;
* `ntk_vector_products`:  n² k F, and no Jacobian is ever stored;
* `layerwise`:            n k F + n² k² x (number of units), for networks made of this package's layers;
* `structured`:           the same for the matrix products and convolutions that it finds in any other function.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ._checks import check_finite, check_floating, check_output, check_params
from ._lazy import lazy
from ._pytree import traced
from .contractions import InHalves, rows_product
from .convolutions import Conv, GlobalPool, LocalPool
from .layers import Affine, Elementwise, Identity, Layer
from .networks import Serial, elementary, walk
from .structured import Structured, structured, vector_products

lx = lazy("lineax")
NetworkFunction = Callable[[PyTree, Array], Array]


@traced("params")
class JacobianContraction(InHalves):
    """See `jacobian_contraction`."""

    f: NetworkFunction
    params: PyTree

    def features(self, x: Array) -> list[Float[Array, "k *shape"]]:
        check_output(self.f, self.params, x)
        return jax.tree.leaves(jax.jacrev(self.f)(self.params, x))

    def combine_all(self, j1: list[Array], j2: list[Array]) -> Float[Array, "n1 n2 k k"]:
        return sum(map(rows_product, j1, j2)).swapaxes(1, 2)


@traced("params")
class NtkVectorProducts:
    """See `ntk_vector_products`."""

    f: NetworkFunction
    params: PyTree

    def __call__(self, x1: Array, x2: Array) -> Float[Array, "k k"]:
        check_output(self.f, self.params, x1)
        return vector_products(self.f, self.params, x1, x2)


@traced("params")
class Layerwise(InHalves):
    """See `layerwise`."""

    net: Layer
    params: PyTree

    @property
    def large(self) -> bool:
        """Whether images are taken apart into patches, which are larger than all else."""
        return any(isinstance(layer, Conv) for layer, _ in elementary(self.net, self.params))

    def features(self, x: Array) -> list[PyTree]:
        """For each layer that has parameters, in order, what its part of the kernel takes of one example."""
        check_output(self.net.apply, self.params, x)
        layers = elementary(self.net, self.params)
        last, pool = _pooled(self.net, [layer for layer, _ in layers])
        trained = [i for i, (_, params) in enumerate(layers) if jax.tree.leaves(params)]

        def forward(probes):
            """f with a zero added to the output z of chosen layers: the derivative with respect to it is δ."""
            inputs, outputs, numbers = {}, {}, itertools.count()

            def visit(layer, params, h):
                i = next(numbers)
                inputs[i], outputs[i] = h, layer.apply(params, h)
                return outputs[i] + probes[i] if i in probes else outputs[i]

            return walk(self.net, self.params, x, visit), (inputs, outputs)

        _, (_, outputs) = jax.eval_shape(forward, {})
        probes = {i: jnp.zeros(outputs[i].shape, outputs[i].dtype) for i in {*trained, pool} - {None}}
        deltas, (inputs, _) = jax.jacrev(forward, has_aux=True)(probes)
        readouts = {} if pool is None else {last: (deltas[pool],)}
        chosen = ((i, *layers[i]) for i in trained)
        return [layer.ntk_features(p, inputs[i], deltas[i], *readouts.get(i, ())) for i, layer, p in chosen]

    def combine_all(self, features1: list[PyTree], features2: list[PyTree]) -> Float[Array, "n1 n2 k k"]:
        return sum(one.product(other) for one, other in zip(features1, features2, strict=True)).swapaxes(1, 2)


def _pooled(net: Layer, layers: list[Layer]) -> tuple[int, int] | tuple[None, None]:
    """The numbers of the affine layer whose output goes channel by channel into a global pool, and of that pool.

    Then δ[a, s] of that layer is r[a] · d[s]: r[a] the derivative with respect to what is pooled, and d that of the
    pooling. Only in a chain, where nothing passes by the pool.
    """
    pool = next((j for j, layer in enumerate(layers) if isinstance(layer, GlobalPool)), 0)
    last = next((i for i in range(pool)[::-1] if not isinstance(layers[i], (Elementwise, LocalPool, Identity))), None)
    chain = _is_chain(net) and last is not None and isinstance(layers[last], Affine)
    return (last, pool) if chain else (None, None)


def _is_chain(layer: Layer) -> bool:
    return all(map(_is_chain, layer.layers)) if isinstance(layer, Serial) else not hasattr(layer, "walk")


def jacobian_contraction(f: NetworkFunction, params: PyTree) -> JacobianContraction:
    """Θ by forming both Jacobians and multiplying them: simplest, and good for few outputs and parameters."""
    check_params(params)
    return JacobianContraction(f, params)


def ntk_vector_products(f: NetworkFunction, params: PyTree) -> NtkVectorProducts:
    """Θ column by column, J(x1) (J(x2)ᵀ e_b), without ever storing a Jacobian: good where memory is short."""
    check_params(params)
    return NtkVectorProducts(f, params)


def layerwise(net: Layer, params: PyTree) -> Layerwise:
    """Θ layer by layer: the gradient of a Dense layer is an outer product h δᵀ, so (h1·h2)(δ1·δ2) is all it takes.

    Convolutions share their weights between positions, which makes it a sum of such products; where positions are many
    the gradient of a single layer is formed instead, whichever takes fewer operations.
    """
    if not (hasattr(net, "walk") or hasattr(net, "ntk_features")):
        raise TypeError(
            f"layerwise takes a network made of this package's layers, got {net!r}: use empirical_ntk(f, params)"
        )
    check_params(params)
    return Layerwise(net, params)


def empirical_ntk(f: NetworkFunction, params: PyTree) -> Layerwise | Structured:
    """Θ(x1, x2) = J(x1) J(x2)ᵀ of f at params, as a pair function with (k, k) values, by the engine that fits.

    Args:
        f: f(params, x), one example to a vector of k outputs. Where it is the `apply` of this package's `Serial`, the
            `layerwise` engine is taken, else `structured`, whose `.explain(x)` says what it does and why.
        params: a pytree of real floating-point arrays.

    Raises:
        TypeError: if a parameter is not a real floating-point array.
        ValueError: if a parameter is not finite; and when the pair function is used, if f does not return a vector.
    """
    net = getattr(f, "__self__", None)
    if isinstance(net, Serial) and f == net.apply:
        return layerwise(net, params)
    return structured(f, params)


def ntk_operator(f: NetworkFunction, params: PyTree, x: Float[Array, "n *shape"]) -> lx.FunctionLinearOperator:
    """Θ(X, X) as a linear operator on arrays of shape (n, k): v -> J (Jᵀ v), with no matrix ever formed.

    Each product costs about three forward passes over the batch. Use its `.mv(v)`, or hand it to `lineax`'s solvers.
    """
    check_params(params)
    check_floating(x=x)
    check_finite(x=x)
    check_output(f, params, x[0])

    def outputs(params):
        return jax.vmap(f, (None, 0))(params, x)

    f_x, vjp = jax.vjp(outputs, params)
    _, jvp = jax.linearize(outputs, params)
    structure = jax.ShapeDtypeStruct(f_x.shape, f_x.dtype)
    return lx.FunctionLinearOperator(lambda v: jvp(*vjp(v)), structure, lx.positive_semidefinite_tag)
