"""Models side by side: what each is shown, how it is painted, timed and scored, and that every end is a clean one."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import film, noise_frame, smooth_frame, write_clip
from hypothesis import given, settings
from hypothesis import strategies as st
from rivals import only_rivals
from sink_clips import colour_planes, decode, make_frames, make_info, plane, ramp_alpha

import streammatte.comparing as subject
from streammatte.assembly import matte
from streammatte.color import ColorSpec
from streammatte.comparing import Comparison, ComparisonReport
from streammatte.config import Settings
from streammatte.errors import ConfigError, ModelError, SinkError, SourceError
from streammatte.frame import Frame, PixelFormat
from streammatte.matter import Matter
from streammatte.mosaic import Mosaic
from streammatte.ports import Source
from streammatte.scoring import Scores
from streammatte.sinks import SinkOptions
from streammatte.sources.around import Around

PATTERN = "pattern:96x64@25?frames=6"
GREEN = "#469664"
NAME, GAP = 24, 4
SIZE = (96, 64)


@pytest.fixture
def rivals(tiny: str, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The names of the only two models there are."""
    folder = tmp_path / "models"
    folder.mkdir()
    only_rivals(tiny_folder, folder, monkeypatch)
    return tiny, "stern"


def compared(
    spec: str | Path,
    models: tuple[str, ...],
    *,
    truth: str | Path | None = None,
    alphas: bool = True,
    progress: Callable[[int, int | None], None] | None = None,
    **how: Any,
) -> ComparisonReport:
    how.setdefault("quality", "fast")
    right = None if truth is None else str(truth)
    with closing(Comparison(str(spec), models, Settings(**how), truth=right, alphas=alphas)) as comparison:
        for name in models:
            comparison.load(name)
        return comparison.run(progress)


def cell(frame: av.VideoFrame, index: int, number: int, lower: bool = False) -> Any:
    """Plane `index` of picture `number` in a canvas of one row, of pictures of SIZE, in YUV 4:2:0."""
    left, top = number * (SIZE[0] + GAP), NAME + (SIZE[1] if lower else 0)
    half = 1 if index else 0
    whole = plane(frame, index)
    return whole[top >> half : (top + SIZE[1]) >> half, left >> half : (left + SIZE[0]) >> half]


# one pass over the same frames


def test_each_picture_is_what_that_model_alone_would_give(rivals: tuple[str, str], tmp_path: Path) -> None:
    source = film(tmp_path / "in.mp4", 9)
    how = {"codec": "ffv1", "quality": "balanced", "lookahead": 2}
    compared(source, rivals, output=(tmp_path / "both.mkv",), **how)
    both = decode(tmp_path / "both.mkv")
    assert len(both) == 9
    for number, name in enumerate(rivals, 1):
        alone = tmp_path / f"{name}.mkv"
        matte(source, model=name, background=GREEN, output=alone, matte=tmp_path / "pha.mkv", force=True, **how)
        for canvas, composite, pha in zip(both, decode(alone), decode(tmp_path / "pha.mkv"), strict=True):
            for index in range(3):
                np.testing.assert_array_equal(cell(canvas, index, number), plane(composite, index))
            shown = np.rint(16 + plane(pha, 0) * (219 / 255))
            np.testing.assert_allclose(cell(canvas, 0, number, lower=True), shown, atol=1)
    for canvas, shot in zip(both, decode(source), strict=True):
        for index in range(3):
            np.testing.assert_array_equal(cell(canvas, index, 0), plane(shot, index))
        assert (cell(canvas, 0, 0, lower=True) == 16).all(), "the source has no alpha"
    pictures = [cell(both[0], 0, number, lower=True) for number in (1, 2)]
    assert (pictures[0] != pictures[1]).any()


