"""One line makes a reference table whole, and every one there is, is what its line makes."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgekit import naming, reference_table, schema
from edgekit.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.reference_table import Definition

ROOT = Path(__file__).parent.parent
DEFINITIONS = reference_table.registry()
BY_DESIGN = {
    "environment", "role", "relationship_type", "license_tier", "scope_type", "entity_category",
    "entity_reference_type", "business_context_type", "communication_channel", "communication_direction",
    "communication_status", "feature_type", "event_source", "workflow_type", "template_category",
    "marketplace_category", "pricing_model", "client_status", "subscription_status", "payment_status",
    "delivery_method", "package_type",
}  # fmt: skip
"""The open sets of values; `status` is one too, and is its own life cycle."""


def file_of(table: Definition) -> Path:
    (path,) = schema.schema_folder().glob(f"[0-9][0-9]_{table.word}.sql")
    return path


@pytest.mark.ledger("S0-131", "S0-10")
@pytest.mark.parametrize("table", DEFINITIONS, ids=lambda table: table.name)
def test_a_table_is_what_its_line_makes(table: Definition) -> None:
    assert reference_table.ddl(table) in file_of(table).read_text(encoding="utf-8")
    models = (ROOT / "edgekit" / "models" / f"{table.word}.py").read_text(encoding="utf-8")
    assert reference_table.model(table) in models
    after = models.split(reference_table.model(table), 1)[1]
    assert after[:2] in {"", "\n\n"}, "the model says more than its line"


@pytest.mark.ledger("S0-131")
def test_every_open_set_has_its_line() -> None:
    names = [table.name for table in DEFINITIONS]
    assert len(set(names)) == len(names)
    assert BY_DESIGN & set(naming.own_tables()) <= set(names)


def test_every_line_can_be_written_again() -> None:
    text = (schema.schema_folder() / reference_table.REGISTRY).read_text(encoding="utf-8")
    for line in text.splitlines():
        if not line.startswith("#"):
            assert reference_table.line(shlex.split(line)) == f"{line}\n"


def test_each_kind_of_column() -> None:
    table = reference_table.parse([
        "parties", "shelf", "One row is a shelf.", "tier:integer>=1!", "short_name:text(20)?",
        "long_name:text(99)", "side:choice(left|right)=left -- left: here; right: there", "is_top:single",
        "parent_shelf_id:tree",
    ])  # fmt: skip
    made = reference_table.ddl(table)
    connection = schema.pristine()
    connection.executescript(made)
    refused = [
        "tier = 0", "short_name = printf('%21d', 1)", "long_name = ''", "side = 'up'", "is_top = 2",
        "parent_shelf_id = id",
    ]  # fmt: skip
    insert = "INSERT INTO shelf(code, name, tier, long_name) VALUES (?, 'x', ?, 'x')"
    for number in (1, 2):
        connection.execute(insert, (f"S{number}", number))
    for change in refused:
        with pytest.raises(Exception, match=r"CHECK constraint failed: shelf\.|one of|ancestor|must"):
            connection.execute(f"UPDATE shelf SET {change} WHERE id = 1")
    connection.execute("UPDATE shelf SET parent_shelf_id = 1 WHERE id = 2")
    with pytest.raises(Exception, match="A shelf cannot be its own ancestor"):
        connection.execute("UPDATE shelf SET parent_shelf_id = 2 WHERE id = 1")
    connection.execute("UPDATE shelf SET is_top = 1 WHERE id = 1")
    with pytest.raises(Exception, match="UNIQUE"):
        connection.execute("UPDATE shelf SET is_top = 1 WHERE id = 2")
    assert connection.execute("SELECT side, is_top, tier FROM shelf").fetchall() == [
        ("left", 1, 1),
        ("left", 0, 2),
    ]
    assert 'side: Any = peewee.TextField(default="left")' in reference_table.model(table)
    assert "short_name: Any = peewee.TextField(null=True)" in reference_table.model(table)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "a word, a name and a sentence"),
        (["parties", "office_kind"], "a word, a name and a sentence"),
        (["parties", "OfficeKind", "One row is x."], "is no name for a table"),
        (["parties", "office; DROP", "One row is x."], "is no name for a table"),
        (["parties", "office_kind", "An office."], "needs its sentence"),
        (["parties", "office_kind", "One row is a kind"], "needs its sentence"),
        (["parties", "office_kind", "One row is x.", "size"], "'size' is no column"),
        (["parties", "office_kind", "One row is x.", "size:blob"], "is no column"),
        (["parties", "office_kind", "One row is x.", "size:text"], "is no column"),
        (["parties", "office_kind", "One row is x.", "size:choice()"], "is no column"),
        (["parties", "office_kind", "One row is x.", "open:boolean"], "is called is_"),
        (["parties", "office_kind", "One row is x.", "above_id:tree"], "is called parent_office_kind_id"),
    ],
)
def test_a_wrong_line_is_told(words: Sequence[str], said: str) -> None:
    with pytest.raises(InvalidError, match=said):
        reference_table.parse(words)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this checkout."""
    copy = tmp_path_factory.mktemp("checkout")
    without = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in ("edgekit", "schema", "seeds", "tests", "docs"):
        shutil.copytree(ROOT / name, copy / name, ignore=without)
    shutil.copyfile(ROOT / "pyproject.toml", copy / "pyproject.toml")
    return copy


