"""The versions of an integration's settings: listed, compared, brought back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from edgekit import integrations, models
from edgekit.cli.root import edgekit as command
from edgekit.errors import NotFoundError

if TYPE_CHECKING:
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
