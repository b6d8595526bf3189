"""An outline from elsewhere laid over a matte: whose alpha is whose."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.subjects.scene import Scene

__all__ = ["owned"]

_Map: TypeAlias = npt.NDArray[np.float32]

_INSIDE = 0.5
_SPILT = 0.25
"""An outline that holds less than this of what it leaves of a part has only spilt into it."""
_RIM = 0.03
"""What is firm beside an outline and no wider is its rim, which it has missed; of the picture's longer side."""


def owned(region: _Map, scene: Scene) -> list[tuple[_Map, _Map]]:
    """Of each part that `region` (h, w) in [0, 1] has: the alpha that is its own, and what is somebody else's.

    The largest comes first; none is there where the region has too little. An outline ends where a soft rim begins, or
    before: the rim belongs to whomever it is nearer to.
    """
    labels, pha = scene.parts.labels, scene.pha
    inside = np.asarray(region > _INSIDE)
    within = np.bincount(labels.ravel(), (inside * pha).ravel(), scene.parts.count)
    whole = np.bincount(labels.ravel(), pha.ravel(), scene.parts.count)
    within[0] = 0
    if within.max() < scene.least:
        return []
    chosen = within >= np.maximum(scene.least, _SPILT * (whole - within))
    chosen[within.argmax()] = True
    side = 2 * round(_RIM * scene.longer_px / 2) + 1
    firm = (~inside & (pha > _INSIDE)).view(np.uint8)
    others = cv2.morphologyEx(firm, cv2.MORPH_OPEN, np.ones((side, side), np.uint8)) > 0
    found = []
    for part in (int(each) for each in np.argsort(-within) if chosen[each]):
        here = labels == part
        own = here & (_away(inside & here) <= _away(others & here))
        found.append((np.asarray(own * pha, np.float32), np.asarray((here & ~own) * pha, np.float32)))
    return found


def _away(pixels: npt.NDArray[np.bool_]) -> _Map:
    """How far each pixel is from the nearest of these; infinitely where there are none."""
    if not pixels.any():
        return np.full(pixels.shape, np.inf, np.float32)
    return np.asarray(cv2.distanceTransform((~pixels).view(np.uint8), cv2.DIST_L2, 3), np.float32)
