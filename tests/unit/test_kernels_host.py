"""Pixel kernels on host memory, against plain float64 re-statements of what they promise."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import BT709, FORMATS, HLG, PQ, coded, disc, make_frame

from streammatte.color import ChromaLocation, ColorSpec, decode_matrix
from streammatte.frame import PixelFormat
from streammatte.kernels import host
from streammatte.kernels.mixing import blend

SIZES = [(64, 48), (33, 17), (5, 3), (1, 1)]
DEPTHS = ["gray", "gray10le", "gray12le", "gray16le"]
sizes = st.integers(1, 40)
seeds = st.integers(0, 10_000)


# blend


@pytest.mark.parametrize("name", DEPTHS)
@given(seed=seeds)
@settings(max_examples=25)
def test_blend_is_over_rounded_once(name: str, seed: int) -> None:
    fmt = PixelFormat.named(name)
    dice = np.random.default_rng(seed)
    fgr, bg, pha = dice.integers(0, fmt.peak, (3, 40, 50), fmt.dtype, endpoint=True)
    mixed = blend(fgr, bg, pha, fmt.peak)
    share = pha.astype(np.float64) / fmt.peak
    wanted = share * fgr + (1 - share) * bg
    assert (mixed.dtype, mixed.shape) == (np.dtype(fmt.dtype), (40, 50))
    assert np.abs(mixed - wanted).max() <= 0.5 + fmt.peak * 2**-23


def test_blend_of_every_8_bit_triple_of_extremes() -> None:
    """All alphas against every foreground, over black, mid and white: nearest whole number, without exception."""
    fgr, pha = (grid.astype(np.uint8) for grid in np.mgrid[0:256, 0:256])
    for level in (0, 1, 127, 128, 254, 255):
        bg = np.full_like(fgr, level)
        total = pha.astype(np.int64) * fgr + (255 - pha.astype(np.int64)) * level
        assert np.array_equal(blend(fgr, bg, pha, 255), (2 * total + 255) // 510)


@pytest.mark.parametrize("name", DEPTHS)
def test_blend_is_exact_at_the_ends(name: str) -> None:
    fmt = PixelFormat.named(name)
    dice = np.random.default_rng(3)
    fgr, bg = dice.integers(0, fmt.peak, (2, 60, 70), fmt.dtype, endpoint=True)
    clear, solid = np.zeros_like(fgr), np.full_like(fgr, fmt.peak)
    assert np.array_equal(blend(fgr, bg, clear, fmt.peak), bg)
    assert np.array_equal(blend(fgr, bg, solid, fmt.peak), fgr)


@pytest.mark.parametrize("name", DEPTHS)
def test_blend_of_a_colour_with_itself_is_that_colour(name: str) -> None:
    fmt = PixelFormat.named(name)
    same, pha = np.random.default_rng(4).integers(0, fmt.peak, (2, 60, 70), fmt.dtype, endpoint=True)
    assert np.array_equal(blend(same, same, pha, fmt.peak), same)


# chroma alpha

LOCATIONS = {  # how far right of and below its block's first luma sample a chroma sample sits: H.273, figure 1
    ChromaLocation.UNSPECIFIED: (0.0, 0.5),
    ChromaLocation.LEFT: (0.0, 0.5),
    ChromaLocation.CENTER: (0.5, 0.5),
    ChromaLocation.TOP_LEFT: (0.0, 0.0),
    ChromaLocation.TOP: (0.5, 0.0),
    ChromaLocation.BOTTOM_LEFT: (0.0, 1.0),
    ChromaLocation.BOTTOM: (0.5, 1.0),
}


@pytest.mark.parametrize("location", ChromaLocation)
@pytest.mark.parametrize("name", [name for name in FORMATS if name.startswith("yuv")])
@pytest.mark.parametrize("size", [(64, 48), (63, 47), (33, 18)])
def test_chroma_alpha_is_alpha_where_the_chroma_sample_sits(
    location: ChromaLocation, name: str, size: tuple[int, int]
) -> None:
    """On a ramp, every unbiased filter gives the ramp's value at its centre."""
    fmt = PixelFormat.named(name)
    y, x = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float64)
    unit = fmt.peak / 255
    pha = np.rint((x + 2 * y) * unit).astype(fmt.dtype)
    luma, *chroma = host.chroma_alpha(pha, fmt, ColorSpec(chroma_location=location))
    assert luma is pha
    across, down = 1 << fmt.log2_chroma_w, 1 << fmt.log2_chroma_h
    off_x, off_y = LOCATIONS[location]
    off_x = off_x if across == 2 else (across - 1) / 2
    off_y = off_y if down == 2 else (down - 1) / 2
    rows, columns = fmt.plane_shape(1, *size)
    at_y, at_x = np.mgrid[0:rows, 0:columns].astype(np.float64)
    wanted = (at_x * across + off_x + 2 * (at_y * down + off_y)) * unit
    for plane in chroma:
        assert (plane.dtype, plane.shape) == (np.dtype(fmt.dtype), (rows, columns))
        inner = (slice(1, rows - 1), slice(1, columns - 1))  # the border repeats the last sample
        assert np.abs(plane - wanted)[inner].max() <= 1.01
        assert np.abs(plane - wanted).max() <= 4 * unit


