"""Walking through a schema: its parts, its patterns, its defaults."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ONE = (
    "additionalProperties", "unevaluatedProperties", "propertyNames", "additionalItems", "unevaluatedItems",
    "contains", "not", "if", "then", "else", "items",
)  # fmt: skip
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
_NAMED = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies")


def parts(schema: Any) -> Iterator[dict[str, Any]]:
    """Give the schema and all schemas in it, those that are objects; no values of enum, const or default."""
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, dict):
            continue
        yield part
        waiting += [part[key] for key in _ONE if key in part]
        waiting += [one for key in _LISTS if isinstance(part.get(key), list) for one in part[key]]
        waiting += [one for key in _NAMED if isinstance(part.get(key), dict) for one in part[key].values()]


def patterns(part: dict[str, Any]) -> list[str]:
    named = part.get("patternProperties")
    expressions = list(named) if isinstance(named, dict) else []
    if isinstance(part.get("pattern"), str):
        expressions.append(part["pattern"])
    return expressions


def apply_defaults(schema: Mapping[str, Any] | bool, document: Any) -> Any:
    """Return a copy of a document with the defaults of absent members, top and nested.

    The document stays as it is. A nested object that is absent is not made up, unless it has a default of its
    own (such as `{}`), which is then filled in turn. Only `properties`, `items`, `allOf` and local `$ref` are
    followed: elsewhere a default is a guess.
    """
    return _filled(schema, copy.deepcopy(document), schema, 0)


def _filled(schema: Any, document: Any, root: Any, depth: int) -> Any:
    if not isinstance(schema, dict) or depth > 64:
        return document
    target = schema.get("$ref")
    if isinstance(target, str) and target.startswith("#"):
        document = _filled(_local(target, root), document, root, depth + 1)
    for part in schema.get("allOf", ()):
        document = _filled(part, document, root, depth + 1)
    if isinstance(document, dict):
        for name, part in schema.get("properties", {}).items():
            if name not in document and isinstance(part, dict) and "default" in part:
                document[name] = copy.deepcopy(part["default"])
            if name in document:
                document[name] = _filled(part, document[name], root, depth + 1)
    elif isinstance(document, list) and isinstance(schema.get("items"), dict):
        document = [_filled(schema["items"], one, root, depth + 1) for one in document]
    return document


def _local(target: str, root: Any) -> Any:
    """Follow a JSON pointer inside of the schema; None where it leads nowhere."""
    found = root
    for step in target.removeprefix("#").split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, dict) else None
    return found
