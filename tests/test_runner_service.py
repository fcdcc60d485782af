"""The runner as a service: what is written for each system, what is asked of it, what is never written."""

from __future__ import annotations

import json
import os
import plistlib
import sys
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from edgekit import runner
from edgekit.cli.root import edgekit as command
from edgekit.errors import InvalidError, NotFoundError
from edgekit.runner.process.units import Machine, unit_for

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET = "a2V5LXRoYXQtbXVzdC1uZXZlci1iZS13cml0dGVu"
ENVIRONMENT = {"EDGEKIT_MASTER_KEY": SECRET, "EDGEKIT_HOME": "/keys of us", "PATH": "/bin"}
FILE = PurePosixPath("/home/mia/my agency/100% $ours.db")


def machine(system: str, environment: Mapping[str, str] = ENVIRONMENT) -> Machine:
    python = r"C:\Program Files\Python\python.exe" if system == "win32" else "/home/mia/a venv/bin/python"
    return Machine(system, python, Path("/home/mia"), dict(environment), 501)


def test_a_systemd_unit_names_python_and_file_whatever_is_in_their_names() -> None:
    unit = unit_for(FILE, machine("linux"), actor="mia")
    assert unit.path == Path("/home/mia/.config/systemd/user") / f"{unit.name}.service"
    assert unit.name.startswith("edgekit-100-ours-")
    lines = unit.text.splitlines()
    assert (
        'ExecStart="/home/mia/a venv/bin/python" "-m" "edgekit" "--db" "/home/mia/my agency/100%% $$ours.db"'
        ' "--actor" "mia" "runner" "start"'
    ) in lines
    assert 'Environment="EDGEKIT_HOME=/keys of us"' in lines
    assert "Restart=on-failure" in lines
    assert "KillMode=mixed" in lines
    assert [words[2] for words in unit.enable] == ["daemon-reload", "enable", "restart"]


def test_a_launchd_agent_is_a_plist_that_says_the_same() -> None:
    unit = unit_for(FILE, machine("darwin"))
    said = plistlib.loads(unit.content)
    assert said["ProgramArguments"] == [
        "/home/mia/a venv/bin/python", "-m", "edgekit", "--db", str(FILE), "runner", "start",
    ]  # fmt: skip
    assert unit.path == Path(f"/home/mia/Library/LaunchAgents/{said['Label']}.plist")
    assert (said["RunAtLoad"], said["KeepAlive"]) == (True, {"SuccessfulExit": False})
    assert said["EnvironmentVariables"] == {"EDGEKIT_HOME": "/keys of us"}
    assert unit.enable == (("launchctl", "bootstrap", "gui/501", str(unit.path)),)


def test_a_windows_task_is_xml_that_opens_no_window_and_has_no_time_limit() -> None:
    file = PureWindowsPath(r"C:\Users\Mia & Co\agency.db")
    local = {"LOCALAPPDATA": r"C:\Users\Mia\AppData\Local", "USERNAME": "Mia", "USERDOMAIN": "DESK"}
    unit = unit_for(file, machine("win32", ENVIRONMENT | local))
    root = ET.fromstring(unit.content.decode("utf-16").split("?>", 1)[1])
    said = {element.tag.rpartition("}")[2]: element.text for element in root.iter()}
    assert said["Command"] == r"C:\Program Files\Python\pythonw.exe"
    assert said["Arguments"] is not None
    assert r'-m edgekit --db "C:\Users\Mia & Co\agency.db" runner start --log ' in said["Arguments"]
    assert (said["UserId"], said["ExecutionTimeLimit"]) == (r"DESK\Mia", "PT0S")
    assert (said["StopIfGoingOnBatteries"], said["MultipleInstancesPolicy"]) == ("false", "IgnoreNew")
    assert unit.enable[0][:3] == ("schtasks", "/Create", "/TN")


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_the_master_key_is_never_written_and_it_is_said_what_must_be_there(system: str) -> None:
    unit = unit_for(FILE, machine(system))
    assert SECRET not in unit.text + repr(unit)
    assert "EDGEKIT_MASTER_KEY_FILE" in unit.notes[0]
    without = unit_for(FILE, machine(system, {}))
    assert not [note for note in without.notes if "key" in note]


