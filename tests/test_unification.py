# ruff: noqa: E501 - SQL as a person would type it
"""A file of the first schema becomes whole; the unification goes up, is filled, goes down and up again."""

from __future__ import annotations

import gzip
import lzma
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

import edgekit
from edgekit import schema, sqlite
from edgekit.audit import log
from edgekit.errors import CorruptError
from edgekit.file import migrate as module
from edgekit.file.migrate import Target, migrate, roll_back
from edgekit.file.rebuild import read_script
from edgekit.file.status import status
from edgekit.file.verify import verify

MIGRATIONS = schema.schema_folder() / "migrations"
BROUGHT = {
    "orchestration_workflow",
    "workflow_execution",
    "publishing_pipeline",
    "handover_package",
    "handover_package_module",
    "handover_package_configuration",
    "handover_package_document",
}
OVERRIDE = {"marketplace_module_id", "installation_id", "activation_status", "activation_metadata"}

CLIENTS = """
INSERT INTO organization(id, code, name) VALUES (10, 'HARBOR', 'Harbor'), (11, 'MILL', 'Mill');
INSERT INTO client(id, organization_id, client_name, client_status_id) SELECT 1, 10, 'Harbor', id FROM client_status WHERE code = 'ACTIVE';
INSERT INTO client(id, organization_id, client_name, client_status_id) SELECT 2, 11, 'Mill', id FROM client_status WHERE code = 'ACTIVE';
INSERT INTO client_deployment(id, client_id, environment_id, version, deployment_status, started_at, completed_at)
  VALUES (1, 1, 1, '2.1', 'completed', '2026-01-01T00:00:00.000Z', '2026-01-02T00:00:00.000Z'), (2, 2, 1, '2.1', 'pending', NULL, NULL);
INSERT INTO marketplace_module(id, code, name, version, category_id, developer_id, pricing_model_id)
  SELECT 1, 'quotes', 'Quotes', '1.0.0', c.id, 1, p.id FROM marketplace_category c, pricing_model p LIMIT 1;
INSERT INTO module_installation(id, client_id, module_id, installed_version, installation_status, installed_at)
  VALUES (1, 1, 1, '1.0.0', 'active', '2026-01-03T00:00:00.000Z');
INSERT INTO client_app_override(id, client_id, app_code, override_settings)
  VALUES (1, 1, 'quotes', '{"limit":5}'), (2, 2, 'quotes', NULL), (3, 2, 'own-app', '{"a":1}');
"""


@pytest.fixture(scope="session")
def first_pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo file as the first release left it: schema 1."""
    path = tmp_path_factory.mktemp("first") / "agency.db"
    packed = Path(__file__).parent / "data" / "agency_v1.db.gz"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    return path


@pytest.fixture
def first_file(first_pattern: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(first_pattern, tmp_path))


@pytest.fixture(scope="session")
def third(tmp_path_factory: pytest.TempPathFactory) -> Target:
    """The program of schema 3, its catalogue read off a file it made."""
    folder = tmp_path_factory.mktemp("third")
    made = folder / "agency.db"
    made.write_bytes(lzma.decompress((Path(__file__).parent / "data" / "agency_v3.db.xz").read_bytes()))
    own = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT GLOB 'sqlite_*'"
    order = "ORDER BY type = 'trigger', type = 'view', type = 'index', rowid"
    # The generated triggers are those of today, and so are the views of the log they write through, and what
    # is a secret in a template: the rows that come in between are those of today as well.
    views = (
        "(tbl_name GLOB 'audit_*' AND (type = 'view' OR sql GLOB '*INSTEAD OF*') OR name = 'secret_name'"
        " OR name GLOB 'integration_template_connection_template_secret_b*')"
    )
    today = dict(schema.pristine().execute(f"{own} AND {views} {order}").fetchall())
    known = {name for (name,) in schema.pristine().execute("SELECT name FROM sqlite_schema")}
    statements = {
        name: sql
        for name, sql in answers(made, f"{own} AND NOT ({views}) {order}")
        if name in known or not sql.startswith("CREATE TRIGGER")
    } | today
    numbers = answers(made, "SELECT id, name FROM audit_table")
    (folder / "migrations").mkdir()
    for path in MIGRATIONS.glob("000[23]_*.sql"):
        shutil.copy(path, folder / "migrations")

    def pristine() -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        for sql in sorted(statements.values(), key=lambda sql: sql.startswith("CREATE TRIGGER")):
            connection.execute(sql)
        connection.executemany("INSERT INTO audit_table(id, name) VALUES (?, ?)", numbers)
        return connection

    return Target(3, folder / "migrations", pristine)


@pytest.fixture(scope="session")
def second_pattern(first_pattern: Path, third: Target, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same file with all words and without the unification, and with clients of its own."""
    folder = tmp_path_factory.mktemp("second")
    path = Path(shutil.copy(first_pattern, folder))
    (folder / "migrations").mkdir()
    shutil.copy(MIGRATIONS / "0002_whole_schema.sql", folder / "migrations")
    down = read_script(MIGRATIONS / "0003_unification.down.sql")
    migrate(path, target=Target(2, folder / "migrations", module._before(third, [down])))
    shell = sqlite3.connect(path)
    shell.executescript(CLIENTS)
    shell.close()
    return path


