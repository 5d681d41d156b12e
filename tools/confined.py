"""A submission in a process of its own, with limits: what its names hold, asked from outside.

`Confined(cells)` starts it and `run()` runs the cells. `names` is what tests get for the notebook's names: data as they
are, functions as functions that are called over there. `Stopped` says why there is no answer.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import wire

START = 120.0  # seconds, for Python and its libraries
PASSED_ON = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "XLA_FLAGS", "OPENBLAS_NUM_THREADS", "NPROC", "MPLCONFIGDIR")


class Stopped(BaseException):
    """The submission was ended, or ended itself; not an Exception, so that no test takes it for a wrong answer."""


class NoAnswer(Exception):
    """A function of the submission raised, or what it returned is not data."""


@dataclass(frozen=True)
class Limits:
    """Of one submission as a whole, its tests included; the seconds count from its first cell."""

    seconds: float = 120.0
    gigabytes: float = 4.0


class Names(dict):
    """The notebook's names, asked for when a test wants them; `given` are the tests' own."""

    def __init__(self, ask, given: dict):
        super().__init__(given)
        self._ask = ask

    def get(self, name, default=None):
        if name not in self:
            self[name] = self._value(name)
        return self[name]

    def _value(self, name):
        def call(*args, **kwargs):
            args, kwargs = wire.encode(args), wire.encode(kwargs)
            return self._ask({"name": name, "args": args, "kwargs": kwargs})

        value = self._ask({"name": name})
        return call if value is CALLABLE else value


CALLABLE = object()


class Confined:
    """A running submission. Use it in a `with` statement, which ends it."""

    def __init__(self, cells: list[str], limits: Limits, course: list[Path]):
        self.limits, self.cell, self.errors = limits, 0, {}
        self.folder = tempfile.mkdtemp(prefix="submission-")
        theirs, self.questions = os.pipe()
        self.answers, ours = os.pipe()
        env = {k: os.environ[k] for k in PASSED_ON if k in os.environ}
        env |= {"HOME": self.folder, "JAX_PLATFORMS": "cpu", "MPLBACKEND": "Agg", "TMPDIR": self.folder}
        env.setdefault("MPLCONFIGDIR", _fonts())
        command = [
            *_without_network(),
            sys.executable,
            str(Path(__file__).with_name("submission.py")),
            str(theirs),
            str(ours),
        ]
        self.process = subprocess.Popen(
            command, cwd=self.folder, env=env, pass_fds=(theirs, ours), start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs)
        os.close(ours)
        self.deadline, self.buffer = time.monotonic() + START, bytearray()
        os.set_blocking(self.questions, False)
        self._send({"cells": cells, "course": [str(path) for path in course], "seconds": limits.seconds})

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._end()
        os.close(self.questions)
        os.close(self.answers)
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self) -> dict[int, str]:
        """Run all cells; return the errors of those that failed, by number."""
        while (message := self._receive()).get("cell", 0) is not None:
            if self.cell == 0:
                self.deadline = time.monotonic() + self.limits.seconds
            if not isinstance(message.get("cell"), int):
                raise Stopped("stopped: an answer could not be read (no number of a cell)")
            self.cell = message["cell"]
            if "error" in message:
                self.errors[self.cell] = _short(message["error"])
        self.cell = None
        return self.errors

    def names(self, given: dict) -> Names:
        """Return the notebook's names; those of `given` are as given, whatever the notebook says."""
        return Names(self._ask, given)

    def _ask(self, question: dict):
        self._send(question)
        message = self._receive()
        if "error" in message:
            raise NoAnswer(_short(message["error"]))
        if message.get("function") is True:
            return CALLABLE
        try:
            return wire.decode(message["value"])
        except Exception as error:  # whatever data raise that were made to be misread
            raise Stopped(f"stopped: an answer could not be read ({type(error).__name__})") from None

    def _send(self, message: dict) -> None:
        data = memoryview(wire.frame(message))
        while data:
            self._wait(write=True)
            try:
                data = data[os.write(self.questions, data) :]
            except BrokenPipeError:
                self._gone()

    def _receive(self) -> dict:
        try:
            message = wire.receive(self._read)
        except (ValueError, RecursionError) as error:
            raise Stopped(f"stopped: an answer could not be read ({type(error).__name__})") from None
        if "refused" in message:
            raise Stopped(f"refused: {_short(message['refused'])}{self._where()}")
        return message

    def _read(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self._wait()
            if not (more := os.read(self.answers, 2**20)):
                self._gone()
            self.buffer += more
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def _wait(self, write: bool = False) -> None:
        """Return as soon as the pipe is ready; end the submission where it passes a limit before."""
        ends = ([], [self.questions], []) if write else ([self.answers], [], [])
        while True:
            if time.monotonic() > self.deadline:
                self._end()
                seconds = START if self.cell == 0 else self.limits.seconds
                raise Stopped(f"stopped: ran longer than {seconds:g} s{self._where()}")
            if any(select.select(*ends, 0.1)):
                return
            if self._gigabytes() > self.limits.gigabytes:
                self._end()
                raise Stopped(f"stopped: needed more than {self.limits.gigabytes:g} GB{self._where()}")

    def _gone(self):
        self._end()
        if self.cell == 0:
            needed = "import IPython, matplotlib, ntk_tutorial, scipy"
            raise Stopped(f"not run: its process ended before the first cell; try {sys.executable} -c '{needed}'")
        raise Stopped(f"stopped: the notebook ended its own process{self._where()}")

    def _where(self) -> str:
        return " (in a test)" if self.cell is None else f" (in code cell {self.cell})" if self.cell else ""

    def _family(self) -> list[psutil.Process]:
        try:
            process = psutil.Process(self.process.pid)
            return [process, *process.children(recursive=True)]
        except psutil.Error:
            return []

    def _gigabytes(self) -> float:
        total = 0
        for process in self._family():
            try:
                total += process.memory_info().rss
            except psutil.Error:
                continue
        return total / 1e9

    def _end(self) -> None:
        for process in self._family():
            try:
                process.kill()
            except psutil.Error:
                continue
        self.process.wait()


def _short(words) -> str:
    """Return a submission's words in one line of bounded length."""
    return " ".join(str(words)[:1000].split())


def _fonts() -> str:
    """Return where matplotlib of this process keeps its list of fonts, which takes seconds to make."""
    import matplotlib

    return matplotlib.get_cachedir()


def _without_network() -> list[str]:
    """Return the command that takes the network away, where the system has and allows it (Linux)."""
    command = ["unshare", "--map-root-user", "--net"]
    works = shutil.which(command[0]) and subprocess.run([*command, "true"], capture_output=True).returncode == 0
    return command if works else []
