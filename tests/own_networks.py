"""Networks of one picture in, one alpha out, as users bring them: the tiny one of scenes.py, changed; and its TOML."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper
from scenes import write_network

from streammatte.own_network import drafted_toml

Change = Callable[[Any], None]


def network(folder: Path, *changes: Change, name: str = "mine.onnx") -> Path:
    """The tiny network of scenes.py (R in, sigmoid out; G as it is), changed."""
    path = write_network(folder / name)
    made = onnx.load(path)
    for change in changes:
        change(made.graph)
    path.write_bytes(made.SerializeToString())
    return path


def shaped(*sides: int | str | None, end: str = "input") -> Change:
    """The shape of the first input or output, as said by the file."""

    def change(graph: Any) -> None:
        value = getattr(graph, end)[0]
        kind = value.type.tensor_type.elem_type
        value.CopyFrom(helper.make_tensor_value_info(value.name, kind, sides))

    return change


def first_output(name: str) -> Change:
    """The first output is this tensor of the graph's."""
    return lambda graph: setattr(graph.output[0], "name", name)


def ending(operator: str, *constants: float, **attributes: Any) -> Change:
    """The sigmoid at the end of the first output is this operator instead."""

    def change(graph: Any) -> None:
        names = [f"constant{number}" for number in range(len(constants))]
        for name, value in zip(names, constants, strict=True):
            graph.initializer.append(onnx.numpy_helper.from_array(np.float32(value), name))
        graph.node[1].CopyFrom(helper.make_node(operator, ["logit", *names], ["red"], **attributes))

    return change


def then(operator: str, *inputs: str, **attributes: Any) -> Change:
    """One more operator after the first output."""

    def change(graph: Any) -> None:
        graph.node[1].output[0] = "within"
        graph.node.append(helper.make_node(operator, ["within", *inputs], ["red"], **attributes))

    return change


def described(folder: Path, *changes: Change, **words: str) -> Path:
    """The draft about a network, with `words` put in place of others."""
    file = network(folder, *changes)
    text = drafted_toml(file)
    for old, new in words.items():
        assert old in text
        text = text.replace(old, new)
    toml = file.with_suffix(".toml")
    toml.write_text(text, encoding="utf-8")
    return toml
