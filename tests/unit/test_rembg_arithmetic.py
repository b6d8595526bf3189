"""`--compat rembg`, bit for bit against a plain statement, in Pillow and NumPy, of what rembg computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from scenes import facts, make_frame, make_matte

from streammatte.arithmetics.rembg import RembgArithmetic
from streammatte.color import ColorSpec
from streammatte.frame import Frame
from streammatte.refiners.rembg import RembgRefiner

MEAN, STD, SIZE = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), (320, 320)
MODEL = facts(SIZE, mean=MEAN, std=STD)
Picture = npt.NDArray[np.uint8]


def plain_batch(picture: Picture) -> npt.NDArray[np.float32]:
    """RGB resampled with LANCZOS, over its own maximum, standardised in float64, channels first."""
    small = np.array(Image.fromarray(picture).convert("RGB").resize(SIZE, Image.Resampling.LANCZOS))
    share = small / max(np.max(small), 1e-6)
    channels = [(share[:, :, c] - MEAN[c]) / STD[c] for c in range(3)]
    return np.stack(channels)[np.newaxis].astype(np.float32)


def plain_mask(output: npt.NDArray[np.float32], size: tuple[int, int]) -> Picture:
    """The first channel stretched from its minimum to its maximum, cut to 8 bits, resampled with LANCZOS."""
    first = output[:, 0, :, :]
    top, bottom = np.max(first), np.min(first)
    stretched = np.squeeze((first - bottom) / (top - bottom))
    small = Image.fromarray((stretched.clip(0, 1) * 255).astype("uint8"))
    return np.array(small.resize(size, Image.Resampling.LANCZOS))


def rgb_frame(picture: Picture, rotation: int = 0) -> Frame:
    """An 8-bit RGB frame that shows `picture` once turned upright."""
    stored = np.rot90(picture, -(rotation // 90))
    planes = tuple(np.ascontiguousarray(stored[..., i]) for i in (1, 2, 0))
    like = make_frame("gbrp", rgb=[0, 0, 0])
    color = ColorSpec(0, 1, 13, True)
    return Frame(planes, like.format, color, 0, like.time_base, 1, 0, rotation=rotation).check()


def pictures() -> dict[str, Picture]:
    dice = np.random.default_rng(0)
    y, x = np.mgrid[0:360, 0:500]
    smooth = np.dstack([(x + y) % 256, (2 * x) % 256, (3 * y) % 256]).astype(np.uint8)
    return {
        "noise": dice.integers(0, 256, (333, 517, 3), np.uint8),
        "smooth": smooth,
        "dark": (smooth // 7).astype(np.uint8),
        "small": dice.integers(0, 200, (21, 13, 3), np.uint8),
        "black": np.zeros((50, 60, 3), np.uint8),
        "the network's size": dice.integers(0, 256, (320, 320, 3), np.uint8),
    }


PICTURES = pictures()


@pytest.mark.parametrize("name", PICTURES)
def test_batch_is_rembgs(name: str) -> None:
    batch, seen = RembgArithmetic(MODEL).batch(rgb_frame(PICTURES[name]))
    assert batch.dtype == np.float32
    assert np.array_equal(batch, plain_batch(PICTURES[name]))
    small = Image.fromarray(PICTURES[name]).resize(SIZE, Image.Resampling.LANCZOS)
    assert np.array_equal(np.rint(seen * 255), np.asarray(small))


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_rotated_frame_is_seen_upright(rotation: int) -> None:
    batch, _ = RembgArithmetic(MODEL).batch(rgb_frame(PICTURES["noise"], rotation))
    assert np.array_equal(batch, plain_batch(PICTURES["noise"]))


def outputs() -> dict[str, npt.NDArray[np.float32]]:
    dice = np.random.default_rng(1)
    noise = dice.random((1, 1, 320, 320), np.float32)
    y, x = np.mgrid[0:320, 0:320].astype(np.float32)
    return {
        "noise": noise,
        "faint": np.float32(1e-3) * noise + np.float32(0.2),
        "negative": noise - np.float32(3),
        "disc": np.clip(1.3 - np.hypot(x - 160, y - 150) / 90, 0, 1)[None, None].astype(np.float32),
    }


OUTPUTS = outputs()


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("size", [(517, 333), (64, 48), (320, 320), (1281, 719)])
def test_mask_is_rembgs(name: str, size: tuple[int, int]) -> None:
    pha = RembgArithmetic(MODEL).pha(OUTPUTS[name])
    frame = make_frame("yuv420p", size)
    alpha = RembgRefiner().refine(make_matte(pha), frame)
    assert alpha.dtype == np.uint8
    assert np.array_equal(alpha, plain_mask(OUTPUTS[name], size))


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_mask_of_a_rotated_frame_is_rembgs_turned(rotation: int) -> None:
    frame = make_frame("yuv420p", (517, 333), rotation=rotation)
    upright = (517, 333) if rotation == 180 else (333, 517)
    stored = np.ascontiguousarray(np.rot90(RembgArithmetic(MODEL).pha(OUTPUTS["disc"]), -(rotation // 90)))
    alpha = RembgRefiner().refine(make_matte(stored), frame)
    assert np.array_equal(np.rot90(alpha, rotation // 90), plain_mask(OUTPUTS["disc"], upright))
    assert alpha.flags.c_contiguous


@pytest.mark.parametrize(("name", "peak"), [("yuv420p10le", 1023), ("gray16le", 65535)])
def test_deeper_frames_get_the_8_bit_mask_scaled(name: str, peak: int) -> None:
    alpha = RembgRefiner().refine(make_matte(OUTPUTS["disc"][0, 0]), make_frame(name, (517, 333)))
    mask = plain_mask(OUTPUTS["disc"], (517, 333)).astype(np.float64)
    assert alpha.dtype == np.uint16
    assert np.abs(alpha - mask * peak / 255).max() <= 0.5
    assert alpha.min() == 0
    assert alpha.max() == peak


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0, np.nan])
def test_a_constant_output_gives_nothing(level: float) -> None:
    """rembg divides by zero there."""
    output: Any = np.full((1, 1, 320, 320), level, np.float32)
    pha = RembgArithmetic(MODEL).pha(output)
    assert (pha.dtype, pha.shape) == (np.dtype(np.float32), (320, 320))
    assert not pha.any()


def test_it_stretches_what_the_default_leaves_alone() -> None:
    pha = RembgArithmetic(MODEL).pha(OUTPUTS["faint"])
    assert (pha.min(), pha.max()) == (0, 1)
