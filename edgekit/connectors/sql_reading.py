"""Reading a table or query as a stream: ordered by its key, so that each page can be gone on from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit.connectors.base import Page
from edgekit.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgekit.connectors.sql_sides import Row, Side


def names_of(value: Any) -> tuple[str, ...]:
    """Read a comma list of names, or a list."""
    parts = value.split(",") if isinstance(value, str) else value or ()
    return tuple(str(part).strip() for part in parts if str(part).strip())


class Reading:
    """What is to be read, and in which order."""

    def __init__(self, side: Side, config: Mapping[str, Any]) -> None:
        self._side = side
        self._table: str | None = config.get("source_table")
        self._query = str(config.get("query", "")).strip().rstrip(";")
        self._columns = names_of(config.get("columns"))
        self._size = int(config.get("batch_size", 1000))
        incremental = config.get("incremental") or {}
        self._cursor: str | None = incremental.get("column")
        self._initial = incremental.get("initial")
        self._key = names_of(config.get("source_key")) or self._own_key()
        if self._columns and self._query:
            raise InvalidError("columns are those of source_table; a query names its own.")

    def _own_key(self) -> tuple[str, ...]:
        """Return the primary key of a table; a view or a query has none to be found."""
        if self._table is None:
            return ()
        if not self._side.columns(self._table):
            raise NotFoundError(f"{self._side.place.shown}: there is no table {self._table}.")
        keys = self._side.unique_keys(self._table)
        return keys[0] if keys else ()

    @property
    def _order(self) -> tuple[str, ...]:
        """The columns that order the rows and tell them apart: the cursor, then the key."""
        cursor = (self._cursor,) if self._cursor else ()
        return (*cursor, *(name for name in self._key if name != self._cursor))

    def pages(self, state: Mapping[str, Any]) -> Iterator[Page]:
        """Yield pages from where the state says; the last one has what the next pass begins with."""
        after = state.get("after") if not state.get("done") else None
        cursor = state.get("cursor", self._initial)
        names, lists = self._side.stream(*self._statement(after, cursor), self._size)
        self._check(names)
        number = int(state.get("rows", 0)) if after is not None else 0
        rows = next(lists, [])
        while True:
            following = next(lists, [])
            self._check_key(names, rows, following)
            if rows and self._cursor is not None:
                cursor = rows[-1][names.index(self._cursor)]
            number += len(rows)
            yield Page(
                [dict(zip(names, row, strict=True)) for row in rows],
                self._positions(names, rows, number - len(rows)),
                self._state(names, rows, cursor, number, done=not following),
            )
            if not following:
                return
            rows = following

    def first(self) -> Page:
        """Read one row."""
        what = self._query if self._table is None else f"SELECT * FROM {self._side.quote(self._table)}"
        sql = f"SELECT * FROM ({what}\n) AS edgekit_source LIMIT 1"
        names, lists = self._side.stream(sql, (), 1)
        rows = next(lists, [])
        return Page([dict(zip(names, row, strict=True)) for row in rows], ["row 1"] * len(rows), {})

    def _state(
        self, names: list[str], rows: Sequence[Row], cursor: Any, number: int, *, done: bool
    ) -> dict[str, Any]:
        kept: dict[str, Any] = {} if cursor is None or self._cursor is None else {"cursor": cursor}
        if done:
            return {**kept, "done": True}
        if not self._key:
            return {}
        last = rows[-1]
        return {**kept, "after": [last[names.index(name)] for name in self._order], "rows": number}

    def _positions(self, names: list[str], rows: Sequence[Row], before: int) -> list[str]:
        if not self._key:
            return [f"row {before + place}" for place, _ in enumerate(rows, 1)]
        places = [names.index(name) for name in self._key]
        return [f"key {', '.join(str(row[place]) for place in places)}" for row in rows]

    def _statement(self, after: Sequence[Any] | None, cursor: Any) -> tuple[str, list[Any]]:
        quote, order = self._side.quote, self._order
        if self._table is not None:
            listed = tuple(dict.fromkeys((*self._columns, *order))) if self._columns else ()
            sql = f"SELECT {', '.join(map(quote, listed)) or '*'} FROM {quote(self._table)}"
        else:
            sql = f"SELECT * FROM ({self._query}\n) AS edgekit_source" if order else self._query
        conditions, values = [], []
        if self._cursor is not None:
            conditions.append(f"{quote(self._cursor)} IS NOT NULL")
        if after is not None and self._key:
            left, right = ", ".join(map(quote, order)), ", ".join("?" * len(order))
            conditions.append(f"({left}) > ({right})")
            values = list(after)
        elif self._cursor is not None and cursor is not None:
            # From the last value on, not behind it: more rows may have come with the same one since.
            conditions.append(f"{quote(self._cursor)} >= ?")
            values = [cursor]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        ordered = f" ORDER BY {', '.join(map(quote, order))}" if order else ""
        return f"{sql}{where}{ordered}", values

    def _check_key(self, names: list[str], rows: Sequence[Row], following: Sequence[Row]) -> None:
        """Refuse a key without a value, or of two rows where a page ends: rows would be left out unseen."""
        places = [names.index(name) for name in self._order]
        if not self._key:
            return
        for place in places:
            if any(row[place] is None for row in rows):
                raise InvalidError(
                    f"{names[place]} has no value in some row, so it does not tell where to go on.",
                    hint="Set source_key to what identifies a row, or read by a query without a key.",
                )
        if following and all(rows[-1][place] == following[0][place] for place in places):
            raise InvalidError(
                f"Two rows have the same {', '.join(self._key)}, which is to identify them.",
                hint="Set source_key to columns that identify a row.",
            )

    def _check(self, names: list[str]) -> None:
        """Refuse columns that cannot be told apart, or that the order needs and the rows do not have."""
        twice = [name for place, name in enumerate(names) if name in names[:place]]
        if twice:
            raise InvalidError(
                f"The query has two columns {twice[0]}.", hint="Name one of them: … AS other_name"
            )
        for name in self._order:
            if name not in names:
                raise InvalidError(
                    f"The rows have no column {name}, which orders them.",
                    hint=f"They have: {', '.join(names)}.",
                )
