"""A colour or a picture: planes made once for the stream's format, then given again and again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from streammatte.backgrounds.fit import Fit, placement, upright_size
from streammatte.color import FloatImage
from streammatte.errors import ConfigError
from streammatte.frame import Frame, Layer, Plane
from streammatte.kernels import host

__all__ = ["ImageBackground", "SolidBackground", "read_image"]


class _StillBackground:
    """Planes rendered when the first frame, or one of another shape, is seen."""

    shows_room = False

    def __init__(self, render: Callable[[Frame], FloatImage]) -> None:
        self._render = render
        self._planes: tuple[Plane, ...] = ()
        self._key: tuple[object, ...] | None = None

    def planes(self, layer: Layer) -> tuple[Plane, ...]:
        """The same planes for every frame of the same shape, format and colour."""
        frame = layer.frame
        key = (frame.width, frame.height, frame.format, frame.color, frame.rotation, frame.sar)
        if key != self._key:
            stored = host.turn_back(self._render(frame), frame.rotation)
            self._planes = host.planes_from_rgb(stored, frame.format, frame.color)
            self._key = key
        return self._planes

    def close(self) -> None:
        """Nothing is held open."""


class SolidBackground(_StillBackground):
    """One sRGB colour, given as three floats in [0, 1]."""

    def __init__(self, rgb: tuple[float, float, float]) -> None:
        super().__init__(lambda frame: _filled(frame, rgb))


class ImageBackground(_StillBackground):
    """A picture file, fitted to the frame."""

    def __init__(self, path: Path, fit: Fit) -> None:
        picture = read_image(path)
        super().__init__(lambda frame: _fitted(frame, picture, fit))


def _filled(frame: Frame, rgb: tuple[float, float, float]) -> FloatImage:
    width, height, _ = upright_size(frame)
    return np.broadcast_to(np.array(rgb, np.float32), (height, width, 3)).copy()


def _fitted(frame: Frame, picture: FloatImage, fit: Fit) -> FloatImage:
    width, height, sar = upright_size(frame)
    place = placement(fit, picture.shape[1] / picture.shape[0], float(width * sar / height))
    return np.asarray(place.apply(picture, width, height, 0.0), np.float32)


def read_image(path: Path) -> FloatImage:
    """A picture file as sRGB (h, w, 3) float32 in [0, 1], EXIF orientation applied. Raises ConfigError."""
    try:
        coded = np.fromfile(path, np.uint8)
    except OSError as error:
        raise ConfigError("--bg", f"cannot read {path}: {error.strerror or error}; check the path") from error
    bgr = cv2.imdecode(coded, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH) if coded.size else None
    if bgr is None:
        raise ConfigError("--bg", f"{path} is not an image OpenCV can read; give PNG, JPEG, WebP, TIFF or a video")
    peak = {"uint8": 255, "uint16": 65535}.get(bgr.dtype.name, 1)
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.float32) / np.float32(peak)
