"""Rooms to teach a student: a bright disk that wanders over a picture, as samples, frames and a video."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from clips import write_clip

from streammatte.sampling import Sample, is_held_out

SIZE = (64, 32)


def room(number: int, size: tuple[int, int] = SIZE) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """A picture (h, w, 3) and its matte (h, w)."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    radius = height / 4
    left, top = width * (0.5 + 0.25 * np.sin(number * 0.9)), height * (0.5 + 0.15 * np.cos(number * 1.3))
    alpha = np.clip(radius - np.hypot(x - left, y - top) + 0.5, 0, 1)
    behind = np.stack([40 + 40 * x / width, 60 + 0 * x, 90 - 30 * y / height], -1)
    picture = alpha[..., None] * (240, 220, 200) + (1 - alpha[..., None]) * behind
    return picture.astype(np.uint8), (255 * alpha).astype(np.uint8)


def samples(count: int, *, every_s: float = 0.5) -> list[Sample]:
    """Of one room, in order of time; every fourth is held out."""
    made = [Sample(number * every_s, *room(number)) for number in range(count)]
    return [replace(each, held_out=is_held_out(number)) for number, each in enumerate(made)]


def room_video(path: Path, frames: int = 40, size: tuple[int, int] = (128, 72)) -> Path:
    """The room as a video at 25 frames a second."""
    pictures = [av.VideoFrame.from_ndarray(room(number // 2, size)[0], format="rgb24") for number in range(frames)]
    return write_clip(path, [picture.reformat(format="yuv420p") for picture in pictures])
