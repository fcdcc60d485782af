"""Sound rows of the clients tables, and a case for each rule that the figures in its text do not give away."""

from __future__ import annotations

from typing import Any

ROWS: dict[str, dict[str, Any]] = {
    "client_status": {"code": "S{n}", "name": "Stage"},
    "subscription_status": {"code": "S{n}", "name": "State"},
    "client": {"client_name": "Client"},
    "client_billing_info": {"uuid": "{n:036d}"},
    "deployment_template": {"code": "T{n}", "name": "Template", "version": "1", "template_data": "{{}}"},
    "client_deployment": {"version": "1"},
    "client_customization": {"customization_data": "{{}}"},
    "consultation_session": {"lead_name": "Ann Roe"},
    "questionnaire_submission": {
        "questionnaire_code": "NEEDS",
        "questionnaire_version": "1",
        "answers": "{{}}",
    },
    "consultation_generation": {"prompt": "{{}}"},
    "consultation_analytics": {"metric_name": "minutes", "metric_value": 1.5},
}

ELSEWHERE = (
    "INSERT INTO organization(id, code, name) VALUES (900, 'ELSEWHERE', 'Elsewhere'); INSERT INTO"
    " configuration(id, configuration_type_id, scope_type_id, organization_id, config_data)"
    " SELECT 900, t.id, s.id, 900, '{}' FROM configuration_type t, scope_type s"
    " WHERE t.applies_to_system AND s.code = 'SYSTEM' LIMIT 1"
)
DEPLOYED = (
    ELSEWHERE.replace("s.id, 900,", "s.id, k.organization_id,").replace(
        "scope_type s WHERE",
        "scope_type s, client_deployment d JOIN client k ON k.id = d.client_id WHERE d.id = ?1 AND",
    )
    + "; UPDATE client_deployment SET configuration_id = 900 WHERE id = ?1"
)

EARLY, LATE = "2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z"

SPECIAL: dict[str, dict[str, Any]] = {
    "client_billing_info.encryption_key_id.required": {"payment_method_ciphertext": b"x" * 40},
    "client_billing_info.period_end_date.order": {
        "period_start_date": "2026-02-01",
        "period_end_date": "2026-02-01",
    },
    "client_deployment.started_at.required": {"deployment_status": "in_progress"},
    "client_deployment.completed_at.required": {"deployment_status": "failed"},
    "client_deployment.completed_at.order": {
        "deployment_status": "completed",
        "started_at": LATE,
        "completed_at": EARLY,
    },
    "consultation_session.client_id.required": {
        "session_status": "converted",
        "started_at": EARLY,
        "completed_at": LATE,
    },
    "consultation_session.started_at.required": {"session_status": "in_progress"},
    "consultation_session.completed_at.required": {"session_status": "cancelled"},
    "consultation_session.completed_at.order": {
        "session_status": "completed",
        "started_at": LATE,
        "completed_at": EARLY,
    },
    "consultation_generation.result.required": {"result": "{}"},
    "consultation_generation.completed_at.required": {"generation_status": "failed"},
    "consultation_generation.completed_at.order": {
        "generation_status": "failed",
        "started_at": LATE,
        "completed_at": EARLY,
    },
}

OTHER_SESSION = "INSERT INTO consultation_session(id, lead_name) VALUES (900, 'other')"
OTHER_SUBMISSION = (
    f"{OTHER_SESSION}; INSERT INTO questionnaire_submission(id, consultation_session_id, questionnaire_code,"
    " questionnaire_version, answers) VALUES (900, 900, 'NEEDS', '1', '{}')"
)

