"""From a model and its weights to a session that can be trusted: which runtime, in which precision, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from streammatte import registry
from streammatte.catalog import Model
from streammatte.errors import RuntimeUnavailable, StreammatteError, first_line
from streammatte.halving import halved
from streammatte.int8 import applied_calibration, quantized
from streammatte.parity import Difference, Limits, compare, limits_of, parity_batches
from streammatte.ports import BuildProgress, Precision, RecurrentRuntime, RecurrentSession, Runtime, Session
from streammatte.verdict import Verdict
from streammatte.weights.cache import Weights, cache_dir, sha256_of
from streammatte.weights.own import remember_own

__all__ = ["REFERENCE", "Loaded", "load_session"]

REFERENCE = "openvino"
"""Whose f32 is the reference for engines of other runtimes: it is installed everywhere."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A session, and each choice that was passed over for it, in words."""

    session: Session
    fallbacks: tuple[str, ...]
    """What was tried and did not do, and whatever else was done otherwise than asked."""
    passed_over: tuple[str, ...] = ()
    """Runtimes that cannot be used here, or not as fast as this one."""
    parity: Difference | None = None
    """How far the session is from f32 on the parity pictures; None where it is not compared."""


def load_session(
    model: Model,
    weights: Weights,
    *,
    runtime: str,
    precision: str,
    require: str | None,
    streams: int = 1,
    batch: int = 1,
    calibration: Path | None = None,
    cache: Path | None = None,
    building: BuildProgress | None = None,
    anew: bool = False,
) -> Loaded:
    """The first runtime and precision that work, best first; `runtime` and `precision` are auto or a name.

    With `require` only that runtime is tried. `batch` is how many pictures a device is to take at once; it can be had
    where the network is rewritten for the device (fp16), and where any number can be had. A recurrent model gets a
    `RecurrentSession`, for one picture at a time, with no state yet. int8 goes by `calibration`,
    else by the user's own, else by the shipped one. Engines are kept in `cache`, else in the user's; `building` is told
    of those that take long to build. With `anew` an engine is compared with f32 though that was done before. Raises
    RuntimeUnavailable with every reason, ConfigError, and what `building` raises.
    """
    _check_required(require)
    if (model.file is not None or model.own) and model.cache is None:
        remember_own(model, weights)
    wanted = require or runtime
    how = _How(model, weights, streams, batch, calibration, cache or cache_dir(), _Told(building), anew)
    passed: dict[str, str] = {}
    failed: dict[str, str] = {}
    for name in list(registry.RUNTIMES) if wanted == "auto" else [wanted]:
        candidate: Runtime = registry.load(registry.RUNTIMES, name, "--runtime")()
        why = candidate.unavailable() or (candidate.declined() if wanted == "auto" else None)
        if why is None and model.state is not None and not isinstance(candidate, RecurrentRuntime):
            why = "runs no recurrent networks"
        if why is not None:
            passed[name] = why
            continue
        for chosen in _precisions(candidate, model, precision):
            try:
                loaded = how.load(candidate, chosen)
            except RuntimeUnavailable as error:
                failed[f"{name} {chosen}"] = error.reasons.get(name, str(error))
            except Exception as error:  # whatever a library raises is that library's reason
                if how.building.raised is error:  # the user's wish to end, or a fault of ours
                    raise
                failed[f"{name} {chosen}"] = f"failed to load: {first_line(error)}"
            else:
                fallbacks = (f"{who} passed over: {why}" for who, why in failed.items())
                return replace(loaded, fallbacks=(*fallbacks, *loaded.fallbacks), passed_over=_grouped(passed))
    raise RuntimeUnavailable(f"no runtime can run {model.name} in precision {precision}", passed | failed)


class _Told:
    """Passes progress on, and knows what the listener raised from what a library did."""

    def __init__(self, building: BuildProgress | None) -> None:
        self._building = building
        self.raised: BaseException | None = None

    def __call__(self, phase: str, done: int, total: int) -> None:
        if self._building is None:
            return
        try:
            self._building(phase, done, total)
        except BaseException as error:
            self.raised = error
            raise


def _grouped(reasons: dict[str, str]) -> tuple[str, ...]:
    """One line a reason, since most runtimes lack the same thing."""
    names: dict[str, list[str]] = {}
    for name, why in reasons.items():
        names.setdefault(why, []).append(name)
    return tuple(f"{', '.join(those)} passed over: {why}" for why, those in names.items())


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


