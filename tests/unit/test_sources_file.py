"""What a file holds arrives: pixels, time, colour, orientation, alpha, sound."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import film, noise_frame, planes_of, smooth_frame, write_clip

from streammatte.color import ChromaLocation
from streammatte.frame import Frame, Packet
from streammatte.sources import SourceOptions, open_source
from streammatte.sources.probe import MasteringDisplay


def read(path: Path | str, **options: Any) -> tuple[list[Frame], list[Packet], Any]:
    source = open_source(str(path), SourceOptions(**options))
    events = list(source.events())
    source.close()
    frames = [event for event in events if isinstance(event, Frame)]
    return frames, [event for event in events if isinstance(event, Packet)], source


INTERLACED_DCT = 1 << 18  # AV_CODEC_FLAG_INTERLACED_DCT

LOSSLESS = [
    ("ffv1", "yuv420p", ".mkv", (639, 359)),
    ("ffv1", "yuv422p10le", ".mkv", (64, 48)),
    ("ffv1", "yuv444p", ".mkv", (63, 47)),
    ("ffv1", "yuv444p16le", ".mkv", (64, 48)),
    ("ffv1", "yuv411p", ".mkv", (64, 48)),
    ("ffv1", "gray", ".mkv", (64, 48)),
    ("ffv1", "gbrp10le", ".mkv", (64, 48)),
    ("ffv1", "yuva420p", ".mkv", (64, 48)),
    ("ffv1", "yuva444p10le", ".mkv", (64, 48)),
    ("libvpx-vp9", "yuva420p", ".webm", (64, 48)),
    ("rawvideo", "yuv420p", ".y4m", (64, 48)),
    ("utvideo", "gbrap", ".avi", (64, 48)),
]


@pytest.mark.parametrize(("codec", "pix_fmt", "suffix", "size"), LOSSLESS)
def test_lossless_is_exact(tmp_path: Path, codec: str, pix_fmt: str, suffix: str, size: tuple[int, int]) -> None:
    frames = [noise_frame(pix_fmt, size, seed) for seed in range(2)]
    codec, options = (
        ("wrapped_avframe", {}) if suffix == ".y4m" else (codec, {"lossless": "1"} if "vpx" in codec else {})
    )
    write_clip(tmp_path / f"a{suffix}", frames, codec, options=options)
    got, _, source = read(tmp_path / f"a{suffix}")
    assert len(got) == 2
    for frame, wanted in zip(got, frames, strict=True):
        extra = () if frame.alpha is None else (frame.alpha,)
        for plane, samples in zip((*frame.planes, *extra), planes_of(wanted), strict=True):
            np.testing.assert_array_equal(plane, samples)
    assert source.info.has_alpha is ("a4" in pix_fmt or "gbra" in pix_fmt)
    assert source.notes == []


def test_vp8_alpha(tmp_path: Path) -> None:
    frame = smooth_frame("yuva420p", (64, 48))
    alpha = planes_of(frame)[3]
    alpha[...] = np.where(np.arange(64) < 32, 0, 255)
    write_clip(tmp_path / "a.webm", [frame], "libvpx", options={"crf": "4", "auto-alt-ref": "0"})
    got, _, source = read(tmp_path / "a.webm")
    assert source.info.codec == "vp8"
    assert got[0].alpha is not None
    assert int(np.abs(got[0].alpha[:, 40:].astype(int) - 255).max()) <= 4
    assert int(got[0].alpha[:, :24].max()) <= 4


def test_prores_alpha_is_close(tmp_path: Path) -> None:
    frame = smooth_frame("yuva444p10le", (64, 48))
    write_clip(tmp_path / "a.mov", [frame], "prores_ks", options={"profile": "4444", "alpha_bits": "16"})
    got, _, source = read(tmp_path / "a.mov")
    assert source.info.format.name == "yuv444p12le"
    assert got[0].alpha is not None
    error = np.abs(got[0].alpha / 4095 - planes_of(frame)[3] / 1023)
    assert error.max() < 1 / 255


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_vfr_time_is_exact(tmp_path: Path, suffix: str) -> None:
    stamps = [0, 40, 140, 150, 600, 610]
    frames = [smooth_frame("yuv420p", (64, 48), i) for i in stamps]
    write_clip(tmp_path / f"a{suffix}", frames, pts=stamps, time_base=Fraction(1, 1000), options={"bf": "2"})
    got, _, source = read(tmp_path / f"a{suffix}")
    assert [frame.time for frame in got] == [Fraction(stamp, 1000) for stamp in stamps]
    assert source.notes == []


def test_23976(tmp_path: Path) -> None:
    rate = Fraction(24000, 1001)
    got, _, source = read(film(tmp_path / "a.mp4", 24, rate=rate))
    assert source.info.rate == rate
    assert source.info.frame_count == 24
    assert [frame.time for frame in got] == [i / rate for i in range(24)]
    assert {frame.duration * frame.time_base for frame in got} == {1 / rate}


@pytest.mark.parametrize(("turn", "wanted"), [(0, 0), (90, 90), (180, 180), (-90, 270), (270, 270), (30, 0)])
def test_rotation_is_counter_clockwise(tmp_path: Path, turn: int, wanted: int) -> None:
    got, _, source = read(film(tmp_path / "a.mp4", 2, rotation=turn))
    assert source.info.rotation == got[1].rotation == wanted
    assert (got[0].width, got[0].height) == (96, 64)  # the pixels stay


def test_phone_portrait_turns_clockwise(tmp_path: Path) -> None:
    """The matrix of a phone held upright: 90 degrees clockwise, as QuickTime writes it."""
    path = film(tmp_path / "a.mp4", 2)
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40  # version 0: matrix after 40 bytes
    one = 0x10000
    matrix = [0, one, 0, (1 << 32) - one, 0, 0, 0, 0, 1 << 30]
    content[at : at + 36] = b"".join(value.to_bytes(4, "big") for value in matrix)
    path.write_bytes(content)
    assert read(path)[2].info.rotation == 270


def test_hdr_tags(tmp_path: Path) -> None:
    tags = (
        "log-level=none:hdr10=1:chromaloc=2:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:"
        "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400"
    )
    frames = [smooth_frame("yuv420p10le", (64, 48), i) for i in range(3)]
    write_clip(tmp_path / "a.mp4", frames, "libx265", options={"x265-params": tags})
    got, _, source = read(tmp_path / "a.mp4")
    color = got[0].color
    assert (color.primaries, color.transfer, color.matrix, color.full_range) == (9, 16, 9, False)
    assert color.chroma_location is ChromaLocation.TOP_LEFT
    assert source.info.format.name == "yuv420p10le"
    assert source.info.content_light == (1000, 400)
    display = source.info.mastering_display
    assert isinstance(display, MasteringDisplay)
    assert (display.min_luminance, display.max_luminance) == (Fraction(1, 10000), 1000)
    assert display.primaries is not None
    assert display.primaries[0] == (Fraction(34, 50), Fraction(16, 50))
    assert display.white_point == (Fraction(15635, 50000), Fraction(16450, 50000))


def test_sar(tmp_path: Path) -> None:
    got, _, source = read(film(tmp_path / "a.mp4", 2, context={"sample_aspect_ratio": Fraction(16, 15)}))
    assert source.info.sar == got[0].sar == Fraction(16, 15)


def test_interlacing_is_flagged(tmp_path: Path) -> None:
    frames = [smooth_frame("yuv420p", (64, 48), i) for i in range(3)]
    write_clip(tmp_path / "a.mkv", frames, "mpeg2video", context={"flags": INTERLACED_DCT})
    got, _, source = read(tmp_path / "a.mkv")
    assert source.info.interlaced is got[0].interlaced is True
    assert not read(film(tmp_path / "b.mkv", 2))[2].info.interlaced


def test_sound_passes_in_order_and_late(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 50, audio_from_s=0.5)
    got, packets, source = read(path)
    assert len(got) == 50
    ((index, _),) = source.info.passthrough
    assert {packet.stream_index for packet in packets} == {index}
    starts = [packet.payload.pts * packet.payload.time_base for packet in packets]
    assert starts == sorted(starts)
    assert abs(float(starts[1]) - 0.5) < 0.03
    assert {packet.start_s for packet in packets} == {0}


def test_what_is_left_out_is_named(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        streams: list[Any] = [container.add_stream("mpeg4", rate=25) for _ in range(2)]
        for stream, size in zip(streams, ((32, 32), (64, 48)), strict=True):
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        streams[0].disposition = streams[1].disposition = 0
        for stream in streams:
            container.mux(stream.encode(smooth_frame("yuv420p", (stream.width, stream.height))))
            container.mux(stream.encode())
    got, _, source = read(tmp_path / "a.mkv")
    assert (source.info.width, len(got)) == (64, 1)  # the larger one
    assert source.info.not_carried == ("another video stream #0 (mpeg4)",)


def test_metadata_without_technical_keys(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        container.metadata["title"] = "Übung"
        stream: Any = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        container.mux(stream.encode(smooth_frame("yuv420p", (32, 32))))
        container.mux(stream.encode())
    assert read(tmp_path / "a.mp4")[2].info.metadata == (("title", "Übung"),)


def test_metadata_in_an_old_encoding(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", 2, container_metadata={"title": "AAbung"})
    path.write_bytes(path.read_bytes().replace(b"AAbung", "Üxbung".encode("latin-1")))
    ((key, value),) = read(path)[2].info.metadata
    assert (key, value[1:]) == ("title", "xbung")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("start", [0.04, 0.5, 1.0, 1.42, 1.9])
def test_start_is_exact(tmp_path: Path, suffix: str, start: float) -> None:
    """From any start the same pictures come as in the whole film, at times counted from the start."""
    path = film(tmp_path / f"a{suffix}", 50, options={"preset": "veryfast", "bf": "3", "g": "20"}, audio_from_s=0.0)
    whole, _, _ = read(path)
    got, packets, _ = read(path, start_s=start)
    skipped = ceil(start * 25)
    assert len(got) == 50 - skipped
    for frame, wanted in zip(got, whole[skipped:], strict=True):
        np.testing.assert_array_equal(frame.planes[0], wanted.planes[0])
    assert float(got[0].time) == pytest.approx(skipped / 25 - start, abs=1e-3)
    sound = [float(p.payload.pts * p.payload.time_base - p.start_s) for p in packets]
    assert -0.03 < sound[0] <= 0.03  # the packet that straddles the start is kept, those before it are not


def test_duration_stops_all_streams(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 50, audio_from_s=0.0)
    got, packets, source = read(path, start_s=0.2, duration_s=1.0)
    assert [round(float(frame.time), 3) for frame in got] == [round(i * 0.04, 3) for i in range(25)]
    ends = [float(p.payload.pts * p.payload.time_base - p.start_s) for p in packets]
    assert 0.9 < max(ends) < 1.0
    assert source.info.duration_s == pytest.approx(1.0)
    assert source.info.frame_count == 25


def test_lavfi() -> None:
    got, _, source = read("lavfi:testsrc2=size=64x48:rate=30000/1001,format=yuv422p,trim=end_frame=5")
    assert len(got) == 5
    assert source.info.format.name == "yuv422p"
    assert source.info.rate == Fraction(30000, 1001)
