"""A real OBS Studio without a screen: Xvfb, software GL, obs-websocket on the loopback interface with a password.

Debian: obs-studio obs-plugins xvfb libgl1-mesa-dri dbus.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
from loopback import free_port

from streammatte.errors import StreammatteError
from streammatte.obs.connection import Connection, Refused, connect

__all__ = ["PASSWORD", "PROGRAMS", "Studio", "missing", "screen", "until"]

PROGRAMS = {"obs": "obs-studio", "Xvfb": "xvfb", "dbus-run-session": "dbus"}
PASSWORD = "only-for-tests"
_PATIENCE_S = 120.0
"""A first run compiles its loops, on a machine that may be busy."""


T = TypeVar("T")


def missing() -> list[str]:
    """Debian packages to install."""
    return sorted(package for program, package in PROGRAMS.items() if shutil.which(program) is None)


def until(answer: Callable[[], T], timeout_s: float = _PATIENCE_S, every_s: float = 0.02) -> T:
    """What `answer` says as soon as that is true. Raises TimeoutError with what it said last."""
    end_s = time.monotonic() + timeout_s
    while True:
        said: Any = None
        with contextlib.suppress(OSError, TimeoutError):
            said = answer()
        if said:
            return said  # type: ignore[no-any-return]
        if time.monotonic() > end_s:
            raise TimeoutError(f"{answer} said {said!r} for {timeout_s:.0f} s")
        time.sleep(every_s)


@contextlib.contextmanager
def screen() -> Iterator[str]:
    """An X server with a picture in memory; yields its display."""
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x800x24", "-nolisten", "tcp", "+extension", "GLX"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as said:
            number = said.readline().strip()
        assert number, "Xvfb ended"
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()


class Studio:
    """OBS with settings of its own below `home`; `start` and `kill` may follow each other."""

    def __init__(
        self,
        home: Path,
        display: str,
        password: str = PASSWORD,
        canvas: tuple[int, int] = (640, 360),
        rate: int = 30,
    ) -> None:
        self.home, self.port, self.password = home, free_port(), password
        self._display, self._canvas, self._rate = display, canvas, rate
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._configure(home / ".config" / "obs-studio")

    @property
    def environment(self) -> dict[str, str]:
        """What lets a command find this OBS's configuration."""
        return {"HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / ".config")}

    def _configure(self, folder: Path) -> None:
        profile, scenes = folder / "basic/profiles/Untitled", folder / "basic/scenes"
        plugin = folder / "plugin_config/obs-websocket"
        runtime = self.home / "run"
        for each in (profile, scenes, plugin, runtime):
            each.mkdir(parents=True)
        runtime.chmod(0o700)
        auth = str(bool(self.password)).lower()
        (folder / "global.ini").write_text(
            "[General]\nFirstRun=true\nLastVersion=486539266\nPre19Defaults=false\nPre21Defaults=false\n"
            "Pre23Defaults=false\nPre24.1Defaults=false\nEnableAutoUpdates=false\nConfirmOnExit=false\nInfoIncrement=100\n"
            f"[OBSWebSocket]\nFirstLoad=false\nServerEnabled=true\nServerPort={self.port}\nAlertsEnabled=false\n"
            f"AuthRequired={auth}\nServerPassword={self.password}\n"
            "[BasicWindow]\nSysTrayEnabled=false\nWarnBeforeStartingStream=false\n"
            "[Basic]\nProfile=Untitled\nProfileDir=Untitled\nSceneCollection=Untitled\nSceneCollectionFile=Untitled\n"
            "ConfigOnNewProfile=false\n[Audio]\nDisableAudioDucking=true\n"
        )
        (plugin / "config.json").write_text(
            json.dumps(
                {
                    "first_load": False,
                    "server_enabled": True,
                    "server_port": self.port,
                    "alerts_enabled": False,
                    "auth_required": bool(self.password),
                    "server_password": self.password,
                }
            )
        )
        width, height = self._canvas
        (profile / "basic.ini").write_text(
            f"[General]\nName=Untitled\n[Video]\nBaseCX={width}\nBaseCY={height}\nOutputCX={width}\nOutputCY={height}\n"
            f"FPSType=0\nFPSCommon={self._rate}\n"
        )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        environment = {
            **self.environment,
            "PATH": "/usr/bin:/bin",
            "XDG_RUNTIME_DIR": str(self.home / "run"),
            "DISPLAY": self._display,
            "QT_QPA_PLATFORM": "xcb",
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "LANG": "C.UTF-8",
            "LP_NUM_THREADS": "2",
        }
        with (self.home / "obs.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["dbus-run-session", "--", "obs", "--multi", "--disable-updater", "--disable-missing-files-check"],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until(self._answers)

    def _answers(self) -> bool:
        with contextlib.suppress(StreammatteError):
            return bool(self.ask("GetVersion"))
        assert self.running, (self.home / "obs.log").read_text()[-2000:]
        return False

    def ask(self, request: str, **fields: Any) -> dict[str, Any]:
        """What OBS answers to a request of obs-websocket."""
        if self._connection is None:
            self._connection = connect("127.0.0.1", self.port, lambda: self.password)
        return self._connection.ask(request, **fields)

    @property
    def inputs(self) -> list[str]:
        """The names of all sources."""
        return sorted(entry["inputName"] for entry in self.ask("GetInputList")["inputs"])

    @property
    def scene(self) -> str:
        """The name of the scene that is shown."""
        return str(self.ask("GetCurrentProgramScene")["currentProgramSceneName"])

    def create(self, name: str, kind: str, settings: dict[str, Any]) -> None:
        """A source in that scene."""
        self.ask("CreateInput", sceneName=self.scene, inputName=name, inputKind=kind, inputSettings=settings)

    def kill(self, how: int = signal.SIGKILL) -> None:
        """End OBS and all it has started."""
        if self._process is None:
            return
        if self._connection is not None:
            self._connection.__exit__()
            self._connection = None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, how)
        self._process.wait(20)
        self._process = None

    @property
    def running(self) -> bool:
        """It has not ended by itself."""
        return self._process is not None and self._process.poll() is None

    def color_source(self, name: str, abgr: int) -> None:
        """A plane of one colour (0xAABBGGRR) in the current scene."""
        width, height = self._canvas
        self.create(name, "color_source_v3", {"color": abgr, "width": width, "height": height})

    def picture(self, name: str) -> npt.NDArray[np.uint8] | None:
        """As `screenshot`; None while OBS has no picture of it."""
        try:
            return self.screenshot(name)
        except Refused as refused:
            if refused.code == Refused.NOT_RENDERED:
                return None
            raise

    def screenshot(self, name: str) -> npt.NDArray[np.uint8]:
        """Source or scene `name` as OBS draws it: (h, w, 4) R G B A."""
        shown = str(self.ask("GetSourceScreenshot", sourceName=name, imageFormat="png")["imageData"])
        coded = np.frombuffer(base64.b64decode(shown.partition(",")[2]), np.uint8)
        picture: Any = cv2.imdecode(coded, cv2.IMREAD_UNCHANGED)
        if picture.ndim != 3 or picture.shape[2] != 4:
            picture = cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA)
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA), np.uint8)
