"""A user of one organization walks every command and every public function, and gets nothing of another's.

Whatever is added later is walked too: a command or function whose arguments are not known here fails, and so
does a table of which nobody has said whether all see it.
"""

from __future__ import annotations

import importlib
import inspect
import re
import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner
from test_violations import ROWS, put, sample

import edgekit
from edgekit import clock, jobs, naming, rows
from edgekit.cli import root
from edgekit.errors import EdgekitError, InvalidError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgekit.db import Database

MARK = "KEEPOUT"
"""Stands in every text of the other organization's rows that a user of this one has no reason to know."""

_COMMON = (
    "business_context_type client_status communication_channel communication_direction communication_status"
    " communication_type communication_type_channel component_registry configuration_type delivery_method"
    " deployment_template encryption_key entity_category entity_reference_type entity_type"
    " entity_type_feature environment event_source feature feature_dependency feature_type integration_type"
    " license_file license_tier license_tier_feature marketplace_category marketplace_module model_registry"
    " package_type payment_status pricing_model rate_limit_window relationship_type role runner_session"
    " schema_migration scope_type status subscription_status system template_category vendor_key"
    " workflow_template workflow_type"
)
COMMON = set(_COMMON.split())
"""Tables whose rows everybody sees: what the file knows, and what runs count in."""

ELSEWHERE = {"demo", "init"}
"""Commands that make a file of their own."""

ENDLESS = [["webhooks", "serve"]]
"""Commands that go on until they are stopped: their own tests walk them."""

WORDS = (
    "access", "audit", "bulk", "communications", "configuration", "events", "integrations", "jobs",
    "licensing", "monitoring", "rows", "runner", "scope", "seeds", "vault",
)  # fmt: skip


def a_job(number: int) -> jobs.Job:
    """Return a job as whoever runs it holds it."""
    return jobs.Job(number, "u", "k", {}, "running", clock.now(), 5, 0, 1, None, "r", clock.now(), None,
                    None, None, "c", None, None, None, None, clock.now())  # fmt: skip


class Theirs:
    """The other organization's file: what is in it, and what a name or id of it is."""

    def __init__(self, path: Path, ids: dict[str, int]) -> None:
        self.path = path
        self.ids = ids

    def values(self) -> dict[str, Any]:
        """Return for the name of each argument what a hostile user would say."""
        return {
            "name": "theirs", "integration": "theirs", "integration_name": "theirs", "key": "api_key",
            "code": "theirs-template", "template": "theirs-template", "letter_id": self.ids["dead_letter"],
            "execution_id": self.ids["integration_execution"], "schedule": "theirs", "kind": "DCS_LIMITS",
            "value": "5", "version": 1, "old": 1, "new": 1, "feature": "API_INTEGRATIONS", "tier": "PREMIUM",
            "entity": self.ids["entity"], "component": "none", "provider": "p", "model": "m",
            "table": "integration", "record": self.ids["integration"], "row": self.ids["integration"],
            "field": "value_ciphertext", "which": self.ids["integration"], "time": "2999-01-01T00:00:00Z",
            "moment": "2999-01-01T00:00:00Z", "program": "THEIRS", "username": "theirs-user",
            "password": "a long enough password", "paths": [], "reason": "because", "destination": "out",
            "source": "absent.zip", "file": "absent.json", "kit": "absent.json", "path": "absent.json",
            "given": {"name": "taken"}, "right": "read", "doing": "it", "text": "system",
            "place": "program:THEIRS",
            "plaintext": "x", "ciphertext": b"\x01" + bytes(60), "column": "value_ciphertext",
            "columns": ["code", "name", "organization_id"], "document": {}, "connection": None, "shape": None,
            "links": [], "limit": 1000, "user": "theirs-user", "organization": 1,
            "producer": "THEIRS", "on": "x",
            "before": "2999-01-01T00:00:00Z", "database": self.path, "years": 0, "quantity": 1,
            "vendor": "v", "key_file": "absent.key", "archives": [], "table_id": 1,
            "environment": "PRODUCTION", "rows": [], "passphrase": "a long enough passphrase",
            "serial": "s", "content": "{}", "how": "deep", "broader": {}, "narrower": {},
            "look": lambda _: None, "pipeline": "theirs", "pipeline_id": 1, "test_data": {},
            "headers": {}, "body": b"{}",
            "receipt_id": self.ids["webhook_receipt"],
            "communication_id": self.ids["communication"], "type": "ALERT_NOTIFICATION",
            "context": f"program:{self.ids['program']}",
            "mapping": "theirs", "case": "theirs", "step": "theirs", "input": {}, "subject": "theirs",
            "values": {"source_path": "taken", "target_path": "taken"},
            "found": None, "tests": [],
            "stream": "theirs", "kinds": {"taken": "text"},
            "settings": {"table": "taken"},
            "note": "n", "since": "2026-01-01", "until": "2026-01-02",
            "event_type": "policy.bound", "payloads": [{}], "event_uuid": "u",
            "handler": "event.webhook", "event": self.ids["integration_event"],
            "delivery_id": self.ids["event_delivery"],
            "transformation": "theirs", "language": "jmespath",
            "notification_id": self.ids["notification"],
            "payload": {"integration": "theirs"},
            "job_id": self.ids["job"], "job": a_job(self.ids["job"]), "runner_id": "r", "now": clock.now(),
            "error": InvalidError("taken"), "outcomes": [jobs.Outcome(a_job(self.ids["job"]))],
        }  # fmt: skip


