"""The process that a submission runs in: it executes the notebook's cells, then answers what their names hold.

It is told nothing but the cells, and later names and arguments: no test, no path to one. What it may do is limited by
an audit hook: start no process, open no connection, read only Python's installation and its own empty folder. Nobody
needs to trust what it says: a score is computed elsewhere, from its answers.
"""

from __future__ import annotations

import importlib.machinery
import os
import resource
import sys
import threading
import types
from pathlib import Path

import wire

# Beginnings of the names of audit events: https://docs.python.org/3/library/audit_events.html
PROCESSES = ("subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "pty.", "os.startfile")
CONNECTIONS = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethost", "socket.send", "urllib.")
ESCAPES = ("os.kill", "signal.pthread_kill", "ctypes.", "resource.", "os.chown", "os.link", "os.symlink", "sqlite3.")
REFUSED = PROCESSES + CONNECTIONS + ESCAPES
READING = ("open", "os.listdir", "os.scandir", "os.chdir", "glob.")
WRITING = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "shutil.")
DEVICES = ("/dev/null", "/dev/urandom", "/proc/cpuinfo", "/proc/meminfo", "/proc/self/status", "/usr/share/zoneinfo")


def otter() -> types.ModuleType:
    """Return a stand-in for the grader inside the notebook: its checks are run again, by somebody else."""
    module = types.ModuleType("otter")
    module.__spec__ = importlib.machinery.ModuleSpec("otter", None)
    module.Notebook = lambda *args, **kwargs: types.SimpleNamespace(
        check=lambda *args, **kwargs: None, check_all=lambda: None, export=lambda *args, **kwargs: None
    )
    return module


class Guard:
    """Refuses, as an audit hook, what a submission has no need to do; ends the process at a look into `course`."""

    def __init__(self, pipe: int, course: list[str]):
        import ntk_tutorial

        self.pipe, self.inside = pipe, threading.local()
        own = [sys.prefix, sys.base_prefix, Path(ntk_tutorial.__file__).parent, Path(os.__file__).parent]
        self.readable = tuple({os.path.realpath(p) for p in [*own, *DEVICES]})
        self.writable = (os.path.realpath(os.getcwd()), "/dev/null")
        self.course = tuple(map(os.path.realpath, course))

    def __call__(self, event: str, args: tuple) -> None:
        if event.startswith(REFUSED):
            raise PermissionError(f"not allowed while a submission is graded: {event}")
        if event.startswith(READING + WRITING) and args and not getattr(self.inside, "busy", False):
            self.inside.busy = True  # to look at a path is an event itself
            try:
                self.look(event, args)
            finally:
                self.inside.busy = False

    def look(self, event: str, args: tuple) -> None:
        """Raise, or end the process, unless the path in `args` is one that this event may have."""
        if isinstance(args[0], int):  # what is open already
            return
        path = os.path.realpath(os.fsdecode(args[0] or "."))
        reads = event.startswith(READING) and not (event == "open" and writes(*args))
        if within(path, self.writable + self.readable * reads):
            return
        if within(path, self.course):
            wire.send(self.pipe, {"refused": f"{'tried to read' if reads else 'tried to change'} {path}"})
            os._exit(1)
        raise PermissionError(f"not allowed while a submission is graded: {event} {path}")


def writes(path, mode: str | None = None, flags: int | None = None) -> bool:
    """Return whether the event `open` with these arguments may change the file."""
    return bool(set(mode or "") & set("wax+")) or bool((flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def within(path: str, folders: tuple[str, ...]) -> bool:
    """Return whether `path` is one of `folders` or inside it."""
    return any(path == folder or path.startswith(folder.rstrip(os.sep) + os.sep) for folder in folders)


def answer(names: dict, question: dict) -> dict:
    """Return what a name of the notebook holds, or what the function of this name returns."""
    import jax.numpy as jnp

    value = names.get(question["name"])
    try:
        if "args" not in question:
            return {"function": True} if callable(value) else {"value": wire.encode(value)}
        args, kwargs = (wire.decode(question[part], jnp.asarray) for part in ("args", "kwargs"))
        return {"value": wire.encode(value(*args, **kwargs))}
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        return {"error": f"{type(error).__name__}: {error}"[:1000]}


def execute(shell, cells: list[str], pipe: int) -> None:
    """Run cells one after the other, saying which; one that fails is reported and does not end the others."""
    for number, source in enumerate(cells, 1):
        wire.send(pipe, {"cell": number})
        result = shell.run_cell(source, silent=True)
        error = result.error_before_exec or result.error_in_exec
        if error is not None:
            wire.send(pipe, {"cell": number, "error": f"{type(error).__name__}: {error}"[:1000]})
    wire.send(pipe, {"cell": None})


def main(questions: int, answers: int) -> None:
    """Prepare what a notebook needs, close the doors, run it, and answer until the questions end."""
    first = wire.receive(lambda count: read(questions, count))
    shell = prepare(with_data=any("digits" in cell or "sklearn" in cell for cell in first["cells"]))
    bound(first["seconds"])
    sys.addaudithook(Guard(answers, first["course"]))
    execute(shell, first["cells"], answers)
    while question := wire.receive(lambda count: read(questions, count)):
        wire.send(answers, answer(shell.user_ns, question))


def bound(seconds: float) -> None:
    """Set limits that hold even where nobody watches any more: processor time, size of a file."""
    limit = int(2 * seconds) * (os.cpu_count() or 1) + 60  # more than whoever watches allows
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**27, 2**27))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def prepare(*, with_data: bool):
    """Return an IPython shell; import first what would otherwise open files and libraries later on."""
    if with_data:  # takes a second
        import sklearn.datasets  # noqa: F401
    import jax
    import matplotlib.pyplot  # noqa: F401
    import scipy.linalg  # noqa: F401
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    import ntk_tutorial  # noqa: F401

    jax.devices()  # starts the device
    installed = tuple(map(os.path.realpath, (sys.prefix, sys.base_prefix)))
    sys.path[:] = [path for path in sys.path if path and within(os.path.realpath(path), installed)]
    sys.modules["otter"] = otter()
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    shell.enable_gui = lambda gui=None: None  # for %matplotlib
    shell.showtraceback = shell.showsyntaxerror = lambda *args, **kwargs: None  # it would read sources
    return shell


def read(pipe: int, count: int) -> bytes:
    """Return exactly `count` bytes; end the process where the other end is closed."""
    data = b""
    while len(data) < count:
        if not (more := os.read(pipe, count - len(data))):
            os._exit(0)
        data += more
    return data


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
