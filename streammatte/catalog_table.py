"""A TOML table being read with every key checked, for the catalogue."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from streammatte.errors import ModelError

__all__ = ["Table"]

_LINE = r".*\S.*"


@dataclass(frozen=True, slots=True)
class Table:
    """A TOML table: every complaint is a ModelError that names the file and the full key."""

    values: Mapping[str, Any]
    file: Path
    prefix: str = ""

    def fail(self, key: str, message: str) -> ModelError:
        """The complaint about `key`."""
        return ModelError(f"{self.file}: {self.prefix}{key}: {message}")

    def only(self, *known: str) -> Table:
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

    def text(self, key: str, pattern: str = _LINE) -> str:
        """A one-line string that matches `pattern` whole."""
        value = cast(str, self.get(key, str, "a string"))
        if not re.fullmatch(pattern, value):
            words = "a line of text" if pattern == _LINE else f"a string that matches {pattern}"
            raise self.fail(key, f"expected {words}, got {value!r}")
        return value

    def texts(self, key: str, pattern: str = _LINE) -> tuple[str, ...]:
        """A list of at least one string, all different, each of which matches `pattern` whole."""
        values = self.get(key, list, "a list of strings")
        table = Table({f"{key}[{number}]": value for number, value in enumerate(values)}, self.file, self.prefix)
        found = tuple(table.text(each, pattern) for each in table.values)
        if not found or len(set(found)) < len(found):
            raise self.fail(key, f"expected strings that differ, at least one, got {values!r}")
        return found

    def flag(self, key: str) -> bool:
        """true or false; false where there is nothing."""
        return key in self.values and bool(self.get(key, bool, "true or false"))

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

    def table(self, key: str) -> Table:
        """The sub-table at `key`."""
        return Table(self.get(key, dict, "a table"), self.file, f"{self.prefix}{key}.")

    def tables(self, key: str) -> tuple[Table, ...]:
        """The sub-tables at `key`, of which there is at least one."""
        entries = self.get(key, list, f"at least one [[{key}]] table")
        if not entries:
            raise self.fail(key, f"expected at least one [[{key}]] table")
        found = []
        for number, entry in enumerate(entries):
            if not isinstance(entry, dict):
                raise self.fail(f"{key}[{number}]", f"expected a table, got {entry!r}")
            found.append(Table(entry, self.file, f"{self.prefix}{key}[{number}]."))
        return tuple(found)
