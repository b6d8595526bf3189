"""`streammatte ctl`: what is asked of the live run, and what is printed of its answer."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from controls import Recorded

from streammatte.cli.ctl import ctl, place_of, said
from streammatte.errors import ConfigError
from streammatte.live.control import ControlServer


@pytest.fixture
def controls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    """Of a live run of this user's; the working directory is another than the run's."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    recorded = Recorded()
    with ControlServer(recorded):
        yield recorded


def call(*args: str) -> Result:
    return CliRunner().invoke(ctl, args)


def printed(*args: str) -> str:
    result = call(*args)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(
    ("args", "change", "line"),
    [
        (("bg", "navy"), ("bg", "navy"), "bg navy"),
        (("bg", "#00b140"), ("bg", "#00b140"), "bg #00b140"),
        (("bg", "none"), ("bg", "none"), "bg none"),
        (("bg", "blur:2.5"), ("bg", "blur:2.5"), "bg blur:2.5"),
        (("blur",), ("bg", "blur"), "bg blur"),
        (("blur", "3.50"), ("bg", "blur:3.5"), "bg blur:3.5"),
        (("model", "selfie"), ("model", "selfie"), "model selfie"),
        (("mirror", "on"), ("mirror", "on"), "mirror on"),
        (("mirror", "off"), ("mirror", "off"), "mirror off"),
        (("pause",), ("paused", "on"), "paused on"),
        (("resume",), ("paused", "off"), "paused off"),
        (("smoothing", "0.25"), ("half_life", "0.25"), "half-life 0.25"),
        (("quality", "fast"), ("quality", "fast"), "quality fast"),
        (("--pid", str(os.getpid()), "quality", "best"), ("quality", "best"), "quality best"),
    ],
)
def test_each_change(controls: Recorded, args: tuple[str, ...], change: tuple[str, str], line: str) -> None:
    assert printed(*args) == f"{line}, shown after 1 frame\n"
    assert controls.changes == [change]


def test_mirror_toggles(controls: Recorded) -> None:
    assert printed("mirror", "toggle").startswith("mirror on,")
    assert printed("mirror", "toggle").startswith("mirror off,")
    assert controls.changes == [("mirror", "on"), ("mirror", "off")]


def test_stop(controls: Recorded) -> None:
    assert printed("stop") == f"stopping {os.getpid()}\n"
    assert controls.stopped.wait(10)


def test_a_file_is_named_so_that_the_run_finds_it(controls: Recorded) -> None:
    Path("office.png").write_bytes(b"")
    Path("navy").write_bytes(b"")
    absolute = str(Path.cwd() / "office.png")
    assert printed("bg", "office.png") == f"bg {absolute}, shown after 1 frame\n"
    printed("bg", "navy")
    assert controls.changes == [("bg", absolute), ("bg", str(Path.cwd() / "navy"))], "a file goes before a colour"


@pytest.mark.parametrize("given", ["nowhere.png", "a/b", "~/nowhere.mp4"])
def test_a_file_that_is_not_here_is_said_here(controls: Recorded, given: str) -> None:
    result = call("bg", given)
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception) == f"bg: {given} is not there; check the path"
    assert controls.changes == []


def test_addresses_go_as_they_are() -> None:
    assert place_of("rtsp://host/way.mp4") == "rtsp://host/way.mp4"
    assert place_of("blur:2.5") == "blur:2.5"


def test_the_runs_refusal_is_the_commands(controls: Recorded) -> None:
    result = call("model", "nosuch")
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception) == "model: cannot be 'nosuch'; try another"


@pytest.mark.parametrize("args", [("blur", "0"), ("blur", "x"), ("smoothing", "-1"), ("mirror", "maybe"), ("bg",)])
def test_what_cannot_be_meant_is_not_sent(controls: Recorded, args: tuple[str, ...]) -> None:
    assert call(*args).exit_code == click.UsageError.exit_code
    assert controls.changes == []


def test_without_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    result = call("state")
    assert isinstance(result.exception, ConfigError)
    assert "no live run of yours" in str(result.exception)


def test_state_for_people_and_for_scripts(controls: Recorded) -> None:
    controls.held |= {
        "idle": False,
        "outputs": {"vcam": {"frames": 30, "cards": 0}},
        "ms": {"infer": 12.3456},
        "notes": ["a", "b"],
        "card": None,
        "empty": {},
    }
    assert json.loads(printed("state", "--json")) == controls.held
    assert printed("state").splitlines() == [
        "input            camera",
        "bg               beach.jpg",
        "mirror           off",
        "paused           off",
        "half-life        0.16",
        "idle             off",
        "outputs          vcam frames 30, cards 0",
        "ms               infer 12.35",
        "notes            a, b",
        "card             -",
        "empty            -",
    ]


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ({"bg": "red", "after_frames": 0}, "bg red, shown after 0 frames"),
        ({"bg": "red", "after_frames": 1}, "bg red, shown after 1 frame"),
        ({"bg": "red", "after_frames": None}, "bg red"),
        ({}, "bg asked"),
    ],
)
def test_one_line_of_an_answer(answer: dict[str, object], line: str) -> None:
    assert said("bg", "asked", answer) == line
