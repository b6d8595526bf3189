"""The page: a run report in HTML that is also XML, in one file but for its pictures; no script, no network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files

from streammatte.inspection import Inspection, Moment, clock
from streammatte.meter import RunReport
from streammatte.report.plots import histogram, time_plot

__all__ = ["GENERATOR", "page"]

GENERATOR = '<meta name="generator" content="streammatte"/>'
"""Tells a page of ours from others."""

_CAPTIONS = {
    "frame": "frame",
    "alpha": "alpha",
    "over": "over green",
    "change": "alpha came (orange), went (blue)",
}
_FLICKER = "mean change of alpha that the picture does not explain, × 10³; numbers are the worst moments below"


def page(report: RunReport, pictures: Sequence[Mapping[str, str]]) -> str:
    """The report as HTML. `pictures` names the files of each moment by what they show: frame, alpha, over, change."""
    found = report.inspection
    parts = [_header(report)]
    if found is not None:
        parts += [_tiles(found), _over_time(found, report.duration_s), _edge(found), _moments(found, pictures)]
    parts += [_run(report), _FOOTER]
    head = (
        f'<meta charset="utf-8"/>{GENERATOR}<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f"<title>{escape(report.input)}: streammatte</title><style>{_style()}</style>"
    )
    body = "\n".join(parts)
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>{head}</head>\n<body><main>\n{body}\n</main></body>\n</html>\n'


def _style() -> str:
    return files("streammatte.report").joinpath("page.css").read_text(encoding="utf-8")


def _header(report: RunReport) -> str:
    name = report.input.rstrip("/").rpartition("/")[2] or report.input
    words = [
        f"{report.frames_out} frames, {clock(report.duration_s)}",
        f"{report.model}, {report.precision}, {report.runtime}",
        f"{report.throughput_fps:.1f} fps",
        *(["stopped before the end"] if report.interrupted else []),
    ]
    summary = "" if report.inspection is None else f"<p>{escape(report.inspection.summary())}</p>"
    return (
        f'<header><p class="name">streammatte run report</p><h1>{escape(name)}</h1>{summary}'
        f'<p class="soft">{escape(" · ".join(words))}</p></header>'
    )


def _tiles(found: Inspection) -> str:
    tiles = [
        _tile("flicker", _number(found.flicker), f"worst {_number(found.flicker_worst)}"),
        _tile("edge collapsed", _percent(found.edge_collapsed), "hard steps"),
        _tile("coverage", _percent(found.coverage_mean), _range(found)),
        _tile("empty frames", str(found.empty_frames), f"of {found.frames}", bad=found.empty_frames > 0),
        _tile("ghost frames", str(found.ghost_frames), f"of {found.frames}", bad=found.ghost_frames > 0),
        _tile("subject lost", str(len(found.lost)), _times(found), bad=bool(found.lost)),
    ]
    return f'<dl class="tiles">{"".join(tiles)}</dl>'


def _tile(name: str, value: str, note: str, *, bad: bool = False) -> str:
    kind = ' class="bad"' if bad else ""
    return f"<div{kind}><dt>{name}</dt><dd>{escape(value)}<small>{escape(note)}</small></dd></div>"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.3g} %" if share < 0.1 else f"{100 * share:.0f} %"


def _range(found: Inspection) -> str:
    return f"{_percent(found.coverage_min)} to {_percent(found.coverage_max)}"


def _times(found: Inspection) -> str:
    return f"first at {clock(found.lost[0].time_s)}" if found.lost else "never"


def _over_time(found: Inspection, duration_s: float) -> str:
    last_s = found.coverage_over_time[-1].time_s
    end_s = max(duration_s, last_s) or 1.0
    spans = [("empty", span) for span in found.empty] + [("ghost", span) for span in found.ghosts]
    coverage = time_plot(
        found.coverage_over_time,
        end_s,
        label=f"Coverage over time, {_range(found)}",
        percent=True,
        spans=spans,
        losses=found.lost,
    )
    flicker = time_plot(
        found.flicker_over_time,
        end_s,
        label=f"Flicker over time, {_number(found.flicker)} on average",
        moments=found.moments,
    )
    return (
        "<section><h2>Over time</h2>"
        f"{_figure('Flicker', _FLICKER, flicker)}"
        f"{_figure('Coverage', 'mean alpha of the frame', coverage + _key(found))}</section>"
    )


def _figure(name: str, words: str, plot: str) -> str:
    return f"<figure><figcaption>{name} <span>{words}</span></figcaption>{plot}</figure>"


def _key(found: Inspection) -> str:
    shown = [("empty", found.empty, "empty"), ("ghost", found.ghosts, "ghost"), ("lost", found.lost, "subject lost")]
    words = "".join(f'<span><i class="{kind}"></i>{word}</span>' for kind, items, word in shown if items)
    return f'<p class="key">{words}</p>' if words else ""


def _edge(found: Inspection) -> str:
    if found.edge_opacity is None:
        return ""
    collapsed = _percent(found.edge_collapsed)
    bars = histogram(found.edge_opacity, label=f"Opacity at the edge, {collapsed} collapsed")
    return (
        "<section><h2>The edge</h2>"
        f"<p>Alphas within a few pixels of where alpha is one half. {collapsed} of the edge has collapsed: "
        "nothing there lies between 0.05 and 0.95.</p>"
        f"{_figure('Opacity', 'percent of the edge’s pixels, by alpha', bars)}</section>"
    )


def _moments(found: Inspection, pictures: Sequence[Mapping[str, str]]) -> str:
    if not found.moments:
        return ""
    shown = zip(found.moments, pictures, strict=True)
    articles = [_moment(number, moment, names) for number, (moment, names) in enumerate(shown, 1)]
    return f"<section><h2>The worst moments</h2>{''.join(articles)}</section>"


def _moment(number: int, moment: Moment, names: Mapping[str, str]) -> str:
    images = [
        f'<figure><img src="{escape(file)}" alt="{_CAPTIONS[what]} at {clock(moment.time_s)}" loading="lazy"/>'
        f"<figcaption>{_CAPTIONS[what]}</figcaption></figure>"
        for what, file in names.items()
    ]
    return (
        f'<article id="moment-{number}" class="{moment.kind}"><h3><b>{number}</b>{clock(moment.time_s)} '
        f'<span class="soft">frame {moment.seq}</span></h3><p>{escape(moment.reason)}</p>'
        f'<div class="pictures">{"".join(images)}</div></article>'
    )


def _run(report: RunReport) -> str:
    times = [(name, f"{t.p50_ms:.1f}", f"{t.p95_ms:.1f}", f"{t.p99_ms:.1f}") for name, t in report.stages.items()]
    titles = "".join(f'<th class="number">{title}</th>' for title in ("median", "p95", "p99"))
    return (
        f'<section><h2>The run</h2><div class="scroll"><table>{_rows(_facts(report))}</table></div>'
        f'<div class="scroll"><table><tr><th>ms a frame</th>{titles}</tr>{_rows(times)}</table></div></section>'
    )


def _facts(report: RunReport) -> Iterator[tuple[str, str]]:
    yield "input", report.input
    yield "model", f"{report.model} ({report.model_licence}), weights sha256 {report.weights_sha256[:12]}…"
    if report.refiner is not None:
        yield "refined by", f"{report.refiner.model} ({report.refiner.model_licence}), {report.refiner.precision}"
    if report.student is not None:
        frames = report.student.frames_student
        yield "student", f"answered for {frames} of {frames + report.student.frames_teacher} frames"
    yield "ran on", f"{report.runtime}, {report.precision}, {report.device}"
    yield (
        "frames",
        f"{report.frames_in} in, {report.frames_out} out, {report.frames_dropped} dropped, {report.cuts} cuts",
    )
    yield "speed", f"{report.throughput_fps:.1f} fps, {report.wall_s:.1f} s"
    for output in report.outputs:
        yield "wrote", f"{output.path} ({output.codec}, {output.frames} frames)"
    for note in (*report.passed_over, *report.fallbacks):
        yield "note", note
    yield "streammatte", report.streammatte


def _rows(rows: Iterable[tuple[str, ...]]) -> str:
    numeric = ' class="number"'
    lines = []
    for name, *cells in rows:
        kind = numeric if len(cells) > 1 else ""
        lines.append(f"<tr><th>{escape(name)}</th>{''.join(f'<td{kind}>{escape(cell)}</td>' for cell in cells)}</tr>")
    return "".join(lines)


_FOOTER = (
    "<footer>Measured without ground truth: a low number is no proof of a good matte. Times count from the first "
    "frame. docs/report.md says what each number means; report.json holds them all.</footer>"
)
