"""The data dictionary as a page: every word, table, column, value and rule, in the order of the schema."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgekit import schema
from edgekit.dictionary import catalogue, texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

NAME = "dictionary.md"
STANDARD = ("status_id", "created_by", "updated_by", "created_at", "updated_at")

_HEAD = """\
# Data dictionary

Generated from `schema/*.sql` by `python -m edgekit.dictionary`: change it there. `edgekit schema show TABLE`
shows the same of a file, its own tables too.

A column marked `!` is required. Times are UTC text such as `2026-01-31T09:05:00.000Z`, dates `2026-01-31`;
money is in minor units of the currency beside it; yes and no are 1 and 0. Every table has triggers that are
generated (they log each change and guard references, also for tools that leave foreign keys off); those
written by hand are listed.

Five columns stand in every table that is edited:

| column | meaning |
|---|---|
| `status_id`! | → `status`: the state of the row's life; 1 is ACTIVE |
| `created_by`! | → `user`: who made the row |
| `updated_by` | → `user`: who changed it last |
| `created_at`! | when it was made |
| `updated_at`! | when it was changed last |
"""


def page() -> str:
    """Write the dictionary of the schema as Markdown."""
    connection = schema.pristine()
    tables = {table.name: table for table in catalogue.read_all(connection)}
    connection.close()
    words = texts.words()
    lines = [_HEAD, "| nr | word | tables |", "|---|---|---|"]
    for word in words:
        links = ", ".join(f"[{name}](#{name})" for name in word.tables)
        lines.append(f"| {word.number} | [{word.name}](#{word.number}-{word.name}) | {links} |")
    for word in words:
        lines += ["", f"## {word.number} {word.name}", "", word.sentence]
        for name in word.tables:
            lines += ["", *_table(tables[name])]
    return "\n".join(lines) + "\n"


def write() -> Path | None:
    """Bring `docs/dictionary.md` of a checkout up to date and return its path; None outside a checkout."""
    folder = schema.schema_folder().parent / "docs"
    if not folder.is_dir():
        return None
    path = folder / NAME
    path.write_text(page(), encoding="utf-8", newline="\n")
    return path


def _table(table: catalogue.Table) -> Iterator[str]:
    yield from (f"### {table.name}", "", table.sentence)
    own = [column for column in table.columns if column.name not in STANDARD]
    yield from ("", "| column | type | meaning |", "|---|---|---|")
    for column in own:
        mark = "!" if column.required else ""
        yield f"| `{column.name}`{mark} | {column.type.lower()} | {_cell(column)} |"
    if standard := [column for column in table.columns if column.name in STANDARD]:
        names = ", ".join(f"`{column.name}`" for column in standard)
        yield f"| {names} | | see above |"
    yield from _list("Rules", [_rule(check) for check in table.checks if check.code != "boolean"])
    yield from _list("Triggers", [f"`{t.name}` ({t.when}): {t.sentence}" for t in table.triggers])
    yield from _list("Indexes", [_index(index) for index in table.indexes])
    if table.referred_by:
        yield from ("", "Referred to by " + ", ".join(f"`{name}`" for name in table.referred_by) + ".")


def _cell(column: catalogue.Column) -> str:
    """Say what a column means: where it points, what the comment says, each value, the default."""
    parts = []
    if column.references:
        parts.append(f"→ [{column.references}](#{column.references})")
    if column.typed_by:
        parts.append(f"a row of the table `{column.typed_by}` names")
    if column.meaning:
        parts.append(column.meaning)
    told = "; ".join(parts)
    values = "<br>".join(
        f"{name if name == 'NULL' else f'`{name}`'}: {text}" for name, text in column.values.items()
    )
    default = column.default
    if default is not None and not default.startswith("strftime"):
        told = f"{told} (default {default})".strip()
    return "<br>".join(part for part in (told, values) if part).replace("|", "\\|")


def _rule(check: catalogue.Check) -> str:
    return f"`{check.column}.{check.code}`: {check.sentence}"


def _index(index: catalogue.Index) -> str:
    unique = "unique " if index.unique else ""
    name = "" if index.name.startswith("sqlite_") else f"`{index.name}`: "
    where = f" where {index.where}" if index.where else ""
    return f"{name}{unique}({re.sub(r' +', ' ', index.columns)}){where}"


def _list(title: str, items: Sequence[str]) -> Iterator[str]:
    if items:
        yield from ("", f"{title}:", "", *(f"- {item}" for item in items))
