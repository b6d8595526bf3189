"""`--light-wrap`: light of the background on the subject's rim.

What stands before a bright scene is lit by it from behind. The compositor's imitation (S. Wright, "Digital Compositing
for Film and Video", on the light wrap): the background, blurred, laid over the subject with the weight

    w = strength * alpha * blur(1 - alpha)

which is greatest at the edge and nothing further in. It is a mix of two pictures, so it is done on planes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import cv2
import numpy as np

from streammatte.frame import Frame, Layer, PixelFormat, Plane
from streammatte.kernels.boxes import Box, subject_box
from streammatte.kernels.gaussian import gaussian
from streammatte.kernels.mixing import blend
from streammatte.ports import Compositor

__all__ = ["LIGHT", "RIM", "LightWrap"]

RIM = 1 / 100  # of the height: sigma of the blur of 1 - alpha, and so how far in the light reaches
LIGHT = 3 / 100  # of the height: sigma of the blur of the background
_REACH = 3  # sigmas

_Planes: TypeAlias = tuple[Plane, ...]


class LightWrap:
    """Another compositor, given a subject that the background shines on. `strength` is 0 to 1."""

    def __init__(self, strength: float, compositor: Compositor) -> None:
        self._strength, self._composite = strength, compositor
        self._seen: _Planes | None = None
        self._light: _Planes = ()

    def __call__(self, layer: Layer, background: _Planes) -> Frame:
        """The composite; where alpha is 0, and well inside the subject, the same as without."""
        frame = layer.frame
        sigma_px = frame.height * RIM
        box = subject_box(layer.pha, round(_REACH * sigma_px))
        if box is None:
            return self._composite(layer, background)
        if background is not self._seen:  # those of a picture come again with every frame
            lines = [plane.shape[0] * LIGHT for plane in background]
            self._light = tuple(gaussian(plane, sigma) for plane, sigma in zip(background, lines, strict=True))
            self._seen = background
        lit = [self._lit(fgr, i, layer, box, frame.format) for i, fgr in enumerate(layer.fgr)]
        return self._composite(replace(layer, fgr=tuple(lit)), background)

    def _lit(self, fgr: Plane, index: int, layer: Layer, box: Box, target: PixelFormat) -> Plane:
        place, alpha = box.of(index, target), layer.alphas[index]
        weight = _weight(alpha[place], alpha.shape[0] * RIM, self._strength, target)
        lit = fgr.copy()
        lit[place] = blend(self._light[index][place], fgr[place], weight, target.peak)
        return lit


def _weight(alpha: Plane, sigma_px: float, strength: float, target: PixelFormat) -> Plane:
    """strength * alpha * blur(1 - alpha), as a plane of 0..peak."""
    rim = gaussian(np.bitwise_xor(alpha, target.dtype(target.peak)), sigma_px)
    weight: Plane = cv2.multiply(alpha, rim, scale=strength / target.peak)  # type: ignore[assignment]
    return weight
