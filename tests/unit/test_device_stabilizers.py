"""The stabilizers on a device beside the host's, over streams with all that one can have; and how steady it gets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import Float, disc, make_matte, textured

from streammatte.errors import ConfigError
from streammatte.frame import Matte
from streammatte.ports import Stabilizer, Tracker
from streammatte.stabilizers.ema import EmaStabilizer
from streammatte.stabilizers.motion import MotionStabilizer
from streammatte.tracking import HostTracker

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

from torch_chain import LANE, Watch, apart, got, sent, sent_matte  # noqa: E402

from streammatte.device.tracker import DeviceTracker  # noqa: E402
from streammatte.kernels.torch.lane import Lane  # noqa: E402
from streammatte.stabilizers.on_device import DeviceEmaStabilizer, DeviceMotionStabilizer  # noqa: E402

HALF_LIFE_S = 0.16
PAIRS: list[tuple[Callable[[float], Stabilizer], Callable[[float, Lane], Stabilizer]]] = [
    (MotionStabilizer, DeviceMotionStabilizer),
    (EmaStabilizer, DeviceEmaStabilizer),
]
pairs = pytest.mark.parametrize(("host", "device"), PAIRS)
kinds = pytest.mark.parametrize("device", [device for _, device in PAIRS])


@dataclass(frozen=True)
class Step:
    """A frame of a stream."""

    after_s: float = 0.04
    seen: bool = True
    cut: bool = False
    """Only the tracker finds it: a device does not tell."""
    broken: bool = False
    """The source says that nothing before matters."""
    size: tuple[int, int] = (24, 18)


steps = st.builds(
    Step,
    after_s=st.sampled_from([0.04, 0.04, 0.04, 0.011, 0.5, 0.0, -0.3]),
    seen=st.sampled_from([True, True, False]),
    cut=st.sampled_from([False] * 5 + [True]),
    broken=st.sampled_from([False] * 6 + [True]),
    size=st.sampled_from([(24, 18)] * 8 + [(17, 21)]),
)


def stream(steps: Sequence[Step]) -> list[tuple[Matte, Matte]]:
    """The same mattes as a tracker on the host gives them, and as one on a device does."""
    found, time_s, last = [], 1.0, None
    for seq, step in enumerate(steps):
        dice, (width, height) = np.random.default_rng(seq), step.size
        lost = step.cut or step.broken or step.size != last
        time_s, last = time_s + step.after_s, step.size
        flow = dice.integers(-64, 65, (height, width, 2)).astype(np.float32) / 32
        trust = np.maximum(dice.uniform(-0.5, 1, (height, width)), 0).astype(np.float32)
        pha = dice.random((height, width), np.float32)
        matte = replace(make_matte(pha, time_s, seq=seq), seen=step.seen or lost)
        host = replace(matte, discontinuity=step.cut or step.broken)
        there = sent_matte(replace(matte, discontinuity=step.broken, flow=flow * (not lost), trust=trust * (not lost)))
        found.append((host if lost else replace(host, flow=flow, trust=trust), there))
    return found


@pairs
@given(st.lists(steps, min_size=2, max_size=14))
@settings(max_examples=60)
def test_mattes_are_the_hosts(host: Any, device: Any, steps: list[Step]) -> None:
    on_host, on_device = host(HALF_LIFE_S), device(HALF_LIFE_S, LANE)
    for given_to_host, given_to_device in stream(steps):
        expected, found = on_host.step(given_to_host), on_device.step(given_to_device)
        assert apart(found.pha, expected.pha) < 1e-4
        assert (found.seq, found.seen, found.time_s) == (expected.seq, expected.seen, expected.time_s)


@kinds
def test_a_cut_that_no_network_saw_is_one_for_the_next_that_it_sees(device: Any) -> None:
    stabilizer = device(HALF_LIFE_S, LANE)
    mattes = [there for _, there in stream([Step(), Step(), Step(), Step(), Step()])]
    cut = replace(mattes[2], trust=torch.zeros_like(mattes[2].trust), seen=False)
    for matte in (*mattes[:2], cut, replace(mattes[3], seen=False)):
        stabilizer.step(matte)
    assert torch.equal(stabilizer.step(mattes[4]).pha, mattes[4].pha)


@kinds
def test_at_a_discontinuity_no_motion_counts(device: Any) -> None:
    stabilizer = device(HALF_LIFE_S, LANE)
    mattes = [there for _, there in stream([Step(), Step(), Step(), Step()])]
    for matte in mattes[:3]:
        stabilizer.step(matte)
    assert torch.equal(stabilizer.step(replace(mattes[3], discontinuity=True)).pha, mattes[3].pha)


@kinds
def test_what_is_given_is_left_alone(device: Any) -> None:
    stabilizer = device(HALF_LIFE_S, LANE)
    mattes = [there for _, there in stream([Step(), Step(), Step(seen=False), Step(), Step()])]
    kept = [[part.clone() for part in (matte.pha, matte.flow, matte.trust)] for matte in mattes]
    steady = [stabilizer.step(matte).pha for matte in mattes]
    first = [pha.clone() for pha in steady[:3]]
    stabilizer.step(mattes[1])
    for matte, parts in zip(mattes, kept, strict=True):
        assert all(map(torch.equal, (matte.pha, matte.flow, matte.trust), parts))
    assert all(map(torch.equal, steady, first)), "nor is what was given before written into"


@kinds
@pytest.mark.parametrize("half_life_s", [0.0, -1.0, float("nan")])
def test_half_life_out_of_range(device: Any, half_life_s: float) -> None:
    with pytest.raises(ConfigError, match="half-life"):
        device(half_life_s, LANE)


LONG = [Step(), Step(), Step(seen=False), Step(cut=True), Step(broken=True), Step(size=(9, 8)), Step(), Step(-1.0)]


@kinds
def test_it_asks_for_no_sample(device: Any) -> None:
    """On torch's meta device, which has none."""
    stabilizer = device(HALF_LIFE_S, Lane("meta"))
    for _, matte in stream(LONG):
        parts = {name: getattr(matte, name).to("meta") for name in ("pha", "flow", "trust")}
        assert stabilizer.step(replace(matte, **parts)).pha.shape == matte.pha.shape


