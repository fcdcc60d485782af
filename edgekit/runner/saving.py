"""A run saved as tests: records that are at hand become examples of what the mappings do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import db
from edgekit.errors import InvalidError
from edgekit.integrations import find
from edgekit.integrations.mapping_cases import masked_record
from edgekit.integrations.mapping_tests import map_record
from edgekit.integrations.plan import read_fields
from edgekit.models.integrations import IntegrationMapping, IntegrationMappingTest
from edgekit.runner import kept, reading

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST = 1000


def save_as_test(execution_id: int, *, records: int = 5) -> list[dict[str, Any]]:
    """Store records of a run as tests of type `integration`, in one change; return mapping, name, outcome.

    They are those it set aside and those it kept. What is secret or tells of a person is masked in them; what
    is expected is what the mappings make of the masked record now: look at it. A record saved before is left
    out. Raise NotFoundError, InvalidError where nothing of the run is at hand or nothing maps it.
    """
    if not 1 <= records <= _MOST:
        raise InvalidError(f"records is a number from 1 to {_MOST}.")
    run = reading.show_execution(execution_id)
    integration = find(run["integration"])
    fields = read_fields(integration["id"])
    mapping = IntegrationMapping.get_or_none(
        IntegrationMapping.integration == integration["id"], IntegrationMapping.status == 1
    )
    if mapping is None or not fields:
        raise InvalidError(f"{run['integration']} has no mapping to test.")
    made = []
    with db.change(reason=f"executions save-as-test {execution_id}"):
        for position, record in _at_hand(execution_id, records):
            name = f"execution {execution_id}, {position}"[:100]
            table = IntegrationMappingTest
            if table.select().where(table.mapping == mapping.id, table.test_name == name).exists():
                continue
            masked = masked_record(fields, record)
            expected = map_record(fields, "inbound", masked)
            table.create(
                mapping_id=mapping.id, organization_id=mapping.organization_id, test_name=name,
                test_type="integration", input_data=masked, expected_output=expected,
            )  # fmt: skip
            made.append({"mapping": mapping.mapping_name, "test_name": name, "is_masked": masked != record,
                         "expected_output": expected})  # fmt: skip
    return made


def _at_hand(execution_id: int, most: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield position and record, half of them set aside at most where there are others."""
    letters = db.query(
        "SELECT id, source_position FROM dead_letter WHERE execution_id = ? ORDER BY id LIMIT ?",
        (execution_id, most),
    )
    has_kept = db.query(
        "SELECT 1 FROM integration_execution_input WHERE execution_id = ? LIMIT 1", (execution_id,)
    )
    if not letters and not has_kept:
        raise InvalidError(
            f"Nothing of the execution {execution_id} is at hand: it set nothing aside and kept nothing.",
            hint="Let the integration keep what it reads: edgekit integrations keep-inputs NAME",
        )
    told = 0
    for letter in letters[: most if not has_kept else max(1, most // 2)]:
        record = reading.show_dead_letter(letter["id"])["record"]
        if isinstance(record, dict):
            told += 1
            yield letter["source_position"], record
    for batch in kept.read(execution_id) if has_kept else ():
        for position, record in zip(batch.positions, batch.records, strict=True):
            if told >= most:
                return
            if isinstance(record, dict):
                told += 1
                yield position, record
