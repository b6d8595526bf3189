"""`--to NAME[:PLACE]`, or `--to URL`, as the live sink it means."""

from __future__ import annotations

from streammatte.frame import StreamInfo
from streammatte.ports import LiveSink, SinkKind
from streammatte.registry import LIVE_SINKS, load
from streammatte.sinks.options import SinkOptions

__all__ = ["live_kind", "open_live_sink"]


def live_kind(spec: str) -> SinkKind:
    """What the sink that `spec` names is given. Raises ConfigError as `open_live_sink` does."""
    kind: SinkKind = load(LIVE_SINKS, spec.partition(":")[0], "--to").kind
    return kind


def open_live_sink(
    spec: str,
    info: StreamInfo,
    options: SinkOptions = SinkOptions(),  # noqa: B008 (frozen)
) -> LiveSink:
    """Open `vcam[:device]`, `pipewire[:name]`, `obs[:codec][:port]`, `preview[:port]`, `window[:port]`, `null`, a URL.

    No picture is sent. A sink is given what follows the first colon, or the whole URL. Raises ConfigError (about --to)
    for an unknown name, a place that cannot be one or an extra that is missing, SinkError where what it needs is not
    there.
    """
    name, _, place = spec.partition(":")
    sink: LiveSink = load(LIVE_SINKS, name, "--to")(spec if place.startswith("//") else place, info, options)
    return sink
