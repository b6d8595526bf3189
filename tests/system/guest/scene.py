"""What the guest's webcam sees: a bright subject that counts frames, in a dark magenta room that nobody may see."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["BEACH", "SIZE", "STEPS", "count_in", "picture", "room_samples", "seen"]

SIZE = (640, 360)
ROOM = (44, 160, 168)
"""Y, U, V of dark magenta: its mean in R'G'B' is far below what the tiny network takes for the subject."""
SUBJECT = (120, 128)
"""U and V; Y is the counter, from `_DARKEST` up."""
BEACH = "#008000"
_BEACH = (81, 90, 81)
_DARKEST = 170
STEPS = 80
"""Frames until the counter starts over."""
_BOX = (slice(120, 360), slice(200, 440))

_Plane = npt.NDArray[np.uint8]


def picture(number: int) -> _Plane:
    """Frame `number` as I420, (H * 3 / 2, W) uint8."""
    width, height = SIZE
    planes = [np.full((height >> (i > 0), width >> (i > 0)), ROOM[i], np.uint8) for i in range(3)]
    half = tuple(slice(part.start // 2, part.stop // 2) for part in _BOX)
    planes[0][_BOX] = _DARKEST + number % STEPS
    planes[1][half], planes[2][half] = SUBJECT
    return np.concatenate([plane.reshape(-1) for plane in planes]).reshape(height * 3 // 2, width)


def _chroma(frame: _Plane) -> tuple[_Plane, _Plane]:
    width, height = SIZE
    u, v = frame[height:].reshape(2, height // 2, width // 2)
    return u, v


def room_samples(frame: _Plane) -> int:
    """Chroma samples of an I420 frame that look like the room: more magenta than halfway from gray to it."""
    u, v = _chroma(frame)
    return int(np.sum((u > 144) & (v > 148)))


def count_in(frame: _Plane) -> int | None:
    """The counter, read from the subject's middle; None where it is not there."""
    level = float(frame[220:260, 300:340].mean()) - _DARKEST
    return round(level) if -0.5 <= level < STEPS else None


def seen(frame: _Plane) -> tuple[bool, bool]:
    """Whether the background stands where the room was, and the subject where it is, within 12 of 255."""
    u, v = _chroma(frame)
    corner = (frame[40:80, 40:80], u[20:40, 20:40], v[20:40, 20:40])
    middle = (u[110:130, 150:170], v[110:130, 150:170])
    behind = all(abs(float(plane.mean()) - want) <= 12 for plane, want in zip(corner, _BEACH, strict=True))
    subject = all(abs(float(plane.mean()) - want) <= 12 for plane, want in zip(middle, SUBJECT, strict=True))
    return behind, subject and count_in(frame) is not None
