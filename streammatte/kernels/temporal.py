"""What is done to every pixel between two frames, compiled: how far motion is believed, and the average along it."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from streammatte.kernels.compiled import compiled

__all__ = ["agreement", "average"]

_Map: TypeAlias = npt.NDArray[np.float32]

_APART = np.float32(0.5)
_APART_SHARE = np.float32(0.05)
"""Forward and backward flow may miss each other by this, squared pixels, and by this part of their length."""
_HOLD = np.float32(0.9)
"""How much of a certain past outweighs an uncertain present, where the motion is trusted."""
_STEP_S = 0.04


def agreement(flow: _Map, back: _Map, change: _Map) -> _Map:
    """exp(-|flow + back|^2 / (0.5 + 0.05 (|flow|^2 + |back|^2)) - change^2), (h, w) in [0, 1].

    `flow` and `back` are (h, w, 2), in pixels; `back` is the way back from where `flow` leads. `change` is how much the
    picture changed on the way, 1 being much. The flows' test is that of Sundaram, Brox and Keutzer (ECCV 2010), soft.
    """
    out = np.empty(change.shape, np.float32)
    _agreement(flow, back, change, out)
    return out


def average(pha: _Map, carried: _Map, trust: _Map, keep: float, elapsed_s: float) -> _Map:
    """`pha` mixed with the past that was carried to it, (h, w).

    The past has the weight `keep` * trust; less where `pha` is the more certain, more where the past is: certainty is
    |2 alpha - 1|. What certainty gained takes from the past as if it came in steps of 40 ms, so that as much is left
    after a second at any frame rate. A mix of soft alphas is soft.
    """
    out = np.empty_like(pha)
    _average(pha, carried, trust, np.float32(keep), np.float32(elapsed_s / _STEP_S), out)
    return out


@compiled
def _agreement(flow: Any, back: Any, change: Any, out: Any) -> None:
    height, width = change.shape
    for y in range(height):
        for x in range(width):
            u, v, p, q = flow[y, x, 0], flow[y, x, 1], back[y, x, 0], back[y, x, 1]
            apart = (u + p) * (u + p) + (v + q) * (v + q)
            length = u * u + v * v + p * p + q * q
            d = change[y, x]
            out[y, x] = np.exp(-apart / (_APART + _APART_SHARE * length) - d * d)


@compiled
def _average(pha: Any, carried: Any, trust: Any, keep: Any, steps: Any, out: Any) -> None:
    height, width = pha.shape
    one, two = np.float32(1), np.float32(2)
    for y in range(height):
        for x in range(width):
            now, past, believed = pha[y, x], carried[y, x], trust[y, x]
            gain = abs(two * now - one) - abs(two * past - one)
            weight = keep * believed * (one - max(gain, np.float32(0))) ** steps
            weight += (one - weight) * believed * _HOLD * max(-gain, np.float32(0))
            out[y, x] = now + weight * (past - now)
