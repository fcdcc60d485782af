-- Integrations: what can be connected, how its fields become ours, and the secrets it needs.
-- An integration is data: template, then integration, then mappings and pipeline.

-- One row is a kind of integration that exists for everybody.
CREATE TABLE integration_type (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "integration_type.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "integration_type.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  is_default INTEGER NOT NULL DEFAULT 0 CONSTRAINT "integration_type.is_default.boolean" CHECK (is_default IN (0, 1)),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE UNIQUE INDEX integration_type_default ON integration_type(is_default) WHERE is_default = 1;

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
  connection_config TEXT NOT NULL CONSTRAINT "integration.connection_config.json_object" CHECK (CASE WHEN json_valid(connection_config) THEN json_type(connection_config) = 'object' ELSE 0 END),  -- the connector's settings, and `table`, `key`, `create` of the target
  health_status TEXT CONSTRAINT "integration.health_status.choice" CHECK (health_status IN ('healthy', 'degraded', 'unhealthy')),  -- healthy: the other side answers as it should; degraded: it answers late or only in part; unhealthy: it does not answer; NULL: not known
  last_health_check_at TEXT CONSTRAINT "integration.last_health_check_at.time" CHECK (last_health_check_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', last_health_check_at, '+0 days') IS last_health_check_at),
  version INTEGER NOT NULL DEFAULT 1 CONSTRAINT "integration.version.range" CHECK (version >= 1),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE UNIQUE INDEX integration_name ON integration(COALESCE(organization_id, 0), integration_name);
CREATE UNIQUE INDEX integration_entity ON integration(entity_id);
CREATE INDEX integration_integration_type ON integration(integration_type_id);
CREATE INDEX integration_organization ON integration(organization_id);

-- The data layer raises the version with every change; nobody takes it back.
CREATE TRIGGER integration_version_bi BEFORE INSERT ON integration BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|integration|version|order|A version never goes down.') FROM integration WHERE id = NEW.id AND version > NEW.version;
END;
CREATE TRIGGER integration_version_bu BEFORE UPDATE OF version ON integration WHEN NEW.version < OLD.version BEGIN
  SELECT RAISE(ABORT, 'EK|integration|version|order|A version never goes down.');
END;

CREATE TRIGGER integration_connection_config_secret_bi BEFORE INSERT ON integration WHEN NEW.connection_config IS NOT NULL AND json_valid(NEW.connection_config) BEGIN
  SELECT RAISE(ABORT, 'EK|integration|connection_config|secret|A setting is named like a secret. Secrets belong in the vault: edgekit vault set INTEGRATION KEY.')
  FROM json_tree(NEW.connection_config) WHERE lower(replace(replace(key, '-', ''), '_', '')) IN
    ('password', 'passwd', 'apikey', 'token', 'accesstoken', 'refreshtoken', 'clientsecret', 'privatekey', 'authorization', 'bearer', 'xapikey')
    AND type IN ('text', 'integer', 'real');
END;

CREATE TRIGGER integration_connection_config_secret_bu BEFORE UPDATE OF connection_config ON integration WHEN NEW.connection_config IS NOT NULL AND json_valid(NEW.connection_config) BEGIN
  SELECT RAISE(ABORT, 'EK|integration|connection_config|secret|A setting is named like a secret. Secrets belong in the vault: edgekit vault set INTEGRATION KEY.')
  FROM json_tree(NEW.connection_config) WHERE lower(replace(replace(key, '-', ''), '_', '')) IN
    ('password', 'passwd', 'apikey', 'token', 'accesstoken', 'refreshtoken', 'clientsecret', 'privatekey', 'authorization', 'bearer', 'xapikey')
    AND type IN ('text', 'integer', 'real');
END;

-- One row is a secret of an integration in an environment, sealed by the vault.
CREATE TABLE integration_credential (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "integration_credential.uuid.length" CHECK (length(uuid) = 36),  -- binds the ciphertext to this row
  integration_id INTEGER NOT NULL REFERENCES integration(id),
  environment_id INTEGER NOT NULL REFERENCES environment(id),
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
  mapping_direction TEXT NOT NULL DEFAULT 'inbound' CONSTRAINT "integration_mapping.mapping_direction.choice" CHECK (mapping_direction IN ('inbound', 'outbound', 'bidirectional')),  -- inbound: from the source to us; outbound: from us to the other side; bidirectional: both ways
  error_handling TEXT NOT NULL DEFAULT 'fail' CONSTRAINT "integration_mapping.error_handling.choice" CHECK (error_handling IN ('fail', 'skip', 'default', 'null')),  -- fail: reject the record; skip: leave the field out; default: write the default; null: write null
  mapping_notes TEXT,
  test_coverage REAL CONSTRAINT "integration_mapping.test_coverage.range" CHECK (test_coverage BETWEEN 0 AND 100),  -- per cent
  version INTEGER NOT NULL DEFAULT 1 CONSTRAINT "integration_mapping.version.range" CHECK (version >= 1),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "integration_mapping.target_path.unique" UNIQUE (integration_id, mapping_direction, target_path)
) STRICT;
CREATE INDEX integration_mapping_active ON integration_mapping(integration_id) WHERE status_id = 1;

-- The data layer raises the version with every change; nobody takes it back.
CREATE TRIGGER integration_mapping_version_bi BEFORE INSERT ON integration_mapping BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|integration_mapping|version|order|A version never goes down.') FROM integration_mapping WHERE id = NEW.id AND version > NEW.version;
END;
CREATE TRIGGER integration_mapping_version_bu BEFORE UPDATE OF version ON integration_mapping WHEN NEW.version < OLD.version BEGIN
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

-- One row is the way a record takes through an integration, and what becomes of a bad one.
CREATE TABLE integration_pipeline_definition (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  pipeline_name TEXT NOT NULL CONSTRAINT "integration_pipeline_definition.pipeline_name.length" CHECK (length(pipeline_name) BETWEEN 1 AND 100),
  description TEXT,
  integration_id INTEGER NOT NULL REFERENCES integration(id),
  pipeline_type TEXT NOT NULL DEFAULT 'linear' CONSTRAINT "integration_pipeline_definition.pipeline_type.choice" CHECK (pipeline_type IN ('linear', 'conditional', 'parallel', 'hybrid')),  -- linear: one step after the other; conditional: steps that run only for some records; parallel: steps that do not wait for each other; hybrid: both of these
  pipeline_steps TEXT NOT NULL CONSTRAINT "integration_pipeline_definition.pipeline_steps.json_object" CHECK (CASE WHEN json_valid(pipeline_steps) THEN json_type(pipeline_steps) = 'object' ELSE 0 END),  -- {"steps": [{"name", "type": "validate" | "map", "schema"?}]}
  error_handling_strategy TEXT NOT NULL DEFAULT 'dead_letter' CONSTRAINT "integration_pipeline_definition.error_handling_strategy.choice" CHECK (error_handling_strategy IN ('fail_fast', 'continue_on_error', 'dead_letter', 'retry')),  -- fail_fast: the first bad record fails the run; continue_on_error: count it and go on; dead_letter: keep it for replay and go on; retry: try it again, then keep it
  dead_letter_config TEXT CONSTRAINT "integration_pipeline_definition.dead_letter_config.json_object" CHECK (dead_letter_config IS NULL OR CASE WHEN json_valid(dead_letter_config) THEN json_type(dead_letter_config) = 'object' ELSE 0 END),  -- {"max_count", "max_percent"}: over either the run fails
  performance_config TEXT CONSTRAINT "integration_pipeline_definition.performance_config.json_object" CHECK (performance_config IS NULL OR CASE WHEN json_valid(performance_config) THEN json_type(performance_config) = 'object' ELSE 0 END),  -- {"batch_size"}
  monitoring_config TEXT CONSTRAINT "integration_pipeline_definition.monitoring_config.json_object" CHECK (monitoring_config IS NULL OR CASE WHEN json_valid(monitoring_config) THEN json_type(monitoring_config) = 'object' ELSE 0 END),
  version INTEGER NOT NULL DEFAULT 1 CONSTRAINT "integration_pipeline_definition.version.range" CHECK (version >= 1),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE UNIQUE INDEX integration_pipeline_definition_active ON integration_pipeline_definition(integration_id) WHERE status_id = 1;
CREATE INDEX integration_pipeline_definition_integration ON integration_pipeline_definition(integration_id);

-- The data layer raises the version with every change; nobody takes it back.
CREATE TRIGGER integration_pipeline_definition_version_bi BEFORE INSERT ON integration_pipeline_definition BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|integration_pipeline_definition|version|order|A version never goes down.') FROM integration_pipeline_definition WHERE id = NEW.id AND version > NEW.version;
END;
CREATE TRIGGER integration_pipeline_definition_version_bu BEFORE UPDATE OF version ON integration_pipeline_definition WHEN NEW.version < OLD.version BEGIN
  SELECT RAISE(ABORT, 'EK|integration_pipeline_definition|version|order|A version never goes down.');
END;

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
  connection_template TEXT NOT NULL CONSTRAINT "integration_template.connection_template.json_object" CHECK (CASE WHEN json_valid(connection_template) THEN json_type(connection_template) = 'object' ELSE 0 END),
  mapping_templates TEXT NOT NULL CONSTRAINT "integration_template.mapping_templates.json_object" CHECK (CASE WHEN json_valid(mapping_templates) THEN json_type(mapping_templates) = 'object' ELSE 0 END),  -- {"mappings": [{"name", "source_path", "target_path", …}]}
  pipeline_template TEXT CONSTRAINT "integration_template.pipeline_template.json_object" CHECK (pipeline_template IS NULL OR CASE WHEN json_valid(pipeline_template) THEN json_type(pipeline_template) = 'object' ELSE 0 END),  -- steps, error handling, dead letters, performance of the instance
  transformation_library TEXT CONSTRAINT "integration_template.transformation_library.json_object" CHECK (transformation_library IS NULL OR CASE WHEN json_valid(transformation_library) THEN json_type(transformation_library) = 'object' ELSE 0 END),
  test_suite TEXT CONSTRAINT "integration_template.test_suite.json_object" CHECK (test_suite IS NULL OR CASE WHEN json_valid(test_suite) THEN json_type(test_suite) = 'object' ELSE 0 END),
  rate_limits TEXT CONSTRAINT "integration_template.rate_limits.json_object" CHECK (rate_limits IS NULL OR CASE WHEN json_valid(rate_limits) THEN json_type(rate_limits) = 'object' ELSE 0 END),
  documentation_url TEXT CONSTRAINT "integration_template.documentation_url.length" CHECK (length(documentation_url) <= 500),
  organization_id INTEGER REFERENCES organization(id),  -- NULL: for everybody
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "integration_template.certification_date.required" CHECK (is_certified = 0 OR certification_date IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX integration_template_version ON integration_template(code, version, COALESCE(organization_id, 0));
CREATE INDEX integration_template_integration_type ON integration_template(integration_type_id);
CREATE INDEX integration_template_template_category ON integration_template(template_category_id);
CREATE INDEX integration_template_organization ON integration_template(organization_id);

CREATE TRIGGER integration_template_connection_template_secret_bi BEFORE INSERT ON integration_template WHEN NEW.connection_template IS NOT NULL AND json_valid(NEW.connection_template) BEGIN
  SELECT RAISE(ABORT, 'EK|integration_template|connection_template|secret|A setting is named like a secret. Secrets belong in the vault: edgekit vault set INTEGRATION KEY.')
  FROM json_tree(NEW.connection_template) WHERE lower(replace(replace(key, '-', ''), '_', '')) IN
    ('password', 'passwd', 'apikey', 'token', 'accesstoken', 'refreshtoken', 'clientsecret', 'privatekey', 'authorization', 'bearer', 'xapikey')
    AND type IN ('text', 'integer', 'real');
END;

CREATE TRIGGER integration_template_connection_template_secret_bu BEFORE UPDATE OF connection_template ON integration_template WHEN NEW.connection_template IS NOT NULL AND json_valid(NEW.connection_template) BEGIN
  SELECT RAISE(ABORT, 'EK|integration_template|connection_template|secret|A setting is named like a secret. Secrets belong in the vault: edgekit vault set INTEGRATION KEY.')
  FROM json_tree(NEW.connection_template) WHERE lower(replace(replace(key, '-', ''), '_', '')) IN
    ('password', 'passwd', 'apikey', 'token', 'accesstoken', 'refreshtoken', 'clientsecret', 'privatekey', 'authorization', 'bearer', 'xapikey')
    AND type IN ('text', 'integer', 'real');
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
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "integration_template_instance.integration_id.unique" UNIQUE (integration_id)
) STRICT;
CREATE INDEX integration_template_instance_template ON integration_template_instance(template_id);
CREATE INDEX integration_template_instance_deployed_by ON integration_template_instance(deployed_by);
