"""The breaker between an integration and a place it calls: one that keeps failing is left alone a while.

Its state is a row of `circuit_breaker`, shared by all processes. A call that goes well behind a closed one
writes nothing. The one trial behind an open breaker holds a lock file, which the system frees when its
process dies, however it does: the next call is the trial then.
"""

from __future__ import annotations

import hashlib
import logging
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from edgekit import clock, db
from edgekit.connectors import Passage
from edgekit.errors import (
    BusyError,
    CircuitOpenError,
    EdgekitError,
    NotFoundError,
    RateLimitedError,
    UnavailableError,
    quoted,
)
from edgekit.integrations import reading
from edgekit.models.integrations import Integration
from edgekit.models.runner import CircuitBreaker
from edgekit.runner.limiting.showing import list_breakers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from filelock import BaseFileLock

    from edgekit.integrations.figures import Breaking

_log = logging.getLogger(__name__)

_TRIAL_SECONDS = 5.0
"""After which it is worth looking again while another process tries."""

_FOUND = "SELECT id, breaker_status, failure_count, opened_at, retry_at FROM circuit_breaker"


class Breaker:
    """Passes the calls of one integration, or refuses them, for each place they go to."""

    def __init__(
        self,
        path: Path,
        integration_id: int,
        name: str,
        figures: Breaking,
        *,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._stem = path.with_name(f"{path.name}-breaker{integration_id}")
        self._id = integration_id
        self._name = name
        self._figures = figures
        self._now = now

    @contextmanager
    def __call__(self, target: str) -> Iterator[Passage]:
        """Let one call pass, and judge the place by how it went. Raise CircuitOpenError, and nothing is sent.

        A failure is a status of 500 on (but 501), 429 where that counts, a passage that `failed`, or an
        UnavailableError; whatever else is raised says nothing of the place.
        """
        require_no_change(self._name)
        target = target[:200]
        trial = self._enter(target)
        passage, failed = Passage(), None
        try:
            yield passage
            failed = passage.failed or self._is_failure(passage.status)
            failed = None if passage.is_silent and not failed else failed
        except (RateLimitedError, CircuitOpenError):
            raise
        except UnavailableError:
            failed = True
            raise
        except BaseException:
            failed = True if passage.failed else None
            raise
        finally:
            try:
                self._note(target, failed, is_trial=trial is not None)
            finally:
                if trial is not None:
                    trial.release()

    def fail(self, target: str) -> None:
        """Count a failure behind a call that had passed."""
        self._note(target[:200], failed=True, is_trial=False)

    def _is_failure(self, status: int | None) -> bool:
        if status is None:
            return False
        return (status >= 500 and status != 501) or (status == 429 and self._figures.counts_429)

    def _find(self, target: str) -> dict[str, Any] | None:
        rows = db.query(f"{_FOUND} WHERE integration_id = ? AND target = ?", (self._id, target))
        return rows[0] if rows else None

    def _enter(self, target: str) -> BaseFileLock | None:
        """Go on at once behind a closed breaker; hold the lock of the trial behind one whose time is over."""
        row = self._find(target)
        if row is None or row["breaker_status"] == "closed":
            return None
        if is_left_alone(row, self._now()):
            raise self._refusal(target, row)
        lock = self._lock(target)
        if lock is None:
            raise self._refusal(target, row, is_tried=True)
        try:
            with db.change(reason=f"breaker of {self._name}: trial"):
                row = self._find(target)  # whoever tried before may have ended meanwhile
                is_due = (
                    row is not None
                    and row["breaker_status"] != "closed"
                    and not is_left_alone(row, self._now())
                )
                if row is not None and is_due and row["breaker_status"] == "open":
                    CircuitBreaker.update(breaker_status="half_open").where(
                        CircuitBreaker.id == row["id"]
                    ).execute()
                    self._write_health()
        except BaseException:
            lock.release()
            raise
        if is_due:
            return lock
        lock.release()
        if row is not None and row["breaker_status"] != "closed":
            raise self._refusal(target, row)
        return None

    def _lock(self, target: str) -> BaseFileLock | None:
        from filelock import FileLock, Timeout

        digest = hashlib.sha256(target.encode()).hexdigest()[:12]
        lock = FileLock(self._stem.with_name(f"{self._stem.name}-{digest}.lock"), timeout=0)
        try:
            lock.acquire()
        except Timeout:
            return None
        return lock

    def _refusal(self, target: str, row: dict[str, Any], *, is_tried: bool = False) -> CircuitOpenError:
        failed = f"{self._name}: nothing was sent, {target} failed {row['failure_count']} times in a row and"
        if is_tried:
            wait = min(_TRIAL_SECONDS, float(self._figures.seconds))
            message = f"{failed} is being tried by another call just now."
        else:
            wait = max(0.001, (clock.from_text(row["retry_at"]) - self._now()).total_seconds())
            message = f"{failed} is left alone until {row['retry_at']}."
        return CircuitOpenError(
            message, target=target, retry_after=wait,
            hint=f"See: edgekit integrations breakers {quoted(self._name)}",
        )  # fmt: skip

    def _note(self, target: str, failed: bool | None, *, is_trial: bool) -> None:
        """Judge a call that was made; where the file cannot be written now, what came of it stands still."""
        try:
            self._judge(target, failed, is_trial=is_trial)
        except (BusyError, UnavailableError) as error:
            _log.warning("%s: how a call of %s went is not counted. %s", self._name, target, error.message)

    def _judge(self, target: str, failed: bool | None, *, is_trial: bool) -> None:
        """Write what follows from how a call went, if anything does; None says nothing of the place."""
        if not failed and not is_trial:
            row = self._find(target)
            if failed is None or row is None or row["breaker_status"] != "closed" or not row["failure_count"]:
                return
        with db.change(reason=f"breaker of {self._name}"):
            row = self._find(target)
            if failed:
                self._count(target, row)
            elif row is None or (row["breaker_status"] != "closed") != is_trial:
                pass  # somebody closed it by hand, or it opened under a call that had passed before
            elif failed is None:  # given up before it said anything: the next call is the trial
                CircuitBreaker.update(breaker_status="open").where(CircuitBreaker.id == row["id"]).execute()
                self._write_health()
            else:
                _close(CircuitBreaker.id == row["id"])
                if is_trial:
                    self._write_health(otherwise="healthy")

    def _count(self, target: str, row: dict[str, Any] | None) -> None:
        count = 1 + (row["failure_count"] if row is not None else 0)
        status = row["breaker_status"] if row is not None else "closed"
        values: dict[str, Any] = {"failure_count": count}
        opens = status == "half_open" or (status == "closed" and count >= self._figures.threshold)
        if opens:
            at = self._now()
            until = at + timedelta(seconds=self._figures.seconds)
            values |= {"breaker_status": "open", "opened_at": at, "retry_at": until}
        if row is None:
            CircuitBreaker.create(integration_id=self._id, target=target, **values)
        else:
            CircuitBreaker.update(**values).where(CircuitBreaker.id == row["id"]).execute()
        if opens:
            self._write_health()

    def _write_health(self, *, otherwise: str | None = None) -> None:
        write_health(self._id, self._now(), otherwise=otherwise)


def is_left_alone(row: Mapping[str, Any], now: datetime) -> bool:
    """Whether the time of an open breaker is not over yet; a clock set back far does not keep it so."""
    if row["breaker_status"] != "open":
        return False
    left = (clock.from_text(row["retry_at"]) - now).total_seconds()
    span = clock.from_text(row["retry_at"]) - clock.from_text(row["opened_at"])
    return 0 < left <= 2 * span.total_seconds()


def require_no_change(name: str) -> None:
    """Raise EdgekitError, a bug of ours, where another side would be waited for while a change is open."""
    if db.current().open_change is not None:
        raise EdgekitError(f"{name} would ask the other side while a change of the file is open.")


def write_health(integration_id: int, now: datetime, *, otherwise: str | None = None) -> None:
    """Write what the breakers of an integration say of its health, in the open change.

    An open one makes it unhealthy, else a half open one degraded; where all are closed it is `otherwise`,
    and None leaves it as it is.
    """
    states = {
        row["breaker_status"]
        for row in db.query(
            "SELECT breaker_status FROM circuit_breaker WHERE integration_id = ?", (integration_id,)
        )
    }
    health = "unhealthy" if "open" in states else "degraded" if "half_open" in states else otherwise
    if health is not None:
        Integration.update(health_status=health, last_health_check_at=now).where(
            Integration.id == integration_id
        ).execute()


def reset_breakers(integration: str, *, target: str | None = None, now: datetime | None = None) -> list[str]:
    """Close the breakers of an integration, or the one of a target, and return the targets closed.

    Its health is unknown from then on, until it is asked. Raise NotFoundError where there is no such target.
    """
    found = list_breakers(integration, now=now)
    known = [row["target"] for row in found]
    if target is not None and target not in known:
        raise NotFoundError(
            f"{integration} has no breaker for {target}.",
            hint=f"It has: {', '.join(known) or 'none, as nothing it called has failed'}.",
        )
    wanted = [
        row["target"]
        for row in found
        if target in {None, row["target"]} and (row["status"] != "closed" or row["failure_count"])
    ]
    integration_id = reading.find(integration)["id"]
    if wanted:
        with db.change(reason=f"integrations reset-breaker {integration}"):
            _close((CircuitBreaker.integration_id == integration_id) & CircuitBreaker.target.in_(wanted))
            Integration.update(health_status=None).where(Integration.id == integration_id).execute()
            write_health(integration_id, now or clock.now())
    return wanted


def _close(which: Any) -> None:
    CircuitBreaker.update(breaker_status="closed", failure_count=0, opened_at=None, retry_at=None).where(
        which
    ).execute()
