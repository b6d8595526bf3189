"""`streammatte INPUT`: the main job."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from streammatte.assembly import awaits_publisher, open_pipeline
from streammatte.cli.keys import keys
from streammatte.cli.options import chosen, setting_options
from streammatte.cli.report import check_report_path, is_page, write_report
from streammatte.cli.screen import frame_progress, preparing, say, show_report
from streammatte.config import Settings
from streammatte.errors import StreammatteError
from streammatte.inspector import Inspector
from streammatte.live.control import ControlServer
from streammatte.live.pipeline import LivePipeline
from streammatte.meter import RunReport
from streammatte.pipeline import Pipeline

__all__ = ["run", "run_pipeline"]

_INTERRUPTED = 130


def run_pipeline(
    source: str,
    settings: Settings,
    *,
    quiet: bool,
    inspector: Inspector | None = None,
    failed: Callable[[RunReport], None] = lambda report: None,
) -> RunReport:
    """Open everything, run it with progress on standard error, and report.

    `failed` gets the report of a live run that ended with an error, before that is raised.
    """
    if awaits_publisher(source) and not quiet:
        click.echo(f"waiting for a stream that is sent to {source.partition('?')[0]}; Ctrl-C ends it", err=True)
    # Two displays cannot share a terminal: the download's ends before the frames' begins.
    with preparing(quiet, settings.model) as told:
        pipeline = open_pipeline(source, settings, pulling=told.pulling, building=told.building, inspector=inspector)
    doing = "live" if isinstance(pipeline, LivePipeline) else "matting"
    try:
        with frame_progress(quiet, doing=doing) as progress, _controlled(pipeline, settings, quiet):
            return pipeline.run(progress)
    except StreammatteError:
        if isinstance(pipeline, LivePipeline) and pipeline.report is not None:
            failed(pipeline.report)
        raise


@contextmanager
def _controlled(pipeline: Pipeline | LivePipeline, settings: Settings, quiet: bool) -> Iterator[None]:
    """While a live run goes on, `streammatte ctl` and the terminal's keys change it."""
    controls = pipeline.controls if isinstance(pipeline, LivePipeline) else None
    if controls is None or settings.control == "off":
        yield
        return
    with ControlServer(controls), keys(controls, None if quiet else sys.stdin):
        yield


@click.command()
@click.argument("source", metavar="INPUT")
@setting_options()
@click.option("--debug", is_flag=True, expose_value=False, help="Show a traceback where something is wrong.")
@click.pass_context
def run(
    ctx: click.Context,
    /,
    source: str,
    config_file: Path | None,
    **given: Any,
) -> None:
    """Put the subject of INPUT in front of a new background, or cut it out.

    INPUT is a video or image file, a folder or numbered sequence of images, a URL, - for a pipe, lavfi:GRAPH,
    pattern: for a moving test picture, camera[:NUMBER|NAME|DEVICE] or screen.
    """
    settings, shown = chosen(given, config_file)
    if shown.report is not None:
        check_report_path(shown.report, settings.force)
    inspector = Inspector(pictures=is_page(shown.report))

    def told(report: RunReport) -> None:
        if shown.report is not None and (report.inspection is not None or not is_page(shown.report)):
            write_report(report, shown.report, inspector)
        if shown.json:
            say(json.dumps(report.to_json(), ensure_ascii=False))
        elif not shown.quiet:
            show_report(report)

    result = run_pipeline(source, settings, quiet=shown.quiet or shown.json, inspector=inspector, failed=told)
    told(result)
    if result.interrupted:
        ctx.exit(_INTERRUPTED)
