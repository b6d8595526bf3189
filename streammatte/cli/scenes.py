"""`streammatte scenes`: the small networks that were taught a room."""

from __future__ import annotations

import json

import click
from rich.console import Console
from rich.table import Table

from streammatte.cli.screen import say
from streammatte.scenes import PREFIX, kept_scenes, manifest_of, remove, scenes_dir

__all__ = ["scenes"]


@click.group()
def scenes() -> None:
    """The networks that `streammatte tune` made, one a room: list, inspect, delete."""


@scenes.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_scenes(as_json: bool) -> None:
    """Name every scene, with its teacher and how near it comes to it."""
    known = kept_scenes()
    if as_json:
        return say(json.dumps([each.to_json() for each in known], ensure_ascii=False))
    if not known:
        return say(f"no scenes in {scenes_dir()}; `streammatte tune` makes one")
    table = Table("name", "teacher", "licence", "taught", "near enough", "made", box=None, pad_edge=False)
    for each in known:
        cells = (f"{each.frames} frames", f"{100 * each.holds:.0f} %", each.made[:16].replace("T", " "))
        table.add_row(f"{PREFIX}{each.name}", each.teacher, each.teacher_licence, *cells)
    console = Console()
    # A pipe has no width: lines must not be folded to what rich assumes of one.
    (console if console.is_terminal else Console(width=200)).print(table)
    return None


@scenes.command("info")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info_scene(name: str, as_json: bool) -> None:
    """Say all there is to say of scene NAME."""
    values = {**manifest_of(name).to_json(), "folder": str(scenes_dir() / name.removeprefix(PREFIX))}
    if as_json:
        return say(json.dumps(values, ensure_ascii=False))
    for key, value in values.items():
        say(f"{key:<24}{value}")
    return None


@scenes.command("remove")
@click.argument("names", nargs=-1, required=True)
def remove_scenes(names: tuple[str, ...]) -> None:
    """Delete scenes NAMES: the networks, their engines, and frames if any were kept."""
    for each in [manifest_of(name) for name in names]:
        remove(each.name)
        frames = f", with {each.kept_frames} frames" if each.kept_frames else ""
        say(f"{PREFIX}{each.name}: deleted{frames}")
