"""Two machines: a vendor's without a database, an agency's with one; between them nothing but text files."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click.testing
import pytest
from click.testing import CliRunner

from edgekit import clock
from edgekit.cli.root import edgekit as cli

if TYPE_CHECKING:
    from pathlib import Path

DAY = timedelta(days=1)
START = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=10)


class Machine:
    """A folder, a home and a clock, where commands are typed."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.mkdir()
        self.folder = folder
        self.at = START
        self._patch = monkeypatch

    def types(self, line: str, *more: str, code: int = 0) -> Any:
        """Run a command; return what it printed, as JSON where that was asked for."""
        self._patch.chdir(self.folder)
        self._patch.setenv("EDGEKIT_HOME", str(self.folder / "home"))
        self._patch.setattr(clock, "now", lambda: self.at)
        done = CliRunner().invoke(cli, [*line.split(), *more])
        assert done.exit_code == code, done.output
        self.said = done.stderr
        return json.loads(done.stdout) if "--json" in line else done.stdout

    def sends(self, name: str, other: Machine) -> None:
        """Mail a file."""
        (other.folder / name).write_bytes((self.folder / name).read_bytes())


@pytest.fixture
def vendor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path / "vendor", monkeypatch)
    machine.types("licensing keygen acme.key --vendor", "Acme Software")
    return machine


@pytest.fixture
def agency(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vendor: Machine, edge_file: Path) -> Machine:
    machine = Machine(tmp_path / "agency", monkeypatch)
    edge_file.rename(machine.folder / "agency.db")
    monkeypatch.setenv("EDGEKIT_DB", "agency.db")
    vendor.sends("acme.key.pub", machine)
    machine.types("licensing trust acme.key.pub")
    return machine


CHECK = "licensing check API_INTEGRATIONS --json"


def test_a_licence_from_issue_to_the_end_of_its_grace_and_beyond(vendor: Machine, agency: Machine) -> None:
    vendor.types(
        "licensing issue --key acme.key --feature API_INTEGRATIONS=5 --days 365 --grace-days 14 --mode block"
        " --serial A-1 --out first.license"
    )
    vendor.sends("first.license", agency)
    assert not agency.types(CHECK)["enabled"]
    agency.types("licensing install first.license")
    found = agency.types(CHECK)
    assert (found["enabled"], found["reason"], found["quantity"], found["mode"]) == (
        True, "license", 5, "block",
    )  # fmt: skip

    agency.at = START + 370 * DAY
    assert agency.types(CHECK)["reason"] == "grace"
    assert "still holds until" in agency.types("doctor")
    agency.at = START + 380 * DAY
    assert (agency.types(CHECK)["enabled"], agency.types(CHECK)["reason"]) == (False, "expired")
    assert "Licence A-1 expired at" in agency.types("doctor")

    for back, words in ((timedelta(hours=1), "1 hour behind"), (365 * DAY, "set back by 365 days")):
        agency.at = START + 380 * DAY - back
        assert agency.types(CHECK)["reason"] == "expired"
        assert words in agency.said
        assert words in agency.types("doctor")
        assert words in agency.types("licensing clock")
    assert "installed already" in refused(agency, "first.license")
    agency.at = START + 380 * DAY

    vendor.at = START + 380 * DAY
    vendor.types("licensing renew first.license --key acme.key --serial A-2 --out second.license")
    vendor.sends("second.license", agency)
    broken = (agency.folder / "second.license").read_bytes().replace(b'"quantity": 5', b'"quantity": 9')
    (agency.folder / "broken.license").write_bytes(broken)
    assert "changed after it was signed" in refused(agency, "broken.license")
    assert "A-1" in agency.types("licensing install second.license")
    assert agency.types(CHECK)["reason"] == "license"
    assert "replaced by A-2" in refused(agency, "first.license")

    vendor.types("licensing revoke A-2 --key acme.key --reason returned --out gone.txt")
    vendor.sends("gone.txt", agency)
    agency.types("licensing revoke --file gone.txt")
    assert not agency.types(CHECK)["enabled"]
    assert "was revoked" in refused(agency, "second.license")
    states = {one["serial"]: one["state"] for one in agency.types("licensing files --json")}
    assert states == {"A-1": "replaced", "A-2": "revoked"}
    assert not list(vendor.folder.glob("*.db*"))


