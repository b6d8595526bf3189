"""A file's whole way with its frames on a device: here torch's CPU, and a runtime whose network sees what is bright."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest
from clips import planes_of, write_clip

from streammatte import registry
from streammatte.assembly import open_pipeline
from streammatte.config import Settings
from streammatte.errors import SinkError
from streammatte.meter import RunReport
from streammatte.ports import Precision, SessionInfo
from streammatte.registry import Entry

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

WIDE, HIGH, FRAMES, CUT = 192, 128, 12, 7
PLAIN: dict[str, Any] = {"stabilize": "none", "refine": "none", "lookahead": 0, "stride": 1, "tta": "off"}
"""Nothing but arithmetic that host and device share to the last step."""


class FakeSession:
    """The network of tiny.py, on torch's CPU as on any device."""

    device = "cpu"
    capturable = True
    batch = None

    def __init__(self, precision: Precision) -> None:
        self.info = SessionInfo("fake 1", "a card of cardboard", precision)
        self.closed = False

    def run_on(self, batch: Any) -> Any:
        assert batch.is_contiguous()
        assert batch.dtype == torch.float32
        return (batch.mean(1, keepdim=True) * 5 - 2).clamp(0, 1)

    def run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.asarray(self.run_on(torch.from_numpy(np.ascontiguousarray(batch))).numpy())

    def close(self) -> None:
        self.closed = True


class FakeRuntime:
    name = "torch"
    trusted = False
    strongly_typed = False

    def unavailable(self) -> str | None:
        return None

    def declined(self) -> str | None:
        return None

    def precisions(self) -> tuple[Precision, ...]:
        return ("f32",)

    def identity(self) -> tuple[str, str]:
        return "fake 1", "a card of cardboard"

    def load(self, onnx: Path, sha256: str, *, precision: Precision, **how: Any) -> FakeSession:
        return FakeSession(precision)


@pytest.fixture(autouse=True)
def fake(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"torch": Entry(f"{__name__}:FakeRuntime"), "openvino": registry.RUNTIMES["openvino"]}
    monkeypatch.setattr(registry, "RUNTIMES", table)


def film(path: Path, pix_fmt: str = "yuv420p", **how: Any) -> Path:
    """A soft bright ball that moves before a dark, textured room; then another ball before another room."""
    write_clip(path, list(_views(pix_fmt)), **({"codec": "ffv1", "rate": 25} | how))
    return path


def _views(pix_fmt: str) -> Iterator[av.VideoFrame]:
    y, x = np.mgrid[0:HIGH, 0:WIDE].astype(np.float32)
    for number in range(FRAMES):
        later = number >= CUT
        middle = (110 if later else 70) + 2 * number
        ball = np.clip((34 - np.hypot(x - middle, y - 60)) / 6, 0, 1)
        room = 0.2 + 0.1 * np.sin((x + (3 * y if later else y)) / (3 if later else 5))
        frame = av.VideoFrame(WIDE, HIGH, pix_fmt)
        peak = (1 << frame.format.components[0].bits) - 1
        luma, *chroma = planes_of(frame)
        luma[...] = (peak * (0.85 * ball + (1 - ball) * room)).astype(luma.dtype)
        for index, plane in enumerate(chroma):
            tone = (0.35 if later else 0.6) + 0.1 * index
            small = cv2.resize(ball, plane.shape[::-1], interpolation=cv2.INTER_AREA)
            plane[...] = (peak * (0.5 * small + tone * (1 - small))).astype(plane.dtype)
        yield frame


def run(source: Path, out: Path, monkeypatch: pytest.MonkeyPatch, *, device: bool, **settings: Any) -> RunReport:
    if device:
        monkeypatch.setattr("streammatte.assembly.host_only", lambda settings, matter: None)
    given = {"model": "tiny", "runtime": "torch", "precision": "f32", "output": (out,), "bg": "teal"} | settings
    report: RunReport = open_pipeline(str(source), Settings(**given)).run()
    return report


def decoded(path: Path) -> list[list[npt.NDArray[Any]]]:
    with av.open(str(path)) as container:
        return [[plane.astype(np.int32) for plane in planes_of(frame)] for frame in container.decode(video=0)]


def both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: Path, suffix: str = ".mkv", **settings: Any
) -> tuple[RunReport, npt.NDArray[np.int32]]:
    """The report of the run on the device, and how far its samples are from the host's."""
    settings = {"codec": "ffv1"} | settings
    there, here = tmp_path / f"there{suffix}", tmp_path / f"here{suffix}"
    run(source, here, monkeypatch, device=False, **settings)
    report = run(source, there, monkeypatch, device=True, **settings)
    pairs = list(zip(decoded(there), decoded(here), strict=True))
    assert len(pairs) == FRAMES
    apart = [np.abs(one - other).ravel() for frames in pairs for one, other in zip(*frames, strict=True)]
    return report, np.concatenate(apart)


@pytest.mark.parametrize("quality", ["fast", "balanced", "best"])
def test_composites_are_the_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quality: str) -> None:
    """With the network at every frame; what differs is optical flow, and closed-form in pictures as small as these."""
    report, apart = both(tmp_path, monkeypatch, film(tmp_path / "in.mkv"), quality=quality, stride=1)
    assert (report.frames_out, report.network_runs, report.cuts) == (FRAMES, FRAMES, 1)
    assert (report.runtime, report.device) == ("fake 1", "a card of cardboard")
    assert float((apart <= 2).mean()) > 0.985
    assert float(apart.mean()) < 0.25


