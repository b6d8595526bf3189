"""Makes a clip to time on out of the demo's webcam clip: any size, 30 frames a second, with sound.

python tools/make_clip.py 1920x1080 OUT.mp4 [--seconds 10]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib.resources import as_file, files
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Any

import av

__all__ = ["make_clip"]

_RATE = 30
_SOUND = "anoisesrc=color=pink:amplitude=0.1:seed=1:sample_rate=48000:duration={seconds}"


def make_clip(size: str, path: Path, seconds: float) -> None:
    """H.264 and AAC of `size` ("1920x1080"): the demo clip's pictures there and back, so that no cut is in them.

    Its 25 frames a second are played as 30: each picture is a new one.
    """
    wide, high = (int(part) for part in size.split("x"))
    noise = av.open(_SOUND.format(seconds=seconds), format="lavfi")
    with noise, av.open(str(path), "w") as target:
        video: Any = target.add_stream("libx264", rate=_RATE, options={"preset": "veryfast", "crf": "20"})
        video.width, video.height, video.pix_fmt = wide, high, "yuv420p"
        sound: Any = target.add_stream("aac", rate=48000)
        heard: Iterator[Any] = noise.decode(audio=0)
        for number, picture in enumerate(islice(_there_and_back(), round(seconds * _RATE))):
            for samples in islice(heard, 2):  # blocks of 1024 samples: sound runs ahead by little, and none is left
                target.mux(sound.encode(samples))
            frame = picture.reformat(wide, high, "yuv420p", interpolation="LANCZOS")
            frame.pts, frame.time_base = number, video.codec_context.time_base
            target.mux(video.encode(frame))
        for samples in (*heard, None):
            target.mux(sound.encode(samples))
        target.mux(video.encode(None))


def _there_and_back() -> Iterator[Any]:
    with as_file(files("streammatte") / "demo_clip" / "webcam.mp4") as clip, av.open(str(clip)) as container:
        pictures = list(container.decode(video=0))
    return cycle(chain(pictures, pictures[-2:0:-1]))


def main() -> None:
    """Make one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", metavar="WxH")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=10)
    given = parser.parse_args()
    make_clip(given.size, given.out, given.seconds)


if __name__ == "__main__":
    main()
