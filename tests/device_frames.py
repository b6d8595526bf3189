"""Frames of noise for the tests of what goes to a device and comes from it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from streammatte.color import ColorSpec
from streammatte.frame import Frame, PixelFormat

NAMES = ["yuv420p", "yuv422p", "yuv444p10le", "yuv420p16le", "gbrp", "gbrp12le", "gray", "gray16le"]


def noise(name: str, size: tuple[int, int], alpha: bool = False, color: ColorSpec = ColorSpec()) -> Frame:  # noqa: B008
    """Samples over all of the format's range, in read-only rows longer than the picture, as decoders give them."""
    fmt, dice = PixelFormat.named(name), np.random.default_rng(1)
    shapes = [fmt.plane_shape(i, *size) for i in range(fmt.plane_count)]
    planes = [dice.integers(0, fmt.peak + 1, (h, w + 5)).astype(fmt.dtype)[:, :w] for h, w in (*shapes, shapes[0])]
    for plane in planes:
        plane.flags.writeable = False
    own = planes[-1] if alpha else None
    return Frame(tuple(planes[:-1]), fmt, color, 7, Fraction(1, 25), 2, 3, alpha=own, rotation=90)


def parts_of(frame: Frame) -> list[Any]:
    """The planes, and alpha where there is one."""
    return [*frame.planes, *(() if frame.alpha is None else (frame.alpha,))]
