"""Watches the mattes of a run go by and says what is wrong with them, without knowing the truth."""

from __future__ import annotations

from functools import partial

from streammatte.errors import ContractError
from streammatte.frame import Frame, Matte, Plane
from streammatte.inspection import Inspection, Loss, Moment
from streammatte.inspector.edges import EdgeOpacity
from streammatte.inspector.flicker import Change, Flicker, shrink
from streammatte.inspector.moments import Pictures, WorstMoments
from streammatte.inspector.pictures import pictures_of
from streammatte.inspector.presence import Losses, Spans, is_empty, is_ghost
from streammatte.inspector.series import Series

__all__ = ["Inspector"]


class Inspector:
    """Takes every frame of a run, in order, from one thread; made to cost less than a millisecond a 1080p frame.

    Memory does not grow with the run: samples over time are joined, lists have an end. With `pictures`, the ten worst
    moments are also kept as small JPEG files. What is measured, and how:

    - flicker: the flow-warping error of alpha (`flicker.warping_error`);
    - the edge's opacity, and the share of it that has collapsed (`edges.EdgeOpacity`);
    - coverage, the mean alpha of a frame; empty and ghost frames, lost subjects (`presence`).
    """

    def __init__(self, *, pictures: bool = False) -> None:
        self.with_pictures = pictures
        self._first_s: float | None = None
        self._flicker, self._edges, self._losses = Flicker(), EdgeOpacity(), Losses()
        self._empty, self._ghosts = Spans(), Spans()
        self._coverage, self._errors = Series(), Series()
        self._worst = WorstMoments()

    def inspect(self, frame: Frame, matte: Matte, pha: Plane) -> None:
        """Take in the next frame, its steadied matte, and the final alpha plane (H, W), 0..`frame.format.peak`."""
        self._first_s = matte.time_s if self._first_s is None else self._first_s
        time_s = round(matte.time_s - self._first_s, 3)
        end_s = round(time_s + float(frame.duration * frame.time_base), 3)
        small = shrink(matte, pha, frame.format.peak)
        coverage = float(small.pha.mean())
        self._coverage.add(time_s, coverage)
        self._edges.step(pha, frame.format.peak, frame.seq)
        self._empty.step(time_s, end_s, is_empty(coverage))
        ghost_since_s = self._ghosts.step(time_s, end_s, is_ghost(small.pha))
        loss = self._losses.step(time_s, coverage, matte.discontinuity)
        change = self._flicker.step(small, matte.discontinuity)
        if change is not None:
            self._errors.add(time_s, 1e3 * change.error)
        moment = _moment(time_s, frame.seq, change, loss, 0.0 if ghost_since_s is None else coverage)
        since_s = ghost_since_s if ghost_since_s is not None and moment.kind == "ghost" else time_s
        self._worst.offer(moment, since_s, partial(self._pictures_of, frame, pha, change))

    def _pictures_of(self, frame: Frame, pha: Plane, change: Change | None) -> Pictures:
        return pictures_of(frame, pha, change) if self.with_pictures else {}

    def findings(self) -> Inspection:
        """All that was found so far. Raises ContractError before the first frame."""
        if not self._coverage.count:
            raise ContractError("at least one frame inspected", "none")
        compared = self._errors.count > 0
        return Inspection(
            frames=self._coverage.count,
            flicker=round(self._errors.mean, 4) if compared else None,
            flicker_worst=round(self._errors.high, 4) if compared else None,
            edge_opacity=self._edges.opacity(),
            edge_collapsed=self._edges.collapsed(),
            coverage_mean=round(self._coverage.mean, 4),
            coverage_min=round(self._coverage.low, 4),
            coverage_max=round(self._coverage.high, 4),
            empty_frames=self._empty.frames,
            empty=self._empty.spans(),
            ghost_frames=self._ghosts.frames,
            ghosts=self._ghosts.spans(),
            lost=tuple(self._losses.losses),
            moments=self._worst.moments(self._errors.mean),
            coverage_over_time=self._coverage.samples(),
            flicker_over_time=self._errors.samples(),
        )

    def pictures(self) -> tuple[Pictures, ...]:
        """JPEG files of each of `findings().moments`, in their order; empty ones unless made with `pictures`."""
        return self._worst.pictures()


def _moment(time_s: float, seq: int, change: Change | None, loss: Loss | None, ghost: float) -> Moment:
    """The worst that can be said of a frame; a loss before all else. `ghost` is the coverage of a ghost, or 0."""
    score = 0.0 if change is None else 1e3 * change.error
    if loss is not None:
        fall = f"{100 * loss.before:.1f} % to {100 * loss.after:.1f} %"
        missing = round(max(score, 1e3 * (loss.before - loss.after)), 4)
        return Moment(time_s, seq, "lost", missing, f"the subject is lost: coverage falls from {fall}")
    if 1e3 * ghost > score:
        reason = f"a ghost: {100 * ghost:.1f} % covered, hardly anything more than half opaque"
        return Moment(time_s, seq, "ghost", round(1e3 * ghost, 4), reason)
    return Moment(time_s, seq, "flicker", round(score, 4), "")
