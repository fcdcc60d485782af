"""A reference table from one line: its DDL, its model, the stub of its seeds and its case for the tests.

    python -m edgekit.reference_table parties office_kind "One row is a kind of office." is_public:boolean

`schema/reference_tables.txt` has the line of every reference table; a test holds each to what stands in
the files, word for word. Commands, triggers, the dictionary and the tests follow from the catalogue by
themselves. A column is `name:kind`, with `?` if it may be empty, `!` if it is unique, `=default`, and
` -- what it means`:

    boolean             yes or no, no by default          is_paid:boolean
    integer, integer>=N a whole number                    tier_rank:integer>=0!    sort_order:integer=0
    text(N)             text of at most N characters      short_name:text(20)?
    choice(a|b)         one of these words                table_name:choice(policy|claim)
    single              yes in one row at most            is_default:single
    tree                the row above, without a circle   parent_shelf_id:tree
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit import schema
from edgekit.errors import ConflictError, NotFoundError
from edgekit.reference_table.files import Checkout
from edgekit.reference_table.line import REGISTRY, Column, Definition, line, parse, registry
from edgekit.reference_table.render import ddl, model

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["REGISTRY", "Column", "Definition", "ddl", "generate", "line", "model", "parse", "registry"]


def generate(words: Sequence[str]) -> Definition:
    """Make a new reference table whole in this checkout, and bring the generated files up to date.

    Raise InvalidError (the line), NotFoundError (no such word, no checkout), ConflictError (it is there).
    """
    table = parse(words)
    folder = schema.schema_folder().parent
    if not (folder / "tests" / "cases").is_dir():
        raise NotFoundError("A reference table is made in a checkout of edgekit, and this is none.")
    known = registry()
    if any(table.name == other.name for other in known):
        raise ConflictError(f"There is already a reference table {table.name}.")
    Checkout(folder, table, [other for other in known if other.word == table.word]).write(line(words))
    return table
