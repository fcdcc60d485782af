-- Insurance: who and what is insured. A driver or vehicle outlives one policy, so links join them.
-- Personal fields (names, birth dates, licence numbers, contact data) are masked in logs.

-- One row is a customer: a person or household that is or may become insured.
CREATE TABLE insured (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  organization_id INTEGER NOT NULL DEFAULT 1 REFERENCES organization(id),
  customer_number TEXT NOT NULL CONSTRAINT "insured.customer_number.length" CHECK (length(customer_number) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "insured.name.length" CHECK (length(name) BETWEEN 1 AND 200),
  email TEXT CONSTRAINT "insured.email.length" CHECK (length(email) <= 254),
  phone TEXT CONSTRAINT "insured.phone.length" CHECK (length(phone) <= 50),
  address TEXT CONSTRAINT "insured.address.length" CHECK (length(address) <= 200),
  city TEXT CONSTRAINT "insured.city.length" CHECK (length(city) <= 100),
  state TEXT CONSTRAINT "insured.state.length" CHECK (length(state) <= 50),
  postal_code TEXT CONSTRAINT "insured.postal_code.length" CHECK (length(postal_code) <= 20),  -- text: leading zeros count
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "insured.customer_number.unique" UNIQUE (organization_id, customer_number)
) STRICT;

-- One row is an offer.
CREATE TABLE quote (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  organization_id INTEGER NOT NULL DEFAULT 1 REFERENCES organization(id),
  quote_number TEXT NOT NULL CONSTRAINT "quote.quote_number.length" CHECK (length(quote_number) BETWEEN 1 AND 50),
  program_id INTEGER REFERENCES program(id),
  producer_id INTEGER REFERENCES producer(id),
  insured_id INTEGER REFERENCES insured(id),
  quote_state TEXT NOT NULL DEFAULT 'draft' CONSTRAINT "quote.quote_state.choice" CHECK (quote_state IN ('draft', 'quoted', 'bound', 'declined', 'expired')),  -- draft: being written; quoted: with the customer; bound: became a policy; declined: by either side; expired: time ran out
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "quote.quote_number.unique" UNIQUE (organization_id, quote_number)
) STRICT;
CREATE INDEX quote_program ON quote(program_id);
CREATE INDEX quote_producer ON quote(producer_id);
CREATE INDEX quote_insured ON quote(insured_id);

-- One row is a contract of insurance for a time.
CREATE TABLE policy (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  organization_id INTEGER NOT NULL DEFAULT 1 REFERENCES organization(id),
  policy_number TEXT NOT NULL CONSTRAINT "policy.policy_number.length" CHECK (length(policy_number) BETWEEN 1 AND 50),
  program_id INTEGER REFERENCES program(id),
  producer_id INTEGER REFERENCES producer(id),
  quote_id INTEGER REFERENCES quote(id),  -- where it came from
  insured_id INTEGER REFERENCES insured(id),
  effective_date TEXT NOT NULL CONSTRAINT "policy.effective_date.date" CHECK (effective_date IS NULL OR date(effective_date, '+0 days') IS effective_date),
  expiration_date TEXT NOT NULL CONSTRAINT "policy.expiration_date.date" CHECK (expiration_date IS NULL OR date(expiration_date, '+0 days') IS expiration_date),
  annual_premium INTEGER CONSTRAINT "policy.annual_premium.range" CHECK (annual_premium >= 0),  -- minor units of `currency`
  currency TEXT NOT NULL DEFAULT 'USD' CONSTRAINT "policy.currency.format" CHECK (currency GLOB '[A-Z][A-Z][A-Z]'),
  policy_state TEXT NOT NULL DEFAULT 'in_force' CONSTRAINT "policy.policy_state.choice" CHECK (policy_state IN ('pending', 'in_force', 'cancelled', 'expired')),  -- pending: not yet begun; in_force: covers; cancelled: ended early; expired: ended in time
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "policy.policy_number.unique" UNIQUE (organization_id, policy_number),
  CONSTRAINT "policy.expiration_date.order" CHECK (effective_date < expiration_date)
) STRICT;
CREATE INDEX policy_program ON policy(program_id);
CREATE INDEX policy_producer ON policy(producer_id);
CREATE INDEX policy_quote ON policy(quote_id);
CREATE INDEX policy_insured ON policy(insured_id);

-- One row is a person who drives.
CREATE TABLE driver (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  organization_id INTEGER NOT NULL DEFAULT 1 REFERENCES organization(id),
  first_name TEXT CONSTRAINT "driver.first_name.length" CHECK (length(first_name) <= 100),
  last_name TEXT NOT NULL CONSTRAINT "driver.last_name.length" CHECK (length(last_name) BETWEEN 1 AND 100),
  date_of_birth TEXT CONSTRAINT "driver.date_of_birth.date" CHECK (date_of_birth IS NULL OR date(date_of_birth, '+0 days') IS date_of_birth),
  license_number TEXT NOT NULL CONSTRAINT "driver.license_number.length" CHECK (length(license_number) BETWEEN 1 AND 50),  -- text: leading zeros count
  license_state TEXT NOT NULL CONSTRAINT "driver.license_state.length" CHECK (length(license_state) BETWEEN 2 AND 50),
  license_status TEXT CONSTRAINT "driver.license_status.length" CHECK (length(license_status) <= 50),  -- as the verification service words it
  violation_points INTEGER CONSTRAINT "driver.violation_points.range" CHECK (violation_points BETWEEN 0 AND 999),
  verified_at TEXT CONSTRAINT "driver.verified_at.time" CHECK (verified_at IS NULL OR strftime('%Y-%m-%dT%H:%M:%fZ', verified_at, '+0 days') IS verified_at),  -- when the service last reported on this licence
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "driver.license_number.unique" UNIQUE (organization_id, license_state, license_number)
) STRICT;

-- One row is a vehicle. A VIN has 17 characters without I, O and Q; one known in part writes * for what is unknown.
CREATE TABLE vehicle (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  organization_id INTEGER NOT NULL DEFAULT 1 REFERENCES organization(id),
  vin TEXT COLLATE NOCASE
    CONSTRAINT "vehicle.vin.length" CHECK (length(vin) = 17 OR (length(vin) BETWEEN 3 AND 17 AND instr(vin, '*') > 0))
    CONSTRAINT "vehicle.vin.format" CHECK (vin NOT GLOB '*[^A-HJ-NPR-Z0-9*]*'),
  model_year INTEGER CONSTRAINT "vehicle.model_year.range" CHECK (model_year BETWEEN 1886 AND 2100),
  make TEXT CONSTRAINT "vehicle.make.length" CHECK (length(make) <= 100),
  model_name TEXT CONSTRAINT "vehicle.model_name.length" CHECK (length(model_name) <= 100),
  trim_name TEXT CONSTRAINT "vehicle.trim_name.length" CHECK (length(trim_name) <= 200),
  body_class TEXT CONSTRAINT "vehicle.body_class.length" CHECK (length(body_class) <= 100),
  vehicle_type TEXT CONSTRAINT "vehicle.vehicle_type.length" CHECK (length(vehicle_type) <= 100),
  fuel_type TEXT CONSTRAINT "vehicle.fuel_type.length" CHECK (length(fuel_type) <= 100),
  decode_note TEXT,  -- what the decoding service remarked of the VIN; NULL: never decoded
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "vehicle.vin.unique" UNIQUE (organization_id, vin)
) STRICT;
CREATE INDEX vehicle_undecoded ON vehicle(id) WHERE decode_note IS NULL;

-- One row is a loss reported under a policy.
CREATE TABLE claim (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  organization_id INTEGER NOT NULL DEFAULT 1 REFERENCES organization(id),
  claim_number TEXT NOT NULL CONSTRAINT "claim.claim_number.length" CHECK (length(claim_number) BETWEEN 1 AND 50),
  policy_id INTEGER NOT NULL REFERENCES policy(id),
  loss_date TEXT NOT NULL CONSTRAINT "claim.loss_date.date" CHECK (loss_date IS NULL OR date(loss_date, '+0 days') IS loss_date),
  claim_state TEXT NOT NULL DEFAULT 'open' CONSTRAINT "claim.claim_state.choice" CHECK (claim_state IN ('open', 'closed', 'denied')),  -- open: being worked on; closed: settled; denied: refused
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "claim.claim_number.unique" UNIQUE (organization_id, claim_number)
) STRICT;
CREATE INDEX claim_policy ON claim(policy_id);

-- One row says that a driver is on a policy.
CREATE TABLE policy_driver (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  policy_id INTEGER NOT NULL REFERENCES policy(id),
  driver_id INTEGER NOT NULL REFERENCES driver(id),
  relationship TEXT CONSTRAINT "policy_driver.relationship.length" CHECK (length(relationship) <= 50),  -- to the insured, as the source words it
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "policy_driver.driver_id.unique" UNIQUE (policy_id, driver_id)
) STRICT;
CREATE INDEX policy_driver_driver ON policy_driver(driver_id);

-- One row says that a vehicle is on a policy.
CREATE TABLE policy_vehicle (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  policy_id INTEGER NOT NULL REFERENCES policy(id),
  vehicle_id INTEGER NOT NULL REFERENCES vehicle(id),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "policy_vehicle.vehicle_id.unique" UNIQUE (policy_id, vehicle_id)
) STRICT;
CREATE INDEX policy_vehicle_vehicle ON policy_vehicle(vehicle_id);

-- One row says that a driver is on a quote.
CREATE TABLE quote_driver (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  quote_id INTEGER NOT NULL REFERENCES quote(id),
  driver_id INTEGER NOT NULL REFERENCES driver(id),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "quote_driver.driver_id.unique" UNIQUE (quote_id, driver_id)
) STRICT;
CREATE INDEX quote_driver_driver ON quote_driver(driver_id);

-- One row says that a vehicle is on a quote.
CREATE TABLE quote_vehicle (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  quote_id INTEGER NOT NULL REFERENCES quote(id),
  vehicle_id INTEGER NOT NULL REFERENCES vehicle(id),
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CONSTRAINT "quote_vehicle.vehicle_id.unique" UNIQUE (quote_id, vehicle_id)
) STRICT;
CREATE INDEX quote_vehicle_vehicle ON quote_vehicle(vehicle_id);
