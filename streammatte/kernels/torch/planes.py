"""Planes on a device: there and back, rounded, turned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from streammatte.frame import Frame, PixelFormat, Plane

__all__ = ["on_device", "on_host", "planes_of", "quantised", "sample_type", "turn", "turn_back", "with_planes"]


def sample_type(target: PixelFormat) -> torch.dtype:
    """What planes of `target` are made of: uint8 up to 8 bits, else int32."""
    return torch.uint8 if target.bits <= 8 else torch.int32


def planes_of(frame: Frame) -> tuple[Tensor, ...]:
    """The planes of a frame on a device."""
    return cast(tuple[Tensor, ...], frame.planes)


def with_planes(frame: Frame, planes: tuple[Tensor, ...], alpha: Tensor | None = None) -> Frame:
    """`frame` with these planes and this alpha, all on a device."""
    there: Any = planes, alpha
    return replace(frame, planes=there[0], alpha=there[1])


def on_device(frame: Frame, device: torch.device | str) -> Frame:
    """A host frame with its planes, and its alpha, copied to `device`. Not for capture: it waits for the copy."""
    alpha = None if frame.alpha is None else _uploaded(frame.alpha, frame.format).to(device)
    return with_planes(frame, tuple(_uploaded(plane, frame.format).to(device) for plane in frame.planes), alpha)


def on_host(frame: Frame) -> Frame:
    """The inverse of `on_device`; waits for the device."""
    parts: Any = (*frame.planes, *(() if frame.alpha is None else (frame.alpha,)))
    arrays = [part.cpu().numpy().astype(frame.format.dtype) for part in parts]
    count = len(frame.planes)
    return replace(frame, planes=tuple(arrays[:count]), alpha=arrays[count] if frame.alpha is not None else None)


def _uploaded(plane: Plane, target: PixelFormat) -> Tensor:
    # A copy, since a decoder's planes are read-only and its memory is used again.
    return torch.from_numpy(np.array(plane, np.uint8 if target.bits <= 8 else np.int32))


def quantised(values: Tensor, target: PixelFormat) -> Tensor:
    """Float code values of any shape as samples of `target`: the nearest, halves to even, within 0..peak."""
    return values.round().clamp_(0, target.peak).to(sample_type(target))


def turn(image: Tensor, degrees: int) -> Tensor:
    """`image` (..., h, w) turned counter-clockwise by a multiple of 90 degrees: stored orientation to upright."""
    return image if degrees == 0 else torch.rot90(image, degrees // 90, (-2, -1)).contiguous()


def turn_back(image: Tensor, degrees: int) -> Tensor:
    """The inverse of `turn`: upright to stored orientation."""
    return turn(image, -degrees % 360)
