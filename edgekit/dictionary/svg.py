"""The tables as a drawing: a band for each word, a box for each table, a line for each reference.

References point down the order, so lines lead up to an earlier band. They run beneath the boxes, and each
column says in words where it points, so that a crowded drawing can be read all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgekit.dictionary.page import STANDARD

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgekit.dictionary.catalogue import Column, Table

_WIDTH, _ROW, _HEAD, _GAP, _GUTTER, _MARGIN, _TITLE = 286, 17, 24, 22, 54, 40, 44
_LETTER = 6.4
"""About how wide a letter of the rows is."""

_COLOURS = (
    "#2f6690", "#8a5a00", "#3a7d44", "#a23b72", "#5b5ea6", "#b5482a",
    "#00798c", "#6b705c", "#7b2d8b", "#4f772d", "#9b2226", "#1d4e89",
)  # fmt: skip
_HEADING = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"
 font-family="Helvetica, Arial, 'DejaVu Sans', sans-serif" font-size="11.5">
<rect width="100%" height="100%" fill="#ffffff"/>
"""


@dataclass
class _Box:
    table: Table
    colour: str
    rows: tuple[Column, ...]
    x: float = 0
    y: float = 0

    @property
    def height(self) -> float:
        return _HEAD + _ROW * len(self.rows) + (6 if self.rows else 0)


@dataclass
class _Band:
    title: str
    colour: str
    boxes: list[_Box] = field(default_factory=list)
    y: float = 0
    height: float = 0


