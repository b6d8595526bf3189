"""The Q/DQ network made from calibration facts: int8 where the facts say so, float elsewhere, and near the original."""

from __future__ import annotations

import base64
import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from streammatte.catalog import engines_dir
from streammatte.errors import ModelError
from streammatte.quantization.calibration import (
    Activation,
    Calibration,
    read_calibration,
    unsigned_up_to,
    write_calibration,
)
from streammatte.quantization.qdq import quantize

Floats = npt.NDArray[np.float32]
_DICE = np.random.default_rng(5)
FIRST = _DICE.normal(0, 0.5, (4, 3, 3, 3)).astype(np.float32)
SECOND = _DICE.normal(0, 0.5, (1, 4, 1, 1)).astype(np.float32)


def network() -> Any:
    """conv, ReLU, conv, sigmoid; opset 11 with weights among the inputs, as old exporters wrote them."""
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["a"], name="conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["r"], name="relu"),
        helper.make_node("Conv", ["r", "w2", "b2"], ["logit"], name="conv2"),
        helper.make_node("Sigmoid", ["logit"], ["alpha"], name="sigmoid"),
    ]
    values = {"w1": FIRST, "b1": np.zeros(4, np.float32), "w2": SECOND, "b2": np.array([0.1], np.float32)}
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])]
    inputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape) for name, value in values.items()]
    outputs = [helper.make_tensor_value_info("alpha", TensorProto.FLOAT, [1, 1, 8, 8])]
    initializers = [numpy_helper.from_array(value, name) for name, value in values.items()]
    graph = helper.make_graph(nodes, "small", inputs, outputs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)


def calibration(**changes: Any) -> Calibration:
    facts: dict[str, Any] = {
        "onnx_sha256": "0" * 64,
        "float_convolutions": frozenset(),
        "activations": {"x": Activation(2 / 255, -1, "int8"), "r": Activation(6 / 255, 0, "uint8")},
        "biases": {},
    }
    return Calibration(**(facts | changes))


def run(model: Any, x: Floats) -> Floats:
    options = onnxruntime.SessionOptions()
    # Without VNNI it would add in 16 bits, which the 255 steps used here overflow.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    assert [entry.name for entry in session.get_inputs()] == ["x"]
    return np.asarray(session.run(None, {"x": x})[0], np.float32)


def inputs() -> Floats:
    return np.random.default_rng(1).uniform(-1, 1, (1, 3, 8, 8)).astype(np.float32)


def reference(x: Floats) -> Floats:
    session = onnxruntime.InferenceSession(network().SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0], np.float32)


def by_hand(x: Floats, round_second: bool) -> Floats:
    """The same arithmetic in plain NumPy: rounded input, rounded weights, rounded ReLU."""

    def rounded(values: Floats, scale: float, low: int, high: int, zero: int) -> Floats:
        return np.asarray((np.clip(np.rint(values / scale) + zero, low, high) - zero) * scale, np.float32)

    def weights(values: Floats) -> Floats:
        scale = np.abs(values).reshape(values.shape[0], -1).max(1).reshape(-1, 1, 1, 1) / 127
        return np.asarray(np.rint(values / scale) * scale, np.float32)

    padded = np.pad(rounded(x, 2 / 255, -128, 127, -1), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded[0], (3, 3), axis=(1, 2))
    hidden = np.einsum("chwij,ocij->ohw", windows, weights(FIRST))
    hidden = rounded(np.maximum(hidden, 0).astype(np.float32), 6 / 255, 0, 255, 0)
    logit = np.einsum("chw,oc->ohw", hidden, (weights(SECOND) if round_second else SECOND)[:, :, 0, 0]) + 0.1
    return np.asarray(1 / (1 + np.exp(-logit)), np.float32)


@pytest.mark.parametrize("kept", [frozenset(), frozenset({"conv2"})])
def test_it_computes_what_rounding_by_hand_gives(kept: frozenset[str]) -> None:
    x = inputs()
    got = run(quantize(network(), calibration(float_convolutions=kept)), x)[0]
    expected = by_hand(x, round_second=not kept)
    # a sum on the brink may fall into the next step
    assert np.quantile(np.abs(got - expected), 0.95) < 1e-4
    assert np.abs(got - expected).max() < 0.02
    assert 1e-4 < np.abs(got - reference(x)[0]).max() < 0.03


def test_weights_are_stored_as_int8_and_floats_are_gone() -> None:
    stored = {
        entry.name: numpy_helper.to_array(entry) for entry in quantize(network(), calibration()).graph.initializer
    }
    assert {name: values.dtype.name for name, values in stored.items() if "w" in name and ".q" in name} == {
        "w1.q": "int8",
        "w2.q": "int8",
    }
    assert "w1" not in stored
    assert stored["w1.scale"] == pytest.approx(np.abs(FIRST).reshape(4, -1).max(1) / 127)


