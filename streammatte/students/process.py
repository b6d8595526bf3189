"""The program that teaches, as a run sees it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from streammatte.errors import StudentError
from streammatte.students.lessons import Going, Learnt, Lesson, NotLearnt, receive, send

__all__ = ["Trainer", "missing"]

_ENDING_S = 2.0
_LAST_WORDS = 4000


def missing() -> str | None:
    """Why nothing can be taught here, and what to do; None where it can."""
    if importlib.util.find_spec("torch") is None:
        return "teaching a student needs PyTorch: pip install 'streammatte[tune]'"
    return None


class Trainer:
    """A program that is given lessons, one at a time; `aside`: of low priority, beside a run that must not notice.

    Raises StudentError where there is no torch.
    """

    def __init__(self, *, aside: bool) -> None:
        why = missing()
        if why is not None:
            raise StudentError(why)
        low = getattr(subprocess, "IDLE_PRIORITY_CLASS", 0) if aside else 0  # Windows; elsewhere it lowers its own
        self._process = subprocess.Popen(
            [sys.executable, "-m", "streammatte.students.child", *(["--aside"] if aside else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            creationflags=low,
            # Threads that wait for each other sleep: where others want the processor, spinning would take it from both.
            env={"OMP_WAIT_POLICY": "PASSIVE", **os.environ} if aside else None,
            # Ctrl-C is for the run, which then ends this.
            start_new_session=True,
        )
        self._closed = False
        self._said = bytearray()
        self._listener = threading.Thread(target=self._listen, name="teach-errors", daemon=True)
        self._listener.start()

    def teach(self, lesson: Lesson, told: Callable[[Going], None] | None = None) -> Learnt:
        """Give a lesson and wait for its end; `told` hears how it goes. Raises StudentError where it fails, where the
        program is ended from outside, and once this is closed from another thread."""
        process: Any = self._process
        try:
            send(process.stdin, lesson)
            while True:
                message = receive(process.stdout)
                if isinstance(message, Learnt):
                    return message
                if isinstance(message, NotLearnt):
                    raise StudentError(f"teaching failed: {message.why}")
                if message is None:
                    raise StudentError(self._how_it_ended())
                if told is not None:
                    told(message)
        except (OSError, ValueError) as error:
            raise StudentError(self._how_it_ended()) from error

    def close(self) -> None:
        """End the program. Whatever it holds is gone."""
        self._closed = True
        self._process.kill()
        self._process.wait()
        self._listener.join(_ENDING_S)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with suppress(OSError):  # what could not be sent any more
                    pipe.close()

    def _listen(self) -> None:
        process: Any = self._process
        with suppress(OSError, ValueError):
            for line in process.stderr:
                self._said += line
                del self._said[:-_LAST_WORDS]

    def _how_it_ended(self) -> str:
        if self._closed:
            return "teaching was ended"
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDING_S)
        code = self._process.returncode
        self._listener.join(_ENDING_S)
        lines = self._said.decode(errors="replace").strip().splitlines()
        if code is not None and code < 0:
            return f"teaching was ended from outside: signal {-code}"
        return f"teaching ended: {lines[-1] if lines else f'exit status {code}'}"
