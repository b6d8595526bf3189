"""`--to NAME[:PLACE]`."""

from __future__ import annotations

import pytest
from sink_clips import make_frames, make_info

from streammatte.errors import ConfigError
from streammatte.frame import StreamInfo
from streammatte.registry import LIVE_SINKS
from streammatte.sinks import null
from streammatte.sinks.live import open_live_sink
from streammatte.sinks.null import NullSink
from streammatte.sinks.options import SinkOptions


@pytest.mark.parametrize(
    ("spec", "place"), [("null", ""), ("null:", ""), ("null:/dev/video10", "/dev/video10"), ("null:a:b", "a:b")]
)
def test_what_follows_the_colon_is_the_place(spec: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    places: list[tuple[str, StreamInfo, SinkOptions]] = []
    monkeypatch.setattr(null, "NullSink", lambda *arguments: places.append(arguments))
    info = make_info()
    open_live_sink(spec, info)
    assert places == [(place, info, SinkOptions())]


def test_null_counts_and_is_always_watched() -> None:
    info = make_info()
    sink = open_live_sink("null", info)
    assert isinstance(sink, NullSink)
    for frame in make_frames(info, "com"):
        sink.write(frame)
    assert sink.watched()
    assert sink.finish().frames == 6


def test_null_takes_no_place() -> None:
    with pytest.raises(ConfigError, match="--to: null goes nowhere; leave out ':x'"):
        open_live_sink("null:x", make_info())


@pytest.mark.parametrize("spec", ["", "camera", "VCAM", "out.mp4", "null.mp4"])
def test_an_unknown_name_lists_the_known(spec: str) -> None:
    with pytest.raises(ConfigError, match=f"unknown {spec!r}; one of {', '.join(LIVE_SINKS)}") as caught:
        open_live_sink(spec, make_info())
    assert caught.value.key == "--to"