@pytest.mark.parametrize(
    ("pix_fmt", "settings"),
    [
        ("yuv420p", {}),
        ("yuv422p10le", {}),
        ("yuv444p", {"linear": True}),
        ("yuv420p", {"feather_px": 1.5, "shift_px": -1.0}),
        ("yuv420p", {"despill": 0.5, "light_wrap": 0.5}),
        ("yuv420p", {"bg": "blur:5"}),
        ("gray", {"fgr": "off"}),
    ],
)
def test_every_setting_has_its_form_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pix_fmt: str, settings: dict[str, Any]
) -> None:
    source = film(tmp_path / "in.mkv", pix_fmt)
    report, apart = both(tmp_path, monkeypatch, source, **(PLAIN | settings))
    assert report.frames_out == FRAMES
    unit = 4 if "10" in pix_fmt else 1
    assert float((apart <= unit).mean()) > 0.998
    assert int(apart.max()) <= 10 * unit


@pytest.mark.parametrize("size", [1, 4, 5])
def test_an_engine_of_fixed_batch_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Twelve frames are two batches of five and a rest, with packets of sound between them."""
    source = film(tmp_path / "in.mkv", audio_from_s=0.0)
    run(source, tmp_path / "any.mkv", monkeypatch, device=True, codec="ffv1", batch="1")
    shown: list[int] = []
    see = FakeSession.run_on

    def run_on(self: FakeSession, batch: Any) -> Any:
        shown.append(len(batch))
        return see(self, batch)

    monkeypatch.setattr(FakeSession, "batch", size)
    monkeypatch.setattr(FakeSession, "run_on", run_on)
    report = run(source, tmp_path / "fixed.mkv", monkeypatch, device=True, codec="ffv1", tta="off")
    assert report.network_runs == FRAMES
    assert shown[-3:] == [size] * 3
    run(source, tmp_path / "tta.mkv", monkeypatch, device=True, codec="ffv1")
    for one, other in zip(decoded(tmp_path / "any.mkv"), decoded(tmp_path / "tta.mkv"), strict=True):
        assert all(np.array_equal(*pair) for pair in zip(one, other, strict=True))


@pytest.mark.parametrize("name", ["behind.mkv", "bg.png"])
def test_pictures_and_videos_go_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    source = film(tmp_path / "in.mkv")
    film(tmp_path / "behind.mkv")
    picture = np.random.default_rng(0).integers(0, 255, (90, 160, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "bg.png"), picture)
    _, apart = both(tmp_path, monkeypatch, source, bg=str(tmp_path / name), **PLAIN)
    assert int(apart.max()) <= 1


def test_alpha_and_the_subject_are_written_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = film(tmp_path / "in.mkv")
    settings: dict[str, Any] = {"bg": None, "quality": "balanced", "codec": None}
    for device in (False, True):
        out = tmp_path / f"out-{device}.mov"
        matte = tmp_path / f"matte-{device}.mkv"
        run(source, out, monkeypatch, device=device, matte=matte, force=True, **settings)
    mattes = [decoded(tmp_path / f"matte-{device}.mkv") for device in (False, True)]
    apart = [np.abs(one[0] - other[0]) for one, other in zip(*mattes, strict=True)]
    assert np.mean(apart) < 1
    with av.open(str(tmp_path / "out-True.mov")) as container:
        assert "a" in container.streams.video[0].format.name


def test_the_report_inspects_what_was_on_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = film(tmp_path / "in.mkv")
    reports = [
        run(source, tmp_path / f"{device}.mkv", monkeypatch, device=device, codec="ffv1", quality="balanced", stride=1)
        for device in (False, True)
    ]
    host, there = (report.inspection for report in reports)
    assert host is not None
    assert there is not None
    assert there.frames == host.frames == FRAMES
    assert there.coverage_mean == pytest.approx(host.coverage_mean, abs=0.003)
    assert there.flicker == pytest.approx(host.flicker, abs=1.5)
    assert there.lost == host.lost == (), "the ball that goes with the cut is not lost"
    assert reports[1].stages.keys() >= {"look", "motion", "infer", "stabilize", "refine", "inspect", "composite"}


def test_rotation_time_and_sound_survive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = film(tmp_path / "in.mp4", codec="libx264", rotation=90, audio_from_s=0.0)
    run(source, tmp_path / "out.mp4", monkeypatch, device=True, quality="fast")
    facts = []
    for path in (source, tmp_path / "out.mp4"):
        with av.open(str(path)) as container:
            frames = [(frame.pts, frame.time_base, frame.rotation) for frame in container.decode(video=0)]
            facts.append((frames, len(container.streams.audio)))
    assert facts[0] == facts[1]


def test_a_failing_sink_ends_the_run_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Any, frame: Any) -> None:
        raise SinkError("out.mkv: the disk is full; make room")

    monkeypatch.setattr("streammatte.sinks.file.FileSink.write", full)
    source = film(tmp_path / "in.mkv")
    with pytest.raises(SinkError, match="disk is full"):
        run(source, tmp_path / "out.mkv", monkeypatch, device=True, codec="ffv1")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["in.mkv"]


def test_on_a_cpu_frames_stay_on_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the fixture's leave: a session on the CPU is no reason to move frames."""
    source = film(tmp_path / "in.mkv")
    report = run(source, tmp_path / "out.mkv", monkeypatch, device=False, codec="ffv1")
    assert report.fallbacks == ()


def test_another_tools_arithmetic_stays_on_the_host_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeSession, "device", "cuda:0")
    source = film(tmp_path / "in.mkv")
    report = run(source, tmp_path / "out.mkv", monkeypatch, device=False, codec="ffv1", compat="rembg")
    assert report.fallbacks == ("frames were on the host: --compat rembg is arithmetic of the host",)
