"""Alpha as a linear function of colour in every window: the guided filter and the matting Laplacian.

The maths and its papers stand in the host's `local_linear`. Here window means are sums of each window alone, and all
between the guide and the coefficients is float64: a flat window's inverse covariance is near 1 / eps, which magnifies
what float32 rounds. The maps are small, so that this costs little on devices that are slow at it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Windows", "fit", "mix", "solve"]

_BREAKDOWN = 1e-20
_LEAST = 1e-6


class Windows:
    """The guide's statistics in every window of (2 radius + 1)^2 pixels, computed once for any number of fits.

    `guide` is (3, h, w) float32; windows end at the picture's border.
    """

    def __init__(self, guide: Tensor, radius_px: int, epsilon: float) -> None:
        self.guide, self.radius_px = guide, radius_px
        self.deep = guide.to(torch.float64)
        """The guide in float64."""
        first, second, third = self.deep
        products = torch.stack((first * first, first * second, first * third, second * second, second * third))
        means = _window_means(torch.cat((self.deep, products, (third * third)[None])), radius_px)
        self.mean = means[:3]
        """(3, h, w) float64."""
        self.inverse = _inverse(means, epsilon)
        """(3, 3, h, w) float64: of covariance + epsilon."""


def _window_means(values: Tensor, radius: int) -> Tensor:
    side = 2 * radius + 1
    across = functional.avg_pool2d(values, (1, side), 1, (0, radius), count_include_pad=False)
    return functional.avg_pool2d(across, (side, 1), 1, (radius, 0), count_include_pad=False)


def _inverse(means: Tensor, epsilon: float) -> Tensor:
    """Of the symmetric matrix [a b c; b e f; c f g], by its cofactors."""
    p, q, r = means[:3]
    a, b, c = means[3] - p * p + epsilon, means[4] - p * q, means[5] - p * r
    e, f, g = means[6] - q * q + epsilon, means[7] - q * r, means[8] - r * r + epsilon
    aa, ab, ac = e * g - f * f, c * f - b * g, b * f - c * e
    ee, ef, gg = a * g - c * c, b * c - a * f, a * e - b * b
    determinant = (a * aa + b * ab + c * ac).clamp_(min=epsilon**3)
    cofactors = torch.stack((aa, ab, ac, ab, ee, ef, ac, ef, gg))
    return cofactors.div_(determinant).reshape(3, 3, *determinant.shape)


def fit(windows: Windows, pha: Tensor) -> tuple[Tensor, Tensor]:
    """(4, h, w): a1, a2, a3, b of `pha` ~ a . guide + b, averaged over the windows that hold each pixel; and that."""
    coefficients, smooth = _fit(windows, pha.to(torch.float64))
    return coefficients.to(torch.float32), smooth.to(torch.float32)


def _fit(windows: Windows, values: Tensor) -> tuple[Tensor, Tensor]:
    means = _window_means(torch.cat((windows.deep * values, values[None])), windows.radius_px)
    covariance = means[:3].addcmul(windows.mean, means[3], value=-1)
    slopes = (windows.inverse * covariance).sum(1)
    offset = means[3] - (slopes * windows.mean).sum(0)
    coefficients = _window_means(torch.cat((slopes, offset[None])), windows.radius_px)
    return coefficients, (coefficients[:3] * windows.deep).sum(0).add_(coefficients[3])


def solve(windows: Windows, prior: Tensor, weight: Tensor, start: Tensor, iterations: int) -> Tensor:
    """The x that minimises x' (1 - G) x + sum of weight (x - prior)^2, by conjugate gradients from `start`.

    Preconditioned with 1 / (1 + weight). `weight` must be positive. All steps are always taken: once there is nothing
    left to gain, which only the device knows, they change nothing.
    """
    weight, found = weight.to(torch.float64), start.to(torch.float64)
    scale = 1 / (1 + weight)
    residual = weight * prior - _product(windows, weight, found)
    direction = residual * scale
    gain = (residual * direction).sum()
    going, nothing = torch.ones_like(gain, dtype=torch.bool), torch.zeros_like(gain)
    for _ in range(iterations):
        product = _product(windows, weight, direction)
        curvature = (direction * product).sum()
        going = going & (curvature > _BREAKDOWN)
        step = torch.where(going, gain / curvature, nothing)
        found = found + step * direction
        residual = residual - step * product
        after = (residual * residual * scale).sum()
        direction = residual * scale + torch.where(going, after / gain, nothing) * direction
        gain = after
    return found.to(torch.float32)


def _product(windows: Windows, weight: Tensor, values: Tensor) -> Tensor:
    """(1 - G + weight) values."""
    return (1 + weight) * values - _fit(windows, values)[1]


def mix(
    slopes: Tensor,
    guide: Tensor,
    pha: Tensor,
    value: Tensor,
    share: Tensor,
    doubt: Tensor,
    weights: Sequence[float],
    middle: float,
) -> Tensor:
    """(4, h, w) coefficients, of samples, that give `pha` + share * certainty * (`value` - `pha`).

    They have the detail of `slopes` . guide, where a guide is (sample - `middle`) * its weight. The certainty of a
    change d is d^2 / (d^2 + doubt (2 pha - 1)^2).
    """
    change = value - pha
    square = change.square()
    part = share * square / (square + doubt * (2 * pha - 1).square_() + _LEAST)
    out = torch.empty_like(slopes)
    for component, slope, scale in zip(out[:3], slopes[:3], weights, strict=True):
        torch.mul(slope, part, out=component).mul_(scale)
    offset = change - (slopes[:3] * guide).sum(0)
    torch.addcmul(pha, part, offset, out=out[3]).sub_(out[:3].sum(0), alpha=middle)
    return out
