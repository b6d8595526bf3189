"""The licence ledger: a model whose licence does not plainly allow commercial use is used once its words are accepted.

What has been accepted stands in `licences.json` in the user's configuration folder, with date and the sha256 of the
words; a licence that is described in other words from then on asks again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import platformdirs

from streammatte.catalog import Model
from streammatte.errors import ModelError

__all__ = ["Acceptance", "accept", "acceptances", "accepted", "check_licence", "check_use", "licence_words", "withdraw"]

_COMMERCIAL = {
    "yes": "commercial use is allowed",
    "no": "commercial use is forbidden",
    "ask": "whether commercial use is allowed is not settled",
}


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A licence that the user has accepted."""

    model: str
    licence: str
    """SPDX expression, as it was then."""
    date: str
    """UTC, ISO 8601."""
    words_sha256: str
    """Of what was shown: see `licence_words`."""


def licence_words(model: Model) -> str:
    """What the user accepts, in a line: the licence, what it allows and forbids, and where it is stated."""
    text = f": {model.licence_text}" if model.licence_text else ""
    where = f" ({model.licence_url})" if model.licence_url else ""
    return f"{model.licence}, {_COMMERCIAL[model.commercial]}{text}{where}"


def check_use(model: Model) -> None:
    """Raises ModelError where `model` makes no mattes of frames by itself."""
    if model.other_use:
        raise ModelError(f"{model.name}: {model.other_use}; `streammatte models list` says what each is for")


def check_licence(model: Model, *, commercial: bool = False, accept_licence: Collection[str] = ()) -> None:
    """Raises ModelError, with the words and the way on, for a model that may not be used.

    That is one whose `commercial` is not yes: with `commercial` always, else unless it was accepted, before or by one
    of the names in `accept_licence`.
    """
    if model.commercial == "yes":
        return
    words = f"{model.name}: {licence_words(model)}"
    if commercial:
        raise ModelError(
            f"{words}; refused because of --commercial, whatever was accepted: choose a model that "
            "`streammatte models list` calls commercial: yes, or leave --commercial out"
        )
    now = {accept_licence} if isinstance(accept_licence, str) else set(accept_licence)
    if {model.name, *model.aliases} & now or accepted(model):
        return
    before = [each.date for each in acceptances() if each.model == model.name]
    was = f"; accepted on {before[0]}, when its words were others" if before else ""
    raise ModelError(
        f"{words}{was}; read the licence, then run `streammatte models accept {model.name}`, or say --accept-licence "
        f"{model.name} for one run (in Python: accept_licence={[model.name]})"
    )


def accepted(model: Model) -> Acceptance | None:
    """When and how the model's licence was accepted; None where it was not, or in other words than today's."""
    known = (each for each in acceptances() if each.model == model.name)
    return next((each for each in known if each.words_sha256 == _sha256(model)), None)


def accept(model: Model) -> Acceptance:
    """Keep that the user accepts the licence. Raises ModelError where that cannot be written."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    new = Acceptance(model.name, model.licence, now, _sha256(model))
    _write([*(each for each in acceptances() if each.model != model.name), new])
    return new


def withdraw(model: Model) -> bool:
    """Forget that the licence was accepted; whether it was. Raises ModelError where that cannot be written."""
    known = acceptances()
    kept = [each for each in known if each.model != model.name]
    if len(kept) < len(known):
        _write(kept)
    return len(kept) < len(known)


def acceptances() -> tuple[Acceptance, ...]:
    """All that was accepted, in that order. Raises ModelError for a ledger that cannot be read."""
    try:
        entries = json.loads(_path().read_text(encoding="utf-8"))
        found = tuple(Acceptance(**entry) for entry in entries)
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{_path()}: cannot be read: {error}; mend or delete it") from error
    return found


def _path() -> Path:
    return Path(platformdirs.user_config_dir("streammatte", appauthor=False)) / "licences.json"


def _sha256(model: Model) -> str:
    return hashlib.sha256(licence_words(model).encode()).hexdigest()


def _write(entries: list[Acceptance]) -> None:
    path = _path()
    unfinished = path.with_suffix(f".json.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(json.dumps([asdict(each) for each in entries], indent=2) + "\n", encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be written: {error.strerror or error}; say --accept-licence instead"
        ) from error
