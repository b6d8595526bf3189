"""One pass over an open container: packets in, frames and passing packets out, faults raised or counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from fractions import Fraction
from typing import Any, NoReturn

import av
import av.container

from streammatte.color import ChromaLocation
from streammatte.errors import SourceError
from streammatte.frame import Frame, Packet
from streammatte.sources import probe
from streammatte.sources.clock import Clock, Window
from streammatte.sources.opening import reason
from streammatte.sources.planes import Picture, unpack

__all__ = ["Faults", "Reader"]

_INDEX_AT_END = (
    "an MP4 or MOV whose index is at its end cannot be read from a pipe; give the file by its name, or pipe one"
    " written with the index first (ffmpeg -movflags +faststart) or Matroska"
)
_CLOSING_S = Fraction(5)  # how far past the end of the window other streams are waited for


class Faults:
    """What is wrong with an input: an error, or a note where the user asked to go on."""

    def __init__(self, name: str, *, forgiving: bool) -> None:
        self.name, self.forgiving = name, forgiving
        self._counts: dict[str, int] = {}

    def add(self, what: str, at: Fraction | None = None) -> None:
        """Raise SourceError, or note `what` and return."""
        if self.forgiving:
            self.note(what)
            return
        where = "" if at is None else f" at {float(at):.2f} s"
        raise SourceError(f"{self.name}: {what}{where}; give --salvage to use what can be read")

    def note(self, what: str) -> None:
        """Keep it for the report."""
        self._counts[what] = self._counts.get(what, 0) + 1

    def notes(self) -> list[str]:
        """All that was noted, each once, with how often."""
        return [f"{count} x {what}" if count > 1 else what for what, count in self._counts.items()]


class Reader:
    """Decodes the video of `streams` and passes the rest on, within `window`."""

    def __init__(
        self,
        container: av.container.InputContainer,
        streams: probe.Streams,
        decoder: Any,
        window: Window,
        faults: Faults,
        *,
        live: bool,
        unpacked: Callable[[av.VideoFrame], Picture] = unpack,
    ) -> None:
        """The container stands where reading is to begin; `decoder` is flushed, and gives what `unpacked` takes."""
        self._streams, self._decoder, self._window, self._faults = streams, decoder, window, faults
        self._video: Any = streams.video
        self._live, self._unpacked = live, unpacked
        # transport streams flag every lost bit, and players play on
        self._lossy = live or container.format.name == "mpegts"
        self._time_base = window.time_base
        self._rate: Fraction | None = self._video.average_rate or self._video.guessed_rate or None
        self._declared = None if live else probe.declared_end(container, self._video)
        self._piped_mp4 = faults.name == "-" and container.format.name.startswith("mov")
        self._location: ChromaLocation = probe.chroma_location(self._video)
        self.clock = Clock(faults.name, self._time_base, self._rate, forgiving=faults.forgiving)
        self.first: av.VideoFrame | None = None
        """The first frame given, as decoded."""
        self.decoded = 0
        """Frames decoded, also those outside the window."""
        self._format: tuple[Any, ...] = ()
        self._seq = 0
        self._rotation = 0
        self._clean = False
        self._reach = self._gap = Fraction(0)
        self._last: Fraction | None = None
        self._waiting = {stream.index for stream in streams.passing if stream.type == "audio"}
        self.finished = False
        """The end of the window has been reached."""
        self._packets: Any = container.demux()
        self.events: Generator[Frame | Packet, None, None] = self._run()

    def close(self) -> None:
        """Stop reading. The container may be closed afterwards."""
        with suppress(ValueError):  # closed from inside its own iteration
            self.events.close()
            self._packets.close()

    def _run(self) -> Generator[Frame | Packet, None, None]:
        passing = {stream.index for stream in self._streams.passing}
        for packet in self._demuxed():
            if packet.stream is self._video:
                yield from self._frames(packet)
            elif packet.size and packet.stream.index in passing:
                yield from self._pass(packet)
            if self._over(packet):
                return
        if not self.finished:
            self._check_complete()

    def _demuxed(self) -> Iterator[Any]:
        """Packets of all streams, since those not wanted still show how far the file goes; then the flush."""
        try:
            for packet in self._packets:
                if packet.pts is not None:
                    self._reach = max(self._reach, (packet.pts + (packet.duration or 0)) * packet.time_base)
                yield packet
        except (av.FFmpegError, OSError) as error:
            if self._piped_mp4 and not self._reach:
                raise SourceError(f"{self._faults.name}: {_INDEX_AT_END}") from error
            what = "no data came in time" if isinstance(error, av.error.ExitError) else reason(error)
            self._faults.add(f"reading failed ({what})", self._last)
            yield self._flush()

    def _flush(self) -> Any:
        packet = av.Packet()
        packet.stream = self._video
        packet.time_base = self._time_base
        return packet

    def _frames(self, packet: Any) -> Iterator[Frame]:
        if self.finished or self._drops(packet):
            return
        for decoded in self._decode(packet):
            self.decoded += 1
            pts = self.clock.pts(decoded)
            if self._window.after(pts):
                self.finished = True
                return
            if not self._window.before(pts):
                self._check_whole(decoded)
                yield self._frame(decoded, pts)

    def _check_whole(self, decoded: av.VideoFrame) -> None:
        """Decoders patch damaged parts and say so. A recording begun mid-way may start like that."""
        if not decoded.is_corrupt:
            self._clean = True
        elif self._clean or not self._lossy:
            self._faults.add("a frame is damaged", self._last)

    def _drops(self, packet: Any) -> bool:
        """Packets that arrived in part are faults and not decoded: half a picture is worse than none."""
        if not packet.is_corrupt or self._lossy:
            return False
        self._faults.add("a frame's data is incomplete (file cut off or damaged)", self._last)
        return True

    def _decode(self, packet: Any) -> list[av.VideoFrame]:
        try:
            frames: list[av.VideoFrame] = self._decoder.decode(packet)
        except av.FFmpegError as error:
            # recordings cut out of a broadcast begin in the middle of a group of pictures
            if self.decoded or packet.is_keyframe or not packet.size:
                self._faults.add(f"a frame cannot be decoded ({reason(error)})", self._last)
            return []
        return frames

    def _frame(self, decoded: av.VideoFrame, pts: int) -> Frame:
        picture = self._unpacked(decoded)
        self._check_same(decoded, picture, pts)
        now = pts * self._time_base
        self._gap = max(self._gap, now - (now if self._last is None else self._last))
        self._last = now
        seq, self._seq = self._seq, self._seq + 1
        return Frame(
            planes=picture.planes,
            format=picture.format,
            color=probe.color_spec(decoded, picture, self._location),
            pts=pts - self._window.shift,
            time_base=self._time_base,
            duration=self._duration(decoded, pts),
            seq=seq,
            alpha=picture.alpha,
            rotation=self._rotation,
            sar=Fraction(self._video.sample_aspect_ratio or 1),
            interlaced=bool(decoded.interlaced_frame),
            captured_ns=time.monotonic_ns() if self._live else None,
            discontinuity=self.clock.jumped,
        )

    def _duration(self, decoded: av.VideoFrame, pts: int) -> int:
        length = max(0, int(decoded.duration or 0))
        end = self._window.end_pts
        return length if end is None else min(length, end - pts)

    def _check_same(self, decoded: av.VideoFrame, picture: Picture, pts: int) -> None:
        height, width = picture.planes[0].shape
        format_ = (width, height, picture.format.name)
        if self.first is None:
            self.first, self._format = decoded, format_
            self._rotation = probe.quarter_turns(decoded)
            self._note_first(picture)
        elif format_ != self._format:
            self._changed(format_, float(pts * self._time_base))

    def _note_first(self, picture: Picture) -> None:
        if picture.note:
            self._faults.note(picture.note)
        if self.first is not None and probe.mirrored(self.first):
            self._faults.note("the display matrix also mirrors the picture, which is not carried")

    def _changed(self, now: tuple[Any, ...], at: float) -> NoReturn:
        was, new = (f"{width}x{height} {name}" for width, height, name in (self._format, now))
        raise SourceError(f"{self._faults.name}: changes from {was} to {new} at {at:.2f} s; cut it there")

    def _pass(self, packet: Any) -> Iterator[Packet]:
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is not None:
            begin, length = stamp * packet.time_base, (packet.duration or 0) * packet.time_base
            if self._window.first_pts is not None and begin < self._window.shift_s >= begin + length:
                return
            if self._window.end_s is not None and begin >= self._window.end_s:
                self._waiting.discard(packet.stream.index)
                return
        yield Packet(packet.stream.index, packet, self._window.shift_s)

    def _over(self, packet: Any) -> bool:
        """Everything wanted has come: nothing more need be read."""
        if not self.finished or self._window.end_s is None:
            return False
        far = packet.dts is not None and packet.dts * packet.time_base > self._window.end_s + _CLOSING_S
        return far or not self._waiting

    def _check_complete(self) -> None:
        """The input has ended: was that where its header says?"""
        if self._declared is None:
            return
        wanted = self._declared if self._window.end_s is None else min(self._declared, self._window.end_s)
        step = max(self._gap, 1 / self._rate if self._rate else Fraction(0))
        # the last frame's length is often not written down: three frames, or half a second, are no cut
        if wanted - self._reach > max(Fraction(1, 2), 3 * step):
            self._faults.add(f"ends at {float(self._reach):.2f} s of {float(wanted):.2f} s (cut off)")
