"""Structure found by tracing: equal to contracting Jacobians, by the rules that were to be expected, and cheaper."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import all_networks, case, examples, relative_error

import ntk_tutorial as ntk

PRODUCT, CONVOLUTION, ADDITION, SCALE, JACOBIAN, VECTOR, NONE = (
    "matrix product", "convolution", "addition", "scale", "Jacobian", "vector products", "none",
)  # fmt: skip


@pytest.fixture(autouse=True)
def broadcasting():
    """These functions are other people's, who may broadcast as NumPy does."""
    with jax.numpy_rank_promotion("allow"):
        yield


def mlp(p, x):
    hidden = jax.jit(lambda x: jnp.tanh(p["w1"] @ x + p["b1"]))(x)
    hidden = jax.checkpoint(lambda h: jax.nn.relu(h[None] @ (p["w2"] / np.sqrt(30)) + p["b2"][None]))(hidden)
    return (hidden @ p["w3"].reshape(30, 3))[0]


def gradients_stopped(p, x):
    return jnp.sin(p["w1"] @ x) @ p["w2"] + jax.lax.stop_gradient(p["b"]) * jnp.sum(jax.lax.stop_gradient(p["w1"]))


def tied(p, x):
    return jnp.tanh(jnp.tanh(x @ p["w"]) @ p["w"].T)[:2] + p["b"][0] * p["b"][1]


def positions(p, x):
    """Weights shared over the four rows of x, in three spellings; the order of axes differs."""
    h = jnp.tanh(x @ p["few"])
    h = jnp.einsum("oc,sc->os", p["left"], h)
    h = jnp.sin(jax.vmap(lambda column: p["vmapped"] @ column)(h.T))
    return jnp.einsum("sc,cok->ko", h, p["sum"])[:, 0]


def grouped(p, x):
    """Each group of numbers has its own matrix: a batched product, which attention heads are."""
    h = jnp.einsum("sgc,gco->gso", x.reshape(2, 3, 6), p["heads"])
    h = jnp.einsum("ogc,gsc->gos", p["heads2"], jnp.tanh(h))
    return jnp.tanh(h).sum((0, 2)) * p["s"]


def convolve(x, w, **options):
    return jax.lax.conv_general_dilated(
        x, w, **{"window_strides": (1, 1), "padding": "SAME", "dimension_numbers": ("NHWC", "HWIO", "NHWC"), **options}
    )


def cnn(p, x):
    h = jnp.tanh(convolve(x[None], p["first"], window_strides=(2, 1), padding="VALID") + p["b"])
    h = jnp.tanh(convolve(h, p["second"], padding=((1, 0), (2, 1)), rhs_dilation=(2, 1), window_strides=(2, 2)))
    h = jnp.tanh(convolve(h, p["grouped"], feature_group_count=2))
    h = jnp.tanh(convolve(h, p["dilated"], lhs_dilation=(1, 2), window_strides=(3, 3), padding=((1, 1), (1, 1))))
    h = jnp.tanh(convolve(h.transpose(0, 3, 1, 2), p["oihw"], dimension_numbers=("NCHW", "OIHW", "CNHW")))
    return jnp.tensordot(h[:, 0], p["out"], ((0, 1, 2), (1, 0, 2)))


def batch_of_one(p, x):
    h = jnp.tanh(jnp.dot(x[None, None], p["w"], precision="highest") + p["b"])
    return (h @ p["v"]).squeeze((0, 1))


def normalized(p, x):
    h = x @ p["w"]
    h = (h - h.mean(-1, keepdims=True)) * jax.lax.rsqrt(h.var(-1, keepdims=True) + 1e-6)
    h = h * p["scale"] + p["shift"]
    return jnp.tanh(h).sum(0) / p["divisor"]


def attention(p, x):
    query, key, value = (jnp.einsum("sd,dhc->shc", x, p[name]) for name in ("query", "key", "value"))
    weights = jax.nn.softmax(jnp.einsum("shc,thc->hst", query, key) / jnp.sqrt(3.0))
    h = x + jnp.einsum("shc,hcd->sd", jnp.einsum("hst,thc->shc", weights, value), p["out"])
    return (h + jax.nn.gelu(h @ p["up"] + p["b"]) @ p["down"]).mean(0)[:2]


