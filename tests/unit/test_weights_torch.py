"""Weights of torch: converted when pulled, by the code that `streammatte engines export` uses."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

import streammatte.weights.converting as subject
import streammatte.weights.pull as pull_module
from streammatte.catalog import Model, WeightSource, model
from streammatte.errors import ModelError
from streammatte.weights.cache import locate, onnx_path, sha256_of, source_path, verify
from streammatte.weights.pull import ensure


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMMATTE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("STREAMMATTE_OFFLINE", raising=False)


def of_torch(file: Path, **facts: Any) -> Model:
    """BiRefNet's facts, with a small network's weights in `file`."""
    facts = {"architecture": "u2netp", "sha256": sha256_of(file), "size_bytes": file.stat().st_size} | facts
    small = dataclasses.replace(model("birefnet").input, width=96, height=64)
    source = WeightSource("path", path=str(file))
    return dataclasses.replace(model("birefnet"), sources=(source,), input=small, **facts)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")
    for name in ("onnxscript", "safetensors"):
        pytest.importorskip(name, reason="pip install 'streammatte[torch]'")
    from safetensors.torch import save_file

    from streammatte.networks import build

    torch.set_num_threads(1)
    torch.manual_seed(3)
    save_file(build("u2netp").state_dict(), tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was exported, in words; the export itself takes a minute, and has tests of its own."""
    done: list[str] = []

    def written(network: Any, *, width: int, height: int, precision: str) -> bytes:
        done.append(f"{network.facts['architecture']} {width}x{height} {precision}")
        return done[-1].encode() + b" as onnx"

    pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")
    monkeypatch.setattr("streammatte.networks.export.to_onnx", written)
    return done


def test_converted_once(weights: Path, exported: list[str]) -> None:
    here = of_torch(weights)
    found = ensure(here)
    assert exported == ["u2netp 96x64 f32"]
    assert found.path == onnx_path(here)
    assert found.path.read_bytes() == b"u2netp 96x64 f32 as onnx"
    assert ensure(here) == verify(here) == found
    assert len(exported) == 1
    assert [path.name for path in sorted(found.path.parent.iterdir())] == [
        "birefnet.json",
        "birefnet.lock",
        "birefnet.onnx",
    ]


@pytest.mark.parametrize("change", [{"patches": "planes"}, {"architecture": "u2net"}, {"sha256": "0" * 64}])
def test_other_facts_are_another_file(weights: Path, exported: list[str], change: dict[str, Any]) -> None:
    here = of_torch(weights)
    ensure(here)
    assert locate(here) is not None
    assert locate(dataclasses.replace(here, **change)) is None
    assert locate(dataclasses.replace(here, input=dataclasses.replace(here.input, width=128))) is None


def test_put_there_by_hand(weights: Path, exported: list[str]) -> None:
    here = dataclasses.replace(of_torch(weights), sources=(WeightSource("hub", file="model.safetensors"),))
    assert source_path(here).name == "birefnet.safetensors"
    source_path(here).parent.mkdir(parents=True)
    source_path(here).write_bytes(weights.read_bytes())
    assert ensure(here, offline=True).source == f"{source_path(here)}, put there by hand"


def test_weights_of_another_network(weights: Path, exported: list[str]) -> None:
    with pytest.raises(ModelError, match="weights of another network") as caught:
        ensure(of_torch(weights, architecture="u2net"))
    assert "\n" not in str(caught.value)
    assert exported == []


def test_patches_go_along(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def export(architecture: str, path: Path, **how: Any) -> None:
        asked.append(how)
        path.write_bytes(architecture.encode())

    monkeypatch.setattr("streammatte.exporting.export", export)
    ensure(of_torch(weights, patches="columns"))
    (how,) = asked
    assert (how["size"], how["patches"], how["weights"].suffix) == ((96, 64), "columns", ".safetensors")


def test_without_torch_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(name: str) -> object:
        return None if name in ("torch", "safetensors") else object()

    monkeypatch.setattr(subject, "find_spec", found)
    monkeypatch.setattr(pull_module, "fetch_hub_file", lambda *a, **k: pytest.fail("downloaded"))
    with pytest.raises(
        ModelError, match=r"birefnet: .*torch, safetensors .*: pip install 'streammatte\[torch\]'"
    ) as told:
        ensure(model("birefnet"))
    assert "\n" not in str(told.value)