def run(checkout: Path, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, *args], cwd=checkout, env=environment, check=check, capture_output=True, text=True,
        encoding="utf-8",
    )  # fmt: skip


LINE = [
    "parties", "office_kind", "One row is a kind of office, such as a branch.", "sort_order:integer=0",
    "is_public:boolean -- may customers walk in?", "parent_office_kind_id:tree",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.ledger("S0-131", "S0-130")
def test_one_line_makes_a_table_with_all_that_belongs_to_it(checkout: Path) -> None:
    run(checkout, "-m", "edgekit.reference_table", *LINE)

    def edgekit(*args: str) -> Any:
        return json.loads(run(checkout, "-m", "edgekit", "--db", "a.db", *args, "--json").stdout)

    edgekit("init", "a.db")
    made = edgekit("office-kinds", "add", "code=BRANCH", "name=Branch", "is_public=yes")
    assert (made["is_public"], made["sort_order"], made["status"]) == (True, 0, "ACTIVE")
    assert edgekit("office-kinds", "list") == [made]
    assert edgekit("office-kinds", "retire", "BRANCH")["status"] == "INACTIVE"
    assert {entry["table_name"] for entry in edgekit("audit", "log", "--table", "office_kind")} == {
        "office_kind"
    }
    assert edgekit("verify")["findings"] == []
    assert "may customers walk in?" in (checkout / "docs" / "dictionary.md").read_text(encoding="utf-8")
    assert (
        json.loads((checkout / "seeds" / "10_parties.json").read_text(encoding="utf-8"))["office_kind"] == []
    )
    tests = ["test_models.py", "test_violations.py", "test_audit_current.py", "test_schema_text.py"]
    for part in (["-k", "office_kind or generated", *(f"tests/{name}" for name in tests)],):
        done = run(checkout, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *part, check=False)
        assert done.returncode == 0, done.stdout
        assert " passed" in done.stdout
    again = run(checkout, "-m", "edgekit.reference_table", *LINE, check=False)
    assert (again.returncode, again.stderr) == (1, "error: There is already a reference table office_kind.\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["weather", "cloud_kind", "One row is a cloud."], "There is no word weather"),
        (["parties", "producer", "One row is a producer."], "There is already a table producer"),
    ],
)
def test_what_cannot_be_made_changes_nothing(checkout: Path, words: list[str], said: str) -> None:
    files = sorted(path for path in checkout.rglob("*") if path.suffix in {".sql", ".py", ".json", ".txt"})
    before = {path: path.read_bytes() for path in files}
    done = run(checkout, "-m", "edgekit.reference_table", *words, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert {path: path.read_bytes() for path in files} == before
