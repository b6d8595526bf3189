"""A real OBS Studio shows what streammatte sends, with its alpha; restarts and kills of either side.

`pytest -m obs` on Debian or Ubuntu with obs-studio, obs-plugins, xvfb, libgl1-mesa-dri and dbus (skipped without), some
minutes. OBS runs on a screen of its own with settings of its own, so the user's is not touched.
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from loopback import HAS_SRT, free_port
from obs_stream import COLORS, SIZE, Command, Sender, listening, number_in, patches, started
from obs_studio import Studio, missing, screen, until
from scenes import BT709, make_frame

from streammatte.kernels.host import frame_rgb

pytestmark = pytest.mark.obs

NAME = "streammatte"
KILLS = 50
SUBJECT = "lavfi:color=c=0x102040:s=640x360:r=30,drawbox=x=200+80*sin(2*t):y=90:w=200:h=270:c=0xf0d0c0:t=fill"
"""Bright before dark, which the network of tiny.py tells apart."""
BANDS = "lavfi:color=c=0x102040:s=640x360:r=30,drawbox=x=240:w=120:h=360:c=0x808080:t=fill"
BANDS += ",drawbox=x=360:w=280:h=360:c=0xf0d0c0:t=fill"
"""Which it takes for 0, for 0.51 (the gray is 126 of 16 to 235) and for 1."""


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    if packages := missing():
        pytest.skip(f"sudo apt install {' '.join(packages)}")
    with screen() as name:
        yield name


@pytest.fixture
def studio(display: str, tmp_path: Path) -> Iterator[Studio]:
    running = Studio(tmp_path / "obs", display)
    running.start()
    yield running
    running.kill()


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def command(studio: Studio, tiny_folder: Path) -> Callable[..., Command]:
    """`streammatte ...` of a user whose OBS is `studio`."""

    def make(*arguments: str) -> Command:
        runtime = {"XDG_RUNTIME_DIR": str(studio.home / "run")}
        return Command(tiny_folder, studio.environment | runtime, *arguments)

    return make


@pytest.fixture
def streaming(command: Callable[..., Command], port: int) -> Command:
    """The command that sends a moving subject to OBS for as long as it runs."""
    return command(SUBJECT, "--to", f"obs:{port}", "--model", "tiny", "--quality", "fast")


def done(command: Command) -> str:
    code, out, err = command.run()
    assert code == 0, err
    return out


def opaque(studio: Studio) -> bool:
    """OBS shows some of the subject."""
    picture = studio.picture(NAME)
    return picture is not None and bool(picture[..., 3].max() == 255)


def coded(color: tuple[float, float, float]) -> Any:
    """R'G'B' 0..255 of a colour once it has been through 8-bit planes."""
    return np.rint(frame_rgb(make_frame(size=(16, 16), rgb=color, color=BT709), 16, 16)[8, 8] * 255)


@pytest.mark.parametrize("codec", ["raw", "vp9"])
def test_alpha_and_colours_arrive_as_they_were_sent(
    codec: str, studio: Studio, port: int, command: Callable[..., Command]
) -> None:
    with Sender(f"obs:{codec}:{port}"):
        done(command("obs", "setup", "--port", str(port), "--codec", codec))
        until(lambda: opaque(studio))
        time.sleep(1.0)
        picture = studio.screenshot(NAME).astype(int)
    assert picture.shape == (SIZE[1], SIZE[0], 4)
    rows = [int(where.mean()) for where in np.array_split(np.arange(SIZE[1] - 60), len(COLORS))]
    for column, alpha in zip((106, 320, 533), (0, 128, 255), strict=True):
        for row in rows:
            assert np.abs(picture[row - 5 : row + 5, column - 20 : column + 20, 3] - alpha).max() <= 2
    for row, color in zip(rows, COLORS, strict=True):
        patch = picture[row - 5 : row + 5, 513:553, :3]
        assert np.abs(patch - coded(color)).max() <= 3, color


@pytest.mark.parametrize("codec", ["raw", "vp9"])
def test_a_running_streammatte_is_set_up_by_one_command(
    codec: str, studio: Studio, port: int, command: Callable[..., Command]
) -> None:
    plain = ("--model", "tiny", "--refine", "none", "--stabilize", "none")
    with started(command(BANDS, "--to", f"obs:{codec}:{port}", *plain)):
        until(lambda: listening(port))
        done(command("obs", "setup"))
        until(lambda: opaque(studio))
        time.sleep(1.0)
        picture = studio.screenshot(NAME).astype(int)
    middles = {120: (0, None), 300: (130, None), 500: (255, (240, 208, 192))}
    for column, (alpha, color) in middles.items():
        patch = picture[100:260, column - 15 : column + 15]
        assert np.abs(patch[..., 3] - alpha).max() <= 2
        assert color is None or np.abs(patch[..., :3] - color).max() <= 3


