"""`--fgr model`: the subject's colour as the network says it, in soft edges, at the frame's own detail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from remembering import write_toml
from scenes import NETWORK, alphas_of, coded, disc, make_frame, make_matte, tiny_model

from streammatte.assembly import open_pipeline
from streammatte.catalog import model
from streammatte.color import ColorSpec, encode_matrix
from streammatte.config import Settings
from streammatte.errors import ConfigError, ModelError
from streammatte.foregrounds.blur_fusion import FAINT, BlurFusionForeground
from streammatte.foregrounds.model import ModelForeground
from streammatte.frame import Frame, Matte
from streammatte.matter import Matter
from streammatte.own_model import model_named
from streammatte.parts import check_fgr
from streammatte.quality import quality_of

SIZE, SMALL = (64, 48), (32, 24)
APART = np.array([0.2, -0.1, 0.05], np.float32)
RGB = ColorSpec(0, 1, 13, True)


def matte_of(apart: Any = APART, pha: Any = None) -> Matte:
    plain = make_matte(np.zeros(SMALL[::-1], np.float32) if pha is None else pha)
    return replace(plain, fgr=np.asarray(plain.src + apart, np.float32))


def frame_of(name: str) -> Frame:
    return make_frame(name, SIZE, rgb=[0.5, 0.5, 0.5], **({"color": RGB} if name.startswith("gbr") else {}))


def differences(frame: Frame) -> list[float]:
    """`APART` in the samples of each plane."""
    peak = frame.format.peak
    if frame.format.model == "gbr":
        return [float(each) * peak for each in APART[[1, 2, 0]]]
    matrix = encode_matrix(frame.color.resolved(frame.format.model, frame.height), frame.format.bits)
    return [float(each) for each in matrix[:, :3] @ APART][: len(frame.planes)]


@pytest.mark.parametrize("name", ["gbrp", "yuv420p", "yuv444p10le", "gray"])
def test_what_the_network_says_is_added_to_the_frames_own_samples(name: str) -> None:
    frame = frame_of(name)
    rng = np.random.default_rng(1)
    for plane in frame.planes:
        plane[...] = np.clip(plane + rng.integers(-9, 10, plane.shape), 0, frame.format.peak)  # detail of the frame
    alphas = alphas_of(frame, coded(disc(*SIZE), frame.format))
    found = ModelForeground().estimate(frame, alphas, matte_of())
    fusion = BlurFusionForeground().estimate(frame, alphas)
    peak = frame.format.peak
    for plane, source, alpha, other, apart in zip(found, frame.planes, alphas, fusion, differences(frame), strict=True):
        soft = (alpha > FAINT * peak) & (alpha < peak)
        assert soft.any()
        assert np.abs(plane[soft] - (source[soft] + apart)).max() <= 0.51
        assert np.array_equal(plane[~soft], other[~soft]), "opaque: the source's; faint: what fusion finds"


def test_a_difference_is_brought_to_its_place() -> None:
    frame = frame_of("gbrp")
    step = np.where(np.arange(SMALL[0]) < SMALL[0] // 2, 0.2, -0.2)[None, :, None] * np.ones((SMALL[1], 1, 3))
    half = np.full(SIZE[::-1], 0.5, np.float32)
    green, *_ = ModelForeground().estimate(frame, alphas_of(frame, coded(half, frame.format)), matte_of(step))
    assert (green[:, :30] == green[0, 0]).all()
    assert (green[:, 34:] == green[0, -1]).all()
    assert int(green[0, 0]) - int(green[0, -1]) == pytest.approx(0.4 * 255, abs=1)


def test_where_it_says_nothing_it_is_as_fusion_does() -> None:
    frame = frame_of("yuv420p")
    alphas = alphas_of(frame, coded(disc(*SIZE), frame.format))
    wanted = BlurFusionForeground().estimate(frame, alphas)
    for matte in (None, make_matte(np.zeros(SMALL[::-1], np.float32))):
        found = ModelForeground().estimate(frame, alphas, matte)
        assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))


# from the network to the composite


@pytest.fixture
def toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STREAMMATTE_CACHE", str(tmp_path / "cache"))
    return write_toml(tmp_path)


@pytest.mark.parametrize("rotation", [0, 90, 180])
def test_a_matte_holds_it_as_the_frame_is_stored(toml: Path, rotation: int) -> None:
    matter = Matter(toml, runtime="onnxruntime", fgr=True)
    size = NETWORK if rotation % 180 == 0 else NETWORK[::-1]
    found = matter.matte(make_frame("gbrp", size, rotation=rotation, color=RGB))
    assert found.fgr is not None
    assert np.abs(found.fgr - found.src / 2).max() < 1e-5
    assert Matter(toml, runtime="onnxruntime").matte(make_frame("gbrp", color=RGB)).fgr is None, "not asked for"


def test_it_reaches_the_composite(toml: Path, tmp_path: Path) -> None:
    """The network says half the picture's colour: soft pixels are that much darker than with the source's own."""
    bright = np.full((48, 80, 3), 200, np.uint8)
    cv2.imwrite(str(tmp_path / "in.png"), bright)
    shown = {}
    for fgr in ("off", "model"):
        out = tmp_path / f"{fgr}.png"
        how: dict[str, Any] = {"stabilize": "none", "refine": "none", "lookahead": 0, "precision": "f32", "tta": "off"}
        given = Settings(model=str(toml), fgr=fgr, bg="black", output=(out,), **how)
        open_pipeline(str(tmp_path / "in.png"), given).run()
        shown[fgr] = cv2.imread(str(out)).astype(float)
    assert shown["off"].mean() > 20
    assert np.abs(shown["model"] - shown["off"] / 2).max() <= 1


# where it cannot be had


def test_a_model_that_says_nothing_of_it(tmp_path: Path) -> None:
    words = "--fgr: model: tiny says nothing of the subject's colour; rvm-mobilenetv3, rvm-resnet50 do"
    with pytest.raises(ConfigError, match=words):
        Matter(tiny_model(tmp_path), fgr=True)
    assert model("rvm-resnet50").state is not None


def test_live_and_hdr_are_refused() -> None:
    with pytest.raises(ConfigError, match="--fgr: model is for files"):
        quality_of(Settings(fgr="model"), live=True)
    quality_of(Settings(fgr="model"), live=False)
    hdr: Any = type("Info", (), {"color": ColorSpec(9, 9, 16, False)})
    with pytest.raises(ConfigError, match="--fgr: model: of HDR video"):
        check_fgr(Settings(fgr="model"), hdr)
    check_fgr(Settings(), hdr)


def test_an_output_that_is_no_picture(toml: Path) -> None:
    toml.write_text(toml.read_text().replace("fgr = 0", "fgr = 1"), encoding="utf-8")
    with pytest.raises(ModelError, match=r"remembering.toml: state.fgr: expected the number of an output \(1, 3, "):
        model_named(toml)
