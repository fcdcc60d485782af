"""Sound rows of the events tables, and a case for each rule that the figures in its text do not give away."""

from __future__ import annotations

from typing import Any

ROWS: dict[str, dict[str, Any]] = {
    "event_source": {"code": "S{n}", "name": "Source"},
    "integration_event": {
        "uuid": "{n:036d}",
        "event_type": "t",
        "event_payload": "{{}}",
        "correlation_id": "c",
    },
}

SPECIAL: dict[str, dict[str, Any]] = {
    "integration_event.processed_at.required": {"processing_status": "processed"},
}
