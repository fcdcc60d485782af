-- Runner: when to run, what ran, how far it came, and what was set aside.

-- One row says when an integration runs. The runner works out `next_run_at`; NULL makes it do so anew.
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
CREATE UNIQUE INDEX integration_schedule_name ON integration_schedule(COALESCE(organization_id, 0), schedule_name);
CREATE INDEX integration_schedule_due ON integration_schedule(next_run_at, status_id) WHERE next_run_at IS NOT NULL;
CREATE INDEX integration_schedule_unplanned ON integration_schedule(id) WHERE next_run_at IS NULL AND schedule_type NOT IN ('event_based', 'manual');
CREATE INDEX integration_schedule_integration ON integration_schedule(integration_id);
CREATE INDEX integration_schedule_organization ON integration_schedule(organization_id);
CREATE INDEX integration_schedule_retry ON integration_schedule(json_extract(retry_policy, '$.attempts'));

CREATE TRIGGER integration_schedule_organization_bi BEFORE INSERT ON integration_schedule BEGIN
  SELECT RAISE(ABORT, 'EK|integration_schedule|organization_id|organization|A row belongs to the organization of its integration.')
  FROM integration WHERE id = NEW.integration_id AND organization_id IS NOT NEW.organization_id;
END;
CREATE TRIGGER integration_schedule_organization_bu BEFORE UPDATE OF integration_id, organization_id ON integration_schedule BEGIN
  SELECT RAISE(ABORT, 'EK|integration_schedule|organization_id|organization|A row belongs to the organization of its integration.')
  FROM integration WHERE id = NEW.integration_id AND organization_id IS NOT NEW.organization_id;
END;

CREATE TRIGGER integration_schedule_execution_parameters_secret_bi BEFORE INSERT ON integration_schedule WHEN json_valid(NEW.execution_parameters) BEGIN
  SELECT RAISE(ABORT, 'EK|integration_schedule|execution_parameters|secret|A setting is named like a secret. Secrets belong in the vault: edgekit vault set INTEGRATION KEY.')
  FROM json_tree(NEW.execution_parameters) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;

CREATE TRIGGER integration_schedule_execution_parameters_secret_bu BEFORE UPDATE OF execution_parameters ON integration_schedule WHEN json_valid(NEW.execution_parameters) BEGIN
  SELECT RAISE(ABORT, 'EK|integration_schedule|execution_parameters|secret|A setting is named like a secret. Secrets belong in the vault: edgekit vault set INTEGRATION KEY.')
  FROM json_tree(NEW.execution_parameters) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;

-- A next run worked out for other times would be wrong.
CREATE TRIGGER integration_schedule_next_run_at_bu BEFORE UPDATE OF schedule_type, cron_expression, interval_minutes, timezone ON integration_schedule
WHEN NEW.next_run_at IS NOT NULL AND NEW.next_run_at IS OLD.next_run_at AND (NEW.schedule_type IS NOT OLD.schedule_type
  OR NEW.cron_expression IS NOT OLD.cron_expression OR NEW.interval_minutes IS NOT OLD.interval_minutes OR NEW.timezone IS NOT OLD.timezone) BEGIN
  SELECT RAISE(ABORT, 'EK|integration_schedule|next_run_at|stale|The next run was worked out for the former times: set next_run_at to NULL with them, and the runner does it anew.');
END;

-- One row is a time of day at which a schedule runs.
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

-- A schedule at fixed times is made inactive (status 2), given its times, and then made active.
CREATE TRIGGER integration_schedule_times_ai AFTER INSERT ON integration_schedule WHEN NEW.schedule_type = 'fixed_time' AND NEW.status_id = 1 BEGIN
  SELECT RAISE(ABORT, 'EK|integration_schedule|schedule_type|times|A schedule at fixed times needs one before it is active: add it with status 2, then its times, then set status 1.')
  WHERE NOT EXISTS (SELECT 1 FROM integration_schedule_time WHERE schedule_id = NEW.id AND status_id = 1);
