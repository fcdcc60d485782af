"""What is asked: the URL, the parameters, and the rows that drive the source, rendered into a request."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from edgekit import codec
from edgekit.connectors.base import Reject
from edgekit.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from edgekit.connectors.http_auth import Credentials

DEFAULT_BATCH = 50
_FIELD = re.compile(r"\{(\w+)\}")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Request:
    """One request, ready to be sent. `shown` is its URL with secrets masked, `link` without them.

    `is_home` says that it goes to the place the credentials are for.
    """

    method: str
    url: str = field(repr=False)
    shown: str
    link: str
    headers: Mapping[str, str] = field(repr=False)
    content: bytes | None = field(repr=False)
    is_home: bool = False


@dataclass(slots=True)
class Batch:
    """Rendered rows that are asked for together; `items` is None for a source that no rows drive."""

    number: int = 1
    items: list[str] | None = None
    last: int | None = None
    rejects: list[Reject] = field(default_factory=list)


def origin(url: str) -> str:
    """Return scheme, host and port of a URL, spelled one way. Raise ValueError for what is no web address."""
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError("no web address")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port or _DEFAULT_PORTS[parts.scheme]}"


def join_url(base_url: str, path: str) -> str:
    """Put a path behind a base URL; a beginning of it that the base already ends with is not repeated.

    Raise InvalidError for a base URL that is none, or that holds a user name or password.
    """
    try:
        origin(base_url)
        base = urlsplit(base_url)
    except ValueError:
        raise InvalidError(
            "base_url is no web address.", hint="It is written like https://api.example.com/v1"
        ) from None
    if base.username is not None or base.password is not None:
        raise InvalidError(
            "base_url holds a user name or password.",
            hint='Store them as secrets and set auth={"kind": "basic"}',
        )
    path, _, query = path.partition("?")
    have = [part for part in base.path.split("/") if part]
    wanted = path.lstrip("/").split("/") if path.strip("/") else []
    shared = max(
        (n for n in range(len(wanted) + 1) if n <= len(have) and have[len(have) - n :] == wanted[:n]),
        default=0,
    )
    whole = "/".join(have + wanted[shared:])
    query = "&".join(part for part in (base.query, query) if part)
    return urlunsplit((base.scheme, base.netloc, "/" + whole if whole else base.path, query, ""))


def render(template: str, row: Mapping[str, Any]) -> str:
    """Fill `{column}` places from a row; empty places at the end are dropped with what stands before them.

    Raise InvalidError naming a column the row does not have.
    """
    done, end = "", 0
    result = ""
    for place in _FIELD.finditer(template):
        if place[1] not in row:
            raise InvalidError(
                f"request.inputs.join names {place[1]}, which the inputs do not have.",
                hint=f"They have: {', '.join(map(str, row))}.",
            )
        value = row[place[1]]
        text = "" if value is None else str(value).strip()
        done += template[end : place.start()] + text
        end = place.end()
        if text:
            result = done
    rest = template[end:]
    return result if not rest or not result else done + rest


class Requests:
    """Makes the requests of one source from its settings."""

    def __init__(self, config: Mapping[str, Any], credentials: Credentials) -> None:
        self._config = config
        self._credentials = credentials
        self._request = config.get("request", {})
        self._inputs: Mapping[str, Any] | None = self._request.get("inputs")
        self._url = join_url(str(config["base_url"]), str(config.get("path", "")))
        self._method = str(config.get("method", "GET"))
        if self._inputs is not None and self._inputs["into"] in {"form", "json"} and self._method == "GET":
            raise InvalidError(
                f"A GET request has no body: inputs cannot go into {self._inputs['into']}.",
                hint="Set method=POST",
            )
        if self._inputs is not None and self._inputs["into"] == "path" and self._place not in self._url:
            raise InvalidError(f"path has no place {self._place} for the inputs.")

    @property
    def _place(self) -> str:
        return "{" + str((self._inputs or {}).get("name")) + "}"

    def check_undriven(self) -> None:
        """Raise InvalidError where the request waits for rows: without them it would ask for anything."""
        if self._inputs is not None:
            raise InvalidError(
                "The source is driven by rows, but no inputs are set.",
                hint='Such as inputs={"table": "vehicle", "columns": ["vin"]}, or "path" with a file.',
            )

    def batches(self, rows: Iterable[Mapping[str, Any]], *, number: int) -> Iterator[Batch]:
        """Yield rows, rendered, in batches of `batch_size`; a row that cannot be asked for is set aside."""
        if self._inputs is None:
            raise InvalidError(
                "The source is driven by inputs, but request.inputs does not say where they go."
            )
        size = int(self._config.get("batch_size", DEFAULT_BATCH))
        batch = Batch(number, [])
        for row in rows:
            assert batch.items is not None
            batch.last = row.get("id")
            item = render(self._inputs["join"], row)
            if (missing := self._missing(row)) is not None:
                raw = codec.dumps(dict(row))
                message = f"The row has no {missing} to ask by."
                batch.rejects.append(Reject(raw, f"input {row.get('id')}", "input", message))
            elif self._unusable(item):
                message = "The value holds the separator of the request, or cannot stand in a path."
                raw = codec.dumps(dict(row))
                batch.rejects.append(Reject(raw, f"input {row.get('id')}", "input", message))
            elif item:
                batch.items.append(item)
            if len(batch.items) + len(batch.rejects) >= size:
                yield batch
                batch = Batch(batch.number + 1, [])
        if batch.items or batch.rejects:
            yield batch

    def _missing(self, row: Mapping[str, Any]) -> str | None:
        """Name the first value a row is asked by, if the row lacks it."""
        assert self._inputs is not None
        first = re.match(r"\{(\w+)\}", self._inputs["join"])
        return first[1] if first and row.get(first[1]) in (None, "") else None

    def _unusable(self, item: str) -> bool:
        assert self._inputs is not None
        separator = self._inputs.get("separator")
        return (separator and separator in item) or (self._inputs["into"] == "path" and item in {".", ".."})

    def make(self, batch: Batch, params: Iterable[tuple[str, Any]], link: str | None) -> Request:
        """Return the request for one page. A link of the source's own is taken as it is.

        What is secret or set by the user goes along only to the origin of `base_url`.
        """
        query: list[tuple[str, Any]] = []
        form, document, path = self._body(batch, query)
        url = self._url.replace(quote(path[0]), path[1]).replace(*path) if path else self._url
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
        content = self._content(form, document, headers)
        if link is None:
            link = with_query(url, [*self._config.get("params", {}).items(), *query, *params])
        sent = link
        is_home = origin(link) == origin(self._url)
        if is_home:
            headers |= {
                **{k: str(v) for k, v in self._config.get("headers", {}).items()},
                **self._credentials.headers,
            }
            sent = with_query(link, self._credentials.params.items())
        return Request(self._method, sent, self._credentials.mask(sent), link, headers, content, is_home)

    def head(self) -> Request:
        """Return a request that asks nothing and gives no data, to the address without places for rows."""
        url = self._url.split("{")[0].split("%7B")[0]
        headers = {
            **{k: str(v) for k, v in self._config.get("headers", {}).items()},
            **self._credentials.headers,
        }
        sent = with_query(url, self._credentials.params.items())
        return Request("HEAD", sent, self._credentials.mask(sent), url, headers, None, is_home=True)

    def _body(
        self, batch: Batch, query: list[tuple[str, Any]]
    ) -> tuple[dict[str, Any] | None, Any, tuple[str, str] | None]:
        """Put a batch where it belongs: the query, or the form, document or place of the path returned."""
        form, document = self._request.get("form"), self._request.get("json")
        if batch.items is None or self._inputs is None:
            return form, document, None
        separator, name, into = self._inputs.get("separator"), self._inputs["name"], self._inputs["into"]
        value: Any = batch.items if separator is None else separator.join(batch.items)
        if into == "query":
            query.append((name, value))
        elif into == "form":
            form = {**(form or {}), name: value}
        elif into == "json":
            document = {**(document or {}), name: value}
        else:
            text = value if isinstance(value, str) else ",".join(value)
            return form, document, (self._place, quote(text, safe=",;"))
        return form, document, None

    def _content(
        self, form: Mapping[str, Any] | None, document: Any, headers: dict[str, str]
    ) -> bytes | None:
        if self._method == "GET":
            return None
        if document is not None:
            headers["Content-Type"] = "application/json"
            return codec.dumps(document).encode()
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            return urlencode(pairs(form.items())).encode()
        return b""


def with_query(url: str, params: Iterable[tuple[str, Any]]) -> str:
    """Set query parameters; one that is already there is replaced."""
    wanted = pairs(params)
    if not wanted:
        return url
    parts = urlsplit(url)
    names = {name for name, _ in wanted}
    kept = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in names]
    return urlunsplit(parts._replace(query=urlencode([*kept, *wanted])))


def pairs(params: Iterable[tuple[str, Any]]) -> list[tuple[str, str]]:
    """Write parameters as text: a list repeats its name, null is left out, the last of a name counts."""
    found: dict[str, list[str]] = {}
    for name, value in params:
        values = value if isinstance(value, list) else [value]
        found[name] = [str(v).lower() if isinstance(v, bool) else str(v) for v in values if v is not None]
    return [(name, value) for name, values in found.items() for value in values]
