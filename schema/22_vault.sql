-- Vault: the keys that seal secrets, themselves sealed by a master key that is never in this file, and who used what.
--
-- A sealed value sits in a column named *_ciphertext of the row that owns it; its associated data names that row by uuid.

-- One row is one generation of a key of this file. It is retired, never deleted: a backup may need it.
CREATE TABLE encryption_key (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "encryption_key.uuid.length" CHECK (length(uuid) = 36),  -- binds the wrapped key to this row
  purpose TEXT NOT NULL DEFAULT 'data' CONSTRAINT "encryption_key.purpose.choice" CHECK (purpose IN ('data', 'signing', 'lookup')),  -- data: seals the *_ciphertext columns; signing: signs the seals of the audit log; lookup: keys the hashes a sealed value is found by
  wrapped_key_ciphertext BLOB NOT NULL CONSTRAINT "encryption_key.wrapped_key_ciphertext.length" CHECK (length(wrapped_key_ciphertext) BETWEEN 65 AND 1024),
  master_fingerprint TEXT NOT NULL CONSTRAINT "encryption_key.master_fingerprint.length" CHECK (length(master_fingerprint) BETWEEN 9 AND 50),  -- the name of the master key that opens it
  kdf TEXT CONSTRAINT "encryption_key.kdf.json_object" CHECK (kdf IS NULL OR CASE WHEN json_valid(kdf) THEN json_type(kdf) = 'object' ELSE 0 END),  -- how a passphrase becomes the master key; NULL: the master key is random
  activated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CONSTRAINT "encryption_key.activated_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', activated_at, '+0 days') IS activated_at),
  retired_at TEXT CONSTRAINT "encryption_key.retired_at.time" CHECK (retired_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', retired_at, '+0 days') IS retired_at),  -- NULL: seals what is written now
  recovery_kit_at TEXT CONSTRAINT "encryption_key.recovery_kit_at.time" CHECK (recovery_kit_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', recovery_kit_at, '+0 days') IS recovery_kit_at),  -- when the newest recovery kit that opens it was made; NULL: none does
  drilled_at TEXT CONSTRAINT "encryption_key.drilled_at.time" CHECK (drilled_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', drilled_at, '+0 days') IS drilled_at),  -- when a recovery kit last proved that it opens it
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "encryption_key.retired_at.order" CHECK (retired_at IS NULL OR retired_at >= activated_at)
) STRICT;
CREATE UNIQUE INDEX encryption_key_active ON encryption_key(purpose) WHERE retired_at IS NULL;

CREATE TRIGGER encryption_key_kept_bd BEFORE DELETE ON encryption_key BEGIN
  SELECT RAISE(ABORT, 'EK|encryption_key|id|protected|A key is retired, never deleted: a backup may need it.');
END;
-- REPLACE deletes without asking the trigger above where recursive_triggers is off.
CREATE TRIGGER encryption_key_kept_bi BEFORE INSERT ON encryption_key BEGIN
  SELECT RAISE(ABORT, 'EK|encryption_key|id|protected|A key is retired, never replaced: secrets would be lost.')
  WHERE EXISTS (SELECT 1 FROM encryption_key WHERE id = NEW.id OR uuid = NEW.uuid OR (retired_at IS NULL AND NEW.retired_at IS NULL AND purpose = NEW.purpose));
END;
CREATE TRIGGER encryption_key_uuid_bu BEFORE UPDATE OF id, uuid ON encryption_key WHEN NEW.id IS NOT OLD.id OR NEW.uuid IS NOT OLD.uuid BEGIN
  SELECT RAISE(ABORT, 'EK|encryption_key|uuid|protected|The uuid of a key stays: the key is sealed to it.');
END;
CREATE TRIGGER encryption_key_retired_bu BEFORE UPDATE OF retired_at ON encryption_key WHEN OLD.retired_at IS NOT NULL AND NEW.retired_at IS NOT OLD.retired_at BEGIN
  SELECT RAISE(ABORT, 'EK|encryption_key|retired_at|final|A retired key stays retired.');
END;

-- One row is one use of a secret: who opened what, for what. Never the value. Rows are only added.
CREATE TABLE vault_use_log (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  used_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CONSTRAINT "vault_use_log.used_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', used_at, '+0 days') IS used_at),
  actor TEXT NOT NULL CONSTRAINT "vault_use_log.actor.length" CHECK (length(actor) BETWEEN 1 AND 100),
  place TEXT NOT NULL CONSTRAINT "vault_use_log.place.length" CHECK (length(place) BETWEEN 1 AND 200),  -- table/uuid/column
  purpose TEXT NOT NULL CONSTRAINT "vault_use_log.purpose.length" CHECK (length(purpose) BETWEEN 1 AND 200),
  process TEXT NOT NULL CONSTRAINT "vault_use_log.process.length" CHECK (length(process) BETWEEN 1 AND 200),  -- program[process id]
  correlation_id TEXT NOT NULL CONSTRAINT "vault_use_log.correlation_id.length" CHECK (length(correlation_id) BETWEEN 1 AND 100)
) STRICT;
CREATE INDEX vault_use_log_place ON vault_use_log(place);
