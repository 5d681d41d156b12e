"""The experiment of lazy and feature training, against formulas for small models and against itself done by hand."""

import dataclasses
import functools
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ntk_tutorial as ntk
from ntk_tutorial import regimes

CONFIGURATION = {
    "task": "digits", "activation": "tanh", "depth": 1, "width": 8, "scaled_alpha": 20.0,
    "num_train": 12, "num_test": 30, "num_components": 5, "num_seeds": 3,
}  # fmt: skip


@functools.cache
def data():
    return ntk.datasets.digits(jax.random.key(0), 12, 30, num_components=5)


@functools.cache
def keys():
    return jax.random.split(jax.random.key(1, impl="threefry2x32"), 3)  # vmap over keys of others draws anew


@functools.cache
def trained(alpha, rtol=1e-3, max_steps=10_000):
    net = regimes.perceptron(8, 1, ntk.tanh)
    return regimes.train_to_margin(net, keys(), alpha, data(), flow=ntk.gradient_flow(rtol=rtol, max_steps=max_steps))


@pytest.mark.parametrize("name", sorted(regimes.ACTIVATIONS))
def test_perceptron_keeps_the_mean_square(name):
    activation = regimes.ACTIVATIONS[name]
    net = regimes.perceptron(4000, 2, activation)
    params, shape = net.init(jax.random.key(0), (5,))
    x = ntk.datasets.sphere(jax.random.key(1), 1, 5)[0]
    weights = [jnp.asarray(p["w"]) for p in params if p]
    assert shape == (1,) and [w.shape for w in weights] == [(5, 4000), (4000, 4000), (4000, 1)]
    h, scale = x / 5**0.5, None
    for w in weights[:-1]:
        h = activation.fn(h @ w)
        scale = jnp.mean(h**2) if scale is None else scale  # of E[φ(z)²], from 4,000 units
        assert jnp.mean(h**2) / scale == pytest.approx(1.0, abs=0.1)
        h = h / jnp.sqrt(scale * 4000)
    np.testing.assert_allclose(net.apply(params, x), h @ weights[-1], rtol=0.1, atol=0.02)


def test_relu_perceptron_is_homogeneous():
    net = regimes.perceptron(6, 3, ntk.relu)
    params, _ = net.init(jax.random.key(0), (5,))
    twice = jax.tree.map(lambda p: 2 * p, params)
    x = data().x_train
    np.testing.assert_allclose(ntk.outputs(net.apply, twice, x), 2**4 * ntk.outputs(net.apply, params, x))
    np.testing.assert_allclose(ntk.gram(ntk.layerwise(net, twice), x), 2**6 * ntk.gram(ntk.layerwise(net, params), x))


@pytest.mark.parametrize("alpha", [1e-4, 1e-2, 1.0, 1e2])
def test_flow_far_from_the_start_is_accurate(alpha):
    """Three equal weights under a loss of slope −1: λ = 1 / (1 − t/α), though the first Newton step is ∝ 1/α."""
    start, one = jnp.ones(3), jnp.ones((1, 1))

    def chain(w, x):
        return jnp.prod(w) * x

    def linear(f, y):
        return -jnp.sum(f * y)

    model = ntk.scaled(chain, start, alpha)
    end = ntk.train_until(model, start, one, one, lambda w: model(w, one[0, 0]) > 1, loss=linear)
    assert end.reached
    np.testing.assert_allclose(1 / end.params, 1 - end.t * alpha, rtol=0, atol=5e-3)  # t α² / α


def test_margins_are_reached_and_measured():
    net, x, y = regimes.perceptron(8, 1, ntk.tanh), data().x_train, data().y_train
    found = trained(0.3)
    assert found.reached.all() and (found.num_steps > 0).all() and len(set(np.asarray(found.time))) == 3
    for i, key in enumerate(keys()):
        params0, _ = net.init(key, (5,))
        model = ntk.scaled(net.apply, params0, 0.3)
        flow = ntk.gradient_flow(rtol=1e-6)
        params = ntk.train(model, params0, x, y, flow, ts=found.time[i] / 0.3**2, loss=ntk.hinge).params
        assert jnp.min(y * ntk.outputs(model, params, x)) == pytest.approx(1.0, abs=0.1)
        before, after = (ntk.gram(ntk.jacobian_contraction(net.apply, p), x) for p in (params0, params))
        assert found.kernel_change[i] == pytest.approx(float(ntk.relative_change(before, after)), rel=0.1)
        assert found.parameter_change[i] == pytest.approx(float(ntk.parameter_change(params0, params).total), rel=0.1)
        f_test = ntk.outputs(model, params, data().x_test)[:, 0]
        np.testing.assert_allclose(found.outputs[i], f_test, atol=0.1 * jnp.abs(f_test).max())


def test_lazy_time_does_not_depend_on_the_scale():
    one, two = trained(1e3, 1e-6), trained(1e4, 1e-6)  # small steps, since the last one goes beyond the goal
    np.testing.assert_allclose(one.time, two.time, rtol=0.02)
    np.testing.assert_allclose(one.outputs, two.outputs, atol=0.05 * np.abs(two.outputs).max())
    np.testing.assert_allclose(one.kernel_change / two.kernel_change, 10.0, rtol=0.1)
    np.testing.assert_allclose(one.parameter_change / two.parameter_change, 10.0, rtol=0.1)


def test_too_few_steps_are_told():
    assert not trained(0.3, max_steps=3).reached.any()


@functools.cache
def point():
    return regimes.crossover(**CONFIGURATION)


