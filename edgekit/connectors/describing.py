"""What connectors there are, and what each can be told: read off the schemas of their settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit.connectors.base import get, names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting; `a.b` stands inside of `a`. `secret`: it names a secret, usually by this key."""

    name: str
    type: str
    default: Any = None
    is_required: bool = False
    secret: str | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Described:
    """A connector: what it can be told as a source (None: it cannot be read), and under `to`."""

    name: str
    reads: tuple[Setting, ...] | None
    writes: tuple[Setting, ...] | None
    secrets: tuple[str, ...]
    """Keys of the vault it uses, as far as its settings do not say otherwise."""
    read_schema: Mapping[str, Any]
    write_schema: Mapping[str, Any] | None


def list_connectors() -> list[Described]:
    """Describe every connector that is here, those of other packages among them. Raise as `get`."""
    return [show_connector(name) for name in names()]


def show_connector(name: str) -> Described:
    """Describe one connector. Raise NotFoundError with the names there are."""
    connector = get(name)
    read: Mapping[str, Any] = connector.config_schema
    write: Mapping[str, Any] | None = getattr(connector, "write_schema", None)
    reads = tuple(_settings(read)) if getattr(connector, "is_source", True) else None
    writes = None if write is None else tuple(_settings(write))
    usual = [*read.get("x-secrets", ()), *((write or {}).get("x-secrets", ()))]
    marked = [one.secret for one in (*(reads or ()), *(writes or ())) if one.secret]
    return Described(connector.name, reads, writes, tuple(dict.fromkeys([*usual, *marked])), read, write)


def _settings(schema: Mapping[str, Any], inside: str = "", *, given: bool = True) -> Iterator[Setting]:
    required = set(schema.get("required", ())) if given else set()
    for name, about in schema.get("properties", {}).items():
        if not isinstance(about, dict):
            continue
        kinds = about.get("type", "")
        yield Setting(
            inside + name,
            " | ".join(map(str, about["enum"])) if "enum" in about else _kinds(kinds),
            about.get("default"),
            name in required,
            about.get("x-secret"),
            str(about.get("description", "")),
        )
        yield from _settings(about, f"{inside}{name}.", given=name in required)


def _kinds(kinds: Any) -> str:
    return kinds if isinstance(kinds, str) else " or ".join(map(str, kinds))
