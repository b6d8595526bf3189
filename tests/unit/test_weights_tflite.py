"""The conversion of tflite to ONNX, against two references that share no code with it.

MediaPipe 0.10.21 itself ran both networks, custom operator included, on a frame of the project's own clip
(tests/golden/*_pha.png, 16 bit); and plain loops below run a small network by TensorFlow's definitions.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from streammatte.catalog import model
from streammatte.errors import ModelError
from streammatte.weights.cache import Weights
from streammatte.weights.pull import ensure
from streammatte.weights.tflite_onnx import OPSET, _same_pads, convert

GOLDEN = Path(__file__).parents[1] / "golden"
NAMES = ["selfie", "selfie-landscape"]


def pulled(name: str) -> Weights:
    try:
        return ensure(model(name))
    except ModelError as error:
        if "wrong file" in str(error):
            raise
        pytest.skip(str(error))


def golden_input(name: str) -> npt.NDArray[np.float32]:
    picture = cv2.imread(str(GOLDEN / f"{name}_webcam_src.png"))
    assert picture is not None
    planes = picture[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32)
    return np.ascontiguousarray(planes / np.float32(255))


@pytest.mark.weights
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_converted_network_says_what_mediapipe_says(name: str, runtime: str) -> None:
    weights, src = pulled(name), golden_input(name)
    if runtime == "onnxruntime":
        session = pytest.importorskip("onnxruntime").InferenceSession(str(weights.path))
        pha = session.run(None, {"src": src})[0]
    else:
        openvino = pytest.importorskip("openvino")
        config = {"INFERENCE_PRECISION_HINT": "f32"}
        pha = openvino.Core().compile_model(str(weights.path), "CPU", config)(src)[0]
    golden = cv2.imread(str(GOLDEN / f"{name}_webcam_pha.png"), cv2.IMREAD_UNCHANGED)
    assert golden is not None
    facts = model(name).input
    assert pha.shape == (1, 1, facts.height, facts.width)
    assert pha.dtype == np.float32
    assert 0.25 < pha.mean() < 0.35, "the person fills about a third of the frame"
    difference = np.abs(pha[0, 0] - golden / 65535)
    assert difference.max() < 1e-3
    assert difference.mean() < 1e-5


@pytest.mark.weights
@pytest.mark.parametrize("name", NAMES)
def test_converted_file_is_as_promised(name: str) -> None:
    onnx = pytest.importorskip("onnx")
    network = onnx.load(str(pulled(name).path))
    assert network.opset_import[0].version == OPSET >= 17
    facts = model(name).input

    def shape(value: object) -> list[int]:
        return [dim.dim_value for dim in value.type.tensor_type.shape.dim]  # type: ignore[attr-defined]

    assert [value.name for value in network.graph.input] == ["src"]
    assert shape(network.graph.input[0]) == [1, 3, facts.height, facts.width]
    assert shape(network.graph.output[0]) == [1, 1, facts.height, facts.width]
    assert network.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pads"),
    [(256, 3, 2, (0, 1)), (255, 3, 2, (1, 1)), (64, 5, 2, (1, 2)), (64, 3, 1, (1, 1)), (64, 1, 1, (0, 0))],
)
def test_same_padding_puts_the_odd_one_after(size: int, kernel: int, stride: int, pads: tuple[int, int]) -> None:
    assert _same_pads(size, kernel, stride) == pads


def test_not_a_tflite() -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("tflite")
    with pytest.raises(ModelError, match="not a tflite file"):
        convert(b"\0" * 64, "x")


CUSTOM = "Convolution2DTransposeBias"
RNG = np.random.default_rng(5)
KERNELS = {
    "conv": RNG.normal(size=(4, 3, 3, 3)).astype(np.float16),
    "depth": RNG.normal(size=(1, 5, 5, 4)).astype(np.float16),
    "up": RNG.normal(size=(1, 2, 2, 4)).astype(np.float16),
    "points": RNG.normal(size=(2, 1, 1, 3)).astype(np.float16),
}
Step: TypeAlias = tuple[str, list[int], int, str, dict[str, int]]
"""Kind, inputs, output, and the option table with its fields."""


def small_network(tflite: object, kind: str = CUSTOM) -> bytes:
    """8x12 RGB: strided convolution, hard swish, depthwise, resize x2, transposed convolution, sigmoid."""
    return _Builder(tflite).build(kind)


class _Builder:
    """Writes the smallest tflite that has the operators where the layouts and the padding can go wrong."""

    def __init__(self, tflite: object) -> None:
        self.t = tflite
        self.b = importlib.import_module("flatbuffers").Builder(0)
        self.buffers = [self._buffer(b"")]
        self.tensors: list[int] = []

    def _table(self, name: str, **fields: int) -> int:
        """One table by the functions that flatbuffers generates: NameStart, NameAddField, NameEnd."""
        getattr(self.t, f"{name}Start")(self.b)
        for field, value in fields.items():
            getattr(self.t, f"{name}Add{field}")(self.b, value)
        return int(getattr(self.t, f"{name}End")(self.b))

    def _vector(self, items: list[int], offsets: bool = False) -> int:
        self.b.StartVector(4, len(items), 4)
        for item in reversed(items):
            (self.b.PrependUOffsetTRelative if offsets else self.b.PrependInt32)(item)
        return int(self.b.EndVector())

    def _buffer(self, content: bytes) -> int:
        vector = self.b.CreateByteVector(content) if content else None
        return self._table("Buffer", **({} if vector is None else {"Data": vector}))

    def _tensor(self, shape: tuple[int, ...], content: npt.NDArray[np.generic] | None = None) -> int:
        kinds = {"float16": 1, "float32": 0, "int32": 2}
        at = 0
        if content is not None:
            at = len(self.buffers)
            self.buffers.append(self._buffer(content.tobytes()))
        vector = self._vector(list(shape))
        kind = 0 if content is None else kinds[content.dtype.name]
        self.tensors.append(self._table("Tensor", Shape=vector, Type=kind, Buffer=at))
        return len(self.tensors) - 1

    def _weights(self, values: npt.NDArray[np.float16], channels: int) -> list[int]:
        bias = (np.arange(channels) / 8 - 0.2).astype(np.float32)
        return [self._tensor(values.shape, values), self._tensor(bias.shape, bias)]

    def build(self, custom: str) -> bytes:
        src = self._tensor((1, 8, 12, 3))
        conv, conv_b = self._weights(KERNELS["conv"], 4)
        depth, depth_b = self._weights(KERNELS["depth"], 4)
        up, up_b = self._weights(KERNELS["up"], 1)
        sizes = self._tensor((2,), np.array([8, 12], np.int32))
        a, b, c = (self._tensor((1, 4, 6, 4)) for _ in range(3))
        d, e, pha = self._tensor((1, 8, 12, 4)), self._tensor((1, 16, 24, 1)), self._tensor((1, 16, 24, 1))
        steps: list[Step] = [
            ("CONV_2D", [src, conv, conv_b], a, "Conv2DOptions", {"StrideH": 2, "StrideW": 2}),
            ("HARD_SWISH", [a], b, "", {}),
            (
                "DEPTHWISE_CONV_2D",
                [b, depth, depth_b],
                c,
                "DepthwiseConv2DOptions",
                {"StrideH": 1, "StrideW": 1, "DepthMultiplier": 1},
            ),
            ("RESIZE_BILINEAR", [c, sizes], d, "ResizeBilinearOptions", {"HalfPixelCenters": True}),
            ("CUSTOM", [d, up, up_b], e, "", {}),
            ("LOGISTIC", [e], pha, "", {}),
        ]
        return self.finish(src, [pha], steps, custom)

    def build_tables(self) -> bytes:
        """A detector's ends: boxes (1, 48, 2) of two pictures, one below the other, and scores (1, 48, 1)."""
        src = self._tensor((1, 4, 6, 3))
        conv, conv_b = self._weights(KERNELS["points"], 2)
        ends = self._tensor((4, 2), np.array([[0, 0], [1, 0], [0, 2], [0, 1]], np.int32))
        large, padded, small = self._tensor((1, 4, 6, 2)), self._tensor((1, 5, 8, 4)), self._tensor((1, 3, 4, 4))
        upper, lower, boxes = (self._tensor((1, n, 2)) for n in (24, 24, 48))
        scores, shape = self._tensor((1, 48, 1)), self._tensor((3,), np.array([1, -1, 1], np.int32))
        window = {"StrideH": 2, "StrideW": 2, "FilterHeight": 2, "FilterWidth": 2}
        steps: list[Step] = [
            ("CONV_2D", [src, conv, conv_b], large, "Conv2DOptions", {"StrideH": 1, "StrideW": 1}),
            ("PAD", [src, ends], padded, "", {}),
            ("MAX_POOL_2D", [padded], small, "Pool2DOptions", window),
            ("RESHAPE", [large, shape], upper, "", {}),
            ("RESHAPE", [small, shape], lower, "", {}),
            ("CONCATENATION", [upper, lower], boxes, "ConcatenationOptions", {"Axis": 1}),
            ("RESHAPE", [large, shape], scores, "", {}),
        ]
        return self.finish(src, [boxes, scores], steps)

    def finish(self, src: int, outputs: list[int], steps: list[Step], custom: str = CUSTOM) -> bytes:
        t = self.t
        codes = {kind: number for number, kind in enumerate(dict.fromkeys(step[0] for step in steps))}
        options = t.BuiltinOptions  # type: ignore[attr-defined]
        operators = []
        for kind, inputs, output, table, fields in steps:
            parts = {"Inputs": self._vector(inputs), "Outputs": self._vector([output])}
            if table:
                parts["BuiltinOptions"] = self._table(table, **fields)
                parts["BuiltinOptionsType"] = getattr(options, table)
            if kind == "CUSTOM":
                parts["CustomOptions"] = self.b.CreateByteVector(np.array([1, 2, 2], "<i4").tobytes())
            operators.append(self._table("Operator", OpcodeIndex=codes[kind], **parts))
        known = t.BuiltinOperator  # type: ignore[attr-defined]
        name = self.b.CreateString(custom)
        opcodes = [
            self._table(
                "OperatorCode",
                DeprecatedBuiltinCode=min(getattr(known, kind), 127),
                BuiltinCode=getattr(known, kind),
                **({"CustomCode": name} if kind == "CUSTOM" else {}),
            )
            for kind in codes
        ]
        graph = self._graph(src, outputs, operators)
        whole = {
            "OperatorCodes": self._vector(opcodes, True),
            "Subgraphs": self._vector([graph], True),
            "Buffers": self._vector(self.buffers, True),
        }
        self.b.Finish(self._table("Model", Version=3, **whole), b"TFL3")
        return bytes(self.b.Output())

    def _graph(self, src: int, outputs: list[int], operators: list[int]) -> int:
        tensors, steps = self._vector(self.tensors, True), self._vector(operators, True)
        inputs, found = self._vector([src]), self._vector(outputs)
        return self._table("SubGraph", Tensors=tensors, Inputs=inputs, Outputs=found, Operators=steps)


