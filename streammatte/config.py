"""Every setting of a run, once: the fields below are the library's arguments, the flags and the TOML keys."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from streammatte.errors import ConfigError
from streammatte.subject import Subject

__all__ = ["Settings", "flag_of", "read_config", "setting"]


_LARGEST_BATCH = 64
_FILES = ("bg", "card", "trimap")
"""They may name a file, among other things."""
_RANGES = {"feather_px": (0, 200), "shift_px": (-100, 100), "despill": (0, 1), "light_wrap": (0, 1)}


def setting(default: Any, help: str, **facts: Any) -> Any:  # noqa: A002
    """A field that is also a flag and a TOML key; `facts` are metavar, short and choices."""
    return field(default=default, metadata={"help": help, **facts})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One run's settings. Raises ConfigError, naming the flag, for a value out of range."""

    output: tuple[Path, ...] = setting(
        (), "Where to write; repeat for several. Default: beside the input.", metavar="FILE", short="-o"
    )
    matte: Path | None = setting(None, "Write the alpha alone.", metavar="FILE")
    bg: str | None = setting(
        None,
        "Image, video, colour (#rrggbb or CSS name), blur[:PERCENT], or none: keep alpha.  [default: none]",
        metavar="BACKGROUND",
    )
    fit: str = setting("cover", "How the background fills the frame.", choices=("cover", "contain", "stretch"))
    fgr: str | None = setting(
        None,
        "Take the old background's colour out of soft edges, or off to compare; model: by the network itself, where it "
        "can, files only.  [default: fusion]",
        choices=("fusion", "model", "off"),
    )
    model: str = setting(
        "u2net",
        "Model name (see `streammatte models list`), or the path of an ONNX file or a TOML of your own.",
        metavar="NAME|FILE",
        short="-m",
    )
    accept_licence: tuple[str, ...] = setting(
        (),
        "Accept this model's licence for this run (`streammatte models accept` does for good); repeat for several.",
        metavar="NAME",
    )
    commercial: bool = setting(
        False, "Refuse models whose licence does not allow commercial use, whatever was accepted."
    )
    subject: str = setting(
        "all",
        "Who is kept: all, largest, face, point:X,Y or box:X,Y,WIDTH,HEIGHT in the first frame (0.5: half the picture, "
        "320: pixels), or words: 'the leftmost dog'.",
        metavar="SUBJECT",
    )
    prompt_model: str | None = setting(
        None,
        "SAM that looks for --subject, by name or in a folder: outlines a point or a box, or finds what words name.  "
        "[default: sam3 for words, else none]",
        metavar="NAME|FOLDER",
    )
    runtime: str = setting(
        "auto",
        "Library that runs the network; auto tries them in this order.",
        choices=("auto", "tensorrt", "tensorrt_rtx", "torch", "onnxruntime", "openvino"),
    )
    require: str | None = setting(None, "Fail unless this runtime runs the network.", metavar="RUNTIME")
    precision: str = setting("auto", "Arithmetic of the network.", choices=("auto", "int8", "fp16", "bf16", "f32"))
    compat: str | None = setting(None, "Reproduce another tool's arithmetic exactly.", choices=("rembg",))
    quality: str | None = setting(
        None,
        "How much is done for the matte; the settings below say otherwise.  [default: best for files, else balanced]",
        choices=("fast", "balanced", "best"),
    )
    stabilize: str | None = setting(
        None, "Smoothing over time: along the motion, in place (ema), or none.", choices=("none", "ema", "motion")
    )
    half_life_s: float | None = setting(
        None, "After this time a matte weighs half in the smoothing.", metavar="SECONDS"
    )
    lookahead: int | None = setting(None, "Also average with so many frames to come; files only.", metavar="N")
    refine: str | None = setting(
        None,
        "Edges from the picture itself where alpha is soft, or none; pymatting and vitmatte: slow, files only.",
        choices=("none", "guided", "closed-form", "pymatting", "vitmatte"),
    )
    refine_steps: int | None = setting(None, "Steps of --refine closed-form.", metavar="N")
    refine_model: str | None = setting(
        None, "Model of --refine vitmatte, or a TOML of your own.  [default: vitmatte]", metavar="NAME|FILE"
    )
    trimap: str | None = setting(
        None,
        "For --refine pymatting or vitmatte: a picture for all frames, or a video as long as the input; black is "
        "background, white subject, all else unknown.",
        metavar="FILE|VIDEO",
    )
    stride: int | None = setting(
        None, "Run the network at the latest every N frames, sooner where much moves.", metavar="N"
    )
    batch: str = setting(
        "auto",
        "Frames that a GPU's network sees at once, or auto: 4 where its input is small, else 1; files only.",
        metavar="N",
    )
    tta: str | None = setting(
        None, "Show the network each picture mirrored too; takes it twice the time.", choices=("on", "off")
    )
    student: str = setting(
        "off",
        "auto: teach a small network what the model says of this video or this room, and let it do the work where it "
        "holds; needs PyTorch.",
        choices=("off", "auto"),
    )
    seed: int = setting(0, "Chance in teaching a student.", metavar="N")
    feather_px: float = setting(0.0, "Soften the edge: the blur's sigma, in pixels of the frame.", metavar="PX")
    shift_px: float = setting(0.0, "Move the edge outward, or inward (negative), in pixels of the frame.", metavar="PX")
    despill: float = setting(0.0, "Take the old background's light off the subject's rim: 0 to 1.", metavar="STRENGTH")
    light_wrap: float = setting(0.0, "Let the new background shine on the subject's rim: 0 to 1.", metavar="STRENGTH")
    linear: bool = setting(False, "Mix soft pixels as light, not as coded values.")
    codec: str | None = setting(
        None,
        "Video codec; default by extension and pixel format.",
        choices=("h264", "hevc", "av1", "vp9", "prores", "ffv1", "png"),
    )
    crf: int | None = setting(None, "Quality: lower is better. Default: visually lossless.", metavar="N")
    preset: str | None = setting(None, "The encoder's own speed preset.", metavar="NAME")
    pix_fmt: str | None = setting(None, "Pixel format to encode, FFmpeg's name.", metavar="NAME")
    start_s: float = setting(0.0, "Skip this much of the input.", metavar="SECONDS")
    duration_s: float | None = setting(None, "Stop after this much.", metavar="SECONDS")
    input_format: str | None = setting(
        None, "The input's FFmpeg demuxer, where it cannot be told (rawvideo, ...).", metavar="NAME"
    )
    input_size: str | None = setting(None, "Picture size of rawvideo.", metavar="WxH")
    input_pix_fmt: str | None = setting(None, "Pixel format of rawvideo.", metavar="NAME")
    input_rate: str | None = setting(
        None, "Frames a second of rawvideo or an image sequence: 25, 30000/1001.", metavar="RATE"
    )
    to: tuple[str, ...] = setting(
        (),
        "Live output: vcam[:DEVICE], pipewire[:NAME], obs[:raw|vp9][:PORT], preview[:PORT], window, null, or an "
        "address: srt://, rtmp://, udp://, http://HOST:PORT; repeat for several.",
        metavar="SINK",
    )
    listen: str = setting(
        "127.0.0.1",
        "Where obs, http:// and srt:// outputs take connections; 0.0.0.0: from every machine that can reach this one.",
        metavar="ADDRESS",
    )
    size: str | None = setting(None, "Camera picture size.  [default: nearest to 1280x720]", metavar="WxH")
    fps: str | None = setting(None, "Camera frames a second.  [default: 30]", metavar="RATE")
    mirror: bool = setting(False, "Flip the picture left to right, as in a mirror.")
    card: str | None = setting(
        None,
        "Image or colour that live outputs show where the matte cannot be trusted.  [default: the background; dark "
        "gray with blur]",
        metavar="BACKGROUND",
    )
    governor: str = setting("on", "Live: do less for a matte while time is short.", choices=("on", "off"))
    target_latency_s: float = setting(0.1, "Live: what the governor keeps, from capture to output.", metavar="SECONDS")
    target_fps: float | None = setting(None, "Live: frames a second that the governor keeps.", metavar="RATE")
    control: str = setting("on", "Live: listen for `streammatte ctl` on this machine.", choices=("on", "off"))
    salvage: bool = setting(False, "Take what can be decoded of a damaged or truncated input.")
    force: bool = setting(False, "Overwrite existing outputs.")

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            value, choices = getattr(self, item.name), item.metadata.get("choices")
            if choices and value is not None and value not in choices:
                raise ConfigError(flag_of(item.name), f"unknown {value!r}; one of {', '.join(choices)}")
        _at_least(self.start_s, 0, "start_s")
        _above(self.target_latency_s, 0, "target_latency_s")
        if self.target_fps is not None:
            _above(self.target_fps, 0, "target_fps")
        if self.duration_s is not None:
            _above(self.duration_s, 0, "duration_s")
        if self.half_life_s is not None:
            _above(self.half_life_s, 0, "half_life_s")
        for name, least, most in (("lookahead", 0, 30), ("refine_steps", 1, 100), ("stride", 1, 60)):
            _between(getattr(self, name), least, most, name)
        for name, (least, most) in _RANGES.items():
            _within(getattr(self, name), least, most, name)
        if self.batch != "auto" and not (self.batch.isdecimal() and 1 <= int(self.batch) <= _LARGEST_BATCH):
            raise ConfigError("--batch", f"expected auto or 1 to {_LARGEST_BATCH}, got {self.batch!r}")
        Subject.named(self.subject)
        if self.crf is not None and not 0 <= self.crf <= 63:
            raise ConfigError("--crf", f"must be 0 to 63, got {self.crf}")

    def batch_size(self) -> int | None:
        """`batch` as a number; None for auto."""
        return None if self.batch == "auto" else int(self.batch)

    def size_px(self) -> tuple[int, int] | None:
        """`input_size` as (width, height)."""
        return _size_px(self.input_size, "--input-size")

    def camera_size_px(self) -> tuple[int, int] | None:
        """`size` as (width, height)."""
        return _size_px(self.size, "--size")

    def rate(self) -> Fraction | None:
        """`input_rate` as an exact rational."""
        return _rate(self.input_rate, "--input-rate")

    def camera_rate(self) -> Fraction | None:
        """`fps` as an exact rational."""
        return _rate(self.fps, "--fps")


