"""German and Spanish words of the trade in English, and German compounds taken apart."""

from __future__ import annotations

import re
import unicodedata

_GERMAN = """
ablauf expiration|adresse address|anfang effective|anschrift address|ausstellung issue|bank bank
|baujahr model year|beginn effective|beitrag premium|bezeichnung description|bundesland state|datum date
|deckung coverage|eintritt occurrence|ende expiration|erst first|fahrer driver|fahrgestell vehicle
|fahrgestellnummer vin|fahrzeug vehicle|fahrzeugart vehicle type|familien last|familienname last name
|fuehrerschein driver license|geburt birth|geburtsdatum birth date|gesellschaft carrier|haftung liability
|halter owner|handy phone|hersteller make|inhaber holder|jaehrlich annual|jahr year|jahres annual
|karosserie body class|kennwort password|kennzeichen plate|kraftstoff fuel type|kunde customer
|kunden customer|laufzeit term|lizenz license|makler producer|marke make|meldung reported|modell model
|nachname last name|nr number|nummer number|ort city|passwort password|plz postal code|police policy
|policen policy|postleitzahl postal code|praemie premium|praemien premium|schaden claim
|schadendatum loss date|schein certificate|stadt city|strasse address|summe amount|telefon phone|typ type
|verlaengerung renewal|vermittler producer|versicherer carrier|versicherter insured|versicherung policy
|versicherungsnehmer insured|versicherungsschein policy|vertrag policy|vorname first name|waehrung currency
|zahlung payment|zustand state
"""
_SPANISH = """
ano year|anual annual|apellido last name|asegurado insured|bastidor vin|calle address|ciudad city
|cliente customer|codigo code|combustible fuel type|conductor driver|contrasena password|correo email
|direccion address|efecto effective|electronico email|estado state|fecha date|fin expiration|importe amount
|inicio effective|localidad city|marca make|matricula plate|modelo model|moneda currency|movil phone
|municipio city|nacimiento birth|nombre name|numero number|ocurrencia loss|poblacion city|poliza policy
|postal postal|prima premium|provincia state|siniestro claim|telefono phone|tipo type|tomador insured
|vehiculo vehicle|vencimiento expiration
"""
_SILENT = frozenset(
    {"de", "del", "la", "el", "los", "las", "der", "die", "das", "des", "und", "von", "completo"}
)
_LINKS = ("s", "n", "en", "es", "")
_FOLDS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})


def _read(text: str) -> dict[str, str]:
    pairs = (entry.strip().partition(" ") for entry in re.sub(r"\s+", " ", text).split("|"))
    return {word: meaning for word, _, meaning in pairs}


_PARTS = _read(_GERMAN)
_WORDS = {**_read(_SPANISH), **_PARTS}


def fold(name: str) -> str:
    """Write a name without marks: `Prämie` is Praemie, `Póliza` is Poliza."""
    if name.isascii():
        return name
    composed = unicodedata.normalize("NFC", name).translate(_FOLDS)
    marked = unicodedata.normalize("NFKD", composed)
    return "".join(letter for letter in marked if not unicodedata.combining(letter))


_SORTS = ("art", "form", "bezeichnung")
"""How German words end that say no more than what they end."""


def english(word: str) -> str | None:
    """Return a lower-case word in English, `""` where it says nothing, None where it is not known."""
    if word in _SILENT:
        return ""
    plain = next((word.removesuffix(end) for end in _SORTS if word.endswith(end)), "")
    found = _WORDS.get(word) or _WORDS.get(word.removesuffix("s")) or _WORDS.get(plain)
    return found or _compound(word)


def _compound(word: str) -> str | None:
    """Take a German compound apart where known words make all of it, the longest first."""
    for end in range(len(word) - 2, 2, -1):
        first = _PARTS.get(word[:end])
        for link in _LINKS if first else ():
            rest = word[end:].removeprefix(link)
            second = (_PARTS.get(rest) or _compound(rest)) if rest != word[end:] or not link else None
            if second:
                return f"{first} {second}"
    return None
