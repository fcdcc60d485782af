"""Rows people edit, one way for every table: list, show, add, set, retire.

    rows.list_rows(connection, "producer", where={"program": "AUTO"})
    with edgekit.open("agency.db"):
        rows.add("producer", {"code": "P7", "name": "Harbor Street", "program": "AUTO"})
        rows.set_values("producer", "P7", {"name": "Harbor Street 7"})
        rows.retire("producer", "P7")

Nothing here knows a table: columns, references and keys are read from the file's catalogue. Values may be
text as a person types it. Reading takes any connection, writing the opened file.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.rows.reading import columns_to_show, find, list_rows, show
    from edgekit.rows.shape import Column, Shape, read_shape
    from edgekit.rows.writing import add, guard, retire, set_values

_HOMES = {
    "Column": "shape",
    "Shape": "shape",
    "add": "writing",
    "columns_to_show": "reading",
    "find": "reading",
    "guard": "writing",
    "list_rows": "reading",
    "read_shape": "shape",
    "retire": "writing",
    "set_values": "writing",
    "show": "reading",
}

__all__ = [
    "Column",
    "Shape",
    "add",
    "columns_to_show",
    "find",
    "guard",
    "list_rows",
    "read_shape",
    "retire",
    "set_values",
    "show",
]


def __getattr__(name: str) -> Any:
    # Writing brings in Peewee, which a command that only reads need not wait for.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
