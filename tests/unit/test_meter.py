"""Percentiles within a percent, in constant memory; the report as JSON."""

from __future__ import annotations

import json
import math
import os
import sys
import time
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import streammatte.meter as subject
from streammatte.meter import (
    Meter,
    OutputReport,
    RefinerReport,
    RunReport,
    StageTimes,
    StudentReport,
    StudentSpan,
    peak_rss_mb,
)


def timed(durations_s: Iterable[float], meter: Meter | None = None, stage: str = "infer") -> Meter:
    """A meter that saw blocks of these durations, on a clock that the test turns."""
    meter, now_s = meter or Meter(), 0.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subject, "time", SimpleNamespace(perf_counter=lambda: now_s))
        for duration_s in durations_s:
            now_s = 0.0
            with meter.stage(stage):
                now_s = duration_s
    return meter


def exact_ms(durations_s: list[float], percent: int) -> float:
    """The nearest-rank percentile."""
    return sorted(durations_s)[-(-percent * len(durations_s) // 100) - 1] * 1e3


@given(st.lists(st.floats(1e-6, 100), min_size=1, max_size=60))
@example([10.4e-6])
@example([1e-6, 1.49e-6])
def test_percentiles_are_within_one_percent(durations_s: list[float]) -> None:
    found = timed(durations_s).stages()["infer"]
    for actual_ms, percent in ((found.p50_ms, 50), (found.p95_ms, 95), (found.p99_ms, 99)):
        assert actual_ms == pytest.approx(exact_ms(durations_s, percent), rel=0.01)


def test_percentiles_of_a_long_run() -> None:
    durations_s = np.random.default_rng(0).lognormal(math.log(0.012), 0.5, 20_000).tolist()
    found = timed(durations_s).stages()["infer"]
    assert found.p50_ms == pytest.approx(exact_ms(durations_s, 50), rel=0.01)
    assert found.p95_ms == pytest.approx(exact_ms(durations_s, 95), rel=0.01)
    assert found.p99_ms == pytest.approx(exact_ms(durations_s, 99), rel=0.01)


def test_one_slow_frame_in_a_hundred_is_p99_only() -> None:
    found = timed([0.01] * 98 + [1.0] * 2).stages()["infer"]
    assert (found.p50_ms, found.p95_ms) == pytest.approx((10, 10), rel=0.01)
    assert found.p99_ms == pytest.approx(1000, rel=0.01)


def test_no_time_at_all_is_no_error() -> None:
    assert timed([0.0]).stages()["infer"].p99_ms <= 0.001


def test_memory_does_not_grow_with_the_stream() -> None:
    dice = np.random.default_rng(1)
    meter = timed(dice.uniform(1e-3, 0.1, 20_000))
    tracemalloc.start()
    try:
        timed(dice.uniform(1e-3, 0.1, 20_000), meter)
        grown = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert grown < 100_000


def test_stages_come_in_the_order_they_were_seen() -> None:
    meter = Meter()
    for stage in ("decode", "infer", "decode", "blend"):
        timed([0.01], meter, stage)
    assert list(meter.stages()) == ["decode", "infer", "blend"]


def test_nothing_seen_nothing_said() -> None:
    assert Meter().stages() == {}


def test_it_measures_real_time() -> None:
    meter = Meter()
    with meter.stage("spin"):
        end = time.perf_counter() + 0.005
        while time.perf_counter() < end:
            pass
    assert meter.stages()["spin"].p50_ms >= 5 * 0.99


REPORT = RunReport(
    input="in.mp4",
    outputs=(OutputReport("out.mp4", "h264", 50),),
    frames_in=50,
    frames_out=50,
    frames_dropped=0,
    duration_s=2.0,
    wall_s=1.5,
    throughput_fps=33.3,
    model="u2net",
    model_licence="Apache-2.0",
    weights_sha256="0" * 64,
    runtime="openvino 2026.4.1",
    precision="f32",
    device="CPU",
    fallbacks=("runtime x passed over: y",),
    passed_over=("runtime z passed over: no GPU",),
    stages={"infer": StageTimes(1.0, 2.0, 3.0)},
    av_drift_ms=None,
    peak_rss_mb=100.0,
)
REFINER = RefinerReport("edges", "MIT", "1" * 64, "openvino 2026.4.1", "f32", "CPU")
STUDENT = StudentReport(
    teacher="u2net",
    frames_taught=21,
    frames_held_out=7,
    apart=0.0031,
    steps=900,
    seconds=95.0,
    precision="f32",
    frames_student=30,
    frames_teacher=10,
    spans=(StudentSpan("student", 0.0, 1.2, 30), StudentSpan("teacher", 1.24, 1.6, 10)),
)
KEYS = """
input outputs frames_in frames_out frames_dropped duration_s wall_s throughput_fps model model_licence weights_sha256
runtime precision device fallbacks passed_over stages av_drift_ms peak_rss_mb interrupted network_runs cuts
inspection live refiner prompter student streammatte
"""


def test_report_is_plain_json_with_every_key() -> None:
    """Scripts read these names: a new one is added here, an old one is never renamed."""
    read = json.loads(json.dumps(REPORT.to_json(), allow_nan=False))
    assert set(read) == set(KEYS.split())
    assert read["outputs"] == [{"path": "out.mp4", "codec": "h264", "frames": 50}]
    assert read["stages"] == {"infer": {"p50_ms": 1.0, "p95_ms": 2.0, "p99_ms": 3.0}}
    assert read["fallbacks"] == ["runtime x passed over: y"]
    assert (read["interrupted"], read["cuts"], read["av_drift_ms"]) == (False, 0, None)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_peak_memory_is_in_mebibytes() -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    now_mb = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    peak_mb = peak_rss_mb()
    assert peak_mb is not None
    assert now_mb - 1 <= peak_mb < 100 * now_mb
