"""Runs in the guest: Chromium as the call client of the virtual camera; prints what its canvas reads as JSON.

python browser.py TINY_FOLDER
"""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from scene import BEACH, SIZE

HERE = Path(__file__).parent
_PAGE = """<!doctype html><canvas id=c></canvas><script>
const wait = ms => new Promise(done => setTimeout(done, ms));
const tell = found => fetch('/found', {method: 'POST', body: JSON.stringify(found)});
async function opened() {
  for (let tries = 0; ; tries++) {
    try { return await navigator.mediaDevices.getUserMedia({video: true}); }
    catch (error) { if (tries > 20) throw error; await wait(500); }
  }
}
(async () => {
  (await opened()).getTracks().forEach(track => track.stop());
  const cameras = (await navigator.mediaDevices.enumerateDevices()).filter(device => device.kind == 'videoinput');
  const wanted = cameras.find(device => device.label.includes('streammatte') && !device.label.includes('-2'));
  if (!wanted) throw new Error('no streammatte among ' + cameras.map(device => device.label));
  const stream = await navigator.mediaDevices.getUserMedia({video: {deviceId: {exact: wanted.deviceId}}});
  const video = document.createElement('video');
  video.muted = true; video.srcObject = stream; await video.play();
  const started = performance.now();
  for (let n = 0; n < 20; n++) await new Promise(done => video.requestVideoFrameCallback(done));
  const fps = 20000 / (performance.now() - started);
  const canvas = document.getElementById('c');
  canvas.width = video.videoWidth; canvas.height = video.videoHeight;
  const context = canvas.getContext('2d'); context.drawImage(video, 0, 0);
  const at = (x, y) => [...context.getImageData(x * canvas.width, y * canvas.height, 1, 1).data];
  const size = {width: canvas.width, height: canvas.height};
  await tell({used: wanted.label, ...size, fps, corner: at(.1, .15), middle: at(.5, .66)});
})().catch(error => tell({error: String(error)}));
</script>"""
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]


def main() -> None:
    """Start webcam, streammatte and browser; print what the page found."""
    webcam = subprocess.Popen([sys.executable, HERE / "feed.py", "/dev/video11"])
    time.sleep(3)
    words = ["camera:/dev/video11", "--size", "x".join(map(str, SIZE)), "--bg", BEACH, "--to", "vcam:/dev/video10"]
    words += ["-m", "tiny", "--runtime", "onnxruntime", "--fgr", "off", "--quiet"]
    words += ["--refine", "none", "--stabilize", "none", "--governor", "off"]
    live = subprocess.Popen([sys.executable, HERE.parent.parent / "tiny.py", sys.argv[1], *words])
    try:
        time.sleep(20)
        print("FOUND " + json.dumps(_shown()), flush=True)
    finally:
        live.kill()
        webcam.kill()


def _shown() -> dict[str, Any]:
    found: dict[str, Any] = {}
    done = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(_PAGE.encode())

        def do_POST(self) -> None:
            found.update(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self._send(b"")
            done.set()

        def _send(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        address = f"http://127.0.0.1:{server.server_port}/"
        browser = subprocess.Popen(
            ["chromium", *_FLAGS, f"--user-data-dir={profile}", address], stderr=subprocess.DEVNULL
        )
        done.wait(200)
        browser.kill()
        browser.wait()
    return found


if __name__ == "__main__":
    main()
