"""Tables of a user's own: made, tracked, edited, let go, and what becomes of them in the life of a file."""

from __future__ import annotations

import json
import lzma
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

import edgekit
from edgekit import audit, clock, db, integrations, rows
from edgekit.cli import root
from edgekit.errors import ConflictError, DeniedError, InvalidError, NotFoundError, RuleError
from edgekit.file.backup import backup
from edgekit.file.doctor import doctor
from edgekit.file.migrate import migrate
from edgekit.file.restore import restore
from edgekit.file.verify import verify

if TYPE_CHECKING:
    from edgekit.db import Database

KINDS = {
    "code": "text", "name": "text!", "price": "real", "bought": "date", "seen_at": "time", "ok": "boolean",
    "more": "json",
}  # fmt: skip


def make(*, refers: bool = False) -> None:
    with db.change(reason="a producer"):
        db.connection().execute("INSERT INTO producer(code, name) VALUES ('A', 'Anna')")
    kinds = KINDS | ({"owner_id": "producer"} if refers else {})
    integrations.create_table("tool", kinds, key=["code"])


def log_of(table: str) -> list[tuple[str, str]]:
    found = audit.entries(db.connection(), table=table)
    return [(entry.action, (entry.reason or "").split(" [")[0]) for entry in reversed(list(found))]


@pytest.mark.usefixtures("edge")
class TestMade:
    def test_it_is_audited_verified_and_edited_like_ours(self, edge: Database) -> None:
        make(refers=True)
        shape = rows.read_shape(db.connection(), "tool")
        assert {name: column.kind for name, column in shape.columns.items()} == {
            "id": "integer", "code": "text", "name": "text", "price": "real", "bought": "date",
            "seen_at": "time", "ok": "boolean", "more": "text", "owner_id": "integer",
        }  # fmt: skip
        made = rows.add("tool", {"code": "X", "name": "Saw", "ok": "yes", "owner": "A"})
        assert (made["ok"], made["owner"]) == (1, "A")
        rows.set_values("tool", "X", {"price": "2.5"})
        assert [action for action, _ in log_of("tool")] == ["I", "U"]
        assert verify(edge.path) == []
        (found,) = integrations.list_tables()
        assert (found.name, found.rows, found.key, found.command) == ("tool", 1, ("code",), "tools")

    @pytest.mark.slow
    def test_its_rules_bind_other_tools(self, shell: sqlite3.Connection) -> None:
        make(refers=True)
        shell.execute("INSERT INTO tool(code, name, owner_id) VALUES ('Y', 'Axe', 1)")
        add = "INSERT INTO tool(code, name, {}) VALUES ('X', 'Saw', {})"
        for statement, said in (
            (add.format("bought", "'31.1.2026'"), "tool.bought.date"),
            (add.format("seen_at", "'2026-01-31'"), "tool.seen_at.time"),
            (add.format("ok", "2"), "tool.ok.boolean"),
            (add.format("more", "'{'"), "tool.more.json"),
            (add.format("owner_id", "9"), "There is no producer"),
            ("INSERT INTO tool(code) VALUES ('X')", "tool.name"),
            ("DELETE FROM producer WHERE code = 'A'", "refer to this row"),
        ):
            with pytest.raises(sqlite3.IntegrityError, match=said):
                shell.execute(statement)
        integrations.untrack_table("tool")
        shell.execute("UPDATE tool SET owner_id = NULL")
        shell.execute("DELETE FROM producer WHERE code = 'A'")

    def test_it_is_made_from_a_file_with_its_rows(self, edge: Database, tmp_path: Path) -> None:
        path = tmp_path / "towns.csv"
        path.write_text("code,Town Name,size,born\nZH,Zürich,3,2020-01-01\nBE,Bern,4,\n", encoding="utf-8")
        made = integrations.create_table_from("town", str(path), kinds={"born": "date"}, key=["code"])
        assert made.columns == {
            "id": "INTEGER", "code": "TEXT", "Town_Name": "TEXT", "size": "INTEGER", "born": "TEXT",
        }  # fmt: skip
        assert db.query("SELECT Town_Name, size FROM town ORDER BY id") == [
            {"Town_Name": "Zürich", "size": 3}, {"Town_Name": "Bern", "size": 4},
        ]  # fmt: skip
        path.write_text("code,size\nZH,3\nBE,many\n", encoding="utf-8")
        with pytest.raises(InvalidError, match=r"towns\.csv, line 3: size"):
            integrations.create_table_from("other", str(path), kinds={"size": "integer"}, key=["code"])
        path.write_text("code,size\nZH,3\nBE,1\nZH,4\n", encoding="utf-8")
        with pytest.raises(InvalidError, match="1 of its rows have the code of another one"):
            integrations.create_table_from("other", str(path), key=["code"])
        assert [table.name for table in integrations.list_tables()] == ["town"]
        for place in ("-", "https://example.org/towns.csv"):
            with pytest.raises(InvalidError, match="name a file of this machine"):
                integrations.create_table_from("other", place, key=["code"])

    def test_what_no_table_can_be_is_said(self) -> None:
        with db.change(reason="a view"):
            db.connection().execute("CREATE TABLE plain(a)")
        for name, columns, key, said in (
            ("my table", {"a": "text"}, [], "cannot be a table's name"),
            ("tool", {}, [], "has no columns"),
            ("tool", {"a b": "text"}, [], "cannot be a column's name"),
            ("tool", {"a": "txt"}, [], "of no kind txt"),
            ("tool", {"id": "text"}, [], "column id is made by itself"),
            ("tool", {"a": "text"}, ["b"], "key of tool has no column b"),
            ("tool", {"a": "text", "A": "text"}, [], "two columns of one name"),
        ):
            with pytest.raises(InvalidError, match=said):
                integrations.create_table(name, columns, key=key)
        with pytest.raises(ConflictError, match="already a table plain"):
            integrations.create_table("plain", {"a": "text"})


