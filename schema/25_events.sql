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
CREATE INDEX integration_event_pending ON integration_event(id) WHERE processing_status = 'pending';
CREATE INDEX integration_event_event_type ON integration_event(event_type);
CREATE INDEX integration_event_created ON integration_event(created_at);
CREATE INDEX integration_event_correlation ON integration_event(correlation_id);
CREATE INDEX integration_event_event_source ON integration_event(event_source_id);
CREATE INDEX integration_event_organization ON integration_event(organization_id);

CREATE TRIGGER integration_event_told_bi BEFORE INSERT ON integration_event
WHEN NEW.id <> -1 OR EXISTS (SELECT 1 FROM integration_event WHERE uuid = NEW.uuid) BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|integration_event|event_payload|protected|An event stays as it was told: only its processing goes on.')
  FROM integration_event WHERE (id = NEW.id OR uuid = NEW.uuid)
    AND (uuid, event_type, event_source_id, event_target, event_payload, ordering_key, event_metadata, correlation_id, causation_id, organization_id)
      IS NOT (NEW.uuid, NEW.event_type, NEW.event_source_id, NEW.event_target, NEW.event_payload, NEW.ordering_key, ifnull(NEW.event_metadata, '{}'), NEW.correlation_id, NEW.causation_id, NEW.organization_id);
END;
CREATE TRIGGER integration_event_told_bu BEFORE UPDATE OF uuid, event_type, event_source_id, event_target, event_payload, ordering_key, event_metadata, correlation_id, causation_id, organization_id ON integration_event
WHEN (OLD.uuid, OLD.event_type, OLD.event_source_id, OLD.event_target, OLD.event_payload, OLD.ordering_key, OLD.event_metadata, OLD.correlation_id, OLD.causation_id, OLD.organization_id)
  IS NOT (NEW.uuid, NEW.event_type, NEW.event_source_id, NEW.event_target, NEW.event_payload, NEW.ordering_key, ifnull(NEW.event_metadata, '{}'), NEW.correlation_id, NEW.causation_id, NEW.organization_id) BEGIN
  SELECT RAISE(ABORT, 'EK|integration_event|event_payload|protected|An event stays as it was told: only its processing goes on.');
END;

CREATE TRIGGER integration_event_transition_bi BEFORE INSERT ON integration_event
WHEN NEW.id <> -1 OR EXISTS (SELECT 1 FROM integration_event WHERE uuid = NEW.uuid) BEGIN  -- by REPLACE, and no other way: see audit_replaced
  INSERT OR IGNORE INTO audit_replaced SELECT 0, id, NULL, NULL FROM integration_event
  WHERE (id = NEW.id OR uuid = NEW.uuid) AND processing_status <> ifnull(NEW.processing_status, 'pending')
    AND instr(' pending>processing pending>processed processing>pending processing>processed processing>failed failed>pending ', ' ' || processing_status || '>' || ifnull(NEW.processing_status, 'pending') || ' ') = 0;
  SELECT CASE WHEN processing_status IN ('processed') THEN RAISE(ABORT, 'EK|integration_event|processing_status|final|An event that was processed does not change its state again.')
    ELSE RAISE(ABORT, 'EK|integration_event|processing_status|transition|An event does not go from its state to this one.') END
  FROM integration_event WHERE changes() AND id IN (SELECT record_key FROM audit_replaced WHERE table_id = 0);
END;
CREATE TRIGGER integration_event_transition_bu BEFORE UPDATE OF processing_status ON integration_event
WHEN OLD.processing_status <> ifnull(NEW.processing_status, 'pending') AND instr(' pending>processing pending>processed processing>pending processing>processed processing>failed failed>pending ', ' ' || OLD.processing_status || '>' || ifnull(NEW.processing_status, 'pending') || ' ') = 0 BEGIN
  SELECT CASE WHEN OLD.processing_status IN ('processed') THEN RAISE(ABORT, 'EK|integration_event|processing_status|final|An event that was processed does not change its state again.')
    ELSE RAISE(ABORT, 'EK|integration_event|processing_status|transition|An event does not go from its state to this one.') END;
END;

-- One row says who listens: the events it is about become deliveries, done by jobs of its kind.
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
  last_event_id INTEGER NOT NULL DEFAULT 0 CONSTRAINT "event_subscription.last_event_id.range" CHECK (last_event_id >= 0),  -- its cursor: every event up to here has become a delivery, or is none of its
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX event_subscription_event_source ON event_subscription(event_source_id);
CREATE INDEX event_subscription_organization ON event_subscription(organization_id);

CREATE TRIGGER event_subscription_handler_config_secret_bi BEFORE INSERT ON event_subscription WHEN json_valid(NEW.handler_config) BEGIN
  SELECT RAISE(ABORT, 'EK|event_subscription|handler_config|secret|A setting is named like a secret. Secrets belong in the vault: edgekit vault set INTEGRATION KEY.')
  FROM json_tree(NEW.handler_config) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;

