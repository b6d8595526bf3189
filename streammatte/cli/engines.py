"""`streammatte engines list|build|remove|export`: what is built in the cache, or written beside it."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from streammatte.assembly import streams_for
from streammatte.calibrating import calibrate
from streammatte.catalog import Model
from streammatte.cli.export import export_network
from streammatte.cli.options import check_allowed
from streammatte.cli.screen import frame_progress, preparing, say
from streammatte.config import Settings
from streammatte.errors import ConfigError, RuntimeUnavailable, SinkError
from streammatte.exporting import copied
from streammatte.int8 import applied_calibration, quantized
from streammatte.inventory import Built, built, remove, remove_all
from streammatte.loading import Loaded, load_session
from streammatte.matter import batch_for
from streammatte.own_model import model_named
from streammatte.ports import DeviceSession
from streammatte.upkeep import clean, engines_to_verify
from streammatte.weights.cache import Weights, cache_dir
from streammatte.weights.pull import ensure

__all__ = ["engines"]

_CHOICES = {item.name: click.Choice(item.metadata.get("choices", ())) for item in fields(Settings)}


@click.group()
def engines() -> None:
    """List, build and remove engines: models compiled for this machine; export networks."""


engines.add_command(export_network)


@engines.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def list_engines(as_json: bool) -> None:
    """List what is built in the cache."""
    found = built()
    if as_json:
        return say(json.dumps([_facts(each) for each in found], indent=1, ensure_ascii=False))
    if not found:
        return say(f"nothing is built in {cache_dir()}")
    table = Table("model", "precision", "what", "runtime", "size", "built", "remarks", box=None, pad_edge=False)
    for each in found:
        at_once = f"{each.streams} at once" if each.streams else each.words
        made = each.made.astimezone().strftime("%Y-%m-%d %H:%M")
        model = each.model or ("any" if each.kind == "timing cache" else "?")
        table.add_row(model, each.precision, each.kind, each.runtime, _size(each.size_bytes), made, at_once)
    console = Console()
    # A pipe has no width: lines must not be folded to what rich assumes of one.
    (console if console.is_terminal else Console(width=200)).print(table)
    return None


def _facts(each: Built) -> dict[str, Any]:
    return asdict(each) | {"made": each.made.isoformat(timespec="seconds"), "path": str(each.path)}


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:.1f} MiB"


@engines.command("build")
@click.argument("name", metavar="MODEL")
@click.option("--precision", type=_CHOICES["precision"], default="auto", show_default=True, help="Arithmetic.")
@click.option("--runtime", type=_CHOICES["runtime"], default="auto", show_default=True, help="Library.")
@click.option(
    "--calibrate",
    "inputs",
    multiple=True,
    metavar="INPUT",
    help="Calibrate int8 on this video, picture or folder (repeat for several; of each its first five minutes), "
    "in place of the shipped calibration and until `streammatte engines remove MODEL`.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.onnx",
    help="Write the int8 network too: one ONNX file that OpenVINO, ONNX Runtime and TensorRT load.",
)
@click.option("--force", is_flag=True, help="Overwrite an existing FILE.onnx.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing unless something is wrong.")
def build_engine(
    name: str, precision: str, runtime: str, inputs: tuple[str, ...], output: Path | None, force: bool, quiet: bool
) -> None:
    """Build the engines of MODEL (a name, or the path of a file of your own), so that its first run need not.

    int8 is compared with f32 on pictures that ship with streammatte, and refused where it is too far off.
    """
    model = model_named(name)
    check_allowed(model)
    if inputs or output is not None:
        precision = _int8_asked(precision, "--calibrate" if inputs else "--output")
    if output is not None:
        _check_writable(output, force)
    with preparing(quiet, model.name) as told:
        weights = ensure(model, progress=told.pulling)
    if inputs:
        _calibrate(model, weights, inputs, runtime, quiet)
    _build(model, weights, runtime, precision, quiet)
    if output is not None:
        _write_network(model, weights, output, force)
        say(f"wrote    {output}  (Q/DQ, the same file for every runtime)", quiet)


def _int8_asked(precision: str, flag: str) -> str:
    if precision not in ("auto", "int8"):
        raise ConfigError(flag, f"is about int8, but --precision is {precision}; leave one of them out")
    return "int8"


def _check_writable(path: Path, force: bool) -> None:
    """Before minutes of work."""
    if path.exists() and not force:
        raise SinkError(f"{path}: exists; --force overwrites it")
    if not path.parent.is_dir():
        raise SinkError(f"{path}: the folder {path.parent} does not exist; make it first")


def _calibrate(model: Model, weights: Weights, inputs: tuple[str, ...], runtime: str, quiet: bool) -> None:
    with frame_progress(quiet, doing="measuring") as progress:
        found = calibrate(model, weights, inputs, runtime=runtime, progress=progress)
    say(f"measured {found.calibrated_on}", quiet)
    say(f"own      {found.own} from f32, on views of the same", quiet)
    if found.shipped is not None:
        say(f"shipped  {found.shipped} on these, by the calibration that ships with streammatte", quiet)
        if found.shipped.mean < found.own.mean:
            say(f"note     the shipped one is nearer; `streammatte engines remove {model.name}` goes back to it", quiet)


def _build(model: Model, weights: Weights, runtime: str, precision: str, quiet: bool) -> None:
    """Engines differ by how many frames they take at once: one for calls, several for files."""
    loaded: Loaded | None = None
    for streams in sorted({streams_for(live=True), streams_for(live=False)}):
        loaded = _built(model, weights, runtime, precision, streams, 1, quiet)
    assert loaded is not None
    if isinstance(loaded.session, DeviceSession) and (batch := batch_for(model)) > 1:
        _built(model, weights, runtime, precision, 1, batch, quiet)
    if loaded.parity is not None:
        say(f"parity   {loaded.parity} from f32, on the pictures that ship with streammatte", quiet)
    for note in (*model.assumed, *loaded.fallbacks):
        say(f"note     {note}", quiet)


def _built(
    model: Model, weights: Weights, runtime: str, precision: str, streams: int, batch: int, quiet: bool
) -> Loaded:
    """Load an engine, built where it is not in the cache; its session is closed again."""
    with preparing(quiet, model.name) as told:
        loaded = load_session(
            model,
            weights,
            runtime=runtime,
            precision=precision,
            require=None,
            streams=streams,
            batch=batch,
            building=told.building,
        )
    loaded.session.close()
    info = loaded.session.info
    kept = ", from the cache" if info.cache_hit else ""
    say(f"ready    {model.name} {info.precision} for {info.runtime}, {info.streams * batch} at once{kept}", quiet)
    return loaded


def _write_network(model: Model, weights: Weights, path: Path, force: bool) -> None:
    assert model.int8 is not None, "its engine has just been built"
    calibration, _ = applied_calibration(model, model.int8, weights)
    copied(quantized(calibration, weights, cache_dir()), path, force=force)


@engines.command("verify")
@click.argument("name", metavar="[MODEL]", required=False)
@click.pass_context
def verify_engines(ctx: click.Context, name: str | None) -> None:
    """Compare what is built with f32 again, on the pictures that ship with streammatte; exits with 1 if any is off.

    MODEL may be the path of a file of your own; without one, all of the catalogue's are compared.

    Engines of libraries and devices that are not here are passed by, and so is plain f32, which is what the others are
    compared with.
    """
    said = [_verified(*each) for each in engines_to_verify(None if name is None else model_named(name))]
    for _, words in said:
        say(words)
    if not said:
        say("no engine to verify")
    ctx.exit(0 if all(good for good, _ in said) else 1)


def _verified(model: Model, runtime: str, precision: str) -> tuple[bool, str]:
    what = f"{model.name} {precision} for {runtime}"
    try:
        weights = ensure(model)
        loaded = load_session(model, weights, runtime=runtime, precision=precision, require=runtime, anew=True)
    except RuntimeUnavailable as error:
        return False, f"off      {what}: {error}"
    loaded.session.close()
    return True, f"good     {what}: {loaded.parity} from f32"


@engines.command("clean")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing unless something is wrong.")
def clean_engines(quiet: bool) -> None:
    """Remove what no run will use again: built by other versions, for other devices or weights; half-written files."""
    gone = clean()
    for each, why in gone:
        say(f"removed  {each.path.name}  ({each.kind}, {_size(each.size_bytes)}): {why}", quiet)
    say(f"removed {len(gone)} files, {_size(sum(each.size_bytes for each, _ in gone))}", quiet)


@engines.command("remove")
@click.argument("name", metavar="MODEL", required=False)
@click.option("--all", "everything", is_flag=True, help="Remove those of all models.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing unless something is wrong.")
def remove_engines(name: str | None, everything: bool, quiet: bool) -> None:
    """Remove the engines of MODEL (a name, or the path of a file of your own) and its own calibration.

    Runs build what they need anew.
    """
    if (name is None) == (not everything):
        raise ConfigError("engines remove", "give a model or --all")
    gone = remove_all() if name is None else remove(model_named(name))
    shipped = "; int8 goes by the shipped calibration again" if any(e.kind == "calibration" for e in gone) else ""
    say(f"removed {len(gone)} files, {_size(sum(each.size_bytes for each in gone))}{shipped}", quiet)
