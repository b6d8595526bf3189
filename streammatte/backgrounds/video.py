"""A video behind the subject: looped, on its own clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np

from streammatte.backgrounds.fit import Fit, Placement, placement, upright_size
from streammatte.errors import SourceError
from streammatte.frame import Frame, Layer, Plane
from streammatte.kernels import host
from streammatte.ports import Source

__all__ = ["VideoBackground"]


class VideoBackground:
    """Shows, at each frame's time, the background frame that its own timestamps put there; starts over at its end.

    `open_source` is called for every round, so that nothing but two frames is held in memory.
    """

    shows_room = False

    def __init__(self, open_source: Callable[[], Source], fit: Fit) -> None:
        self._open = open_source
        self._fit = fit
        self._source: Source | None = None
        self._frames: Iterator[Frame] = iter(())
        self._current: Frame | None = None
        self._next: Frame | None = None
        self._round_start_s: Fraction | None = None
        self._shown: Frame | None = None
        self._rendered: tuple[Plane, ...] = ()
        self._key: tuple[object, ...] | None = None
        try:
            self._rewind(Fraction(0))
        except BaseException:
            self.close()
            raise
        self._round_start_s = None

    def planes(self, layer: Layer) -> tuple[Plane, ...]:
        """The background frame due at `layer.frame`'s time, as planes like the source's."""
        frame = layer.frame
        if self._round_start_s is None:
            self._round_start_s = frame.time
        due = self._due(frame.time)
        key = (frame.width, frame.height, frame.format, frame.color, frame.rotation, frame.sar)
        if self._shown is not due or key != self._key:
            self._rendered = _render(due, frame, self._fit)
            self._shown, self._key = due, key
        return self._rendered

    def close(self) -> None:
        """Close the video; safe more than once."""
        if self._source is not None:
            self._source.close()
            self._source = None

    def _due(self, time_s: Fraction) -> Frame:
        assert self._current is not None
        assert self._round_start_s is not None
        while True:
            local_s = time_s - self._round_start_s + self._origin_s
            if self._next is not None:
                if self._next.time > local_s:
                    return self._current
                self._current, self._next = self._next, next(self._frames, None)
                continue
            end_s = self._current.time + max(self._length(self._current), Fraction(1, 1000))
            if local_s < end_s:
                return self._current
            self._rewind(self._round_start_s + end_s - self._origin_s)

    def _length(self, frame: Frame) -> Fraction:
        if frame.duration:
            return frame.duration * frame.time_base
        rate = self._source.info.rate if self._source is not None else None
        return 1 / rate if rate else Fraction(1, 25)

    def _rewind(self, round_start_s: Fraction) -> None:
        self.close()
        self._source = self._open()
        self._frames = (event for event in self._source.events() if isinstance(event, Frame))
        self._current, self._next = next(self._frames, None), next(self._frames, None)
        if self._current is None:
            raise SourceError(f"{self._source.info.name}: no frames to use as a background; give another file")
        self._origin_s = self._current.time
        self._round_start_s = round_start_s


def _render(picture: Frame, frame: Frame, fit: Fit) -> tuple[Plane, ...]:
    wide, high, picture_sar = upright_size(picture)
    width, height, sar = upright_size(frame)
    place = placement(fit, float(wide * picture_sar / high), float(width * sar / height))
    if _same_coding(picture, frame):
        return _on_planes(picture, frame, place)
    rgb = host.turn(host.frame_rgb(picture, picture.width, picture.height), picture.rotation)
    placed = np.asarray(place.apply(rgb, width, height, 0.0), np.float32)
    return host.planes_from_rgb(host.turn_back(placed, frame.rotation), frame.format, frame.color)


def _same_coding(picture: Frame, frame: Frame) -> bool:
    ours = frame.color.resolved(frame.format.model, frame.height)
    theirs = picture.color.resolved(picture.format.model, picture.height)
    same_color = (ours.matrix, ours.transfer, ours.full_range) == (
        theirs.matrix,
        theirs.transfer,
        theirs.full_range,
    )
    same_layout = (picture.format.model, picture.format.bits) == (frame.format.model, frame.format.bits)
    return same_color and same_layout and picture.rotation == frame.rotation == 0


def _on_planes(picture: Frame, frame: Frame, place: Placement) -> tuple[Plane, ...]:
    black = host.planes_from_rgb(np.zeros((2, 2, 3), np.float32), frame.format, frame.color)
    placed = []
    for i, plane in enumerate(picture.planes):
        height, width = frame.format.plane_shape(i, frame.width, frame.height)
        placed.append(np.ascontiguousarray(place.apply(plane, width, height, black[i][0, 0])))
    return tuple(placed)
