"""What the package refuses, in one place: each message says what happened, what was received, and what to do."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np


def is_concrete(*arrays) -> bool:
    """Whether values can be looked at: not while JAX traces a function, where even constants become tracers."""
    return not any(isinstance(leaf, jax.core.Tracer) for leaf in (*jax.tree.leaves(arrays), jnp.add(0.0, 0.0)))


@jax.jit
def _all_finite(leaves):
    """For each list of arrays, by name: one program for all, where each operation by itself would be compiled."""
    return {name: jnp.all(jnp.stack([jnp.all(jnp.isfinite(a)) for a in arrays])) for name, arrays in leaves.items()}


def at_hand(array) -> bool:
    """Whether NumPy can look at its numbers where they are; it does so at once, JAX compiles for each new shape."""
    on_cpu = isinstance(array, jax.Array) and all(device.platform == "cpu" for device in array.devices())
    return array.is_fully_addressable if on_cpu else not isinstance(array, jax.Array)


def _is_finite(array) -> bool:
    values = np.asarray(array)  # np.sum of a JAX array would be JAX's
    with np.errstate(all="ignore"):
        return bool(np.isfinite(np.sum(values)) or np.all(np.isfinite(values)))  # a sum takes no memory


def check_finite(**trees) -> None:
    """Refuses pytrees, given by name, with NaN or infinite values."""

    def concrete_leaves(tree):
        return [leaf for leaf in jax.tree.leaves(tree) if not isinstance(leaf, jax.core.Tracer)]

    concrete = {name: concrete_leaves(tree) for name, tree in trees.items()} if is_concrete() else {}
    if all(map(at_hand, jax.tree.leaves(concrete))):
        finite = {name: all(map(_is_finite, leaves)) for name, leaves in concrete.items()}
    else:
        finite = _all_finite({name: leaves for name, leaves in concrete.items() if leaves})
    for name in [name for name, is_finite in finite.items() if not is_finite]:
        bad = sum(int(np.sum(~np.isfinite(leaf))) for leaf in concrete[name])
        size = sum(np.size(leaf) for leaf in concrete[name])
        raise ValueError(
            f"{name} holds {bad} non-finite value(s) of {size}: remove or repair them first "
            f"(jax.config.update('jax_debug_nans', True) finds where they arise)"
        )


def check_floating(**arrays) -> None:
    """Refuses arrays, given by name, that are not of a real floating-point type."""
    for name, array in arrays.items():
        dtype = jnp.asarray(array).dtype
        if not jnp.issubdtype(dtype, jnp.floating):
            raise TypeError(
                f"{name} has dtype {dtype}: a real floating dtype is needed, convert with {name}.astype(float)"
            )


def check_same_example_shape(x1, x2) -> None:
    """Refuses two batches whose examples differ in shape."""
    if x1.shape[1:] != x2.shape[1:]:
        raise ValueError(
            f"x1 holds examples of shape {x1.shape[1:]} and x2 of shape {x2.shape[1:]}: they must agree "
            f"(the first axis counts examples)"
        )


def check_kernel_matrix(kernel, name: str = "ntk_train", tolerance: float | None = None) -> None:
    """A square, symmetric, positive semi-definite (n, n) matrix, up to rounding."""
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1]:
        raise ValueError(
            f"{name} must be a square matrix, got shape {kernel.shape}: a kernel of shape (n, n, k, k) "
            f"goes through as_matrix or trace_outputs first"
        )
    check_finite(**{name: kernel})
    if not is_concrete(kernel):
        return
    tolerance = 100 * kernel.shape[0] * float(jnp.finfo(kernel.dtype).eps) if tolerance is None else tolerance
    scale, asymmetry = map(float, _size_and_asymmetry(kernel))
    if asymmetry > max(tolerance, 1e-6) * scale:
        raise ValueError(f"{name} is not symmetric: entries differ from their transposes by up to {asymmetry:.3g}")


@jax.jit
def _size_and_asymmetry(kernel):
    return jnp.max(jnp.abs(kernel)), jnp.max(jnp.abs(kernel - kernel.T))


def check_positive(eigenvalues, name: str = "ntk_train") -> None:
    """Eigenvalues, descending, may dip below zero by rounding only, which kinked duals magnify at near-duplicates."""
    if not is_concrete(eigenvalues):
        return
    lowest, highest = np.asarray(eigenvalues)[[-1, 0]]
    tolerance = max(1e3 * len(eigenvalues) * float(jnp.finfo(eigenvalues.dtype).eps), 1e-8)
    if lowest < -tolerance * max(highest, 0.0) or highest < 0:
        raise ValueError(
            f"{name} is not positive semi-definite: eigenvalues run from {lowest:.3g} to {highest:.3g}. "
            f"Compute the kernel in float64, or check that both arguments of gram were the same data"
        )


def check_params(params) -> None:
    """Refuses parameters that are not real, floating-point and finite."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        check_floating(**{f"params{jax.tree_util.keystr(path)}": leaf})
    check_finite(params=params)


def check_output(f, params, x) -> int:
    """The number of outputs k of f; refuses an f that does not map one example to a vector."""
    shape = jax.eval_shape(f, params, x).shape
    if len(shape) != 1:
        raise ValueError(
            f"f(params, x) returned shape {shape} for an example of shape {x.shape}: it must map one example to a "
            f"vector (k,). Remove a batch axis with x[0], or return f[None] for a single number"
        )
    return shape[0]
