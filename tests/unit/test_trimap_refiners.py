"""`--refine pymatting` and `vitmatte`: exact where the answer is known, and certain where the trimap is."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pymatting
import pytest
from scenes import Float, coded, disc, make_frame, make_matte, textured

from streammatte.errors import StreammatteError
from streammatte.frame import Frame, Matte
from streammatte.kernels import host
from streammatte.kernels.trimaps import BACKGROUND, FOREGROUND, UNKNOWN, Trimap, coarse_trimap
from streammatte.refiners.by_trimap import TrimapRefiner
from streammatte.refiners.pymatting import PymattingRefiner
from streammatte.refiners.vitmatte import VitmatteRefiner

SIZE = (160, 96)
ORANGE, TEAL = np.array([0.9, 0.5, 0.2]), np.array([0.1, 0.4, 0.5])


def seen(alpha: Float, name: str = "yuv444p", **facts: Any) -> Frame:
    """Orange over teal."""
    mixed = alpha[..., None] * ORANGE + (1 - alpha[..., None]) * TEAL
    return make_frame(name, alpha.shape[::-1], rgb=mixed, **facts)


def given(trimap: Trimap) -> Any:
    return lambda matte, frame: trimap


class RedNetwork:
    """Says that alpha is the picture's red, and keeps what it was shown."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height

    def alpha(self, rgb: Float, trimap: Trimap) -> Float:
        assert (rgb.shape, rgb.dtype) == ((self.height, self.width, 3), np.float32)
        assert (trimap.shape, trimap.dtype) == ((self.height, self.width), np.uint8)
        self.rgb, self.trimap = rgb, trimap
        return np.ascontiguousarray(rgb[..., 0])


def both() -> list[TrimapRefiner]:
    return [PymattingRefiner(), VitmatteRefiner(RedNetwork(64, 64))]


# the trimap's word


@pytest.mark.parametrize("refiner", both())
@pytest.mark.parametrize("name", ["yuv420p", "yuv420p10le", "gbrp12le"])
def test_where_the_trimap_is_certain_alpha_is_exact(refiner: TrimapRefiner, name: str) -> None:
    matte, frame = make_matte(disc(40, 24)), make_frame(name, SIZE)
    pha, trimap = refiner.refine(matte, frame), coarse_trimap(matte.pha, *SIZE)
    assert (pha[trimap == BACKGROUND] == 0).all()
    assert (pha[trimap == FOREGROUND] == frame.format.peak).all()
    assert 0 < pha[trimap == UNKNOWN].mean() < frame.format.peak


@pytest.mark.parametrize("kind", [PymattingRefiner, lambda trimaps: VitmatteRefiner(RedNetwork(64, 64), trimaps)])
def test_a_given_trimap_is_stronger_than_the_matte(kind: Any) -> None:
    trimap = np.full(SIZE[::-1], BACKGROUND, np.uint8)
    trimap[20:50, 30:90] = FOREGROUND
    trimap[50:70, 30:90] = UNKNOWN
    pha = kind(given(trimap)).refine(make_matte(1 - disc(40, 24)), make_frame("yuv420p", SIZE))
    assert (pha[trimap == BACKGROUND] == 0).all()
    assert (pha[trimap == FOREGROUND] == 255).all()


@pytest.mark.parametrize("refiner", both())
@pytest.mark.parametrize("value", [0.1, 0.9])
def test_a_matte_that_is_sure_of_nothing_stays(refiner: TrimapRefiner, value: float) -> None:
    frame = make_frame("yuv420p10le", SIZE)
    pha = refiner.refine(make_matte(np.full((24, 40), value, np.float32)), frame)
    assert (pha == round(value * 1023)).all()


@pytest.mark.parametrize("only", [BACKGROUND, FOREGROUND])
def test_with_one_kind_alone_the_matte_stays_where_the_trimap_is_open(only: int) -> None:
    trimap = np.full(SIZE[::-1], only, np.uint8)
    trimap[:, :80] = UNKNOWN
    matte, frame = make_matte(np.full((24, 40), 0.5, np.float32)), make_frame("yuv420p", SIZE)
    for refiner in (PymattingRefiner(given(trimap)), VitmatteRefiner(RedNetwork(64, 64), given(trimap))):
        pha = refiner.refine(matte, frame)
        assert (pha[:, :80] == 128).all()
        assert (pha[:, 80:] == only).all()


# pymatting


@pytest.mark.parametrize(
    ("name", "most"),
    [("yuv444p", 0.02), ("gbrp", 0.02), ("yuv444p10le", 0.01), ("yuv420p", 0.07), ("yuv420p10le", 0.07)],
)
def test_two_colours_give_their_own_alpha(name: str, most: float) -> None:
    """On a colour line the closed form has one answer: what was mixed. Halved chroma bends the line."""
    truth = disc(*SIZE, soft_px=10)
    blurred = np.asarray(cv2.GaussianBlur(disc(*SIZE, soft_px=16), (0, 0), 3), np.float32)
    frame = seen(truth, name)
    pha = PymattingRefiner().refine(make_matte(blurred), frame)
    assert np.abs(pha / frame.format.peak - truth).max() < most
    assert np.abs(host.alpha_plane(blurred, *SIZE, frame.format) / frame.format.peak - truth).max() > 0.15


