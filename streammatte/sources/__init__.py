"""Where frames come from. `open_source` picks the adapter by how the input is named."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from streammatte.ports import Source
from streammatte.sources.addresses import is_network
from streammatte.sources.options import PICTURE_SUFFIXES, SourceOptions

__all__ = ["PICTURE_SUFFIXES", "SourceOptions", "open_source"]

_ADAPTERS = {
    "camera": "streammatte.sources.camera:CameraSource",
    "file": "streammatte.sources.file:FileSource",
    "images": "streammatte.sources.images:ImageSource",
    "network": "streammatte.sources.network:NetworkSource",
    "pattern": "streammatte.sources.pattern:PatternSource",
}
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SEQUENCE = re.compile(r"%0?\d*d|[*?]|\[[^\]]+\]")


class _Opens(Protocol):
    def __call__(self, spec: str, options: SourceOptions) -> Source: ...


def open_source(spec: str, options: SourceOptions = SourceOptions()) -> Source:  # noqa: B008 (frozen)
    """The source that `spec` names: file, URL, `-`, `lavfi:GRAPH`, `pattern:`, picture, folder, `%06d.png`, `camera`.

    Raises SourceError where it cannot be opened or holds no picture, ConfigError for an unfit option.
    """
    module, name = _ADAPTERS[_kind(spec, options)].split(":")
    return cast(_Opens, getattr(import_module(module), name))(spec, options)


def _kind(spec: str, options: SourceOptions) -> str:
    if spec == "pattern" or spec.startswith("pattern:"):
        return "pattern"
    if spec.split(":")[0] in ("camera", "screen"):
        return "camera"
    if is_network(spec):
        return "network"
    if options.input_format or spec == "-" or spec.startswith("lavfi:") or _URL.match(spec):
        return "file"
    path = Path(spec)
    if path.is_dir():
        return "images"
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        # a name with wildcards that is not a file is still a sequence, of whatever pictures it finds
        return "images" if _SEQUENCE.search(path.name) and not path.exists() else "file"
    return "file" if _moves(path) else "images"


def _moves(path: Path) -> bool:
    """An animated PNG: a film under a still picture's name."""
    if path.suffix.lower() != ".png" or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return b"acTL" in file.read(4096)
    except OSError:
        return False
