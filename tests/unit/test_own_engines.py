"""Engines of models that the user brings: told by the file's path, verified, removed, cleaned once it is gone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from own_networks import described, network
from scenes import NETWORK, textured
from trimap_networks import trimap_model

from streammatte.cli.engines import engines
from streammatte.errors import ModelError, RuntimeUnavailable
from streammatte.int8 import own_calibration
from streammatte.kernels.trimaps import UNKNOWN
from streammatte.matter import Matter
from streammatte.own_model import model_named
from streammatte.quantization.calibration import Calibration, unsigned_up_to, write_calibration
from streammatte.trimap_network import TrimapNetwork
from streammatte.upkeep import clean
from streammatte.weights.cache import cache_dir, sha256_of


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, own_settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMMATTE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("STREAMMATTE_OFFLINE", "1")
    monkeypatch.setattr("streammatte.cli.engines.streams_for", lambda *, live: 1)


def run(*args: str) -> list[str]:
    result = CliRunner().invoke(engines, args, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def listed() -> set[str | None]:
    return {entry["model"] for entry in json.loads("\n".join(run("list", "--json")))}


def build(file: Path, precision: str = "f32") -> None:
    run("build", str(file), "--precision", precision, "--runtime", "openvino", "--quiet")


def folder_of(tmp_path: Path, name: str) -> Path:
    (tmp_path / name).mkdir()
    return tmp_path / name


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    one, other = network(folder_of(tmp_path, "a")), described(folder_of(tmp_path, "b"))
    other.with_suffix(".onnx").write_bytes(one.read_bytes() + b"\x72\x00")  # another file: an empty domain, at its end
    lines = [line for line in other.read_text().splitlines() if not line.startswith(("sha256", "size_bytes"))]
    other.write_text("\n".join(lines).replace('format = "onnx"', 'format = "onnx"\nchecksum = "first"'))
    for file in (one, other):
        build(file)
    assert listed() == {str(one), str(other.with_suffix(".onnx"))}
    assert any(str(one) in line for line in run("list"))
    assert run("remove", str(one))[0].startswith("removed 1 files")
    assert listed() == {str(other.with_suffix(".onnx"))}
    run("remove", str(other))
    assert listed() == set()
    assert [path.name for path in (cache_dir() / "own").iterdir()] == []


def test_they_are_cleaned_once_the_file_is_another_and_not_before(tmp_path: Path) -> None:
    file = network(tmp_path)
    build(file)
    assert clean() == []
    file.write_bytes(file.read_bytes() + b"\x72\x00")
    assert listed() == {None}
    assert [why for _, why in clean()] == ["made from weights that are no longer here"]
    assert listed() == set()


def test_a_cache_that_cannot_be_written_costs_the_name_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("streammatte.weights.own.write_json", refuse)
    build(network(tmp_path))
    assert listed() == {None}
    (cache_dir() / "own").mkdir(exist_ok=True)
    (cache_dir() / "own" / "broken.json").write_text("[")
    assert listed() == {None}


# int8


def calibrated(tmp_path: Path) -> Path:
    """A TOML that names a calibration of its network."""
    toml = described(tmp_path)
    found = Calibration(
        sha256_of(toml.with_suffix(".onnx")), frozenset(), {"rgb": unsigned_up_to(1.0)}, {}, "pictures", "the tests"
    )
    write_calibration(tmp_path / "mine.int8.json", found)
    table = '[int8]\ncalibration = "mine.int8.json"\nmax_mean = 0.5\nmax_p99 = 1.0\n'
    toml.write_text(f"{toml.read_text()}\n{table}", encoding="utf-8")
    return toml


def test_int8_without_a_calibration_is_refused_in_one_line(tmp_path: Path) -> None:
    for file in (network(tmp_path), described(tmp_path)):
        with pytest.raises(RuntimeUnavailable, match=f"{file.stem}.* has no int8 calibration") as caught:
            Matter(file, precision="int8", runtime="openvino")
        assert "\n" not in str(caught.value)


def test_int8_by_the_tomls_calibration(tmp_path: Path) -> None:
    toml = calibrated(tmp_path)
    assert Matter(toml, precision="int8", runtime="openvino").info.precision == "int8"
    assert listed() == {str(toml.with_suffix(".onnx"))}
    (line,) = run("verify", str(toml))
    assert line.startswith("good     mine int8 for openvino: mean 0.")
    assert run("verify") == ["no engine to verify"], "without a name, those of the catalogue"
    own = own_calibration(model_named(toml))
    own.parent.mkdir()
    own.write_bytes((tmp_path / "mine.int8.json").read_bytes())
    assert "mine" in listed()
    run("remove", str(toml))
    assert listed() == set()
    assert not own.exists()


# one that takes a trimap


def trimap_toml(tmp_path: Path, plane: str = "green") -> Path:
    trimap_model(tmp_path, plane, size=NETWORK, commercial="ask")
    toml = tmp_path / "edges.toml"
    (tmp_path / "edges.source").rename(tmp_path / "edges.onnx")
    toml.write_text(toml.read_text().replace("edges.source", "edges.onnx"), encoding="utf-8")
    return toml


def test_a_toml_of_ones_own_refines(tmp_path: Path) -> None:
    toml = trimap_toml(tmp_path)
    rgb = textured(4, NETWORK)
    seen = TrimapNetwork(str(toml), precision="f32")
    assert np.abs(seen.alpha(rgb, np.full(rgb.shape[:2], UNKNOWN, np.uint8)) - rgb[..., 1]).max() < 1e-6
    assert seen.report.model == "edges"
    with pytest.raises(ModelError, match="edges: is for --refine vitmatte"):
        Matter(toml)
    with pytest.raises(ModelError, match="because of --commercial"):
        TrimapNetwork(str(toml), commercial=True)


def test_what_takes_no_trimap_does_not(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="mine: takes no trimap; --refine-model takes one of vitmatte-base"):
        TrimapNetwork(str(described(tmp_path)))
    toml = trimap_toml(tmp_path)
    toml.write_text(toml.read_text().replace('task = "trimap"', 'task = "matte"'), encoding="utf-8")
    with pytest.raises(ModelError, match=r"edges.toml: input: expected one of \(1, 3, .* pixel_values \(1, 4, "):
        model_named(toml)
    with pytest.raises(ModelError, match=r"edges.onnx: takes pixel_values .* expected \(1, 3, height, width\)"):
        TrimapNetwork(str(tmp_path / "edges.onnx"))
