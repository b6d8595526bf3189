"""Every error streammatte raises on purpose.

    StreammatteError
    ├── ContractError        a value at a boundary is not what the port promises
    ├── ConfigError          a setting (flag, TOML key, argument) is unknown or out of range
    ├── SourceError          an input cannot be opened, decoded or trusted to be complete
    ├── ModelError           a model is unknown, its weights are missing or fail their checksum
    ├── RuntimeUnavailable   no runtime can run the model here; says each one's reason
    ├── SinkError            an output cannot be opened or written
    └── StudentError         a student cannot be taught, or a scene not be kept

Every message is one line that says what happened, where, and what to do next. The command line prints that
line and exits with `exit_code`; the library raises.
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "ContractError",
    "ModelError",
    "RuntimeUnavailable",
    "SinkError",
    "SourceError",
    "StreammatteError",
    "StudentError",
    "first_line",
]


class StreammatteError(Exception):
    """Base of all errors below; `str(error)` is one line fit to show to a user."""

    exit_code = 1


class ContractError(StreammatteError):
    """A value passed between two parts breaks the port's contract (shape, dtype, range)."""

    def __init__(self, expected: str, actual: str) -> None:
        super().__init__(f"expected {expected}, got {actual}")
        self.expected = expected
        self.actual = actual


class ConfigError(StreammatteError):
    """A setting is unknown, of the wrong type or out of range; `key` names it as the user wrote it."""

    exit_code = 2

    def __init__(self, key: str, message: str) -> None:
        super().__init__(f"{key}: {message}")
        self.key = key


class SourceError(StreammatteError):
    """An input cannot be opened or decoded, or ends before it should."""

    exit_code = 3


class ModelError(StreammatteError):
    """A model is unknown, its weights cannot be had, or they fail their checksum."""

    exit_code = 4


class RuntimeUnavailable(StreammatteError):
    """No runtime can run the model here. `reasons` maps each runtime tried to why it was passed over."""

    exit_code = 5

    def __init__(self, message: str, reasons: dict[str, str]) -> None:
        detail = "; ".join(f"{name}: {why}" for name, why in reasons.items())
        super().__init__(f"{message} ({detail})" if detail else message)
        self.reasons = reasons


class SinkError(StreammatteError):
    """An output cannot be opened, written or completed."""

    exit_code = 6


class StudentError(StreammatteError):
    """A student cannot be taught here, or the scene it is for cannot be kept or found."""

    exit_code = 7


def first_line(error: BaseException) -> str:
    """What another library's error says, cut to one line; its type where it says nothing."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
