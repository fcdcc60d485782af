-- Workflows: business processes of several steps, from their templates to what each step did.
--
-- A workflow is data: a template says the steps, a workflow keeps its own copy of them, and every step that is to be
-- done is a row of `workflow_execution`. Those rows alone say how far a workflow is: see the view `workflow_progress`.

-- One row is a kind of business process.
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

-- One row is a version of the steps a kind of process takes.
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

CREATE TRIGGER workflow_template_definition_steps_bi BEFORE INSERT ON workflow_template WHEN CASE WHEN json_valid(NEW.definition) THEN json_type(NEW.definition) = 'object' END BEGIN
  SELECT RAISE(ABORT, 'EK|workflow_template|definition|steps|A definition has a list of steps, and each step a name and a type.')
  WHERE json_type(NEW.definition, '$.steps') IS NOT 'array' OR json_array_length(NEW.definition, '$.steps') = 0 OR EXISTS (
    SELECT 1 FROM json_each(NEW.definition, '$.steps') WHERE CASE WHEN type = 'object'
      THEN json_type(value, '$.name') IS NOT 'text' OR json_type(value, '$.type') IS NOT 'text' ELSE 1 END);
END;
CREATE TRIGGER workflow_template_definition_steps_bu BEFORE UPDATE OF definition ON workflow_template WHEN CASE WHEN json_valid(NEW.definition) THEN json_type(NEW.definition) = 'object' END BEGIN
  SELECT RAISE(ABORT, 'EK|workflow_template|definition|steps|A definition has a list of steps, and each step a name and a type.')
  WHERE json_type(NEW.definition, '$.steps') IS NOT 'array' OR json_array_length(NEW.definition, '$.steps') = 0 OR EXISTS (
    SELECT 1 FROM json_each(NEW.definition, '$.steps') WHERE CASE WHEN type = 'object'
      THEN json_type(value, '$.name') IS NOT 'text' OR json_type(value, '$.type') IS NOT 'text' ELSE 1 END);
END;
CREATE TRIGGER workflow_template_definition_secret_bi BEFORE INSERT ON workflow_template WHEN json_valid(NEW.definition) BEGIN
  SELECT RAISE(ABORT, 'EK|workflow_template|definition|secret|A setting is named like a secret. Secrets belong in the vault.')
  FROM json_tree(NEW.definition) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;
CREATE TRIGGER workflow_template_definition_secret_bu BEFORE UPDATE OF definition ON workflow_template WHEN json_valid(NEW.definition) BEGIN
  SELECT RAISE(ABORT, 'EK|workflow_template|definition|secret|A setting is named like a secret. Secrets belong in the vault.')
  FROM json_tree(NEW.definition) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;

