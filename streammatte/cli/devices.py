"""`streammatte devices`: the cameras that can be opened, and the virtual cameras that can be written to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby

import click

from streammatte.assembly import Camera, Mode, cameras, virtual_cameras
from streammatte.cli.screen import say

__all__ = ["devices"]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else.")
def devices(as_json: bool) -> None:
    """List cameras with their formats, and virtual cameras."""
    inputs, outputs = cameras(), virtual_cameras()
    if as_json:
        say(json.dumps({"cameras": [_plain(c) for c in inputs], "virtual_cameras": [_plain(c) for c in outputs]}))
        return
    if not inputs:
        say("no cameras; plug one in, then look again")
    for number, camera in enumerate(inputs):
        say(f"camera:{number}  {camera.name}  ({camera.place}){'  ' * bool(camera.problem)}{camera.problem}")
        for line in _lines(camera):
            say(f"  {line}")
    for camera in outputs:
        say(f"vcam:{camera.place}  {camera.name}{'  ' * bool(camera.problem)}{camera.problem}")
    if not outputs:
        say("no virtual camera to write to: see streammatte doctor")


def _lines(camera: Camera) -> Iterator[str]:
    """One line a format: `mjpeg  1920x1080@30 1280x720@60,30`."""
    for name, modes in groupby(camera.modes, key=lambda mode: mode.format):
        yield f"{name:<8} {' '.join(_sized(mode) for mode in modes)}"


def _sized(mode: Mode) -> str:
    rates = ",".join(f"{float(rate):g}" for rate in mode.rates[:4])
    return f"{mode.width}x{mode.height}@{rates}" if rates else f"{mode.width}x{mode.height}"


def _plain(camera: Camera) -> dict[str, object]:
    modes = [
        {"format": mode.format, "width": mode.width, "height": mode.height, "rates": [float(r) for r in mode.rates]}
        for mode in camera.modes
    ]
    return {"name": camera.name, "place": camera.place, "modes": modes, "problem": camera.problem}
