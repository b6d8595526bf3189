"""Foreground colour by blur fusion, on planes, at a quarter of the size.

M. Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021: with F^ and B^ the means of the picture around
a pixel weighted by alpha and by 1 - alpha,

    F = F^ + alpha * (I - alpha * F^ - (1 - alpha) * B^)

run twice, with a wide and then a narrow window. F^ and B^ are smooth, so they are computed on the picture reduced
four times; the equation's last use, which brings the detail in, is done at full size, on soft pixels alone. All of
it is linear, so it is done on the stream's own planes.
"""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.frame import Frame, Plane
from streammatte.kernels import host

__all__ = ["BlurFusionForeground"]

_REDUCTION = 4
_WIDE = 90 / 1000  # window over picture height; the paper's radii 90 and 6 at about a thousand lines
_NARROW = 6 / 1000
_EPSILON = 1e-3

_Map: TypeAlias = npt.NDArray[np.float32]
"""One component (h, w) float32, in the plane's own units, or a weight in [0, 1], at the reduced size."""


class BlurFusionForeground:
    """Takes the old background's colour out of soft edges; opaque pixels keep the source's bits."""

    def estimate(self, frame: Frame, alphas: tuple[Plane, ...]) -> tuple[Plane, ...]:
        """Planes of F. Where alpha is 0, F is the subject's colour carried outwards, never the old background's."""
        width, height = max(1, frame.width // _REDUCTION), max(1, frame.height // _REDUCTION)
        share = _small(alphas[0], width, height) / np.float32(frame.format.peak)
        fusion = _Fusion(np.asarray(share, np.float32), frame.height)
        soft = [host.soft_indices(alpha, frame.format.peak) for alpha in alphas[:2]]  # both chroma planes share one
        planes = []
        for i, (plane, alpha) in enumerate(zip(frame.planes, alphas, strict=True)):
            front, back = fusion.means(_small(plane, width, height))
            planes.append(_restore(plane, alpha, soft[min(i, 1)], front, back, frame.format.peak))
        return tuple(planes)


def _small(plane: Plane, width: int, height: int) -> _Map:
    return host.resize(plane, width, height).astype(np.float32)


def _window(height: int, part: float) -> int:
    return max(1, round(height * part / _REDUCTION)) * 2 + 1


class _Weight:
    """Alpha, or 1 - alpha, with its own local means, which all components share."""

    def __init__(self, values: _Map, windows: tuple[int, ...]) -> None:
        self.values = values
        self._near = {window: _blur(values, window) + np.float32(_EPSILON) for window in windows}
        self._total = float(cv2.mean(values)[0]) + _EPSILON

    def far(self, picture: _Map) -> float:
        """The whole picture's mean by this weight: what counts where there is no weight near."""
        return float(cv2.mean(cv2.multiply(picture, self.values))[0]) / self._total

    def mean(self, value: _Map, far: float, window: int) -> _Map:
        """The local mean of `value`; `far` where there is no weight near."""
        summed = np.asarray(cv2.multiply(value, self.values), np.float32)
        near = _blur(summed, window) + np.float32(_EPSILON * far)
        return np.asarray(cv2.divide(near, self._near[window]), np.float32)


class _Fusion:
    """The two weights and windows, ready for one component after the other."""

    def __init__(self, share: _Map, frame_height: int) -> None:
        self._wide, self._narrow = _window(frame_height, _WIDE), _window(frame_height, _NARROW)
        windows = (self._wide, self._narrow)
        self._front, self._back = _Weight(share, windows), _Weight(np.asarray(1 - share, np.float32), windows)

    def means(self, picture: _Map) -> tuple[_Map, _Map]:
        """F^ and B^ of one component, after both rounds."""
        share, rest = self._front.values, self._back.values
        far_front, far_back = self._front.far(picture), self._back.far(picture)
        front = self._front.mean(picture, far_front, self._wide)
        back = self._back.mean(picture, far_back, self._wide)
        left = picture - share * front - rest * back
        fused = np.asarray(front + share * left, np.float32)
        return self._front.mean(fused, far_front, self._narrow), self._back.mean(back, far_back, self._narrow)


def _blur(value: _Map, window: int) -> _Map:
    """A running sum may end a hair below 0 where all samples are 0; that must not change a sign."""
    mean = cv2.blur(value, (window, window), borderType=cv2.BORDER_REPLICATE)
    return np.maximum(mean, np.float32(0), out=np.asarray(mean, np.float32))


def _restore(plane: Plane, alpha: Plane, soft: npt.NDArray[np.intp], front: _Map, back: _Map, peak: int) -> Plane:
    """F at full size: the source where alpha is peak, the equation on soft pixels, F^ where alpha is 0."""
    size = (plane.shape[1], plane.shape[0])
    near = np.asarray(cv2.resize(front, size, interpolation=cv2.INTER_LINEAR), np.float32)
    restored = _rounded(near, peak)
    cv2.copyTo(plane, cv2.inRange(alpha, peak, peak), restored)
    if soft.size:
        behind = np.asarray(cv2.resize(back, size, interpolation=cv2.INTER_LINEAR), np.float32).ravel().take(soft)
        share = alpha.ravel().take(soft).astype(np.float32) / np.float32(peak)
        fused = near.ravel().take(soft)
        behind += share * (fused - behind)  # what the two means make of this pixel
        fused += share * (plane.reshape(-1).take(soft).astype(np.float32) - behind)
        restored.ravel()[soft] = _rounded(np.maximum(fused, 0, out=fused), peak).ravel()
    return restored


def _rounded(values: npt.NDArray[np.float32], peak: int) -> Plane:
    """`values`, which must not be negative, as samples."""
    if peak == 255:
        return np.asarray(cv2.convertScaleAbs(values), np.uint8)
    rounded = np.minimum(np.rint(values), peak)
    return rounded.astype(np.uint8) if peak <= 255 else rounded.astype(np.uint16)
