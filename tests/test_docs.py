"""What the documents show is what happens: their examples are run, their commands exist."""

from __future__ import annotations

import re
import shlex
import sqlite3
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgekit import naming
from edgekit.cli import root

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(\w+)(?: title=(\S+))?\n(.*?)^```", re.DOTALL | re.MULTILINE)
PROVIDER = "http://127.0.0.1:8765"
CUSTOMERS = "number,name,postal_code\n00042,Ann Smith,02134\n00043,Bob Okafor,10001\n"


def play(document: Path, folder: Path, setting: pytest.MonkeyPatch, at: str = PROVIDER) -> int:
    """Write the files of a document and run its console examples and Python in order.

    Return how many there were. Each Python example is a process of its own. `at` is where the provider is.
    """
    setting.chdir(folder)
    count = 0
    text = document.read_text(encoding="utf-8").replace(PROVIDER, at)
    for kind, title, body in BLOCK.findall(text):
        if title:
            (folder / title).parent.mkdir(parents=True, exist_ok=True)
            (folder / title).write_text(body, encoding="utf-8")
        elif kind == "console":
            for line in body.splitlines():
                assert line.startswith("$ "), line
                count += 1
                _command(shlex.split(line[2:]), folder, setting)
        elif kind == "python":
            count += 1
            subprocess.run([sys.executable, "-c", body], cwd=folder, check=True, timeout=60)
    return count


def _command(words: list[str], folder: Path, setting: pytest.MonkeyPatch) -> None:
    if words[0] == "export":
        setting.setenv(*words[1].split("=", 1))
        return
    assert words[0] == "edgekit", words
    given = b""
    if "<" in words:
        *words, _, name = words
        given = (folder / name).read_bytes()
    done = CliRunner().invoke(root.edgekit, words[1:], input=given, prog_name="edgekit")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, f"{shlex.join(words)}\n{done.output}"


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "docs/tutorial.md",
        "docs/rows.md",
        "docs/audit.md",
        "docs/connectors.md",
        "docs/configuration.md",
        "docs/events.md",
        "docs/licensing.md",
        "docs/limits.md",
        "docs/tracing.md",
        "docs/license-files.md",
        "docs/jobs.md",
        "docs/runner.md",
        "docs/backups.md",
        "docs/notifications.md",
        "docs/templates.md",
        "docs/monitoring.md",
        "docs/vault.md",
        "docs/access.md",
        "docs/singer.md",
        "docs/tables.md",
        "docs/mappings.md",
        "docs/outbound.md",
        "docs/transformations.md",
        "docs/webhooks.md",
        "docs/communications.md",
        "docs/pipelines.md",
    ],
)
def test_the_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "office"  # a page may write beside it, as with a recovery kit
    folder.mkdir()
    (folder / "customers.csv").write_text(CUSTOMERS, encoding="utf-8")
    assert play(ROOT / name, folder, monkeypatch) >= 5


@pytest.mark.ledger("S4-15")
def test_the_four_uses_of_schedules_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Synchronisation, a batch at night, collection by the time of day, dated reports: the page checks."""
    assert play(ROOT / "docs" / "schedules.md", tmp_path, monkeypatch) >= 20
    assert (tmp_path / "report.csv").read_text(encoding="utf-8").splitlines()[0] == "item,price"


class _Recorded(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def test_a_provider_nobody_foresaw_is_run_by_what_its_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = partial(_Recorded, directory=str(tmp_path / "recorded"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            at = f"http://127.0.0.1:{server.server_address[1]}"
            assert play(ROOT / "docs" / "new-provider.md", tmp_path, monkeypatch, at) > 25
        finally:
            server.shutdown()
    shell = sqlite3.connect(tmp_path / "agency.db")
    models = shell.execute("SELECT make_id, make, model_id, model FROM vehicle_model ORDER BY id").fetchall()
    shell.close()
    assert models[0] == (441, "TESLA", 1685, "Model S")
    assert len(models) == 5


def test_links_lead_somewhere() -> None:
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
            if not target.startswith(("http:", "https:")):
                assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_no_document_has_the_marks_of_a_merge() -> None:
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        assert not re.search(r"^(<<<<<<<|>>>>>>>) ", document.read_text(encoding="utf-8"), re.MULTILINE)


def test_documents_name_commands_that_exist() -> None:
    help_text = subprocess.run(
        [sys.executable, "-m", "edgekit", "--help"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    ).stdout
    known = set(re.findall(r"^  ([a-z][a-z-]+) ", help_text, re.MULTILINE))
    assert len(known) > 10
    known |= set(naming.commands())  # the words for rows, of which the help names some
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        if document.name == "ledger.md":
            continue
        for word in re.findall(r"`edgekit ([a-z][a-z-]+)", document.read_text(encoding="utf-8")):
            assert word in known, f"{document.name} names edgekit {word}"
