-- Core: this installation, its life-cycle states, the change, and the log every other word is written into.
--
-- Times are UTC, ISO 8601 with milliseconds and Z. `id`s are never reused. A trigger that refuses says
-- EK|table|column|code|sentence; a CHECK is named "table.column.code".

-- One row is a life-cycle state a row of any other table may be in. Id 1 is ACTIVE and stays so: partial indexes rely on it.
CREATE TABLE status (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "status.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "status.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  is_active INTEGER NOT NULL DEFAULT 0 CONSTRAINT "status.is_active.boolean" CHECK (is_active IN (0, 1)),  -- do rows in this state count as active?
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

CREATE TRIGGER status_active_kept_bi BEFORE INSERT ON status WHEN (NEW.id = 1 OR NEW.code = 'ACTIVE') AND EXISTS (SELECT 1 FROM status WHERE id = 1) BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|status|id|protected|Status 1 is ACTIVE and stays so.');
END;
CREATE TRIGGER status_active_kept_bu BEFORE UPDATE ON status
WHEN CASE WHEN OLD.id = 1 THEN NEW.id IS NOT 1 OR NEW.code IS NOT 'ACTIVE' OR NEW.is_active IS NOT 1 ELSE NEW.id = 1 OR NEW.code = 'ACTIVE' END BEGIN
  SELECT RAISE(ABORT, 'EK|status|id|protected|Status 1 is ACTIVE and stays so.');
END;
CREATE TRIGGER status_kept_bd BEFORE DELETE ON status BEGIN  -- by REPLACE too: the generated triggers make it a DELETE
  SELECT RAISE(ABORT, 'EK|status|id|protected|States are never deleted: what was ever in one stays explained.');
END;

-- One row is a kind of place the file may be used in.
CREATE TABLE environment (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "environment.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "environment.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

-- Secrets default to it by its id.
CREATE TRIGGER environment_kept_bi BEFORE INSERT ON environment WHEN (NEW.id = 1 OR NEW.code = 'PRODUCTION') AND EXISTS (SELECT 1 FROM environment WHERE id = 1) BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|environment|id|protected|Environment 1 is PRODUCTION and stays so.');
END;
CREATE TRIGGER environment_kept_bu BEFORE UPDATE ON environment
WHEN CASE WHEN OLD.id = 1 THEN NEW.id IS NOT 1 OR NEW.code IS NOT 'PRODUCTION' ELSE NEW.id = 1 OR NEW.code = 'PRODUCTION' END BEGIN
  SELECT RAISE(ABORT, 'EK|environment|id|protected|Environment 1 is PRODUCTION and stays so.');
END;
CREATE TRIGGER environment_kept_bd BEFORE DELETE ON environment WHEN OLD.id = 1 BEGIN
  SELECT RAISE(ABORT, 'EK|environment|id|protected|Environment 1 is PRODUCTION and stays so.');
END;

-- The one row is this installation: its identity across machines is `uuid`.
CREATE TABLE system (
  id INTEGER PRIMARY KEY CONSTRAINT "system.id.single" CHECK (id = 1),
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "system.uuid.length" CHECK (length(uuid) = 36),
  name TEXT NOT NULL CONSTRAINT "system.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  environment_id INTEGER NOT NULL REFERENCES environment(id),
  durability TEXT NOT NULL DEFAULT 'normal' CONSTRAINT "system.durability.choice" CHECK (durability IN ('normal', 'full')),  -- normal: a power cut may cost the last commits, never the file; full: every commit survives a power cut
  log_retention_years INTEGER CONSTRAINT "system.log_retention_years.range" CHECK (log_retention_years BETWEEN 0 AND 100),  -- calendar years of the log a prune keeps besides this one; NULL: say so each time
  clock_at TEXT CONSTRAINT "system.clock_at.time" CHECK (clock_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', clock_at, '+0 days') IS clock_at),  -- the latest time this file has seen, within an hour: licences are judged no earlier; NULL: it has none
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX system_environment ON system(environment_id);

-- Peers, bundles and secrets know this file by its uuid: only a change of ours, which tells them, may give it another.
CREATE TRIGGER system_uuid_bi BEFORE INSERT ON system WHEN EXISTS (SELECT 1 FROM system WHERE uuid IS NOT NEW.uuid) BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|system|uuid|protected|The uuid of this file stays: others know the file by it.');
END;
CREATE TRIGGER system_uuid_bu BEFORE UPDATE OF uuid ON system WHEN NEW.uuid IS NOT OLD.uuid AND (SELECT open_gate FROM audit_now) IS NULL BEGIN
  SELECT RAISE(ABORT, 'EK|system|uuid|protected|The uuid of this file stays: others know the file by it.');
END;
-- A clock set back must not bring an expired licence back.
CREATE TRIGGER system_clock_bi BEFORE INSERT ON system WHEN EXISTS (SELECT 1 FROM system WHERE clock_at IS NOT NEW.clock_at) BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|system|clock_at|protected|The clock of this file only goes on: licences are judged by it.');
END;
CREATE TRIGGER system_clock_bu BEFORE UPDATE OF clock_at ON system WHEN OLD.clock_at IS NOT NULL AND ifnull(NEW.clock_at, '') < OLD.clock_at AND (SELECT open_gate FROM audit_now) IS NULL BEGIN
  SELECT RAISE(ABORT, 'EK|system|clock_at|protected|The clock of this file only goes on: licences are judged by it.');
END;
CREATE TRIGGER system_kept_bd BEFORE DELETE ON system BEGIN
  SELECT RAISE(ABORT, 'EK|system|id|protected|The row of this installation stays: the file cannot be opened without it.');
END;

-- One row is a step the schema of this file has taken.
CREATE TABLE schema_migration (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  sha256 TEXT NOT NULL CONSTRAINT "schema_migration.sha256.length" CHECK (length(sha256) = 64),
  app_version TEXT NOT NULL,
  applied_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

-- One row is a table of the user's own that is audited and verified like ours.
CREATE TABLE tracked_table (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "tracked_table.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  create_sql TEXT NOT NULL,  -- the CREATE TABLE and CREATE INDEX statements verify compares with
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

-- One row is a warning about a row that was accepted all the same.
CREATE TABLE validation_message (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  table_name TEXT NOT NULL,
  record_key TEXT NOT NULL,
  code TEXT NOT NULL,
  message TEXT NOT NULL,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX validation_message_record ON validation_message(table_name, record_key);

-- One row is a backup of this file: where it was put, and when it was last opened and found whole.
CREATE TABLE backup (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  path TEXT NOT NULL CONSTRAINT "backup.path.length" CHECK (length(path) BETWEEN 1 AND 4096),
  origin TEXT NOT NULL CONSTRAINT "backup.origin.choice" CHECK (origin IN ('daily', 'manual')),  -- daily: deleted when enough came after it; manual: never deleted
  is_encrypted INTEGER NOT NULL CONSTRAINT "backup.is_encrypted.boolean" CHECK (is_encrypted IN (0, 1)),
  bytes INTEGER NOT NULL CONSTRAINT "backup.bytes.range" CHECK (bytes >= 1),
  sha256 TEXT NOT NULL CONSTRAINT "backup.sha256.length" CHECK (length(sha256) = 64),  -- of the archive
  made_at TEXT NOT NULL CONSTRAINT "backup.made_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', made_at, '+0 days') IS made_at),
  verified_at TEXT NOT NULL CONSTRAINT "backup.verified_at.time" CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', verified_at, '+0 days') IS verified_at),
  pruned_at TEXT CONSTRAINT "backup.pruned_at.time" CHECK (pruned_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', pruned_at, '+0 days') IS pruned_at)  -- when it was deleted to make room
) STRICT;

-- One row is something to be done later: a run, a delivery, a step, a bundle. `kind` says who does it. A crash leaves it where it was.
CREATE TABLE job (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "job.uuid.length" CHECK (length(uuid) = 36),
  kind TEXT NOT NULL CONSTRAINT "job.kind.length" CHECK (length(kind) BETWEEN 1 AND 100),  -- the handler a word has registered
  payload TEXT NOT NULL DEFAULT '{}' CONSTRAINT "job.payload.json_object" CHECK (CASE WHEN json_valid(payload) THEN json_type(payload) = 'object' ELSE 0 END),  -- what the handler is given
  job_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "job.job_status.choice" CHECK (job_status IN ('pending', 'running', 'completed', 'failed', 'cancelled', 'interrupted')),  -- pending: waits for its time; running: has a living runner; completed: done; failed: given up after the last attempt; cancelled: by a person; interrupted: its process died, it is to be taken up again
  run_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CONSTRAINT "job.run_at.time" CHECK (run_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', run_at, '+0 days') IS run_at),  -- not before
  priority INTEGER NOT NULL DEFAULT 5 CONSTRAINT "job.priority.range" CHECK (priority BETWEEN 0 AND 9),  -- of what is due, 0 goes first
  attempts INTEGER NOT NULL DEFAULT 0 CONSTRAINT "job.attempts.range" CHECK (attempts >= 0),
  max_attempts INTEGER NOT NULL DEFAULT 1 CONSTRAINT "job.max_attempts.range" CHECK (max_attempts >= 1),
  timeout_seconds INTEGER CONSTRAINT "job.timeout_seconds.range" CHECK (timeout_seconds BETWEEN 1 AND 604800),  -- of one attempt, which is stopped then; NULL: as its kind says
  cancel_requested_at TEXT CONSTRAINT "job.cancel_requested_at.time" CHECK (cancel_requested_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', cancel_requested_at, '+0 days') IS cancel_requested_at),  -- whoever runs it stops it then
  runner_id TEXT CONSTRAINT "job.runner_id.length" CHECK (length(runner_id) <= 100),  -- the process that may write for it
  claimed_at TEXT CONSTRAINT "job.claimed_at.time" CHECK (claimed_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', claimed_at, '+0 days') IS claimed_at),
  lease_ends_at TEXT CONSTRAINT "job.lease_ends_at.time" CHECK (lease_ends_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', lease_ends_at, '+0 days') IS lease_ends_at),  -- a runner that has said nothing by then has lost it
  ended_at TEXT CONSTRAINT "job.ended_at.time" CHECK (ended_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', ended_at, '+0 days') IS ended_at),
  dedupe_key TEXT CONSTRAINT "job.dedupe_key.length" CHECK (length(dedupe_key) BETWEEN 1 AND 200),  -- while a job with it is open, there is no other of its kind
  correlation_id TEXT NOT NULL CONSTRAINT "job.correlation_id.length" CHECK (length(correlation_id) BETWEEN 1 AND 100),
  error_code TEXT CONSTRAINT "job.error_code.length" CHECK (length(error_code) <= 50),
  error_message TEXT,
  result TEXT CONSTRAINT "job.result.json_object" CHECK (result IS NULL OR CASE WHEN json_valid(result) THEN json_type(result) = 'object' ELSE 0 END),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "job.runner_id.required" CHECK (job_status <> 'running' OR (runner_id IS NOT NULL AND claimed_at IS NOT NULL)),
  CONSTRAINT "job.ended_at.required" CHECK ((ended_at IS NULL) = (job_status IN ('pending', 'running'))),
  CONSTRAINT "job.error_message.required" CHECK (job_status <> 'failed' OR error_message IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX job_dedupe ON job(kind, dedupe_key) WHERE dedupe_key IS NOT NULL AND job_status IN ('pending', 'running', 'interrupted');
CREATE INDEX job_due ON job(priority, run_at, id, kind) WHERE job_status = 'pending';
CREATE INDEX job_running ON job(lease_ends_at) WHERE job_status = 'running';
CREATE INDEX job_correlation ON job(correlation_id);

CREATE TRIGGER job_uuid_bu BEFORE UPDATE OF uuid ON job WHEN NEW.uuid IS NOT OLD.uuid BEGIN
  SELECT RAISE(ABORT, 'EK|job|uuid|protected|The uuid of a job stays: what it did is known by it.');
END;
-- Of the triggers that run for every row, the WHEN alone lets the common case pass, and ways are sought in a text: a list
-- of more than two values would be made into a table at each firing. NEW.id is -1 while SQLite has yet to choose it.
CREATE TRIGGER job_transition_bi BEFORE INSERT ON job
WHEN NEW.id <> -1 OR EXISTS (SELECT 1 FROM job WHERE uuid = NEW.uuid) BEGIN  -- by REPLACE
  SELECT CASE WHEN job_status IN ('completed', 'failed', 'cancelled') THEN RAISE(ABORT, 'EK|job|job_status|final|A job that has ended does not change its state again.')
    ELSE RAISE(ABORT, 'EK|job|job_status|transition|A job does not go from its state to this one.') END
  FROM job WHERE (id = NEW.id OR uuid = NEW.uuid) AND job_status <> ifnull(NEW.job_status, 'pending')
    AND instr(' pending>running pending>cancelled running>pending running>completed running>failed running>cancelled running>interrupted interrupted>pending interrupted>running interrupted>failed interrupted>cancelled ', ' ' || job_status || '>' || ifnull(NEW.job_status, 'pending') || ' ') = 0;
END;
CREATE TRIGGER job_transition_bu BEFORE UPDATE OF job_status ON job
WHEN OLD.job_status <> ifnull(NEW.job_status, 'pending') AND instr(' pending>running pending>cancelled running>pending running>completed running>failed running>cancelled running>interrupted interrupted>pending interrupted>running interrupted>failed interrupted>cancelled ', ' ' || OLD.job_status || '>' || ifnull(NEW.job_status, 'pending') || ' ') = 0 BEGIN
  SELECT CASE WHEN OLD.job_status IN ('completed', 'failed', 'cancelled') THEN RAISE(ABORT, 'EK|job|job_status|final|A job that has ended does not change its state again.')
    ELSE RAISE(ABORT, 'EK|job|job_status|transition|A job does not go from its state to this one.') END;
END;

-- The audit log. One `audit_transaction` is one change: who, why, when. The last one *is* the open change while its
-- gate is set; the gate is a deferred reference to a row that cannot exist, so no commit leaves it set. A write by any
-- other tool makes its own row with actor NULL and reason 'direct'.

-- The one row is what no open change may refer to when it commits.
CREATE TABLE audit_gate (id INTEGER PRIMARY KEY CHECK (id = 0)) STRICT;
INSERT INTO audit_gate VALUES (0);

-- One row is one change: who, why and when; one with its gate set is the change that is open.
CREATE TABLE audit_transaction (
  id INTEGER PRIMARY KEY CHECK (id > 0),  -- SQLite chooses no other; -1 would get past the trigger below
  open_gate INTEGER REFERENCES audit_gate(id) DEFERRABLE INITIALLY DEFERRED,
  actor TEXT,
  correlation_id TEXT,
  reason TEXT,
  performed_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

-- One row names a table whose changes are logged, by the short id the log uses. Ids of a user's own tables start at 1000.
CREATE TABLE audit_table (id INTEGER PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE UNIQUE) STRICT;

-- One row is one changed row: I(nsert), U(pdate), D(elete), S(chema). An insert is logged by key alone, an update keeps
-- {"column": [old, new]} of what changed, a delete keeps the old row, so that any row can be rebuilt as of any moment.
-- No constraint here may fail when a trigger writes: an outer OR IGNORE would drop the row silently.
CREATE TABLE audit_log (
  seq INTEGER PRIMARY KEY CHECK (seq > 0),  -- SQLite chooses no other; -1 would get past the trigger below
  txn_id INTEGER,
  table_id INTEGER,
  record_key ANY,
  action TEXT,
  changes TEXT
) STRICT;
-- An insert is not indexed: most entries are inserts, and blame alone looks for one. Every record that ever was is a
-- live row or has its deletion here.
CREATE INDEX audit_log_record ON audit_log(table_id, record_key) WHERE action <> 'I';

-- What the generated triggers ask, in one place: each of them is parsed whenever a file is opened.
-- The newest change: a writer outside of ours finds its gate empty.
CREATE VIEW audit_now AS SELECT id, open_gate FROM audit_transaction ORDER BY id DESC LIMIT 1;
-- The newest entry, and the `updated_at` it gave its row.
CREATE VIEW audit_newest AS
SELECT table_id AS of_table, record_key AS of_key, json_extract(changes, '$.updated_at[1]') AS touched_at FROM audit_log ORDER BY seq DESC LIMIT 1;

-- What an update writes through where rows are few and written by hand: `columns` names those of `old` and `new`, JSON
-- arrays of what the row was and is, without `updated_at`. Its text is short and it takes longer to run; the tables that
-- are written in bulk compare column by column. The texts are compared and not what they say, so that nothing is lost.
CREATE VIEW audit_change AS
SELECT NULL AS table_id, NULL AS record_key, NULL AS columns, NULL AS old, NULL AS new, NULL AS was_updated_at, NULL AS updated_at WHERE 0;
CREATE TRIGGER audit_change_ii INSTEAD OF INSERT ON audit_change
WHEN NEW.updated_at IS NEW.was_updated_at  -- else it may be the touch that follows an entry
  OR (SELECT touched_at FROM audit_newest WHERE of_table = NEW.table_id AND of_key = NEW.record_key) IS NOT NEW.updated_at BEGIN
  INSERT INTO audit_log VALUES (NULL, (SELECT id FROM audit_now), NEW.table_id, NEW.record_key, 'U', (
    SELECT iif(count(*) OR NEW.updated_at IS NOT NEW.was_updated_at, json_patch(json_group_object(value, json_array(NEW.old -> fullkey, NEW.new -> fullkey)),
      json_object('updated_at', json_array(NEW.was_updated_at, iif(NEW.updated_at IS NEW.was_updated_at, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), NEW.updated_at)))), '{}')
    FROM json_each(NEW.columns) WHERE (NEW.old -> fullkey) IS NOT (NEW.new -> fullkey)));
END;

-- What a tool outside a change of ours writes through first: it opens that tool's own row of `audit_transaction`, and holds
-- the columns all tables share to what they refer to. A NULL is not looked at.
CREATE VIEW audit_direct AS
SELECT NULL AS status_id, NULL AS created_by, NULL AS updated_by, NULL AS created_at, NULL AS updated_at WHERE 0;
CREATE TRIGGER audit_direct_ii INSTEAD OF INSERT ON audit_direct BEGIN
  INSERT INTO audit_transaction(reason, performed_at) SELECT 'direct', strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
  WHERE NOT EXISTS (
    SELECT 1 FROM audit_transaction WHERE id = (SELECT id FROM audit_transaction ORDER BY id DESC LIMIT 1)
      AND reason = 'direct' AND actor IS NULL AND performed_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
  );
  SELECT CASE
    WHEN strftime('%Y-%m-%dT%H:%M:%fZ', NEW.created_at, '+0 days') IS NOT NEW.created_at
      THEN RAISE(ABORT, 'EK|*|created_at|time|created_at must be a UTC time such as 2026-01-31T09:05:00.000Z.')
    WHEN strftime('%Y-%m-%dT%H:%M:%fZ', NEW.updated_at, '+0 days') IS NOT NEW.updated_at
      THEN RAISE(ABORT, 'EK|*|updated_at|time|updated_at must be a UTC time such as 2026-01-31T09:05:00.000Z.')
    WHEN NEW.status_id NOT NULL AND NEW.status_id NOT IN (SELECT id FROM status)
      THEN RAISE(ABORT, 'EK|*|status_id|reference|There is no status with this status_id.')
    WHEN NEW.created_by NOT NULL AND NEW.created_by NOT IN (SELECT id FROM user)
      THEN RAISE(ABORT, 'EK|*|created_by|reference|There is no user with this created_by.')
    WHEN NEW.updated_by NOT NULL AND NEW.updated_by NOT IN (SELECT id FROM user)
      THEN RAISE(ABORT, 'EK|*|updated_by|reference|There is no user with this updated_by.') END;
END;

-- One row is a row that the REPLACE under way is about to delete, which fires no trigger where recursive_triggers is off.
-- The last column finds out that it is a REPLACE: a trigger inherits the conflict clause of the statement that fires it,
-- and puts NULL there OR IGNORE. Only OR REPLACE stores such a row, with the default; without a clause it comes to
-- nothing; and OR ABORT fails, as the statement would have on its own. Empty between statements. Rules on what a REPLACE would
-- do to the row it meets ask the same, under table 0, so that ON CONFLICT DO NOTHING may meet a row that is settled.
CREATE TABLE audit_replaced (
  table_id INTEGER,
  record_key INTEGER,
  new_key INTEGER,  -- the id of the row that comes instead, -1 while it has none
  another_row_has_this_key INTEGER NOT NULL DEFAULT 1  -- its name is what OR ABORT says
) STRICT;

-- Seals: a chain of hashes over the log, made by edgekit.audit and never by a trigger. Each names the one before it, so
-- an entry that was altered, taken out or put in breaks the chain from there on. A tail that was cut off together with
-- its seals shows only from outside: the last hash goes into every backup's manifest.

-- One row is a public key that seals are signed with; its secret half is in `encryption_key`.
CREATE TABLE audit_key (
  id INTEGER PRIMARY KEY CHECK (id > 0),
  name TEXT NOT NULL UNIQUE,  -- what people know the key by, made from the key itself
  public_key BLOB NOT NULL CHECK (length(public_key) = 32),  -- Ed25519
  added_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

-- One row is a link of the chain.
CREATE TABLE audit_seal (
  id INTEGER PRIMARY KEY CHECK (id > 0),  -- 1, 2, 3 … without a gap
  kind TEXT NOT NULL CHECK (kind IN ('entries', 'prune', 'rows')),  -- entries: seals the next part of the log; prune: says what was taken out of it; rows: takes the rows as they are from now on
  site TEXT NOT NULL,  -- the uuid of the file
  first_seq INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,  -- all entries up to here are sealed
  first_txn INTEGER NOT NULL,
  last_txn INTEGER NOT NULL,  -- and all changes up to here
  floor_seq INTEGER NOT NULL DEFAULT 0,  -- entries up to here are pruned, but for those kept for ever
  floor_txn INTEGER NOT NULL DEFAULT 0,
  txn_id INTEGER,  -- the change that pruned or took the rows as they are: who, when and why
  entries_sha256 TEXT NOT NULL CHECK (length(entries_sha256) = 64),  -- of a prune: of what stayed below the floor
  entry_sums BLOB,  -- CRC-32 of each entry, four bytes: they tell which one is wrong
  rows_sha256 TEXT CHECK (length(rows_sha256) = 64),  -- over `audit_fingerprint`
  findings TEXT,  -- rows that contradicted the log when this was sealed: [[table, id], …]
  note TEXT,  -- of a prune: {"before", "until", "entries", "changes", "made", "logged"}
  sealed_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  previous_sha256 TEXT NOT NULL CHECK (length(previous_sha256) = 64),
  sha256 TEXT NOT NULL CHECK (length(sha256) = 64),  -- over all of this but the sums and the signature
  key_id INTEGER REFERENCES audit_key(id),
  signature BLOB CHECK (length(signature) = 64),
  CHECK ((key_id IS NULL) = (signature IS NULL)),
  CHECK (first_seq <= last_seq + 1 AND first_txn <= last_txn + 1 AND floor_seq <= last_seq)
) STRICT;

-- One row is what a row of an audited table was like at one point of the log.
CREATE TABLE audit_row (
  table_id INTEGER NOT NULL,
  record_key INTEGER NOT NULL,
  seq INTEGER NOT NULL,  -- as of this entry of the log
  hash BLOB NOT NULL,
  PRIMARY KEY (table_id, record_key)
) STRICT, WITHOUT ROWID;

-- One row sums up the rows of `audit_row` of one table; the last seal that has `rows_sha256` vouches for it.
CREATE TABLE audit_fingerprint (
  table_id INTEGER PRIMARY KEY,
  columns TEXT NOT NULL,  -- the columns the hashes are made of
  row_count INTEGER NOT NULL,
  sum BLOB NOT NULL
) STRICT;

CREATE TRIGGER audit_seal_kept_bi BEFORE INSERT ON audit_seal BEGIN
  SELECT RAISE(ABORT, 'EK|audit_seal|*|append_only|Seals are only ever added, each on the one before it.')
  WHERE NEW.id IS NOT (SELECT ifnull(max(id), 0) + 1 FROM audit_seal)
    OR NEW.previous_sha256 IS NOT ifnull((SELECT sha256 FROM audit_seal ORDER BY id DESC LIMIT 1), printf('%064d', 0))
    OR NEW.first_seq IS NOT (SELECT ifnull(max(last_seq), 0) + 1 FROM audit_seal)
    OR NEW.floor_seq < (SELECT ifnull(max(floor_seq), 0) FROM audit_seal)
    OR (NEW.kind <> 'prune' AND NEW.floor_seq IS NOT (SELECT ifnull(max(floor_seq), 0) FROM audit_seal));
END;
CREATE TRIGGER audit_seal_kept_bu BEFORE UPDATE ON audit_seal BEGIN
  SELECT RAISE(ABORT, 'EK|audit_seal|*|append_only|Seals are only ever added, each on the one before it.');
END;
CREATE TRIGGER audit_seal_kept_bd BEFORE DELETE ON audit_seal BEGIN
  SELECT RAISE(ABORT, 'EK|audit_seal|*|append_only|Seals are only ever added, each on the one before it.');
END;
CREATE TRIGGER audit_key_kept_bi BEFORE INSERT ON audit_key WHEN EXISTS (SELECT 1 FROM audit_key WHERE id = NEW.id OR name = NEW.name) BEGIN
  SELECT RAISE(ABORT, 'EK|audit_key|*|append_only|Public keys are only ever added: older seals are checked with older keys.');
END;
CREATE TRIGGER audit_key_kept_bu BEFORE UPDATE ON audit_key BEGIN
  SELECT RAISE(ABORT, 'EK|audit_key|*|append_only|Public keys are only ever added: older seals are checked with older keys.');
END;
CREATE TRIGGER audit_key_kept_bd BEFORE DELETE ON audit_key BEGIN
  SELECT RAISE(ABORT, 'EK|audit_key|*|append_only|Public keys are only ever added: older seals are checked with older keys.');
END;

-- The log is only ever added to, at its end. NEW.seq is -1 while SQLite has yet to choose it; a seq that somebody names
-- must be the next one, or a REPLACE (which fires no DELETE trigger where recursive_triggers is off) could rewrite a row.
-- An update that changed nothing is no entry, and is passed over here because it costs the least here. The id of a new row
-- is judged here for all tables: -1 would pass for one not chosen yet, and after SQLite's last one there is no other.
CREATE TRIGGER audit_log_kept_bi BEFORE INSERT ON audit_log WHEN NEW.seq <> -1 OR NEW.changes = '{}' OR NEW.action = 'I' AND (NEW.record_key = -1 OR NEW.record_key > 9007199254740991) BEGIN
  SELECT RAISE(IGNORE) WHERE NEW.changes = '{}';
  SELECT RAISE(ABORT, 'EK|*|id|range|Ids go from 0 to 9007199254740991.') WHERE NEW.action = 'I' AND (NEW.record_key = -1 OR NEW.record_key > 9007199254740991);
  SELECT RAISE(ABORT, 'EK|audit_log|*|append_only|The audit log is only ever added to.') WHERE NEW.seq <> -1 AND NEW.seq IS NOT (SELECT ifnull(max(seq), 0) + 1 FROM audit_log);
END;
CREATE TRIGGER audit_log_kept_bu BEFORE UPDATE ON audit_log BEGIN
  SELECT RAISE(ABORT, 'EK|audit_log|*|append_only|The audit log is only ever added to.');
END;
-- What is old may go: in the change that says so in a prune record, up to the floor it names. The last entry always stays,
-- and so do those of versioned tables, whose history is read from the log, and of the file's own row.
CREATE TRIGGER audit_log_kept_bd BEFORE DELETE ON audit_log
WHEN OLD.seq = (SELECT max(seq) FROM audit_log)
  OR OLD.seq > ifnull((SELECT floor_seq FROM audit_seal
    WHERE kind = 'prune' AND id = (SELECT max(id) FROM audit_seal)
      AND txn_id = (SELECT id FROM audit_transaction WHERE open_gate IS NOT NULL AND id = (SELECT max(id) FROM audit_transaction))), 0)
  OR OLD.table_id IN (SELECT id FROM audit_table WHERE name IN ('configuration', 'integration', 'integration_mapping',
    'integration_transformation', 'integration_pipeline_definition', 'integration_template_instance', 'system')) BEGIN
  SELECT RAISE(ABORT, 'EK|audit_log|*|append_only|The audit log is only ever added to.');
END;

-- Of a change only its gate may still close.
CREATE TRIGGER audit_transaction_kept_bi BEFORE INSERT ON audit_transaction WHEN NEW.id <> -1 BEGIN
  SELECT RAISE(ABORT, 'EK|audit_transaction|*|append_only|Changes are only ever added to the audit log.') WHERE NEW.id IS NOT (SELECT ifnull(max(id), 0) + 1 FROM audit_transaction);
END;
CREATE TRIGGER audit_transaction_kept_bu BEFORE UPDATE OF id, rowid, oid, _rowid_, actor, correlation_id, reason, performed_at ON audit_transaction BEGIN
  SELECT RAISE(ABORT, 'EK|audit_transaction|*|append_only|Changes are only ever added to the audit log.');
END;
CREATE TRIGGER audit_transaction_gate_bu BEFORE UPDATE OF open_gate ON audit_transaction WHEN NEW.open_gate IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'EK|audit_transaction|*|append_only|Changes are only ever added to the audit log.');
END;
CREATE TRIGGER audit_transaction_kept_bd BEFORE DELETE ON audit_transaction
WHEN OLD.open_gate IS NOT NULL OR OLD.id = (SELECT max(id) FROM audit_transaction)
  OR OLD.id > ifnull((SELECT floor_txn FROM audit_seal
    WHERE kind = 'prune' AND id = (SELECT max(id) FROM audit_seal)
      AND txn_id = (SELECT id FROM audit_transaction WHERE open_gate IS NOT NULL AND id = (SELECT max(id) FROM audit_transaction))), 0) BEGIN
  SELECT RAISE(ABORT, 'EK|audit_transaction|*|append_only|Changes are only ever added to the audit log.');
END;

-- A table keeps its short id for ever. The very same row may come again: the generated file inserts it OR IGNORE.
CREATE TRIGGER audit_table_kept_bi BEFORE INSERT ON audit_table
WHEN EXISTS (SELECT 1 FROM audit_table WHERE (id = NEW.id OR name = NEW.name) AND NOT (id IS NEW.id AND name IS NEW.name COLLATE BINARY)) BEGIN
  SELECT RAISE(ABORT, 'EK|audit_table|*|append_only|A table keeps its number in the audit log.');
END;
CREATE TRIGGER audit_table_kept_bu BEFORE UPDATE ON audit_table BEGIN
  SELECT RAISE(ABORT, 'EK|audit_table|*|append_only|A table keeps its number in the audit log.');
END;
CREATE TRIGGER audit_table_kept_bd BEFORE DELETE ON audit_table BEGIN
  SELECT RAISE(ABORT, 'EK|audit_table|*|append_only|A table keeps its number in the audit log.');
END;

-- With any other row here a change could be left open.
CREATE TRIGGER audit_gate_kept_bi BEFORE INSERT ON audit_gate BEGIN
  SELECT RAISE(ABORT, 'EK|audit_gate|*|append_only|The gate of the audit log never changes.');
END;
CREATE TRIGGER audit_gate_kept_bu BEFORE UPDATE ON audit_gate BEGIN
  SELECT RAISE(ABORT, 'EK|audit_gate|*|append_only|The gate of the audit log never changes.');
END;
CREATE TRIGGER audit_gate_kept_bd BEFORE DELETE ON audit_gate BEGIN
  SELECT RAISE(ABORT, 'EK|audit_gate|*|append_only|The gate of the audit log never changes.');
END;

-- One row is one entry of the log as people and programs read it. An update shows the columns it changed, a deletion the
-- whole old row. An insert shows no values: they are the first old ones in what follows, or the live row
-- (`edgekit.audit.entries` fills them in).
CREATE VIEW audit_entry AS
SELECT l.seq, t.name AS table_name, l.record_key, l.action, l.changes,
  CASE l.action WHEN 'U' THEN (SELECT json_group_object(c.key, c.value -> '$[0]') FROM json_each(l.changes) c) WHEN 'D' THEN l.changes END AS old_values,
  CASE l.action WHEN 'U' THEN (SELECT json_group_object(c.key, c.value -> '$[1]') FROM json_each(l.changes) c) END AS new_values,
  x.actor, x.correlation_id, x.reason, x.performed_at
FROM audit_log l
LEFT JOIN audit_table t ON t.id = l.table_id
LEFT JOIN audit_transaction x ON x.id = l.txn_id;

-- What a setting may not be called: its value would be a secret in the clear. Compared in small letters, without - _ . and
-- spaces. Such a setting may be empty, yes or no, or say where the secret is: {"vault": "key"}, with nothing else in it.
CREATE VIEW secret_name AS VALUES ('password'), ('passwd'), ('apikey'), ('token'), ('accesstoken'), ('refreshtoken'), ('clientsecret'), ('privatekey'),
  ('authorization'), ('bearer'), ('xapikey'), ('secret'), ('secretkey'), ('accesskey'), ('passphrase'), ('pwd');
