"""Which files of the user's own engines are built from: their names are kept in the cache, beside no copy of them."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from streammatte.catalog import Model
from streammatte.weights.cache import Weights
from streammatte.weights.checking import cache_dir, write_json

__all__ = ["forget_own", "label_of", "own_names", "remember_own"]


def label_of(model: Model) -> str:
    """What lists of engines call it: its name; the path of a file of the user's own, since names may be alike."""
    return str(model.file) if model.own and model.file else model.name


def remember_own(model: Model, weights: Weights) -> None:
    """Keep which file has these bytes, so that what is built of them can be told. A cache that is full loses that."""
    with suppress(OSError):
        found = weights.path.stat()
        known: dict[str, object] = {"label": label_of(model), "path": str(weights.path)}
        known |= {"size_bytes": found.st_size, "mtime_ns": found.st_mtime_ns}
        target = _folder() / f"{weights.sha256}.json"
        if _read(target) != known:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_json(target, known)


def own_names() -> dict[str, str]:
    """sha256 -> label of each file that is still there as it was."""
    known = {path.stem: _read(path) for path in _folder().glob("*.json")}
    return {sha256: str(words["label"]) for sha256, words in known.items() if _unchanged(words)}


def forget_own(label: str) -> None:
    """Keep no more of what is called so."""
    for path in _folder().glob("*.json"):
        if _read(path).get("label") == label:
            with suppress(OSError):
                path.unlink()


def _folder() -> Path:
    return cache_dir() / "own"


def _read(path: Path) -> dict[str, object]:
    with suppress(OSError, ValueError):
        words = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(words, dict):
            return words
    return {}


def _unchanged(words: dict[str, object]) -> bool:
    with suppress(OSError):
        found = Path(str(words.get("path"))).stat()
        return (found.st_size, found.st_mtime_ns) == (words.get("size_bytes"), words.get("mtime_ns"))
    return False
