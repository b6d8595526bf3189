"""`--despill`: light of the old background on the subject, and what is left of its colour in soft edges.

Keyers limit the key's colour by the subject's others: G <= (R + B) / 2 before a green screen (S. Wright, "Digital
Compositing for Film and Video", on despill operations). Here the key is whatever colour the background has near a
pixel, and the limit is how far the subject's own colour near by, away from the edge, goes the same way: its mean and
one standard deviation. What is beyond is taken off along the key's direction of colour, so that luma stays what it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.foregrounds.means import LocalMean, Map, box_mean, reduced, small_size, surely
from streammatte.frame import Frame, Matte, PixelFormat, Plane
from streammatte.kernels.blocks import Blocks
from streammatte.kernels.boxes import Box, subject_box
from streammatte.ports import Foreground

__all__ = ["GRAY", "LUMA", "RIM", "DespillForeground"]

RIM = 3 / 100  # of the height: how far into the subject spill is looked for
_AROUND = 9 / 100  # of the height: where the background's colour is looked for
GRAY = 6 / 255  # of peak: a background less colourful than this spills next to nothing
LUMA = np.array([0.7152, 0.0722, 0.2126], np.float32)  # of G, B and R (BT.709): what must stay


class DespillForeground:
    """Another foreground's F with `strength` (0 to 1) of the old background's colour taken off its rim.

    Luma planes are not touched, nor is gray video, nor what is farther from the edge than 3 % of the height. Opaque
    pixels of the rim change too: spill is light on the subject.
    """

    def __init__(self, foreground: Foreground, strength: float) -> None:
        self._foreground, self._strength = foreground, strength

    def estimate(self, frame: Frame, alphas: tuple[Plane, ...], matte: Matte | None = None) -> tuple[Plane, ...]:
        """Planes of F."""
        fgr = self._foreground.estimate(frame, alphas, matte)
        box = subject_box(alphas[0], round(frame.height * _AROUND))
        if box is None or frame.format.model == "gray":
            return fgr
        colors = range(1, 3) if frame.format.model == "yuv" else range(3)
        spill = _Spill.of(frame, alphas[0], box, colors, self._strength)
        cleaned = list(fgr)
        for index, plane in zip(colors, spill.removed(fgr, alphas, box, colors, frame.format), strict=True):
            cleaned[index] = plane
        return tuple(cleaned)


@dataclass(frozen=True, slots=True)
class _Spill:
    """Small maps of what spills where; `n` are the components that carry colour."""

    key: list[Map]
    """The direction of the background's colour, one map a component, of length 1 together."""
    limit: Map
    """How far F may go that way, in units of a sample."""
    most: Map
    """How much more than that can be spill: as much colour as the background has."""
    share: Map
    """How much of it is taken off: strength, less with distance from the edge and before a gray background."""

    @staticmethod
    def of(frame: Frame, pha: Plane, box: Box, colors: range, strength: float) -> _Spill:
        target = frame.format
        size, lines = small_size(box, frame.height)
        share = reduced(pha[box.of(0, target)], size) * np.float32(1 / target.peak)
        picture = [reduced(frame.planes[i][box.of(i, target)], size) for i in colors]
        behind = LocalMean(surely(1 - share), lines)
        toward = _centred([behind.of(each)[0] for each in picture], target)
        amount = np.sqrt(sum(each * each for each in toward)) + np.float32(1e-6)
        key = [np.asarray(each / amount, np.float32) for each in toward]
        rim = np.minimum(1, 2 * box_mean(1 - share, lines * RIM))
        limit = _limit(_along(key, _centred(picture, target)), surely(share * (1 - rim)), lines, target)
        gray = np.float32((GRAY * target.peak) ** 2)
        return _Spill(key, limit, amount, np.float32(strength) * rim * amount**2 / (amount**2 + gray))

    def removed(
        self, fgr: tuple[Plane, ...], alphas: tuple[Plane, ...], box: Box, colors: range, target: PixelFormat
    ) -> list[Plane]:
        """The planes of F that carry colour, without the spill."""
        place = box.of(colors[0], target)
        alpha = alphas[colors[0]][place]
        near = cv2.resize(cv2.inRange(self.share, 1 / 255, 1), alpha.shape[::-1], interpolation=cv2.INTER_NEAREST)
        rim = Blocks.of(np.asarray(cv2.copyTo(near, cv2.inRange(alpha, 1, target.peak)), np.uint8))
        taken = [rim.take(fgr[i][place]).astype(np.float32) for i in colors]
        key = [_at(each, rim, alpha.shape) for each in self.key]
        limit, most, share = (_at(each, rim, alpha.shape) for each in (self.limit, self.most, self.share))
        beyond = np.clip(_along(key, _centred(taken, target)) - limit, 0, most) * share
        cleaned = [fgr[i].copy() for i in colors]
        for plane, values, direction in zip(cleaned, taken, key, strict=True):
            values -= beyond * direction
            rim.put(plane[place], np.clip(np.rint(values), 0, target.peak).astype(target.dtype))
        return cleaned


def _centred(values: list[Map], target: PixelFormat) -> list[Map]:
    """Components as differences from gray of the same luma."""
    if target.model == "yuv":
        return [each - np.float32(1 << target.bits - 1) for each in values]
    luma = sum(weight * each for weight, each in zip(LUMA, values, strict=True))
    return [np.asarray(each - luma, np.float32) for each in values]


def _along(key: list[Map], colors: list[Map]) -> Map:
    return np.asarray(sum(one * other for one, other in zip(key, colors, strict=True)), np.float32)


def _limit(along: Map, weights: Map, lines: float, target: PixelFormat) -> Map:
    """Mean and one standard deviation of the inner subject's colour along the key, neutral at least."""
    inner, shift = LocalMean(weights, lines), np.float32(target.peak)  # means are of what is not negative
    mean = inner.of(along + shift)[0] - shift
    square = inner.of(along * along)[0]
    return np.asarray(mean + np.sqrt(np.maximum(0, square - mean * mean)), np.float32)


def _at(small: Map, where: Blocks, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """A small map for every run of pixels of a plane (h, w): it is too smooth to differ within one."""
    runs = cv2.resize(small, (shape[1] // where.run_px, shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(runs, np.float32)[where.rows, where.columns][:, None]
