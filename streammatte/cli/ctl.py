"""`streammatte ctl`: change a live run from another terminal, a script or a hot key."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from streammatte.cli.screen import say
from streammatte.errors import ConfigError
from streammatte.live.control import Controls
from streammatte.live.control_client import ControlClient, connect

__all__ = ["ctl", "place_of", "said", "toggled"]


@click.group()
@click.option("--pid", type=int, metavar="PID", help="Which live run, where there are several.")
@click.pass_context
def ctl(ctx: click.Context, pid: int | None) -> None:
    """Control a live run: its background, model, mirroring, smoothing, quality; pause it, stop it."""
    ctx.obj = pid


def _client() -> ControlClient:
    pid: int | None = click.get_current_context().obj
    return connect(pid=pid)


def _change(name: str, value: str) -> None:
    say(said(name, value, _client().change(name, value)))


def said(name: str, value: str, answer: dict[str, object]) -> str:
    """What a change's answer says, in one line."""
    frames = answer.get("after_frames")
    when = "" if frames is None else f", shown after {frames} frame{'' if frames == 1 else 's'}"
    return f"{name.replace('_', '-')} {_words(answer.get(name, value))}{when}"


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(inner)}" for key, inner in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(map(_words, value)) or "-"
    return "-" if value is None else str(value)


def place_of(background: str) -> str:
    """`background` as a run with another working directory understands it. Raises ConfigError for a missing file."""
    path = Path(background).expanduser()
    if path.exists():
        return str(path.absolute())
    if "://" not in background and (path.suffix or os.sep in background) and not background.startswith("blur:"):
        raise ConfigError("bg", f"{background} is not there; check the path")
    return background


@ctl.command()
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def state(as_json: bool) -> None:
    """Show what holds now."""
    now = _client().state()
    if as_json:
        say(json.dumps(now, ensure_ascii=False))
        return
    for name, value in now.items():
        say(f"{name.replace('_', '-'):<16} {_words(value)}")


@ctl.command()
@click.argument("background", metavar="FILE|COLOR|none")
def bg(background: str) -> None:
    """Put an image, a video or a colour behind the subject; also blur[:PERCENT]."""
    _change("bg", place_of(background))


@ctl.command()
@click.argument("percent", type=click.FloatRange(min=0, min_open=True), required=False)
def blur(percent: float | None) -> None:
    """Blur the room itself; PERCENT of the picture's height."""
    _change("bg", "blur" if percent is None else f"blur:{percent:g}")


@ctl.command()
@click.argument("name")
def model(name: str) -> None:
    """Go on with another model: see `streammatte models list`."""
    _change("model", name)


@ctl.command()
@click.argument("how", type=click.Choice(("on", "off", "toggle")))
def mirror(how: str) -> None:
    """Show the picture mirrored, or not."""
    client = _client()
    value = toggled(client, "mirror") if how == "toggle" else how
    say(said("mirror", value, client.change("mirror", value)))


def toggled(controls: Controls, name: str) -> str:
    """The other of "on" and "off" than what holds now."""
    return "off" if controls.state().get(name) in ("on", True) else "on"


@ctl.command()
def pause() -> None:
    """Show the background without the subject, until `resume`."""
    _change("paused", "on")


@ctl.command()
def resume() -> None:
    """Show the subject again."""
    _change("paused", "off")


@ctl.command()
@click.argument("seconds", type=click.FloatRange(min=0, min_open=True))
def smoothing(seconds: float) -> None:
    """After SECONDS a matte weighs half in the smoothing over time."""
    _change("half_life", f"{seconds:g}")


@ctl.command()
@click.argument("name")
def quality(name: str) -> None:
    """Do more or less for the matte: fast, balanced or best."""
    _change("quality", name)


@ctl.command()
def stop() -> None:
    """End the run."""
    client = _client()
    client.stop()
    say(f"stopping {client.run.pid}")
