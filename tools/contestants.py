"""The jobs that bench.py times side by side. Each runs in a process of its own: python tools/contestants.py JOB JSON

Each prints {"frames", "wall_s", "cpu_s", ...} as JSON. cpu_s is user and system time of the whole process,
threads included, between two moments within it: right before the first frame is asked for, when everything is loaded,
compiled and has run once, and right after the file is complete. So what loading costs is in no figure, however short
the clip.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import av
from command import runs_per_frame, stage_p50_ms

_WARM_UP_S = "0.2"


def main() -> None:
    """Run the job named first with the arguments given as JSON."""
    with tempfile.TemporaryDirectory() as place:
        found = _JOBS[sys.argv[1]](Path(place), **json.loads(sys.argv[2]))
    print(json.dumps(found))


@contextmanager
def _timed(found: dict[str, Any]) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    found["wall_s"] = round(time.perf_counter() - wall, 4)
    found["cpu_s"] = round(time.process_time() - cpu, 4)


def _streammatte(place: Path, clip: str, bg: str, seconds: float, options: list[str]) -> dict[str, Any]:
    """The command line's own way from flags to a finished file, and what its run report says."""
    from streammatte import open_pipeline
    from streammatte.cli.options import chosen
    from streammatte.cli.run import run
    from streammatte.quality import quality_of

    def settings(length: str) -> Any:
        flags = [clip, "--bg", bg, "-o", str(place / "out.mp4"), "--force", *options, "--duration", length]
        given = run.make_context("run", flags).params
        del given["source"]
        return chosen(given, given.pop("config_file"))[0]

    open_pipeline(clip, settings(_WARM_UP_S)).run()
    pipeline, found = open_pipeline(clip, settings(str(seconds))), dict[str, Any]()
    with _timed(found):
        report = pipeline.run().to_json()
    ran = {key: report[key] for key in ("model", "runtime", "precision", "fallbacks")}
    shown = 2 if quality_of(settings(str(seconds)), live=False).tta else 1
    inferences = shown * runs_per_frame(report)
    seen = {"frames": report["frames_out"], "inferences_per_frame": inferences, "stage_p50_ms": stage_p50_ms(report)}
    return found | ran | seen


def _rembg(place: Path, clip: str, bg: str, frames: int) -> dict[str, Any]:
    """The loop that rembg's users write: decode, remove(), paste over a picture, encode. Sound is left behind."""
    from streammatte.catalog import model as model_named
    from streammatte.weights.pull import ensure

    os.environ["U2NET_HOME"] = str(place)
    (place / "u2net.onnx").symlink_to(ensure(model_named("u2net")).path)
    from PIL import Image
    from rembg import new_session, remove

    pictures: Any = av.VideoFrame
    session = new_session("u2net")
    remove(Image.new("RGB", (320, 320)), session=session)
    found: dict[str, Any] = {"frames": 0}
    with _timed(found), av.open(clip) as source, av.open(str(place / "out.mp4"), "w") as target:
        stream = _h264(target, source)
        behind = Image.open(bg).convert("RGB").resize((stream.width, stream.height))
        for frame in islice(source.decode(video=0), frames):
            picture: Any = frame
            subject: Any = remove(picture.to_image(), session=session)
            composite = behind.copy()
            composite.paste(subject, mask=subject)
            target.mux(stream.encode(pictures.from_image(composite)))
            found["frames"] += 1
        target.mux(stream.encode(None))
    return found


def _network(place: Path, model: str, runtime: str, precision: str, frames: int) -> dict[str, Any]:
    """The engine that a run report names, as fast as it goes: as many streams as files get, no pixels."""
    from streammatte.assembly import streams_for
    from streammatte.catalog import model as model_named
    from streammatte.loading import load_session
    from streammatte.parity import parity_batches
    from streammatte.weights.pull import ensure

    known = model_named(model)
    how = {"runtime": runtime, "precision": precision, "require": None, "streams": streams_for(live=False)}
    session = load_session(known, ensure(known), **how).session  # type: ignore[arg-type]
    batches = parity_batches(known.input)
    found: dict[str, Any] = {"frames": frames, "streams": session.info.streams}
    with ThreadPoolExecutor(session.info.streams) as pool:
        list(pool.map(session.run, batches[:4]))
        with _timed(found):
            list(pool.map(session.run, islice(cycle(batches), frames)))
    return found


def _transcode(place: Path, clip: str, frames: int) -> dict[str, Any]:
    """Decode and encode the same pictures, as they are, with threads and settings like streammatte's."""
    found: dict[str, Any] = {"frames": 0}
    with _timed(found), av.open(clip) as source, av.open(str(place / "out.mp4"), "w") as target:
        source.streams.video[0].thread_type = "AUTO"
        stream = _h264(target, source)
        for frame in islice(source.decode(video=0), frames):
            frame.pict_type = av.video.frame.PictureType.NONE  # else the encoder repeats the source's choices
            target.mux(stream.encode(frame))
            found["frames"] += 1
        target.mux(stream.encode(None))
    return found


def _h264(target: Any, source: Any) -> Any:
    """The stream that streammatte writes .mp4 with."""
    from streammatte.sinks.codecs import ENCODERS

    video, h264 = source.streams.video[0], ENCODERS["h264"]
    options = {"preset": h264.preset, "crf": str(h264.quality)}
    stream = target.add_stream(h264.library, rate=video.average_rate, options=options)
    stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
    stream.thread_type = "AUTO"
    return stream


_JOBS: dict[str, Callable[..., dict[str, Any]]] = {
    "streammatte": _streammatte,
    "rembg": _rembg,
    "network": _network,
    "transcode": _transcode,
}


if __name__ == "__main__":
    main()
