"""A model that the user brings, by its path: which one it is, what of it is asked, and that its file is left alone."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from own_networks import described, network, shaped, then
from remembering import write_toml
from scenes import RED_GAIN, make_frame

import streammatte.own_model as subject
from streammatte.catalog import Model, catalog, model
from streammatte.cli.main import cli
from streammatte.errors import ModelError
from streammatte.ledger import check_licence
from streammatte.matter import Matter
from streammatte.own_model import model_named
from streammatte.own_network import drafted_toml
from streammatte.weights.cache import locate, onnx_path, sha256_of, verify
from streammatte.weights.pull import ensure, pull


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, own_settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMMATTE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("STREAMMATTE_OFFLINE", "1")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gone.onnx", "gone.onnx: no such file; check the path"),
        ("gone.toml", "gone.toml: no such file; check the path"),
        ("nets/u2net", r"nets/u2net: expected an ONNX file \(.onnx\) or a TOML"),
        ("./net.pth", r"./net.pth: expected an ONNX file"),
        ("u2nett", "unknown model 'u2nett': did you mean u2net"),
        ("", "unknown model ''"),
    ],
)
def test_names_and_paths(name: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        model_named(name)


def test_names_of_the_catalogue_stay_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "u2net").write_bytes(b"a file of that name")
    assert model_named("u2net") is model("u2net")
    assert model_named("rmbg-2.0") is model("bria-rmbg"), "a suffix that is none"


# the bytes of a model that is known


def listed(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalogue has this model alone."""
    monkeypatch.setattr(subject, "catalog", lambda: {model.name: model})


@pytest.mark.parametrize("by", ["sha256", "md5", "no size"])
def test_known_bytes_are_the_model_with_its_licence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    file = network(tmp_path, name="renamed.onnx")
    md5 = hashlib.md5(file.read_bytes()).hexdigest()
    sums = {"sha256": "", "md5": md5} if by == "md5" else {"sha256": sha256_of(file), "md5": ""}
    known = replace(model("bria-rmbg"), any_size=False, size_bytes=file.stat().st_size, **sums)  # type: ignore[arg-type]
    listed(replace(known, size_bytes=None) if by == "no size" else known, monkeypatch)
    found = model_named(file)
    assert (found.name, found.commercial, found.own, found.assumed) == ("bria-rmbg", "no", False, ())
    assert (found.file, found.sha256) == (file, sha256_of(file))
    with pytest.raises(ModelError, match=r"bria-rmbg: .* is forbidden"):
        Matter(file)
    listed(replace(known, sha256="0" * 64, md5="1" * 32), monkeypatch)
    assert model_named(file).name == "renamed.onnx"


def test_known_bytes_that_have_to_be_converted_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = network(tmp_path, shaped(1, 3, "h", "w"), name="renamed.onnx")
    size = file.stat().st_size
    listed(replace(model("modnet"), sha256=sha256_of(file), size_bytes=size), monkeypatch)
    found = model_named(file)
    assert (found.name, found.file) == ("modnet", None)
    assert ensure(found).path == tmp_path / "cache" / "weights" / "modnet.onnx"


def test_no_checksum_is_no_match(tmp_path: Path) -> None:
    """sam's first pull decides: any file would be it."""
    assert not catalog()["sam"].sha256
    assert model_named(network(tmp_path)).name == "mine.onnx"


# licences


def test_own_models_are_not_asked_about_but_not_called_commercial(tmp_path: Path) -> None:
    file = network(tmp_path)
    own = model_named(file)
    Matter(file, runtime="onnxruntime")
    with pytest.raises(ModelError, match=r"mine.onnx: unknown, .* nothing states it, .* because of --commercial"):
        Matter(file, commercial=True)
    with pytest.raises(ModelError, match="models accept"):
        check_licence(own)  # whoever asks goes through `accepting`
    assert subject.accepting(own, ()) == ["mine.onnx"]
    assert subject.accepting(model("bria-rmbg"), ("a",)) == ("a",)


def test_a_toml_can_state_that_commercial_use_is_allowed(tmp_path: Path) -> None:
    toml = described(tmp_path)
    with pytest.raises(ModelError, match="because of --commercial"):
        Matter(toml, commercial=True)
    toml.write_text(toml.read_text().replace('commercial = "ask"', 'commercial = "yes"'))
    Matter(toml, commercial=True, runtime="onnxruntime")


