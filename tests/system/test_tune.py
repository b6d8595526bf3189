"""`tune`, `scenes`, `--model scene:NAME` and `--student auto` on real files, with a teacher of one layer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import write_clip
from rooms import room, room_video
from sink_clips import decode, plane

import streammatte.scenes as kept
from streammatte import schooling
from streammatte.assembly import open_input, open_pipeline
from streammatte.cli.main import main
from streammatte.config import Settings
from streammatte.guided import GUIDANCE
from streammatte.live.pipeline import LivePipeline
from streammatte.scenes import manifest_of
from streammatte.schooling import teach
from streammatte.sources.paced import Paced
from streammatte.students.process import Trainer

pytest.importorskip("torch", reason="teaching needs torch")

Reported = Callable[..., dict[str, Any]]
FRAMES, STEPS = 40, 200


def lessons_of(steps: int) -> Callable[..., Any]:
    """Teaching by so many steps, whatever is asked for."""
    return lambda *args, **given: teach(*args, **{**given, "steps": given.get("steps") or steps})


@pytest.fixture(autouse=True)
def small_and_quick(tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Students of a twentieth of the size, taught for so many steps, kept in a folder of the test's; that folder."""
    monkeypatch.setattr("streammatte.students.samples._AREA_PX", 64 * 32)
    monkeypatch.setattr(schooling, "_cores", lambda: 1)
    monkeypatch.setattr(schooling, "teach", lessons_of(STEPS))
    monkeypatch.setattr(kept, "user_data_path", lambda *names, **how: tmp_path / "data")
    return tmp_path / "data" / "scenes"


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return room_video(tmp_path / "in.mp4", FRAMES)


