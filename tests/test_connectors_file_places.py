"""Files elsewhere and files dropped into folders: each read once, nothing lost, nothing moved too early."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import threading
import zipfile
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import paramiko
import pytest
from connector_contract import ConnectorContract, pages, records
from sftp_server import PASSWORD, USER, Running, serve

from edgekit import connectors, db, integrations, runner
from edgekit.connectors import file_drop, file_places
from edgekit.errors import DeniedError, EdgekitError, InvalidError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgekit.connectors import Connector, Page
    from edgekit.connectors.file import FileConnector

FILE: FileConnector = connectors.get("file")  # type: ignore[assignment]
LOG_IN = {"username": USER, "password": PASSWORD}


def read(path: Path | str, state: Mapping[str, Any] | None = None, **config: Any) -> list[Page]:
    settings = {"path": str(path), **config}
    connectors.check_config(FILE, settings)
    return pages(FILE, settings, state)


def run_through(config: Mapping[str, Any], state: Mapping[str, Any], **secrets: str) -> tuple[list[Any], Any]:
    """Read as the engine does: what was read is kept before the next page is asked for."""
    found: list[Any] = []
    last: Mapping[str, Any] = state
    for page in FILE.read(config, state=state, inputs=None, secrets=secrets):
        found += page.records
        FILE.committed(config, state=page.state, secrets=secrets)
        last = json.loads(json.dumps(page.state))
    return found, last


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    for name in "cab":
        (folder / f"{name}.csv").write_text(f"k,v\n{name}1,1\n{name}2,2\n", encoding="utf-8")
    return folder


@pytest.fixture
def memory() -> Iterator[Any]:
    """The file system in memory, which all of a process share."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


@pytest.fixture(scope="module")
def sftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serve(tmp_path_factory.mktemp("sftp")) as running:
        yield running


# --- the contract


class TestPattern(ConnectorContract):
    @pytest.fixture
    def connector(self) -> Connector:
        return FILE

    @pytest.fixture
    def config(self, inbox: Path) -> Mapping[str, Any]:
        (inbox / "b2.csv").write_bytes(b"\x00\x01\x02\x03\x04\x05" * 100)
        return {"path": str(inbox / "*.csv"), "batch_size": 1}

    @pytest.fixture
    def broken_config(self, tmp_path: Path) -> Mapping[str, Any]:
        return {"path": str(tmp_path / "gone" / "*.csv")}


class TestMemory(TestPattern):
    @pytest.fixture
    def config(self, memory: Any) -> Mapping[str, Any]:
        memory.pipe("/drop/a.ndjson", b'{"n": 1}\n{"n": 2}\n')
        memory.pipe("/drop/b.ndjson", b'{"n": 3}\n{"n": 4}\n')
        return {"path": "memory://drop/*", "batch_size": 1}

    @pytest.fixture
    def broken_config(self) -> Mapping[str, Any]:
        return {"path": "memory://drop/none.csv"}


class TestSftp(ConnectorContract):
    secrets: Mapping[str, str] = LOG_IN

    @pytest.fixture
    def connector(self) -> Connector:
        return FILE

    @pytest.fixture
    def config(self, sftp: Running) -> Mapping[str, Any]:
        (sftp.folder / "a.csv").write_bytes(b"n,m\n1,1\n2,2\n3,3\n4,4\n")
        url = f"sftp://127.0.0.1:{sftp.port}/a.csv"
        return {"path": url, "host_key": sftp.fingerprint, "batch_size": 1}

    @pytest.fixture
    def broken_config(self, config: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**config, "host_key": "SHA256:" + "A" * 43}


# --- files dropped into a folder


def test_files_are_read_in_the_order_of_their_names(inbox: Path) -> None:
    found = read(inbox / "*.csv")
    assert [record["k"] for record in records(found)] == ["a1", "a2", "b1", "b2", "c1", "c2"]
    assert [p for page in found for p in page.positions][:2] == ["a.csv, line 2", "a.csv, line 3"]


