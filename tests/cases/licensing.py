"""Sound rows of the licensing tables, and a case for each rule that the figures in its text do not give away."""

from __future__ import annotations

from typing import Any

ROWS: dict[str, dict[str, Any]] = {
    "feature_type": {"code": "T{n}", "name": "Family"},
    "feature": {"code": "F{n}", "name": "Feature", "feature_key": "tests.f{n}"},
    "feature_dependency": {},
    "license_tier_feature": {"feature_value": '{{"enabled": true}}'},
    "vendor_key": {"vendor_name": "Vendor", "public_key": "{n:044d}"},
    "license_file": {
        "serial": "L{n}",
        "document": "{{}}",
        "signature": "{n:088d}",
        "starts_at": "2026-01-01T00:00:00.000Z",
    },
    "feature_license": {"uuid": "{n:036d}"},
    "feature_usage": {},
    "entity_type_feature": {},
    "entity_feature": {},
    "model_registry": {"provider": "P", "model_id": "m{n}", "model_name": "Model"},
    "component_registry": {"code": "C{n}", "name": "Component"},
}

ONE = {"vendor_key"}
"""Tables whose second row is of another making than the first."""

KEPT = {"vendor_key", "license_file"}
"""Tables where a trigger answers before a unique index does."""

SPECIAL: dict[str, dict[str, Any]] = {
    "feature_usage.period_starts_at.format": {
        "usage_period": "day",
        "period_starts_at": "2026-01-31T09:00:00.000Z",
    },
    "feature.feature_key.format": {"feature_key": "Tests.Upper"},
    "feature_dependency.depends_on_feature_id.cycle": {"feature_id": 1, "depends_on_feature_id": 1},
    "vendor_key.statement.required": {"statement": "{}"},
    "license_file.expires_at.order": {"expires_at": "2026-01-01T00:00:00.000Z"},
    "license_file.revoked_at.required": {"revocation_reason": "returned"},
    "feature_license.license_key_ciphertext.required": {"license_key_hash": "h" * 64},
    "feature_usage.period_starts_at.required": {"usage_period": "day"},
}

_CORE_TYPE = "(SELECT id FROM feature_type WHERE code = 'CORE')"
_NEW_LICENSE = "INSERT INTO feature_license(uuid, feature_id, scope_type_id{columns}) SELECT printf('%036d', 0), f.id, s.id{values} FROM feature f, scope_type s WHERE f.code = '{feature}' AND s.code = '{scope}'"


def _license(feature: str, scope: str, **values: str) -> str:
    return _NEW_LICENSE.format(
        feature=feature,
        scope=scope,
        columns="".join(f", {name}" for name in values),
        values="".join(f", {value}" for value in values.values()),
    )


_CYCLE = (
    "INSERT INTO feature_dependency(feature_id, depends_on_feature_id)"
    " SELECT depends_on_feature_id, feature_id FROM feature_dependency WHERE id = ?1"
)
_CHANGED_KEY = "UPDATE vendor_key SET public_key = printf('%044d', 9) WHERE id = ?1"

SAME: dict[str, dict[str, Any]] = {
    "sqlite_autoindex_feature_license_2": {
        "license_key_hash": "h" * 64,
        "license_key_ciphertext": b"k" * 40,
        "encryption_key_id": 1,
    },
}


def _licensed(table: str) -> str:
    return (
        "INSERT INTO organization(id, code, name) VALUES (70, 'A', 'A');"
        " INSERT INTO feature_license(uuid, feature_id, scope_type_id, scope_id, organization_id)"
        " SELECT printf('%036d', 0), f.id, s.id, ?1, 1 FROM feature f, scope_type s"
        f" WHERE f.code = 'BASIC_REPORTING' AND s.table_name = '{table}'"
    )


