"""What a doctor says: one thing that was looked at, how bad it is, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `what` is a sentence, `do` says what to do about it, empty if nothing."""

    severity: Literal["error", "warning", "ok"]
    what: str
    do: str = ""


def worst_first(found: list[Finding]) -> list[Finding]:
    """Put errors before warnings before what is in order."""
    order = {"error": 0, "warning": 1, "ok": 2}
    return sorted(found, key=lambda finding: order[finding.severity])
