"""The refiners bring the picture's own edges back where the network only left a soft blur."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from scenes import make_frame, moved

from streammatte.frame import Matte
from streammatte.refiners.closed_form import ClosedFormRefiner
from streammatte.refiners.guided import GuidedRefiner
from streammatte.refiners.resample import ResampleRefiner

Floats = npt.NDArray[np.float32]
Kind = type[GuidedRefiner] | type[ClosedFormRefiner]
SIZE = (480, 360)
both = pytest.mark.parametrize("kind", [GuidedRefiner, ClosedFormRefiner])


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


def locks(name: str, kind: Kind) -> tuple[float, float]:
    """Mean square error about the hair: of the network's own blur, and of what the refiner makes of it."""
    alpha = hair(*SIZE)
    frame = make_frame(name, SIZE, rgb=picture(alpha, (0.2, 0.1, 0.05), (0.7, 0.75, 0.8)))
    peak = frame.format.peak
    plain, refined = (refiner.refine(matte(seen(alpha)), frame) / peak for refiner in (ResampleRefiner(), kind()))
    band = np.abs(np.arange(SIZE[0]) - SIZE[0] / 3) < 30
    before, after = (float(np.square(each - alpha)[:, band].mean()) for each in (plain, refined))
    return before, after


@pytest.mark.parametrize("name", ["yuv420p", "yuv444p", "gbrp", "yuv422p10le", "gray"])
def test_locks_come_back(name: str) -> None:
    before, after = locks(name, GuidedRefiner)
    whole = name in ("yuv444p", "gbrp", "gray")  # halved chroma blurs the guide itself
    assert after < (0.5 if whole else 0.75) * before


@pytest.mark.parametrize("name", ["yuv420p", "yuv444p", "gbrp", "yuv422p10le", "gray"])
def test_closed_form_finds_nearly_all_of_them(name: str) -> None:
    before, after = locks(name, ClosedFormRefiner)
    assert after < 0.15 * before


def test_more_steps_come_nearer() -> None:
    alpha = hair(*SIZE)
    frame = make_frame("yuv444p", SIZE, rgb=picture(alpha, (0.2, 0.1, 0.05), (0.7, 0.75, 0.8)))
    errors = [
        np.square(ClosedFormRefiner(steps).refine(matte(seen(alpha)), frame) / 255 - alpha).mean()
        for steps in (1, 3, 9)
    ]
    assert errors[0] > errors[1] > errors[2]


def test_a_still_scene_is_solved_on_from_the_last_frame() -> None:
    """One step a frame, and each begins where the one before it ended, as far as the motion is trusted."""
    alpha = hair(*SIZE)
    frame = make_frame("yuv444p", SIZE, rgb=picture(alpha, (0.2, 0.1, 0.05), (0.7, 0.75, 0.8)))
    given = matte(seen(alpha))
    last = {}
    for trust in (0.0, 1.0):
        refiner = ClosedFormRefiner(1)
        refiner.refine(given, frame)
        for _ in range(6):
            found = refiner.refine(moved(given, trust=trust), frame)
        last[trust] = float(np.square(found / 255 - alpha).mean())
    assert last[1.0] < 0.5 * last[0.0]


@pytest.mark.parametrize("how", ["unknown motion", "no trust"])
def test_nothing_of_the_last_frame_stays_where_motion_is_not_known(how: str) -> None:
    first, second = hair(*SIZE), hair(*SIZE)[:, ::-1].copy()
    frames = [make_frame("yuv444p", SIZE, rgb=picture(a, (0.2, 0.1, 0.05), (0.7, 0.75, 0.8))) for a in (first, second)]
    used = ClosedFormRefiner()
    used.refine(matte(seen(first)), frames[0])
    given = matte(seen(second))
    then = used.refine(moved(given, trust=0.0) if how == "no trust" else given, frames[1])
    assert np.array_equal(then, ClosedFormRefiner().refine(given, frames[1]))


@both
def test_far_from_soft_pixels_nothing_changes(kind: Kind) -> None:
    alpha = hair(*SIZE)
    frame = make_frame("yuv420p", SIZE, seed=3)
    given = matte(seen(alpha))
    plain, refined = ResampleRefiner().refine(given, frame), kind().refine(given, frame)
    far = np.ones(SIZE[::-1], bool)
    far[:, SIZE[0] // 3 - 60 : SIZE[0] // 3 + 90] = False
    assert np.array_equal(plain[far], refined[far])
    assert not np.array_equal(plain, refined)


@both
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_nothing_soft_nothing_done(kind: Kind, value: float) -> None:
    frame = make_frame("yuv420p", SIZE, seed=1)
    refined = kind().refine(matte(np.full((48, 64), value, np.float32)), frame)
    assert (refined == value * 255).all()


@both
def test_a_flat_picture_blurs_alpha_but_little(kind: Kind) -> None:
    """Where the picture says nothing, the local mean of the matte is the best there is."""
    given = matte(seen(hair(*SIZE)))
    frame = make_frame("yuv420p", SIZE, rgb=(0.4, 0.4, 0.4))
    plain, refined = ResampleRefiner().refine(given, frame), kind().refine(given, frame)
    assert np.abs(plain.astype(int) - refined).mean() < (4 if kind is GuidedRefiner else 8)


@both
@pytest.mark.parametrize("size", [(640, 360), (639, 359), (1920, 1080), (37, 21), (16, 16), (3, 2), (1, 1)])
def test_any_size(kind: Kind, size: tuple[int, int]) -> None:
    frame = make_frame("yuv420p", size, seed=2)
    refined = kind().refine(matte(seen(hair(*SIZE))), frame)
    assert (refined.shape, refined.dtype) == (size[::-1], np.uint8)
