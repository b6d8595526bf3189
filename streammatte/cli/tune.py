"""`streammatte tune VIDEO --name NAME`: teach a small network one room."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from streammatte.agreement import LIMIT
from streammatte.cli.options import chosen, setting_options
from streammatte.cli.screen import preparing, say
from streammatte.config import Settings
from streammatte.scenes import PREFIX, Manifest
from streammatte.tuning import tune as tune_scene

__all__ = ["tune"]

_HERE = frozenset(
    (
        *("model", "accept_licence", "commercial", "runtime", "require", "precision", "tta", "seed", "mirror"),
        *("start_s", "duration_s", "input_format", "input_size", "input_pix_fmt", "input_rate", "salvage", "force"),
        *("size", "fps", "json", "quiet"),
    )
)
_NOT_HERE = frozenset(Settings.__dataclass_fields__) - _HERE | {"report"}
_EVERY_S = 5.0


@click.command()
@click.argument("source", metavar="INPUT")
@click.option("--name", required=True, help="What to call the scene; `--model scene:NAME` uses it.")
@click.option(
    "--seconds", type=click.FloatRange(1, 3600), help="How long to teach.  [default: 90; a camera: 240 at most]"
)
@click.option(
    "--show", default="preview", show_default=True, help="Live output on which a camera sees itself, or none."
)
@click.option(
    "--steps", type=click.IntRange(1), help="Teach for so many steps instead: the same again with one --seed."
)
@click.option("--keep-frames", is_flag=True, help="Keep the frames and mattes it was taught with the scene.")
@setting_options(without=_NOT_HERE)
@click.option("--debug", is_flag=True, expose_value=False, help="Show a traceback where something is wrong.")
def tune(
    source: str,
    name: str,
    seconds: float | None,
    show: str,
    steps: int | None,
    keep_frames: bool,
    config_file: Path | None,
    **given: Any,
) -> None:
    """Teach a small network what the model says of the room in INPUT, and keep it as a scene.

    INPUT is a video; or a camera, and then you are told what to do, and it ends once the network gets no better, or by
    Ctrl-C. Frames stay in memory, and are forgotten once it is taught, unless --keep-frames is given.
    """
    settings, shown = chosen(given, config_file)
    quiet = shown.quiet or shown.json
    with preparing(quiet, settings.model) as told:
        manifest = tune_scene(
            source,
            settings,
            name.removeprefix(PREFIX),
            seconds=seconds,
            told=_Guide(quiet),
            show="" if show == "none" else show,
            steps=steps,
            keep_frames=keep_frames,
            pulling=told.pulling,
            building=told.building,
        )
    if shown.json:
        say(json.dumps(manifest.to_json(), ensure_ascii=False))
    else:
        _show(manifest, quiet)


class _Guide:
    """Says what to do, when that changes, and now and then how far it is."""

    def __init__(self, quiet: bool) -> None:
        self._quiet, self._doing, self._far, self._said_s = quiet, "", "", 0.0

    def __call__(self, doing: str, far: str) -> None:
        now_s = time.monotonic()
        due = far != self._far and now_s - self._said_s > _EVERY_S
        if self._quiet or (doing == self._doing and not due):
            return
        self._doing, self._far, self._said_s = doing, far, now_s
        click.echo(f"{doing}  ({far})" if far else doing, err=True)


def _show(manifest: Manifest, quiet: bool) -> None:
    say(
        f"{PREFIX}{manifest.name}: taught {manifest.frames} frames by {manifest.teacher} in {manifest.seconds:.0f} s "
        f"({manifest.steps} steps, {manifest.precision})",
        quiet,
    )
    say(
        f"on {manifest.held_out} frames it had not seen it is {manifest.apart:.4f} from its teacher, and near enough "
        f"(below {LIMIT:.3f}) on {100 * manifest.holds:.0f} %",
        quiet,
    )
    say(f"use it: streammatte camera --model {PREFIX}{manifest.name} --bg blur --to vcam", quiet)
