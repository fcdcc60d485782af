"""Workflows in the file: their columns, their ways, how far they are, and the queries their indexes serve."""

from __future__ import annotations

import itertools
import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from catalogue import TABLES, checks, columns, holds, references

from edgekit import models, rules, schema
from edgekit.errors import RuleError

if TYPE_CHECKING:
    from edgekit.db import Database

STEPS = '{"steps": [{"name": "one", "type": "notify"}]}'
TIME = "2026-01-01T00:00:00.000Z"


@pytest.fixture(scope="module")
def catalogue() -> sqlite3.Connection:
    return schema.pristine()


@pytest.fixture
def client_id(shell: sqlite3.Connection) -> int:
    shell.execute("INSERT INTO organization(id, code, name) VALUES (7, 'CLIENT', 'Client')")
    shell.execute(
        "INSERT INTO client(id, organization_id, client_name, client_status_id) VALUES (7, 7, 'C', 1)"
    )
    return 7


def workflow(shell: sqlite3.Connection, status: str = "pending", **values: Any) -> int:
    """Put in a workflow of a state, with the times that state asks for."""
    number = shell.execute("SELECT count(*) FROM orchestration_workflow").fetchone()[0]
    row = {
        "uuid": f"{number:036d}",
        "workflow_name": "w",
        "workflow_type_id": 1,
        "workflow_definition": STEPS,
        "workflow_status": status,
        "started_at": None if status == "pending" else TIME,
        "completed_at": None if status in {"pending", "in_progress"} else TIME,
        "correlation_id": "c",
        **values,
    }
    sql = f"INSERT INTO orchestration_workflow({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
    return shell.execute(sql, list(row.values())).lastrowid or 0


def step(shell: sqlite3.Connection, workflow_id: int, order: int, status: str = "pending") -> int:
    times = (
        None if status in {"pending", "skipped"} else TIME,
        None if status in {"pending", "running"} else TIME,
    )
    sql = (
        "INSERT INTO workflow_execution(workflow_id, step_name, step_type, execution_order, execution_status,"
        " started_at, completed_at) VALUES (?, ?, 'notify', ?, ?, ?, ?)"
    )
    return shell.execute(sql, (workflow_id, f"step {order}", order, status, *times)).lastrowid or 0


def refused(shell: sqlite3.Connection, sql: str, *values: Any) -> RuleError:
    with pytest.raises(sqlite3.Error) as caught:
        shell.execute(sql, values)
    error = rules.translate(caught.value, shell)
    assert isinstance(error, RuleError)
    return error


@pytest.mark.ledger("S3-33", "S3-54")
def test_a_workflow_has_its_columns(catalogue: sqlite3.Connection) -> None:
    holds(
        catalogue,
        "orchestration_workflow",
        "uuid workflow_name workflow_type_id>workflow_type workflow_template_id?>workflow_template"
        " client_id?>client workflow_definition workflow_status metadata? started_at? completed_at?"
        " correlation_id error_code? error_message? status_id>status created_by>user updated_by?>user"
        " created_at updated_at",
        ("uuid",),
    )
    assert (
        checks("orchestration_workflow")["orchestration_workflow.workflow_name.length"]
        == "length(workflow_name) BETWEEN 1 AND 255"
    )
    assert columns(catalogue, "orchestration_workflow")["workflow_status"][2] == "'pending'"
    assert references(catalogue, "orchestration_workflow")["client_id"] == ("client", "NO ACTION")


@pytest.mark.ledger("S3-34", "S3-51")
def test_a_step_has_its_columns_and_goes_with_its_workflow(catalogue: sqlite3.Connection) -> None:
    holds(
        catalogue,
        "workflow_execution",
        "workflow_id>orchestration_workflow step_name step_type execution_order execution_status input_data?"
        " output_data? error_data? execution_time_ms? started_at? completed_at? retry_count max_retries",
        ("workflow_id", "execution_order"),
    )
    found = columns(catalogue, "workflow_execution")
    assert [found[name][2] for name in ("execution_status", "retry_count", "max_retries")] == [
        "'pending'",
        "0",
        "3",
    ]
    assert references(catalogue, "workflow_execution")["workflow_id"][1] == "CASCADE"


