"""Sound rows of the handover tables, and a case for each rule that the figures in its text do not give away."""

from __future__ import annotations

from typing import Any

TIME = "2026-01-01T00:00:00.000Z"

ROWS: dict[str, dict[str, Any]] = {
    "package_type": {"code": "T{n}", "name": "Kind"},
    "delivery_method": {"code": "M{n}", "name": "Way"},
    "handover_package": {"uuid": "{n:036d}", "package_name": "Package"},
    "handover_package_module": {},
    "handover_package_configuration": {"configuration_version": 1},
    "handover_package_document": {"document_type": "sop", "title": "T{n}", "url": "https://example.com/t"},
}

SHARED = {"handover_package_module": ("client_id", "client")}
"""What the rows a table refers to have in common."""

SPECIAL: dict[str, dict[str, Any]] = {
    "handover_package.encryption_key_id.required": {"admin_credentials_ciphertext": b"x" * 40},
    "handover_package.delivery_method_id.required": {"delivery_status": "delivering"},
    "handover_package.delivered_at.required": {"delivered_at": TIME},
    "handover_package_document.content_digest.length": {"content_digest": "d" * 63},
    "handover_package_document.url.required": {"url": None},
}

OTHER_CLIENT = (
    "INSERT INTO organization(id, code, name) VALUES (900, 'OTHER', 'Other');"
    " INSERT INTO client(id, organization_id, client_name, client_status_id) VALUES (900, 900, 'Other', 1)"
)
OTHER_WORKFLOW = (
    f"{OTHER_CLIENT}; INSERT INTO orchestration_workflow(id, uuid, workflow_name, workflow_type_id, client_id,"
    " workflow_definition, correlation_id) VALUES (900, printf('%036d', 9), 'w', 1, 900,"
    """ '{"steps": [{"name": "one", "type": "notify"}]}', 'c')"""
)
OWN_WORKFLOW = (
    OTHER_WORKFLOW.replace("1, 900,", "1, NULL,")
    + "; UPDATE orchestration_workflow SET client_id = (SELECT client_id FROM handover_package WHERE id = ?1) WHERE id = 900"
    "; UPDATE handover_package SET workflow_id = 900 WHERE id = ?1"
)
OTHER_INSTALLATION = (
    f"{OTHER_CLIENT}; INSERT INTO marketplace_module(id, code, name, version, category_id, developer_id, pricing_model_id)"
    " VALUES (900, 'OTHER', 'Other', '1', 1, 1, 1);"
    " INSERT INTO module_installation(id, client_id, module_id, installed_version) VALUES (900, 900, 900, '1')"
)
OTHER_CONFIGURATION = (
    f"{OTHER_CLIENT}; INSERT INTO configuration(id, configuration_type_id, scope_type_id, organization_id, config_data)"
    " SELECT 900, t.id, s.id, 900, '{}' FROM configuration_type t, scope_type s"
    " WHERE t.code = 'SYSTEM_CONFIGURATION' AND s.code = 'SYSTEM'"
)
OWN_CONFIGURATION = (
    OTHER_CONFIGURATION.replace("s.id, 900,", "s.id, k.organization_id,").replace(
        "scope_type s WHERE",
        "scope_type s, handover_package p JOIN client k ON k.id = p.client_id WHERE p.id = ?1 AND",
    )
    + "; INSERT INTO handover_package_configuration(package_id, configuration_id, configuration_version) VALUES (?1, 900, 1)"
)

