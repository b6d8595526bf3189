"""What is measured of a float network, and the calibration made of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from streammatte.errors import ModelError
from streammatte.quantization.calibration import Activation, Calibration, unsigned_up_to
from streammatte.quantization.measuring import Measurement
from streammatte.quantization.qdq import quantize

Floats = npt.NDArray[np.float32]
_DICE = np.random.default_rng(7)
FIRST = _DICE.normal(0.1, 0.5, (4, 3, 1, 1)).astype(np.float32)
SECOND = _DICE.normal(0, 0.5, (4, 2, 1, 1)).astype(np.float32)
"""In two groups, as depthwise networks have them."""


def network(opset: int) -> Any:
    """conv, ReLU, grouped conv, ReLU, and a float conv to the output. No window hangs over the border."""
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b"], ["a"], name="conv1"),
        helper.make_node("Relu", ["a"], ["r"], name="relu1"),
        helper.make_node("Conv", ["r", "w2", "b"], ["c"], name="conv2", group=2),
        helper.make_node("Relu", ["c"], ["s"], name="relu2"),
        helper.make_node("Conv", ["s", "w3"], ["y"], name="conv3"),
    ]
    values = {"w1": FIRST, "w2": SECOND, "w3": np.ones((1, 4, 1, 1), np.float32), "b": np.zeros(4, np.float32)}
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 1, 8, 8])],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


BASE = Calibration(
    "0" * 64,
    frozenset({"conv3"}),
    {"r": unsigned_up_to(1.0), "s": unsigned_up_to(9.0), "c": Activation(0.1, 0, "int8")},
    {"conv1": np.ones(4, np.float32)},
    "the shop's pictures",
    "a quantiser",
)


def run(model: Any, x: Floats, output: int = 0) -> Floats:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run([session.get_outputs()[output].name], {"x": x})[0], np.float32)


def pictures(times: float = 1.0) -> list[Floats]:
    dice = np.random.default_rng(3)
    return [(times * dice.uniform(0, 1, (1, 3, 8, 8))).astype(np.float32) for _ in range(3)]


def hidden(x: Floats) -> tuple[Floats, Floats]:
    """The two ReLUs' results (4, 8, 8), by hand."""
    first = np.maximum(np.einsum("oi,ihw->ohw", FIRST[:, :, 0, 0], x[0]), 0)
    halves = [np.einsum("oi,ihw->ohw", SECOND[half, :, 0, 0], first[half]) for half in (slice(0, 2), slice(2, 4))]
    return first.astype(np.float32), np.maximum(np.concatenate(halves), 0).astype(np.float32)


@pytest.fixture(params=[11, 13, 18], ids="opset {}".format)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    onnx.save(network(request.param), tmp_path / "small.onnx")
    return tmp_path / "small.onnx"


def measured(file: Path, given: list[Floats], base: Calibration = BASE) -> tuple[Measurement, Floats]:
    measurement = Measurement(file, base)
    measurement.write_instrumented(file.with_name("instrumented.onnx"))
    model = onnx.load(file.with_name("instrumented.onnx"))
    onnx.checker.check_model(model, full_check=True)
    return measurement, np.stack([run(model, x, measurement.output).reshape(-1) for x in given])


def test_what_is_read_off(file: Path) -> None:
    _, rows = measured(file, pictures())
    for x, row in zip(pictures(), rows, strict=True):
        first, second = hidden(x)
        wanted = [first.max(), second.max(), *x[0].mean(axis=(1, 2)), *first.mean(axis=(1, 2))]
        assert row == pytest.approx(wanted, abs=1e-5)


def test_ranges_are_the_mean_of_each_pictures_highest(file: Path) -> None:
    measurement, rows = measured(file, pictures())
    anew, kept = measurement.calibrations(rows, "my pictures")
    for which, name in enumerate("rs"):
        top = np.mean([hidden(x)[which].max() for x in pictures()])
        assert anew.activations[name].scale == pytest.approx(top / 127, rel=1e-4)
        assert anew.activations[name].dtype == "uint8"
    assert anew.activations["c"] == BASE.activations["c"], "what is not from 0 on is left alone"
    assert kept.activations == BASE.activations
    assert kept.biases == anew.biases
    for found in (anew, kept):
        assert (found.calibrated_on, found.quantizer) == ("my pictures", "streammatte")
        assert (found.onnx_sha256, found.float_convolutions) == (BASE.onnx_sha256, BASE.float_convolutions)


def test_a_range_in_which_nothing_was_seen_stays(file: Path) -> None:
    measurement, rows = measured(file, [np.zeros((1, 3, 8, 8), np.float32)])
    assert measurement.calibrations(rows, "a black picture")[0].activations == BASE.activations


def test_tensors_that_shared_a_scale_still_do(file: Path) -> None:
    apart = replace(BASE, activations=BASE.activations | {"r": unsigned_up_to(0.25), "s": unsigned_up_to(0.5)})
    joined = replace(BASE, activations=BASE.activations | {"r": unsigned_up_to(0.25), "s": unsigned_up_to(0.25)})
    scales = []
    for base in (apart, joined):
        measurement, rows = measured(file, pictures(), base)
        found = measurement.calibrations(rows, "x")[0].activations
        scales.append((found["r"].scale, found["s"].scale))
    assert scales[0][0] != scales[0][1]
    assert scales[1][0] == scales[1][1] == max(scales[0])


def test_biases_undo_the_mean_error_of_rounded_weights(file: Path) -> None:
    given = pictures()
    measurement, rows = measured(file, given)
    # weights alone are rounded here, so that nothing else can be off
    found = replace(measurement.calibrations(rows, "x")[1], activations={}, float_convolutions=frozenset({"conv3"}))
    assert set(found.biases) == {"conv1", "conv2"}

    def off(calibration: Calibration) -> float:
        rounded = quantize(onnx.load(file), calibration)
        rounded.graph.output.append(helper.make_tensor_value_info("a", onnx.TensorProto.FLOAT, None))
        means = [run(rounded, x, 1)[0] - np.einsum("oi,ihw->ohw", FIRST[:, :, 0, 0], x[0]) for x in given]
        return float(np.abs(np.mean(means, axis=(0, 2, 3))).max())

    assert off(found) < 1e-6 < 1e-4 < off(replace(found, biases={}))


def test_facts_of_another_network_are_refused(file: Path) -> None:
    with pytest.raises(ModelError, match="calibration names nowhere"):
        Measurement(file, replace(BASE, activations={"nowhere": unsigned_up_to(1.0)}))
