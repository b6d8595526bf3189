"""From an architecture and its authors' weights, or a model's own file, to one ONNX file that every runtime reads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from streammatte.errors import ConfigError, ModelError
from streammatte.networks import ARCHITECTURES, build
from streammatte.networks.patches import STRIDE_PX, PatchOrder
from streammatte.sinks.partial import Partial, sink_errors

if TYPE_CHECKING:
    from streammatte.networks.export import ExportPrecision

__all__ = ["ARCHITECTURES", "Exported", "copied", "default_size", "export", "export_again", "stem_of"]

_SEED = 0
_LARGEST_PX = 4096


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that has been written."""

    path: Path
    size_bytes: int
    sha256: str


def default_size(architecture: str) -> tuple[int, int]:
    """Width and height the authors trained at."""
    return (320, 320) if architecture.startswith("u2net") else (1024, 1024)


def stem_of(architecture: str, size: tuple[int, int], precision: str) -> str:
    """What a file of it is called where nobody says."""
    return f"{architecture.replace(':', '-')}-{size[0]}x{size[1]}-{precision}"


def export(
    architecture: str,
    path: Path,
    *,
    weights: Path | None,
    size: tuple[int, int],
    precision: ExportPrecision = "f32",
    patches: PatchOrder = "planes",
    force: bool = False,
) -> Exported:
    """Write `architecture` (one of ARCHITECTURES) with `weights` as ONNX; None draws them, always the same.

    `size` is (width, height); `patches` is BiRefNet's. Nothing is left behind where it fails. Raises ConfigError (torch
    is not installed, a size that does not fit), ModelError (architecture, weights), SinkError (`path`).
    """
    name, backbone = _checked(architecture, size)
    _check_torch()
    return _written(path, force, lambda: _content(name, backbone, weights, size, precision, patches))


def export_again(
    network: Path, path: Path, *, size: tuple[int, int], precision: ExportPrecision, force: bool = False
) -> Exported:
    """Write the network in the ONNX file `network` as `export` does, at another size or in another precision.

    Raises what `export` raises; ModelError where it is no network that streammatte knows in torch.
    """
    _check_size(size)
    _check_torch()
    return _written(path, force, lambda: _content_again(network, size, precision))


def copied(network: Path, path: Path, *, force: bool = False) -> Exported:
    """Write the ONNX file `network` as it is. Raises SinkError."""
    return _written(path, force, network.read_bytes)


def _written(path: Path, force: bool, make: Callable[[], bytes]) -> Exported:
    partial = Partial(path, force)
    try:
        content = make()
        with sink_errors(path):
            partial.temporary.write_bytes(content)
        partial.promote()
    finally:
        partial.discard()
    return Exported(path, len(content), hashlib.sha256(content).hexdigest())


def _checked(architecture: str, size: tuple[int, int]) -> tuple[str, str]:
    """Name and backbone."""
    if architecture not in ARCHITECTURES:
        raise ModelError(f"{architecture}: no such network; one of {', '.join(ARCHITECTURES)}")
    _check_size(size)
    name, _, backbone = architecture.partition(":")
    return name, backbone


def _check_size(size: tuple[int, int]) -> None:
    if any(side % STRIDE_PX or not 0 < side <= _LARGEST_PX for side in size):
        sides = f"multiples of {STRIDE_PX} up to {_LARGEST_PX}"
        raise ConfigError("--size", f"{size[0]}x{size[1]}: width and height must be {sides}")


def _check_torch() -> None:
    try:
        for library in ("torch", "onnxscript"):
            import_module(library)
    except ModuleNotFoundError as error:
        remedy = "pip install 'streammatte[torch]'"
        raise ConfigError("engines export", f"needs {error.name}, which is not installed: {remedy}") from error


def _content(
    name: str,
    backbone: str,
    weights: Path | None,
    size: tuple[int, int],
    precision: ExportPrecision,
    patches: PatchOrder,
) -> bytes:
    import torch

    from streammatte.networks.export import to_onnx
    from streammatte.networks.loading import load_weights

    if weights is None:
        with torch.random.fork_rng():
            torch.manual_seed(_SEED)
            network = build(name, backbone=backbone, patches=patches)
    else:
        with torch.device("meta"):  # what is loaded need not be drawn first
            network = build(name, backbone=backbone, patches=patches)
        load_weights(network, weights)
    return to_onnx(network, width=size[0], height=size[1], precision=precision)


def _content_again(network: Path, size: tuple[int, int], precision: ExportPrecision) -> bytes:
    from streammatte.networks.export import to_onnx
    from streammatte.networks.onnx_weights import from_onnx

    return to_onnx(from_onnx(network), width=size[0], height=size[1], precision=precision)
