"""The demo's book has just the errors it should have; its providers answer over real HTTP, faults and all."""

from __future__ import annotations

import csv
import gzip
import json
import socket
import struct
import sys
import threading
import time
from collections import Counter
from datetime import date, datetime
from http.client import HTTPConnection, HTTPResponse, RemoteDisconnected
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit import schema
from edgekit.demo import households, vin
from edgekit.demo.provider import DRIVERS, VEHICLES, Provider, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

LINGER = "hh" if sys.platform == "win32" else "ii"
BOOK = schema.seed_folder() / "demo" / "book.csv"


# The book


def _lines() -> list[list[str]]:
    with BOOK.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def _rows() -> list[dict[str, str]]:
    header, *lines = _lines()
    return [dict(zip(header, line, strict=True)) for line in lines if len(line) == len(header)]


def _is_date(text: str) -> bool:
    try:
        datetime.strptime(text, "%m/%d/%Y")  # noqa: DTZ007 - a date has no zone
    except ValueError:
        return False
    return True


def _errors(row: dict[str, str]) -> Iterator[str]:
    number = row["vin"].strip().upper()
    if len(number) != 17:
        yield "vin length"
    elif any(letter not in vin.VALUES for letter in number):
        yield "vin letter"
    elif vin.check_digit(number) != number[8]:
        yield "vin check digit"
    elif not vin.decode(number)["Make"]:
        yield "vin maker"
    if row["vin"] != number:
        yield "vin blanks" if row["vin"] != row["vin"].strip() else "vin case"
    if not (_is_date(row["effective_date"]) and _is_date(row["expiration_date"])):
        yield "date"
    elif row["effective_date"][6:] > row["expiration_date"][6:]:
        yield "order"
    if not row["license_number"]:
        yield "license number"
    if not row["driver_last_name"]:
        yield "last name"
    if not row["annual_premium"].startswith("$"):
        yield "premium"


def test_the_book_has_the_errors_it_should_have() -> None:
    header, *lines = _lines()
    found = Counter(error for row in _rows() for error in _errors(row))
    assert found == {
        "vin letter": 3,
        "vin length": 2,
        "vin check digit": 2,
        "vin maker": 1,
        "vin blanks": 3,
        "vin case": 4,
        "date": 2,
        "order": 2,
        "license number": 3,
        "last name": 2,
        "premium": 2,
    }
    shapes = Counter(len(line) for line in lines)
    assert shapes == {len(header): 454, len(header) + 1: 1, 0: 1}
    whole = Counter(map(tuple, lines))
    assert sum(count - 1 for count in whole.values()) == 3  # lines that are there twice


def test_the_book_has_the_size_it_should_have() -> None:
    rows = _rows()
    numbers = {row["vin"].strip().upper() for row in rows}
    legal = {text for text in numbers if len(text) == 17 and set(text) <= set(vin.VALUES)}
    assert len({row["policy_number"] for row in rows}) == 299
    assert len({row["customer_number"] for row in rows}) == 287
    assert (len(numbers), len(legal)) == (353, 348)
    assert len({row["license_number"] for row in rows} - {""}) == 404
    lost = [row["policy_number"] for row in rows if {"date", "order", "premium"} & set(_errors(row))]
    assert len(set(lost)) == 6


def test_what_identifies_a_thing_in_the_book_tells_the_same_of_it_everywhere() -> None:
    """Otherwise an import would change rows to and fro, and a second one again."""
    of = {
        "customer_number": ("insured_name", "email", "phone", "address", "city", "state", "postal_code"),
        "policy_number": ("customer_number", "effective_date", "expiration_date", "annual_premium"),
        "vin": ("model_year",),
        "license_number": ("license_state", "driver_first_name", "driver_last_name", "date_of_birth"),
    }
    for key, columns in of.items():
        told: dict[str, set[tuple[str, ...]]] = {}
        for row in _rows():
            if row[key]:
                told.setdefault(row[key], set()).add(tuple(row[name] for name in columns))
        assert [value for value, variants in told.items() if len(variants) > 1] == []


def test_the_book_keeps_leading_zeros_and_accents() -> None:
    rows = _rows()
    assert all(len(row["postal_code"]) == 5 for row in rows)
    assert sum(row["postal_code"].startswith("0") for row in rows) > 300
    assert sum(row["license_number"].startswith("0") for row in rows) > 20
    assert sum(not row["insured_name"].isascii() for row in rows) > 50
    assert not any(row["postal_code"] != row["postal_code"].strip() for row in rows)


