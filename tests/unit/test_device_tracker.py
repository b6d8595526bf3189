"""The tracker on a device against the host's: the same cuts, the same trust, and motion as far as there is any."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from scenes import Float, make_matte, textured

import streammatte
from streammatte.frame import Matte
from streammatte.tracking import HostTracker

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

from torch_chain import LANE, Watch, got, sent_matte  # noqa: E402

from streammatte.device.tracker import DeviceTracker  # noqa: E402
from streammatte.kernels.torch.lane import Lane  # noqa: E402

SIZE = (160, 120)
INSIDE = (slice(16, -16), slice(16, -16))
WEBCAM = Path(streammatte.__file__).parent / "demo_clip" / "webcam.mp4"


def showing(src: Float, seq: int = 0, *, discontinuity: bool = False) -> Matte:
    """A frame that the network has not yet seen."""
    matte = make_matte(np.zeros(src.shape[:2], np.float32), seq / 25, seq=seq, discontinuity=discontinuity)
    return replace(matte, src=np.ascontiguousarray(src, np.float32), seen=False)


def tracked(*pictures: Float, onward: bool = False) -> list[Matte]:
    tracker = DeviceTracker(LANE, onward=onward)
    return [tracker.step(sent_matte(showing(src, seq))) for seq, src in enumerate(pictures)]


def known(matte: Matte) -> tuple[Float, Float]:
    """Flow and trust, on the host."""
    flow, trust = got(matte.flow), got(matte.trust)
    shape = tuple(matte.src.shape[1:])
    assert (flow.shape, flow.dtype) == ((*shape, 2), np.dtype(np.float32))
    assert (trust.shape, trust.dtype) == (shape, np.dtype(np.float32))
    assert 0 <= trust.min() <= trust.max() <= 1
    return flow, trust


# cuts


def room(seed: int, hue: tuple[float, float, float]) -> Float:
    """A room of soft patches around one hue."""
    coarse = np.random.default_rng(seed).random((6, 8, 3), np.float32) * 0.5
    smooth = np.asarray(cv2.resize(coarse, SIZE, interpolation=cv2.INTER_CUBIC), np.float32)
    return np.asarray(np.clip(smooth + np.array(hue, np.float32) * 0.5, 0, 1), np.float32)


WARM, COLD = room(0, (0.9, 0.4, 0.1)), room(1, (0.1, 0.5, 0.9))
WIDE = np.concatenate([WARM, WARM[:, ::-1]], axis=1)
FLAT = 0.5 + (WARM - 0.5) * 0.4


def crossing() -> Iterator[Float]:
    for x in range(-30, 160, 24):
        picture = COLD.copy()
        cv2.rectangle(picture, (x, 20), (x + 40, 119), (0.8, 0.6, 0.5), -1)
        yield picture


def between(picture: Float, other: Float) -> Float:
    """`other`, but every second pixel of every second line is as it was."""
    mixed = other.copy()
    mixed[::2, ::2] = picture[::2, ::2]
    return mixed


STREAMS = {
    "one picture": ([WARM], 0),
    "scenes": ([WARM, WARM, COLD, COLD, WARM], 2),
    "another exposure": ([FLAT] + [np.clip(FLAT * gain, 0, 1) for gain in (0.6, 0.8, 1.25)], 0),
    "a pan": ([WIDE[:, x : x + 160] for x in range(0, 150, 16)], 0),
    "a dissolve": ([(1 - t) * WARM + t * COLD for t in np.linspace(0, 1, 12)], 0),
    "one who crosses": (list(crossing()), 0),
    "what histograms pass over": ([WARM, between(WARM, COLD)], 0),
    "another size": ([WARM, COLD[:60, :80], WARM[:7, :5], COLD[:1, :1], COLD], 3),
}


def counts(tracker: DeviceTracker | HostTracker, mattes: list[Matte]) -> list[int]:
    found = []
    for matte in mattes:
        tracker.step(matte)
        found.append(tracker.cuts)
    return found


@pytest.mark.parametrize("name", STREAMS)
def test_cuts_are_the_hosts(name: str) -> None:
    pictures, count = STREAMS[name]
    mattes = [showing(src, seq) for seq, src in enumerate(pictures)]
    expected = counts(HostTracker(), mattes)
    assert counts(DeviceTracker(LANE), list(map(sent_matte, mattes))) == expected
    assert expected[-1] == count, "and what the scene is made for"


def test_what_is_nearly_a_cut_is_decided_as_on_the_host() -> None:
    """Steps from one scene towards another, so that either measure decides.

    Of a size with as many pixels to each block: others are halved first, which softens blocks by some percent.
    """
    mattes = []
    for seed in range(6):
        one, other = (textured(seed + 50 * i, (128, 128), 6.0) for i in range(2))
        for share in np.linspace(0.2, 1, 5, dtype=np.float32):
            mattes += [showing(one), showing(one + share * (other - one))]
    expected = counts(HostTracker(), mattes)
    assert counts(DeviceTracker(LANE), list(map(sent_matte, mattes))) == expected
    assert 0.1 < expected[-1] / len(mattes) < 0.4, "some are, some are not"


def test_at_a_cut_nothing_is_known_and_the_host_is_not_told() -> None:
    found = tracked(WARM, WARM, COLD, COLD, onward=True)
    for matte, lost in zip(found, (True, False, True, False), strict=True):
        assert not matte.discontinuity
        assert matte.onward is not None
        for part in (*known(matte), *map(got, matte.onward)):
            assert not part.any() or not lost
        assert (known(matte)[1].mean() > 0.9) is not lost


# motion


def window(picture: Float, x_px: int, y_px: int, size: tuple[int, int] = SIZE) -> Float:
    """What a camera sees of it that looks from (32 - x, 32 - y): its content moves by (x, y)."""
    return picture[32 - y_px : 32 - y_px + size[1], 32 - x_px : 32 - x_px + size[0]]


def larger(seed: int = 0, size: tuple[int, int] = SIZE, scale_px: float = 2.0) -> Float:
    soft = textured(seed, (size[0] + 64, size[1] + 64), scale_px)
    return np.asarray(soft / soft.max((0, 1)), np.float32)


@pytest.mark.parametrize(("x_px", "y_px"), [(0, 0), (3, 0), (0, -4), (-2, 5), (7, 3), (9, -6)])
def test_a_translation_is_found_and_believed(x_px: int, y_px: int) -> None:
    picture = larger()
    flow, trust = known(tracked(window(picture, 0, 0), window(picture, x_px, y_px))[-1])
    errors = np.hypot(flow[..., 0] + x_px, flow[..., 1] + y_px)[INSIDE]
    assert np.median(errors) < 0.2
    assert np.quantile(errors, 0.95) < 0.6
    assert trust[INSIDE].mean() > 0.85


def test_a_larger_picture_gives_motion_in_its_own_pixels() -> None:
    size = (384, 216)
    picture = larger(size=size, scale_px=5.0)
    flow, trust = known(tracked(window(picture, 0, 0, size), window(picture, 10, -6, size))[-1])
    inside = (slice(32, -32), slice(32, -32))
    assert np.median(flow[inside], axis=(0, 1)) == pytest.approx((-10, 6), abs=0.5)
    assert trust[inside].mean() > 0.8


def box(background: Float, subject: Float, x_px: int) -> Float:
    picture = background.copy()
    picture[30:90, 40 + x_px : 90 + x_px] = subject[30:90, 40:90]
    return picture


def test_what_is_uncovered_is_not_believed() -> None:
    """A textured box moves 8 pixels to the right: what comes out behind it was nowhere before."""
    background, subject = (window(larger(seed, scale_px=3.0), 0, 0) for seed in (1, 2))
    _, trust = known(tracked(box(background, subject, 0), box(background, subject, 8))[-1])
    uncovered, elsewhere = trust[34:86, 41:47], trust[34:86, 110:150]
    assert uncovered.mean() < 0.4
    assert elsewhere.mean() > 0.8
    assert trust[40:80, 60:88].mean() > 5 * uncovered.mean(), "the box itself is where it should be"


def test_specks_are_not_believed_as_on_the_host() -> None:
    """Nor what is next to one."""
    before = window(larger(), 0, 0) * np.float32(0.6)
    now = before.copy()
    now[8::16, 8::16, 1] += 0.3
    mattes = [showing(src, seq) for seq, src in enumerate((before, now))]
    host = HostTracker()
    expected = [host.step(matte) for matte in mattes][-1].trust
    assert expected is not None
    _, trust = known(tracked(before, now)[-1])
    specks, beside = (slice(24, -16, 16), slice(24, -16, 16)), (slice(24, -16, 16), slice(25, -16, 16))
    for part in (specks, beside):
        assert expected[part].mean() < 0.9
        assert abs(trust[part].mean() - expected[part].mean()) < 0.05


def test_colours_that_are_alike_in_gray_do_not_move_it() -> None:
    """As on the host: motion is looked for in gray, and believed where colours agree."""

    def coloured(share: Float) -> Float:
        return np.float32(0.5) + (share - np.float32(0.5))[..., None] * np.float32((0.587, -0.299, 0))

    shares = larger()[..., 0]
    pictures = [coloured(window(shares[..., None], x_px, 0)[..., 0]) for x_px in (0, 5)]
    flow, trust = known(tracked(*pictures)[-1])
    assert np.abs(flow).max() < 0.01
    assert trust[INSIDE].mean() < 0.8


def test_the_way_onward_is_the_way_back_turned() -> None:
    picture = larger()
    pair = window(picture, 0, 0), window(picture, 5, -3)
    matte = tracked(*pair, onward=True)[-1]
    assert matte.onward is not None
    flow, trust = map(got, matte.onward)
    assert np.median(flow[INSIDE], axis=(0, 1)) == pytest.approx((5, -3), abs=0.2)
    assert trust[INSIDE].mean() > 0.85
    exchanged = known(tracked(*pair[::-1])[-1])
    assert np.abs(exchanged[0] - flow).max() < 1e-5
    assert np.abs(exchanged[1] - trust).max() < 1e-5
    assert tracked(*pair)[-1].onward is None, "only where it is asked for"


def test_nothing_is_known_at_the_start_and_after_a_break() -> None:
    picture = larger()
    tracker = DeviceTracker(LANE, onward=True)
    views = [window(picture, x_px, 0, size) for x_px, size in enumerate([SIZE] * 3 + [(80, 60)] * 2)]
    steps = [showing(view, seq, discontinuity=seq == 1) for seq, view in enumerate(views)]
    found = [tracker.step(sent_matte(matte)) for matte in steps]
    for matte, some in zip(found, (False, False, True, False, True), strict=True):
        assert matte.onward is not None
        assert [bool(part.any()) for part in (*known(matte), *map(got, matte.onward))] == [some] * 4
    assert [matte.discontinuity for matte in found] == [False, True, False, False, False]
    assert np.median(known(found[2])[0][INSIDE], axis=(0, 1)) == pytest.approx((-1, 0), abs=0.2)


def test_the_matte_is_otherwise_left_alone() -> None:
    matte = sent_matte(showing(WARM, 7))
    kept = matte.src.clone()
    found = DeviceTracker(LANE).step(matte)
    assert found.pha is matte.pha
    assert found.src is matte.src
    assert torch.equal(found.src, kept)
    assert (found.seq, found.time_s, found.seen) == (matte.seq, matte.time_s, False)


# real video


def film(width: int, height: int, count: int) -> list[Float]:
    with av.open(str(WEBCAM)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in islice(container.decode(video=0), count)]
    pictures = [cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA) for rgb in frames]
    return [np.asarray(picture / np.float32(255), np.float32) for picture in pictures]


@pytest.mark.parametrize("size", [(256, 144), (320, 320)])
def test_a_webcam_moves_as_the_host_sees_it(size: tuple[int, int]) -> None:
    """With another scene in between: there and back is two cuts."""
    webcam = film(*size, 9)
    pictures = [*webcam[:5], *[textured(3, size, 8.0)] * 2, *webcam[5:]]
    mattes = [showing(src, seq) for seq, src in enumerate(pictures)]
    host, device = HostTracker(onward=True), DeviceTracker(LANE, onward=True)
    for matte in mattes:
        expected, found = host.step(matte), device.step(sent_matte(matte))
        assert device.cuts == host.cuts
        flow, trust = known(found)
        assert (expected.flow is None) is not trust.any()
        if expected.flow is not None and expected.trust is not None:
            assert -0.02 < trust.mean() - expected.trust.mean() < 0.04
            both = np.minimum(trust, expected.trust) > 0.5
            assert np.abs(flow - expected.flow)[both].mean() < 0.25, "pixels, where both believe in it"
    assert host.cuts == 2


# on the device


def test_it_asks_for_no_sample() -> None:
    tracker = DeviceTracker(Lane("meta"), onward=True)
    nowhere = torch.empty(3, 180, 320, device="meta")
    for seq in range(3):
        matte = tracker.step(replace(showing(WARM, seq), src=nowhere, discontinuity=seq == 2))
        assert (tuple(matte.flow.shape), tuple(matte.trust.shape)) == ((180, 320, 2), (180, 320))


def test_after_the_first_frames_nothing_waits_and_nothing_is_moved() -> None:
    tracker = DeviceTracker(LANE, onward=True)
    assert tracker.cuts == 0
    mattes = [sent_matte(showing(src, seq)) for seq, src in enumerate((WARM, COLD, COLD, WARM))]
    for matte in mattes[:2]:
        tracker.step(matte)
    with Watch() as watch:
        for matte in mattes[2:]:
            tracker.step(matte)
    assert watch.noted == []
    assert tracker.cuts == 2