REFUSALS: dict[str, tuple[str | None, str, str]] = {
    "feature_value_bi": (
        "feature",
        (
            "INSERT INTO feature(code, name, feature_key, feature_type_id, license_tier_id, default_value)"
            """ SELECT 'X', 'x', 'x.y', feature_type_id, license_tier_id, '{"enabled": true, "value": 42}' FROM feature WHERE id = ?1"""
        ),
        "feature.default_value.type",
    ),
    "feature_value_bu": (
        "license_tier_feature",
        (
            """UPDATE license_tier_feature SET feature_value = '{"enabled": true, "value": false}' WHERE id = ?1;"""
            " UPDATE feature SET value_type = 'integer' WHERE id = (SELECT feature_id FROM license_tier_feature WHERE id = ?1)"
        ),
        "feature.value_type.referenced",
    ),
    "feature_core_bi": (
        None,
        (
            "INSERT INTO feature(code, name, feature_key, feature_type_id, license_tier_id, status_id)"
            f" VALUES ('X', 'x', 'x.y', {_CORE_TYPE}, 1, 2)"
        ),
        "feature.status_id.core",
    ),
    "feature_core_bu": (
        None,
        "UPDATE feature SET status_id = 3 WHERE code = 'QUOTE_CREATION'",
        "feature.status_id.core",
    ),
    "feature_core_bd": (None, "DELETE FROM feature WHERE code = 'QUOTE_CREATION'", "feature.id.core"),
    "feature_type_core_bi": (
        "feature_type",
        "REPLACE INTO feature_type(code, name, is_core) VALUES ('core', 'Core', 0)",
        "feature_type.is_core.core",
    ),
    "feature_type_core_bu": (
        "feature",
        "UPDATE feature_type SET is_core = 1 WHERE id = (SELECT feature_type_id FROM feature WHERE id = ?1)",
        "feature_type.is_core.core",
    ),
    "feature_public_bi": (
        None,
        (
            "REPLACE INTO feature(code, name, feature_key, feature_type_id, license_tier_id)"
            f" VALUES ('COMPONENTS_PUBLIC', 'x', 'components.other', {_CORE_TYPE}, 1)"
        ),
        "feature.feature_key.protected",
    ),
    "feature_public_bu": (
        None,
        "UPDATE feature SET feature_key = 'components.other' WHERE code = 'COMPONENTS_PUBLIC'",
        "feature.feature_key.protected",
    ),
    "feature_dependency_acyclic_bi": (
        "feature_dependency",
        _CYCLE,
        "feature_dependency.depends_on_feature_id.cycle",
    ),
    "feature_dependency_acyclic_bu": (
        "feature_dependency",
        (
            "INSERT INTO feature(code, name, feature_key, feature_type_id, license_tier_id)"
            " SELECT 'X', 'x', 'x.y', feature_type_id, license_tier_id FROM feature WHERE id = (SELECT feature_id FROM feature_dependency WHERE id = ?1);"
            " INSERT INTO feature_dependency(feature_id, depends_on_feature_id) SELECT depends_on_feature_id, last_insert_rowid() FROM feature_dependency WHERE id = ?1;"
            " UPDATE feature_dependency SET depends_on_feature_id = (SELECT feature_id FROM feature_dependency WHERE id = ?1) WHERE id = last_insert_rowid()"
        ),
        "feature_dependency.depends_on_feature_id.cycle",
    ),
    "license_tier_feature_value_bi": (
        "license_tier_feature",
        (
            "INSERT INTO license_tier_feature(license_tier_id, feature_id, feature_value)"
            """ SELECT 1, feature_id, '{"enabled": true, "value": "yes"}' FROM license_tier_feature WHERE id = ?1"""
        ),
        "license_tier_feature.feature_value.type",
    ),
    "license_tier_feature_value_bu": (
        "license_tier_feature",
        """UPDATE license_tier_feature SET feature_value = '{"enabled": 1}' WHERE id = ?1""",
        "license_tier_feature.feature_value.enabled",
    ),
    "vendor_key_chain_bi": (
        "vendor_key",
        "INSERT INTO vendor_key(vendor_name, public_key) VALUES ('Other', printf('%044d', 7))",
        "vendor_key.id.protected",
    ),
    "vendor_key_chain_bu": ("vendor_key", _CHANGED_KEY, "vendor_key.public_key.protected"),
    "vendor_key_chain_bd": ("vendor_key", "DELETE FROM vendor_key WHERE id = ?1", "vendor_key.id.protected"),
    "license_file_kept_bi": (
        "license_file",
        (
            "REPLACE INTO license_file(serial, vendor_key_id, document, signature, starts_at)"
            " SELECT serial, vendor_key_id, '{}', signature, starts_at FROM license_file WHERE id = ?1"
        ),
        "license_file.id.protected",
    ),
    "license_file_kept_bu": (
        "license_file",
        "UPDATE license_file SET grace_days = 365 WHERE id = ?1",
        "license_file.document.protected",
    ),
    "license_file_revoked_bu": (
        "license_file",
        (
            "UPDATE license_file SET revoked_at = '2026-02-01T00:00:00.000Z' WHERE id = ?1;"
            " UPDATE license_file SET revoked_at = NULL WHERE id = ?1"
        ),
        "license_file.revoked_at.final",
    ),
    "license_file_kept_bd": (
        "license_file",
        "DELETE FROM license_file WHERE id = ?1",
        "license_file.id.protected",
    ),
    "feature_license_uuid_bu": (
        "feature_license",
        "UPDATE feature_license SET uuid = printf('%036d', 0) WHERE id = ?1",
        "feature_license.uuid.protected",
    ),
    "feature_license_scope_bi": (
        None,
        _license("BASIC_REPORTING", "USER", scope_id="1"),
        "feature_license.scope_type_id.scope",
    ),
    "feature_license_scope_bu": (
        "feature_license",
        "UPDATE feature_license SET scope_type_id = (SELECT id FROM scope_type WHERE code = 'USER'), scope_id = 1 WHERE id = ?1",
        "feature_license.scope_type_id.scope",
    ),
    "feature_license_value_bi": (
        None,
        _license("BASIC_REPORTING", "SYSTEM", feature_value="""'{"enabled": true, "value": 42}'"""),
        "feature_license.feature_value.type",
    ),
    "feature_license_value_bu": (
        "feature_license",
        """UPDATE feature_license SET feature_value = '{"value": true}' WHERE id = ?1""",
        "feature_license.feature_value.enabled",
    ),
    "feature_license_core_bi": (
        None,
        _license("USER_MANAGEMENT", "SYSTEM", license_expires_at="'2030-01-01T00:00:00.000Z'"),
        "feature_license.license_expires_at.core",
    ),
    "feature_license_core_bu": (
        None,
        _license("USER_MANAGEMENT", "SYSTEM")
        + "; UPDATE feature_license SET license_expires_at = '2030-01-01T00:00:00.000Z' WHERE id = last_insert_rowid()",
        "feature_license.license_expires_at.core",
    ),
    "component_registry_gate_bi": (
        None,
        "INSERT INTO component_registry(code, name) VALUES ('X', 'x')",
        "component_registry.feature_id.required",
    ),
    "component_registry_gate_bu": (
        "component_registry",
        "UPDATE component_registry SET feature_id = NULL WHERE id = ?1",
        "component_registry.feature_id.required",
    ),
    "feature_core_key_bu": (
        "feature",
        "UPDATE OR REPLACE feature SET code = 'QUOTE_CREATION' WHERE id = ?1",
        "feature.id.core",
    ),
    "feature_type_retired_bu": (
        None,
        "UPDATE feature_type SET status_id = 2 WHERE code = 'CORE'",
        "feature_type.status_id.core",
    ),
    "feature_dependency_core_bi": (
        "feature",
        "INSERT INTO feature_dependency(feature_id, depends_on_feature_id) SELECT id, ?1 FROM feature WHERE code = 'QUOTE_CREATION'",
        "feature_dependency.depends_on_feature_id.core",
    ),
    "feature_dependency_core_bu": (
        "feature_dependency",
        "UPDATE feature_dependency SET feature_id = (SELECT id FROM feature WHERE code = 'QUOTE_CREATION') WHERE id = ?1",
        "feature_dependency.depends_on_feature_id.core",
    ),
    "license_tier_feature_secret_bi": (
        "license_tier_feature",
        (
            "REPLACE INTO license_tier_feature(license_tier_id, feature_id, feature_value)"
            """ SELECT license_tier_id, feature_id, '{"enabled": true, "settings": {"API Key": "k"}}' FROM license_tier_feature WHERE id = ?1"""
        ),
        "license_tier_feature.feature_value.secret",
    ),
    "license_tier_feature_secret_bu": (
        "license_tier_feature",
        """UPDATE license_tier_feature SET feature_value = '{"enabled": true, "settings": {"password": "k"}}' WHERE id = ?1""",
        "license_tier_feature.feature_value.secret",
    ),
    "feature_license_uuid_bi": (
        "feature_license",
        (
            "REPLACE INTO feature_license(id, uuid, feature_id, scope_type_id, scope_id)"
            " SELECT id, printf('%036d', 0), feature_id, scope_type_id, scope_id FROM feature_license WHERE id = ?1"
        ),
        "feature_license.uuid.protected",
    ),
    "feature_license_secret_bi": (
        None,
        _license("BASIC_REPORTING", "SYSTEM", feature_configuration="""'{"password": "k"}'"""),
        "feature_license.feature_configuration.secret",
    ),
    "feature_license_secret_bu": (
        "feature_license",
        """UPDATE feature_license SET feature_configuration = '{"list": [{"Token": "k"}]}' WHERE id = ?1""",
        "feature_license.feature_configuration.secret",
    ),
    "program_licensed_bi": (
        "program",
        f"{_licensed('program')}; REPLACE INTO program(id, organization_id, code, name) SELECT id, 70, code, name FROM program WHERE id = ?1",
        "program.organization_id.organization",
    ),
    "program_licensed_bu": (
        "program",
        f"{_licensed('program')}; UPDATE program SET organization_id = 70 WHERE id = ?1",
        "program.organization_id.organization",
    ),
    "producer_licensed_bi": (
        "producer",
        f"{_licensed('producer')}; REPLACE INTO producer(id, organization_id, code, name) SELECT id, 70, code, name FROM producer WHERE id = ?1",
        "producer.organization_id.organization",
    ),
    "producer_licensed_bu": (
        "producer",
        f"{_licensed('producer')}; UPDATE producer SET organization_id = 70 WHERE id = ?1",
        "producer.organization_id.organization",
    ),
}

