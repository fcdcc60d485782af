"""Every CHECK, unique index and hand-written trigger of the schema is broken once, by a plain connection.

The cases are tied to the catalogue: a constraint without a case fails here.
"""

from __future__ import annotations

import itertools
import pkgutil
import re
import shutil
import sqlite3
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import cases
import pytest

from edgekit import rules, schema
from edgekit.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

Files = dict[str, sqlite3.Connection]

CASES = [import_module(f"cases.{module.name}") for module in pkgutil.iter_modules(cases.__path__)]


def gathered(name: str) -> dict[str, Any]:
    """Put the cases of all words together."""
    return {key: value for case in CASES for key, value in getattr(case, name, {}).items()}


ROWS: dict[str, dict[str, Any]] = gathered("ROWS")
"""What a row needs beyond its references and defaults. {n} makes rows differ."""

# By the code of the CHECK: what it must refuse.
BY_CODE: dict[str, Any] = {
    "boolean": 2,
    "time": "2026-01-31 09:05:00",
    "date": "2026-02-30",
    "choice": "nonsense",
    "json_object": "[1]",
}
SPECIAL: dict[str, dict[str, Any]] = gathered("SPECIAL")
"""What breaks a CHECK, where its code and figures do not say it."""

SAME: dict[str, dict[str, Any]] = gathered("SAME")
"""Values that make a row one that a partial unique index counts."""

OPTIONAL = {"entity_id": "entity", "event_id": "integration_event"}
"""Keys that rows may lack, and the table each is of: unique only where it is set."""

CHECK = re.compile(
    r'CONSTRAINT "(\w+\.[\w*]+\.\w+)" CHECK \((.*?)\)(?:,?$|,?\s+--| CONSTRAINT)', re.MULTILINE
)
NUMBERS = itertools.count(1)
ONE = {name for case in CASES for name in getattr(case, "ONE", ())}
"""Tables whose second row is of another making than the first: references share the one row."""
SHARED: dict[str, tuple[str, str]] = gathered("SHARED")
"""The column that all rows a table refers to have in common, and what it refers to."""
KEPT = {name for case in CASES for name in getattr(case, "KEPT", ())}
"""Tables where a trigger answers before a unique index does."""


def _hand_written() -> str:
    return "\n".join(script for file, script in schema.schema_scripts() if not file.startswith("99"))


CHECKS = dict(CHECK.findall(_hand_written()))
TRIGGERS = [
    name
    for name in re.findall(r"^CREATE TRIGGER (\w+)", _hand_written(), re.MULTILINE)
    if not name.startswith("audit_")
]
UNIQUE = [
    (table, index)
    for table, index, origin in schema.pristine().execute(
        "SELECT m.name, i.name, i.origin FROM sqlite_schema m, pragma_index_list(m.name) i"
        " WHERE m.type = 'table' AND i.\"unique\" AND m.name NOT LIKE 'audit%'"
    )
    if origin != "pk" and table != "system"
]


@pytest.fixture(scope="module")
def files(
    pattern_file: Path, bare_pattern: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Files]:
    """A file with every trigger, and one without the generated ones, opened once: that is what costs."""
    folder = tmp_path_factory.mktemp("violations")
    made = {}
    for name, pattern in (("guarded", pattern_file), ("bare", bare_pattern)):
        shutil.copyfile(pattern, folder / name)
        made[name] = sqlite3.connect(folder / name, isolation_level=None)
    yield made
    for connection in made.values():
        connection.close()


@pytest.fixture
def guarded(files: Files) -> Iterator[sqlite3.Connection]:
    """A file with every trigger; what a test does to it is undone."""
    yield from undone(files["guarded"])


@pytest.fixture
def shell(files: Files) -> Iterator[sqlite3.Connection]:
    """A file where no generated trigger answers before the rule written by hand; what is done is undone."""
    yield from undone(files["bare"])


