"""The one chain along which everything that varies by place resolves.

    scope.describe(scope.chain(program="AUTO", user="maria"))
    'system > organization MAIN > program AUTO > user maria'

The levels are the rows of `scope_type`, by their `hierarchy_level`. A level without a table (SYSTEM) gives
one link for everybody, one for each organization above, and one for the organization itself; a level with a
table gives one where its row is known. What is not known drops out. An entity brings its program and
producer.

The organization is the one named, else that of the program, the producer, the entity or the user, in this
order; where none of them has one, that of who works on the file, which is the first for who sees all of it.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from edgekit import cache, db
from edgekit.errors import ConflictError, InvalidError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

Named = int | str
"""A row by its id, or by its code (a user by the name)."""

LEVELS = ("system", "organization", "program", "producer", "entity", "user")
"""What `parse` knows, the broadest first."""


_LABELS = {
    "organization": "code",
    "program": "code",
    "producer": "code",
    "entity": "code",
    "user": "username",
}
TABLES = (*LEVELS[1:], "scope_type", "status")
"""The tables a chain is made of."""

_CHAINS = cache.Region("chains", seconds=cache.CLIENT_SECONDS, tables=TABLES)
_OWNED = ("program", "producer", "entity")


@dataclass(frozen=True, slots=True)
class Link:
    """One link of a chain: rows with this `scope_type_id` and `scope_id` have a say.

    Without `scope_id` the organization must be the very same (None: for everybody). With it, a row of
    `organization_id` counts, else one without an organization: a level prefers the organization's own.
    `level` is the code of the scope type, `rank` its hierarchy level, `label` what people call the link.
    """

    level: str
    rank: int
    scope_type_id: int
    scope_id: int | None
    organization_id: int | None
    label: str


@dataclass(frozen=True, slots=True)
class Place:
    """A level and, where it has rows, which: what `--scope LEVEL[:CODE]` says."""

    level: str
    code: Named | None = None

    def __str__(self) -> str:
        return self.level if self.code is None else f"{self.level}:{self.code}"


def parse(text: str) -> Place:
    """Read `LEVEL[:CODE]`, such as `program:AUTO`. Raise InvalidError saying which levels there are.

    `system` is everybody and takes no code; `organization` without one is the main organization.
    """
    level, colon, code = text.partition(":")
    level, code = level.strip().lower(), code.strip()
    if level not in LEVELS:
        near = difflib.get_close_matches(level, LEVELS, n=1)
        raise InvalidError(
            f"There is no level {level!r}; levels are {', '.join(LEVELS)}.",
            hint=f"Did you mean {near[0]}{colon}{code}?" if near else "For example: program:AUTO",
        )
    if level == "system" and code:
        raise InvalidError("The level system is the whole file and takes no code.", hint="Write: system")
    if level not in {"system", "organization"} and not code:
        raise InvalidError(f"Which {level}?", hint=f"Write {level}:CODE.")
    return Place(level, code or None)


def chain(
    *,
    organization: Named | None = None,
    program: Named | None = None,
    producer: Named | None = None,
    entity: Named | None = None,
    user: Named | None = None,
) -> tuple[Link, ...]:
    """Build the chain of a place, the broadest link first.

    Each may be named by id or by code (a user by username); None drops the link. Raise NotFoundError for a
    row that is not there, ConflictError for a code that several organizations have, InvalidError for rows
    that belong to different organizations. Chains are kept (edgekit.cache).
    """
    place = (organization, program, producer, entity, user)

    def build() -> tuple[Link, ...]:
        given = zip(LEVELS[1:], place, strict=True)
        return _links(_read({kind: key for kind, key in given if key is not None}))

    return _CHAINS.get(place, build)


def find(place: Place | str, *, organization: Named | None = None) -> Link:
    """Find the one link a place means, for writing there.

    Its organization is the one named, else the one its row belongs to (None: shared by all). Raise as
    `parse` and `chain`.
    """
    place = parse(place) if isinstance(place, str) else place
    if place.level == "system" and organization is None:
        return chain()[0]
    if place.level in {"system", "organization"}:
        code = next(code for code in (place.code, organization, main_organization()) if code is not None)
        links = _links(_read({"organization": code}))
        return [link for link in links if link.scope_type_id == links[0].scope_type_id][-1]
    given: dict[str, Any] = {place.level: place.code}
    if organization is not None:
        given["organization"] = organization
    known = _read(given)
    row = known.rows[place.level]
    level = next((level for level in known.levels if level[3] == place.level), None)
    if level is None:
        raise InvalidError(f"The level {place.level} is switched off.", hint="See: edgekit scope-types list")
    owner = known.rows["organization"].id if organization is not None else row.organization_id
    return _scoped(level, row, owner)


def main_organization() -> int:
    """Return the organization meant where none is named: the user's; the first for who sees all."""
    return db.current().session.organization_id


