"""Torch networks from ONNX files whose weights they know: those we exported, and rembg's U²-Nets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from streammatte.errors import ModelError, first_line
from streammatte.networks import build
from streammatte.networks.export import FACT, PARAMETER, TWINS
from streammatte.networks.loading import check_same
from streammatte.networks.patches import PatchOrder
from streammatte.networks.precision import for_inference

__all__ = ["OnnxNetwork", "from_onnx", "read_onnx"]

_PROBE_PX = 32


@dataclass(frozen=True, slots=True)
class OnnxNetwork:
    """A network read from an ONNX file."""

    network: nn.Module
    """In evaluation mode, float32, batch norms folded, without what only training needs."""
    width: int
    """Of the file's input, pixels."""
    height: int
    """The same."""
    halved: bool
    """The file is one of ours, and computes in float16."""


def from_onnx(path: Path) -> nn.Module:
    """The network in the ONNX file `path`: see `OnnxNetwork.network`. Raises ModelError as `read_onnx` does."""
    return read_onnx(path).network


def read_onnx(path: Path) -> OnnxNetwork:
    """The network in the ONNX file `path`, and what else the file says of it.

    It is known by the file's metadata where `to_onnx` wrote it, else by its convolutions, one by one. Raises ModelError
    where the file cannot be read, or holds another network.
    """
    file = _read(path)
    facts = {each.key.removeprefix(FACT): each.value for each in file.metadata_props if each.key.startswith(FACT)}
    network = _by_name(file, facts, path) if "architecture" in facts else _by_convolutions(file, path)
    height, width = (side.dim_value for side in file.graph.input[0].type.tensor_type.shape.dim[2:])
    return OnnxNetwork(network, width, height, facts.get("precision") == "fp16")


def _read(path: Path) -> Any:
    import onnx

    try:
        return onnx.load(path)
    except Exception as error:  # protobuf's own, OSError, and whatever tensors kept in other files raise
        raise ModelError(f"{path}: cannot be read as ONNX: {first_line(error)}") from error


def _unknown(path: Path) -> ModelError:
    return ModelError(f"{path}: not a network streammatte knows in torch")


def _by_name(file: Any, facts: Mapping[str, str], path: Path) -> nn.Module:
    """A network of ours."""
    name, _, backbone = facts["architecture"].partition(":")
    patches: PatchOrder = "columns" if facts.get("patches") == "columns" else "planes"
    with torch.device("meta"):
        network = build(name, backbone=backbone, patches=patches)
    for_inference(network)
    wanted = dict(network.named_parameters())
    twins = json.loads(facts.get(TWINS, "{}"))
    held = {each.name.removeprefix(PARAMETER): each for each in file.graph.initializer}
    found = {each: _tensor(held[twins.get(each, each)]) for each in wanted if twins.get(each, each) in held}
    found |= {each: torch.zeros(wanted[each].shape) for each, twin in twins.items() if not twin and each in wanted}
    check_same(found, wanted, path)
    # Not strict: buffers are no weights, and have their values already.
    network.load_state_dict(found, strict=False, assign=True)
    return network


def _by_convolutions(file: Any, path: Path) -> nn.Module:
    """A U²-Net from torch's old exporter, which folded the batch norms and numbered the weights."""
    held = {each.name: each for each in file.graph.initializer}
    theirs = [node for node in file.graph.node if node.op_type == "Conv"]
    for name in ("u2net", "u2netp"):
        with torch.device("meta"):
            network = build(name)
        for_inference(network)
        ours = [each for each in network.modules() if isinstance(each, nn.Conv2d)]
        if len(ours) != len(theirs):
            continue
        pairs = list(zip(_in_running_order(ours, network), theirs, strict=True))
        if all(_fits(convolution, node, held) for convolution, node in pairs):
            for convolution, node in pairs:
                weight, *bias = (nn.Parameter(_tensor(held[each])) for each in node.input[1:])
                convolution.weight = weight
                convolution.bias = bias[0] if bias else nn.Parameter(torch.zeros(convolution.out_channels))
            return network
    raise _unknown(path)


def _in_running_order(convolutions: list[nn.Conv2d], network: nn.Module) -> list[nn.Conv2d]:
    """The network's convolutions, each of which runs once; it is on the meta device."""
    found: list[nn.Conv2d] = []
    hooks = [each.register_forward_pre_hook(lambda module, given: found.append(module)) for each in convolutions]
    network(torch.zeros(1, 3, _PROBE_PX, _PROBE_PX, device="meta"))
    for hook in hooks:
        hook.remove()
    return found


def _fits(ours: nn.Conv2d, node: Any, held: Mapping[str, Any]) -> bool:
    """Whether a node of the file is the convolution `ours`, but for its numbers."""
    if len(node.input) not in (2, 3) or not all(each in held for each in node.input[1:]):
        return False
    absent = {"pads": [0] * 4, "dilations": [1] * 2, "strides": [1] * 2}
    theirs = absent | {each.name: list(each.ints) for each in node.attribute if each.name in absent}
    wanted = {"pads": [*ours.padding] * 2, "dilations": [*ours.dilation], "strides": [*ours.stride]}
    shapes = [tuple(held[each].dims) for each in node.input[1:]]
    return theirs == wanted and shapes == [ours.weight.shape, (ours.out_channels,)][: len(shapes)]


def _tensor(initializer: Any) -> Tensor:
    from onnx import numpy_helper

    # A copy: what numpy_helper gives is a view of the file's bytes, which cannot be written to.
    return torch.from_numpy(numpy_helper.to_array(initializer).astype(np.float32))
