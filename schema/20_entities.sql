-- Entities: the outside parties and services an agency deals with, and the type rows that name a table a reference may point to.

-- One row is a kind of entity type.
CREATE TABLE entity_category (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "entity_category.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "entity_category.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  sort_order INTEGER NOT NULL DEFAULT 0,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

-- One row is a type of entity; `metadata_schema` is the JSON Schema its entities follow.
CREATE TABLE entity_type (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "entity_type.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "entity_type.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  category_id INTEGER NOT NULL REFERENCES entity_category(id),
  metadata_schema TEXT NOT NULL CONSTRAINT "entity_type.metadata_schema.json_object" CHECK (CASE WHEN json_valid(metadata_schema) THEN json_type(metadata_schema) = 'object' ELSE 0 END),
  icon TEXT CONSTRAINT "entity_type.icon.length" CHECK (length(icon) <= 100),
  color TEXT CONSTRAINT "entity_type.color.format" CHECK (color GLOB '#[0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f]'),
  ui_component TEXT CONSTRAINT "entity_type.ui_component.length" CHECK (length(ui_component) <= 100),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX entity_type_category ON entity_type(category_id);

-- One row is an outside party or service.
CREATE TABLE entity (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "entity.code.length" CHECK (length(code) BETWEEN 1 AND 100),
  name TEXT NOT NULL CONSTRAINT "entity.name.length" CHECK (length(name) BETWEEN 1 AND 200),
  entity_type_id INTEGER NOT NULL REFERENCES entity_type(id),
  organization_id INTEGER REFERENCES organization(id),  -- NULL: shared by all
  program_id INTEGER REFERENCES program(id),
  producer_id INTEGER REFERENCES producer(id),
  metadata TEXT CONSTRAINT "entity.metadata.json_object" CHECK (metadata IS NULL OR CASE WHEN json_valid(metadata) THEN json_type(metadata) = 'object' ELSE 0 END),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX entity_entity_type ON entity(entity_type_id);
CREATE INDEX entity_organization ON entity(organization_id);
CREATE INDEX entity_program ON entity(program_id);
CREATE INDEX entity_producer ON entity(producer_id);

-- What is set for a program or producer reaches its entities: they must not be those of another organization.
CREATE TRIGGER entity_organization_bi BEFORE INSERT ON entity WHEN NEW.organization_id IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'EK|entity|program_id|organization|The program belongs to another organization.') FROM program WHERE id = NEW.program_id AND organization_id <> NEW.organization_id;
  SELECT RAISE(ABORT, 'EK|entity|producer_id|organization|The producer belongs to another organization.') FROM producer WHERE id = NEW.producer_id AND organization_id <> NEW.organization_id;
END;
CREATE TRIGGER entity_organization_bu BEFORE UPDATE OF organization_id, program_id, producer_id ON entity WHEN NEW.organization_id IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'EK|entity|program_id|organization|The program belongs to another organization.') FROM program WHERE id = NEW.program_id AND organization_id <> NEW.organization_id;
  SELECT RAISE(ABORT, 'EK|entity|producer_id|organization|The producer belongs to another organization.') FROM producer WHERE id = NEW.producer_id AND organization_id <> NEW.organization_id;
END;

-- One row names a table that a party reference may point to.
CREATE TABLE entity_reference_type (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "entity_reference_type.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "entity_reference_type.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  table_name TEXT NOT NULL CONSTRAINT "entity_reference_type.table_name.choice" CHECK (table_name IN ('system', 'user', 'entity', 'program', 'producer', 'organization', 'insured')),  -- the table an id of this type is looked up in
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
