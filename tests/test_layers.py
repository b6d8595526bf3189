"""Who may import whom.

    errors transfer color frame inspection catalog_facts catalog_table subject               values
      <- kernels                                                                             pixels
      <- ports registry config catalog meter handoff worker cuts engine_cache
         motion keyframes parallel batches late lookahead holders srt nvidia agreement       core
      <- sources sinks runtimes networks stabilizers refiners foregrounds backgrounds
         compositors arithmetics weights quantization obs device subjects students prompts   rooms, of adapters
      <- compositor parity int8 halving verdict loading inventory upkeep matter inspector
         report quality ledger tracking inference composing composing_device reporting pipeline
         live scoring mosaic contestant own_model own_network trimap_file trimap_network
         face_network sampling scenes schooling student tandem                               stages
      <- assembly assembly_live assembly_device parts parts_device parts_student
         parts_subject calibrating exporting comparing guided tuning                         assembly
      <- cli                                                                                 cli

A module imports from the layers before its own. Values may import values and stages stages; core modules do not know
each other, and a room knows no other room. What is done to every pixel is in kernels, and so is what compiles it.
Stages work through ports, so they import no room, with three exceptions: loading a model (matter, loading, int8,
halving, verdict, own_model, own_network, trimap_network, face_network) and saying what was built for it (inventory,
upkeep) mean getting at its weights, and quantising them or, for fp16, exporting its network anew; teaching a student
(sampling, schooling) means speaking to the room that does. The package's own `__init__` stands
beside assembly. The command line goes through assembly and the core; of the rooms it knows the two that have commands
of their own, weights (`streammatte models`) and obs. Only the command line prints.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import streammatte
from streammatte import registry

ROOT = Path(streammatte.__file__).parent
VALUES = {"errors", "transfer", "color", "frame", "inspection", "catalog_facts", "catalog_table", "subject"}
PIXELS = {"kernels"}
CORE = {
    "ports",
    "registry",
    "config",
    "catalog",
    "meter",
    "handoff",
    "worker",
    "cuts",
    "engine_cache",
    "motion",
    "keyframes",
    "parallel",
    "batches",
    "late",
    "holders",
    "srt",
    "nvidia",
    "lookahead",
    "agreement",
}
ROOMS = {
    "sources",
    "sinks",
    "runtimes",
    "networks",
    "stabilizers",
    "refiners",
    "foregrounds",
    "backgrounds",
    "compositors",
    "arithmetics",
    "weights",
    "quantization",
    "obs",
    "device",
    "subjects",
    "students",
    "prompts",
}
STAGES = {
    "compositor",
    "parity",
    "int8",
    "loading",
    "inventory",
    "matter",
    "inspector",
    "report",
    "quality",
    "ledger",
    "inference",
    "tracking",
    "verdict",
    "halving",
    "upkeep",
    "composing",
    "composing_device",
    "reporting",
    "pipeline",
    "live",
    "scoring",
    "mosaic",
    "contestant",
    "own_model",
    "own_network",
    "trimap_file",
    "trimap_network",
    "face_network",
    "sampling",
    "scenes",
    "schooling",
    "student",
    "tandem",
}
TOP = {
    *("assembly", "assembly_device", "assembly_live", "parts", "parts_device"),
    *("calibrating", "exporting", "comparing", "tuning", "guided", "parts_student", "parts_subject"),
    *("", "cli", "__main__"),
}
"""\"\" is the package's own __init__; __main__ is the command line under another name."""
ROOMS_OF_STAGES = {
    "matter": {"weights"},
    "loading": {"weights"},
    "int8": {"weights", "quantization"},
    "halving": {"weights", "networks"},
    "verdict": {"weights"},
    "upkeep": {"weights"},
    "inventory": {"weights", "quantization"},
    "own_model": {"weights"},
    "own_network": {"weights"},
    "trimap_network": {"weights"},
    "face_network": {"weights"},
    "sampling": {"students"},
    "schooling": {"students"},
}

