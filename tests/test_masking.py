"""No log, error text or log view shows a secret or what tells of a person."""

from __future__ import annotations

import re
import sqlite3
import time
from typing import TYPE_CHECKING

import pytest

from edgekit import integrations, masking, models, runner, schema, vault

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database

SECRET = "hunter2-Zürich/key"


@pytest.fixture(autouse=True)
def _nothing_noted() -> None:
    masking.forget()


@pytest.mark.ledger("S4-94")
@pytest.mark.parametrize(
    ("said", "masked"),
    [
        ("GET https://u:p@host/a?token=abc&x=1 failed", "GET https://***@host/a?token=***&x=1 failed"),
        ("sent Bearer abcdef123456.x", "sent Bearer ***"),
        ("""{"api_key": "z", "client secret": "q w"}""", """{"api_key": "***", "client secret": "***"}"""),
        ("its license_number = D123-456, points: 3", "its license_number = ***, points: 3"),
        ("a.b@c.org, 123-45-6789, (206) 555-0100", "***, ***, ***"),
        ("At 2026-01-31T09:05:00Z after 3 s: a token expired",) * 2,
        ("program.code must be 'X'; see https://h/help?page=2",) * 2,
    ],
)  # fmt: skip
def test_a_text_is_masked_by_form_and_by_name(said: str, masked: str) -> None:
    assert masking.text(said) == masked
    assert masking.text(masked) == masked


@pytest.mark.ledger("S4-94")
def test_an_opened_secret_is_masked_however_it_is_written() -> None:
    masking.note(SECRET)
    for written in masking.variants(SECRET):
        assert masking.secrets(f"<{written}>") == "<***>"
    masking.note("abc")
    assert masking.text("the abc of it") == "the abc of it"


def test_many_opened_secrets_push_out_only_the_oldest() -> None:
    masking.note("first-opened-0")
    for number in range(2000):
        masking.note(f"opened-{number:04}")
        assert (
            masking.secrets(f"it was opened-{number:04}, after opened-{max(number - 20, 0):04}").count("***")
            == 2
        )
    assert "first-opened-0" in masking.secrets("it was first-opened-0")


def test_what_is_personal_stays_for_who_typed_it() -> None:
    assert masking.secrets("no user a@b.org, token=x1") == "no user a@b.org, token=***"


def test_a_document_is_masked_by_its_keys() -> None:
    found = masking.document(
        {"rows": [{"Api-Key": "x", "e_mail": None, "EMAIL": "a@b.org", "n": 5}], "phone": {}}
    )
    assert found == {"rows": [{"Api-Key": "***", "e_mail": None, "EMAIL": "***", "n": 5}], "phone": {}}


def test_the_names_of_secrets_are_those_the_file_knows() -> None:
    text = "".join(script for _, script in schema.schema_scripts())
    known = set(re.findall(r"instr\(' ([a-z ]+) ', ' ' \|\| lower\(replace", text))
    assert known
    assert {frozenset(names.split()) for names in known} == {masking.SECRET_KEYS}


def test_every_personal_column_of_the_schema_is_declared() -> None:
    text = "".join(script for _, script in schema.schema_scripts())
    columns = set(re.findall(r"^  (\w+) (?:TEXT|INTEGER)\b", text, re.MULTILINE))
    hints = re.compile(r"(e?mail|phone|birth|ssn|license_number|tax_id|address)$")
    assert {name for name in columns if hints.search(name) and not masking.is_personal(name)} == set()


@pytest.mark.ledger("S4-94")
def test_what_is_logged_is_masked_for_every_reader(edge: Database, tmp_path: Path) -> None:
    masking.note(SECRET)
    (tmp_path / "d.csv").write_text(
        "license_number,license_state,first_name,last_name,date_of_birth\nD1,CA,A,B,1980-13-45\n",
        encoding="utf-8",
    )
    settings = {"path": str(tmp_path / "d.csv"), "table": "driver", "key": "license_state,license_number"}
    integrations.create("people", template="csv-import", settings=settings)
    runner.run("people")
    told = f"it said {SECRET}; api_key=k99; mail a@b.org"
    with edge.change():
        execution = edge.query("SELECT id FROM integration_execution")[0]["id"]
        models.IntegrationLog.create(
            integration_id=1, execution_id=execution, request_type="GET", request_url="https://h/?token=t99",
            error_message=told, is_success=False, response_data={"email": "a@b.org"}, correlation_id="c",
        )  # fmt: skip
        models.IntegrationExecution.update(error_message=told).execute()
    shell = sqlite3.connect(edge.path)
    rows = [
        shell.execute(f"SELECT * FROM {name}").fetchall()
        for name in ("v_integration_log", "integration_execution")
    ]
    rows.append(shell.execute("SELECT error_message FROM dead_letter").fetchall())
    shell.close()
    assert [bool(part) for part in rows] == [True, True, True]
    for secret in (SECRET, "k99", "t99", "a@b.org", "1980-13-45"):
        assert secret not in str(rows)


@pytest.mark.usefixtures("edge")
def test_a_secret_is_hidden_from_the_moment_it_is_opened() -> None:
    vault.init()
    sealed = vault.seal(SECRET, place="here/and/now")
    assert masking.secrets(SECRET) == SECRET
    assert vault.open(sealed.ciphertext, place="here/and/now").decode() == SECRET
    assert masking.secrets(SECRET) == "***"
    vault.lock()
    assert masking.secrets(SECRET) == SECRET


@pytest.mark.parametrize("part", ["x", "?", "a.", "a-", "_", "a@", "a_", "://", "&a_"])
def test_a_long_text_is_looked_through_once(part: str) -> None:
    long = "a@" + part * 20_000
    started = time.process_time()
    masking.text(long)
    assert not masking.holds_secret(long)
    assert time.process_time() - started < 1


def test_a_name_of_any_length_hides_nothing() -> None:
    assert (
        masking.secrets(f"https://h/?{'x' * 200}_token=abcdef&a=1") == f"https://h/?{'x' * 200}_token=***&a=1"
    )
    assert "hunter2" not in masking.secrets(f"{'x' * 200}://maria:hunter2@host/")
    assert "@" not in masking.text(f"from {'x' * 200}@example.com")
