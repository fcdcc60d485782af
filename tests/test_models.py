"""The models: one per table and true to it, forms of values, signing, and writing inside a change only."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import peewee
import pytest

import edgekit
from edgekit import models, schema
from edgekit.errors import CorruptError, InvalidError, NotFoundError, RuleError

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database

MODELS = [getattr(models, name) for name in models.__all__]
STORED = {
    "AUTO": "INTEGER",
    "INT": "INTEGER",
    "BOOL": "INTEGER",
    "FLOAT": "REAL",
    "TEXT": "TEXT",
    "BLOB": "BLOB",
}
PATTERN = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"


@pytest.fixture(scope="module")
def catalogue() -> sqlite3.Connection:
    connection = schema.pristine()
    connection.row_factory = sqlite3.Row
    return connection


def table_name(model: Any) -> str:
    return str(model._meta.table_name)


def python_default(field: Any) -> object:
    if callable(field.default):
        return {"now": PATTERN, "actor_id": 1, "organization_id": 1, "dict": "{}"}[field.default.__name__]
    return int(field.default) if isinstance(field.default, bool) else field.default


def sql_default(text: str | None) -> object:
    if text is None or text == PATTERN:
        return text
    return text[1:-1] if text.startswith("'") else int(text)


def test_every_table_has_one_model(catalogue: sqlite3.Connection) -> None:
    tables = {
        name
        for (name,) in catalogue.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        if not name.startswith(("sqlite_", "audit_"))  # edgekit.audit reads the log with SQL of its own
    }
    named = [table_name(model) for model in MODELS]
    assert sorted(named) == sorted(tables)


@pytest.mark.parametrize("model", MODELS, ids=table_name)
def test_a_model_has_the_columns_of_its_table(catalogue: sqlite3.Connection, model: Any) -> None:
    found = catalogue.execute("SELECT * FROM pragma_table_info(?)", (table_name(model),)).fetchall()
    in_file = {
        row["name"]: (
            row["type"],
            bool(row["notnull"] or row["pk"]),
            bool(row["pk"]),
            sql_default(row["dflt_value"]),
        )
        for row in found
    }
    in_model = {
        field.column_name: (
            STORED[field.field_type],
            not field.null,
            field.primary_key,
            python_default(field),
        )
        for field in model._meta.sorted_fields
    }
    assert in_model == in_file


@pytest.mark.parametrize("model", MODELS, ids=table_name)
def test_a_model_has_the_keys_of_its_table(catalogue: sqlite3.Connection, model: Any) -> None:
    name = table_name(model)
    in_file = {
        (row["from"], row["table"], row["to"] or "id", row["on_delete"])
        for row in catalogue.execute("SELECT * FROM pragma_foreign_key_list(?)", (name,))
    }
    in_model = {
        (field.column_name, table_name(field.rel_model), field.rel_field.name, field.on_delete or "NO ACTION")
        for field in model._meta.refs
    }
    assert in_model == in_file

    unique = set()
    for row in catalogue.execute("SELECT * FROM pragma_index_list(?)", (name,)).fetchall():
        parts = catalogue.execute("SELECT name FROM pragma_index_info(?)", (row["name"],))
        columns = [column for (column,) in parts]
        if row["unique"] and not row["partial"] and None not in columns:
            unique.add(frozenset(columns))
    single = {frozenset([field.column_name]) for field in model._meta.sorted_fields if field.unique}
    several = {
        frozenset(model._meta.fields[part].column_name for part in parts) for parts, _ in model._meta.indexes
    }
    assert single | several == unique


@pytest.mark.parametrize("model", MODELS, ids=table_name)
def test_a_column_is_read_as_what_it_is_named(model: Any) -> None:
    kinds = {column: type(field).__name__ for column, field in model._meta.columns.items()}
    for column, kind in kinds.items():
        assert (kind == "TimeField") == column.endswith("_at"), column
        assert (kind == "BooleanField") == column.startswith(("is_", "requires_", "applies_to_")), column
        assert (kind == "BlobField") == column.endswith(("_ciphertext", "_zlib")), column
    for reference in model._meta.refs:
        assert reference.object_id_name.endswith("_id")


def customer(**values: Any) -> models.Insured:
    return models.Insured.create(**{"customer_number": "C-1", "name": "Zoë Müller", **values})


def test_a_row_says_who_made_it_and_who_changed_it_last(edge_file: Path) -> None:
    with edgekit.open(edge_file, actor="system") as edge, edge.change():
        maria = models.User.create(username="maria", role=1)
        made = customer()
        assert (made.created_by, made.updated_by) == (1, None)
        assert made.created_at == made.updated_at
    with edgekit.open(edge_file, actor="maria") as edge:
        with edge.change():
            models.User.update(updated_at="2020-01-01T00:00:00.000Z").where(models.User.id == 1).execute()
            row = models.Insured.get()
            row.city = "Bern"
            assert row.save() == 1
            own = customer(customer_number="C-2", created_by=1)
            models.Insured.insert(customer_number="C-3", name="Ann").execute()
            models.Insured.insert_many([{"customer_number": "C-4", "name": "Bo"}]).execute()
        read = models.Insured.get_by_id(row.id)
        assert (read.created_by, read.updated_by) == (1, maria.id)
        assert read.updated_at == row.updated_at >= read.created_at == made.created_at
        assert own.created_by == maria.id, "nobody signs in another's name"
        assert {r.created_by for r in models.Insured.select().where(models.Insured.id > row.id)} == {maria.id}
        with edge.change():
            models.Insured.update(city="Basel").where(models.Insured.customer_number == "C-2").execute()
            models.Insured.insert(customer_number="C-3", name="Ann", organization=1).on_conflict(
                conflict_target=[models.Insured.organization, models.Insured.customer_number],
                update={"city": "Thun"},
            ).execute()
        edited = models.Insured.select().where(models.Insured.city.in_(["Basel", "Thun"]))
        assert [r.updated_by for r in edited] == [maria.id, maria.id]


def test_saving_what_was_not_changed_writes_nothing(edge: Database) -> None:
    with edge.change():
        customer()
    before = edge.query("SELECT * FROM insured")
    with edge.change():
        assert not models.Insured.get().save()
    assert edge.query("SELECT * FROM insured") == before


def test_only_what_was_changed_is_written(edge: Database) -> None:
    with edge.change():
        customer(city="Bern", phone="1")
    stale = models.Insured.get()
    with edge.change():
        models.Insured.update(phone="2").execute()
        stale.city = "Basel"
        stale.save()
    assert edge.query("SELECT city, phone FROM insured") == [{"city": "Basel", "phone": "2"}]


def test_times_are_aware_and_stored_in_one_form(edge: Database) -> None:
    noon = datetime(2026, 7, 1, 14, 0, 0, 123987, tzinfo=timezone(timedelta(hours=2)))
    with edge.change():
        models.Driver.create(last_name="Roe", license_number="1", license_state="NY", verified_at=noon)
    (stored,) = edge.query("SELECT verified_at FROM driver")
    assert stored == {"verified_at": "2026-07-01T12:00:00.123Z"}
    read = models.Driver.get()
    assert read.verified_at == datetime(2026, 7, 1, 12, 0, 0, 123000, tzinfo=UTC)
    assert read.created_at.tzinfo is UTC
    assert models.Driver.select().where(models.Driver.verified_at == read.verified_at).count() == 1
    with pytest.raises(InvalidError, match="names no time zone"), edge.change():
        models.Driver.update(verified_at=datetime(2026, 7, 1)).execute()  # noqa: DTZ001 - that is the mistake
    with pytest.raises(RuleError, match=r"driver\.verified_at must be a UTC time such as"), edge.change():
        models.Driver.update(verified_at="yesterday").execute()


def test_dates_and_booleans_are_python_values(edge: Database) -> None:
    with edge.change():
        models.Policy.create(policy_number="P", effective_date=date(2026, 1, 1), expiration_date="2027-01-01")
    read = models.Policy.get()
    assert (read.effective_date, read.expiration_date) == (date(2026, 1, 1), date(2027, 1, 1))
    assert edge.query("SELECT effective_date FROM policy") == [{"effective_date": "2026-01-01"}]
    assert models.Status.get_by_id(1).is_active is True
    assert models.Status.get_by_id(2).is_active is False
    with pytest.raises(RuleError, match=r"policy\.expiration_date must be a date"), edge.change():
        models.Policy.update(expiration_date="2027-02-30").execute()


def integration(config: Any) -> models.Integration:
    kind = models.IntegrationType.get(code="FILE_IMPORT")
    return models.Integration.create(
        integration_name="files", integration_type=kind, connection_config=config
    )


def test_json_reads_as_a_dict_and_is_stored_readable(edge: Database) -> None:
    config = {"path": "Zürich/家.csv", "columns": ["a", {"b": None}], "size": 1.5}
    with edge.change():
        integration(config)
    (stored,) = edge.query("SELECT connection_config FROM integration")
    assert stored["connection_config"] == json.dumps(config, ensure_ascii=False, separators=(",", ":"))
    read = models.Integration.get().connection_config
    assert isinstance(read, dict)
    assert read == config
    with pytest.raises(InvalidError, match="connection_config cannot be written as JSON"), edge.change():
        models.Integration.update(connection_config={"size": float("nan")}).execute()
    with pytest.raises(RuleError, match="must be a JSON object"), edge.change():
        models.Integration.update(connection_config=["a"]).execute()


def test_json_edited_in_place_is_saved(edge: Database) -> None:
    with edge.change():
        made = integration({"path": "a.csv", "inner": {"n": 1}})
        made.connection_config["path"] = "b.csv"
        made.save()
    read = models.Integration.get()
    assert read.connection_config == {"path": "b.csv", "inner": {"n": 1}}
    read.connection_config["inner"]["n"] = 2
    with edge.change():
        assert read.save() == 1
        assert not read.save(), "nothing is left to write"
    both = models.Integration.select(models.Integration, models.IntegrationType)
    joined = both.join(models.IntegrationType).get()
    assert joined.connection_config["inner"] == {"n": 2}
    joined.connection_config["inner"]["n"] = 3
    with edge.change():
        joined.save()
    assert models.Integration.get().connection_config["inner"]["n"] == 3


def test_what_cannot_be_read_is_damage_and_not_shown(edge: Database) -> None:
    with edge.change():
        customer()
        edge.connection().execute("UPDATE insured SET updated_at = 'secret'")
    with pytest.raises(CorruptError, match="updated_at cannot be read") as caught:
        models.Insured.get()
    assert "secret" not in str(caught.value)


def test_references_cost_a_query_only_when_followed(edge: Database) -> None:
    with edge.change():
        models.Policy.create(
            policy_number="P", insured=customer(), effective_date="2026-01-01", expiration_date="2027-01-01"
        )
    asked: list[str] = []
    edge.connection().set_trace_callback(asked.append)
    policy = models.Policy.get()
    assert (policy.insured_id, policy.organization_id, policy.status_id, policy.created_by) == (1, 1, 1, 1)
    assert len(asked) == 1
    assert policy.insured.name == "Zoë Müller"
    assert len(asked) == 2


def test_a_missing_reference_is_named(edge: Database) -> None:
    with pytest.raises(RuleError) as caught, edge.change():
        models.Policy.create(
            policy_number="P", insured=77, effective_date="2026-01-01", expiration_date="2027-01-01"
        )
    error = caught.value
    assert (error.table, error.column, error.code) == ("policy", "insured_id", "reference")
    with edge.change():
        integration({"path": "a.csv"})
    with pytest.raises(RuleError) as caught, edge.change():
        models.Integration.update(connection_config={}, entity=77).execute()
    error = caught.value
    assert (error.table, error.column, error.code) == ("integration", "entity_id", "reference")


def test_a_write_outside_a_change_is_refused(edge: Database) -> None:
    with edge.change():
        row = customer()
    row.city = "Bern"
    insured = models.Insured
    writes: list[Any] = [
        lambda: customer(customer_number="C-2"),
        row.save,
        row.delete_instance,
        insured.insert(customer_number="C-2", name="A").execute,
        insured.insert_many([{"customer_number": "C-2", "name": "A"}]).execute,
        insured.insert_from(insured.select(insured.name, insured.name), ["customer_number", "name"]).execute,
        insured.update(city="Bern").execute,
        insured.delete().execute,
        lambda: insured.bulk_create([insured(customer_number="C-2", name="A")]),
        lambda: insured.bulk_update([row], [insured.city]),
        lambda: insured.set_by_id(1, {"city": "Bern"}),
        lambda: insured.get_or_create(customer_number="C-2", name="A"),
        insured.replace(customer_number="C-2", name="A").execute,
    ]
    for write in writes:
        with pytest.raises(InvalidError, match="open a change first"):
            write()
    assert edge.query("SELECT count(*) AS n, max(city) AS city FROM insured") == [{"n": 1, "city": None}]
    with edge.change():
        assert row.delete_instance() == 1


def test_without_an_open_file_rows_can_be_made_but_not_written() -> None:
    row = models.Insured(customer_number="C-1", name="Ann")
    assert row.created_by == 1
    with pytest.raises(NotFoundError, match="No file is open"):
        row.save()


def test_models_serve_the_file_opened_last(tmp_path: Path) -> None:
    for name in ("one", "two"):
        path = edgekit.create(tmp_path / f"{name}.db", organization=name)
        with edgekit.open(path):
            assert models.Organization.get_by_id(1).name == name


def test_a_secret_is_bytes_and_in_no_repr(edge: Database) -> None:
    with edge.change():
        key = models.EncryptionKey.create(
            uuid="0" * 36, wrapped_key_ciphertext=b"\x00secret" * 12, master_fingerprint="mk-123456789"
        )
        secret = models.IntegrationCredential.create(
            uuid="1" * 36,
            integration=integration({}),
            environment=1,
            credential_key="password",
            value_ciphertext=b"\x00secret" * 6,
            encryption_key=key,
        )
    assert models.IntegrationCredential.get().value_ciphertext == b"\x00secret" * 6
    assert "secret" not in f"{secret!r} {secret} {key!r}"


def test_every_model_can_be_selected(edge: Database) -> None:
    for model in MODELS:
        list(model.select().limit(5))
    assert isinstance(models.Status.select().get(), peewee.Model)


@pytest.mark.ledger("S4-09")
def test_a_version_rises_with_every_change_of_what_a_row_says(edge: Database) -> None:
    with edge.change():
        kind = models.IntegrationType.get(code="FILE_IMPORT")
        made = models.Integration.create(
            integration_name="book", integration_type=kind, connection_config={"path": "a.csv"}
        )
        line = {"integration": made, "mapping_name": "m", "source_path": "$.a", "target_path": "a"}
        field = models.IntegrationMapping.create(**line)
        way = models.IntegrationPipelineDefinition.create(
            integration=made, pipeline_name="p", pipeline_steps={"steps": []}
        )
    with edge.change():
        for row, change in ((made, "integration_name"), (field, "source_path"), (way, "pipeline_name")):
            kind = type(row)
            row.save()  # nothing was changed
            assert kind.get_by_id(row.id).version == 1
            setattr(row, change, "$.b")
            row.save()
            assert (row.version, kind.get_by_id(row.id).version) == (2, 2)
            kind.update({change: "$.c"}).where(kind.id == row.id).execute()
            assert kind.get_by_id(row.id).version == 3
    with edge.change():
        again = models.Integration.get_by_id(made.id)
        again.connection_config["path"] = "b.csv"
        again.save(only=["connection_config"])
        models.Integration.update(health_status="healthy").where(models.Integration.id == made.id).execute()
        assert models.Integration.get_by_id(made.id).version == 4
