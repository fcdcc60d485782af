"""Files as sources: good ones record by record, bad ones in one clear line or one by one as rejects."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import os
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from connector_contract import ConnectorContract, pages, records

from edgekit import connectors, db, integrations, runner
from edgekit.errors import EdgekitError, InvalidError, NotFoundError
from edgekit.file.verify import verify

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgekit.connectors import Connector, Page
    from edgekit.db import Database

FILE = connectors.get("file")


def read(path: Path | str, state: Mapping[str, Any] | None = None, **config: Any) -> list[Page]:
    settings = {"path": str(path), **config}
    connectors.check_config(FILE, settings)
    return pages(FILE, settings, state)


def rejects(found: list[Page]) -> list[tuple[str, str]]:
    return [(reject.position, reject.code) for page in found for reject in page.rejects]


def places(found: list[Page]) -> list[str]:
    return [place for page in found for place in page.positions]


def until_error(path: Path, **config: Any) -> tuple[list[Page], EdgekitError]:
    found: list[Page] = []
    with pytest.raises(EdgekitError) as caught:
        found.extend(FILE.read({"path": str(path), **config}, state={}, inputs=None, secrets={}))
    assert "\n" not in caught.value.message
    assert "{}" not in caught.value.message
    return found, caught.value


def ndjson(count: int) -> bytes:
    return b"".join(b'{"n": %d}\n' % number for number in range(count))


class Contract(ConnectorContract):
    @pytest.fixture
    def connector(self) -> Connector:
        return FILE

    @pytest.fixture
    def broken_config(self, tmp_path: Path) -> Mapping[str, Any]:
        return {"path": str(tmp_path / "gone.csv")}


class TestNdjson(Contract):
    @pytest.fixture
    def config(self, tmp_path: Path) -> Mapping[str, Any]:
        path = tmp_path / "a.ndjson"
        path.write_bytes(ndjson(10) + b"\n\nbroken\n" + ndjson(12))
        return {"path": str(path), "batch_size": 7}


class TestCsv(Contract):
    @pytest.fixture
    def config(self, tmp_path: Path) -> Mapping[str, Any]:
        path = tmp_path / "a.csv"
        path.write_text(
            "a,b\n" + "".join(f'{n},"x\ny"\n\n' for n in range(20)) + "1\n2,3\n", encoding="utf-8"
        )
        return {"path": str(path), "batch_size": 6}


class TestJson(Contract):
    @pytest.fixture
    def config(self, tmp_path: Path) -> Mapping[str, Any]:
        path = tmp_path / "a.json"
        path.write_text(json.dumps([{"n": n} for n in range(20)] + [4, {"n": 5}]), encoding="utf-8")
        return {"path": str(path), "batch_size": 6}


class TestGzip(Contract):
    @pytest.fixture
    def config(self, tmp_path: Path) -> Mapping[str, Any]:
        path = tmp_path / "a.ndjson.gz"
        path.write_bytes(gzip.compress(ndjson(12)) + gzip.compress(ndjson(12)))
        return {"path": str(path), "batch_size": 8}


# --- what is no source at all


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n \r\n\n", "is empty"),
        (b"\n" * 100_000, "is empty"),
        (b"\xef\xbb\xbf\n", "is empty"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (gzip.compress(gzip.compress(b"a,b\n1,2\n", mtime=0), mtime=0), "gzip packed in gzip"),
        (bytes(range(256)) * 40, "binary file"),
        (b"\x00" * 5000, "binary file"),
        (b"%PDF-1.7 ...", "a PDF"),
        ("a,b\n1,2\n".encode("utf-16-le") * 20, "UTF-16 without a mark"),
        (b"a,,c\n1,2,3\n", "column 2 has no name"),
        (b"a,b,a\n1,2,3\n", "two columns are named a"),
        (b",,,\n1,2,3,4\n", "must name the columns"),
        (b"a,b\x00\n1,2\n", "NUL"),
        (b'a,"b\n1,2\n', "names the columns, is no CSV"),
    ],
)
def test_what_is_no_source_is_said_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    found, error = until_error(path)
    assert found == []
    assert isinstance(error, InvalidError)
    assert message in error.message
    assert str(path) in error.message


def test_a_workbook_is_named(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("[Content_Types].xml", "<Types/>")
    _, error = until_error(path)
    assert "looks like a ZIP/XLSX file, not CSV" in error.message
    assert "--set format=xlsx" in (error.hint or "")


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no file") as caught:
        read(tmp_path / "gone.csv")
    assert caught.value.hint


def test_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="is a folder"):
        read(tmp_path)


def test_a_path_with_nul_is_refused() -> None:
    with pytest.raises(InvalidError, match="no path"):
        read("a\x00b")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs rights that bind")
def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n", encoding="utf-8")
    path.chmod(0)
    with pytest.raises(InvalidError, match="cannot be read"):
        read(path)


# --- encodings


def test_a_wrong_byte_is_named_with_its_line_and_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    path.write_bytes(b"name,city\nA,B\nC,D\n" + "Jürgen,Köln\nE,F\n".encode("cp1252"))
    found, error = until_error(path)
    assert records(found) == [{"name": "A", "city": "B"}, {"name": "C", "city": "D"}]
    assert "line 4" in error.message
    assert "0xfc" in error.message
    assert "--set encoding=cp1252" in (error.hint or "")
    assert records(read(path, encoding="cp1252"))[2] == {"name": "Jürgen", "city": "Köln"}


def test_a_wrong_byte_far_behind_has_its_line(tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    path.write_bytes(b"a,b\n" + b"1,2\n" * 300_000 + b"\xe4,2\n")
    found, error = until_error(path, batch_size=100_000)
    assert len(records(found)) == 300_000
    assert "line 300002:" in error.message


def test_a_wrong_byte_in_ndjson_is_one_line_s_trouble(tmp_path: Path) -> None:
    path = tmp_path / "old.ndjson"
    path.write_bytes(b'{"a": "x"}\n{"a": "\xfc"}\n{"a": "y"}\n')
    found = read(path)
    assert records(found) == [{"a": "x"}, {"a": "y"}]
    assert rejects(found) == [("line 2", "json")]
    assert "encoding=cp1252" in found[0].rejects[0].message
    assert records(read(path, encoding="latin-1"))[1] == {"a": "ü"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize(
    ("name", "text"),
    [("a.csv", "a,ö\n1,€\n"), ("a", '{"a": "1", "ö": "€"}\n'), ("b", '[{"a": "1", "ö": "€"}]')],
)
def test_a_mark_settles_the_encoding(tmp_path: Path, encoding: str, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    assert records(read(path)) == [{"a": "1", "ö": "€"}]


@pytest.mark.parametrize("encoding", ["utf-17", "base64", "rot13", "", "a\x00"])
def test_an_unknown_encoding_is_refused(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n", encoding="utf-8")
    with pytest.raises(InvalidError, match="no encoding"):
        read(path, encoding=encoding)


def test_utf16_cut_in_a_letter_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(codecs.BOM_UTF16_LE + "a\n1\n2".encode("utf-16-le") + b"\x31")
    found, error = until_error(path)
    assert records(found)[:1] == [{"a": "1"}]
    assert "line 3" in error.message


# --- gzip


def test_a_truncated_gzip_keeps_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson.gz"
    whole = gzip.compress(ndjson(50_000))
    path.write_bytes(whole[: len(whole) // 2])
    found, error = until_error(path)
    count = len(records(found))
    assert count > 10_000
    assert f"cut off after record {count + len(rejects(found))}:" in error.message
    assert "done" not in found[-1].state


def test_of_a_gzip_damaged_in_the_middle_nothing_is_used(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    whole = bytearray(
        gzip.compress(b"n\n" + b"".join(b"%d\n" % (n * 7919 % 100_003) for n in range(100_000)))
    )
    middle = len(whole) // 2
    whole[middle : middle + 64] = b"\xff" * 64
    path.write_bytes(whole)
    found, error = until_error(path)
    assert found == []  # until the checksum at its end is seen, any record may be a wrong one
    assert "is damaged" in error.message
    assert "cut off" not in error.message


def test_a_gzip_with_a_broken_head_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(b"\x1f\x8b\x08\x00garbage")
    found, error = until_error(path)
    assert found == []
    assert "at its beginning" in error.message


@pytest.mark.usefixtures("edge")
def test_a_run_commits_what_stood_before_the_damage(tmp_path: Path) -> None:
    path = tmp_path / "cars.ndjson.gz"
    whole = gzip.compress(b"".join(b'{"vin": "1FTMW1T88MFA%05d"}\n' % n for n in range(5000)))
    path.write_bytes(whole[: len(whole) // 2])
    integrations.create(
        "cars", template="ndjson-import", settings={"path": str(path), "table": "vehicle", "key": "vin"}
    )
    result = runner.run("cars")
    assert result.status == "failed"
    assert result.records_written > 500
    assert db.query("SELECT count(*) AS n FROM vehicle") == [{"n": result.records_written}]
    path.write_bytes(whole)
    assert runner.run("cars").records_read == 5000, "another file is read from its start"


# --- CSV


@pytest.mark.parametrize(
    ("text", "config"),
    [
        ("a;b\n1;2\n", {}),
        ("a\tb\n1\t2\n", {}),
        ("a|b\n1|2\n", {}),
        ("a,b\r\n1,2\r\n", {}),
        ("a,b\r1,2\r", {}),
        ("a,b\n1,2", {}),
        ("\n\na,b\n\n1,2\n\n \n,\n", {}),
        ("a,b,,\n1,2,,\n", {}),
        ("a,b\n1,2,,,\n", {}),
        (" a , b \n1,2\n", {}),
        ("a~b\n1~2\n", {"delimiter": "~"}),
        ("a\tb\n1\t2\n", {"delimiter": "tab"}),
        ("a\tb\n1\t2\n", {"delimiter": "\\t"}),
        ('"a","b"\n"1","2"\n', {}),
    ],
)
def test_many_kinds_of_csv_are_one(tmp_path: Path, text: str, config: dict[str, Any]) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    found = read(path, **config)
    assert records(found) == [{"a": "1", "b": "2"}]
    assert rejects(found) == []


@pytest.mark.parametrize("delimiter", ['"', "\n", "ab", "\r"])
def test_what_cannot_be_a_delimiter_is_refused(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(InvalidError, match="cannot be a delimiter"):
        read(path, delimiter=delimiter)


def test_a_delimiter_inside_quotes_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('"Last, First, Middle";x\n"a,b";1\n', encoding="utf-8")
    assert records(read(path)) == [{"Last, First, Middle": "a,b", "x": "1"}]


def test_one_column_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("vin\nA\n\n B\n", encoding="utf-8")
    assert records(read(path)) == [{"vin": "A"}, {"vin": " B"}]


def test_only_a_header_is_a_pass_without_records(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n", encoding="utf-8")
    (page,) = read(path)
    assert (page.records, page.state) == ([], {"done": True})


def test_a_place_is_the_line_a_record_begins_on(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('\na,b\n1,"x\ny"\n\n2,z\n3\n"4","\r\n\r\n"\n5,6\n', encoding="utf-8", newline="")
    found = read(path, batch_size=2)
    assert places(found) == ["line 3", "line 6", "line 8", "line 11"]
    assert rejects(found) == [("line 7", "width")]


def test_ragged_and_nul_rows_are_set_aside_with_their_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n1,2\n1,2,3\n1\nx\x00,2\n3,4\n")
    found = read(path)
    assert records(found) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert rejects(found) == [("line 3", "width"), ("line 4", "width"), ("line 5", "format")]
    assert [reject.raw for reject in found[0].rejects] == ["1,2,3", "1", "x\\u0000,2"]


def test_a_quote_never_closed_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('a,b\n1,2\n3,4\n5,"x\n' + "6,7\n" * 1000, encoding="utf-8")
    found, error = until_error(path)
    assert records(found) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert "line 4: a quotation mark opens" in error.message


def test_a_quote_never_closed_ends_at_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('a,b\n1,"x\n' + "6,7\n" * 100_000, encoding="utf-8")
    _, error = until_error(path, max_record_bytes=10_000)
    assert "line 2: a quotation mark opens" in error.message


def test_a_badly_quoted_row_is_set_aside_and_the_next_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('a,b\n1,"x" y\n2,z\n', encoding="utf-8")
    found = read(path)
    assert records(found) == [{"a": "2", "b": "z"}]
    assert rejects(found) == [("line 2", "quote")]
    assert found[0].rejects[0].raw == '1,"x" y'


def test_thousands_of_columns_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        ",".join(f"c{n}" for n in range(3000)) + "\n" + ",".join(["1"] * 3000) + "\n", encoding="utf-8"
    )
    assert len(records(read(path))[0]) == 3000


def test_one_endless_line_is_refused_without_holding_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n" + "x" * 5_000_000, encoding="utf-8")
    found, error = until_error(path, max_record_bytes=1_000_000)
    assert records(found) == [{"a": "1", "b": "2"}]
    assert "line 3: it is longer" in error.message


# --- NDJSON


def test_lines_that_are_no_object_are_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    lines = [
        b'{"a": 1}',
        b"",
        b"  ",
        b"[1]",
        b"7",
        b"nonsense",
        b'{"a": NaN}',
        b'{"a": "\\ud800"}',
        b'{"a": "\x00"}',
        b"[" * 100_000,
        b'{"a": ' + b"9" * 10_000 + b"}",
        b' {"a": 18446744073709551616} ',
    ]
    path.write_bytes(b"\r\n".join(lines))
    found = read(path)
    assert records(found) == [{"a": 1}, {"a": 2**64}]
    assert places(found) == ["line 1", "line 12"]
    assert rejects(found) == [(f"line {n}", "shape" if n < 6 else "json") for n in range(4, 12)]
    for reject in found[0].rejects:
        reject.raw.encode()
        assert "\x00" not in reject.raw
        assert len(reject.raw) <= 2000


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_end_of_line_is_one(tmp_path: Path, end: str) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(("\ufeff" + end.join(['{"a": 1}', '{"a": 2}']) + end).encode())
    assert places(read(path)) == ["line 1", "line 2"]


def test_a_very_long_line_is_read_or_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    long = b'{"a": "' + b"x" * 5_000_000 + b'"}'
    path.write_bytes(b'{"a": 1}\n' + long + b'\n{"a": 2}\n')
    assert [len(str(record["a"])) for record in records(read(path))] == [1, 5_000_000, 1]
    tracemalloc.start()
    found = read(path, max_record_bytes=1000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert records(found) == [{"a": 1}, {"a": 2}]
    assert rejects(found) == [("line 2", "length")]
    assert peak < 3_000_000


def test_long_records_make_small_pages(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes((b'{"a": "' + b"x" * 1_000_000 + b'"}\n') * 40)
    assert max(len(page.records) for page in read(path)) < 12
    path = tmp_path / "a.csv"
    path.write_bytes(b"a\n" + (b"x" * 1_000_000 + b"\n") * 40)
    assert max(len(page.records) for page in read(path)) < 12
    assert len(records(read(path))) == 40


@pytest.mark.usefixtures("edge")
def test_half_characters_become_dead_letters(tmp_path: Path) -> None:
    path = tmp_path / "t.ndjson"
    deep = '{"k": 3, "v": ' + "[" * 900 + "]" * 900 + "}"
    path.write_text(
        '{"k": 1, "v": "a"}\n{"k": 2, "v": "\\ud800"}\n' + deep + '\n{"k": 4, "v": "b"}\n', encoding="utf-8"
    )
    integrations.create(
        "t",
        template="ndjson-import",
        settings={"path": str(path), "table": "thing", "key": "k", "create": "true"},
    )
    result = runner.run("t")
    assert result.records_read == 4, result.message
    assert result.dead_letters >= 1
    letter = runner.list_dead_letters()[0]
    assert (letter["source_position"], letter["step"]) == ("line 2", "read")
    assert "\\ud800" in runner.show_dead_letter(letter["id"])["record"]


# --- JSON arrays


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("7", "holds one value, no records"),
        ('"x"', "holds one value"),
        ('{"a": 1}', "holds one object, no records"),
        ('{"items": [{"a": 1}]}', "holds one object"),
        ("{", "not valid JSON"),
        ("[1 2", "comma"),
        ("[" * 100_000, "nested too deeply"),
        ('[{"a": 1}] [2]', "goes on after its array"),
        ("[,1]", "no JSON at record 1"),
        ('[{"a": ' + "x" * 3000, "no JSON at record 1"),
    ],
)
def test_json_without_records_is_said(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    _, error = until_error(path)
    assert message in error.message


def test_the_array_inside_is_named_and_found(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"data": {"items": [{"a": 1}, 5]}, "more": []}', encoding="utf-8")
    _, error = until_error(path)
    assert "records=more" in (error.hint or "")
    for member in ("data.items", "$.data.items"):
        found = read(path, records=member)
        assert (records(found), rejects(found)) == ([{"a": 1}], [("record 2", "shape")])
    with pytest.raises(InvalidError, match=r"no array at data\.x"):
        read(path, records="data.x")


def test_a_truncated_array_keeps_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    whole = json.dumps([{"n": n} for n in range(30_000)])
    for cut in (len(whole) - 1, len(whole) - 3, len(whole) // 2):
        path.write_text(whole[:cut], encoding="utf-8")
        found, error = until_error(path)
        assert len(records(found)) >= 14_000
        assert "cut off" in error.message


def test_unusable_elements_are_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(
        '[{"a": 1}, {"a": NaN}, {"a": "\\ud800"}, 1234567, {"a": 1e999}, {"a": 2}]', encoding="utf-8"
    )
    found = read(path)
    assert records(found) == [{"a": 1}, {"a": 2}]
    assert rejects(found) == [
        ("record 2", "json"),
        ("record 3", "json"),
        ("record 4", "shape"),
        ("record 5", "json"),
    ]
    assert found[0].rejects[0].raw == '{"a": NaN}'


def test_an_array_longer_than_any_block_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    expected = [{"n": n, "text": "ü" * (n % 500)} for n in range(5000)]
    path.write_text(json.dumps(expected, indent=1, ensure_ascii=False), encoding="utf-8")
    assert records(read(path)) == expected


def test_object_lines_are_known_whatever_the_name(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(ndjson(3))
    assert places(read(path)) == ["line 1", "line 2", "line 3"]


# --- standard input, changing files, memory


class _Pipe(io.RawIOBase):
    """Gives a byte or two at a time, as a slow pipe does."""

    def __init__(self, content: bytes) -> None:
        self._rest = content

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part, self._rest = self._rest[:2], self._rest[2:]
        buffer[: len(part)] = part
        return len(part)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"\n\na,b\n1,2\n", "line 4"),
        (b'\n{"a": "1", "b": "2"}', "line 2"),
        (b'[{"a": "1", "b": "2"}]', "record 1"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_standard_input_is_a_file(
    monkeypatch: pytest.MonkeyPatch, content: bytes, word: str, packed: bool
) -> None:
    stdin = io.TextIOWrapper(io.BufferedReader(_Pipe(gzip.compress(content) if packed else content)))
    monkeypatch.setattr(sys, "stdin", stdin)
    found = read("-", batch_size=1)
    assert (records(found), places(found)) == ([{"a": "1", "b": "2"}], [word])
    assert not stdin.buffer.closed


def test_standard_input_is_never_gone_on_from(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(ndjson(4))))
        found = read("-", batch_size=2)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(ndjson(4))))
    assert len(records(read("-", found[0].state))) == 4


def test_without_standard_input_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InvalidError, match="no standard input"):
        read("-")


@pytest.mark.usefixtures("edge")
@pytest.mark.parametrize(
    ("template", "content"),
    [("csv-import", b"k,v\n1,02\n2,3\n"), ("ndjson-import", b'{"k": 1, "v": "02"}\n{"k": 2, "v": "3"}\n')],
)
def test_a_table_is_made_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, template: str, content: bytes
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    integrations.create(
        "t", template=template, settings={"path": "-", "table": "thing", "key": "k", "create": "true"}
    )
    result = runner.run("t")
    assert result.status == "completed", result.message
    assert db.query("SELECT k, v FROM thing") == [{"k": 1, "v": "02"}, {"k": 2, "v": "3"}]


@pytest.mark.parametrize("change", ["grown", "other", "time"])
def test_a_changed_file_starts_over(tmp_path: Path, change: str) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(ndjson(10))
    before = path.stat()
    state = read(path, batch_size=4)[0].state
    assert len(records(read(path, state))) == 6
    if change == "grown":
        path.write_bytes(ndjson(11))
    elif change == "other":
        path.write_bytes(ndjson(10)[::-1].replace(b"}", b"{"))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    else:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000_000))
    found = read(path, state)
    assert len(records(found)) + len(rejects(found)) == (11 if change == "grown" else 10)


@pytest.mark.parametrize(
    "name", ["a.ndjson", *(pytest.param(name, marks=pytest.mark.slow) for name in ("a.csv", "a.json"))]
)
def test_memory_does_not_grow_with_the_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("ndjson"):
        path.write_bytes(ndjson(250_000))
    elif name.endswith("csv"):
        path.write_bytes(b"n,m\n" + b"12345678,2\n" * 250_000)
    else:
        path.write_bytes(b"[" + b'{"n": 1},' * 250_000 + b"{}]")
    tracemalloc.start()
    count = sum(
        len(page.records) for page in FILE.read({"path": str(path)}, state={}, inputs=None, secrets={})
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count >= 250_000
    assert peak < 9_000_000


# --- real data


def real_data(name: str) -> Path:
    beside = (folder / "shared" / "data" for folder in Path(__file__).resolve().parents)
    for folder in filter(None, (os.environ.get("EDGEKIT_TEST_DATA"), *beside)):
        if (path := Path(folder) / "oed" / name).is_file():
            return path
    pytest.skip("the real data is not here; EDGEKIT_TEST_DATA names its folder")


@pytest.mark.parametrize(
    ("name", "key", "count"),
    [
        ("property_location.csv", "PortNumber,AccNumber,LocNumber", 500),
        ("property_account.csv", "PortNumber,AccNumber,PolNumber,LayerNumber", None),
    ],
)
def test_real_data_lands_twice_the_same(edge: Database, name: str, key: str, count: int | None) -> None:
    path = real_data(name)
    integrations.create(
        "oed",
        template="csv-import",
        settings={"path": str(path), "table": "oed", "key": key, "create": "true"},
    )
    first = runner.run("oed")
    assert first.status == "completed", first.message
    assert first.dead_letters == 0
    assert first.records_written == (count or first.records_read)
    assert db.query("SELECT count(*) AS n FROM oed") == [{"n": first.records_read}]
    second = runner.run("oed")
    assert (second.records_written, second.records_changed) == (first.records_read, 0)
    assert verify(edge.path) == []
