-- Compatibility: read-only views under the names and columns of the documents this schema grew out of.
--
-- Codes are shown in small letters, as those documents write them; ids are those of the tables. What is sealed shows as ***,
-- what is empty as the documents' default. The views active_* are in 97_active.sql.

-- Features, tiers and registries.

CREATE VIEW feature_registry AS
SELECT f.id, f.feature_key, f.name, f.description, f.value_type AS feature_type, f.default_value,
  (SELECT json_group_array(feature_key) FROM (SELECT n.feature_key FROM feature_dependency d JOIN feature n ON n.id = d.depends_on_feature_id
    WHERE d.feature_id = f.id AND d.status_id IN (SELECT id FROM status WHERE is_active) ORDER BY n.feature_key)) AS depends_on,
  (SELECT is_active FROM status WHERE id = f.status_id) AS is_active, f.created_by, f.created_at, f.updated_at
FROM feature f;

CREATE VIEW license_tier_features AS
SELECT t.id, t.license_tier_id, f.feature_key, t.feature_value, t.created_at, t.updated_at
FROM license_tier_feature t JOIN feature f ON f.id = t.feature_id
WHERE t.status_id IN (SELECT id FROM status WHERE is_active);

CREATE VIEW integration_registry AS
SELECT i.id, lower(i.code) AS integration_key, i.name, i.description, f.feature_key,
  (SELECT is_active FROM status WHERE id = i.status_id) AS is_active, i.created_by, i.created_at, i.updated_at
FROM integration_type i JOIN feature f ON f.id = i.feature_id;

CREATE VIEW tenant_integration_configs AS
SELECT i.id, i.organization_id AS tenant_id, lower(t.code) AS integration_key, i.connection_config AS config,
  (SELECT json_group_object(credential_key, '***') FROM integration_credential WHERE integration_id = i.id) AS encrypted_config,
  (SELECT is_active FROM status WHERE id = i.status_id) AS is_enabled, i.health_status, i.last_health_check_at AS last_health_check, i.created_at, i.updated_at
FROM integration i JOIN integration_type t ON t.id = i.integration_type_id;

-- Who changed what of an integration: its versions.
CREATE VIEW tenant_integration_config_history AS
SELECT seq AS id, record_key AS config_id, action, old_values AS old_value, new_values AS new_value, actor AS changed_by, performed_at AS changed_at
FROM audit_entry WHERE table_name = 'integration';

CREATE VIEW feature_audit_log AS
SELECT c.feature_key, CASE c.table_name WHEN 'license_tier_feature' THEN 'tier' WHEN 'feature_license' THEN 'tenant' ELSE 'registry' END AS entity_type,
  CAST(c.record_key AS TEXT) AS entity_id, CASE c.action WHEN 'I' THEN 'create' WHEN 'U' THEN 'update' ELSE 'delete' END AS action,
  (SELECT old_values FROM audit_entry WHERE seq = c.seq) AS old_value, (SELECT new_values FROM audit_entry WHERE seq = c.seq) AS new_value,
  c.actor AS performed_by, c.performed_at
FROM v_feature_change c;

CREATE VIEW FeatureRegistry AS SELECT * FROM feature_registry;
CREATE VIEW FeatureAuditLog AS SELECT * FROM feature_audit_log;
CREATE VIEW IntegrationRegistry AS SELECT * FROM integration_registry;
CREATE VIEW LicenseTierFeatures AS SELECT * FROM license_tier_features;
CREATE VIEW TenantIntegrationConfig AS SELECT * FROM tenant_integration_configs;

-- `features` is read from the tier's rows; `deleted_at` is when the tier was given the status DELETED.
CREATE VIEW LicenseTier AS
SELECT t.id, lower(t.code) AS code, t.name, t.description, t.tier_rank,
  (SELECT json_group_object(feature_key, json(feature_value)) FROM license_tier_features WHERE license_tier_id = t.id) AS features,
  s.is_active, CASE s.code WHEN 'DELETED' THEN t.updated_at END AS deleted_at, t.created_at, t.updated_at
