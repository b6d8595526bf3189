"""Who else has a device open, as Linux tells it in /proc."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Holder", "holders"]

_FRESH_S = 1.0
_lock = threading.Lock()
_known: dict[tuple[str, Path], tuple[float, tuple[Holder, ...]]] = {}


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has the device open."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"


def holders(path: str, proc: Path = Path("/proc")) -> tuple[Holder, ...]:
    """The processes, this one left out, that have `path` open, by pid; as of a second ago at most.

    Processes that this user may not look into are passed over. Where there is no /proc, nobody is seen.
    """
    real = os.path.realpath(path)
    with _lock:
        until_s, found = _known.get((real, proc), (0.0, ()))
        if time.monotonic() >= until_s:
            found = tuple(sorted(_scan(real, proc), key=lambda holder: holder.pid))
            _known[real, proc] = time.monotonic() + _FRESH_S, found
        return found


def _scan(real: str, proc: Path) -> Iterator[Holder]:
    pids = [name for name in _names(proc) if name.isdigit() and int(name) != os.getpid()]
    for pid in pids:
        folder = f"{proc}/{pid}/fd"
        if any(_target(f"{folder}/{number}") == real for number in _names(Path(folder))):
            yield Holder(int(pid), _name(proc / pid))


def _names(folder: Path) -> list[str]:
    # Processes end while they are looked at, and those of others may not be.
    try:
        return os.listdir(folder)  # noqa: PTH208  (thousands of links a second: no Path for each)
    except OSError:
        return []


def _target(link: str) -> str | None:
    try:
        return os.readlink(link)  # noqa: PTH115
    except OSError:
        return None


def _name(process: Path) -> str:
    with contextlib.suppress(OSError):
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    return "a process"
