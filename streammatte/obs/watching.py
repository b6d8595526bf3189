"""Reads a stream beside OBS, and remembers what came when."""

from __future__ import annotations

import threading
import time
from collections import deque
from types import TracebackType
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from streammatte.errors import first_line
from streammatte.obs.stream import Stream
from streammatte.worker import Worker

__all__ = ["Picture", "Watcher", "pixels_of"]

Picture = npt.NDArray[np.uint8]
"""(h, w, 4) blue, green, red, straight alpha."""

_KEPT_S = 5.0
_KEPT_BYTES = 256 << 20
_OPEN_S = 5.0
_READ_S = 2.0


class Watcher:
    """Another client of `stream`, from construction until `close`, that keeps the frames of the last seconds.

    `problem` is why it does not read, or reads no more; "" while it does.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._kept: deque[tuple[float, av.VideoFrame]] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self.problem = ""
        self._worker = Worker("watcher", self._read)
        self._worker.start()

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def kept(self) -> list[tuple[float, av.VideoFrame]]:
        """When each frame arrived (time.monotonic()), and the frame, oldest first."""
        with self._changed:
            return list(self._kept)

    def wait(self, span_s: float, timeout_s: float) -> None:
        """Wait until the frames of so long a time are kept, no longer than `timeout_s`, nor if it reads no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._span_s() >= span_s or self.problem, timeout_s)

    def _span_s(self) -> float:
        return self._kept[-1][0] - self._kept[0][0] if self._kept else 0.0

    def close(self) -> None:
        """Read no more; returns at the next frame, or when none has come for two seconds."""
        self._stopping = True
        self._worker.ended.wait(_OPEN_S + _READ_S)

    def _read(self) -> None:
        try:
            self._read_frames()
        except (av.FFmpegError, IndexError) as error:  # IndexError: no video stream
            why = f"{self._stream.url} cannot be read: {first_line(error)}"
        else:
            why = f"{self._stream.url} has ended"
        with self._changed:
            self.problem = why
            self._changed.notify_all()

    def _read_frames(self) -> None:
        # Without OBS's "nobuffer", with which FFmpeg throws away what it has read to find out what it reads.
        with av.open(self._stream.url, format=self._stream.format, timeout=(_OPEN_S, _READ_S)) as container:
            video = container.streams.video[0]
            decoder: Any = video.codec_context
            if decoder.codec.canonical_name == "vp9":  # FFmpeg's own VP9 decoder drops the alpha layer
                decoder = av.CodecContext.create("libvpx-vp9", "r")
            for packet in container.demux(video):
                arrived_s = time.monotonic()
                if self._stopping:
                    return
                for frame in decoder.decode(packet):
                    self._keep(arrived_s, frame)

    def _keep(self, arrived_s: float, frame: av.VideoFrame) -> None:
        most = max(1, _KEPT_BYTES // (frame.width * frame.height * 4))
        with self._changed:
            self._kept.append((arrived_s, frame))
            while len(self._kept) > most or arrived_s - self._kept[0][0] > _KEPT_S:
                self._kept.popleft()
            self._changed.notify_all()


def pixels_of(frame: av.VideoFrame) -> Picture:
    """The frame as OBS decodes it: untagged YUV is BT.709."""
    if frame.format.name != "bgra" and frame.colorspace == 2:
        frame = frame.reformat(format="bgra", src_colorspace="ITU709")
    return np.asarray(frame.to_ndarray(format="bgra"))
