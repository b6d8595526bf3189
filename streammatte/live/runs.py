"""The files by which live runs on this machine are found: one `live-PID.json` each, readable by their owner alone."""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
import warnings
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from platformdirs import user_runtime_path

from streammatte.errors import ConfigError

__all__ = ["Run", "announce", "live_runs", "runs_folder", "withdraw"]

_CONNECT_S = 1.0


@dataclass(frozen=True, slots=True)
class Run:
    """A live run that can be controlled."""

    pid: int
    port: int
    """On 127.0.0.1."""
    token: str
    """Whoever knows it may control the run."""
    input: str
    started: str
    """ISO 8601, UTC."""


def runs_folder() -> Path:
    """Where the user's live runs are listed; it need not exist yet."""
    with warnings.catch_warnings():
        # platformdirs warns where no session manager made the folder; the one it then takes is as private.
        warnings.simplefilter("ignore")
        return user_runtime_path("streammatte", appauthor=False)


def announce(run: Run, folder: Path) -> Path:
    """Write the run's file below `folder` and return it; it is whole from the moment it can be seen.

    Raises ConfigError where the folder cannot be written or is open to other users.
    """
    path = folder / f"live-{run.pid}.json"
    partial = folder / f".live-{run.pid}.partial"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        live_runs(folder)  # deletes what killed runs have left
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(run), file)
        partial.replace(path)
    except OSError as error:
        why = error.strerror or error
        raise ConfigError("control", f"{folder} cannot hold the run's file: {why}; check XDG_RUNTIME_DIR") from error
    return path


def withdraw(path: Path) -> None:
    """Delete a run's file. It may be gone already."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def live_runs(folder: Path) -> list[Run]:
    """The runs that live, oldest first. Files of dead ones are deleted.

    Raises ConfigError where the folder is open to other users: what lies there may be anybody's.
    """
    if not folder.is_dir():
        return []
    _check_private(folder)
    runs = []
    for path in folder.glob("live-*.json"):
        run = _read(path)
        if run is not None and _alive(run):
            runs.append(run)
        elif run is not None:
            withdraw(path)
    return sorted(runs, key=lambda run: (run.started, run.pid))


def _check_private(folder: Path) -> None:
    if sys.platform == "win32":
        return  # below the user's profile, which other users cannot read
    state = folder.stat()
    if state.st_uid != os.getuid() or stat.S_IMODE(state.st_mode) & 0o022:
        raise ConfigError("control", f"{folder} can be written by others; chmod 700 it, or set XDG_RUNTIME_DIR")


def _read(path: Path) -> Run | None:
    """None for what is no run's file."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        values = json.loads(path.read_text(encoding="utf-8"))
        run = Run(**{item.name: values[item.name] for item in fields(Run)})
        if isinstance(run.pid, int) and isinstance(run.port, int) and 0 < run.port < 65536:
            return run
    return None


def _alive(run: Run) -> bool:
    """The process is there, and listens: its number may have gone to another since."""
    if sys.platform != "win32":  # there os.kill ends the process
        try:
            os.kill(run.pid, 0)
        except OSError:
            return False  # nobody's, or another user's: our run is dead and its number taken
    try:
        socket.create_connection(("127.0.0.1", run.port), _CONNECT_S).close()
    except ConnectionRefusedError:
        return False
    except OSError:
        return True  # too busy to answer now
    return True
