"""The house keeps its order: who may import what, which way references point, how long things get."""

from __future__ import annotations

import ast
import re
import sqlite3
import statistics
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgekit import schema

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "edgekit"

ORDER = [
    {"errors", "clock", "finding"},
    {"schema"},
    {"codec", "pattern", "crypto", "recurrence", "masking", "tracing"},
    {"jsonpath", "validate"},
    {"mapping"},
    {"rules", "transformation"},
    {"dictionary", "naming"},
    {"sqlite"},
    {"isolation"},
    {"lean"},
    {"binding"},
    {"db"},
    {"cache"},
    {"models", "bulk"},
    {"audit"},
    {"jobs"},
    {"seeds", "rows", "access"},
    {"reference_table"},
    {"parties", "insurance", "entities"},
    {"scope"},
    {"vault"},
    {"events"},
    {"licensing"},
    {"configuration"},
    {"communications"},
    {"file"},
    {"connectors"},
    {"integrations"},
    {"runner"},
    {"monitoring"},
    {"demo"},
    {"cli"},
    {"__main__"},
]
"""A module may import what stands before it, and its own word. Those on one line do not know each other."""

PURE = {
    "errors",
    "clock",
    "codec",
    "pattern",
    "crypto",
    "recurrence",
    "masking",
    "tracing",
    "jsonpath",
    "validate",
    "mapping",
    "connectors",
    "transformation",
}
"""These never see the file."""

IN_MEMORY = {"edgekit/connectors/sql_sqlite.py", "edgekit/transformation/sql.py"}
"""These have a database of their own in memory, or speak with somebody else's."""

DOORS = {
    "aiohttp": {"connectors"},
    "apscheduler": {"runner"},
    "click": {"cli"},
    "cronsim": {"recurrence.py"},
    "cryptography": {"crypto.py"},
    "defusedxml": {"connectors"},
    "filelock": {"runner", "connectors"},
    "fsspec": {"connectors"},
    "h11": {"runner"},
    "httpx2": {"connectors"},
    "iregexp_check": {"jsonpath.py"},
    "jmespath": {"transformation"},
    "jsonpath_rfc9535": {"jsonpath.py"},
    "jsonschema": {"validate", "validate.py"},
    "jsonschema_rs": {"validate", "validate.py"},
    "jsonschema_specifications": {"validate", "validate.py"},
    "keyring": {"vault"},
    "msgspec": {"codec.py"},
    "openfeature": {"licensing"},
    "openpyxl": {"connectors"},
    "opentelemetry": {"runner"},
    "paramiko": {"connectors"},
    "peewee": {"binding.py", "lean.py", "models"},
    "platformdirs": {"vault"},
    "psycopg": {"connectors"},
    "pymysql": {"connectors"},
    "pydantic_monty": {"transformation"},
    "quickjs": {"transformation"},
    "referencing": {"validate", "validate.py"},
    "regex": {"pattern.py"},
    "sqlite_utils": {"integrations"},
    "stamina": {"connectors"},
}
"""Each package comes in by one door."""

POSIX_ONLY = {"fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty"}

MODULES = sorted(PACKAGE.rglob("*.py"))


