"""A network that takes a trimap, of one layer with a known answer, as a model of the catalogue."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from streammatte.catalog import Model, read_model
from streammatte.weights.cache import sha256_of

PLANES = {"red": (1, 0, 0, 0), "green": (0, 1, 0, 0), "blue": (0, 0, 1, 0), "trimap": (0, 0, 0, 1)}
_TOML = """
name = "{name}"
task = "trimap"
title = "One layer"
summary = "Gives back one of its planes"
author = "the tests"
citation = "none"
homepage = "https://example.org"
licence = "{licence}"
licence_url = "https://example.org/licence"
licence_text = "whatever the tests say"
commercial = "{commercial}"
[weights]
format = "onnx"
sha256 = "{sha256}"
[input]
width = {width}
height = {height}
mean = [{mean}, 0.0, 0.0]
std = [{std}, 1.0, 1.0]
[output]
index = 0
activation = "{activation}"
[[source]]
kind = "path"
path = "{name}.source"
"""


def trimap_model(
    folder: Path,
    plane: str = "trimap",
    *,
    name: str = "edges",
    size: tuple[int, int] = (96, 64),
    outputs: int = 1,
    mean: float = 0.0,
    std: float = 1.0,
    activation: str = "none",
    licence: str = "CC0-1.0",
    commercial: str = "yes",
) -> Model:
    """One of (width, height) `size` that gives back `plane` of its input, `outputs` times; its file is in `folder`."""
    weight = np.tile(np.array(PLANES[plane], np.float32).reshape(1, 4, 1, 1), (outputs, 1, 1, 1))
    graph = helper.make_graph(
        [helper.make_node("Conv", ["pixel_values", "weight"], ["alphas"])],
        "edges",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, [1, 4, size[1], size[0]])],
        [helper.make_tensor_value_info("alphas", TensorProto.FLOAT, [1, outputs, size[1], size[0]])],
        [onnx.numpy_helper.from_array(weight, "weight")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    source = folder / f"{name}.source"
    source.write_bytes(made.SerializeToString())
    facts = {"name": name, "sha256": sha256_of(source), "width": size[0], "height": size[1], "mean": mean, "std": std}
    words = {"activation": activation, "licence": licence, "commercial": commercial}
    (folder / f"{name}.toml").write_text(_TOML.format(**facts, **words), encoding="utf-8")
    return read_model(folder / f"{name}.toml")
