"""What a file has: tables, views, columns and references, each read when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import naming

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Query = Callable[..., Sequence[Sequence[Any]]]


class Catalogue:
    """Reads of the file's own catalogue. `query` runs a statement past every rule; names are lower case."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._columns: dict[str, frozenset[str]] = {}
        self._references: dict[str, list[tuple[str, str, bool]]] = {}
        self._children: dict[str, set[str]] = {}
        self._dependents: dict[str, frozenset[str]] = {}
        self._audited: list[tuple[str, int]] = []
        self.ours: frozenset[str] = frozenset()
        self.tables: dict[str, str] = {}
        self.views: dict[str, str] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read the names anew."""
        self.tables, self.views = {}, {}
        self._children, self._dependents = {}, {}
        for kind, name, sql in self._query(
            "SELECT type, name, sql FROM main.sqlite_schema WHERE type IN ('table', 'view')"
        ):
            (self.tables if kind == "table" else self.views)[name.lower()] = name if kind == "table" else sql
        self.ours = frozenset(self.tables) & (
            {*naming.own_tables()} | {t for t in self.tables if t.startswith(("audit_", "sqlite_"))}
        )

    def columns(self, table: str) -> frozenset[str]:
        """Name the columns of a table."""
        if table not in self._columns:
            found = self._query("SELECT name FROM pragma_table_info(?, 'main')", (table,))
            self._columns[table] = frozenset(name.lower() for (name,) in found)
        return self._columns[table]

    def references(self, table: str) -> list[tuple[str, str, bool]]:
        """List what a table refers to: (column, table, whether it must be set)."""
        if table not in self._references:
            found = self._query(
                'SELECT lower(f."from"), lower(f."table"), i."notnull"'
                " FROM pragma_foreign_key_list(?1, 'main') f"
                " JOIN pragma_table_info(?1, 'main') i ON i.name = f.\"from\" ORDER BY i.cid",
                (table,),
            )
            self._references[table] = [(column, parent, bool(must)) for column, parent, must in found]
        return self._references[table]

    def dependents(self, table: str) -> frozenset[str]:
        """Name the tables whose rows refer to those of a table, or to such a row in their turn."""
        if not self._children:
            found = self._query(
                'SELECT lower(f."table"), lower(m.name) FROM main.sqlite_schema m,'
                " pragma_foreign_key_list(m.name, 'main') f WHERE m.type = 'table'"
            )
            for parent, child in found:
                self._children.setdefault(parent, set()).add(child)
        if table not in self._dependents:
            reached, ahead = {table}, [table]
            while ahead:
                new = self._children.get(ahead.pop(), set()) - reached
                reached |= new
                ahead += new
            self._dependents[table] = frozenset(reached)
        return self._dependents[table]

    def audited(self) -> list[tuple[str, int]]:
        """List the tables whose changes are logged, with their numbers in the log."""
        if not self._audited:
            found = self._query("SELECT lower(name), id FROM main.audit_table ORDER BY id")
            self._audited = [(name, number) for name, number in found if name in self.tables]
        return self._audited
