"""A day's small edits with the tools people have: all logged, the rules hold, what a tool breaks is found."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from edgekit.demo import scenario
from edgekit.file.doctor import doctor
from edgekit.file.migrate import migrate
from edgekit.file.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

STEPS = '{"steps": [{"name": "one", "type": "notify"}]}'
TIME = "2026-01-01T00:00:00.000Z"


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's file, with a client whose first workflow is done."""
    folder = tmp_path_factory.mktemp("agency")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_HOME", str(folder / "home"))
        patch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
        scenario.run(folder)
    connection = sqlite3.connect(folder / "agency.db", isolation_level=None)
    connection.executescript(
        f"""
        INSERT INTO organization(id, code, name) VALUES (7, 'CLIENT', 'Client');
        INSERT INTO client(id, organization_id, client_name, client_status_id) VALUES (7, 7, 'Client', 1);
        INSERT INTO orchestration_workflow(id, uuid, workflow_name, workflow_type_id, client_id,
          workflow_definition, workflow_status, started_at, completed_at, correlation_id)
          VALUES (1, printf('%036d', 1), 'done', 1, 7, '{STEPS}', 'completed', '{TIME}', '{TIME}', 'c'),
            (2, printf('%036d', 2), 'next', 1, 7, '{STEPS}', 'pending', NULL, NULL, 'c');
        """
    )
    connection.close()
    return folder / "agency.db"


@pytest.fixture
def path(agency: Path, tmp_path: Path) -> Path:
    """A copy to work on."""
    return shutil.copyfile(agency, tmp_path / "agency.db")


def literal(value: Any) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


class Tool:
    """What a person does with a tool. Each answer is the tool's complaint, empty if it was content."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def execute(self, sql: str) -> str:
        raise NotImplementedError

    def insert(self, table: str, row: dict[str, Any], verb: str = "INSERT") -> str:
        values = ", ".join(map(literal, row.values()))
        return self.execute(f"{verb} INTO {table}({', '.join(row)}) VALUES ({values})")

    def replace(self, table: str, row: dict[str, Any]) -> str:
        return self.insert(table, row, "REPLACE")

    def update(self, table: str, key: int, row: dict[str, Any]) -> str:
        sets = ", ".join(f"{name} = {literal(value)}" for name, value in row.items())
        return self.execute(f"UPDATE {table} SET {sets} WHERE id = {key}")

    def delete(self, table: str, key: int) -> str:
        return self.execute(f"DELETE FROM {table} WHERE id = {key}")

    def count(self, table: str) -> int:
        raise NotImplementedError


class PlainPython(Tool):
    """Python's own module, with the pragmas that guard left off."""

    def execute(self, sql: str) -> str:
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA recursive_triggers = OFF")
        try:
            connection.execute(sql)
        except sqlite3.Error as error:
            return str(error)
        finally:
            connection.close()
        return ""

    def count(self, table: str) -> int:
        connection = sqlite3.connect(self.path)
        try:
            return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
        finally:
            connection.close()


