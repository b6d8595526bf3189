"""How late OBS shows a picture, and how soon the first: ours beside the bare transport, in one run.

    python tools/obs_lag.py [--sizes 640x360 1280x720] [--pictures 100] [--out JSON]

Starts a real OBS on a screen of its own (Debian: obs-studio obs-plugins xvfb libgl1-mesa-dri dbus; extra `obs`). Each
picture carries its number; a screenshot of the source says which one OBS draws just then. Lag is from when a picture is
handed over until the middle of that screenshot, so half of what a screenshot takes is in it. "Bare" is PyAV muxing the
same finished BGRA picture into an accepted socket and nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import socket
import statistics
import sys
import tempfile
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from command import keep
from machine import describe

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "system")]

from loopback import free_port  # noqa: E402
from obs_stream import Sender, number_in, patches  # noqa: E402
from obs_studio import Studio, screen, until  # noqa: E402

from streammatte.frame import Frame, StreamInfo  # noqa: E402
from streammatte.sinks.bgra import BgraPacker  # noqa: E402
from streammatte.sinks.showing import ShowsFrames  # noqa: E402

NAME = "streammatte"
LIVE = {"is_local_file": False, "buffering_mb": 0, "reconnect_delay_sec": 1, "ffmpeg_options": "fflags=nobuffer"}


class Bare(ShowsFrames):
    """One client, one muxer, no thread and no choice: what the transport itself costs."""

    kind = "fgr"

    def __init__(self, spec: str, info: StreamInfo) -> None:
        super().__init__(spec, "bgra")
        self._packer = BgraPacker("bare", info)
        self._server = socket.create_server(("127.0.0.1", int(spec.rpartition(":")[2])))
        self._stream: Any = None
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        client, _ = self._server.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._container: Any = av.open(client.makefile("wb", buffering=0), "w", format="nut")
        stream: Any = self._container.add_stream("rawvideo", rate=30)
        stream.width, stream.height, stream.pix_fmt = self._packer.width, self._packer.height, "bgra"
        stream.time_base = Fraction(1, 1000)
        self._stream = stream

    def _show(self, frame: Frame) -> None:
        if self._stream is not None:
            picture = av.VideoFrame.from_ndarray(self._packer.pack(frame), format="bgra")
            picture.pts, picture.time_base = round(frame.time * 1000), Fraction(1, 1000)
            with contextlib.suppress(OSError):  # OBS has let go
                self._container.mux(self._stream.encode(picture))

    def _close(self) -> None:
        self._server.close()


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["640x360", "1280x720"], metavar="WxH")
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    ways: dict[str, dict[str, Any]] = {
        "bare": {"spec": "bare:{}", "format": "nut", "opens": Bare},
        "raw": {"spec": "obs:raw:{}", "format": "nut"},
        "vp9": {"spec": "obs:vp9:{}", "format": "webm"},
    }
    found: dict[str, dict[str, Any]] = {size: {} for size in given.sizes}
    with tempfile.TemporaryDirectory() as home, screen() as display:
        studio = Studio(Path(home) / "obs", display)
        studio.start()
        try:
            for size, (name, way) in itertools.product(given.sizes, ways.items()):
                width, height = map(int, size.split("x"))
                found[size][name] = _measured(studio, way, (width, height), given.pictures)
                print(size, name, found[size][name], flush=True)
            version = studio.ask("GetVersion")["obsVersion"]
        finally:
            studio.kill()
    keep({"obs": version, "pictures": given.pictures, "sizes": found, "machine": describe()}, given.out)


def _measured(studio: Studio, way: dict[str, Any], size: tuple[int, int], pictures: int) -> dict[str, float]:
    port = free_port()
    settings = {**LIVE, "input": f"tcp://127.0.0.1:{port}", "input_format": way["format"], "linear_alpha": True}
    opens = {"opens": way["opens"]} if "opens" in way else {}
    with Sender(way["spec"].format(port), patches((255,), size), **opens) as sender:
        time.sleep(0.5)
        began_s = time.monotonic()
        studio.create(NAME, "ffmpeg_source", settings)
        until(lambda: (shown := studio.picture(NAME)) is not None and number_in(shown) > 0)
        first_s = time.monotonic() - began_s
        time.sleep(2.0)
        late, asking = [], []
        for _ in range(pictures):
            asked_s = time.monotonic()
            number = number_in(studio.screenshot(NAME))
            answered_s = time.monotonic()
            late.append((asked_s + answered_s) / 2 - sender.sent[number])
            asking.append(answered_s - asked_s)
        studio.ask("RemoveInput", inputName=NAME)
        time.sleep(0.5)
    ranked = sorted(late)
    return {
        "first_picture_ms": round(first_s * 1000),
        "lag_p50_ms": round(statistics.median(late) * 1000),
        "lag_p95_ms": round(ranked[int(len(ranked) * 0.95)] * 1000),
        "screenshot_p50_ms": round(statistics.median(asking) * 1000),
    }


if __name__ == "__main__":
    main()
