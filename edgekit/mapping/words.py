"""Names of fields taken apart: tokens, what is abbreviated, and what the insurance trade calls one thing."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from functools import lru_cache

from edgekit.mapping import languages

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[^\W\d_]+")

_SHORT = {
    "acc": "account",
    "acct": "account",
    "addr": "address",
    "amt": "amount",
    "bldg": "building",
    "cat": "category",
    "ccy": "currency",
    "cov": "coverage",
    "ctry": "country",
    "cust": "customer",
    "ded": "deductible",
    "desc": "description",
    "dl": "driver license",
    "dob": "birth date",
    "dol": "loss date",
    "drv": "driver",
    "dt": "date",
    "eff": "effective",
    "exp": "expiration",
    "fname": "first name",
    "frst": "first",
    "ins": "insured",
    "lic": "license",
    "licence": "license",
    "lim": "limit",
    "lname": "last name",
    "lob": "line",
    "loc": "location",
    "lst": "last",
    "mdl": "model",
    "mfr": "manufacturer",
    "mk": "make",
    "mod": "model",
    "nbr": "number",
    "nm": "name",
    "no": "number",
    "num": "number",
    "org": "organization",
    "ph": "phone",
    "pol": "policy",
    "prem": "premium",
    "prov": "province",
    "pts": "points",
    "qty": "quantity",
    "ref": "number",
    "reg": "registration",
    "st": "state",
    "tel": "phone",
    "tot": "total",
    "veh": "vehicle",
    "vio": "violation",
    "viol": "violation",
    "yr": "year",
}

_SAME = {
    "accident": "loss",
    "annualised": "annual",
    "annualized": "annual",
    "birthdate": "birth date",
    "birthday": "birth date",
    "born": "birth date",
    "cell": "phone",
    "cellphone": "phone",
    "client": "customer",
    "clientid": "customer number",
    "customerid": "customer number",
    "emailaddress": "email",
    "certificate": "policy",
    "expires": "expiration date",
    "expiry": "expiration",
    "ending": "expiration",
    "end": "expiration",
    "family": "last",
    "firstname": "first name",
    "forename": "first name",
    "given": "first",
    "gwp": "premium",
    "holder": "insured",
    "incept": "effective",
    "inception": "effective",
    "id": "number",
    "identification": "number",
    "identifier": "number",
    "incident": "loss",
    "lastname": "last name",
    "mail": "email",
    "manufactured": "model",
    "mobile": "phone",
    "occurrence": "loss",
    "policyholder": "insured",
    "policyid": "policy number",
    "policynumber": "policy number",
    "postcode": "postal code",
    "start": "effective",
    "street": "address",
    "surname": "last name",
    "telephone": "phone",
    "town": "city",
    "valid": "effective",
    "vehicleid": "vin",
    "yearly": "annual",
    "zip": "postal code",
    "zipcode": "postal code",
}

_DROPPED = frozenset({"of", "the", "a", "in", "is", "for", "full", "and", "on", "at"})
_RARE = {
    "name": 0.5,
    "number": 0.5,
    "code": 0.5,
    "date": 0.6,
    "type": 0.6,
    "status": 0.7,
    "state": 0.9,
}
"""Words so common that sharing them says less."""

_TELLS = 0.85
"""What shared words must weigh at least to say something by themselves."""

UNITS = {
    "km": "kilometres",
    "kms": "kilometres",
    "kilometers": "kilometres",
    "kilometres": "kilometres",
    "mi": "miles",
    "miles": "miles",
    "kg": "kilograms",
    "kilograms": "kilograms",
    "lb": "pounds",
    "lbs": "pounds",
    "pounds": "pounds",
    "kw": "kilowatts",
    "kilowatts": "kilowatts",
    "hp": "horsepower",
    "horsepower": "horsepower",
    "ft": "feet",
    "feet": "feet",
    "metres": "metres",
    "meters": "metres",
    "sqft": "square feet",
    "sqm": "square metres",
    "cents": "minor units",
    "percent": "per cent",
}


@lru_cache(maxsize=4096)
def tokens(name: str) -> tuple[str, ...]:
    """Take a name apart into the trade's words: `DriverLicNo` is driver, license, number."""
    found: list[str] = []
    for part in _WORD.findall(languages.fold(name.replace("#", " number "))):
        word = part.lower()
        known = _SAME.get(word) or _SHORT.get(word)
        foreign = languages.english(word) if known is None else known
        meaning = word if foreign is None else foreign
        found += [one for one in meaning.split() if one not in _DROPPED]
    return tuple(found)


def unit(name: str) -> str | None:
    """Return the unit a name says its values are in."""
    return next((UNITS[part.lower()] for part in _WORD.findall(name) if part.lower() in UNITS), None)


@lru_cache(maxsize=65536)
def likeness(source: str, target: str, about: str) -> float:
    """Say from 0 to 1 how alike two names are; `about` is the table, whose name tells nothing by itself."""
    ours, theirs = tokens(source), tokens(target)
    if not ours or not theirs:
        return 0.0
    if ours == theirs or sorted(ours) == sorted(theirs):
        return 1.0
    topic = set(tokens(about))
    here, there = (_without(ours, topic), _without(theirs, topic))
    if here and here == there:
        return 0.95
    shared = set(here) & set(there)
    together = set(here) | set(there)
    words = sum(map(_weight, shared)) / sum(map(_weight, together)) if together else 0.0
    if sum(map(_weight, shared)) >= _TELLS and set(there) <= set(here) and here[-1] == there[-1]:
        words = max(words, 0.6)  # what is asked for, said more exactly
    if _unnamed(here) == _unnamed(there):
        words = max(words, 0.92)  # a model and a model's name
    if _unsorted(here) == _unsorted(there):
        words = max(words, 0.88)  # a fuel and a fuel's type
    if (here[-1] == "number") != (there[-1] == "number"):
        words *= 0.5  # a number of something is not the thing
    letters = SequenceMatcher(None, "".join(here), "".join(there)).ratio()
    return max(words * 0.9, letters * 0.85 if letters > 0.8 else 0.0)


def is_name_of(source: str, target: str) -> bool:
    """Tell whether one is the name of what the other is, though the table's name is in both."""
    return _unnamed(tokens(source)) == _unnamed(tokens(target)) != ()


def _unnamed(words: tuple[str, ...]) -> tuple[str, ...]:
    return words[:-1] if len(words) > 1 and words[-1] == "name" else words


def _unsorted(words: tuple[str, ...]) -> tuple[str, ...]:
    return words[:-1] if len(words) > 1 and words[-1] in {"type", "class"} else words


def _without(words: tuple[str, ...], topic: set[str]) -> tuple[str, ...]:
    return tuple(word for word in words if word not in topic) or words


def _weight(word: str) -> float:
    return _RARE.get(word, 1.0)
