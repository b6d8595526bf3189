"""Reads a tflite network: its operators with their options, and its constants as float32 arrays."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from streammatte.errors import ModelError

__all__ = ["Operator", "TfliteNetwork"]


@dataclass(frozen=True, slots=True)
class Operator:
    """One step of the network; tensors are named by their index in the file."""

    kind: str
    """The built-in operator's name (CONV_2D, ...), or the custom operator's own."""
    inputs: tuple[int, ...]
    output: int
    options: Any
    """The operator's option table as the `tflite` package reads it, or None."""
    custom: bytes
    """A custom operator's option bytes."""


class TfliteNetwork:
    """A tflite file with one subgraph and one input, float32 or float16.

    `tflite` is the package of that name. Raises ModelError where the file is of another make.
    """

    def __init__(self, content: bytes, tflite: ModuleType) -> None:
        if not tflite.Model.ModelBufferHasIdentifier(content, 0):
            raise ModelError("not a tflite file: its identifier TFL3 is missing")
        self._tflite = tflite
        self._model = tflite.Model.GetRootAs(content, 0)
        self._graph = self._model.Subgraphs(0)
        self._kinds = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}
        self._option_tables = {v: k for k, v in vars(tflite.BuiltinOptions).items() if isinstance(v, int)}
        counts = (self._model.SubgraphsLength(), self._graph.InputsLength())
        if counts != (1, 1) or not self._graph.OutputsLength():
            raise ModelError(f"expected a tflite with one graph and input, and an output, got {counts}")
        self.input = int(self._graph.Inputs(0))
        self.outputs = tuple(int(self._graph.Outputs(i)) for i in range(self._graph.OutputsLength()))

    def shape(self, tensor: int) -> tuple[int, ...]:
        """The tensor's shape as stored: (1, h, w, c) for a picture."""
        entry = self._graph.Tensors(tensor)
        return tuple(int(entry.Shape(i)) for i in range(entry.ShapeLength()))

    def constant(self, tensor: int) -> npt.NDArray[np.float32] | None:
        """The tensor's values as float32, or None where they are computed."""
        entry = self._graph.Tensors(tensor)
        buffer = self._model.Buffers(entry.Buffer())
        if buffer.DataLength() == 0:
            return None
        kinds = {self._tflite.TensorType.FLOAT16: "<f2", self._tflite.TensorType.FLOAT32: "<f4"}
        kinds[self._tflite.TensorType.INT32] = "<i4"
        if entry.Type() not in kinds:
            raise ModelError(f"unsupported tflite tensor type {entry.Type()} (quantised networks are not read)")
        values = np.frombuffer(buffer.DataAsNumpy().tobytes(), kinds[entry.Type()])
        return values.reshape(self.shape(tensor)).astype(np.float32)

    def operators(self) -> list[Operator]:
        """Every step, in the order of execution."""
        return [self._operator(self._graph.Operators(i)) for i in range(self._graph.OperatorsLength())]

    def _operator(self, entry: Any) -> Operator:
        code = self._model.OperatorCodes(entry.OpcodeIndex())
        # Files older than operator 127 keep the code in the deprecated 8-bit field only.
        kind = self._kinds[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        if kind == "CUSTOM":
            kind = code.CustomCode().decode()
        if entry.OutputsLength() != 1:
            raise ModelError(f"expected one output of tflite operator {kind}, got {entry.OutputsLength()}")
        return Operator(
            kind=kind,
            inputs=tuple(int(entry.Inputs(i)) for i in range(entry.InputsLength())),
            output=int(entry.Outputs(0)),
            options=self._options(entry),
            custom=bytes(entry.CustomOptions(i) for i in range(entry.CustomOptionsLength())),
        )

    def _options(self, entry: Any) -> Any:
        table = entry.BuiltinOptions()
        if table is None:
            return None
        options = getattr(self._tflite, self._option_tables[entry.BuiltinOptionsType()])()
        options.Init(table.Bytes, table.Pos)
        return options