END;
CREATE TRIGGER integration_schedule_times_bu BEFORE UPDATE OF schedule_type, status_id ON integration_schedule WHEN NEW.schedule_type = 'fixed_time' AND ifnull(NEW.status_id, 1) = 1 BEGIN
  SELECT RAISE(ABORT, 'EK|integration_schedule|schedule_type|times|A schedule at fixed times needs one before it is active: add its times first, then set status 1.')
  WHERE NOT EXISTS (SELECT 1 FROM integration_schedule_time WHERE schedule_id = NEW.id AND status_id = 1);
END;
CREATE TRIGGER integration_schedule_time_kept_ai AFTER INSERT ON integration_schedule_time BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|integration_schedule_time|schedule_id|times|An active schedule at fixed times keeps at least one: pause it first.')
  FROM integration_schedule s WHERE s.status_id = 1 AND s.schedule_type = 'fixed_time' AND NOT EXISTS (SELECT 1 FROM integration_schedule_time WHERE schedule_id = s.id AND status_id = 1);
END;
CREATE TRIGGER integration_schedule_time_kept_au AFTER UPDATE OF schedule_id, time_of_day, status_id ON integration_schedule_time BEGIN
  SELECT RAISE(ABORT, 'EK|integration_schedule_time|schedule_id|times|An active schedule at fixed times keeps at least one: pause it first.')
  FROM integration_schedule s WHERE s.status_id = 1 AND s.schedule_type = 'fixed_time' AND NOT EXISTS (SELECT 1 FROM integration_schedule_time WHERE schedule_id = s.id AND status_id = 1);
END;
CREATE TRIGGER integration_schedule_time_kept_ad AFTER DELETE ON integration_schedule_time BEGIN
  SELECT RAISE(ABORT, 'EK|integration_schedule_time|schedule_id|times|An active schedule at fixed times keeps at least one: pause it first.')
  FROM integration_schedule s WHERE s.id = OLD.schedule_id AND s.status_id = 1 AND s.schedule_type = 'fixed_time' AND NOT EXISTS (SELECT 1 FROM integration_schedule_time WHERE schedule_id = s.id AND status_id = 1);
END;

-- One row is a user who hears of a schedule's final failures.
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

