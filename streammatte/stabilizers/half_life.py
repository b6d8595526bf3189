"""The one number that averages over time are told by."""

from __future__ import annotations

from streammatte.errors import ConfigError

__all__ = ["checked_half_life"]


def checked_half_life(half_life_s: float) -> float:
    """The half-life, seconds, if it is one; else ConfigError."""
    if not half_life_s > 0:
        raise ConfigError("half-life", f"must be more than 0 seconds, got {half_life_s:g}")
    return half_life_s
