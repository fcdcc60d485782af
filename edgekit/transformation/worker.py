"""The process scripts run in: lines in, lines out, one JSON document each.

A request is a head (language, text, limits, how many records) and a line for each record. An answer is a
line for each record, `=` and its JSON or `!` and [code, message, line], and a line `.` behind the last (`..`
from a worker that leaves). After a script that used up the time or the process's memory the rest goes
unanswered: whoever asked asks again.
"""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from edgekit import codec
from edgekit.transformation.guard import Guard
from edgekit.transformation.limits import MOST_PER_CALL, Limits, Refusal, out_of_memory, out_of_time, too_much

if TYPE_CHECKING:
    from typing import BinaryIO, Protocol

    class Evaluator(Protocol):
        """A script at work."""

        def run(self, document: bytes, seconds: float) -> str:
            """Answer one record in JSON. Raise Refusal."""


_READY = b"ready\n"
_END = b".\n"
_LEAVING = b"..\n"


def main(language: str) -> None:
    """Answer requests until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever asked
    given, answers = sys.stdin.buffer, sys.stdout.buffer
    _load(language)
    guard = Guard()
    kept: dict[str, Evaluator] = {}  # the last one, for the same is asked again
    answers.write(_READY)
    answers.flush()
    while head := given.readline():
        request = codec.loads(head)
        documents = [given.readline() for _ in range(request["count"])]
        limits = Limits(**request["limits"])
        guard.begin(limits.seconds, limits.memory)
        is_sound = _answer(request, documents, limits, kept, answers)
        guard.end()
        if not is_sound:
            return  # what ran out of memory here is not asked again


def _load(language: str) -> None:
    """Import what the language needs, before the clock runs."""
    first = {"javascript": "1", "sql": "SELECT 1", "jsonpath": "$[?search(@, 'a')]", "jmespath": "[0]"}
    request = {"language": language, "text": first[language], "columns": []}
    _open(request, Limits()).run(b'["a"]' if language == "jsonpath" else b"{}", 10.0)


def _open(request: dict[str, Any], limits: Limits) -> Evaluator:
    language, text = request["language"], request["text"]
    if language == "javascript":
        from edgekit.transformation import javascript

        return javascript.Evaluator(text, limits, limits.seconds)
    if language == "sql":
        from edgekit.transformation import sql

        return sql.Evaluator(text, limits, request["columns"])
    from edgekit.transformation import paths

    return paths.Evaluator(language, text, limits)


def _answer(
    request: dict[str, Any],
    documents: list[bytes],
    limits: Limits,
    kept: dict[str, Evaluator],
    answers: BinaryIO,
) -> bool:
    """Write an answer for each record; return whether this process may be asked again."""
    deadline = time.monotonic() + limits.seconds
    wrong: Refusal | None = None
    key = codec.canonical([request[part] for part in ("language", "text", "columns", "limits")])
    code = ""
    try:
        if key not in kept:
            kept.clear()
            kept[key] = _open(request, limits)
    except Refusal as refusal:
        wrong = refusal
    given = 0
    for document in documents:
        try:
            if given > limits.output * MOST_PER_CALL:
                raise too_much(limits.output)
            left = deadline - time.monotonic()
            if wrong is not None:
                raise wrong
            if left <= 0:
                raise out_of_time(limits.seconds)
            line = b"=" + kept[key].run(document, left).encode()
            given += len(line)
        except Refusal as refusal:
            told = out_of_time(limits.seconds) if refusal.code == "time" else refusal
            code = told.code
            line = b"!" + codec.dumps([told.code, told.message, told.line]).encode()
        except MemoryError:
            code = "exhausted"
            line = b"!" + codec.dumps(["memory", out_of_memory().message, None]).encode()
        answers.write(line + b"\n")
        if request["is_careful"]:
            answers.flush()
        if code in {"time", "exhausted"}:
            break
    if code == "time":
        kept.pop(key, None)
    answers.write(_LEAVING if code == "exhausted" else _END)
    answers.flush()
    return code != "exhausted"
