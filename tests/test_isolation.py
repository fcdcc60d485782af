"""Who sees and changes what: two organizations in one file, and a user of each role of the second."""

from __future__ import annotations

import json
import shutil
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

import edgekit
from edgekit import audit, bulk, events, integrations, rows, runner
from edgekit.cli import root
from edgekit.errors import ConflictError, DeniedError, NotFoundError
from edgekit.isolation.opening import require_file

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database

PEOPLE = [
    ("ada", 1, "ADMIN"), ("uma", 1, "USER"), ("bea", 2, "ADMIN"), ("bob", 2, "USER"), ("vic", 2, "VIEWER"),
    ("cleo", 2, "CURATOR"), ("ida", None, "ADMIN"), ("ned", None, None),
]  # fmt: skip


@pytest.fixture(scope="module")
def two_pattern(pattern_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("two") / "two.db"
    shutil.copyfile(pattern_file, path)
    with edgekit.open(path, actor="system") as db, db.change():
        run = db.connection().execute
        run("INSERT INTO organization(id, code, name) VALUES (2, 'B', 'Bee'), (3, 'C', 'Below Bee')")
        run("UPDATE organization SET parent_organization_id = 2 WHERE id = 3")
        run("INSERT INTO role(code, name) VALUES ('CURATOR', 'Added by hand')")
        for name, organization, role in PEOPLE:
            run("INSERT INTO user(username, organization_id, role_id) VALUES"
                " (?, ?, (SELECT id FROM role WHERE code = ?))", (name, organization, role))  # fmt: skip
        run("INSERT INTO user(username, status_id) VALUES ('rex', 2)")
        run("INSERT INTO program(id, organization_id, code, name)"
            " VALUES (1, 1, 'A', 'Of A'), (2, 2, 'B', 'Of B')")  # fmt: skip
        run("INSERT INTO client(id, organization_id, client_name, client_status_id, created_by,"
            " assigned_manager_id)"
            " SELECT 1, 3, 'Below', 1, 1, id FROM user WHERE username = 'bob'")  # fmt: skip
        run("INSERT INTO orchestration_workflow(id, uuid, workflow_name, workflow_type_id, client_id,"
            " correlation_id, workflow_definition, created_by) SELECT column1, 'ux' || hex(randomblob(17)),"
            " column2, 1, column3, 'c' || column1, ?, id"
            " FROM (VALUES (1, 'of it', 1), (2, 'of nobody', NULL)), user WHERE username = 'bea'",
            ('{"steps": [{"name": "a", "type": "b"}]}',))  # fmt: skip
        run("INSERT INTO integration_event(id, uuid, event_type, event_source_id, event_payload,"
            " correlation_id, organization_id)"
            " VALUES (1, 'ev' || hex(randomblob(17)), 'workflow.step', 1, '{}', 'c2', 2),"
            " (2, 'ev' || hex(randomblob(17)), 'other', 1, '{}', 'c3', 2)")  # fmt: skip
    return path


@pytest.fixture
def two(tmp_path: Path, two_pattern: Path) -> Path:
    return shutil.copyfile(two_pattern, tmp_path / "two.db")


def column(db: Database, sql: str) -> list[Any]:
    return [row[0] for row in db.connection().execute(sql)]


@pytest.mark.ledger("C-24", "S4-93")
@pytest.mark.parametrize(
    ("who", "programs"),
    [("ada", ["A"]), ("uma", ["A"]), ("bea", ["B"]), ("bob", ["B"]), ("vic", ["B"]), ("cleo", ["B"]),
     ("ned", ["A"]), ("ida", ["A", "B"]), ("system", ["A", "B"])],
)  # fmt: skip
def test_each_sees_the_rows_of_the_own_organization(two: Path, who: str, programs: list[str]) -> None:
    with edgekit.open(two, actor=who) as db:
        assert column(db, "SELECT code FROM program ORDER BY id") == programs
        assert column(db, "SELECT code FROM active_program ORDER BY id") == programs
        assert [row["code"] for row in rows.list_rows(db.connection(), "program")] == programs
        logged = column(db, "SELECT record_key FROM audit_entry WHERE table_name = 'program' ORDER BY 1")
        assert logged == [{"A": 1, "B": 2}[code] for code in programs]


@pytest.mark.ledger("S3-88", "S3-90")
def test_rows_of_a_client_are_for_who_looks_after_it(two: Path) -> None:
    seen = {}
    for who in ("bob", "bea", "vic", "ada", "ned", "ida"):
        with edgekit.open(two, actor=who) as db:
            seen[who] = column(db, "SELECT id FROM orchestration_workflow ORDER BY id")
        if who in {"bob", "bea"}:
            with edgekit.open(two, actor=who) as db:
                told = column(db, "SELECT id FROM integration_event ORDER BY id")
            assert told == ([1, 2] if who == "bea" else [2]), "what a workflow tells is seen with it"
    assert seen == {"bob": [1], "bea": [1, 2], "vic": [], "ada": [1], "ned": [], "ida": [1, 2]}


@pytest.mark.parametrize(
    ("who", "sql", "said"),
    [
        ("bob", "INSERT INTO program(organization_id, code, name) VALUES (1, 'X', 'x')", "must belong to"),
        ("bob", "UPDATE program SET organization_id = 1", "organization of bob"),
        ("bob", "INSERT INTO producer(code, organization_id, name, program_id) VALUES (2, 2, '', 1)", "ref"),
        ("bob", "INSERT INTO role(code, name) VALUES ('ROOT', 'root')", "common to all"),
        ("bob", "UPDATE user SET role_id = 1 WHERE username = 'bob'", "not changed, by bob"),
        ("bob", "UPDATE user SET organization_id = 1 WHERE username = 'bob'", "not changed, by bob"),
        ("bob", "UPDATE user SET email = 'x@example.com' WHERE username = 'bea'", "not changed, by bob"),
        ("bob", "INSERT INTO user(username, organization_id) VALUES ('new', 2)", "organization of bob"),
        ("bea", "INSERT INTO user(username, role_id) VALUES ('new', 1)", "organization of bea"),
        ("bea", "UPDATE user SET organization_id = NULL WHERE username = 'bea'", "organization of bea"),
        ("bea", "UPDATE user SET license_tier_id = 4 WHERE username = 'bea'", "not changed, by bea"),
        ("bea", "INSERT INTO user(username, organization_id, license_tier_id) VALUES ('n', 2, 4)", "must be"),
        ("bea", "DELETE FROM feature_license", "common to all"),
        ("bea", "UPDATE organization SET parent_organization_id = 1 WHERE id = 2", "common to all"),
        ("vic", "UPDATE program SET name = 'x'", "VIEWER"),
        ("cleo", "UPDATE program SET name = 'x'", "VIEWER"),
        ("bob", "UPDATE integration_template SET description = 'x'", "not changed, by bob"),
    ],
)  # fmt: skip
def test_what_may_not_be_written_is_refused(two: Path, who: str, sql: str, said: str) -> None:
    with edgekit.open(two, actor=who) as db, pytest.raises(DeniedError, match=said), db.change():
        db.connection().execute(sql)


@pytest.mark.parametrize(
    "sql",
    ["UPDATE program SET name = 'taken' WHERE id = 1", "DELETE FROM program WHERE id = 1",
     'WITH x AS (SELECT 1 AS id) UPDATE OR IGNORE "program" SET name = \'\' WHERE id IN (SELECT id FROM x)',
     "INSERT INTO program(organization_id, code, name) SELECT 2, 'copy', name FROM program WHERE id = 1"],
)  # fmt: skip
def test_what_is_not_seen_is_not_touched(two: Path, sql: str) -> None:
    with edgekit.open(two, actor="bea") as db, db.change():
        assert db.connection().execute(sql).rowcount in {0, -1}
    with edgekit.open(two, actor="system") as db:
        assert column(db, "SELECT name FROM program ORDER BY id") == ["Of A", "Of B"]


def test_the_way_around_the_view_is_shut(two: Path) -> None:
    with edgekit.open(two, actor="bea") as db:
        with pytest.raises(Exception, match="prohibited"):
            db.connection().execute("SELECT name FROM main.program")
        with pytest.raises(DeniedError, match="ATTACH"):
            db.connection().execute("ATTACH 'other.db' AS other")
        with pytest.raises(DeniedError, match="Scripts"):
            db.connection().executescript("DELETE FROM program")


@pytest.mark.parametrize(
    "sql",
    ["WITH x AS (SELECT name FROM main.program) SELECT * FROM x",
     "WITH program AS (SELECT name FROM 'main' . [program]) SELECT * FROM program",
     'SELECT * FROM (SELECT name FROM "main"/* */./* */program) AS program',
     "UPDATE program SET name = 'x' WHERE id = 2 RETURNING (SELECT group_concat(name) FROM main.program)",
     "INSERT INTO producer(code, organization_id, name, program_id) SELECT 'P', 2, name, 2 FROM main.program",
     "WITH x AS (SELECT 1 /* ) DELETE FROM vehicle */) SELECT name FROM main.program",
     "WITH x AS (SELECT [) DELETE FROM vehicle ] FROM program) SELECT name FROM main.program",
     "WITH x AS (SELECT 1 /* ) DELETE FROM vehicle */) INSERT INTO role(code, name) VALUES ('z', 'z')",
     "WITH x AS (SELECT changes FROM main.audit_log) SELECT * FROM x", "SELECT count(*) FROM main.program",
     "/**/ATTACH 'two.db' AS other", "/**/VACUUM INTO 'copy.db'", "ANALYZE",
     "CREATE VIEW leak AS SELECT name FROM main.program", "CREATE TEMP VIEW leak AS SELECT name FROM program",
     "CREATE TEMP TRIGGER t AFTER INSERT ON main.program BEGIN DELETE FROM main.program; END",
     "ALTER TABLE main.program RENAME TO other", "DROP VIEW temp.program", "PRAGMA writable_schema = ON",
     "PRAGMA ignore_check_constraints = ON"],
)  # fmt: skip
def test_no_wording_of_a_statement_gets_past_the_view(two: Path, sql: str) -> None:
    with edgekit.open(two, actor="bea") as db:
        column(db, "SELECT name FROM program")
        with (
            pytest.raises(Exception, match=r"prohibited|not authorized|may not change") as refused,
            db.change(),
        ):
            db.connection().execute(sql)
        assert "Of A" not in str(refused.value)


def test_a_comment_a_quoted_name_and_an_aimed_statement_are_no_way_around(two: Path) -> None:
    with edgekit.open(two, actor="bea") as db, db.change():
        assert column(db, "/* it's */ SELECT name -- main.program\n FROM program") == ["Of B"]
        aimed = "UPDATE \"main\".program SET name = 'New' WHERE id = 2 RETURNING name || ' in main.program'"
        assert column(db, aimed) == ["New in main.program"]


def test_the_same_name_in_two_organizations_is_nobody_elses(two: Path) -> None:
    shown = []
    for who in ("ada", "bea"):
        with edgekit.open(two, actor=who):
            settings = {"path": f"{who}.csv", "table": "producer", "key": "code"}
            integrations.create("same", template="csv-import", settings=settings)
            shown.append(integrations.show("same")["settings"]["path"])
    assert shown == ["ada.csv", "bea.csv"]
    with edgekit.open(two, actor="system"), pytest.raises(ConflictError, match="Several organizations"):
        integrations.set_credential("same", "api_key", "whose?")


def test_a_plain_cursor_has_no_more_rights_after_a_statement_that_writes(two: Path) -> None:
    with edgekit.open(two, actor="bea") as db, db.change():
        connection = db.connection()
        connection.execute("UPDATE program SET name = 'x' WHERE id = 2")
        with pytest.raises(sqlite3.DatabaseError, match="prohibited"):
            sqlite3.Cursor(connection).execute("SELECT name FROM main.program")
        with pytest.raises(DeniedError):
            connection.set_authorizer(None)


def test_archives_are_not_read_by_who_sees_a_part(two: Path, tmp_path: Path) -> None:
    with edgekit.open(two, actor="bea") as db, pytest.raises(DeniedError, match="Archives hold"):
        audit.entries(db.connection(), archives=[tmp_path / "any.archive"])


def test_a_row_of_a_batch_that_may_not_be_is_set_aside_with_a_sentence(two: Path) -> None:
    with edgekit.open(two, actor="bea") as db, db.change():
        (key, *_) = (k for k in bulk.unique_keys(db.connection(), "program") if "code" in k)
        rows_given = [("N1", "fine", 2), ("N2", "taken", 1)]
        done = bulk.upsert_rows("program", ["code", "name", "organization_id"], key, rows_given)
        ((position, refused),) = done.refused
        assert (done.accepted, position) == (1, 1)
        assert refused.message.startswith("A row of program written by bea must belong to")


@pytest.mark.parametrize("way", ["backup", "serialize", "blobopen"])
def test_the_file_is_not_copied_past_the_view(two: Path, way: str) -> None:
    given = {"backup": [sqlite3.connect(":memory:")], "serialize": [], "blobopen": ["program", "name", 1]}
    with edgekit.open(two, actor="bea") as db, pytest.raises(DeniedError, match="the whole file"):
        getattr(db.connection(), way)(*given[way])


def test_a_roll_back_leaves_nothing_open(two: Path) -> None:
    with edgekit.open(two, actor="bea") as db:
        with pytest.raises(ZeroDivisionError), db.change():
            assert column(db, "SELECT code FROM program") == ["B"]
            raise ZeroDivisionError
        assert column(db, "SELECT code FROM program") == ["B"]
        with db.change():
            with pytest.raises(ZeroDivisionError), db.change():
                db.connection().execute("UPDATE producer SET name = 'x'")
                raise ZeroDivisionError
            db.connection().execute("UPDATE program SET name = 'taken' WHERE id = 1")
    with edgekit.open(two, actor="system") as db:
        assert column(db, "SELECT name FROM program WHERE id = 1") == ["Of A"]


def test_what_a_user_adds_belongs_to_the_own_organization(two: Path) -> None:
    with edgekit.open(two, actor="bob") as db:
        added = rows.add("producer", {"code": "NEW", "name": "New"})
        assert added["organization_id"] == 2
        with pytest.raises(NotFoundError):
            rows.set_values("program", "A", {"name": "x"})
        with db.change():
            db.connection().execute("UPDATE user SET email = 'bob@example.com' WHERE username = 'bob'")


def test_each_thread_is_held_to_the_same(two: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with edgekit.open(two, actor="bob") as db, ThreadPoolExecutor(1) as pool:
        assert pool.submit(column, db, "SELECT code FROM program").result() == ["B"]
        pool.submit(db._database.close).result()


def test_a_retired_user_does_nothing(two: Path) -> None:
    with pytest.raises(DeniedError, match="retired"):
        edgekit.open(two, actor="rex")


def test_the_log_is_kept_by_who_sees_all_of_it(two: Path) -> None:
    with edgekit.open(two, actor="bea") as db:
        with pytest.raises(DeniedError):
            audit.seal(db.connection())
        with pytest.raises(DeniedError), db.change():
            db.connection().execute("DELETE FROM audit_log")


def test_what_a_part_of_the_log_hides_is_sealed_all_the_same(two: Path) -> None:

    with edgekit.open(two, actor="bob") as db:
        with db.change():
            values = [(2, f"P{n}", "p") for n in range(1100)]
            db.connection().executemany(
                "INSERT INTO producer(organization_id, code, name) VALUES (?, ?, ?)", values
            )
        seen, last = db.connection().execute("SELECT count(*), max(seq) FROM audit_log").fetchone()
        assert 1100 <= seen < last
    with edgekit.open(two, actor="system") as db:
        assert audit.unsealed(db.connection()) == 0
        assert audit.check(db.connection()).findings == []


def test_commands_answer_with_3_for_what_is_not_there_and_5_for_what_is_not_allowed(two: Path) -> None:
    def code(*words: str, actor: str = "bob") -> int:
        asked = ["--db", str(two), "--actor", actor, *words]
        return CliRunner().invoke(root.edgekit, asked, prog_name="edgekit").exit_code

    assert code("programs", "show", "A") == 3
    assert code("users", "set", "bob", "role=ADMIN") == 5
    for words in (["backup", str(two.parent / "out")], ["verify", "--quick"], ["audit", "seal"], ["migrate"]):
        assert code(*words) == 5, words
    assert not (two.parent / "out").exists()
    with edgekit.open(two, actor="system") as db:
        copy = db.path.with_name("copy.db")
        db.connection().execute("VACUUM INTO ?", (str(copy),))
    assert code("restore", str(copy), str(two), "--replace") == 5, "nobody puts another file over this one"
    assert not list(two.parent.glob("*before-restore*"))
    assert code("verify", "--quick", actor="ida") == 0
    assert code("status", actor="rex") == 5
    told = CliRunner().invoke(root.edgekit, ["--db", str(two), "--actor", "bob", "users", "rights", "--json"])
    assert json.loads(told.output)["rights"] == ["edit", "read"]
    shown = CliRunner().invoke(root.edgekit, ["--db", str(two), "--actor", "bob", "status", "--json"])
    assert (json.loads(shown.output)["organization"], json.loads(shown.output)["tables"]["program"]) == (
        "Bee",
        1,
    )


def test_in_a_file_of_one_organization_its_people_look_after_it(edge_file: Path) -> None:
    with edgekit.open(edge_file, actor="system") as db, db.change():
        db.connection().execute("INSERT INTO user(username, role_id) VALUES ('uma', 2), ('ada', 1)")
    for who, right, able in (
        ("uma", "read", True),
        ("uma", "administer", False),
        ("ada", "administer", True),
    ):
        try:
            require_file(edge_file, right, "it", actor=who)
            assert able
        except DeniedError:
            assert not able


def test_a_name_means_the_integration_of_whose_subscription_or_schedule_it_is(two: Path) -> None:
    reads = {"connector": "event", "key": "n", "create": True}
    for who in ("ada", "bea"):
        with edgekit.open(two, actor=who):
            integrations.create("same", template="csv-import", settings={**reads, "table": f"of_{who}"})
    for who in ("ada", "bea"):
        with edgekit.open(two, actor=who):
            given = {"event_type": "policy.bound", "config": {"integration": "same"}, "max_attempts": 1}
            events.add_subscription(f"for-{who}", handler="event.run", **given)
            events.emit("policy.bound", {"n": 7}, source="MODULES")

    def work(db: Database) -> list[Any]:
        runner.tick()
        return column(db, "SELECT delivery_status FROM event_delivery ORDER BY id")

    with edgekit.open(two, actor="system") as db:
        assert work(db) == ["delivered", "delivered"], [d["error"] for d in events.list_deliveries()]
        runs = "SELECT organization_id FROM integration_execution ORDER BY id"
        assert column(db, runs) == [1, 2]
    with edgekit.open(two, actor="bea"):
        integrations.disable("same")
        events.emit("policy.bound", {"n": 8}, source="MODULES")
    with edgekit.open(two, actor="system") as db:
        assert work(db)[2:] == ["failed"], "what is of the others is not theirs to run"
        assert column(db, runs) == [1, 2]


def test_what_all_share_is_subscribed_by_who_sees_all(two: Path) -> None:
    with edgekit.open(two, actor="system") as db, db.change():
        db.connection().execute(
            "INSERT INTO integration(integration_name, integration_type_id, connection_config,"
            " organization_id) VALUES ('shared', 1, '{\"connector\": \"event\"}', NULL)"
        )
    with edgekit.open(two, actor="bea"), pytest.raises(DeniedError, match="shared by all"):
        events.add_subscription("s", handler="event.run", config={"integration": "shared"})


def test_a_schedule_runs_its_own_integration_whoever_has_one_of_the_name(two: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("n\n1\n", encoding="utf-8")
    for who in ("ada", "bea"):
        with edgekit.open(two, actor=who):
            given = {"path": str(tmp_path / "t.csv"), "table": f"of_{who}", "key": "n", "create": True}
            integrations.create("same", template="csv-import", settings=given)
            runner.add_schedule(f"for-{who}", integration="same")
            runner.run_schedule(f"for-{who}")
    with edgekit.open(two, actor="system") as db:
        runner.tick()
        assert column(db, "SELECT organization_id FROM integration_execution ORDER BY id") == [1, 2]
