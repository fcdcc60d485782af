"""Every sealed field goes by one door, and rotation covers every one of them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from test_vault import bytes_beside
from test_violations import put, sample

from edgekit import clock, crypto, db, integrations, rows, vault
from edgekit.errors import (
    ConflictError,
    CorruptError,
    DeniedError,
    InvalidError,
    NotFoundError,
    RuleError,
    VaultLockedError,
)
from edgekit.file.backup import backup
from edgekit.file.drilling import drill
from edgekit.file.opening import open as open_file
from edgekit.file.restore import restore
from edgekit.vault import fields, keys, master

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from edgekit.db import Database

SECRET = "sk-live-7Hq9-Zebra!"
WORDS = "five words nobody can guess"


@pytest.fixture(autouse=True)
def _locked() -> Iterator[None]:
    vault.lock()
    master._warned.clear()
    yield
    vault.lock()


@pytest.fixture
def filled(edge: Database, shell: sqlite3.Connection) -> dict[tuple[str, str], int]:
    """A file with a secret in every sealed field there is: {(table, field): row}."""
    vault.init()
    made = {}
    for table in fields.tables(db.connection()):
        if table.name in {"integration_credential", "integration_execution_input"}:
            continue
        row = put(shell, table.name, **sample(shell, table.name))
        for column in table.columns:
            vault.set_field(table.name, row, column, f"{SECRET} {table.name}")
            made[table.name, column] = row
    credential("api_key")
    kept_input(put(shell, "integration_execution_input", **sample(shell, "integration_execution_input")))
    return made


def kept_input(row: int) -> None:
    """Seal what a run kept: it is not a field that people set."""
    table = "integration_execution_input"
    with db.change(reason="kept"):
        identity = db.query(f"SELECT uuid FROM {table} WHERE id = ?", (row,))[0]["uuid"]
        sealed = vault.seal(SECRET, place=f"{table}/{identity}/records_ciphertext")
        db.connection().execute(
            f"UPDATE {table} SET records_zlib = NULL, records_ciphertext = ?, encryption_key_id = ?"
            " WHERE id = ?",
            (sealed.ciphertext, sealed.encryption_key_id, row),
        )


def credential(key: str = "api_key", value: str = SECRET, **options: Any) -> None:
    if not db.query("SELECT 1 FROM integration WHERE integration_name = 'cars'"):
        integrations.create("cars", template="csv-import", settings={"path": "a.csv", "table": "vehicle"})
    integrations.set_credential("cars", key, value, **options)


def opened(filled: dict[tuple[str, str], int]) -> dict[tuple[str, str], str | None]:
    vault.lock()
    return {(table, column): vault.open_field(table, row, column) for (table, column), row in filled.items()}


def generation_of(key: str = "api_key") -> int:
    (row,) = [row for row in integrations.list_credentials("cars") if row["key"] == key]
    assert isinstance(row["key_generation"], int)
    return row["key_generation"]


def ciphertexts() -> list[bytes]:
    return [value for row in fields.every_row(db.connection()) for value in row.values.values()]


# --- the door


@pytest.mark.ledger("S3-91", "S4-91")
def test_every_sealed_field_of_the_schema_goes_by_one_door(filled: dict[tuple[str, str], int]) -> None:
    assert {table for table, _ in filled} >= {
        "feature_license", "module_license", "client_billing_info", "module_payment", "handover_package",
        "sync_peer",
    }  # fmt: skip
    for (table, column), row in filled.items():
        assert vault.open_field(table, row, column.removesuffix("_ciphertext")) == f"{SECRET} {table}"
        (noted,) = db.query("SELECT place, purpose FROM vault_use_log ORDER BY id DESC LIMIT 1")
        assert noted["place"].startswith(f"{table}/")
        assert noted["purpose"] == "reveal"
    listed = {(row["table"], row["field"]): row["values"] for row in vault.list_fields()}
    assert set(listed.values()) == {1}
    assert not any(SECRET.encode() in value for value in ciphertexts())


@pytest.mark.ledger("S3-91")
def test_rows_are_never_set_past_the_vault_and_say_where_to_go(filled: dict[tuple[str, str], int]) -> None:
    for (table, column), row in filled.items():
        with pytest.raises(InvalidError) as refusal:
            rows.set_values(table, row, {column: "x"})
        if table == "sync_peer":
            continue  # its rows are registered, never edited
        assert "holds a secret" in str(refusal.value)
        assert f"ID {column.removesuffix('_ciphertext')}" in str(refusal.value.hint)
        assert "vault put" in str(refusal.value.hint)
        shown = rows.show(db.connection(), table, row)
        assert SECRET not in str(shown)


def test_a_field_is_cleared_and_found_no_more(filled: dict[tuple[str, str], int]) -> None:
    row = filled["module_license", "license_key_ciphertext"]
    vault.set_field("module-licenses", row, "license_key", None)
    assert vault.open_field("module_license", row, "license_key") is None
    assert vault.find_by_license_key(f"{SECRET} module_license") == []
    assert db.query("SELECT encryption_key_id FROM module_license") == [{"encryption_key_id": None}]


def test_a_licence_key_is_found_after_another_process_rotated(filled: dict[tuple[str, str], int]) -> None:
    key = f"{SECRET} module_license"
    (before,) = vault.find_by_license_key(key)
    command = ["--db", str(db.current().path), "vault", "rotate"]
    done = subprocess.run(
        [sys.executable, "-m", "edgekit", *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert vault.find_by_license_key(key) == [before]


@pytest.mark.ledger("S3-48")
def test_a_licence_key_is_found_by_its_keyed_hash_and_masked_in_views(
    filled: dict[tuple[str, str], int],
) -> None:
    used = db.query("SELECT count(*) AS n FROM vault_use_log")
    for table in ("feature_license", "module_license"):
        (found,) = vault.find_by_license_key(f" {SECRET} {table}\n")
        assert (found.table, found.id) == (table, filled[table, "license_key_ciphertext"])
    assert vault.find_by_license_key("another") == []
    assert db.query("SELECT count(*) AS n FROM vault_use_log") == used, "nothing was opened"
    (kept,) = db.query("SELECT license_key_hash FROM module_license")
    assert kept["license_key_hash"] not in {
        crypto.lookup_hash(bytes(32), f"{SECRET} module_license".encode()),
        hashlib.sha256(f"{SECRET} module_license".encode()).hexdigest(),
    }
    views = [row["name"] for row in db.query("SELECT name FROM sqlite_schema WHERE type = 'view'")]
    masked = 0
    for view in views:
        for row in db.query(f'SELECT * FROM "{view}"'):
            assert SECRET not in str(row), view
            masked += row.get("license_key") == "***"
    assert masked


def test_two_rows_with_the_same_licence_key_are_refused(
    filled: dict[tuple[str, str], int], shell: sqlite3.Connection
) -> None:
    other = put(shell, "module_license", **sample(shell, "module_license"))
    with pytest.raises(RuleError) as refusal:
        vault.set_field("module_license", other, "license_key", f"{SECRET} module_license")
    assert SECRET not in f"{refusal.value} {refusal.value.hint}"


@pytest.mark.parametrize(
    ("table", "row", "field", "error", "said"),
    [
        ("client-billing-infos", 1, "billing_name", InvalidError, "payment_method"),
        ("programs", 1, "name", InvalidError, "vault fields"),
        ("encryption_key", 1, "wrapped_key", InvalidError, "vault fields"),
        ("integration-credentials", 1, "value", InvalidError, "vault set"),
        ("moons", 1, "x", NotFoundError, "schema tables"),
        ("client-billing-infos", 99, "payment_method", NotFoundError, "list"),
    ],
)
def test_what_is_no_sealed_field_is_refused(
    edge: Database, table: str, row: int, field: str, error: type[Exception], said: str
) -> None:
    vault.init()
    for attempt in (
        lambda: vault.set_field(table, row, field, SECRET),
        lambda: vault.open_field(table, row, field),
    ):
        with pytest.raises(error) as refusal:
            attempt()
        assert said in str(getattr(refusal.value, "hint", ""))
        assert SECRET not in str(refusal.value)


def test_only_what_is_hashed_can_be_searched(edge: Database) -> None:
    vault.init()
    assert vault.find_by_license_key(SECRET) == [], "before any was stored"
    with pytest.raises(InvalidError, match="not found by payment_method") as refusal:
        vault.find_field("payment_method", SECRET)
    assert SECRET not in str(refusal.value)


# --- rotation


@pytest.mark.ledger("S1-49", "S3-91", "S4-92")
def test_rotation_covers_every_ciphertext_and_the_old_key_is_needed_no_more(
    filled: dict[tuple[str, str], int], shell: sqlite3.Connection, edge: Database
) -> None:
    before, old = opened(filled), ciphertexts()
    done = vault.rotate()
    assert sum(done.values.values()) == len(filled) + 2
    assert (done.unreadable, done.lost_keys, done.is_new_key) == ((), (), True)
    assert not set(old) & set(ciphertexts())
    for table in fields.tables(db.connection()):
        used = {row.encryption_key_id for row in fields.sealed_rows(db.connection(), table)}
        assert used == {done.key}, table.name
    live = bytes_beside(edge.path)
    assert not [value for value in old if value in live], "the old ciphertext is gone from the file"
    shell.execute(
        "UPDATE encryption_key SET wrapped_key_ciphertext = randomblob(80), master_fingerprint = 'kaaaaaaaa'"
        " WHERE purpose IN ('data', 'lookup') AND retired_at IS NOT NULL"
    )
    assert opened(filled) == before
    assert integrations.get_credential("cars", "api_key") == SECRET
    assert vault.find_by_license_key(f"{SECRET} module_license")
    assert db.query("SELECT count(*) AS n FROM integration_credential WHERE last_rotated_at IS NULL") == [
        {"n": 0}
    ]


@pytest.mark.ledger("S1-49", "S4-92")
def test_one_secret_or_those_of_an_integration_are_rotated_alone(edge: Database) -> None:
    vault.init()
    credential("one", "first")
    credential("two", "second")
    first = generation_of("one")
    done = integrations.rotate_credentials("cars", "one")
    assert done.values == {"integration_credential.value_ciphertext": 1}
    assert (generation_of("one"), generation_of("two")) == (done.key, first)
    again = integrations.rotate_credentials("cars")
    assert again.key == generation_of("one") == generation_of("two") > done.key
    assert [integrations.get_credential("cars", key) for key in ("one", "two")] == ["first", "second"]
    with pytest.raises(NotFoundError, match="no secret three\\."):
        integrations.rotate_credentials("cars", "three")
    integrations.unset_credential("cars", "one")
    integrations.unset_credential("cars", "two")
    with pytest.raises(NotFoundError, match=r"^cars has no secrets\.$") as caught:
        integrations.rotate_credentials("cars")
    assert caught.value.hint == "Store one: edgekit vault set cars KEY"
    with pytest.raises(NotFoundError, match=r"^cars has no secrets in staging\.$"):
        integrations.rotate_credentials("cars", environment="staging")


def test_a_secret_has_a_name_and_is_rotated_by_it_and_its_integration(edge: Database) -> None:
    vault.init()
    for key in ("", "  ", "a\0b", "a\nb"):
        with pytest.raises(InvalidError, match="name of a secret"):
            credential(key)
    with pytest.raises(InvalidError, match="of which integration"):
        integrations.rotate_credentials(key="api_key")


@pytest.mark.ledger("S4-92")
def test_rotation_by_age_takes_what_is_old(edge: Database, shell: sqlite3.Connection) -> None:
    vault.init()
    credential("old", "first")
    credential("young", "second")
    shell.execute(
        "UPDATE integration_credential SET last_rotated_at = '2026-01-01T00:00:00.000Z'"
        " WHERE credential_key = 'old'"
    )
    at = clock.from_text("2026-04-02T00:00:00.000Z")
    assert vault.rotate(older_than=timedelta(days=92), now=at).values == {}
    assert generation_of("old") == generation_of("young")
    done = vault.rotate(older_than=timedelta(days=90), now=at)
    assert done.values == {"integration_credential.value_ciphertext": 1}
    assert generation_of("old") == done.key != generation_of("young")
    assert integrations.get_credential("cars", "old") == "first"


def test_what_cannot_be_read_stays_and_stops_nothing(
    filled: dict[tuple[str, str], int], shell: sqlite3.Connection
) -> None:
    shell.execute("UPDATE sync_peer SET secret_ciphertext = ?", (b"\x01" + bytes(60),))
    done = vault.rotate()
    assert [place.split("/")[0] for place in done.unreadable] == ["sync_peer"]
    assert sum(done.values.values()) == len(filled) + 1
    (found,) = [one for one in vault.doctor() if one.severity == "error"]
    assert "sync_peer/" in found.what


def test_another_process_that_rotated_is_noticed(filled: dict[tuple[str, str], int]) -> None:
    credential()
    held = keys.held()
    vault.rotate()
    keys.opened[db.current()] = held  # as another process still would
    assert integrations.get_credential("cars", "api_key") == SECRET
    keys.opened[db.current()] = held
    credential(value="newer")
    assert generation_of() == keys.data()[0].id


# --- the master key


@pytest.mark.ledger("S1-48", "S1-49")
def test_a_new_master_key_seals_everything_and_old_backups_still_open(
    filled: dict[tuple[str, str], int], edge: Database, tmp_path: Path
) -> None:
    before = opened(filled)
    made = backup(edge.path, tmp_path / "old.zip")
    old = {one.id: one for one in keys.read(db.connection())}
    done = vault.rotate_master()
    folder = tmp_path / "home" / "keys"
    assert {path.name for path in folder.iterdir()} == {
        f"{edge.site}.key", f"{edge.site}.{done.master_fingerprint}.key"
    }  # fmt: skip
    everything = keys.read(db.connection())
    assert {one.master_fingerprint for one in everything} == {done.master_fingerprint}
    assert "signing" in {one.purpose for one in everything}
    live = bytes_beside(edge.path)
    assert not [one for one in old.values() if one.wrapped in live]
    assert opened(filled) == before
    assert vault.status().problem is None
    edge.close()
    restored = _restore(made.path, tmp_path)
    with restored:
        assert opened(filled) == before, "the key it expects is still there, by its name"


def _restore(archive: Path, tmp_path: Path) -> Database:
    return open_file(restore(archive, tmp_path / "restored.db").path)


@pytest.mark.ledger("S1-49")
def test_a_passphrase_takes_the_place_of_a_key(
    edge: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.init()
    credential()
    new = tmp_path / "safe" / "master.txt"
    new.parent.mkdir()
    new.write_text(f"passphrase:{WORDS}\n")
    new.chmod(0o600)
    done = vault.rotate_master(new_key_file=new)
    assert str(new) in done.location
    with pytest.raises(VaultLockedError, match="expects the passphrase"):
        integrations.get_credential("cars", "api_key")
    monkeypatch.setenv("EDGEKIT_MASTER_KEY", f"passphrase:{WORDS}")
    assert integrations.get_credential("cars", "api_key") == SECRET
    vault.rotate()
    assert integrations.get_credential("cars", "api_key") == SECRET


def test_where_a_variable_gives_the_key_the_new_one_must_be_named(
    edge: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEKIT_MASTER_KEY", crypto.key_to_text(bytes(range(32))))
    vault.init()
    credential()
    with pytest.raises(InvalidError) as refusal:
        vault.rotate_master()
    assert "--new-key FILE" in str(refusal.value.hint)
    with pytest.raises(InvalidError, match="beside the database"):
        vault.rotate_master(new_key_file=edge.path.parent / "new.key")
    same = tmp_path / "safe" / "same.key"
    same.parent.mkdir()
    same.write_text(crypto.key_to_text(bytes(range(32))))
    with pytest.raises(ConflictError, match="is the master key in use"):
        vault.rotate_master(new_key_file=same)
    new = tmp_path / "safe" / "new.key"
    vault.rotate_master(new_key_file=new)
    if os.name == "posix":
        assert new.stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("EDGEKIT_MASTER_KEY", new.read_text())
    assert integrations.get_credential("cars", "api_key") == SECRET


def test_a_fault_while_the_master_key_is_replaced_changes_nothing(
    filled: dict[tuple[str, str], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = db.query("SELECT * FROM encryption_key"), ciphertexts()

    def fail(*_: object) -> None:
        raise CorruptError("does not read back")

    monkeypatch.setattr("edgekit.vault.rotation._prove", fail)
    with pytest.raises(CorruptError):
        vault.rotate_master()
    assert (db.query("SELECT * FROM encryption_key"), ciphertexts()) == before
    assert opened(filled)


@pytest.mark.parametrize("second", ["rotate", "rotate_master"])
def test_of_two_that_replace_the_master_key_at_once_the_second_changes_nothing(
    filled: dict[tuple[str, str], int], monkeypatch: pytest.MonkeyPatch, second: str
) -> None:
    find = keys.require_master

    def overtaken(generations: Any) -> master.Master:
        found = find(generations)  # the other one begins and ends right here
        monkeypatch.setattr(keys, "require_master", find)
        vault.rotate_master()
        return found

    monkeypatch.setattr(keys, "require_master", overtaken)
    with pytest.raises(ConflictError, match="replaced the keys meanwhile"):
        getattr(vault, second)()
    assert set(opened(filled).values()) == {f"{SECRET} {table}" for table, _ in filled}
    assert integrations.get_credential("cars", "api_key") == SECRET
    getattr(vault, second)()
    assert integrations.get_credential("cars", "api_key") == SECRET


# --- dates


@pytest.mark.ledger("S1-46", "S1-50")
def test_what_expires_is_reported_and_refused(edge: Database) -> None:
    vault.init()
    at = clock.from_text("2026-03-01T00:00:00.000Z")
    credential("soon", expires_at="2026-03-20", now=at)
    credential("later", expires_at="2027-03-20", now=at)
    credential("never")
    soon = integrations.list_credentials(expiring=timedelta(days=30), now=at)
    assert [(row["key"], row["is_expired"]) for row in soon] == [("soon", False)]
    after = clock.from_text("2026-03-21T00:00:00.000Z")
    assert [row["is_expired"] for row in integrations.list_credentials("cars", now=after)] == [
        False, False, True,
    ]  # fmt: skip
    assert any("expire within 30 days: 1" in one.what for one in vault.doctor(now=at))
    assert any("have expired: 1" in one.what for one in vault.doctor(now=after))
    with pytest.raises(InvalidError, match="is past"):
        credential("gone", expires_at="2026-02-01", now=at)
    with pytest.raises(InvalidError, match="no time"):
        credential("gone", expires_at="tomorrow", now=at)
    plan = db.query("EXPLAIN QUERY PLAN SELECT 1 FROM integration_credential WHERE expires_at <= '2026'")
    assert "integration_credential_expires" in str(plan)


@pytest.mark.ledger("S1-44")
def test_each_environment_has_a_secret_of_its_own(edge: Database) -> None:
    vault.init()
    credential(value="trying")
    for code in ("staging", "production"):
        credential(value=code, environment=code)
    assert integrations.get_credential("cars", "api_key") == "trying", "the file is used in development"
    assert integrations.get_credential("cars", "api_key", environment="STAGING") == "staging"
    with pytest.raises(NotFoundError, match="no environment moon"):
        credential(environment="moon")
    integrations.unset_credential("cars", "api_key", environment="staging")
    with pytest.raises(NotFoundError):
        integrations.get_credential("cars", "api_key", environment="staging")
    assert [row["environment"] for row in integrations.list_credentials()] == ["DEVELOPMENT", "PRODUCTION"]
    with pytest.raises(NotFoundError):
        integrations.unset_credential("cars", "api_key", environment="staging")


def test_what_is_unset_is_gone_for_good(edge: Database, shell: sqlite3.Connection) -> None:
    vault.init()
    credential()
    (old,) = ciphertexts()
    integrations.unset_credential("cars", "api_key")
    shell.execute("UPDATE integration_credential SET status_id = 1")
    assert integrations.get_credential("cars", "api_key") == ""
    assert old not in ciphertexts()


# --- who may


def test_one_of_several_organizations_uses_the_vault_and_has_not_its_keys(
    filled: dict[tuple[str, str], int], edge: Database, shell: sqlite3.Connection, tmp_path: Path
) -> None:
    shell.executescript(
        "INSERT INTO organization(id, code, name) VALUES (70, 'other', 'Other');"
        "INSERT INTO user(id, username, role_id, organization_id) SELECT 70, 'olga', id, 70 FROM role"
        " WHERE code = 'ADMIN';"
        "INSERT INTO user(id, username, role_id, organization_id) SELECT 71, 'otto', id, 70 FROM role"
        " WHERE code = 'USER';"
    )
    shell.execute(
        "INSERT INTO integration(integration_name, integration_type_id, organization_id, connection_config)"
        " SELECT 'theirs', min(id), 70, '{}' FROM integration_type"
    )
    edge.close()
    with open_file(edge.path, actor="olga"):
        for attempt in (
            vault.rotate,
            vault.rotate_master,
            lambda: vault.make_kit(tmp_path / "away" / "kit", WORDS),
            lambda: vault.recover(tmp_path / "kit", WORDS),
            lambda: drill(tmp_path / "kit", WORDS),
        ):
            with pytest.raises(DeniedError):
                attempt()
        for (table, column), row in filled.items():
            if table == "feature_license":
                continue  # it names no organization, so it is everybody's
            with pytest.raises((NotFoundError, DeniedError)):
                vault.open_field(table, row, column)
        with pytest.raises(NotFoundError):
            integrations.get_credential("cars", "api_key")
        assert integrations.list_credentials() == []
    with open_file(edge.path, actor="otto"):
        integrations.set_credential("theirs", "api_key", SECRET)
        with pytest.raises(DeniedError, match="revealing a secret"):
            integrations.get_credential("theirs", "api_key")
        assert integrations.get_credential("theirs", "api_key", purpose="run theirs") == SECRET
    with open_file(edge.path, actor="olga"):
        assert integrations.get_credential("theirs", "api_key") == SECRET
