"""Networks made again of ONNX files: ours by their metadata, rembg's by their convolutions, and no others."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from scenes import write_network

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")
pytest.importorskip("onnxscript", reason="pip install 'streammatte[torch]'")

from tiny_networks import TINY_SWIN, pictures, unsettle  # noqa: E402

from streammatte.errors import ModelError  # noqa: E402
from streammatte.networks import build  # noqa: E402
from streammatte.networks.export import to_onnx  # noqa: E402
from streammatte.networks.onnx_weights import from_onnx, read_onnx  # noqa: E402
from streammatte.networks.patches import PatchOrder  # noqa: E402
from streammatte.networks.precision import for_inference  # noqa: E402
from streammatte.networks.swin import SWINS  # noqa: E402

UNKNOWN = "not a network streammatte knows in torch"
FIRST = "stage1.rebnconvin.conv_s1.weight"


def drawn() -> Any:
    """The same weights each time; one is 0 throughout, which the exporter leaves out."""
    torch.manual_seed(3)
    network = build("u2netp")
    unsettle(network)
    with torch.no_grad():
        network.side6.bias.zero_()
    return network


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ours") / "u2netp.onnx"
    path.write_bytes(to_onnx(drawn(), width=96, height=64, precision="f32"))
    return path


@pytest.fixture(scope="module")
def folded() -> dict[str, Any]:
    network = drawn()
    for_inference(network)
    return dict(network.state_dict())


def changed(path: Path, change: Callable[[Any], object]) -> Path:
    """A copy of the file `path` after `change` of what is in it."""
    file = onnx.load(path)
    change(file)
    copy = path.with_name("changed.onnx")
    onnx.save(file, copy)
    return copy


def same(network: Any, wanted: dict[str, Any]) -> bool:
    found = dict(network.state_dict())
    return found.keys() == wanted.keys() and all(torch.equal(found[name], each) for name, each in wanted.items())


def numbered(file: Any) -> None:
    """As torch's old exporter wrote it: weights by number, and not a word of what it is."""
    del file.metadata_props[:]
    names = {each.name: str(number) for number, each in enumerate(file.graph.initializer, start=700)}
    for each in file.graph.initializer:
        each.name = names[each.name]
    for node in file.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]


def convolution(file: Any) -> Any:
    """The first that is dilated."""
    convolutions = (node for node in file.graph.node if node.op_type == "Conv")
    return next(node for node in convolutions if dilations(node) == [2, 2])


def dilations(node: Any) -> list[int]:
    return next(list(each.ints) for each in node.attribute if each.name == "dilations")


def test_ours(ours: Path, folded: dict[str, Any]) -> None:
    found = read_onnx(ours)
    assert same(found.network, folded)
    assert (found.width, found.height, found.halved) == (96, 64, False)
    assert found.network.facts == {"architecture": "u2netp"}
    assert not found.network.training
    network = drawn()
    with torch.no_grad():
        for picture in pictures(64, 96).values():
            torch.testing.assert_close(from_onnx(ours)(picture), network(picture), atol=1e-5, rtol=0)


def test_ours_in_fp16_becomes_float32(ours: Path, folded: dict[str, Any]) -> None:
    def halve(file: Any) -> None:
        for each in file.graph.initializer:
            if each.data_type == onnx.TensorProto.FLOAT:
                each.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(each).astype(np.float16), each.name))
        next(each for each in file.metadata_props if each.key == "streammatte.precision").value = "fp16"

    found = read_onnx(changed(ours, halve))
    assert found.halved
    assert same(found.network, {name: each.half().float() for name, each in folded.items()})


def test_a_parameter_that_has_a_twin(ours: Path, folded: dict[str, Any]) -> None:
    """The exporter keeps one of those that have the same values."""
    first, other = "side1.bias", "side2.bias"

    def merge(file: Any) -> None:
        kept = [each for each in file.graph.initializer if each.name != f"network.{other}"]
        del file.graph.initializer[:]
        file.graph.initializer.extend(kept)
        next(
            each for each in file.metadata_props if each.key == "streammatte.twins"
        ).value = f'{{"{other}": "{first}", "side6.bias": ""}}'

    assert same(from_onnx(changed(ours, merge)), folded | {other: folded[first]})


