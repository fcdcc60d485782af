"""Compiling a schema for the reference and, where they agree, for the fast validator."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from edgekit import pattern
from edgekit.errors import InvalidError
from edgekit.validate.findings import Finding, finding
from edgekit.validate.formats import FORMATS, REMARKS, format_checker
from edgekit.validate.parts import parts, patterns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

MOST_FINDINGS = 100
_TOLD = 6
"""So many findings are told in one error."""
"""How many findings `errors` gives of one document."""


class Validator:
    """A compiled schema: `is_valid(document)` tells, `errors(document)` explains."""

    is_valid: Callable[[Any], bool]
    """Tell whether a document fits the schema. An attribute, for it is asked about every row."""

    def __init__(self, reference: Any, fast: Callable[[Any], bool] | None) -> None:
        self._reference = reference
        self._fast = fast
        self.is_valid = self._fits if fast is None else self._fast_first(fast)

    def _fits(self, document: Any) -> bool:
        return not self.errors(document, most=1)

    def _fast_first(self, fast: Callable[[Any], bool]) -> Callable[[Any], bool]:
        fits = self._fits

        def is_valid(document: Any) -> bool:
            try:
                if fast(document):
                    return True
            except Exception:  # noqa: BLE001, S110 - not JSON to it, such as half a character: the reference says
                pass
            return fits(document)

        return is_valid

    def refused(self, documents: Sequence[Any]) -> list[int]:
        """Return the positions of the documents that do not fit: `is_valid` of a whole page."""
        if self._fast is not None:
            try:
                if all(map(self._fast, documents)):
                    return []
            except Exception:  # noqa: BLE001, S110 - see is_valid, which is asked one by one now
                pass
        is_valid = self.is_valid
        return [position for position, document in enumerate(documents) if not is_valid(document)]

    def errors(self, document: Any, *, most: int = MOST_FINDINGS) -> list[Finding]:
        """Return what is wrong, in the order of the schema, at most that many findings."""
        found: list[Finding] = []
        try:
            for error in self._reference.iter_errors(document):
                found.append(finding(error))
                if len(found) >= most:
                    break
        except pattern.PatternTimeoutError as error:
            found.append(Finding("", "pattern", str(error)))
        except RecursionError:
            found.append(Finding("", "depth", "the document is nested too deeply"))
        return found


def compile(schema: Mapping[str, Any] | bool) -> Validator:  # noqa: A001 - used qualified
    """Compile a schema (draft 2020-12 unless `$schema` says otherwise). Raise InvalidError for a bad one."""
    try:
        text = json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidError(f"a schema must be JSON: {error}") from None
    return _compile(text)


def check_schema(schema: Any, what: str) -> None:
    """Raise InvalidError unless `schema` is a sound JSON Schema; `what` begins the message."""
    try:
        compile(schema)
    except InvalidError as error:
        raise InvalidError(f"{what}: {error.message}", hint=error.hint) from None


def check(schema: Mapping[str, Any] | bool, document: Any, *, what: str) -> None:
    """Raise InvalidError with the first finding, `settings: base_url: "x" is not a URI`; its hint: more."""
    findings = compile(schema).errors(document, most=MOST_FINDINGS)
    if findings:
        more = "; ".join(str(one) for one in findings[1:_TOLD])
        if len(findings) > _TOLD:
            more += f"; and {len(findings) - _TOLD} more"
        raise InvalidError(f"{what}: {findings[0]}", hint=f"Also: {more}." if more else None)


@lru_cache(maxsize=256)
def _compile(text: str) -> Validator:
    from jsonschema import validators
    from jsonschema.exceptions import SchemaError
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

    schema = json.loads(text)
    if not isinstance(schema, (dict, bool)):
        raise InvalidError("a schema is an object, or true or false")
    dialect = schema.get("$schema") if isinstance(schema, dict) else None
    if dialect is not None and not isinstance(dialect, str):
        raise InvalidError("$schema must be text")
    unknown: Any = None
    kind: Any = validators.validator_for(schema, unknown) if dialect else validators.Draft202012Validator
    if kind is None:
        raise InvalidError(f"$schema {dialect!r} is not a known draft of JSON Schema")
    try:
        kind.check_schema(schema, format_checker=format_checker())
    except SchemaError as error:
        raise InvalidError(f"not a JSON Schema: {finding(error)}") from None
    _check_parts(schema)
    reference = _bounded(kind)(schema, format_checker=format_checker(), registry=REGISTRY)
    _check_references(reference, schema)
    return Validator(reference, _fast(schema) if _agrees(schema) else None)


def _check_parts(schema: Any) -> None:
    """Refuse patterns that are none, and references that would be fetched."""
    for part in parts(schema):
        for expression in patterns(part):
            pattern.compile(expression)
        for keyword in ("$ref", "$dynamicRef", "$recursiveRef"):
            target = part.get(keyword)
            if isinstance(target, str) and not target.startswith("#") and not _is_known(target, schema):
                raise InvalidError(
                    f'{keyword} "{target}" is in another place, which is never fetched',
                    hint="copy it into $defs",
                )


def _is_known(target: str, schema: Any) -> bool:
    from jsonschema_specifications import REGISTRY

    own = {part.get("$id") for part in parts(schema)} | {part.get("id") for part in parts(schema)}
    document = target.partition("#")[0]
    return document in REGISTRY or document in own


def _check_references(reference: Any, schema: Any) -> None:
    """Refuse local references to nothing."""
    from referencing.exceptions import Unresolvable

    resolver = reference._resolver  # noqa: SLF001 - the library has no other way to ask before a document comes
    if any("$id" in part for part in parts(schema) if part is not schema):
        return
    for part in parts(schema):
        target = part.get("$ref")
        if isinstance(target, str):
            try:
                resolver.lookup(target)
            except Unresolvable:
                raise InvalidError(f'$ref "{target}" leads nowhere') from None


@lru_cache(maxsize=16)
def _bounded(kind: Any) -> Any:
    """Replace the two keywords that search patterns by ones that stop."""
    from jsonschema.exceptions import ValidationError
    from jsonschema.validators import extend as _extend

    extend: Any = _extend

    def match(_validator: Any, expression: str, instance: Any, _schema: Any) -> Iterator[Any]:
        if isinstance(instance, str) and not pattern.compile(expression)(instance):
            yield ValidationError("does not match")

    def match_names(validator: Any, expressions: Any, instance: Any, _schema: Any) -> Iterator[Any]:
        if isinstance(instance, dict):
            for expression, part in expressions.items():
                for name, value in instance.items():
                    if pattern.compile(expression)(name):
                        yield from validator.descend(value, part, path=name, schema_path=expression)

    return extend(kind, {"pattern": match, "patternProperties": match_names})


# ----------------------------------------------------------------------------------- the fast way


_SAFE_PATTERN = re.compile(r"(?:[\x20-\x7e])*")
_UNSAFE_IN_PATTERN = re.compile(r"\\[^dDw.\-/\[\](){}+*?|^$\\nrt]|\(\?(?!:)|\[[^\]]*\[|&&|--|~~|\[\^?\]")
_UNSURE = frozenset(
    {"$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$vocabulary", "$id", "id"}
)


def _agrees(schema: Any) -> bool:
    """Tell whether both validators are known to answer alike on this schema."""
    for part in parts(schema):
        if _UNSURE & part.keys():
            return False
        if "multipleOf" in part and type(part["multipleOf"]) is not int:
            return False
        if "patternProperties" in part and (
            "unevaluatedProperties" in part or "additionalProperties" in part
        ):
            return False  # the reference looks for additional names with an expression of its own
        for expression in patterns(part):
            if not _SAFE_PATTERN.fullmatch(expression) or _UNSAFE_IN_PATTERN.search(expression):
                return False
    return True


def _fast(schema: Any) -> Callable[[Any], bool] | None:
    try:
        import jsonschema_rs
    except ImportError:
        return None
    formats: dict[str, Callable[[str], bool]] = dict.fromkeys(REMARKS, lambda _text: True)
    try:
        validator = jsonschema_rs.validator_for(
            schema,
            validate_formats=True,
            formats=formats | FORMATS,
            retriever=_never,
            pattern_options=jsonschema_rs.RegexOptions(),
        )
    except Exception:  # noqa: BLE001 - whatever it cannot do, the reference can
        return None
    is_valid: Callable[[Any], bool] = validator.is_valid
    return is_valid


def _never(uri: str) -> Any:
    raise LookupError(uri)