def scan_rnn(p, x):
    step = lambda h, row: (jnp.tanh(p["inner"] @ h + p["outer"] @ row), None)  # noqa: E731
    h, _ = jax.lax.scan(step, jnp.zeros(20), x)
    return p["readout"] @ h


def unrolled_rnn(p, x):
    h = jnp.zeros(40)
    for row in x:
        h = jnp.tanh(p["inner"] @ h + p["outer"] @ row)
    return p["readout"] @ h


def embedding(p, x):
    tokens = jnp.floor(jnp.abs(3 * x)).astype(int) % 9
    h = p["table"][tokens] + p["position"]
    return jnp.tanh(h.reshape(-1) @ p["w"])


def branches(p, x):
    h = jax.lax.cond(x[0] > 0, lambda x: jnp.tanh(p["w"] @ x), lambda x: p["w"] @ x * p["s"], x)
    return jax.lax.cond(x[1] > 0, jnp.sin, jnp.cos, h) @ p["v"]


@jax.custom_jvp
def straight_through(w, x):
    """Its derivative is not that of its body: seeing through the call would be wrong."""
    return jnp.sign(w) @ x


@straight_through.defjvp
def _(primals, tangents):
    (w, x), (dw, dx) = primals, tangents
    return straight_through(w, x), dw @ x + w @ dx


@jax.custom_vjp
def clipped(x):
    return x


clipped.defvjp(lambda x: (x, None), lambda _, ct: (jnp.clip(ct, -0.1, 0.1),))


def custom(p, x):
    h = jax.nn.relu(straight_through(p["w"], x) + p["b"])
    return clipped(h @ p["v"]) * 2


def used_twice(p, x):
    return p["w"] @ jnp.tanh(p["w"] @ x + p["b"])


def used_twice_and_clipped(p, x):
    return clipped(used_twice(p, x))


def factors(p, x):
    """A product of two parameters, a learned scalar, a slice, a difference from a constant, a complex detour."""
    h = x @ (p["a"] @ p["b"])
    h = jnp.tanh(h @ (p["c"] * p["temperature"]))
    h = jnp.tanh(h @ p["d"][:6, 1:])
    h = jnp.tanh(h @ (p["e"] - 2 * jnp.ones((20, 20))) / p["norm"].sum())
    return jnp.abs(jnp.fft.fft(h) @ jax.lax.complex(p["g"], jnp.zeros((20, 2))))


def biases(p, x):
    """Turned round, with a sign and factors; of a product that is read elsewhere as well; repeated; shared by rows."""
    h = jnp.tanh(x @ p["w1"] - 3 * p["turned"][::-1] * p["factor"])
    z = h @ p["w2"]
    h = jnp.tanh(z + p["passed by"]) * z
    h = jnp.tanh(h @ p["w3"] + p["few"][:1])
    h = jnp.stack([h, jnp.tanh(h)]) @ p["w4"] + p["shared"]
    return jnp.tanh(h).sum(0) @ p["w5"] + p["last"]


def unusual(p, x):
    h = jnp.tanh(jnp.broadcast_to(p["repeated"], (3, 5, 20)) * x[:3, None, None]).sum(0)
    h = jnp.concatenate([h, p["token"][None]]) @ (p["masked"] * jnp.tri(20))
    h = jnp.where(h > 0, h, p["slope"] * h)
    h = h @ (p["direction"] / jnp.linalg.norm(p["direction"], axis=0)) + 1 / p["below"]
    h = jax.lax.conv(x[:2].reshape(1, 1, 2) * jnp.ones((3, 1, 1)), h[:, :1].reshape(6, 1, 1), (1,), "SAME").sum((0, 2))
    return jnp.concatenate([p["returned"], h[:1]])


