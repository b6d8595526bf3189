"""From settings to a pipeline: what will be written, what stands behind, and that nothing stays open in vain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from clips import film
from sink_clips import decode, plane

import streammatte.assembly as subject
from streammatte.assembly import matte, open_input, open_pipeline, planned_outputs
from streammatte.config import Settings
from streammatte.errors import ConfigError, ModelError, RuntimeUnavailable, SinkError, SourceError
from streammatte.frame import Frame
from streammatte.ports import SinkKind
from streammatte.quality import QUALITIES

PATTERN = "pattern:96x64?frames=3"


def planned(spec: str, **settings: Any) -> list[tuple[Path, SinkKind]]:
    return planned_outputs(spec, Settings(**settings))


# what will be written


@pytest.mark.parametrize(
    ("name", "bg", "written", "kind"),
    [
        ("in.mp4", "red", "in.matted.mp4", "com"),
        ("in.MOV", "red", "in.matted.mov", "com"),
        ("in.mkv", "blur", "in.matted.mkv", "com"),
        ("in.webm", "red", "in.matted.webm", "com"),
        ("in.avi", "red", "in.matted.mp4", "com"),
        ("in", "red", "in.matted.mp4", "com"),
        ("a.b.mp4", "red", "a.b.matted.mp4", "com"),
        ("in.mp4", None, "in.matted.mov", "fgr"),
        ("in.mp4", "none", "in.matted.mov", "fgr"),
        ("in.webm", None, "in.matted.mov", "fgr"),
        ("in.jpg", None, "in.matted.png", "fgr"),
        ("in.PNG", "red", "in.matted.png", "com"),
    ],
)
def test_the_default_output_is_beside_the_input(
    tmp_path: Path, name: str, bg: str | None, written: str, kind: SinkKind
) -> None:
    (tmp_path / name).touch()
    assert planned(str(tmp_path / name), bg=bg) == [(tmp_path / written, kind)]


def test_a_folder_of_images_gets_a_file_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "take.1").mkdir()
    assert planned(str(tmp_path / "take.1"), bg="red") == [(tmp_path / "take.1.matted.mp4", "com")]
    monkeypatch.chdir(tmp_path / "take.1")
    assert planned(".") == [(Path("take.1.matted.mov"), "fgr")]


@pytest.mark.parametrize("spec", ["pattern:", "-", "lavfi:testsrc2", "https://host/a/b.mp4", "gone.mp4"])
def test_what_is_no_file_is_written_here(spec: str) -> None:
    assert planned(spec, bg="red") == [(Path("streammatte.matted.mp4"), "com")]


def test_a_matte_alone_is_enough() -> None:
    assert planned(PATTERN, matte=Path("m.mkv")) == [(Path("m.mkv"), "pha")]
    both = [(Path("streammatte.matted.mp4"), "com"), (Path("m.mkv"), "pha")]
    assert planned(PATTERN, matte=Path("m.mkv"), bg="red") == both
    cutout = [(Path("streammatte.matted.mov"), "fgr"), (Path("m.mkv"), "pha")]
    assert planned(PATTERN, matte=Path("m.mkv"), bg="none") == cutout


def test_all_that_is_asked_for_is_written() -> None:
    outputs = (Path("a.mp4"), Path("b.mkv"))
    assert planned(PATTERN, output=outputs, matte=Path("m.mkv"), bg="red") == [
        (Path("a.mp4"), "com"),
        (Path("b.mkv"), "com"),
        (Path("m.mkv"), "pha"),
    ]
    assert planned(PATTERN, output=outputs) == [(Path("a.mp4"), "fgr"), (Path("b.mkv"), "fgr")]


@pytest.mark.parametrize("how", ["plain", "dots", "link", "linked folder", "relative", "matte", "url"])
def test_the_input_is_never_an_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    (tmp_path / "in.mp4").touch()
    (tmp_path / "link.mp4").symlink_to("in.mp4")
    (tmp_path / "sub").mkdir()
    (tmp_path / "same").symlink_to(".")
    monkeypatch.chdir(tmp_path)
    spec = str(tmp_path / "in.mp4")
    other = {
        "dots": "sub/../in.mp4",
        "link": "link.mp4",
        "linked folder": "same/in.mp4",
        "relative": "./in.mp4",
    }.get(how, spec)
    settings: dict[str, Any] = {"matte": Path(other)} if how == "matte" else {"output": (Path(other),)}
    with pytest.raises(ConfigError, match=r"--output: .*in\.mp4 is the input; choose another|link\.mp4 is the input"):
        planned(f"file://{spec}" if how == "url" else spec, bg="red", force=True, **settings)


def test_an_output_is_named_once() -> None:
    first, twice = Path("a.mp4"), Path("sub/../b.mp4")
    with pytest.raises(ConfigError, match=r"--output: sub/\.\./b\.mp4 is named twice"):
        planned(PATTERN, output=(first, Path("b.mp4"), twice), bg="red")
    with pytest.raises(ConfigError, match=r"b\.mp4 is named twice"):
        planned(PATTERN, output=(first, Path("b.mp4")), matte=Path("b.mp4"), bg="red")


# what stands behind


def behind(tmp_path: Path, bg: str, spec: str = PATTERN, **settings: Any) -> list[av.VideoFrame]:
    """The decoded composite of `pattern:` over `bg`, lossless, in RGB planes where that is what it is."""
    out = tmp_path / "out.mkv"
    given = Settings(model="tiny", bg=bg, output=(out,), codec="ffv1", force=True, **settings)
    open_pipeline(spec, given).run()
    return decode(out)


def corner(frame: av.VideoFrame) -> tuple[int, ...]:
    """R, G, B of the top left pixel, where every subject of these tests is absent."""
    return tuple(int(v) for v in frame.to_ndarray(format="rgb24")[1, 1])


DARK = "lavfi:color=black:s=64x48:d=0.08:r=25,format=gbrp"  # all of it is background to the tiny network


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("bg", "rgb"),
    [
        ("#204060", (0x20, 0x40, 0x60)),
        ("#FFF", (255, 255, 255)),
        ("rebeccapurple", (0x66, 0x33, 0x99)),
        ("Red", (255, 0, 0)),
    ],
)
def test_colours(tmp_path: Path, bg: str, rgb: tuple[int, ...]) -> None:
    frame = behind(tmp_path, bg, DARK)[0]
    assert (frame.to_ndarray(format="rgb24") == rgb).all()


@pytest.mark.usefixtures("tiny")
def test_pictures_and_films(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "blue.png"), np.full((9, 16, 3), (200, 0, 0), np.uint8))
    assert corner(behind(tmp_path, str(tmp_path / "blue.png"), DARK)[0]) == (0, 0, 200)
    shown = [corner(frame) for frame in behind(tmp_path, "lavfi:color=lime:s=64x48:r=25:d=0.04,format=gbrp", DARK)]
    assert shown == [(0, 255, 0)] * 2, "one frame, looped"


@pytest.mark.usefixtures("tiny")
def test_blur_shows_the_room(tmp_path: Path) -> None:
    """Dark left, darker right: all is background, and a wider blur mixes more of it."""
    spec = "lavfi:color=black:s=64x48:d=0.04:r=25,drawbox=x=0:w=32:h=48:color=0x404040:t=fill,format=gbrp"
    steps = {}
    for bg in ("blur:0.5", "blur", "blur:20"):
        row = behind(tmp_path, bg, spec)[0].to_ndarray(format="rgb24")[24, :, 0].astype(int)
        assert 0 < row[30] < 70
        steps[bg] = np.abs(np.diff(row)).max()
    assert steps["blur:0.5"] > steps["blur"] > steps["blur:20"]


@pytest.mark.usefixtures("tiny")
def test_fit_reaches_the_background(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "wide.png"), np.full((10, 100, 3), 255, np.uint8))
    corners = {
        fit: corner(behind(tmp_path, str(tmp_path / "wide.png"), DARK, fit=fit)[0]) for fit in ("cover", "contain")
    }
    assert corners == {"cover": (255, 255, 255), "contain": (0, 0, 0)}


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("bg", "words"),
    [
        ("#12345", "--bg: #12345 is not a colour; give #rrggbb"),
        ("reed", "--bg: reed is no file, colour, blur or none"),
        ("gone.jpg", "--bg: gone.jpg is no file, colour, blur or none"),
        ("blur:much", "--bg: blur:much: expected a strength in percent"),
        ("blur:0", "--bg blur: strength must be more than 0"),
        ("blur:nan", "--bg blur: strength must be more than 0"),
        ("lavfi:no_such", "--bg: not an image or a video: lavfi:no_such"),
        ("nosuch:thing", "--bg: not an image or a video: nosuch:thing"),
    ],
)
def test_a_background_that_is_none_is_named(tmp_path: Path, bg: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_pipeline(PATTERN, Settings(model="tiny", bg=bg, output=(tmp_path / "a.mp4",)))
    assert str(caught.value).startswith(words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["text.jpg", "text.mp4", "text", "empty.png"])
@pytest.mark.usefixtures("tiny")
def test_a_background_that_is_no_picture(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("" if name.startswith("empty") else "Dear diary\n")
    with pytest.raises(ConfigError, match=rf"--bg: .*{name}.*not"):
        open_pipeline(PATTERN, Settings(model="tiny", bg=str(tmp_path / name), output=(tmp_path / "a.mp4",)))
    assert [p.name for p in tmp_path.iterdir()] == [name]


# what runs the network


@pytest.mark.usefixtures("tiny")
def test_require_and_runtime_must_agree(tmp_path: Path) -> None:
    def given(**settings: Any) -> Settings:
        return Settings(model="tiny", bg="red", output=(tmp_path / "a.mp4",), force=True, **settings)

    with pytest.raises(ConfigError, match="--require: asks for openvino, --runtime for onnxruntime; give one"):
        open_pipeline(PATTERN, given(require="openvino", runtime="onnxruntime"))
    with pytest.raises(RuntimeUnavailable, match=r"--require cuda .*cuda: .*only .*openvino"):
        open_pipeline(PATTERN, given(require="cuda"))
    for settings in ({"require": "onnxruntime"}, {"require": "onnxruntime", "runtime": "onnxruntime"}):
        assert open_pipeline(PATTERN, given(**settings)).run().runtime.startswith("onnxruntime")


@pytest.mark.usefixtures("tiny")
def test_settings_reach_the_stages(tmp_path: Path) -> None:
    opened = open_pipeline(
        PATTERN,
        Settings(model="tiny", output=(tmp_path / "a.mov",), stabilize="ema", half_life_s=3, fgr="off", compat="rembg"),
    )
    found = opened._stages
    assert [type(stage).__name__ for stage in (found.stabilizer, found.foreground, found.refiner)] == [
        "EmaStabilizer",
        "OffForeground",
        "RembgRefiner",
    ]
    assert found.stabilizer._half_life_s == 3  # type: ignore[attr-defined]
    assert found.background is None
    assert opened.run().precision == "f32"


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("name", QUALITIES)
def test_a_quality_reaches_the_stages(tmp_path: Path, name: str) -> None:
    given = Settings(model="tiny", output=(tmp_path / "a.mov",), quality=name, stride=2, refine_steps=4)
    opened, quality = open_pipeline(PATTERN, given), QUALITIES[name]
    found = opened._stages
    assert type(found.stabilizer).__name__ == "MotionStabilizer"
    assert (
        type(found.refiner).__name__ == {"guided": "GuidedRefiner", "closed-form": "ClosedFormRefiner"}[quality.refine]
    )
    assert (found.pace.stride, found.pace.tolerance) == (2, quality.stride_tolerance)
    assert (found.pace.lookahead, found.pace.live) == (quality.lookahead, False)
    report = opened.run()
    assert (report.frames_out, report.frames_dropped) == (3, 0)
    assert "motion" in report.stages


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("spec", ["pattern:96x64?frames=2", "pattern:96x64?frames=2&format=yuv420p10le"])
@pytest.mark.parametrize(
    "craft", [{"feather_px": 2.0}, {"shift_px": -2.0}, {"despill": 1.0}, {"light_wrap": 1.0}, {"linear": True}]
)
def test_each_flag_of_the_edge_does_something_to_the_composite(
    tmp_path: Path, spec: str, craft: dict[str, Any]
) -> None:
    plain, other = (behind(tmp_path, "yellow", spec, **how)[0] for how in ({}, craft))
    assert plain.format.name == other.format.name
    assert any(not np.array_equal(plane(plain, i), plane(other, i)) for i in range(3))


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("craft", [{"feather_px": 2.0}, {"shift_px": -2.0}])
def test_feather_and_shift_are_in_the_matte_too(tmp_path: Path, craft: dict[str, Any]) -> None:
    mattes = []
    for number, how in enumerate(({}, craft)):
        out = tmp_path / f"{number}.mkv"
        open_pipeline(PATTERN, Settings(model="tiny", matte=out, **how)).run()
        mattes.append(plane(decode(out)[0], 0))
    assert not np.array_equal(*mattes)


def test_settings_reach_the_source() -> None:
    opened = open_input("pattern:64x48@10?frames=30", Settings(start_s=1.0, duration_s=0.5))
    assert len([event for event in opened.events() if isinstance(event, Frame)]) == 5
    raw = Settings(input_format="rawvideo", input_size="0x4")
    with pytest.raises(ConfigError, match="--input-size"):
        open_input("-", raw)


def test_salvage_reaches_the_source(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", 50)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for salvage in (False, True):
        events = open_input(str(path), Settings(salvage=salvage)).events()
        if salvage:
            assert 0 < sum(isinstance(event, Frame) for event in events) < 50
        else:
            with pytest.raises(SourceError, match="--salvage"):
                list(events)


@pytest.mark.usefixtures("tiny")
def test_settings_reach_the_sinks(tmp_path: Path) -> None:
    given = Settings(model="tiny", bg="red", output=(tmp_path / "a.mkv",), codec="ffv1", pix_fmt="yuv444p10le")
    open_pipeline(PATTERN, given).run()
    frames = decode(tmp_path / "a.mkv")
    assert (frames[0].format.name, len(frames)) == ("yuv444p10le", 3)
    with pytest.raises(SinkError, match="--force"):
        open_pipeline(PATTERN, given)
    with av.open(str(tmp_path / "a.mkv")) as container:
        made_by = "streammatte; model tiny (CC0-1.0), weights sha256 "
        assert any(each.startswith(made_by) for each in container.metadata.values())


# what was opened is closed


class _Watched:
    """Counts, for each part that is opened, whether it was closed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open: list[str] = []
        self.most = 0
        for name, end in (
            ("open_input", "close"),
            ("background_of", "close"),
            ("matter_of", "close"),
            ("open_sink", "abort"),
        ):
            monkeypatch.setattr(subject, name, self._watch(getattr(subject, name), name, end))

    def _watch(self, opens: Any, name: str, end: str) -> Any:
        def call(*args: Any, **named: Any) -> Any:
            part = opens(*args, **named)
            self.open.append(name)
            self.most = max(self.most, len(self.open))
            ends = getattr(part, end)

            def ended() -> None:
                assert self.open.pop() == name, "closed in another order than opened"
                ends()

            setattr(part, end, ended)
            return part

        return call


