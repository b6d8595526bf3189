"""A whole frame on a device against the host's stages: average, guided filter, own colour, over."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scenes import disc, make_frame, make_matte, textured

from streammatte.compositor import composite
from streammatte.foregrounds.blur_fusion import BlurFusionForeground
from streammatte.frame import Frame, Layer
from streammatte.kernels import host
from streammatte.kernels.temporal import average
from streammatte.kernels.warping import warp
from streammatte.refiners.guided import GuidedRefiner

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

from torch_chain import DEVICE, LANE, Chain, got, scene, sent  # noqa: E402

from streammatte.kernels.torch import planes, semiplanar  # noqa: E402

NAMES = [f"yuv{chroma}p{bits}" for chroma in ("420", "422", "444") for bits in ("", "10le")] + ["gbrp", "gray10le"]
Float = npt.NDArray[np.float32]


def on_the_host(pha: Float, last: Float, flow: Float, frame: Frame, behind: Frame) -> tuple[Layer, Frame]:
    steady = average(pha, warp(last, flow), np.ones_like(pha), 0.8, 0.04)
    alphas = host.chroma_alpha(GuidedRefiner().refine(make_matte(steady), frame), frame.format, frame.color)
    layer = Layer(BlurFusionForeground().estimate(frame, alphas), alphas, frame)
    return layer, composite(layer, behind.planes)


def both(name: str, size: tuple[int, int], pha: Float, frame: Frame) -> tuple[dict[str, Any], Frame, Frame]:
    """What the device makes of it, what the host does, and the background."""
    behind = make_frame(name, size, rgb=textured(9, size, 4.0))
    flow = np.random.default_rng(0).uniform(-2, 2, (*pha.shape, 2)).astype(np.float32)
    last = np.clip(np.float32(1.2) * pha - np.float32(0.1), 0, 1)
    found = Chain(LANE)(
        planes.on_device(frame, DEVICE), *map(sent, (pha, last, flow)), planes.on_device(behind, DEVICE).planes
    )
    return found, on_the_host(pha, last, flow, frame, behind)[1], behind


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(481, 361), (640, 480)])
def test_the_composite_is_the_hosts(name: str, size: tuple[int, int]) -> None:
    """But for a pixel or two to 1/255, or to 1/1023 at 10 bits where sides are even; and 0 and peak bit for bit.

    The pixels are those whose alpha float32 puts on the other side of what counts as noise. Odd sides make the host's
    small picture, which shows its box alone, another than the device's.
    """
    pha, frame = scene(name, size, 1)
    found, expected, behind = both(name, size, pha, frame)
    least = 1 if size[0] % 2 == 0 else frame.format.peak / 255
    parts = zip(found["planes"], expected.planes, behind.planes, frame.planes, found["alphas"], strict=True)
    for plane, wanted, back, front, alpha in parts:
        off = np.abs(got(plane).astype(np.int64) - wanted)
        assert (off > least).mean() < 1e-4
        assert off.max() <= 2 * frame.format.peak / 255
        clear, solid = got(alpha) == 0, got(alpha) == frame.format.peak
        assert min(clear.mean(), solid.mean()) > 0.2
        assert np.array_equal(got(plane)[clear], back[clear])
        assert np.array_equal(got(plane)[solid], front[solid])


@pytest.mark.parametrize("name", ["yuv420p", "yuv420p10le"])
def test_where_the_host_cuts_the_room_off_it_still_agrees(name: str) -> None:
    """A subject in the middle: the host's means end near it, the device's at the frame's border."""
    size = (640, 480)
    alpha = disc(*size, 10.0, 0.2)[..., None]
    frame = make_frame(name, size, rgb=alpha * 0.5 * textured(1, size, 4.0) + (1 - alpha) * textured(2, size, 4.0))
    found, expected, _ = both(name, size, disc(96, 72, 3.0, 0.2), frame)
    for plane, wanted in zip(found["planes"], expected.planes, strict=True):
        off = np.abs(got(plane).astype(np.int64) - wanted) * 255 / frame.format.peak
        assert off.max() <= 2
        assert (off > 1).mean() < 1e-4


def test_nv12_in_and_out() -> None:
    """As a decoder gives it and an encoder takes it, with nothing between."""
    name, size = "yuv420p", (480, 360)
    pha, frame = scene(name, size, 1)
    there = planes.on_device(frame, DEVICE)
    luma, pairs = semiplanar.semiplanar(planes.planes_of(there), frame.format)
    came = semiplanar.planar(luma, pairs, frame.format)
    background = tuple(torch.full_like(plane, 90) for plane in came)
    flow = torch.zeros((*pha.shape, 2), device=DEVICE)
    views, own = (
        Chain(LANE)(planes.with_planes(there, each), sent(pha), sent(pha), flow, background)["planes"]
        for each in (came, planes.planes_of(there))
    )
    assert all(map(torch.equal, views, own))
    out = semiplanar.semiplanar(views, frame.format)
    assert [(tuple(each.shape), each.dtype) for each in out] == [
        ((360, 480), torch.uint8),
        ((180, 240, 2), torch.uint8),
    ]
