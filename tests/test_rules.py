"""What the driver says, in our words: one case per kind of error."""

from __future__ import annotations

import sqlite3
import sys
import threading
from typing import TYPE_CHECKING, Any

import peewee
import pytest

import edgekit
from edgekit import models, rules, sqlite
from edgekit.errors import (
    BusyError,
    ConflictError,
    CorruptError,
    DeniedError,
    EdgekitError,
    InvalidError,
    MigrationNeededError,
    RuleError,
    UnavailableError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database


def failure(connection: sqlite3.Connection, sql: str, *values: Any) -> sqlite3.Error:
    with pytest.raises(sqlite3.Error) as caught:
        connection.execute(sql, values)
    return caught.value


def ruled(connection: sqlite3.Connection, sql: str, *values: Any) -> RuleError:
    ours = rules.translate(failure(connection, sql, *values), connection)
    assert isinstance(ours, RuleError)
    assert ours.exit_code == 4
    return ours


FILES = (
    "INSERT INTO integration(integration_name, integration_type_id, connection_config)"
    " VALUES ('files', 1, '{}')"
)
FILES_AGAIN = FILES.replace("files", "FILES")

CASES: dict[str, tuple[str, tuple[str, str, str], str]] = {
    "not null": (
        "INSERT INTO insured(customer_number) VALUES ('1')",
        ("insured", "name", "required"),
        "insured.name must not be empty.",
    ),
    "strict text": (
        "INSERT INTO vehicle(model_year) VALUES ('new')",
        ("vehicle", "model_year", "type"),
        "vehicle.model_year must be a whole number, not text.",
    ),
    "strict fraction": (
        "INSERT INTO vehicle(model_year) VALUES (2020.5)",
        ("vehicle", "model_year", "type"),
        "vehicle.model_year must be a whole number, not a fraction.",
    ),
    "strict bytes": (
        "INSERT INTO insured(customer_number, name) VALUES ('1', x'00')",
        ("insured", "name", "type"),
        "insured.name must be text, not binary data.",
    ),
    "strict number": (
        "UPDATE integration_mapping SET test_coverage = 'all'",
        ("integration_mapping", "test_coverage", "type"),
        "integration_mapping.test_coverage must be a number, not text.",
    ),
    "unique": (
        "INSERT INTO role(code, name) VALUES ('admin', 'x')",
        ("role", "code", "unique"),
        "There is already a row in role with this code.",
    ),
    "unique in an organization": (
        "INSERT INTO insured(customer_number, name) VALUES ('C-1', 'x')",
        ("insured", "customer_number", "unique"),
        "There is already a row in insured with this customer_number.",
    ),
    "unique over several": (
        "INSERT INTO driver(last_name, license_state, license_number) VALUES ('x', 'NY', 'L')",
        ("driver", "license_number", "unique"),
        "There is already a row in driver with this license_state and license_number.",
    ),
    "unique over an expression": (
        FILES_AGAIN,
        ("integration", "integration_name", "unique"),
        "There is already a row in integration with this integration_type_id and integration_name.",
    ),
    "primary key": (
        "INSERT INTO role(id, code, name) VALUES (1, 'NEW', 'x')",
        ("role", "id", "unique"),
        "There is already a row in role with this id.",
    ),
    "choice": (
        "INSERT INTO quote(quote_number, quote_state) VALUES ('1', 'lost')",
        ("quote", "quote_state", "choice"),
        "quote.quote_state must be one of: draft, quoted, bound, declined, expired.",
    ),
    "length from 1": (
        "INSERT INTO insured(customer_number, name) VALUES ('1', '')",
        ("insured", "name", "length"),
        "insured.name must not be empty and has at most 200 characters.",
    ),
    "length up to": (
        "UPDATE insured SET phone = printf('%60d', 1)",
        ("insured", "phone", "length"),
        "insured.phone has at most 50 characters.",
    ),
    "length exactly": (
        (
            "INSERT INTO integration_event(uuid, event_type, event_source_id, event_payload, correlation_id)"
            " VALUES ('x', 'a', 1, '{}', 'c')"
        ),
        ("integration_event", "uuid", "length"),
        "integration_event.uuid must have 36 characters.",
    ),
    "range": (
        "INSERT INTO vehicle(model_year) VALUES (1885)",
        ("vehicle", "model_year", "range"),
        "vehicle.model_year must be between 1886 and 2100.",
    ),
    "range from 0": (
        "UPDATE license_tier SET tier_rank = -1",
        ("license_tier", "tier_rank", "range"),
        "license_tier.tier_rank must not be negative.",
    ),
    "range from 1": (
        (
            "INSERT INTO integration(integration_name, integration_type_id, connection_config, version)"
            " VALUES ('z', 1, '{}', 0)"
        ),
        ("integration", "version", "range"),
        "integration.version must be at least 1.",
    ),
    "boolean": (
        "UPDATE integration_type SET is_default = 2",
        ("integration_type", "is_default", "boolean"),
        "integration_type.is_default must be 0 or 1.",
    ),
    "json": (
        "UPDATE integration SET connection_config = '{'",
        ("integration", "connection_config", "json_object"),
        "integration.connection_config must be a JSON object.",
    ),
    "date": (
        "UPDATE driver SET date_of_birth = '2026-02-30'",
        ("driver", "date_of_birth", "date"),
        "driver.date_of_birth must be a date such as 2026-01-31.",
    ),
    "time": (
        "UPDATE driver SET verified_at = '2026-01-31 09:05'",
        ("driver", "verified_at", "time"),
        "driver.verified_at must be a UTC time such as 2026-01-31T09:05:00.000Z.",
    ),
    "time that is none": (
        "UPDATE driver SET verified_at = '2026-02-30T09:05:00.000Z'",
        ("driver", "verified_at", "time"),
        "driver.verified_at must be a UTC time such as 2026-01-31T09:05:00.000Z.",
    ),
    "order of dates": (
        "INSERT INTO policy(policy_number, effective_date, expiration_date) VALUES ('1', '2026-01-01', '2025-01-01')",  # noqa: E501
        ("policy", "expiration_date", "order"),
        "policy.expiration_date must come after effective_date.",
    ),
    "format": (
        "INSERT INTO vehicle(vin) VALUES ('1hgcm82633a004352')",
        ("vehicle", "vin", "format"),
        (
            "vehicle.vin must have 17 characters (digits and capital letters without I, O and Q);"
            " a VIN known in part writes * for each unknown character."
        ),
    ),
    "format of a currency": (
        (
            "INSERT INTO policy(policy_number, effective_date, expiration_date, currency)"
            " VALUES ('1', '2026-01-01', '2027-01-01', '$')"
        ),
        ("policy", "currency", "format"),
        "policy.currency must be three capital letters such as USD.",
    ),
    "single row": (
        "UPDATE system SET id = 2",
        ("system", "id", "single"),
        "system has one row only.",
    ),
    "trigger": (
        "DELETE FROM user",
        ("user", "id", "protected"),
        "Users are retired (another status), never deleted.",
    ),
}


def fill(shell: sqlite3.Connection) -> sqlite3.Connection:
    shell.execute("INSERT INTO insured(customer_number, name) VALUES ('C-1', 'Ann')")
    shell.execute("INSERT INTO driver(last_name, license_state, license_number) VALUES ('Roe', 'NY', 'L')")
    shell.execute(FILES)
    shell.execute(
        "INSERT INTO integration_mapping(integration_id, mapping_name, source_path, target_path)"
        " VALUES (1, 'm', 'a', 'b')"
    )
    return shell


@pytest.fixture
def filled(bare_shell: sqlite3.Connection) -> sqlite3.Connection:
    """A file where no generated trigger answers before the rule."""
    return fill(bare_shell)


@pytest.mark.parametrize("case", CASES)
def test_a_refusal_names_table_column_and_code(filled: sqlite3.Connection, case: str) -> None:
    sql, place, sentence = CASES[case]
    error = ruled(filled, sql)
    assert (error.table, error.column, error.code) == place
    assert error.message == sentence


@pytest.mark.parametrize("case", CASES)
def test_with_every_trigger_in_place_it_is_refused_too(shell: sqlite3.Connection, case: str) -> None:
    sql, (table, *_), _ = CASES[case]
    assert ruled(fill(shell), sql).table == table


def test_a_refusal_never_shows_the_value(filled: sqlite3.Connection) -> None:
    for sql in (
        "UPDATE insured SET name = 'S3cret' || printf('%300d', 1)",
        "UPDATE driver SET verified_at = 'S3cret'",
        """UPDATE integration SET connection_config = '{"password": "S3cret"}'""",
        "INSERT INTO insured(id, customer_number, name) VALUES ('S3cret', '1', 'x')",
    ):
        assert "S3cret" not in str(ruled(filled, sql)), sql


def test_without_a_connection_the_place_is_still_named(filled: sqlite3.Connection) -> None:
    error = rules.translate(failure(filled, "UPDATE insured SET phone = printf('%60d', 1)"))
    assert isinstance(error, RuleError)
    assert (error.table, error.column, error.code) == ("insured", "phone", "length")
    index = failure(
        filled,
        FILES_AGAIN,
    )
    unnamed = rules.translate(index)
    assert isinstance(unnamed, RuleError)
    assert unnamed.code == "unique"


@pytest.mark.parametrize("filling", ["now", "NOW"])
def test_now_is_no_time(filled: sqlite3.Connection, filling: str) -> None:
    error = failure(filled, "UPDATE driver SET verified_at = ?", filling)
    ours = rules.translate(error, filled)
    assert isinstance(ours, RuleError)
    assert (ours.table, ours.column, ours.code) == ("*", "*", "time")
    assert "2026-01-31T09:05:00.000Z" in ours.message


def test_now_is_no_date(filled: sqlite3.Connection) -> None:
    error = ruled(filled, "UPDATE driver SET date_of_birth = 'now'")
    assert (error.table, error.column, error.code) == ("*", "*", "date")
    assert "2026-01-31" in error.message


def test_a_rule_of_a_users_own_table_is_told_as_it_is(shell: sqlite3.Connection) -> None:
    shell.execute("CREATE TABLE own(a INTEGER CHECK (a > 0), b INTEGER CONSTRAINT positive CHECK (b > 0))")
    assert ruled(shell, "INSERT INTO own(b) VALUES (-1)").message == "The rule positive does not hold."
    assert ruled(shell, "INSERT INTO own(a) VALUES (-1)").code == "check"


def test_a_reference_that_points_at_nothing_is_named(edge: Database) -> None:
    connection = edge.connection()
    plain = rules.translate(
        failure(
            connection, "INSERT INTO claim(claim_number, policy_id, loss_date) VALUES ('1', 9, '2026-01-01')"
        )
    )
    assert isinstance(plain, RuleError)
    assert plain.code == "reference"
    named = rules.explain_reference(
        connection, "claim", {"policy_id": 9, "organization_id": 1, "status_id": None}
    )
    assert named is not None
    assert (named.table, named.column, named.code) == ("claim", "policy_id", "reference")
    assert named.message == "claim.policy_id: there is no policy with id 9."
    assert rules.explain_reference(connection, "claim", {"organization_id": 1}) is None


def test_a_row_that_is_referred_to_names_who_refers(edge: Database) -> None:
    with edge.change():
        insured = models.Insured.create(customer_number="1", name="Ann")
        models.Quote.create(quote_number="1", insured=insured)
    with pytest.raises(RuleError) as caught, edge.change():
        insured.delete_instance()
    assert (caught.value.table, caught.value.code) == ("insured", "referenced")
    assert caught.value.message == "Rows of quote refer to this row of insured."
    assert rules.explain_referrers(edge.connection(), "quote", 1) is None


def test_an_error_wrapped_by_peewee_is_the_same_error(edge: Database) -> None:
    original = failure(edge.connection(), "UPDATE role SET code = ''")
    wrapped = peewee.IntegrityError(original)
    wrapped.orig = original
    ours = rules.translate(wrapped, edge.connection())
    assert isinstance(ours, RuleError)
    assert ours.code == "length"


def test_another_writer_makes_it_busy(edge_file: Path) -> None:
    one, other = sqlite.connect(edge_file), sqlite.connect(edge_file)
    other.execute("PRAGMA busy_timeout = 0")
    one.execute("BEGIN IMMEDIATE")
    ours = rules.translate(failure(other, "BEGIN IMMEDIATE"))
    one.close()
    other.close()
    assert isinstance(ours, BusyError)
    assert isinstance(ours, ConflictError)
    assert ours.exit_code == 6
    assert ours.hint


def test_a_file_that_is_no_database_or_damaged(edge_file: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.db"
    text.write_text("customer,name\n" * 100, encoding="utf-8")
    connection = sqlite3.connect(text)
    assert isinstance(rules.translate(failure(connection, "SELECT * FROM sqlite_schema")), CorruptError)
    connection.close()
    content = bytearray(edge_file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    edge_file.write_bytes(content)
    connection = sqlite3.connect(edge_file)
    assert isinstance(rules.translate(failure(connection, "SELECT * FROM insured")), CorruptError)
    connection.close()


def test_a_full_disk_asks_for_space(shell: sqlite3.Connection) -> None:
    (pages,) = shell.execute("PRAGMA page_count").fetchone()
    shell.execute(f"PRAGMA max_page_count = {pages}")
    ours = rules.translate(failure(shell, "CREATE TABLE big AS SELECT randomblob(9000000) AS b"))
    assert isinstance(ours, UnavailableError)
    assert "disk is full" in ours.message


def test_a_file_opened_for_reading_denies_writes(edge_file: Path) -> None:
    connection = sqlite.connect(edge_file, read_only=True)
    ours = rules.translate(failure(connection, "DELETE FROM insured"))
    connection.close()
    assert isinstance(ours, DeniedError)


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.Error) as caught:
        sqlite3.connect(tmp_path / "missing" / "a.db")
    assert isinstance(rules.translate(caught.value), UnavailableError)


def test_a_value_too_large_is_invalid(shell: sqlite3.Connection) -> None:
    shell.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000)
    ours = rules.translate(failure(shell, "SELECT randomblob(20000)"))
    assert type(ours) is InvalidError


def test_a_schema_changed_meanwhile() -> None:
    error = sqlite3.OperationalError("database schema has changed")
    error.sqlite_errorname = "SQLITE_SCHEMA"
    assert isinstance(rules.translate(error), MigrationNeededError)


@pytest.mark.parametrize("sql", ["SELECT nothing", "SELEC 1", "SELECT * FROM no_such_table"])
def test_a_bug_of_ours_stays_one(shell: sqlite3.Connection, sql: str) -> None:
    assert rules.translate(failure(shell, sql), shell) is None


def test_other_errors_are_not_translated() -> None:
    assert rules.translate(ValueError("x")) is None
    assert rules.translate(KeyboardInterrupt()) is None
    assert rules.translate(InvalidError("x")) is None


def test_a_change_raises_ours_and_undoes_itself(edge: Database) -> None:
    rows = [{"code": "OWNER", "name": "Owner"}, {"code": "owner", "name": "Again"}]
    with pytest.raises(RuleError) as caught, edge.change():
        _ = [models.Role.create(**row) for row in rows]
    assert isinstance(caught.value, EdgekitError)
    assert caught.value.__cause__ is not None
    assert models.Role.get_or_none(code="OWNER") is None
    with edge.change():
        models.Role.create(code="OWNER", name="Owner")


def test_threads_write_one_after_the_other(edge_file: Path) -> None:
    failed: list[BaseException] = []

    def write(n: int, database: Database) -> None:
        try:
            for i in range(20):
                with database.change():
                    models.Insured.create(customer_number=f"{n}-{i}", name="Ann")
        except BaseException as error:  # noqa: BLE001 - shown by the assertion
            failed.append(error)
        finally:
            database.connection().close()

    with edgekit.open(edge_file) as database:
        threads = [threading.Thread(target=write, args=(n, database)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        assert models.Insured.select().count() == 80


@pytest.mark.skipif(sys.platform == "win32", reason="rights of a file work otherwise there")
def test_a_locked_table_is_busy_too(tmp_path: Path) -> None:
    shared = f"file:{tmp_path / 'a.db'}?cache=shared"
    one, other = (sqlite3.connect(shared, uri=True, isolation_level=None) for _ in range(2))
    one.execute("CREATE TABLE t(a)")
    one.execute("BEGIN IMMEDIATE")
    one.execute("INSERT INTO t VALUES (1)")
    assert isinstance(rules.translate(failure(other, "SELECT * FROM t")), BusyError)
    one.close()
    other.close()