def _size_px(given: str | None, flag: str) -> tuple[int, int] | None:
    if given is None:
        return None
    wide, _, high = given.lower().partition("x")
    if not (wide.isdecimal() and high.isdecimal() and int(wide) and int(high)):
        raise ConfigError(flag, f"expected WIDTHxHEIGHT such as 1280x720, got {given!r}")
    return int(wide), int(high)


def _rate(given: str | None, flag: str) -> Fraction | None:
    if given is None:
        return None
    try:
        rate = Fraction(given)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate <= 0:
        raise ConfigError(flag, f"expected frames a second, 25 or 30000/1001, got {given!r}")
    return rate


def flag_of(name: str) -> str:
    """The flag of a field: units that end its name are in the flag's metavar instead."""
    return "--" + name.removesuffix("_s").removesuffix("_px").replace("_", "-")


def _at_least(value: float, least: float, name: str) -> None:
    if not least <= value < math.inf:
        raise ConfigError(flag_of(name), f"must be at least {least:g} and finite, got {value:g}")


def _within(value: float, least: float, most: float, name: str) -> None:
    if not least <= value <= most:
        raise ConfigError(flag_of(name), f"must be {least:g} to {most:g}, got {value:g}")


def _between(value: int | None, least: int, most: int, name: str) -> None:
    if value is not None and not least <= value <= most:
        raise ConfigError(flag_of(name), f"must be {least} to {most}, got {value}")