def own(edge: Database, *statements: str) -> None:
    """Do what another program would."""
    shell = sqlite3.connect(edge.path, isolation_level=None)
    for statement in statements:
        shell.execute(statement)
    shell.close()


@pytest.mark.usefixtures("edge")
class TestTracked:
    def test_a_table_of_another_program_is_followed_with_the_rows_it_has(self, edge: Database) -> None:
        own(edge, 'CREATE TABLE "my notes"(nr INTEGER PRIMARY KEY, text)',
            "INSERT INTO \"my notes\" VALUES (7, 'a'), (9, 'b')")  # fmt: skip
        assert [(t.name, t.tracked) for t in integrations.list_tables()] == [("my notes", False)]
        found = integrations.track_table("MY NOTES")
        assert (found.name, found.tracked, found.rows, found.command) == ("my notes", True, 2, None)
        own(edge, "UPDATE \"my notes\" SET text = 'c' WHERE nr = 7")
        assert [action for action, _ in log_of("my notes")] == ["I", "I", "U"]
        with pytest.raises(ConflictError, match="tracked already"):
            integrations.track_table("my notes")

    def test_one_the_file_cannot_follow_is_one_line(self, edge: Database) -> None:
        for definition, said in (
            ("t1(code TEXT PRIMARY KEY)", "no column that is INTEGER PRIMARY KEY"),
            ("t3(a, b, PRIMARY KEY (a, b)) WITHOUT ROWID", "no column that is INTEGER PRIMARY KEY"),
            ("t4(id INTEGER PRIMARY KEY, a UNIQUE ON CONFLICT REPLACE)", "ON CONFLICT REPLACE"),
            ("t5(id INTEGER PRIMARY KEY, a)", "a trigger of its own, shout"),
        ):
            own(edge, f"CREATE TABLE {definition}")
            if definition.startswith("t5"):
                own(edge, "CREATE TRIGGER shout AFTER INSERT ON t5 BEGIN UPDATE t5 SET a = upper(a); END")
            with pytest.raises(InvalidError, match=said):
                integrations.track_table(definition[:2])
        assert db.query("SELECT 1 FROM tracked_table") == []

    def test_ours_and_none_are_refused(self, edge: Database) -> None:
        own(edge, "CREATE VIEW few AS SELECT 1 AS a")
        with pytest.raises(InvalidError, match="of edgekit's own"):
            integrations.track_table("policy")
        for name in ("few", "nothing"):
            with pytest.raises(NotFoundError, match=f"no table {name}"):
                integrations.track_table(name)
        with pytest.raises(NotFoundError, match="not tracked"):
            integrations.untrack_table("nothing")

    def test_let_go_its_past_stays_readable_and_it_may_come_back(self, edge: Database) -> None:
        make()
        with db.change(reason="first"):
            db.connection().execute(
                "INSERT INTO tool(code, name, price) VALUES ('X', 'Saw', 1), ('Y', 'Axe', 2)"
            )
        with db.change(reason="second"):
            db.connection().execute("UPDATE tool SET price = 5 WHERE code = 'X'")
        moment = db.query("SELECT max(performed_at) AS at FROM audit_transaction")[0]["at"]
        while clock.now_text() <= moment:
            pass  # for what comes to be later, by the clock
        with db.change(reason="later"):
            db.connection().execute("UPDATE tool SET price = 6 WHERE code = 'X'")
        assert integrations.untrack_table("tool") == 2
        own(edge, "DELETE FROM tool WHERE code = 'Y'", "UPDATE tool SET price = 7, name = 'Big saw'",
            "INSERT INTO tool(code, name) VALUES ('Z', 'Vise')")  # fmt: skip

        def then() -> list[tuple[Any, ...]]:
            found = audit.as_of(db.connection(), moment, "tool")
            return [(row["code"], row["name"], row["price"]) for row in found]

        before = [("X", "Saw", 5.0), ("Y", "Axe", 2.0)]
        assert then() == before
        integrations.track_table("tool")
        assert then() == before
        assert log_of("tool")[-4:] == [
            ("D", "tables untrack tool"), ("D", "tables untrack tool"),
            ("I", "tables track tool"), ("I", "tables track tool"),
        ]  # fmt: skip
        audit.seal(db.connection())
        assert verify(edge.path) == []

    def test_renamed_by_another_program_it_goes_on_under_its_new_name(self, edge: Database) -> None:
        own(edge, "CREATE TABLE note(id INTEGER PRIMARY KEY, text)")
        integrations.track_table("note")
        own(edge, "ALTER TABLE note RENAME TO memo")
        with pytest.raises(InvalidError, match="a trigger of its own, note_audit_delete"):
            integrations.track_table("memo")
        integrations.untrack_table("note")
        integrations.track_table("memo")
        own(edge, "INSERT INTO memo(text) VALUES ('a')")
        assert (log_of("note"), [action for action, _ in log_of("memo")]) == ([], ["I"])
        assert verify(edge.path) == []

    @pytest.mark.slow
    def test_dropped_by_another_program_it_is_missed_and_can_be_let_go(self, edge: Database) -> None:
        make(refers=True)
        own(edge, "DROP TABLE tool")
        assert "Table tool is missing." in verify(edge.path)
        advice = {finding.what: finding.do for finding in doctor(edge.path)}["Table tool is missing."]
        assert advice is not None
        assert advice.endswith("edgekit tables untrack tool")
        assert [(t.name, t.missing) for t in integrations.list_tables()] == [("tool", True)]
        assert integrations.untrack_table("tool") == 0
        assert verify(edge.path) == []


