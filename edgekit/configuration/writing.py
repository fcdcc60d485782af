"""Setting and taking back a key: checked against the schema, a version each time, and an event with it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import codec, db, events, masking, scope
from edgekit.configuration.kinds import find_type, near
from edgekit.configuration.logged import deleted
from edgekit.configuration.resolving import changed_keys, counting, documents
from edgekit.errors import DeniedError, InvalidError, NotFoundError, quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from edgekit.configuration.kinds import Kind
    from edgekit.configuration.resolving import Document
    from edgekit.scope import Link, Named, Place

EVENT = "configuration.changed"
MOST_LEVELS = 64
"""So deep a value may be nested: what is deeper no program reads, nor every tool."""
_TO_THE_VAULT = "Secrets belong in the vault: edgekit vault set INTEGRATION KEY"


@dataclass(frozen=True, slots=True)
class Written:
    """What a write left: the document's version, and which keys it changed (none: it said so already)."""

    type: str
    scope: str
    version: int
    keys: tuple[str, ...]


def set(  # noqa: A001 - used qualified
    kind: str, key: str, value: Any, *, scope: Place | str = "system", organization: Named | None = None
) -> Written:
    """Set one key of a type at a place (`program:AUTO`), as the next version of what is set there.

    `organization` says whose setting it is where the place alone does not. Raise NotFoundError (type, place),
    InvalidError (what the schema does not allow, a level the type has not, a name like a secret's),
    DeniedError where the key is locked further up.
    """
    found = find_type(kind)
    with db.change(reason=f"configuration set {found.code} {key}"):
        link = _link(scope, organization)
        content = {**content_at(found, link), key: value}
        return write(found, link, content)


def unset(
    kind: str, key: str, *, scope: Place | str = "system", organization: Named | None = None
) -> Written:
    """Take one key back at a place, so that what is set further up counts again.

    Raise NotFoundError where the key is not set there, and as `set`.
    """
    found = find_type(kind)
    with db.change(reason=f"configuration unset {found.code} {key}"):
        link = _link(scope, organization)
        content = content_at(found, link)
        if key not in content:
            there = f"Set there: {', '.join(sorted(content))}." if content else "Nothing is set there."
            raise NotFoundError(
                f"{found.code} {key} is not set for {link.label}.", hint=near(key, content, there)
            )
        del content[key]
        return write(found, link, content)


def _link(place: Place | str, organization: Named | None) -> Link:
    return scope.find(place, organization=organization)


def read_value(text: str) -> Any:
    """Read a value as people type it: JSON if it is that, else the text itself."""
    try:
        return codec.loads(text)
    except InvalidError:
        return text


def content_at(kind: Kind, link: Link) -> dict[str, Any]:
    """Return what is set at one link alone."""
    found = counting(kind, [link])
    content: dict[str, Any] = (
        json.loads(found[0].text) if found else {}
    )  # the caller's own: `content` is kept
    return content


def write(kind: Kind, link: Link, content: Mapping[str, Any]) -> Written:
    """Write a document as the next version at a link, and tell its event; the caller has the change open.

    What differs from what is set there is checked; what is so already is not written.
    """
    there = counting(kind, [link])
    old = there[0].content if there else {}
    keys = changed_keys(old, content)
    if not keys:
        return Written(kind.code, link.label, there[0].version if there else 0, ())
    check(kind, link, old, content, keys)
    text = codec.dumps(dict(content))
    key, version = _update(there[0], text) if there else _insert(kind, link, text)
    _tell(kind, link, key, version, keys)
    return Written(kind.code, link.label, version, keys)


def _update(document: Document, text: str) -> tuple[int, int]:
    database = db.current()
    change = database.open_change
    database.connection().execute(
        "UPDATE configuration SET config_data = ?, version = ?, updated_by = ?, updated_at = ? WHERE id = ?",
        (text, document.version + 1, database.actor_id, change.at if change else None, document.id),
    )
    return document.id, document.version + 1


def _insert(kind: Kind, link: Link, text: str) -> tuple[int, int]:
    """Put the first document in, or the next after those that were retired or deleted."""
    live = (document.version for document in documents(kind, [link]))
    version = 1 + max([0, *live, *(row["version"] for row in deleted(kind, link))])
    cursor = db.connection().execute(
        "INSERT INTO configuration(configuration_type_id, scope_type_id, scope_id, organization_id,"
        " config_data, version, created_by) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            kind.id,
            link.scope_type_id,
            link.scope_id,
            link.organization_id,
            text,
            version,
            db.current().actor_id,
        ),
    )
    return int(cursor.lastrowid or 0), version


def _tell(kind: Kind, link: Link, key: int, version: int, keys: Collection[str]) -> None:
    """Put the event into the outbox. It names the keys; values are read where they count."""
    payload = {
        "type": kind.code,
        "scope": link.level,
        "scope_id": link.scope_id,
        "organization_id": link.organization_id,
        "configuration_id": key,
        "version": version,
        "keys": list(keys),
    }
    events.emit(
        EVENT, payload, source="CONFIGURATION", target=kind.code, organization_id=link.organization_id
    )


