"""The networks' parameters are those of the authors' files: names, shapes, dtypes."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")

from streammatte.errors import ModelError  # noqa: E402
from streammatte.networks import ARCHITECTURES, build  # noqa: E402

LISTS = Path(__file__).parents[1] / "golden" / "state_dicts"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_names_shapes_and_dtypes_are_the_authors(architecture: str) -> None:
    name, _, backbone = architecture.partition(":")
    with torch.device("meta"):
        state = build(name, backbone=backbone).state_dict()
    found = {
        key: f"{'x'.join(map(str, each.shape)) or 'scalar'} {str(each.dtype).removeprefix('torch.')}"
        for key, each in state.items()
    }
    lines = (LISTS / f"{architecture.replace(':', '_')}.txt").read_text(encoding="utf-8").splitlines()
    wanted = {key: f"{shape} {dtype}" for key, shape, dtype in (line.split("\t") for line in lines)}
    assert found == wanted


@pytest.mark.parametrize(("name", "backbone"), [("isnet", "swin_v1_t"), ("birefnet", "pvt_v2_b2")])
def test_unknown_networks(name: str, backbone: str) -> None:
    with pytest.raises(ModelError, match="no such network; one of u2net, u2netp, birefnet:swin_v1_t, ") as caught:
        build(name, backbone=backbone)
    assert "\n" not in str(caught.value)
