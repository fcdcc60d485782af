"""Workbooks, fixed width and XML as sources: as people's programs write them, and as an attacker would."""

from __future__ import annotations

import datetime
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest
from connector_contract import ConnectorContract, pages, records

from edgekit import connectors
from edgekit.errors import EdgekitError, InvalidError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edgekit.connectors import Connector, Page

FILE = connectors.get("file")
START = datetime.datetime(2026, 1, 31, 10, 30)  # noqa: DTZ001 - a workbook knows no zones
COLUMNS = [{"name": "number", "length": 5}, {"name": "name", "length": 8}, {"name": "state", "length": 2}]
ORDERS = """<?xml version="1.0" encoding="UTF-8"?>
<o:orders xmlns:o="urn:orders" xmlns="urn:lines"><made>today</made>
  <o:order id="1"><line sku="a">2</line><line>3</line><note/></o:order>
  <o:order id="2"><line>4 &lt; 5 &#65;</line><name> Ann  Smith </name><c><![CDATA[<x>]]></c></o:order>
  <o:other/><o:order>plain</o:order>
</o:orders>
"""


def read(path: Path, state: Mapping[str, Any] | None = None, **config: Any) -> list[Page]:
    settings = {"path": str(path), **config}
    connectors.check_config(FILE, settings)
    return pages(FILE, settings, state)


def rejects(found: list[Page]) -> list[tuple[str, str]]:
    return [(reject.position, reject.message) for page in found for reject in page.rejects]


def until_error(path: Path, **config: Any) -> tuple[list[Any], EdgekitError]:
    found: list[Page] = []
    with pytest.raises(EdgekitError) as caught:
        found.extend(FILE.read({"path": str(path), **config}, state={}, inputs=None, secrets={}))
    assert "\n" not in caught.value.message
    return records(found), caught.value


def book(path: Path, rows: list[list[Any]], **sheets: list[list[Any]]) -> Path:
    made = openpyxl.Workbook()
    for title, content in {"First": rows, **sheets}.items():
        sheet = made.create_sheet(title)
        for row in content:
            sheet.append(row)
    made.remove(made.worksheets[0])
    made.save(path)
    return path


class Contract(ConnectorContract):
    @pytest.fixture
    def connector(self) -> Connector:
        return FILE


class TestXlsx(Contract):
    @pytest.fixture
    def config(self, tmp_path: Path) -> Mapping[str, Any]:
        rows: list[list[Any]] = [["n", "text"], *([n, f"t{n}"] for n in range(9)), [], [7, "#N/A"]]
        return {"path": str(book(tmp_path / "a.xlsx", rows)), "batch_size": 3}

    @pytest.fixture
    def broken_config(self, tmp_path: Path) -> Mapping[str, Any]:
        (tmp_path / "b.xlsx").write_bytes(b"PK\x03\x04" + b"x" * 500)
        return {"path": str(tmp_path / "b.xlsx")}


class TestFixed(Contract):
    @pytest.fixture
    def config(self, tmp_path: Path) -> Mapping[str, Any]:
        path = tmp_path / "a.txt"
        path.write_text("".join(f"{n:05d}{'name':8}TX\n" for n in range(9)) + "short\n", encoding="utf-8")
        return {"path": str(path), "columns": COLUMNS, "batch_size": 3}

    @pytest.fixture
    def broken_config(self, config: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**config, "record_length": 3}


class TestXml(Contract):
    @pytest.fixture
    def config(self, tmp_path: Path) -> Mapping[str, Any]:
        path = tmp_path / "a.xml"
        path.write_text(
            "<all>" + "".join(f"<r><n>{n}</n></r>" for n in range(9)) + "</all>", encoding="utf-8"
        )
        return {"path": str(path), "records": "all/r", "batch_size": 3}

    @pytest.fixture
    def broken_config(self, config: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**config, "records": "all/none/deeper"}


# --- workbooks