@pytest.fixture
def watched(tiny: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Watched]:
    parts = _Watched(monkeypatch)
    yield parts
    assert parts.open == []


FAILURES: list[tuple[str, dict[str, Any], type[Exception], int]] = [
    # what is opened first, in the order of opening: source, background, model, sinks
    ("pattern:7", {}, SourceError, 0),
    (PATTERN, {"bg": "gone.jpg"}, ConfigError, 1),
    (PATTERN, {"bg": "red", "runtime": "openvino", "require": "onnxruntime"}, ConfigError, 2),
    (PATTERN, {"bg": "red", "model": "gone"}, ModelError, 2),
    (PATTERN, {"bg": "red", "output": ("gone/a.mp4",)}, SinkError, 3),
    (PATTERN, {"bg": "red", "output": ("a.mp4", "b.mkv", "gone/a.mp4")}, SinkError, 5),
    (PATTERN, {"bg": "red", "output": ("a.mp4",), "stabilize": "ema", "half_life_s": 2}, KeyboardInterrupt, 4),
]


@pytest.mark.parametrize(("spec", "settings", "error", "opened"), FAILURES)
def test_what_was_opened_is_closed_where_a_later_part_fails(
    tmp_path: Path,
    watched: _Watched,
    monkeypatch: pytest.MonkeyPatch,
    spec: str,
    settings: dict[str, Any],
    error: type[Exception],
    opened: int,
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    outputs = tuple(out / name for name in settings.get("output", ("a.mov",)))

    def interrupted(*args: Any) -> Any:
        raise KeyboardInterrupt

    if error is KeyboardInterrupt:  # even Ctrl-C at the very end
        monkeypatch.setattr(subject, "Pipeline", interrupted)
    with pytest.raises(error):
        open_pipeline(spec, Settings(**{"model": "tiny", **settings, "output": outputs}))
    assert watched.most == opened
    assert list(out.iterdir()) == []


# the library's front door


@pytest.mark.usefixtures("tiny")
def test_matte(tmp_path: Path) -> None:
    source = film(tmp_path / "in.mp4", 4)
    calls: list[int] = []
    report = matte(
        source,
        background="red",
        output=str(tmp_path / "out.mp4"),
        progress=lambda done, expected: calls.append(done),
        model="tiny",
        matte=tmp_path / "m.mkv",
    )
    assert (report.frames_out, calls[-1], report.model) == (4, 4, "tiny")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4", "m.mkv", "out.mp4"]
    assert [out.path for out in report.outputs] == [str(tmp_path / "out.mp4"), str(tmp_path / "m.mkv")]
    (alpha,) = {frame.format.name for frame in decode(tmp_path / "m.mkv")}
    assert alpha == "gray"
    assert plane(decode(tmp_path / "m.mkv")[0], 0).shape == (64, 96)


@pytest.mark.usefixtures("tiny")
def test_matte_without_an_output_writes_beside_the_input(tmp_path: Path) -> None:
    matte(film(tmp_path / "in.mp4", 2), model="tiny")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.matted.mov", "in.mp4"]


def test_matte_names_an_unknown_setting() -> None:
    with pytest.raises(ConfigError, match="bgr: no such setting; one of output, matte, bg"):
        matte(PATTERN, bgr="red")
