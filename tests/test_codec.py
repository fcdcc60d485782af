"""JSON: the same answer whichever decoder is installed."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit import codec
from edgekit.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=["installed", "standard library"])
def _door(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if request.param == "standard library":
        monkeypatch.setitem(sys.modules, "msgspec", None)
    codec.decoder.cache_clear()
    yield
    codec.decoder.cache_clear()


LONG = "9" * 200

GOOD = [
    (b"12", 12),
    (b' {"a": [1, 2.5, "x", null, true]} ', {"a": [1, 2.5, "x", None, True]}),
    (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
    (b'{"a": 1, "a": 2}', {"a": 2}),
    ('"é😀"', "é😀"),
    (rb'"\ud83d\ude00"', "😀"),
    (LONG.encode(), int(LONG)),
    (b"18446744073709551616", 2**64),
    (b"-9223372036854775809", -(2**63) - 1),
    (rb'"\\ud800"', "\\ud800"),
    (b'"\\u0000"', "\x00"),
]
BAD: list[tuple[bytes | str, str]] = [
    (b"", "not valid JSON"),
    (b"{", "not valid JSON"),
    (b'{"a": NaN}', "NaN is no number"),
    (b"[Infinity]", "no number"),
    (b"[-Infinity]", "no number"),
    (b"1e400", "too large"),
    (b'{"a": 1} x', "at character 10"),
    (b"{'a': 1}", "not valid JSON"),
    (b'"\xe9"', "not valid UTF-8 at byte 2"),
    (b'"\xed\xa0\x80"', "not valid UTF-8"),
    (rb'{"a": "x\ud800"}', "half a character"),
    (rb'{"\uDFFF": 1}', "half a character"),
    ('{"a": "\ud800"}', "half a character"),
    (b"[" * 200_000, "too deeply"),
    (b"1" * 10_000, "not usable JSON"),
    (b'"a\x00b"', "not valid JSON"),
    (b'"a\nb"', "not valid JSON"),
    ('{"a": 1}'.encode("utf-16-le"), "not valid JSON"),
]


@pytest.mark.usefixtures("_door")
@pytest.mark.parametrize(("data", "expected"), GOOD)
def test_what_is_json_is_read(data: bytes | str, expected: Any) -> None:
    found = codec.loads(data)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.usefixtures("_door")
@pytest.mark.parametrize(("data", "message"), BAD)
def test_what_is_none_is_refused_in_one_line(data: bytes | str, message: str) -> None:
    with pytest.raises(InvalidError, match=message) as caught:
        codec.loads(data)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 200


_DOCUMENTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


@given(_DOCUMENTS)
def test_what_is_written_is_read_back(document: Any) -> None:
    assert codec.loads(codec.dumps(document)) == document
    assert codec.loads(codec.canonical(document).encode()) == document
    text = " \n" + codec.dumps([document]) + "]"
    assert codec.split(text, 2) == ([document], len(text) - 1)


@given(st.dictionaries(st.text(max_size=5), st.integers()))
def test_equal_documents_have_one_canonical_form(document: dict[str, int]) -> None:
    assert codec.canonical(document) == codec.canonical(dict(reversed(document.items())))
    assert " " not in codec.canonical({"a": [1, 2], "b": 3})


@pytest.mark.parametrize("document", [float("nan"), float("-inf"), {1, 2}, object(), {"a": b"x"}])
def test_what_json_cannot_say_is_refused(document: Any) -> None:
    for write in (codec.dumps, codec.canonical):
        with pytest.raises(InvalidError, match="cannot be written as JSON"):
            write(document)


def test_a_circle_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(InvalidError):
        codec.dumps(circle)


@pytest.mark.parametrize(
    "unusable", ['{"a": NaN}', '{"a": 1e999}', '{"a": "\\ud800"}', '{"a": ' + "1" * 5000 + "}"]
)
def test_the_end_of_an_unusable_document_is_known(unusable: str) -> None:
    found, end = codec.split(unusable + ', {"b": 1}', 0)
    assert isinstance(found, InvalidError)
    assert end == len(unusable)


def test_an_incomplete_document_is_told_from_an_unusable_one() -> None:
    for text in ('{"a": NaN', '{"a": ', '["\\ud800"', "1" * 0):
        with pytest.raises(ValueError, match=r".") as caught:
            codec.split(text, 0)
        assert isinstance(caught.value, json.JSONDecodeError)
