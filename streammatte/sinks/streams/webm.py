"""WebM for those who wait for each picture: VP9 with alpha, a cluster to a picture, sent whole as soon as it is coded.

FFmpeg's muxer holds a picture back until the next one comes. So it writes the header, and the clusters are written
here, after RFC 8794 (EBML) and RFC 9559 (Matroska).
"""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Any

import av

__all__ = ["cluster", "coded_block", "header"]

_CLUSTER, _TIMESTAMP, _GROUP, _BLOCK, _REFERENCE = (bytes.fromhex(i) for i in ("1f43b675", "e7", "a0", "a1", "fb"))
_ADDITIONS, _MORE, _ADD_ID, _ADDITIONAL = (bytes.fromhex(i) for i in ("75a1", "a6", "ee", "a5"))
_TRACK_1_AT_CLUSTER = bytes([0x81, 0, 0, 0])
"""Track number, 16 bits of time after the cluster's, flags."""


def header(width: int, height: int, rate: Fraction) -> bytes:
    """What a stream begins with: one VP9 track that has alpha, times in ms.

    Readers who are told a rate do not wait for pictures to find it.
    """
    written = io.BytesIO()
    unseekable = _Written(written)
    container: Any = av.open(unseekable, "w", format="webm", container_options={"live": "1"})
    stream = container.add_mux_stream("vp9", rate=rate, width=width, height=height)
    stream.metadata["alpha_mode"] = "1"
    container.start_encoding()
    begun = written.getvalue()
    container.close()
    return begun


def coded_block(picture: bytes, alpha: bytes, key: bool) -> bytes:
    """One coded picture and its alpha, at its cluster's own time."""
    additional = _element(_ADD_ID, b"\x01") + _element(_ADDITIONAL, alpha)
    # What a picture refers to is the codec's own business; that it refers at all makes it no key.
    refers = b"" if key else _element(_REFERENCE, b"\xff")
    block = _element(_BLOCK, _TRACK_1_AT_CLUSTER + picture)
    return _element(_GROUP, block + _element(_ADDITIONS, _element(_MORE, additional)) + refers)


def cluster(time_ms: int, block: bytes) -> bytes:
    """A block at its time in the stream."""
    return _element(_CLUSTER, _element(_TIMESTAMP, time_ms.to_bytes(8, "big")) + block)


def _element(identity: bytes, content: bytes) -> bytes:
    return identity + (len(content) | 1 << 56).to_bytes(8, "big") + content


class _Written:
    """A file that cannot be sought in, as the muxer will write for a socket."""

    def __init__(self, file: io.BytesIO) -> None:
        self.write = file.write