@pytest.mark.ledger("S3-51")
def test_purging_a_workflow_takes_its_steps_along_and_logs_them(shell: sqlite3.Connection) -> None:
    kept, gone = workflow(shell), workflow(shell)
    step(shell, kept, 1)
    steps = {step(shell, gone, 1), step(shell, gone, 2)}
    shell.execute("DELETE FROM orchestration_workflow WHERE id = ?", (gone,))
    assert shell.execute("SELECT workflow_id FROM workflow_execution").fetchall() == [(kept,)]
    logged = shell.execute(
        "SELECT record_key FROM audit_entry WHERE table_name = 'workflow_execution' AND action = 'D'"
    )
    assert {int(key) for (key,) in logged} == steps


@pytest.mark.ledger("S3-54", "S3-105")
def test_a_client_with_workflows_is_not_deleted(shell: sqlite3.Connection, client_id: int) -> None:
    made = [workflow(shell, client_id=client_id), workflow(shell, client_id=client_id), workflow(shell)]
    assert refused(shell, "DELETE FROM client WHERE id = ?", client_id).code in {"reference", "referenced"}
    step(shell, made[0], 1)
    step(shell, made[0], 2)
    assert shell.execute(
        "SELECT client_id, count(*) FROM orchestration_workflow GROUP BY client_id ORDER BY client_id"
    ).fetchall() == [(None, 1), (client_id, 2)]


WORKFLOW_STATES = ("pending", "in_progress", "completed", "failed", "cancelled")
WORKFLOW_WAYS = {
    ("pending", "in_progress"),
    ("pending", "cancelled"),
    ("in_progress", "completed"),
    ("in_progress", "failed"),
    ("in_progress", "cancelled"),
    ("failed", "in_progress"),
}
STEP_STATES = ("pending", "running", "completed", "failed", "skipped")
STEP_WAYS = {
    ("pending", "running"),
    ("pending", "skipped"),
    ("running", "pending"),
    ("running", "completed"),
    ("running", "failed"),
    ("failed", "pending"),
}


@pytest.mark.ledger("S3-55")
@pytest.mark.parametrize(("old", "new"), [*itertools.product(WORKFLOW_STATES, repeat=2)])
def test_a_workflow_changes_its_state_along_its_ways_only(
    shell: sqlite3.Connection, old: str, new: str
) -> None:
    key = workflow(shell, old)
    started = None if new == "pending" else TIME
    ended = None if new in {"pending", "in_progress"} else TIME
    change = (
        "UPDATE orchestration_workflow SET workflow_status = ?, started_at = ?, completed_at = ? WHERE id = ?"
    )
    swap = (
        "REPLACE INTO orchestration_workflow(workflow_status, started_at, completed_at, id, uuid,"
        " workflow_name, workflow_type_id, workflow_definition, correlation_id)"
        " SELECT ?, ?, ?, ?, uuid, 'w', 1, workflow_definition, 'c' FROM orchestration_workflow"
    )
    for sql in (change, swap):
        if old == new or (old, new) in WORKFLOW_WAYS:
            shell.execute("BEGIN")
            shell.execute(sql, (new, started, ended, key))
            shell.execute("ROLLBACK")
        else:
            assert refused(shell, sql, new, started, ended, key).code == "transition"


