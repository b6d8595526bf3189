"""A child process that is given whole pictures through a pipe, by a thread that keeps only the newest."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from streammatte.handoff import Cancelled, Handoff
from streammatte.worker import Worker

__all__ = ["FrameFeed", "dies_with_us"]

_LARGEST_PIPE = 1 << 20
"""What Linux grants anybody (/proc/sys/fs/pipe-max-size as shipped)."""
_LOOK_S = 0.2
_FAREWELL_S = 2.0

Picture = npt.NDArray[np.uint8]


class FrameFeed:
    """Runs `command` and writes pictures of `picture_bytes` to its standard input.

    `put` never waits: a picture that is not begun when the next one comes is dropped and counted, one that is begun is
    written to its end. The child ends with this object, and with this process however that ends: its input ends, and
    where `guarded` the kernel kills it (the thread that started it, whose death counts there, lives as long as the
    feed). The end of its input alone does not do: a pipeline that is stuck in its sink does not read it.
    """

    def __init__(self, command: Sequence[str], picture_bytes: int) -> None:
        """Start the child. Raises OSError where it cannot be started."""
        self._slot: Handoff[Picture] = Handoff(1, "drop_oldest")
        guard = dies_with_us()
        self.guarded = bool(guard)
        """The kernel ends the child where this process is killed."""
        self._command = [*guard, *command]
        self._picture_bytes = picture_bytes
        self._child: subprocess.Popen[bytes] | None = None
        self._refused: OSError | None = None
        self._last_line = ""
        self._closing = False
        self._started = threading.Event()
        self._feeder = Worker(f"feed {command[0]}", self._run)
        self._feeder.start()
        self._started.wait()
        if self._refused is not None:
            raise self._refused

    @property
    def pid(self) -> int:
        """The child's process number."""
        assert self._child is not None
        return self._child.pid

    @property
    def dropped(self) -> int:
        """Pictures that were not begun when the next one came."""
        return self._slot.dropped

    def put(self, picture: Picture) -> None:
        """Write `picture` as soon as the one being written is through; it must not be changed from now on."""
        with contextlib.suppress(Cancelled):
            self._slot.put(picture)

    def ended(self) -> str | None:
        """What the child said last, once it has ended by itself; None while it runs."""
        return (self._last_line or "it said nothing") if self._feeder.ended.is_set() and not self._closing else None

    def wait_ended(self, timeout_s: float) -> str | None:
        """As `ended`, after at most `timeout_s` of waiting for it."""
        self._feeder.ended.wait(timeout_s)
        return self.ended()

    def close(self) -> None:
        """End the child and wait for it."""
        self._closing = True
        self._slot.cancel()
        self._feeder.ended.wait()

    def _run(self) -> None:
        try:
            self._child = _start(self._command, self._picture_bytes)
        except OSError as error:
            self._refused = error
            return
        finally:
            self._started.set()
        listener = threading.Thread(target=self._listen, args=(self._child,), daemon=True)
        listener.start()
        with contextlib.suppress(Cancelled, BrokenPipeError):
            for picture in self._pictures(self._child):
                self._write(self._child, picture.data)
        _end(self._child)
        listener.join(_FAREWELL_S)

    def _pictures(self, child: subprocess.Popen[bytes]) -> Iterator[Picture]:
        """The newest picture, again and again, while the child runs."""
        while child.poll() is None:
            picture = self._slot.take(_LOOK_S)
            if picture is not None:
                yield picture

    def _write(self, child: subprocess.Popen[bytes], rest: memoryview) -> None:
        assert child.stdin is not None
        pipe = child.stdin.fileno()
        with selectors.DefaultSelector() as ready:
            ready.register(pipe, selectors.EVENT_WRITE)
            while rest:
                if ready.select(_LOOK_S):
                    rest = rest[os.write(pipe, rest) :]
                elif self._closing:
                    return

    def _listen(self, child: subprocess.Popen[bytes]) -> None:
        """Keep the last line the child says; errors stand above whatever follows them."""
        assert child.stderr is not None
        with child.stderr as said:
            for raw in said:
                line = raw.decode(errors="replace").strip()
                if line and (_tells(line) or not _tells(self._last_line)):
                    self._last_line = line


def _tells(line: str) -> bool:
    return line.startswith(("ERROR", "WARNING: erroneous"))


def dies_with_us() -> list[str]:
    """What goes before a command so that the kernel ends it with this thread; [] where that cannot be had.

    setpriv (util-linux) sets PR_SET_PDEATHSIG and becomes the command; a hook after fork is unsafe with threads.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


def _start(command: list[str], picture_bytes: int) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, bufsize=0
    )
    assert child.stdin is not None
    os.set_blocking(child.stdin.fileno(), False)
    _widen(child.stdin.fileno(), picture_bytes)
    return child


def _widen(pipe: int, picture_bytes: int) -> None:
    """Room for one picture where there may be: fewer writes. No more than that: what waits in a pipe is late."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, min(picture_bytes, _LARGEST_PIPE))


def _end(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    child.kill()
    child.wait()
    child.stdin.close()
