"""Alpha as a linear function of colour in every window: the guided filter and the matting Laplacian, compiled.

In a window of N pixels alpha is explained as a . I + b by least squares with a ridge eps on a (He, Sun and Tang,
"Guided Image Filtering", TPAMI 2013, eq. 14). Averaged over all windows that hold a pixel, that is the guided filter
G. The matting Laplacian of the same windows (Levin, Lischinski and Weiss, "A Closed-Form Solution to Natural Image
Matting", TPAMI 2008) is L = N (1 - G), so that large windows cost as little as small ones (He, Sun and Tang, "Fast
Matting Using Large Kernel Matting Laplacian Matrices", CVPR 2010).

Maps are float32 and C-contiguous, planes first: the guide (3, h, w), coefficients (4, h, w), anything else (h, w).
Window means are running sums in float64; windows end at the picture's border.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from streammatte.kernels.compiled import compiled

__all__ = ["Windows", "evaluate", "fit", "mix", "solve"]

_Map: TypeAlias = npt.NDArray[np.float32]

_BREAKDOWN = 1e-20
_LEAST = np.float32(1e-6)
"""A change of a thousandth of alpha counts half, whatever the doubt."""


class Windows:
    """The guide's statistics in every window of (2 radius + 1)^2 pixels, computed once for any number of fits."""

    def __init__(self, guide: _Map, radius_px: int, epsilon: float) -> None:
        self.guide, self.radius_px = guide, radius_px
        self.mean = np.empty((4, *guide.shape[1:]), np.float32)
        self.inverse = np.empty((6, *guide.shape[1:]), np.float32)
        _statistics(guide, radius_px, epsilon, self.mean, self.inverse)


def fit(windows: Windows, pha: _Map) -> _Map:
    """(4, h, w): a1, a2, a3, b of `pha` ~ a . guide + b, averaged over the windows that hold each pixel."""
    averaged, work = np.empty_like(windows.mean), np.empty_like(windows.mean)
    _fit(windows.guide, windows.mean, windows.inverse, pha, windows.radius_px, work, averaged)
    return averaged


def solve(windows: Windows, prior: _Map, weight: _Map, start: _Map, iterations: int) -> _Map:
    """The x that minimises x' (1 - G) x + sum of weight (x - prior)^2, by conjugate gradients from `start`.

    Preconditioned with 1 / (1 + weight). `weight` must be positive.
    """
    found = start.copy()
    _conjugate_gradients(
        windows.guide, windows.mean, windows.inverse, windows.radius_px, prior, weight, found, iterations
    )
    return found


def evaluate(coefficients: _Map, guide: _Map) -> _Map:
    """a . guide + b, (h, w), of coefficients (4, h, w)."""
    out = np.empty(guide.shape[1:], np.float32)
    _evaluate(coefficients, guide, out)
    return out


def mix(
    slopes: _Map,
    guide: _Map,
    pha: _Map,
    value: _Map,
    share: _Map,
    doubt: _Map,
    weights: _Map,
    middle: np.float32,
    out: npt.NDArray[np.float32],
) -> None:
    """Into `out` (4, h, w) coefficients, of samples, that give `pha` + share * certainty * (`value` - `pha`).

    They have the detail of `slopes` . guide, where a guide is (sample - `middle`) * its weight. The certainty of a
    change d is d^2 / (d^2 + doubt (2 pha - 1)^2).
    """
    _mix(slopes, guide, pha, value, share, doubt, weights, middle, out)


@compiled
def _evaluate(coefficients: Any, guide: Any, out: Any) -> None:
    height, width = out.shape
    for y in range(height):
        for x in range(width):
            value = coefficients[0, y, x] * guide[0, y, x] + coefficients[1, y, x] * guide[1, y, x]
            out[y, x] = value + coefficients[2, y, x] * guide[2, y, x] + coefficients[3, y, x]


@compiled
def _mix(
    slopes: Any, guide: Any, pha: Any, value: Any, share: Any, doubt: Any, weights: Any, middle: Any, out: Any
) -> None:
    height, width = pha.shape
    for y in range(height):
        for x in range(width):
            before = pha[y, x]
            change = value[y, x] - before
            square, sure = change * change, np.float32(2) * before - np.float32(1)
            part = share[y, x] * square / (square + doubt[y, x] * sure * sure + _LEAST)
            offset = value[y, x] - before
            for c in range(3):
                slope = slopes[c, y, x]
                offset -= slope * guide[c, y, x]
                out[c, y, x] = part * slope * weights[c]
            shifted = np.float32(0)
            for c in range(3):
                shifted += out[c, y, x] * middle
            out[3, y, x] = before + part * offset - shifted


