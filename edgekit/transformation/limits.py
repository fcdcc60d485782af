"""What a script may use, and how its failing is told."""

from __future__ import annotations

from dataclasses import dataclass

_CONTROL = dict.fromkeys([*range(32), 127, *range(55296, 57344), 8232, 8233], " ")


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a transformation.

    `seconds` hold for one call, be it of one record or of a batch; memory for one script at work, input and
    output for one record each.
    """

    seconds: float = 30.0
    memory_mb: int = 128
    input_mb: int = 16
    output_mb: int = 16

    @property
    def memory(self) -> int:
        """Bytes a script may use."""
        return self.memory_mb << 20

    @property
    def output(self) -> int:
        """Characters an answer may have as JSON."""
        return self.output_mb << 20


class Refusal(Exception):  # noqa: N818 - an answer on its way from a worker, not an error of ours
    """A script gave no answer. The code is one of those of TransformationError."""

    def __init__(self, code: str, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = one_line(message)
        self.line = line


def one_line(text: str) -> str:
    """Return a text from a script as one line of 300 characters at most, without control characters."""
    plain = " ".join(text[:2000].translate(_CONTROL).split())
    return plain if len(plain) <= 300 else plain[:299] + "…"


def out_of_time(seconds: float) -> Refusal:
    """Say that a script was stopped."""
    return Refusal("time", f"was stopped after {seconds:g} s, its time limit")


def out_of_memory() -> Refusal:
    """Say that a script wanted too much."""
    return Refusal("memory", "needs more memory than its limit")


def too_deep() -> Refusal:
    """Say that a script calls itself without end, or its data is nested too deeply."""
    return Refusal("memory", "calls itself, or nests its data, too deeply")


MOST_PER_CALL = 4
"""Answers of the largest size that one call may give: what it gives is held in memory."""


def too_much(limit: int) -> Refusal:
    """Say that the answers of a call are too long together."""
    return Refusal("output", f"gives more than {limit * MOST_PER_CALL >> 20} MB for the records of one call")


def too_large(limit: int) -> Refusal:
    """Say that an answer is too long."""
    return Refusal("output", f"gives more than {limit >> 20} MB for one record")