def run(*args: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([*map(str, args)])
    return int(left.value.code or 0)


def mattes(path: Path) -> list[Any]:
    return [np.asarray(plane(frame, 0), np.float32) / 255 for frame in decode(path)]


def apart(one: Path, other: Path) -> float:
    return float(np.mean([np.abs(a - b).mean() for a, b in zip(mattes(one), mattes(other), strict=True)]))


def test_a_scene_from_a_video_to_its_end(
    video: Path, tmp_path: Path, small_and_quick: Path, reported: Reported, capfd: pytest.CaptureFixture[str]
) -> None:
    made = reported("tune", video, "--name", "den", "-m", "tiny", "--steps", STEPS, "--seed", 3, "--keep-frames")
    assert (made["name"], made["teacher"], made["teacher_licence"], made["seed"]) == ("den", "tiny", "CC0-1.0", 3)
    assert (made["steps"], made["frames"] + made["held_out"], made["kept_frames"]) == (STEPS, FRAMES, FRAMES)
    assert made["holds"] > 0.8
    teacher, student = tmp_path / "t.mkv", tmp_path / "s.mkv"
    plain = ("--stabilize", "none", "--refine", "none", "--tta", "off", "--lookahead", 0)
    reported(video, "-m", "tiny", "--matte", teacher, *plain)
    report = reported(video, "-m", "scene:den", "--matte", student, *plain)
    assert (report["model"], report["model_licence"]) == ("scene:den", "CC0-1.0")
    assert report["weights_sha256"] == made["onnx_sha256"]
    assert apart(teacher, student) < 0.03
    assert run("scenes", "list") == 0
    assert "scene:den  tiny" in capfd.readouterr().out
    assert run("scenes", "info", "scene:den", "--json") == 0
    assert json.loads(capfd.readouterr().out)["folder"] == str(small_and_quick / "den")
    assert run("tune", video, "--name", "den", "-m", "tiny") == 7
    assert "scene:den: exists already" in capfd.readouterr().err
    assert run("scenes", "remove", "den") == 0
    assert "with 40 frames" in capfd.readouterr().out
    assert list(small_and_quick.iterdir()) == []


def test_a_file_with_its_own_student(video: Path, tmp_path: Path, reported: Reported) -> None:
    teacher, both = tmp_path / "t.mkv", tmp_path / "s.mkv"
    plain = ("--stabilize", "none", "--refine", "none", "--tta", "off", "--lookahead", 0, "--stride", 1)
    reported(video, "-m", "tiny", "--matte", teacher, *plain)
    report = reported(video, "-m", "tiny", "--matte", both, *plain, "--student", "auto")
    student = report["student"]
    assert report["model"] == student["teacher"] == "tiny"
    assert student["frames_student"] + student["frames_teacher"] == FRAMES
    assert student["frames_student"] > FRAMES // 2
    assert sum(span["frames"] for span in student["spans"]) == FRAMES
    assert student["apart"] < 0.01
    assert apart(teacher, both) < 0.03


def test_a_student_that_learnt_nothing_does_nothing(
    video: Path, tmp_path: Path, reported: Reported, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schooling, "teach", lessons_of(1))
    teacher, both = tmp_path / "t.mkv", tmp_path / "s.mkv"
    reported(video, "-m", "tiny", "--matte", teacher)
    report = reported(video, "-m", "tiny", "--matte", both, "--student", "auto")
    assert report["student"]["frames_student"] == 0
    assert [span["network"] for span in report["student"]["spans"]] == ["teacher"]
    assert apart(teacher, both) == 0.0


# what may go wrong: one line each, and the teacher goes on


def test_no_torch(video: Path, tmp_path: Path, reported: Reported, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "teaching a student needs PyTorch: pip install 'streammatte[tune]'"
    monkeypatch.setattr("streammatte.students.process.missing", lambda: words)
    report = reported(video, "-m", "tiny", "--matte", tmp_path / "m.mkv", "--student", "auto")
    assert f"no student: {words}; tiny did all the work" in report["fallbacks"]
    assert (report["student"], report["frames_out"]) == (None, FRAMES)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_teaching_is_killed(video: Path, tmp_path: Path, reported: Reported, monkeypatch: pytest.MonkeyPatch) -> None:
    teach = Trainer.teach

    def killed(self: Trainer, lesson: Any, told: Any = None) -> Any:
        threading.Timer(1.0, lambda: os.kill(self._process.pid, signal.SIGKILL)).start()
        return teach(self, lesson, told)

    monkeypatch.setattr(Trainer, "teach", killed)
    report = reported(video, "-m", "tiny", "--matte", tmp_path / "m.mkv", "--student", "auto")
    assert "no student: teaching was ended from outside: signal 9; tiny did all the work" in report["fallbacks"]
    assert report["frames_out"] == FRAMES


def dark(path: Path, frames: int) -> Path:
    pictures = [av.VideoFrame.from_ndarray(room(0, (128, 72))[0] // 4, format="rgb24") for _ in range(frames)]
    return write_clip(path, [picture.reformat(format="yuv420p") for picture in pictures])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: room_video(path, 5), "5 frames are too few to learn from; 8 at least"),
        (lambda path: dark(path, 20), "the subject was never found, of 20 looked at: there is nothing to learn"),
    ],
)
def test_nothing_to_learn_from(
    tmp_path: Path, reported: Reported, capfd: pytest.CaptureFixture[str], make: Any, words: str
) -> None:
    clip = make(tmp_path / "clip.mp4")
    report = reported(clip, "-m", "tiny", "--matte", tmp_path / "m.mkv", "--student", "auto")
    assert any(words in note and note.endswith("tiny did all the work") for note in report["fallbacks"])
    assert run("tune", clip, "--name", "den", "-m", "tiny", "--steps", 2) == 7
    assert capfd.readouterr().err.strip().splitlines()[-1] == f"streammatte: error: {clip}: {words}"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--compat", "rembg"), "no student: --compat rembg is another tool's arithmetic"),
    ],
)
def test_what_no_student_can_learn(
    video: Path, tmp_path: Path, reported: Reported, args: tuple[str, ...], words: str
) -> None:
    report = reported(video, "-m", "tiny", "--matte", tmp_path / "m.mkv", "--student", "auto", *args)
    assert any(note.startswith(words) for note in report["fallbacks"])