@pytest.mark.parametrize("location", ChromaLocation)
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("size", SIZES)
def test_chroma_alpha_keeps_the_ends_exact(name: str, size: tuple[int, int], location: ChromaLocation) -> None:
    fmt = PixelFormat.named(name)
    for value in (0, fmt.peak):
        planes = host.chroma_alpha(np.full(size[::-1], value, fmt.dtype), fmt, ColorSpec(chroma_location=location))
        assert [plane.shape for plane in planes] == [fmt.plane_shape(i, *size) for i in range(fmt.plane_count)]
        assert all((plane == value).all() for plane in planes)


# resize


small = st.integers(1, 12)
odd = st.integers(0, 5).map(lambda n: 2 * n + 1)
whole = st.one_of(
    st.tuples(odd, odd, odd, odd),
    st.tuples(st.sampled_from([2, 4, 8]), small, small).map(lambda drawn: (drawn[0], *drawn)),
)
"""Factors across and down, and the size to come to, where the mean of each block is what is promised."""


@given(whole, seeds)
def test_resize_by_a_whole_factor_is_the_mean(case: tuple[int, int, int, int], seed: int) -> None:
    fx, fy, width, height = case
    image = np.random.default_rng(seed).random((height * fy, width * fx, 3), np.float32)
    wanted = image.reshape(height, fy, width, fx, 3).mean(axis=(1, 3), dtype=np.float64)
    assert np.abs(host.resize(image, width, height) - wanted).max() < 1e-5


@given(sizes, sizes, sizes, sizes, st.sampled_from([np.uint8, np.uint16, np.float32]), st.integers(0, 255))
def test_resize_keeps_flat_pictures_flat(w: int, h: int, width: int, height: int, dtype: Any, level: int) -> None:
    resized = host.resize(np.full((h, w), level, dtype), width, height)
    assert (resized.shape, resized.dtype) == ((height, width), dtype)
    assert resized == pytest.approx(np.full((height, width), float(level)), abs=1e-3)


@given(sizes, sizes, sizes, sizes, seeds)
def test_resize_never_overshoots(w: int, h: int, width: int, height: int, seed: int) -> None:
    image = np.random.default_rng(seed).random((h, w), np.float32)
    resized = host.resize(image, width, height)
    assert image.min() - 1e-6 <= resized.min()
    assert resized.max() <= image.max() + 1e-6


def test_resize_to_the_same_size_is_the_same_picture() -> None:
    image = np.zeros((4, 5), np.uint8)
    assert host.resize(image, 5, 4) is image


@pytest.mark.parametrize("size", [(16, 128), (16, 64), (16, 16)])
def test_resize_does_not_alias_where_one_axis_grows(size: tuple[int, int]) -> None:
    stripes = np.tile(np.array([0.0, 1.0], np.float32), (64, 64))
    assert host.resize(stripes, *size) == pytest.approx(np.full(size[::-1], 0.5), abs=1e-5)
    assert host.resize(np.ascontiguousarray(stripes.T), *size[::-1]) == pytest.approx(np.full(size, 0.5), abs=1e-5)


def test_resize_does_not_shift() -> None:
    ramp = np.tile(np.arange(60, dtype=np.float32), (30, 1))
    for width in (20, 30, 90, 240):
        at = (np.arange(width) + 0.5) * 60 / width - 0.5
        inside = (at >= 0) & (at <= 59)
        assert np.abs(host.resize(ramp, width, 30)[:, inside] - at[inside]).max() < 0.02


# turn


