"""The numbers that OBS is given: colours of every format, alpha as it is."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from sink_clips import BT709, make_frames, make_info

from streammatte.color import ChromaLocation, ColorSpec, decode_matrix, encode_matrix
from streammatte.errors import SinkError
from streammatte.frame import Frame, StreamInfo
from streammatte.sinks.bgra import BgraPacker
from streammatte.sinks.rgb import bgr_samples

FORMATS = ["yuv420p", "yuv422p", "yuv444p", "yuv440p", "yuv410p", "yuv411p", "gbrp", "gray", "yuv420p10le", "gbrp12le"]


def subject(info: StreamInfo) -> Frame:
    return make_frames(info, "fgr")[0]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("size", [(64, 48), (63, 47)])
@pytest.mark.parametrize("color", [BT709, ColorSpec(6, 1, 1, True), ColorSpec(9, 9, 1, False)])
def test_colours_are_the_float_kernels(name: str, size: tuple[int, int], color: ColorSpec) -> None:
    info = make_info(name, *size, color=color)
    frame = subject(info)
    packed = BgraPacker("x", info).pack(frame)
    exact = bgr_samples(frame) / (257.0 if info.format.bits > 8 else 1.0)
    assert packed.shape == (size[1], size[0], 4)
    assert packed.dtype == np.uint8
    assert packed.flags.c_contiguous
    assert np.abs(packed[..., :3] - exact).max() <= 1


@pytest.mark.parametrize("location", ChromaLocation)
@pytest.mark.parametrize("name", ["yuv420p", "yuv422p"])
def test_chroma_comes_from_where_it_sits(name: str, location: ChromaLocation) -> None:
    info = make_info(name, 63, 47, color=replace(BT709, chroma_location=location))
    frame = subject(info)
    noise = np.random.default_rng(1)
    frame = replace(frame, planes=tuple(noise.integers(16, 235, p.shape).astype(np.uint8) for p in frame.planes))
    packed = BgraPacker("x", info).pack(frame)
    assert np.abs(packed[..., :3].astype(int) - bgr_samples(frame)).max() <= 1


@pytest.mark.parametrize("rgb", [(1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (0.8, 0.2, 0.2), (0.1, 0.3, 0.9)])
@pytest.mark.parametrize("color", [BT709, ColorSpec(6, 1, 1, False), ColorSpec(1, 1, 1, True)])
def test_a_colour_is_what_it_was(rgb: tuple[float, float, float], color: ColorSpec) -> None:
    info = make_info(color=color)
    values = encode_matrix(color, 8) @ np.array([*rgb, 1.0])
    coded = np.rint(values)
    frame = subject(info)
    planes = tuple(np.full(p.shape, v, np.uint8) for p, v in zip(frame.planes, coded, strict=True))
    packed = BgraPacker("x", info).pack(replace(frame, planes=planes))
    want = np.clip(decode_matrix(color, 8) @ np.array([*coded, 1.0]), 0, 1) * 255
    assert np.abs(packed[..., 2::-1] - want).max() <= 0.51
    assert np.abs(packed[20, 20, 2::-1] - np.array(rgb) * 255).max() <= 2


@pytest.mark.parametrize("name", FORMATS)
def test_alpha_is_what_it_was(name: str) -> None:
    info = make_info(name)
    frame = subject(info)
    assert frame.alpha is not None
    shown = BgraPacker("x", info).pack(frame)[..., 3]
    np.testing.assert_array_equal(shown, np.rint(frame.alpha * (255 / info.format.peak)))


def test_colours_stay_where_nothing_is_seen() -> None:
    info = make_info()
    frame = subject(info)
    assert frame.alpha is not None
    clear = replace(frame, alpha=np.zeros_like(frame.alpha))
    np.testing.assert_array_equal(
        BgraPacker("x", info).pack(clear)[..., :3], BgraPacker("x", info).pack(frame)[..., :3]
    )


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p", "gray"])
@pytest.mark.parametrize(("rotation", "size"), [(90, (47, 63)), (180, (63, 47)), (270, (47, 63))])
def test_pictures_are_turned_upright(name: str, rotation: int, size: tuple[int, int]) -> None:
    stored = make_info(name, 63, 47)
    info = replace(stored, rotation=rotation)
    packer = BgraPacker("x", info)
    turned = packer.pack(subject(info))
    assert (packer.width, packer.height) == size
    assert turned.shape == (size[1], size[0], 4)
    assert turned.flags.c_contiguous
    np.testing.assert_array_equal(np.rot90(BgraPacker("x", stored).pack(subject(stored)), rotation // 90), turned)
    assert "pictures are turned upright: OBS is told no rotation" in packer.notes


def test_the_planes_may_be_reused() -> None:
    info = make_info()
    frame = subject(info)
    packed = BgraPacker("x", info).pack(frame)
    before = packed.copy()
    for plane in (*frame.planes, frame.alpha):
        assert plane is not None
        plane[:] = 7
    np.testing.assert_array_equal(packed, before)


def test_what_obs_is_not_told_is_noted() -> None:
    info = make_info("yuv420p10le", color=ColorSpec(9, 9, 16, False), sar=Fraction(4, 3))
    said = " ".join(BgraPacker("x", info).notes)
    assert "sent as 8-bit BGRA with straight alpha, from yuv420p10le" in said
    assert "samples are 4:3, not square" in said
    assert "HDR is given as it is" in said


def test_what_is_no_subject_is_refused_in_words() -> None:
    packer = BgraPacker("obs", make_info())
    with pytest.raises(SinkError, match="obs: frame 0 is 80x48, the source was opened for 64x48; start again"):
        packer.pack(subject(make_info(width=80)))
    with pytest.raises(SinkError, match="obs: frame 0 has no alpha to send"):
        packer.pack(make_frames(make_info(), "com")[0])
