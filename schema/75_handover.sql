-- Handover: what a client gets when its system is ready, packed, delivered and confirmed.
--
-- A package names what is in it: installed modules, configurations in the version handed over, documents. All of it is the
-- client's own.

-- One row is a kind of package. Id 1 is COMPLETE and stays so: packages are that unless they say otherwise.
CREATE TABLE package_type (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "package_type.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "package_type.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

CREATE TRIGGER package_type_complete_kept_bi BEFORE INSERT ON package_type WHEN (NEW.id = 1 OR NEW.code = 'COMPLETE') AND EXISTS (SELECT 1 FROM package_type WHERE id = 1) BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|package_type|id|protected|Package type 1 is COMPLETE and stays so.');
END;
CREATE TRIGGER package_type_complete_kept_bu BEFORE UPDATE ON package_type
WHEN CASE WHEN OLD.id = 1 THEN NEW.id IS NOT 1 OR NEW.code IS NOT 'COMPLETE' ELSE NEW.id = 1 OR NEW.code = 'COMPLETE' END BEGIN
  SELECT RAISE(ABORT, 'EK|package_type|id|protected|Package type 1 is COMPLETE and stays so.');
END;
CREATE TRIGGER package_type_complete_kept_bd BEFORE DELETE ON package_type WHEN OLD.id = 1 BEGIN
  SELECT RAISE(ABORT, 'EK|package_type|id|protected|Package type 1 is COMPLETE and stays so.');
END;

-- One row is a way a package may reach a client.
CREATE TABLE delivery_method (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "delivery_method.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "delivery_method.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

-- One row is a package for a client. The administrator's credentials in it are sealed by the vault.
--
-- Its ways: pending > preparing > ready > delivering > delivered, which is final; failed from any of them, and from there
-- preparing or ready again; ready goes back to preparing when something is to be added.
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

CREATE TRIGGER handover_package_uuid_bi BEFORE INSERT ON handover_package BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|handover_package|uuid|protected|The uuid of a package stays: its credentials are sealed to it.') FROM handover_package WHERE id = NEW.id AND uuid IS NOT NEW.uuid;
END;
CREATE TRIGGER handover_package_uuid_bu BEFORE UPDATE OF uuid ON handover_package WHEN NEW.uuid IS NOT OLD.uuid BEGIN
  SELECT RAISE(ABORT, 'EK|handover_package|uuid|protected|The uuid of a package stays: its credentials are sealed to it.');
END;
CREATE TRIGGER handover_package_delivery_status_bi BEFORE INSERT ON handover_package BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|handover_package|delivery_status|transition|A package is prepared, made ready, then delivered; one that failed is prepared or made ready again, one that is delivered stays so.')
  FROM handover_package WHERE (id = NEW.id OR uuid = NEW.uuid) AND delivery_status <> ifnull(NEW.delivery_status, 'pending') AND delivery_status || '>' || ifnull(NEW.delivery_status, 'pending') NOT IN ('pending>preparing', 'pending>failed', 'preparing>ready', 'preparing>failed', 'ready>preparing', 'ready>delivering', 'ready>failed', 'delivering>delivered', 'delivering>failed', 'failed>preparing', 'failed>ready');
END;
CREATE TRIGGER handover_package_delivery_status_bu BEFORE UPDATE OF delivery_status ON handover_package
WHEN OLD.delivery_status <> ifnull(NEW.delivery_status, 'pending') AND OLD.delivery_status || '>' || ifnull(NEW.delivery_status, 'pending') NOT IN ('pending>preparing', 'pending>failed', 'preparing>ready', 'preparing>failed', 'ready>preparing', 'ready>delivering', 'ready>failed', 'delivering>delivered', 'delivering>failed', 'failed>preparing', 'failed>ready') BEGIN
  SELECT RAISE(ABORT, 'EK|handover_package|delivery_status|transition|A package is prepared, made ready, then delivered; one that failed is prepared or made ready again, one that is delivered stays so.');
END;

-- What is in a package belongs to its client, so a package stays with its client.
CREATE TRIGGER handover_package_kept_bi BEFORE INSERT ON handover_package BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|handover_package|client_id|immutable|A package stays with its client.') FROM handover_package WHERE id = NEW.id AND client_id IS NOT NEW.client_id;
END;
CREATE TRIGGER handover_package_kept_bu BEFORE UPDATE OF client_id ON handover_package WHEN NEW.client_id IS NOT OLD.client_id BEGIN
  SELECT RAISE(ABORT, 'EK|handover_package|client_id|immutable|A package stays with its client.');
END;
CREATE TRIGGER handover_package_workflow_bi BEFORE INSERT ON handover_package WHEN NEW.workflow_id IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'EK|handover_package|workflow_id|client|The workflow is not one of this client.') FROM orchestration_workflow WHERE id = NEW.workflow_id AND client_id IS NOT NEW.client_id;
END;
CREATE TRIGGER handover_package_workflow_bu BEFORE UPDATE OF workflow_id ON handover_package WHEN NEW.workflow_id IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'EK|handover_package|workflow_id|client|The workflow is not one of this client.') FROM orchestration_workflow WHERE id = NEW.workflow_id AND client_id IS NOT NEW.client_id;
END;
CREATE TRIGGER orchestration_workflow_package_bi BEFORE INSERT ON orchestration_workflow BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|orchestration_workflow|client_id|referenced|A package of its client was packed by this workflow.') FROM handover_package WHERE workflow_id = NEW.id AND client_id IS NOT NEW.client_id;
END;
CREATE TRIGGER orchestration_workflow_package_bu BEFORE UPDATE OF client_id ON orchestration_workflow BEGIN
  SELECT RAISE(ABORT, 'EK|orchestration_workflow|client_id|referenced|A package of its client was packed by this workflow.') FROM handover_package WHERE workflow_id = NEW.id AND client_id IS NOT NEW.client_id;
