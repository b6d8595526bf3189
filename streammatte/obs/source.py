"""The Media Source in OBS: made, brought up to date, removed."""

from __future__ import annotations

from typing import Any

from streammatte.errors import ConfigError, SinkError
from streammatte.obs.connection import Connection, Refused
from streammatte.obs.stream import Stream, points_at_a_stream

__all__ = ["KIND", "program_scene", "remove", "set_up", "settings_of"]

KIND = "ffmpeg_source"
_MARK = "streammatte"
"""A setting of our own, which OBS keeps with the others: this source was made by `set_up`."""
_LIVE = {
    "is_local_file": False,
    "buffering_mb": 0,
    "reconnect_delay_sec": 1,
    "ffmpeg_options": "fflags=nobuffer",
    "hw_decode": False,
    "clear_on_media_end": True,
    "restart_on_activate": False,
    "close_when_inactive": False,
    "looping": False,
    "color_range": 0,
}


def set_up(obs: Connection, name: str, stream: Stream, scene: str | None, *, fit: bool, force: bool) -> list[str]:
    """Have the Media Source `name` show `stream` in `scene` (default: the program's); what was done, in words.

    Nothing is said where nothing had to be done. `fit` scales a new scene item to the canvas. A source of that name
    which shows something else is overwritten only by `force`. Raises ConfigError, Refused.
    """
    scene = scene or program_scene(obs)
    _check_scene(obs, scene)
    known = obs.ask("GetInputDefaultSettings", inputKind=KIND)["defaultInputSettings"]
    wanted = _wanted(stream, known)
    settings = settings_of(obs, name)
    if settings is None:
        item = _create(obs, name, scene, wanted)
        return [f"made the Media Source {name} in scene {scene}{_fitted(obs, scene, item) if fit else ''}"]
    if not (force or settings.get(_MARK) or points_at_a_stream(settings.get("input"), settings.get("input_format"))):
        what = settings.get("input") or settings.get("local_file") or "nothing"
        raise ConfigError("--name", f"{name} is a Media Source that shows {what}; take another name, or --force")
    done = []
    if any((known | settings).get(key) != value for key, value in wanted.items()):
        obs.ask("SetInputSettings", inputName=name, inputSettings=wanted, overlay=True)
        done.append(f"brought the Media Source {name} up to date")
    if not _holds(obs, scene, name):
        item = obs.ask("CreateSceneItem", sceneName=scene, sourceName=name)["sceneItemId"]
        done.append(f"put {name} into scene {scene}{_fitted(obs, scene, item) if fit else ''}")
    return done


def remove(obs: Connection, name: str, *, force: bool) -> bool:
    """Remove the source that `set_up` made, from every scene; False if it is not there. Raises ConfigError, Refused.

    `force` takes a Media Source that somebody else made, or that no longer shows a stream.
    """
    settings = settings_of(obs, name)
    if settings is None:
        return False
    ours = settings.get(_MARK) and points_at_a_stream(settings.get("input"), settings.get("input_format"))
    if not (ours or force):
        raise ConfigError("--name", f"{name} was not made by streammatte obs setup; --force removes it all the same")
    obs.ask("RemoveInput", inputName=name)
    return True


def settings_of(obs: Connection, name: str) -> dict[str, Any] | None:
    """The settings of the Media Source `name`; None if nothing has that name. Raises ConfigError if it is another kind.

    Settings that are as by default may be left out.
    """
    try:
        answer = obs.ask("GetInputSettings", inputName=name)
    except Refused as refused:
        if refused.code == Refused.NOT_FOUND:
            return None
        if refused.code == Refused.OTHER_TYPE:
            raise _not_media(name, "a scene or the like") from refused
        raise
    if answer["inputKind"] != KIND:
        raise _not_media(name, answer["inputKind"])
    return dict(answer["inputSettings"])


def _not_media(name: str, what: str) -> ConfigError:
    return ConfigError("--name", f"{name} is no Media Source in OBS, but {what}; take another name")


def program_scene(obs: Connection) -> str:
    """The scene that is shown."""
    return str(obs.ask("GetCurrentProgramScene")["currentProgramSceneName"])


def _wanted(stream: Stream, known: dict[str, Any]) -> dict[str, Any]:
    # Without it OBS multiplies by alpha before it goes to linear light, which darkens soft edges.
    blended = {"linear_alpha": True} if "linear_alpha" in known else {}
    return {**_LIVE, **blended, "input": stream.url, "input_format": stream.format}


def _check_scene(obs: Connection, scene: str) -> None:
    scenes = [str(entry["sceneName"]) for entry in obs.ask("GetSceneList")["scenes"]]
    if scene not in scenes:
        raise ConfigError("--scene", f"OBS has no scene {scene}; one of {', '.join(reversed(scenes))}")


def _create(obs: Connection, name: str, scene: str, wanted: dict[str, Any]) -> int:
    settings = {**wanted, _MARK: True}
    try:
        made = obs.ask("CreateInput", sceneName=scene, inputName=name, inputKind=KIND, inputSettings=settings)
    except Refused as refused:
        raise SinkError(f"OBS makes no Media Source {name}: {refused}") from refused
    return int(made["sceneItemId"])


def _fitted(obs: Connection, scene: str, item: int) -> str:
    """Scale a scene item to the canvas, whatever size its picture has; what was done, in words."""
    canvas = obs.ask("GetVideoSettings")
    width, height = canvas["baseWidth"], canvas["baseHeight"]
    bounds = {"boundsType": "OBS_BOUNDS_SCALE_INNER", "boundsWidth": width, "boundsHeight": height}
    place = {"positionX": 0, "positionY": 0, "alignment": 5, "boundsAlignment": 0}  # from the top left; centred within
    obs.ask("SetSceneItemTransform", sceneName=scene, sceneItemId=item, sceneItemTransform={**bounds, **place})
    return f", fitted to the canvas ({width}x{height})"


def _holds(obs: Connection, scene: str, name: str, group: bool = False) -> bool:
    """`name` is in `scene`, or in a group or scene within it."""
    entries = obs.ask("GetGroupSceneItemList" if group else "GetSceneItemList", sceneName=scene)["sceneItems"]
    return any(
        entry["sourceName"] == name
        or (
            (entry.get("sourceType") == "OBS_SOURCE_TYPE_SCENE")
            and _holds(obs, entry["sourceName"], name, bool(entry.get("isGroup")))
        )
        for entry in entries
    )
