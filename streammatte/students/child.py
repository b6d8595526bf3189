"""The program that teaches; started by `process`, and by nobody else.

Lessons come through standard input, how they go and what was learnt leave through standard output, until the input
ends. With --aside it makes room for everything else that runs.
"""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

from streammatte.errors import first_line
from streammatte.students.lessons import Lesson, NotLearnt, receive, send

__all__ = ["main"]

_NICE = 10
"""A tenth of the time where others want all of it: at 19 nothing would ever be learnt there."""


def main() -> int:
    """Run until standard input ends."""
    coming, going = sys.stdin.buffer, _own_output()
    if "--aside" in sys.argv and hasattr(os, "nice"):
        os.nice(_NICE)
    from streammatte.students.training import Teaching  # it brings torch, whose absence is to be said in words

    teaching = Teaching()
    while isinstance(lesson := receive(coming), Lesson):
        try:
            send(going, teaching.lesson(lesson, lambda how: send(going, how)))
        except OSError:
            return 1  # nobody waits for it any more
        except Exception as error:
            send(going, NotLearnt(first_line(error)))
    return 0


def _own_output() -> BinaryIO:
    """Standard output for messages alone: what a library prints goes to standard error."""
    mine = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return mine


if __name__ == "__main__":
    sys.exit(main())
