"""The compositors on a device against the host's: over, over in light, and light wrap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import BT709, FORMATS, HLG, PQ, disc, make_frame, make_layer, textured

from streammatte import transfer
from streammatte.color import ChromaLocation, ColorSpec
from streammatte.compositor import composite
from streammatte.compositors.light_wrap import LightWrap
from streammatte.compositors.linear import linear_composite
from streammatte.frame import Frame, Layer
from streammatte.kernels.siting import upsample
from streammatte.ports import Compositor

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

from torch_chain import DEVICE, LANE, Watch, apart, got, off, sent, sent_layer  # noqa: E402

from streammatte.compositors.on_device import DeviceLightWrap, DeviceLinear, device_composite  # noqa: E402
from streammatte.kernels.torch import planes  # noqa: E402
from streammatte.kernels.torch.lane import Lane  # noqa: E402
from streammatte.kernels.torch.siting import upsample as upsample_there  # noqa: E402
from streammatte.kernels.torch.transfer import from_light, to_light  # noqa: E402

NAMES = [f"yuv{chroma}p{bits}" for chroma in ("420", "422", "444") for bits in ("", "10le")] + ["gbrp", "gray"]
SPECS = [BT709, ColorSpec(6, 6, 6, True), ColorSpec(1, 1, transfer.TRANSFER_SRGB, True), PQ, HLG, ColorSpec(1, 1, 8)]
MAKERS: dict[str, Callable[[Lane], Compositor]] = {
    "over": device_composite,
    "linear": DeviceLinear,
    "light wrap": lambda lane: DeviceLightWrap(1.0, device_composite(lane), lane),
    "linear light wrap": lambda lane: DeviceLightWrap(0.5, DeviceLinear(lane), lane),
}
HOST: dict[str, Compositor] = {
    "over": composite,
    "linear": linear_composite,
    "light wrap": LightWrap(1.0, composite),
    "linear light wrap": LightWrap(0.5, linear_composite),
}
sides = st.integers(1, 97)
seeds = st.integers(0, 10_000)


def behind(background: Frame) -> Any:
    """The background's planes on the device."""
    return planes.on_device(background, DEVICE).planes


def differences(one: Compositor, other: Compositor, layer: Layer, background: Frame) -> list[npt.NDArray[np.float64]]:
    """Of each plane, in code values of 8 bits."""
    found, expected = one(sent_layer(layer), behind(background)), other(layer, background.planes)
    pairs = zip(found.planes, expected.planes, strict=True)
    return [off(plane, wanted, layer.frame.format.peak) for plane, wanted in pairs]


