"""Columns that hold a JSON Schema: one validator looks at all of them, whoever writes through us."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from edgekit import models, schema, seeds, validate
from edgekit.errors import InvalidError
from edgekit.models.base import JsonField, SchemaField

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database

SCHEMA_COLUMNS = [
    field
    for name in models.__all__
    for field in getattr(models, name)._meta.sorted_fields
    if isinstance(field, JsonField) and seeds.holds_schema(field.column_name)
]
BROKEN = [
    {"type": "objekt"},
    {"type": "object", "properties": {"limit": {"type": "integer", "minimum": "none"}}},
    {"type": "object", "properties": []},
    {"enum": "basic"},
]


@pytest.mark.ledger("S0-126")
def test_every_column_for_a_schema_is_looked_at() -> None:
    named = {f"{field.model._meta.table_name}.{field.column_name}" for field in SCHEMA_COLUMNS}
    assert {
        "entity_type.metadata_schema",
        "configuration_type.schema_definition",
        "feature.configuration_schema",
        "communication_type.request_schema",
        "communication_type.response_schema",
    } <= named
    assert [field for field in SCHEMA_COLUMNS if not isinstance(field, SchemaField)] == []


@pytest.mark.ledger("S0-126")
@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_schema_is_refused_when_saved(edge: Database, broken: dict[str, Any]) -> None:
    category = models.EntityCategory.get(code="PARTNER")
    sound = {"type": "object", "properties": {"limit": {"type": "integer", "default": 5}, "k": {"enum": [1]}}}
    with pytest.raises(InvalidError, match="metadata_schema"), edge.change():
        models.EntityType.create(code="LAB", name="Lab", category=category, metadata_schema=broken)
    with edge.change():
        row = models.EntityType.create(code="LAB", name="Lab", category=category, metadata_schema=sound)
    row.metadata_schema["type"] = "thing"
    with pytest.raises(InvalidError, match="metadata_schema"), edge.change():
        row.save()
    with pytest.raises(InvalidError, match="metadata_schema is not JSON"), edge.change():
        models.EntityType.update(metadata_schema="{").execute()
    assert models.EntityType.get(code="LAB").metadata_schema == sound


@pytest.mark.ledger("S0-126")
def test_a_seed_file_with_a_broken_schema_is_refused(edge: Database, tmp_path: Path) -> None:
    row = {"code": "X", "name": "X", "category_id": "PARTNER", "metadata_schema": {"type": "objekt"}}
    path = tmp_path / "own.json"
    path.write_text(json.dumps({"entity_type": [row]}))
    with pytest.raises(InvalidError, match=r"own\.json.*metadata_schema"):
        seeds.apply([str(path)])
    assert not models.EntityType.select().where(models.EntityType.code == "X").exists()


def test_the_schemas_that_come_with_edgekit_are_sound() -> None:
    for path in sorted(schema.seed_folder().rglob("*.json")):
        for table, rows in json.loads(path.read_text(encoding="utf-8")).items():
            for row in rows if isinstance(rows, list) else ():
                for column, value in row.items():
                    if seeds.holds_schema(column) and value is not None:
                        validate.check_schema(value, f"{path.name}: {table}.{column}")