# a TOML


def test_normalisation_is_what_the_toml_says(tmp_path: Path) -> None:
    toml = described(
        tmp_path, **{"[0.485, 0.456, 0.406]": "[0.0, 0.0, 0.0]", "[0.229, 0.224, 0.225]": "[1.0, 1.0, 1.0]"}
    )
    alpha = Matter(toml, runtime="onnxruntime")(np.full((30, 50, 3), 128, np.uint8))
    assert alpha == pytest.approx(1 / (1 + np.exp(-RED_GAIN * (128 / 255 - 0.5))), abs=0.01)


def first(toml: Path) -> Path:
    """Without a checksum, so that the file is used whatever it is."""
    lines = [line for line in toml.read_text().splitlines() if not line.startswith(("sha256", "size_bytes"))]
    toml.write_text("\n".join(lines).replace('format = "onnx"', 'format = "onnx"\nchecksum = "first"'))
    return toml


def test_without_a_checksum_a_file_may_change(tmp_path: Path) -> None:
    toml = first(described(tmp_path))
    before = model_named(toml)
    assert before.sha256 == sha256_of(toml.with_suffix(".onnx"))
    described(tmp_path, then("Identity"))
    after = model_named(first(toml))
    assert after.sha256 == sha256_of(toml.with_suffix(".onnx")) != before.sha256
    assert ensure(after).sha256 == after.sha256


@pytest.mark.parametrize("by", ["sha256", "md5"])
def test_with_one_it_may_not(tmp_path: Path, by: str) -> None:
    toml = described(tmp_path)
    file = toml.with_suffix(".onnx")
    if by == "md5":
        md5 = hashlib.md5(file.read_bytes()).hexdigest()
        toml.write_text(toml.read_text().replace(f'sha256 = "{sha256_of(file)}"', f'md5 = "{md5}"'))
    assert model_named(toml).sha256 == sha256_of(file)
    network(tmp_path, then("Identity"))
    with pytest.raises(ModelError, match=rf"mine\.toml: weights: .*mine\.onnx is another file: expected {by}"):
        model_named(toml)


WRONG = [
    (
        {"width = 40": "width = 64"},
        r"input: expected one of \(1, 3, 24, 64\) float, .*mine.onnx has rgb \(1, 3, 24, 40\)",
    ),
    ({"index = 0": "index = 2"}, r"output.index: expected the number of an output .* got 2: .* has red .* green"),
    ({"mine.onnx": "gone.onnx"}, r"source\[0\].path: no such file: .*gone.onnx; check the path"),
    ({'name = "mine"': 'name = "other"'}, "name: expected 'mine' as the file is called"),
    ({'activation = "none"': 'activation = "tanh"'}, "output.activation: expected one of none, sigmoid"),
    ({"commercial =": "comercial ="}, "comercial: unknown key"),
    ({"[output]": "[state]\ninputs = []\n[output]"}, "state: goes with task recurrent"),
]


@pytest.mark.parametrize(("words", "wanted"), WRONG, ids=[next(iter(words.values()))[:16] for words, _ in WRONG])
def test_a_flaw_of_a_toml_is_one_line(tmp_path: Path, words: dict[str, str], wanted: str) -> None:
    toml = described(tmp_path, **words)
    with pytest.raises(ModelError, match=wanted) as caught:
        model_named(toml)
    assert str(caught.value).startswith(f"{toml}: ")
    assert "\n" not in str(caught.value)


def test_an_open_size_has_to_be_named(tmp_path: Path) -> None:
    toml = described(tmp_path, shaped(1, 3, "h", "w"), shaped(1, 1, "h", "w", end="output"), **{"any_size = true": ""})
    with pytest.raises(ModelError, match=r"mine.toml: weights.any_size: missing, expected true: .* leaves its input"):
        model_named(toml)


def test_an_output_of_another_size(tmp_path: Path) -> None:
    toml = described(tmp_path)
    network(tmp_path, shaped(1, 1, 12, 20, end="output"))
    with pytest.raises(
        ModelError, match=r"output.index: expected the number of an output \(1, 1, 24, 40\) float, got 0"
    ):
        model_named(first(toml))


