"""Sound rows of the integrations tables, and a case for each rule that the figures in its text do not give away."""

from __future__ import annotations

from typing import Any

ROWS: dict[str, dict[str, Any]] = {
    "integration_type": {"code": "T{n}", "name": "Type"},
    "map_integration_configuration": {},
    "template_category": {"code": "C{n}", "name": "Shelf"},
    "integration": {"integration_name": "name{n}", "connection_config": "{{}}"},
    "integration_credential": {"uuid": "{n:036d}", "credential_key": "key{n}", "value_ciphertext": b"v" * 40},
    "integration_mapping": {"mapping_name": "m{n}", "source_path": "$.a", "target_path": "t{n}"},
    "integration_mapping_test": {"test_name": "t{n}", "input_data": "{{}}", "expected_output": "{{}}"},
    "integration_pipeline_definition": {
        "pipeline_name": "p",
        "pipeline_steps": '{{"steps": []}}',
        "status_id": 2,
    },
    "integration_transformation": {
        "transformation_name": "t{n}",
        "transformation_type": "map",
        "transformation_logic": "{{}}",
        "language": "jmespath",
    },
    "integration_transformation_run": {
        "transformation_version": 1,
        "case_name": "c",
        "test_status": "passed",
    },
    "integration_template_prerequisite": {"prerequisite": "p{n}"},
    "integration_template_operation": {"operation": "read"},
    "approval": {
        "template_id": 1,
        "subject_version": "1.1.0",
        "approval_kind": "data_owner",
        "decision": "approved",
        "decided_by": 1,
    },
    "integration_template": {
        "code": "T{n}",
        "template_name": "t{n}",
        "version": "1",
        "connection_template": "{{}}",
        "mapping_templates": '{{"mappings": []}}',
    },
    "integration_template_instance": {"instance_name": "i"},
}

SPECIAL: dict[str, dict[str, Any]] = {
    "integration_mapping.test_coverage.range": {"test_coverage": 100.5},
    "integration_template.certification_date.required": {"is_certified": 1, "certified_by": 1},
    "integration_template.certified_by.required": {"is_certified": 1, "certification_date": "2026-01-31"},
    "integration_mapping_test.last_run_at.required": {"test_status": "passed"},
    "integration_transformation.timeout_seconds.range": {"timeout_seconds": 0},
    "integration_template_instance.deployed_at.required": {"deployment_status": "active"},
    "approval.mapping_id.required": {"template_id": None},
    "approval.template_id.required": {
        "template_id": None,
        "mapping_id": 1,
        "approval_kind": "certification",
    },
}

ELSEWHERE = (
    "INSERT INTO organization(id, code, name) VALUES (900, 'ELSEWHERE', 'Elsewhere'); INSERT INTO"
    " configuration(id, configuration_type_id, scope_type_id, organization_id, config_data)"
    " SELECT 900, t.id, s.id, %s, '{}' FROM configuration_type t, scope_type s"
    " WHERE t.code = 'SYSTEM_CONFIGURATION' AND s.code = 'SYSTEM'"
)
LINKED = f"{ELSEWHERE % 1}; UPDATE map_integration_configuration SET configuration_id = 900 WHERE id = ?1"
ENTITY_ELSEWHERE = (
    "INSERT INTO organization(id, code, name) VALUES (900, 'ELSEWHERE', 'Elsewhere'); INSERT INTO"
    " entity(id, code, name, entity_type_id, organization_id) SELECT 900, 'E', 'e', id, 900 FROM entity_type LIMIT 1"
)

