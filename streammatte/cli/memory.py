"""How this process asks the system for memory."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

__all__ = ["keep_large_blocks"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_BLOCK = 32 << 20  # the most glibc allows: larger than any plane of 4K video
_KEPT = 256 << 20


def keep_large_blocks() -> None:
    """Let glibc reuse the memory of freed planes, not return it to the kernel and fetch it anew for every frame.

    Fresh memory costs a page fault each 4 KiB: at 1080p a third of the foreground estimate's time (measured). Only
    the command line does so, since it owns its process; elsewhere than on glibc nothing happens.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):  # musl has no mallopt
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_THRESHOLD, _BLOCK)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT)
