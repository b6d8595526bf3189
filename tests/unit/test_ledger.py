"""The licence ledger: what is refused, in which words, until what; at every door to a model."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from scenes import tiny_model

import streammatte
import streammatte.matter as matter_module
from streammatte.catalog import Model, catalog, model
from streammatte.cli.main import cli
from streammatte.config import Settings
from streammatte.errors import ModelError
from streammatte.ledger import accept, acceptances, accepted, check_licence, licence_words, withdraw
from streammatte.matter import Matter
from streammatte.parts import facts_of, matter_of, sink_options
from streammatte.quality import quality_of

BRIA = model("bria-rmbg")
WORDS = r"bria-rmbg: CC-BY-NC-4\.0, commercial use is forbidden: .*non-commercial purposes.*huggingface\.co/briaai"
WAY_ON = r"`streammatte models accept bria-rmbg`, or say --accept-licence bria-rmbg"


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, own_settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMMATTE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("STREAMMATTE_OFFLINE", "1")


@pytest.fixture
def nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matter_module, "ensure", lambda *a, **k: pytest.fail("went for the weights"))


# the rule


@pytest.mark.parametrize("name", catalog())
def test_only_what_plainly_allows_commercial_use_needs_no_consent(name: str) -> None:
    found = model(name)
    for commercial in (False, True):
        if found.commercial == "yes":
            check_licence(found, commercial=commercial)
        else:
            with pytest.raises(ModelError, match=f"^{name}: ") as caught:
                check_licence(found, commercial=commercial)
            assert licence_words(found) in str(caught.value)
            assert "\n" not in str(caught.value)


def test_the_words_and_the_way_on() -> None:
    with pytest.raises(ModelError, match=f"{WORDS}.*{WAY_ON}"):
        check_licence(BRIA)
    with pytest.raises(ModelError, match="whether commercial use is allowed is not settled: GPL"):
        check_licence(model("rvm-mobilenetv3"))


@pytest.mark.parametrize("names", [("bria-rmbg",), ("u2net", "rmbg-2.0"), ["bria-rmbg"], "bria-rmbg"])
def test_for_one_run(names: Any) -> None:
    check_licence(BRIA, accept_licence=names)
    with pytest.raises(ModelError, match=WAY_ON):
        check_licence(BRIA)
    assert acceptances() == ()


def test_another_models_consent_is_not_this_ones() -> None:
    accept(model("rvm-resnet50"))
    with pytest.raises(ModelError, match=WAY_ON):
        check_licence(BRIA, accept_licence=("rvm-mobilenetv3", "bria"))


def test_accepted_for_good_until_withdrawn(own_settings: Path) -> None:
    done = accept(BRIA)
    assert (done.model, done.licence) == ("bria-rmbg", "CC-BY-NC-4.0")
    assert done.date.endswith("+00:00")
    assert accepted(BRIA) == done
    check_licence(BRIA)
    again = accept(BRIA)
    other = accept(model("silueta"))
    assert acceptances() == (again, other), "once each"
    (entry, _) = json.loads((own_settings / "licences.json").read_text(encoding="utf-8"))
    assert entry == dataclasses.asdict(again)
    assert withdraw(BRIA)
    assert not withdraw(BRIA)
    assert acceptances() == (other,)
    with pytest.raises(ModelError, match=WAY_ON):
        check_licence(BRIA)


@pytest.mark.parametrize(
    "change", [{"licence_text": "Other words"}, {"licence": "LicenseRef-other"}, {"licence_url": "https://x.example"}]
)
def test_other_words_ask_again(change: dict[str, str]) -> None:
    done = accept(BRIA)
    changed = dataclasses.replace(BRIA, **change)  # type: ignore[arg-type]
    assert accepted(changed) is None
    with pytest.raises(ModelError, match=rf"accepted on {done.date.replace('+', '.')}, when its words were others"):
        check_licence(changed)
    accept(changed)
    check_licence(changed)


def test_commercial_refuses_whatever_was_accepted() -> None:
    accept(BRIA)
    for names in ((), ("bria-rmbg",)):
        with pytest.raises(ModelError, match=f"{WORDS}.*refused because of --commercial, whatever was accepted"):
            check_licence(BRIA, commercial=True, accept_licence=names)


@pytest.mark.parametrize("text", ["{", "{}x", '[{"model": "x"}]', "[3]"])
def test_a_ledger_that_cannot_be_read_accepts_nothing(own_settings: Path, text: str) -> None:
    (own_settings / "licences.json").write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=r"licences\.json: cannot be read: .*; mend or delete it"):
        check_licence(BRIA)
    check_licence(model("u2net"))


def test_a_ledger_that_cannot_be_written(own_settings: Path) -> None:
    (own_settings / "licences.json").mkdir()
    with pytest.raises(ModelError, match=r"licences\.json: cannot be (read|written)"):
        accept(BRIA)


# every door


@pytest.mark.usefixtures("nothing_is_fetched")
@pytest.mark.parametrize("name", ["bria-rmbg", "rmbg-2.0"])
def test_the_library_refuses(name: str) -> None:
    with pytest.raises(ModelError, match=f"{WORDS}.*{WAY_ON}"):
        Matter(name)
    with pytest.raises(ModelError, match="--commercial"):
        Matter(name, commercial=True, accept_licence=(name,))


def test_the_librarys_job_refuses(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=WAY_ON):
        streammatte.matte("lavfi:testsrc2=duration=0.1", output=tmp_path / "out.mkv", model="bria-rmbg")
    assert list(tmp_path.glob("out*")) == []


def in_words(*args: str) -> str:
    """The error's one line."""
    result = CliRunner().invoke(cli, args)
    assert isinstance(result.exception, ModelError), result.output
    assert result.exception.exit_code == 4
    return str(result.exception)