HAND_WRITTEN = {  # name: (f, shape of one example, {parameter: (shape, rule)})
    "mlp": (mlp, (4,), {
        "w1": ((20, 4), PRODUCT), "b1": ((20,), ADDITION), "w2": ((20, 30), PRODUCT), "b2": ((30,), ADDITION),
        "w3": ((3, 30), PRODUCT), "unused": ((2, 2), NONE),
    }),
    "gradients stopped": (gradients_stopped, (4,), {
        "w1": ((20, 4), PRODUCT), "w2": ((20, 2), PRODUCT), "b": ((2,), NONE),
    }),
    "independent": (lambda p, x: x[:2], (4,), {"w": ((3,), NONE)}),
    "tied": (tied, (4,), {"w": ((4, 20), JACOBIAN), "b": ((2,), JACOBIAN)}),
    "positions": (positions, (4, 5), {
        "few": ((5, 40), JACOBIAN), "left": ((40, 40), PRODUCT), "vmapped": ((40, 40), PRODUCT),
        "sum": ((40, 20, 3), PRODUCT),
    }),
    "grouped": (grouped, (2, 18), {
        "heads": ((3, 6, 20), PRODUCT), "heads2": ((30, 3, 20), PRODUCT), "s": ((30,), SCALE),
    }),
    "cnn": (cnn, (8, 9, 3), {
        "first": ((3, 3, 3, 8), JACOBIAN), "b": ((8,), ADDITION), "second": ((2, 3, 8, 8), CONVOLUTION),
        "grouped": ((3, 3, 4, 32), CONVOLUTION), "dilated": ((3, 3, 32, 20), CONVOLUTION),
        "oihw": ((30, 20, 2, 2), CONVOLUTION), "out": ((1, 30, 3, 2), PRODUCT),
    }),
    "batch of one": (batch_of_one, (4,), {"w": ((4, 20), PRODUCT), "b": ((20,), ADDITION), "v": ((20, 2), PRODUCT)}),
    "layer norm": (normalized, (2, 8), {
        "w": ((8, 12), PRODUCT), "scale": ((12,), SCALE), "shift": ((12,), ADDITION), "divisor": ((12,), JACOBIAN),
    }),
    "attention": (attention, (3, 12), {
        "query": ((12, 2, 20), PRODUCT), "key": ((12, 2, 20), PRODUCT), "value": ((12, 2, 20), PRODUCT),
        "out": ((2, 20, 12), PRODUCT), "up": ((12, 48), PRODUCT), "b": ((48,), ADDITION), "down": ((48, 12), PRODUCT),
    }),
    "rnn by scan": (scan_rnn, (3, 4), {
        "inner": ((20, 20), JACOBIAN), "outer": ((20, 4), JACOBIAN), "readout": ((2, 20), PRODUCT),
    }),
    "rnn, unrolled": (unrolled_rnn, (3, 4), {
        "inner": ((40, 40), JACOBIAN), "outer": ((40, 4), JACOBIAN), "readout": ((2, 40), PRODUCT),
    }),
    "rnn by scan, many outputs": (scan_rnn, (3, 4), {
        "inner": ((20, 20), VECTOR), "outer": ((20, 4), VECTOR), "readout": ((40, 20), PRODUCT),
    }),
    "rnn, unrolled, many outputs": (unrolled_rnn, (3, 4), {
        "inner": ((40, 40), VECTOR), "outer": ((40, 4), VECTOR), "readout": ((40, 40), PRODUCT),
    }),
    "used twice, many outputs": (used_twice, (20,), {"w": ((20, 20), VECTOR), "b": ((20,), ADDITION)}),
    "no forward derivative": (used_twice_and_clipped, (20,), {"w": ((20, 20), JACOBIAN), "b": ((20,), ADDITION)}),
    "embedding": (embedding, (5,), {
        "table": ((9, 8), JACOBIAN), "position": ((5, 8), ADDITION), "w": ((40, 2), PRODUCT),
    }),
    "branches": (branches, (4,), {"w": ((20, 4), JACOBIAN), "s": ((20,), JACOBIAN), "v": ((20, 2), PRODUCT)}),
    "custom derivatives": (custom, (4,), {"w": ((20, 4), JACOBIAN), "b": ((20,), ADDITION), "v": ((20, 2), PRODUCT)}),
    "factors": (factors, (4,), {
        "a": ((4, 20), JACOBIAN), "b": ((20, 30), PRODUCT), "c": ((30, 6), PRODUCT), "temperature": ((), SCALE),
        "d": ((9, 21), PRODUCT), "e": ((20, 20), PRODUCT), "norm": ((3,), JACOBIAN), "g": ((20, 2), JACOBIAN),
    }),
    "biases": (biases, (4,), {
        "w1": ((4, 20), PRODUCT), "turned": ((20,), ADDITION), "factor": ((), SCALE), "w2": ((20, 20), PRODUCT),
        "passed by": ((20,), ADDITION), "w3": ((20, 20), PRODUCT), "few": ((20,), ADDITION),
        "w4": ((20, 30), PRODUCT), "shared": ((30,), ADDITION), "w5": ((30, 2), PRODUCT), "last": ((2,), ADDITION),
    }),
    "unusual": (unusual, (4,), {
        "repeated": ((5, 20), SCALE), "token": ((20,), JACOBIAN), "masked": ((20, 20), SCALE), "slope": ((20,), SCALE),
        "direction": ((20, 20), JACOBIAN), "below": ((20,), JACOBIAN), "returned": ((2,), JACOBIAN),
    }),
}  # fmt: skip


