"""Blocks, devices, compiled programs: however a matrix is computed, it is the plain double loop."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import case, draw, examples, relative_error
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import ntk_tutorial as ntk


def kernels(name="depth 2, bias"):
    net, params, _ = case(name)
    return {
        "infinite": ntk.infinite_ntk(net),
        "empirical": ntk.empirical_ntk(net.apply, params),
        "a function": lambda x1, x2: (x1 * x2)[:2],
    }


@pytest.mark.parametrize("kernel", kernels())
def test_equals_the_double_loop(kernel):
    pair, x1, x2 = kernels()[kernel], examples((3,), 7), examples((3,), 5, seed=2)
    one = jax.jit(lambda a, b: pair(a, b))
    expected = np.array([[one(a, b) for b in x2] for a in x1])
    diagonal = np.array([one(a, a) for a in x1])
    for batch_size in (None, 1, 3, 7, 100):  # fits neither, one, or is more than both
        np.testing.assert_allclose(ntk.gram(pair, x1, x2, batch_size=batch_size), expected, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(ntk.diagonal(pair, x1, batch_size=batch_size), diagonal, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(ntk.gram(pair, x1), ntk.gram(pair, x1, x1), rtol=1e-14)


@pytest.mark.parametrize("batch_size", [None, 3])
@pytest.mark.parametrize("n1, n2", [(0, 3), (3, 0), (1, 1)])
def test_few_examples(n1, n2, batch_size):
    net, params, _ = case("depth 1")
    x1, x2 = examples((3,), n1), examples((3,), n2)
    assert ntk.gram(ntk.infinite_ntk(net), x1, x2, batch_size=batch_size).shape == (n1, n2)
    assert ntk.gram(ntk.empirical_ntk(net.apply, params), x1, x2, batch_size=batch_size).shape == (n1, n2, 1, 1)
    assert ntk.diagonal(ntk.infinite_ntk(net), x1, batch_size=batch_size).shape == (n1,)


@pytest.mark.parametrize("kernel", ["infinite", "empirical"])
def test_sharded_examples(kernel):
    pair, x = kernels()[kernel], examples((3,), 8)
    devices = Mesh(np.array(jax.devices()), ("data",))
    assert devices.size == 8
    split = jax.device_put(x, NamedSharding(devices, PartitionSpec("data")))
    np.testing.assert_allclose(ntk.gram(pair, split, x), ntk.gram(pair, x), rtol=1e-12)


@pytest.mark.parametrize("kernel", kernels())
@pytest.mark.parametrize("n1, batch_size", [(8, None), (11, 2), (3, None)])  # as many as devices, more, fewer
def test_rows_on_several_devices(kernel, n1, batch_size):
    pair, x1, x2 = kernels()[kernel], examples((3,), n1), examples((3,), 5, seed=2)
    mesh = Mesh(np.array(jax.devices()).reshape(4, 2), ("a", "b"))
    theta = ntk.gram(pair, x1, x2, batch_size=batch_size, mesh=mesh)
    np.testing.assert_allclose(theta, ntk.gram(pair, x1, x2), rtol=1e-12, atol=1e-14)
    assert n1 != 8 or len({shard.device for shard in theta.addressable_shards}) == 8
    np.testing.assert_allclose(ntk.gram(pair, x1, mesh=mesh), ntk.gram(pair, x1), rtol=1e-12, atol=1e-14)


def test_derivatives_through_several_devices():
    """By rows on devices, parameters on all of them: their derivative is the sum over devices, once."""
    net, params, _ = case("depth 1")
    x, mesh = examples((3,), 8), Mesh(np.array(jax.devices()), ("data",))

    def size(params, mesh):
        return jnp.sum(ntk.gram(ntk.jacobian_contraction(net.apply, params), x, mesh=mesh) ** 2)

    plain, sharded = (jax.jit(jax.grad(lambda p, m=m: size(p, m)))(params) for m in (None, mesh))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10), plain, sharded)


CHILD = """
import sys
import jax, numpy as np
jax.config.update("jax_platforms", "cpu"); jax.config.update("jax_enable_x64", True)
jax.config.update("jax_num_cpu_devices", 2); jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(sys.argv[1], num_processes=2, process_id=int(sys.argv[2]))
import ntk_tutorial as ntk
net = ntk.mlp(5, 1, 2, ntk.erf)
x = np.random.default_rng(0).standard_normal((7, 3))
params = jax.tree.map(lambda a: np.linspace(-1, 1, a.size).reshape(a.shape), net.init(jax.random.key(0), (3,))[0])
mesh = jax.sharding.Mesh(np.array(jax.devices()), ("data",))
assert len(jax.devices()) == 4 and len(jax.local_devices()) == 2
pair = ntk.empirical_ntk(net.apply, params)
alone, shards = np.asarray(ntk.gram(pair, x)), ntk.gram(pair, x, mesh=mesh).addressable_shards
for shard in shards:
    np.testing.assert_allclose(shard.data, alone[shard.index], rtol=1e-12)