# --------------------------------------------------------------------------------------- what may be set


def check(
    kind: Kind, link: Link, old: Mapping[str, Any], content: Mapping[str, Any], keys: Collection[str]
) -> None:
    """Raise InvalidError or DeniedError for what may not be set at a link, naming the key and what may."""
    place = link.label.split()[0]
    if place not in kind.levels and link.level in {level.upper() for level in scope.LEVELS}:
        raise InvalidError(
            f"{kind.code} is not set for a {place}.", hint=f"Its levels are {', '.join(kind.levels)}."
        )
    for key in keys:
        if key in content:
            _check_key(kind, link, key, content[key])
    _check_values(kind, old, content)


def _check_key(kind: Kind, link: Link, key: str, value: Any) -> None:
    if kind.locks(key, link):
        raise DeniedError(
            f"{kind.code} {key} is locked at the level {kind.finals[key]}: not to be set for {link.label}.",
            hint=f"What counts: edgekit configuration explain {kind.code} {quoted(key)}",
        )
    rule = kind.schema["properties"][key] if key in kind.keys else None
    is_marked = isinstance(rule, dict) and (
        rule.get("writeOnly") is True or rule.get("secret") is True or rule.get("format") == "password"
    )
    if is_marked:
        raise InvalidError(f"{kind.code} {key} is a secret.", hint=_TO_THE_VAULT)
    if not kind.is_active:
        raise InvalidError(
            f"{kind.code} is retired: nothing of it counts.",
            hint=f"Take it up again: edgekit configuration-types set {kind.code} status=ACTIVE",
        )
    if not key:
        raise InvalidError(f"A key of {kind.code} has a name.")
    if _is_deeper(value, MOST_LEVELS):
        raise InvalidError(f"{kind.code} {key} is nested in more than {MOST_LEVELS} levels.")
    for name, item in _items(key, value):
        if isinstance(item, int) and not -(2**63) <= item < 2**63:
            raise InvalidError(f"{kind.code}: {name} is beyond the largest whole number the file can hold.")
        if masking.ends_in_secret(name):
            raise InvalidError(f"{kind.code}: {name} is named like a secret.", hint=_TO_THE_VAULT)
        if isinstance(item, str) and masking.holds_secret(item):
            raise InvalidError(f"{kind.code}: {name} holds a secret in an address.", hint=_TO_THE_VAULT)
    if kind.is_closed and key not in kind.keys:
        known = f"Keys are {', '.join(kind.keys)}."
        raise InvalidError(f"{kind.code} has no key {key}.", hint=near(key, kind.keys, known))


def _is_deeper(value: Any, levels: int) -> bool:
    """Tell whether lists and objects stand in each other more often than that."""
    inner = [value]
    for _ in range(levels + 1):
        containers = [one for one in inner if isinstance(one, dict | list)]
        if not containers:
            return False
        inner = [item for one in containers for item in (one.values() if isinstance(one, dict) else one)]
    return True


def _items(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Give a key and every name inside its value, with what stands there; true and false are no secret."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _items(name, inner)
    elif value is not None and not isinstance(value, bool):
        yield key, value
        for inner in value if isinstance(value, list) else ():
            yield from _items(key, inner)


def _check_values(kind: Kind, old: Mapping[str, Any], content: Mapping[str, Any]) -> None:
    """Check a document as far as it changes: what stood there already may wait."""
    if not kind.schema:
        return
    from edgekit import validate

    # A document sets some keys only: which must be there is for what counts in the end.
    schema = {word: rule for word, rule in kind.schema.items() if word not in {"required", "minProperties"}}
    validator = validate.compile(schema)
    if validator.is_valid(content):
        return
    known = {str(finding) for finding in validator.errors(old)}
    fresh = [finding for finding in validator.errors(content) if str(finding) not in known]
    if fresh:
        key = re.split(r"[.\[]", fresh[0].path)[0]
        raise InvalidError(f"{kind.code} {fresh[0]}.", hint=_allowed(kind, key) if key in kind.keys else None)


def _allowed(kind: Kind, key: str) -> str:
    """Say in words what the schema allows of a key."""
    rule = kind.schema["properties"][key]
    names = {"array": "a list", "boolean": "true or false", "integer": "a whole number", "number": "a number",
             "object": "an object", "string": "text", "null": "null"}  # fmt: skip
    kinds = rule.get("type", [])
    words = [
        " or ".join(names.get(one, one) for one in ([kinds] if isinstance(kinds, str) else kinds))
        or "a value"
    ]
    words += [f"one of {', '.join(map(str, rule['enum']))}"] if "enum" in rule else []
    for word, said in (("minimum", "at least"), ("maximum", "at most"), ("minLength", "from length"),
                       ("maxLength", "up to length"), ("pattern", "like")):  # fmt: skip
        words += [f"{said} {rule[word]}"] if word in rule else []
    if kinds == "string":
        words.append("a number as text in quotes: '\"12\"'")
    return f"{key} is {', '.join(words)}."
