"""Data to train on: synthetic tasks, and scikit-learn's handwritten digits, which need no download.

Only this file touches the network; disk, only this file and `streaming.py`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray


class Dataset(NamedTuple):
    """Examples along the first axis; targets of shape (n, k)."""

    x_train: Float[Array, "n dim"]
    y_train: Float[Array, "n k"]
    x_test: Float[Array, "m dim"]
    y_test: Float[Array, "m k"]


def on_sphere(x: Float[Array, "n dim"]) -> Float[Array, "n dim"]:
    """Each example scaled to length √dim, so that the input kernel x·x / dim is one."""
    return x * jnp.sqrt(x.shape[-1]) / jnp.linalg.norm(x, axis=-1, keepdims=True)


def sphere(key: PRNGKeyArray, num: int, dim: int) -> Float[Array, "num dim"]:
    """Points drawn uniformly from the sphere of radius √dim."""
    return on_sphere(jax.random.normal(key, (num, dim)))


def circle(num: int) -> Float[Array, "num 2"]:
    """Points at equal angles on the circle of radius √2, the first at angle 0."""
    angle = 2 * jnp.pi * jnp.arange(num) / num
    return jnp.sqrt(2.0) * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)


def near_duplicates(
    key: PRNGKeyArray, num: int, dim: int, distance: float
) -> tuple[Float[Array, "{num}+1 {dim}"], Float[Array, "{num}+1 1"]]:
    """`num` points on the sphere with random labels ±1; then one `distance` from the first, with the opposite label.

    Raises:
        ValueError: unless 0 < distance < 2 √dim, the sphere's diameter.
    """
    if not 0 < distance < 2 * dim**0.5:
        raise ValueError(f"distance must lie between 0 and 2 √dim = {2 * dim**0.5:.4g}, got {distance}")
    x_key, y_key, direction_key = jax.random.split(key, 3)
    x, y = sphere(x_key, num, dim), jax.random.rademacher(y_key, (num, 1), float)
    tangent = jax.random.normal(direction_key, (dim,))
    tangent -= (tangent @ x[0]) / dim * x[0]
    half_angle = jnp.arcsin(distance / (2 * dim**0.5))
    copy = jnp.cos(2 * half_angle) * x[0] + jnp.sin(2 * half_angle) * on_sphere(tangent[None])[0]
    return jnp.concatenate([x, copy[None]]), jnp.concatenate([y, -y[:1]])


def teacher_student(
    key: PRNGKeyArray, num_train: int, num_test: int, dim: int, num_neurons: int = 3
) -> tuple[Dataset, dict[str, Array]]:
    """A regression task whose targets a small two-layer ReLU network gives, the teacher, and its parameters.

    Inputs are uniform on the sphere of radius √dim. The teacher is Σ_k a_k max(w_k·x / √dim, 0), where the w_k,
    k = 0, 1, …, are uniform on the same sphere and a_k = (−1)^k √(3 / num_neurons); so the spread of the targets does
    not grow with the number of neurons. With three of them, this is the kind of task of Chizat et al. 2019, figure 1.

    Returns:
        The data, and the teacher as {"w": (num_neurons, dim), "a": (num_neurons,)}.

    Raises:
        ValueError: if a number is less than 1 (num_test: than 0).
    """
    if min(num_train, num_test + 1, dim, num_neurons) < 1:
        raise ValueError(
            f"sizes must be positive, got num_train={num_train}, num_test={num_test}, dim={dim}, "
            f"num_neurons={num_neurons}: only num_test may be 0"
        )
    x_key, teacher_key = jax.random.split(key)
    x, w = sphere(x_key, num_train + num_test, dim), sphere(teacher_key, num_neurons, dim)
    a = (-1.0) ** jnp.arange(num_neurons) * (3 / num_neurons) ** 0.5
    y = (jnp.maximum(x @ w.T / dim**0.5, 0) @ a)[:, None]
    return Dataset(x[:num_train], y[:num_train], x[num_train:], y[num_train:]), {"w": w, "a": a}


def digits(
    key: PRNGKeyArray,
    num_train: int,
    num_test: int,
    *,
    num_components: int | None = None,
    labels: Literal["parity", "one_hot"] = "parity",
) -> Dataset:
    """Images of handwritten digits, 8 x 8, 1,797 in all (E. Alpaydin & C. Kaynak, UCI; scikit-learn's `load_digits`).

    Args:
        key: shuffles the images before they are split.
        num_train, num_test: how many of them to take.
        num_components: keep so many principal components of the training images instead of 64 pixels; both ways the
            training mean is taken off and each example is scaled to length √dim, as in Geiger et al. 2020.
        labels: "parity", +1 for even and −1 for odd digits, of shape (n, 1), or "one_hot", of shape (n, 10).

    Raises:
        ValueError: if more images or components are asked for than there are, or labels are of another kind.
    """
    from sklearn.datasets import load_digits
    from sklearn.decomposition import PCA

    images, classes = load_digits(return_X_y=True)
    if num_train < 1 or num_test < 0 or num_train + num_test > len(images):
        raise ValueError(f"there are {len(images)} digits, {num_train} + {num_test} were asked for")
    if labels not in ("parity", "one_hot"):
        raise ValueError(f'labels are "parity" or "one_hot", got {labels!r}')
    order = np.asarray(jax.random.permutation(key, len(images)))[: num_train + num_test]
    x, classes = images[order], classes[order]
    if num_components is None:
        x = x - x[:num_train].mean(0)
    elif 1 <= num_components <= min(num_train, x.shape[1]):
        x = PCA(num_components, svd_solver="full").fit(x[:num_train]).transform(x)
    else:
        raise ValueError(f"num_components must lie between 1 and {min(num_train, x.shape[1])}, got {num_components}")
    x = on_sphere(jnp.asarray(x, float))
    y = (
        jax.nn.one_hot(classes, 10, dtype=x.dtype)
        if labels == "one_hot"
        else jnp.asarray(1.0 - 2.0 * (classes % 2), x.dtype)[:, None]
    )
    return Dataset(x[:num_train], y[:num_train], x[num_train:], y[num_train:])