def undone(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN")
    yield connection
    connection.execute("ROLLBACK")


def by_table(names: Iterable[str], tables: Iterable[str]) -> dict[str, list[str]]:
    """Put names together that are about one table: a test for each of thousands costs more than its work."""
    found: dict[str, list[str]] = {}
    for name, table in zip(names, tables, strict=True):
        found.setdefault(table, []).append(name)
    return found


def one_by_one(connection: sqlite3.Connection, names: Iterable[str]) -> Iterator[str]:
    """Yield each name, and undo what was done for it."""
    for name in names:
        connection.execute("SAVEPOINT one")
        yield name
        connection.execute("ROLLBACK TO one")
        connection.execute("RELEASE one")


def sample(shell: sqlite3.Connection, table: str, **values: Any) -> dict[str, Any]:
    """Return a sound row of a table, with the rows it refers to put into the file."""
    n = next(NUMBERS)
    row = {
        column: value.format(n=n) if isinstance(value, str) else value
        for column, value in ROWS[table].items()
    }
    required = shell.execute(
        'SELECT f."from", f."table" FROM pragma_foreign_key_list(?) f JOIN pragma_table_info(?) c ON c.name = f."from"'  # noqa: E501
        ' WHERE c."notnull" AND c.dflt_value IS NULL',
        (table, table),
    ).fetchall()
    common = {}
    if shared := SHARED.get(table):
        common[shared[0]] = put(shell, shared[1], **sample(shell, shared[1]))
    for column, parent in required:
        if column not in values and column not in row:
            row[column] = the_one(shell, parent) or put(shell, parent, **sample(shell, parent, **common))
    row |= values
    return {**row, **_targets(shell, table, row, required)}


def _targets(
    shell: sqlite3.Connection, table: str, row: dict[str, Any], required: list[tuple[str, str]]
) -> dict[str, Any]:
    """Put in what required typed references point to: `x_id` in the table that `x_type_id` names."""
    names = {name for (name,) in shell.execute("SELECT name FROM pragma_table_info(?)", (table,))}
    found = {}
    for column, parent in required:
        key = column.removesuffix("_type_id") + "_id"
        if column.endswith("_type_id") and key in names - set(row):
            sql = f"SELECT table_name FROM {parent} WHERE id = ?"
            (target,) = shell.execute(sql, (row[column],)).fetchone()
            if target:
                found[key] = put(shell, target, **sample(shell, target))
    return found


def the_one(shell: sqlite3.Connection, table: str) -> int:
    found = shell.execute(f'SELECT id FROM "{table}"').fetchone() if table in ONE else None
    return found[0] if found else 0


def put(shell: sqlite3.Connection, table: str, **row: Any) -> int:
    names, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
    return (
        shell.execute(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', list(row.values())).lastrowid or 0
    )


def refused(shell: sqlite3.Connection, write: Any) -> RuleError:
    with pytest.raises(sqlite3.Error) as caught:
        write()
    ours = rules.translate(caught.value, shell)
    assert isinstance(ours, RuleError)
    return ours


def is_readable(sentence: str) -> bool:
    """Whether it is a sentence for a person and not the engine's or the parser's last resort."""
    jargon = ("CHECK", "constraint", "json_valid", "GLOB", "EK|", "is not as the rule")
    return not any(word in sentence for word in jargon) and sentence[-1] in ".!" and len(sentence) < 250


def bad_value(name: str, condition: str) -> Any:
    """Find a value a CHECK must refuse, from its code and figures."""
    code = name.split(".")[2]
    if code in BY_CODE:
        return "2026-02-30T09:05:00.000Z" if "+0 days" in condition and code == "time" else BY_CODE[code]
    is_bytes = "_ciphertext" in name
    if code == "length" and (match := re.search(r"(?:BETWEEN \d+ AND|<=|=) (\d+)", condition)):
        longer = int(match[1]) + 1
        return b"x" * longer if is_bytes else "x" * longer
    if match := re.search(r">= (\d+)", condition):
        return int(match[1]) - 1
    raise AssertionError(f"{name} has no case: add one to SPECIAL")


def break_check(shell: sqlite3.Connection, name: str) -> RuleError:
    table, column, _ = name.split(".")
    values = SPECIAL.get(name) or {column: bad_value(name, CHECKS[name])}
    if table == "system":
        shell.execute("DROP TRIGGER system_uuid_bu")  # it answers first
        assignment = next(iter(values))
        return refused(
            shell, lambda: shell.execute(f"UPDATE system SET {assignment} = ?", (values[assignment],))
        )
    row = sample(shell, table)
    error = refused(shell, lambda: put(shell, table, **{**row, **values}))
    put(shell, table, **row)  # the same row without the fault is fine
    return error


CHECKS_OF = by_table(CHECKS, (name.split(".")[0] for name in CHECKS))


@pytest.mark.parametrize("table", CHECKS_OF)
def test_a_check_refuses(shell: sqlite3.Connection, table: str) -> None:
    for name in one_by_one(shell, CHECKS_OF[table]):
        error = break_check(shell, name)
        assert f"{error.table}.{error.column}.{error.code}" == name
        assert is_readable(error.message), error.message


@pytest.mark.parametrize("table", CHECKS_OF)
def test_with_every_trigger_in_place_what_breaks_a_check_is_refused_too(
    guarded: sqlite3.Connection, table: str
) -> None:
    for name in one_by_one(guarded, CHECKS_OF[table]):
        assert break_check(guarded, name).table == table, name


TEXTS = [
    name
    for name, condition in CHECKS.items()
    if condition.startswith("length(") and "BETWEEN 1 AND" in condition and not name.startswith("system.")
]


TEXTS_OF = by_table(TEXTS, (name.split(".")[0] for name in TEXTS))


@pytest.mark.parametrize("table", TEXTS_OF)
def test_a_required_text_is_not_empty(shell: sqlite3.Connection, table: str) -> None:
    for name in one_by_one(shell, TEXTS_OF[table]):
        _, column, code = name.split(".")
        row = sample(shell, table)
        error = refused(shell, partial(put, shell, table, **{**row, column: ""}))
        assert (error.table, error.column, error.code) == (table, column, code)
        assert "must not be empty" in error.message, name


JSON_CHECKS = [name for name in CHECKS if name.endswith(".json_object")]


@pytest.mark.ledger("S0-45")
@pytest.mark.parametrize("name", JSON_CHECKS)
def test_a_json_column_takes_objects_only(shell: sqlite3.Connection, name: str) -> None:
    table, column, _ = name.split(".")
    row = sample(shell, table)
    for value in ("{", "", "null", '"text"', "7"):
        error = refused(shell, partial(put, shell, table, **{**row, column: value}))
        assert (error.table, error.column, error.code) == (table, column, "json_object"), value


@pytest.mark.parametrize("value", ["#00ff7F", None])
def test_a_color_is_six_hex_digits_or_nothing(shell: sqlite3.Connection, value: str | None) -> None:
    assert put(shell, "entity_type", **sample(shell, "entity_type", color=value))


@pytest.mark.parametrize(("table", "index"), UNIQUE)
def test_a_unique_index_refuses_a_second(shell: sqlite3.Connection, table: str, index: str) -> None:
    (sql,) = shell.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (index,)).fetchone()
    parts = [name for (name,) in shell.execute("SELECT name FROM pragma_index_info(?)", (index,))]
    words = set(re.findall(r"\w+", sql[sql.index(" ON ") :])) if sql else set()
    columns = {name for (name,) in shell.execute("SELECT name FROM pragma_table_info(?)", (table,))}
    same = (words | {part for part in parts if part}) & columns
    first = sample(shell, table, **SAME.get(index, {}))
    for column in same & OPTIONAL.keys() - set(first):
        first[column] = put(shell, OPTIONAL[column], **sample(shell, OPTIONAL[column]))
    key = put(shell, table, **first)
    stored = dict(
        zip(
            same,
            shell.execute(f"SELECT {', '.join(same)} FROM {table} WHERE id = ?", (key,)).fetchone(),
            strict=True,
        )
    )
    second = {**sample(shell, table), **SAME.get(index, {}), **stored}
    error = refused(shell, lambda: put(shell, table, **second))
    if table in KEPT:
        assert error.code == "protected", "its own trigger answers first"
        return
    assert (error.table, error.code) == (table, "unique")
    assert error.column in same
    assert is_readable(error.message), error.message


REFUSALS: dict[str, tuple[str | None, str, str]] = gathered("REFUSALS")
"""A refusing trigger: the table whose sound row is put in, the statement (?1 is its id), column and code."""
FURTHER: dict[str, tuple[str | None, str, str]] = gathered("FURTHER")
"""Other ways round the same rules, by what they try."""
EFFECTS = {name for case in CASES for name in getattr(case, "EFFECTS", ())}
"""Triggers that refuse nothing."""


def test_every_trigger_has_a_case() -> None:
    assert {*REFUSALS, *EFFECTS} == set(TRIGGERS)
    assert set(ROWS) >= {name.split(".")[0] for name in CHECKS} - {"system"}


def break_trigger(shell: sqlite3.Connection, name: str) -> RuleError:
    table, statements, _ = (REFUSALS | FURTHER)[name]
    key = put(shell, table, **sample(shell, table)) if table else 0
    *before, last = statements.split("; ")
    for statement in before:
        shell.execute(statement, (key,) if "?1" in statement else ())
    return refused(shell, lambda: shell.execute(last, (key,) if "?1" in last else ()))


REFUSALS_OF = by_table(REFUSALS, (said.split(".")[0] for _, _, said in REFUSALS.values()))
FURTHER_OF = by_table(FURTHER, (said.split(".")[0] for _, _, said in FURTHER.values()))


@pytest.mark.ledger("S4-50")
@pytest.mark.parametrize("table", REFUSALS_OF)
def test_a_trigger_refuses(shell: sqlite3.Connection, table: str) -> None:
    for name in one_by_one(shell, REFUSALS_OF[table]):
        error = break_trigger(shell, name)
        assert f"{error.table}.{error.column}.{error.code}" == REFUSALS[name][2], name
        if not name.startswith("integration_mapping"):  # its wording is given
            assert is_readable(error.message), error.message


@pytest.mark.parametrize("table", REFUSALS_OF)
def test_with_every_trigger_in_place_it_is_refused_too(guarded: sqlite3.Connection, table: str) -> None:
    for name in one_by_one(guarded, REFUSALS_OF[table]):
        assert break_trigger(guarded, name).table == table, name


@pytest.mark.ledger("S0-21", "S2-32", "S4-50")
@pytest.mark.parametrize("table", FURTHER_OF)
def test_a_way_round_is_refused(shell: sqlite3.Connection, table: str) -> None:
    for name in one_by_one(shell, FURTHER_OF[table]):
        error = break_trigger(shell, name)
        assert f"{error.table}.{error.column}.{error.code}" == FURTHER[name][2], name
        assert is_readable(error.message), error.message


@pytest.mark.parametrize("table", FURTHER_OF)
def test_with_every_trigger_in_place_the_way_round_is_refused_too(
    guarded: sqlite3.Connection, table: str
) -> None:
    for name in one_by_one(guarded, FURTHER_OF[table]):
        assert break_trigger(guarded, name).table == table, name


SETTLED = {
    "integration_event": "processing_status = 'processed', processed_at = created_at",
    "event_delivery": "delivery_status = 'discarded', settled_at = created_at",
    "communication": (
        "completed_at = created_at, communication_status_id ="
        " (SELECT id FROM communication_status WHERE code = 'CANCELLED')"
    ),
    "alert": "alert_status = 'acknowledged', acknowledged_at = opened_at, acknowledged_by = 1",
}


@pytest.mark.parametrize("table", SETTLED)
def test_a_row_that_gives_way_may_meet_one_that_is_settled(guarded: sqlite3.Connection, table: str) -> None:
    row = sample(guarded, table)
    key = put(guarded, table, **row)
    guarded.execute(f"UPDATE {table} SET {SETTLED[table]} WHERE id = ?", (key,))
    settled = guarded.execute(f"SELECT * FROM {table} WHERE id = ?", (key,)).fetchone()
    values = f"INTO {table}({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
    for statement in (f"INSERT {values} ON CONFLICT DO NOTHING", f"INSERT OR IGNORE {values}"):
        assert guarded.execute(statement, list(row.values())).rowcount == 0
    assert guarded.execute(f"SELECT * FROM {table} WHERE id = ?", (key,)).fetchone() == settled
    error = refused(guarded, lambda: guarded.execute(f"REPLACE {values}", list(row.values())))
    assert error.code in {"final", "transition"}
    error = refused(guarded, lambda: guarded.execute(f"INSERT {values}", list(row.values())))
    assert error.code == "unique"


def test_a_log_of_its_own_takes_no_row_without_its_parent(guarded: sqlite3.Connection) -> None:
    error = refused(
        guarded, lambda: put(guarded, "integration_log", **{**ROWS["integration_log"], "integration_id": 77})
    )
    assert (error.table, error.column, error.code) == ("integration_log", "integration_id", "reference")


def test_a_setting_may_say_where_a_secret_is(shell: sqlite3.Connection) -> None:
    config = '{"password": {"vault": "password"}, "auth": {"kind": "bearer", "secret": "token"}}'
    assert put(shell, "integration", **sample(shell, "integration", connection_config=config))


@pytest.mark.ledger("S4-50", "S4-51")
def test_a_mapping_between_types_is_accepted_with_a_warning(shell: sqlite3.Connection) -> None:
    def warnings() -> list[Any]:
        return shell.execute(
            "SELECT table_name, record_key, code, message FROM validation_message"
        ).fetchall()

    put(shell, "integration_mapping", **sample(shell, "integration_mapping", source_data_type="string"))
    same = {"source_data_type": "string", "target_data_type": "string"}
    key = put(shell, "integration_mapping", **sample(shell, "integration_mapping", **same))
    converts = '{"type": "to_integer"}'
    ruled = {"source_data_type": "string", "target_data_type": "integer", "transformation_rules": converts}
    other = put(shell, "integration_mapping", **sample(shell, "integration_mapping", **ruled))
    assert warnings() == []
    text = "Data type mismatch without transformation: string -> integer"
    shell.execute("UPDATE integration_mapping SET target_data_type = 'integer' WHERE id = ?", (key,))
    assert warnings() == [("integration_mapping", str(key), "type_mismatch", text)]
    shell.execute("UPDATE integration_mapping SET transformation_rules = NULL WHERE id = ?", (other,))
    differs = {"source_data_type": "string", "target_data_type": "integer"}
    third = put(shell, "integration_mapping", **sample(shell, "integration_mapping", **differs))
    assert [key for _, key, _, _ in warnings()] == [str(key), str(other), str(third)]


@pytest.mark.ledger("S4-50")
def test_the_words_about_rules_without_a_type_are_given(shell: sqlite3.Connection) -> None:
    rulesless = sample(shell, "integration_mapping", transformation_rules="{}")
    error = refused(shell, lambda: put(shell, "integration_mapping", **rulesless))
    assert error.message == "Transformation rules must include type"
