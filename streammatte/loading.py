"""From a model and its weights to a session that can be trusted: which runtime, in which precision, and why."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from streammatte import registry
from streammatte.catalog import Int8Spec, Model
from streammatte.engine_cache import EngineCache
from streammatte.errors import RuntimeUnavailable, first_line
from streammatte.parity import Difference, compare, parity_batches
from streammatte.ports import Precision, Runtime, Session
from streammatte.quantization.calibration import read_calibration
from streammatte.quantization.qdq import BUILDER, quantize
from streammatte.weights.cache import Weights, cache_dir, sha256_of

__all__ = ["Loaded", "load_session"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A session, and each choice that was passed over for it, in words."""

    session: Session
    fallbacks: tuple[str, ...]


def load_session(
    model: Model, weights: Weights, *, runtime: str, precision: str, require: str | None, streams: int = 1
) -> Loaded:
    """The first runtime and precision that work, best first; `runtime` and `precision` are auto or a name.

    With `require` only that runtime is tried. Raises RuntimeUnavailable with every reason, ConfigError.
    """
    _check_required(require)
    wanted = require or runtime
    reasons: dict[str, str] = {}
    for name in list(registry.RUNTIMES) if wanted == "auto" else [wanted]:
        candidate: Runtime = registry.load(registry.RUNTIMES, name, "--runtime")()
        why = candidate.unavailable()
        if why is not None:
            reasons[name] = why
            continue
        for chosen in _precisions(candidate, model, precision):
            try:
                session = _load(candidate, model, weights, chosen, streams)
            except RuntimeUnavailable as error:
                reasons[f"{name} {chosen}"] = error.reasons.get(name, str(error))
            except Exception as error:  # whatever a library raises is that library's reason
                reasons[f"{name} {chosen}"] = f"failed to load: {first_line(error)}"
            else:
                passed = (f"{who} passed over: {why}" for who, why in reasons.items())
                return Loaded(session, (*passed, *session.info.notes))
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


def _load(candidate: Runtime, model: Model, weights: Weights, precision: Precision, streams: int) -> Session:
    index = model.output.index
    if precision != "int8":
        return candidate.load(
            weights.path, weights.sha256, output=index, precision=precision, cache=cache_dir(), streams=streams
        )
    if model.int8 is None:
        raise RuntimeUnavailable("int8", {candidate.name: f"{model.name} has no int8 calibration"})
    path = _quantized(model.int8, weights)
    sha256 = sha256_of(path)
    session = candidate.load(path, sha256, output=index, precision=precision, cache=cache_dir(), streams=streams)
    apart = _difference(candidate, model, weights, session, sha256)
    if not apart.within(model.int8.max_mean, model.int8.max_p99):
        why = f"too far from f32: mean {apart.mean:.4f}, p99 {apart.p99:.3f}, max {apart.max:.3f} of alpha"
        raise RuntimeUnavailable("int8", {candidate.name: why})
    return session


def _quantized(spec: Int8Spec, weights: Weights) -> Path:
    """The Q/DQ network of `weights` in the engine cache, built where it is not there."""
    key = {"of": weights.sha256, "calibration_sha256": sha256_of(spec.calibration), "builder": BUILDER}
    store = EngineCache(cache_dir() / "engines", key, ".onnx")
    found = store.load(lambda path: path)
    if found is None:
        store.store(lambda path: _build(spec, weights, path))
        found = store.load(lambda path: path)
    if found is None:
        raise OSError(store.note)
    return found


def _build(spec: Int8Spec, weights: Weights, path: Path) -> None:
    import onnx

    calibration = read_calibration(spec.calibration)
    if calibration.onnx_sha256 != weights.sha256:
        raise ValueError(f"{spec.calibration.name} was measured on other weights")
    onnx.save(quantize(onnx.load(weights.path), calibration), path)


def _difference(candidate: Runtime, model: Model, weights: Weights, session: Session, sha256: str) -> Difference:
    """How far the int8 session is from f32 on the parity pictures; measured once per engine, then remembered."""
    info = session.info
    key = {"parity_of": sha256, "with": weights.sha256, "runtime": info.runtime, "device": info.device}
    store = EngineCache(cache_dir() / "engines", key, ".parity")
    known = store.load(lambda path: Difference(**json.loads(path.read_text(encoding="utf-8"))))
    if known is not None:
        return known
    # Not kept in the engine cache: it is needed this once.
    index = model.output.index
    reference = candidate.load(weights.path, weights.sha256, output=index, precision="f32", cache=None)
    measured = compare(reference, session, parity_batches(model.input))
    reference.close()
    store.store(lambda path: _write(path, measured))
    return measured


def _write(path: Path, measured: Difference) -> None:
    path.write_text(json.dumps(asdict(measured)) + "\n", encoding="utf-8")
