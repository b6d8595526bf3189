"""Frames as a live stream: turned upright, coded so that anybody can join within a second, muxed into a link."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
from av.video.frame import PictureType

from streammatte.color import ChromaLocation
from streammatte.errors import ConfigError, first_line
from streammatte.frame import Frame, StreamInfo
from streammatte.kernels.host import turn
from streammatte.sinks.frames import FrameWriter, read_plane, tag
from streammatte.sinks.options import SinkOptions
from streammatte.sinks.planning import Plan
from streammatte.sinks.streams.links import DATAGRAM, Link
from streammatte.sinks.streams.network_plan import USUAL_RATE

__all__ = ["Pictures", "Streaming", "stream_head"]

_CLOCK = Fraction(1, 90000)
_KEY_EVERY_S = 1.0
_CHROMA_OPTION = {ChromaLocation.LEFT: "left", ChromaLocation.CENTER: "center", ChromaLocation.TOP_LEFT: "topleft"}
_FLV_BUFFER = 1 << 15


class Pictures:
    """Makes what the encoder takes, of memory of its own, timed by the monotonic clock: cards repeat their pts."""

    def __init__(self, plan: Plan, info: StreamInfo) -> None:
        self._plan, self._turned = plan, info.rotation != 0
        sideways = info.rotation % 180 != 0
        stored = replace(plan, width=plan.height, height=plan.width) if sideways else plan
        self._stored, self._upright = FrameWriter(stored, "com"), FrameWriter(plan, "com")
        self._last = -1

    def convert(self, frame: Frame) -> av.VideoFrame:
        """The picture of `frame`, shown now."""
        out = self._stored.convert(frame)
        if self._turned:  # once its chroma is 4:2:0, which a quarter turn leaves so
            fmt = self._plan.format
            planes = (read_plane(out, index, fmt) for index in range(fmt.plane_count))
            turned = tuple(turn(plane, frame.rotation) for plane in planes)
            out = self._upright.convert(replace(frame, planes=turned, format=fmt, color=self._plan.color))
        self._last = max(self._last + 1, time.monotonic_ns() * 9 // 100_000)
        out.pts, out.time_base = self._last, _CLOCK
        return out


class Streaming:
    """One encoder in one container, for as long as `link` lasts. A key frame begins it, and then each second."""

    def __init__(self, plan: Plan, info: StreamInfo, options: SinkOptions, link: Link) -> None:
        """Nothing is sent before the first frame."""
        flv = plan.muxer == "flv"
        settings = {"flush_packets": "1", **({"flvflags": "no_duration_filesize"} if flv else {})}
        buffer = _FLV_BUFFER if flv else DATAGRAM
        self._container: Any = av.open(link, "w", plan.muxer, container_options=settings, buffer_size=buffer)
        self._stream: Any = self._container.add_stream(
            plan.encoder.library, rate=info.rate or USUAL_RATE, options=dict(plan.options)
        )
        context: Any = self._stream.codec_context
        context.width, context.height, context.pix_fmt = plan.width, plan.height, plan.av_format
        context.time_base = self._stream.time_base = _CLOCK
        context.sample_aspect_ratio = info.sar if info.rotation % 180 == 0 else 1 / info.sar
        context.thread_count = options.threads
        context.gop_size, context.max_b_frames = 10 * round(info.rate or USUAL_RATE), 0
        tag(context, plan.color)
        if plan.color.chroma_location in _CHROMA_OPTION:
            self._stream.options["chroma_sample_location"] = _CHROMA_OPTION[plan.color.chroma_location]
        self._start: int | None = None
        self._key = 0

    def open(self) -> None:
        """Open the encoder and write what the stream begins with. Raises av.FFmpegError, ValueError, OSError."""
        self._stream.codec_context.open()
        self._container.start_encoding()

    def write(self, picture: av.VideoFrame) -> None:
        """Code and send one picture. Raises OSError where the link is broken."""
        now = picture.pts or 0
        if self._start is None:
            self._start = self._key = now
        if now == self._key or (now - self._key) * _CLOCK >= _KEY_EVERY_S:
            # By the clock and not by count: cards come five times a second.
            picture.pict_type, self._key = PictureType.I, now
        picture.pts = now - self._start
        for packet in self._stream.encode(picture):
            self._container.mux_one(packet)

    def close(self) -> None:
        """End the stream as far as its link still allows."""
        with suppress(OSError, ValueError):
            self._container.close()


def stream_head(plan: Plan, info: StreamInfo, options: SinkOptions) -> bytes:
    """What the stream begins with, before a picture. Raises ConfigError where the encoder refuses its settings."""
    kept = _Kept()
    streaming = Streaming(plan, info, options, kept)
    try:
        streaming.open()
    except (av.FFmpegError, OSError, ValueError) as error:
        given = f"preset {options.preset!r}" if options.preset else f"{plan.width}x{plan.height} pictures"
        raise ConfigError("--preset", f"{plan.encoder.library} does not take {given} ({first_line(error)})") from error
    head = bytes(kept.content)
    streaming.close()
    return head


class _Kept:
    """A link that keeps what it is given."""

    closed = False

    def __init__(self) -> None:
        self.content = bytearray()

    def open(self) -> None:
        pass

    def write(self, content: bytes) -> None:
        self.content += content

    def check(self) -> None:
        pass

    def close(self) -> None:
        pass
