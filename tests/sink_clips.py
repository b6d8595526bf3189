"""Frames, stream infos and small source files for the sink tests."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType

from streammatte.color import ColorSpec
from streammatte.frame import Frame, Packet, PixelFormat, Plane, StreamInfo
from streammatte.ports import Sink, SinkKind, SinkReport

BT709 = ColorSpec(1, 1, 1, False)
PQ = ColorSpec(9, 9, 16, False)
FILM = Fraction(1001, 24000)
_P3 = ((34000, 16000), (13250, 34500), (7500, 3000))


def ramp_alpha(width: int, height: int, fmt: PixelFormat, seed: int = 0) -> Plane:
    """Every alpha value there is, a soft disc and flat ends."""
    y, x = np.mgrid[0:height, 0:width]
    disc = np.clip((height * 0.4 - np.hypot(y - height / 2, x - width / 2 - seed)) / (height * 0.2) + 0.5, 0, 1)
    alpha = np.rint(disc * fmt.peak).astype(fmt.dtype)
    values = np.linspace(0, fmt.peak, width * (height // 4)).astype(fmt.dtype)
    alpha[: height // 4] = values.reshape(height // 4, width)
    return alpha


def colour_planes(width: int, height: int, fmt: PixelFormat, seed: int = 0) -> tuple[Plane, ...]:
    """A smooth moving picture within limited range."""
    planes = []
    for index in range(fmt.plane_count):
        h, w = fmt.plane_shape(index, width, height)
        y, x = np.mgrid[0:h, 0:w]
        wave = np.sin(x / w * 5 + index + seed / 7) * np.cos(y / h * 4 - index)
        planes.append(np.rint((128 + 90 * wave) * (1 << (fmt.bits - 8))).astype(fmt.dtype))
    return tuple(planes)


def make_info(name: str = "yuv420p", width: int = 64, height: int = 48, **changes: Any) -> StreamInfo:
    values: dict[str, Any] = {
        "name": "test",
        "width": width,
        "height": height,
        "format": PixelFormat.named(name),
        "color": BT709,
        "time_base": Fraction(1, 25),
        "rate": Fraction(25),
    }
    return StreamInfo(**(values | changes))


def make_frames(info: StreamInfo, kind: SinkKind, pts: Sequence[int] = range(6), last: int = 1) -> list[Frame]:
    """Frames of the kind a sink is given; `last` is the last one's duration."""
    frames = []
    for seq, stamp in enumerate(pts):
        alpha = ramp_alpha(info.width, info.height, info.format, seq)
        fmt, color = info.format, info.color
        planes = colour_planes(info.width, info.height, fmt, seq)
        if kind == "pha":
            fmt = PixelFormat.named("gray" if fmt.bits == 8 else f"gray{fmt.bits}le")
            planes, color = (alpha,), ColorSpec(full_range=True)
        frames.append(
            Frame(
                planes,
                fmt,
                color,
                stamp,
                info.time_base,
                (pts[seq + 1] - stamp) if seq + 1 < len(pts) else last,
                seq,
                alpha=alpha if kind == "fgr" else None,
                rotation=info.rotation,
                sar=info.sar,
                interlaced=info.interlaced,
            ).check()
        )
    return frames


def write_all(sink: Sink, frames: Sequence[Frame], packets: Sequence[Packet] = ()) -> SinkReport:
    """Frames and packets interleaved by time, then finish."""
    waiting = list(packets)
    for frame in frames:
        sink.write(frame)
        while waiting and waiting[0].payload.pts * waiting[0].payload.time_base <= frame.time:
            sink.write_packet(waiting.pop(0))
    for packet in waiting:
        sink.write_packet(packet)
    return sink.finish()


def decode(path: Path, decoder: str | None = None) -> list[av.VideoFrame]:
    """All frames; `decoder` picks one that keeps VP9's alpha."""
    with av.open(str(path)) as container:
        if decoder is None:
            return list(container.decode(video=0))
        context: Any = av.CodecContext.create(decoder, "r")
        frames: list[av.VideoFrame] = []
        for packet in container.demux(video=0):
            frames += context.decode(packet if packet.size else None)
        return frames


def plane(frame: av.VideoFrame, index: int, dtype: Any = np.uint8) -> Any:
    """One plane of a decoded planar frame as an array."""
    av_plane = frame.planes[index]
    rows = np.frombuffer(av_plane, dtype).reshape(av_plane.height, -1)
    return rows[:, : av_plane.width].copy()


def audio_source(path: Path, codec: str = "aac", seconds: float = 0.5) -> Path:
    """A file with a tone in French."""
    rate, size = 48000, 960
    wave = (np.sin(np.arange(int(rate * seconds)) * 0.05) * 8000).astype(np.int16)
    with av.open(str(path), "w") as out:
        audio: Any = out.add_stream(codec, rate=rate)
        audio.metadata["language"] = "fra"
        resampler = av.AudioResampler(audio.codec_context.format, "stereo", rate)
        for start in range(0, len(wave) - size, size):
            block = np.repeat(wave[start : start + size], 2).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(block, "s16", "stereo")
            frame.rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            for piece in resampler.resample(frame):
                out.mux(audio.encode(piece))
        out.mux(audio.encode(None))
    return path


def subtitle_source(path: Path) -> Path:
    """A SubRip text of two lines."""
    path.write_text("1\n00:00:00,040 --> 00:00:00,120\nun\n\n2\n00:00:00,160 --> 00:00:00,200\ndeux\n")
    return path


def passthrough(path: Path) -> tuple[Any, tuple[tuple[int, Any], ...], list[Packet]]:
    """The open file (keep it open), its templates and its packets."""
    container = av.open(str(path))
    streams = tuple((stream.index, stream) for stream in container.streams if stream.type in ("audio", "subtitle"))
    packets = [Packet(p.stream.index, p) for p in container.demux() if p.size and p.stream.type != "video"]
    return container, streams, packets


def stream_bytes(path: Path, kind: str = "audio") -> list[tuple[bytes, Fraction]]:
    """Each packet of the first stream of `kind`: its bytes and its time."""
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams if s.type == kind)
        return [(bytes(p), p.pts * p.time_base) for p in container.demux(stream) if p.size]


@dataclass(frozen=True)
class Mastering:
    """P3 primaries, D65, 0.0001 to 1000 cd/m2, shaped as a source gives it."""

    primaries: Any = tuple((Fraction(x, 50000), Fraction(y, 50000)) for x, y in _P3)
    white_point: Any = (Fraction(15635, 50000), Fraction(16450, 50000))
    min_luminance: Any = Fraction(1, 10000)
    max_luminance: Any = Fraction(1000)


def mastering_numbers(frame: av.VideoFrame) -> list[float] | None:
    """The ten numbers of a decoded frame's mastering display."""
    container: Any = frame.side_data
    payload = container.get(SideDataType.MASTERING_DISPLAY_METADATA)
    if payload is None:
        return None
    words = struct.unpack("=20i", bytes(payload)[:80])
    return [a / b for a, b in zip(words[::2], words[1::2], strict=True)]


def content_light(frame: av.VideoFrame) -> tuple[int, ...] | None:
    """A decoded frame's (MaxCLL, MaxFALL)."""
    container: Any = frame.side_data
    payload = container.get(SideDataType.CONTENT_LIGHT_LEVEL)
    return None if payload is None else struct.unpack("=2I", bytes(payload)[:8])
