"""Who is told of something: the recipients of a schedule, else who administers where it happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import db, rows
from edgekit.models.runner import IntegrationSchedule, IntegrationScheduleRecipient

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SYSTEM_USER = 1


@dataclass(frozen=True, slots=True)
class Recipient:
    """A user who is told, and the organization the notification belongs to."""

    user_id: int
    organization_id: int


def find_recipients(organization_id: int | None, *, schedule_id: int | None = None) -> list[Recipient]:
    """Return who is told of what happens in an organization, or in the whole file (None).

    Of a schedule those that were chosen for it, nobody where its failures are not told; else the
    administrators of the organization, else those of the installation, else the system user.
    """
    if schedule_id is not None:
        chosen = _of_schedule(schedule_id)
        if chosen is not None:
            return chosen
    for condition in _places(organization_id):
        found = db.query(
            "SELECT u.id, ifnull(u.organization_id, 1) AS own FROM user u JOIN role r ON r.id = u.role_id"
            f" WHERE u.id <> 1 AND u.status_id = 1 AND r.code = 'ADMIN' AND r.status_id = 1 AND {condition}"
            " ORDER BY u.id",
            (organization_id,),
        )
        if found:
            return [Recipient(row["id"], organization_id or row["own"]) for row in found]
    return [Recipient(SYSTEM_USER, organization_id or 1)]


def _places(organization_id: int | None) -> tuple[str, ...]:
    everywhere = "u.organization_id IS NULL AND ?1 IS ?1"
    if organization_id is not None:
        return "ifnull(u.organization_id, 1) = ?1", everywhere
    return everywhere, "?1 IS NULL AND (SELECT count(*) FROM organization) = 1"


def _of_schedule(schedule_id: int) -> list[Recipient] | None:
    """Return who was chosen for a schedule; None where that is nobody, and so the administrators."""
    found = db.query(
        "SELECT s.is_failure_notified, ifnull(s.organization_id, 1) AS organization_id, u.id AS user_id"
        " FROM integration_schedule s LEFT JOIN integration_schedule_recipient r"
        " ON r.schedule_id = s.id AND r.status_id = 1"
        " LEFT JOIN user u ON u.id = r.user_id AND u.status_id = 1"
        " AND (u.organization_id IS NULL OR u.organization_id = ifnull(s.organization_id, 1))"
        " WHERE s.id = ? ORDER BY u.id",
        (schedule_id,),
    )
    if found and not found[0]["is_failure_notified"]:
        return []
    return [Recipient(row["user_id"], row["organization_id"]) for row in found if row["user_id"]] or None


def find_schedule(payload: Mapping[str, Any], organization_id: int | None) -> int | None:
    """Return the schedule an event is about, by `schedule_id` or the name in `schedule`; None for none."""
    number, name = payload.get("schedule_id"), payload.get("schedule")
    if isinstance(number, int):
        # One of another organization is no reason to tell its people: anybody may say so in a payload.
        mine = "SELECT 1 FROM integration_schedule WHERE id = ? AND ifnull(organization_id, 1) = ifnull(?, 1)"
        return number if db.query(mine, (number, organization_id)) else None
    if not isinstance(name, str):
        return None
    found = db.query(
        "SELECT id FROM integration_schedule WHERE schedule_name = ?"
        " AND ifnull(organization_id, 1) = ifnull(?, 1)",
        (name, organization_id),
    )
    return int(found[0]["id"]) if found else None


def notify_of(name: str, users: Sequence[str] = (), *, is_silent: bool = False) -> dict[str, Any]:
    """Say who is told of a schedule's failures, exactly these `users`, and return it.

    Without users those who administer its organization are; `is_silent` means nobody is. Raise NotFoundError
    (schedule, user).
    """
    from edgekit import runner

    runner.show_schedule(name)  # says what is wrong with the name
    schedule = IntegrationSchedule.get(IntegrationSchedule.schedule_name == name)
    connection = db.connection()
    wanted = {rows.find(connection, rows.read_shape(connection, "user"), user) for user in users}
    table = IntegrationScheduleRecipient
    with db.change(reason=f"schedules notify {name}"):
        if schedule.is_failure_notified == is_silent:
            schedule.is_failure_notified = not is_silent
            schedule.save()
        there = {row.user_id: row for row in table.select().where(table.schedule == schedule.id)}
        for user in wanted - set(there):
            table.create(schedule=schedule.id, user=user)
        for user, row in there.items():
            status = 1 if user in wanted else 2
            if row.status_id != status:
                row.status = status
                row.save()
    return show_recipients(schedule.id)


def show_recipients(schedule_id: int) -> dict[str, Any]:
    """Return a schedule's name, whether its failures are told, and the names of who is told now."""
    (row,) = db.query(
        "SELECT schedule_name AS schedule, is_failure_notified, organization_id FROM integration_schedule"
        " WHERE id = ?",
        (schedule_id,),
    )
    found = find_recipients(row.pop("organization_id"), schedule_id=schedule_id)
    names = [db.query("SELECT username FROM user WHERE id = ?", (one.user_id,)) for one in found]
    is_told = bool(row["is_failure_notified"])
    return {**row, "is_failure_notified": is_told, "recipients": [rows[0]["username"] for rows in names]}


def is_active(user_id: int) -> bool:
    """Tell whether a user still works here."""
    return bool(db.query("SELECT 1 AS found FROM user WHERE id = ? AND status_id = 1", (user_id,)))
