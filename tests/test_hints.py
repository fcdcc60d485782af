"""Commands in hints and messages: a shell takes a name with a space in it as one word."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgekit import integrations, runner, vault
from edgekit.connectors import singer_secrets
from edgekit.errors import EdgekitError, quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgekit.db import Database

PACKAGE = Path(__file__).parent.parent / "edgekit"

CODES = {
    "''.join(given)", "_percent(str(file))", "channel", "code",
    "column.removesuffix('_ciphertext')", "communication_id",
    "decision.feature", "event", "event_id", "execution", "found['id']", "how", "job['id']", "kind",
    "kind.code", "len(ordered)", "letter['id']",
    "master.FILE_VARIABLE", "missing[0].feature", "number", "one['id']", "place",
    "registry.OVERRIDES", "secret", "service.channel", "shape.command", "table", "words",
}  # fmt: skip
"""Words of our own, codes and numbers; `given` is quoted where it is put together."""


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("drivers", "drivers"), ("fleet@1.2.0", "fleet@1.2.0"), ("données", "données"), (7, "7"),
        ("Court records", '"Court records"'), ("Smith&Sons", '"Smith&Sons"'), ("O'Brien", '"O\'Brien"'),
        ('the "old" one', "'the \"old\" one'"), ("$HOME", "'$HOME'"), ("", '""'),
        ("O'Hara \"A\"", "'O'\"'\"'Hara \"A\"'"),
        (r"C:\files\edge.db", r"C:\files\edge.db"), (r"C:\My files\edge.db", r'"C:\My files\edge.db"'),
    ],
)  # fmt: skip
def test_a_word_is_quoted_where_a_shell_would_break_it(word: object, written: str) -> None:
    assert quoted(word) == written
    if "\\" not in written:
        assert shlex.split(written) == [str(word)]


def commands_with_names() -> list[tuple[str, str]]:
    """List what stands behind `edgekit WORD` in every f-string: the expression, and where."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if not re.search(r"edgekit [a-z]", text):
            continue
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.JoinedStr):
                continue
            said = ""
            for part in node.values:
                if isinstance(part, ast.Constant):
                    said += str(part.value)
                elif re.search(r"\bedgekit [a-z-]+ [^.;:()]*$", said):
                    assert isinstance(part, ast.FormattedValue)
                    found.append((ast.unparse(part.value), f"{path.relative_to(PACKAGE)}:{node.lineno}"))
    return found


def test_each_command_that_is_printed_quotes_the_names_in_it() -> None:
    found = commands_with_names()
    assert len(found) > 60
    plain = {(word, where) for word, where in found if not word.startswith("quoted(")}
    assert [one for one in plain if one[0] not in CODES] == [], "write {quoted(name)} in a command"


def test_a_name_with_a_space_can_be_copied_from_a_hint(edge: Database) -> None:
    vault.init()
    name = "Court records"
    settings = {"path": "none.csv", "table": "vehicle", "key": "vin"}
    integrations.create(name, template="csv-import", settings=settings)
    runner.add_schedule(name="Every night", integration=name)
    tries: list[tuple[Callable[[], Any], str]] = [
        (lambda: integrations.rotate_credentials(name), 'vault set "Court records" KEY'),
        (lambda: integrations.get_credential(name, "api key"), 'vault set "Court records" "api key"'),
        (lambda: runner.add_schedule(name="Every night", integration=name), 'schedules set "Every night"'),
        (
            lambda: singer_secrets.resolve({"key": {"vault": "api key"}}, {}, {}),
            'vault set INTEGRATION "api key"',
        ),
    ]
    for attempt, command in tries:
        with pytest.raises(EdgekitError) as caught:
            attempt()
        assert command in (caught.value.hint or "")
    integrations.disable(name)
    with pytest.raises(EdgekitError) as caught:
        runner.run(name)
    assert (caught.value.hint or "").endswith('edgekit integrations usable "Court records"')
