"""The inspection of whole runs: what is found, when, in which words, with which pictures, in how much memory."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterable
from dataclasses import asdict, replace
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from scenes import coded, disc, make_frame, make_matte

from streammatte.errors import ContractError
from streammatte.inspection import Inspection, Loss, Moment, Sample, Span, clock
from streammatte.inspector import Inspector
from streammatte.inspector.moments import WorstMoments

SIZE = (96, 64)
Float = npt.NDArray[np.float32]
SUBJECT = disc(*SIZE)
COVERAGE = float(SUBJECT.mean())


def watched(alphas: Iterable[Float], *, pictures: bool = False, cuts: tuple[int, ...] = (), **facts: Any) -> Inspector:
    """An inspector that has seen a still picture with these alphas (H, W), 25 a second."""
    inspector = Inspector(pictures=pictures)
    dice = np.random.default_rng(1).random((8, 12, 3), np.float32)
    picture = np.asarray(cv2.resize(dice, SIZE, interpolation=cv2.INTER_CUBIC).clip(0, 1), np.float32)
    frame = make_frame("yuv420p", SIZE, rgb=picture, **facts)
    for i, alpha in enumerate(alphas):
        frame = replace(frame, pts=frame.pts + bool(i), seq=i)
        matte = replace(make_matte(np.zeros((64, 96), np.float32), float(frame.time)), src=picture)
        inspector.inspect(frame, replace(matte, discontinuity=i in cuts), coded(alpha, frame.format))
    return inspector


def found(*alphas: Float, **how: Any) -> Inspection:
    return watched(alphas, **how).findings()


def test_a_steady_subject_gives_no_cause_for_complaint() -> None:
    report = found(*[SUBJECT] * 50)
    assert (report.frames, report.flicker, report.flicker_worst, report.edge_collapsed) == (50, 0, 0, 0)
    assert (report.empty_frames, report.ghost_frames, report.empty, report.ghosts) == (0, 0, (), ())
    assert (report.lost, report.moments) == ((), ())
    assert [report.coverage_min, report.coverage_mean, report.coverage_max] == pytest.approx([COVERAGE] * 3, abs=1e-3)
    assert len(report.coverage_over_time) == 50
    assert report.summary() == "flicker 0.0 · 0 % of edge alphas collapsed"


def test_flicker_is_measured_and_timed() -> None:
    alphas = [SUBJECT] * 50
    alphas[20] = SUBJECT * np.float32(0.8)
    report = found(*alphas)
    dip = 200 * COVERAGE
    assert report.flicker_worst == pytest.approx(dip, rel=0.03)
    assert report.flicker == pytest.approx(2 * dip / 49, rel=0.03)
    (worst,) = report.moments
    assert (worst.kind, worst.score) == ("flicker", report.flicker_worst)
    assert worst.time_s in (0.8, 0.84)
    assert worst.reason == f"alpha changes where the picture does not: {worst.score:.1f}, 24.5 times this run's mean"
    assert [sample.time_s for sample in report.flicker_over_time if sample.mean > 1] == [0.8, 0.84]


def test_a_lost_subject_is_told_with_its_time() -> None:
    report = found(*[SUBJECT] * 25, *[SUBJECT * 0] * 10, *[SUBJECT] * 10)
    (loss,) = report.lost
    assert (loss.time_s, loss.before, loss.after, loss.back_s) == (1.0, pytest.approx(COVERAGE, abs=1e-3), 0, 1.4)
    assert (report.empty_frames, report.empty) == (10, (Span(1.0, 1.4, 10),))
    assert (report.moments[0].kind, report.moments[0].time_s) == ("lost", 1.0)
    share = f"{100 * loss.before:.1f} %"
    assert report.moments[0].reason == f"the subject is lost: coverage falls from {share} to 0.0 %"
    assert "10 empty frames (first at 0:01.0) · subject lost at 0:01.0" in report.summary()


def test_a_cut_to_an_empty_room_is_no_loss() -> None:
    report = found(*[SUBJECT] * 25, *[SUBJECT * 0] * 10, cuts=(25,))
    assert (report.lost, report.empty_frames, report.flicker) == ((), 10, 0)
    assert report.moments == ()


def test_a_ghost_is_one_moment_however_long() -> None:
    faint = np.asarray(SUBJECT * np.float32(0.3), np.float32)
    alphas = [SUBJECT * 0, *(faint * np.float32(0.5 + i / 200) for i in range(100))]
    report = found(*alphas)
    assert (report.ghost_frames, report.ghosts) == (100, (Span(0.04, 4.04, 100),))
    ghosts = [moment for moment in report.moments if moment.kind == "ghost"]
    assert [(moment.time_s, moment.seq) for moment in ghosts] == [(4.0, 100)], "when it was worst"
    assert ghosts[0].score == pytest.approx(1e3 * 0.3 * COVERAGE * (0.5 + 99 / 200), rel=0.03)
    assert "hardly anything more than half opaque" in ghosts[0].reason
    assert "100 ghost frames (first at 0:00.0)" in report.summary()


def test_a_thresholded_matte_has_collapsed() -> None:
    report = found(*[disc(*SIZE, soft_px=0)] * 3)
    assert report.edge_collapsed == pytest.approx(1, abs=0.02)
    assert report.edge_opacity is not None
    assert sum(report.edge_opacity[1:-1]) == pytest.approx(0, abs=1e-3)
    assert "100 % of edge alphas collapsed" in report.summary()


def test_times_count_from_the_first_frame() -> None:
    report = found(*[SUBJECT] * 25, *[SUBJECT * 0] * 2, pts=9000, time_base=Fraction(1, 25))
    assert (report.lost[0].time_s, report.empty[0].start_s, report.coverage_over_time[0].time_s) == (1.0, 1.0, 0.0)


def test_one_frame_alone() -> None:
    report = found(SUBJECT)
    assert (report.frames, report.flicker, report.flicker_worst, report.flicker_over_time) == (1, None, None, ())
    empty = found(SUBJECT * 0)
    assert (empty.edge_opacity, empty.edge_collapsed) == (None, None)
    assert empty.summary() == "1 empty frame (first at 0:00.0)"
    with pytest.raises(ContractError, match="at least one frame inspected"):
        Inspector().findings()


def test_findings_are_plain_json() -> None:
    report = found(*[SUBJECT] * 5, SUBJECT * 0, SUBJECT)
    read = json.loads(json.dumps(asdict(report), allow_nan=False))
    assert read["coverage_over_time"][0] == [0.0, *[report.coverage_max] * 3]
    assert read["moments"][0]["kind"] == "lost"
    assert read["lost"][0]["back_s"] == 0.24


def test_pictures_of_the_worst_moments() -> None:
    alphas = [*[SUBJECT] * 25, *[SUBJECT * 0] * 10]
    inspector = watched(alphas, pictures=True, rotation=90)
    (shown,) = inspector.pictures()
    assert set(shown) == {"frame", "alpha", "over", "change"}
    pictures = {name: cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR) for name, file in shown.items()}
    assert {picture.shape for picture in pictures.values()} == {(96, 64, 3)}, "upright"
    assert pictures["alpha"].max() < 8
    assert np.abs(pictures["over"].astype(int) - (64, 176, 0)).mean() < 4
    middle, corner = pictures["change"][48, 32], pictures["change"][4, 4]
    assert middle[0] > 200 > middle[2], "blue: alpha went"
    assert int(corner.max()) - int(corner.min()) < 30
    assert watched(alphas).pictures() == ({},), "only where they are wanted"


def test_a_large_picture_is_made_small() -> None:
    inspector = Inspector(pictures=True)
    for n, coverage in enumerate((1.0, 1.0, 0.0)):
        frame = make_frame("yuv420p10le", (1440, 1080), rgb=(0.5, 0.4, 0.3), sar=Fraction(4, 3), pts=n, seq=n)
        pha = coded(np.full((1080, 1440), coverage, np.float32), frame.format)
        inspector.inspect(frame, make_matte(np.zeros((320, 320), np.float32), n / 25), pha)
    (shown,) = inspector.pictures()
    assert cv2.imdecode(np.frombuffer(shown["frame"], np.uint8), cv2.IMREAD_COLOR).shape == (270, 480, 3)
    assert sum(map(len, shown.values())) < 200_000


def test_memory_does_not_grow_with_the_run() -> None:
    dice = np.random.default_rng(2)
    small = [np.asarray(SUBJECT[:32, :32] * np.float32(dice.random()), np.float32) for _ in range(20)]
    inspector = Inspector(pictures=True)
    frame = make_frame("yuv420p", (32, 32))
    matte = make_matte(np.zeros((32, 32), np.float32))

    def run(first: int, last: int) -> None:
        for n in range(first, last):
            shown = replace(matte, time_s=n / 25, discontinuity=n % 50 == 0)
            alpha = small[n % 20] * np.float32(n % 7 != 0)
            inspector.inspect(replace(frame, seq=n), shown, coded(alpha, frame.format))

    run(0, 1500)
    tracemalloc.start()
    try:
        run(1500, 4000)
        grown = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert grown < 300_000


def kept(*scores: tuple[float, float]) -> list[tuple[float, float]]:
    """(time, score) of what is kept of these, worst first."""
    worst = WorstMoments()
    for time_s, score in scores:
        worst.offer(Moment(time_s, 0, "flicker", score, ""), time_s, dict)
    return [(moment.time_s, moment.score) for moment in worst.moments(1.0)]


def test_the_ten_worst_are_kept() -> None:
    scores = np.random.default_rng(3).permutation(40) + 1.0
    assert [score for _, score in kept(*enumerate(scores.tolist()))] == list(range(40, 30, -1))


def test_they_are_half_a_second_apart() -> None:
    assert kept((0.0, 1.0), (0.4, 3.0), (0.8, 2.0)) == [(0.4, 3.0)]
    assert kept((0.0, 1.0), (0.5, 3.0), (1.0, 2.0)) == [(0.5, 3.0), (1.0, 2.0), (0.0, 1.0)]
    assert kept((0.0, 0.05)) == [], "nothing to speak of"


def test_pictures_are_made_of_what_is_kept_only() -> None:
    made = []
    worst = WorstMoments()
    for i, score in enumerate((5.0, 4.0, 6.0)):
        worst.offer(Moment(i / 10, i, "flicker", score, ""), i / 10, lambda i=i: made.append(i) or {"frame": b"%d" % i})  # type: ignore[misc]
    assert (made, worst.pictures()) == ([0, 2], ({"frame": b"2"},))


@pytest.mark.parametrize(
    ("time_s", "text"),
    [(0, "0:00.0"), (12.34, "0:12.3"), (59.96, "1:00.0"), (754.1, "12:34.1"), (3723.4, "1:02:03.4")],
)
def test_times_are_written_as_players_do(time_s: float, text: str) -> None:
    assert clock(time_s) == text


def test_the_summary_counts() -> None:
    base = found(*[SUBJECT] * 2)
    loss = Loss(12.34, 0.2, 0.0, None)
    one, three = replace(base, lost=(loss,)), replace(base, lost=(loss,) * 3)
    assert one.summary() == "flicker 0.0 · 0 % of edge alphas collapsed · subject lost at 0:12.3"
    assert three.summary().endswith("subject lost at 0:12.3 and 2 more times")
    assert replace(base, flicker=None, edge_collapsed=None).summary() == "nothing to compare"
    assert base.coverage_over_time[0] == Sample(0.0, *[base.coverage_max] * 3)
