"""`rtsp://`, `srt://`, `rtmp://`, `udp://`: live streams, which break and come back, or come to us."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from streammatte.errors import SourceError, StreammatteError
from streammatte.frame import Frame, Packet, StreamInfo
from streammatte.sources.addresses import awaits_publisher, listens_rtmp, shown
from streammatte.sources.file import FileSource
from streammatte.sources.incoming import SrtInput, SrtInputs, check_rtmp, wake_rtmp
from streammatte.sources.once import ReadOnce
from streammatte.sources.options import SourceOptions
from streammatte.sources.resumed import Resumed
from streammatte.worker import Worker

__all__ = ["NetworkSource"]

_AGAIN_S = 1.0
_POLL_S = 0.1
_LEFT_S = 1.0


class NetworkSource(ReadOnce):
    """One live stream, opened again each second whenever it ends or breaks, for as long as it is read.

    `srt://HOST:PORT?mode=listener` and `rtmp://HOST[:PORT]/APP?listen=1` wait for a publisher, such as OBS, as long as
    it takes, and afterwards for the next. Meanwhile nothing is given; the first frame after it is a discontinuity, and
    time goes on by the clock. A stream that comes back with other pictures raises SourceError. `close` may be called
    from any thread, also while a publisher is waited for.
    """

    info: StreamInfo

    def __init__(self, spec: str, options: SourceOptions = SourceOptions()) -> None:  # noqa: B008 (frozen)
        """Open `spec` and wait for its first picture. Raises SourceError, ConfigError."""
        super().__init__(shown(spec))
        self._spec = spec
        self._options = options
        self._ended = threading.Event()
        self._until_s: float | None = None
        self._using = threading.Lock()
        """Held while the stream is read or closed: FFmpeg allows no two of these at once."""
        self._earlier_notes: list[str] = []
        self._breaks, self._away_s = 0, 0.0
        self._input: SrtInput | None = None
        self._source: FileSource | None = None
        if listens_rtmp(spec):
            check_rtmp(spec)
        self._inputs = SrtInputs(spec) if spec.startswith("srt://") else None
        self._awaits = awaits_publisher(spec)
        try:
            self._source = self._awaited(options) if self._awaits else self._opened(options)
        except BaseException:
            self.close()
            raise
        assert self._source is not None  # only `close` ends the wait
        self.info = self._source.info

    @property
    def notes(self) -> list[str]:
        """What was put right in the stream, and for how long it was away."""
        broke = f"the stream broke or ended {self._breaks} times, {self._away_s:.1f} s without"
        now = self._source.notes if self._source is not None else []
        return [*dict.fromkeys([*self._earlier_notes, *now]), *([broke] if self._breaks else [])]

    def close(self) -> None:
        """Stop; from any thread. What another thread reads just now, it releases itself."""
        self._closed = True
        self._ended.set()
        self._hang_up()
        if self._using.acquire(blocking=False):
            try:
                if self._source is not None:
                    self._source.close()
            finally:
                self._using.release()

    # opening

    def _over(self) -> bool:
        return self._ended.is_set() or (self._until_s is not None and time.monotonic() >= self._until_s)

    def _awaited(self, options: SourceOptions) -> FileSource | None:
        """The stream, whenever it comes; None once that is over."""
        while not self._over():
            with suppress(SourceError):
                return self._opened(options)
            self._ended.wait(_POLL_S if self._awaits else _AGAIN_S)
        return None

    def _opened(self, options: SourceOptions) -> FileSource | None:
        """The stream, now; None once that is over. Raises SourceError, ConfigError."""
        opening = _Opening(self, options)
        opening.start()
        # Not in this thread: FFmpeg would wait for a publisher whatever happens here, Ctrl-C too.
        while not opening.ended.wait(_POLL_S):
            if self._over():
                self._hang_up()
                opening.give_up()
                return None
        if opening.error is not None:
            raise opening.error
        return opening.found

    def _open(self, options: SourceOptions) -> FileSource | None:
        if self._inputs is None:
            return FileSource(self._spec, options)
        self._input = self._inputs.next(self._over)
        if self._input is None:
            return None
        try:
            return FileSource(self._spec, options, self._input)
        except BaseException:
            self._input.close()
            raise

    def _hang_up(self) -> None:
        """Wake whatever waits for the peer."""
        if self._input is not None:
            self._input.close()
        if self._inputs is not None:
            self._inputs.close()
        if self._awaits and self._inputs is None:
            wake_rtmp(self._spec)

    # reading

    def _given(self) -> Iterator[Frame | Packet]:
        resumed = Resumed(self.info)
        if self._options.duration_s is not None:
            self._until_s = time.monotonic() + self._options.duration_s
        source = self._source
        while source is not None:
            for event in self._read(source):
                if (placed := resumed.event(event)) is not None:
                    yield placed
            if self._over() or source.complete:
                return
            source = self._returned(source)
            if source is not None:
                resumed.reopened(source.info)

    def _read(self, source: FileSource) -> Iterator[Frame | Packet]:
        events = source.events()
        while not self._closed:
            with self._using:
                event = next(events, None)
            if event is None:
                break
            yield event
        with self._using:
            source.close()

    def _returned(self, before: FileSource) -> FileSource | None:
        """The stream once it is back; None once that is over."""
        since_s = time.monotonic()
        self._earlier_notes += [note for note in before.notes if note not in self._earlier_notes]
        self._breaks += 1
        if self._input is not None:
            self._input.close()
        left_s = None if self._until_s is None else max(_POLL_S, self._until_s - since_s)
        self._source = self._awaited(replace(self._options, start_s=0.0, duration_s=left_s))
        self._away_s += time.monotonic() - since_s
        return self._source


class _Opening(Worker):
    """One attempt, in a thread of its own, which closes what it has opened where nobody wants it any more."""

    def __init__(self, source: NetworkSource, options: SourceOptions) -> None:
        super().__init__("open the stream", self._try)
        self.found: FileSource | None = None
        self.error: StreammatteError | None = None
        self._source, self._options = source, options
        self._deciding = threading.Lock()
        self._unwanted = False

    def _try(self) -> None:
        try:
            found = self._source._open(self._options)
        except StreammatteError as error:
            self.error = error
            return
        with self._deciding:
            if not self._unwanted:
                self.found = found
            elif found is not None:
                found.close()

    def give_up(self) -> None:
        """Wait a little for the thread's end; what it finds is closed."""
        with self._deciding:
            self._unwanted = True
            if self.found is not None:
                self.found.close()
        self.ended.wait(_LEFT_S)
