"""`--student auto` for files: a student of the file itself, or why its teacher does all the work."""

from __future__ import annotations

from collections.abc import Callable

from streammatte.config import Settings
from streammatte.errors import StreammatteError, StudentError
from streammatte.matter import Matter
from streammatte.ports import BuildProgress, Source
from streammatte.schooling import Schooling, check_teacher, school_of

__all__ = ["check_student", "student_of"]


def check_student(settings: Settings, matter: Matter) -> None:
    """Raises StudentError where `matter` is not one that a student of this run can be taught by."""
    if settings.compat:
        raise StudentError(f"--compat {settings.compat} is another tool's arithmetic")
    check_teacher(matter)


def student_of(
    matter: Matter,
    spec: str,
    again: Callable[[], Source],
    settings: Settings,
    building: BuildProgress | None,
) -> Schooling | str:
    """A student of the file `spec`, which `again` opens once more; or why the teacher does all the work, in words."""
    try:
        check_student(settings, matter)
        return school_of(matter, spec, again, settings.seed, building)
    except StreammatteError as error:
        return f"no student: {error}; {matter.model.name} did all the work"
