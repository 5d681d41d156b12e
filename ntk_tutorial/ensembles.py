"""Many networks and many examples at once: outputs of a batch, draws over seeds, measurements over seeds and sizes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, PyTree

from ._pytree import as_pytree
from .layers import Layer, Params


def outputs(
    f: Callable[[PyTree, Array], Array], params: PyTree, x: Float[Array, "n *shape"]
) -> Float[Array, "n *outputs"]:
    """f(params, x[i]) for every example, compiled once for each network."""
    return _outputs(as_pytree(f), params, x)


@jax.jit
def _outputs(f, params, x):
    return jax.vmap(f, (None, 0))(params, x)


@functools.partial(jax.jit, static_argnames=("net", "input_shape"))
def draw(net: Layer, keys: Array, input_shape: tuple[int, ...]) -> Params:
    """Parameters of one random network a key, as one pytree with the networks along the first axis of each leaf."""
    return jax.vmap(lambda key: net.init(key, input_shape)[0])(keys)


def over_seeds(one: Callable[..., PyTree], keys: Array, *shared: PyTree, mesh: Mesh | None = None) -> PyTree:
    """one(key, *shared) for every key, in one program; what it returns, with the keys along the first axis.

    A CPU takes one key after the other, other devices take all at once.

    Args:
        one: JAX code.
        mesh: devices to spread the keys over; each then runs its own loops, for as long as its own keys need.

    Raises:
        ValueError: if the keys cannot be divided evenly among the devices.
    """
    if mesh is None:
        return _over_seeds(as_pytree(one), keys, shared)
    if len(keys) % mesh.size:
        raise ValueError(f"{len(keys)} keys cannot be divided among {mesh.size} devices: take a multiple")
    keys = jax.device_put(keys, NamedSharding(mesh, PartitionSpec(mesh.axis_names)))
    one, shared = jax.device_put((as_pytree(one), shared), NamedSharding(mesh, PartitionSpec()))
    return _over_seeds_on(mesh)(one, keys, shared)


@jax.jit
def _over_seeds(one, keys, shared):
    return _for_each(lambda key: one(key, *shared), keys)


def _for_each(function, keys):
    """On a CPU one key after the other, whose numbers then stay in its cache and whose loops end when they are done."""
    return jax.lax.map(function, keys) if jax.default_backend() == "cpu" else jax.vmap(function)(keys)


@functools.cache
def _over_seeds_on(mesh: Mesh):
    seeds, everywhere = PartitionSpec(mesh.axis_names), PartitionSpec()
    on_one = jax.shard_map(
        _over_seeds, mesh=mesh, in_specs=(everywhere, seeds, everywhere), out_specs=seeds, check_vma=False
    )
    return jax.jit(on_one)


def sweep(
    measure: Callable[..., PyTree], values: Sequence[Any], num_seeds: int, *, seed: int = 0, **settings: Any
) -> PyTree:
    """measure(value, key, **settings) for each value, such as a width, and `num_seeds` keys of its own for each.

    Each value is one program over all of its seeds, so `measure` must be JAX code whose shapes `value` may decide.

    Returns:
        What `measure` returns, with two axes in front of each array: seeds, then values. `power_law(values, samples)`
        and `plotting.scaling(ax, values, samples)` take it so.

    Raises:
        ValueError: if there is no value or no seed.
    """
    if len(values) < 1 or num_seeds < 1:
        raise ValueError(f"a sweep needs at least one value and one seed, got {list(values)} and {num_seeds}")
    keys = jax.random.split(jax.random.key(seed), (len(values), num_seeds))
    at = [jax.jit(functools.partial(_for_each, functools.partial(measure, value, **settings))) for value in values]
    columns = [measured(key) for measured, key in zip(at, keys, strict=True)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves, axis=1), *columns)
