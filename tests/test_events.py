"""Events are told in the change they report, reach each listener once and in order, whatever fails."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from edgekit import events
from edgekit.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from edgekit.db import Database


# --------------------------------------------------------------------------------------------------- telling


def test_an_event_is_told_in_the_change_it_reports_or_not_at_all(edge: Database) -> None:
    with edge.change(reason="bind", correlation_id="c-1"):
        told = events.emit("policy.bound", {"policy": 7}, source="MODULES", target="AUTO", ordering_key="7")
    (row,) = edge.query(
        "SELECT e.*, s.code FROM integration_event e JOIN event_source s ON s.id = event_source_id"
    )
    assert (row["uuid"], row["event_type"], row["code"]) == (told.uuid, "policy.bound", "MODULES")
    assert (row["event_target"], row["ordering_key"], row["correlation_id"]) == ("AUTO", "7", "c-1")
    assert json.loads(row["event_payload"]) == {"policy": 7}
    with pytest.raises(ZeroDivisionError), edge.change():
        events.emit("policy.bound", source="MODULES")
        raise ZeroDivisionError
    assert edge.query("SELECT count(*) AS n FROM integration_event") == [{"n": 1}]


def test_many_are_told_at_once_and_what_nobody_listens_to_is_done(edge: Database) -> None:
    told = events.emit_many("row.seen", [{"n": n} for n in range(3)], source="INTEGRATION")
    found = edge.query(
        "SELECT uuid, processing_status, processed_at = created_at AS at FROM integration_event"
    )
    assert found == [{"uuid": one.uuid, "processing_status": "processed", "at": 1} for one in told]
    assert events.emit_many("row.seen", [], source="INTEGRATION") == []


def test_events_that_lead_to_each_other_end_somewhere(edge: Database) -> None:
    cause = None
    for _ in range(events.MOST_DEEP):
        told = events.emit("loop.turned", source="MODULES", causation_id=cause)
        assert told.processing_status == "processed"
        cause = told.uuid
    with events.caused_by(told.uuid):
        deepest = events.emit("loop.turned", source="MODULES")
    assert (deepest.causation_id, deepest.processing_status) == (cause, "failed")
    (row,) = edge.query("SELECT processing_error AS e FROM integration_event WHERE uuid = ?", (deepest.uuid,))
    assert row["e"].startswith("More than 16 events led to each other")
    assert events.emit("loop.turned", source="MODULES").causation_id is None


def test_what_is_no_event_is_refused_in_words(edge: Database) -> None:
    for wrong in ("", "Policy.Bound", "policy bound", ".a", "a..b", "a" * 101):
        with pytest.raises(InvalidError, match="no type of an event"):
            events.emit(wrong, source="MODULES")
    with pytest.raises(NotFoundError, match="no event source NONE"):
        events.emit("a.b", source="NONE")
    with pytest.raises(InvalidError, match="at most 200 characters"):
        events.emit("a.b", source="MODULES", ordering_key="k" * 201)
