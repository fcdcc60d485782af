"""Sound rows of the marketplace tables, and a case for each rule that the figures in its text do not give away."""

from __future__ import annotations

from typing import Any

EARLY, LATE = "2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z"

ROWS: dict[str, dict[str, Any]] = {
    "marketplace_category": {"code": "C{n}", "name": "Shelf"},
    "pricing_model": {"code": "P{n}", "name": "Model"},
    "payment_status": {"code": "S{n}", "name": "State"},
    "marketplace_module": {"code": "M{n}", "name": "Module", "version": "1.0.0", "developer_id": 1},
    "module_installation": {"installed_version": "1.0.0"},
    "client_app_override": {"app_code": "A{n}"},
    "module_license": {"uuid": "{n:036d}"},
    "module_review": {"rating": 4},
    "module_payment": {"uuid": "{n:036d}", "amount": 100},
    "module_submission": {"submitted_version": "1.0.{n}", "submitted_by": 1, "submitted_at": EARLY},
    "module_validation": {"check_name": "C{n}"},
    "moderation_action": {"moderated_by": 1, "action": "approve"},
    "publishing_pipeline": {},
}

SAME: dict[str, dict[str, Any]] = {
    "module_installation_live": {"installation_status": "pending"},
    "module_submission_live": {"submission_status": "pending"},
    "sqlite_autoindex_module_license_2": {
        "license_key_hash": "h" * 64,
        "license_key_ciphertext": b"k" * 40,
        "encryption_key_id": 1,
    },
    "sqlite_autoindex_module_payment_2": {"provider_reference": "ch_1"},
}

SPECIAL: dict[str, dict[str, Any]] = {
    "marketplace_category.parent_marketplace_category_id.cycle": {
        "id": 900,
        "parent_marketplace_category_id": 900,
    },
    "marketplace_module.currency.format": {"currency": "usd"},
    "marketplace_module.integration_template_id.required": {"module_kind": "integration_template"},
    "marketplace_module.deployment_template_id.required": {"deployment_template_id": 1},
    "module_installation.installed_at.required": {"installation_status": "active"},
    "module_installation.uninstalled_at.required": {"installation_status": "uninstalled"},
    "module_installation.uninstalled_at.order": {
        "installation_status": "uninstalled",
        "installed_at": LATE,
        "uninstalled_at": EARLY,
    },
    "module_license.license_key_ciphertext.required": {"license_key_hash": "h" * 64},
    "module_review.rating.range": {"rating": 6},
    "module_payment.fee.range": {"fee": 101},
    "module_payment.currency.format": {"currency": "US"},
    "module_payment.encryption_key_id.required": {"payment_method_ciphertext": b"x" * 40},
    "module_submission.decided_at.required": {"submission_status": "approved"},
    "module_submission.decided_at.order": {
        "submission_status": "approved",
        "submitted_at": LATE,
        "decided_at": EARLY,
    },
    "module_validation.score.range": {"score": 100.5},
    "module_validation.validated_at.required": {"validation_status": "passed"},
    "moderation_action.reason.required": {"action": "reject"},
    "publishing_pipeline.started_at.required": {"publishing_status": "validating"},
    "publishing_pipeline.completed_at.required": {"publishing_status": "cancelled"},
    "publishing_pipeline.completed_at.order": {
        "publishing_status": "failed",
        "started_at": LATE,
        "completed_at": EARLY,
    },
}

OTHER_CLIENT = (
    "INSERT INTO organization(id, code, name) VALUES (900, 'OTHER', 'Other');"
    " INSERT INTO client(id, organization_id, client_name, client_status_id) VALUES (900, 900, 'Other', 1)"
)
OTHER_INSTALLATION = (
    f"{OTHER_CLIENT}; INSERT INTO marketplace_module(id, code, name, version, category_id, developer_id, pricing_model_id)"
    " VALUES (900, 'OTHER', 'Other', '1', 1, 1, 1);"
    " INSERT INTO module_installation(id, client_id, module_id, installed_version) VALUES (900, 900, 900, '1')"
)
OTHER_LICENSE = f"{OTHER_INSTALLATION}; INSERT INTO module_license(id, uuid, client_id, module_id) VALUES (900, printf('%036d', 0), 900, 900)"

