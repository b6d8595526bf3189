"""Frames on a device, brought to the host for sinks that want them there."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from streammatte.frame import Frame, Packet
from streammatte.kernels.torch.lane import Lane
from streammatte.ports import Sink, SinkKind, SinkReport

__all__ = ["Downloading", "Downloads", "Fetched", "FromDevice"]


class Fetched:
    """Tensors on their way to the host."""

    def __init__(self, landing: tuple[Tensor, ...], landed: Any) -> None:
        """`landed` is the CUDA event of the last copy into `landing`; None where nothing need be waited for."""
        self._landing, self._landed = landing, landed

    def arrays(self) -> tuple[npt.NDArray[Any], ...]:
        """They, on the host. Waits for the copies, and for nothing that was put on the device since.

        All callers get the same memory, which is theirs for as long as they refer to it.
        """
        if self._landed is not None:
            self._landed.synchronize()
        return tuple(_samples(part.numpy()) for part in self._landing)


def _samples(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array.view(np.uint16) if array.dtype == np.int16 else array


@dataclass(frozen=True, slots=True)
class Downloading(Frame):
    """A frame on a device that is on its way to the host as well. Its planes are not to be replaced."""

    fetched: Fetched = field(kw_only=True)
    """Its planes, then its alpha."""

    def on_host(self) -> Frame:
        """The frame on the host, once it is there."""
        arrays, count = self.fetched.arrays(), len(self.planes)
        alpha = None if self.alpha is None else arrays[count]
        return Frame(**_but_pixels(self), planes=arrays[:count], alpha=alpha)


def _but_pixels(frame: Frame) -> dict[str, Any]:
    names = {each.name for each in fields(Frame)} - {"planes", "alpha"}
    return {name: getattr(frame, name) for name in names}


class Downloads:
    """Starts copies to the host, on a stream of their own, beside what the lane does next."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._copies: Any = torch.cuda.Stream(lane.device) if lane.on_cuda else None

    def begun(self, frame: Frame) -> Downloading:
        """`frame`, on its way: once, however many sinks want it. Called right after its work was put on the lane."""
        if isinstance(frame, Downloading):
            return frame
        parts: Any = (*frame.planes, *(() if frame.alpha is None else (frame.alpha,)))
        return Downloading(**_but_pixels(frame), planes=frame.planes, alpha=frame.alpha, fetched=self.fetched(parts))

    def fetched(self, parts: tuple[Tensor, ...]) -> Fetched:
        """`parts`, on their way. int32 are samples deeper than 8 bits, and come as uint16; the rest as they are."""
        landed: Any = None
        if self._lane.on_cuda:
            with self._lane:
                self._copies.wait_stream(self._lane.stream)
            landed = torch.cuda.Event(blocking=True)  # whoever waits sleeps: encoders want the cores
        with torch.cuda.stream(self._copies):
            landing = tuple(self._copied(part) for part in parts)
        if landed is not None:
            landed.record(self._copies)
        return Fetched(landing, landed)

    def _copied(self, part: Tensor) -> Tensor:
        # The low 16 bits of samples: torch knows uint16 as a type to hold, not to reckon with.
        words = part.to(torch.int16) if part.dtype == torch.int32 else part
        # Torch gives pinned memory out again once nothing refers to it and the copy into it is done.
        landing = torch.empty(part.shape, dtype=words.dtype, pin_memory=self._lane.on_cuda)
        if self._lane.on_cuda:
            part.record_stream(self._copies)
        return landing.copy_(words, non_blocking=True)


class FromDevice:
    """`sink`, which wants frames on the host, given frames on a device."""

    def __init__(self, sink: Sink, downloads: Downloads) -> None:
        self._sink, self._downloads = sink, downloads
        self.name = sink.name
        self.kind: SinkKind = sink.kind

    def write(self, frame: Frame) -> None:
        """Wait until the frame has come, and hand it on."""
        self._sink.write(self._downloads.begun(frame).on_host())

    def write_packet(self, packet: Packet) -> None:
        """Hand it on."""
        self._sink.write_packet(packet)

    def finish(self) -> SinkReport:
        """Finish the sink."""
        return self._sink.finish()

    def abort(self) -> None:
        """Abort the sink."""
        self._sink.abort()
