"""How one picture moved into another: dense optical flow as a fixed row of small kernels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from streammatte.kernels.torch.warping import warp

__all__ = ["flows"]

_LEVELS = ((4, 6, 4), (3, 3, 4), (2, 2, 4), (1, 3, 3))
"""How often the pictures are halved, coarsest first, the steps taken there, and how far windows reach. Most steps are
where motion is large and they are cheap. The last window is narrower: it is what blurs the seam between two motions. At
full size nothing is refined: half of it steadies a matte as well."""
_SURROUNDINGS_PX = 8
_MISMATCH = 0.05
"""Of the picture's range: a pixel that differs by this from where the flow leads counts half."""
_DAMPING = 0.25
"""At half size. Halving once more leaves a quarter of a sensor's noise, and so as much of what must outweigh it."""


def flows(now: Tensor, before: Tensor) -> Tensor:
    """(2, h, w, 2) float32, in pixels, x first: what is at p of `now` was at p + flow[p] of `before`; and onward.

    The pictures are gray, (h, w) float32 in [0, 1], of any size. Coarse to fine, Lucas and Kanade's equations are
    solved over a window around every pixel for the whole motion, each neighbour's share taken at its own motion so far
    (Le Besnerais and Champagnat, "Dense optical flow by iterative local window registration", ICIP 2005). Pixels that
    find no match weigh little (Geman and McClure's weights), and where nothing tells the motion it stays what it was.
    A light that changes all around is no motion: what is compared is the difference from the surroundings.
    """
    pictures = [torch.stack((now, before))[:, None]]
    for _ in range(_LEVELS[0][0]):
        pictures.append(functional.avg_pool2d(pictures[-1], 2, ceil_mode=True))
    flow = pictures[-1].new_zeros(2, 2, *pictures[-1].shape[-2:])
    for halvings, steps, reach in _LEVELS:
        flow = _at_level(flow, pictures[halvings], steps, reach, 4 * _DAMPING / 4**halvings)
        flow = _doubled(flow, pictures[halvings - 1])
    return flow.permute(0, 2, 3, 1).contiguous()


def _doubled(flow: Tensor, picture: Tensor) -> Tensor:
    """At the next size, of which an odd side's last pixel had a half for itself."""
    height, width = picture.shape[-2:]
    return functional.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=False)[..., :height, :width] * 2


def _at_level(flow: Tensor, picture: Tensor, steps: int, reach: int, damping: float) -> Tensor:
    """The flow (2, 2, h, w), components second, after so many steps; `picture` is (2, 1, h, w)."""
    detail = (picture - _mean(picture, _SURROUNDINGS_PX)) / _MISMATCH
    other, slopes, one = detail.flip(0), _slopes(detail), detail.new_ones(())
    products = torch.cat((slopes.flip(1).square(), slopes[:, :1] * slopes[:, 1:]), 1)
    for _ in range(steps):
        missed = detail - warp(other, flow.permute(0, 2, 3, 1))
        doubt = torch.addcmul(one, missed, missed)
        along = missed.addcmul_(slopes[:, :1], flow[:, :1]).addcmul_(slopes[:, 1:], flow[:, 1:]).div_(doubt)
        wanted = (slopes * along).add_(flow, alpha=damping)
        flow = _solved(products / doubt, wanted, reach, damping)
    return flow


def _solved(products: Tensor, wanted: Tensor, reach: int, damping: float) -> Tensor:
    """The flow that these equations have in the window around each pixel; `products` are yy, xx and xy."""
    # The first of `wanted` stands at the end again, so that both its orders are slices: one kernel less.
    sums = _mean(torch.cat((products, wanted, wanted[:, :1]), 1), reach)
    across, mixed, right, crossed = sums[:, :2] + damping, sums[:, 2:3], sums[:, 3:5], sums[:, 4:]
    determinant = (across[:, :1] * across[:, 1:]).addcmul_(mixed, mixed, value=-1)
    return (across * right).addcmul_(mixed, crossed, value=-1).div_(determinant)


def _slopes(detail: Tensor) -> Tensor:
    """(2, 2, h, w): along x and along y, a pixel; borders repeat."""
    padded = functional.pad(detail, (1, 1, 1, 1), mode="replicate")
    x = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    y = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    return torch.cat((x, y), 1).mul_(0.5)


def _mean(values: Tensor, reach: int) -> Tensor:
    """In squares of (2 reach + 1)^2, of the picture alone."""
    return functional.avg_pool2d(values, 2 * reach + 1, 1, reach, count_include_pad=False)
