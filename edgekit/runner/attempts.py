"""The tries made at reaching the other side, each a row of `integration_log`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import clock, codec, db, masking

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgekit.connectors import Attempt
    from edgekit.integrations import Plan
    from edgekit.runner.execution import Execution

_LONGEST_RESPONSE = 10_000
"""Characters of an answer that are kept of each try."""


def log_attempts(
    integration_id: int,
    organization_id: int | None,
    attempts: Iterable[Attempt],
    *,
    correlation_id: str,
    execution_id: int | None = None,
    communication_id: int | None = None,
    retries: int = 0,
    response: Any = None,
) -> None:
    """Write tries, in the open change; `execution_id` is the run that made them, if one did.

    `communication_id` is what they were tries at, which had so many `retries` before; the last of them got
    the `response`.
    """
    actor, tries = db.current().actor_id, list(attempts)
    said = codec.dumps(masking.document(response)) if isinstance(response, dict) else None
    if said is not None and len(said) > _LONGEST_RESPONSE:
        said = codec.dumps({"beginning": said[:_LONGEST_RESPONSE]})
    db.connection().executemany(
        "INSERT INTO integration_log(integration_id, execution_id, communication_id, request_type,"
        " request_url, response_data, response_code,"
        " response_time_ms, is_success, error_message, retry_count, correlation_id,"
        " external_reference, span_id, organization_id, created_by,"
        " created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                integration_id,
                execution_id,
                communication_id,
                item.method,
                masking.text(item.url)[:500],
                said if item is tries[-1] else None,
                item.response_code,
                item.duration_ms,
                int(item.error is None),
                masking.text(item.error) if item.error else None,
                retries + item.retry_number,
                correlation_id,
                item.external_reference,
                item.span_id,
                organization_id,
                actor,
                clock.to_text(item.started_at),
            )
            for item in tries
        ],
    )


def log_run(plan: Plan, current: Execution, attempts: Sequence[Attempt]) -> None:
    """Write the tries of a run, in the open change, and count those that repeat one."""
    current.retries += sum(attempt.retry_number > 0 for attempt in attempts)
    log_attempts(
        plan.integration_id, plan.organization_id, attempts,
        correlation_id=current.correlation_id, execution_id=current.id,
    )  # fmt: skip
