"""How a runner is asked to stop: SIGTERM, Ctrl-C, Ctrl-Break, and the closing of a Windows console."""

from __future__ import annotations

import signal
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE = 1.5
"""Seconds in which a second signal is the same wish once more: a terminal and a parent may both send it."""

_CONSOLE_SECONDS = 4.5
"""How long Windows waits for a program whose console is closed, and a little less."""


class Stop:
    """The wish that a runner ends: when its work has come to a good place, or, asked again, at once."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._urgent = threading.Event()
        self._ended = threading.Event()
        self._asked_at = 0.0
        self.is_interrupt = False
        """Whether it was asked by Ctrl-C."""

    def ask(self) -> None:
        """Ask it to end; asked again a while later, it waits for nothing."""
        if not self._asked.is_set():
            self._asked_at = time.monotonic()
            self._asked.set()
        elif time.monotonic() - self._asked_at > _PATIENCE:
            self._urgent.set()

    def ask_at_once(self) -> None:
        """Ask it to end without waiting for anything."""
        self._asked.set()
        self._urgent.set()

    @property
    def is_asked(self) -> bool:
        """Whether it is to end."""
        return self._asked.is_set()

    @property
    def is_urgent(self) -> bool:
        """Whether it is to wait for nothing."""
        return self._urgent.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait so long at most until it is asked, and tell whether it was."""
        return self._asked.wait(seconds)

    def tell_ended(self) -> None:
        """Say that the runner has ended, to whoever holds the process open for it."""
        self._ended.set()

    def wait_ended(self, seconds: float) -> bool:
        """Wait so long at most until the runner has ended."""
        return self._ended.wait(seconds)


@contextmanager
def heard_by(stop: Stop) -> Iterator[None]:
    """Ask `stop` at each signal that means so, while the block runs. In the main thread alone."""

    def hear(number: int, frame: object) -> None:
        stop.is_interrupt = stop.is_interrupt or number == signal.SIGINT
        stop.ask()

    names = ("SIGTERM", "SIGINT", "SIGBREAK", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before: dict[int, Any] = {}
    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:  # a parent has said so: nohup, a job in background
            before[number] = signal.signal(number, hear)
    try:
        with _console_heard_by(stop):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _console_heard_by(stop: Stop) -> Iterator[None]:
    """Hear that a Windows console is closed, or its user logs off; elsewhere there is nothing to hear."""
    if sys.platform != "win32":
        yield
        return
    import ctypes  # type: ignore[unreachable,unused-ignore]

    @ctypes.WINFUNCTYPE(ctypes.c_int, ctypes.c_uint)
    def hear(event: int) -> int:
        return hear_console(stop, event)

    ctypes.windll.kernel32.SetConsoleCtrlHandler(hear, 1)
    try:
        yield
    finally:
        ctypes.windll.kernel32.SetConsoleCtrlHandler(hear, 0)


def hear_console(stop: Stop, event: int, seconds: float = _CONSOLE_SECONDS) -> int:
    """Answer Windows: 1 for a console that is closed (2), a user who logs off (5), a shutdown (6), else 0.

    Windows ends the process as soon as the answer is there, so it is given once the runner has ended.
    """
    if event not in {2, 5, 6}:
        return 0
    stop.ask()
    if not stop.wait_ended(seconds / 2):
        stop.ask_at_once()
        stop.wait_ended(seconds / 2)
    return 1
