"""JSON Schema: findings people can read, no secret in them, nothing fetched, one answer in every install."""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgekit import validate
from edgekit.errors import InvalidError
from edgekit.validate import Finding, compiled

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS: dict[str, Any] = {
    "type": "object",
    "required": ["base_url"],
    "additionalProperties": False,
    "properties": {
        "base_url": {"type": "string", "format": "uri"},
        "page_size": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
        "password": {"type": "string", "minLength": 20},
        "login": {"type": "string", "secret": True, "pattern": "^[0-9]+$"},
        "retry": {
            "type": "object",
            "default": {},
            "properties": {"attempts": {"type": "integer", "default": 3}},
        },
        "proxy": {"type": "object", "properties": {"port": {"type": "integer", "default": 8080}}},
        "columns": {
            "type": "array",
            "items": {"type": "object", "properties": {"kind": {"default": "text"}}},
        },
    },
}


@pytest.fixture(params=["fast", "reference"])
def _both(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run with and without the compiled validator."""
    compiled._compile.cache_clear()
    if request.param == "reference":
        monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    else:
        pytest.importorskip("jsonschema_rs")
    yield
    compiled._compile.cache_clear()


@pytest.mark.usefixtures("_both")
@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"base_url": "x"}, 'connector settings: base_url: "x" is not a URI'),
        ({}, 'connector settings: "base_url" is missing'),
        ({"base_url": "https://a.example", "pagesize": 1}, 'connector settings: "pagesize" is not known'),
        (
            {"base_url": "https://a.example", "page_size": 0},
            "connector settings: page_size: 0 is less than 1",
        ),
        ({"base_url": 5}, "connector settings: base_url: 5 is not text"),
        (
            {"base_url": "https://a.example", "columns": [{}, 5]},
            "connector settings: columns[1]: 5 is not an object",
        ),
        ([], "connector settings: the list is not an object"),
    ],
)
@pytest.mark.ledger("S0-126")
def test_the_first_finding_is_said(document: Any, said: str) -> None:
    with pytest.raises(InvalidError) as caught:
        validate.check(SETTINGS, document, what="connector settings")
    assert caught.value.message == said
    assert validate.compile(SETTINGS).is_valid(document) is False


def test_a_good_document_passes() -> None:
    document = {"base_url": "https://a.example/x", "page_size": 5}
    validate.check(SETTINGS, document, what="connector settings")
    assert validate.compile(SETTINGS).is_valid(document)
    assert validate.compile(SETTINGS).errors(document) == []


@pytest.mark.usefixtures("_both")
def test_a_page_is_asked_at_once() -> None:
    validator = validate.compile({"type": "string", "maxLength": 2})
    assert validator.refused(["a", "b"]) == []
    assert validator.refused(["a", 5, "\ud800", "abc"]) == [1, 3]
    assert validator.refused([]) == []


def test_every_missing_member_is_named() -> None:
    found = validate.compile({"required": ["a", "b"]}).errors({})
    assert [str(one) for one in found] == ['"a" is missing', '"b" is missing']
    assert found[0] == Finding("", "required", '"a" is missing')


@pytest.mark.parametrize("document", [{"password": "hunter2"}, {"login": "hunter2"}])
def test_a_secret_is_not_shown(document: dict[str, Any]) -> None:
    found = validate.compile(SETTINGS).errors({"base_url": "https://a.example", **document})
    assert len(found) == 1
    assert "hunter2" not in str(found)
    assert "not shown" in found[0].message


def test_a_whole_document_is_not_shown() -> None:
    schema = {"anyOf": [{"required": ["a"]}, {"required": ["b"]}], "not": {"required": ["password"]}}
    assert "hunter2" not in str(validate.compile(schema).errors({"password": "hunter2"}))
    assert len(str(validate.compile({"maxLength": 5}).errors("y" * 100_000))) < 300


@pytest.mark.ledger("S0-126")
@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "strin"}, 'type: "strin" fits none of the forms allowed'),
        ({"properties": 5}, "properties: 5 is not an object"),
        ({"required": "a"}, 'required: "a" is not a list'),
        ({"pattern": "("}, "is not a regular expression"),
        ({"patternProperties": {"(": {}}}, "is not a regular expression"),
        ({"$ref": "https://a.example/schema.json"}, "never fetched"),
        ({"properties": {"a": {"$ref": "other.json#/x"}}}, "never fetched"),
        ({"$ref": "#/$defs/none"}, "leads nowhere"),
        ({"$schema": "https://a.example/draft"}, "not a known draft"),
        ({"$schema": 5}, "$schema must be text"),
        ([], "a schema is an object"),
        ("text", "a schema is an object"),
        ({"default": {1, 2}}, "must be JSON"),
        ({"default": math.nan}, "must be JSON"),
    ],
)
def test_a_bad_schema_is_refused(schema: Any, said: str) -> None:
    with pytest.raises(InvalidError) as caught:
        validate.check_schema(schema, "metadata_schema")
    assert caught.value.message.startswith("metadata_schema: ")
    assert said in caught.value.message


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "definitions": {"a": {}},
            "$ref": "#/definitions/a",
        },
        {"$ref": "https://json-schema.org/draft/2020-12/schema"},
        {"properties": {"$ref": {"type": "string"}}, "enum": [{"$ref": "https://a.example"}]},
        {"$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}}}}, "$ref": "#/$defs/node"},
        {
            "$id": "https://a.example/s",
            "$defs": {"a": {"type": "string"}},
            "$ref": "https://a.example/s#/$defs/a",
        },
    ],
)
def test_a_sound_schema_is_accepted(schema: Any) -> None:
    validate.check_schema(schema, "metadata_schema")


GOOD_AND_BAD: dict[str, tuple[list[str], list[str]]] = {
    "date": (
        ["2024-02-29", "0001-01-01"],
        ["2023-02-29", "20230101", "2023-1-1", "", "2023-01-01\n", "٢٠٢٣-01-01"],
    ),
    "date-time": (
        ["2023-01-31T09:05:00Z", "2023-01-31t09:05:00.123+05:30"],
        [
            "2023-01-31T09:05:00",
            "2023-01-31",
            "2023-02-29T00:00:00Z",
            "2023-01-31T24:00:00Z",
            "2023-01-31T09:05Z",
        ],
    ),
    "time": (["09:05:00Z"], ["09:05", "25:00:00Z", "09:05:00"]),
    "email": (["ann@example.org", "a.b+c@x"], ["ann", "@x", "a b@x", "a@b@c", "a@x..y"]),
    "uri": (
        ["https://a.example/x?y=%20#z", "urn:isbn:1", "mailto:a@b", "http://[::1]:80/"],
        [
            "x",
            "//a",
            "https://",
            "http://a b",
            "http://a/%zz",
            "https://a:99999",
            "http://[::1",
            "",
            "http://é",
        ],
    ),
    "uuid": (
        ["123e4567-e89b-12d3-a456-426614174000"],
        ["123e4567", "{123e4567-e89b-12d3-a456-426614174000}"],
    ),
    "hostname": (["anything, for it is a remark"], []),
}


@pytest.mark.usefixtures("_both")
@pytest.mark.parametrize("name", sorted(GOOD_AND_BAD))
def test_formats(name: str) -> None:
    validator = validate.compile({"format": name})
    good, bad = GOOD_AND_BAD[name]
    assert [text for text in [*good, *bad] if validator.is_valid(text)] == good
    assert [text for text in [*good, *bad] if not validator.errors(text)] == good
    assert validator.is_valid(5)


@pytest.mark.usefixtures("_both")
@pytest.mark.parametrize(
    ("schema", "document", "wanted"),
    [
        ({"pattern": "^a$"}, "a\n", False), ({"pattern": r"^\d$"}, "٣", False),
        ({"pattern": r"^\w$"}, "é", False),
        ({"pattern": r"\p{L}"}, "é", True), ({"type": "integer"}, 1.0, True),
        ({"type": "integer"}, True, False),
        ({"type": "number"}, math.nan, True), ({"enum": [1]}, True, False),
        ({"multipleOf": 0.01}, 0.07, False),
        ({"type": "string"}, "\ud800", True), ({"type": "object"}, {1: 2}, True),
        ({"uniqueItems": True}, [1, True], True), ({"maxLength": 1}, "😀", True),
        ({"maximum": 5}, 2**70, False),
    ],
)  # fmt: skip
def test_borders_have_one_answer(schema: Any, document: Any, wanted: bool) -> None:
    validator = validate.compile(schema)
    assert validator.is_valid(document) is wanted
    assert (validator.errors(document) == []) is wanted


def test_a_hostile_pattern_or_document_is_stopped() -> None:
    began = time.perf_counter()
    validator = validate.compile({"pattern": "^(a+a+)+b|(a|b|ab)*c$"})
    assert validator.is_valid("a" * 9000 + "!") is False
    assert validate.compile({"pattern": "^(?=a)(a+a+)+b"}).errors("a" * 9000)[0].code == "pattern"
    deep: Any = 1
    for _ in range(20_000):
        deep = [deep]
    tree = validate.compile({"items": {"$ref": "#"}, "type": ["array", "number"]})
    assert tree.errors(deep)[0].code == "depth"
    assert time.perf_counter() - began < 10


def test_the_number_of_findings_is_bounded() -> None:
    assert len(validate.compile({"items": {"type": "string"}}).errors([1] * 1000)) == 100


def test_defaults() -> None:
    document = {"base_url": "x", "proxy": {}, "columns": [{}, {"kind": "date"}]}
    filled = validate.apply_defaults(SETTINGS, document)
    assert filled == {
        "base_url": "x",
        "page_size": 100,
        "retry": {"attempts": 3},
        "proxy": {"port": 8080},
        "columns": [{"kind": "text"}, {"kind": "date"}],
    }
    assert document == {"base_url": "x", "proxy": {}, "columns": [{}, {"kind": "date"}]}
    assert SETTINGS["properties"]["retry"]["default"] == {}
    by_reference = {"$defs": {"a/b": {"properties": {"n": {"default": 1}}}}, "$ref": "#/$defs/a~1b"}
    assert validate.apply_defaults(by_reference, {}) == {"n": 1}
    endless = {"properties": {"a": {"$ref": "#", "default": {}}}}
    assert isinstance(validate.apply_defaults(endless, {}), dict)


def test_importing_the_word_loads_no_library() -> None:
    import subprocess

    code = (
        "import sys, edgekit.validate; sys.exit(any(name.startswith('jsonschema') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ------------------------------------------------------------------------------------ properties

names = st.sampled_from(["a", "b", "c"])
scalars = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, -0.0, 2**53, 2**70, 1e300])
    | st.sampled_from(["", "a", "ab", "a\n", "a\r", "é", "1", "2023-02-29", "2024-02-29", "x@y", "a:b", "😀"])
)  # fmt: skip
values = st.recursive(
    scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(names, v, max_size=3), max_leaves=8
)
kinds = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
expressions = st.sampled_from(
    ["^a$", "a.", "^[^a]+$", r"^\d+$", r"\w", "^(a|b)*$", r"\s", "(?=a)", "^.$", r"[\w.-]+@"]
)
small = st.integers(0, 3)


def _schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    named = st.dictionaries(names, inner, max_size=2)
    some = st.lists(inner, min_size=1, max_size=2)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": kinds | st.lists(kinds, min_size=1, max_size=3, unique=True),
            "enum": st.lists(values, min_size=1, max_size=3), "const": values, "properties": named,
            "required": st.lists(names, max_size=2, unique=True), "additionalProperties": inner,
            "patternProperties": st.dictionaries(expressions, inner, max_size=1), "propertyNames": inner,
            "items": inner, "prefixItems": some, "contains": inner, "minContains": small,
            "uniqueItems": st.booleans(),
            "minItems": small, "maxItems": small, "minProperties": small, "maxProperties": small,
            "minLength": small,
            "maxLength": small, "minimum": st.integers(-2, 2),
            "exclusiveMaximum": st.sampled_from([0, 1.5, 2**60]),
            "multipleOf": st.sampled_from([1, 2, 0.5, 0.1]), "pattern": expressions,
            "format": st.sampled_from(["date", "email", "uri", "hostname", "ipv4", "new"]),
            "allOf": some,
            "anyOf": some, "oneOf": some, "not": inner, "if": inner, "then": inner, "else": inner,
            "dependentRequired": st.dictionaries(names,
            st.lists(names, max_size=2, unique=True), max_size=1),
            "unevaluatedProperties": st.just(False), "unevaluatedItems": st.just(False),
        },
    )  # fmt: skip


schemas = st.recursive(st.booleans() | _schemas(st.just(True)), _schemas, max_leaves=4)


@settings(max_examples=80, deadline=None)
@given(schemas, st.lists(values, min_size=1, max_size=5))
def test_both_validators_agree(schema: Any, documents: list[Any]) -> None:
    pytest.importorskip("jsonschema_rs")
    validator = validate.compile(schema)
    assume(validator._fast is not None)
    assert validator._fast is not None
    for document in documents:
        assert validator._fast(document) == (validator.errors(document) == []), (schema, document)


def test_what_else_is_wrong_is_told_as_well() -> None:
    schema = {"type": "object", "required": [f"s{number}" for number in range(8)]}
    with pytest.raises(InvalidError, match='"s0" is missing') as caught:
        validate.check(schema, {}, what="settings")
    said = "; ".join(f'"s{number}" is missing' for number in range(1, 6))
    assert caught.value.hint == f"Also: {said}; and 2 more."
    with pytest.raises(InvalidError) as caught:
        validate.check({"required": ["a"]}, {}, what="settings")
    assert caught.value.hint is None
