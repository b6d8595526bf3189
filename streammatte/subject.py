"""`--subject`: who or what of all that the network finds is wanted, as the user says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from streammatte.errors import ConfigError

__all__ = ["Subject"]

_Kind: TypeAlias = Literal["all", "largest", "point", "box"]
_NUMBERS: dict[str, int] = {"all": 0, "largest": 0, "point": 2, "box": 4}
_FORMS = "all, largest, point:X,Y or box:X,Y,WIDTH,HEIGHT"


@dataclass(frozen=True, slots=True)
class Subject:
    """One wish. A place is in the upright picture, from its top left corner."""

    kind: _Kind = "all"
    place: tuple[int | float, ...] = ()
    """x, y, or x, y, width, height: integers are pixels of the frame, floats parts of its width or height, 0 to 1."""

    @staticmethod
    def named(text: str) -> Subject:
        """The wish that `text` says. A number with a point is a part of the picture, one without counts pixels.

        Raises ConfigError.
        """
        kind, colon, numbers = text.partition(":")
        given = numbers.split(",") if colon else []
        if kind not in _NUMBERS or len(given) != _NUMBERS[kind]:
            raise ConfigError("--subject", f"{text!r} is none of {_FORMS}")
        place = tuple(_number(each.strip(), text) for each in given)
        if kind == "box" and not (place[2] and place[3]):
            raise ConfigError("--subject", f"{text!r} is a box that holds nothing; give it a width and a height")
        return Subject(kind, place)  # type: ignore[arg-type]

    def shares(self, width: int, height: int) -> tuple[float, ...]:
        """`place` in parts of an upright picture of so many pixels; a point's pixel counts by its middle.

        Raises ConfigError for what does not lie in it.
        """
        point = self.kind == "point"
        sides = (width, height, width, height)
        found = tuple(
            value if isinstance(value, float) else (value + 0.5 * point) / side
            for value, side in zip(self.place, sides, strict=False)
        )
        if any(share > 1 for share in found[:2]) or (self.kind == "box" and 1 in found[:2]):
            said = ",".join(map(str, self.place))
            raise ConfigError("--subject", f"{self.kind}:{said} lies outside the picture, which is {width}x{height}")
        return found


def _number(text: str, whole: str) -> int | float:
    if text.isdecimal() and text.isascii():
        return int(text)
    digits = text.replace(".", "", 1)
    if digits.isdecimal() and digits.isascii() and float(text) <= 1:
        return float(text)
    expected = "pixels (320) or parts of the picture from 0.0 to 1.0 (0.25)"
    raise ConfigError("--subject", f"{text!r} in {whole!r}: expected {expected}")
