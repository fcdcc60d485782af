"""Scripts in five languages under one contract: what they see, what they give, and what stops them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from cases import hostile

from edgekit import transformation
from edgekit.errors import EdgekitError, InvalidError, TransformationError
from edgekit.transformation import workers

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORD = {"name": "Ann", "premium": 10, "drivers": [{"age": 17}, {"age": 40}]}
LIMITS = transformation.Limits(seconds=0.2, memory_mb=64)

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

NUMBER = {
    "jmespath": "abs(n)",
    "jsonpath": "$[?@ > 0]",
    "javascript": "if (typeof input.n !== 'number') throw 'no number'; input.n",
    "python": "abs(input['n'])",
    "sql": "SELECT abs(n) AS n FROM input WHERE json_valid(n)",
}
"""Give the number n, and fail without one."""

HANGS = {
    "javascript": "input.hangs ? new Array(2**32 - 1).sort() : input.n",
    "python": "while input.get('hangs'): pass\ninput['n']",
    "jmespath": "hangs && (" + "|".join(["[@,@,@,@,@,@,@,@,@,@][]"] * 12) + ") || n",
}


@pytest.fixture(scope="module", autouse=True)
def _ended() -> Iterator[None]:
    yield
    transformation.close()


def answers_of(language: str, text: str, records: list[Any], limits: transformation.Limits) -> list[Any]:
    """Apply a script, with each failure as its code."""
    try:
        script = transformation.compile(language, text, limits=limits)
    except TransformationError as error:
        return [error.code] * len(records)
    return [
        answer.code if isinstance(answer, TransformationError) else answer
        for answer in script.apply_many(records)
    ]


def check_stopped(language: str, text: str, codes: str) -> None:
    """Apply a hostile script: it ends in time with the code, in one clear line, and the next one works."""
    began = time.monotonic()
    with pytest.raises(TransformationError) as refused:
        transformation.compile(language, text, limits=LIMITS).apply(hostile.RECORD)
    assert time.monotonic() - began < 10, "on a busy machine"
    expected = {*codes.split(), *(["time"] if "memory" in codes else [])}  # a slow machine fills no memory
    assert refused.value.code in expected, refused.value.message
    assert "\n" not in refused.value.message
    assert len(refused.value.message) < 400
    assert refused.value.exit_code == 4
    sane, value = SAME[language]
    assert transformation.compile(language, sane).apply(RECORD) == value


@pytest.mark.ledger("S4-43")
@pytest.mark.parametrize("language", transformation.LANGUAGES)
def test_each_language_sees_its_input_and_gives_a_value(language: str) -> None:
    text, expected = SAME[language]
    script = transformation.compile(language, text)
    assert script.apply(RECORD) == expected
    assert script.apply_many([RECORD, RECORD]) == [expected, expected]


@pytest.mark.ledger("S4-43")
@pytest.mark.parametrize(
    ("language", "text", "codes"),
    [(language, *case) for language, cases in hostile.QUICK.items() for case in cases],
)
def test_a_hostile_script_is_stopped_and_the_next_one_works(language: str, text: str, codes: str) -> None:
    check_stopped(language, text, codes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "text", "codes"),
    [(language, *case) for language, cases in hostile.STOPPED.items() for case in cases],
)
def test_every_hostile_script_is_stopped(language: str, text: str, codes: str) -> None:
    check_stopped(language, text, codes)


@pytest.mark.ledger("S4-43")
@pytest.mark.parametrize("language", list(hostile.DENIED))
def test_nothing_but_the_input_can_be_reached(language: str) -> None:
    limits = transformation.Limits(seconds=10)
    for text in hostile.DENIED[language]:
        assert answers_of(language, text, [hostile.RECORD], limits) == ["denied"], text
    for text in hostile.ABSENT[language]:
        (answer,) = answers_of(language, text, [RECORD], limits)
        assert answer in {"denied", "failed", "output", "syntax"}, text


@pytest.mark.parametrize("language", list(hostile.ODD))
def test_answers_at_the_edge_of_json_are_defined(language: str) -> None:
    limits = transformation.Limits(seconds=10)
    for text, expected in hostile.ODD[language]:
        assert answers_of(language, text, [hostile.RECORD], limits) == [expected], text


ODD_INPUT: list[tuple[Any, set[str]]] = [
    (float("nan"), set()),
    ("\ud800", set()),
    ({"x": {1, 2}}, set()),
    (10**30, {"python", "jmespath", "jsonpath"}),
    (2**53 + 1, {"python", "jmespath", "jsonpath"}),
    ("a\0b", {"python", "javascript", "jmespath", "jsonpath"}),
    ({"A": 1, "a": 2}, {"python", "javascript", "jmespath", "jsonpath"}),
    ([{"a": 1}, {"b": 2}], set(transformation.LANGUAGES)),
    ({}, set(transformation.LANGUAGES)),
    ({"": 1, 'a"b': 2, "c d": 3}, set(transformation.LANGUAGES)),
]
"""Input at the edge, and the languages that take it; the others say `input`."""

WHOLE = {
    "python": "input", "javascript": "input", "jmespath": "@|@|[@,@]|[0]", "jsonpath": "$[*,*]",
    "sql": "SELECT * FROM input",
}  # fmt: skip


@pytest.mark.parametrize("language", transformation.LANGUAGES)
def test_input_at_the_edge_of_json_is_taken_whole_or_refused(language: str) -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    records = [record for record, _ in ODD_INPUT]
    answers = answers_of(language, WHOLE[language], [*records, nested], transformation.Limits(seconds=10))
    for (record, takers), answer in zip(ODD_INPUT, answers, strict=False):
        assert (answer == "input") == (language not in takers), record
        if language in {"python", "javascript", "jmespath"} and language in takers:
            assert answer == record
    assert answers[-1] == "input"


@pytest.mark.parametrize("language", transformation.LANGUAGES)
def test_one_bad_record_spoils_no_other(language: str) -> None:
    records: list[Any] = [{"n": n} for n in range(1, 50)]
    records[20] = {"n": "x"} if language != "jsonpath" else {"n": float("nan")}
    if language == "sql":
        records[20] = [1]
    answers = answers_of(language, NUMBER[language], records, transformation.Limits(seconds=10))
    assert [place for place, answer in enumerate(answers) if isinstance(answer, str)] == [20]
    given = {"jsonpath": [50 - 1], "sql": [{"n": 49}]}.get(language, 49)
    assert answers[-1] == given


@pytest.mark.parametrize(
    "language", ["javascript", "python", pytest.param("jmespath", marks=pytest.mark.slow)]
)
def test_time_is_charged_to_the_record_that_used_it_up(language: str) -> None:
    records = [{"n": n, "hangs": n == 5} for n in range(10)]
    limits = transformation.Limits(seconds=0.4, memory_mb=512)
    answers = answers_of(language, HANGS[language], records, limits)
    assert answers == [0, 1, 2, 3, 4, "time", 6, 7, 8, 9]


def test_a_batch_of_hanging_records_ends_after_the_third() -> None:
    began = time.monotonic()
    answers = answers_of("javascript", "while (true) {}", [{}] * 50, transformation.Limits(seconds=0.05))
    assert answers == ["time"] * 50
    assert time.monotonic() - began < 10


LEAKS = r"""
const places = () => [globalThis, Object.prototype, Array.prototype, Function.prototype, String.prototype,
  Math, JSON, Object, Array, Promise.prototype, Map.prototype, Object.getPrototypeOf(function* () {}),
  Object.getPrototypeOf(async function () {}), Object.getPrototypeOf([][Symbol.iterator]()), RegExp.prototype,
  Error.prototype, Reflect, Symbol.for("a").constructor, Iterator.prototype, eval, Date, Intl_()];
