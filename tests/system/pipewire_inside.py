"""What test_pipewire.py runs inside a session: `python pipewire_inside.py PART` prints what it saw as one JSON line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from streammatte.color import ColorSpec, encode_matrix
from streammatte.frame import Frame, PixelFormat, StreamInfo
from streammatte.sinks.pipewire import PipeWireSink

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT = (220, 20, 20), (20, 60, 200)
BT601 = ColorSpec(6, 1, 1, False)
FORMAT = PixelFormat.named("yuv420p")
INFO = StreamInfo("known", WIDTH, HEIGHT, FORMAT, BT601, Fraction(1, 30), Fraction(30), live=True)


def known_frame(seq: int) -> Frame:
    """LEFT on the left half, RIGHT on the right."""
    sides = [encode_matrix(BT601, 8) @ np.array([*(np.array(rgb) / 255), 1.0]) for rgb in (LEFT, RIGHT)]
    planes = []
    for index in range(3):
        height, width = FORMAT.plane_shape(index, WIDTH, HEIGHT)
        columns = np.repeat([round(float(side[index])) for side in sides], width // 2)
        planes.append(np.tile(columns.astype(np.uint8), (height, 1)))
    return Frame(tuple(planes), FORMAT, BT601, seq, Fraction(1, 30), 1, seq)


@contextmanager
def publishing() -> Iterator[PipeWireSink]:
    """The known picture at 30 frames a second for as long as the block lasts."""
    sink, stop = PipeWireSink("", INFO), threading.Event()

    def show() -> None:
        start, seq = time.monotonic(), 0
        while not stop.wait(max(0.0, start + seq / 30 - time.monotonic())):
            sink.write(known_frame(seq))
            seq += 1

    thread = threading.Thread(target=show)
    thread.start()
    try:
        yield sink
    finally:
        stop.set()
        thread.join()
        sink.abort()


def await_true(what: Any, patience_s: float = 8.0) -> bool:
    """Whether `what()` came true in time."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.1)
    return False


def nodes() -> list[str]:
    """Names of the cameras that PipeWire lists."""
    dump = json.loads(subprocess.run(["pw-dump"], capture_output=True, check=True).stdout)
    props = [each["info"]["props"] for each in dump if each["type"].endswith(":Node")]
    return [each.get("node.name", "") for each in props if each.get("media.class") == "Video/Source"]


