"""That the numbers in an output are the numbers that were given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from sink_clips import BT709, PQ, colour_planes, decode, make_frames, make_info, plane, ramp_alpha, write_all

from streammatte.color import ChromaLocation, ColorSpec
from streammatte.errors import SinkError
from streammatte.frame import Frame, PixelFormat, StreamInfo
from streammatte.ports import SinkKind
from streammatte.sinks import SinkOptions, open_sink
from streammatte.sinks.frames import rescale

DEEP = ["yuv420p10le", "yuv422p10le", "yuv444p12le", "yuv420p16le"]
PLANAR = ["yuv420p", "yuv422p", "yuv444p", *DEEP]


def written(path: Path, kind: SinkKind, info: StreamInfo, **options: Any) -> tuple[list[Frame], tuple[str, ...]]:
    frames = make_frames(info, kind, range(3))
    return frames, write_all(open_sink(path, kind, info, SinkOptions(**options)), frames).notes


def depth(frame: av.VideoFrame) -> int:
    return int(frame.format.components[0].bits)


@pytest.mark.parametrize("name", PLANAR)
@pytest.mark.parametrize("size", [(64, 48), (63, 47)])
def test_ffv1_holds_colour_and_alpha_exactly(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    info = make_info(name, *size)
    frames, _ = written(tmp_path / "a.mkv", "fgr", info)
    for given, read in zip(frames, decode(tmp_path / "a.mkv"), strict=True):
        assert read.format.name == name.replace("yuv", "yuva")
        for index, expected in enumerate((*given.planes, given.alpha)):
            np.testing.assert_array_equal(plane(read, index, info.format.dtype), expected)


def test_ffv1_rgb_is_exact_at_8_bits_and_deeper(tmp_path: Path) -> None:
    frames, _ = written(tmp_path / "a.mkv", "fgr", make_info("gbrp", color=ColorSpec(0, 1, 13, True)))
    for given, read in zip(frames, decode(tmp_path / "a.mkv"), strict=True):
        assert read.format.name == "bgra"
        green, blue, red = given.planes
        np.testing.assert_array_equal(read.to_ndarray(), np.dstack([blue, green, red, given.alpha]))
    frames, _ = written(tmp_path / "b.mkv", "fgr", make_info("gbrp10le", color=ColorSpec(0, 1, 13, True)))
    for given, read in zip(frames, decode(tmp_path / "b.mkv"), strict=True):
        assert read.format.name == "gbrap10le"
        for index, expected in enumerate((*given.planes, given.alpha)):
            np.testing.assert_array_equal(plane(read, index, np.uint16), expected)


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "gbrp", "yuv444p12le"])
def test_ffv1_mattes_are_exact(tmp_path: Path, name: str) -> None:
    info = make_info(name)
    frames, _ = written(tmp_path / "a.mkv", "pha", info)
    for given, read in zip(frames, decode(tmp_path / "a.mkv"), strict=True):
        assert read.format.name == given.format.name
        np.testing.assert_array_equal(plane(read, 0, info.format.dtype), given.planes[0])


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p", "yuv444p10le", "gbrp"])
@pytest.mark.parametrize("size", [(64, 48), (63, 47)])
def test_prores_alpha_is_within_a_rounding(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    info = make_info(name, *size)
    frames, _ = written(tmp_path / "a.mov", "fgr", info)
    for given, read in zip(frames, decode(tmp_path / "a.mov"), strict=True):
        alpha, peak = plane(read, 3, np.uint16), (1 << depth(read)) - 1
        assert given.alpha is not None
        error = np.abs(alpha / peak - given.alpha / info.format.peak) * 255
        assert error.max() < 0.2
        assert (alpha[given.alpha == 0] == 0).all()
        assert (alpha[given.alpha == info.format.peak] == peak).all()


def test_vp9_alpha_is_within_codec_loss(tmp_path: Path) -> None:
    info = make_info(width=320, height=240)
    frames, _ = written(tmp_path / "a.webm", "fgr", info)
    read = decode(tmp_path / "a.webm", "libvpx-vp9")
    assert len(read) == len(frames)
    for given, got in zip(frames, read, strict=True):
        assert got.format.name == "yuva420p"
        assert given.alpha is not None
        error = np.abs(plane(got, 3).astype(int) - given.alpha)
        assert error.max() <= 8
        assert error.mean() < 0.3


@pytest.mark.parametrize(
    ("file", "name", "bound"),
    [
        ("a.mp4", "yuv420p", 3.0),  # H.264 High, for players; the others are lossless but for luma's range
        ("a.mov", "yuv420p", 3.0),
        ("a.webm", "yuv420p", 1.0),
        ("a.mp4", "yuv422p10le", 1.0),
        ("a.webm", "yuv420p10le", 1.0),
    ],
)
def test_mattes_as_luma_give_the_alpha_back(tmp_path: Path, file: str, name: str, bound: float) -> None:
    info = make_info(name, 128, 96)
    frames, notes = written(tmp_path / file, "pha", info)
    assert any("luma" in note for note in notes)
    for given, read in zip(frames, decode(tmp_path / file), strict=True):
        unit = 1 << (depth(read) - 8)
        luma = plane(read, 0, np.uint8 if unit == 1 else np.uint16).astype(float)
        alpha = (luma - 16 * unit) / (219 * unit)
        error = np.abs(alpha - given.planes[0] / info.format.peak) * 255
        assert error.max() <= bound
        assert (plane(read, 1, np.uint8 if unit == 1 else np.uint16) == 128 * unit).all()
        assert (read.colorspace, read.color_range) == (1, 1)
        if unit == 1:  # what a player shows in full-range gray
            shown = read.reformat(format="gray", dst_color_range="JPEG").to_ndarray().astype(int)
            assert np.abs(shown - given.planes[0]).max() <= bound


@pytest.mark.parametrize(
    ("file", "name", "written_as", "bound"),
    [
        ("a.mp4", "yuv420p", "yuv420p", 2.0),
        ("a.mp4", "yuv422p", "yuv422p", 2.0),
        ("a.mp4", "yuv444p", "yuv444p", 2.0),
        ("a.mp4", "yuv420p10le", "yuv420p10le", 2.0),
        ("a.mp4", "yuv422p10le", "yuv422p10le", 2.0),
        ("a.mov", "yuv444p12le", "yuv444p12le", 2.0),
        ("a.webm", "yuv420p", "yuv420p", 2.0),
    ],
)
def test_composites_keep_depth_and_subsampling(
    tmp_path: Path, file: str, name: str, written_as: str, bound: float
) -> None:
    info = make_info(name, 128, 96)
    frames, _ = written(tmp_path / file, "com", info)
    for given, read in zip(frames, decode(tmp_path / file), strict=True):
        assert read.format.name == written_as
        for index, expected in enumerate(given.planes):
            error = np.abs(plane(read, index, info.format.dtype).astype(float) - expected)
            assert error.mean() / (1 << (info.format.bits - 8)) < bound


@pytest.mark.parametrize("model", ["gbrp", "gray"])
def test_rgb_and_gray_become_bt709_limited(tmp_path: Path, model: str) -> None:
    info = make_info(model, color=ColorSpec(0 if model == "gbrp" else 2, 1, 13, True))
    frame = make_frames(info, "com", range(1))[0]
    values = (200, 30, 90)[: info.format.plane_count]  # G B R
    flat = Frame(
        tuple(np.full((48, 64), v, np.uint8) for v in values),
        info.format,
        info.color,
        0,
        info.time_base,
        1,
        0,
    )
    sink = open_sink(tmp_path / "a.mp4", "com", info, SinkOptions())
    report = write_all(sink, [flat])
    assert any("BT.709" in note for note in report.notes)
    read = decode(tmp_path / "a.mp4")[0]
    assert (read.format.name, read.colorspace, read.color_range) == ("yuv420p", 1, 1)
    green, blue, red = values if model == "gbrp" else values * 3
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    expected = (
        16 + 219 * luma / 255,
        128 + 224 * (blue - luma) / 1.8556 / 255,
        128 + 224 * (red - luma) / 1.5748 / 255,
    )
    for index, value in enumerate(expected):
        assert abs(plane(read, index).astype(float) - value).max() <= 1.5
    assert frame.format.model in ("gbr", "gray")


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_odd_sizes_are_padded_by_the_edge(tmp_path: Path, codec: str) -> None:
    info = make_info(width=63, height=47)
    frames, notes = written(tmp_path / "a.mp4", "com", info, codec=codec)
    assert any("63x47 padded to 64x48" in note for note in notes)
    read = decode(tmp_path / "a.mp4")[0]
    luma = plane(read, 0).astype(int)
    assert luma.shape == (48, 64)
    assert np.abs(luma[:47, :63] - frames[0].planes[0]).mean() < 2
    assert np.abs(luma[:47, 63] - frames[0].planes[0][:, 62]).max() < 8
    assert np.abs(luma[47, :63] - frames[0].planes[0][46]).max() < 8


@pytest.mark.parametrize(("file", "kind"), [("a.webm", "com"), ("a.webm", "fgr"), ("a.mov", "fgr"), ("a.mkv", "pha")])
def test_odd_sizes_are_kept_where_they_can(tmp_path: Path, file: str, kind: SinkKind) -> None:
    written(tmp_path / file, kind, make_info(width=63, height=47))
    assert {(f.width, f.height) for f in decode(tmp_path / file)} == {(63, 47)}


@pytest.mark.parametrize(("source", "target"), [(8, 10), (8, 16), (10, 8), (12, 10), (9, 16)])
def test_rescaled_alpha_keeps_its_ends_and_order(source: int, target: int) -> None:
    def gray(bits: int) -> PixelFormat:
        return PixelFormat.named("gray" if bits == 8 else f"gray{bits}le")

    steps = np.arange(1 << source).astype(gray(source).dtype).reshape(1, -1)
    scaled = rescale(steps, gray(source), gray(target))[0].astype(np.int64)
    assert (scaled[0], scaled[-1]) == (0, gray(target).peak)
    assert (np.diff(scaled) >= 0).all()
    exact = steps[0] * (gray(target).peak / gray(source).peak)
    assert np.abs(scaled - exact).max() <= 0.5
    if target > source:
        back = rescale(scaled.astype(gray(target).dtype).reshape(1, -1), gray(target), gray(source))
        np.testing.assert_array_equal(back, steps)


# images


def read_png(path: Path) -> Any:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "gbrp", "gbrp16le", "gray"])
def test_png_alpha_is_exact(tmp_path: Path, name: str) -> None:
    info = make_info(name, 63, 47)
    frames, _ = written(tmp_path / "out", "fgr", info)
    mattes, _ = written(tmp_path / "pha", "pha", info)
    peak = 255 if info.format.bits == 8 else 65535
    for number, (frame, matte) in enumerate(zip(frames, mattes, strict=True), 1):
        picture, gray = (read_png(tmp_path / folder / f"{number:06d}.png") for folder in ("out", "pha"))
        assert picture.shape == (47, 63, 4)
        assert picture.dtype == gray.dtype == (np.uint8 if peak == 255 else np.uint16)
        assert frame.alpha is not None
        expected = np.rint(frame.alpha.astype(float) * peak / info.format.peak)
        np.testing.assert_array_equal(picture[..., 3], expected)
        np.testing.assert_array_equal(gray, np.rint(matte.planes[0].astype(float) * peak / info.format.peak))


@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("name", ["yuv444p", "yuv420p", "yuv422p10le"])
def test_png_colours_follow_matrix_and_range(tmp_path: Path, matrix: int, full: bool, name: str) -> None:
    """Flat colours, whose every subsampling is itself, against H.273's equations."""
    kr, kb = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}[matrix]
    red, green, blue = 0.8, 0.3, 0.1
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    chroma = (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))
    fmt = PixelFormat.named(name)
    unit = 1 << (fmt.bits - 8)
    if full:
        coded = [luma * fmt.peak, *(c * fmt.peak + 128 * unit for c in chroma)]
    else:
        coded = [(16 + 219 * luma) * unit, *((128 + 224 * c) * unit for c in chroma)]
    info = make_info(name, 8, 6, color=ColorSpec(matrix, 1, 1, full))
    planes = tuple(np.full(fmt.plane_shape(i, 8, 6), round(v), fmt.dtype) for i, v in enumerate(coded))
    frame = Frame(planes, fmt, info.color, 0, info.time_base, 1, 0)
    write_all(open_sink(tmp_path / "a.png", "com", info, SinkOptions()), [frame])
    picture = read_png(tmp_path / "a.png").astype(float)
    peak = 255 if fmt.bits == 8 else 65535
    assert np.abs(picture / peak - (blue, green, red)).max() < (1.6 / 255 if fmt.bits == 8 else 1.6 / 1023)


