"""Versions as Semantic Versioning orders them: 1.10.0 is newer than 1.9.2, and 2.0.0 than 2.0.0-rc.1."""

from __future__ import annotations

import re

from edgekit.errors import InvalidError

_VERSION = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?",
    re.ASCII,
)
_NUMBERS = re.compile(r"\d+(?:\.\d+)*", re.ASCII)

Key = tuple[tuple[int, ...], tuple[tuple[int, int, str], ...], str]


def key(version: str) -> Key:
    """Return what versions are sorted by.

    A few numbers (`1`, `1.2`) count as if the missing ones were 0; any other text is older than all versions.
    """
    found = _VERSION.fullmatch(version)
    if found is None:
        if not _NUMBERS.fullmatch(version):
            return (-1, 0, 0), (), version
        numbers = [int(part) for part in version.split(".")]
        return (*numbers, *[0] * (3 - len(numbers))), _RELEASE, version
    numbers = [int(part) for part in found.groups()[:3]]
    return tuple(numbers), _early(found[4]), version


_RELEASE = ((2, 0, ""),)
"""Above every identifier of a version before its release."""


def _early(text: str | None) -> tuple[tuple[int, int, str], ...]:
    if text is None:
        return _RELEASE
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in text.split("."))


def is_early(version: str) -> bool:
    """Tell whether a version comes before a release, as 2.0.0-rc.1 does, or is no version at all."""
    return key(version)[1] != _RELEASE


def check(version: str) -> None:
    """Raise InvalidError for what is no version."""
    if _VERSION.fullmatch(version) is None:
        raise InvalidError(
            f"{version!r} is no version.", hint="Write it as three numbers: 1.2.0 (or 2.0.0-rc.1)."
        )
