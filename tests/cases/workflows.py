"""Sound rows of the workflows tables, and a case for each rule that the figures in its text do not give away."""

from __future__ import annotations

from typing import Any

STEPS = '{{"steps": [{{"name": "one", "type": "notify"}}]}}'  # as `format` reads it

ROWS: dict[str, dict[str, Any]] = {
    "workflow_type": {"code": "T{n}", "name": "Kind"},
    "workflow_template": {"code": "T{n}", "name": "Template", "version": "1", "definition": STEPS},
    "orchestration_workflow": {
        "uuid": "{n:036d}",
        "workflow_name": "Workflow",
        "workflow_definition": STEPS,
        "correlation_id": "c",
    },
    "workflow_execution": {"step_name": "one", "step_type": "notify", "execution_order": 1},
}

EARLY, LATE = "2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z"

SPECIAL: dict[str, dict[str, Any]] = {
    "orchestration_workflow.started_at.required": {"workflow_status": "in_progress"},
    "orchestration_workflow.completed_at.required": {"workflow_status": "cancelled"},
    "orchestration_workflow.completed_at.order": {
        "workflow_status": "completed",
        "started_at": LATE,
        "completed_at": EARLY,
    },
    "workflow_execution.retry_count.range": {"retry_count": 4},
    "workflow_execution.started_at.required": {"execution_status": "running"},
    "workflow_execution.completed_at.required": {"execution_status": "skipped"},
    "workflow_execution.completed_at.order": {
        "execution_status": "failed",
        "started_at": LATE,
        "completed_at": EARLY,
    },
}

SECRET = """'{"steps": [{"name": "one", "type": "deploy", "input": {"password": "p"}}]}'"""
UNNAMED = """'{"steps": [{"name": "one", "type": "deploy"}, "two"]}'"""
BEGIN = (
    "UPDATE orchestration_workflow SET workflow_status = 'in_progress', started_at = created_at WHERE id = ?1"
)
RUN = "UPDATE workflow_execution SET execution_status = 'running', started_at = created_at WHERE id = ?1"
INTO_WORKFLOW = (
    "INTO orchestration_workflow(uuid, workflow_name, workflow_type_id, workflow_definition, workflow_status,"
    " started_at, completed_at, correlation_id)"
)

