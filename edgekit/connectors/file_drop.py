"""A folder files are dropped into: each is read once, in name order, and then kept, moved or deleted."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from edgekit import clock
from edgekit.connectors.base import Page, Positions, Reject
from edgekit.connectors.file_places import Entry, Place, is_pattern, is_url, place
from edgekit.errors import DeniedError, EdgekitError, InvalidError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    ReadOne = Callable[[str, str, str, Mapping[str, Any]], Generator[Page, None, None]]
    """Reads one file: path, what it is called, its mark, and the state inside of it."""

_SET_ASIDE = "!"
"""Before the mark of a file that could not be read: it is not moved or deleted as one that was."""

_FRESH = 2.0
"""Seconds after which a change shows in a time told in whole seconds."""

_ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:[/\\]")


class _State(dict[str, Any]):
    """A page's state that can be told that it is kept."""

    is_committed = False


def is_drop(config: Mapping[str, Any]) -> bool:
    """Tell whether files are picked up: a pattern, or one that is not left where it is."""
    return config["path"] != "-" and (is_pattern(str(config["path"])) or config.get("then", "keep") != "keep")


def check(config: Mapping[str, Any]) -> None:
    """Refuse what cannot be done with the files of a kind of place. Raise InvalidError."""
    path, then = str(config["path"]), str(config.get("then", "keep"))
    if then == "keep":
        return
    if path == "-":
        raise InvalidError("Standard input cannot be moved or deleted: leave then out.")
    if is_url(path) and ("::" in path or path.startswith(("http://", "https://"))):
        raise InvalidError(
            f"{path} can be read, not moved or deleted.", hint="Leave then out, or say: --set then=keep"
        )


