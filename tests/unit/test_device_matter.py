"""Looks and mattes on a device say what the host's say."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import make_frame, textured

from streammatte.arithmetics.fixed_gain import FixedGainArithmetic
from streammatte.catalog import InputSpec, OutputSpec
from streammatte.kernels import host
from streammatte.kernels.agreeing import agreed

torch = pytest.importorskip("torch")

from streammatte.arithmetics.on_device import DeviceFixedGainArithmetic  # noqa: E402
from streammatte.device.matter import DeviceMatter  # noqa: E402
from streammatte.kernels.torch.agreeing import agreed as agreed_on_device  # noqa: E402
from streammatte.kernels.torch.lane import Lane  # noqa: E402
from streammatte.kernels.torch.planes import on_device  # noqa: E402

torch.set_num_threads(1)
WIDE, HIGH = 64, 48


class Network:
    """Says how red a place is, and a little more on the left of what it is shown."""

    device = "cpu"
    capturable = True
    batch = None

    def __init__(self, lean: float = 0.0) -> None:
        self.lean = lean

    def run_on(self, batch: Any) -> Any:
        return batch[:, :1] + self.lean * torch.linspace(1, 0, batch.shape[3])

    def run(self, batch: Any) -> Any:
        return self.run_on(torch.from_numpy(batch)).numpy()


class Model:
    def __init__(self, activation: str) -> None:
        self.input = InputSpec(WIDE, HIGH, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        self.output = OutputSpec(0, activation)  # type: ignore[arg-type]


def both(name: str, size: tuple[int, int], rotation: int, activation: str, **how: Any) -> tuple[Any, Any]:
    """(batch, src, pha) of one frame on the host, and on a device."""
    rgb = 0.5 + 0.5 * textured(3, size, 4.0)
    frame = make_frame(name, size, rgb=rgb, rotation=rotation, **how)
    model: Any = Model(activation)
    arithmetic, network = FixedGainArithmetic(model), Network()
    batch, picture = arithmetic.batch(frame)
    pha = host.turn_back(arithmetic.pha(network.run(batch)), rotation)
    lane = Lane("cpu")
    matter = DeviceMatter(network, DeviceFixedGainArithmetic(model, lane), lane)  # type: ignore[arg-type]
    look: Any = matter.look(on_device(frame, "cpu"))
    matte: Any = matter.see(look)
    assert not look.matte.seen
    assert matte.seen
    assert (matte.seq, matte.time_s) == (frame.seq, float(frame.time))
    src = look.matte.src.numpy().transpose(1, 2, 0)
    return (batch, host.turn_back(picture, rotation), pha), (look.batch.numpy(), src, matte.pha.numpy())


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["yuv420p", "yuv422p10le", "yuv444p", "gbrp", "gray"]),
    st.tuples(st.integers(30, 200), st.integers(30, 200)),
    st.sampled_from([0, 90, 180, 270]),
    st.sampled_from(["none", "sigmoid"]),
)
def test_a_matte_is_the_hosts(name: str, size: tuple[int, int], rotation: int, activation: str) -> None:
    on_host, there = both(name, size, rotation, activation)
    for one, other in zip(on_host, there, strict=True):
        assert one.shape == other.shape
    # A chroma sample that is rounded the other way is up to two code values of a colour, and more once lifted.
    assert np.abs(on_host[1] - there[1]).max() < 6 / 255
    assert np.abs(on_host[1] - there[1]).mean() < 0.5 / 255
    for one, other in zip(on_host, there, strict=True):
        assert np.abs(one - other).mean() < 0.01


def test_what_a_frames_own_alpha_hides_is_mid_gray() -> None:
    frame = make_frame("yuv420p", (128, 96), rgb=(0.9, 0.1, 0.1))
    alpha = np.zeros((96, 128), np.uint8)
    alpha[:, 64:] = 255
    lane = Lane("cpu")
    model: Any = Model("none")
    _, src = DeviceFixedGainArithmetic(model, lane).batch(on_device(replace(frame, alpha=alpha), "cpu"))
    assert src[:, :, : WIDE // 2 - 2].numpy() == pytest.approx(0.5, abs=0.01)
    assert src[0, :, WIDE // 2 + 2 :].mean() > 0.8


def test_the_mirrored_answer_is_turned_back_and_averaged() -> None:
    lane = Lane("cpu")
    model: Any = Model("none")
    frame = on_device(make_frame("gbrp", (WIDE, HIGH), rgb=(0.6, 0.5, 0.5), pts=3), "cpu")
    found = {}
    for tta in (False, True):
        matter = DeviceMatter(Network(0.05), DeviceFixedGainArithmetic(model, lane), lane, tta=tta)  # type: ignore[arg-type]
        found[tta] = matter.see(matter.look(frame)).pha
    assert float(found[False][0, 0] - found[False][0, -1]) == pytest.approx(0.05, abs=1e-4)
    assert float((found[True] - found[True].flip(-1)).abs().max()) < 0.01, "most of the lean is gone"


@given(st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_agreed(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one = rng.random((40, 50), np.float32)
    other = one.copy()
    other[:, 30:] = rng.random((40, 20), np.float32)
    there = agreed_on_device(torch.from_numpy(one), torch.from_numpy(other)).numpy()
    assert np.abs(there - agreed(one, other)).max() < 1e-5


def test_nan_reads_as_nothing() -> None:
    model: Any = Model("none")
    raw = torch.tensor([[[[float("nan"), 2.0, -1.0]]]])
    assert DeviceFixedGainArithmetic(model, Lane("cpu")).pha(raw).tolist() == [[0.0, 1.0, 0.0]]


def test_time_goes_with_the_matte() -> None:
    model: Any = Model("none")
    lane = Lane("cpu")
    frame = on_device(make_frame("gray", (80, 60), rgb=(0.5, 0.5, 0.5), pts=7, time_base=Fraction(1, 14)), "cpu")
    look = DeviceMatter(Network(), DeviceFixedGainArithmetic(model, lane), lane).look(frame)  # type: ignore[arg-type]
    assert look.matte.time_s == 0.5
