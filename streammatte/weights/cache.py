"""The folder where weights are kept, and how a file in it is known to be the right one.

Each model has `<name>.onnx` and beside it `<name>.json`, the sidecar: what the file hashes to, what its
source hashed to, which source it was and when. A file whose size and time are those of the sidecar is trusted
without hashing it again; `verify` hashes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from platformdirs import user_cache_dir

from streammatte.catalog import Model
from streammatte.errors import ModelError
from streammatte.weights.tflite_onnx import CONVERTER

__all__ = [
    "CACHE_VARIABLE",
    "Weights",
    "cache_dir",
    "forget",
    "locate",
    "locked",
    "onnx_path",
    "sha256_of",
    "source_path",
    "store",
    "verify",
    "weights_dir",
]

CACHE_VARIABLE = "STREAMMATTE_CACHE"
_BY_HAND = "put there by hand"


@dataclass(frozen=True, slots=True)
class Weights:
    """A model's weights, ready for a runtime."""

    path: Path
    """The ONNX file."""
    sha256: str
    """Of the ONNX file."""
    source: str
    """Where it came from, in words."""


def cache_dir() -> Path:
    """STREAMMATTE_CACHE where it is set, else the platform's folder for caches."""
    return Path(os.environ.get(CACHE_VARIABLE) or user_cache_dir("streammatte", appauthor=False)).expanduser()


def weights_dir() -> Path:
    """Where weights lie in the cache; it need not exist yet."""
    return cache_dir() / "weights"


def onnx_path(model: Model) -> Path:
    """Where the model's ONNX file is, or will be."""
    return weights_dir() / f"{model.name}.onnx"


def source_path(model: Model) -> Path:
    """Where a user may put the file as the sources hold it, to be used in place of a download."""
    return weights_dir() / f"{model.name}.{model.format}"


def sha256_of(path: Path) -> str:
    """The file's sha256 in hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def locate(model: Model) -> Weights | None:
    """The model's weights if the cache has them, else None. Needs no right to write."""
    path, sidecar = onnx_path(model), _sidecar(model)
    if not path.is_file():
        return None
    stat = path.stat()
    if sidecar and (sidecar["size_bytes"], sidecar["mtime_ns"]) == (stat.st_size, stat.st_mtime_ns):
        return Weights(path, sidecar["sha256"], sidecar["source"])
    if not sidecar and (model.format != "onnx" or stat.st_size != model.size_bytes):
        return None
    expected = sidecar["sha256"] if sidecar else model.sha256
    if sha256_of(path) != expected:
        return None
    weights = Weights(path, expected, sidecar["source"] if sidecar else _BY_HAND)
    with contextlib.suppress(OSError):  # a cache that can only be read is as good
        _write_sidecar(model, weights)
    return weights


def verify(model: Model) -> Weights:
    """The model's weights, hashed. Raises ModelError where absent or wrong; wrong ones are deleted."""
    path, sidecar = onnx_path(model), _sidecar(model)
    pull = f"run `streammatte models pull {model.name}`"
    if not path.is_file():
        raise ModelError(f"{model.name}: not in the cache ({path}): {pull}")
    if sidecar is None and model.format != "onnx":
        raise ModelError(f"{model.name}: {path} has no valid {path.stem}.json to verify it against: {pull}")
    expected = model.sha256 if model.format == "onnx" or sidecar is None else sidecar["sha256"]
    actual = sha256_of(path)
    if actual != expected:
        forget(model)
        raise ModelError(
            f"{model.name}: {path} was damaged and is deleted: expected sha256 {expected}, got {actual}: {pull}"
        )
    return Weights(path, actual, sidecar["source"] if sidecar else _BY_HAND)


def store(model: Model, onnx: Path, source: str) -> Weights:
    """Move the finished file `onnx`, on the cache's own disk, into its place, with its sidecar."""
    with onnx.open("rb+") as handle:
        os.fsync(handle.fileno())
    weights = Weights(onnx_path(model), sha256_of(onnx), source)
    onnx.replace(weights.path)
    _write_sidecar(model, weights)
    return weights


def forget(model: Model) -> None:
    """Delete the model's ONNX file and sidecar, where they are."""
    onnx_path(model).unlink(missing_ok=True)
    _sidecar_path(model).unlink(missing_ok=True)


def _sidecar_path(model: Model) -> Path:
    return weights_dir() / f"{model.name}.json"


def _converter(model: Model) -> str:
    return "" if model.format == "onnx" else CONVERTER


def _sidecar(model: Model) -> dict[str, Any] | None:
    """The sidecar, if it is whole and of this very source file and converter."""
    try:
        values = json.loads(_sidecar_path(model).read_text(encoding="utf-8"))
        kinds = {"size_bytes": int, "mtime_ns": int, "sha256": str, "source": str}
        whole = all(type(values[key]) is kind for key, kind in kinds.items())
        same = (values["source_sha256"], values["converter"]) == (model.sha256, _converter(model))
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return values if whole and same else None


def _write_sidecar(model: Model, weights: Weights) -> None:
    stat = weights.path.stat()
    values = {
        "model": model.name,
        "sha256": weights.sha256,
        "size_bytes": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
        "source_sha256": model.sha256,
        "source": weights.source,
        "converter": _converter(model),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    target = _sidecar_path(model)
    unfinished = target.with_suffix(f".json.{os.getpid()}")
    unfinished.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(target)


@contextlib.contextmanager
def locked(model: Model) -> Iterator[None]:
    """Hold the model's lock: one process at a time pulls it, the others wait here. Creates the folder."""
    weights_dir().mkdir(parents=True, exist_ok=True)
    with (weights_dir() / f"{model.name}.lock").open("a+b") as handle:
        _lock(handle)
        yield  # closing the file gives the lock back


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: IO[bytes]) -> None:
        """Wait for the file's first byte; msvcrt itself gives up after ten seconds."""
        while True:
            with contextlib.suppress(OSError):
                handle.seek(0)
                return msvcrt.locking(handle.fileno(), msvcrt.LK_LOCK, 1)

else:
    import fcntl

    def _lock(handle: IO[bytes]) -> None:
        """Wait for the whole file."""
        fcntl.flock(handle, fcntl.LOCK_EX)
