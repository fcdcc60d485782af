"""What a transform step runs: a transformation of the file by its name, or a script of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import transformation
from edgekit.errors import InvalidError
from edgekit.integrations.transformations import compile_transformation, stored_as

if TYPE_CHECKING:
    from collections.abc import Mapping

_OWN = {"language", "text", "transformation_type"}


@dataclass(frozen=True, slots=True)
class Script:
    """A transformation, and what its result means: `kind` is its transformation_type."""

    transformation: transformation.Transformation
    kind: str
    name: str | None = None
    """That of a transformation of the file."""


def read_script(step: Mapping[str, Any]) -> Script:
    """Read a transform step. Raise InvalidError, NotFoundError, TransformationError where the text is bad."""
    name = step.get("transformation")
    if (name is None) is ("text" not in step):
        raise InvalidError(
            "a transform step has either transformation, the name of one, or language and text.",
            hint='Such as {"language": "jmespath", "text": "{total: premium}"}',
        )
    if name is None:
        language, text, kind = (step.get(key) for key in ("language", "text", "transformation_type"))
        if not isinstance(language, str) or not isinstance(text, str):
            raise InvalidError("language and text are texts.", hint=_languages())
        return Script(transformation.compile(language, text), _kind(kind or "map"))
    if misplaced := _OWN & set(step):
        raise InvalidError(f"{min(misplaced)} belongs to a script of its own; {name} has one.")
    return _stored(str(name))


def _stored(name: str) -> Script:
    """Read an active transformation of the file."""
    found = compile_transformation(name)
    return Script(found.script, found.kind, found.name)


def script_of(row: Mapping[str, Any]) -> Script:
    """Read a transformation as a row of its table said it once. Raise as `compile_transformation` does."""
    found = stored_as(row)
    return Script(found.script, found.kind, found.name)


def _kind(kind: Any) -> str:
    if kind not in transformation.KINDS:
        raise InvalidError(f"transformation_type is one of {', '.join(transformation.KINDS)}.")
    return str(kind)


def _languages() -> str:
    return f"Languages are: {', '.join(transformation.LANGUAGES)}."