@given(st.sampled_from([0, 90, 180, 270]), sizes, sizes, seeds)
def test_turn_back_is_the_inverse_of_turn(degrees: int, width: int, height: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    there = host.turn(image, degrees)
    assert there.shape[:2] == ((height, width) if degrees % 180 == 0 else (width, height))
    assert there.flags.c_contiguous
    assert np.array_equal(host.turn_back(there, degrees), image)
    assert np.array_equal(host.turn(host.turn_back(image, degrees), degrees), image)


def test_turn_is_counter_clockwise() -> None:
    image = np.array([[1, 2], [3, 4]], np.uint8)
    assert host.turn(image, 0) is image
    assert host.turn(image, 90).tolist() == [[2, 4], [1, 3]]
    assert host.turn(image, 180).tolist() == [[4, 3], [2, 1]]
    assert host.turn(image, 270).tolist() == [[3, 1], [4, 2]]


# planes <-> RGB


def rounding(name: str, color: ColorSpec) -> float:
    """The most that half a code value in each plane can move an R'G'B' value."""
    fmt = PixelFormat.named(name)
    if fmt.model == "gbr":
        return 0.5 / fmt.peak + 1e-6
    matrix = np.abs(decode_matrix(color.resolved(fmt.model, 1080), fmt.bits)[:, :3])
    return float((matrix[:, 0] if fmt.model == "gray" else matrix.sum(axis=1)).max()) * 0.5 + 1e-5


COLORS = [ColorSpec(matrix, 1, 1, full) for matrix in (1, 6, 9) for full in (False, True)] + [ColorSpec()]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("color", COLORS, ids=lambda c: f"{c.matrix}-{c.full_range}")
def test_one_colour_comes_back(name: str, size: tuple[int, int], color: ColorSpec) -> None:
    for rgb in ([0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.9, 0.3, 0.2], [0.1, 0.5, 0.6]):
        wanted = np.array(rgb, np.float32)
        frame = make_frame(name, size, rgb=wanted, color=color)
        if frame.format.model == "gray":
            wanted[:] = wanted @ decode_luma(color)
        assert np.abs(host.frame_rgb(frame, *size) - wanted).max() <= rounding(name, color)


def decode_luma(color: ColorSpec) -> npt.NDArray[np.float32]:
    """Kr, Kg, Kb of the matrix (untagged and low: BT.601), H.273 table 4."""
    kr, kb = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 2: (0.299, 0.114), 9: (0.2627, 0.0593)}[color.matrix]
    return np.array([kr, 1 - kr - kb, kb], np.float32)


@pytest.mark.parametrize("name", [name for name in FORMATS if name.startswith(("yuv444", "gbr"))])
@pytest.mark.parametrize("full", [False, True])
@given(seed=seeds)
@settings(max_examples=10)
def test_every_pixel_comes_back_where_chroma_is_whole(name: str, full: bool, seed: int) -> None:
    color = ColorSpec(1, 1, 1, full)
    rgb = np.random.default_rng(seed).random((17, 33, 3), np.float32)
    frame = make_frame(name, (33, 17), rgb=rgb, color=color)
    limit = rounding(name, color) * (2 if full else 1)  # full-range chroma of peak + 0.5 is clipped to peak
    assert np.abs(host.frame_rgb(frame, 33, 17) - rgb).max() <= limit


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("color", [BT709, ColorSpec(6, 1, 1, True), PQ, HLG])
def test_planes_are_legal(name: str, color: ColorSpec) -> None:
    """Whatever the picture, also out of range: planes keep the format's promise and, where limited, its range."""
    rgb = np.random.default_rng(5).uniform(-0.5, 1.5, (17, 33, 3)).astype(np.float32)
    frame = make_frame(name, (33, 17), rgb=rgb, color=color)
    fmt, unit = frame.format, 1 << (frame.format.bits - 8)
    if fmt.model == "gbr" or color.full_range:
        assert max(int(plane.max()) for plane in frame.planes) <= fmt.peak
    else:
        for plane, ceiling in zip(frame.planes, (235, 240, 240), strict=False):
            assert 16 * unit - 1 <= plane.min() <= plane.max() <= ceiling * unit + 1


def test_known_planes() -> None:
    """Red, BT.709 limited: 63 102 240; G B R as FFmpeg orders RGB; HDR white at 58 % of PQ."""
    assert [plane[0, 0] for plane in make_frame("yuv420p", rgb=[1, 0, 0]).planes] == [63, 102, 240]
    assert [plane[0, 0] for plane in make_frame("gbrp", rgb=[1.0, 0.2, 0.4]).planes] == [51, 102, 255]
    assert [plane[0, 0] for plane in make_frame("gray", rgb=[1, 1, 1]).planes] == [235]
    luma, cb, cr = (int(plane[0, 0]) for plane in make_frame("yuv420p10le", rgb=[1, 1, 1], color=PQ).planes)
    assert luma == pytest.approx(64 + 876 * 0.5807, abs=1)
    assert (cb, cr) == (512, 512)


