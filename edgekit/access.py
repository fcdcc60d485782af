"""Who works, what they may do, and their passwords.

    access.require("reveal", "revealing a secret")
    access.set_password("maria", "…")
    access.verify_password("maria", "…")

What a user sees and changes is laid over their connection by `edgekit.isolation`; this word asks who it is.
The actor of a file is attribution: nobody proves to be who `--actor` says. Passwords are for programs that
let people in over a network, such as the console.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edgekit import clock, crypto, db
from edgekit.errors import InvalidError, NotFoundError, RateLimitedError
from edgekit.isolation import RIGHTS, Session

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "RIGHTS", "Session", "condition", "require", "require_file", "session", "set_password",
    "verify_password",
]  # fmt: skip

LEAST_LENGTH = 10
MOST_FAILURES = 5
"""So many wrong passwords in a row, and a username is refused for `PAUSE` seconds, right or wrong."""
PAUSE = 15 * 60.0

monotonic = time.monotonic
_failures: dict[str, tuple[int, float]] = {}
_decoys: dict[crypto.PasswordCost, str] = {}


def session() -> Session:
    """Return who works on the opened file, and what they may do."""
    return db.current().session


def require(right: str, doing: str) -> None:
    """Raise DeniedError unless the user has a right (see RIGHTS); `doing` says what for."""
    session().require(right, doing)


def require_file(right: str, doing: str) -> None:
    """Raise DeniedError for what concerns the whole file, if it is not the user's whole file."""
    session().require_file(right, doing)


def condition(table: str) -> str:
    """Return the SQL condition the rows of a table meet that the user sees; `1` where all are seen.

    It serves to look at the rule: every statement on the user's connection obeys it already.
    """
    confinement = getattr(db.connection(), "confinement", None)
    if confinement is None or not confinement.rules.is_restricted(table.lower()):
        return "1"
    found: str = confinement.rules.readable(table.lower(), table.lower())
    return found


def set_password(username: str, password: str, *, now: datetime | None = None) -> None:
    """Store the hash of a user's password. Users set their own, administrators those of their organization.

    Raise NotFoundError (no such user), InvalidError (too short, or the username), DeniedError.
    """
    known = db.query("SELECT id FROM user WHERE username = ?", (username,))
    if not known:
        raise NotFoundError(f"There is no user {username}.", hint="See: edgekit users list")
    if len(password) < LEAST_LENGTH or len(password) > 1024:
        raise InvalidError(f"A password has {LEAST_LENGTH} to 1024 characters; nothing was stored.")
    if password.casefold() == username.casefold():
        raise InvalidError("The password is the username; nothing was stored.")
    _store(int(known[0]["id"]), crypto.hash_password(password), f"users password {username}", now)
    _failures.pop(username.casefold(), None)


def verify_password(username: str, password: str, *, now: datetime | None = None) -> bool:
    """Tell whether this is an active user's password, and note the time of a right one as the last login.

    An unknown or retired user, or one without a password, takes as long as a wrong password. After five wrong
    ones in a row a username is refused for a quarter of an hour by this process: raise RateLimitedError. A
    hash made at an earlier cost is made anew.
    """
    name = username.casefold()
    count, since = _failures.get(name, (0, 0.0))
    if count >= MOST_FAILURES and (left := since + PAUSE - monotonic()) > 0:
        raise RateLimitedError("Too many wrong passwords for this user.", retry_after=left)
    rows = db.query(
        "SELECT id, password_hash FROM user WHERE username = ? AND status_id = 1 AND password_hash NOT NULL",
        (username,),
    )
    stored = str(rows[0]["password_hash"]) if rows else _decoy()
    is_right = crypto.check_password(password, stored) and bool(rows)
    if not is_right:
        if len(_failures) > 10_000:  # names of somebody's making must not fill the memory
            _failures.clear()
        _failures[name] = (1 if count >= MOST_FAILURES else count + 1, monotonic())
        return False
    _failures.pop(name, None)
    fresh = crypto.hash_password(password) if crypto.is_weak(stored) else None
    _store(int(rows[0]["id"]), fresh, f"login {username}", now, login=True)
    return True


def _decoy() -> str:
    """Return a hash no password has, at the cost of now, to spend the time on."""
    if crypto.PASSWORD_COST not in _decoys:
        _decoys[crypto.PASSWORD_COST] = crypto.hash_password(crypto.random_key().hex())
    return _decoys[crypto.PASSWORD_COST]


def _store(user: int, hashed: str | None, reason: str, now: datetime | None, *, login: bool = False) -> None:
    with db.change(reason=reason) as change:
        at = clock.to_text(now) if now else change.at
        db.connection().execute(
            "UPDATE user SET password_hash = ifnull(?, password_hash),"
            " last_login_at = CASE WHEN ? THEN ? ELSE last_login_at END, updated_at = ?, updated_by = ?"
            " WHERE id = ?",
            (hashed, login, at, change.at, db.current().actor_id, user),
        )
