"""`--to vcam`: a virtual camera that calls can pick, through pyvirtualcam (v4l2loopback, OBS, Unity Capture)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from streammatte.errors import ConfigError, SinkError, first_line
from streammatte.frame import Frame, StreamInfo
from streammatte.holders import holders
from streammatte.sinks.i420 import I420Packer
from streammatte.sinks.loopback import find_device, refusal
from streammatte.sinks.options import SinkOptions
from streammatte.sinks.showing import ShowsFrames

__all__ = ["VirtualCameraSink"]

_USUAL_RATE = 30.0
_LINUX = sys.platform == "linux"


class VirtualCameraSink(ShowsFrames):
    """Shows frames as I420, limited-range BT.601, on a virtual camera.

    8-bit 4:2:0 planes that are limited-range BT.601 are passed on as they are; every other format, range and matrix
    goes through swscale once (the notes say which). Odd sides get one more row or column. `place` is a device's
    path, number or label on Linux, its name elsewhere; "" takes the first that is free. Raises ConfigError where
    pyvirtualcam is not installed, SinkError where there is no device, or it is busy, or not ours to write to.
    """

    def __init__(self, place: str, info: StreamInfo, options: SinkOptions = SinkOptions()) -> None:  # noqa: B008 (frozen)
        library = _library()
        device = find_device(place) if _LINUX else place
        self._packer = I420Packer("vcam", info)
        self._camera = _opened(library, device, self._packer, float(info.rate or _USUAL_RATE))
        self.device: str = self._camera.device
        super().__init__(f"vcam:{self.device}", "i420")

    def watched(self) -> bool:
        """Linux: whether another process, of those this user may look into, has the device open. Elsewhere True."""
        return not _LINUX or bool(holders(self.device))

    def _show(self, frame: Frame) -> None:
        packed = self._packer.pack(frame)
        # v4l2loopback takes the write of a device that was removed without a word.
        if _LINUX and not Path(self.device).exists():
            raise SinkError(f"{self.name}: the device is gone; load v4l2loopback again and start again")
        try:
            self._camera.send(packed.reshape(self._packer.height * 3 // 2, self._packer.width))
        except (RuntimeError, OSError) as error:
            raise SinkError(f"{self.name}: does not take frames any more: {first_line(error)}; start again") from error

    def _close(self) -> None:
        self._camera.close()

    def _notes(self) -> tuple[str, ...]:
        return self._packer.notes


def _library() -> Any:
    try:
        import pyvirtualcam
    except ImportError as error:
        remedy = "pip install 'streammatte[vcam]'"
        raise ConfigError("--to", f"vcam needs pyvirtualcam, which is not installed: {remedy}") from error
    return pyvirtualcam


def _opened(library: Any, device: str, packer: I420Packer, rate: float) -> Any:
    try:
        return library.Camera(packer.width, packer.height, rate, fmt=library.PixelFormat.I420, device=device or None)
    except (RuntimeError, OSError, ValueError) as error:
        if _LINUX:
            raise refusal(device, first_line(error)) from error
        said = " ".join(str(error).split())
        raise SinkError(f"vcam: {said}; install OBS Studio and start its virtual camera once") from error
