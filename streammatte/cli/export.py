"""`streammatte engines export`: an architecture with its authors' weights as one ONNX file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import click

from streammatte.cli.screen import say
from streammatte.errors import ConfigError
from streammatte.exporting import default_size, export, stem_of

__all__ = ["export_network"]

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("export")
@click.argument("architecture", metavar="NETWORK")
@click.option("--weights", type=_FILE, metavar="FILE", help="The authors' weights: .pth or .safetensors.")
@click.option("--random", "drawn", is_flag=True, help="Weights drawn at random, to try a runtime: mattes are noise.")
@click.option("--size", metavar="WxH", help="Of the network's input.  [default: as trained, 320x320 or 1024x1024]")
@click.option(
    "--precision", type=click.Choice(["f32", "fp16"]), default="f32", show_default=True, help="Arithmetic in the file."
)
@click.option(
    "--patches",
    type=click.Choice(["columns", "planes"]),
    help="BiRefNet's order of patches: columns for weights trained before November 2024 (general, lite, portrait), "
    "planes for later ones (HR, dynamic). The wrong one gives worse mattes, and no error.",
)
@click.option("--output", "-o", type=_FILE, metavar="FILE.onnx", help="[default: NETWORK-SIZE-PRECISION.onnx, here]")
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing unless something is wrong.")
def export_network(
    architecture: str,
    weights: Path | None,
    drawn: bool,
    size: str | None,
    precision: Literal["f32", "fp16"],
    patches: Literal["columns", "planes"] | None,
    output: Path | None,
    force: bool,
    quiet: bool,
) -> None:
    """Write NETWORK as one ONNX file that ONNX Runtime, OpenVINO and TensorRT read.

    NETWORK is u2net, u2netp, birefnet:swin_v1_t or birefnet:swin_v1_l; the last takes minutes.
    """
    if (weights is None) != drawn:
        raise ConfigError("engines export", "give --weights FILE, or --random for a network that knows nothing")
    chosen = _checked_patches(architecture, patches, drawn)
    wanted = default_size(architecture) if size is None else _size(size)
    path = output or Path(f"{stem_of(architecture, wanted, precision)}.onnx")
    done = export(architecture, path, weights=weights, size=wanted, precision=precision, patches=chosen, force=force)
    say(f"wrote    {done.path}  ({done.size_bytes / 2**20:.1f} MiB, sha256 {done.sha256})", quiet)


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
