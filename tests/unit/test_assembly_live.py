"""Live runs from settings: what makes one, what it shows, and every change while it runs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from streammatte import assembly_live
from streammatte.assembly import open_pipeline
from streammatte.cli.main import cli
from streammatte.config import Settings
from streammatte.errors import ConfigError, SinkError
from streammatte.frame import Frame, Packet, StreamInfo
from streammatte.live import guard
from streammatte.live.pipeline import LivePipeline
from streammatte.meter import RunReport
from streammatte.ports import SinkKind, SinkReport
from streammatte.sinks import SinkOptions

SPEC = "pattern:96x64@50?frames={}"


class Kept:
    """A live sink that keeps what it is shown."""

    kind: SinkKind = "com"
    name = "kept"

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.reach: dict[str, object] = {"url": "kept://here"}

    def watched(self) -> bool:
        return True

    def write(self, frame: Frame) -> None:
        self.frames.append(frame)

    def write_packet(self, packet: Packet) -> None: ...

    def finish(self) -> SinkReport:
        return SinkReport(self.name, len(self.frames), "kept")

    def abort(self) -> None: ...


@pytest.fixture(autouse=True)
def _tiny_is_never_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "_UNSURE", 2.0)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    sink = Kept()

    def opens(spec: str, info: StreamInfo, options: SinkOptions) -> Any:
        return sink

    monkeypatch.setattr(assembly_live, "open_live_sink", opens)
    monkeypatch.setattr(assembly_live, "live_kind", lambda spec: sink.kind)
    return sink


def live(frames: int = 60, **settings: Any) -> LivePipeline:
    given = {"model": "tiny", "bg": "navy", "to": ("kept",)} | settings
    pipeline = open_pipeline(SPEC.format(frames), Settings(**given))
    assert isinstance(pipeline, LivePipeline)
    return pipeline


def steered(pipeline: LivePipeline, kept: Kept, steer: Callable[[], None]) -> RunReport:
    """Run, with `steer` called once frames come; its error is this test's."""
    errors: list[BaseException] = []

    def call() -> None:
        try:
            for _ in range(500):
                if len(kept.frames) > 3:
                    break
                time.sleep(0.01)
            steer()
        except BaseException as error:
            errors.append(error)
        finally:
            pipeline.stop()

    worker = threading.Thread(target=call)
    worker.start()
    report = pipeline.run()
    worker.join()
    if errors:
        raise errors[0]
    return report


pytestmark = pytest.mark.usefixtures("tiny")


def test_a_file_for_a_live_output_is_read_at_its_pace(kept: Kept) -> None:
    started = time.monotonic()
    report = live(100).run()
    assert time.monotonic() - started > 1.9
    assert report.live is not None
    assert report.frames_in == 100
    assert len(kept.frames) > 5


def test_a_live_output_needs_a_background(kept: Kept) -> None:
    with pytest.raises(ConfigError, match="--bg: kept needs one"):
        live(bg=None)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("wish", ["point:96,10", "box:0,64,4,4"])
def test_a_place_outside_the_picture_is_refused_before_anything_runs(kept: Kept, wish: str) -> None:
    with pytest.raises(ConfigError, match=r"--subject: .*lies outside the picture, which is 96x64"):
        live(subject=wish)
    assert kept.frames == []


def test_a_live_output_for_the_subject_alone_needs_none(kept: Kept) -> None:
    kept.kind = "fgr"
    live(40, bg=None).run()
    assert len(kept.frames) > 5
    assert all(frame.alpha is not None for frame in kept.frames)
    assert kept.frames[-1].alpha is not None
    assert kept.frames[-1].alpha.max() == 0, "a card without a subject ends the run"


def test_a_background_that_nobody_shows_is_said(kept: Kept) -> None:
    kept.kind = "fgr"
    report = live(20).run()
    assert any("--bg is not used" in note for note in report.fallbacks)
    kept.kind = "com"
    assert not any("--bg is not used" in note for note in live(20).run().fallbacks)


def test_the_rooms_colours_do_not_travel_beside_the_alpha(kept: Kept) -> None:
    kept.kind = "fgr"
    with pytest.raises(ConfigError, match="--fgr: off would send the room's colours"):
        live(bg=None, fgr="off")


