"""Scripts in five languages under one contract: what they see, what they give, and what stops them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from edgekit import transformation
from edgekit.errors import InvalidError, TransformationError

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORD = {"name": "Ann", "premium": 10, "drivers": [{"age": 17}, {"age": 40}]}

SAME = {
    "jmespath": ("{total: premium, ages: drivers[].age}", {"total": 10, "ages": [17, 40]}),
    "jsonpath": ("$.drivers[?@.age > 18].age", [40]),
    "javascript": ("({total: input.premium * 12})", {"total": 120}),
    "python": ("total = input['premium'] * 12\n{'total': total}", {"total": 120}),
    "sql": (
        "SELECT premium * 12 AS total, json_array_length(drivers) AS n FROM input",
        [{"total": 120, "n": 2}],
    ),
}


@pytest.fixture(scope="module", autouse=True)
def _ended() -> Iterator[None]:
    yield
    transformation.close()


def answers_of(language: str, text: str, records: list[Any], **limits: Any) -> list[Any]:
    """Apply a script, with each failure as its code."""
    script = transformation.compile(language, text, limits=transformation.Limits(**limits))
    return [
        answer.code if isinstance(answer, TransformationError) else answer
        for answer in script.apply_many(records)
    ]


@pytest.mark.parametrize("language", transformation.LANGUAGES)
def test_each_language_sees_its_input_and_gives_a_value(language: str) -> None:
    text, expected = SAME[language]
    script = transformation.compile(language, text)
    assert script.apply(RECORD) == expected
    assert script.apply_many([RECORD, RECORD]) == [expected, expected]


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(InvalidError, match=r"'perl' is no language\."):
        transformation.compile("perl", "1")
