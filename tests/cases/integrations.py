"""Sound rows of the integrations tables, and a case for each rule that the figures in its text do not give away."""

from __future__ import annotations

from typing import Any

ROWS: dict[str, dict[str, Any]] = {
    "integration_type": {"code": "T{n}", "name": "Type"},
    "template_category": {"code": "C{n}", "name": "Shelf"},
    "integration": {"integration_name": "name{n}", "connection_config": "{{}}"},
    "integration_credential": {"uuid": "{n:036d}", "credential_key": "key{n}", "value_ciphertext": b"v" * 40},
    "integration_mapping": {"mapping_name": "m", "source_path": "$.a", "target_path": "t{n}"},
    "integration_pipeline_definition": {"pipeline_name": "p", "pipeline_steps": "{{}}", "status_id": 2},
    "integration_template": {
        "code": "T{n}",
        "template_name": "t",
        "version": "1",
        "connection_template": "{{}}",
        "mapping_templates": "{{}}",
    },
    "integration_template_instance": {"instance_name": "i"},
}

SPECIAL: dict[str, dict[str, Any]] = {
    "integration_mapping.test_coverage.range": {"test_coverage": 100.5},
    "integration_template.certification_date.required": {"is_certified": 1},
}

REFUSALS: dict[str, tuple[str | None, str, str]] = {
    "integration_connection_config_secret_bi": (
        "integration",
        (
            "INSERT INTO integration(integration_name, integration_type_id, connection_config)"
            """ SELECT 'other', integration_type_id, '{"auth": [{"Api-Key": "k"}]}' FROM integration WHERE id = ?1"""
        ),
        "integration.connection_config.secret",
    ),
    "integration_connection_config_secret_bu": (
        "integration",
        """UPDATE integration SET connection_config = '{"clientSecret": "k"}' WHERE id = ?1""",
        "integration.connection_config.secret",
    ),
    "integration_template_connection_template_secret_bi": (
        "integration_template",
        (
            "INSERT INTO integration_template(code, template_name, integration_type_id, template_category_id, version,"
            " connection_template, mapping_templates) SELECT 'other', 't', integration_type_id, template_category_id, '1',"
            """ '{"password": 1234}', '{}' FROM integration_template WHERE id = ?1"""
        ),
        "integration_template.connection_template.secret",
    ),
    "integration_template_connection_template_secret_bu": (
        "integration_template",
        """UPDATE integration_template SET connection_template = '{"headers": {"Authorization": "x"}}' WHERE id = ?1""",
        "integration_template.connection_template.secret",
    ),
    "integration_mapping_rules_bi": (
        "integration_mapping",
        (
            "INSERT INTO integration_mapping(integration_id, mapping_name, source_path, target_path, transformation_rules)"
            """ SELECT integration_id, 'm', 'a', 'b', '{"to": 1}' FROM integration_mapping WHERE id = ?1"""
        ),
        "integration_mapping.transformation_rules.type",
    ),
    "integration_mapping_rules_bu": (
        "integration_mapping",
        """UPDATE integration_mapping SET transformation_rules = '{"type": null}' WHERE id = ?1""",
        "integration_mapping.transformation_rules.type",
    ),
    "integration_version_bi": (
        "integration",
        (
            "UPDATE integration SET version = 7 WHERE id = ?1;"
            " REPLACE INTO integration(id, integration_name, integration_type_id, connection_config) SELECT id, integration_name, integration_type_id, '{}' FROM integration WHERE id = ?1"
        ),
        "integration.version.order",
    ),
    "integration_version_bu": (
        "integration",
        "UPDATE integration SET version = 7 WHERE id = ?1; UPDATE integration SET version = 6 WHERE id = ?1",
        "integration.version.order",
    ),
    "integration_mapping_version_bi": (
        "integration_mapping",
        (
            "UPDATE integration_mapping SET version = 7 WHERE id = ?1;"
            " REPLACE INTO integration_mapping(id, integration_id, mapping_name, source_path, target_path) SELECT id, integration_id, 'm', 'a', 'b' FROM integration_mapping WHERE id = ?1"
        ),
        "integration_mapping.version.order",
    ),
    "integration_mapping_version_bu": (
        "integration_mapping",
        (
            "UPDATE integration_mapping SET version = 7 WHERE id = ?1;"
            " UPDATE integration_mapping SET version = 6 WHERE id = ?1"
        ),
        "integration_mapping.version.order",
    ),
    "integration_pipeline_definition_version_bi": (
        "integration_pipeline_definition",
        (
            "UPDATE integration_pipeline_definition SET version = 7 WHERE id = ?1;"
            " REPLACE INTO integration_pipeline_definition(id, integration_id, pipeline_name, pipeline_steps) SELECT id, integration_id, 'p', '{}' FROM integration_pipeline_definition WHERE id = ?1"
        ),
        "integration_pipeline_definition.version.order",
    ),
    "integration_pipeline_definition_version_bu": (
        "integration_pipeline_definition",
        (
            "UPDATE integration_pipeline_definition SET version = 7 WHERE id = ?1;"
            " UPDATE integration_pipeline_definition SET version = 6 WHERE id = ?1"
        ),
        "integration_pipeline_definition.version.order",
    ),
    "integration_credential_uuid_bu": (
        "integration_credential",
        "UPDATE integration_credential SET uuid = printf('%036d', 0) WHERE id = ?1",
        "integration_credential.uuid.protected",
    ),
}

EFFECTS = {"integration_mapping_types_ai", "integration_mapping_types_au"}

SAME: dict[str, dict[str, Any]] = {
    "integration_type_default": {"is_default": 1},
    "integration_pipeline_definition_active": {"status_id": 1},
}