@pytest.mark.ledger("S3-56")
@pytest.mark.parametrize(("old", "new"), [*itertools.product(STEP_STATES, repeat=2)])
def test_a_step_changes_its_state_along_its_ways_only(shell: sqlite3.Connection, old: str, new: str) -> None:
    key = step(shell, workflow(shell), 1, old)
    ended = None if new in {"pending", "running"} else TIME
    change = (
        "UPDATE workflow_execution SET execution_status = ?, started_at = ?, completed_at = ? WHERE id = ?"
    )
    swap = (
        "REPLACE INTO workflow_execution(execution_status, started_at, completed_at, workflow_id, step_name,"
        " step_type, execution_order) SELECT ?, ?, ?, workflow_id, 'one', 'notify', execution_order"
        " FROM workflow_execution WHERE id = ?"
    )
    for sql in (change, swap):
        if old == new or (old, new) in STEP_WAYS:
            shell.execute("BEGIN")
            shell.execute(sql, (new, TIME, ended, key))
            shell.execute("ROLLBACK")
        else:
            assert refused(shell, sql, new, TIME, ended, key).code == "transition"


@pytest.mark.ledger("S3-55", "S3-56")
def test_states_are_these_and_no_others() -> None:
    for table, column, states in (
        ("orchestration_workflow", "workflow_status", WORKFLOW_STATES),
        ("workflow_execution", "execution_status", STEP_STATES),
    ):
        said = ", ".join(f"'{state}'" for state in states)
        assert checks(table)[f"{table}.{column}.choice"] == f"{column} IN ({said})"


@pytest.mark.ledger("S3-58")
def test_a_step_is_tried_again_as_often_as_it_may(shell: sqlite3.Connection) -> None:
    key = step(shell, workflow(shell), 1)
    shell.execute("UPDATE workflow_execution SET retry_count = 3 WHERE id = ?", (key,))
    error = refused(shell, "UPDATE workflow_execution SET retry_count = 4 WHERE id = ?", key)
    assert error.message == "workflow_execution.retry_count must be between 0 and max_retries."
    for sql in ("retry_count = -1", "max_retries = 2", "retry_count = 0, max_retries = -1"):
        assert refused(shell, f"UPDATE workflow_execution SET {sql} WHERE id = ?", key).code == "range"


def test_a_definition_may_be_edited_until_the_workflow_begins(shell: sqlite3.Connection) -> None:
    other = '{"steps": [{"name": "other", "type": "notify"}]}'
    change = "UPDATE orchestration_workflow SET workflow_definition = ? WHERE id = ?"
    shell.execute(change, (other, workflow(shell)))
    for status in WORKFLOW_STATES[1:]:
        assert refused(shell, change, other, workflow(shell, status)).code == "final"


def test_progress_is_read_from_the_steps(shell: sqlite3.Connection) -> None:
    def progress() -> tuple[Any, ...]:
        row = shell.execute(
            "SELECT current_step, steps_completed, steps_failed, step_count FROM workflow_progress"
        ).fetchone()
        return row[0], json.loads(row[1]), json.loads(row[2]), row[3]

    key = workflow(shell, "in_progress")
    assert progress() == (None, [], [], 0)
    for order in (3, 1, 2, 4):
        step(shell, key, order)
    assert progress() == ("step 1", [], [], 4)

    def move(order: int, *states: str) -> None:
        for state in states:
            ended = None if state in {"pending", "running"} else TIME
            shell.execute(
                "UPDATE workflow_execution SET execution_status = ?, started_at = ?, completed_at = ?"
                " WHERE execution_order = ?",
                (state, TIME, ended, order),
            )

    move(1, "running")
    assert progress() == ("step 1", [], [], 4)
    move(1, "completed")
    move(2, "skipped")
    assert progress() == ("step 3", ["step 1"], [], 4)
    move(3, "running", "failed")
    assert progress() == ("step 3", ["step 1"], ["step 3"], 4)
    move(3, "pending", "running", "completed")
    move(4, "running", "completed")
    assert progress() == (None, ["step 1", "step 3", "step 4"], [], 4)
    assert not {"current_step", "steps_completed", "steps_failed"} & set(
        columns(shell, "orchestration_workflow")
    )


