"""A student as ONNX: written node by node, so that nothing but the `onnx` package is needed, and in no time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from streammatte.students.network import StudentNetwork

__all__ = ["ENDS", "student_onnx"]

_OPSET = 17
ENDS = 0.07
"""p becomes (1 + 2 ENDS) p - ENDS, cut to 0 and 1: a student comes near to them where its teacher is at them, and what
is neither opens the refiner's band far beyond the edge."""
_Array = npt.NDArray[np.float32]


def student_onnx(network: StudentNetwork, width: int, height: int) -> bytes:
    """The network in eval mode for an input of this size, sigmoid and `ENDS` at its end, normalisations folded in."""
    graph = _Graph()
    features = [graph.layer(network.stem, graph.node("SpaceToDepth", ["src"], blocksize=2), _by_pixel)]
    for down in network.down:
        name = features[-1]
        for layer in _layers(down):
            name = graph.layer(layer, name)
        features.append(name)
    name = features.pop()
    for up in network.up:
        grown = graph.node(
            "Resize",
            [name, "", graph.value(np.array([1, 1, 2, 2], np.float32))],
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )
        name = graph.layer(up, graph.node("Concat", [grown, features.pop()], axis=1))
    logit = graph.node("DepthToSpace", [graph.conv(network.head, name)], blocksize=2, mode="CRD")
    steeper = graph.node("Mul", [graph.node("Sigmoid", [logit]), graph.value(np.float32(1 + 2 * ENDS))])
    lower = graph.node("Sub", [steeper, graph.value(np.float32(ENDS))])
    graph.node("Clip", [lower, graph.value(np.float32(0)), graph.value(np.float32(1))], output="pha")
    ends = [
        helper.make_tensor_value_info(end, TensorProto.FLOAT, [1, planes, height, width])
        for end, planes in (("src", 3), ("pha", 1))
    ]
    whole = helper.make_graph(graph.nodes, "student", ends[:1], ends[1:], graph.values)
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _layers(module: Any) -> list[nn.Sequential]:
    return list(module)


def _by_pixel(weight: _Array) -> _Array:
    """Input channels (colour, pixel), as torch's pixel_unshuffle gives them, to ONNX's (pixel, colour)."""
    out, _, high, wide = weight.shape
    return np.ascontiguousarray(weight.reshape(out, 3, 4, high, wide).swapaxes(1, 2).reshape(out, 12, high, wide))


def _array(tensor: torch.Tensor) -> _Array:
    return np.asarray(tensor.detach().float().contiguous().numpy(), np.float32)


class _Graph:
    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.values: list[Any] = []

    def node(self, kind: str, inputs: list[str], *, output: str = "", **attributes: Any) -> str:
        output = output or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def value(self, array: Any) -> str:
        name = f"w{len(self.values)}"
        self.values.append(numpy_helper.from_array(array, name))
        return name

    def layer(self, layer: Any, name: str, order: Any = None) -> str:
        """Convolution, batch normalisation as running statistics have it, ReLU."""
        convolution, norm = layer[0], layer[1]
        scale = _array(norm.weight) / np.sqrt(_array(norm.running_var) + np.float32(norm.eps))
        weight = _array(convolution.weight) * scale[:, None, None, None]
        bias = _array(norm.bias) - _array(norm.running_mean) * scale
        weight = weight if order is None else order(weight)
        return self.node("Relu", [self._conv(name, weight, bias, convolution.stride[0])])

    def conv(self, convolution: nn.Conv2d, name: str) -> str:
        assert convolution.bias is not None
        return self._conv(name, _array(convolution.weight), _array(convolution.bias), 1)

    def _conv(self, name: str, weight: _Array, bias: _Array, stride: int) -> str:
        inputs = [name, self.value(weight), self.value(bias)]
        return self.node("Conv", inputs, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[stride, stride])
