"""Data to train on: synthetic tasks; scikit-learn's handwritten digits, which need no download; the papers' images.

The environment variables `NTK_TUTORIAL_CACHE` and `NTK_TUTORIAL_DATA` name the folders where downloads are kept and
where ready files lie; the API page says what those hold. `_images.py` knows sources and formats, `_download.py` the
network.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, Literal, NamedTuple, ParamSpec

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from . import _images

_Arguments = ParamSpec("_Arguments")


class Dataset(NamedTuple):
    """Examples along the first axis, vectors or images with their channels last; targets of shape (n, k)."""

    x_train: Float[Array, "n *shape"]
    y_train: Float[Array, "n k"]
    x_test: Float[Array, "m *shape"]
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


def hypercube(dim: int) -> tuple[Float[Array, "n {dim}"], Float[Array, "n n"], Int[Array, " n"]]:
    """All n = 2^dim points with coordinates ±1; all n parities on them, one a column; and the degree of each.

    Parity s is the product of the coordinates i whose bit 2^i is set in s; its degree is their number. Parities are the
    eigenfunctions of every kernel that depends on x·x' only [O'Donnell 2014].
    """
    from scipy.linalg import hadamard  # slow to import

    parities = jnp.asarray(hadamard(2**dim), float)
    return parities[:, 2 ** np.arange(dim)], parities, jnp.asarray([s.bit_count() for s in range(2**dim)])


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


def shifted_patterns(
    key: PRNGKeyArray,
    num_train: int,
    num_test: int,
    dim: int = 12,
    *,
    width: int = 4,
    noise: float = 0.5,
    labels: Literal["which", "where"] = "which",
) -> Dataset:
    """Sequences of shape (dim, 1) on a ring, each with one of two patterns at a random place, and noise everywhere.

    A pattern has `width` entries drawn from N(0, 1), less their mean, and is scaled to length √dim. It starts at a
    place uniform over all `dim`, and goes on at the beginning where it passes the end. N(0, noise²) is added to every
    entry.

    Args:
        key: draws the two patterns as well. It gives the same sequences whatever the labels are.
        labels: "which", +1 for the first pattern and −1 for the second, so that shifts change no label; or "where",
            +1 where the pattern starts in the first half, −1 elsewhere.

    Raises:
        ValueError: unless 2 ≤ width ≤ dim, noise ≥ 0 and num_train ≥ 1, and if labels are others.
    """
    if labels not in ("which", "where"):
        raise ValueError(f'labels are "which" or "where", got {labels!r}')
    if not 2 <= width <= dim or noise < 0 or min(num_train, num_test + 1) < 1:
        raise ValueError(
            f"shifted_patterns needs 2 ≤ width ≤ dim, noise ≥ 0 and examples, got width={width}, dim={dim}, "
            f"noise={noise}, num_train={num_train}, num_test={num_test}"
        )
    pattern_key, which_key, where_key, noise_key = jax.random.split(key, 4)
    num = num_train + num_test
    patterns = jax.random.normal(pattern_key, (2, width))
    patterns = on_sphere(patterns - patterns.mean(1, keepdims=True)) * jnp.sqrt(dim / width)
    which, where = jax.random.bernoulli(which_key, 0.5, (num,)), jax.random.randint(where_key, (num,), 0, dim)
    still = jnp.pad(patterns, ((0, 0), (0, dim - width)))[which.astype(int)]
    x = jax.vmap(jnp.roll)(still, where) + noise * jax.random.normal(noise_key, (num, dim))
    y = jnp.where(which if labels == "which" else 2 * where >= dim, -1.0, 1.0)[:, None]
    return Dataset(x[:num_train, :, None], y[:num_train], x[num_train:, :, None], y[num_train:])


def sparse_parity(key: PRNGKeyArray, num_train: int, num_test: int, dim: int = 20, degree: int = 2) -> Dataset:
    """x uniform on {±1}^dim and the target x₁x₂ … x_degree: all other coordinates are noise.

    Raises:
        ValueError: unless 1 ≤ degree ≤ dim and num_train ≥ 1.
    """
    return _few_coordinates(key, num_train, num_test, dim, degree, lambda x: jnp.prod(x, 1))


def staircase(key: PRNGKeyArray, num_train: int, num_test: int, dim: int = 20, degree: int = 3) -> Dataset:
    """x uniform on {±1}^dim and the target (x₁ + x₁x₂ + … + x₁x₂ … x_degree) / √degree, of mean square 1.

    Each term has one coordinate more than the one before, so that gradients find the coordinates one after another
    [Abbe, Boix-Adserà & Misiakiewicz 2022]. Inputs are those of `sparse_parity` for the same key.

    Raises:
        ValueError: unless 1 ≤ degree ≤ dim and num_train ≥ 1.
    """
    return _few_coordinates(key, num_train, num_test, dim, degree, lambda x: jnp.cumprod(x, 1).sum(1) / degree**0.5)


def _few_coordinates(key, num_train, num_test, dim, degree, target) -> Dataset:
    if not 1 <= degree <= dim or min(num_train, num_test + 1) < 1:
        raise ValueError(
            f"1 ≤ degree ≤ dim and examples are needed, got degree={degree}, dim={dim}, num_train={num_train}, "
            f"num_test={num_test}"
        )
    x = jax.random.rademacher(key, (num_train + num_test, dim), float)
    return _split(x, target(x[:, :degree]), num_train)


def single_index(
    key: PRNGKeyArray,
    num_train: int,
    num_test: int,
    dim: int = 20,
    link: Callable[[Array], Array] = jnp.abs,
) -> tuple[Dataset, Float[Array, " {dim}"]]:
    """x uniform on the sphere of radius √dim and the target g(w·x), w a unit vector uniform over all directions.

    Returns:
        The data, and w. Targets have mean 0 and mean square 1 over the examples drawn, by an affine map of g.

    Raises:
        ValueError: unless dim is 2 or more and there are at least two examples, one of them to train with.
    """
    if dim < 2 or min(num_train, num_test + 1, num_train + num_test - 1) < 1:
        raise ValueError(
            f"a single-index target needs dim ≥ 2, at least two examples, and one of them to train with, got "
            f"dim={dim}, num_train={num_train}, num_test={num_test}"
        )
    x_key, w_key = jax.random.split(key)
    x, w = sphere(x_key, num_train + num_test, dim), sphere(w_key, 1, dim)[0] / dim**0.5
    y = link(x @ w)
    return _split(x, (y - y.mean()) / y.std(), num_train), w


def _split(x, y, num_train) -> Dataset:
    return Dataset(x[:num_train], y[:num_train, None], x[num_train:], y[num_train:, None])


def _draw(
    name: str,
    key: PRNGKeyArray,
    num_train: int,
    num_test: int,
    *,
    classes: Sequence[int] | None = None,
    num_components: int | None = None,
    labels: Literal["parity", "one_hot"] = "parity",
    images: bool = False,
    size: int | None = None,
    balanced: bool = False,
) -> Dataset:
    """Images of the data set of that name, drawn and prepared as `digits` says."""
    if labels not in ("parity", "one_hot"):
        raise ValueError(f'labels are "parity" or "one_hot", got {labels!r}')
    if images and num_components is not None:
        raise ValueError("principal components do not form an image: leave out images=True or num_components")
    published, num_classes = _images.load(name), _images.SOURCES[name].num_classes
    classes = range(num_classes) if classes is None else classes
    if len(set(classes)) < max(2, len(classes)) or not set(classes) <= set(range(num_classes)):
        raise ValueError(f"classes must be two or more different ones from 0 to {num_classes - 1}, got {classes}")
    rows = np.concatenate(_rows(key, name, published, num_train, num_test, classes, balanced))
    x, y = (np.concatenate(parts)[rows] for parts in (published[::2], published[1::2]))

    x = _shrunk(x.reshape(*x.shape[:3], -1).astype(float), size)
    shape, x = x.shape[1:], on_sphere(jnp.asarray(_centred(x.reshape(len(x), -1), num_train, num_components), float))
    x = x.reshape(-1, *shape) if images else x

    place = np.argmax(y[:, None] == np.asarray(classes), axis=1)
    signs = jnp.asarray(1.0 - 2.0 * (place % 2), x.dtype)[:, None]
    y = jax.nn.one_hot(place, len(classes), dtype=x.dtype) if labels == "one_hot" else signs
    return Dataset(x[:num_train], y[:num_train], x[num_train:], y[num_train:])


def _centred(x: np.ndarray, num_train: int, num_components: int | None) -> np.ndarray:
    """Rows less the mean of the training rows, all of their entries or so many principal components."""
    from sklearn.decomposition import PCA

    mean = x[:num_train].mean(0)
    if np.any(np.all(x == mean, axis=1)):
        raise ValueError("an image equals the training mean, so it cannot be scaled: take more training images")
    if num_components is None:
        return x - mean
    if 1 <= num_components <= min(num_train, x.shape[1]):
        return PCA(num_components, svd_solver="full").fit(x[:num_train]).transform(x)
    raise ValueError(f"num_components must lie between 1 and {min(num_train, x.shape[1])}, got {num_components}")


def _rows(
    key: PRNGKeyArray,
    name: str,
    published: _images.Images,
    num_train: int,
    num_test: int,
    classes: Sequence[int],
    balanced: bool,
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " m"]]:
    """Which images to train and to test with, by their numbers, the published test images being counted last."""
    y = np.concatenate([published.y_train, published.y_test])
    rows, one_part = np.flatnonzero(np.isin(y, classes)), len(published.y_test) == 0
    is_test = rows >= len(published.y_train)
    parts = [rows] if one_part else [rows[~is_test], rows[is_test]]
    enough = num_train + num_test <= len(rows) if one_part else num_train <= len(parts[0]) and num_test <= len(parts[1])
    if num_train < 1 or num_test < 0 or not enough:
        what = name if len(set(y)) == len(classes) else f"{name} of the classes {', '.join(map(str, classes))}"
        there = f"{len(rows)} {what}" if one_part else f"{len(parts[0])} + {len(parts[1])} images of {what}"
        folder = None if one_part else _images.ready_folder()
        hint = f"; unset NTK_TUTORIAL_DATA, now {folder}, to download the whole data set" if folder else ""
        raise ValueError(f"there are {there}, {num_train} + {num_test} were asked for{hint}")
    keys = [key] if one_part else jax.random.split(key)
    parts = [part[np.asarray(jax.random.permutation(k, len(part)))] for k, part in zip(keys, parts, strict=True)]
    train = _first(parts[0], y, num_train, classes, balanced)
    return train, _first(parts[-1][~np.isin(parts[-1], train)], y, num_test, classes, balanced)


def _first(
    rows: Int[np.ndarray, " n"], y: Int[np.ndarray, " all"], num: int, classes: Sequence[int], balanced: bool
) -> Int[np.ndarray, " num"]:
    """The first `num` rows; if balanced, of the rows in an order in which the classes take turns."""
    if not balanced:
        return rows[:num]
    turn = np.zeros(len(rows), int)
    for c in classes:
        turn[y[rows] == c] = np.arange(np.sum(y[rows] == c))
    taken = rows[np.argsort(turn, kind="stable")][:num]
    counts = {c: int(np.sum(y[taken] == c)) for c in classes}
    if max(counts.values()) > min(counts.values()) + 1:
        few = min(counts, key=counts.get)
        raise ValueError(
            f"{num} images cannot be balanced: class {few} has {counts[few]}. Take fewer, or balanced=False"
        )
    return taken


def _shrunk(x: Float[np.ndarray, "n height width channels"], size: int | None) -> Float[np.ndarray, "n _ _ channels"]:
    """Square images as averages over square blocks, `size` of them in a row."""
    n, height, width, channels = x.shape
    sizes = [s for s in range(1, height + 1) if height % s == 0]
    if size is None:
        return x
    if size not in sizes:
        raise ValueError(f"size must be one of {', '.join(map(str, sizes))}, to average over whole blocks, got {size}")
    return x.reshape(n, size, height // size, size, width // size, channels).mean((2, 4))


def _as_draw(
    draw: Callable[Concatenate[str, _Arguments], Dataset],
) -> Callable[[Callable[..., Dataset]], Callable[_Arguments, Dataset]]:
    """Gives a function the signature of `_draw`, less the name."""
    signature = inspect.signature(draw)
    signature = signature.replace(parameters=list(signature.parameters.values())[1:])

    def with_signature(function: Callable[..., Dataset]) -> Callable[_Arguments, Dataset]:
        function.__signature__ = signature
        return function

    return with_signature


@_as_draw(_draw)
def digits(*args: Any, **kwargs: Any) -> Dataset:
    """Images of handwritten digits, 8 x 8, 1,797 in all (E. Alpaydin & C. Kaynak, UCI; scikit-learn's `load_digits`).

    The training mean is taken off and each example is scaled to length √dim, dim being its number of pixels, or of
    components; Geiger et al. 2020 do the same with the mean of all images. Terms of use: CC BY 4.0.

    Args:
        key: shuffles the images before they are split; it alone decides which are drawn.
        num_train, num_test: how many of them to take. Those to train with are the same whatever num_test is.
        classes: take images of these only; None stands for all, in their order.
        num_components: keep so many principal components of the training images, not whitened, instead of the pixels.
        labels: "parity", of shape (n, 1): +1 and −1 in turn along `classes`, so +1 for even and −1 for odd digits where
            those are all; or "one_hot", of shape (n, number of classes), a column for each of `classes`.
        images: give examples as images (height, width, channels), for convolutional networks, instead of vectors. Their
            length is taken over all pixels and channels.
        size: shrink images to size x size first, by averages over square blocks; it must divide their height.
        balanced: take equally many images of each class, or one more of some, as Geiger et al. do, among those to train
            with and among those to test with. Else the frequencies of classes are those of the source.

    Raises:
        ValueError: if more images or components are asked for than there are, or an argument is of another kind.
    """
    return _draw("digits", *args, **kwargs)


@_as_draw(_draw)
def mnist(*args: Any, **kwargs: Any) -> Dataset:
    """Handwritten digits, 28 x 28, 60,000 to train and 10,000 to test with, drawn and prepared as by `digits`.

    Those to train with come from the published training images, those to test with from the published test images. The
    same key draws other images where a ready file holds another part of them: `checksum` tells. Y. LeCun, L. Bottou,
    Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition", Proceedings of the IEEE 86, 1998.
    Terms of use: copyright Yann LeCun and Corinna Cortes, commonly distributed as CC BY-SA 3.0.

    Raises:
        ValueError: as `digits` does; or if a ready file does not hold what it should.
        OSError: if the files (12 MB) are not there and cannot be downloaded; the message says where to put them.
    """
    return _draw("mnist", *args, **kwargs)


@_as_draw(_draw)
def fashion_mnist(*args: Any, **kwargs: Any) -> Dataset:
    """Pictures of clothes in the format and the numbers of `mnist`, and with its arguments and errors (31 MB).

    Classes: T-shirt/top, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle boot. H. Xiao, K. Rasul,
    R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms", arXiv:1708.07747,
    2017. Terms of use: MIT, copyright 2017 Zalando SE.
    """
    return _draw("fashion_mnist", *args, **kwargs)


@_as_draw(_draw)
def emnist(*args: Any, **kwargs: Any) -> Dataset:
    """Handwritten characters, EMNIST's split Balanced, 28 x 28, with the arguments and errors of `mnist` (562 MB).

    112,800 to train and 18,800 to test with, of 47 classes: the digits, the capitals, and a b d e f g h n q r t, in
    this order. Other lower case letters count as their capitals, which they look like. Upright here; the published
    files hold them transposed.
    G. Cohen, S. Afshar, J. Tapson, A. van Schaik, "EMNIST: an extension of MNIST to handwritten letters",
    arXiv:1702.05373, 2017. Terms of use: published by NIST without a licence, with the request to cite that article.
    """
    return _draw("emnist", *args, **kwargs)


@_as_draw(_draw)
def cifar10(*args: Any, **kwargs: Any) -> Dataset:
    """Colour photographs, 32 x 32 x 3, 50,000 to train and 10,000 to test with, as `mnist` otherwise (170 MB).

    Classes: airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck. A. Krizhevsky, "Learning multiple
    layers of features from tiny images", University of Toronto, 2009. Terms of use: published without a licence, a
    labelled part of the 80 Million Tiny Images, which have been withdrawn.
    """
    return _draw("cifar10", *args, **kwargs)


def available(name: str) -> bool:
    """Whether a data set, "mnist" for example, is on this machine, so that using it takes no download.

    Raises:
        ValueError: if there is no such data set.
    """
    return _images.available(name)


def checksum(name: str) -> str:
    """SHA-256 of a data set as this machine has it, to be kept with results that were computed from it.

    It is taken over the bytes of x_train, y_train, x_test and y_test, one after another: pixels as uint8, upright and
    with channels last, classes as 64-bit integers, the least significant byte first.

    Raises:
        ValueError, OSError: as the data set does.
    """
    digest = hashlib.sha256()
    for array in _images.load(name):
        digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")))
    return digest.hexdigest()
