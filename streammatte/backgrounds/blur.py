"""`--bg blur[:strength]`: the room out of focus, without a halo of the subject."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.errors import ConfigError
from streammatte.frame import Layer, Plane
from streammatte.kernels import host

__all__ = ["BlurBackground"]

_EPSILON = 1e-3
_FINEST_SIGMA_PX = 2.45  # what three boxes of side 5 have: sqrt(3 * (5**2 - 1) / 12)


class BlurBackground:
    """What is left of the source once the subject, alpha * F, is taken out, blurred with weights 1 - alpha.

    So the subject's colour never bleeds into the room, as far as the foreground's F is right. `strength` is the
    Gaussian's sigma in percent of the picture's height. The blur is computed on the picture reduced until sigma is
    two or three pixels, as three box filters; what lies behind the subject is filled from around it.
    """

    def __init__(self, strength: float) -> None:
        if not 0 < strength <= 20:
            raise ConfigError("--bg blur", f"strength must be more than 0 and at most 20 percent, got {strength:g}")
        self._strength = strength

    def planes(self, layer: Layer) -> tuple[Plane, ...]:
        """Blurred planes of this very frame."""
        frame = layer.frame
        sigma_px = frame.height * self._strength / 100
        factor = max(1.0, sigma_px / _FINEST_SIGMA_PX)
        width, height = max(1, round(frame.width / factor)), max(1, round(frame.height / factor))
        blurred = []
        for plane, fgr, alpha in zip(frame.planes, layer.fgr, layer.alphas, strict=True):
            room, weight = _room(plane, fgr, alpha, frame.format.peak, width, height)
            soft = _weighted_blur(room, weight, sigma_px * height / frame.height)
            blurred.append(_grown(soft, plane, frame.format.peak))
        return tuple(blurred)

    def close(self) -> None:
        """Nothing is held open."""


def _room(
    plane: Plane, fgr: Plane, alpha: Plane, peak: int, width: int, height: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """I - alpha * F, which is (1 - alpha) * B, and 1 - alpha, both reduced to (height, width).

    Taken out at full size: once reduced, the pixels at the edge hold both colours and cannot be told apart.
    """
    room = cv2.subtract(plane, cv2.multiply(fgr, alpha, scale=1 / peak))
    share = host.resize(alpha, width, height).astype(np.float32) / np.float32(peak)
    return host.resize(room, width, height).astype(np.float32), np.asarray(1 - share, np.float32)


def _weighted_blur(
    room: npt.NDArray[np.float32], weight: npt.NDArray[np.float32], sigma: float
) -> npt.NDArray[np.float32]:
    far = room.sum() / (float(weight.sum()) + _EPSILON)
    fine = np.maximum(_gaussian(np.dstack([room, weight]), sigma), 0)
    wide = np.maximum(_gaussian(fine, sigma * 6), 0)
    # Deep inside the subject no room is near: fill from further away, and in the end from the whole room.
    backup = (wide[..., 0] + _EPSILON * far) / (wide[..., 1] + _EPSILON)
    return np.asarray((fine[..., 0] + 0.02 * backup) / (fine[..., 1] + 0.02), np.float32)


def _gaussian(image: npt.NDArray[np.float32], sigma: float) -> npt.NDArray[np.float32]:
    # Three boxes of this side have the Gaussian's variance (central limit; W3C Filter Effects, feGaussianBlur).
    side = max(1, round(sigma * 1.88)) | 1
    for _ in range(3):
        image = np.asarray(cv2.blur(image, (side, side), borderType=cv2.BORDER_REPLICATE), np.float32)
    return image


def _grown(small: npt.NDArray[np.float32], like: Plane, peak: int) -> Plane:
    height, width = like.shape
    grown = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    rounded = np.clip(np.rint(grown), 0, peak)
    return rounded.astype(np.uint8) if like.dtype == np.uint8 else rounded.astype(np.uint16)
