"""What the device's `guided` and `closed-form` share: `local_color` on tensors, with its numbers.

Where alpha is soft only the device knows. So the whole small picture is worked on, not a box around the band, and as
much where nothing is soft: there alpha is the small matte grown linearly. Chroma that has to be grown for the small
picture (4:2:0 of fewer than 320 lines) comes out a code value apart from OpenCV's here and there, which in flat parts
the fit magnifies: there alpha is another, as near to the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from streammatte.color import ColorSpec
from streammatte.frame import Frame, PixelFormat
from streammatte.kernels.torch.growing import grow
from streammatte.kernels.torch.local_linear import Windows, fit, mix
from streammatte.kernels.torch.means import mirrored_mean
from streammatte.kernels.torch.planes import planes_of
from streammatte.kernels.torch.resizing import resize
from streammatte.kernels.torch.shaping import dilate, erode, gaussian
from streammatte.refiners.local_color import (
    DOUBT,
    EPSILON,
    FADE_PX,
    FAR_PX,
    NEAR_PX,
    RADIUS_PX,
    SOFT,
    UNIT_LINES,
    WIDE_PX,
    guide_weight,
)

__all__ = ["Scene", "applied", "framed", "scene", "small_size"]


@dataclass(frozen=True, slots=True)
class Scene:
    """One frame, small, all of it."""

    pha: Tensor
    """(h, w): the matte at the small size."""
    band: Tensor
    """1 where alpha is found anew, 0 where it stays, with a gentle end between."""
    windows: Windows


def framed(planes: tuple[Tensor, ...], target: PixelFormat) -> Frame:
    """A frame of these planes, for what looks at nothing else of it."""
    there: Any = planes
    return Frame(there, target, ColorSpec(), 0, Fraction(1), 0, 0)


def small_size(frame: Frame, lines: int) -> tuple[int, int]:
    """(width, height) of the scene on `lines` lines, or the frame's own if fewer."""
    scale = min(lines, frame.width, frame.height) / min(frame.width, frame.height)
    return max(1, round(frame.width * scale)), max(1, round(frame.height * scale))


def scene(pha: Tensor, frame: Frame, lines: int) -> Scene:
    """The scene of a matte (h, w) and its frame."""
    width, height = small_size(frame, lines)
    unit = min(lines, frame.width, frame.height) / UNIT_LINES
    small = resize(pha, width, height).clamp(0, 1)
    middle = frame.format.peak / 2
    weighted = zip(planes_of(frame), _weights(frame), strict=False)
    guide = [(resize(plane, width, height) - middle) * weight for plane, weight in weighted]
    guide += [torch.zeros_like(small)] * (3 - len(guide))
    return Scene(small, _band(small, unit), Windows(torch.stack(guide), max(1, round(RADIUS_PX * unit)), EPSILON))


def _weights(frame: Frame) -> list[float]:
    """What a sample of each of three planes is multiplied by to be part of the guide."""
    return [float(guide_weight(frame, index)) if index < len(frame.planes) else 0.0 for index in range(3)]


def _band(pha: Tensor, unit: float) -> Tensor:
    near, wide, far = (max(1, round(radius * unit)) for radius in (NEAR_PX, WIDE_PX, FAR_PX))
    soft = ((pha >= SOFT) & (pha <= 1 - SOFT)).to(torch.float32)
    grown = torch.maximum(dilate(soft, near), dilate(dilate(erode(soft, wide), wide), far))
    return gaussian(grown, FADE_PX * unit)


def applied(part: Scene, found: Tensor | None, frame: Frame) -> Tensor:
    """Alpha (H, W) of the frame's depth. `found` is the small alpha; None: what the fit itself says."""
    slopes, smooth = fit(part.windows, part.pha if found is None else found)
    value = smooth if found is None else found
    doubt = mirrored_mean((smooth - part.pha).square_(), part.windows.radius_px).mul_(DOUBT * DOUBT)
    middle = frame.format.peak / 2
    return grow(mix(slopes, part.windows.guide, part.pha, value, part.band, doubt, _weights(frame), middle), frame)
