"""What `--refine guided` and `closed-form` share: where they work, on what, and the way back to frame size.

Both explain alpha around each pixel as a linear function of the picture's colour. That is done on the picture reduced
to some 160 lines, and its coefficients are applied at frame size (He and Sun, "Fast Guided Filter", 2015). The guide is
the stream's own planes, chroma counted twice, so nothing is converted to RGB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.frame import Frame, Matte, Plane
from streammatte.kernels import host
from streammatte.kernels.growing import grow
from streammatte.kernels.local_linear import Windows, fit, mix

__all__ = [
    "DOUBT",
    "EPSILON",
    "FADE_PX",
    "FAR_PX",
    "LINES",
    "NEAR_PX",
    "RADIUS_PX",
    "SOFT",
    "UNIT_LINES",
    "WIDE_PX",
    "Scene",
    "applied",
    "guide_weight",
    "scene",
]

LINES = 160
UNIT_LINES = 180
"""Sizes below are in pixels of a picture with this many lines."""
RADIUS_PX = 5
EPSILON = 2e-6
"""Of variance, guide in [0, 1]: below it a window is flat and says nothing."""
_CHROMA_WEIGHT = 2.0
SOFT = 0.02
NEAR_PX = 2
"""How far beyond soft pixels the band reaches, and how far around places that are soft all over: hair."""
FAR_PX = 12
WIDE_PX = 2
FADE_PX = 1.5
DOUBT = 0.75
"""How many standard deviations of the fit a change must have to count, where the network was sure."""

_Map: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Scene:
    """One frame, small, cut down to where alpha is soft."""

    pha: _Map
    """(h, w): the whole matte at the small size."""
    box: tuple[slice, slice]
    """The part of it that holds the band and the windows that reach into it; all below is of that part."""
    band: _Map
    """1 where alpha is found anew, 0 where it stays, with a gentle end between."""
    windows: Windows


def scene(matte: Matte, frame: Frame, lines: int = LINES) -> Scene | None:
    """The scene on `lines` lines, or the frame's own if fewer; None where no alpha is soft."""
    lines = min(lines, frame.width, frame.height)
    scale, unit = lines / min(frame.width, frame.height), lines / UNIT_LINES
    width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    pha = np.asarray(np.clip(host.resize(matte.pha, width, height), 0, 1), np.float32)
    band = _band(pha, unit)
    left, top, wide, high = cv2.boundingRect((band > 0).view(np.uint8))
    if not wide:
        return None
    radius_px = max(1, round(RADIUS_PX * unit))
    reach = 2 * radius_px
    box = slice(max(0, top - reach), top + high + reach), slice(max(0, left - reach), left + wide + reach)
    guide = np.stack([_guide(frame, index, width, height)[box] for index in range(3)])
    return Scene(pha, box, np.ascontiguousarray(band[box]), Windows(guide, radius_px, EPSILON))


def _guide(frame: Frame, index: int, width: int, height: int) -> _Map:
    """Plane `index` at the small size around 0; a gray frame's other two say nothing."""
    if index >= len(frame.planes):
        return np.zeros((height, width), np.float32)
    weight = guide_weight(frame, index)
    small = host.resize(frame.planes[index], width, height)
    return np.asarray(small * weight - weight * np.float32(frame.format.peak / 2), np.float32)


def guide_weight(frame: Frame, index: int) -> np.float32:
    """What a sample is multiplied by to be part of the guide."""
    chroma = frame.format.model == "yuv" and index > 0
    return np.float32((_CHROMA_WEIGHT if chroma else 1.0) / frame.format.peak)


def _band(pha: _Map, unit: float) -> _Map:
    soft = cv2.inRange(pha, SOFT, 1 - SOFT)
    wide = cv2.dilate(cv2.morphologyEx(soft, cv2.MORPH_OPEN, _disc(WIDE_PX * unit)), _disc(FAR_PX * unit))
    grown = cv2.max(cv2.dilate(soft, _disc(NEAR_PX * unit)), wide).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(grown * np.float32(1 / 255), (0, 0), FADE_PX * unit), np.float32)


def _disc(radius_px: float) -> npt.NDArray[np.uint8]:
    side = 2 * max(1, round(radius_px)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def applied(part: Scene, found: _Map | None, frame: Frame) -> Plane:
    """Alpha (H, W) of the frame's depth. `found` is the small alpha in `part.box`; None: what the fit itself says.

    Where the network was sure, a change counts as far as it stands out from what the fit leaves unexplained (a Wiener
    weight): clutter behind the subject has a colour like the subject's here and there, hair all along.
    """
    pha = np.ascontiguousarray(part.pha[part.box])
    slopes, smooth = fit(part.windows, pha if found is None else found)
    value = smooth if found is None else found
    side = 2 * part.windows.radius_px + 1
    apart = smooth - pha
    doubt = cv2.blur(apart * apart, (side, side), borderType=cv2.BORDER_REFLECT) * np.float32(DOUBT * DOUBT)
    coefficients = np.zeros((4, *part.pha.shape), np.float32)
    coefficients[3] = part.pha
    channels = len(frame.planes)
    weights = np.array([guide_weight(frame, index) if index < channels else 0 for index in range(3)], np.float32)
    middle = np.float32(frame.format.peak / 2)
    inside = coefficients[(slice(None), *part.box)]
    mix(slopes, part.windows.guide, pha, value, part.band, np.asarray(doubt, np.float32), weights, middle, inside)
    return grow(coefficients, frame)