REFUSALS: dict[str, tuple[str | None, str, str]] = {
    "map_integration_configuration_organization_bi": (
        "map_integration_configuration",
        (
            f"{ELSEWHERE % 900}; INSERT INTO map_integration_configuration(program_id, integration_type_id, configuration_id)"
            " SELECT program_id, integration_type_id, 900 FROM map_integration_configuration WHERE id = ?1"
        ),
        "map_integration_configuration.configuration_id.organization",
    ),
    "map_integration_configuration_organization_bu": (
        "map_integration_configuration",
        f"{ELSEWHERE % 900}; UPDATE map_integration_configuration SET configuration_id = 900 WHERE id = ?1",
        "map_integration_configuration.configuration_id.organization",
    ),
    "integration_entity_bi": (
        "integration",
        (
            f"{ENTITY_ELSEWHERE}; INSERT INTO integration(integration_name, integration_type_id, connection_config, entity_id)"
            " SELECT 'other', integration_type_id, '{}', 900 FROM integration WHERE id = ?1"
        ),
        "integration.entity_id.organization",
    ),
    "integration_entity_bu": (
        "integration",
        f"{ENTITY_ELSEWHERE}; UPDATE integration SET entity_id = 900 WHERE id = ?1",
        "integration.entity_id.organization",
    ),
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
            """ '{"password": 1234}', '{"mappings": []}' FROM integration_template WHERE id = ?1"""
        ),
        "integration_template.connection_template.secret",
    ),
    "integration_template_connection_template_secret_bu": (
        "integration_template",
        """UPDATE integration_template SET connection_template = '{"headers": {"Authorization": "x"}}' WHERE id = ?1""",
        "integration_template.connection_template.secret",
    ),
    "integration_template_pinned_bi": (
        "integration_template_instance",
        """REPLACE INTO integration_template(id, code, template_name, integration_type_id, template_category_id, version, connection_template, mapping_templates)
            SELECT t.id, t.code, t.template_name, t.integration_type_id, t.template_category_id, '99.0.0', '{}', t.mapping_templates
            FROM integration_template t JOIN integration_template_instance x ON x.template_id = t.id WHERE x.id = ?1""",
        "integration_template.version.pinned",
    ),
    "integration_template_pinned_bu": (
        "integration_template_instance",
        "UPDATE integration_template SET version = '99.0.0' WHERE id = (SELECT template_id FROM integration_template_instance WHERE id = ?1)",
        "integration_template.version.pinned",
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
            " REPLACE INTO integration_mapping(id, integration_id, mapping_name, source_path, target_path, version) SELECT id, integration_id, 'm', 'a', 'b', NULL FROM integration_mapping WHERE id = ?1"
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
            " REPLACE INTO integration_pipeline_definition(id, integration_id, pipeline_name, pipeline_steps) SELECT id, integration_id, 'p', pipeline_steps FROM integration_pipeline_definition WHERE id = ?1"
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
    "integration_credential_uuid_bi": (
        "integration_credential",
        "REPLACE INTO integration_credential(id, uuid, integration_id, credential_key, value_ciphertext, encryption_key_id) SELECT id, printf('%036d', 0), integration_id, credential_key, value_ciphertext, encryption_key_id FROM integration_credential WHERE id = ?1",
        "integration_credential.uuid.protected",
    ),
}

OTHER = "INSERT INTO organization(id, code, name) VALUES (90, 'OTHER', 'Other')"
"""An organization that the sound rows do not belong to."""


def of_parent(table: str, columns: str, values: str) -> dict[str, tuple[str | None, str, str]]:
    """Return the cases of a table whose rows belong to the organization of their parent."""
    said = f"{table}.organization_id.organization"
    copied = (
        f"INSERT INTO {table}({columns}, organization_id) SELECT {values}, NULL FROM {table} WHERE id = ?1"
    )
    moved = f"{OTHER}; UPDATE {table} SET organization_id = 90 WHERE id = ?1"
    return {
        f"{table}_organization_bi": (table, copied, said),
        f"{table}_organization_bu": (table, moved, said),
    }


ELSEWHERE = (
    f"{OTHER}; INSERT INTO integration(id, integration_name, integration_type_id, connection_config, organization_id)"
    " SELECT 90, 'elsewhere', id, '{}', 90 FROM integration_type LIMIT 1"
)


