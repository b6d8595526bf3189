"""The cameras and virtual cameras of this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from streammatte.sources import v4l2
from streammatte.sources.modes import Camera

__all__ = ["cameras", "virtual_cameras"]


def cameras() -> tuple[Camera, ...]:
    """The cameras of this machine, in the order in which `camera:N` counts them."""
    if sys.platform.startswith("linux"):
        return v4l2.capture_devices()
    return _listed_by_ffmpeg("avfoundation" if sys.platform == "darwin" else "dshow")


def virtual_cameras() -> tuple[Camera, ...]:
    """Devices that a picture can be sent to (v4l2loopback); Linux only."""
    if sys.platform.startswith("linux"):
        return v4l2.output_devices()
    return ()


def _listed_by_ffmpeg(system: str) -> tuple[Camera, ...]:
    import av  # not at the top: naming devices must not load FFmpeg where V4L2 tells

    found: Iterable[object] = av.enumerate_input_devices(system)
    named = [(str(getattr(entry, "description", "")), str(getattr(entry, "name", entry))) for entry in found]
    place = "video={}" if system == "dshow" else "{}"
    return tuple(Camera(words or name, place.format(name)) for words, name in named)
