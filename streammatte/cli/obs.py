"""`streammatte obs`: a running OBS is set up for what `--to obs` serves, and looked at."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import click

from streammatte.cli.screen import say
from streammatte.errors import ConfigError
from streammatte.live.control_client import connect as connect_run
from streammatte.live.runs import live_runs, runs_folder
from streammatte.obs.configuration import DEFAULT_PORT, ServerSettings, configuration_folders, settings_for
from streammatte.obs.connection import Connection, connect
from streammatte.obs.looking import Look, SourceState, look_at, source_state
from streammatte.obs.source import remove, set_up
from streammatte.obs.stream import CODECS, Serving, Stream, assumed, streams_of

__all__ = ["obs"]

_PASSWORD = "OBS_WEBSOCKET_PASSWORD"


@click.group()
def obs() -> None:
    """Set up the Media Source in a running OBS that shows `--to obs`, with its alpha; check it; remove it."""


def _of_obs(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which OBS, and which source in it."""
    options = [
        click.option("--name", default="streammatte", show_default=True, help="The source's name in OBS."),
        click.option("--host", default="127.0.0.1", show_default=True, help="The machine that OBS runs on."),
        click.option("--obs-port", type=click.IntRange(1, 65535), help="[default: as OBS is configured, or 4455]"),
        click.option(
            "--password-file",
            type=click.File(),
            metavar="FILE",
            help=f"Its first line is OBS's WebSocket password; - reads standard input.  [default: {_PASSWORD}, else "
            "as OBS is configured, else it is asked for]",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


_PID = click.option("--pid", type=int, metavar="PID", help="Which live run, where there are several.")


@obs.command()
@_of_obs
@click.option("--scene", help="[default: the one that is shown]")
@click.option("--codec", type=click.Choice(tuple(CODECS)), help="[default: what the live run serves, or raw]")
@click.option("--port", type=click.IntRange(1, 65535), help="[default: what the live run serves at, or 8091]")
@_PID
@click.option("--fit/--no-fit", default=True, show_default=True, help="Scale a new source to the canvas.")
@click.option("--force", is_flag=True, help="Overwrite a Media Source of that name that shows something else.")
def setup(
    name: str,
    scene: str | None,
    codec: str | None,
    port: int | None,
    pid: int | None,
    fit: bool,
    force: bool,
    **at: Any,
) -> None:
    """Make the source, or bring it up to date; says what was done."""
    run = _run(pid)
    stream = _fitting(run, codec, port)
    with _connected(**at) as found:
        stream = stream.seen_from(found.own_address)
        done = set_up(found, name, stream, scene, fit=fit, force=force)
    say(f"{'; '.join(done) or f'the Media Source {name} is already set up'}: {stream.url} ({stream.format})")


@obs.command("remove")
@_of_obs
@click.option("--force", is_flag=True, help="Also a Media Source that was not made by `setup`.")
def remove_source(name: str, force: bool, **at: Any) -> None:
    """Remove the source that `setup` made."""
    with _connected(**at) as found:
        gone = remove(found, name, force=force)
    say(f"removed the Media Source {name}" if gone else f"OBS has no source {name}: nothing to remove")


@obs.command()
@_of_obs
@_PID
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def status(name: str, pid: int | None, as_json: bool, **at: Any) -> None:
    """Check that OBS has the picture that is sent; exits with 0 only then."""
    run = _run(pid)
    with _connected(**at) as found:
        source = source_state(found, name)
        look = look_at(found, name, source, run)
        place = {"place": found.place, "version": found.version, "websocket": found.websocket_version}
    if as_json:
        parts = {"source": source, "streammatte": run, "picture": look}
        plain = {part: None if value is None else asdict(value) for part, value in parts.items()}
        say(json.dumps({"obs": place, **plain}, ensure_ascii=False))
    else:
        say(f"OBS {place['version']} (obs-websocket {place['websocket']}) at {place['place']}")
        for line in (_source_line(name, source), _run_line(run), _look_line(look)):
            say(line)
    click.get_current_context().exit(0 if look.verdict == "same" else 1)


def _source_line(name: str, source: SourceState | None) -> str:
    if source is None:
        return f"source {name}: not there"
    where = "in the program" if source.in_program else "in a preview only" if source.showing else "not shown"
    return f"source {name}: {source.media}, {where}, reads {source.url or 'a file'}"


def _run_line(run: Serving | None) -> str:
    if run is None:
        return "no live run of yours"
    served = ", ".join(f"{stream.url} ({stream.format})" for stream in run.streams)
    return f"live run {run.pid}: serves {served or 'nothing to OBS; start it with --to obs'}"


def _look_line(look: Look) -> str:
    if look.mean is None or look.p99 is None:
        return f"picture: {look.verdict}: {look.why}"
    differs = f"mean difference {look.mean:.2f}, p99 {look.p99:.1f} of 255"
    lag = "no telling how late" if look.lag_ms is None else f"about {look.lag_ms:.0f} ms late"
    return f"picture: {look.verdict} ({differs}; {look.why or lag})"


def _run(pid: int | None) -> Serving | None:
    """The live run, if there is one. Raises ConfigError where there are several, and no `pid`, or none that has it."""
    if pid is None and not live_runs(runs_folder()):
        return None
    client = connect_run(pid=pid)
    return Serving(client.run.pid, streams_of(client.state().get("outputs")))


def _fitting(run: Serving | None, codec: str | None, port: int | None) -> Stream:
    """What the run serves, or what one is assumed to serve; says which."""
    stream = run and run.fitting(codec, port)
    if stream:
        return stream
    stream = assumed(codec, port)
    how = f"--to obs:{stream.codec}:{stream.port}"
    who = "no live run of yours" if run is None else f"the live run {run.pid} serves no such stream"
    say(f"{who}; the source will show one that is started with {how}")
    return stream


def _connected(host: str, obs_port: int | None, password_file: TextIO | None) -> Connection:
    local = host in ("localhost", "127.0.0.1", "::1")
    known = settings_for(configuration_folders(os.environ, Path.home()), obs_port) if local else None
    port = obs_port or (known.port if known else DEFAULT_PORT)
    return connect(host, port, lambda: _password(password_file, known))


def _password(file: TextIO | None, known: ServerSettings | None) -> str:
    """Called if OBS wants one. Never from the command line itself, where every user of the machine could read it."""
    if file is not None:
        return file.readline().rstrip("\r\n")
    given = os.environ.get(_PASSWORD) or (known and known.password)
    if given:
        return given
    if not sys.stdin.isatty():
        where = f"--password-file or in {_PASSWORD}; it stands in OBS: Tools > WebSocket Server Settings"
        raise ConfigError("password", f"OBS wants one; give it in {where}")
    return str(click.prompt("OBS's WebSocket password", hide_input=True, err=True))
