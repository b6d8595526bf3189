"""Scenes: students that are kept, each in a folder of its own with all there is to say of it.

`NAME.onnx` is the network, `NAME.toml` what a model's TOML says (docs/models.md), `manifest.json` how it came to be.
Frames are kept only where the user asked for it, and go with the scene.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from platformdirs import user_data_path

from streammatte.errors import StudentError

__all__ = [
    "PREFIX",
    "Manifest",
    "check_name",
    "keep",
    "kept_scenes",
    "manifest_of",
    "remove",
    "scene_toml",
    "scenes_dir",
]

PREFIX = "scene:"
"""What a scene's name is given with where models are named."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MANIFEST = "manifest.json"
_FRAMES = "frames"


@dataclass(frozen=True, slots=True)
class Manifest:
    """How a student came to be."""

    name: str
    made: str
    """ISO 8601, UTC."""
    input: str
    """What it was taught on."""
    teacher: str
    teacher_licence: str
    teacher_commercial: str
    teacher_weights_sha256: str
    frames: int
    """Pictures it was taught."""
    held_out: int
    """Pictures it was examined on, and not taught."""
    apart: float
    """On these, the mean of how far it is from the teacher: see `agreement.apart`."""
    holds: float
    """Share of these on which it is near enough to stand in for the teacher."""
    steps: int
    seconds: float
    """Of teaching alone."""
    precision: str
    """What it was taught in."""
    seed: int
    width: int
    height: int
    onnx_sha256: str
    streammatte: str
    kept_frames: int = 0

    def to_json(self) -> dict[str, Any]:
        """All of it, fit for JSON."""
        return asdict(self)


def scenes_dir() -> Path:
    """Where the user's scenes are; it need not exist yet."""
    return user_data_path("streammatte", appauthor=False) / "scenes"


def keep(
    manifest: Manifest,
    onnx: bytes,
    *,
    folder: Path | None = None,
    replacing: bool = False,
    frames: Sequence[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]] = (),
) -> Path:
    """Write a scene below `folder`, whole or not at all, and give its folder back.

    `frames` are RGB pictures (h, w, 3) and mattes (h, w) to keep with it. Raises StudentError for a name that cannot be
    a folder's, for one that is taken unless `replacing`, and where nothing can be written.
    """
    check_name(manifest.name)
    root = folder or scenes_dir()
    place = root / manifest.name
    if place.exists() and not replacing:
        raise StudentError(f"{PREFIX}{manifest.name}: exists already; choose another name, or --force to replace it")
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        making = Path(tempfile.mkdtemp(prefix=".making-", dir=root))
        try:
            (making / f"{manifest.name}.onnx").write_bytes(onnx)
            (making / f"{manifest.name}.toml").write_text(_toml(manifest), encoding="utf-8")
            text = json.dumps(manifest.to_json(), indent=2, ensure_ascii=False)
            (making / _MANIFEST).write_text(text + "\n", encoding="utf-8")
            _write_frames(making / _FRAMES, frames)
            before = making.with_name(making.name + "-before")
            if place.exists():
                place.rename(before)
            making.rename(place)
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise
        shutil.rmtree(before, ignore_errors=True)
    except OSError as error:
        raise StudentError(
            f"{place}: the scene cannot be kept: {error.strerror or error}; nothing was written"
        ) from error
    return place


def check_name(name: str) -> None:
    """Raises StudentError for what cannot be a scene's name."""
    if not _NAME.fullmatch(name):
        raise StudentError(
            f"{name!r}: a scene's name is made of letters, digits, '.', '_' and '-', and starts with one"
        )


def kept_scenes() -> list[Manifest]:
    """All scenes, by name. What is no whole scene is left out."""
    return sorted(_readable(scenes_dir()), key=lambda each: each.name)


def manifest_of(name: str) -> Manifest:
    """Raises StudentError where there is no such scene."""
    found = next((each for each in kept_scenes() if each.name == name.removeprefix(PREFIX)), None)
    if found is None:
        raise StudentError(_unknown(name.removeprefix(PREFIX)))
    return found


def scene_toml(name: str, folder: Path | None = None) -> Path:
    """The TOML of scene `name`, with or without the prefix. Raises StudentError where there is no such scene."""
    bare = name.removeprefix(PREFIX)
    path = (folder or scenes_dir()) / bare / f"{bare}.toml"
    if not _NAME.fullmatch(bare) or not path.is_file():
        raise StudentError(_unknown(bare))
    return path


def remove(name: str) -> Manifest:
    """Delete a scene and all that was kept of it; what that was. Raises StudentError."""
    manifest = manifest_of(name)
    place = scenes_dir() / manifest.name
    try:
        shutil.rmtree(place)
    except OSError as error:
        raise StudentError(f"{place}: cannot be deleted: {error.strerror or error}; check its permissions") from error
    return manifest


def _unknown(name: str) -> str:
    known = ", ".join(each.name for each in kept_scenes())
    has = f"there are {known}" if known else "there is none yet"
    return f"{PREFIX}{name}: no such scene; {has}: `streammatte tune` makes one"


def _readable(root: Path) -> Iterator[Manifest]:
    known = {item.name for item in fields(Manifest)}
    for path in root.glob(f"[!.]*/{_MANIFEST}"):
        with suppress(OSError, ValueError, TypeError):
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            manifest = Manifest(**{key: value for key, value in values.items() if key in known})
            if manifest.name == path.parent.name:
                yield manifest


def _write_frames(folder: Path, frames: Sequence[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]) -> None:
    for number, (src, pha) in enumerate(frames):
        folder.mkdir(exist_ok=True)
        for kind, picture in (("src", cv2.cvtColor(src, cv2.COLOR_RGB2BGR)), ("pha", pha)):
            _, png = cv2.imencode(".png", picture)
            (folder / f"{number:04d}.{kind}.png").write_bytes(png.tobytes())


def _toml(manifest: Manifest) -> str:
    words = {
        "name": manifest.name,
        "title": f"Student of {manifest.teacher}",
        "summary": "What its teacher says of one room, and of no other",
        "author": f"streammatte {manifest.streammatte}, taught by {manifest.teacher}",
        "citation": "Mullapudi et al., Online Model Distillation for Efficient Video Inference, ICCV 2019",
        "homepage": "https://arxiv.org/abs/1812.02699",
        "licence": manifest.teacher_licence,
        "commercial": manifest.teacher_commercial,
        "licence_url": "https://arxiv.org/abs/1812.02699",
        "licence_text": f"That of its teacher, {manifest.teacher}",
    }
    top = "\n".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in words.items())
    return f"""{top}

[weights]
format = "onnx"
sha256 = "{manifest.onnx_sha256}"

[input]
width = {manifest.width}
height = {manifest.height}
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]

[output]
index = 0
activation = "none"

[[source]]
kind = "path"
path = "{manifest.name}.onnx"
"""
