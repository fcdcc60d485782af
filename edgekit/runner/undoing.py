"""A change whose work is thrown away: to try what the file makes of it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgekit import db

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Undo(Exception):  # noqa: N818 - it is no error
    """Leaves a change so that everything in it is undone."""


@contextmanager
def undone(reason: str) -> Iterator[None]:
    """Open a change whose work is thrown away."""
    try:
        with db.change(reason=reason):
            yield
            raise _Undo
    except _Undo:
        pass