def render(tables: Sequence[Table], outside: Sequence[Table] = ()) -> str:
    """Draw the tables, grouped by word; those `outside` are a first band of names."""
    bands = _bands(tables, outside)
    most = 8 if len(tables) > 40 else 5 if len(tables) > 12 else 4
    across = min(max((len(band.boxes) for band in bands), default=1), most)
    bottom = _place(bands, across)
    width = _MARGIN * 2 + across * _WIDTH + (across - 1) * _GUTTER + 2 * _GUTTER
    boxes = {box.table.name: box for band in bands for box in band.boxes}
    parts = [_HEADING.format(width=width, height=round(bottom + _MARGIN))]
    parts += [_draw_band(band, width) for band in bands]
    parts += [line for box in boxes.values() for line in _lines(box, boxes)]
    parts += [_draw_title(band) for band in bands]
    parts += [_draw_box(box) for box in boxes.values()]
    parts.append(
        f'<text x="{_MARGIN}" y="{bottom + 14:.0f}" fill="#666">Every table has an id; edited ones also have'
        f" {', '.join(STANDARD)}, which are left out here. A bold column is required.</text>"
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _bands(tables: Sequence[Table], outside: Sequence[Table]) -> list[_Band]:
    """Group the tables by word, each with a colour of its own."""
    names = list(dict.fromkeys(table.word for table in (*outside, *tables)))
    colours = {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(names)}
    found: dict[str, _Band] = {}
    if outside:
        boxes = [_Box(table, colours[table.word], ()) for table in outside]
        found[""] = _Band("of other words", "#888888", boxes)
    for table in tables:
        band = found.setdefault(table.word, _Band(table.word, colours[table.word]))
        hidden = {"id", *STANDARD}
        rows = tuple(column for column in table.columns if column.name not in hidden)
        band.boxes.append(_Box(table, colours[table.word], rows))
    return list(found.values())


def _place(bands: list[_Band], across: int) -> float:
    """Set each box below the shortest column of its band; return where the last band ends."""
    y = float(_MARGIN)
    for band in bands:
        depths = [y + _TITLE] * across
        for box in band.boxes:
            column = depths.index(min(depths))
            box.x = _MARGIN + _GUTTER + column * (_WIDTH + _GUTTER)
            box.y = depths[column]
            depths[column] += box.height + _GAP
        band.y, band.height = y, max(depths) - y
        y += band.height + _GAP
    return y


def _draw_band(band: _Band, width: float) -> str:
    return (
        f'<rect x="{_MARGIN}" y="{band.y:.0f}" width="{width - 2 * _MARGIN}" height="{band.height:.0f}"'
        f' rx="10" fill="{band.colour}" fill-opacity="0.07"/>'
    )


def _draw_title(band: _Band) -> str:
    """Write a band's name over the lines, with a rim that keeps them off it."""
    return (
        f'<text x="{_MARGIN + 16}" y="{band.y + 27:.0f}" font-size="18" font-weight="bold"'
        f' fill="{band.colour}" stroke="#ffffff" stroke-width="3" paint-order="stroke">'
        f"{_text(band.title)}</text>"
    )


def _draw_box(box: _Box) -> str:
    x, y = box.x, box.y
    head = (
        f'<g><title>{_text(box.table.sentence)}</title><rect x="{x}" y="{y:.0f}" width="{_WIDTH}"'
        f' height="{box.height:.0f}" rx="5" fill="#ffffff" stroke="{box.colour}"/>'
        f'<path d="M{x} {y + _HEAD:.0f}V{y + 5:.0f}q0 -5 5 -5H{x + _WIDTH - 5}q5 0 5 5V{y + _HEAD:.0f}z"'
        f' fill="{box.colour}"/><text x="{x + 9}" y="{y + 16.5:.1f}" font-size="13" font-weight="bold"'
        f' fill="#ffffff">{_text(box.table.name)}</text>'
    )
    lines = [head]
    for number, column in enumerate(box.rows):
        baseline = y + _HEAD + _ROW * (number + 1) - 3
        weight = ' font-weight="bold"' if column.required else ""
        left = _cut(column.name, 40)
        lines.append(f'<text x="{x + 9}" y="{baseline:.0f}" fill="#222"{weight}>{_text(left)}</text>')
        right = _cut(
            _kind(column), int((_WIDTH - 30) / _LETTER - len(left) * (1.2 if column.required else 1.05))
        )
        lines.append(
            f'<text x="{x + _WIDTH - 9}" y="{baseline:.0f}" text-anchor="end" fill="#777">'
            f"{_text(right)}</text>"
        )
    return "".join(lines) + "</g>"


def _kind(column: Column) -> str:
    if column.references:
        return f"→ {column.references}"
    if column.typed_by:
        return f"→ by {column.typed_by}"
    if column.values:
        return " | ".join(column.values)
    return column.type.lower()


def _lines(box: _Box, boxes: dict[str, _Box]) -> Iterator[str]:
    """Lead from each referring column to the head of the box it refers to, out at the nearer side."""
    for number, column in enumerate(box.rows):
        parent = boxes.get(column.references or "")
        if parent is None:
            continue
        y, to_y = box.y + _HEAD + _ROW * (number + 0.6), parent.y + _HEAD / 2
        leaves_right, enters_right = parent.x > box.x, parent.x < box.x
        x = box.x + (_WIDTH if leaves_right else 0)
        to_x = parent.x + (_WIDTH if enters_right else 0)
        out, back = (1 if leaves_right else -1) * _GUTTER * 0.9, (1 if enters_right else -1) * _GUTTER * 0.9
        title = f"{box.table.name}.{column.name} → {parent.table.name}"
        curve = f"M{x} {y:.0f}C{x + out:.0f} {y:.0f} {to_x + back:.0f} {to_y:.0f} {to_x} {to_y:.0f}"
        yield (
            f'<path d="{curve}" fill="none"'
            f' stroke="{parent.colour}" stroke-opacity="0.5"><title>{_text(title)}</title></path>'
            f'<circle cx="{to_x}" cy="{to_y:.0f}" r="3" fill="{parent.colour}"/>'
        )


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: max(room - 1, 0)].rstrip(" |") + "…"


def _text(text: str) -> str:
    """Escape a text for XML, without the characters XML cannot hold."""
    safe = "".join(max(letter, " ") for letter in text)
    return safe.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
