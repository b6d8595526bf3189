"""Alpha files read back: PNG and FFV1 exactly, VP9 and ProRes within what those codecs lose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest
from scenes import Truth
from sink_clips import decode, plane
from tiny import SIDE, tiny_alpha

from streammatte.composing import Stages
from streammatte.foregrounds.off import OffForeground
from streammatte.frame import Frame
from streammatte.pipeline import Pipeline
from streammatte.ports import SinkKind
from streammatte.refiners.resample import ResampleRefiner
from streammatte.reporting import RunFacts
from streammatte.sinks import SinkOptions, open_sink
from streammatte.sources.pattern import PatternSource
from streammatte.stabilizers.none import NoStabilizer

Alphas = list[npt.NDArray[Any]]
FACTS = RunFacts("truth", "CC0-1.0", "00" * 32, "none", "f32", "here")
FRAMES = 4


def written(path: Path, spec: str, kind: SinkKind = "fgr", **options: Any) -> tuple[Path, Alphas]:
    """`spec` matted by its own truth into `path`; and that truth at the source's depth."""
    source = PatternSource(spec)
    sink = open_sink(path, kind, source.info, SinkOptions(**options))
    stages = Stages(Truth(source), NoStabilizer(), ResampleRefiner(), OffForeground(), None)
    report = Pipeline(source, stages, [sink], FACTS).run()
    assert report.frames_out == FRAMES
    peak = source.info.format.peak
    dtype = source.info.format.dtype
    return path, [np.rint(source.truth(n) * np.float32(peak)).astype(dtype) for n in range(FRAMES)]


def spec(fmt: str, size: str = "160x120") -> str:
    return f"pattern:{size}?frames={FRAMES}&format={fmt}"


def pngs(folder: Path) -> Alphas:
    """The images as OpenCV reads them, alpha included, by number."""
    files = sorted(folder.glob("*.png"))
    assert len(files) == FRAMES
    read = [cv2.imread(str(file), cv2.IMREAD_UNCHANGED) for file in files]
    assert all(image is not None for image in read)
    return [np.asarray(image) for image in read]


def test_the_truth_is_worth_reading_back() -> None:
    """Every kind of alpha there is: none, whole, and hundreds of values between."""
    truth = np.rint(PatternSource(spec("yuv420p")).truth(1) * 255)
    assert (truth.min(), truth.max()) == (0, 255)
    assert len(np.unique(truth)) > 150


@pytest.mark.parametrize("size", ["160x120", "97x61"])
@pytest.mark.parametrize("fmt", ["yuv420p", "yuv422p", "gbrp"])
def test_png_is_exact(tmp_path: Path, fmt: str, size: str) -> None:
    folder, truth = written(tmp_path / "frames", spec(fmt, size))
    for image, alpha in zip(pngs(folder), truth, strict=True):
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image[..., 3], alpha)


@pytest.mark.parametrize(("fmt", "bits"), [("yuv420p10le", 10), ("gbrp12le", 12), ("yuv444p16le", 16)])
def test_png_of_more_than_8_bits_is_exact(tmp_path: Path, fmt: str, bits: int) -> None:
    """16 bits in the file; 10 and 12 bits spread over them and come back without a change."""
    folder, truth = written(tmp_path / "frames", spec(fmt))
    for image, alpha in zip(pngs(folder), truth, strict=True):
        assert image.dtype == np.uint16
        back = np.rint(image[..., 3] * ((2**bits - 1) / 65535))
        np.testing.assert_array_equal(back, alpha)


def test_png_of_a_matte_alone_is_exact(tmp_path: Path) -> None:
    folder, truth = written(tmp_path / "frames", spec("yuv420p"), "pha")
    for image, alpha in zip(pngs(folder), truth, strict=True):
        np.testing.assert_array_equal(image, alpha)


@pytest.mark.parametrize(
    ("fmt", "coded"),
    [
        ("yuv420p", "yuva420p"),
        ("yuv422p", "yuva422p"),
        ("yuv444p", "yuva444p"),
        ("yuv420p10le", "yuva420p10le"),
        ("yuv444p12le", "yuva444p12le"),
        ("gbrp", "bgra"),
        ("gbrp10le", "gbrap10le"),
    ],
)
@pytest.mark.parametrize("size", ["160x120", "97x61"])
def test_ffv1_is_exact(tmp_path: Path, fmt: str, coded: str, size: str) -> None:
    """Alpha, and the subject's own colour where the source shows it alone."""
    path, truth = written(tmp_path / "a.mkv", spec(fmt, size))
    frames = decode(path)
    given = [event for event in PatternSource(spec(fmt, size)).events() if isinstance(event, Frame)]
    for frame, alpha, source in zip(frames, truth, given, strict=True):
        assert frame.format.name == coded
        if coded == "bgra":
            packed = frame.to_ndarray(format="bgra")
            np.testing.assert_array_equal(packed[..., 3], alpha)
            np.testing.assert_array_equal(packed[..., :3], np.dstack([source.planes[i] for i in (1, 0, 2)]))
            continue
        np.testing.assert_array_equal(plane(frame, 3, alpha.dtype), alpha)
        for index, samples in enumerate(source.planes):
            np.testing.assert_array_equal(plane(frame, index, alpha.dtype), samples)


@pytest.mark.parametrize(("fmt", "coded"), [("yuv420p", "gray"), ("yuv422p10le", "gray10le")])
def test_ffv1_of_a_matte_alone_is_exact(tmp_path: Path, fmt: str, coded: str) -> None:
    path, truth = written(tmp_path / "m.mkv", spec(fmt), "pha")
    for frame, alpha in zip(decode(path), truth, strict=True):
        assert frame.format.name == coded
        np.testing.assert_array_equal(plane(frame, 0, alpha.dtype), alpha)