@pytest.mark.parametrize(("location", "shift"), [(ChromaLocation.LEFT, 0.0), (ChromaLocation.CENTER, 0.5)])
def test_png_chroma_is_brought_up_from_where_it_sits(tmp_path: Path, location: ChromaLocation, shift: float) -> None:
    """A chroma ramp that is linear in luma coordinates comes back linear, unshifted."""
    info = make_info("yuv420p", 64, 8, color=ColorSpec(1, 1, 1, True, location))
    cr = np.tile(60 + (np.arange(32) * 2 + shift) * 2, (4, 1)).round().astype(np.uint8)
    frame = Frame(
        (np.full((8, 64), 128, np.uint8), np.full((4, 32), 128, np.uint8), cr),
        info.format,
        info.color,
        0,
        info.time_base,
        1,
        0,
    )
    write_all(open_sink(tmp_path / "a.png", "com", info, SinkOptions()), [frame])
    red = read_png(tmp_path / "a.png")[4, 2:-2, 2].astype(float)
    expected = 128 + 1.5748 * (60 + np.arange(64) * 2 - 128)[2:-2]
    assert np.abs(red - expected).max() < 0.6


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_png_pictures_stand_upright(tmp_path: Path, rotation: int) -> None:
    info = make_info("gbrp", 6, 4, rotation=rotation)
    frame = make_frames(info, "com", range(1))[0]
    report = write_all(open_sink(tmp_path / "a.png", "com", info, SinkOptions()), [frame])
    green, blue, red = frame.planes
    expected = np.rot90(np.dstack([blue, green, red]), rotation // 90)
    np.testing.assert_array_equal(read_png(tmp_path / "a.png"), expected)
    assert any("upright" in note for note in report.notes)


def test_png_of_hdr_says_so(tmp_path: Path) -> None:
    info = make_info("yuv420p10le", color=PQ)
    write_all(open_sink(tmp_path / "a.png", "com", info, SinkOptions()), make_frames(info, "com", range(1)))
    raw = (tmp_path / "a.png").read_bytes()
    assert raw[37:45] == b"cICP" + bytes([9, 16, 0, 1])
    assert read_png(tmp_path / "a.png").dtype == np.uint16


def test_jpeg_is_close(tmp_path: Path) -> None:
    info = make_info("gbrp", 64, 48)
    frame = make_frames(info, "com", range(1))[0]
    write_all(open_sink(tmp_path / "a.jpg", "com", info, SinkOptions()), [frame])
    green, blue, red = frame.planes
    assert np.abs(read_png(tmp_path / "a.jpg").astype(int) - np.dstack([blue, green, red])).mean() < 4


def test_a_frame_without_alpha_is_refused(tmp_path: Path) -> None:
    for name in ("a.mkv", "out"):
        info = make_info()
        sink = open_sink(tmp_path / name, "fgr", info, SinkOptions())
        with pytest.raises(SinkError, match="no alpha"):
            sink.write(make_frames(info, "com")[0])
    assert list(tmp_path.iterdir()) == []


def test_helpers_differ_per_frame() -> None:
    """The tests above would not notice swapped frames if all were the same."""
    fmt = PixelFormat.named("yuv420p")
    assert not np.array_equal(ramp_alpha(64, 48, fmt, 0), ramp_alpha(64, 48, fmt, 1))
    assert not np.array_equal(colour_planes(64, 48, fmt, 0)[0], colour_planes(64, 48, fmt, 1)[0])
    assert BT709.matrix == 1
