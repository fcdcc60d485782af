"""Connectors: take plain settings, yield pages of records. They never see the database and print nothing.

Built in are `file`, `http`, `singer`, `smtp`, `sql`, `table` and `webhook`; others are found by the entry
point group `edgekit.connectors`. Their settings are JSON Schemas; one that names a secret has `x-secret`, the
key under which the vault usually has it.
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
    Passage,
    Reject,
    Writer,
    check_config,
    get,
    get_destination,
    names,
    probe,
)
from edgekit.connectors.describing import Described, Setting, list_connectors, show_connector

__all__ = [
    "Answer",
    "Attempt",
    "Connector",
    "Delivery",
    "Described",
    "Description",
    "Destination",
    "Gate",
    "Outgoing",
    "Page",
    "Passage",
    "Reject",
    "Setting",
    "Writer",
    "check_config",
    "get",
    "get_destination",
    "list_connectors",
    "names",
    "probe",
    "show_connector",
]
