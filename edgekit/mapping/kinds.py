"""The types of a mapping: what it expects at its path, and what its rules are given.

| type | at the path | rules |
|---|---|---|
| field | one value | are given the value |
| object | an object | are given the object, their paths begin at it; without rules it is JSON |
| array | a list, or all matches of a path with many | are given each item, and their paths begin at it |
| custom | anything or nothing | must be there: the value is what they make |

The rule `{"type": "object", "fields": [{"source_path", "target_path", …}]}` makes an object by mappings
of its own. Objects and lists are written as JSON text, or sent as they are where records leave.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgekit.errors import InvalidError
from edgekit.mapping.convert import from_json, to_json
from edgekit.mapping.field import Refused
from edgekit.mapping.rules import RuleSet, compile_rules

if TYPE_CHECKING:
    from collections.abc import Mapping

MAPPING_TYPES = ("field", "object", "array", "custom")


def compile_kind(kind: str, options: Mapping[str, Any] | None, *, as_text: bool) -> RuleSet | None:
    """Compile the rules of a mapping of some type; `as_text` writes objects and lists as JSON text.

    Raise InvalidError for rules that cannot be, or that a type needs and has not.
    """
    rules = None if options is None else compile_rules(options)
    if kind == "field":
        return rules
    if kind == "custom":
        if rules is None:
            raise InvalidError("a mapping of type custom needs transformation rules: they make its value")
        return rules
    if rules is not None and rules.lookup is not None:
        raise InvalidError(f"a mapping of type {kind} cannot look up: its value is no single one")
    one = _object if kind == "object" else _array
    return replace(one(rules, as_text), paths=() if rules is None else rules.paths)


def _object(rules: RuleSet | None, as_text: bool) -> RuleSet:
    def apply(value: Any, _record: Any) -> Any:
        found = from_json(value)
        if not isinstance(found, dict):
            raise Refused("type", "is not an object")
        return _written(found if rules is None else rules.apply(found, found), as_text)

    return _ruleset(apply, takes_list=False)


def _array(rules: RuleSet | None, as_text: bool) -> RuleSet:
    def apply(value: Any, _record: Any) -> Any:
        found = from_json(value)
        if not isinstance(found, list):
            raise Refused("type", "is not a list")
        return _written(found if rules is None else [_item(rules, one) for one in found], as_text)

    return _ruleset(apply, takes_list=True)


def _ruleset(apply: Any, *, takes_list: bool) -> RuleSet:
    return RuleSet(apply=apply, takes_list=takes_list, always=False, gives=None, lookup=None, paths=())


def _item(rules: RuleSet, item: Any) -> Any:
    return rules.apply(item, item) if item is not None or rules.always else None


def _written(value: Any, as_text: bool) -> Any:
    return to_json(value) if as_text and isinstance(value, dict | list) else value
