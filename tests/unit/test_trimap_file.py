"""`--trimap`: one picture for all frames, or to each frame the nearest in time; of the input's shape and length."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scenes import MemorySource, make_frame, make_matte
from sink_clips import make_info

from streammatte.color import ColorSpec
from streammatte.errors import ConfigError, SourceError
from streammatte.frame import Frame
from streammatte.kernels.trimaps import BACKGROUND, FOREGROUND, UNKNOWN, Trimap
from streammatte.trimap_file import TrimapFile

MATTE = make_matte(np.zeros((2, 2), np.float32))


def drawn(values: Any, name: str = "gray", **facts: Any) -> Frame:
    """A frame of these alphas, each 16 pixels across."""
    alphas = np.kron(np.asarray(values, np.float32), np.ones((16, 16), np.float32))
    color = ColorSpec(1, 1, 1, full_range=name.startswith("gray"))  # as gray always is
    return make_frame(name, alphas.shape[::-1], rgb=alphas[..., None], color=color, **facts)


def video(count: int, tick: Fraction = Fraction(1, 25), first: int = 0, duration: int = 1) -> list[Frame]:
    """Frame i is subject in column i, of 16, and background elsewhere."""
    return [
        drawn(np.eye(1, 16, i), pts=first + i, seq=i, time_base=tick, duration=duration, name="yuv420p")
        for i in range(count)
    ]


def asked(seq: int, tick: Fraction = Fraction(1, 25), **facts: Any) -> Frame:
    return make_frame("yuv420p", (256, 16), pts=seq, seq=seq, time_base=tick, **facts)


def column(trimap: Trimap) -> int:
    found = np.flatnonzero((trimap == FOREGROUND).all(axis=0))
    assert (len(found), (trimap == FOREGROUND).sum()) == (16, 256)
    return int(found[0]) // 16


# one picture


@pytest.mark.parametrize("name", ["gray", "gray16le", "gbrp", "yuv420p", "yuv444p10le"])
def test_black_white_and_all_between(name: str) -> None:
    trimaps = TrimapFile(MemorySource([drawn([[0, 1], [0.5, 0.1]], name)]))
    wanted = np.kron([[BACKGROUND, FOREGROUND], [UNKNOWN, UNKNOWN]], np.ones((16, 16)))
    for seq in (0, 500):
        found = trimaps(MATTE, make_frame("yuv420p", (32, 32), pts=seq, seq=seq))
        assert found.dtype == np.uint8
        assert np.array_equal(found, wanted)


@pytest.mark.parametrize("size", [(16, 16), (96, 96), (31, 31)])
def test_at_any_size(size: tuple[int, int]) -> None:
    found = TrimapFile(MemorySource([drawn([[0, 1], [0.5, 0]])]))(MATTE, make_frame("gray", size))
    wide, high = size
    assert found.shape == (high, wide)
    assert set(np.unique(found)) == {BACKGROUND, UNKNOWN, FOREGROUND}
    assert (found[0, 0], found[0, -1], found[-1, 0], found[-1, -1]) == (BACKGROUND, FOREGROUND, UNKNOWN, BACKGROUND)


def test_its_alpha_channel_is_not_looked_at() -> None:
    picture = drawn([[0, 1]])
    opaque = replace(picture, alpha=np.full_like(picture.planes[0], 255))
    found = TrimapFile(MemorySource([opaque]))(MATTE, make_frame("gray", (32, 16)))
    assert [found[0, 0], found[0, -1]] == [BACKGROUND, FOREGROUND]


def test_it_is_of_the_picture_as_it_is_shown() -> None:
    """A phone's video lies on its side and says so; what is drawn over it stands upright."""
    upright = drawn([[1], [0]])
    stored = make_frame("gray", (32, 16), rotation=90)
    found = TrimapFile(MemorySource([upright]))(MATTE, stored)
    assert np.array_equal(np.rot90(found), np.kron([[FOREGROUND], [BACKGROUND]], np.ones((16, 16))))
    turned = TrimapFile(MemorySource([drawn([[0, 1]], rotation=90)]))(MATTE, stored)
    assert (turned[0, 0], turned[0, -1]) == (BACKGROUND, FOREGROUND)


