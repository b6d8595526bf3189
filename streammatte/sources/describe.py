"""The `StreamInfo` of a container, once its first frame is known."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import av.container

from streammatte.frame import Frame, StreamInfo
from streammatte.sources import probe
from streammatte.sources.clock import Window

__all__ = ["describe"]


def describe(
    name: str,
    container: av.container.InputContainer,
    streams: probe.Streams,
    first: Frame,
    decoded: av.VideoFrame,
    window: Window,
    *,
    live: bool,
) -> StreamInfo:
    """What is known before the first frame is given; frames keep to it in size, format and orientation."""
    video: Any = streams.video
    rate = video.average_rate or video.guessed_rate or None
    whole = None if live else _duration(container, video)
    wanted = None if whole is None else _clipped(whole, video, window)
    estimate = round(wanted * rate) if wanted and rate else None
    return StreamInfo(
        name=name,
        width=first.width,
        height=first.height,
        format=first.format,
        color=first.color,
        time_base=first.time_base,
        rate=rate,
        frame_count=video.frames if video.frames and wanted == whole else estimate,
        duration_s=None if wanted is None else float(wanted),
        sar=first.sar,
        rotation=first.rotation,
        has_alpha=first.alpha is not None,
        interlaced=first.interlaced,
        live=live,
        codec=video.codec_context.codec.canonical_name,
        container=container.format.name,
        bit_rate=container.bit_rate or video.codec_context.bit_rate or None,
        metadata=probe.carried_metadata(container),
        passthrough=tuple((stream.index, stream) for stream in streams.passing),
        not_carried=streams.left_out,
        mastering_display=probe.mastering_display(decoded),
        content_light=probe.content_light(decoded),
    )


def _duration(container: av.container.InputContainer, video: Any) -> Fraction | None:
    if video.duration and video.time_base:
        return Fraction(video.duration * video.time_base)
    return Fraction(container.duration, 1_000_000) if container.duration else None


def _clipped(whole: Fraction, video: Any, window: Window) -> Fraction:
    origin = probe.start_time(video)
    end = whole if window.end_s is None else min(whole, window.end_s - origin)
    return max(Fraction(0), end - (window.start_s - origin))
