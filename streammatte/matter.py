"""Frame -> Matte: fit to the network, infer, activate, turn back."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import numpy.typing as npt

from streammatte import registry
from streammatte.catalog import Model
from streammatte.catalog import model as model_named
from streammatte.color import ColorSpec
from streammatte.errors import ContractError
from streammatte.frame import Frame, Look, Matte, PixelFormat
from streammatte.kernels import host
from streammatte.loading import load_session
from streammatte.ports import Arithmetic, Refiner
from streammatte.weights.fetch import Progress
from streammatte.weights.pull import ensure

__all__ = ["Matter"]

_GBR = PixelFormat.named("gbrp")
_SRGB = ColorSpec(matrix=0, primaries=1, transfer=13, full_range=True)


class Matter:
    """A model loaded by a runtime, ready to give an alpha for any picture.

    `model` is a name in the catalogue (weights are pulled on first use) or a `Model`; `runtime` is auto or a name;
    `precision` is auto, int8, bf16 or f32; `compat="rembg"` reproduces rembg's arithmetic, in f32 unless told
    otherwise. `streams` is how many threads may ask for mattes at once, if the runtime grants it (`info.streams`).
    With `tta` (test-time augmentation) the network is also shown each picture mirrored, at twice the time; where its
    two answers agree, alpha is their mean. With `require`, anything but that runtime is an error. Raises ModelError,
    RuntimeUnavailable, ConfigError.

        alpha = Matter("u2net")(rgb)      # (H, W, 3) uint8 -> (H, W) float32 in [0, 1]
    """

    def __init__(
        self,
        model: str | Model = "u2net",
        *,
        runtime: str = "auto",
        precision: str = "auto",
        compat: str | None = None,
        require: str | None = None,
        streams: int = 1,
        tta: bool = False,
        progress: Progress | None = None,
    ) -> None:
        arithmetic = registry.load(registry.ARITHMETICS, compat or "fixed", "--compat")
        refiner = registry.load(registry.REFINERS, compat or "none", "--refine")
        if compat and precision == "auto":
            precision = "f32"
        self.model = model if isinstance(model, Model) else model_named(model)
        weights = ensure(self.model, progress=progress)
        self.weights_sha256 = weights.sha256
        self._tta = tta
        self._arithmetic: Arithmetic = arithmetic(self.model)
        self._refiner: Refiner = refiner()
        loaded = load_session(
            self.model, weights, runtime=runtime, precision=precision, require=require, streams=streams
        )
        self._session = loaded.session
        self.info = self._session.info
        self.fallbacks = loaded.fallbacks

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
        """Run the network on what `look` shows."""
        pha = self._arithmetic.pha(self._session.run(look.batch))
        if self._tta:
            mirrored = self._arithmetic.pha(self._session.run(np.ascontiguousarray(look.batch[..., ::-1])))
            pha = _agreed(pha, np.ascontiguousarray(mirrored[:, ::-1]))
        return replace(look.matte, pha=host.turn_back(pha, look.rotation), seen=True)

    def __call__(self, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Alpha (H, W) float32 in [0, 1] of an sRGB picture (H, W, 3) uint8. Raises ContractError for other arrays."""
        if not (
            isinstance(rgb, np.ndarray) and rgb.ndim == 3 and rgb.shape[2] == 3 and rgb.size and rgb.dtype == np.uint8
        ):
            actual = f"{rgb.dtype} {rgb.shape}" if isinstance(rgb, np.ndarray) else type(rgb).__name__
            raise ContractError("an RGB array (H, W, 3) uint8", actual)
        red, green, blue = (np.ascontiguousarray(rgb[..., i]) for i in range(3))
        frame = Frame((green, blue, red), _GBR, _SRGB, pts=0, time_base=Fraction(1), duration=0, seq=0)
        alpha = self._refiner.refine(self.matte(frame), frame)
        return alpha.astype(np.float32) / np.float32(255)

    def close(self) -> None:
        """Release the engine."""
        self._session.close()


_AROUND_PX = 21
_AGREEMENT = 0.2
"""A mean difference of this much around a pixel means another subject, not another edge."""


def _agreed(pha: npt.NDArray[np.float32], mirrored: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The mean of two answers where they differ along edges only; the first where they mean different things."""
    apart = cv2.blur(cv2.absdiff(pha, mirrored), (_AROUND_PX, _AROUND_PX))
    share = 0.5 * np.exp(-np.square(apart / _AGREEMENT))
    return np.asarray(pha + share * (mirrored - pha), np.float32)
