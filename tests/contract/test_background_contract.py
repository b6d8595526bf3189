"""What `ports.Background` promises, over every kind of background."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from scenes import FORMATS, HLG, PQ, MemorySource, make_frame, make_layer

from streammatte.backgrounds.blur import BlurBackground
from streammatte.backgrounds.still import ImageBackground, SolidBackground
from streammatte.backgrounds.video import VideoBackground
from streammatte.color import ColorSpec
from streammatte.frame import Frame
from streammatte.ports import Background


def _picture(folder: Path) -> Path:
    cv2.imwrite(str(folder / "room.png"), np.random.default_rng(0).integers(0, 256, (50, 90, 3), np.uint8))
    return folder / "room.png"


def _video(name: str) -> Callable[[Path], Background]:
    frames = [make_frame(name, (70, 40), seed=n, pts=n, seq=n) for n in range(3)]
    return lambda folder: VideoBackground(lambda: MemorySource(frames), "contain")


MAKERS: dict[str, Callable[[Path], Background]] = {
    "solid": lambda folder: SolidBackground((0.1, 0.6, 0.3)),
    "image cover": lambda folder: ImageBackground(_picture(folder), "cover"),
    "image contain": lambda folder: ImageBackground(_picture(folder), "contain"),
    "video": _video("yuv420p"),
    "video of another coding": _video("gbrp10le"),
    "blur": lambda folder: BlurBackground(2.5),
    "blur a little": lambda folder: BlurBackground(0.1),
    "blur most": lambda folder: BlurBackground(20),
}


@pytest.fixture(params=MAKERS)
def background(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Background]:
    made = MAKERS[request.param](tmp_path)
    yield made
    made.close()


def planes_fit(background: Background, frame: Frame) -> bool:
    made = replace(frame, planes=background.planes(make_layer(frame))).check()
    return max(int(plane.max()) for plane in made.planes) <= frame.format.peak


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("size", [(64, 48), (33, 17), (2, 2), (1, 1)])
def test_planes_are_like_the_frames(background: Background, name: str, size: tuple[int, int]) -> None:
    assert planes_fit(background, make_frame(name, size))


@pytest.mark.parametrize("rotation", [90, 180, 270])
@pytest.mark.parametrize("sar", [Fraction(1), Fraction(16, 11), Fraction(1, 3)])
def test_of_any_orientation_and_sample_shape(background: Background, rotation: int, sar: Fraction) -> None:
    assert planes_fit(background, make_frame("yuv420p", (33, 17), rotation=rotation, sar=sar))


@pytest.mark.parametrize("color", [ColorSpec(), ColorSpec(6, 6, 6, True), PQ, HLG])
def test_of_any_colour(background: Background, color: ColorSpec) -> None:
    assert planes_fit(background, make_frame("yuv420p10le", color=color))


def test_the_format_may_change_on_the_way(background: Background) -> None:
    """Pictures of a folder, or a camera that is turned."""
    for frame in (
        make_frame("yuv420p"),
        make_frame("yuv420p", (48, 64)),
        make_frame("gbrp", (48, 64)),
        make_frame("gbrp", (48, 64), rotation=90),
        make_frame("yuv420p"),
    ):
        assert planes_fit(background, frame)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_with_nobody_there_and_with_nothing_else(background: Background, alpha: float) -> None:
    frame = make_frame("yuv420p", (33, 17))
    layer = make_layer(frame, np.full((17, 33), alpha, np.float32))
    replace(frame, planes=background.planes(layer)).check()


def test_the_layer_is_left_alone(background: Background) -> None:
    layer = make_layer(make_frame(), fgr=make_frame(seed=1).planes)
    held = (*layer.frame.planes, *layer.fgr, layer.pha)
    kept = [plane.copy() for plane in held]
    background.planes(layer)
    assert all(np.array_equal(a, b) for a, b in zip(held, kept, strict=True))


def test_the_same_frame_gives_the_same_planes(background: Background) -> None:
    layer = make_layer(make_frame(pts=3, seq=3))
    first = [plane.copy() for plane in background.planes(layer)]
    assert all(np.array_equal(a, b) for a, b in zip(background.planes(layer), first, strict=True))


def test_close_twice(background: Background) -> None:
    background.planes(make_layer(make_frame()))
    background.close()
    background.close()
