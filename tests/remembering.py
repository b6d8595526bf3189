"""A recurrent network of a few nodes with a known answer, and the TOML about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from scenes import NETWORK, Float

from streammatte.catalog import StateSpec

STATE = StateSpec(("before",), ("after",), 0, "ratio", 0.5)
OUTPUT = 1

TOML = """
name = "{name}"
task = "recurrent"
title = "Half of what was, half of what is"
summary = "Bright is in, dark is out, and slowly"
author = "the tests"
citation = "none"
homepage = "https://example.org"
licence = "CC0-1.0"
commercial = "yes"
[weights]
format = "onnx"
checksum = "first"
[input]
width = {width}
height = {height}
mean = [0.0, 0.0, 0.0]
std = [1.0, 1.0, 1.0]
[output]
index = 1
activation = "none"
[state]
inputs = ["before"]
outputs = ["after"]
fgr = 0
ratio_input = "ratio"
ratio = 0.5
[[source]]
kind = "path"
path = "{onnx}"
"""


def write_remembering(path: Path, *, open_size: bool = False) -> Path:
    """after = (before + mean of R, G, B) / 2; alpha = after * ratio; fgr is half the picture.

    With `open_size` it is as RVM: all sides are left open, and a state of one sample stands for one of any size.
    """
    wide, high = NETWORK
    sides: list[Any] = [None, None] if open_size else [high, wide]
    batch: Any = None if open_size else 1
    nodes = [
        helper.make_node("ReduceMean", ["rgb"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Shape", ["mean"], ["size"]),
        helper.make_node("Expand", ["before", "size"], ["full"]),
        helper.make_node("Add", ["mean", "full"], ["both"]),
        helper.make_node("Mul", ["both", "half"], ["after"]),
        helper.make_node("Mul", ["after", "ratio"], ["alpha"]),
        helper.make_node("Mul", ["rgb", "half"], ["fgr"]),
    ]
    inputs = [("ratio", [1]), ("before", [batch, 1, *sides]), ("rgb", [batch, 3, *sides])]
    outputs = [("fgr", [batch, 3, *sides]), ("alpha", [batch, 1, *sides]), ("after", [batch, 1, *sides])]
    graph = helper.make_graph(
        nodes,
        "remembering",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs],
        [onnx.numpy_helper.from_array(np.array(0.5, np.float32), "half")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(made)
    path.write_bytes(made.SerializeToString())
    return path


def write_toml(folder: Path, name: str = "remembering", *, open_size: bool = False) -> Path:
    """The network as NAME.onnx and its TOML; returns the TOML."""
    write_remembering(folder / f"{name}.onnx", open_size=open_size)
    toml = folder / f"{name}.toml"
    facts = {"name": name, "width": NETWORK[0], "height": NETWORK[1], "onnx": f"{name}.onnx"}
    toml.write_text(TOML.format(**facts), encoding="utf-8")
    return toml


class Wanted:
    """What the network says of batches (1, 3, h, w) that it is shown one after the other: alpha (1, 1, h, w)."""

    def __init__(self) -> None:
        self._before: Any = 0.0

    def __call__(self, batch: Float) -> Float:
        self._before = (self._before + batch.mean(axis=1, keepdims=True)) / 2
        return np.asarray(self._before * STATE.ratio, np.float32)
