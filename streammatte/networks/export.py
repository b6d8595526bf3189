"""A network as one ONNX file that ONNX Runtime, OpenVINO and TensorRT read: standard operators, a fixed size.

Opset 20: the first whose GridSample, which the deformable convolutions become, is in its final form. Parameters keep
their names, and the file says what network it is, so that `onnx_weights` can make the network again of it.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from streammatte.networks.precision import for_inference, halve

__all__ = ["FACT", "INPUT", "OPSET", "OUTPUT", "PARAMETER", "TWINS", "ExportPrecision", "Typed", "to_onnx"]

INPUT, OUTPUT = "rgb", "alpha"
OPSET = 20
FACT = "streammatte."
"""What the names of the file's metadata begin with: architecture, patches, precision, and `TWINS`."""
TWINS = "twins"
"""JSON: parameters that the exporter dropped because others have the same values, with the names of those."""
PARAMETER = "network."
"""What the name of a parameter begins with in the file."""
ExportPrecision = Literal["f32", "fp16"]


def to_onnx(network: nn.Module, *, width: int, height: int, precision: ExportPrecision, batch: int = 1) -> bytes:
    """`network` as an ONNX file's bytes, the same each time: "rgb" (batch, 3, height, width) to "alpha".

    Both are float32. With fp16, convolutions and matrix products are float16, and what does not bear it (layer norms,
    softmax, sigmoids, sampling and its coordinates) float32, in so many Cast nodes: the graph is meant to be run as it
    is, by strongly typed runtimes too. The network is used up: its batch norms are folded, its weights rounded.
    """
    for_inference(network)
    if precision == "fp16":
        halve(network)
    graph = Typed(network, torch.float16 if precision == "fp16" else torch.float32).eval()
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            graph,
            (torch.zeros(batch, 3, height, width),),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            external_data=False,
            verbose=False,
            optimize=False,
        )
        assert program is not None
        parameters = {f"{PARAMETER}{name}": each for name, each in network.named_parameters()}
        _optimize(program.model, parameters)
    network_file = program.model_proto
    _strip(network_file)
    facts = getattr(network, "facts", {}) | {
        "precision": precision,
        TWINS: json.dumps(_twins(network_file, parameters)),
    }
    for name, value in facts.items():
        network_file.metadata_props.add(key=f"{FACT}{name}", value=value)
    content: bytes = network_file.SerializeToString(deterministic=True)
    return content


class Typed(nn.Module):
    """float32 at both ends, whatever is between them."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network = network
        self._dtype = dtype

    def forward(self, rgb: Tensor) -> Tensor:
        """(n, 3, h, w) float32 -> (n, 1, h, w) float32."""
        alpha: Tensor = self.network(rgb.to(self._dtype))
        return alpha


def _optimize(model: Any, parameters: Mapping[str, Tensor]) -> None:
    """What the exporter does by itself, but that no parameter is folded into something else (runtimes do that)."""
    from onnxscript import optimizer

    def should_fold(node: Any) -> bool | None:
        return False if any(given is not None and given.name in parameters for given in node.inputs) else None

    optimizer.optimize_ir(model, should_fold=should_fold)


def _twins(network_file: Any, parameters: Mapping[str, Tensor]) -> dict[str, str]:
    """Of each parameter that is not in the file, the name of one that has its values, both without `PARAMETER`.

    Of one that is 0 throughout, which adds nothing and is left out, "".
    """
    from onnx import numpy_helper

    kept = {each.name: each for each in network_file.graph.initializer if each.name in parameters}
    twins = {}
    for name, each in parameters.items():
        if name not in kept and not each.any():
            twins[name.removeprefix(PARAMETER)] = ""
        elif name not in kept:
            wanted = numpy_helper.from_array(each.detach().numpy())
            same = (other for other in kept.values() if other.dims == wanted.dims)
            (twin, *_) = (other.name for other in same if other.raw_data == wanted.raw_data)
            twins[name.removeprefix(PARAMETER)] = twin.removeprefix(PARAMETER)
    return twins


def _strip(network_file: Any) -> None:
    """Remove the exporter's notes: they hold paths of the machine, and weigh as much as the graph."""
    graph = network_file.graph
    for each in (network_file, graph, *graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output):
        del each.metadata_props[:]
        each.doc_string = ""


@contextmanager
def _quiet() -> Iterator[None]:
    """torch warns of what it lacks (torchvision) and of its own deprecations; what fails raises all the same."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)
