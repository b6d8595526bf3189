"""`--compat rembg` sees the very picture that a loop over PyAV's frames would hand to rembg."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from clips import noise_frame, write_clip

from streammatte.arithmetics.swscale import swscale_rgb
from streammatte.frame import Frame
from streammatte.sources import open_source


@pytest.mark.parametrize("tags", [{}, {"colorspace": 1, "color_range": 1}, {"colorspace": 1, "color_range": 2}])
def test_bit_for_bit(tmp_path: Path, tags: dict[str, int]) -> None:
    frames = [noise_frame("yuv420p", (96, 64), i) for i in range(3)]
    path = str(write_clip(tmp_path / "a.mkv", frames, "ffv1", context=tags))
    with av.open(path) as container:
        expected = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    got = [swscale_rgb(event) for event in open_source(path).events() if isinstance(event, Frame)]
    assert len(got) == len(expected) == 3
    for ours, theirs in zip(got, expected, strict=True):
        assert np.array_equal(ours, theirs)
