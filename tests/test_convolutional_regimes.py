"""Three ways to train one convolutional network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ntk_tutorial as ntk
from ntk_tutorial import convolutional_regimes as regimes

PROBLEM = {
    "task": "digits", "size": 4, "channels": 3, "depth": 2,
    "num_train": 100, "num_test": 50, "num_seeds": 2, "dtype": "float64",
}  # fmt: skip


def first():
    return next(iter(regimes.problems(**PROBLEM)))


def test_problems():
    net, _, data, _ = first()
    assert data.x_train.shape == (100, 4, 4, 1) and data.y_test.shape == (50, 10)
    assert [layer.num_channels for layer in net.layers[:4:2]] == [3, 3] and net.layers[2].strides == (2, 2)
    other = list(regimes.problems(**PROBLEM | {"dtype": "float32"}))[1]
    assert not np.allclose(other[2].x_train, data.x_train)
    assert {leaf.dtype for leaf in jax.tree.leaves(other[1:3])} == {jnp.dtype("float32")}


@pytest.mark.usefixtures("unannotated")
def test_odd_numbers_of_examples_are_refused():
    with pytest.raises(ValueError, match="num_train must be a multiple of the batch size, 100, got 150"):
        next(iter(regimes.problems(**PROBLEM | {"num_train": 150})))


def test_kernel():
    net, params, data, _ = first()
    found = regimes.kernel(jax.tree_util.Partial(net.apply), params, data.x_train)
    theta = ntk.gram(ntk.empirical_ntk(net.apply, params), data.x_train[: regimes.PROBE])
    np.testing.assert_allclose(found, theta.transpose(0, 2, 1, 3).reshape(found.shape), atol=1e-9)
    np.testing.assert_allclose(regimes._largest_eigenvalue(found), jnp.linalg.eigvalsh(found)[-1], rtol=1e-3)


def test_scales_are_compared_at_equal_steps():
    """Between two large α the learning rate makes up for the factor: the runs are the same."""
    found = [
        regimes.equal_epochs(alpha=alpha, epochs=[1, 2], speed=0.5, **PROBLEM | {"num_train": 200})
        for alpha in (1e5, 1e6)
    ]
    assert found[0]["test_error"].shape == found[0]["train_loss"].shape == (2, 2)  # epochs, seeds
    assert found[0]["kernel_change"].shape == found[0]["train_error"].shape == (2,)
    np.testing.assert_allclose(found[0]["train_loss"], found[1]["train_loss"], rtol=1e-3)
    assert (found[0]["train_loss"][1] < 0.5).all() and (found[0]["train_loss"][1] < found[0]["train_loss"][0]).all()
    np.testing.assert_allclose(found[0]["kernel_change"], 10 * found[1]["kernel_change"], rtol=0.05)


def test_exact_lazy():
    ridges = [1e-2, 1e-6]
    found = regimes.exact_lazy(ridges=ridges, **PROBLEM)
    assert found["test_error"].shape == found["train_error"].shape == (2, 2)  # ridges, seeds
    net, params, data, _ = first()
    delta = ntk.lazy_limit(net.apply, params, data.x_train, data.y_train, ridges)
    f = ntk.differential(net.apply, params, jax.tree.map(lambda leaf: leaf[1], delta), data.x_test)
    error = np.mean(np.argmax(f, 1) != np.argmax(data.y_test, 1))
    np.testing.assert_allclose(found["test_error"][1, 0], error)
    assert (found["train_error"][1] < found["train_error"][0]).all()


def test_trained_well():
    found = regimes.train_by(method="trained_well", epochs=[1, 30], learning_rate=0.1, batch_size=50, **PROBLEM)
    assert found["test_error"].shape == (2, 2) and (found["train_loss"][1] < 0.9 * found["train_loss"][0]).all()
    assert (found["kernel_change"] > 0.1).all()


def test_runs_are_functions_of_their_configuration():
    settings = {"method": "equal_epochs", "alpha": 0.1, "epochs": [2], "speed": 1.0}
    one, two = (regimes.train_by(**settings, **PROBLEM) for _ in range(2))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    fewer = regimes.train_by(**settings, **PROBLEM | {"num_seeds": 1})
    np.testing.assert_allclose(fewer["train_loss"][0, 0], one["train_loss"][0, 0], rtol=1e-9)