LIBRARIES = {  # every library, and the parts that may know it; None: any
    "numpy": None,
    "cv2": ROOMS
    | {"kernels", "cuts", "motion", "matter", "parity", "inspector", "live", "mosaic", "trimap_file", "face_network"}
    | {"agreement", "scenes", "student"},
    "numba": {"kernels"},
    "av": {"sources", "sinks", "arithmetics", "obs"},
    "onnxruntime": {"runtimes"},
    "openvino": {"runtimes"},
    "PIL": {"arithmetics", "refiners"},
    "pymatting": {"refiners"},
    "onnx": {"weights", "networks", "quantization", "int8", "students"},
    "tflite": {"weights"},
    "platformdirs": {"weights", "cli", "live", "ledger", "scenes"},
    "pyvirtualcam": {"sinks"},
    "obsws_python": {"obs"},
    "websocket": {"obs"},
    "torch": {
        "kernels",
        "networks",
        "students",
        "exporting",
        "prompts",
        "runtimes",
        "sources",
        "sinks",
        "device",
        "stabilizers",
        "refiners",
        "foregrounds",
        "backgrounds",
        "compositors",
        "arithmetics",
    },
    "onnxscript": {"networks"},
    "tensorrt": {"runtimes"},
    "tensorrt_rtx": {"runtimes"},
    "safetensors": {"networks"},
    "transformers": {"prompts"},
    "huggingface_hub": {"prompts"},
    "webcolors": {"parts"},
    "click": {"cli"},
    "rich": {"cli"},
}
"""One heavy library to a room; OpenCV is the house's arithmetic, as NumPy is, to those that have frames."""


def allowed(part: str) -> set[str]:
    """The other parts that `part` may import from."""
    if part in VALUES | PIXELS:
        return VALUES
    if part in CORE:
        return VALUES | PIXELS
    below = VALUES | PIXELS | CORE
    if part in ROOMS:
        return below
    if part in STAGES:
        return below | STAGES | ROOMS_OF_STAGES.get(part, set())
    everything = below | STAGES | {"assembly"}
    top = {
        "parts": below | STAGES | ROOMS | {"parts_subject"},
        "parts_subject": below | STAGES | ROOMS,
        "parts_device": below | STAGES | ROOMS | {"parts"},
        "parts_student": below | STAGES,
        "assembly_live": below | STAGES | ROOMS | {"parts", "parts_student", "parts_subject"},
        "assembly_device": below | STAGES | ROOMS | {"parts", "parts_device"},
        "assembly": everything
        | ROOMS
        | {"parts", "parts_device", "parts_student", "parts_subject", "assembly_live", "assembly_device"},
        "calibrating": everything | ROOMS,
        "comparing": everything | ROOMS | {"parts"},
        "guided": below | STAGES | ROOMS | {"parts"},
        "tuning": everything | ROOMS | {"parts", "guided"},
        "exporting": below | ROOMS,
        "": everything,
        "cli": everything | {"calibrating", "exporting", "comparing", "tuning", "", "weights", "obs"},
        "__main__": {"cli"},
    }
    return top[part]


# reading imports


def module_names() -> list[str]:
    """streammatte.frame, streammatte.sources, streammatte.sources.file, ..."""
    files = [path.relative_to(ROOT.parent).with_suffix("") for path in ROOT.rglob("*.py")]
    return sorted(".".join(file.parts).removesuffix(".__init__") for file in files)


MODULES = module_names()


@cache
def tree_of(module: str) -> ast.Module:
    path = ROOT.parent.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def imports(tree: ast.AST) -> Iterator[str]:
    """The modules that are imported anywhere in `tree`; `from package import module` counts as the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


def part_of(module: str) -> str:
    """The room or the module of the first level; "" for the package itself."""
    return module.partition(".")[2].partition(".")[0]


def outside(tree: ast.AST) -> set[str]:
    """Top-level names of what is imported from outside the package and the standard library."""
    return {name.partition(".")[0] for name in imports(tree)} - sys.stdlib_module_names - {"streammatte"}


def prints(tree: ast.AST) -> Iterator[str]:
    """What in `tree` puts text on the terminal."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield f"line {node.lineno}: print"
        if isinstance(node, ast.Attribute) and node.attr in ("echo", "secho", "stdout", "stderr"):
            owner = node.value.id if isinstance(node.value, ast.Name) else "?"
            if (owner, node.attr) in {("click", "echo"), ("click", "secho"), ("sys", "stdout"), ("sys", "stderr")}:
                yield f"line {node.lineno}: {owner}.{node.attr}"


