"""What each bundle holds, and that a setting by name is stronger."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from streammatte import registry
from streammatte.config import Settings
from streammatte.quality import QUALITIES, Quality, quality_of


def of(*, live: bool = False, **settings: Any) -> Quality:
    return quality_of(Settings(**settings), live=live)


@pytest.mark.parametrize("name", QUALITIES)
def test_a_bundle_is_as_it_stands(name: str) -> None:
    found, bundle = of(quality=name), QUALITIES[name]
    differ = {item.name for item in fields(Quality) if getattr(found, item.name) != getattr(bundle, item.name)}
    assert differ <= {"refine_steps"}, "which a guided refiner does not take"


def test_files_get_the_best_and_live_video_what_is_in_time() -> None:
    assert of() == of(quality="best")
    assert of(live=True) == of(live=True, quality="balanced")
    assert of() != of(quality="balanced") != of(quality="fast")


def test_the_names_promise_what_they_cost() -> None:
    fast, balanced, best = (QUALITIES[name] for name in ("fast", "balanced", "best"))
    assert fast.stride >= balanced.stride >= best.stride == 1
    assert fast.refine_steps <= balanced.refine_steps <= best.refine_steps
    assert (fast.tta, fast.lookahead) == (False, 0)


@pytest.mark.parametrize("name", QUALITIES)
def test_bundles_name_what_there_is(name: str) -> None:
    assert QUALITIES[name].stabilize in registry.STABILIZERS
    assert QUALITIES[name].refine in registry.REFINERS
    assert QUALITIES[name].half_life_s > 0


OVERRIDES = [
    ("stabilize", "none", "stabilize", "none"),
    ("half_life_s", 0.7, "half_life_s", 0.7),
    ("lookahead", 2, "lookahead", 2),
    ("lookahead", 0, "lookahead", 0),
    ("refine", "none", "refine", "none"),
    ("refine_steps", 33, "refine_steps", 33),
    ("stride", 7, "stride", 7),
    ("stride", 1, "stride", 1),
    ("tta", "on", "tta", True),
    ("tta", "off", "tta", False),
]


@pytest.mark.parametrize("name", QUALITIES)
@pytest.mark.parametrize(("setting", "value", "field", "wanted"), OVERRIDES)
def test_a_setting_overrides_its_field_alone(name: str, setting: str, value: Any, field: str, wanted: Any) -> None:
    plain, other = of(quality=name), of(quality=name, **{setting: value})
    assert getattr(other, field) == wanted
    same = [item.name for item in fields(Quality) if item.name != field]
    assert [getattr(other, each) for each in same] == [getattr(plain, each) for each in same]


@pytest.mark.parametrize("settings", [{}, {"quality": "best"}, {"lookahead": 5}])
def test_live_video_never_looks_ahead(settings: dict[str, Any]) -> None:
    assert of(live=True, **settings).lookahead == 0


def test_an_average_in_place_is_kept_short() -> None:
    """It ghosts."""
    assert of(stabilize="ema").half_life_s < 0.5 * of().half_life_s
    assert of(stabilize="ema", half_life_s=0.3).half_life_s == 0.3


def test_closed_form_can_be_asked_for_where_the_bundle_has_another() -> None:
    found = of(quality="fast", refine="closed-form")
    assert found.refine == "closed-form"
    assert found.refine_steps == QUALITIES["balanced"].refine_steps


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("quality", [None, *QUALITIES])
def test_compat_is_the_other_tools_arithmetic_and_nothing_more(live: bool, quality: str | None) -> None:
    found = of(compat="rembg", live=live, quality=quality)
    assert (found.stabilize, found.refine) == ("none", "rembg")
    assert (found.stride, found.lookahead, found.tta) == (1, 0, False)


def test_compat_and_more_where_that_is_asked_for() -> None:
    found = of(compat="rembg", stabilize="motion", refine="guided", tta="on", lookahead=2, stride=3)
    assert (found.stabilize, found.refine) == ("motion", "guided")
    assert (found.stride, found.lookahead, found.tta) == (3, 2, True)
    assert found.half_life_s > 0