# VINs


def test_a_check_digit_is_the_one_of_the_standard() -> None:
    assert vin.check_digit("1M8GDM9AXKP042788") == "X"
    assert vin.check_digit("11111111111111111") == "1"


@pytest.mark.parametrize(
    ("number", "year"),
    [("1HGCM56505A000000", 2005), ("1HGCV1F30LA000000", 2020), ("1HGCV1F305", 2035), ("1HGCV1F", None),
     ("1HGCV1F30ZA000000", None), ("1HGCV1*30LA000000", None)],
)  # fmt: skip
def test_position_seven_tells_the_year_of_position_ten(number: str, year: int | None) -> None:
    assert vin.model_year(number) == year


def test_recorded_partial_vins_decode_as_the_service_decoded_them() -> None:
    bmw, tesla = vin.decode("5UXWX7C5*BA", "2011"), vin.decode("5yjsa3ds*ef")
    assert (bmw["Make"], bmw["Model"], bmw["Trim"], bmw["ModelYear"]) == ("BMW", "X3", "xDrive35i", "2011")
    assert (bmw["ErrorCode"], bmw["ErrorText"]) == ("6", "6 - Incomplete VIN")
    assert vin.decode("1FTFW1E5*MFA00001")["ErrorText"] == "6 - Incomplete VIN"
    assert (tesla["VIN"], tesla["Make"], tesla["ModelYear"]) == ("5YJSA3DS*EF", "TESLA", "2014")


def test_every_vin_of_the_book_decodes_to_the_year_the_agency_has() -> None:
    codes: Counter[str] = Counter()
    for row in {row["vin"].strip().upper(): row for row in _rows()}.values():
        record = vin.decode(row["vin"], row["model_year"])
        codes[record["ErrorCode"]] += 1
        if record["ErrorCode"] == "0":
            assert record["ModelYear"] == row["model_year"]
            assert "" not in {record[name] for name in ("Make", "Model", "Trim", "BodyClass", "Doors")}
    assert codes == {"0": 345, "1": 2, "7": 1, "400": 3, "6": 2}


@given(st.text(max_size=20), st.text(max_size=6))
def test_no_text_breaks_the_decoder(number: str, year: str) -> None:
    record = vin.decode(number, year)
    assert all(isinstance(value, str) for value in record.values())
    assert record["ModelYear"] == "" or record["ModelYear"].isdecimal()


# The households


def test_a_licence_is_told_the_same_of_wherever_it_is_asked_for() -> None:
    told: dict[str, set[str]] = {}
    for drivers in households.answers().values():
        for driver in drivers:
            for record in json.loads(b"[" + driver + b"]"):
                if isinstance(record, dict) and record["license"]["number"]:
                    del record["policy_number"]
                    told.setdefault(record["license"]["number"], set()).add(json.dumps(record))
    assert [number for number, variants in told.items() if len(variants) > 1] == []


def test_drivers_of_the_book_come_back_under_their_own_names() -> None:
    known = {
        record["license"]["number"]: record
        for drivers in households.answers().values()
        for driver in drivers
        for record in json.loads(b"[" + driver + b"]")
        if isinstance(record, dict)
    }
    rows = [row for row in _rows() if row["license_number"] and row["driver_last_name"]]
    wrong_dates = 0
    for row in rows:
        record = known[row["license_number"]]
        assert record["name"]["first"] == row["driver_first_name"]
        assert record["name"]["last"] == row["driver_last_name"]
        month, day, year = row["date_of_birth"].split("/")
        wrong_dates += record["date_of_birth"] != f"{year}-{month}-{day}"
    assert wrong_dates == len(households.IMPOSSIBLE_DATE)


# Over HTTP


@pytest.fixture
def calm() -> Iterator[Provider]:
    """A provider that does not misbehave."""
    with serve(faults=False) as provider:
        yield provider
    assert provider.errors == []


def _connect(provider: Provider) -> HTTPConnection:
    parts = urlsplit(provider.base_url)
    assert parts.hostname == "127.0.0.1"
    assert parts.port is not None
    return HTTPConnection(parts.hostname, parts.port, timeout=5)


