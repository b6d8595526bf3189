"""Fetches a file of a Hugging Face repository, at a pinned commit."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from streammatte.catalog import WeightSource
from streammatte.errors import ModelError
from streammatte.weights.fetch import Progress, fetch

__all__ = ["fetch_hub_file"]

_ENDPOINT = "https://huggingface.co"


def fetch_hub_file(source: WeightSource, partial: Path, progress: Progress | None = None) -> None:
    """Bring `partial` to hold the source's file; HF_ENDPOINT and HF_TOKEN are honoured. Raises as `fetch`."""
    endpoint = os.environ.get("HF_ENDPOINT") or _ENDPOINT
    url = f"{endpoint.rstrip('/')}/{source.repo}/resolve/{source.revision}/{quote(source.file)}"
    token = os.environ.get("HF_TOKEN", "").strip()
    try:
        fetch(url, partial, token=token, progress=progress)
    except ModelError as error:
        if str(error).startswith(("HTTP 401", "HTTP 403")):
            reason = "HF_TOKEN has no access to it" if token else "accept its licence and set HF_TOKEN"
            raise ModelError(f"{error}: {reason}") from error
        raise
