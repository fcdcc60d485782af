"""One record followed through a mapping: what is found, what each step makes of it, what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import jsonpath
from edgekit.errors import InvalidError
from edgekit.mapping.field import ABSENT, FieldError, Refused
from edgekit.mapping.rules import compile_rules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgekit.mapping.compiled import CompiledMapping
    from edgekit.mapping.field import FieldMapping
    from edgekit.mapping.pipeline import Field


@dataclass(frozen=True, slots=True)
class Step:
    """One step a value goes: its name, the value after it, or why it was refused."""

    step: str
    value: Any = None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Traced:
    """One field of one record. `outcome` is written, default, null, left_out or set_aside."""

    mapping: str
    source_path: str
    target_path: str
    found: Any
    is_secret: bool
    steps: tuple[Step, ...]
    result: Any
    outcome: str
    error: FieldError | None


def trace(mapping: FieldMapping, compiled: CompiledMapping, record: Any) -> Traced:
    """Follow one field of a record; the result is that of the interpreter, the steps say how it came about.

    Raise InvalidError where the mapping takes no part in what was compiled.
    """
    field = next((one for one in compiled.fields if one.name == mapping.name), None)
    if field is None:
        raise InvalidError(f'mapping "{mapping.name}" takes no part in this direction')
    found = jsonpath.find(field.source_path, record)
    value = found if field.takes_list else found[0] if found else None
    error: FieldError | None = None
    try:
        result = field.run(record)
    except FieldError as refused:
        result, error = None, refused
    steps = tuple(_steps(field, mapping, value, record))
    outcome = _outcome(field, result, steps, value, failed=error is not None)
    return Traced(
        mapping.name, field.source_path, field.column, value, field.secret, steps,
        None if result is ABSENT else result, outcome, error,
    )  # fmt: skip


def _outcome(field: Field, result: Any, steps: tuple[Step, ...], value: Any, *, failed: bool) -> str:
    if failed:
        return "set_aside"
    if result is ABSENT:
        return "left_out"
    if result is None:
        return "null"
    missing = value is None or (value == "" and not field.keep_empty)
    took_default = field.has_default and result == field.default
    return "default" if took_default and (missing or any(step.refused for step in steps)) else "written"


def _steps(field: Field, mapping: FieldMapping, value: Any, record: Any) -> list[Step]:
    """Do each step by itself, up to the one that refuses."""
    rules = field.rules
    if (value is None or (value == "" and not field.keep_empty)) and not (rules and rules.always):
        return [Step("missing")]
    todo: list[tuple[str, Any]] = []
    if field.check_source is not None and value is not None:
        todo.append(("check as it came", _checking(field.check_source)))
    if rules is not None:
        todo += _rule_steps(field, mapping.transformation_rules)
    if field.convert is not None:
        todo.append((f"to {field.target_type or field.source_type}", lambda one, _record: field.convert(one)))
    if field.check_target is not None:
        todo.append(("check as written", _checking(field.check_target)))
    done: list[Step] = []
    for name, step in todo:
        try:
            value = step(value, record)
        except Refused as refused:
            return [*done, Step(name, refused=f"{refused.code}: {refused.text}")]
        except InvalidError as error:
            return [*done, Step(name, refused=f"path: {error.message}")]
        done.append(Step(name, value))
        if value is None:
            return [*done, Step("missing")]
    return done


def _rule_steps(field: Field, options: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    """Take rules apart where they are steps of one value; those of an object or a list are one step."""
    assert field.rules is not None
    whole = field.rules.apply
    if field.kind in {"object", "array"} or options is None:
        return [(field.kind, whole)]
    if options["type"] != "steps":
        return [(str(options["type"]), whole)]
    return [(str(step["type"]), _unless_missing(compile_rules(step))) for step in options["steps"]]


def _unless_missing(rules: Any) -> Any:
    return lambda value, record: rules.apply(value, record) if value is not None or rules.always else None


def _checking(check: Any) -> Any:
    def step(value: Any, _record: Any) -> Any:
        check(value)
        return value

    return step
