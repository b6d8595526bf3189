"""Encoding on an NVIDIA GPU (NVENC): frames go from torch to the encoder without a sample on the host."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import torch
from av.video.frame import CudaContext
from torch import Tensor

from streammatte.color import ChromaLocation
from streammatte.frame import Frame, PixelFormat, StreamInfo
from streammatte.kernels.torch.lane import Lane
from streammatte.kernels.torch.planes import planes_of
from streammatte.kernels.torch.semiplanar import semiplanar
from streammatte.sinks.codecs import NVENC
from streammatte.sinks.frames import tag
from streammatte.sinks.options import SinkOptions
from streammatte.sinks.planning import Plan

__all__ = ["Nvenc", "SurfaceWriter", "nvenc_refusal", "surface"]

_LAYOUTS = {"yuv420p": ("nv12", 0), "yuv420p10le": ("p010le", 6)}
"""Of each planar format: the GPU's, and the empty bits below a sample there."""
_PITCH = 256
"""Bytes that a row of a surface is a multiple of, as in those that FFmpeg makes itself."""
_ASSUMED_UNTAGGED = (ChromaLocation.UNSPECIFIED, ChromaLocation.LEFT)


def nvenc_refusal(usual: Plan, info: StreamInfo, options: SinkOptions) -> str | None:
    """Why NVENC is not asked to do what is planned for the CPU, in words; None where it may be tried."""
    encoder = NVENC.get(usual.codec)
    if encoder is None:
        return f"the GPU's encoder has no {usual.codec}"
    if usual.format.name not in encoder.formats:
        return f"{encoder.library} is not given {usual.format.name}"
    if usual.format != info.format:
        return "pixels are converted"
    if options.preset is not None:
        return f"preset {options.preset} is {usual.encoder.library}'s"
    low, high = encoder.quality_range
    if options.crf is not None and not low <= options.crf <= high:
        return f"{encoder.library} has no quality {options.crf}"
    return _untold(info)


def _untold(info: StreamInfo) -> str | None:
    """What the GPU's encoder cannot say of the picture, that others can."""
    if info.interlaced:
        return "pictures are interlaced"
    if info.mastering_display is not None or info.content_light is not None:
        return "the GPU's encoder has no place for HDR mastering data"
    if info.color.chroma_location not in _ASSUMED_UNTAGGED:
        return "the GPU's encoder does not say where chroma sits"
    return None


class Nvenc:
    """The encoder of the GPU that `lane` is on; port `DeviceEncoder`."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    def refusal(self, usual: Plan, info: StreamInfo, options: SinkOptions) -> str | None:
        """As `nvenc_refusal`."""
        return nvenc_refusal(usual, info, options)

    def unopened(self, plan: Plan) -> str | None:
        """Why it does not open for this plan, by opening it. GPUs of datacentres have no encoder, others a limit."""
        trial: Any = av.CodecContext.create(plan.encoder.library, "w")
        trial.width, trial.height, trial.pix_fmt = plan.width, plan.height, _LAYOUTS[plan.format.name][0]
        trial.time_base = Fraction(1, 25)
        trial.options = {**dict(plan.options), "gpu": str(self._lane.device.index or 0)}
        try:
            trial.open()
        except (av.FFmpegError, OSError) as error:
            return f"{plan.encoder.library} cannot be opened ({error.strerror or error})".lower()
        return None

    def writer(self, plan: Plan) -> SurfaceWriter:
        """What turns frames on the lane's device into surfaces of the GPU."""
        return SurfaceWriter(plan, self._lane)


class SurfaceWriter:
    """Makes NV12 or P010 frames of frames on a device; port `Writer`."""

    def __init__(self, plan: Plan, lane: Lane) -> None:
        self._plan, self._lane = plan, lane
        # Torch's own context. FFmpeg asks for it when the first frame is made, by a thread in which torch has worked.
        index = lane.device.index or 0
        self._context = CudaContext(index, primary_ctx=False, current_ctx=True) if lane.on_cuda else None

    def convert(self, frame: Frame) -> av.VideoFrame:
        """A frame of its own memory, and complete: the encoder reads it in no order that torch knows of."""
        plan = self._plan
        made: Any = torch.cuda.Event(blocking=True) if self._lane.on_cuda else None
        with self._lane:
            parts = surface(planes_of(frame), plan.width, plan.height, plan.format)
            layout = _LAYOUTS[plan.format.name][0]
            out = av.VideoFrame.from_dlpack(parts, format=layout, cuda_context=self._context)
            if made is not None:
                made.record(self._lane.stream)
        if made is not None:
            made.synchronize()
        tag(out, plan.color)
        out.pts, out.time_base = frame.pts, frame.time_base
        return out


def surface(planes: tuple[Tensor, ...], width: int, height: int, source: PixelFormat) -> tuple[Tensor, Tensor]:
    """Luma (height, width) and pairs of chroma (height / 2, width / 2, 2), both even, from 4:2:0 planes of `source`.

    Both lie in one piece of memory with rows of one length, luma first: the encoder is told where luma is, and finds
    chroma behind it. Rows and columns beyond the planes repeat the last one.
    """
    luma, pairs = (part.view(_stored(source)) for part in semiplanar(planes, source, _LAYOUTS[source.name][1]))
    row = _PITCH // luma.element_size()
    whole = torch.empty((height * 3 // 2, -(-width // row) * row), dtype=luma.dtype, device=luma.device)
    top, left = luma.shape
    whole[:top, :left] = luma
    whole[:top, left:width] = luma[:, -1:]
    whole[top:height] = whole[top - 1]
    whole[height:, :width] = pairs.flatten(1)
    samples = whole if source.bits <= 8 else whole.view(torch.uint16)
    return samples[:height, :width], samples[height:, :width].unflatten(1, (width // 2, 2))


def _stored(source: PixelFormat) -> torch.dtype:
    # int16 of the same bits: torch knows uint16 as a type to hold, not to write to
    return torch.uint8 if source.bits <= 8 else torch.int16
