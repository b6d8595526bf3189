"""`--refine pymatting`, `--refine vitmatte` and `--trimap` on real files, without weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest
from clips import write_clip
from sink_clips import decode, plane
from tiny import tiny_model
from trimap_networks import trimap_model

from streammatte.assembly import open_pipeline
from streammatte.cli.main import main
from streammatte.config import Settings
from streammatte.errors import ModelError
from streammatte.trimap_file import TrimapFile
from streammatte.trimap_network import TrimapNetwork

Reported = Callable[..., dict[str, Any]]
Picture = npt.NDArray[np.uint8]
WIDTH, HEIGHT, FRAMES = 128, 96, 6


def picture(seq: int) -> Picture:
    """White, which the tiny network takes for the subject, moving over dark blue; a soft edge between."""
    x = np.arange(WIDTH, dtype=np.float32)
    alpha = np.clip((x - 50 - 3 * seq) / 12, 0, 1)
    row = alpha[:, None] * (250, 250, 250) + (1 - alpha[:, None]) * (10, 20, 60)
    return np.ascontiguousarray(np.broadcast_to(np.rint(row).astype(np.uint8), (HEIGHT, WIDTH, 3)))


def film(path: Path, pictures: list[Picture], **how: Any) -> Path:
    frames = [av.VideoFrame.from_ndarray(each, format="rgb24").reformat(format="yuv444p") for each in pictures]
    return write_clip(path, frames, "ffv1", **how)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return film(tmp_path / "in.mkv", [picture(seq) for seq in range(FRAMES)])


@pytest.fixture
def edges(tiny: str, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A network that takes a trimap and gives back the picture's red, beside the tiny one; its name."""
    models = {tiny: tiny_model(tiny_folder), "edges": trimap_model(tmp_path, "red", size=(128, 128))}
    for module in ("streammatte.catalog", "streammatte.trimap_network"):
        monkeypatch.setattr(f"{module}.catalog", lambda: models)
    return "edges"


def drawn(path: Path, *edges_px: int) -> Path:
    """Background up to the first of each pair of columns, subject from the second on; a picture, or a video of them."""
    pictures = []
    for i in range(0, len(edges_px), 2):
        row = np.full(WIDTH, 128, np.uint8)
        row[: edges_px[i]], row[edges_px[i + 1] :] = 0, 255
        pictures.append(np.repeat(np.tile(row, (HEIGHT, 1))[..., None], 3, axis=2))
    if path.suffix == ".png":
        cv2.imwrite(str(path), pictures[0])
        return path
    return film(path, pictures)


def mattes(path: Path) -> list[Picture]:
    return [np.asarray(plane(frame, 0), np.uint8) for frame in decode(path)]


def test_pymatting_from_the_matte_alone(tmp_path: Path, tiny: str, clip: Path, reported: Reported) -> None:
    """The network has the edge narrower than it is; what that leaves open is put right."""
    errors: dict[str, float] = {}
    for refine in ("none", "pymatting"):
        out = tmp_path / f"{refine}.mkv"
        report = reported(clip, "-m", tiny, "--refine", refine, "--stabilize", "none", "--lookahead", 0, "--matte", out)
        assert (report["frames_out"], report["refiner"]) == (FRAMES, None)
        truths = [np.clip((np.arange(WIDTH) - 50 - 3 * seq) / 12, 0, 1) for seq in range(FRAMES)]
        errors[refine] = float(np.mean([np.abs(m / 255 - t).mean() for m, t in zip(mattes(out), truths, strict=True)]))
    assert errors["pymatting"] < 0.8 * errors["none"], errors


@pytest.mark.parametrize("refine", ["pymatting", "vitmatte"])
def test_one_trimap_for_all_frames(tmp_path: Path, edges: str, clip: Path, reported: Reported, refine: str) -> None:
    """It is stronger than the network, which has the subject end where the picture does."""
    trimap, out = drawn(tmp_path / "t.png", 30, 100), tmp_path / "m.mkv"
    model = ("--refine-model", edges) if refine == "vitmatte" else ()
    reported(clip, "-m", "tiny", "--refine", refine, *model, "--trimap", trimap, "--matte", out)
    found = mattes(out)
    assert len(found) == FRAMES
    for seq, matte in enumerate(found):
        assert (matte[:, :30] == 0).all()
        assert (matte[:, 100:] == 255).all()
        assert (matte[:, 70 + 3 * seq : 100] > 240).all()


