"""How tables and rows are called: the plural word of a table, and the columns people know a row by."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from edgekit import schema
from edgekit.schema import quote_name

if TYPE_CHECKING:
    import sqlite3

_CREATE = re.compile(r"^CREATE TABLE (\w+)", re.MULTILINE)


@cache
def own_tables() -> tuple[str, ...]:
    """List the tables of the schema files in their order. Quick: nothing is parsed that need not be."""
    files = sorted(schema.schema_folder().glob("[0-9]*.sql"))
    written = [path for path in files if not path.name.startswith("99")]  # the rest is generated, and long
    return tuple(name for path in written for name in _CREATE.findall(path.read_text(encoding="utf-8")))


def plural(table: str) -> str:
    """Return the command word for the rows of a table: `policy_driver` is `policy-drivers`."""
    word = table.replace("_", "-").replace(" ", "-").lower()
    if word.endswith("ics"):  # analytics have no singular
        return word
    if re.search(r"[^aeiou]y$", word):
        return word[:-1] + "ies"
    return word + ("es" if re.search(r"(s|x|z|ch|sh)$", word) else "s")


@cache
def commands() -> dict[str, str]:
    """Return the tables of the schema by their command words."""
    return {plural(table): table for table in own_tables() if not table.startswith("audit_")}


def natural_key(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    """Return the columns that tell a row of a table from the others, for people; none if only its id does.

    That is `code`, or the smallest unique set of columns, the organization left out. A uuid, a digest, a
    number or a mere reference is a key for machines.
    """
    found = connection.execute(
        "SELECT group_concat(x.name), ifnull(s.sql, ''), sum(x.name IS NULL) FROM pragma_index_list(?) i"
        " JOIN pragma_index_info(i.name) x LEFT JOIN sqlite_schema s ON s.type = 'index' AND s.name = i.name"
        ' WHERE i."unique" AND NOT i.partial GROUP BY i.name ORDER BY min(i.seq)',
        (table,),
    ).fetchall()
    info = "SELECT name, type FROM pragma_table_info(?)"
    texts = {name for name, kind in connection.execute(info, (table,)) if kind.upper() == "TEXT"}
    sets = [
        tuple(name for name in (names or "").split(",") if name != "organization_id")
        for names, sql, computed in found
        if sql.count("COALESCE(organization_id, 0)") == computed
    ]
    machine = ("uuid", "_hash", "_digest", "_key_id", "sha256", "idempotency_key", "public_key")
    plain = [names for names in sets if any(names) and not any(name.endswith(machine) for name in names)]
    known = [names for names in plain if texts & set(names)] or [names for names in plain if len(names) > 1]
    return min(known, key=lambda names: ("code" not in names, len(names)), default=())


def label_column(connection: sqlite3.Connection, table: str) -> str | None:
    """Return the one column that stands for a row where another refers to it, if there is one.

    That is the key if it is one column, else the code, number or name in it; without a key a name.
    """
    key = natural_key(connection, table)
    if len(key) == 1:
        return key[0]
    columns = connection.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()
    endings = ("code", "_number", "name") if key else ("name",)
    named = [name for name in key or [name for (name,) in columns] if name.endswith(endings)]
    return next((name for name in named if name != "table_name"), None)


def count_rows(connection: sqlite3.Connection, table: str) -> int:
    """Count the rows of a table."""
    return int(connection.execute(f"SELECT count(*) FROM {quote_name(table)}").fetchone()[0])


def tracked(connection: sqlite3.Connection) -> dict[str, str]:
    """Return the user's own tables in a file by the words for their rows, plural or as they are called.

    Those that are tracked, and name a row by its `id`.
    """
    found: dict[str, str] = {}
    for (table,) in connection.execute(
        "SELECT t.name FROM tracked_table t JOIN pragma_table_info(t.name) c ON c.name = 'id' AND c.pk = 1"
        " WHERE t.status_id = 1 ORDER BY t.id"
    ):
        found.setdefault(plural(table), table)
        found.setdefault(table.replace("_", "-").replace(" ", "-").lower(), table)
    return found
