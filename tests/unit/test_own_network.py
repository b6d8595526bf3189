"""A bare ONNX file as a model: what is found out, what is assumed, the TOML that can say it; each flaw is one line."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from own_networks import Change, described, ending, first_output, network, shaped, then
from remembering import write_remembering
from scenes import NETWORK, RED_GAIN

import streammatte.own_network as subject
from streammatte.catalog import model
from streammatte.errors import ModelError
from streammatte.matter import Matter
from streammatte.own_model import model_named
from streammatte.own_network import drafted_toml
from streammatte.weights.cache import sha256_of
from streammatte.weights.onnx_ends import End, read_ends


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, own_settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMMATTE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("STREAMMATTE_OFFLINE", "1")


# a bare file


def test_a_file_is_a_model_and_stays_where_it_is(tmp_path: Path) -> None:
    file = network(tmp_path)
    found = model_named(file)
    assert (found.name, found.file, found.sha256) == ("mine.onnx", file, sha256_of(file))
    assert (found.input.width, found.input.height) == NETWORK
    assert found.input.mean == model("u2net").input.mean
    assert found.input.std == model("u2net").input.std
    matter = Matter(str(file), runtime="openvino", precision="f32")
    assert matter.weights_sha256 == sha256_of(file)
    assert not (tmp_path / "cache" / "weights").exists()
    assert len(list((tmp_path / "cache" / "engines").glob("*.blob"))) == 1
    assert Matter(file, runtime="openvino", precision="f32").info.cache_hit


def test_a_report_says_what_was_assumed(tmp_path: Path) -> None:
    (note,) = Matter(network(tmp_path), runtime="onnxruntime").fallbacks
    assert note == (
        "mine.onnx: alpha is its output red, activation none (it ends in one that is part of it); ImageNet "
        "normalisation is assumed; a TOML can say otherwise, see docs/models.md"
    )


def test_alpha_is_the_networks(tmp_path: Path) -> None:
    """Of red as the network sees it: (R - mean) / std."""
    for file in (network(tmp_path), network(tmp_path, first_output("logit"), name="logits.onnx")):
        alpha = Matter(file, runtime="onnxruntime")(np.full((30, 50, 3), (128, 9, 200), np.uint8))
        seen = (128 / 255 - 0.485) / 0.229
        assert alpha == pytest.approx(1 / (1 + np.exp(-RED_GAIN * (seen - 0.5))), abs=0.01)


@pytest.mark.parametrize(
    "changes",
    [
        [],
        [ending("HardSigmoid")],
        [ending("Clip", 0.0, 1.0)],
        [ending("Clip", 0.25, 0.75)],
        [ending("Softmax", axis=1)],
        [then("Identity")],
        [then("Cast", to=TensorProto.FLOAT)],
        [then("Identity"), then("Identity")],
    ],
    ids=["sigmoid", "hard", "clip", "within", "softmax", "identity", "cast", "twice"],
)
def test_a_graph_that_ends_in_an_activation_is_not_run(
    tmp_path: Path, changes: list[Change], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "_range", lambda model: pytest.fail("it was run"))
    found = model_named(network(tmp_path, *changes))
    assert found.output.activation == "none"
    assert "(it ends in one that is part of it)" in found.assumed[0]


@pytest.mark.parametrize(
    ("changes", "activation"),
    [
        ([first_output("logit")], "sigmoid"),
        ([ending("Clip", -9.0, 9.0)], "sigmoid"),
        ([ending("Clip", -9.0)], "sigmoid"),
        ([ending("Clip", -9.0, 1.0)], "sigmoid"),
        ([ending("Identity")], "sigmoid"),
        ([ending("Tanh"), then("Abs")], "none"),
        ([ending("Clip", -0.3, 1.3)], "none"),
    ],
    ids=["logit", "clip", "no most", "no least", "identity", "within [0, 1]", "a little beyond"],
)
def test_else_what_it_gives_tells(tmp_path: Path, changes: list[Change], activation: str) -> None:
    found = model_named(network(tmp_path, *changes))
    assert found.output.activation == activation
    assert "for the pictures that ship with streammatte" in found.assumed[0]


def test_what_it_gives_is_told(tmp_path: Path) -> None:
    (words,) = model_named(network(tmp_path, ending("Clip", -9.0, 9.0))).assumed
    assert "activation sigmoid (it gives -9 to 9 for" in words


def test_the_old_clip_has_attributes(tmp_path: Path) -> None:
    file = network(tmp_path, ending("Clip", min=0.0, max=1.0))
    made = onnx.load(file)
    made.opset_import[0].version = 10
    file.write_bytes(made.SerializeToString())
    assert read_ends(file).bounded == {"red"}


def test_the_first_output_that_fits(tmp_path: Path) -> None:
    def swapped(graph: Any) -> None:
        graph.output.insert(0, helper.make_tensor_value_info("rgb", TensorProto.FLOAT, [1, 3, *NETWORK[::-1]]))

    def named_rgb(graph: Any) -> None:
        graph.node.append(helper.make_node("Identity", ["rgb"], ["fgr"]))
        swapped(graph)
        graph.output[0].name = "fgr"

    found = model_named(network(tmp_path, named_rgb))
    assert found.output.index == 1
    assert "alpha is its output red" in found.assumed[0]


def test_an_open_batch_is_one_picture(tmp_path: Path) -> None:
    file = network(tmp_path, shaped("n", 3, *NETWORK[::-1]), shaped("n", 1, *NETWORK[::-1], end="output"))
    for runtime in ("openvino", "onnxruntime"):
        alpha = Matter(file, runtime=runtime, precision="f32")(np.full((30, 50, 3), 255, np.uint8))
        assert alpha == pytest.approx(1.0, abs=0.01)


def test_shapes_that_the_file_leaves_open_are_worked_out(tmp_path: Path) -> None:
    file = network(tmp_path, shaped("n", 3, *NETWORK[::-1]), shaped("n", "c", "h", "w", end="output"))
    ends = read_ends(file)
    assert (ends.inputs[0].shape, ends.outputs[0].shape) == ((None, 3, 24, 40), (1, 1, 24, 40))
    with_size = read_ends(
        network(tmp_path, shaped(1, 3, "h", "w"), shaped(None, 1, None, None, end="output")), (64, 32)
    )
    assert with_size.outputs[0].shape == (1, 1, 32, 64)


def test_what_the_file_says_of_tensors_within_held_for_another_size(tmp_path: Path) -> None:
    def sized_within(graph: Any) -> None:
        graph.value_info.append(helper.make_tensor_value_info("logit", TensorProto.FLOAT, [1, 1, 99, 99]))

    ends = [shaped(1, 3, "h", "w"), shaped(1, 1, "h", "w", end="output")]
    assert read_ends(network(tmp_path, sized_within, *ends), (64, 32)).outputs[0].shape == (1, 1, 32, 64)


def test_weights_among_the_inputs_are_none(tmp_path: Path) -> None:
    def listed(graph: Any) -> None:
        graph.input.append(helper.make_tensor_value_info("bias", TensorProto.FLOAT, [1]))

    assert [each.name for each in read_ends(network(tmp_path, listed)).inputs] == ["rgb"]


def padded(graph: Any) -> None:
    """The output loses its last rows, which no file says."""
    graph.node[1].output[0] = "within"
    graph.node.append(helper.make_node("Unknown", ["within"], ["red"], domain="nowhere"))


BAD: list[tuple[list[Change], str]] = [
    ([shaped(1, *NETWORK[::-1], 3)], r"takes rgb \(1, 24, 40, 3\) float, expected \(1, 3, height, width\) float"),
    ([shaped(1, 1, *NETWORK[::-1])], r"takes rgb \(1, 1, 24, 40\) float, expected \(1, 3, height, width\)"),
    ([shaped(4, 3, *NETWORK[::-1])], r"takes rgb \(4, 3, 24, 40\) float, expected \(1, 3, height, width\)"),
    ([shaped(3, *NETWORK[::-1])], r"takes rgb \(3, 24, 40\) float, expected \(1, 3, height, width\)"),
    (
        [lambda graph: setattr(graph.input[0].type.tensor_type, "elem_type", TensorProto.UINT8)],
        r"takes rgb \(1, 3, 24, 40\) uint8, expected \(1, 3, height, width\) float",
    ),
    (
        [shaped("n", 3, "h", "w")],
        r"leaves the size of its input open, rgb \(\?, 3, \?, \?\) float; `streammatte models",
    ),
    (
        [lambda graph: graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1, 4]))],
        r"has 2 inputs \(rgb \(1, 3, 24, 40\) float, more \(1, 4\) float\), expected one, .* needs a TOML that names",
    ),
    (
        [shaped(1, 1, 12, 20, end="output"), lambda graph: graph.output.pop()],
        r"gives red \(1, 1, 12, 20\) float, expected \(1, 1, 24, 40\) float: an alpha",
    ),
    (
        [ending("Clip", 3.0, 200.0)],
        r"gives neither an alpha nor logits: it gives 3 to .*; `streammatte models toml .* use --model",
    ),
    (
        [padded, shaped(1, 1, *NETWORK[::-1], end="output")],
        r"cannot be run by openvino: .* nowhere\.Unknown",
    ),
]


@pytest.mark.parametrize(("changes", "words"), BAD, ids=[words[:24] for _, words in BAD])
def test_what_is_no_matting_network_is_one_line(tmp_path: Path, changes: list[Change], words: str) -> None:
    file = network(tmp_path, *changes)
    with pytest.raises(ModelError, match=words) as caught:
        Matter(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)


def test_numbers_that_are_none_are_no_alpha(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="neither an alpha nor logits: it gives nan to nan"):
        model_named(network(tmp_path, ending("Sqrt")))


def test_a_shape_that_only_running_tells(tmp_path: Path) -> None:
    def halved(graph: Any) -> None:
        for name, value in (("zero", 0), ("two", 2), ("six", 6)):
            graph.initializer.append(onnx.numpy_helper.from_array(np.array([value], np.int64), name))
        then("Slice", "zero", "twelve", "two")(graph)
        graph.node.insert(0, helper.make_node("Mul", ["two", "six"], ["twelve"]))

    file = network(tmp_path, halved, shaped(None, None, None, None, end="output"))
    assert None in (read_ends(file).outputs[0].shape or ())
    with pytest.raises(ModelError, match=r"gives \(1, 1, 12, 40\), expected \(1, 1, 24, 40\): an alpha"):
        model_named(file)


@pytest.mark.parametrize("content", [b"", b"\x00\x01 no network", b"<html>"])
def test_what_is_no_onnx_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mine.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"mine\.onnx: is no ONNX file: ") as caught:
        model_named(tmp_path / "mine.onnx")
    assert "\n" not in str(caught.value)


def test_weights_in_other_files(tmp_path: Path) -> None:
    made = onnx.load(network(tmp_path))
    onnx.save(made, tmp_path / "parts.onnx", save_as_external_data=True, size_threshold=0, location="parts.bin")
    with pytest.raises(ModelError, match=r"parts\.onnx: keeps its weights in other files"):
        model_named(tmp_path / "parts.onnx")


def test_a_bare_recurrent_network_needs_a_toml(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has 3 inputs .* a recurrent network needs a TOML that names its state"):
        model_named(write_remembering(tmp_path / "r.onnx"))


# a draft


def test_a_draft_is_the_same_model(tmp_path: Path) -> None:
    for changes in ([], [first_output("logit")]):
        toml = described(tmp_path, *changes)
        bare, found = model_named(toml.with_suffix(".onnx")), model_named(str(toml))
        assert (found.input, found.output, found.file) == (bare.input, bare.output, bare.file)
        assert (found.name, found.own, found.assumed) == ("mine", True, ())
        picture = np.random.default_rng(0).integers(0, 255, (30, 50, 3), np.uint8)
        alphas = [Matter(each, runtime="onnxruntime")(picture) for each in (found, bare)]
        assert np.array_equal(*alphas)
    assert not (tmp_path / "cache" / "weights").exists()


def test_a_draft_of_an_open_size_says_so_and_runs(tmp_path: Path) -> None:
    toml = described(tmp_path, shaped("n", 3, "h", "w"), shaped("n", 1, "h", "w", end="output"))
    assert "any_size = true # it leaves that open" in toml.read_text()
    assert "width = 512" in toml.read_text()
    matter = Matter(toml, runtime="openvino", precision="f32")
    assert matter(np.full((30, 50, 3), 255, np.uint8)) == pytest.approx(1.0, abs=0.01)
    assert matter.weights_sha256 != sha256_of(toml.with_suffix(".onnx")), "its size was fixed"


def test_a_draft_of_logits_of_an_open_size_guesses(tmp_path: Path) -> None:
    text = described(
        tmp_path, shaped("n", 3, "h", "w"), first_output("logit"), shaped("n", 1, "h", "w", end="output")
    ).read_text()
    assert 'activation = "sigmoid" # assumed; none if it gives an alpha' in text


def test_a_draft_of_what_is_neither(tmp_path: Path) -> None:
    assert 'activation = "none" # it gives 3 to' in drafted_toml(network(tmp_path, ending("Clip", 3.0, 200.0)))


def test_odd_names_are_quoted(tmp_path: Path) -> None:
    file = network(tmp_path, name='my "né\\t.onnx')
    file.with_suffix(".toml").write_text(drafted_toml(file), encoding="utf-8")
    assert model_named(file.with_suffix(".toml")).file == file


# ends


def test_a_shape_is_told_apart_from_anything_else() -> None:
    """`fits` says yes to what is open, and to nothing but float32 of that rank."""
    for sides in itertools.product((1, None), (3, None), (24, None)):
        assert End("x", "FLOAT", sides).fits(1, 3, 24)
    assert End("x", "FLOAT", None).fits(1, 3, 24)
    for end in (End("x", "FLOAT16", (1, 3, 24)), End("x", "FLOAT", (1, 3)), End("x", "FLOAT", (1, 4, None))):
        assert not end.fits(1, 3, 24)
    assert str(End("x", "FLOAT", None)) == "x (?) float"