print("rows", sum(len(shard.data) for shard in shards))
"""


def test_two_processes():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    environment = os.environ | {"PYTHONPATH": str(Path(ntk.__file__).parents[1])}
    command = [sys.executable, "-c", CHILD, address]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment}
    both = [subprocess.Popen([*command, str(i)], **pipes) for i in range(2)]
    try:
        results = [process.communicate(timeout=240) for process in both]
    finally:
        for process in both:
            process.kill()
    for process, (out, err) in zip(both, results, strict=True):
        assert process.returncode == 0 and "rows" in out, err[-3000:]


@pytest.mark.parametrize("kernel", kernels())
def test_memory_budget(kernel):
    pair, x = kernels()[kernel], examples((3,), 64)
    expected, result = ntk.gram(pair, x), 64 * 64 * 8 * ntk.gram(pair, x[:1]).size
    for budget in (100_000_000, result + 60_000):
        np.testing.assert_allclose(ntk.gram(pair, x, memory_budget=budget), expected, rtol=1e-12, atol=1e-14)
    with pytest.raises(ValueError, match=r"memory_budget is 20,000 bytes; .* raise it, or write the matrix to disk"):
        ntk.gram(pair, x, memory_budget=20_000)
    with pytest.raises(ValueError, match="cannot be kept under jit"):
        jax.jit(lambda x: ntk.gram(pair, x, memory_budget=10**8))(x)
    with pytest.raises(ValueError, match="give one of them"):
        ntk.gram(pair, x, memory_budget=10**8, batch_size=3)


@pytest.fixture
def default_tiles(monkeypatch):
    """(pair, x) -> the shapes of the tiles that gram puts together."""
    module, shapes = sys.modules["ntk_tutorial.gram"], set()
    put = module._put
    monkeypatch.setattr(module, "_put", lambda matrix, tile, *at: shapes.add(tile.shape) or put(matrix, tile, *at))

    def of(pair, x):
        shapes.clear()
        jax.make_jaxpr(lambda x: ntk.gram(pair, x))(x)
        return set(shapes)

    return of


@pytest.mark.parametrize(("n", "side"), [(300, 160), (303, 160), (256, None), (90, None)])
def test_default_tiles(n, side, default_tiles):
    """More examples than one tile of the default size, as many, and fewer."""
    net, params, _ = case("depth 2, bias")
    x = examples((3,), n)
    assert default_tiles(ntk.infinite_ntk(net), x) == ({(side, side)} if side else set())
    for pair in (ntk.infinite_ntk(net), ntk.layerwise(net, params)):
        theta = ntk.gram(pair, x)
        np.testing.assert_allclose(theta, ntk.gram(pair, x, batch_size=1000), rtol=1e-11, atol=1e-12)
        transposed = theta.T if theta.ndim == 2 else theta.transpose(1, 0, 3, 2)
        np.testing.assert_allclose(theta, transposed, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("depth", "n", "loop"), [(2, 300, False), (2, 1100, True), (40, 300, True), (2, 90, False)])
def test_few_tiles_of_matrix_products_take_no_loop(depth, n, loop):
    """More than 4 of 256 examples on a side do, and tiles whose program is long."""
    net = ntk.mlp(4, depth, 2, ntk.relu)
    pair = ntk.layerwise(net, net.init(jax.random.key(0), (3,))[0])
    assert ("scan" in str(jax.make_jaxpr(lambda x: ntk.gram(pair, x))(examples((3,), n)))) == loop


def test_tiles_of_images_are_smaller(default_tiles):
    """64 positions have 4096 covariances a pair, 32 kB, and more with their padding: 5 × 5 pairs fill the 2 MiB."""
    pair, x = ntk.infinite_ntk(ntk.cnn(4, 1, 1, ntk.relu)), examples((8, 8, 1), 20)
    assert default_tiles(pair, x) == {(5, 5)}
    np.testing.assert_allclose(ntk.gram(pair, x), ntk.gram(pair, x, batch_size=20), rtol=1e-12)


@pytest.mark.parametrize("batch_size", [None, 2])
@pytest.mark.parametrize("kernel", ["infinite", "empirical"])
def test_each_half_is_traced_once(kernel, batch_size, monkeypatch):
    traces, pair = [], kernels()[kernel]

    def noted(name, method):
        return lambda self, *args, **kwargs: traces.append(name) or method(self, *args, **kwargs)

    for name in ("features", "combine"):
        monkeypatch.setattr(type(pair), name, noted(name, getattr(type(pair), name)))
    for x2 in (None, examples((3,), 17, seed=2)):  # a number of examples that no other test has
        traces.clear()
        jax.eval_shape(lambda x, x2=x2: ntk.gram(pair, x, x2, batch_size=batch_size), examples((3,), 17))
        assert sorted(traces) == ["combine", "features"]


@pytest.mark.parametrize("engine", [ntk.jacobian_contraction, ntk.ntk_vector_products, ntk.layerwise])
def test_new_parameters_need_no_new_program(engine):
    traced = []

    def count(x):
        traced.append(x)
        return jnp.sin(x)

    net = ntk.mlp(4, 1, 1, ntk.Activation(count, ntk.sin.dual, ntk.sin.dual_derivative))
    x = examples((3,), 3)

    def kernel(seed):
        params = ntk.mlp(4, 1, 1, ntk.sin).init(jax.random.key(seed), (3,))[0]
        return ntk.gram(engine(net if engine is ntk.layerwise else net.apply, params), x)

    first, in_first_program = kernel(0), len(traced)
    assert in_first_program > 0 and not jnp.allclose(kernel(1), first) and len(traced) == in_first_program


def test_over_seeds_and_under_jit():
    net, _, shape = case("standard")
    x, params = examples(shape, 3), draw(net, shape, 4)
    together = jax.jit(jax.vmap(lambda p: ntk.gram(ntk.empirical_ntk(net.apply, p), x, batch_size=2)))(params)
    for i, theta in enumerate(together):
        one = jax.tree.map(lambda leaf, i=i: leaf[i], params)
        assert relative_error(theta, ntk.gram(ntk.empirical_ntk(net.apply, one), x)) < 1e-12


def test_as_matrix_acts_on_flattened_outputs():
    kernel = jax.random.normal(jax.random.key(0), (2, 3, 4, 5))
    matrix = ntk.as_matrix(kernel)
    assert matrix.shape == (2 * 4, 3 * 5) and matrix[1 * 4 + 2, 2 * 5 + 3] == kernel[1, 2, 2, 3]
    y = jax.random.normal(jax.random.key(1), (3, 5))
    np.testing.assert_allclose((matrix @ y.reshape(-1)).reshape(2, 4), jnp.einsum("ijab,jb->ia", kernel, y))


def test_trace_outputs():
    kernel = jax.random.normal(jax.random.key(0), (2, 3, 4, 4))
    np.testing.assert_allclose(ntk.trace_outputs(kernel), sum(kernel[:, :, a, a] for a in range(4)) / 4)


def test_numpy_and_float32(unannotated):
    net, params, _ = case("depth 2, bias")
    x = np.random.default_rng(0).standard_normal((3, 3))
    for pair in (ntk.infinite_ntk(net), ntk.empirical_ntk(net.apply, params)):
        np.testing.assert_array_equal(ntk.gram(pair, x), ntk.gram(pair, jnp.asarray(x)))
    assert ntk.gram(ntk.infinite_ntk(net), x.astype(np.float32)).dtype == jnp.float32
