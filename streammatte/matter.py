"""Frame -> Matte: fit to the network, infer, activate, turn back."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from streammatte import registry
from streammatte.catalog import Model, catalog
from streammatte.color import ColorSpec
from streammatte.errors import ConfigError, ContractError, ModelError
from streammatte.frame import Frame, Look, Matte, PixelFormat
from streammatte.kernels import host
from streammatte.kernels.agreeing import agreed
from streammatte.ledger import check_licence, check_use
from streammatte.loading import load_session
from streammatte.own_model import accepting, model_named
from streammatte.ports import Arithmetic, BuildProgress, RecurrentSession, Refiner
from streammatte.weights.fetch import Progress
from streammatte.weights.pull import ensure

__all__ = ["Matter", "batch_for"]

_SMALL_INPUT_PX, _SMALL_BATCH = 512, 4
"""One such picture leaves most of a large GPU idle. By reckoning: not measured on one yet."""

_MEMORY_S = 1.0
"""What a recurrent model remembers of a frame that lies further back says nothing of the present one."""

_GBR = PixelFormat.named("gbrp")
_SRGB = ColorSpec(matrix=0, primaries=1, transfer=13, full_range=True)


class Matter:
    """A model loaded by a runtime, ready to give an alpha for any picture.

    `model` is a name in the catalogue (weights are pulled on first use), the path of an ONNX file or a TOML of the
    user's own (docs/models.md), or a `Model`; `runtime` is auto or a name; `precision` is auto, int8, fp16, bf16 or
    f32; `compat="rembg"` reproduces rembg's arithmetic, in f32 unless told otherwise. `streams` is how many threads may
    ask for mattes at once, if the runtime grants it (`info.streams`). `batch` is how many pictures a device is to take
    at once; None: 4 where the network's input is small. With `tta` (test-time augmentation) the network is also shown
    each picture mirrored, at twice the time; where its two answers agree, alpha is their mean. A recurrent model
    remembers the frames before: it is to be given them in order, from one thread, and `batch` and `tta` do not count.
    With `fgr` mattes hold the subject's own colour too, of models that give it.

    With `require`, anything but that runtime is an error. A licence that does not allow commercial use must be
    accepted, by `streammatte models accept` or in `accept_licence`; with `commercial` it is refused. `progress` is told
    of weights being pulled, `building` of an engine being built. Raises ModelError, RuntimeUnavailable, ConfigError.

        alpha = Matter("u2net")(rgb)      # (H, W, 3) uint8 -> (H, W) float32 in [0, 1]
    """

    def __init__(
        self,
        model: str | Path | Model = "u2net",
        *,
        runtime: str = "auto",
        precision: str = "auto",
        compat: str | None = None,
        require: str | None = None,
        streams: int = 1,
        batch: int | None = 1,
        tta: bool = False,
        fgr: bool = False,
        commercial: bool = False,
        accept_licence: Collection[str] = (),
        progress: Progress | None = None,
        building: BuildProgress | None = None,
    ) -> None:
        arithmetic = registry.load(registry.ARITHMETICS, compat or "fixed", "--compat")
        refiner = registry.load(registry.REFINERS, compat or "none", "--refine")
        if compat and precision == "auto":
            precision = "f32"
        self.model = model if isinstance(model, Model) else model_named(model)
        check_use(self.model)
        self.model = _with_fgr(self.model, fgr)
        check_licence(self.model, commercial=commercial, accept_licence=accepting(self.model, accept_licence))
        weights = ensure(self.model, progress=progress)
        self.weights_sha256 = weights.sha256
        self.batch = 1 if compat or self.model.state else batch or batch_for(self.model)
        self._tta = tta and self.model.state is None
        self._arithmetic: Arithmetic = arithmetic(self.model)
        self._refiner: Refiner = refiner()
        loaded = load_session(
            self.model,
            weights,
            runtime=runtime,
            precision=precision,
            require=require,
            streams=streams,
            batch=self.batch,
            cache=self.model.cache,
            building=building,
        )
        self.session = loaded.session
        self.info = self.session.info
        self._recurrent = self.session if isinstance(self.session, RecurrentSession) else None
        self._seen_s = -math.inf
        self.fallbacks = (*_notes(self.model), *loaded.fallbacks)
        self.passed_over = loaded.passed_over

    def matte(self, frame: Frame) -> Matte:
        """The matte of one frame, at network size, in the frame's stored orientation."""
        return self.see(self.look(frame))

    def look(self, frame: Frame) -> Look:
        """The frame as the network would be shown it; costs little beside `see`."""
        batch, rgb = self._arithmetic.batch(frame)
        src = host.turn_back(rgb, frame.rotation)
        unseen = Matte(
            pha=np.zeros(src.shape[:2], np.float32),
            src=src,
            seq=frame.seq,
            time_s=float(frame.time),
            discontinuity=frame.discontinuity,
            seen=False,
        )
        return Look(unseen, batch, frame.rotation)

    def see(self, look: Look) -> Matte:
        """Run the network on what `look` shows. A recurrent one forgets all before a discontinuity or a gap in time.

        Raises ModelError where its output has not the size of its input.
        """
        if self._recurrent is not None:
            since_s = look.matte.time_s - self._seen_s
            if look.matte.discontinuity or not 0 <= since_s <= _MEMORY_S:
                self._recurrent.reset()
            self._seen_s = look.matte.time_s
        pha, fgr = self._answer(look.batch), None
        if self._recurrent is not None and self._recurrent.fgr is not None:
            fgr = host.turn_back(np.ascontiguousarray(self._recurrent.fgr[0].transpose(1, 2, 0)), look.rotation)
        if self._tta:
            mirrored = self._answer(np.ascontiguousarray(look.batch[..., ::-1]))
            pha = agreed(pha, np.ascontiguousarray(mirrored[:, ::-1]))
        return replace(look.matte, pha=host.turn_back(pha, look.rotation), fgr=fgr, seen=True)

    def _answer(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        raw = self.session.run(batch)
        wanted = (1, self.model.output.planes, *batch.shape[2:])
        if raw.shape != wanted:
            index = self.model.output.index
            raise ModelError(f"{self.model.name}: output number {index} is {raw.shape}, expected an alpha {wanted}")
        return self._arithmetic.pha(raw)

    def __call__(self, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Alpha (H, W) float32 in [0, 1] of an sRGB picture (H, W, 3) uint8, by itself: nothing was before it.

        Raises ContractError for other arrays.
        """
        if not (
            isinstance(rgb, np.ndarray) and rgb.ndim == 3 and rgb.shape[2] == 3 and rgb.size and rgb.dtype == np.uint8
        ):
            actual = f"{rgb.dtype} {rgb.shape}" if isinstance(rgb, np.ndarray) else type(rgb).__name__
            raise ContractError("an RGB array (H, W, 3) uint8", actual)
        red, green, blue = (np.ascontiguousarray(rgb[..., i]) for i in range(3))
        planes = (green, blue, red)
        frame = Frame(planes, _GBR, _SRGB, pts=0, time_base=Fraction(1), duration=0, seq=0, discontinuity=True)
        alpha = self._refiner.refine(self.matte(frame), frame)
        return alpha.astype(np.float32) / np.float32(255)

    def close(self) -> None:
        """Release the engine."""
        self.session.close()


def _with_fgr(model: Model, wanted: bool) -> Model:
    """`model`, asked for the subject's colour where that is wanted and nowhere else: it costs time."""
    if wanted and (model.state is None or model.state.fgr is None):
        known = ", ".join(each.name for each in catalog().values() if each.state and each.state.fgr is not None)
        raise ConfigError("--fgr", f"model: {model.name} says nothing of the subject's colour; {known} do")
    return model if wanted or model.state is None else replace(model, state=replace(model.state, fgr=None))


def _notes(model: Model) -> tuple[str, ...]:
    """What a report must say of the model."""
    if model.state is None:
        return model.assumed
    how = "it is shown frames in order, one at a time and not mirrored, in files every one"
    return (*model.assumed, f"{model.name} remembers the frames before: {how}")


def batch_for(model: Model) -> int:
    """How many pictures a device's network is shown at once where nobody says."""
    return _SMALL_BATCH if max(model.input.width, model.input.height) <= _SMALL_INPUT_PX else 1