def hand_written(name):
    f, shape, leaves = HAND_WRITTEN[name]
    keys = jax.random.split(jax.random.key(0), len(leaves))
    params = {
        leaf: jax.random.normal(key, size) / np.sqrt(max(1, np.prod(size[:-1])))
        for key, (leaf, (size, _)) in zip(keys, leaves.items(), strict=True)
    }
    return f, params, shape


def assert_twins(f, params, shape, tolerance=1e-12):
    x1, x2 = examples(shape, 3), examples(shape, 2, seed=2)
    expected = ntk.gram(ntk.jacobian_contraction(f, params), x1, x2)
    theta = ntk.gram(ntk.structured(f, params), x1, x2)
    assert float(jnp.max(jnp.abs(theta - expected))) <= tolerance * float(jnp.max(jnp.abs(expected)))


def rules(f, params, shape):
    return {row.path: row.rule for row in ntk.empirical_ntk(f, params).explain(jnp.ones(shape)).rows}


@pytest.mark.parametrize("name", HAND_WRITTEN)
def test_equals_the_contraction_of_jacobians_by_the_expected_rules(name):
    f, params, shape = hand_written(name)
    assert rules(f, params, shape) == {f"['{leaf}']": rule for leaf, (_, rule) in sorted(HAND_WRITTEN[name][2].items())}
    assert_twins(f, params, shape)


@all_networks
def test_equals_the_engine_of_our_own_layers(name):
    net, params, shape = case(name, width=20)
    x1, x2 = examples(shape, 3), examples(shape, 2, seed=2)
    expected = ntk.gram(ntk.layerwise(net, params), x1, x2)
    assert relative_error(ntk.gram(ntk.structured(net.apply, params), x1, x2), expected) < 1e-12


def test_linearized_models_keep_their_structure():
    net, params, shape = case("depth 2, bias", width=20)
    model = ntk.linearize(net.apply, params)
    moved = jax.tree.map(lambda leaf: 1.1 * leaf, params)
    assert PRODUCT in rules(model, moved, shape).values()
    assert_twins(model, moved, shape)


def check_model(f, params, shape, expected):
    """`expected`: the rule of each parameter whose path contains the key, the first key that does."""
    for path, rule in rules(f, params, shape).items():
        assert rule == next(rule for key, rule in expected.items() if key in path), path
    assert_twins(f, params, shape)


BLOCK = (3, 24)  # positions, features of the transformer blocks below


