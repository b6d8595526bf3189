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

__all__ = ["Windows", "fit", "mix", "solve"]

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


def fit(windows: Windows, pha: _Map) -> tuple[_Map, _Map]:
    """(4, h, w): a1, a2, a3, b of `pha` ~ a . guide + b, averaged over the windows that hold each pixel; and that."""
    coefficients, smooth = np.empty_like(windows.mean), np.empty_like(pha)
    _fit(windows.guide, windows.mean, windows.inverse, pha, windows.radius_px, coefficients, smooth)
    return coefficients, smooth


def solve(windows: Windows, prior: _Map, weight: _Map, start: _Map, iterations: int) -> _Map:
    """The x that minimises x' (1 - G) x + sum of weight (x - prior)^2, by conjugate gradients from `start`.

    Preconditioned with 1 / (1 + weight). `weight` must be positive.
    """
    found = start.copy()
    _conjugate_gradients(
        windows.guide, windows.mean, windows.inverse, windows.radius_px, prior, weight, found, iterations
    )
    return found


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
            offset = change
            for c in range(3):
                slope = slopes[c, y, x]
                offset -= slope * guide[c, y, x]
                out[c, y, x] = part * slope * weights[c]
            shifted = np.float32(0)
            for c in range(3):
                shifted += out[c, y, x] * middle
            out[3, y, x] = before + part * offset - shifted


@compiled
def _shares(length: int, radius: int) -> Any:
    """1 / the pixels in a window around each place of a row, which ends at the border."""
    shares = np.empty(length, np.float64)
    for x in range(length):
        shares[x] = 1.0 / (min(x + radius, length - 1) - max(x - radius, 0) + 1)
    return shares


@compiled
def _row_means(values: Any, radius: int, shares: Any, out: Any) -> None:
    """Means of four rows (4, w) of float64. Four sums run side by side, since each waits for its own last addition."""
    width = values.shape[1]
    p, q, r, s = values[0], values[1], values[2], values[3]
    a = b = c = d = np.float64(0.0)
    for x in range(-radius, width):
        new, old = x + radius, x - radius - 1
        if old >= 0 and new < width:
            a += p[new] - p[old]
            b += q[new] - q[old]
            c += r[new] - r[old]
            d += s[new] - s[old]
        elif new < width:
            a, b, c, d = a + p[new], b + q[new], c + r[new], d + s[new]
        elif old >= 0:
            a, b, c, d = a - p[old], b - q[old], c - r[old], d - s[old]
        if x >= 0:
            share = shares[x]
            out[0, x], out[1, x], out[2, x], out[3, x] = a * share, b * share, c * share, d * share


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
    shares = _shares(values.shape[2], radius)
    row = np.empty((4, values.shape[2]), np.float64)
    for y in range(values.shape[1]):
        row[:] = values[:, y]
        _row_means(row, radius, shares, out[:, y])
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
def _replace(sums: Any, rows: Any, slot: int, row: Any, leaves: bool, enters: bool) -> None:
    """Take the row in `slot` out of the sums where it `leaves`, put `row` there and into them where it `enters`."""
    for c in range(4):
        for x in range(sums.shape[1]):
            if leaves:
                sums[c, x] -= rows[slot, c, x]
            if enters:
                rows[slot, c, x] = row[c, x]
                sums[c, x] += row[c, x]