@pytest.fixture
def second_file(second_pattern: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(second_pattern, tmp_path))


def rows(path: Path, *, without: set[str] = frozenset()) -> dict[str, list[Any]]:  # type: ignore[assignment]
    """Read every row of every table but the log, and of the override what it always had."""
    connection = sqlite3.connect(path)
    found = {}
    for (table,) in connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*' AND name NOT GLOB 'audit_*'"
        " AND name <> 'schema_migration'"
    ).fetchall():
        if table in without:
            continue
        columns = [name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))]
        kept = [c for c in columns if not (table == "client_app_override" and c in {*OVERRIDE, "updated_at"})]
        found[table] = connection.execute(f"SELECT {', '.join(kept)} FROM {table} ORDER BY id").fetchall()
    connection.close()
    return found


def answers(path: Path, sql: str) -> list[Any]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def sound(path: Path) -> None:
    assert answers(path, "PRAGMA foreign_key_check") == []
    assert answers(path, "PRAGMA integrity_check") == [("ok",)]
    assert verify(path) == []


@pytest.mark.ledger("S3-76", "S3-102", "S1-16")
def test_a_file_of_the_first_release_becomes_whole(first_file: Path) -> None:
    before = rows(first_file)
    would = migrate(first_file, dry_run=True)
    assert rows(first_file) == before
    steps = migrate(first_file)
    assert steps[:-1] == would
    assert [step.name for step in steps[:2]] == ["0002_whole_schema", "0003_unification"]
    sound(first_file)
    after = rows(first_file)
    grown = {"feature", "event_source", "integration_template", "entity_type", "entity", "template_category"}
    changed = {"integration_type", "integration_mapping", "integration_log", "integration_event"}
    changed |= {"integration_pipeline_definition", "integration_template", "integration_template_instance"}
    changed |= {"integration_execution", "system", "encryption_key", "dead_letter"}
    for table, there in before.items():
        ids = [row[0] for row in there]
        assert [row[0] for row in after[table]][: len(ids)] == ids, table
        if table not in changed | grown:
            assert after[table][: len(there)] == there, table
    assert answers(
        first_file, "SELECT count(*) FROM integration_type t JOIN feature f ON f.id = t.feature_id"
    ) == (answers(first_file, "SELECT count(*) FROM integration_type"))
    directions = "SELECT DISTINCT d.code FROM integration_mapping m JOIN communication_direction d ON d.id = m.communication_direction_id"
    assert answers(first_file, directions) == [("INBOUND",)]
    assert migrate(first_file) == []


@pytest.mark.ledger("S3-76")
@pytest.mark.slow
def test_what_the_first_release_wrote_can_be_read_and_gone_on_with(first_file: Path) -> None:
    migrate(first_file)
    assert status(first_file).tables["vehicle"] == 348
    connection = sqlite.connect(first_file)
    (story,) = [log.blame(connection, "vehicle", 1)][:1]
    assert story
    connection.close()
    with edgekit.open(first_file) as edge:
        with edge.change(reason="after"):
            edge.connection().execute("UPDATE vehicle SET make = 'Acura' WHERE id = 1")
        assert edge.query("SELECT action FROM audit_log ORDER BY seq DESC LIMIT 1") == [{"action": "U"}]
    assert verify(first_file) == []


@pytest.mark.slow
@pytest.mark.ledger("S3-32", "S3-77")
def test_what_was_there_is_unified(second_file: Path, third: Target) -> None:
    before = rows(second_file)
    migrate(second_file, target=third)
    assert answers(
        second_file,
        "SELECT id, marketplace_module_id, installation_id, activation_status, activation_metadata FROM client_app_override",
    ) == [(1, 1, 1, "active", None), (2, 1, None, "pending", None), (3, None, None, "pending", None)]
    assert answers(
        second_file,
        "SELECT w.client_id, t.code, w.workflow_status FROM orchestration_workflow w JOIN workflow_type t ON t.id = w.workflow_type_id",
    ) == [(1, "CLIENT_ONBOARDING", "pending"), (2, "CLIENT_ONBOARDING", "pending")]
    assert answers(second_file, "SELECT client_id, package_name, delivery_status FROM handover_package") == [
        (1, "Harbor, version 2.1", "pending")
    ]
    events = answers(second_file, "SELECT event_type, processing_status FROM integration_event ORDER BY id")
    assert sorted(events) == [
        ("client.created", "processed"), ("client.created", "processed"),
        ("deployment.completed", "processed"), ("module.installed", "processed"),
    ]  # fmt: skip
    for table, there in before.items():
        if table != "integration_event":
            assert rows(second_file)[table][: len(there)] == there, table
    assert answers(second_file, "SELECT count(DISTINCT txn_id) > 0 FROM audit_log WHERE action = 'U'") == [
        (1,)
    ]
    migrate(second_file)
    sound(second_file)


