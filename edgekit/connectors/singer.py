"""Singer: any tap as a source, run as a program of its own; any target as a destination."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from edgekit import codec
from edgekit.connectors import singer_catalog, singer_process, singer_secrets
from edgekit.connectors.singer_messages import Pages
from edgekit.connectors.singer_process import Overlong, Program
from edgekit.connectors.singer_target import SingerWriter
from edgekit.errors import EdgekitError, InvalidError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from edgekit.connectors.base import Page

_LONGEST = 16 * 1024 * 1024
_SILENCE = 300
_LONGEST_CATALOG = 256 * 1024 * 1024
_GO_ON = "What came before it is kept; run it again to go on from there."

_PROGRAM: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}},
    ]
}


class SingerConnector:
    """Reads one stream of a tap. Its STATE is the checkpoint: a page ends at one wherever it can."""

    name: ClassVar[str] = "singer"
    positions_are_stable: ClassVar[bool] = False
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["tap"],
        "properties": {
            "tap": {**_PROGRAM, "description": "The program, or a list of it and its arguments."},
            "config": {
                "type": "object",
                "description": 'The settings of the tap; a secret is {"vault": "key"}.',
            },
            "stream": {
                "type": "string",
                "minLength": 1,
                "description": "The stream to take; may be left out if there is only one.",
            },
            "catalog": singer_catalog.SCHEMA,
            "catalog_option": {
                "enum": ["catalog", "properties"],
                "default": "catalog",
                "description": "How the tap wants its catalog: older ones ask for --properties.",
            },
            "check_schema": {
                "type": "boolean",
                "default": False,
                "description": "Set aside what is not as the tap's own schema says.",
            },
            "batch_size": {"type": "integer", "minimum": 1, "maximum": 100_000, "default": 1000},
            "max_record_bytes": {"type": "integer", "minimum": 100, "maximum": 2**30, "default": _LONGEST},
            "silence_seconds": {
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": 86_400,
                "default": _SILENCE,
                "description": "How long the tap may say nothing at all before it is stopped.",
            },
        },
    }

    write_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["target", "stream"],
        "properties": {
            "target": {**_PROGRAM, "description": "The program, or a list of it and its arguments."},
            "config": {
                "type": "object",
                "description": 'The settings of the target; a secret is {"vault": "key"}.',
            },
            "stream": {"type": "string", "minLength": 1, "description": "What the records are called there."},
            "key": {
                "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
                "description": "The fields that identify a record, by which the target may replace it.",
            },
            "schema": {
                "anyOf": [{"type": "object"}, {"type": "string"}],
                "description": "The JSON Schema of the records, in place of what they look like.",
            },
            "silence_seconds": {
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": 86_400,
                "default": _SILENCE,
                "description": "How long the target may say and take nothing before it is stopped.",
            },
        },
    }

    def target_of(self, config: Mapping[str, Any]) -> str:
        """Return the tap or target by its name: where it goes to, it alone knows."""
        return f"singer://{singer_process.label_of(config.get('tap') or config['target'])}"

    def open(
        self, config: Mapping[str, Any], *, state: Mapping[str, Any], secrets: Mapping[str, str]
    ) -> SingerWriter:
        """Open the way to a target. It is started with the first records. Raise NotFoundError (program)."""
        return SingerWriter(config, state=state, secrets=secrets)

    def read(
        self,
        config: Mapping[str, Any],
        *,
        state: Mapping[str, Any],
        inputs: Iterator[dict[str, Any]] | None,
        secrets: Mapping[str, str],
    ) -> Generator[Page, None, None]:
        """Run the tap from the STATE it gave last, and yield pages of at most `batch_size` records.

        What the tap says that is no message is set aside. Closing this kills the tap. Raise NotFoundError (no
        such program, secret or stream), InvalidError (a batch that cannot be read), UnavailableError
        where the tap fails or falls silent, with its last words; what it gave before comes as a page first.
        """
        del inputs
        catalog = config.get("catalog")
        opened: dict[str, str] = {}
        with _running(config, state.get("cursor"), catalog, secrets, opened) as tap:
            pages = Pages(
                config, state, left_out=singer_catalog.left_out(catalog, config.get("stream")),
                masked=tap.masked, kept=lambda value: singer_secrets.without_secrets(value, opened),
            )  # fmt: skip
            try:
                for line in tap.lines():
                    yield from pages.take(line)
                tap.check_ended(hint=_GO_ON)
            except EdgekitError:
                if (page := pages.rest()).records or page.rejects:
                    yield page
                raise
            yield pages.last()

    def discover(self, config: Mapping[str, Any], *, secrets: Mapping[str, str]) -> dict[str, Any]:
        """Ask the tap which streams it has, and return its catalog. Raise as `read` does."""
        with _running(
            {**config, "max_record_bytes": _LONGEST_CATALOG}, None, None, secrets, {}, "--discover"
        ) as tap:
            lines = list(tap.lines())
            tap.check_ended(hint="Check its settings: a tap may want all of them to say what it has.")
            text = b"\n".join(line for line in lines if not isinstance(line, Overlong))
            try:
                found = codec.loads(text)
            except InvalidError as error:
                raise UnavailableError(f"{tap.name} --discover wrote no catalog: {error.message}.") from None
            if not isinstance(found, dict) or not isinstance(found.get("streams"), list):
                raise UnavailableError(f"{tap.name} --discover wrote no catalog.")
        return found


@contextmanager
def _running(
    config: Mapping[str, Any],
    cursor: Any,
    catalog: Mapping[str, Any] | None,
    secrets: Mapping[str, str],
    opened: dict[str, str],
    *options: str,
) -> Iterator[Program]:
    """Run a tap with files of its own for settings, catalog and state, taken away again in the end."""
    command = singer_process.command_of(config["tap"])
    settings = singer_secrets.resolve(config.get("config", {}), secrets, opened)
    with singer_process.private_folder() as folder:
        words = [*command, "--config", singer_process.write_private(folder, "config.json", settings)]
        if catalog:
            whole = singer_catalog.unpacked(catalog)
            option = f"--{config.get('catalog_option', 'catalog')}"
            words += [option, singer_process.write_private(folder, "catalog.json", whole)]
        if state := singer_secrets.with_secrets(cursor, opened):
            words += ["--state", singer_process.write_private(folder, "state.json", state)]
        with closing(
            Program(
                [*words, *options],
                name=singer_process.label_of(config["tap"]),
                hidden=list(opened.values()),
                silence=float(config.get("silence_seconds", _SILENCE)),
                longest=int(config.get("max_record_bytes", _LONGEST)),
            )
        ) as tap:
            yield tap
