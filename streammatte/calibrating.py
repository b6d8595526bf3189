"""A user's own int8 calibration: measured on their video, trusted where parity holds, kept in the cache."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from streammatte import registry
from streammatte.assembly import streams_for
from streammatte.catalog import Model, catalog
from streammatte.errors import ConfigError, ModelError, RuntimeUnavailable
from streammatte.frame import Frame
from streammatte.int8 import own_calibration
from streammatte.loading import load_session
from streammatte.parity import Difference, compare
from streammatte.ports import Arithmetic, Session
from streammatte.quantization.calibration import Calibration, read_calibration, write_calibration
from streammatte.quantization.measuring import Measurement
from streammatte.sources import SourceOptions, open_source
from streammatte.weights.cache import Weights, cache_dir, sha256_of

__all__ = ["Calibrated", "calibrate", "evenly", "measure"]

_VIEWS = 40
"""At most, of all inputs together: half as many were seen to do as well."""
_EVERY = 5
"""One view of so many is not measured, but compared on."""
_LONGEST_S = 300.0
"""Of each video."""

_FILE = "own.int8.json"

Batch = npt.NDArray[np.float32]
Progress = Callable[[int, int], None]
"""Called with views done and all views."""
T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A calibration that has been kept, and what it is worth."""

    calibrated_on: str
    """In words."""
    own: Difference
    """From f32, on views of the inputs that were not measured (or on all, where there are only one or two)."""
    shipped: Difference | None
    """The same by the shipped calibration; None where that cannot be used here."""


def calibrate(
    model: Model, weights: Weights, inputs: Sequence[str], *, runtime: str = "auto", progress: Progress | None = None
) -> Calibrated:
    """Measure `model` on views of `inputs` (videos, pictures, folders) and keep the result for later runs.

    It takes a pass of the f32 network a view. Of ranges measured anew and the shipped ones those are kept that come
    nearer to f32 on views that were not measured; bias corrections are anew with either. Engines built on the way are
    kept too. Raises SourceError, ConfigError; RuntimeUnavailable where int8 is then too far from f32 on the parity
    pictures, ModelError where nothing can be kept: what was in use stays so.
    """
    if model.int8 is None:
        known = ", ".join(name for name, each in catalog().items() if each.int8)
        raise ModelError(f"{model.name}: has no int8 calibration to start from; only {known or 'no model'} has one")
    views = _views(model, inputs)
    checked = views[_EVERY // 2 :: _EVERY] or views
    measured = [view for number, view in enumerate(views) if number % _EVERY != _EVERY // 2]
    count = "1 view" if len(measured) == 1 else f"{len(measured)} views"
    on = f"{count} of {', '.join(Path(spec).name or spec for spec in inputs)}"
    engines = cache_dir() / "engines"
    try:
        engines.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="calibrating-", dir=engines) as place:
            trial = _Trial(model, weights, runtime, Path(place))
            base = read_calibration(model.int8.calibration)
            candidates = trial.measure(base, measured, on, progress)
            result = trial.keep_nearest(candidates, model.int8.calibration, checked)
    except OSError as error:
        raise ModelError(f"{cache_dir()}: the calibration cannot be kept: {error.strerror or error}") from error
    return result


def measure(model: Model, weights: Weights, base: Calibration, views: Sequence[Batch], on: str) -> Calibration:
    """`base` with bias corrections measured on `views`, batches of `model`. Raises OSError, RuntimeUnavailable."""
    with tempfile.TemporaryDirectory() as place:
        return _Trial(model, weights, "auto", Path(place)).measure(base, views, on)[1]


def evenly(items: Iterable[T], most: int, take: Callable[[T], U]) -> list[U]:
    """What `take` makes of `most` of `items`, or of half as many or more, spread evenly; no more is held on the way."""
    kept: list[U] = []
    step = 1
    for number, item in enumerate(items):
        if number % step == 0:
            kept.append(take(item))
            if len(kept) > most:
                kept, step = kept[::2], step * 2
    return kept


def _views(model: Model, inputs: Sequence[str]) -> list[Batch]:
    """Batches as runs make them, of frames spread over each input."""
    arithmetic: Arithmetic = registry.load(registry.ARITHMETICS, "fixed", "--compat")(model)
    found: list[Batch] = []
    for spec in inputs:
        with closing(open_source(spec, SourceOptions(duration_s=_LONGEST_S))) as source:
            if source.info.live:
                raise ConfigError("--calibrate", f"{spec} is live; record some of it to a file and give that")
            frames = (event for event in source.events() if isinstance(event, Frame))
            found += evenly(frames, max(1, _VIEWS // len(inputs)), lambda frame: arithmetic.batch(frame)[0])
    return found


@dataclass(frozen=True, slots=True)
class _Trial:
    """Calibrations on their way, in a folder of its own that goes with those that fail."""

    model: Model
    weights: Weights
    runtime: str
    place: Path

    def measure(
        self, base: Calibration, views: Sequence[Batch], on: str, progress: Progress | None = None
    ) -> tuple[Calibration, Calibration]:
        network = self.place / "instrumented.onnx"
        measurement = Measurement(self.weights.path, base)
        measurement.write_instrumented(network)
        output = replace(self.model.output, index=measurement.output)
        weights = Weights(network, sha256_of(network), self.weights.source)
        rows = []
        with closing(self._float(replace(self.model, output=output), weights)) as session:
            for view in views:
                rows.append(session.run(view).reshape(-1))
                if progress is not None:
                    progress(len(rows), len(views))
        return measurement.calibrations(np.stack(rows), on)

    def keep_nearest(self, candidates: Sequence[Calibration], shipped: Path, checked: Sequence[Batch]) -> Calibrated:
        """Raises RuntimeUnavailable where none may be used."""
        near: list[tuple[Difference, Path]] = []
        with closing(self._float(self.model, self.weights)) as reference:
            for number, candidate in enumerate(candidates):
                folder = self.place / str(number)
                folder.mkdir()
                write_calibration(folder / _FILE, candidate)
                try:
                    near.append((self._apart(reference, self._int8(folder / _FILE, folder), checked), folder))
                except RuntimeUnavailable as error:
                    refused = error
            on = candidates[0].calibrated_on
            if not near:
                words = f"int8 calibrated on {on} is not used, nothing is changed"
                raise RuntimeUnavailable(words, refused.reasons) from refused
            before = None
            with suppress(RuntimeUnavailable):
                before = self._apart(reference, self._int8(shipped, cache_dir()), checked)
        own, folder = min(near, key=lambda each: each[0].mean)
        self._keep(folder)
        return Calibrated(on, own, before)

    def _apart(self, reference: Session, candidate: Session, checked: Sequence[Batch]) -> Difference:
        return compare(reference, candidate, checked, self.model.output)

    def _keep(self, folder: Path) -> None:
        """Engines first: a calibration in its place is in use."""
        for built in (folder / "engines").iterdir():
            built.replace(cache_dir() / "engines" / built.name)
        own = own_calibration(self.model)
        own.parent.mkdir(parents=True, exist_ok=True)
        (folder / _FILE).replace(own)

    def _float(self, model: Model, weights: Weights) -> Session:
        passing = self.place / "passing"
        return load_session(model, weights, runtime=self.runtime, precision="f32", require=None, cache=passing).session

    def _int8(self, calibration: Path, cache: Path) -> Session:
        return load_session(
            self.model,
            self.weights,
            runtime=self.runtime,
            precision="int8",
            require=None,
            streams=streams_for(live=False),
            calibration=calibration,
            cache=cache,
        ).session