def test_a_workbook_as_people_make_them(tmp_path: Path) -> None:
    made = openpyxl.Workbook()
    sheet = made.active
    assert sheet is not None
    sheet["A1"] = "Policies of June"
    sheet["A2"] = datetime.date(2026, 6, 30)
    sheet.append([])
    sheet.append([" Policy\nNo ", None, "Amount", "Amount", "Start", "Zip", "Paid", 2026, None])
    sheet.append(["00123", None, 42.0, 1.5, datetime.date(2026, 1, 31), 2134, True, -7])
    sheet.append([])
    sheet.append(["=1+1 text", "odd", 2**60, 0.1, START, "02134", False, 1e300])
    sheet.append([None, None, None, None, datetime.time(9, 5), None, None, datetime.timedelta(hours=26)])
    sheet["A7"].data_type = "s"
    sheet["F5"].number_format = "00000"
    sheet.merge_cells("A5:B5")
    made.save(tmp_path / "a.xlsx")
    found = read(tmp_path / "a.xlsx")
    assert [place for page in found for place in page.positions] == ["row 5", "row 7", "row 8"]
    assert records(found) == [
        {"Policy No": "00123", "Amount": 42, "Amount_2": 1.5, "Start": "2026-01-31", "Zip": "02134",
         "Paid": True, "2026": -7},
        {"Policy No": "=1+1 text", "B": "odd", "Amount": 2**60, "Amount_2": 0.1,
         "Start": "2026-01-31T10:30:00", "Zip": "02134", "Paid": False, "2026": 1e300},
        {"Policy No": None, "Amount": None, "Amount_2": None, "Start": "09:05:00", "Zip": None, "Paid": None,
         "2026": "26:00:00"},
    ]  # fmt: skip
    first = records(found)[0]
    assert type(first["Amount"]) is int
    assert type(first["Paid"]) is bool


def test_sheet_and_header_can_be_said(tmp_path: Path) -> None:
    path = book(
        tmp_path / "a.xlsx", [["a"], [1]], Second=[["x", "y"], ["b", "c"], [2, 3]], **{"7": [["z"], [9]]}
    )
    assert records(read(path)) == [{"a": 1}]
    assert records(read(path, sheet=2, header_row=2)) == [{"b": 2, "c": 3}]
    assert records(read(path, sheet="Second")) == [{"x": "b", "y": "c"}, {"x": 2, "y": 3}]
    assert records(read(path, sheet="7")) == [{"z": 9}], "a name comes before a number"
    for wanted in ("Third", 4, 0):
        with pytest.raises(InvalidError, match="no sheet") as caught:
            read(path, sheet=wanted)
        assert "First, Second, 7" in (caught.value.hint or "")
    with pytest.raises(InvalidError, match="has no row 9"):
        read(path, header_row=9)
    with pytest.raises(InvalidError, match="nothing in its first rows"):
        read(book(tmp_path / "b.xlsx", []))


@pytest.mark.parametrize(
    ("value", "shown", "text"),
    [
        (2134, "00000", "02134"),
        (21340042, "00000\\-0000", "02134-0042"),
        (12345678, "000\\-00\\-0000", "012-34-5678"),
        (12345678, '000"-"00"-"0000', "012-34-5678"),
        (1234567, "00000", "1234567"),
        (42, "0", 42),
        (42, "0.00", 42),
        (42, "General", 42),
        (0.5, "00%", 0.5),
    ],
)
def test_a_number_shown_with_leading_zeros_is_that_text(
    tmp_path: Path, value: float, shown: str, text: Any
) -> None:
    made = openpyxl.Workbook(write_only=True)
    sheet = made.create_sheet()
    cell = openpyxl.cell.WriteOnlyCell(sheet, value=value)
    cell.number_format = shown
    sheet.append(["a"])
    sheet.append([cell])
    made.save(tmp_path / "a.xlsx")
    assert records(read(tmp_path / "a.xlsx")) == [{"a": text}]


