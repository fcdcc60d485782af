"""One result, shown once: as a JSON document, or as a table for people.

On a terminal a table is cut to its width; in a pipe nothing is cut and nothing wrapped. What a record holds
is shown, not obeyed: control characters become escapes.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from unicodedata import combining, east_asian_width

import click

from edgekit import clock
from edgekit.errors import EdgekitError

Row = Mapping[str, Any]


def show(
    result: Any,
    as_json: bool,
    *,
    view: Callable[[Any], Row] | None = None,
    empty: str = "There are none.",
    note: str | None = None,
) -> None:
    """Print a result: rows as a table, an object as names and values, a text as it is.

    `view` chooses what people see of each row (JSON always has all of it); `empty` is said instead of a table
    without rows, `note` after the result.
    """
    if as_json:
        import json

        click.echo(json.dumps(plain(result), ensure_ascii=False, indent=2))
        return
    if isinstance(result, list | tuple):
        rows = [plain(view(item) if view else item) for item in result]
        lines = table(rows) if rows else [empty]
    else:
        shown = plain(view(result) if view else result)
        lines = describe(shown) if isinstance(shown, dict) else [str(shown)]
    if note:
        lines = [*lines, *([""] if len(lines) > 1 else []), note]
    click.echo("\n".join(lines))


def show_findings(context: click.Context, found: Sequence[Any], as_json: bool) -> None:
    """Print what a doctor found, and end the command with 8 if it found an error."""
    show(found if as_json else "\n".join(line for finding in found for line in _advice(finding)), as_json)
    context.exit(8 if any(finding.severity == "error" for finding in found) else 0)


_COLOURS = {"error": "red", "warning": "yellow", "ok": "green"}


def _advice(finding: Any) -> list[str]:
    mark = click.style(finding.severity.ljust(7), fg=_COLOURS[finding.severity])
    return [f"{mark}  {cell(finding.what)}", *([f"         {cell(finding.do)}"] if finding.do else [])]


def plain(value: Any) -> Any:
    """Turn a result into what JSON knows. A field out of its repr is out here too, but for `error`."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return {"$blob": value.hex()}
    if isinstance(value, datetime):
        return clock.to_text(value) if value.tzinfo else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, EdgekitError):
        return {"code": value.code, "message": value.message, "hint": value.hint}
    fields = getattr(value, "__dataclass_fields__", None)
    if fields is None:
        return str(value)
    found = {name: getattr(value, name) for name in fields}
    return {k: plain(v) for k, v in found.items() if fields[k].repr or k == "error"}


def table(rows: Sequence[Row], *, indent: int = 0) -> list[str]:
    """Set rows in columns, numbers to the right; a column that is empty everywhere is left out."""
    every = dict.fromkeys(name for row in rows for name in row)
    names = [name for name in every if any(_says(row.get(name)) for row in rows)]
    columns = []
    for name in names:
        values = [row.get(name) for row in rows]
        cells = [cell(name), *map(cell, values)]
        columns.append((cells, all(v is None or type(v) in {int, float} for v in values)))
    widths = _fit([max(map(width, cells)) for cells, _ in columns], indent)
    lines = []
    for number in range(len(rows) + 1):
        parts = [
            _pad(cells[number], room, right=right)
            for (cells, right), room in zip(columns, widths, strict=True)
        ]
        line = (" " * indent + "  ".join(parts)).rstrip()
        lines.append(click.style(line, bold=True) if number == 0 else line)
    return lines


def describe(found: Row, *, indent: int = 0) -> list[str]:
    """Set an object as names and values, leaving out the empty; rows inside it are a table."""
    margin = " " * indent
    simple = {name: value for name, value in found.items() if _says(value) and not _is_deep(value)}
    room = max((width(cell(name)) for name in simple), default=0)
    lines = []
    for name, value in simple.items():
        label = _pad(cell(name), room)
        left = terminal_width() - indent - room - 2
        lines.append(f"{margin}{click.style(label, bold=True)}  {cut(cell(value), left)}".rstrip())
    for name, value in found.items():
        if _is_deep(value):
            lines += ["", f"{margin}{click.style(cell(name), bold=True)}"]
            lines += (
                table(value, indent=indent + 2)
                if isinstance(value, list)
                else describe(value, indent=indent + 2)
            )
    return lines


def version_line(found: Any, keys: str) -> dict[str, Any]:
    """Show one version in a list of them; `keys` is the heading of what it changed."""
    return {
        "version": found.version, "at": found.at, "actor": found.actor or "another tool",
        "reason": found.reason, keys: ", ".join(found.keys),
    }  # fmt: skip


def cell(value: Any) -> str:
    """Write one value on one line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict | list):
        import json

        value = json.dumps(value, ensure_ascii=False, separators=(", ", ": ")) if value else ""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def width(text: str) -> int:
    """Count the columns a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _says(value: Any) -> bool:
    return value is not None and value not in ("", [], {})


def _is_deep(value: Any) -> bool:
    """Tell what needs lines of its own: an object, or rows."""
    if isinstance(value, dict):
        return bool(value)
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _pad(text: str, room: int, *, right: bool = False) -> str:
    text = cut(text, room)
    gap = " " * (room - width(text))
    return gap + text if right else text + gap


def cut(text: str, room: int) -> str:
    """Shorten a text to so many columns, saying so with an ellipsis."""
    if width(text) <= room:
        return text
    kept = text[: max(room - 1, 0)]
    while width(kept) > room - 1:
        kept = kept[:-1]
    return kept + "…"


def _fit(wanted: Iterable[int], indent: int) -> list[int]:
    """Take room from the widest columns until a line fits the terminal, leaving each something."""
    widths = list(wanted)
    excess = sum(widths) + 2 * (len(widths) - 1) + indent - terminal_width()
    while excess > 0 and max(widths, default=0) > 4:
        widths[widths.index(max(widths))] -= 1
        excess -= 1
    return widths


def terminal_width() -> int:
    """Say how wide a line may be: a pipe has no end."""
    if not sys.stdout.isatty():
        return 1 << 30
    import shutil  # it brings all compressors along, which a pipe need not wait for

    return shutil.get_terminal_size().columns
