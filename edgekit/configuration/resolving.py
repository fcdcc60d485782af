"""Working out what counts at a place: one statement for the documents along the chain, merged key by key."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from edgekit import cache, codec, db, scope
from edgekit.configuration.kinds import find_type, near
from edgekit.errors import NotFoundError, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from edgekit.configuration.kinds import Kind
    from edgekit.scope import Link, Named

_RESOLVED = cache.Region(
    "configuration",
    seconds=cache.CLIENT_SECONDS,
    tables=(*scope.TABLES, "configuration", "configuration_type"),
)
_QUERIES = cache.Region("documents of a chain", seconds=cache.CLIENT_SECONDS, tables=scope.TABLES)
_MISSING: Any = object()
_CONTAINERS = frozenset({dict, list})


class Document(NamedTuple):
    """What is set at one link of a chain, which is the `place`-th: the stored document, as of its version."""

    place: int
    link: Link
    id: int
    organization_id: int | None
    version: int
    status_id: int
    text: str

    @property
    def content(self) -> dict[str, Any]:
        """The keys it sets, for reading only."""
        return _parse(self.text)


def resolve(
    kind: str,
    *,
    organization: Named | None = None,
    program: Named | None = None,
    producer: Named | None = None,
    entity: Named | None = None,
    user: Named | None = None,
) -> dict[str, Any]:
    """Return every key of a type as it counts at a place, the schema's defaults included.

    The answer is the caller's own. Nothing of a retired type counts. Raise NotFoundError (the type, or a row
    of the place), and as `scope.chain`.
    """
    key = (kind, organization, program, producer, entity, user)
    kept = _RESOLVED.peek(key)
    copy, content = kept[0] if kept is not None else _RESOLVED.get(key, lambda: work_out(*key))
    found: dict[str, Any] = copy(content)
    return found


def get(
    kind: str,
    key: str,
    *,
    default: Any = _MISSING,
    organization: Named | None = None,
    program: Named | None = None,
    producer: Named | None = None,
    entity: Named | None = None,
    user: Named | None = None,
) -> Any:
    """Return one key of a type as it counts at a place, named as for `resolve`.

    Raise NotFoundError where nobody sets it and no `default` is given, and as `resolve`.
    """
    place = (kind, organization, program, producer, entity, user)
    kept = _RESOLVED.peek(place)
    _, content = kept[0] if kept is not None else _RESOLVED.get(place, lambda: work_out(*place))
    value = content.get(key, default)
    if value is _MISSING:
        raise _unset(find_type(kind), key, content, scope.chain(
            organization=organization, program=program, producer=producer, entity=entity, user=user
        ))  # fmt: skip
    return _copied(value) if type(value) in _CONTAINERS else value


def _unset(kind: Kind, key: str, content: Mapping[str, Any], links: Sequence[Link]) -> NotFoundError:
    """Say that nobody sets a key, or that there is none of this name."""
    if key in kind.keys:
        return NotFoundError(
            f"{kind.code} {key} is not set for {links[-1].label}, and has no default.",
            hint=f"Set it: edgekit configuration set {kind.code} {quoted(key)} VALUE",
        )
    known = {*kind.keys, *content}
    return NotFoundError(
        f"{kind.code} has no key {key}.",
        hint=near(key, known, f"Keys are {', '.join(sorted(known))}." if known else None),
    )


def work_out(
    kind: str,
    organization: Named | None,
    program: Named | None,
    producer: Named | None,
    entity: Named | None,
    user: Named | None,
) -> tuple[Callable[[dict[str, Any]], dict[str, Any]], dict[str, Any]]:
    """Resolve a type at a place from the file; return how the answer is copied, and the answer."""
    place = (organization, program, producer, entity, user)
    kept = _QUERIES.peek(place)
    query: _Query = kept[0] if kept is not None else _QUERIES.get(place, lambda: _query_at(*place))
    found = find_type(kind)
    if not found.is_active:
        return dict, {}
    content = _plain(found, query)
    if content is None:
        content = merge(found, counting(found, query.links))
    is_flat = _CONTAINERS.isdisjoint(map(type, content.values()))
    return (dict if is_flat else _copy), content


def _copy(content: dict[str, Any]) -> dict[str, Any]:
    return {key: _copied(value) for key, value in content.items()}


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return _copy(value)
    return [_copied(item) for item in value] if isinstance(value, list) else value


class _Query(NamedTuple):
    """What reads the documents of a chain, after the id of the type: `short` without what tells two apart."""

    links: Sequence[Link]
    short: str
    full: str
    params: tuple[int | None, ...]


def _query_at(
    organization: Named | None,
    program: Named | None,
    producer: Named | None,
    entity: Named | None,
    user: Named | None,
) -> _Query:
    return _query(scope.chain(
        organization=organization, program=program, producer=producer, entity=entity, user=user
    ))  # fmt: skip


def _query(links: Sequence[Link]) -> _Query:
    """Write one look-up by index for each link, the broadest first."""
    parts, params = [], list[int | None]()
    for number, link in enumerate(links):
        if link.scope_id is None:
            where = "scope_id IS NULL AND organization_id IS ?"
            params.append(link.organization_id)
        else:
            where = "scope_id = ? AND (organization_id = ? OR organization_id IS NULL)"
            params += (link.scope_id, link.organization_id)
        parts.append(
            f"SELECT {number}, status_id, config_data{{}} FROM configuration"
            f" WHERE configuration_type_id = ?1 AND scope_type_id = {link.scope_type_id} AND {where}"
        )
    short = " UNION ALL ".join(part.format("") for part in parts)
    full = " UNION ALL ".join(part.format(", id, organization_id, version") for part in parts)
    return _Query(links, short, full, tuple(params))


def _plain(kind: Kind, query: _Query) -> dict[str, Any] | None:
    """Resolve the common case at once: nothing merged or locked, and at most one document to a link."""
    if kind.merges or kind.finals:
        return None
    content = dict(kind.defaults)
    states, last = kind.active_states, -1
    for place, status_id, text in db.connection().execute(query.short, (kind.id, *query.params)).fetchall():
        if place == last:
            return None
        last = place
        if status_id in states:
            content.update(_parse(text))
    return content


def documents(kind: Kind, links: Sequence[Link]) -> list[Document]:
    """Read every document the links find, counting or not, those of the broadest link first."""
    query = _query(links)
    return [
        Document(n, links[n], key, owner, version, state, text)
        for n, state, text, key, owner, version in db.connection().execute(
            query.full, (kind.id, *query.params)
        )
    ]


@lru_cache(maxsize=1024)
def _parse(text: str) -> dict[str, Any]:
    """Parse a document; the same text is the same document, so it is kept whatever is committed."""
    found: dict[str, Any] = json.loads(text)
    return found


def counting(kind: Kind, links: Sequence[Link]) -> list[Document]:
    """Choose the one document that counts of each link, the broadest first.

    That is an active one: the organization's own before one for all, then the highest version.
    """
    best: dict[int, Document] = {}
    states = kind.active_states
    for document in documents(kind, links):
        if document.status_id in states:
            other = best.setdefault(document.place, document)
            if other is not document and order(document) > order(other):
                best[document.place] = document
    return list(best.values())


def order(document: Document) -> tuple[bool, int, int]:
    """Say what comes first among the documents of one link."""
    return (document.organization_id is not None, document.version, document.id)


def merge(kind: Kind, found: Iterable[Document]) -> dict[str, Any]:
    """Lay the documents over the defaults, the narrower over the broader."""
    content = dict(kind.defaults)
    for document in found:
        _lay(kind, content, document.link, document.content)
    return content


def _lay(kind: Kind, content: dict[str, Any], link: Link, own: Mapping[str, Any]) -> None:
    for key, value in own.items():
        if not kind.locks(key, link):
            below = content.get(key, _MISSING)
            content[key] = value if below is _MISSING else scope.join(kind.merges.get(key), below, value)


def changed_keys(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the keys two documents say differently: 1, 1.0 and true are three values."""

    def said(content: Mapping[str, Any], key: str) -> str | None:
        return codec.canonical(content[key]) if key in content else None

    return tuple(key for key in sorted({*before, *after}) if said(before, key) != said(after, key))
