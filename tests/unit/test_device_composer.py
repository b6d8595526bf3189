"""What becomes of a frame on a device, against what the host's stages make of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import FORMATS, disc, make_frame, make_matte

from streammatte.backgrounds.blur import BlurBackground
from streammatte.backgrounds.still import SolidBackground
from streammatte.compositor import composite
from streammatte.foregrounds.blur_fusion import BlurFusionForeground
from streammatte.foregrounds.off import OffForeground
from streammatte.frame import Frame, Layer, Matte, alpha_frame, subject_frame
from streammatte.kernels import host
from streammatte.kernels.mixing import blend
from streammatte.meter import Meter
from streammatte.ports import Background, Foreground, Refiner, SinkKind
from streammatte.refiners.guided import GuidedRefiner
from streammatte.refiners.resample import ResampleRefiner

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

from torch_chain import DEVICE, LANE, Watch, off, scene, sent_matte  # noqa: E402

from streammatte.backgrounds.on_device import DeviceBlurBackground, UploadedBackground  # noqa: E402
from streammatte.compositors.on_device import device_composite  # noqa: E402
from streammatte.device.composer import DeviceComposer  # noqa: E402
from streammatte.foregrounds.on_device import DeviceBlurFusionForeground  # noqa: E402
from streammatte.kernels.torch import planes  # noqa: E402
from streammatte.refiners.on_device import DeviceGuidedRefiner, DeviceResampleRefiner  # noqa: E402

NAMES = [f"yuv{chroma}p{bits}" for chroma in ("420", "422", "444") for bits in ("", "10le")] + ["gbrp", "gray"]
ALL: set[SinkKind] = {"com", "fgr", "pha"}
BEACH = (0.3, 0.6, 0.9)


def composer(
    refiner: Refiner | None = None, foreground: Foreground | None = None, background: Background | None = None
) -> DeviceComposer:
    """On the device; what is not given is the plainest."""
    return DeviceComposer(
        LANE,
        refiner or DeviceResampleRefiner(LANE),
        foreground or OffForeground(),
        background or UploadedBackground(SolidBackground(BEACH), LANE),
        device_composite(LANE),
    )


def on_the_host(
    refiner: Refiner, foreground: Foreground, background: Background, frame: Frame, matte: Matte
) -> dict[SinkKind, Frame]:
    """As `composing` has it, step by step."""
    pha = refiner.refine(matte, frame)
    seen = pha if frame.alpha is None else blend(frame.alpha, np.zeros_like(pha), pha, frame.format.peak)
    fgr = foreground.estimate(frame, host.chroma_alpha(pha, frame.format, frame.color))
    layer = Layer(fgr, host.chroma_alpha(seen, frame.format, frame.color), frame)
    return {
        "com": composite(layer, background.planes(layer)),
        "fgr": subject_frame(layer),
        "pha": alpha_frame(layer),
    }


def differences(found: dict[SinkKind, Frame], expected: dict[SinkKind, Frame]) -> dict[str, npt.NDArray[np.float64]]:
    """Of each plane of each form, and of the subject's alpha; in code values of 8 bits."""
    assert set(found) == set(expected)
    apart: dict[str, Any] = {}
    for kind, wanted in expected.items():
        peak = wanted.format.peak
        for index, (plane, array) in enumerate(zip(found[kind].planes, wanted.planes, strict=True)):
            apart[f"{kind} {index}"] = off(plane, array, peak)
        assert (found[kind].alpha is None) == (wanted.alpha is None)
        if wanted.alpha is not None:
            apart[f"{kind} alpha"] = off(found[kind].alpha, wanted.alpha, peak)
        assert replace(found[kind], planes=(), alpha=None) == replace(wanted, planes=(), alpha=None)
    return apart