def test_cells_with_errors_are_set_aside_or_null(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", [["a", "b"], [1, 2], [2, "#DIV/0!"], ["#N/A", 3]])
    found = read(path)
    assert records(found) == [{"a": 1, "b": 2}]
    assert rejects(found) == [
        ("row 3", "The cell B3 holds the error #DIV/0!."),
        ("row 4", "The cell A4 holds the error #N/A."),
    ]
    assert found[0].rejects[0].raw == '[2,"#DIV/0!"]'
    assert records(read(path, error_cells="null"))[1:] == [{"a": 2, "b": None}, {"a": None, "b": 3}]


def test_a_formula_is_its_kept_value(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", [["a", "b"], [2, 3]])
    _edited(path, "xl/worksheets/sheet1.xml", b"<v>3</v>", b"<f>A2+1</f><v>33</v>")
    assert records(read(path)) == [{"a": 2, "b": 33}]


def _edited(path: Path, member: str, old: bytes, new: bytes) -> None:
    with zipfile.ZipFile(path) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    assert old in parts[member]
    parts[member] = parts[member].replace(old, new)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in parts.items():
            packed.writestr(name, content)


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", [["a"], [1]])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/media/zeros", bytes(20_000_000))
    with pytest.raises(InvalidError, match="would unpack to more than is allowed"):
        read(path)
    assert records(read(path, max_unpacked_bytes=400_000_000)) == [{"a": 1}]
    with pytest.raises(InvalidError, match="would unpack to more"):
        read(book(tmp_path / "b.xlsx", [["a"], [1]]), max_unpacked_bytes=1000)


@pytest.mark.parametrize("member", ["xl/worksheets/sheet1.xml", "xl/workbook.xml", "xl/styles.xml"])
def test_entities_in_a_workbook_are_refused(tmp_path: Path, member: str) -> None:
    path = book(tmp_path / "a.xlsx", [["a"], ["x"]])
    bomb = b'<!DOCTYPE a [<!ENTITY b "lol"><!ENTITY c "&b;&b;&b;">]><'
    with zipfile.ZipFile(path) as packed:
        start = packed.read(member)
    head = start[: start.index(b"?>") + 3] if start.startswith(b"<?xml") else b"<"
    _edited(path, member, head, head[:-1] + bomb)
    _, error = until_error(path)
    assert "entities" in error.message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'<row r="2"', b'<row r="99999999"'),
        (b"<v>1</v>", b"<v>1</v"),
        (b'r="A2"', b'r="ZZZZZ2"'),
        (b"<v>1</v>", b"<v>one</v>"),
    ],
)
def test_a_damaged_workbook_is_one_line(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = book(tmp_path / "a.xlsx", [["a"], [1], [2]])
    _edited(path, "xl/worksheets/sheet1.xml", old, new)
    _, error = until_error(path)
    assert "a.xlsx" in error.message


def test_what_is_no_workbook_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as packed:
        packed.writestr("a.txt", "x")
    assert "no XLSX workbook" in until_error(tmp_path / "a.xlsx")[1].message
    (tmp_path / "b.csv").write_bytes((tmp_path / "a.xlsx").read_bytes())
    assert "--set format=xlsx" in (until_error(tmp_path / "b.csv")[1].hint or "")
    assert isinstance(until_error(tmp_path / "gone.xlsx")[1], NotFoundError)
    path = book(tmp_path / "c.xlsx", [["a"], [1]])
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    assert until_error(path)[1].hint == "Install it: pip install 'edgekit[xlsx]'"


# --- fixed width


def test_columns_are_cut_where_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("HDR\r\n00001 Ünder  TX\r\n\r\n00002Bob     CA\r\nTRL 2\r\n\x1a".encode("cp1252"))
    found = read(path, columns=COLUMNS, encoding="cp1252", skip=["^HDR", "^TRL"])
    assert records(found) == [
        {"number": "00001", "name": "Ünder", "state": "TX"},
        {"number": "00002", "name": "Bob", "state": "CA"},
    ]
    assert [place for page in found for place in page.positions] == ["line 2", "line 4"]
    other = [
        {"name": "state", "start": 14, "length": 2},
        {"name": "name", "start": 6, "length": 8, "trim": False},
    ]
    assert records(read(path, columns=other, encoding="cp1252", skip=["^HDR|^TRL"]))[0] == {
        "state": "TX",
        "name": " Ünder  ",
    }


def test_a_line_of_another_length_is_no_record(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(
        "00001Ann     TX\n00002Bob     \n00003Cy      TXX\n00004Di      CA   \n", encoding="utf-8"
    )
    found = read(path, columns=COLUMNS)
    assert records(found) == [{"number": "00001", "name": "Ann", "state": "TX"}]
    assert rejects(found) == [
        ("line 2", "The line has 13 characters, not 15; pad=true fills shorter lines up."),
        ("line 3", "The line has 16 characters, not 15."),
        ("line 4", "The line has 18 characters, not 15."),
    ]
    found = read(path, columns=COLUMNS, pad=True)
    assert [record["state"] for record in records(found)] == ["TX", "", "CA"]
    assert [place for place, _ in rejects(found)] == ["line 3"]
    assert len(records(read(path, columns=COLUMNS, record_length=18, skip_lines=3))) == 1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"format": "fixed"}, "Where does each column stand"),
        ({"format": "fixed", "columns": ["a"]}, "has no length"),
        ({"columns": [*COLUMNS, {"name": "name", "length": 1}]}, "two are named name"),
        ({"columns": COLUMNS, "record_length": 9}, "a column ends at 15"),
        ({"columns": COLUMNS, "skip": ["("]}, "skip: "),
    ],
)
def test_columns_that_cannot_be_are_said(tmp_path: Path, config: dict[str, Any], message: str) -> None:
    (tmp_path / "a.txt").write_text("00001Ann     TX\n", encoding="utf-8")
    with pytest.raises(InvalidError, match=message.replace("(", r"\(")):
        read(tmp_path / "a.txt", **config)


