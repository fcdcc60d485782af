-- The whole schema: every table of every word. What was there keeps its rows; a table with new columns or rules is rebuilt.

CREATE TABLE system_new (
  id INTEGER PRIMARY KEY CONSTRAINT "system.id.single" CHECK (id = 1),
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "system.uuid.length" CHECK (length(uuid) = 36),
  name TEXT NOT NULL CONSTRAINT "system.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  environment_id INTEGER NOT NULL REFERENCES environment(id),
  durability TEXT NOT NULL DEFAULT 'normal' CONSTRAINT "system.durability.choice" CHECK (durability IN ('normal', 'full')),  -- normal: a power cut may cost the last commits, never the file; full: every commit survives a power cut
  log_retention_years INTEGER CONSTRAINT "system.log_retention_years.range" CHECK (log_retention_years BETWEEN 0 AND 100),  -- calendar years of the log a prune keeps besides this one; NULL: say so each time
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
INSERT INTO system_new(id, uuid, name, environment_id, durability, status_id, created_by, updated_by, created_at, updated_at)
  SELECT id, uuid, name, environment_id, durability, status_id, created_by, updated_by, created_at, updated_at FROM system;
DROP TABLE system;
ALTER TABLE system_new RENAME TO system;

CREATE INDEX system_environment ON system(environment_id);
CREATE TABLE job (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "job.uuid.length" CHECK (length(uuid) = 36),
  kind TEXT NOT NULL CONSTRAINT "job.kind.length" CHECK (length(kind) BETWEEN 1 AND 100),  -- the handler a word has registered
  payload TEXT NOT NULL DEFAULT '{}' CONSTRAINT "job.payload.json_object" CHECK (CASE WHEN json_valid(payload) THEN json_type(payload) = 'object' ELSE 0 END),  -- what the handler is given
  job_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "job.job_status.choice" CHECK (job_status IN ('pending', 'running', 'completed', 'failed', 'cancelled', 'interrupted')),  -- pending: waits for its time; running: has a living runner; completed: done; failed: given up after the last attempt; cancelled: by a person; interrupted: its process died, it is to be taken up again
  run_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CONSTRAINT "job.run_at.time" CHECK (run_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', run_at, '+0 days') IS run_at),  -- not before
  priority INTEGER NOT NULL DEFAULT 5 CONSTRAINT "job.priority.range" CHECK (priority BETWEEN 0 AND 9),  -- of what is due, 0 goes first
  attempts INTEGER NOT NULL DEFAULT 0 CONSTRAINT "job.attempts.range" CHECK (attempts >= 0),
  max_attempts INTEGER NOT NULL DEFAULT 1 CONSTRAINT "job.max_attempts.range" CHECK (max_attempts >= 1),
  runner_id TEXT CONSTRAINT "job.runner_id.length" CHECK (length(runner_id) <= 100),  -- the process that may write for it
  claimed_at TEXT CONSTRAINT "job.claimed_at.time" CHECK (claimed_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', claimed_at, '+0 days') IS claimed_at),
  lease_ends_at TEXT CONSTRAINT "job.lease_ends_at.time" CHECK (lease_ends_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', lease_ends_at, '+0 days') IS lease_ends_at),  -- a runner that has said nothing by then has lost it
  ended_at TEXT CONSTRAINT "job.ended_at.time" CHECK (ended_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', ended_at, '+0 days') IS ended_at),
  dedupe_key TEXT CONSTRAINT "job.dedupe_key.length" CHECK (length(dedupe_key) BETWEEN 1 AND 200),  -- while a job with it is open, there is no other of its kind
  correlation_id TEXT NOT NULL CONSTRAINT "job.correlation_id.length" CHECK (length(correlation_id) BETWEEN 1 AND 100),
  error_code TEXT CONSTRAINT "job.error_code.length" CHECK (length(error_code) <= 50),
  error_message TEXT,
  result TEXT CONSTRAINT "job.result.json_object" CHECK (result IS NULL OR CASE WHEN json_valid(result) THEN json_type(result) = 'object' ELSE 0 END),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "job.runner_id.required" CHECK (job_status <> 'running' OR (runner_id IS NOT NULL AND claimed_at IS NOT NULL)),
  CONSTRAINT "job.ended_at.required" CHECK ((ended_at IS NULL) = (job_status IN ('pending', 'running'))),
  CONSTRAINT "job.error_message.required" CHECK (job_status <> 'failed' OR error_message IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX job_dedupe ON job(kind, dedupe_key) WHERE dedupe_key IS NOT NULL AND job_status IN ('pending', 'running', 'interrupted');
CREATE INDEX job_due ON job(priority, run_at) WHERE job_status = 'pending';
CREATE INDEX job_running ON job(lease_ends_at) WHERE job_status = 'running';
CREATE INDEX job_correlation ON job(correlation_id);
CREATE TABLE audit_replaced (
  table_id INTEGER,
  record_key INTEGER,
  new_key INTEGER,  -- the id of the row that comes instead, -1 while it has none
  another_row_has_this_key INTEGER NOT NULL DEFAULT 1  -- its name is what OR ABORT says
) STRICT;
CREATE TABLE audit_key (
  id INTEGER PRIMARY KEY CHECK (id > 0),
  name TEXT NOT NULL UNIQUE,  -- what people know the key by, made from the key itself
  public_key BLOB NOT NULL CHECK (length(public_key) = 32),  -- Ed25519
  added_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE TABLE audit_seal (
  id INTEGER PRIMARY KEY CHECK (id > 0),  -- 1, 2, 3 … without a gap
  kind TEXT NOT NULL CHECK (kind IN ('entries', 'prune', 'rows')),  -- entries: seals the next part of the log; prune: says what was taken out of it; rows: takes the rows as they are from now on
  site TEXT NOT NULL,  -- the uuid of the file
  first_seq INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,  -- all entries up to here are sealed
  first_txn INTEGER NOT NULL,
  last_txn INTEGER NOT NULL,  -- and all changes up to here
  floor_seq INTEGER NOT NULL DEFAULT 0,  -- entries up to here are pruned, but for those kept for ever
  floor_txn INTEGER NOT NULL DEFAULT 0,
  txn_id INTEGER,  -- the change that pruned or took the rows as they are: who, when and why
  entries_sha256 TEXT NOT NULL CHECK (length(entries_sha256) = 64),  -- of a prune: of what stayed below the floor
  entry_sums BLOB,  -- CRC-32 of each entry, four bytes: they tell which one is wrong
  rows_sha256 TEXT CHECK (length(rows_sha256) = 64),  -- over `audit_fingerprint`
  findings TEXT,  -- rows that contradicted the log when this was sealed: [[table, id], …]
  note TEXT,  -- of a prune: {"before", "entries", "changes", "kept", "made"}
  sealed_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  previous_sha256 TEXT NOT NULL CHECK (length(previous_sha256) = 64),
  sha256 TEXT NOT NULL CHECK (length(sha256) = 64),  -- over all of this but the sums and the signature
  key_id INTEGER REFERENCES audit_key(id),
  signature BLOB CHECK (length(signature) = 64),
  CHECK ((key_id IS NULL) = (signature IS NULL)),
  CHECK (first_seq <= last_seq + 1 AND first_txn <= last_txn + 1 AND floor_seq <= last_seq)
) STRICT;
CREATE TABLE audit_row (
  table_id INTEGER NOT NULL,
  record_key INTEGER NOT NULL,
  seq INTEGER NOT NULL,  -- as of this entry of the log
  hash BLOB NOT NULL,
  PRIMARY KEY (table_id, record_key)
) STRICT, WITHOUT ROWID;
CREATE TABLE audit_fingerprint (
  table_id INTEGER PRIMARY KEY,
  columns TEXT NOT NULL,  -- the columns the hashes are made of
  row_count INTEGER NOT NULL,
  sum BLOB NOT NULL
) STRICT;
CREATE TABLE scope_type (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "scope_type.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "scope_type.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  hierarchy_level INTEGER NOT NULL UNIQUE CONSTRAINT "scope_type.hierarchy_level.range" CHECK (hierarchy_level >= 1),
  table_name TEXT CONSTRAINT "scope_type.table_name.choice" CHECK (table_name IN ('program', 'producer', 'entity', 'user')),  -- where `scope_id` points to; NULL: the whole file, without an id
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE TABLE entity_reference_type_new (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "entity_reference_type.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "entity_reference_type.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  table_name TEXT NOT NULL CONSTRAINT "entity_reference_type.table_name.choice" CHECK (table_name IN ('system', 'user', 'entity', 'program', 'producer', 'organization', 'insured')),  -- the table an id of this type is looked up in
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
INSERT INTO entity_reference_type_new(id, code, name, description, table_name, status_id, created_by, updated_by, created_at, updated_at)
  SELECT id, code, name, description, table_name, status_id, created_by, updated_by, created_at, updated_at FROM entity_reference_type;
DROP TABLE entity_reference_type;
ALTER TABLE entity_reference_type_new RENAME TO entity_reference_type;

CREATE TABLE encryption_key_new (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "encryption_key.uuid.length" CHECK (length(uuid) = 36),  -- binds the wrapped key to this row
  purpose TEXT NOT NULL DEFAULT 'data' CONSTRAINT "encryption_key.purpose.choice" CHECK (purpose IN ('data', 'signing')),  -- data: seals the *_ciphertext columns; signing: signs the seals of the audit log
  wrapped_key_ciphertext BLOB NOT NULL CONSTRAINT "encryption_key.wrapped_key_ciphertext.length" CHECK (length(wrapped_key_ciphertext) BETWEEN 65 AND 1024),
  master_fingerprint TEXT NOT NULL CONSTRAINT "encryption_key.master_fingerprint.length" CHECK (length(master_fingerprint) BETWEEN 9 AND 50),  -- the name of the master key that opens it
  kdf TEXT CONSTRAINT "encryption_key.kdf.json_object" CHECK (kdf IS NULL OR CASE WHEN json_valid(kdf) THEN json_type(kdf) = 'object' ELSE 0 END),  -- how a passphrase becomes the master key; NULL: the master key is random
  activated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CONSTRAINT "encryption_key.activated_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', activated_at, '+0 days') IS activated_at),
  retired_at TEXT CONSTRAINT "encryption_key.retired_at.time" CHECK (retired_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', retired_at, '+0 days') IS retired_at),  -- NULL: seals what is written now
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
CREATE TABLE integration_event_new (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "integration_event.uuid.length" CHECK (length(uuid) = 36),
  event_type TEXT NOT NULL CONSTRAINT "integration_event.event_type.length" CHECK (length(event_type) BETWEEN 1 AND 100),
  event_source_id INTEGER NOT NULL REFERENCES event_source(id),
  event_target TEXT CONSTRAINT "integration_event.event_target.length" CHECK (length(event_target) <= 100),
  event_payload TEXT NOT NULL CONSTRAINT "integration_event.event_payload.json_object" CHECK (CASE WHEN json_valid(event_payload) THEN json_type(event_payload) = 'object' ELSE 0 END),
  event_metadata TEXT NOT NULL DEFAULT '{}' CONSTRAINT "integration_event.event_metadata.json_object" CHECK (CASE WHEN json_valid(event_metadata) THEN json_type(event_metadata) = 'object' ELSE 0 END),
  processing_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "integration_event.processing_status.choice" CHECK (processing_status IN ('pending', 'processing', 'processed', 'failed')),  -- pending: nobody has taken it; processing: being handled; processed: done; failed: given up, kept for replay
  processing_error TEXT,
  processed_at TEXT CONSTRAINT "integration_event.processed_at.time" CHECK (processed_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', processed_at, '+0 days') IS processed_at),
  correlation_id TEXT NOT NULL CONSTRAINT "integration_event.correlation_id.length" CHECK (length(correlation_id) BETWEEN 1 AND 100),
  causation_id TEXT CONSTRAINT "integration_event.causation_id.length" CHECK (length(causation_id) <= 100),  -- the event that led to this one
  organization_id INTEGER REFERENCES organization(id),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "integration_event.processed_at.required" CHECK (processing_status <> 'processed' OR processed_at IS NOT NULL)
) STRICT;
INSERT INTO integration_event_new(id, uuid, event_type, event_source_id, event_target, event_payload, event_metadata, processing_status, processing_error, processed_at, correlation_id, causation_id, organization_id, status_id, created_by, updated_by, created_at, updated_at)
  SELECT id, uuid, event_type, event_source_id, event_target, event_payload, ifnull(event_metadata, '{}'), processing_status, processing_error, processed_at, correlation_id, causation_id, organization_id, status_id, created_by, updated_by, created_at, updated_at FROM integration_event;
DROP TABLE integration_event;
ALTER TABLE integration_event_new RENAME TO integration_event;

CREATE INDEX integration_event_pending ON integration_event(id) WHERE processing_status = 'pending';
CREATE INDEX integration_event_event_type ON integration_event(event_type);
CREATE INDEX integration_event_created ON integration_event(created_at);
CREATE INDEX integration_event_correlation ON integration_event(correlation_id);
CREATE INDEX integration_event_event_source ON integration_event(event_source_id);
CREATE INDEX integration_event_organization ON integration_event(organization_id);
CREATE TABLE event_subscription (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "event_subscription.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "event_subscription.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  event_type TEXT CONSTRAINT "event_subscription.event_type.length" CHECK (length(event_type) BETWEEN 1 AND 100),  -- NULL: every type
  event_source_id INTEGER REFERENCES event_source(id),  -- NULL: every source
  organization_id INTEGER REFERENCES organization(id),  -- NULL: the events of all
  handler_kind TEXT NOT NULL CONSTRAINT "event_subscription.handler_kind.length" CHECK (length(handler_kind) BETWEEN 1 AND 100),  -- the kind of job that handles a delivery
  handler_config TEXT CONSTRAINT "event_subscription.handler_config.json_object" CHECK (handler_config IS NULL OR CASE WHEN json_valid(handler_config) THEN json_type(handler_config) = 'object' ELSE 0 END),  -- what the handler needs to know; no secrets
  max_attempts INTEGER CONSTRAINT "event_subscription.max_attempts.range" CHECK (max_attempts >= 1),  -- NULL: as configured
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX event_subscription_event_source ON event_subscription(event_source_id);
CREATE INDEX event_subscription_organization ON event_subscription(organization_id);
CREATE TABLE event_delivery (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  event_id INTEGER NOT NULL REFERENCES integration_event(id),
  subscription_id INTEGER NOT NULL REFERENCES event_subscription(id),
  idempotency_key TEXT NOT NULL UNIQUE CONSTRAINT "event_delivery.idempotency_key.length" CHECK (length(idempotency_key) BETWEEN 1 AND 200),  -- what the other side knows a repeated delivery by
  delivery_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "event_delivery.delivery_status.choice" CHECK (delivery_status IN ('pending', 'delivering', 'delivered', 'failed', 'discarded')),  -- pending: waits for its time; delivering: being handed over; delivered: taken; failed: given up, kept for replay; discarded: somebody decided against it
  attempts INTEGER NOT NULL DEFAULT 0 CONSTRAINT "event_delivery.attempts.range" CHECK (attempts >= 0),
  next_attempt_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CONSTRAINT "event_delivery.next_attempt_at.time" CHECK (next_attempt_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', next_attempt_at, '+0 days') IS next_attempt_at),
  settled_at TEXT CONSTRAINT "event_delivery.settled_at.time" CHECK (settled_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', settled_at, '+0 days') IS settled_at),
  error_code TEXT CONSTRAINT "event_delivery.error_code.length" CHECK (length(error_code) <= 50),
  error_message TEXT,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "event_delivery.subscription_id.unique" UNIQUE (event_id, subscription_id),
  CONSTRAINT "event_delivery.settled_at.required" CHECK ((settled_at IS NULL) = (delivery_status IN ('pending', 'delivering'))),
  CONSTRAINT "event_delivery.error_message.required" CHECK (delivery_status <> 'failed' OR error_message IS NOT NULL)
) STRICT;
CREATE INDEX event_delivery_due ON event_delivery(next_attempt_at) WHERE delivery_status = 'pending';
CREATE INDEX event_delivery_subscription ON event_delivery(subscription_id);
CREATE TABLE feature_type (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "feature_type.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "feature_type.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  is_core INTEGER NOT NULL DEFAULT 0 CONSTRAINT "feature_type.is_core.boolean" CHECK (is_core IN (0, 1)),  -- its features can be neither switched off nor expire
  sort_order INTEGER NOT NULL DEFAULT 0,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE TABLE feature (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "feature.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "feature.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  feature_key TEXT NOT NULL UNIQUE
    CONSTRAINT "feature.feature_key.length" CHECK (length(feature_key) BETWEEN 1 AND 100)
    CONSTRAINT "feature.feature_key.format" CHECK (feature_key GLOB '[a-z]*.?*' AND feature_key NOT GLOB '*[^a-z0-9_.]*' AND feature_key NOT GLOB '*..*' AND feature_key NOT GLOB '*.'),  -- as programs ask for it, such as integration.api_integrations
  feature_type_id INTEGER NOT NULL REFERENCES feature_type(id),
  value_type TEXT NOT NULL DEFAULT 'boolean' CONSTRAINT "feature.value_type.choice" CHECK (value_type IN ('boolean', 'integer', 'number', 'string', 'json')),  -- what a value of the feature is; boolean: true or false; integer: a whole number; number: any number; string: text; json: anything
  default_value TEXT CONSTRAINT "feature.default_value.json_object" CHECK (default_value IS NULL OR CASE WHEN json_valid(default_value) THEN json_type(default_value) = 'object' ELSE 0 END),  -- a feature value; NULL: off unless a tier or licence grants it
  license_tier_id INTEGER NOT NULL REFERENCES license_tier(id),  -- the lowest tier that covers it
  is_addon INTEGER NOT NULL DEFAULT 0 CONSTRAINT "feature.is_addon.boolean" CHECK (is_addon IN (0, 1)),  -- no tier covers it, it needs a licence of its own
  configuration_schema TEXT CONSTRAINT "feature.configuration_schema.json_object" CHECK (configuration_schema IS NULL OR CASE WHEN json_valid(configuration_schema) THEN json_type(configuration_schema) = 'object' ELSE 0 END),  -- the JSON Schema of its settings, with their defaults
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX feature_feature_type ON feature(feature_type_id);
CREATE INDEX feature_license_tier ON feature(license_tier_id);
CREATE TABLE feature_dependency (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  feature_id INTEGER NOT NULL REFERENCES feature(id),
  depends_on_feature_id INTEGER NOT NULL REFERENCES feature(id),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "feature_dependency.depends_on_feature_id.cycle" CHECK (depends_on_feature_id IS NOT feature_id),
  CONSTRAINT "feature_dependency.depends_on_feature_id.unique" UNIQUE (feature_id, depends_on_feature_id)
) STRICT;
CREATE INDEX feature_dependency_depends_on_feature ON feature_dependency(depends_on_feature_id);
CREATE TABLE license_tier_feature (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  license_tier_id INTEGER NOT NULL REFERENCES license_tier(id),
  feature_id INTEGER NOT NULL REFERENCES feature(id),
  feature_value TEXT NOT NULL CONSTRAINT "license_tier_feature.feature_value.json_object" CHECK (CASE WHEN json_valid(feature_value) THEN json_type(feature_value) = 'object' ELSE 0 END),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "license_tier_feature.feature_id.unique" UNIQUE (license_tier_id, feature_id)
) STRICT;
CREATE INDEX license_tier_feature_covering ON license_tier_feature(license_tier_id, feature_id, feature_value, status_id);
CREATE INDEX license_tier_feature_enabled ON license_tier_feature(feature_value ->> '$.enabled', license_tier_id, feature_id);
CREATE INDEX license_tier_feature_feature ON license_tier_feature(feature_id);
CREATE TABLE vendor_key (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  vendor_name TEXT NOT NULL CONSTRAINT "vendor_key.vendor_name.length" CHECK (length(vendor_name) BETWEEN 1 AND 100),
  public_key TEXT NOT NULL UNIQUE CONSTRAINT "vendor_key.public_key.length" CHECK (length(public_key) = 44),  -- Ed25519, in base64
  previous_vendor_key_id INTEGER UNIQUE REFERENCES vendor_key(id),  -- the key this one replaces; NULL: the first
  statement TEXT CONSTRAINT "vendor_key.statement.json_object" CHECK (statement IS NULL OR CASE WHEN json_valid(statement) THEN json_type(statement) = 'object' ELSE 0 END),  -- what the previous key signed: {"public_key": this one, "replaces": the previous one, …}
  statement_signature TEXT CONSTRAINT "vendor_key.statement_signature.length" CHECK (length(statement_signature) = 88),  -- in base64
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "vendor_key.statement.required" CHECK ((previous_vendor_key_id IS NULL) = (statement IS NULL) AND (statement IS NULL) = (statement_signature IS NULL))
) STRICT;
CREATE TABLE license_file (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  serial TEXT NOT NULL UNIQUE CONSTRAINT "license_file.serial.length" CHECK (length(serial) BETWEEN 1 AND 100),  -- the number its vendor gave it
  vendor_key_id INTEGER NOT NULL REFERENCES vendor_key(id),  -- the key it was checked with
  document TEXT NOT NULL CONSTRAINT "license_file.document.json_object" CHECK (CASE WHEN json_valid(document) THEN json_type(document) = 'object' ELSE 0 END),  -- what was signed, byte for byte: features, tier, scope, quantity
  signature TEXT NOT NULL CONSTRAINT "license_file.signature.length" CHECK (length(signature) = 88),  -- in base64
  license_mode TEXT NOT NULL DEFAULT 'advise' CONSTRAINT "license_file.license_mode.choice" CHECK (license_mode IN ('advise', 'warn', 'block')),  -- advise: answer truthfully, stop nothing; warn: also say so at each use; block: refuse what is not licensed
  starts_at TEXT NOT NULL CONSTRAINT "license_file.starts_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', starts_at, '+0 days') IS starts_at),
  expires_at TEXT CONSTRAINT "license_file.expires_at.time" CHECK (expires_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', expires_at, '+0 days') IS expires_at),  -- NULL: never
  grace_days INTEGER NOT NULL DEFAULT 0 CONSTRAINT "license_file.grace_days.range" CHECK (grace_days >= 0),  -- it still holds for so long after it expired
  installed_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CONSTRAINT "license_file.installed_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', installed_at, '+0 days') IS installed_at),
  revoked_at TEXT CONSTRAINT "license_file.revoked_at.time" CHECK (revoked_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', revoked_at, '+0 days') IS revoked_at),
  revocation_reason TEXT CONSTRAINT "license_file.revocation_reason.length" CHECK (length(revocation_reason) <= 200),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "license_file.expires_at.order" CHECK (starts_at < expires_at),
  CONSTRAINT "license_file.revoked_at.required" CHECK (revoked_at IS NOT NULL OR revocation_reason IS NULL)
) STRICT;
CREATE INDEX license_file_vendor_key ON license_file(vendor_key_id);
CREATE TABLE feature_license (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "feature_license.uuid.length" CHECK (length(uuid) = 36),  -- binds the ciphertext to this row
  feature_id INTEGER NOT NULL REFERENCES feature(id),
  scope_type_id INTEGER NOT NULL REFERENCES scope_type(id),
  scope_id INTEGER,  -- the program or producer; NULL: the whole file
  organization_id INTEGER REFERENCES organization(id),  -- NULL: for all
  feature_value TEXT CONSTRAINT "feature_license.feature_value.json_object" CHECK (feature_value IS NULL OR CASE WHEN json_valid(feature_value) THEN json_type(feature_value) = 'object' ELSE 0 END),  -- a feature value; NULL: on, with the value the tier gives
  feature_configuration TEXT CONSTRAINT "feature_license.feature_configuration.json_object" CHECK (feature_configuration IS NULL OR CASE WHEN json_valid(feature_configuration) THEN json_type(feature_configuration) = 'object' ELSE 0 END),  -- settings of the feature in this scope
  licensed_quantity INTEGER NOT NULL DEFAULT 1 CONSTRAINT "feature_license.licensed_quantity.range" CHECK (licensed_quantity >= 1),  -- units or seats
  license_expires_at TEXT CONSTRAINT "feature_license.license_expires_at.time" CHECK (license_expires_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', license_expires_at, '+0 days') IS license_expires_at),  -- NULL: never
  license_file_id INTEGER REFERENCES license_file(id),  -- the installed licence it came with; NULL: entered here
  license_key_ciphertext BLOB CONSTRAINT "feature_license.license_key_ciphertext.length" CHECK (length(license_key_ciphertext) BETWEEN 29 AND 4096),
  license_key_hash TEXT UNIQUE CONSTRAINT "feature_license.license_key_hash.length" CHECK (length(license_key_hash) = 64),  -- keyed, to find the row by its key
  encryption_key_id INTEGER REFERENCES encryption_key(id),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "feature_license.license_key_ciphertext.required" CHECK ((license_key_ciphertext IS NULL) = (encryption_key_id IS NULL) AND (license_key_ciphertext IS NULL) = (license_key_hash IS NULL))
) STRICT;
CREATE UNIQUE INDEX feature_license_feature_scope ON feature_license(feature_id, scope_type_id, COALESCE(scope_id, 0), COALESCE(organization_id, 0));
CREATE INDEX feature_license_scope ON feature_license(scope_type_id, scope_id);
CREATE INDEX feature_license_organization ON feature_license(organization_id);
CREATE INDEX feature_license_license_file ON feature_license(license_file_id);
CREATE INDEX feature_license_encryption_key ON feature_license(encryption_key_id);
CREATE TABLE feature_usage (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  feature_id INTEGER NOT NULL REFERENCES feature(id),
  scope_type_id INTEGER NOT NULL REFERENCES scope_type(id),
  scope_id INTEGER,
  organization_id INTEGER REFERENCES organization(id),  -- NULL: of all
  usage_period TEXT NOT NULL DEFAULT 'total' CONSTRAINT "feature_usage.usage_period.choice" CHECK (usage_period IN ('total', 'hour', 'day', 'month', 'year')),  -- total: since the beginning; hour, day, month, year: since `period_starts_at`
  period_starts_at TEXT CONSTRAINT "feature_usage.period_starts_at.time" CHECK (period_starts_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', period_starts_at, '+0 days') IS period_starts_at),
  used_quantity INTEGER NOT NULL DEFAULT 0 CONSTRAINT "feature_usage.used_quantity.range" CHECK (used_quantity >= 0),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "feature_usage.period_starts_at.required" CHECK ((usage_period = 'total') = (period_starts_at IS NULL)),
  CONSTRAINT "feature_usage.period_starts_at.format" CHECK (period_starts_at GLOB CASE usage_period WHEN 'hour' THEN '*:00:00.000Z' WHEN 'day' THEN '*T00:00:00.000Z' WHEN 'month' THEN '*-01T00:00:00.000Z' ELSE '*-01-01T00:00:00.000Z' END)  -- two counters of one period would each allow the whole quantity
) STRICT;
CREATE UNIQUE INDEX feature_usage_counter ON feature_usage(feature_id, scope_type_id, COALESCE(scope_id, 0), COALESCE(organization_id, 0), usage_period, COALESCE(period_starts_at, ''));
CREATE INDEX feature_usage_scope ON feature_usage(scope_type_id, scope_id);
CREATE INDEX feature_usage_organization ON feature_usage(organization_id);
CREATE TABLE entity_type_feature (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  entity_type_id INTEGER NOT NULL REFERENCES entity_type(id),
  feature_id INTEGER NOT NULL REFERENCES feature(id),
  is_required INTEGER NOT NULL DEFAULT 0 CONSTRAINT "entity_type_feature.is_required.boolean" CHECK (is_required IN (0, 1)),  -- entities of this type work only where it is available
  configuration_schema TEXT CONSTRAINT "entity_type_feature.configuration_schema.json_object" CHECK (configuration_schema IS NULL OR CASE WHEN json_valid(configuration_schema) THEN json_type(configuration_schema) = 'object' ELSE 0 END),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "entity_type_feature.feature_id.unique" UNIQUE (entity_type_id, feature_id)
) STRICT;
CREATE INDEX entity_type_feature_feature ON entity_type_feature(feature_id);
CREATE TABLE entity_feature (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  entity_id INTEGER NOT NULL REFERENCES entity(id),
  feature_id INTEGER NOT NULL REFERENCES feature(id),
  is_required INTEGER NOT NULL DEFAULT 0 CONSTRAINT "entity_feature.is_required.boolean" CHECK (is_required IN (0, 1)),  -- the entity works only where it is available
  configuration_schema TEXT CONSTRAINT "entity_feature.configuration_schema.json_object" CHECK (configuration_schema IS NULL OR CASE WHEN json_valid(configuration_schema) THEN json_type(configuration_schema) = 'object' ELSE 0 END),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "entity_feature.feature_id.unique" UNIQUE (entity_id, feature_id)
) STRICT;
CREATE INDEX entity_feature_feature ON entity_feature(feature_id);
CREATE TABLE model_registry (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  provider TEXT NOT NULL COLLATE NOCASE CONSTRAINT "model_registry.provider.length" CHECK (length(provider) BETWEEN 1 AND 100),
  model_id TEXT NOT NULL CONSTRAINT "model_registry.model_id.length" CHECK (length(model_id) BETWEEN 1 AND 200),  -- what the provider calls it
  model_name TEXT NOT NULL CONSTRAINT "model_registry.model_name.length" CHECK (length(model_name) BETWEEN 1 AND 200),
  feature_id INTEGER NOT NULL REFERENCES feature(id),  -- what must be available to use it
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "model_registry.model_id.unique" UNIQUE (provider, model_id)
) STRICT;
CREATE INDEX model_registry_feature ON model_registry(feature_id);
CREATE TABLE component_registry (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "component_registry.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "component_registry.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  feature_id INTEGER NOT NULL REFERENCES feature(id),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX component_registry_feature ON component_registry(feature_id);
CREATE TABLE audit_feature (
  id INTEGER PRIMARY KEY CHECK (id > 0),  -- SQLite chooses no other; -1 would get past the trigger below
  feature_id INTEGER,
  txn_id INTEGER,
  table_name TEXT,
  record_key ANY,
  action TEXT,
  performed_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX audit_feature_time ON audit_feature(feature_id, performed_at DESC);
CREATE TABLE configuration_type (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "configuration_type.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "configuration_type.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  schema_definition TEXT CONSTRAINT "configuration_type.schema_definition.json_object" CHECK (schema_definition IS NULL OR CASE WHEN json_valid(schema_definition) THEN json_type(schema_definition) = 'object' ELSE 0 END),  -- NULL: anything goes
  applies_to_system INTEGER NOT NULL DEFAULT 0 CONSTRAINT "configuration_type.applies_to_system.boolean" CHECK (applies_to_system IN (0, 1)),
  applies_to_program INTEGER NOT NULL DEFAULT 0 CONSTRAINT "configuration_type.applies_to_program.boolean" CHECK (applies_to_program IN (0, 1)),
  applies_to_producer INTEGER NOT NULL DEFAULT 0 CONSTRAINT "configuration_type.applies_to_producer.boolean" CHECK (applies_to_producer IN (0, 1)),
  applies_to_entity INTEGER NOT NULL DEFAULT 0 CONSTRAINT "configuration_type.applies_to_entity.boolean" CHECK (applies_to_entity IN (0, 1)),
  applies_to_user INTEGER NOT NULL DEFAULT 0 CONSTRAINT "configuration_type.applies_to_user.boolean" CHECK (applies_to_user IN (0, 1)),
  is_default INTEGER NOT NULL DEFAULT 0 CONSTRAINT "configuration_type.is_default.boolean" CHECK (is_default IN (0, 1)),  -- what is meant where no type is named
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE UNIQUE INDEX configuration_type_default ON configuration_type(is_default) WHERE is_default = 1;
CREATE TABLE configuration (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  configuration_type_id INTEGER NOT NULL REFERENCES configuration_type(id),
  scope_type_id INTEGER NOT NULL REFERENCES scope_type(id),
  scope_id INTEGER,  -- NULL: the whole file
  organization_id INTEGER REFERENCES organization(id),  -- NULL: for all; at the level of the system its rows come after those for all
  config_data TEXT NOT NULL CONSTRAINT "configuration.config_data.json_object" CHECK (CASE WHEN json_valid(config_data) THEN json_type(config_data) = 'object' ELSE 0 END),  -- the keys this scope sets, no others
  config_metadata TEXT CONSTRAINT "configuration.config_metadata.json_object" CHECK (config_metadata IS NULL OR CASE WHEN json_valid(config_metadata) THEN json_type(config_metadata) = 'object' ELSE 0 END),  -- what is to be said of a key, by its name
  version INTEGER NOT NULL DEFAULT 1 CONSTRAINT "configuration.version.range" CHECK (version >= 1),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE UNIQUE INDEX configuration_active ON configuration(configuration_type_id, scope_type_id, COALESCE(scope_id, 0), COALESCE(organization_id, 0)) WHERE status_id = 1;
CREATE INDEX configuration_configuration_type ON configuration(configuration_type_id);
CREATE INDEX configuration_scope ON configuration(scope_type_id, scope_id);
CREATE INDEX configuration_organization ON configuration(organization_id);
CREATE TABLE communication_channel (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "communication_channel.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "communication_channel.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  is_real_time INTEGER NOT NULL DEFAULT 0 CONSTRAINT "communication_channel.is_real_time.boolean" CHECK (is_real_time IN (0, 1)),  -- does the other side answer at once?
  requires_authentication INTEGER NOT NULL DEFAULT 1 CONSTRAINT "communication_channel.requires_authentication.boolean" CHECK (requires_authentication IN (0, 1)),  -- is nothing sent without a valid credential?
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE TABLE communication_status (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "communication_status.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "communication_status.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  is_final_state INTEGER NOT NULL DEFAULT 0 CONSTRAINT "communication_status.is_final_state.boolean" CHECK (is_final_state IN (0, 1)),  -- a communication in it never changes its state again
  is_error_state INTEGER NOT NULL DEFAULT 0 CONSTRAINT "communication_status.is_error_state.boolean" CHECK (is_error_state IN (0, 1)),  -- a communication in it says what went wrong
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE TABLE business_context_type (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "business_context_type.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "business_context_type.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  table_name TEXT NOT NULL CONSTRAINT "business_context_type.table_name.choice" CHECK (table_name IN ('insured', 'quote', 'policy', 'driver', 'vehicle', 'claim', 'program', 'producer', 'entity')),  -- the table the id of a context is looked up in
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE TABLE communication_type (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "communication_type.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "communication_type.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  request_schema TEXT CONSTRAINT "communication_type.request_schema.json_object" CHECK (request_schema IS NULL OR CASE WHEN json_valid(request_schema) THEN json_type(request_schema) = 'object' ELSE 0 END),  -- the JSON Schema of `request_data`; NULL: anything
  response_schema TEXT CONSTRAINT "communication_type.response_schema.json_object" CHECK (response_schema IS NULL OR CASE WHEN json_valid(response_schema) THEN json_type(response_schema) = 'object' ELSE 0 END),
  metadata_schema TEXT CONSTRAINT "communication_type.metadata_schema.json_object" CHECK (metadata_schema IS NULL OR CASE WHEN json_valid(metadata_schema) THEN json_type(metadata_schema) = 'object' ELSE 0 END),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE TABLE communication_type_channel (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  communication_type_id INTEGER NOT NULL REFERENCES communication_type(id),
  channel_id INTEGER NOT NULL REFERENCES communication_channel(id),
  is_default INTEGER NOT NULL DEFAULT 0 CONSTRAINT "communication_type_channel.is_default.boolean" CHECK (is_default IN (0, 1)),  -- is it the channel of a communication that names none?
  configuration_schema TEXT CONSTRAINT "communication_type_channel.configuration_schema.json_object" CHECK (configuration_schema IS NULL OR CASE WHEN json_valid(configuration_schema) THEN json_type(configuration_schema) = 'object' ELSE 0 END),  -- the JSON Schema of what this channel needs to know for this type
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "communication_type_channel.channel_id.unique" UNIQUE (communication_type_id, channel_id)
) STRICT;
CREATE UNIQUE INDEX communication_type_channel_default ON communication_type_channel(communication_type_id) WHERE is_default = 1 AND status_id = 1;
CREATE INDEX communication_type_channel_channel ON communication_type_channel(channel_id);
CREATE TABLE communication (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "communication.uuid.length" CHECK (length(uuid) = 36),
  organization_id INTEGER NOT NULL DEFAULT 1 REFERENCES organization(id),
  communication_type_id INTEGER NOT NULL REFERENCES communication_type(id),
  source_type_id INTEGER NOT NULL REFERENCES entity_reference_type(id),
  source_id INTEGER NOT NULL,  -- 1 where the type is SYSTEM
  target_type_id INTEGER NOT NULL REFERENCES entity_reference_type(id),
  target_id INTEGER NOT NULL,
  channel_id INTEGER NOT NULL REFERENCES communication_channel(id),
  direction_id INTEGER NOT NULL REFERENCES communication_direction(id),
  business_context_type_id INTEGER REFERENCES business_context_type(id),
  business_context_id INTEGER,  -- the row it is mainly about, which is a PRIMARY context too
  request_data TEXT CONSTRAINT "communication.request_data.json_object" CHECK (request_data IS NULL OR CASE WHEN json_valid(request_data) THEN json_type(request_data) = 'object' ELSE 0 END),
  response_data TEXT CONSTRAINT "communication.response_data.json_object" CHECK (response_data IS NULL OR CASE WHEN json_valid(response_data) THEN json_type(response_data) = 'object' ELSE 0 END),
  metadata TEXT CONSTRAINT "communication.metadata.json_object" CHECK (metadata IS NULL OR CASE WHEN json_valid(metadata) THEN json_type(metadata) = 'object' ELSE 0 END),
  communication_status_id INTEGER NOT NULL REFERENCES communication_status(id),
  error_message TEXT,
  retry_count INTEGER NOT NULL DEFAULT 0 CONSTRAINT "communication.retry_count.range" CHECK (retry_count >= 0),
  scheduled_at TEXT CONSTRAINT "communication.scheduled_at.time" CHECK (scheduled_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', scheduled_at, '+0 days') IS scheduled_at),  -- not to be sent before
  started_at TEXT CONSTRAINT "communication.started_at.time" CHECK (started_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', started_at, '+0 days') IS started_at),
  completed_at TEXT CONSTRAINT "communication.completed_at.time" CHECK (completed_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', completed_at, '+0 days') IS completed_at),
  correlation_id TEXT NOT NULL CONSTRAINT "communication.correlation_id.length" CHECK (length(correlation_id) BETWEEN 1 AND 100),
  idempotency_key TEXT UNIQUE CONSTRAINT "communication.idempotency_key.length" CHECK (length(idempotency_key) BETWEEN 1 AND 200),  -- what the other side knows a repeated send by
  parent_communication_id INTEGER REFERENCES communication(id) CONSTRAINT "communication.parent_communication_id.cycle" CHECK (parent_communication_id IS NOT id),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "communication.business_context_id.required" CHECK ((business_context_type_id IS NULL) = (business_context_id IS NULL)),
  CONSTRAINT "communication.completed_at.order" CHECK (started_at <= completed_at)
) STRICT;
CREATE INDEX communication_source ON communication(source_type_id, source_id);
CREATE INDEX communication_target ON communication(target_type_id, target_id);
CREATE INDEX communication_communication_status ON communication(communication_status_id);
CREATE INDEX communication_correlation ON communication(correlation_id);
CREATE INDEX communication_scheduled ON communication(scheduled_at) WHERE scheduled_at IS NOT NULL;
CREATE INDEX communication_created ON communication(created_at);
CREATE INDEX communication_organization ON communication(organization_id);
CREATE INDEX communication_communication_type ON communication(communication_type_id);
CREATE INDEX communication_by_channel ON communication(channel_id);
CREATE INDEX communication_by_direction ON communication(direction_id);
CREATE INDEX communication_by_business_context ON communication(business_context_type_id, business_context_id);
CREATE INDEX communication_parent_communication ON communication(parent_communication_id);
CREATE TABLE communication_business_context (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  communication_id INTEGER NOT NULL REFERENCES communication(id),
  context_type_id INTEGER NOT NULL REFERENCES business_context_type(id),
  context_id INTEGER NOT NULL,
  relationship_type_id INTEGER NOT NULL DEFAULT 2 REFERENCES relationship_type(id),  -- 2 is RELATED, 1 PRIMARY
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "communication_business_context.context_id.unique" UNIQUE (communication_id, context_type_id, context_id)
) STRICT;
CREATE INDEX communication_business_context_context ON communication_business_context(context_type_id, context_id);
CREATE INDEX communication_business_context_relationship_type ON communication_business_context(relationship_type_id);
CREATE TABLE integration_type_new (
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
INSERT INTO integration_type_new(id, code, name, description, feature_id, is_default, status_id, created_by, updated_by, created_at, updated_at)
  SELECT id, code, name, description, 0, is_default, status_id, created_by, updated_by, created_at, updated_at FROM integration_type;
DROP TABLE integration_type;
ALTER TABLE integration_type_new RENAME TO integration_type;

CREATE INDEX integration_type_feature ON integration_type(feature_id);
CREATE UNIQUE INDEX integration_type_default ON integration_type(is_default) WHERE is_default = 1;
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
DROP INDEX integration_name;
CREATE UNIQUE INDEX integration_name ON integration(COALESCE(organization_id, 0), integration_type_id, integration_name);
CREATE INDEX integration_active ON integration(organization_id) WHERE status_id = 1;
CREATE TABLE integration_credential_new (
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
INSERT INTO integration_credential_new(id, uuid, integration_id, environment_id, credential_key, value_ciphertext, encryption_key_id, expires_at, last_rotated_at, status_id, created_by, updated_by, created_at, updated_at)
  SELECT id, uuid, integration_id, environment_id, credential_key, value_ciphertext, encryption_key_id, expires_at, last_rotated_at, status_id, created_by, updated_by, created_at, updated_at FROM integration_credential;
DROP TABLE integration_credential;
ALTER TABLE integration_credential_new RENAME TO integration_credential;

CREATE INDEX integration_credential_environment ON integration_credential(environment_id);
CREATE INDEX integration_credential_expires ON integration_credential(expires_at);
CREATE INDEX integration_credential_encryption_key ON integration_credential(encryption_key_id);
CREATE TABLE integration_mapping_new (
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
INSERT INTO integration_mapping_new(id, integration_id, mapping_name, mapping_type, source_path, target_path, source_data_type, target_data_type, is_required, default_value, transformation_rules, validation_rules, communication_direction_id, error_handling, mapping_notes, test_coverage, organization_id, version, status_id, created_by, updated_by, created_at, updated_at)
  SELECT id, integration_id, mapping_name, mapping_type, source_path, target_path, source_data_type, target_data_type, is_required, default_value, transformation_rules, validation_rules, (SELECT d.id FROM communication_direction d WHERE d.code = integration_mapping.mapping_direction), error_handling, mapping_notes, test_coverage, (SELECT i.organization_id FROM integration i WHERE i.id = integration_id), version, status_id, created_by, updated_by, created_at, updated_at FROM integration_mapping;
DROP TABLE integration_mapping;
ALTER TABLE integration_mapping_new RENAME TO integration_mapping;

CREATE INDEX integration_mapping_active ON integration_mapping(integration_id) WHERE status_id = 1;
CREATE INDEX integration_mapping_communication_direction ON integration_mapping(communication_direction_id);
CREATE INDEX integration_mapping_organization ON integration_mapping(organization_id);
CREATE INDEX integration_mapping_transformation ON integration_mapping(json_extract(transformation_rules, '$.type'));
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
CREATE TABLE integration_pipeline_definition_new (
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
  organization_id INTEGER DEFAULT 1 REFERENCES organization(id),  -- as its integration's
  version INTEGER NOT NULL DEFAULT 1 CONSTRAINT "integration_pipeline_definition.version.range" CHECK (version >= 1),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
INSERT INTO integration_pipeline_definition_new(id, pipeline_name, description, integration_id, pipeline_type, pipeline_steps, error_handling_strategy, dead_letter_config, performance_config, monitoring_config, organization_id, version, status_id, created_by, updated_by, created_at, updated_at)
  SELECT id, pipeline_name, description, integration_id, pipeline_type, pipeline_steps, error_handling_strategy, dead_letter_config, performance_config, monitoring_config, (SELECT i.organization_id FROM integration i WHERE i.id = integration_id), version, status_id, created_by, updated_by, created_at, updated_at FROM integration_pipeline_definition;
DROP TABLE integration_pipeline_definition;
ALTER TABLE integration_pipeline_definition_new RENAME TO integration_pipeline_definition;

CREATE UNIQUE INDEX integration_pipeline_definition_active ON integration_pipeline_definition(integration_id) WHERE status_id = 1;
CREATE INDEX integration_pipeline_definition_integration ON integration_pipeline_definition(integration_id);
CREATE INDEX integration_pipeline_definition_organization ON integration_pipeline_definition(organization_id);
CREATE INDEX integration_pipeline_definition_first_step ON integration_pipeline_definition(json_extract(pipeline_steps, '$.steps[0].type'));
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
CREATE TABLE integration_template_new (
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
INSERT INTO integration_template_new(id, code, template_name, description, integration_type_id, template_category_id, version, is_certified, certification_date, connection_template, mapping_templates, pipeline_template, transformation_library, test_suite, rate_limits, documentation_url, organization_id, status_id, created_by, updated_by, created_at, updated_at)
  SELECT id, code, template_name, description, integration_type_id, template_category_id, version, is_certified, certification_date, connection_template, mapping_templates, pipeline_template, transformation_library, test_suite, rate_limits, documentation_url, organization_id, status_id, created_by, updated_by, created_at, updated_at FROM integration_template;
DROP TABLE integration_template;
ALTER TABLE integration_template_new RENAME TO integration_template;

CREATE UNIQUE INDEX integration_template_version ON integration_template(code, version, COALESCE(organization_id, 0));
CREATE UNIQUE INDEX integration_template_name ON integration_template(template_name, version, COALESCE(organization_id, 0));
CREATE INDEX integration_template_certified_by ON integration_template(certified_by);
CREATE INDEX integration_template_mapping_count ON integration_template(json_array_length(mapping_templates, '$.mappings'));
CREATE INDEX integration_template_integration_type ON integration_template(integration_type_id);
CREATE INDEX integration_template_template_category ON integration_template(template_category_id);
CREATE INDEX integration_template_organization ON integration_template(organization_id);
CREATE INDEX integration_template_active ON integration_template(template_category_id) WHERE status_id = 1;
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
CREATE TABLE integration_template_instance_new (
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
INSERT INTO integration_template_instance_new(id, template_id, integration_id, instance_name, customizations, deployment_status, deployed_at, deployed_by, organization_id, status_id, created_by, updated_by, created_at, updated_at)
  SELECT id, template_id, integration_id, instance_name, customizations, deployment_status, deployed_at, deployed_by, (SELECT i.organization_id FROM integration i WHERE i.id = integration_id), status_id, created_by, updated_by, created_at, updated_at FROM integration_template_instance;
DROP TABLE integration_template_instance;
ALTER TABLE integration_template_instance_new RENAME TO integration_template_instance;

CREATE INDEX integration_template_instance_template ON integration_template_instance(template_id);
CREATE INDEX integration_template_instance_deployed_by ON integration_template_instance(deployed_by);
CREATE INDEX integration_template_instance_organization ON integration_template_instance(organization_id);
CREATE TABLE integration_schedule (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  schedule_name TEXT NOT NULL COLLATE NOCASE CONSTRAINT "integration_schedule.schedule_name.length" CHECK (length(schedule_name) BETWEEN 1 AND 100),
  integration_id INTEGER NOT NULL REFERENCES integration(id) ON DELETE CASCADE,
  schedule_type TEXT NOT NULL CONSTRAINT "integration_schedule.schedule_type.choice" CHECK (schedule_type IN ('cron', 'interval', 'fixed_time', 'event_based', 'manual')),  -- cron: when cron_expression matches; interval: every interval_minutes; fixed_time: at its times of day; event_based: when an event of event_type comes; manual: by command only
  cron_expression TEXT
    CONSTRAINT "integration_schedule.cron_expression.length" CHECK (length(cron_expression) <= 200)
    CONSTRAINT "integration_schedule.cron_expression.format" CHECK (cron_expression GLOB '?* ?* ?* ?* ?*' AND cron_expression NOT GLOB '*[^-A-Za-z0-9*/,? #]*'),  -- minute hour day month weekday
  interval_minutes INTEGER CONSTRAINT "integration_schedule.interval_minutes.range" CHECK (interval_minutes BETWEEN 1 AND 527040),
  event_type TEXT CONSTRAINT "integration_schedule.event_type.length" CHECK (length(event_type) BETWEEN 1 AND 100),  -- NULL: any event that names the integration
  timezone TEXT NOT NULL DEFAULT 'UTC'
    CONSTRAINT "integration_schedule.timezone.length" CHECK (length(timezone) BETWEEN 1 AND 64)
    CONSTRAINT "integration_schedule.timezone.format" CHECK (timezone GLOB '[A-Z]*' AND timezone NOT GLOB '*[^-A-Za-z0-9_+/]*'),  -- as IANA names it; times and days are of this zone
  start_date TEXT CONSTRAINT "integration_schedule.start_date.date" CHECK (start_date IS NULL OR date(start_date, '+0 days') IS start_date),  -- no run before this day
  end_date TEXT CONSTRAINT "integration_schedule.end_date.date" CHECK (end_date IS NULL OR date(end_date, '+0 days') IS end_date),  -- none after it
  next_run_at TEXT CONSTRAINT "integration_schedule.next_run_at.time" CHECK (next_run_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', next_run_at, '+0 days') IS next_run_at),
  last_run_at TEXT CONSTRAINT "integration_schedule.last_run_at.time" CHECK (last_run_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', last_run_at, '+0 days') IS last_run_at),
  retry_policy TEXT CONSTRAINT "integration_schedule.retry_policy.json_object" CHECK (retry_policy IS NULL OR CASE WHEN json_valid(retry_policy) THEN json_type(retry_policy) = 'object' ELSE 0 END),  -- {"attempts", "delay_seconds", "multiplier"}; what is missing comes from the configuration
  execution_timeout_seconds INTEGER NOT NULL DEFAULT 300 CONSTRAINT "integration_schedule.execution_timeout_seconds.range" CHECK (execution_timeout_seconds BETWEEN 1 AND 604800),
  overlap_policy TEXT NOT NULL DEFAULT 'skip' CONSTRAINT "integration_schedule.overlap_policy.choice" CHECK (overlap_policy IN ('skip', 'queue', 'allow')),  -- while an earlier run still runs: skip: the slot is not run; queue: it waits; allow: both run
  missed_execution_policy TEXT NOT NULL DEFAULT 'skip' CONSTRAINT "integration_schedule.missed_execution_policy.choice" CHECK (missed_execution_policy IN ('run_once', 'run_all', 'skip')),  -- of slots that passed while no runner ran: run_once: one run for all; run_all: one run each, in order; skip: none
  is_failure_notified INTEGER NOT NULL DEFAULT 1 CONSTRAINT "integration_schedule.is_failure_notified.boolean" CHECK (is_failure_notified IN (0, 1)),  -- do the recipients hear of a final failure?
  execution_parameters TEXT CONSTRAINT "integration_schedule.execution_parameters.json_object" CHECK (execution_parameters IS NULL OR CASE WHEN json_valid(execution_parameters) THEN json_type(execution_parameters) = 'object' ELSE 0 END),  -- settings for these runs only
  organization_id INTEGER DEFAULT 1 REFERENCES organization(id),  -- as its integration's
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "integration_schedule.cron_expression.required" CHECK (schedule_type <> 'cron' OR cron_expression IS NOT NULL),
  CONSTRAINT "integration_schedule.interval_minutes.required" CHECK (schedule_type <> 'interval' OR interval_minutes IS NOT NULL),
  CONSTRAINT "integration_schedule.next_run_at.required" CHECK (next_run_at IS NULL OR schedule_type NOT IN ('event_based', 'manual')),
  CONSTRAINT "integration_schedule.end_date.order" CHECK (start_date <= end_date)
) STRICT;
CREATE UNIQUE INDEX integration_schedule_name ON integration_schedule(COALESCE(organization_id, 0), schedule_name);
CREATE INDEX integration_schedule_due ON integration_schedule(next_run_at) WHERE status_id = 1;
CREATE INDEX integration_schedule_integration ON integration_schedule(integration_id);
CREATE INDEX integration_schedule_organization ON integration_schedule(organization_id);
CREATE INDEX integration_schedule_retry ON integration_schedule(json_extract(retry_policy, '$.attempts'));
CREATE TABLE integration_schedule_time (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  schedule_id INTEGER NOT NULL REFERENCES integration_schedule(id) ON DELETE CASCADE,
  time_of_day TEXT NOT NULL CONSTRAINT "integration_schedule_time.time_of_day.format" CHECK (time_of_day GLOB '[0-2][0-9]:[0-5][0-9]' AND time_of_day < '24:00'),  -- hours and minutes in the zone of the schedule
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "integration_schedule_time.time_of_day.unique" UNIQUE (schedule_id, time_of_day)
) STRICT;
CREATE TABLE integration_schedule_recipient (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  schedule_id INTEGER NOT NULL REFERENCES integration_schedule(id) ON DELETE CASCADE,
  user_id INTEGER NOT NULL REFERENCES user(id),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "integration_schedule_recipient.user_id.unique" UNIQUE (schedule_id, user_id)
) STRICT;
CREATE INDEX integration_schedule_recipient_user ON integration_schedule_recipient(user_id);
CREATE TABLE integration_execution_new (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "integration_execution.uuid.length" CHECK (length(uuid) = 36),
  integration_id INTEGER NOT NULL REFERENCES integration(id),
  pipeline_id INTEGER REFERENCES integration_pipeline_definition(id),  -- the way its records took
  trigger_kind TEXT NOT NULL DEFAULT 'manual' CONSTRAINT "integration_execution.trigger_kind.choice" CHECK (trigger_kind IN ('manual', 'schedule', 'event', 'replay')),  -- manual: by a person or a script; schedule: by the clock; event: by what happened; replay: to try records again
  execution_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "integration_execution.execution_status.choice" CHECK (execution_status IN ('pending', 'running', 'completed', 'failed', 'cancelled', 'interrupted')),  -- pending: not begun; running: has a living runner; completed: to the end; failed: stopped by an error; cancelled: by a person; interrupted: its process died or was stopped, the next run goes on from its checkpoint
  runner_id TEXT CONSTRAINT "integration_execution.runner_id.length" CHECK (length(runner_id) <= 100),  -- the process that may write for this run
  source_digest TEXT CONSTRAINT "integration_execution.source_digest.length" CHECK (length(source_digest) = 64),  -- of the settings that say what was read
  resumed_from_id INTEGER REFERENCES integration_execution(id),  -- the interrupted run this one goes on from
  started_at TEXT CONSTRAINT "integration_execution.started_at.time" CHECK (started_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', started_at, '+0 days') IS started_at),
  ended_at TEXT CONSTRAINT "integration_execution.ended_at.time" CHECK (ended_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', ended_at, '+0 days') IS ended_at),
  records_read INTEGER NOT NULL DEFAULT 0 CONSTRAINT "integration_execution.records_read.range" CHECK (records_read >= 0),
  records_written INTEGER NOT NULL DEFAULT 0 CONSTRAINT "integration_execution.records_written.range" CHECK (records_written >= 0),
  records_changed INTEGER NOT NULL DEFAULT 0 CONSTRAINT "integration_execution.records_changed.range" CHECK (records_changed >= 0),
  records_failed INTEGER NOT NULL DEFAULT 0 CONSTRAINT "integration_execution.records_failed.range" CHECK (records_failed >= 0),
  retry_count INTEGER NOT NULL DEFAULT 0 CONSTRAINT "integration_execution.retry_count.range" CHECK (retry_count >= 0),
  error_code TEXT CONSTRAINT "integration_execution.error_code.length" CHECK (length(error_code) <= 50),
  error_message TEXT,
  error_data TEXT CONSTRAINT "integration_execution.error_data.json_object" CHECK (error_data IS NULL OR CASE WHEN json_valid(error_data) THEN json_type(error_data) = 'object' ELSE 0 END),  -- what else is known of the error
  correlation_id TEXT NOT NULL CONSTRAINT "integration_execution.correlation_id.length" CHECK (length(correlation_id) BETWEEN 1 AND 100),
  organization_id INTEGER DEFAULT 1 REFERENCES organization(id),  -- as its integration's
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "integration_execution.resumed_from_id.cycle" CHECK (resumed_from_id IS NOT id),
  CONSTRAINT "integration_execution.ended_at.required" CHECK ((ended_at IS NULL) = (execution_status IN ('pending', 'running')))
) STRICT;
INSERT INTO integration_execution_new(id, uuid, integration_id, trigger_kind, execution_status, runner_id, source_digest, resumed_from_id, started_at, ended_at, records_read, records_written, records_changed, records_failed, retry_count, error_code, error_message, correlation_id, organization_id, status_id, created_by, updated_by, created_at, updated_at)
  SELECT id, uuid, integration_id, trigger_kind, execution_status, runner_id, source_digest, resumed_from_id, started_at, ended_at, records_read, records_written, records_changed, records_failed, retry_count, error_code, error_message, correlation_id, organization_id, status_id, created_by, updated_by, created_at, updated_at FROM integration_execution;
DROP TABLE integration_execution;
ALTER TABLE integration_execution_new RENAME TO integration_execution;

CREATE UNIQUE INDEX integration_execution_running ON integration_execution(integration_id) WHERE execution_status = 'running';
CREATE INDEX integration_execution_correlation ON integration_execution(correlation_id);
CREATE INDEX integration_execution_integration ON integration_execution(integration_id);
CREATE INDEX integration_execution_pipeline ON integration_execution(pipeline_id);
CREATE INDEX integration_execution_resumed_from ON integration_execution(resumed_from_id);
CREATE INDEX integration_execution_organization ON integration_execution(organization_id);
CREATE TABLE integration_schedule_execution (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  schedule_id INTEGER NOT NULL REFERENCES integration_schedule(id) ON DELETE CASCADE,
  execution_id INTEGER REFERENCES integration_execution(id),  -- the run it became, the last one if it was retried
  scheduled_at TEXT NOT NULL CONSTRAINT "integration_schedule_execution.scheduled_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', scheduled_at, '+0 days') IS scheduled_at),
  span_ended_at TEXT CONSTRAINT "integration_schedule_execution.span_ended_at.time" CHECK (span_ended_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', span_ended_at, '+0 days') IS span_ended_at),  -- the last due time the row stands for; NULL: scheduled_at alone
  slot_count INTEGER NOT NULL DEFAULT 1 CONSTRAINT "integration_schedule_execution.slot_count.range" CHECK (slot_count >= 1),  -- how many due times it stands for
  started_at TEXT CONSTRAINT "integration_schedule_execution.started_at.time" CHECK (started_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', started_at, '+0 days') IS started_at),
  ended_at TEXT CONSTRAINT "integration_schedule_execution.ended_at.time" CHECK (ended_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', ended_at, '+0 days') IS ended_at),
  execution_status TEXT NOT NULL DEFAULT 'scheduled' CONSTRAINT "integration_schedule_execution.execution_status.choice" CHECK (execution_status IN ('scheduled', 'running', 'completed', 'failed', 'cancelled', 'skipped')),  -- scheduled: waits to be started; running: its run runs or is retried; completed: to the end; failed: the last try failed; cancelled: by a person; skipped: not run, see reason
  reason TEXT CONSTRAINT "integration_schedule_execution.reason.choice" CHECK (reason IN ('overlap', 'missed', 'coalesced', 'paused', 'timeout')),  -- overlap: an earlier run still ran; missed: no runner ran; coalesced: a later run stands for it; paused: the schedule or its integration was off; timeout: stopped because it took too long
  records_processed INTEGER NOT NULL DEFAULT 0 CONSTRAINT "integration_schedule_execution.records_processed.range" CHECK (records_processed >= 0),
  error_count INTEGER NOT NULL DEFAULT 0 CONSTRAINT "integration_schedule_execution.error_count.range" CHECK (error_count >= 0),
  warning_count INTEGER NOT NULL DEFAULT 0 CONSTRAINT "integration_schedule_execution.warning_count.range" CHECK (warning_count >= 0),
  execution_notes TEXT,
  correlation_id TEXT NOT NULL CONSTRAINT "integration_schedule_execution.correlation_id.length" CHECK (length(correlation_id) BETWEEN 1 AND 100),
  organization_id INTEGER DEFAULT 1 REFERENCES organization(id),  -- as its schedule's
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "integration_schedule_execution.scheduled_at.unique" UNIQUE (schedule_id, scheduled_at),
  CONSTRAINT "integration_schedule_execution.span_ended_at.order" CHECK (scheduled_at <= span_ended_at),
  CONSTRAINT "integration_schedule_execution.started_at.required" CHECK (started_at IS NOT NULL OR execution_status NOT IN ('running', 'completed')),
  CONSTRAINT "integration_schedule_execution.ended_at.required" CHECK (ended_at IS NOT NULL OR execution_status NOT IN ('completed', 'failed')),
  CONSTRAINT "integration_schedule_execution.reason.required" CHECK (reason IS NOT NULL OR execution_status <> 'skipped')
) STRICT;
CREATE INDEX integration_schedule_execution_status ON integration_schedule_execution(schedule_id, execution_status, scheduled_at DESC);
CREATE INDEX integration_schedule_execution_execution ON integration_schedule_execution(execution_id);
CREATE INDEX integration_schedule_execution_correlation ON integration_schedule_execution(correlation_id);
CREATE INDEX integration_schedule_execution_organization ON integration_schedule_execution(organization_id);
CREATE TABLE integration_execution_communication (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  execution_id INTEGER NOT NULL REFERENCES integration_execution(id),
  communication_id INTEGER NOT NULL REFERENCES communication(id),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "integration_execution_communication.communication_id.unique" UNIQUE (execution_id, communication_id)
) STRICT;
CREATE INDEX integration_execution_communication_communication ON integration_execution_communication(communication_id);
CREATE TABLE integration_log_new (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  integration_id INTEGER NOT NULL REFERENCES integration(id),
  execution_id INTEGER REFERENCES integration_execution(id),
  communication_id INTEGER REFERENCES communication(id),  -- the exchange it was a try at; that one says which business rows it is about
  request_type TEXT NOT NULL CONSTRAINT "integration_log.request_type.length" CHECK (length(request_type) BETWEEN 1 AND 50),
  request_url TEXT CONSTRAINT "integration_log.request_url.length" CHECK (length(request_url) <= 500),  -- secrets masked
  request_data TEXT CONSTRAINT "integration_log.request_data.json_object" CHECK (request_data IS NULL OR CASE WHEN json_valid(request_data) THEN json_type(request_data) = 'object' ELSE 0 END),  -- secrets masked: ***
  response_data TEXT CONSTRAINT "integration_log.response_data.json_object" CHECK (response_data IS NULL OR CASE WHEN json_valid(response_data) THEN json_type(response_data) = 'object' ELSE 0 END),  -- secrets masked: ***
  response_code INTEGER CONSTRAINT "integration_log.response_code.range" CHECK (response_code BETWEEN 100 AND 999),  -- of HTTP
  response_time_ms INTEGER CONSTRAINT "integration_log.response_time_ms.range" CHECK (response_time_ms >= 0),
  is_success INTEGER NOT NULL DEFAULT 1 CONSTRAINT "integration_log.is_success.boolean" CHECK (is_success IN (0, 1)),
  error_message TEXT,
  retry_count INTEGER NOT NULL DEFAULT 0 CONSTRAINT "integration_log.retry_count.range" CHECK (retry_count >= 0),
  correlation_id TEXT NOT NULL CONSTRAINT "integration_log.correlation_id.length" CHECK (length(correlation_id) BETWEEN 1 AND 100),
  external_reference TEXT CONSTRAINT "integration_log.external_reference.length" CHECK (length(external_reference) <= 100),  -- the provider's own id of the exchange
  organization_id INTEGER DEFAULT 1 REFERENCES organization(id),  -- as its integration's
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
INSERT INTO integration_log_new(id, integration_id, execution_id, request_type, request_url, response_code, response_time_ms, is_success, error_message, retry_count, correlation_id, external_reference, organization_id, created_by, created_at)
  SELECT id, integration_id, execution_id, request_type, request_url, response_code, response_time_ms, is_success, error_message, retry_count, correlation_id, external_reference, (SELECT i.organization_id FROM integration i WHERE i.id = integration_id), created_by, created_at FROM integration_log;
DROP TABLE integration_log;
ALTER TABLE integration_log_new RENAME TO integration_log;

CREATE INDEX integration_log_correlation ON integration_log(correlation_id);
CREATE INDEX integration_log_created ON integration_log(created_at);
CREATE INDEX integration_log_integration ON integration_log(integration_id);
CREATE INDEX integration_log_execution ON integration_log(execution_id);
CREATE INDEX integration_log_communication ON integration_log(communication_id);
CREATE INDEX integration_log_created_by ON integration_log(created_by);
CREATE INDEX integration_log_organization ON integration_log(organization_id);
CREATE TABLE circuit_breaker (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  integration_id INTEGER NOT NULL REFERENCES integration(id) ON DELETE CASCADE,
  target TEXT NOT NULL CONSTRAINT "circuit_breaker.target.length" CHECK (length(target) BETWEEN 1 AND 200),  -- scheme://host:port
  breaker_status TEXT NOT NULL DEFAULT 'closed' CONSTRAINT "circuit_breaker.breaker_status.choice" CHECK (breaker_status IN ('closed', 'open', 'half_open')),  -- closed: calls pass; open: none passes before retry_at; half_open: one passes, to try
  failure_count INTEGER NOT NULL DEFAULT 0 CONSTRAINT "circuit_breaker.failure_count.range" CHECK (failure_count >= 0),  -- in a row
  opened_at TEXT CONSTRAINT "circuit_breaker.opened_at.time" CHECK (opened_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', opened_at, '+0 days') IS opened_at),
  retry_at TEXT CONSTRAINT "circuit_breaker.retry_at.time" CHECK (retry_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', retry_at, '+0 days') IS retry_at),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "circuit_breaker.target.unique" UNIQUE (integration_id, target),
  CONSTRAINT "circuit_breaker.opened_at.required" CHECK ((opened_at IS NULL) = (breaker_status = 'closed')),
  CONSTRAINT "circuit_breaker.retry_at.required" CHECK (retry_at IS NOT NULL OR breaker_status <> 'open'),
  CONSTRAINT "circuit_breaker.retry_at.order" CHECK (opened_at <= retry_at)
) STRICT;
CREATE TABLE rate_limit_window (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  limiter_key TEXT NOT NULL CONSTRAINT "rate_limit_window.limiter_key.length" CHECK (length(limiter_key) BETWEEN 1 AND 200),  -- what is limited, such as integration/7
  window_seconds INTEGER NOT NULL CONSTRAINT "rate_limit_window.window_seconds.range" CHECK (window_seconds BETWEEN 1 AND 31622400),
  window_started_at TEXT NOT NULL CONSTRAINT "rate_limit_window.window_started_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', window_started_at, '+0 days') IS window_started_at),
  used_count INTEGER NOT NULL DEFAULT 0 CONSTRAINT "rate_limit_window.used_count.range" CHECK (used_count >= 0),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "rate_limit_window.window_seconds.unique" UNIQUE (limiter_key, window_seconds)
) STRICT;
CREATE TABLE client_status (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "client_status.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "client_status.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  is_final_state INTEGER NOT NULL DEFAULT 0 CONSTRAINT "client_status.is_final_state.boolean" CHECK (is_final_state IN (0, 1)),  -- the relationship is over
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE TABLE subscription_status (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "subscription_status.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "subscription_status.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  is_entitled INTEGER NOT NULL DEFAULT 0 CONSTRAINT "subscription_status.is_entitled.boolean" CHECK (is_entitled IN (0, 1)),  -- may the client use what its tier includes?
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE TABLE client (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  organization_id INTEGER NOT NULL UNIQUE REFERENCES organization(id),  -- the client's own, one to one
  client_name TEXT NOT NULL CONSTRAINT "client.client_name.length" CHECK (length(client_name) BETWEEN 1 AND 200),
  company_name TEXT CONSTRAINT "client.company_name.length" CHECK (length(company_name) <= 200),
  contact_name TEXT CONSTRAINT "client.contact_name.length" CHECK (length(contact_name) <= 200),
  email TEXT CONSTRAINT "client.email.length" CHECK (length(email) <= 254),
  phone TEXT CONSTRAINT "client.phone.length" CHECK (length(phone) <= 50),
  address TEXT CONSTRAINT "client.address.length" CHECK (length(address) <= 200),
  city TEXT CONSTRAINT "client.city.length" CHECK (length(city) <= 100),
  state TEXT CONSTRAINT "client.state.length" CHECK (length(state) <= 50),
  postal_code TEXT CONSTRAINT "client.postal_code.length" CHECK (length(postal_code) <= 20),  -- text: leading zeros count
  client_status_id INTEGER NOT NULL REFERENCES client_status(id),
  assigned_manager_id INTEGER REFERENCES user(id),  -- who looks after it, and so may see it
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX client_client_status ON client(client_status_id);
CREATE INDEX client_assigned_manager ON client(assigned_manager_id);
CREATE INDEX client_created_by ON client(created_by);
CREATE TABLE client_billing_info (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "client_billing_info.uuid.length" CHECK (length(uuid) = 36),  -- binds the ciphertext to this row
  client_id INTEGER NOT NULL UNIQUE REFERENCES client(id),
  license_tier_id INTEGER NOT NULL REFERENCES license_tier(id),  -- the tier subscribed to
  subscription_status_id INTEGER NOT NULL REFERENCES subscription_status(id),
  billing_name TEXT CONSTRAINT "client_billing_info.billing_name.length" CHECK (length(billing_name) <= 200),
  billing_email TEXT CONSTRAINT "client_billing_info.billing_email.length" CHECK (length(billing_email) <= 254),
  billing_address TEXT CONSTRAINT "client_billing_info.billing_address.length" CHECK (length(billing_address) <= 500),
  payment_method_ciphertext BLOB CONSTRAINT "client_billing_info.payment_method_ciphertext.length" CHECK (length(payment_method_ciphertext) BETWEEN 29 AND 65536),  -- NULL: none on file
  encryption_key_id INTEGER REFERENCES encryption_key(id),
  period_start_date TEXT CONSTRAINT "client_billing_info.period_start_date.date" CHECK (period_start_date IS NULL OR date(period_start_date, '+0 days') IS period_start_date),  -- of what is paid for now
  period_end_date TEXT CONSTRAINT "client_billing_info.period_end_date.date" CHECK (period_end_date IS NULL OR date(period_end_date, '+0 days') IS period_end_date),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "client_billing_info.encryption_key_id.required" CHECK ((payment_method_ciphertext IS NULL) = (encryption_key_id IS NULL)),
  CONSTRAINT "client_billing_info.period_end_date.order" CHECK (period_start_date < period_end_date)
) STRICT;
CREATE INDEX client_billing_info_license_tier ON client_billing_info(license_tier_id);
CREATE INDEX client_billing_info_subscription_status ON client_billing_info(subscription_status_id);
CREATE INDEX client_billing_info_encryption_key ON client_billing_info(encryption_key_id);
CREATE TABLE deployment_template (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE CONSTRAINT "deployment_template.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "deployment_template.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  version TEXT NOT NULL CONSTRAINT "deployment_template.version.length" CHECK (length(version) BETWEEN 1 AND 20),
  template_data TEXT NOT NULL CONSTRAINT "deployment_template.template_data.json_object" CHECK (CASE WHEN json_valid(template_data) THEN json_type(template_data) = 'object' ELSE 0 END),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "deployment_template.version.unique" UNIQUE (code, version)
) STRICT;
CREATE TABLE client_deployment (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  client_id INTEGER NOT NULL REFERENCES client(id),
  environment_id INTEGER NOT NULL REFERENCES environment(id),
  deployment_template_id INTEGER REFERENCES deployment_template(id),
  configuration_id INTEGER REFERENCES configuration(id),  -- the settings it is deployed with
  version TEXT NOT NULL CONSTRAINT "client_deployment.version.length" CHECK (length(version) BETWEEN 1 AND 50),  -- of what is deployed
  deployment_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "client_deployment.deployment_status.choice" CHECK (deployment_status IN ('pending', 'in_progress', 'completed', 'failed', 'rolled_back')),  -- pending: not begun; in_progress: under way; completed: in place; failed: given up; rolled_back: what it did was undone
  url TEXT CONSTRAINT "client_deployment.url.length" CHECK (length(url) <= 500),  -- where the client reaches it
  started_at TEXT CONSTRAINT "client_deployment.started_at.time" CHECK (started_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', started_at, '+0 days') IS started_at),
  completed_at TEXT CONSTRAINT "client_deployment.completed_at.time" CHECK (completed_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', completed_at, '+0 days') IS completed_at),  -- when it ended, well or not
  error_message TEXT,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "client_deployment.started_at.required" CHECK (started_at IS NOT NULL OR deployment_status IN ('pending', 'failed')),
  CONSTRAINT "client_deployment.completed_at.required" CHECK ((completed_at IS NULL) = (deployment_status IN ('pending', 'in_progress'))),
  CONSTRAINT "client_deployment.completed_at.order" CHECK (started_at <= completed_at)
) STRICT;
CREATE INDEX client_deployment_client ON client_deployment(client_id);
CREATE INDEX client_deployment_environment ON client_deployment(environment_id);
CREATE INDEX client_deployment_deployment_template ON client_deployment(deployment_template_id);
CREATE INDEX client_deployment_configuration ON client_deployment(configuration_id);
CREATE INDEX client_deployment_open ON client_deployment(id) WHERE deployment_status IN ('pending', 'in_progress');
CREATE TABLE client_customization (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  client_id INTEGER NOT NULL REFERENCES client(id),
  deployment_template_id INTEGER NOT NULL REFERENCES deployment_template(id),
  customization_data TEXT NOT NULL CONSTRAINT "client_customization.customization_data.json_object" CHECK (CASE WHEN json_valid(customization_data) THEN json_type(customization_data) = 'object' ELSE 0 END),  -- laid over template_data
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "client_customization.deployment_template_id.unique" UNIQUE (client_id, deployment_template_id)
) STRICT;
CREATE INDEX client_customization_deployment_template ON client_customization(deployment_template_id);
CREATE TABLE consultation_session (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  organization_id INTEGER NOT NULL DEFAULT 1 REFERENCES organization(id),  -- who gives the advice; the client's own is that of client_id
  client_id INTEGER REFERENCES client(id),  -- NULL: a lead, not a client yet
  lead_name TEXT NOT NULL CONSTRAINT "consultation_session.lead_name.length" CHECK (length(lead_name) BETWEEN 1 AND 200),
  lead_email TEXT CONSTRAINT "consultation_session.lead_email.length" CHECK (length(lead_email) <= 254),
  lead_phone TEXT CONSTRAINT "consultation_session.lead_phone.length" CHECK (length(lead_phone) <= 50),
  lead_company TEXT CONSTRAINT "consultation_session.lead_company.length" CHECK (length(lead_company) <= 200),
  session_status TEXT NOT NULL DEFAULT 'scheduled' CONSTRAINT "consultation_session.session_status.choice" CHECK (session_status IN ('scheduled', 'in_progress', 'completed', 'converted', 'cancelled')),  -- scheduled: agreed upon; in_progress: under way; completed: held; converted: held, and the lead became client_id; cancelled: will not be held
  started_at TEXT CONSTRAINT "consultation_session.started_at.time" CHECK (started_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', started_at, '+0 days') IS started_at),
  completed_at TEXT CONSTRAINT "consultation_session.completed_at.time" CHECK (completed_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', completed_at, '+0 days') IS completed_at),  -- when it was over or called off
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "consultation_session.client_id.required" CHECK (client_id IS NOT NULL OR session_status <> 'converted'),
  CONSTRAINT "consultation_session.started_at.required" CHECK (started_at IS NOT NULL OR session_status IN ('scheduled', 'cancelled')),
  CONSTRAINT "consultation_session.completed_at.required" CHECK ((completed_at IS NULL) = (session_status IN ('scheduled', 'in_progress'))),
  CONSTRAINT "consultation_session.completed_at.order" CHECK (started_at <= completed_at)
) STRICT;
CREATE INDEX consultation_session_organization ON consultation_session(organization_id);
CREATE INDEX consultation_session_client ON consultation_session(client_id);
CREATE INDEX consultation_session_lead ON consultation_session(lead_email) WHERE client_id IS NULL;
CREATE TABLE questionnaire_submission (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  consultation_session_id INTEGER NOT NULL REFERENCES consultation_session(id),
  questionnaire_code TEXT NOT NULL CONSTRAINT "questionnaire_submission.questionnaire_code.length" CHECK (length(questionnaire_code) BETWEEN 1 AND 50),
  questionnaire_version TEXT NOT NULL CONSTRAINT "questionnaire_submission.questionnaire_version.length" CHECK (length(questionnaire_version) BETWEEN 1 AND 20),
  answers TEXT NOT NULL CONSTRAINT "questionnaire_submission.answers.json_object" CHECK (CASE WHEN json_valid(answers) THEN json_type(answers) = 'object' ELSE 0 END),
  submitted_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CONSTRAINT "questionnaire_submission.submitted_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', submitted_at, '+0 days') IS submitted_at),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX questionnaire_submission_consultation_session ON questionnaire_submission(consultation_session_id);
CREATE TABLE consultation_generation (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  consultation_session_id INTEGER NOT NULL REFERENCES consultation_session(id),
  questionnaire_submission_id INTEGER REFERENCES questionnaire_submission(id),  -- the answers it rests on
  model_registry_id INTEGER NOT NULL REFERENCES model_registry(id),  -- the model asked
  prompt TEXT NOT NULL CONSTRAINT "consultation_generation.prompt.json_object" CHECK (CASE WHEN json_valid(prompt) THEN json_type(prompt) = 'object' ELSE 0 END),
  result TEXT CONSTRAINT "consultation_generation.result.json_object" CHECK (result IS NULL OR CASE WHEN json_valid(result) THEN json_type(result) = 'object' ELSE 0 END),
  generation_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "consultation_generation.generation_status.choice" CHECK (generation_status IN ('pending', 'running', 'completed', 'failed')),  -- pending: not asked yet; running: asked; completed: answered; failed: no answer that could be used
  error_message TEXT,
  started_at TEXT CONSTRAINT "consultation_generation.started_at.time" CHECK (started_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', started_at, '+0 days') IS started_at),
  completed_at TEXT CONSTRAINT "consultation_generation.completed_at.time" CHECK (completed_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', completed_at, '+0 days') IS completed_at),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "consultation_generation.result.required" CHECK ((result IS NOT NULL) = (generation_status = 'completed')),
  CONSTRAINT "consultation_generation.completed_at.required" CHECK ((completed_at IS NULL) = (generation_status IN ('pending', 'running'))),
  CONSTRAINT "consultation_generation.completed_at.order" CHECK (started_at <= completed_at)
) STRICT;
CREATE INDEX consultation_generation_consultation_session ON consultation_generation(consultation_session_id);
CREATE INDEX consultation_generation_questionnaire_submission ON consultation_generation(questionnaire_submission_id);
CREATE INDEX consultation_generation_model_registry ON consultation_generation(model_registry_id);
CREATE TABLE consultation_analytics (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  consultation_session_id INTEGER NOT NULL REFERENCES consultation_session(id),
  metric_name TEXT NOT NULL CONSTRAINT "consultation_analytics.metric_name.length" CHECK (length(metric_name) BETWEEN 1 AND 100),
  metric_value REAL NOT NULL,
  recorded_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CONSTRAINT "consultation_analytics.recorded_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', recorded_at, '+0 days') IS recorded_at)
) STRICT;
CREATE INDEX consultation_analytics_consultation_session ON consultation_analytics(consultation_session_id);
CREATE INDEX consultation_analytics_metric ON consultation_analytics(metric_name, recorded_at);
CREATE TABLE workflow_type (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "workflow_type.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "workflow_type.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE TABLE workflow_template (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE CONSTRAINT "workflow_template.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "workflow_template.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  workflow_type_id INTEGER NOT NULL REFERENCES workflow_type(id),
  version TEXT NOT NULL CONSTRAINT "workflow_template.version.length" CHECK (length(version) BETWEEN 1 AND 20),
  definition TEXT NOT NULL CONSTRAINT "workflow_template.definition.json_object" CHECK (CASE WHEN json_valid(definition) THEN json_type(definition) = 'object' ELSE 0 END),  -- {"steps": [{"name", "type", "input"?, "max_retries"?}]}, done in this order
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "workflow_template.version.unique" UNIQUE (code, version)
) STRICT;
CREATE INDEX workflow_template_workflow_type ON workflow_template(workflow_type_id);
CREATE TABLE marketplace_category (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "marketplace_category.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "marketplace_category.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  parent_marketplace_category_id INTEGER REFERENCES marketplace_category(id) CONSTRAINT "marketplace_category.parent_marketplace_category_id.cycle" CHECK (parent_marketplace_category_id IS NOT id),
  sort_order INTEGER NOT NULL DEFAULT 0,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX marketplace_category_parent_marketplace_category ON marketplace_category(parent_marketplace_category_id);
CREATE TABLE pricing_model (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "pricing_model.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "pricing_model.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  is_recurring INTEGER NOT NULL DEFAULT 0 CONSTRAINT "pricing_model.is_recurring.boolean" CHECK (is_recurring IN (0, 1)),  -- paid anew every period
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE TABLE payment_status (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "payment_status.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "payment_status.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  is_paid INTEGER NOT NULL DEFAULT 0 CONSTRAINT "payment_status.is_paid.boolean" CHECK (is_paid IN (0, 1)),  -- the money is here and counts as revenue
  is_final_state INTEGER NOT NULL DEFAULT 0 CONSTRAINT "payment_status.is_final_state.boolean" CHECK (is_final_state IN (0, 1)),
  is_error_state INTEGER NOT NULL DEFAULT 0 CONSTRAINT "payment_status.is_error_state.boolean" CHECK (is_error_state IN (0, 1)),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE TABLE marketplace_module (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "marketplace_module.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "marketplace_module.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  version TEXT NOT NULL CONSTRAINT "marketplace_module.version.length" CHECK (length(version) BETWEEN 1 AND 20),
  module_kind TEXT NOT NULL DEFAULT 'module' CONSTRAINT "marketplace_module.module_kind.choice" CHECK (module_kind IN ('module', 'integration_template', 'deployment_template')),  -- module: a part of the product; integration_template: an integration to make one's own; deployment_template: a way to set up a system
  integration_template_id INTEGER REFERENCES integration_template(id),
  deployment_template_id INTEGER REFERENCES deployment_template(id),
  category_id INTEGER NOT NULL REFERENCES marketplace_category(id),
  developer_id INTEGER NOT NULL REFERENCES user(id),  -- who offers it
  pricing_model_id INTEGER NOT NULL REFERENCES pricing_model(id),
  price INTEGER NOT NULL DEFAULT 0 CONSTRAINT "marketplace_module.price.range" CHECK (price >= 0),  -- minor units of `currency`, per period where the pricing model recurs
  currency TEXT NOT NULL DEFAULT 'USD' CONSTRAINT "marketplace_module.currency.format" CHECK (currency GLOB '[A-Z][A-Z][A-Z]'),
  feature_id INTEGER REFERENCES feature(id),  -- what having it licenses; NULL: nothing
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "marketplace_module.integration_template_id.required" CHECK ((integration_template_id IS NULL) = (module_kind <> 'integration_template')),
  CONSTRAINT "marketplace_module.deployment_template_id.required" CHECK ((deployment_template_id IS NULL) = (module_kind <> 'deployment_template'))
) STRICT;
CREATE INDEX marketplace_module_integration_template ON marketplace_module(integration_template_id);
CREATE INDEX marketplace_module_deployment_template ON marketplace_module(deployment_template_id);
CREATE INDEX marketplace_module_category ON marketplace_module(category_id);
CREATE INDEX marketplace_module_developer ON marketplace_module(developer_id);
CREATE INDEX marketplace_module_pricing_model ON marketplace_module(pricing_model_id);
CREATE INDEX marketplace_module_feature ON marketplace_module(feature_id);
CREATE TABLE module_installation (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  client_id INTEGER NOT NULL REFERENCES client(id),
  module_id INTEGER NOT NULL REFERENCES marketplace_module(id),
  installed_version TEXT NOT NULL CONSTRAINT "module_installation.installed_version.length" CHECK (length(installed_version) BETWEEN 1 AND 20),
  installation_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "module_installation.installation_status.choice" CHECK (installation_status IN ('pending', 'active', 'inactive', 'failed', 'uninstalled')),  -- pending: to be installed; active: installed and in use; inactive: installed and switched off; failed: could not be installed; uninstalled: gone
  installed_at TEXT CONSTRAINT "module_installation.installed_at.time" CHECK (installed_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', installed_at, '+0 days') IS installed_at),
  uninstalled_at TEXT CONSTRAINT "module_installation.uninstalled_at.time" CHECK (uninstalled_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', uninstalled_at, '+0 days') IS uninstalled_at),
  error_message TEXT,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "module_installation.installed_at.required" CHECK (installed_at IS NOT NULL OR installation_status NOT IN ('active', 'inactive')),
  CONSTRAINT "module_installation.uninstalled_at.required" CHECK ((uninstalled_at IS NULL) = (installation_status <> 'uninstalled')),
  CONSTRAINT "module_installation.uninstalled_at.order" CHECK (installed_at <= uninstalled_at)
) STRICT;
CREATE UNIQUE INDEX module_installation_live ON module_installation(client_id, module_id) WHERE installation_status <> 'uninstalled';
CREATE INDEX module_installation_client ON module_installation(client_id, installation_status);
CREATE INDEX module_installation_module ON module_installation(module_id, installation_status);
CREATE TABLE client_app_override (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  client_id INTEGER NOT NULL REFERENCES client(id),
  app_code TEXT NOT NULL COLLATE NOCASE CONSTRAINT "client_app_override.app_code.length" CHECK (length(app_code) BETWEEN 1 AND 50),
  override_settings TEXT CONSTRAINT "client_app_override.override_settings.json_object" CHECK (override_settings IS NULL OR CASE WHEN json_valid(override_settings) THEN json_type(override_settings) = 'object' ELSE 0 END),  -- laid over the settings the application comes with
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "client_app_override.app_code.unique" UNIQUE (client_id, app_code)
) STRICT;
CREATE TABLE module_license (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "module_license.uuid.length" CHECK (length(uuid) = 36),  -- binds the ciphertext to this row
  client_id INTEGER NOT NULL REFERENCES client(id),
  module_id INTEGER NOT NULL REFERENCES marketplace_module(id),
  license_key_ciphertext BLOB CONSTRAINT "module_license.license_key_ciphertext.length" CHECK (length(license_key_ciphertext) BETWEEN 29 AND 4096),  -- NULL: the developer gives no keys
  license_key_hash TEXT UNIQUE CONSTRAINT "module_license.license_key_hash.length" CHECK (length(license_key_hash) = 64),  -- keyed, to find the row by its key
  encryption_key_id INTEGER REFERENCES encryption_key(id),
  seats INTEGER NOT NULL DEFAULT 1 CONSTRAINT "module_license.seats.range" CHECK (seats >= 1),
  expires_at TEXT CONSTRAINT "module_license.expires_at.time" CHECK (expires_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', expires_at, '+0 days') IS expires_at),  -- NULL: never
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "module_license.module_id.unique" UNIQUE (client_id, module_id),
  CONSTRAINT "module_license.license_key_ciphertext.required" CHECK ((license_key_ciphertext IS NULL) = (encryption_key_id IS NULL) AND (license_key_ciphertext IS NULL) = (license_key_hash IS NULL))
) STRICT;
CREATE INDEX module_license_module ON module_license(module_id);
CREATE INDEX module_license_encryption_key ON module_license(encryption_key_id);
CREATE TABLE module_review (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  module_id INTEGER NOT NULL REFERENCES marketplace_module(id),
  reviewed_by INTEGER NOT NULL REFERENCES user(id),
  client_id INTEGER REFERENCES client(id),  -- for whom the reviewer uses it
  rating INTEGER NOT NULL CONSTRAINT "module_review.rating.range" CHECK (rating BETWEEN 1 AND 5),
  review_text TEXT CONSTRAINT "module_review.review_text.length" CHECK (length(review_text) <= 10000),
  moderation_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "module_review.moderation_status.choice" CHECK (moderation_status IN ('pending', 'approved', 'rejected')),  -- pending: nobody has read it; approved: shown and counted; rejected: neither
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "module_review.reviewed_by.unique" UNIQUE (module_id, reviewed_by)
) STRICT;
CREATE INDEX module_review_rating ON module_review(module_id, rating) WHERE moderation_status = 'approved';
CREATE INDEX module_review_reviewed_by ON module_review(reviewed_by);
CREATE INDEX module_review_client ON module_review(client_id);
CREATE TABLE module_payment (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "module_payment.uuid.length" CHECK (length(uuid) = 36),  -- binds the ciphertext to this row
  client_id INTEGER NOT NULL REFERENCES client(id),
  module_id INTEGER NOT NULL REFERENCES marketplace_module(id),
  license_id INTEGER REFERENCES module_license(id),  -- what it pays for; NULL: there is none yet
  amount INTEGER NOT NULL CONSTRAINT "module_payment.amount.range" CHECK (amount >= 1),  -- minor units of `currency`
  fee INTEGER NOT NULL DEFAULT 0 CONSTRAINT "module_payment.fee.range" CHECK (fee BETWEEN 0 AND amount),  -- what the marketplace keeps of it
  currency TEXT NOT NULL DEFAULT 'USD' CONSTRAINT "module_payment.currency.format" CHECK (currency GLOB '[A-Z][A-Z][A-Z]'),
  payment_status_id INTEGER NOT NULL REFERENCES payment_status(id),
  payment_method_ciphertext BLOB CONSTRAINT "module_payment.payment_method_ciphertext.length" CHECK (length(payment_method_ciphertext) BETWEEN 29 AND 65536),
  encryption_key_id INTEGER REFERENCES encryption_key(id),
  provider_reference TEXT UNIQUE CONSTRAINT "module_payment.provider_reference.length" CHECK (length(provider_reference) BETWEEN 1 AND 100),  -- the payment provider's own id of it
  paid_at TEXT CONSTRAINT "module_payment.paid_at.time" CHECK (paid_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', paid_at, '+0 days') IS paid_at),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "module_payment.encryption_key_id.required" CHECK ((payment_method_ciphertext IS NULL) = (encryption_key_id IS NULL))
) STRICT;
CREATE INDEX module_payment_client ON module_payment(client_id);
CREATE INDEX module_payment_module ON module_payment(module_id);
CREATE INDEX module_payment_license ON module_payment(license_id);
CREATE INDEX module_payment_payment_status ON module_payment(payment_status_id);
CREATE INDEX module_payment_encryption_key ON module_payment(encryption_key_id);
CREATE TABLE module_submission (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  module_id INTEGER NOT NULL REFERENCES marketplace_module(id),
  submitted_version TEXT NOT NULL CONSTRAINT "module_submission.submitted_version.length" CHECK (length(submitted_version) BETWEEN 1 AND 20),
  submitted_by INTEGER NOT NULL REFERENCES user(id),
  submission_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "module_submission.submission_status.choice" CHECK (submission_status IN ('pending', 'changes_requested', 'approved', 'rejected', 'withdrawn')),  -- pending: waits for a moderator; changes_requested: waits for its developer; approved: may be published; rejected: may not; withdrawn: given up by its developer
  submitted_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CONSTRAINT "module_submission.submitted_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', submitted_at, '+0 days') IS submitted_at),
  decided_at TEXT CONSTRAINT "module_submission.decided_at.time" CHECK (decided_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', decided_at, '+0 days') IS decided_at),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "module_submission.decided_at.required" CHECK ((decided_at IS NULL) = (submission_status IN ('pending', 'changes_requested'))),
  CONSTRAINT "module_submission.decided_at.order" CHECK (submitted_at <= decided_at)
) STRICT;
CREATE UNIQUE INDEX module_submission_live ON module_submission(module_id, submitted_version) WHERE submission_status NOT IN ('rejected', 'withdrawn');
CREATE INDEX module_submission_module ON module_submission(module_id);
CREATE INDEX module_submission_submitted_by ON module_submission(submitted_by);
CREATE INDEX module_submission_open ON module_submission(submitted_at) WHERE submission_status = 'pending';
CREATE TABLE module_validation (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  submission_id INTEGER NOT NULL REFERENCES module_submission(id),
  check_name TEXT NOT NULL CONSTRAINT "module_validation.check_name.length" CHECK (length(check_name) BETWEEN 1 AND 100),
  validation_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "module_validation.validation_status.choice" CHECK (validation_status IN ('pending', 'passed', 'failed', 'skipped')),  -- pending: not done; passed: in order; failed: not in order; skipped: does not apply
  details TEXT CONSTRAINT "module_validation.details.json_object" CHECK (details IS NULL OR CASE WHEN json_valid(details) THEN json_type(details) = 'object' ELSE 0 END),
  score REAL CONSTRAINT "module_validation.score.range" CHECK (score BETWEEN 0 AND 100),  -- per cent
  validated_at TEXT CONSTRAINT "module_validation.validated_at.time" CHECK (validated_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', validated_at, '+0 days') IS validated_at),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "module_validation.check_name.unique" UNIQUE (submission_id, check_name),
  CONSTRAINT "module_validation.validated_at.required" CHECK ((validated_at IS NULL) = (validation_status = 'pending'))
) STRICT;
CREATE TABLE moderation_action (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  submission_id INTEGER NOT NULL REFERENCES module_submission(id),
  moderated_by INTEGER NOT NULL REFERENCES user(id),
  action TEXT NOT NULL CONSTRAINT "moderation_action.action.choice" CHECK (action IN ('approve', 'reject', 'request_changes', 'suspend')),  -- approve: may be published; reject: may not; request_changes: back to its developer; suspend: taken off the market
  reason TEXT CONSTRAINT "moderation_action.reason.length" CHECK (length(reason) BETWEEN 1 AND 2000),
  moderated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CONSTRAINT "moderation_action.moderated_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', moderated_at, '+0 days') IS moderated_at),
  CONSTRAINT "moderation_action.reason.required" CHECK (reason IS NOT NULL OR action = 'approve')
) STRICT;
CREATE INDEX moderation_action_submission ON moderation_action(submission_id);
CREATE INDEX moderation_action_moderated_by ON moderation_action(moderated_by);
CREATE TABLE package_type (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "package_type.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "package_type.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE TABLE delivery_method (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "delivery_method.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "delivery_method.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE TABLE metric_sample (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  metric TEXT NOT NULL CONSTRAINT "metric_sample.metric.length" CHECK (length(metric) BETWEEN 1 AND 100),  -- what was measured and its unit: event.lag_seconds
  labels TEXT NOT NULL DEFAULT '{}' CONSTRAINT "metric_sample.labels.json_object" CHECK (CASE WHEN json_valid(labels) THEN json_type(labels) = 'object' ELSE 0 END),  -- what it was measured of: {"integration": "files"}
  value REAL NOT NULL,
  sampled_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CONSTRAINT "metric_sample.sampled_at.time" CHECK (sampled_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', sampled_at, '+0 days') IS sampled_at)
) STRICT;
CREATE INDEX metric_sample_metric ON metric_sample(metric, sampled_at);
CREATE TABLE alert_rule (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "alert_rule.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "alert_rule.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  metric TEXT NOT NULL CONSTRAINT "alert_rule.metric.length" CHECK (length(metric) BETWEEN 1 AND 100),
  integration_id INTEGER REFERENCES integration(id),  -- NULL: not of one integration
  labels TEXT CONSTRAINT "alert_rule.labels.json_object" CHECK (labels IS NULL OR CASE WHEN json_valid(labels) THEN json_type(labels) = 'object' ELSE 0 END),  -- only samples that have these; NULL: all
  aggregation TEXT NOT NULL DEFAULT 'average' CONSTRAINT "alert_rule.aggregation.choice" CHECK (aggregation IN ('last', 'average', 'minimum', 'maximum', 'sum', 'p95')),  -- last: the newest sample; average: their mean; minimum: the least; maximum: the greatest; sum: all together; p95: what 95 in 100 do not exceed
  comparison TEXT NOT NULL DEFAULT 'above' CONSTRAINT "alert_rule.comparison.choice" CHECK (comparison IN ('above', 'at_least', 'below', 'at_most')),  -- above: more than the threshold; at_least: that or more; below: less; at_most: that or less
  threshold REAL NOT NULL,
  window_seconds INTEGER NOT NULL DEFAULT 300 CONSTRAINT "alert_rule.window_seconds.range" CHECK (window_seconds >= 1),
  severity TEXT NOT NULL DEFAULT 'warning' CONSTRAINT "alert_rule.severity.choice" CHECK (severity IN ('info', 'warning', 'critical')),  -- info: good to know; warning: look at it today; critical: look at it now
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX alert_rule_metric ON alert_rule(metric);
CREATE INDEX alert_rule_integration ON alert_rule(integration_id);
CREATE TABLE sla_target (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  integration_id INTEGER NOT NULL REFERENCES integration(id),
  metric TEXT NOT NULL CONSTRAINT "sla_target.metric.length" CHECK (length(metric) BETWEEN 1 AND 100),
  aggregation TEXT NOT NULL DEFAULT 'average' CONSTRAINT "sla_target.aggregation.choice" CHECK (aggregation IN ('last', 'average', 'minimum', 'maximum', 'sum', 'p95')),  -- last: the newest sample; average: their mean; minimum: the least; maximum: the greatest; sum: all together; p95: what 95 in 100 do not exceed
  comparison TEXT NOT NULL CONSTRAINT "sla_target.comparison.choice" CHECK (comparison IN ('at_least', 'at_most')),  -- at_least: the target or more keeps the promise; at_most: the target or less does
  target REAL NOT NULL,
  window_seconds INTEGER NOT NULL CONSTRAINT "sla_target.window_seconds.range" CHECK (window_seconds >= 1),  -- the time it is reckoned over
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "sla_target.metric.unique" UNIQUE (integration_id, metric)
) STRICT;
CREATE TABLE alert (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  alert_rule_id INTEGER REFERENCES alert_rule(id),
  sla_target_id INTEGER REFERENCES sla_target(id),
  subject TEXT CONSTRAINT "alert.subject.length" CHECK (length(subject) <= 200),  -- what it is about, where a rule watches several things
  alert_status TEXT NOT NULL DEFAULT 'open' CONSTRAINT "alert.alert_status.choice" CHECK (alert_status IN ('open', 'acknowledged', 'resolved')),  -- open: nobody has looked; acknowledged: somebody is at it; resolved: over
  observed_value REAL NOT NULL,
  threshold REAL NOT NULL,  -- the limit as it was then
  message TEXT NOT NULL CONSTRAINT "alert.message.length" CHECK (length(message) BETWEEN 1 AND 1000),
  opened_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CONSTRAINT "alert.opened_at.time" CHECK (opened_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', opened_at, '+0 days') IS opened_at),
  acknowledged_at TEXT CONSTRAINT "alert.acknowledged_at.time" CHECK (acknowledged_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', acknowledged_at, '+0 days') IS acknowledged_at),
  acknowledged_by INTEGER REFERENCES user(id),
  resolved_at TEXT CONSTRAINT "alert.resolved_at.time" CHECK (resolved_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', resolved_at, '+0 days') IS resolved_at),
  communication_id INTEGER REFERENCES communication(id),  -- the notification that was sent
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "alert.alert_rule_id.required" CHECK ((alert_rule_id IS NULL) <> (sla_target_id IS NULL)),
  CONSTRAINT "alert.acknowledged_at.required" CHECK ((acknowledged_at IS NULL) = (acknowledged_by IS NULL) AND (alert_status <> 'acknowledged' OR acknowledged_at IS NOT NULL)),
  CONSTRAINT "alert.resolved_at.required" CHECK ((resolved_at IS NULL) = (alert_status <> 'resolved')),
  CONSTRAINT "alert.resolved_at.order" CHECK (opened_at <= resolved_at)
) STRICT;
CREATE UNIQUE INDEX alert_open ON alert(COALESCE(alert_rule_id, 0), COALESCE(sla_target_id, 0), COALESCE(subject, '')) WHERE alert_status <> 'resolved';
CREATE INDEX alert_alert_rule ON alert(alert_rule_id);
CREATE INDEX alert_sla_target ON alert(sla_target_id);
CREATE INDEX alert_acknowledged_by ON alert(acknowledged_by);
CREATE INDEX alert_communication ON alert(communication_id);
CREATE TABLE dashboard (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "dashboard.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "dashboard.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  organization_id INTEGER REFERENCES organization(id),  -- NULL: shared by all
  definition TEXT NOT NULL CONSTRAINT "dashboard.definition.json_object" CHECK (CASE WHEN json_valid(definition) THEN json_type(definition) = 'object' ELSE 0 END),  -- {"figures": [{"name", "metric", "aggregation", "window_seconds", "labels"?}]}
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX dashboard_organization ON dashboard(organization_id);
CREATE TABLE sync_peer (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "sync_peer.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "sync_peer.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "sync_peer.uuid.length" CHECK (length(uuid) = 36),  -- binds the ciphertext to this row
  peer_kind TEXT NOT NULL CONSTRAINT "sync_peer.peer_kind.choice" CHECK (peer_kind IN ('folder', 'https', 'postgresql')),  -- folder: a mailbox, here or behind any storage address; https: a centre that answers; postgresql: a centre written to directly
  address TEXT NOT NULL CONSTRAINT "sync_peer.address.length" CHECK (length(address) BETWEEN 1 AND 500),  -- without secrets
  secret_ciphertext BLOB CONSTRAINT "sync_peer.secret_ciphertext.length" CHECK (length(secret_ciphertext) BETWEEN 29 AND 65536),  -- NULL: needs none
  encryption_key_id INTEGER REFERENCES encryption_key(id),
  public_key TEXT CONSTRAINT "sync_peer.public_key.length" CHECK (length(public_key) = 44),  -- Ed25519, in base64; NULL: its bundles are not taken
  site_uuid TEXT CONSTRAINT "sync_peer.site_uuid.length" CHECK (length(site_uuid) = 36),  -- the uuid of the other side's `system`, once known
  direction TEXT NOT NULL DEFAULT 'both' CONSTRAINT "sync_peer.direction.choice" CHECK (direction IN ('push', 'pull', 'both')),  -- push: our changes go there; pull: catalogues come from there; both: each
  epoch INTEGER NOT NULL DEFAULT 1 CONSTRAINT "sync_peer.epoch.range" CHECK (epoch >= 1),  -- rises when this file was restored or forked: what was agreed before counts no more
  last_pushed_seq INTEGER NOT NULL DEFAULT 0 CONSTRAINT "sync_peer.last_pushed_seq.range" CHECK (last_pushed_seq >= 0),  -- of our log, what it has confirmed
  last_pulled_seq INTEGER NOT NULL DEFAULT 0 CONSTRAINT "sync_peer.last_pulled_seq.range" CHECK (last_pulled_seq >= 0),  -- of its catalogues, what we have applied
  last_pushed_at TEXT CONSTRAINT "sync_peer.last_pushed_at.time" CHECK (last_pushed_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', last_pushed_at, '+0 days') IS last_pushed_at),
  last_pulled_at TEXT CONSTRAINT "sync_peer.last_pulled_at.time" CHECK (last_pulled_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', last_pulled_at, '+0 days') IS last_pulled_at),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "sync_peer.encryption_key_id.required" CHECK ((secret_ciphertext IS NULL) = (encryption_key_id IS NULL))
) STRICT;
CREATE INDEX sync_peer_encryption_key ON sync_peer(encryption_key_id);
CREATE TABLE sync_bundle (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  peer_id INTEGER NOT NULL REFERENCES sync_peer(id),
  direction TEXT NOT NULL CONSTRAINT "sync_bundle.direction.choice" CHECK (direction IN ('push', 'pull')),  -- push: ours, to the peer; pull: the peer's, to us
  epoch INTEGER NOT NULL CONSTRAINT "sync_bundle.epoch.range" CHECK (epoch >= 1),
  from_seq INTEGER NOT NULL CONSTRAINT "sync_bundle.from_seq.range" CHECK (from_seq >= 1),
  to_seq INTEGER NOT NULL CONSTRAINT "sync_bundle.to_seq.range" CHECK (to_seq >= 1),
  sha256 TEXT CONSTRAINT "sync_bundle.sha256.length" CHECK (length(sha256) = 64),  -- of the parcel; NULL: not made yet
  chain_hash TEXT CONSTRAINT "sync_bundle.chain_hash.length" CHECK (length(chain_hash) = 64),  -- the head of the sender's log at `to_seq`
  file_name TEXT CONSTRAINT "sync_bundle.file_name.length" CHECK (length(file_name) <= 200),  -- in the mailbox
  row_count INTEGER CONSTRAINT "sync_bundle.row_count.range" CHECK (row_count >= 0),
  byte_count INTEGER CONSTRAINT "sync_bundle.byte_count.range" CHECK (byte_count >= 0),
  bundle_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "sync_bundle.bundle_status.choice" CHECK (bundle_status IN ('pending', 'ready', 'sent', 'acknowledged', 'received', 'applied', 'rejected', 'failed')),  -- pending: to be made; ready: made, not gone; sent: on its way; acknowledged: the peer has applied it; received: come in; applied: its rows are here; rejected: not taken, for good; failed: an attempt came to nothing, the next may not
  settled_at TEXT CONSTRAINT "sync_bundle.settled_at.time" CHECK (settled_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', settled_at, '+0 days') IS settled_at),
  error_code TEXT CONSTRAINT "sync_bundle.error_code.length" CHECK (length(error_code) <= 50),
  error_message TEXT,
  correlation_id TEXT NOT NULL CONSTRAINT "sync_bundle.correlation_id.length" CHECK (length(correlation_id) BETWEEN 1 AND 100),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "sync_bundle.to_seq.order" CHECK (from_seq <= to_seq),
  CONSTRAINT "sync_bundle.sha256.required" CHECK (bundle_status IN ('pending', 'failed') OR sha256 IS NOT NULL),
  CONSTRAINT "sync_bundle.settled_at.required" CHECK ((settled_at IS NULL) = (bundle_status NOT IN ('acknowledged', 'applied', 'rejected'))),
  CONSTRAINT "sync_bundle.error_message.required" CHECK (bundle_status NOT IN ('rejected', 'failed') OR error_message IS NOT NULL),
  CONSTRAINT "sync_bundle.from_seq.unique" UNIQUE (peer_id, direction, epoch, from_seq)
) STRICT;
CREATE INDEX sync_bundle_open ON sync_bundle(peer_id, direction) WHERE bundle_status NOT IN ('acknowledged', 'applied', 'rejected');
CREATE TABLE sync_quarantine (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  bundle_id INTEGER NOT NULL REFERENCES sync_bundle(id),
  site_uuid TEXT NOT NULL CONSTRAINT "sync_quarantine.site_uuid.length" CHECK (length(site_uuid) = 36),  -- the file the row comes from
  table_name TEXT NOT NULL CONSTRAINT "sync_quarantine.table_name.length" CHECK (length(table_name) BETWEEN 1 AND 100),
  record_key TEXT NOT NULL CONSTRAINT "sync_quarantine.record_key.length" CHECK (length(record_key) BETWEEN 1 AND 200),
  record TEXT NOT NULL CONSTRAINT "sync_quarantine.record.json_object" CHECK (CASE WHEN json_valid(record) THEN json_type(record) = 'object' ELSE 0 END),  -- the row as it came
  reason_code TEXT NOT NULL CONSTRAINT "sync_quarantine.reason_code.length" CHECK (length(reason_code) BETWEEN 1 AND 50),
  reason TEXT NOT NULL CONSTRAINT "sync_quarantine.reason.length" CHECK (length(reason) BETWEEN 1 AND 1000),
  parent_sync_quarantine_id INTEGER REFERENCES sync_quarantine(id) CONSTRAINT "sync_quarantine.parent_sync_quarantine_id.cycle" CHECK (parent_sync_quarantine_id IS NOT id),  -- the row it waits for
  quarantine_status TEXT NOT NULL DEFAULT 'held' CONSTRAINT "sync_quarantine.quarantine_status.choice" CHECK (quarantine_status IN ('held', 'applied', 'discarded')),  -- held: waits for somebody; applied: went in after all; discarded: somebody decided against it
  resolved_at TEXT CONSTRAINT "sync_quarantine.resolved_at.time" CHECK (resolved_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', resolved_at, '+0 days') IS resolved_at),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "sync_quarantine.resolved_at.required" CHECK ((resolved_at IS NULL) = (quarantine_status = 'held')),
  CONSTRAINT "sync_quarantine.record_key.unique" UNIQUE (bundle_id, table_name, record_key)
) STRICT;
CREATE INDEX sync_quarantine_held ON sync_quarantine(site_uuid, table_name, record_key) WHERE quarantine_status = 'held';
CREATE INDEX sync_quarantine_parent_sync_quarantine ON sync_quarantine(parent_sync_quarantine_id);
DROP TABLE audit_pending;
-- Rows:
UPDATE integration_type SET feature_id = (SELECT f.id FROM feature f WHERE f.code = CASE integration_type.code
  WHEN 'DCS_DRIVER_API' THEN 'DCS_DRIVER_VERIFICATION' WHEN 'FILE_IMPORT' THEN 'FILE_IMPORTS' ELSE 'API_INTEGRATIONS' END)
WHERE feature_id = 0;
UPDATE integration_execution SET organization_id = (SELECT i.organization_id FROM integration i WHERE i.id = integration_id)
WHERE organization_id IS NOT (SELECT i.organization_id FROM integration i WHERE i.id = integration_id);