REFUSALS: dict[str, tuple[str | None, str, str]] = {
    "package_type_complete_kept_bi": (
        None,
        "REPLACE INTO package_type(code, name) VALUES ('complete', 'x')",
        "package_type.id.protected",
    ),
    "package_type_complete_kept_bu": (
        None,
        "UPDATE package_type SET code = 'ALL' WHERE id = 1",
        "package_type.id.protected",
    ),
    "package_type_complete_kept_bd": (
        None,
        "DELETE FROM package_type WHERE id = 1",
        "package_type.id.protected",
    ),
    "handover_package_uuid_bu": (
        "handover_package",
        "UPDATE handover_package SET uuid = printf('%036d', 0) WHERE id = ?1",
        "handover_package.uuid.protected",
    ),
    "handover_package_uuid_bi": (
        "handover_package",
        "REPLACE INTO handover_package(id, uuid, client_id, package_name) SELECT id, printf('%036d', 0), client_id, package_name FROM handover_package WHERE id = ?1",
        "handover_package.uuid.protected",
    ),
    "handover_package_delivery_status_bi": (
        "handover_package",
        (
            "UPDATE handover_package SET delivery_status = 'preparing' WHERE id = ?1;"
            " REPLACE INTO handover_package(uuid, client_id, package_name, delivery_status)"
            " SELECT uuid, client_id, 'p', NULL FROM handover_package WHERE id = ?1"
        ),
        "handover_package.delivery_status.transition",
    ),
    "handover_package_delivery_status_bu": (
        "handover_package",
        "UPDATE handover_package SET delivery_status = 'ready' WHERE id = ?1",
        "handover_package.delivery_status.transition",
    ),
    "handover_package_kept_bi": (
        "handover_package",
        (
            f"{OTHER_CLIENT}; REPLACE INTO handover_package(id, uuid, client_id, package_name)"
            " SELECT id, uuid, 900, 'p' FROM handover_package WHERE id = ?1"
        ),
        "handover_package.client_id.immutable",
    ),
    "handover_package_kept_bu": (
        "handover_package",
        f"{OTHER_CLIENT}; UPDATE handover_package SET client_id = 900 WHERE id = ?1",
        "handover_package.client_id.immutable",
    ),
    "handover_package_workflow_bi": (
        "handover_package",
        (
            f"{OTHER_WORKFLOW}; INSERT INTO handover_package(uuid, client_id, package_name, workflow_id)"
            " SELECT printf('%036d', 0), client_id, 'p', 900 FROM handover_package WHERE id = ?1"
        ),
        "handover_package.workflow_id.client",
    ),
    "handover_package_workflow_bu": (
        "handover_package",
        f"{OTHER_WORKFLOW}; UPDATE handover_package SET workflow_id = 900 WHERE id = ?1",
        "handover_package.workflow_id.client",
    ),
    "orchestration_workflow_package_bi": (
        "handover_package",
        (
            f"{OWN_WORKFLOW}; REPLACE INTO orchestration_workflow(id, uuid, workflow_name, workflow_type_id, client_id,"
            " workflow_definition, correlation_id) SELECT id, uuid, 'w', 1, 900, workflow_definition, 'c'"
            " FROM orchestration_workflow WHERE id = 900"
        ),
        "orchestration_workflow.client_id.referenced",
    ),
    "orchestration_workflow_package_bu": (
        "handover_package",
        f"{OWN_WORKFLOW}; UPDATE orchestration_workflow SET client_id = NULL WHERE id = 900",
        "orchestration_workflow.client_id.referenced",
    ),
    "handover_package_delivery_confirmation_secret_bi": (
        "handover_package",
        (
            "INSERT INTO handover_package(uuid, client_id, package_name, delivery_confirmation)"
            """ SELECT printf('%036d', 0), client_id, 'p', '{"token": "t"}' FROM handover_package WHERE id = ?1"""
        ),
        "handover_package.delivery_confirmation.secret",
    ),
    "handover_package_delivery_confirmation_secret_bu": (
        "handover_package",
        """UPDATE handover_package SET delivery_confirmation = '{"token": "t"}' WHERE id = ?1""",
        "handover_package.delivery_confirmation.secret",
    ),
    "handover_package_package_metadata_secret_bi": (
        "handover_package",
        (
            "INSERT INTO handover_package(uuid, client_id, package_name, package_metadata)"
            """ SELECT printf('%036d', 0), client_id, 'p', '{"admin": {"password": "p"}}' FROM handover_package WHERE id = ?1"""
        ),
        "handover_package.package_metadata.secret",
    ),
    "handover_package_package_metadata_secret_bu": (
        "handover_package",
        """UPDATE handover_package SET package_metadata = '{"Password": "p"}' WHERE id = ?1""",
        "handover_package.package_metadata.secret",
    ),
    "handover_package_module_client_bi": (
        "handover_package",
        f"{OTHER_INSTALLATION}; INSERT INTO handover_package_module(package_id, installation_id) VALUES (?1, 900)",
        "handover_package_module.installation_id.client",
    ),
    "handover_package_module_client_bu": (
        "handover_package_module",
        f"{OTHER_INSTALLATION}; UPDATE handover_package_module SET installation_id = 900 WHERE id = ?1",
        "handover_package_module.installation_id.client",
    ),
    "handover_package_module_module_configuration_secret_bi": (
        "handover_package_module",
        (
            "REPLACE INTO handover_package_module(package_id, installation_id, module_configuration)"
            """ SELECT package_id, installation_id, '{"api_key": "k"}' FROM handover_package_module WHERE id = ?1"""
        ),
        "handover_package_module.module_configuration.secret",
    ),
    "handover_package_module_module_configuration_secret_bu": (
        "handover_package_module",
        """UPDATE handover_package_module SET module_configuration = '{"api_key": "k"}' WHERE id = ?1""",
        "handover_package_module.module_configuration.secret",
    ),
    "handover_package_configuration_client_bi": (
        "handover_package",
        (
            f"{OTHER_CONFIGURATION}; INSERT INTO handover_package_configuration(package_id, configuration_id, configuration_version)"
            " VALUES (?1, 900, 1)"
        ),
        "handover_package_configuration.configuration_id.client",
    ),
    "handover_package_configuration_client_bu": (
        "handover_package_configuration",
        f"{OTHER_CONFIGURATION}; UPDATE handover_package_configuration SET configuration_id = 900 WHERE id = ?1",
        "handover_package_configuration.configuration_id.client",
    ),
    "configuration_package_bi": (
        "handover_package",
        (
            f"{OWN_CONFIGURATION}; REPLACE INTO configuration(id, configuration_type_id, scope_type_id, organization_id, config_data)"
            " SELECT id, configuration_type_id, scope_type_id, 900, '{}' FROM configuration WHERE id = 900"
        ),
        "configuration.organization_id.referenced",
    ),
    "configuration_package_bu": (
        "handover_package",
        f"{OWN_CONFIGURATION}; UPDATE configuration SET organization_id = 900 WHERE id = 900",
        "configuration.organization_id.referenced",
    ),
    "client_package_bi": (
        "handover_package",
        (
            f"{OWN_CONFIGURATION}; INSERT INTO organization(id, code, name) VALUES (901, 'NEW', 'New');"
            " REPLACE INTO client(id, organization_id, client_name, client_status_id)"
            " SELECT client_id, 901, 'c', 1 FROM handover_package WHERE id = ?1"
        ),
        "client.organization_id.referenced",
    ),
    "client_package_bu": (
        "handover_package",
        (
            f"{OWN_CONFIGURATION}; INSERT INTO organization(id, code, name) VALUES (901, 'NEW', 'New');"
            " UPDATE client SET organization_id = 901 WHERE id = (SELECT client_id FROM handover_package WHERE id = ?1)"
        ),
        "client.organization_id.referenced",
    ),
}

FURTHER: dict[str, tuple[str | None, str, str]] = {
    "handover_package begun anew by default": (
        "handover_package",
        "UPDATE handover_package SET delivery_status = 'preparing' WHERE id = ?1; UPDATE OR REPLACE handover_package SET delivery_status = NULL WHERE id = ?1",
        "handover_package.delivery_status.transition",
    ),
    "handover_package.delivery_confirmation with a list of tokens": (
        "handover_package",
        """UPDATE handover_package SET delivery_confirmation = '{"token": ["k"]}' WHERE id = ?1""",
        "handover_package.delivery_confirmation.secret",
    ),
    "handover_package.package_metadata with a secret": (
        "handover_package",
        """UPDATE handover_package SET package_metadata = '{"secret": "k"}' WHERE id = ?1""",
        "handover_package.package_metadata.secret",
    ),
    "handover_package_module.module_configuration with a space in the name": (
        "handover_package_module",
        """UPDATE handover_package_module SET module_configuration = '{"Private Key": "k"}' WHERE id = ?1""",
        "handover_package_module.module_configuration.secret",
    ),
}