def test_the_next_run_reads_what_is_new_or_changed(inbox: Path) -> None:
    config = {"path": str(inbox / "*.csv")}
    _, state = run_through(config, {})
    assert run_through(config, state) == ([], state)
    (inbox / "b.csv").write_text("k,v\nb3,3\n", encoding="utf-8")
    (inbox / "aa.csv").write_text("k,v\naa1,1\n", encoding="utf-8")
    (inbox / "c.csv").unlink()
    found, state = run_through(config, state)
    assert [record["k"] for record in found] == ["aa1", "b3"]
    assert sorted(state["cursor"]) == ["a.csv", "aa.csv", "b.csv"]


def test_a_file_a_run_stopped_in_is_gone_on_with_first(inbox: Path) -> None:
    config = {"path": str(inbox / "*.csv"), "batch_size": 1}
    half = pages(FILE, config)[2].state
    assert half["at"]["name"] == "b.csv"
    (inbox / "a0.csv").write_text("k,v\nnew,1\n", encoding="utf-8")
    assert [r["k"] for r in records(read(inbox / "*.csv", half))] == ["b2", "new", "c1", "c2"]


def test_what_is_no_source_is_set_aside_and_the_rest_is_read(inbox: Path) -> None:
    (inbox / "b.csv").write_bytes(b"k,v\n1,2\n\xff\xff,3\n")
    (inbox / "d.csv").write_bytes(b"")
    config = {"path": str(inbox / "*.csv"), "then": "delete"}
    found, state = run_through(config, {})
    assert [record["k"] for record in found] == ["a1", "a2", "1", "c1", "c2"]
    assert sorted(path.name for path in inbox.iterdir()) == ["b.csv", "d.csv"]
    assert run_through(config, state)[0] == []
    rejects = [reject for page in read(inbox / "*.csv") for reject in page.rejects]
    assert [(reject.position, reject.code) for reject in rejects] == [("b.csv", "file"), ("d.csv", "file")]
    assert "line 3" in rejects[0].message
    (inbox / "d.csv").write_text("k,v\nd1,1\n", encoding="utf-8")
    assert [record["k"] for record in run_through(config, state)[0]] == ["d1"]


def test_read_files_are_moved_once_they_are_kept_and_not_before(inbox: Path) -> None:
    config = {"path": str(inbox / "*.csv"), "then": "move:processed/", "batch_size": 1}
    source = FILE.read(config, state={}, inputs=None, secrets={})
    state = [next(source), next(source)][1].state
    next(source)
    assert not (inbox / "processed").exists()
    source.close()
    state = json.loads(json.dumps(state))
    for _ in range(2):
        FILE.committed(config, state=state, secrets={})
        assert (inbox / "processed" / "a.csv").exists()
    found, _ = run_through(config, state)
    assert [record["k"] for record in found] == ["b1", "b2", "c1", "c2"]
    assert sorted(p.name for p in inbox.rglob("*.csv")) == ["a.csv", "b.csv", "c.csv"]
    assert not list(inbox.glob("*.csv"))


@pytest.mark.parametrize("then", ["delete", "move:done/"])
def test_a_file_is_closed_before_it_is_moved(inbox: Path, monkeypatch: pytest.MonkeyPatch, then: str) -> None:
    # Windows itself refuses to move what is open; elsewhere we look.
    handles, settle, settled = Path("/proc/self/fd"), file_drop._settle, []

    def looked_at(folder: file_places.Place, config: Mapping[str, Any], entry: file_places.Entry) -> None:
        opened = [str(handle.readlink()) for handle in handles.glob("*") if handle.is_symlink()]
        assert entry.path not in opened
        settled.append(entry.name)
        settle(folder, config, entry)

    monkeypatch.setattr(file_drop, "_settle", looked_at)
    run_through({"path": str(inbox / "*.csv"), "then": then}, {})
    assert settled == ["a.csv", "b.csv", "c.csv"]
    assert not list(inbox.glob("*.csv"))


