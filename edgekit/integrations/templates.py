"""Templates: reusable integrations, one row per version. A code means the newest, CODE@VERSION one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from edgekit import db
from edgekit.errors import InvalidError, NotFoundError
from edgekit.integrations import forms, semver

_COLUMNS = (
    "t.id, t.code, t.template_name, t.description, t.version, t.is_certified, t.certification_date,"
    " (SELECT username FROM user WHERE id = t.certified_by) AS certified_by,"
    " i.code AS integration_type, c.code AS category, t.connection_template, t.mapping_templates,"
    " t.pipeline_template, t.transformation_library, t.test_suite, t.renames, t.rate_limits,"
    " t.documentation_url, t.organization_id"
)
_FROM = (
    " FROM integration_template t JOIN integration_type i ON i.id = t.integration_type_id"
    " JOIN template_category c ON c.id = t.template_category_id WHERE t.status_id = 1"
    # What is made of it belongs to the user's organization: those of another are none of its business.
    " AND (t.organization_id IS NULL OR t.organization_id = :organization)"
)
_DOCUMENTS = (
    "connection_template", "mapping_templates", "pipeline_template", "transformation_library", "test_suite",
    "renames", "rate_limits",
)  # fmt: skip
_LISTED = (
    "code", "version", "template_name", "description", "integration_type", "category", "is_certified",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TemplateVersion:
    """One version of a template, and how many integrations are pinned to it."""

    code: str
    version: str
    is_certified: bool
    certified_by: str | None
    certification_date: str | None
    integrations: int
    is_newest: bool
    """Whether it is the one taken where no version is named."""


def list_templates(*, all_versions: bool = False) -> list[dict[str, Any]]:
    """Return the newest version of each template, or every one: code, version, name, description, type."""
    found: list[dict[str, Any]] = []
    for versions in _by_code(_rows("ORDER BY t.code")).values():
        shown = sorted(versions, key=_age) if all_versions else [_newest(versions)]
        found += [{name: row[name] for name in _LISTED} for row in shown]
    return found


def list_template_versions(code: str) -> list[TemplateVersion]:
    """Return the versions of a template, the newest first. Raise NotFoundError."""
    versions = _versions(code)
    pinned = {
        row["template_id"]: row["n"]
        for row in db.query(
            "SELECT x.template_id, count(*) AS n FROM integration_template_instance x"
            " JOIN integration i ON i.id = x.integration_id WHERE i.status_id = 1 GROUP BY 1"
        )
    }
    newest = _newest(versions)["id"]
    return [
        TemplateVersion(
            row["code"], row["version"], bool(row["is_certified"]), row["certified_by"],
            row["certification_date"], pinned.get(row["id"], 0), row["id"] == newest,
        )
        for row in sorted(versions, key=_age, reverse=True)
    ]  # fmt: skip


def show_template(code: str) -> dict[str, Any]:
    """Return one template whole, its JSON parts read; `code` may name a version: `rest-source@1.1.0`.

    Without one it is the newest, a version before its release only where there is no other. Raise
    NotFoundError with the codes or versions that come close.
    """
    name, _, version = code.partition("@")
    versions = _versions(name)
    if version:
        versions = [row for row in versions if row["version"] == version] or _unknown(versions, version)
    return _whole(_newest(versions))


def read_template(template_id: int) -> dict[str, Any]:
    """Return one template version by its id, as `show_template` does, be it retired or not."""
    (row,) = db.query(f"SELECT {_COLUMNS}{_FROM.partition(' WHERE ')[0]} WHERE t.id = ?", (template_id,))
    return _whole(row)


def _whole(row: dict[str, Any]) -> dict[str, Any]:
    for column in _DOCUMENTS:
        row[column] = json.loads(row[column]) if row[column] else {}
    row["is_certified"] = bool(row["is_certified"])
    row["prerequisites"] = [
        found["prerequisite"]
        for found in db.query(
            "SELECT prerequisite FROM integration_template_prerequisite WHERE template_id = ?"
            " AND status_id = 1 ORDER BY sort_order, id",
            (row["id"],),
        )
    ]
    row["operations"] = [
        found["operation"]
        for found in db.query(
            "SELECT operation FROM integration_template_operation WHERE template_id = ? AND status_id = 1"
            " ORDER BY id",
            (row["id"],),
        )
    ]
    row["secrets"] = forms.secret_keys(row["connection_template"])
    return row


def diff_templates(code: str, old: str, new: str) -> list[forms.Part]:
    """List what two versions of a template say differently. Raise NotFoundError."""
    before, after = show_template(f"{code}@{old}"), show_template(f"{code}@{new}")
    return forms.compare(forms.of_template(before), forms.of_template(after))


def between(code: str, old: str, new: str) -> list[dict[str, Any]]:
    """Return the versions behind `old` up to `new`, the oldest first, their renames read."""
    wanted = [row for row in _versions(code) if semver.key(old) < semver.key(row["version"])]
    found = [row for row in wanted if semver.key(row["version"]) <= semver.key(new)]
    return [
        {"version": row["version"], "renames": json.loads(row["renames"] or "{}")}
        for row in sorted(found, key=_age)
    ]


def _rows(condition: str, **values: Any) -> list[dict[str, Any]]:
    own = {"organization": db.current().session.organization_id}
    return db.query(f"SELECT {_COLUMNS}{_FROM} {condition}", {**own, **values})


def _by_code(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["code"].lower(), []).append(row)
    return found


def _versions(code: str) -> list[dict[str, Any]]:
    if not code.strip():
        raise InvalidError("Which template?", hint="See: edgekit integrations templates list")
    rows = _rows("AND t.code = :code ORDER BY t.id", code=code)
    if not rows:
        known = [row["code"] for row in list_templates()]
        close = get_close_matches(code, known, n=2) or known
        raise NotFoundError(
            f"Template not found or inactive: there is no template {code}.",
            hint=f"There are: {', '.join(close)}.",
        )
    return rows


def _unknown(versions: list[dict[str, Any]], version: str) -> list[dict[str, Any]]:
    known = ", ".join(row["version"] for row in sorted(versions, key=_age, reverse=True)[:10])
    raise NotFoundError(
        f"Template not found or inactive: {versions[0]['code']} has no version {version}.",
        hint=f"Its versions are: {known}.",
    )


def _age(row: dict[str, Any]) -> tuple[semver.Key, bool, int]:
    """Order versions; of the same one the organization's own is meant before the one of everybody."""
    return semver.key(row["version"]), row["organization_id"] is not None, row["id"]


def _newest(versions: list[dict[str, Any]]) -> dict[str, Any]:
    released = [row for row in versions if not semver.is_early(row["version"])]
    return max(released or versions, key=_age)
