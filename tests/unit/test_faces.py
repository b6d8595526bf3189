"""`--subject face`: reading BlazeFace's tables, where a picture is looked at, and what it finds in the demo."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from scenes import make_frame
from sink_clips import decode

import streammatte
from streammatte.errors import ModelError
from streammatte.face_network import FaceNetwork
from streammatte.kernels.faces import SIDE_PX, faces_in, merged, squares

WEBCAM = Path(streammatte.__file__).parent / "demo_clip" / "webcam.mp4"
MEDIAPIPE = {0: (0.3907, 0.3418, 0.2203, 0.3917), 20: (0.428, 0.3258, 0.2262, 0.4021)}
"""What MediaPipe 0.10.21 itself said of these frames of the demo: left, top, width, height."""
Picture = npt.NDArray[np.float32]


def table(*rows: tuple[int, float, float, float, float, float]) -> npt.NDArray[np.float32]:
    """As the network gives it: anchor, x, y, width, height and logit of those that say anything."""
    found = np.zeros((896, 17), np.float32)
    found[:, 16] = -1000
    for anchor, *box, logit in rows:
        found[anchor, :4], found[anchor, 16] = box, logit
    return found


@pytest.mark.parametrize(
    ("anchor", "middle"),
    [
        (0, (4, 4)),
        (1, (4, 4)),
        (2, (12, 4)),
        (32, (4, 12)),
        (511, (124, 124)),
        (512, (8, 8)),
        (518, (24, 8)),
        (895, (120, 120)),
    ],
)
def test_anchors_are_two_to_a_small_cell_and_six_to_a_large_one(anchor: int, middle: tuple[int, int]) -> None:
    (face,) = faces_in(table((anchor, 0, 0, 16, 32, 4)), 0.5)
    assert face[:2] == pytest.approx([(middle[0] - 8) / SIDE_PX, (middle[1] - 16) / SIDE_PX])
    assert face[2:] == pytest.approx([0.125, 0.25, 1 / (1 + np.exp(-4))])


def test_one_face_is_the_mean_of_its_boxes_and_another_is_another() -> None:
    logit = float(np.log(3))  # sure to 0.75
    found = faces_in(table((0, 40, 40, 20, 20, 0), (1, 44, 40, 20, 20, logit), (700, 0, 0, 20, 20, 50)), 0.4)
    assert found[:, 4] == pytest.approx([1, 0.75])
    assert found[1, 0] * SIDE_PX == pytest.approx(4 + 40 - 10 + 4 * 0.75 / 1.25)
    assert len(faces_in(table((0, 40, 40, 20, 20, -1)), 0.4)) == 0
    assert merged(np.zeros((0, 5), np.float32)).shape == (0, 5)


@pytest.mark.parametrize("size", [(455, 256), (256, 455), (256, 256), (683, 256)])
def test_squares_leave_nothing_out(size: tuple[int, int]) -> None:
    whole, *finer = squares(*size)
    assert whole == [((size[0] - max(size)) // 2, (size[1] - max(size)) // 2, max(size))]
    for level, side in zip(finer, (256, 128), strict=True):
        seen = np.zeros(size[::-1], np.int32)
        for left, top, length in level:
            assert length == side
            assert min(left, top) >= 0
            seen[top : top + side, left : left + side] += 1
        assert seen.min() >= 1
        assert seen[side // 2 : size[1] - side // 2, side // 2 : size[0] - side // 2].min(initial=9) >= 2


@pytest.fixture(scope="module")
def network() -> FaceNetwork:
    try:
        return FaceNetwork()
    except ModelError as error:
        if "wrong file" in str(error):
            raise
        pytest.skip(str(error))


def demo(number: int) -> Picture:
    for seq, frame in enumerate(decode(WEBCAM)):
        if seq == number:
            return np.asarray(frame.to_ndarray(format="rgb24").astype(np.float32) / np.float32(255))
    raise AssertionError(number)


def small(picture: Picture, scale: float = 256 / 360) -> Picture:
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


@pytest.mark.weights
@pytest.mark.parametrize("number", MEDIAPIPE)
def test_it_finds_what_mediapipe_finds(network: FaceNetwork, number: int) -> None:
    """To a fortieth of the picture: their way of making it small is another."""
    (face,) = network.faces(small(demo(number)))
    assert face[:4] == pytest.approx(MEDIAPIPE[number], abs=0.025)
    assert face[4] > 0.9


@pytest.mark.weights
def test_small_faces_are_found_in_finer_squares_and_none_where_there_is_none(network: FaceNetwork) -> None:
    far = np.full((256, 455, 3), 0.4, np.float32)
    tiny = small(demo(0), 100 / 360)
    far[150:250, 20 : 20 + tiny.shape[1]] = tiny
    (face,) = network.faces(far)
    assert face[0] + face[2] / 2 == pytest.approx((20 + 0.5 * tiny.shape[1]) / 455, abs=0.03)
    assert face[1] + face[3] / 2 == pytest.approx((150 + 0.53 * 100) / 256, abs=0.04)
    assert len(network.faces(np.full((256, 455, 3), 0.4, np.float32))) == 0


@pytest.mark.weights
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_face_is_looked_for_upright_and_in_the_matte(network: FaceNetwork, rotation: int) -> None:
    upright = demo(0)
    stored = np.rot90(upright, -rotation // 90)
    frame = make_frame(size=stored.shape[1::-1], rgb=stored, rotation=rotation)
    region = network.region(frame, np.ones((90, 160), np.float32), None)
    assert region is not None
    y, x = np.nonzero(region)
    assert (x.mean() / 160, y.mean() / 90) == pytest.approx((0.5, 0.54), abs=0.02)
    assert network.region(frame, np.zeros((90, 160), np.float32), None) is None
