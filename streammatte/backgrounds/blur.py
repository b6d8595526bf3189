"""`--bg blur[:strength]`: the room out of focus, without a halo of the subject."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.errors import ConfigError
from streammatte.frame import Layer, PixelFormat, Plane
from streammatte.kernels import host

__all__ = ["BACKUP_SHARE", "EPSILON", "FINEST_SIGMA_PX", "MARGIN", "MOST_REDUCED", "BlurBackground"]

EPSILON = 1e-3
FINEST_SIGMA_PX = 2.45  # what three boxes of side 5 have: sqrt(3 * (5**2 - 1) / 12)
MOST_REDUCED = 4
MARGIN = 0.25  # of sigma
BACKUP_SHARE = 0.02

_Map: TypeAlias = npt.NDArray[np.float32]


class BlurBackground:
    """What is left of the source once the subject, alpha * F, is taken out, blurred with weights.

    `strength` is the Gaussian's sigma in percent of the picture's height. Neither alpha nor F is ever quite right, and
    what is wrong in them would come out as a halo; so pixels count the less the more of the subject is within a
    quarter of sigma of them, and what is missing is filled from around it, as it is behind the subject. The weights
    are made on a picture reduced up to four times, the blur on one reduced until sigma is two or three pixels, as box
    filters.
    """

    shows_room = True

    def __init__(self, strength: float) -> None:
        if not 0 < strength <= 20:
            raise ConfigError("--bg blur", f"strength must be more than 0 and at most 20 percent, got {strength:g}")
        self.strength = strength
        """In percent of the height."""

    def planes(self, layer: Layer) -> tuple[Plane, ...]:
        """Blurred planes of this very frame."""
        frame = layer.frame
        room = _Room(layer.pha, frame.height * self.strength / 100, frame.format)
        pairs = zip(frame.planes, layer.fgr, strict=True)
        return tuple(_grown(room.blurred(plane, fgr), plane, frame.format) for plane, fgr in pairs)

    def close(self) -> None:
        """Nothing is held open."""


class _Room:
    """The weights of one frame, which all its planes share: what chroma samples reach over lies within the margin."""

    def __init__(self, pha: Plane, sigma_px: float, target: PixelFormat) -> None:
        height, width = pha.shape
        factor = max(1.0, sigma_px / FINEST_SIGMA_PX)
        reduction = 1 << min(MOST_REDUCED, int(factor)).bit_length() - 1
        self._size = (max(1, width // reduction), max(1, height // reduction))
        self._smallest = (max(1, round(width / factor)), max(1, round(height / factor)))
        self._sigma = sigma_px * self._smallest[1] / height
        self._share = np.asarray(host.resize(pha, *self._size) / np.float32(target.peak), np.float32)
        chroma_px = 1 << max(target.log2_chroma_w, target.log2_chroma_h)
        side = 2 * max(-(-chroma_px // reduction), round(MARGIN * sigma_px / reduction)) + 1
        around = cv2.dilate(self._share, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
        self._trust = np.square(1 - around)
        self._weights = self._blurs((1 - self._share) * self._trust)

    def blurred(self, plane: Plane, fgr: Plane) -> _Map:
        """The blurred room of one component, in its own units, at the reduced size."""
        room = host.resize(plane, *self._size).astype(np.float32)
        room -= self._share * host.resize(fgr, *self._size)
        room *= self._trust
        (fine, wide, far), (near_weight, wide_weight, weight) = self._blurs(room), self._weights
        # Deep inside the subject no room is near: fill from further away, and in the end from the whole room.
        wide += np.float32(EPSILON * far / (weight + EPSILON))
        wide /= wide_weight + np.float32(EPSILON)
        fine += np.float32(BACKUP_SHARE) * wide
        fine /= near_weight + np.float32(BACKUP_SHARE)
        return np.asarray(cv2.resize(fine, self._size, interpolation=cv2.INTER_CUBIC), np.float32)

    def _blurs(self, values: _Map) -> tuple[_Map, _Map, float]:
        """`values` blurred by sigma, by six times as much, and altogether."""
        fine = _gaussian(np.asarray(host.resize(values, *self._smallest), np.float32), self._sigma)
        return fine, _gaussian(fine, self._sigma * 6), float(cv2.mean(fine)[0])


def _gaussian(image: _Map, sigma: float) -> _Map:
    # Three boxes of this side have the Gaussian's variance (central limit; W3C Filter Effects, feGaussianBlur).
    side = max(1, round(sigma * 1.88)) | 1
    for _ in range(3):
        image = np.asarray(cv2.blur(image, (side, side), borderType=cv2.BORDER_REPLICATE), np.float32)
    return np.maximum(image, 0)


def _grown(small: _Map, like: Plane, target: PixelFormat) -> Plane:
    """`small` at the size of `like`, as 16-bit numbers whose top bits are the sample: twice as fast as floats."""
    scaled = np.clip(small, 0, target.peak, out=small)
    scaled *= np.float32(1 << 16 - target.bits)
    size = (like.shape[1], like.shape[0])
    grown = cv2.resize(np.rint(scaled, out=scaled).astype(np.uint16), size, interpolation=cv2.INTER_LINEAR)
    if target.bits == 8:
        return np.asarray(cv2.convertScaleAbs(grown, alpha=1 / 256), np.uint8)
    half = np.uint16((1 << 16 - target.bits) >> 1)
    return np.asarray((np.asarray(grown, np.uint16) + half) >> np.uint16(16 - target.bits), np.uint16)