-- One row is one run of an integration.
CREATE TABLE integration_execution (
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
CREATE UNIQUE INDEX integration_execution_running ON integration_execution(integration_id) WHERE execution_status = 'running' AND is_concurrent = 0;
CREATE INDEX integration_execution_correlation ON integration_execution(correlation_id);
CREATE INDEX integration_execution_integration ON integration_execution(integration_id);
CREATE INDEX integration_execution_pipeline ON integration_execution(pipeline_id);
CREATE INDEX integration_execution_resumed_from ON integration_execution(resumed_from_id);
CREATE INDEX integration_execution_organization ON integration_execution(organization_id);

CREATE TRIGGER integration_execution_final_bi BEFORE INSERT ON integration_execution
WHEN NEW.id <> -1 OR EXISTS (SELECT 1 FROM integration_execution WHERE uuid = NEW.uuid) BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|integration_execution|execution_status|final|A run that has ended does not change its state again.')
  FROM integration_execution WHERE (id = NEW.id OR uuid = NEW.uuid) AND execution_status NOT IN ('pending', 'running') AND execution_status IS NOT NEW.execution_status;
END;
CREATE TRIGGER integration_execution_final_bu BEFORE UPDATE OF execution_status ON integration_execution
WHEN OLD.execution_status NOT IN ('pending', 'running') AND NEW.execution_status IS NOT OLD.execution_status BEGIN
  SELECT RAISE(ABORT, 'EK|integration_execution|execution_status|final|A run that has ended does not change its state again.');
END;
CREATE TRIGGER integration_execution_begun_bi BEFORE INSERT ON integration_execution
WHEN NEW.id <> -1 OR EXISTS (SELECT 1 FROM integration_execution WHERE uuid = NEW.uuid) BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|integration_execution|execution_status|transition|A run is pending, then running, then ended; it never goes back.')
  FROM integration_execution WHERE (id = NEW.id OR uuid = NEW.uuid) AND instr(' running>pending pending>completed pending>interrupted ', ' ' || execution_status || '>' || ifnull(NEW.execution_status, 'pending') || ' ') > 0;
END;
CREATE TRIGGER integration_execution_begun_bu BEFORE UPDATE OF execution_status ON integration_execution
WHEN instr(' running>pending pending>completed pending>interrupted ', ' ' || OLD.execution_status || '>' || ifnull(NEW.execution_status, 'pending') || ' ') > 0 BEGIN
  SELECT RAISE(ABORT, 'EK|integration_execution|execution_status|transition|A run is pending, then running, then ended; it never goes back.');
END;

CREATE TRIGGER integration_execution_organization_bi BEFORE INSERT ON integration_execution BEGIN
  SELECT RAISE(ABORT, 'EK|integration_execution|organization_id|organization|A row belongs to the organization of its integration.')
  FROM integration WHERE id = NEW.integration_id AND organization_id IS NOT NEW.organization_id;
END;
CREATE TRIGGER integration_execution_organization_bu BEFORE UPDATE OF integration_id, organization_id ON integration_execution BEGIN
  SELECT RAISE(ABORT, 'EK|integration_execution|organization_id|organization|A row belongs to the organization of its integration.')
  FROM integration WHERE id = NEW.integration_id AND organization_id IS NOT NEW.organization_id;
END;

-- One row is a due time of a schedule, or a span of them, and what became of it.
CREATE TABLE integration_schedule_execution (
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
CREATE UNIQUE INDEX integration_schedule_execution_due ON integration_schedule_execution(schedule_id, scheduled_at) WHERE slot_kind = 'due';
CREATE INDEX integration_schedule_execution_status ON integration_schedule_execution(schedule_id, execution_status, scheduled_at DESC);
CREATE INDEX integration_schedule_execution_scheduled ON integration_schedule_execution(schedule_id, scheduled_at);
CREATE INDEX integration_schedule_execution_open ON integration_schedule_execution(schedule_id, job_id, scheduled_at) WHERE execution_status IN ('scheduled', 'running');
CREATE INDEX integration_schedule_execution_job ON integration_schedule_execution(job_id);
CREATE INDEX integration_schedule_execution_execution ON integration_schedule_execution(execution_id);
CREATE INDEX integration_schedule_execution_correlation ON integration_schedule_execution(correlation_id);
CREATE INDEX integration_schedule_execution_organization ON integration_schedule_execution(organization_id);

CREATE TRIGGER integration_schedule_execution_final_bi BEFORE INSERT ON integration_schedule_execution
WHEN NEW.id <> -1 OR EXISTS (SELECT 1 FROM integration_schedule_execution WHERE schedule_id = NEW.schedule_id AND (scheduled_at = NEW.scheduled_at OR event_id = NEW.event_id)) BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|integration_schedule_execution|execution_status|final|A slot that is settled does not change its state again.')
  FROM integration_schedule_execution WHERE (id = NEW.id OR (schedule_id = NEW.schedule_id AND scheduled_at = NEW.scheduled_at AND slot_kind = 'due' AND ifnull(NEW.slot_kind, 'due') = 'due') OR (event_id = NEW.event_id AND schedule_id = NEW.schedule_id))
    AND execution_status NOT IN ('scheduled', 'running') AND execution_status IS NOT NEW.execution_status;
END;
CREATE TRIGGER integration_schedule_execution_final_bu BEFORE UPDATE OF execution_status ON integration_schedule_execution
WHEN OLD.execution_status NOT IN ('scheduled', 'running') AND NEW.execution_status IS NOT OLD.execution_status BEGIN
  SELECT RAISE(ABORT, 'EK|integration_schedule_execution|execution_status|final|A slot that is settled does not change its state again.');
END;
CREATE TRIGGER integration_schedule_execution_begun_bi BEFORE INSERT ON integration_schedule_execution
WHEN NEW.id <> -1 OR EXISTS (SELECT 1 FROM integration_schedule_execution WHERE schedule_id = NEW.schedule_id AND (scheduled_at = NEW.scheduled_at OR event_id = NEW.event_id)) BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|integration_schedule_execution|execution_status|transition|A slot is scheduled, then running or skipped, then settled; it never goes back.')
  FROM integration_schedule_execution WHERE (id = NEW.id OR (schedule_id = NEW.schedule_id AND scheduled_at = NEW.scheduled_at AND slot_kind = 'due' AND ifnull(NEW.slot_kind, 'due') = 'due') OR (event_id = NEW.event_id AND schedule_id = NEW.schedule_id))
    AND instr(' running>scheduled running>skipped scheduled>completed ', ' ' || execution_status || '>' || ifnull(NEW.execution_status, 'scheduled') || ' ') > 0;
END;
CREATE TRIGGER integration_schedule_execution_begun_bu BEFORE UPDATE OF execution_status ON integration_schedule_execution
WHEN instr(' running>scheduled running>skipped scheduled>completed ', ' ' || OLD.execution_status || '>' || ifnull(NEW.execution_status, 'scheduled') || ' ') > 0 BEGIN
  SELECT RAISE(ABORT, 'EK|integration_schedule_execution|execution_status|transition|A slot is scheduled, then running or skipped, then settled; it never goes back.');
END;

CREATE TRIGGER integration_schedule_execution_organization_bi BEFORE INSERT ON integration_schedule_execution BEGIN
  SELECT RAISE(ABORT, 'EK|integration_schedule_execution|organization_id|organization|A row belongs to the organization of its schedule.')
  FROM integration_schedule WHERE id = NEW.schedule_id AND organization_id IS NOT NEW.organization_id;
END;
CREATE TRIGGER integration_schedule_execution_organization_bu BEFORE UPDATE OF schedule_id, organization_id ON integration_schedule_execution BEGIN
  SELECT RAISE(ABORT, 'EK|integration_schedule_execution|organization_id|organization|A row belongs to the organization of its schedule.')
  FROM integration_schedule WHERE id = NEW.schedule_id AND organization_id IS NOT NEW.organization_id;
END;

CREATE TRIGGER integration_schedule_owner_bi BEFORE INSERT ON integration_schedule BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|integration_schedule|organization_id|organization|A schedule that has run stays in its organization.')
  WHERE EXISTS (SELECT 1 FROM integration_schedule_execution WHERE schedule_id = NEW.id AND organization_id IS NOT NEW.organization_id);
END;
CREATE TRIGGER integration_schedule_owner_bu BEFORE UPDATE OF organization_id ON integration_schedule WHEN NEW.organization_id IS NOT OLD.organization_id BEGIN
  SELECT RAISE(ABORT, 'EK|integration_schedule|organization_id|organization|A schedule that has run stays in its organization.')
  WHERE EXISTS (SELECT 1 FROM integration_schedule_execution WHERE schedule_id = NEW.id AND organization_id IS NOT NEW.organization_id);
END;

-- One row is one life of a runner, from its start to its end. Whether the last one lives is said by its lock file.
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

-- One row says that a run made a communication.
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

-- A run of an organization makes its communications only; one of a shared integration makes anybody's.
CREATE TRIGGER integration_execution_communication_organization_bi BEFORE INSERT ON integration_execution_communication BEGIN
  SELECT RAISE(ABORT, 'EK|integration_execution_communication|communication_id|organization|A communication belongs to the organization of its run.')
  FROM integration_execution e, communication c WHERE e.id = NEW.execution_id AND c.id = NEW.communication_id AND e.organization_id <> c.organization_id;
END;
CREATE TRIGGER integration_execution_communication_organization_bu BEFORE UPDATE OF execution_id, communication_id ON integration_execution_communication BEGIN
  SELECT RAISE(ABORT, 'EK|integration_execution_communication|communication_id|organization|A communication belongs to the organization of its run.')
  FROM integration_execution e, communication c WHERE e.id = NEW.execution_id AND c.id = NEW.communication_id AND e.organization_id <> c.organization_id;
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
CREATE INDEX integration_log_correlation ON integration_log(correlation_id);
CREATE INDEX integration_log_created ON integration_log(created_at);
CREATE INDEX integration_log_integration ON integration_log(integration_id);
CREATE INDEX integration_log_execution ON integration_log(execution_id);
CREATE INDEX integration_log_communication ON integration_log(communication_id);
CREATE INDEX integration_log_created_by ON integration_log(created_by);
CREATE INDEX integration_log_organization ON integration_log(organization_id);

CREATE TRIGGER integration_log_organization_bi BEFORE INSERT ON integration_log BEGIN
  SELECT RAISE(ABORT, 'EK|integration_log|organization_id|organization|A row belongs to the organization of its integration.')
  FROM integration WHERE id = NEW.integration_id AND organization_id IS NOT NEW.organization_id;
  SELECT RAISE(ABORT, 'EK|integration_log|communication_id|organization|A row belongs to the organization of its communication.')
  FROM communication WHERE id = NEW.communication_id AND organization_id <> NEW.organization_id;
END;
CREATE TRIGGER integration_log_request_data_secret_bi BEFORE INSERT ON integration_log WHEN json_valid(NEW.request_data) BEGIN
  SELECT RAISE(ABORT, 'EK|integration_log|request_data|secret|What is logged must have its secrets masked: ***.')
  FROM json_tree(NEW.request_data) t WHERE instr(' password passwd apikey token accesstoken refreshtoken clientsecret privatekey authorization bearer xapikey secret secretkey accesskey passphrase pwd ', ' ' || lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) || ' ') > 0
    AND type IN ('text', 'integer', 'real', 'array') AND CASE type WHEN 'array' THEN EXISTS (SELECT 1 FROM json_each(t.value) WHERE atom IS NOT '***') ELSE atom IS NOT '***' END;
END;

CREATE TRIGGER integration_log_response_data_secret_bi BEFORE INSERT ON integration_log WHEN json_valid(NEW.response_data) BEGIN
  SELECT RAISE(ABORT, 'EK|integration_log|response_data|secret|What is logged must have its secrets masked: ***.')
  FROM json_tree(NEW.response_data) t WHERE instr(' password passwd apikey token accesstoken refreshtoken clientsecret privatekey authorization bearer xapikey secret secretkey accesskey passphrase pwd ', ' ' || lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) || ' ') > 0
    AND type IN ('text', 'integer', 'real', 'array') AND CASE type WHEN 'array' THEN EXISTS (SELECT 1 FROM json_each(t.value) WHERE atom IS NOT '***') ELSE atom IS NOT '***' END;
