"""What is set at a place, as one JSON document to keep or to bring to another file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit import codec, db
from edgekit.configuration.kinds import find_type, list_types
from edgekit.configuration.resolving import changed_keys
from edgekit.configuration.writing import Written, check, content_at, write
from edgekit.errors import ConflictError, DeniedError, InvalidError, NotFoundError
from edgekit.scope import find

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgekit.scope import Link, Named, Place

FORMAT = "edgekit-configuration"


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import changed (or would): per type the version and the keys that are other than before."""

    scope: str
    written: tuple[Written, ...]


def export_scope(scope: Place | str = "system", *, organization: Named | None = None) -> dict[str, Any]:
    """Return what is set at one place, of every active type, as a JSON document.

    `documents` has the keys set there, by type; nothing of other levels, no defaults, no secrets (there are
    none). An `organization` that is asked for is named in it. `import_scope` reads it.
    """
    link = find(scope, organization=organization)
    owner = None if organization is None else _organization_code(link)
    found = {kind.code: content_at(kind, link) for kind in list_types() if kind.is_active}
    return {
        "format": FORMAT,
        "format_version": 1,
        "scope": str(scope),
        **({} if owner is None else {"organization": owner}),
        "documents": {code: content for code, content in found.items() if content},
    }


def write_export(document: Mapping[str, Any], path: str | Path) -> Path:
    """Write an exported document to a file that is not there yet. Raise ConflictError if it is."""
    target = Path(path)
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    except FileExistsError:
        raise ConflictError(f"{target} is there already.", hint="Name another file.") from None
    except FileNotFoundError:
        raise NotFoundError(f"There is no folder {target.parent}.") from None
    return target


def import_scope(
    source: Mapping[str, Any] | str | Path,
    *,
    scope: Place | str | None = None,
    organization: Named | None = None,
    dry_run: bool = False,
) -> Imported:
    """Set at a place exactly what an exported document says of the types in it, in one change or not at all.

    `source` is the document or the path of its file; `scope` is where, if not where it came from. Types it
    does not name stay as they are. Raise InvalidError for a document that is none, naming what is wrong, and
    as `configuration.set`; then nothing is changed.
    """
    document, name = _read(source)
    target = scope if scope is not None else document["scope"]
    if organization is None and scope is None:
        organization = document.get("organization")
    with db.change(reason=f"configuration import {target}"):
        link = find(target, organization=organization)
        written = []
        for code, content in document["documents"].items():
            kind = find_type(code)
            if not isinstance(content, dict):
                raise InvalidError(f"{name}: {code} is no object of keys.")
            if dry_run:
                written.append(_would(code, link, content))
            else:
                written.append(write(kind, link, content))
    return Imported(link.label, tuple(one for one in written if one.keys))


def _organization_code(link: Link) -> str | None:
    rows = db.query("SELECT code FROM organization WHERE id = ?", (link.organization_id,))
    return rows[0]["code"] if rows else None


def _would(code: str, link: Any, content: Mapping[str, Any]) -> Written:
    """Check a document and say what it would change."""
    kind = find_type(code)
    old = content_at(kind, link)
    keys = changed_keys(old, content)
    check(kind, link, old, content, keys)
    return Written(kind.code, link.label, 0, keys)


def _read(source: Mapping[str, Any] | str | Path) -> tuple[dict[str, Any], str]:
    if isinstance(source, str | Path):
        path = Path(source)
        try:
            document = codec.loads(path.read_bytes())
        except FileNotFoundError:
            raise NotFoundError(f"There is no file {path}.") from None
        except OSError as error:
            raise DeniedError(f"{path} cannot be read: {error.strerror}.") from error
        except InvalidError as error:
            raise InvalidError(f"{path}: {error.message}", hint=error.hint) from error
        name = str(path)
    else:
        document, name = dict(source), "the document"
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InvalidError(
            f"{name} is no configuration: its format is not {FORMAT}.",
            hint="Write one with: edgekit configuration export --output FILE",
        )
    if document.get("format_version") != 1:
        raise InvalidError(
            f"{name} has format version {document.get('format_version')}; this program reads version 1.",
            hint="Install a newer edgekit.",
        )
    if not isinstance(document.get("documents"), dict) or not isinstance(document.get("scope"), str):
        raise InvalidError(f"{name} must have a scope, and documents by type.")
    return document, name
