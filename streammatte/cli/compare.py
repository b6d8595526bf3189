"""`streammatte compare INPUT -m NAME -m NAME`: models side by side, as a video and as a table."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from streammatte.cli.options import chosen, setting_options
from streammatte.cli.screen import frame_progress, preparing, say
from streammatte.comparing import Comparison, ComparisonReport
from streammatte.contestant import ModelReport
from streammatte.scoring import Scores

__all__ = ["compare"]

_INTERRUPTED = 130
_NOT_HERE = frozenset(
    (
        *("model", "matte", "report", "to", "listen", "size", "fps", "mirror", "card"),
        *("governor", "target_latency_s", "target_fps", "control", "batch", "student", "seed"),
    )
)
"""Of one model, of live video, or of several frames at once."""
_OWN = frozenset(("bg",))
"""Said in other words below."""

_COLUMNS: dict[str, Callable[[ModelReport], str]] = {
    "model": lambda model: model.facts.model,
    "licence": lambda model: model.facts.model_licence,
    "network ms": lambda model: f"{model.network_ms:.1f}",
    "fps": lambda model: f"{model.throughput_fps:.1f}",
    "flicker": lambda model: _number(model.flicker, 1),
    "mid opacity": lambda model: _percent(model.mid_opacity),
    "collapsed": lambda model: _percent(model.edge_collapsed),
    "coverage": lambda model: _percent(model.coverage),
}
_SCORES: dict[str, Callable[[Scores], str]] = {
    "MAD": lambda scores: f"{scores.mad:.1f}",
    "MSE": lambda scores: f"{scores.mse:.1f}",
    "Grad": lambda scores: f"{scores.grad:.2f}",
    "dtSSD": lambda scores: _number(scores.dtssd, 2),
}


@click.command()
@click.argument("source", metavar="INPUT")
@click.option("--model", "-m", "models", multiple=True, required=True, metavar="NAME", help="Repeat for each model.")
@click.option("--truth", metavar="VIDEO", help="The right alpha, of the input's size: models are scored against it.")
@click.option("--alpha/--no-alpha", "alphas", default=True, help="Show alphas below the composites.  [default: yes]")
@click.option("--bg", metavar="BACKGROUND", help="Image, video, colour or blur[:PERCENT] behind.  [default: a green]")
@setting_options(without=_NOT_HERE | _OWN)
@click.option("--debug", is_flag=True, expose_value=False, help="Show a traceback where something is wrong.")
@click.pass_context
def compare(
    ctx: click.Context,
    /,
    source: str,
    models: tuple[str, ...],
    truth: str | None,
    alphas: bool,
    config_file: Path | None,
    **given: Any,
) -> None:
    """Show what several models make of INPUT, side by side, and print how they fare.

    All else is the same for every model. What the table's columns mean stands in docs/compare.md.
    """
    settings, shown = chosen(given, config_file)
    quiet = shown.quiet or shown.json
    with closing(Comparison(source, models, settings, truth=truth, alphas=alphas)) as comparison:
        for name in models:
            with preparing(quiet, name) as told:
                why = comparison.load(name, pulling=told.pulling, building=told.building)
            if why is not None:
                click.echo(f"left out {name}: {' '.join(why.split())}", err=True)
        with frame_progress(quiet, doing="comparing") as progress:
            report = comparison.run(progress)
    if shown.json:
        say(json.dumps(report.to_json(), ensure_ascii=False))
    elif not shown.quiet:
        _show(report)
    if report.interrupted:
        ctx.exit(_INTERRUPTED)


def _show(report: ComparisonReport) -> None:
    table = Table(*_columns(report), box=None, pad_edge=False)
    for column in table.columns[2:]:
        column.justify = "right"
    for model in report.models:
        cells = [cell(model) for cell in _COLUMNS.values()]
        if model.scores is not None:
            cells += [cell(model.scores) for cell in _SCORES.values()]
        table.add_row(*cells)
    console = Console()
    # A pipe has no width: lines must not be folded to what rich assumes of one.
    (console if console.is_terminal else Console(width=200)).print(table)
    say(f"\n{report.frames} frames of {report.input} in {report.wall_s:.1f} s")
    for ran_on, names in _machines(report).items():
        say(f"ran on   {ran_on}: {', '.join(names)}")
    for model in report.models:
        for note in model.facts.fallbacks:
            say(f"note     {model.facts.model}: {note}")
    for note in report.notes:
        say(f"note     {note}")
    for output in report.outputs:
        say(f"wrote    {output.path}  ({output.codec}, {output.frames} frames)")
    if report.interrupted:
        say("stopped  before the end of the input, as asked; the video is complete up to there")


def _columns(report: ComparisonReport) -> list[str]:
    scored = any(model.scores is not None for model in report.models)
    return [*_COLUMNS, *(_SCORES if scored else ())]


def _machines(report: ComparisonReport) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for model in report.models:
        facts = model.facts
        found.setdefault(f"{facts.runtime}, {facts.precision}, {facts.device}", []).append(facts.model)
    return found


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"
