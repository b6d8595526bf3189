"""Torch itself as a runtime: no engine to build, and nothing but torch to install beside the driver of the GPU."""

from __future__ import annotations

import functools
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from streammatte.errors import ModelError, RuntimeUnavailable
from streammatte.nvidia import driver_missing, gpu_in_words
from streammatte.ports import BuildProgress, Precision, Session

__all__ = ["TorchRuntime"]


class TorchRuntime:
    """Runs the networks that streammatte knows in torch, on an NVIDIA GPU, and on the CPU where it is asked for."""

    name = "torch"
    trusted = False
    strongly_typed = False

    def unavailable(self) -> str | None:
        """Why not, with the remedy; None if it can be used, be it on the CPU."""
        if find_spec("torch") is None:
            return driver_missing() or "not installed: pip install 'streammatte[torch]'"
        return None

    def declined(self) -> str | None:
        """On a CPU others are faster."""
        return driver_missing() or _without_cuda()

    def precisions(self) -> tuple[Precision, ...]:
        """fp16, bf16 (compute capability 8.0 or more) and f32 on a GPU; f32 on a CPU."""
        if self.declined():
            return ("f32",)
        import torch

        halves: tuple[Precision, ...] = ("fp16", "bf16") if torch.cuda.get_device_capability() >= (8, 0) else ("fp16",)
        return (*halves, "f32")

    def identity(self) -> tuple[str, str]:
        """Library with version, and the GPU's name with its compute capability."""
        device = "CPU" if self.declined() else gpu_in_words(_index())
        return f"torch {version('torch')}", device

    def load(
        self,
        onnx: Path,
        sha256: str,
        *,
        output: int,
        precision: Precision,
        cache: Path | None,
        streams: int = 1,
        building: BuildProgress | None = None,
    ) -> Session:
        """Make the network of `onnx` in torch; there is nothing to keep in `cache`.

        Raises RuntimeUnavailable too where torch does not know the network, or where `output` is not the first.
        """
        if precision not in self.precisions():
            has = ", ".join(self.precisions())
            raise self._refused(f"precision {precision}", f"it computes in {has} on {self.identity()[1]}")
        if output:
            raise self._refused(f"output {output}", "its networks compute the first output alone")
        from streammatte.networks.onnx_weights import from_onnx
        from streammatte.networks.session import open_session

        try:
            network = from_onnx(onnx)
        except ModelError as error:
            raise self._refused("the network", str(error)) from error
        device = "cpu" if self.declined() else f"cuda:{_index()}"
        return open_session(network, device, precision, self.identity())

    def _refused(self, what: str, why: str) -> RuntimeUnavailable:
        return RuntimeUnavailable(f"{what} cannot be had", {self.name: why})


def _index() -> int:
    """CUDA's number of torch's current GPU."""
    import torch

    return int(torch.cuda.current_device())


@functools.cache
def _without_cuda() -> str | None:
    """Why this torch cannot use the GPU that is there; None if it can."""
    import torch

    if torch.cuda.is_available():
        return None
    if torch.version.cuda is None:
        return "this torch is built without CUDA: install one that has it, see https://pytorch.org/get-started/locally"
    return (
        f"torch {torch.__version__} cannot use this GPU: its driver is older than CUDA {torch.version.cuda}, update it"
    )
