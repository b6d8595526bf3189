"""Converts a small tflite network to ONNX: one that segments, or one that finds things.

OpenVINO's own tflite reader refuses MediaPipe's custom operator Convolution2DTransposeBias. The networks
have few kinds of operator, so they are written anew: pictures turn from (1, h, w, c) to (1, c, h, w),
TensorFlow's SAME padding becomes explicit pads, float16 constants become float32. What is not known is
refused, never guessed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from streammatte.errors import ModelError
from streammatte.weights.tflite_reader import Operator, TfliteNetwork

__all__ = ["CONVERTER", "OPSET", "convert"]

CONVERTER = "tflite_onnx 1"
"""Goes into the sidecar: weights stored by another version of this converter are converted anew."""

OPSET = 17
"""HardSwish needs 14; 17 is what every runtime in use today reads."""

_IR_VERSION = 8
"""The file version that belongs to opset 17; fixed, so that the onnx package in use does not show."""

_SAME, _VALID = 0, 1
_PADDING_SAME_CUSTOM = 1
_Floats = npt.NDArray[np.float32]


def convert(content: bytes, name: str) -> bytes:
    """The ONNX bytes of the tflite network `content`; the same bytes for the same content.

    Input `src` (1, 3, h, w) float32 RGB as the network takes it, output `pha` (1, 1, h, w) float32 as it gives it. What
    finds things gives several tables, (1, n, c): they come as one, `found` (1, 1, n, all c), in the file's order.
    Raises ModelError where the network holds what is not known here.
    """
    import onnx
    import tflite

    return _Writer(TfliteNetwork(content, tflite), onnx).write(name)


def _same_pads(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME padding, (before, after): the odd one goes after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class _Writer:
    """Writes one network; every `_kind` method adds the nodes of one kind of operator."""

    def __init__(self, network: TfliteNetwork, onnx: ModuleType) -> None:
        self._network = network
        self._onnx = onnx
        self._nodes: list[Any] = []
        self._initializers: list[Any] = []
        self._constants: dict[int, _Floats] = {}
        self._names = {network.input: "src"}
        if len(network.outputs) == 1:
            self._names[network.outputs[0]] = "pha"
        self._known: dict[str, Callable[[Operator], None]] = {
            "ADD": lambda op: self._binary("Add", op),
            "AVERAGE_POOL_2D": self._average_pool,
            "CONCATENATION": self._concatenation,
            "CONV_2D": self._conv,
            "Convolution2DTransposeBias": self._conv_transpose,
            "DEPTHWISE_CONV_2D": self._depthwise,
            "DEQUANTIZE": self._dequantize,
            "HARD_SWISH": lambda op: self._unary("HardSwish", op),
            "LOGISTIC": lambda op: self._unary("Sigmoid", op),
            "MAX_POOL_2D": self._max_pool,
            "MEAN": self._mean,
            "MUL": lambda op: self._binary("Mul", op),
            "PAD": self._pad,
            "RELU": lambda op: self._unary("Relu", op),
            "RESHAPE": self._reshape,
            "RESIZE_BILINEAR": self._resize,
        }

    def write(self, name: str) -> bytes:
        """The whole network as ONNX bytes, checked by the onnx package."""
        for op in self._network.operators():
            if op.kind not in self._known:
                raise ModelError(f"unsupported tflite operator {op.kind}; known are {', '.join(self._known)}")
            self._known[op.kind](op)
        helper, checker = self._onnx.helper, self._onnx.checker
        outputs = self._network.outputs
        found = self._value(outputs[0], 1) if len(outputs) == 1 else self._table(outputs)
        graph = helper.make_graph(self._nodes, name, [self._value(self._network.input, 3)], [found], self._initializers)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, producer_name="streammatte", opset_imports=opsets, ir_version=_IR_VERSION)
        checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString(deterministic=True))

    def _value(self, tensor: int, channels: int) -> Any:
        _, h, w, c = self._network.shape(tensor)
        if c != channels:
            raise ModelError(f"expected {channels} channels of {self._name(tensor)}, got {c}")
        kind = self._onnx.TensorProto.FLOAT
        return self._onnx.helper.make_tensor_value_info(self._name(tensor), kind, [1, c, h, w])

    def _table(self, tensors: tuple[int, ...]) -> Any:
        """The tables (1, n, c) as one, (1, 1, n, all c)."""
        shapes = [self._network.shape(tensor) for tensor in tensors]
        if {(len(shape), shape[:2]) for shape in shapes} != {(3, (1, shapes[0][1]))}:
            raise ModelError(f"expected tables (1, n, c) of one length as outputs of the tflite, got {shapes}")
        make, columns = self._onnx.helper.make_node, sum(shape[2] for shape in shapes)
        axes = self._initializer("found.axes", np.array([1], np.int64))
        self._nodes.append(make("Concat", [self._name(tensor) for tensor in tensors], ["beside"], axis=2))
        self._nodes.append(make("Unsqueeze", ["beside", axes], ["found"]))
        kind = self._onnx.TensorProto.FLOAT
        return self._onnx.helper.make_tensor_value_info("found", kind, [1, 1, shapes[0][1], columns])

    def _name(self, tensor: int) -> str:
        return self._names.get(tensor, f"t{tensor}")

    def _node(self, kind: str, op: Operator, inputs: list[str], **attributes: Any) -> None:
        name = self._name(op.output)
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, [name], name=name, **attributes))

    def _initializer(self, name: str, values: npt.NDArray[Any]) -> str:
        contiguous = np.ascontiguousarray(values)
        self._initializers.append(self._onnx.numpy_helper.from_array(contiguous, name))
        return name

    def _constant(self, tensor: int) -> _Floats:
        values = self._constants.get(tensor)
        values = self._network.constant(tensor) if values is None else values
        if values is None:
            raise ModelError(f"expected constant weights in tflite tensor {tensor}, got a computed one")
        return values

    def _dequantize(self, op: Operator) -> None:
        self._constants[op.output] = self._constant(op.inputs[0])

    def _unary(self, kind: str, op: Operator) -> None:
        self._node(kind, op, [self._name(op.inputs[0])])

    def _binary(self, kind: str, op: Operator) -> None:
        self._plain(op)
        self._node(kind, op, [self._name(tensor) for tensor in op.inputs])

    def _plain(self, op: Operator) -> None:
        """Refuse an activation fused into the operator: these networks have none."""
        if op.options.FusedActivationFunction() != 0:
            raise ModelError(f"unsupported fused activation in tflite operator {op.kind}")

    def _conv(self, op: Operator) -> None:
        kernel = self._constant(op.inputs[1]).transpose(0, 3, 1, 2)
        self._convolution(op, kernel, group=1)

    def _depthwise(self, op: Operator) -> None:
        if op.options.DepthMultiplier() != 1:
            raise ModelError("unsupported depth multiplier in tflite operator DEPTHWISE_CONV_2D")
        kernel = self._constant(op.inputs[1]).transpose(3, 0, 1, 2)
        self._convolution(op, kernel, group=kernel.shape[0])

    def _convolution(self, op: Operator, kernel: _Floats, group: int) -> None:
        """A convolution with `kernel` (out, in / group, kh, kw) and a bias."""
        self._plain(op)
        options = op.options
        if (options.DilationHFactor(), options.DilationWFactor()) != (1, 1):
            raise ModelError(f"unsupported dilation in tflite operator {op.kind}")
        inputs = self._weighted(op, kernel)
        shape = list(kernel.shape[2:])
        strides, pads = self._window(op, shape)
        self._node("Conv", op, inputs, kernel_shape=shape, strides=strides, pads=pads, group=group)

    def _window(self, op: Operator, kernel: list[int]) -> tuple[list[int], list[int]]:
        """Strides and pads, as ONNX has them, of an operator that moves a `kernel` (h, w) over a picture."""
        strides = [op.options.StrideH(), op.options.StrideW()]
        _, h, w, _ = self._network.shape(op.inputs[0])
        if op.options.Padding() != _SAME:
            return strides, [0, 0, 0, 0]
        top, bottom = _same_pads(h, kernel[0], strides[0])
        left, right = _same_pads(w, kernel[1], strides[1])
        return strides, [top, left, bottom, right]

    def _weighted(self, op: Operator, kernel: _Floats) -> list[str]:
        """The names of the operator's picture, of `kernel` and of its bias."""
        name = self._name(op.output)
        bias = self._constant(op.inputs[2])
        stored = [self._initializer(f"{name}.w", kernel), self._initializer(f"{name}.b", bias)]
        return [self._name(op.inputs[0]), *stored]

    def _conv_transpose(self, op: Operator) -> None:
        """MediaPipe's operator; its option bytes are padding, stride width, stride height as int32."""
        padding, stride_w, stride_h = struct.unpack("<3i", op.custom)
        kernel = self._constant(op.inputs[1]).transpose(3, 0, 1, 2)
        # Where the kernel is as large as the stride nothing overlaps, and SAME and VALID are the same thing.
        if padding != _PADDING_SAME_CUSTOM or kernel.shape[2:] != (stride_h, stride_w):
            raise ModelError(f"unsupported padding or kernel in tflite operator {op.kind}")
        self._node("ConvTranspose", op, self._weighted(op, kernel), strides=[stride_h, stride_w])

    def _average_pool(self, op: Operator) -> None:
        self._plain(op)
        window = (op.options.FilterHeight(), op.options.FilterWidth())
        if op.options.Padding() != _VALID or window != self._network.shape(op.inputs[0])[1:3]:
            raise ModelError("unsupported window in tflite operator AVERAGE_POOL_2D: only whole pictures")
        self._unary("GlobalAveragePool", op)

    def _max_pool(self, op: Operator) -> None:
        self._plain(op)
        shape = [op.options.FilterHeight(), op.options.FilterWidth()]
        strides, pads = self._window(op, shape)
        inputs = [self._name(op.inputs[0])]
        self._node("MaxPool", op, inputs, kernel_shape=shape, strides=strides, pads=pads)

    def _pad(self, op: Operator) -> None:
        """With zeros; a picture's channels too."""
        ends = self._constant(op.inputs[1]).astype(np.int64)
        if ends.shape != (4, 2):
            raise ModelError("unsupported tflite operator PAD: only of pictures")
        pads = self._initializer(f"{self._name(op.output)}.pads", ends[[0, 3, 1, 2]].T.reshape(-1))
        self._node("Pad", op, [self._name(op.inputs[0]), pads])

    def _reshape(self, op: Operator) -> None:
        """A picture becomes a table: its pixels in rows, each with as many entries as it has anchors."""
        before, after = self._network.shape(op.inputs[0]), self._network.shape(op.output)
        if (len(before), len(after)) != (4, 3):
            raise ModelError(f"unsupported tflite operator RESHAPE from {before} to {after}: only pictures to tables")
        name = self._name(op.output)
        rows = f"{name}.rows"
        self._nodes.append(
            self._onnx.helper.make_node("Transpose", [self._name(op.inputs[0])], [rows], perm=[0, 2, 3, 1])
        )
        self._node("Reshape", op, [rows, self._initializer(f"{name}.shape", np.array(after, np.int64))])

    def _concatenation(self, op: Operator) -> None:
        self._plain(op)
        if op.options.Axis() != 1 or len(self._network.shape(op.output)) != 3:
            raise ModelError("unsupported tflite operator CONCATENATION: only of tables, one below the other")
        self._node("Concat", op, [self._name(tensor) for tensor in op.inputs], axis=1)

    def _mean(self, op: Operator) -> None:
        if self._constant(op.inputs[1]).tolist() != [1, 2] or not op.options.KeepDims():
            raise ModelError("unsupported axes in tflite operator MEAN: only height and width, kept")
        self._unary("GlobalAveragePool", op)

    def _resize(self, op: Operator) -> None:
        if op.options.AlignCorners() or not op.options.HalfPixelCenters():
            raise ModelError("unsupported tflite operator RESIZE_BILINEAR: only half-pixel centres")
        _, h, w, c = self._network.shape(op.output)
        sizes = self._initializer(f"{self._name(op.output)}.sizes", np.array([1, c, h, w], np.int64))
        inputs = [self._name(op.inputs[0]), "", "", sizes]
        self._node("Resize", op, inputs, mode="linear", coordinate_transformation_mode="half_pixel")
