"""The commands for rows and for the schema, as people and scripts meet them."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from test_startup import HEAVY, modules_after

import edgekit
from edgekit import naming, rows
from edgekit.cli import root

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., Result]


@pytest.fixture
def run(edge_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `edgekit --db <a fresh file> …` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*args: str, db: str | Path = edge_file) -> Result:
        result = CliRunner().invoke(root.edgekit, ["--db", str(db), *args], prog_name="edgekit")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def agency(run: Run) -> Run:
    """The same, with a program and a producer in the file."""
    assert run("programs", "add", "code=AUTO", "name=Auto").exit_code == 0
    assert run("producers", "add", "code=P1", "name=Harbor", "program=AUTO").exit_code == 0
    return run


def document(result: Result) -> Any:
    """Read the one JSON document a command printed, and nothing beside it."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_five_verbs(agency: Run) -> None:
    made = document(agency("producers", "add", "code=P2", "name=Pier", "program=AUTO", "--json"))
    assert (made["id"], made["program_id"], made["program"], made["status"]) == (2, 1, "AUTO", "ACTIVE")
    assert document(agency("producers", "show", "P2", "--json")) == made
    assert document(agency("producers", "set", "P2", "name=Quay", "program=", "--json"))["program"] is None
    assert document(agency("producers", "retire", "2", "--json"))["status"] == "INACTIVE"
    assert [row["code"] for row in document(agency("producers", "list", "--json"))] == ["P1"]
    assert [row["code"] for row in document(agency("producers", "list", "--all", "--json"))] == ["P1", "P2"]
    assert document(agency("producers", "set", "P2", "status=ACTIVE", "--json"))["status"] == "ACTIVE"


def test_a_list_for_people_is_a_table(agency: Run) -> None:
    shown = agency("producers", "list").stdout.splitlines()
    assert shown[0].split() == ["id", "code", "name", "program"]
    assert shown[1].split() == ["1", "P1", "Harbor", "AUTO"]
    assert agency("producers", "list", "--columns", "name,program_id").stdout.split() == [
        "name", "program_id", "Harbor", "1",
    ]  # fmt: skip
    assert "program_id" not in agency("producers", "show", "1").stdout
    assert agency("claims", "list").stdout == "There is no such row in claim.\n"
    chosen = document(agency("producers", "list", "--columns", "code", "--json"))
    assert chosen == [{"code": "P1"}]