@pytest.mark.parametrize("codec", ["raw", "vp9"])
def test_the_first_picture_comes_within_a_second(codec: str, studio: Studio, port: int, command: Any) -> None:
    with Sender(f"obs:{codec}:{port}"):
        done(command("obs", "setup", "--port", str(port), "--codec", codec))
        until(lambda: opaque(studio))
        kept = studio.ask("GetInputSettings", inputName=NAME)["inputSettings"]
        studio.ask("RemoveInput", inputName=NAME)
        time.sleep(0.5)
        started_s = time.monotonic()
        studio.create(NAME, "ffmpeg_source", kept)
        until(lambda: opaque(studio), 10)
        assert time.monotonic() - started_s < 1.5, "one, and a half for a busy machine"


def test_pictures_are_fresh(studio: Studio, port: int, command: Callable[..., Command]) -> None:
    with Sender(f"obs:{port}") as sender:
        done(command("obs", "setup", "--port", str(port)))
        until(lambda: opaque(studio))
        time.sleep(1.0)
        late = [lag_s(studio, sender) for _ in range(40)]
    assert statistics.median(late) < 0.3


def lag_s(studio: Studio, sender: Sender) -> float:
    """From when a frame was given to the sink until OBS drew it."""
    asked_s = time.monotonic()
    number = number_in(studio.screenshot(NAME))
    answered_s = time.monotonic()
    return (asked_s + answered_s) / 2 - sender.sent[number]


def test_status_says_that_the_picture_is_the_one_sent(
    studio: Studio, command: Callable[..., Command], streaming: Command, port: int
) -> None:
    with started(streaming):
        until(lambda: listening(port))
        assert "streammatte" in done(command("obs", "setup"))
        until(lambda: opaque(studio))
        done(command("obs", "status"))
        studio.ask("SetInputSettings", inputName=NAME, inputSettings={"input": "tcp://127.0.0.1:9"}, overlay=True)
        code, out, err = command("obs", "status").run()
        assert code != 0, out + err


def test_setup_twice_is_setup_once_and_remove_undoes_it(
    studio: Studio, command: Callable[..., Command], port: int
) -> None:
    before = studio.inputs
    done(command("obs", "setup", "--port", str(port)))
    first = studio.inputs
    done(command("obs", "setup", "--port", str(port)))
    assert studio.inputs == first
    assert len(first) == len(before) + 1
    done(command("obs", "remove"))
    until(lambda: studio.inputs == before, 5)
    done(command("obs", "remove"))


def test_obs_shows_it_again_once_streammatte_restarts(
    studio: Studio, streaming: Command, command: Any, port: int
) -> None:
    with started(streaming):
        until(lambda: listening(port))
        done(command("obs", "setup"))
        until(lambda: opaque(studio))
        streaming.end()
        until(lambda: not opaque(studio), 10)
        streaming.start()
        until(lambda: listening(port))
        back_s = time.monotonic()
        until(lambda: opaque(studio), 15)
        assert time.monotonic() - back_s < 3, "two, and one for a busy machine"


def test_obs_restarts_and_is_served_again(studio: Studio, streaming: Command, command: Any, port: int) -> None:
    with started(streaming) as process:
        until(lambda: listening(port))
        done(command("obs", "setup"))
        until(lambda: opaque(studio))
        studio.kill(signal.SIGTERM)
        time.sleep(1.0)
        assert process.poll() is None
        studio.start()
        until(lambda: opaque(studio), 15)


@pytest.mark.timeout(900)
def test_either_side_may_be_killed_at_any_time(studio: Studio, streaming: Command, command: Any, port: int) -> None:
    dice = random.Random(5)
    with started(streaming):
        until(lambda: listening(port))
        done(command("obs", "setup"))
        until(lambda: opaque(studio))
        calm = None
        for _ in range(KILLS):
            time.sleep(dice.uniform(0, 1.5))
            if dice.random() < 0.5:
                studio.kill()
                assert streaming.process is not None
                assert streaming.process.poll() is None, "streammatte outlives OBS"
                studio.start()
                until(lambda: opaque(studio), 20)
                calm = calm or footprint(streaming.process.pid)
                now = footprint(streaming.process.pid)
                assert now[0] <= calm[0] + 8, "file descriptors"
                assert now[1] <= calm[1] + 4, "threads"
                assert now[2] <= calm[2] + 64, "MiB"
            else:
                streaming.end()
                calm = None
                assert studio.running, "OBS outlives streammatte"
                streaming.start()
                until(lambda: listening(port), 20)
        until(lambda: opaque(studio), 20)
        assert children(streaming.process.pid) == []
    assert not listening(port)


