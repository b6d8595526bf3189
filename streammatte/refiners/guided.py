"""`--refine guided`: edges from the picture itself, where the network left alpha soft.

The colour guided filter (He, Sun and Tang, "Guided Image Filtering", TPAMI 2013) explains the matte around each pixel
as a linear function of the picture's colour; computed on a small picture and applied at full size (He and Sun, "Fast
Guided Filter", 2015). The guide is the stream's own planes, chroma counted twice, so nothing is converted to RGB. It is
used inside the band of soft pixels alone; outside, alpha stays what the network says.
"""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.frame import Frame, Matte, Plane
from streammatte.kernels import host

__all__ = ["GuidedRefiner"]

_SMALL_LINES = 360
_RADIUS = 8  # pixels of the small picture
_EPSILON = 1e-5  # of variance, guide in [0, 1]: below it a window is flat and says nothing
_CHROMA_WEIGHT = 2.0
_SOFT = 0.02
_GROWTH = 1 / 100  # of the height: how far beyond soft pixels the band reaches
_FEATHER = 3 / 1000  # of the height: how gently it ends

_Map: TypeAlias = npt.NDArray[np.float32]


class GuidedRefiner:
    """Alpha that follows the picture's own edges, and hair where colour tells it from what is behind."""

    def refine(self, matte: Matte, frame: Frame) -> Plane:
        """Alpha (H, W) of the frame's depth."""
        plain = host.alpha_plane(matte.pha, frame.width, frame.height, frame.format)
        factor = max(1, round(frame.height / _SMALL_LINES))
        width, height = max(1, frame.width // factor), max(1, frame.height // factor)
        small = np.clip(_sized(matte.pha, width, height, cv2.INTER_CUBIC), 0, 1).astype(np.float32)
        band = _band(small)
        if not band.any():
            return plain
        guide = [_guide(plane, i, frame, width, height) for i, plane in enumerate(frame.planes)]
        return _apply(plain, band, _coefficients(guide, small), frame)


def _sized(image: npt.NDArray[np.float32], width: int, height: int, how: int = cv2.INTER_LINEAR) -> _Map:
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.float32)


def _guide(plane: Plane, index: int, frame: Frame, width: int, height: int) -> _Map:
    return np.asarray(host.resize(plane, width, height) * _weight(index, frame), np.float32)


def _weight(index: int, frame: Frame) -> np.float32:
    """What a sample is multiplied by to be part of the guide."""
    chroma = frame.format.model == "yuv" and index > 0
    return np.float32((_CHROMA_WEIGHT if chroma else 1.0) / frame.format.peak)


def _band(small: _Map) -> _Map:
    """1 where alpha is soft and a little around, 0 elsewhere, with a gentle end; at the small size."""
    height = small.shape[0]
    side = max(1, round(height * _GROWTH)) * 2 + 1
    soft = cv2.inRange(small, _SOFT, 1 - _SOFT)
    grown = cv2.dilate(soft, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    sigma = max(1.0, height * _FEATHER)
    return np.asarray(cv2.GaussianBlur(grown.astype(np.float32) / np.float32(255), (0, 0), sigma), np.float32)


def _mean(image: _Map) -> _Map:
    side = 2 * _RADIUS + 1
    return np.asarray(cv2.blur(image, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)


def _coefficients(guide: list[_Map], alpha: _Map) -> list[_Map]:
    """a_1..a_n and b of alpha = a . I + b in each window, averaged over the windows that hold a pixel (eq. 14, 16)."""
    means, mean = [_mean(plane) for plane in guide], _mean(alpha)
    right = [_mean(plane * alpha) - m * mean for plane, m in zip(guide, means, strict=True)]
    upper: dict[tuple[int, int], _Map] = {}
    for i, one in enumerate(guide):
        for j in range(i, len(guide)):
            upper[i, j] = np.asarray(_mean(one * guide[j]) - means[i] * means[j], np.float32)
        upper[i, i] += np.float32(_EPSILON)
    slopes: list[_Map] = [np.asarray(right[0] / upper[0, 0], np.float32)] if len(guide) == 1 else _solved(upper, right)
    offset = mean - sum(slope * m for slope, m in zip(slopes, means, strict=True))
    return [_mean(np.asarray(each, np.float32)) for each in (*slopes, offset)]


def _solved(upper: dict[tuple[int, int], _Map], right: list[_Map]) -> list[_Map]:
    """x of a symmetric 3 x 3 system at every pixel, by Cramer's rule: whole planes at a time.

    In float64: where two colours are all there is, components go together and products of epsilon decide.
    """
    order = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    a, b, c, e, f, g = (upper[at].astype(np.float64) for at in order)
    p, q, r = e * g - f * f, c * f - b * g, b * f - c * e
    s, t, u = a * g - c * c, b * c - a * f, a * e - b * b
    x, y, z = right
    scale = 1 / (a * p + b * q + c * r)
    found = (p * x + q * y + r * z, q * x + s * y + t * z, r * x + t * y + u * z)
    return [np.asarray(each * scale, np.float32) for each in found]


def _apply(plain: Plane, band: _Map, coefficients: list[_Map], frame: Frame) -> Plane:
    """`plain` with a . I + b in its place where `band` says, mixed by it; only those pixels are touched."""
    width, height = frame.width, frame.height
    mix = _sized(band, width, height).reshape(-1)
    where = np.flatnonzero(mix > np.float32(1 / 255))
    value = _sized(coefficients[-1], width, height).reshape(-1).take(where)
    for index, plane in enumerate(frame.planes):
        full = host.resize(plane, width, height).reshape(-1).take(where)
        value += _sized(coefficients[index], width, height).reshape(-1).take(where) * (full * _weight(index, frame))
    peak = np.float32(frame.format.peak)
    before = plain.reshape(-1).take(where).astype(np.float32)
    np.clip(value, 0, 1, out=value)
    mixed = before + mix.take(where) * (value * peak - before)
    refined = plain.copy()
    refined.reshape(-1)[where] = np.rint(mixed).astype(refined.dtype)
    return refined
