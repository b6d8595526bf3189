"""Pictures: exact samples, alpha, orientation, order, one size."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from clips import smooth_frame, write_clip
from PIL import Image, ImageOps

from streammatte.errors import SourceError
from streammatte.frame import Frame
from streammatte.sources import SourceOptions, open_source

DICE = np.random.default_rng(5)


def frames_of(spec: Path | str, **options: Any) -> tuple[list[Frame], Any]:
    source = open_source(str(spec), SourceOptions(**options))
    frames = [event for event in source.events() if isinstance(event, Frame)]
    source.close()
    return frames, source


def channels_of(frame: Frame) -> npt.NDArray[Any]:
    """(h, w, 3 or 4) in OpenCV's order: B, G, R, A."""
    green, blue, red = frame.planes
    extra = () if frame.alpha is None else (frame.alpha,)
    return np.stack([blue, green, red, *extra], axis=-1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_rgb_and_alpha_are_exact(tmp_path: Path, dtype: type, channels: int, suffix: str) -> None:
    pixels = DICE.integers(0, np.iinfo(dtype).max + 1, (21, 39, channels), dtype=dtype)
    cv2.imwrite(str(tmp_path / f"a{suffix}"), pixels)
    (frame,), source = frames_of(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(channels_of(frame.check()), pixels)
    assert source.info.has_alpha is (channels == 4)


@pytest.mark.parametrize(("mode", "depth"), [("L", "gray"), ("I;16", "gray16le"), ("LA", "gray")])
def test_gray(tmp_path: Path, mode: str, depth: str) -> None:
    whole = DICE.integers(0, 60000, (9, 11), dtype=np.uint16)
    pixels = whole if mode == "I;16" else (whole >> 8).astype(np.uint8)
    picture = Image.fromarray(pixels)
    if mode == "LA":
        picture.putalpha(Image.fromarray(255 - pixels))
    picture.save(tmp_path / "a.png")
    (frame,), _ = frames_of(tmp_path / "a.png")
    assert (frame.format.name, frame.color.full_range) == (depth, True)
    np.testing.assert_array_equal(frame.planes[0], pixels)
    if mode == "LA":
        np.testing.assert_array_equal(frame.alpha, 255 - pixels)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize(("mode", "how"), [("RGB", {}), ("RGB", {"subsampling": 0, "quality": 40}), ("L", {})])
def test_jpeg_by_libjpeg_is_pillows(tmp_path: Path, mode: str, how: dict[str, Any], orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    smooth = cv2.resize(DICE.integers(0, 256, (5, 7, 3), dtype=np.uint8), (61, 43), interpolation=cv2.INTER_CUBIC)
    Image.fromarray(smooth).convert(mode).save(tmp_path / "a.jpg", exif=exif, **how)
    (frame,), source = frames_of(tmp_path / "a.jpg", libjpeg=True)
    wanted = ImageOps.exif_transpose(Image.open(tmp_path / "a.jpg")).convert("RGB")
    np.testing.assert_array_equal(channels_of(frame.check())[..., ::-1], np.asarray(wanted))
    assert (frame.format.name, frame.rotation, source.notes) == ("gbrp", 0, [])
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:-80])
    with pytest.raises(SourceError, match=r"a.jpg: not a whole picture"):
        frames_of(tmp_path / "a.jpg", libjpeg=True)


def test_palette_png(tmp_path: Path) -> None:
    picture = Image.fromarray(DICE.integers(0, 256, (9, 11, 3), dtype=np.uint8)).quantize(16)
    picture.save(tmp_path / "a.png")
    (frame,), _ = frames_of(tmp_path / "a.png")
    wanted = np.asarray(picture.convert("RGB"))[..., ::-1]
    np.testing.assert_array_equal(channels_of(frame)[..., :3], wanted)


@pytest.mark.parametrize("suffix", [".bmp", ".webp"])
def test_other_formats(tmp_path: Path, suffix: str) -> None:
    pixels = DICE.integers(0, 256, (20, 38, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / f"a{suffix}", lossless=True)
    (frame,), _ = frames_of(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(channels_of(frame)[..., 2::-1], pixels)


def test_webp_alpha(tmp_path: Path) -> None:
    pixels = DICE.integers(1, 256, (20, 38, 4), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.webp", lossless=True, exact=True)
    (frame,), _ = frames_of(tmp_path / "a.webp")
    np.testing.assert_array_equal(frame.alpha, pixels[..., 3])


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize(("orientation", "rotation"), [(1, 0), (3, 180), (6, 270), (8, 90)])
def test_exif_orientation(tmp_path: Path, suffix: str, orientation: int, rotation: int) -> None:
    """EXIF 6: a quarter turn clockwise (270 degrees counter-clockwise) sets the picture right."""
    exif = Image.Exif()
    exif[0x112] = orientation
    Image.fromarray(np.zeros((8, 12, 3), np.uint8)).save(tmp_path / f"a{suffix}", exif=exif)
    (frame,), source = frames_of(tmp_path / f"a{suffix}")
    assert (frame.rotation, source.info.rotation) == (rotation, rotation)
    assert (frame.width, frame.height) == (12, 8)


def test_jpeg_stays_yuv(tmp_path: Path) -> None:
    Image.fromarray(np.full((16, 16, 3), 200, np.uint8)).save(tmp_path / "a.jpg", quality=100)
    (frame,), _ = frames_of(tmp_path / "a.jpg")
    assert (frame.format.name, frame.color.full_range, frame.color.matrix) == ("yuv420p", True, 5)
    assert abs(int(frame.planes[0][8, 8]) - 200) <= 1


def _numbered(folder: Path, numbers: list[int], name: str = "f{}.png", size: tuple[int, int] = (12, 8)) -> None:
    for number in numbers:
        cv2.imwrite(str(folder / name.format(number)), np.full((size[1], size[0], 3), number, np.uint8))


def values(frames: list[Frame]) -> list[int]:
    return [int(frame.planes[0][0, 0]) for frame in frames]


def test_folder_in_natural_order(tmp_path: Path) -> None:
    _numbered(tmp_path, [10, 2, 1, 33])
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / ".hidden.png").write_text("x")
    frames, source = frames_of(tmp_path, input_rate=Fraction(24000, 1001))
    assert values(frames) == [1, 2, 10, 33]
    assert [frame.time for frame in frames] == [i * Fraction(1001, 24000) for i in range(4)]
    assert (source.info.frame_count, source.info.rate) == (4, Fraction(24000, 1001))


@pytest.mark.parametrize(
    ("pattern", "wanted"), [("%06d.png", [3, 7]), ("%d.png", [3, 7]), ("0*.png", [3, 7]), ("%04d.jpg", None)]
)
def test_sequence(tmp_path: Path, pattern: str, wanted: list[int] | None) -> None:
    _numbered(tmp_path, [7, 3], "{:06d}.png")
    _numbered(tmp_path, [9], "x{:06d}.png")
    if wanted is None:
        with pytest.raises(SourceError, match="no file has such a name"):
            frames_of(tmp_path / pattern)
        return
    assert values(frames_of(tmp_path / pattern)[0]) == wanted


def test_start_and_duration(tmp_path: Path) -> None:
    _numbered(tmp_path, list(range(10)))
    frames, source = frames_of(tmp_path, input_rate=Fraction(10), start_s=0.3, duration_s=0.4)
    assert values(frames) == [3, 4, 5, 6]
    assert [float(frame.time) for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3])
    assert source.info.frame_count == 4
    with pytest.raises(SourceError, match="end before --start 5 s"):
        frames_of(tmp_path, input_rate=Fraction(10), start_s=5)


def test_one_size(tmp_path: Path) -> None:
    _numbered(tmp_path, [1, 2])
    _numbered(tmp_path, [3], size=(14, 8))
    with pytest.raises(SourceError, match=r"f3\.png: is 14x8 gbrp .* but f1\.png is 12x8"):
        frames_of(tmp_path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tiff", ".webp"])
def test_cut_picture(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    cv2.imwrite(str(path), DICE.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SourceError, match="not a whole picture"):
        frames_of(path)


def test_a_name_may_lie(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.jpg"), np.full((4, 4, 3), 9, np.uint8))
    (tmp_path / "a.jpg").rename(tmp_path / "a.png")
    assert frames_of(tmp_path / "a.png")[1].info.codec == "mjpeg"


@pytest.mark.parametrize(("suffix", "codec", "pix_fmt"), [(".png", "apng", "rgba"), (".gif", "gif", "bgr8")])
def test_animations_are_films(tmp_path: Path, suffix: str, codec: str, pix_fmt: str) -> None:
    frames = [smooth_frame("gbrp", (32, 24), i).reformat(format=pix_fmt, threads=1) for i in range(3)]
    path = write_clip(tmp_path / f"a.{codec}", frames, codec, rate=10).rename(tmp_path / f"b{suffix}")
    got, source = frames_of(path)
    assert len(got) == 3
    assert source.info.codec == codec
