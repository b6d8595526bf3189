"""Exported graphs: what is in them, and that runtimes say what torch says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import openvino
import pytest
from onnx import TensorProto

torch = pytest.importorskip("torch", reason="pip install 'streammatte[torch]'")
pytest.importorskip("onnxscript", reason="pip install 'streammatte[torch]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="pip install 'streammatte[onnxruntime]'")

from tiny_networks import pictures, sample_network, tiny_birefnet, unsettle  # noqa: E402

from streammatte.networks import build  # noqa: E402
from streammatte.networks.export import OPSET, ExportPrecision, to_onnx  # noqa: E402
from streammatte.networks.precision import for_inference, halve  # noqa: E402

LIMITS: dict[ExportPrecision, float] = {"f32": 1e-4, "fp16": 2e-3}
IN_FLOAT32 = {"LayerNormalization", "Softmax", "Sigmoid", "GridSample", "ReduceMean"}
H, W = 64, 96

Run = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]


def in_onnxruntime(path: Path) -> Run:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda rgb: session.run(["alpha"], {"rgb": rgb})[0]


def in_openvino(path: Path) -> Run:
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda rgb: compiled({"rgb": rgb})["alpha"]


def apart(network: torch.nn.Module, run: Run, height: int, width: int) -> dict[str, float]:
    """Of each picture, the greatest difference of alpha."""
    with torch.no_grad():
        return {
            name: float(np.abs(network(rgb).numpy() - run(rgb.numpy())).max())
            for name, rgb in pictures(height, width).items()
        }


@pytest.fixture(scope="module", params=["f32", "fp16"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ExportPrecision]:
    path = tmp_path_factory.mktemp("exported") / f"{request.param}.onnx"
    path.write_bytes(to_onnx(sample_network(), width=W, height=H, precision=request.param))
    return path, request.param


@pytest.mark.parametrize("load", [in_onnxruntime, in_openvino])
def test_runtimes_say_what_torch_says(exported: tuple[Path, ExportPrecision], load: Callable[[Path], Run]) -> None:
    path, precision = exported
    differences = apart(sample_network(), load(path), H, W)
    assert max(differences.values()) <= LIMITS[precision], differences


def test_what_is_in_the_file(exported: tuple[Path, ExportPrecision]) -> None:
    path, _ = exported
    network = onnx.shape_inference.infer_shapes(onnx.load(path))
    onnx.checker.check_model(network, full_check=True)
    assert [(each.domain, each.version) for each in network.opset_import] == [("", OPSET)]
    graph = network.graph
    ends = [(end.name, [d.dim_value for d in end.type.tensor_type.shape.dim]) for end in (*graph.input, *graph.output)]
    assert ends == [("rgb", [1, 3, H, W]), ("alpha", [1, 1, H, W])]
    assert {end.type.tensor_type.elem_type for end in (*graph.input, *graph.output)} == {TensorProto.FLOAT}
    operators = [node.op_type for node in graph.node]
    assert operators.count("GridSample") == 4, "one for each deformable convolution"
    assert not {"DeformConv", "GatherND", "BatchNormalization", "Range"} & set(operators)


def test_what_is_computed_in_which_type(exported: tuple[Path, ExportPrecision]) -> None:
    path, precision = exported
    network = onnx.shape_inference.infer_shapes(onnx.load(path))
    graph = network.graph
    types = {"": 0} | {each.name: each.data_type for each in graph.initializer}
    types |= {each.name: each.type.tensor_type.elem_type for each in (*graph.value_info, *graph.input, *graph.output)}
    heavy = TensorProto.FLOAT16 if precision == "fp16" else TensorProto.FLOAT
    for node in graph.node:
        given = {types[name] for name in node.input if types[name] in (TensorProto.FLOAT, TensorProto.FLOAT16)}
        if node.op_type in IN_FLOAT32:
            assert given == {TensorProto.FLOAT}, node.op_type
        if node.op_type in ("Conv", "MatMul", "Gemm"):
            assert given == {heavy}, node.name


def test_parameters_are_there_by_name(exported: tuple[Path, ExportPrecision]) -> None:
    path, precision = exported
    network = onnx.load(path)
    facts = {each.key: each.value for each in network.metadata_props}
    twins = json.loads(facts.pop("streammatte.twins"))
    assert facts == {"streammatte.precision": precision}
    found = {each.name: onnx.numpy_helper.to_array(each) for each in network.graph.initializer}
    ours = sample_network()
    for_inference(ours)
    if precision == "fp16":
        halve(ours)
    for name, each in ours.named_parameters():
        twin = twins.get(name, name)
        held = found[f"network.{twin}"] if twin else np.zeros(each.shape)
        assert np.array_equal(held, each.detach().numpy()), name
    assert set(twins) <= {name for name, _ in ours.named_parameters() if ".norm" in name}, "fresh norms are all alike"
    assert twins


def test_it_says_what_it_is() -> None:
    network = torch.nn.Conv2d(3, 1, 1)
    network.facts = {"architecture": "birefnet:tiny", "patches": "columns"}
    read = onnx.load_from_string(to_onnx(network, width=W, height=H, precision="f32"))
    facts = {each.key: each.value for each in read.metadata_props}
    assert facts.pop("streammatte.twins")
    assert facts == {
        "streammatte.architecture": "birefnet:tiny",
        "streammatte.patches": "columns",
        "streammatte.precision": "f32",
    }


def test_nothing_of_the_machine_is_in_it(exported: tuple[Path, ExportPrecision]) -> None:
    path, _ = exported
    network = onnx.load(path)
    assert not [node.name for node in network.graph.node if node.metadata_props or node.doc_string]
    for trace in (str(Path(__file__).parents[2]), "site-packages"):
        assert trace.encode() not in path.read_bytes()


@pytest.mark.export
def test_the_same_bytes_each_time(exported: tuple[Path, ExportPrecision]) -> None:
    path, precision = exported
    assert path.read_bytes() == to_onnx(sample_network(), width=W, height=H, precision=precision)


@pytest.mark.export
@pytest.mark.parametrize("precision", ["f32", "fp16"])
@pytest.mark.parametrize(
    ("name", "height", "width"),
    [
        ("tiny", 96, 160),
        ("u2net", 320, 320),
        ("u2netp", 320, 320),
        ("birefnet:swin_v1_t", 256, 256),
        ("birefnet:swin_v1_t", 576, 1024),
    ],
)
def test_whole_networks(name: str, height: int, width: int, precision: ExportPrecision, tmp_path: Path) -> None:
    torch.manual_seed(0)
    kind, _, backbone = name.partition(":")
    network = tiny_birefnet() if name == "tiny" else build(kind, backbone=backbone)
    unsettle(network)
    state = {key: each.clone() for key, each in network.state_dict().items()}
    path = tmp_path / "network.onnx"
    path.write_bytes(to_onnx(network, width=width, height=height, precision=precision))
    fresh = tiny_birefnet() if name == "tiny" else build(kind, backbone=backbone)
    fresh.load_state_dict(state)
    for load in (in_onnxruntime, in_openvino):
        differences = apart(fresh, load(path), height, width)
        assert max(differences.values()) <= LIMITS[precision], differences
