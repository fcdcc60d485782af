"""Templates: reusable integrations, one row per version; a code means its newest active version."""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import Any

from edgekit import db
from edgekit.errors import NotFoundError

_COLUMNS = (
    "t.id, t.code, t.template_name, t.description, t.version, t.is_certified, i.code AS integration_type,"
    " c.code AS category, t.connection_template, t.mapping_templates, t.pipeline_template"
)
_FROM = (
    " FROM integration_template t JOIN integration_type i ON i.id = t.integration_type_id"
    " JOIN template_category c ON c.id = t.template_category_id WHERE t.status_id = 1"
    # What is made of it belongs to the user's organization: those of another are none of its business.
    " AND (t.organization_id IS NULL OR t.organization_id = :organization)"
)


def _rows(condition: str, **values: Any) -> list[dict[str, Any]]:
    own = {"organization": db.current().session.organization_id}
    return db.query(f"SELECT {_COLUMNS}{_FROM} {condition}", {**own, **values})


def list_templates() -> list[dict[str, Any]]:
    """Return the newest version of each template: code, version, name, description, type and category."""
    rows = _rows("ORDER BY t.code, t.id")
    newest = {row["code"]: row for row in rows}
    shown = (
        "code",
        "version",
        "template_name",
        "description",
        "integration_type",
        "category",
        "is_certified",
    )
    return [{name: row[name] for name in shown} for row in newest.values()]


def show_template(code: str) -> dict[str, Any]:
    """Return one template whole, its JSON parts read. Raise NotFoundError with the codes that come close."""
    rows = _rows("AND t.code = :code ORDER BY t.id DESC LIMIT 1", code=code)
    if not rows:
        known = [row["code"] for row in list_templates()]
        close = get_close_matches(code, known, n=2) or known
        raise NotFoundError(
            f"Template not found or inactive: there is no template {code}.",
            hint=f"There are: {', '.join(close)}.",
        )
    row = rows[0]
    for name in ("connection_template", "mapping_templates", "pipeline_template"):
        row[name] = json.loads(row[name]) if row[name] else {}
    return row
