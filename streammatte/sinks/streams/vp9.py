"""The subject as VP9 with alpha in WebM: coded once for all, a thousandth of the raw stream's bits."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.frame import PictureType

from streammatte.errors import SinkError, first_line
from streammatte.frame import Frame, StreamInfo
from streammatte.handoff import Handoff
from streammatte.kernels.host import turn
from streammatte.sinks.bgra import check_subject, stream_notes
from streammatte.sinks.frames import FrameWriter, tag
from streammatte.sinks.options import SinkOptions
from streammatte.sinks.planning import Plan, plan
from streammatte.sinks.streams.clients import Clients, Wire
from streammatte.sinks.streams.clock import Clock, now_ms
from streammatte.sinks.streams.webm import cluster, coded_block, header
from streammatte.worker import Worker

__all__ = ["Vp9Stream"]

_MS = Fraction(1, 1000)
_KEY_EVERY = 15
"""Pictures; who has missed one waits for the next key."""
_KEY_SOON = 4
"""The same for a while after somebody has come: OBS throws away what it finds out the codec with."""
_WAITING = 8
"""Coded pictures that a client may be behind: each one missed spoils those up to the next key."""
_IDLE_S = 0.5
_USUAL_RATE = Fraction(30)
_LIVE = (("lag-in-frames", "0"), ("g", "9999"))  # keys are asked for, so that both layers have theirs together


class Vp9Stream:
    """Codes while somebody is connected. Whoever comes is begun with a key picture, the next that is coded."""

    codec = "vp9"
    container = "webm"

    def __init__(self, address: tuple[str, int], info: StreamInfo) -> None:
        """Raises OSError where `address` cannot be had."""
        self._stored, self._rotation = (info.width, info.height), info.rotation
        self.size = self._stored if info.rotation in (0, 180) else self._stored[::-1]
        told = replace(info, time_base=_MS, sar=Fraction(1), interlaced=False)
        self._plan = plan(Path("obs.webm"), "fgr", told, SinkOptions(codec="vp9"))
        self._writer = FrameWriter(self._plan, "fgr")
        self._notes = (*self._plan.notes, *stream_notes(info))
        self._slot: Handoff[av.VideoFrame] = Handoff(1, "drop_oldest")
        self._wanted = threading.Event()
        self._failure: Exception | None = None
        begin = partial(_WebmMuxer, header(*self.size, info.rate or _USUAL_RATE))
        self.clients: Clients[_Coded] = Clients(address, begin, _WAITING, self._wanted.set)
        self._coding = Worker("obs vp9", self._code)
        self._coding.start()

    @property
    def notes(self) -> tuple[str, ...]:
        """Anything done otherwise than asked, so far."""
        dropped = self._slot.dropped
        return (*self._notes, *((f"pictures that there was no time to code: {dropped}",) if dropped else ()))

    def show(self, frame: Frame) -> None:
        """Have it coded for those who are there. Raises SinkError where that has failed."""
        if self._failure is not None:
            raise SinkError(f"obs: VP9 failed: {first_line(self._failure)}; --to obs:raw needs no encoder")
        if len(self.clients):
            check_subject("obs", frame, self._stored)
            picture = _turned(self._writer.convert(frame), self._rotation)
            tag(picture, self._plan.color)
            picture.pts = now_ms()
            self._slot.put(picture)

    def close(self) -> None:
        """Send everybody away."""
        self._slot.close()
        self._coding.ended.wait()
        self.clients.close()

    def _code(self) -> None:
        coder: _Coder | None = None
        try:
            while not self._slot.over:
                picture = self._slot.take(_IDLE_S)
                if not len(self.clients):
                    coder = None  # its memory is freed, and the next one begins with a key
                elif picture is not None:
                    coder = coder or _Coder(self._plan, self.size)
                    for coded in coder.encode(picture, self._asked()):
                        self.clients.put(coded)
        except (av.FFmpegError, ValueError) as error:
            self._failure = error

    def _asked(self) -> bool:
        asked = self._wanted.is_set()
        self._wanted.clear()
        return asked


@dataclass(frozen=True, slots=True)
class _Coded:
    number: int
    time_ms: int
    block: bytes
    key: bool


class _Coder:
    """An encoder for the pictures of `plan`; both its layers have a key at once, and only where one is asked for."""

    def __init__(self, plan: Plan, size: tuple[int, int]) -> None:
        context: Any = av.CodecContext.create(plan.encoder.library, "w")
        context.width, context.height = size
        context.pix_fmt, context.time_base = plan.av_format, 1 / _USUAL_RATE
        context.options = dict(plan.options) | dict(_LIVE)
        tag(context, plan.color)
        self._context = context
        self._number = self._joined = self._key = 0

    def encode(self, picture: av.VideoFrame, asked: bool) -> list[_Coded]:
        """One picture in, one out: a key where `asked`, so that somebody can begin with it."""
        assert picture.pts is not None
        time_ms, number = picture.pts, self._number
        key = self._is_key(asked)
        picture.pts, picture.time_base = number, 1 / _USUAL_RATE
        picture.pict_type = PictureType.I if key else PictureType.NONE
        self._number += 1
        return [_Coded(number, time_ms, _block(packet, key), key) for packet in self._context.encode(picture)]

    def _is_key(self, asked: bool) -> bool:
        if asked:
            self._joined = self._number
        step = _KEY_SOON if self._number - self._joined < _KEY_EVERY else _KEY_EVERY
        key = asked or self._number == 0 or self._number - self._key >= step
        if key:
            self._key = self._number
        return key


def _block(packet: Any, key: bool) -> bytes:
    # Eight bytes of side data say that alpha is what follows (Matroska's BlockAddID 1).
    alpha = bytes(packet.get_sidedata("matroska_block_additional"))[8:]
    return coded_block(bytes(packet), alpha, key)


class _WebmMuxer:
    """One client's stream: from a key on, and from the next key on where pictures were missed."""

    def __init__(self, begin: bytes, wire: Wire) -> None:
        self._wire = wire
        self._clock = Clock()
        self._due: int | None = None
        wire.write(begin)

    def mux(self, item: _Coded) -> None:
        if item.key or item.number == self._due:
            self._due = item.number + 1
            self._wire.write(cluster(self._clock.since_first(item.time_ms), item.block))

    def close(self) -> None:
        """There is nothing that a live stream ends with."""


def _turned(picture: av.VideoFrame, degrees: int) -> av.VideoFrame:
    """Stored orientation to upright, plane by plane: 4:2:0 is the same either way."""
    if degrees == 0:
        return picture
    size = (picture.width, picture.height) if degrees == 180 else (picture.height, picture.width)
    upright = av.VideoFrame(*size, picture.format.name)
    for given, target in zip(picture.planes, upright.planes, strict=True):
        _samples(target)[:] = turn(_samples(given), degrees)
    return upright


def _samples(plane: Any) -> npt.NDArray[np.uint8]:
    return np.ndarray((plane.height, plane.width), np.uint8, buffer=plane, strides=(plane.line_size, 1))
