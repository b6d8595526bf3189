"""Flags made from the fields of `Settings`, so that each setting is written down once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import platformdirs

from streammatte.catalog import Model
from streammatte.config import Settings, flag_of, read_config, setting
from streammatte.ledger import check_licence, check_use
from streammatte.own_model import accepting

__all__ = ["Shown", "check_allowed", "chosen", "setting_options"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the command line tells of a run, and keeps of it."""

    report: Path | None = setting(
        None, "Write the run report: JSON as FILE.json, else a folder with a page to read.", metavar="FILE|DIR"
    )
    json: bool = setting(False, "Print the run report as JSON, and nothing else.")
    quiet: bool = setting(False, "Print nothing unless something is wrong.", short="-q")


def setting_options(*, without: frozenset[str] = frozenset()) -> Callable[[F], F]:
    """Decorate a command with a flag for every field of `Settings` and `Shown` but those in `without`, and --config."""

    def decorate(command: F) -> F:
        for item in reversed((*dataclasses.fields(Settings), *dataclasses.fields(Shown))):
            if item.name not in without:
                command = _option(item)(command)
        return click.option(
            "--config",
            "config_file",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="TOML file of flags.",
        )(command)

    return decorate


def _option(item: dataclasses.Field[Any]) -> Callable[[F], F]:
    facts, wanted = item.metadata, str(item.type)
    names = [flag_of(item.name), *([facts["short"]] if "short" in facts else []), item.name]
    options: dict[str, Any] = {"help": facts["help"], "default": None}
    if wanted == "bool":
        return click.option(*names, is_flag=True, **options)
    if item.default is not None and item.default != ():
        options["help"] += f"  [default: {item.default}]"
    options["metavar"] = facts.get("metavar")
    options["multiple"] = wanted.startswith("tuple")
    return click.option(*names, type=_type(wanted, facts.get("choices")), **options)


def _type(wanted: str, choices: tuple[str, ...] | None) -> Any:
    if choices:
        return click.Choice(choices)
    for word, kind in (("Path", click.Path(path_type=Path)), ("float", float), ("int", int)):
        if word in wanted:
            return kind
    return str


def chosen(given: dict[str, Any], config_file: Path | None) -> tuple[Settings, Shown]:
    """Settings, and what is shown, out of flags, over a TOML file's, over the defaults.

    Without --config, `config.toml` in the user's configuration folder is read where it exists.
    """
    default_file = Path(platformdirs.user_config_dir("streammatte", appauthor=False)) / "config.toml"
    values: dict[str, Any] = {}
    if config_file is not None:
        values = read_config(config_file, Shown)
    elif default_file.is_file():
        values = read_config(default_file, Shown)
    values.update({name: value for name, value in given.items() if value not in (None, ())})
    shown = {item.name: values.pop(item.name) for item in dataclasses.fields(Shown) if item.name in values}
    return Settings(**values), Shown(**shown)


def check_allowed(model: Model) -> None:
    """Raises ModelError for one that makes no mattes, or whose licence was not accepted; as the user's settings say."""
    settings, _ = chosen({}, None)
    check_use(model)
    check_licence(model, commercial=settings.commercial, accept_licence=accepting(model, settings.accept_licence))
