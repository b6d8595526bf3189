"""Looking ahead changes no order and no time; it averages with what comes, as far as motion leads there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from scenes import Float, make_frame, make_matte

from streammatte.frame import Frame, Matte, Packet
from streammatte.lookahead import looking_ahead

SIZE = (30, 20)
Event = tuple[Frame, Matte] | Packet


def flat(value: float) -> Float:
    return np.full(SIZE[::-1], value, np.float32)


def event(seq: int, pha: Float, *, x_px: float = 0.0, trust: float = 1.0, cut: bool = False) -> tuple[Frame, Matte]:
    """A frame whose picture came `x_px` to the right since the one before it."""
    matte = make_matte(pha, seq / 25, seq=seq, discontinuity=cut)
    if seq and not cut:
        forth = np.ascontiguousarray(np.broadcast_to(np.array([x_px, 0], np.float32), (*pha.shape, 2)))
        matte = replace(matte, onward=(forth, np.full(pha.shape, trust, np.float32)))
    return make_frame(size=(16, 16), seq=seq, pts=seq), matte


def values(events: list[Event], frames: int) -> list[float]:
    """Alpha in the middle of each frame."""
    return [float(each[1].pha[10, 15]) for each in looking_ahead(events, frames) if not isinstance(each, Packet)]


@pytest.mark.parametrize("frames", [1, 3, 20])
@pytest.mark.parametrize("count", [1, 2, 9])
def test_frames_and_packets_keep_their_order(frames: int, count: int) -> None:
    events: list[Event] = [Packet(1, "first"), Packet(1, "second")]
    for seq in range(count):
        events += [event(seq, flat(0.5)), Packet(1, seq), Packet(2, seq)]
    found = list(looking_ahead(events, frames))
    assert [each if isinstance(each, Packet) else each[0] for each in found] == [
        each if isinstance(each, Packet) else each[0] for each in events
    ]
    for each in found:
        if not isinstance(each, Packet):
            assert each[0].seq == each[1].seq


@pytest.mark.parametrize("frames", [1, 3])
def test_it_waits_for_no_more_than_it_looks_at(frames: int) -> None:
    asked = 0

    def source() -> Iterator[Event]:
        nonlocal asked
        for seq in range(20):
            asked += 1
            yield event(seq, flat(0.5))
            yield Packet(1, seq)

    frames_given = 0
    for each in looking_ahead(source(), frames):
        frames_given += not isinstance(each, Packet)
        assert asked - frames_given <= frames + 1


def test_packets_alone_pass() -> None:
    packets = [Packet(1, number) for number in range(5)]
    assert list(looking_ahead(packets, 3)) == packets


def test_a_constant_stays() -> None:
    assert values([event(seq, flat(0.3)) for seq in range(8)], 3) == pytest.approx([0.3] * 8, abs=1e-6)


def test_frames_to_come_weigh_less_the_later_they_are() -> None:
    """Each pulls towards itself: a frame is nearest to itself and its neighbour, and the last is alone."""
    pulls = []
    for late in (1, 2, 3):
        mattes = [event(seq, flat(1.0 if seq == late else 0.0)) for seq in range(4)]
        pulls.append(values(mattes, 3)[0])
    assert 0.5 > pulls[0] > pulls[1] > pulls[2] > 0
    assert values([event(seq, flat(float(seq == 3))) for seq in range(4)], 3)[-1] == 1.0


def test_it_looks_no_further_than_it_should() -> None:
    mattes: list[Event] = [event(seq, flat(1.0 if seq == 3 else 0.0)) for seq in range(6)]
    assert values(mattes, 2)[0] == 0.0
    assert values(mattes, 3)[0] > 0.0


def bar(x: int) -> Float:
    pha = flat(0.0)
    pha[:, x : x + 4] = 1
    return pha


def test_what_moves_is_brought_back_along_its_motion() -> None:
    mattes: list[Event] = [event(seq, bar(4 + 3 * seq), x_px=3) for seq in range(5)]
    for each in looking_ahead(mattes, 3):
        assert not isinstance(each, Packet)
        assert np.abs(each[1].pha - bar(4 + 3 * each[0].seq))[:, :18].max() < 1e-6


def test_motion_that_is_not_trusted_leads_nowhere() -> None:
    mattes: list[Event] = [event(seq, flat(float(seq)), trust=0.0) for seq in range(4)]
    assert values(mattes, 3) == [0.0, 1.0, 2.0, 3.0]
    one_lost: list[Event] = [event(seq, flat(float(seq == 3)), trust=float(seq != 2)) for seq in range(4)]
    assert values(one_lost, 3)[0] == 0.0, "nor what lies behind it"
    assert values(one_lost, 3)[2] > 0.2


def test_a_cut_ends_what_lies_ahead() -> None:
    mattes: list[Event] = [event(seq, flat(float(seq >= 3)), cut=seq == 3) for seq in range(6)]
    assert values(mattes, 3) == [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]


def test_frames_that_were_not_seen_add_nothing_but_their_motion() -> None:
    mattes: list[Event] = [event(0, bar(4))]
    for seq in (1, 2):
        frame, matte = event(seq, flat(1.0), x_px=3)
        mattes.append((frame, replace(matte, seen=False)))
    mattes.append(event(3, bar(13), x_px=3))
    first = next(looking_ahead(mattes, 3))
    assert not isinstance(first, Packet)
    assert np.abs(first[1].pha - bar(4))[:, :18].max() < 1e-6


def test_another_size_ends_what_lies_ahead() -> None:
    mattes: list[Event] = [event(0, flat(0.25)), event(1, np.ones((5, 6), np.float32)), event(2, flat(1.0))]
    first = next(looking_ahead(mattes, 3))
    assert not isinstance(first, Packet)
    assert np.array_equal(first[1].pha, flat(0.25))


def test_the_given_mattes_are_left_alone() -> None:
    mattes = [event(seq, flat(float(seq))) for seq in range(4)]
    list(looking_ahead(mattes, 3))
    assert all(np.array_equal(matte.pha, flat(float(seq))) for seq, (_, matte) in enumerate(mattes))