REFUSALS: dict[str, tuple[str | None, str, str]] = {
    "marketplace_category_acyclic_bi": (
        "marketplace_category",
        (
            "INSERT INTO marketplace_category(id, code, name, parent_marketplace_category_id) VALUES (900, 'X', 'X', ?1);"
            " REPLACE INTO marketplace_category(id, code, name, parent_marketplace_category_id) VALUES (?1, 'Y', 'Y', 900)"
        ),
        "marketplace_category.parent_marketplace_category_id.cycle",
    ),
    "marketplace_category_acyclic_bu": (
        "marketplace_category",
        (
            "INSERT INTO marketplace_category(id, code, name, parent_marketplace_category_id) VALUES (900, 'X', 'X', ?1);"
            " UPDATE marketplace_category SET parent_marketplace_category_id = 900 WHERE id = ?1"
        ),
        "marketplace_category.parent_marketplace_category_id.cycle",
    ),
    "module_installation_installation_status_bi": (
        "module_installation",
        (
            "UPDATE module_installation SET installation_status = 'active', installed_at = created_at WHERE id = ?1;"
            " REPLACE INTO module_installation(client_id, module_id, installed_version)"
            " SELECT client_id, module_id, '2' FROM module_installation WHERE id = ?1"
        ),
        "module_installation.installation_status.transition",
    ),
    "module_installation_installation_status_bu": (
        "module_installation",
        (
            "UPDATE module_installation SET installation_status = 'uninstalled', uninstalled_at = created_at WHERE id = ?1;"
            " UPDATE module_installation SET installation_status = 'pending', uninstalled_at = NULL WHERE id = ?1"
        ),
        "module_installation.installation_status.transition",
    ),
    "module_installation_kept_bi": (
        "module_installation",
        (
            f"{OTHER_CLIENT}; REPLACE INTO module_installation(id, client_id, module_id, installed_version)"
            " SELECT id, 900, module_id, '1' FROM module_installation WHERE id = ?1"
        ),
        "module_installation.client_id.immutable",
    ),
    "module_installation_kept_bu": (
        "module_installation",
        f"{OTHER_CLIENT}; UPDATE module_installation SET client_id = 900 WHERE id = ?1",
        "module_installation.client_id.immutable",
    ),
    "client_app_override_activation_status_bi": (
        "client_app_override",
        (
            "UPDATE client_app_override SET activation_status = 'failed' WHERE id = ?1;"
            " REPLACE INTO client_app_override(client_id, app_code, activation_status)"
            " SELECT client_id, lower(app_code), 'active' FROM client_app_override WHERE id = ?1"
        ),
        "client_app_override.activation_status.transition",
    ),
    "client_app_override_activation_status_bu": (
        "client_app_override",
        (
            "UPDATE client_app_override SET activation_status = 'inactive' WHERE id = ?1;"
            " UPDATE client_app_override SET activation_status = 'active' WHERE id = ?1"
        ),
        "client_app_override.activation_status.transition",
    ),
    "client_app_override_installation_bi": (
        "client_app_override",
        (
            f"{OTHER_INSTALLATION}; INSERT INTO client_app_override(client_id, app_code, installation_id)"
            " SELECT client_id, 'other', 900 FROM client_app_override WHERE id = ?1"
        ),
        "client_app_override.installation_id.client",
    ),
    "client_app_override_installation_bu": (
        "client_app_override",
        f"{OTHER_INSTALLATION}; UPDATE client_app_override SET installation_id = 900 WHERE id = ?1",
        "client_app_override.installation_id.client",
    ),
    "client_app_override_override_settings_secret_bi": (
        "client_app_override",
        (
            "INSERT INTO client_app_override(client_id, app_code, override_settings)"
            """ SELECT client_id, 'other', '{"mail": {"password": "p"}}' FROM client_app_override WHERE id = ?1"""
        ),
        "client_app_override.override_settings.secret",
    ),
    "client_app_override_override_settings_secret_bu": (
        "client_app_override",
        """UPDATE client_app_override SET override_settings = '{"api-key": "k"}' WHERE id = ?1""",
        "client_app_override.override_settings.secret",
    ),
    "client_app_override_activation_metadata_secret_bi": (
        "client_app_override",
        (
            "INSERT INTO client_app_override(client_id, app_code, activation_metadata)"
            """ SELECT client_id, 'other', '{"token": "t"}' FROM client_app_override WHERE id = ?1"""
        ),
        "client_app_override.activation_metadata.secret",
    ),
    "client_app_override_activation_metadata_secret_bu": (
        "client_app_override",
        """UPDATE client_app_override SET activation_metadata = '{"Token": "t"}' WHERE id = ?1""",
        "client_app_override.activation_metadata.secret",
    ),
    "module_license_uuid_bu": (
        "module_license",
        "UPDATE module_license SET uuid = printf('%036d', 0) WHERE id = ?1",
        "module_license.uuid.protected",
    ),
    "module_license_uuid_bi": (
        "module_license",
        "REPLACE INTO module_license(id, uuid, client_id, module_id) SELECT id, printf('%036d', 0), client_id, module_id FROM module_license WHERE id = ?1",
        "module_license.uuid.protected",
    ),
    "module_license_kept_bi": (
        "module_license",
        (
            f"{OTHER_CLIENT}; REPLACE INTO module_license(id, uuid, client_id, module_id)"
            " SELECT id, uuid, 900, module_id FROM module_license WHERE id = ?1"
        ),
        "module_license.client_id.immutable",
    ),
    "module_license_kept_bu": (
        "module_license",
        f"{OTHER_CLIENT}; UPDATE module_license SET client_id = 900 WHERE id = ?1",
        "module_license.client_id.immutable",
    ),
    "module_payment_uuid_bu": (
        "module_payment",
        "UPDATE module_payment SET uuid = printf('%036d', 0) WHERE id = ?1",
        "module_payment.uuid.protected",
    ),
    "module_payment_uuid_bi": (
        "module_payment",
        "REPLACE INTO module_payment(id, uuid, client_id, module_id, amount, payment_status_id) SELECT id, printf('%036d', 0), client_id, module_id, amount, payment_status_id FROM module_payment WHERE id = ?1",
        "module_payment.uuid.protected",
    ),
    "module_payment_license_bi": (
        "module_payment",
        (
            f"{OTHER_LICENSE}; INSERT INTO module_payment(uuid, client_id, module_id, amount, payment_status_id, license_id)"
            " SELECT printf('%036d', 0), client_id, module_id, 100, payment_status_id, 900 FROM module_payment WHERE id = ?1"
        ),
        "module_payment.license_id.client",
    ),
    "module_payment_license_bu": (
        "module_payment",
        f"{OTHER_LICENSE}; UPDATE module_payment SET license_id = 900 WHERE id = ?1",
        "module_payment.license_id.client",
    ),
    "module_payment_paid_bi": (
        "module_payment",
        (
            "INSERT INTO module_payment(uuid, client_id, module_id, amount, payment_status_id)"
            " SELECT printf('%036d', 0), p.client_id, p.module_id, 100, s.id"
            " FROM module_payment p, payment_status s WHERE p.id = ?1 AND s.code = 'PAID'"
        ),
        "module_payment.paid_at.required",
    ),
    "module_payment_paid_bu": (
        "module_payment",
        "UPDATE module_payment SET payment_status_id = (SELECT id FROM payment_status WHERE code = 'PAID') WHERE id = ?1",
        "module_payment.paid_at.required",
    ),
    "payment_status_paid_bi": (
        "module_payment",
        (
            "REPLACE INTO payment_status(id, code, name, is_paid) SELECT payment_status_id, 'X', 'X', 1"
            " FROM module_payment WHERE id = ?1"
        ),
        "payment_status.is_paid.referenced",
    ),
    "payment_status_paid_bu": (
        "module_payment",
        "UPDATE payment_status SET is_paid = 1 WHERE id = (SELECT payment_status_id FROM module_payment WHERE id = ?1)",
        "payment_status.is_paid.referenced",
    ),
    "module_submission_submission_status_bi": (
        "module_submission",
        (
            "UPDATE module_submission SET submission_status = 'approved', decided_at = submitted_at WHERE id = ?1;"
            " REPLACE INTO module_submission(module_id, submitted_version, submitted_by)"
            " SELECT module_id, submitted_version, 1 FROM module_submission WHERE id = ?1"
        ),
        "module_submission.submission_status.transition",
    ),
    "module_submission_submission_status_bu": (
        "module_submission",
        (
            "UPDATE module_submission SET submission_status = 'withdrawn', decided_at = submitted_at WHERE id = ?1;"
            " UPDATE module_submission SET submission_status = 'pending', decided_at = NULL WHERE id = ?1"
        ),
        "module_submission.submission_status.transition",
    ),
    "publishing_pipeline_publishing_status_bi": (
        "publishing_pipeline",
        (
            "REPLACE INTO publishing_pipeline(submission_id, publishing_status, started_at, completed_at)"
            " SELECT submission_id, 'published', created_at, created_at FROM publishing_pipeline WHERE id = ?1"
        ),
        "publishing_pipeline.publishing_status.transition",
    ),
    "publishing_pipeline_publishing_status_bu": (
        "publishing_pipeline",
        (
            "UPDATE publishing_pipeline SET publishing_status = 'validating', started_at = created_at WHERE id = ?1;"
            " UPDATE publishing_pipeline SET publishing_status = 'publishing' WHERE id = ?1"
        ),
        "publishing_pipeline.publishing_status.transition",
    ),
}

