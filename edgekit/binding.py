"""Peewee's side of the opened file: the database the models write through, and what they are bound to.

`edgekit.db` imports this when a file is opened for writing; whoever only reads does without Peewee.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import peewee
from peewee import PeeweeException

from edgekit import rules, sqlite

if TYPE_CHECKING:
    from edgekit.isolation.session import Session

__all__ = ["File", "PeeweeException", "proxy"]

proxy: peewee.DatabaseProxy = peewee.DatabaseProxy()
"""What the models are bound to: the opened file."""


class File(peewee.SqliteDatabase):
    """Peewee's database, naming the reference that is missing where SQLite does not."""

    def __init__(self, path: str) -> None:
        super().__init__(
            path,
            lock_type="IMMEDIATE",
            timeout=sqlite.BUSY_SECONDS,
            pragmas=dict(sqlite.PRAGMAS),
            factory=sqlite.Connection,
        )
        self.session: Session | None = None

    def _connect(self) -> Any:
        connection = super()._connect()  # type: ignore[misc]
        if self.session is not None:  # of another thread
            from edgekit.isolation.confined import confine

            confine(connection, self.session)
        return connection

    def begin(self, lock_type: str | None = None) -> None:
        """Begin to write, waiting for other writers as `sqlite.begin` does."""
        del lock_type  # always the same
        sqlite.begin(self.connection())

    def rollback(self) -> Any:
        # A full disk makes SQLite undo everything at once: a second ROLLBACK would hide why.
        return super().rollback() if self.connection().in_transaction else None

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        if sql.startswith("ROLLBACK TO SAVEPOINT") and not self.connection().in_transaction:
            return None
        try:
            return super().execute_sql(sql, params)
        except peewee.IntegrityError as error:
            if "FOREIGN KEY" not in str(error):
                raise
            named = rules.explain_statement(self.connection(), sql, params or ())
            if named is None:
                raise
            raise named from error

    def bind_models(self) -> None:
        """Let the models read and write this file."""
        proxy.initialize(self)

    def free_models(self) -> None:
        """Leave the models without a file."""
        proxy.initialize(None)