def test_rembgs(ours: Path, folded: dict[str, Any]) -> None:
    found = read_onnx(changed(ours, numbered))
    assert same(found.network, folded)
    assert found.network.facts == {"architecture": "u2netp"}
    assert (found.width, found.height, found.halved) == (96, 64, False)


def _computed_weight(file: Any) -> None:
    node = convolution(file)
    name = node.input[1]
    node.input[1] = "computed"
    file.graph.node.insert(0, onnx.helper.make_node("Identity", [name], ["computed"]))


def _other_dilation(file: Any) -> None:
    next(each for each in convolution(file).attribute if each.name == "dilations").ints[:] = [3, 3]


def _no_padding(file: Any) -> None:
    node = convolution(file)
    kept = [each for each in node.attribute if each.name != "pads"]
    del node.attribute[:]
    node.attribute.extend(kept)


def _other_shape(file: Any) -> None:
    name = convolution(file).input[1]
    weight = next(each for each in file.graph.initializer if each.name == name)
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight)[..., :1], name))


def _one_more(file: Any) -> None:
    file.graph.node.append(file.graph.node[0])


@pytest.mark.parametrize("change", [_computed_weight, _other_dilation, _no_padding, _other_shape, _one_more])
def test_what_is_only_like_rembgs(change: Callable[[Any], None], ours: Path) -> None:
    def both(file: Any) -> None:
        numbered(file)
        change(file)

    with pytest.raises(ModelError, match=UNKNOWN):
        read_onnx(changed(ours, both))


def test_another_network(tmp_path: Path) -> None:
    path = write_network(tmp_path / "tiny.onnx")
    with pytest.raises(ModelError, match=re.escape(f"{path}: {UNKNOWN}")) as caught:
        from_onnx(path)
    assert "\n" not in str(caught.value)


def test_ours_with_a_hole(ours: Path) -> None:
    def drop(file: Any) -> None:
        kept = [each for each in file.graph.initializer if each.name != f"network.{FIRST}"]
        del file.graph.initializer[:]
        file.graph.initializer.extend(kept)

    with pytest.raises(ModelError, match=rf"changed\.onnx: weights of another network: {FIRST} is missing"):
        from_onnx(changed(ours, drop))


def test_ours_of_a_later_version(ours: Path) -> None:
    def rename(file: Any) -> None:
        next(each for each in file.metadata_props if each.key == "streammatte.architecture").value = "u3net"

    with pytest.raises(ModelError, match="u3net: no such network"):
        from_onnx(changed(ours, rename))


@pytest.mark.parametrize("content", [None, b"", b"not a network", b"\x08\x0a"])
def test_files_that_are_no_networks(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "not.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=re.escape(str(path))) as caught:
        from_onnx(path)
    assert "\n" not in str(caught.value)


@pytest.mark.export
def test_exported_again_it_is_the_same_file(ours: Path) -> None:
    again = to_onnx(from_onnx(ours), width=96, height=64, precision="f32")
    assert again == ours.read_bytes()


@pytest.mark.export
@pytest.mark.parametrize("patches", ["columns", "planes"])
def test_a_birefnet(patches: PatchOrder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its linear layers, norms and bias tables too, whatever the exporter would fold them into."""
    monkeypatch.setitem(SWINS, "tiny", TINY_SWIN)
    torch.manual_seed(8)
    network = build("birefnet", backbone="tiny", patches=patches)
    unsettle(network)
    wanted = [network(picture).detach() for picture in pictures(64, 64).values()]
    path = tmp_path / "birefnet.onnx"
    path.write_bytes(to_onnx(network, width=64, height=64, precision="f32"))
    found = from_onnx(path)
    assert same(found, dict(network.state_dict()))
    assert found.facts == {"architecture": "birefnet:tiny", "patches": patches}
    with torch.no_grad():
        for picture, alpha in zip(pictures(64, 64).values(), wanted, strict=True):
            torch.testing.assert_close(found(picture), alpha, atol=1e-4, rtol=0)
    assert to_onnx(found, width=64, height=64, precision="f32") == path.read_bytes()
