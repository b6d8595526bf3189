"""The refiners on a device against the host's, frame by frame and along streams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import FORMATS, coded, disc, make_frame, make_matte, moved, textured

from streammatte.frame import Frame, Matte, PixelFormat, Plane
from streammatte.ports import Refiner
from streammatte.refiners.closed_form import ClosedFormRefiner
from streammatte.refiners.edges import EdgeRefiner
from streammatte.refiners.guided import GuidedRefiner
from streammatte.refiners.resample import ResampleRefiner

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

from torch_chain import DEVICE, LANE, Watch, got, hair, off, scene, sent, sent_matte  # noqa: E402

from streammatte.kernels.torch import planes  # noqa: E402
from streammatte.kernels.torch.lane import Lane  # noqa: E402
from streammatte.refiners.edges_on_device import DeviceEdgeRefiner  # noqa: E402
from streammatte.refiners.on_device import (  # noqa: E402
    DeviceClosedFormRefiner,
    DeviceGuidedRefiner,
    DeviceResampleRefiner,
)

NAMES = [f"yuv{chroma}p{bits}" for chroma in ("420", "422", "444") for bits in ("", "10le")] + ["gbrp", "gray"]
MAKERS: dict[str, Callable[[Lane], Refiner]] = {
    "resample": DeviceResampleRefiner,
    "guided": DeviceGuidedRefiner,
    "closed-form": DeviceClosedFormRefiner,
    "edges": lambda lane: DeviceEdgeRefiner(DeviceResampleRefiner(lane), lane, feather_px=4.0, shift_px=-2.5),
}
sides = st.integers(1, 97)
seeds = st.integers(0, 10_000)


def differences(refiner: Refiner, matte: Matte, frame: Frame, expected: Plane) -> npt.NDArray[np.float64]:
    """In code values of 8 bits."""
    found = refiner.refine(sent_matte(matte), planes.on_device(frame, DEVICE))
    return off(found, expected, frame.format.peak)


# frame by frame


@given(st.sampled_from(FORMATS), st.tuples(sides, sides), st.tuples(sides, sides), seeds)
@settings(max_examples=50)
def test_interpolated_as_on_the_host(name: str, small: tuple[int, int], size: tuple[int, int], seed: int) -> None:
    frame = make_frame(name, size)
    matte = make_matte(np.random.default_rng(seed).random(small[::-1], np.float32))
    found = differences(DeviceResampleRefiner(LANE), matte, frame, ResampleRefiner().refine(matte, frame))
    assert found.max() <= max(255 / frame.format.peak, 255 / 2**15) + 1e-9, "a code value of its own"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(320, 240), (481, 361)])
def test_guided_as_on_the_host(name: str, size: tuple[int, int]) -> None:
    pha, frame = scene(name, size, 3)
    matte = make_matte(pha)
    found = differences(DeviceGuidedRefiner(LANE), matte, frame, GuidedRefiner().refine(matte, frame))
    assert found.max() <= 2, "where float32 falls on the other side of what is cut"
    assert (found > 1).mean() < 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_closed_form_as_on_the_host(name: str) -> None:
    """Of a size whose chroma is not grown for the guide: OpenCV grows 8 bits with weights of 11."""
    pha, frame = scene(name, (481, 361), 5)
    matte = make_matte(pha)
    found = differences(DeviceClosedFormRefiner(LANE), matte, frame, ClosedFormRefiner(6).refine(matte, frame))
    assert found.max() <= 2
    assert (found > 1).mean() < 1e-4


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "gray"])
@pytest.mark.parametrize("size", [(97, 61), (33, 150), (20, 12), (5, 3), (1, 1)])
@pytest.mark.parametrize("kind", MAKERS)
def test_of_any_size(kind: str, name: str, size: tuple[int, int]) -> None:
    frame = planes.on_device(make_frame(name, size), DEVICE)
    refiner = MAKERS[kind](LANE)
    for _ in range(2):
        pha = refiner.refine(sent_matte(make_matte(disc(40, 24))), frame)
        assert (tuple(pha.shape), pha.dtype) == (size[::-1], planes.sample_type(frame.format))
        assert pha.max() <= frame.format.peak


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("name", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_ends_stay_exact(kind: str, name: str, value: float) -> None:
    frame = planes.on_device(make_frame(name, (97, 61)), DEVICE)
    pha = MAKERS[kind](LANE).refine(sent_matte(make_matte(np.full((24, 40), value, np.float32))), frame)
    assert (pha == round(value * frame.format.peak)).all()


def test_alpha_that_is_certain_stays_so_bit_for_bit() -> None:
    frame = planes.on_device(make_frame("yuv420p", (320, 240)), DEVICE)
    found = got(DeviceGuidedRefiner(LANE).refine(sent_matte(make_matte(disc(320, 240, 4.0))), frame))
    y, x = np.mgrid[0:240, 0:320]
    away = np.hypot(x - 159.5, y - 119.5)
    assert (found[away > 72 + 60] == 0).all()
    assert (found[away < 72 - 60] == 255).all()


# along a stream


def stream(name: str, size: tuple[int, int], count: int = 4) -> list[tuple[Matte, Frame]]:
    """Hair that goes right by three pixels of the matte a frame, with other noise in each matte's wide soft edge."""
    pha, frame = scene(name, size, 11)
    soft = cv2.GaussianBlur(pha, (0, 0), 4)
    made = []
    for n in range(count):
        noise, trust = (textured(seed, (96, 72), scale)[..., 0] for seed, scale in ((50 + n, 3.0), (n, 2.0)))
        noisy = np.clip(soft + (noise / noise.max() - 0.5) * 4 * soft * (1 - soft), 0, 1)
        matte = make_matte(np.roll(noisy, 3 * n, axis=1), seq=n)
        step_px = round(3 * size[0] / 96)
        rolled: Any = tuple(
            np.roll(plane, n * step_px >> (frame.format.log2_chroma_w if i else 0), axis=1)
            for i, plane in enumerate(frame.planes)
        )
        made.append((moved(matte, 3.0, trust=trust / trust.max()) if n else matte, replace(frame, planes=rolled)))
    return made


