"""What a runner says while it runs: lines, and on a terminal one more below them that says how it stands."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
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
        self._is_closed = False
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
                self._write(f"{plain}\n")
                return
            colour = _COLOURS.get(line.kind)
            kind = f"{line.kind:<9}" if colour is None else click.style(f"{line.kind:<9}", fg=colour)
            # In one piece with what stands below, which would flicker else.
            below, wiped = self._below, self._wiped()
            self._write(f"{wiped}{line.at.astimezone():%H:%M:%S}  {kind}  {text}\n{below}")
            self._below = below

    def standing(self, standing: Any) -> None:
        """Show how it stands; only a terminal has a place for it."""
        if not self._is_terminal:
            return
        text = _fitted(cell(describe(standing, clock.now())), terminal_width() - 1)
        with self._lock:
            if text != self._below:
                self._write(f"{self._wiped()}{text}")
                self._below = text

    def close(self) -> None:
        """Leave nothing below the lines."""
        with self._lock:
            self._write(self._wiped())

    def _wiped(self) -> str:
        """Return what wipes the line below: blanks, which every console understands."""
        room = min(width(self._below), terminal_width() - 1)  # it may be narrower by now
        self._below = ""
        return f"\r{' ' * room}\r" if room > 0 else ""

    def _write(self, text: str) -> None:
        """Write to whoever looks. Once nobody does, the terminal or the pipe is closed, the work goes on."""
        if not text or self._is_closed:
            return
        with suppress(OSError):
            click.echo(text, nl=False, color=False if os.environ.get("NO_COLOR") else None)
            return
        self._is_closed = True
        _close_output()


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


def _close_output() -> None:
    """Let what is still to be written go nowhere: the end of the process would fail over it."""
    with suppress(OSError):  # what stands for it in a test has no number
        number = sys.stdout.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)


def _fitted(text: str, room: int) -> str:
    """Cut a text to so many columns as the terminal shows it, which may not have all of its letters."""
    encoding, errors = sys.stdout.encoding, sys.stdout.errors or "strict"
    shown = cut(text.encode(encoding, errors).decode(encoding), room)
    return shown.encode(encoding, "replace").decode(encoding)


def _open_log(path: Path) -> Any:
    import logging
    from logging.handlers import RotatingFileHandler

    path.parent.mkdir(parents=True, exist_ok=True)
    logger = logging.getLogger("edgekit.runner.log")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(RotatingFileHandler(path, maxBytes=_LARGEST, backupCount=2, encoding="utf-8"))
    return logger
