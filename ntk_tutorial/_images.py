"""Images to classify, as they were published: where each set is from, how its files are read, what is checked."""

from __future__ import annotations

import gzip
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, UInt8

from ._download import File, complete, fetch


class Images(NamedTuple):
    """Images (n, height, width) or (n, height, width, 3), and the class of each, from 0; in the order of the source.

    A set that was published in one part has no test images here.
    """

    x_train: UInt8[np.ndarray, "n *shape"]
    y_train: Int64[np.ndarray, " n"]
    x_test: UInt8[np.ndarray, "m *shape"]
    y_test: Int64[np.ndarray, " m"]


class Source(NamedTuple):
    """The shape of an image, the number of classes, what reads the published files, those files, where they are."""

    shape: tuple[int, ...]
    num_classes: int
    read: Callable[..., Images]
    files: tuple[File, ...] = ()
    mirrors: tuple[str, ...] = ()


def load(name: str) -> Images:
    """A data set, from `NTK_TUTORIAL_DATA` if that is set, else from its published files, downloaded if need be.

    Raises:
        ValueError: for an unknown name, or a file in `NTK_TUTORIAL_DATA` that does not hold what it should.
        FileNotFoundError: if `NTK_TUTORIAL_DATA` does not have the file.
        OSError: if it can be neither found nor downloaded.
    """
    source = _source(name)
    if ready := _ready(name):
        return _read_ready(ready, source)
    return source.read(*fetch(name, source.files, source.mirrors))


def available(name: str) -> bool:
    """Whether `load` would find the files without the network."""
    source = _source(name)
    return ready.is_file() if (ready := _ready(name)) else complete(name, source.files)


def ready_folder() -> Path | None:
    """The folder that `NTK_TUTORIAL_DATA` names."""
    return Path(folder).expanduser().absolute() if (folder := os.environ.get("NTK_TUTORIAL_DATA")) else None


def _source(name: str) -> Source:
    if name not in SOURCES:
        raise ValueError(f"there is no data set {name!r}: take one of {', '.join(SOURCES)}")
    return SOURCES[name]


def _ready(name: str) -> Path | None:
    """The ready file of a data set, whether it exists or not; None if its published files are to be used."""
    return folder / f"{name}.npz" if SOURCES[name].files and (folder := ready_folder()) else None