def along(given_: list[tuple[Matte, Frame]], iterations: int = 6) -> list[npt.NDArray[np.float64]]:
    host, device = ClosedFormRefiner(iterations), DeviceClosedFormRefiner(LANE, iterations)
    return [differences(device, matte, frame, host.refine(matte, frame)) for matte, frame in given_]


def the_same(found: npt.NDArray[np.float64]) -> bool:
    return bool(found.max() <= 2 and (found > 1).mean() < 1e-4)


@pytest.mark.parametrize("name", ["yuv420p", "yuv420p10le", "yuv444p", "gbrp"])
@pytest.mark.parametrize("iterations", [2, 6])
def test_closed_form_brings_its_solution_along_as_the_host_does(name: str, iterations: int) -> None:
    assert all(map(the_same, along(stream(name, (481, 361)), iterations)))


def test_the_stream_is_one_where_the_past_counts() -> None:
    """Else the test above would not notice whether it is brought along, or to where."""
    given_ = stream("yuv420p", (481, 361))
    for change in (
        lambda matte: replace(matte, flow=None, trust=None),
        lambda matte: matte if matte.flow is None else replace(matte, flow=-matte.flow),
        lambda matte: matte if matte.trust is None else replace(matte, trust=np.ones_like(matte.trust)),
    ):
        one, other = ClosedFormRefiner(6), ClosedFormRefiner(6)
        apart = [
            np.abs(one.refine(matte, frame).astype(int) - other.refine(change(matte), frame)) for matte, frame in given_
        ]
        assert np.quantile(apart[-1], 0.999) > 15


def test_without_motion_it_starts_anew() -> None:
    given_ = stream("yuv420p", (481, 361))
    given_[2] = replace(given_[2][0], flow=None, trust=None), given_[2][1]
    assert all(map(the_same, along(given_)))


def test_at_a_cut_that_only_the_device_knows_of_it_starts_anew() -> None:
    """A tracker there trusts no motion, where the host's says that it knows none."""
    (matte, frame), (_, before) = stream("yuv420p", (481, 361), 2)
    refiner, anew = DeviceClosedFormRefiner(LANE), DeviceClosedFormRefiner(LANE)
    refiner.refine(sent_matte(matte), planes.on_device(before, DEVICE))
    there = planes.on_device(frame, DEVICE)
    cut = refiner.refine(sent_matte(moved(matte, 3.0, trust=0.0)), there)
    assert torch.equal(cut, anew.refine(sent_matte(matte), there))


def test_nothing_is_brought_along_from_where_nothing_was_soft() -> None:
    given_ = stream("yuv420p", (481, 361), 3)
    nobody = replace(given_[1][0], pha=np.zeros((72, 96), np.float32))
    refiner, anew = DeviceClosedFormRefiner(LANE), DeviceClosedFormRefiner(LANE)
    refiner.refine(sent_matte(nobody), planes.on_device(given_[1][1], DEVICE))
    matte, there = given_[2][0], planes.on_device(given_[2][1], DEVICE)
    found = refiner.refine(sent_matte(matte), there)
    assert torch.equal(found, anew.refine(sent_matte(replace(matte, flow=None, trust=None)), there))