def test_paths_of_windows_are_understood() -> None:
    assert not file_places.is_url(r"C:\data\in.csv")
    assert not file_places.is_url("C:/data/in.csv")
    roots = {"C:\\": "C:\\", "C:\\in\\": r"C:\in", "\\\\box\\in\\": r"\\box\in"}
    assert {folder: file_places._fixed(f"{folder}*.csv", "\\") for folder in roots} == roots
    read_before = file_places.Entry(r"C:\in\done\a.csv", "a.csv", "", None)
    waiting = file_places.Entry(r"C:\in\b.csv", "b.csv", "", None)
    for then in (r"move:C:\in\done", "move:C:/in/done/"):
        assert file_drop._without_moved([read_before, waiting], then) == [waiting]


def test_a_kill_before_the_move_is_made_up_for(inbox: Path) -> None:
    config = {"path": str(inbox / "*.csv"), "then": "delete"}
    state = pages(FILE, config)[-1].state  # nobody said that it was kept
    assert len(list(inbox.iterdir())) == 3
    (inbox / "b.csv").write_text("k,v\nb9,9\n", encoding="utf-8")  # another one of the same name
    found, _ = run_through(config, state)
    assert found == [{"k": "b9", "v": "9"}]
    assert list(inbox.iterdir()) == []


def test_a_file_changed_while_it_was_read_stays(inbox: Path) -> None:
    config = {"path": str(inbox / "a.csv"), "then": "delete"}
    source = FILE.read(config, state={}, inputs=None, secrets={})
    page = next(source)
    (inbox / "a.csv").write_text("k,v\na1,1\na2,2\na3,3\n", encoding="utf-8")
    FILE.committed(config, state=page.state, secrets={})
    assert list(source) == []
    assert (inbox / "a.csv").exists()
    assert len(run_through(config, page.state)[0]) == 3


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_without_rights_is_tried_again(inbox: Path) -> None:
    (inbox / "b.csv").chmod(0)
    found, state = run_through({"path": str(inbox / "*.csv")}, {})
    assert [record["k"] for record in found] == ["a1", "a2", "c1", "c2"]
    (inbox / "b.csv").chmod(0o600)
    assert [r["k"] for r in run_through({"path": str(inbox / "*.csv")}, state)[0]] == ["b1", "b2"]


def test_a_file_that_goes_while_others_are_read_is_none(inbox: Path) -> None:
    source = FILE.read({"path": str(inbox / "*.csv")}, state={}, inputs=None, secrets={})
    next(source)
    (inbox / "b.csv").unlink()
    assert [record["k"] for page in source for record in page.records] == ["c1", "c2"]


