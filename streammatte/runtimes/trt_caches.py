"""What the libraries learn while they build and run, kept so that the next time is quicker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from streammatte.engine_cache import EngineCache
from streammatte.runtimes.trt_library import not_none
from streammatte.runtimes.trt_plans import write_down

__all__ = ["RuntimeCache", "TimingCache"]


class TimingCache:
    """Which of TensorRT's kernels is fastest on this GPU, as measured in earlier builds, of whichever network.

    It lies in `folder`, one for each `runtime` (library and version) and `device`.
    """

    def __init__(self, folder: Path, runtime: str, device: str) -> None:
        key = {"kept": "timing cache", "runtime": runtime, "device": device}
        self._store = EngineCache(folder, key, ".timing")
        self._lent: Any = None
        self._before = b""

    def lend(self, config: Any) -> None:
        """Give what is known to a build's `config`; an empty one where the file is not this library's."""
        if self._store.load(lambda path: self._lend(config, path.read_bytes())) is None:
            self._lend(config, b"")

    def _lend(self, config: Any, content: bytes) -> Any:
        cache = not_none(config.create_timing_cache(content))
        if not config.set_timing_cache(cache, False):
            raise ValueError("of another library or device")
        self._lent, self._before = cache, content  # the library does not hold it
        return cache

    def keep(self, config: Any) -> None:
        """Once the build is done: write down what it added."""
        self._before = _kept(self._store, config.get_timing_cache(), self._before)


class RuntimeCache:
    """The kernels that TensorRT-RTX has compiled for this GPU out of one plan, whose key is `plan_key`.

    The library itself refuses what another driver or GPU compiled, and compiles anew.
    """

    def __init__(self, folder: Path, plan_key: dict[str, str]) -> None:
        self._store = EngineCache(folder, plan_key | {"kept": "runtime cache"}, ".runtime")
        self._lent: Any = None
        self._before = b""

    def lend(self, runtime_config: Any) -> None:
        """Give what is known to a plan's IRuntimeConfig."""
        self._lent = runtime_config.create_runtime_cache()
        self._store.load(lambda path: self._read(path.read_bytes()))
        runtime_config.set_runtime_cache(self._lent)

    def _read(self, content: bytes) -> None:
        if self._lent.deserialize(content):
            self._before = content

    def keep(self) -> None:
        """Write down what was added since."""
        self._before = _kept(self._store, self._lent, self._before)


def _kept(store: EngineCache, cache: Any, before: bytes) -> bytes:
    content = bytes(cache.serialize())
    if content != before:
        write_down(store, content)
    return content
