"""What an input's address says of it before anything is opened, and how much of it may be told."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

__all__ = ["awaits_publisher", "is_network", "is_url", "listens_rtmp", "shown"]

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_LIVE_SCHEMES = {"rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "srt", "rist", "tcp", "mms", "whep"}
_SECRET = re.compile(r"([?&](?:passphrase|streamid|pass\w*|pwd|token|key|sig\w*|auth\w*)=)[^&]*", re.IGNORECASE)
_HIDDEN = "…"


def is_network(spec: str) -> bool:
    """`spec` names a live stream by its very scheme."""
    scheme = _URL.match(spec)
    return scheme is not None and scheme[1].lower() in _LIVE_SCHEMES


def listens_rtmp(spec: str) -> bool:
    """`rtmp://HOST[:PORT]/APP?listen=1`: a publisher is to come to us."""
    return spec.startswith("rtmp://") and "listen=1" in urlsplit(spec).query.split("&")


def awaits_publisher(spec: str) -> bool:
    """Nothing is called: somebody, such as OBS, is to send to us, whenever that is."""
    return listens_rtmp(spec) or (spec.startswith("srt://") and "mode=listener" in urlsplit(spec).query.split("&"))


def shown(spec: str) -> str:
    """`spec` as it may stand in errors and reports: without passwords and the like."""
    if not is_url(spec):
        return spec
    scheme, _, rest = spec.partition("://")
    place, slash, path = rest.partition("/")
    user, at, host = place.rpartition("@")
    user = f"{user.partition(':')[0]}:{_HIDDEN}" if ":" in user else user
    return _SECRET.sub(rf"\1{_HIDDEN}", f"{scheme}://{user}{at}{host}{slash}{path}")


def is_url(spec: str) -> bool:
    """`spec` names a network stream (or anything else FFmpeg opens by scheme), not a path."""
    return _URL.match(spec) is not None and not spec.startswith("file://")