@compiled
def _rows(values: Any, radius: Any, out: Any) -> None:
    """Means of four planes along rows. Four sums run side by side, since each waits for its own last addition."""
    height, width = values.shape[1], values.shape[2]
    inner = max(min(radius, width), width - radius - 1)
    for y in range(height):
        p, q, r, s = values[0, y], values[1, y], values[2, y], values[3, y]
        a = b = c = d = np.float64(0.0)
        for x in range(min(radius, width)):
            a += p[x]
            b += q[x]
            c += r[x]
            d += s[x]
        for x in range(width):
            if x < width - radius:
                a += p[x + radius]
                b += q[x + radius]
                c += r[x + radius]
                d += s[x + radius]
            share = 1.0 / (min(x + radius, width - 1) - max(x - radius, 0) + 1)
            out[0, y, x], out[1, y, x], out[2, y, x], out[3, y, x] = a * share, b * share, c * share, d * share
            if x >= radius:
                break
        full = 1.0 / (2 * radius + 1)
        for x in range(radius + 1, inner + 1):
            a += np.float64(p[x + radius]) - p[x - radius - 1]
            b += np.float64(q[x + radius]) - q[x - radius - 1]
            c += np.float64(r[x + radius]) - r[x - radius - 1]
            d += np.float64(s[x + radius]) - s[x - radius - 1]
            out[0, y, x], out[1, y, x], out[2, y, x], out[3, y, x] = a * full, b * full, c * full, d * full
        for x in range(max(inner + 1, radius + 1), width):
            a -= p[x - radius - 1]
            b -= q[x - radius - 1]
            c -= r[x - radius - 1]
            d -= s[x - radius - 1]
            share = 1.0 / (width - 1 - (x - radius) + 1)
            out[0, y, x], out[1, y, x], out[2, y, x], out[3, y, x] = a * share, b * share, c * share, d * share


@compiled
def _columns(values: Any, radius: Any, out: Any) -> None:
    """Means of four planes along columns, a row at a time."""
    height, width = values.shape[1], values.shape[2]
    sums = np.empty(width, np.float64)
    for plane in range(4):
        sums[:] = 0
        for y in range(min(radius, height)):
            for x in range(width):
                sums[x] += values[plane, y, x]
        for y in range(height):
            if y + radius < height:
                for x in range(width):
                    sums[x] += values[plane, y + radius, x]
            if y > radius:
                for x in range(width):
                    sums[x] -= values[plane, y - radius - 1, x]
            share = 1.0 / (min(y + radius, height - 1) - max(y - radius, 0) + 1)
            for x in range(width):
                out[plane, y, x] = sums[x] * share


@compiled
def _box(values: Any, radius: Any, out: Any) -> None:
    """The mean of four planes over a square window. `values` is overwritten."""
    _rows(values, radius, out)
    values[:] = out
    _columns(values, radius, out)


@compiled
def _statistics(guide: Any, radius: Any, epsilon: Any, mean: Any, inverse: Any) -> None:
    """The guide's mean and the inverse of its covariance + eps in every window.

    The inverse is found in float64: where two colours are all there is, components go together and products of eps
    decide.
    """
    work, first, second = np.empty_like(mean), np.empty_like(mean), np.empty_like(mean)
    work[:3] = guide
    work[3] = guide[0] * guide[0]
    _box(work, radius, mean)
    work[0] = guide[0] * guide[1]
    work[1] = guide[0] * guide[2]
    work[2] = guide[1] * guide[1]
    work[3] = guide[1] * guide[2]
    _box(work, radius, first)
    work[:] = 0
    work[0] = guide[2] * guide[2]
    _box(work, radius, second)
    height, width = guide.shape[1], guide.shape[2]
    for y in range(height):
        for x in range(width):
            p, q, r = np.float64(mean[0, y, x]), np.float64(mean[1, y, x]), np.float64(mean[2, y, x])
            a = max(mean[3, y, x] - p * p, 0.0) + epsilon
            b = first[0, y, x] - p * q
            c = first[1, y, x] - p * r
            e = max(first[2, y, x] - q * q, 0.0) + epsilon
            f = first[3, y, x] - q * r
            g = max(second[0, y, x] - r * r, 0.0) + epsilon
            aa, ab, ac = e * g - f * f, c * f - b * g, b * f - c * e
            scale = 1.0 / max(a * aa + b * ab + c * ac, epsilon * epsilon * epsilon)
            inverse[0, y, x] = aa * scale
            inverse[1, y, x] = ab * scale
            inverse[2, y, x] = ac * scale
            inverse[3, y, x] = (a * g - c * c) * scale
            inverse[4, y, x] = (b * c - a * f) * scale
            inverse[5, y, x] = (a * e - b * b) * scale


