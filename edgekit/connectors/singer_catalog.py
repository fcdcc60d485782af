"""The catalog of a tap: what streams and fields it has, and which of them are taken.

As a setting it holds the stream that is taken, and what is selected of it as Singer writes it: metadata by
breadcrumb. Its JSON Schema stands there as text: a field may be called like a secret, a setting may not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import codec
from edgekit.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["streams"],
    "properties": {
        "streams": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tap_stream_id"],
                "properties": {
                    "tap_stream_id": {"type": "string"},
                    "stream": {"type": "string"},
                    "schema": {"type": ["object", "string"]},
                    "metadata": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["breadcrumb", "metadata"],
                            "properties": {
                                "breadcrumb": {"type": "array"},
                                "metadata": {"type": "object"},
                            },
                        },
                    },
                },
            },
        }
    },
    "description": "The streams and fields that are taken, as Singer writes it: edgekit integrations select.",
}

METHODS = {"full": "FULL_TABLE", "incremental": "INCREMENTAL"}


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream a tap has. `replication` is as the tap says it; `automatic` fields always come."""

    stream: str
    selected: bool
    key: tuple[str, ...]
    replication: str | None
    replication_keys: tuple[str, ...]
    fields: dict[str, str]
    automatic: tuple[str, ...]
    excluded: tuple[str, ...]


def streams(catalog: Mapping[str, Any], chosen: Mapping[str, Any] | None = None) -> list[Stream]:
    """List the streams of a discovered catalog, with what `chosen`, a stored selection, takes of them."""
    taken = {_name(entry): entry for entry in (chosen or {}).get("streams", [])}
    found = []
    for entry in catalog["streams"]:
        known = taken.get(_name(entry))
        root = _root(entry)
        method = entry.get("replication_method") or _first(
            root, "forced-replication-method", "replication-method"
        )
        keys = root.get("valid-replication-keys") or [
            entry.get("replication_key") or root.get("replication-key")
        ]
        found.append(
            Stream(
                _name(entry),
                known is not None,
                _key(known or entry),
                method,
                tuple(str(key) for key in keys if key),
                _types(entry),
                _automatic(entry),
                tuple(sorted(_left_out(known))) if known else (),
            )
        )
    return found


def select(
    catalog: Mapping[str, Any],
    stream: str,
    *,
    fields: Sequence[str] = (),
    exclude: Sequence[str] = (),
    replication: str | None = None,
    replication_key: str | None = None,
    key: Sequence[str] = (),
    legacy: bool = False,
) -> dict[str, Any]:
    """Return the catalog to be stored for one stream: all its fields, only some, or all but some.

    Fields the tap always gives stay. `legacy` writes the choice into the schema too, for taps that take
    --properties. Raise NotFoundError (stream), InvalidError (a field, a replication it cannot do).
    """
    by_name = {_name(entry): entry for entry in catalog["streams"]}
    if stream not in by_name:
        raise NotFoundError(f"The tap has no stream {stream}.", hint=f"It has: {', '.join(by_name)}.")
    entry: dict[str, Any] = json.loads(json.dumps(by_name[stream]))
    known, automatic = _types(entry), set(_automatic(entry)) | set(key)
    for name in (*fields, *exclude, *key, *([replication_key] if replication_key else [])):
        if name not in known:
            raise InvalidError(f"{stream} has no field {name}.", hint=f"It has: {', '.join(known)}.")
    if both := sorted(automatic & set(exclude)):
        raise InvalidError(f"{stream}: {both[0]} always comes; it cannot be left out.")
    unfit = {name for name in known if _of(entry, name).get("inclusion") == "unsupported"}
    if lost := sorted(unfit & set(fields)):
        raise InvalidError(f"{stream}: the tap cannot give {lost[0]}.")
    root = _replicated(entry, stream, replication, replication_key)
    root["selected"] = True
    if replication_key or root.get("replication-key"):
        automatic.add(str(replication_key or root.get("replication-key")))
    wanted = (set(fields) or set(known)) - set(exclude) - unfit | automatic
    if key:
        entry["key_properties"] = list(key)
        root["table-key-properties"] = list(key)
    others = [{"breadcrumb": [], "metadata": root}]
    others += [
        {"breadcrumb": ["properties", name], "metadata": {**_of(entry, name), "selected": name in wanted}}
        for name in known
    ]
    schema = entry.get("schema") or {}
    if legacy:
        schema["selected"] = True
        for name, kind in schema.get("properties", {}).items():
            kind["selected"] = name in wanted
    entry |= {"metadata": others, "schema": codec.dumps(schema)}
    return {"streams": [entry]}