function Intl_() { return Object.getPrototypeOf(Int8Array); }
const found = places().filter((place) => place.leak !== undefined).length;
for (const place of places()) {
  try { place.leak = 1; } catch (error) {}
  try { Object.defineProperty(place, "leak", {value: 1}); } catch (error) {}
}
try { JSON.parse = () => ({stolen: 1}); } catch (error) {}
try { JSON.stringify = () => "1"; } catch (error) {}
try { eval("var leak = 1; globalThis.eval = null"); } catch (error) {}
try { (0, eval)("var leak2 = 1"); } catch (error) {}
try { (0, eval)("let leak3 = 1"); } catch (error) {}
try { new Function("leak4 = 1")(); } catch (error) {}
let other = 0;
for (const name of ["leak", "leak2", "leak3", "leak4"]) {
  try { (0, eval)(name); other++; } catch (error) {}
}
var mine = typeof mine === "undefined" ? 1 : mine + 1;
[found, mine, input.n]
"""


def test_a_script_leaves_nothing_behind_for_the_next_record() -> None:
    expected = [[0, 1, n] for n in range(3)]
    limits = transformation.Limits(seconds=10)
    assert answers_of("javascript", LEAKS, [{"n": n} for n in range(3)], limits) == expected
    probe = "[typeof leak, typeof leak2, typeof leak3, typeof leak4, [].leak, ({}).leak]"
    gone = ["undefined"] * 4 + [None, None]
    assert answers_of("javascript", probe, [{}], limits) == [gone]

    counting = "global n\ntry:\n  n = n + 1\nexcept NameError:\n  n = 1\nn"
    assert answers_of("python", counting, [{}] * 3, limits) == [1, 1, 1]
    rounding = "from decimal import Decimal, getcontext\nwas = getcontext().prec\ngetcontext().prec = 3\nwas"
    assert answers_of("python", rounding, [{}] * 3, limits) == [28, 28, 28]
    sneaking = "exec('leak = 1')\ntry:\n  leak\nexcept NameError:\n  pass\n1"
    assert answers_of("python", sneaking, [{}] * 3, limits) == [1, 1, 1]
    one = {"n": 1, "extra": 2}
    both = "SELECT (SELECT count(*) FROM input) AS rows, * FROM input"
    assert answers_of("sql", both, [one, {"n": 2}], limits) == [[{"rows": 1, **one}], [{"rows": 1, "n": 2}]]


@pytest.mark.slow
def test_threads_share_a_transformation() -> None:
    script = transformation.compile("javascript", "input.n * 2")
    found: dict[int, list[Any]] = {}

    def work(number: int) -> None:
        found[number] = script.apply_many([{"n": number}] * 20)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: [number * 2] * 20 for number in range(4)}


def test_a_worker_that_is_killed_from_outside_is_replaced() -> None:
    script = transformation.compile("sql", "SELECT n FROM input")
    assert script.apply({"n": 1}) == [{"n": 1}]
    for idle in list(workers._idle.values()):
        for worker in idle:
            worker.process.kill()
            worker.process.wait()
    assert script.apply_many([{"n": 1}, {"n": 2}]) == [[{"n": 1}], [{"n": 2}]]


def test_a_worker_whose_time_is_up_is_killed() -> None:
    worker = workers.Worker("sql")
    with workers._watch.over(worker, 0.02):
        assert worker.process.wait(timeout=10) != 0
    worker.close()


@pytest.mark.slow
def test_no_process_is_left_where_the_program_ends() -> None:
    program = (
        "from edgekit import transformation as t\n"
        "for language, text in (('javascript', 'input'), ('python', 'input'), ('sql', 'SELECT 1 AS a')):\n"
        "    t.compile(language, text).apply({})\n"
        "from edgekit.transformation import workers\n"
        "print(*[w.process.pid for ws in workers._idle.values() for w in ws])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stderr == ""
    assert len(ran.stdout.split()) == 2


@pytest.mark.ledger("S4-43")
@pytest.mark.parametrize(
    ("language", "text", "line"),
    [
        ("javascript", "\n\nlet x = 1;\nnosuch(x)", 4),
        ("javascript", "\n  input.a.b.c", 2),
        ("javascript", "let a = 1;\nlet {", 2),
        ("python", "\n\nx = 1\n1 / 0", 4),
        ("python", "def f(v):\n    y = v\n\n    return y['b']\n\nf(input)", 4),
        ("python", "global z\nz = 1\n\nz.nosuch", 4),
        ("python", "a = 1\nb = = 2", 2),
        ("jmespath", "{a: b,\n c: [}", 2),
    ],
)
def test_an_error_names_the_line(language: str, text: str, line: int) -> None:
    with pytest.raises(TransformationError, match=rf"line {line}: it ") as refused:
        transformation.compile(language, text).apply({"a": 1})
    assert refused.value.line == line


def test_an_error_never_shows_the_record() -> None:
    for language, text in (("jmespath", "sum(secret)"), ("sql", "SELECT json(secret) AS j FROM input")):
        with pytest.raises(TransformationError) as refused:
            transformation.compile(language, text).apply({"secret": "hunter2"})
        assert "hunter2" not in refused.value.message


INPUT = {"type": "object", "required": ["premium"], "properties": {"premium": {"type": "number"}}}
OUTPUT = {"type": "object", "properties": {"total": {"type": "number", "minimum": 0}}}
ERROR = {
    "type": "object",
    "required": ["error", "source"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "string"}, "message": {}, "line": {"type": "integer"}},
        },
        "source": {"const": "edge"},
    },
}  # fmt: skip


@pytest.mark.ledger("S4-43")
@pytest.mark.parametrize("language", ["jmespath", "javascript", "python"])
def test_input_and_output_are_checked_and_a_failure_has_its_shape(language: str) -> None:
    text = {
        "jmespath": "{total: premium}",
        "javascript": "({total: input.premium})",
        "python": "{'total': input['premium']}",
    }
    script = transformation.compile(
        language, text[language], input_schema=INPUT, output_schema=OUTPUT, error_output_schema=ERROR
    )
    good, bad, unfit = script.apply_many([{"premium": 2}, {"premium": "x"}, {"premium": -1}])
    assert good == {"total": 2}
    assert (bad.code, unfit.code) == ("input", "output")
    assert "premium: " in bad.message
    assert unfit.document == {"error": {"code": "output", "message": unfit.message}, "source": "edge"}


def test_an_error_schema_no_failure_can_have_is_refused() -> None:
    schema = {"type": "object", "required": ["ticket"], "properties": {"ticket": {"type": "integer"}}}
    with pytest.raises(InvalidError, match="no failure has the shape"):
        transformation.compile("jmespath", "a", error_output_schema=schema)
    with pytest.raises(InvalidError, match="the output schema"):
        transformation.compile("jmespath", "a", output_schema={"type": 5})


def test_an_unknown_or_absent_language_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidError, match=r"'perl' is no language\."):
        transformation.compile("perl", "1")
    with pytest.raises(TransformationError, match="is empty"):
        transformation.compile("sql", "  ")
    monkeypatch.setattr("edgekit.transformation.engine.find_spec", lambda _: None)
    for language, extra in (("javascript", "javascript"), ("python", "python-scripts")):
        with pytest.raises(InvalidError, match=f"{language} scripts need a package") as refused:
            transformation.compile(language, "1")
        assert f"edgekit[{extra}]" in str(refused.value.hint)
    assert transformation.compile("sql", "SELECT 1 AS a").apply({}) == [{"a": 1}]


def test_a_worker_gets_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_MASTER_KEY", "hunter2")
    told: dict[str, Any] = {}
    start = subprocess.Popen

    def noting(*words: Any, **options: Any) -> Any:
        told.update(options)
        return start(*words, **options)

    monkeypatch.setattr(subprocess, "Popen", noting)
    workers.close()
    assert transformation.compile("sql", "SELECT 1 AS a").apply({}) == [{"a": 1}]
    assert set(told["env"]) <= {"SYSTEMROOT"}


def test_a_script_can_be_checked_before_it_is_applied() -> None:
    transformation.compile("sql", "SELECT n FROM input").check()
    transformation.compile("javascript", "input.n.m").check()
    for language, text in (("sql", "SELEC 1"), ("sql", "DROP TABLE input"), ("javascript", "let {")):
        with pytest.raises(TransformationError):
            transformation.compile(language, text).check()


def test_sql_gives_null_for_a_member_the_input_schema_knows() -> None:
    schema = {"type": "object", "properties": {"n": {}, "m": {}}}
    script = transformation.compile("sql", "SELECT n, m FROM input", input_schema=schema)
    assert script.apply_many([{"n": 1}, {"m": True}]) == [[{"n": 1, "m": None}], [{"n": None, "m": 1}]]


def test_plain_expressions_are_answered_without_a_worker() -> None:
    for language, text, is_direct in (
        ("jmespath", "a.b[0].c", True),
        ("jmespath", "{x: a.b, y: [0]}", True),
        ("jmespath", "[a, b]", True),
        ("jmespath", "a | b", False),
        ("jmespath", "[[a, a], [a, a]]", False),
        ("jmespath", "a[*].b", False),
        ("jmespath", "length(a)", False),
        ("jsonpath", "$.a[0]", True),
        ("jsonpath", "$..a", False),
        ("python", "1", False),
    ):
        assert transformation.compile(language, text).is_direct is is_direct, text


def taken(kind: str, language: str, text: str, records: list[Any]) -> transformation.Outcome:
    return transformation.take(transformation.compile(language, text), kind, records)


@pytest.mark.ledger("S4-41")
def test_a_result_is_read_as_the_type_says() -> None:
    records = [{"n": 1}, {"n": 0}, {"n": 5}]
    assert taken("map", "jmespath", "{m: n}", records).kept == [(0, {"m": 1}), (1, {"m": 0}), (2, {"m": 5})]
    assert taken("map", "sql", "SELECT n + 1 AS m FROM input", records[:1]).kept == [(0, {"m": 2})]
    several = taken("map", "sql", "VALUES (1), (2)", records[:1])
    assert [(index, error.code) for index, error in several.failed] == [(0, "output")]
    kept = taken("filter", "jmespath", "n", records)
    assert (kept.kept, kept.dropped) == ([(0, {"n": 1}), (2, {"n": 5})], [1])
    assert taken("filter", "sql", "SELECT 1 FROM input WHERE n > 3", records).dropped == [0, 1]
    assert taken("enrich", "jmespath", "{m: n}", records[:1]).kept == [(0, {"n": 1, "m": 1})]
    assert taken("enrich", "jmespath", "n", records[:1]).failed[0][1].code == "output"
    total = taken("aggregate", "python", "{'sum': sum(r['n'] for r in input)}", records)
    assert total.kept == [(2, {"sum": 6})]
    split = taken("custom", "python", "[{'n': input['n']}] * 2 if input['n'] else None", records)
    assert (len(split.kept), split.dropped) == (4, [1])


@pytest.mark.ledger("S4-41")
def test_a_validation_lets_pass_or_says_what_is_wrong() -> None:
    text = "['n is small'] if input['n'] < 3 else []"
    found = taken("validate", "python", text, [{"n": 1}, {"n": 5}])
    assert found.kept == [(1, {"n": 5})]
    assert found.failed[0][1].message.endswith("refuses the record: n is small")
    for value, passes in (("true", True), ("`[]`", True), ("`false`", False), ("`null`", False)):
        outcome = taken("validate", "jmespath", "`true`" if value == "true" else value, [{}])
        assert bool(outcome.kept) is passes, value
    with pytest.raises(InvalidError, match="no type of transformation"):
        taken("shrink", "jmespath", "n", [{}])


@pytest.mark.parametrize("kind", transformation.KINDS)
def test_a_failing_script_fails_as_every_type(kind: str) -> None:
    outcome = taken(kind, "jmespath", "nosuch(@)", [{}, {}])
    assert [index for index, _ in outcome.failed] == [0, 1]
    assert outcome.kept == []
    assert all(isinstance(error, EdgekitError) for _, error in outcome.failed)


def test_answers_are_limited_each_and_together() -> None:
    limits = transformation.Limits(seconds=10, output_mb=1)
    for language, text, size in (
        ("javascript", "'x'.repeat(input.n)", 900_000),
        ("python", "global n\n'x' * input['n']", 900_000),
        ("sql", "SELECT hex(zeroblob(n / 2)) AS x FROM input", 900_000),
    ):
        answers = answers_of(language, text, [{"n": size}] * 6 + [{"n": 1_100_000}], limits)
        assert [answer == "output" for answer in answers] == [False] * 5 + [True] * 2, language
        assert answers_of(language, text, [{"n": 1_100_000}], limits) in ([["output"], ["memory"]]), language