def stays(
    trigger: str, parent: str, copied: str, child: str, column: str
) -> dict[str, tuple[str | None, str, str]]:
    """Return the cases of a parent whose children carry its organization. `copied` are its required columns."""
    said = f"{parent}.organization_id.organization"
    moved = "organization_id = 90" + ("" if parent == "integration" else ", integration_id = 90")
    where = f"WHERE id = (SELECT {column} FROM {child} WHERE id = ?1)"
    wanted = copied.replace("integration_id", "90") if parent != "integration" else copied
    replaced = (
        f"REPLACE INTO {parent}(id, organization_id, {copied}) SELECT id, 90, {wanted} FROM {parent} {where}"
    )
    return {
        f"{trigger}_bi": (child, f"{ELSEWHERE}; {replaced}", said),
        f"{trigger}_bu": (child, f"{ELSEWHERE}; UPDATE {parent} SET {moved} {where}", said),
    }


def a_list(table: str, column: str, key: str, columns: str) -> dict[str, tuple[str | None, str, str]]:
    """Return the cases of a column that holds a list of objects under a name."""
    without = f"INSERT INTO {table}({column}, {columns}) SELECT '{{}}', {columns} FROM {table} WHERE id = ?1"
    texts = f"""UPDATE {table} SET {column} = '{{"{key}": ["a"]}}' WHERE id = ?1"""
    return {
        f"{table}_{key}_bi": (table, without, f"{table}.{column}.shape"),
        f"{table}_{key}_bu": (table, texts, f"{table}.{column}.shape"),
    }


REFUSALS |= {
    **of_parent(
        "integration_mapping",
        "integration_id, mapping_name, source_path, target_path",
        "integration_id, 'x', 'x', 'x'",
    ),
    **of_parent(
        "integration_mapping_test",
        "mapping_id, test_name, input_data, expected_output",
        "mapping_id, 'x', input_data, expected_output",
    ),
    **of_parent(
        "integration_pipeline_definition",
        "integration_id, pipeline_name, pipeline_steps, status_id",
        "integration_id, 'x', pipeline_steps, 2",
    ),
    **of_parent(
        "integration_template_instance",
        "integration_id, template_id, instance_name",
        "integration_id, template_id, 'x'",
    ),
    **stays(
        "integration_organization",
        "integration",
        "integration_name, integration_type_id, connection_config",
        "integration_mapping",
        "integration_id",
    ),
    **stays(
        "integration_mapping_owner",
        "integration_mapping",
        "integration_id, mapping_name, source_path, target_path",
        "integration_mapping_test",
        "mapping_id",
    ),
    **a_list("integration_pipeline_definition", "pipeline_steps", "steps", "pipeline_name, integration_id"),
    **a_list(
        "integration_template",
        "mapping_templates",
        "mappings",
        "code, template_name, version, integration_type_id, template_category_id, connection_template",
    ),
    "integration_transformation_version_bi": (
        "integration_transformation",
        (
            "UPDATE integration_transformation SET version = 7 WHERE id = ?1;"
            " REPLACE INTO integration_transformation(id, transformation_name, transformation_type, transformation_logic, language)"
            " SELECT id, transformation_name, 'map', '{}', 'sql' FROM integration_transformation WHERE id = ?1"
        ),
        "integration_transformation.version.order",
    ),
    "integration_transformation_version_bu": (
        "integration_transformation",
        (
            "UPDATE integration_transformation SET version = 7 WHERE id = ?1;"
            " UPDATE integration_transformation SET version = 6 WHERE id = ?1"
        ),
        "integration_transformation.version.order",
    ),
    "approval_version_bi": (
        "integration_mapping",
        (
            "INSERT INTO approval(mapping_id, subject_version, approval_kind, decision, decided_by)"
            " VALUES (?1, '2', 'data_owner', 'approved', 1)"
        ),
        "approval.subject_version.version",
    ),
    "integration_template_instance_state_bi": (
        "integration_template_instance",
        (
            "UPDATE integration_template_instance SET deployment_status = 'testing' WHERE id = ?1;"
            " REPLACE INTO integration_template_instance(template_id, integration_id, instance_name, deployment_status)"
            " SELECT template_id, integration_id, 'x', NULL FROM integration_template_instance WHERE id = ?1"
        ),
        "integration_template_instance.deployment_status.transition",
    ),
    "integration_template_instance_state_bu": (
        "integration_template_instance",
        (
            "UPDATE integration_template_instance SET deployment_status = 'deprecated' WHERE id = ?1;"
            " UPDATE integration_template_instance SET deployment_status = 'testing' WHERE id = ?1"
        ),
        "integration_template_instance.deployment_status.transition",
    ),
}

