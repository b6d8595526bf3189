"""From a model and its weights to a session that can be trusted: which runtime, in which precision, and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from streammatte import registry
from streammatte.catalog import Int8Spec, Model
from streammatte.errors import RuntimeUnavailable, first_line
from streammatte.int8 import Verdict, applied_calibration, quantized
from streammatte.parity import Difference, compare, parity_batches
from streammatte.ports import Precision, Runtime, Session
from streammatte.weights.cache import Weights, cache_dir, sha256_of

__all__ = ["Loaded", "load_session"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A session, and each choice that was passed over for it, in words."""

    session: Session
    fallbacks: tuple[str, ...]
    parity: Difference | None = None
    """How far an int8 session is from f32 on the parity pictures; None for other precisions."""


def load_session(
    model: Model,
    weights: Weights,
    *,
    runtime: str,
    precision: str,
    require: str | None,
    streams: int = 1,
    calibration: Path | None = None,
    cache: Path | None = None,
) -> Loaded:
    """The first runtime and precision that work, best first; `runtime` and `precision` are auto or a name.

    With `require` only that runtime is tried. int8 goes by `calibration`, else by the user's own, else by the shipped
    one. Engines are kept in `cache`, else in the user's. Raises RuntimeUnavailable with every reason, ConfigError.
    """
    _check_required(require)
    wanted = require or runtime
    how = _How(model, weights, streams, calibration, cache or cache_dir())
    reasons: dict[str, str] = {}
    for name in list(registry.RUNTIMES) if wanted == "auto" else [wanted]:
        candidate: Runtime = registry.load(registry.RUNTIMES, name, "--runtime")()
        why = candidate.unavailable()
        if why is not None:
            reasons[name] = why
            continue
        for chosen in _precisions(candidate, model, precision):
            try:
                loaded = how.load_int8(candidate) if chosen == "int8" else how.load_float(candidate, chosen)
            except RuntimeUnavailable as error:
                reasons[f"{name} {chosen}"] = error.reasons.get(name, str(error))
            except Exception as error:  # whatever a library raises is that library's reason
                reasons[f"{name} {chosen}"] = f"failed to load: {first_line(error)}"
            else:
                passed = (f"{who} passed over: {why}" for who, why in reasons.items())
                return Loaded(loaded.session, (*passed, *loaded.fallbacks), loaded.parity)
    raise RuntimeUnavailable(f"no runtime can run {model.name} in precision {precision}", reasons)


def _check_required(require: str | None) -> None:
    if require is None or require in registry.RUNTIMES:
        return
    known = ", ".join(registry.RUNTIMES)
    why = f"this version of streammatte has no such runtime, only {known}"
    raise RuntimeUnavailable(f"--require {require} cannot be met", {require: why})


def _precisions(candidate: Runtime, model: Model, asked: str) -> tuple[Precision, ...]:
    if asked == "auto":
        return tuple(each for each in candidate.precisions() if each != "int8" or model.int8 is not None)
    return (asked,)  # type: ignore[return-value]  # checked by config.Settings


def _check_near(apart: Difference, spec: Int8Spec, runtime: str) -> None:
    if not apart.within(spec.max_mean, spec.max_p99):
        raise RuntimeUnavailable("int8", {runtime: f"too far from f32: {apart}"})


@dataclass(frozen=True, slots=True)
class _How:
    """What is to be loaded, whichever runtime does it."""

    model: Model
    weights: Weights
    streams: int
    calibration: Path | None
    cache: Path

    def load_float(self, candidate: Runtime, precision: Precision) -> Loaded:
        session = self._load(candidate, self.weights.path, self.weights.sha256, precision)
        return Loaded(session, session.info.notes)

    def load_int8(self, candidate: Runtime) -> Loaded:
        """Raises RuntimeUnavailable for an engine that is too far from f32, without loading it where that is known."""
        spec, note = self.model.int8, None
        if spec is None:
            raise RuntimeUnavailable("int8", {candidate.name: f"{self.model.name} has no int8 calibration"})
        calibration = self.calibration
        if calibration is None:
            calibration, note = applied_calibration(self.model, spec, self.weights)
        network = quantized(calibration, self.weights, self.cache)
        sha256 = sha256_of(network)
        verdict = Verdict(sha256, self.weights, *candidate.identity(), self.cache)
        apart = verdict.known()
        if apart is not None:
            _check_near(apart, spec, candidate.name)
        session = self._load(candidate, network, sha256, "int8")
        if apart is None:
            apart = self._difference(candidate, session)
            verdict.remember(apart)
            _check_near(apart, spec, candidate.name)
        notes = session.info.notes if note is None else (note, *session.info.notes)
        return Loaded(session, notes, apart)

    def _load(self, candidate: Runtime, onnx: Path, sha256: str, precision: Precision) -> Session:
        index = self.model.output.index
        return candidate.load(onnx, sha256, output=index, precision=precision, cache=self.cache, streams=self.streams)

    def _difference(self, candidate: Runtime, session: Session) -> Difference:
        """How far `session` is from f32 on the parity pictures."""
        # Not kept in the cache: it is needed this once.
        index, weights = self.model.output.index, self.weights
        reference = candidate.load(weights.path, weights.sha256, output=index, precision="f32", cache=None)
        try:
            return compare(reference, session, parity_batches(self.model.input))
        finally:
            reference.close()
