"""What a driver verification service would know of the households in the demo's book, and where it is wrong.

Everything follows from the book: the same household is answered the same way in every process. What is said
of a driver's licence depends on that licence alone: one who is on two policies is twice told of the same.
"""

from __future__ import annotations

import csv
import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any
from zlib import crc32

from edgekit import schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

UNDISCLOSED_EVERY = 12
"""One household in so many has a member the agency was never told of."""

NO_LICENSE = ("PA-1056", "PA-1200")
"""Households whose undisclosed member comes without a licence number."""

POINTS_NOT_A_NUMBER = ("PA-1041", "PA-1188")
IMPOSSIBLE_DATE = ("PA-1102",)
NOT_AN_OBJECT = ("PA-1062",)
"""Households in front of whose first driver the list of drivers holds a bare text."""

_VIOLATIONS = (("S92", 3), ("M14", 2), ("B51", 4), ("M34", 2), ("A20", 8))  # ACD codes, with points of ours
_FIRST_NAMES = ("Aidan", "Beatriz", "Connor", "Dévon", "Élise", "Finn", "Gabriela", "Hugo", "Isla", "Joaquín")

Record = dict[str, Any]


@cache
def answers() -> Mapping[str, tuple[bytes, ...]]:
    """Return the JSON of every driver of every household, by policy number, ready to be put into pages."""
    return {policy: tuple(_encoded(policy, drivers)) for policy, drivers in _households().items()}


def _encoded(policy: str, drivers: list[Record]) -> Iterator[bytes]:
    for place, driver in enumerate(drivers):
        text = json.dumps(driver, ensure_ascii=False, separators=(",", ":"))
        if place == 0 and policy in NOT_AN_OBJECT:
            # Two elements in one: the broken one stays with its neighbour, on whatever page that comes.
            text = f'"TIMEOUT: household {policy} was read in part",{text}'
        yield text.encode()


def _households() -> dict[str, list[Record]]:
    named = _book()
    taken = {driver["license"]["number"] for drivers in named.values() for driver in drivers}
    for place, (policy, drivers) in enumerate(named.items(), 1):
        head = drivers[0] if drivers else None
        if head is not None and place % UNDISCLOSED_EVERY == UNDISCLOSED_EVERY // 2 + 2:
            drivers.append(_undisclosed(policy, head, taken))
        _spoil(policy, drivers)
    return named


def _spoil(policy: str, drivers: list[Record]) -> None:
    if policy in POINTS_NOT_A_NUMBER:
        drivers[0]["violations"] = [{"code": "S92", "date": "2024-07-19", "points": "n/a"}]
    if policy in IMPOSSIBLE_DATE:
        drivers[0]["date_of_birth"] = "1985-13-01"
    if policy in NO_LICENSE:
        drivers[-1]["license"]["number"] = None


def _book() -> dict[str, list[Record]]:
    """Read the drivers the agency knows of; a ragged line, or one without a licence, names nobody."""
    households: dict[str, list[Record]] = {}
    seen: set[tuple[str, str]] = set()
    path = schema.seed_folder() / "demo" / "book.csv"
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            drivers = households.setdefault(line["policy_number"], [])
            number = line["license_number"]
            if None in line or not number or (line["policy_number"], number) in seen:
                continue
            seen.add((line["policy_number"], number))
            drivers.append(_from_line(line, first=not drivers))
    return households


def _from_line(line: Mapping[str, str], *, first: bool) -> Record:
    month, day, year = line["date_of_birth"].split("/")
    # The service knows a name that the agency left out.
    last = line["driver_last_name"] or line["insured_name"].split()[-1]
    relationship = "NAMED_INSURED" if first else "SPOUSE" if int(year) < 2000 else "CHILD"
    return _record(
        line["policy_number"], line["driver_first_name"], last, f"{year}-{month}-{day}",
        line["license_number"], line["license_state"], relationship,
    )  # fmt: skip


def _record(
    policy: str, first: str, last: str, born: str, number: str, state: str, relationship: str
) -> Record:
    draw = _draw(f"{state}{number}")
    standing = draw(50)
    status = "SUSPENDED" if standing == 0 else "EXPIRED" if standing <= 2 else "VALID"
    expires = f"{2025 if status == 'EXPIRED' else 2027 + draw(4)}-{1 + draw(12):02d}-{1 + draw(28):02d}"
    count = 2 if status == "SUSPENDED" else 1 if draw(6) == 0 else 0
    return {
        "policy_number": policy,
        "name": {"first": first, "middle": "ABCDEJLMRST"[draw(11)] if draw(2) else None, "last": last},
        "date_of_birth": born,
        "license": {"number": number, "state": state, "status": status, "class": "D", "expires": expires},
        "relationship": relationship,
        "violations": [_violation(draw) for _ in range(count)],
        "reported_at": f"2026-02-{1 + draw(28):02d}T{6 + draw(12):02d}:{draw(60):02d}:00Z",
    }


def _violation(draw: Callable[[int], int]) -> Record:
    code, points = _VIOLATIONS[draw(len(_VIOLATIONS))]
    return {"code": code, "date": f"{2023 + draw(3)}-{1 + draw(12):02d}-{1 + draw(28):02d}", "points": points}


def _undisclosed(policy: str, head: Record, taken: set[str]) -> Record:
    """Invent somebody who lives there and drives, with a licence nobody in the book has."""
    draw = _draw(policy)
    pattern = head["license"]["number"]
    while (number := re.sub(r"\d", lambda _: str(draw(10)), pattern)) in taken:
        pass
    taken.add(number)
    first, last = _FIRST_NAMES[draw(len(_FIRST_NAMES))], head["name"]["last"]
    born = f"{2001 + draw(7)}-{1 + draw(12):02d}-{1 + draw(28):02d}"
    return _record(policy, first, last, born, number, head["license"]["state"], "CHILD")


def _draw(seed: str) -> Callable[[int], int]:
    """Return a drawer of numbers below a limit, the same in every process and every Python."""
    turn = 0

    def draw(limit: int) -> int:
        nonlocal turn
        turn += 1
        return crc32(f"{turn}:{seed}:{turn}".encode()) % limit

    return draw
