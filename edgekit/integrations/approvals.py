"""Approving mappings: who decided what of which version, and what is still missing before it goes live."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from edgekit import clock, db
from edgekit.errors import ConflictError, InvalidError, NotFoundError, quoted
from edgekit.integrations import live, mapping_tests, reading
from edgekit.models.integrations import Approval

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Approvals:
    """How a mapping stands with its approvals; `live_version` is what a run takes in this environment.

    `missing` are the approvals the newest version lacks to go live in production, `tests` is how its tests
    went: passed, failed, pending or absent. `steps_changed`: the pipeline has other steps than those the live
    version was approved with.
    """

    integration: str
    mapping: str
    version: int
    live_version: int | None
    live_by: str | None
    missing: tuple[str, ...]
    rejected: tuple[str, ...]
    tests: str
    decisions: tuple[dict[str, Any], ...]
    steps_changed: bool = False


def approve(
    name: str,
    mappings: Sequence[str] = (),
    *,
    kinds: Sequence[str] = live.KINDS,
    reject: bool = False,
    note: str | None = None,
) -> list[Approvals]:
    """Decide on the newest version of mappings, each kind a row, all in one change; return how they stand.

    Without `mappings` all that are not live yet. Before `testing_sign_off` is given their tests are run:
    raise ConflictError where one fails, is pending, or there is none, with nothing decided. To `reject` takes
    the version back; an earlier one that was approved is live again. Raise NotFoundError, InvalidError for a
    kind there is not.
    """
    if unknown := [kind for kind in kinds if kind not in live.KINDS]:
        raise InvalidError(
            f"There is no approval {unknown[0]}.", hint=f"It is one of: {', '.join(live.KINDS)}."
        )
    row = reading.find(name)
    signs_off = "testing_sign_off" in kinds and not reject
    if signs_off and _chosen(row, mappings, reject):
        mapping_tests.run_mapping_tests(name)
    verb = "reject" if reject else "approve"
    with db.change(reason=f"mappings {verb} {name}" + (f": {note}" if note else "")):
        chosen = _chosen(row, mappings, reject)  # what was edited since the tests ran is pending again
        if signs_off:
            _require_green(row, chosen)
        at = _decided_at()
        for one in chosen:
            for kind in kinds:
                Approval.create(
                    mapping_id=one.id, subject_version=str(one.version), approval_kind=kind,
                    decision="rejected" if reject else "approved", decided_by=db.current().actor_id,
                    decided_at=at, note=note,
                )  # fmt: skip
        _require_runnable(row)
    ids = {one.id for one in chosen}
    return [told for key, told in _told(row) if key in ids]


def list_approvals(name: str) -> list[Approvals]:
    """Return how the mappings of an integration stand: what is live, what is missing, who decided what."""
    return [told for _, told in _told(reading.find(name))]


def _chosen(row: dict[str, Any], mappings: Sequence[str], reject: bool) -> list[live.Standing]:
    found = live.standings(row["id"], place=live.PRODUCTION)
    if not found:
        raise NotFoundError(
            f"{row['integration_name']} has no mapping yet.",
            hint="An import without mappings learns them in its first run; or: edgekit mappings suggest",
        )
    if not mappings:
        return [one for one in found if reject or one.missing]
    by_name = {one.mapping.lower(): one for one in found}
    for wanted in mappings:
        if wanted.lower() not in by_name:
            close = get_close_matches(wanted, [one.mapping for one in found], n=3)
            known = ", ".join(close or [one.mapping for one in found][:10])
            raise NotFoundError(
                f"{row['integration_name']} has no mapping {wanted}.", hint=f"There are: {known}."
            )
    return [by_name[wanted.lower()] for wanted in dict.fromkeys(mappings)]


def _require_green(row: dict[str, Any], chosen: Sequence[live.Standing]) -> None:
    """Refuse the sign-off where the tests do not all pass."""
    name = row["integration_name"]
    stand = mapping_tests.tests_stand(row["id"])
    bad = [(one.mapping, stand[one.id]) for one in chosen if stand[one.id] != "passed"]
    if not bad:
        return
    said = {"failed": "fail", "pending": "are pending", "absent": "are absent"}
    listed = "; ".join(f"{mapping}: tests {said[how]}" for mapping, how in bad[:5])
    more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
    raise ConflictError(
        f"{name} cannot be signed off: {listed}{more}.",
        hint=f"See: edgekit mappings test {quoted(name)} and: edgekit mappings generate-tests {quoted(name)}",
    )


def _require_runnable(row: dict[str, Any]) -> None:
    """Refuse decisions after which what is live cannot run: two versions that write one column."""
    from edgekit.mapping import compile_mapping

    name = row["integration_name"]
    found = [one for one in live.standings(row["id"], place=live.PRODUCTION) if one.live_version is not None]
    fields = live.fields_of((one.row for one in found), every=True)
    try:
        for direction in ("inbound", "outbound"):
            compile_mapping(fields, direction=direction)
    except InvalidError as error:
        raise ConflictError(
            f"What would be live of {name} could not run: {error.message}.",
            hint="A newer version may wait: approve both at once."
            f" See: edgekit mappings approvals {quoted(name)}",
        ) from None


def _decided_at() -> datetime:
    """Return the time of decisions: that of the open change, but behind all they are about."""
    (own,) = db.query("SELECT id, performed_at FROM audit_transaction ORDER BY id DESC LIMIT 1")
    (last,) = db.query("SELECT max(performed_at) AS at FROM audit_transaction WHERE id < ?", (own["id"],))
    at = clock.from_text(own["performed_at"])
    return at if last["at"] is None else max(at, clock.from_text(last["at"]) + timedelta(milliseconds=1))


def _told(row: dict[str, Any]) -> list[tuple[int, Approvals]]:
    tests = mapping_tests.tests_stand(row["id"])
    here = {one.id: one for one in live.standings(row["id"])}
    decisions = db.query(
        "SELECT a.mapping_id, a.subject_version AS version, a.approval_kind AS kind, a.decision,"
        " u.username AS decided_by, a.decided_at, a.note FROM approval a JOIN user u ON u.id = a.decided_by"
        " JOIN integration_mapping m ON m.id = a.mapping_id WHERE m.integration_id = ? ORDER BY a.id",
        (row["id"],),
    )
    found = []
    for one in live.standings(row["id"], place=live.PRODUCTION):
        own = tuple(
            {k: v for k, v in item.items() if k != "mapping_id"}
            for item in decisions
            if item["mapping_id"] == one.id
        )
        told = Approvals(
            integration=row["integration_name"], mapping=one.mapping, version=one.version,
            live_version=here[one.id].live_version, live_by=here[one.id].by, missing=one.missing,
            rejected=one.rejected, tests=tests[one.id], decisions=own, steps_changed=one.steps_changed,
        )  # fmt: skip
        found.append((one.id, told))
    return found
