"""After a day's use no byte of a secret is found anywhere but where it is asked for."""

from __future__ import annotations

import base64
import logging
import shutil
import zipfile
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pytest
from click.testing import CliRunner
from http_provider import Call, Reply, serve
from test_vault import bytes_beside
from test_vault_recovery import _cheap
from test_violations import put, sample

from edgekit import audit, db, vault
from edgekit.cli import root
from edgekit.file.opening import open as open_file

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

__all__ = ["_cheap"]

SECRETS = {
    "api_key": "sk-live/7Hq9+Zebra&Quagga=!",
    "replaced": "an-earlier-one/Koala+Wombat?",
    "license": "LIC-Okapi/2027+Tapir&Lemur",
    "payment": "IBAN DE02 Numbat/Bilby+Dingo",
    "kit": "seven-words/Axolotl+nobody guesses",
}


def forms(secret: str) -> dict[str, bytes]:
    """Write a secret in the ways it might slip out, and the stretches of base64 it makes at any offset."""
    plain = secret.encode()
    found = {
        "plain": plain,
        "head": plain[:12],
        "utf-16": secret.encode("utf-16-le"),
        "hex": plain.hex().encode(),
        "HEX": plain.hex().upper().encode(),
        "url": quote(secret, safe="").encode(),
        "url path": quote(secret).encode(),
        "form": quote_plus(secret).encode(),
        "json": secret.replace("/", "\\/").encode(),
        "repr": repr(plain)[2:-1].encode(),
    }
    for offset in range(3):
        body = base64.b64encode(b"x" * offset + plain)[4 : len(plain) // 3 * 4]
        found[f"base64 {offset}"] = body
        found[f"base64url {offset}"] = body.replace(b"+", b"-").replace(b"/", b"_")
    return found


class Day:
    """Commands as a person gives them, and all they said."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said = ""

    def run(self, *words: str, given: str = "", code: int | None = 0) -> str:
        vault.lock()
        command = ["--db", str(self.path), *words]
        done = CliRunner().invoke(root.edgekit, command, input=given, prog_name="edgekit")
        assert code is None or done.exit_code == code, (words, done.output, done.exception)
        self.said += done.output
        return done.stdout


def answer(call: Call) -> Any:
    if call.headers.get("X-Api-Key") != SECRETS["api_key"]:
        # A service that gives back what it was sent must not get the secret into our logs.
        return Reply({"error": f"bad key {call.headers.get('X-Api-Key')}"}, status=401)
    if len([1 for _ in call.path.split("broken")]) > 1:
        return Reply({"error": f"cannot work with {call.headers.get('X-Api-Key')}"}, status=400)
    return [{"vin": "1FTMW1T88MFA00001", "model_year": 2021}]


def source(day: Day, name: str, url: str, path: str) -> None:
    day.run(
        "integrations", "create", name, "--template", "rest-source", "--set", f"base_url={url}",
        "--set", f"path={path}", "--set", "table=vehicle", "--set", "key=vin",
        "--set", 'auth={"kind": "header", "secret": "api_key"}',
    )  # fmt: skip


def spend_a_day(day: Day, url: str, stick: Path) -> None:
    day.run("vault", "init")
    source(day, "cars", url, "/cars")
    source(day, "broken", url, "/broken")
    day.run("vault", "set", "cars", "api_key", given=SECRETS["replaced"])
    day.run("integrations", "run", "cars", code=None)  # refused: the other side repeats the key it was given
    day.run("vault", "set", "cars", "api_key", "--expires", "2999-01-01", given=SECRETS["api_key"])
    day.run("vault", "set", "broken", "api_key", given=SECRETS["api_key"])
    day.run("integrations", "run", "cars")
    day.run("integrations", "run", "broken", code=None)
    day.run("vault", "put", "sync-peers", "1", "secret", given=SECRETS["payment"], code=3)
    day.run("vault", "put", "programs", "1", "name", given=SECRETS["payment"], code=4)
    day.run("vault", "set", "moon", "api_key", given=SECRETS["payment"], code=3)
    day.run("vault", "put", "feature-licenses", "1", "license_key", given=SECRETS["license"])
    day.run("vault", "find", "license_key", given=SECRETS["license"])
    day.run("vault", "rotate")
    day.run("vault", "recovery-kit", str(stick), given=SECRETS["kit"])
    day.run("vault", "drill", str(stick), given=SECRETS["kit"])
    day.run("vault", "drill", str(stick), given=SECRETS["payment"], code=5)
    day.run("vault", "rotate", "--master")
    for words in (
        ["vault", "list", "--json"], ["vault", "uses", "--json"], ["vault", "doctor"], ["vault", "status"],
        ["integrations", "show", "cars", "--json"], ["executions", "list", "--json"],
        ["integration-credentials", "list", "--json"], ["feature-licenses", "list", "--json"],
        ["integration-logs", "list", "--json"], ["audit", "log", "--json"], ["doctor"], ["status"],
        ["dead-letters", "list", "--json"],
    ):  # fmt: skip
        day.run(*words)
    day.run("backup", "backup.zip")


@pytest.mark.ledger("S1-47", "S3-91", "S4-91")
def test_no_form_of_a_secret_is_found_after_a_day(
    edge_file: Path,
    shell: sqlite3.Connection,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    stick = tmp_path / "stick" / "kit.json"
    stick.parent.mkdir()
    put(shell, "feature_license", **sample(shell, "feature_license"))
    monkeypatch.chdir(tmp_path)
    day = Day(edge_file)
    with serve(answer) as service:
        spend_a_day(day, service.url, stick)
        assert any(call.headers.get("X-Api-Key") == SECRETS["api_key"] for call in service.calls)
        with open_file(edge_file):
            logged = str(list(audit.entries(db.connection())))
            assert vault.find_by_license_key(SECRETS["license"])
            live = bytes_beside(edge_file)
    with zipfile.ZipFile(edge_file.parent / "backup.zip") as archive:
        archived = b"".join(archive.read(name) for name in archive.namelist())
    places = {
        "the file and its log": live, "the backup": archived, "what commands said": day.said.encode(),
        "logging": caplog.text.encode(), "the audit log": logged.encode(), "the kit": stick.read_bytes(),
    }  # fmt: skip
    assert b"cars" in live
    assert b"401" in live, "the refusal was logged"
    for name, secret in SECRETS.items():
        for form, wanted in forms(secret).items():
            for place, content in places.items():
                assert wanted not in content, f"{name} as {form} in {place}"
    assert day.run("vault", "get", "cars", "api_key", "--reveal").strip() == SECRETS["api_key"]


@pytest.mark.ledger("S4-92")
def test_the_commands_say_by_their_exit_code_how_it_went(edge_file: Path, tmp_path: Path) -> None:
    day, kit = Day(edge_file), tmp_path / "stick" / "kit.json"
    kit.parent.mkdir()
    day.run("vault", "rotate", code=5)
    day.run("vault", "init")
    (tmp_path / "cars.csv").write_text("vin\n")
    day.run(
        "integrations", "create", "cars", "--template", "csv-import", "--set", "table=vehicle",
        "--set", f"path={tmp_path / 'cars.csv'}",
    )  # fmt: skip
    day.run("vault", "set", "cars", "api_key", given=SECRETS["api_key"])
    for wrong in (
        ["rotate", "--master", "cars"], ["rotate", "--new-key", "x"], ["rotate", "--environment", "staging"],
        ["rotate", "--older-than", "soon"],
    ):  # fmt: skip
        day.run("vault", *wrong, code=2)
    day.run("vault", "set", "cars", "api_key", "--expires", "2001-01-01", given="x", code=4)
    day.run("vault", "rotate", "cars", "api_key", "--json")
    day.run("vault", "recovery-kit", str(kit), given=SECRETS["kit"])
    day.run("vault", "recovery-kit", str(kit), given=SECRETS["kit"], code=6)
    day.run("vault", "rotate", "--master")
    day.run("vault", "drill", str(kit), given=SECRETS["kit"], code=8)
    day.run("vault", "doctor")
    shutil.rmtree(tmp_path / "home")
    day.run("vault", "doctor", code=8)
    day.run("vault", "get", "cars", "api_key", "--reveal", code=5)
    day.run("vault", "init", "--start-over", given="n\n", code=130)
    day.run("vault", "init", "--start-over", "--yes")
    day.run("vault", "set", "cars", "api_key", given="another")
    assert day.run("vault", "get", "cars", "api_key", "--reveal") == "another\n"
    day.run("vault", "unset", "cars", "api_key")
    day.run("vault", "get", "cars", "api_key", "--reveal", code=3)
    day.run("backup", str(tmp_path / "b.sealed"), "--encrypt")
    day.run("restore", str(tmp_path / "b.sealed"), str(tmp_path / "new.db"))