class Shell(Tool):
    """The `sqlite3` command-line shell."""

    def run(self, sql: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sqlite3", "-batch", str(self.path), sql],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def execute(self, sql: str) -> str:
        done = self.run(sql)
        assert bool(done.returncode) == bool(done.stderr), done
        return done.stderr

    def count(self, table: str) -> int:
        return int(self.run(f"SELECT count(*) FROM {table}").stdout)


class SqliteUtils(Tool):
    """The `sqlite-utils` command."""

    def run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sqlite_utils", words[0], str(self.path), *words[1:]]
        return subprocess.run(command, capture_output=True, text=True, input=stdin, timeout=60, check=False)

    def complaint(self, *words: str, stdin: str = "") -> str:
        done = self.run(*words, stdin=stdin)
        return done.stderr if done.returncode else ""

    def execute(self, sql: str) -> str:
        return self.complaint("query", sql)

    def insert(self, table: str, row: dict[str, Any], verb: str = "INSERT") -> str:
        option = ["--replace"] if verb == "REPLACE" else []
        return self.complaint("insert", table, "-", "--pk", "id", *option, stdin=json.dumps([row]))

    def count(self, table: str) -> int:
        return int(json.loads(self.run("query", f"SELECT count(*) AS n FROM {table}").stdout)[0]["n"])


class DatasetteApi(Tool):
    """Datasette, by the JSON interface its pages use."""

    def ask(self, method: str, address: str, body: Any = None) -> Any:
        async def exchange() -> Any:
            from datasette.app import Datasette  # slow to import, and these tests are not always run

            server = Datasette([str(self.path)])
            server.root_enabled = True
            try:
                await server.invoke_startup()
                cookies = {"ds_actor": server.client.actor_cookie({"id": "root"})}
                ask = getattr(server.client, method)
                options = {} if method == "get" else {"json": body}
                answer = await ask(f"/{self.path.stem}/{address}", cookies=cookies, **options)
                return answer.json()
            finally:
                server.close()

        return asyncio.run(exchange())

    def complaint(self, address: str, body: Any) -> str:
        answer = self.ask("post", address, body)
        return "" if answer["ok"] else "; ".join(answer["errors"])

    def insert(self, table: str, row: dict[str, Any], verb: str = "INSERT") -> str:
        return self.complaint(f"{table}/-/insert", {"row": row, "replace": verb == "REPLACE"})

    def update(self, table: str, key: int, row: dict[str, Any]) -> str:
        return self.complaint(f"{table}/{key}/-/update", {"update": row})

    def delete(self, table: str, key: int) -> str:
        return self.complaint(f"{table}/{key}/-/delete", {})

    def count(self, table: str) -> int:
        return int(self.ask("get", f"{table}.json?_size=0&_extra=count")["count"])


TOOLS = [
    PlainPython,
    pytest.param(
        Shell,
        marks=pytest.mark.skipif(shutil.which("sqlite3") is None, reason="there is no sqlite3 shell here"),
    ),
    SqliteUtils,
    DatasetteApi,
]


@pytest.fixture(params=TOOLS, ids=lambda tool: tool.__name__)
def tool(request: pytest.FixtureRequest, path: Path) -> Tool:
    found: Tool = request.param(path)
    return found


def read(path: Path, sql: str) -> list[Any]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def last_seq(path: Path) -> int:
    return int(read(path, "SELECT max(seq) FROM audit_log")[0][0])


def test_a_days_edits_are_made_and_logged(tool: Tool) -> None:
    before, customers = last_seq(tool.path), tool.count("insured")
    key = read(tool.path, "SELECT max(id) + 1 FROM insured")[0][0]
    link = read(tool.path, "SELECT min(id) FROM policy_driver")[0][0]
    complaints = [
        tool.insert("insured", {"id": key, "customer_number": "NEW-1", "name": "Zoë O'Neil"}),
        tool.update("insured", key, {"city": "Zürich", "postal_code": "00501"}),
        tool.update("client", 7, {"phone": "+41 1"}),
        tool.update("orchestration_workflow", 2, {"workflow_status": "in_progress", "started_at": TIME}),
        tool.delete("policy_driver", link),
        tool.replace("insured", {"id": key, "customer_number": "NEW-1", "name": "Zoë Neil"}),
    ]
    assert complaints == [""] * 6
    assert tool.count("insured") == customers + 1
    rows = read(
        tool.path,
        "SELECT table_name, CAST(record_key AS INTEGER), action, actor, reason FROM audit_entry"
        f" WHERE seq > {before} ORDER BY seq",
    )
    assert {(actor, reason) for *_, actor, reason in rows} == {(None, "direct")}
    assert [row[:3] for row in rows] == [
        ("insured", key, "I"),
        ("insured", key, "U"),
        ("client", 7, "U"),
        ("orchestration_workflow", 2, "U"),
        ("policy_driver", link, "D"),
        ("insured", key, "D"),
        ("insured", key, "I"),
    ]
    ((name, city, created, updated),) = read(
        tool.path, f"SELECT name, city, created_at, updated_at FROM insured WHERE id = {key}"
    )
    assert (name, city) == ("Zoë Neil", None)
    assert created <= updated
    assert verify(tool.path) == []


BAD = {
    "a reference to nothing": (
        "insert",
        ("insured", {"customer_number": "X", "name": "X", "organization_id": 77}),
        "EK|insured|organization_id|reference|",
    ),
    "a reference edited to nothing": (
        "update",
        ("client", 7, {"assigned_manager_id": 77}),
        "EK|client|assigned_manager_id|reference|",
    ),
    "a state there is not": (
        "update",
        ("orchestration_workflow", 2, {"workflow_status": "done"}),
        "EK|orchestration_workflow|workflow_status|",
    ),
    "a way there is not": (
        "update",
        ("orchestration_workflow", 1, {"workflow_status": "in_progress", "completed_at": None}),
        "EK|orchestration_workflow|workflow_status|transition|",
    ),
    "a final state replaced": (
        "replace",
        (
            "orchestration_workflow",
            {
                "id": 1,
                "uuid": f"{1:036d}",
                "workflow_name": "again",
                "workflow_type_id": 1,
                "workflow_definition": STEPS,
                "correlation_id": "c",
            },
        ),
        "EK|orchestration_workflow|workflow_status|transition|",
    ),
    "a parent deleted": ("delete", ("client", 7), "EK|client|id|referenced|"),
    "the system user replaced": (
        "replace",
        ("user", {"id": 1, "username": "me"}),
        "EK|user|id|protected|",
    ),
    "a time that is none": (
        "update",
        ("orchestration_workflow", 2, {"started_at": "yesterday"}),
        "orchestration_workflow.started_at.time",
    ),
    "a log edited": (
        "update",
        ("integration_log", 1, {"is_success": 0}),
        "EK|integration_log|*|append_only|",
    ),
    "a secret in the settings": (
        "update",
        ("deployment_template", 1, {"template_data": '{"password": "p"}'}),
        "EK|deployment_template|template_data|secret|",
    ),
}


def test_what_must_not_be_is_refused_and_leaves_no_trace(tool: Tool) -> None:
    def state() -> list[Any]:
        tables = ("client", "orchestration_workflow", "user", "deployment_template")
        connection = sqlite3.connect(tool.path)
        try:
            found = [connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables]
            counts = "SELECT count(*), (SELECT max(seq) FROM audit_log) FROM insured"
            return [*found, connection.execute(counts).fetchall()]
        finally:
            connection.close()

    before = state()
    for what, (verb, arguments, sentence) in BAD.items():
        complaint = getattr(tool, verb)(*arguments)
        assert sentence in complaint, f"{what}: {complaint}"
        assert state() == before, what
    assert verify(tool.path) == []


def test_a_foreign_change_shows_in_the_tools_own_reading(path: Path) -> None:
    assert DatasetteApi(path).update("client", 7, {"city": "Bern"}) == ""
    rows = json.loads(SqliteUtils(path).run("rows", "client").stdout)
    assert [(row["id"], row["city"]) for row in rows] == [(7, "Bern")]
    shown = DatasetteApi(path).ask("get", "audit_entry.json?_sort_desc=seq&_size=1")["rows"]
    assert [(row["table_name"], row["action"], row["reason"]) for row in shown] == [("client", "U", "direct")]


BREAKS = [
    pytest.param(("transform", "client", "--default", "company_name", "Ann & Co"), id="makes a table anew"),
    pytest.param(
        ("transform", "insured", "--type", "postal_code", "text"),
        id="makes a table of many children anew",
        marks=pytest.mark.slow,
    ),
    pytest.param(("drop-index", "policy", "policy_insured"), id="drops an index", marks=pytest.mark.slow),
    pytest.param(("query", "DROP TRIGGER policy_audit_update"), id="drops a trigger", marks=pytest.mark.slow),
    pytest.param(
        ("enable-fts", "insured", "name", "--create-triggers"), id="adds triggers", marks=pytest.mark.slow
    ),
]


@pytest.mark.parametrize("words", BREAKS)
def test_what_a_tool_breaks_in_silence_is_found_and_mended(path: Path, words: tuple[str, ...]) -> None:
    rows = read(path, "SELECT * FROM insured ORDER BY id")
    assert SqliteUtils(path).complaint(*words) == ""
    found = verify(path)
    assert found != []
    remedies = {finding.what: finding.do for finding in doctor(path)}
    assert {remedies[sentence] for sentence in found} == {"Have it repaired: edgekit migrate"}
    migrate(path)
    assert verify(path) == []
    assert read(path, "SELECT * FROM insured ORDER BY id") == rows
    before = last_seq(path)
    assert PlainPython(path).update("insured", rows[0][0], {"city": "Bern"}) == ""
    assert PlainPython(path).update("client", 7, {"assigned_manager_id": 77}).startswith("EK|client|")
    assert last_seq(path) == before + 1


@pytest.mark.slow
def test_what_cannot_be_mended_is_said(path: Path) -> None:
    assert SqliteUtils(path).complaint("transform", "insured", "--rename", "city", "town") == ""
    migrate(path)
    undo = {finding.what for finding in doctor(path) if finding.do.startswith("Another program changed")}
    assert undo == {
        "Table insured: column city is missing.",
        "Table insured: column town does not belong there.",
    }
    assert SqliteUtils(path).complaint("transform", "insured", "--rename", "town", "city") == ""
    migrate(path)
    assert verify(path) == []
