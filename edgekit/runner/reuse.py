"""Answers used again: a row that drives a source is not asked for anew while its last answer is fresh.

Rows are read in passes. What a pass asked for is known by when the rows last changed: those unchanged since
it began were asked for, but for those it left out itself. So a few spans of `updated_at` say it all, each
with the time of its answers; they stand in the checkpoint and are committed with the last batch of a pass.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from edgekit import clock, codec, db

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from edgekit.integrations.plan import Plan

Span = tuple[str, str, str]
"""Rows that changed last from one time on and before another, and when they were asked for."""

_COLUMN = "updated_at"


@dataclass(slots=True)
class Reuse:
    """What a pass leaves out, and what it is to remember."""

    digest: str
    began: str
    spans: list[Span]
    """Fresh when the pass began."""
    is_used: bool
    """Whether rows are left out; else all are asked for."""
    has_asked: bool = False
    is_lost: bool = False
    """Whether an answer was neither written nor kept for replay."""
    skipped: int = 0

    def condition(self) -> tuple[str, list[Any]]:
        """Return SQL that leaves out the rows whose answers are fresh."""
        if not self.is_used:
            return "", []
        sql = f" AND NOT ({_COLUMN} >= ? AND {_COLUMN} < ?)" * len(self.spans)
        return sql, [bound for span in self.spans for bound in span[:2]]

    def document(self, *, done: bool) -> dict[str, Any]:
        """Return what the checkpoint keeps; after the last batch of a pass, with what it asked for."""
        spans = self.spans
        if done and self.has_asked and not self.is_lost:
            spans = sorted([*spans, *((low, high, self.began) for low, high in self._gaps())])
        kept: dict[str, Any] = {"digest": self.digest, "spans": [list(span) for span in spans]}
        if not done:
            kept |= {"began": self.began, "asked": self.has_asked, "lost": self.is_lost}
        return kept

    def _gaps(self) -> list[tuple[str, str]]:
        found, low = [], ""
        for start, end, _ in self.spans:
            if low < start:
                found.append((low, start))
            low = max(low, end)
        if low < self.began:
            found.append((low, self.began))
        return found


def begin(plan: Plan, kept: Mapping[str, Any], *, resumed: bool, fresh: bool, now: datetime) -> Reuse | None:
    """Say what a pass leaves out, from what the checkpoint keeps; None where answers are not used again.

    `resumed` is a pass that goes on where it was broken off; `fresh` asks for all rows.
    """
    if plan.cache_hours is None or plan.inputs is None or plan.inputs.table is None:
        return None
    # A column of that name which an import made says what the provider wrote, or nothing.
    own = 'SELECT 1 FROM pragma_table_info(?) WHERE name = ? AND "notnull"'
    if not db.query(own, (plan.inputs.table, _COLUMN)):
        return None
    digest = _digest(plan)
    known = kept if kept.get("digest") == digest else {}
    oldest = clock.to_text(now - timedelta(hours=plan.cache_hours))
    spans = [(low, high, at) for low, high, at in known.get("spans", [])]
    if resumed and "began" in known:
        # What it left out so far is not what it asked for: of these spans none is dropped before its end.
        return Reuse(digest, known["began"], spans, not fresh, known["asked"], known["lost"])
    spans = [] if fresh else [span for span in spans if span[2] > oldest]
    # A pass broken off before spans were kept, or for other rows, has not asked for all of these.
    return Reuse(digest, clock.to_text(now), spans, not fresh, is_lost=resumed)


def _digest(plan: Plan) -> str:
    """Identify what is asked and what becomes of it: with another, all is asked for anew."""
    assert plan.inputs is not None
    inputs = [plan.inputs.table, list(plan.inputs.columns), dict(plan.inputs.filter)]
    said = codec.canonical([inputs, plan.table, list(plan.key), [repr(field) for field in plan.fields]])
    return hashlib.sha256(f"{plan.fingerprint} {said}".encode()).hexdigest()
