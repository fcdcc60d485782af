"""From page to page: which parameters ask for it, and whether another one follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from edgekit import jsonpath
from edgekit.connectors.http_requests import origin
from edgekit.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgekit.connectors.http_answers import Answer
    from edgekit.connectors.http_auth import Credentials

MAX_EMPTY = 100
"""Pages without a record, each naming a next one, before we stop believing the source."""

_SIZE_PARAMS = {"page": "page_size", "offset": "limit"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page stands: its number from 1, its offset, link or cursor, and the records before it."""

    page: int = 1
    at: Any = None
    count: int = 0


class Pager:
    """Walks the pages of one list. Call `restart` before the first page of another."""

    def __init__(self, config: Mapping[str, Any], credentials: Credentials) -> None:
        pages = config.get("pagination", {})
        self._settings = pages
        self._kind: str = pages.get("kind", "none")
        self._size: int | None = config.get("page_size")
        self._home = origin(config["base_url"])
        self._credentials = credentials
        self.restart()

    def restart(self) -> None:
        """Forget what was seen of the list before."""
        self._seen: set[Any] = set()
        self._previous: list[Any] = []  # of the page before: some of its records, so that the rest can go
        self._empty = 0

    def link(self, place: Place) -> str | None:
        """Return the whole URL of a page the source itself named."""
        return str(place.at) if self._kind == "next_link" and place.at is not None else None

    def params(self, place: Place) -> list[tuple[str, Any]]:
        """Return the query parameters that ask for a page."""
        found: list[tuple[str, Any]] = []
        settings = self._settings
        if self._kind == "page":
            found.append((settings.get("page_param", "page"), int(settings.get("start", 1)) + place.page - 1))
        elif self._kind == "offset":
            found.append((settings.get("page_param", "offset"), self._offset(place)))
        elif self._kind == "cursor":
            cursor = place.at if place.at is not None else settings.get("start")
            if cursor is not None:
                found.append((settings.get("cursor_param", "cursor"), cursor))
        size_param = settings.get("size_param", _SIZE_PARAMS.get(self._kind))
        if size_param is not None and self._size is not None:
            found.append((size_param, self._size))
        return found

    def after(self, place: Place, answer: Answer, records: list[Any]) -> Place | None:
        """Return the place of the next page, None behind the last one.

        Raise InvalidError where the source goes in circles, or names a next page elsewhere.
        """
        if self._kind == "none":
            return None
        sample = [len(records), *records[:1], *records[len(records) // 2 :][:1], *records[-1:]]
        if records and sample == self._previous:
            raise self._circle(answer, place)
        self._previous = sample
        count = place.count + len(records)
        if place.page >= self._settings.get("max_pages", float("inf")):
            return None
        total = self._total(answer)
        if total is not None and count >= total:
            return None
        if self._kind in {"page", "offset"}:
            # A source may give fewer than it is asked for, so a page is short beside those before it, and the
            # first never is; a total knows better than either.
            is_short = (
                self._size is not None and total is None and len(records) * (place.page - 1) < place.count
            )
            if not records or is_short:
                return None
            at = self._offset(place) + len(records) if self._kind == "offset" else None
        else:
            at = self._named(place, answer, records)
            if at is None:
                return None
        return Place(place.page + 1, at, count)

    def is_beyond(self, place: Place) -> bool:
        """Whether "not found" at this place means that the list has ended: some sources answer so."""
        return self._kind in {"page", "offset"} and place.page > 1

    def _offset(self, place: Place) -> int:
        return int(self._settings.get("start", 0) if place.at is None else place.at)

    def _total(self, answer: Answer) -> int | None:
        path = self._settings.get("total_path")
        found = jsonpath.find(path, answer.document) if path else []
        try:
            return int(found[0]) if found and not isinstance(found[0], bool) else None
        except (TypeError, ValueError):
            return None

    def _named(self, place: Place, answer: Answer, records: list[Any]) -> Any:
        """Return the link or cursor an answer names for the next page, None if it names none."""
        named = self._link(answer) if self._kind == "next_link" else self._cursor(answer)
        if named is None:
            return None
        self._seen.add(place.at if place.at is not None else answer.link)
        if named in self._seen:
            if not records:  # a feed that has nothing new gives back the place it was asked for
                return None
            raise self._circle(answer, place)
        self._empty = 0 if records else self._empty + 1
        if self._empty >= MAX_EMPTY:
            raise self._circle(answer, place)
        if self._credentials.are_in(str(named)):
            raise InvalidError(
                f"{answer.url} gives our secret back to name the next page, and that is kept in clear."
            )
        return named

    def _cursor(self, answer: Answer) -> Any:
        found = jsonpath.find(self._settings.get("cursor_path", "$.next_cursor"), answer.document)
        if not found or found[0] is None or found[0] is False or found[0] == "":
            return None
        if isinstance(found[0], bool) or not isinstance(found[0], str | int | float):
            raise InvalidError(f"{answer.url}: the cursor of the next page is neither text nor a number.")
        return found[0]

    def _link(self, answer: Answer) -> str | None:
        path = self._settings.get("next_path")
        found = jsonpath.find(path, answer.document) if path else [answer.next_link]
        if not found or found[0] is None or found[0] is False or found[0] == "":
            return None
        if not isinstance(found[0], str):
            raise InvalidError(f"{answer.url}: the link to the next page is no text.")
        try:
            link = self._credentials.bare(urljoin(answer.link, found[0].strip()))
            elsewhere = origin(link) != self._home
        except ValueError:
            raise InvalidError(f"{answer.url}: the link to the next page is no URL.") from None
        if elsewhere and not self._settings.get("allow_other_origin", False):
            raise InvalidError(
                f"{answer.url} names a next page at another place, {self._credentials.mask(origin(link))}.",
                hint="If that is right, set pagination.allow_other_origin; no secret is sent there.",
            )
        return link

    @staticmethod
    def _circle(answer: Answer, place: Place) -> InvalidError:
        return InvalidError(
            f"{answer.url} answers the same page again and again (page {place.page}).",
            hint="Compare the settings under pagination with what the source expects.",
        )