def test_a_pipe_cannot_be_looked_through_before(video: Path, tmp_path: Path, tiny_folder: Path) -> None:
    program = Path(__file__).parents[1] / "tiny.py"
    command = [sys.executable, str(program), str(tiny_folder), "-", "-m", "tiny", "--student", "auto", "--json"]
    with video.open("rb") as piped:
        done = subprocess.run(
            [*command, "--matte", str(tmp_path / "m.mkv")], stdin=piped, capture_output=True, check=True, text=True
        )
    assert any("- can be read only once" in note for note in json.loads(done.stdout)["fallbacks"])


def test_a_name_is_looked_at_before_anything_is_done(video: Path, capfd: pytest.CaptureFixture[str]) -> None:
    started_s = time.perf_counter()
    assert run("tune", video, "--name", "../den", "-m", "tiny") == 7
    assert time.perf_counter() - started_s < 5
    assert "a scene's name is made of letters" in capfd.readouterr().err


def test_an_unknown_scene(video: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(video, "-m", "scene:attic", "--matte", "m.mkv") == 7
    assert "scene:attic: no such scene; there is none yet: `streammatte tune` makes one" in capfd.readouterr().err


def test_a_live_run_teaches_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a file at its own pace, until the student has been taught and looked at: however long that takes."""
    monkeypatch.setattr(schooling, "teach", lessons_of(20))
    clip = room_video(tmp_path / "long.mp4", 25 * 100, (128, 72))
    pipeline = open_pipeline(str(clip), Settings(model="tiny", to=("null",), bg="red", student="auto"))
    assert isinstance(pipeline, LivePipeline)

    def enough() -> None:
        while (student := pipeline.student()) is None or student.checks < 3:
            time.sleep(0.05)
        pipeline.stop()

    threading.Thread(target=enough, daemon=True).start()
    report = pipeline.run()
    student = report.student
    assert student is not None
    assert pipeline.controls is not None
    assert pipeline.controls.state()["answering"] == (student.turns[-1].to if student.turns else "teacher")
    assert (student.teacher, student.lessons) == ("tiny", 1)
    assert student.frames_taught + student.frames_held_out >= 12
    assert student.frames_student + student.frames_teacher > 12
    assert student.notes == ()
    assert report.live is not None
    assert report.live.outputs[0].frames > 12


def test_a_scene_from_a_camera(
    tmp_path: Path, small_and_quick: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A file at its own pace in the camera's place: who sits there is told what to do, and when it is over."""
    monkeypatch.setattr("streammatte.guided._STEP_S", 0.3)
    monkeypatch.setattr("streammatte.guided._ROUNDS", 1)
    monkeypatch.setattr(schooling, "teach", lessons_of(25))
    clip = room_video(tmp_path / "long.mp4", 25 * 100, (128, 72))
    monkeypatch.setattr("streammatte.tuning.open_input", lambda spec, settings: Paced(open_input(str(clip), settings)))
    assert run("tune", "camera", "--name", "den", "-m", "tiny") == 0
    out, err = capfd.readouterr()
    assert "see how far it is at http://127.0.0.1:" in err
    assert all(words in err for words in GUIDANCE)
    assert "from its teacher" in err
    assert "scene:den: taught" in out
    made = manifest_of("den")
    assert made.steps >= 25
    # Nothing is kept but the network.
    assert sorted(path.name for path in (small_and_quick / "den").iterdir()) == [
        "den.onnx",
        "den.toml",
        "manifest.json",
    ]


def test_a_camera_that_shows_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    clip = dark(tmp_path / "dark.mp4", 125)
    monkeypatch.setattr("streammatte.tuning.open_input", lambda spec, settings: Paced(open_input(str(clip), settings)))
    assert run("tune", "camera", "--name", "den", "-m", "tiny", "--show", "none") == 7
    assert "the subject was never found" in capfd.readouterr().err