def test_crossover_is_what_it_says():
    found = point()
    net = regimes.perceptron(8, 1, ntk.tanh)
    seeds = jax.vmap(lambda seed: jax.random.fold_in(jax.random.key(1), seed))(jnp.arange(3))
    margins = regimes.train_to_margin(net, seeds, 20.0 / 8**0.5, data())
    for name in ("time", "reached", "num_steps", "kernel_change", "parameter_change"):
        np.testing.assert_array_equal(found[name], getattr(margins, name))
    f, y = np.asarray(margins.outputs), np.asarray(data().y_test[:, 0])
    np.testing.assert_array_equal(found["test_error"], [np.mean(np.sign(row) != y) for row in f])
    assert found["ensemble_error"] == np.mean(np.sign(f.sum(0)) != y)
    assert found["fluctuation"] == pytest.approx(np.sqrt(np.mean(np.std(f, axis=0, ddof=1) ** 2)))
    for i in range(3):
        rest = np.delete(f, i, axis=0)
        assert found["ensemble_error_without"][i] == np.mean(np.sign(rest.sum(0)) != y)
        assert found["fluctuation_without"][i] == pytest.approx(np.sqrt(np.mean(np.var(rest, axis=0, ddof=1))))


def test_networks_that_did_not_finish_are_not_in_the_ensemble(monkeypatch):
    margins = regimes.train_to_margin(regimes.perceptron(8, 1, ntk.tanh), keys(), 1.0, data())

    def spoiled(*args, **kwargs):
        outputs = margins.outputs.at[1].set(1e6)
        return margins._replace(reached=jnp.asarray([True, False, True]), outputs=outputs)

    monkeypatch.setattr(regimes, "train_to_margin", spoiled)
    found, rest = regimes.crossover(**CONFIGURATION), np.asarray(margins.outputs)[[0, 2]]
    assert found["fluctuation"] == pytest.approx(np.sqrt(np.mean(np.var(rest, axis=0, ddof=1))))
    assert found["ensemble_error"] == np.mean(rest.mean(0) * np.asarray(data().y_test[:, 0]) <= 0)


def test_crossover_fills_a_sweep(tmp_path):
    path = tmp_path / "one.json"
    results = ntk.results.run(lambda **configuration: point(), [CONFIGURATION], path, progress=False)
    assert results.array("kernel_change", "width").shape == (1, 3)
    assert results.deviation(lambda **configuration: point(), width=8) < 0.01  # six digits are stored


REAL = Path(os.environ.get("NTK_TUTORIAL_DATA", Path(__file__).parents[2] / "shared" / "data"))


def need(task, stored, monkeypatch):
    """Skips where the data that stored results were computed from are not at hand."""
    if task != "digits":
        if not (REAL / f"{task}.npz").exists():
            pytest.skip(f"no {task}.npz: set NTK_TUTORIAL_DATA to a folder that has it")
        monkeypatch.setenv("NTK_TUTORIAL_DATA", str(REAL))
    if ntk.datasets.checksum(task) != stored.about["data"][task]:
        pytest.skip(f"the stored results were computed from other rows of {task} than those in {REAL}")


@pytest.mark.parametrize(("name", "task"), [("crossover", "digits"), ("crossover", "mnist"), ("depth", "digits")])
def test_a_stored_point_again(name, task, monkeypatch):
    """And a value changed by a spread, in a file whose digest somebody has renewed, would be noticed."""
    stored = ntk.results.load(name)
    need(task, stored, monkeypatch)
    point = {"activation": "relu", "scaled_alpha": stored.axis("scaled_alpha")[-1], "task": task}
    point |= {"width": min(stored.axis("width")), "depth": min(2, max(stored.axis("depth")))}
    chosen = stored.select(**point)
    with jax.default_prng_impl("threefry2x32"):
        fresh = regimes.crossover(**chosen.configurations[0])
    assert stored.deviation(lambda **_: fresh, **point) < 0.2
    first, *others = chosen.values[0]["kernel_change"]
    spread = np.std([first, *others])
    tampered = [{**chosen.values[0], "kernel_change": [first + spread, *others]}]
    assert dataclasses.replace(chosen, values=tampered).deviation(lambda **_: fresh, **point) > 0.2


@pytest.mark.parametrize("depth", [1, 3])
def test_narrower_networks_are_the_first_units(depth):
    wide = regimes.perceptron(6, depth, ntk.relu)
    params = ntk.draw(wide, keys(), (5,))
    cut = regimes.narrower(params, 2)
    expected = jax.eval_shape(lambda: ntk.draw(regimes.perceptron(2, depth, ntk.relu), keys(), (5,)))
    assert jax.tree.map(jnp.shape, cut) == jax.tree.map(jnp.shape, expected)
    for part, whole in zip(jax.tree.leaves(cut), jax.tree.leaves(params), strict=True):
        np.testing.assert_array_equal(part, whole[:, : part.shape[1], : part.shape[2]])
    assert ntk.outputs(regimes.perceptron(2, depth, ntk.relu).apply, jax.tree.map(lambda w: w[0], cut), data().x_train)[
        :, 0
    ].shape == (12,)


def test_crossing():
    x = np.geomspace(0.01, 100, 9)
    assert regimes.crossing(x, 3 * x**-1.5, 1.0) == pytest.approx(3 ** (1 / 1.5))
    rising = regimes.crossing(x, np.stack([2 * x, 5 * x**2]), 0.5)
    np.testing.assert_allclose(rising, [0.25, 0.1**0.5])
    gap = np.where(np.arange(9) == 4, np.nan, 3 * x**-1.5)
    assert regimes.crossing(x, gap, 1.0) == pytest.approx(3 ** (1 / 1.5))
    assert regimes.crossing([1, 2, 4, 8], [1.0, 4.0, 1.0, 4.0], 2.0) == pytest.approx(2**0.5)  # the first
    for y in (x + 10, np.full(9, np.nan)):
        with pytest.raises(ValueError, match="never passes"):
            regimes.crossing(x, y, 1.0)
