"""What becomes of one value: default, checks, rules, conversion, and what an error means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import jsonpath
from edgekit.errors import InvalidError
from edgekit.mapping.checks import compile_checks
from edgekit.mapping.convert import TYPES, converter
from edgekit.mapping.field import ABSENT, DIRECTIONS, ERROR_HANDLING, FieldError, Refused, is_secret, shown
from edgekit.mapping.kinds import MAPPING_TYPES, compile_kind

if TYPE_CHECKING:
    from edgekit.mapping.convert import Converter
    from edgekit.mapping.field import FieldMapping


class Field:
    """One field, ready to run: `extract(record)`, then `process(value, record)`.

    A missing value is one whose path matches nothing, null, or an empty text (unless a rule says
    `keep_empty`). It takes the default; without one it is an error where the field is required, otherwise
    null. The default goes through checks, rules and conversion as any value does; one they refuse is taken
    as the target's own form.
    """

    def __init__(self, mapping: FieldMapping, column: str, *, as_text: bool = True) -> None:
        self.name = mapping.name
        self.column = column
        self.source_path = mapping.source_path
        self.path = jsonpath.compile(mapping.source_path)
        self.required = bool(mapping.is_required)
        self.handling = _known(mapping.error_handling, ERROR_HANDLING, "error handling")
        _known(mapping.direction, DIRECTIONS, "direction")
        options = mapping.transformation_rules
        kind = _known(mapping.mapping_type, MAPPING_TYPES, "mapping type")
        self.kind = kind
        self.rules = compile_kind(kind, options, as_text=as_text)
        self.keep_empty = bool(options and options.get("keep_empty"))
        secret = bool(
            (options and options.get("secret")) or is_secret(mapping.name, column, mapping.source_path)
        )
        self.secret = secret or kind in {"object", "array"}  # what may stand inside is not known by name
        self.check_source, self.check_target = compile_checks(mapping.validation_rules)
        self.source_type = _type(mapping.source_data_type)
        self.target_type = _type(mapping.target_data_type)
        self.convert = self._converter()
        self.has_default = mapping.default_value is not None
        self.default = self._default(mapping.default_value) if self.has_default else None

    @property
    def takes_list(self) -> bool:
        """Whether the rules want all matches of a path with many, instead of the first."""
        return self.path.segments is None and self.rules is not None and self.rules.takes_list

    @property
    def plain(self) -> bool:
        """Whether nothing at all is to be done with the value."""
        return not (self.required or self.has_default or self.rules or self.convert) and not (
            self.check_source or self.check_target
        )

    def extract(self, record: Any) -> Any:
        """Return the value at the path or None; a list of all matches where the rules want it."""
        if self.takes_list:
            return self.path.find(record) or None
        value = self.path.first(record)
        return None if value is jsonpath.MISSING else value

    def run(self, record: Any) -> Any:
        """Extract and process in one go."""
        try:
            value = self.extract(record)
        except InvalidError as error:
            return self._failed(Refused("path", f"cannot be found: {error.message}"), None)
        return self.process(value, record)

    def process(self, value: Any, record: Any) -> Any:
        """Return what to write, or ABSENT. Raise FieldError where the field says that an error fails."""
        try:
            return self._value(value, record)
        except Refused as refused:
            return self._failed(refused, value)
        except InvalidError as error:
            return self._failed(Refused("path", f"cannot be found: {error.message}"), value)

    def _value(self, value: Any, record: Any) -> Any:
        rules = self.rules
        if value is None or (value == "" and not self.keep_empty):
            if rules is None or not rules.always:
                return self._missing()
            value = None
        elif self.check_source is not None:
            self.check_source(value)
        if rules is not None:
            value = rules.apply(value, record)
            if value is None or (value == "" and not self.keep_empty):
                return self._missing()
        if self.convert is not None:
            value = self.convert(value)
        if self.check_target is not None:
            self.check_target(value)
        return value

    def _finish(self, value: Any) -> Any:
        if self.convert is not None:
            value = self.convert(value)
        if self.check_target is not None:
            self.check_target(value)
        return value

    def _missing(self) -> Any:
        if self.has_default:
            return self.default
        if self.required:
            raise Refused("required", "")
        return None

    def _failed(self, refused: Refused, value: Any) -> Any:
        if self.handling == "skip":
            return ABSENT
        if self.handling == "null":
            return None
        if self.handling == "default":
            return self.default
        if refused.code == "required":
            message = f"{self.column} is required, and {self.source_path} is missing or empty"
        else:
            message = f"{self.column}: {shown(value, secret=self.secret)} {refused.text}"
        raise FieldError(
            message, error_code=refused.code, column=self.column, source_path=self.source_path
        ) from None

    def _converter(self) -> Converter | None:
        """Choose the conversion; rules see the value as it came, so the source type says nothing then."""
        if self.rules is None:
            return converter(self.source_type, self.target_type)
        if self.target_type is None or self.rules.gives in {"id", self.target_type}:
            return None
        return TYPES[self.target_type]

    def _default(self, default: Any) -> Any:
        try:
            return self._finish(self._ruled(default))
        except Refused:
            pass
        try:
            value = TYPES[self.target_type](default) if self.target_type else default
            if self.check_target is not None:
                self.check_target(value)
        except Refused as refused:
            raise InvalidError(f"the default {shown(default, secret=self.secret)} {refused.text}") from None
        return value

    def _ruled(self, default: Any) -> Any:
        if self.check_source is not None:
            self.check_source(default)
        if self.rules is None or self.rules.always:
            return default
        value = self.rules.apply(default, None)
        return default if value is None else value


def _known(word: str, known: tuple[str, ...], what: str) -> str:
    if word not in known:
        raise InvalidError(f"{what} {word!r} is unknown", hint="known are " + ", ".join(known))
    return word


def _type(name: str | None) -> str | None:
    if name is not None and name not in TYPES:
        raise InvalidError(f"data type {name!r} is unknown", hint="known are " + ", ".join(TYPES))
    return name
