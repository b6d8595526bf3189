"""Trimaps: where alpha is certain, and where it is to be found.

Planes (H, W) uint8 as they are drawn by hand: 0 background, 255 subject, 128 unknown.
"""

from __future__ import annotations

from typing import Any, TypeAlias, cast

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.color import FloatImage
from streammatte.frame import PixelFormat, Plane

__all__ = ["BACKGROUND", "FOREGROUND", "UNKNOWN", "Trimap", "coarse_trimap", "says_both", "settled", "trimap_of"]

Trimap: TypeAlias = npt.NDArray[np.uint8]

BACKGROUND, UNKNOWN, FOREGROUND = 0, 128, 255
_SURE = 0.02
"""Alpha this near to 0 or 1 is certain: video codecs round, and networks seldom say 1."""
_REACH = 0.006
"""How far beyond soft pixels the unknown goes, in parts of the picture's shorter side. Of nine clips with known alpha
the mean error is least from 0.005 to 0.01: less leaves hair out, more lets the background's colours in."""


def trimap_of(pha: FloatImage) -> Trimap:
    """What an alpha (h, w) float32 in [0, 1], or a trimap drawn as one, says for certain: its ends, within 2 %."""
    trimap = np.full(pha.shape, UNKNOWN, np.uint8)
    trimap[pha <= _SURE] = BACKGROUND
    trimap[pha >= 1 - _SURE] = FOREGROUND
    return trimap


def coarse_trimap(pha: FloatImage, width: int, height: int) -> Trimap:
    """The trimap (height, width) of a network's matte (h, w): soft pixels are unknown, and a band around them.

    Hair and glass, which a network leaves soft, stay unknown all over.
    """
    certain = trimap_of(np.asarray(cv2.resize(pha, (width, height), interpolation=cv2.INTER_LINEAR), np.float32))
    reach_px = max(1, round(_REACH * min(width, height)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach_px + 1, 2 * reach_px + 1))
    least, most = cv2.erode(certain, disc), cv2.dilate(certain, disc)
    return cast(Trimap, np.where(least == most, certain, np.uint8(UNKNOWN)))


def says_both(trimap: npt.NDArray[Any]) -> bool:
    """Whether some of it is certainly subject, and some certainly background: else nothing can be told of the rest."""
    return bool((trimap == FOREGROUND).any() and (trimap == BACKGROUND).any())


def settled(trimap: Trimap, pha: Plane, target: PixelFormat) -> Plane:
    """Alpha (H, W) of `target`'s depth: exactly 0 or peak where the trimap is certain, elsewhere as in `pha`."""
    known = np.where(trimap == FOREGROUND, target.peak, 0).astype(target.dtype)
    return cast(Plane, np.where(trimap == UNKNOWN, pha, known))
