"""The cameras and virtual cameras of this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

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

    found: Iterable[Any] = av.enumerate_input_devices(system)
    named = [(entry.description, entry.name) for entry in found if _is_camera(entry)]
    place = "video={}" if system == "dshow" else "{}"
    return tuple(Camera(words or name, place.format(name)) for words, name in named)


def _is_camera(entry: Any) -> bool:
    """Microphones are listed too, and on macOS screens, which `screen` is for."""
    seen = "video" in entry.media_types or not entry.media_types
    return seen and not entry.description.startswith("Capture screen")
