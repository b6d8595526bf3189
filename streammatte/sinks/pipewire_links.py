"""Whether anybody is linked to a node that a process of ours publishes, as `pw-dump` tells it."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from typing import Any

__all__ = ["LinkWatch", "linked_to"]

_FRESH_S = 2.0
_PATIENCE_S = 1.0
_now_s = time.monotonic


class LinkWatch:
    """Asks `pw-dump` at most every two seconds, from whichever thread comes first."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._linked = True
        self._until_s = 0.0
        self._asking = threading.Lock()

    def linked(self) -> bool:
        """Whether a node of the process has a link; True where that cannot be told."""
        if _now_s() >= self._until_s and self._asking.acquire(blocking=False):
            try:
                said = linked_to(_dump(), self._pid)
                self._linked = True if said is None else said
                self._until_s = _now_s() + _FRESH_S
            finally:
                self._asking.release()
        return self._linked


def linked_to(dump: list[dict[str, Any]], pid: int) -> bool | None:
    """Whether `dump` (the objects pw-dump lists) has a link from a node of process `pid`; None if it has no node."""
    clients = {each["id"] for each in _of_type(dump, "Client") if pid in _pids(_properties(each))}
    nodes = {each["id"] for each in _of_type(dump, "Node") if _properties(each).get("client.id") in clients}
    if not nodes:
        return None
    return any((each.get("info") or {}).get("output-node-id") in nodes for each in _of_type(dump, "Link"))


def _pids(properties: dict[str, Any]) -> set[Any]:
    return {properties.get("pipewire.sec.pid"), properties.get("application.process.id")}


def _of_type(dump: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in dump if each.get("type") == f"PipeWire:Interface:{kind}"]


def _properties(item: dict[str, Any]) -> dict[str, Any]:
    return (item.get("info") or {}).get("props") or {}


def _dump() -> list[dict[str, Any]]:
    """What pw-dump lists; nothing where it is missing, fails or takes too long."""
    program = shutil.which("pw-dump")
    if program is None:
        return []
    try:
        done = subprocess.run([program], capture_output=True, timeout=_PATIENCE_S, check=True)
        listed: list[dict[str, Any]] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
    return listed