FROM license_tier t JOIN status s ON s.id = t.status_id;

CREATE VIEW ModelRegistry AS
SELECT m.id, m.provider, m.model_id, m.model_name, f.feature_key, (SELECT is_active FROM status WHERE id = m.status_id) AS is_active, m.created_at, m.updated_at
FROM model_registry m JOIN feature f ON f.id = m.feature_id;

CREATE VIEW ComponentRegistry AS
SELECT c.id, lower(c.code) AS component_key, c.name, c.description, c.feature_key, c.is_public, (SELECT is_active FROM status WHERE id = c.status_id) AS is_active
FROM v_component_registry c;

-- Organizations and people.

CREATE VIEW organizations AS
SELECT o.id, lower(o.code) AS code, o.name, o.parent_organization_id, (SELECT is_active FROM status WHERE id = o.status_id) AS is_active, o.created_at, o.updated_at
FROM organization o;

CREATE VIEW Tenant AS SELECT id, code AS slug, name, is_active, created_at, updated_at FROM organizations;

CREATE VIEW users AS
SELECT u.id, u.username, u.email, u.display_name, json_object('role', lower((SELECT code FROM role WHERE id = u.role_id))) AS raw_user_meta_data,
  u.organization_id, u.license_tier_id, (SELECT is_active FROM status WHERE id = u.status_id) AS is_active, u.last_login_at AS last_sign_in_at, u.created_at, u.updated_at
FROM user u;

-- Configuration. Of a provider, per program: the program's value before that of everybody.

CREATE VIEW v_effective_dcs_configuration AS
SELECT c.program_id, i.code AS integration_type, c.configuration_type AS config_type, c.config_key, c.config_value
FROM v_effective_configuration c JOIN integration_type i ON i.code GLOB 'DCS_*'
WHERE c.program_id IS NOT NULL AND c.configuration_type GLOB 'DCS_*';

-- `client_id` is the client whose organization the configuration is for; NULL: for everybody.
CREATE VIEW system_configurations AS
SELECT c.id, k.id AS client_id, lower(s.code) AS scope, c.scope_id, c.config_data, c.version, (SELECT is_active FROM status WHERE id = c.status_id) AS is_active, c.created_by, c.created_at, c.updated_at
FROM configuration c JOIN configuration_type t ON t.id = c.configuration_type_id AND t.code = 'SYSTEM_CONFIGURATION'
JOIN scope_type s ON s.id = c.scope_type_id LEFT JOIN client k ON k.organization_id = c.organization_id;

CREATE VIEW deployment_configurations AS
SELECT c.id, k.id AS client_id, lower(s.code) AS scope, c.scope_id, c.config_data, c.version, (SELECT is_active FROM status WHERE id = c.status_id) AS is_active, c.created_by, c.created_at, c.updated_at
FROM configuration c JOIN configuration_type t ON t.id = c.configuration_type_id AND t.code = 'DEPLOYMENT_CONFIGURATION'
JOIN scope_type s ON s.id = c.scope_type_id LEFT JOIN client k ON k.organization_id = c.organization_id;

-- One row is what is set for one template.
CREATE VIEW template_configurations AS
SELECT c.id, k.id AS client_id, j.key AS template_code, j.value AS settings, c.version, (SELECT is_active FROM status WHERE id = c.status_id) AS is_active, c.created_by, c.created_at, c.updated_at
FROM configuration c JOIN configuration_type t ON t.id = c.configuration_type_id AND t.code = 'TEMPLATE_CONFIGURATION'
JOIN json_each(c.config_data) j LEFT JOIN client k ON k.organization_id = c.organization_id;

-- Clients and consultations.

