"""A short command imports what it needs and no more."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from edgekit import schema
from edgekit.file.catalogue import normalise

if TYPE_CHECKING:
    from pathlib import Path

WAYS = {
    "aiohttp", "aiosmtpd", "asyncio", "botocore", "concurrent.futures", "defusedxml", "fsspec", "h11", "http",
    "httpcore2", "httpx2", "MySQLdb", "multiprocessing", "openpyxl", "paramiko", "psycopg", "psycopg2",
    "pymysql", "s3fs", "singer_sdk", "smtplib", "ssl", "stamina", "tarfile",
}  # fmt: skip
"""What connectors reach the world by: none is loaded where nothing is reached."""

HEAVY = WAYS | {
    "apscheduler", "cryptography", "filelock", "jinja2", "jmespath", "jsonpath_rfc9535", "jsonschema",
    "jsonschema_rs", "keyring", "msgspec", "openfeature", "peewee", "platformdirs", "pydantic_monty",
    "quickjs", "regex", "rich", "sqlite_utils",
}  # fmt: skip

PROBE = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))
sys.argv = ["edgekit", *sys.argv[1:]]
from edgekit.cli import main
main()
"""


def modules_after(*args: str, ends_well: bool = True) -> set[str]:
    """Run a command in a process of its own and name what it has imported."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *args], capture_output=True, text=True, check=ends_well
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("args", [["--help"], ["--version"]])
def test_help_imports_click_and_nothing_of_weight(args: list[str]) -> None:
    found = modules_after(*args)
    assert "click" in found
    assert found & (HEAVY | {"dataclasses", "json", "pathlib", "shutil", "sqlite3"}) == {"json"}, (
        "json is the probe's"
    )
    assert {name for name in found if name.startswith("edgekit.")} == {
        "edgekit.cli", "edgekit.cli.group", "edgekit.cli.root", "edgekit.cli.stopping", "edgekit.errors",
    }  # fmt: skip


@pytest.mark.parametrize(
    "args", [["audit", "--help"], ["vault", "set", "--help"], ["integrations", "run", "-h"]]
)
def test_the_help_of_a_word_imports_nothing_of_weight(args: list[str]) -> None:
    assert modules_after(*args) & (HEAVY | {"sqlite3"}) == set()


def test_status_reads_the_file_without_the_models(edge_file: Path) -> None:
    assert modules_after("--db", str(edge_file), "status") & HEAVY == set()


@pytest.mark.parametrize(
    "args",
    [
        ["audit", "log"], ["dead-letters", "list"], ["executions", "list"], ["integrations", "list"],
        ["integrations", "show", "census"], ["integrations", "templates", "list"], ["producers", "list"],
        ["programs", "show", "1"], ["schema", "tables"], ["configuration", "get", "DCS_LIMITS"],
        ["configuration", "explain", "DCS_LIMITS", "daily_limit"], ["configuration", "types"],
    ],
)  # fmt: skip
def test_a_command_that_reads_does_without_the_models(edge_file: Path, args: list[str]) -> None:
    found = modules_after("--db", str(edge_file), *args, ends_well=False)
    assert found & (HEAVY | {"decimal", "logging"}) == set()
    assert not [name for name in found if name.startswith("edgekit.models")]


def test_a_command_that_writes_loads_no_driver_of_a_server(edge_file: Path) -> None:
    found = modules_after("--db", str(edge_file), "producers", "add", "code=P9", "name=Nine", ends_well=False)
    assert "peewee" in found
    assert found & {"psycopg", "psycopg2", "pymysql", "MySQLdb"} == set()


def test_a_run_over_a_file_of_this_machine_reaches_for_nothing_else(edge_file: Path, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("number,name\n1,Ann\n", encoding="utf-8")
    settings = [f"path={tmp_path / 'c.csv'}", "table=customer", "key=number", "create=true"]
    words = [word for setting in settings for word in ("--set", setting)]
    database = ("--db", str(edge_file))
    modules_after(*database, "integrations", "create", "c", "--template", "csv-import", *words)
    assert modules_after(*database, "integrations", "run", "c") & WAYS == set()


def test_sqlite_has_no_more_to_read_for_each_connection_than_was_agreed() -> None:
    """The text of the schema is parsed whenever a file is opened: what it costs goes by its tokens."""
    rows = schema.pristine().execute("SELECT type, sql FROM sqlite_schema WHERE sql NOT NULL").fetchall()
    texts = [re.sub(r"'[^']*'", "''", normalise(sql)) for kind, sql in rows if kind in {"trigger", "view"}]
    tables = sum(kind == "table" for kind, _ in rows)
    tokens = sum(len(text.split()) for text in texts)
    assert tokens / tables < 1040, f"{tokens} tokens of triggers and views for {tables} tables"


def test_importing_the_package_costs_nothing() -> None:
    code = "import sys, edgekit; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & (HEAVY | {"click", "sqlite3"}) == set()
