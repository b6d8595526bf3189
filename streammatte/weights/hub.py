"""Fetches a file of a Hugging Face repository, at a pinned commit or a branch; one that is there is not fetched."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from urllib.parse import quote

from streammatte.catalog import WeightSource
from streammatte.errors import ModelError
from streammatte.weights.fetch import Progress, fetch, switched_on

__all__ = ["fetch_hub_file", "in_hub_cache"]

_ENDPOINT = "https://huggingface.co"
_OFFLINE_VARIABLE = "HF_HUB_OFFLINE"
_COMMIT = r"[0-9a-f]{40}"


def fetch_hub_file(source: WeightSource, partial: Path, progress: Progress | None = None) -> None:
    """Bring `partial` to hold the source's file: from the cache of the hub's own tools where it is there.

    HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE and what moves that cache are honoured. Raises as `fetch`.
    """
    there = in_hub_cache(source)
    if there is not None:
        shutil.copyfile(there, partial)
        return
    if switched_on(_OFFLINE_VARIABLE):
        raise ModelError(f"{_OFFLINE_VARIABLE} is set, and the hub's cache ({_their_cache()}) does not have it")
    endpoint = (os.environ.get("HF_ENDPOINT") or _ENDPOINT).rstrip("/")
    url = f"{endpoint}/{source.repo}/resolve/{quote(source.revision)}/{quote(source.file)}"
    token = os.environ.get("HF_TOKEN", "").strip()
    remedy = f"accept its licence at {_ENDPOINT}/{source.repo} and set HF_TOKEN"
    if source.gated and not token:
        raise ModelError(f"it is given to those alone who have accepted its licence there: {remedy}")
    try:
        fetch(url, partial, token=token, progress=progress)
    except ModelError as error:
        if str(error).startswith(("HTTP 401", "HTTP 403")):
            reason = f"HF_TOKEN has no access to it; {remedy}" if token else remedy
            raise ModelError(f"{error}: {reason}") from error
        raise


def in_hub_cache(source: WeightSource) -> Path | None:
    """The file in the cache of the hub's own tools, None where it is not there.

    Files of a branch do not count: what it held on some day says nothing of what it holds.
    """
    if not re.fullmatch(_COMMIT, source.revision):
        return None
    folder = _their_cache() / f"models--{source.repo.replace('/', '--')}"
    path = folder / "snapshots" / source.revision / source.file
    return path if path.is_file() else None


def _their_cache() -> Path:
    """As huggingface_hub finds it."""
    given = os.environ.get("HF_HUB_CACHE")
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return (Path(given) if given else Path(home) / "hub").expanduser()