def test_a_trimap_video_goes_with_the_input_also_from_a_start_on_and_mirrored(
    tmp_path: Path, tiny: str, clip: Path, reported: Reported
) -> None:
    columns = [40 + 3 * seq for seq in range(FRAMES)]
    trimap = drawn(tmp_path / "t.mkv", *(each for column in columns for each in (column, column + 30)))
    out = tmp_path / "m.mkv"
    for start, extra in ((0, ()), (2, ("--start", "0.08")), (0, ("--mirror",))):
        reported(clip, "-m", tiny, "--refine", "pymatting", "--trimap", trimap, "--matte", out, "--force", *extra)
        found = mattes(out)
        assert len(found) == FRAMES - start
        for column, matte in zip(columns[start:], found, strict=True):
            shown = matte[:, ::-1] if extra == ("--mirror",) else matte
            assert not shown[:, :column].any()
            assert shown[:, column + 2 : column + 9].max() < 10, "the picture is background there"
            assert (shown[:, column + 30 :] == 255).all()
            assert (shown[:, column + 24 :] > 245).all()


def test_the_network_that_refined_stands_in_report_and_file(
    tmp_path: Path, edges: str, clip: Path, reported: Reported
) -> None:
    out = tmp_path / "out.mkv"
    report = reported(clip, "-m", "tiny", "--refine", "vitmatte", "--refine-model", edges, "--bg", "red", "-o", out)
    refiner, sha256 = report["refiner"], trimap_model(tmp_path, "red", size=(128, 128)).sha256
    assert (report["model"], refiner["model"], refiner["model_licence"]) == ("tiny", "edges", "CC0-1.0")
    assert (refiner["weights_sha256"], refiner["runtime"]) == (sha256, report["runtime"])
    with av.open(str(out)) as container:
        assert f"; refined by edges (CC0-1.0), weights sha256 {sha256}" in json.dumps(dict(container.metadata))


def test_all_is_closed_where_a_later_part_fails(
    tmp_path: Path, edges: str, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []
    for kind in (TrimapFile, TrimapNetwork):
        monkeypatch.setattr(kind, "close", lambda self: closed.append(type(self).__name__))
    trimap = drawn(tmp_path / "t.mkv", *(30, 100) * FRAMES)
    given = Settings(refine="vitmatte", refine_model=edges, trimap=str(trimap), model="nosuch")
    with pytest.raises(ModelError, match="unknown model 'nosuch'"):
        open_pipeline(str(clip), given)
    assert closed == ["TrimapNetwork", "TrimapFile"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--trimap", "t.png"), "--trimap: goes with --refine pymatting or vitmatte, and with no other"),
        (("--refine", "guided", "--trimap", "t.png"), "--trimap: goes with --refine pymatting or vitmatte"),
        (("--refine", "pymatting", "--trimap", "gone.png"), "--trimap: gone.png: no such file"),
        (("--refine", "pymatting", "--trimap", "text.mkv"), "--trimap: text.mkv: not a video or picture"),
        (
            ("--refine", "pymatting", "--trimap", "tall.png"),
            "--trimap: tall.png: is 96x128, the input 128x96; give one",
        ),
        (("--refine", "pymatting", "--trimap", "short.mkv"), "--trimap: short.mkv: lasts 0.08 s, the input 0.24 s"),
        (
            ("--refine", "pymatting", "--trimap", "less.mkv"),
            "--trimap less.mkv: ends at 0.20 s, but the input has a frame",
        ),
        (("--refine", "pymatting", "--refine-model", "edges"), "--refine-model: goes with --refine vitmatte"),
        (
            ("--refine", "vitmatte", "--refine-model", "tiny"),
            "tiny: takes no trimap; --refine-model takes one of edges",
        ),
        (
            ("--refine", "pymatting", "--bg", "red", "--to", "null"),
            "--refine: pymatting takes too long a frame for live",
        ),
    ],
)
def test_what_cannot_be_is_one_line(
    tmp_path: Path,
    edges: str,
    clip: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    args: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    drawn(Path("t.png"), 30, 100)
    cv2.imwrite("tall.png", np.zeros((128, 96), np.uint8))
    Path("text.mkv").write_text("Dear diary\n")
    drawn(Path("short.mkv"), *(30, 100) * 2)
    drawn(Path("less.mkv"), *(30, 100) * 5)
    monkeypatch.setattr("streammatte.trimap_file._MUCH", 0.7 if "less.mkv" in args else 0.9)
    with pytest.raises(SystemExit) as left:
        main([str(clip), "-m", "tiny", *args, "--matte", "m.mkv", "-q"])
    heard = capfd.readouterr().err
    assert left.value.code
    assert said in heard
    assert heard.count("\n") == 1
    assert not Path("m.mkv").exists()
