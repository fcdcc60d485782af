"""Is a feature available? Our answer beside a dict and the OpenFeature SDK: python features.py [rounds]

60 features, 3 tiers, 1,000 producers each with a tier's worth of licences, dependency chains of up to 5.
Every variant answers the same random questions in each round; their answers are compared first. Time is that
of the processor, so that other work on the machine counts less.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rounds import take_turns

import edgekit
from edgekit import cache, db, licensing, scope
from edgekit.licensing import checking

if TYPE_CHECKING:
    from collections.abc import Callable

PRODUCERS = 1_000
ASKED = 50
QUESTIONS = 2_000
LIMIT = "dict of answers (the limit)"


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = edgekit.create(Path(folder) / "edge.db")
        with edgekit.open(path):
            fill()
            rng = random.Random(5)
            asks = [(f"FEAT{rng.randrange(1, 61)}", f"P{rng.randrange(ASKED)}") for _ in range(QUESTIONS)]
            answers = {ask: licensing.check(ask[0], producer=ask[1]).enabled for ask in asks}
            assert 0.1 < sum(answers.values()) / len(answers) < 0.95
            found = variants(asks, answers)
            took = take_turns({name: timed(*one) for name, one in found.items()}, rounds)
    report(took, rounds)


def fill() -> None:
    """Write the catalogue and the licences."""
    connection = db.connection()
    with db.change(reason="benchmark"):
        for number in range(1, 61):
            connection.execute(
                "INSERT INTO feature(code, name, feature_key, feature_type_id, license_tier_id)"
                " SELECT ?1, ?1, ?2, id, ?3 FROM feature_type WHERE code = 'ANALYTICS'",
                (f"FEAT{number}", f"bench.feat{number}", 1 + (number - 1) // 20),
            )
            if number % 5 and number > 1:  # chains of up to 5
                connection.execute(
                    "INSERT INTO feature_dependency(feature_id, depends_on_feature_id) SELECT a.id, b.id"
                    " FROM feature a, feature b WHERE a.code = ? AND b.code = ?",
                    (f"FEAT{number}", f"FEAT{number - 1}"),
                )
        connection.execute("UPDATE organization SET license_tier_id = 2")
        for number in range(PRODUCERS):
            connection.execute("INSERT INTO producer(code, name) VALUES (?1, ?1)", (f"P{number}",))
        connection.execute(
            "INSERT INTO feature_license(uuid, feature_id, scope_type_id, scope_id, organization_id)"
            " SELECT printf('%018d%018d', f.id, p.id), f.id, s.id, p.id, 1 FROM feature f, producer p"
            " JOIN scope_type s ON s.code = 'PRODUCER' WHERE f.code = 'FEAT' || (41 + p.id % 20)"
        )


def variants(
    asks: list[tuple[str, str]], answers: dict[tuple[str, str], bool]
) -> dict[str, tuple[Callable[[str, str], Any], list[tuple[str, str]]]]:
    chains = {producer: scope.chain(producer=producer) for _, producer in asks}

    def cold(feature: str, producer: str) -> Any:
        for region in cache._local.state.kept:  # noqa: SLF001 - chains, tiers, all of it
            region.clear()
        return licensing.check(feature, producer=producer)

    found: dict[str, tuple[Callable[[str, str], Any], list[tuple[str, str]]]] = {
        LIMIT: (lambda feature, producer: answers[feature, producer], asks * 5),
        "check, kept": (lambda feature, producer: licensing.check(feature, producer=producer), asks * 5),
        "decided anew, the chain kept": (
            lambda feature, producer: checking.decide(feature, chains[producer]),
            asks[:500],
        ),
        "nothing kept at all": (cold, asks[:200]),
    }
    for feature, producer in asks[:300]:
        assert checking.decide(feature, chains[producer]).enabled == answers[feature, producer]
    return found | openfeature(asks, answers)


def openfeature(asks: list[tuple[str, str]], answers: dict[tuple[str, str], bool]) -> dict[str, Any]:
    """The SDK with its own provider in memory: a rule that looks the producer up, no dependency, no tier."""
    from openfeature import api
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.flag_evaluation import FlagResolutionDetails, Reason
    from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

    def rule(feature: str) -> Any:
        def evaluate(_flag: Any, context: Any) -> Any:
            value = answers.get((feature, context.targeting_key), False)
            return FlagResolutionDetails(value=value, reason=Reason.TARGETING_MATCH)

        return evaluate

    flags = {
        feature: InMemoryFlag("on", {"on": True, "off": False}, context_evaluator=rule(feature))
        for feature, _ in asks
    }
    api.set_provider(InMemoryProvider(flags))
    client = api.get_client()
    contexts = {producer: EvaluationContext(targeting_key=producer) for _, producer in asks}
    for feature, producer in asks[:100]:
        assert client.get_boolean_value(feature, False, contexts[producer]) == answers[feature, producer]
    return {
        "openfeature-sdk, in memory": (
            lambda feature, producer: client.get_boolean_value(feature, False, contexts[producer]),
            asks,
        )
    }


def timed(ask: Callable[[str, str], Any], asks: list[tuple[str, str]]) -> Callable[[], float]:
    """Give the seconds of one question."""

    def run() -> float:
        started = time.process_time()
        for feature, producer in asks:
            ask(feature, producer)
        return (time.process_time() - started) / len(asks)

    return run


def report(took: dict[str, list[float]], rounds: int) -> None:
    print(f"Python {sys.version.split()[0]}, {rounds} rounds, the best of each")
    print("| feature check | us | times the dict |\n|---|---:|---:|")
    limit = min(took[LIMIT])
    for name, times in took.items():
        print(f"| {name} | {min(times) * 1e6:.2f} | {min(times) / limit:.1f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