@pytest.mark.slow
@pytest.mark.ledger("S3-77")
def test_filling_again_adds_nothing(second_file: Path) -> None:
    migrate(second_file)
    before = rows(second_file)
    shell = sqlite.connect(second_file)
    script = read_script(MIGRATIONS / "0003_unification.sql")
    for statement in schema.split_statements(script.rows):
        shell.execute(statement)
    shell.close()
    assert rows(second_file) == before


@pytest.mark.slow
@pytest.mark.ledger("S3-78", "S3-102")
def test_everything_is_checked_before_it_counts(
    second_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reference the migration breaks undoes all of it, and says so."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder)
    path = folder / "0003_unification.sql"
    path.write_text(path.read_text(encoding="utf-8") + "UPDATE client_deployment SET environment_id = 99;\n")
    before = rows(second_file)
    with pytest.raises(CorruptError, match="undone"):
        migrate(second_file, target=Target(schema.VERSION, folder, schema.pristine))
    assert rows(second_file) == before
    assert answers(second_file, "PRAGMA user_version") == [(2,)]


@pytest.mark.slow
@pytest.mark.ledger("S3-79", "S3-80")
def test_the_unification_goes_down_and_up_again(second_file: Path, third: Target) -> None:
    before = rows(second_file)
    migrate(second_file, target=third)
    filled = rows(second_file)
    steps = roll_back(second_file, 2, target=third)
    assert [step.name for step in steps[:-1]] == ["0003_unification.down"]
    left = {name for (name,) in answers(second_file, "SELECT name FROM sqlite_schema")}
    assert (
        left & {*BROUGHT, "unified_client_dashboard", "module_integration_view", "workflow_progress"} == set()
    )
    columns = {
        name for (name,) in answers(second_file, "SELECT name FROM pragma_table_info('client_app_override')")
    }
    assert columns & OVERRIDE == set()
    events = {"integration_event"}  # what was told stays told
    assert rows(second_file, without=events) == {t: r for t, r in before.items() if t not in events}
    assert answers(second_file, "PRAGMA foreign_key_check") == []
    assert answers(second_file, "PRAGMA integrity_check") == [("ok",)]
    _still_defended(second_file)
    migrate(second_file, target=third)
    again = rows(second_file)
    migrate(second_file)
    sound(second_file)
    assert {t: len(r) for t, r in again.items()} == {t: len(r) for t, r in filled.items()}
    for table, there in before.items():
        if table not in events:
            assert again[table][: len(there)] == there, table
    assert answers(second_file, "SELECT min(id) FROM orchestration_workflow") == [(3,)], "ids are not reused"


def _still_defended(path: Path) -> None:
    """Rules and log work without what is gone."""
    shell = sqlite3.connect(path, isolation_level=None)
    with pytest.raises(sqlite3.IntegrityError, match="EK"):
        shell.execute("INSERT INTO client_app_override(client_id, app_code) VALUES (77, 'x')")
    last = shell.execute("SELECT max(seq) FROM audit_log").fetchone()[0]
    shell.execute("INSERT INTO client_app_override(id, client_id, app_code) VALUES (9, 2, 'x')")
    shell.execute("UPDATE client_app_override SET override_settings = '{}' WHERE id = 9")
    shell.execute("UPDATE client SET client_name = client_name || '!' WHERE id = 2")
    shell.execute("UPDATE client SET client_name = 'Mill' WHERE id = 2")
    shell.execute("UPDATE configuration SET status_id = status_id")
    shell.execute("UPDATE module_installation SET status_id = status_id")
    shell.execute("DELETE FROM client_app_override WHERE id = 9")
    said = shell.execute("SELECT group_concat(action, '') FROM audit_log WHERE seq > ?", (last,)).fetchone()
    assert said == ("IUUUD",)
    shell.execute("UPDATE client SET updated_at = created_at, updated_by = NULL WHERE id = 2")
    shell.close()
