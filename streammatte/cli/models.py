"""`streammatte models list|info|toml|accept|pull|verify|where`: the catalogue, licences, the weights in the cache."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from streammatte.catalog import Model, catalog
from streammatte.cli.options import chosen
from streammatte.cli.screen import preparing, say
from streammatte.config import Settings
from streammatte.errors import ModelError
from streammatte.ledger import accept, acceptances, accepted, check_licence, licence_words, withdraw
from streammatte.own_model import accepting, model_named
from streammatte.own_network import drafted_toml
from streammatte.weights.cache import cache_dir, locate, onnx_path, verify
from streammatte.weights.checking import checksum_words
from streammatte.weights.pull import pull

__all__ = ["models"]

_DEFAULT = "u2net"
_HELP = {item.name: item.metadata["help"] for item in fields(Settings)}
_COLUMNS = ("name", "aliases", "task", "licence", "commercial", "size", "state")


@click.group()
def models() -> None:
    """List and explain models, accept their licences, pull, verify and find their weights."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def list_models(as_json: bool) -> None:
    """List the models with what they are for, licence, size and whether they are cached."""
    if as_json:
        return say(json.dumps([_facts(model) for model in catalog().values()], indent=1, ensure_ascii=False))
    table = Table(*_COLUMNS, box=None, pad_edge=False)
    for model in catalog().values():
        names = (model.name, ", ".join(model.aliases), model.task, model.licence, model.commercial)
        table.add_row(*names, _size(model), _state(model))
    console = Console()
    # A pipe has no width: lines must not be folded to what rich assumes of one.
    (console if console.is_terminal else Console(width=200)).print(table)
    return None


@models.command("info")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def show_model(name: str, as_json: bool) -> None:
    """Print all that is known of the model NAME: facts, sources, licence, and where its weights lie.

    NAME may be the path of an ONNX file or a TOML of your own.
    """
    model = model_named(name)
    if as_json:
        return say(json.dumps(_facts(model), indent=1, ensure_ascii=False))
    for key, value in _explained(model):
        say(f"{key:<12} {value}")
    return None


@models.command("toml")
@click.argument("file", metavar="FILE.onnx", type=click.Path(path_type=Path))
def draft_toml(file: Path) -> None:
    """Print a TOML about an ONNX file of your own: complete it, keep it as FILE.toml, and give that to --model."""
    say(drafted_toml(file.absolute()).rstrip())


@models.command("accept")
@click.argument("names", nargs=-1)
@click.option("--list", "listed", is_flag=True, help="Print what has been accepted.")
@click.option("--withdraw", "withdrawn", multiple=True, metavar="NAME", help="Take it back; repeat for several.")
def accept_licences(names: tuple[str, ...], listed: bool, withdrawn: tuple[str, ...]) -> None:
    """Accept the licences of NAMES, for good: prints their words, and keeps that you accepted them and when."""
    if not (names or listed or withdrawn):
        raise click.UsageError("name a model whose licence you accept, or say --list")
    accepting = [model_named(name) for name in names]
    for model in [model_named(name) for name in withdrawn]:
        say(f"{model.name}: {'no longer accepted' if withdraw(model) else 'was not accepted'}")
    for model in accepting:
        say(f"{model.name}: {licence_words(model)}")
        if _needs_no_consent(model):
            say(f"{model.name}: nothing to accept")
        else:
            say(f"{model.name}: accepted on {accept(model).date}; --withdraw {model.name} takes it back")
    for each in acceptances() if listed else ():
        say(f"{each.model}: {each.licence}, accepted on {each.date}, words sha256 {each.words_sha256}")


@models.command("pull")
@click.argument("names", nargs=-1)
@click.option("--force", is_flag=True, help="Pull anew what the cache already has.")
@click.option("--accept-licence", multiple=True, metavar="NAME", help=_HELP["accept_licence"])
@click.option("--commercial", is_flag=True, default=None, help=_HELP["commercial"])
@click.option("--quiet", "-q", is_flag=True, help="Print nothing unless something is wrong.")
def pull_models(
    names: tuple[str, ...], force: bool, accept_licence: tuple[str, ...], commercial: bool | None, quiet: bool
) -> None:
    """Pull NAMES (u2net where none is given) into the cache."""
    settings, _ = chosen({"accept_licence": accept_licence, "commercial": commercial}, None)
    wanted = [model_named(name) for name in names or (_DEFAULT,)]
    for model in wanted:
        names_accepted = accepting(model, settings.accept_licence)
        check_licence(model, commercial=settings.commercial, accept_licence=names_accepted)
    for model in _with_parts(wanted):
        with preparing(quiet, model.name) as told:
            weights = pull(model, force=force, progress=told.pulling)
        say(f"{model.name}: {weights.path} ({model.licence}, from {weights.source})", quiet)


