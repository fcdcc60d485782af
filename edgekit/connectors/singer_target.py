"""Records to any Singer target: handed over with their schema, and a STATE it gives back once they are safe.

Some targets give it back as soon as they have written; many only when they end. The second kind is known by
its silence, and from then on each batch is a run of its own: what `send` returned from is written either way.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, Self

from edgekit import codec
from edgekit.connectors import singer_process, singer_secrets
from edgekit.connectors.base import Answer, Delivery
from edgekit.connectors.singer_process import Program
from edgekit.errors import InvalidError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from edgekit.connectors.base import Outgoing

_SILENCE = 300
_LONGEST_LINE = 1 << 20
_FIRST_WAIT_SECONDS = 2.0
"""How long a target nobody knows yet may take to give a STATE back before it counts as one that does not."""

_AT_ONCE = 200
_AGAIN = "What it had not confirmed is sent again by the next run."
_MARK = "edgekit_sent"
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


class SingerWriter:
    """An open way to a target: a running process, or none between two batches."""

    def __init__(
        self, config: Mapping[str, Any], *, state: Mapping[str, Any], secrets: Mapping[str, str]
    ) -> None:
        self._config = config
        self._secrets = secrets
        self._name = singer_process.label_of(config["target"])
        self._command = singer_process.command_of(config["target"])
        self._silence = float(config.get("silence_seconds", _SILENCE))
        self._key = _names(config.get("key"))
        self._sent = int(state.get("sent", 0))
        self._fields: dict[str, set[str]] = {}
        self._confirms: bool | None = None
        self._stack: ExitStack | None = None
        self._program: Program | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def send(self, records: Sequence[Outgoing]) -> Delivery:
        """Hand records to the target and return when it has them for good.

        One without its key is refused in its answer. Raise UnavailableError with the last words of a target
        that fails, falls silent or ends without saying that all is written: what was sent is sent again.
        """
        answers = [self._check(item.record) for item in records]
        good = [item.record for item, answer in zip(records, answers, strict=True) if answer.error is None]
        if good:
            is_new = self._learn(good)
            program = self._program
            if program is None:
                program, is_new = self._start(), True
            messages = [self._schema()] if is_new else []
            stream = self._config["stream"]
            messages += [{"type": "RECORD", "stream": stream, "record": record} for record in good]
            self._sent += len(good)
            self._tell(program, [*messages, {"type": "STATE", "value": {_MARK: self._sent}}])
            self._confirm(program)
        return Delivery(answers, {"sent": self._sent})

    def finish(self) -> dict[str, Any]:
        """Let the target end, and return the last state. Raise UnavailableError where it ends badly."""
        if self._program is not None:
            self._end(self._program)
        return {"sent": self._sent}

    def _check(self, record: Mapping[str, Any]) -> Answer:
        missing = next((name for name in self._key if record.get(name) is None), None)
        if missing is not None:
            return Answer(InvalidError(f"The record has no {missing}, which identifies it for {self._name}."))
        unfit = next(
            (n for n, value in record.items() if value is not None and type(value) not in _TYPES), None
        )
        if unfit is not None:
            return Answer(
                InvalidError(f"{unfit} is nothing that JSON can say, so {self._name} cannot take it.")
            )
        return Answer()

    def _start(self) -> Program:
        with ExitStack() as stack:
            opened: dict[str, str] = {}
            settings = singer_secrets.resolve(self._config.get("config", {}), self._secrets, opened)
            folder = stack.enter_context(singer_process.private_folder())
            config = singer_process.write_private(folder, "config.json", settings)
            self._program = stack.enter_context(
                closing(
                    Program(
                        [*self._command, "--config", config], name=self._name, hidden=list(opened.values()),
                        silence=self._silence, longest=_LONGEST_LINE, fed=True,
                    )
                )
            )  # fmt: skip
            self._stack = stack.pop_all()
        return self._program

    def _stop(self) -> None:
        """End the target, whatever it is doing, and take its settings away."""
        stack, self._stack, self._program = self._stack, None, None
        if stack is not None:
            stack.close()

    def _learn(self, records: Sequence[Mapping[str, Any]]) -> bool:
        """Note the fields and types of records; tell whether there is anything new in them."""
        before = {name: set(kinds) for name, kinds in self._fields.items()}
        for record in records:
            for name, value in record.items():
                kinds = self._fields.setdefault(name, set())
                if value is not None:
                    kinds.add(_TYPES[type(value)])
        return before != self._fields

    def _schema(self) -> dict[str, Any]:
        """Say what the records are like: as it is set, else as those were that have been seen."""
        schema = self._config.get("schema")
        if schema is None:
            schema = {"type": "object", "properties": {n: self._field(n) for n in self._fields}}
        elif isinstance(schema, str):
            schema = codec.loads(schema)
        stream = self._config["stream"]
        return {"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": self._key}

    def _field(self, name: str) -> dict[str, Any]:
        kinds = self._fields[name] or {"string"}
        if "number" in kinds:
            kinds = kinds - {"integer"}
        return {"type": [*sorted(kinds), *([] if name in self._key else ["null"])]}

    def _tell(self, program: Program, messages: Sequence[Mapping[str, Any]]) -> None:
        for start in range(0, len(messages), _AT_ONCE):
            part = messages[start : start + _AT_ONCE]
            text = "".join(f"{codec.dumps(message)}\n" for message in part)
            if not program.write(text.encode()):
                self._fail(program)

    def _confirm(self, program: Program) -> None:
        """Wait until the target gives the last STATE back, or ends, which says the same."""
        if self._confirms is not False:
            wait = self._silence if self._confirms else _FIRST_WAIT_SECONDS
            if self._hear(program, wait):
                self._confirms = True
                return
            if self._confirms:
                raise UnavailableError(
                    f"{self._name} has not confirmed in {wait:g} seconds.{program.last_words()}"
                )
            self._confirms = False
        self._end(program)

    def _hear(self, program: Program, wait: float) -> bool:
        """Listen until all that was sent is confirmed; tell whether it is. The target may have ended."""
        while (line := program.next_line(wait)) is not None:
            if not line:
                self._fail(program)
            if self._is_last(line):
                return True
        return False

    def _is_last(self, line: bytes) -> bool:
        """Tell whether a line is the last STATE; what else a target prints is no concern of ours."""
        try:
            said = codec.loads(line)
        except InvalidError:
            return False
        return isinstance(said, dict) and said.get(_MARK) == self._sent

    def _end(self, program: Program) -> None:
        """Tell the target that this is all, and wait until it has ended well."""
        program.write(b"")
        silent, confirmed = True, False
        while line := program.next_line(self._silence):
            silent, confirmed = False, self._is_last(line)
        if line is None:
            raise UnavailableError(
                f"{self._name} does not end, {self._silence:g} seconds after all was sent."
                f"{program.last_words()}"
            )
        program.check_ended(hint=_AGAIN)
        if not (silent or confirmed or self._confirms):
            raise UnavailableError(
                f"{self._name} ended without confirming all it was given.{program.last_words()}", hint=_AGAIN
            )
        self._stop()

    def _fail(self, program: Program) -> None:
        """Raise what the end of a target says that should still be running."""
        program.check_ended(hint=_AGAIN)
        raise UnavailableError(f"{self._name} ended before all was sent.{program.last_words()}", hint=_AGAIN)


def _names(value: Any) -> list[str]:
    """Read a comma list of names, or a list."""
    parts = value.split(",") if isinstance(value, str) else value or []
    return [str(part).strip() for part in parts if str(part).strip()]