FURTHER: dict[str, tuple[str | None, str, str]] = {
    "module_installation begun anew by default": (
        "module_installation",
        "UPDATE module_installation SET installation_status = 'uninstalled', uninstalled_at = created_at WHERE id = ?1; UPDATE OR REPLACE module_installation SET installation_status = NULL, uninstalled_at = NULL WHERE id = ?1",
        "module_installation.installation_status.transition",
    ),
    "client_app_override begun anew by default": (
        "client_app_override",
        "UPDATE client_app_override SET activation_status = 'active' WHERE id = ?1; UPDATE OR REPLACE client_app_override SET activation_status = NULL WHERE id = ?1",
        "client_app_override.activation_status.transition",
    ),
    "module_submission begun anew by default": (
        "module_submission",
        "UPDATE module_submission SET submission_status = 'withdrawn', decided_at = submitted_at WHERE id = ?1; UPDATE OR REPLACE module_submission SET submission_status = NULL, decided_at = NULL WHERE id = ?1",
        "module_submission.submission_status.transition",
    ),
    "publishing_pipeline begun anew by default": (
        "publishing_pipeline",
        "UPDATE publishing_pipeline SET publishing_status = 'cancelled', completed_at = created_at WHERE id = ?1; UPDATE OR REPLACE publishing_pipeline SET publishing_status = NULL, completed_at = NULL WHERE id = ?1",
        "publishing_pipeline.publishing_status.transition",
    ),
    "client_app_override.override_settings with a list of passwords": (
        "client_app_override",
        """UPDATE client_app_override SET override_settings = '{"password": ["k"]}' WHERE id = ?1""",
        "client_app_override.override_settings.secret",
    ),
    "client_app_override.activation_metadata with a pwd": (
        "client_app_override",
        """UPDATE client_app_override SET activation_metadata = '{"p w.d": "k"}' WHERE id = ?1""",
        "client_app_override.activation_metadata.secret",
    ),
}
