"""Which engines are looked at again, and which are thrown away."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tiny import calibrated_tiny

import streammatte.catalog
import streammatte.inventory
import streammatte.upkeep
from streammatte import registry
from streammatte.cli.engines import engines
from streammatte.registry import Entry
from streammatte.runtimes.openvino import OpenVinoRuntime
from streammatte.upkeep import clean
from streammatte.weights.cache import cache_dir


@pytest.fixture(autouse=True)
def model(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("STREAMMATTE_CACHE", str(tmp_path / "cache"))
    made = calibrated_tiny(tiny_folder, tmp_path / "tiny.int8.json")
    for module in (streammatte.catalog, streammatte.inventory, streammatte.upkeep):
        monkeypatch.setattr(module, "catalog", lambda: {"tiny": made})
    return made


def run(*args: str) -> tuple[int, list[str]]:
    result = CliRunner().invoke(engines, args, catch_exceptions=False)
    return result.exit_code, result.stdout.splitlines()


def build(precision: str) -> None:
    assert run("build", "tiny", "--precision", precision, "--runtime", "openvino", "--quiet")[0] == 0


def folder() -> Path:
    return cache_dir() / "engines"


def test_nothing_to_verify() -> None:
    assert run("verify") == (0, ["no engine to verify"])
    build("f32")
    assert run("verify", "tiny") == (0, ["no engine to verify"]), "f32 is what others are compared with"


def test_an_engine_is_compared_again_though_its_verdict_is_known() -> None:
    build("int8")
    (verdict,) = folder().glob("*.parity")
    verdict.write_text(json.dumps({"mean": 0.9, "p99": 0.9, "max": 0.9}))
    code, (line,) = run("verify")
    assert code == 0
    assert line.startswith("good     tiny int8 for openvino: mean 0.00")
    assert json.loads(verdict.read_text())["mean"] < 0.01, "and is remembered anew"


def test_one_that_is_off_is_named_and_the_exit_code_says_so(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    build("int8")
    real = OpenVinoRuntime.load

    class Off:
        def __init__(self, session: Any) -> None:
            self._session, self.info = session, session.info

        def run(self, batch: Any) -> Any:
            return self._session.run(batch) + 0.1

        def close(self) -> None:
            self._session.close()

    def load(self: Any, *args: Any, precision: Any, **how: Any) -> Any:
        session = real(self, *args, precision=precision, **how)
        return Off(session) if precision == "int8" else session

    monkeypatch.setattr(OpenVinoRuntime, "load", load)
    code, (line,) = run("verify", "tiny")
    assert code == 1
    assert line.startswith("off      tiny int8 for openvino")
    assert "too far from f32" in line


def test_clean_keeps_what_runs_here() -> None:
    build("int8")
    before = sorted(folder().iterdir())
    assert clean() == []
    assert sorted(folder().iterdir()) == before
    assert run("clean") == (0, ["removed 0 files, 0.0 MiB"])


def test_clean_removes_other_versions_devices_and_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    build("int8")
    monkeypatch.setattr(OpenVinoRuntime, "identity", lambda self: ("openvino 1999.9", "an abacus"))
    gone = clean()
    assert {each.kind for each, _ in gone} == {"engine", "verdict"}
    assert all(why.endswith("which is not here") for _, why in gone)
    assert [path.suffix for path in sorted(folder().iterdir()) if path.suffix != ".json"] == [".onnx"]


def test_clean_removes_what_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    build("f32")
    monkeypatch.setattr(streammatte.inventory, "locate", lambda model: None)
    gone = clean()
    assert gone
    assert {why for _, why in gone} == {"made from weights that are no longer here"}
    assert list(folder().iterdir()) == []


def test_clean_removes_old_leftovers_alone() -> None:
    folder().mkdir(parents=True)
    old, new, words = (folder() / name for name in ("a.partial-1", "b.partial-2", "c.json"))
    for path in (old, new, words):
        path.write_text("{}")
    an_hour_ago = time.time() - 2 * 3600
    os.utime(old, (an_hour_ago, an_hour_ago))
    os.utime(words, (an_hour_ago, an_hour_ago))
    said = [(each.path.name, why) for each, why in clean()]
    assert said == [("a.partial-1", "half-written"), ("c.json", "what it describes is gone")]
    assert [path.name for path in folder().iterdir()] == ["b.partial-2"], "somebody may be writing it"


def test_a_runtime_that_is_not_here_is_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    build("int8")
    monkeypatch.setattr(registry, "RUNTIMES", {"onnxruntime": Entry("streammatte.runtimes.onnxruntime:OnnxRuntime")})
    assert run("verify") == (0, ["no engine to verify"])
