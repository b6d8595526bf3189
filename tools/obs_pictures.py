"""Makes the pictures of docs/obs out of a real OBS that streammatte has set up.

    python tools/obs_pictures.py [--out docs/obs]

The demo clip, slowed down so that the network sees each of its frames whatever the machine, goes through `--to obs`;
`streammatte obs setup` makes the source over a colour source. Then OBS's own output and its window are saved. Debian:
obs-studio obs-plugins xvfb libgl1-mesa-dri dbus; extra `obs`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "system")]

from loopback import free_port  # noqa: E402
from obs_stream import listening  # noqa: E402
from obs_studio import Studio, screen, until  # noqa: E402

import streammatte  # noqa: E402

CLIP = Path(streammatte.__file__).parent / "demo_clip" / "webcam.mp4"
NAME = "streammatte"
GREEN = 0xFF_78_A0_30
SLOWER, RATE = 12, 6
SETTLED_S = 12.0


def main() -> None:
    """Start both, wait until the matte has settled, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/obs"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, screen() as display:
        studio = Studio(Path(home) / "obs", display, canvas=(1280, 720), rate=10)
        studio.start()
        run = _run(studio, port := free_port())
        try:
            until(lambda: listening(port), 120)
            studio.color_source("Colour", GREEN)
            _streammatte(studio, "obs", "setup").wait(60)
            until(lambda: (shown := studio.picture(NAME)) is not None and shown[..., 3].max() == 255, 120)
            time.sleep(SETTLED_S)
            until(lambda: len(np.unique(studio.screenshot(studio.scene)[..., 0])) > 9)
            _save(studio.screenshot(studio.scene), given.out / "over-colour.jpg")
            studio.ask("OpenInputPropertiesDialog", inputName=NAME)
            time.sleep(3.0)
            _save(_window(display), given.out / "properties.png")
        finally:
            run.terminate()
            run.wait(20)
            studio.kill()


def _run(studio: Studio, port: int) -> subprocess.Popen[bytes]:
    slowed = f"lavfi:movie={CLIP}:loop=0,setpts={SLOWER}*N/FRAME_RATE/TB,fps={RATE},scale=1280:720"
    return _streammatte(studio, slowed, "--to", f"obs:{port}", "--quiet")


def _streammatte(studio: Studio, *arguments: str) -> subprocess.Popen[bytes]:
    cache = os.environ.get("STREAMMATTE_CACHE") or str(Path.home() / ".cache" / "streammatte")
    environment = {**studio.environment, "XDG_RUNTIME_DIR": str(studio.home / "run"), "STREAMMATTE_CACHE": cache}
    return subprocess.Popen([sys.executable, "-m", "streammatte", *arguments], env=os.environ | environment)


def _window(display: str) -> Any:
    """The whole screen, (h, w, 4) R G B A."""
    with av.open(display, format="x11grab", options={"video_size": "1280x800", "framerate": "5"}) as grabbed:
        frame = next(grabbed.decode(video=0))
        return frame.to_ndarray(format="rgba")


def _save(picture: Any, path: Path) -> None:
    cv2.imwrite(str(path), cv2.cvtColor(np.asarray(picture, np.uint8), cv2.COLOR_RGBA2BGR))
    print(path)


if __name__ == "__main__":
    main()
