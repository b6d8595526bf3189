"""`--to pipewire`: a PipeWire Video/Source that browsers and OBS find in the camera portal; no kernel module, no root.

A child gst-launch-1.0 publishes what it is given through a pipe.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from fractions import Fraction
from pathlib import Path

from streammatte.errors import ConfigError, SinkError
from streammatte.frame import Frame, StreamInfo
from streammatte.sinks.feed import FrameFeed
from streammatte.sinks.i420 import I420Packer
from streammatte.sinks.options import SinkOptions
from streammatte.sinks.pipewire_links import LinkWatch
from streammatte.sinks.showing import ShowsFrames

__all__ = ["PipeWireSink"]

_USUAL_RATE = Fraction(30)
_LAUNCH = "gst-launch-1.0"
_NAME = re.compile(r"[\w][\w .-]{0,63}")
_ELEMENTS = {"pipewiresink": "gstreamer1.0-pipewire", "rawvideoparse": "gstreamer1.0-plugins-base"}
_STUMBLES_S = 0.3
"""A child that cannot publish at all has ended after so long."""
_UNGUARDED = "setpriv (util-linux) is not installed: had the run been killed, a stuck gst-launch-1.0 might have stayed"
_WIDTH_STEP_PX = 8
"""GStreamer starts rows at multiples of 4 bytes, chroma's too; Chromium takes them to follow without a gap."""


class PipeWireSink(ShowsFrames):
    """Publishes frames as I420, limited-range BT.601, under the node name and description `place` or "streammatte".

    The node is there from the first frame on. `write` does not wait: what the reader has no time for is dropped before
    its first byte and counted in the notes. Raises ConfigError for a name that cannot be one; SinkError where a
    program, a plugin or the daemon is missing, or the child has ended, with what it said last.
    """

    def __init__(self, place: str, info: StreamInfo, options: SinkOptions = SinkOptions()) -> None:  # noqa: B008 (frozen)
        node = place or "streammatte"
        if _NAME.fullmatch(node) is None:
            raise ConfigError("--to", f"{node!r} cannot be a camera's name; use letters, digits, blanks, '.', '-', '_'")
        super().__init__(f"pipewire:{node}", "i420")
        _check_programs()
        _check_daemon()
        self._packer = I420Packer(self.name, info, _WIDTH_STEP_PX)
        try:
            self._feed = FrameFeed(_command(node, self._packer, info.rate or _USUAL_RATE), self._packer.size)
        except OSError as error:
            raise SinkError(f"{self.name}: {_LAUNCH} cannot be started: {error.strerror}") from error
        self._links = LinkWatch(self._feed.pid)
        self._check_child(_STUMBLES_S)

    def watched(self) -> bool:
        """Whether a consumer is linked to the node, as of two seconds ago at most; True before the first frame."""
        return self._links.linked()

    @property
    def child_pid(self) -> int:
        """The process number of the gst-launch-1.0 that publishes."""
        return self._feed.pid

    def _check_child(self, wait_s: float = 0.0) -> None:
        said = self._feed.wait_ended(wait_s) if wait_s else self._feed.ended()
        if said is not None:
            raise SinkError(f"{self.name}: {_LAUNCH} has ended: {said}; start again")

    def _show(self, frame: Frame) -> None:
        self._check_child()
        self._feed.put(self._packer.pack(frame))

    def _close(self) -> None:
        self._feed.close()

    def _notes(self) -> tuple[str, ...]:
        dropped = self._feed.dropped
        late = (f"{dropped} frames dropped whole: the reader was slower than the camera",) if dropped else ()
        unguarded = () if self._feed.guarded else (_UNGUARDED,)
        return (*self._packer.notes, *late, *unguarded)


def _command(node: str, packer: I420Packer, rate: Fraction) -> list[str]:
    """The pipeline. Without `identity drop-allocation=true` readers hang on converted frames (PipeWire 0.3.65)."""
    properties = ["p", "media.class=Video/Source", "media.role=Camera"]
    properties += [f'node.name="{node}"', f'node.description="{node}"']
    return [
        *(_LAUNCH, "-q", "fdsrc", "fd=0", "do-timestamp=true", f"blocksize={packer.size}", "!"),
        *("rawvideoparse", "format=i420", f"width={packer.width}", f"height={packer.height}"),
        *("colorimetry=bt601", f"framerate={rate.numerator}/{rate.denominator}", "!"),
        *("identity", "drop-allocation=true", "!"),
        # Frames come when they are due: to wait for the clock once more would only make them late.
        *("pipewiresink", "sync=false", "mode=provide", f"stream-properties={','.join(properties)}"),
    ]


def _check_programs() -> None:
    for program in (_LAUNCH, "gst-inspect-1.0"):
        if shutil.which(program) is None:
            raise SinkError(f"pipewire: {program} is not installed; sudo apt install gstreamer1.0-tools")
    for element, package in _ELEMENTS.items():
        # Not `--exists`: it wants the plugin's version to be GStreamer's, and PipeWire counts its own.
        asked = subprocess.run(["gst-inspect-1.0", element], capture_output=True, check=False)
        if asked.returncode != 0:
            raise SinkError(f"pipewire: GStreamer has no {element}; sudo apt install {package}")


def _check_daemon() -> None:
    """Raises SinkError where no PipeWire daemon answers."""
    place = _daemon_socket()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.connect(str(place))
    except OSError as error:
        remedy = "systemctl --user start pipewire wireplumber"
        raise SinkError(f"pipewire: no PipeWire daemon at {place} ({error.strerror}); start it: {remedy}") from error


def _daemon_socket() -> Path:
    """Where PipeWire's clients look for it (pipewire(1), ENVIRONMENT)."""
    folder = os.environ.get("PIPEWIRE_RUNTIME_DIR") or os.environ.get("XDG_RUNTIME_DIR")
    return Path(folder or f"/run/user/{os.getuid()}") / (os.environ.get("PIPEWIRE_REMOTE") or "pipewire-0")
