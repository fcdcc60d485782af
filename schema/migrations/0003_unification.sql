-- The unification: workflows, publishing, handover, and the marketplace behind a client's modules.

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
CREATE TABLE client_app_override_new (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  client_id INTEGER NOT NULL REFERENCES client(id),
  app_code TEXT NOT NULL COLLATE NOCASE CONSTRAINT "client_app_override.app_code.length" CHECK (length(app_code) BETWEEN 1 AND 50),
  override_settings TEXT CONSTRAINT "client_app_override.override_settings.json_object" CHECK (override_settings IS NULL OR CASE WHEN json_valid(override_settings) THEN json_type(override_settings) = 'object' ELSE 0 END),  -- laid over the settings the application comes with
  marketplace_module_id INTEGER REFERENCES marketplace_module(id) ON DELETE SET NULL,
  installation_id INTEGER REFERENCES module_installation(id) ON DELETE CASCADE,  -- where it came with; NULL: set up without the marketplace
  activation_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "client_app_override.activation_status.choice" CHECK (activation_status IN ('pending', 'active', 'failed', 'inactive')),  -- pending: to be activated; active: at work; failed: could not be activated; inactive: deactivated
  activation_metadata TEXT CONSTRAINT "client_app_override.activation_metadata.json_object" CHECK (activation_metadata IS NULL OR CASE WHEN json_valid(activation_metadata) THEN json_type(activation_metadata) = 'object' ELSE 0 END),  -- what came of the last activation
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "client_app_override.app_code.unique" UNIQUE (client_id, app_code)
) STRICT;
INSERT INTO client_app_override_new(id, client_id, app_code, override_settings, status_id, created_by, updated_by, created_at, updated_at)
  SELECT id, client_id, app_code, override_settings, status_id, created_by, updated_by, created_at, updated_at FROM client_app_override;
DROP TABLE client_app_override;
ALTER TABLE client_app_override_new RENAME TO client_app_override;