END;

-- A communication that was tried keeps its organization; so does one that a run made.
CREATE TRIGGER communication_run_organization_bi BEFORE INSERT ON communication BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|communication|organization_id|organization|A communication that a run made stays in its organization.')
  WHERE EXISTS (SELECT 1 FROM integration_log WHERE communication_id = NEW.id AND organization_id <> ifnull(NEW.organization_id, 1))
    OR EXISTS (SELECT 1 FROM integration_execution_communication x JOIN integration_execution e ON e.id = x.execution_id WHERE x.communication_id = NEW.id AND e.organization_id <> ifnull(NEW.organization_id, 1));
END;
CREATE TRIGGER communication_run_organization_bu BEFORE UPDATE OF organization_id ON communication WHEN NEW.organization_id IS NOT OLD.organization_id BEGIN
  SELECT RAISE(ABORT, 'EK|communication|organization_id|organization|A communication that a run made stays in its organization.')
  WHERE EXISTS (SELECT 1 FROM integration_log WHERE communication_id = NEW.id AND organization_id <> NEW.organization_id)
    OR EXISTS (SELECT 1 FROM integration_execution_communication x JOIN integration_execution e ON e.id = x.execution_id WHERE x.communication_id = NEW.id AND e.organization_id <> NEW.organization_id);
