"""Recurrent models in the stream: in order, one frame at a time, and nothing remembered across a cut."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from remembering import STATE, Wanted, write_toml
from scenes import NETWORK, Float, make_frame, make_look, textured

from streammatte import registry
from streammatte.assembly import matte, open_pipeline
from streammatte.catalog import model
from streammatte.config import Settings
from streammatte.errors import ModelError, RuntimeUnavailable
from streammatte.frame import Frame, Look, Matte, Packet
from streammatte.inference import Inference, Pace
from streammatte.live.pipeline import LivePipeline
from streammatte.matter import Matter
from streammatte.meter import Meter
from streammatte.pipeline import Pipeline
from streammatte.registry import Entry
from streammatte.runtimes.onnxruntime import OnnxRuntime
from streammatte.stabilizers.none import NoStabilizer


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, own_settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMMATTE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("STREAMMATTE_OFFLINE", "1")


@pytest.fixture(params=["fixed", "open"])
def toml(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write_toml(tmp_path, open_size=request.param == "open")


def gray(level: float, seq: int = 0, **facts: Any) -> Frame:
    return make_frame("gbrp", NETWORK, rgb=(level,) * 3, seq=seq, pts=seq, **facts)


def level(matte: Matte) -> float:
    """What of the picture's brightness is in the matte, which is even all over."""
    assert np.ptp(matte.pha) < 1e-3
    return float(matte.pha.mean()) / STATE.ratio


# one model, frame after frame


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_a_frame_is_seen_beside_those_before(toml: Path, runtime: str) -> None:
    matter = Matter(toml, runtime=runtime, precision="f32")
    found = [level(matter.matte(gray(shade, seq))) for seq, shade in enumerate((1.0, 1.0, 0.0))]
    assert found == pytest.approx([0.5, 0.75, 0.375], abs=0.01)


def test_a_discontinuity_is_a_beginning(toml: Path) -> None:
    matter = Matter(toml, runtime="onnxruntime")
    matter.matte(gray(1.0, 0))
    assert level(matter.matte(gray(1.0, 1, discontinuity=True))) == pytest.approx(0.5, abs=0.01)
    assert level(matter.matte(gray(1.0, 2))) == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize(("pts", "kept"), [(24, True), (25, True), (26, False), (500, False), (-1, False)])
def test_a_gap_in_time_is_a_beginning_too(toml: Path, pts: int, kept: bool) -> None:
    """At 25 ticks a second; before the last one is another stream."""
    matter = Matter(toml, runtime="onnxruntime")
    matter.matte(gray(1.0, 0))
    after = level(matter.matte(replace(gray(1.0), pts=pts)))
    assert after == pytest.approx(0.75 if kept else 0.5, abs=0.01)


def test_a_picture_by_itself_has_nothing_before_it(toml: Path) -> None:
    matter = Matter(toml, runtime="onnxruntime")
    white = np.full((30, 50, 3), 255, np.uint8)
    for _ in range(2):
        assert matter(white) == pytest.approx(0.5 * STATE.ratio, abs=0.01)


def test_two_of_one_model_share_nothing(toml: Path) -> None:
    one, other = Matter(toml, runtime="openvino"), Matter(toml, runtime="openvino")
    for seq, wanted in enumerate((0.5, 0.75, 0.875)):
        assert level(one.matte(gray(1.0, seq))) == pytest.approx(wanted, abs=0.01)
    assert level(other.matte(gray(1.0))) == pytest.approx(0.5, abs=0.01)


def test_what_would_break_the_order_is_left_out_and_the_report_says_so(toml: Path) -> None:
    matter = Matter(toml, runtime="openvino", streams=4, batch=8, tta=True)
    assert (matter.info.streams, matter.batch) == (1, 1)
    lopsided = gray(0.0)
    for plane in lopsided.planes:
        plane[:, :20] = 255
    pha = matter.matte(lopsided).pha
    assert (pha[:, 2:18].mean(), pha[:, 22:38].mean()) == pytest.approx((0.25, 0.0), abs=0.01), "not also mirrored"
    assert len(matter.fallbacks) == 1
    assert matter.fallbacks[0].startswith(
        "remembering remembers the frames before: it is shown frames in order, one at"
    )


