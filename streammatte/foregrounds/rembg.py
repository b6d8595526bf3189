"""`--compat rembg`: the source's colour over black, by alpha, which is what rembg's cut-outs hold."""

from __future__ import annotations

import numpy as np

from streammatte.frame import Frame, Matte, Plane
from streammatte.kernels import host
from streammatte.kernels.mixing import blend

__all__ = ["RembgForeground"]

_LEAST_PX = 4
"""A picture of this side has a sample in every plane of every format."""


class RembgForeground:
    """alpha * I where others have F: rembg pastes the picture by its mask into a clear black one, alpha and all.

    Such a file is read as straight alpha, so that alpha counts twice wherever it is shown, and soft edges are dark.
    """

    def estimate(self, frame: Frame, alphas: tuple[Plane, ...], matte: Matte | None = None) -> tuple[Plane, ...]:
        """The source's planes, mixed with black by each plane's alpha; 8 bits of RGB are Pillow's to the bit."""
        parts = zip(frame.planes, _black(frame), alphas, strict=True)
        return tuple(blend(plane, np.full_like(plane, dark), alpha, frame.format.peak) for plane, dark, alpha in parts)


def _black(frame: Frame) -> tuple[int, ...]:
    """Each plane's sample of black."""
    dark = np.zeros((_LEAST_PX, _LEAST_PX, 3), np.float32)
    return tuple(int(plane[0, 0]) for plane in host.planes_from_rgb(dark, frame.format, frame.color))