@given(st.sampled_from(FORMATS), st.integers(1, 97), st.integers(1, 97), st.booleans(), st.integers(0, 10_000))
@settings(max_examples=40)
def test_the_plainest_way_is_the_hosts(name: str, width: int, height: int, own_alpha: bool, seed: int) -> None:
    """To a code value, which alpha may be off by, as interpolation rounds; and to what that makes of the mix."""
    frame = make_frame(name, (width, height), seed=seed, pts=9, seq=4, rotation=90)
    if own_alpha:
        own = np.random.default_rng(seed).integers(0, frame.format.peak, (height, width), frame.format.dtype)
        frame = replace(frame, alpha=own)
    matte = make_matte(disc(40, 24, 9.0))
    found = composer().compose(planes.on_device(frame, DEVICE), sent_matte(matte), ALL, Meter())
    expected = on_the_host(ResampleRefiner(), OffForeground(), SolidBackground(BEACH), frame, matte)
    least = max(255 / frame.format.peak, 255 / 2**15)
    for plane, apart in differences(found, expected).items():
        assert apart.max(initial=0) <= 2 * least + 1e-9, plane


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("blurred", [False, True])
def test_all_of_it_is_the_hosts(name: str, blurred: bool) -> None:
    pha, frame = scene(name, (640, 480), 1)
    matte = make_matte(pha)
    here: Background = BlurBackground(2.5) if blurred else SolidBackground(BEACH)
    there: Background = DeviceBlurBackground(2.5, LANE) if blurred else UploadedBackground(here, LANE)
    found = composer(DeviceGuidedRefiner(LANE), DeviceBlurFusionForeground(LANE), there).compose(
        planes.on_device(frame, DEVICE), sent_matte(matte), ALL, Meter()
    )
    apart = differences(found, on_the_host(GuidedRefiner(), BlurFusionForeground(), here, frame, matte))
    for plane in [key for key in apart if "fgr" not in key or "alpha" in key]:
        assert (apart[plane] > 1 + 1e-9).mean() <= 1e-3, plane
        assert apart[plane].max() <= 4, plane


def test_only_what_is_wanted_is_made() -> None:
    frame, matte, meter = planes.on_device(make_frame(), DEVICE), sent_matte(make_matte(disc(40, 24))), Meter()
    alone = composer().compose(frame, matte, {"pha"}, meter)
    assert set(alone) == {"fgr", "pha"}
    assert alone["fgr"].planes is frame.planes
    assert set(meter.stages()) == {"refine"}
    nothing_behind = DeviceComposer(LANE, DeviceResampleRefiner(LANE), OffForeground(), None, device_composite(LANE))
    assert set(nothing_behind.compose(frame, matte, {"com", "fgr"}, meter)) == {"fgr", "pha"}
    assert set(meter.stages()) == {"refine", "foreground"}
    assert set(composer().compose(frame, matte, ALL, meter)) == ALL
    assert set(meter.stages()) == {"refine", "foreground", "background", "composite"}


def test_the_foreground_is_told_the_mattes_alpha_alone() -> None:
    """As on the host: what the source hides says nothing of where the subject is."""
    told: list[Any] = []

    class Watching(OffForeground):
        def estimate(self, frame: Frame, alphas: Any) -> Any:
            told.extend(alphas)
            return super().estimate(frame, alphas)

    frame = planes.on_device(make_frame("yuv420p", (64, 48), alpha=np.zeros((48, 64), np.uint8)), DEVICE)
    forms = composer(foreground=Watching()).compose(frame, sent_matte(make_matte(disc(40, 24))), ALL, Meter())
    assert int(told[0].max()) == 255
    assert int(forms["pha"].planes[0].max()) == 0


def test_nothing_waits_and_the_frame_is_left_alone() -> None:
    pha, frame = scene("yuv420p", (161, 121), 0)
    there, matte = planes.on_device(replace(frame, alpha=np.full((121, 161), 99, np.uint8)), DEVICE), make_matte(pha)
    held = [*planes.planes_of(there), there.alpha]
    kept = [each.clone() for each in held]
    made = composer(
        DeviceGuidedRefiner(LANE), DeviceBlurFusionForeground(LANE), UploadedBackground(SolidBackground(BEACH), LANE)
    )
    given_ = sent_matte(matte)
    made.compose(there, given_, ALL, Meter())
    with Watch() as watch:
        made.compose(there, given_, ALL, Meter())
    assert watch.noted == []
    assert all(map(torch.equal, held, kept))