@compiled
def _fit(guide: Any, mean: Any, inverse: Any, pha: Any, radius: Any, work: Any, out: Any) -> None:
    """a and b of every window (eq. 14, 15), then their means over the windows that hold a pixel (eq. 16)."""
    height, width = pha.shape
    for y in range(height):
        for x in range(width):
            p = pha[y, x]
            work[0, y, x] = p * guide[0, y, x]
            work[1, y, x] = p * guide[1, y, x]
            work[2, y, x] = p * guide[2, y, x]
            work[3, y, x] = p
    _box(work, radius, out)
    for y in range(height):
        for x in range(width):
            m = out[3, y, x]
            u, v, w = mean[0, y, x], mean[1, y, x], mean[2, y, x]
            i, j, k = out[0, y, x] - u * m, out[1, y, x] - v * m, out[2, y, x] - w * m
            a = inverse[0, y, x] * i + inverse[1, y, x] * j + inverse[2, y, x] * k
            b = inverse[1, y, x] * i + inverse[3, y, x] * j + inverse[4, y, x] * k
            c = inverse[2, y, x] * i + inverse[4, y, x] * j + inverse[5, y, x] * k
            work[0, y, x] = a
            work[1, y, x] = b
            work[2, y, x] = c
            work[3, y, x] = m - a * u - b * v - c * w
    _box(work, radius, out)


@compiled
def _product(
    guide: Any, mean: Any, inverse: Any, radius: Any, weight: Any, values: Any, work: Any, fitted: Any, out: Any
) -> Any:
    """(1 - G + weight) values, and its inner product with `values`."""
    _fit(guide, mean, inverse, values, radius, work, fitted)
    height, width = values.shape
    inner = np.float64(0.0)
    for y in range(height):
        row = np.float32(0.0)
        for x in range(width):
            smooth = fitted[0, y, x] * guide[0, y, x] + fitted[1, y, x] * guide[1, y, x]
            smooth += fitted[2, y, x] * guide[2, y, x] + fitted[3, y, x]
            out[y, x] = values[y, x] * (np.float32(1) + weight[y, x]) - smooth
            row += values[y, x] * out[y, x]
        inner += row
    return inner


@compiled
def _conjugate_gradients(
    guide: Any, mean: Any, inverse: Any, radius: Any, prior: Any, weight: Any, x: Any, iterations: Any
) -> None:
    work, fitted = np.empty_like(mean), np.empty_like(mean)
    product, direction, residual = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    scale = (np.float32(1) / (np.float32(1) + weight)).astype(np.float32)
    height, width = x.shape
    _product(guide, mean, inverse, radius, weight, x, work, fitted, product)
    gain = np.float64(0.0)
    for i in range(height):
        row = np.float32(0.0)
        for j in range(width):
            residual[i, j] = weight[i, j] * prior[i, j] - product[i, j]
            direction[i, j] = residual[i, j] * scale[i, j]
            row += residual[i, j] * direction[i, j]
        gain += row
    for _ in range(iterations):
        curvature = _product(guide, mean, inverse, radius, weight, direction, work, fitted, product)
        if curvature <= _BREAKDOWN:
            return
        step, after = np.float32(gain / curvature), np.float64(0.0)
        for i in range(height):
            row = np.float32(0.0)
            for j in range(width):
                x[i, j] += step * direction[i, j]
                residual[i, j] -= step * product[i, j]
                row += residual[i, j] * residual[i, j] * scale[i, j]
            after += row
        turn = np.float32(after / gain)
        gain = after
        for i in range(height):
            for j in range(width):
                direction[i, j] = residual[i, j] * scale[i, j] + turn * direction[i, j]
