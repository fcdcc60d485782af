-- Reference: value sets that several words share. A person may add a value at run time; codes are UPPER_SNAKE.

-- One row is a role a user may have.
CREATE TABLE role (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "role.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "role.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

-- One row is a tier of the product, the higher `tier_rank` including the lower ones.
CREATE TABLE license_tier (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "license_tier.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "license_tier.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  tier_rank INTEGER NOT NULL UNIQUE CONSTRAINT "license_tier.tier_rank.range" CHECK (tier_rank >= 0),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

-- One row is a way in which a business row may matter to another: primary, related, referenced.
CREATE TABLE relationship_type (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "relationship_type.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "relationship_type.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

-- Columns default to RELATED by its id, and what a communication is mainly about is found by that of PRIMARY.
CREATE TRIGGER relationship_type_kept_bi BEFORE INSERT ON relationship_type
WHEN (NEW.id IN (1, 2) OR NEW.code IN ('PRIMARY', 'RELATED')) AND EXISTS (SELECT 1 FROM relationship_type WHERE id = 2) BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|relationship_type|id|protected|Relationship types 1 and 2 are PRIMARY and RELATED and stay so.');
END;
CREATE TRIGGER relationship_type_kept_bu BEFORE UPDATE ON relationship_type
WHEN CASE WHEN OLD.id IN (1, 2) THEN NEW.id IS NOT OLD.id OR NEW.code IS NOT OLD.code ELSE NEW.id IN (1, 2) OR NEW.code IN ('PRIMARY', 'RELATED') END BEGIN
  SELECT RAISE(ABORT, 'EK|relationship_type|id|protected|Relationship types 1 and 2 are PRIMARY and RELATED and stay so.');
END;
CREATE TRIGGER relationship_type_kept_bd BEFORE DELETE ON relationship_type WHEN OLD.id IN (1, 2) BEGIN
  SELECT RAISE(ABORT, 'EK|relationship_type|id|protected|Relationship types 1 and 2 are PRIMARY and RELATED and stay so.');
END;

-- One row is a direction data may travel in, seen from here.
CREATE TABLE communication_direction (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "communication_direction.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "communication_direction.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

-- Mappings default to it by its id.
CREATE TRIGGER communication_direction_kept_bi BEFORE INSERT ON communication_direction WHEN (NEW.id = 1 OR NEW.code = 'INBOUND') AND EXISTS (SELECT 1 FROM communication_direction WHERE id = 1) BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|communication_direction|id|protected|Communication direction 1 is INBOUND and stays so.');
END;
CREATE TRIGGER communication_direction_kept_bu BEFORE UPDATE ON communication_direction
WHEN CASE WHEN OLD.id = 1 THEN NEW.id IS NOT 1 OR NEW.code IS NOT 'INBOUND' ELSE NEW.id = 1 OR NEW.code = 'INBOUND' END BEGIN
  SELECT RAISE(ABORT, 'EK|communication_direction|id|protected|Communication direction 1 is INBOUND and stays so.');
END;
CREATE TRIGGER communication_direction_kept_bd BEFORE DELETE ON communication_direction WHEN OLD.id = 1 BEGIN
  SELECT RAISE(ABORT, 'EK|communication_direction|id|protected|Communication direction 1 is INBOUND and stays so.');
END;

-- One row is a level at which something may be set. The narrower level (the higher number) wins over the wider ones.
CREATE TABLE scope_type (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "scope_type.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "scope_type.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  hierarchy_level INTEGER NOT NULL UNIQUE CONSTRAINT "scope_type.hierarchy_level.range" CHECK (hierarchy_level >= 1),
  table_name TEXT CONSTRAINT "scope_type.table_name.choice" CHECK (table_name IN ('program', 'producer', 'entity', 'user')),  -- where `scope_id` points to; NULL: the whole file, without an id
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