END;

-- One row is an attempt with the business rows it was about: several, where it was about several drivers or vehicles.
CREATE VIEW v_integration_log AS
SELECT l.id, l.integration_id, p.context_id AS policy_id, q.context_id AS quote_id, d.context_id AS driver_id, v.context_id AS vehicle_id,
  l.request_type, l.request_url, l.request_data, l.response_data, l.response_code, l.response_time_ms, l.is_success, l.error_message, l.retry_count,
  l.correlation_id, l.external_reference, l.execution_id, l.communication_id, l.organization_id, l.created_by, l.created_at
FROM integration_log l
LEFT JOIN communication_business_context p ON p.communication_id = l.communication_id AND p.status_id = 1 AND p.context_type_id = (SELECT id FROM business_context_type WHERE code = 'POLICY')
LEFT JOIN communication_business_context q ON q.communication_id = l.communication_id AND q.status_id = 1 AND q.context_type_id = (SELECT id FROM business_context_type WHERE code = 'QUOTE')
LEFT JOIN communication_business_context d ON d.communication_id = l.communication_id AND d.status_id = 1 AND d.context_type_id = (SELECT id FROM business_context_type WHERE code = 'DRIVER')
LEFT JOIN communication_business_context v ON v.communication_id = l.communication_id AND v.status_id = 1 AND v.context_type_id = (SELECT id FROM business_context_type WHERE code = 'VEHICLE');

