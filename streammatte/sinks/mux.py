"""Audio and subtitle streams that pass from the source to an output untouched."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import av
from av.container import OutputContainer
from av.packet import Packet as AvPacket

from streammatte.frame import Packet, StreamInfo

__all__ = ["Passthrough", "container_options"]

_HELD_BY = {"mov_text": ".mp4 or .mov", "webvtt": ".mkv or .webm", "dvb_teletext": ".ts"}
_MOST_TICKS = 2**31 - 1


def container_options(muxer: str, info: StreamInfo) -> dict[str, str]:
    """MP4's edit lists count in movie time, 1 ms by default: a scale all streams divide keeps them exact."""
    if muxer not in ("mp4", "mov"):
        return {}
    scales = [
        info.time_base.denominator,
        *(t.time_base.denominator for _, t in info.passthrough if t.time_base),
    ]
    ticks = math.lcm(*scales)
    while ticks > _MOST_TICKS and len(scales) > 1:
        scales.pop()
        ticks = math.lcm(*scales)
    ticks *= -(-1000 // ticks)
    return {"movie_timescale": str(ticks)} if ticks <= _MOST_TICKS else {}


class Passthrough:
    """The streams of `info.passthrough` that the container can hold, and their packets."""

    def __init__(self, container: OutputContainer, info: StreamInfo) -> None:
        self.notes: list[str] = []
        self.shifts: list[Fraction] = []
        """Least and greatest seconds by which muxed audio differs from the packets given, less `start_s`."""
        self.early_s = Fraction(0)
        """How far below 0 a stream begins, once its own encoder's delay, which containers hold, is taken off."""
        self._container = container
        self._streams: dict[int, Any] = {}
        held = container.supported_codecs if info.passthrough else set()
        for index, template in info.passthrough:
            self._add(index, template, held)

    def _add(self, index: int, template: Any, held: set[str]) -> None:
        name = getattr(template, "name", None) or "unknown"
        what = f"{template.type} stream {index} ({name})"
        muxer = self._container.format.name
        # FFmpeg says mp4 holds PCM, and fails on it when the file is complete.
        if name not in held or (muxer == "mp4" and name.startswith("pcm_")):
            self.notes.append(f"{what} is left out: {muxer} cannot hold it, {_HELD_BY.get(name, '.mkv')} can")
            return
        try:
            stream = self._container.add_stream_from_template(template)
        except (av.FFmpegError, ValueError) as error:
            self.notes.append(f"{what} is left out: {' '.join(str(error).split())}")
            return
        stream.metadata.update(template.metadata)
        stream.disposition = template.disposition
        self._streams[index] = stream

    def write(self, packet: Packet) -> None:
        """Mux a copy: muxing changes a packet, and other outputs are given the same one."""
        stream = self._streams.get(packet.stream_index)
        if stream is None or packet.payload.size == 0:
            return
        copy = _copy(packet.payload)
        _settle_times(copy, packet.start_s)
        if copy.pts is None:
            return
        given = copy.pts * copy.time_base
        self.early_s = max(self.early_s, -given - _delay_s(stream))
        copy.stream = stream
        self._container.mux_one(copy)
        if stream.type == "audio":
            shift = copy.pts * copy.time_base - given
            self.shifts = [min([shift, *self.shifts]), max([shift, *self.shifts])]


def _delay_s(stream: Any) -> Fraction:
    rate = stream.codec_context.sample_rate if stream.type == "audio" else 0
    return Fraction(stream.codec_context.delay, rate) if rate else Fraction(0)


def _copy(source: Any) -> AvPacket[Any]:
    # Sized first, filled after: a packet around Python bytes lacks the padding that bitstream filters read.
    copy: AvPacket[Any] = AvPacket(source.size)
    copy.update(bytes(source))
    copy.time_base = source.time_base
    copy.pts, copy.dts, copy.duration = source.pts, source.dts, source.duration
    copy.is_keyframe, copy.is_corrupt = source.is_keyframe, source.is_corrupt
    for side_data in source.iter_sidedata():
        copy.set_sidedata(side_data)
    return copy


def _settle_times(packet: AvPacket[Any], start_s: Fraction) -> None:
    """Take `start_s` off. Audio and subtitles are not reordered, so pts and dts stand in for each other."""
    offset = round(start_s / packet.time_base)
    packet.pts = packet.dts if packet.pts is None else packet.pts
    packet.dts = packet.pts if packet.dts is None else packet.dts
    if packet.pts is not None and packet.dts is not None:
        packet.pts -= offset
        packet.dts -= offset
