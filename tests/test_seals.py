"""What is sealed cannot be altered unseen: the log, its seals, the rows, and its end where one is kept."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgekit
from edgekit import audit, crypto, db, sqlite, vault
from edgekit.audit import encoding
from edgekit.errors import BusyError, InvalidError
from edgekit.file import opening, sealing
from edgekit.file.backup import backup, read_manifest
from edgekit.file.verify import examine, examine_log, verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgekit.db import Database


@contextlib.contextmanager
def without_triggers(path: Path, *tables: str) -> Iterator[sqlite3.Connection]:
    """Write as somebody would who drops the triggers first and puts them back afterwards."""
    connection = sqlite3.connect(path, isolation_level=None)
    made = connection.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
        " AND tbl_name <> 'audit_direct'"
        " AND (tbl_name LIKE 'audit%' OR tbl_name IN (SELECT value FROM json_each(?)))",
        (json.dumps(tables),),
    ).fetchall()
    for name, _ in made:
        connection.execute(f'DROP TRIGGER "{name}"')
    yield connection
    for _, sql in made:
        connection.execute(sql)
    connection.close()


def add_vehicles(path: Path, count: int, make: str = "Ford") -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO vehicle(make) VALUES (?)", [(f"{make} {i}",) for i in range(count)])
    connection.execute("COMMIT")
    connection.close()


def last_seq(path: Path) -> int:
    connection = sqlite3.connect(path)
    (found,) = connection.execute("SELECT max(seq) FROM audit_log").fetchone()
    connection.close()
    return int(found)


@pytest.fixture
def sealed_file(edge_file: Path) -> Path:
    """A file with three vehicles, one of them edited, all of it sealed, unsigned."""
    add_vehicles(edge_file, 3)
    connection = sqlite3.connect(edge_file, isolation_level=None)
    connection.execute("UPDATE vehicle SET make = 'Opel' WHERE id = 2")
    connection.close()
    sealing.seal(edge_file)
    return edge_file


# Sealing


def test_a_seal_covers_a_thousand_entries_at_most(edge_file: Path) -> None:
    add_vehicles(edge_file, 2500)
    done = sealing.seal(edge_file)
    entries = last_seq(edge_file)
    assert (done.seals, done.entries, done.findings, done.signed) == (-(-entries // 1000), entries, 0, False)
    again = sealing.seal(edge_file)
    assert (again.seals, again.head) == (0, done.head)
    assert verify(edge_file) == []


def test_the_log_is_sealed_when_the_file_is_left_and_enough_waits(edge_file: Path) -> None:
    with edgekit.open(edge_file) as edge, edge.change():
        edge.connection().execute("INSERT INTO vehicle(make) VALUES ('few')")
    with contextlib.closing(sqlite.connect(edge_file)) as connection:
        assert audit.head(connection) is None
        with edgekit.open(edge_file) as edge, edge.change():
            edge.connection().executemany("INSERT INTO vehicle(make) VALUES (?)", [("x",)] * opening.DUE)
        assert audit.unsealed(connection) == 0


def test_a_file_that_stays_open_is_sealed_now_and_then(
    edge_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with edgekit.open(edge_file) as edge:
        with edge.change():
            edge.connection().executemany("INSERT INTO vehicle(make) VALUES (?)", [("x",)] * opening.DUE)
        assert audit.head(edge.connection()) is None
        monkeypatch.setattr(db, "_KEEP_SECONDS", -1.0)
        with edge.change():
            edge.connection().execute("INSERT INTO vehicle(make) VALUES ('y')")
        assert audit.unsealed(edge.connection()) == 0


def test_nobody_waits_for_a_seal_that_another_writer_holds_up(
    edge_file: Path, shell: sqlite3.Connection
) -> None:
    with edgekit.open(edge_file) as edge:
        with edge.change():
            edge.connection().executemany("INSERT INTO vehicle(make) VALUES (?)", [("x",)] * opening.DUE)
        shell.execute("BEGIN IMMEDIATE")
    assert shell.execute("SELECT count(*) FROM audit_seal").fetchone() == (0,)
    shell.execute("ROLLBACK")


def test_sealing_needs_the_file_to_itself_for_a_moment(
    edge_file: Path, shell: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0)
    shell.execute("BEGIN IMMEDIATE")
    with pytest.raises(BusyError):
        sealing.seal(edge_file)
    shell.execute("ROLLBACK")
    shell.execute("BEGIN")
    with pytest.raises(InvalidError, match="between changes"):
        audit.seal(shell)


def test_seals_and_a_writer_take_turns(edge_file: Path) -> None:
    done = threading.Event()

    def write() -> None:
        connection = sqlite3.connect(edge_file, isolation_level=None, timeout=10)
        for i in range(150):
            connection.execute("INSERT INTO vehicle(make) VALUES (?)", (str(i),))
            connection.execute("UPDATE vehicle SET make = make || '.' WHERE id = ?", (i // 2 + 1,))
        connection.close()
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not done.is_set():
        sealing.seal(edge_file)
    thread.join()
    assert sealing.seal(edge_file).findings == 0
    assert verify(edge_file) == []


# Signing


def test_seals_are_signed_with_the_key_of_the_vault(edge: Database) -> None:
    vault.init()
    done = sealing.seal(edge.path)
    assert done.signed
    assert done.head is not None
    (key,) = edge.query("SELECT name, public_key FROM audit_key")
    assert done.head.key == key["name"] == crypto.public_name(key["public_key"])
    assert examine(edge.path).findings == []
    assert not any("unsigned" in fact for fact in examine(edge.path).facts)


def test_a_locked_vault_leaves_seals_unsigned_and_verify_says_so(
    edge: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.init()
    assert sealing.seal(edge.path).signed
    with edge.change():
        edge.connection().execute("INSERT INTO vehicle(make) VALUES ('x')")
    monkeypatch.setenv("EDGEKIT_MASTER_KEY", crypto.key_to_text(crypto.random_key()))
    assert not sealing.seal(edge.path).signed
    report = examine(edge.path)
    assert report.findings == []
    assert "1 of 2 seals are unsigned: the vault had no key for them, or was locked." in report.facts


def test_an_older_vault_gets_its_signing_key_from_init(edge: Database, shell: sqlite3.Connection) -> None:
    vault.init()
    with without_triggers(edge.path, "encryption_key") as forced:
        forced.execute("DELETE FROM encryption_key WHERE purpose = 'signing'")
    assert not sealing.seal(edge.path).signed
    vault.init()
    with edge.change():
        edge.connection().execute("INSERT INTO vehicle(make) VALUES ('x')")
    assert sealing.seal(edge.path).signed


# What is found


def test_an_altered_entry_is_named(sealed_file: Path) -> None:
    last = last_seq(sealed_file)
    with without_triggers(sealed_file) as forced:
        forced.execute(
            "UPDATE audit_log SET changes = replace(changes, 'Opel', 'Audi') WHERE seq = ?", (last,)
        )
    assert f"Entry {last} of the log is not what was sealed (seal 1)." in verify(sealed_file)


def test_an_entry_altered_by_writing_the_schema_is_named(sealed_file: Path) -> None:
    connection = sqlite3.connect(sealed_file, isolation_level=None)
    connection.execute("PRAGMA writable_schema = 1")
    kept = "SELECT rowid, sql FROM sqlite_schema WHERE name = 'audit_log_kept_bu'"
    (row, sql) = connection.execute(kept).fetchone()
    blind = sql.replace("BEFORE UPDATE ON audit_log", "BEFORE UPDATE ON audit_log WHEN 0")
    connection.execute("UPDATE sqlite_schema SET sql = ? WHERE rowid = ?", (blind, row))
    connection.close()
    connection = sqlite3.connect(sealed_file, isolation_level=None)
    connection.execute("UPDATE audit_log SET record_key = 3 WHERE seq = 5")
    connection.execute("PRAGMA writable_schema = 1")
    connection.execute("UPDATE sqlite_schema SET sql = ? WHERE rowid = ?", (sql, row))
    connection.close()
    assert "Entry 5 of the log is not what was sealed (seal 1)." in verify(sealed_file)


def test_two_entries_that_changed_places_are_named(sealed_file: Path) -> None:
    with without_triggers(sealed_file) as forced:
        for old, new in ((7, 0), (8, 7), (0, 8)):
            forced.execute("PRAGMA ignore_check_constraints = 1")
            forced.execute("UPDATE audit_log SET seq = ? WHERE seq = ?", (new, old))
    assert "Entry 7 of the log is not what was sealed (seal 1)." in verify(sealed_file)


def test_a_missing_entry_and_a_cut_off_end_are_named(sealed_file: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.db"
    shutil.copyfile(sealed_file, cut)
    with without_triggers(sealed_file) as forced:
        forced.execute("DELETE FROM audit_log WHERE seq = 5")
    assert "Entry 5 of the log is missing, which seal 1 covers." in verify(sealed_file)
    last = last_seq(cut)
    with without_triggers(cut) as forced:
        forced.execute("DELETE FROM audit_log WHERE seq = ?", (last,))
    sentence = f"The log ends at entry {last - 1}, but entries up to {last} were sealed: its end was cut off."
    found = verify(cut)
    assert sentence in found or f"Entry {last} of the log is missing, which seal 1 covers." in found


def test_another_name_for_who_did_it_is_found(sealed_file: Path) -> None:
    with without_triggers(sealed_file) as forced:
        forced.execute("UPDATE audit_transaction SET actor = 'maria' WHERE id = 1")
    assert "they belong to, are not what was sealed" in "\n".join(verify(sealed_file))


def test_a_false_seal_and_a_stripped_signature_are_named(edge: Database) -> None:
    vault.init()
    sealing.seal(edge.path)
    with edge.change():
        edge.connection().execute("INSERT INTO vehicle(make) VALUES ('x')")
    sealing.seal(edge.path)
    with without_triggers(edge.path) as forced:
        forced.execute("UPDATE audit_seal SET signature = zeroblob(64) WHERE id = 2")
    (sentence,) = verify(edge.path)
    assert sentence.startswith("Seal 2 has a signature that is not by key s")
    with without_triggers(edge.path) as forced:
        forced.execute("UPDATE audit_seal SET signature = NULL, key_id = NULL WHERE id = 2")
    assert "Seal 2 is not what was sealed: it was altered." in verify(edge.path)


def test_a_false_public_key_is_named(edge: Database) -> None:
    vault.init()
    sealing.seal(edge.path)
    other = crypto.SigningKey(crypto.random_key())
    with without_triggers(edge.path) as forced:
        forced.execute("UPDATE audit_key SET public_key = ?", (other.public,))
    assert "is not the key of that name." in "\n".join(verify(edge.path))


def test_a_seal_copied_from_another_file_is_found(sealed_file: Path, tmp_path: Path) -> None:
    other = edgekit.create(tmp_path / "other.db")
    add_vehicles(other, 3)
    sealing.seal(other)
    with without_triggers(sealed_file) as forced:
        forced.execute("DELETE FROM audit_seal")
        forced.execute("ATTACH ? AS other", (str(other),))
        forced.execute("INSERT INTO audit_seal SELECT * FROM other.audit_seal")
        forced.execute("DETACH other")
    found = "\n".join(verify(sealed_file))
    assert "Seal 1 belongs to another file" in found
    assert "not what was sealed" in found


def test_a_seal_taken_out_of_the_chain_is_named(edge_file: Path) -> None:
    for _ in range(3):
        add_vehicles(edge_file, 1)
        sealing.seal(edge_file)
    with without_triggers(edge_file) as forced:
        forced.execute("DELETE FROM audit_seal WHERE id = 2")
    assert "Seal 2 is missing." in verify(edge_file)


def test_a_value_changed_while_the_triggers_were_away_is_named(sealed_file: Path) -> None:
    with without_triggers(sealed_file, "vehicle") as forced:
        forced.execute("UPDATE vehicle SET make = 'Skoda' WHERE id = 3")
    sentence = "vehicle row 3 was changed past the log: no entry explains its values."
    assert verify(sealed_file) == [sentence]
    assert examine_log(sealed_file).findings == [sentence]
    assert examine(sealed_file, quick=True).findings == []


def test_a_secret_changed_while_the_triggers_were_away_is_named(edge: Database) -> None:
    vault.init()
    sealing.seal(edge.path)
    with without_triggers(edge.path, "encryption_key") as forced:
        forced.execute(
            "UPDATE encryption_key SET wrapped_key_ciphertext = zeroblob(65) WHERE purpose = 'data'"
        )
    assert verify(edge.path) == [
        "encryption_key row 1 was changed past the log: no entry explains its values."
    ]


def test_a_later_edit_or_seal_does_not_cover_it_up(sealed_file: Path) -> None:
    with without_triggers(sealed_file, "vehicle") as forced:
        forced.execute("UPDATE vehicle SET make = 'Skoda' WHERE id IN (1, 2)")
    connection = sqlite3.connect(sealed_file, isolation_level=None)
    connection.execute("UPDATE vehicle SET vin = 'WVWZZZ1JZXW000001' WHERE id = 1")
    connection.execute("DELETE FROM vehicle WHERE id = 2")
    connection.close()
    assert "vehicle row 1 was changed past the log: no entry explains its values." in verify(sealed_file)
    assert sealing.seal(sealed_file).findings == 2
    assert verify(sealed_file) == [
        f"vehicle row {number} was changed past the log before seal 2." for number in (1, 2)
    ]


def test_what_was_found_is_accepted_for_a_reason(sealed_file: Path) -> None:
    with without_triggers(sealed_file, "vehicle") as forced:
        forced.execute("UPDATE vehicle SET make = 'Skoda' WHERE id IN (1, 2)")
    connection = sqlite3.connect(sealed_file, isolation_level=None)
    connection.execute("UPDATE vehicle SET model_name = 'Fabia' WHERE id = 1")
    connection.close()
    sealing.seal(sealed_file)
    assert len(verify(sealed_file)) == 2
    with pytest.raises(InvalidError, match="for a reason"):
        sealing.accept(sealed_file, " ")
    made = sealing.accept(sealed_file, "repaired by hand")
    assert made.kind == "rows"
    assert verify(sealed_file) == []
    with contextlib.closing(sqlite.connect(sealed_file)) as connection:
        who = connection.execute("SELECT reason FROM audit_transaction WHERE id = ?", (made.txn_id,))
        assert who.fetchone() == ("audit accept: repaired by hand",)
    add_vehicles(sealed_file, 1)
    sealing.seal(sealed_file)
    assert verify(sealed_file) == []


@pytest.mark.parametrize(
    "statement", ["ALTER TABLE thing ADD COLUMN d TEXT DEFAULT 'x'", "ALTER TABLE thing DROP COLUMN c"]
)
def test_a_table_with_other_columns_is_sealed_anew(
    edge: Database, shell: sqlite3.Connection, statement: str
) -> None:
    from edgekit.integrations import own_tables as tables

    tables.create("thing", {"b": "TEXT", "c": "INTEGER"}, key=["b"])
    shell.execute("INSERT INTO thing(b, c) VALUES ('x', 1), ('y', 2)")
    sealing.seal(edge.path)
    for (name,) in shell.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'thing'"
    ).fetchall():
        shell.execute(f"DROP TRIGGER {name}")
    shell.execute(statement)
    shell.execute("UPDATE thing SET b = 'z' WHERE id = 2")
    found = [f for f in audit.check(shell).findings if not f.startswith("thing lacks columns")]
    sealing.renew(edge.path)
    after = audit.check(shell).findings
    if "ADD" in statement:
        assert found == ["thing row 2 was changed past the log: no entry explains its values."]
        assert after == ["thing row 2 was changed past the log before seal 2."]
    else:
        assert after == []
    assert sealing.seal(edge.path).findings == 0


def test_an_edit_past_the_log_before_the_first_seal_shows_where_the_log_knows_better(edge_file: Path) -> None:
    add_vehicles(edge_file, 1)
    connection = sqlite3.connect(edge_file, isolation_level=None)
    connection.execute("UPDATE vehicle SET make = 'Opel'")
    connection.close()
    with without_triggers(edge_file, "vehicle") as forced:
        forced.execute("UPDATE vehicle SET make = 'Skoda'")
    assert sealing.seal(edge_file).findings == 1


def test_altered_hashes_of_rows_are_found(sealed_file: Path) -> None:
    with without_triggers(sealed_file, "vehicle") as forced:
        forced.execute("UPDATE vehicle SET make = 'Skoda' WHERE id = 3")
        (number,) = forced.execute("SELECT id FROM audit_table WHERE name = 'vehicle'").fetchone()
        row = forced.execute("SELECT * FROM vehicle WHERE id = 3").fetchone()
        known = encoding.row_hash(number, 3, row[1:])
        mine = "UPDATE audit_row SET hash = ? WHERE table_id = ? AND record_key = 3"
        forced.execute(mine, (known, number))
    assert verify(sealed_file) == ["The hashes of the rows of vehicle were altered."]
    with without_triggers(sealed_file) as forced:
        every = forced.execute("SELECT hash FROM audit_row WHERE table_id = ?", (number,))
        total = encoding.add_up(0, [row[0] for row in every]).to_bytes(16, "big")
        forced.execute("UPDATE audit_fingerprint SET sum = ? WHERE table_id = ?", (total, number))
    assert verify(sealed_file) == ["The hashes of the rows are not what was sealed (seal 1)."]


def test_every_kind_of_value_survives_being_hashed_and_undone(
    edge: Database, shell: sqlite3.Connection
) -> None:
    from edgekit.integrations import own_tables as tables

    tables.create("thing", {"a": "REAL", "b": "TEXT", "c": "INTEGER"}, key=["b"])
    shell.execute(
        "INSERT INTO thing(a, b, c) VALUES (-0.0, 'x' || char(0) || 'y', 9223372036854775807),"
        " (9e999, CAST(x'ff41' AS TEXT), NULL), (0.1, 'ü', -1)"
    )
    sealing.seal(edge.path)
    shell.execute("UPDATE thing SET a = a * 3, b = b || CAST(x'fe' AS TEXT)")
    assert audit.check(shell).findings == []
    assert sealing.seal(edge.path).findings == 0
    shell.execute("DELETE FROM thing")
    shell.execute("INSERT INTO thing(id, a, b) VALUES (1, 1e-320, '')")
    assert sealing.seal(edge.path).findings == 0
    assert audit.check(shell).findings == []


# Anchors


def test_a_tail_cut_off_with_its_seals_shows_against_a_backup(sealed_file: Path, tmp_path: Path) -> None:
    before = tmp_path / "before.db"
    shutil.copyfile(sealed_file, before)
    add_vehicles(sealed_file, 2)
    until = last_seq(sealed_file)
    made = backup(sealed_file, tmp_path / "made.zip")  # the file notes it, behind what was sealed
    assert made.seal is not None
    assert read_manifest(made.path).seal == made.seal
    assert made.seal["last_seq"] == until < last_seq(sealed_file)
    assert examine(before).findings == []  # the file itself cannot know
    for anchor in (made.path, made.seal["sha256"]):
        (sentence,) = examine(before, anchors=[anchor]).findings
        assert "cut off" in sentence
        assert examine(sealed_file, anchors=[anchor]).findings == []
    manifest = tmp_path / "manifest.json"
    manifest.write_text(made.to_json(), encoding="utf-8")
    assert len(examine_log(before, anchors=[manifest]).findings) == 1


@pytest.mark.parametrize("anchor", ["", "abc", "z" * 64, "f" * 63])
def test_an_anchor_that_is_none_is_refused(edge_file: Path, anchor: str) -> None:
    with pytest.raises(InvalidError, match="is no seal"):
        examine(edge_file, anchors=[anchor])


def test_a_file_that_is_no_anchor_is_refused(edge_file: Path, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[1]")
    with pytest.raises(InvalidError, match="neither a backup nor a manifest"):
        examine(edge_file, anchors=[tmp_path / "x.json"])


# Guards and commands


@pytest.mark.ledger("S1-42")
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit_log WHERE seq = 1",
        "DELETE FROM audit_log",
        "UPDATE audit_log SET action = 'D'",
        "REPLACE INTO audit_log(seq, txn_id) VALUES (1, 1)",
        "DELETE FROM audit_transaction WHERE id = 1",
        "DELETE FROM audit_seal",
        "UPDATE audit_seal SET signature = NULL",
        "UPDATE OR IGNORE audit_seal SET id = id + 1",
        "REPLACE INTO audit_seal SELECT * FROM audit_seal",
        "INSERT INTO audit_seal(id, kind, site, first_seq, last_seq) VALUES (9, 'entries', '', 1, 2)",
        "REPLACE INTO audit_key SELECT * FROM audit_key",
        "UPDATE audit_key SET name = 'x'",
        "DELETE FROM audit_key",
    ],
)
def test_no_tool_alters_log_or_seals(edge: Database, shell: sqlite3.Connection, statement: str) -> None:
    vault.init()
    sealing.seal(edge.path)
    with pytest.raises(sqlite3.IntegrityError, match="append_only"):
        shell.execute(statement)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edgekit", *words],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
    )


def test_the_commands(sealed_file: Path) -> None:
    add_vehicles(sealed_file, 1)
    done = json.loads(run("--db", str(sealed_file), "audit", "seal", "--json").stdout)
    assert (done["seals"], done["signed"]) == (1, False)
    found = run("--db", str(sealed_file), "audit", "verify", "--anchor", done["head"]["sha256"])
    assert (found.returncode, found.stderr) == (0, "")
    assert "is sound." in found.stdout
    assert "All seals are unsigned" in found.stdout
    wrong = run("--db", str(sealed_file), "verify", "--anchor", "f" * 64, "--json")
    assert wrong.returncode == 8
    assert len(json.loads(wrong.stdout)["findings"]) == 1
    bad = run("--db", str(sealed_file), "audit", "verify", "--anchor", "nonsense")
    assert (bad.returncode, bad.stdout) == (4, "")
    assert bad.stderr.startswith("error: 'nonsense' is no seal.")


@given(
    st.lists(
        st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text() | st.binary()
    )
)
def test_a_row_is_written_for_its_hash_as_everything_else_is(values: list[Any]) -> None:
    exact = [value + 0.0 if isinstance(value, float) else value for value in values]
    expected = hashlib.blake2b(encoding.encode([7, 3, exact]).encode(), digest_size=16).digest()
    assert encoding.row_hash(7, 3, values) == expected
