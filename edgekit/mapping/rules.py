"""Transformation rules of a field: an object with a `type`, or `{"type": "steps", "steps": [rule, …]}`.

| type | options | does |
|---|---|---|
| copy | | nothing; of a path with many matches it gives the list |
| trim, upper, lower, digits | | text without outer spaces, in one case, digits only |
| date, datetime | `format` (strptime, or epoch, epoch_ms; one or a list) | ISO 8601 |
| money | `digits` 2, `decimal` ".", `round` false | minor units |
| replace | `replacements` {"old": "new"} | plain text, in that order |
| split | `separator`, `index` | one part, or without `index` the list |
| substring | `start` 0, `length` | characters |
| pad | `length`, `fill` "0" | filled up on the left |
| map | `values` {"M": "MALE"}, `default`, `ignore_case` | the value's entry, or refused as `choice` |
| lookup | `table`, `match` | the value itself; the target puts the id of that row in its place |
| constant | `value` | that value, whatever came |
| concat | `paths`, `separator` " " | the texts at these paths of the record |
| object | `fields`, a list of mappings of their own | the object they make of the value |
| count, sum, first, last, join (`separator` ", ") | | of a list, or of all matches of a path |

Any rule may also say `keep_empty` (empty text is a value, not a missing one) and `secret` (never shown).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from edgekit import jsonpath
from edgekit.errors import InvalidError
from edgekit.mapping import convert
from edgekit.mapping.field import FieldMapping, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Step = Callable[[Any, Any], Any]  # the value and the record; None is a missing value
    Build = Callable[[Mapping[str, Any]], Step]


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Compiled rules: `apply(value, record)`, and what the field must know of them."""

    apply: Step
    takes_list: bool
    always: bool
    """Runs for a missing value too, such as a constant or a count."""
    gives: str | None
    """The data type the value has afterwards, where the last rule says so; `id` for a lookup."""
    lookup: tuple[str, str] | None
    paths: tuple[str, ...]


def compile_rules(rules: Mapping[str, Any]) -> RuleSet:
    """Compile transformation rules. Raise InvalidError for a rule without type, or an unknown option."""
    steps = _steps(rules)
    compiled = [_compile_step(step) for step in steps]
    for step in steps[:-1]:
        if step["type"] == "lookup":
            raise InvalidError("a lookup must be the last step")
    first, last = steps[0], steps[-1]
    paths = tuple(path for step in steps if step["type"] == "concat" for path in step["paths"])
    return RuleSet(
        apply=_chain(compiled, [step["type"] in _ALWAYS for step in steps]),
        takes_list=first["type"] in _LIST_RULES,
        always=any(step["type"] in _ALWAYS for step in steps),
        gives=_GIVES.get(last["type"]),
        lookup=(last["table"], last["match"]) if last["type"] == "lookup" else None,
        paths=paths,
    )


