"""`--mirror`: another source's pictures, flipped left to right as in a mirror."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import numpy as np

from streammatte.frame import Frame, Packet, Plane
from streammatte.ports import Source
from streammatte.sources.around import Around

__all__ = ["Mirrored"]


class Mirrored(Around):
    """`source`, flipped in stored orientation while `mirrored` is set; that may change from frame to frame.

    The first frame after a change is a discontinuity. Chroma that sits on the left of its luma pair comes to sit on the
    right: half a luma sample, which a mirror image of oneself does not show.
    """

    def __init__(self, source: Source, mirrored: bool = True) -> None:
        super().__init__(source)
        self.mirrored = mirrored

    def events(self) -> Iterator[Frame | Packet]:
        """The source's events, frames flipped."""
        last = self.mirrored
        for event in self._source.events():
            now = self.mirrored
            if isinstance(event, Frame):
                event = _flipped(event) if now else event
                event = event if now == last else replace(event, discontinuity=True)
                last = now
            yield event


def _flipped(frame: Frame) -> Frame:
    upright = frame.rotation % 180 == 0
    alpha = None if frame.alpha is None else _turned(frame.alpha, upright)
    return replace(frame, planes=tuple(_turned(plane, upright) for plane in frame.planes), alpha=alpha)


def _turned(plane: Plane, upright: bool) -> Plane:
    """Left to right as it is shown: a picture that is stored on its side is flipped top to bottom."""
    return cast(Plane, np.ascontiguousarray(plane[:, ::-1] if upright else plane[::-1]))