def settle(connection: sqlite3.Connection, sql: str) -> None:
    """Do what the rules of a table allow, and leave alone what they do not."""
    with suppress(sqlite3.Error):
        connection.execute(sql)


def marked(connection: sqlite3.Connection, table: str) -> None:
    """Put the mark into every text of a table's rows that takes one."""
    names = [r[1] for r in connection.execute(f'PRAGMA table_info("{table}")') if r[2] == "TEXT"]
    for name in names:
        settle(
            connection, f'UPDATE "{table}" SET "{name}" = \'{MARK}\' || id WHERE id > {int(table == "user")}'
        )


@pytest.fixture(scope="module")
def filled(pattern_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Theirs:
    path = tmp_path_factory.mktemp("walk") / "walk.db"
    shutil.copyfile(pattern_file, path)
    shell = sqlite3.connect(path, isolation_level=None)
    shell.execute("BEGIN")
    ids = {}
    for table in ROWS:
        about = {r[1]: r[3] for r in shell.execute(f'PRAGMA table_info("{table}")')}
        said = about.get("organization_id") == 0 and "organization_id" not in ROWS[table]
        values: dict[str, Any] = {"organization_id": 1} if said else {}
        if table == "metric_sample":
            values["labels"] = '{"organization_id": 1}'
        ids[table] = put(shell, table, **sample(shell, table, **values))
    for table in (t for t in naming.own_tables() if t not in COMMON and not t.startswith("audit_")):
        with_organization = [r[1] for r in shell.execute(f'PRAGMA table_info("{table}")')]
        if "organization_id" in with_organization and table not in {"client", "user"}:
            settle(shell, f'UPDATE "{table}" SET organization_id = 1 WHERE organization_id IS NULL')
        marked(shell, table)
    for table, column, name in (("integration", "integration_name", "theirs"), ("program", "code", "THEIRS"),
                                ("producer", "code", "THEIRS"), ("user", "username", "theirs-user"),
                                ("integration_schedule", "schedule_name", "theirs")):  # fmt: skip
        shell.execute(f'UPDATE "{table}" SET {column} = ? WHERE id = ?', (name, ids[table]))
    shell.execute("UPDATE user SET organization_id = 1 WHERE id > 1")
    ours = put(shell, "organization", code="OURS", name="Ours")
    for name, role in (("bob", "USER"), ("bea", "ADMIN")):
        put(shell, "user", username=name, organization_id=ours,
            role_id=shell.execute("SELECT id FROM role WHERE code = ?", (role,)).fetchone()[0])  # fmt: skip
    shell.execute("COMMIT")
    shell.close()
    return Theirs(path, ids)


@pytest.fixture
def theirs(filled: Theirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Theirs:
    monkeypatch.chdir(tmp_path)
    return Theirs(Path(shutil.copyfile(filled.path, tmp_path / "walk.db")), filled.ids)


def everything(path: Path) -> dict[str, list[Any]]:
    """Read every row there is, but for the log and what is written along with any work."""
    left_out = {"vault_use_log", "sqlite_sequence", "validation_message"}
    connection = sqlite3.connect(path)
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    found = {
        name: connection.execute(f'SELECT * FROM "{name}"').fetchall()
        for name in names
        if not name.startswith("audit_") and name not in left_out
    }
    connection.close()
    return found


def unharmed(before: dict[str, list[Any]], path: Path) -> None:
    """Assert that every row is as it was; there may be new ones."""
    after = everything(path)
    for table, there in before.items():
        assert set(there) <= set(after[table]), f"{table} was changed"


def commands() -> Iterator[tuple[list[str], click.Command]]:
    """Find every command, however deep."""

    def walk(command: click.Command, path: list[str]) -> Iterator[tuple[list[str], click.Command]]:
        if isinstance(command, click.Group):
            for name, inner in command.commands.items():
                yield from walk(inner, [*path, name])
        else:
            yield path, command

    context = click.Context(root.edgekit)
    for name in root.COMMANDS:
        command = root.edgekit.get_command(context, name)
        assert command is not None
        yield from walk(command, [name])
    from edgekit.cli import rows as cli_rows

    group = cli_rows.find_group("users", None)
    assert group is not None
    yield from walk(group, ["users"])


def arguments(path: list[str], command: click.Command, values: dict[str, Any]) -> list[str]:
    """Fill in what a command must be told."""
    given = []
    for parameter in command.params:
        name = str(parameter.name)
        if isinstance(parameter, click.Option):
            if parameter.required and parameter.is_flag:
                given.append(parameter.opts[0])
            elif parameter.required or name in {"yes", "replace"}:
                assert parameter.is_flag or name in values, f"{path}: say in this test what {name} is"
                given += [parameter.opts[0], *([] if parameter.is_flag else [str(values[name])])]
        elif name == "pairs":
            given.append("display_name=taken")
        elif name != "paths":
            assert name in values, f"{path}: say in this test what {name} is"
            given.append(str(values[name]))
    return given


@pytest.mark.ledger("C-24", "S2-12", "S3-88", "S3-89", "S3-90")
@pytest.mark.parametrize("who", ["bob", "bea"])
def test_no_table_or_view_shows_anything_of_theirs(theirs: Theirs, who: str) -> None:
    with edgekit.open(theirs.path, actor=who) as db:
        connection = db.connection()
        confinement: Any = connection.confinement  # type: ignore[attr-defined]
        seen = {t for t in naming.own_tables() if not t.startswith("audit_")}
        assert {t for t in seen if not confinement.rules.is_restricted(t)} == COMMON & seen
        names = [*naming.own_tables(), *confinement.rules.catalogue.views]
        shown = [
            name for name in names
            if name != "audit_direct" and name not in COMMON
            and MARK in str(connection.execute(f'SELECT * FROM "{name}"').fetchall())
        ]  # fmt: skip
        assert shown == []
        everywhere = {t: theirs.ids[t] for t in ROWS if t not in COMMON and t != "organization"}
        for table, key in everywhere.items():
            assert MARK not in str(rows.list_rows(connection, table, retired=True))
            with pytest.raises(NotFoundError):
                pytest.fail(f"{table}: {rows.show(connection, table, key)}")


@pytest.mark.ledger("S4-93", "S2-13")
def test_the_same_marks_are_there_for_who_sees_all(theirs: Theirs) -> None:
    with edgekit.open(theirs.path, actor="system") as db:
        marks = {t for t in naming.own_tables()
                 if MARK in str(db.connection().execute(f'SELECT * FROM "{t}"').fetchall())}  # fmt: skip
    assert marks >= {
        "integration", "integration_mapping", "integration_execution", "dead_letter", "integration_event",
        "orchestration_workflow", "handover_package", "client", "insured", "policy", "communication",
    }  # fmt: skip


@pytest.mark.parametrize("who", ["bob", pytest.param("bea", marks=pytest.mark.slow)])
def test_no_command_shows_or_changes_anything_of_theirs(theirs: Theirs, who: str) -> None:
    before, values = everything(theirs.path), theirs.values()
    walked = 0
    for path, command in commands():
        if path[0] in ELSEWHERE or path in ENDLESS:
            continue
        given = arguments(path, command, values)
        asked = ["--db", str(theirs.path), "--actor", who, *path, *given]
        answer = CliRunner().invoke(
            root.edgekit, asked, input="a long enough password\n", prog_name="edgekit"
        )
        failed = answer.exception
        assert failed is None or isinstance(failed, SystemExit), f"{path}: {failed!r}"
        assert MARK not in answer.output, f"{path} shows: {answer.output[:2000]}"
        assert not list(Path.cwd().glob("*backup*")), path
        walked += 1
    assert walked > 60
    unharmed(before, theirs.path)


def functions() -> Iterator[tuple[str, Any]]:
    """Find every public function of the words."""
    for word in WORDS:
        module = importlib.import_module(f"edgekit.{word}")
        names = getattr(module, "__all__", None) or [
            name for name, there in vars(module).items()
            if inspect.isfunction(there) and there.__module__ == module.__name__ and not name.startswith("_")
        ]  # fmt: skip
        for name in names:
            if inspect.isfunction(there := getattr(module, name)):
                yield f"{word}.{name}", there


def call(name: str, function: Any, values: dict[str, Any], db: Database) -> Any:
    """Call a function with what a hostile user would give it."""
    given: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        wanted = parameter.name in values
        if parameter.kind is parameter.VAR_KEYWORD or (
            not wanted and parameter.default is not parameter.empty
        ):
            continue
        assert wanted, f"{name}: say in this test what {parameter.name} is"
        if parameter.default is parameter.empty or parameter.name in {"program", "integration", "name"}:
            value, wants = values[parameter.name], str(parameter.annotation)
            given[parameter.name] = str(value) if type(value) is int and "int" not in wants else value
    if "connection" in given:
        given["connection"] = db.connection()
    if "shape" in given:
        given["shape"] = rows.read_shape(db.connection(), "integration")
    if name.startswith("bulk.") and "rows" in given:
        given |= {"table": "program", "rows": [("NEW", "taken", 1)]}
    return function(**given)


@pytest.mark.parametrize("who", ["bob", "bea"])
def test_no_function_shows_or_changes_anything_of_theirs(theirs: Theirs, who: str) -> None:
    before, values = everything(theirs.path), theirs.values()
    walked = []
    with edgekit.open(theirs.path, actor=who) as db:
        for name, function in functions():
            try:
                shown = str(call(name, function, values, db))
            except (EdgekitError, sqlite3.Error) as error:
                shown = str(error)
            assert MARK not in shown, f"{name} shows: {shown[:2000]}"
            walked.append(name)
    assert len(walked) > 90
    unharmed(before, theirs.path)
    assert not re.search("taken", str(everything(theirs.path)["program"]))
