"""A connection that shows a user only what is theirs: each statement is looked at before it runs.

For every name in it a TEMP view of the rows to be seen is made the first time, and for a table that is
written to, TEMP triggers; all of them vanish with the connection. A roll-back may take them away, and then
they are made again. An authorizer behind it refuses to read a table past its view, whatever was overlooked.
"""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING, Any

from edgekit.errors import DeniedError
from edgekit.isolation.catalogue import Catalogue
from edgekit.isolation.rules import Rules
from edgekit.schema import quote_name

if TYPE_CHECKING:
    from edgekit.isolation.session import Session

_WORD = re.compile(r"\w+")
_NAME = r'(?:"(?P<q>(?:[^"]|"")+)"|\[(?P<b>[^\]]+)\]|`(?P<t>[^`]+)`|(?P<w>\w+\b))'
_WRITE = re.compile(
    rf"\s*(?P<verb>(?:INSERT(?:\s+OR\s+\w+)?|REPLACE)\s+INTO|UPDATE(?:\s+OR\s+\w+)?|DELETE\s+FROM)\s+"
    rf'(?P<main>(?:"?main"?\s*\.\s*)?){_NAME}(?!\s*\.)',
    re.IGNORECASE,
)
_PRAGMA_FUNCTION = re.compile(
    r"\b(pragma_(?:table_info|table_xinfo|foreign_key_list|index_list))\(([^(),]+)\)", re.IGNORECASE
)
_PRAGMA = re.compile(
    r"^\s*PRAGMA\s+(?=(?:table_info|table_xinfo|foreign_key_list|index_list)\s*\()", re.IGNORECASE
)
_STRUCTURE = re.compile(
    r"\s*(ATTACH|DETACH|VACUUM|REINDEX|ANALYZE|ALTER|DROP|CREATE)\b\s*(\w*)", re.IGNORECASE
)
_PIECE = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))|'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]"""
    r"""|[\w$]+|\S""",
    re.DOTALL,
)
_REAL = re.compile(r"\bmain\.\w+")
_VIEW = re.compile(r"^\s*CREATE\s+VIEW\s", re.IGNORECASE)
_ROLLBACK = re.compile(r"\s*ROLLBACK", re.IGNORECASE)
_ROW_ACTIONS = {sqlite3.SQLITE_READ, sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}
_PLAIN_ACTIONS = {
    sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_TRANSACTION,
    sqlite3.SQLITE_SAVEPOINT,
}  # fmt: skip
_MAKING = {sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_CREATE_INDEX, sqlite3.SQLITE_REINDEX}
_GUARDS_OF_THE_FILE = {
    "application_id", "foreign_keys", "ignore_check_constraints", "recursive_triggers", "secure_delete",
    "trusted_schema", "user_version", "writable_schema",
}  # fmt: skip
_SQLITES_OWN = {
    "sqlite_master", "sqlite_schema", "sqlite_sequence", "sqlite_stat1", "sqlite_temp_master",
    "sqlite_temp_schema",
}  # fmt: skip
_OPEN = {("audit_log", "seq"), ("audit_log", "table_id"), ("audit_log", "txn_id"), ("audit_log", "")}
"""Says that something changed and where, and not what: caches and the look for new entries need it."""
_MOST_STATEMENTS = 2000


