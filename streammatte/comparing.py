"""Several models on one clip: all are given the same frames, shown side by side, timed and, with a truth, scored."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from itertools import tee
from pathlib import Path
from typing import Any, TypeAlias

from streammatte.assembly import open_input, planned_outputs
from streammatte.config import Settings
from streammatte.contestant import Contestant, ModelReport
from streammatte.errors import ConfigError, ModelError, RuntimeUnavailable, SourceError
from streammatte.frame import Frame, Matte, Packet, Plane, StreamInfo
from streammatte.kernels import host
from streammatte.meter import OutputReport
from streammatte.mosaic import Mosaic
from streammatte.parts import background_of, check_fgr, facts_of, matter_of, stages_of
from streammatte.pipeline import Progress
from streammatte.ports import BuildProgress, Sink, SinkKind, SinkReport
from streammatte.quality import quality_of
from streammatte.scoring import TruthReader, alpha_of, truth_of
from streammatte.sinks import SinkOptions, open_sink
from streammatte.sources import PICTURE_SUFFIXES
from streammatte.weights.fetch import Progress as PullProgress
from streammatte.worker import Worker

__all__ = ["Comparison", "ComparisonReport"]

_BEHIND = "#469664"
"""A green that neither skin, hair nor most rooms have."""
_EVERY_S = 0.05

_Matted: TypeAlias = tuple[Frame, Matte] | Packet


@dataclass(frozen=True, slots=True)
class ComparisonReport:
    """What was compared, and how each model fared."""

    input: str
    outputs: tuple[OutputReport, ...]
    frames: int
    wall_s: float
    models: tuple[ModelReport, ...]
    left_out: dict[str, str]
    """Models that could not be loaded, and why."""
    notes: tuple[str, ...]
    """Whatever was done otherwise than asked."""
    interrupted: bool
    """The run was stopped before the end of the input; what was done until then is complete."""
    streammatte: str

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return asdict(self)


class Comparison:
    """`load` each of `models`, then `run`, once; `close` in the end.

    `settings` hold for all models, but for their `model`; without `bg` the subjects stand before green. The video goes
    where `output` says, else beside the input; with `alphas` it shows them below the composites. `truth` names a video
    of the right alpha, of the input's size. Raises StreammatteError.
    """

    def __init__(
        self, spec: str, models: Sequence[str], settings: Settings, *, truth: str | None = None, alphas: bool = True
    ) -> None:
        if settings.bg == "none":
            raise ConfigError("--bg", "none leaves nothing to see edges against; name a colour, a picture or a video")
        _check_distinct(models)
        self._settings = _complete(spec, settings)
        self._outputs = planned_outputs(spec, self._settings)
        self._alphas = alphas
        self._contestants: list[Contestant] = []
        self._left_out: dict[str, str] = {}
        self._turn = threading.Lock()
        self._stopping = threading.Event()
        self._interrupt: KeyboardInterrupt | None = None
        self._failure: BaseException | None = None
        self._done = 0
        self._truth: TruthReader | None = None
        with ExitStack() as opened:
            self._source = opened.enter_context(closing(open_input(spec, settings)))
            if self._source.info.live:
                raise ConfigError(spec, "is live; record it and compare models on the file")
            check_fgr(settings, self._source.info)
            if truth is not None:
                _check_apart(truth, [path for path, _ in self._outputs])
                right = opened.enter_context(closing(open_input(truth, _for_truth(settings, self._source.info))))
                self._truth = TruthReader(right, self._source.info)
            self._opened = opened.pop_all()

    def load(
        self, name: str, *, pulling: PullProgress | None = None, building: BuildProgress | None = None
    ) -> str | None:
        """Load the model `name`. Where that cannot be it is left out, and the words are why.

        Raises ConfigError for a model that is there already, under whatever name.
        """
        settings = replace(self._settings, model=name)
        quality = quality_of(settings, live=False)
        background = background_of(settings.bg, settings.fit)
        assert background is not None
        self._opened.callback(background.close)
        try:
            # One frame at a time: each has the whole machine, or times could not be compared.
            matter = matter_of(settings, quality, 1, pulling, building)
        except (ModelError, RuntimeUnavailable) as error:
            self._left_out[name] = str(error)
            return str(error)
        self._opened.callback(matter.close)
        _check_distinct([each.name for each in self._contestants] + [matter.model.called])
        stages = stages_of(settings, quality, matter, background, live=False)
        self._contestants.append(Contestant(facts_of(matter), stages, self._turn))
        return None

    def close(self) -> None:
        """Release everything."""
        self._opened.close()

    def run(self, progress: Progress | None = None) -> ComparisonReport:
        """Compare to the end and report. `progress(done, expected)` is called from this thread.

        The first KeyboardInterrupt ends the clip there and completes the video, a second one drops it. Raises
        ModelError where no model is loaded.
        """
        if not self._contestants:
            reasons = "; ".join(f"{name}: {why}" for name, why in self._left_out.items())
            raise ModelError(f"no model to compare: {reasons or 'none is loaded'}")
        started = time.perf_counter()
        mosaic = Mosaic(self._source.info, ["source", *(each.name for each in self._contestants)], alphas=self._alphas)
        sinks: list[Sink] = []
        try:
            for path, kind in self._outputs:
                sinks.append(open_sink(path, kind, mosaic.info, self._sink_options()))
            self._work(Worker("compare", lambda: self._guard(mosaic, sinks)), progress or (lambda done, expected: None))
            if self._failure is not None:
                raise self._failure
            if not self._done:
                raise self._interrupt or SourceError(f"{self._source.info.name}: no frames; check the file or --start")
            written = [sink.finish() for sink in sinks]
        except BaseException:
            for sink in sinks:
                sink.abort()
            raise
        return self._report(written, time.perf_counter() - started)

    def _sink_options(self) -> SinkOptions:
        settings, facts = self._settings, [each.facts for each in self._contestants]
        models = ", ".join(f"{fact.model} ({fact.model_licence})" for fact in facts)
        return SinkOptions(
            codec=settings.codec,
            crf=settings.crf,
            preset=settings.preset,
            pix_fmt=settings.pix_fmt,
            force=settings.force,
            extra_metadata=(("encoded_by", f"streammatte compare; models {models}"),),
            # Threads of its own would go on beside the next frame's stages, which are timed.
            threads=1,
        )

    def _work(self, worker: Worker, progress: Progress) -> None:
        """Until it has ended. The first KeyboardInterrupt stops the source, the next one is raised."""
        worker.start()
        try:
            try:
                self._watch(worker, progress)
            except KeyboardInterrupt as interrupt:
                self._interrupt = interrupt
                self._stopping.set()
                self._watch(worker, progress)
        except BaseException:
            self._stopping.set()
            worker.ended.wait()  # nothing is closed under the hands of whoever works with it
            raise

    def _watch(self, worker: Worker, progress: Progress) -> None:
        while not worker.ended.wait(_EVERY_S):
            progress(self._done, self._source.info.frame_count)
        progress(self._done, self._source.info.frame_count)

    def _guard(self, mosaic: Mosaic, sinks: list[Sink]) -> None:
        try:
            self._compare(mosaic, sinks)
        except BaseException as error:
            self._failure = error

    def _compare(self, mosaic: Mosaic, sinks: list[Sink]) -> None:
        """All in step: each gives every event once, in order, so that no more is held than each holds by itself."""
        with ExitStack() as ways:
            streams = tee(self._events(), len(self._contestants))
            lanes = [each.mattes(stream) for each, stream in zip(self._contestants, streams, strict=True)]
            for lane in lanes:
                ways.callback(lane.close)
            for events in zip(*lanes, strict=True):
                self._take(events, mosaic, sinks)

    def _events(self) -> Iterator[Frame | Packet]:
        """The source's until Ctrl-C, which may also have ended the program that feeds a pipe."""
        events = self._source.events()
        try:
            while not self._stopping.is_set():
                with self._turn:
                    event = next(events, None)
                if event is None:
                    return
                yield event
        except SourceError:
            if not self._stopping.is_set():
                raise

    def _take(self, events: Sequence[_Matted], mosaic: Mosaic, sinks: list[Sink]) -> None:
        """One event, as each contestant gives it: the same packet, or the same frame with a matte of its own."""
        first = events[0]
        if isinstance(first, Packet):
            for sink in sinks:
                sink.write_packet(first)
            return
        mattes = [event[1] for event in events if not isinstance(event, Packet)]
        forms = [each.compose(first[0], matte) for each, matte in zip(self._contestants, mattes, strict=True)]
        with self._turn:
            self._show(first[0], forms, mosaic, sinks)
        self._done += 1

    def _show(self, frame: Frame, forms: list[dict[SinkKind, Frame]], mosaic: Mosaic, sinks: list[Sink]) -> None:
        right = None if self._truth is None else self._truth.step()
        wanted: Plane | None = None
        if right is not None:
            truth = truth_of(right)
            for each, form in zip(self._contestants, forms, strict=True):
                each.scorer.step(alpha_of(form["pha"]), truth)
            wanted = host.alpha_plane(right, frame.width, frame.height, frame.format)
        alphas = [wanted, *(form["pha"].planes[0] for form in forms)]
        picture = mosaic.paint([frame, *(form["com"] for form in forms)], alphas)
        for sink in sinks:
            sink.write(picture)

    def _report(self, written: list[SinkReport], wall_s: float) -> ComparisonReport:
        source, stopped = self._source, self._stopping.is_set()
        of_truth = () if self._truth is None else self._truth.notes(self._done, whole=not stopped)
        of_sinks = (f"{sink.name}: {note}" for sink in written for note in sink.notes)
        return ComparisonReport(
            input=source.info.name,
            outputs=tuple(OutputReport(sink.name, sink.codec, sink.frames) for sink in written),
            frames=self._done,
            wall_s=round(wall_s, 3),
            models=tuple(each.report() for each in self._contestants),
            left_out=self._left_out,
            notes=(*source.info.not_carried, *source.notes, *of_truth, *of_sinks),
            interrupted=stopped,
            streammatte=version("streammatte"),
        )