def test_at_another_size_it_starts_anew() -> None:
    matte = make_matte(disc(96, 72, 9.0))
    refiner, anew = DeviceClosedFormRefiner(LANE), DeviceClosedFormRefiner(LANE)
    refiner.refine(sent_matte(matte), planes.on_device(make_frame("gray", (320, 240)), DEVICE))
    turned = planes.on_device(make_frame("gray", (240, 320), seed=1), DEVICE)
    found = refiner.refine(sent_matte(moved(matte)), turned)
    assert torch.equal(found, anew.refine(sent_matte(matte), turned))


# edges


class Given:
    """A refiner that was told the answer."""

    def __init__(self, pha: Any) -> None:
        self._pha = pha

    def refine(self, matte: Matte, frame: Frame) -> Plane:
        plane: Plane = self._pha
        return plane


def edged(name: str, alpha: npt.NDArray[np.float32], **how: float) -> npt.NDArray[np.float64]:
    """How far the device is from the host; in code values of 8 bits."""
    frame, matte = make_frame(name, alpha.shape[::-1]), make_matte(alpha)
    pha = coded(alpha, frame.format)
    expected = EdgeRefiner(Given(pha), **how).refine(matte, frame)
    return differences(DeviceEdgeRefiner(Given(sent(pha)), LANE, **how), matte, frame, expected)


@given(st.sampled_from(["gray", "gray10le", "gray16le"]), st.floats(-9, 9), st.tuples(sides, sides), seeds)
@settings(max_examples=60)
def test_edges_are_moved_as_on_the_host(name: str, shift_px: float, size: tuple[int, int], seed: int) -> None:
    alpha = np.random.default_rng(seed).random(size[::-1], np.float32) * disc(*size, 5.0)
    peak = PixelFormat.named(name).peak
    assert edged(name, alpha, shift_px=shift_px).max() <= 255 / peak + 1e-9, "a code value of its own"


@pytest.mark.parametrize("shift_px", [0.0, -2.5])
@pytest.mark.parametrize("feather_px", [0.4, 1.0, 2.9, 3.1, 6.5, 15.0])
def test_edges_are_feathered_as_on_the_host(shift_px: float, feather_px: float) -> None:
    """To a code value at 10 bits; at 8 OpenCV's weights have 8 bits, and end at three sigmas."""
    found = {
        name: edged(name, hair(320, 240), shift_px=shift_px, feather_px=feather_px) for name in ("gray", "gray10le")
    }
    assert found["gray10le"].max() <= 255 / 1023 + 1e-9
    assert found["gray"].max() <= 2
    assert (found["gray"] > 1).mean() < 1e-3


@pytest.mark.parametrize("feather_px", [1.0, 6.5, 15.0])
def test_odd_sides_are_reduced_otherwise(feather_px: float) -> None:
    """The host reduces a box that halves evenly, the device the whole picture."""
    assert edged("gray", hair(321, 241), feather_px=feather_px).max() <= 6


# how it is done


@pytest.mark.parametrize("kind", MAKERS)
def test_nothing_waits_and_nothing_is_moved_after_the_first_frame(kind: str) -> None:
    (matte, frame), (later, _) = stream("yuv420p", (161, 121), 2)
    refiner, there, mattes = MAKERS[kind](LANE), planes.on_device(frame, DEVICE), [*map(sent_matte, (matte, later))]
    refiner.refine(mattes[0], there)
    with Watch() as watch:
        refiner.refine(mattes[1], there)
    assert watch.noted == []


@pytest.mark.parametrize("kind", MAKERS)
def test_no_shape_depends_on_a_sample(kind: str) -> None:
    """On torch's meta device there are none."""
    pha, frame = scene("yuv420p", (161, 121), 0)
    matte = moved(make_matte(pha))
    nowhere: Any = {key: torch.from_numpy(getattr(matte, key)).to("meta") for key in ("pha", "flow", "trust")}
    refiner = MAKERS[kind](Lane("meta"))
    for _ in range(2):
        found = refiner.refine(replace(matte, **nowhere), planes.on_device(frame, "meta"))
    assert tuple(found.shape) == (121, 161)


@pytest.mark.parametrize("kind", MAKERS)
def test_matte_and_frame_are_left_alone(kind: str) -> None:
    (_, frame), (matte, _) = stream("yuv420p", (161, 121), 2)
    there, given_ = planes.on_device(frame, DEVICE), sent_matte(matte)
    held = [*planes.planes_of(there), given_.pha, given_.flow, given_.trust]
    kept = [each.clone() for each in held]
    refiner = MAKERS[kind](LANE)
    first = refiner.refine(given_, there).clone()
    refiner.refine(given_, there)
    assert all(map(torch.equal, held, kept))
    assert first.dtype == torch.uint8