class Confinement:
    """What a user may see and do on one connection, and what has been laid over it so far."""

    def __init__(self, connection: sqlite3.Connection, session: Session) -> None:
        self.session = session
        self._connection = connection
        self._raw = 0
        self._target: str | None = None
        self._dependents: frozenset[str] = frozenset()
        self._direct: frozenset[str] = frozenset()
        self._seen: dict[str, tuple[str, str | None, frozenset[str]]] = {}
        self._laid: set[str] = set()
        self._guarded: set[str] = set()
        self.rules = Rules(Catalogue(self.query), session)
        connection.set_authorizer(self._authorize)

    def query(self, sql: str, parameters: Any = ()) -> list[Any]:
        """Run a statement of our own, past every rule."""
        self._raw += 1
        try:
            return sqlite3.Cursor(self._connection).execute(sql, parameters).fetchall()
        finally:
            self._raw -= 1

    def forget(self) -> None:
        """Take it that nothing is laid over: what a roll-back undid is made again."""
        self._seen.clear()
        self._laid.clear()
        self._guarded.clear()

    def ready(self, sql: str) -> str:
        """Lay over what a statement needs, and return it as it is to be run. Raise DeniedError."""
        if (known := self._seen.get(sql)) is None:
            known = self._examine(sql)
            if len(self._seen) > _MOST_STATEMENTS:
                self._seen.clear()
            self._seen[sql] = known
        statement, self._target, self._direct = known
        self._dependents = self._depending(self._target)
        return statement

    def rest(self) -> None:
        """Take it that no statement is being made ready: what goes past the cursor writes nothing."""
        self._target, self._dependents, self._direct = None, frozenset(), frozenset()

    def _depending(self, target: str | None) -> frozenset[str]:
        """Name the tables whose rows SQLite itself may change where rows of the target change."""
        if target is None or target not in self.rules.catalogue.tables:
            return frozenset()
        return self.rules.catalogue.dependents(target)

    def _examine(self, sql: str) -> tuple[str, str | None, frozenset[str]]:
        if _ROLLBACK.match(sql):
            return sql, None, frozenset()
        sql, direct = _read_closely(sql)
        self._check_structure(sql)
        catalogue = self.rules.catalogue
        self._lay_all(sql)
        for name in catalogue.tables:
            if not _WORD.fullmatch(name):  # a name of the user's own that is no word: it may be in there
                self._lay(name)
        statement, target = self._aim(sql)
        statement = _PRAGMA_FUNCTION.sub(r"\1(\2, 'main')", statement)
        return _PRAGMA.sub("PRAGMA main.", statement), target, direct

    def _check_structure(self, sql: str) -> None:
        """Let tables of the user's own be made; everything else about the structure is nobody's here."""
        if (found := _STRUCTURE.match(sql)) is None:
            return
        verb, what = found[1].upper(), found[2].upper()
        if verb == "CREATE" and what in {"TABLE", "INDEX", "UNIQUE"}:
            self.session.require("edit", "making tables")
        else:
            raise DeniedError(
                f"{self.session.username} may not change how the file is built ({verb}).",
                hint="The system user may, or an administrator who belongs to no organization.",
            )

    def _lay_all(self, sql: str) -> None:
        """Make the view of every name in a statement."""
        catalogue = self.rules.catalogue
        for name in sorted({word.lower() for word in _WORD.findall(_REAL.sub("", sql))}):
            if name in catalogue.tables or name in catalogue.views:
                self._lay(name)

    def _lay(self, name: str) -> None:
        """Make the view a name stands for, and those it needs."""
        if name in self._laid:
            return
        self._laid.add(name)
        catalogue = self.rules.catalogue
        if name in catalogue.views:
            self._lay_all(catalogue.views[name])
            self._make(_VIEW.sub("CREATE TEMP VIEW IF NOT EXISTS ", catalogue.views[name]))
        elif self.rules.is_restricted(name):
            own = quote_name(catalogue.tables[name])
            condition = self.rules.readable(name, own)
            for other in sorted(
                {word.lower() for word in _WORD.findall(condition)} & catalogue.tables.keys()
            ):
                self._lay(other)
            self._make(f"CREATE TEMP VIEW IF NOT EXISTS {own} AS SELECT * FROM main.{own} WHERE {condition}")

    def _make(self, sql: str) -> None:
        ((read_only,),) = self.query("PRAGMA query_only")
        if read_only:
            self.query("PRAGMA query_only = 0")
        try:
            self.query(sql)
        finally:
            if read_only:
                self.query("PRAGMA query_only = 1")

    def _aim(self, sql: str) -> tuple[str, str | None]:
        """Aim a statement that writes at the real table, behind its guards."""
        start = 0
        if sql.lstrip()[:4].upper() == "WITH":
            start = _main_statement(sql)
        found = _WRITE.match(sql, start)
        if found is None:
            return sql, None
        name = found["q"] or found["b"] or found["t"] or found["w"]
        table = name.lower()
        if table not in self.rules.catalogue.tables:
            self.rules.catalogue.refresh()
        if table in self.rules.catalogue.tables:
            self.rules.require_write(table, found["verb"])
            self._guard(table)
        if found["main"]:
            return sql, table
        place = min(found.start(group) for group in ("q", "b", "t", "w") if found[group] is not None)
        place -= 0 if found["w"] is not None else 1
        return f"{sql[:place]}main.{sql[place:]}", table

    def _guard(self, table: str) -> None:
        """Make the triggers that skip rows which may not be seen and refuse those that may not be changed."""
        if table in self._guarded or not self.rules.is_guarded(table):
            return
        self._guarded.add(table)
        own = quote_name(self.rules.catalogue.tables[table])
        old, new = self.rules.writable(table, "OLD"), self.rules.writable(table, "NEW")
        seen = self.rules.readable(table, "OLD") if self.rules.is_restricted(table) else "1"
        self._lay_all(f"{seen} {new}")
        unseen = f"SELECT RAISE(IGNORE) WHERE ({seen}) IS NOT TRUE;"
        who = self.session.username.replace("'", "''")
        stays = f"This row of {table} may be seen, but not changed, by {who}."
        elsewhere = (
            f"A row of {table} written by {who} must belong to the organization of {who}, and refer only to"
            " rows that may be seen."
        )
        kept = self.rules.kept(table)
        moved = " OR ".join(f"NEW.{column} IS NOT OLD.{column}" for column in kept) or "0"
        self._trigger(table, own, "INSERT", "", f"({self.rules.addable(table)}) IS NOT TRUE", elsewhere)
        self._trigger(table, own, "UPDATE", unseen, f"({old}) IS NOT TRUE OR {moved}", stays,
                      f"({new}) IS NOT TRUE", elsewhere)  # fmt: skip
        self._trigger(table, own, "DELETE", unseen, f"({old}) IS NOT TRUE", stays)

    def _trigger(self, table: str, own: str, verb: str, first: str, *refusals: str) -> None:
        body = first + "".join(
            f" SELECT RAISE(ABORT, 'EK|{table}|*|denied|{sentence.replace(chr(39), chr(39) * 2)}')"
            f" WHERE {condition};"
            for condition, sentence in zip(refusals[::2], refusals[1::2], strict=True)
        )
        name = quote_name(f"isolation_{table}_{verb.lower()}")
        self._make(f"CREATE TEMP TRIGGER IF NOT EXISTS {name} BEFORE {verb} ON main.{own} BEGIN {body} END")

    def _authorize(
        self, action: int, first: str | None, second: str | None, place: str | None, source: str | None
    ) -> int:
        """Refuse what reaches a real table past its view or guards: what was overlooked fails."""
        if self._raw or action in _PLAIN_ACTIONS:
            return sqlite3.SQLITE_OK
        table = (first or "").lower()
        if action not in _ROW_ACTIONS:
            is_allowed = (action in _MAKING and "edit" in self.session.rights) or (
                action == sqlite3.SQLITE_PRAGMA and (second is None or table not in _GUARDS_OF_THE_FILE)
            )
        elif place != "main":
            is_allowed = True
        elif action == sqlite3.SQLITE_READ:
            is_allowed = self._may_read(table, (second or "").lower(), source)
        else:  # what a trigger writes is its own affair, and nobody here makes one
            is_allowed = source is not None or self._may_write(table)
        return sqlite3.SQLITE_OK if is_allowed else sqlite3.SQLITE_DENY

    def _may_read(self, table: str, column: str, source: str | None) -> bool:
        """Tell whether a column of a real table may be read, `source` being the view or trigger that does."""
        if (table, column) in _OPEN:
            return True
        if table in self._direct and self.rules.known_restricted(table):
            return False  # even to count its rows; a name given to a part of the statement passes for a view
        # "": no column of it. A statement that writes: SQLite looks at what refers to a row.
        if column == "" or source is not None or self._target is not None:
            return True
        if table.startswith("sqlite_"):
            return table in _SQLITES_OWN
        return not self.rules.known_restricted(table)

    def _may_write(self, table: str) -> bool:
        return table == self._target or table in self._dependents or table in _SQLITES_OWN


