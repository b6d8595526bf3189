"""Scenes as they are kept: whole or not at all, found by name, deleted with all that belongs to them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rooms import room
from scenes import write_network

from streammatte import scenes as kept
from streammatte.errors import StudentError
from streammatte.matter import Matter
from streammatte.own_model import model_named
from streammatte.scenes import Manifest, keep, kept_scenes, manifest_of, remove, scene_toml, scenes_dir
from streammatte.weights.cache import sha256_of

pytestmark = pytest.mark.usefixtures("own_scenes")


@pytest.fixture
def own_scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(kept, "user_data_path", lambda *names, **how: tmp_path / "data")
    return tmp_path / "data" / "scenes"


@pytest.fixture
def onnx(tmp_path: Path) -> bytes:
    return write_network(tmp_path / "network.onnx").read_bytes()


def manifest(onnx: bytes, tmp_path: Path, name: str = "office", **more: object) -> Manifest:
    file = tmp_path / "hashed"
    file.write_bytes(onnx)
    whole = Manifest(
        name=name,
        made="2026-01-02T03:04:05+00:00",
        input="in.mp4",
        teacher="u2net",
        teacher_licence="Apache-2.0",
        teacher_commercial="yes",
        teacher_weights_sha256="a" * 64,
        frames=12,
        held_out=4,
        apart=0.004,
        holds=1.0,
        steps=100,
        seconds=9.5,
        precision="f32",
        seed=0,
        width=40,
        height=24,
        onnx_sha256=sha256_of(file),
        streammatte="0",
    )
    return replace(whole, **more)  # type: ignore[arg-type]


def test_a_scene_is_a_model_like_any_other(onnx: bytes, tmp_path: Path, own_scenes: Path) -> None:
    folder = keep(manifest(onnx, tmp_path), onnx)
    assert folder == own_scenes / "office" == scenes_dir() / "office"
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "office.onnx", "office.toml"]
    assert oct(own_scenes.stat().st_mode & 0o777) == "0o700", "what it was taught is nobody else's business"
    model = model_named("scene:office")
    assert (model.name, model.licence, model.commercial, model.own) == ("scene:office", "Apache-2.0", "yes", True)
    matter = Matter("scene:office", runtime="onnxruntime")
    assert matter(np.zeros((40, 40, 3), np.uint8)).shape == (40, 40)
    matter.close()
    assert manifest_of("office") == manifest_of("scene:office") == kept_scenes()[0]


def test_a_teachers_licence_is_its_students(onnx: bytes, tmp_path: Path) -> None:
    keep(manifest(onnx, tmp_path, teacher="bria-rmbg", teacher_licence="CC-BY-NC-4.0", teacher_commercial="no"), onnx)
    with pytest.raises(Exception, match="commercial"):
        Matter("scene:office", commercial=True)


def test_a_scene_may_be_called_as_a_model_is(onnx: bytes, tmp_path: Path) -> None:
    keep(manifest(onnx, tmp_path, name="u2net"), onnx)
    assert model_named("scene:u2net").summary.startswith("What its teacher")
    assert not model_named("u2net").own


def test_everything_of_it_is_deleted(onnx: bytes, tmp_path: Path, own_scenes: Path) -> None:
    frames = [room(number) for number in range(3)]
    folder = keep(manifest(onnx, tmp_path, kept_frames=3), onnx, frames=frames)
    assert len(list((folder / "frames").glob("*.png"))) == 6
    Matter("scene:office", runtime="openvino").close()
    assert (folder / "engines").is_dir(), "its engines are its own"
    assert remove("scene:office").kept_frames == 3
    assert list(own_scenes.iterdir()) == []


def test_a_name_that_is_taken(onnx: bytes, tmp_path: Path, own_scenes: Path) -> None:
    keep(manifest(onnx, tmp_path), onnx)
    with pytest.raises(StudentError, match="scene:office: exists already; choose another name, or --force"):
        keep(manifest(onnx, tmp_path), onnx)
    keep(manifest(onnx, tmp_path, steps=7), onnx, replacing=True)
    assert manifest_of("office").steps == 7
    assert [path.name for path in own_scenes.iterdir()] == ["office"]


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "x" * 65])
def test_a_name_that_cannot_be_a_folders(onnx: bytes, tmp_path: Path, name: str) -> None:
    with pytest.raises(StudentError, match="a scene's name is made of letters"):
        keep(manifest(onnx, tmp_path, name=name), onnx)
    with pytest.raises(StudentError, match="no such scene"):
        scene_toml(f"scene:{name}")


def test_an_unknown_scene_names_those_there_are(onnx: bytes, tmp_path: Path) -> None:
    with pytest.raises(StudentError, match=r"scene:attic: no such scene; there is none yet: `streammatte tune`"):
        model_named("scene:attic")
    keep(manifest(onnx, tmp_path), onnx)
    with pytest.raises(StudentError, match="there are office"):
        remove("attic")


def test_what_is_no_whole_scene_is_left_out(onnx: bytes, tmp_path: Path, own_scenes: Path) -> None:
    keep(manifest(onnx, tmp_path), onnx)
    for name, text in (("half", "{"), ("other", json.dumps({"name": "elsewhere"}))):
        (own_scenes / name).mkdir()
        (own_scenes / name / "manifest.json").write_text(text)
    assert [each.name for each in kept_scenes()] == ["office"]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="a file in the folder's place")
def test_where_nothing_can_be_written_nothing_is(onnx: bytes, tmp_path: Path, own_scenes: Path) -> None:
    own_scenes.parent.mkdir(parents=True)
    own_scenes.write_text("a file")
    with pytest.raises(StudentError, match=r"the scene cannot be kept: .*; nothing was written"):
        keep(manifest(onnx, tmp_path), onnx)


@pytest.mark.tmpfs
def test_a_full_disk_leaves_the_scene_that_was_there(onnx: bytes, tmp_path: Path, own_scenes: Path) -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    own_scenes.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(own_scenes)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"mounting a tmpfs failed: {mounted.stderr.decode().strip()}")
    try:
        keep(manifest(onnx, tmp_path), onnx)
        with pytest.raises(StudentError, match="No space left on device; nothing was written"):
            keep(manifest(onnx, tmp_path, steps=7), onnx + bytes(100_000), replacing=True)
        assert manifest_of("office").steps == 100
        assert [path.name for path in own_scenes.iterdir()] == ["office"]
    finally:
        subprocess.run(["umount", str(own_scenes)], check=True)
