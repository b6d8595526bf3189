"""`streammatte tune camera`: a scene from a camera, the user being told what to do, while they see how far it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from streammatte.backgrounds.still import SolidBackground
from streammatte.config import Settings
from streammatte.errors import StreammatteError, StudentError
from streammatte.frame import Frame, Matte
from streammatte.handoff import Cancelled, Handoff
from streammatte.matter import Matter
from streammatte.meter import Meter
from streammatte.mosaic import Mosaic
from streammatte.parts import stages_of
from streammatte.ports import LiveSink, Source
from streammatte.quality import quality_of
from streammatte.sampling import MOST_SAMPLES, Sample, check_enough, is_held_out, sample_of, student_size, thinned
from streammatte.schooling import Graduate, Lessons, Taught
from streammatte.sinks.live import open_live_sink
from streammatte.worker import Worker

__all__ = ["GUIDANCE", "Guided", "Told"]

GUIDANCE = (
    "sit as you do in a call",
    "turn your head, then your whole body, to the left and to the right",
    "lean to the left, to the right, back, and towards the camera",
    "move your hands: wave, touch your face and your hair",
    "hold something up to the camera: a cup, a book, a telephone",
    "lean out of the picture, and come back",
)
_STEP_S = 10.0
_APART_S = 0.4
"""Between two samples, at least."""
_FIRST_SAMPLES = 12
_ROUND_S = 15.0
"""Of a lesson; the next one knows more samples."""
_BETTER = 0.97
"""A round whose error is above so much of the best one's has not got better."""
_ROUNDS = 2
"""So many in a row, once the guidance is through, and it is over."""
_BEHIND = (0.1, 0.35, 0.15)
_ENDING_S = 2.0

Told = Callable[[str, str], None]
"""Called with what the user is to do now, and how far the student is, in words; from several threads."""


