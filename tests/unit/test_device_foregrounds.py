"""The foregrounds on a device against the host's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import FORMATS, alphas_of, coded, disc, make_frame, over, textured

from streammatte.foregrounds.blur_fusion import BlurFusionForeground
from streammatte.foregrounds.despill import DespillForeground
from streammatte.foregrounds.off import OffForeground
from streammatte.frame import Frame, Plane
from streammatte.ports import Foreground

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

from torch_chain import DEVICE, LANE, Watch, got, off, sent  # noqa: E402

from streammatte.foregrounds.on_device import DeviceBlurFusionForeground, DeviceDespillForeground  # noqa: E402
from streammatte.kernels.torch import planes, siting  # noqa: E402
from streammatte.kernels.torch.lane import Lane  # noqa: E402

NAMES = ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv444p10le", "gbrp", "gray"]
MAKERS: dict[str, Callable[[Lane], Foreground]] = {
    "blur fusion": DeviceBlurFusionForeground,
    "despill": lambda lane: DeviceDespillForeground(DeviceBlurFusionForeground(lane), 1.0, lane),
    "despill alone": lambda lane: DeviceDespillForeground(OffForeground(), 0.7, lane),
}
GREEN, FAINT_GREEN = (0.1, 0.8, 0.2), (0.47, 0.53, 0.48)


def there(frame: Frame, pha: Plane) -> tuple[Frame, Any]:
    """The frame on the device, and its alphas."""
    return planes.on_device(frame, DEVICE), siting.chroma_alpha(sent(pha), frame.format, frame.color)


def differences(one: Foreground, other: Foreground, frame: Frame, pha: Plane) -> list[npt.NDArray[np.float64]]:
    """Of each plane, where there is any subject; in code values of 8 bits."""
    alphas = alphas_of(frame, pha)
    pairs = zip(one.estimate(*there(frame, pha)), other.estimate(frame, alphas), alphas, strict=True)
    return [off(found, expected, frame.format.peak)[alpha > 0] for found, expected, alpha in pairs]


def wide_subject(width: int, height: int) -> npt.NDArray[np.float32]:
    """Alpha that is soft, and reaches so near to all sides that the host cuts nothing off."""
    y, x = np.mgrid[0:height, 0:width]
    inside = np.minimum(np.minimum(x + 0.5, width - x - 0.5), np.minimum(y + 0.5, height - y - 0.5))
    waves = 0.5 + 0.5 * np.sin(x / 17) * np.cos(y / 13)
    return np.asarray(np.clip(inside / 24, 0, 1) * np.clip(waves * 2.5, 0, 1), np.float32)


def mixed(name: str, size: tuple[int, int], alpha: npt.NDArray[np.float32], room: Any) -> tuple[Frame, Plane]:
    """A textured subject over the RGB picture `room`, and alpha as a plane."""
    subject = textured(1, size, 6.0)
    front, behind = (make_frame(name, size, rgb=rgb) for rgb in (subject / subject.max((0, 1)), room))
    pha = coded(alpha, front.format)
    return replace(front, planes=over(front.planes, behind.planes, pha, front)), pha


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(320, 240), (640, 480), (481, 361)])
def test_blur_fusion_is_the_hosts(name: str, size: tuple[int, int]) -> None:
    frame, pha = mixed(name, size, wide_subject(*size), textured(2, size, 6.0))
    for index, found in enumerate(differences(DeviceBlurFusionForeground(LANE), BlurFusionForeground(), frame, pha)):
        assert np.quantile(found, 0.999) <= 1, f"plane {index}"
        assert found.max() <= 3, f"plane {index}"


def test_faint_alpha_brings_no_detail_in() -> None:
    """Noise under a veil: all of F is a mean."""
    frame = make_frame("gray", (320, 240))
    pha = coded(np.full((240, 320), 1 / 36, np.float32), frame.format)
    (found,) = differences(DeviceBlurFusionForeground(LANE), BlurFusionForeground(), frame, pha)
    assert found.max() <= 1


@pytest.mark.parametrize("name", ["yuv420p", "yuv444p10le", "gbrp"])
@pytest.mark.parametrize(("room", "strength"), [(GREEN, 0.4), (GREEN, 1.0), (FAINT_GREEN, 1.0)])
@pytest.mark.parametrize("subject", ["wide", "disc"])
def test_despill_is_the_hosts(
    name: str, room: Any, strength: float, subject: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the host with runs of one pixel: what it takes off is the same along eight, on a device each pixel's own."""
    monkeypatch.setattr("streammatte.kernels.blocks.gcd", lambda *_: 1)
    size = (640, 480)
    frame, pha = mixed(name, size, wide_subject(*size) if subject == "wide" else disc(*size, 12.0), room)
    device = DeviceDespillForeground(OffForeground(), strength, LANE)
    host = DespillForeground(OffForeground(), strength)
    taken = zip(host.estimate(frame, alphas_of(frame, pha)), frame.planes, strict=True)
    assert max(np.abs(a.astype(int) - b).max() for a, b in taken) > 1.5 / 255 * frame.format.peak
    for index, found in enumerate(differences(device, host, frame, pha)):
        assert np.quantile(found, 0.999) <= 1, f"plane {index}"
        assert found.max() <= 2, f"plane {index}"


