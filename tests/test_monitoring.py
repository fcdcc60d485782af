"""What is summed up of the clients: right after a refresh, found when it is behind, and worth having."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from edgekit import clock, monitoring
from edgekit.file.doctor import doctor

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database

AT = clock.from_text("2026-03-01T08:00:00.000Z")
LATER = clock.from_text("2026-03-01T09:00:00.000Z")


def add_clients(edge: Database, count: int, installed: int = 1) -> list[int]:
    """Put in clients, each with modules, a configuration, a workflow of two steps and a package."""
    with edge.change(reason="clients"):
        run = edge.connection()
        start = run.execute("SELECT max(id) FROM organization").fetchone()[0]
        numbers = range(start + 1, start + 1 + count)
        run.executemany(
            "INSERT INTO organization(id, code, name) VALUES (?, ?, 'x')", [(n, f"O{n}") for n in numbers]
        )
        run.executemany(
            "INSERT INTO client(id, organization_id, client_name, client_status_id)"
            " VALUES (?1, ?1, 'c' || ?1, 1)",
            [(n,) for n in numbers],
        )
        run.executemany(
            "INSERT OR IGNORE INTO marketplace_module(id, code, name, version, category_id, developer_id,"
            " pricing_model_id) VALUES (?1, 'M' || ?1, 'm', '1', 1, 1, 1)",
            [(m,) for m in range(1, installed + 1)],
        )
        run.executemany(
            "INSERT INTO module_installation(client_id, module_id, installed_version, installation_status,"
            " installed_at) VALUES (?, ?, '1', 'active', '2026-01-01T00:00:00.000Z')",
            [(n, m) for n in numbers for m in range(1, installed + 1)],
        )
        run.executemany(
            "INSERT INTO configuration(configuration_type_id, scope_type_id, organization_id, config_data)"
            " SELECT id, 1, ?, '{}' FROM configuration_type WHERE code = 'SYSTEM_CONFIGURATION'",
            [(n,) for n in numbers],
        )
        run.executemany(
            "INSERT INTO orchestration_workflow(id, uuid, workflow_name, workflow_type_id, client_id,"
            " workflow_definition, correlation_id) VALUES (?1, printf('%036d', ?1), 'w' || ?1, 1, ?1,"
            """ '{"steps": [{"name": "s", "type": "t"}]}', 'c')""",
            [(n,) for n in numbers],
        )
        run.executemany(
            "INSERT INTO workflow_execution(workflow_id, step_name, step_type, execution_order)"
            " VALUES (?, ?, 't', ?)",
            [(n, f"step {order}", order) for n in numbers for order in (1, 2)],
        )
        run.executemany(
            "INSERT INTO handover_package(uuid, client_id, package_name)"
            " VALUES (printf('%036d', ?1), ?1, 'p')",
            [(n,) for n in numbers],
        )
    return list(numbers)


def stale(edge: Database) -> list[int]:
    return [row["client_id"] for row in edge.query("SELECT client_id FROM v_client_summary_stale ORDER BY 1")]


def shown(edge: Database) -> list[dict[str, Any]]:
    """What the summary and the view say of each client, in the words of the view."""
    columns = ", ".join(c for c in monitoring.ClientSummary.__slots__ if c != "refreshed_at")
    return edge.query(f"SELECT {columns} FROM unified_client_dashboard ORDER BY client_name, client_id")


@pytest.mark.ledger("S0-35", "S0-42", "S0-127", "S3-81")
def test_a_refresh_says_what_the_dashboard_says_and_writes_only_what_changed(edge: Database) -> None:
    assert monitoring.list_clients() == []
    first, second = add_clients(edge, 2)
    assert stale(edge) == [first, second]
    done = monitoring.refresh(now=AT)
    assert (done.clients, done.changed, stale(edge)) == (2, 2, [])
    found = monitoring.list_clients()
    said = [{k: getattr(one, k) for k in one.__slots__ if k != "refreshed_at"} for one in found]
    assert said == shown(edge)
    assert (found[0].active_modules, found[0].current_step, found[0].system_configurations) == (
        1,
        "step 1",
        1,
    )
    assert {one.refreshed_at for one in found} == {"2026-03-01T08:00:00.000Z"}

    with edge.change():
        edge.connection().execute(
            "UPDATE module_installation SET installation_status = 'inactive' WHERE client_id = ?", (second,)
        )
    assert stale(edge) == [second]
    assert monitoring.refresh(now=LATER).changed == 1
    assert [one.active_modules for one in monitoring.list_clients()] == [1, 0]
    assert {one.refreshed_at for one in monitoring.list_clients()} == {"2026-03-01T09:00:00.000Z"}
    assert monitoring.refresh(now=LATER).changed == 0
    logged = edge.query(
        "SELECT count(*) AS n FROM audit_entry WHERE table_name = 'client_summary'"
        " GROUP BY action ORDER BY action"
    )
    assert [row["n"] for row in logged] == [2, 1]


def test_doctor_tells_of_a_summary_that_is_behind_or_was_edited(edge_file: Path, edge: Database) -> None:
    def told() -> list[tuple[str, str]]:
        found = [one for one in doctor(edge_file) if "client_summary" in one.what]
        return [(one.severity, one.do) for one in found]

    assert told() == []  # nobody refreshes it here
    (number,) = add_clients(edge, 1)
    monitoring.refresh(now=AT)
    assert told() == [("ok", "")]
    other = sqlite3.connect(edge_file, isolation_level=None)
    other.execute("UPDATE client_summary SET active_modules = 99")
    assert told() == [("warning", "edgekit monitoring refresh")]
    assert monitoring.refresh(now=LATER).changed == 1
    other.execute("DELETE FROM client_summary WHERE client_id = ?", (number,))
    other.close()
    assert stale(edge) == [number]
    monitoring.refresh(now=LATER)
    assert told() == [("ok", "")]


def test_the_commands(edge_file: Path, edge: Database) -> None:
    add_clients(edge, 1)
    edge.close()

    def run(*words: str) -> Any:
        command = [sys.executable, "-m", "edgekit", "--db", str(edge_file), "monitoring", *words, "--json"]
        return json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)

    assert run("clients") == []
    assert run("refresh")["changed"] == 1
    (row,) = run("clients")
    assert (row["active_modules"], row["handover_package"]) == (1, "p")


@pytest.mark.slow
@pytest.mark.ledger("S0-127", "S3-81")
def test_reading_the_summary_beats_the_dashboard(edge: Database) -> None:
    add_clients(edge, 1500, installed=4)
    monitoring.refresh(now=AT)

    def quickest(read: Any) -> float:
        taken = []
        for _ in range(3):
            start = time.perf_counter()
            assert len(read()) == 1500
            taken.append(time.perf_counter() - start)
        return min(taken)

    view = quickest(lambda: edge.query("SELECT * FROM unified_client_dashboard"))
    summary = quickest(monitoring.list_clients)
    assert summary * 3 < view