END;
CREATE TRIGGER handover_package_delivery_confirmation_secret_bi BEFORE INSERT ON handover_package WHEN json_valid(NEW.delivery_confirmation) BEGIN
  SELECT RAISE(ABORT, 'EK|handover_package|delivery_confirmation|secret|A setting is named like a secret. Secrets belong in the vault.')
  FROM json_tree(NEW.delivery_confirmation) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;
CREATE TRIGGER handover_package_delivery_confirmation_secret_bu BEFORE UPDATE OF delivery_confirmation ON handover_package WHEN json_valid(NEW.delivery_confirmation) BEGIN
  SELECT RAISE(ABORT, 'EK|handover_package|delivery_confirmation|secret|A setting is named like a secret. Secrets belong in the vault.')
  FROM json_tree(NEW.delivery_confirmation) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;
CREATE TRIGGER handover_package_package_metadata_secret_bi BEFORE INSERT ON handover_package WHEN json_valid(NEW.package_metadata) BEGIN
  SELECT RAISE(ABORT, 'EK|handover_package|package_metadata|secret|A setting is named like a secret. Secrets belong in the vault.')
  FROM json_tree(NEW.package_metadata) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;
CREATE TRIGGER handover_package_package_metadata_secret_bu BEFORE UPDATE OF package_metadata ON handover_package WHEN json_valid(NEW.package_metadata) BEGIN
  SELECT RAISE(ABORT, 'EK|handover_package|package_metadata|secret|A setting is named like a secret. Secrets belong in the vault.')
  FROM json_tree(NEW.package_metadata) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;

-- One row is an installed module in a package, with the settings it had when it was packed.
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

CREATE TRIGGER handover_package_module_client_bi BEFORE INSERT ON handover_package_module BEGIN
  SELECT RAISE(ABORT, 'EK|handover_package_module|installation_id|client|The installation is one of another client.')
  FROM handover_package p JOIN module_installation i ON i.id = NEW.installation_id WHERE p.id = NEW.package_id AND i.client_id <> p.client_id;