@pytest.mark.parametrize("kind", MAKERS)
def test_gray_video_has_no_spill_and_luma_none_either(kind: str) -> None:
    alpha = disc(320, 240, 12.0)
    for name in ("gray", "yuv420p"):
        frame, pha = mixed(name, (320, 240), alpha, GREEN)
        given_ = there(frame, pha)
        luma = MAKERS[kind](LANE).estimate(*given_)[0]
        plain = DeviceBlurFusionForeground(LANE) if "alone" not in kind else OffForeground()
        assert torch.equal(luma, plain.estimate(*given_)[0])


def test_spill_is_taken_off_the_rim_alone() -> None:
    frame, pha = mixed("gbrp", (640, 480), disc(640, 480, 12.0), GREEN)
    found = DeviceDespillForeground(OffForeground(), 1.0, LANE).estimate(*there(frame, pha))
    y, x = np.mgrid[0:480, 0:640]
    inside = np.hypot(x - 319.5, y - 239.5) < 0.3 * 480 - 12 - 2 * 0.03 * 480
    for plane, source in zip(found, frame.planes, strict=True):
        changed = got(plane) != source
        assert not (changed & (inside | (pha == 0))).any()
        assert changed.any()


@pytest.mark.parametrize("name", FORMATS)
def test_bit_for_bit_the_sources_where_alpha_is_peak(name: str) -> None:
    frame = make_frame(name, (63, 47))
    pha = coded(disc(63, 47), frame.format)
    parts = zip(
        DeviceBlurFusionForeground(LANE).estimate(*there(frame, pha)), frame.planes, alphas_of(frame, pha), strict=True
    )
    for found, source, alpha in parts:
        assert (alpha == frame.format.peak).any()
        assert np.array_equal(got(found)[alpha == frame.format.peak], source[alpha == frame.format.peak])


@pytest.mark.parametrize("kind", MAKERS)
@given(st.sampled_from(FORMATS), st.integers(1, 97), st.integers(1, 97), st.sampled_from([0.0, 0.4, 1.0]))
@settings(max_examples=15)
def test_planes_are_like_the_frames(kind: str, name: str, width: int, height: int, value: float) -> None:
    """Also where nobody is there, and where all is subject."""
    frame = make_frame(name, (width, height))
    pha = coded(np.full((height, width), value, np.float32), frame.format)
    found = MAKERS[kind](LANE).estimate(*there(frame, pha))
    for plane, like in zip(found, frame.planes, strict=True):
        assert (tuple(plane.shape), plane.dtype) == (like.shape, planes.sample_type(frame.format))
        assert int(plane.max()) <= frame.format.peak


@pytest.mark.parametrize("kind", MAKERS)
def test_the_frame_is_left_alone_and_nothing_waits(kind: str) -> None:
    frame, pha = mixed("yuv420p", (321, 241), disc(321, 241, 12.0), GREEN)
    given_ = there(frame, pha)
    held = [*planes.planes_of(given_[0]), *given_[1]]
    kept = [each.clone() for each in held]
    foreground = MAKERS[kind](LANE)
    first = [each.clone() for each in foreground.estimate(*given_)]
    with Watch() as watch:
        again = foreground.estimate(*given_)
    assert watch.noted == []
    assert all(map(torch.equal, held, kept))
    assert all(map(torch.equal, again, first))


@pytest.mark.parametrize("kind", MAKERS)
def test_no_shape_depends_on_a_sample(kind: str) -> None:
    """On torch's meta device there are none."""
    frame = planes.on_device(make_frame("yuv420p", (321, 241)), "meta")
    nothing = torch.zeros((241, 321), dtype=torch.uint8, device="meta")
    found = MAKERS[kind](Lane("meta")).estimate(frame, siting.chroma_alpha(nothing, frame.format, frame.color))
    assert [tuple(plane.shape) for plane in found] == [(241, 321), (121, 161), (121, 161)]
