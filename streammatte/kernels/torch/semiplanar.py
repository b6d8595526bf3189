"""NV12, P010 and their kin, which decoders and encoders on a device speak: luma, and chroma in pairs."""

from __future__ import annotations

import torch
from torch import Tensor

from streammatte.frame import PixelFormat

__all__ = ["planar", "semiplanar"]


def planar(luma: Tensor, pairs: Tensor, target: PixelFormat, shift: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Planes of `target` from luma (h, w) and pairs of Cb and Cr (ch, cw, 2), without a sample changed.

    uint8 up to 8 bits, and then the planes are views of what came; else uint16 with `shift` empty bits below each
    sample: 6 for P010 as yuv420p10le (`target.bits` 10), 4 for P012, 0 for what fills its words.
    """
    first, second = pairs[..., 0], pairs[..., 1]
    if target.bits <= 8:
        return luma, first, second
    return _from_words(luma, shift), _from_words(first, shift), _from_words(second, shift)


def semiplanar(planes: tuple[Tensor, ...], target: PixelFormat, shift: int = 0) -> tuple[Tensor, Tensor]:
    """The inverse of `planar`: luma, and new pairs; new words where samples are deeper than 8 bits."""
    luma, *chroma = planes
    if target.bits <= 8:
        return luma, torch.stack(chroma, -1)
    return _to_words(luma, shift), _to_words(torch.stack(chroma, -1), shift)


def _from_words(words: Tensor, shift: int) -> Tensor:
    # By way of int16, of the same bits: torch knows uint16 as a type to hold, not to reckon with.
    return words.view(torch.int16).to(torch.int32).bitwise_and_(0xFFFF).bitwise_right_shift_(shift)


def _to_words(samples: Tensor, shift: int) -> Tensor:
    return samples.bitwise_left_shift(shift).to(torch.int16).view(torch.uint16)