@models.command("verify")
@click.argument("names", nargs=-1)
def verify_models(names: tuple[str, ...]) -> None:
    """Hash the weights of NAMES, or of all that are cached; what is damaged is deleted."""
    cached = (model for model in _with_parts(catalog().values()) if onnx_path(model).exists())
    chosen_ones = _with_parts(model_named(name) for name in names) or list(cached)
    wrong = []
    for model in chosen_ones:
        try:
            weights = verify(model)
        except ModelError as error:
            wrong.append(str(error))
        else:
            say(f"{model.name}: sound, sha256 {weights.sha256}")
    if wrong:
        raise ModelError("; ".join(wrong))
    if not chosen_ones:
        say(f"nothing is cached in {cache_dir()}")


@models.command("where")
@click.argument("name", required=False)
def where_models(name: str | None) -> None:
    """Print where the weights of NAME are, or the cache's folder."""
    if name is None:
        return say(str(cache_dir()))
    model = model_named(name)
    for each in _with_parts([model]):
        say(str(onnx_path(each)))
    if not _cached(model):
        click.echo(f"{name} is not there yet: run `streammatte models pull {name}`", err=True)
    return None


def _with_parts(those: Iterable[Model]) -> list[Model]:
    return [each for model in those for each in (model, *model.parts)]


def _cached(model: Model) -> bool:
    return all(locate(each) for each in _with_parts([model]))


def _needs_no_consent(model: Model) -> bool:
    return model.commercial == "yes" or model.own


def _consented(model: Model) -> bool:
    return _needs_no_consent(model) or accepted(model) is not None


def _state(model: Model) -> str:
    cached = "cached" if _cached(model) else "not cached"
    if _consented(model):
        return cached
    return "needs consent" if cached == "not cached" else "cached, needs consent"


def _size(model: Model) -> str:
    sizes = [each.size_bytes for each in _with_parts([model])]
    known = [size for size in sizes if size is not None]
    return _mib(sum(known)) if len(known) == len(sizes) else "not known"


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:.1f} MiB"


def _explained(model: Model) -> Iterable[tuple[str, str]]:
    """Key and value of each line of `models info`."""
    yield "name", ", also ".join((model.name, *model.aliases))
    yield "title", model.title
    yield "for", f"{model.summary} ({model.name} {model.other_use})" if model.other_use else model.summary
    yield "by", model.author
    yield "cite", model.citation
    yield "home", model.homepage
    yield "licence", licence_words(model)
    yield "accepted", _accepted_words(model)
    network = model.input
    yield "input", f"{network.width}x{network.height}, (x / 255 - {list(network.mean)}) / {list(network.std)}"
    classes = f": {', '.join(model.output.classes)}" if model.output.classes else ""
    yield "output", f"number {model.output.index}, activation {model.output.activation}{classes}"
    if model.output.classes:
        first, *others = model.output.classes
        names = ", ".join(f"{model.name}:{each}" for each in others)
        yield "keeps", model.output.subject or f"all that is not {first}; one of them as {names}"
    if model.state is not None:
        ways = zip(model.state.outputs, model.state.inputs, strict=True)
        yield "state", ", ".join(f"{given} to {taken}" for given, taken in ways)
    for words in model.assumed:
        yield "assumed", words
    for each in _with_parts([model]):
        prefix = "" if each is model else f"{each.name.removeprefix(f'{model.name}-')}: "
        size = "size not known" if each.size_bytes is None else _mib(each.size_bytes)
        hub = each.format == "transformers"
        yield "file", f"{prefix}{_form(each)}" if hub else f"{prefix}{_form(each)}, {size}, {checksum_words(each)}"
        for source in each.sources:
            yield "from", f"{prefix}{source}{' (after its licence is accepted there)' if source.gated else ''}"
        if not hub:
            yield "at", f"{prefix}{onnx_path(each)}, {'cached' if locate(each) else 'not cached'}"


def _accepted_words(model: Model) -> str:
    if _needs_no_consent(model):
        return "not needed"
    known = accepted(model)
    return f"on {known.date}" if known else f"no: `streammatte models accept {model.name}`"


def _form(model: Model) -> str:
    if model.format == "torch":
        return f"torch ({model.architecture}, patches in {model.patches}), converted to ONNX when pulled"
    return {
        "onnx": "ONNX",
        "tflite": "tflite, converted to ONNX when pulled",
        "transformers": "a folder of transformers, fetched and kept by the hub's own client when it is used",
    }[model.format]


def _facts(model: Model) -> dict[str, Any]:
    consent = accepted(model)
    return {
        "name": model.name,
        "aliases": list(model.aliases),
        "task": model.task,
        "title": model.title,
        "summary": model.summary,
        "author": model.author,
        "citation": model.citation,
        "homepage": model.homepage,
        "licence": model.licence,
        "commercial": model.commercial,
        "licence_text": model.licence_text,
        "licence_url": model.licence_url,
        "consented": _consented(model),
        "accepted": consent.date if consent else None,
        "size_bytes": model.size_bytes,
        "format": model.format,
        "sha256": model.sha256 or None,
        "md5": model.md5 or None,
        "input": [model.input.width, model.input.height],
        "sources": [str(source) for source in model.sources],
        "cached": _cached(model),
        "path": str(onnx_path(model)),
        "parts": [_facts(part) for part in model.parts],
    }
