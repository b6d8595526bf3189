"""Pictures of one stream side by side on a canvas, each under its name, in the stream's own pixel format and colour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.frame import Frame, PixelFormat, Plane, StreamInfo
from streammatte.kernels import host

__all__ = ["Mosaic"]

_MOST_WIDE_PX, _MOST_HIGH_PX = 3840, 2160
"""What players and hardware decoders take."""
_STEP_PX = 4
"""Sides and places are multiples of it, so that they fall on whole samples of every chroma plane."""
_GAP_PX = 4
_LINES_A_NAME = 20
_LEAST_NAME_PX = 24
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_TALL = "Tg"
"""Has all that rises and all that hangs."""


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where everything is. A tile is a name, a picture below it, and with alphas an alpha below that."""

    columns: int
    width: int
    """Of a picture, upright, like all here in pixels."""
    height: int
    name: int
    """Height of a name."""
    tile: int
    """Height of a tile."""

    def place(self, index: int) -> tuple[int, int]:
        """Left and top of tile `index`."""
        row, column = divmod(index, self.columns)
        return column * (self.width + _GAP_PX), row * (self.tile + _GAP_PX)

    def size(self, count: int) -> tuple[int, int]:
        """Width and height of the canvas for so many tiles."""
        rows = ceil(count / self.columns)
        return self.columns * (self.width + _GAP_PX) - _GAP_PX, rows * (self.tile + _GAP_PX) - _GAP_PX


class Mosaic:
    """Paints frames of the stream `source` into one picture each, upright, with square pixels.

    There is a tile for each of `names`. The canvas is at most 3840 x 2160, and no picture is enlarged. `info` is that
    of `source` in all but its shape, with the colour that the source's size lets players assume said in words: at the
    canvas's size they would assume another.
    """

    def __init__(self, source: StreamInfo, names: Sequence[str], *, alphas: bool) -> None:
        color = source.color.resolved(source.format.model, source.height)
        self._alphas, self._rotation = alphas, source.rotation
        self._grid = _best_grid(len(names), *_upright_size(source), 2 if alphas else 1)
        width, height = self._grid.size(len(names))
        self.info = replace(
            source,
            width=width,
            height=height,
            color=color,
            sar=Fraction(1),
            rotation=0,
            has_alpha=False,
            interlaced=False,
            bit_rate=None,
        )
        blank = np.zeros((height, width, 3), np.float32)
        for index, name in enumerate(names):
            left, top = self._grid.place(index)
            _write(blank[top : top + self._grid.name, left : left + self._grid.width], name)
        self._planes = host.planes_from_rgb(blank, source.format, color)
        gray = np.linspace(0, 1, source.format.peak + 1, dtype=np.float32)
        self._gray = host.planes_from_rgb(np.repeat(gray[None, :, None], 3, axis=2), source.format, color)[0][0]

    def paint(self, pictures: Sequence[Frame], alphas: Sequence[Plane | None]) -> Frame:
        """The canvas with `pictures` (frames of the source, in stored orientation) and, below them, their alphas.

        An alpha is (H, W), 0..peak; None leaves its place black. The frame is the first picture in time and number; its
        planes are painted over by the next call.
        """
        fmt, grid = self.info.format, self._grid
        for index, (picture, pha) in enumerate(zip(pictures, alphas, strict=True)):
            left, top = grid.place(index)
            top += grid.name
            for number, plane in enumerate(picture.planes):
                self._paste(number, plane, left, top)
            if self._alphas and pha is not None:
                lower = self._gray[self._fitted(pha, grid.width, grid.height)]
                for plane in self._planes if fmt.model == "gbr" else self._planes[:1]:
                    plane[top + grid.height : top + 2 * grid.height, left : left + grid.width] = lower
        return replace(
            pictures[0],
            planes=self._planes,
            color=self.info.color,
            alpha=None,
            rotation=0,
            sar=self.info.sar,
            interlaced=False,
        )

    def _paste(self, number: int, plane: Plane, left: int, top: int) -> None:
        log2_w, log2_h = _halvings(self.info.format, number)
        width, height = self._grid.width >> log2_w, self._grid.height >> log2_h
        left, top = left >> log2_w, top >> log2_h
        self._planes[number][top : top + height, left : left + width] = self._fitted(plane, width, height)

    def _fitted(self, plane: Plane, width: int, height: int) -> npt.NDArray[Any]:
        return host.resize(host.turn(plane, self._rotation), width, height)


def _halvings(fmt: PixelFormat, number: int) -> tuple[int, int]:
    return (fmt.log2_chroma_w, fmt.log2_chroma_h) if fmt.model == "yuv" and number else (0, 0)


def _upright_size(source: StreamInfo) -> tuple[int, int]:
    """Width and height as shown, in square pixels."""
    width, height = round(source.width * source.sar), source.height
    return (height, width) if source.rotation % 180 else (width, height)


def _best_grid(count: int, width: int, height: int, pictures: int) -> _Grid:
    """The grid with the largest pictures; of those the fewest empty places, then the most columns."""
    grids = list(_grids(count, width, height, pictures))
    return max(grids, key=lambda grid: (grid.width, -(-count % grid.columns), grid.columns))


def _grids(count: int, width: int, height: int, pictures: int) -> Iterator[_Grid]:
    for columns in range(1, count + 1):
        rows = ceil(count / columns)
        wide = (_MOST_WIDE_PX + _GAP_PX) / columns - _GAP_PX
        # A name takes a twentieth of its picture's height, or its least, and roundings take a step each.
        room = (_MOST_HIGH_PX + _GAP_PX) / rows - _GAP_PX - _STEP_PX * (pictures + 1)
        high = min(room / (pictures + 1 / _LINES_A_NAME), (room - _LEAST_NAME_PX) / pictures)
        scale = min(1.0, wide / width, high / height)
        size = _stepped(width * scale), _stepped(height * scale)
        name = max(_LEAST_NAME_PX, _stepped(size[1] / _LINES_A_NAME))
        yield _Grid(columns, *size, name, name + pictures * size[1])


def _stepped(length: float) -> int:
    return max(1, int(length) // _STEP_PX) * _STEP_PX


def _write(strip: npt.NDArray[np.float32], name: str) -> None:
    """`name` in white over the black strip (h, w, 3), as large as fits; all names of one size where they do."""
    (_, high), below = cv2.getTextSize(_TALL, _FONT, 1.0, 1)
    (wide, _), _ = cv2.getTextSize(name, _FONT, 1.0, 1)
    scale = min(0.8 * strip.shape[0] / (high + below), 0.96 * strip.shape[1] / max(wide, 1))
    words = np.zeros(strip.shape[:2], np.uint8)
    base = round((strip.shape[0] + (high - below) * scale) / 2)
    cv2.putText(words, name, (round(0.02 * strip.shape[1]), base), _FONT, scale, 255, max(1, round(scale)), cv2.LINE_AA)
    strip[:] = words[..., None] / np.float32(255)
