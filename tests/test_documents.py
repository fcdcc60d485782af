"""A JSON column that follows the schema of its row's type is refused where it does not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from edgekit import db, integrations, models, rows, runner
from edgekit.errors import RuleError

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database

SCHEMA = {"type": "object", "required": ["phone"], "properties": {"phone": {"type": "string"}}}


@pytest.fixture
def broker(edge: Database) -> Database:
    kind = {"code": "BROKER", "name": "Broker", "category_id": "1", "metadata_schema": json.dumps(SCHEMA)}
    rows.add("entity_type", kind)
    return edge


def entity(**values: Any) -> dict[str, Any]:
    return {"code": "B1", "name": "One", "entity_type": "BROKER", **values}


@pytest.mark.ledger("S0-47")
def test_the_metadata_of_an_entity_is_as_its_type_says(broker: Database) -> None:
    with pytest.raises(RuleError, match=r"entity\.metadata is not as its type says: phone") as caught:
        rows.add("entity", entity(metadata='{"phone": 5}'))
    assert (caught.value.table, caught.value.column, caught.value.code) == ("entity", "metadata", "schema")
    with pytest.raises(RuleError, match="phone"):
        rows.add("entity", entity(metadata="{}"))
    made = rows.add("entity", entity(metadata='{"phone": "1"}'))
    with pytest.raises(RuleError, match="phone"):
        rows.set_values("entity", made["id"], {"metadata": "{}"})
    with db.change():
        stored = models.Entity.get_by_id(made["id"])
        stored.metadata["phone"] = None
        with pytest.raises(RuleError, match="phone"):
            stored.save()
        with pytest.raises(RuleError, match="phone"):
            models.Entity.create(code="B2", name="Two", entity_type=stored.entity_type_id, metadata={})
        models.Entity.create(code="B3", name="Three", entity_type=stored.entity_type_id)
    assert json.loads(db.query("SELECT metadata FROM entity WHERE code = 'B1'")[0]["metadata"]) == {
        "phone": "1"
    }


@pytest.mark.ledger("S0-47")
def test_another_type_has_another_schema(broker: Database) -> None:
    made = rows.add("entity", entity(entity_type="API_INTEGRATION", metadata="{}"))
    with pytest.raises(RuleError, match="phone"):
        rows.set_values("entity", made["id"], {"entity_type": "BROKER"})


@pytest.mark.ledger("S0-47")
def test_what_is_imported_follows_it_too(broker: Database, tmp_path: Path) -> None:
    lines = [
        {"code": "I1", "name": "Good", "type": "BROKER", "metadata": {"phone": "1"}},
        {"code": "I2", "name": "Bad", "type": "BROKER", "metadata": {"phone": 1}},
    ]
    path = tmp_path / "entities.ndjson"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    names = {"name": "name", "code": "code", "metadata": "metadata"}
    mappings: list[dict[str, Any]] = [{"source_path": a, "target_path": b} for a, b in names.items()]
    mappings[2]["target_data_type"] = "json"
    lookup = {"type": "lookup", "table": "entity_type", "match": "code"}
    mappings.append({"source_path": "type", "target_path": "entity_type_id", "transformation_rules": lookup})
    settings = {"path": str(path), "table": "entity", "key": "code"}
    integrations.create(
        "brokers", template="ndjson-import", settings=settings, customizations={"mappings": mappings}
    )
    result = runner.run("brokers")
    assert (result.records_written, result.dead_letters) == (1, 1)
    (letter,) = runner.list_dead_letters()
    assert "entity.metadata is not as its type says" in letter["error_message"]
    path.write_text(json.dumps(lines[0] | {"metadata": {"phone": 2}}), encoding="utf-8")
    with db.change():
        db.connection().execute(
            "UPDATE integration_mapping SET status_id = 2 WHERE target_path = 'entity_type_id'"
        )
    assert runner.run("brokers").dead_letters == 1, "the row that is there says its type"


@pytest.mark.ledger("S0-47")
def test_an_import_cannot_give_a_row_a_type_that_its_metadata_does_not_follow(
    broker: Database, tmp_path: Path
) -> None:
    rows.add("entity", entity(entity_type="API_INTEGRATION", metadata="{}"))
    path = tmp_path / "types.ndjson"
    path.write_text(json.dumps({"code": "B1", "name": "One", "type": "BROKER"}), encoding="utf-8")
    lookup = {"type": "lookup", "table": "entity_type", "match": "code"}
    mappings: list[dict[str, Any]] = [
        {"source_path": "code", "target_path": "code"},
        {"source_path": "name", "target_path": "name"},
        {"source_path": "type", "target_path": "entity_type_id", "transformation_rules": lookup},
        {"source_path": "more", "target_path": "metadata", "is_required": True, "error_handling": "skip"},
    ]
    settings = {"path": str(path), "table": "entity", "key": "code"}
    for number in (4, 3):  # the metadata is left out, and then not mapped at all
        integrations.create(
            f"types {number}", template="ndjson-import", settings=settings,
            customizations={"mappings": mappings[:number]},
        )  # fmt: skip
        assert runner.run(f"types {number}").dead_letters == 1
    (kept,) = db.query(
        "SELECT t.code FROM entity e JOIN entity_type t ON t.id = e.entity_type_id WHERE e.code = 'B1'"
    )
    assert kept["code"] == "API_INTEGRATION"
