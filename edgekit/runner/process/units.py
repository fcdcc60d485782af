"""What a system needs to be told to run the runner of a file by itself: as text, for each of the three."""

from __future__ import annotations

import hashlib
import ntpath
import os
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from edgekit.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

KEPT = ("EDGEKIT_HOME", "EDGEKIT_MASTER_KEY_FILE", "XDG_DATA_HOME")
"""Variables of the environment that say where something is, and hold no secret: the service is given them."""

SECRET = "EDGEKIT_MASTER_KEY"  # noqa: S105 - the name of it
"""Never written anywhere."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What of a machine and its user a service depends on."""

    system: str
    """linux, darwin or win32."""
    python: str
    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    user_id: int = 0


@dataclass(frozen=True, slots=True)
class Unit:
    """A service as its system wants it: where the text goes, and the commands that switch it on and off."""

    kind: str
    """systemd user unit, launchd agent or scheduled task."""
    name: str
    path: Path
    content: bytes
    enable: tuple[tuple[str, ...], ...]
    disable: tuple[tuple[str, ...], ...]
    log: str
    """Where its lines are read."""
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The content as people read it."""
        return self.content.decode("utf-16" if self.content[:2] == b"\xff\xfe" else "utf-8")


def unit_for(file: PurePath, machine: Machine, *, actor: str | None = None) -> Unit:
    """Return the service that runs the runner of a file on a machine. Raise InvalidError for another system.

    `file` is absolute. The name is made of the file's path, so that each file has its own.
    """
    builders = {"linux": _systemd, "darwin": _launchd, "win32": _task}
    if machine.system not in builders:
        raise InvalidError(
            f"No service is known for {machine.system}.",
            hint="Have it start this at boot: edgekit --db FILE runner start",
        )
    stem = re.sub(r"[^A-Za-z0-9]+", "-", file.stem).strip("-").lower()[:40] or "file"
    name = f"edgekit-{stem}-{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    who = ("--actor", actor) if actor else ()
    command = (machine.python, "-m", "edgekit", "--db", str(file), *who, "runner", "start")
    return builders[machine.system](name, file, command, machine)


def _variables(machine: Machine) -> dict[str, str]:
    return {name: machine.environment[name] for name in KEPT if machine.environment.get(name)}


def _notes(machine: Machine, how: str) -> tuple[str, ...]:
    if not machine.environment.get(SECRET):
        return ()
    note = (
        f"The master key is in {SECRET} of this session, which the service does not see and which is not"
        f" copied. Write it to a file only you can read, and {how}"
    )
    return (note,)


def _systemd(name: str, file: PurePath, command: tuple[str, ...], machine: Machine) -> Unit:
    base = machine.environment.get("XDG_CONFIG_HOME") or str(machine.home / ".config")
    path = Path(base) / "systemd" / "user" / f"{name}.service"
    lines = [
        "[Unit]",
        f"Description=edgekit runner of {_percent(str(file))}",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        f"ExecStart={' '.join(_systemd_word(word) for word in command)}",
        f"WorkingDirectory={_percent(str(file.parent))}",
        *(f"Environment={_systemd_word(f'{key}={value}')}" for key, value in _variables(machine).items()),
        "Restart=on-failure",
        "RestartSec=30",
        "# The runner ends its own work; what is left after that is killed.",
        "KillMode=mixed",
        "TimeoutStopSec=60",
        "",
        "[Install]",
        "WantedBy=default.target",
    ]
    service = f"{name}.service"
    user = ("systemctl", "--user")
    notes = _notes(
        machine,
        f"say where in the unit: systemctl --user edit {service}, [Service], Environment={SECRET}_FILE=PATH",
    )
    linger = "It runs while you are logged in. To have it run from boot: loginctl enable-linger"
    return Unit(
        "systemd user unit", name, path, ("\n".join(lines) + "\n").encode(),
        ((*user, "daemon-reload"), (*user, "enable", service), (*user, "restart", service)),
        ((*user, "disable", "--now", service),),
        f"journalctl --user -u {name}", (*notes, linger),
    )  # fmt: skip


def _percent(text: str) -> str:
    return text.replace("%", "%%")


def _systemd_word(word: str) -> str:
    quoted = word.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{_percent(quoted)}"'


def _launchd(name: str, file: PurePath, command: tuple[str, ...], machine: Machine) -> Unit:
    import plistlib

    label = f"org.edgekit.{name}"
    path = machine.home / "Library" / "LaunchAgents" / f"{label}.plist"
    log = str(machine.home / "Library" / "Logs" / f"{name}.log")
    content = plistlib.dumps(
        {
            "Label": label,
            "ProgramArguments": list(command),
            "WorkingDirectory": str(file.parent),
            "EnvironmentVariables": _variables(machine),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 30,
            "ExitTimeOut": 60,
            "StandardOutPath": log,
            "StandardErrorPath": log,
        },
        sort_keys=False,
    )
    domain = f"gui/{machine.user_id}"
    return Unit(
        "launchd agent", name, path, content,
        (("launchctl", "bootstrap", domain, str(path)),), (("launchctl", "bootout", f"{domain}/{label}"),),
        log, _notes(machine, f"say where: launchctl setenv {SECRET}_FILE PATH, then install it again"),
    )  # fmt: skip


def _task(name: str, file: PurePath, command: tuple[str, ...], machine: Machine) -> Unit:
    from subprocess import list2cmdline
    from xml.sax.saxutils import escape

    local = machine.environment.get("LOCALAPPDATA") or str(machine.home / "AppData" / "Local")
    path = Path(local) / "edgekit" / "tasks" / f"{name}.xml"
    log = ntpath.join(local, "edgekit", "logs", f"{name}.log")
    user = machine.environment.get("USERNAME", "")
    domain = machine.environment.get("USERDOMAIN", "")
    who = escape(f"{domain}\\{user}" if domain else user)
    folder, program = ntpath.split(command[0])
    # python.exe would open a console window at each log-on; its twin opens none.
    quiet = ntpath.join(folder, "pythonw.exe") if program.lower() == "python.exe" else command[0]
    arguments = list2cmdline([*command[1:], "--log", log])
    content = _TASK.format(
        file=escape(str(file)), user=who, command=escape(quiet), arguments=escape(arguments),
        folder=escape(str(file.parent)),
    )  # fmt: skip
    return Unit(
        "scheduled task", name, path, content.replace("\n", "\r\n").encode("utf-16"),
        (
            ("schtasks", "/Create", "/TN", name, "/XML", str(path), "/F"),
            ("schtasks", "/Run", "/TN", name),
        ),
        (("schtasks", "/End", "/TN", name), ("schtasks", "/Delete", "/TN", name, "/F")),
        log, _notes(machine, f"say where: setx {SECRET}_FILE PATH"),
    )  # fmt: skip


_TASK = """<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>edgekit runner of {file}</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Enabled>true</Enabled>
      <UserId>{user}</UserId>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{user}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <StartWhenAvailable>true</StartWhenAvailable>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>999</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{command}</Command>
      <Arguments>{arguments}</Arguments>
      <WorkingDirectory>{folder}</WorkingDirectory>
    </Exec>
  </Actions>
</Task>
"""


def this_machine() -> Machine:
    """Return what of the machine this runs on, and its user, a service depends on."""
    import sys

    own = getattr(os, "getuid", lambda: 0)()
    system = "linux" if sys.platform.startswith("linux") else sys.platform
    # The path of a virtual environment's own python: followed to its end it would be another.
    python = os.path.abspath(sys.executable)  # noqa: PTH100
    return Machine(system, python, Path.home(), dict(os.environ), own)