def _steps(rules: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if not isinstance(rules.get("type"), str):
        raise InvalidError("Transformation rules must include type")
    if rules["type"] != "steps":
        return [rules]
    steps = rules.get("steps")
    if rules.keys() - {"type", "steps", *_COMMON} or not isinstance(steps, list) or not steps:
        raise InvalidError(
            'transformation rules of type steps need "steps", a list of rules, and nothing else'
        )
    for step in steps:
        if not isinstance(step, dict) or not isinstance(step.get("type"), str):
            raise InvalidError("Transformation rules must include type")
    return steps


def _compile_step(rule: Mapping[str, Any]) -> Step:
    kind = rule["type"]
    if kind not in _RULES:
        raise InvalidError(
            f"transformation rule {kind!r} is unknown",
            hint="known are " + ", ".join(sorted((*_RULES, "steps"))),
        )
    build, needed, optional = _RULES[kind]
    for option in needed:
        if option not in rule:
            raise InvalidError(f"transformation rule {kind} needs {option!r}")
    unknown = rule.keys() - {"type", *needed, *optional, *_COMMON}
    if unknown:
        raise InvalidError(f"transformation rule {kind} has no option {min(unknown)!r}")
    return build(rule)


def _chain(steps: Sequence[Step], always: Sequence[bool]) -> Step:
    if len(steps) == 1:
        return steps[0]

    def apply(value: Any, record: Any) -> Any:
        for step, runs_always in zip(steps, always, strict=True):
            if value is not None or runs_always:
                value = step(value, record)
        return value

    return apply


def _option(rule: Mapping[str, Any], name: str, kind: type, default: Any) -> Any:
    value: Any = rule.get(name, default)
    good = isinstance(value, kind) and (kind is not int or (type(value) is int and value >= 0))
    if not good:
        raise InvalidError(f"option {name!r} of transformation rule {rule['type']} cannot be {value!r}")
    return value


def _of_text(change: Callable[[str], Any]) -> Build:
    def build(_rule: Mapping[str, Any]) -> Step:
        return lambda value, _record: change(convert.to_string(value))

    return build


def _copy(_rule: Mapping[str, Any]) -> Step:
    return lambda value, _record: value


def _date(rule: Mapping[str, Any]) -> Step:
    formats = rule.get("format", [])
    formats = [formats] if isinstance(formats, str) else formats
    sample = datetime(2001, 2, 3, 4, 5)  # noqa: DTZ001 - only to try a format
    for one in formats:
        if one in convert.EPOCHS:
            continue
        try:
            datetime.strptime(sample.strftime(one), one)  # noqa: DTZ007
        except (ValueError, TypeError):
            raise InvalidError(f"{one!r} is not a format of dates") from None
    is_date = rule["type"] == "date"
    iso = convert.to_date if is_date else convert.to_datetime
    if not formats:
        return lambda value, _record: iso(value)
    wrong = f"is not a {rule['type']} of the form {' or '.join(formats)}"

    def step(value: Any, _record: Any) -> str:
        text = convert.to_string(value).strip()
        for one in formats:
            try:
                if one in convert.EPOCHS:
                    moment = convert.from_epoch(value, one)
                else:
                    moment = datetime.strptime(text, one)  # noqa: DTZ007 - a date has no zone
            except ValueError:
                continue
            return f"{moment.date()}" if is_date else convert.moment_text(moment)
        raise Refused("format", wrong)

    return step


def _money(rule: Mapping[str, Any]) -> Step:
    digits = _option(rule, "digits", int, 2)
    decimal = _option(rule, "decimal", str, ".")
    rounding = _option(rule, "round", bool, False)
    if decimal not in {".", ","} or digits > 9:
        raise InvalidError("transformation rule money takes a decimal of . or , and at most 9 digits")
    return lambda value, _record: convert.to_money(value, digits=digits, decimal=decimal, rounding=rounding)


def _replace(rule: Mapping[str, Any]) -> Step:
    pairs = list(_option(rule, "replacements", dict, {}).items())
    if not all(old and isinstance(new, str) for old, new in pairs):
        raise InvalidError("transformation rule replace takes replacements of text by text")

    def step(value: Any, _record: Any) -> str:
        text = convert.to_string(value)
        for old, new in pairs:
            text = text.replace(old, new)
        return text

    return step


def _split(rule: Mapping[str, Any]) -> Step:
    separator = _option(rule, "separator", str, "")
    index = rule.get("index")
    if not separator or isinstance(index, bool) or not isinstance(index, (int, type(None))):
        raise InvalidError("transformation rule split takes a separator and a whole number as index")

    def step(value: Any, _record: Any) -> Any:
        parts = convert.to_string(value).split(separator)
        if index is None:
            return parts
        return parts[index] if -len(parts) <= index < len(parts) else None

    return step


def _substring(rule: Mapping[str, Any]) -> Step:
    start = _option(rule, "start", int, 0)
    end = start + _option(rule, "length", int, 0) if "length" in rule else None
    return lambda value, _record: convert.to_string(value)[start:end]


def _pad(rule: Mapping[str, Any]) -> Step:
    length, fill = _option(rule, "length", int, 0), _option(rule, "fill", str, "0")
    if len(fill) != 1 or length > 1000:
        raise InvalidError("transformation rule pad takes one character as fill and a length of at most 1000")
    return lambda value, _record: convert.to_string(value).rjust(length, fill)


def _map(rule: Mapping[str, Any]) -> Step:
    fold = str.casefold if _option(rule, "ignore_case", bool, False) else str
    values = {fold(key): new for key, new in _option(rule, "values", dict, {}).items()}
    has_default, default = "default" in rule, rule.get("default")

    def step(value: Any, _record: Any) -> Any:
        key = fold(convert.to_string(value))
        if key in values:
            return values[key]
        if has_default:
            return default
        raise Refused("choice", "is not in the table of values")

    return step


def _lookup(rule: Mapping[str, Any]) -> Step:
    for option in ("table", "match"):
        if not _option(rule, option, str, ""):
            raise InvalidError(f"transformation rule lookup needs {option!r}")

    def step(value: Any, _record: Any) -> Any:
        if isinstance(value, (dict, list)):
            raise Refused("type", "cannot be looked up")
        return value

    return step


def _constant(rule: Mapping[str, Any]) -> Step:
    value = rule["value"]
    return lambda _value, _record: value


def _concat(rule: Mapping[str, Any]) -> Step:
    names = _option(rule, "paths", list, [])
    if not names or not all(isinstance(name, str) for name in names):
        raise InvalidError("transformation rule concat takes paths, a list of text")
    paths = [jsonpath.compile(name) for name in names]
    separator = _option(rule, "separator", str, " ")

    def step(_value: Any, record: Any) -> str | None:
        found = [value for path in paths for value in path.find(record) if value is not None and value != ""]
        return separator.join(convert.to_string(value) for value in found) or None

    return step


def _object(rule: Mapping[str, Any]) -> Step:
    from edgekit.mapping.compiled import compile_mapping  # which itself compiles rules
    from edgekit.mapping.field import ABSENT, FieldError

    inner = compile_mapping(_nested(_option(rule, "fields", list, [])), as_text=False)
    if inner.lookups:
        raise InvalidError("a mapping inside of another cannot look up")

    def step(value: Any, _record: Any) -> dict[str, Any]:
        try:
            row = inner.map(value)
        except FieldError as error:
            raise Refused(error.code, f"cannot be taken apart: {error.message}") from None
        return {name: one for name, one in zip(inner.columns, row, strict=True) if one is not ABSENT}

    return step


def _nested(items: list[Any]) -> list[FieldMapping]:
    """Read the mappings of a rule; one of type json keeps its value, for all of it becomes JSON."""
    if not items or not all(isinstance(item, dict) for item in items):
        raise InvalidError("transformation rule object takes fields, a list of mappings")
    known = {name for name in FieldMapping.__slots__ if name != "direction"}
    found = []
    for item in items:
        if unknown := sorted(item.keys() - known):
            raise InvalidError(f"a mapping inside of another has no field {unknown[0]!r}")
        if not item.get("source_path") or not item.get("target_path"):
            raise InvalidError("a mapping inside of another needs source_path and target_path")
        whole = item.get("target_data_type") == "json" or item.get("mapping_type") in {"object", "array"}
        kept = {**item, "target_data_type": None} if whole else item
        found.append(FieldMapping(**{"name": item["target_path"], **kept}))
    return found


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, list):
        return value
    raise Refused("type", "is not a list")


