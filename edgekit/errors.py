"""What can go wrong, in one tree. The class says the exit code and whether to retry, skip or stop.

    EdgekitError            1   a bug of ours, or something nobody foresaw
    ├─ NotFoundError        3   no such file, row, table, integration …
    ├─ InvalidError         4   the input is wrong: say what, where and what to do
    │   └─ RuleError        4   a rule of the file said no: table, column and code name it
    ├─ DeniedError          5   not allowed
    │   ├─ VaultLockedError 5   no master key, or the wrong one
    │   └─ LicenseError     5   not covered by a licence
    │       └─ LicenseFileError 5  a licence file is refused, for the reason its code names
    ├─ ConflictError        6   already there, or in use by somebody else
    │   ├─ BusyError        6   the file stayed locked longer than we wait
    │   └─ MigrationNeededError 6   the file has another schema than this program
    ├─ UnavailableError     7   retry: time-out, connection, 5xx
    │   ├─ RateLimitedError 7   retry after the given seconds
    │   ├─ CircuitOpenError 7   refused here, to spare a target that keeps failing
    │   └─ StoppedError     7   work that was cut off: out of time, no longer wanted, or its process died
    ├─ SkipRecordError      4   dead-letter this record and go on with the next
    │   └─ TransformationError 4  a script refused a record, was stopped, or is wrong: its code says which
    └─ CorruptError         8   the file is not what it should be

2 is Click's usage error, 130 is Ctrl-C. Two borders turn foreign errors into these: `db.change()` for those
of the driver, the root command group for these into `error:` and `hint:` on standard error.
"""

from __future__ import annotations

import re


class EdgekitError(Exception):
    """Something went wrong that has no class of its own."""

    exit_code = 1
    retry_after: float | None = None
    """Seconds before which trying again is in vain, where that is known."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def was_sent(self) -> bool:
        """Whether the other side may know of it: not where a limit or a breaker of ours held it back."""
        return True

    @property
    def code(self) -> str:
        """The class in the spelling of a stored error code: `NotFoundError` is `not_found`."""
        name = type(self).__name__.removesuffix("Error")
        return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


class NotFoundError(EdgekitError):
    """What was asked for does not exist."""

    exit_code = 3


class InvalidError(EdgekitError):
    """The input is wrong."""

    exit_code = 4


class RuleError(InvalidError):
    """A constraint or trigger of the file refused a row."""

    def __init__(self, table: str, column: str, code: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.table = table
        self.column = column
        self.rule = code

    @property
    def code(self) -> str:
        """The rule's own code, such as `reference` or `format`."""
        return self.rule


class DeniedError(EdgekitError):
    """Not allowed."""

    exit_code = 5


class VaultLockedError(DeniedError):
    """Secrets cannot be read: no master key, or the wrong one."""


class LicenseError(DeniedError):
    """Not covered by a licence."""


class LicenseFileError(LicenseError):
    """A licence file, or another statement of a vendor, is refused; nothing of it was taken over.

    The code is one of malformed, newer_format, wrong_kind, tampered, foreign_vendor, retired_key,
    no_vendor_key, wrong_site, not_yet_valid, expired, already_installed, replaced, revoked, unknown_feature,
    unknown_tier, unknown_scope, unfit_value.
    """

    def __init__(self, message: str, *, reason: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason

    @property
    def code(self) -> str:
        """Why it is refused."""
        return self.reason


class ConflictError(EdgekitError):
    """Already there, or in use."""

    exit_code = 6


class BusyError(ConflictError):
    """The file stayed locked longer than we wait."""


class MigrationNeededError(ConflictError):
    """The file has another schema than this program."""


class UnavailableError(EdgekitError):
    """The other side did not answer as it should; trying again may help."""

    exit_code = 7
    is_late = False
    """Whether it had not answered when its time was over."""


class RateLimitedError(UnavailableError):
    """The other side asks us to wait, or a limit of ours does: `limit` names it, and nothing was sent."""

    was_tried = False
    """Whether a try before it, of the same exchange, was sent."""

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        limit: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after
        self.limit = limit

    @property
    def was_sent(self) -> bool:
        """Whether the other side asked us to wait, or was tried; a limit of ours sent nothing."""
        return self.limit is None or self.was_tried


class CircuitOpenError(UnavailableError):
    """Refused here, because the target failed too often just now: nothing was sent."""

    was_tried = False
    """Whether a try before it, of the same exchange, was sent, and may be what opened the breaker."""

    def __init__(
        self, message: str, *, target: str, retry_after: float | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.target = target
        self.retry_after = retry_after

    @property
    def was_sent(self) -> bool:
        """Only by a try before this one."""
        return self.was_tried


class StoppedError(UnavailableError):
    """A piece of work was cut off in the middle. The code is one of timeout, cancelled, gone, stopped."""

    def __init__(self, message: str, *, reason: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason

    @property
    def code(self) -> str:
        """Why it was cut off; `gone` where its process died by itself."""
        return self.reason


class SkipRecordError(EdgekitError):
    """One record is not usable; the run goes on."""

    exit_code = 4

    def __init__(self, message: str, *, error_code: str = "invalid", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.error_code = error_code

    @property
    def code(self) -> str:
        """The error code a dead letter is stored under."""
        return self.error_code


class TransformationError(SkipRecordError):
    """A transformation gives no answer for a record.

    The code is one of time, memory, denied, syntax, failed, input, output, refused; `line` is the script's
    line, where it is known; `document` what the failure yields where an error output schema was given.
    """

    def __init__(
        self,
        message: str,
        *,
        error_code: str,
        line: int | None = None,
        document: object = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, error_code=error_code, hint=hint)
        self.line = line
        self.document = document


class CorruptError(EdgekitError):
    """The file is damaged, or not one of ours."""

    exit_code = 8


def quoted(word: object) -> str:
    """Write a word of a command, in a hint, as the shell takes it for one: `"Court records"`."""
    import shlex

    text = str(word)
    if re.fullmatch(r"[\w@%+=:,./\\-]+", text):
        return text
    if not re.search(r'["$`]', text):
        return f'"{text}"'
    return f"'{text}'" if "'" not in text else shlex.quote(text)
