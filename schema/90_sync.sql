-- Sync: to whom the log of this file goes and from whom catalogues come, in which bundles, and what could not be applied.

-- One row is the other side: a mailbox or a centre.
CREATE TABLE sync_peer (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "sync_peer.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "sync_peer.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  uuid TEXT NOT NULL UNIQUE CONSTRAINT "sync_peer.uuid.length" CHECK (length(uuid) = 36),  -- binds the ciphertext to this row
  peer_kind TEXT NOT NULL CONSTRAINT "sync_peer.peer_kind.choice" CHECK (peer_kind IN ('folder', 'https', 'postgresql')),  -- folder: a mailbox, here or behind any storage address; https: a centre that answers; postgresql: a centre written to directly
  address TEXT NOT NULL CONSTRAINT "sync_peer.address.length" CHECK (length(address) BETWEEN 1 AND 500),  -- without secrets
  secret_ciphertext BLOB CONSTRAINT "sync_peer.secret_ciphertext.length" CHECK (length(secret_ciphertext) BETWEEN 29 AND 65536),  -- NULL: needs none
  encryption_key_id INTEGER REFERENCES encryption_key(id),
  public_key TEXT CONSTRAINT "sync_peer.public_key.length" CHECK (length(public_key) = 44),  -- Ed25519, in base64; NULL: its bundles are not taken
  site_uuid TEXT CONSTRAINT "sync_peer.site_uuid.length" CHECK (length(site_uuid) = 36),  -- the uuid of the other side's `system`, once known
  direction TEXT NOT NULL DEFAULT 'both' CONSTRAINT "sync_peer.direction.choice" CHECK (direction IN ('push', 'pull', 'both')),  -- push: our changes go there; pull: catalogues come from there; both: each
  epoch INTEGER NOT NULL DEFAULT 1 CONSTRAINT "sync_peer.epoch.range" CHECK (epoch >= 1),  -- rises when this file was restored or forked: what was agreed before counts no more
  last_pushed_seq INTEGER NOT NULL DEFAULT 0 CONSTRAINT "sync_peer.last_pushed_seq.range" CHECK (last_pushed_seq >= 0),  -- of our log, what it has confirmed
  last_pulled_seq INTEGER NOT NULL DEFAULT 0 CONSTRAINT "sync_peer.last_pulled_seq.range" CHECK (last_pulled_seq >= 0),  -- of its catalogues, what we have applied
  last_pushed_at TEXT CONSTRAINT "sync_peer.last_pushed_at.time" CHECK (last_pushed_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', last_pushed_at, '+0 days') IS last_pushed_at),
  last_pulled_at TEXT CONSTRAINT "sync_peer.last_pulled_at.time" CHECK (last_pulled_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', last_pulled_at, '+0 days') IS last_pulled_at),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "sync_peer.encryption_key_id.required" CHECK ((secret_ciphertext IS NULL) = (encryption_key_id IS NULL))
) STRICT;
CREATE INDEX sync_peer_encryption_key ON sync_peer(encryption_key_id);

CREATE TRIGGER sync_peer_uuid_bi BEFORE INSERT ON sync_peer BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|sync_peer|uuid|protected|The uuid of a peer stays: its secret is sealed to it.') FROM sync_peer WHERE id = NEW.id AND uuid IS NOT NEW.uuid;
END;
CREATE TRIGGER sync_peer_uuid_bu BEFORE UPDATE OF uuid ON sync_peer WHEN NEW.uuid IS NOT OLD.uuid BEGIN
  SELECT RAISE(ABORT, 'EK|sync_peer|uuid|protected|The uuid of a peer stays: its secret is sealed to it.');
END;

CREATE TRIGGER sync_peer_address_secret_bi BEFORE INSERT ON sync_peer BEGIN
  SELECT RAISE(ABORT, 'EK|sync_peer|address|secret|The address holds a secret. Write it without: secrets belong in the vault.')
  FROM (SELECT substr(NEW.address, instr(NEW.address, '://') + 3) || '/' AS place)
  WHERE (instr(NEW.address, '://') > 0 AND substr(place, 1, instr(place, '/')) GLOB '*:*@*')
    OR EXISTS (SELECT 1 FROM json_each('["password", "passwd", "pwd", "apikey", "accountkey", "accesskey", "token", "secret", "signature", "[?&;]sig"]')
      WHERE lower(replace(replace(NEW.address, '-', ''), '_', '')) GLOB '*' || value || '*=*');
END;
CREATE TRIGGER sync_peer_address_secret_bu BEFORE UPDATE OF address ON sync_peer BEGIN
  SELECT RAISE(ABORT, 'EK|sync_peer|address|secret|The address holds a secret. Write it without: secrets belong in the vault.')
  FROM (SELECT substr(NEW.address, instr(NEW.address, '://') + 3) || '/' AS place)
  WHERE (instr(NEW.address, '://') > 0 AND substr(place, 1, instr(place, '/')) GLOB '*:*@*')
    OR EXISTS (SELECT 1 FROM json_each('["password", "passwd", "pwd", "apikey", "accountkey", "accesskey", "token", "secret", "signature", "[?&;]sig"]')
      WHERE lower(replace(replace(NEW.address, '-', ''), '_', '')) GLOB '*' || value || '*=*');
END;

-- What was confirmed stays confirmed while the epoch lasts, and epochs only rise.
CREATE TRIGGER sync_peer_watermark_bi BEFORE INSERT ON sync_peer BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|sync_peer|last_pushed_seq|order|How far a peer has come never goes back within an epoch.')
  FROM sync_peer WHERE (id = NEW.id OR uuid = NEW.uuid OR code = NEW.code) AND (epoch > ifnull(NEW.epoch, 1)
    OR (epoch = ifnull(NEW.epoch, 1) AND (last_pushed_seq > ifnull(NEW.last_pushed_seq, 0) OR last_pulled_seq > ifnull(NEW.last_pulled_seq, 0))));
END;
CREATE TRIGGER sync_peer_watermark_bu BEFORE UPDATE OF epoch, last_pushed_seq, last_pulled_seq ON sync_peer
WHEN OLD.epoch > ifnull(NEW.epoch, 1)
  OR (OLD.epoch = ifnull(NEW.epoch, 1) AND (OLD.last_pushed_seq > ifnull(NEW.last_pushed_seq, 0) OR OLD.last_pulled_seq > ifnull(NEW.last_pulled_seq, 0))) BEGIN
  SELECT RAISE(ABORT, 'EK|sync_peer|last_pushed_seq|order|How far a peer has come never goes back within an epoch.');
END;

-- One row is a parcel of changes: from which to which number of the log.
CREATE TABLE sync_bundle (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  peer_id INTEGER NOT NULL REFERENCES sync_peer(id),
  direction TEXT NOT NULL CONSTRAINT "sync_bundle.direction.choice" CHECK (direction IN ('push', 'pull')),  -- push: ours, to the peer; pull: the peer's, to us
  epoch INTEGER NOT NULL CONSTRAINT "sync_bundle.epoch.range" CHECK (epoch >= 1),
  from_seq INTEGER NOT NULL CONSTRAINT "sync_bundle.from_seq.range" CHECK (from_seq >= 1),
  to_seq INTEGER NOT NULL CONSTRAINT "sync_bundle.to_seq.range" CHECK (to_seq >= 1),
  sha256 TEXT CONSTRAINT "sync_bundle.sha256.length" CHECK (length(sha256) = 64),  -- of the parcel; NULL: not made yet
  chain_hash TEXT CONSTRAINT "sync_bundle.chain_hash.length" CHECK (length(chain_hash) = 64),  -- the head of the sender's log at `to_seq`
  file_name TEXT CONSTRAINT "sync_bundle.file_name.length" CHECK (length(file_name) <= 200),  -- in the mailbox
  row_count INTEGER CONSTRAINT "sync_bundle.row_count.range" CHECK (row_count >= 0),
  byte_count INTEGER CONSTRAINT "sync_bundle.byte_count.range" CHECK (byte_count >= 0),
  bundle_status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT "sync_bundle.bundle_status.choice" CHECK (bundle_status IN ('pending', 'ready', 'sent', 'acknowledged', 'received', 'applied', 'rejected', 'failed')),  -- pending: to be made; ready: made, not gone; sent: on its way; acknowledged: the peer has applied it; received: come in; applied: its rows are here; rejected: not taken, for good; failed: an attempt came to nothing, the next may not
  settled_at TEXT CONSTRAINT "sync_bundle.settled_at.time" CHECK (settled_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', settled_at, '+0 days') IS settled_at),
  error_code TEXT CONSTRAINT "sync_bundle.error_code.length" CHECK (length(error_code) <= 50),
  error_message TEXT,
  correlation_id TEXT NOT NULL CONSTRAINT "sync_bundle.correlation_id.length" CHECK (length(correlation_id) BETWEEN 1 AND 100),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "sync_bundle.to_seq.order" CHECK (from_seq <= to_seq),
  CONSTRAINT "sync_bundle.sha256.required" CHECK (bundle_status IN ('pending', 'failed') OR sha256 IS NOT NULL),
  CONSTRAINT "sync_bundle.settled_at.required" CHECK ((settled_at IS NULL) = (bundle_status NOT IN ('acknowledged', 'applied', 'rejected'))),
  CONSTRAINT "sync_bundle.error_message.required" CHECK (bundle_status NOT IN ('rejected', 'failed') OR error_message IS NOT NULL),
  CONSTRAINT "sync_bundle.from_seq.unique" UNIQUE (peer_id, direction, epoch, from_seq)
) STRICT;
CREATE INDEX sync_bundle_open ON sync_bundle(peer_id, direction) WHERE bundle_status NOT IN ('acknowledged', 'applied', 'rejected');

CREATE TRIGGER sync_bundle_transition_bi BEFORE INSERT ON sync_bundle BEGIN  -- by REPLACE
  SELECT CASE WHEN bundle_status IN ('acknowledged', 'applied', 'rejected') THEN RAISE(ABORT, 'EK|sync_bundle|bundle_status|final|A bundle that is settled does not change its state again.')
    ELSE RAISE(ABORT, 'EK|sync_bundle|bundle_status|transition|A bundle does not go from its state to this one.') END
  FROM sync_bundle WHERE (id = NEW.id OR (peer_id = NEW.peer_id AND direction = NEW.direction AND epoch = NEW.epoch AND from_seq = NEW.from_seq)) AND bundle_status <> ifnull(NEW.bundle_status, 'pending')
    AND bundle_status || '>' || ifnull(NEW.bundle_status, 'pending') NOT IN ('pending>ready', 'pending>failed', 'ready>sent', 'ready>failed', 'sent>ready', 'sent>acknowledged', 'sent>rejected', 'sent>failed', 'received>applied', 'received>rejected', 'received>failed', 'failed>pending', 'failed>ready', 'failed>received');
END;
CREATE TRIGGER sync_bundle_transition_bu BEFORE UPDATE OF bundle_status ON sync_bundle
WHEN OLD.bundle_status <> ifnull(NEW.bundle_status, 'pending') AND OLD.bundle_status || '>' || ifnull(NEW.bundle_status, 'pending') NOT IN ('pending>ready', 'pending>failed', 'ready>sent', 'ready>failed', 'sent>ready', 'sent>acknowledged', 'sent>rejected', 'sent>failed', 'received>applied', 'received>rejected', 'received>failed', 'failed>pending', 'failed>ready', 'failed>received') BEGIN
  SELECT CASE WHEN OLD.bundle_status IN ('acknowledged', 'applied', 'rejected') THEN RAISE(ABORT, 'EK|sync_bundle|bundle_status|final|A bundle that is settled does not change its state again.')
    ELSE RAISE(ABORT, 'EK|sync_bundle|bundle_status|transition|A bundle does not go from its state to this one.') END;
END;

-- What a parcel holds is settled once it is made: its hash is what both sides compare.
CREATE TRIGGER sync_bundle_content_bi BEFORE INSERT ON sync_bundle BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|sync_bundle|sha256|protected|A bundle that was made stays as it is.')
  FROM sync_bundle WHERE (id = NEW.id OR (peer_id = NEW.peer_id AND direction = NEW.direction AND epoch = NEW.epoch AND from_seq = NEW.from_seq))
    AND bundle_status NOT IN ('pending', 'failed') AND (peer_id, direction, epoch, from_seq, to_seq, sha256) IS NOT (NEW.peer_id, NEW.direction, NEW.epoch, NEW.from_seq, NEW.to_seq, NEW.sha256);
END;
CREATE TRIGGER sync_bundle_content_bu BEFORE UPDATE OF peer_id, direction, epoch, from_seq, to_seq, sha256 ON sync_bundle
WHEN OLD.bundle_status NOT IN ('pending', 'failed') AND (OLD.peer_id, OLD.direction, OLD.epoch, OLD.from_seq, OLD.to_seq, OLD.sha256) IS NOT (NEW.peer_id, NEW.direction, NEW.epoch, NEW.from_seq, NEW.to_seq, NEW.sha256) BEGIN
  SELECT RAISE(ABORT, 'EK|sync_bundle|sha256|protected|A bundle that was made stays as it is.');
END;

-- One row is a row of a bundle that could not be applied, set aside so that it holds up nothing but its own children.
CREATE TABLE sync_quarantine (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  bundle_id INTEGER NOT NULL REFERENCES sync_bundle(id),
  site_uuid TEXT NOT NULL CONSTRAINT "sync_quarantine.site_uuid.length" CHECK (length(site_uuid) = 36),  -- the file the row comes from
  table_name TEXT NOT NULL CONSTRAINT "sync_quarantine.table_name.length" CHECK (length(table_name) BETWEEN 1 AND 100),
  record_key TEXT NOT NULL CONSTRAINT "sync_quarantine.record_key.length" CHECK (length(record_key) BETWEEN 1 AND 200),
  record TEXT NOT NULL CONSTRAINT "sync_quarantine.record.json_object" CHECK (CASE WHEN json_valid(record) THEN json_type(record) = 'object' ELSE 0 END),  -- the row as it came
  reason_code TEXT NOT NULL CONSTRAINT "sync_quarantine.reason_code.length" CHECK (length(reason_code) BETWEEN 1 AND 50),
  reason TEXT NOT NULL CONSTRAINT "sync_quarantine.reason.length" CHECK (length(reason) BETWEEN 1 AND 1000),
  parent_sync_quarantine_id INTEGER REFERENCES sync_quarantine(id) CONSTRAINT "sync_quarantine.parent_sync_quarantine_id.cycle" CHECK (parent_sync_quarantine_id IS NOT id),  -- the row it waits for
  quarantine_status TEXT NOT NULL DEFAULT 'held' CONSTRAINT "sync_quarantine.quarantine_status.choice" CHECK (quarantine_status IN ('held', 'applied', 'discarded')),  -- held: waits for somebody; applied: went in after all; discarded: somebody decided against it
  resolved_at TEXT CONSTRAINT "sync_quarantine.resolved_at.time" CHECK (resolved_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', resolved_at, '+0 days') IS resolved_at),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "sync_quarantine.resolved_at.required" CHECK ((resolved_at IS NULL) = (quarantine_status = 'held')),
  CONSTRAINT "sync_quarantine.record_key.unique" UNIQUE (bundle_id, table_name, record_key)
) STRICT;
CREATE INDEX sync_quarantine_held ON sync_quarantine(site_uuid, table_name, record_key) WHERE quarantine_status = 'held';
CREATE INDEX sync_quarantine_parent_sync_quarantine ON sync_quarantine(parent_sync_quarantine_id);

CREATE TRIGGER sync_quarantine_transition_bi BEFORE INSERT ON sync_quarantine BEGIN  -- by REPLACE
  SELECT RAISE(ABORT, 'EK|sync_quarantine|quarantine_status|final|A row that was taken out of quarantine does not go back.')
  FROM sync_quarantine WHERE (id = NEW.id OR (bundle_id = NEW.bundle_id AND table_name = NEW.table_name AND record_key = NEW.record_key)) AND quarantine_status <> ifnull(NEW.quarantine_status, 'held')
    AND quarantine_status || '>' || ifnull(NEW.quarantine_status, 'held') NOT IN ('held>applied', 'held>discarded');
END;
CREATE TRIGGER sync_quarantine_transition_bu BEFORE UPDATE OF quarantine_status ON sync_quarantine
WHEN OLD.quarantine_status <> ifnull(NEW.quarantine_status, 'held') AND OLD.quarantine_status || '>' || ifnull(NEW.quarantine_status, 'held') NOT IN ('held>applied', 'held>discarded') BEGIN
  SELECT RAISE(ABORT, 'EK|sync_quarantine|quarantine_status|final|A row that was taken out of quarantine does not go back.');
END;

CREATE TRIGGER sync_quarantine_acyclic_bi BEFORE INSERT ON sync_quarantine WHEN NEW.parent_sync_quarantine_id IS NOT NULL BEGIN  -- by REPLACE
  WITH RECURSIVE ancestor(id) AS (
    SELECT NEW.parent_sync_quarantine_id
    UNION SELECT q.parent_sync_quarantine_id FROM sync_quarantine q JOIN ancestor a ON q.id = a.id WHERE q.parent_sync_quarantine_id IS NOT NULL
  )
  SELECT RAISE(ABORT, 'EK|sync_quarantine|parent_sync_quarantine_id|cycle|A row in quarantine cannot wait for itself.') FROM ancestor WHERE id = NEW.id;
END;
CREATE TRIGGER sync_quarantine_acyclic_bu BEFORE UPDATE OF parent_sync_quarantine_id ON sync_quarantine WHEN NEW.parent_sync_quarantine_id IS NOT NULL BEGIN
  WITH RECURSIVE ancestor(id) AS (
    SELECT NEW.parent_sync_quarantine_id
    UNION SELECT q.parent_sync_quarantine_id FROM sync_quarantine q JOIN ancestor a ON q.id = a.id WHERE q.parent_sync_quarantine_id IS NOT NULL
  )
  SELECT RAISE(ABORT, 'EK|sync_quarantine|parent_sync_quarantine_id|cycle|A row in quarantine cannot wait for itself.') FROM ancestor WHERE id = NEW.id;
END;
