"""`--prompt-model`: SAM 2 at points and in boxes, SAM 3 by words, on networks of the library's own that are tiny.

Their weights are chance: what they say of a picture means nothing, but how it is asked and read is what real ones get.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scenes import make_frame, textured

from streammatte.catalog import catalog, model
from streammatte.config import Settings
from streammatte.errors import ConfigError, ModelError
from streammatte.frame import Frame
from streammatte.parts_subject import prompter_of
from streammatte.prompts.hub import check_folder, folder_of
from streammatte.prompts.words import understood, which
from streammatte.subject import Subject

SIZE = (96, 64)
PHA = np.ones((64, 96), np.float32)


def has_sam() -> bool:
    try:
        import transformers

        return hasattr(transformers, "Sam3Model")
    except ImportError:
        return False


needs_sam = pytest.mark.skipif(not has_sam(), reason="needs transformers: pip install 'streammatte[prompt]'")


def picture(seed: int = 3) -> npt.NDArray[np.float32]:
    return np.asarray(textured(seed, SIZE, 6.0), np.float32)


def framed(rgb: npt.NDArray[np.float32], **facts: Any) -> Frame:
    return make_frame("gbrp", rgb.shape[1::-1], rgb=rgb, **facts)


# words


@pytest.mark.parametrize(
    ("text", "noun", "order"),
    [
        ("the leftmost dog", "dog", "left"),
        ("The left dog", "dog", "left"),
        ("the dog on the right", "dog", "right"),
        ("a dog", "dog", None),
        ("dogs", "dogs", None),
        ("the biggest red dog", "red dog", "large"),
        ("smallest of the dogs", "of the dogs", "small"),
        ("the person in the middle", "person", "middle"),
        ("the topmost balloon", "balloon", "top"),
        ("the boat at the bottom", "boat", "bottom"),
        ("the lefthander", "lefthander", None),
        ("left", "left", None),
        ("the", "the", None),
    ],
)
def test_words_for_a_place_are_taken_from_the_noun(text: str, noun: str, order: str | None) -> None:
    assert understood(text) == (noun, order)


@pytest.mark.parametrize(
    ("order", "number"),
    [("left", 0), ("right", 2), ("top", 1), ("bottom", 2), ("middle", 1), ("large", 2), ("small", 0)],
)
def test_an_order_means_one_of_several(order: str, number: int) -> None:
    masks = np.zeros((3, 40, 60), np.float32)
    masks[0, 15:18, 2:5] = masks[1, 10:20, 25:35] = masks[2, 20:38, 40:60] = 1
    assert which(order, masks) == number


# where a model is


def test_a_folder_has_to_hold_the_right_kind(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--prompt-model: .*nowhere is neither a model's name nor a folder"):
        check_folder(tmp_path / "nowhere", ("sam2",), "--subject point")
    with pytest.raises(ConfigError, match=r"holds no config\.json; give one that transformers has saved"):
        check_folder(tmp_path, ("sam2",), "--subject point")
    for content, said in (
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"model_type": "bert"}', "holds a model of kind bert; --subject point takes sam2 or sam2_video"),
    ):
        (tmp_path / "config.json").write_text(content, encoding="utf-8")
        with pytest.raises(ConfigError, match=said) as caught:
            check_folder(tmp_path, ("sam2", "sam2_video"), "--subject point")
        assert "\n" not in str(caught.value)
    (tmp_path / "config.json").write_text('{"model_type": "sam2"}', encoding="utf-8")
    check_folder(tmp_path, ("sam2",), "--subject point")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache, empty, and no way to the hub."""
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("STREAMMATTE_OFFLINE", "1")
    return tmp_path


@pytest.mark.parametrize(("name", "gated"), [("sam3", True), ("sam2.1-hiera-tiny", False)])
def test_what_cannot_be_had_says_the_way_on(hub: Path, name: str, gated: bool) -> None:
    with pytest.raises(ModelError, match=f"{name}: cannot be had from the hub .STREAMMATTE_OFFLINE is set") as caught:
        folder_of(model(name))
    said = str(caught.value)
    assert "\n" not in said
    assert f"save https://huggingface.co/facebook/{name} to a folder and give it: --prompt-model FOLDER" in said
    assert ("`hf auth login`" in said) == ("`huggingface-cli login`" in said) == gated


def test_what_the_hubs_own_tools_have_is_taken(hub: Path) -> None:
    place = hub / "models--facebook--sam3"
    snapshot = place / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}", encoding="utf-8")
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("a" * 40, encoding="utf-8")
    assert folder_of(model("sam3")) == snapshot


