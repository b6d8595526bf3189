"""Local means on a small picture, plain and weighted: what the subject's colours are near a pixel, and the room's.

The numbers are those of `foregrounds.means`; the tests hold the two together.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["LocalMean", "box_mean", "mirrored_mean", "surely"]

_WIDE, _MIDDLE = 90 / 1000, 20 / 1000  # radii over the picture's height
_FAR_SHARE = 0.03
_EPSILON = 1e-3


def box_mean(value: Tensor, radius: float) -> Tensor:
    """The mean (h, w) in a square window; borders repeat. What comes out below 0 is 0."""
    reach = max(1, round(radius))
    return _means(functional.pad(value[None], (reach,) * 4, mode="replicate"), reach).clamp_(min=0)


def mirrored_mean(value: Tensor, reach: int) -> Tensor:
    """The mean (h, w) in a square window of (2 reach + 1)^2; the border mirrors, its own samples included.

    `reach` is at most the picture's smaller side.
    """
    rows = _mirrored(value, reach, 0)
    return _means(_mirrored(rows, reach, 1)[None], reach)


def _mirrored(value: Tensor, reach: int, axis: int) -> Tensor:
    size = value.shape[axis]
    before, after = value.narrow(axis, 0, reach), value.narrow(axis, size - reach, reach)
    return torch.cat((before.flip(axis), value, after.flip(axis)), axis)


def _means(padded: Tensor, reach: int) -> Tensor:
    side = 2 * reach + 1
    across = functional.avg_pool2d(padded, (1, side), 1)
    return functional.avg_pool2d(across, (side, 1), 1)[0]


def surely(share: Tensor) -> Tensor:
    """The eighth power of a share in [0, 1]: a pixel that is nearly pure says far more of a colour than a mixed one."""
    return share.square().square_().square_()


class LocalMean:
    """Means of pictures by one weight: of near pixels where these weigh anything, else of farther ones, else of all."""

    def __init__(self, weights: Tensor, lines: float) -> None:
        self._weights, self._lines = weights, lines
        self._spread = self._blurred(weights)
        self._total = self._spread.mean().clamp_(min=_EPSILON)
        self._spread += _EPSILON * _FAR_SHARE

    def of(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """The mean of `picture` (h, w), not negative, around each pixel, and over all of it: 0-d, on the device."""
        spread = self._blurred(picture * self._weights)
        far = spread.mean() / self._total
        return spread.add_(far, alpha=_EPSILON * _FAR_SHARE).div_(self._spread), far

    def _blurred(self, values: Tensor) -> Tensor:
        wide, middle = (box_mean(values, self._lines * radius) for radius in (_WIDE, _MIDDLE))
        return middle.add_(wide, alpha=_FAR_SHARE)
