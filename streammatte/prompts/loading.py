"""Loads a model of `transformers`, shows it frames, and says what it is."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from streammatte.errors import ModelError, first_line
from streammatte.frame import Frame
from streammatte.kernels import host
from streammatte.meter import RefinerReport

__all__ = ["device_of", "load", "report_of", "shown"]

_BLOCK = 2**20


def load(folder: Path, kind: str) -> Any:
    """The model of class `kind` in `folder`, in f32, on a GPU where there is one.

    Raises ModelError where it cannot be loaded whole: what is missing would be filled with chance.
    """
    made = getattr(transformers, kind, None)
    if made is None:
        version = transformers.__version__
        raise ModelError(f"transformers {version} has no {kind}: pip install --upgrade 'streammatte[prompt]'")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        model, said = made.from_pretrained(folder, dtype=torch.float32, local_files_only=True, output_loading_info=True)
    except Exception as error:  # of safetensors, torch, the configuration's checks
        raise ModelError(f"{folder}: cannot be loaded as {kind}: {first_line(error)}") from error
    lacking = sorted(said["missing_keys"])
    if lacking:
        raise ModelError(f"{folder}: lacks {len(lacking)} weights of a {kind}, such as {lacking[0]}; get it anew")
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def device_of(model: Any) -> Any:
    """Where its weights are."""
    return next(model.parameters()).device


def shown(frame: Frame, side_px: int, mean: float | tuple[float, ...], std: float | tuple[float, ...]) -> Any:
    """The frame upright, stretched to a square as these networks want it: (1, 3, side, side) float32, (x - mean) / std.

    On the host; R'G'B' in [0, 1] before.
    """
    rgb = host.turn(host.frame_rgb(frame, side_px, side_px), frame.rotation)
    normalised = (rgb - np.array(mean, np.float32)) / np.array(std, np.float32)
    return torch.from_numpy(np.ascontiguousarray(normalised.transpose(2, 0, 1)[None], np.float32))


def report_of(model: Any, folder: Path, name: str, licence: str) -> RefinerReport:
    """What the run report says of it; the sha256 is that of its weights, of several files one after the other."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as handle:
            while block := handle.read(_BLOCK):
                digest.update(block)
    device = device_of(model)
    return RefinerReport(
        model=name,
        model_licence=licence,
        weights_sha256=digest.hexdigest(),
        runtime=f"transformers {transformers.__version__}, torch {torch.__version__}",
        precision="f32",
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    )