EFFECTS = {
    f"{table}_noted_{when}"
    for table in ("feature", "feature_dependency", "license_tier_feature", "feature_license", "integration")
    for when in ("ai", "au", "ad")
}

FURTHER: dict[str, tuple[str | None, str, str]] = {
    "a whole number too big for one": (
        "license_tier_feature",
        (
            "UPDATE feature SET value_type = 'integer' WHERE id = (SELECT feature_id FROM license_tier_feature WHERE id = ?1);"
            """ UPDATE license_tier_feature SET feature_value = '{"enabled": true, "value": 99999999999999999999}' WHERE id = ?1"""
        ),
        "license_tier_feature.feature_value.type",
    ),
    "a boolean where a number is declared": (
        "license_tier_feature",
        (
            "UPDATE feature SET value_type = 'number' WHERE id = (SELECT feature_id FROM license_tier_feature WHERE id = ?1);"
            """ UPDATE license_tier_feature SET feature_value = '{"enabled": true, "value": true}' WHERE id = ?1"""
        ),
        "license_tier_feature.feature_value.type",
    ),
    "a number where a boolean is declared": (
        "license_tier_feature",
        (
            "UPDATE feature SET value_type = 'boolean' WHERE id = (SELECT feature_id FROM license_tier_feature WHERE id = ?1);"
            """ UPDATE license_tier_feature SET feature_value = '{"enabled": true, "value": 1}' WHERE id = ?1"""
        ),
        "license_tier_feature.feature_value.type",
    ),
    "nothing where a number is declared": (
        "license_tier_feature",
        (
            "UPDATE feature SET value_type = 'integer' WHERE id = (SELECT feature_id FROM license_tier_feature WHERE id = ?1);"
            """ UPDATE license_tier_feature SET feature_value = '{"enabled": true, "value": null}' WHERE id = ?1"""
        ),
        "license_tier_feature.feature_value.type",
    ),
    "a value under an escaped name": (
        "license_tier_feature",
        (
            "UPDATE feature SET value_type = 'integer' WHERE id = (SELECT feature_id FROM license_tier_feature WHERE id = ?1);"
            """ UPDATE license_tier_feature SET feature_value = '{"enabled": true, "\\u0076alue": "x"}' WHERE id = ?1"""
        ),
        "license_tier_feature.feature_value.type",
    ),
    "a second value under the same name": (
        "license_tier_feature",
        (
            "UPDATE feature SET value_type = 'integer' WHERE id = (SELECT feature_id FROM license_tier_feature WHERE id = ?1);"
            """ UPDATE license_tier_feature SET feature_value = '{"enabled": true, "value": 1, "value": "x"}' WHERE id = ?1"""
        ),
        "license_tier_feature.feature_value.type",
    ),
    "settings that are no object": (
        "license_tier_feature",
        (
            "UPDATE feature SET value_type = 'integer' WHERE id = (SELECT feature_id FROM license_tier_feature WHERE id = ?1);"
            """ UPDATE license_tier_feature SET feature_value = '{"enabled": true, "settings": 7}' WHERE id = ?1"""
        ),
        "license_tier_feature.feature_value.settings",
    ),
    "a core feature in a state that may be retired": (
        None,
        (
            "INSERT INTO status(id, code, name, is_active) VALUES (70, 'LIVE', 'Live', 1);"
            " UPDATE feature SET status_id = 70 WHERE code = 'QUOTE_CREATION'"
        ),
        "feature.status_id.core",
    ),
    "a core feature withdrawn by a licence": (
        None,
        _license("USER_MANAGEMENT", "SYSTEM", status_id="2"),
        "feature_license.license_expires_at.core",
    ),
    "a core feature withdrawn by a tier": (
        None,
        (
            "INSERT INTO license_tier_feature(license_tier_id, feature_id, feature_value, status_id)"
            """ SELECT 1, id, '{"enabled": true}', 2 FROM feature WHERE code = 'QUOTE_CREATION'"""
        ),
        "license_tier_feature.feature_value.core",
    ),
    "a family of core features replaced by a retired one": (
        None,
        "REPLACE INTO feature_type(code, name, is_core, status_id) VALUES ('core', 'Core', 1, 2)",
        "feature_type.is_core.core",
    ),
    "a vendor key before the last one": (
        "vendor_key",
        (
            "INSERT INTO vendor_key(id, vendor_name, public_key, previous_vendor_key_id, statement, statement_signature)"
            " SELECT 0, 'V', printf('%044d', 7), id, json_object('public_key', printf('%044d', 7), 'replaces', public_key), printf('%088d', 1)"
            " FROM vendor_key WHERE id = ?1"
        ),
        "vendor_key.id.protected",
    ),
}
