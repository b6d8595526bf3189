"""`streammatte models list|pull|verify|where`: the catalogue and the weights in the cache."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from streammatte.catalog import Model, catalog
from streammatte.catalog import model as model_named
from streammatte.cli.screen import pull_progress, say
from streammatte.errors import ModelError
from streammatte.weights.cache import cache_dir, locate, onnx_path, verify
from streammatte.weights.pull import pull

__all__ = ["models"]

_DEFAULT = "u2net"


@click.group()
def models() -> None:
    """List, pull, verify and find models."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def list_models(as_json: bool) -> None:
    """List the models with licence, size and whether they are cached."""
    entries = [_facts(model) for model in catalog().values()]
    if as_json:
        return say(json.dumps(entries, indent=1, ensure_ascii=False))
    table = Table("name", "title", "licence", "commercial", "size", "state", box=None, pad_edge=False)
    for entry in entries:
        state = "cached" if entry["cached"] else "not cached"
        table.add_row(*(entry[key] for key in ("name", "title", "licence", "commercial")), _mib(entry), state)
    console = Console()
    # A pipe has no width: lines must not be folded to what rich assumes of one.
    (console if console.is_terminal else Console(width=200)).print(table)
    return None


def _facts(model: Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "title": model.title,
        "summary": model.summary,
        "author": model.author,
        "citation": model.citation,
        "homepage": model.homepage,
        "licence": model.licence,
        "commercial": model.commercial,
        "size_bytes": model.size_bytes,
        "format": model.format,
        "sha256": model.sha256,
        "input": [model.input.width, model.input.height],
        "sources": [str(source) for source in model.sources],
        "cached": locate(model) is not None,
        "path": str(onnx_path(model)),
    }


def _mib(entry: dict[str, Any]) -> str:
    return f"{entry['size_bytes'] / 2**20:.1f} MiB"


@models.command("pull")
@click.argument("names", nargs=-1)
@click.option("--force", is_flag=True, help="Pull anew what the cache already has.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing unless something is wrong.")
def pull_models(names: tuple[str, ...], force: bool, quiet: bool) -> None:
    """Pull NAMES (u2net where none is given) into the cache."""
    for model in [model_named(name) for name in names or (_DEFAULT,)]:
        progress: Any
        with pull_progress(quiet, model.name) as progress:
            weights = pull(model, force=force, progress=progress)
        say(f"{model.name}: {weights.path} ({model.licence}, from {weights.source})", quiet)


@models.command("verify")
@click.argument("names", nargs=-1)
def verify_models(names: tuple[str, ...]) -> None:
    """Hash the weights of NAMES, or of all that are cached; what is damaged is deleted."""
    chosen = [model_named(name) for name in names] or [
        model for model in catalog().values() if onnx_path(model).exists()
    ]
    wrong = []
    for model in chosen:
        try:
            weights = verify(model)
        except ModelError as error:
            wrong.append(str(error))
        else:
            say(f"{model.name}: sound, sha256 {weights.sha256}")
    if wrong:
        raise ModelError("; ".join(wrong))
    if not chosen:
        say(f"nothing is cached in {cache_dir()}")


@models.command("where")
@click.argument("name", required=False)
def where_models(name: str | None) -> None:
    """Print where the weights of NAME are, or the cache's folder."""
    if name is None:
        return say(str(cache_dir()))
    model = model_named(name)
    path: Path = onnx_path(model)
    say(str(path))
    if locate(model) is None:
        click.echo(f"{name} is not there yet: run `streammatte models pull {name}`", err=True)
    return None
