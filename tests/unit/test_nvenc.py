"""Composites encoded on a GPU: what is asked of it, that it is given the frames' own samples, and the CPU else."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from device_frames import noise
from hypothesis import given
from hypothesis import strategies as st
from sink_clips import BT709, audio_source, decode, make_frames, make_info, passthrough, plane, stream_bytes, write_all

from streammatte.color import ChromaLocation, ColorSpec
from streammatte.errors import SinkError
from streammatte.frame import Frame, StreamInfo
from streammatte.sinks import SinkOptions, open_sink, planning
from streammatte.sinks.codecs import ENCODERS, NVENC
from streammatte.sinks.file import FileSink
from streammatte.sinks.planning import Plan, plan

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

from fake_cuda import FakeCuda  # noqa: E402

from streammatte.kernels.torch.lane import Lane  # noqa: E402
from streammatte.kernels.torch.planes import on_device  # noqa: E402
from streammatte.sinks import nvenc  # noqa: E402
from streammatte.sinks.nvenc import Nvenc, SurfaceWriter, nvenc_refusal, surface  # noqa: E402
from streammatte.sources.planes import unpack  # noqa: E402

torch.set_num_threads(1)

PATH = Path("out.mp4")
SIDED = replace(BT709, chroma_location=ChromaLocation.LEFT)
ABOVE = replace(BT709, chroma_location=ChromaLocation.TOP_LEFT)


class Gpu(Nvenc):
    """NVENC that opens, or does not for the reason given."""

    def __init__(self, why: str | None = None) -> None:
        super().__init__(Lane("cpu"))
        self._why = why
        self.asked: list[Plan] = []

    def unopened(self, plan: Plan) -> str | None:
        self.asked.append(plan)
        return self._why


def planned(gpu: Nvenc | None = None, info: StreamInfo | None = None, path: Path = PATH, **options: Any) -> Plan:
    return plan(path, "com", info or make_info(), SinkOptions(encoder=gpu or Gpu(), **options))


def there(frame: Frame) -> Frame:
    return on_device(frame, "cpu")


@pytest.fixture
def like_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """NVENC's table with the CPU's encoders, which take NV12 as the GPU takes surfaces, and P010 by a detour."""
    stand_ins = {
        "h264": replace(ENCODERS["h264"], surfaces="nv12"),
        "hevc": replace(ENCODERS["hevc"], surfaces="yuv420p10le"),
    }
    monkeypatch.setattr(planning, "NVENC", stand_ins)


# plans


@pytest.mark.parametrize(
    ("path", "info", "options", "why"),
    [
        (PATH, make_info(), {}, None),
        (PATH, make_info(width=63, height=47), {}, None),
        (PATH, make_info(color=SIDED, rotation=90), {"crf": 30}, None),
        (PATH, make_info("yuv420p10le"), {}, None),
        (PATH, make_info(), {"codec": "av1"}, None),
        (Path("out.webm"), make_info(), {}, "the GPU's encoder has no vp9"),
        (Path("out.mov"), make_info(), {"codec": "prores"}, "the GPU's encoder has no prores"),
        (PATH, make_info("yuv444p"), {}, "h264_nvenc is not given yuv444p"),
        (PATH, make_info("yuv420p10le"), {"codec": "h264"}, "h264_nvenc is not given yuv420p10le"),
        (PATH, make_info("gbrp"), {}, "pixels are converted"),
        (PATH, make_info("yuv420p"), {"codec": "hevc", "pix_fmt": "yuv420p10le"}, "pixels are converted"),
        (PATH, make_info(), {"preset": "slow"}, "preset slow is libx264's"),
        (PATH, make_info(), {"crf": 0}, "h264_nvenc has no quality 0"),
        (PATH, make_info(interlaced=True), {}, "pictures are interlaced"),
        (PATH, make_info(content_light=(1000, 400)), {}, "the GPU's encoder has no place for HDR mastering data"),
        (PATH, make_info(mastering_display=object()), {}, "the GPU's encoder has no place for HDR mastering data"),
        (PATH, make_info(color=ABOVE), {}, "the GPU's encoder does not say where chroma sits"),
    ],
)
def test_what_is_asked_of_the_gpu(path: Path, info: StreamInfo, options: dict[str, Any], why: str | None) -> None:
    given_options = SinkOptions(**options)
    assert nvenc_refusal(plan(path, "com", info, given_options), info, given_options) == why


def test_the_gpus_plan_says_the_same_in_its_own_words() -> None:
    gpu = Gpu()
    usual = plan(PATH, "com", make_info(), SinkOptions(crf=30))
    chosen = planned(gpu, crf=30)
    assert gpu.asked == [chosen]
    assert (chosen.encoder.library, chosen.av_format) == ("h264_nvenc", "cuda")
    assert dict(chosen.options) == {"rc": "vbr", "tune": "hq", "profile": "high", "cq": "30", "preset": "p5"}
    same = {"encoder": usual.encoder, "options": usual.options}
    assert replace(chosen, **same) == usual


@pytest.mark.parametrize("codec", list(NVENC))
def test_qualities_are_the_cpus_and_options_the_encoders(codec: str) -> None:
    encoder = NVENC[codec]
    assert encoder.quality == ENCODERS[codec].quality
    assert encoder.quality_range[1] == ENCODERS[codec].quality_range[1]
    context: Any = av.CodecContext.create(encoder.library, "w")
    known = {option.name: option for option in context.supported_options.private}
    assert known["cq"].max == encoder.quality_range[1]
    words = {**dict(encoder.options), "preset": encoder.preset}
    for name, value in words.items():
        assert value in [choice.name for choice in known[name].choices]


@pytest.mark.parametrize("kind", ["fgr", "pha"])
def test_only_composites_are_encoded_there(kind: Any) -> None:
    path = Path("out.mov")
    assert plan(path, kind, make_info(), SinkOptions(encoder=Gpu())) == plan(path, kind, make_info(), SinkOptions())


def test_why_not_stands_in_the_notes() -> None:
    info = make_info("yuv444p")
    usual = plan(PATH, "com", info, SinkOptions())
    gpu = Gpu()
    assert planned(gpu, info) == replace(usual, notes=("encoded on the CPU: h264_nvenc is not given yuv444p",))
    assert gpu.asked == []
    closed = planned(Gpu("h264_nvenc cannot be opened (no such device)"))
    assert not closed.on_device
    assert closed.notes == ("encoded on the CPU: h264_nvenc cannot be opened (no such device)",)


@pytest.mark.parametrize(("name", "layout"), [("yuv420p", "nv12"), ("yuv420p10le", "p010le")])
def test_the_trial_is_of_what_will_be_asked(monkeypatch: pytest.MonkeyPatch, name: str, layout: str) -> None:
    class Trial:
        def open(self) -> None:
            raise av.error.PermissionError(1, "Operation not permitted")

    trial: Any = Trial()
    monkeypatch.setattr(nvenc.av.CodecContext, "create", lambda library, mode: trial)
    chosen = planned(info=make_info(name, 63, 47))
    why = Nvenc(Lane("cpu")).unopened(chosen)
    assert why == f"{chosen.encoder.library} cannot be opened (operation not permitted)"
    assert (trial.width, trial.height, trial.pix_fmt) == (64, 48, layout)
    assert trial.options == {**dict(chosen.options), "gpu": "0"}


def test_a_trial_that_opens_is_no_reason() -> None:
    chosen = planned()
    on_the_cpu = replace(chosen, encoder=replace(chosen.encoder, library="libx264"), options=())
    assert Nvenc(Lane("cpu")).unopened(on_the_cpu) is None


# surfaces

SIZES = st.tuples(st.integers(3, 9), st.integers(3, 9))


@given(st.sampled_from(["yuv420p", "yuv420p10le"]), SIZES)
def test_a_surface_is_one_piece_and_repeats_the_edge(name: str, size: tuple[int, int]) -> None:
    frame = noise(name, size)
    width, height = (side + side % 2 for side in size)
    luma, pairs = surface(there(frame).planes, width, height, frame.format)  # type: ignore[arg-type]
    shift = 0 if name == "yuv420p" else 6
    wanted = np.pad(frame.planes[0], ((0, height - size[1]), (0, width - size[0])), "edge")
    np.testing.assert_array_equal(luma.numpy(), wanted << shift)
    np.testing.assert_array_equal(pairs.numpy(), np.stack(frame.planes[1:], -1) << shift)
    row = luma.stride(0) * luma.element_size()
    assert row % 256 == 0
    assert pairs.stride() == (luma.stride(0), 2, 1)
    assert pairs.data_ptr() == luma.data_ptr() + height * row


@pytest.mark.parametrize(("name", "layout"), [("yuv420p", "nv12"), ("yuv420p10le", "p010le")])
def test_the_encoder_is_given_the_frames_own_samples(name: str, layout: str) -> None:
    frame = noise(name, (64, 48), color=ColorSpec(9, 9, 16, True))
    chosen = planned(info=make_info(name, color=frame.color))
    planes = there(frame)
    out = SurfaceWriter(chosen, Lane("cpu")).convert(planes)
    for tensor in planes.planes:
        tensor.fill_(0)  # type: ignore[attr-defined]
    del planes
    assert out.format.name == layout
    assert (out.pts, out.time_base) == (7, Fraction(1, 25))
    assert (out.colorspace, out.color_primaries, out.color_trc, int(out.color_range)) == (9, 9, 16, 2)
    for samples, wanted in zip(unpack(out).planes, frame.planes, strict=True):
        np.testing.assert_array_equal(samples, wanted)


def test_a_surface_is_complete_before_the_encoder_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, chosen = there(noise("yuv420p", (64, 48))), planned()
    cuda = FakeCuda(monkeypatch)
    writer = SurfaceWriter(chosen, cuda.lane)
    writer.convert(frame)
    assert cuda.log == [("record", "lane"), ("host waits", "lane")]


# files


@pytest.mark.parametrize(("name", "size"), [("yuv420p", (64, 48)), ("yuv420p", (63, 47)), ("yuv420p10le", (64, 48))])
def test_a_file_is_as_if_the_cpu_had_the_frames(
    tmp_path: Path, like_a_gpu: None, name: str, size: tuple[int, int]
) -> None:
    info = make_info(name, *size, rotation=90)
    frames = make_frames(info, "com")
    usual = write_all(open_sink(tmp_path / "a.mp4", "com", info, SinkOptions()), frames)
    sink = open_sink(tmp_path / "b.mp4", "com", info, SinkOptions(encoder=Gpu()))
    assert isinstance(sink, FileSink)
    assert sink.on_device
    report = write_all(sink, [there(frame) for frame in frames])
    assert replace(report, name=usual.name) == usual
    for one, other in zip(decode(tmp_path / "b.mp4"), decode(tmp_path / "a.mp4"), strict=True):
        assert (one.pts, one.rotation, one.colorspace) == (other.pts, other.rotation, other.colorspace)
        for index in range(3):
            np.testing.assert_array_equal(plane(one, index, info.format.dtype), plane(other, index, info.format.dtype))


def test_packets_wait_until_the_encoder_is_open(
    tmp_path: Path, like_a_gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, streams, packets = passthrough(audio_source(tmp_path / "a.mka"))
    info = make_info(passthrough=streams)
    frames = make_frames(info, "com")
    opened = []
    for name, encoder in (("usual", None), ("gpu", Gpu())):
        sink: Any = open_sink(tmp_path / f"{name}.mkv", "com", info, SinkOptions(encoder=encoder))
        write, video = sink._passthrough.write, sink._video
        monkeypatch.setattr(sink._passthrough, "write", lambda p, w=write, v=video: (opened.append(v.started), w(p)))
        for packet in packets[:3]:
            sink.write_packet(packet)
        assert opened == ([False] * 3 if encoder is None else [])
        opened.clear()
        first, second, *rest = frames if encoder is None else [there(frame) for frame in frames]
        sink.write(first)
        assert opened == []
        sink.write(second)
        assert opened == ([] if encoder is None else [True] * 3)
        write_all(sink, rest, packets[3:])
        assert all(opened)
        opened.clear()
    source.close()
    assert stream_bytes(tmp_path / "gpu.mkv", "audio") == stream_bytes(tmp_path / "usual.mkv", "audio")
    assert stream_bytes(tmp_path / "usual.mkv", "audio")


def test_packets_come_through_though_there_is_one_frame(tmp_path: Path, like_a_gpu: None) -> None:
    source, streams, packets = passthrough(audio_source(tmp_path / "a.mka"))
    info = make_info(passthrough=streams)
    sink = open_sink(tmp_path / "gpu.mkv", "com", info, SinkOptions(encoder=Gpu()))
    write_all(sink, [there(frame) for frame in make_frames(info, "com", [0])], packets)
    source.close()
    assert len(stream_bytes(tmp_path / "gpu.mkv", "audio")) == len(packets)


def test_an_encoder_that_opens_on_trial_and_not_for_good_leaves_nothing(tmp_path: Path) -> None:
    """A frame on the host is none that NVENC can be given as one on a GPU, wherever this runs."""
    info = make_info()
    sink = open_sink(tmp_path / "a.mp4", "com", info, SinkOptions(encoder=Gpu()))
    with pytest.raises(SinkError, match=r"a\.mp4"):
        write_all(sink, [there(frame) for frame in make_frames(info, "com")])
    assert list(tmp_path.iterdir()) == []


def test_frames_on_the_host_are_written_where_the_gpu_is_refused(tmp_path: Path) -> None:
    info = make_info()
    sink = open_sink(tmp_path / "a.mp4", "com", info, SinkOptions(encoder=Gpu("it is busy")))
    assert isinstance(sink, FileSink)
    assert not sink.on_device
    report = write_all(sink, make_frames(info, "com"))
    assert (report.codec, report.notes) == ("h264", ("encoded on the CPU: it is busy",))
