"""The subject with its alpha as B G R A: 8 bits, straight alpha, full range, upright. What OBS draws as it is."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from streammatte.color import decode_matrix
from streammatte.errors import SinkError
from streammatte.frame import Frame, PixelFormat, Plane, StreamInfo
from streammatte.kernels.bgra import pack_bgra
from streammatte.kernels.host import turn
from streammatte.sinks.frames import rescale
from streammatte.sinks.rgb import bgr_samples, image_format

__all__ = ["BgraPacker", "check_subject", "stream_notes"]

_SAMPLE = PixelFormat.named("gray")


class BgraPacker:
    """Packs frames of one stream; each value is rounded once, from the stream's own matrix and range.

    Colours stay where alpha is 0: whoever scales the picture mixes them into its edges.
    """

    def __init__(self, name: str, info: StreamInfo) -> None:
        """`name` is who complains of a frame that differs."""
        self._name = name
        self._stored = (info.width, info.height)
        self.width, self.height = self._stored if info.rotation in (0, 180) else self._stored[::-1]
        self.notes = (f"sent as 8-bit BGRA with straight alpha, from {info.format.name}", *stream_notes(info))
        if _in_one_pass(info.format):
            _compile(info)

    def pack(self, frame: Frame) -> npt.NDArray[np.uint8]:
        """A new contiguous array (height, width, 4). Raises SinkError as `check_subject` does."""
        given = check_subject(self._name, frame, self._stored)
        alpha = np.asarray(rescale(given, frame.format, _SAMPLE), np.uint8)
        packed = _packed(frame, alpha) if _in_one_pass(frame.format) else _through_rgb(frame, alpha)
        return turn(packed, frame.rotation)


def check_subject(name: str, frame: Frame, size: tuple[int, int]) -> Plane:
    """The frame's alpha. Raises SinkError where there is none, or the frame's stored size is not `size`."""
    if (frame.width, frame.height) != size:
        came, due = f"{frame.width}x{frame.height}", f"{size[0]}x{size[1]}"
        raise SinkError(f"{name}: frame {frame.seq} is {came}, the source was opened for {due}; start again")
    if frame.alpha is None:
        raise SinkError(f"{name}: frame {frame.seq} has no alpha to send")
    return frame.alpha


def stream_notes(info: StreamInfo) -> tuple[str, ...]:
    """What OBS will not be told of the stream."""
    notes = []
    if info.rotation:
        notes.append("pictures are turned upright: OBS is told no rotation")
    if info.sar != Fraction(1):
        notes.append(f"samples are {info.sar.numerator}:{info.sar.denominator}, not square, which OBS is not told")
    if info.color.hdr:
        notes.append("HDR is given as it is: OBS is not told")
    return tuple(notes)


def _in_one_pass(fmt: PixelFormat) -> bool:
    return fmt.model == "yuv" and fmt.log2_chroma_w < 2


def _compile(info: StreamInfo) -> None:
    """Seconds on a machine's first run: before anybody waits for a picture."""
    fmt = info.format
    planes = tuple(np.zeros(fmt.plane_shape(i, 2, 2), fmt.dtype) for i in range(fmt.plane_count))
    blank = Frame(planes, fmt, info.color, 0, info.time_base, 1, 0)  # type: ignore[arg-type]
    _packed(blank, np.zeros((2, 2), np.uint8))


def _packed(frame: Frame, alpha: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    spec = frame.color.resolved(frame.format.model, frame.height)
    matrix = decode_matrix(spec, frame.format.bits)
    return pack_bgra(frame.planes, alpha, frame.format, spec.chroma_location, matrix)


def _through_rgb(frame: Frame, alpha: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    colour = rescale(bgr_samples(frame), image_format(frame.format), _SAMPLE)
    return np.dstack([colour, alpha])
