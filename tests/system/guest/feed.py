"""The webcam: shows the scene on a v4l2loopback device, 30 frames a second, until it is killed.

python feed.py /dev/video11 [SECONDS]
"""

from __future__ import annotations

import sys
import time

import pyvirtualcam
from scene import SIZE, STEPS, picture


def main() -> None:
    """Send frames in their time."""
    until_s = float(sys.argv[2]) if len(sys.argv) > 2 else 1e9
    frames = [picture(number).reshape(-1) for number in range(STEPS)]
    camera = pyvirtualcam.Camera(*SIZE, 30, fmt=pyvirtualcam.PixelFormat.I420, device=sys.argv[1])
    started, number = time.monotonic(), 0
    while time.monotonic() - started < until_s:
        camera.send(frames[number % STEPS])
        number += 1
        time.sleep(max(0.0, started + number / 30 - time.monotonic()))


if __name__ == "__main__":
    main()