@kinds
def test_after_the_first_frames_nothing_waits_and_nothing_is_moved(device: Any) -> None:
    stabilizer = device(HALF_LIFE_S, LANE)
    mattes = [there for _, there in stream([Step(), Step(), Step(seen=False), *LONG])]
    for matte in mattes:
        stabilizer.step(matte)
    with Watch() as watch:
        for matte in mattes:
            stabilizer.step(matte)
    assert watch.noted == []


# with the tracker


SIZE = (160, 120)


def subject(seq: int) -> tuple[Float, Float]:
    """A textured head before a textured room, seen by a noisy camera: the picture (h, w, 3) and its alpha."""
    turn = 14 * np.sin(seq / 4)
    by = np.float32([[1, 0, turn], [0, 1, turn / 3]])
    alpha, head = (cv2.warpAffine(each, by, SIZE) for each in (disc(*SIZE, 9.0), textured(11, SIZE, 2.5)))
    picture = alpha[..., None] * (0.3 + head) + (1 - alpha[..., None]) * textured(12, SIZE, 4.0)
    noise = np.random.default_rng(seq).normal(0, 0.008, picture.shape)
    return np.asarray(np.clip(picture + noise, 0, 1), np.float32), np.asarray(alpha, np.float32)


def doubted(alpha: Float, seq: int) -> Float:
    """What a network makes of it: soft pixels waver, and now and then a patch of the edge is not sure at all."""
    dice = np.random.default_rng(100 + seq)
    waver, patches = (cv2.GaussianBlur(dice.normal(0, s, alpha.shape), (0, 0), s) * 3 for s in (2.0, 5.0))
    soft = cv2.GaussianBlur(4 * alpha * (1 - alpha), (0, 0), 2.0)
    pha = alpha + 0.3 * waver * np.minimum(1.5 * soft, 1)
    return np.asarray(np.clip(np.where((patches > 0.8) & (soft > 0.05), 0.25 + pha / 2, pha), 0, 1), np.float32)


def scores(mattes: list[Float], truth: list[Float]) -> tuple[float, float]:
    """MAD, and dtSSD: how far changes are from the truth's."""
    apart = np.diff(mattes, axis=0) - np.diff(truth, axis=0)
    return float(np.abs(np.subtract(mattes, truth)).mean()), float(np.sqrt(np.square(apart).mean((1, 2))).mean())


def run(tracker: Tracker, stabilizer: Stabilizer, mattes: list[Matte]) -> list[Any]:
    return [stabilizer.step(tracker.step(matte)).pha for matte in mattes]


@pytest.mark.parametrize("stride", [1, 3])
def test_a_flickering_matte_gets_as_steady_as_on_the_host(stride: int) -> None:
    pictures, truth = zip(*map(subject, range(24)), strict=True)
    mattes = [
        replace(make_matte(doubted(alpha, seq), seq / 25, seq=seq), src=src, seen=seq % stride == 0)
        for seq, (src, alpha) in enumerate(zip(pictures, truth, strict=True))
    ]
    raw = scores([matte.pha for matte in mattes], list(truth))
    host = scores(run(HostTracker(), MotionStabilizer(HALF_LIFE_S), mattes), list(truth))
    there = [replace(sent_matte(matte), src=sent(matte.src).permute(2, 0, 1)) for matte in mattes]
    steady = run(DeviceTracker(LANE), DeviceMotionStabilizer(HALF_LIFE_S, LANE), there)
    device = scores(list(map(got, steady)), list(truth))
    assert device[0] < 1.04 * host[0]
    assert device[1] < 1.04 * host[1]
    assert stride > 1 or device[1] < 0.7 * raw[1]
