"""What `ports.Refiner` promises, over every refiner in the registry."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scenes import FORMATS, Float, disc, make_frame, make_matte

from streammatte import registry
from streammatte.kernels.trimaps import Trimap
from streammatte.ports import Refiner

ROTATIONS = (0, 90, 180, 270)


class SmoothNetwork:
    """In place of one that takes a trimap: the way from background to subject is even."""

    width, height = 96, 96

    def alpha(self, rgb: Float, trimap: Trimap) -> Float:
        assert (rgb.shape, trimap.shape) == ((96, 96, 3), (96, 96))
        return np.asarray(cv2.GaussianBlur(trimap.astype(np.float32) / 255, (0, 0), 2.0), np.float32)


@pytest.fixture(params=registry.REFINERS)
def refiner(request: pytest.FixtureRequest) -> Refiner:
    needed = (SmoothNetwork(),) if request.param == "vitmatte" else ()
    made: Refiner = registry.load(registry.REFINERS, request.param, "--refine")(*needed)
    return made


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("rotation", ROTATIONS)
@pytest.mark.parametrize("size", [(97, 61), (40, 24), (20, 12), (5, 3)])
def test_alpha_is_of_the_frames_size_and_depth(
    refiner: Refiner, name: str, rotation: int, size: tuple[int, int]
) -> None:
    frame = make_frame(name, size, rotation=rotation)
    pha = refiner.refine(make_matte(disc(40, 24)), frame)
    assert (pha.dtype, pha.shape) == (np.dtype(frame.format.dtype), (frame.height, frame.width))
    assert pha.max() <= frame.format.peak
    assert pha.flags.c_contiguous


@pytest.mark.parametrize("name", ["yuv420p", "yuv420p10le", "gray16le"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_ends_stay_exact(refiner: Refiner, name: str, value: float) -> None:
    frame = make_frame(name, (97, 61))
    pha = refiner.refine(make_matte(np.full((24, 40), value, np.float32)), frame)
    assert (pha == round(value * frame.format.peak)).all()


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le"])
def test_between_the_ends_it_is_what_the_matte_says(refiner: Refiner, name: str) -> None:
    frame = make_frame(name, (97, 61))
    for value in (0.1, 0.25, 0.5, 0.9):
        pha = refiner.refine(make_matte(np.full((24, 40), value, np.float32)), frame)
        assert np.abs(pha / frame.format.peak - value).max() <= 1.01 / 255


def corner() -> Float:
    """Alpha 1 in the upper left quarter, with a soft way down."""
    y, x = np.mgrid[0:24, 0:40].astype(np.float32)
    return np.asarray(np.clip(12 - y, 0, 1) * np.clip(20 - x, 0, 1), np.float32)


@pytest.mark.parametrize("rotation", ROTATIONS)
@pytest.mark.parametrize("size", [(160, 96), (96, 160)])
def test_it_lies_where_the_matte_does(refiner: Refiner, rotation: int, size: tuple[int, int]) -> None:
    """Both are in the stored orientation."""
    width, height = size
    pha = refiner.refine(make_matte(corner()), make_frame("gray", size, rotation=rotation))
    assert (pha[: int(height * 0.4), : int(width * 0.4)] > 250).all()
    assert (pha[int(height * 0.6) :] < 5).all()
    assert (pha[:, int(width * 0.6) :] < 5).all()


def test_it_does_not_shift(refiner: Refiner) -> None:
    """The disc's centre of mass stays in the middle, at any size."""
    for size in ((97, 61), (160, 96), (400, 240)):
        pha = refiner.refine(make_matte(disc(40, 24)), make_frame("gray", size)).astype(np.float64)
        y, x = np.mgrid[0 : size[1], 0 : size[0]] + 0.5
        centre = (x * pha).sum() / pha.sum() / size[0], (y * pha).sum() / pha.sum() / size[1]
        assert centre == pytest.approx((0.5, 0.5), abs=2e-3)


def test_matte_and_frame_are_left_alone(refiner: Refiner) -> None:
    matte, frame = make_matte(disc(40, 24)), make_frame()
    kept = [plane.copy() for plane in frame.planes]
    refiner.refine(matte, frame)
    assert np.array_equal(matte.pha, disc(40, 24))
    assert all(np.array_equal(a, b) for a, b in zip(frame.planes, kept, strict=True))
