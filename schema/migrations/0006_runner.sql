-- The runner whole: slots of every kind, jobs that can be stopped, events in order, one row per life of a runner.

CREATE TABLE backup (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  path TEXT NOT NULL CONSTRAINT "backup.path.length" CHECK (length(path) BETWEEN 1 AND 4096),
  origin TEXT NOT NULL CONSTRAINT "backup.origin.choice" CHECK (origin IN ('daily', 'manual')),  -- daily: deleted when enough came after it; manual: never deleted
  is_encrypted INTEGER NOT NULL CONSTRAINT "backup.is_encrypted.boolean" CHECK (is_encrypted IN (0, 1)),
  bytes INTEGER NOT NULL CONSTRAINT "backup.bytes.range" CHECK (bytes >= 1),
  sha256 TEXT NOT NULL CONSTRAINT "backup.sha256.length" CHECK (length(sha256) = 64),  -- of the archive
  made_at TEXT NOT NULL CONSTRAINT "backup.made_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', made_at, '+0 days') IS made_at),
  verified_at TEXT NOT NULL CONSTRAINT "backup.verified_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', verified_at, '+0 days') IS verified_at),
  pruned_at TEXT CONSTRAINT "backup.pruned_at.time" CHECK (pruned_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', pruned_at, '+0 days') IS pruned_at)  -- when it was deleted to make room
) STRICT;
CREATE TABLE job_new (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "job.uuid.length" CHECK (length(uuid) = 36),
  kind TEXT NOT NULL CONSTRAINT "job.kind.length" CHECK (length(kind) BETWEEN 1 AND 100),  -- the handler a word has registered
  payload TEXT NOT NULL DEFAULT '{}' CONSTRAINT "job.payload.json_object" CHECK (CASE WHEN json_valid(payload) THEN json_type(payload) = 'object' ELSE 0 END),  -- what the handler is given
  job_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "job.job_status.choice" CHECK (job_status IN ('pending', 'running', 'completed', 'failed', 'cancelled', 'interrupted')),  -- pending: waits for its time; running: has a living runner; completed: done; failed: given up after the last attempt; cancelled: by a person; interrupted: its process died, it is to be taken up again
  run_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CONSTRAINT "job.run_at.time" CHECK (run_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', run_at, '+0 days') IS run_at),  -- not before
  priority INTEGER NOT NULL DEFAULT 5 CONSTRAINT "job.priority.range" CHECK (priority BETWEEN 0 AND 9),  -- of what is due, 0 goes first
  attempts INTEGER NOT NULL DEFAULT 0 CONSTRAINT "job.attempts.range" CHECK (attempts >= 0),
  max_attempts INTEGER NOT NULL DEFAULT 1 CONSTRAINT "job.max_attempts.range" CHECK (max_attempts >= 1),
  timeout_seconds INTEGER CONSTRAINT "job.timeout_seconds.range" CHECK (timeout_seconds BETWEEN 1 AND 604800),  -- of one attempt, which is stopped then; NULL: as its kind says
  cancel_requested_at TEXT CONSTRAINT "job.cancel_requested_at.time" CHECK (cancel_requested_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', cancel_requested_at, '+0 days') IS cancel_requested_at),  -- whoever runs it stops it then
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
INSERT INTO job_new(id, uuid, kind, payload, job_status, run_at, priority, attempts, max_attempts, runner_id, claimed_at, lease_ends_at, ended_at, dedupe_key, correlation_id, error_code, error_message, result, status_id, created_by, updated_by, created_at, updated_at)
  SELECT id, uuid, kind, payload, job_status, run_at, priority, attempts, max_attempts, runner_id, claimed_at, lease_ends_at, ended_at, dedupe_key, correlation_id, error_code, error_message, result, status_id, created_by, updated_by, created_at, updated_at FROM job;
DROP TABLE job;
ALTER TABLE job_new RENAME TO job;
CREATE UNIQUE INDEX job_dedupe ON job(kind, dedupe_key) WHERE dedupe_key IS NOT NULL AND job_status IN ('pending', 'running', 'interrupted');
CREATE INDEX job_due ON job(priority, run_at, id, kind) WHERE job_status = 'pending';
CREATE INDEX job_running ON job(lease_ends_at) WHERE job_status = 'running';
CREATE INDEX job_correlation ON job(correlation_id);
CREATE TABLE integration_event_new (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "integration_event.uuid.length" CHECK (length(uuid) = 36),
  event_type TEXT NOT NULL CONSTRAINT "integration_event.event_type.length" CHECK (length(event_type) BETWEEN 1 AND 100),
  event_source_id INTEGER NOT NULL REFERENCES event_source(id),
  event_target TEXT CONSTRAINT "integration_event.event_target.length" CHECK (length(event_target) <= 100),
  event_payload TEXT NOT NULL CONSTRAINT "integration_event.event_payload.json_object" CHECK (CASE WHEN json_valid(event_payload) THEN json_type(event_payload) = 'object' ELSE 0 END),
  ordering_key TEXT CONSTRAINT "integration_event.ordering_key.length" CHECK (length(ordering_key) BETWEEN 1 AND 200),  -- events with the same one reach each listener one after the other, in their order; NULL: in any
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
  SELECT id, uuid, event_type, event_source_id, event_target, event_payload, event_metadata, processing_status, processing_error, processed_at, correlation_id, causation_id, organization_id, status_id, created_by, updated_by, created_at, updated_at FROM integration_event;
DROP TABLE integration_event;
ALTER TABLE integration_event_new RENAME TO integration_event;
CREATE INDEX integration_event_pending ON integration_event(id) WHERE processing_status = 'pending';
CREATE INDEX integration_event_event_type ON integration_event(event_type);
CREATE INDEX integration_event_created ON integration_event(created_at);
CREATE INDEX integration_event_correlation ON integration_event(correlation_id);
CREATE INDEX integration_event_event_source ON integration_event(event_source_id);
CREATE INDEX integration_event_organization ON integration_event(organization_id);
CREATE TABLE event_subscription_new (
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
  last_event_id INTEGER NOT NULL DEFAULT 0 CONSTRAINT "event_subscription.last_event_id.range" CHECK (last_event_id >= 0),  -- its cursor: every event up to here has become a delivery, or is none of its
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
INSERT INTO event_subscription_new(id, code, name, description, event_type, event_source_id, organization_id, handler_kind, handler_config, max_attempts, status_id, created_by, updated_by, created_at, updated_at)
  SELECT id, code, name, description, event_type, event_source_id, organization_id, handler_kind, handler_config, max_attempts, status_id, created_by, updated_by, created_at, updated_at FROM event_subscription;
DROP TABLE event_subscription;
ALTER TABLE event_subscription_new RENAME TO event_subscription;
CREATE INDEX event_subscription_event_source ON event_subscription(event_source_id);
CREATE INDEX event_subscription_organization ON event_subscription(organization_id);
CREATE TABLE event_delivery_new (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  event_id INTEGER NOT NULL REFERENCES integration_event(id),
  subscription_id INTEGER NOT NULL REFERENCES event_subscription(id),
  ordering_key TEXT CONSTRAINT "event_delivery.ordering_key.length" CHECK (length(ordering_key) BETWEEN 1 AND 200),  -- as its event's
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
INSERT INTO event_delivery_new(id, event_id, subscription_id, idempotency_key, delivery_status, attempts, next_attempt_at, settled_at, error_code, error_message, status_id, created_by, updated_by, created_at, updated_at)
  SELECT id, event_id, subscription_id, idempotency_key, delivery_status, attempts, next_attempt_at, settled_at, error_code, error_message, status_id, created_by, updated_by, created_at, updated_at FROM event_delivery;
DROP TABLE event_delivery;
ALTER TABLE event_delivery_new RENAME TO event_delivery;
CREATE INDEX event_delivery_open ON event_delivery(subscription_id, ordering_key, event_id) WHERE delivery_status IN ('pending', 'delivering');
CREATE INDEX event_delivery_subscription ON event_delivery(subscription_id);
CREATE TABLE integration_schedule_new (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  schedule_name TEXT NOT NULL COLLATE NOCASE CONSTRAINT "integration_schedule.schedule_name.length" CHECK (length(schedule_name) BETWEEN 1 AND 100),
  integration_id INTEGER NOT NULL REFERENCES integration(id) ON DELETE CASCADE,
  schedule_type TEXT NOT NULL CONSTRAINT "integration_schedule.schedule_type.choice" CHECK (schedule_type IN ('cron', 'interval', 'fixed_time', 'event_based', 'manual')),  -- cron: when cron_expression matches; interval: every interval_minutes; fixed_time: at its times of day; event_based: when an event of event_type comes; manual: by command only
  cron_expression TEXT
    CONSTRAINT "integration_schedule.cron_expression.length" CHECK (length(cron_expression) <= 200)
    CONSTRAINT "integration_schedule.cron_expression.format" CHECK (cron_expression GLOB '?* ?* ?* ?* ?*' AND cron_expression NOT GLOB '*[^-A-Za-z0-9*/,? #]*'),  -- minute hour day month weekday
  interval_minutes INTEGER CONSTRAINT "integration_schedule.interval_minutes.range" CHECK (interval_minutes BETWEEN 1 AND 527040),
  event_type TEXT CONSTRAINT "integration_schedule.event_type.length" CHECK (length(event_type) BETWEEN 1 AND 100),  -- NULL: any event that names the integration
  after_event_id INTEGER NOT NULL DEFAULT 0 CONSTRAINT "integration_schedule.after_event_id.range" CHECK (after_event_id >= 0),  -- event_based: events up to here were told before it listened; 0: those from before the row are
  timezone TEXT NOT NULL DEFAULT 'UTC'
    CONSTRAINT "integration_schedule.timezone.length" CHECK (length(timezone) BETWEEN 1 AND 64)
    CONSTRAINT "integration_schedule.timezone.format" CHECK (timezone GLOB '[A-Z]*' AND timezone NOT GLOB '*[^-A-Za-z0-9_+/]*'),  -- as IANA names it; times and days are of this zone
  start_date TEXT CONSTRAINT "integration_schedule.start_date.date" CHECK (start_date IS NULL OR date(start_date, '+0 days') IS start_date),  -- no run before this day
  end_date TEXT CONSTRAINT "integration_schedule.end_date.date" CHECK (end_date IS NULL OR date(end_date, '+0 days') IS end_date),  -- none after it
  next_run_at TEXT CONSTRAINT "integration_schedule.next_run_at.time" CHECK (next_run_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', next_run_at, '+0 days') IS next_run_at),
  last_run_at TEXT CONSTRAINT "integration_schedule.last_run_at.time" CHECK (last_run_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', last_run_at, '+0 days') IS last_run_at),
  retry_policy TEXT CONSTRAINT "integration_schedule.retry_policy.json_object" CHECK (retry_policy IS NULL OR CASE WHEN json_valid(retry_policy) THEN json_type(retry_policy) = 'object' ELSE 0 END),  -- {"attempts", "delay_seconds", "multiplier"}; what is missing comes from the configuration
  execution_timeout_seconds INTEGER NOT NULL DEFAULT 300 CONSTRAINT "integration_schedule.execution_timeout_seconds.range" CHECK (execution_timeout_seconds BETWEEN 1 AND 604800),
  overlap_policy TEXT NOT NULL DEFAULT 'skip' CONSTRAINT "integration_schedule.overlap_policy.choice" CHECK (overlap_policy IN ('skip', 'queue_one', 'queue_all', 'cancel_running', 'allow')),  -- while an earlier run still runs: skip: the slot is not run; queue_one: it waits, one at most; queue_all: all wait, in order; cancel_running: the earlier run is stopped for it; allow: both run
  missed_execution_policy TEXT NOT NULL DEFAULT 'skip' CONSTRAINT "integration_schedule.missed_execution_policy.choice" CHECK (missed_execution_policy IN ('run_once', 'run_all', 'skip')),  -- of slots that passed while no runner ran: run_once: one run for all; run_all: one run each, in order; skip: none
  grace_seconds INTEGER NOT NULL DEFAULT 300 CONSTRAINT "integration_schedule.grace_seconds.range" CHECK (grace_seconds BETWEEN 0 AND 604800),  -- a slot that is taken up this late is not yet missed
  catch_up_limit INTEGER NOT NULL DEFAULT 24 CONSTRAINT "integration_schedule.catch_up_limit.range" CHECK (catch_up_limit BETWEEN 1 AND 1000),  -- run_all runs the last so many of what was missed
  catch_up_delay_seconds INTEGER NOT NULL DEFAULT 10 CONSTRAINT "integration_schedule.catch_up_delay_seconds.range" CHECK (catch_up_delay_seconds BETWEEN 0 AND 86400),  -- between two of them
  jitter_seconds INTEGER NOT NULL DEFAULT 0 CONSTRAINT "integration_schedule.jitter_seconds.range" CHECK (jitter_seconds BETWEEN 0 AND 86400),  -- a run begins up to so much later, so that not all begin at once
  pause_reason TEXT CONSTRAINT "integration_schedule.pause_reason.length" CHECK (length(pause_reason) BETWEEN 1 AND 500),  -- why it is paused, for people
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
INSERT INTO integration_schedule_new(id, schedule_name, integration_id, schedule_type, cron_expression, interval_minutes, event_type, after_event_id, timezone, start_date, end_date, next_run_at, last_run_at, retry_policy, execution_timeout_seconds, overlap_policy, missed_execution_policy, is_failure_notified, execution_parameters, organization_id, status_id, created_by, updated_by, created_at, updated_at)
  SELECT id, schedule_name, integration_id, schedule_type, cron_expression, interval_minutes, event_type, (SELECT ifnull(max(id), 0) FROM integration_event), timezone, start_date, end_date, next_run_at, last_run_at, retry_policy, execution_timeout_seconds, CASE overlap_policy WHEN 'queue' THEN 'queue_all' ELSE overlap_policy END, missed_execution_policy, is_failure_notified, execution_parameters, organization_id, status_id, created_by, updated_by, created_at, updated_at FROM integration_schedule;
DROP TABLE integration_schedule;
ALTER TABLE integration_schedule_new RENAME TO integration_schedule;
CREATE UNIQUE INDEX integration_schedule_name ON integration_schedule(COALESCE(organization_id, 0), schedule_name);
CREATE INDEX integration_schedule_due ON integration_schedule(next_run_at, status_id) WHERE next_run_at IS NOT NULL;
CREATE INDEX integration_schedule_unplanned ON integration_schedule(id) WHERE next_run_at IS NULL AND schedule_type NOT IN ('event_based', 'manual');
CREATE INDEX integration_schedule_integration ON integration_schedule(integration_id);
CREATE INDEX integration_schedule_organization ON integration_schedule(organization_id);
CREATE INDEX integration_schedule_retry ON integration_schedule(json_extract(retry_policy, '$.attempts'));
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
  is_concurrent INTEGER NOT NULL DEFAULT 0 CONSTRAINT "integration_execution.is_concurrent.boolean" CHECK (is_concurrent IN (0, 1)),  -- runs beside another run of its integration: from the beginning, and leaves the checkpoint alone
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
INSERT INTO integration_execution_new(id, uuid, integration_id, pipeline_id, trigger_kind, execution_status, runner_id, source_digest, resumed_from_id, started_at, ended_at, records_read, records_written, records_changed, records_failed, records_filtered, retry_count, error_code, error_message, error_data, correlation_id, organization_id, status_id, created_by, updated_by, created_at, updated_at)
  SELECT id, uuid, integration_id, pipeline_id, trigger_kind, execution_status, runner_id, source_digest, resumed_from_id, started_at, ended_at, records_read, records_written, records_changed, records_failed, records_filtered, retry_count, error_code, error_message, error_data, correlation_id, organization_id, status_id, created_by, updated_by, created_at, updated_at FROM integration_execution;
DROP TABLE integration_execution;
ALTER TABLE integration_execution_new RENAME TO integration_execution;
CREATE UNIQUE INDEX integration_execution_running ON integration_execution(integration_id) WHERE execution_status = 'running' AND is_concurrent = 0;
CREATE INDEX integration_execution_correlation ON integration_execution(correlation_id);
CREATE INDEX integration_execution_integration ON integration_execution(integration_id);
CREATE INDEX integration_execution_pipeline ON integration_execution(pipeline_id);
CREATE INDEX integration_execution_resumed_from ON integration_execution(resumed_from_id);
CREATE INDEX integration_execution_organization ON integration_execution(organization_id);
CREATE TABLE integration_schedule_execution_new (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  schedule_id INTEGER NOT NULL REFERENCES integration_schedule(id) ON DELETE CASCADE,
  slot_kind TEXT NOT NULL DEFAULT 'due' CONSTRAINT "integration_schedule_execution.slot_kind.choice" CHECK (slot_kind IN ('due', 'event', 'backfill', 'manual')),  -- due: by the clock; event: an event started it; backfill: a past due time run later, by command; manual: by command, now
  event_id INTEGER REFERENCES integration_event(id),  -- the event that started it
  job_id INTEGER REFERENCES job(id),  -- the job that runs it
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
  CONSTRAINT "integration_schedule_execution.event_id.unique" UNIQUE (event_id, schedule_id),
  CONSTRAINT "integration_schedule_execution.span_ended_at.order" CHECK (scheduled_at <= span_ended_at),
  CONSTRAINT "integration_schedule_execution.started_at.required" CHECK (started_at IS NOT NULL OR execution_status NOT IN ('running', 'completed')),
  CONSTRAINT "integration_schedule_execution.ended_at.required" CHECK (ended_at IS NOT NULL OR execution_status NOT IN ('completed', 'failed')),
  CONSTRAINT "integration_schedule_execution.reason.required" CHECK (reason IS NOT NULL OR execution_status <> 'skipped'),
  CONSTRAINT "integration_schedule_execution.event_id.required" CHECK ((event_id IS NULL) = (slot_kind <> 'event'))
) STRICT;
INSERT INTO integration_schedule_execution_new(id, schedule_id, execution_id, scheduled_at, span_ended_at, slot_count, started_at, ended_at, execution_status, reason, records_processed, error_count, warning_count, execution_notes, correlation_id, organization_id, status_id, created_by, updated_by, created_at, updated_at)
  SELECT id, schedule_id, execution_id, scheduled_at, span_ended_at, slot_count, started_at, ended_at, execution_status, reason, records_processed, error_count, warning_count, execution_notes, correlation_id, organization_id, status_id, created_by, updated_by, created_at, updated_at FROM integration_schedule_execution;
DROP TABLE integration_schedule_execution;
ALTER TABLE integration_schedule_execution_new RENAME TO integration_schedule_execution;
CREATE UNIQUE INDEX integration_schedule_execution_due ON integration_schedule_execution(schedule_id, scheduled_at) WHERE slot_kind = 'due';
CREATE INDEX integration_schedule_execution_status ON integration_schedule_execution(schedule_id, execution_status, scheduled_at DESC);
CREATE INDEX integration_schedule_execution_scheduled ON integration_schedule_execution(schedule_id, scheduled_at);
CREATE INDEX integration_schedule_execution_open ON integration_schedule_execution(schedule_id, job_id, scheduled_at) WHERE execution_status IN ('scheduled', 'running');
CREATE INDEX integration_schedule_execution_job ON integration_schedule_execution(job_id);
CREATE INDEX integration_schedule_execution_execution ON integration_schedule_execution(execution_id);
CREATE INDEX integration_schedule_execution_correlation ON integration_schedule_execution(correlation_id);
CREATE INDEX integration_schedule_execution_organization ON integration_schedule_execution(organization_id);
CREATE TABLE runner_session (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  runner_id TEXT NOT NULL UNIQUE CONSTRAINT "runner_session.runner_id.length" CHECK (length(runner_id) BETWEEN 1 AND 100),
  process_id INTEGER NOT NULL CONSTRAINT "runner_session.process_id.range" CHECK (process_id >= 0),
  host_name TEXT CONSTRAINT "runner_session.host_name.length" CHECK (length(host_name) <= 255),
  app_version TEXT NOT NULL CONSTRAINT "runner_session.app_version.length" CHECK (length(app_version) BETWEEN 1 AND 50),
  started_at TEXT NOT NULL CONSTRAINT "runner_session.started_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', started_at, '+0 days') IS started_at),
  ended_at TEXT CONSTRAINT "runner_session.ended_at.time" CHECK (ended_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', ended_at, '+0 days') IS ended_at),  -- of one that died, when the next one found it
  end_reason TEXT CONSTRAINT "runner_session.end_reason.choice" CHECK (end_reason IN ('stopped', 'died')),  -- stopped: it ended by itself or was asked to; died: it left without a word
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "runner_session.end_reason.required" CHECK ((ended_at IS NULL) = (end_reason IS NULL))
) STRICT;
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
  span_id TEXT CONSTRAINT "integration_log.span_id.length" CHECK (length(span_id) = 16),  -- in the traceparent that was sent
  organization_id INTEGER DEFAULT 1 REFERENCES organization(id),  -- as its integration's
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
INSERT INTO integration_log_new(id, integration_id, execution_id, communication_id, request_type, request_url, request_data, response_data, response_code, response_time_ms, is_success, error_message, retry_count, correlation_id, external_reference, organization_id, created_by, created_at)
  SELECT id, integration_id, execution_id, communication_id, request_type, request_url, request_data, response_data, response_code, response_time_ms, is_success, error_message, retry_count, correlation_id, external_reference, organization_id, created_by, created_at FROM integration_log;
DROP TABLE integration_log;
ALTER TABLE integration_log_new RENAME TO integration_log;
CREATE INDEX integration_log_correlation ON integration_log(correlation_id);
CREATE INDEX integration_log_created ON integration_log(created_at);
CREATE INDEX integration_log_integration ON integration_log(integration_id);
CREATE INDEX integration_log_execution ON integration_log(execution_id);
CREATE INDEX integration_log_communication ON integration_log(communication_id);
CREATE INDEX integration_log_created_by ON integration_log(created_by);
CREATE INDEX integration_log_organization ON integration_log(organization_id);
CREATE TABLE rate_limit_window_new (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  limiter_key TEXT NOT NULL CONSTRAINT "rate_limit_window.limiter_key.length" CHECK (length(limiter_key) BETWEEN 1 AND 200),  -- what is limited, such as integration/7
  window_seconds INTEGER NOT NULL CONSTRAINT "rate_limit_window.window_seconds.range" CHECK (window_seconds BETWEEN 1 AND 31622400),
  window_started_at TEXT NOT NULL CONSTRAINT "rate_limit_window.window_started_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', window_started_at, '+0 days') IS window_started_at),
  used_count INTEGER NOT NULL DEFAULT 0 CONSTRAINT "rate_limit_window.used_count.range" CHECK (used_count >= 0),
  recent_uses TEXT NOT NULL DEFAULT '{}' CONSTRAINT "rate_limit_window.recent_uses.json_object" CHECK (CASE WHEN json_valid(recent_uses) THEN json_type(recent_uses) = 'object' ELSE 0 END),  -- {"shares": [[first, last, count], …]} in ms after window_started_at
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "rate_limit_window.window_seconds.unique" UNIQUE (limiter_key, window_seconds)
) STRICT;
INSERT INTO rate_limit_window_new(id, limiter_key, window_seconds, window_started_at, used_count, status_id, created_by, updated_by, created_at, updated_at)
  SELECT id, limiter_key, window_seconds, window_started_at, used_count, status_id, created_by, updated_by, created_at, updated_at FROM rate_limit_window;
DROP TABLE rate_limit_window;
ALTER TABLE rate_limit_window_new RENAME TO rate_limit_window;
CREATE TABLE notification (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id INTEGER NOT NULL REFERENCES user(id),
  topic TEXT NOT NULL CONSTRAINT "notification.topic.length" CHECK (length(topic) BETWEEN 1 AND 100),  -- the type of the event
  subject TEXT NOT NULL COLLATE NOCASE CONSTRAINT "notification.subject.length" CHECK (length(subject) BETWEEN 1 AND 200),  -- what it happened to
  message TEXT NOT NULL,  -- what happened the last time
  hint TEXT,  -- what can be done about it
  occurrences INTEGER NOT NULL DEFAULT 1 CONSTRAINT "notification.occurrences.range" CHECK (occurrences >= 1),
  occurred_at TEXT NOT NULL CONSTRAINT "notification.occurred_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', occurred_at, '+0 days') IS occurred_at),  -- the first time
  last_occurred_at TEXT NOT NULL CONSTRAINT "notification.last_occurred_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', last_occurred_at, '+0 days') IS last_occurred_at),
  recovered_at TEXT CONSTRAINT "notification.recovered_at.time" CHECK (recovered_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', recovered_at, '+0 days') IS recovered_at),  -- since then it is well again
  told_before INTEGER NOT NULL DEFAULT 0 CONSTRAINT "notification.told_before.range" CHECK (told_before >= 0),  -- how often they were told the same without calm between: the more, the later it is told again
  due_at TEXT NOT NULL CONSTRAINT "notification.due_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', due_at, '+0 days') IS due_at),  -- not to be told before
  notification_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "notification.notification_status.choice" CHECK (notification_status IN ('pending', 'told', 'dropped')),  -- pending: waits for its time; told: went out with a communication; dropped: not told, see drop_reason
  drop_reason TEXT CONSTRAINT "notification.drop_reason.choice" CHECK (drop_reason IN ('recovered', 'failed_again', 'muted', 'disabled')),  -- recovered: it was well again before it was told; failed_again: well again, but not for long; muted: the user wants to hear nothing of it; disabled: nobody is told of such things, or not this user any more
  settled_at TEXT CONSTRAINT "notification.settled_at.time" CHECK (settled_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', settled_at, '+0 days') IS settled_at),  -- when it was told or dropped
  communication_id INTEGER REFERENCES communication(id),  -- what told it
  correlation_id TEXT NOT NULL CONSTRAINT "notification.correlation_id.length" CHECK (length(correlation_id) BETWEEN 1 AND 100),  -- of what happened the last time
  organization_id INTEGER NOT NULL DEFAULT 1 REFERENCES organization(id),  -- where it happened
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "notification.last_occurred_at.order" CHECK (occurred_at <= last_occurred_at),
  CONSTRAINT "notification.settled_at.required" CHECK ((settled_at IS NULL) = (notification_status = 'pending')),
  CONSTRAINT "notification.communication_id.required" CHECK ((communication_id IS NULL) = (notification_status <> 'told')),
  CONSTRAINT "notification.drop_reason.required" CHECK ((drop_reason IS NULL) = (notification_status <> 'dropped'))
) STRICT;
CREATE UNIQUE INDEX notification_pending ON notification(user_id, organization_id, subject, topic) WHERE notification_status = 'pending';
CREATE INDEX notification_due ON notification(due_at) WHERE notification_status = 'pending';
CREATE INDEX notification_user ON notification(user_id, subject);
CREATE INDEX notification_communication ON notification(communication_id);
CREATE INDEX notification_organization ON notification(organization_id);

-- Rows:
-- What types of configuration know by now; what somebody has written there stays.
UPDATE configuration_type SET schema_definition = json_insert(schema_definition, '$.properties.circuit_breaker_counts_429', json('{"type":"boolean"}'))
WHERE code IN ('COMMUNICATION_DEFAULTS', 'DCS_RETRY') AND json_type(schema_definition, '$.properties') = 'object'
  AND json_type(schema_definition, '$.properties.circuit_breaker_counts_429') IS NULL;
-- Files of schema 3 took any key there; where nobody has used that, a misspelt one is told by now.
UPDATE configuration_type AS t SET schema_definition = json_insert(schema_definition, '$.additionalProperties', json('false'))
WHERE code IN ('COMMUNICATION_DEFAULTS', 'DCS_LIMITS', 'DCS_RETRY', 'SYSTEM_CONFIGURATION') AND json_type(schema_definition, '$.properties') = 'object'
  AND json_type(schema_definition, '$.additionalProperties') IS NULL
  AND NOT EXISTS (SELECT 1 FROM configuration c, json_each(c.config_data) k
    WHERE c.configuration_type_id = t.id AND json_type(t.schema_definition, '$.properties.' || json_quote(k.key)) IS NULL);
UPDATE integration_type SET description = 'Records from files of any kind, here or on other machines'
WHERE code = 'FILE_IMPORT' AND description = 'Records from CSV, NDJSON or JSON files';
