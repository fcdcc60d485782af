-- Communications: every exchange with somebody or something outside, or between parts of the system. The type says what
-- it is for, the channel how it travels, the contexts which business rows it is about.

-- One row is a technical way of delivery.
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

-- One row is a state a communication may be in.
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

-- One row is a kind of business row a communication may be about, and names its table.
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

-- One row is a business purpose of communications, such as a request to verify a driver. How it travels is the channel's affair.
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

-- One row says that a type may travel by a channel.
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

-- One row is one exchange: from whom, to whom, about what, by which channel, and how it went.
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

CREATE TRIGGER communication_route_bi BEFORE INSERT ON communication
WHEN NOT EXISTS (SELECT 1 FROM communication_type_channel WHERE communication_type_id = NEW.communication_type_id AND channel_id = NEW.channel_id AND status_id = 1) BEGIN
  SELECT RAISE(ABORT, 'EK|communication|channel_id|channel|This type of communication does not travel by this channel: link them in communication_type_channel.');
END;
CREATE TRIGGER communication_route_bu BEFORE UPDATE OF communication_type_id, channel_id ON communication
WHEN NEW.communication_type_id IS NOT OLD.communication_type_id OR NEW.channel_id IS NOT OLD.channel_id BEGIN
  SELECT RAISE(ABORT, 'EK|communication|channel_id|channel|This type of communication does not travel by this channel: link them in communication_type_channel.')
  WHERE NOT EXISTS (SELECT 1 FROM communication_type_channel WHERE communication_type_id = NEW.communication_type_id AND channel_id = NEW.channel_id AND status_id = 1);
END;

CREATE TRIGGER communication_identity_bu BEFORE UPDATE OF uuid, idempotency_key ON communication
WHEN NEW.uuid IS NOT OLD.uuid OR (OLD.idempotency_key IS NOT NULL AND NEW.idempotency_key IS NOT OLD.idempotency_key) BEGIN
  SELECT RAISE(ABORT, 'EK|communication|idempotency_key|protected|What a communication is known by outside stays: its uuid, and its key once it has one.');
END;

-- PENDING, then PROCESSING, then the end; RETRYING in between. States that people add go any way but back to PENDING.
CREATE TRIGGER communication_final_bi BEFORE INSERT ON communication
WHEN NEW.id <> -1 OR EXISTS (SELECT 1 FROM communication WHERE uuid = NEW.uuid) OR EXISTS (SELECT 1 FROM communication WHERE idempotency_key = NEW.idempotency_key) BEGIN  -- by REPLACE, and no other way: see audit_replaced
  INSERT OR IGNORE INTO audit_replaced SELECT 0, c.id, NULL, NULL FROM communication c JOIN communication_status s ON s.id = c.communication_status_id JOIN communication_status n ON n.id = NEW.communication_status_id
  WHERE (c.id = NEW.id OR c.uuid = NEW.uuid OR c.idempotency_key = NEW.idempotency_key) AND s.id <> n.id
    AND (s.is_final_state = 1 OR n.code = 'PENDING' OR instr(' PENDING>COMPLETED PENDING>TIMEOUT PENDING>RETRYING ', ' ' || s.code || '>' || n.code || ' ') > 0);
  SELECT CASE WHEN s.is_final_state = 1 THEN RAISE(ABORT, 'EK|communication|communication_status_id|final|A communication that has ended does not change its state again.')
    ELSE RAISE(ABORT, 'EK|communication|communication_status_id|transition|A communication is pending, then processing, then ended; it never goes back.') END
  FROM communication c JOIN communication_status s ON s.id = c.communication_status_id WHERE changes() AND c.id IN (SELECT record_key FROM audit_replaced WHERE table_id = 0);
END;
CREATE TRIGGER communication_final_bu BEFORE UPDATE OF communication_status_id ON communication WHEN NEW.communication_status_id IS NOT OLD.communication_status_id BEGIN
  SELECT CASE WHEN s.is_final_state = 1 THEN RAISE(ABORT, 'EK|communication|communication_status_id|final|A communication that has ended does not change its state again.')
    WHEN n.code = 'PENDING' OR instr(' PENDING>COMPLETED PENDING>TIMEOUT PENDING>RETRYING ', ' ' || s.code || '>' || n.code || ' ') > 0
      THEN RAISE(ABORT, 'EK|communication|communication_status_id|transition|A communication is pending, then processing, then ended; it never goes back.')
    WHEN n.code = 'PROCESSING' AND NEW.started_at IS NULL THEN RAISE(ABORT, 'EK|communication|started_at|required|A communication that is being sent says since when.')
    WHEN n.code = 'RETRYING' AND NEW.retry_count <= OLD.retry_count THEN RAISE(ABORT, 'EK|communication|retry_count|order|Each further attempt is counted.') END
  FROM communication_status s, communication_status n WHERE s.id = OLD.communication_status_id AND n.id = NEW.communication_status_id;