class _Counted(Around):
    """Counts what it gives."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.given = 0

    def events(self) -> Iterator[Any]:
        for event in self._source.events():
            self.given += isinstance(event, Frame)
            yield event


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[_Counted]:
    """Every source that is opened."""
    opened: list[_Counted] = []
    opens = subject.open_input

    def watched(*args: Any) -> Any:
        opened.append(_Counted(opens(*args)))
        return opened[-1]

    monkeypatch.setattr(subject, "open_input", watched)
    return opened


def test_the_source_is_read_once_and_little_is_held(
    rivals: tuple[str, str], tmp_path: Path, counted: list[_Counted], monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    paint = Mosaic.paint

    def painted(self: Mosaic, pictures: Any, alphas: Any) -> Frame:
        held.append(counted[0].given - len(held))
        return paint(self, pictures, alphas)

    monkeypatch.setattr(Mosaic, "paint", painted)
    report = compared("pattern:96x64@25?frames=60", rivals, output=(tmp_path / "a.mp4",), lookahead=2, stride=1)
    assert len(counted) == 1
    assert (report.frames, counted[0].given, len(held)) == (60, 60, 60)
    assert max(held) <= 2 + 3 + 1, "lookahead, the network's queue, and the frame in hand"


def test_no_two_stages_go_on_at_a_time(
    rivals: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    going, most, guard = [0], [0], threading.Lock()

    def slowly(method: Any) -> Any:
        def call(*args: Any) -> Any:
            with guard:
                going[0] += 1
                most[0] = max(most[0], going[0])
            time.sleep(0.003)
            found = method(*args)
            with guard:
                going[0] -= 1
            return found

        return call

    for kind, name in ((Matter, "look"), (Matter, "see"), (Mosaic, "paint")):
        monkeypatch.setattr(kind, name, slowly(getattr(kind, name)))
    compared("pattern:96x64@25?frames=12", rivals, output=(tmp_path / "a.mp4",))
    assert most == [1]


# what is written


def test_times_and_sound_are_the_sources(rivals: tuple[str, str], tmp_path: Path) -> None:
    pts = [0, 1, 3, 4, 7, 8, 9, 15, 16, 17]
    frames = [smooth_frame("yuv420p", SIZE, seed) for seed in pts]
    source = write_clip(tmp_path / "in.mp4", frames, pts=pts, time_base=Fraction(1, 25), audio_from_s=0.0)
    compared(source, rivals, output=(tmp_path / "out.mp4",))
    stamps = []
    for path in (source, tmp_path / "out.mp4"):
        with av.open(str(path)) as container:
            stamps.append([frame.pts * frame.time_base for frame in container.decode(video=0)])  # type: ignore[operator]
    assert stamps[0] == stamps[1] == [Fraction(stamp, 25) for stamp in pts]
    sounds = []
    for path in (source, tmp_path / "out.mp4"):
        with av.open(str(path)) as container:
            packets = [packet for packet in container.demux(audio=0) if packet.size]
            sounds.append([(packet.pts * packet.time_base, bytes(packet)) for packet in packets])  # type: ignore[operator]
    assert sounds[0] == sounds[1] != []


def test_where_it_is_written(rivals: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = film(tmp_path / "in.mkv", 2)
    report = compared(source, rivals)
    assert [output.path for output in report.outputs] == [str(tmp_path / "in.compare.mkv")]
    with pytest.raises(SinkError, match="exists already; choose another name or use --force"):
        compared(source, rivals)
    assert compared(source, rivals, force=True).frames == 2
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    compared(PATTERN, rivals)
    assert [path.name for path in here.iterdir()] == ["streammatte.compare.mp4"]


def test_a_picture_becomes_a_picture(rivals: tuple[str, str], tmp_path: Path) -> None:
    write_clip(tmp_path / "in.png", [noise_frame("gray", SIZE)], "png")
    report = compared(tmp_path / "in.png", rivals, alphas=False)
    assert [Path(output.path).name for output in report.outputs] == ["in.compare.png"]
    (canvas,) = decode(tmp_path / "in.compare.png")
    assert (canvas.width, canvas.height) == (3 * SIZE[0] + 2 * GAP, NAME + SIZE[1])


def test_the_file_says_which_models_made_it(rivals: tuple[str, str], tmp_path: Path) -> None:
    compared(PATTERN, rivals, output=(tmp_path / "a.mkv",))
    with av.open(str(tmp_path / "a.mkv")) as container:
        said = {key.lower(): value for key, value in container.metadata.items()}
    assert said["encoded_by"] == "streammatte compare; models tiny (CC0-1.0), stern (CC0-1.0)"


def test_no_encoder_works_beside_what_is_timed(
    rivals: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[SinkOptions] = []
    opens = subject.open_sink

    def watched(*args: Any) -> Any:
        asked.append(args[-1])
        return opens(*args)

    monkeypatch.setattr(subject, "open_sink", watched)
    compared(PATTERN, rivals, output=(tmp_path / "a.mkv",), codec="hevc", crf=30, preset="fast", pix_fmt="yuv444p")
    (options,) = asked
    assert options.threads == 1
    assert (options.codec, options.crf, options.preset, options.pix_fmt) == ("hevc", 30, "fast", "yuv444p")


# what is reported


def test_the_report(rivals: tuple[str, str], tmp_path: Path) -> None:
    source = film(tmp_path / "in.mp4", 10)
    report = compared(source, rivals, output=(tmp_path / "a.mp4",), stride=3)
    assert (report.input, report.frames, report.interrupted, report.left_out) == (str(source), 10, False, {})
    assert [model.facts.model for model in report.models] == list(rivals)
    tiny, stern = report.models
    assert tiny.coverage > stern.coverage > 0
    for model in report.models:
        alone = matte(source, model=model.facts.model, background=GREEN, output=tmp_path / "b.mp4", force=True,
                      quality="fast", stride=3).inspection  # fmt: skip
        assert alone is not None
        assert alone.edge_opacity is not None
        found = (model.flicker, model.edge_collapsed, model.coverage)
        assert found == (alone.flicker, alone.edge_collapsed, alone.coverage_mean)
        assert model.mid_opacity == pytest.approx(1 - alone.edge_opacity[0] - alone.edge_opacity[9], abs=1e-3)
        assert model.network_ms > 0
        assert model.scores is None
    assert report.to_json()["models"][1]["facts"]["model_licence"] == "CC0-1.0"


def test_speed_counts_each_stage_as_often_as_it_runs(rivals: tuple[str, str], tmp_path: Path) -> None:
    still = write_clip(tmp_path / "still.mp4", [smooth_frame("yuv420p", SIZE) for _ in range(9)])
    how = Settings(quality="fast", stride=3, output=(tmp_path / "a.mp4",))
    with closing(Comparison(str(still), rivals, how)) as comparison:
        for name in rivals:
            comparison.load(name)
        report = comparison.run()
        contestant = comparison._contestants[0]
    stages = contestant._meter.stages()
    runs = contestant._inference.network_runs
    assert 3 <= runs < 9, "the network does not see every frame"
    assert set(stages) > {"look", "motion", "infer", "refine", "composite"}
    whole_ms = sum(times.p50_ms for name, times in stages.items() if name != "infer")
    whole_ms += stages["infer"].p50_ms * runs / 9
    assert report.models[0].throughput_fps == pytest.approx(1e3 / whole_ms, rel=1e-2)
    assert report.models[0].network_ms == stages["infer"].p50_ms


# with a truth


@pytest.fixture
def clip(rivals: tuple[str, str], tmp_path: Path) -> tuple[Path, Path]:
    """A film, and what the first of the rivals says of it as the truth."""
    source = film(tmp_path / "in.mp4", 8)
    truth = tmp_path / "truth.mkv"
    matte(source, model=rivals[0], matte=truth, quality="fast")
    return source, truth


def test_models_are_scored(rivals: tuple[str, str], clip: tuple[Path, Path], tmp_path: Path) -> None:
    source, truth = clip
    report = compared(source, rivals, truth=truth, output=(tmp_path / "a.mkv",), codec="ffv1")
    tiny, stern = (model.scores for model in report.models)
    assert tiny == Scores(8, 0.0, 0.0, 0.0, 0.0)
    assert stern is not None
    assert min(stern.mad, stern.mse, stern.grad) > 0.1
    assert not [note for note in report.notes if "truth" in note]
    for canvas in decode(tmp_path / "a.mkv"):
        np.testing.assert_array_equal(cell(canvas, 0, 0, lower=True), cell(canvas, 0, 1, lower=True))


def test_the_same_stretch_of_a_truth(rivals: tuple[str, str], tmp_path: Path) -> None:
    source, truth = film(tmp_path / "in.mp4", 8), tmp_path / "truth.mkv"
    how: dict[str, Any] = {"quality": "fast", "stride": 1, "stabilize": "none"}
    matte(source, model=rivals[0], matte=truth, **how)
    report = compared(source, rivals, truth=truth, start_s=0.12, duration_s=0.16, output=(tmp_path / "a.mp4",), **how)
    assert report.notes == ()
    assert report.models[0].scores == Scores(4, 0.0, 0.0, 0.0, 0.0)


def test_a_truth_of_pictures(rivals: tuple[str, str], clip: tuple[Path, Path], tmp_path: Path) -> None:
    source, truth = clip
    folder = tmp_path / "truth"
    folder.mkdir()
    for number, frame in enumerate(decode(truth)):
        frame.to_image().save(folder / f"{number:03d}.png")
    report = compared(source, rivals, truth=folder, output=(tmp_path / "a.mp4",))
    assert report.models[0].scores == Scores(8, 0.0, 0.0, 0.0, 0.0)
    slow = film(tmp_path / "slow.mp4", 8, rate=5)
    report = compared(slow, rivals, truth=folder, start_s=0.4, output=(tmp_path / "b.mp4",))
    assert report.notes == (), "a picture for each of the input's frames, whatever its rate"
    assert report.models[0].scores is not None
    assert report.models[0].scores.frames == 6


def test_a_truth_of_another_length_is_a_note(rivals: tuple[str, str], clip: tuple[Path, Path], tmp_path: Path) -> None:
    source, truth = clip
    short = tmp_path / "short.mkv"
    matte(source, model=rivals[0], matte=short, quality="fast", duration_s=0.2)
    report = compared(source, rivals, truth=short, output=(tmp_path / "a.mp4",))
    assert report.notes == (f"{short}: ends after 5 of 8 frames; scores are of these alone",)
    assert [model.scores.frames for model in report.models if model.scores] == [5, 5]
    brief = film(tmp_path / "brief.mp4", 3)
    report = compared(brief, rivals, truth=truth, output=(tmp_path / "b.mp4",))
    assert report.notes == (f"{truth}: has more frames than the input's 3; scores are of the first 3",)


def test_a_truth_of_another_size_is_refused(rivals: tuple[str, str], clip: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the truth 96x64, the input 64x48; give one of the input's size"):
        compared("pattern:64x48?frames=3", rivals, truth=clip[1], output=(tmp_path / "a.mp4",))
    assert not (tmp_path / "a.mp4").exists()


def test_a_truth_is_not_written_over(rivals: tuple[str, str], clip: tuple[Path, Path], tmp_path: Path) -> None:
    source, truth = clip
    (tmp_path / "sub").mkdir()
    with pytest.raises(ConfigError, match=r"--output: .*truth\.mkv is the truth"):
        compared(source, rivals, truth=truth, output=(tmp_path / "sub/../truth.mkv",), force=True)


# which models


def test_a_model_that_cannot_be_loaded_is_left_out(rivals: tuple[str, str], tmp_path: Path) -> None:
    how = Settings(output=(tmp_path / "a.mp4",), quality="fast")
    with closing(Comparison(PATTERN, ["gone", "tiny"], how)) as comparison:
        why = comparison.load("gone")
        assert why is not None
        assert why.startswith("unknown model 'gone'")
        assert comparison.load("tiny") is None
        report = comparison.run()
    assert report.left_out == {"gone": why}
    assert [model.facts.model for model in report.models] == ["tiny"]


def test_no_model_at_all_is_an_error(rivals: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model to compare: gone: unknown model 'gone'.*; lost: unknown model"):
        compared(PATTERN, ("gone", "lost"), output=(tmp_path / "a.mp4",))
    with pytest.raises(ModelError, match="no model to compare: none is loaded"):
        compared(PATTERN, (), output=(tmp_path / "a.mp4",))
    assert not (tmp_path / "a.mp4").exists()


@pytest.mark.parametrize("names", [("tiny", "stern", "tiny"), ("stern", "severe")])
def test_each_model_is_named_once(rivals: tuple[str, str], tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"--model: (tiny|stern) is named twice; name each model once"):
        compared(PATTERN, names, output=(tmp_path / "a.mp4",))


@pytest.mark.usefixtures("rivals")
def test_the_same_name_shows_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tiny is named twice"):
        Comparison(PATTERN, ["tiny", "tiny"], Settings(output=(tmp_path / "a.mp4",)))


# every end is a clean one


def test_ctrl_c_completes_what_is_done(rivals: tuple[str, str], tmp_path: Path, counted: list[_Counted]) -> None:
    def pressed_once(done: int, expected: int | None) -> None:
        if done >= 3 and pressed_once.left:  # type: ignore[attr-defined]
            pressed_once.left = False  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    pressed_once.left = True  # type: ignore[attr-defined]
    endless = "pattern:96x64@25?frames=100000"
    report = compared(endless, rivals, truth=endless, output=(tmp_path / "a.mp4",), progress=pressed_once)
    assert report.interrupted
    assert report.notes == (), "a truth that goes on is as it should be"
    assert report.frames == counted[0].given == len(decode(tmp_path / "a.mp4")) < 100000
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["a.mp4"]


def test_a_second_ctrl_c_drops_it(rivals: tuple[str, str], tmp_path: Path) -> None:
    def pressed(done: int, expected: int | None) -> None:
        if done >= 3:
            raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        compared("pattern:96x64@25?frames=100000", rivals, output=(tmp_path / "a.mp4",), progress=pressed)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []
    assert threading.active_count() == before


@pytest.mark.parametrize("where", ["see", "paint", "events"])
def test_an_error_leaves_nothing_behind(
    rivals: tuple[str, str], tmp_path: Path, counted: list[_Counted], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    calls = itertools.count()

    def failing(method: Any) -> Any:
        def call(*args: Any) -> Any:
            if next(calls) == 7:
                raise SourceError("trouble")
            return method(*args)

        return call

    if where == "events":
        take = Comparison._take
        monkeypatch.setattr(Comparison, "_take", failing(take))
    else:
        kind: Any = Matter if where == "see" else Mosaic
        monkeypatch.setattr(kind, where, failing(getattr(kind, where)))
    before = threading.active_count()
    with pytest.raises(SourceError, match="trouble"):
        compared("pattern:96x64@25?frames=40", rivals, output=(tmp_path / "a.mp4",), stride=1)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("spec", "how", "words"),
    [
        (PATTERN, {"bg": "none"}, "--bg: none leaves nothing to see edges against"),
        (PATTERN, {"bg": "gone.jpg"}, r"--bg: gone\.jpg is no file"),
        ("pattern:96x64?live=1", {}, "is live; record it"),
    ],
)
def test_what_cannot_be_compared(
    rivals: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, how: Any, words: str
) -> None:
    if "live" in spec:
        opens = subject.open_input

        def live(*args: Any) -> Any:
            source = opens(PATTERN, *args[1:])
            source.info = replace(source.info, live=True)
            return source

        monkeypatch.setattr(subject, "open_input", live)
    with pytest.raises(ConfigError, match=words):
        compared(spec, rivals, output=(tmp_path / "a.mp4",), **how)


# the canvas


def canvas_of(count: int, width: int, height: int, alphas: bool = True, **changes: Any) -> tuple[int, int]:
    info = Mosaic(make_info("yuv420p", width, height, **changes), ["a"] * count, alphas=alphas).info
    return info.width, info.height


@settings(max_examples=40)
@given(
    st.integers(1, 9), st.integers(16, 4200), st.integers(16, 4200), st.booleans(), st.sampled_from([0, 90, 180, 270])
)
def test_a_canvas_is_never_too_large(count: int, width: int, height: int, alphas: bool, rotation: int) -> None:
    wide, high = canvas_of(count, width, height, alphas, rotation=rotation)
    assert 0 < wide <= 3840
    assert 0 < high <= 2160
    assert wide % 4 == high % 4 == 0


@pytest.mark.parametrize(
    ("count", "columns", "rows"),
    [(2, 2, 1), (3, 3, 1), (4, 4, 1), (5, 3, 2), (6, 3, 2), (7, 4, 2)],
)
def test_grids_of_a_webcams_picture(count: int, columns: int, rows: int) -> None:
    info = make_info("yuv420p", 1920, 1080)
    grid = Mosaic(info, ["a"] * count, alphas=True)._grid
    wide, high = grid.size(count)
    assert grid.columns == columns
    assert wide == columns * (grid.width + GAP) - GAP
    assert high == rows * (grid.tile + GAP) - GAP
    assert grid.tile == grid.name + 2 * grid.height
    assert grid.width / grid.height == pytest.approx(16 / 9, rel=0.02)
    assert max(wide / 3840, high / 2160) > 0.97, "the room is used"


def test_small_pictures_keep_their_size() -> None:
    assert canvas_of(3, 640, 360) == (3 * 640 + 2 * GAP, NAME + 2 * 360)
    assert canvas_of(3, 640, 360, alphas=False) == (3 * 640 + 2 * GAP, NAME + 360)
    assert canvas_of(3, 360, 640, rotation=90) == canvas_of(3, 640, 360)
    assert canvas_of(3, 320, 360, sar=Fraction(2)) == canvas_of(3, 640, 360)


@pytest.mark.parametrize(
    "name", ["yuv420p", "yuv422p10le", "yuv444p12le", "yuv410p", "gbrp", "gbrp16le", "gray", "gray10le"]
)
def test_pictures_are_painted_as_they_are(name: str) -> None:
    info = make_info(name, 64, 48, color=ColorSpec(full_range=True) if name.startswith("g") else make_info().color)
    fmt = PixelFormat.named(name)
    mosaic = Mosaic(info, ["one", "other"], alphas=True)
    frames = [replace(make_frames(info, "com", pts=[7])[0], planes=colour_planes(64, 48, fmt, seed)) for seed in (1, 2)]
    alphas = [ramp_alpha(64, 48, fmt), None]
    canvas = mosaic.paint(frames, alphas).check()
    assert (canvas.width, canvas.height) == (mosaic.info.width, mosaic.info.height) == (2 * 64 + GAP, NAME + 96)
    assert (canvas.pts, canvas.format, canvas.color) == (7, fmt, mosaic.info.color)
    for number, frame in enumerate(frames):
        for index, planes in enumerate(zip(canvas.planes, frame.planes, strict=True)):
            down, across = (planes[1].shape[0] / 48, planes[1].shape[1] / 64)
            left, top = int(number * (64 + GAP) * across), int(NAME * down)
            height, width = planes[1].shape
            np.testing.assert_array_equal(planes[0][top : top + height, left : left + width], planes[1], str(index))
    black = 16 << (fmt.bits - 8) if fmt.model == "yuv" else 0
    white = 235 << (fmt.bits - 8) if fmt.model == "yuv" else fmt.peak
    lower = canvas.planes[0][NAME + 48 :, :64]
    assert (lower[alphas[0] == 0] == black).all()
    assert (lower[alphas[0] == fmt.peak] == white).all()
    assert (np.diff(np.sort(lower.ravel()).astype(int)) >= 0).all()
    assert len(np.unique(lower)) > 40
    assert (canvas.planes[0][NAME + 48 :, 64 + GAP :] == black).all()
    assert (canvas.planes[0][:, 64 : 64 + GAP] == black).all()
    again = mosaic.paint(frames[::-1], [None, None])
    np.testing.assert_array_equal(again.planes[0][NAME : NAME + 48, :64], frames[1].planes[0])


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_pictures_are_turned_upright(rotation: int) -> None:
    info = make_info("yuv420p", 64, 48, rotation=rotation, interlaced=True, has_alpha=True)
    (frame,) = make_frames(info, "com", pts=[0])
    pha = ramp_alpha(64, 48, info.format)
    mosaic = Mosaic(info, ["one"], alphas=True)
    canvas = mosaic.paint([frame], [pha])
    for shape in (canvas, mosaic.info):
        assert (shape.rotation, shape.sar, shape.interlaced) == (0, 1, False)
    assert not mosaic.info.has_alpha
    upright = np.rot90(frame.planes[0], rotation // 90)
    height, width = upright.shape
    np.testing.assert_array_equal(canvas.planes[0][NAME : NAME + height, :width], upright)
    lower = canvas.planes[0][NAME + height : NAME + 2 * height, :width]
    np.testing.assert_allclose(lower, np.rint(16 + np.rot90(pha, rotation // 90) * (219 / 255)), atol=1)


def test_names_are_written_above() -> None:
    mosaic = Mosaic(make_info("yuv420p", 640, 360), ["u2net", "isnet-general-use", "u2net"], alphas=False)
    (frame,) = make_frames(make_info("yuv420p", 640, 360), "com", pts=[0])
    luma = mosaic.paint([frame] * 3, [None] * 3).planes[0]
    strips = [luma[:NAME, left : left + 640] for left in (0, 644, 1288)]
    assert all(strip.max() > 200 and (strip == 16).mean() > 0.8 for strip in strips)
    np.testing.assert_array_equal(strips[0], strips[2])
    assert (strips[0] != strips[1]).any()
    assert (strips[1] > 16).sum() > 2 * (strips[0] > 16).sum()
    assert (strips[0][[0, -1]] == 16).all(), "nothing is cut off"


def test_a_long_name_fits() -> None:
    mosaic = Mosaic(make_info("yuv420p", 64, 48), ["a name that is longer than its picture is wide"], alphas=False)
    (frame,) = make_frames(make_info("yuv420p", 64, 48), "com", pts=[0])
    strip = mosaic.paint([frame], [None]).planes[0][:NAME]
    assert strip.max() > 60
    assert (strip[:, -1] == 16).all()


def test_colour_is_what_the_sources_size_lets_players_assume() -> None:
    untagged = make_info("yuv420p", 640, 480, color=ColorSpec())
    canvas = Mosaic(untagged, ["a", "b", "c"], alphas=True).info
    assert canvas.height >= 720
    assert (canvas.color.matrix, canvas.color.full_range) == (6, False)
    tagged = replace(untagged, color=ColorSpec(9, 9, 16, False))
    assert Mosaic(tagged, ["a"], alphas=True).info.color == tagged.color
