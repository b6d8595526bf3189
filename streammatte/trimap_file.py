"""`--trimap FILE|VIDEO`: the user's own trimap of each frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np

from streammatte.errors import ConfigError, SourceError
from streammatte.frame import Frame, Matte, StreamInfo
from streammatte.kernels import host
from streammatte.kernels.trimaps import Trimap, trimap_of
from streammatte.ports import Source
from streammatte.scoring import alpha_of

__all__ = ["TrimapFile"]

_SHAPE = 0.01
"""Two pictures whose width / height differ by no larger part are of the same shape: sizes are whole numbers."""
_ROUNDING_S = Fraction(1, 500)
"""Matroska holds whole milliseconds, and so may both videos."""
_MUCH = 0.9
"""Where a trimap lasts less than this part of the input, by what both state, nothing is begun."""


class TrimapFile:
    """A picture for all frames, or a video from which each frame gets the picture nearest in time.

    Both videos count from their first frames. Black is background, white subject, all between unknown; an alpha channel
    is not looked at. It is of the input as that is shown, upright, at any size. `shown` is the input, where that is
    open. Raises ConfigError where that has another shape, or lasts longer.
    """

    def __init__(self, source: Source, shown: StreamInfo | None = None) -> None:
        self._source, self._name = source, source.info.name
        self._still = source.info.frame_count == 1
        self._frames: Iterator[Frame] = (event for event in source.events() if isinstance(event, Frame))
        self._current = self._first()
        self._next = self._following()
        self._origin_s = self._current.time
        self._length_s = Fraction(0)
        self._started_s: Fraction | None = None
        self._made: tuple[tuple[int, ...], Trimap] | None = None
        if shown is not None:
            self._check_shape(*_upright(shown.width, shown.height, shown.rotation))
            self._check_length(shown)

    def __call__(self, matte: Matte, frame: Frame) -> Trimap:
        """The trimap (H, W) of this frame, stored orientation; called for every frame in order.

        Raises SourceError where the video has ended before.
        """
        if self._started_s is None:
            self._started_s = frame.time
            self._check_shape(*_upright(frame.width, frame.height, frame.rotation))
        if not self._still:
            self._go_to(frame.time - self._started_s + self._origin_s)
        key = (self._current.seq, frame.width, frame.height, frame.rotation)
        if self._made is None or self._made[0] != key:
            self._made = key, self._fitted(frame)
        return self._made[1]

    def close(self) -> None:
        """Release the file."""
        self._source.close()

    def _first(self) -> Frame:
        first = next(self._frames, None)
        if first is None:
            raise ConfigError("--trimap", f"{self._name}: holds no picture")
        return first

    def _following(self) -> Frame | None:
        """The next of the video, which is closed at its end."""
        found = None if self._still else next(self._frames, None)
        if found is None:
            self.close()
        return found

    def _go_to(self, time_s: Fraction) -> None:
        """Make `_current` the frame that is nearest to `time_s`, the earlier of two."""
        while self._next is not None:
            gap_s = self._next.time - self._current.time
            if 2 * (time_s - self._current.time) <= gap_s:
                return
            self._length_s = gap_s
            self._current, self._next = self._next, self._following()
        length_s = self._current.duration * self._current.time_base or self._length_s
        end_s = self._current.time + length_s
        if time_s >= end_s - min(_ROUNDING_S, length_s / 4):
            ends, asked = (float(each - self._origin_s) for each in (end_s, time_s))
            raise SourceError(
                f"--trimap {self._name}: ends at {ends:.2f} s, but the input has a frame at {asked:.2f} s; give one as "
                "long as the input, or stop there with --duration"
            )

    def _fitted(self, frame: Frame) -> Trimap:
        drawn = trimap_of(alpha_of(replace(self._current, alpha=None)))
        stored = host.turn_back(host.turn(drawn, self._current.rotation), frame.rotation)
        size = frame.width, frame.height
        return np.asarray(cv2.resize(stored, size, interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)

    def _check_shape(self, width: int, height: int) -> None:
        wide, high = _upright(self._current.width, self._current.height, self._current.rotation)
        if abs(wide * height / (high * width) - 1) > _SHAPE:
            raise ConfigError(
                "--trimap",
                f"{self._name}: is {wide}x{high}, the input {width}x{height}; give one of the same shape, at any size",
            )

    def _check_length(self, shown: StreamInfo) -> None:
        ours_s, theirs_s = self._source.info.duration_s, shown.duration_s
        if not self._still and ours_s and theirs_s and ours_s < _MUCH * theirs_s:
            lengths = f"lasts {ours_s:.2f} s, the input {theirs_s:.2f} s"
            raise ConfigError("--trimap", f"{self._name}: {lengths}; give a picture, or a video as long as the input")


def _upright(width: int, height: int, rotation: int) -> tuple[int, int]:
    return (height, width) if rotation % 180 else (width, height)
