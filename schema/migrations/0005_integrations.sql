-- Integrations whole: what goes out and what was answered, inputs that are kept, what came in by webhook, steps of every kind.

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
INSERT INTO integration_template_new(id, code, template_name, description, integration_type_id, template_category_id, version, is_certified, certification_date, certified_by, connection_template, mapping_templates, pipeline_template, transformation_library, test_suite, rate_limits, documentation_url, organization_id, status_id, created_by, updated_by, created_at, updated_at)
  SELECT id, code, template_name, description, integration_type_id, template_category_id, version, is_certified, certification_date, certified_by, connection_template, mapping_templates, pipeline_template, transformation_library, test_suite, rate_limits, documentation_url, organization_id, status_id, created_by, updated_by, created_at, updated_at FROM integration_template;
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
  records_filtered INTEGER NOT NULL DEFAULT 0 CONSTRAINT "integration_execution.records_filtered.range" CHECK (records_filtered >= 0),  -- left out by a step on purpose
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
INSERT INTO integration_execution_new(id, uuid, integration_id, pipeline_id, trigger_kind, execution_status, runner_id, source_digest, resumed_from_id, started_at, ended_at, records_read, records_written, records_changed, records_failed, retry_count, error_code, error_message, error_data, correlation_id, organization_id, status_id, created_by, updated_by, created_at, updated_at)
  SELECT id, uuid, integration_id, pipeline_id, trigger_kind, execution_status, runner_id, source_digest, resumed_from_id, started_at, ended_at, records_read, records_written, records_changed, records_failed, retry_count, error_code, error_message, error_data, correlation_id, organization_id, status_id, created_by, updated_by, created_at, updated_at FROM integration_execution;
