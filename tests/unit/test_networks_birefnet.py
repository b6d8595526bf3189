"""BiRefNet's way from features to a matte; its parts have tests of their own."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

from tiny_networks import pictures, sample_network, tiny_birefnet  # noqa: E402

from streammatte.errors import ContractError  # noqa: E402
from streammatte.networks import build  # noqa: E402
from streammatte.networks.decoder import patches_of  # noqa: E402
from streammatte.networks.patches import PatchOrder  # noqa: E402
from streammatte.networks.precision import fold_batch_norms, halve  # noqa: E402


def test_an_alpha_of_the_pictures_size_and_not_a_flat_one() -> None:
    network, height, width = tiny_birefnet(), 96, 160
    with torch.no_grad():
        for picture in pictures(height, width).values():
            alpha = network(picture)
            assert alpha.shape == (1, 1, height, width)
            assert alpha.dtype == torch.float32
            assert alpha.min() >= 0
            assert alpha.max() <= 1
            assert alpha.std() > 0.05


def test_a_batch_is_its_pictures_one_by_one() -> None:
    network = tiny_birefnet()
    one, other = pictures(32, 64).values()
    with torch.no_grad():
        both = network(torch.cat([one, other]))
        torch.testing.assert_close(both, torch.cat([network(one), network(other)]), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(64, 100), (65, 64)])
def test_other_sizes_are_refused(height: int, width: int) -> None:
    with pytest.raises(ContractError, match=f"multiples of 32, got {width}x{height}"):
        tiny_birefnet()(torch.zeros(1, 3, height, width))


@pytest.mark.parametrize("order", ["columns", "planes"])
def test_patches(order: PatchOrder) -> None:
    picture = torch.arange(3 * 4 * 6.0).reshape(1, 3, 4, 6)  # in 2 x 3 cells of (2, 2)
    cells = [picture[0, :, y : y + 2, x : x + 2] for x in (0, 2, 4) for y in (0, 2)]
    wanted = torch.cat(cells)
    if order == "planes":
        by_row = [picture[0, plane, y : y + 2, x : x + 2] for plane in range(3) for y in (0, 2) for x in (0, 2, 4)]
        wanted = torch.stack(by_row)
    assert torch.equal(patches_of(picture, 2, 2, order)[0], wanted)


def test_the_order_of_patches_matters() -> None:
    picture = pictures(64, 64)["disc"]
    with torch.no_grad():
        columns, planes = (tiny_birefnet(order)(picture) for order in ("columns", "planes"))
    assert (columns - planes).abs().max() > 0.01


def test_folding_batch_norms_changes_nothing() -> None:
    picture = pictures(64, 64)["noise"]
    network = tiny_birefnet()
    with torch.no_grad():
        before = network(picture)
        fold_batch_norms(network)
        assert not [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
        torch.testing.assert_close(network(picture), before, atol=1e-4, rtol=0)


def test_float16_is_near() -> None:
    network = sample_network()
    fold_batch_norms(network)
    with torch.no_grad():
        before = {name: network(picture) for name, picture in pictures(64, 64).items()}
        halve(network)
        for name, picture in pictures(64, 64).items():
            alpha = network(picture.half())
            assert alpha.dtype == torch.float32
            assert (alpha - before[name]).abs().max() <= 2e-3, name


def test_two_sizes_are_seen_at_once() -> None:
    """The half-size picture is a second witness: what only it can see shows."""
    network = tiny_birefnet()
    picture = pictures(64, 64)["disc"]
    seen: list[tuple[int, ...]] = []
    network.bb.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape[2:])))
    with torch.no_grad():
        network(picture)
    assert seen == [(64, 64), (32, 32)]


def test_the_real_ones_have_their_authors_size() -> None:
    with torch.device("meta"):
        counts = {
            backbone: sum(each.numel() for each in build("birefnet", backbone=backbone).parameters())
            for backbone in ("swin_v1_t", "swin_v1_l")
        }
    np.testing.assert_allclose([counts["swin_v1_t"], counts["swin_v1_l"]], [44.3e6, 220.7e6], rtol=0.01)