CREATE VIEW clients_enhanced AS
SELECT c.id, c.client_name AS name, c.company_name, lower(s.code) AS status, c.contact_name, c.email, c.phone, c.organization_id,
  c.created_by, c.assigned_manager_id AS assigned_manager, c.created_at, c.updated_at
FROM client c JOIN client_status s ON s.id = c.client_status_id;

CREATE VIEW client_deployments AS
SELECT d.id, d.client_id, lower(e.code) AS environment, d.version, d.deployment_status AS status, d.url, d.deployment_template_id, d.configuration_id,
  d.error_message, d.started_at, d.completed_at, d.created_at, d.updated_at
FROM client_deployment d JOIN environment e ON e.id = d.environment_id;

CREATE VIEW client_customizations AS SELECT * FROM client_customization;
CREATE VIEW deployment_templates AS SELECT * FROM deployment_template;
CREATE VIEW consultation_sessions AS SELECT * FROM consultation_session;
CREATE VIEW questionnaire_submissions AS SELECT * FROM questionnaire_submission;
CREATE VIEW consultation_generations AS SELECT * FROM consultation_generation;

-- Workflows and events.

CREATE VIEW orchestration_workflows AS
SELECT w.id, w.workflow_name, lower((SELECT code FROM workflow_type WHERE id = w.workflow_type_id)) AS workflow_type, w.client_id, w.workflow_definition,
  p.current_step, w.workflow_status AS status, p.steps_completed, p.steps_failed, ifnull(w.metadata, '{}') AS metadata,
  w.created_at, w.updated_at, w.started_at, w.completed_at
FROM orchestration_workflow w JOIN workflow_progress p ON p.workflow_id = w.id;

CREATE VIEW workflow_executions AS
SELECT id, workflow_id, step_name, step_type, execution_order, execution_status AS status, ifnull(input_data, '{}') AS input_data,
  ifnull(output_data, '{}') AS output_data, ifnull(error_data, '{}') AS error_data, execution_time_ms, started_at, completed_at, retry_count, max_retries
FROM workflow_execution;

CREATE VIEW integration_events AS
SELECT e.id, e.event_type, lower((SELECT code FROM event_source WHERE id = e.event_source_id)) AS event_source, e.event_target, e.event_payload,
  ifnull(e.event_metadata, '{}') AS event_metadata, e.processing_status = 'processed' AS processed, e.processing_status, e.processing_error, e.processed_at,
  e.correlation_id, e.causation_id, e.created_at
FROM integration_event e;

-- The marketplace.

CREATE VIEW marketplace_categories AS
SELECT id, lower(code) AS code, name, description, parent_marketplace_category_id AS parent_id, sort_order, created_at, updated_at FROM marketplace_category;

CREATE VIEW marketplace_modules AS
SELECT m.id, lower(m.code) AS code, m.name, m.description, m.version, lower(c.code) AS category, m.developer_id, lower(p.code) AS pricing_model, m.price, m.currency,
  s.rating_average, s.install_count, (SELECT is_active FROM status WHERE id = m.status_id) AS is_active, m.created_at, m.updated_at
FROM marketplace_module m JOIN marketplace_category c ON c.id = m.category_id JOIN pricing_model p ON p.id = m.pricing_model_id
JOIN marketplace_module_stat s ON s.module_id = m.id;

CREATE VIEW module_installations AS
SELECT id, client_id AS tenant_id, module_id, installed_version, installation_status AS status, installed_at, uninstalled_at, error_message, created_at, updated_at
FROM module_installation;

CREATE VIEW client_app_overrides AS
SELECT id, client_id, app_code, (SELECT is_active FROM status WHERE id = status_id) AS enabled, ifnull(override_settings, '{}') AS override_settings,
  marketplace_module_id, installation_id, activation_status, ifnull(activation_metadata, '{}') AS activation_metadata, created_at, updated_at
FROM client_app_override;

