"""The schema's text says what everything means: each word, table, value of a choice, rule and trigger."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from edgekit import dictionary, schema

if TYPE_CHECKING:
    from edgekit.dictionary import Table


@pytest.fixture(scope="module")
def tables() -> dict[str, Table]:
    connection = schema.pristine()
    found = {table.name: table for table in dictionary.read_all(connection)}
    connection.close()
    return found


def test_every_word_and_every_table_says_what_it_is(tables: dict[str, Table]) -> None:
    for word in dictionary.words():
        assert re.match(r"[A-Z].*[.!]$", word.sentence), word
    for table in tables.values():
        assert re.match(r"(One|The one) row |Rows? ", table.sentence), f"{table.name}: {table.sentence!r}"
        assert table.sentence.rstrip()[-1] in ".!):", table.name


def test_every_value_of_a_choice_has_its_meaning(tables: dict[str, Table]) -> None:
    missing = [
        f"{table.name}.{column.name}: {value}"
        for table in tables.values()
        for column in table.columns
        for value, meaning in column.values.items()
        if len(meaning) < 3
    ]
    assert missing == []


def test_every_rule_and_trigger_has_its_sentence(tables: dict[str, Table]) -> None:
    for table in tables.values():
        for sentence in [rule.sentence for rule in (*table.checks, *table.triggers)]:
            assert sentence, table.name
            assert "is not as the rule" not in sentence, f"{table.name}: {sentence}"