def test_flax_linen():
    nn = pytest.importorskip("flax.linen")

    class Mlp(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(2)(nn.LayerNorm()(nn.gelu(nn.Dense(30)(x))))

    class Cnn(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.avg_pool(nn.relu(nn.Conv(8, (3, 3))(x)), (2, 2), (2, 2))
            x = nn.max_pool(nn.GroupNorm(4)(nn.relu(nn.Conv(32, (3, 3), strides=2)(x))), (2, 2))
            return nn.Dense(2)(nn.relu(nn.Conv(48, (2, 2), feature_group_count=2)(x)).mean((1, 2)))

    class Block(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = x + nn.MultiHeadDotProductAttention(num_heads=2, qkv_features=48)(nn.LayerNorm()(x))
            hidden = nn.gelu(nn.Dense(96)(nn.LayerNorm()(x)))
            return nn.Dense(2)((x + nn.Dense(24)(hidden)).mean(1))

    layers = {"bias": ADDITION, "scale": SCALE, "Conv_0": JACOBIAN, "Conv": CONVOLUTION, "kernel": PRODUCT}
    for model, shape in ((Mlp(), (5,)), (Cnn(), (8, 8, 3)), (Block(), BLOCK)):
        variables = model.init(jax.random.key(0), jnp.ones((1, *shape)))
        params = jax.tree.map(lambda leaf: leaf.astype(float) + 0.1, variables["params"])
        f = functools.partial(lambda model, params, x: model.apply({"params": params}, x[None])[0], model)
        check_model(f, params, shape, layers)


def test_flax_nnx():
    nnx = pytest.importorskip("flax.nnx")

    class Mlp(nnx.Module):
        def __init__(self, rngs):
            self.first, self.norm = nnx.Linear(5, 30, rngs=rngs), nnx.LayerNorm(30, rngs=rngs)
            self.last = nnx.Linear(30, 2, rngs=rngs)

        def __call__(self, x):
            return self.last(self.norm(nnx.tanh(self.first(x))))

    graph, params = nnx.split(Mlp(nnx.Rngs(0)), nnx.Param)
    params = nnx.to_pure_dict(jax.tree.map(lambda leaf: leaf.astype(float) + 0.1, params))
    structure = nnx.split(Mlp(nnx.Rngs(0)), nnx.Param)[1]

    def f(params, x):
        nnx.replace_by_pure_dict(structure, params)
        return nnx.merge(graph, structure)(x[None])[0]

    check_model(f, params, (5,), {"bias": ADDITION, "scale": SCALE, "kernel": PRODUCT})


def test_equinox():
    eqx = pytest.importorskip("equinox")
    keys = jax.random.split(jax.random.key(0), 8)

    class Cnn(eqx.Module):
        layers: list

        def __init__(self):
            self.layers = [
                eqx.nn.Conv2d(3, 8, 3, padding=1, key=keys[0]), jax.nn.relu, eqx.nn.MaxPool2d(2, 2),
                eqx.nn.Conv2d(8, 32, 3, stride=2, key=keys[1]), eqx.nn.GroupNorm(4, 32), jax.nn.relu,
                eqx.nn.Conv2d(32, 48, 1, groups=2, key=keys[2]), jnp.ravel, eqx.nn.Linear(48, 2, key=keys[3]),
            ]  # fmt: skip

        def __call__(self, x):
            return functools.reduce(lambda h, layer: layer(h), self.layers, x)

    class Block(eqx.Module):
        attention: eqx.nn.MultiheadAttention
        norms: list
        up: eqx.nn.Linear
        down: eqx.nn.Linear
        last: eqx.nn.Linear

        def __init__(self):
            self.attention = eqx.nn.MultiheadAttention(
                2, 24, use_query_bias=True, use_key_bias=True, qk_size=24, vo_size=24, key=keys[0]
            )
            self.norms = [eqx.nn.LayerNorm(24), eqx.nn.LayerNorm(24)]
            self.up, self.down = eqx.nn.Linear(24, 96, key=keys[1]), eqx.nn.Linear(96, 24, key=keys[2])
            self.last = eqx.nn.Linear(24, 2, key=keys[3])

        def __call__(self, x):
            h = jax.vmap(self.norms[0])(x)
            x = x + self.attention(h, h, h)
            h = jax.vmap(self.norms[1])(x)
            return self.last((x + jax.vmap(lambda row: self.down(jax.nn.gelu(self.up(row))))(h)).mean(0))

    mlp = eqx.nn.MLP(5, 2, 30, 2, jnp.tanh, key=keys[4])
    products = {"bias": ADDITION, "norms": SCALE, "weight": PRODUCT}
    convolutions = {"bias": ADDITION, "[0]": JACOBIAN, "[4]": SCALE, "[8]": PRODUCT, "weight": CONVOLUTION}
    for model, shape, expected in (
        (mlp, (5,), products), (Cnn(), (3, 8, 8), convolutions), (Block(), BLOCK, products)
    ):  # fmt: skip
        params, static = eqx.partition(model, eqx.is_inexact_array)
        params = jax.tree.map(lambda leaf: leaf.astype(float), params)
        f = functools.partial(lambda static, params, x: eqx.combine(params, static)(x), static)
        check_model(f, params, shape, expected)


def wide(p, x):
    for w, b in zip(p["w"], p["b"], strict=True):
        x = jnp.tanh(x @ w / np.sqrt(len(w)) + b)
    return x


def test_takes_fewer_operations_and_less_memory():
    widths = (64, 512, 512, 512, 2)
    params = {
        "w": [jnp.ones(shape) for shape in itertools.pairwise(widths)],
        "b": [jnp.zeros(width) for width in widths[1:]],
    }
    x = examples((64,), 64)

    def cost(engine):
        compiled = jax.jit(lambda x: ntk.gram(engine(wide, params), x)).lower(x).compile()
        return np.array([compiled.cost_analysis()["flops"], compiled.memory_analysis().temp_size_in_bytes])

    operations, memory = cost(ntk.jacobian_contraction) / cost(ntk.structured)
    assert operations > 30
    assert memory > 30


def test_products_with_complex_numbers_are_left_to_jacobians():
    f = lambda p, x: jnp.abs((1j * x) @ p)  # noqa: E731
    (row,) = ntk.structured(f, jnp.ones((20, 2))).explain(jnp.ones(20)).rows
    assert row.rule == JACOBIAN and "complex" in row.reason


def test_explains_itself():
    f, params, shape = hand_written("mlp")
    explanation = ntk.empirical_ntk(f, params).explain(jnp.ones(shape))
    assert explanation["['w2']"] == PRODUCT
    lines = str(explanation).splitlines()
    assert lines[0].split() == ["parameter", "shape", "rule", "operations", "by", "Jacobian", "reason"]
    assert any("20 x 30 at 1 position(s): from h and δ" in line for line in lines)
    assert lines[-1].startswith("together") and f"{sum(row.operations for row in explanation.rows):,}" in lines[-1]


def test_precision_follows_the_parameters_also_where_f_computes_in_less():
    f, params, shape = hand_written("mlp")
    x = examples(shape, 3)
    low = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params)
    theta = ntk.gram(ntk.structured(f, low), x.astype(jnp.float32))
    assert theta.dtype == jnp.float32
    assert relative_error(theta.astype(float), ntk.gram(ntk.structured(f, params), x)) < 1e-5

    def half(p, x):
        p, x = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), (p, x))
        return f(p, x).astype(jnp.float32)

    theta = ntk.gram(ntk.structured(half, low), x.astype(jnp.float32))
    assert theta.dtype == jnp.float32
    assert relative_error(theta.astype(float), ntk.gram(ntk.structured(f, params), x)) < 0.1


