"""Enrich steps: a whole batch looked up in one query, or asked of another integration, each key once."""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import TYPE_CHECKING, Any

from edgekit import db, jsonpath
from edgekit.errors import SkipRecordError
from edgekit.schema import quote_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.integrations.enriching import Enrichment
    from edgekit.integrations.steps import Step
    from edgekit.runner.work import Work

_SEVERAL = object()
"""The answer where more than one row or record has the key."""

Key = tuple[str, ...]

_NUMBER = re.compile(r"[ \t\n\r\f\v]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[ \t\n\r\f\v]*")
_FRACTION = re.compile(r"[.eE]")


def enrich(step: Step, documents: Sequence[Any], work: Work) -> list[Any]:
    """Return for each document what it became, or the error that sets it aside.

    Raise EdgekitError where the other integration cannot be asked at all: then no record is to blame.
    """
    enrichment = step.enrichment
    assert enrichment is not None
    keys = [_key(enrichment, document) for document in documents]
    answers = work.answers(step.name)
    wanted = answers.unknown(key for key in keys if key is not None)
    if wanted:
        firsts = dict(zip(reversed(keys), reversed(documents), strict=True))
        if enrichment.table is not None:
            answers.keep(_look_up(enrichment, wanted, [firsts[key] for key in wanted]))
        else:
            answers.keep(_ask(step, enrichment, wanted, [firsts[key] for key in wanted], work))
    return [
        _added(step, enrichment, document, None if key is None else answers[key])
        for key, document in zip(keys, documents, strict=True)
    ]


def _key(enrichment: Enrichment, document: Any) -> Key | None:
    """Return what a record is looked up by, as text; None where a part of it is missing."""
    if _lacking(enrichment, document) is not None:
        return None
    return tuple(_text(path.first(document)) for _, path in enrichment.match)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _look_up(enrichment: Enrichment, keys: Sequence[Key], documents: Sequence[Any]) -> dict[Key, Any]:
    """Find the rows of all keys in one query. The columns compare: their type and collation decide.

    The table is read once, or by its index, whatever the number of keys. For that SQLite sorts the keys; it
    does so where neither side is still to be converted: so the keys are, and the sign keeps the columns.
    """
    values = [_as_compared(enrichment, document) for document in documents]
    columns = ", ".join(f"t.{quote_name(column)}" for column, _ in enrichment.columns)
    names = [f"t.{quote_name(column)}" for column, _ in enrichment.match]
    given = ", ".join(
        f"{_given(one, number)} AS v{number}" for number, one in enumerate(enrichment.affinities)
    )
    joined = " AND ".join(f"+{name} = w.v{number}" for number, name in enumerate(names))
    within = " AND ".join(f"{name} IN (SELECT v{number} FROM w)" for number, name in enumerate(names))
    assert enrichment.table is not None
    found: dict[Key, Any] = dict.fromkeys(keys)
    rows = db.connection().execute(
        f"WITH w AS MATERIALIZED (SELECT key, {given} FROM json_each(?))"
        f" SELECT w.key, {columns} FROM {quote_name(enrichment.table)} t CROSS JOIN w ON {joined}"
        f" WHERE {within}",
        (json.dumps(values),),  # of plain characters: half of one is no reason to stop
    )
    for number, *row in rows:
        key = keys[number]
        there = dict(zip((member for _, member in enrichment.columns), row, strict=True))
        found[key] = there if found[key] is None or found[key] == there else _SEVERAL
    return found


def _as_compared(enrichment: Enrichment, document: Any) -> list[Any]:
    """Return what a record is looked up by, a text as a number where the column holds numbers."""
    values = [path.first(document) for _, path in enrichment.match]
    return [
        _number(value) if affinity == "number" and isinstance(value, str) else value
        for affinity, value in zip(enrichment.affinities, values, strict=True)
    ]


def _number(text: str) -> Any:
    if not _NUMBER.fullmatch(text):
        return text
    number = float(text)
    if len(text) < 100 and abs(number) < 2**63 and not _FRACTION.search(text):
        return int(text)
    return number if isfinite(number) else text


def _given(affinity: str, number: int) -> str:
    value = f"json_extract(value, '$[{number}]')"
    return (
        f"CASE typeof({value}) WHEN 'text' THEN {value} ELSE CAST({value} AS TEXT) END"
        if (affinity == "text")
        else value
    )


def _ask(
    step: Step, enrichment: Enrichment, keys: Sequence[Key], documents: Sequence[Any], work: Work
) -> dict[Key, Any]:
    """Ask the other integration for all keys, and find each one's answer among the records that come."""
    rows = [
        {"id": number, **{name: _sent(path.first(document)) for name, path in enrichment.send}}
        for number, document in enumerate(documents, 1)
    ]
    found: dict[Key, Any] = dict.fromkeys(keys)
    paths = [jsonpath.compile(name) for name, _ in enrichment.match]
    taken = [(jsonpath.compile(name), member) for name, member in enrichment.columns]
    for record in work.ask(step.name, rows):
        values = [path.first(record) for path in paths]
        key = tuple(_text(value) for value in values)
        if key in found:
            there = _take(record, taken)
            found[key] = there if found[key] is None or found[key] == there else _SEVERAL
    return found


def _sent(value: Any) -> Any:
    return None if value is jsonpath.MISSING else value


def _take(record: Any, taken: list[tuple[jsonpath.Path, str]]) -> Any:
    return {member: _sent(path.first(record)) for path, member in taken} if taken else record


def _added(step: Step, enrichment: Enrichment, document: Any, answer: Any) -> Any:
    """Return the record with what was found, or the error of one with nothing, or too much, to add."""
    if not isinstance(document, dict):
        return SkipRecordError("A record is enriched only where it is an object.", error_code="shape")
    if answer is None and enrichment.missing == "skip":
        return document
    if answer is None and enrichment.missing == "null":
        return {**document, **dict.fromkeys(enrichment.members)}
    if answer is None and (lacking := _lacking(enrichment, document)):
        where = enrichment.table or enrichment.integration
        message = f"{step.name}: the record has no {lacking}, by which {where} is looked up."
        return SkipRecordError(message, error_code="not_found")
    if answer is None or answer is _SEVERAL:
        what = "nothing" if answer is None else "more than one"
        by = ", ".join(f"{column} {repr(path.first(document))[:100]}" for column, path in enrichment.match)
        where = enrichment.table or enrichment.integration
        code = "not_found" if answer is None else "ambiguous"
        return SkipRecordError(f"{step.name}: {where} has {what} with {by}.", error_code=code)
    return {**document, **({enrichment.into: answer} if enrichment.into is not None else answer)}


def _lacking(enrichment: Enrichment, document: Any) -> str | None:
    """Name the first path a record is looked up by that finds no value in it."""
    for _, path in enrichment.match:
        value = path.first(document)
        if value is jsonpath.MISSING or value is None or isinstance(value, dict | list) or value != value:
            return path.text
    return None
