"""The control server of a live run: who gets in, what is answered, and the file by which it is found."""

from __future__ import annotations

import http.client
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from controls import Recorded

from streammatte.errors import ConfigError, StreammatteError
from streammatte.live import runs
from streammatte.live.control import ControlServer
from streammatte.live.control_client import connect

PATIENCE_S = 10.0
"""Longest wait for what should come at once."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def controls() -> Recorded:
    return Recorded()


@pytest.fixture
def server(controls: Recorded, folder: Path) -> Iterator[ControlServer]:
    with ControlServer(controls, folder) as serving:
        yield serving


def ask(
    server: ControlServer, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, Any], http.client.HTTPResponse]:
    """Status, JSON answer and the response; `headers` over the right ones, "" for none."""
    right = {"Authorization": f"Bearer {server.token}", "Host": f"127.0.0.1:{server.port}"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    try:
        connection.putrequest(method, path, skip_host=True)
        sent = {**right, **({"Content-Length": str(len(body))} if body is not None else {})}
        for name, value in {**sent, **{key.replace("_", "-"): value for key, value in headers.items()}}.items():
            if value:
                connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"{}"), response
    finally:
        connection.close()


def wish(name: object, value: object) -> bytes:
    return json.dumps({"name": name, "value": value}).encode()


# what it does


def test_state_change_stop(server: ControlServer, controls: Recorded) -> None:
    status, state, response = ask(server, "GET", "/v1/state")
    assert (status, state) == (200, controls.held)
    assert (response.getheader("Content-Type"), response.version) == ("application/json; charset=utf-8", 11)
    status, answer, _ = ask(server, "POST", "/v1/change", wish("bg", "büro.png"))
    assert (status, answer) == (200, {"bg": "büro.png", "after_frames": 1})
    assert controls.changes == [("bg", "büro.png")]
    status, answer, _ = ask(server, "POST", "/v1/stop")
    assert (status, answer) == (200, {"stopping": True})
    assert controls.stopped.wait(PATIENCE_S)


def test_one_connection_serves_many_requests(server: ControlServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    headers = {"Authorization": f"Bearer {server.token}"}
    for value in ("on", "off", "on"):
        connection.request("POST", "/v1/change", wish("mirror", value), headers)
        before = connection.sock
        assert json.loads(connection.getresponse().read())["mirror"] == value
        assert connection.sock is before
    connection.close()


def test_a_slow_change_holds_up_no_other_request(server: ControlServer, controls: Recorded) -> None:
    asked, go = threading.Event(), threading.Event()

    def slow(name: str, value: str) -> dict[str, object]:
        asked.set()
        assert go.wait(PATIENCE_S)
        return {name: value, "after_frames": 2}

    controls.change = slow  # type: ignore[method-assign]
    answers: list[object] = []
    client = threading.Thread(target=lambda: answers.append(ask(server, "POST", "/v1/change", wish("bg", "red"))[:2]))
    client.start()
    assert asked.wait(PATIENCE_S)
    assert ask(server, "GET", "/v1/state")[0] == 200
    go.set()
    client.join(PATIENCE_S)
    assert answers == [(200, {"bg": "red", "after_frames": 2})]


# who gets in


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer wrong", "Basic {token}", "{token}", "Bearer {token}x", "ü"])
def test_without_the_token_nothing_is_served(server: ControlServer, controls: Recorded, given: str) -> None:
    for method, path in (("GET", "/v1/state"), ("POST", "/v1/change"), ("POST", "/v1/stop"), ("GET", "/nowhere")):
        status, answer, response = ask(server, method, path, Authorization=given.format(token=server.token))
        assert (status, set(answer)) == (401, {"error"})
        assert response.getheader("WWW-Authenticate") == "Bearer"
    assert controls.changes == []
    assert not controls.stopped.is_set()


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}", ""]
)
def test_another_host_is_refused(server: ControlServer, host: str) -> None:
    """A page whose name was rebound to the loopback address sends its own name."""
    status, answer, _ = ask(server, "GET", "/v1/state", Host=host.format(port=server.port))
    assert (status, set(answer)) == (400, {"error"})


def test_localhost_is_this_host(server: ControlServer) -> None:
    assert ask(server, "GET", "/v1/state", Host=f"localhost:{server.port}")[0] == 200


def test_no_page_is_let_in(server: ControlServer) -> None:
    preflight = {"Origin": "https://evil.example", "Access_Control_Request_Method": "POST", "Authorization": ""}
    responses = [ask(server, "OPTIONS", "/v1/change", **preflight), ask(server, "GET", "/v1/state")]
    assert [status for status, _, _ in responses] == [401, 200]
    for _, _, response in responses:
        assert not [name for name, _ in response.getheaders() if name.lower().startswith("access-control")]


def test_only_this_machine_is_listened_to(server: ControlServer) -> None:
    assert server._http.server_address[0] == "127.0.0.1"


# what is wrong with a request


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/state?x=1", 404),
        ("POST", "/v2/change", 404),
        ("POST", "/v1/state", 405),
        ("GET", "/v1/change", 405),
        ("HEAD", "/v1/stop", 405),
        ("DELETE", "/v1/state", 405),
        ("OPTIONS", "/v1/change", 405),
        ("BREW", "/v1/state", 501),
    ],
)
def test_wrong_paths_and_methods(
    server: ControlServer, controls: Recorded, method: str, path: str, status: int
) -> None:
    got, answer, response = ask(server, method, path)
    assert got == status
    assert set(answer) == (set() if method == "HEAD" else {"error"})
    if status == 405:
        assert response.getheader("Allow") == ("GET" if path == "/v1/state" else "POST")
    assert not controls.stopped.is_set()


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b'"bg"', b"{}", b"\xff", b"[" * 60_000),
        *(wish("bg", 3), wish(["bg"], "x"), wish(None, None), b'{"name": "bg"}'),
    ],
)
def test_bodies_that_say_nothing(server: ControlServer, controls: Recorded, body: bytes) -> None:
    status, answer, _ = ask(server, "POST", "/v1/change", body)
    assert status == 400
    assert '{"name": "...", "value": "..."}' in answer["error"]
    assert controls.changes == []


def test_large_bodies_are_not_read(server: ControlServer) -> None:
    most = 64 << 10
    full = wish("bg", "x" * (most - len(wish("bg", ""))))
    assert len(full) == most
    assert ask(server, "POST", "/v1/change", full)[0] == 200
    for length in (str(most + 1), "9" * 5000):
        status, answer, response = ask(server, "POST", "/v1/change", Content_Length=length)
        assert (status, response.getheader("Connection")) == (413, "close")
        assert answer == {"error": "the body may have 65536 bytes"}


@pytest.mark.parametrize(
    "headers", [{"Content_Length": "-1"}, {"Content_Length": "1e3"}, {"Transfer_Encoding": "chunked"}]
)
def test_lengths_that_cannot_be(server: ControlServer, headers: dict[str, str]) -> None:
    assert ask(server, "POST", "/v1/change", **headers)[0] == 400


def test_what_a_change_refuses_is_said_in_its_own_line(server: ControlServer) -> None:
    status, answer, _ = ask(server, "POST", "/v1/change", wish("bg", "nowhere.png"))
    assert (status, answer) == (400, {"error": "bg: cannot be 'nowhere.png'; try another"})


@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), OSError("disk")])
def test_a_bug_is_answered_and_the_server_lives_on(
    server: ControlServer, controls: Recorded, error: Exception, capfd: pytest.CaptureFixture[str]
) -> None:
    controls.broken = error
    status, answer, _ = ask(server, "POST", "/v1/change", wish("bg", "red"))
    assert status == 500
    assert answer["error"].startswith(f"{type(error).__name__}: {error}; this is a bug")
    controls.broken = None
    assert ask(server, "POST", "/v1/change", wish("bg", "red"))[0] == 200
    assert capfd.readouterr() == ("", "")


def test_clients_that_leave_are_nobodys_trouble(server: ControlServer, capfd: pytest.CaptureFixture[str]) -> None:
    for words in (b"", b"GARBAGE\r\n\r\n", b"POST /v1/change HTTP/1.1\r\nContent-Length: 9\r\n"):
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as client:
            client.sendall(words)
    assert ask(server, "GET", "/v1/state")[0] == 200
    assert capfd.readouterr() == ("", "")


# the run's file


def test_the_runs_file(server: ControlServer, folder: Path) -> None:
    path = folder / f"live-{os.getpid()}.json"
    assert [server.path, *folder.iterdir()] == [path, path]
    run = json.loads(path.read_text(encoding="utf-8"))
    assert set(run) == {"pid", "port", "token", "input", "started"}
    assert (run["pid"], run["port"], run["token"], run["input"]) == (
        os.getpid(),
        server.port,
        server.token,
        "camera",
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    server.close()
    assert list(folder.iterdir()) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), PATIENCE_S)
    server.close()


def test_every_run_has_a_token_of_its_own(controls: Recorded, tmp_path: Path) -> None:
    with ControlServer(controls, tmp_path / "a") as one, ControlServer(controls, tmp_path / "b") as other:
        assert one.token != other.token
        assert len(one.token) >= 40


def test_a_folder_that_others_can_write_is_refused(controls: Recorded, folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(ConfigError, match=f"{folder} can be written by others; chmod 700 it"):
        ControlServer(controls, folder)
    with pytest.raises(ConfigError, match="can be written by others"):
        connect(folder)
    assert not [thread for thread in threading.enumerate() if thread.name == "control"]


def test_a_folder_that_cannot_be_made(controls: Recorded, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"cannot hold the run's file: .*; check XDG_RUNTIME_DIR"):
        ControlServer(controls, tmp_path / "file" / "runs")


def test_the_default_folder_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert runs.runs_folder() == tmp_path / "streammatte"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert runs.runs_folder().name == "streammatte"  # and no warning


# the client


def test_a_client_is_controls_too(server: ControlServer, controls: Recorded, folder: Path) -> None:
    client = connect(folder)
    assert client.run.pid == os.getpid()
    assert client.state() == controls.held
    assert client.change("half_life", "0.3") == {"half_life": 0.3, "after_frames": 1}
    with pytest.raises(ConfigError) as refused:
        client.change("bg", "nowhere.png")
    assert (refused.value.key, str(refused.value)) == ("bg", "bg: cannot be 'nowhere.png'; try another")
    client.stop()
    assert controls.stopped.wait(PATIENCE_S)


def test_a_bug_at_the_other_end_is_no_setting(server: ControlServer, controls: Recorded, folder: Path) -> None:
    controls.broken = ZeroDivisionError("by zero")
    with pytest.raises(StreammatteError, match="says 500: ZeroDivisionError: by zero") as raised:
        connect(folder).change("bg", "red")
    assert not isinstance(raised.value, ConfigError)


def test_a_client_of_a_run_that_has_ended(server: ControlServer, folder: Path) -> None:
    client = connect(folder)
    server.close()
    with pytest.raises(StreammatteError, match=f"run {os.getpid()} does not answer on 127.0.0.1:{server.port}: "):
        client.state()


def test_no_run_one_run_several(server: ControlServer, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no live run of yours; start one: streammatte camera"):
        connect(tmp_path / "empty")
    with pytest.raises(ConfigError, match=rf"--pid: no live run has the pid 1; there are {os.getpid()} \(camera"):
        connect(folder, 1)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as sleeper:
        try:
            runs.announce(runs.Run(sleeper.pid, server.port, "t", "screen", "2026-11-25T00:00:00+00:00"), folder)
            with pytest.raises(ConfigError, match=r"several live runs; say which with --pid: .*\(screen") as many:
                connect(folder)
            assert str(os.getpid()) in str(many.value)
            assert connect(folder, sleeper.pid).run.token == "t"
            assert connect(folder, os.getpid()).run.token == server.token
        finally:
            sleeper.communicate(b"\n")


def test_files_of_dead_runs_are_cleaned_up(controls: Recorded, folder: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    folder.mkdir(mode=0o700)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with ControlServer(controls, folder) as server:
        for pid, at in ((dead.pid, server.port), (os.getppid(), port)):  # gone; its number taken by another
            run = {"pid": pid, "port": at, "token": "t", "input": "camera", "started": "2026"}
            (folder / f"live-{pid}.json").write_text(json.dumps(run), encoding="utf-8")
        (folder / "live-x.json").write_text("{}", encoding="utf-8")
        assert connect(folder).run.pid == os.getpid()
        assert sorted(path.name for path in folder.iterdir()) == [server.path.name, "live-x.json"]


def test_a_new_run_cleans_up_after_killed_ones(controls: Recorded, folder: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    runs.announce(runs.Run(dead.pid, 9, "t", "camera", "2026"), folder)
    with ControlServer(controls, folder) as server:
        assert list(folder.iterdir()) == [server.path]
