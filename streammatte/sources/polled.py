"""A device opened so that reading it never blocks, and what is read outlives it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import av

__all__ = ["Opened", "Polled", "open_polled", "why_not"]

_OPENING_S = 5.0
"""Ends the search for a first MJPEG picture, which opening makes."""
_NONBLOCK = "+4"
"""AVFMT_FLAG_NONBLOCK, which has no name among fflags. V4L2 looks at it while opening, and never again."""


class Opened(Protocol):
    """An open device."""

    streams: Any

    def demux(self, stream: Any) -> Iterator[Any]:
        """Packets whose memory is their own; av.BlockingIOError where none has come yet, InvalidDataError if torn."""

    def close(self) -> None:
        """Release the device; not while it is read."""


class Polled:
    """An `av` container of a V4L2 device, whose packets are copied.

    V4L2's own lie in memory that closing the device takes away, and give themselves back to it when they are let go:
    a frame that is still shown when its camera is unplugged would end the process.
    """

    def __init__(self, container: Any) -> None:
        self._container = container
        self.streams = container.streams

    def demux(self, stream: Any) -> Iterator[Any]:
        """One packet, none at the end."""
        reading = self._container.demux(stream)
        packet = next(reading, None)
        reading.close()  # it holds the packet too
        if packet is None or (not packet.size and packet.pts is None):
            return
        if not packet.size:  # to a decoder it would be the end
            raise av.InvalidDataError(0, "the driver says that this picture is damaged")
        copied: Any = av.Packet(packet.size)
        copied.update(packet)
        yield _Copied(stream.codec_context, copied)

    def close(self) -> None:
        """Release the device; not while it is read."""
        self._container.close()


@dataclass(frozen=True, slots=True)
class _Copied:
    context: Any
    packet: Any

    def decode(self) -> list[Any]:
        found: list[Any] = self.context.decode(self.packet)
        return found


def open_polled(place: str, system: str, settings: dict[str, str]) -> Opened:
    """Open `place` with FFmpeg's input device `system`. Raises av.FFmpegError, OSError."""
    options = {**settings, "fflags": _NONBLOCK}
    container: Any = av.open(place, format=system, options=options, timeout=(_OPENING_S, None))
    opened: Opened = Polled(container) if system == "v4l2" else container
    return opened


def why_not(error: BaseException) -> str:
    """What a failed opening or reading means, as what follows the device's name, and what to do."""
    if isinstance(error, (av.FFmpegError, OSError)):
        return {
            "Device or resource busy": "is in use; close the program that has it",
            "Permission denied": "may not be opened by you; add yourself to the video group and log in again",
            "No such device": "is gone; plug it in again",
            "Inappropriate ioctl for device": "is no camera",
        }.get(str(error.strerror), f"cannot be read ({error.strerror})")
    return str(error)
