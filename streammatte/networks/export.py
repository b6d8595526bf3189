"""A network as one ONNX file that ONNX Runtime, OpenVINO and TensorRT read: standard operators, a fixed size.

Opset 20: the first whose GridSample, which the deformable convolutions become, is in its final form.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from streammatte.networks.precision import fold_batch_norms, halve

__all__ = ["INPUT", "OPSET", "OUTPUT", "ExportPrecision", "to_onnx"]

INPUT, OUTPUT = "rgb", "alpha"
OPSET = 20
ExportPrecision = Literal["f32", "fp16"]


def to_onnx(network: nn.Module, *, width: int, height: int, precision: ExportPrecision) -> bytes:
    """`network` as an ONNX file's bytes, the same each time: "rgb" (1, 3, height, width) to "alpha" (1, 1, ...).

    Both are float32. With fp16, convolutions and matrix products are float16, and what does not bear it (layer norms,
    softmax, sigmoids, sampling and its coordinates) float32, in so many Cast nodes: the graph is meant to be run as it
    is, by strongly typed runtimes too. The network is used up: its batch norms are folded, its weights rounded.
    """
    fold_batch_norms(network)
    if precision == "fp16":
        halve(network)
    graph = _Graph(network, torch.float16 if precision == "fp16" else torch.float32).eval()
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            graph,
            (torch.zeros(1, 3, height, width),),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            external_data=False,
            verbose=False,
        )
    assert program is not None
    network_file = program.model_proto
    _strip(network_file)
    content: bytes = network_file.SerializeToString(deterministic=True)
    return content


class _Graph(nn.Module):
    """float32 at both ends, whatever is between them."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network = network
        self._dtype = dtype

    def forward(self, rgb: Tensor) -> Tensor:
        alpha: Tensor = self.network(rgb.to(self._dtype))
        return alpha


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
