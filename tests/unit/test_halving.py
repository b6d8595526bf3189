"""fp16 networks: made once, kept, and what is said where one cannot be had."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino
import pytest
from scenes import write_network

import streammatte.halving as subject
from streammatte.catalog import model
from streammatte.errors import ModelError, RuntimeUnavailable
from streammatte.halving import halved
from streammatte.parity import parity_batches
from streammatte.weights.cache import Weights, sha256_of
from streammatte.weights.pull import ensure

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")
pytest.importorskip("onnxscript", reason="pip install 'streammatte[torch]'")

from streammatte.networks.onnx_weights import OnnxNetwork  # noqa: E402


@pytest.fixture
def weights(tmp_path: Path) -> Weights:
    path = write_network(tmp_path / "network.onnx")
    return Weights(path, sha256_of(path), "the tests")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the exporter was asked for; the network in every file is of 40 x 24 pixels."""
    asked: list[tuple[Any, ...]] = []

    def export(network: Any, *, width: int, height: int, precision: str, batch: int) -> bytes:
        asked.append((network, width, height, precision) if batch == 1 else (network, batch))
        return b"float16"

    reads(monkeypatch)
    monkeypatch.setattr("streammatte.networks.export.to_onnx", export)
    return asked


def reads(monkeypatch: pytest.MonkeyPatch, width: int = 40, halved: bool = False) -> None:
    def read(path: Path) -> OnnxNetwork:
        return OnnxNetwork(path.name, width, 24, halved)  # type: ignore[arg-type]

    monkeypatch.setattr("streammatte.networks.onnx_weights.read_onnx", read)


def test_it_is_made_once(weights: Weights, made: list[Any], tmp_path: Path) -> None:
    first, second = (halved(weights, tmp_path / "cache") for _ in range(2))
    assert first == second
    assert first.read_bytes() == b"float16"
    assert first.parent == tmp_path / "cache" / "engines"
    assert made == [("network.onnx", 40, 24, "fp16")]
    key = json.loads(first.with_suffix(".json").read_text(encoding="utf-8"))
    assert (key["of"], key["precision"]) == (weights.sha256, "fp16")


def test_for_more_pictures_at_once_it_is_another(weights: Weights, made: list[tuple[Any, ...]], tmp_path: Path) -> None:
    one, four = (halved(weights, tmp_path / "cache", batch=batch) for batch in (1, 4))
    assert one != four
    assert made[1] == ("network.onnx", 4)
    assert halved(weights, tmp_path / "cache", batch=4) == four
    assert len(made) == 2


def test_other_weights_are_another_network(weights: Weights, made: list[Any], tmp_path: Path) -> None:
    other = Weights(weights.path, "0" * 64, "the tests")
    assert halved(weights, tmp_path / "cache") != halved(other, tmp_path / "cache")
    assert len(made) == 2


def test_so_is_what_another_version_made(
    weights: Weights, made: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = halved(weights, tmp_path / "cache")
    monkeypatch.setattr(subject, "_BUILDER", "streammatte.halving 0")
    assert halved(weights, tmp_path / "cache") != first
    assert len(made) == 2


def test_a_file_that_is_one_already(
    weights: Weights, made: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads(monkeypatch, halved=True)
    assert halved(weights, tmp_path / "cache") == weights.path
    assert made == []
    assert not (tmp_path / "cache").exists()


def test_progress(weights: Weights, made: list[Any], tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    halved(weights, tmp_path / "cache", lambda *words: told.append(words))
    phase = "rewriting the network in float16"
    assert told == [(phase, 0, 1), (phase, 1, 1)]
    halved(weights, tmp_path / "cache", lambda *words: told.append(words))
    assert len(told) == 2, "there is nothing to do"


def test_whoever_is_told_can_end_it(weights: Weights, made: list[Any], tmp_path: Path) -> None:
    def stop(*words: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        halved(weights, tmp_path / "cache", stop)
    assert made == []
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("missing", ["torch", "onnxscript"])
def test_without_torch(missing: str, weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "find_spec", lambda name: None if name == missing else find_spec(name))
    with pytest.raises(RuntimeUnavailable) as caught:
        halved(weights, tmp_path / "cache")
    remedy = "which is not installed: pip install 'streammatte[torch]'"
    assert str(caught.value) == f"an fp16 network is made with {missing}, {remedy}"


def test_torch_is_not_needed_for_what_is_there(
    weights: Weights, made: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = halved(weights, tmp_path / "cache")
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(subject, "find_spec", lambda name: None)
    assert halved(weights, tmp_path / "cache") == first


def test_a_network_that_torch_does_not_know(weights: Weights, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"network\.onnx: not a network streammatte knows in torch"):
        halved(weights, tmp_path / "cache")


def test_a_network_of_no_fixed_size(
    weights: Weights, made: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads(monkeypatch, width=0)
    with pytest.raises(ModelError, match="its input has no fixed size"):
        halved(weights, tmp_path / "cache")


def test_a_cache_that_cannot_be_written_to(weights: Weights, made: list[Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="could not be kept"):
        halved(weights, tmp_path / "file")


@pytest.mark.weights
@pytest.mark.export
def test_u2net_says_in_fp16_what_it_says_in_f32(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="pip install 'streammatte[onnxruntime]'")
    u2net = model("u2net")
    weights = ensure(u2net)
    path = halved(weights, tmp_path)
    network = onnx.load(path)
    heavy = {each.data_type for each in network.graph.initializer if each.name.endswith(".weight")}
    assert heavy == {onnx.TensorProto.FLOAT16}
    plain, half = (
        onnxruntime.InferenceSession(each, providers=["CPUExecutionProvider"]) for each in (weights.path, path)
    )
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    (given,), (wanted, *_) = plain.get_inputs(), plain.get_outputs()
    for batch in parity_batches(u2net.input):
        reference = plain.run([wanted.name], {given.name: batch})[0]
        assert reference.max() > 0.9, "somebody is in the picture"
        for found in (half.run(["alpha"], {"rgb": batch})[0], compiled({"rgb": batch})["alpha"]):
            apart = np.abs(found - reference)
            assert apart.mean() <= 5e-4
            assert apart.max() <= 0.06