def footprint(pid: int) -> tuple[int, int, int]:
    """Open files, threads and resident MiB of a process."""
    place = Path(f"/proc/{pid}")
    resident = int((place / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20
    return len(list((place / "fd").iterdir())), len(list((place / "task").iterdir())), resident


def children(pid: int) -> list[str]:
    """Processes that it has started and that still run."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_soft_edges_are_mixed_as_light(studio: Studio, port: int, command: Any) -> None:
    """OBS mixes in linear light; with `linear_alpha`, which setup sets, half of a colour over itself stays itself."""
    frame = patches((128, 128, 128))
    with Sender(f"obs:{port}", frame):
        red, green, blue = (int(value) for value in coded(COLORS[4]))
        studio.color_source("behind", 0xFF << 24 | blue << 16 | green << 8 | red)
        done(command("obs", "setup", "--port", str(port)))
        until(lambda: opaque(studio))
        time.sleep(1.0)
        picture = studio.screenshot(studio.scene).astype(int)
    row = int(np.array_split(np.arange(SIZE[1] - 60), len(COLORS))[4].mean())
    assert np.abs(picture[row, 100:500, :3] - (red, green, blue)).max() <= 3
    first = int(np.array_split(np.arange(SIZE[1] - 60), len(COLORS))[0].mean())
    mixed = light(light(coded(COLORS[0]), False) * (128 / 255) + light(coded(COLORS[4]), False) * (127 / 255), True)
    assert np.abs(picture[first, 320, :3] - mixed).max() <= 3


def light(values: Any, coded_: bool) -> Any:
    """sRGB (IEC 61966-2-1), 0..255, as light in [0, 1], or back where `coded_`."""
    if coded_:
        return np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055) * 255
    share = np.asarray(values) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize(("password", "words"), [("not this one", "password"), ("", "password")], ids=["wrong", "none"])
def test_a_password_that_does_not_fit_is_one_line(
    password: str, words: str, studio: Studio, tiny_folder: Path, tmp_path: Path
) -> None:
    environment = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "none")}
    if password:
        environment["OBS_WEBSOCKET_PASSWORD"] = password
    code, out, err = Command(tiny_folder, environment, "obs", "setup", "--obs-port", str(studio.port)).run()
    assert (code, out) != (0, "")
    assert err.startswith("streammatte: error: ")
    assert err.count("\n") == 1
    assert words in err


def test_obs_that_does_not_run_is_one_line(studio: Studio, command: Callable[..., Command]) -> None:
    studio.kill()
    code, _, err = command("obs", "setup").run()
    assert code != 0
    assert err.startswith("streammatte: error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("scheme", ["rtmp", "srt"])
def test_what_obs_streams_is_an_input(
    scheme: str, studio: Studio, command: Callable[..., Command], port: int, tmp_path: Path
) -> None:
    """Started, stopped and started again: the run goes on, in the colours that OBS shows."""
    if scheme == "srt" and not HAS_SRT:
        pytest.skip("libsrt is not installed")
    here = f"rtmp://127.0.0.1:{port}/live"
    spec = f"{here}?listen=1" if scheme == "rtmp" else f"srt://127.0.0.1:{port}?mode=listener"
    server = here if scheme == "rtmp" else f"srt://127.0.0.1:{port}"
    studio.create("bright", "color_source_v3", {"color": 0xFF_C0_D0_F0, "width": 320, "height": 360})
    service = {"server": server, "key": "any"}
    studio.ask("SetStreamServiceSettings", streamServiceType="rtmp_custom", streamServiceSettings=service)
    film = tmp_path / "film.mkv"
    receiving = command(
        spec, "--to", "null", "-o", str(film), "--bg", "#102040", "--model", "tiny", "--quality", "fast"
    )

    def frames() -> int:
        code, out, _ = command("ctl", "state", "--json").run()
        return 0 if code else int(json.loads(out)["frames"])

    with started(receiving):
        before = 0
        for _ in range(2):
            if scheme == "rtmp":
                until(lambda: listening(port))
            time.sleep(2.0)
            studio.ask("StartStream")
            until(lambda at=before: frames() > at + 40)
            studio.ask("StopStream")
            until(lambda: not studio.ask("GetStreamStatus")["outputActive"])
            before = frames()
        done(command("ctl", "stop"))
        assert receiving.process is not None
        receiving.process.wait(30)
    with av.open(str(film)) as container:
        *_, last = container.decode(video=0)
        picture = last.to_ndarray(format="rgb24").astype(int)
    assert np.abs(picture[180, 60:200] - (240, 208, 192)).max() <= 6
    assert np.abs(picture[180, 440:600] - (16, 32, 64)).max() <= 6


def test_what_a_run_serves_is_in_its_state(streaming: Command, command: Any, studio: Studio, port: int) -> None:
    with started(streaming):
        until(lambda: listening(port))
        state = json.loads(done(command("ctl", "state", "--json")))
        (output,) = state["outputs"].values()
        assert (output["url"], output["format"]) == (f"tcp://127.0.0.1:{port}", "nut")
        assert (output["width"], output["height"]) == (640, 360)
