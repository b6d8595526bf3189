"""What is known of one frame, and of the figures in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from streammatte.kernels.figures import COLORS
from streammatte.subjects.dividing import Parts

__all__ = ["ALIKE", "KNOWN", "MOST", "Figure", "Scene", "There", "hidden_by"]

_Map: TypeAlias = npt.NDArray[np.float32]
There: TypeAlias = npt.NDArray[np.bool_]
"""(parts, MOST): which figures are in which part."""

MOST = 4
"""Figures that are followed: as many as OpenCV moves at once. Others are nobody."""
KNOWN = 0.1
"""How much of a part must have been held before, or it is new."""
ALIKE = 0.5
"""The likeness (Bhattacharyya coefficient) of the colours of what may be one and the same."""
_LEAST = 0.002
"""Of the picture's area: the alpha of the least figure."""
_HIDDEN_S = 5.0
"""How long one who vanished behind another is looked for in what that one uncovers."""
_RENEWAL = 0.2
"""How much of a figure's colours a frame renews."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One frame. Figures are followed at the size of its `pha`; `src` and `trust` may be larger."""

    pha: _Map
    src: _Map
    """RGB in [0, 1]."""
    trust: _Map
    """Of the motion from the frame before."""
    time_s: float
    parts: Parts

    @property
    def least(self) -> float:
        """The sum of the least figure's alpha."""
        return _LEAST * float(self.pha.size)

    @property
    def longer_px(self) -> int:
        """The longer side."""
        height, width = self.pha.shape
        return int(max(height, width))


class Figure:
    """What is remembered of one figure."""

    def __init__(self, born_s: float) -> None:
        self.born_s = self.seen_s = born_s
        self.place = 0.0, 0.0
        """The middle of its alpha: x, y in pixels."""
        self.mass = 0.0
        """The sum of its alpha when it was last alone."""
        self.palette = np.zeros(COLORS, np.float32)
        """Its colours when it was last alone: a histogram whose sum is 1."""
        self.present = True
        self.beside: int | None = None
        """Who is in the same part."""
        self.behind: int | None = None
        """Whom it vanished behind."""

    def likeness(self, colors: _Map) -> float:
        """How far its colours are like this histogram's: 0 not at all, 1 the same."""
        return float(np.sqrt(self.palette * _normalised(colors)).sum())

    def renew(self, mass: float, colors: _Map) -> None:
        """It is alone, and this is what it looks like."""
        self.mass = mass
        share = np.float32(_RENEWAL if self.palette.any() else 1)
        self.palette = np.asarray(self.palette + share * (_normalised(colors) - self.palette), np.float32)


def hidden_by(figures: dict[int, Figure], number: int, now_s: float) -> list[int]:
    """Who may come out from behind this one."""
    return [
        other
        for other, figure in figures.items()
        if not figure.present and figure.behind == number and now_s - figure.seen_s < _HIDDEN_S
    ]


def _normalised(colors: _Map) -> _Map:
    return np.asarray(colors / np.float32(max(float(colors.sum()), 1e-6)), np.float32)