def test_a_name_met_before_is_not_written_over(inbox: Path) -> None:
    config = {"path": str(inbox / "**" / "*.csv"), "then": "move:done"}
    state: Any = {}
    for number, content in enumerate(("k,v\n1,1\n", "k,v\n22,2\n", "k,v\n33,2\n")):
        (inbox / "a.csv").write_text(content, encoding="utf-8")
        os.utime(inbox / "a.csv", (1_700_000_000 + number // 2,) * 2)
        _, state = run_through(config, state)
    (inbox / "a.csv").write_text("k,v\n4,4\n", encoding="utf-8")
    os.utime(inbox / "a.csv", (1_700_000_001, 1_700_000_001))
    run_through(config, state)
    moved = {path.name: path.read_text(encoding="utf-8") for path in (inbox / "done").iterdir()}
    assert sorted(moved) == [
        "a-20231114T221320.csv", "a-20231114T221321-2.csv", "a-20231114T221321.csv", "a.csv",
        "b.csv", "c.csv",
    ]  # fmt: skip
    assert moved["a-20231114T221320.csv"] == "k,v\n22,2\n"


def test_a_file_still_growing_is_left_for_the_next_run(inbox: Path) -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    for name, age in (("a", 100), ("b", 20), ("c", 61)):
        os.utime(inbox / f"{name}.csv", (now.timestamp() - age,) * 2)
    config = {"path": str(inbox / "*.csv"), "settle_seconds": 60}
    names = []
    state: Mapping[str, Any] = {}
    for at in (now, now + timedelta(minutes=1)):
        found = list(file_drop.read(config, state, {}, _reading(config), now=at))
        names.append([record["k"] for record in records(found)])
        state = found[-1].state
    assert names == [["a1", "a2", "c1", "c2"], ["b1", "b2"]]


def _reading(config: Mapping[str, Any]) -> Any:
    from edgekit.connectors.file import _read_one

    return lambda path, shown, mark, state: _read_one(path, shown, mark, config, state)


def test_a_time_in_whole_seconds_is_let_pass_before_it_is_trusted(inbox: Path) -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    for name in "ab":
        os.utime(inbox / f"{name}.csv", (now.timestamp(),) * 2)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        (inbox / "a.csv").write_text("k,v\na3,3\na4,4\n", encoding="utf-8")

    config = {"path": str(inbox / "[ab].csv")}
    found = list(file_drop.read(config, {}, {}, _reading(config), now=now, sleep=sleep))
    assert [record["k"] for record in records(found)] == ["a3", "a4", "b1", "b2"]
    assert slept == [2.0]


def test_a_single_file_can_be_picked_up_and_waited_for(tmp_path: Path) -> None:
    config = {"path": str(tmp_path / "orders.csv"), "then": "move:done/"}
    assert run_through(config, {}) == ([], {})
    (tmp_path / "orders.csv").write_text("k\n1\n", encoding="utf-8")
    assert run_through(config, {})[0] == [{"k": "1"}]
    assert (tmp_path / "done" / "orders.csv").exists()


def test_a_name_with_brackets_is_one_file(tmp_path: Path) -> None:
    path = tmp_path / "report[1].csv"
    path.write_text("k\n1\n", encoding="utf-8")
    assert records(read(path)) == [{"k": "1"}]
    assert records(read(path.as_uri())) == [{"k": "1"}]


@pytest.mark.usefixtures("edge")
def test_a_drop_folder_is_picked_up_run_by_run(inbox: Path) -> None:
    integrations.create("drop", template="csv-import", settings={
        "path": str(inbox / "*.csv"), "then": "move:processed/",
        "table": "thing", "key": "k", "create": "true",
    })  # fmt: skip
    assert runner.run("drop").records_read == 6
    assert sorted(path.name for path in (inbox / "processed").iterdir()) == ["a.csv", "b.csv", "c.csv"]
    second = runner.run("drop")
    assert (second.status, second.records_read) == ("completed", 0)
    (inbox / "a.csv").write_text("k,v\na1,5\nbroken\n", encoding="utf-8")
    rehearsed = runner.run("drop", dry_run=True)
    assert (rehearsed.records_read, (inbox / "a.csv").exists()) == (2, True)
    third = runner.run("drop")
    assert (third.records_read, third.records_changed, third.dead_letters) == (2, 1, 1)
    assert runner.list_dead_letters()[0]["source_position"] == "a.csv, line 3"
    assert db.query("SELECT v FROM thing WHERE k = 'a1'") == [{"v": 5}]
    (inbox / "e.csv").write_text("k,v\ne1,5\n", encoding="utf-8")
    runner.run("drop")
    assert len(runner.list_dead_letters()) == 1, "a file not there any more settles nothing"


@pytest.mark.usefixtures("edge")
def test_a_first_file_that_is_none_does_not_keep_the_table_from_being_made(inbox: Path) -> None:
    (inbox / "0.csv").write_bytes(b"\x00\x01\x02")
    settings = {"path": str(inbox / "*.csv"), "table": "thing", "key": "k", "create": "true"}
    integrations.create("drop", template="csv-import", settings=settings)
    for status, dry_run in (("dry_run", True), ("completed", False)):
        found = runner.run("drop", dry_run=dry_run)
        assert (found.status, found.records_written, found.dead_letters) == (status, 6, 1)
    assert runner.list_dead_letters()[0]["source_position"] == "0.csv"


# --- URLs


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("sftp://ann:w0rd@host/a.csv", InvalidError, "holds a log-in"),
        ("https://host/a.csv?token=w0rd", InvalidError, "holds a log-in or a key"),
        ("nowhere://host/a.csv", InvalidError, "Protocol not known"),
        ("sftp://127.0.0.1:{port}/a.csv", InvalidError, "Who logs in"),
        ("http://127.0.0.1:{port}/a.csv", UnavailableError, "cannot be listed"),
        ("memory://none/*.csv", NotFoundError, "no folder /none"),
    ],
)
def test_what_cannot_be_reached_is_said(path: str, kind: type[EdgekitError], message: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(kind, match=message) as caught:
        read(path.format(port=port))
    assert "w0rd" not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("path", ["-", "http://host/*.csv", "zip://*.csv::memory://a.zip"])
def test_what_cannot_be_moved_is_said_before_it_is_read(path: str) -> None:
    with pytest.raises(InvalidError, match="moved or deleted"):
        read(path, then="delete")


def test_a_setting_the_storage_does_not_know_is_said() -> None:
    raised = pytest.raises(InvalidError, match="storage holds what is not known for s3://bucket")
    with raised, file_places._reaching("s3://bucket", "listed"):
        (lambda: None)(nonsense=1)  # type: ignore[call-arg]


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(NotFoundError, match="a package it needs is not installed") as caught:
        read("memory://a.csv")
    assert caught.value.hint == "Install it: pip install 'edgekit[files]'"
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "paramiko", None)
    monkeypatch.delitem(sys.modules, "edgekit.connectors.file_sftp", raising=False)
    with pytest.raises(NotFoundError) as caught:
        read("sftp://host/*.csv")
    assert caught.value.hint == "Install it: pip install 'edgekit[sftp]'"


