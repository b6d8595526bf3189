"""Mattes come in the order of their frames, however many are under way; live ones come late rather than hold one up."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from scenes import Float, make_frame, make_look

from streammatte.frame import Frame, Look, Matte, Packet, Shown
from streammatte.late import with_late_mattes
from streammatte.parallel import with_mattes

WIDTH, HEIGHT = 40, 8


def flow_of(x_px: float) -> Float:
    return np.asarray(np.broadcast_to(np.array([x_px, 0], np.float32), (HEIGHT, WIDTH, 2)).copy())


def shown(seq: int, *, key: bool = True, flow: Float | None = None) -> Shown:
    frame = make_frame(size=(16, 16), seq=seq, pts=seq)
    look = make_look(frame, np.zeros((HEIGHT, WIDTH, 3), np.float32))
    trust = None if flow is None else np.ones((HEIGHT, WIDTH), np.float32)
    return Shown(frame, replace(look, matte=replace(look.matte, flow=flow, trust=trust)), key)


def events(count: int) -> list[Shown | Packet]:
    out: list[Shown | Packet] = [Packet(1, "first")]
    for seq in range(count):
        out += [shown(seq), Packet(1, seq)]
    return out


def matte_of(look: Look) -> Matte:
    return replace(look.matte, seen=True)


def flat(outcome: Iterable[tuple[Frame, Matte] | Packet]) -> list[object]:
    return [entry.payload if isinstance(entry, Packet) else (entry[0].seq, entry[1].seq) for entry in outcome]


def in_order(count: int) -> list[object]:
    expected: list[object] = ["first"]
    for seq in range(count):
        expected += [(seq, seq), seq]
    return expected


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) - before == set()


# files: in order, each with its own


@pytest.mark.parametrize("streams", [1, 2, 4])
def test_order_is_kept_though_later_frames_are_done_first(streams: int) -> None:
    last_first = threading.Event()

    def see(look: Look) -> Matte:
        if streams > 1 and look.matte.seq == 0:
            assert last_first.wait(10)
        if look.matte.seq == 1:
            last_first.set()
        return matte_of(look)

    assert flat(with_mattes(events(9), see, streams)) == in_order(9)


def test_streams_are_used_and_not_exceeded() -> None:
    together = threading.Barrier(3)
    now, most, lock = 0, 0, threading.Lock()

    def see(look: Look) -> Matte:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        together.wait(10)
        with lock:
            now -= 1
        return matte_of(look)

    assert len(list(with_mattes(events(6), see, 3))) == 13
    assert most == 3


def test_what_comes_next_is_prepared_while_the_network_runs() -> None:
    asked_on = threading.Event()

    def see(look: Look) -> Matte:
        assert look.matte.seq > 0 or asked_on.wait(10)
        return matte_of(look)

    def source() -> Iterator[Shown | Packet]:
        yield shown(0)
        asked_on.set()
        yield shown(1)

    assert flat(with_mattes(source(), see, 1)) == [(0, 0), (1, 1)]


@pytest.mark.parametrize("streams", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 3])
def test_few_frames_are_held(streams: int, stride: int) -> None:
    asked = 0

    def source() -> Iterator[Shown | Packet]:
        nonlocal asked
        for seq in range(40):
            asked += 1
            yield shown(seq, key=seq % stride == 0)

    for given, _ in enumerate(with_mattes(source(), matte_of, streams), start=1):
        assert asked - given <= (streams + 2) * stride


def test_the_network_sees_keyframes_alone() -> None:
    seen = []

    def see(look: Look) -> Matte:
        seen.append(look.matte.seq)
        return matte_of(look)

    source = [shown(seq, key=seq in (0, 2, 5)) for seq in range(7)]
    outcome = [entry for entry in with_mattes(source, see, 1) if not isinstance(entry, Packet)]
    assert seen == [0, 2, 5]
    assert [(frame.seq, matte.seq) for frame, matte in outcome] == [(seq, seq) for seq in range(7)]
    assert [matte.seen for _, matte in outcome] == [seq in seen for seq in range(7)]


@pytest.mark.parametrize("streams", [1, 2])
def test_an_error_comes_out_and_no_thread_stays(streams: int) -> None:
    def see(look: Look) -> Matte:
        if look.matte.seq == 3:
            raise ValueError("three")
        return matte_of(look)

    with pytest.raises(ValueError, match="three"):
        list(with_mattes(events(9), see, streams))


# live: at once, with what is known


class Network:
    """Sees its first frame at once, and each later one as soon as `go` is set. `pha` has a bar at column 10."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.seen: list[int] = []
        self.busy = threading.Event()
        self._alone = threading.Lock()

    def see(self, look: Look) -> Matte:
        assert self._alone.acquire(blocking=False), "the network sees one frame at a time"
        self.seen.append(look.matte.seq)
        if len(self.seen) > 1:
            self.busy.set()
            assert self.go.wait(10), "it was waited for"
        self._alone.release()
        pha = np.zeros_like(look.matte.pha)
        pha[:, 10] = 1
        return replace(look.matte, pha=pha, seen=True)


def pulled(outcome: Iterator[tuple[Frame, Matte] | Packet]) -> Matte:
    entry = next(outcome)
    assert not isinstance(entry, Packet)
    assert entry[0].seq == entry[1].seq
    return entry[1]