def test_parameters_are_traced():
    """Kernels of many networks by vmap over their parameters, and gradients of a kernel with respect to them."""
    f, params, shape = hand_written("mlp")
    x = examples(shape, 2)

    def size(p, engine=ntk.structured):
        return ntk.gram(engine(f, p), x).sum()

    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), params)
    twice = jax.tree.map(lambda leaf: 2 * leaf, params)
    assert relative_error(jax.vmap(size)(stacked), jnp.stack([size(params), size(twice)])) < 1e-12
    engines = (ntk.structured, ntk.jacobian_contraction)
    slope, expected = (jax.jvp(lambda p, e=e: size(p, e), (params,), (twice,))[1] for e in engines)
    assert float(slope) == pytest.approx(float(expected), rel=1e-10)


def test_examples_on_one_side_are_differentiated_once():
    """What depends on one example only, such as the 20 hidden units, is not repeated for pairs."""
    f, params, shape = hand_written("mlp")
    kernel = jax.make_jaxpr(lambda x1, x2: ntk.gram(ntk.structured(f, params), x1, x2))
    shapes = str(kernel(jnp.ones((5, *shape)), jnp.ones((7, *shape))))
    assert "[5,3,3,20]" not in shapes and "[5,7,20]" not in shapes and "[7,5,20]" not in shapes


@pytest.mark.parametrize("name", ["positions", "grouped", "used twice, many outputs"])
def test_batches_combine_as_their_pairs_do(name):
    f, params, shape = hand_written(name)
    pair = ntk.structured(f, params)
    x1, x2 = examples(shape, 3), examples(shape, 2, seed=2)
    assert relative_error(ntk.gram(pair, x1, x2)[2, 1], pair(x1[2], x2[1])) < 1e-12