# which runtime


def test_runtimes_that_cannot_are_passed_over(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "RUNTIMES", {"fake": Entry(f"{__name__}:Forgetful"), **registry.RUNTIMES})
    matter = Matter(toml)
    assert matter.info.runtime.startswith("openvino ")
    assert "fake passed over: runs no recurrent networks" in matter.passed_over
    with pytest.raises(RuntimeUnavailable, match=r"no runtime can run remembering .*fake: runs no recurrent networks"):
        Matter(toml, runtime="fake")


class Forgetful:
    name = "fake"
    trusted = True
    strongly_typed = False

    def unavailable(self) -> str | None:
        return None

    def declined(self) -> str | None:
        return None


class Doubted(OnnxRuntime):
    """Compared with f32 on pictures, which it then remembers."""

    trusted = False  # type: ignore[assignment]


def test_what_it_was_compared_on_is_forgotten(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only = {"doubted": Entry(f"{__name__}:Doubted"), "openvino": registry.RUNTIMES["openvino"]}
    monkeypatch.setattr(registry, "RUNTIMES", only)
    matter = Matter(toml, runtime="doubted")
    assert matter.info.runtime.startswith("onnxruntime ")
    assert next((Path(toml).parent / "cache" / "engines").glob("*.parity"))
    first = matter.session.run(np.ones((1, 3, *NETWORK[::-1]), np.float32))
    assert first == pytest.approx(0.5 * STATE.ratio)


def test_int8_cannot_be_had(toml: Path) -> None:
    with pytest.raises(RuntimeUnavailable, match="remembering has no int8 calibration"):
        Matter(toml, precision="int8", runtime="openvino")


@pytest.mark.parametrize("name", ["rvm-mobilenetv3", "rvm-resnet50"])
def test_rvm_is_such_a_model(name: str) -> None:
    """Its weights cannot be had here: that it is asked for, and pulled, is what can be said."""
    state = model(name).state
    assert state is not None
    assert model(name).other_use is None
    with pytest.raises(ModelError, match=f"{name}: GPL-3.0-only, whether commercial use"):
        Matter(name)
    with pytest.raises(ModelError, match=f"{name}: cannot get the weights"):
        Matter(name, accept_licence=[name])


# in a stream


def scenes_in(names: str) -> list[Frame | Packet]:
    """A frame of each scene's texture, with sound between."""
    events: list[Frame | Packet] = []
    for seq, name in enumerate(names):
        frame = make_frame("gbrp", NETWORK, rgb=textured(ord(name), NETWORK, 4.0), seq=seq, pts=seq)
        events += [frame, Packet(1, seq)]
    return events


def mattes(matter: Matter, events: list[Frame | Packet], pace: Pace) -> tuple[list[Matte], Inference]:
    inference = Inference(matter, NoStabilizer(), pace, Meter())
    found = [each[1] for each in inference.mattes(iter(events)) if not isinstance(each, Packet)]
    return found, inference


def test_a_cut_is_a_beginning(toml: Path) -> None:
    """Two scenes one after the other are each of them alone; nobody but the tracker knows of the cut."""
    matter = Matter(toml, runtime="openvino", precision="f32", streams=4)
    events = scenes_in("aaaayyyy")
    found, inference = mattes(matter, events, Pace(streams=matter.info.streams))
    assert inference.cuts == 1
    assert inference.network_runs == 8
    wanted: list[Float] = []
    for first in (0, 4):
        say = Wanted()
        frames = [event for event in events if isinstance(event, Frame)][first : first + 4]
        wanted += [say(matter.look(frame).batch)[0, 0] for frame in frames]
    for one, other in zip(found, wanted, strict=True):
        assert np.abs(one.pha - other).max() < 1e-5


def test_a_clip_through_the_whole_job(toml: Path, tmp_path: Path) -> None:
    clip = tmp_path / "in.mkv"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 80, 48, "yuv420p"
        for shade in [255] * 6:
            picture = av.VideoFrame.from_ndarray(np.full((48, 80, 3), shade, np.uint8), "rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    how: dict[str, Any] = {"precision": "f32", "stabilize": "none", "refine": "none", "lookahead": 0, "bg": "black"}
    report = matte(
        clip, output=tmp_path / "out.mkv", matte=tmp_path / "pha.mkv", model=str(toml), quality="fast", **how
    )
    assert report.network_runs == report.frames_in == 6, "every frame, whatever the quality's stride"
    assert any("remembering remembers" in note for note in report.fallbacks)
    with av.open(str(tmp_path / "pha.mkv")) as container:
        shown = [frame.to_ndarray(format="gray").mean() / 255 / STATE.ratio for frame in container.decode(video=0)]
    assert shown == pytest.approx([1 - 0.5**n for n in range(1, 7)], abs=0.02)


@pytest.mark.parametrize("quality", ["fast", "best"])
def test_a_file_is_seen_frame_by_frame(toml: Path, tmp_path: Path, quality: str) -> None:
    settings = Settings(model=str(toml), output=(tmp_path / "out.mkv",), bg="black", quality=quality, batch="8")
    pipeline = open_pipeline("pattern:96x64?frames=3", settings)
    assert isinstance(pipeline, Pipeline)
    pace = pipeline._stages.pace
    assert (pace.stride, pace.streams, pace.batch, pace.live) == (1, 1, 1, False)
    pipeline.run()


# live


def test_a_live_run_is_paced_as_one(toml: Path, tmp_path: Path) -> None:
    settings = Settings(model=str(toml), to=("null",), bg="black", precision="f32", control="off")
    pipeline = open_pipeline("pattern:96x64@50?frames=10", settings)
    assert isinstance(pipeline, LivePipeline)
    assert pipeline.stages.pace.live
    report = pipeline.run()
    assert any("remembering remembers" in note for note in report.fallbacks)
    assert report.network_runs > 0


class Busy:
    """A network that answers when it is let; what it was shown, and what it was told of it."""

    def __init__(self) -> None:
        self.told: list[tuple[int, bool]] = []
        self.begun, self.let = threading.Semaphore(0), threading.Semaphore(0)

    def look(self, frame: Frame) -> Look:
        return make_look(frame, np.full((*NETWORK[::-1], 3), 0.5, np.float32))

    def see(self, look: Look) -> Matte:
        self.told.append((look.matte.seq, look.matte.discontinuity))
        self.begun.release()
        assert self.let.acquire(timeout=10)
        return replace(look.matte, pha=np.full(NETWORK[::-1], 1.0, np.float32), seen=True)


class Live:
    """Frames given to an inference one by one."""

    def __init__(self, network: Busy) -> None:
        self._next: Frame | None = None
        self._inference = Inference(network, NoStabilizer(), Pace(live=True), Meter())
        self._mattes = self._inference.mattes(self._given())

    def _given(self) -> Iterator[Frame]:
        while self._next is not None:
            yield self._next

    def give(self, seq: int, **facts: Any) -> Matte:
        self._next = make_frame(size=(16, 16), seq=seq, pts=seq, **facts)
        event = next(self._mattes)
        assert not isinstance(event, Packet)
        return event[1]

    def close(self) -> None:
        self._mattes.close()  # type: ignore[attr-defined]


def test_a_cut_that_the_network_was_busy_at_is_told_with_the_next_frame() -> None:
    network = Busy()
    live = Live(network)
    network.let.release()
    assert live.give(0).seen
    live.give(1)  # it is asked, and takes its time
    assert network.begun.acquire(timeout=10)
    assert network.begun.acquire(timeout=10)
    assert math.isinf(live.give(2, discontinuity=True).age_s), "nothing is known, and nothing comes in time"
    live.give(3)
    network.let.release()  # the answer about what was before the cut
    _until(lambda: live.give(4) is not None and len(network.told) == 3)
    network.let.release()
    _until(lambda: live.give(5) is not None and len(network.told) == 4)
    network.let.release(10)
    live.close()
    assert [told for _, told in network.told] == [False, False, True, False]
    assert [seq for seq, _ in network.told] == [0, 1, 4, 5]


def _until(done: Any) -> None:
    for _ in range(1000):
        if done():
            return
        time.sleep(0.01)
    pytest.fail("the network was not asked")