def by_gstreamer() -> dict[str, Any]:
    """Thirty frames as a GStreamer program reads them, and whether the sink noticed its coming and going."""
    with publishing() as sink:
        listed = await_true(lambda: "streammatte" in nodes())
        before = await_true(lambda: not sink.watched())
        read = ["pipewiresrc", "num-buffers=120", "!", "videoconvert", "!", "video/x-raw,format=RGB", "!", "fdsink"]
        start = time.monotonic()
        with subprocess.Popen(["gst-launch-1.0", "-q", *read], stdout=subprocess.PIPE) as reader:
            assert reader.stdout is not None
            killer = threading.Timer(15, reader.kill)
            killer.start()
            size, picture, frames, first = WIDTH * HEIGHT * 3, b"", 0, 0.0
            seen = False
            while len(got := reader.stdout.read(size)) == size:
                picture, frames, first = got, frames + 1, first or time.monotonic()
                seen = seen or (frames > 5 and sink.watched())
            lasted = time.monotonic() - first
            killer.cancel()
        after = await_true(lambda: not sink.watched())
        left, right = ([0, 0, 0], [0, 0, 0])
        if picture:
            pixels = np.frombuffer(picture, np.uint8).reshape(HEIGHT, WIDTH, 3)
            left, right = pixels[HEIGHT // 2, WIDTH // 4].tolist(), pixels[HEIGHT // 2, 3 * WIDTH // 4].tolist()
    gone = await_true(lambda: "streammatte" not in nodes())
    return {
        "listed": listed,
        "unwatched_before": before,
        "watched": seen,
        "unwatched_after": after,
        "frames": frames,
        "first_s": round(first - start, 2),
        "rate": round((frames - 1) / lasted, 1) if frames > 1 else 0.0,
        "left": left,
        "right": right,
        "gone": gone,
    }


PAGE = """<!doctype html><canvas id=c></canvas><script>
const tell = what => fetch('/', {method: 'POST', body: JSON.stringify(what)});
const pause = ms => new Promise(done => setTimeout(done, ms));
async function open() {
  for (let tries = 0; ; tries++)
    try { return await navigator.mediaDevices.getUserMedia({video: true}); }
    catch (error) { if (tries > 20 || error.name != 'NotFoundError') throw error; await pause(500); }
}
(async () => { try {
  const stream = await open(), video = document.createElement('video'), canvas = document.getElementById('c');
  video.muted = true; video.srcObject = stream; await video.play();
  let frames = 0, since = 0;
  await new Promise(done => { const next = () => { if (!frames++) since = performance.now();
    if (frames > 20) done(); else video.requestVideoFrameCallback(next); }; video.requestVideoFrameCallback(next); });
  const rate = 20000 / (performance.now() - since);
  canvas.width = video.videoWidth; canvas.height = video.videoHeight;
  const draw = canvas.getContext('2d'); draw.drawImage(video, 0, 0);
  const at = x => [...draw.getImageData(x * canvas.width, canvas.height / 2, 1, 1).data].slice(0, 3);
  await tell({label: stream.getVideoTracks()[0].label, size: [canvas.width, canvas.height], rate,
    left: at(.25), right: at(.75)});
} catch (error) { await tell({error: String(error)}); } })();</script>"""


class Asking(BaseHTTPRequestHandler):
    """Gives the page and takes what it saw."""

    said: dict[str, Any]
    answered: threading.Event

    def log_message(self, *message: Any) -> None: ...

    def do_GET(self) -> None:
        body = PAGE.encode() if self.path == "/" else b""
        self._send(body)

    def do_POST(self) -> None:
        self.said.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._send(b"")
        self.answered.set()

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
    *("--use-fake-ui-for-media-stream", "--autoplay-policy=no-user-gesture-required"),
    "--enable-features=WebRtcPipeWireCamera",
]


def by_chromium() -> dict[str, Any]:
    """The colours a page sees that opens the camera with getUserMedia."""
    handler = type("Asked", (Asking,), {"said": {}, "answered": threading.Event()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    profile = tempfile.mkdtemp()
    command = ["chromium", *FLAGS, f"--user-data-dir={profile}", f"http://127.0.0.1:{server.server_port}/"]
    with publishing():
        await_true(lambda: "streammatte" in nodes())
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        start = time.monotonic()
        handler.answered.wait(float(os.environ.get("PATIENCE_S", "25")))
        browser.kill()
        browser.wait()
    shutil.rmtree(profile, ignore_errors=True)
    said = {"error": "", **handler.said} if handler.said else {"error": "nothing was delivered"}
    return {**said, "after_s": round(time.monotonic() - start, 1)}


def killed() -> dict[str, Any]:
    """What is left of the node and of the child half a second after SIGKILL has met a publisher."""
    publisher = subprocess.Popen([sys.executable, __file__, "publish"], stdout=subprocess.PIPE, text=True)
    assert publisher.stdout is not None
    child = int(publisher.stdout.readline())
    listed = await_true(lambda: "streammatte" in nodes())
    publisher.send_signal(signal.SIGKILL)
    publisher.wait()
    start = time.monotonic()
    gone = await_true(lambda: "streammatte" not in nodes())
    node_s = time.monotonic() - start
    ended = await_true(lambda: not os.path.exists(f"/proc/{child}"))  # noqa: PTH110
    return {"listed": listed, "node_gone": gone, "child_gone": ended, "node_s": round(node_s, 2)}


def publish() -> None:
    """Until killed."""
    with publishing() as sink:
        print(sink.child_pid, flush=True)
        time.sleep(60)


if __name__ == "__main__":
    part = sys.argv[1]
    if part == "publish":
        publish()
    else:
        print(json.dumps({"gstreamer": by_gstreamer, "chromium": by_chromium, "killed": killed}[part]()))
