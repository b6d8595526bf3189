"""An engine is trusted by what it says of known pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from streammatte.catalog import InputSpec, Int8Spec, OutputSpec
from streammatte.parity import Difference, Limits, compare, limits_of, parity_batches
from streammatte.ports import SessionInfo

PLAIN, LOGITS = OutputSpec(0, "none"), OutputSpec(0, "sigmoid")
Floats = npt.NDArray[np.float32]


@dataclass
class Shifted:
    """A session that gives its batch's first channel, moved by `by`, and by `far` in one pixel of a hundred."""

    by: float = 0.0
    far: float = 0.0
    info: SessionInfo = field(default_factory=lambda: SessionInfo("none", "none", "f32"))

    def run(self, batch: Floats) -> Floats:
        out = batch[:, :1] + np.float32(self.by)
        out.reshape(-1)[::100] += np.float32(self.far)
        return out

    def close(self) -> None:
        pass


def batches() -> list[Floats]:
    return [np.full((1, 3, 20, 10), value, np.float32) for value in (0.0, 1.0)]


def test_what_is_measured() -> None:
    same = compare(Shifted(), Shifted(), batches(), PLAIN)
    assert same == Difference(0, 0, 0)
    apart = compare(Shifted(), Shifted(by=0.1, far=0.4), batches(), PLAIN)
    assert apart.mean == pytest.approx(0.104, abs=1e-5)
    assert apart.max == pytest.approx(0.5, abs=1e-5)
    assert 0.1 - 1e-6 <= apart.p99 <= 0.5


@pytest.mark.parametrize(
    ("mean", "p99", "trusted"), [(0.01, 0.1, True), (0.011, 0.1, False), (0.01, 0.11, False), (math.nan, 0.1, False)]
)
def test_limits(mean: float, p99: float, trusted: bool) -> None:
    assert Difference(mean, p99, 1.0).within(Limits(0.01, 0.1)) is trusted


def test_logits_are_compared_as_alpha() -> None:
    apart = compare(Shifted(), Shifted(by=0.4), batches(), LOGITS)
    assert apart.max == pytest.approx(1 / (1 + math.exp(-0.4)) - 0.5, abs=1e-6)


def test_what_precisions_are_held_to() -> None:
    limits = [limits_of(precision, None) for precision in ("f32", "fp16", "bf16")]
    assert limits == sorted(limits, key=lambda each: (each.mean, each.p99, each.max))
    assert not Difference(0.0, 0.0, 0.3).within(limits[0]), "one wrong pixel is a wrong network"
    assert limits_of("int8", Int8Spec(Path("c.json"), 0.01, 0.1)) == Limits(0.01, 0.1)


def test_nan_is_never_within() -> None:
    broken = compare(Shifted(), Shifted(by=math.nan), batches(), PLAIN)
    assert not broken.within(Limits(1.0, 1.0))


def test_pictures_ship_and_are_normalised() -> None:
    found = parity_batches(InputSpec(32, 18, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)))
    assert len(found) >= 3
    for batch in found:
        assert (batch.shape, batch.dtype) == ((1, 3, 18, 32), np.float32)
        assert 0 <= batch.min() < 0.3 < 0.7 < batch.max() <= 1
    half = parity_batches(InputSpec(32, 18, (0.5, 0.0, 0.0), (0.5, 1.0, 1.0)))
    assert half[0][0, 0] == pytest.approx((found[0][0, 0] - 0.5) / 0.5, abs=1e-6)
    assert np.array_equal(half[0][0, 1], found[0][0, 1])


@pytest.mark.parametrize("width", [32, 33, 1])
def test_a_trimap_stands_beside_them_where_one_is_taken(width: int) -> None:
    spec = InputSpec(width, 18, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    for batch, plain in zip(parity_batches(spec, trimap=True), parity_batches(spec), strict=True):
        assert (batch.shape, batch.dtype) == ((1, 4, 18, width), np.float32)
        assert np.array_equal(batch[:, :3], plain)
        across = batch[0, 3, 0]
        assert (batch[0, 3] == across).all()
        if width > 1:
            assert set(across) == {0, 0.5, 1}
            assert (across == 0.5).sum() == pytest.approx(width / 2, abs=2)
