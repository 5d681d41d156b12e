"""The papers' images: ready files, downloads from a server that fails in every way, formats, and the real data."""

import contextlib
import errno
import gc
import gzip
import hashlib
import http.server
import inspect
import io
import os
import resource
import struct
import subprocess
import sys
import tarfile
import textwrap
import threading
import time
import zipfile
from pathlib import Path

import jax
import numpy as np
import pooch
import pytest

from ntk_tutorial import _download, _images, datasets

REAL = Path(os.environ.get("NTK_TUTORIAL_DATA", Path(__file__).parents[2] / "shared" / "data"))
NAMES = ("mnist", "fashion_mnist", "emnist", "cifar10")
SHAPES = {"mnist": (28, 28), "fashion_mnist": (28, 28), "emnist": (28, 28), "cifar10": (32, 32, 3)}
CLASSES = {"mnist": 10, "fashion_mnist": 10, "emnist": 47, "cifar10": 10}


def invented(name, num_train=100, num_test=50):
    """Noise, as images of the kind that data set has."""
    random = np.random.default_rng(NAMES.index(name))
    parts = []
    for num in (num_train, num_test):
        parts.append(random.integers(0, 256, (num, *SHAPES[name]), np.uint8))
        parts.append(random.permutation(np.arange(num) % CLASSES[name]).astype(np.int64))
    return _images.Images(*parts)


def idx(array):
    """LeCun's format, compressed, written with struct."""
    header = struct.pack(f">I{array.ndim}I", 0x800 + array.ndim, *array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes(), mtime=0)


def official(name, images):
    """The files that the publisher of a data set would have made of these images, by name."""
    if name == "emnist":  # images are transposed there, and other splits lie beside this one
        images = images._replace(x_train=images.x_train.swapaxes(1, 2), x_test=images.x_test.swapaxes(1, 2))
    if name == "cifar10":

        def records(x, y):
            return b"".join(
                bytes([label]) + image.transpose(2, 0, 1).tobytes() for image, label in zip(x, y, strict=True)
            )

        fifths = np.split(np.arange(len(images.x_train)), 5)
        members = {
            f"data_batch_{i}.bin": records(images.x_train[f], images.y_train[f]) for i, f in enumerate(fifths, 1)
        }
        members |= {"test_batch.bin": records(images.x_test, images.y_test), "batches.meta.txt": b"airplane\n"}
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w:gz") as archive:
            for member, data in reversed(members.items()):  # not in the order of their numbers, like the real one
                information = tarfile.TarInfo(f"cifar-10-batches-bin/{member}")
                information.size = len(data)
                archive.addfile(information, io.BytesIO(data))
        return {"cifar-10-binary.tar.gz": file.getvalue()}
    if name == "emnist":
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("gzip/emnist-letters-train-images-idx3-ubyte.gz", idx(images.x_train[:1]))
            for part, x, y in (("train", *images[:2]), ("test", *images[2:])):
                archive.writestr(f"gzip/emnist-balanced-{part}-images-idx3-ubyte.gz", idx(x))
                archive.writestr(f"gzip/emnist-balanced-{part}-labels-idx1-ubyte.gz", idx(y))
        return {"gzip.zip": file.getvalue()}
    names = [f"{p}-{k}-ubyte.gz" for p in ("train", "t10k") for k in ("images-idx3", "labels-idx1")]
    return dict(zip(names, map(idx, images), strict=True))


def same(a, b):
    return all(np.array_equal(x, y) and x.dtype == y.dtype for x, y in zip(a, b, strict=True))


# Ready files


