"""What the user may say about an output file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import av

    from streammatte.frame import Frame, StreamInfo

__all__ = ["LOOPBACK", "DeviceEncoder", "SinkOptions", "Writer"]

LOOPBACK = "127.0.0.1"


class Writer(Protocol):
    """Makes the frames an encoder is given."""

    def convert(self, frame: Frame) -> av.VideoFrame:
        """A frame of its own memory: the source's planes may be reused once this returns."""


class DeviceEncoder(Protocol):
    """Encodes frames that are on a device, with what `codecs` lists as NVENC. A plan is one of `planning`."""

    def refusal(self, usual: Any, info: StreamInfo, options: SinkOptions) -> str | None:
        """Why it is not asked to do what is planned for the CPU, in words; None where it may be tried."""

    def unopened(self, plan: Any) -> str | None:
        """Why it cannot do what is planned for it here, in words; None if it can."""

    def writer(self, plan: Any) -> Writer:
        """What turns frames whose planes are on the device into the encoder's."""


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """Settings of one output; None leaves the choice to the tables in `codecs`."""

    codec: str | None = None
    """h264, hevc, av1, vp9, prores, ffv1 or png."""
    crf: int | None = None
    """Constant quality, the encoder's own scale: lower is better."""
    preset: str | None = None
    """The encoder's own preset: a word for x264 and x265, a number for SVT-AV1 and VP9 (cpu-used). It names an encoder
    on the CPU, so no other is tried."""
    pix_fmt: str | None = None
    """FFmpeg's name of the pixel format to write."""
    force: bool = False
    """Replace what is already there."""
    extra_metadata: tuple[tuple[str, str], ...] = ()
    """Container metadata added to the source's; wins over a source's key of the same name."""
    threads: int = 0
    """Encoder threads; 0 lets the encoder decide."""
    encoder: DeviceEncoder | None = None
    """What encodes composites that are on a device, where it can; None: the CPU encodes everything."""
    listen: str = LOOPBACK
    """The address that live outputs which others connect to are open at."""
