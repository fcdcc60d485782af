"""Mappings edited one by one: reasons, versions, what came before, and what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from edgekit import integrations
from edgekit.cli import root
from edgekit.errors import ConflictError, InvalidError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database


@pytest.fixture
def cars(edge: Database) -> Database:
    integrations.create(
        "cars", template="csv-import", settings={"path": "cars.csv", "table": "vehicle", "key": "vin"},
        customizations={"mappings": [{"source_path": "VIN", "target_path": "vin"}]},
    )  # fmt: skip
    return edge


@pytest.mark.ledger("S4-05", "S4-09")
def test_a_change_has_its_reason_and_its_version(cars: Database) -> None:
    added = integrations.add_mapping("cars", {"source_path": "Year", "target_path": "model_year"})
    assert (added["version"], added["change_reason"], added["live_version"]) == (1, "new_integration", 1)
    changed = integrations.set_mapping(
        "cars", "model_year", {"target_data_type": "integer"}, reason="field_change"
    )
    assert (changed["version"], changed["change_reason"]) == (2, "field_change")
    same = integrations.set_mapping(
        "cars", "model_year", {"target_data_type": "integer"}, reason="optimization"
    )
    assert (same["version"], same["change_reason"]) == (2, "field_change"), "nothing was changed"
    with pytest.raises(InvalidError, match="no reason because"):
        integrations.set_mapping("cars", "model_year", {"is_required": True}, reason="because")
    history = integrations.mapping_history("cars", "model_year")
    assert [(one.version, one.change_reason) for one in history] == [
        (2, "field_change"),
        (1, "new_integration"),
    ]
    assert history[0].keys == ("target_data_type",)
    (difference,) = integrations.diff_mapping("cars", "model_year", 1, 2)
    assert (difference.old, difference.new) == (None, "integer")
    back = integrations.rollback_mapping("cars", "model_year", 1)
    assert (back["version"], back["target_data_type"], back["change_reason"]) == (3, None, "troubleshooting")
    with pytest.raises(NotFoundError, match="no version 9"):
        integrations.rollback_mapping("cars", "model_year", 9)


def test_a_retired_mapping_takes_no_part_and_comes_back(cars: Database) -> None:
    integrations.retire_mapping("cars", "vin", reason="model_update")
    assert integrations.list_mappings("cars") == []
    assert not integrations.mapping_history("cars", "vin")[0].is_active
    back = integrations.add_mapping("cars", {"source_path": "$.Vin", "target_path": "vin", "name": "number"})
    assert (back["version"], back["source_path"], back["name"]) == (3, "$.Vin", "number")
    integrations.rollback_mapping("cars", "number", 1)
    assert [row["name"] for row in integrations.list_mappings("cars")] == ["vin"]


def test_a_bad_mapping_is_not_kept(cars: Database) -> None:
    for values, said in (
        ({"source_path": "$[", "target_path": "make"}, "is not JSONPath"),
        ({"source_path": "a"}, "needs target_path"),
        ({"source_path": "a", "target_path": "make", "colour": 1}, "has no field colour"),
        ({"source_path": "a", "target_path": "make", "transformation_rules": "trim"}, "is a JSON object"),
        ({"source_path": "a", "target_path": "make", "mapping_type": "custom"}, "needs transformation rules"),
        ({"source_path": "a", "target_path": "make", "mapping_direction": "up"}, "no direction up"),
    ):
        with pytest.raises(InvalidError, match=said):
            integrations.add_mapping("cars", values)
    assert len(integrations.list_mappings("cars")) == 1
    with pytest.raises(InvalidError, match="is not JSONPath"):
        integrations.set_mapping("cars", "vin", {"source_path": "$["}, reason="field_change")
    assert integrations.show_mapping("cars", "vin")["source_path"] == "VIN"
    for target, name in (("vin", None), ("VIN", None), ("make", "VIN")):
        with pytest.raises(ConflictError, match="has a mapping vin"):
            integrations.add_mapping("cars", {"source_path": "a", "target_path": target, "name": name})


def test_it_is_said_which_paths_are_searched(cars: Database) -> None:
    join = {"type": "concat", "paths": ["a", "$..b"]}
    integrations.add_mapping("cars", {"source_path": "$.d[*].n", "target_path": "make"})
    integrations.add_mapping(
        "cars", {"source_path": "a", "target_path": "model", "transformation_rules": join}
    )
    listed = {row["name"]: row["is_compiled"] for row in integrations.list_mappings("cars")}
    assert listed == {"vin": True, "make": False, "model": False}
    assert integrations.show_mapping("cars", "model")["searched_paths"] == ["$..b"]


def test_the_commands_change_mappings(cars: Database, edge_file: Path) -> None:
    cars.close()

    def say(*words: str) -> Any:
        done = CliRunner().invoke(
            root.edgekit, ["--db", str(edge_file), "mappings", *words], prog_name="edgekit"
        )
        assert done.exit_code == 0, done.output
        return done.output

    rules = 'transformation_rules={"type": "upper"}'
    added = say("add", "cars", "source_path=Make", "target_path=make", rules, "is_required=yes", "--json")
    assert json.loads(added)["is_required"] is True
    say("set", "cars", "make", "is_required=no", "transformation_rules=", "--reason", "troubleshooting")
    assert "searched" not in say("list", "cars")
    assert "is_required" in say("diff", "cars", "make", "1", "2")
    say("rollback", "cars", "make", "1")
    say("retire", "cars", "make", "--reason", "model_update")
    versions = json.loads(say("history", "cars", "make", "--json"))
    assert (versions[0]["version"], versions[0]["is_active"]) == (4, False)
    assert versions[0]["change_reason"] == "model_update"
