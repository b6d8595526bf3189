"""`streammatte demo`: the whole product on a clip of our own, with nothing to prepare."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

import click

from streammatte.cli.run import run_pipeline
from streammatte.cli.screen import say, show_report
from streammatte.config import Settings
from streammatte.errors import SinkError

__all__ = ["demo"]


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"{folder}: cannot be made: {error.strerror or error}; choose another with -o") from error


@click.command()
@click.option(
    "--folder",
    "-o",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("streammatte-demo"),
    show_default=True,
    help="Where to write; its files of an earlier demo are overwritten.",
)
@click.option("--model", "-m", default="u2net", show_default=True, help="Model name.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing unless something is wrong.")
def demo(folder: Path, model: str, quiet: bool) -> None:
    """Matte the project's own clip over a beach and say where to look."""
    _make(folder)
    with as_file(files("streammatte") / "demo_clip") as assets:
        settings = Settings(
            output=(folder / "composite.mp4",),
            matte=folder / "matte.mp4",
            bg=str(assets / "beach.jpg"),
            model=model,
            force=True,
        )
        report = run_pipeline(str(assets / "webcam.mp4"), settings, quiet=quiet)
    if quiet:
        return
    show_report(report)
    say(f"\nLook at {folder / 'composite.mp4'} (the subject on a beach) and {folder / 'matte.mp4'} (alpha alone).")
    say("Next: streammatte YOUR.mp4 --bg beach.jpg     or     streammatte --help")
