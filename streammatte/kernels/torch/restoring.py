"""The last step of foreground estimation, at full size."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

__all__ = ["restore"]


def restore(plane: Tensor, alpha: Tensor, back: Tensor, least: float, peak: int, out: Tensor) -> None:
    """F over `out` (h, w), which holds F^: `plane` where alpha is peak, from `least` on the equation, else F^ stays.

    F = F^ + a (I - a F^ - (1 - a) B^) with a = alpha / peak (Forte, ICIP 2021). B^ is `back`, float32 and smaller than
    the plane: the value nearest to a pixel will do.
    """
    rows, columns = (_nearest(*sides, back.device) for sides in zip(back.shape, plane.shape, strict=True))
    behind = back.index_select(0, rows).index_select(1, columns)
    front, a = out.to(torch.float32), alpha.to(torch.float32).div_(peak)
    unexplained = plane.to(torch.float32).sub_(behind).addcmul_(a, front - behind, value=-1)
    solved = front.addcmul_(a, unexplained).add_(0.5).clamp_(0, peak).to(out.dtype)
    torch.where(alpha >= least, solved, out, out=out)
    torch.where(alpha == peak, plane, out, out=out)


@cache
def _nearest(before: int, after: int, device: torch.device) -> Tensor:
    """The small sample next to each new one."""
    places = (2 * np.arange(after) + 1) * before // (2 * after)
    return torch.from_numpy(places).to(device)