class Guided:
    """Teaches a student from the live `source` by `matter`, until it gets no better, `seconds` have passed, or `stop`.

    Frames stay in memory. `show` is a live sink on which teacher and student are seen side by side.
    """

    def __init__(self, source: Source, matter: Matter, settings: Settings, seconds: float, told: Told, show: str = ""):
        self._source, self._matter, self._settings, self._seconds, self._told = source, matter, settings, seconds, told
        self._lessons = Lessons(matter, source.info.name, settings.seed)
        self._preview = _Preview(source, matter, settings, show) if show else None
        self.reach = "" if self._preview is None else str(self._preview.sink.reach.get("url", ""))
        """Where the preview can be seen."""
        self._captured: Handoff[Frame] = Handoff(1, "drop_oldest")
        self._samples: list[Sample] = []
        self._numbered = 0
        self._best: Graduate | None = None
        self._present: Graduate | None = None
        self._swapping = threading.Lock()
        self._worse = 0
        self._failure: StreammatteError | None = None
        self._over = threading.Event()

    def stop(self) -> None:
        """Enough: what has been learnt is what there is."""
        self._over.set()

    def run(self) -> Taught:
        """Blocks. Raises StudentError where nothing could be taught, SourceError where the camera fails."""
        workers = [Worker("capture", self._capture), Worker("teach", self._teach)]
        for worker in workers:
            worker.start()
        try:
            self._look()
        except KeyboardInterrupt:  # enough, says the user
            pass
        finally:
            self._over.set()
            self._captured.close()
            self._lessons.close()
            if workers[0].ended.wait(_ENDING_S):
                self._source.close()
            workers[1].ended.wait(_ENDING_S)
            self._close()
        if self._best is None:
            check_enough(self._samples, self._source.info.name)
            raise self._failure or StudentError(f"{self._source.info.name}: stopped before anything was taught")
        return self._best.taught

    def _close(self) -> None:
        if self._preview is not None:
            self._preview.sink.abort()
        for graduate in {id(each): each for each in (self._best, self._present) if each is not None}.values():
            graduate.close()

    def _capture(self) -> None:
        try:
            for event in self._source.events():
                if self._over.is_set():
                    return
                if isinstance(event, Frame):
                    self._captured.put(event)
        except Cancelled:
            pass
        except StreammatteError as error:
            self._failure = error
        finally:
            self._captured.close()

    def _look(self) -> None:
        """Frame by frame: the teacher's word for it, a sample, a picture of both."""
        size, started_s = student_size(self._source.info), time.monotonic()
        for frame in self._frames():
            since_s = time.monotonic() - started_s
            if since_s > self._seconds:
                return
            self._tell(since_s)
            look = self._matter.look(frame)
            matte = self._matter.see(look)
            if not self._samples or look.matte.time_s - self._samples[-1].time_s >= _APART_S:
                self._keep(replace(sample_of(matte, look.rotation, size), held_out=is_held_out(self._numbered)))
            with self._swapping:
                said = None if self._present is None else self._present.student.see(look)
            if self._preview is not None:
                self._preview.paint(frame, matte, said)
        if self._failure is not None and self._best is None:
            raise self._failure

    def _frames(self) -> Iterator[Frame]:
        while not self._over.is_set() and not self._captured.over:
            frame = self._captured.take(0.2)
            if frame is not None:
                yield frame

    def _keep(self, sample: Sample) -> None:
        self._numbered += 1
        self._samples = thinned([*self._samples, sample], 2 * MOST_SAMPLES)

    def _tell(self, since_s: float) -> None:
        step = int(since_s / _STEP_S)
        doing = GUIDANCE[step] if step < len(GUIDANCE) else "go on as you like; it is over once it gets no better"
        self._told(doing, self._how_far())

    def _how_far(self) -> str:
        words = f"{len(self._samples)} frames"
        if self._best is None:
            return words
        return f"{words}, {self._best.steps} steps, {1e3 * self._best.taught.learnt.error:.1f} from its teacher"

    def _teach(self) -> None:
        """Round after round, each with all that has been seen by then."""
        started_s = time.monotonic()
        while not self._over.is_set():
            samples = self._samples
            if len(samples) < _FIRST_SAMPLES:
                self._over.wait(0.2)
                continue
            try:
                check_enough(samples, self._source.info.name)
            except StudentError:  # nobody is there yet
                self._over.wait(1.0)
                continue
            try:
                self._take(self._lessons(samples, _ROUND_S), time.monotonic() - started_s)
            except StreammatteError as error:
                if not self._over.is_set():
                    self._failure = error
                    self._over.set()

    def _take(self, graduate: Graduate, since_s: float) -> None:
        error, best = graduate.taught.learnt.error, self._best
        guided = since_s > _STEP_S * len(GUIDANCE)
        better = best is None or error < _BETTER * best.taught.learnt.error
        self._worse = 0 if better or not guided else self._worse + 1
        with self._swapping:
            before, self._present = self._present, graduate
            # Until the guidance is through, what is held out is ever harder: errors cannot be compared.
            if best is None or not guided or error < best.taught.learnt.error:
                self._best = graduate
            for gone in (before, best):
                if gone is not None and gone not in (self._best, self._present):
                    gone.close()
        if self._worse >= _ROUNDS:
            self._over.set()


class _Preview:
    """Teacher and student, each over green."""

    def __init__(self, source: Source, matter: Matter, settings: Settings, show: str) -> None:
        self._mosaic = Mosaic(source.info, ["source", "teacher", "student"], alphas=False)
        self.sink: LiveSink = open_live_sink(show, self._mosaic.info)
        quick = replace(settings, quality="fast", refine="guided")
        quality, behind = quality_of(quick, live=True), SolidBackground(_BEHIND)
        self._both = [stages_of(quick, quality, matter, behind, live=True) for _ in range(2)]
        self._meter = Meter()

    def paint(self, frame: Frame, teacher: Matte, student: Matte | None) -> None:
        """Show one frame; without a student the room stands in its place."""
        pictures = [frame]
        for stages, matte in zip(self._both, (teacher, student), strict=True):
            forms = {} if matte is None else stages.compose(frame, matte, {"com"}, self._meter, None)
            pictures.append(forms.get("com", frame))
        self.sink.write(self._mosaic.paint(pictures, [None] * len(pictures)))
