"""Deformable convolution against plain loops over pixels and taps."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

from streammatte.networks.deform import DeformableConv, deform_conv  # noqa: E402

Array = npt.NDArray[np.float64]


def seen_at(plane: Array, y: float, x: float) -> float:
    """Between four pixels; those outside are zero."""
    total = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < plane.shape[0] and 0 <= column < plane.shape[1]:
                total += plane[row, column] * (1 - abs(y - row)) * (1 - abs(x - column))
    return total


def by_loops(x: Array, offsets: Array, modulation: Array, kernel: Array) -> Array:
    """Zhu et al. 2019, eq. 1."""
    n, c, h, w = x.shape
    side = kernel.shape[-1]
    result = np.zeros((n, kernel.shape[0], h, w))
    for i, row, column in np.ndindex(n, h, w):
        for tap, (ky, kx) in enumerate(np.ndindex(side, side)):
            dy, dx = offsets[i, 2 * tap : 2 * tap + 2, row, column]
            y, at = row + ky - side // 2 + dy, column + kx - side // 2 + dx
            seen = np.array([seen_at(x[i, channel], y, at) for channel in range(c)])
            result[i, :, row, column] += modulation[i, tap, row, column] * kernel[:, :, ky, kx] @ seen
    return result


@pytest.mark.parametrize("side", [1, 3, 7])
def test_against_loops(side: int) -> None:
    draw = np.random.default_rng(side)
    n, c, h, w = 2, 2, 5, 7
    x = draw.normal(size=(n, c, h, w))
    offsets = draw.normal(size=(n, 2 * side**2, h, w), scale=3.0)  # well beyond the borders too
    offsets[0, :, 0] = np.rint(offsets[0, :, 0])
    modulation = draw.uniform(0, 2, size=(n, side**2, h, w))
    kernel = draw.normal(size=(3, c, side, side))
    found = deform_conv(*(torch.from_numpy(each).float() for each in (x, offsets, modulation, kernel)))
    np.testing.assert_allclose(found.numpy(), by_loops(x, offsets, modulation, kernel), atol=1e-4)


def test_without_offsets_it_is_a_convolution() -> None:
    torch.manual_seed(0)
    layer = DeformableConv(4, 5, 3)
    for each in (layer.offset_conv, layer.modulator_conv):
        torch.nn.init.zeros_(each.weight)
        torch.nn.init.zeros_(each.bias)
    x = torch.randn(1, 4, 6, 9)
    torch.testing.assert_close(layer(x), layer.regular_conv(x), atol=1e-5, rtol=0)
