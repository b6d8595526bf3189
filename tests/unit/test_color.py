"""Colour: matrices against H.273's and the ITU's own numbers, transfers against ST 2084 and BT.2100."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammatte.color import (
    ChromaLocation,
    ColorSpec,
    decode_matrix,
    encode_matrix,
    from_sdr,
    to_sdr,
)
from streammatte.transfer import TRANSFER_HLG, TRANSFER_PQ, nits_to_pq, pq_to_nits

MATRICES = (1, 4, 5, 6, 7, 9, 10)
LIMITED, FULL = False, True
CODES = [  # matrix, full range, bits, R'G'B', Y Cb Cr: rounded as in the test patterns of EBU Tech 3325 and BT.2111
    (1, LIMITED, 8, (1, 1, 1), (235, 128, 128)),
    (1, LIMITED, 8, (0, 0, 0), (16, 128, 128)),
    (1, LIMITED, 8, (1, 0, 0), (63, 102, 240)),
    (1, LIMITED, 8, (0, 1, 0), (173, 42, 26)),
    (1, LIMITED, 8, (0, 0, 1), (32, 240, 118)),
    (1, LIMITED, 10, (1, 1, 1), (940, 512, 512)),
    (1, LIMITED, 10, (0, 0, 0), (64, 512, 512)),
    (6, LIMITED, 8, (1, 0, 0), (81, 90, 240)),
    (6, LIMITED, 8, (0, 1, 0), (145, 54, 34)),
    (6, LIMITED, 8, (0, 0, 1), (41, 240, 110)),
    (6, FULL, 8, (1, 1, 1), (255, 128, 128)),
    (6, FULL, 8, (1, 0, 0), (76, 85, 255.5)),  # JFIF: Cr of red is clipped to 255 when stored
    (9, LIMITED, 10, (1, 0, 0), (294, 387, 960)),
    (9, LIMITED, 10, (0, 1, 0), (658, 189, 100)),
    (9, LIMITED, 10, (0, 0, 1), (116, 960, 476)),
    (9, LIMITED, 12, (1, 1, 1), (3760, 2048, 2048)),
]


@pytest.mark.parametrize(("matrix", "full", "bits", "rgb", "ycc"), CODES)
def test_known_code_values(matrix: int, full: bool, bits: int, rgb: tuple[int, ...], ycc: tuple[float, ...]) -> None:
    spec = ColorSpec(matrix, 1, 1, full)
    assert encode_matrix(spec, bits) @ [*rgb, 1] == pytest.approx(ycc, abs=0.51)
    assert decode_matrix(spec, bits) @ [*ycc, 1] == pytest.approx(rgb, abs=1.2 / (219 << (bits - 8)) * 2)


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("full", [LIMITED, FULL])
@pytest.mark.parametrize("bits", [8, 10, 16])
def test_encode_is_the_inverse_of_decode(matrix: int, full: bool, bits: int) -> None:
    spec = ColorSpec(matrix, 1, 1, full)
    rgb = np.random.default_rng(matrix).random((1000, 3))
    encode, decode = encode_matrix(spec, bits).astype(np.float64), decode_matrix(spec, bits).astype(np.float64)
    codes = rgb @ encode[:, :3].T + encode[:, 3]
    assert np.abs(codes @ decode[:, :3].T + decode[:, 3] - rgb).max() < 1e-6


@pytest.mark.parametrize("matrix", MATRICES)
def test_gray_has_no_chroma(matrix: int) -> None:
    codes = encode_matrix(ColorSpec(matrix, 1, 1, False), 8) @ [0.4, 0.4, 0.4, 1]
    assert codes == pytest.approx((16 + 219 * 0.4, 128, 128), abs=1e-3)


@pytest.mark.parametrize(("height", "matrix"), [(1080, 1), (720, 1), (719, 6), (576, 6)])
def test_untagged_video_is_what_players_assume(height: int, matrix: int) -> None:
    wanted = ColorSpec(matrix, 1, 1, False)
    assert ColorSpec().resolved("yuv", height) == wanted
    assert ColorSpec().resolved("gray", height) == wanted


@pytest.mark.parametrize("odd", [0, 3, 8, 14, 255])
def test_a_matrix_that_yuv_cannot_have_is_taken_for_untagged(odd: int) -> None:
    assert ColorSpec(matrix=odd).resolved("yuv", 1080).matrix == 1


def test_tags_are_kept() -> None:
    tagged = ColorSpec(9, 9, 16, True, ChromaLocation.TOP_LEFT)
    assert tagged.resolved("yuv", 480) == tagged


def test_untagged_rgb_is_full_range_with_no_matrix() -> None:
    assert ColorSpec().resolved("gbr", 480) == ColorSpec(0, 1, 1, True)


@pytest.mark.parametrize(("transfer", "hdr"), [(TRANSFER_PQ, True), (TRANSFER_HLG, True), (1, False), (2, False)])
def test_hdr(transfer: int, hdr: bool) -> None:
    assert ColorSpec(transfer=transfer).hdr is hdr


# SMPTE ST 2084; the last digits as in ITU-R BT.2408-4, table 1 and annex 1
PQ_POINTS = [(0.0, 0.0), (0.005, 0.0151), (100.0, 0.5081), (203.0, 0.5807), (1000.0, 0.7518), (4000.0, 0.9026)]


@pytest.mark.parametrize(("nits", "signal"), [*PQ_POINTS, (10000.0, 1.0)])
def test_pq_reference_points(nits: float, signal: float) -> None:
    assert nits_to_pq(np.array([nits], np.float32))[0] == pytest.approx(signal, abs=6e-5)
    back = pq_to_nits(nits_to_pq(np.array([nits], np.float32)))[0]
    assert back == pytest.approx(nits, rel=1e-3, abs=1e-5)


@given(st.floats(0, 1, width=32))
def test_pq_round_trip(signal: float) -> None:
    coded = np.array([signal], np.float32)
    assert nits_to_pq(pq_to_nits(coded))[0] == pytest.approx(signal, abs=2e-5)


def test_pq_clips_what_cannot_be() -> None:
    assert pq_to_nits(np.array([-0.5, 1.5], np.float32)).tolist() == pytest.approx([0, 1e4], rel=1e-4)
    assert nits_to_pq(np.array([-1.0, 2e4], np.float32)).tolist() == pytest.approx([0, 1], abs=1e-6)


def picture(*rows: tuple[float, float, float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array([rows], np.float32)


SDR, PQ, HLG = ColorSpec(1, 1, 1, False), ColorSpec(9, 9, TRANSFER_PQ, False), ColorSpec(9, 9, TRANSFER_HLG, False)
BLACK, WHITE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


def test_sdr_passes_as_it_is() -> None:
    rgb = picture((0.1, 0.5, 0.9))
    assert from_sdr(rgb, SDR) is rgb
    assert np.array_equal(to_sdr(rgb, SDR), rgb)
    assert to_sdr(picture((-0.2, 1.3, 0.5)), SDR).tolist() == picture((0.0, 1.0, 0.5)).tolist()


def test_sdr_white_is_at_203_nits_and_at_75_percent() -> None:
    """ITU-R BT.2408-4, table 1."""
    assert from_sdr(picture(WHITE), PQ) == pytest.approx(picture((0.5807,) * 3), abs=2e-4)
    assert from_sdr(picture(WHITE), HLG) == pytest.approx(picture((0.75,) * 3), abs=2e-3)
    assert from_sdr(picture(BLACK), PQ) == pytest.approx(picture(BLACK), abs=1e-6)
    assert from_sdr(picture(BLACK), HLG) == pytest.approx(picture(BLACK), abs=1e-6)


def test_hlg_curve() -> None:
    """BT.2100: signal 0.5 is scene light 1/12, where the root and the logarithm meet."""
    scene = 1 / 12 / 0.265
    srgb = 1.055 * scene ** (1 / 2.4) - 0.055
    assert from_sdr(picture((srgb,) * 3), HLG) == pytest.approx(picture((0.5,) * 3), abs=1e-3)


@pytest.mark.parametrize("spec", [PQ, HLG])
def test_hdr_gray_stays_gray_and_in_order(spec: ColorSpec) -> None:
    ramp = np.repeat(np.linspace(0, 1, 64, dtype=np.float32)[None, :, None], 3, axis=2)
    coded = from_sdr(ramp, spec)
    assert np.ptp(coded, axis=2).max() < 1e-3
    assert (np.diff(coded[0, :, 0]) > 0).all()
    seen = to_sdr(coded, spec)
    assert np.ptp(seen, axis=2).max() < 5e-3
    assert (np.diff(seen[0, :, 0]) > 0).all()
    assert seen.min() >= 0
    assert seen.max() <= 1


def test_709_red_is_inside_2020() -> None:
    """BT.2087: R'709 = (0.627, 0.069, 0.016) in linear BT.2020."""
    nits = pq_to_nits(from_sdr(picture((1.0, 0.0, 0.0)), PQ)) / 203
    assert nits == pytest.approx(picture((0.6274, 0.0691, 0.0164)), abs=2e-3)


def test_pq_as_a_network_sees_it() -> None:
    """Diffuse white is bright, nothing below it clips, what is far above rolls off to white."""
    white = to_sdr(from_sdr(picture(WHITE), PQ), PQ)
    assert 0.85 < white.min() <= white.max() < 1
    assert to_sdr(picture(WHITE), PQ) == pytest.approx(picture(WHITE))
    assert to_sdr(picture(BLACK), PQ) == pytest.approx(picture(BLACK), abs=1e-4)


def test_hlg_is_watched_as_it_is() -> None:
    rgb = picture((0.2, 0.4, 0.75))
    assert np.array_equal(to_sdr(rgb, HLG), rgb)
    assert np.array_equal(to_sdr(rgb, replace(HLG, transfer=1)), rgb)
