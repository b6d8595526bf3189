"""What the code uses of TensorRT is there in each version that it is for.

`tests/golden/tensorrt` holds the public names of the classes used, of one 10.x, one 11.x and one RTX; the names used
are read from the code. To compare these lists with the real bindings, or to write them anew:

    pip download --no-deps -d FOLDER tensorrt-cu13-bindings==11.4.0.106
    STREAMMATTE_TENSORRT_BINDINGS=FOLDER pytest tests/unit/test_tensorrt_names.py
    STREAMMATTE_TENSORRT_BINDINGS=FOLDER python tests/unit/test_tensorrt_names.py

The bindings are compiled against libraries that are not on every package index; a stub with their nine symbols will do.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "tensorrt"
RTX = "tensorrt_rtx"

OBJECTS = {
    "builder": "Builder",
    "config": "IBuilderConfig",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "error": "ParserError",
    "source": "ITensor",
    "end": "ITensor",
    "runtime": "Runtime",
    "engine": "ICudaEngine",
    "_context": "IExecutionContext",
    "runtime_config": "IRuntimeConfig",
    "_lent": "IRuntimeCache",
    "cache": "ITimingCache",
}
"""What variables and attributes of these names hold."""

ONLY_RTX = {
    "ComputeCapability",
    "EngineInvalidityDiagnostics",
    "EngineInvalidityDiagnostics.CUDA_ERROR",
    "EngineInvalidityDiagnostics.INSUFFICIENT_GPU_MEMORY",
    "EngineInvalidityDiagnostics.MALFORMED_ENGINE",
    "EngineInvalidityDiagnostics.OLD_CUDA_DRIVER",
    "EngineInvalidityDiagnostics.OLD_CUDA_RUNTIME",
    "EngineInvalidityDiagnostics.UNSUPPORTED_CC",
    "EngineInvalidityDiagnostics.VERSION_MISMATCH",
    "EngineValidity",
    "EngineValidity.INVALID",
    "IBuilderConfig.num_compute_capabilities",
    "IBuilderConfig.set_compute_capability",
    "IRuntimeCache.deserialize",
    "IRuntimeConfig.create_runtime_cache",
    "IRuntimeConfig.set_runtime_cache",
    "Runtime.engine_header_size",
    "Runtime.get_engine_validity",
}
"""Used under `library.rtx` alone; tests/unit/test_tensorrt_load.py would find them elsewhere."""

CLASSES = [
    "Builder",
    "BuilderFlag",
    "ComputeCapability",
    "EngineInvalidityDiagnostics",
    "EngineValidity",
    "IBuilderConfig",
    "ICudaEngine",
    "IExecutionContext",
    "IHostMemory",
    "ILogger",
    "INetworkDefinition",
    "IProgressMonitor",
    "IRuntimeCache",
    "IRuntimeConfig",
    "ITensor",
    "ITimingCache",
    "NetworkDefinitionCreationFlag",
    "OnnxParser",
    "ParserError",
    "Runtime",
    "TensorIOMode",
]
FUNCTIONS = ("init_libnvinfer_plugins", "float32")


# what the code uses


def names_used() -> set[str]:
    """`Class.member`, or what stands in the module itself."""
    files = [ROOT / "streammatte" / "runtimes" / "tensorrt.py", *(ROOT / "streammatte" / "runtimes").glob("trt_*.py")]
    return {name for file in files for name in _used(ast.parse(file.read_text(encoding="utf-8")))}


def _used(tree: ast.Module) -> Iterator[str]:
    aliases = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            chain = _chain(node.value)
            if chain is not None and _of_module(chain):
                aliases[node.targets[0].id] = _of_module(chain)
    for node in ast.walk(tree):
        chain = _chain(node)
        if chain is None or len(chain) < 2:
            continue
        in_module = _of_module(chain)
        if in_module and in_module[0] != "__version__":
            yield ".".join(in_module[:3] if in_module[:2] == ("ILogger", "Severity") else in_module[:2])
        elif chain[0] in aliases:
            yield ".".join((*aliases[chain[0]], chain[1]))
        elif chain[-2] in OBJECTS and not chain[-1].startswith("_"):
            yield f"{OBJECTS[chain[-2]]}.{chain[-1]}"


def _chain(node: ast.AST) -> tuple[str, ...] | None:
    """a.b.c as ("a", "b", "c")."""
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute):
        before = _chain(node.value)
        return None if before is None else (*before, node.attr)
    return None


def _of_module(chain: tuple[str, ...]) -> tuple[str, ...]:
    """What follows the library's module; nothing where it is not of it."""
    for index, name in enumerate(chain):
        if name in ("trt", "module"):
            return chain[index + 1 :]
    return ()


def test_the_names_are_found() -> None:
    used = names_used()
    assert {
        "BuilderFlag.TF32",
        "NetworkDefinitionCreationFlag.STRONGLY_TYPED",
        "ILogger.Severity.ERROR",
        "IBuilderConfig.progress_monitor",
        "IExecutionContext.execute_async_v3",
        "INetworkDefinition.unmark_output",
        "ITensor.shape",
        "ParserError.node_operator",
        "TensorIOMode.INPUT",
        "init_libnvinfer_plugins",
        "float32",
        *ONLY_RTX,
    } <= used
    assert {name.partition(".")[0] for name in used} <= {*CLASSES, *FUNCTIONS}, "what else is used is to be recorded"


@cache
def recorded(file: Path) -> frozenset[str]:
    return frozenset(file.read_text(encoding="utf-8").split())


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.txt")), ids=lambda file: file.stem)
def test_every_version_has_what_is_used(file: Path) -> None:
    missing = names_used() - recorded(file)
    assert missing == (set() if file.stem.startswith(RTX) else ONLY_RTX)


