"""Whether a student says what its teacher does."""

from __future__ import annotations

import numpy as np
import pytest

from streammatte.agreement import LIMIT, Examined, apart, trusted_spans


def flat(value: float, size: tuple[int, int] = (8, 8)) -> np.ndarray:
    return np.full(size, value, np.float32)


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [(0.0, 0.0, 0.0), (1.0, 0.0, 1.0), (0.75, 1.0, 0.25), (0.0, 0.5, 0.0), (1.0, 0.75, 0.125)],
)
def test_it_counts_by_the_teachers_certainty(student: float, teacher: float, expected: float) -> None:
    assert apart(flat(student), flat(teacher)) == pytest.approx(expected)
    assert apart(flat(student, (4, 4)), flat(teacher)) == pytest.approx(expected), "at the teacher's size"


def said(holds: str, held_out: str) -> list[Examined]:
    return [
        Examined(float(second), 0.5 * LIMIT if good == "+" else 2 * LIMIT, out == "x")
        for second, (good, out) in enumerate(zip(holds, held_out, strict=True))
    ]


@pytest.mark.parametrize(
    ("holds", "held_out", "spans"),
    [
        ("+++++", "-x-x-", ((0.0, 9.0),)),
        ("-----", "-x-x-", ()),
        ("++-++", "-x-x-", ((0.0, 1.0), (3.0, 9.0))),
        # one held out speaks for all up to the next of them
        ("+-+++", "-x-x-", ((3.0, 9.0),)),
        ("+++-+", "-x-x-", ((0.0, 1.0),)),
        ("+++++", "-----", ((0.0, 9.0),)),
        ("", "", ()),
    ],
)
def test_where_it_may_stand_in(holds: str, held_out: str, spans: tuple[tuple[float, float], ...]) -> None:
    assert trusted_spans(said(holds, held_out), 9.0) == spans
