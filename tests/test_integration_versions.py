"""The versions of an integration's settings: listed, compared, brought back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from edgekit import db, integrations, models, runner
from edgekit.cli.root import edgekit as command
from edgekit.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database


def change(**settings: Any) -> None:
    row = models.Integration.get(integration_name="people")
    row.connection_config = {**row.connection_config, **settings}
    row.save()


@pytest.mark.ledger("S2-35")
def test_settings_are_listed_compared_and_brought_back(edge: Database) -> None:
    settings = {"path": "a.csv", "table": "person", "key": "number", "create": "true"}
    integrations.create("people", template="csv-import", settings=settings)
    (first,) = integrations.history("people")
    with edge.change(reason="a second file"):
        change(path="b.csv", note="x")
    with edge.change():
        models.Integration.update(health_status="healthy").execute()  # fares otherwise, says the same
    newest, oldest = integrations.history("people")
    assert (oldest.version, oldest.settings) == (first.version, first.settings)
    assert (newest.version, newest.keys) == (first.version + 1, ("note", "path"))
    assert str(newest.reason).startswith("a second file")
    told = integrations.diff("people", oldest.version, newest.version)
    assert [(d.key, d.old, d.new, d.old_is_set) for d in told] == [
        ("note", None, "x", False), ("path", "a.csv", "b.csv", True),
    ]  # fmt: skip
    back = integrations.rollback("people", oldest.version)
    assert back["settings"] == first.settings
    assert next(iter(integrations.history("people"))).version == newest.version + 1
    integrations.rollback("people", oldest.version)  # so already: no version
    assert len(integrations.history("people")) == 3
    with pytest.raises(NotFoundError, match="no version 9") as caught:
        integrations.rollback("people", 9)
    assert "Versions are 3, 2, 1." in str(caught.value.hint)
    path = edge.path
    edge.close()

    def run(*args: str) -> Any:
        done = CliRunner().invoke(command, ["--db", str(path), "integrations", *args, "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.output)

    assert [v["version"] for v in run("history", "people")] == [3, 2, 1]
    assert run("diff", "people", "1", "2")[0]["key"] == "note"
    assert run("rollback", "people", "2")["settings"]["path"] == "b.csv"


def test_settings_are_changed_as_the_next_version(edge: Database, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("code\na\n", encoding="utf-8")
    integrations.create("own", template="csv-import", settings={"path": str(path), "table": "item"})
    found = integrations.set_settings("own", {"batch_size": "50", "key": "code"})
    assert (found["settings"]["batch_size"], found["settings"]["key"]) == (50, "code")
    assert integrations.set_settings("own", {}, unset=["batch_size"])["settings"].keys() == {
        "connector", "format", "key", "path", "table",
    }  # fmt: skip
    assert [one.version for one in integrations.history("own")] == [3, 2, 1]
    integrations.set_settings("own", {"key": "code"})
    assert len(integrations.history("own")) == 3, "what is so already is no version"
    for wrong, words in (({"kee": "x"}, "no setting kee"), ({"batch_size": "many"}, "batch_size")):
        with pytest.raises(InvalidError, match=words):
            integrations.set_settings("own", wrong)
    with pytest.raises(InvalidError, match="no setting nothing"):
        integrations.set_settings("own", {}, unset=["nothing"])
    with pytest.raises(InvalidError, match="Which file"):
        integrations.set_settings("own", {}, unset=["path"])
    assert len(integrations.history("own")) == 3


def test_an_integration_is_tried_whole_and_retired_by_command(edge: Database, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("code\na\n", encoding="utf-8")
    settings = {"path": str(path), "table": "item", "key": "code", "create": True}
    integrations.create("own", template="csv-import", settings=settings)
    runner.run("own")
    (mapping,) = models.IntegrationMapping.select()
    test = {"mapping": mapping.id, "test_name": "a", "input_data": {"code": "a"}}
    with db.change():
        models.IntegrationMappingTest.create(expected_output={"code": "a"}, **test)
    tried = runner.test_integration("own")
    assert ("readiness", "passed") in {(one.kind, one.status) for one in tried}
    assert ("mapping test", "code: a", "passed") in {(one.kind, one.name, one.status) for one in tried}
    with db.change():
        models.IntegrationMappingTest.update(expected_output={"code": "b"}).execute()
    edge.close()
    tried_by_hand = CliRunner().invoke(command, ["--db", str(edge.path), "integrations", "test", "own"])
    assert tried_by_hand.exit_code == 4
    assert "mapping test code: a" in tried_by_hand.output
    done = CliRunner().invoke(command, ["--db", str(edge.path), "integrations", "retire", "own"])
    assert done.exit_code == 0, done.output
    listed = CliRunner().invoke(command, ["--db", str(edge.path), "integrations", "list", "--json"])
    assert json.loads(listed.output) == []
