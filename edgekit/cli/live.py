"""What a runner says while it runs: lines, and on a terminal one more below them that says how it stands."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import click

from edgekit import clock, masking
from edgekit.cli.show import cell, cut, terminal_width, width

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

_COLOURS = {
    "failed": "red",
    "fault": "red",
    "done": "green",
    "clock": "yellow",
    "recovered": "yellow",
    "stopping": "yellow",
}
_LARGEST = 5_000_000
"""Bytes of a log before it is put aside; two that were are kept."""


class View:
    """Shows lines as they come, from any thread, and on a terminal how the runner stands below them."""

    def __init__(self, log: Path | None = None) -> None:
        self._is_terminal = sys.stdout is not None and sys.stdout.isatty()
        self._lock = threading.Lock()
        self._below = ""
        self._log = None if log is None else _open_log(log)

    def line(self, line: Any) -> None:
        """Show something that happened."""
        # The traceback of a fault keeps its lines; what anybody else has written is one.
        text = masking.secrets(line.text) if line.kind == "fault" else cell(line.text)
        plain = f"{clock.to_text(line.at)} {line.kind:<9} {text}"
        with self._lock:
            if self._log is not None:
                self._log.info(plain)
            if not self._is_terminal:
                click.echo(plain)
                return
            self._wipe()
            kind = click.style(f"{line.kind:<9}", fg=_COLOURS.get(line.kind))
            click.echo(f"{line.at.astimezone():%H:%M:%S}  {kind}  {text}")

    def standing(self, standing: Any) -> None:
        """Show how it stands; only a terminal has a place for it."""
        if not self._is_terminal:
            return
        text = cut(describe(standing, clock.now()), terminal_width() - 1)
        with self._lock:
            if text != self._below:
                self._wipe()
                click.echo(text, nl=False)
                self._below = text

    def close(self) -> None:
        """Leave nothing below the lines."""
        with self._lock:
            self._wipe()

    def _wipe(self) -> None:
        if self._below:  # with blanks, which every console understands
            click.echo(f"\r{' ' * width(self._below)}\r", nl=False)
            self._below = ""


def describe(standing: Any, now: datetime) -> str:
    """Say in one line what a runner does and when it wakes."""
    from edgekit.runner.process.telling import tell_span

    if standing.running:
        each = [f"{one.name} {tell_span((now - one.since).total_seconds())}" for one in standing.running]
        doing = f"At work: {', '.join(each)}"
    else:
        doing = "Nothing is due"
    if standing.next_at is None or standing.next_at <= now:
        return f"{doing} | Ctrl-C ends it"
    local = standing.next_at.astimezone()
    day = "" if local.date() == now.astimezone().date() else f"{local:%a %d %b} "
    return f"{doing} | next {day}{local:%H:%M:%S} | Ctrl-C ends it"


def _open_log(path: Path) -> Any:
    import logging
    from logging.handlers import RotatingFileHandler

    path.parent.mkdir(parents=True, exist_ok=True)
    logger = logging.getLogger("edgekit.runner.log")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(RotatingFileHandler(path, maxBytes=_LARGEST, backupCount=2, encoding="utf-8"))
    return logger
