"""The video track of an output: an encoder in a container, frames in, muxed packets out."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
from av.container import OutputContainer

from streammatte.color import ChromaLocation
from streammatte.errors import SinkError
from streammatte.frame import Frame, StreamInfo
from streammatte.ports import SinkKind
from streammatte.sinks.codecs import MATROSKA_LIKE
from streammatte.sinks.frames import FrameWriter, tag
from streammatte.sinks.options import SinkOptions, Writer
from streammatte.sinks.planning import Plan

__all__ = ["VideoTrack"]

# SVT-AV1 prints to the terminal by itself; it reads this once, when first used.
os.environ.setdefault("SVT_LOG", "0")

_CODED_AS_FIELDS = 0x00040000 | 0x20000000  # AV_CODEC_FLAG_INTERLACED_DCT | _ME
_TOP_FIELD_FIRST = 2  # AV_FIELD_TT
_CHROMA_OPTION = {
    ChromaLocation.LEFT: "left",
    ChromaLocation.CENTER: "center",
    ChromaLocation.TOP_LEFT: "topleft",
    ChromaLocation.TOP: "top",
    ChromaLocation.BOTTOM_LEFT: "bottomleft",
    ChromaLocation.BOTTOM: "bottom",
}
_RATE_IF_UNKNOWN = Fraction(30)  # a hint to rate control; times come from pts


class VideoTrack:
    """Encodes frames in order. One is held back, so that each packet's duration is known when it is muxed."""

    def __init__(
        self, container: OutputContainer, plan: Plan, kind: SinkKind, info: StreamInfo, options: SinkOptions
    ) -> None:
        self.frames = 0
        self._packets = 0
        self._mux: Callable[[Any], None] = container.mux_one
        self._writer = _writer(plan, kind, options)
        self._stream: Any = _add(container, plan, info, options)
        self._fields = _field_flag(self._stream, plan, info)
        self._size = (info.width, info.height)
        self._held: tuple[av.VideoFrame, int] | None = None
        self._step = 0
        self._durations: dict[int, int] = {}
        self._dts_timed = plan.muxer not in MATROSKA_LIKE
        self.started = False
        """The encoder is open: it has been given a frame."""
        self._start: tuple[int, int] | None = None
        """First pts given, first dts muxed."""
        self._ends: int | None = None
        self.shifts: list[Fraction] = []
        """Least and greatest seconds by which muxed packets differ from the frames given."""

    def write(self, frame: Frame) -> None:
        """Take the next frame."""
        if (frame.width, frame.height) != self._size:
            want = "x".join(map(str, self._size))
            raise SinkError(f"frame {frame.seq} is {frame.width}x{frame.height}, the output is {want}")
        out = self._writer.convert(frame)
        self._encode_held(frame.pts)
        self._held = out, frame.duration
        self.frames += 1

    def _encode_held(self, next_pts: int | None) -> None:
        if self._held is None:
            return
        out, duration = self._held
        assert out.pts is not None
        # The container counts a frame until the next one starts; only the last needs what the source says.
        self._step = next_pts - out.pts if next_pts is not None else (duration or self._step or 1)
        self._durations[out.pts] = self._step
        self._ends = None if next_pts is not None else out.pts + self._step
        packets = self._stream.encode(self._fields.set(out) if self._fields is not None else out)
        self.started = True
        self._send(packets)

    def _send(self, packets: list[Any]) -> None:
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts, packet.duration)
            if self._start is None:
                self._start = packet.pts, packet.dts
            if self._dts_timed and packet is packets[-1] and not self._durations:
                self._stretch(packet)
            given = packet.pts * packet.time_base
            packet.stream = self._stream
            self._mux(packet)
            shift = packet.pts * packet.time_base - given
            self.shifts = [min([shift, *self.shifts]), max([shift, *self.shifts])]
            self._packets += 1

    def _stretch(self, packet: Any) -> None:
        """MP4 measures a track in decoding order: its last packet must end where the last picture does."""
        if self._ends is not None and packet.dts is not None and self._start is not None:
            packet.duration = max(1, self._ends - self._start[0] - (packet.dts - self._start[1]))

    def finish(self) -> None:
        """Encode what is held and drain the encoder."""
        if self.frames == 0:
            raise SinkError("no frame was written")
        self._encode_held(None)
        self._held = None
        self._send(self._stream.encode(None))
        if self._packets != self.frames:
            raise SinkError(f"the encoder took {self.frames} frames and gave {self._packets}; this is a bug")


def _writer(plan: Plan, kind: SinkKind, options: SinkOptions) -> Writer:
    if not plan.on_device:
        return FrameWriter(plan, kind)
    assert options.encoder is not None  # it was planned for
    return options.encoder.writer(plan)


def _add(container: OutputContainer, plan: Plan, info: StreamInfo, options: SinkOptions) -> Any:
    """The stream, ready to be opened: time, colour, shape."""
    rate = info.rate if info.rate is not None and info.rate > 0 else _RATE_IF_UNKNOWN
    stream: Any = container.add_stream(plan.encoder.library, rate=rate, options=dict(plan.options))
    context = stream.codec_context
    context.width, context.height, context.pix_fmt = plan.width, plan.height, plan.av_format
    context.time_base = stream.time_base = info.time_base
    context.sample_aspect_ratio = info.sar
    context.thread_count = options.threads
    context.thread_type = "AUTO"
    tag(context, plan.color)
    if plan.format.model == "yuv" and plan.color.chroma_location in _CHROMA_OPTION:
        stream.options["chroma_sample_location"] = _CHROMA_OPTION[plan.color.chroma_location]
    if plan.codec == "ffv1":
        stream.options["slices"] = _slices(plan)
    if plan.codec == "hevc" and plan.muxer in ("mp4", "mov"):
        context.codec_tag = "hvc1"  # QuickTime plays no hev1
    if info.rotation:
        stream.set_display_rotation(info.rotation)
    return stream


def _slices(plan: Plan) -> str:
    """FFV1 refuses slice counts that do not divide subsampled chroma well; trying beats its rule."""
    for count in ("12", "0"):
        trial: Any = av.CodecContext.create("ffv1", "w")
        trial.width, trial.height, trial.pix_fmt = plan.width, plan.height, plan.av_format
        trial.time_base, trial.options = Fraction(1, 25), {**dict(plan.options), "slices": count}
        with contextlib.suppress(av.FFmpegError, ValueError):
            trial.open()
            return count
    return "1"


def _field_flag(stream: Any, plan: Plan, info: StreamInfo) -> _FieldFlag | None:
    if not (info.interlaced and plan.encoder.interlaced):
        return None
    stream.codec_context.flags |= _CODED_AS_FIELDS
    stream.codec_context.field_order = _TOP_FIELD_FIRST
    return _FieldFlag(plan, info.time_base)


class _FieldFlag:
    """Marks frames top field first, which PyAV can only do through a filter; pixels are left alone."""

    def __init__(self, plan: Plan, time_base: Fraction) -> None:
        self._color = plan.color
        self._graph = av.filter.Graph()
        fmt = av.VideoFormat(plan.av_format)
        source = self._graph.add_buffer(width=plan.width, height=plan.height, format=fmt, time_base=time_base)
        fields, sink = self._graph.add("setfield", "mode=tff"), self._graph.add("buffersink")
        self._graph.link_nodes(source, fields, sink).configure()

    def set(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The same picture, flagged."""
        self._graph.push(frame)
        flagged = self._graph.pull()
        assert isinstance(flagged, av.VideoFrame)
        tag(flagged, self._color)
        return flagged
