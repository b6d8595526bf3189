"""A user's bare ONNX file as a model: what it does not say is found out where it can be, assumed where it cannot."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from streammatte import registry
from streammatte.catalog import InputSpec, Model, OutputSpec, WeightSource
from streammatte.errors import ModelError
from streammatte.loading import REFERENCE
from streammatte.parity import parity_batches
from streammatte.ports import Runtime
from streammatte.weights.cache import sha256_of
from streammatte.weights.onnx_ends import Ends, read_ends

__all__ = ["bare_model", "drafted_toml"]

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, with which most networks were trained."""
_OVERSHOOT = 0.5
"""An alpha without an activation goes this far beyond [0, 1], at most; logits go further."""
_SOME_SIZE = 512, 512
_UNSTATED = "not stated"


def bare_model(file: Path, sha256: str) -> Model:
    """The model that the ONNX file `file` (absolute, of that sha256) is. `assumed` says what it does not say itself.

    Raises ModelError where it is no network of one picture in, one alpha out, of a fixed size.
    """
    found = _probed(file, None)
    if not found.size_is_fixed:
        raise ModelError(f"{file}: leaves the size of its input open, {found.ends.inputs[0]}; {_way_on(file)}")
    model = _model(found, file, sha256)
    activation, why = _activation(found, model)
    if activation is None:
        raise ModelError(f"{file}: gives neither an alpha nor logits: {why}; {_way_on(file)}")
    assumed = (
        f"{file.name}: alpha is its output {found.ends.outputs[found.index].name}, activation {activation} ({why}); "
        "ImageNet normalisation is assumed; a TOML can say otherwise, see docs/models.md"
    )
    return replace(model, output=OutputSpec(found.index, activation), assumed=(assumed,))


def drafted_toml(file: Path) -> str:
    """A TOML about the ONNX file `file` (absolute), to be completed, kept as its name with .toml, and given to --model.

    Raises ModelError where it is no network of one picture in, one alpha out.
    """
    found, sha256 = _probed(file, _SOME_SIZE), sha256_of(file)
    activation: str | None
    if found.size_is_fixed:
        activation, why = _activation(found, _model(found, file, sha256))
    else:
        bounded = found.output_name in found.ends.bounded
        activation, why = ("none", _BY_THE_GRAPH) if bounded else ("sigmoid", "assumed; none if it gives an alpha")
    size = "\nany_size = true # it leaves that open: put in below what it was trained for" * (not found.size_is_fixed)
    return _DRAFT.format(
        name=json.dumps(file.stem, ensure_ascii=False),
        path=json.dumps(str(file), ensure_ascii=False),
        sha256=sha256,
        size_bytes=file.stat().st_size,
        any_size=size,
        width=found.width,
        height=found.height,
        mean=list(_MEAN),
        std=list(_STD),
        index=found.index,
        output=found.output_name,
        activation=activation or "none",
        why=why,
    )


def _way_on(file: Path) -> str:
    toml = file.with_suffix(".toml")
    return f"`streammatte models toml {file} > {toml}` writes what is known of it; complete that and use --model {toml}"


# what the file says


@dataclass(frozen=True, slots=True)
class _Probed:
    ends: Ends
    width: int
    height: int
    size_is_fixed: bool
    index: int
    """Of the output that is the alpha."""

    @property
    def output_name(self) -> str:
        return self.ends.outputs[self.index].name


def _probed(file: Path, size: tuple[int, int] | None) -> _Probed:
    """`size` (width, height) is taken where the file leaves it open."""
    ends = read_ends(file, size)
    if len(ends.inputs) != 1:
        raise ModelError(
            f"{file}: has {len(ends.inputs)} inputs ({', '.join(map(str, ends.inputs))}), expected one, the picture; a "
            "recurrent network needs a TOML that names its state, see docs/models.md"
        )
    (picture,) = ends.inputs
    sides = picture.shape if picture.shape and len(picture.shape) == 4 else (None,) * 4
    wide, high = (each or other for each, other in zip(sides[:1:-1], size or (1, 1), strict=True))
    if not picture.fits(1, 3, high, wide):
        raise ModelError(f"{file}: takes {picture}, expected (1, 3, height, width) float: an RGB picture")
    fitting = [number for number, each in enumerate(ends.outputs) if each.fits(1, 1, high, wide)]
    is_fixed = None not in sides[2:]
    if not fitting and (is_fixed or size):
        gives = ", ".join(map(str, ends.outputs))
        raise ModelError(f"{file}: gives {gives}, expected (1, 1, {high}, {wide}) float: an alpha")
    return _Probed(ends, wide, high, is_fixed, (fitting or [0])[0])


def _model(found: _Probed, file: Path, sha256: str) -> Model:
    return Model(
        name=file.name,
        title=file.name,
        summary="A user's own file",
        author=_UNSTATED,
        citation=_UNSTATED,
        homepage=_UNSTATED,
        licence="unknown",
        commercial="ask",
        licence_text="nothing states it, it is for you to know; a TOML can state it",
        format="onnx",
        sha256=sha256,
        size_bytes=file.stat().st_size,
        input=InputSpec(found.width, found.height, _MEAN, _STD),
        output=OutputSpec(found.index, "none"),
        sources=(WeightSource("path", path=str(file)),),
        own=True,
        file=file,
    )


# what it gives

_BY_THE_GRAPH = "it ends in one that is part of it"


def _activation(found: _Probed, model: Model) -> tuple[Literal["none", "sigmoid"] | None, str]:
    """What the output needs (None: no such thing), and how that is known: by the graph, else by what it gives."""
    output = found.ends.outputs[found.index]
    if output.name in found.ends.bounded and None not in (output.shape or (None,)):
        return "none", _BY_THE_GRAPH
    low, high = _range(model)
    why = f"it gives {low:.3g} to {high:.3g} for the pictures that ship with streammatte"
    if low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT:
        return "none", why
    return ("sigmoid" if low < 0 else None), why


def _range(model: Model) -> tuple[float, float]:
    """The output's least and greatest value. Raises ModelError where it cannot be run, or has another shape."""
    assert model.file is not None
    runtime: Runtime = registry.load(registry.RUNTIMES, REFERENCE, "--runtime")()
    try:
        loaded = runtime.load(model.file, model.sha256, output=model.output.index, precision="f32", cache=None)
        with closing(loaded) as session:
            found = [session.run(batch) for batch in parity_batches(model.input)]
    except Exception as error:  # the library's own, whose last line often is the one that tells
        raise ModelError(f"{model.file}: cannot be run by {REFERENCE}: {' '.join(str(error).split())}") from error
    wanted = (1, 1, model.input.height, model.input.width)
    if found[0].shape != wanted:
        raise ModelError(f"{model.file}: gives {found[0].shape}, expected {wanted}: an alpha")
    return float(np.min(found)), float(np.max(found))


_DRAFT = """\
# What the ONNX file says of itself. What is not stated is for you to put in; the name is that of this file.

name = {name}
title = {name}
summary = "not stated"
author = "not stated"
citation = "not stated"
homepage = "not stated"
licence = "unknown"
commercial = "ask" # or yes, or no: --commercial refuses all but yes
licence_url = "not stated"
licence_text = "not stated"

[weights]
format = "onnx"
sha256 = "{sha256}"
size_bytes = {size_bytes}{any_size}

[input]
width = {width}
height = {height}
mean = {mean} # ImageNet's, which is assumed
std = {std}

[output]
index = {index} # {output}
activation = "{activation}" # {why}

[[source]]
kind = "path"
path = {path}
"""
