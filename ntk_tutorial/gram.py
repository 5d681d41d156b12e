"""From a pair function (x1, x2) -> value to a matrix: the only place that knows about tiles, memory and devices.

A pair function may come in two halves, `features(x)`, what depends on one example, and `combine(features1, features2)`;
the features of all examples are then computed once, whatever the tiles. Where all pairs of two batches are products of
matrices, `combine_all` makes them of the features of both. A pair function may also say that it is `symmetric`,
pair(x2, x1) = pair(x1, x2)ᵀ: then only tiles of the upper triangle are computed; and that it is `large`, which is about
arrays on the way to the features: a CPU, whose cache holds those of one example, then takes one after another.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, PyTree

from ._checks import check_finite, check_floating, check_same_example_shape, is_concrete
from ._pytree import as_pytree

PairFunction = Callable[[Array, Array], Array]
CACHED = 2**21  # bytes of the largest array on the way to a tile that a CPU keeps in its cache, layer after layer
WIDEST = 256  # examples on a side of such a tile; more save nothing
FEW = 4  # tiles on a side that may be written out one by one
SHORT = 200  # equations in the program of such a tile, of which there are ten: compiling takes no longer than a second
KEPT = 2**30  # bytes of features that are kept for all examples where no batch_size asks for less


def gram(
    pair: PairFunction,
    x1: Float[Array, "n1 *shape"],
    x2: Float[Array, "n2 *shape"] | None = None,
    *,
    batch_size: int | None = None,
    memory_budget: int | None = None,
    mesh: Mesh | None = None,
) -> Float[Array, "n1 n2 *value"]:
    """The matrix of pair(x1[i], x2[j]).

    Args:
        pair: any kernel as a function of two single examples, finite or infinite, NTK or NNGP.
        x1, x2: examples along the first axis; x2 = None means x1.
        batch_size: at most batch_size² pairs at once, tile by tile. None leaves the choice to this function.
        memory_budget: in bytes, for arguments, result and all that is computed on the way, on each device: tiles are
            as large as it allows. Not under `jit`.
        mesh: devices over which the rows of the result are spread, along all of its axes; each computes its own rows.

    Returns:
        (n1, n2) followed by the shape of pair's value: nothing for infinite kernels, (k, k) for empirical ones.

    Raises:
        TypeError: if the inputs are not real floating-point arrays.
        ValueError: if they are not finite, do not match, or lack the axis that counts examples; if the memory budget
            is too small.
    """
    symmetric = x2 is None and mesh is None and getattr(pair, "symmetric", False)
    x1 = jnp.asarray(x1)
    _check_examples(x1=x1)
    if x2 is not None:
        _check_examples(x2=x2)
    x2 = x1 if x2 is None else jnp.asarray(x2)
    check_same_example_shape(x1, x2)
    _check_batch_size(batch_size)
    if batch_size is not None and memory_budget is not None:
        raise ValueError("batch_size and memory_budget both decide how large tiles are: give one of them")
    program, (pair, own, everyone) = _gram, (as_pytree(pair), x1, x2)
    if mesh is not None:
        pair, own, everyone = _spread(mesh, pair, x1, x2)
        program = _gram_on(mesh)
    if memory_budget is not None:
        return _largest_fitting(program, pair, own, everyone, symmetric, memory_budget)[: len(x1)]
    matrix = program(pair, own, everyone, batch_size, symmetric)
    return matrix if mesh is None else matrix[: len(x1)]


@functools.partial(jax.jit, static_argnames=("batch_size", "symmetric"))
def _gram(pair, x1, x2, batch_size, symmetric):
    features, block, side, written_out, value = _plan(pair, x1, x2, batch_size)
    features1 = features(x1)
    features2 = features1 if symmetric else features(x2)
    n1, n2 = len(x1), len(x2)
    if side is None or side >= max(n1, n2) or min(n1, n2) == 0:
        return block(features1, features2)
    if symmetric and written_out and n1 <= FEW * side:
        return _few_tiles(block, features1, n1)
    corners = [(i, j) for i in range(0, n1, side) for j in range(0, n2, side) if i <= j or not symmetric]
    shape = (min(side, n1), min(side, n2), *value.shape)

    def tile(i, j, _):
        return block(_rows(features1, i, shape[0]), _rows(features2, j, shape[1])), i, j

    def mirror_image(i, j, matrix):
        return _transpose(jax.lax.dynamic_slice(matrix, _corner(i, j, matrix), shape)), j, i

    matrix = _put_all(tile, corners, jnp.zeros((n1, n2, *value.shape), value.dtype))
    # Where a tile is written twice in one go, XLA computes it twice, the second time against the order of its inputs.
    return _put_all(mirror_image, [(i, j) for i, j in corners if i < j], matrix) if symmetric else matrix


def _put_all(tile, corners: list[tuple[int, int]], matrix):
    """The matrix with all tiles in their places, where tile(i, j, matrix) is one, and its own place."""
    starts = jnp.asarray(corners, jnp.int32).reshape(-1, 2)
    return jax.lax.fori_loop(0, len(corners), lambda t, matrix: _put(matrix, *tile(*starts[t], matrix)), matrix)


def _few_tiles(block, features: PyTree, num_examples: int):
    """`FEW` tiles on a side and no loop, for a symmetric pair: XLA then copies no features, and the result but once."""
    side = math.ceil(num_examples / FEW)
    parts = [jax.tree.map(lambda a, i=i: a[i : i + side], features) for i in range(0, num_examples, side)]
    numbers = range(len(parts))
    tiles = {(i, j): block(parts[i], parts[j]) for i in numbers for j in numbers[i:]}
    rows = [[tiles[i, j] if i <= j else _transpose(tiles[j, i]) for j in numbers] for i in numbers]
    return jnp.concatenate([jnp.concatenate(row, axis=1) for row in rows])


def _plan(pair, x1, x2, batch_size: int | None):
    """features of a batch, values from those of two batches, the side of tiles (None: no tiles), whether a few tiles
    make a program short enough to do without a loop, and the shape of a value.

    On CPUs, tiles that stay in the cache, if nothing is then computed twice. Where features are not known, or too
    many to keep them all, nothing is a feature and pair combines.
    """
    if hasattr(pair, "features"):
        on_cpu = jax.default_backend() == "cpu"
        # jit, for its cache: asking for a shape and computing then trace a function only once.
        features, combine = jax.jit(pair.features, inline=True), jax.jit(pair.combine, inline=True)
        products = hasattr(pair, "combine_all")
        block = jax.jit(pair.combine_all, inline=True) if products else _over_all_pairs(combine)
        one_by_one = on_cpu and getattr(pair, "large", False)
        features = functools.partial(jax.lax.map, features) if one_by_one else jax.vmap(features)
        all1, all2 = jax.eval_shape(features, x1), jax.eval_shape(features, x2)
        steps, value = jax.make_jaxpr(combine, return_shape=True)(*jax.tree.map(_one, (all1, all2)))
        others = x1.nbytes + x2.nbytes + len(x1) * len(x2) * value.size * value.dtype.itemsize
        in_cache = batch_size is None and on_cpu and len(x1) and len(x2)
        cached = _side_in_cache(steps, max(len(x1), len(x2))) if in_cache else batch_size
        for side in (cached, batch_size):
            limit = KEPT if side is None else max(16 * others, KEPT // 16)
            if sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves((all1, all2))) <= limit:
                written_out = in_cache and products and len(steps.eqns) <= SHORT
                return features, block, side, written_out, value
    whole = jax.jit(lambda x1, x2: pair(x1, x2), inline=True)
    return lambda x: x, _over_all_pairs(whole), batch_size, False, jax.eval_shape(whole, _one(x1), _one(x2))


def _side_in_cache(steps: ClosedJaxpr, num_examples: int) -> int:
    """The side of equal tiles whose largest array stays in the cache, where `steps` combine a single pair."""
    same = {"reshape", "squeeze"}  # entries of an array that is there already
    arrays = [v.aval for eqn in steps.eqns if eqn.primitive.name not in same for v in eqn.outvars]
    largest = max((math.prod(a.shape) * a.dtype.itemsize for a in arrays), default=0)
    side = min(max(math.isqrt(CACHED // max(largest, 1)), 2), WIDEST)
    side = math.ceil(num_examples / math.ceil(num_examples / side))
    return side if side < 16 else 16 * math.ceil(side / 16)  # whole vector registers


def _one(x):
    return jax.ShapeDtypeStruct(x.shape[1:], x.dtype)


def _over_all_pairs(combine):
    return jax.vmap(jax.vmap(combine, (None, 0)), (0, None))


def _rows(features: PyTree, start, size: int) -> PyTree:
    """`size` rows. A start too near to the end is moved back, as by `_put`: last tiles overlap those before."""
    return jax.tree.map(lambda a: jax.lax.dynamic_slice_in_dim(a, start, size), features)


def _put(matrix, tile, i, j):
    return jax.lax.dynamic_update_slice(matrix, tile, _corner(i, j, matrix))


def _corner(i, j, matrix):
    zero = jnp.zeros_like(i)
    return i, j, *itertools.repeat(zero, matrix.ndim - 2)


def _transpose(tile):
    """pair(x2, x1) from pair(x1, x2): examples change places, and so do outputs."""
    tile = tile.swapaxes(0, 1)
    return tile if tile.ndim == 2 else tile.swapaxes(2, 3)


def _largest_fitting(program, pair, x1, x2, symmetric, memory_budget):
    """By the largest tiles with which arguments, result and temporary arrays stay within the budget."""
    if not is_concrete(x1, x2):
        raise ValueError("memory_budget cannot be kept under jit, vmap or grad: give batch_size, or neither")
    side = max(len(x1), len(x2), 1)
    while True:
        compiled = program.lower(pair, x1, x2, side, symmetric).compile()
        memory = compiled.memory_analysis()
        needed = memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
        if needed <= memory_budget:
            return compiled(pair, x1, x2)
        if side == 1:
            raise ValueError(
                f"memory_budget is {memory_budget:,} bytes; arguments, result and a single pair take {needed:,}: "
                f"raise it, or write the matrix to disk with stream_gram"
            )
        side = max(side // 2, 1)


@functools.cache
def _gram_on(mesh: Mesh):
    """`_gram` by rows: without communication, since each device has the kernel and all of x2."""
    rows, everywhere = PartitionSpec(mesh.axis_names), PartitionSpec()

    @functools.partial(jax.jit, static_argnames=("batch_size", "symmetric"))
    def program(pair, x1, x2, batch_size, symmetric):
        # check_vma would let derivatives with respect to replicated parameters be summed over devices.
        on_one = jax.shard_map(
            lambda pair, x1, x2: _gram(pair, x1, x2, batch_size, symmetric),
            mesh=mesh, in_specs=(everywhere, rows, everywhere), out_specs=rows, check_vma=False,
        )  # fmt: skip
        return on_one(pair, x1, x2)

    return program


def _spread(mesh: Mesh, pair, x1, x2):
    """x1, filled up to as many rows for each device, on the devices by rows; everything else on all of them."""
    x1 = jnp.concatenate([x1, jnp.broadcast_to(x1[:1], (-len(x1) % mesh.size, *x1.shape[1:]))])
    if not is_concrete(x1, x2):
        return pair, x1, x2

    def put(tree, *axes):  # by way of the host, since devices may belong to several processes
        sharding = NamedSharding(mesh, PartitionSpec(*axes))
        return jax.tree.map(lambda a: jax.device_put(np.asarray(a), sharding), tree)

    return put(pair), put(x1, mesh.axis_names), put(x2)


def diagonal(
    pair: PairFunction, x: Float[Array, "n *shape"], *, batch_size: int | None = None
) -> Float[Array, "n *value"]:
    """pair(x[i], x[i]) for every example, in linear time and memory."""
    x = jnp.asarray(x)
    _check_examples(x=x)
    _check_batch_size(batch_size)
    return _diagonal(as_pytree(pair), x, batch_size)


@functools.partial(jax.jit, static_argnames="batch_size")
def _diagonal(pair, x, batch_size):
    if batch_size is None or batch_size >= len(x):
        return jax.vmap(lambda a: pair(a, a))(x)
    return jax.lax.map(lambda a: pair(a, a), x, batch_size=batch_size)


@jax.jit
def as_matrix(kernel: Float[Array, "n1 n2 k1 k2"]) -> Float[Array, "n1*k1 n2*k2"]:
    """(n1, n2, k, k) to (n1 k, n2 k), the matrix that acts on outputs y of shape (n, k) as y.reshape(-1)."""
    n1, n2, k1, k2 = kernel.shape
    return kernel.transpose(0, 2, 1, 3).reshape(n1 * k1, n2 * k2)


@jax.jit
def trace_outputs(kernel: Float[Array, "n1 n2 k k"]) -> Float[Array, "n1 n2"]:
    """The mean over outputs of Θ_aa(x1, x2), that is its trace over outputs divided by k."""
    return jnp.trace(kernel, axis1=-2, axis2=-1) / kernel.shape[-1]


def _check_batch_size(batch_size) -> None:
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")


def _check_examples(**examples) -> None:
    for name, x in examples.items():
        if x.ndim == 0:
            raise ValueError(f"{name} is a scalar: the first axis counts examples, so pass {name}[None]")
    check_floating(**examples)
    check_finite(**examples)
