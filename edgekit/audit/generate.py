"""Write the generated schema files anew from the others: `python -m edgekit.audit.generate`."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING

from edgekit import schema
from edgekit.audit.active import active_sql
from edgekit.audit.triggers import schema_sql

if TYPE_CHECKING:
    from pathlib import Path

NAME = "99_audit.sql"
VIEWS = "97_active.sql"


def previous() -> str:
    """Return what the file says now."""
    return dict(schema.schema_scripts()).get(NAME, "")


def trigger_names(text: str) -> list[str]:
    """List the triggers that a text of this kind makes, without those of other files it makes anew."""
    anew = set(re.findall(r'^DROP TRIGGER "?(\w+)"?', text, re.MULTILINE))
    made = re.findall(r'^CREATE TRIGGER "?(\w+)"?', text, re.MULTILINE)
    return [name for name in made if name not in anew]


def generated() -> str:
    """Return what the file should say: the tables of the other files, the table ids already given out."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for name, script in schema.schema_scripts():
        if name != NAME:
            connection.executescript(script)
    text = schema_sql(connection, previous())
    connection.close()
    return text


def generated_views() -> str:
    """Return what the file of the views of active rows should say: the tables of the files before it."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for name, script in schema.schema_scripts():
        if name < VIEWS:
            connection.executescript(script)
    text = active_sql(connection)
    connection.close()
    return text


def write() -> Path:
    """Bring both files up to date and return the path of the triggers."""
    folder = schema.schema_folder()
    (folder / VIEWS).write_text(generated_views(), encoding="utf-8", newline="\n")
    (folder / NAME).write_text(generated(), encoding="utf-8", newline="\n")
    return folder / NAME


if __name__ == "__main__":
    write()
