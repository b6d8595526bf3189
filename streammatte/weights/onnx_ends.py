"""What an ONNX file says of its two ends: the shapes that go in and come out, and whether alpha comes out."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from streammatte.errors import ModelError, first_line

__all__ = ["End", "Ends", "read_ends"]

_PASSING = frozenset(
    ("Cast", "Gather", "Identity", "Reshape", "Resize", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze")
)
"""Operators whose values are (but for a cubic Resize, nearly) within the range of those of their first input."""
_BOUNDED = frozenset(("HardSigmoid", "Sigmoid", "Softmax"))


@dataclass(frozen=True, slots=True)
class End:
    """One input or output."""

    name: str
    kind: str
    """ONNX's word for the type of its numbers: FLOAT, FLOAT16, UINT8, ..."""
    shape: tuple[int | None, ...] | None
    """None for a side that is left open; None altogether where the file does not say."""

    def fits(self, *sides: int) -> bool:
        """Whether it is float32 and can be of that shape, as far as the file says."""
        if self.kind != "FLOAT" or (self.shape is not None and len(self.shape) != len(sides)):
            return False
        return all(had in (None, side) for had, side in zip(self.shape or (), sides, strict=False))

    def __str__(self) -> str:
        """Name, shape and type in words, ? for what is open."""
        sides = "?" if self.shape is None else ", ".join("?" if side is None else str(side) for side in self.shape)
        return f"{self.name} ({sides}) {self.kind.lower()}"


@dataclass(frozen=True, slots=True)
class Ends:
    """All inputs and outputs, in the file's order."""

    inputs: tuple[End, ...]
    outputs: tuple[End, ...]
    bounded: frozenset[str]
    """Outputs that end in an operator whose values lie in [0, 1]."""


def read_ends(file: Path, size: tuple[int, int] | None = None) -> Ends:
    """The ends of the network in `file`, as for one picture, of `size` (width, height) where the file leaves it open.

    Raises ModelError where `file` is no ONNX network, or keeps its weights in other files.
    """
    network = _read(file)
    given = {each.name for each in network.graph.initializer}  # which old exporters list among the inputs
    inputs = [each for each in network.graph.input if each.name not in given]
    found = tuple(map(_end, inputs))
    _fix_picture(inputs, size)
    graph = _inferred(network).graph
    makers = {name: node for node in graph.node for name in node.output}
    constants = _constants(graph)
    bounded = frozenset(each.name for each in graph.output if _is_bounded(each.name, makers, constants))
    return Ends(found, tuple(map(_end, graph.output)), bounded)


def _read(file: Path) -> Any:
    import onnx

    try:
        network = onnx.load(file, format="protobuf", load_external_data=False)
    except OSError as error:
        raise ModelError(f"{file}: cannot be read: {error.strerror or error}; check the path") from error
    except Exception as error:  # protobuf's own
        raise ModelError(f"{file}: is no ONNX file: {first_line(error)}") from error
    if not (network.graph.node and network.graph.output):
        raise ModelError(f"{file}: is no ONNX file: there is no network in it")
    if any(each.data_location == onnx.TensorProto.EXTERNAL for each in network.graph.initializer):
        raise ModelError(
            f"{file}: keeps its weights in other files, which its checksum would not cover; save it as one file "
            "(onnx.save(onnx.load(FILE), NEW_FILE))"
        )
    return network


def _end(value: Any) -> End:
    from onnx import TensorProto

    tensor = value.type.tensor_type
    sides = tuple(each.dim_value if each.dim_value > 0 else None for each in tensor.shape.dim)
    return End(value.name, TensorProto.DataType.Name(tensor.elem_type), sides if tensor.HasField("shape") else None)


def _fix_picture(inputs: list[Any], size: tuple[int, int] | None) -> None:
    """One picture of `size`: so that the shapes of what comes out can be told."""
    for value in inputs:
        sides = value.type.tensor_type.shape.dim
        if len(sides) == 4 and sides[1].dim_value == 3:
            sides[0].dim_value = 1
            for side, wanted in zip(sides[2:], (size or (0, 0))[::-1], strict=True):
                if side.dim_value <= 0 < wanted:
                    side.dim_value = wanted


def _inferred(network: Any) -> Any:
    """The network with the shapes of its outputs worked out, where the file leaves them open."""
    import onnx

    open_ones = [each for each in network.graph.output if None in (_end(each).shape or (None,))]
    if not open_ones:
        return network
    for each in open_ones:
        each.type.tensor_type.ClearField("shape")
    del network.graph.value_info[:]  # it held for any size
    with suppress(Exception):  # the checker's own, for operators it does not know
        return onnx.shape_inference.infer_shapes(network)
    return network


def _constants(graph: Any) -> dict[str, float]:
    """Every single number in the graph, by name."""
    from onnx import numpy_helper

    held = {each.name: each for each in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            held.update((node.output[0], each.t) for each in node.attribute if each.name == "value")
    single = {name: each for name, each in held.items() if int(np.prod(each.dims)) == 1}
    return {name: float(numpy_helper.to_array(each).reshape(-1)[0]) for name, each in single.items()}


def _is_bounded(name: str, makers: Mapping[str, Any], constants: Mapping[str, float]) -> bool:
    node = makers.get(name)
    while node is not None and node.op_type in _PASSING:
        node = makers.get(node.input[0])
    if node is None or node.op_type != "Clip":
        return node is not None and node.op_type in _BOUNDED
    limits = {each.name: each.f for each in node.attribute}  # until opset 11
    given = zip(("min", "max"), node.input[1:], strict=False)
    limits |= {key: constants[name] for key, name in given if name in constants}
    return bool(limits.get("min", -1.0) >= 0 and limits.get("max", 2.0) <= 1)
