"""Reference rows: the rows themselves, applied once or often, and files of one's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

import edgekit
from edgekit import integrations, models, schema, seeds, vault
from edgekit.cli import root
from edgekit.demo import sample
from edgekit.errors import ConflictError, DeniedError, InvalidError, NotFoundError, RuleError

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
        ("INSURED", "Insured", "insured"),
        ("ORGANIZATION", "Organization", "organization"),
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
        (1, "DEVELOPMENT")
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
    with pytest.raises(DeniedError, match="cannot be read"):
        seeds.apply([str(tmp_path)])


def test_create_says_which_environments_there_are(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="it is one of: production, staging, development"):
        edgekit.create(tmp_path / "a.db", environment="moon")
    with pytest.raises(InvalidError, match="The organization needs a name"):
        edgekit.create(tmp_path / "a.db", organization="  ")
    assert list(tmp_path.glob("*.db*")) == []


def sampled(edge: Database) -> dict[str, list[dict[str, Any]]]:
    """Apply everything there is, and read all rows back."""
    seeds.apply()
    sample.apply()
    return everything(edge)


@pytest.mark.ledger("C-16", "S0-123")
def test_the_sample_rows_come_only_when_asked_for_and_only_once(edge: Database) -> None:
    assert models.Program.select().count() == models.Policy.select().count() == 0
    vault.init()
    first = sampled(edge)
    assert first["program"][0]["code"] == "AUTO"
    assert first["program"][0]["id"] == 1
    entries = edge.query("SELECT count(*) AS n FROM audit_log")
    assert sampled(edge) == first
    assert edge.query("SELECT count(*) AS n FROM audit_log") == entries
    assert sample.apply().added.keys() >= {"program", "policy", "integration", "configuration"}
    assert set(sample.apply().added.values()) == {0}
    assert edge.query("PRAGMA foreign_key_check") == []


@pytest.mark.ledger("C-16")
def test_the_sample_is_one_of_each_thing(edge: Database) -> None:
    added = sample.apply().added
    assert (added["program"], added["producer"], added["insured"], added["quote"], added["policy"]) == (
        2,
        1,
        1,
        1,
        1,
    )
    policy = models.Policy.get(policy_number="P-SAMPLE-1")
    assert (policy.program.code, policy.producer.code, policy.quote.quote_number) == (
        "AUTO",
        "HARBOR",
        "Q-SAMPLE-1",
    )
    (driver,) = edge.query("SELECT d.last_name FROM policy_driver p JOIN driver d ON d.id = p.driver_id")
    (vehicle,) = edge.query("SELECT v.vin FROM policy_vehicle p JOIN vehicle v ON v.id = p.vehicle_id")
    assert (driver["last_name"], vehicle["vin"]) == ("Sample", "1HGCM82633A004352")


@pytest.mark.ledger("S0-72", "S1-19")
def test_the_sample_sets_what_differs_for_program_1(edge: Database) -> None:
    sample.apply()
    found = edge.query(
        "SELECT t.code, c.config_data FROM configuration c JOIN configuration_type t"
        " ON t.id = c.configuration_type_id JOIN scope_type s ON s.id = c.scope_type_id"
        " WHERE s.code = 'PROGRAM' AND c.scope_id = 1"
    )
    assert {row["code"]: json.loads(row["config_data"]) for row in found} == {
        "COMMUNICATION_DEFAULTS": {"default_timeout_seconds": 45, "default_retry_attempts": 5},
        "DCS_CREDENTIALS": {"account_number": "PROG1_12345", "department_id": 4},
        "DCS_LIMITS": {"requests_per_minute": 50},
    }


@pytest.mark.ledger("S1-24")
def test_the_sample_has_an_integration_of_each_type_of_the_provider(edge: Database) -> None:
    sample.apply()
    found = rows(
        edge,
        "SELECT t.code, i.status_id, i.created_by FROM integration i JOIN integration_type t"
        " ON t.id = i.integration_type_id ORDER BY t.code",
    )
    assert found == [("DCS_CRIMINAL_API", 1, 1), ("DCS_DRIVER_API", 1, 1), ("DCS_VEHICLE_API", 1, 1)]


@pytest.mark.ledger("S1-51")
def test_the_sample_credentials_are_made_up_where_the_vault_keeps_them(edge: Database) -> None:
    first = sample.apply()
    assert first.added["integration_credential"] == 0
    assert "edgekit vault init" in first.notes[0]
    assert edge.query("SELECT 1 FROM integration_credential") == []
    vault.init()
    second = sample.apply()
    assert (second.added["integration_credential"], second.notes) == (2, [])
    name = "dcs-drivers"
    made = {
        key: integrations.get_credential(name, key, environment="PRODUCTION")
        for key in ("username", "password")
    }
    assert len(made["password"]) > 20
    for path in schema.seed_folder().rglob("*.json"):
        assert made["password"] not in path.read_text(encoding="utf-8")
        assert '"password": "' not in path.read_text(encoding="utf-8")
    third = sample.apply()
    assert third.added["integration_credential"] == 0
    assert integrations.get_credential(name, "password", environment="PRODUCTION") == made["password"]


@pytest.mark.ledger("S1-51")
def test_two_files_have_other_sample_credentials(tmp_path: Path) -> None:
    made = []
    for number in (1, 2):
        edgekit.create(tmp_path / f"{number}.db")
        with edgekit.open(tmp_path / f"{number}.db"):
            vault.init()
            sample.apply()
            made.append(integrations.get_credential("dcs-drivers", "password", environment="PRODUCTION"))
    assert made[0] != made[1]


@pytest.mark.ledger("C-16")
@pytest.mark.parametrize("case", ["other", "gone", "elsewhere"])
def test_a_file_whose_program_1_is_its_own_gets_no_sample(edge: Database, case: str) -> None:
    with edge.change():
        models.Program.create(code="LIFE", name="Life")
        if case == "elsewhere":
            models.Program.create(code="AUTO", name="Cars")
        if case == "gone":
            models.Program.delete().execute()
    before = everything(edge)
    with pytest.raises(
        ConflictError, match=r"Program 1 of this file is .*, not the sample's AUTO: no sample row"
    ):
        sample.apply()
    assert everything(edge) == before


def test_the_samples_own_program_may_have_another_name(edge: Database) -> None:
    with edge.change():
        models.Program.create(code="auto", name="Our cars")
    assert sample.apply().added["program"] == 1
    assert models.Program.get_by_id(1).name == "Our cars"


def test_the_sample_from_the_command_line(edge_file: Path, tmp_path: Path) -> None:
    def run(*args: str) -> Any:
        return CliRunner().invoke(root.edgekit, ["--db", str(edge_file), "seeds", "apply", *args])

    first = json.loads(run("demo", "--json").stdout)
    assert first["added"]["policy"] == 1
    assert "vault init" in first["notes"][0]
    assert json.loads(run("demo", "--json").stdout)["added"] == {}
    own = written(tmp_path, {"program": [{"code": "BOAT", "name": "Boats"}]})
    assert json.loads(run("demo", own, "--json").stdout)["added"] == {"program": 1}
    assert "Every row is there already." in run("demo").stdout
    with edgekit.open(edge_file) as db, db.change():
        models.Program.update(code="LIFE").where(models.Program.id == 1).execute()
    refused = run("demo")
    assert (refused.exit_code, refused.stdout) == (6, "")
    assert refused.stderr.startswith("error: Program 1 of this file is LIFE, not the sample's AUTO")