def test_how_an_output_is_reached_is_known_to_those_who_control_the_run(kept: Kept) -> None:
    states: list[Any] = []
    pipeline = live()
    steered(pipeline, kept, lambda: states.append(pipeline.controls.state()))  # type: ignore[union-attr]
    assert states[0]["outputs"]["kept"]["url"] == "kept://here"


def test_a_recording_beside_it(kept: Kept, tmp_path: Path) -> None:
    report = live(40, output=(tmp_path / "call.mkv",)).run()
    assert (tmp_path / "call.mkv").exists()
    assert {output.path for output in report.outputs} == {"kept", str(tmp_path / "call.mkv")}


def test_the_card_for_blur_is_not_the_room(kept: Kept) -> None:
    pipeline = live(400, bg="blur")
    controls = pipeline.controls
    assert controls is not None

    def steer() -> None:
        controls.change("paused", "on")
        time.sleep(0.1)
        kept.frames.clear()
        time.sleep(0.3)

    steered(pipeline, kept, steer)
    assert kept.frames
    assert all(len(np.unique(plane)) == 1 for frame in kept.frames for plane in frame.planes)


def test_a_card_may_be_chosen_but_not_blur(kept: Kept) -> None:
    with pytest.raises(ConfigError, match="--card"):
        live(card="blur")
    with pytest.raises(ConfigError, match="--card"):
        live(card="nowhere.png")


def test_changes_while_it_runs(kept: Kept) -> None:
    pipeline = live(2000)
    controls = pipeline.controls
    assert controls is not None
    answers: list[dict[str, object]] = []

    def steer() -> None:
        for name, value in (
            ("bg", "red"),
            ("bg", "blur:3"),
            ("mirror", "on"),
            ("mirror", "toggle"),
            ("paused", "on"),
            ("paused", "off"),
            ("half_life", "0.3"),
            ("quality", "fast"),
            ("model", "tiny"),
        ):
            answers.append(controls.change(name, value))

    report = steered(pipeline, kept, steer)
    assert report.live is not None
    assert report.live.changes == 9
    assert [next(iter(answer.values())) for answer in answers] == [
        "red",
        "blur:3",
        "on",
        "off",
        "on",
        "off",
        0.3,
        "fast",
        "tiny",
    ]
    assert all(isinstance(answer["after_frames"], int) and answer["after_frames"] <= 3 for answer in answers)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bg", "nowhere.png"),
        ("bg", "none"),
        ("mirror", "perhaps"),
        ("paused", "1"),
        ("half_life", "long"),
        ("half_life", "-1"),
        ("quality", "superb"),
        ("model", "tinny"),
        ("zoom", "2"),
    ],
)
def test_what_cannot_be_changes_nothing(kept: Kept, name: str, value: str) -> None:
    pipeline = live(2000)
    controls = pipeline.controls
    assert controls is not None
    before = {key: controls.state()[key] for key in ("bg", "mirror", "paused", "half_life", "quality", "model")}

    def steer() -> None:
        with pytest.raises(ConfigError):
            controls.change(name, value)

    steered(pipeline, kept, steer)
    assert {key: controls.state()[key] for key in before} == before


def test_a_live_run_that_fails_is_reported_all_the_same(kept: Kept, tmp_path: Path) -> None:
    def gone(frame: Frame) -> None:
        kept.frames.append(frame)
        if len(kept.frames) > 5:
            raise SinkError("kept: the device is gone; load the module")

    kept.write = gone  # type: ignore[method-assign]
    told = tmp_path / "run.json"
    args = [SPEC.format(500), "-m", "tiny", "--bg", "navy", "--to", "kept", "--control", "off", "--report", str(told)]
    result = CliRunner().invoke(cli, ["run", *args])
    assert isinstance(result.exception, SinkError)
    report = json.loads(told.read_text(encoding="utf-8"))
    assert any("the device is gone" in note for note in report["fallbacks"])
    assert report["live"]["outputs"][0]["frames"] == 5


def test_the_command_line(tmp_path: Path) -> None:
    args = [SPEC.format(30), "-m", "tiny", "--bg", "navy", "--to", "null", "--control", "off"]
    result = CliRunner().invoke(cli, ["run", *args])
    assert result.exit_code == 0, result.output
    assert "shown    null: " in result.output
    assert "ms after capture" in result.output
