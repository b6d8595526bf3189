"""From one refiner to another without a jump."""

from __future__ import annotations

from typing import Any, cast

import cv2

from streammatte.frame import Frame, Matte, Plane
from streammatte.ports import Refiner

__all__ = ["FadingRefiner"]

_FRAMES = 10


class FadingRefiner:
    """`current`, mixed with the refiner before it for ten frames after each `turn_to`."""

    def __init__(self, refiner: Refiner) -> None:
        self.current = refiner
        self._before: Refiner | None = None
        self._left = 0

    def turn_to(self, refiner: Refiner) -> None:
        """Fade to `refiner`; from any thread."""
        if refiner is not self.current:
            self._before, self._left = self.current, _FRAMES
            self.current = refiner

    def refine(self, matte: Matte, frame: Frame) -> Plane:
        """Alpha (H, W) of the frame's dtype."""
        pha = self.current.refine(matte, frame)
        before, left = self._before, self._left
        if before is None or left <= 0:
            return pha
        self._left = left - 1
        if self._left == 0:
            self._before = None
        share = left / (_FRAMES + 1)
        mixed: Any = cv2.addWeighted(pha, 1 - share, before.refine(matte, frame), share, 0)
        return cast(Plane, mixed)
