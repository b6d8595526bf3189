"""What the refiners share that find alpha where a trimap is unknown: `--refine pymatting` and `vitmatte`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np

from streammatte.color import FloatImage
from streammatte.frame import Frame, Matte, Plane
from streammatte.kernels import host
from streammatte.kernels.trimaps import UNKNOWN, Trimap, coarse_trimap, says_both, settled

__all__ = ["TrimapRefiner", "Trimaps", "box_of_unknown", "coarse"]

Trimaps: TypeAlias = Callable[[Matte, Frame], Trimap]
"""Gives each frame's trimap (H, W), stored orientation; called for every frame in order."""


def coarse(matte: Matte, frame: Frame) -> Trimap:
    """The trimap that the matte itself makes."""
    return coarse_trimap(matte.pha, frame.width, frame.height)


class TrimapRefiner(ABC):
    """Base. Where the trimap is certain alpha is exactly 0 or peak, whatever the matte says.

    Where it names no subject or no background nothing can be found: what is unknown stays as the matte has it.
    """

    def __init__(self, trimaps: Trimaps = coarse) -> None:
        self._trimaps = trimaps

    def refine(self, matte: Matte, frame: Frame) -> Plane:
        """Alpha (H, W) of the frame's depth; called for every frame in order."""
        trimap = self._trimaps(matte, frame)
        found = self._found(frame, trimap) if says_both(trimap) and (trimap == UNKNOWN).any() else None
        pha = matte.pha if found is None else found
        return settled(trimap, host.alpha_plane(pha, frame.width, frame.height, frame.format), frame.format)

    @abstractmethod
    def _found(self, frame: Frame, trimap: Trimap) -> FloatImage | None:
        """Alpha (H, W) float32 in [0, 1], right where the trimap is unknown; None where the matte is to stay."""


def box_of_unknown(trimap: Trimap, margin_px: int) -> tuple[slice, slice]:
    """Rows and columns of the smallest box around all that is unknown, and so much more, as far as the picture goes."""
    left, top, width, height = cv2.boundingRect(np.asarray(trimap == UNKNOWN, np.uint8))
    rows = slice(max(0, top - margin_px), min(trimap.shape[0], top + height + margin_px))
    return rows, slice(max(0, left - margin_px), min(trimap.shape[1], left + width + margin_px))
