"""What can go wrong between `streammatte obs` and OBS: one line each, and an exit code that says whose fault it is."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result
from controls import Recorded
from fake_obs import FakeObs, Mood

from streammatte.cli.main import cli, main
from streammatte.errors import StreammatteError
from streammatte.live.control import ControlServer
from streammatte.obs import connection

_CONFIG, _SINK = 2, 6
SECRET = "s3cret"


@pytest.fixture(autouse=True)
def _nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "OBS_WEBSOCKET_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(connection, "_ANSWER_S", 0.5)
    monkeypatch.setattr(connection, "_OLD_ANSWER_S", 0.5)


@pytest.fixture
def locked() -> Iterator[FakeObs]:
    with FakeObs(SECRET) as fake:
        yield fake


def call(*args: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["obs", "remove", *args], input=stdin)


def refused(code: int, *args: str, stdin: str | None = None) -> str:
    result = call(*args, stdin=stdin)
    assert isinstance(result.exception, StreammatteError), (result.output, result.exception)
    assert result.exception.exit_code == code
    assert result.output == ""
    line = str(result.exception)
    assert "\n" not in line
    assert SECRET not in line
    return line


def port(fake: FakeObs) -> tuple[str, str]:
    return "--obs-port", str(fake.port)


def configured(home: Path, fake: FakeObs, password: str = SECRET) -> None:
    place = home / ".config" / "obs-studio" / "plugin_config" / "obs-websocket"
    place.mkdir(parents=True)
    said = {"server_enabled": True, "server_port": fake.port, "auth_required": True, "server_password": password}
    (place / "config.json").write_text(json.dumps(said))


# OBS is not there, or not as it should be


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    line = refused(_SINK, "--obs-port", str(number))
    assert line.startswith(f"OBS does not listen at 127.0.0.1:{number}: start it, and switch its server on: Tools > ")


@pytest.mark.parametrize(
    ("mood", "code", "words"),
    [
        ("old", _SINK, "has obs-websocket 4.9.1; 5 is needed: update OBS to 28 or later"),
        ("silent", _SINK, "does not answer within 0.5 s"),
        ("hangs up", _SINK, "closed the connection"),
        ("hangs up when asked", _SINK, "closed the connection"),
        ("stops when asked", _SINK, "does not answer: Timeout"),
        ("another", _CONFIG, "is not OBS's WebSocket server (it speaks another protocol)"),
    ],
)
def test_moods(mood: Mood, code: int, words: str) -> None:
    with FakeObs(mood=mood) as fake:
        line = refused(code, *port(fake))
        assert f"127.0.0.1:{fake.port} " in line
        assert words in line


def test_a_web_server() -> None:
    with ControlServer(Recorded()) as web:
        line = refused(_CONFIG, "--obs-port", str(web.port))
    assert "is not OBS's WebSocket server (it answers with HTTP status 401)" in line


def test_a_host_that_cannot_be_one() -> None:
    assert refused(_CONFIG, "--host", "nosuch.invalid").startswith("--host: nosuch.invalid:4455 cannot be reached")


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obsws_python", None)
    assert refused(_CONFIG) == "obs: needs obsws_python, which is not installed: pip install 'streammatte[obs]'"


# the password


def test_a_password_from_a_file(locked: FakeObs, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{SECRET}\nanother line\n")
    assert call(*port(locked), "--password-file", str(tmp_path / "password")).exit_code == 0
    assert call(*port(locked), "--password-file", "-", stdin=SECRET).exit_code == 0


def test_a_password_from_the_environment(locked: FakeObs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBS_WEBSOCKET_PASSWORD", SECRET)
    assert call(*port(locked)).exit_code == 0
    assert "does not take it" in refused(_CONFIG, *port(locked), "--password-file", "-", stdin="wrong\n")


def test_port_and_password_as_obs_is_configured(
    locked: FakeObs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(tmp_path, locked)
    assert call().exit_code == 0
    assert call(*port(locked)).exit_code == 0
    monkeypatch.setenv("OBS_WEBSOCKET_PASSWORD", "wrong")
    assert "does not take it" in refused(_CONFIG), "what is given goes first"


def test_another_machines_obs_does_not_get_this_ones_password(locked: FakeObs, tmp_path: Path) -> None:
    configured(tmp_path, locked)
    assert "OBS wants one" in refused(_CONFIG, *port(locked), "--host", "127.1"), "which is not known to be this one"


def test_a_wrong_password(locked: FakeObs, tmp_path: Path) -> None:
    configured(tmp_path, locked, "wrong")
    line = refused(_CONFIG, *port(locked))
    assert line.startswith(f"password: OBS at 127.0.0.1:{locked.port} does not take it; it stands in OBS: Tools > ")


def test_no_password_and_nobody_to_ask(locked: FakeObs) -> None:
    line = refused(_CONFIG, *port(locked))
    assert line.startswith("password: OBS wants one; give it in --password-file or in OBS_WEBSOCKET_PASSWORD")


def test_the_user_is_asked(locked: FakeObs, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("streammatte.cli.obs.sys", terminal)
    result = call(*port(locked), stdin=f"{SECRET}\n")
    assert result.exit_code == 0, result.exception
    assert result.stderr.startswith("OBS's WebSocket password: ")
    assert SECRET not in result.output


def test_an_open_obs_is_not_given_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streammatte.cli.obs._password", lambda *_: pytest.fail("asked"))
    with FakeObs() as fake:
        assert call(*port(fake)).exit_code == 0


# what reaches the user


def test_one_line_and_no_log(
    locked: FakeObs,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The library logs each failure with a traceback, and the password with each connection."""
    caplog.set_level(0)
    locked.inputs["me"] = ("image_source", {})
    for password in (SECRET, "wrong"):
        monkeypatch.setenv("OBS_WEBSOCKET_PASSWORD", password)
        with pytest.raises(SystemExit) as ended:
            main(["obs", "remove", "--name", "me", *port(locked)])
        assert ended.value.code == _CONFIG
        out, err = capfd.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert err.startswith("streammatte: error: ")
        assert SECRET not in err
    assert [record for record in caplog.records if record.name.startswith("obsws_python")] == []
