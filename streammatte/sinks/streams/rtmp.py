"""`rtmp://`, `rtmps://`: FFmpeg publishes, in a process of its own.

PyAV opens an output with the interpreter's lock held and without a time limit: one server that does not answer would
hold up the whole call. A child may hang; it is ended.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from streammatte.sinks.feed import dies_with_us

__all__ = ["RtmpLink"]

_CHILD = Path(__file__).with_name("rtmp_child.py")
_ANSWER_S = 8.0
"""How long a server may take to let us in: a name's look-up, TLS and some rounds."""
_STUCK_S = 5.0
"""How long it may take nothing."""
_LOOK_S = 0.1
_FAREWELL_S = 1.0


class RtmpLink:
    """Publishes to `url`. FLV of which `head` is the beginning is written to it as to a file."""

    def __init__(self, url: str, head: bytes, size: tuple[int, int]) -> None:
        self.closed = False
        self._given = {"url": url, "head": head.hex(), "width": size[0], "height": size[1]}
        self._child: subprocess.Popen[bytes] | None = None

    def open(self) -> None:
        """Connect. Raises OSError: nobody answers, or the server does not take the stream."""
        try:
            self._open()
        except OSError:
            self.close()
            raise

    def _open(self) -> None:
        self._child = child = subprocess.Popen(
            [*dies_with_us(), sys.executable, "-P", str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        os.set_blocking(child.stdin.fileno(), False)
        # Through the pipe, not as an argument: every user of the machine can read those.
        self.write(json.dumps(self._given).encode() + b"\n")
        waited_s = 0.0
        while not select.select([child.stdout], [], [], _LOOK_S)[0]:
            waited_s += _LOOK_S
            if self.closed or waited_s > _ANSWER_S:
                raise TimeoutError(f"no answer within {_ANSWER_S:g} s")
        if child.stdout.readline() != b"ready\n":
            raise ConnectionRefusedError(self._last_words())

    def write(self, flv: bytes) -> None:
        """Hand on; blocks while the server takes nothing, some seconds at most. Raises OSError where it is gone."""
        assert self._child is not None
        assert self._child.stdin is not None
        pipe, rest, waited_s = self._child.stdin.fileno(), memoryview(flv), 0.0
        while rest:
            if select.select([], [pipe], [], _LOOK_S)[1]:
                try:
                    rest, waited_s = rest[os.write(pipe, rest) :], 0.0
                except BrokenPipeError:
                    raise ConnectionAbortedError(self._last_words()) from None
                continue
            waited_s += _LOOK_S
            if self.closed or waited_s > _STUCK_S:
                raise TimeoutError(f"the server has taken nothing for {_STUCK_S:g} s")

    def check(self) -> None:
        """Raises OSError where the server is known to be gone."""
        if self._child is not None and self._child.poll() is not None:
            raise ConnectionAbortedError(self._last_words())

    def close(self) -> None:
        """Hang up: politely where the child listens, at once where it does not."""
        self.closed = True
        if self._child is None:
            return
        with suppress(OSError, ValueError):
            self._child.stdin.close()  # type: ignore[union-attr]
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(_FAREWELL_S)
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdout, self._child.stderr):
            if pipe is not None:
                pipe.close()

    def _last_words(self) -> str:
        """Why the child has ended."""
        assert self._child is not None
        assert self._child.stderr is not None
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(_FAREWELL_S)
        self._child.kill()
        lines = self._child.stderr.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it ended without a word"
