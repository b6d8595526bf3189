"""TensorRT and TensorRT-RTX: one interface under two names, loaded when asked for, and what they say when they fail."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar

from streammatte.errors import RuntimeUnavailable, StreammatteError, first_line

__all__ = ["Library", "not_none", "opened"]

T = TypeVar("T")


class Library:
    """One of the two libraries.

    `module` is its Python module, `logger` the only one it takes in a process; `name` is the module's and the
    runtime's.
    """

    def __init__(self, name: str, module: Any) -> None:
        self.name = name
        self.module = module
        self.rtx = name == "tensorrt_rtx"
        self._listeners: list[list[str]] = []
        self.logger = _logger(module, self._listeners)
        if not self.rtx:
            # Networks that others exported may hold DeformConv, which is a plugin there.
            module.init_libnvinfer_plugins(self.logger, "")

    @property
    def version(self) -> str:
        """Name and version, for reports and cache keys."""
        return f"{self.name} {self.module.__version__}"

    @contextmanager
    def telling(self, what: str) -> Iterator[None]:
        """Turns what fails within into RuntimeUnavailable, in the library's own words: the first error it logged."""
        heard: list[str] = []
        self._listeners.append(heard)
        try:
            yield
        except StreammatteError:
            raise
        except Exception as error:
            raise self.refusal(f"{what}: {heard[0] if heard else first_line(error)}") from error
        finally:
            # By identity: what another load has heard may be equal.
            self._listeners[:] = [each for each in self._listeners if each is not heard]

    def refusal(self, why: str) -> RuntimeUnavailable:
        """The error that says `why` this runtime cannot be used."""
        return RuntimeUnavailable("the network cannot be run", {self.name: why})


@functools.cache
def opened(name: str) -> Library:
    """The library, once in a process. Raises whatever its import does."""
    return Library(name, import_module(name))


def not_none(result: T | None) -> T:
    """What a call gave; these libraries log an error, and return None, where others raise."""
    if result is None:
        raise RuntimeError("it gives no reason")
    return result


def _logger(trt: Any, listeners: list[list[str]]) -> Any:
    errors = {trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR}

    class Logger(trt.ILogger):
        """Prints nothing. Called from whichever thread works for the library."""

        def __init__(self) -> None:
            super().__init__()

        def log(self, severity: Any, text: str) -> None:
            """Give an error's first line to whoever listens."""
            if severity in errors:
                for heard in tuple(listeners):
                    heard.append(text.strip().partition("\n")[0])

    return Logger()
