"""Trimaps: what an alpha says for certain, and what a network's matte leaves to be found."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import disc

from streammatte.frame import PixelFormat
from streammatte.kernels.trimaps import BACKGROUND, FOREGROUND, UNKNOWN, coarse_trimap, says_both, settled, trimap_of


def test_the_ends_are_certain_and_all_else_is_unknown() -> None:
    alpha = np.array([[0, 0.015, 0.03, 0.5, 0.97, 0.985, 1]], np.float32)
    assert trimap_of(alpha).tolist() == [[0, 0, 128, 128, 128, 255, 255]]


def test_soft_pixels_are_unknown_all_over() -> None:
    """Hair and glass: a wide soft region has no certain pixel inside."""
    matte = np.zeros((48, 64), np.float32)
    matte[:, 32:] = 1
    matte[10:40, 20:44] = 0.4
    found = coarse_trimap(matte, 640, 480)
    assert (found[100:400, 200:440] == UNKNOWN).all()
    assert (found[:, :180] == BACKGROUND).all()
    assert (found[:, 460:] == FOREGROUND).all()


@pytest.mark.parametrize(("width", "height"), [(160, 120), (640, 480), (1440, 1080)])
def test_the_band_beside_an_edge_grows_with_the_picture(width: int, height: int) -> None:
    """The network's own resolution, and 0.6 % of the shorter side more on both sides of it."""
    matte = np.zeros((48, 64), np.float32)
    matte[:, 32:] = 1
    row = coarse_trimap(matte, width, height)[height // 2]
    cell_px, reach_px = width / 64, 0.006 * height
    unknown_px = (row == UNKNOWN).sum()
    assert unknown_px == pytest.approx(cell_px + 2 * max(1, reach_px), abs=2.5)
    assert np.abs(np.flatnonzero(row == UNKNOWN).mean() + 0.5 - width / 2) <= 0.5, "and lies in the middle"


def test_a_hard_edge_has_a_band_too() -> None:
    matte = np.zeros((48, 64), np.float32)
    matte[:, 32:] = 1
    row = coarse_trimap(matte, 64, 48)[20]
    assert row[30:34].tolist() == [BACKGROUND, UNKNOWN, UNKNOWN, FOREGROUND]


def test_the_pictures_own_edge_is_none() -> None:
    assert (coarse_trimap(np.ones((48, 64), np.float32), 640, 480) == FOREGROUND).all()
    assert (coarse_trimap(np.zeros((48, 64), np.float32), 640, 480) == BACKGROUND).all()


def test_both_kinds_or_not() -> None:
    assert says_both(coarse_trimap(disc(64, 48), 64, 48))
    for alone in (BACKGROUND, FOREGROUND):
        assert not says_both(np.array([[alone, UNKNOWN]], np.uint8))


@pytest.mark.parametrize("name", ["yuv420p", "yuv420p10le", "gray16le"])
def test_what_is_certain_is_exact(name: str) -> None:
    target = PixelFormat.named(name)
    half = target.peak // 2
    pha = np.full((1, 3), half, target.dtype)
    found = settled(np.array([[BACKGROUND, UNKNOWN, FOREGROUND]], np.uint8), pha, target)
    assert found.tolist() == [[0, half, target.peak]]
    assert found.dtype == target.dtype