@pytest.fixture
def ready(tmp_path, monkeypatch):
    """A folder of ready files, which `NTK_TUTORIAL_DATA` names, and what is in them. Nothing may be downloaded."""
    monkeypatch.setenv("NTK_TUTORIAL_DATA", str(tmp_path / "ready"))
    monkeypatch.setenv("NTK_TUTORIAL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "ready").mkdir()
    contents = {name: invented(name) for name in NAMES}
    for name, images in contents.items():
        np.savez_compressed(tmp_path / "ready" / f"{name}.npz", **images._asdict())
    yield tmp_path / "ready", contents
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("name", NAMES)
def test_ready_files(ready, name):
    folder, contents = ready
    assert datasets.available(name) and same(_images.load(name), contents[name])
    x_train, y_train, x_test, y_test = contents[name]
    expected = hashlib.sha256(x_train.tobytes() + y_train.tobytes() + x_test.tobytes() + y_test.tobytes()).hexdigest()
    assert datasets.checksum(name) == expected
    x_test[-1, -1, -1] ^= 1
    np.savez(folder / f"{name}.npz", **contents[name]._asdict())
    assert datasets.checksum(name) != expected


def test_digits_are_always_there(ready):
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    assert datasets.available("digits")
    assert datasets.checksum("digits") == hashlib.sha256(x.astype(np.uint8).tobytes() + y.tobytes()).hexdigest()
    np.testing.assert_array_equal(_images.load("digits").x_train.reshape(-1, 64), x)


def replaced(**arrays):
    return lambda path, images: np.savez(path, **(images._asdict() | arrays))


def truncated(path, images):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def one_byte_changed(path, images):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def only_one_array(path, images):
    with path.open("wb") as file:
        np.save(file, images.x_train)


BAD = [
    (lambda path, images: path.unlink(), FileNotFoundError, r"mnist.npz does not exist: put it into the folder that .*"
     r"NTK_TUTORIAL_DATA names, or unset"),
    (truncated, ValueError, r"mnist.npz is damaged or not an archive of NumPy arrays .*: replace it"),
    (one_byte_changed, ValueError, r"mnist.npz is damaged"),
    (only_one_array, ValueError, r"mnist.npz is damaged or not an archive"),
    (lambda path, images: path.write_bytes(b""), ValueError, r"mnist.npz is damaged"),
    (lambda path, images: path.write_text("<html>404</html>"), ValueError, r"mnist.npz is damaged"),
    (replaced(x_test=np.array([{}], object)), ValueError, r"mnist.npz is damaged or not .*allow_pickle"),
    (lambda path, images: np.savez(path, x_train=images.x_train, y=images.y_train), ValueError,
     r"lacks y_train, x_test, y_test: it must hold the arrays x_train, y_train, x_test, y_test"),
    (replaced(x_train=np.zeros((100, 784), np.uint8)), ValueError,
     r"x_train in .*mnist.npz must be uint8 of shape \(n, 28, 28\), got uint8 of shape \(100, 784\)"),
    (replaced(x_test=np.zeros((50, 28, 28))), ValueError, r"x_test .* must be uint8 .*, got float64 of shape"),
    (replaced(y_train=np.zeros(100, np.int32)), ValueError, r"y_train .* must be int64 .*, got int32"),
    (replaced(y_test=np.zeros(49, np.int64)), ValueError, r"y_test .* of shape \(50,\), a class for each .*\(49,\)"),
    (replaced(y_test=np.full(50, 10)), ValueError, r"y_test .* must hold classes from 0 to 9, got 10 to 10"),
]  # fmt: skip


@pytest.mark.parametrize("spoil, kind, message", BAD, ids=range(len(BAD)))
def test_bad_ready_files(ready, spoil, kind, message):
    folder, contents = ready
    spoil(folder / "mnist.npz", contents["mnist"])
    with pytest.raises(kind, match=f"(?s){message}"):
        datasets.mnist(jax.random.key(0), 10, 5)
    assert datasets.available("mnist") == (folder / "mnist.npz").exists()


def test_more_images_than_a_ready_file_has(ready):
    message = r"there are 100 \+ 50 images of mnist, 101 \+ 5 were asked for; unset NTK_TUTORIAL_DATA, now .*ready, to"
    with pytest.raises(ValueError, match=message):
        datasets.mnist(jax.random.key(0), 101, 5)
    with pytest.raises(ValueError, match=r"50 images of mnist, 5 \+ 51 were asked for"):
        datasets.mnist(jax.random.key(0), 5, 51)


def test_unknown_data_set():
    for function in (datasets.available, datasets.checksum):
        with pytest.raises(ValueError, match=r"no data set 'MNIST': take one of digits, mnist, fashion_mnist, emnist"):
            function("MNIST")


# What is drawn from them

EACH = [("digits", 8), ("mnist", 28), ("emnist", 28), ("cifar10", 32)]


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("classes", [None, (7, 0, 4)])
@pytest.mark.parametrize("name", [name for name, _ in EACH])
def test_which_images_are_drawn(ready, name, classes, balanced):
    published = _images.load(name)
    y = np.concatenate([published.y_train, published.y_test])
    allowed = range(_images.SOURCES[name].num_classes) if classes is None else classes
    num_train, num_test = (5, 2) if classes and name == "emnist" else (25, 12)

    def rows(key=0, num_test=num_test):
        return datasets._rows(jax.random.key(key), name, published, num_train, num_test, allowed, balanced)

    train, test = rows()
    assert len(train) == num_train and len(test) == num_test and len({*train, *test}) == num_train + num_test
    if name != "digits":
        assert train.max() < len(published.y_train) <= test.min()
    assert set(y[train]) | set(y[test]) <= set(allowed)
    if balanced:
        for part in (train, test):
            counts = [np.sum(y[part] == c) for c in allowed]
            assert max(counts) - min(counts) <= 1
    np.testing.assert_array_equal(train, rows()[0])
    np.testing.assert_array_equal(train, rows(num_test=0)[0])
    assert set(train) != set(rows(1)[0])


def test_classes_that_cannot_be_balanced(ready):
    folder, contents = ready
    images = contents["mnist"]
    few = images._replace(y_train=np.where(images.y_train == 4, 5, images.y_train))
    few.y_train[:2] = 4
    np.savez(folder / "mnist.npz", **few._asdict())
    assert len(datasets.mnist(jax.random.key(0), 29, 0, balanced=True, size=1).x_train) == 29
    with pytest.raises(ValueError, match=r"35 images cannot be balanced: class 4 has 2\. Take fewer"):
        datasets.mnist(jax.random.key(0), 35, 0, balanced=True, size=1)


@pytest.mark.parametrize("form", ["vectors", "images", "components"])
@pytest.mark.parametrize("name, height", EACH)
def test_how_images_are_prepared(ready, name, height, form):
    """One image at a time, in plain NumPy: block averages, training mean, length; components by eigenvectors."""
    options = {"images": form == "images", "size": height // 4, "classes": (3, 5, 2), "labels": "one_hot"}
    options |= {"num_components": 3} if form == "components" else {}
    num_train, num_test = (6, 3)
    key, published = jax.random.key(3), _images.load(name)
    data = getattr(datasets, name)(key, num_train, num_test, **options)
    rows = np.concatenate(datasets._rows(key, name, published, num_train, num_test, options["classes"], False))
    raw = np.concatenate([published.x_train, published.x_test])[rows]
    small = np.zeros((len(rows), height // 4, height // 4, *raw.shape[3:]))
    for i, row, column in np.ndindex(small.shape[:3]):
        small[i, row, column] = raw[i, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4].mean((0, 1))
    small -= small[:num_train].mean(0)
    x = np.concatenate([data.x_train, data.x_test])
    if form == "images":
        assert x.shape == (9, height // 4, height // 4, 3 if name == "cifar10" else 1)
    x, small = x.reshape(len(x), -1), small.reshape(len(rows), -1)
    if form == "components":  # whose signs are a matter of convention
        vectors = np.linalg.eigh(small[:num_train].T @ small[:num_train])[1][:, -3:]
        cosines = small @ vectors
        cosines /= np.linalg.norm(cosines, axis=1, keepdims=True)
        np.testing.assert_allclose(x @ x.T / 3, cosines @ cosines.T, atol=1e-9)
    else:
        expected = [image * np.sqrt(image.size) / np.sqrt(np.sum(image**2)) for image in small]
        np.testing.assert_allclose(x, expected, rtol=1e-12, atol=1e-12)
    place = {3: 0, 5: 1, 2: 2}
    labels = [place[y] for y in np.concatenate([published.y_train, published.y_test])[rows]]
    np.testing.assert_array_equal(np.concatenate([data.y_train, data.y_test]), np.eye(3)[labels])


@pytest.mark.parametrize("classes", [None, (3, 5, 2)])
def test_parity_along_the_classes(ready, classes):
    key, options = jax.random.key(3), {"classes": classes, "size": 7}
    one_hot = datasets.emnist(key, 6, 3, labels="one_hot", **options)
    assert one_hot.y_train.shape == (6, len(classes or range(47)))
    parity = datasets.emnist(key, 6, 3, **options)
    np.testing.assert_array_equal(parity.y_train[:, 0], 1 - 2 * (np.argmax(one_hot.y_train, 1) % 2))
    assert set(np.asarray(parity.y_train[:, 0])) == {1.0, -1.0}


def test_signatures_are_one(ready):
    """All take the same arguments, and say so."""
    signatures = {str(inspect.signature(getattr(datasets, name))) for name in ("digits", *NAMES)}
    assert len(signatures) == 1 and "balanced" in signatures.pop()
    with pytest.raises(TypeError, match="lables"):
        datasets.mnist(jax.random.key(0), 10, 5, lables="parity")


# Formats


def test_idx_has_the_most_significant_byte_first():
    data = bytes(range(256)) + bytes(44)
    parsed = _images._idx(b"\0\0\x08\x02" + b"\0\0\0\x03" + b"\0\0\0\x64" + data)
    assert parsed.shape == (3, 100) and parsed[1, 5] == 105
    assert _images._idx(b"\0\0\x08\x01\0\0\x01\x2c" + data).shape == (300,)
    with pytest.raises(ValueError, match=r"begin with 0, 0, 8, these with 0, 0, 13"):
        _images._idx(b"\0\0\x0d\x01\0\0\0\0")


def test_emnist_is_turned_upright(tmp_path):
    """A pixel in row 1, column 2, is stored in row 2, column 1."""
    stored = np.zeros((1, 28, 28), np.uint8)
    stored[0, 2, 1] = 255
    label = idx(np.array([7]))
    with zipfile.ZipFile(tmp_path / "gzip.zip", "w") as archive:
        for part in ("train", "test"):
            archive.writestr(f"gzip/emnist-balanced-{part}-images-idx3-ubyte.gz", idx(stored))
            archive.writestr(f"gzip/emnist-balanced-{part}-labels-idx1-ubyte.gz", label)
    x_train, y_train, x_test, _ = _images._read_emnist(tmp_path / "gzip.zip")
    assert x_train[0, 1, 2] == x_test[0, 1, 2] == 255 and x_train.sum() == 255 and y_train == [7]


def test_cifar10_has_its_channels_last(tmp_path):
    """In a record, the label, then red, green and blue, row by row; records of five files follow one another."""
    with tarfile.open(tmp_path / "file.tar.gz", "w:gz") as archive:
        for i, name in enumerate(["test_batch", *(f"data_batch_{j}" for j in (3, 1, 5, 2, 4))]):
            pixels = bytearray(3072)
            pixels[0], pixels[1024 + 32], pixels[2048 + 1] = 10, 20, 30  # red (0, 0), green (1, 0), blue (0, 1)
            information = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            information.size = 3073
            archive.addfile(information, io.BytesIO(bytes([i]) + pixels))
    x_train, y_train, x_test, y_test = _images._read_cifar10(tmp_path / "file.tar.gz")
    assert x_train.shape == (5, 32, 32, 3) and x_test.shape == (1, 32, 32, 3)
    assert y_train.tolist() == [2, 4, 1, 5, 3] and y_test.tolist() == [0]
    assert [x_train[0, 0, 0, 0], x_train[0, 1, 0, 1], x_train[0, 0, 1, 2], x_train[0].sum()] == [10, 20, 30, 60]


# Downloads


class Server:
    """Files by path. To a request goes the next of the answers that are left for it, or the last one again.

    An answer is the file; a status such as 404; or a function, called with the handler.
    """

    def __init__(self):
        self.answers, self.requests = {}, []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(handler):
                self.requests.append(handler.path)
                answers = self.answers.get(handler.path, [404])
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                if callable(answer):
                    answer(handler)
                elif isinstance(answer, int):
                    handler.send_error(answer)
                else:
                    handler.send_response(200)
                    handler.send_header("Content-Length", str(len(answer)))
                    handler.end_headers()
                    handler.wfile.write(answer)

            def log_message(handler, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}/"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()


def half_of(data):
    """The connection breaks in the middle."""

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[: len(data) // 2])
        handler.close_connection = True

    return answer


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server whose folders a and b are the mirrors of all data sets: invented images, in the published formats."""
    monkeypatch.delenv("NTK_TUTORIAL_DATA", raising=False)
    monkeypatch.setenv("NTK_TUTORIAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(_download, "RETRIES", 1)
    server = Server()
    for name in NAMES:
        contents = official(name, invented(name))
        files = tuple(_download.File(n, len(data), hashlib.sha256(data).hexdigest()) for n, data in contents.items())
        assert [file.name for file in files] == [file.name for file in _images.SOURCES[name].files]
        mirrors = tuple(f"{server.address}{mirror}/{name}/" for mirror in "ab")
        monkeypatch.setitem(_images.SOURCES, name, _images.SOURCES[name]._replace(files=files, mirrors=mirrors))
        server.answers |= {f"/{m}/{name}/{file}": [data] for m in "ab" for file, data in contents.items()}
    yield server
    server.close()


def kept(tmp_path):
    return sorted(str(p.relative_to(tmp_path / "cache")) for p in (tmp_path / "cache").rglob("*") if p.is_file())


@pytest.mark.parametrize("name", NAMES)
def test_a_download_happens_once(server, tmp_path, name, capfd, monkeypatch):
    for handler in pooch.get_logger().handlers:
        monkeypatch.setattr(handler, "stream", sys.stderr)
    assert not datasets.available(name) and not server.requests
    assert same(_images.load(name), invented(name))
    files = [file.name for file in _images.SOURCES[name].files]
    assert server.requests == [f"/a/{name}/{file}" for file in files]
    assert kept(tmp_path) == sorted(f"{name}/{file}" for file in files)
    shown = capfd.readouterr()
    assert "100%" in shown.err and f"Downloading file '{files[0]}'" in shown.err and shown.out == ""
    assert datasets.available(name) and same(_images.load(name), invented(name))
    assert len(server.requests) == len(files) and capfd.readouterr().err == ""


def test_equal_file_names_do_not_mix(server):
    """MNIST and Fashion-MNIST call their files alike."""
    assert [f.name for f in _images.SOURCES["mnist"].files] == [f.name for f in _images.SOURCES["fashion_mnist"].files]
    for name in ("mnist", "fashion_mnist", "mnist"):
        assert same(_images.load(name), invented(name))


def test_the_cache_of_the_user(server, tmp_path, monkeypatch):
    monkeypatch.delenv("NTK_TUTORIAL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if sys.platform == "linux":
        assert same(_images.load("emnist"), invented("emnist"))
        assert kept(tmp_path) == ["ntk_tutorial/emnist/gzip.zip"]


PATH = "/a/cifar10/cifar-10-binary.tar.gz"


def test_a_corrupted_download_is_refused(server, tmp_path):
    data = bytearray(server.answers[PATH][0])
    data[1000] ^= 1
    for mirror in "ab":
        server.answers[PATH.replace("/a/", f"/{mirror}/")] = [bytes(data)]
    with pytest.raises(OSError, match=r"(?s)cifar10 could not be downloaded:.*hash") as caught:
        datasets.cifar10(jax.random.key(0), 10, 5)
    file = _images.SOURCES["cifar10"].files[0]
    for part in (
        *_images.SOURCES["cifar10"].mirrors,
        hashlib.sha256(data).hexdigest(),
        file.sha256,
        "NTK_TUTORIAL_DATA",
    ):
        assert part in str(caught.value)
    assert kept(tmp_path) == [] and not datasets.available("cifar10")
    assert server.requests == [PATH, PATH, PATH.replace("/a/", "/b/"), PATH.replace("/a/", "/b/")]


@pytest.mark.parametrize("fault", ["interrupted", "corrupted", "busy"])
def test_what_fails_once_is_tried_again(server, tmp_path, fault):
    (data,) = server.answers[PATH]
    faults = {"interrupted": half_of(data), "corrupted": data[:-1] + b"?", "busy": 503}
    server.answers[PATH] = [faults[fault], data]
    assert same(_images.load("cifar10"), invented("cifar10"))
    assert server.requests == [PATH, PATH] and kept(tmp_path) == ["cifar10/cifar-10-binary.tar.gz"]


@pytest.mark.parametrize("fault", ["missing", "interrupted"])
def test_the_second_mirror_steps_in(server, fault):
    path = "/a/mnist/train-labels-idx1-ubyte.gz"
    server.answers[path] = [404 if fault == "missing" else half_of(server.answers[path][0])]
    assert same(_images.load("mnist"), invented("mnist"))
    assert server.requests.count(path) == 2 and server.requests.count(path.replace("/a/", "/b/")) == 1


@pytest.fixture
def offline(server, monkeypatch):
    """The address is right, and nobody is there."""
    server.close()
    monkeypatch.setattr(_download, "RETRIES", 0)
    return server


def test_without_a_network_the_error_says_what_to_do(offline, tmp_path):
    source = _images.SOURCES["mnist"]
    with pytest.raises(OSError, match="mnist could not be downloaded") as caught:
        datasets.mnist(jax.random.key(0), 10, 5)
    message = str(caught.value)
    for part in (
        str(tmp_path / "cache" / "mnist"),
        *source.mirrors,
        "NTK_TUTORIAL_DATA",
        "mnist.npz",
        "uint8",
        "int64",
    ):
        assert part in message
    for file in source.files:
        assert f"{file.name}: {file.size:,} bytes, sha256 {file.sha256}" in message
    by_hand = tmp_path / "cache" / "mnist"
    by_hand.mkdir(parents=True, exist_ok=True)
    for name, data in official("mnist", invented("mnist")).items():  # it is done
        (by_hand / name).write_bytes(data)
    assert datasets.available("mnist") and same(_images.load("mnist"), invented("mnist"))


def test_wrong_files_put_there_by_hand(offline, tmp_path):
    """Only what is missing or wrong is asked for, and what is wrong is not used."""
    by_hand, contents = tmp_path / "cache" / "mnist", official("mnist", invented("mnist"))
    by_hand.mkdir(parents=True)
    images, labels, test_images, test_labels = contents
    (by_hand / images).write_bytes(contents[images])
    wrong = contents[labels][:-1] + b"?"
    (by_hand / labels).write_bytes(wrong)
    (by_hand / test_images).write_bytes(contents[test_images])
    assert not datasets.available("mnist")
    with pytest.raises(OSError) as caught:
        _images.load("mnist")
    listed = str(caught.value).split("verified", 1)[1]
    assert images not in listed and test_images not in listed and test_labels in listed
    assert f"{labels}: {len(wrong):,} bytes" in listed and f"has {hashlib.sha256(wrong).hexdigest()}" in listed


def test_a_wrong_file_in_the_cache_is_replaced(server, tmp_path):
    (data,) = server.answers[PATH]
    (tmp_path / "cache" / "cifar10").mkdir(parents=True)
    (tmp_path / "cache" / "cifar10" / Path(PATH).name).write_bytes(data[:-1])
    assert not datasets.available("cifar10")
    assert same(_images.load("cifar10"), invented("cifar10")) and datasets.available("cifar10")


@pytest.mark.filterwarnings("ignore:Exception ignored in.*socket")  # requests leaves to Python to close it
def test_the_disk_is_full(server, tmp_path):
    """Every file may have 100,000 bytes; this one has more."""
    assert len(server.answers[PATH][0]) > 200_000
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        with pytest.raises(OSError, match=r"could not be written to .*NTK_TUTORIAL_CACHE name another") as caught:
            _images.load("cifar10")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.__cause__.errno == errno.EFBIG
    del caught
    gc.collect()
    assert kept(tmp_path) == [] and server.requests == [PATH]
    assert same(_images.load("cifar10"), invented("cifar10"))


def test_a_cache_that_cannot_be_written(server, tmp_path):
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.raises(OSError, match=r"emnist: gzip.zip, .* bytes, could not be written to .*cache/emnist"):
        _images.load("emnist")


def test_killed_in_the_middle_of_a_download(server, tmp_path):
    """What was begun is not taken for the file, and the next call has it whole."""
    (data,) = server.answers[PATH]
    reached, killed = threading.Event(), threading.Event()

    def hang(handler):
        half_of(data)(handler)
        handler.wfile.flush()
        reached.set()
        killed.wait(60)

    server.answers[PATH] = [hang, data]
    source = _images.SOURCES["cifar10"]
    code = f"""
        import runpy
        names = runpy.run_path({_download.__file__!r})
        names["fetch"]("cifar10", (names["File"]{tuple(source.files[0])!r},), {source.mirrors!r})
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stderr=subprocess.DEVNULL)
    try:
        assert reached.wait(60)
        for _ in range(500):  # until something has been written
            with contextlib.suppress(FileNotFoundError):
                if any(p.stat().st_size for p in (tmp_path / "cache" / "cifar10").iterdir()):
                    break
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
        killed.set()
    assert "cifar10/cifar-10-binary.tar.gz" not in kept(tmp_path) != [] and not datasets.available("cifar10")
    assert same(_images.load("cifar10"), invented("cifar10"))


def test_the_table_of_sources():
    """No two files have one checksum; only Zalando's own address has no https."""
    files = [file for source in _images.SOURCES.values() for file in source.files]
    assert len(files) == 10 and len({file.sha256 for file in files}) == 10
    assert all(len(bytes.fromhex(file.sha256)) == 32 and file.size > 4000 for file in files)
    plain = [
        m for s in _images.SOURCES.values() for m in s.mirrors if not (m.startswith("https://") and m.endswith("/"))
    ]
    assert plain == ["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"]


# The real data


@pytest.fixture
def real(request, monkeypatch):
    """The images of the data set that the test is about, from the folder of real ones."""
    name = request.node.callspec.params["name"]
    if not (REAL / f"{name}.npz").exists():
        pytest.skip(f"no {name}.npz: set NTK_TUTORIAL_DATA to a folder that has it")
    monkeypatch.setenv("NTK_TUTORIAL_DATA", str(REAL))
    return _images.load(name)


BEGIN = {
    "mnist": ([5, 0, 4, 1, 9, 2, 1, 3, 1, 4], [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]),
    "fashion_mnist": ([9, 0, 0, 3, 0, 2, 7, 2, 5, 5], [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]),
    "emnist": ([45, 36, 43, 15, 4, 42, 26, 32, 20, 1], [41, 39, 9, 26, 44, 33, 14, 11, 3, 12]),
    "cifar10": ([6, 9, 9, 4, 1, 1, 2, 7, 8, 3], [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]),
}
COUNTS = {  # of the first 10,000 to train, and the first so many to test with
    "mnist": ([1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978],
              [175, 234, 219, 207, 217, 179, 178, 205, 192, 194]),
    "fashion_mnist": ([942, 1027, 1016, 1019, 974, 989, 1021, 1022, 990, 1000],
                      [200, 203, 214, 190, 219, 195, 197, 200, 194, 188]),
    "cifar10": ([1005, 974, 1032, 1016, 999, 937, 1030, 1001, 1025, 981],
                [103, 89, 100, 103, 90, 86, 112, 102, 106, 109]),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_labels_of_the_real_data(real, name):
    assert real.y_train[:10].tolist() == BEGIN[name][0] and real.y_test[:10].tolist() == BEGIN[name][1]
    if name in COUNTS:
        train, test = COUNTS[name]
        assert np.bincount(real.y_train[:10000]).tolist() == train
        assert np.bincount(real.y_test[: sum(test)]).tolist() == test
    else:
        counts = np.bincount(real.y_test[:2000], minlength=47)
        assert (counts.min(), counts.max()) == (32, 55)


@pytest.mark.parametrize(
    "name, means",
    [("mnist", 0.13066), ("cifar10", [0.49139968, 0.48215841, 0.44653091])],
    ids=["mnist", "cifar10"],
)
def test_brightness_of_the_real_data(real, name, means):
    """Means over the published training set, by channel, to five standard errors of this part of it."""
    of_images = real.x_train[:4000].mean((1, 2)) / 255
    error = of_images.std(0) / np.sqrt(len(of_images))
    assert np.all(np.abs(of_images.mean(0) - means) <= 5 * error)


@pytest.mark.parametrize("name", ["emnist"])
def test_emnist_stands_upright(real, name):
    """On average, its digits look more like MNIST's than transposed."""
    if not (REAL / "mnist.npz").exists():
        pytest.skip("no mnist.npz: set NTK_TUTORIAL_DATA to a folder that has it")
    mnist = _images.load("mnist")

    def mean(images, digit):
        return images.x_train[images.y_train == digit].mean(0)

    def alike(a, b):
        return np.corrcoef(a.ravel(), b.ravel())[0, 1]

    for digit in range(10):
        upright, wanted = mean(real, digit), mean(mnist, digit)
        assert alike(upright, wanted) > alike(upright.T, wanted)


@pytest.mark.parametrize("name", NAMES)
def test_real_data_can_be_learned(real, name):
    """A nearest neighbour among 1,000 training images is right far more often than chance."""
    data = getattr(datasets, name)(jax.random.key(0), 1000, 300, labels="one_hot", size=8 if name == "cifar10" else 14)
    x_train, y_train, x_test, y_test = map(np.asarray, data)
    nearest = np.argmax(x_test @ x_train.T, axis=1)
    right = np.mean(np.argmax(y_train[nearest], 1) == np.argmax(y_test, 1))
    chance = 1 / CLASSES[name]
    assert right > chance + 5 * np.sqrt(chance * (1 - chance) / 300)
