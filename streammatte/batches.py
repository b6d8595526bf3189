"""Files on a device: several frames shown to the network at once, which costs it little more than one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import TypeAlias

from streammatte.frame import Frame, Look, Matte, Packet, Shown

__all__ = ["with_batches"]

_SeeAll: TypeAlias = Callable[[list[Look]], list[Matte]]
_Matted: TypeAlias = Generator[tuple[Frame, Matte] | Packet, None, None]


def with_batches(events: Iterable[Shown | Packet], see_all: _SeeAll, size: int) -> _Matted:
    """Each frame with its matte, unseen where it is no keyframe, and packets between them where they were.

    Frames wait until `size` keyframes have come together, or the end.
    """
    waiting: list[Shown | Packet] = []
    keys = 0
    for event in events:
        waiting.append(event)
        keys += isinstance(event, Shown) and event.key
        if keys == size:
            yield from _matted(waiting, see_all)
            waiting, keys = [], 0
    yield from _matted(waiting, see_all)


def _matted(waiting: list[Shown | Packet], see_all: _SeeAll) -> _Matted:
    looks = [event.look for event in waiting if isinstance(event, Shown) and event.key]
    mattes = iter(see_all(looks) if looks else [])
    for event in waiting:
        if isinstance(event, Packet):
            yield event
        else:
            yield event.frame, next(mattes) if event.key else event.look.matte