def test_bias_correction_is_added() -> None:
    x = inputs()
    plain = run(quantize(network(), calibration()), x)
    corrected = run(quantize(network(), calibration(biases={"conv2": np.array([0.5], np.float32)})), x)
    assert np.log(corrected / (1 - corrected)) - np.log(plain / (1 - plain)) == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {"activations": {"nowhere": Activation(1.0, 0, "uint8")}},
        {"biases": {"nowhere": np.zeros(1, np.float32)}},
        {"float_convolutions": frozenset({"nowhere"})},
    ],
)
def test_facts_of_another_network_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        quantize(network(), calibration(**changes))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"onnx_sha256": "x"}', '{"onnx_sha256": "x", "activations": {"a": 1}}']
)
def test_broken_facts(tmp_path: Path, text: str) -> None:
    file = tmp_path / "broken.json"
    file.write_text(text)
    with pytest.raises(ModelError, match=r"broken\.json: not a calibration"):
        read_calibration(file)
    with pytest.raises(ModelError, match=r"absent\.json"):
        read_calibration(tmp_path / "absent.json")


def test_facts_are_read_back(tmp_path: Path) -> None:
    delta = np.array([0.5, -0.25], "<f2")
    facts = {
        "onnx_sha256": "ab",
        "float_convolutions": ["c"],
        "activations": {"t": [0.5, 3, "int8"]},
        "biases": {"c": base64.b64encode(delta.tobytes()).decode()},
    }
    (tmp_path / "facts.json").write_text(json.dumps(facts))
    found = read_calibration(tmp_path / "facts.json")
    assert (found.onnx_sha256, found.float_convolutions) == ("ab", frozenset({"c"}))
    assert found.activations == {"t": Activation(0.5, 3, "int8")}
    assert found.biases["c"].tolist() == [0.5, -0.25]
    assert (found.calibrated_on, found.quantizer) == ("", "")


@pytest.mark.parametrize("file", sorted(engines_dir().glob("*.int8.json")), ids=lambda file: file.name)
def test_facts_are_written_as_they_are_read(file: Path, tmp_path: Path) -> None:
    write_calibration(tmp_path / "again.json", read_calibration(file))
    assert (tmp_path / "again.json").read_bytes() == file.read_bytes()


def signed(model: Any) -> Any:
    """As TensorRT reads it: uint8 is int8."""
    for entry in model.graph.initializer:
        if entry.data_type == TensorProto.UINT8:
            entry.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(entry).astype(np.int8), entry.name))
    return model


def test_a_range_means_the_same_to_runtimes_that_know_no_uint8() -> None:
    x = inputs()
    top = float(highest_relu(x))
    facts = calibration(activations={"r": unsigned_up_to(top)}, float_convolutions=frozenset({"conv1"}))
    both = run(quantize(network(), facts), x), run(signed(quantize(network(), facts)), x)
    assert np.array_equal(*both)
    assert np.abs(both[0] - reference(x)).max() < 0.03
    full = calibration(activations={"r": Activation(top / 255, 0, "uint8")}, float_convolutions=frozenset({"conv1"}))
    cut_off = run(signed(quantize(network(), full)), x)
    assert np.abs(cut_off - reference(x)).max() > 0.1, "what all 255 steps would come to"


def highest_relu(x: Floats) -> np.float32:
    model = network()
    model.graph.output.append(helper.make_tensor_value_info("r", TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.float32(session.run(["r"], {"x": x})[0].max())


@pytest.mark.parametrize("file", sorted(engines_dir().glob("*.int8.json")), ids=lambda file: file.name)
def test_shipped_calibrations_fit_their_models_and_leave_logits_alone(file: Path) -> None:
    facts = tomllib.loads(file.with_name(file.name.replace(".int8.json", ".toml")).read_text())
    found = read_calibration(file)
    assert facts["int8"]["calibration"] == file.name
    assert found.onnx_sha256 == facts["weights"]["sha256"]
    rules = {(activation.dtype, activation.zero_point) for activation in found.activations.values()}
    assert rules == {("uint8", 0)}, "a signed hidden tensor is a logit, and would show as terraces"
    assert found.calibrated_on
    assert found.quantizer


def test_the_checker_accepts_it() -> None:
    onnx.checker.check_model(quantize(network(), calibration()), full_check=True)


def test_nodes_without_names_and_weights_that_are_shared() -> None:
    """Some exporters name no node; a network that is applied twice has its weights once."""
    given = network()
    for node in given.graph.node:
        node.name = ""
    twin = helper.make_node("Conv", ["r", "w2"], ["other"])
    given.graph.node.append(twin)
    given.graph.output.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, [1, 1, 8, 8]))
    made, plain = quantize(given, calibration()), quantize(network(), calibration())
    assert sum(node.op_type == "DequantizeLinear" for node in made.graph.node) == 2 + 2, "two activations, two weights"
    batch = _DICE.uniform(-1, 1, (1, 3, 8, 8)).astype(np.float32)
    (wanted,), (alpha, logit) = (
        onnxruntime.InferenceSession(each.SerializeToString(), providers=["CPUExecutionProvider"]).run(
            None, {"x": batch}
        )
        for each in (plain, made)
    )
    assert np.array_equal(alpha, wanted)
    assert np.abs(1 / (1 + np.exp(-(logit + 0.1))) - alpha).max() < 1e-5
