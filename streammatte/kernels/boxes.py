"""The part of a frame that holds the subject, so that stages need not work on the rest of it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2

from streammatte.frame import PixelFormat, Plane

__all__ = ["Box", "subject_box"]

_ALIGNED_PX = 16
"""Sides that planes can be halved along four times: the fast way to reduce them (`host.resize`)."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of luma pixels; its sides lie on multiples of 16, or on the frame's own edge."""

    left: int
    top: int
    right: int
    """The first column that is not part of it."""
    bottom: int

    @property
    def width(self) -> int:
        """Columns of luma."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Rows of luma."""
        return self.bottom - self.top

    def of(self, index: int, target: PixelFormat) -> tuple[slice, slice]:
        """What to index plane `index` of a `target` frame with, chroma rounded up as FFmpeg does."""
        chroma = target.model == "yuv" and index > 0
        log2_w, log2_h = (target.log2_chroma_w, target.log2_chroma_h) if chroma else (0, 0)
        rows = slice(self.top >> log2_h, -(-self.bottom >> log2_h))
        return rows, slice(self.left >> log2_w, -(-self.right >> log2_w))


def subject_box(pha: Plane, margin_px: int) -> Box | None:
    """The smallest aligned box around all of alpha (H, W) above 0, and `margin_px` more; None where there is none."""
    present = pha if pha.dtype == "uint8" else cv2.inRange(pha, 1, 65535)
    left, top, width, height = cv2.boundingRect(present)
    if not width:
        return None
    frame_height, frame_width = pha.shape
    return Box(
        _down(max(0, left - margin_px)),
        _down(max(0, top - margin_px)),
        min(frame_width, _down(left + width + margin_px + _ALIGNED_PX - 1)),
        min(frame_height, _down(top + height + margin_px + _ALIGNED_PX - 1)),
    )


def _down(value: int) -> int:
    return value // _ALIGNED_PX * _ALIGNED_PX
