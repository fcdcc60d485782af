"""Driver-verification records: nested, 1.4 KB of JSON each, the same for every run."""

from __future__ import annotations

import random
from typing import Any

STATES = ("CA", "TX", "NY", "FL", "WA", "OH", "IL", "PA")
CODES = ("SPD15", "DUI", "RED", "STOP", "PHONE", "UNINS", "CARELESS")
FIRST_NAMES = ("Ann", "Bob", "Carla", "Dmitri", "Eun", "Fatima", "Gil", "Hana", "Igor", "José")
LAST_NAMES = ("Smith", "O'Neil", "García", "Nguyen", "Müller", "Okafor", "Rossi", "Tanaka")

FIELDS = (
    ("record_id", "$.record_id"),
    ("received_at", "$.received_at"),
    ("household_id", "$.household.id"),
    ("policy_number", "$.household.policy.number"),
    ("premium", "$.household.policy.premium"),
    ("city", "$.household.address.city"),
    ("state", "$.household.address.state"),
    ("zip", "$.household.address.zip"),
    ("email", "$.household.contacts[0].value"),
    ("driver_id", "$.drivers[0].driver_id"),
    ("last_name", "$.drivers[0].name.last"),
    ("birth_date", "$.drivers[0].date_of_birth"),
    ("licence_no", "$.drivers[0].licence.number"),
    ("licence_status", "$.drivers[0].licence.status"),
    ("first_violation", "$.drivers[0].violations[0].code"),
)
"""Target column and source path: 15 fields, half of the records have no first violation."""


def records(count: int, *, seed: int = 11, first: int = 1) -> list[dict[str, Any]]:
    """Return that many records, numbered from `first`."""
    chance = random.Random(seed)
    return [_record(number, chance) for number in range(first, first + count)]


def _record(number: int, chance: random.Random) -> dict[str, Any]:
    return {
        "record_id": f"REC-{number:08d}",
        "received_at": f"2026-0{1 + number % 9}-15T10:{number % 60:02d}:00Z",
        "source": "bureau-a",
        "version": 3,
        "household": {
            "id": f"HH-{number // 2:07d}",
            "policy": {
                "number": f"POL{number:09d}",
                "effective": "2026-02-01",
                "premium": round(400 + chance.random() * 2000, 2),
            },
            "address": {
                "line1": f"{chance.randrange(1, 9999)} Main St",
                "city": chance.choice(("Austin", "Oakland", "Albany", "Miami")),
                "state": chance.choice(STATES),
                "zip": f"{chance.randrange(10000, 99999)}",
            },
            "contacts": [
                {"type": "email", "value": f"user{number}@example.org"},
                {"type": "phone", "value": f"+1555{chance.randrange(10**7):07d}"},
            ],
        },
        "drivers": [_driver(number, place, chance) for place in range(1 + chance.randrange(4))],
        "meta": {"tags": ["auto", "verify"], "confidence": round(chance.random(), 3)},
    }


def _driver(number: int, place: int, chance: random.Random) -> dict[str, Any]:
    return {
        "driver_id": f"DRV-{number:07d}-{place}",
        "name": {"first": chance.choice(FIRST_NAMES), "middle": None, "last": chance.choice(LAST_NAMES)},
        "date_of_birth": f"{chance.randrange(1945, 2006)}-0{chance.randrange(1, 10)}-1{chance.randrange(10)}",
        "relationship": "self" if place == 0 else chance.choice(("spouse", "child", "other")),
        "licence": {
            "number": f"{chance.choice(STATES)}{chance.randrange(10**8):08d}",
            "state": chance.choice(STATES),
            "status": chance.choice(("VALID", "VALID", "VALID", "SUSPENDED", "EXPIRED")),
            "class": chance.choice("CDM"),
            "issued": f"{chance.randrange(2005, 2024)}-0{chance.randrange(1, 10)}-1{chance.randrange(10)}",
            "expires": f"{chance.randrange(2024, 2032)}-0{chance.randrange(1, 10)}-1{chance.randrange(10)}",
        },
        "violations": [
            {
                "code": chance.choice(CODES),
                "date": f"20{chance.randrange(15, 26)}-0{chance.randrange(1, 10)}-0{chance.randrange(1, 10)}",
                "points": chance.randrange(1, 7),
                "fine": {"amount": round(chance.random() * 500, 2), "currency": "USD"},
            }
            for _ in range(chance.choice((0, 0, 0, 1, 1, 2, 3)))
        ],
        "score": round(300 + chance.random() * 550, 1),
    }


def by_hand(record: dict[str, Any]) -> dict[str, Any]:
    """The limit: a dict per record, as a person writes it."""
    household = record["household"]
    policy, address, driver = household["policy"], household["address"], record["drivers"][0]
    licence, violations = driver["licence"], driver["violations"]
    return {
        "record_id": record["record_id"],
        "received_at": record["received_at"],
        "household_id": household["id"],
        "policy_number": policy["number"],
        "premium": policy["premium"],
        "city": address["city"],
        "state": address["state"],
        "zip": address["zip"],
        "email": household["contacts"][0]["value"],
        "driver_id": driver["driver_id"],
        "last_name": driver["name"]["last"],
        "birth_date": driver["date_of_birth"],
        "licence_no": licence["number"],
        "licence_status": licence["status"],
        "first_violation": violations[0]["code"] if violations else None,
    }


def by_hand_as_tuple(record: dict[str, Any]) -> tuple[Any, ...]:
    """A stricter limit: the tuple our rows are."""
    household = record["household"]
    policy, address, driver = household["policy"], household["address"], record["drivers"][0]
    licence, violations = driver["licence"], driver["violations"]
    return (
        record["record_id"],
        record["received_at"],
        household["id"],
        policy["number"],
        policy["premium"],
        address["city"],
        address["state"],
        address["zip"],
        household["contacts"][0]["value"],
        driver["driver_id"],
        driver["name"]["last"],
        driver["date_of_birth"],
        licence["number"],
        licence["status"],
        violations[0]["code"] if violations else None,
    )
