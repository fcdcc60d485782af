"""Saying what is wrong with a document, in one sentence that shows no secret."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong in a document: where (`drivers[0].name`, or empty), which keyword, one sentence."""

    path: str
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


_SAID: dict[str, str] = {
    "type": "{value} is not {a_type}",
    "enum": "{value} is none of {wanted}",
    "const": "{value} is not {wanted}",
    "pattern": "{value} does not match {rule}",
    "minimum": "{value} is less than {rule}",
    "maximum": "{value} is more than {rule}",
    "exclusiveMinimum": "{value} is not more than {rule}",
    "exclusiveMaximum": "{value} is not less than {rule}",
    "multipleOf": "{value} is not a multiple of {rule}",
    "minLength": "{value} is shorter than {rule}",
    "maxLength": "{value} is longer than {rule}",
    "minItems": "has fewer than {rule} elements",
    "maxItems": "has more than {rule} elements",
    "uniqueItems": "has an element twice",
    "minProperties": "has fewer than {rule} members",
    "maxProperties": "has more than {rule} members",
    "contains": "has no element of the kind wanted",
    "anyOf": "{value} fits none of the forms allowed",
    "oneOf": "{value} fits none of the forms allowed, or more than one",
    "not": "{value} is just what is not allowed",
}
_FORMAT_NAMES = {"date": "a date", "date-time": "a time with its zone", "time": "a time of day with its zone",
                 "email": "an email address", "uri": "a URI", "uuid": "a UUID"}  # fmt: skip
_TYPE_NAMES = {"array": "a list", "boolean": "true or false", "integer": "a whole number", "null": "null",
               "number": "a number", "object": "an object", "string": "text"}  # fmt: skip
_SECRET_NAME = re.compile(r"(?i)passw|secret|token|api_?key|credential|private_?key|ssn|authorization")


def finding(error: Any) -> Finding:
    """Turn an error of the reference into a finding."""
    path = _path(error.absolute_path)
    code = str(error.validator) if error.validator is not None else "false"
    return Finding(path, code, _sentence(error, code))


def _sentence(error: Any, code: str) -> str:
    rule = error.validator_value
    if code == "required":
        missing = next((name for name in rule if error.message.startswith(repr(name))), "a member")
        return f'"{missing}" is missing'
    if code in {"additionalProperties", "unevaluatedProperties"} and isinstance(error.instance, dict):
        return _unknown_members(error)
    if code == "format":
        return f"{_value(error)} is not {_FORMAT_NAMES.get(rule, rule)}"
    if code in {"false", "None"}:
        return "nothing is allowed here"
    wanted = _short(", ".join(_json(one) for one in rule) if isinstance(rule, list) else _json(rule), 120)
    kinds = rule if isinstance(rule, list) else [rule]
    a_type = " or ".join(_TYPE_NAMES.get(str(kind), "that") for kind in kinds) if code == "type" else ""
    template = _SAID.get(code, "{value} is not allowed by {code}")
    return template.format(
        value=_value(error), wanted=wanted, rule=_short(str(rule), 120), a_type=a_type, code=code
    )


def _unknown_members(error: Any) -> str:
    known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
    unknown = [name for name in error.instance if name not in known]
    if not unknown:
        return "has a member that is not known"
    return f'"{_short(str(unknown[0]), 80)}" is not known'


def _value(error: Any) -> str:
    """Show a scalar, shortened; never a secret, never a whole document, which may hold one."""
    schema = error.schema if isinstance(error.schema, dict) else {}
    marked = (
        schema.get("secret") is True or schema.get("writeOnly") is True or schema.get("format") == "password"
    )
    named = any(isinstance(step, str) and _SECRET_NAME.search(step) for step in error.absolute_path)
    if marked or named:
        return "the value (not shown)"
    if isinstance(error.instance, dict):
        return "the object"
    return "the list" if isinstance(error.instance, list) else _short(_json(error.instance), 80)


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()
    except (TypeError, ValueError, RecursionError):
        return f"a {type(value).__name__}"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _path(steps: Any) -> str:
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch(r"\w[\w-]*", str(step)):
            text += f".{step}" if text else str(step)
        else:
            text += f"[{_json(step)}]"
    return text
