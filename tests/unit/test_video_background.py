"""A video behind the subject: on its own clock, round and round, placed like a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clips import film
from scenes import FORMATS, MemorySource, make_frame, make_layer

from streammatte.backgrounds.video import VideoBackground
from streammatte.color import ColorSpec
from streammatte.errors import SourceError
from streammatte.frame import Frame
from streammatte.kernels import host
from streammatte.ports import Source
from streammatte.sources import open_source

STEP = 20
"""Frame number n of the films below is gray at 16 + n * STEP."""


@pytest.fixture(autouse=True)
def _count_opened_anew() -> None:
    MemorySource.opened = 0


def numbered(
    pts: Sequence[int], time_base: Fraction = Fraction(1, 10), duration: int = 1, size: tuple[int, int] = (64, 48)
) -> list[Frame]:
    """A gray film that tells which frame is shown."""
    frames = []
    for number, stamp in enumerate(pts):
        frame = make_frame("gray", size, pts=stamp, time_base=time_base, duration=duration, seq=number)
        plane = np.full(size[::-1], 16 + number * STEP, np.uint8)
        frames.append(replace(frame, planes=(plane,)))
    return frames


def opening(frames: Sequence[Frame], rate: Fraction | None = None) -> Callable[[], Source]:
    return lambda: MemorySource(frames, rate)


def shown(background: VideoBackground, times_s: Sequence[Fraction | int]) -> list[int]:
    """The numbers of the film's frames seen at these times of the source."""
    numbers = []
    for seq, time_s in enumerate(times_s):
        time = Fraction(time_s)
        frame = make_frame("gray", pts=time.numerator, time_base=Fraction(1, time.denominator), seq=seq)
        (plane,) = background.planes(make_layer(frame))
        assert plane.min() == plane.max()
        numbers.append((int(plane[0, 0]) - 16) // STEP)
    return numbers


def ticks(rate: Fraction | int, count: int, start_s: Fraction | int = 0) -> list[Fraction]:
    return [start_s + i / Fraction(rate) for i in range(count)]


def test_a_slower_film_holds_its_frames() -> None:
    background = VideoBackground(opening(numbered(range(4))), "cover")
    assert shown(background, ticks(25, 10)) == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]


def test_a_faster_film_skips_frames() -> None:
    background = VideoBackground(opening(numbered(range(8), Fraction(1, 60))), "cover")
    assert shown(background, ticks(24, 4)) == [0, 2, 5, 7]


def test_uneven_times_are_kept() -> None:
    background = VideoBackground(opening(numbered([0, 1, 7, 8])), "cover")
    assert shown(background, ticks(10, 9)) == [0, 1, 1, 1, 1, 1, 1, 2, 3]


@pytest.mark.parametrize("start", [0, 3, 1_000_000])
def test_it_begins_with_its_first_frame_whatever_the_clocks_say(start: int) -> None:
    """Neither a film whose timestamps start late nor a source whose do shifts the other."""
    background = VideoBackground(opening(numbered(range(start, start + 4))), "cover")
    assert shown(background, ticks(10, 4, Fraction(start * 7, 3))) == [0, 1, 2, 3]


def test_it_starts_over_without_a_gap() -> None:
    background = VideoBackground(opening(numbered(range(3))), "cover")
    assert shown(background, ticks(10, 10)) == [0, 1, 2] * 3 + [0]
    assert MemorySource.opened == 4


def test_rounds_do_not_drift() -> None:
    """0.3 s of film, 23.976 frames a second: after a thousand rounds still exact."""
    background = VideoBackground(opening(numbered(range(3))), "cover")
    times_s = [Fraction(n * 3, 10) for n in (0, 1, 2, 999, 1000)]
    assert shown(background, [t + Fraction(1, 100) for t in times_s]) == [0] * 5
    rate = Fraction(24000, 1001)
    again = VideoBackground(opening(numbered(range(3))), "cover")
    wanted = [int(t * 10) % 3 for t in ticks(rate, 300)]
    assert shown(again, ticks(rate, 300)) == wanted


@pytest.mark.parametrize(("duration", "rate", "last_s"), [(5, None, "0.5"), (0, Fraction(5), "0.2"), (0, None, "0.04")])
def test_the_last_frames_length(duration: int, rate: Fraction | None, last_s: str) -> None:
    """Its own duration, else one over the rate, else a twenty-fifth of a second."""
    end_s = Fraction(1, 10) + Fraction(last_s)
    background = VideoBackground(opening(numbered([0, 1], duration=duration), rate), "cover")
    assert shown(background, [0, Fraction(1, 10), end_s - Fraction(1, 1000), end_s]) == [0, 1, 1, 0]


def test_a_film_of_one_frame_is_a_picture() -> None:
    background = VideoBackground(opening(numbered([5])), "cover")
    assert shown(background, ticks(25, 30)) == [0] * 30


