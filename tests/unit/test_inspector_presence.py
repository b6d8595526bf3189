"""Empty frames, ghosts and lost subjects; samples over time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scenes import disc

from streammatte.inspection import Loss, Span
from streammatte.inspector.presence import Losses, Spans, is_empty, is_ghost
from streammatte.inspector.series import Series


def test_empty_is_less_than_a_thousandth() -> None:
    assert [is_empty(coverage) for coverage in (0.0, 0.0009, 0.001, 0.5)] == [True, True, False, False]


@pytest.mark.parametrize(("alpha", "answer"), [(1.0, False), (0.6, False), (0.4, True), (0.06, True), (0.01, False)])
def test_a_ghost_is_nowhere_firm(alpha: float, answer: bool) -> None:
    """An alpha of 0.01 in a tenth of the frame is nothing at all."""
    assert is_ghost(disc(160, 160, radius=0.2) * np.float32(alpha)) is answer


def test_a_few_firm_pixels_do_not_make_a_ghost_real() -> None:
    alpha = disc(160, 160, radius=0.3) * np.float32(0.4)
    alpha[80, 70:90] = 1
    assert is_ghost(alpha)
    alpha[60:100, 60:100] = 1
    assert not is_ghost(alpha)


def spans_of(*holds: bool) -> Spans:
    spans = Spans()
    for i, hold in enumerate(holds):
        spans.step(i / 10, (i + 1) / 10, hold)
    return spans


def test_stretches_of_frames() -> None:
    spans = spans_of(True, True, False, False, True)
    assert spans.frames == 3
    assert spans.spans() == (Span(0.0, 0.2, 2), Span(0.4, 0.5, 1))
    assert spans.spans() == (Span(0.0, 0.2, 2), Span(0.4, 0.5, 1)), "asking changes nothing"


def test_a_stretch_says_when_it_began() -> None:
    spans = Spans()
    assert [spans.step(t, t + 1, t in (1, 2, 4)) for t in range(5)] == [None, 1, 1, None, 4]


def test_the_longest_hundred_stay() -> None:
    spans = spans_of(*([True, False] * 80 + [True, True, False] * 60))
    assert spans.frames == 200
    assert len(spans.spans()) == 100
    assert sum(span.frames == 2 for span in spans.spans()) == 60
    assert list(spans.spans()) == sorted(spans.spans(), key=lambda span: span.start_s)


def losses_of(*coverages: float, rate: float = 25.0, cuts: tuple[int, ...] = ()) -> list[Loss]:
    losses = Losses()
    found = [losses.step(i / rate, coverage, i in cuts) for i, coverage in enumerate(coverages)]
    assert [loss.time_s for loss in found if loss is not None][:100] == [loss.time_s for loss in losses.losses]
    return losses.losses


def test_a_subject_that_vanishes_is_lost_once() -> None:
    assert losses_of(*[0.2] * 25, *[0.001] * 25) == [Loss(1.0, 0.2, 0.001, None)]


def test_it_is_back_when_half_of_it_is() -> None:
    assert losses_of(*[0.2] * 25, 0.01, 0.02, 0.09, 0.11, 0.2) == [Loss(1.0, 0.2, 0.01, 1.12)]
    twice = losses_of(*[0.2] * 25, 0, *[0.2] * 24, 0, 0)
    assert [(loss.time_s, loss.back_s) for loss in twice] == [(1.0, 1.04), (2.0, None)]


def test_it_may_take_a_few_frames_to_vanish() -> None:
    assert len(losses_of(*[0.2] * 25, 0.15, 0.1, 0.05, 0.01, 0.0)) == 1


@pytest.mark.parametrize("rate", [1.0, 5.0, 240.0])
def test_at_any_frame_rate(rate: float) -> None:
    assert [loss.time_s for loss in losses_of(*[0.2] * 20, 0.0, 0.0, rate=rate)] == [20 / rate]


def test_what_is_no_loss() -> None:
    walks_out = [0.2 * (1 - i / 25) for i in range(26)]
    assert losses_of(*[0.2] * 50, *walks_out, *[0.0] * 25) == []
    assert losses_of(*[0.2] * 25, *[0.0] * 25, cuts=(25,)) == [], "a cut"
    assert losses_of(*[0.005] * 25, *[0.0] * 25) == [], "there was hardly anything"
    assert losses_of(*[0.2] * 25, *[0.05] * 25) == [], "a quarter is left"
    assert losses_of(*[0.0] * 25, *[0.2] * 25) == [], "one that appears"


def test_after_a_cut_all_is_new() -> None:
    found = losses_of(*[0.2] * 25, *[0.0] * 25, *[0.3] * 25, *[0.0] * 5, cuts=(50,))
    assert [(loss.time_s, loss.back_s) for loss in found] == [(1.0, None), (3.0, None)]


def test_the_first_hundred_losses_are_told() -> None:
    found = losses_of(*[0.2, 0.2, 0.0, 0.2] * 150)
    assert len(found) == 100
    assert all(loss.back_s is not None for loss in found)


def test_a_series_keeps_mean_and_extremes_in_bounded_memory() -> None:
    values = np.random.default_rng(0).random(9600)
    values[5000] = 7.0
    series = Series()
    for i, value in enumerate(values):
        series.add(i / 25, float(value))
    samples = series.samples()
    assert 300 <= len(samples) <= 600
    assert (series.count, series.high) == (9600, 7.0)
    assert series.mean == pytest.approx(values.mean())
    assert np.mean([sample.mean for sample in samples]) == pytest.approx(values.mean(), abs=1e-3)
    assert [sample.time_s for sample in samples if sample.high == 7.0] == [pytest.approx(200, abs=2)]
    times = [sample.time_s for sample in samples]
    assert (times, times[0]) == (sorted(times), 0.0)
    assert all(sample.low <= sample.mean <= sample.high for sample in samples)


def test_a_short_series_is_kept_as_it_is() -> None:
    series = Series()
    assert (series.samples(), series.mean) == ((), 0.0)
    for i in range(5):
        series.add(i / 10, i * i)
    assert [(sample.time_s, sample.mean) for sample in series.samples()] == [(i / 10, i * i) for i in range(5)]


@pytest.mark.parametrize("count", [599, 600, 601, 1200, 1801])
def test_no_frame_of_a_series_is_forgotten(count: int) -> None:
    series = Series()
    for i in range(count):
        series.add(float(i), float(i))
    samples = series.samples()
    assert (samples[0].low, samples[-1].high) == (0, count - 1)
    assert all(one.high + 1 == two.low for one, two in pairwise(samples))
