"""`--compat rembg`: the matte taken to the frame's size the way rembg does it: 8 bits, Pillow's LANCZOS."""

from __future__ import annotations

import numpy as np
from PIL import Image

from streammatte.frame import Frame, Matte, Plane
from streammatte.kernels import host

__all__ = ["RembgRefiner"]


class RembgRefiner:
    """Truncates to 8 bits before it interpolates, as rembg's `Image.fromarray(pred * 255)` does."""

    def refine(self, matte: Matte, frame: Frame) -> Plane:
        """Alpha (H, W) of the frame's depth; for more than 8 bits, rembg's 8-bit alpha scaled up."""
        upright = host.turn(matte.pha, frame.rotation)
        size = (frame.width, frame.height) if frame.rotation % 180 == 0 else (frame.height, frame.width)
        small = Image.fromarray((upright.clip(0, 1) * 255).astype(np.uint8))
        grown = np.asarray(small.resize(size, Image.Resampling.LANCZOS))
        stored = host.turn_back(grown, frame.rotation)
        if frame.format.bits == 8:
            return np.ascontiguousarray(stored)
        scaled = stored.astype(np.uint32) * frame.format.peak + 127
        return np.asarray(scaled // 255, np.uint16)