def _above(value: float, bound: float, name: str) -> None:
    if not bound < value < math.inf:
        raise ConfigError(flag_of(name), f"must be more than {bound:g} and finite, got {value:g}")


def read_config(path: Path, *others: type) -> dict[str, Any]:
    """A TOML file of flags (without the dashes) as field values, paths relative to the file's folder.

    The fields are those of `Settings` and of `others`, dataclasses of `setting` fields. Raises ConfigError naming file
    and key for what is not TOML, not a flag or of the wrong type.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError("--config", f"cannot read {path}: {error.strerror or error}; check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("--config", f"{path} is not TOML: {error}") from error
    return _checked(table, path, (Settings, *others))


def _checked(table: Mapping[str, Any], path: Path, kinds: tuple[Any, ...]) -> dict[str, Any]:
    fields = {flag_of(item.name)[2:]: item for kind in kinds for item in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        item = fields.get(key)
        if item is None:
            raise ConfigError(key, f"{path}: no such setting; one of {', '.join(fields)}")
        values[item.name] = _typed(value, item, f"{path}: {key}", path.parent)
    return values


def _typed(value: Any, item: dataclasses.Field[Any], where: str, folder: Path) -> Any:
    wanted = str(item.type)
    if wanted.startswith("tuple[Path"):
        items = value if isinstance(value, list) else [value]
        if all(isinstance(entry, str) for entry in items):
            return tuple(folder / entry for entry in items)
    elif wanted.startswith("tuple[str"):
        items = value if isinstance(value, list) else [value]
        if all(isinstance(entry, str) for entry in items):
            return tuple(items)
    elif wanted.startswith("Path") and isinstance(value, str):
        return folder / value
    elif (wanted.startswith("bool") and isinstance(value, bool)) or (wanted.startswith("int") and type(value) is int):
        return value
    elif wanted.startswith("float") and type(value) in (int, float):
        return float(value)
    elif wanted.startswith("str"):
        if isinstance(value, str):
            beside = folder / value
            own_model = item.name == "model" and beside.suffix in (".onnx", ".toml")
            return str(beside) if (own_model or item.name in _FILES) and beside.is_file() else value
        if item.name == "batch" and type(value) is int:
            return str(value)
        if item.name in ("input_rate", "fps") and type(value) in (int, float):
            return str(value)
    raise ConfigError(where, f"expected {wanted.replace(' | None', '')}, got {value!r}")
