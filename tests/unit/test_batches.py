"""Frames come out of a batch as they went in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scenes import make_frame

from streammatte.batches import with_batches
from streammatte.frame import Look, Matte, Packet, Shown

FRAME = make_frame("gray", (4, 4))
NOTHING = np.zeros((2, 2), np.float32)


def shown(seq: int, key: bool) -> Shown:
    matte = Matte(NOTHING, np.zeros((2, 2, 3), np.float32), seq, 0.0, seen=False)
    return Shown(replace(FRAME, seq=seq), Look(matte, np.zeros((1, 3, 2, 2), np.float32)), key)


@given(st.lists(st.sampled_from(["key", "between", "packet"]), max_size=30), st.integers(1, 7))
def test_all_come_out_in_order_and_keys_are_seen(kinds: list[str], size: int) -> None:
    asked: list[int] = []
    taken = 0

    def see_all(looks: list[Look]) -> list[Matte]:
        asked.append(len(looks))
        return [replace(look.matte, seen=True) for look in looks]

    def events() -> Iterator[Any]:
        nonlocal taken
        for seq, kind in enumerate(kinds):
            taken = seq + 1
            yield Packet(1, seq) if kind == "packet" else shown(seq, kind == "key")

    out = []
    for event in with_batches(events(), see_all, size):
        seq = event.payload if isinstance(event, Packet) else event[0].seq
        out.append("packet" if isinstance(event, Packet) else "key" if event[1].seen else "between")
        assert seq == len(out) - 1
        if not isinstance(event, Packet):
            assert event[1].seq == seq
        assert sum(kind == "key" for kind in kinds[len(out) : taken]) <= size, "no more than a batch waits"
    assert out == kinds
    keys = kinds.count("key")
    assert asked == [size] * (keys // size) + ([keys % size] if keys % size else [])
