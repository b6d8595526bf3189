"""`--quality fast|balanced|best`: named bundles of what is done to a matte, measured in docs/benchmarks."""

from __future__ import annotations

from dataclasses import dataclass

from streammatte.config import Settings
from streammatte.errors import ConfigError
from streammatte.scenes import PREFIX

__all__ = ["QUALITIES", "TRIMAP_REFINERS", "Quality", "quality_of"]

TRIMAP_REFINERS = ("pymatting", "vitmatte")
"""They take a trimap, and seconds a frame; no quality names them."""


@dataclass(frozen=True, slots=True)
class Quality:
    """One bundle; a setting of the same name overrides its field."""

    stabilize: str
    half_life_s: float
    refine: str
    refine_steps: int
    """Of conjugate gradients, for closed-form."""
    stride: int
    stride_tolerance: float
    lookahead: int
    tta: bool
    """Test-time augmentation: the network sees each picture mirrored too."""


QUALITIES = {
    "fast": Quality("motion", 0.16, "guided", 0, 8, 0.3, 0, False),
    "balanced": Quality("motion", 0.16, "closed-form", 6, 3, 0.1, 0, False),
    "best": Quality("motion", 0.25, "closed-form", 10, 1, 0.0, 3, True),
}

_EMA_HALF_LIFE_S = 0.04
"""An average in place ghosts: a frame or two is all it bears."""
_PLAIN = Quality("none", 0.16, "none", 0, 1, 0.0, 0, False)


def quality_of(settings: Settings, *, live: bool) -> Quality:
    """The bundle that `settings` name, with what they override in it.

    Without a name: best for files, balanced for live video, which cannot look ahead. `compat` means nothing but the
    other tool's own arithmetic, unless a setting asks for more. Raises ConfigError for settings that do not go
    together.
    """
    _check_refine(settings, live)
    if live and settings.fgr == "model":
        raise ConfigError("--fgr", "model is for files: live, the network does not see every frame; leave it out")
    name = settings.quality or ("balanced" if live else "best")
    bundle = _PLAIN if settings.compat else QUALITIES[name]
    stabilize = settings.stabilize or bundle.stabilize
    return Quality(
        stabilize=stabilize,
        half_life_s=settings.half_life_s or (_EMA_HALF_LIFE_S if stabilize == "ema" else bundle.half_life_s),
        refine=settings.refine or settings.compat or bundle.refine,
        refine_steps=settings.refine_steps or bundle.refine_steps or QUALITIES["balanced"].refine_steps,
        # A student costs less than finding out which frames it might miss.
        stride=settings.stride or (1 if settings.model.startswith(PREFIX) else bundle.stride),
        stride_tolerance=bundle.stride_tolerance,
        lookahead=0 if live else bundle.lookahead if settings.lookahead is None else settings.lookahead,
        tta=bundle.tta if settings.tta is None else settings.tta == "on",
    )


def _check_refine(settings: Settings, live: bool) -> None:
    refine = settings.refine
    if live and refine in TRIMAP_REFINERS:
        raise ConfigError("--refine", f"{refine} takes too long a frame for live video; closed-form is made for it")
    if settings.trimap is not None and refine not in TRIMAP_REFINERS:
        raise ConfigError("--trimap", f"goes with --refine {' or '.join(TRIMAP_REFINERS)}, and with no other")
    if settings.refine_model is not None and refine != "vitmatte":
        raise ConfigError("--refine-model", "goes with --refine vitmatte, and with no other")
