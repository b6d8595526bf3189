"""`streammatte obs status`: what OBS has against what is really sent, over real sockets."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
import pytest
from click.testing import CliRunner, Result
from controls import Recorded
from fake_obs import FakeObs

from streammatte.cli.main import cli
from streammatte.live.control import ControlServer
from streammatte.obs import looking
from streammatte.obs.stream import Stream
from streammatte.obs.watching import Picture, Watcher, pixels_of

WIDTH, HEIGHT = 96, 64


@pytest.fixture(autouse=True)
def _nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "OBS_WEBSOCKET_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for name, value in {"_KNOWN_S": 0.2, "_LATER_S": 0.1, "_AGAIN_S": 0.05, "_FIRST_S": 8.0}.items():
        monkeypatch.setattr(looking, name, value)


def moving(number: int) -> Picture:
    """A soft disc that goes round and round."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    made = np.empty((HEIGHT, WIDTH, 4), np.uint8)
    made[..., 0], made[..., 1], made[..., 2] = 3 * y, 2 * x, 255 - x
    away = np.hypot(x - 48 - 20 * np.cos(number / 5), y - 32 - 12 * np.sin(number / 5))
    made[..., 3] = np.clip(255 * (18 - away) / 6, 0, 255)
    return made


class Sender:
    """Serves pictures as `--to obs` does, a hundred a second; `last` is the one sent last to anybody."""

    def __init__(self, picture: Callable[[int], Picture], container: str = "nut") -> None:
        self._picture, self._container = picture, container
        self.last = picture(0)
        self._open = True
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self._socket.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self._open = False
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(client,)))
                self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        live = {} if self._container == "nut" else {"live": "1", "cluster_time_limit": "10"}
        options = {"flush_packets": "1"} | live
        gone = suppress(OSError, av.FFmpegError)  # a reader leaves when it likes
        form = self._container
        with gone, client, client.makefile("wb") as file, av.open(file, "w", format=form, options=options) as out:
            self._send(file, out, self._stream(out))

    def _send(self, file: BinaryIO, out: Any, stream: Any) -> None:
        number = 0
        while self._open:
            self.last = self._picture(number)
            frame = av.VideoFrame.from_ndarray(self.last, format="bgra")
            frame = frame.reformat(format=stream.pix_fmt, dst_colorspace="ITU709")
            frame.pts, frame.time_base = 10 * number, Fraction(1, 1000)
            out.mux(stream.encode(frame))
            file.flush()
            number += 1
            time.sleep(0.01)

    def _stream(self, out: Any) -> Any:
        raw = self._container == "nut"
        stream = out.add_stream("rawvideo" if raw else "libvpx-vp9", rate=100)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "bgra" if raw else "yuva420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        if not raw:
            stream.codec_context.options = {"deadline": "realtime", "cpu-used": "8", "auto-alt-ref": "0", "crf": "10"}
            stream.codec_context.colorspace = 1
        return stream


@pytest.fixture
def send() -> Iterator[Callable[..., Sender]]:
    senders: list[Sender] = []

    def started(*args: Any) -> Sender:
        senders.append(Sender(*args))
        return senders[-1]

    yield started
    for sender in senders:
        sender.close()


@pytest.fixture
def fake() -> Iterator[FakeObs]:
    with FakeObs() as fake:
        yield fake


def shows(fake: FakeObs, url: str, container: str = "nut") -> None:
    """The source, as `setup` makes it."""
    settings = {"is_local_file": False, "input": url, "input_format": container}
    fake.inputs["streammatte"] = ("ffmpeg_source", settings)
    fake.add_item("Scene", "streammatte")


