"""How a result is read: what it means for the records that a transformation is for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgekit.errors import InvalidError, TransformationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.transformation.engine import Transformation

KINDS = ("map", "filter", "aggregate", "enrich", "validate", "custom")

_LISTS = {"jsonpath", "sql"}  # these always give a list


@dataclass(slots=True)
class Outcome:
    """What became of a batch: each kept record with the index it had, what was dropped, what failed.

    Records of an aggregate have the index of the last one of the batch.
    """

    kept: list[tuple[int, Any]] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    failed: list[tuple[int, TransformationError]] = field(default_factory=list)


def take(transformation: Transformation, kind: str, records: Sequence[Any]) -> Outcome:
    """Bring a batch of records through a transformation and read what it gives as its kind says.

    map: the value is the new record. filter: a record stays unless the value is false, null, 0 or empty.
    enrich: the value's members are added to the record. validate: true or an empty list lets the record
    pass, a list says what is wrong with it. custom: null drops the record, a list is as many records,
    anything else the new record. aggregate: the script sees the whole batch as a list; what it gives, one
    record or a list of them, takes its place. JSONPath and SQL always give a list: where one value is
    wanted, the only item of it is meant. Raise InvalidError for an unknown kind.
    """
    if kind not in KINDS:
        raise InvalidError(f"{kind!r} is no type of transformation.", hint=f"Types are: {', '.join(KINDS)}.")
    outcome = Outcome()
    if kind == "aggregate":
        _aggregate(transformation, records, outcome)
        return outcome
    for index, answer in enumerate(transformation.apply_many(records)):
        if isinstance(answer, TransformationError):
            outcome.failed.append((index, answer))
            continue
        try:
            made = _READ[kind](transformation, records[index], answer)
        except TransformationError as error:
            outcome.failed.append((index, error))
            continue
        outcome.kept.extend((index, record) for record in made)
        if not made:
            outcome.dropped.append(index)
    return outcome


def take_one(transformation: Transformation, kind: str, document: Any) -> Any:
    """Return what one document becomes, as `take` reads it. Raise TransformationError.

    The new record for map and enrich, whether it stays for filter, true for validate, the list of records
    for custom, and for aggregate, of which the document is the whole batch.
    """
    if kind == "aggregate" and not isinstance(document, list):
        raise InvalidError("An aggregate takes a list of records.")
    outcome = take(transformation, kind, document if kind == "aggregate" else [document])
    if outcome.failed:
        raise outcome.failed[0][1]
    records = [record for _, record in outcome.kept]
    if kind in {"filter", "validate"}:
        return bool(records)
    return records if kind in {"aggregate", "custom"} else records[0]


def _aggregate(transformation: Transformation, records: Sequence[Any], outcome: Outcome) -> None:
    if not records:
        return
    answer = transformation.apply_many([list(records)])[0]
    if isinstance(answer, TransformationError):
        outcome.failed.extend((index, answer) for index in range(len(records)))
        return
    last = len(records) - 1
    made = answer if isinstance(answer, list) else [answer]
    outcome.kept.extend((last, record) for record in made)
    if not made:
        outcome.dropped.extend(range(len(records)))


def _map(transformation: Transformation, record: Any, value: Any) -> list[Any]:
    return [_only(transformation, value)]


def _filter(transformation: Transformation, record: Any, value: Any) -> list[Any]:
    return [record] if value else []


def _enrich(transformation: Transformation, record: Any, value: Any) -> list[Any]:
    if transformation.language in _LISTS and value == []:
        return [record]
    added = _only(transformation, value)
    if not isinstance(added, dict) or not isinstance(record, dict):
        raise transformation.refuse("output", "gives no object that could be added to the record")
    return [record | added]


def _validate(transformation: Transformation, record: Any, value: Any) -> list[Any]:
    if value == [] or (value and not isinstance(value, list)):
        return [record]
    if not value:
        raise transformation.refuse("refused", "refuses the record")
    said = [item if isinstance(item, str) else _told(item) for item in value]
    raise transformation.refuse("refused", f"refuses the record: {'; '.join(said[:5])}")


def _custom(transformation: Transformation, record: Any, value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


_READ = {"map": _map, "filter": _filter, "enrich": _enrich, "validate": _validate, "custom": _custom}


def _only(transformation: Transformation, value: Any) -> Any:
    if transformation.language not in _LISTS:
        return value
    if len(value) != 1:
        raise transformation.refuse("output", f"gives {len(value)} values where one is wanted")
    return value[0]


def _told(item: Any) -> str:
    """Tell what is wrong by the message an object carries, else by its values."""
    if isinstance(item, dict):
        return str(item.get("message") or ", ".join(str(value) for value in item.values()))
    return str(item)
