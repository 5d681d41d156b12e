"""Data sets: shapes, normalizations, and that a key decides everything that is random."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ntk_tutorial as ntk
from ntk_tutorial import datasets


def test_sphere():
    x = datasets.sphere(jax.random.key(0), 2000, 5)
    np.testing.assert_allclose(jnp.sum(x**2, axis=1), 5, rtol=1e-12)
    np.testing.assert_array_equal(x, datasets.sphere(jax.random.key(0), 2000, 5))
    assert not np.allclose(x, datasets.sphere(jax.random.key(1), 2000, 5))
    for moment, expected in ((x, jnp.zeros(5)), (jnp.einsum("si,sj->sij", x, x), jnp.eye(5))):
        mean, error = ntk.estimate(moment)
        assert jnp.all(jnp.abs(mean - expected) <= 5 * error)


def test_circle():
    x = datasets.circle(8)
    np.testing.assert_allclose(x[0], [2**0.5, 0])
    np.testing.assert_allclose(x @ x.T / 2, np.cos(2 * np.pi * (np.arange(8)[:, None] - np.arange(8)) / 8), atol=1e-14)


@pytest.mark.parametrize("distance", [1e-6, 0.5, 3.0])
def test_near_duplicates(distance):
    x, y = datasets.near_duplicates(jax.random.key(0), 6, 4, distance)
    assert x.shape == (7, 4) and y.shape == (7, 1) and set(np.unique(y)) <= {-1.0, 1.0}
    np.testing.assert_allclose(jnp.linalg.norm(x, axis=1), 2, rtol=1e-12)
    assert jnp.linalg.norm(x[-1] - x[0]) == pytest.approx(distance, rel=1e-8) and y[-1] == -y[0]


def test_shifted_patterns():
    key = jax.random.key(0)
    quiet = datasets.shifted_patterns(key, 60, 40, 10, width=3, noise=0.0)
    assert [a.shape for a in quiet] == [(60, 10, 1), (60, 1), (40, 10, 1), (40, 1)]
    x, y = np.asarray(quiet.x_train[..., 0]), np.asarray(quiet.y_train[:, 0])
    np.testing.assert_allclose((x**2).sum(1), 10, rtol=1e-12)
    np.testing.assert_allclose(x.mean(1), 0, atol=1e-12)
    is_shift = np.stack([np.isclose(x, np.roll(x[0], s)).all(1) for s in range(10)], axis=1)
    np.testing.assert_array_equal(is_shift.any(1), y == y[0])  # each class is one pattern and its shifts
    assert 10 < is_shift.any(1).sum() < 50 and is_shift.any(0).all()  # all of them occur

    where = datasets.shifted_patterns(key, 60, 40, 10, width=3, noise=0.0, labels="where")
    np.testing.assert_array_equal(where.x_train, quiet.x_train)
    place, left = is_shift.argmax(1)[y == y[0]], np.asarray(where.y_train)[y == y[0], 0] > 0
    assert sum(np.array_equal((place + start) % 10 < 5, left) for start in range(10)) == 1

    noisy = datasets.shifted_patterns(key, 60, 40, 10, width=3, noise=0.5)
    np.testing.assert_array_equal(noisy.y_test, quiet.y_test)
    mean, error = ntk.estimate(((noisy.x_train - quiet.x_train) ** 2).reshape(-1))
    assert jnp.abs(mean - 0.25) < 4 * error


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 1}, "2 ≤ width"),
        ({"width": 13}, "got width=13"),
        ({"noise": -1.0}, "noise"),
    ],
)
def test_shifted_patterns_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        datasets.shifted_patterns(jax.random.key(0), 4, 4, 12, **change)


def test_teacher_student():
    data, teacher = datasets.teacher_student(jax.random.key(0), 30, 4000, 6, num_neurons=5)
    assert [a.shape for a in (*data, *teacher.values())] == [(30, 6), (30, 1), (4000, 6), (4000, 1), (5, 6), (5,)]
    for points in (data.x_train, data.x_test, teacher["w"]):
        np.testing.assert_allclose(jnp.sum(points**2, axis=1), 6, rtol=1e-12)
    for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
        by_hand = sum(a * np.maximum(x @ w, 0) / 6**0.5 for w, a in zip(teacher["w"], teacher["a"], strict=True))
        np.testing.assert_allclose(y[:, 0], by_hand, atol=1e-12)
    np.testing.assert_allclose(teacher["a"] ** 2, 3 / 5)
    assert list(np.sign(teacher["a"])) == [1, -1, 1, -1, 1]
    again = datasets.teacher_student(jax.random.key(0), 30, 4000, 6, num_neurons=5)
    jax.tree.map(np.testing.assert_array_equal, (data, teacher), again)
    other = datasets.teacher_student(jax.random.key(1), 30, 4000, 6, num_neurons=5)
    assert not np.allclose(other[0].x_train, data.x_train) and not np.allclose(other[1]["w"], teacher["w"])


def test_more_teachers_do_not_make_larger_targets():
    def power(num):
        keys = jax.random.split(jax.random.key(num), 200)
        targets = jax.vmap(lambda key: datasets.teacher_student(key, 20, 0, 10, num)[0].y_train)(keys)
        return ntk.estimate(jnp.mean(targets**2, axis=(1, 2)))

    (few, few_error), (many, many_error) = power(2), power(40)
    assert abs(few - many) < 4 * jnp.hypot(few_error, many_error)


@pytest.mark.parametrize("num_components", [None, 10])
def test_digits(num_components):
    key = jax.random.key(0)
    data = datasets.digits(key, 100, 50, num_components=num_components)
    dim = num_components or 64
    assert [a.shape for a in data] == [(100, dim), (100, 1), (50, dim), (50, 1)]
    np.testing.assert_allclose(jnp.sum(jnp.concatenate([data.x_train, data.x_test]) ** 2, axis=1), dim, rtol=1e-12)
    np.testing.assert_array_equal(jnp.abs(data.y_train), 1)
    for a, b in zip(data, datasets.digits(key, 100, 50, num_components=num_components), strict=True):
        np.testing.assert_array_equal(a, b)
    one_hot = datasets.digits(key, 100, 50, num_components=num_components, labels="one_hot")
    np.testing.assert_array_equal(one_hot.x_train, data.x_train)
    np.testing.assert_array_equal(1 - 2 * (jnp.argmax(one_hot.y_test, 1) % 2), data.y_test[:, 0])
    np.testing.assert_array_equal(one_hot.y_test.sum(1), 1)


def test_digits_are_the_data_themselves():
    """A nearest neighbour tells parity far better than chance, and no test image is among the training images."""
    data = datasets.digits(jax.random.key(0), 1000, 797)
    products = data.x_test @ data.x_train.T
    right = np.mean(data.y_train[jnp.argmax(products, axis=1)] == data.y_test)
    assert right > 0.95 and np.median(products.max(1)) < 0.999 * 64
    assert abs(float(data.y_train.mean())) < 0.1


def test_test_images_do_not_shape_the_training_images():
    few, many = (datasets.digits(jax.random.key(0), 60, n, num_components=5) for n in (0, 40))
    np.testing.assert_array_equal(few.x_train, many.x_train)
    assert few.x_test.shape == (0, 5)


def test_float32(float32):
    assert {a.dtype for a in datasets.digits(jax.random.key(0), 20, 5)} == {jnp.dtype(jnp.float32)}
    assert datasets.sphere(jax.random.key(0), 3, 2).dtype == datasets.circle(4).dtype == jnp.float32


def test_hypercube():
    x, parities, degree = ntk.datasets.hypercube(3)
    assert len({tuple(point) for point in np.asarray(x).tolist()}) == 8 and np.all(np.abs(x) == 1)
    np.testing.assert_array_equal(parities[:, 5], x[:, 0] * x[:, 2])
    np.testing.assert_array_equal(parities.T @ parities, 8 * np.eye(8))
    np.testing.assert_array_equal(degree, [0, 1, 1, 2, 1, 2, 2, 3])


@pytest.mark.parametrize("draw", [datasets.sparse_parity, datasets.staircase])
def test_targets_of_few_coordinates(draw):
    key = jax.random.key(0, impl="threefry2x32")
    data = draw(key, 30, 2000, 8, 3)
    assert [a.shape for a in data] == [(30, 8), (30, 1), (2000, 8), (2000, 1)]
    for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
        a, b, c = np.asarray(x).T[:3]
        by_hand = a * b * c if draw is datasets.sparse_parity else (a + a * b + a * b * c) / 3**0.5
        assert set(np.unique(x)) == {-1.0, 1.0}
        np.testing.assert_allclose(y[:, 0], by_hand, atol=1e-14)
    for moment, expected in ((data.y_test, 0.0), (data.y_test**2, 1.0)):
        mean, error = ntk.estimate(moment[:, 0])
        assert abs(mean - expected) <= 4 * error
    mean, error = ntk.estimate(jnp.einsum("si,sj->sij", data.x_test, data.x_test))  # independent coordinates
    assert jnp.all(jnp.abs(mean - jnp.eye(8)) <= 5 * error)
    jax.tree.map(np.testing.assert_array_equal, data, draw(key, 30, 2000, 8, 3))
    assert not np.array_equal(draw(jax.random.key(1, impl="threefry2x32"), 30, 0, 8, 3).x_train, data.x_train)
    np.testing.assert_array_equal(draw(key, 5, 0, 4, 1).y_train, draw(key, 5, 0, 4, 1).x_train[:, :1])
    assert draw(key, 5, 0, 4, 4).x_test.shape == (0, 4)


def test_staircase_and_parity_have_the_same_inputs():
    key = jax.random.key(0)
    parity, stairs = datasets.sparse_parity(key, 9, 5, 6), datasets.staircase(key, 9, 5, 6)
    np.testing.assert_array_equal(parity.x_train, stairs.x_train)
    np.testing.assert_array_equal(parity.x_test, stairs.x_test)


def test_staircase_has_mean_square_one():
    """Over the whole hypercube: its terms are orthonormal parities."""
    x, parities, _ = datasets.hypercube(5)
    terms = parities[:, [1, 3, 7, 15]]
    np.testing.assert_array_equal(jnp.cumprod(x[:, :4], 1), terms)
    by_hand = {tuple(point): value for point, value in zip(np.asarray(x).tolist(), terms.sum(1) / 2, strict=True)}
    data = datasets.staircase(jax.random.key(0), 40, 0, 5, 4)
    expected = [by_hand[tuple(point)] for point in np.asarray(data.x_train).tolist()]
    np.testing.assert_allclose(data.y_train[:, 0], expected)
    assert np.mean(np.square(list(by_hand.values()))) == pytest.approx(1.0)


@pytest.mark.parametrize("link", [jnp.abs, jnp.sin])
def test_single_index(link):
    key = jax.random.key(0, impl="threefry2x32")
    data, w = datasets.single_index(key, 40, 160, 7, link)
    assert [a.shape for a in (*data, w)] == [(40, 7), (40, 1), (160, 7), (160, 1), (7,)]
    x, y = (jnp.concatenate(parts) for parts in (data[::2], data[1::2]))
    np.testing.assert_allclose(jnp.sum(x**2, 1), 7, rtol=1e-12)
    assert jnp.linalg.norm(w) == pytest.approx(1.0)
    assert jnp.mean(y) == pytest.approx(0.0, abs=1e-12) and jnp.mean(y**2) == pytest.approx(1.0)
    g = np.asarray(link(x @ w))
    np.testing.assert_allclose(y[:, 0], (g - g.mean()) / g.std(), atol=1e-12)
    jax.tree.map(np.testing.assert_array_equal, (data, w), datasets.single_index(key, 40, 160, 7, link))
    assert not np.allclose(w, datasets.single_index(jax.random.key(1, impl="threefry2x32"), 40, 160, 7, link)[1])


def test_the_direction_of_single_index_is_uniform():
    keys = jax.random.split(jax.random.key(0, impl="threefry2x32"), 2000)
    w = jax.vmap(lambda key: datasets.single_index(key, 2, 0, 4)[1])(keys)
    for moment, expected in ((w, jnp.zeros(4)), (jnp.einsum("si,sj->sij", w, w), jnp.eye(4) / 4)):
        mean, error = ntk.estimate(moment)
        assert jnp.all(jnp.abs(mean - expected) <= 5 * error)
