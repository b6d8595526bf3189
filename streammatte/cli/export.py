"""`streammatte engines export`: a model, or an architecture with its authors' weights, as one ONNX file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from streammatte.catalog import Model, catalog
from streammatte.catalog import model as model_named
from streammatte.cli.options import check_allowed
from streammatte.cli.screen import preparing, say
from streammatte.errors import ConfigError
from streammatte.exporting import ARCHITECTURES, Exported, copied, default_size, export, export_again, stem_of
from streammatte.int8 import applied_calibration, quantized
from streammatte.weights.cache import Weights, cache_dir
from streammatte.weights.pull import ensure

__all__ = ["export_network"]

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("export")
@click.argument("name", metavar="NAME")
@click.option("--weights", type=_FILE, metavar="FILE", help="The authors' weights of a network: .pth or .safetensors.")
@click.option("--random", "drawn", is_flag=True, help="Weights drawn at random, to try a runtime: mattes are noise.")
@click.option("--size", metavar="WxH", help="Of the network's input.  [default: as trained]")
@click.option(
    "--precision",
    type=click.Choice(["f32", "fp16", "int8"]),
    default="f32",
    show_default=True,
    help="Arithmetic in the file; int8 is for models that are calibrated.",
)
@click.option(
    "--patches",
    type=click.Choice(["columns", "planes"]),
    help="BiRefNet's order of patches: columns for weights trained before November 2024 (general, lite, portrait), "
    "planes for later ones (HR, dynamic). The wrong one gives worse mattes, and no error.",
)
@click.option("--output", "-o", type=_FILE, metavar="FILE.onnx", help="[default: NAME-SIZE-PRECISION.onnx, here]")
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing unless something is wrong.")
def export_network(
    name: str,
    weights: Path | None,
    drawn: bool,
    size: str | None,
    precision: Literal["f32", "fp16", "int8"],
    patches: Literal["columns", "planes"] | None,
    output: Path | None,
    force: bool,
    quiet: bool,
) -> None:
    """Write a network as one ONNX file that ONNX Runtime, OpenVINO and TensorRT read.

    NAME is a model of `streammatte models list`; or, with --weights or --random, a network: u2net, u2netp,
    birefnet:swin_v1_t or birefnet:swin_v1_l; the last takes minutes.
    """
    if weights is not None and drawn:
        raise ConfigError("engines export", _EITHER)
    wanted = _File(None if size is None else _size(size), precision, output, force)
    if weights is None and not drawn:
        done = _export_model(name, patches, wanted, quiet)
    else:
        done = _export_architecture(name, weights, patches, wanted)
    say(f"wrote    {done.path}  ({done.size_bytes / 2**20:.1f} MiB, sha256 {done.sha256})", quiet)


_EITHER = "give --weights FILE, or --random for a network that knows nothing"


@dataclass(frozen=True, slots=True)
class _File:
    """What is to be written; None is what the user did not say."""

    size: tuple[int, int] | None
    precision: Literal["f32", "fp16", "int8"]
    output: Path | None
    force: bool

    def path(self, name: str, size: tuple[int, int]) -> Path:
        return self.output or Path(f"{stem_of(name, size, self.precision)}.onnx")


def _export_architecture(architecture: str, weights: Path | None, patches: str | None, wanted: _File) -> Exported:
    if wanted.precision == "int8":
        raise ConfigError(
            "--precision", "int8 is for models, which have calibrations; leave --weights and --random out"
        )
    chosen = _checked_patches(architecture, patches, weights is None)
    size = wanted.size or default_size(architecture)
    return export(
        architecture,
        wanted.path(architecture, size),
        weights=weights,
        size=size,
        precision=wanted.precision,
        patches=chosen,
        force=wanted.force,
    )


def _export_model(name: str, patches: str | None, wanted: _File, quiet: bool) -> Exported:
    """With the weights of the catalogue."""
    if name in ARCHITECTURES and name not in catalog():
        raise ConfigError("engines export", _EITHER)
    model = model_named(name)
    check_allowed(model)
    if patches is not None:
        raise ConfigError("--patches", "is about weights of your own; leave it out")
    if wanted.precision == "int8" and (wanted.size is not None or model.int8 is None):
        why = f"{name} has no calibration" if model.int8 is None else "a calibration is of one size; leave --size out"
        raise ConfigError("--precision int8", why)
    size = wanted.size or (model.input.width, model.input.height)
    path = wanted.path(name, size)
    with preparing(quiet, name) as told:
        weights = ensure(model, progress=told.pulling)
    if wanted.precision == "int8":
        return copied(_int8_network(model, weights), path, force=wanted.force)
    return export_again(weights.path, path, size=size, precision=wanted.precision, force=wanted.force)


def _int8_network(model: Model, weights: Weights) -> Path:
    """The file that `engines build --output` writes."""
    assert model.int8 is not None
    calibration, _ = applied_calibration(model, model.int8, weights)
    return quantized(calibration, weights, cache_dir())


def _checked_patches(architecture: str, patches: str | None, drawn: bool) -> Literal["columns", "planes"]:
    """Not to be guessed: a file of weights does not say."""
    takes = architecture.startswith("birefnet")
    if patches is not None and not takes:
        raise ConfigError("--patches", f"is about birefnet, not {architecture}; leave it out")
    if patches is None and takes and not drawn:
        when = "columns for weights trained before November 2024 (general, lite, portrait), else planes (HR, dynamic)"
        raise ConfigError("--patches", f"say which order these weights were trained with: {when}")
    return "columns" if patches == "columns" else "planes"


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if match is None:
        raise ConfigError("--size", f"{text!r}: expected WIDTHxHEIGHT, such as 1024x576")
    return int(match[1]), int(match[2])
