"""Swin's windows: what may see what, and which bias it gets."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

from streammatte.networks import swin  # noqa: E402


@pytest.mark.parametrize(("h", "w", "window"), [(8, 12, 4), (9, 10, 4), (14, 21, 7)])
def test_a_shifted_window_sees_only_what_lies_together(h: int, w: int, window: int) -> None:
    """Positions of one window after the roll are neighbours unless the roll carried one of them across the picture."""
    mask = swin._shift_mask(h, w, window, torch.device("cpu"))
    whole_h, whole_w = h + -h % window, w + -w % window
    at = torch.stack(torch.meshgrid(torch.arange(whole_h), torch.arange(whole_w), indexing="ij"), -1)
    rolled = at.roll((-(window // 2), -(window // 2)), (0, 1))
    places = swin._windows(rolled[None], window)
    together = ((places[:, :, None] - places[:, None, :]).abs() < window).all(-1)
    assert torch.equal(mask == 0, together)
    assert set(mask.unique().tolist()) == {-100.0, 0.0}


def test_relative_positions_of_a_window_of_two() -> None:
    expected = [[4, 3, 1, 0], [5, 4, 2, 1], [7, 6, 4, 3], [8, 7, 5, 4]]
    assert swin._relative_positions(2).tolist() == expected


def test_windows_there_and_back() -> None:
    x = torch.arange(2 * 6 * 9 * 2).reshape(2, 6, 9, 2)
    cut = swin._windows(x, 3)
    assert torch.equal(cut[1].reshape(3, 3, 2), x[0, :3, 3:6])
    assert torch.equal(swin._from_windows(cut, 6, 9, 3), x)


def test_merging_goes_column_by_column() -> None:
    merging = swin._PatchMerging(1)
    merging.norm = torch.nn.Identity()
    merging.reduction = torch.nn.Identity()
    x = torch.arange(9.0).reshape(1, 3, 3, 1)
    assert merging(x)[0, 0].tolist() == [[0, 3, 1, 4], [2, 5, 0, 0]]
    assert merging(x)[0, 1, 1].tolist() == [8, 0, 0, 0]


def test_attention_is_that_of_plain_loops() -> None:
    torch.manual_seed(3)
    heads, window, width = 2, 2, 8
    layer = swin._WindowAttention(width, heads, window).eval()
    x = torch.randn(3, window * window, width)
    mask = torch.zeros(3, 4, 4)
    mask[1, 0, 2] = mask[1, 2, 0] = -100.0
    with torch.no_grad():
        found = layer(x, mask)
        q, k, v = layer.qkv(x).reshape(3, 4, 3, heads, width // heads).unbind(2)
        table = layer.relative_position_bias_table
        seen = torch.zeros(3, 4, heads, width // heads)
        for each, head, here in np.ndindex(3, heads, 4):
            row = [
                q[each, here, head] @ k[each, there, head] / (width // heads) ** 0.5
                + table[layer.relative_position_index[here, there], head]
                + mask[each, here, there]
                for there in range(4)
            ]
            seen[each, here, head] = torch.softmax(torch.stack(row), 0) @ v[each, :, head]
        torch.testing.assert_close(found, layer.proj(seen.reshape(3, 4, width)), atol=1e-5, rtol=0)


def test_features_halve_and_odd_sizes_round_up() -> None:
    shape = swin.SwinShape(8, (2, 1, 1, 1), (1, 1, 2, 2), 4)
    with torch.no_grad():
        sizes = [tuple(each.shape[1:]) for each in swin.Swin(shape).eval()(torch.randn(1, 3, 48, 80))]
    assert sizes == [(8, 12, 20), (16, 6, 10), (32, 3, 5), (64, 2, 3)]
