"""Small clips with known content, made with PyAV where a test needs them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[Any]


def planes_of(frame: av.VideoFrame) -> list[Samples]:
    """Writable views of a planar frame's samples, without line padding."""
    views = []
    for component, plane in zip(frame.format.components, frame.planes, strict=True):
        dtype = "u1" if component.bits <= 8 else ">u2" if frame.format.is_big_endian else "<u2"
        size = np.dtype(dtype).itemsize
        shape, strides = (plane.height, plane.width), (plane.line_size, size)
        views.append(np.ndarray(shape, dtype, buffer=plane, strides=strides))
    return views


def noise_frame(pix_fmt: str, size: tuple[int, int], seed: int = 0) -> av.VideoFrame:
    """A planar frame of random samples over the whole range of its bits."""
    frame, dice = av.VideoFrame(*size, pix_fmt), np.random.default_rng(seed)
    bits = frame.format.components[0].bits
    for view in planes_of(frame):
        view[...] = dice.integers(0, 1 << bits, view.shape)
    return frame


def smooth_frame(pix_fmt: str, size: tuple[int, int], seed: int = 0) -> av.VideoFrame:
    """A planar frame of gradients that codecs find easy; the seed moves it."""
    frame = av.VideoFrame(*size, pix_fmt)
    peak = (1 << frame.format.components[0].bits) - 1
    for i, view in enumerate(planes_of(frame)):
        y, x = np.mgrid[0 : view.shape[0], 0 : view.shape[1]]
        view[...] = (peak * (0.5 + 0.3 * np.sin((x + 2 * y) / 9 + seed / 5 + i))).astype(view.dtype)
    return frame


def write_clip(
    path: Path,
    frames: Sequence[av.VideoFrame],
    codec: str = "libx264",
    *,
    rate: Fraction | int = 25,
    pts: Iterable[int] | None = None,
    time_base: Fraction | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    container_metadata: dict[str, str] | None = None,
    audio_from_s: float | None = None,
    rotation: int | None = None,
    context: dict[str, Any] | None = None,
) -> Path:
    """Encode `frames` at `pts` (by default 0, 1, 2, ... of 1 / rate), with a tone from `audio_from_s` on.

    `context` sets attributes of the encoder: sample_aspect_ratio, color_trc, flags, ...
    """
    base = time_base or 1 / Fraction(rate)
    with av.open(str(path), "w", options=container_options or {}) as container:
        container.metadata.update(container_metadata or {})
        stream: Any = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height = frames[0].width, frames[0].height
        stream.pix_fmt, stream.time_base = frames[0].format.name, base
        stream.codec_context.time_base = base
        for name, value in (context or {}).items():
            setattr(stream.codec_context, name, value)
        if rotation is not None:
            stream.set_display_rotation(rotation)
        sound = None if audio_from_s is None else _add_sound(container)
        for frame, stamp in zip(frames, pts or range(len(frames)), strict=True):
            frame.pts, frame.time_base = stamp, base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if sound is not None:
            seconds = float(len(frames) / Fraction(rate))
            _write_tone(container, sound, audio_from_s or 0.0, seconds)
    return path


def _add_sound(container: Any) -> Any:
    stream = container.add_stream("aac", rate=48000)
    stream.layout = "mono"
    return stream


def _write_tone(container: Any, stream: Any, begin_s: float, end_s: float) -> None:
    for first in range(round(begin_s * 48000), round(end_s * 48000), 1024):
        wave = np.sin(np.arange(first, first + 1024) / 17).astype(np.float32) * 0.2
        frame = av.AudioFrame.from_ndarray(wave[None], "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, first, Fraction(1, 48000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def film(path: Path, count: int = 50, size: tuple[int, int] = (96, 64), **how: Any) -> Path:
    """A plain H.264 (unless told otherwise) clip of `count` frames at 25 a second."""
    how = {"options": {"preset": "ultrafast", "g": "10"}} | how
    return write_clip(path, [smooth_frame("yuv420p", size, i) for i in range(count)], **how)