def test_a_user_of_one_organization_sees_its_own_tables_alone(edge: Database) -> None:
    make()
    with db.change(reason="others"):
        shell = db.connection()
        shell.execute("INSERT INTO organization(code, name) VALUES ('OTHER', 'Other')")
        shell.execute(
            "INSERT INTO user(username, organization_id, role_id) SELECT 'bea', o.id, r.id"
            " FROM organization o, role r WHERE o.code = 'OTHER' AND r.code = 'ADMIN'"
        )
    edge.close()
    with edgekit.open(edge.path, actor="bea"):
        assert integrations.list_tables() == []
        with pytest.raises(NotFoundError, match="not tracked"):
            integrations.untrack_table("tool")
        integrations.create_table("plant", {"code": "text"}, key=["code"])
        assert [table.name for table in integrations.list_tables()] == ["plant"]
        with pytest.raises(DeniedError, match="refers to producer"):
            integrations.create_table("pot", {"owner_id": "producer"})
        assert integrations.untrack_table("plant") == 0
        integrations.track_table("plant")
    assert verify(edge.path) == []


@pytest.mark.slow
def test_a_backup_keeps_them(edge: Database, tmp_path: Path) -> None:
    make(refers=True)
    with db.change(reason="rows"):
        db.connection().execute("INSERT INTO tool(code, name, owner_id) VALUES ('X', 'Saw', 1)")
    kept = backup(edge.path, tmp_path / "kept.zip")
    edge.close()
    restored = tmp_path / "restored.db"
    restore(kept.path, restored)
    assert verify(restored) == []
    shell = sqlite3.connect(restored, isolation_level=None)
    with pytest.raises(sqlite3.IntegrityError, match="There is no producer"):
        shell.execute("UPDATE tool SET owner_id = 9")
    shell.close()