END;
CREATE TRIGGER communication_status_flags_bi BEFORE INSERT ON communication_status BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|communication_status|is_final_state|protected|Communications are in this state: what it means stays.')
  FROM communication_status s WHERE (s.id = NEW.id OR s.code = NEW.code) AND (s.is_final_state, s.is_error_state) IS NOT (NEW.is_final_state, NEW.is_error_state)
    AND EXISTS (SELECT 1 FROM communication WHERE communication_status_id = s.id);
END;
CREATE TRIGGER communication_status_flags_bu BEFORE UPDATE OF is_final_state, is_error_state ON communication_status
WHEN (NEW.is_final_state, NEW.is_error_state) IS NOT (OLD.is_final_state, OLD.is_error_state) BEGIN
  SELECT RAISE(ABORT, 'EK|communication_status|is_final_state|protected|Communications are in this state: what it means stays.')
  WHERE EXISTS (SELECT 1 FROM communication WHERE communication_status_id = OLD.id);
END;

CREATE TRIGGER communication_outcome_bi BEFORE INSERT ON communication
WHEN NEW.completed_at IS NOT NULL OR (SELECT is_final_state OR is_error_state FROM communication_status WHERE id = NEW.communication_status_id) BEGIN
  SELECT CASE
    WHEN is_error_state = 1 AND ifnull(NEW.error_message, '') = '' THEN RAISE(ABORT, 'EK|communication|error_message|required|A communication that went wrong must say why.')
    WHEN is_final_state = 1 AND NEW.completed_at IS NULL THEN RAISE(ABORT, 'EK|communication|completed_at|required|A communication that has ended must say when.')
    WHEN is_final_state = 0 AND NEW.completed_at IS NOT NULL THEN RAISE(ABORT, 'EK|communication|completed_at|required|Only a communication that has ended says when it did.') END
  FROM communication_status WHERE id = NEW.communication_status_id;
END;
CREATE TRIGGER communication_outcome_bu BEFORE UPDATE OF communication_status_id, error_message, completed_at ON communication
WHEN NEW.completed_at IS NOT NULL OR (SELECT is_final_state OR is_error_state FROM communication_status WHERE id = NEW.communication_status_id) BEGIN
  SELECT CASE
    WHEN is_error_state = 1 AND ifnull(NEW.error_message, '') = '' THEN RAISE(ABORT, 'EK|communication|error_message|required|A communication that went wrong must say why.')
    WHEN is_final_state = 1 AND NEW.completed_at IS NULL THEN RAISE(ABORT, 'EK|communication|completed_at|required|A communication that has ended must say when.')
    WHEN is_final_state = 0 AND NEW.completed_at IS NOT NULL THEN RAISE(ABORT, 'EK|communication|completed_at|required|Only a communication that has ended says when it did.') END
  FROM communication_status WHERE id = NEW.communication_status_id;
END;

CREATE TRIGGER communication_acyclic_bi BEFORE INSERT ON communication WHEN NEW.parent_communication_id IS NOT NULL BEGIN  -- by REPLACE
  WITH RECURSIVE ancestor(id) AS (
    SELECT NEW.parent_communication_id
    UNION SELECT c.parent_communication_id FROM communication c JOIN ancestor a ON c.id = a.id WHERE c.parent_communication_id IS NOT NULL
  )
  SELECT RAISE(ABORT, 'EK|communication|parent_communication_id|cycle|A communication cannot be its own ancestor.') FROM ancestor WHERE id = NEW.id;