@pytest.mark.parametrize("name", ["m.mp4", "m.mov"])
def test_a_matte_in_h264_plays_everywhere_and_is_nearly_exact(tmp_path: Path, name: str) -> None:
    """Two of luma's 220 steps at most; profile High, which every player decodes (lossless would not be)."""
    path, truth = written(tmp_path / name, spec("yuv420p"), "pha")
    for frame, alpha in zip(decode(path), truth, strict=True):
        back = (plane(frame, 0).astype(float) - 16) * (255 / 219)
        assert np.abs(back - alpha).max() <= 2.5 * 255 / 219
        assert np.abs(back - alpha).mean() < 0.2
        for end in (0, 255):
            off = np.abs(back[alpha == end] - end)
            assert off.max() <= 2 * 255 / 219 + 1e-6
            assert (off == 0).mean() > 0.95, "flat areas are exact, but for a few samples beside an edge"
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.profile == "High"


def losses(read: Alphas, truth: Alphas, peak: int) -> tuple[float, float, float]:
    """Mean and greatest error, and the mean shift, in 8-bit steps."""
    errors = np.concatenate([(a.astype(float) - b).ravel() for a, b in zip(read, truth, strict=True)]) * (255 / peak)
    return float(np.abs(errors).mean()), float(np.abs(errors).max()), float(errors.mean())


@pytest.mark.parametrize(("crf", "mean", "most"), [(None, 0.4, 25), (0, 0, 0), (10, 0.25, 18), (40, 1.0, 50)])
def test_vp9_within_codec_loss(tmp_path: Path, crf: int | None, mean: float, most: float) -> None:
    path, truth = written(tmp_path / "a.webm", spec("yuv420p"), crf=crf)
    frames = decode(path, "libvpx-vp9")
    assert {frame.format.name for frame in frames} == {"yuva420p"}
    error, worst, shift = losses([plane(frame, 3) for frame in frames], truth, 255)
    assert error <= mean
    assert worst <= most
    assert abs(shift) <= 0.1, "swscale's shift of alpha would show here"


@pytest.mark.parametrize(("fmt", "bits"), [("yuv420p", 8), ("yuv422p10le", 10), ("yuv444p10le", 10)])
def test_prores_within_codec_loss(tmp_path: Path, fmt: str, bits: int) -> None:
    """ProRes 4444 codes alpha without loss at its own depth; only the depth differs."""
    path, truth = written(tmp_path / "a.mov", spec(fmt))
    frames = decode(path)
    (name,) = {frame.format.name for frame in frames}
    assert name in ("yuva444p10le", "yuva444p12le")
    depth = 10 if "10" in name else 12
    wide = [alpha.astype(float) * ((2**depth - 1) / (2**bits - 1)) for alpha in truth]
    error, worst, shift = losses([plane(frame, 3, np.uint16) for frame in frames], wide, 2**depth - 1)
    assert error <= 0.1
    assert worst <= 0.2
    assert abs(shift) <= 0.1
    for frame, alpha in zip(frames, truth, strict=True):
        read = plane(frame, 3, np.uint16)
        assert (read[alpha == 0] == 0).all()
        assert (read[alpha == alpha.max()] >= 2**depth - 4).all()


# the whole program


@pytest.mark.usefixtures("tiny")
def test_every_alpha_file_of_one_run_says_the_same(tmp_path: Path, reported: Callable[..., dict[str, Any]]) -> None:
    """The network's answer is known: it sees the frame at its own size."""
    source = f"pattern:{SIDE}x{SIDE}?frames={FRAMES}&format=gbrp"
    png, mkv, webm, mov, matte = (tmp_path / name for name in ("png", "a.mkv", "a.webm", "a.mov", "m.mkv"))
    outputs = [arg for path in (png, mkv, webm, mov) for arg in ("-o", path)]
    bare = ("--precision", "f32", "--quality", "fast", "--stride", 1, "--stabilize", "none", "--refine", "none")
    report = reported(source, "-m", "tiny", *bare, *outputs, "--matte", matte)
    assert [out["codec"] for out in report["outputs"]] == ["png", "ffv1", "vp9", "prores", "ffv1"]
    assert [out["frames"] for out in report["outputs"]] == [FRAMES] * 5

    exact = [image[..., 3] for image in pngs(png)]
    for event, alpha in zip(PatternSource(source).events(), exact, strict=True):
        assert isinstance(event, Frame)
        green, blue, red = event.planes
        truth = tiny_alpha(np.dstack([red, green, blue]).astype(float) / 255) * 255
        assert np.abs(alpha - truth).max() <= 0.51
        assert 0.02 < (truth == 255).mean() < 0.95
    for frame, alone, alpha in zip(decode(mkv), decode(matte), exact, strict=True):
        np.testing.assert_array_equal(frame.to_ndarray(format="bgra")[..., 3], alpha)
        np.testing.assert_array_equal(plane(alone, 0), alpha)
    assert losses([plane(f, 3) for f in decode(webm, "libvpx-vp9")], exact, 255)[0] < 2
    (wide,) = {f.format.name for f in decode(mov)}
    peak = 1023 if "10" in wide else 4095
    scaled = [alpha * (peak / 255) for alpha in exact]
    assert losses([plane(f, 3, np.uint16) for f in decode(mov)], scaled, peak)[1] < 0.2
