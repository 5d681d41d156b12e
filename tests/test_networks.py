"""Finite networks against their infinite limits: exactly where that is possible, else by rates and standard errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import NETWORKS, all_networks, case, draw, examples, outputs, relative_error

import ntk_tutorial as ntk
from ntk_tutorial.kernel_state import as_input

# Networks whose layers mix positions: few channels, since a network in float64 costs their square times the window.
WITH_POSITIONS = [name for name in NETWORKS if name.startswith(("conv", "local", "residual conv", "attention"))]


@all_networks
def test_init_tells_the_output_shape(name):
    net, params, shape = case(name)
    (x,) = examples(shape, 1)
    assert net.init(jax.random.key(0), shape)[1] == net.apply(params, x).shape
    assert len(params) == len(net.layers) and hash(net) == hash(NETWORKS[name][0](6))


def test_parameters_are_there_only_where_asked_for():
    params, _ = ntk.mlp(5, 1, 2, ntk.relu).init(jax.random.key(0), (3,))
    assert jax.tree.map(jnp.shape, params) == ({"w": (3, 5)}, (), {"w": (5, 2)})
    params, _ = ntk.mlp(5, 1, 2, ntk.relu, b_std=0.0).init(jax.random.key(0), (3,))
    assert jax.tree.map(jnp.shape, params) == ({"w": (3, 5), "b": (5,)}, (), {"w": (5, 2), "b": (2,)})


def test_dense_by_hand():
    params = {"w": jnp.asarray([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]), "b": jnp.asarray([10.0, 20.0])}
    x = jnp.asarray([1.0, 0.0, -1.0, 0.0])
    np.testing.assert_allclose(ntk.Dense(2, 3.0, 0.5).apply(params, x), [3 / 2 * -4 + 5, 3 / 2 * -4 + 10])
    standard = ntk.Dense(2, 3.0, 0.5, parameterization="standard")
    np.testing.assert_allclose(standard.apply(params, x), [-4 + 10, -4 + 20])


def test_layer_norm_by_hand():
    z = ntk.LayerNorm().apply((), jnp.asarray([[1.0, 3.0, 5.0], [2.0, 2.0, 8.0]]))
    np.testing.assert_allclose(
        z, [np.sqrt([1.5, 0, 1.5]) * [-1, 0, 1], np.sqrt([0.5, 0.5, 2]) * [-1, -1, 1]], atol=1e-12
    )


@pytest.mark.parametrize("b_std", [None, 0.3])
def test_both_parameterizations_draw_the_same_function(b_std):
    x = examples((3,), 4)
    f_x = [
        outputs(net.apply, net.init(jax.random.key(3), (3,))[0], x)
        for p in ("ntk", "standard")
        for net in [ntk.mlp(7, 2, 2, ntk.relu, w_std=1.3, b_std=b_std, parameterization=p)]
    ]
    np.testing.assert_allclose(*f_x, rtol=1e-12)


@pytest.mark.parametrize("key", [jax.random.key(0), jax.random.PRNGKey(0)])
def test_keys_old_and_new(key):
    (first, _, last), _ = ntk.mlp(200, 1, 100, ntk.relu).init(key, (100,))
    for w in (first["w"], last["w"]):  # 20,000 draws of N(0, 1)
        assert abs(float(w.mean())) < 5 / 20_000**0.5 and abs(float(w.var()) - 1) < 5 * (2 / 20_000) ** 0.5
    assert not np.allclose(first["w"], last["w"].T)


@all_networks
def test_each_array_is_drawn_with_a_key_of_its_own(name, monkeypatch):
    build, shape = NETWORKS[name]
    keys = []

    def normal(key, shape):
        keys.append(np.asarray(jax.random.key_data(key)).tobytes())
        return np.zeros(shape)

    monkeypatch.setattr(jax.random, "normal", normal)
    params, _ = build(6).init(jax.random.key(0), shape)
    assert len(set(keys)) == len(keys) == len(jax.tree.leaves(params))


@all_networks
def test_finite_kernels_converge_to_the_infinite_one(name):
    """‖Θ − Θ_∞‖ falls as width^(−1/2), where Θ_∞ is zero between different outputs."""
    build, shape = NETWORKS[name]
    x, errors = examples(shape, 3), []
    widths, num_seeds = ((16, 64), 160) if name in WITH_POSITIONS else ((32, 256), 96)
    for width in widths:
        net = build(width)
        params = draw(net, shape, num_seeds)
        theta = jax.jit(jax.vmap(lambda p, net=net: ntk.gram(ntk.empirical_ntk(net.apply, p), x)))(params)
        limit = jnp.einsum("ij,ab->ijab", ntk.gram(ntk.infinite_ntk(net), x), jnp.eye(theta.shape[-1]))
        errors.append(jax.vmap(ntk.relative_change, (None, 0))(limit, theta))
    errors = jnp.stack(errors, axis=1)
    if "depth 0" in name:  # nothing is random there
        assert jnp.max(errors) < 1e-12
    else:
        rate = ntk.power_law(jnp.asarray(widths, float), errors)
        assert (
            rate.standard_error < (0.07 if name in WITH_POSITIONS else 0.06)
            and abs(rate.exponent + 0.5) < 4 * rate.standard_error
        )


@all_networks
def test_nngp_is_the_covariance_of_outputs(name):
    build, shape = NETWORKS[name]
    net, x = build(16 if name in WITH_POSITIONS else 64), examples(shape, 3)
    f_x = jax.jit(jax.vmap(lambda params: outputs(net.apply, params, x)))(draw(net, shape, 1000))
    products = jnp.einsum("sia,sja->sij", f_x, f_x) / f_x.shape[-1]
    nngp = ntk.gram(ntk.infinite_nngp(net), x)
    for samples, expected in ((products, nngp), (f_x, jnp.zeros(f_x.shape[1:]))):
        mean, error = ntk.estimate(samples)
        assert jnp.all(error < 0.1 * nngp.max()) and jnp.all(jnp.abs(mean - expected) < 5 * error)


@all_networks
@pytest.mark.parametrize("kernel", [ntk.infinite_ntk, ntk.infinite_nngp])
def test_infinite_kernels_are_positive_and_see_duplicates(name, kernel):
    net, _, shape = case(name)
    x = examples(shape, 4)
    theta = ntk.gram(kernel(net), jnp.concatenate([x, x[:1], x[:1] * (1 + 1e-9), 0 * x[:1]]))
    ntk.eigenmodes(theta)  # raises if theta is not finite, symmetric and positive semi-definite
    np.testing.assert_allclose(theta[0], theta[4], rtol=1e-12)
    np.testing.assert_allclose(theta[0], theta[5], rtol=1e-6, atol=1e-9)


def test_an_image_is_its_flattened_vector():
    x = examples((2, 3, 4), 5)
    net = ntk.mlp(8, 2, 1, ntk.erf, w_std=1.2, b_std=0.2)
    flat = ntk.gram(ntk.infinite_ntk(net), x.reshape(5, -1))
    np.testing.assert_allclose(ntk.gram(ntk.infinite_ntk(ntk.Serial([ntk.Flatten(), net])), x), flat, rtol=1e-12)


def test_depth_0_by_hand():
    x1, x2 = examples((3,), 4), examples((3,), 2, seed=2)
    linear = x1 @ x2.T / 3
    for parameterization, ntk_expected in (("ntk", 1.69 * linear + 0.16), ("standard", 3 * linear + 1)):
        net = ntk.Serial([ntk.Dense(2, 1.3, 0.4, parameterization)])
        assert relative_error(ntk.gram(ntk.infinite_ntk(net), x1, x2), ntk_expected) < 1e-14
        assert relative_error(ntk.gram(ntk.infinite_nngp(net), x1, x2), 1.69 * linear + 0.16) < 1e-14


def test_relu_network_of_depth_1_by_hand():
    """K = σ² κ₁ |x||x′| / dim and Θ = K + σ² κ₀ x·x′ / dim, with the arc-cosine kernels κ₁ and κ₀."""
    x = examples((3,), 4)
    norm = jnp.linalg.norm(x, axis=1)
    cosine = jnp.clip(x @ x.T / jnp.outer(norm, norm), -1, 1)
    angle = jnp.arccos(cosine)
    k0, k1 = (jnp.pi - angle) / jnp.pi, (jnp.sin(angle) + (jnp.pi - angle) * cosine) / jnp.pi
    net = ntk.mlp(8, 1, 1, ntk.relu, w_std=2.0**0.5)
    nngp = 2 * jnp.outer(norm, norm) * k1 / 3
    np.testing.assert_allclose(ntk.gram(ntk.infinite_nngp(net), x), nngp, rtol=1e-7)
    np.testing.assert_allclose(ntk.gram(ntk.infinite_ntk(net), x), nngp + 2 * (x @ x.T) * k0 / 3, rtol=1e-7)


def _hard_examples(num: int, dim: int) -> np.ndarray:
    """Normal, binary and constant ones: sums of squares whose rounding is random, absent, and all in one direction."""
    rng = np.random.default_rng(0)
    binary = (rng.random((num, dim)) < 0.2).astype(float)
    constant = np.linspace(0.1, 1.0, num)[:, None] * np.ones(dim)
    return np.concatenate([rng.standard_normal((num, dim)), binary, constant])


@pytest.mark.parametrize("dim", [100, 784])
@pytest.mark.parametrize("activation", [ntk.relu, ntk.abs, ntk.leaky_relu(0.1), ntk.erf, ntk.gelu], ids=str)
def test_deep_kernels_in_float32_keep_their_diagonal(activation, dim, float32):
    """Where √det of a singular covariance, or arccos near 1, would cost half of the digits."""
    kernel = ntk.infinite_ntk(ntk.mlp(8, 10, 1, activation, w_std=1.4, b_std=0.1))
    x = _hard_examples(150, dim)
    low = jnp.diag(ntk.gram(kernel, jnp.asarray(x, jnp.float32)))
    with jax.enable_x64(True):
        exact = ntk.diagonal(kernel, jnp.asarray(x, jnp.float32).astype(jnp.float64))
    assert low.dtype == jnp.float32
    np.testing.assert_allclose(low, exact, rtol=1e-5)


def test_an_example_met_again_in_another_batch_has_the_kernel_of_the_diagonal(float32):
    kernel = ntk.infinite_ntk(ntk.mlp(8, 5, 1, ntk.relu, w_std=1.4, b_std=0.1))
    x = jnp.asarray(_hard_examples(150, 784), jnp.float32)
    x = x.at[7, 3].set(0.0)
    again = x[5:130].at[2, 3].set(-0.0)
    own = ntk.diagonal(kernel, x)[5:130]
    np.testing.assert_allclose(jnp.diagonal(ntk.gram(kernel, x, again)[5:130]), own, rtol=1e-5)
    np.testing.assert_allclose(jax.jit(kernel)(x[0], x[0]), ntk.diagonal(kernel, x)[0], rtol=1e-5)


def test_sequences_of_many_channels_keep_their_diagonal(float32):
    """Where the covariance of channels is a matrix product too, with pooling or without."""
    x = _hard_examples(20, 300).reshape(60, 2, 150)
    for pooling in (True, False):
        net = ntk.cnn(1, 4, 1, ntk.relu, filter_shape=(2,), pooling=pooling, w_std=1.4, b_std=0.1)
        low = jnp.diag(ntk.gram(ntk.infinite_ntk(net), jnp.asarray(x, jnp.float32)))
        with jax.enable_x64(True):
            exact = ntk.diagonal(ntk.infinite_ntk(net), jnp.asarray(x, jnp.float32).astype(jnp.float64))
        np.testing.assert_allclose(low, exact, rtol=1e-5)


def test_neighbours_are_not_taken_for_the_same():
    """Examples that differ in one number, by little, or have only numbers that need few bits."""
    kernel = ntk.infinite_ntk(ntk.mlp(8, 1, 1, ntk.relu, w_std=2.0**0.5))
    rng = np.random.default_rng(0)
    x = jnp.asarray((rng.random((400, 784)) < 0.5).astype(float))
    near = x.at[jnp.arange(400), rng.integers(784, size=400)].add(1e-4)
    cosine = jnp.sum(x * near, 1) / jnp.linalg.norm(x, axis=1) / jnp.linalg.norm(near, axis=1)
    norms, angle = jnp.linalg.norm(x, axis=1) * jnp.linalg.norm(near, axis=1), jnp.arccos(jnp.minimum(cosine, 1.0))
    k0, k1 = (jnp.pi - angle) / jnp.pi, (jnp.sin(angle) + (jnp.pi - angle) * cosine) / jnp.pi
    expected = 2 * norms * (k1 + cosine * k0) / 784
    assert jnp.min(angle) > 1e-7
    np.testing.assert_allclose(jax.vmap(kernel)(x, near), expected, rtol=1e-10)
    numbers = as_input(x).fingerprint
    assert len(jnp.unique(numbers)) == 400


@pytest.mark.parametrize("which", [ntk.infinite_ntk, ntk.infinite_nngp])
def test_mixed_derivatives_at_equal_examples(which):
    """∂²K(x, x')/∂x ∂x' at x' = x, of a smooth kernel, by differences of its values."""
    kernel, step = which(ntk.mlp(8, 2, 1, ntk.erf, w_std=1.3, b_std=0.2)), 1e-4
    x, basis = jax.random.normal(jax.random.key(0), (3,)), jnp.eye(3)

    def difference(a, b):
        signs = ((1, 1), (1, -1), (-1, 1), (-1, -1))
        return sum(s * t * kernel(x + s * step * a, x + t * step * b) for s, t in signs) / (4 * step**2)

    expected = jax.vmap(jax.vmap(difference, (None, 0)), (0, None))(basis, basis)
    mixed = jax.jacfwd(jax.grad(kernel), argnums=1)(x, x)
    np.testing.assert_allclose(mixed, expected, rtol=1e-4, atol=1e-5)


def test_images_flattened_at_once_take_a_matrix_product():
    images = jax.random.normal(jax.random.key(0), (5, 6, 4, 3))
    net = ntk.mlp(8, 2, 1, ntk.relu, b_std=0.1)
    flattening = ntk.Serial([ntk.Serial([ntk.Flatten()]), net])
    for which in (ntk.infinite_ntk, ntk.infinite_nngp):
        kernel = ntk.gram(which(flattening), images)
        np.testing.assert_array_equal(kernel, ntk.gram(which(net), images.reshape(5, -1)))
    equations = jax.make_jaxpr(ntk.infinite_ntk(flattening))(images[0], images[1]).eqns
    products = [eqn.invars[0].aval.shape for eqn in equations if eqn.primitive.name == "dot_general"]
    assert (72,) in products
