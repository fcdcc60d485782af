"""Scripts over records: `transformations list`, `try`, `add`, `set`, `test` and the rest."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.group import Group
from edgekit.cli.options import json_option, opened, reading, split_pair
from edgekit.cli.show import show, version_line
from edgekit.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

_LANGUAGES = ("jmespath", "jsonpath", "javascript", "python", "sql")
_KINDS = ("map", "filter", "aggregate", "enrich", "validate", "custom")
_OBJECTS = {"input_schema", "output_schema", "error_output_schema", "test_cases"}


@click.group(cls=Group)
def transformations() -> None:
    """Keep and try scripts that change records: JMESPath, JSONPath, JavaScript, Python or SQL."""


@transformations.command("list", example="edgekit transformations list")
@json_option
@reading
def list_transformations(as_json: bool) -> None:
    """List the transformations, with how their examples went last."""
    from edgekit import integrations

    empty = "There is none yet. Add one: edgekit transformations add NAME --language L --logic TEXT"
    show(integrations.list_transformations(), as_json, view=_listed, empty=empty)


def _listed(row: dict[str, Any]) -> dict[str, Any]:
    names = ("name", "transformation_type", "language", "version", "examples", "last_status", "description")
    return {name: row[name] for name in names}


@transformations.command("show", example="edgekit transformations show full-name")
@click.argument("transformation")
@json_option
@reading
def show_one(transformation: str, as_json: bool) -> None:
    """Show one transformation whole, with what came of each example last."""
    from edgekit import integrations

    show(integrations.show_transformation(transformation), as_json)


def script_options(*, required: bool) -> Callable[[Any], Any]:
    """Give a command `--language`, `--logic` and `--file`."""

    def decorate(body: Any) -> Any:
        body = click.option("--file", "script", metavar="FILE", help="The file the script is in.")(body)
        body = click.option("--logic", metavar="TEXT", help="The script.")(body)
        return click.option(
            "--language",
            type=click.Choice(_LANGUAGES),
            required=required,
            help="What the script is written in.",
        )(body)

    return decorate


@transformations.command(
    example="edgekit transformations add full-name --language jmespath --logic \"join(' ', [first, last])\""
)
@click.argument("transformation")
@click.argument("pairs", metavar="FIELD=VALUE...", nargs=-1)
@script_options(required=True)
@click.option(
    "--type", "kind", type=click.Choice(_KINDS), default="map", show_default=True, help="How it is read."
)
@json_option
@opened
def add(
    transformation: str, pairs: tuple[str, ...], language: str, logic: str | None, script: str | None,
    kind: str, as_json: bool,
) -> None:  # fmt: skip
    """Keep a script by name; fields are description, input_schema, test_cases, timeout_seconds and others."""
    from edgekit import integrations

    values = {**_read(pairs), "language": language, "transformation_type": kind, "text": _text(logic, script)}
    show(integrations.add_transformation(transformation, values), as_json)


@transformations.command("set", example="edgekit transformations set full-name timeout_seconds=5")
@click.argument("transformation")
@click.argument("pairs", metavar="FIELD=VALUE...", nargs=-1)
@script_options(required=False)
@click.option("--type", "kind", type=click.Choice(_KINDS), help="How it is read.")
@json_option
@opened
def set_transformation(
    transformation: str, pairs: tuple[str, ...], language: str | None, logic: str | None, script: str | None,
    kind: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Change a transformation, as its next version; FIELD= empties a field."""
    from edgekit import integrations

    values = _read(pairs)
    if logic is not None or script is not None:
        values["text"] = _text(logic, script)
    values |= {"language": language} if language else {}
    values |= {"transformation_type": kind} if kind else {}
    if not values:
        raise click.UsageError("Say what changes: FIELD=VALUE, --logic, --file, --language or --type.")
    show(integrations.set_transformation(transformation, values), as_json)


@transformations.command(example="edgekit transformations retire full-name")
@click.argument("transformation")
@json_option
@opened
def retire(transformation: str, as_json: bool) -> None:
    """Let a transformation be used no more; it stays, and `add` brings it back."""
    from edgekit import integrations

    integrations.retire_transformation(transformation)
    done: Any = {"transformation": transformation, "retired": True}
    show(done if as_json else f"Retired {transformation}.", as_json)


@transformations.command(example="edgekit transformations history full-name")
@click.argument("transformation")
@json_option
@reading
def history(transformation: str, as_json: bool) -> None:
    """List the versions of a transformation, the newest first: who, when, which fields."""
    from edgekit import integrations

    show(
        integrations.transformation_history(transformation),
        as_json,
        view=lambda found: version_line(found, "fields"),
    )


