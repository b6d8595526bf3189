"""Pixel formats by name, plane shapes, and what `Frame.check` refuses."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import FORMATS, make_frame

from streammatte.errors import ContractError
from streammatte.frame import PixelFormat


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("size", [(64, 48), (33, 17), (1, 1)])
def test_formats_are_as_ffmpeg_has_them(name: str, size: tuple[int, int]) -> None:
    ours = PixelFormat.named(name)
    theirs = av.VideoFrame(*size, name)
    assert ours.plane_count == len(theirs.planes)
    assert ours.bits == theirs.format.components[0].bits
    shapes = [(plane.height, plane.width) for plane in theirs.planes]
    assert [ours.plane_shape(i, *size) for i in range(ours.plane_count)] == shapes


@pytest.mark.parametrize(
    ("name", "bits", "peak", "dtype"),
    [("yuv420p", 8, 255, np.uint8), ("yuv420p10le", 10, 1023, np.uint16), ("gray16le", 16, 65535, np.uint16)],
)
def test_depth(name: str, bits: int, peak: int, dtype: type) -> None:
    fmt = PixelFormat.named(name)
    assert (fmt.bits, fmt.peak, fmt.dtype) == (bits, peak, dtype)


def test_a_format_is_one_object() -> None:
    assert PixelFormat.named("yuv420p") is PixelFormat.named("yuv420p")


@pytest.mark.parametrize("name", ["nv12", "yuva420p", "rgb24", "yuv420p10be", "yuv420p11le", "yuvj420p", "", "gbrap"])
def test_other_formats_are_refused_by_name(name: str) -> None:
    with pytest.raises(ContractError, match="planar pixel format without alpha") as caught:
        PixelFormat.named(name)
    assert caught.value.actual == name


@given(st.sampled_from(FORMATS), st.integers(1, 9000), st.integers(1, 9000))
def test_chroma_covers_the_picture_and_no_sample_more(name: str, width: int, height: int) -> None:
    fmt = PixelFormat.named(name)
    for index in range(fmt.plane_count):
        rows, columns = fmt.plane_shape(index, width, height)
        down, across = (1 << fmt.log2_chroma_h, 1 << fmt.log2_chroma_w) if index else (1, 1)
        assert rows * down - down < height <= rows * down
        assert columns * across - across < width <= columns * across


def test_size_and_time() -> None:
    frame = make_frame(size=(33, 17), pts=1001 * 7, time_base=Fraction(1, 24000))
    assert (frame.width, frame.height) == (33, 17)
    assert frame.time == Fraction(7 * 1001, 24000)


@pytest.mark.parametrize("name", FORMATS)
def test_a_sound_frame_checks_as_itself(name: str) -> None:
    frame = make_frame(name, (33, 17))
    assert frame.check() is frame
    sheer = dataclasses.replace(frame, alpha=np.zeros_like(frame.planes[0]))
    assert sheer.check() is sheer


FRAME = make_frame("yuv420p10le", (32, 16))
LUMA, CB, CR = FRAME.planes
FLAWS: list[tuple[str, dict[str, Any], str]] = [
    ("a plane short", {"planes": (LUMA, CB)}, r"expected planes \[\(16, 32\), \(8, 16\), \(8, 16\)\] for yuv420p10le"),
    ("a plane more", {"planes": (LUMA, CB, CR, CR)}, "expected planes"),
    ("chroma at luma size", {"planes": (LUMA, LUMA, LUMA)}, "expected planes"),
    ("too few bits", {"planes": (LUMA.astype(np.uint8), CB, CR)}, "expected uint16 planes for yuv420p10le, got uint8"),
    ("float chroma", {"planes": (LUMA, CB, CR.astype(np.float32))}, "expected uint16 planes"),
    ("small alpha", {"alpha": LUMA[:8]}, r"expected alpha \(16, 32\), got \(8, 32\)"),
    ("8-bit alpha", {"alpha": LUMA.astype(np.uint8)}, "expected uint16 planes"),
]


@pytest.mark.parametrize(("changes", "words"), [flaw[1:] for flaw in FLAWS], ids=[flaw[0] for flaw in FLAWS])
def test_a_flawed_frame_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ContractError, match=words):
        dataclasses.replace(FRAME, **changes).check()
