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
}
