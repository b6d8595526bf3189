"""The other end of control.py: finds a live run and talks to it."""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from streammatte.errors import ConfigError, StreammatteError, first_line
from streammatte.live.runs import Run, live_runs, runs_folder

__all__ = ["ControlClient", "connect"]

_STATE_S = 10.0
_CHANGE_S = 600.0
"""A change may mean loading a model, and building its engine first."""


def connect(folder: Path | None = None, pid: int | None = None) -> ControlClient:
    """A client of the live run listed in `folder` (default: the user's own), of the one with `pid` where several are.

    Raises ConfigError where there is none, or more than one and no `pid` to tell them apart.
    """
    runs = live_runs(runs_folder() if folder is None else folder)
    fitting = [run for run in runs if pid is None or run.pid == pid]
    if len(fitting) == 1:
        return ControlClient(fitting[0])
    listed = ", ".join(f"{run.pid} ({run.input}, since {run.started})" for run in runs)
    if not runs:
        raise ConfigError("ctl", "no live run of yours; start one: streammatte camera --bg blur --to vcam")
    if not fitting:
        raise ConfigError("--pid", f"no live run has the pid {pid}; there are {listed}")
    raise ConfigError("ctl", f"several live runs; say which with --pid: {listed}")


class ControlClient:
    """`Controls` of another process. Every method raises StreammatteError where that process does not answer."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def state(self) -> dict[str, object]:
        """What holds now, as JSON values."""
        return self._ask("GET", "/v1/state", None, _STATE_S)

    def change(self, name: str, value: str) -> dict[str, object]:
        """Change one thing and wait until it shows. Raises ConfigError with the run's own line where it refuses."""
        return self._ask("POST", "/v1/change", {"name": name, "value": value}, _CHANGE_S)

    def stop(self) -> None:
        """Ask the run to end."""
        self._ask("POST", "/v1/stop", None, _STATE_S)

    def _ask(self, method: str, path: str, wish: dict[str, str] | None, timeout_s: float) -> dict[str, object]:
        connection = HTTPConnection("127.0.0.1", self.run.port, timeout=timeout_s)
        body = None if wish is None else json.dumps(wish).encode()
        headers = {"Authorization": f"Bearer {self.run.token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, HTTPException, ValueError) as error:
            who = f"the live run {self.run.pid} does not answer on 127.0.0.1:{self.run.port}"
            raise StreammatteError(f"{who}: {first_line(error)}; it may just have ended") from error
        finally:
            connection.close()
        if response.status == 400:
            raise _as_raised(str(answer.get("error")))
        if response.status != 200:
            raise StreammatteError(f"the live run {self.run.pid} says {response.status}: {answer.get('error')}")
        return dict(answer)


def _as_raised(line: str) -> ConfigError:
    """The error whose line went over the wire."""
    key, colon, message = line.partition(": ")
    return ConfigError(key, message) if colon else ConfigError("ctl", line)
