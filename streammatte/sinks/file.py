"""A video file: .mp4, .mov, .mkv, .webm."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer

from streammatte.errors import SinkError
from streammatte.frame import Frame, Packet, StreamInfo
from streammatte.ports import SinkKind, SinkReport
from streammatte.sinks.codecs import MATROSKA_LIKE
from streammatte.sinks.encode import VideoTrack
from streammatte.sinks.mux import Passthrough, container_options
from streammatte.sinks.options import SinkOptions
from streammatte.sinks.partial import Partial, sink_errors
from streammatte.sinks.planning import plan

__all__ = ["FileSink"]

# What the source's container says of itself and its own making; the new one says its own.
_NOT_CARRIED = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder", "duration"})


class FileSink:
    """Writes frames and passing packets into one container."""

    on_device: bool
    """It takes frames on the device of `SinkOptions.encoder`, and no others."""

    def __init__(self, path: Path, kind: SinkKind, info: StreamInfo, options: SinkOptions) -> None:
        self.name = str(path)
        self.kind: SinkKind = kind
        self._path = path
        self._plan = plan(path, kind, info, options)
        self.on_device = self._plan.on_device
        self._waiting: deque[Packet] = deque()
        self._partial: Partial | None = Partial(path, options.force)
        self._container: OutputContainer | None = None
        with self._dropped_on_error():
            self._open(info, options)

    def _open(self, info: StreamInfo, options: SinkOptions) -> None:
        assert self._partial is not None
        muxer = self._plan.muxer
        settings = container_options(muxer, info)
        container = av.open(str(self._partial.temporary), "w", format=muxer, container_options=settings)
        self._container = container
        container.metadata.update(_metadata(muxer, info, options))
        self._video = VideoTrack(container, self._plan, self.kind, info, options)
        self._passthrough = Passthrough(container, info)
        if not self.on_device:
            container.start_encoding()

    def write(self, frame: Frame) -> None:
        """Encode one frame."""
        with self._dropped_on_error():
            self._video.write(frame)
            self._pass_on()

    def write_packet(self, packet: Packet) -> None:
        """Mux a copy of one packet."""
        with self._dropped_on_error():
            self._waiting.append(packet)
            self._pass_on()

    def _pass_on(self) -> None:
        """Mux what waits. An encoder on a device opens with its first frame, and the container not before."""
        while self._waiting and (self._video.started or not self.on_device):
            self._passthrough.write(self._waiting.popleft())

    def finish(self) -> SinkReport:
        """Complete the file, check that it reached the disk and rename it."""
        with self._dropped_on_error():
            if self._container is None or self._partial is None:
                raise SinkError(f"{self._path}: is closed already")
            self._video.finish()
            self._pass_on()
            container, self._container = self._container, None
            container.close()
            self._partial.promote()
        self._partial = None
        notes = (*self._plan.notes, *self._passthrough.notes, *self._shift_notes())
        return SinkReport(self.name, self._video.frames, self._plan.codec, self._drift_ms(), notes)

    def _shift_notes(self) -> tuple[str, ...]:
        early_ms = float(self._passthrough.early_s * 1000)
        if self._plan.muxer not in MATROSKA_LIKE or early_ms < 1:
            return ()
        # AAC in MP4 begins before 0; FFmpeg then moves all streams, since Matroska's times are positive.
        return (f"all streams are {early_ms:.0f} ms later: the sound begins before 0, which only .mp4 and .mov hold",)

    def _drift_ms(self) -> float | None:
        video, audio = self._video.shifts, self._passthrough.shifts
        if not video or not audio:
            return None
        return float(max(abs(video[1] - audio[0]), abs(video[0] - audio[1])) * Fraction(1000))

    def abort(self) -> None:
        """Drop the file."""
        container, self._container = self._container, None
        partial, self._partial = self._partial, None
        if container is not None:
            with contextlib.suppress(av.FFmpegError, OSError, ValueError):
                container.close()
        if partial is not None:
            partial.discard()

    @contextlib.contextmanager
    def _dropped_on_error(self) -> Iterator[None]:
        """FFmpeg's and the system's errors become SinkErrors, and nothing stays behind after any error."""
        try:
            with sink_errors(self._path, *_FFMPEG_ERRORS):
                yield
        except BaseException:
            self.abort()
            raise


# Keys the container drops, and the one that it keeps in their place.
_STAND_INS = {"mp4": ("encoded_by", "encoding_tool"), "mov": ("encoded_by", "comment")}


def _metadata(muxer: str, info: StreamInfo, options: SinkOptions) -> dict[str, str]:
    kept = {key: value for key, value in info.metadata if key.lower() not in _NOT_CARRIED}
    kept |= dict(options.extra_metadata)
    dropped, held = _STAND_INS.get(muxer, ("", ""))
    if dropped in kept:
        kept.setdefault(held, kept[dropped])
    return kept


_FFMPEG_ERRORS: tuple[type[Any], ...] = (av.FFmpegError, ValueError)
