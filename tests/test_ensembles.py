"""Many networks and examples at once are the single ones, stacked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import case, examples

import ntk_tutorial as ntk


def test_outputs_are_those_of_each_example():
    net, params, shape = case("depth 2, bias")
    x = examples(shape, 3)
    np.testing.assert_allclose(ntk.outputs(net.apply, params, x), jnp.stack([net.apply(params, a) for a in x]))
    linear = ntk.linearize(net.apply, params)  # a function that holds arrays
    np.testing.assert_allclose(ntk.outputs(linear, params, x), ntk.outputs(net.apply, params, x))


def test_draw_is_one_network_a_key():
    net, _, shape = case("depth 1")
    keys = jax.random.split(jax.random.key(3, impl="threefry2x32"), 2)  # vmap over keys of others draws anew
    stack = ntk.draw(net, keys, shape)
    for i, key in enumerate(keys):
        alone, _ = net.init(key, shape)
        jax.tree.map(np.testing.assert_array_equal, jax.tree.map(lambda leaf: leaf[i], stack), alone)  # noqa: B023


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_sweep(backend, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)

    def measure(value, key, scale):
        return {"value": scale * value, "draw": jax.random.normal(key, (2,))}

    got = ntk.sweep(measure, [1.0, 2.0, 3.0], 4, seed=5, scale=10.0)
    np.testing.assert_array_equal(got["value"], 4 * [[10.0, 20.0, 30.0]])
    assert got["draw"].shape == (4, 3, 2) and len(np.unique(got["draw"])) == 24  # every run has a key of its own
    again = ntk.sweep(measure, [1.0, 2.0, 3.0], 4, seed=5, scale=10.0)
    np.testing.assert_array_equal(got["draw"], again["draw"])


@pytest.mark.parametrize(("values", "num_seeds"), [([], 3), ([1], 0)])
def test_an_empty_sweep_is_refused(values, num_seeds):
    with pytest.raises(ValueError, match="at least one value and one seed"):
        ntk.sweep(lambda value, key: value, values, num_seeds)


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_over_seeds_and_over_devices(backend, monkeypatch):
    """One after the other, as on a CPU, or at once; on a mesh each device has its own and need not wait for others."""
    monkeypatch.setattr(jax, "default_backend", lambda: backend)

    def one(key, shared):
        start = jax.random.uniform(key, minval=1.0, maxval=100.0)
        halvings = jax.lax.while_loop(lambda s: s[0] > shared["low"], lambda s: (s[0] / 2, s[1] + 1), (start, 0))[1]
        return {"start": start, "halvings": halvings}

    keys = jax.random.split(jax.random.key(0, impl="threefry2x32"), 8)
    shared = {"low": jnp.asarray(1.0)}
    mesh = jax.make_mesh((4,), ("seeds",), devices=jax.devices()[:4])
    alone, together = ntk.over_seeds(one, keys, shared), ntk.over_seeds(one, keys, shared, mesh=mesh)
    assert len(together["start"].sharding.device_set) == 4 and len(set(alone["halvings"].tolist())) > 2
    np.testing.assert_array_equal(alone["halvings"], np.ceil(np.log2(alone["start"])))
    jax.tree.map(np.testing.assert_array_equal, alone, together)
    with pytest.raises(ValueError, match="8 keys cannot be divided among 3 devices: take a multiple"):
        ntk.over_seeds(one, keys, shared, mesh=jax.make_mesh((3,), ("seeds",), devices=jax.devices()[:3]))
