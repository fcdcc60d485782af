"""The dictionary: what the schema's text says of itself, the page made from it, and the drawings."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgekit import dictionary, schema
from edgekit.dictionary import mermaid, page, svg, texts
from edgekit.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.dictionary import Table

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def tables() -> dict[str, Table]:
    connection = schema.pristine()
    found = {table.name: table for table in dictionary.read_all(connection)}
    connection.close()
    return found


@pytest.mark.ledger("S1-53")
def test_the_page_is_what_the_schema_says() -> None:
    written = (ROOT / "docs" / page.NAME).read_text(encoding="utf-8")
    assert written == page.page(), "run: python -m edgekit.dictionary"


@pytest.mark.ledger("S1-53")
def test_the_page_has_every_word_table_column_value_and_rule(tables: dict[str, Table]) -> None:
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", page.page(), re.MULTILINE | re.DOTALL))
    assert list(sections) == list(tables)
    connection = schema.pristine()
    for table, text in sections.items():
        for (column,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,)):
            assert f"`{column}`" in text, f"{table}.{column}"
        for (trigger,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?", (table,)
        ):
            assert (trigger in texts.made("trigger")) == (f"`{trigger}`" in text), trigger
        (sql,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
        for values in re.findall(r"\.choice\" CHECK \(\w+ IN \(([^)]*)\)", sql):
            assert all(f"`{value}`: " in text for value in re.findall(r"'([^']*)'", values)), table
    assert {word.name for word in dictionary.words()} <= set(
        re.findall(r"^## \d\d (\w+)", page.page(), re.MULTILINE)
    )


def test_what_is_said_of_a_column(tables: dict[str, Table]) -> None:
    policy = {column.name: column for column in tables["policy"].columns}
    assert policy["annual_premium"].meaning == "minor units of `currency`"
    assert (policy["quote_id"].references, policy["quote_id"].meaning) == ("quote", "where it came from")
    assert (policy["policy_number"].required, policy["quote_id"].required) == (True, False)
    assert list(policy["policy_state"].values) == ["pending", "in_force", "cancelled", "expired"]
    assert policy["policy_state"].values["cancelled"] == "ended early"
    health = next(c for c in tables["integration"].columns if c.name == "health_status")
    assert health.values["NULL"] == "not known"
    assert "quote.program_id" in tables["program"].referred_by
    assert not any("created_by" in name for name in tables["user"].referred_by)


def test_indexes_and_triggers_are_told_whole(tables: dict[str, Table]) -> None:
    def indexed(table: str, name: str) -> tuple[str, bool, str | None]:
        found = next(index for index in tables[table].indexes if index.name == name)
        return found.columns, found.unique, found.where

    assert indexed("dead_letter", "dead_letter_pending") == (
        "integration_id",
        False,
        "replay_status = 'pending'",
    )
    assert indexed("integration_template", "integration_template_version") == (
        "code, version, COALESCE(organization_id, 0)", True, None,
    )  # fmt: skip
    kept = {trigger.name: trigger for trigger in tables["user"].triggers}
    assert kept["user_kept_bd"].when == "before delete"
    assert kept["user_kept_bd"].sentence == "Users are retired (another status), never deleted."
    assert kept["user_system_kept_bu"].when == "before update of username, status_id"
    assert tables["user"].generated_triggers > 3


def test_a_table_is_known_without_a_file(tables: dict[str, Table]) -> None:
    alone, whole = dictionary.declared("integration_mapping"), tables["integration_mapping"]
    assert alone is not None
    assert (alone.columns, alone.checks) == (whole.columns, whole.checks)
    assert set(alone.triggers) == set(whole.triggers)
    assert set(alone.indexes) == set(whole.indexes)
    assert dictionary.declared("no_such") is None


def test_a_table_of_the_users_own_is_told_from_its_own_text() -> None:
    connection = schema.pristine()
    connection.execute(
        "CREATE TABLE \"my cars\" (id INTEGER PRIMARY KEY, -- its number, O'Neil's\n"
        "  -- one of three\n  colour TEXT DEFAULT 'a,b--c)',\n"
        " owner INTEGER REFERENCES insured(id) -- who has it\n)"
    )
    found = dictionary.read(connection, "MY CARS")
    assert (found.word, found.name) == ("own", "my cars")
    told = {column.name: column.meaning for column in found.columns}
    assert told == {"id": "its number, O'Neil's", "colour": "one of three", "owner": "who has it"}
    assert found.references == {"owner": "insured"}
    assert dictionary.names(connection)[-1] == "my cars"
    assert "my cars.owner" in dictionary.read(connection, "insured").referred_by


def test_an_unknown_table_is_told_with_those_that_come_close() -> None:
    with pytest.raises(NotFoundError, match="There is no table polcy") as caught:
        dictionary.read(schema.pristine(), "polcy")
    assert "policy" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("comment", "told", "found"),
    [
        ("a: one; b: two", "", {"a": "one", "b": "two"}),
        ("what it is; a: one; more of it; b: two", "what it is", {"a": "one; more of it", "b": "two"}),
        ("what it is: a: one; b: two", "what it is", {"a": "one", "b": "two"}),
        ("a, b: both", "", {"a": "both", "b": "both"}),
        ("a: one: with a colon; NULL: none", "", {"a": "one: with a colon", "NULL": "none"}),
        ("no values here", "no values here", {}),
    ],
)
def test_meanings_of_values(comment: str, told: str, found: dict[str, str]) -> None:
    assert texts.meanings(comment, ("a", "b")) == (told, found)


def boxes(drawing: str) -> list[str]:
    root = ET.fromstring(drawing)
    space = "{http://www.w3.org/2000/svg}"
    return [text.text or "" for text in root.iter(f"{space}text") if text.get("font-size") == "13"]


def some(tables: dict[str, Table], *names: str) -> Sequence[Table]:
    return [tables[name] for name in names]


def test_the_drawing_has_a_box_for_each_table_and_a_line_for_each_reference(tables: dict[str, Table]) -> None:
    drawing = svg.render(list(tables.values()))
    assert sorted(boxes(drawing)) == sorted(tables)
    lines = set(re.findall(r"<title>(\w+\.\w+) → (\w+)</title>", drawing))
    assert lines == {
        (f"{table.name}.{column}", parent)
        for table in tables.values()
        for column, parent in table.references.items()
        if column not in {"status_id", "created_by", "updated_by"}
    }


def test_no_two_boxes_of_a_drawing_overlap(tables: dict[str, Table]) -> None:
    drawing = ET.fromstring(svg.render(list(tables.values())))
    found = [
        tuple(float(rect.get(key, "")) for key in ("x", "y", "width", "height"))
        for rect in drawing.iter("{http://www.w3.org/2000/svg}rect")
        if rect.get("rx") == "5"
    ]
    assert len(found) == len(tables)
    wide, high = float(drawing.get("width", "")), float(drawing.get("height", ""))
    for number, (x, y, w, h) in enumerate(found):
        assert 0 <= x < x + w <= wide
        assert 0 <= y < y + h <= high
        for x2, y2, w2, h2 in found[:number]:
            assert x >= x2 + w2 or x2 >= x + w or y >= y2 + h2 or y2 >= y + h


def test_names_of_anybody_do_not_break_a_drawing() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute(
        'CREATE TABLE "<b>&\x01😀" (id INTEGER PRIMARY KEY, "a<b" TEXT /* x */) -- "quoted" & <odd>'
    )
    found = dictionary.read_all(connection)
    assert boxes(svg.render(found)) == ["<b>& 😀"]
    assert mermaid.render(found).startswith("erDiagram\n")
    assert boxes(svg.render([])) == []


def test_mermaid_text_has_tables_columns_and_references(tables: dict[str, Table]) -> None:
    text = mermaid.render(some(tables, "quote", "policy"), some(tables, "program"))
    assert "  program |o--o{ policy : program_id\n" in text
    assert "  quote |o--o{ policy : quote_id\n" in text
    assert "    INTEGER program_id FK\n" in text
    assert "producer |o" not in text, "it is not drawn"
    assert "created_by" not in text
    for table in mermaid.render(list(tables.values())).split("  }\n")[:-1]:
        assert re.fullmatch(
            r"(erDiagram\n)?  [\w-]+ \{\n(    \w+ \w+( (PK|FK|UK)(, UK)?)?( \"[^\"\n]*\")?\n)*", table
        )


def test_the_module_writes_the_page() -> None:
    path = ROOT / "docs" / page.NAME
    before = path.read_bytes()
    subprocess.run([sys.executable, "-m", "edgekit.dictionary"], check=True, cwd=ROOT)
    assert path.read_bytes() == before
