"""Who is working: the user, the organization, and what the role allows."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekit.errors import CorruptError, DeniedError, NotFoundError, quoted

if TYPE_CHECKING:
    import sqlite3

SYSTEM_USER = "system"
SYSTEM_USER_ID = 1
FIRST_ORGANIZATION = 1
"""Whose rows are that name no organization, and whose users."""

RIGHTS: dict[str, frozenset[str]] = {
    "VIEWER": frozenset({"read"}),
    "USER": frozenset({"read", "edit"}),
    "ADMIN": frozenset({"read", "edit", "administer", "reveal"}),
}
"""What each role may do with the rows of its organization. This table is the whole matrix.

read: see rows and results. edit: add, change and retire rows, run integrations, store secrets. administer:
users of the organization, and the file where no other organization is in it. reveal: see a stored
secret in clear.
"""

WITHOUT_ROLE = "USER"
"""As whom a user without a role works: as files from before roles expect."""

UNKNOWN_ROLE = "VIEWER"
"""As whom a user works whose role was added by hand or is retired: this program knows no more of it."""


@dataclass(frozen=True, slots=True)
class Session:
    """A user at work on one connection.

    `sees_all` is the system user, an administrator who belongs to no organization, or the administrator of
    the only one: nothing is laid over their connection. `alone` says that the file has one organization.
    """

    user_id: int
    username: str
    organization_id: int
    role: str
    sees_all: bool
    alone: bool
    ancestors: tuple[int, ...] = ()

    @property
    def rights(self) -> frozenset[str]:
        """What this user may do."""
        return RIGHTS["ADMIN"] if self.sees_all else RIGHTS[self.role]

    @property
    def is_admin(self) -> bool:
        """Whether clients of others in the organization are seen too."""
        return self.sees_all or self.role == "ADMIN"

    def require(self, right: str, doing: str) -> None:
        """Raise DeniedError unless the role gives a right; `doing` says what for: `revealing a secret`."""
        if right not in self.rights:
            able = " or ".join(role for role, rights in RIGHTS.items() if right in rights)
            raise DeniedError(
                f"{self.username} has the role {self.role}, which does not allow {doing}.",
                hint=f"It takes the role {able}. Roles are given by: edgekit users set NAME role=CODE",
            )

    def require_file(self, right: str, doing: str) -> None:
        """Raise DeniedError for what concerns the whole file where it is not this user's whole file.

        In a file of several organizations that takes somebody who sees all of them.
        """
        if self.sees_all:
            return
        if not self.alone:
            raise DeniedError(
                f"{doing[:1].upper()}{doing[1:]} concerns every organization of the file,"
                f" and {self.username} belongs to one.",
                hint="The system user may, or an administrator who belongs to no organization.",
            )
        self.require(right, doing)


_USER = (
    "SELECT u.id, u.username, u.organization_id, u.role_id, r.code, r.status_id,"
    " (SELECT count(*) FROM organization) FROM user u LEFT JOIN role r ON r.id = u.role_id"
    " WHERE u.username = ?"
)
_ANCESTORS = (
    "WITH RECURSIVE above(id) AS (SELECT parent_organization_id FROM organization WHERE id = ?1"
    " UNION SELECT o.parent_organization_id FROM organization o JOIN above a ON o.id = a.id)"
    " SELECT id FROM above WHERE id IS NOT NULL AND id <> ?1"
)


def read_session(connection: sqlite3.Connection, username: str) -> Session:
    """Read what a user may do in this file. Raise CorruptError where even the system user is missing."""
    row = connection.execute(_USER, (username,)).fetchone()
    if row is None:
        raise CorruptError(
            f"The file has no user {username}.", hint="Restore a backup: edgekit restore BACKUP FILE"
        )
    user, name, own, role_id, code, status, organizations = row
    role = WITHOUT_ROLE if role_id is None else UNKNOWN_ROLE
    if code is not None and code.upper() in RIGHTS and status == 1:
        role = code.upper()
    alone = organizations == 1
    sees_all = user == SYSTEM_USER_ID or (role == "ADMIN" and (own is None or alone))
    organization = FIRST_ORGANIZATION if own is None else own
    ancestors = () if sees_all else tuple(i for (i,) in connection.execute(_ANCESTORS, (organization,)))
    return Session(user, name, organization, role, sees_all, alone, ancestors)


def resolve_actor(connection: sqlite3.Connection, actor: str | None) -> tuple[str, str | None]:
    """Return the user's name as stored, and the login to note where the system user stands in.

    Without `actor` it is the login of the operating system where the file has such a user. Raise
    NotFoundError (no such user), DeniedError (one who is retired).
    """
    wanted = actor
    if wanted is None:
        try:
            wanted = getpass.getuser()
        except (OSError, KeyError, ImportError):  # no login is known (a service, a container)
            return SYSTEM_USER, None
    row = connection.execute("SELECT username, status_id FROM user WHERE username = ?", (wanted,)).fetchone()
    if row is None and actor is None:
        return SYSTEM_USER, wanted
    if row is None:
        raise NotFoundError(
            f"There is no user {actor!r} in this file.", hint="Leave --actor out, or add the user first."
        )
    if row[1] != 1:
        raise DeniedError(
            f"The user {row[0]} is retired.",
            hint=f"Bring the user back: edgekit users set {quoted(row[0])} status=ACTIVE",
        )
    return row[0], None
