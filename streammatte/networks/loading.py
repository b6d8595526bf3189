"""Authors' weights into a network, checked name by name."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import Tensor, nn

from streammatte.errors import ModelError, first_line

__all__ = ["check_same", "load_weights"]

_PREFIXES = ("_orig_mod.", "module.")
"""What torch.compile and data-parallel training put before every name, in this order or the other."""


def load_weights(network: nn.Module, path: Path) -> None:
    """Replace the weights of `network` (one on the meta device too) by those in `path`: .safetensors, else a .pth.

    Only tensors are read, no code. Numbers are converted to the network's dtypes (float32). Raises ModelError where
    the file cannot be read, or where its names or shapes are not exactly those of the network.
    """
    found = {_bare(name): tensor for name, tensor in _tensors(path).items()}
    wanted = network.state_dict()
    check_same(found, wanted, path)
    network.load_state_dict({name: found[name].to(each.dtype) for name, each in wanted.items()}, assign=True)


def check_same(found: dict[str, Tensor], wanted: dict[str, Tensor], path: Path) -> None:
    """Raises ModelError where names or shapes of what was found in `path` are not those that are wanted."""
    for name, each in wanted.items():
        if name not in found:
            raise ModelError(f"{path}: weights of another network: {name} is missing")
        if found[name].shape != each.shape:
            shapes = " not ".join("x".join(map(str, shape)) or "scalar" for shape in (found[name].shape, each.shape))
            raise ModelError(f"{path}: weights of another network: {name} is {shapes}")
    for name in found:
        if name not in wanted:
            raise ModelError(f"{path}: weights of another network: {name} is unexpected")


def _bare(name: str) -> str:
    while name.startswith(_PREFIXES):
        name = name.partition(".")[2]
    return name


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        read = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickled(path)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise ModelError(f"{path}: cannot be read as weights: {first_line(error)}") from error
    if not isinstance(read, dict) or not all(isinstance(each, Tensor) for each in read.values()):
        raise ModelError(f"{path}: holds no weights by name, but {type(read).__name__}; give a file of a state_dict")
    return read


def _read_pickled(path: Path) -> object:
    return torch.load(path, map_location="cpu", weights_only=True)


def _read_safetensors(path: Path) -> object:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ModuleNotFoundError as error:
        raise ModelError(f"{path}: {error.name} is not installed: pip install 'streammatte[torch]'") from error
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ModelError(f"{path}: cannot be read as weights: {first_line(error)}") from error
