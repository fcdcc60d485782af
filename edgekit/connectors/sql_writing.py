"""Writing records into a table by their key: each send one transaction, each record refused by itself."""

from __future__ import annotations

import time
from itertools import groupby
from typing import TYPE_CHECKING, Any

from edgekit import clock, masking
from edgekit.connectors.base import Answer, Attempt, Delivery, Outgoing
from edgekit.connectors.sql_reading import names_of
from edgekit.connectors.sql_values import kind_of, require_key, row_of
from edgekit.errors import EdgekitError, InvalidError, NotFoundError, SkipRecordError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgekit.connectors.sql_sides import Side


class SqlWriter:
    """An open way into one table."""

    def __init__(self, side: Side, config: Mapping[str, Any], state: Mapping[str, Any]) -> None:
        self._side = side
        self._table = str(config["table"])
        self._key = names_of(config["key"])
        self._creates = bool(config.get("create"))
        self._state = dict(state)
        self._columns: dict[str, str] = {}
        self._is_alone = False

    def send(self, records: Sequence[Outgoing]) -> Delivery:
        """Write records and commit them. Raise EdgekitError where none can be written; then none is."""
        began, started = clock.now(), time.monotonic()
        error: EdgekitError | None = None
        try:
            if not self._columns:
                self._look(records)
            answers = self._write(records)
        except EdgekitError as failure:
            error = failure
        took = round((time.monotonic() - started) * 1000)
        tried = Attempt(
            "UPSERT",
            f"{self._side.place.shown}#{self._table}",
            began,
            took,
            error=error.message if error else None,
        )
        if error is not None:
            vars(error)["attempts"] = [tried]
            raise error
        return Delivery(answers, dict(self._state), [tried])

    def finish(self) -> dict[str, Any]:
        """Return the state: what was answered is there for good already."""
        return dict(self._state)

    # the table

    def _look(self, records: Sequence[Outgoing]) -> None:
        """Learn the columns and keys of the table, which is made first where that is wanted."""
        side = self._side
        columns = side.columns(self._table)
        if not columns and self._creates:
            self._create(records)
            columns = side.columns(self._table)
        if not columns:
            raise NotFoundError(
                f"{side.place.shown}: there is no table {self._table}.",
                hint="Or have it made from the data: --set to.create=true",
            )
        keys = [frozenset(key) for key in side.unique_keys(self._table)]
        if frozenset(self._key) not in keys:
            known = " | ".join(",".join(sorted(key)) for key in keys) or "none"
            raise InvalidError(
                f"{side.place.shown}: {self._table} has no unique key on {', '.join(self._key)}.",
                hint=f"Its keys are: {known}.",
            )
        self._columns, self._is_alone = columns, len(set(keys)) == 1

    def _create(self, records: Sequence[Outgoing]) -> None:
        side, types = self._side, self._side.types()
        names = list(dict.fromkeys(name for item in records for name in item.record))
        if missing := [name for name in self._key if name not in names]:
            raise InvalidError(f"The records have no field {missing[0]}, which is to identify them.")
        lines = []
        for name in names:
            kind = kind_of([item.record.get(name) for item in records])
            kind = "key" if name in self._key and kind == "text" else kind
            lines.append(f"{side.quote(name)} {types[kind]}{' NOT NULL' if name in self._key else ''}")
        lines.append(f"PRIMARY KEY ({', '.join(map(side.quote, self._key))})")
        side.execute(f"CREATE TABLE IF NOT EXISTS {side.quote(self._table)} ({', '.join(lines)})")

    # the rows

    def _write(self, records: Sequence[Outgoing]) -> list[Answer]:
        answers: list[Answer] = [Answer()] * len(records)
        good = [place for place, item in enumerate(records) if not self._refuses(item, place, answers)]
        self._side.begin()
        try:
            for columns, places in groupby(good, key=lambda place: tuple(records[place].record)):
                self._write_alike(columns, list(places), records, answers)
            self._side.commit()
        except BaseException:
            self._side.rollback()
            raise
        return answers

    def _refuses(self, item: Outgoing, place: int, answers: list[Answer]) -> bool:
        """Answer a record that cannot be written before it is tried."""
        try:
            require_key(item, self._key)
        except SkipRecordError as error:
            answers[place] = Answer(error)
            return True
        unknown = [name for name in item.record if name not in self._columns]
        if unknown:
            raise InvalidError(
                f"{self._side.place.shown}: {self._table} has no column {unknown[0]}.",
                hint=f"Leave it out (ignore={unknown[0]}) or map it. Columns: {', '.join(self._columns)}.",
            )
        return False

    def _write_alike(
        self, columns: tuple[str, ...], places: list[int], records: Sequence[Outgoing], answers: list[Answer]
    ) -> None:
        """Write records of the same columns in one go; where one is refused, one by one to find which."""
        side = self._side
        statement = side.upsert(self._table, columns, self._key, alone=self._is_alone)
        rows = [row_of(records[place], columns) for place in places]
        side.execute("SAVEPOINT edgekit_all")
        try:
            side.execute_many(statement, rows)
        except side.errors as error:
            if not side.is_of_a_record(error):
                raise
            side.execute("ROLLBACK TO SAVEPOINT edgekit_all")
            for place, row in zip(places, rows, strict=True):
                answers[place] = self._write_one(statement, row)
        side.execute("RELEASE SAVEPOINT edgekit_all")

    def _write_one(self, statement: str, row: Sequence[Any]) -> Answer:
        side = self._side
        side.execute("SAVEPOINT edgekit_one")
        try:
            side.execute(statement, row)
        except side.errors as error:
            if not side.is_of_a_record(error):
                raise
            side.execute("ROLLBACK TO SAVEPOINT edgekit_one")
            said = masking.text(" ".join(str(error.args[-1] if error.args else error).split()))
            return Answer(SkipRecordError(f"{self._table}: {said}", error_code="refused"))
        side.execute("RELEASE SAVEPOINT edgekit_one")
        return Answer()