class _Row(NamedTuple):
    kind: str
    id: int
    label: str
    organization_id: int | None
    program_id: int | None
    producer_id: int | None


class _Known(NamedTuple):
    """What one statement found: the rows, one of each kind, the organizations outwards, the levels."""

    rows: dict[str, _Row]
    outwards: list[tuple[int, str]]
    levels: list[tuple[int, str, int, str | None]]


def _read(given: dict[str, Named]) -> _Known:
    shape = tuple((kind, isinstance(key, int)) for kind, key in given.items())
    found = db.connection().execute(_statement(shape, main_organization()), tuple(given.values())).fetchall()
    rows: dict[str, list[_Row]] = {}
    above: dict[int, tuple[str, int | None]] = {}
    levels = []
    for kind, key, label, first, second, third in found:
        if kind == "level":
            levels.append((key, label, first, second))
        elif kind == "above":
            above[key] = (label, first)
        else:
            rows.setdefault(kind, []).append(_Row(kind, key, label, first, second, third))
    missing = [kind for kind in given if kind not in rows]
    if missing:
        return _read(_by_id(given, missing[0]))
    one = _choose(rows)
    organization = _organization(one, above)
    outwards = []
    while organization in above:  # popped, so that no ring could hold us
        label, upper = above.pop(organization)
        outwards.append((organization, label))
        organization = upper
    return _Known(one, outwards[::-1], sorted(levels, key=lambda level: level[2]))


@lru_cache(maxsize=256)
def _statement(shape: tuple[tuple[str, bool], ...], main: int) -> str:
    """Write the statement for what is given, each by id or by name."""
    named = []
    for kind, is_id in shape:
        label = _LABELS[kind]
        owner = "id" if kind == "organization" else "organization_id"
        brings = "program_id, producer_id" if kind == "entity" else "NULL, NULL"
        column = "id" if is_id else label
        named.append(f"SELECT '{kind}', id, {label}, {owner}, {brings} FROM {kind} WHERE {column} = ?")
    first = " UNION ALL ".join(named) or "SELECT NULL, NULL, NULL, NULL, NULL, NULL WHERE 0"
    brought = "".join(
        f" UNION ALL SELECT 'its {kind}', b.id, b.code, b.organization_id, NULL, NULL"
        f" FROM named n JOIN {kind} b ON b.id = n.{kind}_id"
        for kind in ("program", "producer")
        if any(kind == "entity" for kind, _ in shape)
    )
    return (
        f"WITH RECURSIVE named(kind, id, label, organization_id, program_id, producer_id) AS ({first}),"
        f" thing AS (SELECT * FROM named{brought}), above(id, code, upper) AS ("
        " SELECT id, code, parent_organization_id FROM organization"
        f" WHERE id IN (SELECT organization_id FROM thing UNION ALL SELECT {main})"
        " UNION SELECT o.id, o.code, o.parent_organization_id"
        " FROM above a JOIN organization o ON o.id = a.upper)"
        " SELECT * FROM thing"
        " UNION ALL SELECT 'above', id, code, upper, NULL, NULL FROM above"
        " UNION ALL SELECT 'level', t.id, t.code, t.hierarchy_level, t.table_name, NULL FROM scope_type t"
        " JOIN status s ON s.id = t.status_id AND s.is_active = 1"
    )


