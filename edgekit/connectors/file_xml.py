"""XML, an element at a time: no DTD, no entities but the five, nothing from outside; memory is bounded."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from edgekit.connectors.file_text import HEAVY
from edgekit.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgekit.connectors.file_formats import Batch
    from edgekit.connectors.file_open import Source

_DEEPEST = 100
_PATHS = 200
_SLICE = 1 << 16
_SEPARATOR = "\x1f"


class XmlReader:
    """Reads on through one document; each element at `records` is one.

    An element without attributes and children is its text, null if that is blank. Else it is an object:
    attributes as `@name`, children by name, several of a name as a list, text beside them as `#text`.
    """

    def __init__(self, source: Source, config: Mapping[str, Any], encoding: str | None, longest: int) -> None:
        self._source = source
        self._longest = longest
        self._always = frozenset(config.get("always_list", ()))
        self._prefixes = {uri: prefix for prefix, uri in config.get("namespaces", {}).items()}
        self._path = [part for part in str(config.get("records", "")).split("/") if part]
        self._encoding = encoding
        self._parser = _parser(self, encoding)
        self._open: list[str] = []
        self._seen: dict[str, int] = {}
        self._inside: list[tuple[dict[str, Any], list[str]]] = []
        self._begun = 0
        self._ready: deque[tuple[int, Any]] = deque()
        self._number = 0
        self._weight = 0
        self._failure: InvalidError | None = None
        self._block = b""
        self._ended = False
        self._fed = 0
        self._met = False

    def fill(self, batch: Batch, size: int) -> None:
        """Add up to `size` records; on an error what came before it."""
        batch.word = "record"
        if not self._path:
            raise self._unsaid()
        self._weight = 0
        while True:
            while self._ready and len(batch) < size:
                number, record = self._ready.popleft()
                batch.numbers.append(number)
                batch.records.append(record if isinstance(record, dict) else {"#text": record})
            if len(batch) >= size or (self._weight > HEAVY and len(batch)):
                return
            if self._failure is not None:
                raise self._failure
            if self._ended:
                return
            self._feed()

    def _feed(self) -> None:
        """Parse a little more: what is parsed is held, so it is not much."""
        if not self._block:
            self._block = self._source.read()
        part, self._block = self._block[:_SLICE], self._block[_SLICE:]
        self._weight += len(part)
        self._fed += len(part)
        self._ended = not part
        try:
            self._parser.Parse(part, not part)
        except expat.ExpatError as error:
            self._failure = self._broken(error)
        except InvalidError as error:
            self._failure = error
        except (LookupError, ValueError) as error:  # an encoding of several bytes that expat does not know
            self._failure = InvalidError(
                f"{self._source.path} is in an encoding that cannot be read: {error}.",
                hint="Have it written as UTF-8.",
            )
        held = self._fed - (self._begun if self._inside else max(self._parser.CurrentByteIndex, 0))
        if held > self._longest + _SLICE and self._failure is None:
            hint = "If it is right: --set max_record_bytes=…"
            self._failure = self._wrong(f"an element is longer than {self._longest} bytes", hint)
        if self._ended and self._failure is None and not self._met:
            self._failure = self._unsaid()

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Take the beginning of an element."""
        name = self._name(name)
        self._open.append(name)
        if len(self._open) > _DEEPEST:
            raise self._wrong(f"elements are nested more than {_DEEPEST} deep")
        if self._inside or self._open == self._path:
            if not self._inside:
                self._met = True
                self._begun = self._parser.CurrentByteIndex
            self._inside.append(({f"@{self._name(key)}": value for key, value in attributes.items()}, []))
        else:
            self._met = self._met or self._open == self._path[:-1]
            path = "/".join(self._open)
            if path in self._seen or len(self._seen) < _PATHS:
                self._seen[path] = self._seen.get(path, 0) + 1

    def text(self, text: str) -> None:
        """Take some characters."""
        if self._inside:
            self._inside[-1][1].append(text)

    def end(self, _name: str) -> None:
        """Take the end of an element: the record is whole, or one of its parts."""
        name = self._open.pop()
        if not self._inside:
            return
        content, parts = self._inside.pop()
        text = "".join(parts)
        value: Any = content
        if not content:
            value = text if text.strip() else None
        elif text.strip():
            content["#text"] = text.strip() if any(key[0] != "@" for key in content) else text
        if not self._inside:
            self._number += 1
            self._ready.append((self._number, value))
            return
        parent = self._inside[-1][0]
        if name not in parent:
            parent[name] = [value] if name in self._always else value
        elif isinstance(parent[name], list):
            parent[name].append(value)
        else:
            parent[name] = [parent[name], value]

    def refuse(self, *_what: Any) -> None:
        """Stop at a document type: entities are declared there, and files of others named."""
        raise self._wrong(
            "it declares a document type (DTD), which is not read", "Have it written without one."
        )

    def _name(self, name: str) -> str:
        uri, _, local = name.rpartition(_SEPARATOR)
        prefix = self._prefixes.get(uri) if uri else None
        return f"{prefix}:{local}" if prefix else local

    def _wrong(self, what: str, hint: str | None = None) -> InvalidError:
        line = self._parser.CurrentLineNumber
        return InvalidError(f"{self._source.path}, line {line}: {what}.", hint=hint)

    def _broken(self, error: expat.ExpatError) -> InvalidError:
        after = f"after record {self._number}" if self._number else "before its first record"
        if self._ended and error.code != expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS]:
            return InvalidError(
                f"{self._source.path} is cut off {after}.", hint="Fetch it again; what was read is kept."
            )
        why = expat.ErrorString(error.code)
        return InvalidError(f"{self._source.path}, line {error.lineno}: this is no XML ({why}), {after}.")

    def _unsaid(self) -> InvalidError:
        """Say where records could be."""
        while not self._path and not self._ended and self._failure is None and self._fed < HEAVY:
            self._feed()
        if self._failure is not None and not self._path:
            return self._failure
        many = [path for path, count in self._seen.items() if count > 1] or list(self._seen)[1:]
        hint = f"Say it: --set records={many[0]}" if many else None
        if many[1:]:
            hint = f"{hint} (or {', '.join(many[1:4])})"
        if not self._path:
            return InvalidError(f"{self._source.path}: which element is a record?", hint=hint)
        return InvalidError(f"{self._source.path} has no element {'/'.join(self._path)}.", hint=hint)


def _parser(reader: XmlReader, encoding: str | None) -> Any:
    parser: Any = expat.ParserCreate(encoding, namespace_separator=_SEPARATOR)
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.EntityDeclHandler = reader.refuse
    parser.ExternalEntityRefHandler = reader.refuse
    return parser