def _read_closely(sql: str) -> tuple[str, frozenset[str]]:
    """Take the comments out of a statement, and name the tables it reads as `main.NAME`, past their views.

    What a statement that writes is aimed at is not among them.
    """
    if "--" in sql or "/*" in sql:
        sql = _PIECE.sub(lambda piece: " " if piece["comment"] is not None else piece[0], sql)
    if "main" not in sql.lower():
        return sql, frozenset()
    aimed = _WRITE.match(sql, _main_statement(sql) if sql.lstrip()[:4].upper() == "WITH" else 0)
    pieces = [(piece.start(), piece[0].strip("'\"`[]").lower()) for piece in _PIECE.finditer(sql)]
    named = {
        name
        for (start, schema), (_, dot), (_, name) in zip(pieces, pieces[1:], pieces[2:], strict=False)
        if schema == "main" and dot == "." and not (aimed and start == aimed.start("main"))
    }
    return sql, frozenset(named - _SQLITES_OWN)


_TOKEN = re.compile(r"""'[^']*'|"[^"]*"|`[^`]*`|\[[^\]]*\]|\w+|[()]""")
_VERBS = {"SELECT", "INSERT", "REPLACE", "UPDATE", "DELETE"}


def _main_statement(sql: str) -> int:
    """Find where the statement behind WITH begins: the first verb outside of brackets and quotes."""
    depth = 0
    for token in _TOKEN.finditer(sql):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if depth == 0 and token[0].upper() in _VERBS:
            return token.start()
    return 0