@pytest.mark.parametrize("rotation", [0, 90])
def test_it_is_the_closed_form_over_the_whole_picture(rotation: int) -> None:
    """What it leaves out, far from all that is unknown, changes nothing."""
    rgb = textured(3, SIZE)
    frame, matte = make_frame("gbrp", SIZE, rgb=rgb, rotation=rotation), make_matte(disc(40, 24))
    trimap = coarse_trimap(matte.pha, *SIZE)
    whole = host.frame_rgb(frame, *SIZE).astype(np.float64)
    wanted = pymatting.estimate_alpha_cf(whole, np.where(trimap == UNKNOWN, 0.5, trimap / 255))
    pha = PymattingRefiner().refine(matte, frame)
    assert np.abs(pha.astype(int) - coded(wanted.astype(np.float32), frame.format)).max() <= 1


def test_unknown_beside_one_kind_alone_stays_as_the_matte_has_it() -> None:
    trimap = np.full(SIZE[::-1], BACKGROUND, np.uint8)
    trimap[:, 120:] = FOREGROUND
    trimap[30:50, 20:50] = UNKNOWN
    pha = PymattingRefiner(given(trimap)).refine(
        make_matte(np.full((24, 40), 0.5, np.float32)), make_frame("gray", SIZE)
    )
    assert (pha[30:50, 20:50] == 128).all()


def test_nothing_is_printed(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def talks(rgb: Any, trimap: Any) -> Any:
        print("PERFORMANCE WARNING:")
        return trimap

    monkeypatch.setattr(pymatting, "estimate_alpha_cf", talks)
    PymattingRefiner().refine(make_matte(disc(40, 24)), make_frame("gray", SIZE))
    print("heard")
    assert capfd.readouterr().out == "heard\n"


def test_no_solution_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(rgb: Any, trimap: Any) -> Any:
        raise ValueError("did not converge\nwithin 10 iterations")

    monkeypatch.setattr(pymatting, "estimate_alpha_cf", fails)
    with pytest.raises(StreammatteError, match=r"--refine pymatting: frame 7: did not converge; .*closed-form$"):
        PymattingRefiner().refine(make_matte(disc(40, 24)), make_frame("gray", SIZE, seq=7))


# vitmatte


def red(frame: Frame) -> Float:
    return host.frame_rgb(frame, frame.width, frame.height)[..., 0]


def unknown_of(matte: Matte, frame: Frame) -> Any:
    return coarse_trimap(matte.pha, frame.width, frame.height) == UNKNOWN


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le"])
@pytest.mark.parametrize("side", [96, 160, 256])
def test_where_there_is_room_the_network_sees_the_frames_own_pixels(rotation: int, name: str, side: int) -> None:
    """As large as they are: cut where the frame is larger, black and background where it is smaller."""
    frame = make_frame(name, SIZE, rgb=textured(4, SIZE), rotation=rotation)
    matte, network = make_matte(disc(40, 24, radius=0.2)), RedNetwork(side, side)
    pha = VitmatteRefiner(network).refine(matte, frame)
    unknown = unknown_of(matte, frame)
    assert np.abs(pha / frame.format.peak - red(frame))[unknown].max() <= 0.51 / frame.format.peak
    wide, high = (min(side, each) for each in (SIZE if rotation % 180 == 0 else SIZE[::-1]))
    assert (network.rgb[:high, :wide] > 0).any(axis=2).all()
    assert not network.rgb[high:].any()
    assert not network.rgb[:, wide:].any()
    assert not network.trimap[high:].any()
    assert (network.trimap == UNKNOWN).sum() == unknown.sum()


def test_upright_is_what_it_sees() -> None:
    alpha = np.zeros(SIZE[::-1], np.float32)
    alpha[:, :80] = 1
    frame = seen(alpha, rotation=90)
    network = RedNetwork(160, 160)
    VitmatteRefiner(network).refine(make_matte(alpha), frame)
    assert network.trimap[150, 50] == FOREGROUND, "the stored left is below once it is turned counter-clockwise"
    assert network.rgb[150, 50] == pytest.approx(ORANGE, abs=0.02)
    assert network.rgb[10, 50] == pytest.approx(TEAL, abs=0.02)


def test_a_box_that_is_too_large_is_reduced_and_keeps_its_shape() -> None:
    """A disc stays round, whatever the shape of the frame, and alpha comes back to where it belongs."""
    size = (480, 270)
    matte = make_matte(disc(240, 135, radius=0.45))
    frame = seen(disc(*size, radius=0.45, soft_px=12), "yuv420p10le")
    network = RedNetwork(96, 96)
    pha = VitmatteRefiner(network).refine(matte, frame)
    rows, columns = (np.flatnonzero((network.trimap != BACKGROUND).any(axis=axis)) for axis in (1, 0))
    wide, high = np.ptp(columns) + 1, np.ptp(rows) + 1
    assert (wide, high) == (pytest.approx(high, abs=1), pytest.approx(88, abs=3)), "96 less five per cent on each side"
    assert np.abs(pha / 1023 - red(frame))[unknown_of(matte, frame)].mean() < 0.03


@pytest.mark.parametrize("place", [(10, 10), (10, 150), (86, 10), (86, 150), (48, 80)])
def test_a_window_at_the_pictures_edge_stays_within(place: tuple[int, int]) -> None:
    trimap = np.full(SIZE[::-1], FOREGROUND, np.uint8)
    trimap[:, :5] = BACKGROUND
    trimap[place[0] - 8 : place[0] + 8, place[1] - 8 : place[1] + 8] = UNKNOWN
    frame, network = make_frame("gbrp", SIZE, rgb=textured(5, SIZE)), RedNetwork(48, 40)
    pha = VitmatteRefiner(network, given(trimap)).refine(make_matte(disc(40, 24)), frame)
    assert (network.trimap == UNKNOWN).sum() == (trimap == UNKNOWN).sum()
    assert np.array_equal(pha[trimap == UNKNOWN], coded(red(frame), frame.format)[trimap == UNKNOWN])
