"""SQL databases as sources and destinations: the contracts, values, keys, refusals, errors; real servers."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from connector_contract import ConnectorContract, DestinationContract, pages, records
from sql_servers import PASSWORD, Server, mysql, postgres

from edgekit import connectors, validate
from edgekit.connectors import Delivery, Outgoing
from edgekit.connectors.sql import SqlConnector
from edgekit.connectors.sql_sides import with_marks
from edgekit.errors import (
    DeniedError,
    EdgekitError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

SECRETS = {"password": PASSWORD}
COUNT = 7


def out(*found: dict[str, Any]) -> list[Outgoing]:
    return [Outgoing(record, str(n), f"key-{n}", f"row {n}") for n, record in enumerate(found)]


def read(config: Mapping[str, Any], state: Mapping[str, Any] | None = None) -> list[Any]:
    validate.check(SqlConnector.config_schema, dict(config), what="settings")
    return records(pages(SqlConnector(), config, state, secrets=SECRETS))


def send(config: Mapping[str, Any], *found: dict[str, Any]) -> Delivery:
    validate.check(SqlConnector.write_schema, dict(config), what="settings")
    with SqlConnector().open(config, state={}, secrets=SECRETS) as writer:
        delivery = writer.send(out(*found))
        writer.finish()
    return delivery


class Contract(ConnectorContract, DestinationContract):
    """Both directions, for one database after the other."""

    secrets: Mapping[str, str] = SECRETS
    write_secrets: Mapping[str, str] = SECRETS

    @pytest.fixture
    def connector(self) -> SqlConnector:
        return SqlConnector()

    @pytest.fixture
    def destination(self) -> SqlConnector:
        return SqlConnector()


# ------------------------------------------------------------------------------------------- SQLite


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, seen TEXT)")
        connection.executemany(
            "INSERT INTO item VALUES (?, ?, ?)",
            [(n, f"Item {n}", f"2026-01-0{1 + n // 3}") for n in range(1, COUNT + 1)],
        )
    connection.close()
    return path


def ask(path: Path, sql: str) -> list[Any]:
    connection = sqlite3.connect(path)
    try:
        with connection:
            return connection.execute(sql).fetchall()
    finally:
        connection.close()


def url(path: Path) -> str:
    return f"sqlite:///{path}"


class TestSqlite(Contract):
    @pytest.fixture
    def config(self, file: Path) -> dict[str, Any]:
        return {"url": url(file), "source_table": "item", "batch_size": 2}

    @pytest.fixture
    def broken_config(self, file: Path) -> dict[str, Any]:
        return {"url": url(file), "source_table": "nowhere"}

    @pytest.fixture
    def write_config(self, tmp_path: Path) -> dict[str, Any]:
        return {"url": url(tmp_path / "new.db"), "table": "person", "key": "id", "create": True}

    @pytest.fixture
    def broken_write_config(self, tmp_path: Path) -> dict[str, Any]:
        return {"url": url(tmp_path / "none" / "new.db"), "table": "person", "key": "id"}

    @pytest.fixture
    def content(self, tmp_path: Path) -> Callable[[], list[Any]]:
        return lambda: [number for (number,) in ask(tmp_path / "new.db", "SELECT id FROM person")]


def test_a_pass_goes_on_in_the_order_of_column_and_key_and_the_next_begins_at_the_last_value(
    file: Path,
) -> None:
    config = {
        "url": url(file),
        "source_table": "item",
        "columns": "name",
        "incremental": {"column": "seen", "initial": "2026-01-02"},
        "batch_size": 2,
    }
    found = pages(SqlConnector(), config)
    assert [row["id"] for row in records(found)] == [3, 4, 5, 6, 7]
    assert found[0].state == {"cursor": "2026-01-02", "after": ["2026-01-02", 4], "rows": 2}
    assert found[-1].state == {"cursor": "2026-01-03", "done": True}
    assert [p for page in found for p in page.positions][:2] == ["key 3", "key 4"]
    ask(file, "INSERT INTO item VALUES (9, 'late', '2026-01-03')")
    ask(file, "INSERT INTO item VALUES (10, 'never', NULL)")
    again = pages(SqlConnector(), config, found[-1].state)
    assert [row["id"] for row in records(again)] == [6, 7, 9]


def test_a_query_is_read_by_its_key_or_begun_anew(file: Path) -> None:
    config: dict[str, Any] = {
        "url": url(file),
        "query": "SELECT id, name FROM item WHERE id <> 4;",
        "batch_size": 2,
    }
    found = pages(SqlConnector(), config)
    assert ([row["id"] for row in records(found)], found[0].state) == ([1, 2, 3, 5, 6, 7], {})
    config["source_key"] = "id"
    found = pages(SqlConnector(), config)
    assert [r["id"] for r in records(pages(SqlConnector(), config, found[1].state))] == [6, 7]


def test_a_query_may_end_with_a_comment(file: Path) -> None:
    config = {"url": url(file), "query": "SELECT id FROM item -- all of them", "source_key": "id"}
    assert len(read(config)) == COUNT
    assert SqlConnector().probe(config, secrets={}) is not None


@pytest.mark.parametrize(("key", "said"), [("seen", "Two rows have the same seen"), ("name", "no value")])
def test_a_key_that_tells_no_rows_apart_leaves_none_out_unseen(file: Path, key: str, said: str) -> None:
    ask(file, "UPDATE item SET name = NULL WHERE id = 5")
    query = {"url": url(file), "query": "SELECT * FROM item", "source_key": key, "batch_size": 2}
    with pytest.raises(InvalidError, match=said):
        read(query)


def test_a_question_mark_of_a_query_s_own_is_left_alone() -> None:
    query = "SELECT 'a?%' FROM (SELECT * FROM t WHERE tags ? 'x') s WHERE \"id?\" > ? AND n > ?"
    assert with_marks(query, "%s", 2) == (
        "SELECT 'a?%%' FROM (SELECT * FROM t WHERE tags ? 'x') s WHERE \"id?\" > %s AND n > %s"
    )


def test_values_of_sqlite_come_as_json_has_them(tmp_path: Path) -> None:
    path = tmp_path / "v.db"
    ask(path, "CREATE TABLE v (id INTEGER PRIMARY KEY, big INTEGER, f REAL, b BLOB, t TEXT)")
    ask(path, "INSERT INTO v VALUES (1, 9223372036854775807, 9e999, x'00ff', 'é'), (2, NULL, 0.1, NULL, '')")
    found = read({"url": url(path), "source_table": "v"})
    assert found == [
        {"id": 1, "big": 2**63 - 1, "f": "inf", "b": "AP8=", "t": "é"},
        {"id": 2, "big": None, "f": 0.1, "b": None, "t": ""},
    ]
    json.dumps(found, allow_nan=False)


def test_a_source_is_only_read(file: Path) -> None:
    with pytest.raises(EdgekitError):
        read({"url": url(file), "query": "DELETE FROM item RETURNING id"})
    assert ask(file, "SELECT count(*) FROM item") == [(COUNT,)]


def test_a_record_that_is_refused_does_not_take_the_others_along(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    ask(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, code TEXT UNIQUE, n INTEGER CHECK (n > 0))")
    config = {"url": url(path), "table": "t", "key": "id"}
    sent = send(
        config,
        {"id": 1, "code": "a", "n": 1},
        {"id": 2, "code": "a", "n": 1},
        {"id": 3, "code": "c", "n": -1},
        {"code": "x", "n": 1},
        {"id": 2**64, "code": "d", "n": 1},
        {"id": 5, "n": 5},
        {"id": 1, "code": "b", "n": 2},
    )
    assert [answer.error is None for answer in sent.answers] == [True, False, False, False, False, True, True]
    assert "UNIQUE" in str(sent.answers[1].error)
    assert "identifies it" in str(sent.answers[3].error)
    assert ask(path, "SELECT * FROM t ORDER BY id") == [(1, "b", 2), (5, None, 5)]
    assert [(tried.method, tried.error) for tried in sent.attempts] == [("UPSERT", None)]


def test_why_a_record_is_refused_is_told_without_what_tells_of_a_person(tmp_path: Path) -> None:
    path = tmp_path / "refusing.db"
    ask(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, mail TEXT CHECK (mail <> 'ann@example.org'))")
    config = {"url": url(path), "table": "t", "key": "id"}
    (answer,) = send(config, {"id": 1, "mail": "ann@example.org"}).answers
    assert answer.error is not None
    assert "CHECK" in answer.error.message
    assert "ann@" not in answer.error.message


def test_a_table_is_made_of_the_records(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    config = {"url": url(path), "table": "made", "key": ["a", "b"], "create": True}
    send(
        config,
        {"a": "x", "b": 1, "f": 1, "j": {"k": [1]}, "t": True},
        {"a": "x", "b": 2, "f": 1.5, "j": None, "t": False},
    )
    assert ask(path, "SELECT * FROM made") == [("x", 1, 1.0, '{"k":[1]}', 1), ("x", 2, 1.5, None, 0)]
    send(config, {"a": "x", "b": 2, "f": 7})
    assert ask(path, "SELECT f FROM made") == [(1.0,), (7.0,)]


@pytest.mark.parametrize(
    ("config", "kind", "said"),
    [
        ({"url": "sqlite:///absent/x.db", "source_table": "t"}, NotFoundError, "no file"),
        ({"url": "oracle://h/d", "source_table": "t"}, InvalidError, "no address"),
        ({"url": "sqlite://", "source_table": "t"}, InvalidError, "no address"),
        ({"url": "postgresql://u:p4ssw0rd@h/d", "source_table": "t"}, InvalidError, "holds a password"),
        (
            {"url": "mysql://127.0.0.1:1/d", "source_table": "t", "timeout_seconds": 2},
            UnavailableError,
            ":1/d",
        ),
        (
            {"url": "postgresql://127.0.0.1:1/d", "query": "x", "timeout_seconds": 2},
            UnavailableError,
            "refused",
        ),
        ({"url": "postgresql://127.0.0.1/d?host=x", "source_table": "t"}, InvalidError, "option host"),
        ({"url": "postgresql://127.0.0.1/", "source_table": "t"}, InvalidError, "names no database"),
    ],
)
def test_what_is_wrong_is_one_line_without_a_password(
    config: dict[str, Any], kind: type[EdgekitError], said: str
) -> None:
    with pytest.raises(kind, match=said) as caught:
        read(config)
    assert "\n" not in caught.value.message
    assert "p4ssw0rd" not in caught.value.message
    assert PASSWORD not in caught.value.message


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"source_table": "item", "source_key": "nix"}, "no such column|no column nix"),
        ({"query": "SELECT 1 AS a, 2 AS a"}, "two columns a"),
        ({"query": "SELEC 1"}, "syntax error"),
        ({"query": "SELECT 1", "columns": "a"}, "a query names its own"),
    ],
)
def test_a_query_that_cannot_be_read_says_why(file: Path, config: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidError, match=said):
        read({"url": url(file), **config})


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"not a database, and long enough to be looked at" * 30)
    with pytest.raises(InvalidError, match=r"x\.db: file is not a database"):
        read({"url": url(tmp_path / "x.db"), "source_table": "t"})


def test_where_a_table_cannot_be_written_the_setting_is_named(file: Path) -> None:
    config = {"url": url(file), "table": "item", "key": "name"}
    with pytest.raises(InvalidError, match="no unique key on name"):
        send(config, {"name": "x"})
    with pytest.raises(InvalidError, match="no column colour"):
        send({**config, "key": "id"}, {"id": 1, "colour": "red"})
    with pytest.raises(NotFoundError, match="no table gone"):
        send({**config, "table": "gone"}, {"id": 1})


def test_a_driver_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(InvalidError, match="needs the package psycopg") as caught:
        read({"url": "postgresql://127.0.0.1/d", "source_table": "t"})
    assert caught.value.hint == "Install it: pip install 'edgekit[postgres]'"


def test_whether_it_answers_is_found_out_with_one_row(file: Path) -> None:
    page = connectors.probe(SqlConnector(), {"url": url(file), "source_table": "item"}, secrets={})
    assert page is not None
    assert len(page.records) == 1
    with pytest.raises(NotFoundError, match="no table gone"):
        SqlConnector().probe_write({"url": url(file), "table": "gone", "key": "id"}, secrets={})
    new = {"url": url(file.with_name("new.db")), "table": "gone", "key": "id", "create": True}
    assert SqlConnector().probe_write(new, secrets={}) is not None
    assert not file.with_name("new.db").exists()


# ---------------------------------------------------------------------------------------- PostgreSQL


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def mysql_server() -> Iterator[Server]:
    with mysql() as server:
        yield server


class ServerContract(Contract):
    @pytest.fixture
    def server(self) -> Server:
        raise NotImplementedError

    @pytest.fixture
    def config(self, server: Server) -> dict[str, Any]:
        server.execute(
            "DROP TABLE IF EXISTS item",
            "CREATE TABLE item (id int PRIMARY KEY, name varchar(50))",
            *(f"INSERT INTO item VALUES ({n}, 'Item {n}')" for n in range(1, COUNT + 1)),
        )
        return {"url": server.url, "user": "ek", "source_table": "item", "batch_size": 2}

    @pytest.fixture
    def broken_config(self, server: Server) -> dict[str, Any]:
        return {"url": server.url, "user": "nobody", "source_table": "item"}

    @pytest.fixture
    def write_config(self, server: Server) -> dict[str, Any]:
        server.execute("DROP TABLE IF EXISTS person")
        return {"url": server.url, "user": "ek", "table": "person", "key": "id", "create": True}

    @pytest.fixture
    def broken_write_config(self, server: Server) -> dict[str, Any]:
        return {"url": server.url, "user": "nobody", "table": "person", "key": "id"}

    @pytest.fixture
    def content(self, server: Server) -> Callable[[], list[Any]]:
        return lambda: [number for (number,) in server.execute("SELECT id FROM person")]

    def test_each_sort_of_error_has_its_class(self, server: Server, config: dict[str, Any]) -> None:
        for change, kind in (
            ({"user": "nobody"}, DeniedError),
            ({"source_table": "gone"}, NotFoundError),
            ({"query": "SELECT 1 FROM gone"}, NotFoundError),
            ({"query": "SELEC 1"}, InvalidError),
            ({"url": server.url.replace("/shop", "/gone")}, (NotFoundError, DeniedError)),
        ):
            asked = {**config, **change}
            if "query" in change:
                del asked["source_table"]
            with pytest.raises(kind) as caught:
                read(asked)
            assert "\n" not in caught.value.message
        with pytest.raises(DeniedError):
            pages(SqlConnector(), config, secrets={"password": "wrong-one"})

    def test_a_source_is_only_read_by_a_server(self, server: Server, config: dict[str, Any]) -> None:
        with pytest.raises(EdgekitError):
            read({"url": server.url, "user": "ek", "query": "DELETE FROM item"})
        assert server.execute("SELECT count(*) FROM item") == [(COUNT,)]

    def test_refusals_of_a_server_are_told_record_by_record(self, server: Server) -> None:
        server.execute(
            "DROP TABLE IF EXISTS t",
            "CREATE TABLE t (id int PRIMARY KEY, code varchar(3) UNIQUE, n int NOT NULL)",
        )
        sent = send(
            {"url": server.url, "user": "ek", "table": "t", "key": "id"},
            {"id": 1, "code": "a", "n": 1},
            {"id": 2, "code": "a", "n": 2},
            {"id": 3, "code": "long", "n": 3},
            {"id": 4, "code": "d", "n": None},
            {"id": 5, "code": "e", "n": "many"},
            {"id": 1, "code": "b%s?", "n": 9},
            {"id": 6, "code": "é'", "n": 6},
        )
        assert [answer.error is None for answer in sent.answers] == [
            True,
            False,
            False,
            False,
            False,
            False,
            True,
        ]
        assert server.execute("SELECT id, code, n FROM t ORDER BY id") == [(1, "a", 1), (6, "é'", 6)]

    def test_incremental_times_survive_the_checkpoint(self, server: Server) -> None:
        server.execute(
            "DROP TABLE IF EXISTS seen",
            "CREATE TABLE seen (id int PRIMARY KEY, at timestamp(6) NULL)",
            *(f"INSERT INTO seen VALUES ({n}, '2026-01-01 00:00:0{n // 2}.123456')" for n in range(1, 8)),
        )
        config = {
            "url": server.url,
            "user": "ek",
            "source_table": "seen",
            "incremental": {"column": "at"},
            "batch_size": 2,
        }
        found = pages(SqlConnector(), config, secrets=SECRETS)
        assert [row["id"] for row in records(found)] == [1, 2, 3, 4, 5, 6, 7]
        for place, page in enumerate(found[:-1], 1):
            assert read(config, page.state) == records(found[place:])
        assert [row["id"] for row in read(config, found[-1].state)] == [6, 7]

    def test_a_long_table_is_left_in_the_middle_at_once(self, server: Server) -> None:
        server.execute("DROP TABLE IF EXISTS many", "CREATE TABLE many (id int PRIMARY KEY, t varchar(200))")
        found = ({"id": n, "t": "x" * 200} for n in range(20_000))
        config = {"url": server.url, "user": "ek", "table": "many", "key": "id"}
        with SqlConnector().open(config, state={}, secrets=SECRETS) as writer:
            assert all(a.error is None for a in writer.send(out(*found)).answers)
        source = SqlConnector().read(
            {"url": server.url, "user": "ek", "source_table": "many", "batch_size": 100},
            state={},
            inputs=None,
            secrets=SECRETS,
        )
        assert len(next(source).records) == 100
        source.close()


@pytest.mark.slow
@pytest.mark.postgres
class TestPostgres(ServerContract):
    @pytest.fixture
    def server(self, postgres_server: Server) -> Server:
        return postgres_server

    def test_values_come_exactly(self, server: Server) -> None:
        server.execute(
            "DROP TABLE IF EXISTS v",
            """CREATE TABLE v (id int PRIMARY KEY, n numeric, d date, ts timestamp, tz timestamptz, b bytea,
            u uuid, j jsonb, a int[], i interval, t time, x boolean, f float8, e inet)""",
            """INSERT INTO v VALUES (1, 12345678901234567890.1200, '2026-01-31', '2026-01-31 01:02:03.123456',
            '2026-01-31 01:02:03+02', '\\x00ff', '6ecd8c99-4036-403d-bf84-cf8400f67836', '{"k": [1, null]}',
            '{1,2}', '1 month 2 days', '23:59', true, 0.1, '10.0.0.1')""",
            "INSERT INTO v(id, n, d, tz, f)"
            " VALUES (2, 'NaN', 'infinity', '12345-01-01 00:00:00+00', 'Infinity')",
        )
        first, second = read({"url": server.url, "user": "ek", "source_table": "v"})
        assert first == {
            "id": 1,
            "n": "12345678901234567890.1200",
            "d": "2026-01-31",
            "ts": "2026-01-31T01:02:03.123456",
            "tz": "2026-01-30T23:02:03Z",
            "b": "AP8=",
            "u": "6ecd8c99-4036-403d-bf84-cf8400f67836",
            "j": {"k": [1, None]},
            "a": [1, 2],
            "i": "P1M2D",
            "t": "23:59:00",
            "x": True,
            "f": 0.1,
            "e": "10.0.0.1",
        }
        assert {k: v for k, v in second.items() if v is not None} == {
            "id": 2,
            "n": "NaN",
            "d": "infinity",
            "tz": "12345-01-01T00:00:00Z",
            "f": "inf",
        }
        server.execute("DROP TABLE IF EXISTS w", "CREATE TABLE w (LIKE v INCLUDING ALL)")
        config = {"url": server.url, "user": "ek", "table": "w", "key": "id"}
        del first["b"], first["a"]
        assert send(config, first).answers[0].error is None
        assert server.execute("SELECT n, tz, j, x FROM w") == server.execute(
            "SELECT n, tz, j, x FROM v WHERE id = 1"
        )

    def test_a_number_is_not_rounded_into_a_column(self, server: Server) -> None:
        server.execute("DROP TABLE IF EXISTS r", "CREATE TABLE r (id int PRIMARY KEY, n int)")
        config = {"url": server.url, "user": "ek", "table": "public.r", "key": "id"}
        assert "1.5" in str(send(config, {"id": 1, "n": 1.5}).answers[0].error)


@pytest.mark.slow
class TestMysql(ServerContract):
    @pytest.fixture
    def server(self, mysql_server: Server) -> Server:
        return mysql_server

    def test_values_come_exactly(self, server: Server) -> None:
        server.execute(
            "DROP TABLE IF EXISTS v",
            """CREATE TABLE v (id int PRIMARY KEY, n decimal(30,4), d date, ts datetime(6), tz timestamp NULL,
            b varbinary(10), j json, t time, x boolean, f double, y year)""",
            """INSERT INTO v VALUES (1, 12345678901234567890.12, '2026-01-31', '2026-01-31 01:02:03.123456',
            '2026-01-31 01:02:03', x'00ff', '{"k": [1, null]}', '-100:59:00', true, 0.1, 2026)""",
        )
        (found,) = read({"url": server.url, "user": "ek", "source_table": "v"})
        found["j"] = json.loads(found["j"]) if isinstance(found["j"], str) else found["j"]
        assert found == {
            "id": 1,
            "n": "12345678901234567890.1200",
            "d": "2026-01-31",
            "ts": "2026-01-31T01:02:03.123456",
            "tz": "2026-01-31T01:02:03Z",
            "b": "AP8=",
            "j": {"k": [1, None]},
            "t": "-100:59:00",
            "x": 1,
            "f": 0.1,
            "y": 2026,
        }