# the rules


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module: str) -> None:
    part = part_of(module)
    known = VALUES | PIXELS | CORE | ROOMS | STAGES | TOP
    assert part in known, f"{module} is new: say in tests/test_layers.py to which layer it belongs"
    inside = {part_of(name) for name in imports(tree_of(module)) if name.partition(".")[0] == "streammatte"}
    assert inside - {part} <= allowed(part), module


@pytest.mark.parametrize("module", MODULES)
def test_libraries_stay_in_their_rooms(module: str) -> None:
    for library in outside(tree_of(module)):
        assert library in LIBRARIES, f"{module} imports {library}: neither a dependency nor in the package"
        rooms = LIBRARIES[library]
        assert rooms is None or part_of(module) in rooms, f"{module} imports {library}"


PROGRAMS = {"streammatte.sinks.streams.rtmp_child"}
"""Run as processes of their own; what they print is for us."""


@pytest.mark.parametrize("module", [m for m in MODULES if part_of(m) != "cli" and m not in PROGRAMS])
def test_only_the_command_line_prints(module: str) -> None:
    assert list(prints(tree_of(module))) == []


@pytest.mark.parametrize("module", [module for module in MODULES if part_of(module) == "runtimes"])
def test_a_runtimes_library_is_imported_when_asked_for(module: str) -> None:
    """So that one that is absent or broken can be passed over."""
    at_import = [node for node in tree_of(module).body if isinstance(node, ast.Import | ast.ImportFrom)]
    loaded = {name for node in at_import for name in outside(node)}
    assert loaded <= {"numpy", "cv2"}


def test_nothing_imports_in_a_circle() -> None:
    graph = {module: {name for name in imports(tree_of(module)) if name in MODULES} for module in MODULES}
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join((*way[way.index(module) :], module)) if module in way else ""
        if module not in done:
            for name in graph[module]:
                visit(name, (*way, module))
            done.add(module)

    for module in MODULES:
        visit(module, ())


def test_the_registry_names_modules_of_rooms() -> None:
    tables = (value for name, value in vars(registry).items() if name.isupper())
    targets = [entry.target for table in tables for entry in table.values()]
    assert targets
    assert {part_of(target.partition(":")[0]) for target in targets} <= ROOMS
    assert {target.partition(":")[0] for target in targets} <= set(MODULES)


def test_every_part_has_one_layer() -> None:
    layers = (VALUES, PIXELS, CORE, ROOMS, STAGES, TOP)
    assert sum(len(layer) for layer in layers) == len(set().union(*layers))


# the reading itself


def test_imports_are_read_wherever_they_stand() -> None:
    source = """
from streammatte import registry, Matter
from streammatte.kernels import host
import streammatte.sinks.file as sink, av.container
if TYPE_CHECKING:
    import openvino
def later():
    from PIL import Image
    import os
"""
    tree = ast.parse(source)
    assert set(imports(tree)) == {
        "streammatte",
        "streammatte.registry",
        "streammatte.kernels.host",
        "streammatte.sinks.file",
        "av.container",
        "openvino",
        "PIL",
        "os",
    }
    assert outside(tree) == {"av", "openvino", "PIL"}
    assert [part_of(name) for name in ("streammatte", "streammatte.frame", "streammatte.sinks.file")] == [
        "",
        "frame",
        "sinks",
    ]


def test_prints_are_read_wherever_they_stand() -> None:
    source = (
        "import sys\ndef f():\n    print(1)\n    click.echo(2)\n    sys.stderr.write('3')\n    pprint(4)\n    a.echo\n"
    )
    assert list(prints(ast.parse(source))) == ["line 3: print", "line 4: click.echo", "line 5: sys.stderr"]


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("frame", "ports"),
        ("kernels", "ports"),
        ("kernels", "motion"),
        ("parallel", "motion"),
        ("sinks", "sources"),
        ("backgrounds", "sources"),
        ("weights", "matter"),
        ("pipeline", "sinks"),
        ("matter", "runtimes"),
        ("pipeline", "assembly"),
        ("assembly", "cli"),
        ("cli", "sinks"),
        ("matter", ""),
    ],
)
def test_what_is_forbidden(part: str, other: str) -> None:
    assert other not in allowed(part)
