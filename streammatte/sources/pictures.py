"""One coded picture (PNG, JPEG, WebP, TIFF, BMP, ...) decoded exactly, by FFmpeg's decoders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from streammatte.errors import SourceError
from streammatte.sources.opening import LENIENT, reason

__all__ = ["codec_of", "decode_picture"]

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "mjpeg"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"BM", "bmp"),
)

_STRICT = ("png", "mjpeg", "webp", "bmp")  # TIFF's decoder takes harmless tags for errors


def codec_of(payload: bytes) -> str | None:
    """FFmpeg's decoder for a picture, from its first bytes; names of files often lie."""
    if payload[:4] == b"RIFF" and payload[8:12] == b"WEBP":
        return "webp"
    return next((codec for magic, codec in _MAGIC if payload.startswith(magic)), None)


def decode_picture(path: Path, *, libjpeg: bool = False) -> tuple[av.VideoFrame, str]:
    """The picture in `path`, as `SourceOptions.libjpeg` has it, and its codec's name. Raises SourceError naming it."""
    try:
        payload = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: {_why_unread(error)}") from error
    if not payload:
        raise SourceError(f"{path}: the file is empty")
    codec = codec_of(payload)
    try:
        if codec is None:
            return _through_demuxer(path)
        decoded = _decoded(payload, codec)
    except (av.FFmpegError, IndexError, StopIteration) as error:
        why = reason(error) if isinstance(error, av.FFmpegError) else "no picture in it"
        raise SourceError(f"{path}: not a whole picture FFmpeg can read ({why}); replace it") from error
    if libjpeg and codec == "mjpeg":
        # OpenCV decodes by libjpeg and turns by EXIF; FFmpeg has seen to it that the file is whole.
        bgr = cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_COLOR)
        if bgr is None:
            raise SourceError(f"{path}: not a picture libjpeg can read; replace it")
        decoded = av.VideoFrame.from_ndarray(np.asarray(bgr, np.uint8), format="bgr24")
    return decoded, codec


def _why_unread(error: OSError) -> str:
    return "no such file" if isinstance(error, FileNotFoundError) else reason(error)


def _decoded(payload: bytes, codec: str) -> av.VideoFrame:
    context: Any = av.CodecContext.create(codec, "r")
    context.thread_type = "SLICE"  # frame threads would hold the picture back
    if codec in _STRICT:
        context.options = {"err_detect": "explode"}  # a cut picture is an error, not gray below the cut
    packet = av.Packet(len(payload))  # with the padding decoders read into, which av.Packet(payload) lacks
    packet.update(payload)
    frames: list[av.VideoFrame] = context.decode(packet)
    return frames[0]


def _through_demuxer(path: Path) -> tuple[av.VideoFrame, str]:
    with av.open(f"file:{path}", **LENIENT) as container:
        return next(container.decode(video=0)), container.streams.video[0].codec_context.name
