"""Published files, each fetched once, verified and kept: the only place that reaches the network, through pooch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

RETRIES = 2  # of each address, after pauses of one and two seconds
TIMEOUT = 30  # seconds without an answer


class File(NamedTuple):
    """A file as it was published: its name, its length in bytes, and the SHA-256 of them."""

    name: str
    size: int
    sha256: str


def cache(name: str) -> Path:
    """The folder where a data set's files are kept: in `NTK_TUTORIAL_CACHE`, else in the user's cache."""
    import pooch

    return Path(os.environ.get("NTK_TUTORIAL_CACHE") or pooch.os_cache("ntk_tutorial")).expanduser().absolute() / name


def complete(name: str, files: tuple[File, ...]) -> bool:
    """Whether a data set's files lie in the cache, by their lengths; `fetch` compares checksums."""
    return all((path := cache(name) / file.name).is_file() and path.stat().st_size == file.size for file in files)


def fetch(name: str, files: tuple[File, ...], mirrors: tuple[str, ...]) -> list[Path]:
    """The paths of a data set's files, downloaded unless they are there already.

    What lies in the cache, put there by hand or not, is used if its SHA-256 is right, and replaced if not. A download
    gets its place only when it is whole and its SHA-256 is right.

    Args:
        name: of the data set, and of its folder in the cache.
        files: what it consists of.
        mirrors: addresses of folders that hold them, ending in a slash, the first to be tried first.

    Raises:
        OSError: if no mirror gives a file, or it cannot be written. The message says how to go on by hand.
    """
    import pooch
    from requests.exceptions import RequestException

    folder, paths = cache(name), []
    for file in files:
        failures = []
        for mirror in mirrors:
            kept = pooch.create(folder, mirror, registry={file.name: f"sha256:{file.sha256}"}, retry_if_failed=RETRIES)
            downloader = pooch.HTTPDownloader(progressbar=True, chunk_size=2**16, timeout=TIMEOUT)
            try:
                paths.append(Path(kept.fetch(file.name, downloader=downloader)))
                break
            except (RequestException, ValueError) as error:  # no or a wrong answer; another checksum
                failures.append(f"{mirror}{file.name}: {error}")
            except OSError as error:
                raise OSError(
                    f"{name}: {file.name}, {file.size:,} bytes, could not be written to {folder}: {error}. Make room "
                    f"there, or let the environment variable NTK_TUTORIAL_CACHE name another folder, and call again"
                ) from error
        else:
            raise OSError(_by_hand(name, files, failures))
    return paths


def _by_hand(name: str, files: tuple[File, ...], failures: list[str]) -> str:
    """What happened, and what to do without a network."""
    import pooch

    lines, folder = [], cache(name)
    for file in files:
        here = folder / file.name
        if not here.is_file():
            lines.append(f"{file.name}: {file.size:,} bytes, sha256 {file.sha256}")
        elif (found := pooch.file_hash(str(here))) != file.sha256:
            lines.append(f"{file.name}: {file.size:,} bytes, sha256 {file.sha256}, but the file there has {found}")
    failed, wanted = ("".join(f"\n  {line}" for line in part) for part in (failures, lines))
    return (
        f"{name} could not be downloaded:{failed}\n\n"
        f"Check the network and call again; or get the files elsewhere and put them, as they are, into\n{folder},\n"
        f"where their checksums are verified before they are used:{wanted}\n\n"
        f"Or let the environment variable NTK_TUTORIAL_DATA name a folder that holds {name}.npz, with arrays\n"
        f"x_train and x_test of type uint8, y_train and y_test of type int64."
    )
