"""What runtimes share to run recurrent networks: a session that keeps what the network hands on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from streammatte.catalog_facts import StateSpec
from streammatte.errors import ModelError
from streammatte.ports import SessionInfo

__all__ = ["CarryingSession", "Compute", "check_outputs"]

_MISFIT = "[state] does not fit the network"

_Array: TypeAlias = npt.NDArray[np.float32]
_Sides: TypeAlias = Sequence[int | None]

Compute: TypeAlias = Callable[[dict[str, _Array]], Sequence[_Array]]
"""From the network's inputs, by name, to its output, the subject's colour where `StateSpec.fgr` is set, and the state's
outputs, in the order of `StateSpec.outputs`; what is given is not written to by later calls."""


class CarryingSession:
    """A recurrent network of a library's (port `RecurrentSession`), run by `compute`.

    `inputs` says of each input of the network what shape it has; None is a side that is open, or something that is no
    number. Raises ModelError where these are not one picture and what `state` names.
    """

    def __init__(self, compute: Compute, inputs: Mapping[str, _Sides], state: StateSpec, info: SessionInfo) -> None:
        self.info = info
        self.fgr: _Array | None = None
        self._gives_fgr = state.fgr is not None
        self._compute, self._outputs_to = compute, state.inputs
        self._picture = _picture(inputs, state)
        self._fixed = {state.ratio_input: np.array([state.ratio], np.float32)} if state.ratio_input else {}
        self._first = {name: np.zeros([side or 1 for side in inputs[name]], np.float32) for name in state.inputs}
        self._held = self._first

    def run(self, batch: _Array) -> _Array:
        """See port `Session`."""
        found, *handed_on = self._compute({self._picture: batch, **self._fixed, **self._held})
        if self._gives_fgr:
            self.fgr = np.array(handed_on.pop(0), np.float32)
        self._held = dict(zip(self._outputs_to, handed_on, strict=True))
        return np.array(found, np.float32)  # which may be handed on too

    def reset(self) -> None:
        """See port `RecurrentSession`."""
        self._held, self.fgr = self._first, None

    def close(self) -> None:
        """Nothing is held beyond memory."""


def check_outputs(outputs: Collection[str], state: StateSpec) -> None:
    """Raises ModelError where a network with these outputs gives no such state."""
    if not {*state.outputs} <= {*outputs}:
        raise ModelError(f"{_MISFIT}: expected outputs {', '.join(state.outputs)}, got {', '.join(outputs)}")


def _picture(inputs: Mapping[str, _Sides], state: StateSpec) -> str:
    beside = {*state.inputs, *([state.ratio_input] if state.ratio_input else [])}
    pictures = [name for name in inputs if name not in beside]
    if len(pictures) != 1 or not beside <= set(inputs):
        wanted = f"one input for the picture, and {', '.join(sorted(beside))}"
        raise ModelError(f"{_MISFIT}: expected {wanted}, got {', '.join(inputs)}")
    return pictures[0]
