"""The newest picture as JPEG, for any number of viewers, each at its own pace."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Broadcast"]

_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 85]


class Broadcast:
    """Holds one I420 picture (limited-range BT.601); codes it once, in the thread of the first viewer to take it."""

    def __init__(self, width: int, height: int) -> None:
        self._shape = (height * 3 // 2, width)
        self._changed = threading.Condition()
        self._coding = threading.Lock()
        self._picture: npt.NDArray[np.uint8] | None = None
        self._number = 0
        self._coded: tuple[int, bytes] = (0, b"")
        self._closed = False
        self.viewers = 0

    @contextmanager
    def viewing(self) -> Iterator[int]:
        """Counts one viewer for as long as the block lasts; gives the number after which its pictures come."""
        with self._changed:
            self.viewers += 1
            since = self._number
        try:
            yield since
        finally:
            with self._changed:
                self.viewers -= 1
                if not self.viewers:
                    self._picture, self._coded = None, (0, b"")

    def put(self, picture: npt.NDArray[np.uint8]) -> None:
        """Show `picture` in place of the one before."""
        with self._changed:
            self._number += 1
            self._picture = picture
            self._changed.notify_all()

    def close(self) -> None:
        """Nothing more is to come; viewers go."""
        with self._changed:
            self._closed = True
            self._picture = None
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """No picture will come any more."""
        return self._closed

    def after(self, number: int, timeout_s: float) -> tuple[int, bytes] | None:
        """The newest picture if it is newer than `number`, with its own number; None if none came in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._number > number, timeout_s)
            if self._closed or self._picture is None or self._number <= number:
                return None
            newest, picture = self._number, self._picture
        with self._coding:
            if self._coded[0] < newest:
                self._coded = newest, self._jpeg(picture)
            return self._coded

    def _jpeg(self, picture: npt.NDArray[np.uint8]) -> bytes:
        bgr = cv2.cvtColor(picture.reshape(self._shape), cv2.COLOR_YUV2BGR_I420)
        return cv2.imencode(".jpg", bgr, _QUALITY)[1].tobytes()
