"""Colours and pictures behind the subject: geometry, orientation, exact colour, HDR."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import FORMATS, HLG, PQ, make_frame, make_layer

from streammatte.backgrounds.fit import Fit, placement, upright_size
from streammatte.backgrounds.still import ImageBackground, SolidBackground, read_image
from streammatte.color import ColorSpec
from streammatte.errors import ConfigError
from streammatte.frame import Frame
from streammatte.kernels import host

FITS: tuple[Fit, ...] = ("cover", "contain", "stretch")
ROTATIONS = (0, 90, 180, 270)
aspects = st.floats(0.05, 20)


# placement


@given(aspects, aspects)
def test_cover_fills_the_frame_and_keeps_the_shape(picture: float, frame: float) -> None:
    place = placement("cover", picture, frame)
    assert (place.filled_x, place.filled_y) == (1, 1)
    assert max(place.shown_x, place.shown_y) == 1, "no more is cut away than need be"
    assert picture * place.shown_x / place.shown_y == pytest.approx(frame)


@given(aspects, aspects)
def test_contain_shows_the_whole_picture_and_keeps_its_shape(picture: float, frame: float) -> None:
    place = placement("contain", picture, frame)
    assert (place.shown_x, place.shown_y) == (1, 1)
    assert max(place.filled_x, place.filled_y) == 1, "it is no smaller than need be"
    assert frame * place.filled_x / place.filled_y == pytest.approx(picture)


@given(aspects, aspects)
def test_stretch_shows_all_of_it_everywhere(picture: float, frame: float) -> None:
    place = placement("stretch", picture, frame)
    assert (place.shown_x, place.shown_y, place.filled_x, place.filled_y) == (1, 1, 1, 1)


@pytest.mark.parametrize("fit", FITS)
@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 50), st.integers(1, 50))
def test_any_size_goes_into_any_size(fit: Fit, w: int, h: int, width: int, height: int) -> None:
    picture = np.ones((h, w, 3), np.float32)
    placed = placement(fit, w / h, width / height).apply(picture, width, height, 0.0)
    assert placed.shape == (height, width, 3)
    assert placed.max() == pytest.approx(1)
    if fit != "contain":
        assert placed.min() == pytest.approx(1)


@pytest.mark.parametrize(
    ("rotation", "size"),
    [(0, (64, 48, Fraction(4, 3))), (90, (48, 64, Fraction(3, 4))), (180, (64, 48, Fraction(4, 3)))],
)
def test_upright_size(rotation: int, size: tuple[int, int, Fraction]) -> None:
    assert upright_size(make_frame(rotation=rotation, sar=Fraction(4, 3))) == size


# pictures

RED, GREEN, BLUE, BLACK = (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0)


@pytest.fixture
def thirds(tmp_path: Path) -> Path:
    """240 x 80: a red, a green and a blue square side by side."""
    picture = np.zeros((80, 240, 3), np.uint8)
    picture[:, :80], picture[:, 80:160], picture[:, 160:] = (np.array(c) * 255 for c in (RED, GREEN, BLUE))
    return write(tmp_path / "thirds.png", picture)


def write(path: Path, rgb: npt.NDArray[np.generic]) -> Path:
    assert cv2.imwrite(str(path), np.ascontiguousarray(rgb[..., ::-1]))
    return path


def shown(background: ImageBackground | SolidBackground, frame: Frame) -> npt.NDArray[np.float32]:
    """What a viewer sees: upright RGB."""
    made = replace(frame, planes=background.planes(make_layer(frame)), alpha=None).check()
    return np.asarray(host.turn(host.frame_rgb(made, frame.width, frame.height), frame.rotation), np.float32)


def at(picture: npt.NDArray[np.float32], x: float, y: float) -> tuple[int, int, int]:
    """The colour at parts of the width and height, each channel on or off."""
    red, green, blue = picture[int(y * picture.shape[0]), int(x * picture.shape[1])] > 0.5
    return int(red), int(green), int(blue)


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_cover_shows_the_middle(thirds: Path, rotation: int) -> None:
    picture = shown(ImageBackground(thirds, "cover"), make_frame("yuv444p", (60, 60), rotation=rotation))
    assert {at(picture, x, y) for x in (0.05, 0.5, 0.95) for y in (0.05, 0.95)} == {GREEN}


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_contain_puts_black_around_it(thirds: Path, rotation: int) -> None:
    picture = shown(ImageBackground(thirds, "contain"), make_frame("yuv444p", (60, 60), rotation=rotation))
    assert [at(picture, x, 0.5) for x in (0.1, 0.5, 0.9)] == [RED, GREEN, BLUE]
    assert {at(picture, x, y) for x in (0.1, 0.5, 0.9) for y in (0.1, 0.3, 0.7, 0.9)} == {BLACK}


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_stretch_shows_all_of_it(thirds: Path, rotation: int) -> None:
    picture = shown(ImageBackground(thirds, "stretch"), make_frame("yuv444p", (60, 60), rotation=rotation))
    for y in (0.05, 0.5, 0.95):
        assert [at(picture, x, y) for x in (0.1, 0.5, 0.9)] == [RED, GREEN, BLUE]


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_wide_samples_are_narrow_on_the_sensor(thirds: Path, rotation: int) -> None:
    """Samples three times as wide as high: 60 x 60 of them are shown 180 wide or, turned, 180 high."""
    frame = make_frame("yuv444p", (60, 60), rotation=rotation, sar=Fraction(3))
    picture = shown(ImageBackground(thirds, "cover"), frame)
    if rotation % 180 == 0:
        assert [at(picture, x, 0.5) for x in (0.1, 0.5, 0.9)] == [RED, GREEN, BLUE]
    else:
        assert {at(picture, x, y) for x in (0.05, 0.5, 0.95) for y in (0.05, 0.95)} == {GREEN}
        contained = shown(ImageBackground(thirds, "contain"), frame)
        assert [at(contained, 0.5, y) for y in (0.4, 0.5, 0.6)] == [BLACK, GREEN, BLACK]
        assert [at(contained, x, 0.5) for x in (0.1, 0.5, 0.9)] == [RED, GREEN, BLUE]


def test_a_picture_of_the_frames_size_is_exact(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    background = ImageBackground(write(tmp_path / "a.png", rgb), "cover")
    green, blue, red = background.planes(make_layer(make_frame("gbrp", color=ColorSpec(0, 1, 13, True))))
    assert np.array_equal(np.dstack([red, green, blue]), rgb)


def test_a_16_bit_picture_keeps_its_depth(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 65536, (48, 64, 3), np.uint16)
    background = ImageBackground(write(tmp_path / "a.png", rgb), "cover")
    green, *_ = background.planes(make_layer(make_frame("gbrp12le", color=ColorSpec(0, 1, 13, True))))
    assert np.array_equal(green, np.rint(rgb[..., 1] / 65535 * 4095))


def test_a_float_picture_is_in_0_to_1(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).random((48, 64, 3), np.float32)
    assert read_image(write(tmp_path / "a.tiff", rgb)) == pytest.approx(rgb, abs=1e-6)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    rgb = np.zeros((40, 80, 3), np.uint8)
    rgb[:, :40] = (255, 0, 0)
    exif = pillow.Exif()
    exif[0x0112] = 6  # shown turned a quarter clockwise: the left goes to the top
    pillow.fromarray(rgb).save(tmp_path / "a.jpg", exif=exif, quality=95)
    seen = read_image(tmp_path / "a.jpg")
    assert seen.shape == (80, 40, 3)
    assert seen[10, 20] == pytest.approx([1, 0, 0], abs=0.05)
    assert seen[70, 20] == pytest.approx([0, 0, 0], abs=0.05)


@pytest.mark.parametrize("content", [None, b"", b"not a picture at all", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_one_line_that_names_it(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"^--bg: .*a\.png") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


# colours


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("size", [(64, 48), (33, 17)])
def test_a_colour_is_that_colour_everywhere(name: str, size: tuple[int, int]) -> None:
    frame = make_frame(name, size)
    for plane in SolidBackground((0.2, 0.4, 0.6)).planes(make_layer(frame)):
        assert plane.min() == plane.max()
    if frame.format.model != "gray":
        wanted = np.broadcast_to([0.2, 0.4, 0.6], (size[1], size[0], 3))
        assert shown(SolidBackground((0.2, 0.4, 0.6)), frame) == pytest.approx(wanted, abs=0.008)


@pytest.mark.parametrize(
    ("name", "color", "codes"),
    [
        ("yuv420p", ColorSpec(1, 1, 1, False), (63, 102, 240)),
        ("yuv420p", ColorSpec(6, 6, 6, False), (81, 90, 240)),
        ("yuvj", ColorSpec(6, 1, 1, True), (76, 85, 255)),
        ("gbrp", ColorSpec(), (0, 0, 255)),
        ("yuv420p10le", ColorSpec(9, 9, 14, False), (294, 387, 960)),
    ],
)
def test_red_in_known_codes(name: str, color: ColorSpec, codes: tuple[int, ...]) -> None:
    frame = make_frame("yuv420p" if name == "yuvj" else name, color=color)
    planes = SolidBackground((1.0, 0.0, 0.0)).planes(make_layer(frame))
    assert tuple(int(plane[3, 3]) for plane in planes) == codes


def test_white_in_hdr_is_diffuse_white() -> None:
    """ITU-R BT.2408: 58 % of PQ, 75 % of HLG."""
    for color, signal in ((PQ, 0.5807), (HLG, 0.75)):
        luma, cb, cr = SolidBackground((1.0, 1.0, 1.0)).planes(make_layer(make_frame("yuv420p10le", color=color)))
        assert luma[0, 0] == pytest.approx(64 + 876 * signal, abs=2)
        assert (cb[0, 0], cr[0, 0]) == (512, 512)


# rendered once


def test_planes_are_rendered_once_for_a_stream() -> None:
    background = SolidBackground((0.2, 0.4, 0.6))
    first = background.planes(make_layer(make_frame(seed=1)))
    assert background.planes(make_layer(make_frame(seed=2, pts=5, seq=5))) is first


@pytest.mark.parametrize(
    "other",
    [
        make_frame("yuv420p", (48, 64)),
        make_frame("yuv422p", (64, 48)),
        make_frame(color=ColorSpec(6, 1, 1, True)),
        make_frame(rotation=90),
        make_frame(sar=Fraction(2)),
    ],
    ids=["size", "format", "color", "rotation", "sar"],
)
def test_planes_are_rendered_anew_for_another_shape(thirds: Path, other: Frame) -> None:
    background = ImageBackground(thirds, "cover")
    first = background.planes(make_layer(make_frame()))
    again = background.planes(make_layer(other))
    assert again is not first
    fresh = ImageBackground(thirds, "cover").planes(make_layer(other))
    assert all(np.array_equal(a, b) for a, b in zip(again, fresh, strict=True))
