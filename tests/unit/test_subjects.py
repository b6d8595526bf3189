"""`--subject`: one of several is kept, followed, and its soft edges with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import Float, make_frame, make_look, moved, textured

from streammatte.config import Settings
from streammatte.errors import ConfigError
from streammatte.frame import Frame, Look, Matte, Packet
from streammatte.inference import Inference, Pace
from streammatte.kernels.figures import COLORS, color_counts
from streammatte.meter import Meter
from streammatte.parts_device import host_only
from streammatte.stabilizers.none import NoStabilizer
from streammatte.subject import Subject
from streammatte.subjects.dividing import parts_of
from streammatte.subjects.geometry import GeometrySelector
from streammatte.subjects.scene import MOST, Figure, Scene
from streammatte.subjects.sharing import divided
from streammatte.tracking import HostTracker

SIZE = (128, 96)
STEP_S = 0.04
BACK = textured(1, SIZE, 3.0)
RED, BLUE, GREEN = (0.9, 0.2, 0.1), (0.1, 0.25, 0.95), (0.2, 0.8, 0.2)
LEFT, RIGHT = "point:0.25,0.5", "point:0.75,0.5"


@dataclass(frozen=True)
class Ball:
    x: float
    y: float = 48.0
    radius: float = 16.0
    color: tuple[float, float, float] = RED
    opacity: float = 1.0
    soft_px: float = 5.0

    @property
    def pha(self) -> Float:
        y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
        away = np.hypot(x + 0.5 - self.x, y + 0.5 - self.y)
        edge = np.clip((self.radius - away) / self.soft_px + 0.5, 0, 1)
        return np.asarray(edge * self.opacity, np.float32)

    def over(self, src: Float) -> Float:
        """With a texture that moves along."""
        left, top = 80 - int(self.x), 60 - int(self.y)
        grain = TEXTURE[top % 96 : top % 96 + SIZE[1], left % 128 : left % 128 + SIZE[0], None]
        alpha = self.pha[..., None]
        return np.asarray(
            src * (1 - alpha) + alpha * np.clip(np.array(self.color) + 0.3 * (grain - 0.5), 0, 1), np.float32
        )


TEXTURE = textured(2, (2 * SIZE[0], 2 * SIZE[1]), 2.0)[..., 0]


def seen(balls: Sequence[Ball], seq: int = 0, back: Float = BACK) -> Matte:
    """The last ball is in front."""
    src, free = back, np.ones(SIZE[::-1], np.float32)
    for ball in balls:
        src, free = ball.over(src), np.asarray(free * (1 - ball.pha), np.float32)
    return Matte(1 - free, src, seq, seq * STEP_S)


class Run:
    """A wish, followed through frames of balls; each step gives the alpha that is left."""

    def __init__(self, wish: str, **frame: Any) -> None:
        self.selector, self.tracker = GeometrySelector(Subject.named(wish)), HostTracker()
        self.frame = make_frame(size=SIZE, rgb=(0, 0, 0), **frame)
        self.seq = 0

    def step(self, *balls: Ball, back: Float = BACK, lamp: float = 0.0) -> Float:
        matte = seen(balls, self.seq, back)
        src = np.asarray(matte.src * (1 - abs(lamp)) + max(lamp, 0.0), np.float32)
        self.seq += 1
        return self.selector.step(self.tracker.step(replace(matte, src=src)), self.frame).pha

    def rest(self, frames: int, *balls: Ball) -> Float:
        for _ in range(frames):
            pha = self.step(*balls)
        return pha


def kept(pha: Float, ball: Ball, before: Ball | None = None) -> float:
    """How much of what is to be seen of this ball is left."""
    visible = ball.pha if before is None else ball.pha * (1 - before.pha)
    inside = visible > 0.9
    return float(pha[inside].sum() / visible[inside].sum()) if inside.any() else 0.0


# what is asked for


@pytest.mark.parametrize(
    ("text", "kind", "place"),
    [
        ("all", "all", ()),
        ("largest", "largest", ()),
        ("face", "face", ()),
        ("point:0.25,320", "point", (0.25, 320)),
        ("point:1,1.0", "point", (1, 1.0)),
        ("point: .5, 0.", "point", (0.5, 0.0)),
        ("box:10,20,0.5,30", "box", (10, 20, 0.5, 30)),
    ],
)
def test_what_may_be_asked(text: str, kind: str, place: tuple[float, ...]) -> None:
    subject = Subject.named(text)
    assert (subject.kind, subject.place) == (kind, place)
    assert [type(each) for each in subject.place] == [type(each) for each in place]
    assert Settings(subject=text).subject == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is none of all, largest, face, point:X,Y, box:X,Y,WIDTH,HEIGHT, or words such as"),
        (" ", "is none of"),
        ("face:1,2", "is none of"),
        ("somebody: me", "is none of"),
        ("largst", "did you mean largest?"),
        ("Faces", "did you mean face?"),
        ("all:", "is none of"),
        ("largest:2", "is none of"),
        ("point:1", "is none of"),
        ("point:1,2,3", "is none of"),
        ("box:1,2,3", "is none of"),
        ("point:left,2", "expected pixels"),
        ("point:-1,2", "expected pixels"),
        ("point:1.5,2", "from 0.0 to 1.0"),
        ("point:.,2", "expected pixels"),
        ("point:nan,2", "expected pixels"),
        ("point:²,2", "expected pixels"),
        ("box:1,2,0,4", "holds nothing"),
        ("box:1,2,4,0.0", "holds nothing"),
    ],
)
def test_anything_else_is_one_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        Settings(subject=text)
    assert str(caught.value).startswith("--subject")
    assert "\n" not in str(caught.value)


def test_integers_are_pixels_and_floats_parts() -> None:
    assert Subject.named("point:320,0.5").shares(640, 360) == ((320.5) / 640, 0.5)
    assert Subject.named("point:1.0,359").shares(640, 360) == (1.0, 359.5 / 360)
    assert Subject.named("box:64,0.5,320,90").shares(640, 360) == (0.1, 0.5, 0.5, 0.25)


@pytest.mark.parametrize("text", ["point:640,0", "point:0,360", "box:640,0,10,10", "box:0,1.0,10,10"])
def test_a_place_outside_the_picture_is_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--subject: .*lies outside the picture, which is 640x360"):
        Subject.named(text).shares(640, 360)


def test_all_costs_nothing_and_the_device_says_why_not() -> None:
    class Session:
        device, capturable, batch, info = "cuda:0", True, None, None
        run = run_on = close = print

    class Loaded:
        session = Session()

    assert host_only(Settings(), Loaded()) is None  # type: ignore[arg-type]
    assert host_only(Settings(subject="largest"), Loaded()) == "--subject is arithmetic of the host"  # type: ignore[arg-type]


# parts


def test_parts_are_what_hangs_together() -> None:
    far = parts_of(seen([Ball(30), Ball(90), Ball(60, 12, 6, opacity=0.3)]).pha)
    assert far.count == 4
    assert len({int(far.labels[48, 30]), int(far.labels[48, 90]), int(far.labels[12, 60])} - {0}) == 3
    assert parts_of(np.zeros((96, 128), np.float32)).count == 1


def test_soft_pixels_between_two_belong_to_the_nearer() -> None:
    pha = seen([Ball(40), Ball(90)]).pha
    pha[44:52, 40:90] = np.maximum(pha[44:52, 40:90], 0.3)
    parts = parts_of(pha)
    left, right = parts.labels[48, 40], parts.labels[48, 90]
    assert left != right
    assert {int(left), int(right)} == set(map(int, parts.labels[48, 40:90]))
    assert abs(int(np.argmax(parts.labels[48] == right)) - 65) <= 2


def test_a_soft_tail_is_whole_however_near_another_is() -> None:
    """And that other one has a soft bridge to a third, so that nearness is asked for at all."""
    pha = seen([Ball(25, 24, 12), Ball(100, 60, 12), Ball(60, 80, 10), Ball(20, 80, 8, opacity=0.4)]).pha
    pha[20:26, 25:104] = np.maximum(pha[20:26, 25:104], 0.3)
    pha[70:74, 60:100] = np.maximum(pha[70:74, 60:100], 0.3)
    labels = parts_of(pha).labels
    assert set(map(int, labels[23, 25:104])) == {int(labels[24, 25])}
    assert len({int(labels[y, x]) for x, y in ((25, 24), (100, 60), (60, 80), (20, 80), (64, 2))}) == 5
    assert labels[2, 64] == 0


def test_colors_beyond_the_range_count_as_its_ends() -> None:
    src = np.array([[[1, 1, 1], [2, 9, 1.01], [0, 0, 0], [-1, -9, -0.01]]], np.float32).repeat(2, axis=1)
    counts = color_counts(np.ones((1, 8), np.int32), 2, np.ones((1, 8), np.float32), src)
    assert (counts[1, 0], counts[1, COLORS - 1], counts.sum()) == (2, 2, 4)


# who is kept


@pytest.mark.parametrize(("wish", "first"), [("largest", False), (LEFT, True), (RIGHT, False)])
def test_one_stays_and_the_other_is_gone(wish: str, first: bool) -> None:
    run = Run(wish)
    for seq in range(12):
        one, other = Ball(30 + 0.5 * seq, radius=14), Ball(98, 50 + seq, 18, BLUE)
        pha = run.step(one, other)
        mine, theirs = (one, other) if first else (other, one)
        assert kept(pha, mine) > 0.999
        assert float((pha * theirs.pha).max()) == 0


def test_the_kept_ones_soft_edge_and_opacity_stay_bit_for_bit() -> None:
    mine, theirs = Ball(34, radius=18, opacity=0.6, soft_px=14), Ball(100, radius=10, color=BLUE)
    pha = Run("largest").rest(3, mine, theirs)
    whole = seen([mine, theirs]).pha
    assert np.array_equal(pha[:, :66], whole[:, :66])
    assert (whole[:, :66] > 0).sum() > (whole[:, :66] > 0.5).sum() > 100


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("pixels", [False, True])
def test_a_point_is_in_the_upright_picture(rotation: int, pixels: bool) -> None:
    """The ball that is upper left when turned upright."""
    balls = [Ball(30, 24, 12), Ball(98, 24, 12), Ball(30, 72, 12), Ball(98, 72, 12)]
    upright = {ball: np.rot90(ball.pha, rotation // 90) for ball in balls}
    height, width = upright[balls[0]].shape
    wanted = max(balls, key=lambda ball: float(upright[ball][: height // 2, : width // 2].sum()))
    place = "10,20" if pixels else "0.1,0.2"
    pha = Run(f"point:{place}", rotation=rotation).step(*balls)
    assert [kept(pha, ball) > 0.99 for ball in balls] == [ball is wanted for ball in balls]
    box = Run(f"box:0,0,{width // 2},{height // 2}" if pixels else "box:0.0,0.0,0.5,0.5", rotation=rotation)
    assert np.array_equal(box.step(*balls), pha)


def test_a_box_keeps_all_that_is_mostly_inside() -> None:
    balls = [Ball(24, 24, 10), Ball(60, 40, 10), Ball(104, 70, 14)]
    pha = Run("box:0,0,0.6,0.75").step(*balls)
    assert [kept(pha, ball) > 0.99 for ball in balls] == [True, True, False]


def test_a_box_that_holds_a_face_only_keeps_whom_it_belongs_to() -> None:
    balls = [Ball(34, radius=20), Ball(98, radius=20)]
    pha = Run("box:28,40,12,12").step(*balls)
    assert [kept(pha, ball) > 0.99 for ball in balls] == [True, False]


def test_a_box_waits_until_something_is_in_it() -> None:
    run, other, mine = Run("box:0.0,0.0,0.4,1.0"), Ball(98), Ball(24, color=BLUE)
    assert run.step(other).max() == 0
    assert kept(run.step(other, mine), mine) > 0.99


def test_a_point_outside_stops_the_run() -> None:
    with pytest.raises(ConfigError, match="lies outside the picture, which is 128x96"):
        Run("point:128,0").step(Ball(30))


def test_where_there_is_one_alone_nothing_is_touched() -> None:
    selector, frame = GeometrySelector(Subject("largest")), make_frame(size=SIZE)
    for seq in range(3):
        matte = seen([Ball(40 + seq)], seq)
        assert selector.step(matte, frame) is matte


blobs = st.lists(
    st.builds(
        Ball,
        st.floats(0, SIZE[0]),
        st.floats(0, SIZE[1]),
        st.floats(1, 30),
        st.sampled_from([RED, BLUE, GREEN]),
        st.floats(0.05, 1),
        st.floats(1, 20),
    ),
    max_size=6,
)


@given(st.lists(blobs, min_size=1, max_size=4), st.sampled_from(["largest", LEFT, "box:0.2,0.2,0.5,0.5"]))
@settings(max_examples=60)
def test_alpha_never_grows(clip: list[list[Ball]], wish: str) -> None:
    run = Run(wish)
    for balls in clip:
        pha, whole = run.step(*balls), seen(balls).pha
        assert pha.dtype == np.float32
        assert pha.min() >= 0
        assert (pha <= whole).all()


@given(st.floats(22, 40), st.floats(88, 106), st.floats(8, 18), st.floats(8, 18), st.floats(0.4, 1))
@settings(max_examples=30)
def test_chosen_and_dropped_are_the_whole(x: float, other_x: float, r: float, other_r: float, opacity: float) -> None:
    balls = [Ball(x, radius=r, opacity=opacity), Ball(other_x, radius=other_r, color=BLUE)]
    both = Run(LEFT).step(*balls) + Run(RIGHT).step(*balls)
    assert np.abs(both - seen(balls).pha).max() < 1 / 255


# crossing


def crossing(seq: int, one: float, other: float) -> tuple[Ball, Ball]:
    return Ball(18 + 2 * seq, 46, one), Ball(110 - 2 * seq, 52, other, BLUE)


@pytest.mark.parametrize("wish", [LEFT, RIGHT])
@pytest.mark.parametrize("front", [0, 1])
@pytest.mark.parametrize("radii", [(15, 15), (20, 10), (10, 20)])
def test_two_who_cross(wish: str, front: int, radii: tuple[float, float]) -> None:
    """Hidden wholly for a while, or hiding the other: who is kept is the same before, during and after."""
    run = Run(wish)
    for seq in range(48):
        balls = crossing(seq, *radii)
        mine, theirs = balls if wish == LEFT else balls[::-1]
        hides = balls[front] is mine
        pha = run.step(balls[1 - front], balls[front])
        if abs(balls[0].x - balls[1].x) > 20:
            assert kept(pha, mine, None if hides else theirs) > 0.85, seq
            assert kept(pha, theirs, mine if hides else None) < 0.15, seq
        if hides:
            assert kept(pha, mine) > 0.8, seq
    assert kept(pha, mine) > 0.999
    assert kept(pha, theirs) == 0


def test_two_who_touch_and_look_alike() -> None:
    """Only the motion says whose a pixel is. The seam is soft: no step where both are opaque."""
    run = Run(LEFT)
    for seq in range(60):
        away = max(0, abs(seq - 30) - 5)
        left, right = Ball(52 - away), Ball(76 + away)
        pha = run.step(left, right)
        assert kept(pha, left, right) > 0.85, seq
        assert kept(pha, right, left) < 0.15, seq
        if seq == 30:
            assert np.abs(np.diff(pha[48, 54:74])).max() < 0.5
            assert np.array_equal(pha[:, :44], seen([left, right]).pha[:, :44]), "the edge elsewhere is as it was"
    assert kept(pha, left) > 0.999
    assert kept(pha, right) == 0


def test_a_seam_stays_as_it_is() -> None:
    run = Run(LEFT)
    for seq in range(100):
        away = max(0, 10 - seq)
        pha = run.step(Ball(52 - away), Ball(76 + away))
    seam = pha[48, 50:78]
    assert 2 <= int(((seam > 0.1) & (seam < 0.9)).sum()) <= 8


def test_a_fleck_is_not_one_who_comes_out() -> None:
    """It has the colour of who is hidden, but that is not much: it stays whole."""
    pha, src = np.zeros((64, 64), np.float32), np.full((64, 64, 3), RED, np.float32)
    pha[16:48, 16:48] = 1
    src[30:32, 30:32] = GREEN
    figures = {0: Figure(0.0), 1: Figure(0.0)}
    figures[0].renew(1024, color_counts(np.ones((64, 64), np.int32), 2, pha, np.full_like(src, RED))[1])
    figures[1].renew(1024, color_counts(np.ones((64, 64), np.int32), 2, pha, np.full_like(src, GREEN))[1])
    figures[1].present, figures[1].behind = False, 0
    scene = Scene(pha, src, pha, 0.0, parts_of(pha))
    there = np.array([[False] * MOST, [True] + [False] * (MOST - 1)])
    for patch, comes in ((2, False), (8, True)):
        src[30 : 30 + patch, 30 : 30 + patch] = GREEN
        shares = divided(figures, np.zeros((64, 64, MOST), np.uint8), there, scene)
        assert shares is not None
        assert (bool(there[1, 1]), figures[1].present) == (comes, comes)
        assert (float(shares[31, 31, 0]) < 0.5) == comes
        assert np.abs(shares[pha > 0].sum(axis=1) - 1).max() < 1e-5


# coming and going


def leaving(seq: int) -> Ball:
    """Out to the left by frame 12, and back from frame 30 on."""
    return Ball(30 - 4 * seq if seq < 21 else -50 + 4 * (seq - 21), radius=14)


@pytest.mark.parametrize("wish", ["largest", LEFT])
def test_who_leaves_is_waited_for(wish: str) -> None:
    run, other = Run(wish), Ball(96, radius=12, color=BLUE)
    for seq in range(45):
        mine = leaving(seq)
        pha = run.step(other, mine)
        assert kept(pha, other) == 0, seq
        if mine.x < -14:
            assert pha.max() < 0.1
        if mine.x > 0:
            assert kept(pha, mine) > 0.95, seq


def test_the_largest_is_not_waited_for_for_ever_a_point_is() -> None:
    for wish, then in (("largest", 0.99), (LEFT, 0.0)):
        run, mine, other = Run(wish), Ball(30, radius=18), Ball(96, radius=12, color=BLUE)
        run.rest(10, mine, other)
        assert run.rest(120, other).max() == 0
        assert kept(run.rest(10, other), other) == pytest.approx(then, abs=0.02)


def test_a_flicker_is_no_farewell() -> None:
    run, mine, other = Run("largest"), Ball(30, radius=18), Ball(96, radius=12, color=BLUE)
    run.rest(10, mine, other)
    assert kept(run.rest(2, other), other) == 0
    assert kept(run.step(mine, other), mine) > 0.99


def test_who_comes_back_where_it_was_may_look_otherwise() -> None:
    run, mine, other = Run("largest"), Ball(30, radius=18), Ball(96, radius=12, color=BLUE)
    run.rest(10, mine, other)
    run.rest(3, other)
    assert kept(run.step(replace(mine, color=GREEN), other), mine) > 0.99


def test_a_lamp_that_goes_on_and_off_changes_nothing() -> None:
    """No motion can be trusted then."""
    run, mine, other = Run(LEFT), Ball(30, radius=14), Ball(96, radius=18)
    for seq in range(12):
        pha = run.step(mine, other, lamp=0.5 if seq % 2 else -0.5)
        assert kept(pha, mine) > 0.99
        assert kept(pha, other) == 0
    assert run.tracker.cuts == 0


def test_a_ghost_of_the_first_frame_is_forgotten() -> None:
    for wish in ("largest", LEFT):
        run, person = Run(wish), Ball(96, radius=12, color=BLUE)
        run.step(Ball(30, radius=18, opacity=0.4))
        assert kept(run.rest(2, person), person) > 0.99


def test_an_empty_beginning() -> None:
    run, mine, other = Run(LEFT), Ball(30), Ball(96, color=BLUE)
    assert run.rest(3).max() == 0
    pha = run.step(mine, other)
    assert kept(pha, mine) > 0.99
    assert kept(pha, other) == 0


def test_a_newcomer_is_not_the_subject() -> None:
    run, mine = Run("largest"), Ball(34, radius=14)
    run.rest(5, mine)
    for seq in range(20):
        newcomer = Ball(146 - 3 * seq, radius=18, color=BLUE)
        pha = run.step(newcomer, mine)
        assert kept(pha, newcomer) < 0.01, seq
        assert kept(pha, mine) > 0.99


def test_a_hand_that_comes_and_joins_is_the_subjects() -> None:
    run, body = Run(RIGHT), Ball(100, 60, 24)
    run.rest(5, body)
    for seq in range(22):
        hand = Ball(68, 110 - 3 * min(seq, 16), 11)
        pha = run.step(body, hand)
    assert kept(pha, hand) > 0.95
    assert kept(pha, body) > 0.99


def test_one_who_was_apart_for_long_and_joins_stays_another() -> None:
    run, body = Run(RIGHT), Ball(100, 60, 24)
    for seq in range(54):
        other = Ball(30 + max(0, seq - 40) * 3, 60, 10, BLUE)
        pha = run.step(other, body)
        assert kept(pha, other, body) < 0.15, seq
    assert kept(pha, body) > 0.95


def test_a_strand_near_the_subject_is_kept_and_a_speck_far_away_is_not() -> None:
    run, body = Run("largest"), Ball(40, 56, 22)
    near, far = Ball(40, 26.5, 3, soft_px=1), Ball(110, 20, 3, soft_px=1)
    for _ in range(3):
        pha = run.step(body, near, far)
        assert kept(pha, near) > 0.99
        assert kept(pha, far) == 0


def crowd() -> list[Ball]:
    """The first are the largest."""
    return [Ball(14 + 24 * (i % 5), 24 + 46 * (i // 5), 10 - 0.5 * i, RED if i % 2 else BLUE) for i in range(10)]


@pytest.mark.parametrize("chosen", [0, 3, 4, 9])
def test_one_of_more_than_are_followed(chosen: int) -> None:
    balls = crowd()
    run = Run(f"point:{int(balls[chosen].x)},{int(balls[chosen].y)}")
    for _ in range(3):
        pha = run.step(*balls)
        assert [kept(pha, ball) > 0.99 for ball in balls] == [ball is balls[chosen] for ball in balls]
        assert pha.sum() < 1.01 * balls[chosen].pha.sum()


def test_who_is_left_out_is_the_smallest() -> None:
    """Who is followed stays another also when it touches the subject: the large one is."""
    run, others = Run("point:90,48"), [Ball(90, 12, 9), Ball(20, 10, 9), Ball(20, 86, 8)]
    for seq in range(50):
        mine, large = Ball(90, 48, 7), Ball(30 + 2 * max(0, seq - 30), radius=16, color=BLUE)
        pha = run.step(*others, large, mine)
        assert kept(pha, mine) > 0.9, seq
        assert kept(pha, large, mine) < 0.15, seq


def test_one_that_is_wanted_late_is_followed_for_another() -> None:
    run, others, mine = Run("box:0.0,0.75,0.3,0.25"), [Ball(20 + 26 * i, 30, 12 - i) for i in range(5)], Ball(20, 82, 8)
    assert run.rest(5, *others).max() == 0
    pha = run.rest(2, *others, mine)
    assert kept(pha, mine) > 0.99
    assert max(kept(pha, other) for other in others) == 0


def test_a_speck_is_not_chosen() -> None:
    person = Ball(96)
    pha = Run(LEFT).step(Ball(32, 48, 2, soft_px=1), person)
    assert kept(pha, person) > 0.99


def test_who_is_waited_for_keeps_its_place_whoever_comes() -> None:
    run, mine = Run("point:14,24"), Ball(14, 24, 10)
    run.rest(10, mine)
    others = crowd()[1:]
    for count in range(1, 10):
        assert run.rest(2, *others[:count]).max() == 0
    pha = run.rest(2, mine, *others)
    assert kept(pha, mine) > 0.99
    assert max(kept(pha, other) for other in others) < 0.01


@pytest.mark.parametrize("together", [True, False])
def test_the_subject_is_itself_also_where_it_has_just_come(together: bool) -> None:
    """It touches another at once, who came with it or was there before."""
    run = Run("box:0.0,0.0,0.4,1.0")
    for seq in range(18):
        mine, other = Ball(34 + min(seq, 12), radius=12), Ball(94 - 2 * min(seq, 12), radius=16, color=BLUE)
        if seq < 3:
            run.step(*([] if together else [other]))
            continue
        pha = run.step(other, mine)
        assert kept(pha, mine) > 0.9, seq
        assert kept(pha, other, mine) < 0.15, seq


def test_a_twin_that_comes_near_is_not_the_subject() -> None:
    run, mine, twin = Run("largest"), Ball(34, radius=10), Ball(60, radius=10)
    run.rest(5, mine)
    pha = run.rest(3, mine, twin)
    assert kept(pha, mine) > 0.99
    assert kept(pha, twin) == 0


def test_a_body_that_falls_apart_is_whole() -> None:
    run, head, body, other = Run(LEFT), Ball(34, 26, 12), Ball(34, 70, 20), Ball(100, radius=18, color=BLUE)
    run.rest(3, head, body, Ball(34, 43, 10), other)
    pha = run.rest(3, head, body, other)
    assert kept(pha, head) > 0.99
    assert kept(pha, body) > 0.99
    assert kept(pha, other) == 0


def test_a_twin_that_was_hidden_is_gone_again_once_it_is_apart() -> None:
    run = Run(LEFT)
    for seq in range(50):
        mine, twin = Ball(40 + 0.5 * seq, radius=18), Ball(112 - 2 * seq, radius=14)
        pha = run.step(twin, mine)
        if abs(mine.x - twin.x) < 3:
            assert kept(pha, mine) > 0.99, seq
    assert kept(pha, mine) > 0.99
    assert kept(pha, twin) == 0


# cuts, strides, sizes


def test_at_a_cut_the_largest_is_chosen_anew_and_a_point_goes_to_who_is_nearest() -> None:
    there = textured(9, SIZE, 8.0)
    before = [Ball(30, 40, 18), Ball(96, 40, 12, BLUE)]
    after = [Ball(40, 50, 10, GREEN), Ball(96, 50, 20, GREEN)]
    for wish, expected in (("largest", 1), ("point:40,40", 0), ("box:0.0,0.0,0.45,0.9", 0), ("point:90,40", 1)):
        run = Run(wish)
        run.rest(3, *before)
        pha = run.step(*after, back=there)
        assert run.tracker.cuts == 1
        assert [kept(pha, ball) > 0.99 for ball in after] == [i == expected for i in (0, 1)]


def test_after_a_cut_a_point_is_where_the_subject_had_got_to() -> None:
    run, there = Run("point:20,48"), textured(9, SIZE, 8.0)
    for seq in range(30):
        run.step(Ball(20 + 2 * seq))
    after = [Ball(30, radius=12, color=BLUE), Ball(84, radius=12, color=BLUE)]
    pha = run.step(*after, back=there)
    assert run.tracker.cuts == 1
    assert [kept(pha, ball) > 0.99 for ball in after] == [False, True]


@pytest.mark.parametrize("scale", [1, 3])
def test_unseen_mattes_come_back_as_they_were_and_are_followed(scale: int) -> None:
    """The other one, which looks the same, is where the subject was when it was last seen."""
    run, size = Run(LEFT), (SIZE[0] * scale, SIZE[1] * scale)
    for seq in range(19):
        mine, other = Ball(32 + 4.5 * seq, 48, 10), Ball(5 + 4.5 * seq, 48, 10)
        matte = seen([other, mine], seq)
        large = replace(matte, pha=cv2.resize(matte.pha, size), src=cv2.resize(matte.src, size), seen=seq % 6 == 0)
        left = run.selector.step(moved(large, 4.5 * scale) if seq else large, run.frame)
        if not large.seen:
            assert left.pha is large.pha
        else:
            pha = np.asarray(cv2.resize(left.pha, SIZE, interpolation=cv2.INTER_AREA), np.float32)
            assert kept(pha, mine) > 0.95, seq
            assert kept(pha, other) < 0.05, seq


def test_another_size_is_another_beginning() -> None:
    run = Run("largest")
    run.rest(3, Ball(30, radius=18), Ball(96, radius=12))
    matte = seen([Ball(30, radius=12), Ball(96, radius=18)])
    half = replace(matte, pha=cv2.resize(matte.pha, (64, 48)), src=cv2.resize(matte.src, (64, 48)))
    pha = run.selector.step(half, run.frame).pha
    assert pha[24, 48] == 1
    assert pha[24, 15] == 0


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (640, 360)])
def test_any_size(size: tuple[int, int]) -> None:
    pha = np.zeros(size[::-1], np.float32)
    pha[: size[1] // 2 + 1, : size[0] // 3 + 1] = 1
    selector, matte = GeometrySelector(Subject("largest")), Matte(pha, np.ones((*pha.shape, 3), np.float32), 0, 0.0)
    assert np.array_equal(selector.step(matte, make_frame(size=size)).pha, pha)


# in a run


class Pair:
    """In place of a Matter: two balls, one of which wanders."""

    def frames(self) -> list[Frame | Packet]:
        return [make_frame(size=(16, 16), seq=seq, pts=seq) for seq in range(12)]

    def balls(self, seq: int) -> list[Ball]:
        return [Ball(30 + seq), Ball(96, color=BLUE)]

    def look(self, frame: Frame) -> Look:
        return make_look(frame, seen(self.balls(frame.seq)).src)

    def see(self, look: Look) -> Matte:
        return replace(look.matte, pha=seen(self.balls(look.matte.seq)).pha, seen=True)


def mattes(**pace: Any) -> tuple[list[Matte], Meter]:
    meter, pair = Meter(), Pair()
    inference = Inference(pair, NoStabilizer(), Pace(**pace), meter, selector=GeometrySelector(Subject.named(LEFT)))
    found = inference.mattes(pair.frames())
    return [event[1] for event in found if not isinstance(event, Packet)], meter


@pytest.mark.parametrize(
    "pace", [{}, {"stride": 3, "tolerance": 9.0}, {"streams": 3}, {"lookahead": 2}, {"live": True}]
)
def test_files_and_live_video_are_cut_down_before_they_are_steadied(pace: dict[str, Any]) -> None:
    found, meter = mattes(**pace)
    assert len(found) == 12
    assert "select" in meter.stages()
    for matte in found:
        balls = Pair().balls(matte.seq)
        assert kept(matte.pha, balls[1]) == 0
        assert kept(matte.pha, replace(balls[0], x=balls[0].x - 1, radius=8)) > 0.9


def test_without_a_subject_nothing_is_selected() -> None:
    meter = Meter()
    list(Inference(Pair(), NoStabilizer(), Pace(), meter).mattes(Pair().frames()))
    assert "select" not in meter.stages()
