"""How far a build is: phases within phases as one number, told on the thread that waits; and how it is ended."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammatte.runtimes.trt_progress import STEPS, Watch, watched

NAMES = st.sampled_from(["A", "B", "C", "D"])
CALLS = st.one_of(
    st.tuples(st.just("begin"), NAMES, st.none() | NAMES, st.integers(-1, 2000)),
    st.tuples(st.just("step"), NAMES, st.integers(0, 3000)),
    st.tuples(st.just("end"), NAMES),
)


def told(watch: Watch) -> Iterator[tuple[str, int]]:
    while not watch.told.empty():
        said = watch.told.get()
        assert said is not None
        yield said


@given(st.lists(CALLS, max_size=60))
def test_whatever_a_library_does_progress_never_goes_back_or_ends_early(calls: list[tuple[str, ...]]) -> None:
    watch = Watch()
    for method, *arguments in calls:
        getattr(watch, method)(*arguments)
    said = list(told(watch))
    done = [each for _, each in said]
    assert done == sorted(done)
    assert all(0 <= each < STEPS for each in done)
    assert all(one != next_one for one, next_one in pairwise(said)), "nothing is said twice"


def test_a_step_is_done_as_far_as_the_phase_within_it() -> None:
    watch = Watch()
    watch.begin("Building engine", None, 4)
    assert watch.step("Building engine", 0)
    watch.begin("Optimizing", "Building engine", 2)
    watch.step("Optimizing", 0)
    watch.begin("Timing", "Optimizing", 5)
    watch.step("Timing", 2)
    watch.end("Timing")
    watch.step("Optimizing", 1)
    watch.end("Optimizing")
    watch.step("Building engine", 1)
    assert list(told(watch)) == [
        ("building engine", 0),
        ("building engine", 250),
        ("optimizing", 250),
        ("optimizing", 375),
        ("timing", 375),
        ("timing", 450),
        ("optimizing", 500),
        ("building engine", 500),
    ]


def test_what_comes_back_and_who_is_told() -> None:
    here = threading.get_ident()
    said: list[tuple[str, int, int]] = []
    where: list[int] = []

    def work(watch: Watch) -> int:
        where.append(threading.get_ident())
        watch.begin("All", None, 2)
        watch.step("All", 0)
        return 7

    def building(phase: str, done: int, total: int) -> None:
        assert threading.get_ident() == here
        said.append((phase, done, total))

    assert watched(work, building) == 7
    assert where != [here]
    assert said == [("all", 0, STEPS), ("all", STEPS // 2, STEPS), ("built", STEPS, STEPS)]
    assert watched(work, None) == 7


def test_what_the_work_raises_is_raised() -> None:
    def work(watch: Watch) -> None:
        raise OSError("no room")

    said: list[str] = []
    with pytest.raises(OSError, match="no room"):
        watched(work, lambda phase, *_: said.append(phase))
    assert said == [], "it was not built"


def until_stopped(watch: Watch) -> None:
    """A build that goes on until it is asked to give up."""
    watch.begin("All", None, 1000)
    step = 0
    while watch.step("All", step % 900):
        step += 1
        threading.Event().wait(0.001)
    raise RuntimeError("canceled by user")


def test_a_listener_that_raises_stops_the_work_and_is_heard() -> None:
    def building(phase: str, done: int, total: int) -> None:
        if done > 3:
            raise InterruptedError("enough")

    with pytest.raises(InterruptedError, match="enough"):
        watched(until_stopped, building)
    assert not any(thread.name == "engine build" for thread in threading.enumerate()), "the work is over"


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_ctrl_c_stops_the_work() -> None:
    def work(watch: Watch) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        until_stopped(watch)

    with pytest.raises(KeyboardInterrupt):
        watched(work, None)
    assert not any(thread.name == "engine build" for thread in threading.enumerate())
