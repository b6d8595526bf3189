"""`streammatte obs setup` and `remove` against an OBS made for it: what is asked of OBS, and what is said."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from controls import Recorded
from fake_obs import FakeObs

from streammatte.cli.main import cli
from streammatte.errors import ConfigError, SinkError, StreammatteError
from streammatte.live.control import ControlServer
from streammatte.obs.stream import Stream, points_at_a_stream, streams_of

RAW = {"frames": 1, "url": "tcp://127.0.0.1:8091", "format": "nut", "codec": "raw", "width": 640, "height": 360}
VP9 = {"frames": 1, "url": "tcp://127.0.0.1:8092", "format": "webm", "codec": "vp9", "width": 640, "height": 360}
MEDIA = {"is_local_file": True, "local_file": "holiday.mp4"}
OURS = {"is_local_file": False, "input": "tcp://127.0.0.1:9000", "input_format": "nut"}


@pytest.fixture(autouse=True)
def _nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No OBS configuration, no password, no live run of the user's."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "OBS_WEBSOCKET_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def fake() -> Iterator[FakeObs]:
    with FakeObs() as fake:
        yield fake


@pytest.fixture
def run() -> Iterator[Recorded]:
    """A live run, with two outputs to OBS and others."""
    recorded = Recorded()
    recorded.held["outputs"] = {
        "vcam": {"frames": 1, "cards": 0},
        "srt": {"url": "srt://127.0.0.1:9000", "format": "mpegts"},
        "obs raw": RAW,
        "obs vp9": VP9,
    }
    with ControlServer(recorded):
        yield recorded


def call(fake: FakeObs, *args: str) -> Result:
    return CliRunner().invoke(cli, ["obs", *args, "--obs-port", str(fake.port)])


def printed(fake: FakeObs, *args: str) -> str:
    result = call(fake, *args)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def refusal(fake: FakeObs, *args: str) -> StreammatteError:
    result = call(fake, *args)
    assert isinstance(result.exception, StreammatteError), (result.output, result.exception)
    assert "\n" not in str(result.exception)
    assert fake.changes() == []
    return result.exception


def settings(fake: FakeObs, name: str = "streammatte") -> dict[str, Any]:
    return fake.inputs[name][1]


def test_a_source_is_made(fake: FakeObs, run: Recorded) -> None:
    assert printed(fake, "setup") == (
        "made the Media Source streammatte in scene Scene, fitted to the canvas (1920x1080): "
        "tcp://127.0.0.1:8091 (nut)\n"
    )
    assert fake.inputs["streammatte"][0] == "ffmpeg_source"
    assert (
        settings(fake).items()
        >= {
            "is_local_file": False,
            "input": "tcp://127.0.0.1:8091",
            "input_format": "nut",
            "buffering_mb": 0,
            "reconnect_delay_sec": 1,
            "ffmpeg_options": "fflags=nobuffer",
            "linear_alpha": True,
            "close_when_inactive": False,
        }.items()
    )
    (item,) = fake.scenes["Scene"]
    assert item["sceneItemTransform"]["boundsType"] == "OBS_BOUNDS_SCALE_INNER"
    assert (item["sceneItemTransform"]["boundsWidth"], item["sceneItemTransform"]["boundsHeight"]) == (1920, 1080)


def test_twice_is_once(fake: FakeObs, run: Recorded) -> None:
    printed(fake, "setup")
    done = fake.changes()
    assert printed(fake, "setup") == "the Media Source streammatte is already set up: tcp://127.0.0.1:8091 (nut)\n"
    assert fake.changes() == done


def test_an_obs_that_has_no_linear_alpha(run: Recorded) -> None:
    with FakeObs(linear_alpha=False) as fake:
        printed(fake, "setup")
        assert "linear_alpha" not in settings(fake)
        assert "already set up" in printed(fake, "setup")


def test_it_is_brought_up_to_date(fake: FakeObs, run: Recorded) -> None:
    printed(fake, "setup", "--no-fit")
    assert "sceneItemTransform" not in fake.scenes["Scene"][0]
    settings(fake)["volume"] = "the user's"
    assert printed(fake, "setup", "--codec", "vp9") == (
        "brought the Media Source streammatte up to date: tcp://127.0.0.1:8092 (webm)\n"
    )
    assert (settings(fake)["input"], settings(fake)["input_format"]) == ("tcp://127.0.0.1:8092", "webm")
    assert settings(fake)["volume"] == "the user's"
    assert len(fake.scenes["Scene"]) == 1
    assert "sceneItemTransform" not in fake.scenes["Scene"][0], "the user has placed it meanwhile"


def test_it_is_put_into_the_scene_that_lacks_it(fake: FakeObs, run: Recorded) -> None:
    printed(fake, "setup")
    fake.scenes["Second"] = []
    fake.program = "Second"
    assert printed(fake, "setup").startswith("put streammatte into scene Second, fitted")
    assert "already set up" in printed(fake, "setup")
    assert "already set up" in printed(fake, "setup", "--scene", "Scene")


def test_a_group_and_a_scene_within_hold_it(fake: FakeObs, run: Recorded) -> None:
    printed(fake, "setup")
    fake.scenes |= {"Group": [], "Outer": [], "Outmost": []}
    fake.add_item("Group", "streammatte")
    fake.add_item("Outer", "Group", kind="SCENE", group=True)
    fake.add_item("Outmost", "Outer", kind="SCENE")
    for fake.program in ("Outer", "Outmost"):
        assert "already set up" in printed(fake, "setup")


def test_names_and_scenes_are_the_users(fake: FakeObs, run: Recorded) -> None:
    fake.scenes["Second"] = []
    assert "Media Source me in scene Second" in printed(fake, "setup", "--name", "me", "--scene", "Second")
    assert [item["sourceName"] for item in fake.scenes["Second"]] == ["me"]
    assert fake.scenes["Scene"] == []


def test_an_unknown_scene(fake: FakeObs) -> None:
    fake.scenes["Second"] = []
    error = refusal(fake, "setup", "--scene", "nosuch")
    assert str(error) == "--scene: OBS has no scene nosuch; one of Scene, Second"


@pytest.mark.parametrize("command", ["setup", "remove", "status"])
def test_what_is_no_media_source_is_left_alone(fake: FakeObs, command: str) -> None:
    fake.inputs["streammatte"] = ("image_source", {"file": "me.png"})
    error = refusal(fake, command)
    assert isinstance(error, ConfigError)
    assert str(error) == "--name: streammatte is no Media Source in OBS, but image_source; take another name"


def test_a_scene_of_that_name(fake: FakeObs) -> None:
    assert "no Media Source in OBS, but a scene" in str(refusal(fake, "setup", "--name", "Scene"))


def test_the_users_media_source_is_overwritten_only_by_force(fake: FakeObs, run: Recorded) -> None:
    fake.inputs["streammatte"] = ("ffmpeg_source", dict(MEDIA))
    assert "is a Media Source that shows holiday.mp4" in str(refusal(fake, "setup"))
    assert settings(fake) == MEDIA
    assert "up to date" in printed(fake, "setup", "--force")
    assert settings(fake)["input"] == "tcp://127.0.0.1:8091"
    done = fake.changes()
    result = call(fake, "remove")
    assert "was not made by streammatte" in str(result.exception), "it was theirs"
    assert fake.changes() == done


def test_the_users_media_source_for_our_stream_is_theirs(fake: FakeObs, run: Recorded) -> None:
    fake.inputs["streammatte"] = ("ffmpeg_source", dict(OURS))
    assert "was not made by streammatte" in str(refusal(fake, "remove"))
    assert "up to date" in printed(fake, "setup")
    assert "removed" in printed(fake, "remove", "--force")


def test_remove(fake: FakeObs, run: Recorded) -> None:
    printed(fake, "setup")
    assert printed(fake, "remove") == "removed the Media Source streammatte\n"
    assert (fake.inputs, fake.scenes) == ({}, {"Scene": []})
    assert printed(fake, "remove") == "OBS has no source streammatte: nothing to remove\n"


def test_what_was_made_and_then_used_otherwise_is_kept(fake: FakeObs, run: Recorded) -> None:
    printed(fake, "setup")
    settings(fake).update(MEDIA, input="")
    assert "--force" in str(call(fake, "remove").exception)
    assert "streammatte" in fake.inputs


@pytest.mark.parametrize("request_", ["CreateInput", "GetSceneList", "GetInputSettings", "SetSceneItemTransform"])
def test_what_obs_refuses(fake: FakeObs, request_: str) -> None:
    fake.refuses[request_] = (207, "OBS is not ready to perform the request.")
    result = call(fake, "setup")
    assert isinstance(result.exception, SinkError)
    assert f"OBS refuses {request_}: OBS is not ready to perform the request. (code 207)" in str(result.exception)


# which stream


@pytest.mark.parametrize(
    ("args", "url"),
    [
        ((), "tcp://127.0.0.1:8091 (nut)"),
        (("--codec", "vp9"), "tcp://127.0.0.1:8092 (webm)"),
        (("--port", "8092"), "tcp://127.0.0.1:8092 (webm)"),
        (("--pid", str(os.getpid())), "tcp://127.0.0.1:8091 (nut)"),
    ],
)
def test_the_runs_stream(fake: FakeObs, run: Recorded, args: tuple[str, ...], url: str) -> None:
    out = printed(fake, "setup", *args)
    assert out.count("\n") == 1
    assert out.endswith(f": {url}\n")


@pytest.mark.parametrize(
    ("args", "spec", "url"),
    [
        ((), "obs:raw:8091", "tcp://127.0.0.1:8091 (nut)"),
        (("--codec", "vp9"), "obs:vp9:8091", "tcp://127.0.0.1:8091 (webm)"),
        (("--port", "8099"), "obs:raw:8099", "tcp://127.0.0.1:8099 (nut)"),
    ],
)
def test_without_a_run(fake: FakeObs, args: tuple[str, ...], spec: str, url: str) -> None:
    first, second = printed(fake, "setup", *args).splitlines()
    assert first == f"no live run of yours; the source will show one that is started with --to {spec}"
    assert second.endswith(f": {url}")


def test_a_run_that_serves_another(fake: FakeObs, run: Recorded) -> None:
    first, second = printed(fake, "setup", "--port", "8099").splitlines()
    assert first.startswith(f"the live run {os.getpid()} serves no such stream; ")
    assert second.endswith(": tcp://127.0.0.1:8099 (nut)")


def test_a_run_that_is_not_there(fake: FakeObs, run: Recorded) -> None:
    assert "no live run has the pid 1" in str(refusal(fake, "setup", "--pid", "1"))


@pytest.mark.parametrize(
    ("url", "own", "seen"),
    [
        ("tcp://127.0.0.1:8091", "127.0.0.1", "tcp://127.0.0.1:8091"),
        ("tcp://0.0.0.0:8091", "127.0.0.1", "tcp://127.0.0.1:8091"),
        ("tcp://[::]:8091", "::1", "tcp://127.0.0.1:8091"),
        ("tcp://192.168.1.5:8091", "127.0.0.1", "tcp://192.168.1.5:8091"),
        ("tcp://0.0.0.0:8091", "192.168.1.5", "tcp://192.168.1.5:8091"),
        ("tcp://0.0.0.0:8091", "fe80::1", "tcp://[fe80::1]:8091"),
    ],
)
def test_what_another_machine_connects_to(url: str, own: str, seen: str) -> None:
    assert Stream(url, "nut").seen_from(own).url == seen


@pytest.mark.parametrize(
    ("url", "container", "ours"),
    [
        ("tcp://127.0.0.1:8091", "nut", True),
        ("tcp://127.0.0.1:8091", "webm", True),
        ("tcp://127.0.0.1:8091", "mpegts", False),
        ("tcp://127.0.0.1:8091", None, False),
        ("tcp://127.0.0.1:8091/x", "nut", False),
        ("tcp://127.0.0.1", "nut", False),
        ("tcp://127.0.0.1:x", "nut", False),
        ("udp://127.0.0.1:8091", "nut", False),
        ("", "nut", False),
        (None, None, False),
    ],
)
def test_what_a_stream_of_ours_looks_like(url: str | None, container: str | None, ours: bool) -> None:
    assert points_at_a_stream(url, container) is ours


@pytest.mark.parametrize("outputs", [None, [], {}, {"vcam": {"frames": 1}}, {"x": "y"}])
def test_outputs_without_a_stream(outputs: object) -> None:
    assert streams_of(outputs) == ()
