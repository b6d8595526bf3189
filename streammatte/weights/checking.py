"""How a file of weights is known to be the right one: by what its publisher states, or by what came first.

Where a publisher states nothing, the sha256 of the first pull is kept beside the weights, in `<name>.first.json`, with
its date and source, and whatever comes later must have it too.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from platformdirs import user_cache_dir

from streammatte.catalog import Model

__all__ = [
    "CACHE_VARIABLE",
    "FirstPull",
    "cache_dir",
    "checksum_words",
    "complaint",
    "first_pull",
    "first_pull_path",
    "now",
    "remember_first",
    "sha256_of",
    "weights_dir",
    "write_json",
]

CACHE_VARIABLE = "STREAMMATTE_CACHE"


@dataclass(frozen=True, slots=True)
class FirstPull:
    """What came when the weights were pulled for the first time."""

    sha256: str
    """Of the file as the source holds it."""
    source: str
    """In words."""
    date: str
    """UTC, ISO 8601."""


def cache_dir() -> Path:
    """STREAMMATTE_CACHE where it is set, else the platform's folder for caches."""
    return Path(os.environ.get(CACHE_VARIABLE) or user_cache_dir("streammatte", appauthor=False)).expanduser()


def weights_dir() -> Path:
    """Where weights lie in the cache; it need not exist yet."""
    return cache_dir() / "weights"


def sha256_of(path: Path) -> str:
    """The file's sha256 in hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def complaint(model: Model, path: Path, sha256: str) -> str | None:
    """Why `path`, whose sha256 is given, is not the model's file as its sources hold it; None where it is."""
    if model.sha256:
        return None if sha256 == model.sha256 else f"expected sha256 {model.sha256}, got {sha256}"
    if model.md5:
        with path.open("rb") as handle:
            md5 = hashlib.file_digest(handle, "md5").hexdigest()
        return None if md5 == model.md5 else f"expected md5 {model.md5}, got {md5}"
    first = first_pull(model)
    if first is None or first.sha256 == sha256:
        return None
    was = f"sha256 {first.sha256}, as of the first pull ({first.date}, from {first.source})"
    return f"expected {was}, got {sha256}; if it is meant to have changed, delete {first_pull_path(model)}"


def checksum_words(model: Model) -> str:
    """What the model's file is known by, in words."""
    if model.sha256:
        return f"sha256 {model.sha256}"
    if model.md5:
        return f"md5 {model.md5}"
    first = first_pull(model)
    if first is None:
        return "no checksum is published: the first pull decides"
    return f"sha256 {first.sha256} (none is published; of the first pull, {first.date}, from {first.source})"


def first_pull_path(model: Model) -> Path:
    """Where the first pull of a model without published checksum is kept."""
    return weights_dir() / f"{model.name}.first.json"


def first_pull(model: Model) -> FirstPull | None:
    """What was kept of it; None where nothing was, or where it cannot be read."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return FirstPull(**json.loads(first_pull_path(model).read_text(encoding="utf-8")))
    return None


def remember_first(model: Model, sha256: str, source: str) -> None:
    """Keep what came, where no checksum is published and nothing is kept yet. Raises OSError."""
    if not model.sha256 and not model.md5 and first_pull(model) is None:
        write_json(first_pull_path(model), asdict(FirstPull(sha256, source, now())))


def write_json(target: Path, values: dict[str, object]) -> None:
    """Write `target` whole or not at all. Raises OSError."""
    unfinished = target.with_suffix(f".json.{os.getpid()}")
    unfinished.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(target)


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
