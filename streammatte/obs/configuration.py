"""What OBS's own files say of its WebSocket server.

OBS 28 and 29 keep it in global.ini, later ones in obs-websocket's config.json. The newer place goes first: what was
moved there no longer holds where it was.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from configparser import Error as IniError
from configparser import RawConfigParser
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["DEFAULT_PORT", "ServerSettings", "configuration_folders", "settings_for"]

DEFAULT_PORT = 4455
_SECTION = "OBSWebSocket"


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """One OBS's WebSocket server, as it was when OBS last saved it."""

    path: Path
    """The file that says so."""
    enabled: bool
    port: int
    password: str | None = field(repr=False)
    """None where clients need none."""


def configuration_folders(environ: Mapping[str, str], home: Path, platform: str = sys.platform) -> list[Path]:
    """Where OBS may keep its configuration on this system, however it was installed."""
    if platform == "win32":
        return [Path(environ.get("APPDATA") or home / "AppData" / "Roaming") / "obs-studio"]
    if platform == "darwin":
        return [home / "Library" / "Application Support" / "obs-studio"]
    return [
        Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "obs-studio",
        home / ".var" / "app" / "com.obsproject.Studio" / "config" / "obs-studio",  # Flatpak
        home / "snap" / "obs-studio" / "current" / ".config" / "obs-studio",
    ]


def settings_for(folders: list[Path], port: int | None) -> ServerSettings | None:
    """The server at `port`; without one, the first that is switched on, else the first there is. None: nothing said."""
    found = [settings for folder in folders if (settings := _settings_in(folder)) is not None]
    if port is not None:
        found = [settings for settings in found if settings.port == port]
    return next((settings for settings in found if settings.enabled), found[0] if found else None)


def _settings_in(folder: Path) -> ServerSettings | None:
    return next(_written_in(folder), None)


def _written_in(folder: Path) -> Iterator[ServerSettings]:
    path = folder / "plugin_config" / "obs-websocket" / "config.json"
    with suppress(OSError, ValueError, TypeError, AttributeError):
        said = json.loads(path.read_text(encoding="utf-8-sig"))
        password = str(said.get("server_password", "")) if said.get("auth_required", True) else None
        yield ServerSettings(
            path, bool(said.get("server_enabled")), int(said.get("server_port", DEFAULT_PORT)), password
        )
    for name in ("user.ini", "global.ini"):
        with suppress(OSError, ValueError, IniError):
            yield from _in_ini(folder / name)


def _in_ini(path: Path) -> Iterator[ServerSettings]:
    ini = RawConfigParser(delimiters=("=",), comment_prefixes=("#",), strict=False, allow_no_value=True)
    ini.read_string(path.read_text(encoding="utf-8-sig"), source=path.name)
    if ini.has_section(_SECTION):
        said = ini[_SECTION]
        # OBS escapes backslashes (and line ends, which no password has).
        password = said.get("ServerPassword", "").replace("\\\\", "\\")
        yield ServerSettings(
            path,
            said.getboolean("ServerEnabled", False),
            said.getint("ServerPort", DEFAULT_PORT),
            password if said.getboolean("AuthRequired", True) else None,
        )
