"""Connectors: take plain settings, yield pages of records. They never see the database and print nothing.

Built in are `file` and `http`; others are found by the entry point group `edgekit.connectors`.
"""

from edgekit.connectors.base import Attempt, Connector, Gate, Page, Reject, check_config, get, probe

__all__ = ["Attempt", "Connector", "Gate", "Page", "Reject", "check_config", "get", "probe"]
