"""`--to NAME[:PLACE]` as the live sink it means."""

from __future__ import annotations

from streammatte.frame import StreamInfo
from streammatte.ports import LiveSink
from streammatte.registry import LIVE_SINKS, load

__all__ = ["open_live_sink"]


def open_live_sink(spec: str, info: StreamInfo) -> LiveSink:
    """Open `vcam[:device]`, `pipewire[:name]`, `preview[:port]`, `window[:port]` or `null`; no picture is sent.

    Raises ConfigError (about --to) for an unknown name, a place that cannot be one or an extra that is missing,
    SinkError where what it needs is not there.
    """
    name, _, place = spec.partition(":")
    sink: LiveSink = load(LIVE_SINKS, name, "--to")(place, info)
    return sink