def _by_id(given: dict[str, Named], kind: str) -> dict[str, Named]:
    """Read digits that are no code as an id; else say what is missing and what comes close."""
    key = given[kind]
    if isinstance(key, str) and key.isdecimal() and len(key) < 19:
        return {**given, kind: int(key)}
    column = _LABELS[kind]
    known = [name for (name,) in db.connection().execute(f"SELECT {column} FROM {kind} ORDER BY id")]
    by_fold = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(str(key).casefold(), by_fold, n=2)
    hint = f"See: edgekit {'entities' if kind == 'entity' else kind + 's'} list"
    raise NotFoundError(
        f"There is no {kind} {key}.",
        hint=f"Did you mean {' or '.join(by_fold[name] for name in near)}?" if near else hint,
    )


def _choose(rows: dict[str, list[_Row]]) -> dict[str, _Row]:
    """Take one row of each kind: of a code that several organizations have, the one of the others' own."""
    organizations = {found[0].organization_id for found in rows.values() if len(found) == 1} - {None}
    one = {}
    for kind, found in rows.items():
        fitting = [row for row in found if row.organization_id in organizations] if len(found) > 1 else found
        if len(fitting) != 1:
            raise ConflictError(
                f"Several organizations have a {kind} {found[0].label}.",
                hint="Name the organization as well.",
            )
        one[kind] = fitting[0]
    for kind in ("program", "producer"):
        brought = one.pop(f"its {kind}", None)
        if brought is not None and one.setdefault(kind, brought).id != brought.id:
            raise InvalidError(
                f"The entity {one['entity'].label} belongs to the {kind} {brought.label},"
                f" not to {one[kind].label}."
            )
    return one


def _organization(rows: dict[str, _Row], above: dict[int, tuple[str, int | None]]) -> int | None:
    """Say whose place it is, all of whose rows must belong to it."""
    order = [kind for kind in ("organization", *_OWNED, "user") if kind in rows]
    owners = {kind: rows[kind].organization_id for kind in order}
    organization = next((owner for owner in owners.values() if owner is not None), main_organization())
    for kind in _OWNED:
        # A user may be of another one: somebody of the head office, at work for a branch.
        if owners.get(kind) not in {organization, None}:
            code = above[organization][0] if organization in above else organization
            label = rows[kind].label
            raise InvalidError(f"The {kind} {label} does not belong to the organization {code}.")
    return organization


def _links(known: _Known) -> tuple[Link, ...]:
    links = []
    own = known.outwards[-1][0] if known.outwards else None
    for key, level, rank, table in known.levels:
        if table is None:
            links.append(Link(level, rank, key, None, None, "system" if level == "SYSTEM" else level.lower()))
            links += [
                Link(level, rank, key, None, id_, f"organization {code}") for id_, code in known.outwards
            ]
        elif (row := known.rows.get(table)) is not None:
            owner = row.organization_id if row.organization_id is not None else own
            links.append(_scoped((key, level, rank, table), row, owner))
    if not links:
        raise InvalidError(
            "The level SYSTEM is switched off, and no other is meant: nothing can be looked up.",
            hint="Switch it on: edgekit scope-types set SYSTEM status=ACTIVE",
        )
    return tuple(links)


def _scoped(level: tuple[int, str, int, str | None], row: _Row, owner: int | None) -> Link:
    key, code, rank, _ = level
    return Link(code, rank, key, row.id, owner, f"{code.lower()} {row.label}")


def describe(links: Sequence[Link]) -> str:
    """Say a chain in one line: `system > organization MAIN > program AUTO`."""
    return " > ".join(link.label for link in links)


def join(how: str | None, broader: Any, narrower: Any) -> Any:
    """Merge two values of a key: what is not of the kind a merge is for replaces what was there."""
    if how == "append" and isinstance(broader, list) and isinstance(narrower, list):
        return [*broader, *narrower]
    if how == "deep" and isinstance(narrower, dict):
        return _patch(broader, narrower)
    return narrower


def _patch(target: Any, patch: dict[str, Any]) -> dict[str, Any]:
    """Merge as JSON Merge Patch (RFC 7396) says and SQLite's json_patch does: null takes a member out."""
    found = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = _patch(found.get(key), value) if isinstance(value, dict) else value
    return found
