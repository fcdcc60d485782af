-- Configuration: what is set, at which level, as one JSON document per type and scope. The narrower scope wins per key.
-- A new family of settings is a row of `configuration_type`, never a table or column.

-- One row is a family of settings, the JSON Schema they follow with its defaults, and the levels they may be set at.
CREATE TABLE configuration_type (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "configuration_type.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "configuration_type.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  schema_definition TEXT CONSTRAINT "configuration_type.schema_definition.json_object" CHECK (schema_definition IS NULL OR CASE WHEN json_valid(schema_definition) THEN json_type(schema_definition) = 'object' ELSE 0 END),  -- NULL: anything goes
  applies_to_system INTEGER NOT NULL DEFAULT 0 CONSTRAINT "configuration_type.applies_to_system.boolean" CHECK (applies_to_system IN (0, 1)),
  applies_to_program INTEGER NOT NULL DEFAULT 0 CONSTRAINT "configuration_type.applies_to_program.boolean" CHECK (applies_to_program IN (0, 1)),
  applies_to_producer INTEGER NOT NULL DEFAULT 0 CONSTRAINT "configuration_type.applies_to_producer.boolean" CHECK (applies_to_producer IN (0, 1)),
  applies_to_entity INTEGER NOT NULL DEFAULT 0 CONSTRAINT "configuration_type.applies_to_entity.boolean" CHECK (applies_to_entity IN (0, 1)),
  applies_to_user INTEGER NOT NULL DEFAULT 0 CONSTRAINT "configuration_type.applies_to_user.boolean" CHECK (applies_to_user IN (0, 1)),
  is_default INTEGER NOT NULL DEFAULT 0 CONSTRAINT "configuration_type.is_default.boolean" CHECK (is_default IN (0, 1)),  -- what is meant where no type is named
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE UNIQUE INDEX configuration_type_default ON configuration_type(is_default) WHERE is_default = 1;

-- One row is what is set of a family in one scope. Its earlier versions are in the audit log.
CREATE TABLE configuration (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  configuration_type_id INTEGER NOT NULL REFERENCES configuration_type(id),
  scope_type_id INTEGER NOT NULL REFERENCES scope_type(id),
  scope_id INTEGER,  -- NULL: the whole file
  organization_id INTEGER REFERENCES organization(id),  -- NULL: for all; at the level of the system its rows come after those for all
  config_data TEXT NOT NULL CONSTRAINT "configuration.config_data.json_object" CHECK (CASE WHEN json_valid(config_data) THEN json_type(config_data) = 'object' ELSE 0 END),  -- the keys this scope sets, no others
  config_metadata TEXT CONSTRAINT "configuration.config_metadata.json_object" CHECK (config_metadata IS NULL OR CASE WHEN json_valid(config_metadata) THEN json_type(config_metadata) = 'object' ELSE 0 END),  -- what is to be said of a key, by its name
  version INTEGER NOT NULL DEFAULT 1 CONSTRAINT "configuration.version.range" CHECK (version >= 1),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE UNIQUE INDEX configuration_active ON configuration(configuration_type_id, scope_type_id, COALESCE(scope_id, 0), COALESCE(organization_id, 0)) WHERE status_id = 1;
CREATE INDEX configuration_configuration_type ON configuration(configuration_type_id, scope_type_id, scope_id, organization_id);
CREATE INDEX configuration_scope ON configuration(scope_type_id, scope_id);
CREATE INDEX configuration_organization ON configuration(organization_id);

-- The data layer raises the version with every change; nobody takes it back.
CREATE TRIGGER configuration_version_bi BEFORE INSERT ON configuration BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|configuration|version|order|A version never goes down.') FROM configuration
  WHERE version > ifnull(NEW.version, 1) AND (id = NEW.id OR (status_id = 1 AND ifnull(NEW.status_id, 1) = 1 AND configuration_type_id = NEW.configuration_type_id
    AND scope_type_id = NEW.scope_type_id AND COALESCE(scope_id, 0) = COALESCE(NEW.scope_id, 0) AND COALESCE(organization_id, 0) = COALESCE(NEW.organization_id, 0)));
END;
CREATE TRIGGER configuration_version_bu BEFORE UPDATE OF version ON configuration WHEN ifnull(NEW.version, 1) < OLD.version BEGIN
  SELECT RAISE(ABORT, 'EK|configuration|version|order|A version never goes down.');
END;

CREATE TRIGGER configuration_scope_bi BEFORE INSERT ON configuration BEGIN
  SELECT RAISE(ABORT, 'EK|configuration|scope_type_id|scope|Settings of this type are not made at this level.')
  FROM configuration_type t, scope_type s WHERE t.id = NEW.configuration_type_id AND s.id = NEW.scope_type_id
    AND CASE s.table_name WHEN 'program' THEN t.applies_to_program WHEN 'producer' THEN t.applies_to_producer WHEN 'entity' THEN t.applies_to_entity WHEN 'user' THEN t.applies_to_user ELSE t.applies_to_system END = 0;
  SELECT RAISE(ABORT, 'EK|configuration|organization_id|organization|What this is set for belongs to another organization.')
  FROM scope_type s WHERE s.id = NEW.scope_type_id AND NEW.organization_id <> CASE s.table_name
    WHEN 'program' THEN (SELECT organization_id FROM program WHERE id = NEW.scope_id) WHEN 'producer' THEN (SELECT organization_id FROM producer WHERE id = NEW.scope_id)
    WHEN 'entity' THEN (SELECT organization_id FROM entity WHERE id = NEW.scope_id) WHEN 'user' THEN (SELECT organization_id FROM user WHERE id = NEW.scope_id) END;
END;
CREATE TRIGGER configuration_scope_bu BEFORE UPDATE OF configuration_type_id, scope_type_id, scope_id, organization_id ON configuration BEGIN
  SELECT RAISE(ABORT, 'EK|configuration|scope_type_id|scope|Settings of this type are not made at this level.')
  FROM configuration_type t, scope_type s WHERE t.id = NEW.configuration_type_id AND s.id = NEW.scope_type_id
    AND CASE s.table_name WHEN 'program' THEN t.applies_to_program WHEN 'producer' THEN t.applies_to_producer WHEN 'entity' THEN t.applies_to_entity WHEN 'user' THEN t.applies_to_user ELSE t.applies_to_system END = 0;
  SELECT RAISE(ABORT, 'EK|configuration|organization_id|organization|What this is set for belongs to another organization.')
  FROM scope_type s WHERE s.id = NEW.scope_type_id AND NEW.organization_id <> CASE s.table_name
    WHEN 'program' THEN (SELECT organization_id FROM program WHERE id = NEW.scope_id) WHEN 'producer' THEN (SELECT organization_id FROM producer WHERE id = NEW.scope_id)
    WHEN 'entity' THEN (SELECT organization_id FROM entity WHERE id = NEW.scope_id) WHEN 'user' THEN (SELECT organization_id FROM user WHERE id = NEW.scope_id) END;
END;

-- The other side: what something is set for stays with its organization.
CREATE TRIGGER program_configured_bi BEFORE INSERT ON program BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|program|organization_id|organization|Settings are made for it in its organization.')
  FROM scope_type s JOIN configuration c ON c.scope_type_id = s.id AND c.scope_id = NEW.id WHERE s.table_name = 'program' AND c.organization_id <> ifnull(NEW.organization_id, 1);
END;
CREATE TRIGGER program_configured_bu BEFORE UPDATE OF organization_id ON program WHEN NEW.organization_id IS NOT OLD.organization_id BEGIN
  SELECT RAISE(ABORT, 'EK|program|organization_id|organization|Settings are made for it in its organization.')
  FROM scope_type s JOIN configuration c ON c.scope_type_id = s.id AND c.scope_id = NEW.id WHERE s.table_name = 'program' AND c.organization_id <> ifnull(NEW.organization_id, 1);
END;
CREATE TRIGGER producer_configured_bi BEFORE INSERT ON producer BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|producer|organization_id|organization|Settings are made for it in its organization.')
  FROM scope_type s JOIN configuration c ON c.scope_type_id = s.id AND c.scope_id = NEW.id WHERE s.table_name = 'producer' AND c.organization_id <> ifnull(NEW.organization_id, 1);
END;
CREATE TRIGGER producer_configured_bu BEFORE UPDATE OF organization_id ON producer WHEN NEW.organization_id IS NOT OLD.organization_id BEGIN
  SELECT RAISE(ABORT, 'EK|producer|organization_id|organization|Settings are made for it in its organization.')
  FROM scope_type s JOIN configuration c ON c.scope_type_id = s.id AND c.scope_id = NEW.id WHERE s.table_name = 'producer' AND c.organization_id <> ifnull(NEW.organization_id, 1);
END;
CREATE TRIGGER entity_configured_bi BEFORE INSERT ON entity BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|entity|organization_id|organization|Settings are made for it in its organization.')
  FROM scope_type s JOIN configuration c ON c.scope_type_id = s.id AND c.scope_id = NEW.id WHERE s.table_name = 'entity' AND c.organization_id <> NEW.organization_id;
END;
CREATE TRIGGER entity_configured_bu BEFORE UPDATE OF organization_id ON entity WHEN NEW.organization_id IS NOT OLD.organization_id BEGIN
  SELECT RAISE(ABORT, 'EK|entity|organization_id|organization|Settings are made for it in its organization.')
  FROM scope_type s JOIN configuration c ON c.scope_type_id = s.id AND c.scope_id = NEW.id WHERE s.table_name = 'entity' AND c.organization_id <> NEW.organization_id;
END;
CREATE TRIGGER user_configured_bi BEFORE INSERT ON user BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|user|organization_id|organization|Settings are made for it in its organization.')
  FROM scope_type s JOIN configuration c ON c.scope_type_id = s.id AND c.scope_id = NEW.id WHERE s.table_name = 'user' AND c.organization_id <> NEW.organization_id;
END;
CREATE TRIGGER user_configured_bu BEFORE UPDATE OF organization_id ON user WHEN NEW.organization_id IS NOT OLD.organization_id BEGIN
  SELECT RAISE(ABORT, 'EK|user|organization_id|organization|Settings are made for it in its organization.')
  FROM scope_type s JOIN configuration c ON c.scope_type_id = s.id AND c.scope_id = NEW.id WHERE s.table_name = 'user' AND c.organization_id <> NEW.organization_id;
END;

-- A level cannot be taken from a type while something is set there.
CREATE TRIGGER configuration_type_scope_bi BEFORE INSERT ON configuration_type BEGIN
  SELECT RAISE(ABORT, 'EK|configuration_type|*|referenced|Settings of this type are made at a level it would no longer apply to.')
  FROM configuration c JOIN scope_type s ON s.id = c.scope_type_id WHERE c.configuration_type_id = NEW.id
    AND ifnull(CASE s.table_name WHEN 'program' THEN NEW.applies_to_program WHEN 'producer' THEN NEW.applies_to_producer WHEN 'entity' THEN NEW.applies_to_entity WHEN 'user' THEN NEW.applies_to_user ELSE NEW.applies_to_system END, 0) = 0;
END;
CREATE TRIGGER configuration_type_scope_bu BEFORE UPDATE OF applies_to_system, applies_to_program, applies_to_producer, applies_to_entity, applies_to_user ON configuration_type BEGIN
  SELECT RAISE(ABORT, 'EK|configuration_type|*|referenced|Settings of this type are made at a level it would no longer apply to.')
  FROM configuration c JOIN scope_type s ON s.id = c.scope_type_id WHERE c.configuration_type_id = NEW.id
    AND ifnull(CASE s.table_name WHEN 'program' THEN NEW.applies_to_program WHEN 'producer' THEN NEW.applies_to_producer WHEN 'entity' THEN NEW.applies_to_entity WHEN 'user' THEN NEW.applies_to_user ELSE NEW.applies_to_system END, 0) = 0;
END;

CREATE TRIGGER configuration_data_bi BEFORE INSERT ON configuration BEGIN
  SELECT RAISE(ABORT, 'EK|configuration|config_data|unique|A key stands twice in this document.')
  WHERE EXISTS (SELECT 1 FROM json_each(CASE WHEN json_valid(NEW.config_data) THEN NEW.config_data ELSE '{}' END) WHERE typeof(key) = 'text' GROUP BY key HAVING count(*) > 1);
  SELECT RAISE(ABORT, 'EK|configuration|config_data|secret|A setting is named like a secret. Secrets belong in the vault: edgekit vault set INTEGRATION KEY.')
  FROM json_tree(CASE WHEN json_valid(NEW.config_data) THEN NEW.config_data ELSE '{}' END) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
  SELECT RAISE(ABORT, 'EK|configuration|config_metadata|secret|A setting is named like a secret. Secrets belong in the vault: edgekit vault set INTEGRATION KEY.')
  FROM json_tree(CASE WHEN json_valid(NEW.config_metadata) THEN NEW.config_metadata ELSE '{}' END) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;
CREATE TRIGGER configuration_data_bu BEFORE UPDATE OF config_data, config_metadata ON configuration BEGIN
  SELECT RAISE(ABORT, 'EK|configuration|config_data|unique|A key stands twice in this document.')
  WHERE EXISTS (SELECT 1 FROM json_each(CASE WHEN json_valid(NEW.config_data) THEN NEW.config_data ELSE '{}' END) WHERE typeof(key) = 'text' GROUP BY key HAVING count(*) > 1);
  SELECT RAISE(ABORT, 'EK|configuration|config_data|secret|A setting is named like a secret. Secrets belong in the vault: edgekit vault set INTEGRATION KEY.')
  FROM json_tree(CASE WHEN json_valid(NEW.config_data) THEN NEW.config_data ELSE '{}' END) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
  SELECT RAISE(ABORT, 'EK|configuration|config_metadata|secret|A setting is named like a secret. Secrets belong in the vault: edgekit vault set INTEGRATION KEY.')
  FROM json_tree(CASE WHEN json_valid(NEW.config_metadata) THEN NEW.config_metadata ELSE '{}' END) WHERE lower(replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')) IN secret_name AND type NOT IN ('null', 'true', 'false')
    AND NOT (type = 'object' AND value GLOB '{"vault":"[A-Za-z]*"}' AND substr(value, 11, length(value) - 12) NOT GLOB '*[^A-Za-z0-9_]*');
END;

-- One row is one key of a document, its value as text.
CREATE VIEW v_configuration_item AS
SELECT c.id AS configuration_id, c.configuration_type_id, t.code AS configuration_type, i.key AS config_key,
  CASE WHEN i.type IN ('true', 'false') THEN i.type ELSE CAST(i.value AS TEXT) END AS config_value,
  (SELECT CASE WHEN m.type IN ('true', 'false', 'null') THEN m.type WHEN m.type = 'text' THEN json_quote(m.value) ELSE CAST(m.value AS TEXT) END FROM json_each(ifnull(c.config_metadata, '{}')) m WHERE m.key = i.key) AS config_metadata,
  c.scope_type_id, s.code AS scope, c.scope_id, c.organization_id, c.version, c.status_id, c.created_by, c.updated_by, c.created_at, c.updated_at
FROM configuration c
JOIN configuration_type t ON t.id = c.configuration_type_id
JOIN scope_type s ON s.id = c.scope_type_id
JOIN json_each(c.config_data) i;

-- One row is the value a key has for a program, or for an organization where no program is meant: that of the program, else of
-- its organization, of those above it, of everybody, of the schema's default; merged and locked as the schema says, as
-- `edgekit configuration get` has it.
CREATE VIEW v_effective_configuration AS
WITH RECURSIVE place(organization_id, program_id, upper_id, distance) AS (  -- upper_id: the organization itself, those above it, NULL for everybody
  SELECT id, NULL, id, 0 FROM organization
  UNION ALL SELECT organization_id, id, organization_id, 0 FROM program
  UNION ALL SELECT p.organization_id, p.program_id, o.parent_organization_id, p.distance + 1 FROM place p JOIN organization o ON o.id = p.upper_id
), said AS (  -- a value as JSON, and as text where it is read; the narrower the higher its rank, the defaults the lowest
  SELECT p.organization_id, p.program_id, c.configuration_type_id, i.key, i.type, i.value, c.id AS configuration_id, s.code AS scope, c.scope_id, s.hierarchy_level AS rank, p.distance
  FROM place p
  JOIN configuration c ON c.organization_id IS p.upper_id
  JOIN status cs ON cs.id = c.status_id AND cs.is_active = 1
  JOIN scope_type s ON s.id = c.scope_type_id AND (s.table_name IS NULL OR (s.table_name = 'program' AND c.scope_id = p.program_id))
  JOIN status ss ON ss.id = s.status_id AND ss.is_active = 1
  JOIN json_each(c.config_data) i
  WHERE NOT EXISTS (  -- of one scope one document counts: the highest version, and of a program the one of its organization
    SELECT 1 FROM configuration b JOIN status bs ON bs.id = b.status_id AND bs.is_active = 1
    WHERE b.configuration_type_id = c.configuration_type_id AND b.scope_type_id = c.scope_type_id AND b.scope_id IS c.scope_id
      AND CASE WHEN b.organization_id IS c.organization_id THEN (b.version, b.id) > (c.version, c.id) ELSE c.scope_id IS NOT NULL AND c.organization_id IS NULL END)
  UNION ALL
  SELECT p.organization_id, p.program_id, t.id, k.key, d.type, d.value, NULL, 'DEFAULT', NULL, 0, 0
  FROM place p JOIN configuration_type t JOIN json_each(t.schema_definition, '$.properties') k JOIN json_each(k.value) d ON d.key = 'default'
  WHERE p.distance = 0 AND k.type = 'object'
), item AS (
  SELECT x.*, t.code AS configuration_type, w.merge,
    CASE WHEN x.type IN ('object', 'array') THEN x.value WHEN x.type = 'text' THEN json_quote(x.value) WHEN x.type IN ('true', 'false', 'null') THEN x.type ELSE CAST(x.value AS TEXT) END AS json,
    row_number() OVER (PARTITION BY x.organization_id, x.program_id, x.configuration_type_id, x.key ORDER BY x.rank DESC, x.distance) AS down,
    CASE WHEN w.merge THEN count(*) OVER (PARTITION BY x.organization_id, x.program_id, x.configuration_type_id, x.key) END AS many
  FROM said x
  JOIN configuration_type t ON t.id = x.configuration_type_id
  JOIN status ts ON ts.id = t.status_id AND ts.is_active = 1
  LEFT JOIN (SELECT t.id, k.key, json_extract(k.value, '$."x-final"') AS final, CASE json_extract(k.value, '$."x-merge"') WHEN 'deep' THEN 1 WHEN 'append' THEN 2 END AS merge
    FROM configuration_type t JOIN json_each(t.schema_definition, '$.properties') k WHERE k.type = 'object' AND instr(k.value, '"x-')) w ON w.id = x.configuration_type_id AND w.key = x.key
  WHERE x.rank = 0 OR w.final IS NULL OR CASE w.final WHEN 'system' THEN x.scope_id IS NULL AND x.distance = (SELECT max(distance) FROM place p WHERE p.organization_id = x.organization_id AND p.program_id IS x.program_id)
    WHEN 'organization' THEN x.scope_id IS NULL ELSE 1 END
), merged AS (  -- from the broadest to the narrowest
  SELECT organization_id, program_id, configuration_type_id, key, many AS down, json FROM item WHERE merge AND down = many
  UNION ALL
  SELECT i.organization_id, i.program_id, i.configuration_type_id, i.key, i.down,
    CASE WHEN i.merge = 1 AND i.type = 'object' THEN json_patch(m.json, i.json)
      WHEN i.merge = 2 AND i.type = 'array' AND json_type(m.json) = 'array' THEN CASE WHEN m.json = '[]' THEN i.json WHEN i.json = '[]' THEN m.json ELSE substr(m.json, 1, length(m.json) - 1) || ',' || substr(i.json, 2) END
      ELSE i.json END
  FROM merged m JOIN item i ON i.down = m.down - 1 AND i.key = m.key AND i.configuration_type_id = m.configuration_type_id AND i.program_id IS m.program_id AND i.organization_id = m.organization_id
)
SELECT organization_id, program_id, configuration_type_id, configuration_type, key AS config_key, CASE WHEN type IN ('true', 'false') THEN type ELSE CAST(value AS TEXT) END AS config_value, configuration_id, scope, scope_id
FROM item WHERE down = 1 AND merge IS NULL
UNION ALL
SELECT i.organization_id, i.program_id, i.configuration_type_id, i.configuration_type, i.key, CASE WHEN json_type(m.json) IN ('true', 'false') THEN json_type(m.json) ELSE CAST(json_extract(m.json, '$') AS TEXT) END, i.configuration_id, i.scope, i.scope_id
FROM item i JOIN merged m ON m.down = 1 AND m.key = i.key AND m.configuration_type_id = i.configuration_type_id AND m.program_id IS i.program_id AND m.organization_id = i.organization_id
WHERE i.down = 1 AND i.merge;
