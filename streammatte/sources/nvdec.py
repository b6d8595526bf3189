"""Decoding on an NVIDIA GPU (NVDEC): frames whose planes are tensors there and never were on the host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import av
import torch
from av.codec.hwaccel import HWAccel

from streammatte.frame import PixelFormat
from streammatte.kernels.torch.lane import Lane
from streammatte.kernels.torch.semiplanar import planar
from streammatte.sources.layouts import SEMIPLANAR
from streammatte.sources.opening import reason
from streammatte.sources.planes import Picture

__all__ = ["Nvdec", "nvdec_refusal"]

_DEEP = ("yuv420p", "yuvj420p", "yuv420p10le")
_DECODES = {"h264": ("yuv420p", "yuvj420p"), "hevc": _DEEP, "vp9": _DEEP, "av1": _DEEP}
"""What GPUs since 2016 decode (AV1 since 2020) and PyAV hands on: 4:2:0, as NV12 or P010."""


def nvdec_refusal(codec: str, pix_fmt: str | None, width: int, height: int, *, alpha: bool = False) -> str | None:
    """Why a stream is not given to NVDEC, in words; None where it may be tried. Names are FFmpeg's.

    Whether this GPU decodes the codec is not asked: it is tried.
    """
    if codec not in _DECODES:
        return f"{codec} is not decoded on the GPU"
    if alpha:
        return "the GPU's decoder drops alpha"
    if pix_fmt not in _DECODES[codec]:
        return f"{codec} of pixel format {pix_fmt} is not decoded on the GPU"
    if width % 2 or height % 2:
        return f"{width}x{height} is odd, and the last colour would be lost"
    return None


class Nvdec:
    """The decoder of the GPU that `lane` is on; port `Decoder`."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    def refusal(self, video: av.VideoStream) -> str | None:
        """Why it is not to decode this stream, in words: no such codec or format, or no GPU."""
        context = video.codec_context
        alpha = video.metadata.get("alpha_mode") == "1"
        why = nvdec_refusal(context.codec.canonical_name, context.pix_fmt, context.width, context.height, alpha=alpha)
        return why or self._unopened(context.codec)

    def _unopened(self, codec: av.Codec) -> str | None:
        try:
            self.hwaccel().create(codec)
        except NotImplementedError:
            return f"FFmpeg's decoder {codec.name} knows no GPU"
        except (av.FFmpegError, OSError) as error:
            return f"the GPU's decoder cannot be opened ({reason(error)})"
        return None

    def hwaccel(self) -> HWAccel:
        """FFmpeg's settings: this GPU, torch's own context, frames that stay there."""
        with self._lane:
            # The context that is current is torch's only once torch has worked in this thread. FFmpeg's other way to
            # it, primary_ctx, fails when torch was first: it wants flags on the context that torch does not set.
            torch.zeros(1, device=self._lane.device)
        return HWAccel(
            "cuda",
            device=str(self._lane.device.index or 0),
            options={"primary_ctx": "0", "current_ctx": "1"},
            is_hw_owned=True,
            allow_software_fallback=False,
        )

    def unpack(self, frame: av.VideoFrame) -> Picture:
        """The planes of an NV12 or P010 frame, copied on the lane: the decoder has few surfaces and wants them back."""
        layout = SEMIPLANAR[(frame.sw_format or frame.format).name]
        target = PixelFormat.named(layout.planar)
        with self._lane, self._between_decodings():
            # As capsules: asked by torch for a stream, PyAV refuses.
            luma, pairs = (torch.from_dlpack(plane.__dlpack__()) for plane in frame.planes)
            planes = planar(luma, pairs, target, layout.shift)
            if target.bits <= 8:
                planes = tuple(plane.clone(memory_format=torch.contiguous_format) for plane in planes)
        return Picture(planes, target)

    @contextmanager
    def _between_decodings(self) -> Iterator[None]:
        """What the lane is given here comes after the frame was written and before its surface is written again.

        FFmpeg does both in order of the GPU's default stream (it makes its device with no other), which does not
        order itself with torch's streams. Two waits on the GPU do; the host waits for nothing.
        """
        if not self._lane.on_cuda:
            yield
            return
        decoding = torch.cuda.default_stream(self._lane.device)
        self._lane.stream.wait_stream(decoding)
        try:
            yield
        finally:
            decoding.wait_stream(self._lane.stream)
