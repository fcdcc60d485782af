-- Licensing: what the product can do, what each tier and licence allows of it, and what is registered under a feature.
--
-- A feature value is {"enabled": true | false, "value"?: of the kind the feature declares, "settings"?: {…}}. A decision walks:
-- core, registry default, tier, licences along the scopes, what the user set, and then every feature it depends on.

-- One row is a family of features; those of a core family are always on.
CREATE TABLE feature_type (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "feature_type.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "feature_type.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  is_core INTEGER NOT NULL DEFAULT 0 CONSTRAINT "feature_type.is_core.boolean" CHECK (is_core IN (0, 1)),  -- its features can be neither switched off nor expire
  sort_order INTEGER NOT NULL DEFAULT 0,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

-- One row is a thing the product can do or lets one register, the same for every organization. It is retired by its status.
CREATE TABLE feature (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "feature.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "feature.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  feature_key TEXT NOT NULL UNIQUE
    CONSTRAINT "feature.feature_key.length" CHECK (length(feature_key) BETWEEN 1 AND 100)
    CONSTRAINT "feature.feature_key.format" CHECK (feature_key GLOB '[a-z]*.?*' AND feature_key NOT GLOB '*[^a-z0-9_.]*' AND feature_key NOT GLOB '*..*' AND feature_key NOT GLOB '*.'),  -- as programs ask for it, such as integration.api_integrations
  feature_type_id INTEGER NOT NULL REFERENCES feature_type(id),
  value_type TEXT NOT NULL DEFAULT 'boolean' CONSTRAINT "feature.value_type.choice" CHECK (value_type IN ('boolean', 'integer', 'number', 'string', 'json')),  -- what a value of the feature is; boolean: true or false; integer: a whole number; number: any number; string: text; json: anything
  default_value TEXT CONSTRAINT "feature.default_value.json_object" CHECK (default_value IS NULL OR CASE WHEN json_valid(default_value) THEN json_type(default_value) = 'object' ELSE 0 END),  -- a feature value; NULL: off unless a tier or licence grants it
  license_tier_id INTEGER NOT NULL REFERENCES license_tier(id),  -- the lowest tier that covers it
  is_addon INTEGER NOT NULL DEFAULT 0 CONSTRAINT "feature.is_addon.boolean" CHECK (is_addon IN (0, 1)),  -- no tier covers it, it needs a licence of its own
  configuration_schema TEXT CONSTRAINT "feature.configuration_schema.json_object" CHECK (configuration_schema IS NULL OR CASE WHEN json_valid(configuration_schema) THEN json_type(configuration_schema) = 'object' ELSE 0 END),  -- the JSON Schema of its settings, with their defaults
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX feature_feature_type ON feature(feature_type_id);
CREATE INDEX feature_license_tier ON feature(license_tier_id);

-- Tiers and licences hold values of the kind declared here, so neither a default nor a kind may contradict them.
CREATE TRIGGER feature_value_bi BEFORE INSERT ON feature BEGIN
  SELECT RAISE(ABORT, 'EK|feature|default_value|enabled|A feature value says whether the feature is on: {"enabled": true} or {"enabled": false}.')
  WHERE CASE WHEN json_valid(NEW.default_value) THEN json_type(NEW.default_value) = 'object' END AND ((SELECT count(*) = 1 AND sum(type IN ('true', 'false')) = 1 FROM json_each(NEW.default_value) WHERE key = 'enabled') IS NOT 1 OR json_type(NEW.default_value, '$.enabled') IS NULL);
  SELECT RAISE(ABORT, 'EK|feature|default_value|type|The value is not of the kind the feature declares.')
  FROM json_each(CASE WHEN json_valid(NEW.default_value) THEN NEW.default_value ELSE '{}' END) v WHERE v.key = 'value' AND instr(CASE ifnull(NEW.value_type, 'boolean') WHEN 'boolean' THEN ' true false ' WHEN 'integer' THEN ' integer ' WHEN 'number' THEN ' integer real ' WHEN 'string' THEN ' text ' ELSE ' true false integer real text array object null ' END, ' ' || CASE v.type WHEN 'integer' THEN typeof(v.value) ELSE v.type END || ' ') = 0;
  SELECT RAISE(ABORT, 'EK|feature|default_value|settings|The settings in a feature value are an object.') FROM json_each(CASE WHEN json_valid(NEW.default_value) THEN NEW.default_value ELSE '{}' END) WHERE key = 'settings' AND type <> 'object';
  SELECT RAISE(ABORT, 'EK|feature|value_type|referenced|A tier holds a value of another kind for this feature.')
  FROM license_tier_feature t, json_each(t.feature_value) v WHERE t.feature_id = NEW.id AND v.key = 'value' AND instr(CASE ifnull(NEW.value_type, 'boolean') WHEN 'boolean' THEN ' true false ' WHEN 'integer' THEN ' integer ' WHEN 'number' THEN ' integer real ' WHEN 'string' THEN ' text ' ELSE ' true false integer real text array object null ' END, ' ' || CASE v.type WHEN 'integer' THEN typeof(v.value) ELSE v.type END || ' ') = 0;
  SELECT RAISE(ABORT, 'EK|feature|value_type|referenced|A licence holds a value of another kind for this feature.')
  FROM feature_license l, json_each(l.feature_value) v WHERE l.feature_id = NEW.id AND v.key = 'value' AND instr(CASE ifnull(NEW.value_type, 'boolean') WHEN 'boolean' THEN ' true false ' WHEN 'integer' THEN ' integer ' WHEN 'number' THEN ' integer real ' WHEN 'string' THEN ' text ' ELSE ' true false integer real text array object null ' END, ' ' || CASE v.type WHEN 'integer' THEN typeof(v.value) ELSE v.type END || ' ') = 0;
END;
CREATE TRIGGER feature_value_bu BEFORE UPDATE OF value_type, default_value ON feature BEGIN
  SELECT RAISE(ABORT, 'EK|feature|default_value|enabled|A feature value says whether the feature is on: {"enabled": true} or {"enabled": false}.')
  WHERE CASE WHEN json_valid(NEW.default_value) THEN json_type(NEW.default_value) = 'object' END AND ((SELECT count(*) = 1 AND sum(type IN ('true', 'false')) = 1 FROM json_each(NEW.default_value) WHERE key = 'enabled') IS NOT 1 OR json_type(NEW.default_value, '$.enabled') IS NULL);
  SELECT RAISE(ABORT, 'EK|feature|default_value|type|The value is not of the kind the feature declares.')
  FROM json_each(CASE WHEN json_valid(NEW.default_value) THEN NEW.default_value ELSE '{}' END) v WHERE v.key = 'value' AND instr(CASE ifnull(NEW.value_type, 'boolean') WHEN 'boolean' THEN ' true false ' WHEN 'integer' THEN ' integer ' WHEN 'number' THEN ' integer real ' WHEN 'string' THEN ' text ' ELSE ' true false integer real text array object null ' END, ' ' || CASE v.type WHEN 'integer' THEN typeof(v.value) ELSE v.type END || ' ') = 0;
  SELECT RAISE(ABORT, 'EK|feature|default_value|settings|The settings in a feature value are an object.') FROM json_each(CASE WHEN json_valid(NEW.default_value) THEN NEW.default_value ELSE '{}' END) WHERE key = 'settings' AND type <> 'object';
  SELECT RAISE(ABORT, 'EK|feature|value_type|referenced|A tier holds a value of another kind for this feature.')
  FROM license_tier_feature t, json_each(t.feature_value) v WHERE t.feature_id = NEW.id AND v.key = 'value' AND instr(CASE ifnull(NEW.value_type, 'boolean') WHEN 'boolean' THEN ' true false ' WHEN 'integer' THEN ' integer ' WHEN 'number' THEN ' integer real ' WHEN 'string' THEN ' text ' ELSE ' true false integer real text array object null ' END, ' ' || CASE v.type WHEN 'integer' THEN typeof(v.value) ELSE v.type END || ' ') = 0;
  SELECT RAISE(ABORT, 'EK|feature|value_type|referenced|A licence holds a value of another kind for this feature.')
  FROM feature_license l, json_each(l.feature_value) v WHERE l.feature_id = NEW.id AND v.key = 'value' AND instr(CASE ifnull(NEW.value_type, 'boolean') WHEN 'boolean' THEN ' true false ' WHEN 'integer' THEN ' integer ' WHEN 'number' THEN ' integer real ' WHEN 'string' THEN ' text ' ELSE ' true false integer real text array object null ' END, ' ' || CASE v.type WHEN 'integer' THEN typeof(v.value) ELSE v.type END || ' ') = 0;
END;

-- A core feature is always on: never switched off, deleted, or moved to where it could be (of all states only the first
-- is sure to stay active). Whether a feature is core is settled when it is made.
CREATE TRIGGER feature_core_bi BEFORE INSERT ON feature BEGIN
  SELECT RAISE(ABORT, 'EK|feature|status_id|core|A core feature is always on.')
  WHERE EXISTS (SELECT 1 FROM feature_type WHERE id = NEW.feature_type_id AND is_core = 1)
    AND (ifnull(NEW.status_id, 1) <> 1 OR EXISTS (SELECT 1 FROM json_each(CASE WHEN json_valid(NEW.default_value) THEN NEW.default_value ELSE '{}' END) WHERE key = 'enabled' AND type = 'false'));
  SELECT RAISE(ABORT, 'EK|feature|feature_type_id|core|Whether a feature is a core feature is settled when it is made.')
  FROM feature f JOIN feature_type y ON y.id = f.feature_type_id  -- by REPLACE
  WHERE (f.id = NEW.id OR f.code = NEW.code OR f.feature_key = NEW.feature_key) AND y.is_core <> EXISTS (SELECT 1 FROM feature_type WHERE id = NEW.feature_type_id AND is_core = 1);
END;
CREATE TRIGGER feature_core_bu BEFORE UPDATE OF feature_type_id, status_id, default_value ON feature BEGIN
  SELECT RAISE(ABORT, 'EK|feature|status_id|core|A core feature is always on.')
  WHERE EXISTS (SELECT 1 FROM feature_type WHERE id = NEW.feature_type_id AND is_core = 1)
    AND (ifnull(NEW.status_id, 1) <> 1 OR EXISTS (SELECT 1 FROM json_each(CASE WHEN json_valid(NEW.default_value) THEN NEW.default_value ELSE '{}' END) WHERE key = 'enabled' AND type = 'false'));
  SELECT RAISE(ABORT, 'EK|feature|feature_type_id|core|Whether a feature is a core feature is settled when it is made.')
  FROM feature_type WHERE id = OLD.feature_type_id AND is_core <> EXISTS (SELECT 1 FROM feature_type WHERE id = NEW.feature_type_id AND is_core = 1);
END;
CREATE TRIGGER feature_core_key_bu BEFORE UPDATE OF code, feature_key ON feature BEGIN  -- by OR REPLACE
  SELECT RAISE(ABORT, 'EK|feature|id|core|A core feature stays.')
  FROM feature f JOIN feature_type y ON y.id = f.feature_type_id WHERE (f.code = NEW.code OR f.feature_key = NEW.feature_key) AND f.id <> OLD.id AND y.is_core = 1;
END;
CREATE TRIGGER feature_core_bd BEFORE DELETE ON feature BEGIN
  SELECT RAISE(ABORT, 'EK|feature|id|core|A core feature stays.') FROM feature_type WHERE id = OLD.feature_type_id AND is_core = 1;
END;
CREATE TRIGGER feature_type_core_bi BEFORE INSERT ON feature_type BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|feature_type|is_core|core|Whether a type is core stays while it has features.')
  FROM feature_type y WHERE (id = NEW.id OR code = NEW.code) AND (is_core IS NOT ifnull(NEW.is_core, 0) OR (is_core = 1 AND ifnull(NEW.status_id, 1) <> 1)) AND EXISTS (SELECT 1 FROM feature WHERE feature_type_id = y.id);
END;
CREATE TRIGGER feature_type_retired_bu BEFORE UPDATE OF status_id ON feature_type WHEN NEW.is_core = 1 AND ifnull(NEW.status_id, 1) <> 1 BEGIN
  SELECT RAISE(ABORT, 'EK|feature_type|status_id|core|A core feature is always on, and so is its family.') WHERE EXISTS (SELECT 1 FROM feature WHERE feature_type_id = OLD.id);
END;
CREATE TRIGGER feature_type_core_bu BEFORE UPDATE OF is_core ON feature_type WHEN NEW.is_core IS NOT OLD.is_core BEGIN
  SELECT RAISE(ABORT, 'EK|feature_type|is_core|core|Whether a type is core stays while it has features.') WHERE EXISTS (SELECT 1 FROM feature WHERE feature_type_id = OLD.id);
END;

-- What is open to everybody is registered under components.public, so that has to be there and on.
CREATE TRIGGER feature_public_bi BEFORE INSERT ON feature BEGIN
  SELECT RAISE(ABORT, 'EK|feature|feature_key|protected|components.public is a core feature and keeps its key: what is open to everybody stands under it.')
  WHERE CASE WHEN NEW.feature_key = 'components.public' THEN NOT EXISTS (SELECT 1 FROM feature_type WHERE id = NEW.feature_type_id AND is_core = 1)
    ELSE EXISTS (SELECT 1 FROM feature WHERE (id = NEW.id OR code = NEW.code) AND feature_key = 'components.public') END;  -- by REPLACE
END;
CREATE TRIGGER feature_public_bu BEFORE UPDATE OF feature_key ON feature WHEN OLD.feature_key = 'components.public' AND NEW.feature_key IS NOT OLD.feature_key BEGIN
  SELECT RAISE(ABORT, 'EK|feature|feature_key|protected|components.public is a core feature and keeps its key: what is open to everybody stands under it.');
END;

-- One row says that a feature works only where another one does.
CREATE TABLE feature_dependency (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  feature_id INTEGER NOT NULL REFERENCES feature(id),
  depends_on_feature_id INTEGER NOT NULL REFERENCES feature(id),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "feature_dependency.depends_on_feature_id.cycle" CHECK (depends_on_feature_id IS NOT feature_id),
  CONSTRAINT "feature_dependency.depends_on_feature_id.unique" UNIQUE (feature_id, depends_on_feature_id)
) STRICT;
CREATE INDEX feature_dependency_depends_on_feature ON feature_dependency(depends_on_feature_id);

-- The row itself is left out of the walk: an update or a REPLACE gives it another meaning.
CREATE TRIGGER feature_dependency_acyclic_bi BEFORE INSERT ON feature_dependency WHEN NEW.depends_on_feature_id IS NOT NEW.feature_id BEGIN
  WITH RECURSIVE needed(id) AS (
    SELECT NEW.depends_on_feature_id
    UNION SELECT d.depends_on_feature_id FROM feature_dependency d JOIN needed n ON d.feature_id = n.id WHERE d.id IS NOT NEW.id
  )
  SELECT RAISE(ABORT, 'EK|feature_dependency|depends_on_feature_id|cycle|A feature cannot depend on itself, not through others either.') FROM needed WHERE id = NEW.feature_id;
END;
CREATE TRIGGER feature_dependency_acyclic_bu BEFORE UPDATE OF feature_id, depends_on_feature_id ON feature_dependency WHEN NEW.depends_on_feature_id IS NOT NEW.feature_id BEGIN
  WITH RECURSIVE needed(id) AS (
    SELECT NEW.depends_on_feature_id
    UNION SELECT d.depends_on_feature_id FROM feature_dependency d JOIN needed n ON d.feature_id = n.id WHERE d.id IS NOT NEW.id
  )
  SELECT RAISE(ABORT, 'EK|feature_dependency|depends_on_feature_id|cycle|A feature cannot depend on itself, not through others either.') FROM needed WHERE id = NEW.feature_id;
END;

-- What is always on cannot hang on what is not.
CREATE TRIGGER feature_dependency_core_bi BEFORE INSERT ON feature_dependency BEGIN
  SELECT RAISE(ABORT, 'EK|feature_dependency|depends_on_feature_id|core|A core feature is always on: it depends on core features only.')
  FROM feature f JOIN feature_type y ON y.id = f.feature_type_id WHERE f.id = NEW.feature_id AND y.is_core = 1
    AND NOT EXISTS (SELECT 1 FROM feature n JOIN feature_type z ON z.id = n.feature_type_id WHERE n.id = NEW.depends_on_feature_id AND z.is_core = 1);
END;
CREATE TRIGGER feature_dependency_core_bu BEFORE UPDATE OF feature_id, depends_on_feature_id ON feature_dependency BEGIN
  SELECT RAISE(ABORT, 'EK|feature_dependency|depends_on_feature_id|core|A core feature is always on: it depends on core features only.')
  FROM feature f JOIN feature_type y ON y.id = f.feature_type_id WHERE f.id = NEW.feature_id AND y.is_core = 1
    AND NOT EXISTS (SELECT 1 FROM feature n JOIN feature_type z ON z.id = n.feature_type_id WHERE n.id = NEW.depends_on_feature_id AND z.is_core = 1);
END;

-- One row is what a tier gives of a feature.
CREATE TABLE license_tier_feature (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  license_tier_id INTEGER NOT NULL REFERENCES license_tier(id),
  feature_id INTEGER NOT NULL REFERENCES feature(id),
  feature_value TEXT NOT NULL CONSTRAINT "license_tier_feature.feature_value.json_object" CHECK (CASE WHEN json_valid(feature_value) THEN json_type(feature_value) = 'object' ELSE 0 END),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "license_tier_feature.feature_id.unique" UNIQUE (license_tier_id, feature_id)
) STRICT;
CREATE INDEX license_tier_feature_covering ON license_tier_feature(license_tier_id, feature_id, feature_value, status_id);
CREATE INDEX license_tier_feature_enabled ON license_tier_feature(feature_value ->> '$.enabled', license_tier_id, feature_id);
CREATE INDEX license_tier_feature_feature ON license_tier_feature(feature_id);

CREATE TRIGGER license_tier_feature_value_bi BEFORE INSERT ON license_tier_feature WHEN CASE WHEN json_valid(NEW.feature_value) THEN json_type(NEW.feature_value) = 'object' END BEGIN
  SELECT RAISE(ABORT, 'EK|license_tier_feature|feature_value|enabled|A feature value says whether the feature is on: {"enabled": true} or {"enabled": false}.') WHERE ((SELECT count(*) = 1 AND sum(type IN ('true', 'false')) = 1 FROM json_each(NEW.feature_value) WHERE key = 'enabled') IS NOT 1 OR json_type(NEW.feature_value, '$.enabled') IS NULL);
  SELECT RAISE(ABORT, 'EK|license_tier_feature|feature_value|type|The value is not of the kind the feature declares.')
  FROM feature f, json_each(NEW.feature_value) v WHERE f.id = NEW.feature_id AND v.key = 'value' AND instr(CASE f.value_type WHEN 'boolean' THEN ' true false ' WHEN 'integer' THEN ' integer ' WHEN 'number' THEN ' integer real ' WHEN 'string' THEN ' text ' ELSE ' true false integer real text array object null ' END, ' ' || CASE v.type WHEN 'integer' THEN typeof(v.value) ELSE v.type END || ' ') = 0;
  SELECT RAISE(ABORT, 'EK|license_tier_feature|feature_value|settings|The settings in a feature value are an object.') FROM json_each(NEW.feature_value) WHERE key = 'settings' AND type <> 'object';
  SELECT RAISE(ABORT, 'EK|license_tier_feature|feature_value|core|A core feature is always on.')
  FROM feature f JOIN feature_type y ON y.id = f.feature_type_id WHERE f.id = NEW.feature_id AND y.is_core = 1 AND (ifnull(NEW.status_id, 1) <> 1 OR EXISTS (SELECT 1 FROM json_each(NEW.feature_value) WHERE key = 'enabled' AND type = 'false'));
END;
CREATE TRIGGER license_tier_feature_value_bu BEFORE UPDATE OF feature_id, feature_value, status_id ON license_tier_feature WHEN CASE WHEN json_valid(NEW.feature_value) THEN json_type(NEW.feature_value) = 'object' END BEGIN
  SELECT RAISE(ABORT, 'EK|license_tier_feature|feature_value|enabled|A feature value says whether the feature is on: {"enabled": true} or {"enabled": false}.') WHERE ((SELECT count(*) = 1 AND sum(type IN ('true', 'false')) = 1 FROM json_each(NEW.feature_value) WHERE key = 'enabled') IS NOT 1 OR json_type(NEW.feature_value, '$.enabled') IS NULL);
  SELECT RAISE(ABORT, 'EK|license_tier_feature|feature_value|type|The value is not of the kind the feature declares.')
  FROM feature f, json_each(NEW.feature_value) v WHERE f.id = NEW.feature_id AND v.key = 'value' AND instr(CASE f.value_type WHEN 'boolean' THEN ' true false ' WHEN 'integer' THEN ' integer ' WHEN 'number' THEN ' integer real ' WHEN 'string' THEN ' text ' ELSE ' true false integer real text array object null ' END, ' ' || CASE v.type WHEN 'integer' THEN typeof(v.value) ELSE v.type END || ' ') = 0;
  SELECT RAISE(ABORT, 'EK|license_tier_feature|feature_value|settings|The settings in a feature value are an object.') FROM json_each(NEW.feature_value) WHERE key = 'settings' AND type <> 'object';
  SELECT RAISE(ABORT, 'EK|license_tier_feature|feature_value|core|A core feature is always on.')
  FROM feature f JOIN feature_type y ON y.id = f.feature_type_id WHERE f.id = NEW.feature_id AND y.is_core = 1 AND (ifnull(NEW.status_id, 1) <> 1 OR EXISTS (SELECT 1 FROM json_each(NEW.feature_value) WHERE key = 'enabled' AND type = 'false'));
END;

CREATE TRIGGER license_tier_feature_secret_bi BEFORE INSERT ON license_tier_feature BEGIN
  SELECT RAISE(ABORT, 'EK|license_tier_feature|feature_value|secret|A setting is named like a secret. Secrets belong in the vault.')
  FROM json_tree(CASE WHEN json_valid(NEW.feature_value) THEN NEW.feature_value ELSE '{}' END) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;
CREATE TRIGGER license_tier_feature_secret_bu BEFORE UPDATE OF feature_value ON license_tier_feature BEGIN
  SELECT RAISE(ABORT, 'EK|license_tier_feature|feature_value|secret|A setting is named like a secret. Secrets belong in the vault.')
  FROM json_tree(CASE WHEN json_valid(NEW.feature_value) THEN NEW.feature_value ELSE '{}' END) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;

-- One row is the public key licence files are checked with. The first is given once; each further one is vouched for by the key before it.
CREATE TABLE vendor_key (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  vendor_name TEXT NOT NULL CONSTRAINT "vendor_key.vendor_name.length" CHECK (length(vendor_name) BETWEEN 1 AND 100),
  public_key TEXT NOT NULL UNIQUE CONSTRAINT "vendor_key.public_key.length" CHECK (length(public_key) = 44),  -- Ed25519, in base64
  previous_vendor_key_id INTEGER UNIQUE REFERENCES vendor_key(id),  -- the key this one replaces; NULL: the first
  statement TEXT CONSTRAINT "vendor_key.statement.json_object" CHECK (statement IS NULL OR CASE WHEN json_valid(statement) THEN json_type(statement) = 'object' ELSE 0 END),  -- what the previous key signed: {"public_key": this one, "replaces": the previous one, …}
  statement_signature TEXT CONSTRAINT "vendor_key.statement_signature.length" CHECK (length(statement_signature) = 88),  -- in base64
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "vendor_key.statement.required" CHECK ((previous_vendor_key_id IS NULL) = (statement IS NULL) AND (statement IS NULL) = (statement_signature IS NULL))
) STRICT;

-- The file cannot check a signature: whoever installs a key and `verify` do. It can keep the chain whole and in order.
CREATE TRIGGER vendor_key_chain_bi BEFORE INSERT ON vendor_key BEGIN
  SELECT RAISE(ABORT, 'EK|vendor_key|id|protected|The vendor key is given once. Another one needs a statement signed with the last one.')
  WHERE EXISTS (SELECT 1 FROM vendor_key WHERE id >= nullif(NEW.id, -1) OR public_key = NEW.public_key)  -- by REPLACE, or under an id before the last one
    OR NEW.previous_vendor_key_id IS NOT (SELECT max(id) FROM vendor_key);
  SELECT RAISE(ABORT, 'EK|vendor_key|statement|protected|The statement must name this key and the one it replaces.')
  FROM vendor_key p WHERE p.id = NEW.previous_vendor_key_id AND CASE WHEN json_valid(NEW.statement) THEN
    NEW.statement ->> '$.public_key' IS NOT NEW.public_key OR NEW.statement ->> '$.replaces' IS NOT p.public_key END;
END;
CREATE TRIGGER vendor_key_chain_bu BEFORE UPDATE OF public_key, previous_vendor_key_id, statement, statement_signature ON vendor_key
WHEN NEW.public_key IS NOT OLD.public_key OR NEW.previous_vendor_key_id IS NOT OLD.previous_vendor_key_id OR NEW.statement IS NOT OLD.statement OR NEW.statement_signature IS NOT OLD.statement_signature BEGIN
  SELECT RAISE(ABORT, 'EK|vendor_key|public_key|protected|A vendor key never changes. Another one needs a statement signed with this one.');
END;
CREATE TRIGGER vendor_key_chain_bd BEFORE DELETE ON vendor_key BEGIN
  SELECT RAISE(ABORT, 'EK|vendor_key|id|protected|A vendor key stays: licence files are checked with it.');
END;

-- One row is a licence file that was installed, as it came. It may be revoked, never changed.
CREATE TABLE license_file (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  serial TEXT NOT NULL UNIQUE CONSTRAINT "license_file.serial.length" CHECK (length(serial) BETWEEN 1 AND 100),  -- the number its vendor gave it
  vendor_key_id INTEGER NOT NULL REFERENCES vendor_key(id),  -- the key it was checked with
  document TEXT NOT NULL CONSTRAINT "license_file.document.json_object" CHECK (CASE WHEN json_valid(document) THEN json_type(document) = 'object' ELSE 0 END),  -- what was signed, byte for byte: features, tier, scope, quantity
  signature TEXT NOT NULL CONSTRAINT "license_file.signature.length" CHECK (length(signature) = 88),  -- in base64
  license_mode TEXT NOT NULL DEFAULT 'advise' CONSTRAINT "license_file.license_mode.choice" CHECK (license_mode IN ('advise', 'warn', 'block')),  -- advise: answer truthfully, stop nothing; warn: also say so at each use; block: refuse what is not licensed
  starts_at TEXT NOT NULL CONSTRAINT "license_file.starts_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', starts_at, '+0 days') IS starts_at),
  expires_at TEXT CONSTRAINT "license_file.expires_at.time" CHECK (expires_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', expires_at, '+0 days') IS expires_at),  -- NULL: never
  grace_days INTEGER NOT NULL DEFAULT 0 CONSTRAINT "license_file.grace_days.range" CHECK (grace_days >= 0),  -- it still holds for so long after it expired
  installed_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CONSTRAINT "license_file.installed_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', installed_at, '+0 days') IS installed_at),
  revoked_at TEXT CONSTRAINT "license_file.revoked_at.time" CHECK (revoked_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', revoked_at, '+0 days') IS revoked_at),
  revocation_reason TEXT CONSTRAINT "license_file.revocation_reason.length" CHECK (length(revocation_reason) <= 200),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "license_file.expires_at.order" CHECK (starts_at < expires_at),
  CONSTRAINT "license_file.revoked_at.required" CHECK (revoked_at IS NOT NULL OR revocation_reason IS NULL)
) STRICT;
CREATE INDEX license_file_vendor_key ON license_file(vendor_key_id);

CREATE TRIGGER license_file_kept_bi BEFORE INSERT ON license_file BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|license_file|id|protected|A licence that was installed is never replaced. Install the new one beside it.') FROM license_file WHERE id = NEW.id OR serial = NEW.serial;
END;
CREATE TRIGGER license_file_kept_bu BEFORE UPDATE OF serial, vendor_key_id, document, signature, license_mode, starts_at, expires_at, grace_days, installed_at ON license_file
WHEN (NEW.serial, NEW.vendor_key_id, NEW.document, NEW.signature, NEW.license_mode, NEW.starts_at, NEW.grace_days, NEW.installed_at)
  IS NOT (OLD.serial, OLD.vendor_key_id, OLD.document, OLD.signature, OLD.license_mode, OLD.starts_at, OLD.grace_days, OLD.installed_at) OR NEW.expires_at IS NOT OLD.expires_at BEGIN
  SELECT RAISE(ABORT, 'EK|license_file|document|protected|A licence says what its vendor signed. It may be revoked, not changed.');
END;
CREATE TRIGGER license_file_revoked_bu BEFORE UPDATE OF revoked_at ON license_file WHEN OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS NOT OLD.revoked_at BEGIN
  SELECT RAISE(ABORT, 'EK|license_file|revoked_at|final|A licence that was revoked stays revoked.');
END;
CREATE TRIGGER license_file_kept_bd BEFORE DELETE ON license_file BEGIN
  SELECT RAISE(ABORT, 'EK|license_file|id|protected|A licence that was installed is revoked, never deleted.');
END;

-- One row licenses a feature to the whole file, a program or a producer: it grants or withholds, and says how much and until when.
CREATE TABLE feature_license (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "feature_license.uuid.length" CHECK (length(uuid) = 36),  -- binds the ciphertext to this row
  feature_id INTEGER NOT NULL REFERENCES feature(id),
  scope_type_id INTEGER NOT NULL REFERENCES scope_type(id),
  scope_id INTEGER,  -- the program or producer; NULL: the whole file
  organization_id INTEGER REFERENCES organization(id),  -- NULL: for all
  feature_value TEXT CONSTRAINT "feature_license.feature_value.json_object" CHECK (feature_value IS NULL OR CASE WHEN json_valid(feature_value) THEN json_type(feature_value) = 'object' ELSE 0 END),  -- a feature value; NULL: on, with the value the tier gives
  feature_configuration TEXT CONSTRAINT "feature_license.feature_configuration.json_object" CHECK (feature_configuration IS NULL OR CASE WHEN json_valid(feature_configuration) THEN json_type(feature_configuration) = 'object' ELSE 0 END),  -- settings of the feature in this scope
  licensed_quantity INTEGER NOT NULL DEFAULT 1 CONSTRAINT "feature_license.licensed_quantity.range" CHECK (licensed_quantity >= 1),  -- units or seats
  license_expires_at TEXT CONSTRAINT "feature_license.license_expires_at.time" CHECK (license_expires_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', license_expires_at, '+0 days') IS license_expires_at),  -- NULL: never
  license_file_id INTEGER REFERENCES license_file(id),  -- the installed licence it came with; NULL: entered here
  license_key_ciphertext BLOB CONSTRAINT "feature_license.license_key_ciphertext.length" CHECK (length(license_key_ciphertext) BETWEEN 29 AND 4096),
  license_key_hash TEXT UNIQUE CONSTRAINT "feature_license.license_key_hash.length" CHECK (length(license_key_hash) = 64),  -- keyed, to find the row by its key
  encryption_key_id INTEGER REFERENCES encryption_key(id),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "feature_license.license_key_ciphertext.required" CHECK ((license_key_ciphertext IS NULL) = (encryption_key_id IS NULL) AND (license_key_ciphertext IS NULL) = (license_key_hash IS NULL))
) STRICT;
CREATE UNIQUE INDEX feature_license_feature_scope ON feature_license(feature_id, scope_type_id, COALESCE(scope_id, 0), COALESCE(organization_id, 0));
CREATE INDEX feature_license_scope ON feature_license(scope_type_id, scope_id);
CREATE INDEX feature_license_organization ON feature_license(organization_id);
CREATE INDEX feature_license_license_file ON feature_license(license_file_id);
CREATE INDEX feature_license_encryption_key ON feature_license(encryption_key_id);

CREATE TRIGGER feature_license_uuid_bi BEFORE INSERT ON feature_license BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|feature_license|uuid|protected|The uuid of a licence stays: its key is sealed to it.') FROM feature_license WHERE id = NEW.id AND uuid IS NOT NEW.uuid;
END;
CREATE TRIGGER feature_license_uuid_bu BEFORE UPDATE OF uuid ON feature_license WHEN NEW.uuid IS NOT OLD.uuid BEGIN
  SELECT RAISE(ABORT, 'EK|feature_license|uuid|protected|The uuid of a licence stays: its key is sealed to it.');
END;
CREATE TRIGGER feature_license_scope_bi BEFORE INSERT ON feature_license BEGIN
  SELECT RAISE(ABORT, 'EK|feature_license|scope_type_id|scope|A feature is licensed to the system, a program or a producer.') FROM scope_type WHERE id = NEW.scope_type_id AND table_name NOT IN ('program', 'producer');
  SELECT RAISE(ABORT, 'EK|feature_license|organization_id|organization|The program or producer belongs to another organization.') FROM scope_type s WHERE s.id = NEW.scope_type_id AND NEW.organization_id <>
    CASE s.table_name WHEN 'program' THEN (SELECT organization_id FROM program WHERE id = NEW.scope_id) WHEN 'producer' THEN (SELECT organization_id FROM producer WHERE id = NEW.scope_id) END;
END;
CREATE TRIGGER feature_license_scope_bu BEFORE UPDATE OF scope_type_id, scope_id, organization_id ON feature_license BEGIN
  SELECT RAISE(ABORT, 'EK|feature_license|scope_type_id|scope|A feature is licensed to the system, a program or a producer.') FROM scope_type WHERE id = NEW.scope_type_id AND table_name NOT IN ('program', 'producer');
  SELECT RAISE(ABORT, 'EK|feature_license|organization_id|organization|The program or producer belongs to another organization.') FROM scope_type s WHERE s.id = NEW.scope_type_id AND NEW.organization_id <>
    CASE s.table_name WHEN 'program' THEN (SELECT organization_id FROM program WHERE id = NEW.scope_id) WHEN 'producer' THEN (SELECT organization_id FROM producer WHERE id = NEW.scope_id) END;
END;
-- The other side: what is licensed stays with its organization.
CREATE TRIGGER program_licensed_bi BEFORE INSERT ON program BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|program|organization_id|organization|Features are licensed to it in its organization.')
  FROM scope_type s JOIN feature_license c ON c.scope_type_id = s.id AND c.scope_id = NEW.id WHERE s.table_name = 'program' AND c.organization_id <> ifnull(NEW.organization_id, 1);
END;
CREATE TRIGGER program_licensed_bu BEFORE UPDATE OF organization_id ON program WHEN NEW.organization_id IS NOT OLD.organization_id BEGIN
  SELECT RAISE(ABORT, 'EK|program|organization_id|organization|Features are licensed to it in its organization.')
  FROM scope_type s JOIN feature_license c ON c.scope_type_id = s.id AND c.scope_id = NEW.id WHERE s.table_name = 'program' AND c.organization_id <> ifnull(NEW.organization_id, 1);
END;
CREATE TRIGGER producer_licensed_bi BEFORE INSERT ON producer BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|producer|organization_id|organization|Features are licensed to it in its organization.')
  FROM scope_type s JOIN feature_license c ON c.scope_type_id = s.id AND c.scope_id = NEW.id WHERE s.table_name = 'producer' AND c.organization_id <> ifnull(NEW.organization_id, 1);
END;
CREATE TRIGGER producer_licensed_bu BEFORE UPDATE OF organization_id ON producer WHEN NEW.organization_id IS NOT OLD.organization_id BEGIN
  SELECT RAISE(ABORT, 'EK|producer|organization_id|organization|Features are licensed to it in its organization.')
  FROM scope_type s JOIN feature_license c ON c.scope_type_id = s.id AND c.scope_id = NEW.id WHERE s.table_name = 'producer' AND c.organization_id <> ifnull(NEW.organization_id, 1);
END;
CREATE TRIGGER feature_license_value_bi BEFORE INSERT ON feature_license WHEN CASE WHEN json_valid(NEW.feature_value) THEN json_type(NEW.feature_value) = 'object' END BEGIN
  SELECT RAISE(ABORT, 'EK|feature_license|feature_value|enabled|A feature value says whether the feature is on: {"enabled": true} or {"enabled": false}.') WHERE ((SELECT count(*) = 1 AND sum(type IN ('true', 'false')) = 1 FROM json_each(NEW.feature_value) WHERE key = 'enabled') IS NOT 1 OR json_type(NEW.feature_value, '$.enabled') IS NULL);
  SELECT RAISE(ABORT, 'EK|feature_license|feature_value|type|The value is not of the kind the feature declares.')
  FROM feature f, json_each(NEW.feature_value) v WHERE f.id = NEW.feature_id AND v.key = 'value' AND instr(CASE f.value_type WHEN 'boolean' THEN ' true false ' WHEN 'integer' THEN ' integer ' WHEN 'number' THEN ' integer real ' WHEN 'string' THEN ' text ' ELSE ' true false integer real text array object null ' END, ' ' || CASE v.type WHEN 'integer' THEN typeof(v.value) ELSE v.type END || ' ') = 0;
  SELECT RAISE(ABORT, 'EK|feature_license|feature_value|settings|The settings in a feature value are an object.') FROM json_each(NEW.feature_value) WHERE key = 'settings' AND type <> 'object';
  SELECT RAISE(ABORT, 'EK|feature_license|feature_value|core|A core feature is always on.')
  FROM feature f JOIN feature_type y ON y.id = f.feature_type_id WHERE f.id = NEW.feature_id AND y.is_core = 1 AND EXISTS (SELECT 1 FROM json_each(NEW.feature_value) WHERE key = 'enabled' AND type = 'false');
END;
CREATE TRIGGER feature_license_value_bu BEFORE UPDATE OF feature_id, feature_value ON feature_license WHEN CASE WHEN json_valid(NEW.feature_value) THEN json_type(NEW.feature_value) = 'object' END BEGIN
  SELECT RAISE(ABORT, 'EK|feature_license|feature_value|enabled|A feature value says whether the feature is on: {"enabled": true} or {"enabled": false}.') WHERE ((SELECT count(*) = 1 AND sum(type IN ('true', 'false')) = 1 FROM json_each(NEW.feature_value) WHERE key = 'enabled') IS NOT 1 OR json_type(NEW.feature_value, '$.enabled') IS NULL);
  SELECT RAISE(ABORT, 'EK|feature_license|feature_value|type|The value is not of the kind the feature declares.')
  FROM feature f, json_each(NEW.feature_value) v WHERE f.id = NEW.feature_id AND v.key = 'value' AND instr(CASE f.value_type WHEN 'boolean' THEN ' true false ' WHEN 'integer' THEN ' integer ' WHEN 'number' THEN ' integer real ' WHEN 'string' THEN ' text ' ELSE ' true false integer real text array object null ' END, ' ' || CASE v.type WHEN 'integer' THEN typeof(v.value) ELSE v.type END || ' ') = 0;
  SELECT RAISE(ABORT, 'EK|feature_license|feature_value|settings|The settings in a feature value are an object.') FROM json_each(NEW.feature_value) WHERE key = 'settings' AND type <> 'object';
  SELECT RAISE(ABORT, 'EK|feature_license|feature_value|core|A core feature is always on.')
  FROM feature f JOIN feature_type y ON y.id = f.feature_type_id WHERE f.id = NEW.feature_id AND y.is_core = 1 AND EXISTS (SELECT 1 FROM json_each(NEW.feature_value) WHERE key = 'enabled' AND type = 'false');
END;
CREATE TRIGGER feature_license_core_bi BEFORE INSERT ON feature_license WHEN NEW.license_expires_at IS NOT NULL OR NEW.status_id <> 1 BEGIN
  SELECT RAISE(ABORT, 'EK|feature_license|license_expires_at|core|A core feature neither expires nor is it withdrawn.') FROM feature f JOIN feature_type y ON y.id = f.feature_type_id WHERE f.id = NEW.feature_id AND y.is_core = 1;
END;
CREATE TRIGGER feature_license_core_bu BEFORE UPDATE OF feature_id, license_expires_at, status_id ON feature_license WHEN NEW.license_expires_at IS NOT NULL OR NEW.status_id <> 1 BEGIN
  SELECT RAISE(ABORT, 'EK|feature_license|license_expires_at|core|A core feature neither expires nor is it withdrawn.') FROM feature f JOIN feature_type y ON y.id = f.feature_type_id WHERE f.id = NEW.feature_id AND y.is_core = 1;
END;

CREATE TRIGGER feature_license_secret_bi BEFORE INSERT ON feature_license BEGIN
  SELECT RAISE(ABORT, 'EK|feature_license|feature_value|secret|A setting is named like a secret. Secrets belong in the vault.')
  FROM json_tree(CASE WHEN json_valid(NEW.feature_value) THEN NEW.feature_value ELSE '{}' END) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
  SELECT RAISE(ABORT, 'EK|feature_license|feature_configuration|secret|A setting is named like a secret. Secrets belong in the vault.')
  FROM json_tree(CASE WHEN json_valid(NEW.feature_configuration) THEN NEW.feature_configuration ELSE '{}' END) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;
CREATE TRIGGER feature_license_secret_bu BEFORE UPDATE OF feature_value, feature_configuration ON feature_license BEGIN
  SELECT RAISE(ABORT, 'EK|feature_license|feature_value|secret|A setting is named like a secret. Secrets belong in the vault.')
  FROM json_tree(CASE WHEN json_valid(NEW.feature_value) THEN NEW.feature_value ELSE '{}' END) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
  SELECT RAISE(ABORT, 'EK|feature_license|feature_configuration|secret|A setting is named like a secret. Secrets belong in the vault.')
  FROM json_tree(CASE WHEN json_valid(NEW.feature_configuration) THEN NEW.feature_configuration ELSE '{}' END) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;

-- One row counts what was used of a feature in a scope, for ever or in one hour, day, month or year.
CREATE TABLE feature_usage (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  feature_id INTEGER NOT NULL REFERENCES feature(id),
  scope_type_id INTEGER NOT NULL REFERENCES scope_type(id),
  scope_id INTEGER,
  organization_id INTEGER REFERENCES organization(id),  -- NULL: of all
  usage_period TEXT NOT NULL DEFAULT 'total' CONSTRAINT "feature_usage.usage_period.choice" CHECK (usage_period IN ('total', 'hour', 'day', 'month', 'year')),  -- total: since the beginning; hour, day, month, year: since `period_starts_at`
  period_starts_at TEXT CONSTRAINT "feature_usage.period_starts_at.time" CHECK (period_starts_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', period_starts_at, '+0 days') IS period_starts_at),
  used_quantity INTEGER NOT NULL DEFAULT 0 CONSTRAINT "feature_usage.used_quantity.range" CHECK (used_quantity >= 0),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "feature_usage.period_starts_at.required" CHECK ((usage_period = 'total') = (period_starts_at IS NULL)),
  CONSTRAINT "feature_usage.period_starts_at.format" CHECK (period_starts_at GLOB CASE usage_period WHEN 'hour' THEN '*:00:00.000Z' WHEN 'day' THEN '*T00:00:00.000Z' WHEN 'month' THEN '*-01T00:00:00.000Z' ELSE '*-01-01T00:00:00.000Z' END)  -- two counters of one period would each allow the whole quantity
) STRICT;
CREATE UNIQUE INDEX feature_usage_counter ON feature_usage(feature_id, scope_type_id, COALESCE(scope_id, 0), COALESCE(organization_id, 0), usage_period, COALESCE(period_starts_at, ''));
CREATE INDEX feature_usage_scope ON feature_usage(scope_type_id, scope_id);
CREATE INDEX feature_usage_organization ON feature_usage(organization_id);

-- One row is a feature that entities of a type need or may use, with the settings it has there.
CREATE TABLE entity_type_feature (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  entity_type_id INTEGER NOT NULL REFERENCES entity_type(id),
  feature_id INTEGER NOT NULL REFERENCES feature(id),
  is_required INTEGER NOT NULL DEFAULT 0 CONSTRAINT "entity_type_feature.is_required.boolean" CHECK (is_required IN (0, 1)),  -- entities of this type work only where it is available
  configuration_schema TEXT CONSTRAINT "entity_type_feature.configuration_schema.json_object" CHECK (configuration_schema IS NULL OR CASE WHEN json_valid(configuration_schema) THEN json_type(configuration_schema) = 'object' ELSE 0 END),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "entity_type_feature.feature_id.unique" UNIQUE (entity_type_id, feature_id)
) STRICT;
CREATE INDEX entity_type_feature_feature ON entity_type_feature(feature_id);

-- One row is a feature that one entity needs or may use, beside those of its type; its settings win.
CREATE TABLE entity_feature (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  entity_id INTEGER NOT NULL REFERENCES entity(id),
  feature_id INTEGER NOT NULL REFERENCES feature(id),
  is_required INTEGER NOT NULL DEFAULT 0 CONSTRAINT "entity_feature.is_required.boolean" CHECK (is_required IN (0, 1)),  -- the entity works only where it is available
  configuration_schema TEXT CONSTRAINT "entity_feature.configuration_schema.json_object" CHECK (configuration_schema IS NULL OR CASE WHEN json_valid(configuration_schema) THEN json_type(configuration_schema) = 'object' ELSE 0 END),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "entity_feature.feature_id.unique" UNIQUE (entity_id, feature_id)
) STRICT;
CREATE INDEX entity_feature_feature ON entity_feature(feature_id);

-- One row is a model of a provider that may be used. Two providers may offer one of the same name.
CREATE TABLE model_registry (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  provider TEXT NOT NULL COLLATE NOCASE CONSTRAINT "model_registry.provider.length" CHECK (length(provider) BETWEEN 1 AND 100),
  model_id TEXT NOT NULL CONSTRAINT "model_registry.model_id.length" CHECK (length(model_id) BETWEEN 1 AND 200),  -- what the provider calls it
  model_name TEXT NOT NULL CONSTRAINT "model_registry.model_name.length" CHECK (length(model_name) BETWEEN 1 AND 200),
  feature_id INTEGER NOT NULL REFERENCES feature(id),  -- what must be available to use it
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "model_registry.model_id.unique" UNIQUE (provider, model_id)
) STRICT;
CREATE INDEX model_registry_feature ON model_registry(feature_id);

-- One row is a part of the product and the feature it is gated by; what is open to everybody stands under components.public.
CREATE TABLE component_registry (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "component_registry.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "component_registry.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  feature_id INTEGER NOT NULL REFERENCES feature(id),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX component_registry_feature ON component_registry(feature_id);

CREATE TRIGGER component_registry_gate_bi BEFORE INSERT ON component_registry WHEN NEW.feature_id IS NULL BEGIN
  SELECT RAISE(ABORT, 'EK|component_registry|feature_id|required|A component needs the feature it is gated by. One that is open to everybody has components.public.');
END;
CREATE TRIGGER component_registry_gate_bu BEFORE UPDATE OF feature_id ON component_registry WHEN NEW.feature_id IS NULL BEGIN
  SELECT RAISE(ABORT, 'EK|component_registry|feature_id|required|A component needs the feature it is gated by. One that is open to everybody has components.public.');
END;

-- One row is a component with its gate.
CREATE VIEW v_component_registry AS
SELECT c.id, c.code, c.name, c.description, c.feature_id, f.code AS feature_code, f.feature_key, f.feature_key = 'components.public' AS is_public, c.status_id
FROM component_registry c JOIN feature f ON f.id = c.feature_id;

-- One row says that in a change a feature, or what a tier, a licence, a dependency or an integration says of it, was written.
-- The audit log knows rows, not features: this finds its entries by feature and time. Rows are only added.
CREATE TABLE audit_feature (
  id INTEGER PRIMARY KEY CHECK (id > 0),  -- SQLite chooses no other; -1 would get past the trigger below
  feature_id INTEGER,
  txn_id INTEGER,
  table_name TEXT,
  record_key ANY,
  action TEXT,
  performed_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX audit_feature_time ON audit_feature(feature_id, performed_at DESC);

CREATE TRIGGER audit_feature_kept_bi BEFORE INSERT ON audit_feature WHEN NEW.id <> -1 BEGIN
  SELECT RAISE(ABORT, 'EK|audit_feature|*|append_only|The log of features is only ever added to.') WHERE NEW.id IS NOT (SELECT ifnull(max(id), 0) + 1 FROM audit_feature);
END;
CREATE TRIGGER audit_feature_kept_bu BEFORE UPDATE ON audit_feature BEGIN
  SELECT RAISE(ABORT, 'EK|audit_feature|*|append_only|The log of features is only ever added to.');
END;
CREATE TRIGGER audit_feature_kept_bd BEFORE DELETE ON audit_feature BEGIN
  SELECT RAISE(ABORT, 'EK|audit_feature|*|append_only|The log of features is only ever added to.');
END;

-- A change notes a row once for what it did to it, however often: the audit log has each time.
CREATE TRIGGER feature_noted_ai AFTER INSERT ON feature BEGIN
  INSERT INTO audit_feature(feature_id, txn_id, table_name, record_key, action, performed_at)
  SELECT f.id, x.id, 'feature', NEW.id, 'I', x.performed_at
  FROM (SELECT NEW.id AS id) f, (SELECT id, performed_at FROM audit_transaction ORDER BY id DESC LIMIT 1) x
  WHERE NOT EXISTS (SELECT 1 FROM audit_feature WHERE feature_id = f.id AND performed_at = x.performed_at AND txn_id = x.id AND table_name = 'feature' AND record_key = NEW.id AND action = 'I');
END;
CREATE TRIGGER feature_noted_au AFTER UPDATE ON feature BEGIN
  INSERT INTO audit_feature(feature_id, txn_id, table_name, record_key, action, performed_at)
  SELECT f.id, x.id, 'feature', NEW.id, 'U', x.performed_at
  FROM (SELECT NEW.id AS id UNION SELECT OLD.id AS id) f, (SELECT id, performed_at FROM audit_transaction ORDER BY id DESC LIMIT 1) x
  WHERE NOT EXISTS (SELECT 1 FROM audit_feature WHERE feature_id = f.id AND performed_at = x.performed_at AND txn_id = x.id AND table_name = 'feature' AND record_key = NEW.id AND action = 'U');
END;
CREATE TRIGGER feature_noted_ad AFTER DELETE ON feature BEGIN
  INSERT INTO audit_feature(feature_id, txn_id, table_name, record_key, action, performed_at)
  SELECT f.id, x.id, 'feature', OLD.id, 'D', x.performed_at
  FROM (SELECT OLD.id AS id) f, (SELECT id, performed_at FROM audit_transaction ORDER BY id DESC LIMIT 1) x
  WHERE NOT EXISTS (SELECT 1 FROM audit_feature WHERE feature_id = f.id AND performed_at = x.performed_at AND txn_id = x.id AND table_name = 'feature' AND record_key = OLD.id AND action = 'D');
END;
CREATE TRIGGER feature_dependency_noted_ai AFTER INSERT ON feature_dependency BEGIN
  INSERT INTO audit_feature(feature_id, txn_id, table_name, record_key, action, performed_at)
  SELECT f.id, x.id, 'feature_dependency', NEW.id, 'I', x.performed_at
  FROM (SELECT NEW.feature_id AS id) f, (SELECT id, performed_at FROM audit_transaction ORDER BY id DESC LIMIT 1) x
  WHERE NOT EXISTS (SELECT 1 FROM audit_feature WHERE feature_id = f.id AND performed_at = x.performed_at AND txn_id = x.id AND table_name = 'feature_dependency' AND record_key = NEW.id AND action = 'I');
END;
CREATE TRIGGER feature_dependency_noted_au AFTER UPDATE ON feature_dependency BEGIN
  INSERT INTO audit_feature(feature_id, txn_id, table_name, record_key, action, performed_at)
  SELECT f.id, x.id, 'feature_dependency', NEW.id, 'U', x.performed_at
  FROM (SELECT NEW.feature_id AS id UNION SELECT OLD.feature_id AS id) f, (SELECT id, performed_at FROM audit_transaction ORDER BY id DESC LIMIT 1) x
  WHERE NOT EXISTS (SELECT 1 FROM audit_feature WHERE feature_id = f.id AND performed_at = x.performed_at AND txn_id = x.id AND table_name = 'feature_dependency' AND record_key = NEW.id AND action = 'U');
END;
CREATE TRIGGER feature_dependency_noted_ad AFTER DELETE ON feature_dependency BEGIN
  INSERT INTO audit_feature(feature_id, txn_id, table_name, record_key, action, performed_at)
  SELECT f.id, x.id, 'feature_dependency', OLD.id, 'D', x.performed_at
  FROM (SELECT OLD.feature_id AS id) f, (SELECT id, performed_at FROM audit_transaction ORDER BY id DESC LIMIT 1) x
  WHERE NOT EXISTS (SELECT 1 FROM audit_feature WHERE feature_id = f.id AND performed_at = x.performed_at AND txn_id = x.id AND table_name = 'feature_dependency' AND record_key = OLD.id AND action = 'D');
END;
CREATE TRIGGER license_tier_feature_noted_ai AFTER INSERT ON license_tier_feature BEGIN
  INSERT INTO audit_feature(feature_id, txn_id, table_name, record_key, action, performed_at)
  SELECT f.id, x.id, 'license_tier_feature', NEW.id, 'I', x.performed_at
  FROM (SELECT NEW.feature_id AS id) f, (SELECT id, performed_at FROM audit_transaction ORDER BY id DESC LIMIT 1) x
  WHERE NOT EXISTS (SELECT 1 FROM audit_feature WHERE feature_id = f.id AND performed_at = x.performed_at AND txn_id = x.id AND table_name = 'license_tier_feature' AND record_key = NEW.id AND action = 'I');
END;
CREATE TRIGGER license_tier_feature_noted_au AFTER UPDATE ON license_tier_feature BEGIN
  INSERT INTO audit_feature(feature_id, txn_id, table_name, record_key, action, performed_at)
  SELECT f.id, x.id, 'license_tier_feature', NEW.id, 'U', x.performed_at
  FROM (SELECT NEW.feature_id AS id UNION SELECT OLD.feature_id AS id) f, (SELECT id, performed_at FROM audit_transaction ORDER BY id DESC LIMIT 1) x
  WHERE NOT EXISTS (SELECT 1 FROM audit_feature WHERE feature_id = f.id AND performed_at = x.performed_at AND txn_id = x.id AND table_name = 'license_tier_feature' AND record_key = NEW.id AND action = 'U');
END;
CREATE TRIGGER license_tier_feature_noted_ad AFTER DELETE ON license_tier_feature BEGIN
  INSERT INTO audit_feature(feature_id, txn_id, table_name, record_key, action, performed_at)
  SELECT f.id, x.id, 'license_tier_feature', OLD.id, 'D', x.performed_at
  FROM (SELECT OLD.feature_id AS id) f, (SELECT id, performed_at FROM audit_transaction ORDER BY id DESC LIMIT 1) x
  WHERE NOT EXISTS (SELECT 1 FROM audit_feature WHERE feature_id = f.id AND performed_at = x.performed_at AND txn_id = x.id AND table_name = 'license_tier_feature' AND record_key = OLD.id AND action = 'D');
END;
CREATE TRIGGER feature_license_noted_ai AFTER INSERT ON feature_license BEGIN
  INSERT INTO audit_feature(feature_id, txn_id, table_name, record_key, action, performed_at)
  SELECT f.id, x.id, 'feature_license', NEW.id, 'I', x.performed_at
  FROM (SELECT NEW.feature_id AS id) f, (SELECT id, performed_at FROM audit_transaction ORDER BY id DESC LIMIT 1) x
  WHERE NOT EXISTS (SELECT 1 FROM audit_feature WHERE feature_id = f.id AND performed_at = x.performed_at AND txn_id = x.id AND table_name = 'feature_license' AND record_key = NEW.id AND action = 'I');
END;
CREATE TRIGGER feature_license_noted_au AFTER UPDATE ON feature_license BEGIN
  INSERT INTO audit_feature(feature_id, txn_id, table_name, record_key, action, performed_at)
  SELECT f.id, x.id, 'feature_license', NEW.id, 'U', x.performed_at
  FROM (SELECT NEW.feature_id AS id UNION SELECT OLD.feature_id AS id) f, (SELECT id, performed_at FROM audit_transaction ORDER BY id DESC LIMIT 1) x
  WHERE NOT EXISTS (SELECT 1 FROM audit_feature WHERE feature_id = f.id AND performed_at = x.performed_at AND txn_id = x.id AND table_name = 'feature_license' AND record_key = NEW.id AND action = 'U');
END;
CREATE TRIGGER feature_license_noted_ad AFTER DELETE ON feature_license BEGIN
  INSERT INTO audit_feature(feature_id, txn_id, table_name, record_key, action, performed_at)
  SELECT f.id, x.id, 'feature_license', OLD.id, 'D', x.performed_at
  FROM (SELECT OLD.feature_id AS id) f, (SELECT id, performed_at FROM audit_transaction ORDER BY id DESC LIMIT 1) x
  WHERE NOT EXISTS (SELECT 1 FROM audit_feature WHERE feature_id = f.id AND performed_at = x.performed_at AND txn_id = x.id AND table_name = 'feature_license' AND record_key = OLD.id AND action = 'D');
END;

-- One row is one entry of the audit log about a feature; an insert has no entry to point to, its values are the first old ones or the live row.
CREATE VIEW v_feature_change AS
SELECT a.feature_id, f.feature_key, a.table_name, a.record_key, a.action, l.seq, a.txn_id, x.actor, x.correlation_id, x.reason, a.performed_at
FROM audit_feature a
LEFT JOIN feature f ON f.id = a.feature_id
LEFT JOIN audit_transaction x ON x.id = a.txn_id
LEFT JOIN audit_table t ON t.name = a.table_name
LEFT JOIN audit_log l ON l.table_id = t.id AND l.record_key = a.record_key AND l.action <> 'I' AND l.action = a.action AND l.txn_id = a.txn_id
WHERE a.action = 'I' OR l.seq IS NOT NULL;