def test_a_long_list_says_that_there_is_more(agency: Run, edge_file: Path) -> None:
    with edgekit.open(edge_file) as db, db.change():
        for number in range(120):
            rows.add("insured", {"customer_number": f"C{number:03}", "name": "x"})
    shown = agency("insureds", "list").stdout.splitlines()
    assert len(shown) == 103
    assert shown[-1] == "There are more than 100: see them with --limit."
    assert len(agency("insureds", "list", "--limit", "200").stdout.splitlines()) == 121
    assert len(document(agency("insureds", "list", "--json"))) == 120
    assert len(document(agency("insureds", "list", "--json", "--limit", "7"))) == 7


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["prodcers", "list"], 2, "producers"),
        (["producer", "list"], 2, "producers"),
        (["audit-logs", "list"], 2, "No such command"),
        (["producers", "lst"], 2, "list"),
        (["producers", "show"], 2, "Missing argument 'ID'"),
        (["producers", "add"], 2, "Missing argument 'COLUMN=VALUE"),
        (["producers", "add", "name"], 2, "Write it as COLUMN=VALUE"),
        (["producers", "add", "=x"], 2, "Write it as COLUMN=VALUE"),
        (["producers", "add", "name=a", "name=b"], 2, "name is given twice"),
        (["producers", "list", "--limit", "0"], 2, "--limit"),
        (["producers", "list", "--where", "x"], 2, "Write it as COLUMN=VALUE"),
        (["producers", "list", "--columns", "nope"], 4, "producer has no column nope to show"),
        (["users", "list", "--columns", "password_hash"], 4, "no column password_hash to show"),
        (["users", "list", "--where", "password_hash=x"], 4, "holds a secret"),
        (["users", "set", "1", "password_hash=x"], 4, "holds a secret"),
        (["producers", "show", "P9"], 3, "There is no producer P9"),
        (["producers", "retire", "99999999999999999999"], 3, "There is no producer 999"),
        (["producers", "add", "code=P1", "name=x"], 4, "already a row in producer with this code"),
        (["producers", "add", "code=P2"], 4, "producer.name must not be empty"),
        (
            ["producers", "add", "code=P2", "name=x", "program=NO"],
            4,
            "there is no program NO; it is one of: AUTO",
        ),
        (["producers", "add", "code=" + "x" * 51, "name=x"], 4, "at most 50 characters"),
        (["producers", "add", "code=P2", "name=x", "colour=red"], 4, "producer has no column colour"),
        (["users", "retire", "system"], 4, "User 1 is the system user"),
        (["dead-letters", "add", "record=x"], 2, "No such command 'add'"),
        (["integration-executions", "set", "1", "runner_id=x"], 4, "not written by hand"),
        (["vault-use-logs", "retire", "1"], 4, "they have no status"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(agency: Run, args: list[str], code: int, said: str) -> None:
    result = agency(*args)
    assert result.exit_code == code, result.output
    assert said in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("word", ["producers", "entity-categories"])
def test_a_file_that_is_not_there_or_not_ours(agency: Run, tmp_path: Path, word: str) -> None:
    assert agency(word, "list", db=tmp_path / "none.db").exit_code == 3
    assert agency("my-cars", "list", db=tmp_path / "none.db").exit_code == 2
    (tmp_path / "text.db").write_text("no database", encoding="utf-8")
    for args in ([word, "list"], [word, "add", "code=x"], ["my-cars", "list"]):
        result = agency(*args, db=tmp_path / "text.db")
        assert result.exit_code == 8
        assert result.stderr.startswith("error: ")


def test_strange_letters_come_through(agency: Run) -> None:
    made = document(agency("producers", "add", "code=É😀", "name=Zoë\x07\n=x", "--json"))
    assert (made["code"], made["name"]) == ("É😀", "Zoë\x07\n=x")
    assert "\x07" not in agency("producers", "show", "É😀").stdout
    assert document(agency("producers", "show", "É😀", "--json"))["id"] == made["id"]


def test_help_tells_the_columns_without_a_file(run: Run, tmp_path: Path) -> None:
    shown = " ".join(run("policies", "add", "--help", db=tmp_path / "none.db").stdout.split())
    assert "policy_number text, required" in shown
    assert "quote_id id or code of a row of quote; where it came from" in shown
    assert "in_force: covers" in shown
    assert "minor units of `currency`" in shown
    assert "default 'USD'" in shown
    for hidden in ("created_by", "updated_at"):
        assert hidden not in shown
    assert "password_hash" not in run("users", "set", "--help").stdout
    kept = run("integration-execution-inputs", "set", "--help").stdout
    assert "records_zlib" not in kept, "nobody types bytes"


def test_the_help_names_words_that_work(run: Run) -> None:
    shown = " ".join(run("--help").stdout.split())
    assert root.EDITED in shown
    assert set(root.EDITED.split(", …")[0].split(", ")) <= set(naming.commands())


def test_every_word_has_its_commands(run: Run) -> None:
    own = set(root.COMMANDS)
    for word in naming.commands():
        if word not in own:
            shown = run(word, "--help")
            assert shown.exit_code == 0, word
            assert all(f"\n  {verb} " in shown.stdout for verb in ("list", "show", "add", "set", "retire"))


def test_a_tracked_table_has_the_commands_too(run: Run, tmp_path: Path) -> None:
    (tmp_path / "cars.csv").write_text("plate,colour\nNH 1,red\nNH 2,blue\n", encoding="utf-8")
    settings = ["path=cars.csv", "table=car", "key=plate", "create=true"]
    assert (
        run(
            "integrations", "create", "cars", "--template", "csv-import", *(f"--set={s}" for s in settings)
        ).exit_code
        == 0
    )
    assert run("integrations", "run", "cars").exit_code == 0
    found = document(run("cars", "list", "--json"))
    assert [row["plate"] for row in found] == ["NH 1", "NH 2"]
    assert document(run("car", "show", "NH 1", "--json")) == found[0]
    assert document(run("cars", "set", "NH 1", "colour=green", "--json"))["colour"] == "green"
    assert document(run("cars", "add", "plate=NH 3", "--json"))["plate"] == "NH 3"
    assert "plate" in run("cars", "add", "--help").stdout
    tables = {row["table"]: row for row in document(run("schema", "tables", "--json"))}
    assert (tables["car"]["word"], tables["car"]["rows"], tables["car"]["command"]) == ("own", 3, "cars")


def test_reading_rows_imports_nothing_of_weight(edge_file: Path) -> None:
    for args in (["producers", "list"], ["roles", "show", "ADMIN"], ["schema", "show", "policy"]):
        assert modules_after("--db", str(edge_file), *args) & HEAVY == set(), args
    assert modules_after("producers", "add", "--help") & HEAVY == set()


def test_schema_tables(run: Run, edge_file: Path) -> None:
    found = document(run("schema", "tables", "--json"))
    assert {"word", "table", "command", "rows", "columns", "sentence"} == set(found[0])
    shell = sqlite3.connect(edge_file)
    count = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*'"
    assert len(found) == shell.execute(count).fetchone()[0]
    shell.close()
    by_name = {row["table"]: row for row in found}
    assert by_name["role"] == {
        "word": "reference", "table": "role", "command": "roles", "rows": 3, "columns": 9,
        "sentence": "One row is a role a user may have.",
    }  # fmt: skip
    assert by_name["audit_log"]["command"] is None
    assert "roles" in run("schema", "tables").stdout


def test_schema_show(run: Run) -> None:
    found = document(run("schema", "show", "policy", "--json"))
    assert found["word"] == "insurance"
    state = next(column for column in found["columns"] if column["name"] == "policy_state")
    assert state["values"]["cancelled"] == "ended early"
    assert "claim.policy_id" in found["referred_by"]
    shown = run("schema", "show", "policies").stdout
    assert "policy.expiration_date must come after effective_date." in shown
    assert "ended early" in shown
    wrong = run("schema", "show", "polcy")
    assert (wrong.exit_code, "policy" in wrong.stderr) == (3, True)
    kept = run("schema", "show", "user").stdout
    assert "Users are retired (another status), never deleted." in kept


def test_schema_diagram(run: Run, tmp_path: Path, edge_file: Path) -> None:
    assert run("schema", "diagram").stdout.startswith("<svg ")
    assert run("schema", "diagram", "--format", "mermaid", "--word", "insurance").stdout.startswith(
        "erDiagram\n"
    )
    made = document(run("schema", "diagram", "-o", "all.svg", "--json"))
    assert made == {"format": "svg", "path": "all.svg"}
    assert (tmp_path / "all.svg").read_text(encoding="utf-8").rstrip().endswith("</svg>")
    assert document(run("schema", "diagram", "--json"))["text"].startswith("<svg ")
    assert run("schema", "diagram", "--word", "weather").exit_code == 3
    assert run("schema", "diagram", "-o", "no/such/folder.svg").exit_code == 3
    assert run("schema", "diagram", "-o", str(edge_file)).exit_code == 6
    assert run("verify").exit_code == 0


def test_words_are_completed(edge_file: Path) -> None:
    from click.shell_completion import ShellComplete

    def complete(words: list[str], incomplete: str) -> list[str]:
        shell = ShellComplete(root.edgekit, {}, "edgekit", "_EDGEKIT_COMPLETE")
        return [item.value for item in shell.get_completions(words, incomplete)]

    assert complete([], "produ") == ["producers"]
    assert complete(["producers"], "re") == ["retire"]


def test_the_command_works_in_a_process_of_its_own(edge_file: Path) -> None:
    args = [sys.executable, "-m", "edgekit", "--db", str(edge_file), "roles", "list", "--json"]
    done = subprocess.run(args, capture_output=True, text=True, check=True, encoding="utf-8")
    assert len(json.loads(done.stdout)) == 3