class _Cursor(sqlite3.Cursor):
    """A cursor that asks first."""

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        self._confinement: Confinement = connection.confinement

    def execute(self, sql: str, parameters: Any = ()) -> Any:
        """Run a statement as the user may."""
        return self._run(super().execute, sql, parameters)

    def executemany(self, sql: str, parameters: Any) -> Any:
        """Run a statement for each of many rows as the user may."""
        return self._run(super().executemany, sql, parameters)

    def executescript(self, sql_script: str) -> Any:
        """Refuse: a script is not looked at statement by statement."""
        raise DeniedError("Scripts run only for whoever sees the whole file.")

    def _run(self, run: Any, sql: str, parameters: Any) -> Any:
        confinement = self._confinement
        statement = confinement.ready(sql)
        try:
            return run(statement, parameters)
        except BaseException:
            confinement.forget()  # SQLite may have rolled back by itself
            raise
        finally:
            confinement.rest()
            if _ROLLBACK.match(sql):
                confinement.forget()


def confine(connection: Any, session: Session) -> None:
    """Show and change on a connection of ours only what a user may. Nothing happens for who sees all."""
    if session.sees_all:
        return
    connection.confinement = Confinement(connection, session)
    # The three go past `cursor` in C.
    connection.cursor = lambda factory=None: _Cursor(connection)
    connection.execute = lambda sql, parameters=(): _Cursor(connection).execute(sql, parameters)
    connection.executemany = lambda sql, parameters: _Cursor(connection).executemany(sql, parameters)
    connection.executescript = lambda script: _Cursor(connection).executescript(script)
    roll_back = connection.rollback

    def rollback() -> None:
        connection.confinement.forget()
        roll_back()

    connection.rollback = rollback

    def refuse(*_: Any, **__: Any) -> Any:
        raise DeniedError("Whole files are read and copied only by whoever sees the whole file.")

    # They go past every statement.
    connection.backup = connection.blobopen = connection.deserialize = connection.serialize = refuse
    connection.set_authorizer = refuse
