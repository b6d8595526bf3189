"""What each bundle holds, and that a setting by name is stronger."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from streammatte import registry
from streammatte.config import Settings
from streammatte.errors import ConfigError
from streammatte.quality import QUALITIES, TRIMAP_REFINERS, Quality, quality_of


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


@pytest.mark.parametrize("refine", TRIMAP_REFINERS)
def test_what_takes_seconds_a_frame_is_for_files(refine: str) -> None:
    assert of(refine=refine, trimap="t.png").refine == refine
    assert refine not in {bundle.refine for bundle in QUALITIES.values()}
    with pytest.raises(ConfigError, match=f"--refine: {refine} takes too long a frame for live video; closed-form"):
        of(refine=refine, live=True)


@pytest.mark.parametrize("refine", [None, "none", "guided", "closed-form"])
@pytest.mark.parametrize("live", [False, True])
def test_a_trimap_goes_to_those_that_take_one(refine: str | None, live: bool) -> None:
    with pytest.raises(ConfigError, match="--trimap: goes with --refine pymatting or vitmatte, and with no other"):
        of(refine=refine, trimap="t.png", live=live)


def test_a_model_goes_to_the_one_that_has_a_network() -> None:
    assert of(refine="vitmatte", refine_model="vitmatte-base-composition-1k").refine == "vitmatte"
    for refine in (None, "pymatting"):
        with pytest.raises(ConfigError, match="--refine-model: goes with --refine vitmatte, and with no other"):
            of(refine=refine, refine_model="vitmatte")


def test_a_student_sees_every_frame_unless_it_is_told_otherwise() -> None:
    for live in (True, False):
        assert quality_of(Settings(model="scene:den", quality="fast"), live=live).stride == 1
        assert quality_of(Settings(model="scene:den", quality="fast", stride=4), live=live).stride == 4
        assert quality_of(Settings(model="u2net", quality="fast"), live=live).stride == 8
