"""Files, URLs, standard input and FFmpeg's own test sources, through PyAV."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from typing import Any

import av

from streammatte.errors import SourceError
from streammatte.frame import Frame, Packet, StreamInfo
from streammatte.sources import probe
from streammatte.sources.addresses import is_url, shown
from streammatte.sources.clock import Window
from streammatte.sources.describe import describe
from streammatte.sources.once import ReadOnce
from streammatte.sources.opening import Stream, can_reopen, is_live, open_container, reason
from streammatte.sources.options import Decoder, SourceOptions
from streammatte.sources.planes import unpack
from streammatte.sources.reader import Faults, Reader

__all__ = ["FileSource"]

_SEEK_MARGINS_S = (Fraction(1, 2), Fraction(5), Fraction(30))
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


class FileSource(ReadOnce):
    """One video of a container. The first frame is decoded on opening, so that `info` is what frames will be.

    After `close` the streams in `info.passthrough` must not be used; frames and packets given stay valid.
    """

    info: StreamInfo

    def __init__(
        self,
        spec: str,
        options: SourceOptions = SourceOptions(),  # noqa: B008 (frozen)
        stream: Stream | None = None,
    ) -> None:
        """Open `spec`, or what `stream` holds in its name. Raises SourceError, ConfigError."""
        super().__init__(shown(spec))
        self._spec = spec
        self._options = options
        self._reader: Reader | None = None
        self._ahead: deque[Frame | Packet] = deque()
        self._container = open_container(spec, options, stream)
        try:
            self._begin(reopens=stream is None and can_reopen(spec))
        except av.FFmpegError as error:
            self.close()
            raise SourceError(f"{self._name}: no decoder for it here ({error.strerror})") from error
        except BaseException:
            self.close()
            raise

    @property
    def notes(self) -> list[str]:
        """What was put right or passed over so far, in words, for the report."""
        return self._faults.notes() + (self._reader.clock.notes() if self._reader else [])

    @property
    def complete(self) -> bool:
        """All that `options` want of the input has been given."""
        return self._reader is not None and self._reader.finished

    def close(self) -> None:
        """Release the input."""
        if self._closed:
            return
        self._closed = True
        if self._reader is not None:
            self._reader.close()
        self._container.close()

    def _given(self) -> Iterator[Frame | Packet]:
        while self._ahead:
            yield self._ahead.popleft()
        while not self._closed and self._reader is not None:  # FFmpeg must not be asked again once closed
            event = next(self._reader.events, None)
            if event is None:
                return
            yield event

    def _begin(self, *, reopens: bool) -> None:
        """Prepare to decode on the device that options name if it can do it, else on the CPU."""
        decoder = self._options.decoder
        if decoder is None:
            self._prepare(None)
            return
        why = self._not_by(decoder) if reopens else "only files are decoded on the GPU"
        if why is not None:
            self._prepare(None)
            self._faults.note(f"decoded on the CPU: {why}")

    def _not_by(self, decoder: Decoder) -> str | None:
        """Why `decoder` does not do it, the container being as new; None, and all is prepared."""
        why = decoder.refusal(probe.select_streams(self._name, self._container).video)
        if why is not None:
            return why
        self._container.close()
        try:
            self._container = open_container(self._spec, self._options, hwaccel=decoder.hwaccel())
            self._prepare(decoder)
        except SourceError:
            why = "no picture came of it on the GPU"
        except (av.FFmpegError, RuntimeError) as error:
            why = f"the GPU's decoder failed ({reason(error)})"
        if why is not None:
            self._start_over()
        return why

    def _start_over(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._ahead.clear()
        self._container.close()
        self._container = open_container(self._spec, self._options)

    def _prepare(self, decoder: Decoder | None) -> None:
        live = is_live(self._spec, self._container)
        self._faults = Faults(self._name, forgiving=self._options.salvage or live)
        self._streams = probe.select_streams(self._name, self._container)
        self._video: Any = self._streams.video
        self._decoder = self._open_decoder(on_device=decoder is not None)
        self._window = Window(
            probe.start_time(self._video), self._options.start, self._options.end, _time_base(self._video)
        )
        self._check_size()
        if self._window.first_pts is not None and not live:
            self._seek()
        self._reader = Reader(
            self._container,
            self._streams,
            self._decoder,
            self._window,
            self._faults,
            live=live,
            unpacked=unpack if decoder is None else decoder.unpack,
        )
        first = self._first_frame(self._reader)
        decoded = self._reader.first
        assert decoded is not None  # a frame was given
        if decoder is not None and (first.width, first.height) != (self._decoder.width, self._decoder.height):
            # FFmpeg crops frames on a device on the right and below alone
            raise RuntimeError("the picture is cropped on its left or above")
        self.info = describe(self._name, self._container, self._streams, first, decoded, self._window, live=live)

    def _open_decoder(self, *, on_device: bool) -> Any:
        context: Any = self._video.codec_context
        if on_device:
            context.thread_count = 1  # each more would take surfaces, of which the hardware has 32
            return context
        library = _ALPHA_DECODERS.get(context.codec.canonical_name)
        if library and self._video.metadata.get("alpha_mode") == "1":
            # FFmpeg's own VP8 and VP9 decoders drop the alpha layer, libvpx's keep it
            context = av.CodecContext.create(library, "r")
        # frame threads are faster, and only with them does FFmpeg flag the H.264 frames that it had to patch
        context.thread_type = "AUTO"
        return context

    def _check_size(self) -> None:
        """An index that points beyond the end of the file shows that it was cut, before any work is done."""
        entries = self._video.index_entries
        if self._options.salvage or self._spec == "-" or is_url(self._spec) or not len(entries):
            return
        needed, size = entries[-1].pos + entries[-1].size, self._container.size
        if self._window.end_s is None and 0 < size < needed:
            self._faults.add(f"cut off: {size} bytes are there of at least {needed}")

    def _seek(self) -> None:
        """Go to where the first wanted frame can be decoded from; if that fails, read from the beginning."""
        for margin in _SEEK_MARGINS_S:
            target = int((self._window.start_s - margin) / self._video.time_base)
            if not self._go(target):
                return
            if self._lands_before_start():
                self._go(target)
                return
        self._go(self._video.start_time or 0)

    def _go(self, target: int) -> bool:
        try:
            self._container.seek(target, stream=self._video)
        except (av.FFmpegError, OSError):
            return False
        self._decoder.flush_buffers()
        return True

    def _lands_before_start(self) -> bool:
        """The first frame that decodes from here is not after the first one wanted."""
        packets: Any = self._container.demux(self._video)
        with suppress(av.FFmpegError):
            for packet in packets:
                for frame in self._decoder.decode(packet):
                    packets.close()
                    return frame.pts is not None and frame.pts <= (self._window.first_pts or 0)
        return False

    def _first_frame(self, reader: Reader) -> Frame:
        for event in reader.events:
            self._ahead.append(event)
            if isinstance(event, Frame):
                return event
        if self._options.start and reader.decoded:
            raise SourceError(f"{self._name}: ends before --start {self._options.start_s:g} s")
        raise SourceError(f"{self._name}: holds no video frame that can be decoded")


def _time_base(video: Any) -> Fraction:
    return Fraction(video.time_base or Fraction(1, 90000))
