"""The pipeline alone: everything arrives, in order and in bounded memory, and every end is a clean one."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scenes import Truth, alphas_of, make_look

from streammatte.backgrounds.still import SolidBackground
from streammatte.composing import Stages
from streammatte.errors import ContractError, SinkError, SourceError
from streammatte.foregrounds.off import OffForeground
from streammatte.frame import Frame, Layer, Look, Matte, Packet, Plane
from streammatte.inference import Pace
from streammatte.kernels import host
from streammatte.meter import RunReport
from streammatte.pipeline import Pipeline
from streammatte.ports import SinkKind, SinkReport
from streammatte.refiners.resample import ResampleRefiner
from streammatte.reporting import RunFacts
from streammatte.sources.pattern import PatternSource
from streammatte.stabilizers.motion import MotionStabilizer
from streammatte.stabilizers.none import NoStabilizer

FACTS = RunFacts("truth", "CC0-1.0", "00" * 32, "none 1.0", "f32", "here", ("fell back",))
SPEC = "pattern:64x48@25?frames=12&seed=3"
FORMS: list[SinkKind] = ["com", "fgr", "pha"]
IN_FLIGHT = 4 + 8 + 4 + 4 + 2
"""The three hand-offs' capacities, a frame in the hands of each of the four threads, and two in the network's queue."""


class Trouble(Exception):
    """Raised on purpose."""


class Film:
    """`pattern:`, with `packets` after each frame, and `hook` called before each frame is given."""

    def __init__(self, spec: str = SPEC, *, packets: int = 0, hook: Callable[[int], None] | None = None) -> None:
        self.pattern = PatternSource(spec)
        self.info = self.pattern.info
        self.notes = ["a note of the source"]
        self.given: list[Frame | Packet] = []
        self.closed = 0
        self._packets, self._hook = packets, hook

    def events(self) -> Iterator[Frame | Packet]:
        for frame in self.pattern.events():
            assert isinstance(frame, Frame)
            if self._hook is not None:
                self._hook(frame.seq)
            yield self._count(frame)
            for number in range(self._packets):
                yield self._count(Packet(1 + number % 2, (frame.seq, number)))

    def _count(self, event: Any) -> Any:
        self.given.append(event)
        return event

    def close(self) -> None:
        self.closed += 1


class Room:
    """A red background that knows whether it is open."""

    def __init__(self) -> None:
        self._red = SolidBackground((1.0, 0.0, 0.0))
        self.closed = 0

    def planes(self, layer: Layer) -> tuple[Plane, ...]:
        return self._red.planes(layer)

    def close(self) -> None:
        self.closed += 1


class Tape:
    """A sink that keeps everything; `hook` is called with each frame before it is kept."""

    notes: tuple[str, ...] = ()

    def __init__(self, kind: SinkKind = "com", name: str = "tape", hook: Callable[[Frame], None] | None = None) -> None:
        self.name, self.kind = name, kind
        self.events: list[Frame | Packet] = []
        self.finished = self.aborted = 0
        self.threads: set[int] = set()
        self._hook = hook

    @property
    def frames(self) -> list[Frame]:
        return [event for event in self.events if isinstance(event, Frame)]

    def write(self, frame: Frame) -> None:
        self.threads.add(threading.get_ident())
        if self._hook is not None:
            self._hook(frame)
        self.events.append(frame)

    def write_packet(self, packet: Packet) -> None:
        self.threads.add(threading.get_ident())
        self.events.append(packet)

    def finish(self) -> SinkReport:
        self.finished += 1
        return SinkReport(self.name, len(self.frames), "tape", None, self.notes)

    def abort(self) -> None:
        self.aborted += 1


def stages(film: Film, room: Room | None = None, **changes: Any) -> Stages:
    whole = Stages(Truth(film.pattern), NoStabilizer(), ResampleRefiner(), OffForeground(), room)
    return replace(whole, **changes)


def run(film: Film, *tapes: Any, **how: Any) -> RunReport:
    return Pipeline(film, stages(film, Room()), list(tapes), FACTS).run(**how)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) - before == set()


# what arrives


@pytest.mark.parametrize("kind", FORMS)
def test_every_frame_arrives_in_order_at_its_time(kind: SinkKind) -> None:
    film, tape = Film("pattern:64x48@24000/1001?frames=12"), Tape(kind)
    report = run(film, tape)
    assert [frame.seq for frame in tape.frames] == list(range(12))
    assert [frame.time for frame in tape.frames] == [n * Fraction(1001, 24000) for n in range(12)]
    assert [(f.pts, f.time_base, f.duration) for f in tape.frames] == [(n, Fraction(1001, 24000), 1) for n in range(12)]
    assert (report.frames_in, report.frames_out, report.frames_dropped) == (12, 12, 0)
    assert (tape.finished, tape.aborted, film.closed) == (1, 0, 1)
    assert len(tape.threads) == 1


def test_the_three_forms_are_what_they_say() -> None:
    film = Film()
    com, fgr, pha = (Tape(kind) for kind in FORMS)
    run(film, com, fgr, pha)
    red = SolidBackground((1.0, 0.0, 0.0))
    for n, source in enumerate(event for event in film.given if isinstance(event, Frame)):
        alpha = np.rint(film.pattern.truth(n) * 255).astype(np.uint8)
        assert (pha.frames[n].format.name, pha.frames[n].color.full_range) == ("gray", True)
        np.testing.assert_array_equal(pha.frames[n].check().planes[0], alpha)
        np.testing.assert_array_equal(fgr.frames[n].check().alpha, alpha)
        for given, kept in zip(source.planes, fgr.frames[n].planes, strict=True):
            np.testing.assert_array_equal(given, kept)
        behind = red.planes(Layer(source.planes, alphas_of(source, alpha), source))
        shares = host.chroma_alpha(alpha, source.format, source.color)
        for i, plane in enumerate(com.frames[n].check().planes):
            np.testing.assert_array_equal(plane[shares[i] == 255], source.planes[i][shares[i] == 255])
            np.testing.assert_array_equal(plane[shares[i] == 0], behind[i][shares[i] == 0])
            share = shares[i] / 255
            over = share * source.planes[i] + (1 - share) * behind[i].astype(float)
            assert np.abs(plane - over).max() <= 0.5 + 1e-6
        assert com.frames[n].alpha is None


def test_what_the_source_hides_stays_hidden() -> None:
    film, hole = Film(), np.full((48, 64), 255, np.uint8)
    hole[:, :32] = 0
    hole[:, 32:48] = 128
    given = film.pattern._frame
    film.pattern._frame = lambda seq: replace(given(seq), alpha=hole)  # type: ignore[method-assign]
    pha = Tape("pha")
    run(film, pha)
    truth = np.rint(film.pattern.truth(0) * 255)
    assert pha.frames[0].planes[0][:, :32].max() == 0
    np.testing.assert_array_equal(pha.frames[0].planes[0][:, 48:], truth[:, 48:])
    assert np.abs(pha.frames[0].planes[0][:, 32:48] - truth[:, 32:48] * 128 / 255).max() <= 0.5 + 1e-6


def test_packets_pass_in_stream_order_to_every_sink() -> None:
    film = Film(packets=3)
    tapes = [Tape("com", "a"), Tape("pha", "b")]
    run(film, *tapes)

    def order(events: list[Frame | Packet]) -> list[object]:
        return [event.seq if isinstance(event, Frame) else event.payload for event in events]

    assert order(film.given)[:5] == [0, (0, 0), (0, 1), (0, 2), 1]
    for tape in tapes:
        assert order(tape.events) == order(film.given)
        assert len(tape.threads) == 1
    kept = [event for event in tapes[0].events if isinstance(event, Packet)]
    assert all(a is b for a, b in zip(kept, (e for e in film.given if isinstance(e, Packet)), strict=True))


def test_stages_run_beside_each_other() -> None:
    """Decode waits for the encoder to have begun: in one thread that would never happen."""
    begun = threading.Event()

    def wait(seq: int) -> None:
        assert seq < 6 or begun.wait(10)

    report = run(Film(hook=wait), Tape(hook=lambda frame: begun.set()))
    assert report.frames_out == 12


def test_scene_cuts_reset_the_stabilizer() -> None:
    seen: list[bool] = []

    class Watch:
        def step(self, matte: Matte) -> Matte:
            seen.append(matte.discontinuity)
            return matte

    class Cut(Truth):
        def look(self, frame: Frame) -> Look:
            src = np.zeros((frame.height, frame.width, 3), np.float32)
            if frame.seq < 5:
                src[: frame.height // 2] = (1.0, 0.2, 0.0)
            else:
                src[:, frame.width // 2 :] = (0.0, 0.2, 0.5)
            return make_look(frame, src)

    film = Film()
    report = Pipeline(film, stages(film, matter=Cut(film.pattern), stabilizer=Watch()), [Tape("pha")], FACTS).run()
    assert seen == [n == 5 for n in range(12)]
    assert report.cuts == 1


def test_no_foreground_or_background_is_computed_for_a_matte_alone() -> None:
    class Never:
        def estimate(self, frame: Frame, alphas: tuple[Plane, ...], matte: Matte | None = None) -> tuple[Plane, ...]:
            raise AssertionError("nobody needs this")

        planes = estimate

        def close(self) -> None: ...

    film = Film()
    report = Pipeline(film, stages(film, foreground=Never(), background=Never()), [Tape("pha")], FACTS).run()
    assert list(report.stages) == ["decode", "look", "motion", "infer", "stabilize", "refine", "encode"]


# memory


def test_a_slow_sink_holds_the_source_back() -> None:
    film = Film("pattern:32x32?frames=60")
    lead: list[int] = []

    def slow(frame: Frame) -> None:
        time.sleep(0.004)
        lead.append(len(film.given) - frame.seq)

    report = run(film, Tape("pha", hook=slow))
    assert (report.frames_out, report.frames_dropped) == (60, 0)
    assert max(lead[5:]) > 4, "stages ran one after the other"
    assert max(lead) <= IN_FLIGHT


def test_one_slow_sink_of_two_holds_all_back() -> None:
    film, quick = Film("pattern:32x32?frames=40"), Tape("com", "quick")
    lead: list[int] = []

    def slow(frame: Frame) -> None:
        time.sleep(0.004)
        lead.append(max(len(film.given), len(quick.events)) - frame.seq)

    run(film, quick, Tape("pha", "slow", slow))
    assert len(quick.frames) == len(lead) == 40
    assert max(lead) <= IN_FLIGHT


def test_several_frames_in_the_network_keep_their_order() -> None:
    """Even frames take longer than odd ones, so that they are overtaken; packets stay where they were."""
    at_once: list[int] = []
    inside: set[int] = set()

    class Uneven(Truth):
        def see(self, look: Look) -> Matte:
            seq = look.matte.seq
            inside.add(seq)
            at_once.append(len(inside))
            time.sleep(0.02 if seq % 2 == 0 else 0.001)
            inside.discard(seq)
            return super().see(look)

    film = Film("pattern:32x32?frames=40", packets=1)
    lead: list[int] = []
    tape = Tape("pha", hook=lambda frame: lead.append(sum(isinstance(e, Frame) for e in film.given) - frame.seq))
    report = Pipeline(film, stages(film, matter=Uneven(film.pattern), pace=Pace(streams=3)), [tape], FACTS).run()
    assert (report.frames_in, report.frames_out) == (40, 40)
    kept = [event.seq if isinstance(event, Frame) else event.payload[0] for event in tape.events]
    assert kept == [seq for seq in range(40) for _ in range(2)]
    assert 1 < max(at_once) <= 3
    assert max(lead) <= IN_FLIGHT + 2, "two more streams hold two more frames"


def test_live_frames_come_out_though_the_network_is_slow() -> None:
    """It is with its second frame until the sink has the 25th; all come out, in order, each at its time."""
    go = threading.Event()

    class Slow(Truth):
        def see(self, look: Look) -> Matte:
            assert look.matte.seq == 0 or go.wait(10), "it was waited for"
            return super().see(look)

    film = Film("pattern:64x48@25?frames=30", packets=1)
    tape = Tape("com", hook=lambda frame: go.set() if frame.seq == 24 else None)
    live = stages(film, Room(), matter=Slow(film.pattern), stabilizer=MotionStabilizer(0.16), pace=Pace(live=True))
    report = Pipeline(film, live, [tape], FACTS).run()
    kept = [event.seq if isinstance(event, Frame) else event.payload[0] for event in tape.events]
    assert kept == [seq for seq in range(30) for _ in range(2)]
    assert [frame.pts for frame in tape.frames] == list(range(30))
    assert (report.frames_in, report.frames_out, report.frames_dropped) == (30, 30, 0)
    assert 2 <= report.network_runs <= 7 < report.frames_out


def test_frames_the_network_did_not_see_are_counted() -> None:
    film = Film("pattern:64x48?frames=11")
    report = Pipeline(film, stages(film, pace=Pace(stride=5, tolerance=0.35)), [Tape("pha")], FACTS).run()
    assert (report.frames_out, report.network_runs) == (11, 3)


@pytest.mark.parametrize("port", ["matter", "background"])
def test_a_failure_with_several_frames_in_the_network(port: str) -> None:
    film, room, tape = Film("pattern:64x48?frames=200"), Room(), Tape("com")
    whole = stages(film, room, pace=Pace(streams=3))
    method = "see" if port == "matter" else "planes"
    broken = replace(whole, **{port: _Failing(getattr(whole, port), method)})
    with pytest.raises(Trouble):
        Pipeline(film, broken, [tape], FACTS).run()
    assert (tape.finished, tape.aborted, film.closed, room.closed) == (0, 1, 1, 1)


# failures


def _raise(*args: object) -> Any:
    raise TROUBLE


TROUBLE = Trouble("on purpose")


def _fails_late(wrapped: Callable[..., Any]) -> Callable[..., Any]:
    """`wrapped`, which fails the fifth time."""
    calls = []

    def call(*args: Any) -> Any:
        calls.append(args)
        return _raise() if len(calls) == 5 else wrapped(*args)

    return call


class _Failing:
    """Any port, one method of which fails the fifth time."""

    def __init__(self, whole: Any, method: str) -> None:
        self._whole = whole
        setattr(self, method, _fails_late(getattr(whole, method)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)


@pytest.mark.parametrize(
    ("port", "method"),
    [
        ("matter", "look"),
        ("matter", "see"),
        ("stabilizer", "step"),
        ("refiner", "refine"),
        ("foreground", "estimate"),
        ("background", "planes"),
    ],
)
def test_a_failing_stage_drops_everything(port: str, method: str) -> None:
    film, room, tapes = Film("pattern:64x48?frames=200", packets=1), Room(), [Tape("com"), Tape("fgr")]
    whole = stages(film, room)
    broken = replace(whole, **{port: _Failing(getattr(whole, port), method)})
    with pytest.raises(Trouble) as caught:
        Pipeline(film, broken, list(tapes), FACTS).run()
    assert caught.value is TROUBLE
    assert [(tape.finished, tape.aborted) for tape in tapes] == [(0, 1), (0, 1)]
    assert (film.closed, room.closed) == (1, 1)
    assert len([e for e in film.given if isinstance(e, Frame)]) <= 5 + IN_FLIGHT


@pytest.mark.parametrize("at", [0, 5, 11])
def test_a_failing_source_drops_everything(at: int) -> None:
    film, tape = Film(hook=lambda seq: _raise() if seq == at else None), Tape()
    with pytest.raises(Trouble):
        run(film, tape)
    assert (tape.finished, tape.aborted, film.closed) == (0, 1, 1)


@pytest.mark.parametrize("method", ["write", "write_packet"])
@pytest.mark.parametrize("which", [0, 1])
def test_a_failing_sink_takes_the_others_with_it(method: str, which: int) -> None:
    film, tapes = Film("pattern:64x48?frames=200", packets=1), [Tape("com", "a"), Tape("pha", "b")]
    sinks: list[Any] = list(tapes)
    sinks[which] = _Failing(tapes[which], method)
    with pytest.raises(Trouble):
        run(film, *sinks)
    assert [(tape.finished, tape.aborted) for tape in tapes] == [(0, 1), (0, 1)]
    assert film.closed == 1
    assert max(len(tape.frames) for tape in tapes) < 30


def test_a_sink_that_cannot_finish_is_an_error() -> None:
    film, room, first, last = Film(), Room(), Tape("com", "a"), Tape("pha", "b")
    last.finish = _raise  # type: ignore[method-assign]
    with pytest.raises(Trouble):
        Pipeline(film, stages(film, room), [first, last], FACTS).run()
    assert (first.aborted, last.aborted) == (1, 1)
    assert (film.closed, room.closed) == (1, 1)


def test_the_first_failure_is_the_one_told() -> None:
    begun = threading.Event()

    def early(seq: int) -> None:
        if seq == 3 and begun.wait(10):
            raise TROUBLE

    def late(frame: Frame) -> None:
        begun.set()
        time.sleep(0.1)
        raise SinkError("later")

    with pytest.raises(Trouble):
        run(Film(hook=early), Tape(hook=late))


def test_a_failing_progress_drops_everything() -> None:
    film, tape = Film("pattern:64x48?frames=2000"), Tape()
    with pytest.raises(Trouble):
        run(film, tape, progress=_raise)
    assert (tape.finished, tape.aborted, film.closed) == (0, 1, 1)


def test_no_frames() -> None:
    film, tape = Film(), Tape()
    film.events = lambda: iter(())  # type: ignore[method-assign]
    with pytest.raises(SourceError, match=r"pattern:.*: no frames; check the file or --start"):
        run(film, tape)
    assert (tape.finished, tape.aborted, film.closed) == (0, 1, 1)


def test_packets_alone_are_no_film() -> None:
    film, tape = Film(), Tape()
    film.events = lambda: iter([Packet(1, n) for n in range(9)])  # type: ignore[method-assign]
    with pytest.raises(SourceError, match="no frames"):
        run(film, tape)
    assert tape.aborted == 1


def test_what_cannot_be_wired() -> None:
    film = Film()
    with pytest.raises(ContractError, match="at least one sink"):
        Pipeline(film, stages(film, Room()), [], FACTS)
    with pytest.raises(ContractError, match="a background"):
        Pipeline(film, stages(film), [Tape("com")], FACTS)
    report = Pipeline(film, stages(film), [Tape("fgr"), Tape("pha")], FACTS).run()
    assert report.frames_out == 12


# stopping


def _whole_up_to_here(report: RunReport, tape: Tape, film: Film) -> None:
    assert report.interrupted
    assert 0 < report.frames_out == report.frames_in == len(tape.frames) < 2000
    assert [frame.seq for frame in tape.frames] == list(range(len(tape.frames)))
    assert (tape.finished, tape.aborted, film.closed) == (1, 0, 1)


def test_stop_completes_the_outputs() -> None:
    film = Film("pattern:32x32?frames=2000", packets=1)
    at: list[int] = []

    def stop(frame: Frame) -> None:
        if frame.seq == 3:
            pipeline.stop()
            at.append(len(film.given))

    tapes = [Tape("com", "a", stop), Tape("pha", "b")]
    pipeline = Pipeline(film, stages(film, Room()), list(tapes), FACTS)
    report = pipeline.run()
    for tape in tapes:
        _whole_up_to_here(report, tape, film)
    assert len(film.given) <= at[0] + 2, "the source was read on"


def test_one_ctrl_c_completes_the_outputs() -> None:
    film, tape, pressed = Film("pattern:32x32?frames=2000"), Tape("pha"), []

    def press(done: int, expected: int | None) -> None:
        assert expected == 2000
        if done > 3 and not pressed:
            pressed.append(done)
            raise KeyboardInterrupt

    report = run(film, tape, progress=press)
    _whole_up_to_here(report, tape, film)
    assert pressed


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_a_real_ctrl_c_waits_for_every_thread() -> None:
    """In CPython before 3.13 it makes Thread.join take a thread that runs for one that has ended (bpo-45274)."""
    busy, begun, overlapped = threading.Event(), threading.Event(), []

    def slow(frame: Frame) -> None:
        busy.set()
        begun.set()
        time.sleep(0.1)
        busy.clear()

    class Slow(Tape):
        def finish(self) -> SinkReport:
            overlapped.append(busy.is_set())
            return super().finish()

    def press() -> None:
        begun.wait(10)
        time.sleep(0.15)  # by now all five frames wait for the encoder, and it alone is waited for
        os.kill(os.getpid(), signal.SIGINT)

    film, tape, presser = Film("pattern:32x32?frames=5"), Slow("pha", hook=slow), threading.Thread(target=press)
    presser.start()
    report = run(film, tape)
    presser.join()
    assert (report.interrupted, report.frames_out, len(tape.frames)) == (True, 5, 5)
    assert overlapped == [False]


def test_a_second_ctrl_c_drops_everything() -> None:
    film = Film("pattern:32x32?frames=2000")
    tape = Tape("pha", hook=lambda frame: time.sleep(0.02))

    def press(done: int, expected: int | None) -> None:
        if done > 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(film, tape, progress=press)
    assert (tape.finished, tape.aborted, film.closed) == (0, 1, 1)


def test_ctrl_c_before_the_first_frame_is_no_fault_of_the_source() -> None:
    film, tape, go = Film(hook=lambda seq: bool(go.wait(10)) and None), Tape(), threading.Event()
    presses: list[int] = []

    def press(done: int, expected: int | None) -> None:
        if not presses:
            presses.append(done)
            raise KeyboardInterrupt
        go.set()

    with pytest.raises(KeyboardInterrupt):
        run(film, tape, progress=press)
    go.set()
    assert (tape.finished, tape.aborted) == (0, 1)


class _Stalled:
    """A pipe into which nothing more comes: the read after the fifth frame hangs until `go`."""

    def __init__(self) -> None:
        self.go, self.hangs = threading.Event(), threading.Event()
        self.film = Film("pattern:32x32?frames=2000", hook=self._hang)

    def _hang(self, seq: int) -> None:
        if seq == 5:
            self.hangs.set()
            assert self.go.wait(20)


@pytest.fixture
def stalled(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Stalled]:
    monkeypatch.setattr("streammatte.pipeline._BLOCKED_READ_S", 0.1)
    pipe = _Stalled()
    before = set(threading.enumerate())
    yield pipe
    pipe.go.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(5)


def test_stop_does_not_wait_for_a_read_that_hangs(stalled: _Stalled) -> None:
    tape, pressed = Tape("pha"), []

    def press(done: int, expected: int | None) -> None:
        if done >= 3 and stalled.hangs.is_set() and not pressed:  # the network may still hold two
            pressed.append(done)
            raise KeyboardInterrupt

    report = run(stalled.film, tape, progress=press)
    assert (report.frames_in, report.frames_out, report.interrupted) == (5, 5, True)
    assert (tape.finished, tape.aborted) == (1, 0)
    assert stalled.film.closed == 0, "closing under a read crashes"


def test_a_failure_does_not_wait_for_a_read_that_hangs(stalled: _Stalled) -> None:
    def fail(frame: Frame) -> None:
        if frame.seq == 2 and stalled.hangs.wait(10):
            raise SinkError("full")

    tape = Tape("pha", hook=fail)
    with pytest.raises(SinkError, match="full"):
        run(stalled.film, tape)
    assert (tape.finished, tape.aborted, stalled.film.closed) == (0, 1, 0)


def test_what_stop_cuts_off_is_no_fault_of_the_source() -> None:
    """Ctrl-C also ends the program at the other end of the pipe."""
    reading, stopped = threading.Event(), threading.Event()

    def cut(seq: int) -> None:
        if seq == 5:
            reading.set()
            assert stopped.wait(10)
            raise SourceError("cut off")

    def stop(frame: Frame) -> None:
        if frame.seq == 2 and reading.wait(10):  # later ones may wait for one that is read after them
            pipeline.stop()
            stopped.set()

    film, tape = Film(hook=cut), Tape("pha", hook=stop)
    pipeline = Pipeline(film, stages(film), [tape], FACTS)
    report = pipeline.run()
    assert (report.interrupted, tape.finished, film.closed) == (True, 1, 1)
    assert report.frames_out == report.frames_in == 5


# the report


def test_the_report_says_what_ran() -> None:
    film, com, pha = Film(packets=1), Tape("com", "a.mp4"), Tape("pha", "m.mkv")
    com.notes = ("padded",)
    report = run(film, com, pha)
    assert (report.input, report.duration_s) == (SPEC, 0.48)
    assert [(out.path, out.codec, out.frames) for out in report.outputs] == [
        ("a.mp4", "tape", 12),
        ("m.mkv", "tape", 12),
    ]
    assert report.fallbacks == ("fell back", "a note of the source", "a.mp4: padded")
    assert (report.model, report.model_licence, report.weights_sha256) == ("truth", "CC0-1.0", "00" * 32)
    assert (report.runtime, report.precision, report.device) == ("none 1.0", "f32", "here")
    assert (report.interrupted, report.cuts, report.network_runs, report.av_drift_ms) == (False, 0, 12, None)
    assert report.throughput_fps == pytest.approx(12 / report.wall_s, rel=0.2)
    assert set(report.stages) == {
        *("decode", "look", "motion", "infer", "stabilize", "refine", "foreground", "background", "composite"),
        *("encode a.mp4", "encode m.mkv"),
    }
    for times in report.stages.values():
        assert 0 < times.p50_ms <= times.p95_ms <= times.p99_ms


def test_the_greatest_drift_of_all_sinks_is_told() -> None:
    class Drifting(Tape):
        drift = 0.0

        def finish(self) -> SinkReport:
            return replace(super().finish(), av_drift_ms=self.drift)

    one, two = Drifting("com", "a"), Drifting("pha", "b")
    one.drift, two.drift = 0.5, -2.0
    assert run(Film(), one, two, Tape("fgr")).av_drift_ms == -2.0


def test_packets_do_not_dilute_the_time_of_decoding() -> None:
    film = Film(packets=5, hook=lambda seq: time.sleep(0.01))
    assert run(film, Tape("pha")).stages["decode"].p50_ms >= 10


def test_progress_ends_at_the_end() -> None:
    calls: list[tuple[int, int | None]] = []
    run(Film(), Tape(), progress=lambda done, expected: calls.append((done, expected)))
    assert calls[-1] == (12, 12)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