def test_a_live_frame_does_not_wait_for_the_network() -> None:
    network, still = Network(), flow_of(0)
    source = [shown(0), *(shown(seq, flow=still) for seq in range(1, 50))]
    outcome = with_late_mattes(source, network.see)
    mattes = [pulled(outcome) for _ in range(50)]
    assert network.busy.wait(10)
    network.go.set()
    assert list(outcome) == []
    assert [matte.seq for matte in mattes] == list(range(50))
    assert [matte.seen for matte in mattes] == [True] + [False] * 49
    assert network.seen == [0, 1]


def until_seen(network: Network, mattes: Iterator[Matte]) -> Matte:
    """The first matte that the network has to do with, once it is allowed to answer."""
    network.go.set()
    return next(matte for matte in mattes if matte.seen)


def standing(seq: int) -> Iterator[Shown]:
    """Frames in which nothing moves any more, for as long as another thread may take to answer."""
    for later in range(seq, seq + 5000):
        time.sleep(0.001)
        yield shown(later, flow=flow_of(0) if later else None)


def test_a_late_matte_is_carried_to_the_present() -> None:
    network = Network()

    def source() -> Iterator[Shown | Packet]:
        yield shown(0)
        for seq in range(1, 6):
            yield shown(seq, flow=flow_of(-2))  # two pixels to the right, each time
        yield from standing(6)

    outcome = with_late_mattes(source(), network.see)
    assert pulled(outcome).pha[0].argmax() == 10
    assert [pulled(outcome).seen for _ in range(5)] == [False] * 5
    late = until_seen(network, (pulled(outcome) for _ in range(5000)))
    assert network.seen[:2] == [0, 1]
    assert late.pha[0].argmax() == 10 + 2 * 4, "seen in frame 1, which moved four times since"
    assert (late.pha[0] > 0).sum() == 1
    outcome.close()


def test_the_network_gets_the_next_frame_once_it_is_free() -> None:
    network = Network()
    network.go.set()
    outcome = with_late_mattes(standing(0), network.see)
    mattes = [pulled(outcome) for _ in range(200)]
    outcome.close()
    answers = [matte.seq for matte in mattes if matte.seen]
    assert answers[0] == network.seen[0] == 0
    assert len(network.seen) > 2
    assert all(late > seen for seen, late in zip(network.seen[1:], answers[1:], strict=False))


def test_only_keyframes_are_shown_to_it() -> None:
    network = Network()
    network.go.set()

    def source() -> Iterator[Shown | Packet]:
        yield shown(0)
        for seq in range(1, 30):
            yield shown(seq, flow=flow_of(0), key=seq == 7)
        assert network.busy.wait(10)

    assert len(list(with_late_mattes(source(), network.see))) == 30
    assert network.seen == [0, 7]


def test_after_a_cut_nothing_of_before_comes() -> None:
    """The network is still busy with frame 1 when frame 3 begins a new scene: it must be seen, and alone."""
    network = Network()

    def source() -> Iterator[Shown | Packet]:
        yield shown(0)
        yield shown(1, flow=flow_of(0))
        assert network.busy.wait(10)
        yield shown(2, flow=flow_of(0))
        network.go.set()
        yield shown(3)
        yield from standing(4)

    outcome = with_late_mattes(source(), network.see)
    assert [pulled(outcome).seen for _ in range(4)] == [True, False, False, True]
    assert network.seen == [0, 1, 3]
    assert pulled(outcome).seen is False, "frame 1's answer is for nobody"
    outcome.close()


def test_packets_pass_live_frames_by_at_their_place() -> None:
    network = Network()
    network.go.set()
    source = [
        replace(e, look=shown(e.frame.seq, flow=flow_of(0)).look) if isinstance(e, Shown) else e for e in events(9)
    ]
    assert flat(with_late_mattes(source, network.see)) == in_order(9)


def test_a_live_error_is_no_answer_and_the_next_frame_is_shown() -> None:
    seen: list[int] = []

    def see(look: Look) -> Matte:
        seen.append(look.matte.seq)
        if 0 < len(seen) < 6:
            raise ValueError("not now")
        return matte_of(look)

    def source() -> Iterator[Shown | Packet]:
        for seq in range(60):
            time.sleep(0.002)
            yield shown(seq, flow=flow_of(0) if seq else None, key=seq == 0)

    mattes = [entry[1] for entry in with_late_mattes(source(), see) if not isinstance(entry, Packet)]
    assert seen[:5] == [0, 1, 2, 3, 4], "no keyframe, but nothing is known"
    assert len(seen) == 6
    first = next(matte for matte in mattes if matte.seen)
    assert all(matte.age_s == math.inf and not matte.pha.any() for matte in mattes[: first.seq])
    assert first.discontinuity
    assert first.flow is None


def test_a_network_that_hangs_holds_up_one_frame_for_a_moment_and_its_matte_grows_old() -> None:
    go = threading.Event()

    def see(look: Look) -> Matte:
        if look.matte.seq == 3:
            assert go.wait(10)
        return matte_of(look)

    source = [shown(0), *(shown(seq, flow=flow_of(0), key=seq == 3) for seq in range(1, 8)), shown(8), shown(9)]
    outcome = with_late_mattes(source, see)
    ages = [pulled(outcome).age_s for _ in range(8)]
    assert ages == pytest.approx(
        [seq * (source[1].look.matte.time_s - source[0].look.matte.time_s) for seq in range(8)]
    )
    started = time.monotonic()
    assert [pulled(outcome).age_s for _ in range(2)] == [math.inf] * 2
    assert 0.2 < time.monotonic() - started < 2, "the second frame does not wait as well"
    go.set()
    assert list(outcome) == []
