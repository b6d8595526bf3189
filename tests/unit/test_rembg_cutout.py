"""`--compat rembg`: the cut-out's colours, bit for bit against what Pillow makes of picture and mask in rembg's way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps
from scenes import FORMATS, alphas_of, coded, make_frame, tiny_model

from streammatte.assembly import open_pipeline
from streammatte.color import ColorSpec
from streammatte.config import Settings
from streammatte.foregrounds.rembg import RembgForeground
from streammatte.kernels import host


def plain_cutout(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture pasted by its mask into a clear black one."""
    return Image.composite(picture, Image.new("RGBA", picture.size, 0), mask)


def read(path: Path) -> Image.Image:
    with Image.open(path) as opened:
        return opened.copy()


def smooth(size: tuple[int, int], channels: int = 3) -> Any:
    coarse = np.random.default_rng(3).integers(0, 256, (6, 8, channels), np.uint8)
    return cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)


def test_every_level_of_every_sample_is_pillows() -> None:
    levels = np.arange(256, dtype=np.uint8)
    samples, mask = (np.ascontiguousarray(each) for each in np.meshgrid(levels, levels))
    frame = make_frame("gbrp", (256, 256), rgb=[0, 0, 0], color=ColorSpec(0, 1, 13, True))
    for plane in frame.planes:
        plane[...] = samples
    green, blue, red = RembgForeground().estimate(frame, alphas_of(frame, mask))
    wanted = np.asarray(plain_cutout(Image.fromarray(np.dstack([samples] * 3)), Image.fromarray(mask)))
    assert np.array_equal(np.dstack([red, green, blue, mask]), wanted)


@pytest.mark.parametrize("full_range", [True, False])
@pytest.mark.parametrize("name", FORMATS)
def test_black_is_the_formats(name: str, full_range: bool) -> None:
    frame = make_frame(name, color=ColorSpec(1, 1, 1, full_range))
    clear = RembgForeground().estimate(frame, alphas_of(frame, coded(np.zeros((48, 64), np.float32), frame.format)))
    black = host.planes_from_rgb(np.zeros((48, 64, 3), np.float32), frame.format, frame.color)
    assert all(np.array_equal(a, b) for a, b in zip(clear, black, strict=True))


@pytest.fixture
def cut_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `--compat rembg` with the tiny network on a picture; gives mask and cut-out as Pillow reads them."""
    monkeypatch.setattr("streammatte.matter.model_named", lambda name: tiny_model(tmp_path))

    def run(picture: Path, **settings: Any) -> tuple[Image.Image, Image.Image]:
        out, matte = tmp_path / "out.png", tmp_path / "matte.png"
        given = Settings(compat="rembg", runtime="onnxruntime", output=(out,), matte=matte, force=True, **settings)
        open_pipeline(str(picture), given).run()
        return read(matte), read(out)

    return run


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_picture_file_is_cut_out_as_by_rembg(cut_out: Any, tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(smooth((101, 67))).save(tmp_path / f"in{suffix}", exif=exif)
    mask, cutout = cut_out(tmp_path / f"in{suffix}")
    upright = ImageOps.exif_transpose(read(tmp_path / f"in{suffix}"))
    soft = (np.asarray(mask) > 0) & (np.asarray(mask) < 255)
    assert soft.mean() > 0.1
    assert np.array_equal(np.asarray(cutout), np.asarray(plain_cutout(upright, mask)))


def test_what_the_picture_itself_hides_stays_hidden(cut_out: Any, tmp_path: Path) -> None:
    Image.fromarray(smooth((101, 67), 4)).save(tmp_path / "in.png")
    _, cutout = cut_out(tmp_path / "in.png")
    opaque = read(tmp_path / "in.png").convert("RGB")
    opaque.save(tmp_path / "opaque.png")
    mask, _ = cut_out(tmp_path / "opaque.png")
    assert np.array_equal(np.asarray(cutout), np.asarray(plain_cutout(read(tmp_path / "in.png"), mask)))


def test_over_a_colour_alpha_counts_twice_as_with_rembgs_bgcolor(cut_out: Any, tmp_path: Path) -> None:
    Image.fromarray(smooth((101, 67))).save(tmp_path / "in.png")
    mask, shown = cut_out(tmp_path / "in.png", bg="#20c040")
    subject = plain_cutout(read(tmp_path / "in.png"), mask)
    wanted = Image.alpha_composite(Image.new("RGBA", subject.size, (0x20, 0xC0, 0x40, 255)), subject)
    apart = np.abs(np.asarray(shown, np.int16) - np.asarray(wanted, np.int16)[..., :3])
    assert apart.max() <= 1, "Pillow rounds otherwise"


@pytest.mark.parametrize("fgr", ["off", "fusion"])
def test_another_foreground_may_be_asked_for(cut_out: Any, tmp_path: Path, fgr: str) -> None:
    Image.fromarray(smooth((101, 67))).save(tmp_path / "in.png")
    mask, cutout = cut_out(tmp_path / "in.png", fgr=fgr)
    picture, found = np.asarray(read(tmp_path / "in.png")), np.asarray(cutout)
    assert np.array_equal(found[..., 3], np.asarray(mask))
    assert np.array_equal(found[..., :3], picture) is (fgr == "off")
