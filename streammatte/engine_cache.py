"""Built engines on disk: one file per key, beside it a JSON that says the key in words."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from streammatte.errors import first_line

__all__ = ["EngineCache"]

T = TypeVar("T")


class EngineCache:
    """Maps a key (ONNX sha256, runtime and version, device, precision, ...) to a runtime's built bytes.

    A cache only saves time: whatever goes wrong with it (full disk, no permission, a blob another version wrote) costs
    a rebuild, never the run. `note` holds what went wrong, for the report.
    """

    def __init__(self, folder: Path, key: Mapping[str, str], suffix: str = ".blob") -> None:
        words = json.dumps(dict(sorted(key.items())), indent=1)
        self._blob = folder / f"{hashlib.sha256(words.encode()).hexdigest()[:32]}{suffix}"
        self._words = words
        self.note: str | None = None

    def load(self, read: Callable[[Path], T]) -> T | None:
        """`read(path)` if an engine is there; one that cannot be read is deleted, and None returned."""
        try:
            return read(self._blob) if self._blob.is_file() else None
        except Exception as error:  # a runtime may raise anything on a foreign blob
            with contextlib.suppress(OSError):
                self._blob.unlink(missing_ok=True)
            self.note = f"cached engine could not be loaded and was rebuilt: {first_line(error)}"
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
            self.note = f"built engine could not be kept: {first_line(error)}"
        finally:
            with contextlib.suppress(OSError):  # a read-only disk refuses even what is not there
                partial.unlink(missing_ok=True)
