"""What every model shares: the fields that read and write our forms, and the writing inside a change.

The tables are made by `schema/*.sql`; the models only map onto them. A test holds both together.
"""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import peewee

from edgekit import clock, db, masking
from edgekit.binding import proxy
from edgekit.errors import CorruptError, InvalidError, NotFoundError
from edgekit.models import documents

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def _unreadable(column: str, kind: str) -> CorruptError:
    """The value itself is not shown: it may be a person's."""
    return CorruptError(f"A value of {column} cannot be read: it is no {kind}.", hint="Run: edgekit verify")


class TimeField(peewee.Field):
    """An aware time, stored as UTC text with milliseconds. Text is stored as it is, for the file to judge."""

    field_type = "TEXT"

    def db_value(self, value: datetime | str | None) -> str | None:
        """Write a time as the file stores it. Raise InvalidError if it names no zone."""
        if value is None or isinstance(value, str):
            return value
        if value.tzinfo is None:
            raise InvalidError(
                f"{self.name}: the time {value} names no time zone.", hint="Use edgekit.clock.now()."
            )
        return clock.to_text(value)

    def python_value(self, value: str | None) -> datetime | None:
        """Read a stored time."""
        if value is None:
            return None
        try:
            return clock.from_text(value)
        except (ValueError, TypeError) as error:
            raise _unreadable(self.name, "time") from error


class DateField(peewee.Field):
    """A day, stored as `2026-01-31`. Text is stored as it is, for the file to judge."""

    field_type = "TEXT"

    def db_value(self, value: date | str | None) -> str | None:
        """Write a day as the file stores it."""
        if isinstance(value, datetime):
            return value.date().isoformat()
        return value.isoformat() if isinstance(value, date) else value

    def python_value(self, value: str | None) -> date | None:
        """Read a stored day."""
        if value is None:
            return None
        try:
            return date.fromisoformat(value)
        except (ValueError, TypeError) as error:
            raise _unreadable(self.name, "date") from error


class Document(dict[str, Any]):
    """A JSON object out of the file, with its stored text, so that saving sees what was edited in place."""

    __slots__ = ("stored",)

    def __init__(self, content: dict[str, Any], stored: str) -> None:
        super().__init__(content)
        self.stored = stored

    @property
    def is_edited(self) -> bool:
        """Whether it says something else than its stored text."""
        return _dump(self) != _dump(json.loads(self.stored))


class JsonField(peewee.Field):
    """A JSON object as a dict, stored as compact text with every letter readable."""

    field_type = "TEXT"

    def db_value(self, value: Any) -> Any:
        """Write JSON text; text is taken to be that already. Raise InvalidError if JSON cannot say it."""
        if value is None or isinstance(value, str | peewee.Node):
            return value
        try:
            return _dump(value)
        except (TypeError, ValueError) as error:
            raise InvalidError(f"{self.name} cannot be written as JSON: {error}") from error

    def python_value(self, value: str | None) -> Any:
        """Read JSON text."""
        if value is None:
            return None
        try:
            content = json.loads(value)
        except ValueError as error:
            raise _unreadable(self.name, "JSON object") from error
        return Document(content, value) if isinstance(content, dict) else content


class SchemaField(JsonField):
    """A JSON Schema, which is refused when it is none."""

    def db_value(self, value: Any) -> Any:
        """Write a JSON Schema. Raise InvalidError if it is none, saying where."""
        if value is not None and not isinstance(value, peewee.Node):
            from edgekit import validate  # what checks it costs as much to import as all models

            try:
                validate.check_schema(json.loads(value) if isinstance(value, str) else value, self.name)
            except ValueError as error:
                raise InvalidError(f"{self.name} is not JSON: {error}") from error
        return super().db_value(value)


class MaskedField(peewee.TextField):
    """A text that is logged: without secrets, and without what tells of a person."""

    def db_value(self, value: Any) -> Any:
        """Write the text as it may be read."""
        return masking.text(value) if isinstance(value, str) else value


