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
CREATE TABLE encryption_key_new (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "encryption_key.uuid.length" CHECK (length(uuid) = 36),  -- binds the wrapped key to this row
  purpose TEXT NOT NULL DEFAULT 'data' CONSTRAINT "encryption_key.purpose.choice" CHECK (purpose IN ('data', 'signing', 'lookup')),  -- data: seals the *_ciphertext columns; signing: signs the seals of the audit log; lookup: keys the hashes a sealed value is found by
  wrapped_key_ciphertext BLOB NOT NULL CONSTRAINT "encryption_key.wrapped_key_ciphertext.length" CHECK (length(wrapped_key_ciphertext) BETWEEN 65 AND 1024),
  master_fingerprint TEXT NOT NULL CONSTRAINT "encryption_key.master_fingerprint.length" CHECK (length(master_fingerprint) BETWEEN 9 AND 50),  -- the name of the master key that opens it
  kdf TEXT CONSTRAINT "encryption_key.kdf.json_object" CHECK (kdf IS NULL OR CASE WHEN json_valid(kdf) THEN json_type(kdf) = 'object' ELSE 0 END),  -- how a passphrase becomes the master key; NULL: the master key is random
  activated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CONSTRAINT "encryption_key.activated_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', activated_at, '+0 days') IS activated_at),
  retired_at TEXT CONSTRAINT "encryption_key.retired_at.time" CHECK (retired_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', retired_at, '+0 days') IS retired_at),  -- NULL: seals what is written now
  recovery_kit_at TEXT CONSTRAINT "encryption_key.recovery_kit_at.time" CHECK (recovery_kit_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', recovery_kit_at, '+0 days') IS recovery_kit_at),  -- when the newest recovery kit that opens it was made; NULL: none does
  drilled_at TEXT CONSTRAINT "encryption_key.drilled_at.time" CHECK (drilled_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', drilled_at, '+0 days') IS drilled_at),  -- when a recovery kit last proved that it opens it
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "encryption_key.retired_at.order" CHECK (retired_at IS NULL OR retired_at >= activated_at)
) STRICT;
INSERT INTO encryption_key_new(id, uuid, purpose, wrapped_key_ciphertext, master_fingerprint, kdf, activated_at, retired_at, status_id, created_by, updated_by, created_at, updated_at)
  SELECT id, uuid, purpose, wrapped_key_ciphertext, master_fingerprint, kdf, activated_at, retired_at, status_id, created_by, updated_by, created_at, updated_at FROM encryption_key;
DROP TABLE encryption_key;
ALTER TABLE encryption_key_new RENAME TO encryption_key;
CREATE UNIQUE INDEX encryption_key_active ON encryption_key(purpose) WHERE retired_at IS NULL;
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