@transformations.command("test", example="edgekit transformations test full-name")
@click.argument("transformation", required=False)
@json_option
@opened
def test_transformations(transformation: str | None, as_json: bool) -> None:
    """Try the transformations on their examples and note what came of each. Exits with 4 if one fails."""
    from edgekit import integrations

    found = integrations.run_transformation_tests(transformation)
    empty = "There is no example. Add some: edgekit transformations set NAME 'test_cases=[{\"input\": …}]'"
    show(found, as_json, view=_line, empty=empty)
    failed = [test for test in found if test.test_status == "failed"]
    if failed:
        first = failed[0]
        raise InvalidError(
            f"{len(failed)} of {len(found)} examples failed; the first: {first.transformation},"
            f" {first.case_name}: {first.error_message}"
        )


def _line(test: Any) -> dict[str, Any]:
    names = ("transformation", "version", "case_name", "test_status", "execution_time_ms", "error_message")
    return {name: getattr(test, name) for name in names}


@transformations.command(
    "try",
    example="edgekit transformations try --language javascript --logic 'input.a + 1' < record.json\n"
    "edgekit transformations try full-name --input record.json",
)
@click.argument("transformation", required=False)
@script_options(required=False)
@click.option(
    "--type", "kind", type=click.Choice(_KINDS), help="Read what the script gives as this type does."
)
@click.option("--input", "given", metavar="FILE", help="The record, as JSON.  [default: what comes on stdin]")
@click.option("--input-schema", metavar="FILE", help="A JSON Schema the record must fit.")
@click.option("--output-schema", metavar="FILE", help="A JSON Schema what the script gives must fit.")
@click.option(
    "--timeout", type=click.FloatRange(min=0.01), metavar="S", help="Stop it after so many seconds."
)
@json_option
@click.pass_context
def try_transformation(
    context: click.Context, transformation: str | None, language: str | None, logic: str | None,
    script: str | None, kind: str | None, given: str | None, input_schema: str | None,
    output_schema: str | None, timeout: float | None, as_json: bool,
) -> None:  # fmt: skip
    """Apply a script, or a transformation by name, to one record; print {"output": …}, write nothing."""
    from edgekit import transformation as engine

    if (transformation is None) == (language is None):
        raise click.UsageError("Say what to try: a NAME, or --language L with --logic TEXT or --file FILE.")
    if transformation is not None:
        if any(said is not None for said in (logic, script, kind, input_schema, output_schema, timeout)):
            raise click.UsageError("A transformation by name has its own script, type, schemas and time-out.")
        context.invoke(_try_stored, name=transformation, document=_document(given), as_json=as_json)
    else:
        assert language is not None
        compiled = engine.compile(
            language,
            _text(logic, script),
            limits=engine.Limits() if timeout is None else engine.Limits(seconds=timeout),
            input_schema=_json_file(input_schema) if input_schema else None,
            output_schema=_json_file(output_schema) if output_schema else None,
        )
        document = _document(given)
        output = compiled.apply(document) if kind is None else engine.take_one(compiled, kind, document)
        _show_document({"output": output}, as_json)


@reading
def _try_stored(name: str, document: Any, as_json: bool) -> None:
    from edgekit import integrations

    trial = integrations.try_transformation(name, document)
    if trial.error is None:
        _show_document({"output": trial.output}, as_json)
        return
    if trial.error.document is not None:
        _show_document({"error_output": trial.error.document}, as_json)
    raise trial.error


def _show_document(document: dict[str, Any], as_json: bool) -> None:
    show(document if as_json else json.dumps(document, ensure_ascii=False), as_json)


def _document(given: str | None) -> Any:
    from edgekit import codec

    if given is not None:
        return _json_file(given)
    content = sys.stdin.buffer.read()
    if not content.strip():
        raise InvalidError(
            "There is no record.", hint="Give it as JSON on standard input, or by --input FILE."
        )
    return codec.loads(content)


def _json_file(name: str) -> Any:
    from edgekit import codec

    return codec.loads(_content(name))


def _content(name: str) -> bytes:
    if not Path(name).is_file():
        raise NotFoundError(f"There is no file {name}.")
    return Path(name).read_bytes()


def _text(logic: str | None, script: str | None) -> str:
    if (logic is None) == (script is None):
        raise click.UsageError("Give the script by --logic TEXT or by --file FILE.")
    return logic if logic is not None else _content(str(script)).decode("utf-8-sig", "replace")


def _read(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Take FIELD=VALUE apart: schemas and examples are JSON, numbers and yes or no read, nothing is None."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, text = split_pair(pair, form="FIELD=VALUE, such as timeout_seconds=5", where="FIELD")
        found[name] = _value(name, text) if text else None
    return found


def _value(name: str, text: str) -> Any:
    if name == "is_reusable":
        known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() not in known:
            raise InvalidError(f"is_reusable is yes or no, not {text}.")
        return known[text.lower()]
    if name == "timeout_seconds":
        if not text.isascii() or not text.isdigit():
            raise InvalidError(f"timeout_seconds is a whole number of seconds, not {text}.")
        return int(text)
    if name not in _OBJECTS:
        return text
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    raise InvalidError(f"{name} is JSON, such as {{}}.")