-- One row is a record that could not be used, kept as it came until it is replayed or discarded.
CREATE TABLE dead_letter (
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
CREATE INDEX dead_letter_pending ON dead_letter(integration_id) WHERE replay_status = 'pending';
CREATE INDEX dead_letter_execution ON dead_letter(execution_id);

-- One row is what became of one record of an integration that sends: what of it was sent last, and what the other side answered.
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

CREATE TRIGGER integration_delivery_response_data_secret_bi BEFORE INSERT ON integration_delivery WHEN json_valid(NEW.response_data) BEGIN
  SELECT RAISE(ABORT, 'EK|integration_delivery|response_data|secret|What is logged must have its secrets masked: ***.')
  FROM json_tree(NEW.response_data) t WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name
    AND type IN ('text', 'integer', 'real', 'array') AND CASE type WHEN 'array' THEN EXISTS (SELECT 1 FROM json_each(t.value) WHERE atom IS NOT '***') ELSE atom IS NOT '***' END;
END;

CREATE TRIGGER integration_delivery_response_data_secret_bu BEFORE UPDATE OF response_data ON integration_delivery WHEN json_valid(NEW.response_data) BEGIN
  SELECT RAISE(ABORT, 'EK|integration_delivery|response_data|secret|What is logged must have its secrets masked: ***.')
  FROM json_tree(NEW.response_data) t WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name
    AND type IN ('text', 'integer', 'real', 'array') AND CASE type WHEN 'array' THEN EXISTS (SELECT 1 FROM json_each(t.value) WHERE atom IS NOT '***') ELSE atom IS NOT '***' END;
END;

-- One row is a batch of what a run read, kept so that it can be run again; runs delete what is past its time.
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

-- One row is what another service told us of its own accord, kept as it came until its integration reads it.
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

CREATE TRIGGER webhook_receipt_organization_bi BEFORE INSERT ON webhook_receipt BEGIN
  SELECT RAISE(ABORT, 'EK|webhook_receipt|organization_id|organization|A row belongs to the organization of its integration.')
  FROM integration WHERE id = NEW.integration_id AND organization_id IS NOT NEW.organization_id;
END;

-- One row is the breaker between an integration and a place it calls: after failures it is left alone for a while.
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

CREATE TRIGGER circuit_breaker_state_bi BEFORE INSERT ON circuit_breaker BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|circuit_breaker|breaker_status|transition|A breaker is half open after it was open, not before.')
  FROM circuit_breaker WHERE (id = NEW.id OR (integration_id = NEW.integration_id AND target = NEW.target)) AND breaker_status = 'closed' AND NEW.breaker_status = 'half_open';
END;
CREATE TRIGGER circuit_breaker_state_bu BEFORE UPDATE OF breaker_status ON circuit_breaker WHEN OLD.breaker_status = 'closed' AND NEW.breaker_status = 'half_open' BEGIN
  SELECT RAISE(ABORT, 'EK|circuit_breaker|breaker_status|transition|A breaker is half open after it was open, not before.');
END;

-- One row is how much of a limit is used up in its current window, by all processes together.
CREATE TABLE rate_limit_window (
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

-- What was run for an integration carries its organization.
CREATE TRIGGER integration_run_organization_bi BEFORE INSERT ON integration BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|integration|organization_id|organization|An integration that has a schedule, a run or a log stays in its organization.')
  WHERE EXISTS (SELECT 1 FROM integration_schedule WHERE integration_id = NEW.id AND organization_id IS NOT NEW.organization_id)
    OR EXISTS (SELECT 1 FROM integration_execution WHERE integration_id = NEW.id AND organization_id IS NOT NEW.organization_id)
    OR EXISTS (SELECT 1 FROM integration_log WHERE integration_id = NEW.id AND organization_id IS NOT NEW.organization_id)
    OR EXISTS (SELECT 1 FROM webhook_receipt WHERE integration_id = NEW.id AND organization_id IS NOT NEW.organization_id);
END;
CREATE TRIGGER integration_run_organization_bu BEFORE UPDATE OF organization_id ON integration WHEN NEW.organization_id IS NOT OLD.organization_id BEGIN
  SELECT RAISE(ABORT, 'EK|integration|organization_id|organization|An integration that has a schedule, a run or a log stays in its organization.')
  WHERE EXISTS (SELECT 1 FROM integration_schedule WHERE integration_id = NEW.id AND organization_id IS NOT NEW.organization_id)
    OR EXISTS (SELECT 1 FROM integration_execution WHERE integration_id = NEW.id AND organization_id IS NOT NEW.organization_id)
    OR EXISTS (SELECT 1 FROM integration_log WHERE integration_id = NEW.id AND organization_id IS NOT NEW.organization_id)
    OR EXISTS (SELECT 1 FROM webhook_receipt WHERE integration_id = NEW.id AND organization_id IS NOT NEW.organization_id);
END;

-- One row is something to be told to a user: what happened to one thing, however often, since they were told of it last.
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

CREATE TRIGGER notification_final_bi BEFORE INSERT ON notification
WHEN NEW.id <> -1 BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|notification|notification_status|final|What was told, or dropped, does not change its state again.')
  FROM notification WHERE id = NEW.id AND notification_status <> 'pending' AND notification_status IS NOT ifnull(NEW.notification_status, 'pending');
END;
CREATE TRIGGER notification_final_bu BEFORE UPDATE OF notification_status ON notification WHEN OLD.notification_status <> 'pending' AND ifnull(NEW.notification_status, 'pending') <> OLD.notification_status BEGIN
  SELECT RAISE(ABORT, 'EK|notification|notification_status|final|What was told, or dropped, does not change its state again.');
END;
