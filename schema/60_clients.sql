-- Clients: whom the agency serves, what they pay for, what is deployed for them, and the consultations that win them.
-- A client is an organization of its own: what it has hangs on that organization, what it buys on the client.

-- One row is a stage of the relationship with a client.
CREATE TABLE client_status (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "client_status.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "client_status.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  is_final_state INTEGER NOT NULL DEFAULT 0 CONSTRAINT "client_status.is_final_state.boolean" CHECK (is_final_state IN (0, 1)),  -- the relationship is over
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

-- One row is a state a subscription may be in.
CREATE TABLE subscription_status (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "subscription_status.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "subscription_status.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  is_entitled INTEGER NOT NULL DEFAULT 0 CONSTRAINT "subscription_status.is_entitled.boolean" CHECK (is_entitled IN (0, 1)),  -- may the client use what its tier includes?
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

-- One row says that an organization is a client: who it is, how to reach it, and who looks after it.
CREATE TABLE client (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  organization_id INTEGER NOT NULL UNIQUE REFERENCES organization(id),  -- the client's own, one to one
  client_name TEXT NOT NULL CONSTRAINT "client.client_name.length" CHECK (length(client_name) BETWEEN 1 AND 200),
  company_name TEXT CONSTRAINT "client.company_name.length" CHECK (length(company_name) <= 200),
  contact_name TEXT CONSTRAINT "client.contact_name.length" CHECK (length(contact_name) <= 200),
  email TEXT CONSTRAINT "client.email.length" CHECK (length(email) <= 254),
  phone TEXT CONSTRAINT "client.phone.length" CHECK (length(phone) <= 50),
  address TEXT CONSTRAINT "client.address.length" CHECK (length(address) <= 200),
  city TEXT CONSTRAINT "client.city.length" CHECK (length(city) <= 100),
  state TEXT CONSTRAINT "client.state.length" CHECK (length(state) <= 50),
  postal_code TEXT CONSTRAINT "client.postal_code.length" CHECK (length(postal_code) <= 20),  -- text: leading zeros count
  client_status_id INTEGER NOT NULL REFERENCES client_status(id),
  assigned_manager_id INTEGER REFERENCES user(id),  -- who looks after it, and so may see it
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX client_client_status ON client(client_status_id);
CREATE INDEX client_assigned_manager ON client(assigned_manager_id);
CREATE INDEX client_created_by ON client(created_by);

-- What the client has hangs on its organization.
CREATE TRIGGER client_organization_bi BEFORE INSERT ON client BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|client|organization_id|immutable|A client stays the organization it is.') FROM client WHERE id = NEW.id AND organization_id IS NOT NEW.organization_id;
END;
CREATE TRIGGER client_organization_bu BEFORE UPDATE OF organization_id ON client WHEN NEW.organization_id IS NOT OLD.organization_id BEGIN
  SELECT RAISE(ABORT, 'EK|client|organization_id|immutable|A client stays the organization it is.');
END;

-- One row is what a client pays for and how. The payment method is sealed by the vault.
CREATE TABLE client_billing_info (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "client_billing_info.uuid.length" CHECK (length(uuid) = 36),  -- binds the ciphertext to this row
  client_id INTEGER NOT NULL UNIQUE REFERENCES client(id),
  license_tier_id INTEGER NOT NULL REFERENCES license_tier(id),  -- the tier subscribed to
  subscription_status_id INTEGER NOT NULL REFERENCES subscription_status(id),
  billing_name TEXT CONSTRAINT "client_billing_info.billing_name.length" CHECK (length(billing_name) <= 200),
  billing_email TEXT CONSTRAINT "client_billing_info.billing_email.length" CHECK (length(billing_email) <= 254),
  billing_address TEXT CONSTRAINT "client_billing_info.billing_address.length" CHECK (length(billing_address) <= 500),
  payment_method_ciphertext BLOB CONSTRAINT "client_billing_info.payment_method_ciphertext.length" CHECK (length(payment_method_ciphertext) BETWEEN 29 AND 65536),  -- NULL: none on file
  encryption_key_id INTEGER REFERENCES encryption_key(id),
  period_start_date TEXT CONSTRAINT "client_billing_info.period_start_date.date" CHECK (period_start_date IS NULL OR date(period_start_date, '+0 days') IS period_start_date),  -- of what is paid for now
  period_end_date TEXT CONSTRAINT "client_billing_info.period_end_date.date" CHECK (period_end_date IS NULL OR date(period_end_date, '+0 days') IS period_end_date),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "client_billing_info.encryption_key_id.required" CHECK ((payment_method_ciphertext IS NULL) = (encryption_key_id IS NULL)),
  CONSTRAINT "client_billing_info.period_end_date.order" CHECK (period_start_date < period_end_date)
) STRICT;
CREATE INDEX client_billing_info_license_tier ON client_billing_info(license_tier_id);
CREATE INDEX client_billing_info_subscription_status ON client_billing_info(subscription_status_id);
CREATE INDEX client_billing_info_encryption_key ON client_billing_info(encryption_key_id);

CREATE TRIGGER client_billing_info_uuid_bi BEFORE INSERT ON client_billing_info BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|client_billing_info|uuid|protected|The uuid of a billing row stays: its payment method is sealed to it.')
  FROM client_billing_info WHERE id = NEW.id AND uuid IS NOT NEW.uuid;
END;
CREATE TRIGGER client_billing_info_uuid_bu BEFORE UPDATE OF uuid ON client_billing_info WHEN NEW.uuid IS NOT OLD.uuid BEGIN
  SELECT RAISE(ABORT, 'EK|client_billing_info|uuid|protected|The uuid of a billing row stays: its payment method is sealed to it.');
END;

-- One row is a version of a way to set up a client's system, for use again and again.
CREATE TABLE deployment_template (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE CONSTRAINT "deployment_template.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "deployment_template.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  version TEXT NOT NULL CONSTRAINT "deployment_template.version.length" CHECK (length(version) BETWEEN 1 AND 20),
  template_data TEXT NOT NULL CONSTRAINT "deployment_template.template_data.json_object" CHECK (CASE WHEN json_valid(template_data) THEN json_type(template_data) = 'object' ELSE 0 END),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "deployment_template.version.unique" UNIQUE (code, version)
) STRICT;

CREATE TRIGGER deployment_template_template_data_secret_bi BEFORE INSERT ON deployment_template WHEN json_valid(NEW.template_data) BEGIN
  SELECT RAISE(ABORT, 'EK|deployment_template|template_data|secret|A setting is named like a secret. Secrets belong in the vault.')
  FROM json_tree(NEW.template_data) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;
CREATE TRIGGER deployment_template_template_data_secret_bu BEFORE UPDATE OF template_data ON deployment_template WHEN json_valid(NEW.template_data) BEGIN
  SELECT RAISE(ABORT, 'EK|deployment_template|template_data|secret|A setting is named like a secret. Secrets belong in the vault.')
  FROM json_tree(NEW.template_data) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;

-- One row is one setting up of one version in one environment of a client. Trying again is another row.
CREATE TABLE client_deployment (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  client_id INTEGER NOT NULL REFERENCES client(id),
  environment_id INTEGER NOT NULL REFERENCES environment(id),
  deployment_template_id INTEGER REFERENCES deployment_template(id),
  configuration_id INTEGER REFERENCES configuration(id),  -- the settings it is deployed with
  version TEXT NOT NULL CONSTRAINT "client_deployment.version.length" CHECK (length(version) BETWEEN 1 AND 50),  -- of what is deployed
  deployment_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "client_deployment.deployment_status.choice" CHECK (deployment_status IN ('pending', 'in_progress', 'completed', 'failed', 'rolled_back')),  -- pending: not begun; in_progress: under way; completed: in place; failed: given up; rolled_back: what it did was undone
  url TEXT CONSTRAINT "client_deployment.url.length" CHECK (length(url) <= 500),  -- where the client reaches it
  started_at TEXT CONSTRAINT "client_deployment.started_at.time" CHECK (started_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', started_at, '+0 days') IS started_at),
  completed_at TEXT CONSTRAINT "client_deployment.completed_at.time" CHECK (completed_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', completed_at, '+0 days') IS completed_at),  -- when it ended, well or not
  error_message TEXT,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "client_deployment.started_at.required" CHECK (started_at IS NOT NULL OR deployment_status IN ('pending', 'failed')),
  CONSTRAINT "client_deployment.completed_at.required" CHECK ((completed_at IS NULL) = (deployment_status IN ('pending', 'in_progress'))),
  CONSTRAINT "client_deployment.completed_at.order" CHECK (started_at <= completed_at)
) STRICT;
CREATE INDEX client_deployment_client ON client_deployment(client_id);
CREATE INDEX client_deployment_environment ON client_deployment(environment_id);
CREATE INDEX client_deployment_deployment_template ON client_deployment(deployment_template_id);
CREATE INDEX client_deployment_configuration ON client_deployment(configuration_id);
CREATE INDEX client_deployment_open ON client_deployment(id) WHERE deployment_status IN ('pending', 'in_progress');

-- What a client is deployed with is its own organization's, or everybody's.
CREATE TRIGGER client_deployment_configuration_bi BEFORE INSERT ON client_deployment WHEN NEW.configuration_id IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'EK|client_deployment|configuration_id|organization|The configuration belongs to another organization than the client.')
  FROM configuration WHERE id = NEW.configuration_id AND organization_id <> (SELECT organization_id FROM client WHERE id = NEW.client_id);
END;
CREATE TRIGGER client_deployment_configuration_bu BEFORE UPDATE OF client_id, configuration_id ON client_deployment WHEN NEW.configuration_id IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'EK|client_deployment|configuration_id|organization|The configuration belongs to another organization than the client.')
  FROM configuration WHERE id = NEW.configuration_id AND organization_id <> (SELECT organization_id FROM client WHERE id = NEW.client_id);
END;
CREATE TRIGGER configuration_deployment_bi BEFORE INSERT ON configuration WHEN NEW.organization_id IS NOT NULL BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|configuration|organization_id|referenced|A client of another organization is deployed with it.')
  FROM client_deployment d JOIN client k ON k.id = d.client_id WHERE d.configuration_id = NEW.id AND k.organization_id <> NEW.organization_id;
  SELECT RAISE(ABORT, 'EK|configuration|organization_id|referenced|A program of another organization is linked with it.')
  FROM map_integration_configuration m JOIN program p ON p.id = m.program_id WHERE m.configuration_id = NEW.id AND p.organization_id <> NEW.organization_id;
END;
CREATE TRIGGER configuration_deployment_bu BEFORE UPDATE OF organization_id ON configuration WHEN NEW.organization_id IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'EK|configuration|organization_id|referenced|A client of another organization is deployed with it.')
  FROM client_deployment d JOIN client k ON k.id = d.client_id WHERE d.configuration_id = NEW.id AND k.organization_id <> NEW.organization_id;
  SELECT RAISE(ABORT, 'EK|configuration|organization_id|referenced|A program of another organization is linked with it.')
  FROM map_integration_configuration m JOIN program p ON p.id = m.program_id WHERE m.configuration_id = NEW.id AND p.organization_id <> NEW.organization_id;
END;

CREATE TRIGGER client_deployment_deployment_status_bi BEFORE INSERT ON client_deployment BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|client_deployment|deployment_status|transition|A deployment goes from pending to in_progress, ends completed or failed, and may then be rolled back.')
  FROM client_deployment WHERE id = NEW.id AND deployment_status IS NOT ifnull(NEW.deployment_status, 'pending') AND deployment_status || '>' || ifnull(NEW.deployment_status, 'pending') NOT IN ('pending>in_progress', 'pending>failed', 'in_progress>completed', 'in_progress>failed', 'completed>rolled_back', 'failed>rolled_back');
END;
CREATE TRIGGER client_deployment_deployment_status_bu BEFORE UPDATE OF deployment_status ON client_deployment
WHEN OLD.deployment_status IS NOT ifnull(NEW.deployment_status, 'pending') AND OLD.deployment_status || '>' || ifnull(NEW.deployment_status, 'pending') NOT IN ('pending>in_progress', 'pending>failed', 'in_progress>completed', 'in_progress>failed', 'completed>rolled_back', 'failed>rolled_back') BEGIN
  SELECT RAISE(ABORT, 'EK|client_deployment|deployment_status|transition|A deployment goes from pending to in_progress, ends completed or failed, and may then be rolled back.');
END;

-- One row is what a client has otherwise than a deployment template says.
CREATE TABLE client_customization (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  client_id INTEGER NOT NULL REFERENCES client(id),
  deployment_template_id INTEGER NOT NULL REFERENCES deployment_template(id),
  customization_data TEXT NOT NULL CONSTRAINT "client_customization.customization_data.json_object" CHECK (CASE WHEN json_valid(customization_data) THEN json_type(customization_data) = 'object' ELSE 0 END),  -- laid over template_data
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "client_customization.deployment_template_id.unique" UNIQUE (client_id, deployment_template_id)
) STRICT;
CREATE INDEX client_customization_deployment_template ON client_customization(deployment_template_id);

CREATE TRIGGER client_customization_customization_data_secret_bi BEFORE INSERT ON client_customization WHEN json_valid(NEW.customization_data) BEGIN
  SELECT RAISE(ABORT, 'EK|client_customization|customization_data|secret|A setting is named like a secret. Secrets belong in the vault.')
  FROM json_tree(NEW.customization_data) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;
CREATE TRIGGER client_customization_customization_data_secret_bu BEFORE UPDATE OF customization_data ON client_customization WHEN json_valid(NEW.customization_data) BEGIN
  SELECT RAISE(ABORT, 'EK|client_customization|customization_data|secret|A setting is named like a secret. Secrets belong in the vault.')
  FROM json_tree(NEW.customization_data) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;

-- One row is a consultation, with a client or with a lead who may become one.
CREATE TABLE consultation_session (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  organization_id INTEGER NOT NULL DEFAULT 1 REFERENCES organization(id),  -- who gives the advice; the client's own is that of client_id
  client_id INTEGER REFERENCES client(id),  -- NULL: a lead, not a client yet
  lead_name TEXT NOT NULL CONSTRAINT "consultation_session.lead_name.length" CHECK (length(lead_name) BETWEEN 1 AND 200),
  lead_email TEXT CONSTRAINT "consultation_session.lead_email.length" CHECK (length(lead_email) <= 254),
  lead_phone TEXT CONSTRAINT "consultation_session.lead_phone.length" CHECK (length(lead_phone) <= 50),
  lead_company TEXT CONSTRAINT "consultation_session.lead_company.length" CHECK (length(lead_company) <= 200),
  session_status TEXT NOT NULL DEFAULT 'scheduled' CONSTRAINT "consultation_session.session_status.choice" CHECK (session_status IN ('scheduled', 'in_progress', 'completed', 'converted', 'cancelled')),  -- scheduled: agreed upon; in_progress: under way; completed: held; converted: held, and the lead became client_id; cancelled: will not be held
  started_at TEXT CONSTRAINT "consultation_session.started_at.time" CHECK (started_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', started_at, '+0 days') IS started_at),
  completed_at TEXT CONSTRAINT "consultation_session.completed_at.time" CHECK (completed_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', completed_at, '+0 days') IS completed_at),  -- when it was over or called off
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "consultation_session.client_id.required" CHECK (client_id IS NOT NULL OR session_status <> 'converted'),
  CONSTRAINT "consultation_session.started_at.required" CHECK (started_at IS NOT NULL OR session_status IN ('scheduled', 'cancelled')),
  CONSTRAINT "consultation_session.completed_at.required" CHECK ((completed_at IS NULL) = (session_status IN ('scheduled', 'in_progress'))),
  CONSTRAINT "consultation_session.completed_at.order" CHECK (started_at <= completed_at)
) STRICT;
CREATE INDEX consultation_session_organization ON consultation_session(organization_id);
CREATE INDEX consultation_session_client ON consultation_session(client_id);
CREATE INDEX consultation_session_lead ON consultation_session(lead_email) WHERE client_id IS NULL;

CREATE TRIGGER consultation_session_session_status_bi BEFORE INSERT ON consultation_session BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|consultation_session|session_status|transition|A consultation goes from scheduled to in_progress to completed, and may then be converted; it is cancelled before its end or never.')
  FROM consultation_session WHERE id = NEW.id AND session_status IS NOT ifnull(NEW.session_status, 'scheduled') AND session_status || '>' || ifnull(NEW.session_status, 'scheduled') NOT IN ('scheduled>in_progress', 'scheduled>cancelled', 'in_progress>completed', 'in_progress>cancelled', 'completed>converted');
END;
CREATE TRIGGER consultation_session_session_status_bu BEFORE UPDATE OF session_status ON consultation_session
WHEN OLD.session_status IS NOT ifnull(NEW.session_status, 'scheduled') AND OLD.session_status || '>' || ifnull(NEW.session_status, 'scheduled') NOT IN ('scheduled>in_progress', 'scheduled>cancelled', 'in_progress>completed', 'in_progress>cancelled', 'completed>converted') BEGIN
  SELECT RAISE(ABORT, 'EK|consultation_session|session_status|transition|A consultation goes from scheduled to in_progress to completed, and may then be converted; it is cancelled before its end or never.');
END;

-- One row is a questionnaire as somebody answered it.
CREATE TABLE questionnaire_submission (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  consultation_session_id INTEGER NOT NULL REFERENCES consultation_session(id),
  questionnaire_code TEXT NOT NULL CONSTRAINT "questionnaire_submission.questionnaire_code.length" CHECK (length(questionnaire_code) BETWEEN 1 AND 50),
  questionnaire_version TEXT NOT NULL CONSTRAINT "questionnaire_submission.questionnaire_version.length" CHECK (length(questionnaire_version) BETWEEN 1 AND 20),
  answers TEXT NOT NULL CONSTRAINT "questionnaire_submission.answers.json_object" CHECK (CASE WHEN json_valid(answers) THEN json_type(answers) = 'object' ELSE 0 END),
  submitted_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CONSTRAINT "questionnaire_submission.submitted_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', submitted_at, '+0 days') IS submitted_at),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX questionnaire_submission_consultation_session ON questionnaire_submission(consultation_session_id);

-- What was generated from a submission belongs to the same consultation, so neither moves to another.
CREATE TRIGGER questionnaire_submission_session_bi BEFORE INSERT ON questionnaire_submission BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|questionnaire_submission|consultation_session_id|immutable|A submission stays with its consultation.')
  FROM questionnaire_submission WHERE id = NEW.id AND consultation_session_id IS NOT NEW.consultation_session_id;
END;
CREATE TRIGGER questionnaire_submission_session_bu BEFORE UPDATE OF consultation_session_id ON questionnaire_submission WHEN NEW.consultation_session_id IS NOT OLD.consultation_session_id BEGIN
  SELECT RAISE(ABORT, 'EK|questionnaire_submission|consultation_session_id|immutable|A submission stays with its consultation.');
END;

-- One row is a recommendation a model was asked for.
CREATE TABLE consultation_generation (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  consultation_session_id INTEGER NOT NULL REFERENCES consultation_session(id),
  questionnaire_submission_id INTEGER REFERENCES questionnaire_submission(id),  -- the answers it rests on
  model_registry_id INTEGER NOT NULL REFERENCES model_registry(id),  -- the model asked
  prompt TEXT NOT NULL CONSTRAINT "consultation_generation.prompt.json_object" CHECK (CASE WHEN json_valid(prompt) THEN json_type(prompt) = 'object' ELSE 0 END),
  result TEXT CONSTRAINT "consultation_generation.result.json_object" CHECK (result IS NULL OR CASE WHEN json_valid(result) THEN json_type(result) = 'object' ELSE 0 END),
  generation_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "consultation_generation.generation_status.choice" CHECK (generation_status IN ('pending', 'running', 'completed', 'failed')),  -- pending: not asked yet; running: asked; completed: answered; failed: no answer that could be used
  error_message TEXT,
  started_at TEXT CONSTRAINT "consultation_generation.started_at.time" CHECK (started_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', started_at, '+0 days') IS started_at),
  completed_at TEXT CONSTRAINT "consultation_generation.completed_at.time" CHECK (completed_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', completed_at, '+0 days') IS completed_at),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "consultation_generation.result.required" CHECK ((result IS NOT NULL) = (generation_status = 'completed')),
  CONSTRAINT "consultation_generation.completed_at.required" CHECK ((completed_at IS NULL) = (generation_status IN ('pending', 'running'))),
  CONSTRAINT "consultation_generation.completed_at.order" CHECK (started_at <= completed_at)
) STRICT;
CREATE INDEX consultation_generation_consultation_session ON consultation_generation(consultation_session_id);
CREATE INDEX consultation_generation_questionnaire_submission ON consultation_generation(questionnaire_submission_id);
CREATE INDEX consultation_generation_model_registry ON consultation_generation(model_registry_id);

CREATE TRIGGER consultation_generation_generation_status_bi BEFORE INSERT ON consultation_generation BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|consultation_generation|generation_status|transition|A generation goes from pending to running and ends completed or failed; a run that broke off is pending again.')
  FROM consultation_generation WHERE id = NEW.id AND generation_status IS NOT ifnull(NEW.generation_status, 'pending') AND generation_status || '>' || ifnull(NEW.generation_status, 'pending') NOT IN ('pending>running', 'pending>failed', 'running>pending', 'running>completed', 'running>failed');
END;
CREATE TRIGGER consultation_generation_generation_status_bu BEFORE UPDATE OF generation_status ON consultation_generation
WHEN OLD.generation_status IS NOT ifnull(NEW.generation_status, 'pending') AND OLD.generation_status || '>' || ifnull(NEW.generation_status, 'pending') NOT IN ('pending>running', 'pending>failed', 'running>pending', 'running>completed', 'running>failed') BEGIN
  SELECT RAISE(ABORT, 'EK|consultation_generation|generation_status|transition|A generation goes from pending to running and ends completed or failed; a run that broke off is pending again.');
END;

CREATE TRIGGER consultation_generation_session_bi BEFORE INSERT ON consultation_generation WHEN NEW.questionnaire_submission_id IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'EK|consultation_generation|questionnaire_submission_id|session|The submission belongs to another consultation.')
  FROM questionnaire_submission WHERE id = NEW.questionnaire_submission_id AND consultation_session_id IS NOT NEW.consultation_session_id;
END;
CREATE TRIGGER consultation_generation_session_bu BEFORE UPDATE OF consultation_session_id, questionnaire_submission_id ON consultation_generation WHEN NEW.questionnaire_submission_id IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'EK|consultation_generation|questionnaire_submission_id|session|The submission belongs to another consultation.')
  FROM questionnaire_submission WHERE id = NEW.questionnaire_submission_id AND consultation_session_id IS NOT NEW.consultation_session_id;
END;

-- One row is a figure measured of a consultation. Rows are only added.
CREATE TABLE consultation_analytics (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  consultation_session_id INTEGER NOT NULL REFERENCES consultation_session(id),
  metric_name TEXT NOT NULL CONSTRAINT "consultation_analytics.metric_name.length" CHECK (length(metric_name) BETWEEN 1 AND 100),
  metric_value REAL NOT NULL,
  recorded_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CONSTRAINT "consultation_analytics.recorded_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', recorded_at, '+0 days') IS recorded_at)
) STRICT;
CREATE INDEX consultation_analytics_consultation_session ON consultation_analytics(consultation_session_id);
CREATE INDEX consultation_analytics_metric ON consultation_analytics(metric_name, recorded_at);
