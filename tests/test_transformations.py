"""Transformations kept by name: versions, examples and what came of them, and the commands over them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

import edgekit
from edgekit import integrations, transformation
from edgekit.cli import root
from edgekit.errors import ConflictError, InvalidError, NotFoundError, TransformationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

    from edgekit.db import Database

POLICY = {
    "policy": "P-7",
    "insured": {"first": "Ann", "last": "Smith"},
    "coverages": [
        {"kind": "liability", "premium": "120.50", "limit": 50000},
        {"kind": "collision", "premium": "80.25", "limit": 20000},
        {"kind": "glass", "premium": "0", "limit": 0},
    ],
}

USES: dict[str, dict[str, Any]] = {
    "policy-summary": {  # complex transformation: another shape, computed members, only what counts
        "language": "javascript",
        "text": "const paid = input.coverages.filter((c) => Number(c.premium) > 0);\n"
        "({\n"
        "  number: input.policy,\n"
        "  holder: `${input.insured.first} ${input.insured.last}`,\n"
        "  premium_cents: Math.round(paid.reduce((sum, c) => sum + Number(c.premium) * 100, 0)),\n"
        "  limits: Object.fromEntries(paid.map((c) => [c.kind, c.limit])),\n"
        "})",
        "output_schema": {"type": "object", "required": ["number", "premium_cents"]},
        "test_cases": [
            {
                "name": "three coverages, one free",
                "input": POLICY,
                "expected": {
                    "number": "P-7", "holder": "Ann Smith", "premium_cents": 20075,
                    "limits": {"liability": 50000, "collision": 20000},
                },
            },
            {"name": "no coverages", "input": {"policy": "P-8"}, "expected": {"$error": "failed"}},
        ],
    },
    "claim-risk": {  # multi-step processing: each step works on what the one before it made
        "language": "python",
        "text": "import re\n"
        "claims = [c for c in input['claims'] if c['status'] != 'withdrawn']\n"
        "amounts = [int(re.sub('[^0-9]', '', c['amount'])) for c in claims]\n"
        "total = sum(amounts)\n"
        "score = min(100, len(claims) * 10 + total // 1000)\n"
        "{'claims': len(claims), 'total': total, 'level': 'high' if score > 40 else 'low'}",
        "test_cases": [
            {
                "input": {
                    "claims": [
                        {"status": "open", "amount": "$12,000"}, {"status": "paid", "amount": "$30,500"},
                        {"status": "withdrawn", "amount": "$9,000"},
                    ]
                },
                "expected": {"claims": 2, "total": 42500, "level": "high"},
            },
            {"input": {"claims": []}, "expected": {"claims": 0, "total": 0, "level": "low"}},
        ],
    },
    "driver-age-band": {  # enrichment: what is found out is added to the record
        "language": "sql",
        "transformation_type": "enrich",
        "text": "SELECT CASE WHEN age < 25 THEN 'young' ELSE 'adult' END AS band,\n"
        "  (SELECT count(*) FROM json_each(input.violations)) AS violation_count FROM input",
        "test_cases": [
            {
                "input": {"name": "Ann", "age": 22, "violations": ["speeding"]},
                "expected": {
                    "name": "Ann", "age": 22, "violations": ["speeding"], "band": "young",
                    "violation_count": 1,
                },
            }
        ],
    },
    "payment-lines": {  # format conversion: one nested document becomes flat records
        "language": "jmespath",
        "transformation_type": "custom",
        "text": "payments[].{reference: id, cents: amount.cents, paid_on: join('-', [year, month, day])}",
        "test_cases": [
            {
                "input": {
                    "payments": [
                        {"id": "A1", "amount": {"cents": 100}, "year": "2026", "month": "03", "day": "01"},
                        {"id": "A2", "amount": {"cents": 250}, "year": "2026", "month": "03", "day": "02"},
                    ]
                },
                "expected": [
                    {"reference": "A1", "cents": 100, "paid_on": "2026-03-01"},
                    {"reference": "A2", "cents": 250, "paid_on": "2026-03-02"},
                ],
            }
        ],
    },
}  # fmt: skip
"""The four uses, as docs/transformations.md names them."""


@pytest.fixture(scope="module", autouse=True)
def _ended() -> Iterator[None]:
    yield
    transformation.close()


@pytest.fixture
def db(edge_file: Path) -> Iterator[Database]:
    with edgekit.open(edge_file) as opened:
        yield opened


@pytest.mark.ledger("S4-40", "S4-41")
@pytest.mark.usefixtures("db")
def test_the_four_uses_pass_their_examples() -> None:
    for name, values in USES.items():
        integrations.add_transformation(name, values)
    found = integrations.run_transformation_tests()
    assert [(test.transformation, test.test_status, test.error_message) for test in found] == [
        (name, "passed", None) for name in sorted(USES) for _ in USES[name]["test_cases"]
    ]
    assert {row["name"]: row["last_status"] for row in integrations.list_transformations()} == dict.fromkeys(
        USES, "passed"
    )
    stored = integrations.compile_transformation("payment-lines")
    assert (stored.kind, stored.version) == ("custom", 1)
    assert len(stored.take([USES["payment-lines"]["test_cases"][0]["input"]]).kept) == 2


@pytest.mark.ledger("S4-41")
def test_a_transformation_rises_in_version_and_its_runs_are_kept(db: Database) -> None:
    cases = [{"name": "one", "input": {"n": 1}, "expected": 2}, {"input": 0, "expected": 0, "skip": True}]
    made = integrations.add_transformation(
        "twice", {"language": "javascript", "text": "input.n * 2", "test_cases": cases}
    )
    assert (made["version"], made["timeout_seconds"], made["transformation_type"]) == (1, 30, "map")
    assert [test.test_status for test in integrations.run_transformation_tests("twice")] == [
        "passed",
        "skipped",
    ]
    with pytest.raises(ConflictError, match="There is a transformation twice already"):
        integrations.add_transformation("twice", {"language": "sql", "text": "SELECT 1 AS a"})

    changed = integrations.set_transformation("TWICE", {"text": "input.n * 3", "timeout_seconds": 5})
    assert (changed["version"], changed["name"]) == (2, "twice")
    assert integrations.set_transformation("twice", {"timeout_seconds": 5})["version"] == 2
    assert integrations.list_transformations()[0]["last_status"] == "pending"
    (failed, _) = integrations.run_transformation_tests("twice")
    assert (failed.test_status, failed.error_message) == ("failed", "It gives 3, not 2.")
    assert integrations.show_transformation("twice")["last_runs"][0]["transformation_version"] == 2
    runs = db.connection().execute(
        "SELECT transformation_version, case_name, test_status, actual_output FROM"
        " integration_transformation_run ORDER BY id"
    )  # fmt: skip
    assert [tuple(row) for row in runs] == [
        (1, "one", "passed", '{"output":2}'), (1, "example 2", "skipped", None),
        (2, "one", "failed", '{"output":3}'), (2, "example 2", "skipped", None),
    ]  # fmt: skip
    versions = integrations.transformation_history("twice")
    assert [(one.version, one.keys) for one in versions][:1] == [(2, ("text", "timeout_seconds"))]

    integrations.retire_transformation("twice")
    assert integrations.list_transformations() == []
    with pytest.raises(NotFoundError, match="There is no transformation twice"):
        integrations.compile_transformation("twice")
    back = integrations.add_transformation("twice", {"language": "jmespath", "text": "n"})
    assert (back["version"], back["test_cases"], back["language"]) == (4, None, "jmespath")


@pytest.mark.ledger("S4-43")
@pytest.mark.usefixtures("db")
def test_a_failing_example_says_why_and_a_failure_can_be_expected() -> None:
    cases = [
        {"name": "wanted", "input": {}, "expected": {"$error": "output"}},
        {"name": "unwanted", "input": {}, "expected": 1},
        {"name": "a value", "input": {"n": 1}, "expected": {"$error": "failed"}},
    ]
    values = {"language": "jmespath", "text": "n", "output_schema": {"type": "integer"}, "test_cases": cases}
    integrations.add_transformation("strict", values)
    wanted, unwanted, given = integrations.run_transformation_tests("strict")
    assert wanted.test_status == "passed"
    assert wanted.actual_output == {"$error": "output"}
    assert "strict: it gives what its output schema refuses" in str(unwanted.error_message)
    assert given.error_message == "It gives a value, and is expected to end with failed."


@pytest.mark.usefixtures("db")
def test_what_is_wrong_is_said_before_anything_is_kept() -> None:
    for values, kind, message in (
        ({"language": "jmespath"}, InvalidError, "needs its text"),
        ({"text": "a"}, InvalidError, "needs its language"),
        ({"language": "jmespath", "text": "a["}, TransformationError, "is no JMESPath"),
        ({"language": "sql", "text": "DROP TABLE input"}, TransformationError, "may only query"),
        ({"language": "javascript", "text": "let {"}, TransformationError, "line 1: it is no JavaScript"),
        ({"language": "jmespath", "text": "a", "colour": 1}, InvalidError, "has no field colour"),
        ({"language": "jmespath", "text": "a", "input_schema": []}, InvalidError, "is a JSON object"),
        ({"language": "jmespath", "text": "a", "input_schema": {"type": 1}}, InvalidError, "input schema"),
        ({"language": "jmespath", "text": "a", "test_cases": {"cases": 1}}, InvalidError, "test_cases is"),
        ({"language": "jmespath", "text": "a", "performance_tier": "fast"}, InvalidError, "performance_tier"),
        ({"language": "perl", "text": "a"}, InvalidError, "is no language"),
        ({"language": "jmespath", "text": "a", "timeout_seconds": -1}, InvalidError, "timeout"),
    ):
        with pytest.raises(kind, match=message):
            integrations.add_transformation("bad", values)
    assert integrations.list_transformations() == []
    with pytest.raises(NotFoundError, match="There is no transformation bad"):
        integrations.show_transformation("bad")


def run(edge_file: Path, *words: str, given: str = "") -> Result:
    asked = ["--db", str(edge_file), "transformations", *words]
    return CliRunner().invoke(root.edgekit, asked, input=given, prog_name="edgekit")


@pytest.mark.ledger("S4-43")
def test_the_commands_keep_try_and_test_a_transformation(edge_file: Path, tmp_path: Path) -> None:
    tried = run(edge_file, "try", "--language", "javascript", "--logic", "input.a + 1", given='{"a": 1}')
    assert json.loads(tried.stdout) == {"output": 2}
    script = tmp_path / "s.py"
    script.write_text("x = input['a']\n{'b': x * 2}\n", encoding="utf-8")
    record = tmp_path / "r.json"
    record.write_text('{"a": 4}', encoding="utf-8")
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object", "required": ["b"]}', encoding="utf-8")
    asked = ("try", "--language", "python", "--file", str(script), "--input", str(record))
    assert json.loads(run(edge_file, *asked, "--json").stdout) == {"output": {"b": 8}}
    refused = run(edge_file, *asked, "--input-schema", str(schema))
    assert refused.exit_code == 4
    assert "it takes what its input schema refuses" in refused.stderr
    assert json.loads(run(edge_file, *asked, "--type", "enrich", "--json").stdout) == {
        "output": {"a": 4, "b": 8}
    }
    stopped = run(
        edge_file, "try", "--language", "sql", "--timeout", "0.2", "--logic",
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) SELECT count(*) AS n FROM c", given="{}",
    )  # fmt: skip
    assert stopped.exit_code == 4
    assert stopped.stderr.splitlines() == [
        "error: the sql script: it was stopped after 0.2 s, its time limit"
    ]

    cases = json.dumps([{"input": {"a": 1}, "expected": {"a": 1, "b": 1}}])
    made = run(
        edge_file, "add", "copy", "--language", "jmespath", "--logic", "{b: a}", "--type", "enrich",
        f"test_cases={cases}", "timeout_seconds=3", "--json",
    )  # fmt: skip
    assert json.loads(made.stdout)["timeout_seconds"] == 3
    assert json.loads(run(edge_file, "try", "copy", "--json", given='{"a": 5}').stdout) == {
        "output": {"a": 5, "b": 5}
    }
    assert json.loads(run(edge_file, "test", "copy", "--json").stdout)[0]["test_status"] == "passed"
    assert run(edge_file, "set", "copy", "--logic", "{b: c}").exit_code == 0
    failed = run(edge_file, "test")
    assert failed.exit_code == 4
    assert "1 of 1 examples failed; the first: copy, example 1: It gives" in failed.stderr
    assert [row["version"] for row in json.loads(run(edge_file, "history", "copy", "--json").stdout)] == [
        2,
        1,
    ]
    assert json.loads(run(edge_file, "list", "--json").stdout)[0]["last_status"] == "failed"
    assert "{b: c}" in run(edge_file, "show", "copy").stdout
    assert run(edge_file, "retire", "copy").exit_code == 0
    assert run(edge_file, "show", "copy").exit_code == 3


@pytest.mark.ledger("S4-43")
def test_a_failure_yields_a_document_of_its_schema(edge_file: Path) -> None:
    schema = {"type": "object", "required": ["code"], "properties": {"code": {"type": "string"}, "line": {}}}
    made = run(
        edge_file, "add", "strict", "--language", "python", "--logic", "x = 1\ninput['n'] * 2",
        f"error_output_schema={json.dumps(schema)}",
    )  # fmt: skip
    assert made.exit_code == 0, made.stderr
    failed = run(edge_file, "try", "strict", given="{}")
    assert failed.exit_code == 4
    assert json.loads(failed.stdout) == {"error_output": {"code": "failed", "line": 2}}
    assert failed.stderr == "error: strict, line 2: it fails: KeyError: n\n"
    with edgekit.open(edge_file):
        trial = integrations.try_transformation("strict", {"n": 2})
        assert (trial.output, trial.error) == (4, None)


def test_a_wrong_command_says_what_to_do(edge_file: Path) -> None:
    for words, given, code, message in (
        (("try",), "{}", 2, "Say what to try"),
        (("try", "--language", "sql"), "{}", 2, "--logic TEXT or by --file FILE"),
        (("try", "x", "--logic", "a"), "{}", 2, "has its own script"),
        (("try", "none"), "{}", 3, "There is no transformation none"),
        (("try", "--language", "jmespath", "--logic", "a"), "", 4, "There is no record"),
        (("try", "--language", "jmespath", "--logic", "a"), "{", 4, "not valid JSON"),
        (("try", "--language", "jmespath", "--file", "none.txt"), "{}", 3, "There is no file none.txt"),
        (("set", "x"), "", 2, "Say what changes"),
        (("set", "x", "timeout_seconds=soon"), "", 4, "whole number of seconds"),
        (("add", "x", "--language", "sql", "--logic", "SELECT 1", "input_schema=no"), "", 4, "is JSON"),
    ):
        result = run(edge_file, *words, given=given)
        assert (result.exit_code, message in result.stderr) == (code, True), (words, result.stderr)
        assert "Traceback" not in result.output