DROP TABLE integration_execution;
ALTER TABLE integration_execution_new RENAME TO integration_execution;
CREATE UNIQUE INDEX integration_execution_running ON integration_execution(integration_id) WHERE execution_status = 'running';
CREATE INDEX integration_execution_correlation ON integration_execution(correlation_id);
CREATE INDEX integration_execution_integration ON integration_execution(integration_id);
CREATE INDEX integration_execution_pipeline ON integration_execution(pipeline_id);
CREATE INDEX integration_execution_resumed_from ON integration_execution(resumed_from_id);
CREATE INDEX integration_execution_organization ON integration_execution(organization_id);
CREATE TABLE dead_letter_new (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  integration_id INTEGER NOT NULL REFERENCES integration(id),
  execution_id INTEGER NOT NULL REFERENCES integration_execution(id),  -- the run that last met it
  record TEXT NOT NULL,  -- JSON, or the raw text where it was not even that
  record_digest TEXT NOT NULL CONSTRAINT "dead_letter.record_digest.length" CHECK (length(record_digest) BETWEEN 64 AND 64),  -- identifies it, so that meeting it again adds no row
  source_position TEXT NOT NULL CONSTRAINT "dead_letter.source_position.length" CHECK (length(source_position) BETWEEN 1 AND 200),  -- line 7; page 2 record 5
  step TEXT NOT NULL CONSTRAINT "dead_letter.step.choice" CHECK (step IN ('read', 'validate_in', 'map', 'transform', 'enrich', 'validate_out', 'write', 'send')),  -- where it failed; read: the source is not readable there; validate_in: the record is not as expected; map: a field did not become ours; transform: its logic refused it; enrich: what was to be added was not found; validate_out: what it became is not as expected; write: the target refused it; send: the other side refused it
  step_name TEXT CONSTRAINT "dead_letter.step_name.length" CHECK (length(step_name) BETWEEN 1 AND 100),  -- the pipeline's own name of the step
  step_record TEXT CONSTRAINT "dead_letter.step_record.json_object" CHECK (step_record IS NULL OR CASE WHEN json_valid(step_record) THEN json_type(step_record) = 'object' ELSE 0 END),  -- the record as it came to that step; NULL: as it came to the run
  error_code TEXT NOT NULL CONSTRAINT "dead_letter.error_code.length" CHECK (length(error_code) BETWEEN 1 AND 50),
  error_field TEXT CONSTRAINT "dead_letter.error_field.length" CHECK (length(error_field) <= 200),
  error_message TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 1 CONSTRAINT "dead_letter.attempts.range" CHECK (attempts >= 1),
  replay_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "dead_letter.replay_status.choice" CHECK (replay_status IN ('pending', 'replayed', 'discarded', 'superseded')),  -- pending: waits for somebody; replayed: went through; discarded: somebody decided against it; superseded: a later whole pass of the same source did not meet it again
  settled_at TEXT CONSTRAINT "dead_letter.settled_at.time" CHECK (settled_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', settled_at, '+0 days') IS settled_at),
  correlation_id TEXT NOT NULL CONSTRAINT "dead_letter.correlation_id.length" CHECK (length(correlation_id) BETWEEN 1 AND 100),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "dead_letter.settled_at.required" CHECK ((settled_at IS NULL) = (replay_status = 'pending')),
  CONSTRAINT "dead_letter.record_digest.unique" UNIQUE (integration_id, record_digest)
) STRICT;
INSERT INTO dead_letter_new(id, integration_id, execution_id, record, record_digest, source_position, step, error_code, error_field, error_message, attempts, replay_status, settled_at, correlation_id, status_id, created_by, updated_by, created_at, updated_at)
  SELECT id, integration_id, execution_id, record, record_digest, source_position, step, error_code, error_field, error_message, attempts, replay_status, settled_at, correlation_id, status_id, created_by, updated_by, created_at, updated_at FROM dead_letter;
DROP TABLE dead_letter;
ALTER TABLE dead_letter_new RENAME TO dead_letter;
CREATE INDEX dead_letter_pending ON dead_letter(integration_id) WHERE replay_status = 'pending';
CREATE INDEX dead_letter_execution ON dead_letter(execution_id);
CREATE TABLE integration_delivery (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  integration_id INTEGER NOT NULL REFERENCES integration(id),
  execution_id INTEGER REFERENCES integration_execution(id),  -- the run that sent it; NULL: a replay did
  record_key TEXT NOT NULL CONSTRAINT "integration_delivery.record_key.length" CHECK (length(record_key) BETWEEN 1 AND 200),  -- identifies the record in its source
  content_digest TEXT NOT NULL CONSTRAINT "integration_delivery.content_digest.length" CHECK (length(content_digest) BETWEEN 64 AND 64),  -- of what was sent
  idempotency_key TEXT NOT NULL CONSTRAINT "integration_delivery.idempotency_key.length" CHECK (length(idempotency_key) BETWEEN 1 AND 200),  -- what the other side knows a repeated delivery by
  delivery_status TEXT NOT NULL CONSTRAINT "integration_delivery.delivery_status.choice" CHECK (delivery_status IN ('sending', 'delivered', 'failed')),  -- sending: other content than this is on its way, and may have arrived; delivered: taken; failed: refused
  response_code INTEGER CONSTRAINT "integration_delivery.response_code.range" CHECK (response_code BETWEEN 100 AND 999),  -- of HTTP
  external_reference TEXT CONSTRAINT "integration_delivery.external_reference.length" CHECK (length(external_reference) <= 100),  -- the other side's own id of the record
  response_data TEXT CONSTRAINT "integration_delivery.response_data.json_object" CHECK (response_data IS NULL OR CASE WHEN json_valid(response_data) THEN json_type(response_data) = 'object' ELSE 0 END),  -- secrets masked: ***
  error_message TEXT,
  sent_at TEXT NOT NULL CONSTRAINT "integration_delivery.sent_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', sent_at, '+0 days') IS sent_at),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "integration_delivery.record_key.unique" UNIQUE (integration_id, record_key),
  CONSTRAINT "integration_delivery.error_message.required" CHECK (delivery_status <> 'failed' OR error_message IS NOT NULL)
) STRICT;
CREATE INDEX integration_delivery_execution ON integration_delivery(execution_id);
CREATE INDEX integration_delivery_failed ON integration_delivery(integration_id) WHERE delivery_status = 'failed';
CREATE TABLE integration_execution_input (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "integration_execution_input.uuid.length" CHECK (length(uuid) = 36),  -- what the content is sealed to
  execution_id INTEGER NOT NULL REFERENCES integration_execution(id),
  batch_number INTEGER NOT NULL CONSTRAINT "integration_execution_input.batch_number.range" CHECK (batch_number >= 1),
  record_count INTEGER NOT NULL CONSTRAINT "integration_execution_input.record_count.range" CHECK (record_count >= 0),
  records_zlib BLOB,  -- compressed JSON: {"positions", "records"}; never copied to the log
  records_ciphertext BLOB,  -- the same, sealed
  encryption_key_id INTEGER REFERENCES encryption_key(id),
  expires_at TEXT NOT NULL CONSTRAINT "integration_execution_input.expires_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', expires_at, '+0 days') IS expires_at),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "integration_execution_input.batch_number.unique" UNIQUE (execution_id, batch_number),
  CONSTRAINT "integration_execution_input.records_zlib.required" CHECK ((records_zlib IS NULL) <> (records_ciphertext IS NULL)),
  CONSTRAINT "integration_execution_input.encryption_key_id.required" CHECK ((records_ciphertext IS NULL) = (encryption_key_id IS NULL))
) STRICT;
CREATE INDEX integration_execution_input_expires_at ON integration_execution_input(expires_at);
CREATE INDEX integration_execution_input_encryption_key ON integration_execution_input(encryption_key_id);
CREATE TABLE webhook_receipt (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  integration_id INTEGER NOT NULL REFERENCES integration(id),
  event_id TEXT NOT NULL CONSTRAINT "webhook_receipt.event_id.length" CHECK (length(event_id) BETWEEN 1 AND 200),  -- the sender's own id of it: what is told twice is kept once
  content_type TEXT CONSTRAINT "webhook_receipt.content_type.length" CHECK (length(content_type) <= 100),
  headers TEXT NOT NULL DEFAULT '{}' CONSTRAINT "webhook_receipt.headers.json_object" CHECK (CASE WHEN json_valid(headers) THEN json_type(headers) = 'object' ELSE 0 END),  -- without those that prove who sent it
  body TEXT NOT NULL,
  received_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CONSTRAINT "webhook_receipt.received_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', received_at, '+0 days') IS received_at),
  organization_id INTEGER DEFAULT 1 REFERENCES organization(id),  -- as its integration's
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  CONSTRAINT "webhook_receipt.event_id.unique" UNIQUE (integration_id, event_id)
) STRICT;
CREATE INDEX webhook_receipt_received ON webhook_receipt(received_at);
CREATE INDEX webhook_receipt_organization ON webhook_receipt(organization_id);

-- Rows:
-- What ran in production before approvals were asked for goes on.
INSERT INTO approval(mapping_id, subject_version, approval_kind, decision, decided_by, note)
SELECT m.id, CAST(m.version AS TEXT), k.value, 'approved', 1, 'Live before approvals were asked for.'
FROM integration_mapping m, json_each('["technical_review","data_owner","security_validation","testing_sign_off"]') k
WHERE m.status_id = 1 AND (SELECT e.code FROM system s JOIN environment e ON e.id = s.environment_id) = 'PRODUCTION' COLLATE NOCASE;
