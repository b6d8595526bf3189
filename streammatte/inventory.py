"""What lies built in the cache: engines, the networks they are built from, and users' own calibrations."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from streammatte.catalog import Model, catalog
from streammatte.errors import ModelError
from streammatte.int8 import CALIBRATION_SUFFIX, own_calibration
from streammatte.parity import Difference
from streammatte.quantization.calibration import read_calibration
from streammatte.weights.cache import cache_dir, locate, sha256_of
from streammatte.weights.own import forget_own, label_of, own_names

__all__ = ["Built", "built", "delete", "remove", "remove_all"]


@dataclass(frozen=True, slots=True)
class Built:
    """One file that a run would otherwise have to make, as its sidecar describes it."""

    model: str | None
    """Of a file of the user's own, its path. None where it was built from weights that are no longer there, and for a
    timing cache, which is of no model."""
    kind: str
    """engine; network: the Q/DQ or float16 network that engines are built from; verdict: how far one of these is from
    f32; timing cache, runtime cache: what a runtime learnt while it built or loaded; calibration: a user's own."""
    precision: str
    runtime: str
    """Library and version; empty where it is of no runtime."""
    device: str
    streams: int
    """Frames at a time; 0 where it is no engine."""
    size_bytes: int
    made: datetime
    """UTC."""
    words: str
    """What else there is to say."""
    path: Path


def built() -> list[Built]:
    """Everything, by model and date."""
    sidecars = dict(_sidecars(cache_dir() / "engines"))
    names = _names(sidecars)
    found = [_described(path, key, names) for path, key in sidecars.items()]
    found += [_own(path) for path in sorted((cache_dir() / "calibrations").glob(f"*{CALIBRATION_SUFFIX}"))]
    return sorted(found, key=lambda each: (each.model or "~", each.made))


def remove(model: Model) -> list[Built]:
    """Delete what was built for `model`, and its own calibration; what that was. Raises ModelError."""
    calibration, label = own_calibration(model), label_of(model)
    gone = [
        each for each in built() if (each.path == calibration if each.kind == "calibration" else each.model == label)
    ]
    for each in gone:
        delete(each)
    if model.own:
        forget_own(label)
    return gone


def remove_all() -> list[Built]:
    """Delete every engine and every calibration of the user's, leftovers too; what that was. Raises ModelError."""
    gone = built()
    for folder in (cache_dir() / "engines", cache_dir() / "calibrations", cache_dir() / "own"):
        try:
            if folder.is_dir():
                shutil.rmtree(folder)
        except OSError as error:
            raise _undeletable(folder, error) from error
    return gone


def delete(each: Built) -> None:
    """Delete one file, and what describes it. Raises ModelError."""
    for path in (each.path,) if each.kind == "calibration" else (each.path, each.path.with_suffix(".json")):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _undeletable(path, error) from error


def _undeletable(path: Path, error: OSError) -> ModelError:
    return ModelError(f"{path}: cannot be deleted: {error.strerror or error}; check its permissions")


def _sidecars(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Each built file with the key in its sidecar; what has no readable one is not an engine."""
    for sidecar in sorted(folder.glob("*.json")):
        with suppress(OSError, ValueError):
            key = json.loads(sidecar.read_text(encoding="utf-8"))
            files = [
                path for path in folder.glob(f"{sidecar.stem}.*") if not path.suffix.startswith((".json", ".partial"))
            ]
            if files and isinstance(key, dict):
                yield files[0], key


def _names(sidecars: dict[Path, dict[str, Any]]) -> dict[str, str]:
    """sha256 -> model, of weights in the cache and of the Q/DQ networks made from them."""
    weights = {name: locate(model) for name, model in catalog().items()}
    names = own_names() | {found.sha256: name for name, found in weights.items() if found}
    networks = {path: str(key["of"]) for path, key in sidecars.items() if "of" in key}
    return names | {sha256_of(path): names[of] for path, of in networks.items() if of in names}


def _described(path: Path, key: dict[str, Any], names: dict[str, str]) -> Built:
    source = next((str(key[word]) for word in ("onnx_sha256", "of", "parity_of") if word in key), "")
    precision = str(key.get("precision", "" if "kept" in key else "int8"))
    kind, words = "engine", ""
    if "of" in key:
        kind, words = "network", f"{'float16' if precision == 'fp16' else 'Q/DQ'}, the same for every runtime"
    elif "parity_of" in key:
        kind, words = "verdict", _apart(path)
    elif "kept" in key:
        kind, words = str(key["kept"]), "only saves time"
    return Built(
        model=names.get(source),
        kind=kind,
        precision=precision,
        runtime=str(key.get("runtime", "")),
        device=str(key.get("device", "")),
        streams=int(key.get("streams", 0)) if kind == "engine" else 0,
        words=words,
        **_file(path),
    )


def _apart(path: Path) -> str:
    with suppress(OSError, ValueError, TypeError):
        return f"from f32: {Difference(**json.loads(path.read_text(encoding='utf-8')))}"
    return "cannot be read"


def _own(path: Path) -> Built:
    try:
        words = f"measured on {read_calibration(path).calibrated_on}"
    except ModelError:
        words = "cannot be read, and is not used"
    return Built(
        model=path.name.removesuffix(CALIBRATION_SUFFIX),
        kind="calibration",
        precision="int8",
        runtime="",
        device="",
        streams=0,
        words=words,
        **_file(path),
    )


def _file(path: Path) -> dict[str, Any]:
    stat = path.stat()
    return {"size_bytes": stat.st_size, "made": datetime.fromtimestamp(stat.st_mtime, UTC), "path": path}