class _Client:
    """One kept connection."""

    def __init__(self, provider: Provider) -> None:
        self.connection = _connect(provider)
        self.key = provider.api_key

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def decode(self, data: str, **headers: str) -> tuple[HTTPResponse, bytes]:
        form = urlencode({"DATA": data, "format": "json"})
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        self.connection.request("POST", VEHICLES, form, headers)
        answer = self.connection.getresponse()
        return answer, answer.read()

    def drivers(self, key: str | None = None, **query: Any) -> tuple[int, dict[str, Any]]:
        self.connection.request(
            "GET", f"{DRIVERS}?{urlencode(query)}", headers={"X-Api-Key": self.key if key is None else key}
        )
        answer = self.connection.getresponse()
        assert answer.headers["Content-Type"].startswith("application/json")
        return answer.status, json.loads(answer.read())


def test_vins_are_decoded_in_their_order_with_one_kept_connection(calm: Provider) -> None:
    with _Client(calm) as client:
        for _ in range(3):
            answer, body = client.decode("1HGCV1F30LA000000,2020;5UXWX7C5*BA,2011;XZ900000000000000;")
            assert answer.status == 200
            assert answer.version == 11
        port = client.connection.sock.getsockname()[1]
        client.decode("5UXWX7C5*BA")
        assert client.connection.sock.getsockname()[1] == port
    document = json.loads(body)
    assert (document["Count"], document["SearchCriteria"]) == (3, "")
    assert document["Message"].startswith("Results returned successfully.")
    assert [item["Make"] for item in document["Results"]] == ["HONDA", "BMW", ""]
    assert [item["ErrorCode"] for item in document["Results"]] == ["1", "6", "1,7"]
    assert "7 - Manufacturer is not registered with NHTSA" in document["Results"][2]["ErrorText"]
    assert sum(value == "" for value in document["Results"][0].values()) >= 12
    assert calm.requests == {VEHICLES: 4}
    assert calm.answers == {200: 4}


def test_fifty_vins_are_the_most(calm: Provider) -> None:
    with _Client(calm) as client:
        assert client.decode(";".join(["5UXWX7C5*BA"] * 50))[0].status == 200
        answer, body = client.decode(";".join(["5UXWX7C5*BA"] * 51))
        assert answer.status == 400
        assert "50" in json.loads(body)["error"]["message"]
        assert client.decode("")[0].status == 400


def test_answers_are_zipped_only_for_who_takes_that(calm: Provider) -> None:
    with _Client(calm) as client:
        plain, body = client.decode("5UXWX7C5*BA")
        zipped, packed = client.decode("5UXWX7C5*BA", **{"Accept-Encoding": "gzip"})
    assert plain.headers["Content-Encoding"] is None
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert int(zipped.headers["Content-Length"]) == len(packed) < len(body)
    assert gzip.decompress(packed) == body


@pytest.mark.parametrize("key", ["", "wrong", "schlüssel"])
def test_drivers_need_the_key(calm: Provider, key: str) -> None:
    with _Client(calm) as client:
        status, document = client.drivers(key, policies="PA-1001")
        assert status == 401
        assert "X-Api-Key" in document["error"]["message"]
        assert client.drivers(policies="PA-1001")[0] == 200
    assert calm.api_key not in repr(calm)


def test_pages_hold_every_driver_once(calm: Provider) -> None:
    policies = ",".join(f"PA-{number}" for number in range(1001, 1026))
    with _Client(calm) as client:
        _, whole = client.drivers(policies=policies, page=1, page_size=200)
        pages = [client.drivers(policies=policies, page=page, page_size=10)[1] for page in range(1, 7)]
        assert (whole["page"], whole["page_size"], whole["total"]) == (1, 200, len(whole["drivers"]))
        assert [driver for page in pages for driver in page["drivers"]] == whole["drivers"]
        assert {page["total"] for page in pages} == {whole["total"]}
        assert pages[-1]["drivers"] == []
        assert client.drivers(policies="PA-9999")[1]["drivers"] == []
    driver = whole["drivers"][0]
    assert set(driver) == {
        "policy_number", "name", "date_of_birth", "license", "relationship", "violations", "reported_at",
    }  # fmt: skip
    assert set(driver["license"]) == {"number", "state", "status", "class", "expires"}
    assert date.fromisoformat(driver["date_of_birth"]) < date(2010, 1, 1)


def _everybody(client: _Client) -> list[Any]:
    found: list[Any] = []
    policies = list(households.answers())
    for start in range(0, len(policies), 25):
        found += client.drivers(policies=",".join(policies[start : start + 25]), page_size=100)[1]["drivers"]
    return found


