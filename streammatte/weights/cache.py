"""The folder where weights are kept, and how a file in it is known to be the right one.

Each model has `<name>.onnx` and beside it `<name>.json`, the sidecar: what the file hashes to, what its
source hashed to, which source it was and when. A file whose size and time are those of the sidecar is trusted
without hashing it again; `verify` hashes.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from streammatte.catalog import Model
from streammatte.errors import ModelError
from streammatte.weights.checking import (
    CACHE_VARIABLE,
    cache_dir,
    complaint,
    first_pull,
    now,
    remember_first,
    sha256_of,
    weights_dir,
    write_json,
)
from streammatte.weights.converting import converter

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


def onnx_path(model: Model) -> Path:
    """Where the model's ONNX file is, or will be."""
    return model.file or weights_dir() / f"{model.name}.onnx"


def source_path(model: Model) -> Path:
    """Where a user may put the file as the sources hold it, to be used in place of a download."""
    extra = ".source" if model.source_suffix == ".onnx" and converter(model) else ""
    return weights_dir() / f"{model.name}{extra}{model.source_suffix}"


def locate(model: Model) -> Weights | None:
    """The model's weights if the cache has them, else None. Needs no right to write."""
    path = onnx_path(model)
    if not path.is_file():
        return None
    if model.file:
        return Weights(path, model.sha256, str(path))
    sidecar = _sidecar(model)
    stat = path.stat()
    if sidecar and (sidecar["size_bytes"], sidecar["mtime_ns"]) == (stat.st_size, stat.st_mtime_ns):
        return Weights(path, sidecar["sha256"], sidecar["source"])
    if not sidecar and (converter(model) or model.size_bytes not in (None, stat.st_size)):
        return None
    actual = sha256_of(path)
    if actual != sidecar["sha256"] if sidecar else complaint(model, path, actual):
        return None
    weights = Weights(path, actual, sidecar["source"] if sidecar else _BY_HAND)
    with contextlib.suppress(OSError):  # a cache that can only be read is as good
        _write_sidecar(model, weights, sidecar["source_sha256"] if sidecar else actual)
    return weights


def verify(model: Model) -> Weights:
    """The model's weights, hashed. Raises ModelError where absent or wrong; wrong ones are deleted from the cache."""
    if model.file:
        return _verified(model, model.file)
    path, sidecar = onnx_path(model), _sidecar(model)
    pull = f"run `streammatte models pull {model.name}`"
    if not path.is_file():
        raise ModelError(f"{model.name}: not in the cache ({path}): {pull}")
    actual = sha256_of(path)
    if not converter(model):
        wrong = complaint(model, path, actual)
    elif sidecar is None:
        raise ModelError(f"{model.name}: {path} has no valid {path.stem}.json to verify it against: {pull}")
    else:
        wrong = None if actual == sidecar["sha256"] else f"expected sha256 {sidecar['sha256']}, got {actual}"
    if wrong:
        forget(model)
        raise ModelError(f"{model.name}: {path} was damaged and is deleted: {wrong}: {pull}")
    return Weights(path, actual, sidecar["source"] if sidecar else _BY_HAND)


def _verified(model: Model, file: Path) -> Weights:
    """The user's own file; never deleted."""
    try:
        wrong = complaint(model, file, sha256_of(file))
    except OSError as error:
        raise ModelError(f"{file}: cannot be read: {error.strerror or error}; check the path") from error
    if wrong:
        raise ModelError(f"{file}: is another file than before: {wrong}")
    return Weights(file, model.sha256, str(file))


def store(model: Model, onnx: Path, source: str, source_sha256: str) -> Weights:
    """Move the finished file `onnx`, on the cache's own disk, into its place, with its sidecar."""
    with onnx.open("rb+") as handle:
        os.fsync(handle.fileno())
    weights = Weights(onnx_path(model), sha256_of(onnx), source)
    onnx.replace(weights.path)
    _write_sidecar(model, weights, source_sha256)
    return weights


def forget(model: Model) -> None:
    """Delete the model's ONNX file and sidecar, where they are; what is known of its first pull stays."""
    onnx_path(model).unlink(missing_ok=True)
    _sidecar_path(model).unlink(missing_ok=True)


def _sidecar_path(model: Model) -> Path:
    return weights_dir() / f"{model.name}.json"


def _sidecar(model: Model) -> dict[str, Any] | None:
    """The sidecar, if it is whole and of this very source file and converter."""
    try:
        values = json.loads(_sidecar_path(model).read_text(encoding="utf-8"))
        kinds = {"size_bytes": int, "mtime_ns": int, "sha256": str, "source": str, "source_sha256": str}
        whole = all(type(values[key]) is kind for key, kind in kinds.items())
        same = values["converter"] == converter(model) and _of_this_file(model, values)
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return values if whole and same else None


def _of_this_file(model: Model, values: dict[str, Any]) -> bool:
    """Whether the sidecar's source file is the one that the catalogue means."""
    if model.sha256:
        return bool(values["source_sha256"] == model.sha256)
    if model.md5:
        return bool(values["source_md5"] == model.md5)
    first = first_pull(model)
    return first is None or values["source_sha256"] == first.sha256


def _write_sidecar(model: Model, weights: Weights, source_sha256: str) -> None:
    remember_first(model, source_sha256, weights.source)
    stat = weights.path.stat()
    values: dict[str, object] = {
        "model": model.name,
        "sha256": weights.sha256,
        "size_bytes": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
        "source_sha256": source_sha256,
        "source_md5": model.md5,
        "source": weights.source,
        "converter": converter(model),
        "date": now(),
    }
    write_json(_sidecar_path(model), values)


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