def _read_ready(path: Path, source: Source) -> Images:
    """The arrays of a ready file, checked."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist: put it into the folder that the environment variable NTK_TUTORIAL_DATA names, or "
            f"unset the variable to download the data set"
        )
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            missing = [field for field in Images._fields if field not in arrays]
            images = None if missing else Images(*(arrays[field] for field in Images._fields))
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is damaged or not an archive of NumPy arrays ({error}): replace it") from error
    if images is None:
        raise ValueError(f"{path} lacks {', '.join(missing)}: it must hold the arrays {', '.join(Images._fields)}")
    for part in ("train", "test"):
        x, y = (getattr(images, f"{letter}_{part}") for letter in "xy")
        if x.dtype != np.uint8 or x.shape[1:] != source.shape:
            wanted = ", ".join(map(str, ("n", *source.shape)))
            raise ValueError(f"x_{part} in {path} must be uint8 of shape ({wanted}), got {x.dtype} of shape {x.shape}")
        if y.dtype != np.int64 or y.shape != x.shape[:1]:
            raise ValueError(
                f"y_{part} in {path} must be int64 of shape ({len(x)},), a class for each image, got {y.dtype} of "
                f"shape {y.shape}"
            )
        if np.any((y < 0) | (y >= source.num_classes)):
            raise ValueError(
                f"y_{part} in {path} must hold classes from 0 to {source.num_classes - 1}, got {y.min()} to {y.max()}"
            )
    return images


def _idx(data: bytes) -> UInt8[np.ndarray, "..."]:
    """An array of bytes in LeCun's IDX format: 0, 0, 8, the number of axes, their lengths, the values.

    Lengths are 32-bit integers, the most significant byte first.
    """
    if data[:3] != b"\0\0\x08":
        raise ValueError(f"IDX data of bytes begin with 0, 0, 8, these with {', '.join(map(str, data[:3]))}")
    shape = np.frombuffer(data, ">u4", count=data[3], offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)


def _from_idx(*files: bytes) -> Images:
    """Images from four gzip-compressed IDX files: images and labels for training, images and labels for testing."""
    x_train, y_train, x_test, y_test = (_idx(gzip.decompress(data)) for data in files)
    return Images(x_train, y_train.astype(np.int64), x_test, y_test.astype(np.int64))


def _read_idx(*paths: Path) -> Images:
    """MNIST's four files, or Fashion-MNIST's."""
    return _from_idx(*(path.read_bytes() for path in paths))


def _read_emnist(path: Path) -> Images:
    """The split Balanced, out of the archive of all six. There the images are transposed; here they stand upright."""
    with zipfile.ZipFile(path) as archive:
        images = _from_idx(
            *(
                archive.read(f"gzip/emnist-balanced-{part}-{kind}-ubyte.gz")
                for part in ("train", "test")
                for kind in ("images-idx3", "labels-idx1")
            )
        )
    return images._replace(x_train=images.x_train.swapaxes(1, 2), x_test=images.x_test.swapaxes(1, 2))


def _read_cifar10(path: Path) -> Images:
    """The archive of binary files. A record is the label, then 1,024 red, 1,024 green and 1,024 blue pixels."""
    with tarfile.open(path) as archive:  # read in its own order: to go back in it is slow
        parts = {
            Path(member.name).name: np.frombuffer(archive.extractfile(member).read(), np.uint8).reshape(-1, 3073)
            for member in archive
            if member.name.endswith(".bin")
        }
    train = np.concatenate([parts[f"data_batch_{i}.bin"] for i in range(1, 6)])
    arrays = []
    for records in (train, parts["test_batch.bin"]):
        arrays += [records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), records[:, 0].astype(np.int64)]
    return Images(*arrays)


def _read_digits() -> Images:
    """scikit-learn's digits, whose pixels are whole numbers from 0 to 16."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x, y = x.reshape(-1, 8, 8).astype(np.uint8), y.astype(np.int64)
    return Images(x, y, x[:0], y[:0])


# Each SHA-256 is that of the file whose md5 torchvision and the publishers give, as many public projects record it.
SOURCES = {
    "digits": Source((8, 8), 10, _read_digits),
    "mnist": Source(
        (28, 28),
        10,
        _read_idx,
        (
            File("train-images-idx3-ubyte.gz", 9_912_422,
                 "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            File("train-labels-idx1-ubyte.gz", 28_881,
                 "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            File("t10k-images-idx3-ubyte.gz", 1_648_877,
                 "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            File("t10k-labels-idx1-ubyte.gz", 4_542,
                 "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        ),
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
    ),
    "fashion_mnist": Source(
        (28, 28),
        10,
        _read_idx,
        (
            File("train-images-idx3-ubyte.gz", 26_421_880,
                 "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            File("train-labels-idx1-ubyte.gz", 29_515,
                 "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            File("t10k-images-idx3-ubyte.gz", 4_422_102,
                 "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            File("t10k-labels-idx1-ubyte.gz", 5_148,
                 "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        ),
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
    ),
    "emnist": Source(
        (28, 28),
        47,
        _read_emnist,
        (File("gzip.zip", 561_753_746, "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e"),),
        ("https://biometrics.nist.gov/cs_links/EMNIST/",),
    ),
    "cifar10": Source(
        (32, 32, 3),
        10,
        _read_cifar10,
        (
            File("cifar-10-binary.tar.gz", 170_052_171,
                 "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"),
        ),
        ("https://www.cs.toronto.edu/~kriz/",),
    ),
}  # fmt: skip
