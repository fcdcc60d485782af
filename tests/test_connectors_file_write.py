"""Files as destinations: what is written is read back equal, and stands there whole or not at all."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import fsspec
import openpyxl
import pytest
from connector_contract import DestinationContract, pages, records
from hypothesis import given, settings
from hypothesis import strategies as st
from sftp_server import PASSWORD, USER, Running, serve

import edgekit
from edgekit import connectors, integrations, validate
from edgekit.connectors import Outgoing, file_formats, file_write
from edgekit.errors import ConflictError, DeniedError, EdgekitError, InvalidError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from edgekit.connectors import Answer, Destination
    from edgekit.connectors.file import FileConnector

FILE: FileConnector = connectors.get("file")  # type: ignore[assignment]
COLUMNS = [{"name": "id", "length": 4, "align": "right", "fill": "0"}, {"name": "name", "length": 12}]
NOON = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)


def out(*items: dict[str, Any]) -> list[Outgoing]:
    return [Outgoing(item, str(number), f"key {number}", "") for number, item in enumerate(items)]


def write(path: Path | str, *items: dict[str, Any], **config: Any) -> list[Answer]:
    """Write records in one go."""
    told = {"path": str(path), **config}
    validate.check(FILE.write_schema, told, what="settings")
    with FILE.open(told, state={}, secrets={}) as writer:
        answers = writer.send(out(*items)).answers if items else []
        writer.finish()
    return answers


def read(path: Path | str, **config: Any) -> list[Any]:
    told = {"path": str(path), **config}
    connectors.check_config(FILE, told)
    found = pages(FILE, told)
    assert [reject for page in found for reject in page.rejects] == []
    return records(found)


# --- the contract


class FileContract(DestinationContract):
    stands_at_once = False
    name: ClassVar[str]
    more: ClassVar[Mapping[str, Any]] = {}
    reading: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture
    def destination(self) -> Destination:
        return FILE

    @pytest.fixture
    def write_config(self, tmp_path: Path) -> Mapping[str, Any]:
        return {"path": str(tmp_path / "new" / self.name), **self.more}

    @pytest.fixture
    def broken_write_config(self, tmp_path: Path) -> Mapping[str, Any]:
        (tmp_path / "file").write_bytes(b"")
        return {"path": str(tmp_path / "file" / self.name), **self.more}

    @pytest.fixture
    def content(self, write_config: Mapping[str, Any]) -> Callable[[], list[Any]]:
        def ids() -> list[Any]:
            config = {"path": write_config["path"], **self.reading}
            try:
                return [
                    int(record["id"]) for record in records(pages(FILE, config, secrets=self.write_secrets))
                ]
            except NotFoundError:
                return []

        return ids


class TestCsv(FileContract):
    name = "a.csv"


class TestPackedCsv(FileContract):
    name = "a.csv.gz"


class TestNdjson(FileContract):
    name = "a.ndjson"


class TestJson(FileContract):
    name = "a.json"


class TestXlsx(FileContract):
    name = "a.xlsx"


class TestXml(FileContract):
    name = "a.xml"
    reading: ClassVar[Mapping[str, Any]] = {"records": "records/record"}


class TestFixed(FileContract):
    name = "a.txt"
    more: ClassVar[Mapping[str, Any]] = {"columns": COLUMNS, "format": "fixed"}
    reading = more


class TestRemote(FileContract):
    name = "a.csv"

    @pytest.fixture
    def write_config(self) -> Iterator[Mapping[str, Any]]:
        store = fsspec.filesystem("memory").store
        store.clear()
        yield {"path": "memory://out/day/a.csv"}
        store.clear()

    @pytest.fixture
    def broken_write_config(self) -> Mapping[str, Any]:
        return {"path": "sftp://127.0.0.1/a.csv"}  # without a log-in


class TestSftp(FileContract):
    name = "a.xlsx"
    write_secrets: Mapping[str, str] = {"username": USER, "password": PASSWORD}

    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[Running]:
        with serve(tmp_path) as running:
            yield running

    @pytest.fixture
    def write_config(self, server: Running) -> Mapping[str, Any]:
        return {"path": f"sftp://127.0.0.1:{server.port}/out/a.xlsx", "host_key": server.fingerprint}

    @pytest.fixture
    def broken_write_config(self, write_config: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**write_config, "host_key": "SHA256:" + "A" * 43}

    @pytest.fixture
    def content(self, server: Running) -> Callable[[], list[Any]]:
        def ids() -> list[Any]:
            path = server.folder / "out" / "a.xlsx"
            return [record["id"] for record in read(path)] if path.exists() else []

        return ids


# --- what is written is read back

_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], include_characters="\t\r\n"))
_LIKE_FORMULAS = st.builds(
    lambda mark, quotes, rest: "'" * quotes + mark + rest,
    st.sampled_from(["=", "+", "-", "@", "\t", "\r"]), st.integers(0, 3), _TEXT,
)  # fmt: skip


@settings(max_examples=12, deadline=None)
@given(st.lists(st.fixed_dictionaries({"a": st.just("x"), "b": _TEXT | _LIKE_FORMULAS}), min_size=1))
def test_a_csv_written_is_read_back_equal(
    tmp_path_factory: pytest.TempPathFactory, items: list[dict[str, Any]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "back.csv"
    for config in ({}, {"delimiter": ";", "quoting": "all", "line_end": "lf", "bom": True}):
        write(path, *items, **config)
        assert read(path) == items
    write(path, *items, formula_guard=False)
    assert read(path, formula_guard=False) == items


@pytest.mark.parametrize("name", ["a.ndjson", "a.json", "a.xlsx"])
def test_values_keep_their_kinds(tmp_path: Path, name: str) -> None:
    items: list[dict[str, Any]] = [
        {"t": "00042", "n": 42, "f": 1.5, "b": True, "e": None, "u": "Ünïcode 😀", "x": "=1+1", "y": "#N/A"},
        {"t": " two\nlines ", "n": -7, "f": 1e-9, "b": False, "e": "now", "u": "'=x", "x": "+a", "y": "#"},
    ]
    write(tmp_path / name, *items)
    assert read(tmp_path / name) == items


def test_a_workbook_takes_columns_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    answers = write(path, {"a": 1}, {"b": [1, {"c": 2}], "a": 2**60}, {"a": "x\x01"}, {"a": "x" * 40_000},
                    sheet="Data")  # fmt: skip
    assert [answer.error is None for answer in answers] == [True, True, False, False]
    assert read(path) == [{"a": 1, "b": None}, {"a": str(2**60), "b": '[1,{"c":2}]'}]
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["Data"]
    write(tmp_path / "empty.xlsx")
    assert openpyxl.load_workbook(tmp_path / "empty.xlsx").sheetnames == ["Sheet1"]


def test_no_cell_of_a_workbook_is_a_formula(tmp_path: Path) -> None:
    write(tmp_path / "a.xlsx", {"=a": "=HYPERLINK(1)", "b": "@SUM(1)"})
    with zipfile.ZipFile(tmp_path / "a.xlsx") as packed:
        assert b"<f>" not in packed.read("xl/worksheets/sheet1.xml")


def test_a_spreadsheet_finds_no_formula_in_a_csv(tmp_path: Path) -> None:
    dangerous = ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3+cmd|x", "\t=1", "\r=1", "'=1"]
    harmless = ["-", "-5", "+41 44 668 18 00", "(+1) 5", "- 1,5", "a=b", "'quoted", ""]
    write(tmp_path / "a.csv", *({"k": "x", "v": text} for text in dangerous + harmless))
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        cells = [row[1] for row in csv.reader(file)][1:]
    assert cells == [f"'{text}" for text in dangerous] + harmless
    write(tmp_path / "n.csv", {"n": -5, "f": -1.5})
    assert (tmp_path / "n.csv").read_bytes() == b"n,f\r\n-5,-1.5\r\n"


@given(_TEXT | _LIKE_FORMULAS)
def test_guarding_can_always_be_undone(text: str) -> None:
    assert file_formats.unguarded(file_formats.guarded(text)) == text
    assert file_formats.guarded(text)[:1] not in {"=", "@", "\t", "\r"}


def test_a_csv_as_it_is_wanted(tmp_path: Path) -> None:
    item = {"a": "ü", "b": None, "c": {"x": [1]}, "d": True}
    write(tmp_path / "a.csv", item, encoding="cp1252", delimiter="tab", line_end="lf", header=False)
    assert (tmp_path / "a.csv").read_bytes() == b'\xfc\t\t"{""x"":[1]}"\ttrue\n'
    write(tmp_path / "b.csv", item, columns=["d", "a", "none"], encoding="utf-16")
    assert (tmp_path / "b.csv").read_bytes().decode("utf-16") == "d,a,none\r\ntrue,ü,\r\n"
    write(tmp_path / "c.tsv", {"a": 1, "b": 2}, bom=True)
    assert (tmp_path / "c.tsv").read_bytes() == b"\xef\xbb\xbfa\tb\r\n1\t2\r\n"
    write(tmp_path / "d.csv", columns=["a", "b"])
    assert (tmp_path / "d.csv").read_bytes() == b"a,b\r\n"
    write(tmp_path / "e.csv.gz", {"a": 1})
    assert gzip.decompress((tmp_path / "e.csv.gz").read_bytes()) == b"a\r\n1\r\n"


def test_what_cannot_be_written_is_refused_one_by_one(tmp_path: Path) -> None:
    answers = write(
        tmp_path / "a.csv", {"a": "x"}, {"a": "😀"}, {"a": "1", "z": 2}, {"a": "y\x00"}, {"a": "y"},
        encoding="latin-1", columns=["a", "z"],
    )  # fmt: skip
    assert [getattr(answer.error, "code", None) for answer in answers] == [
        None, "encoding", None, "format", None,
    ]  # fmt: skip
    assert [record["a"] for record in read(tmp_path / "a.csv", encoding="latin-1")] == ["x", "1", "y"]
    with FILE.open({"path": str(tmp_path / "b.csv")}, state={}, secrets={}) as writer:
        first = writer.send(out({"a": 1}, {"b": 2})).answers
        later = writer.send(out({"a": 1, "c": 2})).answers
        writer.finish()
    assert [answer.error for answer in first] == [None, None]
    assert "no column c" in str(later[0].error)
    assert read(tmp_path / "b.csv") == [{"a": "1", "b": ""}, {"a": "", "b": "2"}]


def test_fixed_width_is_filled_up_and_never_cut(tmp_path: Path) -> None:
    columns = [
        {"name": "n", "length": 5, "align": "right", "fill": "0"},
        {"name": "t", "start": 8, "length": 4},
        {"name": "r", "length": 3, "align": "right"},
    ]
    answers = write(
        tmp_path / "a.txt", {"n": 42, "t": "ab", "r": 1, "other": 1}, {"n": -7, "t": None, "r": ""},
        {"n": 1, "t": "abcde"}, {"n": 1, "t": "a\nb"}, format="fixed", columns=columns, record_length=16,
    )  # fmt: skip
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "00042  ab    1  \n-0007           \n"
    assert [getattr(answer.error, "code", None) for answer in answers] == [None, None, "length", "format"]
    back = read(tmp_path / "a.txt", columns=columns, record_length=16)
    assert back == [{"n": "00042", "t": "ab", "r": "1"}, {"n": "-0007", "t": "", "r": ""}]
    with pytest.raises(InvalidError, match="n and t overlap"):
        write(tmp_path / "b.txt", format="fixed", columns=[columns[0], {**columns[1], "start": 2}])


def test_xml_is_written_as_it_is_read(tmp_path: Path) -> None:
    items: list[dict[str, Any]] = [
        {"@id": '1 & "2"\n', "p:line": [{"@sku": "a", "#text": "<2>"}, "3"], "note": None, "t": " a\rb ]]> "},
        {"@id": "2", "deep": {"er": {"x": "y"}}},
    ]
    spaces = {"p": "urn:p&q"}
    answers = write(tmp_path / "a.xml", *items, {"bad name": 1}, {"c": "\x01"}, {"q:a": 1},
                    records="all/of/p:them", namespaces=spaces)  # fmt: skip
    assert [answer.error is None for answer in answers] == [True, True, False, False, False]
    assert read(tmp_path / "a.xml", records="all/of/p:them", namespaces=spaces) == items
    write(tmp_path / "b.xml", {"a": "ü€"}, encoding="latin-1")
    assert b"\xfc&#8364;" in (tmp_path / "b.xml").read_bytes()
    assert read(tmp_path / "b.xml", records="records/record") == [{"a": "ü€"}]
    write(tmp_path / "c.xml")
    assert read(tmp_path / "c.xml", records="records/record") == []


def test_an_array_is_valid_at_every_length(tmp_path: Path) -> None:
    for count in range(3):
        write(tmp_path / "a.json", *({"n": n} for n in range(count)))
        assert json.loads((tmp_path / "a.json").read_bytes()) == [{"n": n} for n in range(count)]


# --- its place


def test_placeholders_make_a_file_for_each_run(tmp_path: Path) -> None:
    config = {"path": str(tmp_path / "{date}" / "out-{time}-{run}.csv"), "mode": "new"}
    states = []
    for _ in range(2):
        with file_write.opened(config, state={}, secrets={}, now=NOON) as writer:
            states.append(writer.send(out({"a": 1})).state)
        with file_write.opened(config, state=states[-1], secrets={}) as writer:
            writer.finish()
    found = sorted(path.name for path in (tmp_path / "2026-03-01").iterdir())
    assert len(found) == 2
    assert all(name.startswith("out-120005-") for name in found)
    with pytest.raises(InvalidError, match=r"there is no \{month\}"):
        write(tmp_path / "{month}.csv")


def test_a_new_file_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write(path, {"a": 1}, mode="new")
    with pytest.raises(ConflictError, match="already"):
        write(path, {"a": 2}, mode="new")
    other = tmp_path / "b.csv"
    with FILE.open({"path": str(other), "mode": "new"}, state={}, secrets={}) as writer:
        writer.send(out({"a": 1}))
        other.write_text("somebody else's", encoding="utf-8")
        with pytest.raises(ConflictError, match="already"):
            writer.finish()
    assert other.read_text(encoding="utf-8") == "somebody else's"


def test_a_file_is_appended_to_in_its_own_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("b;a\n1;2", encoding="utf-8")
    answers = write(path, {"a": 3, "b": 4}, {"c": 5}, mode="append", line_end="lf")
    assert [answer.error is None for answer in answers] == [True, False]
    assert path.read_text(encoding="utf-8") == "b;a\n1;2\n4;3\n"
    for _ in range(2):
        write(tmp_path / "n.ndjson", {"a": 1}, mode="append")
    assert read(tmp_path / "n.ndjson") == [{"a": 1}, {"a": 1}]
    with pytest.raises(InvalidError, match="written whole"):
        write(tmp_path / "a.json", mode="append")
    with pytest.raises(InvalidError, match="other columns"):
        write(path, mode="append", columns=["x"])


def test_an_append_goes_on_after_a_kill_and_minds_others(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("b;a\n1;2\n", encoding="utf-8")
    config = {"path": str(path), "mode": "append", "line_end": "lf"}
    with FILE.open(config, state={}, secrets={}) as writer:
        state = writer.send(out({"a": 3, "b": 4})).state
        writer.send(out({"a": 9, "b": 9}))
    with FILE.open(config, state=state, secrets={}) as writer:
        state = writer.send(out({"a": 5, "b": 6})).state
    path.write_text("b;a\n7;7\n", encoding="utf-8")
    with FILE.open(config, state=state, secrets={}) as writer, pytest.raises(ConflictError, match="else"):
        writer.finish()
    path.write_text("b;a\n1;2\n", encoding="utf-8")
    with FILE.open(config, state={}, secrets={}) as writer:
        state = writer.send(out({"a": 3, "b": 4})).state
    with FILE.open(config, state=state, secrets={}) as writer:
        writer.finish()
    assert path.read_text(encoding="utf-8") == "b;a\n1;2\n4;3\n"


def test_what_was_written_behind_the_state_is_gone(tmp_path: Path) -> None:
    config = {"path": str(tmp_path / "a.ndjson")}
    with FILE.open(config, state={}, secrets={}) as writer:
        state = writer.send(out({"a": 1})).state
        writer.send(out({"a": "never known to have been sent"}))
    with FILE.open(config, state=state, secrets={}) as writer:
        writer.send(out({"a": 2}))
        writer.finish()
    assert read(tmp_path / "a.ndjson") == [{"a": 1}, {"a": 2}]


@pytest.mark.skipif(sys.platform == "win32", reason="its folder is one's own already")
def test_what_waits_to_be_sent_is_for_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with FILE.open({"path": "memory://a.csv"}, state={}, secrets={}) as writer:
        writer.send(out({"a": 1}))
        (folder,) = tmp_path.iterdir()
        assert folder.stat().st_mode & 0o077 == 0
        assert len(list(folder.iterdir())) == 1
        writer.finish()
    assert [path.suffix for path in folder.iterdir()] == [".done"]
    folder.chmod(0o755)
    with (
        pytest.raises(DeniedError, match="not only ours"),
        FILE.open({"path": "memory://a.csv"}, state={}, secrets={}),
    ):
        pass


def test_a_lost_part_is_said(tmp_path: Path) -> None:
    config = {"path": str(tmp_path / "a.csv")}
    with FILE.open(config, state={}, secrets={}) as writer:
        state = writer.send(out({"a": 1})).state
    with pytest.raises(InvalidError), FILE.open(config, state={}, secrets={}):
        raise InvalidError("before anything is sent")
    (part,) = tmp_path.iterdir()
    part.unlink()
    with pytest.raises(NotFoundError, match="is gone"), FILE.open(config, state=state, secrets={}):
        pass


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"path": "-"}, "standard output"),
        ({"path": "http://host/a.csv"}, "read, not written"),
        ({"path": "a.dat"}, "In which format"),
        ({"path": "a.csv", "encoding": "none"}, "no encoding"),
        ({"path": "a.csv", "delimiter": "ab"}, "cannot be a delimiter"),
        ({"path": "a.xml", "records": "one"}, "the element around"),
        ({"path": "a.xml", "records": "a b/c"}, "cannot be the name"),
        ({"path": "sftp://a:b@host/a.csv"}, "holds a log-in"),
        ({"path": "a.txt", "format": "fixed"}, "Where does each column stand"),
    ],
)
def test_what_cannot_be_written_to_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    validate.check(FILE.write_schema, config, what="settings")
    with pytest.raises(EdgekitError, match=message):
        write(**config)
    assert list(tmp_path.iterdir()) == []


# --- killed, and large

_PEAK = """
import sys
from edgekit import connectors
from edgekit.connectors import Outgoing
with connectors.get("file").open({config}, state={{}}, secrets={{}}) as writer:
    for start in range(0, {size}, 1000):
        writer.send([
            Outgoing({{"id": n, "name": f"Person {{n}}", "x": n / 7}}, str(n), str(n), "")
            for n in range(start, start + 1000)
        ])
    writer.finish()
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="its peak is read from /proc")
@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.xml", "a.xlsx"])
def test_memory_stays_flat(tmp_path: Path, name: str) -> None:
    peaks = []
    for size in (2_000, 40_000 if name == "a.xlsx" else 300_000):
        code = _PEAK.format(config={"path": str(tmp_path / name)}, size=size)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 12, peaks
    assert peaks[1] < 80, peaks


@pytest.mark.slow
@pytest.mark.parametrize("name", ["out.ndjson", "out.xlsx"])
def test_a_run_killed_in_the_middle_writes_each_record_once(
    edge_file: Path, tmp_path: Path, name: str
) -> None:
    count = 6_000
    (tmp_path / "in.ndjson").write_bytes(b"".join(b'{"n": %d}\n' % n for n in range(count)))
    with edgekit.open(edge_file):
        integrations.create("convert", template="ndjson-import", settings={
            "path": str(tmp_path / "in.ndjson"), "batch_size": 50,
            "to": {"connector": "file", "path": str(tmp_path / name)},
        })  # fmt: skip
    command = [sys.executable, "-m", "edgekit", "--db", str(edge_file), "integrations", "run", "convert"]

    def part() -> int:
        return max((path.stat().st_size for path in tmp_path.glob(f".{name}.*.part")), default=-1)

    for kilobytes in (5, 20):
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while run.poll() is None and part() <= kilobytes * 1000:
            time.sleep(0.01)
        assert run.poll() is None, "it was over before it could be killed"
        run.kill()
        run.wait()
        assert not (tmp_path / name).exists()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert [record["n"] for record in read(tmp_path / name)] == list(range(count))
    assert part() == -1