def scene(
    name: str, size: tuple[int, int], color: ColorSpec = BT709, *, noisy: bool = False, soft_px: float = 20.0
) -> tuple[Layer, Frame]:
    """A dark subject before a bright background with a dark half, or noise over every code value in both."""
    dark, bright = 0.05 + 0.5 * textured(1, size, 4.0), 0.95 - 0.5 * textured(2, size, 4.0)
    bright[:, size[0] // 2 :] = 0.1
    front, back = (
        make_frame(name, size, rgb=None if noisy else picture, color=color, seed=seed)
        for seed, picture in enumerate((dark, bright))
    )
    return make_layer(front, disc(*size, soft_px)), back


@given(st.sampled_from(FORMATS), sides, sides, seeds)
@settings(max_examples=40)
def test_over_is_the_hosts_bit_for_bit(name: str, width: int, height: int, seed: int) -> None:
    size = (width, height)
    alpha = np.random.default_rng(seed).random(size[::-1], np.float32)
    layer = make_layer(make_frame(name, size, seed=seed), alpha, make_frame(name, size, seed=seed + 1).planes)
    found = differences(device_composite(LANE), composite, layer, make_frame(name, size, seed=seed + 2))
    assert max(each.max() for each in found) == 0


# in light


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("color", SPECS)
def test_over_in_light_is_the_hosts(name: str, color: ColorSpec) -> None:
    layer, back = scene(name, (97, 61), color)
    for found in differences(DeviceLinear(LANE), linear_composite, layer, back):
        assert found.max() <= 255 / layer.frame.format.peak + 1e-9, "a code value of its own"
    mixed, plain = linear_composite(layer, back.planes), composite(layer, back.planes)
    if color.transfer != 8:
        parts = zip(mixed.planes, plain.planes, strict=True)
        assert max(np.abs(a.astype(int) - b).max() for a, b in parts) > 5 * layer.frame.format.peak / 255


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p", "yuv440p", "yuv411p", "yuv410p", "yuv420p10le"])
@pytest.mark.parametrize("location", list(ChromaLocation))
def test_wherever_chroma_is_sited(name: str, location: ChromaLocation) -> None:
    """Every pixel a colour of its own. OpenCV grows chroma of 8 bits with weights of 11, and near black that tells."""
    color, size = ColorSpec(1, 1, 1, False, location), (93, 67)
    front, back = (
        make_frame(name, size, rgb=np.random.default_rng(seed).uniform(0.1, 0.9, (67, 93, 3)), color=color)
        for seed in (1, 2)
    )
    for found in differences(DeviceLinear(LANE), linear_composite, make_layer(front, disc(*size, 40.0)), back):
        assert (found > 1 + 1e-9).mean() <= 1e-3
        assert found.max() <= 2


@given(
    st.sampled_from(["yuv420p", "yuv422p10le", "yuv440p", "yuv411p", "yuv410p", "yuv444p"]),
    st.sampled_from(list(ChromaLocation)),
    sides,
    sides,
    seeds,
)
@settings(max_examples=60)
def test_chroma_at_lumas_places_is_the_hosts(
    name: str, location: ChromaLocation, width: int, height: int, seed: int
) -> None:
    frame = make_frame(name, (width, height), seed=seed)
    expected = upsample(frame.planes[1], frame.format, location, width, height)
    found = upsample_there(sent(frame.planes[1]), frame.format, location, width, height)
    assert apart(found, expected) <= 1


@pytest.mark.parametrize("code", [1, 4, 5, 8, transfer.TRANSFER_SRGB, transfer.TRANSFER_PQ, transfer.TRANSFER_HLG])
def test_light_is_the_hosts_and_back(code: int) -> None:
    signal = np.linspace(-0.2, 1.2, 5001, dtype=np.float32)
    light = transfer.to_light(signal, code)
    assert apart(to_light(sent(signal), code), light) < 1e-4
    assert apart(from_light(sent(light), code), transfer.from_light(light, code)) < 1e-4


# light wrap


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["light wrap", "linear light wrap"])
@pytest.mark.parametrize("height", [96, 240, 720])
def test_light_wrap_is_the_hosts(name: str, kind: str, height: int) -> None:
    """Of sides that halve evenly, as those of the host's box do."""
    layer, back = scene(name, (height * 4 // 3, height), soft_px=6)
    for found in differences(MAKERS[kind](LANE), HOST[kind], layer, back):
        assert found.max() <= 2
        assert (found > 1 + 1e-9).mean() < 1e-3


def test_light_wrap_of_odd_sides() -> None:
    layer, back = scene("yuv420p", (321, 241), soft_px=6)
    assert max(each.max() for each in differences(MAKERS["light wrap"](LANE), HOST["light wrap"], layer, back)) <= 6


def test_each_backgrounds_light_is_its_own() -> None:
    layer, back = scene("yuv420p", (160, 120))
    there, wrap = sent_layer(layer), MAKERS["light wrap"](LANE)
    bright, dark = behind(back), behind(make_frame("yuv420p", (160, 120), rgb=(0, 0, 0)))
    first, second, alone = wrap(there, bright), wrap(there, dark), MAKERS["light wrap"](LANE)(there, dark)
    assert all(map(torch.equal, second.planes, alone.planes))
    assert not torch.equal(first.planes[0], second.planes[0])


# all of them


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("size", "color"), [((64, 48), PQ), ((33, 17), BT709), ((1, 1), BT709)])
def test_exact_at_both_ends(kind: str, name: str, size: tuple[int, int], color: ColorSpec) -> None:
    """Noise over every code value: also what is no legal colour comes through."""
    layer, back = scene(name, size, color, noisy=True, soft_px=4)
    frame = MAKERS[kind](LANE)(sent_layer(layer), behind(back))
    for mixed, front, plane, alpha in zip(frame.planes, layer.fgr, back.planes, layer.alphas, strict=True):
        assert np.array_equal(got(mixed)[alpha == 0], plane[alpha == 0])
        if "wrap" not in kind:
            assert np.array_equal(got(mixed)[alpha == frame.format.peak], front[alpha == frame.format.peak])
        assert mixed.dtype == planes.sample_type(frame.format)
        assert int(mixed.max()) <= frame.format.peak


@pytest.mark.parametrize("kind", MAKERS)
def test_facts_of_the_frame_are_kept(kind: str) -> None:
    facts: dict[str, Any] = {"pts": 7, "seq": 3, "rotation": 90, "interlaced": True}
    frame = make_frame(**facts, alpha=np.full((48, 64), 9, np.uint8))
    mixed = MAKERS[kind](LANE)(sent_layer(make_layer(frame)), behind(make_frame(seed=2)))
    assert {name: getattr(mixed, name) for name in facts} == facts
    assert mixed.alpha is None


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("name", ["yuv420p", "gbrp10le"])
def test_the_layer_is_left_alone_and_nothing_waits(kind: str, name: str) -> None:
    layer, back = scene(name, (161, 121))
    there, room = sent_layer(layer), behind(back)
    held: list[Any] = [*there.fgr, *there.alphas, *there.frame.planes, *room]
    kept = [each.clone() for each in held]
    compositor = MAKERS[kind](LANE)
    first = [each.clone() for each in planes.planes_of(compositor(there, room))]
    with Watch() as watch:
        again = compositor(there, tuple(room))
    assert watch.noted == []
    assert all(map(torch.equal, held, kept))
    assert all(map(torch.equal, again.planes, first))


@pytest.mark.parametrize("kind", MAKERS)
def test_no_shape_depends_on_a_sample(kind: str) -> None:
    """On torch's meta device there are none."""
    layer, back = scene("yuv420p", (161, 121))
    there = sent_layer(layer)
    nowhere: Any = [tuple(each.to("meta") for each in group) for group in (there.fgr, there.alphas, behind(back))]
    found = MAKERS[kind](Lane("meta"))(replace(there, fgr=nowhere[0], alphas=nowhere[1]), nowhere[2])
    assert [tuple(plane.shape) for plane in found.planes] == [(121, 161), (61, 81), (61, 81)]
