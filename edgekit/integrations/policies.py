"""What a pipeline does with bad records, and how much it does at a time: read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEEPS = {"dead_letter", "retry"}
_LONGEST_DELAY = 3600


@dataclass(frozen=True, slots=True)
class Policy:
    """How many records may be set aside before a run counts as failed, and how often they are tried again.

    `attempts` counts the tries at the end of a run, `delay_seconds` before each of them. `parallelism` is how
    many branches that wait may do so at the same time.
    """

    max_count: int | None = None
    max_percent: float | None = 50.0
    attempts: int = 0
    delay_seconds: float = 0.0
    parallelism: int = 4


def read_policy(pipeline: Mapping[str, Any]) -> Policy:
    """Read `dead_letters` and `performance` of a pipeline. Raise InvalidError naming what is wrong."""
    strategy, wanted = pipeline["error_handling_strategy"], pipeline["dead_letters"]
    for name, value in wanted.items():
        if name not in {"max_count", "max_percent", "retry"}:
            raise InvalidError(
                f"dead_letters has no {name}.", hint="It has max_count, max_percent and retry."
            )
        if name != "retry" and value is not None:
            _number("dead_letters", name, value)
    attempts, delay = _retry(strategy, wanted.get("retry"))
    limits = {name: wanted[name] for name in ("max_count", "max_percent") if name in wanted}
    return Policy(
        **limits, attempts=attempts, delay_seconds=delay, parallelism=_parallelism(pipeline["performance"])
    )


def _retry(strategy: str, wanted: Any) -> tuple[int, float]:
    """Read how often what was set aside is tried again, and after how long."""
    if wanted is None:
        return int(strategy == "retry"), 0.0
    if strategy not in _KEEPS:
        raise InvalidError(
            f"dead_letters.retry tries again what was kept, and {strategy} keeps nothing.",
            hint="Its strategy is dead_letter or retry.",
        )
    if not isinstance(wanted, dict) or set(wanted) - {"attempts", "delay_seconds"}:
        raise InvalidError('dead_letters.retry is {"attempts": 3, "delay_seconds": 10}.')
    attempts, delay = wanted.get("attempts", 1), wanted.get("delay_seconds", 0)
    if isinstance(attempts, bool) or not isinstance(attempts, int) or not 1 <= attempts <= 10:
        raise InvalidError("dead_letters.retry: attempts is a whole number from 1 to 10.")
    _number("dead_letters.retry", "delay_seconds", delay)
    if delay > _LONGEST_DELAY:
        raise InvalidError(f"dead_letters.retry: delay_seconds is {_LONGEST_DELAY} at most.")
    return attempts, float(delay)


def _parallelism(performance: Mapping[str, Any]) -> int:
    if unknown := set(performance) - {"batch_size", "parallelism"}:
        raise InvalidError(f"performance has no {min(unknown)}.", hint="It has batch_size and parallelism.")
    for name, most in (("batch_size", 100_000), ("parallelism", 32)):
        value = performance.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise InvalidError(f"performance: {name} is a whole number from 1 to {most:,}.")
    return int(performance.get("parallelism", 4))


def _number(where: str, name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise InvalidError(f"{where}: {name} is a number from 0 on, or null.")