CREATE VIEW module_licenses AS
SELECT id, module_id, client_id AS tenant_id, CASE WHEN license_key_ciphertext IS NOT NULL THEN '***' END AS license_key, seats, expires_at, created_at, updated_at
FROM module_license;

CREATE VIEW module_payments AS
SELECT id, module_id, client_id, license_id, amount, fee, currency, lower((SELECT code FROM payment_status WHERE id = payment_status_id)) AS status,
  CASE WHEN payment_method_ciphertext IS NOT NULL THEN '***' END AS payment_method_id, provider_reference, paid_at, created_at, updated_at
FROM module_payment;

CREATE VIEW module_reviews AS SELECT * FROM module_review;
CREATE VIEW module_submissions AS SELECT * FROM module_submission;
CREATE VIEW module_validations AS SELECT * FROM module_validation;
CREATE VIEW moderation_actions AS SELECT * FROM moderation_action;
CREATE VIEW developer_stats AS SELECT * FROM developer_stat;

CREATE VIEW publishing_pipelines AS
SELECT p.id, s.module_id, p.submission_id, p.workflow_id, p.publishing_status AS status, p.error_message, p.started_at, p.completed_at, p.created_at, p.updated_at
FROM publishing_pipeline p JOIN module_submission s ON s.id = p.submission_id;

-- Handover: what is linked to a package, as lists.

CREATE VIEW handover_packages AS
SELECT p.id, p.client_id, p.workflow_id, p.package_name, lower((SELECT code FROM package_type WHERE id = p.package_type_id)) AS package_type,
  (SELECT json_group_array(installation_id) FROM handover_package_module WHERE package_id = p.id) AS installed_modules,
  (SELECT json_group_object(lower(m.code), json(ifnull(x.module_configuration, '{}'))) FROM handover_package_module x
    JOIN module_installation i ON i.id = x.installation_id JOIN marketplace_module m ON m.id = i.module_id WHERE x.package_id = p.id) AS module_configurations,
  (SELECT json_group_array(x.configuration_id) FROM handover_package_configuration x JOIN configuration c ON c.id = x.configuration_id
    JOIN configuration_type t ON t.id = c.configuration_type_id WHERE x.package_id = p.id AND t.code <> 'DEPLOYMENT_CONFIGURATION') AS system_configs,
  (SELECT json_group_array(x.configuration_id) FROM handover_package_configuration x JOIN configuration c ON c.id = x.configuration_id
    JOIN configuration_type t ON t.id = c.configuration_type_id WHERE x.package_id = p.id AND t.code = 'DEPLOYMENT_CONFIGURATION') AS deployment_configs,
  (SELECT json_group_array(json_object('title', title, 'url', url)) FROM handover_package_document WHERE package_id = p.id AND document_type = 'sop') AS sop_documents,
  (SELECT json_group_array(json_object('title', title, 'url', url)) FROM handover_package_document WHERE package_id = p.id AND document_type = 'tutorial_video') AS tutorial_videos,
  CASE WHEN p.admin_credentials_ciphertext IS NULL THEN '{}' ELSE '"***"' END AS admin_credentials,
  p.delivery_status, lower((SELECT code FROM delivery_method WHERE id = p.delivery_method_id)) AS delivery_method, p.delivered_at,
  ifnull(p.delivery_confirmation, '{}') AS delivery_confirmation, ifnull(p.package_metadata, '{}') AS package_metadata, p.created_at, p.updated_at
FROM handover_package p;

-- Integrations.

CREATE VIEW integration_configs AS
SELECT i.id, i.integration_name, lower(t.code) AS integration_type, i.connection_config, i.organization_id, i.health_status, i.version,
  (SELECT is_active FROM status WHERE id = i.status_id) AS is_active, i.created_by, i.created_at, i.updated_by, i.updated_at
FROM integration i JOIN integration_type t ON t.id = i.integration_type_id;

