"""Reference rows: the rows themselves, applied once or often, and files of one's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import edgekit
from edgekit import models, schema, seeds
from edgekit.errors import InvalidError, NotFoundError, RuleError

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database


def rows(edge: Database, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in edge.query(sql)]


def everything(edge: Database) -> dict[str, list[dict[str, Any]]]:
    tables = edge.query("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'audit%'")
    return {row["name"]: edge.query(f'SELECT * FROM "{row["name"]}"') for row in tables}


@pytest.mark.ledger("S0-05")
def test_statuses(edge: Database) -> None:
    assert rows(edge, "SELECT id, code, is_active FROM status ORDER BY id") == [
        (1, "ACTIVE", 1),
        (2, "INACTIVE", 0),
        (3, "DEPRECATED", 0),
        (4, "DELETED", 0),
    ]


@pytest.mark.ledger("S0-116")
def test_entity_categories(edge: Database) -> None:
    assert rows(edge, "SELECT code, name, sort_order FROM entity_category ORDER BY sort_order") == [
        ("INTEGRATION", "API Integration", 1),
        ("PARTNER", "Business Partner", 2),
        ("VENDOR", "Vendor", 3),
        ("SYSTEM", "System", 4),
    ]


@pytest.mark.ledger("S0-119")
def test_directions(edge: Database) -> None:
    assert rows(edge, "SELECT code, name, description FROM communication_direction ORDER BY id") == [
        ("INBOUND", "Inbound", "Incoming"),
        ("OUTBOUND", "Outbound", "Outgoing"),
        ("BIDIRECTIONAL", "Bidirectional", "Both ways"),
    ]


@pytest.mark.ledger("S0-121")
def test_entity_reference_types(edge: Database) -> None:
    found = rows(edge, "SELECT code, name, table_name FROM entity_reference_type ORDER BY id")
    assert found == [
        ("SYSTEM", "System", "system"),
        ("USER", "User", "user"),
        ("ENTITY", "Entity", "entity"),
        ("PROGRAM", "Program", "program"),
        ("PRODUCER", "Producer", "producer"),
    ]
    tables = {row["name"] for row in edge.query("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert {table for _, _, table in found} <= tables
    assert models.EntityReferenceType.get(code="ENTITY").description == "An external entity"


@pytest.mark.ledger("S1-23")
def test_integration_types(edge: Database) -> None:
    sql = (
        "SELECT code, name, description, is_default, status_id FROM integration_type"
        " WHERE code GLOB 'DCS_*' ORDER BY id"
    )
    assert rows(edge, sql) == [
        ("DCS_DRIVER_API", "DCS Driver Verification", "Driver look-up and verification", 0, 1),
        ("DCS_VEHICLE_API", "DCS Vehicle Services", "Vehicle look-up and VIN decoding", 0, 1),
        ("DCS_CRIMINAL_API", "DCS Criminal Check", "Criminal background", 0, 1),
    ]


def test_what_other_rows_begin_with(edge: Database) -> None:
    assert rows(edge, "SELECT id, code, name FROM organization") == [(1, "MAIN", "Test Agency")]
    assert rows(edge, "SELECT u.id, username, r.code FROM user u JOIN role r ON r.id = u.role_id") == [
        (1, "system", "ADMIN")
    ]
    assert rows(edge, "SELECT s.id, e.code FROM system s JOIN environment e ON e.id = s.environment_id") == [
        (1, "PRODUCTION")
    ]
    assert rows(edge, "SELECT code FROM license_tier ORDER BY tier_rank") == [
        ("BASIC",),
        ("STANDARD",),
        ("PREMIUM",),
        ("ENTERPRISE",),
    ]
    assert rows(edge, "SELECT code FROM environment ORDER BY id") == [
        ("PRODUCTION",),
        ("STAGING",),
        ("DEVELOPMENT",),
    ]
    assert edge.query("PRAGMA foreign_key_check") == []


def test_every_code_is_upper_snake(edge: Database) -> None:
    for path in sorted(schema.seed_folder().glob("[0-9]*.json")):
        for table, found in json.loads(path.read_text(encoding="utf-8")).items():
            for row in found if table != "integration_template" else []:  # named as its package is
                code = row.get("code", "X")
                assert code == code.upper(), f"{path.name}: {table} {code}"
                assert code.replace("_", "").isalnum(), f"{path.name}: {table} {code}"


@pytest.mark.ledger("S0-123")
def test_applying_twice_changes_nothing(edge: Database) -> None:
    before = everything(edge)
    added = seeds.apply()
    assert set(added) >= {"status", "role", "integration_type"}
    assert set(added.values()) == {0}
    assert everything(edge) == before


@pytest.mark.ledger("S0-123")
def test_what_somebody_changed_or_took_away(edge: Database) -> None:
    with edge.change():
        models.Role.update(name="Boss", status=2).where(models.Role.code == "ADMIN").execute()
        models.TemplateCategory.delete().where(models.TemplateCategory.code == "HR").execute()
    assert seeds.apply()["template_category"] == 1
    admin = models.Role.get(code="ADMIN")
    assert (admin.name, admin.status_id) == ("Boss", 2), "an edit survives"
    assert models.TemplateCategory.get(code="HR").name == "Human resources", "a missing row comes back"


def written(folder: Path, content: Any) -> str:
    path = folder / "own.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


def test_a_file_of_ones_own(edge: Database, tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {
            "entity_category": [{"code": "LAB", "name": "Zürich"}],
            "entity_type": [
                {"code": "LAB", "name": "Lab", "category_id": "LAB", "metadata_schema": {"title": "Prüfung"}}
            ],
            "integration_type": [
                {
                    "code": "LAB",
                    "name": "Lab",
                    "is_default": True,
                    "status_id": "INACTIVE",
                    "feature_id": "API_INTEGRATIONS",
                }
            ],
        },
    )
    assert seeds.apply([path]) == {"entity_category": 1, "entity_type": 1, "integration_type": 1}
    kind = models.EntityType.get(code="LAB")
    assert (kind.category.name, kind.metadata_schema) == ("Zürich", {"title": "Prüfung"})
    own = models.IntegrationType.get(code="LAB")
    assert (own.is_default, own.status_id) == (True, 2)
    assert set(seeds.apply([path]).values()) == {0}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"no_such": []}, "there is no table no_such"),
        ({"audit_log": [{"seq": 1}]}, "there is no table audit_log"),
        ({"sqlite_sequence": [{"name": "x"}]}, "there is no table sqlite_sequence"),
        ({"role": [{"code": "A", "name": "A", "colour": "red"}]}, "role has no column colour"),
        ({"role": [{"name": "A"}]}, "a row of role has no code"),
        ({"user": [{"username": "ann", "role_id": "BOSS"}]}, "role_id names BOSS, which is no code of role"),
        ({"role": {"code": "A"}}, "must be an object of tables"),
        (["role"], "must be an object of tables"),
        ({"role": [7]}, "a row of role is not an object"),
        ("{", "is not readable JSON"),
    ],
)
def test_a_wrong_file_is_named_and_adds_nothing(
    edge: Database, tmp_path: Path, content: Any, said: str
) -> None:
    if isinstance(content, dict) and not isinstance(content.get("role"), dict):
        content = {"event_source": [{"code": "FIRST", "name": "First"}], **content}
    path = written(tmp_path, content)
    with pytest.raises(InvalidError, match=said) as caught:
        seeds.apply([path])
    assert "own.json" in caught.value.message
    assert models.EventSource.get_or_none(code="FIRST") is None


def test_a_row_the_file_refuses(edge: Database, tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=r"role\.name must not be empty"):
        seeds.apply([written(tmp_path, {"role": [{"code": "A"}]})])


def test_a_file_that_is_not_there(edge: Database, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="There is no seed file"):
        seeds.apply([str(tmp_path / "none.json")])


def test_create_says_which_environments_there_are(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="it is one of: production, staging, development"):
        edgekit.create(tmp_path / "a.db", environment="moon")
    with pytest.raises(InvalidError, match="The organization needs a name"):
        edgekit.create(tmp_path / "a.db", organization="  ")
    assert list(tmp_path.glob("*.db*")) == []