REFUSALS: dict[str, tuple[str | None, str, str]] = {
    "client_billing_info_uuid_bu": (
        "client_billing_info",
        "UPDATE client_billing_info SET uuid = printf('%036d', 0) WHERE id = ?1",
        "client_billing_info.uuid.protected",
    ),
    "deployment_template_template_data_secret_bi": (
        None,
        (
            "INSERT INTO deployment_template(code, name, version, template_data)"
            """ VALUES ('X', 'X', '1', '{"a": [{"Api-Key": "k"}]}')"""
        ),
        "deployment_template.template_data.secret",
    ),
    "deployment_template_template_data_secret_bu": (
        "deployment_template",
        """UPDATE deployment_template SET template_data = '{"password": 1}' WHERE id = ?1""",
        "deployment_template.template_data.secret",
    ),
    "client_deployment_configuration_bi": (
        "client_deployment",
        (
            f"{ELSEWHERE}; INSERT INTO client_deployment(client_id, environment_id, version, configuration_id)"
            " SELECT client_id, environment_id, '2', 900 FROM client_deployment WHERE id = ?1"
        ),
        "client_deployment.configuration_id.organization",
    ),
    "client_deployment_configuration_bu": (
        "client_deployment",
        f"{ELSEWHERE}; UPDATE client_deployment SET configuration_id = 900 WHERE id = ?1",
        "client_deployment.configuration_id.organization",
    ),
    "configuration_deployment_bi": (
        "client_deployment",
        (
            f"{DEPLOYED}; REPLACE INTO configuration(id, configuration_type_id, scope_type_id, organization_id, config_data)"
            " SELECT id, configuration_type_id, scope_type_id, 900, '{}' FROM configuration WHERE id = 900"
        ),
        "configuration.organization_id.referenced",
    ),
    "configuration_deployment_bu": (
        "client_deployment",
        f"{DEPLOYED}; UPDATE configuration SET organization_id = 900 WHERE id = 900",
        "configuration.organization_id.referenced",
    ),
    "client_deployment_deployment_status_bi": (
        "client_deployment",
        (
            "REPLACE INTO client_deployment(id, client_id, environment_id, version, deployment_status, started_at, completed_at)"
            " SELECT id, client_id, environment_id, '1', 'completed', created_at, created_at FROM client_deployment WHERE id = ?1"
        ),
        "client_deployment.deployment_status.transition",
    ),
    "client_deployment_deployment_status_bu": (
        "client_deployment",
        (
            "UPDATE client_deployment SET deployment_status = 'failed', completed_at = created_at WHERE id = ?1;"
            " UPDATE client_deployment SET deployment_status = 'pending', completed_at = NULL WHERE id = ?1"
        ),
        "client_deployment.deployment_status.transition",
    ),
    "client_customization_customization_data_secret_bi": (
        "client_customization",
        (
            "INSERT OR REPLACE INTO client_customization(client_id, deployment_template_id, customization_data)"
            """ SELECT client_id, deployment_template_id, '{"token": "k"}' FROM client_customization WHERE id = ?1"""
        ),
        "client_customization.customization_data.secret",
    ),
    "client_customization_customization_data_secret_bu": (
        "client_customization",
        """UPDATE client_customization SET customization_data = '{"clientSecret": "k"}' WHERE id = ?1""",
        "client_customization.customization_data.secret",
    ),
    "consultation_session_session_status_bi": (
        "consultation_session",
        (
            "REPLACE INTO consultation_session(id, lead_name, session_status, started_at, completed_at)"
            " SELECT id, lead_name, 'completed', created_at, created_at FROM consultation_session WHERE id = ?1"
        ),
        "consultation_session.session_status.transition",
    ),
    "consultation_session_session_status_bu": (
        "consultation_session",
        (
            "UPDATE consultation_session SET session_status = 'cancelled', completed_at = created_at WHERE id = ?1;"
            " UPDATE consultation_session SET session_status = 'scheduled', completed_at = NULL WHERE id = ?1"
        ),
        "consultation_session.session_status.transition",
    ),
    "questionnaire_submission_session_bi": (
        "questionnaire_submission",
        (
            f"{OTHER_SESSION}; REPLACE INTO questionnaire_submission(id, consultation_session_id, questionnaire_code,"
            " questionnaire_version, answers) SELECT id, 900, 'NEEDS', '1', '{}' FROM questionnaire_submission WHERE id = ?1"
        ),
        "questionnaire_submission.consultation_session_id.immutable",
    ),
    "questionnaire_submission_session_bu": (
        "questionnaire_submission",
        f"{OTHER_SESSION}; UPDATE questionnaire_submission SET consultation_session_id = 900 WHERE id = ?1",
        "questionnaire_submission.consultation_session_id.immutable",
    ),
    "consultation_generation_generation_status_bi": (
        "consultation_generation",
        (
            "REPLACE INTO consultation_generation(id, consultation_session_id, model_registry_id, prompt, result, generation_status, completed_at)"
            " SELECT id, consultation_session_id, model_registry_id, '{}', '{}', 'completed', created_at FROM consultation_generation WHERE id = ?1"
        ),
        "consultation_generation.generation_status.transition",
    ),
    "consultation_generation_generation_status_bu": (
        "consultation_generation",
        (
            "UPDATE consultation_generation SET generation_status = 'failed', completed_at = created_at WHERE id = ?1;"
            " UPDATE consultation_generation SET generation_status = 'pending', completed_at = NULL WHERE id = ?1"
        ),
        "consultation_generation.generation_status.transition",
    ),
    "consultation_generation_session_bi": (
        "consultation_generation",
        (
            f"{OTHER_SUBMISSION}; INSERT INTO consultation_generation(consultation_session_id, questionnaire_submission_id, model_registry_id, prompt)"
            " SELECT consultation_session_id, 900, model_registry_id, '{}' FROM consultation_generation WHERE id = ?1"
        ),
        "consultation_generation.questionnaire_submission_id.session",
    ),
    "consultation_generation_session_bu": (
        "consultation_generation",
        f"{OTHER_SUBMISSION}; UPDATE consultation_generation SET questionnaire_submission_id = 900 WHERE id = ?1",
        "consultation_generation.questionnaire_submission_id.session",
    ),
    "client_billing_info_uuid_bi": (
        "client_billing_info",
        (
            "REPLACE INTO client_billing_info(id, client_id, uuid, license_tier_id, subscription_status_id)"
            " SELECT id, client_id, printf('%036d', 0), license_tier_id, subscription_status_id FROM client_billing_info WHERE id = ?1"
        ),
        "client_billing_info.uuid.protected",
    ),
    "client_organization_bi": (
        "client",
        (
            "INSERT INTO organization(id, code, name) VALUES (70, 'A', 'A'); REPLACE INTO client(id, organization_id, client_name, client_status_id)"
            " SELECT id, 70, client_name, client_status_id FROM client WHERE id = ?1"
        ),
        "client.organization_id.immutable",
    ),
    "client_organization_bu": (
        "client",
        "INSERT INTO organization(id, code, name) VALUES (70, 'A', 'A'); UPDATE client SET organization_id = 70 WHERE id = ?1",
        "client.organization_id.immutable",
    ),
}

FURTHER: dict[str, tuple[str | None, str, str]] = {
    "client_deployment begun anew by default": (
        "client_deployment",
        "UPDATE client_deployment SET deployment_status = 'failed', completed_at = created_at WHERE id = ?1; UPDATE OR REPLACE client_deployment SET deployment_status = NULL, started_at = NULL, completed_at = NULL WHERE id = ?1",
        "client_deployment.deployment_status.transition",
    ),
    "consultation_session begun anew by default": (
        "consultation_session",
        "UPDATE consultation_session SET session_status = 'cancelled', completed_at = created_at WHERE id = ?1; UPDATE OR REPLACE consultation_session SET session_status = NULL, started_at = NULL, completed_at = NULL WHERE id = ?1",
        "consultation_session.session_status.transition",
    ),
    "consultation_generation begun anew by default": (
        "consultation_generation",
        "UPDATE consultation_generation SET generation_status = 'failed', completed_at = created_at WHERE id = ?1; UPDATE OR REPLACE consultation_generation SET generation_status = NULL, started_at = NULL, completed_at = NULL WHERE id = ?1",
        "consultation_generation.generation_status.transition",
    ),
}
