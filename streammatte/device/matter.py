"""Frame -> Matte on a device: what `streammatte.matter` does, without a sample on the host."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor

from streammatte.frame import Frame, Look, Matte
from streammatte.kernels.torch.agreeing import agreed
from streammatte.kernels.torch.graphs import Captured
from streammatte.kernels.torch.lane import Lane
from streammatte.kernels.torch.planes import turn_back
from streammatte.ports import DeviceSession

__all__ = ["DeviceArithmetic", "DeviceMatter"]


class DeviceArithmetic(Protocol):
    """How a frame becomes the network's batch, and its output a matte."""

    def batch(self, frame: Frame) -> tuple[Tensor, Tensor]:
        """The upright (1, 3, h, w) batch, and the RGB picture (3, h, w) in [0, 1] it was made from, as stored."""

    def pha(self, raw: Tensor) -> Tensor:
        """The network's raw output (1, 1, h, w) as alpha (h, w) in [0, 1], upright."""


class DeviceMatter:
    """Looks at frames whose planes are tensors, and has `session` see them. All of it is put on `lane`.

    With `tta` the network is also shown each picture mirrored, as `Matter` has it. It is shown `batch` pictures at
    once where that many come together (`see_all`) and the session takes any number, or that very one.
    """

    def __init__(
        self, session: DeviceSession, arithmetic: DeviceArithmetic, lane: Lane, *, tta: bool = False, batch: int = 1
    ) -> None:
        self._arithmetic, self._lane, self._tta = arithmetic, lane, tta
        self.batch, self._exactly = session.batch or batch, session.batch

        def run(batch: Tensor) -> tuple[Tensor, ...]:
            return (session.run_on(batch),)

        self._run = Captured(run, lane) if session.capturable else run
        self._join = Captured(lambda *shown: (torch.cat(shown),), lane)
        self._mirror = Captured(lambda batch: (batch.flip(-1),), lane)
        self._agree = Captured(_agreed, lane)

    def look(self, frame: Frame) -> Look:
        """The frame as the network would be shown it."""
        with self._lane:
            batch, src = self._arithmetic.batch(frame)
            tensors: Any = {"pha": torch.zeros_like(src[0]), "src": src}
            matte = Matte(
                **tensors,
                seq=frame.seq,
                time_s=float(frame.time),
                discontinuity=frame.discontinuity,
                seen=False,
            )
            shown: Any = batch
            return Look(matte, shown, frame.rotation)

    def see(self, look: Look) -> Matte:
        """Run the network on what `look` shows."""
        return self.see_all([look])[0]

    def see_all(self, looks: list[Look]) -> list[Matte]:
        """Run the network on what they show, `batch` at most, at once."""
        with self._lane:
            shown: list[Any] = [look.batch for look in looks]
            # The last one again where there are fewer than the session must be given.
            (batch,) = self._join(*shown, *[shown[-1]] * ((self._exactly or 1) - len(shown)))
            alphas = self._alphas(batch, len(looks))
            if self._tta:
                mirrored = self._alphas(self._mirror(batch)[0], len(looks))
                alphas = [self._agree(*pair)[0] for pair in zip(alphas, mirrored, strict=True)]
            return [_seen(look, pha) for look, pha in zip(looks, alphas, strict=True)]

    def _alphas(self, batch: Tensor, count: int) -> list[Tensor]:
        (raw,) = self._run(batch)
        return [self._arithmetic.pha(raw[index : index + 1]) for index in range(count)]


def _seen(look: Look, pha: Tensor) -> Matte:
    turned: Any = turn_back(pha, look.rotation)
    return replace(look.matte, pha=turned, seen=True)


def _agreed(pha: Tensor, mirrored: Tensor) -> tuple[Tensor, ...]:
    return (agreed(pha, mirrored.flip(-1)),)
