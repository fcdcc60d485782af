"""What is worked out from the file and kept for a while: never longer than its bound, never past a commit.

    ANSWERS = cache.Region("answers", seconds=cache.CLIENT_SECONDS, tables=("feature", "feature_license"))

    def answer(code: str, organization: int) -> Answer:
        return ANSWERS.get((code, organization), lambda: _work_out(code, organization))

A region names the audited tables its values are worked out from; `get` returns what is kept under a key (any
hashable), else calls `load` and keeps what it returns, which nobody may change afterwards. A hit costs about
0.3 us. `query` does the same for the rows of a SELECT, and finds its tables by itself.

What a thread keeps is its own, so there is nothing to lock, and a thread in the middle of a reading sees one
state of the file throughout. Fresh is:

- within an open change of this thread nothing is kept nor taken: it sees its own writes;
- a commit of this process, whichever thread made it, is seen by the next `get`;
- a commit of another process is seen within 10 ms: `PRAGMA data_version` is asked 5 ms after it last was, and
  when it has moved, the tail of the audit log says which tables changed. Regions of other tables stay.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

from edgekit import db

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Hashable, Iterable, Sequence

T = TypeVar("T")

DASHBOARD_SECONDS = 5 * 60.0
"""How long the unified dashboard is kept at most."""
LISTING_SECONDS = 15 * 60.0
"""How long listings of the marketplace are kept at most."""
CLIENT_SECONDS = 30 * 60.0
"""How long what is configured and licensed for a client is kept at most."""
STATIC_SECONDS = 60 * 60.0
"""How long categories, types and templates are kept at most."""

LOOK_SECONDS = 0.005
"""How long another process's commit may go unnoticed; twice that is promised."""
MOST_ENTRIES = 10_000
"""How many values a region keeps in one thread before it starts anew."""
LONGEST_TAIL = 20_000
"""How many log entries are read to spare regions; past that all start anew."""

_UNLOGGED = "*"

clock = time.monotonic


class _State:
    """What one thread keeps: per region the values by key, and up to where it has read the log."""

    __slots__ = ("database", "generation", "kept", "moment", "names", "seq", "until", "version")

    def __init__(self) -> None:
        self.database: db.Database | None = None
        self.moment: object = None
        self.until = 0.0
        self.version: tuple[int, ...] = ()
        self.seq = 0
        self.names: dict[int, str] = {}
        self.generation = 0
        self.kept: list[dict[Hashable, tuple[Any, float, frozenset[str]]]] = []


class _Local(threading.local):
    def __init__(self) -> None:
        self.state = _State()


_local = _Local()
_regions: list[Region] = []


