"""The refiners bring the picture's own edges back where the network only left a soft blur."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from scenes import make_frame

from streammatte.frame import Matte
from streammatte.refiners.guided import GuidedRefiner
from streammatte.refiners.resample import ResampleRefiner

Floats = npt.NDArray[np.float32]
SIZE = (480, 360)


def hair(width: int, height: int) -> Floats:
    """True alpha: a subject on the left whose edge is locks of hair, each with an edge of its own two pixels wide."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    edge = width / 3 + 9 * np.sin(y / 5) + 5 * np.sin(y / 11 + 1)
    return np.asarray(np.clip((edge - x) / 2 + 0.5, 0, 1), np.float32)


def seen(alpha: Floats) -> Floats:
    """What a network of 64 x 48 makes of it: a blur."""
    return np.asarray(cv2.resize(alpha, (64, 48), interpolation=cv2.INTER_AREA), np.float32)


def matte(pha: Floats) -> Matte:
    return Matte(pha, np.zeros((*pha.shape, 3), np.float32), 0, 0.0)


def picture(alpha: Floats, subject: tuple[float, ...], behind: tuple[float, ...]) -> Floats:
    a = alpha[..., None]
    return np.asarray(a * np.array(subject, np.float32) + (1 - a) * np.array(behind, np.float32), np.float32)


@pytest.mark.parametrize("name", ["yuv420p", "yuv444p", "gbrp", "yuv422p10le", "gray"])
def test_locks_come_back(name: str) -> None:
    alpha = hair(*SIZE)
    frame = make_frame(name, SIZE, rgb=picture(alpha, (0.2, 0.1, 0.05), (0.7, 0.75, 0.8)))
    peak = frame.format.peak
    plain, refined = (
        refiner.refine(matte(seen(alpha)), frame) / peak for refiner in (ResampleRefiner(), GuidedRefiner())
    )
    band = np.abs(np.arange(SIZE[0]) - SIZE[0] / 3) < 30
    before, after = (np.square(each - alpha)[:, band].mean() for each in (plain, refined))
    whole = name in ("yuv444p", "gbrp", "gray")  # halved chroma blurs the guide itself
    assert after < (0.45 if whole else 0.75) * before


def test_far_from_soft_pixels_nothing_changes() -> None:
    alpha = hair(*SIZE)
    frame = make_frame("yuv420p", SIZE, seed=3)
    given = matte(seen(alpha))
    plain, refined = ResampleRefiner().refine(given, frame), GuidedRefiner().refine(given, frame)
    far = np.ones(SIZE[::-1], bool)
    far[:, SIZE[0] // 3 - 40 : SIZE[0] // 3 + 90] = False
    assert np.array_equal(plain[far], refined[far])
    assert not np.array_equal(plain, refined)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_nothing_soft_nothing_done(value: float) -> None:
    frame = make_frame("yuv420p", SIZE, seed=1)
    refined = GuidedRefiner().refine(matte(np.full((48, 64), value, np.float32)), frame)
    assert (refined == value * 255).all()


def test_a_flat_picture_leaves_alpha_nearly_alone() -> None:
    """Where the picture says nothing, the local mean of the matte is the best there is."""
    given = matte(seen(hair(*SIZE)))
    frame = make_frame("yuv420p", SIZE, rgb=(0.4, 0.4, 0.4))
    plain, refined = ResampleRefiner().refine(given, frame), GuidedRefiner().refine(given, frame)
    assert np.abs(plain.astype(int) - refined).mean() < 4


@pytest.mark.parametrize("size", [(640, 360), (639, 359), (1920, 1080), (37, 21), (16, 16)])
def test_any_size(size: tuple[int, int]) -> None:
    frame = make_frame("yuv420p", size, seed=2)
    refined = GuidedRefiner().refine(matte(seen(hair(*SIZE))), frame)
    assert (refined.shape, refined.dtype) == (size[::-1], np.uint8)