CREATE TRIGGER event_subscription_handler_config_secret_bu BEFORE UPDATE OF handler_config ON event_subscription WHEN json_valid(NEW.handler_config) BEGIN
  SELECT RAISE(ABORT, 'EK|event_subscription|handler_config|secret|A setting is named like a secret. Secrets belong in the vault: edgekit vault set INTEGRATION KEY.')
  FROM json_tree(NEW.handler_config) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;

-- One row is an event on its way to one who listens.
CREATE TABLE event_delivery (
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
CREATE INDEX event_delivery_open ON event_delivery(subscription_id, ordering_key, event_id) WHERE delivery_status IN ('pending', 'delivering');
CREATE INDEX event_delivery_subscription ON event_delivery(subscription_id);

-- What a delivery is of, to whom, and what the other side knows it by: with another of these it could be taken twice.
CREATE TRIGGER event_delivery_identity_bi BEFORE INSERT ON event_delivery
WHEN NEW.id <> -1 BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|event_delivery|idempotency_key|protected|A delivery stays one of its event to its subscription, under its key.')
  FROM event_delivery WHERE id = NEW.id AND (event_id, subscription_id, idempotency_key) IS NOT (NEW.event_id, NEW.subscription_id, NEW.idempotency_key);
END;
CREATE TRIGGER event_delivery_identity_bu BEFORE UPDATE OF event_id, subscription_id, idempotency_key ON event_delivery
WHEN (NEW.event_id, NEW.subscription_id, NEW.idempotency_key) IS NOT (OLD.event_id, OLD.subscription_id, OLD.idempotency_key) BEGIN
  SELECT RAISE(ABORT, 'EK|event_delivery|idempotency_key|protected|A delivery stays one of its event to its subscription, under its key.');
END;
CREATE TRIGGER event_delivery_organization_bi BEFORE INSERT ON event_delivery
WHEN (SELECT organization_id FROM event_subscription WHERE id = NEW.subscription_id) IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'EK|event_delivery|subscription_id|organization|The event belongs to another organization than the subscription.')
  FROM event_subscription s WHERE s.id = NEW.subscription_id AND s.organization_id <> (SELECT organization_id FROM integration_event WHERE id = NEW.event_id);
END;

CREATE TRIGGER event_delivery_transition_bi BEFORE INSERT ON event_delivery
WHEN NEW.id <> -1 OR EXISTS (SELECT 1 FROM event_delivery WHERE idempotency_key = NEW.idempotency_key)
  OR EXISTS (SELECT 1 FROM event_delivery WHERE event_id = NEW.event_id AND subscription_id = NEW.subscription_id) BEGIN  -- by REPLACE, and no other way: see audit_replaced
  INSERT OR IGNORE INTO audit_replaced SELECT 0, id, NULL, NULL FROM event_delivery
  WHERE (id = NEW.id OR idempotency_key = NEW.idempotency_key OR (event_id = NEW.event_id AND subscription_id = NEW.subscription_id)) AND delivery_status <> ifnull(NEW.delivery_status, 'pending')
    AND instr(' pending>delivering pending>discarded delivering>pending delivering>delivered delivering>failed failed>pending failed>discarded delivered>pending ', ' ' || delivery_status || '>' || ifnull(NEW.delivery_status, 'pending') || ' ') = 0;
  SELECT CASE WHEN delivery_status = 'discarded' THEN RAISE(ABORT, 'EK|event_delivery|delivery_status|final|A delivery that was discarded does not change its state again.')
    ELSE RAISE(ABORT, 'EK|event_delivery|delivery_status|transition|A delivery does not go from its state to this one.') END
  FROM event_delivery WHERE changes() AND id IN (SELECT record_key FROM audit_replaced WHERE table_id = 0);
END;
CREATE TRIGGER event_delivery_transition_bu BEFORE UPDATE OF delivery_status ON event_delivery
WHEN OLD.delivery_status <> ifnull(NEW.delivery_status, 'pending') AND instr(' pending>delivering pending>discarded delivering>pending delivering>delivered delivering>failed failed>pending failed>discarded delivered>pending ', ' ' || OLD.delivery_status || '>' || ifnull(NEW.delivery_status, 'pending') || ' ') = 0 BEGIN
  SELECT CASE WHEN OLD.delivery_status = 'discarded' THEN RAISE(ABORT, 'EK|event_delivery|delivery_status|final|A delivery that was discarded does not change its state again.')
    ELSE RAISE(ABORT, 'EK|event_delivery|delivery_status|transition|A delivery does not go from its state to this one.') END;
END;