CREATE INDEX client_app_override_marketplace_module ON client_app_override(marketplace_module_id);
CREATE INDEX client_app_override_installation ON client_app_override(installation_id);
CREATE INDEX client_app_override_activation_status ON client_app_override(activation_status);
CREATE TABLE publishing_pipeline (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  submission_id INTEGER NOT NULL UNIQUE REFERENCES module_submission(id),
  workflow_id INTEGER REFERENCES orchestration_workflow(id),
  publishing_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "publishing_pipeline.publishing_status.choice" CHECK (publishing_status IN ('pending', 'validating', 'moderating', 'publishing', 'published', 'rejected', 'failed', 'cancelled')),  -- pending: not begun; validating: being checked; moderating: with a moderator; publishing: being put on the market; published: there; rejected: not let in; failed: stopped by an error; cancelled: given up
  started_at TEXT CONSTRAINT "publishing_pipeline.started_at.time" CHECK (started_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', started_at, '+0 days') IS started_at),
  completed_at TEXT CONSTRAINT "publishing_pipeline.completed_at.time" CHECK (completed_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', completed_at, '+0 days') IS completed_at),  -- when it ended, well or not
  error_message TEXT,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "publishing_pipeline.started_at.required" CHECK (started_at IS NOT NULL OR publishing_status IN ('pending', 'cancelled')),
  CONSTRAINT "publishing_pipeline.completed_at.required" CHECK ((completed_at IS NULL) = (publishing_status IN ('pending', 'validating', 'moderating', 'publishing'))),
  CONSTRAINT "publishing_pipeline.completed_at.order" CHECK (started_at <= completed_at)
) STRICT;
CREATE INDEX publishing_pipeline_workflow ON publishing_pipeline(workflow_id);
CREATE TABLE handover_package (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "handover_package.uuid.length" CHECK (length(uuid) = 36),  -- binds the ciphertext to this row
  client_id INTEGER NOT NULL REFERENCES client(id) ON DELETE CASCADE,
  workflow_id INTEGER REFERENCES orchestration_workflow(id) ON DELETE SET NULL,  -- what it was packed by
  package_name TEXT NOT NULL CONSTRAINT "handover_package.package_name.length" CHECK (length(package_name) BETWEEN 1 AND 255),
  package_type_id INTEGER NOT NULL DEFAULT 1 REFERENCES package_type(id),
  admin_credentials_ciphertext BLOB CONSTRAINT "handover_package.admin_credentials_ciphertext.length" CHECK (length(admin_credentials_ciphertext) BETWEEN 29 AND 65536),  -- NULL: none in it
  encryption_key_id INTEGER REFERENCES encryption_key(id),
  delivery_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "handover_package.delivery_status.choice" CHECK (delivery_status IN ('pending', 'preparing', 'ready', 'delivering', 'delivered', 'failed')),  -- pending: nothing is in it; preparing: being packed; ready: packed; delivering: on its way; delivered: the client has it; failed: could not be packed or delivered
  delivery_method_id INTEGER REFERENCES delivery_method(id),
  delivered_at TEXT CONSTRAINT "handover_package.delivered_at.time" CHECK (delivered_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', delivered_at, '+0 days') IS delivered_at),
  delivery_confirmation TEXT CONSTRAINT "handover_package.delivery_confirmation.json_object" CHECK (delivery_confirmation IS NULL OR CASE WHEN json_valid(delivery_confirmation) THEN json_type(delivery_confirmation) = 'object' ELSE 0 END),  -- who took it, and how we know
  package_metadata TEXT CONSTRAINT "handover_package.package_metadata.json_object" CHECK (package_metadata IS NULL OR CASE WHEN json_valid(package_metadata) THEN json_type(package_metadata) = 'object' ELSE 0 END),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "handover_package.encryption_key_id.required" CHECK ((admin_credentials_ciphertext IS NULL) = (encryption_key_id IS NULL)),
  CONSTRAINT "handover_package.delivery_method_id.required" CHECK (delivery_method_id IS NOT NULL OR delivery_status NOT IN ('delivering', 'delivered')),
  CONSTRAINT "handover_package.delivered_at.required" CHECK ((delivered_at IS NOT NULL) = (delivery_status = 'delivered'))
) STRICT;
CREATE INDEX handover_package_client ON handover_package(client_id);
CREATE INDEX handover_package_workflow ON handover_package(workflow_id);
CREATE INDEX handover_package_delivery_status ON handover_package(delivery_status);
CREATE INDEX handover_package_package_type ON handover_package(package_type_id);
CREATE INDEX handover_package_delivery_method ON handover_package(delivery_method_id);
CREATE INDEX handover_package_encryption_key ON handover_package(encryption_key_id);
CREATE TABLE handover_package_module (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  package_id INTEGER NOT NULL REFERENCES handover_package(id) ON DELETE CASCADE,
  installation_id INTEGER NOT NULL REFERENCES module_installation(id),
  module_configuration TEXT CONSTRAINT "handover_package_module.module_configuration.json_object" CHECK (module_configuration IS NULL OR CASE WHEN json_valid(module_configuration) THEN json_type(module_configuration) = 'object' ELSE 0 END),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "handover_package_module.installation_id.unique" UNIQUE (package_id, installation_id)
) STRICT;
CREATE INDEX handover_package_module_installation ON handover_package_module(installation_id);
CREATE TABLE handover_package_configuration (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  package_id INTEGER NOT NULL REFERENCES handover_package(id) ON DELETE CASCADE,
  configuration_id INTEGER NOT NULL REFERENCES configuration(id),
  configuration_version INTEGER NOT NULL CONSTRAINT "handover_package_configuration.configuration_version.range" CHECK (configuration_version >= 1),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "handover_package_configuration.configuration_id.unique" UNIQUE (package_id, configuration_id)
) STRICT;
CREATE INDEX handover_package_configuration_configuration ON handover_package_configuration(configuration_id);
CREATE TABLE handover_package_document (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  package_id INTEGER NOT NULL REFERENCES handover_package(id) ON DELETE CASCADE,
  document_type TEXT NOT NULL CONSTRAINT "handover_package_document.document_type.choice" CHECK (document_type IN ('sop', 'tutorial_video', 'manual', 'report', 'other')),  -- sop: standard operating procedure; tutorial_video: shows how; manual: says how; report: says what was done; other: anything else
  title TEXT NOT NULL CONSTRAINT "handover_package_document.title.length" CHECK (length(title) BETWEEN 1 AND 200),
  url TEXT CONSTRAINT "handover_package_document.url.length" CHECK (length(url) <= 500),
  content_digest TEXT CONSTRAINT "handover_package_document.content_digest.length" CHECK (length(content_digest) = 64),  -- SHA-256 in hex
  sort_order INTEGER NOT NULL DEFAULT 0,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "handover_package_document.title.unique" UNIQUE (package_id, document_type, title),
  CONSTRAINT "handover_package_document.url.required" CHECK (url IS NOT NULL OR content_digest IS NOT NULL)
) STRICT;
-- Rows:
-- What a client has of the marketplace is known by its code from now on.
UPDATE client_app_override SET
  marketplace_module_id = (SELECT m.id FROM marketplace_module m WHERE m.code = app_code),
  installation_id = (SELECT i.id FROM module_installation i JOIN marketplace_module m ON m.id = i.module_id
    WHERE i.client_id = client_app_override.client_id AND m.code = app_code AND i.installation_status = 'active'),
  activation_status = CASE WHEN status_id = 1 AND EXISTS (
    SELECT 1 FROM module_installation i JOIN marketplace_module m ON m.id = i.module_id
    WHERE i.client_id = client_app_override.client_id AND m.code = app_code AND i.installation_status = 'active')
    THEN 'active' ELSE 'pending' END
WHERE marketplace_module_id IS NULL AND EXISTS (SELECT 1 FROM marketplace_module m WHERE m.code = app_code);

-- A client without a workflow gets the one that takes it on.
INSERT INTO orchestration_workflow(uuid, workflow_name, workflow_type_id, workflow_template_id, client_id, workflow_definition, correlation_id)
SELECT lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-a' || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
  'Onboarding of ' || c.client_name, t.workflow_type_id, t.id, c.id, t.definition, 'unification-client-' || c.id
FROM client c JOIN workflow_template t ON t.id = (
  SELECT x.id FROM workflow_template x JOIN workflow_type y ON y.id = x.workflow_type_id
  WHERE y.code = 'CLIENT_ONBOARDING' AND x.status_id = 1 ORDER BY x.id DESC LIMIT 1)
WHERE c.status_id = 1 AND NOT EXISTS (SELECT 1 FROM orchestration_workflow w WHERE w.client_id = c.id);

-- A client whose deployment is done gets the package to hand over.
INSERT INTO handover_package(uuid, client_id, package_name, package_type_id, package_metadata)
SELECT lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-a' || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
  c.id, c.client_name || ', version ' || d.version, (SELECT p.id FROM package_type p WHERE p.code = 'COMPLETE'),
  json_object('deployment_id', d.id)
FROM client_deployment d JOIN client c ON c.id = d.client_id
WHERE d.deployment_status = 'completed' AND NOT EXISTS (
  SELECT 1 FROM handover_package p WHERE p.client_id = c.id AND json_extract(p.package_metadata, '$.deployment_id') = d.id);

-- What happened before there were events is told as processed: nobody is to act on it again.
INSERT INTO integration_event(uuid, event_type, event_source_id, event_payload, processing_status, processed_at, correlation_id, organization_id)
SELECT lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-a' || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
  h.event_type, (SELECT s.id FROM event_source s WHERE s.code = h.source), h.payload, 'processed', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), 'unification-client-' || h.client_id, c.organization_id
FROM (
  SELECT 'client.created' AS event_type, 'ORCHESTRATION' AS source, json_object('client_id', id, 'at', created_at) AS payload, id AS client_id FROM client
  UNION ALL SELECT 'deployment.completed', 'ORCHESTRATION', json_object('deployment_id', id, 'client_id', client_id, 'at', completed_at), client_id
    FROM client_deployment WHERE deployment_status = 'completed'
  UNION ALL SELECT 'module.installed', 'MARKETPLACE', json_object('installation_id', id, 'client_id', client_id, 'at', installed_at), client_id
    FROM module_installation WHERE installation_status = 'active') h
JOIN client c ON c.id = h.client_id
WHERE NOT EXISTS (SELECT 1 FROM integration_event e WHERE e.event_type = h.event_type AND e.event_payload = h.payload);

