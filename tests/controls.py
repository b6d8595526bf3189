"""A live run's controls without a live run, for the tests of what stands before them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from streammatte.errors import ConfigError

ALLOWED: dict[str, Callable[[str], bool]] = {
    "bg": lambda value: value != "nowhere.png",
    "model": lambda value: value == "selfie",
    "mirror": lambda value: value in ("on", "off"),
    "paused": lambda value: value in ("on", "off"),
    "half_life": lambda value: float(value) > 0,
    "quality": lambda value: value in ("fast", "balanced", "best"),
}


class Recorded:
    """Takes what a live run takes, and keeps what was asked for."""

    def __init__(self) -> None:
        self.held: dict[str, Any] = {
            "input": "camera",
            "bg": "beach.jpg",
            "mirror": "off",
            "paused": "off",
            "half_life": 0.16,
        }
        self.changes: list[tuple[str, str]] = []
        self.stopped = threading.Event()
        self.broken: Exception | None = None
        """What the next `change` raises in place of what it does."""

    def state(self) -> dict[str, object]:
        return dict(self.held)

    def change(self, name: str, value: str) -> dict[str, object]:
        if self.broken is not None:
            raise self.broken
        if name not in ALLOWED or not ALLOWED[name](value):
            raise ConfigError(name, f"cannot be {value!r}; try another")
        self.changes.append((name, value))
        self.held[name] = float(value) if name == "half_life" else value
        return {name: self.held[name], "after_frames": 1}

    def stop(self) -> None:
        self.stopped.set()