@pytest.mark.parametrize("name", ["u2net", "BiRefNet"])
def test_a_name_of_the_catalogue_is_taken(tmp_path: Path, name: str) -> None:
    file = network(tmp_path, name=f"{name}.onnx")
    file.with_suffix(".toml").write_text(drafted_toml(file), encoding="utf-8")
    with pytest.raises(ModelError, match=f"{name}.toml: name: {name} is a name of the catalogue already"):
        model_named(file.with_suffix(".toml"))


def test_a_toml_may_name_other_sources(tmp_path: Path) -> None:
    """Then it is pulled into the cache as any other model."""
    toml = described(tmp_path)
    there = tmp_path / "there.onnx"
    (tmp_path / "mine.onnx").rename(there)
    lines = toml.read_text().partition("[[source]]")[0]
    toml.write_text(f'{lines}[[source]]\nkind = "url"\nurl = "{there.as_uri()}"\n')
    found = model_named(toml)
    assert (found.own, found.file) == (True, None)
    Matter(toml, runtime="onnxruntime")
    assert onnx_path(found) == tmp_path / "cache" / "weights" / "mine.onnx"
    assert onnx_path(found).is_file()


def test_a_recurrent_networks_state_has_to_fit(tmp_path: Path) -> None:
    toml = write_toml(tmp_path)
    text = toml.read_text()
    found = model_named(toml)
    assert found.state is not None
    for old, new, words in (
        ('inputs = ["before"]', 'inputs = ["then"]', r"input: expected one of .* has before .*, rgb"),
        ('outputs = ["after"]', 'outputs = ["then"]', r"state.outputs: .* has no then, only fgr .* after"),
        ('inputs = ["before"]', 'inputs = ["before", "then"]', "state.outputs: expected 2 names"),
        ('ratio_input = "ratio"', "", "state.ratio_input: missing"),
        ("ratio = 0.5", "", "state.ratio: missing"),
    ):
        toml.write_text(text.replace(old, new))
        with pytest.raises(ModelError, match=words):
            model_named(toml)
    toml.write_text(text.replace('["before"]', '["before", "then"]').replace('["after"]', '["after", "alpha"]'))
    with pytest.raises(ModelError, match=r"state.inputs: .* has no then, only ratio"):
        model_named(toml)


# the file itself


def test_it_is_neither_copied_nor_deleted(tmp_path: Path) -> None:
    file = network(tmp_path)
    found = model_named(file)
    located = locate(found)
    assert located == ensure(found) == pull(found, force=True) == verify(found)
    assert located is not None
    assert (located.path, located.sha256, located.source) == (file, sha256_of(file), str(file))
    file.write_bytes(b"another")
    with pytest.raises(ModelError, match=r"mine.onnx: is another file than before: expected sha256"):
        verify(found)
    assert file.read_bytes() == b"another"
    file.unlink()
    for get in (ensure, verify):
        with pytest.raises(ModelError, match=r"mine.onnx: .*check the path"):
            get(found)
    assert not (tmp_path / "cache").exists()


def test_an_output_of_the_wrong_shape_is_told_at_the_first_frame(tmp_path: Path) -> None:
    matter = Matter(network(tmp_path), runtime="onnxruntime")
    look = matter.look(make_frame(size=(64, 48)))
    matter.session.run = lambda batch: np.zeros((1, 1, 6, 10), np.float32)  # type: ignore[method-assign]
    with pytest.raises(
        ModelError, match=r"mine.onnx: output number 0 is \(1, 1, 6, 10\), expected an alpha \(1, 1, 24,"
    ):
        matter.see(look)


# commands


def run(*args: str) -> str:
    result = CliRunner().invoke(cli, args, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_commands_take_paths(tmp_path: Path) -> None:
    file = network(tmp_path)
    told = run("models", "info", str(file))
    assert "accepted     not needed" in told
    assert "assumed      mine.onnx: alpha is its output red" in told
    assert f"at           {file}, cached" in told
    assert "mine.onnx: nothing to accept" in run("models", "accept", str(file))
    assert f"mine.onnx: {file} (unknown, from {file})" in run("models", "pull", str(file))
    assert "mine.onnx: sound, sha256" in run("models", "verify", str(file))
    built = run("engines", "build", str(file), "--precision", "f32")
    assert "ready    mine.onnx f32 for openvino" in built
    assert "note     mine.onnx: alpha is its output red" in built
    toml = run("models", "toml", str(file))
    (tmp_path / "mine.toml").write_text(toml, encoding="utf-8")
    assert "name         mine\n" in run("models", "info", str(tmp_path / "mine.toml"))