def test_a_frame_is_rendered_once_while_it_is_shown() -> None:
    background = VideoBackground(opening(numbered(range(2))), "cover")
    first, again, later = (
        background.planes(make_layer(make_frame("gray", pts=pts, time_base=Fraction(1, 25)))) for pts in (0, 1, 3)
    )
    assert first is again
    assert later is not first


def test_a_source_that_changes_its_shape_is_followed() -> None:
    background = VideoBackground(opening(numbered(range(2))), "cover")
    for frame in (make_frame("gray"), make_frame("gray", (30, 40)), make_frame("yuv422p", (30, 40), rotation=90)):
        replace(frame, planes=background.planes(make_layer(frame))).check()


def test_a_film_without_frames() -> None:
    with pytest.raises(SourceError, match="no frames to use as a background"):
        VideoBackground(opening([]), "cover")


def test_every_round_is_closed() -> None:
    opened: list[MemorySource] = []

    def once_more() -> Source:
        opened.append(MemorySource(numbered(range(2))))
        return opened[-1]

    background = VideoBackground(once_more, "cover")
    shown(background, ticks(10, 7))
    assert [source.closed for source in opened] == [True, True, True, False]
    background.close()
    background.close()
    assert opened[-1].closed


# placed


def halves(name: str, size: tuple[int, int], color: ColorSpec, **facts: int) -> list[Frame]:
    """A film of one frame that is red on the left and blue on the right of a red and blue picture shown upright."""
    picture = np.zeros((size[1], size[0], 3), np.float32)
    picture[:, : size[0] // 2] = (0.8, 0.1, 0.1)
    picture[:, size[0] // 2 :] = (0.1, 0.1, 0.8)
    return [make_frame(name, size, rgb=picture, color=color, **facts)]


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("coded_as", ["yuv420p", "yuv444p", "gbrp", "yuv420p10le"])
def test_left_is_left(rotation: int, coded_as: str) -> None:
    """Whether the planes are used as they are or through RGB, upright is upright and colour is colour."""
    color = ColorSpec(1, 1, 1, False) if coded_as.startswith("yuv") else ColorSpec(0, 1, 13, True)
    background = VideoBackground(opening(halves(coded_as, (80, 60), color)), "stretch")
    frame = make_frame("yuv420p", (64, 48), rotation=rotation)
    made = replace(frame, planes=background.planes(make_layer(frame))).check()
    seen = host.turn(host.frame_rgb(made, 64, 48), rotation)
    height, width = seen.shape[:2]
    assert seen[height // 2, width // 5] == pytest.approx([0.8, 0.1, 0.1], abs=0.02)
    assert seen[height // 2, -(width // 5)] == pytest.approx([0.1, 0.1, 0.8], abs=0.02)


@pytest.mark.parametrize("rotation", [90, 270])
def test_a_rotated_film_is_turned_upright(rotation: int) -> None:
    upright = np.zeros((60, 40, 3), np.float32)
    upright[:30] = (0.8, 0.1, 0.1)
    stored = np.ascontiguousarray(np.rot90(upright, -(rotation // 90)))
    picture = make_frame("yuv444p", (60, 40), rgb=stored, rotation=rotation)
    frame = make_frame("yuv444p", (40, 60))
    planes = VideoBackground(opening([picture]), "cover").planes(make_layer(frame))
    seen = host.frame_rgb(replace(frame, planes=planes), 40, 60)
    assert seen[10, 20] == pytest.approx([0.8, 0.1, 0.1], abs=0.02)
    assert seen[50, 20] == pytest.approx([0, 0, 0], abs=0.02)


@pytest.mark.parametrize("name", FORMATS)
def test_a_film_of_the_streams_own_coding_keeps_its_bits(name: str) -> None:
    picture = make_frame(name, seed=5)
    planes = VideoBackground(opening([picture]), "cover").planes(make_layer(make_frame(name)))
    assert all(np.array_equal(a, b) for a, b in zip(planes, picture.planes, strict=True))


@pytest.mark.parametrize("through_rgb", [False, True])
def test_contain_puts_black_around_it(through_rgb: bool) -> None:
    color = ColorSpec(6 if through_rgb else 1, 1, 1, False)
    background = VideoBackground(opening(halves("yuv420p", (96, 24), color)), "contain")
    frame = make_frame("yuv420p", (64, 64))
    seen = host.frame_rgb(replace(frame, planes=background.planes(make_layer(frame))), 64, 64)
    for row in (2, 20, 44, 61):
        assert seen[row] == pytest.approx(np.zeros((64, 3)), abs=0.02)
    assert seen[32, 10] == pytest.approx([0.8, 0.1, 0.1], abs=0.02)


def test_a_real_file(tmp_path: Path) -> None:
    path = film(tmp_path / "room.mp4", 5)
    background = VideoBackground(lambda: open_source(str(path)), "cover")
    seen = [background.planes(make_layer(make_frame("yuv420p", (96, 64), pts=pts)))[0].astype(int) for pts in range(11)]
    background.close()
    for index in range(5, 11):
        assert np.array_equal(seen[index], seen[index - 5])
    assert all(np.abs(seen[i] - seen[i + 1]).mean() > 1 for i in range(5))
