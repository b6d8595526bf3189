"""Plans in the engine cache: read, or built where there is none that can be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from streammatte.engine_cache import EngineCache

__all__ = ["Plans", "write_down"]

T = TypeVar("T")


class Plans(Generic[T]):
    """The plan of one key, among the engines in `folder`; with None it is built each time.

    `hit` says whether it came from there, `notes` what was amiss with it.
    """

    def __init__(self, folder: Path | None, key: Mapping[str, str]) -> None:
        self._store = None if folder is None else EngineCache(folder, key, ".plan")
        self.hit = False

    @property
    def notes(self) -> tuple[str, ...]:
        """For the report."""
        note = None if self._store is None else self._store.note
        return (note,) if note else ()

    def engine(self, read: Callable[[Any], T], build: Callable[[], Any]) -> T:
        """`read(plan)` of the one kept, or of one that `build` gives, which is kept if it can be read."""
        kept = None if self._store is None else self._store.load(lambda path: read(path.read_bytes()))
        if kept is not None:
            self.hit = True
            return kept
        plan = build()
        engine = read(plan)
        if self._store is not None:
            write_down(self._store, plan)
        return engine


def write_down(store: EngineCache, content: Any) -> None:
    """Keep what has a buffer."""

    def write(path: Path) -> None:
        path.write_bytes(memoryview(content))

    store.store(write)
