"""Two answers to one picture as one."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from streammatte.kernels.agreeing import AGREEMENT, AROUND_PX

__all__ = ["agreed"]


def agreed(pha: Tensor, other: Tensor) -> Tensor:
    """The mean of two alphas (h, w) where they differ along edges only; the first where they mean different things.

    Pictures are larger than the window of 21 pixels.
    """
    reach = AROUND_PX // 2
    padded = functional.pad((pha - other).abs_()[None, None], (reach,) * 4, mode="reflect")
    across = functional.avg_pool2d(padded, (1, AROUND_PX), 1)
    apart = functional.avg_pool2d(across, (AROUND_PX, 1), 1)[0, 0]
    share = apart.div_(AGREEMENT).square_().neg_().exp_().mul_(0.5)
    return pha + share * (other - pha)
