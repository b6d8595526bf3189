"""What a moment looks like: small JPEG pictures for the report's page."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.errors import ContractError
from streammatte.frame import Frame, Plane
from streammatte.inspector.flicker import Change
from streammatte.inspector.moments import Pictures
from streammatte.kernels import host

__all__ = ["pictures_of"]

_Float = npt.NDArray[np.float32]

_LONG_SIDE_PX = 480
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 85]
_GREEN = np.array([0.0, 0.69, 0.25], np.float32)
_CAME, _WENT = np.array([1.0, 0.45, 0.0], np.float32), np.array([0.1, 0.45, 1.0], np.float32)
_GAIN = 3.0
"""A third of alpha, changed by itself, is shown in full colour."""


def pictures_of(frame: Frame, pha: Plane, change: Change | None) -> Pictures:
    """JPEG pictures, upright, in square pixels, no side above 480: the frame, its alpha (H, W), both over green, and,
    where known, where alpha came (orange) and went (blue) by itself.
    """
    width, height = _size(frame)
    rgb = host.frame_rgb(frame, width, height)
    alpha = host.resize(pha, width, height).astype(np.float32)[..., None] / np.float32(frame.format.peak)
    shown = {"frame": rgb, "alpha": np.repeat(alpha, 3, axis=2), "over": alpha * rgb + (1 - alpha) * _GREEN}
    if change is not None:
        shown["change"] = _colored(rgb, host.resize(change.where, width, height)[..., None])
    return {name: _jpeg(host.turn(picture, frame.rotation)) for name, picture in shown.items()}


def _size(frame: Frame) -> tuple[int, int]:
    """(width, height) before turning, in square pixels."""
    wide = frame.width * float(frame.sar)
    scale = min(1.0, _LONG_SIDE_PX / max(wide, frame.height))
    return max(1, round(wide * scale)), max(1, round(frame.height * scale))


def _colored(rgb: _Float, where: _Float) -> _Float:
    dim = 0.35 * rgb.mean(axis=2, keepdims=True)
    share = np.clip(_GAIN * np.abs(where), 0, 1)
    return np.asarray((1 - share) * dim + share * np.where(where > 0, _CAME, _WENT), np.float32)


def _jpeg(rgb: npt.NDArray[Any]) -> bytes:
    samples = np.rint(np.clip(rgb[..., ::-1], 0, 1) * 255).astype(np.uint8)
    done, coded = cv2.imencode(".jpg", samples, _QUALITY)
    if not done:
        raise ContractError("a picture that JPEG can hold", str(samples.shape))
    return coded.tobytes()
