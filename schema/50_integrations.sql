-- Integrations: what can be connected, how its fields become ours, and the secrets it needs.
-- An integration is data: template, then integration, then mappings and pipeline.

-- One row is a kind of integration that exists for everybody.
CREATE TABLE integration_type (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "integration_type.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "integration_type.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  feature_id INTEGER NOT NULL REFERENCES feature(id),  -- what one must be allowed to use it
  is_default INTEGER NOT NULL DEFAULT 0 CONSTRAINT "integration_type.is_default.boolean" CHECK (is_default IN (0, 1)),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX integration_type_feature ON integration_type(feature_id);
CREATE UNIQUE INDEX integration_type_default ON integration_type(is_default) WHERE is_default = 1;

-- One row says that a configuration is used by a type of integration in one program.
CREATE TABLE map_integration_configuration (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  program_id INTEGER NOT NULL REFERENCES program(id),
  integration_type_id INTEGER NOT NULL REFERENCES integration_type(id),
  configuration_id INTEGER NOT NULL REFERENCES configuration(id),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "map_integration_configuration.configuration_id.unique" UNIQUE (program_id, integration_type_id, configuration_id)
) STRICT;
CREATE INDEX map_integration_configuration_integration_type ON map_integration_configuration(integration_type_id);
CREATE INDEX map_integration_configuration_configuration ON map_integration_configuration(configuration_id);

CREATE TRIGGER map_integration_configuration_organization_bi BEFORE INSERT ON map_integration_configuration BEGIN
  SELECT RAISE(ABORT, 'EK|map_integration_configuration|configuration_id|organization|The configuration belongs to another organization than the program.')
  FROM configuration WHERE id = NEW.configuration_id AND organization_id <> (SELECT organization_id FROM program WHERE id = NEW.program_id);
END;
CREATE TRIGGER map_integration_configuration_organization_bu BEFORE UPDATE OF program_id, configuration_id ON map_integration_configuration BEGIN
  SELECT RAISE(ABORT, 'EK|map_integration_configuration|configuration_id|organization|The configuration belongs to another organization than the program.')
  FROM configuration WHERE id = NEW.configuration_id AND organization_id <> (SELECT organization_id FROM program WHERE id = NEW.program_id);
END;

-- One row is a shelf of the template library.
CREATE TABLE template_category (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "template_category.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "template_category.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

-- One row is an integration this file runs: a type, a name and its settings. Secrets are in `integration_credential`.
CREATE TABLE integration (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  integration_name TEXT NOT NULL COLLATE NOCASE CONSTRAINT "integration.integration_name.length" CHECK (length(integration_name) BETWEEN 1 AND 100),
  integration_type_id INTEGER NOT NULL REFERENCES integration_type(id),
  organization_id INTEGER DEFAULT 1 REFERENCES organization(id),  -- NULL: shared by all
  entity_id INTEGER REFERENCES entity(id),  -- the outside service it talks to
  connection_config TEXT NOT NULL CONSTRAINT "integration.connection_config.json_object" CHECK (CASE WHEN json_valid(connection_config) THEN json_type(connection_config) = 'object' ELSE 0 END),  -- the connector's settings; `table`, `key`, `create` of the target, or `to`: where records are sent
  health_status TEXT CONSTRAINT "integration.health_status.choice" CHECK (health_status IN ('healthy', 'degraded', 'unhealthy')),  -- healthy: the other side answers as it should; degraded: it answers late or only in part; unhealthy: it does not answer; NULL: not known
  last_health_check_at TEXT CONSTRAINT "integration.last_health_check_at.time" CHECK (last_health_check_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', last_health_check_at, '+0 days') IS last_health_check_at),
  version INTEGER NOT NULL DEFAULT 1 CONSTRAINT "integration.version.range" CHECK (version >= 1),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE UNIQUE INDEX integration_name ON integration(COALESCE(organization_id, 0), integration_type_id, integration_name);
CREATE UNIQUE INDEX integration_entity ON integration(entity_id);
CREATE INDEX integration_integration_type ON integration(integration_type_id);
CREATE INDEX integration_organization ON integration(organization_id);
CREATE INDEX integration_active ON integration(organization_id) WHERE status_id = 1;

CREATE TRIGGER integration_entity_bi BEFORE INSERT ON integration WHEN NEW.entity_id IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'EK|integration|entity_id|organization|The entity belongs to another organization.') FROM entity WHERE id = NEW.entity_id AND organization_id <> NEW.organization_id;
END;
CREATE TRIGGER integration_entity_bu BEFORE UPDATE OF entity_id, organization_id ON integration WHEN NEW.entity_id IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'EK|integration|entity_id|organization|The entity belongs to another organization.') FROM entity WHERE id = NEW.entity_id AND organization_id <> NEW.organization_id;
END;

-- The data layer raises the version with every change; nobody takes it back.
CREATE TRIGGER integration_version_bi BEFORE INSERT ON integration BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|integration|version|order|A version never goes down.') FROM integration WHERE id = NEW.id AND version > ifnull(NEW.version, 1);
END;
CREATE TRIGGER integration_version_bu BEFORE UPDATE OF version ON integration WHEN ifnull(NEW.version, 1) < OLD.version BEGIN
  SELECT RAISE(ABORT, 'EK|integration|version|order|A version never goes down.');
END;

CREATE TRIGGER integration_connection_config_secret_bi BEFORE INSERT ON integration WHEN json_valid(NEW.connection_config) BEGIN
  SELECT RAISE(ABORT, 'EK|integration|connection_config|secret|A setting is named like a secret. Secrets belong in the vault: edgekit vault set INTEGRATION KEY.')
  FROM json_tree(NEW.connection_config) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*')
    AND NOT (fullkey IN ('$.auth.secret', '$.to.auth.secret', '$.verify.secret') AND type = 'text' AND length(atom) <= 50 AND atom GLOB '[A-Za-z]*' AND atom NOT GLOB '*[^A-Za-z0-9_]*');  -- the key of a secret in the vault
END;

CREATE TRIGGER integration_connection_config_secret_bu BEFORE UPDATE OF connection_config ON integration WHEN json_valid(NEW.connection_config) BEGIN
  SELECT RAISE(ABORT, 'EK|integration|connection_config|secret|A setting is named like a secret. Secrets belong in the vault: edgekit vault set INTEGRATION KEY.')
  FROM json_tree(NEW.connection_config) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*')
    AND NOT (fullkey IN ('$.auth.secret', '$.to.auth.secret', '$.verify.secret') AND type = 'text' AND length(atom) <= 50 AND atom GLOB '[A-Za-z]*' AND atom NOT GLOB '*[^A-Za-z0-9_]*');  -- the key of a secret in the vault
END;

-- What becomes of an integration is a change of the feature its type stands under.
CREATE TRIGGER integration_noted_ai AFTER INSERT ON integration BEGIN
  INSERT INTO audit_feature(feature_id, txn_id, table_name, record_key, action, performed_at)
  SELECT f.id, x.id, 'integration', NEW.id, 'I', x.performed_at
  FROM (SELECT (SELECT feature_id FROM integration_type WHERE id = NEW.integration_type_id) AS id) f, (SELECT id, performed_at FROM audit_transaction ORDER BY id DESC LIMIT 1) x
  WHERE NOT EXISTS (SELECT 1 FROM audit_feature WHERE feature_id = f.id AND performed_at = x.performed_at AND txn_id = x.id AND table_name = 'integration' AND record_key = NEW.id AND action = 'I');
END;
CREATE TRIGGER integration_noted_au AFTER UPDATE ON integration BEGIN
  INSERT INTO audit_feature(feature_id, txn_id, table_name, record_key, action, performed_at)
  SELECT f.id, x.id, 'integration', NEW.id, 'U', x.performed_at
  FROM (SELECT (SELECT feature_id FROM integration_type WHERE id = NEW.integration_type_id) AS id UNION SELECT (SELECT feature_id FROM integration_type WHERE id = OLD.integration_type_id) AS id) f, (SELECT id, performed_at FROM audit_transaction ORDER BY id DESC LIMIT 1) x
  WHERE NOT EXISTS (SELECT 1 FROM audit_feature WHERE feature_id = f.id AND performed_at = x.performed_at AND txn_id = x.id AND table_name = 'integration' AND record_key = NEW.id AND action = 'U');
END;
CREATE TRIGGER integration_noted_ad AFTER DELETE ON integration BEGIN
  INSERT INTO audit_feature(feature_id, txn_id, table_name, record_key, action, performed_at)
  SELECT f.id, x.id, 'integration', OLD.id, 'D', x.performed_at
  FROM (SELECT (SELECT feature_id FROM integration_type WHERE id = OLD.integration_type_id) AS id) f, (SELECT id, performed_at FROM audit_transaction ORDER BY id DESC LIMIT 1) x
  WHERE NOT EXISTS (SELECT 1 FROM audit_feature WHERE feature_id = f.id AND performed_at = x.performed_at AND txn_id = x.id AND table_name = 'integration' AND record_key = OLD.id AND action = 'D');
END;

-- One row is a secret of an integration in an environment, sealed by the vault.
CREATE TABLE integration_credential (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "integration_credential.uuid.length" CHECK (length(uuid) = 36),  -- binds the ciphertext to this row
  integration_id INTEGER NOT NULL REFERENCES integration(id),
  environment_id INTEGER NOT NULL DEFAULT 1 REFERENCES environment(id),  -- 1: production
  credential_key TEXT NOT NULL COLLATE NOCASE CONSTRAINT "integration_credential.credential_key.length" CHECK (length(credential_key) BETWEEN 1 AND 50),  -- username, password, api_key …
  value_ciphertext BLOB NOT NULL CONSTRAINT "integration_credential.value_ciphertext.length" CHECK (length(value_ciphertext) BETWEEN 29 AND 65536),
  encryption_key_id INTEGER NOT NULL REFERENCES encryption_key(id),
  expires_at TEXT CONSTRAINT "integration_credential.expires_at.time" CHECK (expires_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', expires_at, '+0 days') IS expires_at),
  last_rotated_at TEXT CONSTRAINT "integration_credential.last_rotated_at.time" CHECK (last_rotated_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', last_rotated_at, '+0 days') IS last_rotated_at),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "integration_credential.credential_key.unique" UNIQUE (integration_id, environment_id, credential_key)
) STRICT;
CREATE INDEX integration_credential_environment ON integration_credential(environment_id);
CREATE INDEX integration_credential_expires ON integration_credential(expires_at);
CREATE INDEX integration_credential_encryption_key ON integration_credential(encryption_key_id);

CREATE TRIGGER integration_credential_uuid_bi BEFORE INSERT ON integration_credential BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|integration_credential|uuid|protected|The uuid of a credential stays: its secret is sealed to it.') FROM integration_credential WHERE id = NEW.id AND uuid IS NOT NEW.uuid;
END;
CREATE TRIGGER integration_credential_uuid_bu BEFORE UPDATE OF uuid ON integration_credential WHEN NEW.uuid IS NOT OLD.uuid BEGIN
  SELECT RAISE(ABORT, 'EK|integration_credential|uuid|protected|The uuid of a credential stays: its secret is sealed to it.');
END;

-- One row says how one field of a record becomes one column of the target.
CREATE TABLE integration_mapping (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  integration_id INTEGER NOT NULL REFERENCES integration(id) ON DELETE CASCADE,
  mapping_name TEXT NOT NULL CONSTRAINT "integration_mapping.mapping_name.length" CHECK (length(mapping_name) BETWEEN 1 AND 100),
  mapping_type TEXT NOT NULL DEFAULT 'field' CONSTRAINT "integration_mapping.mapping_type.choice" CHECK (mapping_type IN ('field', 'object', 'array', 'custom')),  -- field: one value; object: a whole object; array: each item of a list; custom: what its rules make
  source_path TEXT NOT NULL CONSTRAINT "integration_mapping.source_path.length" CHECK (length(source_path) BETWEEN 1 AND 500),  -- JSONPath, or a field path
  target_path TEXT NOT NULL CONSTRAINT "integration_mapping.target_path.length" CHECK (length(target_path) BETWEEN 1 AND 200),
  source_data_type TEXT CONSTRAINT "integration_mapping.source_data_type.length" CHECK (length(source_data_type) <= 20),
  target_data_type TEXT CONSTRAINT "integration_mapping.target_data_type.length" CHECK (length(target_data_type) <= 20),
  is_required INTEGER NOT NULL DEFAULT 0 CONSTRAINT "integration_mapping.is_required.boolean" CHECK (is_required IN (0, 1)),
  default_value TEXT,
  transformation_rules TEXT CONSTRAINT "integration_mapping.transformation_rules.json_object" CHECK (transformation_rules IS NULL OR CASE WHEN json_valid(transformation_rules) THEN json_type(transformation_rules) = 'object' ELSE 0 END),
  validation_rules TEXT CONSTRAINT "integration_mapping.validation_rules.json_object" CHECK (validation_rules IS NULL OR CASE WHEN json_valid(validation_rules) THEN json_type(validation_rules) = 'object' ELSE 0 END),
  communication_direction_id INTEGER NOT NULL DEFAULT 1 REFERENCES communication_direction(id),  -- the runs it takes part in; 1: inbound
  error_handling TEXT NOT NULL DEFAULT 'fail' CONSTRAINT "integration_mapping.error_handling.choice" CHECK (error_handling IN ('fail', 'skip', 'default', 'null')),  -- fail: reject the record; skip: leave the field out; default: write the default; null: write null
  mapping_notes TEXT,
  change_reason TEXT NOT NULL DEFAULT 'new_integration' CONSTRAINT "integration_mapping.change_reason.choice" CHECK (change_reason IN ('new_integration', 'field_change', 'model_update', 'optimization', 'troubleshooting')),  -- why it became as it is: new_integration: set up; field_change: the other side changed a field; model_update: our tables changed; optimization: works better so; troubleshooting: mends a fault
  test_coverage REAL CONSTRAINT "integration_mapping.test_coverage.range" CHECK (test_coverage BETWEEN 0 AND 100),  -- per cent
  organization_id INTEGER DEFAULT 1 REFERENCES organization(id),  -- as its integration's
  version INTEGER NOT NULL DEFAULT 1 CONSTRAINT "integration_mapping.version.range" CHECK (version >= 1),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "integration_mapping.mapping_name.unique" UNIQUE (integration_id, mapping_name),
  CONSTRAINT "integration_mapping.target_path.unique" UNIQUE (integration_id, communication_direction_id, target_path)
) STRICT;
CREATE INDEX integration_mapping_active ON integration_mapping(integration_id) WHERE status_id = 1;
CREATE INDEX integration_mapping_communication_direction ON integration_mapping(communication_direction_id);
CREATE INDEX integration_mapping_organization ON integration_mapping(organization_id);
CREATE INDEX integration_mapping_transformation ON integration_mapping(json_extract(transformation_rules, '$.type'));

-- The data layer raises the version with every change; nobody takes it back.
CREATE TRIGGER integration_mapping_version_bi BEFORE INSERT ON integration_mapping BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|integration_mapping|version|order|A version never goes down.') FROM integration_mapping WHERE id = NEW.id AND version > ifnull(NEW.version, 1);
END;
CREATE TRIGGER integration_mapping_version_bu BEFORE UPDATE OF version ON integration_mapping WHEN ifnull(NEW.version, 1) < OLD.version BEGIN
  SELECT RAISE(ABORT, 'EK|integration_mapping|version|order|A version never goes down.');
END;

CREATE TRIGGER integration_mapping_rules_bi BEFORE INSERT ON integration_mapping WHEN CASE WHEN json_valid(NEW.transformation_rules) THEN json_type(NEW.transformation_rules) = 'object' END BEGIN
  SELECT RAISE(ABORT, 'EK|integration_mapping|transformation_rules|type|Transformation rules must include type')
  WHERE json_type(NEW.transformation_rules, '$.type') IS NOT 'text';
END;

CREATE TRIGGER integration_mapping_rules_bu BEFORE UPDATE OF transformation_rules ON integration_mapping WHEN CASE WHEN json_valid(NEW.transformation_rules) THEN json_type(NEW.transformation_rules) = 'object' END BEGIN
  SELECT RAISE(ABORT, 'EK|integration_mapping|transformation_rules|type|Transformation rules must include type')
  WHERE json_type(NEW.transformation_rules, '$.type') IS NOT 'text';
END;

CREATE TRIGGER integration_mapping_types_ai AFTER INSERT ON integration_mapping
WHEN NEW.transformation_rules IS NULL AND NEW.source_data_type IS NOT NULL AND NEW.target_data_type IS NOT NULL AND NEW.source_data_type <> NEW.target_data_type BEGIN
  INSERT INTO validation_message(table_name, record_key, code, message) VALUES ('integration_mapping', NEW.id, 'type_mismatch',
    'Data type mismatch without transformation: ' || NEW.source_data_type || ' -> ' || NEW.target_data_type);
END;

CREATE TRIGGER integration_mapping_types_au AFTER UPDATE OF transformation_rules, source_data_type, target_data_type ON integration_mapping
WHEN NEW.transformation_rules IS NULL AND NEW.source_data_type IS NOT NULL AND NEW.target_data_type IS NOT NULL AND NEW.source_data_type <> NEW.target_data_type BEGIN
  INSERT INTO validation_message(table_name, record_key, code, message) VALUES ('integration_mapping', NEW.id, 'type_mismatch',
    'Data type mismatch without transformation: ' || NEW.source_data_type || ' -> ' || NEW.target_data_type);
END;

CREATE TRIGGER integration_mapping_organization_bi BEFORE INSERT ON integration_mapping BEGIN
  SELECT RAISE(ABORT, 'EK|integration_mapping|organization_id|organization|A row belongs to the organization of its integration.')
  FROM integration WHERE id = NEW.integration_id AND organization_id IS NOT NEW.organization_id;
END;
CREATE TRIGGER integration_mapping_organization_bu BEFORE UPDATE OF integration_id, organization_id ON integration_mapping BEGIN
  SELECT RAISE(ABORT, 'EK|integration_mapping|organization_id|organization|A row belongs to the organization of its integration.')
  FROM integration WHERE id = NEW.integration_id AND organization_id IS NOT NEW.organization_id;
END;

-- One row is an example a mapping is tried with, and how the last try went.
CREATE TABLE integration_mapping_test (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  mapping_id INTEGER NOT NULL REFERENCES integration_mapping(id) ON DELETE CASCADE,
  test_name TEXT NOT NULL CONSTRAINT "integration_mapping_test.test_name.length" CHECK (length(test_name) BETWEEN 1 AND 100),
  test_type TEXT NOT NULL DEFAULT 'unit' CONSTRAINT "integration_mapping_test.test_type.choice" CHECK (test_type IN ('unit', 'integration', 'edge_case', 'performance')),  -- unit: the field alone; integration: a whole record; edge_case: null, missing, extreme; performance: how long it takes
  input_data TEXT NOT NULL CONSTRAINT "integration_mapping_test.input_data.json_object" CHECK (CASE WHEN json_valid(input_data) THEN json_type(input_data) = 'object' ELSE 0 END),  -- the record that goes in
  expected_output TEXT NOT NULL CONSTRAINT "integration_mapping_test.expected_output.json_object" CHECK (CASE WHEN json_valid(expected_output) THEN json_type(expected_output) = 'object' ELSE 0 END),  -- {"target column": value}
  test_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "integration_mapping_test.test_status.choice" CHECK (test_status IN ('pending', 'passed', 'failed', 'skipped')),  -- pending: not tried since it changed; passed: as expected; failed: not as expected; skipped: not tried on purpose
  actual_output TEXT CONSTRAINT "integration_mapping_test.actual_output.json_object" CHECK (actual_output IS NULL OR CASE WHEN json_valid(actual_output) THEN json_type(actual_output) = 'object' ELSE 0 END),
  execution_time_ms INTEGER CONSTRAINT "integration_mapping_test.execution_time_ms.range" CHECK (execution_time_ms >= 0),
  error_message TEXT,
  last_run_at TEXT CONSTRAINT "integration_mapping_test.last_run_at.time" CHECK (last_run_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', last_run_at, '+0 days') IS last_run_at),
  organization_id INTEGER DEFAULT 1 REFERENCES organization(id),  -- as its mapping's
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "integration_mapping_test.last_run_at.required" CHECK (last_run_at IS NOT NULL OR test_status IN ('pending', 'skipped')),
  CONSTRAINT "integration_mapping_test.test_name.unique" UNIQUE (mapping_id, test_name)
) STRICT;
CREATE INDEX integration_mapping_test_status ON integration_mapping_test(mapping_id, test_status);
CREATE INDEX integration_mapping_test_organization ON integration_mapping_test(organization_id);

CREATE TRIGGER integration_mapping_test_organization_bi BEFORE INSERT ON integration_mapping_test BEGIN
  SELECT RAISE(ABORT, 'EK|integration_mapping_test|organization_id|organization|A row belongs to the organization of its mapping.')
  FROM integration_mapping WHERE id = NEW.mapping_id AND organization_id IS NOT NEW.organization_id;
END;
CREATE TRIGGER integration_mapping_test_organization_bu BEFORE UPDATE OF mapping_id, organization_id ON integration_mapping_test BEGIN
  SELECT RAISE(ABORT, 'EK|integration_mapping_test|organization_id|organization|A row belongs to the organization of its mapping.')
  FROM integration_mapping WHERE id = NEW.mapping_id AND organization_id IS NOT NEW.organization_id;
END;

CREATE TRIGGER integration_mapping_owner_bi BEFORE INSERT ON integration_mapping BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|integration_mapping|organization_id|organization|A mapping that has tests stays in its organization.')
  WHERE EXISTS (SELECT 1 FROM integration_mapping_test WHERE mapping_id = NEW.id AND organization_id IS NOT NEW.organization_id);
END;
CREATE TRIGGER integration_mapping_owner_bu BEFORE UPDATE OF organization_id ON integration_mapping WHEN NEW.organization_id IS NOT OLD.organization_id BEGIN
  SELECT RAISE(ABORT, 'EK|integration_mapping|organization_id|organization|A mapping that has tests stays in its organization.')
  WHERE EXISTS (SELECT 1 FROM integration_mapping_test WHERE mapping_id = NEW.id AND organization_id IS NOT NEW.organization_id);
END;

-- One row is the way a record takes through an integration, and what becomes of a bad one.
CREATE TABLE integration_pipeline_definition (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  pipeline_name TEXT NOT NULL CONSTRAINT "integration_pipeline_definition.pipeline_name.length" CHECK (length(pipeline_name) BETWEEN 1 AND 100),
  description TEXT,
  integration_id INTEGER NOT NULL REFERENCES integration(id),
  pipeline_type TEXT NOT NULL DEFAULT 'linear' CONSTRAINT "integration_pipeline_definition.pipeline_type.choice" CHECK (pipeline_type IN ('linear', 'conditional', 'parallel', 'hybrid')),  -- linear: one step after the other; conditional: steps that run only for some records; parallel: steps that do not wait for each other; hybrid: both of these
  pipeline_steps TEXT NOT NULL CONSTRAINT "integration_pipeline_definition.pipeline_steps.json_object" CHECK (CASE WHEN json_valid(pipeline_steps) THEN json_type(pipeline_steps) = 'object' ELSE 0 END),  -- {"steps": [{"name", "type": "validate" | "map" | "transform" | "enrich" | "parallel", …}]}
  error_handling_strategy TEXT NOT NULL DEFAULT 'dead_letter' CONSTRAINT "integration_pipeline_definition.error_handling_strategy.choice" CHECK (error_handling_strategy IN ('fail_fast', 'continue_on_error', 'dead_letter', 'retry')),  -- fail_fast: the first bad record fails the run; continue_on_error: count it and go on; dead_letter: keep it for replay and go on; retry: try it again, then keep it
  dead_letter_config TEXT CONSTRAINT "integration_pipeline_definition.dead_letter_config.json_object" CHECK (dead_letter_config IS NULL OR CASE WHEN json_valid(dead_letter_config) THEN json_type(dead_letter_config) = 'object' ELSE 0 END),  -- {"max_count", "max_percent"}: over either the run fails; "retry": {"attempts", "delay_seconds"}
  performance_config TEXT CONSTRAINT "integration_pipeline_definition.performance_config.json_object" CHECK (performance_config IS NULL OR CASE WHEN json_valid(performance_config) THEN json_type(performance_config) = 'object' ELSE 0 END),  -- {"batch_size", "parallelism"}
  monitoring_config TEXT CONSTRAINT "integration_pipeline_definition.monitoring_config.json_object" CHECK (monitoring_config IS NULL OR CASE WHEN json_valid(monitoring_config) THEN json_type(monitoring_config) = 'object' ELSE 0 END),
  organization_id INTEGER DEFAULT 1 REFERENCES organization(id),  -- as its integration's
  version INTEGER NOT NULL DEFAULT 1 CONSTRAINT "integration_pipeline_definition.version.range" CHECK (version >= 1),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE UNIQUE INDEX integration_pipeline_definition_active ON integration_pipeline_definition(integration_id) WHERE status_id = 1;
CREATE INDEX integration_pipeline_definition_integration ON integration_pipeline_definition(integration_id);
CREATE INDEX integration_pipeline_definition_organization ON integration_pipeline_definition(organization_id);
CREATE INDEX integration_pipeline_definition_first_step ON integration_pipeline_definition(json_extract(pipeline_steps, '$.steps[0].type'));

-- The data layer raises the version with every change; nobody takes it back.
CREATE TRIGGER integration_pipeline_definition_version_bi BEFORE INSERT ON integration_pipeline_definition BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|integration_pipeline_definition|version|order|A version never goes down.') FROM integration_pipeline_definition WHERE id = NEW.id AND version > ifnull(NEW.version, 1);
END;
CREATE TRIGGER integration_pipeline_definition_version_bu BEFORE UPDATE OF version ON integration_pipeline_definition WHEN ifnull(NEW.version, 1) < OLD.version BEGIN
  SELECT RAISE(ABORT, 'EK|integration_pipeline_definition|version|order|A version never goes down.');
END;

CREATE TRIGGER integration_pipeline_definition_steps_bi BEFORE INSERT ON integration_pipeline_definition WHEN json_valid(NEW.pipeline_steps) BEGIN
  SELECT CASE WHEN json_type(NEW.pipeline_steps) = 'array' THEN RAISE(ABORT, 'EK|integration_pipeline_definition|pipeline_steps|json_object|integration_pipeline_definition.pipeline_steps must be a JSON object; wrap the list: {"steps": […]}.')
    ELSE RAISE(ABORT, 'EK|integration_pipeline_definition|pipeline_steps|shape|integration_pipeline_definition.pipeline_steps holds a list of objects: {"steps": [{…}, …]}.') END
  WHERE CASE json_type(NEW.pipeline_steps) WHEN 'array' THEN 1 WHEN 'object' THEN json_type(NEW.pipeline_steps, '$.steps') IS NOT 'array'
    OR EXISTS (SELECT 1 FROM json_each(NEW.pipeline_steps, '$.steps') WHERE type <> 'object') ELSE 0 END;
END;
CREATE TRIGGER integration_pipeline_definition_steps_bu BEFORE UPDATE OF pipeline_steps ON integration_pipeline_definition WHEN json_valid(NEW.pipeline_steps) BEGIN
  SELECT CASE WHEN json_type(NEW.pipeline_steps) = 'array' THEN RAISE(ABORT, 'EK|integration_pipeline_definition|pipeline_steps|json_object|integration_pipeline_definition.pipeline_steps must be a JSON object; wrap the list: {"steps": […]}.')
    ELSE RAISE(ABORT, 'EK|integration_pipeline_definition|pipeline_steps|shape|integration_pipeline_definition.pipeline_steps holds a list of objects: {"steps": [{…}, …]}.') END
  WHERE CASE json_type(NEW.pipeline_steps) WHEN 'array' THEN 1 WHEN 'object' THEN json_type(NEW.pipeline_steps, '$.steps') IS NOT 'array'
    OR EXISTS (SELECT 1 FROM json_each(NEW.pipeline_steps, '$.steps') WHERE type <> 'object') ELSE 0 END;
END;

CREATE TRIGGER integration_pipeline_definition_organization_bi BEFORE INSERT ON integration_pipeline_definition BEGIN
  SELECT RAISE(ABORT, 'EK|integration_pipeline_definition|organization_id|organization|A row belongs to the organization of its integration.')
  FROM integration WHERE id = NEW.integration_id AND organization_id IS NOT NEW.organization_id;
END;
CREATE TRIGGER integration_pipeline_definition_organization_bu BEFORE UPDATE OF integration_id, organization_id ON integration_pipeline_definition BEGIN
  SELECT RAISE(ABORT, 'EK|integration_pipeline_definition|organization_id|organization|A row belongs to the organization of its integration.')
  FROM integration WHERE id = NEW.integration_id AND organization_id IS NOT NEW.organization_id;
END;

-- One row is a step of a pipeline, read out of it.
CREATE VIEW integration_pipeline_step AS
SELECT p.id AS pipeline_id, p.integration_id, s.key + 1 AS step_order, s.value ->> '$.name' AS step_name, s.value ->> '$.type' AS step_kind,
  s.value AS definition, p.organization_id, p.status_id
FROM integration_pipeline_definition p, json_each(p.pipeline_steps, '$.steps') s;

-- One row is a transformation by name: logic in one of five languages, its schemas and its examples.
CREATE TABLE integration_transformation (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  transformation_name TEXT NOT NULL COLLATE NOCASE CONSTRAINT "integration_transformation.transformation_name.length" CHECK (length(transformation_name) BETWEEN 1 AND 100),
  description TEXT,
  transformation_type TEXT NOT NULL CONSTRAINT "integration_transformation.transformation_type.choice" CHECK (transformation_type IN ('map', 'filter', 'aggregate', 'enrich', 'validate', 'custom')),  -- map: one record becomes another; filter: which records go on; aggregate: many become one; enrich: adds to a record; validate: refuses records; custom: anything else
  input_schema TEXT CONSTRAINT "integration_transformation.input_schema.json_object" CHECK (input_schema IS NULL OR CASE WHEN json_valid(input_schema) THEN json_type(input_schema) = 'object' ELSE 0 END),  -- a JSON Schema; NULL: anything
  output_schema TEXT CONSTRAINT "integration_transformation.output_schema.json_object" CHECK (output_schema IS NULL OR CASE WHEN json_valid(output_schema) THEN json_type(output_schema) = 'object' ELSE 0 END),
  transformation_logic TEXT NOT NULL CONSTRAINT "integration_transformation.transformation_logic.json_object" CHECK (CASE WHEN json_valid(transformation_logic) THEN json_type(transformation_logic) = 'object' ELSE 0 END),  -- {"text": "…"}
  language TEXT NOT NULL CONSTRAINT "integration_transformation.language.choice" CHECK (language IN ('jmespath', 'jsonpath', 'javascript', 'python', 'sql')),  -- jmespath: a JMESPath expression; jsonpath: an RFC 9535 path; javascript: a script over input; python: a script over input; sql: a query of the table input
  is_reusable INTEGER NOT NULL DEFAULT 1 CONSTRAINT "integration_transformation.is_reusable.boolean" CHECK (is_reusable IN (0, 1)),
  performance_tier TEXT NOT NULL DEFAULT 'standard' CONSTRAINT "integration_transformation.performance_tier.choice" CHECK (performance_tier IN ('lightweight', 'standard', 'heavy')),  -- lightweight: for every record of a large run; standard: for every record; heavy: sparingly
  timeout_seconds INTEGER NOT NULL DEFAULT 30 CONSTRAINT "integration_transformation.timeout_seconds.range" CHECK (timeout_seconds BETWEEN 1 AND 86400),
  error_output_schema TEXT CONSTRAINT "integration_transformation.error_output_schema.json_object" CHECK (error_output_schema IS NULL OR CASE WHEN json_valid(error_output_schema) THEN json_type(error_output_schema) = 'object' ELSE 0 END),  -- of what a failure yields
  test_cases TEXT CONSTRAINT "integration_transformation.test_cases.json_object" CHECK (test_cases IS NULL OR CASE WHEN json_valid(test_cases) THEN json_type(test_cases) = 'object' ELSE 0 END),  -- {"cases": [{"name", "input", "expected"}]}
  organization_id INTEGER DEFAULT 1 REFERENCES organization(id),  -- NULL: for everybody
  version INTEGER NOT NULL DEFAULT 1 CONSTRAINT "integration_transformation.version.range" CHECK (version >= 1),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE UNIQUE INDEX integration_transformation_name ON integration_transformation(COALESCE(organization_id, 0), transformation_name);
CREATE INDEX integration_transformation_organization ON integration_transformation(organization_id);
CREATE INDEX integration_transformation_reusable ON integration_transformation(transformation_type) WHERE is_reusable = 1;

-- The data layer raises the version with every change; nobody takes it back.
CREATE TRIGGER integration_transformation_version_bi BEFORE INSERT ON integration_transformation BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|integration_transformation|version|order|A version never goes down.') FROM integration_transformation WHERE id = NEW.id AND version > ifnull(NEW.version, 1);
END;
CREATE TRIGGER integration_transformation_version_bu BEFORE UPDATE OF version ON integration_transformation WHEN ifnull(NEW.version, 1) < OLD.version BEGIN
  SELECT RAISE(ABORT, 'EK|integration_transformation|version|order|A version never goes down.');
END;

-- One row is one try of a transformation's example. Rows are only added.
CREATE TABLE integration_transformation_run (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  transformation_id INTEGER NOT NULL REFERENCES integration_transformation(id),
  transformation_version INTEGER NOT NULL CONSTRAINT "integration_transformation_run.transformation_version.range" CHECK (transformation_version >= 1),
  case_name TEXT NOT NULL CONSTRAINT "integration_transformation_run.case_name.length" CHECK (length(case_name) BETWEEN 1 AND 100),
  test_status TEXT NOT NULL CONSTRAINT "integration_transformation_run.test_status.choice" CHECK (test_status IN ('passed', 'failed', 'skipped')),  -- passed: as expected; failed: not as expected; skipped: not tried on purpose
  actual_output TEXT CONSTRAINT "integration_transformation_run.actual_output.json_object" CHECK (actual_output IS NULL OR CASE WHEN json_valid(actual_output) THEN json_type(actual_output) = 'object' ELSE 0 END),  -- {"output": …}
  execution_time_ms INTEGER CONSTRAINT "integration_transformation_run.execution_time_ms.range" CHECK (execution_time_ms >= 0),
  error_message TEXT,
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX integration_transformation_run_transformation ON integration_transformation_run(transformation_id, case_name);

-- One row is one version of a reusable integration.
CREATE TABLE integration_template (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE CONSTRAINT "integration_template.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  template_name TEXT NOT NULL CONSTRAINT "integration_template.template_name.length" CHECK (length(template_name) BETWEEN 1 AND 100),
  description TEXT,
  integration_type_id INTEGER NOT NULL REFERENCES integration_type(id),
  template_category_id INTEGER NOT NULL REFERENCES template_category(id),
  version TEXT NOT NULL CONSTRAINT "integration_template.version.length" CHECK (length(version) BETWEEN 1 AND 20),
  is_certified INTEGER NOT NULL DEFAULT 0 CONSTRAINT "integration_template.is_certified.boolean" CHECK (is_certified IN (0, 1)),
  certification_date TEXT CONSTRAINT "integration_template.certification_date.date" CHECK (certification_date IS NULL OR date(certification_date, '+0 days') IS certification_date),
  certified_by INTEGER REFERENCES user(id),
  connection_template TEXT NOT NULL CONSTRAINT "integration_template.connection_template.json_object" CHECK (CASE WHEN json_valid(connection_template) THEN json_type(connection_template) = 'object' ELSE 0 END),
  mapping_templates TEXT NOT NULL CONSTRAINT "integration_template.mapping_templates.json_object" CHECK (CASE WHEN json_valid(mapping_templates) THEN json_type(mapping_templates) = 'object' ELSE 0 END),  -- {"mappings": [{"name", "source_path", "target_path", …}]}
  pipeline_template TEXT CONSTRAINT "integration_template.pipeline_template.json_object" CHECK (pipeline_template IS NULL OR CASE WHEN json_valid(pipeline_template) THEN json_type(pipeline_template) = 'object' ELSE 0 END),  -- steps, error handling, dead letters, performance of the instance
  transformation_library TEXT CONSTRAINT "integration_template.transformation_library.json_object" CHECK (transformation_library IS NULL OR CASE WHEN json_valid(transformation_library) THEN json_type(transformation_library) = 'object' ELSE 0 END),
  test_suite TEXT CONSTRAINT "integration_template.test_suite.json_object" CHECK (test_suite IS NULL OR CASE WHEN json_valid(test_suite) THEN json_type(test_suite) = 'object' ELSE 0 END),
  renames TEXT CONSTRAINT "integration_template.renames.json_object" CHECK (renames IS NULL OR CASE WHEN json_valid(renames) THEN json_type(renames) = 'object' ELSE 0 END),  -- {"settings": {"old": "new"}, "mappings": {…}}: what the version before called otherwise
  rate_limits TEXT CONSTRAINT "integration_template.rate_limits.json_object" CHECK (rate_limits IS NULL OR CASE WHEN json_valid(rate_limits) THEN json_type(rate_limits) = 'object' ELSE 0 END),
  documentation_url TEXT CONSTRAINT "integration_template.documentation_url.length" CHECK (length(documentation_url) <= 500),
  organization_id INTEGER REFERENCES organization(id),  -- NULL: for everybody
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "integration_template.certification_date.required" CHECK (is_certified = 0 OR certification_date IS NOT NULL),
  CONSTRAINT "integration_template.certified_by.required" CHECK (is_certified = 0 OR certified_by IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX integration_template_version ON integration_template(code, version, COALESCE(organization_id, 0));
CREATE UNIQUE INDEX integration_template_name ON integration_template(template_name, version, COALESCE(organization_id, 0));
CREATE INDEX integration_template_certified_by ON integration_template(certified_by);
CREATE INDEX integration_template_mapping_count ON integration_template(json_array_length(mapping_templates, '$.mappings'));
CREATE INDEX integration_template_integration_type ON integration_template(integration_type_id);
CREATE INDEX integration_template_template_category ON integration_template(template_category_id);
CREATE INDEX integration_template_organization ON integration_template(organization_id);
CREATE INDEX integration_template_active ON integration_template(template_category_id) WHERE status_id = 1;

CREATE TRIGGER integration_template_connection_template_secret_bi BEFORE INSERT ON integration_template WHEN json_valid(NEW.connection_template) BEGIN
  SELECT RAISE(ABORT, 'EK|integration_template|connection_template|secret|A setting is named like a secret. Secrets belong in the vault: edgekit vault set INTEGRATION KEY.')
  FROM json_tree(NEW.connection_template) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*')
    AND NOT (fullkey IN ('$.auth.secret', '$.to.auth.secret', '$.verify.secret') AND type = 'text' AND length(atom) <= 50 AND atom GLOB '[A-Za-z]*' AND atom NOT GLOB '*[^A-Za-z0-9_]*');  -- the key of a secret in the vault
END;

CREATE TRIGGER integration_template_connection_template_secret_bu BEFORE UPDATE OF connection_template ON integration_template WHEN json_valid(NEW.connection_template) BEGIN
  SELECT RAISE(ABORT, 'EK|integration_template|connection_template|secret|A setting is named like a secret. Secrets belong in the vault: edgekit vault set INTEGRATION KEY.')
  FROM json_tree(NEW.connection_template) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*')
    AND NOT (fullkey IN ('$.auth.secret', '$.to.auth.secret', '$.verify.secret') AND type = 'text' AND length(atom) <= 50 AND atom GLOB '[A-Za-z]*' AND atom NOT GLOB '*[^A-Za-z0-9_]*');  -- the key of a secret in the vault
END;

CREATE TRIGGER integration_template_mappings_bi BEFORE INSERT ON integration_template WHEN json_valid(NEW.mapping_templates) BEGIN
  SELECT CASE WHEN json_type(NEW.mapping_templates) = 'array' THEN RAISE(ABORT, 'EK|integration_template|mapping_templates|json_object|integration_template.mapping_templates must be a JSON object; wrap the list: {"mappings": […]}.')
    ELSE RAISE(ABORT, 'EK|integration_template|mapping_templates|shape|integration_template.mapping_templates holds a list of objects: {"mappings": [{…}, …]}.') END
  WHERE CASE json_type(NEW.mapping_templates) WHEN 'array' THEN 1 WHEN 'object' THEN json_type(NEW.mapping_templates, '$.mappings') IS NOT 'array'
    OR EXISTS (SELECT 1 FROM json_each(NEW.mapping_templates, '$.mappings') WHERE type <> 'object') ELSE 0 END;
END;
CREATE TRIGGER integration_template_mappings_bu BEFORE UPDATE OF mapping_templates ON integration_template WHEN json_valid(NEW.mapping_templates) BEGIN
  SELECT CASE WHEN json_type(NEW.mapping_templates) = 'array' THEN RAISE(ABORT, 'EK|integration_template|mapping_templates|json_object|integration_template.mapping_templates must be a JSON object; wrap the list: {"mappings": […]}.')
    ELSE RAISE(ABORT, 'EK|integration_template|mapping_templates|shape|integration_template.mapping_templates holds a list of objects: {"mappings": [{…}, …]}.') END
  WHERE CASE json_type(NEW.mapping_templates) WHEN 'array' THEN 1 WHEN 'object' THEN json_type(NEW.mapping_templates, '$.mappings') IS NOT 'array'
    OR EXISTS (SELECT 1 FROM json_each(NEW.mapping_templates, '$.mappings') WHERE type <> 'object') ELSE 0 END;
END;

-- Whoever made something from a version, or decided on it, finds it as it was: what was certified once is not made other and certified again.
CREATE TRIGGER integration_template_pinned_bi BEFORE INSERT ON integration_template BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|integration_template|version|pinned|A version that is or was certified, or that integrations were made from, stays as it is. Make a new version.')
  FROM integration_template o WHERE id = NEW.id AND (EXISTS (SELECT 1 FROM approval WHERE template_id = o.id) OR EXISTS (SELECT 1 FROM integration_template_instance WHERE template_id = o.id))
    AND (o.code, o.version, o.connection_template, o.mapping_templates, o.pipeline_template, o.transformation_library, o.test_suite, o.renames, o.rate_limits, o.integration_type_id)
     IS NOT (NEW.code, NEW.version, NEW.connection_template, NEW.mapping_templates, NEW.pipeline_template, NEW.transformation_library, NEW.test_suite, NEW.renames, NEW.rate_limits, NEW.integration_type_id);
END;
CREATE TRIGGER integration_template_pinned_bu BEFORE UPDATE ON integration_template
WHEN (OLD.code, OLD.version, OLD.connection_template, OLD.mapping_templates, OLD.pipeline_template, OLD.transformation_library, OLD.test_suite, OLD.renames, OLD.rate_limits, OLD.integration_type_id)
  IS NOT (NEW.code, NEW.version, NEW.connection_template, NEW.mapping_templates, NEW.pipeline_template, NEW.transformation_library, NEW.test_suite, NEW.renames, NEW.rate_limits, NEW.integration_type_id) BEGIN
  SELECT RAISE(ABORT, 'EK|integration_template|version|pinned|A version that is or was certified, or that integrations were made from, stays as it is. Make a new version.')
  WHERE EXISTS (SELECT 1 FROM approval WHERE template_id = OLD.id) OR EXISTS (SELECT 1 FROM integration_template_instance WHERE template_id = OLD.id);
END;

-- One row is a mapping a template brings, read out of it.
CREATE VIEW integration_template_mapping AS
SELECT t.id AS template_id, m.key + 1 AS mapping_order, m.value ->> '$.name' AS mapping_name, m.value ->> '$.source_path' AS source_path,
  m.value ->> '$.target_path' AS target_path, m.value AS definition, t.organization_id, t.status_id
FROM integration_template t, json_each(t.mapping_templates, '$.mappings') m;

-- One row is something to have ready before a template is used.
CREATE TABLE integration_template_prerequisite (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  template_id INTEGER NOT NULL REFERENCES integration_template(id),
  prerequisite TEXT NOT NULL CONSTRAINT "integration_template_prerequisite.prerequisite.length" CHECK (length(prerequisite) BETWEEN 1 AND 500),
  sort_order INTEGER NOT NULL DEFAULT 0,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "integration_template_prerequisite.prerequisite.unique" UNIQUE (template_id, prerequisite)
) STRICT;

-- One row says that a template supports an operation.
CREATE TABLE integration_template_operation (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  template_id INTEGER NOT NULL REFERENCES integration_template(id),
  operation TEXT NOT NULL CONSTRAINT "integration_template_operation.operation.choice" CHECK (operation IN ('create', 'read', 'update', 'delete')),  -- create: adds records on the other side; read: takes them over; update: changes them there; delete: removes them there
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "integration_template_operation.operation.unique" UNIQUE (template_id, operation)
) STRICT;

-- One row is somebody's decision on one version of a mapping or a template. Rows are only added.
CREATE TABLE approval (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  mapping_id INTEGER REFERENCES integration_mapping(id),
  template_id INTEGER REFERENCES integration_template(id),
  subject_version TEXT NOT NULL CONSTRAINT "approval.subject_version.length" CHECK (length(subject_version) BETWEEN 1 AND 20),  -- the version it is given for; a later one needs its own
  approval_kind TEXT NOT NULL CONSTRAINT "approval.approval_kind.choice" CHECK (approval_kind IN ('technical_review', 'data_owner', 'security_validation', 'testing_sign_off', 'certification')),  -- technical_review: it is made well; data_owner: the data may be used so; security_validation: nothing leaks; testing_sign_off: its tests suffice; certification: a template may be recommended
  decision TEXT NOT NULL CONSTRAINT "approval.decision.choice" CHECK (decision IN ('approved', 'rejected')),  -- approved: may go live; rejected: may not
  decided_by INTEGER NOT NULL REFERENCES user(id),
  decided_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CONSTRAINT "approval.decided_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', decided_at, '+0 days') IS decided_at),
  note TEXT,  -- the evidence, or why not
  CONSTRAINT "approval.mapping_id.required" CHECK ((mapping_id IS NULL) <> (template_id IS NULL)),
  CONSTRAINT "approval.template_id.required" CHECK (approval_kind <> 'certification' OR template_id IS NOT NULL)
) STRICT;
CREATE INDEX approval_mapping ON approval(mapping_id, approval_kind);
CREATE INDEX approval_template ON approval(template_id, approval_kind);
CREATE INDEX approval_decided_by ON approval(decided_by);

-- Nobody approves in advance what is not written yet.
CREATE TRIGGER approval_version_bi BEFORE INSERT ON approval WHEN length(NEW.subject_version) BETWEEN 1 AND 20 BEGIN
  SELECT RAISE(ABORT, 'EK|approval|subject_version|version|An approval is given for a version that exists.')
  FROM integration_mapping WHERE id = NEW.mapping_id
    AND NOT (CAST(NEW.subject_version AS INTEGER) BETWEEN 1 AND version AND CAST(CAST(NEW.subject_version AS INTEGER) AS TEXT) = NEW.subject_version);
  SELECT RAISE(ABORT, 'EK|approval|subject_version|version|An approval is given for a version that exists.')
  FROM integration_template WHERE id = NEW.template_id AND version IS NOT NEW.subject_version;
END;

-- One row says which template version an integration was made from.
CREATE TABLE integration_template_instance (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  template_id INTEGER NOT NULL REFERENCES integration_template(id),
  integration_id INTEGER NOT NULL REFERENCES integration(id),
  instance_name TEXT NOT NULL CONSTRAINT "integration_template_instance.instance_name.length" CHECK (length(instance_name) BETWEEN 1 AND 100),
  customizations TEXT CONSTRAINT "integration_template_instance.customizations.json_object" CHECK (customizations IS NULL OR CASE WHEN json_valid(customizations) THEN json_type(customizations) = 'object' ELSE 0 END),
  deployment_status TEXT NOT NULL DEFAULT 'draft' CONSTRAINT "integration_template_instance.deployment_status.choice" CHECK (deployment_status IN ('draft', 'testing', 'active', 'deprecated')),  -- draft: being set up; testing: on trial; active: live; deprecated: on its way out
  deployed_at TEXT CONSTRAINT "integration_template_instance.deployed_at.time" CHECK (deployed_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', deployed_at, '+0 days') IS deployed_at),
  deployed_by INTEGER REFERENCES user(id),
  organization_id INTEGER DEFAULT 1 REFERENCES organization(id),  -- as its integration's
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "integration_template_instance.deployed_at.required" CHECK (deployment_status <> 'active' OR deployed_at IS NOT NULL),
  CONSTRAINT "integration_template_instance.integration_id.unique" UNIQUE (integration_id)
) STRICT;
CREATE INDEX integration_template_instance_template ON integration_template_instance(template_id);
CREATE INDEX integration_template_instance_deployed_by ON integration_template_instance(deployed_by);
CREATE INDEX integration_template_instance_organization ON integration_template_instance(organization_id);

CREATE TRIGGER integration_template_instance_organization_bi BEFORE INSERT ON integration_template_instance BEGIN
  SELECT RAISE(ABORT, 'EK|integration_template_instance|organization_id|organization|A row belongs to the organization of its integration.')
  FROM integration WHERE id = NEW.integration_id AND organization_id IS NOT NEW.organization_id;
END;
CREATE TRIGGER integration_template_instance_organization_bu BEFORE UPDATE OF integration_id, organization_id ON integration_template_instance BEGIN
  SELECT RAISE(ABORT, 'EK|integration_template_instance|organization_id|organization|A row belongs to the organization of its integration.')
  FROM integration WHERE id = NEW.integration_id AND organization_id IS NOT NEW.organization_id;
END;

CREATE TRIGGER integration_template_instance_state_bi BEFORE INSERT ON integration_template_instance BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|integration_template_instance|deployment_status|transition|An instance goes from draft to testing to active to deprecated, never back.')
  FROM integration_template_instance WHERE (id = NEW.id OR integration_id = NEW.integration_id) AND deployment_status IS NOT ifnull(NEW.deployment_status, 'draft')
    AND deployment_status || '>' || ifnull(NEW.deployment_status, 'draft') NOT IN ('draft>testing', 'draft>active', 'testing>active', 'draft>deprecated', 'testing>deprecated', 'active>deprecated');
END;
CREATE TRIGGER integration_template_instance_state_bu BEFORE UPDATE OF deployment_status ON integration_template_instance
WHEN OLD.deployment_status <> ifnull(NEW.deployment_status, 'draft')
  AND OLD.deployment_status || '>' || ifnull(NEW.deployment_status, 'draft') NOT IN ('draft>testing', 'draft>active', 'testing>active', 'draft>deprecated', 'testing>deprecated', 'active>deprecated') BEGIN
  SELECT RAISE(ABORT, 'EK|integration_template_instance|deployment_status|transition|An instance goes from draft to testing to active to deprecated, never back.');
END;

-- What belongs to an integration carries its organization: the integration cannot leave it behind.
CREATE TRIGGER integration_organization_bi BEFORE INSERT ON integration BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|integration|organization_id|organization|An integration that has mappings, a pipeline or a template stays in its organization.')
  WHERE EXISTS (SELECT 1 FROM integration_mapping WHERE integration_id = NEW.id AND organization_id IS NOT NEW.organization_id)
    OR EXISTS (SELECT 1 FROM integration_pipeline_definition WHERE integration_id = NEW.id AND organization_id IS NOT NEW.organization_id)
    OR EXISTS (SELECT 1 FROM integration_template_instance WHERE integration_id = NEW.id AND organization_id IS NOT NEW.organization_id);
END;
CREATE TRIGGER integration_organization_bu BEFORE UPDATE OF organization_id ON integration WHEN NEW.organization_id IS NOT OLD.organization_id BEGIN
  SELECT RAISE(ABORT, 'EK|integration|organization_id|organization|An integration that has mappings, a pipeline or a template stays in its organization.')
  WHERE EXISTS (SELECT 1 FROM integration_mapping WHERE integration_id = NEW.id AND organization_id IS NOT NEW.organization_id)
    OR EXISTS (SELECT 1 FROM integration_pipeline_definition WHERE integration_id = NEW.id AND organization_id IS NOT NEW.organization_id)
    OR EXISTS (SELECT 1 FROM integration_template_instance WHERE integration_id = NEW.id AND organization_id IS NOT NEW.organization_id);
END;
