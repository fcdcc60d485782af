"""The tables of the runner: columns, what is refused, and which index answers which question."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from catalogue import checks, columns, holds, references, unique_sets, whole_indexes
from test_schema_integrations import OWNED, SIGNED, choice, plan
from test_violations import put, refused, sample

from edgekit import schema

if TYPE_CHECKING:
    from pathlib import Path

NOON = "2026-01-31T12:00:00.000Z"


@pytest.fixture(scope="module")
def catalogue() -> sqlite3.Connection:
    return schema.pristine()


@pytest.fixture
def shell(bare_shell: sqlite3.Connection) -> sqlite3.Connection:
    return bare_shell


@pytest.mark.ledger("S4-16")
def test_a_schedule_has_its_columns(catalogue: sqlite3.Connection) -> None:
    table = "integration_schedule"
    holds(
        catalogue,
        table,
        "integration_id>integration schedule_name schedule_type cron_expression? interval_minutes?"
        " event_type? timezone"
        " start_date? end_date? next_run_at? last_run_at? retry_policy? execution_timeout_seconds"
        " overlap_policy missed_execution_policy is_failure_notified execution_parameters?" + OWNED,
    )
    assert references(catalogue, table)["integration_id"] == ("integration", "CASCADE")
    found = columns(catalogue, table)
    assert {name: found[name][2] for name in ("timezone", "execution_timeout_seconds")} == {
        "timezone": "'UTC'",
        "execution_timeout_seconds": "300",
    }
    assert (found["is_failure_notified"][2], found["overlap_policy"][2]) == ("1", "'skip'")
    assert choice(table, "schedule_type") == {"cron", "interval", "fixed_time", "event_based", "manual"}
    assert choice(table, "overlap_policy") == {"skip", "queue_one", "queue_all", "cancel_running", "allow"}
    assert choice(table, "missed_execution_policy") == {"run_once", "run_all", "skip"}
    holds(
        catalogue,
        "integration_schedule_time",
        "schedule_id>integration_schedule time_of_day" + SIGNED,
        ("schedule_id", "time_of_day"),
    )
    holds(
        catalogue,
        "integration_schedule_recipient",
        "schedule_id>integration_schedule user_id>user" + SIGNED,
        ("schedule_id", "user_id"),
    )


@pytest.mark.ledger("S4-17")
def test_the_settings_of_a_schedule_are_objects(shell: sqlite3.Connection) -> None:
    for column in ("retry_policy", "execution_parameters"):
        for value in ("[]", "7", "{"):
            row = sample(shell, "integration_schedule", **{column: value})
            error = refused(shell, lambda row=row: put(shell, "integration_schedule", **row))
            assert (error.column, error.code) == (column, "json_object")


@pytest.mark.ledger("S4-18")
@pytest.mark.parametrize(
    ("values", "column"),
    [
        ({"schedule_type": "cron"}, "cron_expression"),
        ({"schedule_type": "cron", "cron_expression": "every day"}, "cron_expression"),
        ({"schedule_type": "interval"}, "interval_minutes"),
        ({"schedule_type": "interval", "interval_minutes": 0}, "interval_minutes"),
        ({"schedule_type": "fixed_time"}, "schedule_type"),
        ({"schedule_type": "manual", "timezone": "berlin"}, "timezone"),
        ({"schedule_type": "manual", "start_date": "2026-02-01", "end_date": "2026-01-31"}, "end_date"),
    ],
)
def test_a_schedule_without_its_times_is_refused(
    shell: sqlite3.Connection, values: dict[str, Any], column: str
) -> None:
    row = sample(shell, "integration_schedule", **values)
    assert refused(shell, lambda: put(shell, "integration_schedule", **row)).column == column


@pytest.mark.ledger("S4-18")
@pytest.mark.parametrize(
    "values",
    [
        {"schedule_type": "cron", "cron_expression": "*/15 6-18 * * MON-FRI", "timezone": "America/New_York"},
        {"schedule_type": "cron", "cron_expression": "0 0 L * ?", "timezone": "Etc/GMT+5"},
        {"schedule_type": "interval", "interval_minutes": 1},
        {"schedule_type": "fixed_time", "status_id": 2},
        {"schedule_type": "event_based"},
        {"schedule_type": "manual", "start_date": "2026-01-31", "end_date": "2026-01-31"},
    ],
)
def test_a_sound_schedule_is_taken(shell: sqlite3.Connection, values: dict[str, Any]) -> None:
    assert put(shell, "integration_schedule", **sample(shell, "integration_schedule", **values))


@pytest.mark.ledger("S4-18")
def test_an_active_schedule_at_fixed_times_keeps_a_time(edge_file: Path) -> None:
    plain = sqlite3.connect(edge_file, isolation_level=None)
    row = sample(plain, "integration_schedule", schedule_type="fixed_time", status_id=2)
    schedule = put(plain, "integration_schedule", **row)
    activate = "UPDATE integration_schedule SET status_id = 1"
    with pytest.raises(sqlite3.IntegrityError, match="add its times first"):
        plain.execute(activate)
    for time in ("06:30", "18:30"):
        put(plain, "integration_schedule_time", schedule_id=schedule, time_of_day=time)
    plain.execute(activate)
    plain.execute("DELETE FROM integration_schedule_time WHERE time_of_day = '06:30'")
    for sql in (
        "DELETE FROM integration_schedule_time",
        "UPDATE integration_schedule_time SET status_id = 2",
        "REPLACE INTO integration_schedule_time(schedule_id, time_of_day, status_id) VALUES (1, '18:30', 2)",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="pause it first"):
            plain.execute(sql)
    plain.execute("UPDATE integration_schedule SET status_id = 2")
    plain.execute("DELETE FROM integration_schedule")
    assert plain.execute("SELECT count(*) FROM integration_schedule_time").fetchone() == (0,)
    plain.close()


@pytest.mark.parametrize("pragma", [0, 1])
def test_a_replaced_schedule_keeps_its_times_or_is_refused(edge_file: Path, pragma: int) -> None:
    plain = sqlite3.connect(edge_file, isolation_level=None)
    row = sample(plain, "integration_schedule", schedule_type="fixed_time", status_id=2)
    schedule = put(plain, "integration_schedule", **row)
    put(plain, "integration_schedule_time", schedule_id=schedule, time_of_day="06:30")
    plain.execute("UPDATE integration_schedule SET status_id = 1")
    plain.execute(f"PRAGMA foreign_keys = {pragma}")
    again = (
        "REPLACE INTO integration_schedule(id, integration_id, schedule_name, schedule_type)"
        " SELECT id, integration_id, schedule_name, schedule_type FROM integration_schedule"
    )
    if pragma:  # the old row takes its times along
        with pytest.raises(sqlite3.IntegrityError, match="needs one before it is active"):
            plain.execute(again)
    else:
        plain.execute(again)
    assert plain.execute("SELECT count(*) FROM integration_schedule_time").fetchone() == (1,)
    plain.close()


def test_a_next_run_is_not_kept_for_other_times(shell: sqlite3.Connection) -> None:
    values = {"schedule_type": "interval", "interval_minutes": 5, "next_run_at": NOON}
    key = put(shell, "integration_schedule", **sample(shell, "integration_schedule", **values))
    for change in (
        "interval_minutes = 60", "timezone = 'Europe/Berlin'", "cron_expression = '0 6 * * *'",
        "schedule_type = 'cron', cron_expression = '0 6 * * *'",
    ):  # fmt: skip
        sql = f"UPDATE integration_schedule SET {change} WHERE id = {key}"
        error = refused(shell, lambda sql=sql: shell.execute(sql))
        assert (error.column, error.code) == ("next_run_at", "stale")
    shell.execute("UPDATE integration_schedule SET interval_minutes = 5, last_run_at = next_run_at")
    shell.execute("UPDATE integration_schedule SET interval_minutes = 60, next_run_at = NULL")


@pytest.mark.ledger("S4-19", "S4-54", "S4-59")
def test_due_schedules_are_found_by_index(catalogue: sqlite3.Connection) -> None:
    sql = "SELECT * FROM integration_schedule WHERE status_id = 1 AND next_run_at <= ? ORDER BY next_run_at"
    assert plan(catalogue, sql) == [
        "SEARCH integration_schedule USING INDEX integration_schedule_due (next_run_at<?)"
    ]
    sql = "SELECT * FROM integration_schedule WHERE json_extract(retry_policy, '$.attempts') > 3"
    assert plan(catalogue, sql) == [
        "SEARCH integration_schedule USING INDEX integration_schedule_retry (<expr>>?)"
    ]


@pytest.mark.ledger("S4-20")
def test_a_slot_has_its_columns(catalogue: sqlite3.Connection) -> None:
    table = "integration_schedule_execution"
    holds(
        catalogue,
        table,
        "schedule_id>integration_schedule execution_id?>integration_execution scheduled_at span_ended_at?"
        " slot_count started_at? ended_at? execution_status reason? records_processed error_count"
        " warning_count execution_notes? correlation_id" + OWNED,
        ("schedule_id", "scheduled_at"),
    )
    assert references(catalogue, table)["schedule_id"] == ("integration_schedule", "CASCADE")
    assert references(catalogue, table)["execution_id"][1] == "NO ACTION"
    assert choice(table, "execution_status") == {
        "scheduled", "running", "completed", "failed", "cancelled", "skipped",
    }  # fmt: skip
    assert choice(table, "reason") == {"overlap", "missed", "coalesced", "paused", "timeout"}


@pytest.mark.ledger("S4-21", "S4-55")
def test_slots_are_found_by_state_and_newest_first(catalogue: sqlite3.Connection) -> None:
    table = "integration_schedule_execution"
    ordered = " ORDER BY scheduled_at DESC"
    sql = f"SELECT * FROM {table} WHERE schedule_id = ? AND execution_status = ?" + ordered
    assert plan(catalogue, sql) == [
        f"SEARCH {table} USING INDEX {table}_status (schedule_id=? AND execution_status=?)"
    ]
    recent = plan(catalogue, f"SELECT * FROM {table} WHERE schedule_id = ?" + ordered)
    assert recent == [f"SEARCH {table} USING INDEX {table}_scheduled (schedule_id=?)"]


def test_a_slot_goes_one_way(shell: sqlite3.Connection) -> None:
    table = "integration_schedule_execution"
    allowed = {
        "scheduled>running", "scheduled>failed", "scheduled>cancelled", "scheduled>skipped",
        "running>completed", "running>failed", "running>cancelled",
    }  # fmt: skip
    _goes(shell, table, choice(table, "execution_status"), allowed, {"reason": "missed"})


def test_a_run_goes_one_way(shell: sqlite3.Connection) -> None:
    table = "integration_execution"
    allowed = {
        "pending>running", "pending>failed", "pending>cancelled", "running>completed", "running>failed",
        "running>cancelled", "running>interrupted",
    }  # fmt: skip
    _goes(shell, table, choice(table, "execution_status"), allowed, {})


def _goes(
    shell: sqlite3.Connection, table: str, states: set[str], allowed: set[str], also: dict[str, Any]
) -> None:
    """Try every step from one state to another, by UPDATE."""

    def values(state: str) -> dict[str, Any]:
        begun = {"started_at": NOON} if state in {"running", "completed"} else {}
        ended = {"ended_at": None if state in {"pending", "running", "scheduled"} else NOON}
        return {"execution_status": state, **begun, **ended, **also}

    for old in sorted(states):
        for new in sorted(states - {old}):
            key = put(shell, table, **sample(shell, table, **values(old)))
            assign = ", ".join(f"{column} = ?" for column in values(new))
            sql, given = f"UPDATE {table} SET {assign} WHERE id = {key}", list(values(new).values())
            if f"{old}>{new}" in allowed:
                shell.execute(sql, given)
            else:
                error = refused(shell, lambda sql=sql, given=given: shell.execute(sql, given))
                assert error.code in {"final", "transition"}, f"{old}>{new}"


@pytest.mark.ledger("S4-02")
def test_a_run_has_its_columns(catalogue: sqlite3.Connection) -> None:
    table = "integration_execution"
    holds(
        catalogue,
        table,
        "integration_id>integration pipeline_id?>integration_pipeline_definition trigger_kind"
        " execution_status started_at? ended_at?"
        " records_read records_written records_failed error_code? error_message?"
        " error_data? correlation_id" + OWNED,
        ("uuid",),
    )
    assert {"manual", "schedule", "event"} <= choice(table, "trigger_kind")


@pytest.mark.ledger("S1-32", "S1-33", "S1-40")
def test_an_attempt_has_its_columns(catalogue: sqlite3.Connection) -> None:
    table = "integration_log"
    holds(
        catalogue,
        table,
        "integration_id>integration communication_id?>communication request_type request_url?"
        " request_data? response_data? response_code?"
        " response_time_ms? is_success error_message? retry_count correlation_id external_reference?"
        " organization_id?>organization created_by>user created_at",
    )
    found = columns(catalogue, table)
    assert (found["is_success"][2], found["retry_count"][2]) == ("1", "0")
    assert "program_id" not in found
    assert "created_by" in whole_indexes(catalogue, table)
    limits = {name.split(".")[1]: text for name, text in checks(table).items() if name.endswith(".length")}
    assert "50" in limits["request_type"]
    assert "500" in limits["request_url"]
    assert "100" in limits["correlation_id"]
    assert "100" in limits["external_reference"]


@pytest.mark.ledger("S1-34", "S1-38", "S1-39", "S1-40")
def test_attempts_are_found_by_index(catalogue: sqlite3.Connection) -> None:
    for column, index in (
        ("integration_id", "integration"), ("correlation_id", "correlation"), ("created_at", "created"),
        ("created_by", "created_by"), ("communication_id", "communication"),
    ):  # fmt: skip
        sql = f"SELECT * FROM integration_log WHERE {column} = ?"
        wanted = f"SEARCH integration_log USING INDEX integration_log_{index} ({column}=?)"
        assert plan(catalogue, sql) == [wanted]


@pytest.mark.ledger("S1-42")
def test_an_attempt_is_kept_as_it_was(edge_file: Path) -> None:
    plain = sqlite3.connect(edge_file, isolation_level=None)
    key = put(plain, "integration", **sample(plain, "integration"))
    put(plain, "integration_log", integration_id=key, request_type="GET", correlation_id="c")
    again = "REPLACE INTO integration_log(id, integration_id, request_type, correlation_id)"
    for sql in (
        "UPDATE integration_log SET is_success = 0",
        "DELETE FROM integration_log",
        f"{again} VALUES (1, {key}, 'GET', 'd')",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="append_only"):
            plain.execute(sql)
    plain.close()


def test_what_is_logged_has_its_secrets_masked(shell: sqlite3.Connection) -> None:
    row = sample(shell, "integration_log")
    for text in ('{"headers": {"Authorization": "***"}, "page": 2}', '{"Authorization": ["***", "***"]}'):
        assert put(shell, "integration_log", **{**row, "request_data": text, "response_data": text})
    for text in ('{"token": "***x"}', '{"Authorization": ["***", "k"]}', '{"a": [{"api-key": 7}]}'):
        for column in ("request_data", "response_data"):
            bad = {**row, column: text}
            error = refused(shell, lambda bad=bad: put(shell, "integration_log", **bad))
            assert (error.column, error.code) == (column, "secret")


def test_a_breaker_and_a_limit_are_there_once(catalogue: sqlite3.Connection) -> None:
    holds(
        catalogue,
        "circuit_breaker",
        "integration_id>integration target breaker_status failure_count opened_at? retry_at?" + SIGNED,
        ("integration_id", "target"),
    )
    assert choice("circuit_breaker", "breaker_status") == {"closed", "open", "half_open"}
    assert frozenset({"limiter_key", "window_seconds"}) in unique_sets(catalogue, "rate_limit_window")


def test_a_run_and_its_communications_are_linked_once(catalogue: sqlite3.Connection) -> None:
    holds(
        catalogue,
        "integration_execution_communication",
        "execution_id>integration_execution communication_id>communication" + SIGNED,
        ("execution_id", "communication_id"),
    )


BUSINESS = ("policy", "quote", "driver", "vehicle")


@pytest.mark.ledger("S1-35", "S1-36", "S1-37", "S1-40", "S1-55")
@pytest.mark.parametrize("word", BUSINESS)
def test_the_attempts_about_a_business_row_are_found_by_its_context(
    catalogue: sqlite3.Connection, word: str
) -> None:
    steps = plan(catalogue, f"SELECT * FROM v_integration_log WHERE {word}_id = ?")
    assert steps[0].startswith("SEARCH")
    assert steps[0].endswith(
        "USING INDEX communication_business_context_context (context_type_id=? AND context_id=?)"
    )
    assert "SEARCH l USING INDEX integration_log_communication (communication_id=?)" in steps


@pytest.mark.ledger("S1-32", "S1-33", "S1-55")
def test_the_history_of_a_business_row_is_every_attempt_about_it(shell: sqlite3.Connection) -> None:
    contexts = dict(shell.execute("SELECT table_name, id FROM business_context_type").fetchall())
    attempts: dict[str, list[int]] = {}
    for about in (("policy", "driver"), ("quote", "vehicle"), ("policy",), ()):
        communication = put(shell, "communication", **sample(shell, "communication"))
        for word in about:
            put(
                shell, "communication_business_context", communication_id=communication,
                context_type_id=contexts[word], context_id=7,
            )  # fmt: skip
        for retry in (0, 1):
            row = sample(shell, "integration_log", communication_id=communication, retry_count=retry)
            key = put(shell, "integration_log", **row)
            for word in about:
                attempts.setdefault(word, []).append(key)
    for word in BUSINESS:
        sql = f"SELECT id FROM v_integration_log WHERE {word}_id = 7 ORDER BY id"
        assert [key for (key,) in shell.execute(sql)] == attempts[word], word
    first = shell.execute("SELECT policy_id, quote_id, driver_id, vehicle_id FROM v_integration_log LIMIT 1")
    assert first.fetchone() == (7, None, 7, None)
    assert shell.execute("SELECT count(*) FROM v_integration_log").fetchone() == (8,)


def test_an_attempt_is_not_tied_to_the_communication_of_another_organization(
    shell: sqlite3.Connection,
) -> None:
    shell.execute("INSERT INTO organization(id, code, name) VALUES (90, 'OTHER', 'Other')")
    other = put(shell, "communication", **sample(shell, "communication", organization_id=90))
    row = sample(shell, "integration_log", communication_id=other)
    error = refused(shell, lambda: put(shell, "integration_log", **row))
    assert (error.column, error.code) == ("communication_id", "organization")
    shell.execute("UPDATE integration SET organization_id = NULL WHERE id = ?", (row["integration_id"],))
    assert put(shell, "integration_log", **{**row, "organization_id": None})
