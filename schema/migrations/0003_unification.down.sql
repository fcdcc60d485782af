-- Take the unification away: what it brought goes, its rows with it, and nothing else.

DROP VIEW workflow_progress;
DROP VIEW active_orchestration_workflow;
DROP VIEW active_workflow_execution;
DROP VIEW active_publishing_pipeline;
DROP VIEW active_handover_package;
DROP VIEW active_handover_package_module;
DROP VIEW active_handover_package_configuration;
DROP VIEW active_handover_package_document;
DROP VIEW orchestration_workflows;
DROP VIEW workflow_executions;
DROP VIEW client_app_overrides;
DROP VIEW publishing_pipelines;
DROP VIEW handover_packages;
DROP VIEW unified_client_dashboard;
DROP VIEW module_integration_view;
DROP TRIGGER client_app_override_activation_status_bi;
DROP TRIGGER client_app_override_activation_status_bu;
DROP TRIGGER client_app_override_installation_bi;
DROP TRIGGER client_app_override_installation_bu;
DROP TRIGGER client_app_override_activation_metadata_secret_bi;
DROP TRIGGER client_app_override_activation_metadata_secret_bu;
DROP TRIGGER configuration_package_bi;
DROP TRIGGER configuration_package_bu;
DROP TRIGGER client_package_bi;
DROP TRIGGER client_package_bu;
DROP TABLE handover_package_document;
DROP TABLE handover_package_configuration;
DROP TABLE handover_package_module;
DROP TABLE handover_package;
DROP TABLE publishing_pipeline;
DROP TABLE workflow_execution;
DROP TABLE orchestration_workflow;
CREATE TABLE client_app_override_new (
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
INSERT INTO client_app_override_new(id, client_id, app_code, override_settings, status_id, created_by, updated_by, created_at, updated_at)
  SELECT id, client_id, app_code, override_settings, status_id, created_by, updated_by, created_at, updated_at FROM client_app_override;
DROP TABLE client_app_override;
ALTER TABLE client_app_override_new RENAME TO client_app_override;

-- Rows:
DELETE FROM handover_package_document;
DELETE FROM handover_package_configuration;
DELETE FROM handover_package_module;
DELETE FROM handover_package;
DELETE FROM publishing_pipeline;
DELETE FROM workflow_execution;
DELETE FROM orchestration_workflow;
