"""The numbers that a camera's readers are given."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from sink_clips import BT709, make_frames, make_info

from streammatte.color import ColorSpec, decode_matrix, encode_matrix
from streammatte.errors import SinkError
from streammatte.frame import Frame, StreamInfo
from streammatte.sinks.i420 import I420Packer

BT601 = ColorSpec(6, 1, 1, False)


def planes_of(packed: np.ndarray, packer: I420Packer) -> list[np.ndarray]:
    luma = packer.width * packer.height
    sizes = [(packer.height, packer.width), *[(packer.height // 2, packer.width // 2)] * 2]
    starts = [0, luma, luma * 5 // 4]
    return [packed[s : s + h * w].reshape(h, w) for s, (h, w) in zip(starts, sizes, strict=True)]


def flat(name: str, color: ColorSpec, rgb: tuple[float, float, float]) -> tuple[StreamInfo, Frame]:
    """A picture of one colour."""
    info = make_info(name, 64, 48, color=color)
    spec = color.resolved(info.format.model, 48)
    if info.format.model == "gbr":
        red, green, blue = (value * info.format.peak for value in rgb)
        values = [green, blue, red]
    else:
        values = list(encode_matrix(spec, info.format.bits) @ np.array([*rgb, 1.0]))
    shapes = [info.format.plane_shape(i, 64, 48) for i in range(info.format.plane_count)]
    planes = tuple(np.full(s, round(float(v)), info.format.dtype) for s, v in zip(shapes, values, strict=False))
    return info, replace(make_frames(info, "com")[0], planes=planes).check()


@pytest.mark.parametrize("matrix", [5, 6, 2])
def test_a_cameras_own_planes_keep_every_value(matrix: int) -> None:
    info = make_info(color=ColorSpec(matrix, 1, 1, None if matrix == 2 else False))
    frame, packer = make_frames(info, "com")[0], I420Packer("x", info)
    for given, shown in zip(frame.planes, planes_of(packer.pack(frame), packer), strict=True):
        np.testing.assert_array_equal(given, shown)
    assert packer.notes == ("shown as I420, limited-range BT.601, as it came",)


@pytest.mark.parametrize(
    ("name", "color", "said"),
    [
        ("yuv420p", BT709, "limited-range BT.709 yuv420p"),
        ("yuv422p", ColorSpec(6, 1, 1, True), "full-range BT.601 yuv422p"),
        ("yuv420p", ColorSpec(6, 1, 1, True), "full-range BT.601 yuv420p"),
        ("yuv420p10le", BT709, "limited-range BT.709 yuv420p10le"),
        ("yuv444p", ColorSpec(9, 9, 1, False), "limited-range BT.2020 yuv444p"),
        ("gbrp", ColorSpec(0, 1, 13, True), "gbrp"),
        ("gbrp10le", ColorSpec(0, 1, 13, True), "gbrp10le"),
    ],
)
@pytest.mark.parametrize("rgb", [(0.8, 0.2, 0.2), (0.2, 0.3, 0.75), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)])
def test_colours_stay_what_they_are(name: str, color: ColorSpec, said: str, rgb: tuple[float, float, float]) -> None:
    info, frame = flat(name, color, rgb)
    packer = I420Packer("x", info)
    shown = [plane[plane.shape[0] // 2, plane.shape[1] // 2] for plane in planes_of(packer.pack(frame), packer)]
    seen = decode_matrix(BT601, 8) @ np.array([*map(float, shown), 1.0])
    assert seen == pytest.approx(rgb, abs=0.025)
    assert packer.notes == (f"shown as I420, limited-range BT.601, converted by swscale from {said}",)


def test_gray_has_no_colour() -> None:
    info = make_info("gray", color=ColorSpec(full_range=True))
    packer = I420Packer("x", info)
    _, *chroma = planes_of(packer.pack(make_frames(info, "com")[0]), packer)
    assert all(np.all(plane == 128) for plane in chroma)


@pytest.mark.parametrize(("step", "size"), [(2, (64, 48)), (8, (64, 48)), (40, (80, 48))])
def test_odd_sides_repeat_their_edge(step: int, size: tuple[int, int]) -> None:
    info = make_info(width=63, height=47, color=BT601)
    frame, packer = make_frames(info, "com")[0], I420Packer("x", info, step)
    luma, cb, _ = planes_of(packer.pack(frame), packer)
    assert (packer.width, packer.height) == size
    np.testing.assert_array_equal(luma[:47, :63], frame.planes[0])
    np.testing.assert_array_equal(luma[47], luma[46])
    np.testing.assert_array_equal(luma[:, 63:], np.repeat(luma[:, 62:63], size[0] - 63, 1))
    np.testing.assert_array_equal(cb[:, :32], frame.planes[1])
    assert f"63x47 padded to {size[0]}x{size[1]} by repeating the edge, to fit I420" in packer.notes


@pytest.mark.parametrize(("rotation", "size"), [(90, (48, 64)), (180, (64, 48)), (270, (48, 64))])
def test_pictures_are_turned_upright(rotation: int, size: tuple[int, int]) -> None:
    info = make_info(color=BT601, rotation=rotation)
    frame, packer = make_frames(info, "com")[0], I420Packer("x", info)
    assert (packer.width, packer.height) == size
    for given, shown in zip(frame.planes, planes_of(packer.pack(frame), packer), strict=True):
        np.testing.assert_array_equal(np.rot90(given, rotation // 90), shown)
    assert "pictures are turned upright: a camera holds no rotation" in packer.notes


def test_what_a_camera_cannot_say_is_noted() -> None:
    info = make_info("yuv420p10le", color=ColorSpec(9, 9, 16, False), sar=Fraction(4, 3))
    said = " ".join(I420Packer("x", info).notes)
    assert "samples are 4:3, not square" in said
    assert "HDR is given as it is" in said


def test_the_planes_may_be_reused() -> None:
    info = make_info(color=BT601)
    frame, packer = make_frames(info, "com")[0], I420Packer("x", info)
    packed = packer.pack(frame)
    before = packed.copy()
    for plane in frame.planes:
        plane[:] = 7
    np.testing.assert_array_equal(packed, before)


def test_another_size_is_refused_in_words() -> None:
    packer = I420Packer("vcam", make_info())
    with pytest.raises(SinkError, match="vcam: frame 0 is 80x48, the camera was opened for 64x48; start again"):
        packer.pack(make_frames(make_info(width=80), "com")[0])
