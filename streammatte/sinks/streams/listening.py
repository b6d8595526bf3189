"""Where an output may take connections: on this machine, and wherever `--listen` says."""

from __future__ import annotations

from streammatte.errors import ConfigError
from streammatte.sinks.options import LOOPBACK

__all__ = ["check_listening"]

_HERE = (LOOPBACK, "localhost", "::1")
_EVERYWHERE = "0.0.0.0"


def check_listening(what: str, host: str, listen: str) -> None:
    """Raises ConfigError where `what` would listen at `host` ("": everywhere) and `listen` does not cover that."""
    if host in _HERE or listen in (_EVERYWHERE, host):
        return
    wanted = host or _EVERYWHERE
    raise ConfigError("--to", f"{what} would listen beyond this machine; allow it with --listen {wanted}")
