"""Secrets in the settings of somebody else's program, and in what it wants kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from edgekit import masking
from edgekit.errors import NotFoundError, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_KEPT = re.compile(r"\{vault:([^{}]+)\}")


def resolve(config: Mapping[str, Any], secrets: Mapping[str, str], opened: dict[str, str]) -> Any:
    """Put the secrets in the place of {"vault": "key"}, and note them in `opened` by their keys.

    Raise NotFoundError naming the key there is no secret for.
    """

    def put(value: Any) -> Any:
        if isinstance(value, list):
            return [put(item) for item in value]
        if not isinstance(value, dict):
            return value
        if set(value) != {"vault"}:
            return {key: put(item) for key, item in value.items()}
        key = str(value["vault"])
        try:
            secret = secrets[key]
        except KeyError:
            raise NotFoundError(
                f"The secret {key} is not stored.",
                hint=f"Store it: edgekit vault set INTEGRATION {quoted(key)}",
            ) from None
        masking.note(secret)
        opened[key] = secret
        return secret

    return put(dict(config))


def without_secrets(state: Any, opened: Mapping[str, str]) -> Any:
    """Return what a program wants kept with the keys of its secrets in their place: it is kept in clear."""

    def hidden(text: str) -> str:
        for key, secret in opened.items():
            if len(secret) >= masking.SHORTEST:
                text = text.replace(secret, f"{{vault:{key}}}")
        return text

    return _in_texts(state, hidden)


def with_secrets(state: Any, opened: Mapping[str, str]) -> Any:
    """Return what was kept as the program gave it."""
    return _in_texts(state, lambda text: _KEPT.sub(lambda found: opened.get(found[1], found[0]), text))


def _in_texts(value: Any, turn: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {turn(key): _in_texts(item, turn) for key, item in value.items()}
    if isinstance(value, list):
        return [_in_texts(item, turn) for item in value]
    return turn(value) if isinstance(value, str) else value
