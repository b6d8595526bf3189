"""`--refine guided`: edges from the picture itself, where the network left alpha soft.

The colour guided filter (He, Sun and Tang, "Guided Image Filtering", TPAMI 2013), in the band of soft pixels alone;
outside it alpha stays what the network says.
"""

from __future__ import annotations

from streammatte.frame import Frame, Matte, Plane
from streammatte.kernels import host
from streammatte.refiners.local_color import applied, scene

__all__ = ["LINES", "GuidedRefiner"]


LINES = 120
"""Of the small picture: one filter is too blunt for more to show."""


class GuidedRefiner:
    """Alpha that follows the picture's own edges, and hair where colour tells it from what is behind."""

    def refine(self, matte: Matte, frame: Frame) -> Plane:
        """Alpha (H, W) of the frame's depth."""
        part = scene(matte, frame, LINES)
        if part is None:
            return host.alpha_plane(matte.pha, frame.width, frame.height, frame.format)
        return applied(part, None, frame)