def test_each_file_has_a_service_of_its_own() -> None:
    there = unit_for(PurePosixPath("/other/100% $ours.db"), machine("linux"))
    assert there.name != unit_for(FILE, machine("linux")).name


def test_another_system_is_told_what_to_do() -> None:
    with pytest.raises(InvalidError, match="freebsd"):
        unit_for(FILE, machine("freebsd14"))


def fake_systemctl(folder: Path, status: int) -> dict[str, str]:
    """A program of that name, which notes what it is asked and answers so."""
    folder.mkdir()
    program = folder / "systemctl"
    noted = str(folder / "asked")
    program.write_text(
        f"#!{sys.executable}\nimport sys\n"
        f"with open({noted!r}, 'a') as file:\n    file.write(' '.join(sys.argv[1:]) + '\\n')\n"
        f"sys.exit({'Failed to connect to bus' if status else 0!r})\n"
    )
    program.chmod(0o755)
    return {"PATH": str(folder), "XDG_CONFIG_HOME": str(folder / "config")}


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the system it runs on")


@linux
def test_install_switches_it_on_and_uninstall_takes_it_away(
    edge_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in fake_systemctl(tmp_path / "bin", 0).items():
        monkeypatch.setenv(name, value)
    for _ in range(2):  # again is as good as once
        done = CliRunner().invoke(command, ["--db", str(edge_file), "runner", "install", "--json"])
        assert done.exit_code == 0, done.output
        said = json.loads(done.stdout)
        assert (said["is_done"], said["commands"]) == (True, [])
        assert str(edge_file) in Path(said["path"]).read_text(encoding="utf-8")
    asked = (tmp_path / "bin" / "asked").read_text().splitlines()
    service = f"{said['name']}.service"
    assert (
        asked
        == [f"--user {word}" for word in ("daemon-reload", f"enable {service}", f"restart {service}")] * 2
    )
    gone = CliRunner().invoke(command, ["--db", str(edge_file), "runner", "uninstall"])
    assert (gone.exit_code, Path(said["path"]).exists()) == (0, False)
    assert (tmp_path / "bin" / "asked").read_text().splitlines()[-1] == f"--user disable --now {service}"
    again = CliRunner().invoke(command, ["--db", str(edge_file), "runner", "uninstall"])
    assert again.exit_code == 3
    assert "runner install" in again.output


@linux
@pytest.mark.parametrize("there", [True, False])
def test_where_the_system_does_not_answer_it_is_said_what_was_written_and_what_enables_it(
    edge_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, there: bool
) -> None:
    for name, value in fake_systemctl(tmp_path / "bin", 1).items():
        monkeypatch.setenv(name, value)
    if not there:
        (tmp_path / "bin" / "systemctl").unlink()
    done = CliRunner().invoke(command, ["--db", str(edge_file), "runner", "install"])
    assert done.exit_code == 0
    assert ("Failed to connect to bus" if there else "there is no systemctl here") in done.output
    assert "systemctl --user enable edgekit-edge-" in done.output
    assert list((tmp_path / "bin" / "config" / "systemd" / "user").glob("edgekit-edge-*.service"))


def test_print_writes_nothing(edge_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    done = CliRunner().invoke(command, ["--db", str(edge_file), "runner", "install", "--print"])
    assert done.exit_code == 0
    assert os.path.abspath(sys.executable) in done.stdout  # noqa: PTH100
    assert str(edge_file) in done.stdout
    assert not (tmp_path / "config").exists()


def test_a_file_that_is_not_there_has_no_service(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"absent\.db"):
        runner.install(tmp_path / "absent.db")
