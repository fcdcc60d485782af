-- Scope, configuration, licensing, vault and access: what the words of schema 3 needed once they were at work.

CREATE TABLE system_new (
  id INTEGER PRIMARY KEY CONSTRAINT "system.id.single" CHECK (id = 1),
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "system.uuid.length" CHECK (length(uuid) = 36),
  name TEXT NOT NULL CONSTRAINT "system.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  environment_id INTEGER NOT NULL REFERENCES environment(id),
  durability TEXT NOT NULL DEFAULT 'normal' CONSTRAINT "system.durability.choice" CHECK (durability IN ('normal', 'full')),  -- normal: a power cut may cost the last commits, never the file; full: every commit survives a power cut
  log_retention_years INTEGER CONSTRAINT "system.log_retention_years.range" CHECK (log_retention_years BETWEEN 0 AND 100),  -- calendar years of the log a prune keeps besides this one; NULL: say so each time
  clock_at TEXT CONSTRAINT "system.clock_at.time" CHECK (clock_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', clock_at, '+0 days') IS clock_at),  -- the latest time this file has seen, within an hour: licences are judged no earlier; NULL: it has none
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
INSERT INTO system_new(id, uuid, name, environment_id, durability, log_retention_years, status_id, created_by, updated_by, created_at, updated_at)
  SELECT id, uuid, name, environment_id, durability, log_retention_years, status_id, created_by, updated_by, created_at, updated_at FROM system;
DROP TABLE system;
ALTER TABLE system_new RENAME TO system;
CREATE INDEX system_environment ON system(environment_id);
DROP INDEX configuration_configuration_type;
CREATE INDEX configuration_configuration_type ON configuration(configuration_type_id, scope_type_id, scope_id, organization_id);
CREATE TABLE client_summary (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  client_id INTEGER NOT NULL UNIQUE REFERENCES client(id) ON DELETE CASCADE,
  active_modules INTEGER NOT NULL CONSTRAINT "client_summary.active_modules.range" CHECK (active_modules >= 0),
  configured_apps INTEGER NOT NULL CONSTRAINT "client_summary.configured_apps.range" CHECK (configured_apps >= 0),
  current_workflow TEXT,  -- the one that runs, else the newest that waits
  workflow_status TEXT,
  current_step TEXT,
  handover_package TEXT,  -- the newest on its way
  delivery_status TEXT,
  system_configurations INTEGER NOT NULL CONSTRAINT "client_summary.system_configurations.range" CHECK (system_configurations >= 0),
  deployment_configurations INTEGER NOT NULL CONSTRAINT "client_summary.deployment_configurations.range" CHECK (deployment_configurations >= 0),
  subscription_tier TEXT,
  subscription_status TEXT,
  changed_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CONSTRAINT "client_summary.changed_at.time" CHECK (changed_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', changed_at, '+0 days') IS changed_at)  -- when a refresh last found something else
) STRICT;

-- Rows:
-- What features are for one user is set as any configuration is.
INSERT INTO configuration_type(code, name, description, schema_definition, applies_to_user)
SELECT 'FEATURE_OVERRIDES', 'Feature Overrides', 'What features are for one user, by feature code: on, off, or a feature value',
  '{"type":"object","additionalProperties":{"anyOf":[{"type":"boolean"},{"type":"object","properties":{"enabled":{"type":"boolean"},"value":{},"settings":{"type":"object"}},"additionalProperties":false}]}}', 1
WHERE NOT EXISTS (SELECT 1 FROM configuration_type WHERE code = 'FEATURE_OVERRIDES');