def test_models_of_transformers_are_not_pulled_by_us() -> None:
    from streammatte.weights.pull import pull

    for each in catalog().values():
        if each.format == "transformers":
            with pytest.raises(ModelError, match=f"{each.name}: is fetched by the hub's own client"):
                pull(each, force=True)


@pytest.mark.parametrize("wish", ["the leftmost dog", "point:0.5,0.5"])
def test_without_transformers_one_line_says_what_to_install(
    wish: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    for name in [name for name in sys.modules if name.startswith("streammatte.prompts.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ConfigError, match=r"--prompt-model: sam. needs .*pip install 'streammatte\[prompt\]'"):
        prompter_of(Settings(subject=wish, prompt_model=str(tmp_path)))


@pytest.mark.parametrize("wish", ["all", "largest", "face"])
def test_who_needs_no_model_takes_none(wish: str) -> None:
    with pytest.raises(ConfigError, match="--prompt-model: goes with --subject point"):
        prompter_of(Settings(subject=wish, prompt_model="sam3"))


def test_geometry_needs_no_model() -> None:
    assert prompter_of(Settings(subject="point:0.5,0.5")) is None
    assert prompter_of(Settings(subject="largest")) is None


# SAM itself


@pytest.fixture(scope="module")
def sam2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_sam import save_sam2

    return save_sam2(tmp_path_factory.mktemp("sam2"))


@pytest.fixture(scope="module")
def sam3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_sam import save_sam3

    return save_sam3(tmp_path_factory.mktemp("sam3"))


def stretched(rgb: npt.NDArray[np.float32], side: int, mean: Any, std: Any) -> Any:
    """As the networks want it, by torch's own resampling; the picture is so smooth that any will do."""
    import torch

    planes = torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)[None]))
    small = torch.nn.functional.interpolate(planes, (side, side), mode="bilinear", antialias=True)
    return (small - torch.tensor(mean).reshape(1, -1, 1, 1)) / torch.tensor(std).reshape(1, -1, 1, 1)


def prompter(folder: Path, wish: str) -> Any:
    return prompter_of(Settings(subject=wish, prompt_model=str(folder)))


