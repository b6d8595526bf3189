"""Planes of 8-bit or deeper YUV and an alpha as packed B G R A, compiled: one pass, rounded once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from streammatte.color import ChromaLocation
from streammatte.frame import PixelFormat, Plane
from streammatte.kernels.compiled import compiled
from streammatte.kernels.siting import cosited

__all__ = ["pack_bgra"]


def pack_bgra(
    planes: tuple[Plane, ...],
    alpha: npt.NDArray[np.uint8],
    source: PixelFormat,
    location: ChromaLocation,
    matrix: npt.NDArray[np.float32],
) -> npt.NDArray[np.uint8]:
    """A new array (H, W, 4) of B, G, R in 0..255, and `alpha` (H, W) as it is.

    `planes` are `source`, YUV of full or half chroma across; chroma is linear between the places where it sits.
    `matrix` (3, 4) takes (Y, Cb, Cr, 1) to R'G'B' in [0, 1].
    """
    steps = (1 << source.log2_chroma_w, 1 << source.log2_chroma_h)
    first = [
        np.float32((step - 1) / 2 if shared is None else shared)
        for step, shared in zip(steps, cosited(source, location), strict=True)
    ]
    packed = np.empty(planes[0].shape, "<u4")
    _pack(planes[0], planes[1], planes[2], alpha, matrix * np.float32(255), steps, (first[0], first[1]), packed)
    return packed.view(np.uint8).reshape(*packed.shape, 4)


@compiled
def _pack(luma: Any, cb: Any, cr: Any, alpha: Any, matrix: Any, steps: Any, first: Any, packed: Any) -> None:
    height, width = luma.shape
    coarse = np.empty(cb.shape[1] + 2, np.float32)
    blue_row, red_row = np.empty(2 * cb.shape[1], np.float32), np.empty(2 * cb.shape[1], np.float32)
    (gain, _, r_cr, r_0), (_, g_cb, g_cr, g_0), (_, b_cb, _, b_0) = matrix[0], matrix[1], matrix[2]
    for y in range(height):
        _chroma_row(cb, y, steps, first, coarse, blue_row)
        _chroma_row(cr, y, steps, first, coarse, red_row)
        line, shares, target = luma[y], alpha[y], packed[y]
        for x in range(width):
            light, u, v = gain * np.float32(line[x]), blue_row[x], red_row[x]
            blue = _sample(light + b_cb * u + b_0)
            green = _sample(light + g_cb * u + g_cr * v + g_0)
            red = _sample(light + r_cr * v + r_0)
            opaque = np.uint32(shares[x]) << np.uint32(24)
            target[x] = blue | (green << np.uint32(8)) | (red << np.uint32(16)) | opaque


@compiled
def _chroma_row(plane: Any, y: int, steps: Any, first: Any, coarse: Any, row: Any) -> None:
    """`row` becomes the plane at luma row `y`, at luma's width; `first` is where its first sample sits."""
    rows, columns = plane.shape
    place = (y - first[1]) / steps[1]
    above = int(np.floor(place))
    share = np.float32(place - above)
    upper, lower = plane[min(max(above, 0), rows - 1)], plane[min(max(above + 1, 0), rows - 1)]
    if steps[0] == 1:
        for x in range(columns):
            row[x] = np.float32(upper[x]) + share * (np.float32(lower[x]) - np.float32(upper[x]))
        return
    for x in range(columns):
        coarse[x + 1] = np.float32(upper[x]) + share * (np.float32(lower[x]) - np.float32(upper[x]))
    coarse[0], coarse[columns + 1] = coarse[1], coarse[columns]
    left = first[0] * np.float32(0.5)
    right = np.float32(0.5) - left
    for x in range(columns):
        middle = coarse[x + 1]
        row[2 * x] = middle + left * (coarse[x] - middle)
        row[2 * x + 1] = middle + right * (coarse[x + 2] - middle)


@compiled
def _sample(value: Any) -> Any:
    return np.uint32(np.int32(min(max(value, np.float32(0)), np.float32(255)) + np.float32(0.5)))