@compiled
def _fit(guide: Any, mean: Any, inverse: Any, values: Any, radius: int, coefficients: Any, smooth: Any) -> None:
    """a and b of every window (eq. 14, 15), their means over the windows that hold a pixel (eq. 16), a . guide + b.

    One pass in which a row of products enters, one of windows is solved `radius` rows behind it, and one of means is
    done `radius` rows behind that: what lies between stays in the processor's cache. `coefficients` may have no rows.
    """
    height, width = values.shape
    side = 2 * radius + 1
    products, solved, row = np.empty((4, width), np.float64), np.empty((4, width), np.float64), mean[:, 0].copy()
    entered, windows = np.empty((side, 4, width), np.float32), np.empty((side, 4, width), np.float32)
    entered_sum, windows_sum = np.zeros((4, width), np.float64), np.zeros((4, width), np.float64)
    across, down = _shares(width, radius), _shares(height, radius)
    keep = coefficients.shape[1] > 0
    for y in range(height + 2 * radius):
        if y < height:
            for x in range(width):
                p = values[y, x]
                products[0, x] = p * guide[0, y, x]
                products[1, x] = p * guide[1, y, x]
                products[2, x] = p * guide[2, y, x]
                products[3, x] = p
            _row_means(products, radius, across, row)
        _replace(entered_sum, entered, y % side, row, y >= side, y < height)
        center = y - radius
        if 0 <= center < height:
            share = np.float32(down[center])
            for x in range(width):
                m = np.float32(entered_sum[3, x]) * share
                u, v, w = mean[0, center, x], mean[1, center, x], mean[2, center, x]
                i = np.float32(entered_sum[0, x] * share - u * m)
                j = np.float32(entered_sum[1, x] * share - v * m)
                k = np.float32(entered_sum[2, x] * share - w * m)
                a = inverse[0, center, x] * i + inverse[1, center, x] * j + inverse[2, center, x] * k
                b = inverse[1, center, x] * i + inverse[3, center, x] * j + inverse[4, center, x] * k
                c = inverse[2, center, x] * i + inverse[4, center, x] * j + inverse[5, center, x] * k
                solved[0, x], solved[1, x], solved[2, x] = a, b, c
                solved[3, x] = m - a * u - b * v - c * w
            _row_means(solved, radius, across, row)
        if center >= 0:
            _replace(windows_sum, windows, center % side, row, center >= side, center < height)
        done = center - radius
        if done >= 0:
            share = np.float32(down[done])
            for x in range(width):
                a, b = np.float32(windows_sum[0, x]) * share, np.float32(windows_sum[1, x]) * share
                c, d = np.float32(windows_sum[2, x]) * share, np.float32(windows_sum[3, x]) * share
                smooth[done, x] = a * guide[0, done, x] + b * guide[1, done, x] + c * guide[2, done, x] + d
                if keep:
                    coefficients[0, done, x], coefficients[1, done, x] = a, b
                    coefficients[2, done, x], coefficients[3, done, x] = c, d


@compiled
def _product(guide: Any, mean: Any, inverse: Any, radius: int, weight: Any, values: Any, nothing: Any, out: Any) -> Any:
    """(1 - G + weight) values, and its inner product with `values`."""
    _fit(guide, mean, inverse, values, radius, nothing, out)
    height, width = values.shape
    inner = np.float64(0.0)
    for y in range(height):
        row = np.float32(0.0)
        for x in range(width):
            out[y, x] = values[y, x] * (np.float32(1) + weight[y, x]) - out[y, x]
            row += values[y, x] * out[y, x]
        inner += row
    return inner


@compiled
def _conjugate_gradients(
    guide: Any, mean: Any, inverse: Any, radius: Any, prior: Any, weight: Any, x: Any, iterations: Any
) -> None:
    nothing = np.empty((4, 0, 0), np.float32)
    product, direction, residual = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    scale = (np.float32(1) / (np.float32(1) + weight)).astype(np.float32)
    height, width = x.shape
    _product(guide, mean, inverse, radius, weight, x, nothing, product)
    gain = np.float64(0.0)
    for i in range(height):
        row = np.float32(0.0)
        for j in range(width):
            residual[i, j] = weight[i, j] * prior[i, j] - product[i, j]
            direction[i, j] = residual[i, j] * scale[i, j]
            row += residual[i, j] * direction[i, j]
        gain += row
    for _ in range(iterations):
        curvature = _product(guide, mean, inverse, radius, weight, direction, nothing, product)
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