class Region:
    """A kind of value that is kept: its bound in seconds, and the tables whose change ends it."""

    def __init__(self, name: str, *, seconds: float, tables: Iterable[str] = ()) -> None:
        self.name = name
        self.seconds = seconds
        self.tables = frozenset(tables)
        self._number = len(_regions)
        self._reads: dict[Hashable, frozenset[str]] = {}
        _regions.append(self)

    def get(self, key: Hashable, load: Callable[[], T]) -> T:
        """Return what is kept under the key, else what `load` returns, and keep that."""
        found = self.peek(key)
        return self._miss(_local.state, key, load, self.tables) if found is None else found[0]

    def peek(self, key: Hashable) -> tuple[Any, float, frozenset[str]] | None:
        """Return what is kept and fresh under the key, as the first of a tuple, if anything is."""
        state = _local.state
        now = clock()
        if state.moment is db.moment and now < state.until:
            try:
                found = state.kept[self._number].get(key)
            except IndexError:  # a region that is new to this thread
                return None
            if found is not None and now < found[1]:
                return found
        return None

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Return the rows of a SELECT of the opened file, kept until a table it reads has changed."""
        opened = db.current()
        read = (opened.path, opened.session, sql)  # a user's views read more tables than the statement names
        tables = self._reads.get(read)
        if tables is None:
            tables = self._reads[read] = tables_read(opened.connection(), sql, params)
        key = (sql, tuple(params))
        return self._miss(_local.state, key, lambda: db.query(sql, params), tables)

    def _miss(self, state: _State, key: Hashable, load: Callable[[], T], tables: frozenset[str]) -> T:
        if db.current().open_change is not None:
            return load()
        if state.moment is not db.moment or clock() >= state.until:
            _look(state)
        while len(state.kept) <= self._number:
            state.kept.append({})
        kept = state.kept[self._number]
        found = kept.get(key)
        if found is not None and clock() < found[1]:
            value: T = found[0]
            return value
        generation, started = state.generation, clock()
        value = load()
        # A look while it was loading has forgotten what this may still be made of.
        if generation == state.generation:
            if len(kept) >= MOST_ENTRIES:
                kept.clear()
            kept[key] = (value, started + self.seconds, tables)
        return value


DASHBOARD = Region("dashboard", seconds=DASHBOARD_SECONDS)
LISTINGS = Region("listings", seconds=LISTING_SECONDS)
STATIC = Region("static", seconds=STATIC_SECONDS)


def tables_read(connection: sqlite3.Connection, sql: str, params: Sequence[Any] = ()) -> frozenset[str]:
    """Name the tables a SELECT reads, through whatever views; `*` stands for those that are not logged."""
    program = connection.execute(f"EXPLAIN {sql}", params).fetchall()
    roots = {root for _, step, _, root, database, *_ in program if step == "OpenRead" and database == 0}
    found = {
        table if is_logged else _UNLOGGED
        for root, table, is_logged in connection.execute(
            "SELECT rootpage, tbl_name, tbl_name IN (SELECT name FROM audit_table) FROM sqlite_schema"
        )
        if root in roots
    }
    return frozenset(found)


def _look(state: _State) -> None:
    """Find out what was committed since this thread last looked, and forget what it touches."""
    moment, looked = db.moment, clock()
    database = db.current()
    connection = database.connection()
    # Its own writes move no `data_version`: those past an open change show in how many it made.
    version = (*connection.execute("PRAGMA data_version").fetchone(), connection.total_changes)
    if state.database is not database:
        _start(state, database, connection)
    elif version != state.version or moment is not state.moment:
        _forget(state, connection)
    state.moment, state.until, state.version = moment, looked + LOOK_SECONDS, version


def _start(state: _State, database: db.Database, connection: sqlite3.Connection) -> None:
    state.database = database
    state.kept = []
    state.generation += 1
    (state.seq,) = connection.execute("SELECT ifnull(max(seq), 0) FROM main.audit_log").fetchone()
    state.names = dict(connection.execute("SELECT id, name FROM audit_table").fetchall())


def _forget(state: _State, connection: sqlite3.Connection) -> None:
    """Read the tail of the log and drop what was made of the tables in it."""
    state.generation += 1
    (last,) = connection.execute("SELECT ifnull(max(seq), 0) FROM main.audit_log").fetchone()
    if not 0 <= last - state.seq <= LONGEST_TAIL:
        for kept in state.kept:
            kept.clear()
    else:
        tail = "SELECT DISTINCT table_id FROM main.audit_log WHERE seq > ? AND seq <= ?"
        numbers = [number for (number,) in connection.execute(tail, (state.seq, last))]
        if any(number not in state.names for number in numbers):  # a table tracked since
            state.names = dict(connection.execute("SELECT id, name FROM audit_table").fetchall())
        _drop(state, {_UNLOGGED, *(state.names.get(number, "") for number in numbers)})
    state.seq = last


def _drop(state: _State, changed: set[str]) -> None:
    for region, kept in zip(_regions, state.kept, strict=False):
        if region.tables:
            if not region.tables.isdisjoint(changed):
                kept.clear()
        else:
            for key in [key for key, entry in kept.items() if not entry[2].isdisjoint(changed)]:
                del kept[key]
