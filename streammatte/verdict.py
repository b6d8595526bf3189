"""How far from f32 an engine was found to be: measured once, then remembered in the cache."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from streammatte.engine_cache import EngineCache
from streammatte.parity import Difference
from streammatte.ports import Precision
from streammatte.weights.cache import Weights

__all__ = ["Verdict"]


class Verdict:
    """On one network, in one precision, in one runtime, on one device."""

    def __init__(
        self, network_sha256: str, precision: Precision, weights: Weights, runtime: str, device: str, cache: Path
    ) -> None:
        key = {
            "parity_of": network_sha256,
            "precision": precision,
            "with": weights.sha256,
            "runtime": runtime,
            "device": device,
        }
        self._store = EngineCache(cache / "engines", key, ".parity")

    def known(self) -> Difference | None:
        """What was measured before."""
        return self._store.load(lambda path: Difference(**json.loads(path.read_text(encoding="utf-8"))))

    def remember(self, measured: Difference) -> None:
        """Keep it for later runs."""
        words = json.dumps(asdict(measured)) + "\n"
        self._store.store(lambda path: _write(path, words))


def _write(path: Path, words: str) -> None:
    path.write_text(words, encoding="utf-8")