CREATE VIEW integration_mappings AS
SELECT m.id, m.integration_id AS config_id, m.mapping_name, m.mapping_type, m.source_path, m.target_path, m.source_data_type, m.target_data_type, m.is_required,
  m.default_value, m.transformation_rules, m.validation_rules, lower(d.code) AS mapping_direction,
  (SELECT is_active FROM status WHERE id = m.status_id) AS is_active, m.error_handling, m.mapping_notes, m.test_coverage, m.organization_id,
  m.created_by, m.created_at, m.updated_by, m.updated_at, m.version
FROM integration_mapping m JOIN communication_direction d ON d.id = m.communication_direction_id;

CREATE VIEW integration_mapping_tests AS
SELECT id, mapping_id, test_name, test_type, input_data, expected_output, test_status, actual_output, execution_time_ms, error_message, last_run_at AS last_run,
  (SELECT is_active FROM status WHERE id = status_id) AS is_active, organization_id, created_by, created_at, updated_by, updated_at
FROM integration_mapping_test;

CREATE VIEW integration_schedules AS
SELECT s.id, s.integration_id AS config_id, s.schedule_name, s.schedule_type, s.cron_expression, s.interval_minutes,
  (SELECT json_group_array(time_of_day) FROM (SELECT time_of_day FROM integration_schedule_time WHERE schedule_id = s.id AND status_id = 1 ORDER BY time_of_day)) AS fixed_times,
  s.timezone, (SELECT is_active FROM status WHERE id = s.status_id) AS is_active, s.start_date, s.end_date, s.next_run_at AS next_run_time, s.last_run_at AS last_run_time,
  s.retry_policy, s.execution_timeout_seconds, s.overlap_policy = 'allow' AS concurrent_execution_allowed, s.missed_execution_policy,
  s.is_failure_notified AS notification_on_failure,
  (SELECT json_group_array(user_id) FROM integration_schedule_recipient WHERE schedule_id = s.id AND status_id = 1) AS notification_recipients,
  s.execution_parameters, s.organization_id, s.created_by, s.created_at, s.updated_by, s.updated_at
FROM integration_schedule s;

CREATE VIEW integration_schedule_executions AS
SELECT id, schedule_id, execution_id, scheduled_at AS scheduled_time, started_at AS actual_start_time, ended_at AS actual_end_time, execution_status,
  records_processed, error_count, warning_count, execution_notes, organization_id
FROM integration_schedule_execution;

CREATE VIEW integration_executions AS SELECT *, integration_id AS config_id FROM integration_execution;

CREATE VIEW integration_templates AS
SELECT t.id, t.template_name, t.description, lower(i.code) AS integration_type, lower(c.code) AS template_category, t.version,
  (SELECT is_active FROM status WHERE id = t.status_id) AS is_active, t.is_certified, t.certification_date, t.connection_template, t.mapping_templates,
  t.transformation_library, t.test_suite, t.documentation_url,
  (SELECT json_group_array(prerequisite) FROM (SELECT prerequisite FROM integration_template_prerequisite WHERE template_id = t.id ORDER BY sort_order, id)) AS prerequisites,
  (SELECT json_group_array(operation) FROM integration_template_operation WHERE template_id = t.id) AS supported_operations,
  t.rate_limits, t.organization_id, t.created_by, t.created_at, t.updated_by, t.updated_at
FROM integration_template t JOIN integration_type i ON i.id = t.integration_type_id JOIN template_category c ON c.id = t.template_category_id;

CREATE VIEW integration_template_instances AS
SELECT id, template_id, integration_id AS config_id, instance_name, customizations, deployment_status, deployed_at AS deployed_date, deployed_by, organization_id, created_at, updated_at
FROM integration_template_instance;

CREATE VIEW integration_transformations AS SELECT * FROM integration_transformation;

