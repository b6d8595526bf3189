"""Frames of a source on the host, put on a device as they come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from streammatte.frame import Frame, Packet, Plane, StreamInfo
from streammatte.kernels.torch.lane import Lane
from streammatte.kernels.torch.planes import with_planes
from streammatte.ports import Source

__all__ = ["OnDevice"]


class OnDevice:
    """A source whose frames are on the lane's device; those that already are, and packets, pass as they are.

    On CUDA planes are copied to pinned memory and from there, by a stream of copies, to the GPU: the lane waits for
    them, and nothing else does. Torch gives pinned memory out again once the copy from it is done, so there is as
    much of it as frames are on their way, which the hand-off behind the source bounds.
    """

    info: StreamInfo

    def __init__(self, source: Source, lane: Lane) -> None:
        self._source, self._lane = source, lane
        self.info = source.info
        self._copies: Any = torch.cuda.Stream(lane.device) if lane.on_cuda else None

    @property
    def notes(self) -> list[str]:
        """The source's own."""
        return self._source.notes

    @notes.setter
    def notes(self, value: list[str]) -> None:
        self._source.notes = value

    def events(self) -> Iterator[Frame | Packet]:
        """The source's events, frames on the device."""
        for event in self._source.events():
            yield self._uploaded(event) if isinstance(event, Frame) else event

    def close(self) -> None:
        """Release the source."""
        self._source.close()

    def _uploaded(self, frame: Frame) -> Frame:
        parts = (*frame.planes, *(() if frame.alpha is None else (frame.alpha,)))
        if isinstance(parts[0], Tensor):
            return frame
        with torch.cuda.stream(self._copies):
            sent = tuple(self._sent(part) for part in parts)
        if self._lane.on_cuda:
            self._hand_over(sent)
        count = len(frame.planes)
        return with_planes(frame, sent[:count], None if frame.alpha is None else sent[count])

    def _sent(self, plane: Plane) -> Tensor:
        """The plane on the device: uint8, or int32 of what went there as 16 bits."""
        narrow = plane.dtype == np.uint8
        # int16 of the same bits: torch knows uint16 as a type to hold, not to reckon with
        staged = torch.empty(plane.shape, dtype=torch.uint8 if narrow else torch.int16, pin_memory=self._lane.on_cuda)
        staged.numpy().view(plane.dtype)[...] = plane
        there = staged.to(self._lane.device, non_blocking=True)
        return there if narrow else there.to(torch.int32).bitwise_and_(0xFFFF)

    def _hand_over(self, sent: tuple[Tensor, ...]) -> None:
        """From the stream of copies to the lane: its work, and the right to use their memory."""
        copied = self._copies.record_event()
        with self._lane:
            self._lane.stream.wait_event(copied)
        for part in sent:
            part.record_stream(self._lane.stream)