@dataclass(frozen=True, slots=True)
class _Network:
    """The file that a precision is run from."""

    path: Path
    sha256: str
    note: str | None = None


@dataclass(frozen=True, slots=True)
class _How:
    """What is to be loaded, whichever runtime does it."""

    model: Model
    weights: Weights
    streams: int
    batch: int
    calibration: Path | None
    cache: Path
    building: _Told
    anew: bool

    def load(self, candidate: Runtime, precision: Precision) -> Loaded:
        """Raises RuntimeUnavailable for an engine that is too far from f32, without loading it where that is known."""
        network = self._network(candidate, precision)
        if candidate.trusted and precision != "int8":
            session = self._load(candidate, network, precision)
            return Loaded(session, session.info.notes)
        limits = limits_of(precision, self.model.int8)
        verdict = Verdict(network.sha256, precision, self.weights, *candidate.identity(), self.cache)
        apart = None if self.anew else verdict.known()
        if apart is not None:
            _check_near(apart, limits, precision, candidate.name)
        session = self._load(candidate, network, precision)
        if apart is None:
            apart = self._measured(candidate, session)
            verdict.remember(apart)
            if not apart.within(limits):
                session.close()
            _check_near(apart, limits, precision, candidate.name)
        notes = session.info.notes if network.note is None else (network.note, *session.info.notes)
        return Loaded(session, notes, parity=apart)

    def _network(self, candidate: Runtime, precision: Precision) -> _Network:
        if precision == "int8":
            return self._int8_network(candidate)
        if precision == "fp16" and candidate.strongly_typed:
            try:
                path = halved(self.weights, self.cache, self.building, self.batch)
            except StreammatteError as error:
                raise RuntimeUnavailable("fp16", {candidate.name: str(error)}) from error
            return _Network(path, sha256_of(path))
        return _Network(self.weights.path, self.weights.sha256)

    def _int8_network(self, candidate: Runtime) -> _Network:
        spec, note = self.model.int8, None
        if spec is None:
            raise RuntimeUnavailable("int8", {candidate.name: f"{self.model.name} has no int8 calibration"})
        calibration = self.calibration
        if calibration is None:
            calibration, note = applied_calibration(self.model, spec, self.weights)
        path = quantized(calibration, self.weights, self.cache)
        return _Network(path, sha256_of(path), note)

    def _load(self, candidate: Runtime, network: _Network, precision: Precision) -> Session:
        if self.model.state is not None:
            return self._recurrent(candidate, network, precision, self.cache)
        return candidate.load(
            network.path,
            network.sha256,
            output=self.model.output.index,
            precision=precision,
            cache=self.cache,
            streams=self.streams,
            building=self.building,
        )

    def _recurrent(
        self, candidate: Runtime, network: _Network, precision: Precision, cache: Path | None
    ) -> RecurrentSession:
        index, state = self.model.output.index, self.model.state
        assert state is not None
        assert isinstance(candidate, RecurrentRuntime), "others were passed over"
        return candidate.load_recurrent(
            network.path, network.sha256, output=index, state=state, precision=precision, cache=cache
        )

    def _reference(self, candidate: Runtime) -> Session:
        """f32, not kept in the cache: it is needed this once."""
        plain = candidate if candidate.trusted else registry.load(registry.RUNTIMES, REFERENCE, "--runtime")()
        weights = self.weights
        if self.model.state is not None:
            return self._recurrent(plain, _Network(weights.path, weights.sha256), "f32", None)
        index = self.model.output.index
        session: Session = plain.load(weights.path, weights.sha256, output=index, precision="f32", cache=None)
        return session

    def _measured(self, candidate: Runtime, session: Session) -> Difference:
        """How far `session` is from f32 on the parity pictures; it is closed where that cannot be told."""
        try:
            reference = self._reference(candidate)
            try:
                batches = parity_batches(self.model.input, trimap=self.model.task == "trimap")
                return compare(reference, session, batches, self.model.output)
            finally:
                reference.close()
                if isinstance(session, RecurrentSession):
                    session.reset()
        except BaseException:
            session.close()
            raise


def _check_near(apart: Difference, limits: Limits, precision: Precision, runtime: str) -> None:
    if not apart.within(limits):
        raise RuntimeUnavailable(precision, {runtime: f"too far from f32: {apart}"})
