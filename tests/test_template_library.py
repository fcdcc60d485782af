"""The templates that are shipped: each against its own tests, and each run against something real."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import http_provider
import mail_server
import pytest

from edgekit import db, integrations, models, runner, vault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from edgekit.db import Database
    from edgekit.runner import RunResult

SHIPPED = {
    "csv-import", "dcs-criminal-check", "dcs-driver-verification", "dcs-vehicle-services", "file-export",
    "fixed-width-import", "github-issues", "mail-account", "ndjson-import", "postgres-read",
    "postgres-write", "rest-sink", "rest-source", "sftp-drop", "singer-tap", "smtp-mail", "stripe-invoices",
    "vpic-vin-decode", "webhook-endpoint", "webhook-inbox", "webhook-out", "xlsx-import", "xml-import",
}  # fmt: skip
VIN = "1FTMW1T88MFA00001"


def rows(sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in db.query(sql)]


def made(template: str, secrets: Mapping[str, str] | None = None, **settings: Any) -> str:
    """Make an integration from a template and give it its secrets."""
    vault.init()
    given = {key.replace("__", "."): value for key, value in settings.items()}
    found = integrations.create("it", template=template, settings=given, acknowledge=True)
    assert found["secrets_missing"] == list(secrets or {})
    for key, value in (secrets or {}).items():
        integrations.set_credential("it", key, value)
    return "it"


def run(template: str, secrets: Mapping[str, str] | None = None, **settings: Any) -> RunResult:
    result = runner.run(made(template, secrets, **settings))
    assert (result.status, result.dead_letters) == ("completed", 0), result.message
    return result


def add(table: Any, **values: Any) -> None:
    with db.change(reason="a row"):
        table.create(**values)


def driver() -> None:
    add(models.Driver, last_name="Smith", license_state="TX", license_number="00123456")


@contextmanager
def answering(*bodies: Any) -> Iterator[http_provider.Provider]:
    with http_provider.serve(http_provider.in_turn(*bodies)) as provider:
        yield provider


@pytest.mark.ledger("S4-31", "S4-79")
def test_each_shipped_template_passes_its_own_tests(edge: Database) -> None:
    found = integrations.list_templates()
    assert {row["code"] for row in found} == SHIPPED
    assert {row["category"] for row in found} >= {"OPERATIONS", "COMPLIANCE", "FINANCE"}
    for row in found:
        tried = runner.try_template(row["code"])
        assert tried, f"{row['code']} has no tests"
        assert [test for test in tried if test.status != "passed"] == [], row["code"]
    assert rows("SELECT count(*) FROM integration") == [(0,)], "trying leaves nothing behind"
    assert rows("SELECT name FROM sqlite_schema WHERE name GLOB 'template_test*'") == []


# --- files


@pytest.mark.slow
def test_ndjson_with_numbers_flags_and_nested_values(edge: Database, tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_text('{"sku": "a", "price": 2.5, "is_new": true, "tags": [1]}\n')
    run("ndjson-import", path=str(tmp_path / "a.ndjson"), table="item", key="sku", create=True)
    assert rows("SELECT sku, price, is_new, tags FROM item") == [("a", 2.5, 1, "[1]")]


FILES: dict[str, tuple[str, dict[str, Any]]] = {
    "csv-import": ("number,name\n00042,Ann\n", {}),
    "fixed-width-import": (
        "00042Ann  \n",
        {"columns": [{"name": "number", "start": 1, "length": 5}, {"name": "name", "start": 6, "length": 5}]},
    ),
    "xml-import": (
        "<all><one><number>00042</number><name>Ann</name></one></all>", {"records": "all/one"},
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("code", FILES)
def test_files_of_each_kind(edge: Database, tmp_path: Path, code: str) -> None:
    text, settings = FILES[code]
    (tmp_path / "in.txt").write_text(text)
    run(code, path=str(tmp_path / "in.txt"), table="customer", key="number", create=True, **settings)
    assert rows("SELECT number, name FROM customer") == [("00042", "Ann")]


@pytest.mark.slow
def test_a_workbook(edge: Database, tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for line in (["number", "premium"], ["00042", 12.5]):
        book.active.append(line)
    book.save(tmp_path / "book.xlsx")
    run("xlsx-import", path=str(tmp_path / "book.xlsx"), table="customer", key="number", create=True)
    assert rows("SELECT number, premium FROM customer") == [("00042", 12.5)]


@pytest.mark.slow
def test_files_a_partner_drops(edge: Database, tmp_path: Path) -> None:
    sftp = pytest.importorskip("sftp_server")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text("number,name\n00042,Ann\n")
    with sftp.serve(tmp_path) as server:
        drop(sftp, server)
    assert rows("SELECT number, name FROM customer") == [("00042", "Ann")]
    assert [path.name for path in (tmp_path / "in" / "processed").iterdir()] == ["1.csv"]


def drop(sftp: Any, server: Any) -> None:
    made(
        "sftp-drop", path=f"sftp://127.0.0.1:{server.port}/in/*.csv", host_key=server.fingerprint,
        settle_seconds=0, table="customer", key="number", create=True,
    )  # fmt: skip
    integrations.set_credential("it", "username", sftp.USER)
    integrations.set_credential("it", "password", sftp.PASSWORD)
    assert runner.run("it").status == "completed"


def test_rows_go_into_a_file(edge: Database, tmp_path: Path) -> None:
    driver()
    columns = ["license_number", "last_name"]
    run("file-export", inputs={"table": "driver", "columns": columns}, to__path=str(tmp_path / "out.csv"))
    assert "00123456" in (tmp_path / "out.csv").read_text()


# --- HTTP


@pytest.mark.slow
def test_any_service(edge: Database) -> None:
    with answering([{"code": "a", "amount": 2.5}]) as provider:
        run("rest-source", base_url=provider.url, table="item", key="code", create=True)
    assert rows("SELECT code, amount FROM item") == [("a", 2.5)]


def test_rows_go_to_a_service_once_each(edge: Database) -> None:
    driver()
    columns = ["license_number", "last_name"]
    with answering({"id": "x"}) as provider:
        run(
            "rest-sink", inputs={"table": "driver", "columns": columns, "changed": True},
            to__base_url=provider.url, to__path="/people",
        )  # fmt: skip
        runner.run("it")
    (call,) = provider.calls
    assert (call.method, call.path) == ("POST", "/people")
    assert json.loads(call.body)["license_number"] == "00123456"
    assert call.headers["Idempotency-Key"]


def test_the_three_services_of_dcs(edge: Database) -> None:
    add(models.Vehicle, vin=VIN)
    answer = {"total": 1, "vehicles": [{"vin": VIN, "make": "FORD", "model": "F-150", "model_year": 2021}]}
    with answering(answer) as provider:
        run("dcs-vehicle-services", {"api_key": "a key of ours"}, base_url=provider.url)
    assert rows("SELECT make, model_name, model_year FROM vehicle") == [("FORD", "F-150", 2021)]
    assert provider.calls[0].query["vins"] == [VIN]
    assert provider.calls[0].headers["X-Api-Key"] == "a key of ours"
    integrations.retire("it")
    driver()
    check = {"license": {"state": "TX", "number": "00123456"}, "outcome": "CLEAR", "offenses": [],
             "checked_at": "2026-01-31T09:05:00Z"}  # fmt: skip
    with answering({"total": 1, "checks": [check]}) as provider:
        run("dcs-criminal-check", {"api_key": "a key of ours"}, base_url=provider.url)
    assert provider.calls[0].query["licenses"] == ["TX:00123456"]
    assert rows("SELECT license_number, outcome, offense_count FROM criminal_check") == [
        ("00123456", "CLEAR", 0)
    ]


def test_the_drivers_of_dcs(edge: Database) -> None:
    add(models.Policy, policy_number="P-1", effective_date="2026-01-01", expiration_date="2027-01-01")
    drivers = [{"license": {"state": "tx", "number": "00123456"}, "name": {"last": "Smith"},
                "date_of_birth": "1980-02-29", "violations": [{"points": 2}, {"points": 3}]}]  # fmt: skip
    with answering({"total": 1, "drivers": drivers}) as provider:
        run("dcs-driver-verification", {"api_key": "a key of ours"}, base_url=provider.url)
    (call,) = provider.calls
    assert (call.path, call.headers["X-Api-Key"]) == ("/dcs/v1/household-drivers", "a key of ours")
    assert "P-1" in str(call.query)
    assert rows("SELECT license_state, license_number, last_name, violation_points FROM driver") == [
        ("TX", "00123456", "Smith", 5)
    ]


def test_vins_are_decoded_by_vpic(edge: Database) -> None:
    add(models.Vehicle, vin=VIN)
    decoded = {"VIN": VIN, "Make": "FORD", "Model": "F-150", "ModelYear": "2021", "ErrorText": "0 - clean"}
    with answering({"Count": 1, "Results": [decoded]}) as provider:
        run("vpic-vin-decode", base_url=provider.url)
        runner.run("it")
    (call,) = provider.calls  # what is decoded is not asked for again
    assert (call.method, call.path) == ("POST", "/api/vehicles/DecodeVINValuesBatch")
    assert VIN in call.body.decode()
    assert rows("SELECT make, model_name, model_year, decode_note FROM vehicle") == [
        ("FORD", "F-150", 2021, "0 - clean")
    ]


ISSUE = {"id": 1, "number": 12, "title": "It stops", "state": "open", "user": {"login": "ann"},
         "labels": [{"name": "bug"}, {"name": "urgent"}], "updated_at": "2026-01-31T09:05:00Z"}  # fmt: skip


def test_issues_as_github_gives_them(edge: Database) -> None:
    with http_provider.serve(issues) as provider:
        run(
            "github-issues",
            {"github_token": "ghx-0123456789"},
            base_url=provider.url,
            path="/repos/a/b/issues",
        )
        runner.run("it")
    assert rows("SELECT issue_id, author, labels FROM github_issue") == [
        (1, "ann", "bug, urgent"), (2, "ann", "bug, urgent"),
    ]  # fmt: skip
    assert provider.calls[0].headers["Authorization"] == "Bearer ghx-0123456789"
    assert provider.calls[2].query["since"] == ["2026-01-31T09:05:00Z"]


def issues(call: http_provider.Call) -> Any:
    if "page" in call.query:
        return [{**ISSUE, "id": 2}]
    link = f'<http://{call.headers["Host"]}{call.path}?page=2>; rel="next"'
    return http_provider.Reply([ISSUE], headers={"Link": link})


def test_invoices_as_stripe_gives_them(edge: Database) -> None:
    def invoices(call: http_provider.Call) -> Any:
        start = int(call.query.get("starting_after", ["in_0"])[0][3:])
        found = [
            {"id": f"in_{n}", "customer": "cus_9", "status": "paid", "currency": "usd", "amount_due": 100 * n,
             "amount_paid": 100 * n, "created": 1769850300, "due_date": 1769850300 if n == 1 else None}
            for n in range(start + 1, min(start + 2, 3) + 1)
        ]  # fmt: skip
        return {"object": "list", "data": found, "has_more": start < 1}

    with http_provider.serve(invoices) as provider:
        run("stripe-invoices", {"stripe_key": "rk-0123456789"}, base_url=provider.url, page_size=2)
    assert rows("SELECT invoice_id, amount_due, created_at, due_at FROM stripe_invoice ORDER BY 1") == [
        ("in_1", 100, "2026-01-31T09:05:00.000Z", "2026-01-31T09:05:00.000Z"),
        ("in_2", 200, "2026-01-31T09:05:00.000Z", None), ("in_3", 300, "2026-01-31T09:05:00.000Z", None),
    ]  # fmt: skip


def test_what_a_shop_tells_of_its_own_accord(edge: Database) -> None:
    made("webhook-inbox", {"signing_key": "a key both know"}, verify={"kind": "hmac"}, table="shop_order",
         key="number", create=True, id_path="$.number")  # fmt: skip
    integrations.retire("it")
    integrations.create(
        "open", template="webhook-inbox",
        settings={"verify": {"kind": "none"}, "table": "shop_order", "key": "number", "create": True},
    )  # fmt: skip
    runner.receive_webhook("open", headers={}, body=b'{"number": "A-7", "total": 5}')
    assert runner.run("open").status == "completed"
    assert rows("SELECT number, total FROM shop_order") == [("A-7", 5)]


@pytest.mark.slow
def test_a_tap(edge: Database, tmp_path: Path) -> None:
    lines = [
        {"type": "SCHEMA", "stream": "s", "key_properties": ["code"],
         "schema": {"properties": {"code": {"type": "string"}, "amount": {"type": "number"}}}},
        {"type": "RECORD", "stream": "s", "record": {"code": "a", "amount": 2.5}},
    ]  # fmt: skip
    tap = tmp_path / "tap.py"
    tap.write_text(f"import json\nfor line in {lines!r}:\n    print(json.dumps(line))\n")
    run("singer-tap", tap=[sys.executable, str(tap)], table="streamed", key="code", create=True)
    assert rows("SELECT code, amount FROM streamed") == [("a", 2.5)]


# --- databases and mail


@pytest.mark.slow
@pytest.mark.postgres
def test_from_one_table_of_postgresql_into_another(edge: Database) -> None:
    sql_servers = pytest.importorskip("sql_servers")
    with sql_servers.postgres() as server:
        server.execute(
            "CREATE TABLE item (code text PRIMARY KEY, amount numeric)", "INSERT INTO item VALUES ('a', 2.5)",
            "CREATE TABLE person (license_number text PRIMARY KEY, last_name text)",
        )  # fmt: skip
        password = {"password": sql_servers.PASSWORD}
        run("postgres-read", password, url=server.url, user="ek", source_table="item", table="item",
            key="code", create=True)  # fmt: skip
        assert rows("SELECT code, CAST(amount AS REAL) FROM item") == [("a", 2.5)]
        integrations.retire("it")
        driver()
        inputs = {"table": "driver", "columns": ["license_number", "last_name"]}
        run(
            "postgres-write", password, inputs=inputs,
            to__url=server.url, to__user="ek", to__table="person", to__key="license_number",
        )  # fmt: skip
        assert server.execute("SELECT license_number, last_name FROM person") == [("00123456", "Smith")]


def test_a_mail_for_each_insured(edge: Database) -> None:
    add(models.Insured, customer_number="1", name="Ann Smith", email="ann@example.org")
    with mail_server.serve() as office:
        run(
            "smtp-mail", {"smtp_password": mail_server.PASSWORD}, to__host="127.0.0.1", to__port=office.port,
            to__security="none", to__sender="office@example.org", to__recipient="{email}",
            to__subject="Your policy, {name}", to__body="Dear {name}",
            inputs={"table": "insured", "columns": ["email", "name"]},
        )  # fmt: skip
        runner.run("it")
    assert office.mails[0]["Subject"] == "Your policy, Ann Smith"
    assert office.mails[0]["To"] == "ann@example.org"