def unpacked(catalog: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored catalog as the tap wants it. Raise InvalidError for a schema that is no JSON."""
    found = []
    for entry in catalog["streams"]:
        schema = entry.get("schema", {})
        found.append({**entry, "schema": codec.loads(schema) if isinstance(schema, str) else schema})
    return {**catalog, "streams": found}


def left_out(catalog: Mapping[str, Any] | None, stream: str | None) -> frozenset[str]:
    """Name the fields of a stream that were not selected: they never get further than the connector."""
    for entry in (catalog or {}).get("streams", []):
        if stream is None or stream in {entry.get("stream"), entry.get("tap_stream_id")}:
            return _left_out(entry)
    return frozenset()


def _replicated(
    entry: dict[str, Any], stream: str, replication: str | None, replication_key: str | None
) -> dict[str, Any]:
    """Write how a stream is replicated into its entry, and return the metadata of the whole stream."""
    root = dict(_root(entry))
    offered = [str(key) for key in root.get("valid-replication-keys") or [] if key]
    present = replication_key or entry.get("replication_key") or root.get("replication-key")
    if replication_key and offered and replication_key not in offered:
        raise InvalidError(
            f"{stream} is not read incrementally by {replication_key}.", hint=f"By: {', '.join(offered)}."
        )
    if replication is None and replication_key is None:
        return root
    method = METHODS[replication or "incremental"]
    forced = root.get("forced-replication-method")
    if forced and forced != method and replication is not None and method == METHODS["incremental"]:
        raise InvalidError(f"{stream} can only be read as {forced}, says the tap.")
    entry["replication_method"] = root["replication-method"] = method
    if method == METHODS["incremental"]:
        present = present or (offered[0] if offered else None)
        if present is None:
            raise InvalidError(
                f"{stream}: by which field is it read incrementally?", hint="Say it: --replication-key FIELD"
            )
        entry["replication_key"] = root["replication-key"] = present
    return root


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry.get("stream") or entry["tap_stream_id"])


def _root(entry: Mapping[str, Any]) -> dict[str, Any]:
    return _metadata(entry, [])


def _of(entry: Mapping[str, Any], field: str) -> dict[str, Any]:
    return _metadata(entry, ["properties", field])


def _metadata(entry: Mapping[str, Any], breadcrumb: list[str]) -> dict[str, Any]:
    for item in entry.get("metadata") or []:
        if list(item.get("breadcrumb", [])) == breadcrumb:
            return dict(item.get("metadata") or {})
    return {}


def _first(values: Mapping[str, Any], *names: str) -> Any:
    return next((values[name] for name in names if values.get(name)), None)


def _key(entry: Mapping[str, Any]) -> tuple[str, ...]:
    root = _root(entry)
    keys = entry.get("key_properties") or _first(root, "table-key-properties", "view-key-properties") or []
    return tuple(str(key) for key in keys)


def _types(entry: Mapping[str, Any]) -> dict[str, str]:
    schema = entry.get("schema") or {}
    properties = (codec.loads(schema) if isinstance(schema, str) else schema).get("properties") or {}
    return {str(name): _type(kind) for name, kind in properties.items()}


def _type(kind: Any) -> str:
    if not isinstance(kind, dict):
        return "any"
    if options := kind.get("anyOf") or kind.get("oneOf"):
        return " | ".join(dict.fromkeys(_type(option) for option in options))
    named = kind.get("type", "any")
    types = [named] if isinstance(named, str) else [str(one) for one in named if one != "null"]
    suffix = f" ({kind['format']})" if kind.get("format") else ""
    return " | ".join(types) + suffix


def _automatic(entry: Mapping[str, Any]) -> tuple[str, ...]:
    found = [name for name in _types(entry) if _of(entry, name).get("inclusion") == "automatic"]
    return tuple(dict.fromkeys([*_key(entry), *found]))


def _left_out(entry: Mapping[str, Any] | None) -> frozenset[str]:
    """Name the fields a stored selection does not take."""
    return frozenset(
        str(item["breadcrumb"][1])
        for item in (entry or {}).get("metadata") or []
        if len(item["breadcrumb"]) == 2
        and item["breadcrumb"][0] == "properties"
        and item["metadata"].get("selected") is False
        and item["metadata"].get("inclusion") != "automatic"
    )
