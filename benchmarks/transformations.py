"""Scripts over records, side by side with the same work as a hand-written Python function.

    python benchmarks/transformations.py [rounds] [records]

All variants take turns in every round, in an order that rotates; a ratio is the median over the rounds of the
ratio within a round. Results are compared before. "One by one" is a call of `apply` for each record, the
others call `apply_many` with a thousand.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

from edgekit import transformation

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 1000
SCRIPTS = {
    "jmespath, plain": ("jmespath", "{holder: insured.last, cents: premium}"),
    "jmespath, in a worker": ("jmespath", "{holder: insured.last, cents: abs(premium)}"),
    "jsonpath, plain": ("jsonpath", "$.insured.last"),
    "jsonpath, in a worker": ("jsonpath", "$.coverages[?@.limit > 20000].kind"),
    "javascript": ("javascript", "({holder: input.insured.last, cents: input.premium})"),
    "javascript, statements": (
        "javascript",
        "let cents = input.premium;\n({holder: input.insured.last, cents})",
    ),
    "python": ("python", "{'holder': input['insured']['last'], 'cents': input['premium']}"),
    "sql": ("sql", "SELECT insured ->> 'last' AS holder, premium AS cents FROM input"),
}


def records(count: int) -> list[dict[str, Any]]:
    return [
        {
            "policy": f"P-{n}", "premium": 10_000 + n, "state": "MA", "is_active": True, "note": None,
            "insured": {"first": "Ann", "last": f"Smith {n}", "postal_code": "02134"},
            "coverages": [{"kind": "liability", "limit": 50_000}, {"kind": "glass", "limit": 1_000}],
        }
        for n in range(count)
    ]  # fmt: skip


def by_hand(record: dict[str, Any]) -> dict[str, Any]:
    return {"holder": record["insured"]["last"], "cents": record["premium"]}


def wanted(name: str, record: dict[str, Any]) -> Any:
    if name.startswith("jsonpath"):
        return [record["insured"]["last"]] if "plain" in name else ["liability"]
    return [by_hand(record)] if name == "sql" else by_hand(record)


def variants(rows: list[dict[str, Any]]) -> dict[str, tuple[Callable[[], object], int]]:
    few = rows[:300]
    found: dict[str, tuple[Callable[[], object], int]] = {
        "by hand": (lambda: [by_hand(row) for row in rows], len(rows))
    }
    for name, (language, text) in SCRIPTS.items():
        script = transformation.compile(language, text)
        assert script.apply(rows[0]) == wanted(name, rows[0])
        assert script.apply_many(few) == [wanted(name, row) for row in few]
        found[name] = (
            lambda script=script: [  # type: ignore[misc]
                script.apply_many(rows[start : start + BATCH]) for start in range(0, len(rows), BATCH)
            ],
            len(rows),
        )
        found[f"{name}, one by one"] = (lambda script=script: [script.apply(row) for row in few], len(few))  # type: ignore[misc]
    return found


def main(rounds: int, count: int) -> None:
    every = variants(records(count))
    names = list(every)
    rates: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            run, size = every[name]
            began = time.perf_counter()
            run()
            rates[name].append(size / (time.perf_counter() - began))
    print("| the same work as | records/s | ratio |\n|---|---:|---:|")
    for name in names:
        ratio = statistics.median(a / b for a, b in zip(rates[name], rates["by hand"], strict=True))
        print(f"| {name} | {statistics.median(rates[name]):,.0f} | {ratio:.4f} |")
    transformation.close()


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*[*given, *(5, 10_000)[len(given) :]])
