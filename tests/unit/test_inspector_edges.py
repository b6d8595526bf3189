"""Collapsed edges are told from sharp ones, and the histogram is that of the edge."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scenes import disc

from streammatte.inspector.edges import EdgeOpacity

SIZE = (480, 270)
Float = npt.NDArray[np.float32]


def seen(alpha: Float, *, peak: int = 255, frames: int = 15) -> EdgeOpacity:
    edges = EdgeOpacity()
    pha = np.rint(alpha * np.float32(peak)).astype(np.uint8 if peak == 255 else np.uint16)
    for seq in range(frames):
        edges.step(pha, peak, seq)
    return edges


def collapsed(alpha: Float, **how: int) -> float:
    share = seen(alpha, **how).collapsed()
    assert share is not None
    return share


def covered(alpha: Float, scale: int = 8) -> Float:
    """A binary picture averaged down: what a perfect, box-filtered camera would see of it."""
    height, width = alpha.shape[0] // scale, alpha.shape[1] // scale
    return alpha.reshape(height, scale, width, scale).mean(axis=(1, 3)).astype(np.float32)


@pytest.mark.parametrize("peak", [255, 1023, 65535])
def test_a_thresholded_matte_has_collapsed(peak: int) -> None:
    assert collapsed(disc(*SIZE, soft_px=0), peak=peak) > 0.99


@pytest.mark.parametrize("radius", [0.1, 0.3, 0.45])
def test_an_antialiased_edge_has_not(radius: float) -> None:
    sharp = covered(disc(8 * SIZE[0], 8 * SIZE[1], soft_px=0, radius=radius))
    assert collapsed(sharp) < 0.03


@pytest.mark.parametrize("soft_px", [2.0, 6.0, 20.0])
@pytest.mark.parametrize("peak", [255, 1023])
def test_a_soft_edge_has_not(soft_px: float, peak: int) -> None:
    assert collapsed(disc(*SIZE, soft_px=soft_px), peak=peak) == 0


def test_half_of_an_edge() -> None:
    alpha = disc(*SIZE, soft_px=6)
    alpha[:, : SIZE[0] // 2] = disc(*SIZE, soft_px=0)[:, : SIZE[0] // 2]
    assert collapsed(alpha) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("width", "height"), [(100, 200), (200, 100), (200, 60)])
def test_every_pixel_of_the_contour_counts_alike_whichever_way_it_runs(width: int, height: int) -> None:
    """A box with hard sides, and a soft top and bottom."""
    alpha = np.zeros((270, 480), np.float32)
    rise = (np.arange(8) + 0.5)[:, None] / 8
    alpha[35 : 35 + height, 40 : 40 + width] = 1
    alpha[31:39, 40 : 40 + width] = rise
    alpha[31 + height : 39 + height, 40 : 40 + width] = 1 - rise
    assert collapsed(alpha) == pytest.approx(height / (width + height), abs=0.06)


def test_the_histogram_of_a_step_has_two_ends() -> None:
    shares = seen(disc(*SIZE, soft_px=0)).opacity()
    assert shares is not None
    assert shares[0] + shares[-1] == pytest.approx(1, abs=1e-3)
    assert shares[0] == pytest.approx(0.5, abs=0.1)


def test_the_histogram_of_a_ramp_is_its_middle() -> None:
    """270 lines: the band reaches 1 px beyond the contour's two pixels, which are 0.475 and 0.525 here."""
    ramp = np.tile(np.clip((np.arange(480, dtype=np.float32) - 199.5) / 20, 0, 1), (270, 1))
    shares = seen(ramp).opacity()
    assert shares is not None
    assert shares[4:6] == pytest.approx((0.5, 0.5), abs=0.01)
    assert sum(shares) == pytest.approx(1, abs=1e-3)


def test_the_band_grows_with_the_frame() -> None:
    """The same edge, four times as large, gives the same histogram."""
    small = seen(disc(480, 270, soft_px=4)).opacity()
    large = seen(disc(1920, 1080, soft_px=16)).opacity()
    np.testing.assert_allclose(np.array(small), np.array(large), atol=0.12)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (480, 270)])
def test_no_edge_no_answer(value: float, size: tuple[int, int]) -> None:
    edges = seen(np.full(size, value, np.float32))
    assert (edges.opacity(), edges.collapsed()) == (None, None)


def test_an_edge_at_the_frames_border() -> None:
    alpha = np.zeros((20, 30), np.float32)
    alpha[:, :1] = alpha[-1:] = 1
    assert collapsed(alpha) == 1