class MaskedJsonField(JsonField):
    """A JSON object that is logged: masked by its keys."""

    def db_value(self, value: Any) -> Any:
        """Write the object as it may be read."""
        return super().db_value(masking.document(value) if isinstance(value, dict) else value)


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def reference(model: Any, **options: Any) -> Any:
    """Refer to another model, named by a string if it is declared later. `row.<name>_id` costs no query."""
    options.setdefault("backref", "+")
    if isinstance(model, str) and model != "self":
        declared = _find(Row, model)
        if declared is None:
            return peewee.DeferredForeignKey(model, **options)
        model = declared
    return peewee.ForeignKeyField(model, **options)


def _find(base: Any, name: str) -> Any:
    """Find a model by name: a deferred reference waits for those to come and never sees one that is there."""
    for model in base.__subclasses__():
        if found := model if model.__name__ == name else _find(model, name):
            return found
    return None


def user_reference(**options: Any) -> Any:
    """Refer to the user whom a column such as `created_by` names; the attribute is the id, no query."""
    return reference("User", lazy_load=False, **options)


def now() -> datetime:
    """Return the current time as it will read back: to the millisecond."""
    return clock.from_text(clock.now_text())


def actor_id() -> int:
    try:
        return db.current().actor_id
    except NotFoundError:
        return 1  # a row made in memory, with no file open; saving it sets who it was


def organization_id() -> int:
    """Return whose a row is that says nothing of it: that of the user, the first for who sees all."""
    try:
        return db.current().session.organization_id
    except NotFoundError:
        return 1


def _require_change() -> None:
    if db.current().open_change is None:
        raise InvalidError("open a change first: a row is written only inside db.change()")


class _InChange:
    """A query that writes, and so refuses to run outside a change."""

    def _execute(self, database: Any) -> Any:
        _require_change()
        return super()._execute(database)  # type: ignore[misc]


class _Insert(_InChange, peewee.ModelInsert):
    def on_conflict(self, *args: Any, **options: Any) -> Any:
        """Say what to do where the row is there already; an update is signed like any other."""
        if options.get("update") or options.get("preserve"):
            options["update"] = {**self.model.signed(), **(options.get("update") or {})}
        return super().on_conflict(*args, **options)


class _Update(_InChange, peewee.ModelUpdate):
    pass


class _Delete(_InChange, peewee.ModelDelete):
    pass