def test_there_is_a_list_for_each_that_we_support() -> None:
    assert {tuple(file.stem.split(".")[0].rsplit("-", 1)) for file in GOLDEN.glob("*.txt")} == {
        ("tensorrt", "10"),
        ("tensorrt", "11"),
        (RTX, "1"),
    }


# the real bindings

_LIST = f"""
def listed(trt):
    members = {{each for each in {FUNCTIONS} if hasattr(trt, each)}}
    for name in {CLASSES}:
        if hasattr(trt, name):
            members |= {{name}} | {{f"{{name}}.{{each}}" for each in dir(getattr(trt, name)) if each[0] != "_"}}
    members |= {{f"ILogger.Severity.{{each}}" for each in trt.ILogger.Severity.__members__}}
    return sorted(members)
"""
_SYMBOLS = [
    "createInferBuilder_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createInferRuntime_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "createNvOnnxParser_INTERNAL",
    "getBuilderPluginRegistry",
    "getNvOnnxParserVersion",
    "getPluginRegistry",
    "initLibNvInferPlugins",
]


def listed_by(code: str, environment: dict[str, str]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def unpacked(wheel: Path, folder: Path) -> dict[str, str]:
    """The environment in which `tensorrt` is what the wheel holds, over libraries that can do nothing."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    major = wheel.name.split("-")[1].partition(".")[0]
    (folder / "stub.c").write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in _SYMBOLS))
    for name in ("nvinfer", "nvinfer_plugin", "nvonnxparser"):
        file = f"lib{name}.so.{major}"
        subprocess.run(
            ["cc", "-shared", "-fPIC", f"-Wl,-soname,{file}", "-o", folder / file, folder / "stub.c"], check=True
        )
    (folder / "tensorrt.py").write_text("from tensorrt_bindings import *\nfrom tensorrt_bindings import __version__\n")
    return {"LD_LIBRARY_PATH": str(folder), "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}


def wheels() -> list[Path]:
    folder = os.environ.get("STREAMMATTE_TENSORRT_BINDINGS")
    return sorted(Path(folder).glob("tensorrt_cu*_bindings-*.whl")) if folder else []


def golden_of(wheel: Path) -> Path:
    return GOLDEN / f"tensorrt-{wheel.name.split('-')[1]}.txt"


@pytest.fixture(params=wheels() or [None], ids=lambda wheel: wheel.name if wheel else "none")
def bindings(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    if request.param is None:
        pytest.skip("set STREAMMATTE_TENSORRT_BINDINGS to a folder with wheels of tensorrt-cu13-bindings")
    if shutil.which("cc") is None:
        pytest.skip("no C compiler for the stub")
    return request.param, unpacked(request.param, tmp_path)


def test_the_lists_are_those_of_the_real_bindings(bindings: tuple[Path, dict[str, str]]) -> None:
    wheel, environment = bindings
    found = listed_by(f"{_LIST}\nimport tensorrt\nprint(*listed(tensorrt))", environment)
    assert frozenset(found) == recorded(golden_of(wheel))


def test_real_bindings_take_our_logger_and_fail_in_words(bindings: tuple[Path, dict[str, str]]) -> None:
    """Without their libraries they make no builder; all before and after is what it is with them."""
    code = """
    from pathlib import Path
    from streammatte.errors import RuntimeUnavailable
    from streammatte.runtimes.trt_building import Blueprint, build_plan
    from streammatte.runtimes.trt_library import opened
    from streammatte.runtimes.trt_progress import Watch, monitor
    library = opened("tensorrt")
    monitor(library.module, Watch()).phase_start("A", None, 2)
    library.logger.log(library.module.ILogger.Severity.ERROR, "heard by nobody")
    try:
        build_plan(library, Blueprint(Path("absent.onnx"), 0, "f32", ""))
    except RuntimeUnavailable as error:
        print(library.version, error.reasons["tensorrt"])
    """
    wheel, environment = bindings
    said = " ".join(listed_by(code, environment))
    assert re.match(rf"tensorrt {wheel.name.split('-')[1]} cannot read the network: .*nullptr", said), said


@pytest.mark.rtx
def test_the_list_of_rtx_is_that_of_the_real_one() -> None:
    trt = pytest.importorskip(RTX, reason="pip install 'streammatte[tensorrt-rtx]'")
    file = GOLDEN / f"{RTX}-{trt.__version__}.txt"
    found = frozenset(listed_by(f"{_LIST}\nimport {RTX}\nprint(*listed({RTX}))", {}))
    assert names_used() <= found
    if file.is_file():
        assert found == recorded(file)


def _record() -> None:
    """Write the lists of whatever is at hand."""
    import tempfile
    from importlib import import_module
    from importlib.util import find_spec

    for wheel in wheels():
        with tempfile.TemporaryDirectory() as place:
            code = f"{_LIST}\nimport tensorrt\nprint(*listed(tensorrt), sep='\\n')"
            found = listed_by(code, unpacked(wheel, Path(place)))
        golden_of(wheel).write_text("\n".join(found) + "\n", encoding="utf-8")
    if find_spec(RTX) is not None:
        found = listed_by(f"{_LIST}\nimport {RTX}\nprint(*listed({RTX}), sep='\\n')", {})
        (GOLDEN / f"{RTX}-{import_module(RTX).__version__}.txt").write_text("\n".join(found) + "\n", encoding="utf-8")


if __name__ == "__main__":
    _record()
