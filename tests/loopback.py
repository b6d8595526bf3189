"""What tests of the network need of this machine."""

from __future__ import annotations

import socket
from ctypes.util import find_library

__all__ = ["HAS_SRT", "free_port"]

HAS_SRT = any(map(find_library, ("srt-gnutls", "srt-openssl", "srt")))


def free_port(kind: int = socket.SOCK_STREAM, host: str = "127.0.0.1") -> int:
    """A port of `host` that nobody has."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as trial:
        trial.bind((host, 0))
        return int(trial.getsockname()[1])
