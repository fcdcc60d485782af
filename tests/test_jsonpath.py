"""Paths: the compliance suite, our shortcut for members and indexes, field paths, and hostile input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit import jsonpath
from edgekit.errors import InvalidError


def _suite() -> list[dict[str, Any]]:
    """Read the RFC 9535 compliance suite from EDGEKIT_TEST_DATA, or from `shared/data` beside a parent."""
    named = os.environ.get("EDGEKIT_TEST_DATA")
    folders = [Path(named)] if named else [p / "shared" / "data" for p in Path(__file__).resolve().parents]
    for folder in folders:
        file = folder / "jsonpath" / "cts.json"
        if file.is_file():
            tests: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["tests"]
            return tests
    return []


SUITE = _suite()


@pytest.mark.skipif(not SUITE, reason="the compliance suite is not at hand")
def test_compliance_suite() -> None:
    assert len(SUITE) >= 703
    failed = []
    for case in SUITE:
        try:
            found = jsonpath.find(case["selector"], case.get("document"))
        except InvalidError:
            if not case.get("invalid_selector"):
                failed.append((case["name"], "refused"))
            continue
        allowed = case.get("results", [case.get("result")])
        if case.get("invalid_selector") or found not in allowed:
            failed.append((case["name"], found))
    assert failed == []


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        ("$", ()),
        ("$.a.b[0]['c d']", ("a", "b", 0, "c d")),
        ("$[-1]", (-1,)),
        ("$.a[*]", None),
        ("$..a", None),
        ("$.a[0:1]", None),
        ("$['a','b']", None),
        ("$[?@.a]", None),
        ("Make", ("Make",)),
        ("household.policy.number", ("household", "policy", "number")),
        ("drivers[0].name", ("drivers", 0, "name")),
        ("2011", ("2011",)),
        ("größe", ("größe",)),
        ("Policy No.", ("Policy No.",)),
        ("total premium", ("total premium",)),
        ("a..b", ("a..b",)),
        (".a", (".a",)),
        ("[0]", ("[0]",)),
        ("a[-1]", ("a[-1]",)),
        ("$['policy.number']", ("policy.number",)),
    ],
)
def test_segments(path: str, segments: tuple[str | int, ...] | None) -> None:
    assert jsonpath.compile(path).segments == segments


def test_members_of_objects_only_and_indexes_of_arrays_only() -> None:
    assert jsonpath.find("$.a[0]", {"a": "text"}) == []
    assert jsonpath.find("$.a", ["a"]) == []
    assert jsonpath.find("$.a", {"a": None}) == [None]
    assert jsonpath.compile("$.a").first({}) is jsonpath.MISSING
    assert jsonpath.compile("$.a[*]").first({"a": [7, 8]}) == 7
    assert jsonpath.compile("$.a[*]").first({"a": []}) is jsonpath.MISSING


names = st.sampled_from(["a", "b", "c d", "é", "'", '"', "\\", "0"])
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(names | st.integers(-4, 4), max_size=5), documents)
def test_the_direct_lookup_finds_what_the_library_finds(steps: list[str | int], document: Any) -> None:
    from jsonpath_rfc9535 import JSONPathEnvironment

    def quoted(name: str) -> str:
        return "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"

    path = "$" + "".join(f"[{quoted(s) if isinstance(s, str) else s}]" for s in steps)
    assert jsonpath.compile(path).segments == tuple(steps)
    assert jsonpath.find(path, document) == JSONPathEnvironment().find(path, document).values()


@pytest.mark.parametrize(
    "path", ["$.", "$[", "$.a[?", "$[?@.a ==]", "$[01]", "$.a b", " $", "$[?f(@)]", "$" + "[?(" * 3000]
)
def test_a_bad_path_names_itself_and_the_place(path: str) -> None:
    with pytest.raises(InvalidError) as caught:
        jsonpath.compile(path)
    assert path[:20] in caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 300


def test_the_place_counts_from_one() -> None:
    with pytest.raises(InvalidError, match=r'path "\$\.a\[01\]" is not JSONPath at position 5'):
        jsonpath.compile("$.a[01]")


def test_empty_and_endless_paths() -> None:
    with pytest.raises(InvalidError, match="cannot be empty"):
        jsonpath.compile("")
    with pytest.raises(InvalidError, match="longer than"):
        jsonpath.compile("$" + ".a" * 6000)


def test_a_hostile_pattern_or_text_is_stopped() -> None:
    document = [{"name": "a" * 9000 + "!"}]
    began = time.perf_counter()
    with pytest.raises(InvalidError, match="took too long"):
        jsonpath.find("$[?match(@.name, '(a+a+)+b|(a|b|ab)*c')]", document)
    assert time.perf_counter() - began < 5
    with pytest.raises(InvalidError, match="too long to be searched"):
        jsonpath.find("$[?search(@.name, 'x')]", [{"name": "a" * 20_000}])


def test_a_document_too_deep_for_descent_is_refused() -> None:
    document: Any = {}
    for _ in range(500):
        document = {"a": document}
    with pytest.raises(InvalidError, match="recursion"):
        jsonpath.find("$..b", document)


def test_importing_the_word_loads_no_library() -> None:
    code = (
        "import sys, edgekit.jsonpath; sys.exit('jsonpath_rfc9535' in sys.modules or 'regex' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