CREATE VIEW integration_pipeline_definitions AS
SELECT id, pipeline_name, description, integration_id AS config_id, pipeline_type, pipeline_steps, error_handling_strategy, dead_letter_config, performance_config,
  monitoring_config, (SELECT is_active FROM status WHERE id = status_id) AS is_active, organization_id, created_by, created_at, updated_by, updated_at
FROM integration_pipeline_definition;

-- One row is one client: how many modules and settings it has, the workflow that runs (else the newest that waits), the newest
-- package on its way, what it pays for.
CREATE VIEW unified_client_dashboard AS
SELECT c.id AS client_id, c.client_name, c.company_name, lower(s.code) AS client_status,
  (SELECT count(*) FROM module_installation WHERE client_id = c.id AND installation_status = 'active') AS active_modules,
  (SELECT count(*) FROM client_app_override WHERE client_id = c.id) AS configured_apps,
  w.workflow_name AS current_workflow, w.workflow_status, w.current_step, p.package_name AS handover_package, p.delivery_status,
  (SELECT count(*) FROM configuration g JOIN configuration_type y ON y.id = g.configuration_type_id
    WHERE g.organization_id = c.organization_id AND g.status_id IN (SELECT id FROM status WHERE is_active) AND y.code = 'SYSTEM_CONFIGURATION') AS system_configurations,
  (SELECT count(*) FROM configuration g JOIN configuration_type y ON y.id = g.configuration_type_id
    WHERE g.organization_id = c.organization_id AND g.status_id IN (SELECT id FROM status WHERE is_active) AND y.code = 'DEPLOYMENT_CONFIGURATION') AS deployment_configurations,
  lower((SELECT code FROM license_tier WHERE id = b.license_tier_id)) AS subscription_tier,
  lower((SELECT code FROM subscription_status WHERE id = b.subscription_status_id)) AS subscription_status, c.created_at, c.updated_at
FROM client c JOIN client_status s ON s.id = c.client_status_id
LEFT JOIN workflow_progress w ON w.workflow_id = (SELECT id FROM orchestration_workflow WHERE client_id = c.id AND workflow_status IN ('pending', 'in_progress')
  ORDER BY workflow_status = 'pending', created_at DESC, id DESC LIMIT 1)
LEFT JOIN handover_package p ON p.id = (SELECT id FROM handover_package WHERE client_id = c.id AND delivery_status <> 'delivered' ORDER BY created_at DESC, id DESC LIMIT 1)
LEFT JOIN client_billing_info b ON b.client_id = c.id;

-- One row is a client of whom `client_summary` does not say what its rows say.
CREATE VIEW v_client_summary_stale AS
SELECT d.client_id, s.changed_at FROM unified_client_dashboard d LEFT JOIN client_summary s ON s.client_id = d.client_id
WHERE s.id IS NULL OR (s.active_modules, s.configured_apps, s.current_workflow, s.workflow_status, s.current_step, s.handover_package, s.delivery_status,
    s.system_configurations, s.deployment_configurations, s.subscription_tier, s.subscription_status)
  IS NOT (d.active_modules, d.configured_apps, d.current_workflow, d.workflow_status, d.current_step, d.handover_package, d.delivery_status,
    d.system_configurations, d.deployment_configurations, d.subscription_tier, d.subscription_status);

-- One row is a module, with each client that has it: how it is set up there and what is licensed.
CREATE VIEW module_integration_view AS
SELECT m.id AS module_id, m.name AS module_name, m.version, m.category, i.id AS installation_id, i.tenant_id AS client_id, i.status AS installation_status,
  o.id AS override_id, o.enabled, o.override_settings, m.rating_average, m.install_count, m.pricing_model, l.license_key, l.expires_at, i.installed_at, m.updated_at
FROM marketplace_modules m
LEFT JOIN module_installations i ON i.module_id = m.id
LEFT JOIN client_app_overrides o ON o.installation_id = i.id
LEFT JOIN module_licenses l ON l.module_id = m.id AND l.tenant_id = i.tenant_id;