def _check_distinct(models: Sequence[str]) -> None:
    for name in models:
        if models.count(name) > 1:
            raise ConfigError("--model", f"{name} is named twice; name each model once")


def _check_apart(truth: str, outputs: Sequence[Path]) -> None:
    for path in outputs:
        if path.resolve() == Path(truth).resolve():
            raise ConfigError("--output", f"{path} is the truth; choose another name")


def _complete(spec: str, settings: Settings) -> Settings:
    """With a background, and one output: beside the input where none is named."""
    path = Path(spec)
    suffix = path.suffix.lower() if path.suffix.lower() in (".mp4", ".mov", ".mkv", ".webm") else ".mp4"
    if path.is_file() and path.suffix.lower() in PICTURE_SUFFIXES:
        suffix = ".png"
    beside = path.with_name(f"{path.stem}.compare{suffix}") if path.is_file() else Path(f"streammatte.compare{suffix}")
    return replace(settings, bg=settings.bg or _BEHIND, output=settings.output or (beside,), matte=None, to=())


def _for_truth(settings: Settings, shown: StreamInfo) -> Settings:
    """The same stretch of it; pictures one a frame of the input."""
    return Settings(
        start_s=settings.start_s,
        duration_s=settings.duration_s,
        input_rate=None if shown.rate is None else str(shown.rate),
        salvage=settings.salvage,
    )
