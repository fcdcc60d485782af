"""What a tap writes, read line by line and cut into pages where a STATE says that all before it was told."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from edgekit import codec, validate
from edgekit.connectors.base import Description, Page, Positions, Reject
from edgekit.connectors.singer_process import Overlong
from edgekit.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_PAGE_BYTES = 32 * 1024 * 1024
_RAW_KEPT = 2000
_OTHERS_NAMED = 10
_TYPES = {"integer": "integer", "number": "float", "boolean": "boolean", "object": "json", "array": "json"}


class Pages:
    """The pages of one pass: what was read of one stream, and where the tap would go on."""

    def __init__(
        self,
        config: Mapping[str, Any],
        state: Mapping[str, Any],
        *,
        left_out: frozenset[str],
        masked: Callable[[str], str],
        kept: Callable[[Any], Any] = lambda value: value,
    ) -> None:
        self.stream: str | None = config.get("stream")
        self.others: list[str] = []
        self._size = int(config.get("batch_size", 1000))
        self._longest = int(config.get("max_record_bytes", 16 * 1024 * 1024))
        self._is_checked = bool(config.get("check_schema", False))
        self._left_out = left_out
        self._masked = masked
        self._kept = kept
        self._number = 0 if state.get("done") else int(state.get("record", 0))
        self._behind = (state.get("cursor"), self._number)
        self._records: list[Any] = []
        self._rejects: list[Reject] = []
        self._bytes = 0
        self._cut = (0, 0, 0)
        """How many records, rejects and bytes stand before the last STATE."""
        self._line = 0
        self._schema: dict[str, Any] | None = None
        self._key: tuple[str, ...] = ()
        self._decode, self._refused = codec.decoder()

    def take(self, line: bytes | Overlong) -> Iterator[Page]:
        """Take the next line of a tap, and yield the pages it completes. Raise InvalidError.

        A page ends at a STATE where one has come since the last page: a full one waits for the next line.
        """
        self._line += 1
        place = f"line {self._line}"
        if isinstance(line, Overlong):
            yield from self._room()
            self._refuse_overlong(line, place)
        elif line.strip() and (message := self._message(line)) is not None:
            kind = message["type"]
            if kind == "STATE":
                self._behind = (self._kept(message.get("value")), self._number + len(self._records))
                self._cut = (len(self._records), len(self._rejects), self._bytes)
                yield from self._room()
            elif self._is_wanted(message.get("stream")):
                if kind == "RECORD":
                    yield from self._room()
                    self._add(message.get("record"), line, place)
                elif kind == "BATCH":
                    yield from self._unpack(message)
                elif kind == "SCHEMA":
                    self._learn(message)

    def rest(self) -> Page:
        """Return what is left where the tap broke off: all there is, the state before it."""
        self._cut = (0, 0, 0)
        return self._page()

    def last(self) -> Page:
        """Return the last page of a pass that came to its end. Raise NotFoundError without the stream."""
        cursor = self._behind[0]
        if self._schema is None and not self._number and not self._records and not self._rejects:
            self._require_stream()
        page = self.rest()
        page.state = {"done": True, **({"cursor": cursor} if cursor else {})}
        return page

    def _require_stream(self) -> None:
        if self.others:
            raise NotFoundError(
                f"The tap gave no stream {self.stream}; it gave {', '.join(self.others)}.",
                hint="See which there are: edgekit integrations discover NAME",
            )
        if not self._behind[0]:
            raise NotFoundError(
                "The tap gave no stream at all.",
                hint="Select one: edgekit integrations discover NAME, then: edgekit integrations select NAME"
                " STREAM",
            )

    def _message(self, line: bytes) -> dict[str, Any] | None:
        """Read a line as a message of Singer; what is none is set aside."""
        try:
            try:
                message = self._decode(line)
            except self._refused:
                message = codec.loads(line)
        except InvalidError as error:
            self._refuse(line, f"line {self._line}", "malformed", f"no message of Singer: {error.message}")
            return None
        kinds = {"RECORD", "STATE", "SCHEMA", "BATCH", "ACTIVATE_VERSION"}
        if not isinstance(message, dict) or message.get("type") not in kinds:
            self._refuse(line, f"line {self._line}", "malformed", "no message of Singer")
            return None
        return message

    def _is_wanted(self, stream: Any) -> bool:
        """Tell whether a message is of the stream that is read; without a choice it is the only one."""
        if self.stream is None:
            self.stream = str(stream)
        if stream == self.stream:
            return True
        if stream not in self.others and len(self.others) < _OTHERS_NAMED:
            self.others.append(str(stream))
        return False

    def _learn(self, message: Mapping[str, Any]) -> None:
        schema = message.get("schema")
        self._schema = schema if isinstance(schema, dict) else {}
        keys = message.get("key_properties") or []
        self._key = tuple(str(key) for key in keys if key not in self._left_out)

    def _add(self, record: Any, line: bytes, place: str) -> None:
        if not isinstance(record, dict):
            self._refuse(line, place, "malformed", "its record is no object")
            return
        if self._left_out:
            record = {name: value for name, value in record.items() if name not in self._left_out}
        if self._is_checked and self._schema is not None:
            validator = validate.compile(self._schema)
            if validator.refused([record]):
                finding = validator.errors(record, most=1)[0]
                self._refuse(line, place, finding.code, f"not as the tap's own schema says: {finding}")
                return
        self._records.append(record)
        self._bytes += len(line)

    def _refuse(self, line: bytes, place: str, code: str, why: str) -> None:
        # Masked before it is cut: at the cut might be half a secret.
        raw = self._masked(line[: 2 * _RAW_KEPT].decode("utf-8", "replace"))[:_RAW_KEPT]
        self._rejects.append(Reject(raw, place, code, why))
        self._bytes += len(raw)

    def _refuse_overlong(self, line: Overlong, place: str) -> None:
        why = f"{line.size} bytes long, more than max_record_bytes ({self._longest})"
        self._refuse(line.beginning, place, "too_long", why)

    def _unpack(self, message: Mapping[str, Any]) -> Iterator[Page]:
        """Read the files of a BATCH. Raise InvalidError for one that cannot be read."""
        encoding = message.get("encoding") or {}
        packing = encoding.get("compression") or "none"
        if encoding.get("format") != "jsonl" or packing not in {"gzip", "none"}:
            raise InvalidError(
                f"The tap gives batches as {encoding.get('format')} ({packing}).",
                hint="jsonl can be read, plain or gzip: set it in the tap's batch_config.",
            )
        for url in message.get("manifest") or []:
            for number, line in enumerate(self._file_lines(str(url), packing == "gzip"), 1):
                yield from self._room()
                place = f"line {self._line}, {Path(urlsplit(str(url)).path).name} line {number}"
                if isinstance(line, Overlong):
                    self._refuse_overlong(line, place)
                elif line.strip():
                    self._add_line(line, place)

    def _add_line(self, line: bytes, place: str) -> None:
        try:
            record = codec.loads(line)
        except InvalidError as error:
            self._refuse(line, place, "malformed", error.message)
            return
        self._add(record, line, place)

    def _file_lines(self, url: str, is_packed: bool) -> Iterator[bytes | Overlong]:
        is_path = re.match(r"[A-Za-z]:[/\\]", url) is not None  # a drive's letter is no scheme
        parts = urlsplit("" if is_path else url)
        if parts.scheme not in {"file", ""} or parts.netloc not in {"", "localhost"}:
            raise InvalidError(
                f"The tap put a batch at {self._masked(url)}, which is no local file.",
                hint="Set the tap's batch_config to a folder of this machine: file://…",
            )
        path = Path(url2pathname(parts.path) if parts.scheme == "file" else url)
        try:
            with gzip.open(path) if is_packed else path.open("rb") as file:
                while line := file.readline(self._longest + 1):
                    size, beginning = len(line), line[: 2 * _RAW_KEPT]
                    if size <= self._longest or line.endswith(b"\n"):
                        yield line
                        continue
                    while line and not line.endswith(b"\n"):
                        line = file.readline(self._longest + 1)
                        size += len(line)
                    yield Overlong(beginning, size)
        except (OSError, EOFError, zlib.error) as error:
            raise InvalidError(f"The batch {path} of the tap cannot be read: {error}.") from error

    def _room(self) -> Iterator[Page]:
        """Yield what has to go before more is taken."""
        while len(self._records) + len(self._rejects) >= self._size or self._bytes >= _PAGE_BYTES:
            yield self._page()

    def _page(self) -> Page:
        """Cut a page off: up to the last STATE if one has come since the last page, else all there is."""
        records, rejects, weight = self._cut
        if not records + rejects:
            records, rejects, weight = len(self._records), len(self._rejects), self._bytes
        cursor, number = self._behind
        page = Page(
            self._records[:records],
            Positions("record", range(self._number + 1, self._number + 1 + records)),
            {**({"cursor": cursor} if cursor else {}), "record": number},
            rejects=self._rejects[:rejects],
            description=self._description(),
        )
        del self._records[:records], self._rejects[:rejects]
        self._number += records
        self._bytes -= weight
        self._cut = (0, 0, 0)
        return page

    def _description(self) -> Description | None:
        """Say what the tap's SCHEMA says of the records: their key, and a type for each field."""
        properties = (self._schema or {}).get("properties")
        if not isinstance(properties, dict):
            return None
        types = {str(n): _type(kind) for n, kind in properties.items() if n not in self._left_out}
        return Description(self._key, types)


def _type(kind: Any) -> str:
    """Read one type out of a JSON Schema; what may be several is text, or a number if all of them are."""
    options = kind.get("anyOf") or kind.get("oneOf") if isinstance(kind, dict) else None
    found: set[str] = set()
    for option in options or [kind]:
        named = option.get("type", "string") if isinstance(option, dict) else "string"
        found |= {named} if isinstance(named, str) else {str(one) for one in named}
    types = {_TYPES.get(one, "text") for one in found - {"null"}} or {"text"}
    if len(types) == 1:
        return types.pop()
    return "float" if types == {"integer", "float"} else "json" if "json" in types else "text"
