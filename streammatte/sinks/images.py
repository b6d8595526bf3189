"""Image files: a numbered PNG sequence, or one picture."""

from __future__ import annotations

import contextlib
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streammatte.color import ColorSpec
from streammatte.errors import SinkError
from streammatte.frame import Frame, Packet, StreamInfo
from streammatte.kernels.host import turn
from streammatte.ports import SinkKind, SinkReport
from streammatte.sinks.codecs import IMAGE_SUFFIXES
from streammatte.sinks.options import SinkOptions
from streammatte.sinks.partial import Partial, PartialFolder, sink_errors
from streammatte.sinks.rgb import alpha_samples, bgr_samples

__all__ = ["ImageSink"]

_NUMBER = re.compile(r"%0?\d*d")
_IN_FOLDER = "%06d.png"
_PNG_OPTIONS = [cv2.IMWRITE_PNG_COMPRESSION, 2]
_JPEG_OPTIONS = [cv2.IMWRITE_JPEG_QUALITY, 95]


class ImageSink:
    """Writes each frame as an image, upright: `com` as RGB, `fgr` as straight RGBA, `pha` as gray.

    `path` is a folder (000001.png, ...), a file name with a number in it (out_%06d.png), or one .png or .jpg
    for a source of one frame. 16 bits a sample where the source has more than 8.
    """

    def __init__(self, path: Path, kind: SinkKind, info: StreamInfo, options: SinkOptions) -> None:
        self.name = str(path)
        self.kind: SinkKind = kind
        self._path = path
        self._pattern = _pattern(path)
        self._jpeg = path.suffix.lower() in (".jpg", ".jpeg")
        self._frames = 0
        self._open = True
        self._notes = _notes(info)
        self._check(info, options)
        self._partial: Partial | PartialFolder = (
            Partial(path, options.force) if self._pattern is None else self._folder(options.force)
        )

    def _check(self, info: StreamInfo, options: SinkOptions) -> None:
        codec = "jpeg" if self._jpeg else "png"
        if options.codec not in (None, codec):
            raise SinkError(f"{self._path}: an image file is no {options.codec}; give a video file's name")
        if self._jpeg and self.kind == "fgr":
            raise SinkError(f"{self._path}: JPEG cannot hold alpha; use .png")
        if self._pattern is None and info.frame_count not in (None, 1):
            count = info.frame_count
            raise SinkError(f"{self._path}: is one image, the source has {count} frames; {self._hint()}")

    def _folder(self, force: bool) -> PartialFolder:
        assert self._pattern is not None
        if _is_folder(self._path):
            return PartialFolder(self._path, self._pattern, force)
        if not self._path.parent.is_dir():
            raise SinkError(f"{self._path}: the folder {self._path.parent} does not exist; make it first")
        return PartialFolder(self._path.parent, self._pattern, force)

    def _hint(self) -> str:
        return f"use {self._path.stem}_%06d{self._path.suffix} or a folder"

    def write(self, frame: Frame) -> None:
        """Write one image."""
        with self._dropped_on_error():
            if self._pattern is None and self._frames:
                raise SinkError(f"{self._path}: is one image, the source has more frames; {self._hint()}")
            self._frames += 1
            target = self._partial.temporary
            if self._pattern is not None:
                target = target / (self._pattern % self._frames)
            with sink_errors(self._path):
                target.write_bytes(self._encode(frame))

    def write_packet(self, packet: Packet) -> None:
        """Images hold no other streams."""

    def _encode(self, frame: Frame) -> bytes:
        picture = turn(_picture(frame, self.kind), frame.rotation)
        options = _JPEG_OPTIONS if self._jpeg else _PNG_OPTIONS
        if self._jpeg and picture.dtype != np.uint8:
            picture = np.asarray(np.rint(picture / 257.0), np.uint8)
        done, coded = cv2.imencode(".jpg" if self._jpeg else ".png", picture, options)
        if not done:
            raise SinkError(f"{self._path}: frame {frame.seq} could not be coded")
        raw = coded.tobytes()
        tells_hdr = frame.color.hdr and self.kind != "pha" and not self._jpeg
        return _with_cicp(raw, frame.color) if tells_hdr else raw

    def finish(self) -> SinkReport:
        """Give the images their final names."""
        with self._dropped_on_error():
            if not self._open:
                raise SinkError(f"{self._path}: is closed already")
            if self._frames == 0:
                raise SinkError(f"{self._path}: no frame was written")
            self._partial.promote()
        self._open = False
        return SinkReport(self.name, self._frames, "jpeg" if self._jpeg else "png", None, self._notes)

    def abort(self) -> None:
        """Drop what was written."""
        if self._open:
            self._open = False
            self._partial.discard()

    @contextlib.contextmanager
    def _dropped_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.abort()
            raise


def _is_folder(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() not in IMAGE_SUFFIXES


def _pattern(path: Path) -> str | None:
    """The printf pattern of the images' names; None for a single image."""
    if _is_folder(path):
        return _IN_FOLDER
    numbers = _NUMBER.findall(path.name)
    if not numbers and "%" not in path.name:
        return None
    if len(numbers) != 1 or path.name.count("%") != 1:
        example = f"{path.stem.partition('%')[0]}%06d{path.suffix}"
        raise SinkError(f"{path}: give the name one frame number, as in {example}")
    return path.name


def _notes(info: StreamInfo) -> tuple[str, ...]:
    notes = []
    if info.passthrough:
        notes.append("audio and subtitles are left out: images hold none")
    if info.rotation:
        notes.append("pictures are turned upright: images hold no rotation")
    if info.sar != 1:
        ratio = f"{info.sar.numerator}:{info.sar.denominator}"
        notes.append(f"samples are {ratio}, not square, which images do not say")
    return tuple(notes)


def _picture(frame: Frame, kind: SinkKind) -> npt.NDArray[Any]:
    if kind == "pha":
        return alpha_samples(frame.planes[0], frame.format)
    bgr = bgr_samples(frame)
    if kind == "com":
        return bgr
    if frame.alpha is None:
        raise SinkError(f"frame {frame.seq} has no alpha to write")
    return np.dstack([bgr, alpha_samples(frame.alpha, frame.format)])


def _with_cicp(png: bytes, color: ColorSpec) -> bytes:
    """The PNG with a cICP chunk (PNG 3rd edition, 11.3.2.6) that says it is PQ or HLG, right after IHDR."""
    body = b"cICP" + bytes([color.primaries, color.transfer, 0, 1])
    chunk = struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body))
    after_ihdr = 8 + 25
    return png[:after_ihdr] + chunk + png[after_ihdr:]
