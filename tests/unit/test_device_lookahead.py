"""Looking ahead on a device gives what it gives on the host, in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import make_frame, make_matte

from streammatte import lookahead as host
from streammatte.frame import Frame, Matte, Packet

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

from torch_chain import LANE, Watch, apart, sent, sent_matte  # noqa: E402

from streammatte.device.lookahead import looking_ahead  # noqa: E402
from streammatte.kernels.torch.lane import Lane  # noqa: E402

Event = tuple[Frame, Matte] | Packet
FRAME = make_frame(size=(16, 16))
KINDS = ["frame"] * 6 + ["unseen", "cut", "broken", "larger", "packet"]


def stream(kinds: Sequence[str]) -> tuple[list[Event], list[Event]]:
    """The same events as a host has them, and as a device does: there only the source tells of a break."""
    on_host: list[Event] = []
    on_device: list[Event] = []
    for seq, kind in enumerate(kinds):
        if kind == "packet":
            on_host.append(Packet(1, seq))
            on_device.append(on_host[-1])
            continue
        dice, shape = np.random.default_rng(seq), (19, 25) if kind == "larger" else (18, 24)
        lost = kind in ("cut", "broken")
        flow = dice.integers(-2, 3, (*shape, 2)).astype(np.float32)
        trust = dice.random(shape, np.float32)
        matte = replace(make_matte(dice.random(shape, np.float32), seq / 25, seq=seq), seen=kind != "unseen")
        there: Any = sent(flow * (not lost)), sent(trust * (not lost))
        on_host.append((FRAME, replace(matte, onward=None if lost else (flow, trust))))
        on_device.append((FRAME, replace(sent_matte(matte), onward=there)))
    return on_host, on_device


@given(st.lists(st.sampled_from(KINDS), max_size=12), st.integers(1, 4))
@settings(max_examples=60)
def test_mattes_are_the_hosts(kinds: list[str], frames: int) -> None:
    """And packets between them change nothing."""
    on_host, on_device = stream(kinds)
    expected = host.looking_ahead([event for event in on_host if not isinstance(event, Packet)], frames)
    for event, found in zip(on_device, looking_ahead(on_device, frames, LANE), strict=True):
        if isinstance(event, Packet) or isinstance(found, Packet):
            assert found is event
            continue
        wanted = next(expected)
        assert not isinstance(wanted, Packet)
        assert found[0] is event[0]
        assert found[1].seq == event[1].seq == wanted[1].seq
        assert apart(found[1].pha, wanted[1].pha) < 1e-4


def parts(events: list[Event]) -> list[Any]:
    mattes: list[Any] = [event[1] for event in events if not isinstance(event, Packet)]
    return [part for matte in mattes for part in (matte.pha, *matte.onward)]


def test_what_is_given_is_left_alone() -> None:
    events = stream(["frame", "frame", "unseen", "cut", "frame"])[1]
    kept = [part.clone() for part in parts(events)]
    list(looking_ahead(events, 3, LANE))
    assert all(map(torch.equal, parts(events), kept))


def test_it_asks_for_no_sample_and_moves_none() -> None:
    events = stream(["frame", "frame", "unseen", "cut", "broken", "larger", "frame"])[1]
    list(looking_ahead(events, 2, LANE))
    with Watch() as watch:
        list(looking_ahead(events, 2, LANE))
    assert watch.noted == []
    nowhere: list[Event] = []
    for event in events:
        assert not isinstance(event, Packet)
        matte: Any = event[1]
        onward = tuple(part.to("meta") for part in matte.onward)
        nowhere.append((event[0], replace(matte, pha=matte.pha.to("meta"), onward=onward)))
    assert len(list(looking_ahead(nowhere, 2, Lane("meta")))) == len(events)
