"""Bad input through the real command line: one line, one exit code, and nothing half-written."""

from __future__ import annotations

import base64
import gzip
import json
import os
import shutil
import signal
import sqlite3
import ssl
import subprocess
import sys
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pytest
from click.testing import CliRunner
from http_provider import Call, Reply, serve

import edgekit
from edgekit import integrations, schema
from edgekit.cli import root
from edgekit.file.verify import verify
from edgekit.integrations.plan import prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

Done = subprocess.CompletedProcess[str]

GOOD = {"records": [{"code": "a", "label": "Ann"}]}


def process(*args: str | Path, preexec_fn: Callable[[], None] | None = None) -> Done:
    """Run the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "edgekit", *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True,
        text=True, encoding="utf-8", env=os.environ.copy(), timeout=60, check=False, preexec_fn=preexec_fn,
    )  # fmt: skip


def ek(*args: str | Path, stdin: str = "") -> Done:
    """Run the command as a process would, in this one: a fifth of the time."""
    words = list(map(str, args))
    done = CliRunner().invoke(root.edgekit, words, input=stdin, prog_name="edgekit")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception  # a process would show a traceback
    return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)


def refused(done: Done, code: int, *words: str) -> None:
    """Hold the form of every refusal: one line what is wrong, at most one what to do."""
    lines = done.stderr.splitlines()
    assert done.returncode == code, done.stderr
    assert lines[0].startswith("error: "), done.stderr
    assert [line[:6] for line in lines[1:]] in ([], ["hint: "]), done.stderr
    for word in words:
        assert word in done.stderr


def query(path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def make(database: Path, name: str, *, template: str = "csv-import", **settings: Any) -> None:
    """Make an integration that fills a table of its own."""
    given = {"table": name, "key": "code", "create": True, **settings}
    with edgekit.open(database):
        integrations.create(name, template=template, settings=given)


def make_http(database: Path, url: str, **settings: Any) -> None:
    """Make an integration `source` that reads a service; the templates for services are more special."""
    connection = {
        "connector": "http", "base_url": url, "path": "/x", "records": "$.records", "retries": 1,
        "retry_delay_ms": 1, "timeout_seconds": 0.5, "table": "source", "key": "code", "create": True,
        **settings,
    }  # fmt: skip
    with edgekit.open(database) as db:
        integrations.create("source", template="csv-import", settings={"path": "x", "table": "source"})
        with db.change(reason="test"):
            db.connection().execute(
                "UPDATE integration SET connection_config = ?",
                (json.dumps(connection),),
            )


class TestDatabaseFile:
    """What is wrong with the file itself."""

    @pytest.mark.parametrize(
        ("content", "code"),
        [
            (None, 3),
            (b"", 8),
            (b"no database, and long enough that nobody can take it for one. " * 20, 8),
            ("half", 8),
            ("newer", 6),
        ],
    )
    def test_no_command_takes_a_wrong_file(
        self, tmp_path: Path, edge_file: Path, content: bytes | str | None, code: int
    ) -> None:
        path = tmp_path / "other.db"
        if content == "half":
            path.write_bytes(edge_file.read_bytes()[:5000])
        elif content == "newer":
            shutil.copyfile(edge_file, path)
            with closing(sqlite3.connect(path)) as connection:
                connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
        elif isinstance(content, bytes):
            path.write_bytes(content)
        before = path.read_bytes() if path.exists() else None
        run = process if content == "newer" else ek  # a process must answer the same
        for command in (
            ["integrations", "run", "x"],
            ["verify"],
            ["backup", tmp_path / "b.zip"],
            ["audit", "log"],
        ):
            refused(run("--db", path, *command), code, "other.db")
        assert (path.read_bytes() if path.exists() else None) == before
        assert not (tmp_path / "b.zip").exists()

    def test_the_demo_leaves_other_peoples_files_alone(self, tmp_path: Path, edge_file: Path) -> None:
        folder = tmp_path / "demo"
        folder.mkdir()
        shutil.copyfile(edge_file, folder / "agency.db")
        refused(ek("demo", "--dir", folder), 6, "Test Agency")
        assert sorted(path.name for path in folder.iterdir()) == ["agency.db"]
        refused(ek("demo", "--dir", edge_file), 6, "is a file")

    def test_a_folder_that_cannot_be_written(self, tmp_path: Path, edge_file: Path) -> None:
        folder = tmp_path / "ro"
        folder.mkdir()
        path = shutil.copyfile(edge_file, folder / "edge.db")
        with unwritable(path, folder):
            for words in (
                ("integrations", "run", "x"),
                ("seeds", "apply"),
                ("backup", folder / "b.zip"),
                ("demo", "--dir", folder / "demo"),
                ("init", folder / "new.db"),
            ):
                refused(ek("--db", path, *words), 5)
            assert ek("--db", path, "status").returncode == 0
            assert ek("--db", path, "verify").returncode == 0
            assert [found.name for found in folder.iterdir()] == ["edge.db"]


@contextmanager
def unwritable(*paths: Path) -> Iterator[None]:
    """Let nobody write there; root may write everywhere, except what is immutable."""
    if sys.platform == "win32":
        pytest.skip("rights of POSIX")
    if os.geteuid() == 0:
        lock = shutil.which("chattr") and subprocess.run(
            ["chattr", "+i", *paths], capture_output=True, check=False
        )
        if not lock or lock.returncode:
            pytest.skip("root may write everywhere here")
    for path in paths if os.geteuid() else ():
        path.chmod(0o555)
    try:
        yield
    finally:
        if os.geteuid() == 0:
            subprocess.run(["chattr", "-i", *paths], check=True)
        for path in paths if os.geteuid() else ():
            path.chmod(0o755)


def limited(size: int) -> Callable[[], None]:
    def limit() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
class TestFullDisk:
    """No file may grow past a limit: what a full disk does to us, in the middle of each work."""

    def test_in_the_middle_of_an_import(self, tmp_path: Path, edge_file: Path) -> None:
        source = tmp_path / "big.csv"
        source.write_text("code,label\n" + "".join(f"{n},{'x' * 100}\n" for n in range(20_000)))
        make(edge_file, "customer", path=str(source))
        run = ("--db", edge_file, "integrations", "run", "customer")
        refused(process(*run, preexec_fn=limited(4_000_000)), 7)
        assert verify(edge_file) == []
        written = query(edge_file, "SELECT count(*) FROM customer")[0][0]
        assert 0 < written < 20_000
        assert written == query(edge_file, "SELECT sum(records_read) FROM integration_execution")[0][0]
        assert ek(*run).returncode == 0
        assert query(edge_file, "SELECT count(*) FROM customer") == [(20_000,)]
        assert query(edge_file, "SELECT sum(records_changed) FROM integration_execution") == [(20_000,)]
        assert verify(edge_file) == []

    @pytest.mark.slow
    def test_in_the_middle_of_a_demo(self, tmp_path: Path, pattern_file: Path) -> None:
        folder = tmp_path / "demo"
        refused(process("demo", "--dir", folder, preexec_fn=limited(1_000_000)), 7)
        assert list(folder.iterdir()) == []
        # Find the least room in which the file can be made, so that the disk is full right behind that.
        too_little = pattern_file.stat().st_size
        enough = 2 * too_little
        while enough - too_little > 8_000:
            room = (too_little + enough) // 2
            process("demo", "--dir", folder, preexec_fn=limited(room))
            if (folder / "agency.db").exists():
                enough = room
                shutil.rmtree(folder)
            else:
                too_little = room
        refused(process("demo", "--dir", folder, preexec_fn=limited(enough)), 7)
        assert verify(folder / "agency.db") == []
        done = ek("demo", "--dir", folder, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["verify"] == []

    def test_in_the_middle_of_a_backup(self, tmp_path: Path, edge_file: Path) -> None:
        folder = tmp_path / "backups"
        folder.mkdir()
        refused(process("--db", edge_file, "backup", folder, preexec_fn=limited(500_000)), 7)
        assert list(folder.iterdir()) == []


def packed(text: str) -> bytes:
    return gzip.compress(text.encode())


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


def some_slow(names: Iterable[str], slow: str) -> list[Any]:
    """Leave those whose names begin so to the long tests: they are variants of others."""
    beginnings = tuple(slow.split())
    return [pytest.param(n, marks=pytest.mark.slow) if n.startswith(beginnings) else n for n in names]


ROWS = "code,label\n" + "".join(f"{n},{n * 7919 % 100_003}\n" for n in range(20_000))

FILES: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "empty.csv": (b"", ("is empty",)),
    "blank.csv": (b"\n\n", ("is empty",)),
    "header.csv": (b"code,label\n", ("no records",)),
    "latin-1.csv": (b"code,label\n1,caf\xe9\n", ("line 2", "0xe9", "encoding=cp1252")),
    "open-quote.csv": (b'code,label\n1,"x\n', ("line 2",)),
    "binary.csv": (bytes(range(256)) * 50, ("binary",)),
    "long.csv": (b"code,label\n1," + b"x" * 17_000_000, ("line 2", "longer")),
    "unnamed.csv": (b",\n1,2\n", ("first line",)),
    "doubled.csv": (b"code,code\n1,2\n", ("two columns",)),
    "page.csv": (b"<!DOCTYPE html>\n<html><body>Log in</body></html>\n", ()),
    "flipped.csv.gz": (flipped(packed(ROWS)), ("is damaged",)),
    "checksum.csv.gz": (packed(ROWS)[:-6] + b"abcdef", ("is damaged",)),
    "stump.csv.gz": (b"\x1f\x8b\x08\x00zzzzzzzz", ("cut off",)),
    "cut.json": (b'[{"code": "1", "label": "x"}, {"code": ', ("cut.json",)),
    "scalars.json": (b'[1, 2, "x"]', ()),
    "number.json": (b"42", ()),
    "page.json": (b"<!DOCTYPE html><html><body>Log in</body></html>", ()),
    "words.json": (b"hello world", ()),
}


class TestSourceFile:
    """What is wrong with a file to be imported."""

    @pytest.mark.parametrize(
        "name", some_slow(FILES, "blank unnamed doubled number words checksum scalars stump page latin")
    )
    def test_it_is_refused_whole(self, tmp_path: Path, edge_file: Path, name: str) -> None:
        content, words = FILES[name]
        (tmp_path / name).write_bytes(content)
        make(edge_file, "customer", path=str(tmp_path / name), format="json" if "json" in name else "csv")
        refused(ek("--db", edge_file, "integrations", "run", "customer"), 4, *words)
        assert query(
            edge_file, "SELECT execution_status, error_message <> '' FROM integration_execution"
        ) == [("failed", 1)]
        with suppress(
            sqlite3.OperationalError
        ):  # some have a table by then, of good records that came before
            assert query(edge_file, "SELECT count(*) FROM customer WHERE label <> 'x'") == [(0,)]
        assert verify(edge_file) == []

    def test_missing_and_unreadable(self, tmp_path: Path, edge_file: Path) -> None:
        make(edge_file, "customer", path=str(tmp_path / "none.csv"))
        refused(ek("--db", edge_file, "integrations", "run", "customer"), 3, "none.csv")
        refused(ek("--db", edge_file, "integrations", "run", "customer", "--input", tmp_path), 4, "folder")

    def test_a_truncated_gzip_keeps_what_is_surely_right(self, tmp_path: Path, edge_file: Path) -> None:
        whole = packed(ROWS)
        source = tmp_path / "rows.csv.gz"
        source.write_bytes(whole[: len(whole) // 2])
        make(edge_file, "customer", path=str(source))
        run = ("--db", edge_file, "integrations", "run", "customer")
        refused(ek(*run), 4, "cut off after record")
        source.write_bytes(whole)
        assert ek(*run).returncode == 0
        rows = query(edge_file, "SELECT code, label FROM customer")
        assert sorted((int(c), int(v)) for c, v in rows) == [(n, n * 7919 % 100_003) for n in range(20_000)]

    def test_bad_records_are_set_aside_one_by_one(self, tmp_path: Path, edge_file: Path) -> None:
        bad = [
            '{"code": "nan", "label": NaN}', '{"code": "inf", "label": 1e999}',
            '{"code": "nul", "label": "\\u0000"}',
            "[1]", "null", '{"code": ', '{"code": "half", "label": "\\ud800"}', '{"label": "no key"}',
            '{"code": "deep", "label": ' + "[" * 5000 + "]" * 5000 + "}",
            '{"code": "long", "label": "' + "x" * 20_000 + '"}',
        ]  # fmt: skip
        good = [json.dumps({"code": f"ok{n}", "label": "x"}) for n in range(len(bad) + 2)]
        source = tmp_path / "rows.ndjson"
        source.write_text("\n".join(line for pair in zip(good, [*bad, "", ""], strict=True) for line in pair))
        make(edge_file, "customer", template="ndjson-import", path=str(source), max_record_bytes=15_000)
        done = ek("--db", edge_file, "integrations", "run", "customer", "--json")
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        assert (result["records_written"], result["dead_letters"]) == (len(good), len(bad))
        letters = query(edge_file, "SELECT source_position, error_code, error_message FROM dead_letter")
        assert sorted(int(place.removeprefix("line ")) for place, _, _ in letters) == list(
            range(2, 2 * len(bad) + 1, 2)
        )
        assert all(code and message for _, code, message in letters)
        assert query(edge_file, "SELECT count(*) FROM customer WHERE code NOT LIKE 'ok%'") == [(0,)]
        assert verify(edge_file) == []

    def test_when_all_are_bad_the_first_reason_is_said(self, tmp_path: Path, edge_file: Path) -> None:
        source = tmp_path / "page.ndjson"
        source.write_text("<!DOCTYPE html><html></html>\n")
        make(edge_file, "customer", template="ndjson-import", path=str(tmp_path / "good.ndjson"))
        (tmp_path / "good.ndjson").write_text('{"code": "a"}\n')
        run = ("--db", edge_file, "integrations", "run", "customer")
        assert ek(*run).returncode == 0
        refused(ek(*run, "--input", source), 4, "1 of 1", "line 1: ")


class TestNames:
    """Names that nothing has."""

    def test_each_is_3_or_4_and_names_what_there_is(self, tmp_path: Path, edge_file: Path) -> None:
        source = tmp_path / "rows.csv"
        source.write_text("vin,colour\n1HGCM82633A004352,red\n")
        for name, table, key in (
            ("no-table", "vehicel", "vin"), ("no-column", "vehicle", "vin"), ("no-key", "vehicle", "colour"),
            ("books", "audit_log", "seq"),
        ):  # fmt: skip
            make(edge_file, name, path=str(source), table=table, key=key, create=False)
        for words, code, said in (
            (("integrations", "run", "nothing"), 3, "no-table"),
            (("integrations", "create", "x", "--template", "csv"), 3, "csv-import"),
            (("integrations", "run", "no-table"), 3, "Did you mean vehicle"),
            (("integrations", "run", "no-column"), 4, "colour"),
            (("integrations", "run", "books"), 4, "audit_log"),
            (("executions", "list", "--integration", "nothing"), 3, "no-table"),
            (("dead-letters", "list", "--integration", "nothing"), 3, "no-table"),
            (("audit", "log", "--actor", "nobody"), 3, "system"),
            (("audit", "blame", "vehicel", "1"), 3, "vehicel"),
            (("audit", "as-of", "yesterday", "vehicle"), 4, "yesterday"),
            (("restore", tmp_path / "none.zip", tmp_path / "r.db"), 3, "none.zip"),
            (("restore", source, tmp_path / "r.db"), 8, "rows.csv"),
        ):
            refused(ek("--db", edge_file, *words), code, said)
        assert not (tmp_path / "r.db").exists()
        assert query(edge_file, "SELECT count(*) FROM vehicle") == [(0,)]

    @pytest.mark.parametrize(
        "changes",
        [
            '{"mappings": 3}', '{"mappings": [3]}', '{"connection": [3]}', '{"pipeline": "x"}',
            '{"speed": 1}',
            "[]", "not json", '{"pipeline": {"error_handling_strategy": "pray"}}',
            '{"mappings": [{"source_path": "a"}]}',
        ],
    )  # fmt: skip
    def test_a_customization_that_is_none(self, tmp_path: Path, edge_file: Path, changes: str) -> None:
        (tmp_path / "c.json").write_text(changes)
        made = ek(
            "--db", edge_file, "integrations", "create", "x", "--template", "csv-import",
            "--set", "path=a.csv", "--set", "table=vehicle", "--customize", tmp_path / "c.json",
        )  # fmt: skip
        refused(made, 4)
        assert query(edge_file, "SELECT count(*) FROM integration") == [(0,)]

    @pytest.mark.parametrize(
        "pipeline",
        [
            {"steps": 5},
            {"steps": ["map"]},
            {"steps": [{"type": "fly"}]},
            {"dead_letters": {"max_count": "x"}},
        ],
    )
    def test_a_pipeline_that_is_none(self, edge_file: Path, pipeline: dict[str, Any]) -> None:
        settings = {"path": "a.csv", "table": "vehicle"}
        with edgekit.open(edge_file), suppress(edgekit.InvalidError):
            integrations.create(
                "x", template="csv-import", settings=settings, customizations={"pipeline": pipeline}
            )
            with pytest.raises(edgekit.InvalidError):
                prepare("x")


LOGIN = b"<!DOCTYPE html><html><title>Log in</title></html>"
ANSWERS: dict[str, tuple[Reply, int, str]] = {
    "a page": (Reply(LOGIN, headers={"Content-Type": "text/html"}), 4, "HTML page"),
    "nothing": (Reply(b""), 4, "empty answer"),
    "no records": (Reply({"error": "over quota"}), 4, "it has: error"),
    "text for records": (Reply({"records": "none"}), 4, "$.records"),
    "NaN": (Reply(b'{"records": [{"code": "a", "label": NaN}]}'), 4, "NaN"),
    "latin-1": (Reply(b'{"records": [{"code": "\xe9"}]}'), 4, "UTF-8"),
    "damaged gzip": (Reply(b"garbage", headers={"Content-Encoding": "gzip"}), 4, "compression"),
    "401": (Reply({"why": "key"}, status=401), 5, "(401)"),
    "403": (Reply({"why": "key"}, status=403), 5, "(403)"),
    "404": (Reply(LOGIN, status=404), 3, "(404)"),
    "418": (Reply(b"tea", status=418), 4, "(418)"),
    "429": (Reply(b"", status=429, headers={"Retry-After": "0"}), 7, "(429)"),
    "500": (Reply({"why": "bug"}, status=500), 7, "(500)"),
    "503": (Reply(b"", status=503, headers={"Retry-After": "0"}), 7, "(503)"),
    "redirect": (Reply(b"", status=302, headers={"Location": "http://name.invalid/"}), 4, "not followed"),
    "half": (Reply(GOOD, cut=True), 7, "broke off"),
    "silence": (Reply(hold=True), 7, "did not answer"),
    "dripping": (Reply(GOOD, drip=0.2), 7, "did not answer"),
}


class TestService:
    """What a service answers, or does not."""

    @pytest.mark.ledger("S1-41")
    @pytest.mark.parametrize(
        "name", some_slow(ANSWERS, "403 404 418 429 500 NaN latin text dripping redirect")
    )
    def test_an_answer_of_no_use(self, edge_file: Path, name: str) -> None:
        reply, code, said = ANSWERS[name]
        with serve(lambda _: reply) as service:
            make_http(edge_file, service.url)
            done = ek("--db", edge_file, "integrations", "run", "source")
        refused(done, code, said)
        calls = 2 if code == 7 else 1
        assert len(service.calls) == calls
        logged = query(
            edge_file,
            "SELECT l.retry_count, l.is_success, l.response_code, l.correlation_id = e.correlation_id,"
            " l.response_time_ms >= 0 FROM integration_log l JOIN integration_execution e"
            " ON e.id = l.execution_id ORDER BY l.id",
        )
        assert [row[0] for row in logged] == list(range(calls))
        assert all(row[3:] == (1, 1) for row in logged)
        if reply.status >= 300:
            assert all(row[1:3] == (0, reply.status) for row in logged)
        assert query(edge_file, "SELECT execution_status FROM integration_execution") == [("failed",)]
        assert query(edge_file, "SELECT count(*) FROM tracked_table") == [(0,)]

    @pytest.mark.parametrize("answer", [{"error": "over quota"}, {"records": "none"}, 5])
    def test_a_list_that_is_missing_is_not_an_empty_one(self, edge_file: Path, answer: Any) -> None:
        with serve(lambda _: Reply(answer)) as service:
            make_http(edge_file, service.url, records="$.records[*]")
            refused(ek("--db", edge_file, "integrations", "run", "source"), 4, "$.records[*]")

    @pytest.mark.parametrize(
        ("url", "said"),
        [
            ("http://127.0.0.1:9", "takes no connection"),
            ("http://name.invalid", "cannot be found"),
            ("https://127.0.0.1:9", "takes no connection"),
        ],
    )
    def test_nobody_there(self, edge_file: Path, url: str, said: str) -> None:
        make_http(edge_file, url)
        refused(ek("--db", edge_file, "integrations", "run", "source"), 7, said)
        assert query(edge_file, "SELECT count(*) FROM integration_log") == [(2,)]

    @pytest.mark.skipif(not shutil.which("openssl"), reason="makes the certificate")
    def test_a_certificate_of_nobody(self, tmp_path: Path, edge_file: Path) -> None:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "k.pem", "-out", "c.pem",
             "-days", "2", "-subj", "/CN=localhost"],
            cwd=tmp_path, capture_output=True, check=True,
        )  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
        with serve(lambda _: GOOD, context) as service:
            make_http(edge_file, service.url)
            refused(ek("--db", edge_file, "integrations", "run", "source"), 7, "certificate", "self-signed")
        assert service.calls == []

    @pytest.mark.ledger("S1-41")
    @pytest.mark.parametrize(
        "pagination",
        [
            {"kind": "page"},
            pytest.param({"kind": "offset"}, marks=pytest.mark.slow),
            pytest.param({"kind": "next_link", "next_path": "$.next"}, marks=pytest.mark.slow),
            {"kind": "cursor", "cursor_path": "$.next"},
        ],
    )
    def test_a_last_page_for_ever(self, edge_file: Path, pagination: dict[str, Any]) -> None:
        with serve(lambda _: {**GOOD, "next": "/x?again=1"}) as service:
            make_http(edge_file, service.url, pagination=pagination, page_size=1)
            refused(ek("--db", edge_file, "integrations", "run", "source"), 4, "again and again")
        assert len(service.calls) <= 3
        assert query(edge_file, "SELECT code FROM source") == [("a",)]
        logged = query(edge_file, "SELECT is_success, response_code FROM integration_log")
        assert logged == [(1, 200)] * len(service.calls)
        assert verify(edge_file) == []


SECRET = 'S3cr+t/Key%&=1234~"x'
SPELLINGS = {
    SECRET.encode(), quote(SECRET).encode(), quote(SECRET, safe="").encode(), quote_plus(SECRET).encode(),
    json.dumps(SECRET)[1:-1].encode(), base64.b64encode(f"ann:{SECRET}".encode()), b"S3cr",
}  # fmt: skip


class TestSecrets:
    """A secret is nowhere in clear: not in the file, its copies, its logs, nor in what is printed."""

    @pytest.mark.ledger("S1-47")
    @pytest.mark.parametrize(
        "kind", ["header", *(pytest.param(k, marks=pytest.mark.slow) for k in ("basic", "bearer", "query"))]
    )
    def test_a_service_that_echoes_them(self, tmp_path: Path, edge_file: Path, kind: str) -> None:
        status = iter([401, 503, 503, 400, 200])

        def echo(call: Call) -> Reply:
            head = {"X-Request-Id": call.headers.get("Authorization") or call.headers.get("X-Api-Key") or "-"}
            body = {"asked": dict(call.headers), "query": call.query, "error": "you sent this"}
            return Reply(body, status=next(status), headers={**head, "Retry-After": "0"})

        with serve(echo) as service:
            make_http(edge_file, service.url, auth={"kind": kind})
            said = [ek("--db", edge_file, "vault", "init")]
            store = ("--db", edge_file, "vault", "set", "source")
            said += [ek(*store, key, stdin=f"{SECRET}\n") for key in ("api_key", "token", "password")]
            said.append(ek(*store, "username", stdin="ann"))
            assert {done.returncode for done in said} == {0}
            runs = [ek("--db", edge_file, "integrations", "run", "source", "--json") for _ in range(4)]
        assert [done.returncode for done in runs] == [5, 7, 4, 4]
        sent = json.dumps([[dict(call.headers), call.query] for call in service.calls])
        assert any(form.decode() in sent for form in SPELLINGS - {b"S3cr"})  # it was really sent
        said += [
            ek("--db", edge_file, *words)
            for words in (
                ("executions", "show", "1", "--json"), ("integrations", "show", "source", "--json"),
                ("audit", "log", "--json"), ("dead-letters", "list", "--json"), ("vault", "list"),
            )
        ]  # fmt: skip
        said.append(ek("--db", edge_file, "backup", tmp_path / "b.zip"))
        shutil.unpack_archive(tmp_path / "b.zip", tmp_path / "unpacked")
        everything = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        everything |= {f"{done.args}": (done.stdout + done.stderr).encode() for done in (*said, *runs)}
        assert [name for name, content in everything.items() for form in SPELLINGS if form in content] == []

    @pytest.mark.parametrize(
        "setting",
        [
            "api_key=hunter2", "headers.Authorization=Bearer hunter2", 'headers={"X-Api-Key": "hunter2"}',
            "base_url=http://ann:hunter2@localhost/", "base_url=http://hunter2@localhost/",
            "base_url=http://localhost/?api_key=hunter2", "path=/x?token=hunter2", "params.token=hunter2",
            "auth.secret=sk-live-hunter2",
        ],
    )  # fmt: skip
    def test_no_setting_takes_one(self, tmp_path: Path, edge_file: Path, setting: str) -> None:
        create = ("--db", edge_file, "integrations", "create", "x", "--template", "dcs-driver-verification")
        done = ek(*create, "--set", setting)
        refused(done, 4)
        assert "hunter2" not in done.stdout + done.stderr
        name, _, value = setting.partition("=")
        document: Any = json.loads(value) if value[0] == "{" else value
        for part in reversed(name.split(".")):
            document = {part: document}
        (tmp_path / "c.json").write_text(json.dumps({"connection": document}))
        done = ek(*create, "--customize", tmp_path / "c.json")
        refused(done, 4)
        assert "hunter2" not in done.stdout + done.stderr
        assert b"hunter2" not in edge_file.read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
class TestCtrlC:
    """Stopped at any moment: one line how to go on, 130, and the next run completes."""

    @staticmethod
    def start(*args: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "edgekit", *map(str, args)], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, encoding="utf-8", env=os.environ.copy(),
        )  # fmt: skip

    @staticmethod
    def stopped(process: subprocess.Popen[str], *words: str) -> str:
        out, err = process.communicate(timeout=30)
        assert process.returncode == 130, err
        assert len(err.splitlines()) == 1, err
        assert err.startswith("Stopped")
        for word in words:
            assert word in err
        return out

    def test_while_records_are_written(self, tmp_path: Path, edge_file: Path) -> None:
        source = tmp_path / "big.csv"
        source.write_text("code,label\n" + "".join(f"{n},row\n" for n in range(30_000)))
        first = tmp_path / "first.csv"
        first.write_text("code,label\n0,row\n")
        make(edge_file, "customer", path=str(source), batch_size=200)
        run = ("--db", edge_file, "integrations", "run", "customer")
        assert ek(*run, "--input", first).returncode == 0  # the table is made
        for presses in (1, 2, 3):
            before = query(edge_file, "SELECT count(*) FROM customer")[0][0]
            process = self.start(*run, "--json")
            enough = f"SELECT count(*) > {before + 400} FROM customer"
            self.wait(lambda sql=enough: bool(query(edge_file, sql)[0][0]))  # type: ignore[misc]
            for _ in range(presses):
                process.send_signal(signal.SIGINT)
                time.sleep(0.005)
            document = json.loads(self.stopped(process, "Go on with: edgekit --db", "run customer"))
            assert document["status"] == "interrupted"
            assert query(edge_file, "SELECT count(*) FROM customer")[0][0] < 30_000
        assert ek(*run).returncode == 0
        assert query(edge_file, "SELECT count(*), count(DISTINCT code) FROM customer") == [(30_000, 30_000)]
        assert query(
            edge_file,
            "SELECT sum(records_changed), sum(records_read) FROM integration_execution WHERE id > 1",
        ) == [(29_999, 30_000)]
        assert query(edge_file, "SELECT count(*) FROM audit_entry WHERE table_name = 'customer'") == [
            (30_000,)
        ]
        assert verify(edge_file) == []

    @pytest.mark.parametrize(
        "reply", [Reply(hold=True), Reply(b"", status=503, headers={"Retry-After": "20"})]
    )
    def test_while_a_service_is_waited_for(self, edge_file: Path, reply: Reply) -> None:
        script: list[Reply] = [Reply(GOOD), reply]

        def turn(_: Call) -> Reply:
            return script.pop(0) if script else reply

        with serve(turn) as service:
            make_http(
                edge_file, service.url, timeout_seconds=20, page_size=1,
                pagination={"kind": "page", "page_param": "page"},
            )  # fmt: skip
            process = self.start("--db", edge_file, "integrations", "run", "source")
            self.wait(lambda: len(service.calls) == 2)
            started = time.monotonic()
            process.send_signal(signal.SIGINT)
            self.stopped(process, "run source")
            assert time.monotonic() - started < 5
            assert query(edge_file, "SELECT execution_status, records_read FROM integration_execution") == [
                ("interrupted", 1)
            ]
            script[:] = [Reply({"records": [{"code": "b", "label": "Bob"}]}), Reply({"records": []})]
            assert ek("--db", edge_file, "integrations", "run", "source").returncode == 0
        assert [call.query["page"] for call in service.calls[2:]] == [["2"], ["3"]]
        assert query(edge_file, "SELECT code FROM source ORDER BY id") == [("a",), ("b",)]

    @pytest.mark.slow
    def test_the_demo_goes_on_the_next_time(self, tmp_path: Path) -> None:
        folder = tmp_path / "demo"
        process = self.start("demo", "--dir", folder)
        self.wait((folder / "agency.db-run1.lock").exists)
        process.send_signal(signal.SIGINT)
        self.stopped(process, "same command")
        done = ek("demo", "--dir", folder, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["verify"] == []

    def test_at_the_first_moments(self, edge_file: Path) -> None:
        for delay in (0.05, 0.1, 0.15):
            process = self.start("--db", edge_file, "doctor")
            time.sleep(delay)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)
            assert "most recent call last" not in err or "edgekit/cli" not in err.replace("\\", "/"), err

    @staticmethod
    def wait(ready: Callable[[], bool]) -> None:
        until = time.monotonic() + 20
        while not _true(ready):
            assert time.monotonic() < until
            time.sleep(0.005)


def _true(ready: Callable[[], bool]) -> bool:
    try:
        return ready()
    except sqlite3.OperationalError:  # not there yet, or busy
        return False


@pytest.mark.skipif(not shutil.which("sqlite3"), reason="the shell of SQLite")
class TestShell:
    """The file defends itself against any program that writes it."""

    @staticmethod
    def shell(path: Path, sql: str) -> Done:
        return subprocess.run(["sqlite3", path, sql], capture_output=True, text=True, timeout=20, check=False)

    def test_what_a_stranger_may_and_may_not(self, edge_file: Path) -> None:
        for values, said in (
            ("(vin) VALUES ('short')", "vehicle.vin.length"),
            ("(status_id) VALUES (999)", "|status_id|reference|There is no status"),
        ):
            bad = self.shell(edge_file, f"INSERT INTO vehicle{values}")
            assert said in bad.stderr
            assert bad.returncode != 0
        insert = "INTO vehicle(id, vin, make) VALUES (7, '1HGCM82633A004352', "
        assert self.shell(edge_file, f"INSERT {insert}'HONDA')").stderr == ""
        assert self.shell(edge_file, "UPDATE vehicle SET make = 'Acura' WHERE id = 7").stderr == ""
        assert self.shell(edge_file, f"INSERT OR REPLACE {insert}'Honda')").stderr == ""
        entries = query(
            edge_file,
            "SELECT action, actor, json_extract(new_values, '$.make'), json_extract(old_values, '$.make')"
            " FROM audit_entry WHERE table_name = 'vehicle' ORDER BY seq",
        )
        assert [row[:2] for row in entries] == [("I", None), ("U", None), ("D", None), ("I", None)]
        for sql in ("UPDATE audit_log SET changes = '{}'", "DELETE FROM audit_log"):
            assert "EK|audit_log|" in self.shell(edge_file, sql).stderr
        assert verify(edge_file) == []
