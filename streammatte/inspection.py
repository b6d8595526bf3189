"""What can be said of a run's mattes without knowing the truth: the values that an `Inspector` finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

__all__ = ["Inspection", "Loss", "Moment", "MomentKind", "Sample", "Span", "clock"]

MomentKind = Literal["flicker", "lost", "ghost"]


class Sample(NamedTuple):
    """A quantity over a short stretch of time: one frame of a short clip, several of a long one."""

    time_s: float
    """When the stretch begins. Like every time here: seconds since the run's first frame."""
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Span:
    """Frames on end of which something holds."""

    start_s: float
    end_s: float
    frames: int


@dataclass(frozen=True, slots=True)
class Loss:
    """The subject vanished at once, without a cut."""

    time_s: float
    before: float
    """Coverage shortly before, in [0, 1]."""
    after: float
    """Coverage at `time_s`, less than a tenth of `before`."""
    back_s: float | None
    """When at least half of it was back; None if it never was in that scene."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One of the worst moments."""

    time_s: float
    seq: int
    kind: MomentKind
    score: float
    """Mean absolute alpha, x 10³, that changed by itself (flicker), went missing (lost) or is nothing's (ghost)."""
    reason: str
    """In words."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """Quality of a run's mattes without ground truth; `streammatte.inspector` has the formulas. docs/report.md tells
    how to read them.
    """

    frames: int
    flicker: float | None
    """Flow-warping error of alpha, x 10³, mean over frames; None where no two frames could be compared."""
    flicker_worst: float | None
    edge_opacity: tuple[float, ...] | None
    """Shares, which sum to 1, of alphas at the edge that lie in [0, 0.1), [0.1, 0.2) ... [0.9, 1]; None: no edges."""
    edge_collapsed: float | None
    """Share, in [0, 1], of the edge that is a bare step from below 0.05 to above 0.95."""
    coverage_mean: float
    """Coverage is the mean alpha of a frame, in [0, 1]."""
    coverage_min: float
    coverage_max: float
    empty_frames: int
    """Frames less than 0.1 % covered."""
    empty: tuple[Span, ...]
    """The longest hundred, in order of time, as in `ghosts`."""
    ghost_frames: int
    """Frames with alpha, but hardly any above one half."""
    ghosts: tuple[Span, ...]
    lost: tuple[Loss, ...]
    """The first hundred."""
    moments: tuple[Moment, ...]
    """The ten worst at most, worst first, half a second apart or more."""
    coverage_over_time: tuple[Sample, ...]
    flicker_over_time: tuple[Sample, ...]

    def summary(self) -> str:
        """One line: flicker 2.1 · 12 % of edge alphas collapsed · subject lost at 0:12.3."""
        words = [] if self.flicker is None else [f"flicker {self.flicker:.1f}"]
        if self.edge_collapsed is not None:
            words.append(f"{100 * self.edge_collapsed:.0f} % of edge alphas collapsed")
        for name, count, spans in (("empty", self.empty_frames, self.empty), ("ghost", self.ghost_frames, self.ghosts)):
            if count:
                frames = "frame" if count == 1 else "frames"
                words.append(f"{count} {name} {frames} (first at {clock(spans[0].start_s)})")
        if self.lost:
            more = f" and {len(self.lost) - 1} more times" if len(self.lost) > 1 else ""
            words.append(f"subject lost at {clock(self.lost[0].time_s)}{more}")
        return " · ".join(words) or "nothing to compare"


def clock(time_s: float) -> str:
    """A time as players show it, to a tenth: 0:12.3, 1:02:03.4."""
    tenths = round(10 * time_s)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest / 10:04.1f}"
    return f"{hours}:{minutes:02d}:{seconds}" if hours else f"{minutes}:{seconds}"
