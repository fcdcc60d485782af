"""Mapping: what types, rules and checks do, what an error means, and that compiled code means the same."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import InvalidError, SkipRecordError
from edgekit.mapping import ABSENT, FieldError, FieldMapping, Lookup, compile_mapping


def value_of(raw: Any, **options: Any) -> Any:
    """Map one value through one field, and see that all three ways agree."""
    mapping = compile_mapping([FieldMapping("Field", "$.x", "x", **options)])
    record = {} if raw is ... else {"x": raw}
    wanted = _outcome(mapping.interpret, record)
    assert _outcome(mapping.map, record) == wanted
    rows, failures = mapping.map_many([record])
    if failures:
        raise failures[0][1]
    assert repr(rows[0]) == wanted
    return rows[0][0]


def refusal(raw: Any, **options: Any) -> FieldError:
    with pytest.raises(FieldError) as caught:
        value_of(raw, **options)
    return caught.value


@pytest.mark.parametrize(
    ("kind", "raw", "wanted"),
    [
        ("string", "abc", "abc"), ("string", "é", "é"), ("string", 5, "5"), ("string", 1.5, "1.5"),
        ("string", True, "true"),
        ("integer", "2011", 2011), ("integer", 2011, 2011), ("integer", 2011.0, 2011),
        ("integer", " -7 ", -7),
        ("integer", "2011.0", 2011), ("integer", 2**63 - 1, 2**63 - 1), ("integer", str(-(2**63)), -(2**63)),
        ("number", "1.5", 1.5), ("number", 3, 3), ("number", "1e3", 1000.0), ("number", "42", 42),
        ("boolean", "Y", True), ("boolean", "false", False), ("boolean", 1, True), ("boolean", False, False),
        ("date", "2023-01-31", "2023-01-31"), ("date", "20230131", "2023-01-31"),
        ("date", "2024-02-29", "2024-02-29"),
        ("date", "2023-01-31T23:30:00-05:00", "2023-01-31"),
        ("datetime", "2023-01-31T23:30:00-05:00", "2023-02-01T04:30:00.000Z"),
        ("datetime", "2023-01-31T23:30:00.1239", "2023-01-31T23:30:00.123Z"),
        ("datetime", "2023-01-31", "2023-01-31T00:00:00.000Z"),
        ("json", {"b": [1, "é"]}, '{"b":[1,"é"]}'), ("json", ' {"a": 1} ', '{"a":1}'), ("json", 5, "5"),
        ("money", "$1,234.50", 123450), ("money", 12.5, 1250), ("money", 0.1, 10),
        ("money", "(12.00)", -1200), ("money", "-$5", -500),
        ("money", "$-5", -500), ("money", "12 EUR", 1200), ("money", "USD 12.5", 1250), ("money", 7, 700),
        ("money", ".5", 50),
        (None, "abc", "abc"), (None, 0, 0), (None, False, False), (None, [1], [1]),
    ],
)  # fmt: skip
def test_types_accept(kind: str | None, raw: Any, wanted: Any) -> None:
    found = value_of(raw, target_data_type=kind)
    assert (found, type(found)) == (wanted, type(wanted))


@pytest.mark.parametrize(
    ("kind", "raw", "code"),
    [
        ("string", "a\0b", "format"), ("string", "\ud800", "format"), ("string", {}, "type"),
        ("string", math.nan, "type"),
        ("integer", "20x1", "type"), ("integer", math.nan, "type"), ("integer", math.inf, "type"),
        ("integer", True, "type"),
        ("integer", 1.5, "type"), ("integer", 2**63, "range"), ("integer", "9" * 30, "range"),
        ("integer", "9" * 9000, "range"),
        ("integer", "1_000", "type"), ("integer", "٣", "type"), ("integer", 1e300, "range"),
        ("number", math.nan, "range"), ("number", math.inf, "range"), ("number", "1e999", "range"),
        ("number", "nan", "type"),
        ("number", True, "type"), ("number", 2**80, "range"), ("number", "1" * 9000, "type"),
        ("number", "1,5", "type"),
        ("boolean", "maybe", "type"), ("boolean", 2, "type"), ("boolean", [], "type"),
        ("date", "2023-02-29", "format"), ("date", "01/31/2023", "format"), ("date", 20230131, "format"),
        ("datetime", "yesterday", "format"), ("datetime", "0001-01-01T00:00:00+05:00", "range"),
        ("json", "{a:1}", "format"), ("json", math.nan, "type"), ("json", "NaN", "format"),
        ("json", {"a": "\ud800"}, "format"),
        ("money", "1.005", "format"), ("money", "12,34.5", "type"), ("money", "free", "type"),
        ("money", True, "type"),
        ("money", math.inf, "range"), ("money", "9" * 30, "range"), ("money", "1e5", "type"),
        ("money", "--5", "type"),
    ],
)  # fmt: skip
def test_types_refuse(kind: str, raw: Any, code: str) -> None:
    error = refusal(raw, target_data_type=kind)
    assert error.code == code
    assert (error.column, error.source_path) == ("x", "$.x")
    assert error.message.startswith("x: ")
    assert "\n" not in error.message
    assert len(error.message) < 200


def test_a_message_names_the_field_and_the_value() -> None:
    error = refusal("20x1", target_data_type="integer")
    assert error.message == 'x: "20x1" is not a whole number'
    assert isinstance(error, SkipRecordError)
    assert len(refusal("y" * 5000, target_data_type="integer").message) < 120


@pytest.mark.parametrize(
    "options", [{"transformation_rules": {"type": "copy", "secret": True}}, {"name": "api_key"}]
)
def test_a_secret_is_never_in_a_message(options: dict[str, Any]) -> None:
    field = FieldMapping(
        **{"name": "n", "source_path": "x", "target_path": "x", "target_data_type": "integer"} | options
    )
    with pytest.raises(FieldError) as caught:
        compile_mapping([field]).map({"x": "hunter2"})
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("raw", [..., None, ""])
@pytest.mark.parametrize("kind", [None, "string", "integer", "date"])
def test_missing_null_and_empty_are_the_same(raw: Any, kind: str | None) -> None:
    assert value_of(raw, target_data_type=kind) is None
    assert (
        value_of(raw, target_data_type=kind, default_value="2011" if kind != "date" else "2011-01-01")
        is not None
    )
    error = refusal(raw, target_data_type=kind, is_required=True)
    assert error.code == "required"
    assert error.message == "x is required, and $.x is missing or empty"


def test_keep_empty_makes_empty_text_a_value() -> None:
    assert value_of("", transformation_rules={"type": "copy", "keep_empty": True}, is_required=True) == ""
    assert value_of("  ", transformation_rules={"type": "trim"}) is None
    assert refusal("  ", transformation_rules={"type": "trim"}, is_required=True).code == "required"


def test_the_default_is_converted_once_and_goes_through_the_rules() -> None:
    assert value_of(..., target_data_type="integer", default_value="7") == 7
    table = {"type": "map", "values": {"M": "MALE"}}
    assert value_of(None, transformation_rules=table, default_value="M") == "MALE"
    assert value_of(None, transformation_rules=table, default_value="UNKNOWN") == "UNKNOWN"
    with pytest.raises(InvalidError, match='mapping "Field": the default "x" is not a whole number'):
        value_of(1, target_data_type="integer", default_value="x")


@pytest.mark.ledger("S4-10")
def test_error_handling() -> None:
    options: dict[str, Any] = {"target_data_type": "integer", "default_value": "7"}
    assert refusal("x", **options, error_handling="fail").code == "type"
    assert value_of("x", **options, error_handling="skip") is ABSENT
    assert value_of("x", **options, error_handling="default") == 7
    assert value_of("x", **options, error_handling="null") is None
    assert value_of(..., is_required=True, error_handling="skip") is ABSENT
    assert value_of(..., is_required=True, error_handling="null") is None


@pytest.mark.ledger("S4-10")
def test_validation_before_and_after() -> None:
    rules = {"source": {"max_length": 4}, "target": {"minimum": 1900, "maximum": 2100}}
    options: dict[str, Any] = {"target_data_type": "integer", "validation_rules": rules}
    assert value_of("2011", **options) == 2011
    assert refusal("02011", **options).code == "length"
    assert refusal("1899", **options).code == "range"
    assert value_of(None, **options) is None


@pytest.mark.parametrize(
    ("rules", "raw", "code"),
    [
        ({"pattern": "^[A-Z]{2}$"}, "Ab", "pattern"), ({"pattern": "^[A-Z]{2}$"}, "AB\n", "pattern"),
        ({"pattern": "x"}, "y" * 10_001, "pattern"), ({"min_length": 3}, "ab", "length"),
        ({"max_length": 1}, [1, 2], "length"),
        ({"choice": ["A", "B"]}, "C", "choice"), ({"choice": [1]}, True, "choice"),
        ({"minimum": 5}, 4, "range"),
        ({"minimum": 5}, "text", "type"), ({"maximum": "2023-12-31"}, "2024-01-01", "range"),
        ({"maximum": 5}, math.nan, "type"),
    ],
)  # fmt: skip
def test_checks_refuse(rules: dict[str, Any], raw: Any, code: str) -> None:
    assert refusal(raw, validation_rules=rules).code == code


def test_checks_accept() -> None:
    rules = {"pattern": "^[A-Z]", "min_length": 1, "max_length": 2, "choice": ["AB", "C"]}
    assert value_of("AB", validation_rules=rules) == "AB"
    assert value_of("2023-06-01", validation_rules={"minimum": "2023-01-01"}) == "2023-06-01"


@pytest.mark.parametrize(
    ("rules", "raw", "wanted"),
    [
        ({"type": "trim"}, " a ", "a"), ({"type": "upper"}, "ab", "AB"), ({"type": "lower"}, "AB", "ab"),
        ({"type": "digits"}, "(555) 010-99", "55501099"), ({"type": "copy"}, "a", "a"),
        ({"type": "date", "format": "%m/%d/%Y"}, "01/31/2023", "2023-01-31"),
        ({"type": "date"}, "2023-01-31", "2023-01-31"),
        ({"type": "date", "format": ["%m/%d/%Y", "%d.%m.%Y"]}, "31.1.2023", "2023-01-31"),
        ({"type": "datetime", "format": "%m/%d/%Y %H:%M"}, "01/31/2023 09:05", "2023-01-31T09:05:00.000Z"),
        ({"type": "datetime", "format": "epoch"}, 1769850300, "2026-01-31T09:05:00.000Z"),
        ({"type": "datetime", "format": "epoch"}, " 1769850300.25 ", "2026-01-31T09:05:00.250Z"),
        ({"type": "datetime", "format": "epoch"}, -86400, "1969-12-31T00:00:00.000Z"),
        ({"type": "datetime", "format": "epoch_ms"}, 1769850300123, "2026-01-31T09:05:00.123Z"),
        ({"type": "date", "format": ["%m/%d/%Y", "epoch"]}, "1769850300", "2026-01-31"),
        ({"type": "money"}, "$1,234.50", 123450), ({"type": "money", "decimal": ","}, "1.234,50 €", 123450),
        ({"type": "money", "digits": 0}, "1,234", 1234), ({"type": "money", "round": True}, "1.005", 101),
        ({"type": "replace", "replacements": {"-": "", " ": "_"}}, "a-b c", "ab_c"),
        ({"type": "split", "separator": " ", "index": 0}, "Ann Smith", "Ann"),
        ({"type": "split", "separator": " ", "index": 5}, "Ann Smith", None),
        ({"type": "split", "separator": ","}, "a,b", ["a", "b"]),
        ({"type": "substring", "start": 1, "length": 2}, "abcd", "bc"),
        ({"type": "pad", "length": 5}, "1234", "01234"),
        ({"type": "map", "values": {"M": "MALE"}}, "M", "MALE"),
        ({"type": "map", "values": {"1": "one"}}, 1, "one"),
        ({"type": "map", "values": {}, "default": "?"}, "x", "?"),
        ({"type": "map", "values": {"y": 1}, "ignore_case": True}, "Y", 1),
        ({"type": "constant", "value": 5}, ..., 5),
        ({"type": "concat", "paths": ["$.x", "y", "x"], "separator": "-"}, "a", "a-a"),
        ({"type": "count"}, ["a", "b"], 2), ({"type": "count"}, ..., 0),
        ({"type": "sum"}, [1, "2", None], 3), ({"type": "sum"}, [0.5, 1], 1.5),
        ({"type": "first"}, ["a", "b"], "a"), ({"type": "last"}, ["a", "b"], "b"),
        ({"type": "first"}, [], None),
        ({"type": "join"}, ["a", None, 2], "a, 2"), ({"type": "join"}, [], None),
        ({"type": "lookup", "table": "insured", "match": "customer_number"}, "C-1", "C-1"),
        ({"type": "steps", "steps": [{"type": "trim"}, {"type": "map", "values": {"M": 1}}]}, " M ", 1),
        ({"type": "steps", "steps": [{"type": "split", "separator": ","}, {"type": "count"}]}, "a,b,c", 3),
    ],
)  # fmt: skip
def test_rules(rules: dict[str, Any], raw: Any, wanted: Any) -> None:
    assert value_of(raw, transformation_rules=rules) == wanted


@pytest.mark.parametrize(
    ("rules", "raw", "code"),
    [
        ({"type": "date", "format": "%m/%d/%Y"}, "02/29/2023", "format"), ({"type": "trim"}, [1], "type"),
        ({"type": "map", "values": {"M": 1}}, "X", "choice"), ({"type": "count"}, "text", "type"),
        ({"type": "datetime", "format": "epoch"}, "2026-01-31", "format"),
        ({"type": "datetime", "format": "epoch"}, 10**17, "range"),
        ({"type": "datetime", "format": "epoch_ms"}, 1e300, "range"),
        ({"type": "datetime", "format": "epoch"}, True, "format"),
        ({"type": "sum"}, ["x"], "type"),
        ({"type": "sum"}, [1e308, 1e308], "range"),
        ({"type": "lookup", "table": "t", "match": "m"}, {}, "type"),
        ({"type": "concat", "paths": ["$.x[?match(@, 'a*')]"]}, {"p": "a" * 10_001}, "path"),
    ],
)  # fmt: skip
def test_rules_refuse(rules: dict[str, Any], raw: Any, code: str) -> None:
    assert refusal(raw, transformation_rules=rules).code == code


def test_types_after_rules() -> None:
    money = {"type": "money"}
    assert value_of("$1", transformation_rules=money, target_data_type="money") == 100
    assert value_of("$1", transformation_rules=money, target_data_type="integer") == 100
    assert value_of("1", transformation_rules={"type": "trim"}, target_data_type="money") == 100
    day = {"type": "date", "format": "%m/%d/%Y"}
    assert (
        value_of("01/31/2023", source_data_type="date", transformation_rules=day, target_data_type="date")
        == "2023-01-31"
    )
    assert value_of("$5", source_data_type="money", target_data_type="integer") == 500
    assert value_of("Y", source_data_type="boolean", target_data_type="integer") == 1
    assert value_of("007", source_data_type="integer", target_data_type="string") == "7"
    assert value_of("hi", source_data_type="string", target_data_type="json") == '"hi"'
    assert refusal("x", source_data_type="integer", target_data_type="string").code == "type"
    lookup = {"type": "lookup", "table": "t", "match": "m"}
    assert value_of("C-1", transformation_rules=lookup, target_data_type="integer") == "C-1"


LOOKUP = {"type": "lookup", "table": "insured", "match": "number"}
RECORD = {"drivers": [{"name": "Ann", "v": [{"p": 2}, {"p": 3}]}, {"name": "Bob", "v": []}], "none": []}


@pytest.mark.parametrize(
    ("path", "rules", "wanted"),
    [
        ("$.drivers[*].name", None, "Ann"), ("$.drivers[*].name", {"type": "join"}, "Ann, Bob"),
        ("$.drivers[*].v[*].p", {"type": "sum"}, 5), ("$..p", {"type": "count"}, 2),
        ("$.none[*]", {"type": "sum"}, 0),
        ("$.drivers[?@.name == 'Bob'].name", {"type": "upper"}, "BOB"), ("$.none[*].x", None, None),
        ("$.drivers[*].name", {"type": "copy"}, ["Ann", "Bob"]), ("$.drivers[-1].name", None, "Bob"),
    ],
)  # fmt: skip
def test_paths_with_many_matches(path: str, rules: dict[str, Any] | None, wanted: Any) -> None:
    mapping = compile_mapping([FieldMapping("n", path, "x", transformation_rules=rules)])
    assert mapping.map(RECORD) == (wanted,) == mapping.interpret(RECORD)
    assert mapping.uncompiled == ([] if path == "$.drivers[-1].name" else [path])


def test_lookups_are_listed() -> None:
    rules = {
        "type": "steps",
        "steps": [{"type": "trim"}, {"type": "lookup", "table": "insured", "match": "number"}],
    }
    mapping = compile_mapping([FieldMapping("n", "c", "insured_id", transformation_rules=rules)])
    assert mapping.lookups == [Lookup("insured_id", "insured", "number")]
    assert mapping.map({"c": " C-1 "}) == ("C-1",)


@pytest.mark.parametrize("record", [None, [], "text", 5])
def test_a_record_that_is_no_object(record: Any) -> None:
    mapping = compile_mapping([FieldMapping("n", "a", "a")])
    rows, failures = mapping.map_many([{"a": 1}, record, {"a": 2}])
    assert rows == [(1,), (2,)]
    assert [(n, e.code) for n, e in failures] == [(1, "shape")]
    for way in (mapping.map, mapping.interpret):
        with pytest.raises(FieldError, match="the record is no object"):
            way(record)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"source_path": "$["}, "is not JSONPath"), ({"source_path": ""}, "cannot be empty"),
        ({"target_path": "$.a.b"}, "is no column"), ({"target_path": "$.*"}, "is no column"),
        ({"target_data_type": "text"}, "data type 'text' is unknown"),
        ({"source_data_type": "?"}, "data type"),
        ({"error_handling": "stop"}, "error handling 'stop' is unknown"),
        ({"transformation_rules": {}}, "Transformation rules must include type"),
        ({"transformation_rules": {"type": 5}}, "Transformation rules must include type"),
        ({"transformation_rules": {"type": "steps", "steps": [{}]}}, "rules must include type"),
        ({"transformation_rules": {"type": "steps", "steps": []}}, "need"),
        ({"transformation_rules": {"type": "shout"}}, "transformation rule 'shout' is unknown"),
        ({"transformation_rules": {"type": "trim", "x": 1}}, "no option 'x'"),
        ({"transformation_rules": {"type": "map"}}, "needs 'values'"),
        ({"transformation_rules": {"type": "date", "format": "%Q"}}, "is not a format of dates"),
        ({"transformation_rules": {"type": "pad", "length": -1}}, "cannot be -1"),
        ({"transformation_rules": {"type": "steps", "steps": [LOOKUP, {"type": "trim"}]}}, "last step"),
        ({"validation_rules": {"patern": "x"}}, "validation rule 'patern' is unknown"),
        ({"validation_rules": {"pattern": "("}}, "is not a regular expression"),
        ({"validation_rules": {"min_length": "5"}}, "whole number"),
    ],
)  # fmt: skip
def test_a_bad_mapping_is_refused_by_name(options: dict[str, Any], said: str) -> None:
    field = FieldMapping(**{"name": "Model year", "source_path": "a", "target_path": "a"} | options)
    with pytest.raises(InvalidError) as caught:
        compile_mapping([field])
    assert caught.value.message.startswith('mapping "Model year": ')
    assert said in caught.value.message


def test_two_mappings_of_one_target() -> None:
    fields = [FieldMapping("A", "a", "x"), FieldMapping("B", "b", "$.x")]
    with pytest.raises(InvalidError, match='mapping "B": target x is already written by mapping "A"'):
        compile_mapping(fields)


@pytest.mark.ledger("S4-10")
def test_direction_decides_who_takes_part() -> None:
    fields = [
        FieldMapping("in", "$.a", "col_a", direction="inbound"),
        FieldMapping("out", "col_b", "$.b.c", direction="outbound"),
        FieldMapping("both", "$.d.e", "col_d", direction="bidirectional", target_data_type="integer"),
    ]
    inbound = compile_mapping(fields)
    assert inbound.columns == ("col_a", "col_d")
    assert inbound.map({"a": 1, "d": {"e": "2"}}) == (1, 2)
    outbound = compile_mapping(fields, direction="outbound")
    assert outbound.columns == ("b.c", "d.e")
    assert outbound.map({"col_b": 1, "col_d": 2}) == (1, 2)


def test_no_fields_and_the_whole_document() -> None:
    assert compile_mapping([]).map({}) == ()
    assert compile_mapping([]).map_many([{}, {}]) == ([(), ()], [])
    assert compile_mapping([FieldMapping("all", "$", "raw", target_data_type="json")]).map({"a": 1}) == (
        '{"a":1}',
    )
    deep = "$" + ".a" * 150
    assert compile_mapping([FieldMapping("deep", deep, "x")]).map({"a": 1}) == (None,)


@pytest.mark.parametrize("document", ["text", {"0": "x"}, 5, None, []])
@pytest.mark.parametrize("path", ["$.a[0]", "$.a[1]", "$.a[-1]"])
def test_an_index_finds_elements_of_lists_only(document: Any, path: str) -> None:
    mapping = compile_mapping([FieldMapping("a", path, "a")])
    assert mapping.map({"a": document}) == (None,) == mapping.interpret({"a": document})
    assert mapping.map_many([{"a": document}]) == ([(None,)], [])


def test_a_rare_miss_keeps_the_quick_form() -> None:
    mapping = compile_mapping([FieldMapping("a", "a", "a")])
    before = mapping._map_page
    assert mapping.map_many([{"a": n} for n in range(7)] + [{}])[0][-1] == (None,)
    assert mapping._map_page is before


def test_ragged_records_go_over_to_the_careful_form() -> None:
    mapping = compile_mapping([FieldMapping("a", "$.a.b", "a"), FieldMapping("c", "c", "c")])
    before = mapping._map_page
    page = [{"a": {"b": 1}}, {"c": 2}, {"a": "text", "c": 3}, {"a": {"b": ""}, "c": 4}]
    wanted = [(1, None), (None, 2), (None, 3), (None, 4)]
    assert mapping.map_many(page) == (wanted, [])
    assert mapping._map_page is not before
    assert mapping.map_many(page) == (wanted, [])
    assert [mapping.map(record) for record in page] == wanted


TOWN = {"type": "object", "fields": [
    {"source_path": "city", "target_path": "town", "transformation_rules": {"type": "upper"}},
    {"source_path": "zip", "target_path": "zip", "target_data_type": "integer", "error_handling": "skip"},
    {"source_path": "$.geo", "target_path": "place", "mapping_type": "array"},
]}  # fmt: skip


@pytest.mark.ledger("S4-07", "S4-10")
@pytest.mark.parametrize(
    ("kind", "raw", "rules", "wanted"),
    [
        ("object", {"a": [1]}, None, '{"a":[1]}'), ("object", '{"a": 1}', None, '{"a":1}'),
        ("object", {"city": "Boston", "zip": "02134", "geo": [1, 2]}, TOWN,
         '{"town":"BOSTON","zip":2134,"place":[1,2]}'),
        ("object", {"city": "Boston", "zip": "x"}, TOWN, '{"town":"BOSTON","place":null}'),
        ("object", {"a": "x", "b": "y"}, {"type": "concat", "paths": ["b", "a"]}, "y x"),
        ("array", ["a", None, " b"], {"type": "trim"}, '["a",null,"b"]'), ("array", [], None, "[]"),
        ("array", [{"city": "Boston"}, {"city": "Nome", "zip": 1}], TOWN,
         '[{"town":"BOSTON","zip":null,"place":null},{"town":"NOME","zip":1,"place":null}]'),
        ("custom", ..., {"type": "constant", "value": "new"}, "new"),
        ("custom", "b", {"type": "map", "values": {"b": 2}}, 2), ("object", ..., None, None),
    ],
)  # fmt: skip
def test_types_of_mappings(kind: str, raw: Any, rules: Any, wanted: Any) -> None:
    assert value_of(raw, mapping_type=kind, transformation_rules=rules) == wanted


@pytest.mark.ledger("S4-10")
@pytest.mark.parametrize(
    ("kind", "raw", "rules", "code"),
    [
        ("object", [1], None, "type"), ("object", "x", None, "format"), ("array", {"a": 1}, None, "type"),
        ("array", ["5", "x"], {"type": "date"}, "format"),
    ],
)  # fmt: skip
def test_types_of_mappings_refuse(kind: str, raw: Any, rules: Any, code: str) -> None:
    refused = refusal(raw, mapping_type=kind, transformation_rules=rules)
    assert refused.code == code
    assert "not shown" in refused.message or rules


def test_an_array_is_all_matches_of_a_path_and_goes_out_as_it_is() -> None:
    every = FieldMapping("names", "$.d[*].n", "names", mapping_type="array")
    record = {"d": [{"n": "a"}, {"n": "b"}]}
    assert compile_mapping([every]).map(record) == ('["a","b"]',)
    assert compile_mapping([every]).map({"d": []}) == (None,)
    both = FieldMapping("names", "$.names", "names", mapping_type="array", direction="bidirectional")
    assert compile_mapping([both]).map({"names": [1]}) == ("[1]",)
    assert compile_mapping([both], direction="outbound").map({"names": "[1]"}) == ([1],)


# ------------------------------------------------------------------------------------ properties

names = st.sampled_from(["a", "b", "c d", "é", "'", "\\"])
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "x", "12", "1.5", "true", "a\0", "2023-01-31"])
)
documents = st.recursive(
    leaves, lambda s: st.lists(s, max_size=3) | st.dictionaries(names, s, max_size=4), max_leaves=15
)
records = st.dictionaries(names, documents, max_size=5)


@st.composite
def fields(draw: st.DrawFn) -> list[FieldMapping]:
    made = []
    for number in range(draw(st.integers(1, 6))):
        steps = draw(st.lists(names | st.integers(-2, 2), max_size=4))
        path = "$" + "".join(f"[{_quoted(s) if isinstance(s, str) else s}]" for s in steps)
        if draw(st.integers(0, 9)) == 0:
            path += "[*]"
        made.append(
            FieldMapping(
                f"f{number}",
                path,
                f"t{number}",
                target_data_type=draw(
                    st.sampled_from(
                        [None, None, "string", "integer", "number", "boolean", "date", "json", "money"]
                    )
                ),
                is_required=draw(st.booleans()),
                default_value=draw(st.sampled_from([None, None, "1"])),
                transformation_rules=draw(
                    st.sampled_from(
                        [
                            None,
                            None,
                            None,
                            {"type": "trim"},
                            {"type": "count"},
                            {"type": "copy", "keep_empty": True},
                        ]
                    )
                ),
                error_handling=draw(st.sampled_from(["fail", "skip", "null", "default"])),
                mapping_type=draw(st.sampled_from(["field", "field", "object", "array"])),
            )
        )
    return made


def _quoted(name: str) -> str:
    return "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _outcome(way: Any, record: Any) -> Any:
    try:
        return repr(way(record))
    except FieldError as error:
        return error.code, error.column, error.message


@settings(max_examples=100, deadline=None)
@given(fields(), st.lists(records, max_size=6))
def test_compiled_code_means_what_the_interpreter_means(made: list[FieldMapping], page: list[Any]) -> None:
    try:
        mapping = compile_mapping(made)
    except InvalidError:  # the default "1" is no date
        return
    wanted = [_outcome(mapping.interpret, record) for record in page]
    assert [_outcome(mapping.map, record) for record in page] == wanted
    for _round in range(2):  # quick, then perhaps careful
        rows, failures = mapping.map_many(page)
        assert [repr(row) for row in rows] == [w for w in wanted if isinstance(w, str)]
        assert [n for n, _ in failures] == [n for n, w in enumerate(wanted) if not isinstance(w, str)]
    careful = mapping._careful["one"]
    assert [_outcome(careful, record) for record in page] == wanted
