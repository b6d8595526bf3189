"""Built engines on disk: one file per key, beside it a JSON that says the key in words."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

__all__ = ["EngineCache"]

T = TypeVar("T")


class EngineCache:
    """Maps a key (ONNX sha256, runtime and version, device, precision, ...) to a runtime's built bytes.

    A cache only saves time: whatever goes wrong with it (full disk, no permission, a blob another version wrote) costs
    a rebuild, never the run. `note` holds what went wrong, for the report.
    """

    def __init__(self, folder: Path, key: Mapping[str, str]) -> None:
        words = json.dumps(dict(sorted(key.items())), indent=1)
        self._blob = folder / f"{hashlib.sha256(words.encode()).hexdigest()[:32]}.blob"
        self._words = words
        self.note: str | None = None

    def load(self, read: Callable[[Path], T]) -> T | None:
        """`read(path)` if an engine is there; one that cannot be read is deleted, and None returned."""
        if not self._blob.is_file():
            return None
        try:
            return read(self._blob)
        except Exception as error:  # a runtime may raise anything on a foreign blob
            self._blob.unlink(missing_ok=True)
            self.note = f"cached engine could not be loaded and was rebuilt: {_line(error)}"
            return None

    def store(self, write: Callable[[Path], None]) -> None:
        """Keep what `write(path)` writes, complete or not at all."""
        partial = self._blob.with_suffix(f".partial-{os.getpid()}")
        try:
            self._blob.parent.mkdir(parents=True, exist_ok=True)
            write(partial)
            self._blob.with_suffix(".json").write_text(self._words)
            partial.replace(self._blob)
        except Exception as error:
            self.note = f"built engine could not be kept: {_line(error)}"
        finally:
            partial.unlink(missing_ok=True)


def _line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