# --- CSV with names given


def test_a_csv_without_a_header_is_given_one(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\n1;x\n2;'=y\n", encoding="utf-8")
    found = read(tmp_path / "a.csv", columns=["n", "t"])
    assert records(found) == [{"n": "1", "t": "x"}, {"n": "2", "t": "=y"}]
    assert [place for page in found for place in page.positions] == ["line 2", "line 3"]
    found = read(tmp_path / "a.csv", columns=["n", "t"], formula_guard=False)
    assert records(found)[1] == {"n": "2", "t": "'=y"}


# --- XML


def test_elements_become_objects(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(ORDERS, encoding="utf-8")
    expected = [
        {"@id": "1", "line": [{"@sku": "a", "#text": "2"}, "3"], "note": None},
        {"@id": "2", "line": "4 < 5 A", "name": " Ann  Smith ", "c": "<x>"},
        {"#text": "plain"},
    ]
    found = read(tmp_path / "a.xml", records="orders/order")
    assert records(found) == expected
    assert [place for page in found for place in page.positions] == ["record 1", "record 2", "record 3"]
    expected[1]["line"] = ["4 < 5 A"]
    assert records(read(tmp_path / "a.xml", records="/orders/order", always_list=["line"])) == expected
    named = {"p": "urn:orders", "l": "urn:lines"}
    found = read(tmp_path / "a.xml", records="p:orders/p:order", namespaces=named)
    assert records(found)[1] == {
        "@id": "2", "l:line": "4 < 5 A", "l:name": " Ann  Smith ", "l:c": "<x>",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "path", "message", "hint"),
    [
        (ORDERS, "", "which element is a record", "records=orders/order"),
        (ORDERS, "orders/x/y", "no element orders/x/y", "records=orders/order"),
        ("<a><b/></a>", "c/b", "no element c/b", "records=a/b"),
        ("<a>" * 200 + "</a>" * 200, "a/b", "nested more than 100 deep", None),
        ("a,b", "a/b", "no XML", None),
        ('<?xml version="1.0" encoding="x-none"?><a/>', "a/b", "encoding", None),
    ],
)
def test_xml_without_records_is_said(
    tmp_path: Path, text: str, path: str, message: str, hint: str | None
) -> None:
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    _, error = until_error(tmp_path / "a.xml", **({"records": path} if path else {}))
    assert message in error.message
    assert hint is None or hint in (error.hint or "")


@pytest.mark.parametrize(
    ("text", "message", "count"),
    [
        ("<a><b>1</b><b>2</b><c", "cut off after record 2", 2),
        ("<a><b>1</b><b>2</c></a>", "line 1: this is no XML (mismatched tag), after record 1", 1),
        ("<a><b>1</b>&nbsp;</a>", "undefined entity", 1),
        ("<a><b>1</b></a><a/>", "no XML", 1),
    ],
)
def test_what_stands_before_a_damage_is_kept(tmp_path: Path, text: str, message: str, count: int) -> None:
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    found, error = until_error(tmp_path / "a.xml", records="a/b")
    assert message in error.message
    assert len(found) == count


def test_no_elements_is_a_pass_without_records(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("<a/>", encoding="utf-8")
    (page,) = read(tmp_path / "a.xml", records="a/b")
    assert (page.records, page.state) == ([], {"done": True})


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-1", "windows-1252", "utf-8-sig"])
def test_encodings_of_xml_are_its_own(tmp_path: Path, encoding: str) -> None:
    head = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>'
    (tmp_path / "a.xml").write_bytes(f"{head}<a><b>é</b></a>".encode(encoding))
    assert records(read(tmp_path / "a.xml", records="a/b")) == [{"#text": "é"}]


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "head",
    [
        f'<!DOCTYPE a [<!ENTITY l0 "lol">{LAUGHS}]>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd">',
        '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:1/x"> %p;]>',
        "<!DOCTYPE a>",
    ],
)
def test_entities_and_what_lies_outside_are_refused(tmp_path: Path, head: str) -> None:
    (tmp_path / "a.xml").write_text(f"{head}<a><b>&l9;&x;</b></a>", encoding="utf-8")
    found, error = until_error(tmp_path / "a.xml", records="a/b")
    assert found == []
    assert "DTD" in error.message


@pytest.mark.parametrize(
    "body", ["<b>{}</b>", '<b x="{}"/>', "<c x='{}'/>", "<!--{}-->", "<b>" + "<i/>" * 200_000 + "{}</b>"]
)
def test_an_element_longer_than_allowed_is_refused(tmp_path: Path, body: str) -> None:
    (tmp_path / "a.xml").write_text(f"<a><b/>{body.format('x' * 900_000)}</a>", encoding="utf-8")
    _, error = until_error(tmp_path / "a.xml", records="a/b", max_record_bytes=100_000)
    assert "longer than 100000 bytes" in error.message


# --- memory

_PEAK = """
import sys
from edgekit import connectors
count = 0
for page in connectors.get("file").read({config}, state={{}}, inputs=None, secrets={{}}):
    count += len(page.records)
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
print(count, peak // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="its peak is read from /proc")
@pytest.mark.parametrize("kind", ["xlsx", "txt", "xml", "csv"])
def test_memory_stays_flat(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    config: dict[str, Any] = {"path": str(path)}
    peaks = []
    for size in (2_000, 60_000 if kind == "xlsx" else 1_000_000):
        if kind == "xlsx":
            made = openpyxl.Workbook(write_only=True)
            sheet = made.create_sheet("A")
            for row in [["a", "b", "c"], *([n, "same", n / 7] for n in range(size))]:
                sheet.append(row)
            made.save(path)
        elif kind == "txt":
            path.write_bytes(b"00001Ann     TX\n" * size)
            config["columns"] = COLUMNS
        elif kind == "csv":
            path.write_bytes(b"a,b,c\n" + b"1,'=two,3\n" * size)
        else:
            path.write_bytes(b"<a>" + b"<b x='1'><c>2</c></b>\n" * size + b"</a>")
            config["records"] = "a/b"
        done = subprocess.run(
            [sys.executable, "-c", _PEAK.format(config=config)], capture_output=True, text=True, check=True
        )
        count, peak = map(int, done.stdout.split())
        assert count == size
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 12, peaks
    assert peaks[1] < 80, peaks