def test_a_picture_is_closed_once_it_is_read() -> None:
    source = MemorySource([drawn([[0, 1]])])
    TrimapFile(source)
    assert source.closed


# a video


@pytest.mark.parametrize("first", [0, 7])
def test_frame_by_frame(first: int) -> None:
    source = MemorySource(video(10, first=first))
    trimaps = TrimapFile(source)
    assert [column(trimaps(MATTE, asked(seq))) for seq in range(10)] == list(range(10))
    assert source.closed


def test_the_input_may_begin_late_or_skip() -> None:
    trimaps = TrimapFile(MemorySource(video(12)))
    assert [column(trimaps(MATTE, asked(seq))) for seq in (90, 91, 95, 101)] == [0, 1, 5, 11]


@pytest.mark.parametrize(("ours", "theirs"), [(Fraction(1, 30), 1000), (1000, Fraction(1, 30))])
def test_times_in_whole_milliseconds_are_the_same_times(ours: Any, theirs: Any) -> None:
    """30 frames a second: 33, 67, 100 ms in Matroska."""

    def at(seq: int, clock: Any) -> tuple[int, Fraction]:
        return (seq, Fraction(clock)) if clock != 1000 else (round(seq * 1000 / 30), Fraction(1, 1000))

    stamps = [at(seq, ours) for seq in range(16)]
    frames = [
        replace(each, pts=pts, time_base=base, duration=0) for each, (pts, base) in zip(video(16), stamps, strict=True)
    ]
    trimaps = TrimapFile(MemorySource(frames))
    for seq in range(16):
        pts, base = at(seq, theirs)
        assert column(trimaps(MATTE, replace(asked(seq), pts=pts, time_base=base))) == seq


def test_half_the_rate_serves_two_frames_each() -> None:
    trimaps = TrimapFile(MemorySource(video(5, Fraction(2, 25))))
    assert [column(trimaps(MATTE, asked(seq))) for seq in range(10)] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


@pytest.mark.parametrize("duration", [0, 1])
def test_one_that_ends_before_the_input_is_named(duration: int) -> None:
    trimaps = TrimapFile(MemorySource(video(4, duration=duration)))
    for seq in range(4):
        trimaps(MATTE, asked(seq))
    said = r"--trimap memory: ends at 0\.16 s, but the input has a frame at 0\.16 s; give one as long as the input"
    with pytest.raises(SourceError, match=said):
        trimaps(MATTE, asked(4))


def test_one_that_ends_much_too_soon_is_refused_at_once() -> None:
    source = MemorySource(video(4))
    source.info = replace(source.info, duration_s=4.0)
    shown = make_info(width=256, height=16, duration_s=6.0)
    with pytest.raises(
        ConfigError, match=r"--trimap: memory: lasts 4\.00 s, the input 6\.00 s; give a picture, or a video"
    ):
        TrimapFile(source, shown)
    still = MemorySource(video(1))
    still.info = replace(still.info, duration_s=0.04)
    TrimapFile(still, shown)


# what cannot be


@pytest.mark.parametrize("rotation", [0, 90])
def test_another_shape_is_named(rotation: int) -> None:
    trimap = [drawn(np.eye(2, 3))]
    size = (64, 48) if rotation == 0 else (48, 64)
    said = r"--trimap: memory: is 48x32, the input 64x48; give one of the same shape, at any size"
    with pytest.raises(ConfigError, match=said):
        TrimapFile(MemorySource(trimap), make_info(width=size[0], height=size[1], rotation=rotation))
    with pytest.raises(ConfigError, match=said):
        TrimapFile(MemorySource(trimap))(MATTE, make_frame("gray", size, rotation=rotation))


def test_sizes_that_had_to_be_rounded_are_of_the_same_shape() -> None:
    TrimapFile(MemorySource([make_frame("gray", (854, 480))]), make_info(width=1920, height=1080))


def test_nothing_in_it() -> None:
    with pytest.raises(ConfigError, match="--trimap: memory: holds no picture"):
        TrimapFile(MemorySource([]))