QUERIES = [
    pytest.param(
        "SELECT * FROM orchestration_workflow WHERE client_id = ?",
        "orchestration_workflow_client (client_id=?)",
        marks=pytest.mark.ledger("S3-60"),
    ),
    pytest.param(
        "SELECT * FROM orchestration_workflow WHERE workflow_status = ?",
        "orchestration_workflow_status (workflow_status=?)",
        marks=pytest.mark.ledger("S3-61"),
    ),
    pytest.param(
        "SELECT * FROM orchestration_workflow WHERE workflow_type_id = ?",
        "orchestration_workflow_workflow_type (workflow_type_id=?)",
        marks=pytest.mark.ledger("S3-62"),
    ),
    pytest.param(
        "SELECT * FROM workflow_execution WHERE workflow_id = ? ORDER BY execution_order",
        "sqlite_autoindex_workflow_execution_1 (workflow_id=?)",
        marks=pytest.mark.ledger("S3-63"),
    ),
    pytest.param(
        "SELECT * FROM workflow_execution WHERE execution_status = ?",
        "workflow_execution_status (execution_status=?)",
        marks=pytest.mark.ledger("S3-64"),
    ),
    pytest.param(
        "SELECT * FROM orchestration_workflow WHERE client_id = ?"
        " AND workflow_status IN ('pending', 'in_progress')",
        "orchestration_workflow_open (client_id=?)",
        marks=pytest.mark.ledger("S3-82"),
    ),
    pytest.param(
        "SELECT * FROM orchestration_workflow WHERE json_extract(metadata, '$.module_code') = ?",
        "orchestration_workflow_module (<expr>=?)",
        marks=pytest.mark.ledger("S3-82"),
    ),
    ("SELECT * FROM orchestration_workflow WHERE correlation_id = ?",
     "orchestration_workflow_correlation (correlation_id=?)"),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "index"), QUERIES)
def test_a_query_uses_its_index(catalogue: sqlite3.Connection, sql: str, index: str) -> None:
    (plan,) = catalogue.execute("EXPLAIN QUERY PLAN " + sql, ("x",)).fetchall()
    assert plan[3].split(" USING INDEX ")[-1] == index


def test_progress_looks_its_steps_up(catalogue: sqlite3.Connection) -> None:
    sql = "EXPLAIN QUERY PLAN SELECT * FROM workflow_progress WHERE workflow_id = ?"
    found = [row[3] for row in catalogue.execute(sql, (1,)) if row[3].startswith(("SEARCH", "SCAN"))]
    assert found[0].startswith("SEARCH w USING INTEGER PRIMARY KEY")
    assert [line for line in found if line.startswith("SCAN") and "subquery" not in line] == []


KINDS = {
    "install_module",
    "activate_module",
    "apply_configuration",
    "deploy",
    "assemble_handover_package",
    "deliver",
    "notify",
}


def test_a_new_file_has_a_template_for_every_kind_of_workflow(edge: Database) -> None:
    kinds = {"CLIENT_ONBOARDING", "MODULE_ACTIVATION", "DEPLOYMENT", "HANDOVER", "PUBLISHING"}
    assert {row.code for row in models.WorkflowType.select()} == kinds
    templates = {row.workflow_type.code: row for row in models.WorkflowTemplate.select()}
    assert set(templates) == kinds
    used = {step["type"] for row in templates.values() for step in row.definition["steps"]}
    assert used >= KINDS


def test_a_workflow_is_of_a_known_kind(shell: sqlite3.Connection) -> None:
    key = workflow(shell)
    error = refused(shell, "UPDATE orchestration_workflow SET workflow_type_id = 99 WHERE id = ?", key)
    assert (error.column, error.code) == ("workflow_type_id", "reference")
    assert "workflow_type_id INTEGER NOT NULL" in TABLES["orchestration_workflow"][0]