REFUSALS: dict[str, tuple[str | None, str, str]] = {
    "workflow_template_definition_steps_bi": (
        "workflow_template",
        (
            "INSERT INTO workflow_template(code, name, workflow_type_id, version, definition)"
            """ SELECT 'X', 'X', workflow_type_id, '1', '{"steps": []}' FROM workflow_template WHERE id = ?1"""
        ),
        "workflow_template.definition.steps",
    ),
    "workflow_template_definition_steps_bu": (
        "workflow_template",
        f"UPDATE workflow_template SET definition = {UNNAMED} WHERE id = ?1",
        "workflow_template.definition.steps",
    ),
    "workflow_template_definition_secret_bi": (
        "workflow_template",
        (
            "INSERT INTO workflow_template(code, name, workflow_type_id, version, definition)"
            f" SELECT 'X', 'X', workflow_type_id, '1', {SECRET} FROM workflow_template WHERE id = ?1"
        ),
        "workflow_template.definition.secret",
    ),
    "workflow_template_definition_secret_bu": (
        "workflow_template",
        f"UPDATE workflow_template SET definition = {SECRET} WHERE id = ?1",
        "workflow_template.definition.secret",
    ),
    "orchestration_workflow_workflow_definition_steps_bi": (
        "orchestration_workflow",
        (
            f"INSERT {INTO_WORKFLOW} SELECT printf('%036d', 0), 'w', workflow_type_id, '{{}}', 'pending', NULL, NULL, 'c'"
            " FROM orchestration_workflow WHERE id = ?1"
        ),
        "orchestration_workflow.workflow_definition.steps",
    ),
    "orchestration_workflow_workflow_definition_steps_bu": (
        "orchestration_workflow",
        """UPDATE orchestration_workflow SET workflow_definition = '{"steps": [{"name": 1, "type": "x"}]}' WHERE id = ?1""",
        "orchestration_workflow.workflow_definition.steps",
    ),
    "orchestration_workflow_workflow_definition_secret_bi": (
        "orchestration_workflow",
        (
            f"INSERT {INTO_WORKFLOW} SELECT printf('%036d', 0), 'w', workflow_type_id, {SECRET}, 'pending', NULL, NULL, 'c'"
            " FROM orchestration_workflow WHERE id = ?1"
        ),
        "orchestration_workflow.workflow_definition.secret",
    ),
    "orchestration_workflow_workflow_definition_secret_bu": (
        "orchestration_workflow",
        f"UPDATE orchestration_workflow SET workflow_definition = {SECRET} WHERE id = ?1",
        "orchestration_workflow.workflow_definition.secret",
    ),
    "orchestration_workflow_workflow_status_bi": (
        "orchestration_workflow",
        (
            f"{BEGIN}; UPDATE orchestration_workflow SET workflow_status = 'completed', completed_at = created_at WHERE id = ?1;"
            f" REPLACE {INTO_WORKFLOW} SELECT uuid, 'w', workflow_type_id, workflow_definition, 'in_progress', started_at, NULL, 'c'"
            " FROM orchestration_workflow WHERE id = ?1"
        ),
        "orchestration_workflow.workflow_status.transition",
    ),
    "orchestration_workflow_workflow_status_bu": (
        "orchestration_workflow",
        (
            "UPDATE orchestration_workflow SET workflow_status = 'completed', started_at = created_at,"
            " completed_at = created_at WHERE id = ?1"
        ),
        "orchestration_workflow.workflow_status.transition",
    ),
    "orchestration_workflow_definition_kept_bi": (
        "orchestration_workflow",
        (
            f"{BEGIN}; REPLACE {INTO_WORKFLOW} SELECT uuid, 'w', workflow_type_id,"
            """ '{"steps": [{"name": "other", "type": "notify"}]}', 'in_progress', started_at, NULL, 'c'"""
            " FROM orchestration_workflow WHERE id = ?1"
        ),
        "orchestration_workflow.workflow_definition.final",
    ),
    "orchestration_workflow_definition_kept_bu": (
        "orchestration_workflow",
        (
            f"{BEGIN}; UPDATE orchestration_workflow SET workflow_definition ="
            """ '{"steps": [{"name": "other", "type": "notify"}]}' WHERE id = ?1"""
        ),
        "orchestration_workflow.workflow_definition.final",
    ),
    "workflow_execution_execution_status_bi": (
        "workflow_execution",
        (
            f"{RUN}; UPDATE workflow_execution SET execution_status = 'completed', completed_at = created_at WHERE id = ?1;"
            " REPLACE INTO workflow_execution(workflow_id, step_name, step_type, execution_order)"
            " SELECT workflow_id, 'one', 'notify', execution_order FROM workflow_execution WHERE id = ?1"
        ),
        "workflow_execution.execution_status.transition",
    ),
    "workflow_execution_execution_status_bu": (
        "workflow_execution",
        "UPDATE workflow_execution SET execution_status = 'failed', started_at = created_at, completed_at = created_at WHERE id = ?1",
        "workflow_execution.execution_status.transition",
    ),
    "orchestration_workflow_uuid_bu": (
        "orchestration_workflow",
        "UPDATE OR REPLACE orchestration_workflow SET uuid = printf('%036d', 0) WHERE id = ?1",
        "orchestration_workflow.uuid.protected",
    ),
}

FURTHER: dict[str, tuple[str | None, str, str]] = {
    "orchestration_workflow begun anew by default": (
        "orchestration_workflow",
        "UPDATE orchestration_workflow SET workflow_status = 'cancelled', completed_at = created_at WHERE id = ?1; UPDATE OR REPLACE orchestration_workflow SET workflow_status = NULL, started_at = NULL, completed_at = NULL WHERE id = ?1",
        "orchestration_workflow.workflow_status.transition",
    ),
    "workflow_execution begun anew by default": (
        "workflow_execution",
        "UPDATE workflow_execution SET execution_status = 'skipped', completed_at = created_at WHERE id = ?1; UPDATE OR REPLACE workflow_execution SET execution_status = NULL, started_at = NULL, completed_at = NULL WHERE id = ?1",
        "workflow_execution.execution_status.transition",
    ),
}
