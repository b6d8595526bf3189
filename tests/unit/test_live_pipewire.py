"""The pipeline that publishes, what is said where it cannot, and who is watching."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from live_fakes import FakePipeWire, fake_pipewire
from sink_clips import make_frames, make_info

from streammatte.color import ColorSpec
from streammatte.errors import ConfigError, SinkError
from streammatte.frame import Frame
from streammatte.sinks import pipewire_links
from streammatte.sinks.pipewire import PipeWireSink
from streammatte.sinks.pipewire_links import LinkWatch, linked_to

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="PipeWire is Linux's")
BT601 = ColorSpec(6, 1, 1, False)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePipeWire]:
    with fake_pipewire(monkeypatch) as fake:
        yield fake


def await_size(session: FakePipeWire, size: int) -> None:
    end = time.monotonic() + 10
    while session.out.stat().st_size < size and time.monotonic() < end:
        time.sleep(0.02)
    assert session.out.stat().st_size == size


def write_for(sink: PipeWireSink, frame: Frame, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sink.write(frame)
        time.sleep(0.02)


def test_the_child_reads_frames_as_i420(session: FakePipeWire) -> None:
    info = make_info(color=BT601)
    sink = PipeWireSink("", info)
    assert session.out.stat().st_size == 0, "opening sends no picture"
    frames = make_frames(info, "com")[:2]
    for number, frame in enumerate(frames, 1):
        sink.write(frame)
        await_size(session, number * 64 * 48 * 3 // 2)
    report = sink.finish()
    expected = [plane.ravel() for frame in frames for plane in frame.planes]
    np.testing.assert_array_equal(np.fromfile(session.out, np.uint8), np.concatenate(expected))
    assert (sink.name, report.frames) == ("pipewire:streammatte", 2)
    assert report.notes == ("shown as I420, limited-range BT.601, as it came",)


def test_the_pipeline_says_what_comes(session: FakePipeWire) -> None:
    sink = PipeWireSink("My camera", make_info(width=1001, height=563, rate=Fraction(30000, 1001)))
    said = " ".join(session.arguments)
    sink.abort()
    size = 1008 * 564 * 3 // 2  # rows without gaps
    assert f"fdsrc fd=0 do-timestamp=true blocksize={size} !" in said
    assert "rawvideoparse format=i420 width=1008 height=564 colorimetry=bt601 framerate=30000/1001 !" in said
    assert "identity drop-allocation=true ! pipewiresink sync=false mode=provide" in said
    assert 'media.class=Video/Source,media.role=Camera,node.name="My camera",node.description="My camera"' in said


@pytest.mark.parametrize("name", ['a"b', "a,b", "a\nb", " a", "x" * 65])
def test_what_cannot_be_a_name(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a camera's name") as caught:
        PipeWireSink(name, make_info())
    assert "\n" not in str(caught.value)


def test_a_missing_plugin_names_its_package(session: FakePipeWire) -> None:
    session.program("gst-inspect-1.0", "test $1 != pipewiresink")
    with pytest.raises(SinkError, match=r"no pipewiresink; sudo apt install gstreamer1\.0-pipewire"):
        PipeWireSink("", make_info())


@pytest.mark.parametrize("program", ["gst-launch-1.0", "gst-inspect-1.0"])
def test_missing_gstreamer_names_its_package(
    session: FakePipeWire, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(session.folder))
    (session.folder / program).unlink()
    with pytest.raises(SinkError, match=rf"{program} is not installed; sudo apt install gstreamer1\.0-tools"):
        PipeWireSink("", make_info())


@pytest.mark.parametrize("variable", ["XDG_RUNTIME_DIR", "PIPEWIRE_RUNTIME_DIR", "PIPEWIRE_REMOTE"])
def test_without_a_daemon(session: FakePipeWire, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "/nowhere")
    with pytest.raises(SinkError, match=r"no PipeWire daemon at /nowhere.*systemctl --user start pipewire"):
        PipeWireSink("", make_info())


def test_a_child_that_cannot_publish_is_noticed_at_once(session: FakePipeWire) -> None:
    session.program("gst-launch-1.0", "echo 'ERROR: from element sink: connection error' >&2; exit 1")
    with pytest.raises(SinkError, match="has ended: ERROR: from element sink: connection error; start again"):
        PipeWireSink("", make_info())


def test_a_child_that_dies_is_noticed_at_the_next_frame(session: FakePipeWire) -> None:
    session.program("gst-launch-1.0", f"head -c 4608 > {session.out}; echo 'the daemon went away' >&2; exit 1")
    info = make_info()
    sink, frame = PipeWireSink("", info), make_frames(info, "com")[0]
    sink.write(frame)
    with pytest.raises(SinkError, match=r"gst-launch-1\.0 has ended: the daemon went away"):
        write_for(sink, frame, 10)
    sink.abort()


def test_frames_that_come_too_fast_are_counted(session: FakePipeWire) -> None:
    session.program("gst-launch-1.0", "exec sleep 60")
    info = make_info(width=1920, height=1080, color=BT601)
    sink, frame = PipeWireSink("", info), make_frames(info, "com")[0]
    sink.write(frame)
    time.sleep(0.1)  # so that it is begun
    for _ in range(5):
        sink.write(frame)
    assert sink.finish().notes[1] == "4 frames dropped whole: the reader was slower than the camera"


def test_a_child_that_might_outlive_us_is_noted(session: FakePipeWire, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not any("setpriv" in note for note in PipeWireSink("", make_info()).finish().notes)
    which = shutil.which
    monkeypatch.setattr("shutil.which", lambda name: None if name == "setpriv" else which(name))
    assert "setpriv (util-linux) is not installed" in PipeWireSink("", make_info()).finish().notes[-1]


# who is watching


def test_it_is_watched_while_a_link_leaves_its_own_node(session: FakePipeWire) -> None:
    sink = PipeWireSink("", make_info())
    session.lists(sink.child_pid, links=0)
    assert not sink.watched()
    sink.abort()


def test_pw_dump_is_asked_every_two_seconds(session: FakePipeWire, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(pipewire_links, "_now_s", lambda: now)
    watch = LinkWatch(77)
    assert watch.linked(), "no node of ours yet: cannot be told"
    session.lists(77, links=0)
    now = 101.9
    assert watch.linked()
    now = 102.0
    assert not watch.linked()
    session.lists(77, links=1)
    now = 104.1
    assert watch.linked()
    assert session.dumps == 3


@pytest.mark.parametrize("script", ["exit 1", "echo '{'", "exec sleep 5"])
def test_without_an_answer_it_counts_as_watched(
    session: FakePipeWire, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipewire_links, "_PATIENCE_S", 0.2)
    session.program("pw-dump", script)
    assert LinkWatch(77).linked()


def test_without_pw_dump_it_counts_as_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert LinkWatch(77).linked()


def test_links_of_others_do_not_count() -> None:
    kind = "PipeWire:Interface:"
    dump = [
        {"id": 5, "type": f"{kind}Client", "info": {"props": {"application.process.id": 77}}},
        {"id": 6, "type": f"{kind}Node", "info": {"props": {"client.id": 5}}},
        {"id": 9, "type": f"{kind}Link", "info": {"output-node-id": 8, "input-node-id": 6}},
    ]
    assert linked_to(dump, 77) is False
    assert linked_to(dump, 78) is None
