"""Real training against the closed form, against loops written out, and against its own accuracy settings."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import case, draw, examples, outputs, relative_error

import ntk_tutorial as ntk


@functools.cache
def problem(width=16, n=5):
    net, params, shape = case("depth 2, bias", width=width)
    x = examples(shape, n)
    return net, params, x, examples((3,), n, seed=3)


@functools.cache
def closed_form(ts, from_network=True):
    """Outputs of the linearized network at the times ts, from where the network is or from zero."""
    net, params, x, y = problem()
    theta = ntk.gram(ntk.empirical_ntk(net.apply, params), x)
    start = outputs(net.apply, params, x) if from_network else None
    return np.asarray(ntk.predict(theta, y, jnp.asarray(ts), f_train0=start).train)


@functools.cache
def linear():
    net, params, *_ = problem()
    return ntk.linearize(net.apply, params)


def test_flow_of_the_linearized_network():
    """The error falls with rtol, and t, loss, record and the last parameters belong together."""
    _, params, x, y = problem()
    ts, errors = (0.0, 0.3, 2.0, 2.0, 10.0), []

    def record(p):
        return outputs(linear(), p, x), p

    for rtol in (1e-3, 1e-5, 1e-7):
        got = ntk.train(linear(), params, x, y, ntk.gradient_flow(rtol=rtol), ts=ts, record=record)
        f_x, moving = jax.tree.map(np.asarray, got.record)
        errors.append(relative_error(f_x - f_x[:1], closed_form(ts) - closed_form(ts)[:1]))
        np.testing.assert_array_equal(got.ts, ts)
        np.testing.assert_allclose(got.loss, np.sum((f_x - np.asarray(y)) ** 2, (1, 2)) / 2 / len(y), rtol=1e-10)
        for at, expected in ((-1, got.params), (0, params)):
            jax.tree.map(
                lambda p, e, at=at: np.testing.assert_allclose(p[at], e, rtol=1e-12, atol=1e-15), moving, expected
            )
    assert errors[0] < 1e-2 and errors[1] < 1e-4 and errors[2] < 1e-6
    loss = np.asarray(got.loss)
    assert loss[2] == loss[3] and np.all(np.diff(loss[[0, 1, 2, 4]]) < 0)


@pytest.mark.parametrize("alpha", [1.0, 1e4])
def test_flow_is_accurate_relative_to_the_displacement(alpha):
    """The scaled linearized network solves the same problem at time t / α², with parameters that move by 1 / α only."""
    net, params, x, y = problem()
    model, ts = ntk.scaled(linear(), params, alpha), (0.0, 0.3, 2.0, 10.0)
    got = ntk.train(model, params, x, y, ntk.gradient_flow(rtol=1e-6), ts=jnp.asarray(ts) / alpha**2,
                    record=lambda p: outputs(model, p, x))  # fmt: skip
    assert relative_error(got.record, closed_form(ts, from_network=False)) < 1e-4
    assert 0.01 < alpha * ntk.parameter_change(params, got.params).total < 10
    # The real network, made this lazy, is its linearization.
    if alpha > 1:
        real = ntk.scaled(net.apply, params, alpha)
        lazy = ntk.train(real, params, x, y, ntk.gradient_flow(rtol=1e-6), ts=jnp.asarray(ts) / alpha**2,
                         record=lambda p: outputs(real, p, x))  # fmt: skip
        assert relative_error(lazy.record, got.record) < 1e-2


def test_gap_to_the_linearized_network_falls_with_alpha():
    """After the same training, f differs from its linearization by order 1 / α [Chizat et al. 2019]."""
    net, params, x, y = problem()

    def gap(alpha):
        model, optimizer = ntk.scaled(net.apply, params, alpha), ntk.gradient_descent(0.3 / alpha**2)
        f_x, linearized = (
            outputs(f, ntk.train(f, params, x, y, optimizer, steps=[50]).params, x)
            for f in (model, ntk.linearize(model, params))
        )
        return jnp.linalg.norm(f_x - linearized)

    gaps = np.asarray(jax.jit(jax.vmap(gap))(jnp.asarray([64.0, 128.0, 256.0])))
    np.testing.assert_allclose(np.log2(gaps[:-1] / gaps[1:]), 1, atol=0.05)


@pytest.mark.parametrize(
    "optimizer", [ntk.gradient_descent(0.3), ntk.heavy_ball(0.1, 0.8)], ids=["descent", "heavy ball"]
)
def test_steps_of_the_linearized_network_are_predict(optimizer):
    net, params, x, y = problem()
    steps = jnp.asarray([0, 1, 2, 40])
    got = ntk.train(linear(), params, x, y, optimizer, steps=steps, record=lambda p: outputs(linear(), p, x))
    theta = ntk.gram(ntk.empirical_ntk(net.apply, params), x)
    expected = ntk.predict(
        theta, y, steps * optimizer.learning_rate, optimizer, f_train0=outputs(net.apply, params, x)
    ).train
    assert relative_error(got.record, expected) < 1e-12
    np.testing.assert_array_equal(got.ts, steps)


@pytest.mark.parametrize(
    "ours, optax_s",
    [
        (ntk.gradient_descent(0.2), optax.sgd(0.2)),
        (ntk.heavy_ball(0.1, 0.8), optax.sgd(0.1, momentum=0.8)),
        (optax.adam(0.02), optax.adam(0.02)),
    ],
    ids=["descent", "heavy ball", "adam"],
)
def test_steps_of_the_network_are_a_plain_loop(ours, optax_s):
    net, params, x, y = problem()
    got = ntk.train(net.apply, params, x, y, ours, steps=[1, 5], record=lambda p: p[0]["b"])

    @jax.jit
    def step(params, state):
        gradient = jax.grad(lambda p: ntk.squared_loss(jax.vmap(net.apply, (None, 0))(p, x), y))(params)
        updates, state = optax_s.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    state, seen = (params, optax_s.init(params)), []
    for _ in range(5):
        state = step(*state)
        seen.append(state[0])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13), got.params, seen[4])
    np.testing.assert_allclose(got.record[0], seen[0][0]["b"], rtol=1e-12, atol=1e-13)
    assert got.loss.shape == (2,) and float(got.loss[1]) == pytest.approx(
        float(ntk.squared_loss(outputs(net.apply, got.params, x), y)), rel=1e-12
    )


def test_minibatches():
    """Batches are drawn from key: the same again for the same key, and right on average."""
    net, params, x, y = problem()

    def after(key, steps, **options):
        return ntk.train(net.apply, params, x, y, ntk.gradient_descent(0.1), steps=steps, key=key, **options).params

    keys = jax.random.split(jax.random.key(0), 400)
    first, again, other = (after(keys[i], [3], batch_size=2) for i in (0, 0, 1))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert not jnp.allclose(first[0]["w"], other[0]["w"])
    mean, error = ntk.estimate(jax.vmap(lambda key: after(key, [1], batch_size=2)[0]["w"])(keys))
    full = after(keys[0], [1])[0]["w"]
    assert jnp.all(error < 0.1 * jnp.max(jnp.abs(full - params[0]["w"]))) and jnp.all(jnp.abs(mean - full) < 5 * error)


def test_progress_bar(capsys):
    net, params, x, y = problem()
    quiet, shown = (
        ntk.train(net.apply, params, x, y, optax.adam(0.01), steps=[0, 2, 4], progress=p, record=lambda p: p[0]["b"])
        for p in (False, True)
    )
    assert "training: 100%" in capsys.readouterr().err
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14), shown, quiet)
    ntk.train(linear(), params, x, y, ntk.gradient_flow(rtol=1e-3), ts=[1.0], progress=True)
    assert "100.00%" in "".join(capsys.readouterr())


def test_many_networks_in_one_program():
    net, _, x, y = problem()
    params = draw(net, (3,), 3)

    def losses(p):
        return ntk.train(net.apply, p, x, y, ntk.gradient_descent(0.1), steps=[0, 5]).loss

    def flow(p):
        return ntk.train(net.apply, p, x, y, ntk.gradient_flow(rtol=1e-3), ts=[0.0, 1.0]).loss

    for run in (losses, flow):
        together = jax.jit(jax.vmap(run))(params)
        assert together.shape == (3, 2) and jnp.all(together[:, 1] < together[:, 0])
        alone = run(jax.tree.map(lambda leaf: leaf[2], params))
        np.testing.assert_allclose(together[2], alone, rtol=1e-3 if run is flow else 1e-12)


def test_only_the_start():
    net, params, x, y = problem()
    start = ntk.squared_loss(outputs(net.apply, params, x), y)
    for got in (
        ntk.train(net.apply, params, x, y, ntk.gradient_descent(0.1), steps=0),
        ntk.train(linear(), params, x, y, ntk.gradient_flow(rtol=1e-3), ts=0.0),
    ):
        assert got.record is None and float(got.loss[0]) == pytest.approx(float(start), rel=1e-12)
        jax.tree.map(np.testing.assert_array_equal, got.params, params)


def test_already_at_the_minimum():
    net, params, x, _ = problem()
    got = ntk.train(linear(), params, x, outputs(net.apply, params, x), ntk.gradient_flow(rtol=1e-3), ts=[0.0, 5.0])
    assert jnp.all(got.loss < 1e-25)


def test_float32(float32):
    net = ntk.mlp(16, 1, 1, ntk.tanh, w_std=1.5)
    params, _ = net.init(jax.random.key(0), (3,))
    x, y = examples((3,), 4), jnp.asarray([[1.0], [-1.0], [1.0], [-1.0]])
    assert x.dtype == jnp.float32
    model = ntk.linearize(net.apply, params)
    got = ntk.train(
        model, params, x, y, ntk.gradient_flow(), ts=[1.0, 5.0], record=lambda p: jax.vmap(model, (None, 0))(p, x)
    )
    theta = ntk.gram(ntk.empirical_ntk(net.apply, params), x)
    expected = ntk.predict(theta, y, jnp.asarray([1.0, 5.0]), f_train0=outputs(net.apply, params, x)).train
    assert got.record.dtype == got.params[0]["w"].dtype == jnp.float32
    np.testing.assert_allclose(got.record, expected, atol=1e-3)


def test_losses():
    f, y = jnp.asarray([[1.0, 2.0], [3.0, 5.0]]), jnp.asarray([[0.0, 1.0], [1.0, 0.0]])
    assert ntk.squared_loss(f, y) == pytest.approx((1 + 1 + 4 + 25) / 4)
    assert ntk.squared_loss(f[:, 0], y[:, 0]) == pytest.approx((1 + 4) / 4)
    expected = np.mean([np.log(1 + np.exp(-1)), 2 + np.log(1 + np.exp(-2))])
    assert ntk.cross_entropy(f, y) == pytest.approx(expected)
    net, params, x, _ = problem()
    labels = jax.nn.one_hot(jnp.arange(5) % 3, 3)
    got = ntk.train(
        net.apply, params, x, labels, ntk.gradient_descent(1.0), steps=[0, 100], loss=ntk.cross_entropy
    ).loss
    assert got[1] < 0.5 * got[0]


def loss_below(goal):
    _, _, x, y = problem()
    return lambda p: ntk.squared_loss(outputs(linear(), p, x), y) < goal


def test_flow_until_a_loss_is_reached():
    """It ends where the closed form first has that loss, late by less than a step: the less the shorter steps are."""
    _, params, x, y = problem()
    ts = np.geomspace(0.01, 10, 2000)
    loss = np.sum((closed_form(tuple(ts)) - np.asarray(y)) ** 2, (1, 2)) / 2 / len(y)
    goal = 0.1 * loss[0]
    due, late = ts[np.argmax(loss < goal)], []
    for rtol in (1e-3, 1e-7):
        got = ntk.train_until(linear(), params, x, y, loss_below(goal), ntk.gradient_flow(rtol=rtol, max_steps=1000))
        assert got.reached and loss_below(goal)(got.params) and 0 < got.num_steps < 1000
        late.append(got.t / due - 1)
        same_time = ntk.train(linear(), params, x, y, ntk.gradient_flow(rtol=1e-6), ts=got.t).params
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=0.02), got.params, same_time)
    assert -0.005 < late[1] < 0.03 and late[1] < late[0] < 0.5


def test_flow_until_time_or_steps_run_out():
    _, params, x, y = problem()
    slow = ntk.gradient_flow(rtol=1e-3, max_steps=5)
    assert not ntk.train_until(linear(), params, x, y, loss_below(1e-6), slow).reached
    got = ntk.train_until(linear(), params, x, y, loss_below(0.0), t_max=0.5)
    assert not got.reached and got.t == 0.5
    expected = ntk.train(linear(), params, x, y, ntk.gradient_flow(rtol=1e-6), ts=0.5).params
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-3), got.params, expected)


def test_flows_of_many_networks_end_by_themselves():
    net, _, x, y = problem()
    params = draw(net, (3,), 3)

    def arrive(p):
        return ntk.train_until(net.apply, p, x, y, lambda p: ntk.squared_loss(ntk.outputs(net.apply, p, x), y) < 0.05)

    together, alone = jax.jit(jax.vmap(arrive))(params), arrive(jax.tree.map(lambda leaf: leaf[1], params))
    assert together.reached.all() and len(set(np.asarray(together.num_steps))) > 1
    np.testing.assert_allclose(together.t[1], alone.t, rtol=1e-6)


def test_hinge(unannotated):
    f, y = jnp.asarray([[3.0], [0.5], [-1.0], [1.0]]), jnp.asarray([[1.0], [1.0], [1.0], [-1.0]])
    assert ntk.hinge(f, y, sharpness=1e3) == pytest.approx((0 + 0.5 + 2 + 2) / 4, rel=1e-9)
    expected = np.mean(np.log1p(np.exp(20 * (1 - np.asarray(y * f)))) / 20)
    assert ntk.hinge(f, y) == pytest.approx(expected)
    with pytest.raises(ValueError, match="must agree, with no broadcasting"):
        ntk.hinge(f, y[:, 0])
