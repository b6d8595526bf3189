"""Where frames go: video files and images. The libraries behind a sink load when it is opened."""

from __future__ import annotations

from pathlib import Path

from streammatte.frame import StreamInfo
from streammatte.ports import Sink, SinkKind
from streammatte.sinks.options import SinkOptions

__all__ = ["SinkOptions", "open_sink"]


def open_sink(path: Path, kind: SinkKind, info: StreamInfo, options: SinkOptions) -> Sink:
    """The sink for `path`: a video file by its extension; for images a folder, `out_%06d.png`, or one .png.

    Raises SinkError where path, kind and options do not go together or the place cannot be written.
    """
    from streammatte.sinks.codecs import IMAGE_SUFFIXES

    if path.suffix.lower() in IMAGE_SUFFIXES or not path.suffix or path.is_dir():
        from streammatte.sinks.images import ImageSink

        return ImageSink(path, kind, info, options)
    from streammatte.sinks.file import FileSink

    return FileSink(path, kind, info, options)