def refused(machine: Machine, file: str) -> str:
    machine.types(f"licensing install {file}", code=5)
    assert machine.said.startswith("error: ")
    assert "\nhint: " in machine.said
    return machine.said.replace("\n", " ")


def test_a_clock_that_was_ahead_is_put_right_by_either_side(vendor: Machine, agency: Machine) -> None:
    vendor.types("licensing issue --key acme.key --tier PREMIUM --days 90 --serial A-1 --out first.license")
    vendor.sends("first.license", agency)
    agency.types("licensing install first.license")
    agency.at = START + 3650 * DAY
    agency.types("producers add code=P1 name=One")
    agency.at = START + DAY
    assert agency.types("licensing files --json")[0]["state"] == "expired"
    agency.types("licensing clock --accept", code=2)
    found = agency.types("licensing clock --json --accept --reason", "the battery was empty")
    assert (found["state"], found["warning"]) == ("right", None)
    assert agency.types("licensing files --json")[0]["state"] == "valid"
    assert "battery" in agency.types("audit log --table system")

    vendor.at = START + 2 * DAY
    vendor.types(
        "licensing renew first.license --key acme.key --sets-clock --serial A-2 --out second.license"
    )
    vendor.sends("second.license", agency)
    agency.at = START + 60 * DAY
    agency.types("producers add code=P2 name=Two")
    agency.at = START + 2 * DAY
    agency.types("licensing install second.license")
    assert agency.types("licensing clock --json")["state"] == "right"


def test_a_key_is_sealed_and_changed(
    vendor: Machine, agency: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (vendor.folder / "words.txt").write_text("correct horse battery staple\n", encoding="utf-8")
    vendor.types("licensing keygen new.key --vendor Acme --passphrase-file words.txt")
    made = vendor.types("licensing issue --key acme.key --tier BASIC --json")
    assert made["text"].startswith("-----BEGIN")
    assert made["document"]["tier"] == "BASIC"
    sign = "licensing issue --key new.key --tier BASIC --serial N-1 --out new.license"
    CliRunner().invoke(cli, sign.split(), input="wrong words, all of them\n")
    assert not (vendor.folder / "new.license").exists()
    vendor.types(f"{sign} --passphrase-file words.txt")
    monkeypatch.setattr(click.testing._NamedTextIOWrapper, "isatty", lambda _self: True, raising=False)
    change = "licensing rotate-key --key acme.key --new new.key --out change.txt"
    typed = CliRunner().invoke(cli, change.split(), input="correct horse battery staple\n")
    assert (typed.exit_code, typed.stderr.strip()) == (0, "Passphrase of new.key:")
    for name in ("new.license", "change.txt"):
        vendor.sends(name, agency)
    assert "does not trust" in refused(agency, "new.license")
    agency.types("licensing rotate-key --file change.txt")
    agency.types("licensing install new.license")
    assert agency.types("licensing show N-1 --json")["vendor"] == "Acme"
    for line in ("licensing revoke", "licensing rotate-key --key acme.key", "licensing revoke X --file x"):
        vendor.types(line, code=2)
    secret = (vendor.folder / "acme.key").read_text().split('"secret":"')[1][:43]
    log = agency.types("audit log --json --limit 1000")
    assert secret not in json.dumps(log)


def test_init_trusts_a_vendor_or_makes_no_file(vendor: Machine) -> None:
    vendor.types("init made.db --vendor-key acme.key.pub")
    vendor.types("licensing issue --key acme.key --tier BASIC --out first.license")
    vendor.types("--db made.db licensing install first.license")
    vendor.types("init none.db --vendor-key acme.key", code=5)
    vendor.types("init none.db --vendor-key missing.pub", code=3)
    assert not (vendor.folder / "none.db").exists()