def read(
    config: Mapping[str, Any],
    state: Mapping[str, Any],
    secrets: Mapping[str, str],
    read_one: ReadOne,
    *,
    now: datetime | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Generator[Page, None, None]:
    """Yield the pages of the files that were not read yet, the one a run stopped in first.

    The state's `cursor` has the mark of each file that was read and is still there. A file that is no source
    at all is set aside with its name, and the next is read. Where there is nothing new, no page is yielded.
    """
    check(config)
    with place(str(config["path"]), config, secrets) as folder:
        then, at_once = str(config.get("then", "keep")), now or clock.now()
        present = _without_moved(folder.find(), then)
        if any(_is_fresh(entry, at_once) for entry in present):
            sleep(_FRESH)
            present = _without_moved(folder.find(), then)
        marks = {entry.name: entry.mark for entry in present}
        cursor = {name: mark for name, mark in dict(state.get("cursor", {})).items() if name in marks}
        for entry in present:
            if cursor.get(entry.name) == entry.mark:
                _settle(folder, config, entry)
        waiting = [entry for entry in present if cursor.get(entry.name, "").lstrip(_SET_ASIDE) != entry.mark]
        waiting = list(_settled(waiting, float(config.get("settle_seconds", 0)), at_once))
        at = dict(state.get("at", {}))
        waiting.sort(key=lambda entry: (entry.name != at.get("name"), entry.name))
        for number, entry in enumerate(waiting, 1):
            inside = at if entry.name == at.get("name") else {}
            is_last = number == len(waiting)
            is_kept = False
            for page in _read_entry(folder, entry, inside, cursor, read_one, is_last=is_last):
                yield page
                is_kept = isinstance(page.state, _State) and page.state.is_committed
            if is_kept:  # and closed by now: Windows moves and deletes no file that is open
                _settle(folder, config, entry)


def _read_entry(
    folder: Place,
    entry: Entry,
    inside: Mapping[str, Any],
    cursor: dict[str, str],
    read_one: ReadOne,
    *,
    is_last: bool,
) -> Iterator[Page]:
    with ExitStack() as stack:
        try:
            path = stack.enter_context(folder.fetched(entry))
        except NotFoundError:
            return  # gone since we looked
        except DeniedError as error:  # it is not remembered: with other rights the next run reads it
            yield _page(_refused(entry, error), entry, cursor, is_last=is_last, done=True)
            return
        try:
            for page in read_one(path, entry.name, entry.mark, inside):
                done = bool(page.state.get("done"))
                if done:
                    cursor[entry.name] = entry.mark
                yield _page(page, entry, cursor, is_last=is_last, done=done)
        except InvalidError as error:
            cursor[entry.name] = _SET_ASIDE + entry.mark
            yield _page(_refused(entry, error), entry, cursor, is_last=is_last, done=True)


def _refused(entry: Entry, error: EdgekitError) -> Page:
    return Page([], [], {}, [], [Reject(entry.name, entry.name, "file", error.message)])


def _page(page: Page, entry: Entry, cursor: Mapping[str, str], *, is_last: bool, done: bool) -> Page:
    """Tell a page's places with the file's name, and its state as one of all files."""
    assert isinstance(page.positions, Positions) or not page.records
    positions = page.positions.within(entry.name) if isinstance(page.positions, Positions) else []
    rejects = [
        found if found.code == "file" else replace(found, position=f"{entry.name}, {found.position}")
        for found in page.rejects
    ]
    state = _State(cursor=dict(cursor))
    if not done:
        state["at"] = {"name": entry.name, **page.state}
    elif is_last:
        state["done"] = True
    if done and cursor.get(entry.name) == entry.mark:
        state["finished"] = entry.name
    return Page(page.records, positions, state, page.attempts, rejects)


def committed(config: Mapping[str, Any], state: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
    """Have the file that was read whole with the page of this state moved or deleted.

    Where the page's own state is given, it is done when the next page is asked for, by the connection that is
    open.
    """
    name = state.get("finished")
    if name is None or config.get("then", "keep") == "keep":
        return
    if isinstance(state, _State):
        state.is_committed = True
        return
    with place(str(config["path"]), config, secrets) as folder:
        for entry in folder.find():
            if entry.name == name and entry.mark == state["cursor"].get(name):
                _settle(folder, config, entry)


def _without_moved(entries: list[Entry], then: str) -> list[Entry]:
    """Leave out what lies where read files are moved to, which a pattern over all folders finds as well."""
    target = then.removeprefix("move:").strip("/\\") if then.startswith("move:") else ""
    if not target:
        return entries
    inside = f"/{target.replace(chr(92), '/').removeprefix('./')}/"
    return [
        entry for entry in entries
        if inside not in f"/{entry.name}" and inside not in f"/{entry.path.replace(chr(92), '/')}"
    ]  # fmt: skip


def _is_fresh(entry: Entry, now: datetime) -> bool:
    """Tell a file that could be replaced by another with the same mark: its time is told in whole seconds."""
    at = entry.modified
    return at is not None and at == int(at) and now.timestamp() - at < _FRESH


def _settled(entries: list[Entry], seconds: float, now: datetime) -> Iterator[Entry]:
    for entry in entries:
        if seconds and entry.modified is None:
            raise InvalidError(
                f"When {entry.path} was changed cannot be known: settle_seconds has no use here.",
                hint="Leave it out.",
            )
        if not seconds or entry.modified is None or now.timestamp() - entry.modified >= seconds:
            yield entry


def _settle(folder: Place, config: Mapping[str, Any], entry: Entry) -> None:
    """Do with a file that was read and committed what the settings say; one changed meanwhile stays."""
    then = str(config.get("then", "keep"))
    if then == "keep" or folder.mark(entry) != entry.mark:
        return
    if then == "delete":
        folder.delete(entry.path)
    else:
        folder.move(entry.path, _free(folder, entry, then.removeprefix("move:")))


def _free(folder: Place, entry: Entry, wanted: str) -> str:
    """Return a name for a file in the folder it is moved to that no other file has."""
    path = entry.path
    cut = max(path.rfind("/"), path.rfind("\\")) + 1
    base = "" if _ABSOLUTE.match(wanted) else path[:cut]
    name, dot, ending = path[cut:].partition(".")
    target = f"{base}{wanted.rstrip('/')}/"
    free, number = f"{target}{name}{dot}{ending}", 2
    if entry.modified is not None and folder.exists(free):
        name = f"{name}-{datetime.fromtimestamp(entry.modified, UTC):%Y%m%dT%H%M%S}"
        free = f"{target}{name}{dot}{ending}"
    while folder.exists(free):
        free, number = f"{target}{name}-{number}{dot}{ending}", number + 1
    return free