-- One row is a process that is to be, is being, or was gone through.
--
-- Its ways: pending > in_progress > completed, failed or cancelled; pending > cancelled. A failed one may be resumed
-- (failed > in_progress): what is done stays done, the failed step is tried again. Completed and cancelled are final.
CREATE TABLE orchestration_workflow (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "orchestration_workflow.uuid.length" CHECK (length(uuid) = 36),
  workflow_name TEXT NOT NULL CONSTRAINT "orchestration_workflow.workflow_name.length" CHECK (length(workflow_name) BETWEEN 1 AND 255),
  workflow_type_id INTEGER NOT NULL REFERENCES workflow_type(id),
  workflow_template_id INTEGER REFERENCES workflow_template(id),  -- where the definition was copied from; NULL: written for this one
  client_id INTEGER REFERENCES client(id),  -- NULL: of no client, for administrators only
  workflow_definition TEXT NOT NULL CONSTRAINT "orchestration_workflow.workflow_definition.json_object" CHECK (CASE WHEN json_valid(workflow_definition) THEN json_type(workflow_definition) = 'object' ELSE 0 END),  -- as in workflow_template.definition; stays as it is once begun
  workflow_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "orchestration_workflow.workflow_status.choice" CHECK (workflow_status IN ('pending', 'in_progress', 'completed', 'failed', 'cancelled')),  -- pending: not begun; in_progress: under way; completed: every step done or skipped; failed: a step failed for good; cancelled: given up by a person
  metadata TEXT CONSTRAINT "orchestration_workflow.metadata.json_object" CHECK (metadata IS NULL OR CASE WHEN json_valid(metadata) THEN json_type(metadata) = 'object' ELSE 0 END),  -- what it is about, such as {"module_code"}
  started_at TEXT CONSTRAINT "orchestration_workflow.started_at.time" CHECK (started_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', started_at, '+0 days') IS started_at),
  completed_at TEXT CONSTRAINT "orchestration_workflow.completed_at.time" CHECK (completed_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', completed_at, '+0 days') IS completed_at),  -- when it ended, well or not
  correlation_id TEXT NOT NULL CONSTRAINT "orchestration_workflow.correlation_id.length" CHECK (length(correlation_id) BETWEEN 1 AND 100),
  error_code TEXT CONSTRAINT "orchestration_workflow.error_code.length" CHECK (length(error_code) <= 50),
  error_message TEXT,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "orchestration_workflow.started_at.required" CHECK (CASE workflow_status WHEN 'pending' THEN started_at IS NULL WHEN 'cancelled' THEN 1 ELSE started_at IS NOT NULL END),
  CONSTRAINT "orchestration_workflow.completed_at.required" CHECK ((completed_at IS NULL) = (workflow_status IN ('pending', 'in_progress'))),
  CONSTRAINT "orchestration_workflow.completed_at.order" CHECK (started_at <= completed_at)
) STRICT;
CREATE INDEX orchestration_workflow_workflow_type ON orchestration_workflow(workflow_type_id);
CREATE INDEX orchestration_workflow_workflow_template ON orchestration_workflow(workflow_template_id);
CREATE INDEX orchestration_workflow_client ON orchestration_workflow(client_id);
CREATE INDEX orchestration_workflow_open ON orchestration_workflow(client_id) WHERE workflow_status IN ('pending', 'in_progress');
CREATE INDEX orchestration_workflow_status ON orchestration_workflow(workflow_status);
CREATE INDEX orchestration_workflow_correlation ON orchestration_workflow(correlation_id);
CREATE INDEX orchestration_workflow_module ON orchestration_workflow(json_extract(metadata, '$.module_code')) WHERE json_extract(metadata, '$.module_code') IS NOT NULL;

CREATE TRIGGER orchestration_workflow_uuid_bu BEFORE UPDATE OF uuid ON orchestration_workflow WHEN NEW.uuid IS NOT OLD.uuid BEGIN
  SELECT RAISE(ABORT, 'EK|orchestration_workflow|uuid|protected|The uuid of a workflow stays: what it did is known by it.');
END;
CREATE TRIGGER orchestration_workflow_workflow_status_bi BEFORE INSERT ON orchestration_workflow BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|orchestration_workflow|workflow_status|transition|A workflow goes from pending to in_progress and ends completed, failed or cancelled; only a failed one is resumed.')
  FROM orchestration_workflow WHERE (id = NEW.id OR uuid = NEW.uuid) AND workflow_status IS NOT ifnull(NEW.workflow_status, 'pending') AND workflow_status || '>' || ifnull(NEW.workflow_status, 'pending') NOT IN ('pending>in_progress', 'pending>cancelled', 'in_progress>completed', 'in_progress>failed', 'in_progress>cancelled', 'failed>in_progress');
END;
CREATE TRIGGER orchestration_workflow_workflow_status_bu BEFORE UPDATE OF workflow_status ON orchestration_workflow
WHEN OLD.workflow_status IS NOT ifnull(NEW.workflow_status, 'pending') AND OLD.workflow_status || '>' || ifnull(NEW.workflow_status, 'pending') NOT IN ('pending>in_progress', 'pending>cancelled', 'in_progress>completed', 'in_progress>failed', 'in_progress>cancelled', 'failed>in_progress') BEGIN
  SELECT RAISE(ABORT, 'EK|orchestration_workflow|workflow_status|transition|A workflow goes from pending to in_progress and ends completed, failed or cancelled; only a failed one is resumed.');
END;

CREATE TRIGGER orchestration_workflow_definition_kept_bi BEFORE INSERT ON orchestration_workflow BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|orchestration_workflow|workflow_definition|final|The definition of a workflow stays as it is once it has begun.')
  FROM orchestration_workflow WHERE (id = NEW.id OR uuid = NEW.uuid) AND workflow_status <> 'pending' AND workflow_definition IS NOT NEW.workflow_definition;
END;
CREATE TRIGGER orchestration_workflow_definition_kept_bu BEFORE UPDATE OF workflow_definition ON orchestration_workflow
WHEN OLD.workflow_status <> 'pending' AND NEW.workflow_definition IS NOT OLD.workflow_definition BEGIN
  SELECT RAISE(ABORT, 'EK|orchestration_workflow|workflow_definition|final|The definition of a workflow stays as it is once it has begun.');
END;

CREATE TRIGGER orchestration_workflow_workflow_definition_steps_bi BEFORE INSERT ON orchestration_workflow WHEN CASE WHEN json_valid(NEW.workflow_definition) THEN json_type(NEW.workflow_definition) = 'object' END BEGIN
  SELECT RAISE(ABORT, 'EK|orchestration_workflow|workflow_definition|steps|A definition has a list of steps, and each step a name and a type.')
  WHERE json_type(NEW.workflow_definition, '$.steps') IS NOT 'array' OR json_array_length(NEW.workflow_definition, '$.steps') = 0 OR EXISTS (
    SELECT 1 FROM json_each(NEW.workflow_definition, '$.steps') WHERE CASE WHEN type = 'object'
      THEN json_type(value, '$.name') IS NOT 'text' OR json_type(value, '$.type') IS NOT 'text' ELSE 1 END);
END;
CREATE TRIGGER orchestration_workflow_workflow_definition_steps_bu BEFORE UPDATE OF workflow_definition ON orchestration_workflow WHEN CASE WHEN json_valid(NEW.workflow_definition) THEN json_type(NEW.workflow_definition) = 'object' END BEGIN
  SELECT RAISE(ABORT, 'EK|orchestration_workflow|workflow_definition|steps|A definition has a list of steps, and each step a name and a type.')
  WHERE json_type(NEW.workflow_definition, '$.steps') IS NOT 'array' OR json_array_length(NEW.workflow_definition, '$.steps') = 0 OR EXISTS (
    SELECT 1 FROM json_each(NEW.workflow_definition, '$.steps') WHERE CASE WHEN type = 'object'
      THEN json_type(value, '$.name') IS NOT 'text' OR json_type(value, '$.type') IS NOT 'text' ELSE 1 END);
END;
CREATE TRIGGER orchestration_workflow_workflow_definition_secret_bi BEFORE INSERT ON orchestration_workflow WHEN json_valid(NEW.workflow_definition) BEGIN
  SELECT RAISE(ABORT, 'EK|orchestration_workflow|workflow_definition|secret|A setting is named like a secret. Secrets belong in the vault.')
  FROM json_tree(NEW.workflow_definition) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;
CREATE TRIGGER orchestration_workflow_workflow_definition_secret_bu BEFORE UPDATE OF workflow_definition ON orchestration_workflow WHEN json_valid(NEW.workflow_definition) BEGIN
  SELECT RAISE(ABORT, 'EK|orchestration_workflow|workflow_definition|secret|A setting is named like a secret. Secrets belong in the vault.')
  FROM json_tree(NEW.workflow_definition) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;

-- One row is a step of a workflow: what it was given, what came of it, how often it was tried.
--
-- Its ways: pending > running > completed or failed; running > pending when it is to be tried again, because an
-- attempt failed or its runner died; pending > skipped; failed > pending when its workflow is resumed.
CREATE TABLE workflow_execution (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  workflow_id INTEGER NOT NULL REFERENCES orchestration_workflow(id) ON DELETE CASCADE,
  step_name TEXT NOT NULL CONSTRAINT "workflow_execution.step_name.length" CHECK (length(step_name) BETWEEN 1 AND 255),
  step_type TEXT NOT NULL CONSTRAINT "workflow_execution.step_type.length" CHECK (length(step_type) BETWEEN 1 AND 100),  -- install_module, deploy … : the handler that does it
  execution_order INTEGER NOT NULL CONSTRAINT "workflow_execution.execution_order.range" CHECK (execution_order >= 1),
  execution_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "workflow_execution.execution_status.choice" CHECK (execution_status IN ('pending', 'running', 'completed', 'failed', 'skipped')),  -- pending: waits for its turn or its next attempt; running: being done; completed: done; failed: given up after the last attempt; skipped: not needed, or its workflow was cancelled
  input_data TEXT CONSTRAINT "workflow_execution.input_data.json_object" CHECK (input_data IS NULL OR CASE WHEN json_valid(input_data) THEN json_type(input_data) = 'object' ELSE 0 END),
  output_data TEXT CONSTRAINT "workflow_execution.output_data.json_object" CHECK (output_data IS NULL OR CASE WHEN json_valid(output_data) THEN json_type(output_data) = 'object' ELSE 0 END),
  error_data TEXT CONSTRAINT "workflow_execution.error_data.json_object" CHECK (error_data IS NULL OR CASE WHEN json_valid(error_data) THEN json_type(error_data) = 'object' ELSE 0 END),  -- of the last attempt that failed
  execution_time_ms INTEGER CONSTRAINT "workflow_execution.execution_time_ms.range" CHECK (execution_time_ms >= 0),
  started_at TEXT CONSTRAINT "workflow_execution.started_at.time" CHECK (started_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', started_at, '+0 days') IS started_at),  -- of the last attempt
  completed_at TEXT CONSTRAINT "workflow_execution.completed_at.time" CHECK (completed_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', completed_at, '+0 days') IS completed_at),  -- when it ended, well or not
  retry_count INTEGER NOT NULL DEFAULT 0 CONSTRAINT "workflow_execution.retry_count.range" CHECK (retry_count BETWEEN 0 AND max_retries),
  max_retries INTEGER NOT NULL DEFAULT 3,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "workflow_execution.execution_order.unique" UNIQUE (workflow_id, execution_order),
  CONSTRAINT "workflow_execution.started_at.required" CHECK (started_at IS NOT NULL OR execution_status IN ('pending', 'skipped')),
  CONSTRAINT "workflow_execution.completed_at.required" CHECK ((completed_at IS NULL) = (execution_status IN ('pending', 'running'))),
  CONSTRAINT "workflow_execution.completed_at.order" CHECK (started_at <= completed_at)
) STRICT;
CREATE INDEX workflow_execution_status ON workflow_execution(execution_status);

CREATE TRIGGER workflow_execution_execution_status_bi BEFORE INSERT ON workflow_execution BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|workflow_execution|execution_status|transition|A step goes from pending to running and ends completed or failed, or is skipped; it is pending again when it is to be tried again.')
  FROM workflow_execution WHERE (id = NEW.id OR (workflow_id = NEW.workflow_id AND execution_order = NEW.execution_order)) AND execution_status IS NOT ifnull(NEW.execution_status, 'pending') AND execution_status || '>' || ifnull(NEW.execution_status, 'pending') NOT IN ('pending>running', 'pending>skipped', 'running>pending', 'running>completed', 'running>failed', 'failed>pending');
END;
CREATE TRIGGER workflow_execution_execution_status_bu BEFORE UPDATE OF execution_status ON workflow_execution
WHEN OLD.execution_status IS NOT ifnull(NEW.execution_status, 'pending') AND OLD.execution_status || '>' || ifnull(NEW.execution_status, 'pending') NOT IN ('pending>running', 'pending>skipped', 'running>pending', 'running>completed', 'running>failed', 'failed>pending') BEGIN
  SELECT RAISE(ABORT, 'EK|workflow_execution|execution_status|transition|A step goes from pending to running and ends completed or failed, or is skipped; it is pending again when it is to be tried again.');
END;

-- How far each workflow is, by its steps: the one it stands at (the first not done), and the names of the others.
CREATE VIEW workflow_progress AS
SELECT w.id AS workflow_id, w.uuid, w.workflow_name, w.client_id, w.workflow_status,
  (SELECT e.step_name FROM workflow_execution e WHERE e.workflow_id = w.id AND e.execution_status IN ('pending', 'running', 'failed')
    ORDER BY e.execution_order LIMIT 1) AS current_step,
  (SELECT json_group_array(step_name) FROM (SELECT e.step_name FROM workflow_execution e WHERE e.workflow_id = w.id
    AND e.execution_status = 'completed' ORDER BY e.execution_order)) AS steps_completed,
  (SELECT json_group_array(step_name) FROM (SELECT e.step_name FROM workflow_execution e WHERE e.workflow_id = w.id
    AND e.execution_status = 'failed' ORDER BY e.execution_order)) AS steps_failed,
  (SELECT count(*) FROM workflow_execution e WHERE e.workflow_id = w.id) AS step_count,
  w.started_at, w.completed_at
FROM orchestration_workflow w;
