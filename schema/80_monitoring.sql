-- Monitoring: figures over time, the limits they are held against, what was found when one was passed, and what is summed up.

-- One row is one figure at one moment, kept as it was.
CREATE TABLE metric_sample (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  metric TEXT NOT NULL CONSTRAINT "metric_sample.metric.length" CHECK (length(metric) BETWEEN 1 AND 100),  -- what was measured and its unit: event.lag_seconds
  labels TEXT NOT NULL DEFAULT '{}' CONSTRAINT "metric_sample.labels.json_object" CHECK (CASE WHEN json_valid(labels) THEN json_type(labels) = 'object' ELSE 0 END),  -- what it was measured of: {"integration": "files"}
  value REAL NOT NULL,
  sampled_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CONSTRAINT "metric_sample.sampled_at.time" CHECK (sampled_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', sampled_at, '+0 days') IS sampled_at)
) STRICT;
CREATE INDEX metric_sample_metric ON metric_sample(metric, sampled_at);

-- One row is a limit: what the samples of a metric, taken together over a window, must not come to.
CREATE TABLE alert_rule (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "alert_rule.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "alert_rule.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  metric TEXT NOT NULL CONSTRAINT "alert_rule.metric.length" CHECK (length(metric) BETWEEN 1 AND 100),
  integration_id INTEGER REFERENCES integration(id),  -- NULL: not of one integration
  labels TEXT CONSTRAINT "alert_rule.labels.json_object" CHECK (labels IS NULL OR CASE WHEN json_valid(labels) THEN json_type(labels) = 'object' ELSE 0 END),  -- only samples that have these; NULL: all
  aggregation TEXT NOT NULL DEFAULT 'average' CONSTRAINT "alert_rule.aggregation.choice" CHECK (aggregation IN ('last', 'average', 'minimum', 'maximum', 'sum', 'p95')),  -- last: the newest sample; average: their mean; minimum: the least; maximum: the greatest; sum: all together; p95: what 95 in 100 do not exceed
  comparison TEXT NOT NULL DEFAULT 'above' CONSTRAINT "alert_rule.comparison.choice" CHECK (comparison IN ('above', 'at_least', 'below', 'at_most')),  -- above: more than the threshold; at_least: that or more; below: less; at_most: that or less
  threshold REAL NOT NULL,
  window_seconds INTEGER NOT NULL DEFAULT 300 CONSTRAINT "alert_rule.window_seconds.range" CHECK (window_seconds >= 1),
  severity TEXT NOT NULL DEFAULT 'warning' CONSTRAINT "alert_rule.severity.choice" CHECK (severity IN ('info', 'warning', 'critical')),  -- info: good to know; warning: look at it today; critical: look at it now
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX alert_rule_metric ON alert_rule(metric);
CREATE INDEX alert_rule_integration ON alert_rule(integration_id);

-- One row is what was promised of an integration.
CREATE TABLE sla_target (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  integration_id INTEGER NOT NULL REFERENCES integration(id),
  metric TEXT NOT NULL CONSTRAINT "sla_target.metric.length" CHECK (length(metric) BETWEEN 1 AND 100),
  aggregation TEXT NOT NULL DEFAULT 'average' CONSTRAINT "sla_target.aggregation.choice" CHECK (aggregation IN ('last', 'average', 'minimum', 'maximum', 'sum', 'p95')),  -- last: the newest sample; average: their mean; minimum: the least; maximum: the greatest; sum: all together; p95: what 95 in 100 do not exceed
  comparison TEXT NOT NULL CONSTRAINT "sla_target.comparison.choice" CHECK (comparison IN ('at_least', 'at_most')),  -- at_least: the target or more keeps the promise; at_most: the target or less does
  target REAL NOT NULL,
  window_seconds INTEGER NOT NULL CONSTRAINT "sla_target.window_seconds.range" CHECK (window_seconds >= 1),  -- the time it is reckoned over
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "sla_target.metric.unique" UNIQUE (integration_id, metric)
) STRICT;

-- One row is one time a limit was passed or a promise broken, until it is over.
CREATE TABLE alert (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  alert_rule_id INTEGER REFERENCES alert_rule(id),
  sla_target_id INTEGER REFERENCES sla_target(id),
  subject TEXT CONSTRAINT "alert.subject.length" CHECK (length(subject) <= 200),  -- what it is about, where a rule watches several things
  alert_status TEXT NOT NULL DEFAULT 'open' CONSTRAINT "alert.alert_status.choice" CHECK (alert_status IN ('open', 'acknowledged', 'resolved')),  -- open: nobody has looked; acknowledged: somebody is at it; resolved: over
  observed_value REAL NOT NULL,
  threshold REAL NOT NULL,  -- the limit as it was then
  message TEXT NOT NULL CONSTRAINT "alert.message.length" CHECK (length(message) BETWEEN 1 AND 1000),
  opened_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CONSTRAINT "alert.opened_at.time" CHECK (opened_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', opened_at, '+0 days') IS opened_at),
  acknowledged_at TEXT CONSTRAINT "alert.acknowledged_at.time" CHECK (acknowledged_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', acknowledged_at, '+0 days') IS acknowledged_at),
  acknowledged_by INTEGER REFERENCES user(id),
  resolved_at TEXT CONSTRAINT "alert.resolved_at.time" CHECK (resolved_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', resolved_at, '+0 days') IS resolved_at),
  communication_id INTEGER REFERENCES communication(id),  -- the notification that was sent
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "alert.alert_rule_id.required" CHECK ((alert_rule_id IS NULL) <> (sla_target_id IS NULL)),
  CONSTRAINT "alert.acknowledged_at.required" CHECK ((acknowledged_at IS NULL) = (acknowledged_by IS NULL) AND (alert_status <> 'acknowledged' OR acknowledged_at IS NOT NULL)),
  CONSTRAINT "alert.resolved_at.required" CHECK ((resolved_at IS NULL) = (alert_status <> 'resolved')),
  CONSTRAINT "alert.resolved_at.order" CHECK (opened_at <= resolved_at)
) STRICT;
CREATE UNIQUE INDEX alert_open ON alert(COALESCE(alert_rule_id, 0), COALESCE(sla_target_id, 0), COALESCE(subject, '')) WHERE alert_status <> 'resolved';
CREATE INDEX alert_alert_rule ON alert(alert_rule_id);
CREATE INDEX alert_sla_target ON alert(sla_target_id);
CREATE INDEX alert_acknowledged_by ON alert(acknowledged_by);
CREATE INDEX alert_communication ON alert(communication_id);

CREATE TRIGGER alert_transition_bi BEFORE INSERT ON alert BEGIN  -- by REPLACE, of the one that is open too; see audit_replaced
  INSERT OR IGNORE INTO audit_replaced SELECT 0, id, NULL, NULL FROM alert
  WHERE (id = NEW.id OR (alert_status <> 'resolved' AND ifnull(NEW.alert_status, 'open') <> 'resolved' AND COALESCE(alert_rule_id, 0) = COALESCE(NEW.alert_rule_id, 0)
      AND COALESCE(sla_target_id, 0) = COALESCE(NEW.sla_target_id, 0) AND COALESCE(subject, '') = COALESCE(NEW.subject, '')))
    AND alert_status <> ifnull(NEW.alert_status, 'open')
    AND alert_status || '>' || ifnull(NEW.alert_status, 'open') NOT IN ('open>acknowledged', 'open>resolved', 'acknowledged>resolved');
  SELECT CASE WHEN alert_status IN ('resolved') THEN RAISE(ABORT, 'EK|alert|alert_status|final|An alert that is over does not open again: the next one is a new row.')
    ELSE RAISE(ABORT, 'EK|alert|alert_status|transition|An alert does not go from its state to this one.') END
  FROM alert WHERE changes() AND id IN (SELECT record_key FROM audit_replaced WHERE table_id = 0);
END;
CREATE TRIGGER alert_transition_bu BEFORE UPDATE OF alert_status ON alert
WHEN OLD.alert_status <> ifnull(NEW.alert_status, 'open') AND OLD.alert_status || '>' || ifnull(NEW.alert_status, 'open') NOT IN ('open>acknowledged', 'open>resolved', 'acknowledged>resolved') BEGIN
  SELECT CASE WHEN OLD.alert_status IN ('resolved') THEN RAISE(ABORT, 'EK|alert|alert_status|final|An alert that is over does not open again: the next one is a new row.')
    ELSE RAISE(ABORT, 'EK|alert|alert_status|transition|An alert does not go from its state to this one.') END;
END;

-- One row is a collection of figures worth seeing together. What it looks like is the reader's affair.
CREATE TABLE dashboard (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "dashboard.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "dashboard.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  organization_id INTEGER REFERENCES organization(id),  -- NULL: shared by all
  definition TEXT NOT NULL CONSTRAINT "dashboard.definition.json_object" CHECK (CASE WHEN json_valid(definition) THEN json_type(definition) = 'object' ELSE 0 END),  -- {"figures": [{"name", "metric", "aggregation", "window_seconds", "labels"?}]}
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX dashboard_organization ON dashboard(organization_id);

-- One row is what `unified_client_dashboard` says of a client, as of the last `edgekit monitoring refresh`, which alone writes it:
-- reading it costs no joins. `v_client_summary_stale` names the clients of whom it says something else by now.
CREATE TABLE client_summary (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  client_id INTEGER NOT NULL UNIQUE REFERENCES client(id) ON DELETE CASCADE,
  active_modules INTEGER NOT NULL CONSTRAINT "client_summary.active_modules.range" CHECK (active_modules >= 0),
  configured_apps INTEGER NOT NULL CONSTRAINT "client_summary.configured_apps.range" CHECK (configured_apps >= 0),
  current_workflow TEXT,  -- the one that runs, else the newest that waits
  workflow_status TEXT,
  current_step TEXT,
  handover_package TEXT,  -- the newest on its way
  delivery_status TEXT,
  system_configurations INTEGER NOT NULL CONSTRAINT "client_summary.system_configurations.range" CHECK (system_configurations >= 0),
  deployment_configurations INTEGER NOT NULL CONSTRAINT "client_summary.deployment_configurations.range" CHECK (deployment_configurations >= 0),
  subscription_tier TEXT,
  subscription_status TEXT,
  changed_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CONSTRAINT "client_summary.changed_at.time" CHECK (changed_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', changed_at, '+0 days') IS changed_at)  -- when a refresh last found something else
) STRICT;
