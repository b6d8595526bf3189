"""`streammatte engines ...`: what is built, printed and written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from tiny import SIDE, calibrated_tiny

import streammatte.catalog
import streammatte.inventory
from streammatte.catalog import Model
from streammatte.cli.engines import engines
from streammatte.errors import ConfigError, RuntimeUnavailable, SinkError
from streammatte.int8 import own_calibration
from streammatte.weights.cache import cache_dir


@pytest.fixture(autouse=True)
def model(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setenv("STREAMMATTE_CACHE", str(tmp_path / "cache"))
    made = calibrated_tiny(tiny_folder, tmp_path / "tiny.int8.json")
    known(made, monkeypatch)
    return made


def known(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (streammatte.catalog, streammatte.inventory):
        monkeypatch.setattr(module, "catalog", lambda: {"tiny": model})


def run(*args: str) -> list[str]:
    result = CliRunner().invoke(engines, args, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def picture(tmp_path: Path) -> str:
    cv2.imwrite(str(tmp_path / "me.png"), np.full((SIDE, SIDE, 3), 130, np.uint8))
    return str(tmp_path / "me.png")


def test_nothing_yet() -> None:
    assert run("list") == [f"nothing is built in {cache_dir()}"]
    assert json.loads("\n".join(run("list", "--json"))) == []


@pytest.mark.parametrize("streams", [1, 2])
def test_build_int8_for_calls_and_for_files(streams: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streammatte.cli.engines.streams_for", lambda *, live: 1 if live else streams)
    lines = run("build", "tiny", "--precision", "int8", "--runtime", "openvino")
    assert len(lines) == streams + 1
    for number, line in enumerate(lines[:-1]):
        assert line.startswith("ready    tiny int8 for openvino 2")
        assert line.endswith(f", {number + 1} at once")
    assert lines[-1].startswith("parity   mean 0.00")
    again = run("build", "tiny", "--precision", "int8", "--runtime", "openvino")
    assert again[0] == f"{lines[0]}, from the cache"


def test_build_without_int8_has_no_parity() -> None:
    lines = run("build", "tiny", "--precision", "f32", "--runtime", "onnxruntime")
    assert {line.split()[0] for line in lines} == {"ready"}


def test_list() -> None:
    run("build", "tiny", "--precision", "int8", "--runtime", "openvino")
    header, *rows = run("list")
    assert header.split() == ["model", "precision", "what", "runtime", "size", "built", "remarks"]
    engine = next(row for row in rows if " engine " in row)
    for words in ("tiny", "int8", "openvino 2", "MiB", "1 at once"):
        assert words in engine
    entries: list[dict[str, Any]] = json.loads("\n".join(run("list", "--json")))
    assert {"network", "engine", "verdict"} == {entry["kind"] for entry in entries}
    assert all(Path(entry["path"]).is_file() and entry["made"].endswith("+00:00") for entry in entries)


def test_build_quietly(tmp_path: Path) -> None:
    assert run("build", "tiny", "--calibrate", picture(tmp_path), "-o", str(tmp_path / "tiny.onnx"), "-q") == []
    assert run("remove", "tiny", "-q") == []


def test_calibrate_on_a_picture_until_it_is_removed(tmp_path: Path, model: Model) -> None:
    lines = run("build", "tiny", "--runtime", "openvino", "--calibrate", picture(tmp_path))
    assert [line.split()[0] for line in lines[:3]] == ["measured", "own", "shipped"]
    assert lines[0] == "measured 1 view of me.png"
    assert "ready    tiny int8" in lines[3], "int8 without being asked for"
    assert lines[-1] == "note     int8 calibrated on 1 view of me.png"
    assert run("build", "tiny", "--precision", "int8")[-1] == lines[-1], "until it is removed"
    assert any("measured on 1 view of me.png" in line for line in run("list"))
    (line,) = run("remove", "tiny")
    assert line.startswith("removed ")
    assert line.endswith("; int8 goes by the shipped calibration again")
    assert not own_calibration(model).exists()
    assert not any("note" in line for line in run("build", "tiny", "--precision", "int8"))


def test_a_calibration_that_is_refused(tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    assert model.int8 is not None
    known(replace(model, int8=replace(model.int8, max_p99=1e-9)), monkeypatch)
    with pytest.raises(RuntimeUnavailable, match=r"me\.png is not used, nothing is changed"):
        run("build", "tiny", "--calibrate", picture(tmp_path))
    assert not own_calibration(model).exists()


def test_output_is_one_checked_file(tmp_path: Path) -> None:
    path = tmp_path / "out" / "tiny.onnx"
    with pytest.raises(SinkError, match=r"the folder .*out does not exist"):
        run("build", "tiny", "-o", str(path))
    path.parent.mkdir()
    assert run("build", "tiny", "-o", str(path))[-1].startswith(f"wrote    {path}")
    network = onnx.load(path)
    onnx.checker.check_model(network, full_check=True)
    assert "QuantizeLinear" in {node.op_type for node in network.graph.node}
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(SinkError, match="exists; --force overwrites it"):
        run("build", "tiny", "-o", str(path))
    path.write_bytes(b"")
    run("build", "tiny", "-o", str(path), "--force")
    assert path.stat().st_size > 0


def test_an_output_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_bytes

    def full(target: Path, content: bytes) -> int:
        if target.parent.name != "out":
            return write(target, content)
        write(target, b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    (tmp_path / "out").mkdir()
    with pytest.raises(SinkError, match="No space left on device"):
        run("build", "tiny", "-o", str(tmp_path / "out" / "tiny.onnx"))
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("flag", ["--calibrate", "--output"])
def test_int8_flags_with_another_precision(flag: str) -> None:
    with pytest.raises(ConfigError, match=f"{flag}: is about int8, but --precision is bf16"):
        run("build", "tiny", "--precision", "bf16", flag, "x")


def test_what_cannot_be_built_says_why(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    known(replace(model, int8=None), monkeypatch)
    with pytest.raises(RuntimeUnavailable, match="tiny has no int8 calibration"):
        run("build", "tiny", "--precision", "int8")


def test_remove_wants_a_model_or_all() -> None:
    for args in ((), ("tiny", "--all")):
        with pytest.raises(ConfigError, match="give a model or --all"):
            run("remove", *args)
    run("build", "tiny", "--precision", "f32", "--runtime", "openvino")
    assert run("remove", "--all")[0].endswith(" MiB")
    assert run("list") == [f"nothing is built in {cache_dir()}"]
