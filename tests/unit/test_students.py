"""Teaching: the network, its ONNX, lessons, and the program that gives them."""

from __future__ import annotations

import importlib.util
import io
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rooms import room, samples

from streammatte.errors import StudentError
from streammatte.sampling import split
from streammatte.students import process
from streammatte.students.lessons import Going, Learnt, Lesson, NotLearnt, receive, send
from streammatte.students.process import Trainer
from streammatte.students.samples import MULTIPLE, input_size, shown

torch = pytest.importorskip("torch", reason="teaching needs torch")


def lesson(steps: int = 4, **more: Any) -> Lesson:
    taught, held_out = split(samples(16))
    return Lesson(taught, held_out, 1.0, steps, threads=1, **more)


@pytest.mark.parametrize(
    ("picture", "size"), [((1920, 1080), (256, 160)), ((1080, 1920), (160, 256)), ((4, 1), (288, 128))]
)
def test_the_input_has_the_pictures_shape(picture: tuple[int, int], size: tuple[int, int]) -> None:
    assert input_size(*picture) == size
    assert size[0] % MULTIPLE == size[1] % MULTIPLE == 0


def test_a_picture_as_a_sample() -> None:
    ramp = np.tile(np.linspace(0, 1, 8, dtype=np.float32), (4, 1))
    averaged = ramp.reshape(2, 2, 4, 2).mean((1, 3)) * 255
    assert np.abs(shown(ramp, (4, 2)) - averaged).max() <= 0.5, "what is reduced is averaged"
    assert shown(ramp, (16, 8)).shape == (8, 16)
    assert (shown(ramp, (16, 8)).min(), shown(ramp, (16, 8)).max()) == (0, 255)


def test_the_onnx_file_says_what_the_network_does() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    from streammatte.students.network import StudentNetwork
    from streammatte.students.onnx_file import ENDS, student_onnx

    torch.manual_seed(1)
    network = StudentNetwork()
    with torch.no_grad():
        for _ in range(3):  # so that the statistics are not those it starts with
            network(torch.randn(4, 3, 64, 96) * 2 + 1)
        picture = torch.randn(1, 3, 64, 96)
        expected = ((1 + 2 * ENDS) * network.eval()(picture).sigmoid() - ENDS).clamp(0, 1).numpy()
    session = onnxruntime.InferenceSession(student_onnx(network, 96, 64))
    (answer,) = session.run(None, {"src": picture.numpy()})
    assert answer.shape == (1, 1, 64, 96)
    assert np.abs(answer - expected).max() < 1e-5
    assert expected.std() > 0.01, "a network that says the same everywhere proves nothing"


def test_a_student_learns_and_goes_on_from_what_it_learnt() -> None:
    from streammatte.students.training import Teaching

    teaching, heard = Teaching(), []
    first = teaching.lesson(lesson(5), heard.append)
    second = teaching.lesson(lesson(60), heard.append)
    assert (first.steps, second.steps) == (5, 65)
    assert second.error < 0.4 * first.error
    assert len(second.errors) == 4
    assert all(isinstance(each, Going) and 0 <= each.done < 1 for each in heard)


def test_the_same_seed_gives_the_same_student() -> None:
    from streammatte.students.training import Teaching

    one, same, other = (Teaching().lesson(lesson(3, seed=seed), lambda how: None).onnx for seed in (7, 7, 8))
    assert one == same
    assert one != other


def test_a_picture_and_its_matte_move_as_one() -> None:
    from streammatte.students.augmenting import augmented

    _src, pha = room(3)
    pictures = torch.from_numpy(np.repeat(pha[None, None], 8, 0)).float() / 255
    seen, wanted = augmented(pictures.repeat(1, 3, 1, 1), pictures, torch.Generator().manual_seed(2))
    assert seen.shape == (8, 3, *pha.shape)
    assert wanted.shape == (8, 1, *pha.shape)
    for picture, matte in zip(seen.mean(1), wanted[:, 0], strict=True):
        inside, outside = picture[matte > 0.95], picture[matte < 0.05]
        assert inside.min() > outside.max(), "the picture is the matte, relit"
    assert len({float(matte.sum().round()) for matte in wanted}) > 3, "they are moved, each on its own"


# the program


def test_messages_arrive_as_they_were_sent() -> None:
    pipe = io.BytesIO()
    for message in (Going(0.5, 3), NotLearnt("so")):
        send(pipe, message)
    whole = pipe.getvalue()
    pipe.seek(0)
    assert [receive(pipe), receive(pipe), receive(pipe)] == [Going(0.5, 3), NotLearnt("so"), None]
    assert receive(io.BytesIO(whole[:20])) is None, "half a message is none"


def test_the_program_teaches() -> None:
    trainer = Trainer(aside=True)
    try:
        learnt = trainer.teach(lesson(3))
        assert isinstance(learnt, Learnt)
        assert learnt.steps == 3
        assert len(learnt.onnx) > 1_000_000
        assert trainer.teach(lesson(2)).steps == 5
    finally:
        trainer.close()


def killed(trainer: Trainer) -> None:
    os.kill(trainer._process.pid, signal.SIGKILL)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    ("end", "words"), [(killed, "ended from outside: signal 9"), (Trainer.close, "teaching was ended")]
)
def test_a_lesson_that_is_ended(end: Any, words: str) -> None:
    trainer = Trainer(aside=True)
    begun = threading.Event()
    ending = threading.Thread(target=lambda: (begun.wait(60), end(trainer)))
    ending.start()
    with pytest.raises(StudentError, match=words):
        trainer.teach(lesson(100_000), lambda how: begun.set())
    ending.join()
    trainer.close()


def test_a_lesson_that_fails_is_not_the_last() -> None:
    trainer = Trainer(aside=True)
    try:
        taught, held_out = split(samples(16))
        wrong = Lesson(taught, type(held_out)(held_out.src[..., :2], held_out.pha), 1.0, 1)
        with pytest.raises(StudentError, match="teaching failed: "):
            trainer.teach(wrong)
        assert trainer.teach(lesson(1)).onnx
    finally:
        trainer.close()


def test_without_torch_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert process.missing() == "teaching a student needs PyTorch: pip install 'streammatte[tune]'"
    with pytest.raises(StudentError, match="needs PyTorch"):
        Trainer(aside=True)


def test_a_torch_that_cannot_be_imported_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "torch"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise ImportError('libtorch is broken')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    trainer = Trainer(aside=True)
    try:
        with pytest.raises(StudentError, match="teaching ended: ImportError: libtorch is broken"):
            trainer.teach(lesson(1))
    finally:
        trainer.close()
