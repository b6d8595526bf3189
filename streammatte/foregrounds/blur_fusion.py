"""Foreground colour by blur fusion, on planes, at an eighth of the size.

M. Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021: with F^ and B^ the means of the picture around
a pixel weighted by alpha and by 1 - alpha,

    F = F^ + alpha * (I - alpha * F^ - (1 - alpha) * B^)

run twice, with a wide and then a narrow window for F^. Two things are done otherwise. In the wide means, pixels that
are nearly pure count for far more than others, and near ones more than far ones: a tenth less error on photographs,
a half less in a wide soft edge. And since means are smooth, they are computed on a small picture (128 to 255 lines,
half of that for the wide ones) around the subject only; the equation's last use, which brings the detail in, is done
at full size, on soft pixels alone. All of it is linear, so it is done on the stream's own planes.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.foregrounds.means import LocalMean, Map, box_mean, reduced, small_size, surely
from streammatte.frame import Frame, Matte, PixelFormat, Plane
from streammatte.kernels.boxes import subject_box
from streammatte.kernels.restoring import restore

__all__ = ["EPSILON", "FAINT", "NARROW", "BlurFusionForeground"]

NARROW = 6 / 1000  # radius over the picture's height, as in the paper
EPSILON = 1e-3
FAINT = 1 / 32
"""Below this alpha F is F^: the equation would add at most alpha, and the composite shows alpha of that: 0.1 %."""
_MARGIN_PX = 16
"""How far F goes beyond the subject at least: a codec's block, so that none mixes it with what is not the subject."""


class BlurFusionForeground:
    """Takes the old background's colour out of soft edges; opaque pixels keep the source's bits."""

    def estimate(self, frame: Frame, alphas: tuple[Plane, ...], matte: Matte | None = None) -> tuple[Plane, ...]:
        """Planes of F. Where alpha is 0, F is the subject's colour carried outwards, never the old background's."""
        target = frame.format
        box = subject_box(alphas[0], _MARGIN_PX)
        if box is None:
            return tuple(np.full_like(plane, 1 << target.bits - 1) for plane in frame.planes)
        places = [box.of(i, target) for i in range(target.plane_count)]
        size, lines = small_size(box, frame.height)
        fusion = _Fusion(reduced(alphas[0][places[0]], size) * np.float32(1 / target.peak), lines)
        parts = zip(frame.planes, alphas, places, strict=True)
        return tuple(_estimated(plane, alpha, place, fusion, target) for plane, alpha, place in parts)


def _estimated(plane: Plane, alpha: Plane, place: tuple[slice, slice], fusion: _Fusion, target: PixelFormat) -> Plane:
    """F of one component: the subject's mean colour outside the box."""
    inside = plane[place]
    front, back, far = fusion.means(reduced(inside, fusion.size))
    restored = np.empty_like(plane)
    if inside.shape != plane.shape:
        restored.fill(min(max(round(far), 0), target.peak))
    height, width = inside.shape
    cv2.resize(_samples(front, target), (width, height), dst=restored[place], interpolation=cv2.INTER_LINEAR)
    restore(inside, alpha[place], back, target.peak * FAINT, target.peak, restored[place])
    return restored


class _Fusion:
    """What all components share, made of alpha alone, and the means of one component after the other."""

    def __init__(self, share: Map, lines: float) -> None:
        self.size: tuple[int, int] = (share.shape[1], share.shape[0])
        """(width, height) of the reduced picture."""
        self._half = (-(-share.shape[1] // 2), -(-share.shape[0] // 2))
        half = self._halved(share)
        self._front, self._back = LocalMean(surely(half), lines / 2), LocalMean(surely(1 - half), lines / 2)
        self._square = share * share
        self._before, self._behind = share - self._square * share, self._square - self._square * share
        self._radius = lines * NARROW
        self._near = box_mean(share, self._radius) + np.float32(EPSILON)

    def means(self, picture: Map) -> tuple[Map, Map, float]:
        """F^ and B^ of one component after both rounds, and the subject's mean; F^ goes over into that far out."""
        half = self._halved(picture)
        (front, far), (back, _) = self._front.of(half), self._back.of(half)
        front, back = self._grown(front), self._grown(back)
        # alpha * F of the first round: alpha * (F^ + alpha * (I - alpha * F^ - (1 - alpha) * B^))
        product = picture * self._square
        product += front * self._before
        product -= back * self._behind
        near = box_mean(product, self._radius)
        near += np.float32(EPSILON) * front  # what counts where no subject is near
        near /= self._near
        return near, back, far

    def _halved(self, value: Map) -> Map:
        return np.asarray(cv2.resize(value, self._half, interpolation=cv2.INTER_AREA), np.float32)

    def _grown(self, value: Map) -> Map:
        return np.asarray(cv2.resize(value, self.size, interpolation=cv2.INTER_LINEAR), np.float32)


def _samples(values: npt.NDArray[np.float32], target: PixelFormat) -> Plane:
    """`values`, which are written over, as samples."""
    np.clip(np.rint(values, out=values), 0, target.peak, out=values)
    samples: Plane = np.asarray(values, np.uint8) if target.bits == 8 else np.asarray(values, np.uint16)
    return samples