def _count(_rule: Mapping[str, Any]) -> Step:
    return lambda value, _record: len(_list(value))


def _sum(_rule: Mapping[str, Any]) -> Step:
    def step(value: Any, _record: Any) -> int | float:
        numbers = [convert.to_number(one) for one in _list(value) if one is not None and one != ""]
        try:
            exact = all(isinstance(one, int) for one in numbers)
            return convert.to_number(sum(numbers) if exact else math.fsum(numbers))
        except OverflowError:
            raise Refused("range", "has a sum that is no finite number") from None

    return step


def _at(index: int) -> Build:
    def build(_rule: Mapping[str, Any]) -> Step:
        return lambda value, _record: _list(value)[index] if value else None

    return build


def _join(rule: Mapping[str, Any]) -> Step:
    separator = _option(rule, "separator", str, ", ")

    def step(value: Any, _record: Any) -> str | None:
        kept = [convert.to_string(one) for one in _list(value) if one is not None and one != ""]
        return separator.join(kept) or None

    return step


def _only_digits(text: str) -> str:
    return "".join(character for character in text if "0" <= character <= "9")


_COMMON = ("keep_empty", "secret")
_ALWAYS = frozenset({"constant", "concat", "count", "sum"})
_LIST_RULES = frozenset({"copy", "count", "sum", "first", "last", "join"})
_GIVES = {"date": "date", "datetime": "datetime", "money": "money", "lookup": "id"}
_RULES: dict[str, tuple[Build, tuple[str, ...], tuple[str, ...]]] = {  # how, options needed, options allowed
    "copy": (_copy, (), ()),
    "trim": (_of_text(str.strip), (), ()),
    "upper": (_of_text(str.upper), (), ()),
    "lower": (_of_text(str.lower), (), ()),
    "digits": (_of_text(_only_digits), (), ()),
    "date": (_date, (), ("format",)),
    "datetime": (_date, (), ("format",)),
    "money": (_money, (), ("digits", "decimal", "round")),
    "replace": (_replace, ("replacements",), ()),
    "split": (_split, ("separator",), ("index",)),
    "substring": (_substring, (), ("start", "length")),
    "pad": (_pad, ("length",), ("fill",)),
    "map": (_map, ("values",), ("default", "ignore_case")),
    "lookup": (_lookup, ("table", "match"), ()),
    "constant": (_constant, ("value",), ()),
    "concat": (_concat, ("paths",), ("separator",)),
    "object": (_object, ("fields",), ()),
    "count": (_count, (), ()),
    "sum": (_sum, (), ()),
    "first": (_at(0), (), ()),
    "last": (_at(-1), (), ()),
    "join": (_join, (), ("separator",)),
}