END;
CREATE TRIGGER handover_package_module_client_bu BEFORE UPDATE OF package_id, installation_id ON handover_package_module BEGIN
  SELECT RAISE(ABORT, 'EK|handover_package_module|installation_id|client|The installation is one of another client.')
  FROM handover_package p JOIN module_installation i ON i.id = NEW.installation_id WHERE p.id = NEW.package_id AND i.client_id <> p.client_id;
END;
CREATE TRIGGER handover_package_module_module_configuration_secret_bi BEFORE INSERT ON handover_package_module WHEN json_valid(NEW.module_configuration) BEGIN
  SELECT RAISE(ABORT, 'EK|handover_package_module|module_configuration|secret|A setting is named like a secret. Secrets belong in the vault.')
  FROM json_tree(NEW.module_configuration) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;
CREATE TRIGGER handover_package_module_module_configuration_secret_bu BEFORE UPDATE OF module_configuration ON handover_package_module WHEN json_valid(NEW.module_configuration) BEGIN
  SELECT RAISE(ABORT, 'EK|handover_package_module|module_configuration|secret|A setting is named like a secret. Secrets belong in the vault.')
  FROM json_tree(NEW.module_configuration) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;

-- One row is a configuration in a package, of the client's organization or of everybody, in the version handed over.
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

CREATE TRIGGER handover_package_configuration_client_bi BEFORE INSERT ON handover_package_configuration BEGIN
  SELECT RAISE(ABORT, 'EK|handover_package_configuration|configuration_id|client|The configuration belongs to another organization.')
  FROM handover_package p JOIN client k ON k.id = p.client_id JOIN configuration c ON c.id = NEW.configuration_id WHERE p.id = NEW.package_id AND c.organization_id <> k.organization_id;
END;
CREATE TRIGGER handover_package_configuration_client_bu BEFORE UPDATE OF package_id, configuration_id ON handover_package_configuration BEGIN
  SELECT RAISE(ABORT, 'EK|handover_package_configuration|configuration_id|client|The configuration belongs to another organization.')
  FROM handover_package p JOIN client k ON k.id = p.client_id JOIN configuration c ON c.id = NEW.configuration_id WHERE p.id = NEW.package_id AND c.organization_id <> k.organization_id;
END;
CREATE TRIGGER configuration_package_bi BEFORE INSERT ON configuration WHEN NEW.organization_id IS NOT NULL BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|configuration|organization_id|referenced|It is in a package for a client of another organization.')
  FROM handover_package_configuration h JOIN handover_package p ON p.id = h.package_id JOIN client k ON k.id = p.client_id WHERE h.configuration_id = NEW.id AND k.organization_id <> NEW.organization_id;
END;
CREATE TRIGGER configuration_package_bu BEFORE UPDATE OF organization_id ON configuration WHEN NEW.organization_id IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'EK|configuration|organization_id|referenced|It is in a package for a client of another organization.')
  FROM handover_package_configuration h JOIN handover_package p ON p.id = h.package_id JOIN client k ON k.id = p.client_id WHERE h.configuration_id = NEW.id AND k.organization_id <> NEW.organization_id;
END;

CREATE TRIGGER client_package_bi BEFORE INSERT ON client BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|client|organization_id|referenced|Configurations of its organization are in a package for this client.')
  FROM handover_package_configuration h JOIN handover_package p ON p.id = h.package_id JOIN configuration c ON c.id = h.configuration_id WHERE p.client_id = NEW.id AND c.organization_id <> NEW.organization_id;
END;
CREATE TRIGGER client_package_bu BEFORE UPDATE OF organization_id ON client BEGIN
  SELECT RAISE(ABORT, 'EK|client|organization_id|referenced|Configurations of its organization are in a package for this client.')
  FROM handover_package_configuration h JOIN handover_package p ON p.id = h.package_id JOIN configuration c ON c.id = h.configuration_id WHERE p.client_id = NEW.id AND c.organization_id <> NEW.organization_id;
END;

-- One row is a document in a package: where it is, or what its content hashes to, or both.
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