def reference(src: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The small network in plain loops, on (h, w, c), by TensorFlow's definitions."""

    def bias(channels: int) -> npt.NDArray[np.float64]:
        return np.arange(channels) / 8 - 0.2

    padded = np.pad(src, ((0, 1), (0, 1), (0, 0)))
    a = np.empty((4, 6, 4))
    for y, x, o in np.ndindex(a.shape):
        a[y, x, o] = (padded[2 * y : 2 * y + 3, 2 * x : 2 * x + 3] * KERNELS["conv"][o]).sum() + bias(4)[o]
    b = a * np.clip(a + 3, 0, 6) / 6
    padded = np.pad(b, ((2, 2), (2, 2), (0, 0)))
    c = np.empty_like(b)
    for y, x, o in np.ndindex(c.shape):
        c[y, x, o] = (padded[y : y + 5, x : x + 5, o] * KERNELS["depth"][0, :, :, o]).sum() + bias(4)[o]
    d = np.empty((8, 12, 4))
    for y, x in np.ndindex(8, 12):
        v, u = np.clip((y + 0.5) / 2 - 0.5, 0, 3), np.clip((x + 0.5) / 2 - 0.5, 0, 5)
        top, left = int(v), int(u)
        low, right, fv, fu = min(top + 1, 3), min(left + 1, 5), v - top, u - left
        upper = c[top, left] * (1 - fu) + c[top, right] * fu
        d[y, x] = upper * (1 - fv) + (c[low, left] * (1 - fu) + c[low, right] * fu) * fv
    e = np.empty((16, 24))
    for y, x in np.ndindex(e.shape):
        e[y, x] = d[y // 2, x // 2] @ KERNELS["up"][0, y % 2, x % 2] + bias(1)[0]
    return 1 / (1 + np.exp(-e))


def test_small_network_against_plain_loops() -> None:
    tflite, onnxruntime = pytest.importorskip("tflite"), pytest.importorskip("onnxruntime")
    content = small_network(tflite)
    converted = convert(content, "small")
    assert converted == convert(content, "small"), "the same bytes every time"
    src = np.random.default_rng(6).random((8, 12, 3))
    planes = np.ascontiguousarray(src.transpose(2, 0, 1)[None].astype(np.float32))
    pha = onnxruntime.InferenceSession(converted).run(None, {"src": planes})[0]
    assert pha.shape == (1, 1, 16, 24)
    expected = reference(src)
    assert expected.std() > 0.1, "the reference must have something to say"
    np.testing.assert_allclose(pha[0, 0], expected, atol=1e-5)


def test_a_detectors_tables_come_beside_each_other() -> None:
    tflite, onnxruntime = pytest.importorskip("tflite"), pytest.importorskip("onnxruntime")
    converted = convert(_Builder(tflite).build_tables(), "tables")
    src = np.random.default_rng(7).random((4, 6, 3)).astype(np.float32)
    planes = np.ascontiguousarray(src.transpose(2, 0, 1)[None])
    (found,) = onnxruntime.InferenceSession(converted).run(["found"], {"src": planes})
    large = src @ KERNELS["points"][:, 0, 0].astype(np.float32).T + np.array([-0.2, -0.075], np.float32)
    padded = np.pad(src, ((1, 0), (0, 2), (0, 1)))
    small = np.array(
        [[padded[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].max(axis=(0, 1)) for x in range(4)] for y in range(3)]
    )
    assert found.shape == (1, 1, 48, 3)
    np.testing.assert_allclose(
        found[0, 0, :, :2], np.concatenate([large.reshape(24, 2), small.reshape(24, 2)]), atol=1e-5
    )
    np.testing.assert_allclose(found[0, 0, :, 2], large.ravel(), atol=1e-5)


def test_unknown_operator_is_refused() -> None:
    tflite = pytest.importorskip("tflite")
    pytest.importorskip("onnx")
    with pytest.raises(ModelError, match="unsupported tflite operator Other; known are ADD"):
        convert(small_network(tflite, "Other"), "small")
