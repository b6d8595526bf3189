"""Where a model of `transformers` lies: a folder of the user's, or what the hub's own tools keep of a repository."""

from __future__ import annotations

import json
import os
from pathlib import Path

from streammatte.catalog import Model
from streammatte.errors import ConfigError, ModelError, first_line

__all__ = ["check_folder", "folder_of"]

_WANTED = ("*.json", "*.safetensors", "*.txt")
"""Configuration, weights, vocabulary; repositories also hold the weights in other tools' formats."""
_OFFLINE_VARIABLE = "STREAMMATTE_OFFLINE"


def folder_of(model: Model) -> Path:
    """The model of the catalogue as a folder, fetched by the hub's own client where its cache does not have it.

    HF_TOKEN, HF_HOME, HF_ENDPOINT and HF_HUB_OFFLINE are honoured. Raises ModelError, with the way on.
    """
    import huggingface_hub

    source = model.sources[0]
    offline = os.environ.get(_OFFLINE_VARIABLE, "") not in ("", "0")
    try:
        found = huggingface_hub.snapshot_download(
            source.repo, revision=source.revision, allow_patterns=list(_WANTED), local_files_only=offline
        )
    except Exception as error:  # the client's own, requests', and the disk's
        page = f"https://huggingface.co/{source.repo}"
        gate = (
            f"it is given to those alone who accept its licence: do so at {page}, log in with `hf auth login` "
            "(`huggingface-cli login` in older versions) or set HF_TOKEN, and run this again; "
        )
        way = f"{gate if source.gated else ''}or save {page} to a folder and give it: --prompt-model FOLDER"
        why = f"{_OFFLINE_VARIABLE} is set, and its cache does not have it" if offline else first_line(error)
        raise ModelError(f"{model.name}: cannot be had from the hub ({why}); {way}") from error
    return Path(found)


def check_folder(folder: Path, kinds: tuple[str, ...], takes: str) -> None:
    """Raises ConfigError unless `folder` holds a model of one of these kinds, as `transformers` saves them.

    `takes` says in words what such a model is wanted for.
    """
    file = folder / "config.json"
    try:
        kind = json.loads(file.read_text(encoding="utf-8")).get("model_type")
    except FileNotFoundError:
        what = "holds no config.json" if folder.is_dir() else "is neither a model's name nor a folder"
        raise ConfigError("--prompt-model", f"{folder} {what}; give one that transformers has saved") from None
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError("--prompt-model", f"{file} cannot be read: {first_line(error)}") from error
    if kind not in kinds:
        raise ConfigError(
            "--prompt-model", f"{folder} holds a model of kind {kind}; {takes} takes {' or '.join(kinds)}"
        )