def where(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def word_of(path: Path) -> str:
    """Name the word a module belongs to: the first name below the package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def nodes(path: Path) -> list[ast.AST]:
    """Return every node of a file's syntax tree, looked through once for all tests."""
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Yield every imported module of a file, wherever in it the import stands."""
    package = ["edgekit", *path.relative_to(PACKAGE).parts[:-1]]
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(
                [*package[: len(package) - node.level + 1], *([node.module] if node.module else [])]
            )
            base = base if node.level else str(node.module)
            yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)


def test_a_word_imports_only_what_stands_before_it() -> None:
    rank = {name: number for number, line in enumerate(ORDER) for name in line}
    breaches = []
    for path in MODULES:
        word = word_of(path)
        if word == "__init__":
            continue  # the front door, which opens every other one late
        assert word in rank, f"{where(path)} has no place in the order"
        for name, line in imports(path):
            parts = name.split(".")
            if parts[0] != "edgekit" or len(parts) == 1 or parts[1] in {word, "__version__"}:
                continue
            if parts[1] not in rank or rank[parts[1]] >= rank[word]:
                breaches.append(f"{where(path)}:{line} imports {parts[1]}")
    assert breaches == []


def test_only_the_main_module_imports_the_command_line() -> None:
    users = {word_of(path) for path in MODULES for name, _ in imports(path) if name.startswith("edgekit.cli")}
    assert users <= {"cli", "__main__"}


def test_pure_words_never_see_the_file() -> None:
    breaches = []
    for path in MODULES:
        if word_of(path) not in PURE:
            continue
        for name, line in imports(path):
            parts = name.split(".")
            if (parts[0] == "sqlite3" and where(path) not in IN_MEMORY) or (
                parts[0] == "edgekit" and len(parts) > 1 and parts[1] not in PURE | {"schema", "__version__"}
            ):
                breaches.append(f"{where(path)}:{line} imports {name}")
    assert breaches == []


def third_party(path: Path) -> Iterator[tuple[str, int]]:
    for name, line in imports(path):
        top = name.split(".")[0]
        if top != "edgekit" and top not in sys.stdlib_module_names:
            yield top, line


def test_each_package_comes_in_by_one_door() -> None:
    breaches = []
    for path in MODULES:
        door = path.relative_to(PACKAGE).parts[0]
        breaches += [
            f"{where(path)}:{line} imports {package}"
            for package, line in third_party(path)
            if door not in DOORS.get(package, set())
        ]
    assert breaches == []


def test_each_imported_package_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["fast"]]
    for extra in (
        "files", "javascript", "keyring", "mysql", "openfeature", "otel", "postgres", "python-scripts",
        "sftp", "xlsx",
    ):  # fmt: skip
        lines += project["optional-dependencies"][extra]
    named = {
        "openfeature_sdk": "openfeature", "opentelemetry_exporter_otlp_proto_http": "opentelemetry",
        "opentelemetry_sdk": "opentelemetry", "quickjs_ng": "quickjs",
    }  # fmt: skip
    declared = {re.split(r"[<>=!~\[; ]", line)[0].replace("-", "_").lower() for line in lines}
    declared = {named.get(package, package) for package in declared}
    used = {package for path in MODULES for package, _ in third_party(path)}
    assert used - declared == set()
    unseen = {"aiohttp", "tzdata"}  # fsspec reads http by the one, zoneinfo zones on Windows by the other
    assert declared - used == unseen, "declared, and never imported"


def functions() -> list[tuple[int, str]]:
    """Measure every function: how many lines, and where it is."""
    return [
        ((node.end_lineno or 0) - node.lineno + 1, f"{where(path)}:{node.lineno} {node.name}")
        for path in MODULES
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def test_modules_and_functions_stay_short() -> None:
    lengths = {where(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: length for name, length in lengths.items() if length > 400} == {}
    assert [name for length, name in functions() if length > 60] == []
    assert statistics.median(length for length, _ in functions()) <= 15


_SQL = re.compile(
    r"\b(SELECT\s|INSERT\s+INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|PRAGMA\s|CREATE\s+TABLE)", re.IGNORECASE
)


def test_the_command_line_parses_calls_and_shows() -> None:
    """No SQL and no models in it, and one place where errors end."""
    breaches = []
    for path in MODULES:
        if word_of(path) != "cli":
            continue
        breaches += [
            f"{where(path)}:{line} imports {name}"
            for name, line in imports(path)
            if "models" in name.split(".")
        ]
        for node in nodes(path):
            # __init__ hears Ctrl-C before there is a group and behind it, and nothing else
            if isinstance(node, ast.ExceptHandler) and path.name not in {"group.py", "__init__.py"}:
                breaches.append(f"{where(path)}:{node.lineno} catches")
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _SQL.match(node.value):
                breaches.append(f"{where(path)}:{node.lineno} holds SQL")
    assert breaches == []


def test_only_the_command_line_prints_or_exits() -> None:
    forbidden = {"print", "input", "exit", "quit", "sys.exit", "os._exit"}
    breaches = [
        f"{where(path)}:{node.lineno} {ast.unparse(node.func)}"
        for path in MODULES
        if word_of(path) != "cli"
        for node in nodes(path)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in forbidden
    ]
    assert breaches == []


def test_nothing_needs_posix() -> None:
    """A module that only POSIX has may be imported where a condition or a `try` stands around it."""
    breaches = []
    for path in MODULES:
        guarded = {
            id(inner)
            for node in nodes(path)
            if isinstance(node, ast.If | ast.Try)
            for inner in ast.walk(node)
        }
        for node in nodes(path):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            if set(names) & POSIX_ONLY and id(node) not in guarded:
                breaches.append(f"{where(path)}:{node.lineno}")
    assert breaches == []


@pytest.fixture(scope="module")
def tables() -> tuple[sqlite3.Connection, dict[str, int]]:
    """The schema in memory, and the number of the file each table is made in."""
    connection = sqlite3.connect(":memory:")
    number_of: dict[str, int] = {}
    for name, script in schema.schema_scripts():
        connection.executescript(script)
        for (table,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'"):
            number_of.setdefault(table, int(name[:2]))
    return connection, number_of


def test_references_point_down_the_order(tables: tuple[sqlite3.Connection, dict[str, int]]) -> None:
    """`created_by` and `updated_by` alone may point up, to `user`."""
    connection, number_of = tables
    breaches = []
    for table, number in number_of.items():
        for column, parent in connection.execute(
            'SELECT "from", "table" FROM pragma_foreign_key_list(?)', (table,)
        ):
            if column not in {"created_by", "updated_by"} and number_of[parent] > number:
                breaches.append(f"{table}.{column} refers up to {parent}")
            assert column not in {"created_by", "updated_by"} or parent == "user"
    assert breaches == []


def test_every_schema_file_has_its_word() -> None:
    names = [name for name, _ in schema.schema_scripts()]
    assert names == sorted(names)
    assert len({name[:2] for name in names}) == len(names)
    assert all(re.fullmatch(r"\d\d_[a-z]+\.sql", name) for name in names)


def test_nothing_is_left_for_later() -> None:
    marks = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r")\b")
    files = [
        *MODULES,
        *(ROOT / "schema").rglob("*.sql"),
        *(ROOT / "seeds").rglob("*.json"),
        *(ROOT / "tests").rglob("*.py"),
    ]
    assert [where(path) for path in files if marks.search(path.read_text(encoding="utf-8"))] == []
