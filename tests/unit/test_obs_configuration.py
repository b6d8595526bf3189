"""Where OBS's WebSocket server is, and its password, by OBS's own files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streammatte.obs.configuration import configuration_folders, settings_for

HOME = Path("/home/me")


def ini(folder: Path, name: str = "global.ini", **values: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = "\n".join(f"{key}={value}" for key, value in values.items())
    text = f"[General]\nName=100%\nName=twice\n\n[OBSWebSocket]\n{lines}\n\n[Audio]\nX=[]\n"
    (folder / name).write_text(text, encoding="utf-8-sig")


def written(folder: Path, **values: object) -> None:
    place = folder / "plugin_config" / "obs-websocket"
    place.mkdir(parents=True)
    (place / "config.json").write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("platform", "environ", "folders"),
    [
        (
            "linux",
            {},
            [
                ".config/obs-studio",
                ".var/app/com.obsproject.Studio/config/obs-studio",
                "snap/obs-studio/current/.config/obs-studio",
            ],
        ),
        ("darwin", {}, ["Library/Application Support/obs-studio"]),
        ("win32", {}, ["AppData/Roaming/obs-studio"]),
    ],
)
def test_folders(platform: str, environ: dict[str, str], folders: list[str]) -> None:
    assert configuration_folders(environ, HOME, platform) == [HOME / folder for folder in folders]


def test_folders_that_the_user_has_moved() -> None:
    assert configuration_folders({"XDG_CONFIG_HOME": "/x"}, HOME, "linux")[0] == Path("/x/obs-studio")
    assert configuration_folders({"APPDATA": "/y"}, HOME, "win32") == [Path("/y/obs-studio")]


def test_nothing_is_said_where_obs_never_was(tmp_path: Path) -> None:
    assert settings_for([tmp_path / "none"], None) is None


@pytest.mark.parametrize("name", ["global.ini", "user.ini"])
def test_an_ini_file(tmp_path: Path, name: str) -> None:
    ini(tmp_path, name, ServerEnabled="true", ServerPort=4460, AuthRequired="true", ServerPassword=r"a=b #1;\\ 50%")
    found = settings_for([tmp_path], None)
    assert found is not None
    assert (found.enabled, found.port, found.password) == (True, 4460, r"a=b #1;\ 50%")
    assert found.path == tmp_path / name


def test_what_an_ini_file_leaves_out(tmp_path: Path) -> None:
    ini(tmp_path, FirstLoad="false")
    found = settings_for([tmp_path], None)
    assert found is not None
    assert (found.enabled, found.port, found.password) == (False, 4455, "")


def test_without_a_password(tmp_path: Path) -> None:
    ini(tmp_path / "old", ServerPassword="left", AuthRequired="false")
    written(tmp_path / "new", server_password="left", auth_required=False)
    for folder in ("old", "new"):
        found = settings_for([tmp_path / folder], None)
        assert found is not None
        assert found.password is None


def test_the_newer_file_goes_first(tmp_path: Path) -> None:
    ini(tmp_path, ServerPort=4444, ServerEnabled="true")
    written(tmp_path, server_port=4461, server_password="new", server_enabled=True, auth_required=True)
    found = settings_for([tmp_path], None)
    assert found is not None
    assert (found.enabled, found.port, found.password) == (True, 4461, "new")


def test_one_obs_of_several(tmp_path: Path) -> None:
    written(tmp_path / "deb", server_port=4455, server_password="off", server_enabled=False)
    written(tmp_path / "flatpak", server_port=4456, server_password="on", server_enabled=True)
    folders = [tmp_path / "deb", tmp_path / "none", tmp_path / "flatpak"]
    by_port = {port: settings_for(folders, port) for port in (None, 4455, 4456, 4457)}
    assert {port: found and found.password for port, found in by_port.items()} == {
        None: "on",
        4455: "off",
        4456: "on",
        4457: None,
    }


@pytest.mark.parametrize("text", ["", "{", "[]", "[OBSWebSocket]\nServerPort=many\n", "ServerPort=1\n", "\xff"])
def test_damaged_files_say_nothing(tmp_path: Path, text: str) -> None:
    written(tmp_path)
    (tmp_path / "plugin_config/obs-websocket/config.json").write_bytes(text.encode("latin-1"))
    (tmp_path / "global.ini").write_bytes(text.encode("latin-1"))
    assert settings_for([tmp_path], None) is None


def test_the_password_is_not_shown(tmp_path: Path) -> None:
    written(tmp_path, server_password="s3cret", server_enabled=True)
    assert "s3cret" not in repr(settings_for([tmp_path], None))
