"""A line that counts on a terminal while something long runs, and is silent in a pipe."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

import click

from edgekit.cli.show import cell

if TYPE_CHECKING:
    from types import TracebackType


class Counting:
    """Shows `label  1,234 records` on standard error, a few times a second; gone when the work is done."""

    def __init__(self, label: str = "") -> None:
        self._label = label
        self._live = sys.stderr.isatty()
        self._shown_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live and self._shown_at:
            click.echo("\r\x1b[2K", err=True, nl=False)

    def of(self, label: str, count: int) -> None:
        """Show a count of something by name."""
        if label != self._label:
            self._label, self._shown_at = label, 0.0
        self(count)

    def __call__(self, count: int) -> None:
        """Show a count."""
        if self._live and time.monotonic() - self._shown_at >= 0.1:
            click.echo(f"\r\x1b[2K{cell(self._label)}  {count:,} records", err=True, nl=False)
            self._shown_at = time.monotonic()
