"""Alpha at frame size from small coefficients, against plain interpolation of each of them."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from scenes import Float, disc, make_frame

from streammatte.frame import Frame
from streammatte.kernels.growing import grow

FORMATS = ["yuv420p", "yuv422p", "yuv444p", "yuv411p", "yuv410p", "gbrp", "gray"]
FORMATS += ["yuv420p10le", "yuv444p10le", "gray10le", "yuv444p16le"]
SIZES = [((40, 24), (160, 96)), ((40, 24), (97, 61)), ((64, 48), (64, 48)), ((40, 24), (30, 18)), ((1, 1), (20, 12))]
"""Of the coefficients, and of the frame."""


def interpolated(small: Float, size: tuple[int, int]) -> Float:
    """Linear between the centres of the small pixels."""
    return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), np.float32)


def full_size(frame: Frame, index: int) -> npt.NDArray[np.float64]:
    """Samples of a plane for every luma pixel: rows repeated; the right half of a sample's columns between two."""
    plane = frame.planes[index].astype(np.float64)
    if index == 0 or frame.format.model != "yuv":
        return plane
    columns, step = np.arange(frame.width), 1 << frame.format.log2_chroma_w
    near = columns // step
    beside = np.minimum(near + (columns % step >= (step + 1) // 2) * (step > 1), plane.shape[1] - 1)
    plane = (plane[:, near] + plane[:, beside]) / 2
    return plane.repeat(1 << frame.format.log2_chroma_h, axis=0)[: frame.height]


def plainly(coefficients: Float, frame: Frame) -> npt.NDArray[np.float64]:
    size = frame.width, frame.height
    alpha = interpolated(coefficients[3], size).astype(np.float64)
    for index in range(len(frame.planes)):
        alpha += interpolated(coefficients[index], size) * full_size(frame, index)
    return np.clip(alpha, 0, 1) * frame.format.peak


def coefficients_of(small: tuple[int, int], frame: Frame, seed: int = 0) -> Float:
    """Alpha mostly between 0 and 1 with a part in it for every plane; in the right half of it no colour."""
    width, height = small
    dice = np.random.default_rng(seed)
    maps = dice.normal(0, 0.3, (4, height, width)).astype(np.float32) / np.float32(frame.format.peak)
    maps[3] = dice.random((height, width), np.float32) - maps[:3].sum(axis=0) * np.float32(frame.format.peak / 2)
    maps[:3, :, width // 2 :] = 0
    maps[len(frame.planes) : 3] = 0
    return maps


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("small", "size"), SIZES)
def test_it_is_the_interpolation_of_each(name: str, small: tuple[int, int], size: tuple[int, int]) -> None:
    """To one code value; next to 0 and peak what nobody would see may be cut."""
    frame = make_frame(name, size, seed=1)
    maps = coefficients_of(small, frame)
    found, expected = grow(maps, frame), plainly(maps, frame)
    assert (found.dtype, found.shape) == (np.dtype(frame.format.dtype), (frame.height, frame.width))
    peak = frame.format.peak
    off = np.abs(found - expected)
    cut = ((found == 0) & (expected < 2 * peak / 255)) | ((found == peak) & (expected > peak - 2 * peak / 255))
    assert off[~cut].max(initial=0) <= 1.0 + peak * 1e-5
    if small != (1, 1):
        assert (~cut).mean() > 0.6


@pytest.mark.parametrize("name", FORMATS)
def test_alpha_alone_is_interpolated_alike(name: str) -> None:
    frame = make_frame(name, (160, 96))
    maps = np.zeros((4, 24, 40), np.float32)
    maps[3] = disc(40, 24)
    off = np.abs(grow(maps, frame) - interpolated(maps[3], (160, 96)) * np.float64(frame.format.peak))
    assert off.max() <= 0.5 + frame.format.peak * 1e-5


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("value", [0, 1])
def test_ends_are_exact_whatever_the_picture(name: str, value: int) -> None:
    frame = make_frame(name, (97, 61))
    maps = np.zeros((4, 24, 40), np.float32)
    maps[3] = value
    assert (grow(maps, frame) == value * frame.format.peak).all()
    maps[3] = 9 * value - 4  # far beyond an end
    maps[0] = 1e-5
    assert (grow(maps, frame) == value * frame.format.peak).all()


def test_samples_decide_at_full_resolution() -> None:
    """a . I + b with a of one sample's range: alpha is the picture itself."""
    frame = make_frame("gray", (80, 48), seed=2)
    maps = np.zeros((4, 6, 10), np.float32)
    maps[0] = 1 / 255
    luma = frame.planes[0].astype(int)
    assert np.abs(grow(maps, frame) - luma)[(luma > 2) & (luma < 253)].max() <= 1


def test_coefficients_and_frame_are_left_alone() -> None:
    frame = make_frame("yuv420p", (64, 48))
    maps = coefficients_of((20, 12), frame)
    kept, planes = maps.copy(), [plane.copy() for plane in frame.planes]
    grow(maps, frame)
    assert np.array_equal(maps, kept)
    assert all(np.array_equal(a, b) for a, b in zip(frame.planes, planes, strict=True))
