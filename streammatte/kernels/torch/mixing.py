"""Over."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["blend"]

_LARGEST_PEAK = (1 << 14) - 1
"""Up to here twice a product of two samples is an int32."""


def blend(fgr: Tensor, bg: Tensor, pha: Tensor, peak: int) -> Tensor:
    """(pha * fgr + (peak - pha) * bg) / peak, rounded once; exactly `fgr` at peak and exactly `bg` at 0.

    In whole numbers, as bg + pha * (fgr - bg) / peak: no result lies half-way, as peak is odd, so that every depth
    comes out as on the host, bit for bit.
    """
    kind = torch.int32 if peak <= _LARGEST_PEAK else torch.int64
    behind = bg.to(kind)
    twice = fgr.to(kind).sub(behind).mul_(pha.to(kind)).mul_(2).add_(peak)
    return twice.div_(2 * peak, rounding_mode="floor").add_(behind).to(fgr.dtype)