@pytest.mark.parametrize("color", [PQ, HLG])
def test_a_network_sees_hdr_as_sdr(color: ColorSpec) -> None:
    ramp = np.repeat(np.linspace(0, 1, 33, dtype=np.float32)[None, :, None], 3, axis=2).repeat(17, axis=0)
    seen = host.frame_rgb(make_frame("yuv420p10le", (33, 17), rgb=ramp, color=color), 33, 17)
    assert (seen.dtype, seen.shape) == (np.dtype(np.float32), (17, 33, 3))
    assert seen.min() >= 0
    assert 0.7 < seen.max() <= 1
    assert (np.diff(seen[8, :, 1]) > 0).all()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("size", [(20, 12), (7, 31), (100, 90)])
def test_frame_rgb_at_another_size(name: str, size: tuple[int, int]) -> None:
    rgb = host.frame_rgb(make_frame(name, (63, 47)), *size)
    assert (rgb.dtype, rgb.shape) == (np.dtype(np.float32), (size[1], size[0], 3))
    assert 0 <= rgb.min() <= rgb.max() <= 1


def test_frame_rgb_reduces_by_the_mean() -> None:
    picture = np.zeros((48, 64, 3), np.float32)
    picture[:, ::2] = 1.0
    assert host.frame_rgb(make_frame("gbrp", rgb=picture), 16, 12) == pytest.approx(np.full((12, 16, 3), 0.5), abs=3e-3)


@pytest.mark.parametrize("name", DEPTHS)
@pytest.mark.parametrize("size", [(64, 48), (97, 31), (20, 12), (3, 50)])
def test_alpha_plane_keeps_the_ends_and_the_order(name: str, size: tuple[int, int]) -> None:
    fmt = PixelFormat.named(name)
    for value in (0.0, 1.0):
        flat = host.alpha_plane(np.full((12, 20), value, np.float32), *size, fmt)
        assert (flat.dtype, flat.shape) == (np.dtype(fmt.dtype), size[::-1])
        assert (flat == round(value * fmt.peak)).all()
    edge = host.alpha_plane(np.repeat([[0.0, 1.0]], 10, axis=1).repeat(12, axis=0).astype(np.float32), *size, fmt)
    assert (edge[:, : size[0] // 3] == 0).all(), "cubic interpolation does not ring below 0"
    assert (edge[:, -(size[0] // 3) :] == fmt.peak).all(), "nor above peak"
    assert (np.diff(edge.astype(np.int64), axis=1) >= 0).all()


@pytest.mark.parametrize("name", ["gray", "gray10le"])
def test_alpha_plane_at_the_mattes_own_size_is_the_matte(name: str) -> None:
    fmt = PixelFormat.named(name)
    matte = disc(40, 30)
    assert np.array_equal(host.alpha_plane(matte, 40, 30, fmt), coded(matte, fmt))


def test_alpha_plane_is_smoother_than_linear() -> None:
    y, x = np.mgrid[0:60, 0:100] + 0.5

    def wave(across: npt.NDArray[np.float64], down: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        return np.asarray(0.5 + 0.4 * np.sin(across) * np.cos(down), np.float32)

    fmt = PixelFormat.named("gray16le")
    big_y, big_x = (np.mgrid[0:240, 0:400] + 0.5) / 4
    truth, inner = wave(big_x / 2, big_y / 2), np.s_[16:-16, 16:-16]
    cubic = host.alpha_plane(wave(x / 2, y / 2), 400, 240, fmt) / fmt.peak
    linear = host.resize(wave(x / 2, y / 2), 400, 240)
    assert np.abs(cubic - truth)[inner].mean() < 0.8 * np.abs(linear - truth)[inner].mean()


@pytest.mark.parametrize(("frequency", "least", "most"), [(0.0, 1.0, 1.0), (0.125, 0.97, 1.03), (0.25, 0.99, 1.01)])
def test_lift_box_undoes_what_the_average_took(frequency: float, least: float, most: float) -> None:
    """A grating averaged down eight times has its contrast back, up to half of the new size's band."""
    x = (np.arange(512) + 0.5) / 8
    wave = 0.5 + 0.2 * np.cos(2 * np.pi * frequency * x)
    fine = np.broadcast_to(wave[None, :, None], (64, 512, 3)).astype(np.float32)
    small = host.lift_box(np.ascontiguousarray(host.resize(fine, 64, 8)))
    expected = 0.5 + 0.2 * np.cos(2 * np.pi * frequency * (np.arange(64) + 0.5))
    kept = float(
        np.dot(small[4, 8:-8, 0] - 0.5, expected[8:-8] - 0.5) / np.dot(expected[8:-8] - 0.5, expected[8:-8] - 0.5)
    )
    assert least - 1e-3 <= kept <= most + 1e-3
    assert host.lift_box(np.array([[[0.0, 1.0, 0.5]]], np.float32)).tolist() == [[[0.0, 1.0, 0.5]]]
