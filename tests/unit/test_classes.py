"""Networks that tell classes apart: which of them are kept, by name, and what alpha is then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from scenes import NETWORK, Float, facts

from streammatte import registry
from streammatte.catalog import Model, OutputSpec, model
from streammatte.errors import ModelError
from streammatte.matter import Matter
from streammatte.own_model import model_named
from streammatte.parts import facts_of

CLASSES = ("background", "upper", "lower", "full")
GAINS = np.array([[3, 3, 3], [6, -6, 0], [0, 6, -6], [-6, 0, 6]], np.float32)

TOML = """
name = "clothes"
task = "cloth"
title = "Red, green and blue"
summary = "What there is most of"
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
index = 0
activation = "softmax"
classes = {classes}
[[source]]
kind = "path"
path = "clothes.onnx"
"""


def shares(rgb: Float) -> Float:
    """Of a picture (h, w, 3) in [0, 1], each class's probability (h, w, 4)."""
    shown = np.exp(rgb.astype(np.float64) @ GAINS.T)
    return np.asarray(shown / shown.sum(axis=-1, keepdims=True), np.float32)


@pytest.fixture
def clothes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The TOML of a network that gives four logits for each pixel of its input."""
    monkeypatch.setenv("STREAMMATTE_CACHE", str(tmp_path / "cache"))
    wide, high = NETWORK
    graph = helper.make_graph(
        [helper.make_node("Conv", ["rgb", "gains"], ["logits"])],
        "clothes",
        [helper.make_tensor_value_info("rgb", TensorProto.FLOAT, [1, 3, high, wide])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 4, high, wide])],
        [onnx.numpy_helper.from_array(GAINS[..., None, None], "gains")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (tmp_path / "clothes.onnx").write_bytes(made.SerializeToString())
    toml = tmp_path / "clothes.toml"
    toml.write_text(TOML.format(width=wide, height=high, classes=list(CLASSES)).replace("'", '"'), encoding="utf-8")
    return toml


def picture() -> Any:
    wide, high = NETWORK
    coarse = np.random.default_rng(11).random((high, wide, 3))
    return np.rint(coarse * 255).astype(np.uint8)


def wanted(kept: str) -> Float:
    found = shares(picture() / np.float32(255))
    return found[..., 1:].sum(axis=-1) if kept in ("", "all") else found[..., CLASSES.index(kept)]


# names


@pytest.mark.parametrize("kept", ["upper", "lower", "full"])
def test_a_class_by_name(kept: str) -> None:
    found = model(f"u2net_cloth_seg:{kept}")
    assert (found.output.subject, found.called, found.other_use) == (kept, f"u2net_cloth_seg:{kept}", None)
    assert replace(found, output=replace(found.output, subject="")) == model("u2net_cloth_seg"), "the same weights"
    assert model("u2net_cloth_seg:all") == model("u2net_cloth_seg")
    assert model("u2net_cloth_seg").called == "u2net_cloth_seg"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("u2net_cloth_seg:hat", "u2net_cloth_seg:hat: no such class; upper, lower, full or all"),
        ("u2net_cloth_seg:background", "no such class"),
        ("u2net_cloth_seg:", "u2net_cloth_seg:: no such class"),
        ("u2net:upper", "u2net:upper: u2net tells no classes apart; leave :upper out"),
        ("u2nett:upper", "unknown model 'u2nett': did you mean u2net"),
    ],
)
def test_names_that_are_none(name: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        model_named(name)


# what alpha is


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("kept", ["", "all", "upper", "lower", "full"])
def test_alpha_is_the_classs_probability(clothes: Path, kept: str, runtime: str) -> None:
    name = f"{clothes}:{kept}" if kept else str(clothes)
    matter = Matter(name, runtime=runtime, precision="f32")
    alpha = matter(picture())
    assert np.abs(alpha - wanted(kept)).max() <= 0.5 / 255 + 1e-5
    assert ((alpha > 0.1) & (alpha < 0.9)).mean() > 0.2, "mid opacity is kept"
    assert facts_of(matter).model == ("clothes" if kept in ("", "all") else f"clothes:{kept}")


@pytest.mark.parametrize("kept", ["", "upper", "full"])
def test_compat_rembg_takes_the_likeliest_class(clothes: Path, kept: str) -> None:
    matter = Matter(f"{clothes}:{kept or 'all'}", runtime="onnxruntime", compat="rembg")
    likeliest = shares(picture() / np.float32(picture().max())).argmax(axis=-1)
    right = likeliest == CLASSES.index(kept) if kept else likeliest > 0
    assert np.array_equal(matter(picture()), right.astype(np.float32))
    assert 0 < right.mean() < 1


def test_logits_of_any_size_are_borne() -> None:
    raw = np.array([1e4, -1e4, 0, 1e4], np.float32).reshape(1, 4, 1, 1)
    found = [float(arithmetic(kept).pha(raw)[0, 0]) for kept in CLASSES[1:]]
    assert found == [0, 0, 0.5]
    assert float(arithmetic("").pha(raw)[0, 0]) == 0.5
    assert float(arithmetic("upper").pha(raw * np.float32(np.nan))[0, 0]) == 0


def test_on_a_device_it_is_the_same() -> None:
    torch = pytest.importorskip("torch")
    from streammatte.arithmetics.on_device import DeviceFixedGainArithmetic
    from streammatte.kernels.torch.lane import Lane

    raw = np.random.default_rng(2).normal(0, 4, (1, 4, 6, 5)).astype(np.float32)
    for kept in ("", *CLASSES[1:]):
        lane = Lane("cpu")
        found = DeviceFixedGainArithmetic(told(kept), lane).pha(torch.from_numpy(raw))
        assert np.abs(found.numpy() - arithmetic(kept).pha(raw)).max() < 1e-6


def told(kept: str) -> Model:
    return replace(facts(), output=OutputSpec(0, "softmax", CLASSES, kept))


def arithmetic(kept: str) -> Any:
    return registry.load(registry.ARITHMETICS, "fixed", "--compat")(told(kept))


# a file that is another


def test_a_file_with_other_planes_is_refused(clothes: Path) -> None:
    clothes.write_text(clothes.read_text().replace(', "full"', ""), encoding="utf-8")
    with pytest.raises(ModelError, match=r"clothes.toml: output.index: expected the number of an output \(1, 3, "):
        model_named(clothes)
