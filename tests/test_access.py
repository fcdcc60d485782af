"""Roles as people meet them: passwords, the file as a whole, and what each may do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import edgekit
from edgekit import access, crypto, integrations, runner, vault
from edgekit.errors import DeniedError, InvalidError, NotFoundError, RateLimitedError

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database

CHEAP = crypto.PasswordCost(memory=64, passes=1)
GOOD = "correct horse battery"


@pytest.fixture
def maria(edge: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setattr(crypto, "PASSWORD_COST", CHEAP)
    access._failures.clear()
    with edge.change():
        edge.connection().execute("INSERT INTO user(username) VALUES ('maria'), ('john'), ('longusername')")
    access.set_password("maria", GOOD)
    return edge


def stored(edge: Database) -> str:
    return str(edge.query("SELECT password_hash FROM user WHERE username = 'maria'")[0]["password_hash"])


def test_a_password_is_kept_as_a_memory_hard_hash(maria: Database) -> None:
    assert stored(maria).startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert crypto.PasswordCost().memory * 1024 >= 19 * 2**20
    logged = maria.query("SELECT changes FROM audit_log WHERE changes LIKE '%password_hash%'")
    assert logged
    assert not any("argon2" in row["changes"] for row in logged)


def test_the_right_password_lets_in_and_is_noted(maria: Database) -> None:
    from datetime import UTC, datetime

    assert access.verify_password("MARIA", GOOD, now=datetime(2026, 1, 31, tzinfo=UTC))
    assert not access.verify_password("maria", GOOD + " ")
    row = maria.query("SELECT last_login_at FROM user WHERE username = 'maria'")[0]
    assert row == {"last_login_at": "2026-01-31T00:00:00.000Z"}


def test_an_unknown_user_costs_as_much_as_a_known_one(
    maria: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = []
    real = crypto.check_password
    monkeypatch.setattr(crypto, "check_password", lambda p, s: checked.append(s) or real(p, s))
    with maria.change():
        maria.connection().execute("UPDATE user SET status_id = 2 WHERE username = 'maria'")
    for name in ("nobody", "john", "maria"):  # unknown, without a password, retired
        assert not access.verify_password(name, GOOD)
    assert len(checked) == 3
    assert not any(crypto.is_weak(text) for text in checked)


def test_a_weaker_hash_is_made_anew(maria: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crypto, "PASSWORD_COST", crypto.PasswordCost(memory=128, passes=1))
    assert access.verify_password("maria", GOOD)
    assert "m=128" in stored(maria)


def test_guessing_is_slowed_down(maria: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(access, "monotonic", lambda: now)
    for _ in range(access.MOST_FAILURES):
        assert not access.verify_password("maria", "wrong password")
    with pytest.raises(RateLimitedError):
        access.verify_password("maria", GOOD)
    now += access.PAUSE
    assert access.verify_password("maria", GOOD)


@pytest.mark.parametrize(("name", "password", "error"), [
    ("maria", "short", InvalidError), ("longusername", "LongUsername", InvalidError),
    ("nobody", GOOD, NotFoundError), ("nobody", "short", NotFoundError),
])  # fmt: skip
def test_a_bad_password_is_not_stored(maria: Database, name: str, password: str, error: type) -> None:
    before = stored(maria)
    with pytest.raises(error):
        access.set_password(name, password)
    assert stored(maria) == before


def test_scrypt_stands_in_where_there_is_no_argon2(monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptography.exceptions import UnsupportedAlgorithm

    def missing(*_: object) -> bytes:
        raise UnsupportedAlgorithm("no Argon2 here")

    monkeypatch.setattr(crypto, "_argon2", missing)
    monkeypatch.setattr(crypto, "SCRYPT_N", 2**10)
    text = crypto.hash_password(GOOD)
    assert text.startswith("$scrypt$ln=10,")
    assert crypto.check_password(GOOD, text)
    assert not crypto.check_password("another password", text)
    assert crypto.is_weak(text)


def test_users_set_their_own_password_and_nobody_elses(edge_file: Path, maria: Database) -> None:
    maria.close()
    with edgekit.open(edge_file, actor="john"):
        access.set_password("john", GOOD)
        with pytest.raises(DeniedError, match="not changed, by john"):
            access.set_password("maria", GOOD)
        with pytest.raises(DeniedError, match="role USER"):
            access.require("administer", "anything")
        access.require_file("read", "checking the file")


@pytest.mark.ledger("S2-12", "S2-13")
def test_an_integration_is_used_only_where_all_holds(edge_file: Path, edge: Database, tmp_path: Path) -> None:
    with edge.change():
        run = edge.connection().execute
        run("INSERT INTO organization(id, code, name) VALUES (2, 'B', 'Bee')")
        for name, organization, role in (("bob", 2, 2), ("vic", 2, 3), ("uma", 1, 2)):
            run(
                "INSERT INTO user(username, organization_id, role_id) VALUES (?, ?, ?)",
                (name, organization, role),
            )
    edge.close()
    with edgekit.open(edge_file, actor="bob"), pytest.raises(DeniedError, match="aking the keys"):
        vault.init()
    assert not (tmp_path / "home").exists(), "no master key that nobody uses"
    with edgekit.open(edge_file, actor="system"):
        vault.init()
    (tmp_path / "cars.csv").write_text("vin,model_year\n1FTMW1T88MFA00001,2021\n", encoding="utf-8")
    settings = {"path": str(tmp_path / "cars.csv"), "table": "vehicle", "key": "vin"}
    with edgekit.open(edge_file, actor="bob") as db:
        integrations.create("cars", template="csv-import", settings=settings)
        integrations.set_credential("cars", "api_key", "the key of B")
        with pytest.raises(DeniedError, match="revealing"):
            integrations.get_credential("cars", "api_key")
        assert integrations.usable("cars").usable
        result = runner.run("cars")
        assert (result.status, result.records_written) == ("completed", 1)
        assert db.query("SELECT organization_id FROM vehicle") == [{"organization_id": 2}]
        assert integrations.list_integrations()[0]["health_status"] == "healthy"
        integrations.disable("cars")
        found = integrations.usable("cars")
        assert (found.usable, "It is disabled." in found.reasons) == (False, True)
        with pytest.raises(DeniedError, match="disabled"):
            runner.run("cars")
        assert integrations.enable("cars")["name"] == "cars"
    with edgekit.open(edge_file, actor="vic"):
        assert not integrations.usable("cars").usable
        with pytest.raises(DeniedError, match="VIEWER"):
            runner.run("cars")
    with edgekit.open(edge_file, actor="uma"), pytest.raises(NotFoundError):
        integrations.usable("cars")
    with edgekit.open(edge_file, actor="system") as db:
        with db.change():
            db.connection().execute("UPDATE integration_type SET status_id = 2")
        with pytest.raises(DeniedError, match="inactive"):
            runner.run("cars")
