"""Publishes the FLV that comes through standard input; run as a program by `rtmp`, and by nobody else.

The first line is JSON: `url`, `width`, `height`, and as hex `head`, an FLV file without a picture, which says how the
pictures are coded. "ready" on standard output: the server takes the stream. What goes wrong is the last line on
standard error.
"""

import io
import json
import sys
from typing import Any

import av

__all__ = ["main"]

_AT_ONCE = {"analyzeduration": "1", "fflags": "nobuffer"}


def main() -> int:
    """Run until standard input ends."""
    # Unbuffered: a buffer would wait until it is full, and keep pictures back.
    arriving = open(0, "rb", buffering=0)  # noqa: SIM115 (it is no path, and ends with the process)
    given = json.loads(_line(arriving))
    try:
        with av.open(given["url"], "w", format="flv", container_options={"flvflags": "no_duration_filesize"}) as output:
            stream = _stream(output, given)
            output.start_encoding()
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            _publish(arriving, output, stream)
    except (av.FFmpegError, OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error)
        sys.stderr.write(f"{str(said).splitlines()[0]}\n")
        return 1
    return 0


def _stream(output: Any, given: dict[str, Any]) -> Any:
    with av.open(io.BytesIO(bytes.fromhex(given["head"])), "r", format="flv") as head:
        stream = output.add_stream_from_template(head.streams.video[0], opaque=True)
        stream.width, stream.height = given["width"], given["height"]
        return stream


def _line(arriving: io.FileIO) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        line += arriving.read(1) or b"\n"
    return line


def _publish(arriving: io.FileIO, output: Any, stream: Any) -> None:
    with av.open(arriving, "r", format="flv", container_options=_AT_ONCE) as source:
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                output.mux_one(packet)


if __name__ == "__main__":
    sys.exit(main())
