"""Having a worker answer a batch: who used up the time is found, and the others are answered all the same."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from edgekit import codec
from edgekit.transformation import workers
from edgekit.transformation.limits import Refusal, out_of_memory, out_of_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.transformation.limits import Limits

_GRACE = {"javascript": 0.25, "sql": 0.25, "jmespath": 0.02, "jsonpath": 0.02}
# Seconds past the limit before a worker is killed: two engines stop most scripts themselves.

MAX_STOPPED = 3
"""Records of one batch that may use up the time; the rest of such a batch is refused without being begun."""


def answer_many(
    language: str, text: str, documents: Sequence[bytes], limits: Limits, *, columns: Sequence[str] = ()
) -> list[Any | Refusal]:
    """Answer each record, given as JSON; a Refusal stands where there is no answer."""
    request: dict[str, Any] = {
        "language": language,
        "text": text,
        "columns": list(columns),
        "limits": dataclasses.asdict(limits),
    }
    found: list[Any | Refusal] = []
    stopped, lost, is_careful = 0, -1, len(documents) == 1
    while len(found) < len(documents):
        if stopped >= MAX_STOPPED:
            rest = Refusal("time", f"was not begun: {stopped} records before it used up their time")
            return found + [rest] * (len(documents) - len(found))
        left = documents[len(found) :]
        request.update(count=len(left), is_careful=is_careful)
        head = codec.dumps(request).encode() + b"\n"
        seconds = limits.seconds + _GRACE[language]
        lines, end = workers.ask(language, text, head, left, seconds=seconds, memory=limits.memory)
        found.extend(map(_read, lines))
        if end == "late" and is_careful:
            found.append(out_of_time(limits.seconds))
        elif end == "gone" and is_careful and lost == len(found):  # twice at the same record
            found.append(out_of_memory())
        elif end == "gone":
            lost = len(found)
        # From here each answer is sent at once: who is late, or ends its worker, is known by its place.
        is_careful = is_careful or end in {"late", "gone"}
        stopped += sum(1 for answer in found[-1:] if isinstance(answer, Refusal) and answer.code == "time")
    return found


def _read(line: bytes) -> Any | Refusal:
    if line.startswith(b"!"):
        return Refusal(*codec.loads(line[1:]))
    return line[1:-1]
