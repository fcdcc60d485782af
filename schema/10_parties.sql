-- Parties: the agency, its people, its programs and producers.

-- One row is an agency (the tenant). A file usually has one, with id 1: rows that name no organization belong to it.
CREATE TABLE organization (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "organization.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "organization.name.length" CHECK (length(name) BETWEEN 1 AND 200),
  parent_organization_id INTEGER REFERENCES organization(id) CONSTRAINT "organization.parent_organization_id.cycle" CHECK (parent_organization_id IS NOT id),
  license_tier_id INTEGER REFERENCES license_tier(id),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX organization_parent_organization ON organization(parent_organization_id);
CREATE INDEX organization_license_tier ON organization(license_tier_id);

CREATE TRIGGER organization_acyclic_bi BEFORE INSERT ON organization WHEN NEW.parent_organization_id IS NOT NULL BEGIN  -- by REPLACE
  WITH RECURSIVE ancestor(id) AS (
    SELECT NEW.parent_organization_id
    UNION SELECT o.parent_organization_id FROM organization o JOIN ancestor a ON o.id = a.id WHERE o.parent_organization_id IS NOT NULL
  )
  SELECT RAISE(ABORT, 'EK|organization|parent_organization_id|cycle|An organization cannot be its own ancestor.') FROM ancestor WHERE id = NEW.id;
END;
CREATE TRIGGER organization_acyclic_bu BEFORE UPDATE OF parent_organization_id ON organization WHEN NEW.parent_organization_id IS NOT NULL BEGIN
  WITH RECURSIVE ancestor(id) AS (
    SELECT NEW.parent_organization_id
    UNION SELECT o.parent_organization_id FROM organization o JOIN ancestor a ON o.id = a.id WHERE o.parent_organization_id IS NOT NULL
  )
  SELECT RAISE(ABORT, 'EK|organization|parent_organization_id|cycle|An organization cannot be its own ancestor.') FROM ancestor WHERE id = NEW.id;
END;

-- One row is a person or program that changes things. Id 1 is the system user. Users are retired, never deleted.
CREATE TABLE user (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  username TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "user.username.length" CHECK (length(username) BETWEEN 1 AND 100),
  email TEXT CONSTRAINT "user.email.length" CHECK (length(email) <= 254),
  display_name TEXT CONSTRAINT "user.display_name.length" CHECK (length(display_name) <= 200),
  password_hash TEXT,  -- of a memory-hard hash; never copied into the log
  organization_id INTEGER REFERENCES organization(id),  -- NULL: belongs to the installation
  role_id INTEGER REFERENCES role(id),
  license_tier_id INTEGER REFERENCES license_tier(id),
  last_login_at TEXT CONSTRAINT "user.last_login_at.time" CHECK (last_login_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', last_login_at, '+0 days') IS last_login_at),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX user_organization ON user(organization_id);
CREATE INDEX user_role ON user(role_id);
CREATE INDEX user_license_tier ON user(license_tier_id);

CREATE TRIGGER user_kept_bd BEFORE DELETE ON user BEGIN
  SELECT RAISE(ABORT, 'EK|user|id|protected|Users are retired (another status), never deleted.');
END;

CREATE TRIGGER user_system_kept_bi BEFORE INSERT ON user WHEN (NEW.id = 1 OR NEW.username = 'system') AND EXISTS (SELECT 1 FROM user WHERE id = 1) BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|user|id|protected|User 1 is the system user and stays so.');
END;
CREATE TRIGGER user_system_kept_bu BEFORE UPDATE OF username, status_id ON user WHEN OLD.id = 1 AND (NEW.username IS NOT OLD.username OR NEW.status_id IS NOT 1) BEGIN
  SELECT RAISE(ABORT, 'EK|user|id|protected|User 1 is the system user and stays so.');
END;

-- One row is a line of business with its own rules, such as AUTO.
CREATE TABLE program (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  organization_id INTEGER NOT NULL DEFAULT 1 REFERENCES organization(id),
  code TEXT NOT NULL COLLATE NOCASE CONSTRAINT "program.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "program.name.length" CHECK (length(name) BETWEEN 1 AND 200),
  description TEXT,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "program.code.unique" UNIQUE (organization_id, code)
) STRICT;

-- One row is somebody who sells: an agent, a broker, an office.
CREATE TABLE producer (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  organization_id INTEGER NOT NULL DEFAULT 1 REFERENCES organization(id),
  code TEXT NOT NULL COLLATE NOCASE CONSTRAINT "producer.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "producer.name.length" CHECK (length(name) BETWEEN 1 AND 200),
  program_id INTEGER REFERENCES program(id),  -- the program it mainly sells
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "producer.code.unique" UNIQUE (organization_id, code)
) STRICT;
CREATE INDEX producer_program ON producer(program_id);
