"""The int8 network as one ONNX file with QuantizeLinear/DequantizeLinear pairs, which every runtime reads.

Activations by the calibration, per tensor; weights symmetric, per output channel, scale = max |w| / 127 (Jacob et
al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from streammatte.errors import ModelError
from streammatte.quantization.calibration import Activation, Calibration

__all__ = ["BUILDER", "at_opset_13", "quantize", "rounded_weights"]

BUILDER = "qdq 1"
"""Changes whenever the same facts give another network."""

_KEEP_FLOAT = {"Shape", "Sigmoid", "QuantizeLinear"}
"""Readers of a tensor that are given it unrounded: sizes need no values, and the last step must not lose any."""
_LEAST_SCALE = 1e-8
_HEAVY_BYTES = 1024


def at_opset_13(network: Any) -> Any:
    """The same network (an onnx.ModelProto) in opset 13 or later, the first with scales per channel.

    Nodes that an exporter has given no name get one, by their number: calibrations go by names. What is given may be
    emptied. The converter copies a network several times; U2-Net's weights would take 1.4 GB in passing. They go round
    it, as inputs whose values come back when it is done.
    """
    from onnx import helper, version_converter

    for number, node in enumerate(network.graph.node):
        node.name = node.name or f"{node.op_type} number {number}"
    if network.opset_import[0].version >= 13:
        return network
    graph = network.graph
    heavy = {entry.name: entry for entry in graph.initializer if len(entry.raw_data) > _HEAVY_BYTES}
    light = [entry for entry in graph.initializer if entry.name not in heavy]
    declared = {entry.name for entry in graph.input}
    inputs = [helper.make_tensor_value_info(name, entry.data_type, entry.dims) for name, entry in heavy.items()]
    del graph.initializer[:]
    graph.initializer.extend(light)
    graph.input.extend(entry for entry in inputs if entry.name not in declared)
    converted = version_converter.convert_version(network, 13)
    for entry in [entry for entry in converted.graph.input if entry.name in heavy]:
        converted.graph.input.remove(entry)
    converted.graph.initializer.extend(heavy.values())
    return converted


def quantize(network: Any, calibration: Calibration) -> Any:
    """The float network with the calibration's Q/DQ pairs in it, and int8 weights. Raises ModelError if they differ."""
    network = at_opset_13(network)
    graph = network.graph
    convolutions = {node.name: node for node in graph.node if node.op_type == "Conv"}
    missing = calibration.activations.keys() - _tensors(graph)
    missing |= (calibration.biases.keys() | calibration.float_convolutions) - convolutions.keys()
    if missing:
        raise ModelError(f"calibration names {min(missing)}, which the network has not; reinstall streammatte")
    builder = _Builder(network)
    for name, activation in calibration.activations.items():
        builder.round_activation(name, activation)
    for name, node in convolutions.items():
        if name not in calibration.float_convolutions:
            builder.round_weights(node, calibration.biases.get(name))
    return builder.finish()


def rounded_weights(weights: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """A convolution's weights (out, ...) as int8 of their shape, and the scale (out,) of each output channel."""
    flat = np.abs(weights).reshape(weights.shape[0], -1).max(axis=1)
    scale = np.maximum(flat / np.float32(127), np.float32(_LEAST_SCALE)).astype(np.float32)
    rounded = np.rint(weights / scale.reshape(-1, *[1] * (weights.ndim - 1)))
    return np.clip(rounded, -127, 127).astype(np.int8), scale


def _tensors(graph: Any) -> set[str]:
    return {name for node in graph.node for name in node.output} | {entry.name for entry in graph.input}


class _Builder:
    """A graph on its way from float to Q/DQ."""

    def __init__(self, network: Any) -> None:
        import onnx

        self._onnx = onnx
        self._network = network
        self._nodes = list(network.graph.node)
        self._added: dict[str, list[Any]] = {}
        """Pairs by the tensor that they round, to be put behind its producer."""
        self._constants = {entry.name: entry for entry in network.graph.initializer}

    def round_activation(self, name: str, activation: Activation) -> None:
        """Put a pair behind tensor `name`, and let every reader that may read the rounded tensor."""
        scale = self._constant(f"{name}.scale", np.float32(activation.scale))
        zero = self._constant(f"{name}.zero", np.array(activation.zero_point, activation.dtype))
        for node in self._nodes:
            if node.op_type not in _KEEP_FLOAT:
                for index, given in enumerate(node.input):
                    if given == name:
                        node.input[index] = f"{name}.rounded"
        make = self._onnx.helper.make_node
        self._added[name] = [
            make("QuantizeLinear", [name, scale, zero], [f"{name}.q"], name=f"{name}.Q"),
            make("DequantizeLinear", [f"{name}.q", scale, zero], [f"{name}.rounded"], name=f"{name}.DQ"),
        ]

    def round_weights(self, node: Any, correction: npt.NDArray[np.float32] | None) -> None:
        """Store a convolution's weights as int8, and correct its bias."""
        name = node.input[1]
        if f"{name}.q" not in self._constants:
            self._added[node.name] = [self._stored(name)]
        node.input[1] = f"{name}.rounded"
        if correction is not None:
            bias = self._onnx.numpy_helper.to_array(self._constants[node.input[2]])
            node.input[2] = self._constant(f"{node.name}.bias", bias + correction)

    def _stored(self, name: str) -> Any:
        """What gives back the weights of that name, once for all that share them."""
        rounded, scale = rounded_weights(self._onnx.numpy_helper.to_array(self._constants[name]))
        stored = self._constant(f"{name}.q", rounded)
        scales = self._constant(f"{name}.scale", scale)
        zeros = self._constant(f"{name}.zero", np.zeros(scale.shape, np.int8))
        make, inputs = self._onnx.helper.make_node, [stored, scales, zeros]
        return make("DequantizeLinear", inputs, [f"{name}.rounded"], name=f"{name}.DQ", axis=0)

    def _constant(self, name: str, value: npt.ArrayLike) -> str:
        self._constants[name] = self._onnx.numpy_helper.from_array(np.asarray(value), name)
        return name

    def finish(self) -> Any:
        """The network in execution order, without constants that nobody reads, checked."""
        graph = self._network.graph
        ordered: list[Any] = [pair for entry in graph.input for pair in self._added.get(entry.name, [])]
        for node in self._nodes:
            ordered += self._added.get(node.name, []) if node.op_type == "Conv" else []
            ordered.append(node)
            ordered += [pair for name in node.output for pair in self._added.get(name, [])]
        del graph.node[:], graph.initializer[:]
        graph.node.extend(ordered)
        read = {name for node in ordered for name in node.input}
        graph.initializer.extend(entry for name, entry in self._constants.items() if name in read)
        # Older exporters list weights among the inputs, which would have to be given at every run.
        for entry in [entry for entry in graph.input if entry.name in self._constants]:
            graph.input.remove(entry)
        self._onnx.checker.check_model(self._network)
        return self._network
