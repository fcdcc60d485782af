"""HTTP services as destinations: what a request carries, and what its answer says of each record."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from edgekit import codec, jsonpath
from edgekit.connectors import http_answers
from edgekit.connectors.base import Answer, Delivery, Outgoing
from edgekit.connectors.http_requests import Request, join_url, pairs, with_query
from edgekit.errors import EdgekitError, InvalidError, SkipRecordError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edgekit.connectors.http_auth import Credentials
    from edgekit.connectors.http_exchange import Exchange, Reply

MAX_RESPONSE = 16 * 1024
"""Bytes of what the other side said to one record that are kept."""

_PLACE = re.compile(r"\{(\w+)\}")
_REPEATABLE = {"PUT", "DELETE"}
_STOPPING = {401, 403, 405}


class HttpWriter:
    """An open way to one HTTP resource. Records go in requests of `batch_size`, in their order."""

    def __init__(
        self,
        config: Mapping[str, Any],
        state: Mapping[str, Any],
        credentials: Credentials,
        exchange: Exchange,
    ) -> None:
        """Raise InvalidError for settings that cannot be used together."""
        self._config = config
        self._state = dict(state)
        self._credentials = credentials
        self._exchange = exchange
        self._method = str(config.get("method", "POST"))
        self._request: Mapping[str, Any] = config.get("request", {})
        self._answer: Mapping[str, str] = config.get("answer", {})
        self._size = int(config.get("batch_size", 1))
        self._key_header: str | None = config.get("idempotency_header", "Idempotency-Key")
        self._repeatable = self._method in _REPEATABLE or self._key_header is not None
        # Joined before records fill its places: no value of theirs is taken for a part of the address.
        self._url = urlsplit(join_url(str(config["base_url"]), str(config.get("path", ""))))
        self._places = _PLACE.findall(self._url.path)
        self._check()

    def _check(self) -> None:
        if self._places and self._size > 1:
            raise InvalidError(
                f"The path is made for each record ({{{self._places[0]}}}), so a request carries only one.",
                hint="Set batch_size to 1, or take the place out of path.",
            )
        if self._size > 1 and "form" in self._request:
            raise InvalidError("A form carries one record.", hint="Set batch_size to 1, or send JSON.")
        if self._method == "DELETE" and not self._places and not self._request:
            raise InvalidError(
                "The DELETE would name no record: it might delete everything there.",
                hint="Put a place into the path, such as /items/{id}, or say under request what is sent.",
            )

    def send(self, records: Sequence[Outgoing]) -> Delivery:
        """Send records and return what was said to each.

        What the other side refuses of a batch as a whole is sent again in halves, so that one bad record does
        not take the others with it. Raise DeniedError, NotFoundError, InvalidError or UnavailableError where
        nothing can be sent; `.attempts` has the tries and `.answers` what was said to the first of them.
        """
        answers: list[Answer] = []
        try:
            for start in range(0, len(records), self._size):
                self._send(records[start : start + self._size], answers)
        except EdgekitError as error:
            vars(error).setdefault("attempts", self._exchange.drain())
            vars(error)["answers"] = answers
            raise
        return Delivery(answers, dict(self._state), self._exchange.drain())

    def finish(self) -> dict[str, Any]:
        """Return the state: what was answered is there for good already."""
        return dict(self._state)

    def _send(self, records: Sequence[Outgoing], answers: list[Answer]) -> None:
        """Send one request and add what was said to each of its records."""
        try:
            request = self._make(records)
        except SkipRecordError as unfit:
            answers.append(Answer(unfit))
            return
        reply = self._exchange.deliver(request, repeatable=self._repeatable)
        status, _, body = reply
        if 200 <= status < 300 or (self._method == "DELETE" and status in {404, 410}):
            answers += self._taken(request, reply, records)
            return
        error = http_answers.refusal(*reply, url=request.shown, mask=self._credentials.mask)
        if status in _STOPPING or status < 400 or (status in {404, 410} and not self._places):
            raise error
        if len(records) > 1:
            half = len(records) // 2
            self._send(records[:half], answers)
            self._send(records[half:], answers)
            return
        refused = SkipRecordError(error.message, error_code=f"http_{status}")
        answers.append(Answer(refused, status, response=self._bounded(said(body))))

    # what goes out

    def _make(self, records: Sequence[Outgoing]) -> Request:
        path = _PLACE.sub(lambda place: _part(records[0], place[1]), self._url.path)
        shown = with_query(self._url._replace(path=path).geturl(), self._config.get("params", {}).items())
        sent = with_query(shown, self._credentials.params.items())
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            **{k: str(v) for k, v in self._config.get("headers", {}).items()},
            **self._credentials.headers,
        }
        content = self._content(records, headers)
        if self._key_header is not None:
            headers[self._key_header] = _key(records)
        return Request(
            self._method, sent, self._credentials.mask(sent), shown, headers, content, is_home=True
        )

    def _content(self, records: Sequence[Outgoing], headers: dict[str, str]) -> bytes | None:
        """Write the body: the record, or the list where requests carry several, with what goes along."""
        if self._method == "DELETE" and not self._request:
            return None
        left_out = set(self._request.get("omit", ()))
        rows = [{k: v for k, v in item.record.items() if k not in left_out} for item in records]
        if "form" in self._request:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            fields = {**self._request["form"], **{name: _field(value) for name, value in rows[0].items()}}
            return urlencode(pairs(fields.items())).encode()
        document: Any = rows[0] if self._size == 1 and not self._request.get("list") else rows
        if (member := self._request.get("into")) is not None:
            document = {**self._request.get("json", {}), member: document}
        elif isinstance(document, dict):
            document = {**self._request.get("json", {}), **document}
        headers["Content-Type"] = str(self._request.get("content_type", "application/json"))
        return codec.dumps(document).encode()

    # what comes back

    def _taken(self, request: Request, reply: Reply, records: Sequence[Outgoing]) -> list[Answer]:
        """Read what was said to records the other side took, each for itself where it says so."""
        status, headers, body = reply
        document = self._document(request, headers, body)
        results: list[Any] = [document] * len(records)
        if "results" in self._answer:
            found = jsonpath.find(self._answer["results"], document) if document is not None else []
            results = found[0] if len(found) == 1 and isinstance(found[0], list) else found
            if len(results) != len(records):
                raise InvalidError(
                    f"{request.shown} gave {len(results)} results for {len(records)} records.",
                    hint="answer.results says where they are, one for each record in the order sent.",
                )
        elif status == 207:
            raise InvalidError(
                f"{request.shown} answers each record for itself (207), but nobody knows where.",
                hint='Say it: answer={"results": "$.results", "status": "$.status", "error": "$.error"}',
            )
        answers = [self._one(result, status) for result in results]
        if "results" not in self._answer:  # one for all is kept once
            answers[1:] = [replace(answer, response=None) for answer in answers[1:]]
        return answers

    def _document(self, request: Request, headers: Mapping[str, str], body: bytes) -> Any:
        """Decode an answer that says yes. It need not say more; but a log-in page is no answer."""
        start = body[:200].lstrip(b"\xef\xbb\xbf \t\r\n")
        if not start:
            return None
        kind = headers.get("content-type", "")
        is_page = start[:9].lower() == b"<!doctype" or start[:5].lower() == b"<html"
        if is_page or ("html" in kind and start[:1] == b"<") or "json" in kind:
            return http_answers.decode(body, headers, status=200, url=request.shown)
        return said(body)

    def _one(self, result: Any, status: int) -> Answer:
        reference = self._at("reference", result)
        code, error = self._at("status", result), self._at("error", result)
        said = self._bounded(result)
        if isinstance(code, str) and code.isascii() and code.isdigit():
            code = int(code)
        has_code = isinstance(code, int) and not isinstance(code, bool) and 100 <= code < 1000
        refused_code = has_code and code >= 400 and not (self._method == "DELETE" and code in {404, 410})
        if not refused_code and (error in (None, False, "", [], {}) or (has_code and code < 400)):
            return Answer(None, code if has_code else status, _reference(reference), said)
        text = error if isinstance(error, str) else codec.dumps(error) if error else "refused"
        why = http_answers.excerpt(text.encode("utf-8", "replace"), self._credentials.mask)
        failure = SkipRecordError(
            f"The other side refused it: {why}", error_code=f"http_{code}" if has_code else "refused"
        )
        return Answer(failure, code if has_code else status, _reference(reference), said)

    def _at(self, name: str, document: Any) -> Any:
        if name not in self._answer or document is None:
            return None
        found = jsonpath.find(self._answer[name], document)
        return found[0] if found else None

    def _bounded(self, said: Any) -> Any:
        """Return what may be kept of an answer: all of it, or the beginning of its text."""
        if said is None:
            return None
        said = _masked(said, self._credentials.mask)
        text = codec.dumps(said)
        return said if len(text) <= MAX_RESPONSE else {"truncated": True, "beginning": text[:MAX_RESPONSE]}


def _masked(said: Any, mask: Callable[[str], str]) -> Any:
    if isinstance(said, dict):
        return {mask(name): _masked(value, mask) for name, value in said.items()}
    if isinstance(said, list):
        return [_masked(value, mask) for value in said]
    return mask(said) if isinstance(said, str) else said


def _part(item: Outgoing, name: str) -> str:
    """Write one value for its place in the path. It can be nothing but one part of it."""
    value = item.record.get(name)
    if value is None or value == "" or isinstance(value, bool | list | dict):
        raise SkipRecordError(f"The record has no {name} that could stand in the path.", error_code="path")
    try:
        text = quote(str(value), safe="")
    except UnicodeEncodeError:
        raise SkipRecordError(f"{name} holds half a character.", error_code="path") from None
    if text in {".", ".."}:
        raise SkipRecordError(f"{name} is {text!r}, which cannot stand in a path.", error_code="path")
    return text


def _key(records: Sequence[Outgoing]) -> str:
    """Return the same for the same records with the same content, and nothing a header cannot carry."""
    keys = [item.idempotency_key for item in records]
    if len(keys) == 1 and keys[0].isascii() and keys[0].isprintable() and 0 < len(keys[0]) <= 255:
        return keys[0]
    return hashlib.sha256(codec.canonical(keys).encode()).hexdigest()


def _field(value: Any) -> Any:
    """Write what a form cannot hold as JSON; a list of plain values repeats its name."""
    if isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(v, dict | list) for v in value)
    ):
        return codec.dumps(value)
    return value


def said(body: bytes) -> Any:
    """Read what was said in whatever form: JSON, else the beginning of its text."""
    try:
        return codec.loads(body)
    except InvalidError:
        return body[:MAX_RESPONSE].decode("utf-8", "replace") or None


def _reference(found: Any) -> str | None:
    """Return the other side's own name of a record, as text that a row can hold."""
    if found is None or isinstance(found, bool | list | dict):
        return None
    return str(found)[:100]
