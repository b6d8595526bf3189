"""What is said between a run and the program that teaches: a lesson, how it goes, and what was learnt."""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from streammatte.students.samples import Samples

__all__ = ["Going", "Learnt", "Lesson", "NotLearnt", "receive", "send"]

_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class Lesson:
    """One round of teaching. A further one to the same program goes on from the weights of the one before."""

    samples: Samples
    held_out: Samples
    """What the student is not shown, and examined on."""
    seconds: float
    """How long to teach, exporting and examining aside: the processor time of each thread, so that a machine with much
    else to do teaches no less, only longer; but no longer than four times as long."""
    steps: int | None = None
    """With it that many steps are made, however long they take: the same samples and seed give the same student."""
    seed: int = 0
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Going:
    """How far a lesson is."""

    done: float
    """0 to 1."""
    steps: int


@dataclass(frozen=True, slots=True)
class Learnt:
    """A student."""

    onnx: bytes
    """The network: (1, 3, h, w) float32 in, alpha (1, 1, h, w) in [0, 1] out."""
    steps: int
    """In all lessons so far."""
    seconds: float
    precision: str
    """What it was taught in: bf16 or f32."""
    errors: tuple[float, ...] = field(default=())
    """Mean |student - teacher| of alpha in [0, 1], of each picture held out."""

    @property
    def error(self) -> float:
        """Mean of `errors`."""
        return sum(self.errors) / len(self.errors)


@dataclass(frozen=True, slots=True)
class NotLearnt:
    """A lesson failed."""

    why: str


def send(stream: BinaryIO, message: Any) -> None:
    """Write one message. Raises OSError where nobody reads any more."""
    packed = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(_LENGTH.pack(len(packed)))
    stream.write(packed)
    stream.flush()


def receive(stream: BinaryIO) -> Any:
    """Read one message; None at the end. Both ends are ours: nobody else writes to the pipe."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    packed = stream.read(length)
    return None if len(packed) < length else pickle.loads(packed)
