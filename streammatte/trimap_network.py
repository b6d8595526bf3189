"""A network that finds alpha from a picture and a trimap (`--refine vitmatte`), loaded as a matting network is."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from streammatte.catalog import Model, catalog
from streammatte.color import FloatImage
from streammatte.errors import ModelError
from streammatte.kernels import host
from streammatte.kernels.trimaps import FOREGROUND, UNKNOWN, Trimap
from streammatte.ledger import check_licence
from streammatte.loading import load_session
from streammatte.meter import RefinerReport
from streammatte.own_model import accepting, model_named
from streammatte.ports import BuildProgress
from streammatte.weights.fetch import Progress
from streammatte.weights.pull import ensure

__all__ = ["TrimapNetwork"]


class TrimapNetwork:
    """`name` is that of a model whose task is trimap: the catalogue's, or the path of a TOML of the user's own.

    Licence, weights, runtime and precision are as of `Matter`, but that such networks have no int8: asked for it, they
    run in whatever is best. Raises ModelError, RuntimeUnavailable.
    """

    def __init__(
        self,
        name: str = "vitmatte",
        *,
        runtime: str = "auto",
        precision: str = "auto",
        require: str | None = None,
        commercial: bool = False,
        accept_licence: Collection[str] = (),
        progress: Progress | None = None,
        building: BuildProgress | None = None,
    ) -> None:
        self.model = _named(name)
        check_licence(self.model, commercial=commercial, accept_licence=accepting(self.model, accept_licence))
        weights = ensure(self.model, progress=progress)
        self.weights_sha256 = weights.sha256
        chosen = "auto" if precision == "int8" else precision
        loaded = load_session(
            self.model, weights, runtime=runtime, precision=chosen, require=require, building=building
        )
        self._session = loaded.session
        self.width, self.height = self.model.input.width, self.model.input.height
        info = self._session.info
        self.fallbacks = tuple(f"{self.model.name}: {each}" for each in loaded.fallbacks)
        if precision == "int8":
            self.fallbacks += (f"{self.model.name} has no int8 calibration: it runs in {info.precision}",)
        self.report = RefinerReport(
            model=self.model.name,
            model_licence=self.model.licence,
            weights_sha256=self.weights_sha256,
            runtime=info.runtime,
            precision=info.precision,
            device=info.device,
        )

    def alpha(self, rgb: FloatImage, trimap: Trimap) -> FloatImage:
        """Alpha (height, width) in [0, 1] of R'G'B' (height, width, 3) in [0, 1] and trimap (height, width).

        The network is given four planes: R, G, B, normalised, and the trimap as 0, 0.5 and 1. Raises ModelError where
        its output has not the size of its input.
        """
        spec = self.model.input
        batch = np.empty((1, 4, self.height, self.width), np.float32)
        batch[0, :3] = ((rgb - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)).transpose(2, 0, 1)
        batch[0, 3] = np.where(trimap == UNKNOWN, np.float32(0.5), trimap == FOREGROUND)
        raw = self._session.run(batch)
        wanted = (1, 1, self.height, self.width)
        if raw.shape != wanted:
            raise ModelError(f"{self.model.name}: its output is {raw.shape}, expected an alpha {wanted}")
        pha = host.probability(raw[0, 0], self.model.output.activation == "sigmoid")
        return np.clip(pha, 0, 1)

    def close(self) -> None:
        """Release the engine."""
        self._session.close()


def _named(name: str) -> Model:
    found = model_named(name)
    if found.task != "trimap":
        known = ", ".join(each.name for each in catalog().values() if each.task == "trimap")
        raise ModelError(f"{found.name}: takes no trimap; --refine-model takes one of {known or 'none, here'}")
    return found
