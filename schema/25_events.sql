-- Events: what has happened, told to whoever listens, in the transaction of the change it reports.

-- One row is a part of the system that emits events.
CREATE TABLE event_source (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "event_source.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "event_source.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

-- One row is an event in the outbox.
CREATE TABLE integration_event (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "integration_event.uuid.length" CHECK (length(uuid) = 36),
  event_type TEXT NOT NULL CONSTRAINT "integration_event.event_type.length" CHECK (length(event_type) BETWEEN 1 AND 100),
  event_source_id INTEGER NOT NULL REFERENCES event_source(id),
  event_target TEXT CONSTRAINT "integration_event.event_target.length" CHECK (length(event_target) <= 100),
  event_payload TEXT NOT NULL CONSTRAINT "integration_event.event_payload.json_object" CHECK (CASE WHEN json_valid(event_payload) THEN json_type(event_payload) = 'object' ELSE 0 END),
  event_metadata TEXT CONSTRAINT "integration_event.event_metadata.json_object" CHECK (event_metadata IS NULL OR CASE WHEN json_valid(event_metadata) THEN json_type(event_metadata) = 'object' ELSE 0 END),
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
CREATE INDEX integration_event_pending ON integration_event(id) WHERE processing_status = 'pending';
CREATE INDEX integration_event_correlation ON integration_event(correlation_id);
CREATE INDEX integration_event_event_source ON integration_event(event_source_id);
CREATE INDEX integration_event_organization ON integration_event(organization_id);
