"""`--subject`: who or what of all that the network finds is wanted, as the user says it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal, TypeAlias

from streammatte.errors import ConfigError

__all__ = ["Subject"]

_Kind: TypeAlias = Literal["all", "largest", "face", "point", "box", "text"]
_NUMBERS: dict[str, int] = {"all": 0, "largest": 0, "face": 0, "point": 2, "box": 4}
_FORMS = "all, largest, face, point:X,Y, box:X,Y,WIDTH,HEIGHT, or words such as 'the leftmost dog'"
_SLIP, _SLIP_LETTERS = 0.8, 5
"""One word so like a wish, and no shorter, is a slip of the keyboard."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One wish. A place is in the upright picture, from its top left corner."""

    kind: _Kind = "all"
    place: tuple[int | float, ...] = ()
    """x, y, or x, y, width, height: integers are pixels of the frame, floats parts of its width or height, 0 to 1."""
    words: str = ""
    """text: what is wanted, in words."""

    def __str__(self) -> str:
        """As the user says it."""
        if self.kind == "text":
            return repr(self.words)
        return ":".join([self.kind, ",".join(map(str, self.place))] if self.place else [self.kind])

    @staticmethod
    def named(text: str) -> Subject:
        """The wish that `text` says. A number with a point is a part of the picture, one without counts pixels.

        Raises ConfigError.
        """
        kind, colon, numbers = text.partition(":")
        given = numbers.split(",") if colon else []
        if not colon and kind not in _NUMBERS and text.strip():
            return Subject("text", words=_words(text))
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
            raise ConfigError("--subject", f"{self} lies outside the picture, which is {width}x{height}")
        return found


def _words(text: str) -> str:
    said = " ".join(text.split())
    like = difflib.get_close_matches(said.lower(), ("largest", "face"), n=1, cutoff=_SLIP)
    if like and len(said) >= _SLIP_LETTERS:
        raise ConfigError("--subject", f"{text!r}: did you mean {like[0]}? It is one of {_FORMS}")
    return said


def _number(text: str, whole: str) -> int | float:
    if text.isdecimal() and text.isascii():
        return int(text)
    digits = text.replace(".", "", 1)
    if digits.isdecimal() and digits.isascii() and float(text) <= 1:
        return float(text)
    expected = "pixels (320) or parts of the picture from 0.0 to 1.0 (0.25)"
    raise ConfigError("--subject", f"{text!r} in {whole!r}: expected {expected}")
