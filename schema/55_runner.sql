-- Runner: what ran, how far it came, and what was set aside.

-- One row is one run of an integration.
CREATE TABLE integration_execution (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "integration_execution.uuid.length" CHECK (length(uuid) = 36),
  integration_id INTEGER NOT NULL REFERENCES integration(id),
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
  correlation_id TEXT NOT NULL CONSTRAINT "integration_execution.correlation_id.length" CHECK (length(correlation_id) BETWEEN 1 AND 100),
  organization_id INTEGER REFERENCES organization(id),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "integration_execution.resumed_from_id.cycle" CHECK (resumed_from_id IS NOT id),
  CONSTRAINT "integration_execution.ended_at.required" CHECK ((ended_at IS NULL) = (execution_status IN ('pending', 'running')))
) STRICT;
CREATE UNIQUE INDEX integration_execution_running ON integration_execution(integration_id) WHERE execution_status = 'running';
CREATE INDEX integration_execution_correlation ON integration_execution(correlation_id);
CREATE INDEX integration_execution_integration ON integration_execution(integration_id);
CREATE INDEX integration_execution_resumed_from ON integration_execution(resumed_from_id);
CREATE INDEX integration_execution_organization ON integration_execution(organization_id);

CREATE TRIGGER integration_execution_final_bi BEFORE INSERT ON integration_execution BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|integration_execution|execution_status|final|A run that has ended does not change its state again.')
  FROM integration_execution WHERE (id = NEW.id OR uuid = NEW.uuid) AND execution_status NOT IN ('pending', 'running') AND execution_status IS NOT NEW.execution_status;
END;
CREATE TRIGGER integration_execution_final_bu BEFORE UPDATE OF execution_status ON integration_execution
WHEN OLD.execution_status NOT IN ('pending', 'running') AND NEW.execution_status IS NOT OLD.execution_status BEGIN
  SELECT RAISE(ABORT, 'EK|integration_execution|execution_status|final|A run that has ended does not change its state again.');
END;

-- One row is how far an integration has come: what the connector needs to go on.
CREATE TABLE integration_checkpoint (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  integration_id INTEGER NOT NULL UNIQUE REFERENCES integration(id) ON DELETE CASCADE,
  state TEXT NOT NULL CONSTRAINT "integration_checkpoint.state.json_object" CHECK (CASE WHEN json_valid(state) THEN json_type(state) = 'object' ELSE 0 END),
  execution_id INTEGER REFERENCES integration_execution(id),  -- the run that wrote it
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX integration_checkpoint_execution ON integration_checkpoint(execution_id);

-- One row is one attempt to reach the other side, kept for ever as it was.
CREATE TABLE integration_log (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  integration_id INTEGER NOT NULL REFERENCES integration(id),
  execution_id INTEGER REFERENCES integration_execution(id),
  request_type TEXT NOT NULL CONSTRAINT "integration_log.request_type.length" CHECK (length(request_type) BETWEEN 1 AND 50),
  request_url TEXT CONSTRAINT "integration_log.request_url.length" CHECK (length(request_url) <= 500),  -- secrets masked
  response_code INTEGER CONSTRAINT "integration_log.response_code.range" CHECK (response_code BETWEEN 100 AND 999),  -- of HTTP
  response_time_ms INTEGER CONSTRAINT "integration_log.response_time_ms.range" CHECK (response_time_ms >= 0),
  is_success INTEGER NOT NULL DEFAULT 1 CONSTRAINT "integration_log.is_success.boolean" CHECK (is_success IN (0, 1)),
  error_message TEXT,
  retry_count INTEGER NOT NULL DEFAULT 0 CONSTRAINT "integration_log.retry_count.range" CHECK (retry_count >= 0),
  correlation_id TEXT NOT NULL CONSTRAINT "integration_log.correlation_id.length" CHECK (length(correlation_id) BETWEEN 1 AND 100),
  external_reference TEXT CONSTRAINT "integration_log.external_reference.length" CHECK (length(external_reference) <= 100),  -- the provider's own id of the exchange
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX integration_log_correlation ON integration_log(correlation_id);
CREATE INDEX integration_log_created ON integration_log(created_at);
CREATE INDEX integration_log_integration ON integration_log(integration_id);
CREATE INDEX integration_log_execution ON integration_log(execution_id);
CREATE INDEX integration_log_created_by ON integration_log(created_by);

-- One row is a record that could not be used, kept as it came until it is replayed or discarded.
CREATE TABLE dead_letter (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  integration_id INTEGER NOT NULL REFERENCES integration(id),
  execution_id INTEGER NOT NULL REFERENCES integration_execution(id),  -- the run that last met it
  record TEXT NOT NULL,  -- JSON, or the raw text where it was not even that
  record_digest TEXT NOT NULL CONSTRAINT "dead_letter.record_digest.length" CHECK (length(record_digest) BETWEEN 64 AND 64),  -- identifies it, so that meeting it again adds no row
  source_position TEXT NOT NULL CONSTRAINT "dead_letter.source_position.length" CHECK (length(source_position) BETWEEN 1 AND 200),  -- line 7; page 2 record 5
  step TEXT NOT NULL CONSTRAINT "dead_letter.step.choice" CHECK (step IN ('read', 'validate_in', 'map', 'validate_out', 'write')),  -- where it failed; read: the source is not readable there; validate_in: the record is not as expected; map: a field did not become ours; validate_out: what it became is not as expected; write: the target refused it
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
CREATE INDEX dead_letter_pending ON dead_letter(integration_id) WHERE replay_status = 'pending';
CREATE INDEX dead_letter_execution ON dead_letter(execution_id);