class Row(peewee.Model):
    """A row of one of our tables, written only inside `db.change()`."""

    if TYPE_CHECKING:  # what peewee has and its stubs leave out
        id: int
        _dirty: set[str]
        _pk: Any

        @classmethod
        def _normalize_data(cls, data: Any, values: dict[str, Any]) -> dict[Any, Any]: ...

    class Meta:
        database = proxy
        legacy_table_names = False
        only_save_dirty = True

    @classmethod
    def signed(cls) -> dict[str, Any]:
        """Return the columns an update sets to say who and when."""
        return {}

    @classmethod
    def insert(cls, data: Any = None, /, **values: Any) -> Any:
        """Return the query that inserts one row."""
        return _Insert(cls, cls._normalize_data(data, values))

    @classmethod
    def insert_many(cls, rows: Any, fields: Any = None) -> Any:
        """Return the query that inserts many rows."""
        return _Insert(cls, insert=rows, columns=fields)

    @classmethod
    def insert_from(cls, query: Any, fields: Any) -> Any:
        """Return the query that inserts what another selects; it signs nothing of its own accord."""
        columns = [getattr(cls, field) if isinstance(field, str) else field for field in fields]
        return _Insert(cls, insert=query, columns=columns)

    @classmethod
    def update(cls, data: Any = None, /, **values: Any) -> Any:
        """Return the query that updates rows, signed."""
        signed = {cls._meta.fields[name]: value for name, value in cls.signed().items()}
        return _Update(cls, {**signed, **cls._normalize_data(data, values)})

    @peewee.classmethod_only  # type: ignore[arg-type]
    def delete(cls) -> Any:  # noqa: N805 - a class method, which peewee refuses on an instance
        """Return the query that deletes rows."""
        return _Delete(cls)

    def save(self, force_insert: bool = False, only: Any = None) -> Any:
        """Write the row: all of it if it is new, else what was changed."""
        _require_change()
        self._find_edited()
        if force_insert or self._pk is None:
            self._sign_new()
        elif self._dirty and (signed := self.signed()):
            for name, value in signed.items():
                setattr(self, name, value)
            only = None if only is None else [*only, *signed]
        self._check_documents()
        saved = super().save(force_insert=force_insert, only=only)
        self._note_stored()
        return saved

    @classmethod
    def completed(cls, row: Mapping[str, Any], written: Collection[str]) -> dict[str, Any]:
        """Return the columns that follow from those written, as stored; `row` is as it will be."""
        return {}

    @classmethod
    def check_schemas(cls, written: Mapping[str, Any]) -> None:
        """Raise InvalidError for a column written that holds a JSON Schema which is none."""
        for name, field in cls._meta.columns.items():
            if isinstance(field, SchemaField):
                field.db_value(written.get(name))

    @classmethod
    def settle(cls, row: Mapping[str, Any]) -> None:
        """Write, in the open change, what follows in other tables from a row that was written."""

    def _sign_new(self) -> None:
        """Set who made the row, where the table has room for it."""

    def _check_documents(self) -> None:
        """Look at JSON columns that follow the schema of the row's type."""
        if self._meta.table_name in documents.FOLLOWED:
            fields = self._meta.fields
            row = {fields[name].column_name: value for name, value in self.__data__.items()}
            documents.check(self._meta.table_name, row, {fields[name].column_name for name in self._dirty})

    def _find_edited(self) -> None:
        """Mark JSON objects that were edited in place, which an assignment would have marked."""
        for name, value in self.__data__.items():
            if isinstance(value, Document) and name not in self._dirty and value.is_edited:
                self._dirty.add(name)

    def _note_stored(self) -> None:
        for name, value in self.__data__.items():
            if isinstance(value, dict) and name not in self._dirty:
                self.__data__[name] = Document(value, _dump(value))


class EditedRow(Row):
    """A row that says who made it and who changed it last. The change sets all four."""

    created_by: Any = user_reference(column_name="created_by", default=actor_id)
    updated_by: Any = user_reference(column_name="updated_by", null=True)
    created_at: Any = TimeField(default=now)
    updated_at: Any = TimeField(default=now)

    @classmethod
    def signed(cls) -> dict[str, Any]:
        """Return who updates and when."""
        return {"updated_by": actor_id(), "updated_at": now()}

    def _sign_new(self) -> None:
        self.created_by = actor_id()
        self.updated_at = self.created_at


class BusinessRow(EditedRow):
    """A row with a life cycle: active while its status is one that counts as active."""

    status: Any = reference("Status", default=1)
    status_id: int


class VersionedRow(BusinessRow):
    """A row whose `version` rises by one with every change of what it says; its versions are in the log."""

    version: Any = peewee.IntegerField(default=1)

    unversioned: ClassVar[frozenset[str]] = frozenset()
    """Fields that tell how the row fares, not what it says."""

    @classmethod
    def update(cls, data: Any = None, /, **values: Any) -> Any:
        """Return the query that updates rows, signed and as their next version."""
        changed = cls._normalize_data(data, values)
        if {field.name for field in changed} - cls.unversioned - {"version", *cls.signed()}:
            changed = {**changed, cls._meta.fields["version"]: cls.version + 1}
        return super().update({field.name: value for field, value in changed.items()})

    def save(self, force_insert: bool = False, only: Any = None) -> Any:
        """Write the row, as its next version if it says something else."""
        self._find_edited()
        is_new = force_insert or self._pk is None
        if not is_new and self._dirty - self.unversioned - {"version"}:
            self.version += 1
            only = None if only is None else [*only, "version"]
        return super().save(force_insert=force_insert, only=only)


class ReferenceRow(BusinessRow):
    """One value of a set that a person may add to."""

    code: Any = peewee.TextField(unique=True)
    name: Any = peewee.TextField()
    description: Any = peewee.TextField(null=True)
