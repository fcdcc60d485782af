"""Scripts over records in five languages under one contract: jmespath, jsonpath, javascript, python, sql.

    doubled = transformation.compile("javascript", "({total: input.premium * 12})")
    doubled.apply({"premium": 10})              {"total": 120}
    doubled.apply_many(records)                 an answer or a TransformationError for each

A script sees its input and nothing else: no file, network, process, environment or database. Time, memory and
the size of the answer are limited, and the limits stop every script: what cannot be stopped from inside runs
in a worker process that is killed. Nothing a script does to its surroundings reaches the next record.
"""

from edgekit.transformation.engine import LANGUAGES, Transformation, compile  # noqa: A004 - used qualified
from edgekit.transformation.limits import Limits
from edgekit.transformation.reading import KINDS, Outcome, take, take_one

__all__ = [
    "KINDS",
    "LANGUAGES",
    "Limits",
    "Outcome",
    "Transformation",
    "close",
    "compile",
    "take",
    "take_one",
]


def close() -> None:
    """End the worker processes; the next call starts them anew."""
    import sys

    for name in ("python", "workers"):
        if module := sys.modules.get(f"edgekit.transformation.{name}"):
            module.close()
