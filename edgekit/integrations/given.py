"""Records given to a run, as the event of a subscription is: in the place of what its source reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import connectors
from edgekit.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgekit.integrations.plan import Inputs


def put_in(
    row: Mapping[str, Any],
    settings: Mapping[str, Any],
    connector: connectors.Connector,
    config: dict[str, Any],
    inputs: Inputs | None,
    records: Mapping[str, Mapping[str, Any]] | None,
) -> tuple[connectors.Connector, dict[str, Any], Inputs | None]:
    """Put records, if there are any, in the place of what is read; of a source that rows drive, in theirs.

    Raise InvalidError where answers are to be written back into rows, which there are none of then.
    """
    from edgekit.integrations.plan import Inputs

    if records is None:
        return connector, config, inputs
    if isinstance(to := settings.get("to"), dict) and to.get("write_back"):
        name = row["integration_name"]
        raise InvalidError(f"{name}: to.write_back goes back into rows, and it was given records.")
    if inputs is not None and connector.name != "table" and not hasattr(connector, "driven_by"):
        return connector, config, Inputs(columns=inputs.columns, rows=tuple(records.items()))
    return connectors.get("event"), {}, Inputs(rows=tuple(records.items()))


def is_asked(connector: connectors.Connector, inputs: Inputs | None) -> bool:
    """Whether a source is asked for rows of this file, so that its answers may be used again."""
    return inputs is not None and inputs.rows is None and connector.name != "table"