def test_a_zip_is_read_through(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("in/1.csv", "k\n1\n")
        packed.writestr("in/2.csv", "k\n2\n")
    url = f"zip://in/*.csv::{(tmp_path / 'a.zip').as_posix()}"
    assert records(read(url)) == [{"k": "1"}, {"k": "2"}]


def test_remote_files_are_moved_as_well(memory: Any) -> None:
    memory.pipe("/in/a.csv", b"k\n1\n")
    memory.pipe("/in/b.csv.gz", b"\x1f\x8bnonsense")
    config = {"path": "memory://in/*", "then": "move:done/"}
    found, state = run_through(config, {})
    assert found == [{"k": "1"}]
    assert sorted(memory.find("/")) == ["/in/b.csv.gz", "/in/done/a.csv"]
    assert run_through(config, state)[0] == []


def test_health_asks_without_fetching(memory: Any, inbox: Path) -> None:
    memory.pipe("/in/a.csv", b"")
    assert FILE.probe({"path": "memory://in/a.csv"}, secrets={}) is not None
    assert FILE.probe({"path": str(inbox / "*.csv")}, secrets={}) is not None
    with pytest.raises(NotFoundError):
        FILE.probe({"path": str(inbox / "gone" / "*.csv")}, secrets={})


# --- SFTP


def test_sftp_drops_are_read_moved_and_remembered(sftp: Running) -> None:
    folder = sftp.folder / "drop"
    folder.mkdir()
    for name in ("2.csv", "1.csv"):
        (folder / name).write_text(f"k\n{name}\n", encoding="utf-8")
        os.utime(folder / name, (1_700_000_000, 1_700_000_000))
    config = {
        "path": f"sftp://127.0.0.1:{sftp.port}/drop/*.csv",
        "host_key": sftp.fingerprint,
        "then": "move:processed/",
    }
    found, state = run_through(config, {}, **LOG_IN)
    assert found == [{"k": "1.csv"}, {"k": "2.csv"}]
    assert sorted(path.name for path in (folder / "processed").iterdir()) == ["1.csv", "2.csv"]
    assert run_through(config, state, **LOG_IN)[0] == []
    (folder / "1.csv").write_text("k\nagain\n", encoding="utf-8")
    os.utime(folder / "1.csv", (1_700_000_001, 1_700_000_001))
    assert run_through({**config, "then": "delete"}, state, **LOG_IN)[0] == [{"k": "again"}]
    assert not list(folder.glob("*.csv"))


def test_a_server_nobody_vouches_for_is_not_spoken_to(
    sftp: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (sftp.folder / "k.csv").write_text("k\n1\n", encoding="utf-8")
    config = {"path": f"sftp://127.0.0.1:{sftp.port}/k.csv"}
    with pytest.raises(DeniedError, match=r"host key of .* is not known") as caught:
        pages(FILE, config, secrets=LOG_IN)
    assert sftp.fingerprint in (caught.value.hint or "")
    (tmp_path / ".ssh").mkdir()
    known = tmp_path / ".ssh" / "known_hosts"
    known.write_text(sftp.line + "\n", encoding="utf-8")
    assert records(pages(FILE, config, secrets=LOG_IN)) == [{"k": "1"}]
    other = paramiko.ECDSAKey.generate().get_base64()
    known.write_text(sftp.line.rpartition(" ")[0] + f" {other}\n", encoding="utf-8")
    with pytest.raises(DeniedError, match="not the one in known_hosts"):
        pages(FILE, config, secrets=LOG_IN)


def test_a_wrong_log_in_is_said_without_it(sftp: Running) -> None:
    config = {"path": f"sftp://127.0.0.1:{sftp.port}/k.csv", "host_key": sftp.fingerprint}
    with pytest.raises(DeniedError, match="does not let carrier in") as caught:
        pages(FILE, config, secrets={"username": USER, "password": "wrong-word"})
    assert "wrong-word" not in f"{caught.value.message} {caught.value.hint}"
    with pytest.raises(DeniedError, match="private_key is no key"):
        pages(FILE, config, secrets={"username": USER, "private_key": "nonsense"})


def test_what_is_no_sftp_server_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        url = f"sftp://127.0.0.1:{listener.getsockname()[1]}/a.csv"
        with pytest.raises(UnavailableError, match="cannot be reached by SFTP"):
            pages(FILE, {"path": url}, secrets=LOG_IN)
        thread.join()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("phrase", [None, "opens it"])
def test_a_private_key_lets_in(tmp_path: Path, phrase: str | None) -> None:
    key = paramiko.ECDSAKey.generate()
    text = io.StringIO()
    key.write_private_key(text, phrase)
    (tmp_path / "a.csv").write_text("k\n1\n", encoding="utf-8")
    secrets = {"username": USER, "private_key": text.getvalue()} | ({"passphrase": phrase} if phrase else {})
    with serve(tmp_path, user_key=key) as running:
        config = {"path": f"sftp://127.0.0.1:{running.port}/a.csv", "host_key": running.fingerprint}
        assert records(pages(FILE, config, secrets=secrets)) == [{"k": "1"}]


def test_local_files_need_none_of_the_packages(inbox: Path) -> None:
    code = (
        "import sys; from edgekit import connectors\n"
        f"config = {{'path': {str(inbox / '*.csv')!r}}}\n"
        "pages = list(connectors.get('file').read(config, state={}, inputs=None, secrets={}))\n"
        "assert len(pages) == 3\n"
        "print(*{'fsspec', 'paramiko', 'aiohttp', 'openpyxl', 'regex'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_urls_are_told_from_paths() -> None:
    assert file_places.is_url("s3://bucket/a.csv")
    assert file_places.is_url("zip::memory://a.zip")
    assert not file_places.is_url(r"C:\data\a.csv")
    assert not file_places.is_url("file:///data/a.csv")
    assert not file_places.is_pattern("https://host/a.csv?day=1")
    assert file_places.is_pattern("sftp://host/in/?.csv")


def test_http_is_read_like_any_other(tmp_path: Path) -> None:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_args: Any) -> None:
            """Say nothing."""

        def send_head(self) -> Any:
            if self.path[1:].isdigit():
                return self.send_error(int(self.path[1:]))
            return super().send_head()

    (tmp_path / "a.csv").write_text("k\n1\n2\n3\n", encoding="utf-8")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        try:
            found = read(f"{url}/a.csv", batch_size=2)
            assert records(read(f"{url}/a.csv", found[0].state, batch_size=2)) == [{"k": "3"}]
            with pytest.raises(NotFoundError, match="no file"):
                read(f"{url}/b.csv")
            with pytest.raises(DeniedError, match="HTTP 401"):
                read(f"{url}/401")
            with pytest.raises(UnavailableError, match="HTTP 503"):
                read(f"{url}/503")
        finally:
            server.shutdown()


def test_a_log_in_goes_nowhere_a_server_sends_us_on_to() -> None:
    met: list[tuple[str, str | None]] = []

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            met.append((self.headers["Host"].split(":")[0], self.headers["Authorization"]))
            is_first = self.headers["Host"].startswith("127.")
            self.send_response(302 if is_first else 200)
            self.send_header("Location", f"http://localhost:{server.server_port}/b.csv")
            self.send_header("Content-Length", "0" if is_first else "4")
            self.end_headers()
            self.wfile.write(b"" if is_first or self.command == "HEAD" else b"k\n1\n")

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        config = {"path": f"http://127.0.0.1:{server.server_port}/a.csv"}
        try:
            assert records(pages(FILE, config, secrets=LOG_IN)) == [{"k": "1"}]
        finally:
            server.shutdown()
    assert {host: auth is not None for host, auth in met} == {"127.0.0.1": True, "localhost": False}


def test_what_a_server_says_is_masked_before_it_is_cut() -> None:
    with pytest.raises(UnavailableError) as caught, file_places._reaching("sftp://host/a", "read"):
        raise OSError("x" * 280 + " password=geheim-und-lang-genug")
    assert "geheim" not in caught.value.message


@pytest.mark.usefixtures("edge")
def test_a_table_s_types_are_those_of_all_files(tmp_path: Path) -> None:
    (tmp_path / "1.xml").write_text('<a><b id="1"><n>1</n></b></a>', encoding="utf-8")
    (tmp_path / "2.xml").write_text('<a><b id="2"><n>007</n></b></a>', encoding="utf-8")
    integrations.create("xml", template="csv-import", settings={
        "path": str(tmp_path / "*.xml"), "format": "xml", "records": "a/b", "table": "thing", "key": "id",
        "create": "true",
    })  # fmt: skip
    assert runner.run("xml").status == "completed"
    assert db.query("SELECT id, n FROM thing") == [{"id": 1, "n": "1"}, {"id": 2, "n": "007"}]
    (tmp_path / "a.ndjson").write_text('{"k": 1, "v": 1.5}\n{"k": 2, "v": 2}\n', encoding="utf-8")
    integrations.create("json", template="ndjson-import", settings={
        "path": str(tmp_path / "a.ndjson"), "table": "other", "key": "k", "create": "true",
    })  # fmt: skip
    assert runner.run("json").dead_letters == 0
    assert db.query("SELECT k, v FROM other") == [{"k": 1, "v": 1.5}, {"k": 2, "v": 2.0}]
