"""Connectors: take plain settings, yield pages of records. They never see the database and print nothing.

Built in are `file`, `http`, `singer`, `sql` and `table`; others are found by the entry point group
`edgekit.connectors`.
"""

from edgekit.connectors.base import (
    Answer,
    Attempt,
    Connector,
    Delivery,
    Description,
    Destination,
    Gate,
    Outgoing,
    Page,
    Reject,
    Writer,
    check_config,
    get,
    get_destination,
    probe,
)

__all__ = [
    "Answer",
    "Attempt",
    "Connector",
    "Delivery",
    "Description",
    "Destination",
    "Gate",
    "Outgoing",
    "Page",
    "Reject",
    "Writer",
    "check_config",
    "get",
    "get_destination",
    "probe",
]