def test_the_households_hold_the_broken_records_they_should(calm: Provider) -> None:
    with _Client(calm) as client:
        found = _everybody(client)
        assert _everybody(client) == found
    records = [item for item in found if isinstance(item, dict)]
    assert [item for item in found if not isinstance(item, dict)] == [
        "TIMEOUT: household PA-1062 was read in part"
    ]
    booked = {row["license_number"] for row in _rows()}
    assert len(records) == 441
    assert sum(item["license"]["number"] not in booked for item in records) == 25
    assert sum(item["license"]["number"] is None for item in records) == 2
    assert sum(v["points"] == "n/a" for item in records for v in item["violations"]) == 2
    assert sum(item["date_of_birth"] == "1985-13-01" for item in records) == 1
    assert {item["license"]["status"] for item in records} == {"VALID", "SUSPENDED", "EXPIRED"}


@pytest.mark.parametrize(
    ("query", "status"),
    [({}, 400), ({"policies": " , "}, 400), ({"policies": "PA-1001", "page": 0}, 400),
     ({"policies": "PA-1001", "page": "two"}, 400), ({"policies": "PA-1001", "page_size": 201}, 400),
     ({"policies": "PA-1001", "page_size": "9" * 5000}, 400), ({"policies": "PA-1001,PA-1001"}, 200)],
)  # fmt: skip
def test_a_wrong_question_gets_an_answer_that_says_so(
    calm: Provider, query: dict[str, Any], status: int
) -> None:
    with _Client(calm) as client:
        answered, document = client.drivers(**query)
        assert answered == status
        assert status == 200 or document["error"]["status"] == 400
        assert status == 400 or document["total"] == 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("POST", "/", 404),
        ("GET", VEHICLES, 405),
        ("POST", DRIVERS, 405),
        ("PUT", DRIVERS, 501),
    ],
)
def test_what_is_not_served_is_refused(calm: Provider, method: str, path: str, status: int) -> None:
    connection = _connect(calm)
    connection.request(method, path, b"")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == status


def test_a_form_of_unknown_length_is_refused_and_the_connection_ends(calm: Provider) -> None:
    connection = _connect(calm)
    connection.request(
        "POST", VEHICLES, iter([b"DATA=x"]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
    )
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert (answer.status, answer.headers["Connection"]) == (411, "close")


def test_faults_come_once_and_in_their_place() -> None:
    with serve() as provider, _Client(provider) as client:
        statuses, waits = [], []
        for _ in range(12):
            before = time.perf_counter()
            answer, _ = client.decode("5UXWX7C5*BA")
            waits.append(time.perf_counter() - before)
            statuses.append(answer.status)
            if answer.status == 429:
                assert answer.headers["Retry-After"] == "1"
        assert statuses == [200, 200, 429, 200, 503, *[200] * 7]
        assert waits[6] >= 0.39
        assert sum(wait >= 0.39 for wait in waits) == 1
        assert provider.answers == {200: 10, 429: 1, 503: 1}
    assert provider.errors == []


def test_every_life_has_its_own_key_port_and_faults() -> None:
    with serve() as one, serve() as two:
        assert one.api_key != two.api_key
        assert one.base_url != two.base_url
        with _Client(two) as client:
            assert [client.drivers(policies="PA-1001")[0] for _ in range(4)] == [200, 200, 429, 200]
        assert one.requests == {}


def test_closing_hangs_up_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    started = time.perf_counter()
    with serve() as provider:
        idle = _Client(provider)
        assert idle.drivers(policies="PA-1001")[0] == 200
    assert time.perf_counter() - started < 1
    assert set(threading.enumerate()) <= before
    with idle, pytest.raises((RemoteDisconnected, ConnectionError)):
        idle.drivers(policies="PA-1001")
    late = _connect(provider)
    with pytest.raises(ConnectionError):
        late.request("GET", DRIVERS)
    late.close()


def test_a_client_that_hangs_up_harms_nobody(calm: Provider, capfd: pytest.CaptureFixture[str]) -> None:
    rude = _connect(calm)
    rude.putrequest("POST", VEHICLES)
    rude.putheader("Content-Length", "100")
    rude.endheaders(b"DATA=")
    rude.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(LINGER, 1, 0))  # close with a reset
    rude.close()
    with _Client(calm) as client:
        assert client.decode("5UXWX7C5*BA")[0].status == 200
    assert capfd.readouterr() == ("", "")