CLIP = ("run", "lavfi:testsrc2=duration=0.1", "--model", "bria-rmbg")


@pytest.mark.parametrize("args", [CLIP, ("models", "pull", "bria-rmbg"), ("models", "pull", "u2net", "rmbg-2.0")])
def test_the_command_line_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]) -> None:
    monkeypatch.chdir(tmp_path)
    assert WAY_ON.replace("\\", "") in in_words(*args)
    accepted_now = in_words(*args, "--accept-licence", "bria-rmbg")
    assert "bria-rmbg: cannot get the weights (offline" in accepted_now or "u2net: cannot get" in accepted_now
    accept(BRIA)
    assert "cannot get the weights (offline" in in_words(*args)
    assert "refused because of --commercial" in in_words(*args, "--commercial")


@pytest.mark.parametrize("args", [CLIP, ("models", "pull", "bria-rmbg")])
def test_the_configuration_says_it_too(
    tmp_path: Path, own_settings: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    file = own_settings / "config.toml"
    file.write_text('accept-licence = "bria-rmbg"\n', encoding="utf-8")
    assert "cannot get the weights (offline" in in_words(*args)
    file.write_text('accept-licence = ["bria-rmbg"]\ncommercial = true\n', encoding="utf-8")
    assert "refused because of --commercial" in in_words(*args)


def test_with_consent_and_no_network_it_says_where_it_looked() -> None:
    accept(BRIA)
    words = in_words("models", "pull", "bria-rmbg")
    assert "https://github.com/danielgatis/rembg/releases/download/v0.0.0/bria-rmbg-2.0.onnx: the network" in words
    assert "onnx/model.onnx of hub repository briaai/RMBG-2.0@main: the network is forbidden" in words
    assert f"sha256 {BRIA.sha256}" in words


# what cannot be run


@pytest.mark.usefixtures("nothing_is_fetched")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sam", "sam: is for --subject, not a matting model"),
        ("vitmatte", "vitmatte-small-distinctions-646: is for --refine vitmatte"),
    ],
)
def test_what_is_no_matting_model_is_refused(name: str, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        Matter(name, accept_licence=(name,))
    assert "\n" not in str(caught.value)


# what files and reports say


@pytest.fixture
def tiny_bria(tmp_path: Path) -> Model:
    return dataclasses.replace(tiny_model(tmp_path), licence=BRIA.licence, commercial="no")


def test_settings_reach_the_model_and_the_model_reaches_the_files(
    tiny_bria: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matter_module, "model_named", lambda name: tiny_bria)
    settings = Settings(model="tiny", runtime="onnxruntime")
    quality = quality_of(settings, live=False)
    with pytest.raises(ModelError, match="models accept tiny"):
        matter_of(settings, quality, 1)
    with pytest.raises(ModelError, match="--commercial"):
        matter_of(dataclasses.replace(settings, commercial=True, accept_licence=("tiny",)), quality, 1)
    matter = matter_of(dataclasses.replace(settings, accept_licence=("tiny",)), quality, 1)
    says = f"streammatte; model tiny (CC-BY-NC-4.0), weights sha256 {tiny_bria.sha256}"
    assert sink_options(settings, matter).extra_metadata == (("encoded_by", says),)
    facts = facts_of(matter)
    assert (facts.model, facts.model_licence, facts.weights_sha256) == ("tiny", "CC-BY-NC-4.0", tiny_bria.sha256)
    matter.close()
