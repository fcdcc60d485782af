"""The killing of a process together with everything it has started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

_LONGEST_KILL = 10.0


def own_group() -> dict[str, Any]:
    """Return how a process is started that Ctrl-C does not reach and that is killed as a whole."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def kill(process_id: int) -> None:
    """Kill a process that `own_group` started, and all it has started, also what left its group.

    One that is gone already is no error.
    """
    if sys.platform == "win32":
        command = ["taskkill", "/T", "/F", "/PID", str(process_id)]
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(command, capture_output=True, check=False, timeout=_LONGEST_KILL)  # noqa: S603
        _signal(process_id, signal.SIGTERM)  # which ends it there, if it is there still
        return
    if process_id != os.getpid():
        _signal(process_id, signal.SIGSTOP)  # so that it starts nothing more meanwhile
    for child in _below(process_id, _parents()):
        _signal(child, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process_id, signal.SIGKILL)
    _signal(process_id, signal.SIGKILL)


def _signal(process_id: int, number: int) -> None:
    with contextlib.suppress(OSError):  # it is gone
        os.kill(process_id, number)


def _below(process_id: int, parents: dict[int, int]) -> list[int]:
    """Return all that a process has started, and what these have, the nearest first."""
    found = [process_id]
    for above in found:
        found += [child for child, parent in parents.items() if parent == above]
    return found[1:]


def _parents() -> dict[int, int]:
    """Return the parent of each process of this machine."""
    if Path("/proc/self/stat").exists():
        found = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # it ended meanwhile
                found[int(stat.parent.name)] = int(
                    stat.read_text(errors="replace").rpartition(")")[2].split()[1]
                )
        return found
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        told = subprocess.run(
            ["/bin/ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=False,
            timeout=_LONGEST_KILL,
        )  # fmt: skip
        return {int(pid): int(parent) for pid, parent in map(str.split, told.stdout.splitlines())}
    return {}