FURTHER: dict[str, tuple[str | None, str, str]] = {
    "a configuration that a program is linked with, to another organization": (
        "map_integration_configuration",
        f"{LINKED}; UPDATE configuration SET organization_id = 900 WHERE id = 900",
        "configuration.organization_id.referenced",
    ),
    "a configuration that a program is linked with, by REPLACE": (
        "map_integration_configuration",
        (
            f"{LINKED}; REPLACE INTO configuration(id, configuration_type_id, scope_type_id, organization_id, config_data)"
            " SELECT id, configuration_type_id, scope_type_id, 900, '{}' FROM configuration WHERE id = 900"
        ),
        "configuration.organization_id.referenced",
    ),
    "integration at version 1 by default": (
        "integration",
        "UPDATE integration SET version = 7 WHERE id = ?1; UPDATE OR REPLACE integration SET version = NULL WHERE id = ?1",
        "integration.version.order",
    ),
    "integration_mapping at version 1 by default": (
        "integration_mapping",
        "UPDATE integration_mapping SET version = 7 WHERE id = ?1; UPDATE OR REPLACE integration_mapping SET version = NULL WHERE id = ?1",
        "integration_mapping.version.order",
    ),
    "integration_pipeline_definition at version 1 by default": (
        "integration_pipeline_definition",
        "UPDATE integration_pipeline_definition SET version = 7 WHERE id = ?1; UPDATE OR REPLACE integration_pipeline_definition SET version = NULL WHERE id = ?1",
        "integration_pipeline_definition.version.order",
    ),
    "integration_transformation at version 1 by default": (
        "integration_transformation",
        "UPDATE integration_transformation SET version = 7 WHERE id = ?1; UPDATE OR REPLACE integration_transformation SET version = NULL WHERE id = ?1",
        "integration_transformation.version.order",
    ),
    "integration_template_instance begun anew by default": (
        "integration_template_instance",
        "UPDATE integration_template_instance SET deployment_status = 'deprecated' WHERE id = ?1; UPDATE OR REPLACE integration_template_instance SET deployment_status = NULL WHERE id = ?1",
        "integration_template_instance.deployment_status.transition",
    ),
    "integration.connection_config with a space in the name": (
        "integration",
        """UPDATE integration SET connection_config = '{"Client Secret": "k"}' WHERE id = ?1""",
        "integration.connection_config.secret",
    ),
    "integration.connection_config with dots in the name": (
        "integration",
        """UPDATE integration SET connection_config = '{"x.api.key": "k"}' WHERE id = ?1""",
        "integration.connection_config.secret",
    ),
    "integration.connection_config with a passphrase": (
        "integration",
        """UPDATE integration SET connection_config = '{"passphrase": "k"}' WHERE id = ?1""",
        "integration.connection_config.secret",
    ),
    "integration.connection_config with a secret for its key in the vault": (
        "integration",
        """UPDATE integration SET connection_config = '{"auth": {"secret": "p-4 w"}}' WHERE id = ?1""",
        "integration.connection_config.secret",
    ),
    "integration.connection_config with a list for the key in the vault": (
        "integration",
        """UPDATE integration SET connection_config = '{"auth": {"secret": ["k"]}}' WHERE id = ?1""",
        "integration.connection_config.secret",
    ),
    "integration.connection_config with a secret elsewhere": (
        "integration",
        """UPDATE integration SET connection_config = '{"secret": "api_key"}' WHERE id = ?1""",
        "integration.connection_config.secret",
    ),
    "integration_template.connection_template with an access key": (
        "integration_template",
        """UPDATE integration_template SET connection_template = '{"aws": {"Access Key": ["k"]}}' WHERE id = ?1""",
        "integration_template.connection_template.secret",
    ),
}

EFFECTS = {"integration_mapping_types_ai", "integration_mapping_types_au"}

SAME: dict[str, dict[str, Any]] = {
    "integration_type_default": {"is_default": 1},
    "integration_pipeline_definition_active": {"status_id": 1},
}
