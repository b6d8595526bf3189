"""How the picture moved from one frame to the next, and where that can be believed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.frame import Matte
from streammatte.kernels.temporal import agreement
from streammatte.kernels.warping import warp

__all__ = ["CHANGE", "MotionEstimator", "reduced_size"]

_SIDE_PX = 160
"""The flow's size, at most: finer flow takes longer and steadies a matte no better (measured at 320)."""
CHANGE = 0.08
"""Of the picture's range: what a pixel may change by on its way."""

_Map: TypeAlias = npt.NDArray[np.float32]


class MotionEstimator:
    """Dense inverse search (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016), both ways.

    Motion is trusted where the two ways agree (Sundaram, Brox and Keutzer, "Dense Point Trajectories by
    GPU-accelerated Large Displacement Optical Flow", ECCV 2010) and the picture is the same at both ends.
    """

    def __init__(self, *, onward: bool = False) -> None:
        self._onward = onward
        self._search: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._last: tuple[_Map, npt.NDArray[Any]] | None = None

    def step(self, matte: Matte) -> Matte:
        """`matte` with `flow` and `trust` from the frame before; without, at a discontinuity or another size.

        Its `onward` is set too, where this estimator was asked for it.
        """
        picture = _reduced(matte.src)
        gray = cv2.cvtColor(cv2.convertScaleAbs(picture, alpha=255.0), cv2.COLOR_RGB2GRAY)
        last, self._last = self._last, (picture, gray)
        if last is None or matte.discontinuity or last[0].shape != picture.shape:
            return replace(matte, flow=None, trust=None, onward=None)
        before, gray_before = last
        flow = np.asarray(self._search.calc(gray, gray_before, None), np.float32)
        forth = np.asarray(self._search.calc(gray_before, gray, None), np.float32)
        trust = _trust(flow, forth, before, picture)
        matte = replace(matte, flow=_grown(flow, matte), trust=_sized(trust, matte))
        if not self._onward:
            return matte
        return replace(matte, onward=(_grown(forth, matte), _sized(_trust(forth, flow, picture, before), matte)))


def _reduced(src: _Map) -> _Map:
    height, width = src.shape[:2]
    return np.asarray(cv2.resize(src, reduced_size(width, height), interpolation=cv2.INTER_AREA), np.float32)


def reduced_size(width: int, height: int) -> tuple[int, int]:
    """(width, height) of what motion is looked for in, where the network's picture has this size."""
    scale = min(1.0, _SIDE_PX / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _trust(flow: _Map, other_way: _Map, there: _Map, here: _Map) -> _Map:
    change = cv2.blur(_difference(warp(there, flow), here), (3, 3))
    return agreement(flow, warp(other_way, flow), np.asarray(change * np.float32(1 / CHANGE), np.float32))


def _difference(one: _Map, other: _Map) -> _Map:
    red, green, blue = cv2.split(cv2.absdiff(one, other))
    return np.asarray(cv2.max(cv2.max(red, green), blue), np.float32)


def _sized(values: _Map, matte: Matte) -> _Map:
    size = matte.src.shape[1::-1]
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_LINEAR), np.float32)


def _grown(flow: _Map, matte: Matte) -> _Map:
    (height, width), (high, wide) = matte.src.shape[:2], flow.shape[:2]
    return _sized(np.asarray(flow * np.array([width / wide, height / high], np.float32), np.float32), matte)
