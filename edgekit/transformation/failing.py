"""What a failure yields: a document of the shape its error output schema asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import validate
from edgekit.errors import InvalidError, TransformationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_FACTS = {
    "code": "code",
    "error_code": "code",
    "error": "message",
    "error_message": "message",
    "message": "message",
    "reason": "message",
    "line": "line",
    "language": "language",
    "name": "name",
    "transformation": "name",
}
"""Members that are filled, and with what."""


def document(
    schema: Mapping[str, Any], error: TransformationError, name: str | None, language: str
) -> dict[str, Any]:
    """Tell a failure in the shape of a schema: members we know are filled, others take a default."""
    facts = {
        "code": error.code,
        "message": error.message,
        "line": error.line,
        "language": language,
        "name": name or "",
    }
    return _filled(schema, facts)


def _filled(schema: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    written: dict[str, Any] = {}
    required = schema.get("required", [])
    for member, wanted in schema.get("properties", {}).items():
        if not isinstance(wanted, dict):
            continue
        fact = facts.get(_FACTS.get(member, ""))
        if "const" in wanted:
            written[member] = wanted["const"]
        elif "properties" in wanted:
            written[member] = _filled(wanted, facts)
        elif fact is not None:
            written[member] = fact
        elif "default" in wanted:
            written[member] = wanted["default"]
        elif member in required:
            written[member] = None
    return written


def check(schema: Mapping[str, Any]) -> None:
    """Raise InvalidError where no failure can be told in the shape of a schema."""
    error = TransformationError("it failed", error_code="failed")
    findings = validate.compile(dict(schema)).errors(document(schema, error, None, "python"), most=1)
    if findings:
        where = f"{findings[0].path}: " if findings[0].path else ""
        raise InvalidError(
            f"no failure has the shape of the error output schema: {where}{findings[0].message}",
            hint=f"Members that are filled: {', '.join(sorted(_FACTS))}; others need a default or a const.",
        )
