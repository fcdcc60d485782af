"""Sound rows of the configuration tables, and a case for each rule that the figures in its text do not give away."""

from __future__ import annotations

from typing import Any

ROWS: dict[str, dict[str, Any]] = {
    "configuration_type": {"code": "T{n}", "name": "Family", "applies_to_system": 1},
    "configuration": {"config_data": "{{}}"},
}

SAME: dict[str, dict[str, Any]] = {
    "configuration_type_default": {"is_default": 1},
    "configuration_active": {"status_id": 1},
}

_OTHER = (
    "INSERT INTO configuration(configuration_type_id, scope_type_id, status_id, config_data)"
    " SELECT configuration_type_id, scope_type_id, 2, '%s' FROM configuration WHERE id = ?1"
)
_AT_PROGRAM = "(SELECT id FROM scope_type WHERE code = 'PROGRAM')"


def _configured(table: str) -> str:
    return (
        "INSERT INTO organization(id, code, name) VALUES (70, 'A', 'A');"
        " INSERT INTO configuration_type(id, code, name, applies_to_program, applies_to_producer, applies_to_entity, applies_to_user)"
        " VALUES (70, 'A', 'A', 1, 1, 1, 1);"
        " INSERT INTO configuration(configuration_type_id, scope_type_id, scope_id, organization_id, config_data)"
        f" SELECT 70, id, ?1, 1, '{{}}' FROM scope_type WHERE table_name = '{table}'"
    )


REFUSALS: dict[str, tuple[str | None, str, str]] = {
    "configuration_version_bi": (
        "configuration",
        (
            "UPDATE configuration SET version = 7 WHERE id = ?1;"
            " REPLACE INTO configuration(id, configuration_type_id, scope_type_id, config_data)"
            " SELECT id, configuration_type_id, scope_type_id, '{}' FROM configuration WHERE id = ?1"
        ),
        "configuration.version.order",
    ),
    "configuration_version_bu": (
        "configuration",
        "UPDATE configuration SET version = 7 WHERE id = ?1; UPDATE configuration SET version = 6 WHERE id = ?1",
        "configuration.version.order",
    ),
    "configuration_scope_bi": (
        "configuration",
        (
            "INSERT INTO program(code, name) VALUES ('X', 'x');"
            " INSERT INTO configuration(configuration_type_id, scope_type_id, scope_id, config_data)"
            f" SELECT configuration_type_id, {_AT_PROGRAM}, last_insert_rowid(), '{{}}' FROM configuration WHERE id = ?1"
        ),
        "configuration.scope_type_id.scope",
    ),
    "configuration_scope_bu": (
        "configuration",
        (
            "INSERT INTO program(code, name) VALUES ('X', 'x');"
            f" UPDATE configuration SET scope_type_id = {_AT_PROGRAM}, scope_id = last_insert_rowid() WHERE id = ?1"
        ),
        "configuration.scope_type_id.scope",
    ),
    "configuration_type_scope_bi": (
        "configuration",
        (
            "REPLACE INTO configuration_type(id, code, name, applies_to_user)"
            " SELECT id, code, name, 1 FROM configuration_type WHERE id = (SELECT configuration_type_id FROM configuration WHERE id = ?1)"
        ),
        "configuration_type.*.referenced",
    ),
    "configuration_type_scope_bu": (
        "configuration",
        (
            "UPDATE configuration_type SET applies_to_system = 0"
            " WHERE id = (SELECT configuration_type_id FROM configuration WHERE id = ?1)"
        ),
        "configuration_type.*.referenced",
    ),
    "configuration_data_bi": (
        "configuration",
        _OTHER % '{"auth": [{"Api-Key": "k"}]}',
        "configuration.config_data.secret",
    ),
    "configuration_data_bu": (
        "configuration",
        """UPDATE configuration SET config_data = '{"passwd": ["k"]}' WHERE id = ?1""",
        "configuration.config_data.secret",
    ),
    "program_configured_bi": (
        "program",
        f"{_configured('program')}; REPLACE INTO program(id, organization_id, code, name) SELECT id, 70, code, name FROM program WHERE id = ?1",
        "program.organization_id.organization",
    ),
    "program_configured_bu": (
        "program",
        f"{_configured('program')}; UPDATE program SET organization_id = 70 WHERE id = ?1",
        "program.organization_id.organization",
    ),
    "producer_configured_bi": (
        "producer",
        f"{_configured('producer')}; REPLACE INTO producer(id, organization_id, code, name) SELECT id, 70, code, name FROM producer WHERE id = ?1",
        "producer.organization_id.organization",
    ),
    "producer_configured_bu": (
        "producer",
        f"{_configured('producer')}; UPDATE producer SET organization_id = 70 WHERE id = ?1",
        "producer.organization_id.organization",
    ),
    "entity_configured_bi": (
        "entity",
        f"{_configured('entity')}; REPLACE INTO entity(id, organization_id, code, name, entity_type_id) SELECT id, 70, code, name, entity_type_id FROM entity WHERE id = ?1",
        "entity.organization_id.organization",
    ),
    "entity_configured_bu": (
        "entity",
        f"{_configured('entity')}; UPDATE entity SET organization_id = 70 WHERE id = ?1",
        "entity.organization_id.organization",
    ),
    "user_configured_bi": (
        "user",
        f"{_configured('user')}; REPLACE INTO user(id, organization_id, username, created_by) SELECT id, 70, username, created_by FROM user WHERE id = ?1",
        "user.organization_id.organization",
    ),
    "user_configured_bu": (
        "user",
        f"{_configured('user')}; UPDATE user SET organization_id = 70 WHERE id = ?1",
        "user.organization_id.organization",
    ),
}

FURTHER: dict[str, tuple[str | None, str, str]] = {
    "the first version by default": (
        "configuration",
        (
            "UPDATE configuration SET version = 7 WHERE id = ?1;"
            " UPDATE OR REPLACE configuration SET version = NULL WHERE id = ?1"
        ),
        "configuration.version.order",
    ),
    "the first version in place of the row of the same scope": (
        "configuration",
        (
            "UPDATE configuration SET version = 7 WHERE id = ?1;"
            " REPLACE INTO configuration(configuration_type_id, scope_type_id, config_data, version)"
            " SELECT configuration_type_id, scope_type_id, '{}', NULL FROM configuration WHERE id = ?1"
        ),
        "configuration.version.order",
    ),
    "a secret name with a space in a document": (
        "configuration",
        """UPDATE configuration SET config_data = '{"a": {"API Key": "k"}}' WHERE id = ?1""",
        "configuration.config_data.secret",
    ),
}

FURTHER |= {
    f"what another organization sets for a {table}": (
        table,
        (
            f"{_configured(table)}; UPDATE {table} SET organization_id = 1 WHERE id = ?1;"
            " INSERT INTO configuration(configuration_type_id, scope_type_id, scope_id, organization_id, config_data)"
            f" SELECT 70, id, ?1, 70, '{{}}' FROM scope_type WHERE table_name = '{table}'"
        ),
        "configuration.organization_id.organization",
    )
    for table in ("program", "producer", "entity", "user")
}
