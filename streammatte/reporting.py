"""The run report, put together from what the source, the stages and the sinks have to say at the end."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

from streammatte.inference import Inference
from streammatte.inspection import Inspection
from streammatte.meter import LiveReport, Meter, OutputReport, RefinerReport, RunReport, StudentReport, peak_rss_mb
from streammatte.ports import SinkReport, Source

__all__ = ["Counts", "RunFacts", "run_report"]


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the run report says of the networks; the pipeline only carries it."""

    model: str
    model_licence: str
    weights_sha256: str
    runtime: str
    precision: str
    device: str
    fallbacks: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()
    refiner: RefinerReport | None = None
    prompter: RefinerReport | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """Frames of a run."""

    read: int
    done: int
    dropped: int


def run_report(
    source: Source,
    sinks: list[SinkReport],
    facts: RunFacts,
    meter: Meter,
    inference: Inference,
    inspection: Inspection | None,
    frames: Counts,
    *,
    video_s: float,
    wall_s: float,
    interrupted: bool = False,
    live: LiveReport | None = None,
    student: StudentReport | None = None,
    notes: tuple[str, ...] = (),
) -> RunReport:
    """`video_s` is the length of the video that was read, `wall_s` that of the run; `notes` come last."""
    drifts = [sink.av_drift_ms for sink in sinks if sink.av_drift_ms is not None]
    taught = student.notes if student is not None else ()
    written = (f"{sink.name}: {note}" for sink in sinks for note in sink.notes)
    later = (*source.notes, *written, *taught, *inference.notes, *notes)
    return RunReport(
        input=source.info.name,
        outputs=tuple(OutputReport(sink.name, sink.codec, sink.frames) for sink in sinks),
        frames_in=frames.read,
        frames_out=frames.done,
        frames_dropped=frames.dropped,
        duration_s=round(video_s, 6),
        wall_s=round(wall_s, 3),
        throughput_fps=round(frames.done / wall_s, 2),
        model=facts.model,
        model_licence=facts.model_licence,
        weights_sha256=facts.weights_sha256,
        runtime=facts.runtime,
        precision=facts.precision,
        device=facts.device,
        fallbacks=(*facts.fallbacks, *source.info.not_carried, *later),
        passed_over=facts.passed_over,
        stages=meter.stages(),
        av_drift_ms=max(drifts, default=None, key=abs),
        peak_rss_mb=peak_rss_mb(),
        interrupted=interrupted,
        cuts=inference.cuts,
        network_runs=inference.network_runs,
        inspection=inspection,
        live=live,
        refiner=facts.refiner,
        prompter=facts.prompter,
        student=student,
        streammatte=version("streammatte"),
    )
