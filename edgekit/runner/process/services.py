"""The runner as a service of its system: written, switched on, and taken away again."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.errors import NotFoundError, quoted
from edgekit.runner.process.units import Unit, this_machine, unit_for

if TYPE_CHECKING:
    from edgekit.runner.process.units import Machine

_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Service:
    """A service that was written, or taken away."""

    kind: str
    name: str
    path: str
    log: str
    is_done: bool
    """Whether the system took it: switched on, or off."""
    commands: tuple[str, ...]
    """What does it by hand, where the system did not take it."""
    complaint: str | None
    """What the system said against it."""
    notes: tuple[str, ...]


def plan_service(path: str | Path, *, actor: str | None = None, machine: Machine | None = None) -> Unit:
    """Return what `install` would write for a file. Raise NotFoundError, InvalidError (another system)."""
    found, path = machine or this_machine(), Path(path)
    if not path.is_file():
        raise NotFoundError(f"There is no file {path}.", hint=f"Create it with: edgekit init {quoted(path)}")
    return unit_for(path.resolve(), found, actor=actor)


def install(path: str | Path, *, actor: str | None = None, machine: Machine | None = None) -> Service:
    """Have the system of this user start the runner of a file, now and at each log-in, and keep it running.

    Where the system cannot be asked, as in a container, the service is written and `commands` says what
    switches it on. Installing it again writes it anew. Raise as `plan_service`.
    """
    unit = plan_service(path, actor=actor, machine=machine)
    unit.path.parent.mkdir(parents=True, exist_ok=True)
    Path(unit.log).parent.mkdir(parents=True, exist_ok=True) if unit.kind != "systemd user unit" else None
    is_new = not unit.path.exists()
    unit.path.write_bytes(unit.content)
    if unit.kind == "launchd agent" and not is_new:
        _ask(unit.disable)  # it takes no other text while it knows the old one
    complaint = _ask(unit.enable)
    return _service(unit, unit.enable, complaint, unit.notes)


def uninstall(path: str | Path, *, machine: Machine | None = None) -> Service:
    """Take the service of a file away: it ends now and does not start again. The file stays as it is.

    Raise NotFoundError if there is none.
    """
    unit = unit_for(Path(path).resolve(), machine or this_machine())
    if not unit.path.exists():
        raise NotFoundError(
            f"{path} has no {unit.kind} on this machine.", hint="Install one: edgekit runner install"
        )
    complaint = _ask(unit.disable)
    unit.path.unlink()
    return _service(unit, unit.disable, complaint, ())


def _service(
    unit: Unit, commands: tuple[tuple[str, ...], ...], complaint: str | None, notes: tuple[str, ...]
) -> Service:
    by_hand = () if complaint is None else tuple(" ".join(map(quoted, words)) for words in commands)
    return Service(
        unit.kind, unit.name, str(unit.path), unit.log, complaint is None, by_hand, complaint, notes
    )


def _ask(commands: tuple[tuple[str, ...], ...]) -> str | None:
    """Run the commands of the system one after the other; return what the first one that fails says."""
    for words in commands:
        try:
            done = subprocess.run(  # noqa: S603 - fixed words, and paths of this user
                words, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False
            )
        except FileNotFoundError:
            return f"there is no {words[0]} here"
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{words[0]}: {error}"
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            return said[0].rstrip(".") if said else f"{words[0]} ended with {done.returncode}"
    return None