def test_a_bias_shares_the_delta_of_its_matrix():
    f, params, shape = hand_written("biases")
    rows = {row.path: row for row in ntk.structured(f, params).explain(jnp.ones(shape)).rows if row.rule == ADDITION}
    shared = {path for path, row in rows.items() if row.operations < row.jacobian_operations}
    assert shared == {"['turned']", "['last']"}
    assert rows["['turned']"].reason == "its gradient is the δ of ['w1']" and rows["['turned']"].operations == 2


def multiplications(f, *args):
    """Numbers of axes of all products of matrices in the program of f."""
    return [eqn.outvars[0].aval.ndim for eqn in jax.make_jaxpr(f)(*args).eqns if eqn.primitive.name == "dot_general"]


@pytest.mark.parametrize("name", ["mlp", "batch of one"])
def test_batches_are_multiplied_as_matrices(name):
    """One product for all pairs of two batches and each array of features, rather than one for each pair."""
    f, params, shape = hand_written(name)
    pair = ntk.structured(f, params)
    features = [jax.vmap(pair.features)(examples(shape, n)) for n in (3, 7)]
    arrays = [a for a in jax.tree.leaves(features[0]) if a.ndim > 2]  # but for what has the type of the kernel
    assert multiplications(pair.combine_all, *features) == [2] * len(arrays)


def test_gradients_are_formed_without_convolutions():
    """Of h and δ: the derivative with respect to a kernel would be another convolution, with filters like images."""
    f, params, shape = hand_written("cnn")
    program = jax.make_jaxpr(ntk.structured(f, params).features)(jnp.ones(shape))
    forward = jax.make_jaxpr(f)(params, jnp.ones(shape))
    count = lambda program: str(program).count("conv_general_dilated[")  # noqa: E731
    assert count(program) == 2 * count(forward) - 1  # forward, and back but to the input


@pytest.mark.parametrize("num_outputs", [1, 3])
@pytest.mark.parametrize(
    ("spec", "shape", "window", "options"),
    [
        (("NCW", "OIW", "WNC"), (2, 4, 9), (6, 2, 3), {"window_strides": (2,), "feature_group_count": 2}),
        (("NWC", "WIO", "NWC"), (1, 6, 2), (2, 2, 3), {"padding": ((-1, 2),), "lhs_dilation": (2,)}),
        (("NWHDC", "HWIDO", "DNCHW"), (2, 4, 5, 3, 2), (2, 3, 2, 2, 3), {"rhs_dilation": (1, 2, 1)}),
        (("NWC", "WIO", "NWC"), (1, 4, 2), (5, 2, 3), {}),  # nowhere does the window fit
    ],
)
def test_convolutions_of_any_layout(spec, shape, window, options, num_outputs):
    options = {"window_strides": (1,) * (len(shape) - 2), "padding": "VALID", **options}
    key = jax.random.key(0)
    params = {"w": jax.random.normal(key, window), "readout": jax.random.normal(key, (num_outputs,))}
    x = jax.random.normal(key, (3, *shape))

    def f(p, x):
        h = jax.lax.conv_general_dilated(x, 0.5 * p["w"], dimension_numbers=spec, **options)
        return jnp.tanh(jnp.sum(jnp.tanh(h)) * p["readout"])

    expected = ntk.gram(ntk.jacobian_contraction(f, params), x)
    np.testing.assert_allclose(ntk.gram(ntk.structured(f, params), x), expected, rtol=1e-10, atol=1e-13)


def test_refuses_what_the_other_engines_refuse():
    f, params, shape = hand_written("mlp")
    with pytest.raises(TypeError, match=r"params\['w1'\] has dtype int"):
        ntk.structured(f, {**params, "w1": jnp.ones((20, 4), int)})
    with pytest.raises(ValueError, match="non-finite"):
        ntk.structured(f, {**params, "w1": params["w1"].at[0, 0].set(jnp.nan)})
    scalar = ntk.structured(lambda p, x: f(p, x)[0], params)
    for call in (lambda x: scalar(x, x), scalar.explain):
        with pytest.raises(ValueError, match="one example to a vector"):
            call(jnp.ones(shape))
