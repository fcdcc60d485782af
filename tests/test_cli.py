"""The command line as people and scripts meet it: words, answers, errors, exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from edgekit.cli import group, progress, root
from edgekit.cli import show as showing
from edgekit.errors import ConflictError, EdgekitError

Run = Callable[..., Result]

COMMANDS = {
    "init", "status", "doctor", "verify", "migrate", "backup", "restore", "demo", "seeds.apply",
    "audit.log", "audit.blame", "audit.as-of",
    "integrations.list", "integrations.show", "integrations.create", "integrations.run",
    "integrations.health",
    "integrations.templates.list", "integrations.templates.show",
    "dead-letters.list", "dead-letters.show", "dead-letters.replay", "dead-letters.discard",
    "executions.list", "executions.show",
    "mappings.list", "mappings.test", "pipelines.list", "pipelines.test",
    "schedules.list", "schedules.add", "schedules.next", "schedules.pause", "schedules.resume",
    "vault.init", "vault.set", "vault.get", "vault.list", "vault.status", "vault.rotate",
    "vault.recovery-kit", "vault.recover", "vault.drill", "vault.doctor",
}  # fmt: skip
"""Spellings that people script: none of them may go."""


@pytest.fixture
def run(edge_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `edgekit --db <a fresh file> …` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*args: str, stdin: str | bytes = "", db: str | Path = edge_file) -> Result:
        result = CliRunner().invoke(root.edgekit, ["--db", str(db), *args], input=stdin, prog_name="edgekit")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def customers(run: Run, tmp_path: Path) -> Path:
    """A file of customers, one of them without a number, and an integration that reads it."""
    source = tmp_path / "customers.csv"
    source.write_text("number,name,zip\n1,Ann,00123\n2,Bob,04560\n", encoding="utf-8")
    settings = [f"path={source}", "table=customer", "key=number", "create=true"]
    made = run(
        "integrations", "create", "customers", "--template", "csv-import", *(f"--set={s}" for s in settings)
    )
    assert made.exit_code == 0, made.output
    return source


def leaves(
    command: click.Command, context: click.Context, name: str = ""
) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for verb in command.list_commands(context):
            found = command.get_command(context, verb)
            assert found is not None
            yield from leaves(found, context, f"{name}.{verb}".lstrip("."))
    else:
        yield name, command


def every_command() -> dict[str, click.Command]:
    return dict(leaves(root.edgekit, click.Context(root.edgekit, info_name="edgekit")))


class TestHelp:
    def test_every_promised_command_is_there(self) -> None:
        assert set(every_command()) >= COMMANDS

    def test_every_command_says_what_it_does_and_shows_how(self) -> None:
        for name, command in every_command().items():
            assert isinstance(command, group.Command), name
            assert command.help, name
            assert command.help.split("\n\n")[0].endswith("."), name
            assert command.example, name
            for line in command.example.splitlines():
                assert line.startswith("edgekit "), name
                assert name.replace(".", " ") in line, name

    def test_every_option_is_explained(self) -> None:
        for name, command in every_command().items():
            for option in command.params:
                assert isinstance(option, click.Argument) or getattr(option, "help", None), (
                    f"{name} {option.name}"
                )

    def test_every_command_that_shows_something_has_json(self) -> None:
        without = {
            name for name, found in every_command().items() if "as_json" not in {p.name for p in found.params}
        }
        nothing = {"runner.start", "vault.set", "licensing.unset", "integrations.disable"}
        documents = {"configuration.export", "licensing.issue", "licensing.renew"}  # of their own
        assert without <= nothing | documents

    def test_the_first_screen_fits_eighty_columns(self) -> None:
        result = CliRunner().invoke(root.edgekit, ["--help"], prog_name="edgekit")
        assert result.exit_code == 0
        assert max(map(len, result.output.splitlines())) <= 80
        assert "edgekit [--db FILE] [--actor NAME] WORD [VERB] ..." in result.output
        for name, entry in root.COMMANDS.items():
            assert f"  {name} " in result.output
            assert entry.help in " ".join(result.output.split())

    def test_an_example_is_not_wrapped(self) -> None:
        result = CliRunner().invoke(root.edgekit, ["integrations", "create", "--help"], prog_name="edgekit")
        assert (
            "--template csv-import --set path=customers.csv --set table=customer --set key=number"
            in result.output
        )

    def test_the_table_names_what_the_modules_hold(self) -> None:
        context = click.Context(root.edgekit)
        for name in root.COMMANDS:
            found = root.edgekit.get_command(context, name)
            assert found is not None
            assert found.name == name

    def test_the_version(self) -> None:
        result = CliRunner().invoke(root.edgekit, ["--version"], prog_name="edgekit")
        assert result.output.startswith("edgekit, version ")


class TestErrors:
    def refused(self, result: Result, code: int, *words: str) -> None:
        assert result.exit_code == code, result.output
        assert result.stdout == ""
        assert result.stderr.startswith("error: ")
        assert "Traceback" not in result.stderr
        for word in words:
            assert word in result.stderr

    def test_a_missing_file_is_3_and_says_how_to_make_it(self, run: Run) -> None:
        for command in (
            ["status"],
            ["verify"],
            ["integrations", "list"],
            ["audit", "log"],
            ["backup", "here"],
        ):
            self.refused(
                run(*command, db="none.db"), 3, "none.db", "hint: Create it with: edgekit init none.db"
            )

    def test_a_foreign_file_is_8(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("this is no database, and long enough to be sure of it " * 40)
        with sqlite3.connect(tmp_path / "other.db") as other:
            other.execute("CREATE TABLE t (a)")
        other.close()
        for name in ("notes.txt", "other.db"):
            for command in (["status"], ["verify"], ["integrations", "list"]):
                self.refused(run(*command, db=name), 8, name)

    def test_a_newer_schema_is_6(self, run: Run, shell: sqlite3.Connection) -> None:
        shell.execute("PRAGMA user_version = 999")
        for command in (["status"], ["audit", "log"], ["integrations", "list"]):
            self.refused(run(*command), 6, "999", "hint: Install a newer edgekit.")

    def test_an_unknown_name_is_3_and_names_what_there_is(self, run: Run, customers: Path) -> None:
        self.refused(run("integrations", "run", "custmers"), 3, "custmers", "hint: There are: customers.")
        self.refused(run("integrations", "templates", "show", "csv"), 3, "csv-import")
        self.refused(run("executions", "show", "99"), 3, "99")
        self.refused(run("dead-letters", "replay", "99"), 3, "99")
        self.refused(run("audit", "blame", "vehicel", "1"), 3, "vehicle")

    def test_an_unknown_actor_is_3(self, run: Run) -> None:
        self.refused(run("--actor", "nobody-here", "integrations", "list"), 3, "nobody-here")

    def test_a_taken_name_is_6(self, run: Run, edge_file: Path) -> None:
        self.refused(run("init", str(edge_file)), 6, "already exists")

    def test_wrong_usage_is_2(self, run: Run) -> None:
        assert run("integrations", "run").exit_code == 2
        assert run("vault", "get", "a", "b").exit_code == 2
        assert run("init", "x.db", "--environment", "moon").exit_code == 2
        unknown = run("integration", "list")
        assert unknown.exit_code == 2
        assert "integrations" in unknown.stderr

    def test_a_file_named_behind_the_word_is_sent_before_it(self, run: Run) -> None:
        result = run("audit", "verify", "agency.db")
        assert (result.exit_code, "edgekit --db agency.db audit verify" in result.stderr) == (2, True)
        assert "--db agency.db" not in run("verify", "--agency").stderr

    def test_a_stop_is_130(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        def stop(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("edgekit.file.verify.examine", stop)
        result = run("verify")
        assert result.exit_code == 130
        assert result.stderr.startswith("Stopped, and nothing is left half-done.")
        assert result.stderr.count("\n") == 1

    def test_a_bug_shows_itself(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object, **__: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr("edgekit.file.verify.examine", fail)
        with pytest.raises(ZeroDivisionError):
            run("verify")

    def test_a_disk_or_a_page_that_fails_is_a_line(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        damaged = sqlite3.DatabaseError("database disk image is malformed")
        damaged.sqlite_errorname = "SQLITE_CORRUPT"
        for error, code in (
            (OSError(28, "No space left on device", "x"), 7),
            (PermissionError(13, "no", "x"), 5),
            (damaged, 8),
        ):
            monkeypatch.setattr(
                "edgekit.file.verify.examine", lambda *_, error=error, **__: (_ for _ in ()).throw(error)
            )
            self.refused(run("verify"), code)

    def test_verify_and_doctor_with_findings_are_8(self, run: Run, shell: sqlite3.Connection) -> None:
        shell.execute("DROP TRIGGER audit_log_kept_bd")
        result = run("verify")
        assert result.exit_code == 8
        assert "audit_log_kept_bd" in result.stdout
        found = json.loads(run("verify", "--json").stdout)
        assert found["sound"] is False
        assert len(found["findings"]) == 1
        assert run("doctor").exit_code == 8
        assert {item["severity"] for item in json.loads(run("doctor", "--json").stdout)} >= {"error", "ok"}


class TestFile:
    def test_init_makes_a_file_and_says_what_next(self, run: Run, tmp_path: Path) -> None:
        result = run("init", "new.db", "--organization", "Smith & Söhne", "--environment", "staging")
        assert result.exit_code == 0
        assert "Smith & Söhne" in result.stdout
        found = json.loads(run("status", "--json", db=tmp_path / "new.db").stdout)
        assert (found["organization"], found["environment"]) == ("Smith & Söhne", "staging")
        assert 'Next: edgekit --db "my book.db" status' in run("init", "my book.db").stdout

    def test_init_in_json_is_what_status_says(self, run: Run, tmp_path: Path) -> None:
        made = json.loads(run("init", "new.db", "--json").stdout)
        assert made == json.loads(run("status", "--json", db="new.db").stdout)

    def test_the_variable_names_the_file(self, edge_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("EDGEKIT_DB", str(edge_file))
        result = CliRunner().invoke(root.edgekit, ["status", "--json"])
        assert json.loads(result.stdout)["path"] == str(edge_file)

    def test_without_a_name_it_is_edgekit_db_here(
        self, edge_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        shutil.copyfile(edge_file, tmp_path / "edgekit.db")
        assert (
            json.loads(CliRunner().invoke(root.edgekit, ["status", "--json"]).stdout)["path"] == "edgekit.db"
        )

    def test_status_counts_and_names_the_last_change(self, run: Run, customers: Path) -> None:
        run("integrations", "run", "customers")
        found = json.loads(run("status", "--json").stdout)
        assert found["tables"]["customer"] == 2
        assert found["last_change"]["reason"].startswith("run customers")
        assert [(i["name"], i["last_status"], i["records_read"]) for i in found["integrations"]] == [
            ("customers", "completed", 2)
        ]
        assert "customer  2" in run("status").stdout

    @pytest.mark.parametrize("words", [
        "configuration export", "integrations history customers", "integrations diff customers 1 1",
        "mappings list", "monitoring clients", "pipelines list", "schedules list", "users rights",
    ])  # fmt: skip
    def test_what_only_reads_needs_no_right_to_write(
        self, run: Run, customers: Path, monkeypatch: pytest.MonkeyPatch, words: str
    ) -> None:
        monkeypatch.setattr("edgekit.file.opening.open", None)
        assert run(*words.split()).exit_code == 0

    def test_status_leaves_nothing_beside_the_file(self, run: Run, edge_file: Path) -> None:
        run("status")
        assert list(edge_file.parent.glob(f"{edge_file.name}-*")) == []

    def test_a_sound_file_is_0(self, run: Run) -> None:
        assert run("verify").exit_code == 0
        assert json.loads(run("verify", "--json").stdout)["findings"] == []
        assert run("doctor").exit_code == 0
        assert json.loads(run("migrate", "--json").stdout) == []

    def test_backup_and_restore(self, run: Run, tmp_path: Path) -> None:
        made = json.loads(run("backup", "safe.zip", "--json").stdout)
        assert Path(made["path"]).name == "safe.zip"
        assert run("restore", "safe.zip", "again.db").exit_code == 0
        assert run("restore", "safe.zip", "again.db").exit_code == 6
        replaced = json.loads(run("restore", "safe.zip", "again.db", "--yes", "--json").stdout)
        assert Path(replaced["moved_aside"]).exists()
        assert run("verify", db="again.db").exit_code == 0

    def test_seeds(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "ours.json").write_text(
            '{"program": [{"code": "AUTO", "name": "Auto", "organization_id": 1}]}'
        )
        assert json.loads(run("seeds", "apply", "ours.json", "--json").stdout) == {"added": {"program": 1}}
        assert json.loads(run("seeds", "apply", "ours.json", "--json").stdout) == {"added": {}}
        assert run("seeds", "apply", "none.json").exit_code == 3


class TestIntegrations:
    def test_a_file_is_run_twice_and_nothing_is_there_twice(self, run: Run, customers: Path) -> None:
        first = json.loads(run("integrations", "run", "customers", "--json").stdout)
        assert {
            "integration",
            "execution_id",
            "status",
            "records_read",
            "records_written",
            "dead_letters",
            "retries",
            "duration_ms",
        } <= set(first)
        assert (first["status"], first["records_read"], first["error"]) == ("completed", 2, None)
        run("integrations", "run", "customers")
        assert json.loads(run("status", "--json").stdout)["tables"]["customer"] == 2
        assert [row["name"] for row in json.loads(run("integrations", "list", "--json").stdout)] == [
            "customers"
        ]
        runs = json.loads(run("executions", "list", "--json").stdout)
        assert [item["id"] for item in runs] == [2, 1]
        assert json.loads(run("executions", "show", "2", "--json").stdout)["status"] == "completed"

    def test_a_dry_run_leaves_nothing(self, run: Run, customers: Path) -> None:
        result = json.loads(run("integrations", "run", "customers", "--dry-run", "--json").stdout)
        assert (result["status"], result["records_read"], result["execution_id"]) == ("dry_run", 2, None)
        assert json.loads(run("executions", "list", "--json").stdout) == []

    def test_a_run_that_failed_is_shown_and_then_an_error(self, run: Run, customers: Path) -> None:
        result = run("integrations", "run", "customers", "--input", "none.csv", "--json")
        assert result.exit_code == 3
        if result.stdout:
            shown = json.loads(result.stdout)
            assert shown["status"] == "failed"
            assert shown["error"]["code"] == "not_found"
        assert result.stderr.startswith("error: ")

    def test_records_set_aside_are_listed_replayed_and_discarded(
        self, run: Run, customers: Path, tmp_path: Path
    ) -> None:
        run("integrations", "run", "customers")
        bad = tmp_path / "bad.csv"
        bad.write_text(
            "number,name,zip\n1,Ann,00123\n2,Bob,1\n3,Cy,2\n4,Dee,3\nx,Eve,4\ny,Flo,5\n", encoding="utf-8"
        )
        ran = run("integrations", "run", "customers", "--input", str(bad))
        assert "edgekit dead-letters list --integration customers" in ran.stdout
        letters = json.loads(run("dead-letters", "list", "--json").stdout)
        assert [item["status"] for item in letters] == ["pending", "pending"]
        first, second = (str(item["id"]) for item in letters)
        assert json.loads(run("dead-letters", "show", first, "--json").stdout)["record"]["name"] == "Eve"
        again = run("dead-letters", "replay", first)
        assert again.exit_code == 4
        assert again.stderr.startswith("error: ")
        assert json.loads(run("dead-letters", "discard", second, "--json").stdout)["status"] == "discarded"
        assert run("dead-letters", "discard", second).exit_code == 6
        assert len(json.loads(run("dead-letters", "list", "--status", "all", "--json").stdout)) == 2
        assert first in run("dead-letters", "list").stdout

    def test_templates(self, run: Run) -> None:
        codes = [
            item["code"] for item in json.loads(run("integrations", "templates", "list", "--json").stdout)
        ]
        assert {"csv-import", "ndjson-import", "vpic-vin-decode", "dcs-driver-verification"} <= set(codes)
        shown = json.loads(run("integrations", "templates", "show", "csv-import", "--json").stdout)
        assert shown["code"] == "csv-import"

    def test_a_customization_is_a_json_object(self, run: Run, tmp_path: Path) -> None:
        base = [
            "integrations",
            "create",
            "c",
            "--template",
            "csv-import",
            "--set",
            "path=c.csv",
            "--customize",
        ]
        (tmp_path / "list.json").write_text("[1]")
        (tmp_path / "torn.json").write_text("{")
        for name in ("list.json", "torn.json"):
            assert run(*base, name).exit_code == 4
        assert run(*base, "none.json").exit_code == 2
        (tmp_path / "good.json").write_text(
            '\ufeff{"connection": {"table": "vehicle", "key": "vin"}}', encoding="utf-8"
        )
        made = run(*base, "good.json", "--json")
        assert json.loads(made.stdout)["settings"]["table"] == "vehicle"


class TestSecrets:
    @pytest.mark.parametrize(
        "setting",
        [
            "api_key=hush-hush", "API-KEY=hush-hush", "auth.token=hush-hush", "client_secret=hush-hush",
            "password=hush-hush", 'headers={"Authorization": "hush-hush"}', 'a=[{"access_key": "hush-hush"}]',
            "base_url=https://u:hush-hush@host/",
            "auth.secret=hush-hush", "secret=hush", "to.auth.secret=hush-hush", "auth.client_secret=hush",
        ],
    )  # fmt: skip
    def test_a_secret_is_no_setting(self, run: Run, setting: str) -> None:
        result = run("integrations", "create", "d", "--template", "dcs-driver-verification", "--set", setting)
        assert result.exit_code == 4
        assert "hush" not in result.output
        assert "hint: " in result.stderr
        assert "edgekit vault set d " in result.stderr

    @pytest.mark.parametrize(
        "setting",
        [
            "auth.secret=api_key",
            "auth.password_secret=pw",
            "to.auth.secret=api_key",
            'to={"connector": "http", "auth": {"kind": "oauth2", "client_secret_secret": "app_secret"}}',
            "verify.secret=signing_key",
            "next_token=t",
            "pageToken=t",
            "token_path=$.next",
            "base_url=https://host:80/@x",
            "key=a,b",
        ],
    )
    def test_what_only_sounds_like_one_is(self, setting: str) -> None:
        from edgekit.cli.integration_settings import read_settings

        assert len(read_settings("d", (setting,))) == 1

    def test_a_setting_without_a_value_is_not_echoed(self, run: Run) -> None:
        result = run("integrations", "create", "d", "--template", "csv-import", "--set", "hush-hush")
        assert result.exit_code == 2
        assert "hush" not in result.output

    def test_the_value_comes_by_standard_input_and_is_seen_when_revealed(
        self, run: Run, customers: Path
    ) -> None:
        assert run("vault", "init").exit_code == 0
        for given, kept in (
            ("hush-hush\n", "hush-hush"),
            ("two\nlines\r\n", "two\nlines"),
            (" kept \n", " kept "),
            ("\ufeffß", "ß"),
        ):
            stored = run("vault", "set", "customers", "api_key", stdin=given.encode())
            assert (stored.exit_code, kept in stored.output) == (0, False)
            shown = run("vault", "get", "customers", "api_key", "--reveal", "--json")
            assert json.loads(shown.stdout) == {"integration": "customers", "key": "api_key", "value": kept}
        assert run("vault", "get", "customers", "api_key", "--reveal").stdout == "ß\n"
        for reading in (
            ["vault", "list"],
            ["vault", "status"],
            ["audit", "log"],
            ["integrations", "show", "customers"],
        ):
            for form in ([], ["--json"]):
                assert "ß" not in run(*reading, *form).output
        assert json.loads(run("vault", "status", "--json").stdout)["problem"] is None

    def test_what_is_no_text_is_refused_unseen(self, run: Run, customers: Path) -> None:
        run("vault", "init")
        result = run("vault", "set", "customers", "api_key", stdin=b"hush\xff")
        assert result.exit_code == 4
        assert "hush" not in result.output

    def test_an_empty_value_is_refused(self, run: Run, customers: Path) -> None:
        run("vault", "init")
        assert run("vault", "set", "customers", "api_key", stdin="\n").exit_code == 4

    @pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
    def test_on_a_terminal_it_is_asked_for_and_not_shown(
        self, run: Run, customers: Path, edge_file: Path
    ) -> None:
        run("vault", "init")
        ours, theirs = os.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "edgekit", "--db", str(edge_file), "vault", "set", "customers", "api_key"],
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        seen = b""
        while b"api_key of customers: " not in seen:
            seen += os.read(ours, 1024)
        os.write(ours, b"hush-hush\n")
        with contextlib.suppress(OSError):  # how a pseudo-terminal says that the other end has gone
            while more := os.read(ours, 1024):
                seen += more
        os.close(ours)
        assert process.wait() == 0, seen
        assert b"hush" not in seen
        assert run("vault", "get", "customers", "api_key", "--reveal").stdout == "hush-hush\n"


class TestAudit:
    def test_log_blame_and_as_of(self, run: Run, customers: Path, edge_file: Path) -> None:
        run("integrations", "run", "customers")
        before = datetime.now(UTC).isoformat()
        with sqlite3.connect(edge_file) as other:
            other.execute("UPDATE customer SET name = 'Anna' WHERE number = 1")
        other.close()
        (newest,) = json.loads(run("audit", "log", "--limit", "1", "--json").stdout)
        assert (newest["action"], newest["actor"], newest["reason"]) == ("U", None, "direct")
        assert newest["changes"]["name"] == ["Ann", "Anna"]
        assert "name: Ann → Anna" in run("audit", "log", "--table", "customer").stdout
        blame = {
            item["column"]: item
            for item in json.loads(run("audit", "blame", "customer", "1", "--json").stdout)
        }
        assert (blame["name"]["reason"], blame["zip"]["value"]) == ("direct", "00123")
        assert "another program" in run("audit", "blame", "customer", "1").stdout
        (row,) = json.loads(run("audit", "as-of", before, "customer", "1", "--json").stdout)
        assert row["name"] == "Ann"
        assert len(json.loads(run("audit", "as-of", before, "customer", "--json").stdout)) == 2
        assert run("audit", "as-of", "yesterday", "customer").exit_code == 4


class TestDemo:
    @pytest.mark.slow
    def test_it_tells_what_happened_and_a_second_run_brings_nothing_twice(
        self, run: Run, tmp_path: Path
    ) -> None:
        told = run("demo", "--dir", "D")
        assert told.exit_code == 0, told.output
        for words in (
            "What ran",
            "What was set aside, and why",
            "One record's story",
            "the file is sound",
            "Try next",
        ):
            assert words in told.stdout
        before = json.loads(run("status", "--json", db="D/agency.db").stdout)["tables"]
        again = json.loads(run("demo", "--dir", "D", "--json").stdout)
        assert json.loads(run("status", "--json", db="D/agency.db").stdout)["tables"] == before
        assert {"database", "organization", "runs", "audit_rows", "verify"} <= set(again)
        assert again["verify"] == []
        wanted = {"integration", "execution_id", "status", "records_read", "records_written", "dead_letters"}
        assert all(wanted | {"retries", "duration_ms"} <= set(item) for item in again["runs"])
        assert {item["status"] for item in again["runs"]} == {"completed"}
        for line in told.stdout.splitlines():
            if line.startswith("  edgekit --db "):
                assert run(*line.split()[3:], db=line.split()[2]).exit_code == 0


@dataclass
class Thing:
    name: str
    at: datetime
    secret: str = field(repr=False)
    error: EdgekitError | None = field(default=None, repr=False)


class TestShow:
    def test_json_takes_whatever_a_result_holds(self, capsys: pytest.CaptureFixture[str]) -> None:
        thing = Thing("é", datetime(2026, 1, 31, 9, 5, tzinfo=UTC), "hush", ConflictError("no", hint="so"))
        showing.show(
            [thing, {"d": date(2026, 1, 31), "b": b"\x00\xff", "f": float("inf"), "p": Path("a"), "s": {1}}],
            True,
        )
        text = capsys.readouterr().out
        assert "é" in text
        assert json.loads(text) == [
            {
                "name": "é",
                "at": "2026-01-31T09:05:00.000Z",
                "error": {"code": "conflict", "message": "no", "hint": "so"},
            },
            {"d": "2026-01-31", "b": {"$blob": "00ff"}, "f": "inf", "p": "a", "s": [1]},
        ]

    def test_a_table_is_aligned_and_leaves_out_what_is_empty(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        showing.show([{"name": "a", "n": 1, "none": None}, {"name": "東京", "n": 1000, "none": ""}], False)
        assert capsys.readouterr().out.splitlines() == ["name     n", "a        1", "東京  1000"]

    def test_what_a_record_holds_is_shown_and_not_obeyed(self, capsys: pytest.CaptureFixture[str]) -> None:
        showing.show([{"name": "a\x1b[31m\nb\x00\u202e"}], False)
        assert capsys.readouterr().out.splitlines()[1] == r"a\x1b[31m\nb\x00\u202e"

    @pytest.mark.parametrize("wide", [20, 40, 80])
    def test_a_terminal_cuts_and_a_pipe_does_not(
        self, wide: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows = [{"id": 1, "text": "x" * 300, "more": "日本" * 50}]
        showing.show(rows, False)
        assert "x" * 300 in capsys.readouterr().out
        monkeypatch.setenv("COLUMNS", str(wide))
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        showing.show(rows, False)
        showing.show(rows[0], False)
        lines = [click.unstyle(line) for line in capsys.readouterr().out.splitlines()]
        assert all(showing.width(line) <= wide for line in lines)
        assert any("…" in line for line in lines)

    def test_nothing_to_show_is_said(self, capsys: pytest.CaptureFixture[str]) -> None:
        showing.show([], False, empty="Nothing yet.")
        showing.show([], True, empty="Nothing yet.")
        assert capsys.readouterr().out == "Nothing yet.\n[]\n"

    def test_progress_is_for_terminals(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with progress.Counting("quiet") as count:
            count(10)
        assert capsys.readouterr() == ("", "")
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        with progress.Counting() as count:
            count.of("vins", 1234)
        said = capsys.readouterr()
        assert said.out == ""
        assert "vins  1,234 records" in said.err
        assert said.err.endswith("\r\x1b[2K")


class TestProcess:
    """What only a process of its own can show."""

    def start(self, *args: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "edgekit", *args],
            capture_output=True,
            env={**os.environ, **environment},
            check=False,
        )

    @pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
    def test_no_character_stops_the_output(self, edge_file: Path, encoding: str) -> None:
        name = "Müller → 東京 🚗"
        with sqlite3.connect(edge_file) as other:
            other.execute("UPDATE organization SET name = ?", (name,))
        other.close()
        for form in ([], ["--json"]):
            done = self.start(
                "--db", str(edge_file), "status", *form, PYTHONIOENCODING=encoding, PYTHONUTF8="0"
            )
            assert (done.returncode, done.stderr) == (0, b"")
        text = done.stdout.decode("utf-8" if encoding in {"ascii", "utf-8"} or os.name == "nt" else encoding)
        assert json.loads(text)["organization"] == name

    def test_a_pipe_gets_no_colours(self, edge_file: Path) -> None:
        done = self.start("--db", "none.db", "status")
        assert done.returncode == 3
        assert done.stderr.startswith(b"error: ")
        assert b"\x1b" not in self.start("--db", str(edge_file), "doctor").stdout

    def test_a_reader_that_has_gone_is_no_fault(self, edge_file: Path) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "edgekit", "--db", str(edge_file), "doctor", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        process.stderr.close()
        process.wait()

    @pytest.mark.parametrize(
        ("typed", "offered"),
        [
            ("in", {"init", "integrations"}),
            ("vault st", {"status"}),
            (
                "integrations templates ",
                {
                    "list",
                    "show",
                    "versions",
                    "diff",
                    "test",
                    "upgrade",
                    "rollback",
                    "certify",
                    "export",
                    "import",
                },
            ),
        ],
    )
    def test_the_shell_completes_words_and_verbs(self, typed: str, offered: set[str]) -> None:
        words = f"edgekit {typed}"
        done = self.start(
            _EDGEKIT_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(len(words.split(" ")) - 1)
        )
        assert {line.split(",")[1] for line in done.stdout.decode().splitlines()} == offered
