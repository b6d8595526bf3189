"""Plots as inline SVG that stretches with the page, with labels in HTML beside it, so that text keeps its size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from streammatte.inspection import Loss, Moment, Sample, Span, clock

__all__ = ["histogram", "time_plot"]

_WIDE, _HIGH = 1000, 100
_STEPS_S = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
_MOST_TICKS = 7


def time_plot(
    samples: Sequence[Sample],
    end_s: float,
    *,
    label: str,
    percent: bool = False,
    spans: Iterable[tuple[str, Span]] = (),
    losses: Iterable[Loss] = (),
    moments: Sequence[Moment] = (),
) -> str:
    """A quantity over [0, `end_s`]: its mean as a line, its extremes as a band, stretches shaded by their class.

    `label` says in words what is seen; `moments` become links to #moment-1, #moment-2, ... in their order.
    """
    top = _nice(max((sample.high for sample in samples), default=0.0))
    shapes = [
        *(_stretch(kind, span, end_s) for kind, span in spans),
        *_gridlines(),
        _band(samples, end_s, top),
        _line(samples, end_s, top),
        *(_upright("lost", loss.time_s / end_s) for loss in losses),
    ]
    values = [(0.0, "0"), (0.5, _value(top / 2, percent)), (1.0, _value(top, percent))]
    parts = [_svg(shapes, label), *_y_labels(values), *_x_labels(end_s), *_marks(moments, end_s)]
    return f'<div class="plot">{"".join(parts)}</div>'


def histogram(shares: Sequence[float], *, label: str) -> str:
    """Bars for shares of [0, 0.1), [0.1, 0.2), ... with the share above each."""
    slot, top = _WIDE / len(shares), max(*shares, 0.01) * 1.15
    heights = [_HIGH * share / top for share in shares]
    bars = [
        f'<rect class="bar" x="{i * slot + 8:g}" y="{_HIGH - high:.2f}" width="{slot - 16:g}" height="{high:.2f}"/>'
        for i, high in enumerate(heights)
    ]
    values = [
        f'<span class="v" style="left:{10 * i + 5}%;top:{100 - high:.2f}%">{100 * share:.0f}</span>'
        for i, (share, high) in enumerate(zip(shares, heights, strict=True))
    ]
    ticks = [f'<span class="x" style="left:{10 * i}%">{i / 10:g}</span>' for i in range(0, 11, 2)]
    return f'<div class="plot histogram">{"".join([_svg(bars, label), *values, *ticks])}</div>'


def _svg(shapes: Iterable[str], label: str) -> str:
    head = f'<svg viewBox="0 0 {_WIDE} {_HIGH}" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">'
    return f"{head}{''.join(shapes)}</svg>"


def _nice(value: float) -> float:
    """The next of 1, 2, 4, 6, 8, 10 times a power of ten."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(value))
    return next(step * unit for step in (1, 2, 4, 6, 8, 10, 20) if step * unit >= value)


def _value(value: float, percent: bool) -> str:
    return f"{100 * value:g} %" if percent else f"{value:g}"


def _points(pairs: Iterable[tuple[float, float]], end_s: float, top: float) -> str:
    return " ".join(f"{_WIDE * time_s / end_s:.1f},{_HIGH * (1 - value / top):.2f}" for time_s, value in pairs)


def _line(samples: Sequence[Sample], end_s: float, top: float) -> str:
    points = _points(((sample.time_s, sample.mean) for sample in samples), end_s, top)
    return f'<polyline class="line" points="{points}"/>'


def _band(samples: Sequence[Sample], end_s: float, top: float) -> str:
    there = [(sample.time_s, sample.high) for sample in samples]
    back = [(sample.time_s, sample.low) for sample in reversed(samples)]
    return f'<polygon class="band" points="{_points(there + back, end_s, top)}"/>'


def _stretch(kind: str, span: Span, end_s: float) -> str:
    left, right = (_WIDE * time_s / end_s for time_s in (span.start_s, span.end_s))
    return f'<rect class="{kind}" x="{left:.1f}" y="0" width="{max(2, right - left):.1f}" height="{_HIGH}"/>'


def _upright(kind: str, share: float) -> str:
    return f'<path class="{kind}" d="M{_WIDE * share:.1f} 0V{_HIGH}"/>'


def _gridlines() -> Iterator[str]:
    return (f'<path class="grid" d="M0 {y}H{_WIDE}"/>' for y in (0, _HIGH // 2))


def _y_labels(values: Iterable[tuple[float, str]]) -> Iterator[str]:
    return (f'<span class="y" style="top:{100 * (1 - share):g}%">{escape(text)}</span>' for share, text in values)


def _x_labels(end_s: float) -> Iterator[str]:
    step_s = next((step for step in _STEPS_S if end_s / step <= _MOST_TICKS), end_s / _MOST_TICKS)
    for i in range(int(end_s / step_s) + 1):
        place, text = f"left:{100 * i * step_s / end_s:.2f}%", clock(i * step_s).removesuffix(".0")
        yield f'<span class="x" style="{place}">{text}</span>'


def _marks(moments: Sequence[Moment], end_s: float) -> Iterator[str]:
    """The worst last, on top of the others."""
    for number, moment in reversed(list(enumerate(moments, 1))):
        place, title = f"left:{100 * moment.time_s / end_s:.2f}%", escape(f"{clock(moment.time_s)} {moment.reason}")
        yield f'<a class="mark {moment.kind}" style="{place}" href="#moment-{number}" title="{title}">{number}</a>'
