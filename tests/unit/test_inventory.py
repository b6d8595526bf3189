"""What is said of the files in the cache, and which of them go."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from tiny import calibrated_tiny

import streammatte.inventory as subject
from streammatte.catalog import Model
from streammatte.engine_cache import EngineCache
from streammatte.errors import ModelError
from streammatte.int8 import own_calibration
from streammatte.inventory import built, remove, remove_all
from streammatte.loading import load_session
from streammatte.weights.cache import cache_dir
from streammatte.weights.pull import ensure


@pytest.fixture
def model(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """With an int8 and an f32 engine in the cache, and a calibration of the user's."""
    monkeypatch.setenv("STREAMMATTE_CACHE", str(tmp_path / "cache"))
    made = calibrated_tiny(tiny_folder, tmp_path / "tiny.int8.json")
    monkeypatch.setattr(subject, "catalog", lambda: {"tiny": made})
    weights = ensure(made)
    for precision, streams in (("int8", 1), ("f32", 2)):
        load_session(made, weights, runtime="openvino", precision=precision, require=None, streams=streams)
    own_calibration(made).parent.mkdir()
    own_calibration(made).write_bytes((tmp_path / "tiny.int8.json").read_bytes())
    return made


def test_everything_is_described(model: Model) -> None:
    found = {(each.kind, each.precision): each for each in built()}
    assert set(found) == {
        ("network", "int8"),
        ("engine", "int8"),
        ("verdict", "int8"),
        ("engine", "f32"),
        ("calibration", "int8"),
    }
    assert {each.model for each in found.values()} == {"tiny"}
    engine = found["engine", "f32"]
    assert engine.runtime.startswith("openvino 2")
    assert engine.device
    assert (engine.streams, found["engine", "int8"].streams) == (2, 1)
    assert engine.size_bytes == engine.path.stat().st_size > 0
    assert engine.made.timestamp() == pytest.approx(engine.path.stat().st_mtime)
    assert found["verdict", "int8"].words.startswith("from f32: mean 0.00")
    assert found["calibration", "int8"].words == "measured on the tests' pictures"


def test_weights_that_are_gone_leave_engines_without_a_model(model: Model) -> None:
    for path in (cache_dir() / "weights").iterdir():
        path.unlink()
    assert {each.model for each in built() if each.kind != "calibration"} == {None}
    assert [each.kind for each in remove(model)] == ["calibration"]
    assert len(remove_all()) == 4
    assert built() == []


def test_what_runtimes_learnt_is_listed_beside_their_engines(model: Model) -> None:
    engines = cache_dir() / "engines"
    weights = ensure(model)
    gpu = {"runtime": "tensorrt_rtx 1.7", "device": "a GPU"}
    plan_key = gpu | {"onnx_sha256": weights.sha256, "precision": "fp16", "streams": "1"}
    before = built()
    for key, suffix in (
        (plan_key, ".plan"),
        (plan_key | {"kept": "runtime cache"}, ".runtime"),
        (gpu | {"kept": "timing cache"}, ".timing"),
        ({"of": weights.sha256, "precision": "fp16"}, ".onnx"),
    ):
        EngineCache(engines, key, suffix).store(lambda path: path.touch())
    found = {each.path.suffix: each for each in built() if each not in before}
    said = {suffix: (each.model, each.kind, each.precision, each.streams) for suffix, each in found.items()}
    assert said == {
        ".plan": ("tiny", "engine", "fp16", 1),
        ".runtime": ("tiny", "runtime cache", "fp16", 0),
        ".timing": (None, "timing cache", "", 0),
        ".onnx": ("tiny", "network", "fp16", 0),
    }
    assert (found[".timing"].runtime, found[".timing"].device) == ("tensorrt_rtx 1.7", "a GPU")
    assert found[".onnx"].words.startswith("float16")
    remove(model)
    assert [each.kind for each in built()] == ["timing cache"], "it serves every model"


def test_what_is_no_engine_is_not_listed(model: Model) -> None:
    count, engines = len(built()), cache_dir() / "engines"
    (engines / "orphan.json").write_text("{}")
    (engines / "list.json").write_text("[]")
    (engines / "list.blob").write_text("")
    (engines / "broken.json").write_text("{")
    (engines / "broken.blob").write_text("")
    (engines / "half.json").write_text("{}")
    (engines / "half.partial-7").write_text("")
    assert len(built()) == count


def test_files_that_cannot_be_read_say_so(model: Model) -> None:
    own_calibration(model).write_text("{")
    (verdict,) = (cache_dir() / "engines").glob("*.parity")
    verdict.write_text("{")
    words = {each.kind: each.words for each in built()}
    assert (words["verdict"], words["calibration"]) == ("cannot be read", "cannot be read, and is not used")


def test_remove_takes_sidecars_and_calibration_too(model: Model) -> None:
    other = cache_dir() / "engines" / "other.blob"
    other.write_text("")
    other.with_suffix(".json").write_text('{"onnx_sha256": "another model"}')
    assert len(remove(model)) == 5
    assert sorted((cache_dir() / "engines").iterdir()) == [other, other.with_suffix(".json")]
    assert not own_calibration(model).exists()
    assert remove(model) == []


def test_remove_all_takes_leftovers_too(model: Model) -> None:
    (cache_dir() / "engines" / "calibrating-x").mkdir()
    (cache_dir() / "engines" / "calibrating-x" / "instrumented.onnx").write_text("")
    assert len(remove_all()) == 5
    assert sorted(path.name for path in cache_dir().iterdir()) == ["weights"]
    assert remove_all() == []


def test_what_cannot_be_deleted_is_named(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **how: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setattr(subject.shutil, "rmtree", refuse)
    with pytest.raises(ModelError, match="cannot be deleted: Read-only file system; check its permissions"):
        remove(model)
    with pytest.raises(ModelError, match="engines: cannot be deleted: Read-only file system"):
        remove_all()
