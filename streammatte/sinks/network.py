"""`--to srt://`, `rtmp://`, `udp://`: the composite as a live stream, to a server, a player or another OBS."""

from __future__ import annotations

import threading
import time

import av

from streammatte.errors import SinkError
from streammatte.frame import Frame, StreamInfo
from streammatte.handoff import Cancelled, Handoff
from streammatte.sinks.options import SinkOptions
from streammatte.sinks.showing import ShowsFrames
from streammatte.sinks.streams.links import Link, Links
from streammatte.sinks.streams.network_plan import Target, plan_stream
from streammatte.sinks.streams.streaming import Pictures, Streaming, stream_head
from streammatte.worker import Worker

__all__ = ["NetworkSink"]

_AGAIN_S = 1.0
_LOOK_S = 0.2
_FLUSHED_S, _LEFT_S = 0.5, 1.0


class NetworkSink(ShowsFrames):
    """Sends H.264 (or HEVC) to `place`; no frame waits for the network, the newest wins.

    `srt://HOST:PORT` calls, and with `?mode=listener` serves one caller after another; `rtmp(s)://HOST/APP/KEY`
    publishes; `udp://HOST:PORT` sends to whoever may be there. A peer that goes away is called again every second for
    as long as the sink is open. Raises ConfigError for what is no address or codec, or a place to listen at that
    `--listen` does not allow; SinkError where a peer refuses the first call, or the port to listen at is taken.
    """

    def __init__(self, place: str, info: StreamInfo, options: SinkOptions = SinkOptions()) -> None:  # noqa: B008 (frozen)
        target = Target.parse(place, options)
        self._plan = plan_stream(target, info, options)
        head = stream_head(self._plan, info, options)
        super().__init__(target.shown, self._plan.codec)
        self.reach = {"url": target.shown}
        self._info, self._options = info, options
        self._listens = target.srt is not None and target.srt.listens
        self._pictures = Pictures(self._plan, info)
        self._waiting: Handoff[av.VideoFrame] = Handoff(1, "drop_oldest")
        self._ending = threading.Event()
        self._connected = False
        self._connections, self._away_s, self._lost_s, self._why = 0, 0.0, time.monotonic(), ""
        try:
            self._links = Links(target, head, (self._plan.width, self._plan.height))
            self._link = self._links.link()
            if not self._listens:
                self._link.open()
                self._joined()
        except OSError as error:
            what = "cannot be listened at" if self._listens else "cannot be reached"
            raise SinkError(f"{self.name}: {what} ({_said(error)}); {_remedy(target)}") from error
        self._sending = Worker(f"send to {self.name}", self._run)
        self._sending.start()

    def watched(self) -> bool:
        """Whether a peer is connected. Who looks behind an RTMP server, or takes UDP, cannot be told: then True."""
        return self._connected

    def _show(self, frame: Frame) -> None:
        if (frame.width, frame.height) != (self._info.width, self._info.height):
            came, due = f"{frame.width}x{frame.height}", f"{self._info.width}x{self._info.height}"
            raise SinkError(f"{self.name}: frame {frame.seq} is {came}, the stream was begun with {due}; start again")
        if self._connected:
            self._waiting.put(self._pictures.convert(frame))

    def _close(self) -> None:
        self._ending.set()
        self._waiting.close()
        self._sending.ended.wait(_FLUSHED_S if self._connected else 0)
        self._link.close()  # also wakes a thread that a peer holds up
        self._links.close()
        self._sending.ended.wait(_LEFT_S)
        if not self._connected:
            self._away_s += time.monotonic() - self._lost_s

    def _notes(self) -> tuple[str, ...]:
        return (*self._plan.notes, *self._lost_notes(), *self._dropped_notes())

    def _lost_notes(self) -> list[str]:
        if self._listens:
            return [f"callers served, one after the other: {self._connections}"]
        times = self._connections - 1
        if not times and not self._why:
            return []
        last = "" if self._connected else ", and was away at the end"
        return [f"reconnected {times} times, {self._away_s:.1f} s without{last} ({self._why})"]

    def _dropped_notes(self) -> list[str]:
        dropped = self._waiting.dropped
        return [f"{dropped} frames dropped: the network or the encoder was slower than the camera"] if dropped else []

    # the thread that owns the connection

    def _run(self) -> None:
        try:
            while not self._ending.is_set():
                self._serve_once()
        except Cancelled:
            pass
        finally:
            self._link.close()

    def _serve_once(self) -> None:
        try:
            if not self._connected:
                self._link.open()
                self._joined()
            self._serve(self._link)
        except (OSError, av.FFmpegError) as error:
            self._left(_said(error))
        if not self._ending.is_set():
            self._link = self._links.link()

    def _serve(self, link: Link) -> None:
        self._waiting.take(0)  # of before
        streaming = Streaming(self._plan, self._info, self._options, link)
        try:
            while not self._waiting.over:
                picture = self._waiting.take(_LOOK_S)
                link.check()
                if picture is not None:
                    streaming.write(picture)
        finally:
            streaming.close()

    def _joined(self) -> None:
        self._connections += 1
        if self._connections > 1:
            self._away_s += time.monotonic() - self._lost_s
        self._connected = True

    def _left(self, why: str) -> None:
        """The peer is gone, or did not come."""
        self._link.close()
        if self._ending.is_set():
            return
        if self._connected:
            self._lost_s, self._why = time.monotonic(), why
        self._connected = False
        if not self._listens:
            self._ending.wait(_AGAIN_S)


def _said(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).splitlines()[0].rstrip(".").lower()


def _remedy(target: Target) -> str:
    if target.srt is not None and target.srt.listens:
        return "stop what has that port, or give another"
    if target.srt is not None:
        return "start the receiver first, or wait for it with ?mode=listener"
    if target.scheme == "udp":
        return "check the address"
    return "check the address and the stream key, and that the server is running"
