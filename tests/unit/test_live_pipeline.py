"""A live run alone: the newest frame wins, sinks do not slow each other, and whatever fails, the room is not seen."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from live_scene import TRUTH, Call, Network, Show, pipeline, room_pixels
from scenes import make_layer

from streammatte.backgrounds.still import SolidBackground
from streammatte.errors import SinkError, SourceError
from streammatte.frame import Frame
from streammatte.meter import RunReport
from streammatte.sinks.live import open_live_sink
from streammatte.sources.mirrored import Mirrored
from streammatte.stabilizers.none import NoStabilizer


class Trouble(Exception):
    """Raised on purpose."""


@pytest.fixture(autouse=True, scope="module")
def _compiled_before() -> None:
    pipeline(Call(5), Network(), Show()).run()


def private(show: Show) -> bool:
    return all(room_pixels(frame) == 0 for frame in show.frames)


def is_card(frame: Frame) -> bool:
    return len(np.unique(frame.planes[1])) == 1


def outputs(report: RunReport) -> dict[str, Any]:
    assert report.live is not None
    return {output.name: output for output in report.live.outputs}


def why(report: RunReport) -> list[str]:
    assert report.live is not None
    return [incident.why for incident in report.live.incidents]


def once(seconds: float, at: int = 20) -> Callable[[int], None]:
    """Sleeps in the first call with a number from `at` on."""
    slept: list[int] = []

    def call(seq: int) -> None:
        if seq >= at and not slept:
            slept.append(seq)
            time.sleep(seconds)

    return call


def test_the_scene_tells_the_room_from_the_rest() -> None:
    frame = next(iter(Call(1).events()))
    assert isinstance(frame, Frame)
    assert room_pixels(frame) == int((TRUTH[::2, ::2] == 0).sum())


def test_frames_come_out_composited_in_order_and_timed() -> None:
    show = Show()
    report = pipeline(Call(60), Network(), show).run()
    assert private(show)
    times = [frame.pts for frame in show.frames if not is_card(frame)]
    assert times == sorted(set(times))
    found = outputs(report)["show"]
    assert found.frames == len(times) > 10
    assert found.latency is not None
    assert 0 < found.latency.p50_ms <= found.latency.p95_ms
    assert not report.interrupted
    assert (show.finished, show.aborted) == (1, 0)


def test_the_newest_frame_wins_and_drops_are_counted() -> None:
    show = Show()
    slow = Network()
    look = slow.look
    slow.look = lambda frame: (time.sleep(0.03), look(frame))[1]  # type: ignore[method-assign]
    report = pipeline(Call(60), slow, show).run()
    assert report.live is not None
    assert report.live.capture_dropped >= 20
    assert report.frames_in == 60
    assert report.frames_in == report.frames_out + report.live.capture_dropped


def test_a_slow_sink_drops_its_own_frames_and_slows_no_other() -> None:
    quick, slow = Show("quick"), Show("slow", hook=lambda frame: time.sleep(0.1))
    report = pipeline(Call(80), Network(), quick, slow).run()
    found = outputs(report)
    assert found["quick"].frames > 2 * found["slow"].frames
    assert found["slow"].frames + found["slow"].dropped == report.frames_out
    assert found["slow"].dropped > found["quick"].dropped


def test_nothing_is_sent_before_the_first_good_matte() -> None:
    go, show = threading.Event(), Show()
    sent: list[int] = []

    def starts(seq: int) -> None:
        if seq == 60:
            sent.append(len(show.frames))
            go.set()

    report = pipeline(Call(100, hook=starts), Network(hook=lambda seq: go.wait(5) and None), show).run()
    assert sent == [0]
    assert not is_card(show.frames[0])
    assert why(report)[0] == "the network has not answered yet"
    assert private(show)


def test_a_network_that_hangs_is_covered_by_the_card() -> None:
    show = Show()
    report = pipeline(Call(350), Network(hook=once(2.2)), show).run()
    assert private(show)
    assert any(map(is_card, show.frames[10:-5]))
    assert not is_card(show.frames[-10])
    assert "the network does not answer" in why(report)
    assert report.live is not None
    held = next(i for i in report.live.incidents if i.why == "the network does not answer")
    assert 0.4 < held.duration_s < 2.2, "a second is carried along the motion"


def test_a_network_that_raises_is_covered_and_asked_again() -> None:
    def fails(seq: int) -> None:
        if 20 <= seq < 170:
            raise Trouble("on purpose")

    show = Show()
    report = pipeline(Call(250), Network(hook=fails), show).run()
    assert private(show)
    assert "the network does not answer" in why(report)
    assert not is_card(show.frames[-10])
    assert any("the network failed" in note and "on purpose" in note for note in report.fallbacks)


@pytest.mark.parametrize(
    ("pha", "reason"),
    [
        (np.ones_like(TRUTH), "the whole picture was taken for the subject"),
        (np.full_like(TRUTH, 0.5), "the network is not sure of anything"),
        (np.full_like(TRUTH, np.nan), "the matte is not a number"),
    ],
)
def test_confidence_that_collapses_is_covered(pha: Any, reason: str) -> None:
    show = Show()
    report = pipeline(Call(80), Network(hook=lambda seq: pha if 20 <= seq < 50 else None), show).run()
    assert private(show)
    assert why(report).count(reason) == 1
    assert any(map(is_card, show.frames[10:-5]))
    assert not is_card(show.frames[-5])


def test_a_source_that_goes_away_is_covered_and_comes_back() -> None:
    show = Show()
    pipeline(Call(200, hook=once(1.0, at=60)), Network(), show).run()
    assert private(show)
    cards = [is_card(frame) for frame in show.frames]
    assert any(cards[40:-5])
    assert not cards[-10]


def test_a_source_that_breaks_ends_the_run_and_completes_the_recording() -> None:
    def breaks(seq: int) -> None:
        if seq == 50:
            raise SourceError("call: gone; plug it in")

    show, tape = Show(), Show("tape")
    with pytest.raises(SourceError, match="plug it in"):
        pipeline(Call(hook=breaks), Network(), show, sinks=[tape]).run()
    assert (tape.finished, tape.aborted) == (1, 0)
    assert len(tape.frames) > 10
    assert is_card(show.frames[-1])
    assert private(show)


def test_a_sink_that_fails_leaves_the_others_alone() -> None:
    def full(frame: Frame) -> None:
        if frame.seq >= 30:
            raise SinkError("tape: no space left; free some")

    show, tape = Show(), Show("tape", hook=full)
    with pytest.raises(SinkError, match="no space left"):
        pipeline(Call(120), Network(), show, sinks=[tape]).run()
    assert private(show)
    assert show.frames[-2].seq > 60, "long after the other had failed"
    assert (tape.finished, tape.aborted) == (0, 1)


def test_the_run_ends_once_no_sink_is_left() -> None:
    def gone(frame: Frame) -> None:
        raise SinkError("show: the device is gone; load the module")

    source = Call(10_000)
    with pytest.raises(SinkError, match="device is gone"):
        pipeline(source, Network(), Show(hook=gone)).run()
    assert source.closed == 1


def test_a_stage_that_fails_loses_its_frame_alone() -> None:
    class Broken:
        def refine(self, matte: Any, frame: Frame) -> Any:
            if 20 <= frame.seq < 30:
                raise Trouble("on purpose")
            return np.round(matte.pha * 255).astype(np.uint8)

    show = Show()
    report = pipeline(Call(80), Network(), show, refiner=Broken()).run()
    assert private(show)
    assert "compositing failed: on purpose" in why(report)
    assert not is_card(show.frames[-5])

    class Stumbles:
        def step(self, matte: Any) -> Any:
            if 20 <= matte.seq < 25:
                raise Trouble("steadily")
            return matte

    show = Show()
    report = pipeline(Call(80), Network(), show, stabilizer=Stumbles()).run()
    assert private(show)
    assert len(show.frames) > 50
    assert any("steadily" in note for note in report.fallbacks)


def test_stop_ends_it_though_the_network_and_the_camera_hang() -> None:
    hanging = threading.Event()
    live = pipeline(
        Call(hook=lambda seq: hanging.wait(20) and None if seq == 30 else None),
        Network(hook=lambda seq: hanging.wait(20) and None if seq >= 20 else None),
        Show(),
    )
    threading.Timer(1.0, live.stop).start()
    started = time.monotonic()
    live.run()
    assert time.monotonic() - started < 9
    hanging.set()


def test_nobody_looking_rests_the_network_and_looking_again_wakes_it() -> None:
    show, network = Show(), Network()
    counts: list[int] = []

    def audience(seq: int) -> None:
        if seq == 50:
            show.looked_at = False
        if seq in (250, 350):
            counts.append(len(network.seen))
        if seq == 350:
            show.looked_at = True

    report = pipeline(Call(550, hook=audience), network, show).run()
    assert counts[1] == counts[0], "it rests"
    assert len(network.seen) > counts[1] + 10
    assert report.live is not None
    assert report.live.idle_s >= 1
    assert private(show)
    assert not is_card(show.frames[-5])


def test_a_run_that_nobody_looks_at_ends_at_once() -> None:
    show, source = Show(), Call(10_000)

    def gone(seq: int) -> None:
        show.looked_at = seq < 20
        if seq == 60:
            live.stop()

    source._hook = gone
    live = pipeline(source, Network(), show)
    report = live.run()
    assert report.frames_in < 80
    assert source.closed == 1


def test_two_hundred_random_switches_each_show_within_three_frames() -> None:
    dice, show = random.Random(4), Show()
    camera = Mirrored(Call(100_000), mirrored=False)
    live = pipeline(camera, Network(), show)
    late: list[int] = []

    def blues(start: int) -> list[int]:
        return [int(frame.planes[1][2, 2]) for frame in show.frames[start:]]

    def switch(number: int) -> None:
        start = len(show.frames)
        if dice.random() < 0.3:
            camera.mirrored = dice.random() < 0.5
            live.change(stabilizer=NoStabilizer(), paused=dice.random() < 0.2)
            return
        background = SolidBackground((0.1, 0.2, 0.3 + 0.6 * (number % 10) / 10))
        live.change(background=background, paused=False)
        expected = int(background.planes(make_layer(show.frames[-1]))[1][2, 2])
        while expected not in blues(start) and len(show.frames) < start + 10:
            time.sleep(0.002)
        late.append(([*blues(start), expected]).index(expected) + 1)

    def switches() -> None:
        try:
            while len(show.frames) < 5:
                time.sleep(0.01)
            for number in range(200):
                switch(number)
        finally:
            live.stop()

    worker = threading.Thread(target=switches)
    worker.start()
    report = live.run()
    worker.join()
    assert len(late) > 100
    assert max(late) <= 4, "three, and the one that was on its way to the sink"
    assert report.live is not None
    assert report.live.changes == 200
    assert private(show)


def test_pause_shows_the_card() -> None:
    show = Show()
    live = pipeline(Call(100, hook=lambda seq: setattr(live, "paused", 30 <= seq < 60)), Network(), show)
    report = live.run()
    assert "paused" in why(report)
    shown = [is_card(frame) for frame in show.frames]
    assert not shown[5]
    assert any(shown[20:-5])
    assert not shown[-5]


def test_a_rate_is_reported() -> None:
    times: list[float] = []
    report = pipeline(Call(150), Network(), Show(hook=lambda frame: times.append(time.monotonic()))).run()
    shown = times[: outputs(report)["show"].frames]
    assert outputs(report)["show"].rate == pytest.approx((len(shown) - 1) / (shown[-1] - shown[0]), rel=0.1)


def test_null_takes_frames() -> None:
    source = Call(30)
    sink = open_live_sink("null", source.info)
    report = pipeline(source, Network(), sink).run()
    assert report.live is not None
    assert report.live.outputs[0].frames > 0
