"""`--subject` on real files: of two people one stays, the other is gone, in every frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest
from clips import write_clip
from sink_clips import decode, plane

import streammatte
from streammatte.cli.main import main
from streammatte.meter import RefinerReport

WEBCAM = Path(streammatte.__file__).parent / "demo_clip" / "webcam.mp4"
Reported = Callable[..., dict[str, Any]]
Picture = npt.NDArray[np.uint8]


def written(path: Path, pictures: Sequence[Picture]) -> Path:
    frames = [av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p") for picture in pictures]
    return write_clip(path, frames, options={"crf": "12"})


def two_people(path: Path, frames: int) -> Path:
    """The demo's person, and its mirror image at three quarters of the size on the right: 920x360, apart at 520."""

    def beside(picture: Picture) -> Picture:
        small = cv2.resize(picture[:, ::-1], None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
        above = picture.shape[0] - small.shape[0]
        small = cv2.copyMakeBorder(small, above, 0, 0, 0, cv2.BORDER_REPLICATE)
        return np.asarray(np.hstack([picture[:, 40:560], small[:, 40:440]]), np.uint8)

    return written(path, [beside(frame.to_ndarray(format="rgb24")) for frame in decode(WEBCAM)[:frames]])


def opaque_px(matte: Path) -> list[tuple[int, int]]:
    """Of each frame: pixels that are half opaque or more left of column 520, and right of it."""
    alphas = [plane(frame, 0) > 127 for frame in decode(matte)]
    return [(int(alpha[:, :520].sum()), int(alpha[:, 520:].sum())) for alpha in alphas]


@pytest.mark.weights
@pytest.mark.parametrize("quality", ["fast", "best"])
def test_of_two_people_one_stays(tmp_path: Path, reported: Reported, quality: str) -> None:
    clip, frames = two_people(tmp_path / "two.mp4", 50), 50
    found: dict[str, list[tuple[int, int]]] = {}
    for wish in ("all", "largest", "point:0.8,0.7", "point:200,250"):
        matte = tmp_path / "m.mkv"
        args = ("-m", "selfie", "--subject", wish, "--matte", matte, "--quality", quality, "--force")
        assert reported(clip, *args)["frames_out"] == frames
        found[wish] = opaque_px(matte)
    for (left, right), largest, small, large in zip(*found.values(), strict=True):
        assert left > 50_000
        assert right > 25_000
        assert largest == large == (pytest.approx(left, rel=0.01), 0)
        assert small == (0, pytest.approx(right, rel=0.01))


@pytest.mark.weights
def test_whose_face_is_seen_stays(tmp_path: Path, reported: Reported) -> None:
    """The larger of the two holds something before it."""

    def hidden(picture: Picture) -> Picture:
        picture[100:290, 190:370] = (70, 110, 60)
        return picture

    both = [frame.to_ndarray(format="rgb24") for frame in decode(two_people(tmp_path / "two.mp4", 30))]
    clip, matte = written(tmp_path / "hidden.mp4", [hidden(each) for each in both]), tmp_path / "m.mkv"
    report = reported(clip, "-m", "selfie", "--subject", "face", "--matte", matte, "--quality", "fast")
    assert (report["prompter"]["model"], report["prompter"]["precision"]) == ("blazeface", "f32")
    assert not any("--subject" in note for note in report["fallbacks"])
    for left, right in opaque_px(matte):
        assert left == 0
        assert right > 25_000


def test_an_outline_of_sam_divides_what_the_matte_has(
    tmp_path: Path, tiny: str, reported: Reported, capfd: pytest.CaptureFixture[str]
) -> None:
    """SAM 2 itself, by chance: wherever its outline may lie, it is not all, and is followed to the end."""
    pytest.importorskip("transformers", reason="needs transformers: pip install 'streammatte[prompt]'")
    from tiny_sam import save_sam2

    clip, folder = written(tmp_path / "two.mp4", [balls(seq) for seq in range(20)]), save_sam2(tmp_path / "sam")
    capfd.readouterr()  # saving says how far it is
    args = ("-m", tiny, "--quality", "balanced", "--matte")
    reported(clip, *args, tmp_path / "all.mkv")
    report = reported(clip, *args, tmp_path / "one.mkv", "--subject", "point:60,64", "--prompt-model", folder)
    assert (report["prompter"]["model"], report["prompter"]["model_licence"]) == ("sam", "unknown")
    assert report["frames_out"] == 20
    whole, kept = (sum(int(plane(frame, 0).sum()) for frame in decode(tmp_path / f"{n}.mkv")) for n in ("all", "one"))
    assert 0.05 < kept / whole < 0.95


class Blind:
    """Finds no face."""

    outlines = False
    report = RefinerReport("blind", "CC0-1.0", "0" * 64, "none", "f32", "none")

    def __init__(self, **how: object) -> None: ...

    def region(self, *given: object) -> None: ...


def test_without_a_face_the_largest_stays_and_the_report_says_so(
    tmp_path: Path, tiny: str, reported: Reported, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streammatte.parts_subject.FaceNetwork", Blind)
    clip, matte = written(tmp_path / "two.mp4", [balls(seq) for seq in range(20)]), tmp_path / "m.mkv"
    report = reported(clip, "-m", tiny, "--subject", "face", "--matte", matte, "--quality", "balanced")
    assert "--subject face: not found at 0.0 s; the largest is kept" in report["fallbacks"]
    assert report["prompter"]["model"] == "blind"
    for frame in decode(matte):
        kept, gone = np.hsplit(plane(frame, 0) > 127, [140])
        assert kept.sum() > 1200
        assert gone.sum() == 0


def balls(seq: int) -> Picture:
    picture = np.full((128, 256, 3), 30, np.uint8)
    cv2.circle(picture, (60 + seq, 64), 30, (250, 250, 250), -1, cv2.LINE_AA)
    cv2.circle(picture, (190, 40 + 2 * seq), 22, (230, 240, 250), -1, cv2.LINE_AA)
    return picture


@pytest.mark.parametrize(("wish", "left"), [("largest", True), ("point:0.2,0.5", True), ("box:140,0,100,90", False)])
def test_without_weights(tmp_path: Path, tiny: str, reported: Reported, wish: str, left: bool) -> None:
    clip, matte = written(tmp_path / "two.mp4", [balls(seq) for seq in range(20)]), tmp_path / "m.mkv"
    report = reported(clip, "-m", tiny, "--subject", wish, "--matte", matte, "--quality", "balanced")
    assert report["frames_out"] == 20
    for frame in decode(matte):
        halves = np.hsplit(plane(frame, 0) > 127, [140])
        kept, gone = halves if left else halves[::-1]
        assert kept.sum() > 1200
        assert gone.sum() == 0


@pytest.mark.parametrize(
    ("wish", "said"), [("poin:1,2", "point:X,Y"), ("point:300,10", "outside the picture, which is 256x128")]
)
@pytest.mark.usefixtures("own_settings")
def test_what_cannot_be_is_one_line(
    tmp_path: Path, tiny: str, capfd: pytest.CaptureFixture[str], wish: str, said: str
) -> None:
    clip, matte = written(tmp_path / "two.mp4", [balls(0)]), tmp_path / "m.mkv"
    with pytest.raises(SystemExit) as left:
        main([str(clip), "-m", tiny, "--subject", wish, "--matte", str(matte), "-q"])
    said_all = capfd.readouterr().err
    assert left.value.code
    assert said in said_all
    assert said_all.count("\n") == 1
    assert not matte.exists()
