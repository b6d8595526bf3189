"""The card: what live sinks show where the composite must not be seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from streammatte.frame import Frame, Layer
from streammatte.ports import Background, SinkKind

__all__ = ["Card"]


class Card:
    """`background` without a subject; for those who are shown the subject alone, nothing at all.

    It is drawn by the thread that composites; any thread may show `frames`.
    """

    def __init__(self, background: Background) -> None:
        self.background = background
        self.frames: dict[SinkKind, Frame] = {}
        """As last drawn; empty before that."""
        self._drawn: Background | None = None

    def draw(self, like: Frame) -> dict[SinkKind, Frame]:
        """The card in the place of frame `like`, of which nothing but shape, format and time is used."""
        background, nothing = self.background, tuple(np.zeros_like(plane) for plane in like.planes)
        blank = replace(like, planes=nothing, alpha=None)
        self.frames = {
            "com": replace(blank, planes=background.planes(Layer(nothing, nothing, blank))),
            "fgr": replace(blank, alpha=nothing[0]),
        }
        self._drawn = background
        return self.frames

    def keep(self, like: Frame) -> None:
        """Have a card of the present background at hand, whenever it is needed."""
        if self._drawn is not self.background:
            self.draw(like)
