"""Teaching: AdamW (Loshchilov and Hutter, ICLR 2019) down a cosine that ends when the time does."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from streammatte.students.augmenting import augmented
from streammatte.students.lessons import Going, Learnt, Lesson
from streammatte.students.network import MEAN, STD, StudentNetwork
from streammatte.students.onnx_file import ENDS, student_onnx
from streammatte.students.samples import MULTIPLE, Samples

__all__ = ["Teaching"]

_BATCH = 8
_RATE, _LEAST_RATE = 3e-3, 1e-6
_DECAY = 1e-2
_WARM_STEPS = 20
_ENTROPY = 0.25
"""Weight of the cross entropy beside the mean difference: it pulls where the student is surely wrong."""
_SMALL, _SMALL_UNTIL = 0.6, 0.3
"""For the first part of a lesson, which makes half of its steps, pictures are reduced: what is where is learnt before
how its edges run."""
_LONGEST = 4.0
_TOLD_EVERY_S = 0.25


class Teaching:
    """A student and how it came to be; one lesson after the other goes on from the same weights."""

    def __init__(self) -> None:
        self._network: StudentNetwork | None = None
        self._steps = 0

    def lesson(self, lesson: Lesson, told: Callable[[Going], None]) -> Learnt:
        """Teach, and examine on what was held out. `told` hears how far it is."""
        torch.set_num_threads(lesson.threads)
        torch.manual_seed(lesson.seed + self._steps)
        if self._network is None:
            self._network = StudentNetwork().to(memory_format=torch.channels_last)
        started_s = time.perf_counter()
        half = _half_precision()
        self._steps += _taught(self._network, lesson, half, told)
        seconds = time.perf_counter() - started_s
        network = self._network.eval()
        width, height = lesson.samples.size
        return Learnt(
            onnx=student_onnx(network, width, height),
            steps=self._steps,
            seconds=seconds,
            precision="bf16" if half else "f32",
            errors=_errors(network, lesson.held_out),
        )


def _half_precision() -> bool:
    """Whether the CPU multiplies bfloat16 itself: elsewhere it is slower than float32."""
    about = torch.backends.cpu.get_cpu_capability() if hasattr(torch.backends, "cpu") else ""
    return "AMX" in about or bool(torch.cpu._is_avx512_bf16_supported()) or bool(torch.cpu._is_amx_tile_supported())


def _taught(network: StudentNetwork, lesson: Lesson, half: bool, told: Callable[[Going], None]) -> int:
    """Steps made."""
    chance = torch.Generator().manual_seed(lesson.seed)
    whole = _pictures(lesson.samples), _mattes(lesson.samples)
    small = _reduced(*whole)
    optimizer = torch.optim.AdamW(network.train().parameters(), lr=_RATE, weight_decay=_DECAY)
    clock, said_s = _Clock(lesson), time.perf_counter()
    step = 0
    while (done := clock.done(step)) < 1:
        rate = _LEAST_RATE + _RATE * min(1, (step + 1) / _WARM_STEPS) * (0.5 + 0.5 * math.cos(math.pi * done))
        for group in optimizer.param_groups:
            group["lr"] = rate
        src, pha = small if done < _SMALL_UNTIL else whole
        which = torch.randint(len(src), (_BATCH,), generator=chance)
        seen, wanted = augmented(src[which], pha[which], chance)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logit = network(_normalized(seen))
        loss = _loss(logit.float(), wanted)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        step += 1
        if time.perf_counter() - said_s > _TOLD_EVERY_S:
            said_s = time.perf_counter()
            told(Going(done, step))
    return step


def _reduced(src: torch.Tensor, pha: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures and mattes with which a step costs about a third."""
    height, width = (max(MULTIPLE, MULTIPLE * round(side * _SMALL / MULTIPLE)) for side in src.shape[2:])
    size = height, width
    return functional.interpolate(src, size, mode="area"), functional.interpolate(pha, size, mode="area")


class _Clock:
    """How far a lesson is."""

    def __init__(self, lesson: Lesson) -> None:
        self._lesson = lesson
        self._started_s = self._spent_s()

    def done(self, step: int) -> float:
        """0 to 1, and beyond."""
        lesson = self._lesson
        if lesson.steps is not None:
            return step / lesson.steps
        spent_s, wall_s = (now - then for now, then in zip(self._spent_s(), self._started_s, strict=True))
        return max(spent_s / lesson.threads, wall_s / _LONGEST) / lesson.seconds

    @staticmethod
    def _spent_s() -> tuple[float, float]:
        """By the processors, and by the clock on the wall."""
        return time.process_time(), time.perf_counter()


def _loss(logit: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    apart = (logit.sigmoid() - wanted).abs().mean()
    return apart + _ENTROPY * functional.binary_cross_entropy_with_logits(logit, wanted)


def _errors(network: StudentNetwork, held_out: Samples) -> tuple[float, ...]:
    src, pha = _pictures(held_out), _mattes(held_out)
    with torch.no_grad():
        logits = [network(_normalized(src[i : i + 1])) for i in range(len(src))]
    answers = [((1 + 2 * ENDS) * logit.sigmoid() - ENDS).clamp(0, 1) for logit in logits]
    return tuple(float((answer - pha[i]).abs().mean()) for i, answer in enumerate(answers))


def _pictures(samples: Samples) -> torch.Tensor:
    """(n, 3, h, w) float32 in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(samples.src.transpose(0, 3, 1, 2))).float() / 255


def _mattes(samples: Samples) -> torch.Tensor:
    """(n, 1, h, w) float32 in [0, 1]."""
    return torch.from_numpy(samples.pha[:, None]).float() / 255


def _normalized(src: torch.Tensor) -> torch.Tensor:
    return ((src - MEAN) / STD).contiguous(memory_format=torch.channels_last)
