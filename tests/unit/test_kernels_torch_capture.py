"""A whole frame's way on a device never asks for a sample's value, so that CUDA can record it once and replay it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scenes import disc, make_frame, textured

from streammatte.frame import Frame

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

from torch_chain import DEVICE, LANE, Chain, Watch  # noqa: E402

from streammatte.kernels.torch import planes  # noqa: E402
from streammatte.kernels.torch.lane import Lane  # noqa: E402

NAMES = ["yuv420p", "yuv422p10le", "yuv444p", "gbrp", "gray10le"]
SIZE = (321, 241)


def given(name: str, seed: int = 0) -> tuple[Frame, dict[str, Any]]:
    """A frame on the host, and what else a chain takes, on the host."""
    frame = make_frame(name, SIZE, rgb=textured(seed, SIZE, 4.0))
    behind = make_frame(name, SIZE, rgb=textured(seed + 1, SIZE, 4.0))
    dice = np.random.default_rng(seed)
    return frame, {
        "pha": torch.from_numpy(disc(96, 72, 9.0)),
        "last": torch.from_numpy(disc(96, 72, 12.0, 0.28)),
        "flow": torch.from_numpy(dice.uniform(-2, 2, (72, 96, 2)).astype(np.float32)),
        "background": planes.on_device(behind, "cpu").planes,
    }


def to(device: str, frame: Frame, other: dict[str, Any]) -> tuple[Frame, dict[str, Any]]:
    there = planes.on_device(frame, "cpu")
    moved = planes.with_planes(there, tuple(plane.to(device) for plane in planes.planes_of(there)))
    return moved, {
        key: tuple(each.to(device) for each in value) if isinstance(value, tuple) else value.to(device)
        for key, value in other.items()
    }


def tensors(found: dict[str, Any]) -> list[Any]:
    return [each for value in found.values() for each in (value if isinstance(value, tuple) else (value,))]


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_where_there_are_no_samples(name: str) -> None:
    """On torch's meta device, which knows shapes alone: whatever asked for a value would raise."""
    here = tensors(Chain(Lane("cpu"))(*_split(to("cpu", *given(name)))))
    nowhere = tensors(Chain(Lane("meta"))(*_split(to("meta", *given(name)))))
    assert [(each.shape, each.dtype) for each in nowhere] == [(each.shape, each.dtype) for each in here]


def inputs(case: tuple[Any, ...]) -> list[Any]:
    """The tensors of what `_split` gave."""
    return [*case[0].planes, *case[1:4], *case[4]]


def _split(case: tuple[Frame, dict[str, Any]]) -> tuple[Any, ...]:
    frame, other = case
    return frame, other["pha"], other["last"], other["flow"], other["background"]


def test_the_watch_sees_what_it_should() -> None:
    with Watch() as watch:
        torch.ones(3).sum().item()
        torch.ones(3).nonzero()
        torch.tensor([1.0])
    assert len(watch.noted) == 3


@pytest.mark.parametrize("name", NAMES)
def test_after_the_first_frame_nothing_waits_and_nothing_is_moved(name: str) -> None:
    case = _split(to(DEVICE, *given(name)))
    chain = Chain(LANE)
    chain(*case)
    with Watch() as watch:
        chain(*case)
    assert watch.noted == []


def test_what_is_given_is_left_alone() -> None:
    case = _split(to(DEVICE, *given("yuv420p")))
    kept = [each.clone() for each in inputs(case)]
    Chain(LANE)(*case)
    assert all(map(torch.equal, inputs(case), kept))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", NAMES)
def test_a_captured_graph_does_what_the_calls_did(name: str) -> None:
    first, second = (_split(to("cuda", *given(name, seed))) for seed in (0, 7))
    called, captured = Lane("cuda"), Chain(LANE)
    called.on_cuda = False
    expected = tensors(Chain(called)(*second))
    torch.cuda.synchronize()
    captured(*first)
    found = tensors(captured(*second))
    LANE.wait()
    assert all(torch.allclose(*pair, atol=1e-6) for pair in zip(found, expected, strict=True))
