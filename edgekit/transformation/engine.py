"""Compiling and applying a transformation: the one contract of the five languages."""

from __future__ import annotations

import dataclasses
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from edgekit import codec, validate
from edgekit.errors import InvalidError, TransformationError
from edgekit.transformation import asking, failing
from edgekit.transformation.limits import Limits, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LANGUAGES = ("jmespath", "jsonpath", "javascript", "python", "sql")

_EXTRAS = {"javascript": ("quickjs", "javascript"), "python": ("pydantic_monty", "python-scripts")}
_BATCH = 1000
_CHECKING = 5.0  # seconds a script may take with an empty record while it is only read


def compile(  # noqa: A001 - used qualified, as in the standard library
    language: str,
    text: str,
    *,
    limits: Limits | None = None,
    input_schema: Mapping[str, Any] | None = None,
    output_schema: Mapping[str, Any] | None = None,
    error_output_schema: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> Transformation:
    """Read a script. The schemas are of what it sees, gives, and of what a failure yields.

    Raise InvalidError for a bad schema and a language that is unknown or not installed, TransformationError
    with the code `syntax` where the text is not of the language. JavaScript and SQL are read when they are
    first applied, or by `check`.
    """
    if language not in LANGUAGES:
        raise InvalidError(f"{language!r} is no language.", hint=f"Languages are: {', '.join(LANGUAGES)}.")
    module, extra = _EXTRAS.get(language, (None, None))
    if module is not None and find_spec(module) is None:
        raise InvalidError(
            f"{language} scripts need a package that is not installed.",
            hint=f"Install them: pip install 'edgekit[{extra}]'",
        )
    schemas = (input_schema, output_schema, error_output_schema)
    for what, schema in zip(("input", "output", "error output"), schemas, strict=True):
        if schema is not None:
            validate.check_schema(schema, f"the {what} schema")
    if error_output_schema is not None:
        failing.check(error_output_schema)
    return Transformation(language, text, limits or Limits(), schemas, name)


class Transformation:
    """A script ready to be applied; use it from any thread."""

    def __init__(
        self,
        language: str,
        text: str,
        limits: Limits,
        schemas: tuple[Mapping[str, Any] | None, ...],
        name: str | None,
    ) -> None:
        self.language = language
        self.text = text
        self.limits = limits
        self.name = name
        given, gives, self._error_schema = schemas
        self._columns = tuple((given or {}).get("properties", {})) if language == "sql" else ()
        self._input = None if given is None else validate.compile(dict(given))
        self._output = None if gives is None else validate.compile(dict(gives))
        self._direct: Callable[[Any], Any] | None = None
        self._script: Any = None
        try:
            self._read()
        except Refusal as refusal:
            raise self._error(refusal) from None

    def _read(self) -> None:
        if not self.text.strip():
            raise Refusal("syntax", "is empty")
        if self.language == "python":
            from edgekit.transformation.python import Script

            self._script = Script(self.text)
        elif self.language in {"jmespath", "jsonpath"}:
            from edgekit.transformation import paths

            compile_text = getattr(paths, f"compile_{self.language}")
            self._direct = compile_text(self.text)

    @property
    def is_direct(self) -> bool:
        """Whether the expression is so plain that it is answered in this process, several times as fast."""
        return self._direct is not None

    def apply(self, record: Any) -> Any:
        """Return what the script gives for one record. Raise TransformationError."""
        answer = self.apply_many([record])[0]
        if isinstance(answer, TransformationError):
            raise answer
        return answer

    def apply_many(self, records: Sequence[Any]) -> list[Any | TransformationError]:
        """Return what the script gives for each record, or why it gives nothing.

        The limit of time holds for each thousand of them. A record on which it runs out is the one refused,
        and the time begins anew behind it; after the third the rest is refused without being begun.
        """
        answers: list[Any | Refusal] = list(records)
        if self._input is not None:
            for place in self._input.refused(answers):
                answers[place] = self._unfit("input", self._input, records[place])
        places = [place for place, answer in enumerate(answers) if not isinstance(answer, Refusal)]
        for start in range(0, len(places), _BATCH):
            part = places[start : start + _BATCH]
            found = self._evaluate([records[place] for place in part], self.limits)
            for place, answer in zip(part, found, strict=True):
                answers[place] = answer
        if self._output is not None:
            places = [place for place in places if not isinstance(answers[place], Refusal)]
            for refused in self._output.refused([answers[place] for place in places]):
                place = places[refused]
                answers[place] = self._unfit("output", self._output, answers[place])
        return [self._error(answer) if isinstance(answer, Refusal) else answer for answer in answers]

    def check(self) -> None:
        """Read the script with the engine that will run it. Raise TransformationError where it cannot."""
        if self._direct is not None:
            return
        document = dict.fromkeys(self._columns)
        limits = dataclasses.replace(self.limits, seconds=min(self.limits.seconds, _CHECKING))
        (answer,) = self._evaluate([document], limits)
        if isinstance(answer, Refusal) and answer.code in {"syntax", "denied"}:
            raise self._error(answer)

    def _evaluate(self, records: Sequence[Any], limits: Limits) -> list[Any | Refusal]:
        if self._direct is not None:
            return [self._evaluate_here(record) for record in records]
        documents: list[bytes] = []
        answers: list[Any | Refusal] = []
        for record in records:
            written = self._written(record)
            answers.append(written)
            if not isinstance(written, Refusal):
                documents.append(written)
        if self._script is not None:
            found = self._script.answer_many(documents, limits)
        else:
            found = asking.answer_many(self.language, self.text, documents, limits, columns=self._columns)
        left = iter(found)
        return [answer if isinstance(answer, Refusal) else _value(next(left)) for answer in answers]

    def _evaluate_here(self, record: Any) -> Any | Refusal:
        assert self._direct is not None
        try:
            return self._direct(record)
        except InvalidError as error:
            return Refusal("failed", f"fails: {error.message}")

    def _written(self, record: Any) -> bytes | Refusal:
        try:
            written = codec.dumps(record).encode()
        except InvalidError as error:
            return Refusal("input", f"takes JSON: {error.message}")
        except UnicodeEncodeError:
            return Refusal("input", "takes JSON: a text has half a character in it")
        if len(written) > self.limits.input_mb << 20:
            return Refusal("input", f"takes no more than {self.limits.input_mb} MB for one record")
        return written

    def _unfit(self, side: str, validator: validate.Validator, document: Any) -> Refusal:
        finding = validator.errors(document, most=1)[0]
        where = f"{finding.path}: " if finding.path else ""
        verb = "takes" if side == "input" else "gives"
        return Refusal(side, f"{verb} what its {side} schema refuses: {where}{finding.message}")

    def refuse(self, code: str, what: str) -> TransformationError:
        """Return the error that says what the script does wrong."""
        return self._error(Refusal(code, what))

    def _error(self, refusal: Refusal) -> TransformationError:
        line = f", line {refusal.line}" if refusal.line else ""
        message = f"{self.name or 'the ' + self.language + ' script'}{line}: it {refusal.message}"
        error = TransformationError(message, error_code=refusal.code, line=refusal.line)
        if self._error_schema is not None:
            error.document = failing.document(self._error_schema, error, self.name, self.language)
        return error


def _value(answer: Any) -> Any | Refusal:
    if isinstance(answer, Refusal):
        return answer
    try:
        return codec.loads(answer)
    except InvalidError as error:
        return Refusal("output", f"gives no JSON: {error.message}")