@pytest.mark.slow
def test_a_file_of_an_older_schema_takes_them_along(tmp_path: Path) -> None:
    path = tmp_path / "agency.db"
    path.write_bytes(lzma.decompress((Path(__file__).parent / "data" / "agency_v3.db.xz").read_bytes()))
    shell = sqlite3.connect(path, isolation_level=None)
    definition = (
        "CREATE TABLE note(id INTEGER PRIMARY KEY, text TEXT, producer_id INTEGER REFERENCES producer(id))"
    )
    shell.execute(definition)
    shell.execute("INSERT INTO note VALUES (1, 'kept', (SELECT min(id) FROM producer))")
    shell.execute("INSERT INTO audit_table(id, name) VALUES (1000, 'note')")
    shell.execute("INSERT INTO tracked_table(name, create_sql) VALUES ('note', ?)", (definition,))
    shell.execute(
        "INSERT INTO audit_log(txn_id, table_id, record_key, action)"
        " SELECT max(id), 1000, 1, 'I' FROM audit_transaction"
    )
    shell.execute("CREATE TRIGGER note_audit_insert AFTER INSERT ON note BEGIN SELECT 'as it was then'; END")
    shell.close()
    migrate(path)
    assert verify(path) == []
    with edgekit.open(path):
        assert db.query("SELECT text FROM note") == [{"text": "kept"}]
        with pytest.raises(RuleError), db.change(reason="too much"):
            db.connection().execute("INSERT INTO note(text, producer_id) VALUES ('lost', 999)")
        with db.change(reason="edit"):
            db.connection().execute("UPDATE note SET text = 'changed'")
        assert log_of("note")[-1] == ("U", "edit")


def test_the_commands(edge: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edge.close()
    monkeypatch.chdir(tmp_path)

    def ask(*words: str, code: int = 0) -> str:
        answer = CliRunner().invoke(root.edgekit, ["--db", str(edge.path), *words], prog_name="edgekit")
        assert answer.exit_code == code, answer.output
        return answer.output

    assert "no tables of your own" in ask("tables", "list")
    assert ask("tables", "create", "tool", "code:text", "price:real", "--key", "code") == (
        "Made tool. See: edgekit tools list\n"
    )
    ask("tools", "add", "code=X", "price=2")
    assert json.loads(ask("tools", "list", "--json"))[0]["price"] == 2.0
    (found,) = json.loads(ask("tables", "list", "--json"))
    assert (found["name"], found["tracked"], found["command"]) == ("tool", True, "tools")
    assert "Its 1 rows stay" in ask("tables", "untrack", "tool")
    ask("tools", "list", code=2)
    assert "with 1 rows" in ask("tables", "track", "tool")
    assert "is no COLUMN:KIND" in ask("tables", "create", "t", "a", code=2)
    assert "error: There is no table nothing." in ask("tables", "track", "nothing", code=3)
