"""Which built engines are worth another look, and which no run will use again."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from streammatte import registry
from streammatte.catalog import Model, catalog
from streammatte.inventory import Built, built, delete
from streammatte.ports import Runtime
from streammatte.weights.cache import cache_dir
from streammatte.weights.own import label_of

__all__ = ["clean", "engines_to_verify"]

_RECENT_S = 3600.0
"""Another run may be writing what is younger."""


def engines_to_verify(model: Model | None) -> list[tuple[Model, str, str]]:
    """(model, runtime, precision) of each engine in the cache that can run here and is compared with f32, once.

    Without `model`, of those of the catalogue: how to read another's output only its own file says.
    """
    known = dict(catalog()) if model is None else {label_of(model): model}
    usable = {runtime.identity(): runtime for runtime in _usable()}
    found: dict[tuple[str, str, str], Model] = {}
    for each in built():
        runtime = usable.get((each.runtime, each.device))
        if each.kind != "engine" or each.model not in known or runtime is None:
            continue
        if each.precision == "f32" and runtime.trusted:
            continue
        found[each.model, runtime.name, each.precision] = known[each.model]
    return [(model, runtime, precision) for (_, runtime, precision), model in found.items()]


def clean() -> list[tuple[Built, str]]:
    """Delete what no run will use again; what that was, and why. Raises ModelError for what cannot be deleted."""
    usable = {runtime.identity() for runtime in _usable()}
    gone = [(each, why) for each in built() if (why := _useless(each, usable)) is not None]
    for each, _ in gone:
        delete(each)
    return gone + _leftovers(cache_dir() / "engines")


def _usable() -> list[Runtime]:
    runtimes: list[Runtime] = [registry.load(registry.RUNTIMES, name, "--runtime")() for name in registry.RUNTIMES]
    return [runtime for runtime in runtimes if runtime.unavailable() is None]


def _useless(each: Built, usable: set[tuple[str, str]]) -> str | None:
    if each.kind == "calibration":
        return None
    if each.model is None and each.kind != "timing cache":
        return "made from weights that are no longer here"
    if each.runtime and (each.runtime, each.device) not in usable:
        return f"for {each.runtime} on {each.device}, which is not here"
    return None


def _leftovers(folder: Path) -> list[tuple[Built, str]]:
    """Files that were being written when a run was killed, and words without what they are about; not recent ones."""
    gone = []
    for path in sorted(folder.glob("*")):
        why = _left(path)
        if why is not None and time.time() - path.stat().st_mtime > _RECENT_S:
            gone.append((_leftover(path), why))
    for each, _ in gone:
        delete(each)
    return gone


def _left(path: Path) -> str | None:
    if ".partial" in path.name:
        return "half-written"
    alone = path.suffix == ".json" and not any(other != path for other in path.parent.glob(f"{path.stem}.*"))
    return "what it describes is gone" if alone else None


def _leftover(path: Path) -> Built:
    stat = path.stat()
    made = datetime.fromtimestamp(stat.st_mtime, UTC)
    return Built(None, "leftover", "", "", "", 0, stat.st_size, made, "", path)
