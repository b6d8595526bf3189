"""`--refine none`: the matte interpolated to the frame's size, nothing added from the picture."""

from __future__ import annotations

from streammatte.frame import Frame, Matte, Plane
from streammatte.kernels import host

__all__ = ["ResampleRefiner"]


class ResampleRefiner:
    """Cubic interpolation. The frame's own alpha, where it has one, is the pipeline's business."""

    def refine(self, matte: Matte, frame: Frame) -> Plane:
        """Alpha (H, W) of the frame's depth."""
        return host.alpha_plane(matte.pha, frame.width, frame.height, frame.format)
