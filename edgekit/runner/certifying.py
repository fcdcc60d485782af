"""Certifying a template version: who vouches for it, when, and on what evidence; and taking that back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import clock, db
from edgekit.errors import ConflictError, InvalidError
from edgekit.integrations import templates
from edgekit.models.integrations import Approval, IntegrationTemplate
from edgekit.runner.template_tests import try_template

if TYPE_CHECKING:
    from datetime import datetime


def certify(code: str, *, note: str, now: datetime | None = None) -> dict[str, Any]:
    """Certify a template version on evidence: its own tests, which must pass, and what `note` says.

    What it needs beforehand must be written down if it talks to somebody else's system under a secret. The
    approval, `is_certified` and `certification_date` are written together; return the template. Raise
    NotFoundError, InvalidError (no evidence, no tests, a red one), DeniedError (takes an administrator).
    """
    source = templates.show_template(code)
    label = f"{source['code']} {source['version']}"
    db.current().session.require("administer", "certifying templates")
    if source["is_certified"]:
        raise ConflictError(f"{label} is certified already, by {source['certified_by']}.")
    if not note.strip():
        raise InvalidError("Certifying takes evidence.", hint='Say what you looked at: --note "…"')
    if source["secrets"] and not source["prerequisites"]:
        raise InvalidError(
            f"{label} needs the secret {source['secrets'][0]} and does not say what to have beforehand.",
            hint="Make a new version of it with prerequisites.",
        )
    tried = try_template(f"{source['code']}@{source['version']}")
    if not tried:
        raise InvalidError(f"{label} has no tests, so nothing shows that it works.")
    if red := next((test for test in tried if test.status == "failed"), None):
        raise InvalidError(f"{label}: its test {red.name!r} failed: {red.message}")
    _decide(source, "approved", f"{note.strip()} ({len(tried)} of its own tests passed)", now or clock.now())
    return templates.show_template(code)


def withdraw_certification(code: str, *, note: str, now: datetime | None = None) -> dict[str, Any]:
    """Take the certification of a template version back, with the reason, and return the template.

    Raise NotFoundError, ConflictError (it has none), InvalidError (no reason), DeniedError.
    """
    source = templates.show_template(code)
    db.current().session.require("administer", "certifying templates")
    if not source["is_certified"]:
        raise ConflictError(f"{source['code']} {source['version']} is not certified.")
    if not note.strip():
        raise InvalidError("Withdrawing a certification takes a reason.", hint='Say it: --note "…"')
    _decide(source, "rejected", note.strip(), now or clock.now())
    return templates.show_template(code)


def _decide(source: dict[str, Any], decision: str, note: str, at: datetime) -> None:
    who, given = db.current().actor_id, decision == "approved"
    with db.change(reason=f"templates certify {source['code']} {source['version']}: {decision}"):
        Approval.create(
            template_id=source["id"], subject_version=source["version"], approval_kind="certification",
            decision=decision, decided_by=who, decided_at=at, note=note,
        )  # fmt: skip
        row = IntegrationTemplate.get_by_id(source["id"])
        row.is_certified = given
        row.certification_date = at.date() if given else None
        row.certified_by = who if given else None
        row.save()