def call(fake: FakeObs, *args: str) -> Result:
    result = CliRunner().invoke(cli, ["obs", "status", "--obs-port", str(fake.port), *args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def picture(fake: FakeObs) -> tuple[int, dict[str, Any]]:
    """The exit code, and what is said of the picture."""
    result = call(fake, "--json")
    return result.exit_code, json.loads(result.output)["picture"]


def test_the_same_picture(fake: FakeObs, send: Callable[..., Sender]) -> None:
    sender = send(moving)
    shows(fake, sender.url)
    fake.picture = lambda: sender.last
    code, said = picture(fake)
    assert (code, said["verdict"], said["why"], said["mean"], said["p99"]) == (0, "same", "", 0, 0)
    assert said["frames"] > 5


def test_vp9_keeps_its_alpha(fake: FakeObs, send: Callable[..., Sender]) -> None:
    sender = send(lambda _: moving(0), "webm")
    with Watcher(Stream(sender.url, "webm")) as watcher:
        watcher.wait(0.1, 8)
        kept = watcher.kept()
        assert kept, watcher.problem
        seen = pixels_of(kept[-1][1])
    assert np.abs(seen[..., 3].astype(int) - moving(0)[..., 3]).max() <= 12
    shows(fake, sender.url, "webm")
    fake.picture = lambda: seen
    assert picture(fake)[0] == 0


def test_another_picture(fake: FakeObs, send: Callable[..., Sender]) -> None:
    sender = send(moving)
    shows(fake, sender.url)
    fake.picture = lambda: np.flipud(sender.last)
    code, said = picture(fake)
    assert (code, said["verdict"]) == (1, "not the same")
    assert said["mean"] > 10


def test_a_picture_of_its_own_for_one_of_three_is_enough(fake: FakeObs, send: Callable[..., Sender]) -> None:
    """What OBS has may have been left out for us."""
    sender = send(moving)
    shows(fake, sender.url)
    shots = iter([None, np.flipud(moving(0)), moving(3)])
    fake.picture = lambda: next(shots)
    assert picture(fake)[0] == 0


@pytest.mark.parametrize("shown", [None, np.zeros((HEIGHT, WIDTH, 4), np.uint8)])
def test_nothing_to_see(fake: FakeObs, send: Callable[..., Sender], shown: Picture | None) -> None:
    sender = send(lambda _: np.zeros((HEIGHT, WIDTH, 4), np.uint8))
    shows(fake, sender.url)
    fake.picture = lambda: shown
    code, said = picture(fake)
    assert (code, said["verdict"]) == (1, "nothing to see")


def test_no_source(fake: FakeObs) -> None:
    code, said = picture(fake)
    assert (code, said["verdict"]) == (1, "not compared")
    assert said["why"] == "OBS has no source streammatte; make it: streammatte obs setup"


def test_a_source_that_shows_something_else(fake: FakeObs) -> None:
    fake.inputs["streammatte"] = ("ffmpeg_source", {"local_file": "holiday.mp4"})
    code, said = picture(fake)
    assert (code, said["why"]) == (1, "streammatte shows a file, which is no stream; see streammatte obs setup")


def test_nobody_sends(fake: FakeObs) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    shows(fake, url)
    code, said = picture(fake)
    assert (code, said["verdict"]) == (1, "not compared")
    assert said["why"].startswith(f"{url} cannot be read: ")


def test_what_is_sent_is_no_stream(fake: FakeObs) -> None:
    with FakeObs(mood="hangs up") as other:
        shows(fake, f"tcp://127.0.0.1:{other.port}")
        code, said = picture(fake)
    assert (code, said["verdict"]) == (1, "not compared")
    assert "cannot be read" in said["why"]


def test_the_run_serves_another(fake: FakeObs) -> None:
    recorded = Recorded()
    recorded.held["outputs"] = {"obs": {"url": "tcp://127.0.0.1:8091", "format": "nut"}}
    shows(fake, "tcp://127.0.0.1:8099")
    with ControlServer(recorded):
        why = picture(fake)[1]["why"]
        recorded.held["outputs"] = {}
        nothing = picture(fake)[1]["why"]
    assert why == (
        "streammatte reads tcp://127.0.0.1:8099, the live run serves tcp://127.0.0.1:8091 (nut); "
        "then streammatte obs setup"
    )
    assert "serves nothing: start it --to obs" in nothing


def test_in_words(fake: FakeObs, send: Callable[..., Sender]) -> None:
    sender = send(lambda _: moving(0))
    shows(fake, sender.url)
    fake.picture = lambda: sender.last
    recorded = Recorded()
    recorded.held["outputs"] = {"obs": {"url": sender.url, "format": "nut"}}
    with ControlServer(recorded):
        result = call(fake)
    assert result.exit_code == 0
    first, second, third, last = result.output.splitlines()
    assert first == f"OBS 29.0.2 (obs-websocket 5.1.0) at 127.0.0.1:{fake.port}"
    assert second == f"source streammatte: playing, in the program, reads {sender.url}"
    assert third == f"live run {os.getpid()}: serves {sender.url} (nut)"
    assert last.startswith("picture: same (mean difference 0.00, p99 0.0 of 255; ")
    assert call(fake, "--name", "other").output.splitlines()[1:] == [
        "source other: not there",
        "no live run of yours",
        "picture: not compared: OBS has no source other; make it: streammatte obs setup",
    ]


def test_the_watcher_leaves_no_thread(send: Callable[..., Sender]) -> None:
    before = threading.active_count()
    with Watcher(Stream(send(moving).url, "nut")) as watcher:
        watcher.wait(0.05, 8)
        assert watcher.kept()
    assert "watcher" not in [thread.name for thread in threading.enumerate()]
    assert before <= threading.active_count()