@needs_sam
@pytest.mark.parametrize("rotation", [0, 90])
@pytest.mark.parametrize(
    ("wish", "asked"),
    [
        ("point:0.25,0.75", {"input_points": [[[[16.0, 48.0]]]], "input_labels": [[[1]]]}),
        ("box:0.25,0.5,0.5,0.9", {"input_boxes": [[[16.0, 32.0, 48.0, 64.0]]]}),
    ],
)
def test_sam2_is_asked_in_its_own_pixels_and_upright(
    sam2: Path, wish: str, asked: dict[str, Any], rotation: int
) -> None:
    import torch
    import transformers
    from tiny_sam import SIDE_2_PX

    upright = picture()
    stored = np.ascontiguousarray(np.rot90(upright, -rotation // 90))
    found = prompter(sam2, wish).region(framed(stored, rotation=rotation), PHA, None)
    plain = transformers.Sam2Model.from_pretrained(sam2).eval()
    pixels = stretched(upright, SIDE_2_PX, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    with torch.no_grad():
        answer = plain(
            pixel_values=pixels,
            **{key: torch.tensor(value) for key, value in asked.items()},
            multimask_output="input_points" in asked,
        )
    masks, quality = answer.pred_masks[0, 0].sigmoid().numpy(), answer.iou_scores[0, 0].numpy()
    assert found.shape == (SIDE_2_PX // 4, SIDE_2_PX // 4)
    assert found.dtype == np.float32
    assert len(masks) == (3 if "input_points" in asked else 1)
    good = [mask for mask, each in zip(masks, quality, strict=True) if each >= quality.max() - 0.1]
    expected = max(good, key=lambda mask: float(mask.sum()))
    assert np.abs(found - expected).max() < 0.02
    assert expected.std() > 0.02


@needs_sam
def test_sam2_is_asked_for_where_the_subject_was(sam2: Path) -> None:
    frame, point = framed(picture()), prompter(sam2, "point:0.25,0.75")
    box = prompter(sam2, "box:0.1,0.1,0.2,0.2")
    there = point.region(frame, PHA, None)
    assert np.array_equal(box.region(frame, PHA, (0.25, 0.75)), there)
    assert not np.array_equal(point.region(frame, PHA, (0.9, 0.1)), there)


@needs_sam
def test_sam_says_what_it_is(sam2: Path, sam3: Path) -> None:
    import transformers

    from streammatte.weights.cache import sha256_of

    for folder, wish in ((sam2, "point:1,1"), (sam3, "the dog")):
        report = prompter(folder, wish).report
        assert (report.model, report.model_licence, report.precision) == (folder.name, "unknown", "f32")
        assert report.weights_sha256 == sha256_of(folder / "model.safetensors")
        assert transformers.__version__ in report.runtime
        assert report.device


@needs_sam
@pytest.mark.parametrize("words", ["red dog", "the leftmost red dog", "the largest red dog"])
def test_sam3_keeps_all_that_the_noun_names_or_the_one_that_is_meant(
    sam3: Path, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    import transformers
    from tiny_sam import SIDE_3_PX

    rgb = picture()
    plain = transformers.Sam3Model.from_pretrained(sam3).eval()
    pixels = stretched(rgb, SIDE_3_PX, 0.5, 0.5)
    with torch.no_grad():
        answer = plain(
            pixel_values=pixels,
            input_ids=torch.tensor([[3, 2, 0, 0, 0, 0]]),
            attention_mask=torch.tensor([[1, 1, 0, 0, 0, 0]]),
        )
    sure = (answer.pred_logits.sigmoid() * answer.presence_logits.sigmoid())[0].numpy()
    least = float(np.sort(sure)[1:3].mean())
    masks = answer.pred_masks.sigmoid()[0].numpy()[sure > least]
    assert len(masks) == 3
    order = understood(words)[1]
    expected = masks[which(order, masks)] if order else masks.max(axis=0)
    monkeypatch.setattr("streammatte.prompts.sam3._SURE", least)
    found = prompter(sam3, words).region(framed(rgb), PHA, None)
    assert found.shape == expected.shape
    assert expected.std() > 0.02
    assert np.abs(found - expected).max() < 0.02


@needs_sam
def test_sam3_finds_nobody_where_it_is_sure_of_none(sam3: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streammatte.prompts.sam3._SURE", 0.99)
    assert prompter(sam3, "a dog").region(framed(picture()), PHA, None) is None


@needs_sam
def test_what_is_wrong_with_a_folder_is_one_line(sam2: Path, sam3: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="of kind sam3; --subject point takes sam2 or sam2_video"):
        prompter(sam3, "point:1,1")
    with pytest.raises(ConfigError, match="of kind sam2; --subject with words takes sam3 or sam3_video"):
        prompter(sam2, "the dog")
    config = json.loads((sam2 / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for content in (None, b"no weights", (sam2 / "model.safetensors").read_bytes()[:4000]):
        if content is not None:
            (tmp_path / "model.safetensors").write_bytes(content)
        with pytest.raises(ModelError, match="cannot be loaded as Sam2Model: ") as caught:
            prompter(tmp_path, "point:1,1")
        assert "\n" not in str(caught.value)


@needs_sam
def test_weights_that_are_not_all_there_are_refused(sam2: Path, tmp_path: Path) -> None:
    """The library would fill them in by chance, and say so in a log."""
    from safetensors.torch import load_file, save_file

    weights = load_file(sam2 / "model.safetensors")
    gone = sorted(weights)[7]
    del weights[gone]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_bytes((sam2 / "config.json").read_bytes())
    with pytest.raises(ModelError, match="lacks 1 weights of a Sam2Model, such as"):
        prompter(tmp_path, "point:1,1")


@needs_sam
def test_sam3_without_its_vocabulary_is_one_line(sam3: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((sam3 / name).read_bytes())
    with pytest.raises(ModelError, match="its vocabulary is missing") as caught:
        prompter(tmp_path, "the dog")
    assert "\n" not in str(caught.value)


@needs_sam
def test_of_the_catalogue_only_models_of_transformers_look_for_subjects(sam2: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"u2net is none of sam2\.1-hiera-large, sam2\.1-hiera-tiny, sam3, nor a folder"
    ):
        prompter(Path("u2net"), "point:1,1")
    with pytest.raises(ModelError, match="nobody says that its licence allows commercial use"):
        prompter_of(Settings(subject="point:1,1", prompt_model=str(sam2), commercial=True))


@needs_sam
def test_sam2_of_the_catalogue_comes_from_the_hub(sam2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streammatte.parts_subject.folder_of", lambda model: sam2)
    found = prompter_of(Settings(subject="point:1,1", prompt_model="sam2.1-hiera-tiny"))
    assert found is not None
    assert (found.report.model, found.report.model_licence) == ("sam2.1-hiera-tiny", "Apache-2.0")


def test_a_subject_says_itself_as_it_was_said() -> None:
    for text in ("all", "face", "point:0.25,3", "box:1,2,0.5,4"):
        assert str(Subject.named(text)) == text
    assert str(Subject.named(" the  dog")) == "'the dog'"
