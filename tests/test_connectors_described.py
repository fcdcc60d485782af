"""What a connector can be told is read off its schema, its secrets marked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from edgekit import connectors
from edgekit.cli.root import edgekit as command
from edgekit.errors import NotFoundError
from edgekit.integrations import forms


def settings(schema: Any, inside: str = "") -> dict[str, Any]:
    """Gather all properties of a schema, those of objects inside too."""
    found = {}
    for name, about in (schema or {}).get("properties", {}).items():
        found[inside + name] = about
        found |= settings(about, f"{inside}{name}.") if isinstance(about, dict) else {}
    return found


@pytest.mark.parametrize("name", connectors.names())
def test_every_setting_that_names_a_secret_says_so(name: str) -> None:
    found = connectors.show_connector(name)
    for schema in (found.read_schema, found.write_schema):
        for setting, about in settings(schema).items():
            last = setting.rpartition(".")[2]
            if last == "secret" or last.endswith(("_secret", "password")):
                assert about.get("x-secret"), f"{name}: {setting}"


def test_what_a_template_asks_for_is_what_the_schema_marks() -> None:
    marked = {one.name: one.secret for one in connectors.show_connector("http").reads or ()}
    for kind, wanted in forms._AUTH_SECRETS.items():
        for setting in wanted:
            assert marked.get(f"auth.{setting}"), kind


def test_the_commands() -> None:
    listed = CliRunner().invoke(command, ["connectors", "list", "--json"])
    by_name = {one["name"]: one for one in json.loads(listed.output)}
    assert by_name.keys() >= {"file", "http", "singer", "smtp", "sql", "table", "webhook"}
    assert (by_name["smtp"]["reads"], by_name["event"]["writes"]) == (None, None)
    assert "private_key" in by_name["file"]["secrets"]
    shown = CliRunner().invoke(command, ["connectors", "show", "http"])
    assert shown.exit_code == 0
    assert "auth.client_secret_secret" in shown.output
    assert "pagination.next_path" in shown.output
    assert (
        "cannot be written to" in CliRunner().invoke(command, ["connectors", "show", "event", "--to"]).output
    )
    with pytest.raises(NotFoundError, match="no connector 'soap'"):
        connectors.show_connector("soap")
