"""Sound rows of the insurance tables, and a case for each rule that the figures in its text do not give away."""

from __future__ import annotations

from typing import Any

ROWS: dict[str, dict[str, Any]] = {
    "insured": {"customer_number": "C{n}", "name": "Ann"},
    "quote": {"quote_number": "Q{n}"},
    "policy": {"policy_number": "P{n}", "effective_date": "2026-01-01", "expiration_date": "2027-01-01"},
    "driver": {"last_name": "Roe", "license_number": "L{n}", "license_state": "NY"},
    "vehicle": {"vin": "1HGCM82633A{n:06d}"},
    "policy_driver": {},
    "policy_vehicle": {},
    "quote_driver": {},
    "quote_vehicle": {},
    "claim": {"claim_number": "C{n}", "loss_date": "2026-02-01"},
}

SPECIAL: dict[str, dict[str, Any]] = {
    "policy.currency.format": {"currency": "usd"},
    "policy.expiration_date.order": {"expiration_date": "2026-01-01"},
    "vehicle.vin.length": {"vin": "1HGCM82633A00435"},
    "vehicle.vin.format": {"vin": "1HGCM82633A00435O"},
    "vehicle.model_year.range": {"model_year": 1885},
    "driver.violation_points.range": {"violation_points": 1000},
}
