"""A model by its name in the catalogue, or by the path of a user's own file: an ONNX network, or a TOML about one.

What their licences allow is for whoever brings them to know: none of them is asked about. `--commercial` refuses all
but those whose TOML states that commercial use is allowed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from streammatte.catalog import Model, WeightSource, catalog, read_model, with_class
from streammatte.catalog import model as model_in_catalog
from streammatte.errors import ModelError
from streammatte.own_network import bare_model
from streammatte.scenes import PREFIX, scene_toml
from streammatte.weights.cache import sha256_of
from streammatte.weights.checking import complaint
from streammatte.weights.converting import converter
from streammatte.weights.onnx_ends import End, read_ends

__all__ = ["accepting", "model_named", "scene_model"]

_SUFFIXES = (".onnx", ".toml")


def model_named(name: str | Path) -> Model:
    """The model that `name` means: one of the catalogue's, a scene, or what the file of that path is or describes.

    After a colon stands which of its classes is kept, where it tells some apart.
    A file with the bytes of a model of the catalogue is that model, licence and all. Raises ModelError for an unknown
    name, a file that is missing, and one that is no network of one picture in, one alpha out; StudentError for an
    unknown scene.
    """
    words = str(name)
    if words.startswith(PREFIX):
        return scene_model(scene_toml(words))
    file, colon, chosen = words.rpartition(":")
    if colon and Path(file).suffix.lower() in _SUFFIXES:
        return with_class(model_named(file), chosen)
    path = Path(words).expanduser().absolute()
    if path.suffix.lower() not in _SUFFIXES:
        if Path(words).name == words:
            return model_in_catalog(words)
        raise ModelError(f"{words}: expected an ONNX file (.onnx) or a TOML about a model (.toml), see docs/models.md")
    if not path.is_file():
        raise ModelError(f"{words}: no such file; check the path")
    if path.suffix.lower() == ".toml":
        return _described(path)
    sha256 = sha256_of(path)
    return _of_the_catalog(path, sha256) or bare_model(path, sha256)


def scene_model(toml: Path) -> Model:
    """The student of the scene whose TOML this is; called scene:NAME, whatever else goes by that name."""
    model = _used_in_place(replace(read_model(toml), own=True), toml)
    return replace(model, name=f"{PREFIX}{toml.stem}", cache=toml.parent)


def accepting(model: Model, accept_licence: Collection[str]) -> Collection[str]:
    """`accept_licence`, or the model's own name where the user brought it."""
    return [model.name] if model.own else accept_licence


def _of_the_catalog(file: Path, sha256: str) -> Model | None:
    """The model whose bytes these are."""
    size = file.stat().st_size
    alike = [each for each in catalog().values() if each.format == "onnx" and each.size_bytes in (None, size)]
    md5 = _md5_of(file) if any(each.md5 for each in alike) else None
    for model in alike:
        if sha256 == model.sha256 or md5 == model.md5:
            here = replace(model, sources=(WeightSource("path", path=str(file)),))
            return here if converter(model) else replace(here, file=file, sha256=sha256, md5="")
    return None


def _md5_of(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "md5").hexdigest()


def _described(toml: Path) -> Model:
    """The TOML's model, which is not called as another is."""
    model = replace(read_model(toml), own=True)
    if any(model.name in (each.name, *each.aliases) for each in catalog().values()):
        raise ModelError(f"{toml}: name: {model.name} is a name of the catalogue already; call yours otherwise")
    return _used_in_place(model, toml)


def _used_in_place(model: Model, toml: Path) -> Model:
    """`model`, its one ONNX file, where it has one, used where that lies."""
    if model.format != "onnx" or [each.kind for each in model.sources] != ["path"]:
        return model
    file = Path(model.sources[0].path)
    if not file.is_file():
        raise ModelError(f"{toml}: source[0].path: no such file: {file}; check the path")
    sha256 = sha256_of(file)
    wrong = complaint(model, file, sha256) if model.sha256 or model.md5 else None
    if wrong:
        raise ModelError(f"{toml}: weights: {file} is another file: {wrong}")
    _check(model, toml, file)
    used = None if converter(model) else file
    return replace(model, file=used, sha256=sha256, md5="", size_bytes=file.stat().st_size)


def _check(model: Model, toml: Path, file: Path) -> None:
    """Raises ModelError where the file is not what the TOML says, as far as the file tells."""
    wide, high, index, state = model.input.width, model.input.height, model.output.index, model.state
    ends = read_ends(file, (wide, high))
    beside = [*state.inputs, *([state.ratio_input] if state.ratio_input else [])] if state else []
    pictures = [each for each in ends.inputs if each.name not in beside]
    shown = 4 if model.task == "trimap" else 3
    if len(pictures) != 1 or not pictures[0].fits(1, shown, high, wide):
        wanted = f"expected one of (1, {shown}, {high}, {wide}) float"
        raise ModelError(f"{toml}: input: {wanted}, {file} has {_list(pictures)}")
    if None in (pictures[0].shape or (None,) * 4)[2:] and not (model.any_size or state):
        raise ModelError(f"{toml}: weights.any_size: missing, expected true: {file} leaves its input's size open")
    planes = model.output.planes
    if not (index < len(ends.outputs) and ends.outputs[index].fits(1, planes, high, wide)):
        wanted = f"expected the number of an output (1, {planes}, {high}, {wide}) float, got {index}"
        raise ModelError(f"{toml}: output.index: {wanted}: {file} has {_list(ends.outputs)}")
    if (
        state
        and state.fgr is not None
        and not (state.fgr < len(ends.outputs) and ends.outputs[state.fgr].fits(1, 3, high, wide))
    ):
        wanted = f"expected the number of an output (1, 3, {high}, {wide}) float, got {state.fgr}"
        raise ModelError(f"{toml}: state.fgr: {wanted}: {file} has {_list(ends.outputs)}")
    _check_there(beside, ends.inputs, f"{toml}: state.inputs: {file}")
    _check_there(state.outputs if state else (), ends.outputs, f"{toml}: state.outputs: {file}")


def _check_there(names: Sequence[str], ends: Sequence[End], where: str) -> None:
    missing = sorted({*names} - {each.name for each in ends})
    if missing:
        raise ModelError(f"{where} has no {', '.join(missing)}, only {_list(ends)}")


def _list(ends: Sequence[End]) -> str:
    return ", ".join(map(str, ends)) or "none"