END;
CREATE TRIGGER communication_acyclic_bu BEFORE UPDATE OF parent_communication_id ON communication WHEN NEW.parent_communication_id IS NOT NULL AND NEW.parent_communication_id IS NOT OLD.parent_communication_id BEGIN
  WITH RECURSIVE ancestor(id) AS (
    SELECT NEW.parent_communication_id
    UNION SELECT c.parent_communication_id FROM communication c JOIN ancestor a ON c.id = a.id WHERE c.parent_communication_id IS NOT NULL
  )
  SELECT RAISE(ABORT, 'EK|communication|parent_communication_id|cycle|A communication cannot be its own ancestor.') FROM ancestor WHERE id = NEW.id;
END;

-- A thread has one correlation id and one organization: looked at from the child and, for a REPLACE or an edit, from the parent.
CREATE TRIGGER communication_thread_bi BEFORE INSERT ON communication
WHEN NEW.parent_communication_id IS NOT NULL OR NEW.id <> -1 BEGIN
  SELECT CASE WHEN correlation_id IS NOT NEW.correlation_id
    THEN RAISE(ABORT, 'EK|communication|correlation_id|correlation|A communication has the correlation id of its parent.')
    ELSE RAISE(ABORT, 'EK|communication|organization_id|organization|A communication belongs to the organization of its parent.') END
  FROM communication WHERE (id = NEW.parent_communication_id OR parent_communication_id = NEW.id)
    AND (correlation_id, organization_id) IS NOT (NEW.correlation_id, ifnull(NEW.organization_id, 1));
END;
CREATE TRIGGER communication_thread_bu BEFORE UPDATE OF parent_communication_id, correlation_id, organization_id ON communication
WHEN NEW.parent_communication_id IS NOT OLD.parent_communication_id OR NEW.correlation_id IS NOT OLD.correlation_id OR NEW.organization_id IS NOT OLD.organization_id BEGIN
  SELECT CASE WHEN correlation_id IS NOT NEW.correlation_id
    THEN RAISE(ABORT, 'EK|communication|correlation_id|correlation|A communication has the correlation id of its parent.')
    ELSE RAISE(ABORT, 'EK|communication|organization_id|organization|A communication belongs to the organization of its parent.') END
  FROM communication WHERE (id = NEW.parent_communication_id OR parent_communication_id = NEW.id)
    AND (correlation_id, organization_id) IS NOT (NEW.correlation_id, ifnull(NEW.organization_id, 1));
END;

-- One row says that a communication has to do with a business row.
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

-- What a communication is mainly about is said on it and here alike. The data layer writes both; to change it, take the PRIMARY row away first.
CREATE TRIGGER communication_business_context_primary_bi BEFORE INSERT ON communication_business_context BEGIN
  SELECT RAISE(ABORT, 'EK|communication_business_context|relationship_type_id|primary|The PRIMARY context is the one its communication names, and only that one.')
  FROM communication WHERE id = NEW.communication_id AND (ifnull(NEW.relationship_type_id, 2) = 1) <> ((business_context_type_id, business_context_id) IS (NEW.context_type_id, NEW.context_id));
END;
CREATE TRIGGER communication_business_context_primary_bu BEFORE UPDATE OF communication_id, context_type_id, context_id, relationship_type_id ON communication_business_context BEGIN
  SELECT RAISE(ABORT, 'EK|communication_business_context|relationship_type_id|primary|The PRIMARY context is the one its communication names, and only that one.')
  FROM communication WHERE id = NEW.communication_id AND (ifnull(NEW.relationship_type_id, 2) = 1) <> ((business_context_type_id, business_context_id) IS (NEW.context_type_id, NEW.context_id));
END;
CREATE TRIGGER communication_primary_bi BEFORE INSERT ON communication
WHEN NEW.id <> -1 BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|communication|business_context_id|primary|Another row is its PRIMARY context: take that one away first.')
  FROM communication_business_context WHERE communication_id = NEW.id AND (relationship_type_id = 1) <> ((context_type_id, context_id) IS (NEW.business_context_type_id, NEW.business_context_id));
END;
CREATE TRIGGER communication_primary_bu BEFORE UPDATE OF business_context_type_id, business_context_id ON communication
WHEN NEW.business_context_type_id IS NOT OLD.business_context_type_id OR NEW.business_context_id IS NOT OLD.business_context_id BEGIN
  SELECT RAISE(ABORT, 'EK|communication|business_context_id|primary|Another row is its PRIMARY context: take that one away first.')
  FROM communication_business_context WHERE communication_id = NEW.id AND (relationship_type_id = 1) <> ((context_type_id, context_id) IS (NEW.business_context_type_id, NEW.business_context_id));
END;
