"""From settings to what keeps one subject of several, and the network that looks for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from streammatte import registry
from streammatte.catalog import catalog
from streammatte.config import Settings
from streammatte.errors import ConfigError, ModelError
from streammatte.face_network import FaceNetwork
from streammatte.frame import StreamInfo
from streammatte.ledger import check_licence
from streammatte.meter import RefinerReport
from streammatte.ports import Prompter, Selector
from streammatte.prompts.hub import folder_of
from streammatte.subject import Subject
from streammatte.subjects.geometry import GeometrySelector
from streammatte.subjects.prompted import PromptedSelector
from streammatte.weights.fetch import Progress

__all__ = ["LoadedPrompter", "check_place", "prompter_of", "selector_of"]


_FOR_WORDS, _FORMAT, _UNKNOWN = "sam3", "transformers", "unknown"


class LoadedPrompter(Prompter, Protocol):
    """One that says what it is."""

    report: RefinerReport


def check_place(settings: Settings, shown: StreamInfo) -> None:
    """Raises ConfigError for a point or a box that lies outside the picture of this input."""
    turned = shown.rotation % 180 != 0
    size = (shown.height, shown.width) if turned else (shown.width, shown.height)
    Subject.named(settings.subject).shares(*size)


def prompter_of(settings: Settings, pulling: Progress | None = None) -> LoadedPrompter | None:
    """The network that looks for the subject, loaded; None where none is asked."""
    subject = Subject.named(settings.subject)
    if settings.prompt_model is not None and subject.kind not in ("point", "box", "text"):
        raise ConfigError("--prompt-model", "goes with --subject point:X,Y, box:X,Y,WIDTH,HEIGHT or words")
    if subject.kind == "face":
        return FaceNetwork(commercial=settings.commercial, progress=pulling)
    name = settings.prompt_model or (_FOR_WORDS if subject.kind == "text" else None)
    return None if name is None else _sam(name, subject, settings)


def _sam(name: str, subject: Subject, settings: Settings) -> LoadedPrompter:
    """The model of this name, or in the folder of this name."""
    kind = "sam3" if subject.kind == "text" else "sam2"
    adapter: Callable[..., LoadedPrompter] = registry.load(registry.PROMPTERS, kind, "--prompt-model")
    if name not in catalog():
        if settings.commercial:
            raise ModelError(f"{name}: nobody says that its licence allows commercial use, which --commercial asks for")
        return adapter(Path(name).expanduser(), subject, name=Path(name).name, licence=_UNKNOWN)
    model = catalog()[name]
    if model.format != _FORMAT:
        known = ", ".join(each.name for each in catalog().values() if each.format == _FORMAT)
        raise ConfigError("--prompt-model", f"{name} is none of {known}, nor a folder")
    check_licence(model, commercial=settings.commercial, accept_licence=settings.accept_licence)
    return adapter(folder_of(model), subject, name=model.name, licence=model.licence)


def selector_of(settings: Settings, prompter: Prompter | None) -> Selector | None:
    """What keeps the subject; `prompter` is `prompter_of` them. None where all is kept."""
    subject = Subject.named(settings.subject)
    if subject.kind == "all":
        return None
    return GeometrySelector(subject) if prompter is None else PromptedSelector(subject, prompter)
