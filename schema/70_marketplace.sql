-- Marketplace: modules that developers offer, and which client has, may use, pays for and thinks what of them.
--
-- What a client has is a row of `module_installation`, how it is set up one of `client_app_override`, whether it may use it
-- a feature licence. Ratings, counts and revenue are views: they cannot drift.

-- One row is a shelf of the marketplace.
CREATE TABLE marketplace_category (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "marketplace_category.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "marketplace_category.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  parent_marketplace_category_id INTEGER REFERENCES marketplace_category(id) CONSTRAINT "marketplace_category.parent_marketplace_category_id.cycle" CHECK (parent_marketplace_category_id IS NOT id),
  sort_order INTEGER NOT NULL DEFAULT 0,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX marketplace_category_parent_marketplace_category ON marketplace_category(parent_marketplace_category_id);

CREATE TRIGGER marketplace_category_acyclic_bi BEFORE INSERT ON marketplace_category WHEN NEW.parent_marketplace_category_id IS NOT NULL BEGIN  -- by REPLACE
  WITH RECURSIVE ancestor(id) AS (
    SELECT NEW.parent_marketplace_category_id
    UNION SELECT o.parent_marketplace_category_id FROM marketplace_category o JOIN ancestor a ON o.id = a.id WHERE o.parent_marketplace_category_id IS NOT NULL
  )
  SELECT RAISE(ABORT, 'EK|marketplace_category|parent_marketplace_category_id|cycle|A marketplace category cannot be its own ancestor.') FROM ancestor WHERE id = NEW.id;
END;
CREATE TRIGGER marketplace_category_acyclic_bu BEFORE UPDATE OF parent_marketplace_category_id ON marketplace_category WHEN NEW.parent_marketplace_category_id IS NOT NULL BEGIN
  WITH RECURSIVE ancestor(id) AS (
    SELECT NEW.parent_marketplace_category_id
    UNION SELECT o.parent_marketplace_category_id FROM marketplace_category o JOIN ancestor a ON o.id = a.id WHERE o.parent_marketplace_category_id IS NOT NULL
  )
  SELECT RAISE(ABORT, 'EK|marketplace_category|parent_marketplace_category_id|cycle|A marketplace category cannot be its own ancestor.') FROM ancestor WHERE id = NEW.id;
END;

-- One row is a way modules are paid for.
CREATE TABLE pricing_model (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "pricing_model.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "pricing_model.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  is_recurring INTEGER NOT NULL DEFAULT 0 CONSTRAINT "pricing_model.is_recurring.boolean" CHECK (is_recurring IN (0, 1)),  -- paid anew every period
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

-- One row is a state a payment may be in.
CREATE TABLE payment_status (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "payment_status.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "payment_status.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  is_paid INTEGER NOT NULL DEFAULT 0 CONSTRAINT "payment_status.is_paid.boolean" CHECK (is_paid IN (0, 1)),  -- the money is here and counts as revenue
  is_final_state INTEGER NOT NULL DEFAULT 0 CONSTRAINT "payment_status.is_final_state.boolean" CHECK (is_final_state IN (0, 1)),
  is_error_state INTEGER NOT NULL DEFAULT 0 CONSTRAINT "payment_status.is_error_state.boolean" CHECK (is_error_state IN (0, 1)),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

-- One row is something offered to all clients, in the version offered now. It is on the market while its status is active.
CREATE TABLE marketplace_module (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "marketplace_module.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "marketplace_module.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  version TEXT NOT NULL CONSTRAINT "marketplace_module.version.length" CHECK (length(version) BETWEEN 1 AND 20),
  module_kind TEXT NOT NULL DEFAULT 'module' CONSTRAINT "marketplace_module.module_kind.choice" CHECK (module_kind IN ('module', 'integration_template', 'deployment_template')),  -- module: a part of the product; integration_template: an integration to make one's own; deployment_template: a way to set up a system
  integration_template_id INTEGER REFERENCES integration_template(id),
  deployment_template_id INTEGER REFERENCES deployment_template(id),
  category_id INTEGER NOT NULL REFERENCES marketplace_category(id),
  developer_id INTEGER NOT NULL REFERENCES user(id),  -- who offers it
  pricing_model_id INTEGER NOT NULL REFERENCES pricing_model(id),
  price INTEGER NOT NULL DEFAULT 0 CONSTRAINT "marketplace_module.price.range" CHECK (price >= 0),  -- minor units of `currency`, per period where the pricing model recurs
  currency TEXT NOT NULL DEFAULT 'USD' CONSTRAINT "marketplace_module.currency.format" CHECK (currency GLOB '[A-Z][A-Z][A-Z]'),
  feature_id INTEGER REFERENCES feature(id),  -- what having it licenses; NULL: nothing
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "marketplace_module.integration_template_id.required" CHECK ((integration_template_id IS NULL) = (module_kind <> 'integration_template')),
  CONSTRAINT "marketplace_module.deployment_template_id.required" CHECK ((deployment_template_id IS NULL) = (module_kind <> 'deployment_template'))
) STRICT;
CREATE INDEX marketplace_module_integration_template ON marketplace_module(integration_template_id);
CREATE INDEX marketplace_module_deployment_template ON marketplace_module(deployment_template_id);
CREATE INDEX marketplace_module_category ON marketplace_module(category_id);
CREATE INDEX marketplace_module_developer ON marketplace_module(developer_id);
CREATE INDEX marketplace_module_pricing_model ON marketplace_module(pricing_model_id);
CREATE INDEX marketplace_module_feature ON marketplace_module(feature_id);

-- One row says that a client has, is to have, or had a module.
--
-- Its ways: pending > active or inactive, or failed and pending again; active and inactive change places; each of them
-- may be uninstalled, which is final. Installing it again is another row.
CREATE TABLE module_installation (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  client_id INTEGER NOT NULL REFERENCES client(id),
  module_id INTEGER NOT NULL REFERENCES marketplace_module(id),
  installed_version TEXT NOT NULL CONSTRAINT "module_installation.installed_version.length" CHECK (length(installed_version) BETWEEN 1 AND 20),
  installation_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "module_installation.installation_status.choice" CHECK (installation_status IN ('pending', 'active', 'inactive', 'failed', 'uninstalled')),  -- pending: to be installed; active: installed and in use; inactive: installed and switched off; failed: could not be installed; uninstalled: gone
  installed_at TEXT CONSTRAINT "module_installation.installed_at.time" CHECK (installed_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', installed_at, '+0 days') IS installed_at),
  uninstalled_at TEXT CONSTRAINT "module_installation.uninstalled_at.time" CHECK (uninstalled_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', uninstalled_at, '+0 days') IS uninstalled_at),
  error_message TEXT,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "module_installation.installed_at.required" CHECK (installed_at IS NOT NULL OR installation_status NOT IN ('active', 'inactive')),
  CONSTRAINT "module_installation.uninstalled_at.required" CHECK ((uninstalled_at IS NULL) = (installation_status <> 'uninstalled')),
  CONSTRAINT "module_installation.uninstalled_at.order" CHECK (installed_at <= uninstalled_at)
) STRICT;
CREATE UNIQUE INDEX module_installation_live ON module_installation(client_id, module_id) WHERE installation_status <> 'uninstalled';
CREATE INDEX module_installation_client ON module_installation(client_id, installation_status);
CREATE INDEX module_installation_module ON module_installation(module_id, installation_status);

CREATE TRIGGER module_installation_installation_status_bi BEFORE INSERT ON module_installation BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|module_installation|installation_status|transition|A module is pending, then active or inactive, or failed and pending again; once uninstalled it stays so.')
  FROM module_installation WHERE (id = NEW.id OR (client_id = NEW.client_id AND module_id = NEW.module_id AND installation_status <> 'uninstalled' AND ifnull(NEW.installation_status, 'pending') <> 'uninstalled')) AND installation_status <> ifnull(NEW.installation_status, 'pending') AND installation_status || '>' || ifnull(NEW.installation_status, 'pending') NOT IN ('pending>active', 'pending>inactive', 'pending>failed', 'pending>uninstalled', 'failed>pending', 'failed>uninstalled', 'active>inactive', 'active>uninstalled', 'inactive>active', 'inactive>uninstalled');
END;
CREATE TRIGGER module_installation_installation_status_bu BEFORE UPDATE OF installation_status ON module_installation
WHEN OLD.installation_status <> ifnull(NEW.installation_status, 'pending') AND OLD.installation_status || '>' || ifnull(NEW.installation_status, 'pending') NOT IN ('pending>active', 'pending>inactive', 'pending>failed', 'pending>uninstalled', 'failed>pending', 'failed>uninstalled', 'active>inactive', 'active>uninstalled', 'inactive>active', 'inactive>uninstalled') BEGIN
  SELECT RAISE(ABORT, 'EK|module_installation|installation_status|transition|A module is pending, then active or inactive, or failed and pending again; once uninstalled it stays so.');
END;

-- Overrides and packages speak of an installation of the same client, so it stays with client and module.
CREATE TRIGGER module_installation_kept_bi BEFORE INSERT ON module_installation BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|module_installation|client_id|immutable|An installation stays with its client and module.')
  FROM module_installation WHERE id = NEW.id AND (client_id, module_id) IS NOT (NEW.client_id, NEW.module_id);
END;
CREATE TRIGGER module_installation_kept_bu BEFORE UPDATE OF client_id, module_id ON module_installation WHEN (OLD.client_id, OLD.module_id) IS NOT (NEW.client_id, NEW.module_id) BEGIN
  SELECT RAISE(ABORT, 'EK|module_installation|client_id|immutable|An installation stays with its client and module.');
END;

-- One row is how an application is set up for a client, and whether the module behind it is at work. Switched on while its status is active.
--
-- Its ways: pending > active, failed or inactive; active > inactive or failed; from failed and inactive by way of pending.
CREATE TABLE client_app_override (
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
CREATE INDEX client_app_override_marketplace_module ON client_app_override(marketplace_module_id);
CREATE INDEX client_app_override_installation ON client_app_override(installation_id);
CREATE INDEX client_app_override_activation_status ON client_app_override(activation_status);

CREATE TRIGGER client_app_override_activation_status_bi BEFORE INSERT ON client_app_override BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|client_app_override|activation_status|transition|An application is activated out of pending, and is pending again before it is activated anew.')
  FROM client_app_override WHERE (id = NEW.id OR (client_id = NEW.client_id AND app_code = NEW.app_code)) AND activation_status <> ifnull(NEW.activation_status, 'pending') AND activation_status || '>' || ifnull(NEW.activation_status, 'pending') NOT IN ('pending>active', 'pending>failed', 'pending>inactive', 'active>inactive', 'active>failed', 'failed>pending', 'failed>inactive', 'inactive>pending');
END;
CREATE TRIGGER client_app_override_activation_status_bu BEFORE UPDATE OF activation_status ON client_app_override
WHEN OLD.activation_status <> ifnull(NEW.activation_status, 'pending') AND OLD.activation_status || '>' || ifnull(NEW.activation_status, 'pending') NOT IN ('pending>active', 'pending>failed', 'pending>inactive', 'active>inactive', 'active>failed', 'failed>pending', 'failed>inactive', 'inactive>pending') BEGIN
  SELECT RAISE(ABORT, 'EK|client_app_override|activation_status|transition|An application is activated out of pending, and is pending again before it is activated anew.');
END;

CREATE TRIGGER client_app_override_installation_bi BEFORE INSERT ON client_app_override WHEN NEW.installation_id IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'EK|client_app_override|installation_id|client|The installation is one of another client or module.')
  FROM module_installation WHERE id = NEW.installation_id AND (client_id IS NOT NEW.client_id OR module_id <> NEW.marketplace_module_id);
END;
CREATE TRIGGER client_app_override_installation_bu BEFORE UPDATE OF client_id, marketplace_module_id, installation_id ON client_app_override WHEN NEW.installation_id IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'EK|client_app_override|installation_id|client|The installation is one of another client or module.')
  FROM module_installation WHERE id = NEW.installation_id AND (client_id IS NOT NEW.client_id OR module_id <> NEW.marketplace_module_id);
END;
CREATE TRIGGER client_app_override_override_settings_secret_bi BEFORE INSERT ON client_app_override WHEN json_valid(NEW.override_settings) BEGIN
  SELECT RAISE(ABORT, 'EK|client_app_override|override_settings|secret|A setting is named like a secret. Secrets belong in the vault.')
  FROM json_tree(NEW.override_settings) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;
CREATE TRIGGER client_app_override_override_settings_secret_bu BEFORE UPDATE OF override_settings ON client_app_override WHEN json_valid(NEW.override_settings) BEGIN
  SELECT RAISE(ABORT, 'EK|client_app_override|override_settings|secret|A setting is named like a secret. Secrets belong in the vault.')
  FROM json_tree(NEW.override_settings) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;
CREATE TRIGGER client_app_override_activation_metadata_secret_bi BEFORE INSERT ON client_app_override WHEN json_valid(NEW.activation_metadata) BEGIN
  SELECT RAISE(ABORT, 'EK|client_app_override|activation_metadata|secret|A setting is named like a secret. Secrets belong in the vault.')
  FROM json_tree(NEW.activation_metadata) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;
CREATE TRIGGER client_app_override_activation_metadata_secret_bu BEFORE UPDATE OF activation_metadata ON client_app_override WHEN json_valid(NEW.activation_metadata) BEGIN
  SELECT RAISE(ABORT, 'EK|client_app_override|activation_metadata|secret|A setting is named like a secret. Secrets belong in the vault.')
  FROM json_tree(NEW.activation_metadata) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;

-- One row is what a client has bought of a module: how many may use it, and until when.
CREATE TABLE module_license (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "module_license.uuid.length" CHECK (length(uuid) = 36),  -- binds the ciphertext to this row
  client_id INTEGER NOT NULL REFERENCES client(id),
  module_id INTEGER NOT NULL REFERENCES marketplace_module(id),
  license_key_ciphertext BLOB CONSTRAINT "module_license.license_key_ciphertext.length" CHECK (length(license_key_ciphertext) BETWEEN 29 AND 4096),  -- NULL: the developer gives no keys
  license_key_hash TEXT UNIQUE CONSTRAINT "module_license.license_key_hash.length" CHECK (length(license_key_hash) = 64),  -- keyed, to find the row by its key
  encryption_key_id INTEGER REFERENCES encryption_key(id),
  seats INTEGER NOT NULL DEFAULT 1 CONSTRAINT "module_license.seats.range" CHECK (seats >= 1),
  expires_at TEXT CONSTRAINT "module_license.expires_at.time" CHECK (expires_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', expires_at, '+0 days') IS expires_at),  -- NULL: never
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "module_license.module_id.unique" UNIQUE (client_id, module_id),
  CONSTRAINT "module_license.license_key_ciphertext.required" CHECK ((license_key_ciphertext IS NULL) = (encryption_key_id IS NULL) AND (license_key_ciphertext IS NULL) = (license_key_hash IS NULL))
) STRICT;
CREATE INDEX module_license_module ON module_license(module_id);
CREATE INDEX module_license_encryption_key ON module_license(encryption_key_id);

CREATE TRIGGER module_license_uuid_bi BEFORE INSERT ON module_license BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|module_license|uuid|protected|The uuid of a module licence stays: its key is sealed to it.') FROM module_license WHERE id = NEW.id AND uuid IS NOT NEW.uuid;
END;
CREATE TRIGGER module_license_uuid_bu BEFORE UPDATE OF uuid ON module_license WHEN NEW.uuid IS NOT OLD.uuid BEGIN
  SELECT RAISE(ABORT, 'EK|module_license|uuid|protected|The uuid of a module licence stays: its key is sealed to it.');
END;
-- Payments speak of a licence of the same client and module.
CREATE TRIGGER module_license_kept_bi BEFORE INSERT ON module_license BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|module_license|client_id|immutable|A module licence stays with its client and module.')
  FROM module_license WHERE id = NEW.id AND (client_id, module_id) IS NOT (NEW.client_id, NEW.module_id);
END;
CREATE TRIGGER module_license_kept_bu BEFORE UPDATE OF client_id, module_id ON module_license WHEN (OLD.client_id, OLD.module_id) IS NOT (NEW.client_id, NEW.module_id) BEGIN
  SELECT RAISE(ABORT, 'EK|module_license|client_id|immutable|A module licence stays with its client and module.');
END;

-- One row is what somebody thinks of a module. It counts once it is approved.
CREATE TABLE module_review (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  module_id INTEGER NOT NULL REFERENCES marketplace_module(id),
  reviewed_by INTEGER NOT NULL REFERENCES user(id),
  client_id INTEGER REFERENCES client(id),  -- for whom the reviewer uses it
  rating INTEGER NOT NULL CONSTRAINT "module_review.rating.range" CHECK (rating BETWEEN 1 AND 5),
  review_text TEXT CONSTRAINT "module_review.review_text.length" CHECK (length(review_text) <= 10000),
  moderation_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "module_review.moderation_status.choice" CHECK (moderation_status IN ('pending', 'approved', 'rejected')),  -- pending: nobody has read it; approved: shown and counted; rejected: neither
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "module_review.reviewed_by.unique" UNIQUE (module_id, reviewed_by)
) STRICT;
CREATE INDEX module_review_rating ON module_review(module_id, rating) WHERE moderation_status = 'approved';
CREATE INDEX module_review_reviewed_by ON module_review(reviewed_by);
CREATE INDEX module_review_client ON module_review(client_id);

-- One row is a payment for a module, made, due or given up.
CREATE TABLE module_payment (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "module_payment.uuid.length" CHECK (length(uuid) = 36),  -- binds the ciphertext to this row
  client_id INTEGER NOT NULL REFERENCES client(id),
  module_id INTEGER NOT NULL REFERENCES marketplace_module(id),
  license_id INTEGER REFERENCES module_license(id),  -- what it pays for; NULL: there is none yet
  amount INTEGER NOT NULL CONSTRAINT "module_payment.amount.range" CHECK (amount >= 1),  -- minor units of `currency`
  fee INTEGER NOT NULL DEFAULT 0 CONSTRAINT "module_payment.fee.range" CHECK (fee BETWEEN 0 AND amount),  -- what the marketplace keeps of it
  currency TEXT NOT NULL DEFAULT 'USD' CONSTRAINT "module_payment.currency.format" CHECK (currency GLOB '[A-Z][A-Z][A-Z]'),
  payment_status_id INTEGER NOT NULL REFERENCES payment_status(id),
  payment_method_ciphertext BLOB CONSTRAINT "module_payment.payment_method_ciphertext.length" CHECK (length(payment_method_ciphertext) BETWEEN 29 AND 65536),
  encryption_key_id INTEGER REFERENCES encryption_key(id),
  provider_reference TEXT UNIQUE CONSTRAINT "module_payment.provider_reference.length" CHECK (length(provider_reference) BETWEEN 1 AND 100),  -- the payment provider's own id of it
  paid_at TEXT CONSTRAINT "module_payment.paid_at.time" CHECK (paid_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', paid_at, '+0 days') IS paid_at),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "module_payment.encryption_key_id.required" CHECK ((payment_method_ciphertext IS NULL) = (encryption_key_id IS NULL))
) STRICT;
CREATE INDEX module_payment_client ON module_payment(client_id);
CREATE INDEX module_payment_module ON module_payment(module_id);
CREATE INDEX module_payment_license ON module_payment(license_id);
CREATE INDEX module_payment_payment_status ON module_payment(payment_status_id);
CREATE INDEX module_payment_encryption_key ON module_payment(encryption_key_id);

CREATE TRIGGER module_payment_uuid_bi BEFORE INSERT ON module_payment BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|module_payment|uuid|protected|The uuid of a payment stays: its payment method is sealed to it.') FROM module_payment WHERE id = NEW.id AND uuid IS NOT NEW.uuid;
END;
CREATE TRIGGER module_payment_uuid_bu BEFORE UPDATE OF uuid ON module_payment WHEN NEW.uuid IS NOT OLD.uuid BEGIN
  SELECT RAISE(ABORT, 'EK|module_payment|uuid|protected|The uuid of a payment stays: its payment method is sealed to it.');
END;
CREATE TRIGGER module_payment_license_bi BEFORE INSERT ON module_payment WHEN NEW.license_id IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'EK|module_payment|license_id|client|The licence is one of another client or module.')
  FROM module_license WHERE id = NEW.license_id AND (client_id, module_id) IS NOT (NEW.client_id, NEW.module_id);
END;
CREATE TRIGGER module_payment_license_bu BEFORE UPDATE OF client_id, module_id, license_id ON module_payment WHEN NEW.license_id IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'EK|module_payment|license_id|client|The licence is one of another client or module.')
  FROM module_license WHERE id = NEW.license_id AND (client_id, module_id) IS NOT (NEW.client_id, NEW.module_id);
END;

-- Revenue is told by the month of payment, so what counts as paid says when it was.
CREATE TRIGGER module_payment_paid_bi BEFORE INSERT ON module_payment WHEN NEW.paid_at IS NULL BEGIN
  SELECT RAISE(ABORT, 'EK|module_payment|paid_at|required|A payment that is paid says when.') FROM payment_status WHERE id = NEW.payment_status_id AND is_paid = 1;
END;
CREATE TRIGGER module_payment_paid_bu BEFORE UPDATE OF payment_status_id, paid_at ON module_payment WHEN NEW.paid_at IS NULL BEGIN
  SELECT RAISE(ABORT, 'EK|module_payment|paid_at|required|A payment that is paid says when.') FROM payment_status WHERE id = NEW.payment_status_id AND is_paid = 1;
END;
CREATE TRIGGER payment_status_paid_bi BEFORE INSERT ON payment_status WHEN NEW.is_paid = 1 BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|payment_status|is_paid|referenced|Payments in this state do not say when they were paid.') FROM module_payment WHERE payment_status_id = NEW.id AND paid_at IS NULL;
END;
CREATE TRIGGER payment_status_paid_bu BEFORE UPDATE OF is_paid ON payment_status WHEN NEW.is_paid = 1 BEGIN
  SELECT RAISE(ABORT, 'EK|payment_status|is_paid|referenced|Payments in this state do not say when they were paid.') FROM module_payment WHERE payment_status_id = NEW.id AND paid_at IS NULL;
END;

-- One row is a version of a module that its developer asks to have published.
--
-- Its ways: pending > approved, rejected or changes_requested; changes_requested > pending; withdrawn before the decision.
CREATE TABLE module_submission (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  module_id INTEGER NOT NULL REFERENCES marketplace_module(id),
  submitted_version TEXT NOT NULL CONSTRAINT "module_submission.submitted_version.length" CHECK (length(submitted_version) BETWEEN 1 AND 20),
  submitted_by INTEGER NOT NULL REFERENCES user(id),
  submission_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "module_submission.submission_status.choice" CHECK (submission_status IN ('pending', 'changes_requested', 'approved', 'rejected', 'withdrawn')),  -- pending: waits for a moderator; changes_requested: waits for its developer; approved: may be published; rejected: may not; withdrawn: given up by its developer
  submitted_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CONSTRAINT "module_submission.submitted_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', submitted_at, '+0 days') IS submitted_at),
  decided_at TEXT CONSTRAINT "module_submission.decided_at.time" CHECK (decided_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', decided_at, '+0 days') IS decided_at),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "module_submission.decided_at.required" CHECK ((decided_at IS NULL) = (submission_status IN ('pending', 'changes_requested'))),
  CONSTRAINT "module_submission.decided_at.order" CHECK (submitted_at <= decided_at)
) STRICT;
CREATE UNIQUE INDEX module_submission_live ON module_submission(module_id, submitted_version) WHERE submission_status NOT IN ('rejected', 'withdrawn');
CREATE INDEX module_submission_module ON module_submission(module_id);
CREATE INDEX module_submission_submitted_by ON module_submission(submitted_by);
CREATE INDEX module_submission_open ON module_submission(submitted_at) WHERE submission_status = 'pending';

CREATE TRIGGER module_submission_submission_status_bi BEFORE INSERT ON module_submission BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|module_submission|submission_status|transition|A submission is approved, rejected or withdrawn once; only changes that were requested bring it back to pending.')
  FROM module_submission WHERE (id = NEW.id OR (module_id = NEW.module_id AND submitted_version = NEW.submitted_version AND submission_status NOT IN ('rejected', 'withdrawn') AND ifnull(NEW.submission_status, 'pending') NOT IN ('rejected', 'withdrawn'))) AND submission_status <> ifnull(NEW.submission_status, 'pending') AND submission_status || '>' || ifnull(NEW.submission_status, 'pending') NOT IN ('pending>changes_requested', 'pending>approved', 'pending>rejected', 'pending>withdrawn', 'changes_requested>pending', 'changes_requested>withdrawn');
END;
CREATE TRIGGER module_submission_submission_status_bu BEFORE UPDATE OF submission_status ON module_submission
WHEN OLD.submission_status <> ifnull(NEW.submission_status, 'pending') AND OLD.submission_status || '>' || ifnull(NEW.submission_status, 'pending') NOT IN ('pending>changes_requested', 'pending>approved', 'pending>rejected', 'pending>withdrawn', 'changes_requested>pending', 'changes_requested>withdrawn') BEGIN
  SELECT RAISE(ABORT, 'EK|module_submission|submission_status|transition|A submission is approved, rejected or withdrawn once; only changes that were requested bring it back to pending.');
END;

-- One row is one check of a submission and what came of it.
CREATE TABLE module_validation (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  submission_id INTEGER NOT NULL REFERENCES module_submission(id),
  check_name TEXT NOT NULL CONSTRAINT "module_validation.check_name.length" CHECK (length(check_name) BETWEEN 1 AND 100),
  validation_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "module_validation.validation_status.choice" CHECK (validation_status IN ('pending', 'passed', 'failed', 'skipped')),  -- pending: not done; passed: in order; failed: not in order; skipped: does not apply
  details TEXT CONSTRAINT "module_validation.details.json_object" CHECK (details IS NULL OR CASE WHEN json_valid(details) THEN json_type(details) = 'object' ELSE 0 END),
  score REAL CONSTRAINT "module_validation.score.range" CHECK (score BETWEEN 0 AND 100),  -- per cent
  validated_at TEXT CONSTRAINT "module_validation.validated_at.time" CHECK (validated_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', validated_at, '+0 days') IS validated_at),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "module_validation.check_name.unique" UNIQUE (submission_id, check_name),
  CONSTRAINT "module_validation.validated_at.required" CHECK ((validated_at IS NULL) = (validation_status = 'pending'))
) STRICT;

-- One row is what a moderator did about a submission, and why. Rows are only added.
CREATE TABLE moderation_action (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  submission_id INTEGER NOT NULL REFERENCES module_submission(id),
  moderated_by INTEGER NOT NULL REFERENCES user(id),
  action TEXT NOT NULL CONSTRAINT "moderation_action.action.choice" CHECK (action IN ('approve', 'reject', 'request_changes', 'suspend')),  -- approve: may be published; reject: may not; request_changes: back to its developer; suspend: taken off the market
  reason TEXT CONSTRAINT "moderation_action.reason.length" CHECK (length(reason) BETWEEN 1 AND 2000),
  moderated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CONSTRAINT "moderation_action.moderated_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', moderated_at, '+0 days') IS moderated_at),
  CONSTRAINT "moderation_action.reason.required" CHECK (reason IS NOT NULL OR action = 'approve')
) STRICT;
CREATE INDEX moderation_action_submission ON moderation_action(submission_id);
CREATE INDEX moderation_action_moderated_by ON moderation_action(moderated_by);

-- One row is the way of a submission to the market. What each step did is in its workflow.
--
-- Its ways: pending > validating > moderating > publishing > published; moderating > validating when changes are requested;
-- rejected by validation or moderation, cancelled before the end, failed and resumed at the stage that failed.
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

CREATE TRIGGER publishing_pipeline_publishing_status_bi BEFORE INSERT ON publishing_pipeline BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|publishing_pipeline|publishing_status|transition|A module is validated, then moderated, then published; no stage is left out, and what is published, rejected or cancelled stays so.')
  FROM publishing_pipeline WHERE (id = NEW.id OR submission_id = NEW.submission_id) AND publishing_status <> ifnull(NEW.publishing_status, 'pending') AND publishing_status || '>' || ifnull(NEW.publishing_status, 'pending') NOT IN ('pending>validating', 'pending>cancelled', 'validating>moderating', 'validating>rejected', 'validating>failed', 'validating>cancelled', 'moderating>publishing', 'moderating>validating', 'moderating>rejected', 'moderating>failed', 'moderating>cancelled', 'publishing>published', 'publishing>failed', 'publishing>cancelled', 'failed>validating', 'failed>moderating', 'failed>publishing', 'failed>cancelled');
END;
CREATE TRIGGER publishing_pipeline_publishing_status_bu BEFORE UPDATE OF publishing_status ON publishing_pipeline
WHEN OLD.publishing_status <> ifnull(NEW.publishing_status, 'pending') AND OLD.publishing_status || '>' || ifnull(NEW.publishing_status, 'pending') NOT IN ('pending>validating', 'pending>cancelled', 'validating>moderating', 'validating>rejected', 'validating>failed', 'validating>cancelled', 'moderating>publishing', 'moderating>validating', 'moderating>rejected', 'moderating>failed', 'moderating>cancelled', 'publishing>published', 'publishing>failed', 'publishing>cancelled', 'failed>validating', 'failed>moderating', 'failed>publishing', 'failed>cancelled') BEGIN
  SELECT RAISE(ABORT, 'EK|publishing_pipeline|publishing_status|transition|A module is validated, then moderated, then published; no stage is left out, and what is published, rejected or cancelled stays so.');
END;

-- How a module is liked, and how many clients have it now.
CREATE VIEW marketplace_module_stat AS
SELECT m.id AS module_id,
  (SELECT avg(rating) FROM module_review r WHERE r.module_id = m.id AND r.moderation_status = 'approved') AS rating_average,
  (SELECT count(*) FROM module_review r WHERE r.module_id = m.id AND r.moderation_status = 'approved') AS review_count,
  (SELECT count(*) FROM module_installation i WHERE i.module_id = m.id AND i.installation_status IN ('active', 'inactive')) AS install_count
FROM marketplace_module m;

-- What a module brought in a month, in minor units of each currency.
CREATE VIEW revenue_analytics AS
SELECT p.module_id, substr(p.paid_at, 1, 7) AS period, p.currency, sum(p.amount) AS gross, sum(p.fee) AS fee, sum(p.amount - p.fee) AS net
FROM module_payment p JOIN payment_status s ON s.id = p.payment_status_id AND s.is_paid = 1
GROUP BY p.module_id, period, p.currency;

-- A developer's month: modules there by then, installations and ratings of that month, revenue as {"USD": minor units}.
CREATE VIEW developer_stat AS
WITH fact(module_id, period, installed, rating) AS (
  SELECT id, substr(created_at, 1, 7), 0, NULL FROM marketplace_module
  UNION ALL SELECT module_id, substr(installed_at, 1, 7), 1, NULL FROM module_installation WHERE installed_at IS NOT NULL
  UNION ALL SELECT module_id, substr(created_at, 1, 7), 0, rating FROM module_review WHERE moderation_status = 'approved'
  UNION ALL SELECT module_id, period, 0, NULL FROM revenue_analytics
)
SELECT m.developer_id, f.period,
  (SELECT count(*) FROM marketplace_module o WHERE o.developer_id = m.developer_id AND substr(o.created_at, 1, 7) <= f.period) AS module_count,
  sum(f.installed) AS install_count, avg(f.rating) AS rating_average,
  (SELECT json_group_object(currency, net) FROM (
    SELECT r.currency, sum(r.net) AS net FROM revenue_analytics r JOIN marketplace_module o ON o.id = r.module_id
    WHERE o.developer_id = m.developer_id AND r.period = f.period GROUP BY r.currency)) AS revenue
FROM fact f JOIN marketplace_module m ON m.id = f.module_id
GROUP BY m.developer_id, f.period;
